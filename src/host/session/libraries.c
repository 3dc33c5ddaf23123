/* host: libraries of clients: what the compiler's answer becomes. Runs in the worker, on the
 * engine's thread. Trusts the compiler. */
#include "host/session/internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* ---- what a sealed file has */

/* A process has 65,530 mappings (vm.max_map_count), and programs have tens of thousands of small
 * libraries: those are copied. */
#define COPIED_BYTES (64u << 10)

int abx_contents_take(int fd, size_t bytes, void **ret_contents)
{
    void *map = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED)
        return -ENOMEM;
    if (bytes > COPIED_BYTES) {
        *ret_contents = map;
        return 0;
    }
    void *copy = malloc(bytes);
    if (copy)
        *ret_contents = memcpy(copy, map, bytes);
    munmap(map, bytes);
    return copy ? 0 : -ENOMEM;
}

void abx_contents_free(void *contents, size_t bytes)
{
    if (bytes > COPIED_BYTES)
        munmap(contents, bytes);
    else
        free(contents);
}

/* ---- libraries */

void abx_library_add(struct abx_session *session, struct abx_inbox_item *item)
{
    /* What had the handle's place before may still wait in the ring to be destroyed. */
    if (!atomic_load(&session->dead))
        abx_session_drain_ring(session);
    /* Handle 0: the guest only wanted to know whether it compiles. */
    if (!item->handle || atomic_load(&session->dead)) {
        abx_broker_drop(session->host->broker, item->kept);
        return;
    }
    size_t bytes = abx_align_up(item->message_bytes, 8) + item->reflection_bytes;
    void *contents = NULL;
    bool here = item->fd >= 0 && abx_contents_take(item->fd, bytes, &contents) == 0;
    const void *reflection =
            here ? (uint8_t *)contents + abx_align_up(item->message_bytes, 8) : NULL;
    bool paid = reflection && abx_books_charge(session, bytes) == 0;
    if (!paid || abx_reflection_check(reflection, item->reflection_bytes) < 0) {
        if (paid)
            abx_books_uncharge(session, bytes);
        if (here)
            abx_contents_free(contents, bytes);
        abx_broker_drop(session->host->broker, item->kept);
        item->error = !reflection || paid ? -EBADMSG : -ENOMEM;
        return;
    }
    struct abx_library_object *library =
            abx_object_create(session, item->handle, ABX_CLASS_LIBRARY, 0);
    if (!library) {
        abx_books_uncharge(session, bytes);
        abx_contents_free(contents, bytes);
        abx_broker_drop(session->host->broker, item->kept);
        return;
    }
    library->kept = item->kept;
    memcpy(library->key, item->key, sizeof library->key);
    library->contents = contents;
    library->contents_bytes = bytes;
    library->reflection = reflection;
}

static void destroy_library(struct abx_object *object)
{
    struct abx_library_object *library = (struct abx_library_object *)object;
    abx_broker_drop(library->head.session->host->broker, library->kept);
    abx_books_uncharge(library->head.session, library->contents_bytes);
    abx_contents_free(library->contents, library->contents_bytes);
    free(library);
}

const struct abx_object_kind abx_library_kind = {
        sizeof(struct abx_library_object), destroy_library, NULL};
