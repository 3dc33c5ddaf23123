/* cli: what a virtual machine boots, out of a distribution's kernel package: the kernel itself,
 * unpacked, which starts seconds earlier where every instruction is emulated, and the few modules
 * that a machine needs, in the order in which they load. Runs in `arcbox vm setup`. The package is
 * trusted: apt has checked it. */
#include "cli/vm/vm.h"
#include "cli/vm/initrd.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define IMAGE_CAP (256u << 20)
#define MODULE_CAP (64u << 20)
#define MAX_MODULES 16384

/* By their files' names. What is built into the kernel is not there, and not missed. */
static const struct {
    const char *list; /* of the modules to load for it, in their order */
    const char *wanted[8];
} groups[] = {{"modules/order", {"virtio_pci", "virtio_console", "9pnet_virtio", "9p", "overlay",
                                        "virtio_gpu", "rtc_cmos"}},
        {"modules/order-network", {"virtio_net"}},
        {"modules/order-disk", {"virtio_blk", "crc32c_generic", "ext4"}}};

static int fail(char **ret_why, int error, const char *what, const char *path)
{
    *ret_why = abx_xprintf("%s %s: %s", what, path, strerror(-error));
    return error;
}

/* ---- unpacking */

static const char *unpacker(const uint8_t *head, size_t bytes)
{
    if (bytes > 6 && memcmp(head,
                             "\xfd"
                             "7zXZ",
                             6) == 0)
        return "xz";
    if (bytes > 4 && memcmp(head, "\x28\xb5\x2f\xfd", 4) == 0)
        return "zstd";
    return bytes > 3 && memcmp(head, "\x1f\x8b\x08", 3) == 0 ? "gzip" : NULL;
}

/* Into the file `out`. */
static int unpack(const char *tool, const void *data, size_t bytes, int out)
{
    const char *const words[] = {tool, "-dc", NULL};
    int in = memfd_create("packed", MFD_CLOEXEC);
    int r = in < 0 ? -errno : abx_write_all(in, data, bytes);
    if (r == 0)
        r = lseek(in, 0, SEEK_SET) < 0 ? -errno : abx_vm_tool(words, NULL, in, out);
    if (in >= 0)
        close(in);
    return r > 0 ? -EIO : r;
}

static uint32_t word_at(const uint8_t *image, size_t offset)
{
    uint32_t word;
    memcpy(&word, image + offset, sizeof word);
    return word;
}

/* Where Linux's boot protocol (2.08) says that the packed kernel lies. */
static const uint8_t *payload_of(const uint8_t *image, size_t bytes, size_t *ret_bytes)
{
    if (bytes < 0x250 || memcmp(image + 0x202, "HdrS", 4) != 0)
        return NULL;
    uint64_t start = (uint64_t)(image[0x1f1] + 1) * 512 + word_at(image, 0x248);
    uint64_t length = word_at(image, 0x24c);
    if (length < 8 || !abx_range_ok(start, length, bytes))
        return NULL;
    *ret_bytes = length;
    return image + start;
}

static int take_image(const char *path, const char *to, char **ret_why)
{
    void *image;
    size_t bytes, packed = 0;
    int r = abx_read_file(path, IMAGE_CAP, &image, &bytes);
    if (r < 0)
        return fail(ret_why, r, "cannot read", path);
    const uint8_t *payload = payload_of(image, bytes, &packed);
    const char *tool = payload ? unpacker(payload, packed) : NULL;
    int out = tool ? open(to, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0644) : -1;
    char magic[4] = "";
    if (!tool)
        *ret_why = abx_xprintf("%s is no kernel that ArcBox can unpack", path);
    else if (out < 0)
        fail(ret_why, -errno, "cannot make", to);
    else {
        /* Behind all but gzip's own stands the length, which is not the tool's. */
        r = unpack(tool, payload, packed - (strcmp(tool, "gzip") == 0 ? 0 : 4), out);
        if (r < 0 || pread(out, magic, 4, 0) != 4 || memcmp(magic, "\177ELF", 4) != 0)
            *ret_why = abx_xprintf("cannot unpack %s with %s: is %s installed?", path, tool, tool);
    }
    if (out >= 0)
        close(out);
    free(image);
    return *ret_why ? -EINVAL : 0;
}

/* ---- modules */

static struct {
    char *paths[MAX_MODULES];
    bool taken[MAX_MODULES];
    unsigned count;
} modules; /* nftw() has no other way to pass them */

static int note(const char *path, const struct stat *st, int type, struct FTW *at)
{
    if (type == FTW_F && strstr(path + at->base, ".ko") && modules.count < MAX_MODULES)
        modules.paths[modules.count++] = abx_xstrdup(path);
    return 0;
}

/* The kernel takes '-' and '_' for one letter. */
static bool is_named(const char *path, const char *name)
{
    const char *slash = strrchr(path, '/'), *file = slash ? slash + 1 : path;
    size_t n = strlen(name);
    for (size_t i = 0; i < n; i++)
        if ((file[i] == '-' ? '_' : file[i]) != name[i])
            return false;
    return strncmp(file + n, ".ko", 3) == 0;
}

static int read_module(const char *path, void **ret, size_t *ret_bytes)
{
    int r = abx_read_file(path, MODULE_CAP, ret, ret_bytes);
    const char *tool = r < 0 ? NULL : unpacker(*ret, *ret_bytes);
    if (!tool)
        return r;
    int out = memfd_create("module", MFD_CLOEXEC);
    r = out < 0 ? -errno : unpack(tool, *ret, *ret_bytes, out);
    free(*ret);
    if (r == 0)
        r = lseek(out, 0, SEEK_SET) < 0 ? -errno : abx_read_fd(out, MODULE_CAP, ret, ret_bytes);
    if (out >= 0)
        close(out);
    return r;
}

static int add_module(struct abx_string *archive, struct abx_string *order, const char *name);

/* "depends=a,b" stands among the module's words. */
static int add_needed(
        struct abx_string *archive, struct abx_string *order, const char *data, size_t bytes)
{
    static const char key[] = "\0depends="; /* with what ends the word before */
    const char *at = memmem(data, bytes, key, sizeof key - 1);
    if (!at || !memchr(at + sizeof key - 1, 0, bytes - (size_t)(at + sizeof key - 1 - data)))
        return 0;
    char *list = abx_xstrdup(at + sizeof key - 1), *rest = list;
    int r = 0;
    for (char *name; r == 0 && (name = strsep(&rest, ","));) {
        for (char *p = name; *p; p++)
            *p = *p == '-' ? '_' : *p;
        r = *name ? add_module(archive, order, name) : 0;
    }
    free(list);
    return r;
}

static int add_module(struct abx_string *archive, struct abx_string *order, const char *name)
{
    for (unsigned i = 0; i < modules.count; i++) {
        if (modules.taken[i] || !is_named(modules.paths[i], name))
            continue;
        void *data;
        size_t bytes;
        modules.taken[i] = true;
        int r = read_module(modules.paths[i], &data, &bytes);
        if (r == 0)
            r = add_needed(archive, order, data, bytes);
        if (r < 0)
            return r;
        char *file = abx_xprintf("modules/%s.ko", name);
        abx_cpio_add(archive, file, S_IFREG | 0644, data, bytes);
        abx_string_printf(order, "%s.ko\n", name);
        free(file);
        free(data);
        return 0;
    }
    return 0;
}

static int add_group(struct abx_string *archive, unsigned group)
{
    struct abx_string order = {0};
    int r = 0;
    for (const char *const *name = groups[group].wanted; r == 0 && *name; name++)
        r = add_module(archive, &order, *name);
    if (r == 0 && group == 0 && (!order.data || !strstr(order.data, "virtio_gpu.ko")))
        r = -ENOENT;
    abx_cpio_add(archive, groups[group].list, S_IFREG | 0644, order.data, order.length);
    archive->failed |= order.failed;
    abx_string_finish(&order);
    return r;
}

static int take_modules(const char *folder, const char *to, char **ret_why)
{
    struct abx_string archive = {0};
    memset(&modules, 0, sizeof modules);
    if (nftw(folder, note, 16, FTW_PHYS) < 0)
        return fail(ret_why, -errno, "cannot read", folder);
    abx_cpio_add(&archive, "modules", S_IFDIR | 0755, NULL, 0);
    int r = 0;
    for (unsigned i = 0; r == 0 && i < ABX_ARRAY_SIZE(groups); i++)
        r = add_group(&archive, i);
    if (r == -ENOENT)
        *ret_why = abx_xprintf("%s has no virtio-gpu driver: a cloud kernel has none, "
                               "linux-image-amd64 has",
                folder);
    if (r == 0)
        r = archive.failed ? -ENOMEM : abx_write_file(to, archive.data, archive.length);
    if (r < 0 && !*ret_why)
        fail(ret_why, r, "cannot write", to);
    abx_string_finish(&archive);
    for (unsigned i = 0; i < modules.count; i++)
        free(modules.paths[i]);
    return r;
}

int abx_vm_kernel_take(const char *root, const char *release, const char *to, char **ret_why)
{
    char *image = abx_xprintf("%s/boot/vmlinuz-%s", root, release);
    char *folder = abx_xprintf("%s/lib/modules/%s/kernel", root, release);
    char *vmlinux = abx_xprintf("%s/vmlinux", to), *archive = abx_xprintf("%s/" ABX_VM_MODULES, to);
    *ret_why = NULL;
    int r = take_image(image, vmlinux, ret_why);
    if (r == 0)
        r = take_modules(folder, archive, ret_why);
    free(image);
    free(folder);
    free(vmlinux);
    free(archive);
    return r;
}
