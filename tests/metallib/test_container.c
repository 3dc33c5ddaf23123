/* The container of a .metallib file, damaged in every way that its bytes allow: whatever is
 * accepted must lie within the file. Argument: a file that is whole. */
#include "../check.h"
#include "shader/air/air.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned accepted, refused;

static void set_number(char *at, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        at[i] = (char)(value >> (8 * i));
}

static uint64_t number(const char *at)
{
    uint64_t value;
    memcpy(&value, at, 8);
    return value;
}

/* In memory of its own, so that sanitizers see a step past its end. */
static void try(const char *data, size_t bytes)
{
    struct air_container c;
    const char *why = NULL;
    char *copy = malloc(bytes ? bytes : 1);
    memcpy(copy, data, bytes);
    if (air_container_open(copy, bytes, &c, &why) == 0) {
        const char *end = copy + bytes;
        accepted++;
        CHECK((const char *)c.bitcode >= copy && (const char *)c.bitcode + c.bitcode_bytes <= end);
        for (uint32_t i = 0; i < c.function_count; i++) {
            const struct air_function *f = &c.functions[i];
            CHECK(f->name > copy && f->name + strlen(f->name) < end);
            CHECK(f->bytes && abx_range_ok(f->offset, f->bytes, c.bitcode_bytes));
        }
        air_container_close(&c);
    } else {
        refused++;
        CHECK(why && *why && !c.functions);
    }
    free(copy);
}

/* Cut at each byte, and the file's size made to agree. */
static void cut(const char *whole, size_t bytes)
{
    char *data = malloc(bytes);
    memcpy(data, whole, bytes);
    for (size_t length = 0; length < bytes; length++) {
        try(whole, length);
        set_number(data + 16, length, 8);
        try(data, length);
    }
    free(data);
}

/* Each byte of the header and the list changed; then each 2, 4 and 8 of them, to what overflows. */
static void change(const char *whole, size_t bytes, size_t end)
{
    static const uint64_t values[] = {0, 1, 0x7f, 0xffff, 0x7fffffff, 0xffffffff,
            0x7fffffffffffffff, ~0ull, ~7ull, 1ull << 32};
    char *data = malloc(bytes);
    for (size_t at = 0; at < end; at++) {
        for (int bit = 0; bit < 8; bit++) {
            memcpy(data, whole, bytes);
            data[at] ^= (char)(1 << bit);
            try(data, bytes);
        }
        for (unsigned width = 2; width <= 8 && at + width <= end; width *= 2)
            for (size_t i = 0; i < ABX_ARRAY_SIZE(values); i++) {
                memcpy(data, whole, bytes);
                set_number(data + at, values[i], width);
                try(data, bytes);
            }
    }
    free(data);
}

int main(int argc, char **argv)
{
    void *data;
    size_t bytes;
    CHECK(argc == 2 && abx_read_file(argv[1], 1u << 20, &data, &bytes) == 0);
    size_t end = number((const char *)data + 24) + 4 + number((const char *)data + 32);
    try(data, bytes);
    CHECK(accepted == 1 && end < bytes);
    cut(data, bytes);
    CHECK(accepted == 1);
    change(data, bytes, end);
    printf("%u accepted, %u refused\n", accepted, refused);
    free(data);
    return refused > accepted ? 0 : 1;
}
