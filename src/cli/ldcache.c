/* cli: the dynamic loader's cache of a container's root, so that libraries we add are found by
 * name. Runs in the child that assembles the root, with capabilities in its own user namespace. */
#include "cli/root.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* The host's own ldconfig (a static program) is opened before chroot: nothing of the image runs. */
static int run_ldconfig(const char *root, const char *to_in_root)
{
    int program = open("/sbin/ldconfig", O_RDONLY | O_CLOEXEC);
    if (program < 0)
        program = open("/usr/sbin/ldconfig", O_RDONLY | O_CLOEXEC);
    if (program < 0)
        return -ENOENT;
    pid_t pid = fork();
    if (pid < 0) {
        int r = -errno;
        close(program);
        return r;
    }
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);
        if (chroot(root) < 0 || chdir("/") < 0)
            _exit(126);
        dup2(null, 0);
        dup2(null, 1);
        dup2(null, 2);
        char *argv[] = {"ldconfig", "-X", "-i", "-C", (char *)to_in_root, NULL};
        char *env[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
        fexecve(program, argv, env);
        _exit(127);
    }
    close(program);
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

int abx_ldcache_make(const char *root, const char *to)
{
    /* A folder of our own in the private root, so that an ordinary user's ldconfig may write. */
    char *folder = abx_xprintf("%s/.arcbox-ldconfig", root);
    char *inside = abx_xprintf("%s/cache", folder);
    void *data = NULL;
    size_t length;
    int r = mkdir(folder, 0700) < 0 && errno != EEXIST ? -errno : 0;
    if (r == 0)
        r = run_ldconfig(root, "/.arcbox-ldconfig/cache");
    if (r == 0)
        r = abx_read_file(inside, 64 << 20, &data, &length);
    unlink(inside);
    rmdir(folder);
    if (r == 0) {
        char *temporary = abx_xprintf("%s.%d", to, (int)getpid());
        int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        r = fd < 0 ? -errno : abx_write_all(fd, data, length);
        if (fd >= 0)
            close(fd);
        if (r == 0 && rename(temporary, to) < 0)
            r = -errno;
        if (r < 0)
            unlink(temporary);
        free(temporary);
    }
    free(data);
    free(inside);
    free(folder);
    return r;
}

int abx_root_put(const char *root, const char *rel, const void *data, size_t length)
{
    char *to = abx_xprintf("%s%s", root, rel), *temporary = abx_xprintf("%s.arcbox", to);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    int r = fd < 0 ? -errno : abx_write_all(fd, data, length);
    if (fd >= 0)
        close(fd);
    if (r == 0 && rename(temporary, to) < 0)
        r = -errno;
    if (r < 0 && fd >= 0)
        unlink(temporary);
    free(temporary);
    free(to);
    return r;
}

/* What the cache depends on: the image's own cache and our tree's folder of libraries. */
static bool cache_key(struct assembly *a, char hex[65])
{
    struct abx_sha256 h;
    abx_sha256_init(&h);
    char *own = abx_xprintf("%s/etc/ld.so.cache", a->lower);
    struct stat st;
    bool ok = stat(own, &st) == 0;
    free(own);
    if (!ok)
        return false;
    const uint64_t image[] = {(uint64_t)st.st_dev, (uint64_t)st.st_ino, (uint64_t)st.st_size,
            (uint64_t)st.st_mtim.tv_sec, (uint64_t)st.st_mtim.tv_nsec, a->without_overlay};
    abx_sha256_add(&h, image, sizeof image);
    abx_sha256_add(&h, a->lower, strlen(a->lower) + 1);
    abx_sha256_add(&h, a->stage, strlen(a->stage) + 1);
    static const char *const folders[] = {"/usr/lib", "/usr/lib/x86_64-linux-gnu",
            "/usr/lib/aarch64-linux-gnu", "/etc/ld.so.conf.d"};
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(folders); i++) {
        char *path = abx_xprintf("%s%s", a->stage, folders[i]);
        uint64_t stage[2] = {0};
        if (stat(path, &st) == 0) {
            stage[0] = (uint64_t)st.st_mtim.tv_sec;
            stage[1] = (uint64_t)st.st_mtim.tv_nsec;
        }
        abx_sha256_add(&h, stage, sizeof stage);
        free(path);
    }
    uint8_t digest[32];
    abx_sha256_finish(&h, digest);
    for (unsigned i = 0; i < 32; i++)
        sprintf(hex + 2 * i, "%02x", digest[i]);
    return true;
}

void abx_root_ldcache(struct assembly *a)
{
    char hex[65];
    if (!cache_key(a, hex))
        return;
    char *folder = abx_xprintf("%s/ldcache", a->root->cache);
    char *cached = abx_xprintf("%s/%.32s", folder, hex);
    void *data;
    size_t length;
    int r = abx_read_file(cached, 64 << 20, &data, &length);
    if (r < 0) {
        abx_mkdir_p(folder, 0700);
        r = abx_ldcache_make(a->root->path, cached);
        if (r == 0)
            r = abx_read_file(cached, 64 << 20, &data, &length);
    }
    if (r == 0) {
        r = abx_root_put(a->root->path, "/etc/ld.so.cache", data, length);
        free(data);
    }
    if (r < 0 && !a->root->notice[0])
        snprintf(a->root->notice, sizeof a->root->notice,
                "the loader's cache was not renewed (%s): programs that look libraries up with "
                "ldconfig will not see Metal's",
                strerror(-r));
    free(cached);
    free(folder);
}
