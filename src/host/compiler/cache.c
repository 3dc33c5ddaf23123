/* host: the disk cache of compiled libraries and pipelines. Runs in the compiler process, never in
 * its children. The folder is this user's alone; keys are hashes of everything that went in, made
 * by this process. Whatever goes wrong here costs a compile, not an error. */
#include "host/compiler/internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CACHE_BYTES (1ull << 30) /* ggml's library with all its pipelines is 60 MB */
#define PRUNE_EVERY 64u          /* puts between two looks at the size, */
#define PRUNE_PART 16u           /* or this part of the cap written */
#define STALE_SECONDS 3600       /* no entry takes so long to be written */
/* What waits to be written: more is compiled again when it is wanted. */
#define MAX_WAITING_BYTES (256ull << 20)

static int folder = -1;
static uint64_t cap = CACHE_BYTES;

/* Ends an entry's file: of its key and all before. It finds what a crash or a bad disk did, not
 * what somebody meant to do: who may write here may run code anyway. Each step is a bijection, so a
 * change within one word is always found. */
static uint64_t checksum_word(uint64_t sum, uint64_t word)
{
    sum = (sum ^ word) * 0x9e3779b97f4a7c15u;
    return sum ^ sum >> 32;
}

static uint64_t checksum_begin(const uint8_t key[32], size_t bytes)
{
    uint64_t sum = bytes, word;
    for (size_t i = 0; i < 32; i += 8) {
        memcpy(&word, key + i, 8);
        sum = checksum_word(sum, word);
    }
    return sum;
}

/* In parts of a multiple of 8 bytes, all but the last one; `last`: this is it. */
static uint64_t checksum_add(uint64_t sum, const void *data, size_t bytes, bool last)
{
    const char *p = data;
    uint64_t word;
    for (; bytes >= 8; p += 8, bytes -= 8) {
        memcpy(&word, p, 8);
        sum = checksum_word(sum, word);
    }
    if (!last)
        return sum;
    word = 0;
    memcpy(&word, p, bytes);
    return checksum_word(sum, word);
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

/* What a compiler that was killed left half-written. */
static void remove_stale(int fd, const char *name)
{
    struct stat st;
    if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
            fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
            st.st_mtime < time(NULL) - STALE_SECONDS)
        unlinkat(fd, name, 0);
}

static struct entry *list(size_t *ret_count, uint64_t *ret_bytes)
{
    struct entry *entries = NULL;
    uint32_t count = 0, capacity = 0;
    for (int first = 0; first < 256; first++) {
        char sub[3];
        snprintf(sub, sizeof sub, "%02x", first);
        int fd = openat(folder, sub, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *dir = fd < 0 ? NULL : fdopendir(fd);
        struct dirent *d;
        while (dir && (d = readdir(dir))) {
            struct stat st;
            if (d->d_name[0] == '.')
                remove_stale(fd, d->d_name);
            if (d->d_name[0] == '.' || strlen(d->d_name) > 62 ||
                    fstatat(fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                continue;
            if (!abx_grow((void **)&entries, &capacity, count, sizeof *entries, UINT32_MAX))
                break;
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

/* ---- reading */

struct cache_reading {
    uint8_t key[32];
    int from, to; /* the entry; a memory file */
    size_t bytes, done;
    uint64_t sum;
};

void cache_read_stop(struct cache_reading *r)
{
    if (!r)
        return;
    close(r->from);
    if (r->to >= 0)
        close(r->to);
    free(r);
}

struct cache_reading *cache_get(const uint8_t key[32])
{
    char name[66];
    struct stat st;
    if (folder < 0)
        return NULL;
    cache_name(key, name);
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return NULL;
    struct cache_reading *r = calloc(1, sizeof *r);
    if (!r || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < 0 ||
            (uint64_t)st.st_size > ABX_SHADER_MAX_LIBRARY_BYTES + (1u << 20)) {
        close(fd);
        free(r);
        return NULL;
    }
    memcpy(r->key, key, sizeof r->key);
    r->from = fd;
    r->to = memfd_create("arcbox-artifact", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    /* Shorter than its sum: damaged, as cache_read_some() will say. */
    r->bytes = st.st_size > 8 ? (size_t)st.st_size - 8 : 0;
    r->sum = checksum_begin(key, r->bytes);
    return r;
}

static int read_slice(struct cache_reading *r)
{
    static uint64_t slice[CACHE_SLICE_BYTES / 8]; /* one thread; too large for a stack */
    uint64_t sum;
    size_t left = r->bytes - r->done, n = left < sizeof slice ? left : sizeof slice;
    int e = r->to < 0 ? -EMFILE : !r->bytes ? -EBADMSG : abx_read_all(r->from, slice, n);
    if (e == 0)
        e = abx_write_all(r->to, slice, n);
    if (e < 0)
        return e;
    r->done += n;
    r->sum = checksum_add(r->sum, slice, n, n == left);
    if (n < left)
        return 0;
    e = abx_read_all(r->from, &sum, sizeof sum);
    return e < 0 ? e : sum != r->sum ? -EBADMSG : 1;
}

bool cache_read_some(struct cache_reading *r, int *ret_fd)
{
    char name[66];
    int e = read_slice(r);
    if (e == 0)
        return false;
    *ret_fd = -1;
    if (e == 1) {
        futimens(r->from, NULL); /* used just now */
        if (guarded_seal(r->to) == 0) {
            *ret_fd = r->to;
            r->to = -1;
        }
    } else if (e == -EBADMSG || e == -EPIPE) {
        cache_name(r->key, name);
        compiler_log("the cache entry %s was damaged", name);
        unlinkat(folder, name, 0);
    }
    cache_read_stop(r);
    return true;
}

/* ---- writing */

struct writing {
    struct writing *next;
    uint8_t key[32];
    int from, to;
    size_t bytes, done;
    uint64_t sum;
    char temporary[32];
};

static struct writing *writings, **writings_end = &writings;
static uint64_t waiting_bytes;

static void write_begin(struct writing *w)
{
    static unsigned serial;
    char sub[3];
    snprintf(sub, sizeof sub, "%02x", w->key[0]);
    snprintf(w->temporary, sizeof w->temporary, "%s/.%d.%u", sub, (int)getpid(), serial++);
    mkdirat(folder, sub, 0700);
    w->to = openat(
            folder, w->temporary, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0600);
}

/* 0: there is more; 1: it is there; or -errno. */
static int write_slice(struct writing *w)
{
    static uint64_t slice[CACHE_SLICE_BYTES / 8];
    char name[66];
    size_t left = w->bytes - w->done, n = left < sizeof slice ? left : sizeof slice;
    if (w->to < 0)
        return -errno;
    ssize_t got = pread(w->from, slice, n, (off_t)w->done);
    int r = got != (ssize_t)n ? -EIO : abx_write_all(w->to, slice, n);
    if (r < 0)
        return r;
    w->done += n;
    w->sum = checksum_add(w->sum, slice, n, n == left);
    if (n < left)
        return 0;
    r = abx_write_all(w->to, &w->sum, sizeof w->sum);
    if (close(w->to) < 0 && r == 0)
        r = -errno;
    w->to = -1;
    cache_name(w->key, name);
    if (r == 0 && renameat(folder, w->temporary, folder, name) < 0)
        r = -errno;
    return r < 0 ? r : 1;
}

static void write_over(struct writing *w, int r)
{
    static unsigned puts;
    static uint64_t written;
    static bool complained;
    if (w->to >= 0)
        close(w->to);
    if (r < 0) {
        unlinkat(folder, w->temporary, 0);
        if (!complained)
            compiler_log(
                    "the shader cache cannot be written (%s): compiling each time", strerror(-r));
        complained = true;
    }
    written += w->bytes;
    if (r > 0 && (puts++ % PRUNE_EVERY == 0 || written > cap / PRUNE_PART)) {
        written = 0;
        prune();
    }
    waiting_bytes -= w->bytes;
    writings = w->next;
    if (!writings)
        writings_end = &writings;
    close(w->from);
    free(w);
}

bool cache_write_some(void)
{
    struct writing *w = writings;
    if (!w)
        return false;
    if (!w->done)
        write_begin(w);
    int r = write_slice(w);
    if (r)
        write_over(w, r);
    return writings != NULL;
}

void cache_put(const uint8_t key[32], int fd, size_t bytes)
{
    if (folder < 0 || bytes > cap / PRUNE_PART)
        return; /* one tenant's giant is not worth everybody's entries */
    struct writing *w = waiting_bytes + bytes > MAX_WAITING_BYTES ? NULL : calloc(1, sizeof *w);
    int from = w ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : -1;
    if (from < 0) {
        free(w);
        return;
    }
    memcpy(w->key, key, sizeof w->key);
    w->from = from;
    w->to = -1;
    w->bytes = bytes;
    w->sum = checksum_begin(key, bytes);
    *writings_end = w;
    writings_end = &w->next;
    waiting_bytes += bytes;
    if (writings == w && bytes <= CACHE_SLICE_BYTES)
        cache_write_some();
}
