/* host: the disk cache of compiled libraries and pipelines. Runs in the compiler process, never in
 * its children. The folder is this user's alone; keys are hashes of everything that went in, made
 * by this process. Whatever goes wrong here costs a compile, not an error. */
#include "host/compiler_internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CACHE_BYTES (1ull << 30) /* ggml's library with all its pipelines is 60 MB */
#define PRUNE_EVERY 64u          /* puts between two looks at the size, */
#define PRUNE_PART 16u           /* or this part of the cap written */

static int folder = -1;
static uint64_t cap = CACHE_BYTES;

/* Ends an entry's file: of its key and all before. It finds what a crash or a bad disk did, not
 * what somebody meant to do: who may write here may run code anyway. Each step is a bijection, so a
 * change within one word is always found. */
static uint64_t checksum(const uint8_t key[32], const void *data, size_t bytes)
{
    const uint64_t multiplier = 0x9e3779b97f4a7c15u;
    const char *p = data;
    uint64_t sum = bytes, word;
    for (size_t i = 0; i < 32; i += 8) {
        memcpy(&word, key + i, 8);
        sum = (sum ^ word) * multiplier;
        sum ^= sum >> 32;
    }
    for (; bytes >= 8; p += 8, bytes -= 8) {
        memcpy(&word, p, 8);
        sum = (sum ^ word) * multiplier;
        sum ^= sum >> 32;
    }
    word = 0;
    memcpy(&word, p, bytes);
    sum = (sum ^ word) * multiplier;
    return sum ^ sum >> 32;
}

static void cache_name(const uint8_t key[32], char ret_name[66])
{
    snprintf(ret_name, 4, "%02x/", key[0]);
    for (int i = 1; i < 32; i++)
        snprintf(ret_name + 1 + 2 * i, 3, "%02x", key[i]);
}

static int open_folder(const char *path)
{
    struct stat st;
    char parent[4096];
    snprintf(parent, sizeof parent, "%s", path);
    for (char *p = parent + 1; (p = strchr(p, '/')); *p++ = '/') {
        *p = 0;
        mkdir(parent, 0700);
    }
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return -errno;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    /* Code comes out of it: nobody else may be able to put any in. */
    if (fstat(fd, &st) < 0 || st.st_uid != getuid() || (st.st_mode & 022)) {
        close(fd);
        return -EPERM;
    }
    return fd;
}

/* ---- size */

struct entry {
    char name[66];
    time_t used;
    uint64_t bytes;
};

static int by_age(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    return x->used < y->used ? -1 : x->used > y->used;
}

static struct entry *list(size_t *ret_count, uint64_t *ret_bytes)
{
    struct entry *entries = NULL;
    size_t count = 0, capacity = 0;
    for (int first = 0; first < 256; first++) {
        char sub[3];
        snprintf(sub, sizeof sub, "%02x", first);
        int fd = openat(folder, sub, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *dir = fd < 0 ? NULL : fdopendir(fd);
        struct dirent *d;
        while (dir && (d = readdir(dir))) {
            struct stat st;
            if (d->d_name[0] == '.' || strlen(d->d_name) > 62 ||
                    fstatat(fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                continue;
            if (count == capacity) {
                capacity = capacity ? capacity * 2 : 256;
                struct entry *more = realloc(entries, capacity * sizeof *entries);
                if (!more)
                    break;
                entries = more;
            }
            snprintf(entries[count].name, sizeof entries[count].name, "%s/%.62s", sub, d->d_name);
            entries[count].used = st.st_mtime;
            entries[count].bytes = (uint64_t)st.st_blocks * 512;
            *ret_bytes += entries[count++].bytes;
        }
        if (dir)
            closedir(dir);
    }
    *ret_count = count;
    return entries;
}

/* Over the cap: the least recently used go until four fifths are left. */
static void prune(void)
{
    size_t count = 0;
    uint64_t bytes = 0;
    struct entry *entries = list(&count, &bytes);
    if (bytes > cap) {
        qsort(entries, count, sizeof *entries, by_age);
        for (size_t i = 0; i < count && bytes > cap / 5 * 4; i++) {
            unlinkat(folder, entries[i].name, 0);
            bytes -= entries[i].bytes;
        }
    }
    free(entries);
}

void cache_open(void)
{
    const char *own = getenv("ARCBOX_CACHE_DIR"), *xdg = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME"), *bytes = getenv("ARCBOX_CACHE_BYTES");
    char path[4096];
    if (bytes && *bytes)
        cap = strtoull(bytes, NULL, 10);
    if (own && *own)
        snprintf(path, sizeof path, "%s", own);
    else if (xdg && *xdg == '/')
        snprintf(path, sizeof path, "%s/arcbox", xdg);
    else if (home && *home == '/')
        snprintf(path, sizeof path, "%s/.cache/arcbox", home);
    else
        return;
    folder = open_folder(path);
    if (folder < 0)
        compiler_log("no shader cache in %s: %s", path, strerror(-folder));
}

/* ---- entries */

struct artifact *cache_get(const uint8_t key[32])
{
    char name[66];
    void *data;
    size_t bytes;
    uint64_t sum;
    if (folder < 0)
        return NULL;
    cache_name(key, name);
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return NULL;
    int r = guarded_read(fd, ABX_SHADER_MAX_LIBRARY_BYTES + (1u << 20), &data, &bytes);
    if (r == 0)
        futimens(fd, NULL); /* used just now */
    close(fd);
    if (r < 0)
        return NULL;
    if (bytes > sizeof sum) {
        bytes -= sizeof sum;
        memcpy(&sum, (char *)data + bytes, sizeof sum);
        if (sum == checksum(key, data, bytes) && artifact_check(data, bytes) &&
                ((struct artifact *)data)->error == 0)
            return data;
    }
    compiler_log("the cache entry %s was damaged", name);
    guarded_free(data);
    unlinkat(folder, name, 0);
    return NULL;
}

void cache_put(const uint8_t key[32], const struct artifact *a, size_t bytes)
{
    static unsigned puts;
    static uint64_t written;
    static bool complained;
    char name[66], sub[3], temporary[32];
    if (folder < 0 || bytes > cap / PRUNE_PART)
        return; /* one tenant's giant is not worth everybody's entries */
    cache_name(key, name);
    snprintf(sub, sizeof sub, "%02x", key[0]);
    snprintf(temporary, sizeof temporary, "%s/.%d", sub, (int)getpid());
    mkdirat(folder, sub, 0700);
    int fd = openat(folder, temporary, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0600);
    uint64_t sum = checksum(key, a, bytes);
    int r = fd < 0 ? -errno : abx_write_all(fd, a, bytes);
    if (r == 0)
        r = abx_write_all(fd, &sum, sizeof sum);
    if (fd >= 0 && close(fd) < 0 && r == 0)
        r = -errno;
    if (r == 0 && renameat(folder, temporary, folder, name) < 0)
        r = -errno;
    if (r < 0) {
        unlinkat(folder, temporary, 0);
        if (!complained)
            compiler_log(
                    "the shader cache cannot be written (%s): compiling each time", strerror(-r));
        complained = true;
        return;
    }
    written += bytes;
    if (puts++ % PRUNE_EVERY == 0 || written > cap / PRUNE_PART) {
        written = 0;
        prune();
    }
}
