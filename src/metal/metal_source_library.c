/* metal: library data that carries its source: see metal_source_library.h. Runs in the guest's
 * process; the data may come from a file somebody else wrote, so nothing in it is believed. */
#include "metal/metal_source_library.h"

#include <string.h>

#include "wire/compile.h"

#define VERSION 1u

/* Both ends are what callers look for; the magic in the middle tells ours from Apple's. */
struct head {
    char begin[4]; /* "MTLB" */
    uint32_t version;
    char magic[8];
    uint64_t request_bytes;
};
struct tail {
    char zeros[4];
    char end[4]; /* "ENDT" */
};
static const char magic[8] = {'A', 'B', 'X', 'S', 'O', 'U', 'R', 'C'};

size_t abx_source_library_bytes(size_t request_bytes)
{
    return sizeof(struct head) + abx_align_up(request_bytes, 8) + sizeof(struct tail);
}

void abx_source_library_wrap(void *to, const void *request, size_t request_bytes)
{
    size_t bytes = abx_source_library_bytes(request_bytes);
    struct head head = {
            .begin = {'M', 'T', 'L', 'B'}, .version = VERSION, .request_bytes = request_bytes};
    struct tail tail = {.end = {'E', 'N', 'D', 'T'}};
    memcpy(head.magic, magic, sizeof magic);
    memset(to, 0, bytes);
    memcpy(to, &head, sizeof head);
    memcpy((char *)to + sizeof head, request, request_bytes);
    memcpy((char *)to + bytes - sizeof tail, &tail, sizeof tail);
}

int abx_source_library_unwrap(const void *data, size_t bytes, const void **ret_request,
        size_t *ret_bytes, size_t *ret_used)
{
    struct head head;
    struct abx_shader_options options;
    if (bytes < sizeof head || memcmp(data, "MTLB", 4) != 0)
        return -EBADMSG;
    memcpy(&head, data, sizeof head);
    if (memcmp(head.magic, magic, sizeof magic) != 0)
        return -ENOTSUP;
    if (head.version != VERSION || head.request_bytes > bytes ||
            head.request_bytes < sizeof options)
        return -EBADMSG;
    size_t used = abx_source_library_bytes(head.request_bytes);
    if (used > bytes || memcmp((const char *)data + used - 4, "ENDT", 4) != 0)
        return -EBADMSG;
    const char *request = (const char *)data + sizeof head;
    memcpy(&options, request, sizeof options);
    if (options.macro_bytes > head.request_bytes - sizeof options)
        return -EBADMSG;
    *ret_request = request;
    *ret_bytes = head.request_bytes;
    *ret_used = used;
    return 0;
}
