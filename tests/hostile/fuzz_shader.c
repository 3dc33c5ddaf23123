/* Fuzzes the front end with programs whose structure is damaged rather than their bytes: tokens are
 * dropped, doubled, swapped, replaced by words of Metal's, runs of them moved and repeated. Seeds:
 * .metal files.
 *
 * Each goes through the rewriter. With FUZZ_COMPILE each is then compiled and its kernels made
 * machine code, in a process of its own with limits: it may fail in any way but by a crash that is
 * not clang's. */
#ifdef FUZZ_COMPILE
#define MAX_TEXT (64u << 10)
#else
#define MAX_TEXT (256u << 10)
#endif
#include <stddef.h>
#include <stdint.h>
static size_t mutate_tokens(uint8_t *data, size_t size, size_t capacity);
#define FUZZ_MUTATE mutate_tokens
#include "fuzz.h"

#include "../shader/rewrite_check.h"
#include "shader/shader.h"

#include <ctype.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- tokens */

static const char *const words[] = {"kernel", "device", "constant", "threadgroup", "thread",
        "[[buffer(0)]]", "[[thread_position_in_grid]]", "[[threadgroup(1)]]",
        "[[function_constant(3)]]", "[[host_name(\"n\")]]", "[[stage_in]]", "[[visible]]",
        "template", "<typename T>", "<", ">", "struct S", "{", "}", "(", ")", "[", "]", ";", ",",
        "*", "&", "&&", "?", ":", "::", "=", "float4", "half3", "bfloat", "packed_float3",
        "float4x4", "simdgroup_float8x8", "atomic_int", "array<int, 3>", "vec<T, 4>",
        "metal::", "as_type<int>", "simd_sum", "simd_shuffle_xor",
        "threadgroup_barrier(mem_flags::mem_threadgroup)", "atomic_fetch_add_explicit",
        "using namespace metal;", "constexpr", "static", "inline", "operator", "namespace n",
        "enum class", "typedef", "auto", "decltype", "sizeof", "return", "for (;;)", "if", "else",
        "while", "switch", "case 1:", "#pragma unroll\n", "#define M(x) x##x\n", "M(a)",
        "#include <metal_stdlib>\n", "1.0", "1.h", "0x1p-3", "1e38f", "-1", "4294967296", "'a'",
        "\"s\"", "static_cast<half>", "explicit", "this", "true", "extern \"C\"", "union", "const",
        "volatile", "void", "/*", "*/", "//", "\\\n", "__attribute__",
        "is_function_constant_defined", "visible_function_table", "lambda = [&](int i)", "goto x;",
        "#if 0\n", "#endif\n", "# 7 \"f\" 1\n"};

static size_t token_end(const uint8_t *text, size_t at, size_t size)
{
    size_t end = at;
    while (end < size && (isalnum(text[end]) || text[end] == '_'))
        end++;
    return end > at ? end : at + 1;
}

/* The start of the token, about, that lies at a random place. */
static size_t pick(const uint8_t *text, size_t size)
{
    size_t at = fuzz_random((uint32_t)size);
    while (at > 0 && (isalnum(text[at - 1]) || text[at - 1] == '_'))
        at--;
    return at;
}

static size_t replace(uint8_t *text, size_t size, size_t capacity, size_t at, size_t end,
        const void *by, size_t bytes)
{
    if (size - (end - at) + bytes > capacity)
        return size;
    memmove(text + at + bytes, text + end, size - end);
    memcpy(text + at, by, bytes);
    return size - (end - at) + bytes;
}

static size_t mutate_once(uint8_t *text, size_t size, size_t capacity)
{
    static uint8_t run[4096];
    size_t at = pick(text, size), end = token_end(text, at, size);
    size_t other = pick(text, size), other_end = token_end(text, other, size);
    const char *word = words[fuzz_random(ABX_ARRAY_SIZE(words))];
    size_t length = fuzz_random(sizeof run);
    switch (fuzz_random(7)) {
    case 0: /* drop */
        return replace(text, size, capacity, at, end, "", 0);
    case 1: /* put a word in its place */
        return replace(text, size, capacity, at, end, word, strlen(word));
    case 2: /* insert a word */
        return replace(text, size, capacity, at, at, word, strlen(word));
    case 3: /* put another token in its place */
        if (other_end - other > sizeof run)
            return size;
        memcpy(run, text + other, other_end - other);
        return replace(text, size, capacity, at, end, run, other_end - other);
    case 4: /* repeat a token */
        for (uint32_t n = fuzz_random(40); n && end - at <= sizeof run; n--) {
            memcpy(run, text + at, end - at);
            size = replace(text, size, capacity, at, at, run, end - at);
        }
        return size;
    case 5: /* copy a run to another place */
        length = at + length < size ? length : size - at;
        memcpy(run, text + at, length);
        return replace(text, size, capacity, other, other, run, length);
    default: /* drop a run */
        length = fuzz_random(60);
        return replace(text, size, capacity, at, at + length < size ? at + length : size, "", 0);
    }
}

static size_t mutate_tokens(uint8_t *text, size_t size, size_t capacity)
{
    capacity = capacity < MAX_TEXT ? capacity : MAX_TEXT;
    for (uint32_t n = 1 + fuzz_random(8); n && size > 2 && size < capacity; n--)
        size = mutate_once(text, size, capacity);
    return size;
}

/* ---- compiling */

#ifdef FUZZ_COMPILE
static void specialize_all(
        const struct abx_shader_tools *tools, const struct abx_shader_result *library)
{
    const struct abx_shader_library *h = library->blob;
    const struct abx_reflection *r =
            (const void *)((const char *)library->blob + h->reflection_offset);
    for (uint32_t i = 0; i < r->function_count && i < 4; i++) {
        struct abx_shader_result object;
        abx_shader_specialize(
                tools, ABX_TARGET_HOST, library->blob, library->blob_bytes, i, NULL, 0, &object);
        free(object.blob);
        free(object.message);
    }
}

_Noreturn static void compile_and_exit(const uint8_t *data, size_t size)
{
    struct abx_shader_tools tools;
    struct abx_shader_options options = {.math_mode = size % 3};
    struct abx_shader_result result = {0};
    setrlimit(RLIMIT_CPU, &(struct rlimit){20, 21});
    if (abx_shader_locate(&tools, &result.message) < 0)
        _exit(2);
    int rc = abx_shader_compile(&tools, (const char *)data, size, &options, NULL, &result);
    if (rc == 0)
        specialize_all(&tools, &result);
    _exit(rc == 0                                                                       ? 0
            : rc == -EINVAL && !strncmp(result.message, "Compilation failed: \n\n", 22) ? 0
            : rc == -EIO || rc == -ETIMEDOUT                                            ? 3
                                                                                        : 4);
}

static void check_compile(const uint8_t *data, size_t size)
{
    static unsigned clang_crashes;
    int status;
    pid_t pid = fork();
    assert(pid >= 0);
    if (pid == 0)
        compile_and_exit(data, size);
    assert(waitpid(pid, &status, 0) == pid);
    if (WIFSIGNALED(status) && (WTERMSIG(status) == SIGXCPU || WTERMSIG(status) == SIGKILL))
        return;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 3) {
        printf("clang crashed or was stopped: %u\n", ++clang_crashes);
        return;
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status)) {
        abx_write_file("fuzz_shader.metal", data, size);
        printf("status %#x: see fuzz_shader.metal\n", (unsigned)status);
        abort();
    }
}
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_rewrite(data, size);
#ifdef FUZZ_COMPILE
    check_compile(data, size);
#endif
    fuzz_accepted++;
    return 0;
}
