/* cli: whether podman can start a container here, tried: its version says nothing about name
 * spaces, control groups or the parts that its network needs. The container is a folder with one
 * static program of ours, so nothing is fetched. */
#include "cli/doctor.h"
#include "cli/run.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROGRAM_CAP (64u << 20)

/* A root file system of one program; NULL: it cannot be made. */
static char *make_root(void)
{
    char *state = abx_place_state(), *root = abx_xprintf("%s/doctor-XXXXXX", state);
    char *init = abx_place_init(), *program = NULL;
    void *data = NULL;
    size_t length;
    bool ok = init && mkdtemp(root) && abx_read_file(init, PROGRAM_CAP, &data, &length) == 0;
    if (ok) {
        program = abx_xprintf("%s/arcbox-init", root);
        ok = abx_write_file(program, data, length) == 0 && chmod(program, 0755) == 0 &&
             chmod(root, 0755) == 0;
    }
    if (!ok)
        abx_remove_tree(root);
    free(program);
    free(data);
    free(init);
    free(state);
    if (ok)
        return root;
    free(root);
    return NULL;
}

static bool starts(char *podman, char *root, const char *network, char **ret_text)
{
    char *runtime = abx_oci_runtime(), *argv[16];
    unsigned n = 0;
    argv[n++] = podman;
    if (runtime) {
        argv[n++] = "--runtime";
        argv[n++] = runtime;
    }
    argv[n++] = "run";
    argv[n++] = "--rm";
    if (network) {
        argv[n++] = "--network";
        argv[n++] = (char *)network;
    }
    char *const rest[] = {"--ulimit", "nofile=512:512", "--ulimit", "nproc=512:512", "--rootfs",
            root, "/arcbox-init", "-c", NULL};
    memcpy(argv + n, rest, sizeof rest);
    int code = abx_doctor_output(argv, ret_text);
    free(runtime);
    return code == 0 && strstr(*ret_text, "started");
}

/* The last line says what ended it. */
static const char *last_line(const char *text)
{
    const char *end = strrchr(text, '\n');
    return end ? end + 1 : text;
}

int abx_doctor_podman(char **ret_text)
{
    char *podman = abx_find_program("podman"), *root = podman ? make_root() : NULL, *why, *second;
    if (!root) {
        free(podman);
        return -1;
    }
    int r = 0;
    if (starts(podman, root, NULL, &why))
        *ret_text = abx_xstrdup("podman starts one");
    else if (starts(podman, root, "host", &second)) {
        *ret_text = abx_xprintf(
                "podman starts one with --network host (or none) only: %.300s", last_line(why));
        r = 1;
    } else {
        *ret_text = abx_xprintf("podman starts none: %.300s", last_line(second));
        r = 1;
    }
    abx_remove_tree(root);
    free(podman);
    return r;
}
