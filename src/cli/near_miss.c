/* cli: words that are nearly others, and names of images that nobody can have meant: `hots`, `deb`,
 * a folder without its slash. podman would go and ask registries for them, and answer in its own
 * words. */
#include "cli/image.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LONGEST 32u

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

bool abx_is_near(const char *word, const char *known)
{
    return abx_word_distance(word, known) <= (strlen(known) > 5 ? 2u : 1u);
}

/* How many letters are to be added, left out, changed or exchanged with the next. */
unsigned abx_word_distance(const char *a, const char *b)
{
    unsigned d[LONGEST + 1][LONGEST + 1];
    size_t n = strlen(a), m = strlen(b);
    if (n > LONGEST || m > LONGEST)
        return LONGEST;
    for (unsigned i = 0; i <= n; i++)
        d[i][0] = i;
    for (unsigned j = 0; j <= m; j++)
        d[0][j] = j;
    for (size_t i = 1; i <= n; i++)
        for (size_t j = 1; j <= m; j++) {
            d[i][j] = least(least(d[i - 1][j] + 1, d[i][j - 1] + 1),
                    d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
        }
    return d[n][m];
}

static const char *meant(const char *name)
{
    static const char *const known[] = {"host", "debian", "ubuntu", "fedora", "alpine", "python",
            "archlinux", "almalinux", "rockylinux", "centos", "busybox", "opensuse", "rust", "gcc"};
    size_t n = strlen(name);
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(known); i++)
        if (strcmp(name, known[i]) == 0)
            return NULL;
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(known); i++) {
        if (abx_is_near(name, known[i]) || (n >= 2 && strncmp(known[i], name, n) == 0))
            return known[i];
    }
    return NULL;
}

static bool podman_has(const char *podman, const char *image)
{
    char *argv[] = {(char *)podman, "image", "exists", (char *)image, NULL};
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        dup2(null, 1);
        dup2(null, 2);
        execv(podman, argv);
        _exit(ABX_EXIT_OWN);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return pid < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 1;
}

static void check_name(const struct abx_run *run, const char *podman)
{
    char *name = strndup(run->image, strcspn(run->image, ":@"));
    struct stat st;
    if (!name || strchr(run->image, '/')) {
        free(name);
        return;
    }
    bool folder = stat(run->image, &st) == 0 && S_ISDIR(st.st_mode);
    const char *other = folder ? NULL : meant(name);
    if ((folder || other) && !podman_has(podman, run->image)) {
        if (folder)
            abx_die(ABX_EXIT_OWN, "there is no image '%s'; the folder of that name is ./%s",
                    run->image, run->image);
        abx_die(ABX_EXIT_OWN, "there is no image '%s': did you mean %s%s?", run->image, other,
                strcmp(other, "host") == 0 ? "" : run->image + strlen(name));
    }
    free(name);
}

char *abx_image_podman(const struct abx_run *run)
{
    char *podman = abx_find_program("podman");
    if (!podman)
        abx_die(ABX_EXIT_OWN,
                "image '%s': OCI images need podman (apt install podman); `host` and folders "
                "(./FOLDER) run without it",
                run->image);
    check_name(run, podman);
    return podman;
}
