/* metal: MTLLibrary: from source, from a file, from what MTLCompiler or Apple's compiler made. Runs
 * in the guest's process. The host compiles; afterwards every question is answered here from the
 * reflection. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "metal/metal_include.h"
#include "metal/metal_internal.h"
#include "metal/metal_precompiled.h"
#include "metal/metal_request.h"
#include "metal/metal_source_library.h"

#define LIBRARY_DOMAIN "MTLLibraryErrorDomain"

static struct abx_metal_library *library_of(id self)
{
    return (struct abx_metal_library *)self;
}

/* ---- making */

/* `refused`: the error's code when what was given is at fault. */
static void compile_error(struct abx_client *client, const struct abx_client_compile *r,
        MTLLibraryError refused, id *error)
{
    if (r->error == -EINVAL && r->message)
        abx_ns_error_set(error, LIBRARY_DOMAIN, refused, "%s", r->message);
    else if (r->error == -EFBIG)
        abx_ns_error_set(error, LIBRARY_DOMAIN, MTLLibraryErrorUnsupported,
                "the library is larger than %u MB", ABX_MAX_METALLIB_BYTES >> 20);
    else if (r->error == -ENODEV)
        abx_ns_error_set(
                error, LIBRARY_DOMAIN, MTLLibraryErrorInternal, "%s", abx_client_lost_text(client));
    else
        abx_ns_error_set(error, LIBRARY_DOMAIN, MTLLibraryErrorInternal, "the compiler failed: %s",
                r->message ? r->message : strerror(-r->error));
}

static id library_from_request(
        id device, const void *request, size_t bytes, MTLLibraryError refused, id *error)
{
    struct abx_metal_library *library = abx_metal_new(ABX_METAL_LIBRARY, device);
    if (!library)
        return NULL;
    struct abx_client *client = library->base.client;
    struct abx_client_compile r = {.error = -ENOMEM};
    library->handle = abx_client_handle_new(client);
    if (library->handle)
        abx_client_compile(client, library->handle, request, bytes, &r);
    if (r.error < 0) {
        compile_error(client, &r, refused, error);
        abx_client_handle_free(client, library->handle);
        library->handle = 0; /* the host never had it */
        objc_release((id)library);
        library = NULL;
    } else {
        library->reflection = r.reflection;
        memcpy(library->key, r.key, sizeof library->key);
    }
    free(r.message);
    return (id)library;
}

id abx_metal_library_from_request(id device, const void *request, size_t bytes, id *error)
{
    return library_from_request(device, request, bytes, MTLLibraryErrorCompileFailure, error);
}

/* Source, or a whole .metallib file. */
static id library_from_text(
        id device, const char *text, size_t bytes, id options, MTLLibraryError refused, id *error)
{
    struct abx_string request = {0};
    abx_metal_request_build(&request, text, bytes, options);
    id library = NULL;
    if (request.failed)
        abx_ns_error_set(error, LIBRARY_DOMAIN, MTLLibraryErrorInternal, "out of memory");
    else
        library = library_from_request(device, request.data, request.length, refused, error);
    abx_string_finish(&request);
    return library;
}

bool abx_metal_library_make_dynamic(struct abx_metal_library *library, const void *request,
        size_t bytes, id install_name, id libraries)
{
    library->request = malloc(bytes);
    if (!library->request)
        return false;
    memcpy(library->request, request, bytes);
    library->request_bytes = bytes;
    library->install_name = ABX_MSG(id, (id, SEL), install_name, "copy");
    library->libraries = objc_retain(libraries);
    return true;
}

/* What the options say of linking. */
static bool apply_options(struct abx_metal_library *library, const struct abx_string *request,
        const struct MTLCompileOptions *options)
{
    library->logging = options->enableLogging;
    if (options->libraryType == MTLLibraryTypeDynamic)
        return abx_metal_library_make_dynamic(
                library, request->data, request->length, options->installName, options->libraries);
    library->libraries = objc_retain(options->libraries);
    return true;
}

/* The text, and whatever files it includes, as the compiler asks for them. Sets *error unless the
 * request could not be made, which then has failed. */
static id from_text_and_files(id device, const char *source, size_t bytes, id options,
        struct abx_string *request, id *error)
{
    struct abx_string text = {0};
    for (;;) {
        id wrong = NULL, library = NULL;
        struct abx_string more;
        abx_string_finish(request);
        abx_metal_request_build(request, source, bytes, options);
        if (!request->failed)
            library =
                    abx_metal_library_from_request(device, request->data, request->length, &wrong);
        const char *said =
                wrong ? abx_ns_string_utf8(ABX_MSG(id, (id, SEL), wrong, "localizedDescription"))
                      : NULL;
        if (!said || !abx_metal_include(source, bytes, said, &more)) {
            if (wrong && error)
                *error = wrong;
            abx_string_finish(&text);
            return library;
        }
        abx_string_finish(&text);
        text = more;
        source = text.data;
        bytes = text.length;
    }
}

id abx_metal_library_from_source(id device, const char *source, size_t bytes, id options, id *error)
{
    const struct MTLCompileOptions *o = (void *)options;
    struct abx_string request = {0};
    if (o && o->libraryType == MTLLibraryTypeDynamic &&
            (!o->installName || !*abx_ns_string_utf8(o->installName))) {
        abx_ns_error_set(error, LIBRARY_DOMAIN, MTLLibraryErrorCompileFailure,
                "a dynamic library needs an installName");
        return NULL;
    }
    id library = from_text_and_files(device, source, bytes, options, &request, error);
    if (request.failed ||
            (library && o && !apply_options((struct abx_metal_library *)library, &request, o))) {
        abx_ns_error_set(error, LIBRARY_DOMAIN, MTLLibraryErrorInternal, "out of memory");
        objc_release(library);
        library = NULL;
    }
    abx_string_finish(&request);
    return library;
}

static id precompiled(id device, const void *request, size_t bytes)
{
    struct abx_client *client = ((struct abx_metal_object *)device)->client;
    abx_handle handle;
    struct abx_client_compile compiled;
    if (!abx_precompiled_take(client, request, bytes, &handle, &compiled))
        return NULL;
    struct abx_metal_library *library = abx_metal_new(ABX_METAL_LIBRARY, device);
    if (library) {
        library->handle = handle;
        library->reflection = compiled.reflection;
        memcpy(library->key, compiled.key, sizeof library->key);
    }
    return (id)library;
}

static id from_request(id device, const void *request, size_t bytes, id *error)
{
    id library = precompiled(device, request, bytes);
    return library ? library : abx_metal_library_from_request(device, request, bytes, error);
}

/* Libraries that carry their source, one after the other: the first one has the others. */
static id from_requests(id device, const char *data, size_t bytes, int *ret_error, id *error)
{
    struct abx_metal_library *first = NULL, **to = &first;
    for (size_t used; bytes; data += used, bytes -= used) {
        const void *request;
        size_t request_bytes;
        *ret_error = abx_source_library_unwrap(data, bytes, &request, &request_bytes, &used);
        if (*ret_error == 0)
            *to = (struct abx_metal_library *)from_request(device, request, request_bytes, error);
        if (!*to) {
            objc_release((id)first);
            return NULL;
        }
        to = &(*to)->next;
    }
    return (id)first;
}

id abx_metal_library_from_data(id device, const void *data, size_t bytes, id *error)
{
    int r = -EBADMSG;
    id library = from_requests(device, data, bytes, &r, error);
    if (library || r == 0)
        return library;
    if (r == -ENOTSUP && abx_is_metallib(data, bytes)) /* the host looks into it */
        return library_from_text(device, data, bytes, NULL, MTLLibraryErrorUnsupported, error);
    abx_ns_error_set(error, LIBRARY_DOMAIN, MTLLibraryErrorUnsupported,
            "the data is not a Metal library, or it is damaged");
    return NULL;
}

id MTLDevice_newLibraryWithSource_options_error_(id self, SEL cmd, id source, id options, id *error)
{
    if (!source) {
        abx_ns_error_set(error, LIBRARY_DOMAIN, MTLLibraryErrorCompileFailure, "no source");
        return NULL;
    }
    return abx_metal_library_from_source(
            self, abx_ns_string_utf8(source), abx_ns_string_bytes_count(source), options, error);
}

struct async_compile {
    id device, source, options;
    void *handler;
};

static void compile_async(void *user)
{
    struct async_compile *a = user;
    id error = NULL;
    id library = MTLDevice_newLibraryWithSource_options_error_(
            a->device, NULL, a->source, a->options, &error);
    ABX_BLOCK_CALL(void, (void *, id, id), a->handler, library, library ? NULL : error);
    objc_release(library);
    objc_release(a->source);
    objc_release(a->options);
    objc_release(a->device);
    _Block_release(a->handler);
    free(a);
}

void MTLDevice_newLibraryWithSource_options_completionHandler_(
        id self, SEL cmd, id source, id options, id handler)
{
    struct async_compile *a = handler ? malloc(sizeof *a) : NULL;
    if (!a)
        return;
    *a = (struct async_compile){objc_retain(self), ABX_MSG(id, (id, SEL), source, "copy"),
            ABX_MSG(id, (id, SEL), options, "copy"), _Block_copy(handler)};
    abx_metal_detach(compile_async, a);
}

id MTLDevice_newLibraryWithData_error_(id self, SEL cmd, id data, id *error)
{
    return abx_metal_library_from_data(
            self, abx_ns_data_bytes(data), abx_ns_data_length(data), error);
}

/* ---- files */

static id library_from_file(id device, const char *path, id *error)
{
    void *data;
    size_t bytes;
    int r = path ? abx_read_file(path, ABX_MAX_METALLIB_BYTES, &data, &bytes) : -ENOENT;
    if (r < 0) {
        abx_ns_error_set(error, LIBRARY_DOMAIN, MTLLibraryErrorFileNotFound, "library %s: %s",
                path ? path : "(no path)", strerror(-r));
        return NULL;
    }
    size_t length = strlen(path);
    id library = length > 6 && !strcmp(path + length - 6, ".metal")
                         ? abx_metal_library_from_source(device, data, bytes, NULL, error)
                         : abx_metal_library_from_data(device, data, bytes, error);
    free(data);
    return library;
}

id MTLDevice_newLibraryWithFile_error_(id self, SEL cmd, id path, id *error)
{
    return library_from_file(self, abx_ns_string_utf8(path), error);
}

id MTLDevice_newLibraryWithURL_error_(id self, SEL cmd, id url, id *error)
{
    return library_from_file(self, abx_ns_url_path(url), error);
}

/* default.metallib, else default.metal, in the folder or its Resources. */
static id default_in(id device, const char *folder, id *error)
{
    static const char *const names[] = {"default.metallib", "default.metal",
            "Resources/default.metallib", "Resources/default.metal"};
    char path[PATH_MAX];
    for (size_t i = 0; i < ABX_ARRAY_SIZE(names); i++)
        if (snprintf(path, sizeof path, "%s/%s", folder, names[i]) < (int)sizeof path &&
                access(path, R_OK) == 0)
            return library_from_file(device, path, error);
    abx_ns_error_set(error, LIBRARY_DOMAIN, MTLLibraryErrorFileNotFound,
            "no default.metallib or default.metal in %s", folder);
    return NULL;
}

static id default_beside_program(id device, id *error)
{
    char folder[PATH_MAX];
    return default_in(device, abx_own_folder(folder) == 0 ? folder : "", error);
}

id MTLDevice_newDefaultLibrary(id self, SEL cmd)
{
    id error = NULL;
    id library = default_beside_program(self, &error);
    if (!library)
        abx_metal_say("newDefaultLibrary: %s",
                abx_ns_string_utf8(ABX_MSG(id, (id, SEL), error, "localizedDescription")));
    return library;
}

id MTLDevice_newDefaultLibraryWithBundle_error_(id self, SEL cmd, id bundle, id *error)
{
    id path = bundle ? ABX_MSG(id, (id, SEL), bundle, "resourcePath") : NULL;
    const char *folder = abx_ns_string_utf8(path);
    return folder ? default_in(self, folder, error) : default_beside_program(self, error);
}

/* ---- the class */

void MTLLibrary_dealloc(id self, SEL cmd)
{
    struct abx_metal_library *library = library_of(self);
    abx_client_destroy(library->base.client, library->handle);
    free(library->reflection);
    free(library->request);
    objc_release(library->install_name);
    objc_release(library->libraries);
    objc_release((id)library->next);
    abx_metal_dealloc(self, ABX_METAL_LIBRARY);
}

id MTLLibrary_functionNames(id self, SEL cmd)
{
    id names = abx_ns_mutable_array();
    for (const struct abx_metal_library *l = library_of(self); l; l = l->next) {
        const struct abx_reflection *r = l->reflection;
        const struct abx_reflection_function *f = abx_reflection_functions(r);
        for (uint32_t i = 0; i < r->function_count; i++)
            abx_ns_array_add(names, abx_ns_string(abx_reflection_string(r, f[i].name)));
    }
    return names;
}

MTLLibraryType MTLLibrary_type(id self, SEL cmd)
{
    return library_of(self)->request ? MTLLibraryTypeDynamic : MTLLibraryTypeExecutable;
}

id MTLLibrary_installName(id self, SEL cmd)
{
    return library_of(self)->install_name;
}
