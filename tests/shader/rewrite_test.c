/* The rewriter on text it was not meant for: cut, damaged and repeated programs, and the inputs
 * that make careless parsers slow or deep. Seeded, so that a failure repeats. Arguments: .metal
 * files. */
#include "rewrite_check.h"

#include <stdio.h>

static uint64_t state = 0x9e3779b97f4a7c15u;

static uint32_t random_below(uint32_t bound)
{
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return (uint32_t)(state >> 32) % bound;
}

static const char *const splices[] = {"[[", "]]", "{", "}", "(", ")", "<", ">", "template<",
        "kernel", "threadgroup", "constant", "#pragma unroll (N)\n", "[[host_name(\"x\")]]", "\"",
        "'", "/*", "1.0h", "operator", "static_cast<", ";", "\n", "[[function_constant(0)]]",
        "(half)", "::"};

static void mutate(const char *text, size_t length)
{
    char *copy = malloc(length + 64);
    memcpy(copy, text, length);
    for (uint32_t n = 1 + random_below(6); n && length; n--) {
        uint32_t at = random_below((uint32_t)length);
        const char *splice = splices[random_below(ABX_ARRAY_SIZE(splices))];
        size_t bytes = strlen(splice);
        switch (random_below(4)) {
        case 0:
            copy[at] = (char)random_below(256);
            break;
        case 1:
            copy[at] ^= (char)(1u << random_below(8));
            break;
        case 2: {
            uint32_t cut = random_below(length - at > 40 ? 40 : (uint32_t)(length - at));
            memmove(copy + at, copy + at + cut, length - at - cut);
            length -= cut;
            break;
        }
        default:
            if (at + bytes <= length)
                memcpy(copy + at, splice, bytes);
        }
    }
    check_rewrite(copy, length);
    free(copy);
}

static unsigned share = 1; /* of all this: where each takes much longer */

static void damage(const char *path)
{
    void *text;
    size_t length;
    int rc = abx_read_file(path, 1 << 20, &text, &length);
    assert(rc == 0);
    check_rewrite(text, length);
    for (size_t cut = 0; cut < length; cut += 1 + length * share / 300)
        check_rewrite(text, cut);
    for (unsigned i = 0; i < 200 / share; i++)
        mutate(text, length);
    free(text);
}

/* `unit` repeated to about a megabyte (where each takes longer, much less: this is most of it):
 * seconds here would be a quadratic step. */
static void repeat(const char *unit)
{
    size_t bytes = strlen(unit), count = (1u << 20) / (share * share) / bytes;
    char *text = malloc(bytes * count);
    for (size_t i = 0; i < count; i++)
        memcpy(text + i * bytes, unit, bytes);
    uint64_t start = abx_now_ns();
    check_rewrite(text, bytes * count);
    double seconds = (double)(abx_now_ns() - start) / 1e9;
    if (seconds > 10)
        fprintf(stderr, "'%s' repeated took %.1f s\n", unit, seconds);
    assert(seconds <= 10);
    free(text);
}

int main(int argc, char **argv)
{
    static const char *const units[] = {"(", "{", "[", "[[a", "<", "a<", "template<",
            "namespace a {", "struct s {", "f(", "f<a", "a::", "1.0 ", "1.0h", "\"", "'", "#\n",
            "/*", "x;", ":", "struct s { void f() device {", "kernel void f(", "kernel void f() {}",
            "template <class T> kernel void f(device T *x) {}",
            "template [[host_name(\"a\")]] kernel void f<int>(device int*);", "operator",
            "constant int x [[function_constant(0)]];", "(half)", "half(", "static_cast<",
            "threadgroup a<", "f():a<", "f() : a(", "is_function_constant_defined(x)",
            "void f(int a,", "struct s { void f() device; };", "if (a < b) x = (half)y * 1.5;",
            "\\\n", "[[a]]"};
    const char *given = getenv("FUZZ_SHARE");
    if (given && atoi(given) > 0)
        share = (unsigned)atoi(given);
    for (int i = 1; i < argc; i++)
        damage(argv[i]);
    for (size_t i = 0; i < ABX_ARRAY_SIZE(units); i++)
        repeat(units[i]);
    return 0;
}
