/* metal: see metal_precompiled.h. */
#include "metal/metal_precompiled.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define KEPT 64u /* each holds memory on the host; the oldest goes */

struct kept {
    struct abx_client *client;
    uint8_t key[32]; /* the request's hash */
    abx_handle library;
    struct abx_client_compile compiled;
};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct kept kept[KEPT];
static unsigned next_slot;

static void key_of(const void *request, size_t bytes, uint8_t key[32])
{
    struct abx_sha256 h;
    abx_sha256_init(&h);
    abx_sha256_add(&h, request, bytes);
    abx_sha256_finish(&h, key);
}

void abx_precompiled_keep(struct abx_client *client, const void *request, size_t bytes,
        abx_handle library, const struct abx_client_compile *compiled)
{
    struct kept k = {.client = client, .library = library, .compiled = *compiled};
    key_of(request, bytes, k.key);
    pthread_mutex_lock(&lock);
    struct kept old = kept[next_slot];
    kept[next_slot] = k;
    next_slot = (next_slot + 1) % KEPT;
    pthread_mutex_unlock(&lock);
    if (old.client)
        abx_client_destroy(old.client, old.library);
    free(old.compiled.reflection);
}

bool abx_precompiled_take(struct abx_client *client, const void *request, size_t bytes,
        abx_handle *ret_library, struct abx_client_compile *ret_compiled)
{
    uint8_t key[32];
    bool found = false;
    key_of(request, bytes, key);
    pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < KEPT && !found; i++)
        if (kept[i].client == client && !memcmp(kept[i].key, key, sizeof key)) {
            *ret_library = kept[i].library;
            *ret_compiled = kept[i].compiled;
            kept[i] = (struct kept){0};
            found = true;
        }
    pthread_mutex_unlock(&lock);
    return found;
}
