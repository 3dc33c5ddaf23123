/* wire encoder: the cursor the generated writers (encode_gen.h) move. Runs in the guest, in one
 * thread at a time per cursor; trusts its owner.
 *
 * The fast path takes no lock and makes no call: compare, store, add. When the space runs out the
 * cursor calls `grow`, once per arena piece; when that fails, `failed` sticks, every later record
 * is dropped, and the owner reports it once, at commit. */
#ifndef ABX_WIRE_ENCODER_H
#define ABX_WIRE_ENCODER_H

#include "wire/wire.h"

struct abx_encoder {
    uint8_t *at, *end; /* the free piece; both 8-byte aligned */
    bool failed;
    /* Sets at and end to a piece of at least `bytes` (what lies between them is the owner's to
     * finish: remember `at` as the old piece's end). 0 or -errno. May be NULL: no more space. */
    int (*grow)(struct abx_encoder *e, size_t bytes);
};

static __attribute__((noinline, cold, unused)) void *abx_encoder_reserve_slow(
        struct abx_encoder *e, size_t bytes)
{
    void *r;

    if (e->failed || bytes > ABX_MAX_RECORD_BYTES || !e->grow || e->grow(e, bytes) < 0 ||
            (size_t)(e->end - e->at) < bytes) {
        e->failed = true;
        e->end = e->at; /* so that the fast path keeps coming here */
        return NULL;
    }
    r = e->at;
    e->at += bytes;
    return r;
}

/* `bytes` (a multiple of 8) of uninitialised space, or NULL once the cursor failed. */
static inline void *abx_encoder_reserve(struct abx_encoder *e, size_t bytes)
{
    uint8_t *at = e->at;

    if (__builtin_expect(bytes > (size_t)(e->end - at) || bytes > ABX_MAX_RECORD_BYTES, 0))
        return abx_encoder_reserve_slow(e, bytes);
    e->at = at + bytes;
    return at;
}

#endif
