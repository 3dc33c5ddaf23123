/* shader: Metal Shading Language to machine code, in two steps that run in the compiler process
 * (never in the worker): source -> library blob (front end, clang), library blob + function +
 * constants -> object blob (code generation, LLVM's C API). Both blobs are cached on disk by the
 * hash of what produced them. The source, and so every blob, is the guest's: hostile. */
#ifndef ABX_SHADER_SHADER_H
#define ABX_SHADER_SHADER_H

#include "base/base.h"
#include "shader/abi/code.h"
#include "wire/compile.h"
#include "wire/limits.h"
#include "wire/reflection.h"

/* Caps on what a guest can make the compiler hold. ggml's library is 0.6 MB of source, a blob of
 * 3 MB. */
#define ABX_SHADER_MAX_SOURCE_BYTES (16u << 20)
#define ABX_SHADER_MAX_MESSAGE_BYTES (256u << 10)
#define ABX_SHADER_MAX_LIBRARY_BYTES (256u << 20)
#define ABX_SHADER_MAX_OBJECT_BYTES (64u << 20)
#define ABX_SHADER_MAX_CONSTANTS 1024u

/* What the user is told when the compiler, rather than the program, is at its end. */
#define ABX_SHADER_STOPPED                                                                         \
    "Compilation failed: \n\nfatal error: the compiler was stopped: it took too long or too much " \
    "memory\n"
#define ABX_SHADER_CRASHED                                                                         \
    "Compilation failed: \n\nfatal error: the compiler encountered an internal error\n"

enum abx_library_form {
    /* The code is a module with every function's entry. */
    ABX_LIBRARY_BITCODE = 1,
    /* The code is a precompiled header of clang's; each function's entry is a line of C++ to be
     * compiled on top of it. */
    ABX_LIBRARY_HEADER = 2,
    /* The code is modules of Apple's compiler's, one a function, behind an index (air/air.h). */
    ABX_LIBRARY_AIR = 3,
};

/* library blob: this header, the reflection, the code, and for ABX_LIBRARY_HEADER the entries: a
 * NUL-terminated string a function, in the reflection's order. */
#define ABX_LIBRARY_MAGIC 0x4258424cu
#define ABX_LIBRARY_VERSION 3u
struct abx_shader_library {
    uint32_t magic, version;
    uint32_t math_mode;
    uint32_t form;                                /* enum abx_library_form */
    uint64_t reflection_offset, reflection_bytes; /* 8-byte aligned */
    uint64_t code_offset, code_bytes;
    uint64_t entries_offset, entries_bytes;
};
/* 0, or -EBADMSG when `length` bytes are not a well-formed blob (its reflection checked as well,
 * in time that grows with it). */
int abx_shader_library_check(const void *blob, size_t length);
/* Only that its parts lie in it. */
int abx_shader_library_envelope_check(const void *blob, size_t length);

struct abx_shader_result {
    void *blob; /* malloc()ed; NULL on failure */
    size_t blob_bytes;
    char *message; /* malloc()ed; diagnostics in Apple's form (warnings too), or NULL */
};

/* Names a processor, "x86-64" (AVX2 alone) or "aarch64", whose code is made although this computer
 * could run better: to measure and test it. */
#define ABX_TARGET_ENV "ARCBOX_TARGET"

/* Where the front end finds its tools; see abx_shader_locate(). */
struct abx_shader_tools {
    char clang[256]; /* path of clang 19 */
    char shim[256];  /* folder of the shim headers */
    char pch[256];   /* the shim, precompiled */
    uint32_t cores;  /* clangs that may run beside each other, 0: one; found: the computer's */
};
/* Fills *ret_tools from the environment (ARCBOX_SHADER_DIR, ARCBOX_CLANG), the installed folders,
 * or the build folder the running binary lies in. -ENOENT: *ret_message (malloc()ed) says what is
 * missing and how to get it. */
int abx_shader_locate(struct abx_shader_tools *ret_tools, char **ret_message);

/* Loads clang as a library (arcbox-clang.so): from then on this process and its children run clang
 * as forks of themselves, 18 ms sooner each than the program. Before any thread is started.
 * -ENOENT: *ret_message says why; all goes on with the program. */
int abx_shader_load_clang(const char *path, const char **ret_message);

/* Front end. `source` need not be NUL-terminated; `macros` has options->macro_bytes bytes.
 * Returns 0 with result->blob set; -EINVAL when the user's source has errors (result->message says
 * which); another -errno when the compiler itself failed (message says how). The caller frees
 * blob and message. Not thread-safe: one compile a process. */
int abx_shader_compile(const struct abx_shader_tools *tools, const char *source,
        size_t source_bytes, const struct abx_shader_options *options, const char *macros,
        struct abx_shader_result *result);

/* In the front end's place, for a .metallib file that Apple's compiler made. Errors as above. */
int abx_air_compile(const void *metallib, size_t bytes, const struct abx_shader_options *options,
        struct abx_shader_result *result);

/* One function-constant value. */
struct abx_shader_constant {
    uint32_t index;    /* [[function_constant(index)]] */
    uint32_t type;     /* MTLDataType */
    uint8_t value[16]; /* little endian; size follows from the type */
};

/* A function, or a dynamic library, that a pipeline is linked with beside its kernel's library. */
#define ABX_SHADER_MAX_LINKS ABX_MAX_LINKS
struct abx_shader_link {
    const void *library; /* a checked blob */
    size_t library_bytes;
    uint32_t kind;     /* enum abx_link_kind */
    uint32_t function; /* of the library's reflection */
    const struct abx_shader_constant *constants;
    uint32_t constant_count;
};

/* Code generation: one kernel of a checked library blob, specialised, for this machine's CPU, as an
 * object blob (abi/kernel.h). `tools` may be NULL but for an ABX_LIBRARY_HEADER library. Errors as
 * above. */
int abx_shader_specialize(const struct abx_shader_tools *tools, uint32_t target,
        const void *library, size_t library_bytes, uint32_t function,
        const struct abx_shader_constant *constants, uint32_t constant_count,
        struct abx_shader_result *result);

/* The same with links: 1 + a link's place among them is what stands for its function in tables. */
int abx_shader_link(const struct abx_shader_tools *tools, uint32_t target, const void *library,
        size_t library_bytes, uint32_t function, const struct abx_shader_constant *constants,
        uint32_t constant_count, const struct abx_shader_link *links, uint32_t link_count,
        struct abx_shader_result *result);

/* What makes machine code for NVIDIA's processors of PTX: nvJitLink, looked for and opened by the
 * first call, for this process and its children, before any thread is started and rights are given
 * up. A text that changes with it, for cache keys; "": it is not installed. */
const char *abx_shader_assembler(void);
/* A copy of an object blob for ABX_TARGET_NVPTX that has machine code for one processor too
 * (abi/code.h; not 0), in the caller's *ret_blob. -ENOSYS: no assembler; another -errno: it could
 * not make any. The PTX alone does as well, where the driver has its own assembler. Takes 10 ms to
 * seconds of processor time; the assembler may crash. */
int abx_shader_assemble(
        uint32_t processor, const void *blob, size_t bytes, void **ret_blob, size_t *ret_bytes);

/* Changes whenever the same source could give another blob: shim, rewriter, clang, code generator,
 * this machine's CPU features. Part of every cache key. */
const char *abx_shader_version(void);

#endif
