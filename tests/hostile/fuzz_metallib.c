/* Fuzzes the reader of .metallib containers (src/shader/air/container.c). The bitcode inside is
 * LLVM's to read, in the compiler's children only: test_metallib.c damages that. */
#include "fuzz.h"

#include "shader/air/air.h"

static volatile size_t sink;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct air_container c;
    const char *why;
    if (air_container_open(data, size, &c, &why) < 0)
        return 0;
    for (uint32_t i = 0; i < c.function_count; i++) {
        const struct air_function *f = &c.functions[i];
        sink += strlen(f->name) + c.bitcode[f->offset] + c.bitcode[f->offset + f->bytes - 1];
    }
    air_container_close(&c);
    fuzz_accepted++;
    return 0;
}
