/* arcbox vm: what virtual machines need. `setup` fetches the distribution's kernel package and
 * takes the kernel out of it, into this user's cache; nothing is installed. */
#include "cli/vm/box.h"
#include "cli/vm/vm.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PACKAGE "linux-image-amd64"
#define OUTPUT_CAP (1u << 20)

/* ---- other programs */

int abx_vm_tool(const char *const *words, const char *folder, int in, int out)
{
    int status;
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0) {
        if ((in >= 0 && dup2(in, 0) < 0) || (out >= 0 && dup2(out, 1) < 0) ||
                (folder && chdir(folder) < 0))
            _exit(127);
        setenv("LC_ALL", "C", 1);
        execvp(words[0], (char *const *)words);
        _exit(127);
    }
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* What it prints, the caller's to free(); NULL: it failed. */
static char *said(const char *const *words)
{
    int out = memfd_create("output", MFD_CLOEXEC);
    void *text = NULL;
    size_t length;
    int r = out < 0 ? -errno : abx_vm_tool(words, NULL, -1, out);
    if (r == 0)
        r = lseek(out, 0, SEEK_SET) < 0 ? -errno : abx_read_fd(out, OUTPUT_CAP, &text, &length);
    if (out >= 0)
        close(out);
    if (r == 0)
        return text;
    return NULL;
}

char *abx_vm_qemu(char ret_version[32], char **ret_why)
{
    char *program = abx_find_program("qemu-system-x86_64");
    const char *const words[] = {program, "--version", NULL};
    char *text = program ? said(words) : NULL, *number = text ? strstr(text, "version ") : NULL;
    unsigned major = number ? (unsigned)atoi(number + 8) : 0;
    snprintf(ret_version, 32, "%.*s", number ? (int)strcspn(number + 8, " \n(") : 0,
            number ? number + 8 : "");
    free(text);
    *ret_why = NULL;
    if (!program)
        *ret_why = abx_xprintf("QEMU is not installed: %s", ABX_VM_QEMU_ADVICE);
    else if (major < ABX_VM_QEMU_MAJOR)
        *ret_why = abx_xprintf("QEMU %s is too old, %u or newer is needed: %s", ret_version,
                ABX_VM_QEMU_MAJOR, ABX_VM_QEMU_ADVICE);
    if (!*ret_why)
        return program;
    free(program);
    return NULL;
}

static char *kernels(void)
{
    char *cache = abx_place_cache(), *folder = abx_xprintf("%s/vm", cache);
    free(cache);
    return folder;
}

char *abx_vm_kernel(void)
{
    return abx_vm_kernel_named("kernel"); /* a link to the last one that was set up */
}

char *abx_vm_kernel_named(const char *name)
{
    char *folder = kernels();
    char *link = strchr(name, '/') ? abx_xstrdup(name) : abx_xprintf("%s/%s", folder, name);
    char *image = abx_xprintf("%s/vmlinux", link),
         *archive = abx_xprintf("%s/" ABX_VM_MODULES, link);
    char *found =
            access(image, R_OK) == 0 && access(archive, R_OK) == 0 ? realpath(link, NULL) : NULL;
    free(folder);
    free(link);
    free(image);
    free(archive);
    return found;
}

/* ---- setup */

/* "Depends: linux-image-6.1.0-51-amd64 (= 6.1.177-1)" of the package that always depends on the
 * newest. */
static char *newest_package(void)
{
    const char *const words[] = {"apt-cache", "show", "--no-all-versions", PACKAGE, NULL};
    char *text = said(words), *at = text ? strstr(text, "\nDepends: linux-image-") : NULL;
    char *name = NULL;
    if (at) {
        at += strlen("\nDepends: ");
        name = strndup(at, strcspn(at, " ,\n"));
    }
    free(text);
    return name;
}

static char *only_file(const char *folder, const char *start, const char *end)
{
    DIR *d = opendir(folder);
    char *found = NULL;
    for (struct dirent *e; d && !found && (e = readdir(d));) {
        size_t n = strlen(e->d_name), m = strlen(end);
        if (strncmp(e->d_name, start, strlen(start)) == 0 && n > m &&
                strcmp(e->d_name + n - m, end) == 0)
            found = abx_xstrdup(e->d_name);
    }
    if (d)
        closedir(d);
    return found;
}

/* The package's file, in `work`. */
static char *fetch(const char *work)
{
    char *name = newest_package();
    if (!name)
        abx_die(ABX_EXIT_OWN,
                "apt knows no package %s here: run `apt update` as root, or name a package's file "
                "or an unpacked one: arcbox vm setup FILE|FOLDER",
                PACKAGE);
    printf("fetching %s\n", name);
    const char *const words[] = {
            "apt-get", "-o", "APT::Sandbox::User=root", "download", name, NULL};
    int r = abx_vm_tool(words, work, -1, -1);
    char *file = only_file(work, "linux-image-", ".deb");
    if (r != 0 || !file)
        abx_die(ABX_EXIT_OWN, "apt-get download %s failed; what it said stands above", name);
    char *path = abx_xprintf("%s/%s", work, file);
    free(file);
    free(name);
    return path;
}

static char *unpack_package(const char *package, const char *work)
{
    char *root = abx_xprintf("%s/root", work);
    const char *const words[] = {"dpkg-deb", "-x", package, root, NULL};
    printf("unpacking %s\n", strrchr(package, '/') ? strrchr(package, '/') + 1 : package);
    int r = abx_vm_tool(words, NULL, -1, -1);
    if (r != 0)
        abx_die(ABX_EXIT_OWN, "dpkg-deb cannot unpack %s", package);
    return root;
}

static char *release_of(const char *root)
{
    static const char start[] = "vmlinuz-";
    char *boot = abx_xprintf("%s/boot", root), *file = only_file(boot, start, "");
    free(boot);
    if (!file)
        abx_die(ABX_EXIT_OWN, "%s holds no kernel (boot/vmlinuz-...)", root);
    char *release = abx_xstrdup(file + sizeof start - 1);
    free(file);
    return release;
}

/* Into place in one step: machines may be starting. */
static void put_in_place(const char *made, const char *folder, const char *release)
{
    char *to = abx_xprintf("%s/%s", folder, release), *link = abx_xprintf("%s/kernel", folder);
    char *temporary = abx_xprintf("%s/.kernel-%d", folder, (int)getpid());
    abx_remove_tree(to);
    if (rename(made, to) < 0 || symlink(release, temporary) < 0 || rename(temporary, link) < 0)
        abx_die(ABX_EXIT_OWN, "cannot put the kernel into %s: %s", folder, strerror(errno));
    free(to);
    free(link);
    free(temporary);
}

static int set_up(const char *given)
{
    char *folder = kernels(), *work = abx_xprintf("%s/.setup-XXXXXX", folder), *why = NULL;
    struct stat st;
    if (abx_mkdir_p(folder, 0700) < 0 || !mkdtemp(work))
        abx_die(ABX_EXIT_OWN, "cannot make a folder in %s: %s", folder, strerror(errno));
    bool is_folder = given && stat(given, &st) == 0 && S_ISDIR(st.st_mode);
    char *package = given ? realpath(given, NULL) : fetch(work);
    if (!package)
        abx_die(ABX_EXIT_OWN, "%s: %s", given, strerror(errno));
    char *root = is_folder ? package : unpack_package(package, work);
    char *release = release_of(root), *made = abx_xprintf("%s/made", work);
    printf("taking the kernel %s out of it\n", release);
    int r = mkdir(made, 0755) < 0 ? -errno : abx_vm_kernel_take(root, release, made, &why);
    if (r == 0)
        put_in_place(made, folder, release);
    abx_remove_tree(work);
    if (r < 0)
        abx_die(ABX_EXIT_OWN, "%s", why ? why : strerror(-r));
    abx_vm_prepare_usual();
    printf("virtual machines boot Linux %s\n", release);
    return 0;
}

int abx_do_vm(int argc, char **argv)
{
    struct abx_options o = abx_options_start(argc, argv);
    while (abx_options_next(&o))
        ;
    if (o.count < 1 || strcmp(o.words[0], "setup") != 0)
        abx_usage(&o);
    return set_up(o.count > 1 ? o.words[1] : NULL);
}
