/* metal: MTLBinaryArchive: which functions have been compiled. Runs in the guest's process.
 *
 * Code stays on the host, in its cache, under hashes that the host makes itself: a file that a
 * guest can write must never bring machine code. An archive therefore holds identities only: the
 * host's key of the library (which changes with its compiler), the function, its constants. Adding
 * a pipeline compiles it; finding one in an archive means that the host has it, or had.
 *
 * The file (metal_file.h): struct head, `count` identities in ascending order. */
#include <stdlib.h>
#include <string.h>

#include "metal/metal_file.h"
#include "metal/metal_internal.h"

#define DOMAIN "MTLBinaryArchiveDomain"
#define MAX_ENTRIES 65536u /* as many as a library may have functions; 2 MB */
#define MAGIC "ABXARCH1"

struct head {
    char magic[8];
    uint64_t count;
};

static struct abx_metal_archive *archive_of(id self)
{
    return (struct abx_metal_archive *)self;
}

/* ---- identities */

static int by_index(const void *a, const void *b)
{
    const struct abx_metal_constant *x = a, *y = b;
    return x->index < y->index ? -1 : x->index > y->index;
}

static void add_function(struct abx_sha256 *h, const struct abx_metal_function *function)
{
    uint32_t count = function->constant_count;
    struct abx_metal_constant *constants = count ? malloc(count * sizeof *constants) : NULL;
    abx_sha256_add(h, function->library->key, sizeof function->library->key);
    abx_sha256_add(h, &function->index, sizeof function->index);
    abx_sha256_add(h, &count, sizeof count);
    if (constants) {
        memcpy(constants, function->constants, count * sizeof *constants);
        qsort(constants, count, sizeof *constants, by_index);
        abx_sha256_add(h, constants, count * sizeof *constants);
    }
    free(constants);
}

static void identify(const struct abx_metal_function *function, const struct abx_metal_links *links,
        uint8_t ret[32])
{
    struct abx_sha256 h;
    abx_sha256_init(&h);
    add_function(&h, function);
    for (uint32_t i = 0; links && i < links->count; i++) {
        const struct abx_metal_link *link = &links->list[i];
        abx_sha256_add(&h, &link->kind, sizeof link->kind);
        if (link->kind == ABX_LINK_LIBRARY)
            abx_sha256_add(&h, ((struct abx_metal_library *)link->object)->key, 32);
        else
            add_function(&h, link->object);
    }
    abx_sha256_finish(&h, ret);
}

/* Where the identity is, or belongs. */
static bool find(const struct abx_metal_archive *archive, const uint8_t key[32], uint32_t *ret_at)
{
    uint32_t low = 0, high = archive->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = memcmp(archive->entries[middle], key, 32);
        if (order == 0) {
            *ret_at = middle;
            return true;
        }
        *(order < 0 ? &low : &high) = order < 0 ? middle + 1 : middle;
    }
    *ret_at = low;
    return false;
}

static bool add(struct abx_metal_archive *archive, const uint8_t key[32], id *error)
{
    uint32_t at;
    bool ok = true;
    pthread_mutex_lock(&archive->lock);
    if (!find(archive, key, &at)) {
        ok = abx_grow((void **)&archive->entries, &archive->capacity, archive->count,
                sizeof *archive->entries, MAX_ENTRIES);
        if (ok) {
            memmove(archive->entries + at + 1, archive->entries + at, (archive->count - at) * 32);
            memcpy(archive->entries[at], key, 32);
            archive->count++;
        }
    }
    pthread_mutex_unlock(&archive->lock);
    if (!ok)
        abx_ns_error_set(error, DOMAIN, MTLBinaryArchiveErrorInternalError,
                "an archive holds at most %u functions", MAX_ENTRIES);
    return ok;
}

bool abx_metal_archives_have(
        id archives, const struct abx_metal_function *function, const struct abx_metal_links *links)
{
    uint8_t key[32];
    bool found = false;
    identify(function, links, key);
    for (NSUInteger i = 0; i < abx_ns_array_count(archives) && !found; i++) {
        struct abx_metal_archive *archive = (void *)abx_ns_array_at(archives, i);
        uint32_t at;
        if (!abx_metal_is(archive, ABX_METAL_ARCHIVE))
            continue;
        pthread_mutex_lock(&archive->lock);
        found = find(archive, key, &at);
        pthread_mutex_unlock(&archive->lock);
    }
    return found;
}

/* ---- the file */

/* NULL, or what is wrong with it. */
static const char *malformed(const uint8_t *data, size_t bytes, struct head *ret)
{
    if (bytes < sizeof *ret)
        return "it is too short";
    memcpy(ret, data, sizeof *ret);
    if (memcmp(ret->magic, MAGIC, sizeof ret->magic) != 0)
        return "it is not a binary archive of ArcBox's";
    if (ret->count > MAX_ENTRIES || bytes != sizeof *ret + ret->count * 32)
        return "it was cut off";
    for (uint64_t i = 1; i < ret->count; i++)
        if (memcmp(data + sizeof *ret + 32 * (i - 1), data + sizeof *ret + 32 * i, 32) >= 0)
            return "it is damaged";
    return NULL;
}

static bool load(struct abx_metal_archive *archive, id url, id *error)
{
    const char *path = abx_ns_url_path(url), *wrong = "it is damaged";
    void *data = NULL;
    size_t bytes;
    struct head head = {0};
    int r = abx_metal_file_read(path, sizeof head + MAX_ENTRIES * 32, &data, &bytes);
    if (r < 0 && r != -EBADMSG) {
        abx_ns_error_set(error, DOMAIN, MTLBinaryArchiveErrorInvalidFile,
                "the binary archive %s cannot be read: %s", path ? path : "(not a file's URL)",
                strerror(-r));
        return false;
    }
    if (r == 0)
        wrong = malformed(data, bytes, &head);
    if (!wrong && head.count && !(archive->entries = malloc(head.count * 32)))
        wrong = "there is no memory for it";
    if (wrong)
        abx_ns_error_set(error, DOMAIN, MTLBinaryArchiveErrorInvalidFile,
                "the binary archive %s is invalid: %s", path, wrong);
    else if (head.count)
        memcpy(archive->entries, (uint8_t *)data + sizeof head, head.count * 32);
    archive->count = archive->capacity = wrong ? 0 : (uint32_t)head.count;
    free(data);
    return !wrong;
}

abx_objc_bool MTLBinaryArchive_serializeToURL_error_(id self, SEL cmd, id url, id *error)
{
    struct abx_metal_archive *archive = archive_of(self);
    const char *path = abx_ns_url_path(url);
    struct abx_string file = {0};
    struct head head = {.magic = MAGIC};
    pthread_mutex_lock(&archive->lock);
    head.count = archive->count;
    abx_string_add(&file, &head, sizeof head);
    abx_string_add(&file, archive->entries, archive->count * 32);
    pthread_mutex_unlock(&archive->lock);
    int r = abx_metal_file_write(path, &file);
    abx_string_finish(&file);
    if (r < 0)
        abx_ns_error_set(error, DOMAIN, MTLBinaryArchiveErrorInternalError,
                "the binary archive %s cannot be written: %s", path ? path : "(not a file's URL)",
                strerror(-r));
    return r == 0;
}

/* ---- the class */

id MTLDevice_newBinaryArchiveWithDescriptor_error_(id self, SEL cmd, id object, id *error)
{
    const struct MTLBinaryArchiveDescriptor *descriptor = (void *)object;
    struct abx_metal_archive *archive = abx_metal_new(ABX_METAL_ARCHIVE, self);
    if (!archive)
        return NULL;
    pthread_mutex_init(&archive->lock, NULL);
    if (descriptor && descriptor->url && !load(archive, descriptor->url, error)) {
        objc_release((id)archive);
        return NULL;
    }
    return (id)archive;
}

void MTLBinaryArchive_dealloc(id self, SEL cmd)
{
    struct abx_metal_archive *archive = archive_of(self);
    pthread_mutex_destroy(&archive->lock);
    free(archive->entries);
    abx_metal_dealloc(self, ABX_METAL_ARCHIVE);
}

/* Compiled now, so that the host's cache has it. */
static bool add_pipeline(id self, struct abx_metal_function *kernel, id descriptor, id *error)
{
    id why = NULL;
    uint8_t key[32];
    id pipeline = abx_metal_pipeline_new(archive_of(self)->base.device, kernel, descriptor,
            MTLPipelineOptionNone, true, NULL, &why);
    if (!pipeline) {
        id text = ABX_MSG(id, (id, SEL), why, "localizedDescription");
        abx_ns_error_set(error, DOMAIN, MTLBinaryArchiveErrorCompilationFailure, "%s",
                text ? abx_ns_string_utf8(text) : "out of memory");
        return false;
    }
    identify(kernel, &((struct abx_metal_pipeline *)pipeline)->links, key);
    objc_release(pipeline);
    return add(archive_of(self), key, error);
}

abx_objc_bool MTLBinaryArchive_addComputePipelineFunctionsWithDescriptor_error_(
        id self, SEL cmd, id object, id *error)
{
    struct MTLComputePipelineDescriptor *descriptor = (struct MTLComputePipelineDescriptor *)object;
    return add_pipeline(self,
            descriptor ? (struct abx_metal_function *)descriptor->computeFunction : NULL, object,
            error);
}

abx_objc_bool MTLBinaryArchive_addFunctionWithDescriptor_library_error_(
        id self, SEL cmd, id descriptor, id library, id *error)
{
    if (!abx_metal_is(library, ABX_METAL_LIBRARY)) {
        abx_ns_error_set(error, DOMAIN, MTLBinaryArchiveErrorUnexpectedElement,
                "the library is not a Metal library");
        return 0;
    }
    uint8_t key[32];
    id made = MTLLibrary_newFunctionWithDescriptor_error_(library, NULL, descriptor, error);
    struct abx_metal_function *function = (struct abx_metal_function *)made;
    bool ok = false;
    if (made && MTLFunction_functionType(made, NULL) == MTLFunctionTypeKernel) {
        ok = add_pipeline(self, function, NULL, error);
    } else if (made) {
        /* A visible function becomes code with the kernel that it is linked to. */
        identify(function, NULL, key);
        ok = add(archive_of(self), key, error);
    }
    objc_release(made);
    return ok;
}
