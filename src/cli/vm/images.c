/* cli: images.h. Runs in the `arcbox run` process. podman is the user's own; of what an image says
 * nothing is believed but that it is text. */
#include "cli/vm/images.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/image.h"
#include "cli/inside.h"
#include "cli/json.h"
#include "cli/vm/store.h"
#include "cli/vm/vm.h"

#define OUTPUT_CAP (4u << 20)

static char *podman;

static char *images(void)
{
    char *cache = abx_place_cache(), *path = abx_xprintf("%s/vm/images", cache);
    free(cache);
    return path;
}

/* What podman prints, or NULL; the caller's to free(). quiet: not what it complains of. */
static char *ask(char *const *words, bool quiet)
{
    int out = memfd_create("output", MFD_CLOEXEC), status = -1;
    void *text = NULL;
    size_t length;
    fflush(NULL);
    pid_t pid = out < 0 ? -1 : fork();
    if (pid == 0) {
        dup2(out, 1);
        if (quiet)
            dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), 2);
        execv(podman, words);
        _exit(127);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (status != 0 || lseek(out, 0, SEEK_SET) < 0 ||
            abx_read_fd(out, OUTPUT_CAP, &text, &length) < 0)
        text = NULL;
    if (out >= 0)
        close(out);
    return text;
}

/* ---- what an image says */

struct said {
    char *number, *folder, *user;
    struct abx_words env, entrypoint, command;
};

/* Lines of a letter and a string of JSON. */
static bool read_said(char *text, struct said *ret)
{
    static const char *const path[] = {"x", NULL};
    for (char *line; (line = strsep(&text, "\n"));) {
        char *json = *line ? abx_xprintf("{\"x\": %s}", line + 1) : NULL;
        char *value = json ? abx_json_find(json, path) : NULL;
        free(json);
        if (!value)
            continue;
        if (*line == 'i')
            ret->number = value;
        else if (*line == 'w')
            ret->folder = value;
        else if (*line == 'u')
            ret->user = value;
        else
            abx_words_add(*line == 'e'   ? &ret->env
                          : *line == 'p' ? &ret->entrypoint
                                         : &ret->command,
                    value);
    }
    return ret->number && strlen(ret->number) == strspn(ret->number, "0123456789abcdef");
}

static bool inspect(const char *image, struct said *ret)
{
    static const char format[] =
            "i{{json .ID}}\nw{{json .Config.WorkingDir}}\nu{{json .Config.User}}\n"
            "{{range .Config.Env}}e{{json .}}\n{{end}}"
            "{{range .Config.Entrypoint}}p{{json .}}\n{{end}}"
            "{{range .Config.Cmd}}c{{json .}}\n{{end}}";
    char *words[] = {podman, (char *)"image", (char *)"inspect", (char *)"--format", (char *)format,
            (char *)image, NULL};
    char *text = ask(words, true);
    bool ok = text && read_said(text, ret);
    free(text);
    return ok;
}

static void fetch(const struct abx_run *run)
{
    const char *platform = abx_run_given(run, "--platform", NULL);
    char *words[] = {podman, (char *)"pull", run->image, NULL, NULL, NULL};
    if (platform) {
        words[2] = (char *)"--platform";
        words[3] = (char *)platform;
        words[4] = run->image;
    }
    char *text = ask(words, false);
    if (!text)
        abx_die(ABX_EXIT_OWN, "podman cannot fetch the image %s; what it said stands above",
                run->image);
    free(text);
}

/* ---- unpacking */

/* The files of a container that is never started, without devices, which are the machine's own. */
static void unpack(const char *image, const char *to)
{
    static const char script[] =
            "id=$(\"$1\" create --pull never --network none \"$2\" true) || exit 1\n"
            "\"$1\" export \"$id\" | tar -x -p --numeric-owner --anchored --exclude 'dev/*' -C "
            "\"$3\"\n"
            "code=$?\n"
            "\"$1\" rm -f \"$id\" >/dev/null\n"
            "exit $code";
    const char *const words[] = {"sh", "-c", script, "sh", podman, image, to, NULL};
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (abx_vm_tool(words, NULL, null, -1) != 0)
        abx_die(ABX_EXIT_OWN, "podman cannot unpack the image %s; what it said stands above",
                image);
    close(null);
}

static int lock_of(const char *folder, int how)
{
    char *path = abx_xprintf("%s/lock", folder);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    free(path);
    if (fd >= 0 && flock(fd, how) < 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static bool is_kept(const char *folder)
{
    struct abx_machine_kept **list = abx_machine_list();
    bool kept = false;
    for (unsigned i = 0; list[i]; i++) {
        kept |= strncmp(list[i]->image, folder, strlen(folder)) == 0;
        abx_machine_free(list[i]);
    }
    free(list);
    return kept;
}

/* What podman has forgotten, and nobody runs on. */
static void sweep(const char *all)
{
    DIR *d = opendir(all);
    for (struct dirent *e; d && (e = readdir(d));) {
        char *words[] = {podman, (char *)"image", (char *)"exists", e->d_name, NULL};
        char *there = e->d_name[0] == '.' ? NULL : ask(words, true);
        char *folder = abx_xprintf("%s/%s", all, e->d_name);
        if (e->d_name[0] != '.' && !there && !is_kept(folder)) {
            int lock = lock_of(folder, LOCK_EX | LOCK_NB);
            if (lock >= 0) {
                abx_remove_tree(folder);
                close(lock);
            }
        }
        free(folder);
        free(there);
    }
    if (d)
        closedir(d);
}

static char *making;

static void clean_up(void)
{
    if (making)
        abx_remove_tree(making);
}

/* The image's working folder is made where it is not there: docker does so, too. */
static void make_folder(const char *root, const char *folder)
{
    int tree = abx_inside_root(root), fd = folder ? abx_inside_folder(tree, folder) : -1;
    if (fd >= 0)
        close(fd);
    if (tree >= 0)
        close(tree);
}

static void make(
        const char *all, const char *folder, const struct abx_run *run, const struct said *said)
{
    const char *number = said->number;
    if (abx_mkdir_p(all, 0700) < 0)
        abx_die(ABX_EXIT_OWN, "cannot make %s: %s", all, strerror(errno));
    sweep(all);
    making = abx_xprintf("%s/.%s-XXXXXX", all, number);
    if (!mkdtemp(making))
        abx_die(ABX_EXIT_OWN, "cannot make a folder in %s: %s", all, strerror(errno));
    atexit(clean_up);
    char *root = abx_xprintf("%s/root", making), *name = abx_xprintf("%s/reference", making);
    abx_say("unpacking %s for virtual machines (this is done once)", run->image);
    if (mkdir(root, 0755) < 0 || abx_write_file(name, run->image, strlen(run->image)) < 0)
        abx_die(ABX_EXIT_OWN, "cannot write into %s: %s", making, strerror(errno));
    unpack(number, root);
    make_folder(root, said->folder);
    if (rename(making, folder) < 0 && errno != EEXIST && errno != ENOTEMPTY)
        abx_die(ABX_EXIT_OWN, "cannot make %s: %s", folder, strerror(errno));
    making = access(making, F_OK) == 0 ? making : NULL; /* somebody else was faster */
    free(root);
    free(name);
}

void abx_vm_hold_image(const char *folder)
{
    char *copy = abx_xstrdup(folder), *slash = strrchr(copy, '/'), *all = images();
    if (slash && strcmp(slash, "/root") == 0 && strncmp(copy, all, strlen(all)) == 0) {
        *slash = 0;
        (void)lock_of(copy, LOCK_SH); /* with this process it ends */
    }
    free(copy);
    free(all);
}

char *abx_vm_image_name(const char *folder)
{
    void *text = NULL;
    size_t length;
    char *all = images(), *path = abx_xprintf("%s/../reference", folder);
    bool ours = strncmp(folder, all, strlen(all)) == 0;
    int r = ours ? abx_read_file(path, 4096, &text, &length) : -ENOENT;
    free(path);
    free(all);
    return r == 0 ? text : abx_xstrdup(folder);
}

/* ---- what it means for a run */

static void take_command(struct abx_run *run, const struct said *said)
{
    const char *entrypoint = abx_run_given(run, "--entrypoint", NULL);
    struct abx_words w = {0};
    if (entrypoint && *entrypoint)
        abx_words_add(&w, entrypoint);
    for (unsigned i = 0; !entrypoint && i < said->entrypoint.count; i++)
        abx_words_add(&w, said->entrypoint.list[i]);
    for (int i = 0; i < run->command_count; i++)
        abx_words_add(&w, run->command[i]);
    for (unsigned i = 0; !run->command_count && !entrypoint && i < said->command.count; i++)
        abx_words_add(&w, said->command.list[i]);
    if (!w.count && !run->stays)
        abx_die(ABX_EXIT_OWN, "the image %s names no command: give one", run->image);
    if (!w.count)
        return;
    run->command = w.list;
    run->command_count = (int)w.count;
}

static void take_rest(struct abx_run *run, const struct said *said)
{
    struct abx_words env = {0};
    for (unsigned i = 0; i < said->env.count; i++)
        abx_words_add(&env, said->env.list[i]);
    for (unsigned i = 0; i < run->env.count; i++)
        abx_words_add(&env, run->env.list[i]);
    run->env = env;
    if (!run->workdir && said->folder && *said->folder == '/')
        run->workdir = said->folder;
    if (said->user && *said->user && !abx_run_given(run, "--user", NULL) &&
            run->given_count < ABX_MAX_GIVEN)
        run->given[run->given_count++] = (struct abx_given){"--user", said->user};
}

void abx_vm_take_image(struct abx_run *run)
{
    struct said said = {0};
    const char *when = abx_run_given(run, "--pull", NULL);
    podman = abx_image_podman(run);
    bool never = when && strcmp(when, "never") == 0;
    bool there = !(when && (strcmp(when, "always") == 0 || strcmp(when, "newer") == 0)) &&
                 inspect(run->image, &said);
    if (!there && never)
        abx_die(ABX_EXIT_OWN, "podman has no image %s, and --pull never forbids to fetch it",
                run->image);
    if (!there)
        fetch(run);
    if (!there && !inspect(run->image, &said))
        abx_die(ABX_EXIT_OWN, "podman does not say what the image %s is", run->image);
    char *all = images(), *folder = abx_xprintf("%s/%s", all, said.number);
    if (access(folder, F_OK) < 0)
        make(all, folder, run, &said);
    take_command(run, &said);
    take_rest(run, &said);
    run->reference = run->image;
    run->image = abx_xprintf("%s/root", folder);
    run->kind = ABX_IMAGE_FOLDER;
    abx_vm_hold_image(run->image);
    free(folder);
    free(all);
}
