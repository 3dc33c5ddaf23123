/* Root in a virtual machine, against its GPU device: what our guest library never says, through the
 * stock driver's calls. Each ends in an error, and the device goes on. Without words: the attacks;
 * "scan": whether another machine's secret (secret.m) is in this one's memory, all of it. */
#include "wire/transport/drm.h"
#include "wire/transport/virtgpu.h"

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define CHECK(x, ...)                                                                              \
    do {                                                                                           \
        if (!(x)) {                                                                                \
            printf("attack.c:%d: %s: ", __LINE__, #x);                                             \
            printf(__VA_ARGS__);                                                                   \
            printf("\n");                                                                          \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)
#define PATIENCE_NS 60000000000ull

struct connection {
    int drm;
    struct abx_drm_buffer buffer;
    struct abx_virtgpu_pages *pages;
};

static bool comes(const _Atomic uint64_t *word, uint64_t value)
{
    for (uint64_t start = abx_now_ns(); abx_now_ns() - start < PATIENCE_NS; usleep(200))
        if (atomic_load(word) >= value)
            return true;
    return false;
}

static bool ends(struct connection *c)
{
    for (uint64_t start = abx_now_ns(); abx_now_ns() - start < PATIENCE_NS; usleep(200))
        if (atomic_load(&c->pages->control.gone))
            return true;
    return false;
}

static int say(struct connection *c, const struct abx_virtgpu_command *head,
        const uint32_t *resources, const void *message)
{
    static uint64_t words[16384];
    uint8_t *at = (uint8_t *)words;
    uint32_t named = resources ? head->resources : 0;
    uint32_t bytes = (uint32_t)sizeof *head + (uint32_t)abx_align_up(4ull * named, 8);
    memset(words, 0, sizeof words);
    memcpy(at, head, sizeof *head);
    if (named)
        memcpy(at + sizeof *head, resources, 4ull * named);
    if (message)
        memcpy(at + bytes, message, head->message_bytes);
    return abx_drm_submit(c->drm, words, bytes + (message ? head->message_bytes : 0), NULL);
}

static struct abx_message_hello hello = {.type = ABX_MESSAGE_HELLO,
        .magic = ABX_WIRE_MAGIC,
        .version = ABX_WIRE_VERSION,
        .program = "attack"};

/* Its pages are there, and it has said nothing. */
static struct connection prepare(void)
{
    char place[64];
    struct connection c = {.drm = abx_drm_find(place, sizeof place)};
    void *p;
    CHECK(c.drm >= 0, "no device");
    CHECK(abx_drm_buffer_make(c.drm, sizeof *c.pages, &c.buffer) == 0, "no pages");
    CHECK(abx_drm_buffer_map_anywhere(c.drm, &c.buffer, &p) == 0, "no mapping");
    c.pages = p;
    return c;
}

static struct connection open_it(void)
{
    struct connection c = prepare();
    const struct abx_virtgpu_command head = {
            ABX_VIRTGPU_MAGIC, ABX_VIRTGPU_OPEN, 1, sizeof hello, sizeof *c.pages, 0};
    CHECK(say(&c, &head, &c.buffer.resource, &hello) == 0, "not submitted");
    CHECK(comes(&c.pages->control.posted, 1), "no answer");
    CHECK(c.pages->control.slots[0].message.type == ABX_MESSAGE_WELCOME, "answer %u",
            c.pages->control.slots[0].message.type);
    return c;
}

static void leave(struct connection *c)
{
    munmap(c->pages, sizeof *c->pages);
    close(c->drm);
}

static void check_alive(struct connection *c, uint64_t tag)
{
    const struct abx_virtgpu_command ping = {ABX_VIRTGPU_MAGIC, ABX_VIRTGPU_PING, 0, 0, 0, tag};
    CHECK(say(c, &ping, NULL, NULL) == 0, "not submitted");
    CHECK(comes(&c->pages->control.pong, tag), "the device does not answer");
    CHECK(!atomic_load(&c->pages->control.gone), "the connection has ended");
}

static const struct abx_message_chunk chunk = {
        .type = ABX_MESSAGE_CHUNK, .chunk = 1, .bytes = 65536, .address = 1 << 20};

/* ---- forged numbers */

static void forge_resources(void)
{
    struct connection other = open_it();
    for (uint32_t id = 0, tried = 0; tried < 12; id = id < 8 ? id + 1 : id * 7 + 1) {
        struct connection c = open_it();
        uint32_t wanted = tried == 4 ? other.buffer.resource : id;
        const struct abx_virtgpu_command head = {
                ABX_VIRTGPU_MAGIC, ABX_VIRTGPU_SHARE, 1, sizeof chunk, chunk.bytes, 0};
        if (wanted != c.buffer.resource) {
            say(&c, &head, &wanted, &chunk);
            CHECK(ends(&c), "resource %u is another's", wanted);
            tried++;
        }
        leave(&c);
    }
    check_alive(&other, 1);
    leave(&other);
}

/* ---- sizes and places that wrap, end outside, or are none */

static void share_wrongly(void)
{
    static const struct {
        uint64_t bytes, chunk_bytes, address;
        uint32_t number, type;
    } cases[] = {{UINT64_MAX, 65536, 1 << 20, 1, ABX_MESSAGE_CHUNK},
            {1ull << 63, 65536, 1 << 20, 1, ABX_MESSAGE_CHUNK},
            {65537, 65537, 1 << 20, 1, ABX_MESSAGE_CHUNK},
            {65536, UINT64_MAX, 1 << 20, 1, ABX_MESSAGE_CHUNK},
            {65536, 65536, UINT64_MAX - 4095, 1, ABX_MESSAGE_CHUNK},
            {65536, 65536, 1ull << 63, 1, ABX_MESSAGE_CHUNK},
            {65536, 65536, 1234, 1, ABX_MESSAGE_CHUNK},
            {65536, 65536, 1 << 20, 0, ABX_MESSAGE_CHUNK},
            {65536, 65536, 1 << 20, UINT32_MAX, ABX_MESSAGE_CHUNK},
            {65536, 65536, 1 << 20, 1, ABX_MESSAGE_HELLO}};
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(cases); i++) {
        struct connection c = open_it();
        struct abx_drm_buffer own;
        struct abx_message_chunk wrong = chunk;
        CHECK(abx_drm_buffer_make(c.drm, 65536, &own) == 0, "no buffer");
        wrong.bytes = cases[i].chunk_bytes;
        wrong.address = cases[i].address;
        wrong.chunk = cases[i].number;
        wrong.type = cases[i].type;
        const struct abx_virtgpu_command head = {
                ABX_VIRTGPU_MAGIC, ABX_VIRTGPU_SHARE, 1, sizeof wrong, cases[i].bytes, 0};
        say(&c, &head, &own.resource, &wrong);
        CHECK(ends(&c), "case %u", i);
        leave(&c);
    }
}

/* The same buffer twice and for two chunks at one place: the second is refused. */
static void share_twice(void)
{
    struct connection c = open_it();
    struct abx_drm_buffer own;
    struct abx_message_chunk second = chunk;
    const struct abx_virtgpu_command head = {
            ABX_VIRTGPU_MAGIC, ABX_VIRTGPU_SHARE, 1, sizeof chunk, chunk.bytes, 0};
    CHECK(abx_drm_buffer_make(c.drm, 65536, &own) == 0, "no buffer");
    CHECK(say(&c, &head, &own.resource, &chunk) == 0, "not submitted");
    check_alive(&c, 2);
    second.chunk = 2;
    say(&c, &head, &own.resource, &second);
    CHECK(ends(&c), "two chunks at one place");
    leave(&c);
}

/* ---- commands that make no sense */

static void talk_nonsense(void)
{
    static const struct abx_virtgpu_command heads[] = {{0, ABX_VIRTGPU_PING, 0, 0, 0, 0},
            {ABX_VIRTGPU_MAGIC, 0, 0, 0, 0, 0}, {ABX_VIRTGPU_MAGIC, 99, 0, 0, 0, 0},
            {ABX_VIRTGPU_MAGIC, ABX_VIRTGPU_PING, UINT32_MAX, 0, 0, 0},
            {ABX_VIRTGPU_MAGIC, ABX_VIRTGPU_PING, 1u << 30, 8, 0, 0},
            {ABX_VIRTGPU_MAGIC, ABX_VIRTGPU_SEND, 0, UINT32_MAX, 0, 0},
            {ABX_VIRTGPU_MAGIC, ABX_VIRTGPU_SEND, 0, 0, UINT64_MAX, 0},
            {ABX_VIRTGPU_MAGIC, ABX_VIRTGPU_FETCH, 0, 0, 0, 0},
            {ABX_VIRTGPU_MAGIC, ABX_VIRTGPU_FETCH, 0, 0, 0, UINT64_MAX},
            {ABX_VIRTGPU_MAGIC, ABX_VIRTGPU_SHARE, 0, 0, 0, 0},
            {ABX_VIRTGPU_MAGIC, ABX_VIRTGPU_OPEN, 0, 0, 0, 0}};
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(heads); i++) {
        struct connection c = open_it();
        say(&c, &heads[i], NULL, NULL);
        CHECK(ends(&c), "case %u", i);
        leave(&c);
    }
    uint64_t byte = 0;
    struct connection c = open_it();
    abx_drm_submit(c.drm, &byte, 1, NULL);
    CHECK(ends(&c), "one byte");
    leave(&c);
}

/* Hellos of no sort, and pages too small for one. */
static void greet_wrongly(void)
{
    for (unsigned i = 0; i < 3; i++) {
        struct connection c = prepare();
        struct abx_message_hello wrong = hello;
        wrong.magic ^= i == 0;
        wrong.version += i == 1;
        const struct abx_virtgpu_command head = {ABX_VIRTGPU_MAGIC, ABX_VIRTGPU_OPEN, 1,
                sizeof wrong, i == 2 ? 4096 : sizeof *c.pages, 0};
        say(&c, &head, &c.buffer.resource, &wrong);
        if (i == 2) { /* it has no place to be told at */
            usleep(100000);
            CHECK(!atomic_load(&c.pages->control.posted), "pages too small");
        } else
            CHECK(comes(&c.pages->control.posted, 1) &&
                            c.pages->control.slots[0].message.type != ABX_MESSAGE_WELCOME,
                    "hello %u", i);
        leave(&c);
    }
}

/* ---- the driver's other calls: what the device does not offer */

struct blob {
    uint32_t memory, flags, handle, resource;
    uint64_t bytes;
    uint32_t padding, command_bytes;
    uint64_t command, id;
};
struct init {
    uint32_t count, padding;
    uint64_t parameters;
};

static void ask_for_more(void)
{
    static const uint64_t sizes[] = {0, 1, 4096, 1ull << 40, UINT64_MAX - 4095, UINT64_MAX};
    struct connection c = open_it(), other = open_it();
    for (uint32_t memory = 0; memory < 5; memory++)
        for (unsigned i = 0; i < ABX_ARRAY_SIZE(sizes); i++) {
            struct blob blob = {.memory = memory, .flags = 7, .bytes = sizes[i], .id = i};
            CHECK(ioctl(c.drm, _IOWR('d', 0x4a, struct blob), &blob) < 0, "memory %u", memory);
        }
    for (uint64_t set = 0; set < 64; set++) {
        uint64_t parameter[2] = {1, set}; /* the context's capability set */
        struct init init = {1, 0, (uintptr_t)parameter};
        CHECK(ioctl(c.drm, _IOWR('d', 0x4b, struct init), &init) < 0, "set %u", (unsigned)set);
    }
    struct {
        uint64_t offset;
        uint32_t handle, padding;
    } where = {.handle = other.buffer.handle};
    CHECK(ioctl(other.drm, _IOWR('d', 0x41, where), &where) == 0, "its own");
    CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, c.drm, (off_t)where.offset) == MAP_FAILED,
            "another's buffer is mapped");
    for (uint32_t i = 1; i < 64; i++) {
        struct {
            uint64_t offset;
            uint32_t handle, padding;
        } none = {.handle = c.buffer.handle + i};
        CHECK(ioctl(c.drm, _IOWR('d', 0x41, none), &none) < 0, "handle %u", i);
    }
    check_alive(&c, 3);
    leave(&c);
    leave(&other);
}

/* ---- too much */

static void exhaust(void)
{
    char place[64];
    int all[160];
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(all); i++) { /* more contexts than there may be */
        const struct abx_virtgpu_command ping = {ABX_VIRTGPU_MAGIC, ABX_VIRTGPU_PING, 0, 0, 0, 1};
        all[i] = abx_drm_find(place, sizeof place);
        abx_drm_submit(all[i], &ping, sizeof ping, NULL);
    }
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(all); i++)
        close(all[i]);
    struct connection c = open_it();     /* and there is room again */
    for (unsigned i = 0; i < 300; i++) { /* nobody asks after these fences */
        const struct abx_virtgpu_command sleep = {ABX_VIRTGPU_MAGIC, ABX_VIRTGPU_SLEEP, 0, 0, 0,
                atomic_load(&c.pages->control.wakes)};
        CHECK(say(&c, &sleep, NULL, NULL) == 0, "sleep %u", i);
    }
    check_alive(&c, 4);
    for (unsigned i = 0; i < 1000; i++) {
        struct abx_drm_buffer one;
        CHECK(abx_drm_buffer_make(c.drm, 4096, &one) == 0, "buffer %u", i);
        if (i % 2)
            abx_drm_buffer_close(c.drm, &one);
    }
    check_alive(&c, 5);
    leave(&c);
}

/* ---- memory */

static uint8_t secret(unsigned place, uint8_t key)
{
    return (uint8_t)((place * 37u + 11u) ^ key ^ (place >> 3));
}

/* Nowhere in this program does it lie in one piece. */
static uint64_t find(const uint8_t *data, size_t bytes, uint8_t key)
{
    uint64_t found = 0;
    const uint8_t *end = data + bytes - 64;
    for (const uint8_t *at = data; (at = memchr(at, secret(0, key), (size_t)(end - at)));) {
        unsigned i = 1;
        while (i < 64 && at[i] == secret(i, key))
            i++;
        found += i == 64;
        if (++at >= end)
            break;
    }
    return found;
}

static uint64_t scan(uint8_t key)
{
    static uint8_t block[1 << 20];
    Elf64_Ehdr head;
    Elf64_Phdr segments[64];
    uint64_t found = 0, all = 0;
    int fd = open("/proc/kcore", O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0 && read(fd, &head, sizeof head) == sizeof head, "no /proc/kcore");
    CHECK(head.e_phnum <= 64 &&
                    pread(fd, segments, head.e_phnum * sizeof *segments, (off_t)head.e_phoff) > 0,
            "segments");
    for (unsigned i = 0; i < head.e_phnum; i++) {
        const Elf64_Phdr *s = &segments[i];
        if (s->p_type != PT_LOAD || s->p_paddr == UINT64_MAX || s->p_filesz > 1ull << 36)
            continue;
        for (uint64_t at = 0; at < s->p_filesz; at += sizeof block) {
            uint64_t left = s->p_filesz - at, n = left < sizeof block ? left : sizeof block;
            ssize_t got = pread(fd, block, n, (off_t)(s->p_offset + at));
            if (got > 64)
                found += find(block, (size_t)got, key);
            all += got > 0 ? (uint64_t)got : 0;
        }
    }
    printf("%llu MiB scanned\n", (unsigned long long)(all >> 20));
    close(fd);
    return found;
}

static void look_for_secret(void)
{
    struct connection c = open_it();
    struct abx_drm_buffer fresh;
    void *p;
    CHECK(abx_drm_buffer_make(c.drm, 64 << 20, &fresh) == 0, "no buffer");
    CHECK(abx_drm_buffer_map_anywhere(c.drm, &fresh, &p) == 0, "no mapping");
    for (size_t i = 0; i < (64 << 20) / 8; i++)
        CHECK(!((uint64_t *)p)[i], "a fresh buffer is not empty at %zu", i * 8);
    for (unsigned i = 0; i < 64; i++) /* that it would be found */
        ((uint8_t *)p)[(32 << 20) + i] = secret(i, 0x33);
    CHECK(scan(0x33) >= 1, "not even what is there is found");
    CHECK(scan(0x5a) == 0, "another machine's memory is here");
    leave(&c);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "scan") == 0)
        look_for_secret();
    else {
        forge_resources();
        share_wrongly();
        share_twice();
        talk_nonsense();
        greet_wrongly();
        ask_for_more();
        exhaust();
    }
    struct connection c = open_it(); /* it is as it was */
    check_alive(&c, 6);
    puts("the device goes on");
    fflush(stdout);
    _exit(0); /* with all that is open */
}
