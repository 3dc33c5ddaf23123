/* metal: MTLDynamicLibrary: a library whose functions others call by name. Runs in the guest's
 * process.
 *
 * The host links what a pipeline calls into the pipeline, so a dynamic library is a library that is
 * handed over with it. Its file carries the compile request, not code, and is compiled again (or
 * found in the host's cache) when it is loaded: struct head, the install name, the install names of
 * the libraries it needs (each with its NUL), the request. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "metal/metal_file.h"
#include "metal/metal_internal.h"

#define DOMAIN "MTLDynamicLibraryDomain"
#define MAGIC "ABXDYLB1"
#define MAX_FILE_BYTES (64u << 20)
#define MAX_DEPTH 8u /* of libraries that need libraries */

struct head {
    char magic[8];
    uint32_t name_bytes, needed_bytes; /* with NULs */
    uint64_t request_bytes;
};

static struct abx_metal_dynamic *dynamic_of(id self)
{
    return (struct abx_metal_dynamic *)self;
}

static id dynamic_new(struct abx_metal_library *library)
{
    struct abx_metal_dynamic *dynamic = abx_metal_new(ABX_METAL_DYNAMIC, library->base.device);
    if (dynamic)
        dynamic->library = (struct abx_metal_library *)objc_retain((id)library);
    return (id)dynamic;
}

id MTLDevice_newDynamicLibrary_error_(id self, SEL cmd, id object, id *error)
{
    struct abx_metal_library *library = (struct abx_metal_library *)object;
    if (abx_metal_is(library, ABX_METAL_LIBRARY) && library->request)
        return dynamic_new(library);
    abx_ns_error_set(error, DOMAIN, MTLDynamicLibraryErrorUnsupported,
            "the library was not compiled from source as MTLLibraryTypeDynamic");
    return NULL;
}

void MTLDynamicLibrary_dealloc(id self, SEL cmd)
{
    objc_release((id)dynamic_of(self)->library);
    abx_metal_dealloc(self, ABX_METAL_DYNAMIC);
}

id MTLDynamicLibrary_installName(id self, SEL cmd)
{
    return dynamic_of(self)->library->install_name;
}

/* ---- what a pipeline needs */

static bool add_all(struct abx_metal_links *links, id libraries, unsigned depth, id *error)
{
    for (NSUInteger i = 0; i < abx_ns_array_count(libraries); i++) {
        struct abx_metal_dynamic *dynamic =
                (struct abx_metal_dynamic *)abx_ns_array_at(libraries, i);
        if (!abx_metal_is(dynamic, ABX_METAL_DYNAMIC) || depth >= MAX_DEPTH) {
            abx_ns_error_set(error, DOMAIN, MTLDynamicLibraryErrorDependencyLoadFailure, "%s",
                    depth < MAX_DEPTH ? "an object among the libraries is no MTLDynamicLibrary"
                                      : "the libraries need each other too deeply");
            return false;
        }
        if (!abx_metal_links_add_library(links, dynamic->library, error) ||
                !add_all(links, dynamic->library->libraries, depth + 1, error))
            return false;
    }
    return true;
}

bool abx_metal_dynamic_link(struct abx_metal_links *links, id libraries, id *error)
{
    return add_all(links, libraries, 0, error);
}

/* ---- files */

abx_objc_bool MTLDynamicLibrary_serializeToURL_error_(id self, SEL cmd, id url, id *error)
{
    const struct abx_metal_library *library = dynamic_of(self)->library;
    const char *path = abx_ns_url_path(url), *name = abx_ns_string_utf8(library->install_name);
    struct abx_string needed = {0}, file = {0};
    for (NSUInteger i = 0; i < abx_ns_array_count(library->libraries); i++) {
        id other = MTLDynamicLibrary_installName(abx_ns_array_at(library->libraries, i), NULL);
        const char *text = abx_ns_string_utf8(other);
        abx_string_add(&needed, text, strlen(text) + 1);
    }
    struct head head = {.magic = MAGIC,
            .name_bytes = (uint32_t)strlen(name) + 1,
            .needed_bytes = (uint32_t)needed.length,
            .request_bytes = library->request_bytes};
    abx_string_add(&file, &head, sizeof head);
    abx_string_add(&file, name, head.name_bytes);
    abx_string_add(&file, needed.data ? needed.data : "", needed.length);
    abx_string_add(&file, library->request, library->request_bytes);
    int r = needed.failed ? -ENOMEM : abx_metal_file_write(path, &file);
    abx_string_finish(&file);
    abx_string_finish(&needed);
    if (r < 0)
        abx_ns_error_set(error, DOMAIN, MTLDynamicLibraryErrorInvalidFile,
                "the dynamic library %s cannot be written: %s", path ? path : "(not a file's URL)",
                strerror(-r));
    return r == 0;
}

/* An install name is a path: of the file, or relative to the program or to the file that needs it.
 */
static bool resolve(const char *name, const char *needed_by, char path[PATH_MAX])
{
    static const char program[] = "@executable_path/", loader[] = "@loader_path/";
    char folder[PATH_MAX];
    if (name[0] == '/')
        return snprintf(path, PATH_MAX, "%s", name) < PATH_MAX;
    if (!strncmp(name, program, strlen(program))) {
        if (abx_own_folder(folder) < 0)
            return false;
        name += strlen(program);
    } else if (!strncmp(name, loader, strlen(loader))) {
        const char *slash = strrchr(needed_by, '/');
        snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - needed_by) : 1,
                slash ? needed_by : ".");
        name += strlen(loader);
    } else {
        return false;
    }
    return snprintf(path, PATH_MAX, "%s/%s", folder, name) < PATH_MAX;
}

static id load(id device, const char *path, unsigned depth, id *error);

/* The libraries named in [at, end), as an array; nil and an error when one is not there. */
static id load_needed(
        id device, const char *at, const char *end, const char *by, unsigned depth, id *error)
{
    id libraries = abx_ns_mutable_array();
    char path[PATH_MAX];
    for (; at < end; at += strlen(at) + 1) {
        if (!resolve(at, by, path) || depth >= MAX_DEPTH) {
            abx_ns_error_set(error, DOMAIN, MTLDynamicLibraryErrorUnresolvedInstallName,
                    "%s needs the dynamic library \"%s\", which is not a path", by, at);
            return NULL;
        }
        id why = NULL, one = load(device, path, depth + 1, &why);
        if (!one) {
            id text = ABX_MSG(id, (id, SEL), why, "localizedDescription");
            abx_ns_error_set(error, DOMAIN, MTLDynamicLibraryErrorDependencyLoadFailure,
                    "%s needs \"%s\": %s", by, at, abx_ns_string_utf8(text));
            return NULL;
        }
        abx_ns_array_add(libraries, one);
        objc_release(one);
    }
    return libraries;
}

static const char *malformed(const char *data, size_t bytes, struct head *ret)
{
    if (bytes < sizeof *ret)
        return "it is too short";
    memcpy(ret, data, sizeof *ret);
    if (memcmp(ret->magic, MAGIC, sizeof ret->magic) != 0)
        return "it is not a dynamic library of ArcBox's";
    uint64_t names = (uint64_t)ret->name_bytes + ret->needed_bytes;
    if (!ret->name_bytes || !abx_range_ok(sizeof *ret, names, bytes) ||
            ret->request_bytes != bytes - sizeof *ret - names ||
            data[sizeof *ret + ret->name_bytes - 1] || data[sizeof *ret + names - 1])
        return "it is damaged";
    return NULL;
}

static id load_from(
        id device, const char *path, const char *data, size_t bytes, unsigned depth, id *error)
{
    struct head head;
    const char *wrong = malformed(data, bytes, &head);
    if (wrong) {
        abx_ns_error_set(error, DOMAIN, MTLDynamicLibraryErrorInvalidFile,
                "the dynamic library %s is invalid: %s", path, wrong);
        return NULL;
    }
    const char *name = data + sizeof head, *needed = name + head.name_bytes;
    id libraries = load_needed(device, needed, needed + head.needed_bytes, path, depth, error);
    id why = NULL;
    struct abx_metal_library *library =
            libraries ? (struct abx_metal_library *)abx_metal_library_from_request(
                                device, needed + head.needed_bytes, head.request_bytes, &why)
                      : NULL;
    if (!library) {
        if (libraries)
            abx_ns_error_set(error, DOMAIN, MTLDynamicLibraryErrorCompilationFailure, "%s: %s",
                    path, abx_ns_string_utf8(ABX_MSG(id, (id, SEL), why, "localizedDescription")));
        return NULL;
    }
    bool kept = abx_metal_library_make_dynamic(library, needed + head.needed_bytes,
            head.request_bytes, abx_ns_string(name), libraries);
    id dynamic = kept ? dynamic_new(library) : NULL;
    objc_release((id)library);
    return dynamic;
}

static id load(id device, const char *path, unsigned depth, id *error)
{
    void *data;
    size_t bytes;
    int r = abx_metal_file_read(path, MAX_FILE_BYTES, &data, &bytes);
    if (r < 0) {
        abx_ns_error_set(error, DOMAIN, MTLDynamicLibraryErrorInvalidFile,
                r == -EBADMSG ? "the dynamic library %s is invalid: it is damaged%s"
                              : "the dynamic library %s cannot be read: %s",
                path ? path : "(not a file's URL)", r == -EBADMSG ? "" : strerror(-r));
        return NULL;
    }
    id dynamic = load_from(device, path, data, bytes, depth, error);
    free(data);
    return dynamic;
}

id MTLDevice_newDynamicLibraryWithURL_error_(id self, SEL cmd, id url, id *error)
{
    return load(self, abx_ns_url_path(url), 0, error);
}
