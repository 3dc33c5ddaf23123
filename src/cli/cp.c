/* arcbox cp: files between here and a container that runs. arcbox-init reads and writes the
 * container's in it, with its rights; here the user's are, and between them is a stream of bytes.
 */
#include "cli/copy_stream.h"
#include "cli/join.h"
#include "cli/vm/enter.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORDS_CAP 2048u

/* "NAME:PATH" of a container; a path with a slash before the colon is one of here. */
static bool split(char *word, char **ret_path)
{
    char *colon = strchr(word, ':'), *slash = strchr(word, '/');
    if (!colon || (slash && slash < colon))
        return false;
    *colon = 0;
    *ret_path = colon + 1;
    return true;
}

/* What the container's end said, cleaned. */
static void read_words(int fd, char *text)
{
    ssize_t n = read(fd, text, WORDS_CAP - 1);
    text[n > 0 ? n : 0] = 0;
    text[strcspn(text, "\n")] = 0;
    for (char *p = text; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = '?';
}

/* The machine's own user is who its command is, and files are to be that one's. */
static pid_t start_in_machine(
        const struct abx_container *c, bool to_container, char *path, int in, int out, int words)
{
    char *line[] = {"-C", to_container ? "in" : "out", "--", path, NULL};
    char *as_user[] = {"-u", (char *)c->user, line[0], line[1], line[2], line[3], NULL};
    bool own = geteuid() != 0 && c->user[0];
    struct abx_vm_entry entry = {.words = own ? as_user : line};
    return abx_vm_enter_child(c, &entry, in, out, words);
}

/* The container's end: a process to wait for. */
static pid_t start(
        const struct abx_container *c, bool to_container, char *path, int data, int words)
{
    char *line[] = {"-C", to_container ? "in" : "out", "--", path, NULL}, text[512] = "";
    int null = open("/dev/null", O_RDWR | O_CLOEXEC), init;
    int in = to_container ? data : null, out = to_container ? null : data;
    struct abx_join join = {.words = line, .in = in, .out = out, .err = words, .terminal = -1};
    pid_t pid = abx_vm_is(c) ? start_in_machine(c, to_container, path, in, out, words)
                             : abx_join_start(c, &join, &init, text, sizeof text);
    if (pid < 0)
        abx_die(ABX_EXIT_OWN, "%s", text);
    close(null);
    close(data);
    close(words);
    return pid;
}

static int copy(const struct abx_container *c, bool to_container, char *inside, const char *here)
{
    int data[2], words[2], status = 0;
    char text[512] = "", theirs[WORDS_CAP];
    if (pipe2(data, O_CLOEXEC) < 0 || pipe2(words, O_CLOEXEC) < 0)
        abx_die(ABX_EXIT_OWN, "cannot make a pipe: %s", strerror(errno));
    signal(SIGPIPE, SIG_IGN); /* the other end says why it ended */
    pid_t pid = start(c, to_container, inside, data[!to_container], words[1]);
    int mine = data[to_container];
    int r = to_container ? abx_copy_send(mine, here, text, sizeof text)
                         : abx_copy_receive(mine, here, text, sizeof text);
    close(mine);
    read_words(words[0], theirs);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (*theirs && (r == 0 || r == -EPIPE))
        abx_say("%s: %s", c->name, strncmp(theirs, "arcbox: ", 8) == 0 ? theirs + 8 : theirs);
    else if (r < 0)
        abx_say("%s", *text ? text : strerror(-r));
    return r < 0 || *theirs || status ? ABX_EXIT_OWN : 0;
}

int abx_do_cp(int argc, char **argv)
{
    struct abx_options o = abx_options_start(argc, argv);
    abx_options_next(&o);
    char *paths[2] = {NULL, NULL}, *words[3] = {NULL};
    if (o.count != 2)
        abx_usage(&o);
    words[0] = abx_xstrdup(o.words[0]);
    words[1] = abx_xstrdup(o.words[1]);
    bool from = split(o.words[0], &paths[0]), to = split(o.words[1], &paths[1]);
    if (from == to)
        abx_die(ABX_EXIT_OWN, "cp copies between here and a container: NAME:PATH PATH, or PATH "
                              "NAME:PATH");
    if (strcmp(o.words[from], "-") == 0)
        abx_die(ABX_EXIT_OWN, "cp reads and writes no archives ('-'): name a file or folder (an "
                              "archive: arcbox exec NAME tar c FOLDER)");
    struct abx_container *c = abx_container_must(o.words[to]);
    if (strcmp(c->kind, "podman") == 0)
        abx_oci_become("cp", words);
    if (!c->running)
        abx_die(ABX_EXIT_OWN,
                "'%s' has ended, and its private layer with it: copy while it runs, or have it "
                "write into a folder of this system (--here, or --mount FOLDER:FOLDER)",
                c->name);
    char *inside = paths[to];
    if (*inside != '/') /* docker's: of the root */
        inside = abx_xprintf("/%s", inside);
    return copy(c, to, inside, o.words[from]);
}
