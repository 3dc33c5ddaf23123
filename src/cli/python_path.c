/* cli: how Python in a container finds our packages (arcbox_mps, for PyTorch): behind what
 * PYTHONPATH names there, by the user's word or the image's own. Runs in the `arcbox run` process.
 */
#include "cli/run.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAME "PYTHONPATH="
#define VARIABLES_CAP (1u << 20)

bool abx_python_is_in(const char *stage)
{
    char *packages = abx_xprintf("%s" ABX_PYTHON_FOLDER, stage);
    bool is = access(packages, F_OK) == 0;
    free(packages);
    return is;
}

/* The user's word, or NULL. */
static const char *given_path(const struct abx_run *run)
{
    const char *given = NULL;
    for (unsigned i = 0; i < run->env.count; i++)
        if (strncmp(run->env.list[i], NAME, strlen(NAME)) == 0)
            given = run->env.list[i] + strlen(NAME);
    return given;
}

static char *joined(const char *path)
{
    bool some = path && *path;
    return abx_xprintf(NAME "%s%s" ABX_PYTHON_FOLDER, some ? path : "", some ? ":" : "");
}

char *abx_python_path(const struct abx_run *run)
{
    return joined(given_path(run));
}

/* Starts podman; what it prints goes to `output`. */
static pid_t start(char **argv, int output, bool in_silence)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        dup2(null, 0);
        dup2(output < 0 ? null : output, 1);
        if (in_silence)
            dup2(null, 2);
        execv(argv[0], argv);
        _exit(ABX_EXIT_OWN);
    }
    return pid;
}

static bool ended_well(pid_t pid)
{
    int status = -1;
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return pid > 0 && status == 0;
}

/* The variables that the image sets, a line each; NULL: there is no such image here. */
static char *variables_of(const struct abx_run *run, const char *podman)
{
    char *argv[] = {(char *)podman, "image", "inspect", "--format",
            "{{range .Config.Env}}{{println .}}{{end}}", run->image, NULL};
    int out[2];
    void *text = NULL;
    size_t length;
    if (pipe2(out, O_CLOEXEC) < 0)
        return NULL;
    pid_t pid = start(argv, out[1], true);
    close(out[1]);
    int r = abx_read_fd(out[0], VARIABLES_CAP, &text, &length);
    close(out[0]);
    if (ended_well(pid) && r == 0)
        return text;
    free(text);
    return NULL;
}

/* What `podman run` would do first, and in its words: the image says what it sets when it is here.
 */
static void fetch(const struct abx_run *run, const char *podman)
{
    struct abx_words w = {0};
    const char *platform = abx_run_given(run, "--platform", NULL);
    abx_words_add(&w, podman);
    abx_words_add(&w, "pull");
    if (platform) {
        abx_words_add(&w, "--platform");
        abx_words_add(&w, platform);
    }
    abx_words_add(&w, run->image);
    if (!ended_well(start(w.list, -1, false)))
        exit(ABX_EXIT_OWN);
    free(w.list);
}

char *abx_python_path_oci(const struct abx_run *run, const char *podman)
{
    const char *given = given_path(run), *when = abx_run_given(run, "--pull", NULL);
    if (given)
        return joined(given);
    bool renews = when && (strcmp(when, "always") == 0 || strcmp(when, "newer") == 0);
    char *text = renews ? NULL : variables_of(run, podman);
    if (!text && !(when && strcmp(when, "never") == 0)) {
        fetch(run, podman);
        text = variables_of(run, podman);
    }
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n"));)
        if (strncmp(line, NAME, strlen(NAME)) == 0)
            given = line + strlen(NAME);
    char *pair = joined(given);
    free(text);
    return pair;
}
