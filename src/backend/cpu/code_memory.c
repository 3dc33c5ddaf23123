/* backend/cpu: the pages that machine code lies in. Worker process.
 *
 * A process has 65,530 mappings (vm.max_map_count), and a program may keep more pipelines than half
 * as many: so code lies beside code and constants beside constants, where the kernel makes one
 * mapping of neighbours that may be used alike. An arena is one stretch of addresses, its first
 * half for code and its second for data; what no pipeline has takes no memory. There are as many
 * arenas as it takes. */
#include "backend/cpu/code_memory.h"

#include "base/base.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* Twice the largest piece, so that an empty arena has room for any; both halves lie within what
 * 32-bit relative addresses reach. */
#define HALF_BYTES (2 * ABX_CODE_MEMORY_BYTES)
#define MAX_PAGES (HALF_BYTES / 4096)

struct half {
    char *base;
    size_t used;                    /* pages */
    size_t hint;                    /* no page below it is free */
    uint64_t taken[MAX_PAGES / 64]; /* a bit a page */
};

struct code_arena {
    struct code_arena *next;
    struct half code, data;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct code_arena *arenas;

static size_t page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static bool is_taken(const struct half *half, size_t page)
{
    return half->taken[page / 64] >> (page % 64) & 1;
}

static void mark(struct half *half, size_t first, size_t count, bool taken)
{
    for (size_t i = first; i < first + count; i++) {
        uint64_t bit = 1ull << (i % 64);
        half->taken[i / 64] = taken ? half->taken[i / 64] | bit : half->taken[i / 64] & ~bit;
    }
    half->used = taken ? half->used + count : half->used - count;
    if (!taken && first < half->hint)
        half->hint = first;
}

/* The first of `count` free pages in a row, ~0 when there are none: those lowest, so that
 * neighbours meet. */
static size_t find(struct half *half, size_t count)
{
    size_t all = HALF_BYTES / page_bytes(), row = 0;
    while (half->hint < all && is_taken(half, half->hint))
        half->hint++;
    for (size_t i = half->hint; i < all; i++) {
        row = is_taken(half, i) ? 0 : row + 1;
        if (row == count)
            return i + 1 - count;
    }
    return ~(size_t)0;
}

static struct code_arena *new_arena(void)
{
    struct code_arena *arena = calloc(1, sizeof *arena);
    if (!arena)
        return NULL;
    char *base = mmap(NULL, 2 * HALF_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) {
        free(arena);
        return NULL;
    }
    arena->code.base = base;
    arena->data.base = base + HALF_BYTES;
    arena->next = arenas;
    arenas = arena;
    return arena;
}

static void drop_if_empty(struct code_arena *arena)
{
    if (arena->code.used || arena->data.used)
        return;
    struct code_arena **at = &arenas;
    while (*at != arena)
        at = &(*at)->next;
    *at = arena->next;
    munmap(arena->code.base, 2 * HALF_BYTES);
    free(arena);
}

static bool take_from(struct code_arena *arena, struct abx_code_memory *ret)
{
    size_t page = page_bytes(), code_pages = ret->code_bytes / page,
           data_pages = ret->data_bytes / page;
    size_t code = find(&arena->code, code_pages), data = find(&arena->data, data_pages);
    if (code == ~(size_t)0 || data == ~(size_t)0)
        return false;
    mark(&arena->code, code, code_pages, true);
    mark(&arena->data, data, data_pages, true);
    ret->code = arena->code.base + code * page;
    ret->data = arena->data.base + data * page;
    ret->arena = arena;
    return true;
}

int abx_code_memory_take(size_t code_bytes, size_t data_bytes, struct abx_code_memory *ret)
{
    if (code_bytes - 1 >= ABX_CODE_MEMORY_BYTES || data_bytes - 1 >= ABX_CODE_MEMORY_BYTES)
        return -EINVAL;
    struct abx_code_memory memory = {.code_bytes = abx_align_up(code_bytes, page_bytes()),
            .data_bytes = abx_align_up(data_bytes, page_bytes())};
    pthread_mutex_lock(&lock);
    bool found = false;
    for (struct code_arena *arena = arenas; arena && !found; arena = arena->next)
        found = take_from(arena, &memory);
    if (!found) {
        struct code_arena *arena = new_arena();
        found = arena && take_from(arena, &memory);
    }
    pthread_mutex_unlock(&lock);
    if (!found)
        return -ENOMEM;
    if (mprotect(memory.code, memory.code_bytes, PROT_READ | PROT_WRITE) < 0 ||
            mprotect(memory.data, memory.data_bytes, PROT_READ | PROT_WRITE) < 0) {
        abx_code_memory_give_back(&memory);
        return -ENOMEM;
    }
    *ret = memory;
    return 0;
}

int abx_code_memory_seal(struct abx_code_memory *memory)
{
    if (mprotect(memory->code, memory->code_bytes, PROT_READ | PROT_EXEC) < 0 ||
            mprotect(memory->data, memory->data_bytes, PROT_READ) < 0)
        return -errno;
    return 0;
}

/* Puts nothing in the pages' place, which gives their memory back. False where the kernel has no
 * mapping left to cut them out with: then they stay as they are, and taken. */
static bool clear(struct half *half, char *from, size_t bytes)
{
    if (mmap(from, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
        return false;
    mark(half, (size_t)(from - half->base) / page_bytes(), bytes / page_bytes(), false);
    return true;
}

void abx_code_memory_give_back(struct abx_code_memory *memory)
{
    struct code_arena *arena = memory->arena;
    if (!arena)
        return;
    pthread_mutex_lock(&lock);
    clear(&arena->code, memory->code, memory->code_bytes);
    clear(&arena->data, memory->data, memory->data_bytes);
    drop_if_empty(arena);
    pthread_mutex_unlock(&lock);
    memory->arena = NULL;
}
