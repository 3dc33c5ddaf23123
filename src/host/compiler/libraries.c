/* host: compiled libraries in memory, for as long as some worker has them. Compiler process. */
#include "host/compiler/internal.h"

#include <stdlib.h>
#include <string.h>

#define MAX_LIBRARY_BYTES (1ull << 30) /* libraries one connection keeps in memory */

static struct library *libraries;

struct library *library_find(const uint8_t key[32])
{
    struct library *l = libraries;
    while (l && memcmp(l->key, key, 32) != 0)
        l = l->next;
    return l;
}

void library_unref(struct library *library)
{
    if (!library || --library->references)
        return;
    struct library **at = &libraries;
    while (*at != library)
        at = &(*at)->next;
    *at = library->next;
    guarded_free(library->artifact);
    free(library);
}

struct library *library_new(const uint8_t key[32], struct artifact *artifact)
{
    struct library *library = calloc(1, sizeof *library);
    if (!library) {
        guarded_free(artifact);
        return NULL;
    }
    memcpy(library->key, key, 32);
    library->artifact = artifact;
    library->references = 1;
    library->next = libraries;
    libraries = library;
    return library;
}

bool hold_add(struct connection *c, struct library *library)
{
    uint64_t bytes = library->artifact->blob_bytes;
    struct hold *hold = malloc(sizeof *hold);
    if (!hold || !abx_range_ok(c->library_bytes, bytes, MAX_LIBRARY_BYTES)) {
        free(hold);
        return false;
    }
    *hold = (struct hold){c->holds, library};
    c->holds = hold;
    c->library_bytes += bytes;
    library->references++;
    return true;
}

struct hold **hold_find(struct connection *c, const uint8_t key[32])
{
    struct hold **at = &c->holds;
    while (*at && memcmp((*at)->library->key, key, 32) != 0)
        at = &(*at)->next;
    return at;
}

void hold_drop(struct connection *c, struct hold **at)
{
    struct hold *hold = *at;
    *at = hold->next;
    c->library_bytes -= hold->library->artifact->blob_bytes;
    library_unref(hold->library);
    free(hold);
}

struct artifact *artifact_in(int fd, bool is_library, size_t *ret_bytes)
{
    void *data;
    if (guarded_map(fd, ABX_SHADER_MAX_LIBRARY_BYTES + (1u << 20), &data, ret_bytes) < 0)
        return NULL;
    struct artifact *a = data;
    bool ok = artifact_check(a, *ret_bytes);
    if (ok && a->error == 0 && is_library)
        ok = abx_shader_library_envelope_check(artifact_blob(a), a->blob_bytes) == 0;
    if (ok)
        return a;
    guarded_free(data);
    return NULL;
}
