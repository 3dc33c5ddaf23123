/* torch: the cache of libraries and of pipelines made from them. A library is made of its source at
 * its first use, a pipeline for each set of function constants; both are then kept. What they are
 * compiled to is kept on disk by the host. */
#include "internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct library {
    const char *name;
    char *source;
    bool is_file; /* `source` is a path: the library was compiled elsewhere */
    id made;
};

struct kernel {
    const char *library, *function;
    int32_t constants[ABX_TORCH_MAX_CONSTANTS];
    unsigned count;
    uint32_t hash;
    id pipeline;
    unsigned long width;
};

static struct library *libraries; /* those of users' sources follow the generated ones */
static unsigned library_count;
static struct kernel *kernels; /* a hash table; a power of two, at most half full */
static unsigned kernel_count, kernel_slots;

static struct library *library_named(const char *name)
{
    for (unsigned i = library_count; i-- > 0;)
        if (strcmp(libraries[i].name, name) == 0)
            return &libraries[i];
    return NULL;
}

static int add(const char *name, const char *source, bool is_file)
{
    struct library *grown = realloc(libraries, (library_count + 1) * sizeof *grown);
    char *copy = strdup(name), *text = strdup(source);
    if (grown)
        libraries = grown;
    if (!grown || !copy || !text) {
        free(copy);
        free(text);
        return core_fail(ENOMEM, "out of memory");
    }
    libraries[library_count++] = (struct library){copy, text, is_file, NULL};
    return 0;
}

int kernel_add_library(const char *name, const char *source)
{
    return add(name, source, false);
}

int kernel_add_library_file(const char *name, const char *path)
{
    return add(name, path, true);
}

/* Generated sources stand without the prelude that all of them begin with. */
static struct library *library_generated(const char *name)
{
    for (unsigned i = 0; i < torch_source_count; i++) {
        if (strcmp(torch_sources[i].name, name) != 0)
            continue;
        char *text = NULL;
        if (asprintf(&text, "%s%s%s", torch_prelude, torch_sources[i].before,
                    torch_sources[i].text) < 0)
            return NULL;
        int r = kernel_add_library(name, text);
        free(text);
        return r < 0 ? NULL : &libraries[library_count - 1];
    }
    core_fail(ENOENT, "there is no kernel library '%s'", name);
    return NULL;
}

id kernel_library(const char *name)
{
    char message[2048];
    struct library *l = library_named(name);
    if (!l)
        l = library_generated(name);
    if (l && !l->made) {
        l->made = (l->is_file ? metal_new_library_of_file : metal_new_library)(
                core.device, l->source, message, sizeof message);
        if (!l->made && l->is_file)
            core_fail(EINVAL, "the library cannot be loaded: %s", message);
        else if (!l->made)
            core_fail(EINVAL, "the kernels of '%s' do not compile: %s", name, message);
    }
    return l ? l->made : NULL;
}

static uint32_t hash_of(
        const char *library, const char *function, const int32_t *constants, unsigned count)
{
    uint32_t hash = 2166136261u;
    for (const char *p = library; *p; p++)
        hash = (hash ^ (unsigned char)*p) * 16777619u;
    for (const char *p = function; *p; p++)
        hash = (hash ^ (unsigned char)*p) * 16777619u;
    for (unsigned i = 0; i < count; i++)
        hash = (hash ^ (uint32_t)constants[i]) * 16777619u;
    return hash;
}

static bool is_same(const struct kernel *k, const struct kernel *wanted)
{
    return k->hash == wanted->hash && k->count == wanted->count &&
           strcmp(k->library, wanted->library) == 0 && strcmp(k->function, wanted->function) == 0 &&
           memcmp(k->constants, wanted->constants, k->count * sizeof *k->constants) == 0;
}

/* The kernel's slot, or the free one where it belongs. */
static struct kernel *slot_of(const struct kernel *wanted)
{
    unsigned i = wanted->hash & (kernel_slots - 1);
    while (kernels[i].pipeline && !is_same(&kernels[i], wanted))
        i = (i + 1) & (kernel_slots - 1);
    return &kernels[i];
}

static bool grow(void)
{
    struct kernel *old = kernels;
    unsigned old_slots = kernel_slots, slots = old_slots ? old_slots * 2 : 256;
    struct kernel *grown = calloc(slots, sizeof *grown);
    if (!grown)
        return false;
    kernels = grown;
    kernel_slots = slots;
    for (unsigned i = 0; i < old_slots; i++)
        if (old[i].pipeline)
            *slot_of(&old[i]) = old[i];
    free(old);
    return true;
}

static id kernel_make(struct kernel *slot, struct kernel *wanted)
{
    char message[2048];
    id library = kernel_library(wanted->library);
    if (!library)
        return NULL;
    wanted->library = library_named(wanted->library)->name;
    wanted->function = strdup(wanted->function);
    wanted->pipeline = metal_new_pipeline(core.device, library, wanted->function, wanted->constants,
            wanted->count, message, sizeof message);
    if (!wanted->pipeline) {
        core_fail(EINVAL, "the kernel '%s' of '%s' cannot be made: %s", wanted->function,
                wanted->library, message);
        return NULL;
    }
    wanted->width = metal_pipeline_width(wanted->pipeline);
    *slot = *wanted;
    kernel_count++;
    core.counts.kernels++;
    return slot->pipeline;
}

id kernel_find(const char *library, const char *function, const int32_t *constants, unsigned count,
        unsigned long *ret_width)
{
    struct kernel wanted = {.library = library,
            .function = function,
            .count = count,
            .hash = hash_of(library, function, constants, count)};
    if (count)
        memcpy(wanted.constants, constants, count * sizeof *constants);
    if (kernel_count * 2 >= kernel_slots && !grow()) {
        core_fail(ENOMEM, "out of memory");
        return NULL;
    }
    struct kernel *slot = slot_of(&wanted);
    if (!slot->pipeline && !kernel_make(slot, &wanted))
        return NULL;
    *ret_width = slot->width;
    return slot->pipeline;
}
