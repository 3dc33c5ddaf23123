/* Rings and chains that a driver that makes sense would never make. */
#include "rig.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

static struct rig rig;

static const struct virtio_gpu_ctrl_hdr ask = {.type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO};

/* The answer to what was offered: its length; -1: nothing came back. */
static int64_t come_back(uint16_t head)
{
    uint32_t got, bytes;
    if (!rig_taken(&rig, &got, &bytes))
        return -1;
    CHECK(got == head);
    return bytes;
}

static int64_t offered(uint16_t head)
{
    rig_offer(&rig, head);
    return come_back(head);
}

static void put(uint16_t at, uint64_t address, uint32_t bytes, uint16_t flags, uint16_t next)
{
    rig.table[at] = (struct ring_descriptor){address, bytes, flags, next};
}

static void put_request(void)
{
    memcpy(rig.ram + REQUEST_AT, &ask, sizeof ask);
}

/* It still works. */
static void check_right(void)
{
    CHECK(rig_command(&rig, &ask, sizeof ask) == VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
}

static void check_chains(void)
{
    const uint64_t in = RAM_AT + REQUEST_AT, out = RAM_AT + ANSWER_AT;
    rig_start(&rig);
    put_request();
    put(0, in, sizeof ask, NEXT, 0); /* leads to itself */
    CHECK(offered(0) == 0);
    put(0, in, sizeof ask, NEXT, 1);
    put(1, in, 0, NEXT, 0); /* and a longer way round, of nothing */
    CHECK(offered(0) == 0);
    put(0, in, sizeof ask, NEXT, QUEUE_SIZE); /* out of the table */
    CHECK(offered(0) == 0);
    put(0, RAM_AT + RAM_BYTES - 8, 24, 0, 0); /* out of RAM */
    CHECK(offered(0) == 0);
    put(0, UINT64_MAX - 8, 24, 0, 0);
    CHECK(offered(0) == 0);
    put(0, in, UINT32_MAX, 0, 0);
    CHECK(offered(0) == 0);
    put(0, out, 4096, WRITE | NEXT, 1); /* an answer before its question */
    put(1, in, sizeof ask, 0, 0);
    CHECK(offered(0) == 0);
    put(0, in, sizeof ask, NEXT, 1);
    put(1, RAM_AT + RAM_BYTES, 4096, WRITE, 0); /* an answer that goes nowhere */
    CHECK(offered(0) == 0);
    put(0, in, sizeof ask, 0, 0); /* no room for an answer */
    CHECK(offered(0) == 0);
    put(0, in, 0, 0, 0);
    CHECK(offered(0) == 0);
    put(0, in, sizeof ask, NEXT, 1); /* room for a part of it */
    put(1, out, 10, WRITE, 0);
    CHECK(offered(0) == 10);
    put(0, in, 4, NEXT, 1); /* too short for a command */
    put(1, out, 4096, WRITE, 0);
    CHECK(offered(0) == sizeof ask);
    check_right();
    rig_finish(&rig);
}

/* In pieces of a byte, through a table of its own. */
static void check_indirect(void)
{
    const uint64_t table = RAM_AT + (6u << 20);
    struct ring_descriptor *list = (struct ring_descriptor *)(rig.ram + (6u << 20));
    rig_start(&rig);
    list = (struct ring_descriptor *)(rig.ram + (6u << 20));
    put_request();
    for (uint16_t i = 0; i < sizeof ask; i++)
        list[i] = (struct ring_descriptor){RAM_AT + REQUEST_AT + i, 1, NEXT, i + 1};
    list[sizeof ask] = (struct ring_descriptor){RAM_AT + ANSWER_AT, 4096, WRITE, 0};
    const uint32_t whole = (sizeof ask + 1) * sizeof *list;
    put(0, table, whole, INDIRECT, 0);
    CHECK(offered(0) == sizeof(struct virtio_gpu_resp_display_info));
    put(0, table, whole - 1, INDIRECT, 0);
    CHECK(offered(0) == 0);
    put(0, table, whole - sizeof *list, INDIRECT, 0); /* the last one is missing */
    CHECK(offered(0) == 0);
    put(0, table, 0, INDIRECT, 0);
    CHECK(offered(0) == 0);
    put(0, table, (ABX_VMM_CHAIN_MAX + 1) * sizeof *list, INDIRECT, 0);
    CHECK(offered(0) == 0);
    put(0, RAM_AT + RAM_BYTES - 16, 32, INDIRECT, 0);
    CHECK(offered(0) == 0);
    put(0, table + 1, whole, INDIRECT, 0);
    CHECK(offered(0) == 0);
    put(0, table, whole, INDIRECT | NEXT, 1);
    CHECK(offered(0) == 0);
    list[0] = (struct ring_descriptor){table, whole, INDIRECT, 0}; /* a table in a table */
    put(0, table, whole, INDIRECT, 0);
    CHECK(offered(0) == 0);
    check_right();
    rig_finish(&rig);
}

/* 1,024 pieces of 64 KiB: more than one request may be. */
static void check_huge(void)
{
    rig_start(&rig);
    struct ring_descriptor *list = (struct ring_descriptor *)(rig.ram + (6u << 20));
    for (uint16_t i = 0; i < ABX_VMM_CHAIN_MAX; i++)
        list[i] = (struct ring_descriptor){
                RAM_AT + REQUEST_AT, 65536, i + 1u < ABX_VMM_CHAIN_MAX ? NEXT : 0, i + 1};
    put(0, RAM_AT + (6u << 20), ABX_VMM_CHAIN_MAX * sizeof *list, INDIRECT, 0);
    CHECK(offered(0) == 0);
    check_right();
    rig_finish(&rig);
}

/* A position that has run away, or a head that is none: the queue is left until it is reset. */
static void check_broken(void)
{
    uint64_t one = 1;
    const uint32_t index[] = {0, 0};
    for (unsigned i = 0; i < 2; i++) {
        rig_start(&rig);
        check_right();
        if (i == 0)
            rig.available[1] += QUEUE_SIZE + 1;
        else {
            rig.available[2 + rig.available[1] % QUEUE_SIZE] = QUEUE_SIZE;
            rig.available[1]++;
        }
        CHECK(write(rig.kick, &one, sizeof one) == sizeof one);
        rig_serve(&rig);
        CHECK(rig.vhost.queues[0].broken && come_back(0) == -1);
        CHECK(rig_message(&rig, 11, index, sizeof index, -1) == 0);
        CHECK(!rig.vhost.queues[0].broken && rig.vhost.queues[0].kick < 0);
        rig_finish(&rig);
    }
}

/* ---- what changes while it is read */

static _Atomic bool stop;

static void *scribble(void *argument)
{
    uint64_t random = 88172645463325252u;
    volatile uint64_t *words = argument;
    while (!atomic_load(&stop)) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        words[random % 512] = random & 1 ? random : RAM_AT + random % RAM_BYTES;
    }
    return NULL;
}

static void check_changing(void)
{
    pthread_t thread;
    rig_start(&rig);
    atomic_store(&stop, false);
    CHECK(pthread_create(&thread, NULL, scribble, rig.ram + TABLE_AT) == 0);
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t one = 1;
        uint16_t position = rig.available[1];
        rig.available[2 + position % QUEUE_SIZE] = (uint16_t)(i * 7 % QUEUE_SIZE);
        __atomic_store_n((uint16_t *)&rig.available[1], position + 1, __ATOMIC_RELEASE);
        CHECK(write(rig.kick, &one, sizeof one) == sizeof one);
        CHECK(abx_vhost_serve(&rig.vhost, 0) == 0);
    }
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    rig_serve(&rig);
    CHECK(rig.used[1] == rig.available[1]);
    rig_finish(&rig);
}

/* ---- who wants to be told of what */

static void check_event_index(void)
{
    uint64_t count, features = 1ull << 29 | 1ull << 32;
    rig_start(&rig);
    CHECK(rig_message(&rig, 2, &features, sizeof features, -1) == 0);
    const uint64_t first = 0;
    CHECK(rig_message(&rig, 12, &first, sizeof first, dup(rig.kick)) == 0);
    volatile uint16_t *wanted = &rig.available[2 + QUEUE_SIZE];
    volatile uint16_t *kick_at = (uint16_t *)(rig.ram + USED_AT + 4 + 8 * QUEUE_SIZE);
    for (unsigned i = 0; i < 10; i++) {
        *wanted = i < 5 ? rig.used[1] : (uint16_t)(rig.used[1] + 100);
        check_right();
        CHECK(*kick_at == rig.available[1]);
        CHECK((read(rig.call, &count, sizeof count) == sizeof count) == (i < 5));
    }
    rig_finish(&rig);
}

int main(void)
{
    check_chains();
    check_indirect();
    check_huge();
    check_broken();
    check_changing();
    check_event_index();
    return 0;
}
