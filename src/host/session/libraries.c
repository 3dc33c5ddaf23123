/* host: libraries of clients: what the compiler's answer becomes. Runs in the worker, on the
 * engine's thread. Trusts the compiler. */
#include "host/session/internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

void abx_library_add(struct abx_session *session, struct abx_inbox_item *item)
{
    /* Handle 0: the guest only wanted to know whether it compiles. */
    if (!item->handle || atomic_load(&session->dead)) {
        abx_broker_drop(session->host->broker, item->kept);
        return;
    }
    size_t bytes = abx_align_up(item->message_bytes, 8) + item->reflection_bytes;
    void *map = item->fd >= 0 ? mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, item->fd, 0) : MAP_FAILED;
    const void *reflection =
            map == MAP_FAILED ? NULL : (uint8_t *)map + abx_align_up(item->message_bytes, 8);
    bool paid = reflection && abx_books_charge(session, bytes) == 0;
    if (!paid || abx_reflection_check(reflection, item->reflection_bytes) < 0) {
        if (paid)
            abx_books_uncharge(session, bytes);
        if (map != MAP_FAILED)
            munmap(map, bytes);
        abx_broker_drop(session->host->broker, item->kept);
        item->error = !reflection || paid ? -EBADMSG : -ENOMEM;
        return;
    }
    struct abx_library_object *library =
            abx_object_create(session, item->handle, ABX_CLASS_LIBRARY, 0);
    if (!library) {
        abx_books_uncharge(session, bytes);
        munmap(map, bytes);
        abx_broker_drop(session->host->broker, item->kept);
        return;
    }
    library->kept = item->kept;
    memcpy(library->key, item->key, sizeof library->key);
    library->map = map;
    library->map_bytes = bytes;
    library->reflection = reflection;
}

static void destroy_library(struct abx_object *object)
{
    struct abx_library_object *library = (struct abx_library_object *)object;
    abx_broker_drop(library->head.session->host->broker, library->kept);
    abx_books_uncharge(library->head.session, library->map_bytes);
    munmap(library->map, library->map_bytes);
    free(library);
}

const struct abx_object_kind abx_library_kind = {
        sizeof(struct abx_library_object), destroy_library, NULL};
