/* cli: files and folders as a stream of bytes (copy_stream.h).
 *
 * A record is a head, a name, and `size` bytes: 'd' a folder, in which what follows is until its
 * 'e'; 'f' a file, 'l' a link and where it leads; 'z' the end. */
#include "cli/copy_stream.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_DEPTH 64u
#define BLOCK 65536u

struct record {
    uint8_t type, contents; /* contents: of the first, "FOLDER/." was asked for */
    uint16_t name_length;
    uint32_t mode;
    uint64_t size;
};

struct copy {
    int fd; /* the stream */
    char *text;
    size_t capacity;
    char block[BLOCK];
};

static int fail(struct copy *c, const char *what, const char *name, int error)
{
    if (!c->text[0])
        snprintf(c->text, c->capacity, "cannot %s %s: %s", what, name, strerror(error));
    return -error;
}

static int put(struct copy *c, const void *data, size_t length)
{
    for (const char *at = data; length;) {
        ssize_t n = write(c->fd, at, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return fail(c, "pass on", "what was read", n < 0 ? errno : EIO);
        at += n;
        length -= (size_t)n;
    }
    return 0;
}

static int get(struct copy *c, void *data, size_t length)
{
    for (char *at = data; length;) {
        ssize_t n = read(c->fd, at, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return fail(c, "read", "from the other end", n < 0 ? errno : EPIPE);
        at += n;
        length -= (size_t)n;
    }
    return 0;
}

/* ---- sending */

static int put_record(
        struct copy *c, char type, bool contents, const char *name, uint32_t mode, uint64_t size)
{
    struct record head = {(uint8_t)type, contents, (uint16_t)strlen(name), mode, size};
    int r = put(c, &head, sizeof head);
    return r < 0 ? r : put(c, name, head.name_length);
}

/* A file that changes meanwhile has the size it had: cut off, or zeros at its end. */
static int send_file(struct copy *c, int fd, const char *name, const struct stat *st)
{
    uint64_t left = (uint64_t)st->st_size;
    int r = put_record(c, 'f', false, name, st->st_mode & 0777, left);
    bool ended = false;
    while (r == 0 && left) {
        size_t want = left < BLOCK ? (size_t)left : BLOCK;
        ssize_t n = ended ? 0 : read(fd, c->block, want);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(c, "read", name, errno);
        if (n == 0) {
            ended = true;
            memset(c->block, 0, want);
            n = (ssize_t)want;
        }
        left -= (uint64_t)n;
        r = put(c, c->block, (size_t)n);
    }
    return r;
}

static int send_opened(struct copy *c, int fd, const char *name, bool contents, unsigned depth);

static int send_entry(struct copy *c, int folder, const char *name, unsigned depth)
{
    struct stat st;
    char target[PATH_MAX];
    if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : fail(c, "look at", name, errno);
    if (S_ISLNK(st.st_mode)) {
        ssize_t n = readlinkat(folder, name, target, sizeof target);
        if (n < 0 || n == sizeof target)
            return 0;
        int r = put_record(c, 'l', false, name, 0777, (uint64_t)n);
        return r < 0 ? r : put(c, target, (size_t)n);
    }
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
        return 0;
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    return fd < 0 ? fail(c, "open", name, errno) : send_opened(c, fd, name, false, depth);
}

static int send_folder(struct copy *c, int fd, const char *name, bool contents, unsigned depth)
{
    struct stat st;
    int r = depth >= MAX_DEPTH ? fail(c, "copy so deep a folder as", name, ELOOP) : 0;
    if (r == 0 && fstat(fd, &st) == 0)
        r = put_record(c, 'd', contents, name, st.st_mode & 0777, 0);
    DIR *d = r == 0 ? fdopendir(fd) : NULL;
    if (!d) {
        close(fd);
        return r < 0 ? r : fail(c, "read the folder", name, errno);
    }
    for (struct dirent *e; r == 0 && (e = readdir(d));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            r = send_entry(c, fd, e->d_name, depth + 1);
    closedir(d);
    return r < 0 ? r : put_record(c, 'e', false, "", 0, 0);
}

/* `fd` is closed. */
static int send_opened(struct copy *c, int fd, const char *name, bool contents, unsigned depth)
{
    struct stat st;
    int r = fstat(fd, &st) < 0 ? fail(c, "look at", name, errno) : 0;
    if (r == 0 && S_ISDIR(st.st_mode))
        return send_folder(c, fd, name, contents, depth);
    if (r == 0)
        r = S_ISREG(st.st_mode) ? send_file(c, fd, name, &st)
                                : fail(c, "copy (it is neither a file nor a folder)", name, EINVAL);
    close(fd);
    return r;
}

/* The last part of a path, without slashes at its end; "root" for the root. */
static void last_part(const char *path, char name[NAME_MAX + 1])
{
    size_t n = strlen(path);
    while (n && path[n - 1] == '/')
        n--;
    size_t start = n;
    while (start && path[start - 1] != '/')
        start--;
    snprintf(name, NAME_MAX + 1, "%.*s", (int)(n - start), path + start);
    if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        strcpy(name, "root");
}

int abx_copy_send(int out, const char *path, char *text, size_t capacity)
{
    struct copy *c = calloc(1, sizeof *c);
    char name[NAME_MAX + 1];
    size_t n = strlen(path);
    bool contents = strcmp(path, ".") == 0 || (n > 1 && strcmp(path + n - 2, "/.") == 0);
    text[0] = 0;
    if (!c)
        return -ENOMEM;
    *c = (struct copy){.fd = out, .text = text, .capacity = capacity};
    last_part(path, name);
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    int r = fd < 0 ? fail(c, "open", path, errno) : send_opened(c, fd, name, contents, 0);
    if (r == 0)
        r = put_record(c, 'z', false, "", 0, 0);
    free(c);
    return r;
}

/* ---- receiving */

static int get_record(struct copy *c, struct record *head, char name[NAME_MAX + 1])
{
    int r = get(c, head, sizeof *head);
    if (r == 0 && head->name_length > NAME_MAX)
        r = fail(c, "take", "what the other end sent", EPROTO);
    if (r == 0)
        r = get(c, name, head->name_length);
    name[r == 0 ? head->name_length : 0] = 0;
    bool named = r == 0 && strchr("dfl", head->type) && head->type;
    if (r == 0 && !named && head->type != 'e' && head->type != 'z')
        r = fail(c, "take", "what the other end sent", EPROTO);
    if (named && (strlen(name) != head->name_length || !*name || strchr(name, '/') ||
                         strcmp(name, ".") == 0 || strcmp(name, "..") == 0))
        r = fail(c, "take", "a name that the other end sent", EPROTO);
    return r;
}

static int receive_file(struct copy *c, int folder, const char *name, const struct record *head)
{
    unlinkat(folder, name, 0); /* what cannot be is said below */
    int fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    int r = fd < 0 ? fail(c, "make", name, errno) : 0;
    for (uint64_t left = head->size; r == 0 && left;) {
        size_t n = left < BLOCK ? (size_t)left : BLOCK;
        r = get(c, c->block, n);
        for (size_t at = 0; r == 0 && at < n;) {
            ssize_t written = write(fd, c->block + at, n - at);
            if (written < 0 && errno != EINTR)
                r = fail(c, "write", name, errno);
            at += written > 0 ? (size_t)written : 0;
        }
        left -= n;
    }
    if (fd >= 0) {
        fchmod(fd, head->mode & 0777);
        close(fd);
    }
    return r;
}

static int receive_link(struct copy *c, int folder, const char *name, const struct record *head)
{
    char target[PATH_MAX];
    if (head->size >= sizeof target)
        return fail(c, "take", "a link that the other end sent", EPROTO);
    int r = get(c, target, (size_t)head->size);
    target[r == 0 ? head->size : 0] = 0;
    if (r == 0 && unlinkat(folder, name, 0) < 0 && errno != ENOENT)
        r = fail(c, "replace", name, errno);
    if (r == 0 && symlinkat(target, folder, name) < 0)
        r = fail(c, "make the link", name, errno);
    return r;
}

static int receive_into(struct copy *c, int folder, unsigned depth);

/* A folder that is there is added to. */
static int receive_folder(
        struct copy *c, int parent, const char *name, const struct record *head, unsigned depth)
{
    if (depth >= MAX_DEPTH)
        return fail(c, "make so deep a folder as", name, ELOOP);
    bool made = mkdirat(parent, name, 0700) == 0;
    if (!made && errno != EEXIST)
        return fail(c, "make the folder", name, errno);
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return fail(c, "open the folder", name, errno);
    int r = receive_into(c, fd, depth + 1);
    if (made)
        fchmod(fd, head->mode & 0777);
    close(fd);
    return r;
}

static int receive_entry(
        struct copy *c, int folder, const char *name, const struct record *head, unsigned depth)
{
    return head->type == 'f'   ? receive_file(c, folder, name, head)
           : head->type == 'l' ? receive_link(c, folder, name, head)
                               : receive_folder(c, folder, name, head, depth);
}

/* Until the folder's 'e'. */
static int receive_into(struct copy *c, int folder, unsigned depth)
{
    for (;;) {
        struct record head;
        char name[NAME_MAX + 1];
        int r = get_record(c, &head, name);
        if (r < 0 || head.type == 'e')
            return r;
        if (head.type == 'z')
            return fail(c, "take", "what the other end sent", EPROTO);
        r = receive_entry(c, folder, name, &head, depth);
        if (r < 0)
            return r;
    }
}

/* The folder that `path` is in; `name` is its last part. */
static int open_parent(struct copy *c, const char *path, char name[NAME_MAX + 1])
{
    char parent[PATH_MAX];
    snprintf(parent, sizeof parent, "%s", path);
    for (size_t n = strlen(parent); n > 1 && parent[n - 1] == '/'; n--)
        parent[n - 1] = 0;
    char *slash = strrchr(parent, '/');
    snprintf(name, NAME_MAX + 1, "%.*s", NAME_MAX, slash ? slash + 1 : parent);
    if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return fail(c, "copy to", path, EINVAL);
    if (slash)
        slash[slash == parent] = 0;
    int fd = open(slash ? parent : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? fail(c, "open the folder", slash ? parent : ".", errno) : fd;
}

int abx_copy_receive(int in, const char *path, char *text, size_t capacity)
{
    struct copy *c = calloc(1, sizeof *c);
    struct record head;
    char name[NAME_MAX + 1], own[NAME_MAX + 1];
    text[0] = 0;
    if (!c)
        return -ENOMEM;
    *c = (struct copy){.fd = in, .text = text, .capacity = capacity};
    int r = get_record(c, &head, name);
    if (r == 0 && (head.type == 'e' || head.type == 'z'))
        r = fail(c, "take", "what the other end sent", EPROTO);
    int folder = r < 0 ? -1 : open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder >= 0 && head.type == 'd' && head.contents)
        r = receive_into(c, folder, 1);
    else if (folder >= 0)
        r = receive_entry(c, folder, name, &head, 0);
    else if (r == 0) {
        folder = r = open_parent(c, path, own);
        if (r >= 0)
            r = receive_entry(c, folder, own, &head, 0);
    }
    if (r == 0)
        r = get_record(c, &head, name);
    if (folder >= 0)
        close(folder);
    free(c);
    return r;
}
