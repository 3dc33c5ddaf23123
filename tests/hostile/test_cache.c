/* The disk cache of compiled shaders, damaged in every way: what comes out of it is what was put
 * in, or is compiled again. */
#include "guest.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static const char source[] = "kernel void k(device uint *x [[buffer(0)]]) { x[0] = %uu; }\n";

static struct abx_control *control;
static struct guest guest;

/* ---- the folder */

struct file {
    char path[512];
    size_t bytes;
    void *data;
};

static unsigned list(struct file *files, unsigned capacity)
{
    char root[128], path[512];
    unsigned count = 0;
    snprintf(root, sizeof root, "%s/cache", daemon_folder);
    for (int first = 0; first < 256; first++) {
        snprintf(path, sizeof path, "%s/%02x", root, first);
        DIR *dir = opendir(path);
        for (struct dirent *d; dir && (d = readdir(dir));) {
            if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."))
                continue;
            CHECK(d->d_name[0] != '.'); /* no half-written one is left */
            CHECK(count < capacity);
            struct file *f = &files[count++];
            CHECK(snprintf(f->path, sizeof f->path, "%s/%s", path, d->d_name) <
                    (int)sizeof f->path);
            f->data = NULL;
            CHECK(abx_read_file(f->path, 64 << 20, &f->data, &f->bytes) == 0);
        }
        if (dir)
            closedir(dir);
    }
    return count;
}

static void forget(struct file *files, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        free(files[i].data);
}

static uint64_t total(void)
{
    static struct file files[4096];
    unsigned count = list(files, ABX_ARRAY_SIZE(files));
    uint64_t bytes = 0;
    for (unsigned i = 0; i < count; i++)
        bytes += files[i].bytes;
    forget(files, count);
    return bytes;
}

/* ---- a compile */

static void cached(unsigned *ret_compiles, unsigned *ret_cached)
{
    struct abx_control_client *clients;
    unsigned count;
    CHECK(abx_control_clients(control, &clients, &count) == 0 && count == 1);
    *ret_compiles = (unsigned)clients[0].compiles;
    *ret_cached = (unsigned)clients[0].compiles_cached;
    free(clients);
}

/* Compiles and runs a kernel that writes `number`; how many of the two answers were cached. */
static unsigned run(unsigned number)
{
    char text[256];
    unsigned before, after, compiles;
    snprintf(text, sizeof text, source, number);
    cached(&compiles, &before);
    CHECK(guest_compile(&guest, text, HANDLE(10)) == 0);
    guest_pipeline(&guest, "k", HANDLE(10), HANDLE(11));
    struct abx_encoder *e = guest_begin(&guest);
    abx_encode_compute_begin(e, 0);
    abx_encode_set_pipeline(e, HANDLE(11));
    abx_encode_set_buffer(e, DATA, 0, 0);
    abx_encode_dispatch_threads(e, (uint32_t[]){1, 1, 1}, (uint32_t[]){1, 1, 1});
    abx_encode_encoder_end(e);
    memset(guest.data, 0, 4);
    CHECK(guest_run(&guest).error == 0);
    CHECK(*(uint32_t *)guest.data == number);
    GUEST_PUSH(&guest, destroy, HANDLE(11));
    GUEST_PUSH(&guest, destroy, HANDLE(10));
    guest_begin(&guest);
    guest_run(&guest); /* both are gone: nothing of them is in memory */
    cached(&compiles, &after);
    return after - before;
}

/* ---- damage */

static void write_at(const char *path, const void *data, size_t bytes)
{
    int fd = open(path, O_WRONLY | O_TRUNC | O_CREAT, 0600);
    CHECK(fd >= 0 && abx_write_all(fd, data, bytes) == 0);
    close(fd);
}

static void check_repaired(const struct file *f, unsigned number)
{
    void *data;
    size_t bytes;
    CHECK(run(number) == 1); /* the other one */
    CHECK(abx_read_file(f->path, 64 << 20, &data, &bytes) == 0);
    CHECK(bytes == f->bytes && memcmp(data, f->data, bytes) == 0);
    free(data);
    CHECK(run(number) == 2);
}

static void check_flips(const struct file *f, unsigned number)
{
    uint8_t *data = malloc(f->bytes);
    size_t at[] = {0, 4, 8, 16, 24, f->bytes / 3, f->bytes / 2, f->bytes - 9, f->bytes - 1};
    CHECK(data);
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(at); i++) {
        memcpy(data, f->data, f->bytes);
        data[at[i]] ^= (uint8_t)(1 << (i % 8));
        write_at(f->path, data, f->bytes);
        check_repaired(f, number);
    }
    free(data);
}

static void check_lengths(const struct file *f, unsigned number)
{
    size_t lengths[] = {0, 1, 8, 24, f->bytes / 2, f->bytes - 8, f->bytes - 1};
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(lengths); i++) {
        write_at(f->path, f->data, lengths[i]);
        check_repaired(f, number);
    }
    char *longer = calloc(1, f->bytes + 8);
    CHECK(longer);
    memcpy(longer, f->data, f->bytes);
    write_at(f->path, longer, f->bytes + 8);
    check_repaired(f, number);
    free(longer);
}

static void check_damage(void)
{
    struct file files[16];
    CHECK(run(1) == 0 && run(1) == 2);
    unsigned count = list(files, ABX_ARRAY_SIZE(files));
    CHECK(count == 2);
    for (unsigned i = 0; i < count; i++) {
        struct stat st;
        CHECK(stat(files[i].path, &st) == 0 && (st.st_mode & 07777) == 0600);
        check_flips(&files[i], 1);
        check_lengths(&files[i], 1);
    }
    forget(files, count);
}

/* A whole entry under the name of another. */
static void check_swapped(void)
{
    struct file files[16];
    CHECK(run(2) == 0);
    unsigned count = list(files, ABX_ARRAY_SIZE(files));
    CHECK(count == 4);
    for (unsigned i = 0; i < count; i++)
        write_at(files[i].path, files[(i + 1) % count].data, files[(i + 1) % count].bytes);
    CHECK(run(1) == 0 && run(2) == 0 && run(1) == 2 && run(2) == 2);
    forget(files, count);
}

/* Things in an entry's place that are no files. */
static void check_strange(void)
{
    struct file files[16];
    unsigned count = list(files, ABX_ARRAY_SIZE(files));
    for (unsigned i = 0; i < count; i++) {
        CHECK(unlink(files[i].path) == 0);
        if (i % 3 == 0)
            CHECK(symlink("/etc/passwd", files[i].path) == 0);
        else if (i % 3 == 1)
            CHECK(mkfifo(files[i].path, 0600) == 0);
        else
            CHECK(mkdir(files[i].path, 0700) == 0);
    }
    CHECK(run(1) == 0 && run(2) == 0);
    for (unsigned i = 0; i < count; i++)
        if (i % 3 == 2)
            rmdir(files[i].path);
    CHECK(run(1) <= 2 && run(2) <= 2 && run(1) == 2 && run(2) == 2);
    forget(files, count);
}

/* ---- size */

static void check_size(uint64_t cap)
{
    unsigned made = 3;
    for (uint64_t written = 0; written < 2 * cap; made++) {
        uint64_t before = total();
        CHECK(run(made) == 0);
        uint64_t after = total();
        CHECK(after <= cap + cap / 8);
        written += after > before ? after - before : cap / 64;
    }
    CHECK(run(made - 1) == 2); /* the newest is still there */
    CHECK(run(3) == 0);        /* the oldest is not */
}

int main(void)
{
    struct abx_control_tenant tenant;
    setenv("ARCBOX_CACHE_BYTES", "600000", 1);
    control = daemon_start();
    daemon_tenant(control, "caching", "cpu", NULL, &tenant);
    guest_open(&guest, tenant.socket);
    check_damage();
    check_swapped();
    check_strange();
    check_size(600000);
    guest_close(&guest);
    daemon_stop(control);
    return 0;
}
