/* cli: the names that the kernel knows of a shifted file system; see shift.h. Runs in its server,
 * one thread. Numbers come from the kernel, which has them from us. */
#include "cli/shift.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS 16384u

struct abx_shift_node {
    struct abx_shift_node *next; /* of its bucket */
    struct abx_shift_node *folder;
    uint64_t look_ups;
    uint32_t children; /* nodes whose folder it is */
    bool removed;
    char *name;
};

static struct abx_shift_node *buckets[BUCKETS];
static struct abx_shift_node root = {.look_ups = 1};

static struct abx_shift_node *node_of(uint64_t number)
{
    return number == ABX_SHIFT_ROOT ? &root : (struct abx_shift_node *)(uintptr_t)number;
}

static struct abx_shift_node **bucket_of(const struct abx_shift_node *folder, const char *name)
{
    uint64_t hash = (uintptr_t)folder * 0x9e3779b97f4a7c15u;
    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 0x100000001b3u;
    return &buckets[(hash ^ hash >> 32) % BUCKETS];
}

/* Where it hangs; *at NULL: nowhere. */
static struct abx_shift_node **find(const struct abx_shift_node *folder, const char *name)
{
    struct abx_shift_node **at = bucket_of(folder, name);
    while (*at && ((*at)->folder != folder || strcmp((*at)->name, name) != 0))
        at = &(*at)->next;
    return at;
}

/* Also of its folders that only it kept. */
static void free_unused(struct abx_shift_node *node)
{
    while (node != &root && !node->look_ups && !node->children) {
        struct abx_shift_node *folder = node->folder;
        if (!node->removed) {
            struct abx_shift_node **at = find(folder, node->name);
            *at = node->next;
        }
        free(node->name);
        free(node);
        folder->children--;
        node = folder;
    }
}

static void hang(struct abx_shift_node *node, struct abx_shift_node *folder)
{
    struct abx_shift_node **bucket = bucket_of(folder, node->name);
    node->folder = folder;
    folder->children++;
    node->next = *bucket;
    *bucket = node;
}

static struct abx_shift_node *node_new(struct abx_shift_node *folder, const char *name)
{
    struct abx_shift_node *node = calloc(1, sizeof *node);
    if (!node || !(node->name = strdup(name))) {
        free(node);
        return NULL;
    }
    hang(node, folder);
    return node;
}

uint64_t abx_shift_look_up(uint64_t number, const char *name)
{
    struct abx_shift_node *folder = node_of(number), *node = *find(folder, name);
    if (!node)
        node = node_new(folder, name);
    if (node)
        node->look_ups++;
    return (uintptr_t)node;
}

void abx_shift_forget(uint64_t number, uint64_t look_ups)
{
    struct abx_shift_node *node = node_of(number);
    if (node == &root)
        return;
    node->look_ups -= look_ups < node->look_ups ? look_ups : node->look_ups;
    free_unused(node);
}

void abx_shift_removed(uint64_t number, const char *name)
{
    struct abx_shift_node **at = find(node_of(number), name), *node = *at;
    if (!node)
        return;
    *at = node->next;
    node->next = NULL;
    node->removed = true;
}

void abx_shift_renamed(uint64_t number, const char *name, uint64_t new_number, const char *new_name)
{
    struct abx_shift_node *node = *find(node_of(number), name), *folder = node_of(new_number);
    abx_shift_removed(new_number, new_name);
    if (!node)
        return;
    abx_shift_removed(number, name);
    char *copy = strdup(new_name);
    if (!copy)
        return; /* removed: it is looked up again */
    struct abx_shift_node *old = node->folder;
    free(node->name);
    node->name = copy;
    node->removed = false;
    hang(node, folder);
    old->children--;
    free_unused(old);
}

int abx_shift_path(uint64_t number, char *ret, size_t capacity)
{
    const struct abx_shift_node *node = node_of(number);
    size_t at = capacity;
    if (node == &root)
        return capacity < 2 ? -ENAMETOOLONG : (memcpy(ret, ".", 2), 0);
    ret[--at] = 0;
    for (; node != &root; node = node->folder) {
        size_t n = strlen(node->name);
        if (node->removed)
            return -ENOENT;
        if (n + 1 > at)
            return -ENAMETOOLONG;
        at -= n;
        memcpy(ret + at, node->name, n);
        if (node->folder != &root)
            ret[--at] = '/';
    }
    memmove(ret, ret + at, capacity - at);
    return 0;
}
