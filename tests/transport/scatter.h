/* The transport `scatter`, for tests alone: what a virtual machine's would be, without the machine.
 *
 * The guest has "RAM", a memory file that the host got at the beginning with two eventfds, as a
 * hypervisor hands them over: `kick` rings at the host, `call` at the guest. After that no
 * descriptor crosses. Shared memory is pieces of 4 to 64 KiB of that RAM, out of order; both pages
 * of a connection lie there too, so the guest can write to the host page. The lists of pieces also
 * lie there, where a hostile guest may change them while they are read. The worker's clock is
 * another (other_clock.c).
 *
 * Messages go through the socket, each behind a scatter_head. What the host sends with a message
 * waits there until the guest says where to put it (FETCH). */
#ifndef ABX_TESTS_SCATTER_H
#define ABX_TESTS_SCATTER_H

#include "wire/wire.h"

#define SCATTER_MAGIC 0x54414353u
#define SCATTER_PAGE 4096u
#define SCATTER_RUN_PAGES 16u      /* a piece has at most so many, of those that the guest makes */
#define SCATTER_MAX_ENTRIES 65536u /* of one list: 256 MiB in the smallest pieces */

enum scatter_fd { SCATTER_RAM, SCATTER_KICK, SCATTER_CALL, SCATTER_FDS };

/* The first message, with the descriptors above. */
struct scatter_setup {
    uint32_t magic, reserved;
    uint64_t ram_bytes;
};

struct scatter_entry {
    uint64_t offset, bytes; /* of RAM; multiples of the page */
};

enum scatter_kind {
    SCATTER_MESSAGE = 1, /* either way; behind it a wire message */
    SCATTER_FETCH,       /* guest: what waits under `tag` is wanted there */
    SCATTER_FETCHED,     /* host: it is there */
};

struct scatter_head {
    uint32_t kind;
    uint32_t count;      /* entries of the list; guest to host */
    uint64_t list;       /* where it lies in RAM */
    uint64_t tag, bytes; /* host: so much waits to be fetched; 0: nothing */
};

struct scatter_frame {
    struct scatter_head head;
    union abx_message message;
};

#endif
