/* MTLCodeGenService: what a program that compiles shaders without a device gets. Against a pretend
 * worker, which refuses sources that contain the word "error". */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_host.h"
#include "metal/metal_source_library.h"
#include "objc/objc_internal.h"
#include "wire/compile.h"

void *MTLCodeGenServiceCreate(const char *name);
void MTLCodeGenServiceDestroy(void *service);
void MTLCodeGenServiceBuildRequest(void *service, void *reserved, uint32_t type,
        const void *request, size_t bytes, const void *callback);

static struct {
    int calls;
    int32_t error;
    char *reply, *text;
    size_t bytes;
} got;

static void called(void *block, int32_t error, const void *data, size_t bytes, const char *text)
{
    got.calls++;
    got.error = error;
    free(got.reply);
    free(got.text);
    got.reply = data ? malloc(bytes) : NULL;
    if (data)
        memcpy(got.reply, data, bytes);
    got.bytes = bytes;
    got.text = text ? strdup(text) : NULL;
}

static void *service;

/* As tinygrad packs it: the source padded with zeros to a multiple of 4, one at least. */
static void build_type(uint32_t type, const char *source, const char *arguments)
{
    char request[4096] = {0};
    uint64_t lengths[2] = {abx_align_up(strlen(source) + 1, 4), strlen(arguments) + 1};
    memcpy(request, lengths, sizeof lengths);
    strcpy(request + 16, source);
    strcpy(request + 16 + lengths[0], arguments);
    struct abx_block block = {.invoke = (void (*)(void))called};
    got.calls = 0;
    MTLCodeGenServiceBuildRequest(
            service, NULL, type, request, 16 + lengths[0] + lengths[1], &block);
    assert(got.calls == 1);
}

static void build(const char *source, const char *arguments)
{
    build_type(13, source, arguments);
}

/* The library in the answer, found as tinygrad finds it. */
static const char *library(size_t *ret_bytes)
{
    uint32_t sizes[2];
    assert(got.error == 0 && got.bytes > 16);
    memcpy(sizes, got.reply + 8, sizeof sizes);
    const char *found = got.reply + sizes[0] + sizes[1];
    *ret_bytes = got.bytes - sizes[0] - sizes[1];
    assert(memcmp(found, "MTLB", 4) == 0 && memcmp(found + *ret_bytes - 4, "ENDT", 4) == 0);
    return found;
}

static struct abx_shader_options options_of(const char *arguments, char macros[64], char text[64])
{
    size_t bytes, length, used;
    const void *request;
    struct abx_shader_options options;
    build("kernel void k() {}", arguments);
    const char *found = library(&bytes);
    assert(abx_source_library_unwrap(found, bytes, &request, &length, &used) == 0);
    assert(used == bytes);
    memcpy(&options, request, sizeof options);
    memset(macros, 0, 64);
    memset(text, 0, 64);
    memcpy(macros, (const char *)request + sizeof options, options.macro_bytes);
    memcpy(text, (const char *)request + sizeof options + options.macro_bytes,
            length - sizeof options - options.macro_bytes);
    return options;
}

static void test_options(void)
{
    char macros[64], text[64];
    struct abx_shader_options o =
            options_of("-fno-fast-math -std=metal3.1 --driver-mode=metal -x metal "
                       "-fmodules-cache-path=\"/tmp/a folder/x\" -fno-caret-diagnostics",
                    macros, text);
    assert(o.math_mode == ABX_MATH_SAFE && o.language_version == (3 << 16 | 1));
    assert(o.macro_bytes == 0 && strcmp(text, "kernel void k() {}") == 0);
    o = options_of("", macros, text);
    assert(o.math_mode == ABX_MATH_FAST && o.language_version == 0 && !o.optimize_for_size);
    o = options_of(
            "-std=macos-metal2.0 -Os -DN=4 -D 'M=a b' -DFLAG -fpreserve-invariance", macros, text);
    assert(o.language_version == 2 << 16 && o.optimize_for_size && o.preserve_invariance);
    assert(o.macro_bytes == 4 + 6 + 7 && memcmp(macros, "N=4\0M=a b\0FLAG=1", 17) == 0);
}

static void test_errors(void)
{
    build("an error here", "-std=metal3.1");
    assert(got.error != 0 && !got.reply && strstr(got.text, "error"));
    build("kernel void k() {}", "-std=metal3.1 -fno-such-thing");
    assert(got.error != 0 && strstr(got.text, "unknown argument: '-fno-such-thing'"));
    build("kernel void k() {}", "-std=gnu17");
    assert(got.error != 0 && strstr(got.text, "-std=gnu17"));
    build_type(12, "kernel void k() {}", "");
    assert(got.error != 0 && strstr(got.text, "13"));
    struct abx_block block = {.invoke = (void (*)(void))called};
    uint64_t request[3] = {UINT64_MAX - 7, 16, 0};
    MTLCodeGenServiceBuildRequest(service, NULL, 13, request, sizeof request, &block);
    assert(got.error != 0 && strstr(got.text, "exceed"));
    MTLCodeGenServiceBuildRequest(service, NULL, 13, request, 8, &block);
    assert(got.error != 0 && strstr(got.text, "cut short"));
}

static void test_unwrap_refuses(void)
{
    size_t bytes, length, used;
    const void *request;
    build("kernel void k() {}", "-DA=1");
    const char *found = library(&bytes);
    char *copy = malloc(2 * bytes + 1);
    for (size_t cut = 0; cut < bytes; cut++) {
        memcpy(copy, found, cut);
        assert(abx_source_library_unwrap(copy, cut, &request, &length, &used) < 0);
    }
    memcpy(copy + 1, found, bytes); /* any alignment will do */
    assert(abx_source_library_unwrap(copy + 1, bytes, &request, &length, &used) == 0);
    memcpy(copy + 1 + bytes, found, bytes); /* and another after it */
    assert(abx_source_library_unwrap(copy + 1, 2 * bytes, &request, &length, &used) == 0);
    assert(used == bytes && (const char *)request > copy && (const char *)request < copy + bytes);
    memset(copy + 1 + 16, 0xff, 8); /* the request's length */
    assert(abx_source_library_unwrap(copy + 1, bytes, &request, &length, &used) == -EBADMSG);
    memcpy(copy, found, bytes);
    memset(copy + 8, 0, 8);
    assert(abx_source_library_unwrap(copy, bytes, &request, &length, &used) == -ENOTSUP);
    memcpy(copy, found, bytes);
    memset(copy + 24 + offsetof(struct abx_shader_options, macro_bytes), 0xff, 4);
    assert(abx_source_library_unwrap(copy, bytes, &request, &length, &used) == -EBADMSG);
    free(copy);
}

int main(void)
{
    static struct fake_host host;
    fake_host_start(&host);
    service = MTLCodeGenServiceCreate("test");
    assert(service);
    test_options();
    test_errors();
    test_unwrap_refuses();
    assert(host.compiles == 5); /* wrong arguments do not reach it */
    MTLCodeGenServiceDestroy(service);
    fake_host_kill(&host);
    build("kernel void k() {}", "");
    assert(got.error != 0 && got.text);
    puts("codegen service: ok");
    return 0;
}
