/* shader: PTX to machine code by NVIDIA's assembler, which is a library (nvJitLink) and needs
 * neither a GPU nor a driver. Compiler process, which opens it, and its children, where it runs: it
 * does not protect itself against what a guest made.
 *
 * Types and numbers are those of nvJitLink.h; names are the versioned ones, which keep their
 * meaning. It assembles as for linking, so that calls of functions follow the ABI. */
#include "shader/shader.h"
#include "shader/abi/nvptx.h"

#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct link_handle *link_handle;
enum { INPUT_PTX = 2 };

/* clang-format off */
#define LINK_FUNCTIONS(X) \
    X(create, Create, (link_handle *, uint32_t, const char *const *)) \
    X(destroy, Destroy, (link_handle *)) \
    X(add, AddData, (link_handle, int, const void *, size_t, const char *)) \
    X(complete, Complete, (link_handle)) \
    X(cubin_size, GetLinkedCubinSize, (link_handle, size_t *)) \
    X(cubin, GetLinkedCubin, (link_handle, void *))
/* clang-format on */

static struct {
#define LINK_MEMBER(name, symbol, parameters) int(*name) parameters;
    LINK_FUNCTIONS(LINK_MEMBER)
#undef LINK_MEMBER
} jit;

/* version: "_13_0", behind each name. */
static bool find_all(void *library, const char *version)
{
    static const char *const symbols[] = {
#define SYMBOL(name, symbol, parameters) #symbol,
            LINK_FUNCTIONS(SYMBOL)
#undef SYMBOL
    };
    void **entries = (void **)&jit;
    char name[64];
    bool found = true;
    for (size_t i = 0; i < ABX_ARRAY_SIZE(symbols) && found; i++) {
        snprintf(name, sizeof name, "__nvJitLink%s%s", symbols[i], version);
        found = (entries[i] = dlsym(library, name)) != NULL;
    }
    return found;
}

/* Two of one version by name may differ: so what is on the disk counts. */
static bool describe(void *library, char *ret, size_t capacity)
{
    unsigned major = 0, minor = 0;
    int (*version)(unsigned *, unsigned *) = NULL;
    struct link_map *map;
    struct stat st;
    *(void **)&version = dlsym(library, "nvJitLinkVersion");
    if (version)
        (void)version(&major, &minor);
    if (dlinfo(library, RTLD_DI_LINKMAP, &map) < 0 || stat(map->l_name, &st) < 0)
        return false;
    const char *name = strrchr(map->l_name, '/');
    snprintf(ret, capacity, "%.64s %u.%u %lld %lld.%09ld", name ? name + 1 : map->l_name, major,
            minor, (long long)st.st_size, (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
    return true;
}

const char *abx_shader_assembler(void)
{
    static const char *const versions[] = {"_13_0", "_12_0"};
    static char text[160];
    static bool looked;
    if (looked)
        return text;
    looked = true;
    void *library = abx_open_cuda_library(abx_assembler_libraries);
    bool found = false;
    for (size_t i = 0; i < ABX_ARRAY_SIZE(versions) && library && !found; i++)
        found = find_all(library, versions[i]);
    if (!found || !describe(library, text, sizeof text))
        text[0] = 0;
    return text;
}

static int run(link_handle link, const char *ptx, size_t bytes, void **ret, size_t *ret_bytes)
{
    size_t length = 0;
    if (jit.add(link, INPUT_PTX, ptx, bytes, "kernel") || jit.complete(link) ||
            jit.cubin_size(link, &length) || !length || length > ABX_SHADER_MAX_OBJECT_BYTES)
        return -EINVAL;
    void *cubin = malloc(length);
    if (!cubin)
        return -ENOMEM;
    if (jit.cubin(link, cubin)) {
        free(cubin);
        return -EINVAL;
    }
    *ret = cubin;
    *ret_bytes = length;
    return 0;
}

/* The text's own lines are changed to what the processor has. */
static int assemble(
        uint32_t processor, char *ptx, size_t bytes, bool *ret_waits, void **ret, size_t *ret_bytes)
{
    char architecture[24];
    const char *const options[] = {architecture};
    link_handle link;
    *ret_waits = processor >= ABX_PTX_EARLY_PROCESSOR && abx_ptx_let_wait(ptx);
    snprintf(architecture, sizeof architecture, "-arch=sm_%u", processor);
    if (jit.create(&link, ABX_ARRAY_SIZE(options), options))
        return -EINVAL;
    int r = run(link, ptx, bytes, ret, ret_bytes);
    (void)jit.destroy(&link);
    return r;
}

/* What was there, up to the PTX's end, and the cubin. */
static int pack(const struct abx_code *head, const struct abx_ptx *info, const void *cubin,
        void **ret, size_t *ret_bytes)
{
    size_t before = head->body_offset + info->cubin_offset;
    size_t bytes = before + info->cubin_bytes;
    char *blob = bytes <= ABX_SHADER_MAX_OBJECT_BYTES ? calloc(1, bytes) : NULL;
    if (!blob)
        return -ENOMEM;
    memcpy(blob, head, head->body_offset + info->ptx_offset + info->ptx_bytes);
    ((struct abx_code *)blob)->body_bytes = bytes - head->body_offset;
    memcpy(blob + head->body_offset, info, sizeof *info);
    memcpy(blob + before, cubin, info->cubin_bytes);
    if (abx_ptx_check(blob, bytes) < 0) {
        free(blob);
        return -EBADMSG;
    }
    *ret = blob;
    *ret_bytes = bytes;
    return 0;
}

int abx_shader_assemble(
        uint32_t processor, const void *blob, size_t bytes, void **ret_blob, size_t *ret_bytes)
{
    const struct abx_code *head = blob;
    if (!*abx_shader_assembler())
        return -ENOSYS;
    if (!processor || abx_ptx_check(blob, bytes) < 0)
        return -EINVAL;
    struct abx_ptx info;
    void *cubin = NULL;
    size_t cubin_bytes;
    bool waits;
    memcpy(&info, abx_code_body(head), sizeof info);
    char *ptx = malloc(info.ptx_bytes);
    if (!ptx)
        return -ENOMEM;
    memcpy(ptx, (const char *)abx_code_body(head) + info.ptx_offset, info.ptx_bytes);
    int r = assemble(processor, ptx, info.ptx_bytes, &waits, &cubin, &cubin_bytes);
    free(ptx);
    if (r < 0)
        return r;
    info.processor = processor;
    info.cubin_waits = waits;
    info.cubin_offset = abx_align_up(info.ptx_offset + info.ptx_bytes, 8);
    info.cubin_bytes = cubin_bytes;
    r = pack(head, &info, cubin, ret_blob, ret_bytes);
    free(cubin);
    return r;
}
