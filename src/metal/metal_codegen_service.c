/* metal: the entry points of Apple's MTLCompiler library, for programs that compile shaders without
 * a device (tinygrad does). Runs in the guest's process. Apple does not document them; what is here
 * is what callers rely on.
 *
 * A request holds two 64-bit lengths, the source and the compiler's arguments. The answer holds,
 * after 8 bytes, its header's and its warnings' length, then both, then the library. The source is
 * compiled on the host, for its errors, and goes into the library as it is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metal/metal_precompiled.h"
#include "metal/metal_source_library.h"
#include "objc/objc_internal.h"
#include "wire/client.h"
#include "wire/compile.h"

#define REQUEST_COMPILE 13

struct request {
    struct abx_shader_options options;
    struct abx_string macros;
    char *error; /* of an argument; malloc()ed */
};

struct reply_head {
    uint64_t reserved;
    uint32_t header_bytes, warning_bytes;
};

ABX_EXPORT void *MTLCodeGenServiceCreate(const char *name);
ABX_EXPORT void MTLCodeGenServiceDestroy(void *service);
ABX_EXPORT void MTLCodeGenServiceBuildRequest(void *service, void *reserved, uint32_t type,
        const void *request, size_t bytes, const void *callback);

/* ---- the compiler's arguments */

static bool starts_with(const char *text, const char *prefix, const char **ret_rest)
{
    size_t n = strlen(prefix);
    if (strncmp(text, prefix, n) != 0)
        return false;
    *ret_rest = text + n;
    return true;
}

/* Accepted, and without a meaning here: where modules are cached, how diagnostics look, and so on.
 */
static bool is_ignored(const char *argument)
{
    static const char *const prefixes[] = {"--driver-mode=", "-fmodules", "-fno-caret-diagnostics",
            "-fcaret-diagnostics", "-fdiagnostics", "-fno-diagnostics", "-fcolor-diagnostics",
            "-fno-color-diagnostics", "-W", "-w", "-g", "-O", "-mmacosx-version-min=",
            "-mmacos-version-min=", "-mios-version-min=", "-frecord-sources", "-fno-record-sources",
            "-finline", "-fno-inline"};
    const char *rest;
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(prefixes); i++)
        if (starts_with(argument, prefixes[i], &rest))
            return true;
    return false;
}

/* "metal3.1", "macos-metal2.0", "ios-metal2.4": as MTLLanguageVersion. */
static bool parse_standard(const char *text, uint32_t *ret)
{
    const char *number = strstr(text, "metal");
    unsigned major, minor;
    char end;
    if (!number || sscanf(number, "metal%u.%u%c", &major, &minor, &end) != 2 || major > 99 ||
            minor > 99)
        return false;
    *ret = major << 16 | minor;
    return true;
}

static bool parse_math(const char *argument, struct abx_shader_options *options)
{
    static const struct {
        const char *argument;
        uint32_t mode;
    } modes[] = {{"-ffast-math", ABX_MATH_FAST}, {"-fno-fast-math", ABX_MATH_SAFE},
            {"-fmetal-math-mode=fast", ABX_MATH_FAST},
            {"-fmetal-math-mode=relaxed", ABX_MATH_RELAXED},
            {"-fmetal-math-mode=safe", ABX_MATH_SAFE}};
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(modes); i++)
        if (strcmp(argument, modes[i].argument) == 0) {
            options->math_mode = modes[i].mode;
            return true;
        }
    return false;
}

static void add_macro(struct request *r, const char *definition)
{
    abx_string_add(&r->macros, definition, strlen(definition));
    if (!strchr(definition, '='))
        abx_string_add(&r->macros, "=1", 2);
    abx_string_add(&r->macros, "", 1);
}

static void refuse(struct request *r, const char *argument)
{
    if (!r->error && asprintf(&r->error, "error: unknown argument: '%s'", argument) < 0)
        r->error = NULL;
}

/* `next` is the argument after it, or NULL; true when that one was taken too. */
static bool add_argument(struct request *r, const char *argument, const char *next)
{
    const char *rest;
    if (strcmp(argument, "-Os") == 0)
        r->options.optimize_for_size = 1;
    if (parse_math(argument, &r->options) || is_ignored(argument))
        return false;
    if (strcmp(argument, "-x") == 0 || strcmp(argument, "-target") == 0)
        return next != NULL; /* the language is Metal's, the target the host's */
    if (strcmp(argument, "-D") == 0 && next) {
        add_macro(r, next);
        return true;
    }
    if (starts_with(argument, "-D", &rest) && *rest)
        add_macro(r, rest);
    else if (strcmp(argument, "-fpreserve-invariance") == 0)
        r->options.preserve_invariance = 1;
    else if (!starts_with(argument, "-std=", &rest) ||
             !parse_standard(rest, &r->options.language_version))
        refuse(r, argument);
    return false;
}

/* Takes the next argument off *at, in place: blanks separate, quotes and backslashes keep. */
static char *next_argument(char **at)
{
    char *from = *at, quote = 0;
    while (*from == ' ' || *from == '\t' || *from == '\n')
        from++;
    if (!*from)
        return NULL;
    char *begin = from, *to = from;
    for (; *from && (quote || (*from != ' ' && *from != '\t' && *from != '\n')); from++) {
        if (*from == quote)
            quote = 0;
        else if (!quote && (*from == '"' || *from == '\''))
            quote = *from;
        else if (*from == '\\' && quote != '\'' && from[1])
            *to++ = *++from;
        else
            *to++ = *from;
    }
    *at = *from ? from + 1 : from;
    *to = 0;
    return begin;
}

static void parse_arguments(struct request *r, char *text)
{
    char *argument = next_argument(&text);
    while (argument) {
        char *next = next_argument(&text);
        if (add_argument(r, argument, next))
            next = next_argument(&text);
        argument = next;
    }
}

/* ---- answers */

static void answer(
        const void *callback, int32_t error, const void *data, size_t bytes, const char *text)
{
    ABX_BLOCK_CALL(void, (void *, int32_t, const void *, size_t, const char *), callback, error,
            data, bytes, text);
}

static void answer_library(
        const void *callback, const void *wire_request, size_t bytes, const char *warnings)
{
    size_t warning_bytes = warnings ? abx_align_up(strlen(warnings) + 1, 8) : 0;
    struct reply_head head = {
            .header_bytes = sizeof head, .warning_bytes = (uint32_t)warning_bytes};
    size_t total = sizeof head + warning_bytes + abx_source_library_bytes(bytes);
    char *reply = calloc(1, total);
    if (!reply) {
        answer(callback, 1, NULL, 0, "out of memory");
        return;
    }
    memcpy(reply, &head, sizeof head);
    if (warnings)
        memcpy(reply + sizeof head, warnings, strlen(warnings));
    abx_source_library_wrap(reply + sizeof head + warning_bytes, wire_request, bytes);
    answer(callback, 0, reply, total, NULL);
    free(reply);
}

static void compile(const void *callback, const void *wire_request, size_t bytes)
{
    struct abx_client *client = abx_client_get();
    if (!client) {
        answer(callback, 1, NULL, 0, "no ArcBox host runtime answers: shaders cannot be compiled");
        return;
    }
    /* Callers ask for the library itself next: it is kept for them. */
    abx_handle library = abx_client_handle_new(client);
    struct abx_client_compile result;
    abx_client_compile(client, library, wire_request, bytes, &result);
    if (result.error == 0 && library) {
        abx_precompiled_keep(client, wire_request, bytes, library, &result);
        result.reflection = NULL;
    } else {
        abx_client_handle_free(client, library);
    }
    if (result.error == 0) {
        answer_library(callback, wire_request, bytes, result.message);
    } else {
        char text[160];
        snprintf(text, sizeof text, "the host could not compile the source: %s",
                strerror(-result.error));
        answer(callback, 1, NULL, 0, result.message ? result.message : text);
    }
    free(result.message);
    free(result.reflection);
}

/* Options, macros and source one after the other, as the wire wants them. */
static void build(const void *callback, const char *source, size_t source_bytes, char *arguments)
{
    struct request r = {.options = {.math_mode = ABX_MATH_FAST}};
    parse_arguments(&r, arguments);
    source_bytes = strnlen(source, source_bytes); /* it comes padded with zeros */
    r.options.macro_bytes = (uint32_t)r.macros.length;
    size_t bytes = sizeof r.options + r.macros.length + source_bytes;
    char *request =
            r.macros.failed || r.error || bytes > ABX_MAX_COMPILE_BYTES ? NULL : malloc(bytes);
    if (request) {
        memcpy(request, &r.options, sizeof r.options);
        if (r.macros.length)
            memcpy(request + sizeof r.options, r.macros.data, r.macros.length);
        memcpy(request + sizeof r.options + r.macros.length, source, source_bytes);
        compile(callback, request, bytes);
    } else {
        answer(callback, 1, NULL, 0,
                r.error                         ? r.error
                : bytes > ABX_MAX_COMPILE_BYTES ? "the source is larger than 16 MB"
                                                : "out of memory");
    }
    free(request);
    free(r.error);
    abx_string_finish(&r.macros);
}

/* ---- the entry points */

void *MTLCodeGenServiceCreate(const char *name)
{
    return strdup(name ? name : ""); /* there is nothing to keep but the caller wants a pointer */
}

void MTLCodeGenServiceDestroy(void *service)
{
    free(service);
}

void MTLCodeGenServiceBuildRequest(void *service, void *reserved, uint32_t type,
        const void *request, size_t bytes, const void *callback)
{
    uint64_t lengths[2];
    if (type != REQUEST_COMPILE) {
        answer(callback, 1, NULL, 0,
                "MTLCodeGenServiceBuildRequest: only requests of type 13 (compile source) work");
        return;
    }
    if (bytes < sizeof lengths) {
        answer(callback, 1, NULL, 0, "MTLCodeGenServiceBuildRequest: the request is cut short");
        return;
    }
    memcpy(lengths, request, sizeof lengths);
    const char *source = (const char *)request + sizeof lengths;
    size_t rest = bytes - sizeof lengths;
    if (lengths[0] > rest || lengths[1] > rest - lengths[0]) {
        answer(callback, 1, NULL, 0,
                "MTLCodeGenServiceBuildRequest: the lengths exceed the request");
        return;
    }
    char *arguments = strndup(source + lengths[0], lengths[1]);
    if (!arguments) {
        answer(callback, 1, NULL, 0, "out of memory");
        return;
    }
    build(callback, source, lengths[0], arguments);
    free(arguments);
}
