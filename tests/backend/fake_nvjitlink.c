/* tests: a stand-in for NVIDIA's nvJitLink. It makes the cubins of fake_cubin.h, or what
 * $FAKE_NVJITLINK says: "fails", "crashes", "aborts", "runs" (without end), "sleeps" (the same), or
 * "lies" (about how long the cubin's sections are). */
#include "fake_cubin.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

struct link {
    unsigned processor;
    struct fake_cubin *cubin;
    size_t bytes;
};

EXPORT int nvJitLinkVersion(unsigned *major, unsigned *minor)
{
    *major = 13;
    *minor = 0;
    return 0;
}

EXPORT int __nvJitLinkCreate_13_0(struct link **ret, uint32_t count, const char *const *options)
{
    struct link *link = calloc(1, sizeof *link);
    if (count != 1 || sscanf(options[0], "-arch=sm_%u", &link->processor) != 1) {
        free(link);
        return 1;
    }
    *ret = link;
    return 0;
}

EXPORT int __nvJitLinkDestroy_13_0(struct link **link)
{
    free((*link)->cubin);
    free(*link);
    *link = NULL;
    return 0;
}

/* A processor that has griddepcontrol gets a text with it, others one without. */
static bool is_for(unsigned processor, const char *ptx)
{
    bool waits = strstr(ptx, "  griddepcontrol.wait;") && strstr(ptx, ".target sm_90");
    bool marked = strstr(ptx, "//griddepcontrol.wait;") && strstr(ptx, ".target sm_80");
    return processor >= 90 ? waits && !marked : marked && !waits;
}

static int misbehave(const char *how)
{
    volatile unsigned turns = 0;
    if (!how || strcmp(how, "lies") == 0)
        return 0;
    if (strcmp(how, "crashes") == 0)
        raise(SIGSEGV);
    if (strcmp(how, "aborts") == 0)
        abort();
    while (strcmp(how, "runs") == 0)
        turns++;
    while (strcmp(how, "sleeps") == 0)
        sleep(1); /* not pause(), which a compile child may not */
    return 4;
}

EXPORT int __nvJitLinkAddData_13_0(
        struct link *link, int type, const char *data, size_t bytes, const char *name)
{
    const char *how = getenv("FAKE_NVJITLINK");
    int r = type != 2 || !bytes || data[bytes - 1] || !is_for(link->processor, data) || !name;
    if (!r)
        r = misbehave(how);
    if (r)
        return r;
    link->bytes = fake_cubin_bytes(bytes);
    link->cubin = malloc(link->bytes);
    fake_cubin_make(link->cubin, link->processor, data, bytes);
    if (how)
        link->cubin->sections[1].sh_size++;
    return 0;
}

EXPORT int __nvJitLinkComplete_13_0(struct link *link)
{
    return link->cubin ? 0 : 4;
}

EXPORT int __nvJitLinkGetLinkedCubinSize_13_0(struct link *link, size_t *ret)
{
    *ret = link->bytes;
    return 0;
}

EXPORT int __nvJitLinkGetLinkedCubin_13_0(struct link *link, void *to)
{
    memcpy(to, link->cubin, link->bytes);
    return 0;
}
