/* cli: the server of a shifted file system: answers the kernel's requests (linux/fuse.h) from one
 * mount; see shift.h. Runs as the host's root with no right but those over files. Every name is
 * looked up below the mount, without links. Modes are the kernel's to check (default_permissions);
 * here owners are shifted, in both directions. */
#include "cli/shift.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/fuse.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#define MAX_TRANSFER (256u << 10) /* of one read or write */
#define VALID_SECONDS 1u          /* so long the kernel may keep what it was told */
#define NOBODY 65534u
#define LOOK_FLAGS (O_PATH | O_NOFOLLOW | O_CLOEXEC)

static int fuse = -1, tree = -1;
static struct abx_owner_shift shift;
static _Alignas(8) uint8_t request[MAX_TRANSFER + 8192];
static _Alignas(8) uint8_t data[MAX_TRANSFER];

/* ---- answers */

static void answer(uint64_t unique, int error, const void *payload, size_t bytes)
{
    struct fuse_out_header head = {.len = (uint32_t)(sizeof head + (error < 0 ? 0 : bytes)),
            .error = error < 0 ? error : 0,
            .unique = unique};
    struct iovec parts[2] = {{&head, sizeof head}, {(void *)payload, bytes}};
    /* -ENOENT: nobody waits any more. */
    (void)!writev(fuse, parts, error < 0 || !bytes ? 1 : 2);
}

static uint32_t shown(uint32_t id, uint32_t first, uint32_t count)
{
    return id < count ? first + id : NOBODY;
}

/* False: nobody of whom the file system knows. */
static bool unshown(uint32_t id, uint32_t first, uint32_t count, uint32_t *ret)
{
    *ret = id - first;
    return id >= first && id - first < count;
}

static void fill(const struct stat *st, struct fuse_attr *a)
{
    *a = (struct fuse_attr){.ino = st->st_ino,
            .size = (uint64_t)st->st_size,
            .blocks = (uint64_t)st->st_blocks,
            .atime = (uint64_t)st->st_atim.tv_sec,
            .mtime = (uint64_t)st->st_mtim.tv_sec,
            .ctime = (uint64_t)st->st_ctim.tv_sec,
            .atimensec = (uint32_t)st->st_atim.tv_nsec,
            .mtimensec = (uint32_t)st->st_mtim.tv_nsec,
            .ctimensec = (uint32_t)st->st_ctim.tv_nsec,
            .mode = st->st_mode,
            .nlink = (uint32_t)st->st_nlink,
            .uid = shown(st->st_uid, shift.first_user, shift.users),
            .gid = shown(st->st_gid, shift.first_group, shift.groups),
            .rdev = (major(st->st_rdev) & 0xfff) << 8 | (minor(st->st_rdev) & 0xff) |
                    (minor(st->st_rdev) & ~0xffu) << 12,
            .blksize = (uint32_t)st->st_blksize};
}

/* ---- names */

static bool plain_name(const char *name)
{
    return *name && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* Below the root, through no link (one at the end can be looked at): a descriptor or -errno. */
static int open_path(const char *path, uint64_t flags)
{
    struct open_how how = {.flags = flags | O_NOFOLLOW | O_CLOEXEC,
            .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV};
    int fd = (int)syscall(SYS_openat2, tree, path, &how, sizeof how);
    return fd < 0 ? -errno : fd;
}

static int open_node(uint64_t node, uint64_t flags)
{
    char path[PATH_MAX];
    int r = abx_shift_path(node, path, sizeof path);
    return r < 0 ? r : open_path(path, flags);
}

static int stat_node(uint64_t node, struct stat *ret)
{
    int fd = open_node(node, LOOK_FLAGS);
    int r = fd < 0 ? fd : fstat(fd, ret) < 0 ? -errno : 0;
    if (fd >= 0)
        close(fd);
    return r;
}

/* The answer of all that makes or finds a name. */
static int enter(uint64_t folder, const char *name, struct fuse_entry_out *ret)
{
    struct stat st;
    int at = open_node(folder, LOOK_FLAGS | O_DIRECTORY);
    int r = at < 0                                                              ? at
            : fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0 ? -errno
                                                                                : 0;
    if (at >= 0)
        close(at);
    if (r < 0)
        return r;
    *ret = (struct fuse_entry_out){.nodeid = abx_shift_look_up(folder, name),
            .entry_valid = VALID_SECONDS,
            .attr_valid = VALID_SECONDS};
    fill(&st, &ret->attr);
    return ret->nodeid ? 0 : -ENOMEM;
}

/* ---- making */

struct making {
    const struct fuse_in_header *head;
    uint32_t user, group;
    int folder;
};

/* Whoever asks has to be somebody here; the folder, opened. */
static int making_begin(struct making *m, const struct fuse_in_header *head, const char *name)
{
    m->head = head;
    if (!plain_name(name))
        return -EINVAL;
    if (!unshown(head->uid, shift.first_user, shift.users, &m->user) ||
            !unshown(head->gid, shift.first_group, shift.groups, &m->group))
        return -EOVERFLOW;
    m->folder = open_node(head->nodeid, LOOK_FLAGS | O_DIRECTORY);
    return m->folder < 0 ? m->folder : 0;
}

/* r: of the making. Gives it to whom it belongs, and ends. */
static int making_end(struct making *m, const char *name, int r)
{
    struct stat st;
    if (r == 0 && fstat(m->folder, &st) == 0) {
        gid_t group = st.st_mode & S_ISGID ? (gid_t)-1 : m->group;
        if (fchownat(m->folder, name, m->user, group, AT_SYMLINK_NOFOLLOW) < 0)
            r = -errno;
    }
    close(m->folder);
    return r;
}

static void make(
        const struct fuse_in_header *head, const char *name, const char *target, mode_t mode)
{
    struct fuse_entry_out entry;
    struct making m;
    int r = making_begin(&m, head, name);
    if (r == 0) {
        if (head->opcode == FUSE_SYMLINK)
            r = symlinkat(target, m.folder, name);
        else if (head->opcode == FUSE_MKDIR)
            r = mkdirat(m.folder, name, mode & 07777);
        else /* devices are none of a container's to make */
            r = S_ISREG(mode) || S_ISFIFO(mode) || S_ISSOCK(mode) ? mknodat(m.folder, name, mode, 0)
                                                                  : (errno = EPERM, -1);
        r = making_end(&m, name, r < 0 ? -errno : 0);
    }
    if (r == 0)
        r = enter(head->nodeid, name, &entry);
    answer(head->unique, r, &entry, sizeof entry);
}

static void make_open(
        const struct fuse_in_header *head, const struct fuse_create_in *in, const char *name)
{
    struct {
        struct fuse_entry_out entry;
        struct fuse_open_out open;
    } out = {0};
    struct making m;
    int fd = -1, r = making_begin(&m, head, name);
    if (r == 0) {
        int flags = (int)(in->flags & (O_ACCMODE | O_APPEND)) | O_CREAT | O_EXCL;
        fd = openat(m.folder, name, flags | O_NOFOLLOW | O_CLOEXEC, in->mode & 07777);
        r = making_end(&m, name, fd < 0 ? -errno : 0);
    }
    if (r == 0)
        r = enter(head->nodeid, name, &out.entry);
    out.open.fh = (uint64_t)fd;
    if (r < 0 && fd >= 0)
        close(fd);
    answer(head->unique, r, &out, sizeof out);
}

static void link_name(const struct fuse_in_header *head, uint64_t node, const char *name)
{
    struct fuse_entry_out entry;
    char from[PATH_MAX];
    int at = open_node(head->nodeid, LOOK_FLAGS | O_DIRECTORY);
    int r = at < 0 ? at : !plain_name(name) ? -EINVAL : abx_shift_path(node, from, sizeof from);
    /* By descriptor: the path could have become another since it was looked up. */
    int file = r < 0 ? r : open_path(from, LOOK_FLAGS);
    if (r == 0)
        r = file < 0 ? file : linkat(file, "", at, name, AT_EMPTY_PATH) < 0 ? -errno : 0;
    if (file >= 0)
        close(file);
    if (at >= 0)
        close(at);
    if (r == 0)
        r = enter(head->nodeid, name, &entry);
    answer(head->unique, r, &entry, sizeof entry);
}

/* ---- taking away, and moving */

static void take_away(const struct fuse_in_header *head, const char *name)
{
    int at = open_node(head->nodeid, LOOK_FLAGS | O_DIRECTORY);
    int flags = head->opcode == FUSE_RMDIR ? AT_REMOVEDIR : 0;
    int r = at < 0 ? at : !plain_name(name) ? -EINVAL : unlinkat(at, name, flags) < 0 ? -errno : 0;
    if (at >= 0)
        close(at);
    if (r == 0)
        abx_shift_removed(head->nodeid, name);
    answer(head->unique, r, NULL, 0);
}

static void move(
        const struct fuse_in_header *head, uint64_t new_folder, uint32_t flags, const char *name)
{
    const char *new_name = name + strlen(name) + 1;
    int from = open_node(head->nodeid, LOOK_FLAGS | O_DIRECTORY);
    int to = open_node(new_folder, LOOK_FLAGS | O_DIRECTORY);
    int r = from < 0 ? from : to < 0 ? to : 0;
    if (r == 0 && (!plain_name(name) || !plain_name(new_name) || (flags & ~RENAME_NOREPLACE)))
        r = -EINVAL;
    if (r == 0 && renameat2(from, name, to, new_name, flags) < 0)
        r = -errno;
    if (from >= 0)
        close(from);
    if (to >= 0)
        close(to);
    if (r == 0)
        abx_shift_renamed(head->nodeid, name, new_folder, new_name);
    answer(head->unique, r, NULL, 0);
}

/* ---- attributes */

static void say_attributes(const struct fuse_in_header *head, int r, const struct stat *st)
{
    struct fuse_attr_out out = {.attr_valid = VALID_SECONDS};
    if (r == 0)
        fill(st, &out.attr);
    answer(head->unique, r, &out, sizeof out);
}

static void get_attributes(const struct fuse_in_header *head, const struct fuse_getattr_in *in)
{
    struct stat st;
    bool open = in->getattr_flags & FUSE_GETATTR_FH;
    int r = open ? (fstat((int)in->fh, &st) < 0 ? -errno : 0) : stat_node(head->nodeid, &st);
    say_attributes(head, r, &st);
}

static int set_owner(uint64_t node, const struct fuse_setattr_in *in)
{
    uint32_t user = (uint32_t)-1, group = (uint32_t)-1;
    if ((in->valid & FATTR_UID) && !unshown(in->uid, shift.first_user, shift.users, &user))
        return -EOVERFLOW;
    if ((in->valid & FATTR_GID) && !unshown(in->gid, shift.first_group, shift.groups, &group))
        return -EOVERFLOW;
    int fd = open_node(node, LOOK_FLAGS);
    int r = fd < 0 ? fd : fchownat(fd, "", user, group, AT_EMPTY_PATH) < 0 ? -errno : 0;
    if (fd >= 0)
        close(fd);
    return r;
}

/* Of files and folders; others keep what they have. */
static int set_mode(uint64_t node, mode_t mode)
{
    int fd = open_node(node, O_RDONLY | O_NONBLOCK);
    int r = fd < 0 ? (fd == -ENXIO ? -EPERM : fd) : fchmod(fd, mode & 07777) < 0 ? -errno : 0;
    if (fd >= 0)
        close(fd);
    return r;
}

static int set_size(uint64_t node, const struct fuse_setattr_in *in)
{
    if (in->valid & FATTR_FH)
        return ftruncate((int)in->fh, (off_t)in->size) < 0 ? -errno : 0;
    int fd = open_node(node, O_WRONLY | O_NONBLOCK);
    int r = fd < 0 ? fd : ftruncate(fd, (off_t)in->size) < 0 ? -errno : 0;
    if (fd >= 0)
        close(fd);
    return r;
}

static int set_times(uint64_t node, const struct fuse_setattr_in *in)
{
    struct timespec times[2] = {{0, UTIME_OMIT}, {0, UTIME_OMIT}};
    if (in->valid & FATTR_ATIME)
        times[0] = (struct timespec){(time_t)in->atime, (long)in->atimensec};
    if (in->valid & FATTR_ATIME_NOW)
        times[0].tv_nsec = UTIME_NOW;
    if (in->valid & FATTR_MTIME)
        times[1] = (struct timespec){(time_t)in->mtime, (long)in->mtimensec};
    if (in->valid & FATTR_MTIME_NOW)
        times[1].tv_nsec = UTIME_NOW;
    int fd = open_node(node, LOOK_FLAGS);
    int r = fd < 0 ? fd : utimensat(fd, "", times, AT_EMPTY_PATH) < 0 ? -errno : 0;
    if (fd >= 0)
        close(fd);
    return r;
}

static void set_attributes(const struct fuse_in_header *head, const struct fuse_setattr_in *in)
{
    struct stat st;
    int r = 0;
    if (in->valid & (FATTR_UID | FATTR_GID))
        r = set_owner(head->nodeid, in);
    if (r == 0 && (in->valid & FATTR_MODE)) /* after the owner, which takes bits away */
        r = set_mode(head->nodeid, in->mode);
    if (r == 0 && (in->valid & FATTR_SIZE))
        r = set_size(head->nodeid, in);
    if (r == 0 && (in->valid & (FATTR_ATIME | FATTR_MTIME)))
        r = set_times(head->nodeid, in);
    if (r == 0)
        r = in->valid & FATTR_FH ? (fstat((int)in->fh, &st) < 0 ? -errno : 0)
                                 : stat_node(head->nodeid, &st);
    say_attributes(head, r, &st);
}

static void statistics(const struct fuse_in_header *head)
{
    struct statvfs s;
    struct fuse_statfs_out out = {0};
    int r = fstatvfs(tree, &s) < 0 ? -errno : 0;
    if (r == 0)
        out.st = (struct fuse_kstatfs){.blocks = s.f_blocks,
                .bfree = s.f_bfree,
                .bavail = s.f_bavail,
                .files = s.f_files,
                .ffree = s.f_ffree,
                .bsize = (uint32_t)s.f_bsize,
                .namelen = (uint32_t)s.f_namemax,
                .frsize = (uint32_t)s.f_frsize};
    answer(head->unique, r, &out, sizeof out);
}

/* ---- contents */

static void read_link(const struct fuse_in_header *head)
{
    char target[PATH_MAX];
    int fd = open_node(head->nodeid, LOOK_FLAGS);
    ssize_t n = fd < 0 ? fd : readlinkat(fd, "", target, sizeof target);
    if (fd >= 0 && n < 0)
        n = -errno;
    if (fd >= 0)
        close(fd);
    answer(head->unique, n < 0 ? (int)n : 0, target, n < 0 ? 0 : (size_t)n);
}

static void open_file(const struct fuse_in_header *head, const struct fuse_open_in *in)
{
    struct fuse_open_out out = {0};
    uint64_t flags = head->opcode == FUSE_OPENDIR
                             ? O_RDONLY | O_DIRECTORY
                             : (in->flags & (O_ACCMODE | O_APPEND | O_TRUNC)) | O_NONBLOCK;
    int fd = open_node(head->nodeid, flags);
    out.fh = (uint64_t)fd;
    answer(head->unique, fd < 0 ? fd : 0, &out, sizeof out);
}

static void read_file(const struct fuse_in_header *head, const struct fuse_read_in *in)
{
    size_t want = in->size < sizeof data ? in->size : sizeof data;
    ssize_t n = pread((int)in->fh, data, want, (off_t)in->offset);
    answer(head->unique, n < 0 ? -errno : 0, data, n < 0 ? 0 : (size_t)n);
}

static void write_file(const struct fuse_in_header *head, const struct fuse_write_in *in)
{
    struct fuse_write_out out = {0};
    ssize_t n = pwrite((int)in->fh, in + 1, in->size, (off_t)in->offset);
    out.size = n < 0 ? 0 : (uint32_t)n;
    answer(head->unique, n < 0 ? -errno : 0, &out, sizeof out);
}

struct kernel_entry {
    uint64_t ino;
    int64_t next;
    unsigned short bytes;
    unsigned char type;
    char name[];
};

static void read_folder(const struct fuse_in_header *head, const struct fuse_read_in *in)
{
    static _Alignas(8) uint8_t entries[32768];
    size_t cap = in->size < sizeof data ? in->size : sizeof data, length = 0;
    long n = lseek((int)in->fh, (off_t)in->offset, SEEK_SET) < 0
                     ? -errno
                     : syscall(SYS_getdents64, (int)in->fh, entries, sizeof entries);
    if (n < 0) {
        answer(head->unique, -errno, NULL, 0);
        return;
    }
    for (long at = 0; at < n;) {
        const struct kernel_entry *e = (const void *)(entries + at);
        size_t name = strlen(e->name), bytes = FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + name);
        if (length + bytes > cap)
            break; /* the next call begins with it */
        struct fuse_dirent *to = (void *)(data + length);
        memset(to, 0, bytes);
        *to = (struct fuse_dirent){.ino = e->ino,
                .off = (uint64_t)e->next,
                .namelen = (uint32_t)name,
                .type = e->type};
        memcpy(to->name, e->name, name);
        length += bytes;
        at += e->bytes;
    }
    answer(head->unique, 0, data, length);
}

/* ---- the loop */

static void begin(const struct fuse_in_header *head, const struct fuse_init_in *in)
{
    struct fuse_init_out out = {.major = FUSE_KERNEL_VERSION,
            .minor = FUSE_KERNEL_MINOR_VERSION,
            .max_readahead = in->max_readahead,
            .flags = in->flags & (FUSE_ASYNC_READ | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES |
                                         FUSE_MAX_PAGES | FUSE_PARALLEL_DIROPS),
            .max_background = 16,
            .congestion_threshold = 12,
            .max_write = MAX_TRANSFER,
            .max_pages = MAX_TRANSFER / 4096,
            .time_gran = 1};
    answer(head->unique, in->major < 7 ? -EPROTO : 0, &out, sizeof out);
}

static void forget_many(const struct fuse_batch_forget_in *in)
{
    const struct fuse_forget_one *one = (const void *)(in + 1);
    for (uint32_t i = 0; i < in->count; i++)
        abx_shift_forget(one[i].nodeid, one[i].nlookup);
}

static void look_up(const struct fuse_in_header *head, const char *name)
{
    struct fuse_entry_out entry;
    int r = plain_name(name) ? enter(head->nodeid, name, &entry) : -EINVAL;
    answer(head->unique, r, &entry, sizeof entry);
}

static void release(const struct fuse_in_header *head, uint64_t fh)
{
    close((int)fh);
    answer(head->unique, 0, NULL, 0);
}

static void sync_file(const struct fuse_in_header *head, const struct fuse_fsync_in *in)
{
    int r = in->fsync_flags & FUSE_FSYNC_FDATASYNC ? fdatasync((int)in->fh) : fsync((int)in->fh);
    answer(head->unique, r < 0 ? -errno : 0, NULL, 0);
}

static void serve_one(const struct fuse_in_header *head)
{
    const void *body = head + 1;
    const char *text = body;
    switch (head->opcode) {
    case FUSE_INIT:
        begin(head, body);
        break;
    case FUSE_LOOKUP:
        look_up(head, text);
        break;
    case FUSE_FORGET:
        abx_shift_forget(head->nodeid, ((const struct fuse_forget_in *)body)->nlookup);
        break;
    case FUSE_BATCH_FORGET:
        forget_many(body);
        break;
    case FUSE_INTERRUPT: /* nothing here takes long */
        break;
    case FUSE_GETATTR:
        get_attributes(head, body);
        break;
    case FUSE_SETATTR:
        set_attributes(head, body);
        break;
    case FUSE_READLINK:
        read_link(head);
        break;
    case FUSE_SYMLINK:
        make(head, text, text + strlen(text) + 1, 0);
        break;
    case FUSE_MKDIR:
        make(head, text + sizeof(struct fuse_mkdir_in), NULL,
                ((const struct fuse_mkdir_in *)body)->mode);
        break;
    case FUSE_MKNOD:
        make(head, text + sizeof(struct fuse_mknod_in), NULL,
                ((const struct fuse_mknod_in *)body)->mode);
        break;
    case FUSE_CREATE:
        make_open(head, body, text + sizeof(struct fuse_create_in));
        break;
    case FUSE_LINK:
        link_name(head, ((const struct fuse_link_in *)body)->oldnodeid,
                text + sizeof(struct fuse_link_in));
        break;
    case FUSE_UNLINK:
    case FUSE_RMDIR:
        take_away(head, text);
        break;
    case FUSE_RENAME:
        move(head, ((const struct fuse_rename_in *)body)->newdir, 0,
                text + sizeof(struct fuse_rename_in));
        break;
    case FUSE_RENAME2:
        move(head, ((const struct fuse_rename2_in *)body)->newdir,
                ((const struct fuse_rename2_in *)body)->flags,
                text + sizeof(struct fuse_rename2_in));
        break;
    case FUSE_OPEN:
    case FUSE_OPENDIR:
        open_file(head, body);
        break;
    case FUSE_READ:
        read_file(head, body);
        break;
    case FUSE_WRITE:
        write_file(head, body);
        break;
    case FUSE_READDIR:
        read_folder(head, body);
        break;
    case FUSE_RELEASE:
    case FUSE_RELEASEDIR:
        release(head, ((const struct fuse_release_in *)body)->fh);
        break;
    case FUSE_FSYNC:
    case FUSE_FSYNCDIR:
        sync_file(head, body);
        break;
    case FUSE_STATFS:
        statistics(head);
        break;
    default: /* the kernel does without, or says so to who asked */
        answer(head->unique, -ENOSYS, NULL, 0);
    }
}

_Noreturn void abx_shift_serve(int fuse_fd, int tree_fd, const struct abx_owner_shift *owners)
{
    fuse = fuse_fd;
    tree = tree_fd;
    shift = *owners;
    umask(0);
    for (;;) {
        ssize_t n = read(fuse, request, sizeof request - 1);
        if (n < 0 && (errno == EINTR || errno == ENOENT || errno == EAGAIN))
            continue;
        if (n < (ssize_t)sizeof(struct fuse_in_header))
            _exit(0); /* the mount has gone */
        request[n] = 0;
        serve_one((const void *)request);
    }
}
