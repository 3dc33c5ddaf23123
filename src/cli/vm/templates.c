/* cli: templates.h. */
#include "cli/vm/templates.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/vm/template.h"
#include "cli/vm/vm.h"

#define PREFIX "template-"
#define MAKING ".making-"
#define MAKING_SECONDS 600 /* no maker lives so long */
#define TEMPLATES_ENV "ARCBOX_VM_TEMPLATES"
#define KEPT 3u /* that are younger: each takes 100 MB */

/* ---- what a template hangs on */

static void add_file(struct abx_string *key, const char *path)
{
    struct stat st = {0};
    if (stat(path, &st) < 0)
        key->failed = true;
    abx_string_printf(key, "%s %lld %lld %lld\n", path, (long long)st.st_size,
            (long long)st.st_mtim.tv_sec, (long long)st.st_mtim.tv_nsec);
}

/* The cache may be on a disk of several systems'; with KVM a machine has the processor's features.
 */
static void add_processor(struct abx_string *key)
{
    struct utsname name;
    char line[4096];
    FILE *f = fopen("/proc/cpuinfo", "re");
    while (f && fgets(line, sizeof line, f) && line[0] != '\n') /* of the first */
        if (strncmp(line, "model name", 10) == 0 || strncmp(line, "flags", 5) == 0)
            abx_string_add(key, line, strlen(line));
    if (f)
        fclose(f);
    if (uname(&name) == 0)
        abx_string_printf(key, "%s\n", name.release);
}

/* The file that it has, the caller's to free(). */
static char *place_of(const struct abx_vm_likeness *like)
{
    struct abx_string key = {0};
    struct abx_sha256 hash;
    uint8_t digest[32];
    char *image = abx_xprintf("%s/vmlinux", like->kernel);
    char *modules = abx_xprintf("%s/" ABX_VM_MODULES, like->kernel);
    const char *const files[] = {
            like->qemu, image, modules, like->machine, like->init, like->inner};
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(files); i++)
        add_file(&key, files[i]);
    abx_string_printf(&key, "%u %u %d\n", like->cpus, like->memory_mib, like->kvm);
    add_processor(&key);
    abx_sha256_init(&hash);
    abx_sha256_add(&hash, key.data, key.length);
    abx_sha256_finish(&hash, digest);
    char *path = key.failed ? NULL
                            : abx_xprintf("%s/" PREFIX "%02x%02x%02x%02x%02x%02x%02x%02x",
                                      like->kernel, digest[0], digest[1], digest[2], digest[3],
                                      digest[4], digest[5], digest[6], digest[7]);
    abx_string_finish(&key);
    free(image);
    free(modules);
    return path;
}

/* ---- making one */

bool abx_vm_try(const struct abx_vm_likeness *like, const char *option, int fd)
{
    char cpus[16], memory[16], number[16];
    snprintf(cpus, sizeof cpus, "%u", like->cpus);
    snprintf(memory, sizeof memory, "%u", like->memory_mib);
    snprintf(number, sizeof number, "%d", fd);
    const char *words[24] = {like->machine, "-P", "-q", like->qemu, "-k", like->kernel, "-i",
            like->init, "-I", like->inner, "-R", "/var/empty", "-c", cpus, "-m", memory};
    unsigned n = 16;
    if (like->kvm)
        words[n++] = "-K";
    if (option) {
        words[n++] = option;
        words[n++] = number;
        fcntl(fd, F_SETFD, 0); /* until it has been handed on */
    }
    int code = abx_vm_tool(words, NULL, -1, -1);
    if (option)
        fcntl(fd, F_SETFD, FD_CLOEXEC);
    return code == 0;
}

/* One that starts no machine is not kept: an empty file in its place says so, and -ENOTSUP. */
static int make(const struct abx_vm_likeness *like, const char *path)
{
    char *temporary = abx_xprintf("%s/" MAKING "%d", like->kernel, (int)getpid());
    int fd = open(temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        int error = -errno;
        free(temporary);
        return error;
    }
    if (!abx_vm_try(like, "-W", fd) || !abx_vm_try(like, "-t", fd)) {
        if (ftruncate(fd, 0) < 0) {
            /* It is not looked at before its size is. */
        }
        close(fd);
        fd = -ENOTSUP;
    }
    if (rename(temporary, path) < 0)
        unlink(temporary);
    free(temporary);
    return fd;
}

/* ---- those that there are */

struct list {
    struct {
        char name[64];
        struct timespec used;
        off_t bytes;
    } files[64];
    unsigned count;
};

static void list_all(const char *kernel, const char *prefix, struct list *list)
{
    struct stat st;
    DIR *d = opendir(kernel);
    for (struct dirent *e; d && list->count < ABX_ARRAY_SIZE(list->files) && (e = readdir(d));)
        if (strncmp(e->d_name, prefix, strlen(prefix)) == 0 && strlen(e->d_name) < 64 &&
                fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
            snprintf(list->files[list->count].name, 64, "%s", e->d_name);
            list->files[list->count].used = st.st_mtim;
            list->files[list->count++].bytes = st.st_size;
        }
    if (d)
        closedir(d);
}

static bool is_younger(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec != b->tv_sec ? a->tv_sec > b->tv_sec : a->tv_nsec > b->tv_nsec;
}

static void drop(const char *kernel, const char *name)
{
    char *path = abx_xprintf("%s/%s", kernel, name);
    unlink(path);
    free(path);
}

/* All but those used last, and what was never finished. */
static void drop_old(const char *kernel)
{
    struct list list = {0}, unfinished = {0};
    list_all(kernel, PREFIX, &list);
    list_all(kernel, MAKING, &unfinished);
    for (unsigned i = 0; i < list.count; i++) {
        unsigned younger = 0;
        for (unsigned j = 0; j < list.count; j++)
            younger += is_younger(&list.files[j].used, &list.files[i].used);
        if (younger > KEPT)
            drop(kernel, list.files[i].name);
    }
    for (unsigned i = 0; i < unfinished.count; i++)
        if (unfinished.files[i].used.tv_sec + MAKING_SECONDS < time(NULL))
            drop(kernel, unfinished.files[i].name);
}

/* -ENOENT: there is none, or what is there is none; -ENOTSUP: it has been tried. */
static int open_one(const struct abx_vm_likeness *like, const char *path)
{
    struct abx_template_head head;
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    bool empty = fstat(fd, &st) == 0 && st.st_size == 0;
    if (!empty && abx_template_read(fd, like->memory_mib, &head) == 0) {
        futimens(fd, NULL); /* used now */
        return fd;
    }
    close(fd);
    return empty ? -ENOTSUP : -ENOENT;
}

int abx_vm_template(const struct abx_vm_likeness *like, bool *ret_failed)
{
    const char *wanted = getenv(TEMPLATES_ENV);
    char *path = wanted && strcmp(wanted, "0") == 0 ? NULL : place_of(like);
    int fd = path ? open_one(like, path) : -ENOTSUP;
    *ret_failed = false;
    if (fd == -ENOENT) {
        fd = make(like, path);
        *ret_failed = fd == -ENOTSUP;
        drop_old(like->kernel);
    }
    free(path);
    return fd;
}

unsigned abx_vm_templates(const char *kernel, char **ret_failed)
{
    struct list list = {0};
    unsigned good = 0;
    list_all(kernel, PREFIX, &list);
    *ret_failed = NULL;
    for (unsigned i = 0; i < list.count; i++)
        if (list.files[i].bytes)
            good++;
        else if (!*ret_failed)
            *ret_failed = abx_xprintf("%s/%s", kernel, list.files[i].name);
    return good;
}
