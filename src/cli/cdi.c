/* arcbox cdi: describes the GPU to container engines, as the Container Device Interface does it:
 * mounts for our libraries, and hooks. The hooks (cdi_hook.c) make a tenant for each container, so
 * that containers stay apart although the description is one file. */
#include "cli/cdi.h"
#include "host/control/control.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where podman, docker, containerd and CRI-O look; podman of Debian 12 in no folder of a user's. */
#define SYSTEM_FILE "/etc/cdi/arcbox.json"

/* Folders that images have too: what we put there is mounted file by file. */
static bool is_shared(const char *path)
{
    static const char *const shared[] = {"", "/usr", "/usr/bin", "/usr/lib", "/usr/lib64",
            "/usr/include", "/usr/share", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu",
            "/usr/lib/x86_64-linux-gnu/pkgconfig", "/usr/lib/aarch64-linux-gnu/pkgconfig",
            "/usr/share/pkgconfig", "/etc", "/etc/ld.so.conf.d", "/usr/local", "/usr/local/lib",
            "/usr/local/bin", "/opt"};
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(shared); i++)
        if (strcmp(path, shared[i]) == 0)
            return true;
    return false;
}

struct list {
    struct abx_injection *items;
    uint32_t count, capacity;
};

static void inject(struct list *l, const char *source, const char *target)
{
    abx_xgrow((void **)&l->items, &l->capacity, l->count + 1, sizeof *l->items);
    l->items[l->count++] = (struct abx_injection){abx_xstrdup(source), abx_xstrdup(target)};
    l->items[l->count] = (struct abx_injection){0};
}

static void walk(struct list *l, const char *stage, const char *rel)
{
    char *folder = abx_xprintf("%s%s", stage, rel);
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        char *target = abx_xprintf("%s/%s", rel, e->d_name);
        char *source = abx_xprintf("%s%s", stage, target);
        /* Links are followed: a mount shows the file itself under each of its names. */
        char *real = realpath(source, NULL);
        struct stat st;
        if (real && stat(real, &st) == 0) {
            if (S_ISDIR(st.st_mode) && is_shared(target))
                walk(l, stage, target);
            else
                inject(l, real, target);
        }
        free(real);
        free(source);
        free(target);
    }
    if (d)
        closedir(d);
    free(folder);
}

struct abx_injection *abx_injections(const char *stage, size_t *ret_count)
{
    struct list l = {0};
    walk(&l, stage, "");
    *ret_count = l.count;
    return l.items;
}

/* `runtime`: the folder of whose host runtime it is; NULL: of the user whose container it is, which
 * the hook finds out. */
static void add_hook_body(
        struct abx_string *s, const char *what, const char *backend, const char *runtime)
{
    char *own = abx_place_self();
    abx_string_printf(s, "\"path\": ");
    abx_json_string(s, own);
    abx_string_printf(s, ", \"args\": [\"arcbox\", \"cdi-hook\", \"%s\"", what);
    if (backend) {
        abx_string_printf(s, ", ");
        abx_json_string(s, backend);
    }
    abx_string_printf(s, "], \"env\": [\"PATH=/usr/sbin:/usr/bin:/sbin:/bin\"");
    if (runtime && *runtime) {
        char *pair = abx_xprintf("ARCBOX_RUNTIME_DIR=%s", runtime);
        abx_string_printf(s, ", ");
        abx_json_string(s, pair);
        free(pair);
    }
    abx_string_printf(s, "]");
    free(own);
}

static void add_device(struct abx_string *s, const char *name, const char *backend)
{
    abx_string_printf(s, "    {\"name\": ");
    abx_json_string(s, name);
    abx_string_printf(s, ", \"containerEdits\": {\"hooks\": [{\"hookName\": \"createRuntime\", ");
    add_hook_body(s, "start", backend, getenv("ARCBOX_RUNTIME_DIR"));
    abx_string_printf(s, "}]}}");
}

static void add_edits(struct abx_string *s)
{
    char *stage = abx_place_guest_root();
    if (!stage)
        abx_die(ABX_EXIT_OWN,
                "the guest library is missing beside the arcbox program: build again");
    size_t count;
    struct abx_injection *list = abx_injections(stage, &count);
    abx_string_printf(s, "  \"containerEdits\": {\n    \"mounts\": [");
    for (size_t i = 0; i < count; i++) {
        abx_string_printf(s, "%s\n      {\"hostPath\": ", i ? "," : "");
        abx_json_string(s, list[i].source);
        abx_string_printf(s, ", \"containerPath\": ");
        abx_json_string(s, list[i].target);
        abx_string_printf(s, ", \"options\": [\"ro\", \"nosuid\", \"nodev\", \"rbind\"]}");
    }
    abx_string_printf(s, "\n    ],\n    \"hooks\": [\n      {\"hookName\": \"createContainer\", ");
    add_hook_body(s, "attach", NULL, getenv("ARCBOX_RUNTIME_DIR"));
    abx_string_printf(s, "},\n      {\"hookName\": \"poststop\", ");
    add_hook_body(s, "end", NULL, getenv("ARCBOX_RUNTIME_DIR"));
    abx_string_printf(s, "}\n    ]\n  }\n");
    free(stage);
}

char *abx_cdi_text(void)
{
    struct abx_control *control;
    struct abx_control_device *devices = NULL;
    unsigned count = 0;
    char *why = NULL;
    int r = abx_control_connect(true, &control, &why);
    if (r < 0)
        abx_die(ABX_EXIT_OWN, "cannot reach the host runtime: %s", why ? why : strerror(-r));
    if (abx_control_devices(control, &devices, &count) < 0)
        abx_die(ABX_EXIT_OWN, "cannot list the devices: %s", abx_control_error(control));
    struct abx_string s = {0};
    abx_string_printf(&s, "{\n  \"cdiVersion\": \"0.3.0\",\n  \"kind\": \"arcbox.dev/gpu\",\n"
                          "  \"devices\": [\n");
    add_device(&s, "all", "");
    for (unsigned i = 0; i < count; i++) {
        abx_string_printf(&s, ",\n");
        add_device(&s, devices[i].backend, devices[i].backend);
    }
    abx_string_printf(&s, "\n  ],\n");
    add_edits(&s);
    abx_string_printf(&s, "}\n");
    free(devices);
    abx_control_close(control);
    if (s.failed)
        abx_die(ABX_EXIT_OWN, "out of memory");
    return s.data;
}

void abx_write_whole(const char *path, const char *text)
{
    /* Of this process alone: several write the same file at once. */
    char *temporary = abx_xprintf("%s.%d.new", path, (int)getpid());
    FILE *f = fopen(temporary, "we");
    if (!f || fputs(text, f) < 0 || fclose(f) != 0 || rename(temporary, path) < 0)
        abx_die(ABX_EXIT_OWN, "cannot write %s: %s", path, strerror(errno));
    free(temporary);
}

char *abx_hooks_folder(const char *backend)
{
    static const char *const hooks[][2] = {
            {"createRuntime", "start"}, {"createContainer", "attach"}, {"poststop", "end"}};
    char *state = abx_place_state();
    char *folder = abx_xprintf("%s/hooks-%s", state, *backend ? backend : "default");
    int r = abx_mkdir_p(folder, 0700);
    if (r < 0)
        abx_die(ABX_EXIT_OWN, "cannot make %s: %s", folder, strerror(-r));
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(hooks); i++) {
        struct abx_string s = {0};
        abx_string_printf(&s,
                "{\"version\": \"1.0.0\", \"when\": {\"always\": true}, "
                "\"stages\": [\"%s\"], \"hook\": {",
                hooks[i][0]);
        add_hook_body(&s, hooks[i][1], i == 0 ? backend : NULL, state);
        abx_string_printf(&s, "}}\n");
        char *path = abx_xprintf("%s/arcbox-%s.json", folder, hooks[i][1]);
        abx_write_whole(path, s.data);
        free(path);
        abx_string_finish(&s);
    }
    free(state);
    return folder;
}

static void write_description(const char *path, const char *text)
{
    char *parent = abx_xstrdup(path), *slash = strrchr(parent, '/');
    if (slash && slash != parent) {
        *slash = 0;
        abx_mkdir_p(parent, 0755);
    }
    abx_write_whole(path, text);
    free(parent);
    printf("wrote %s; now: podman run --device arcbox.dev/gpu=all IMAGE COMMAND\n", path);
}

int abx_do_cdi(int argc, char **argv)
{
    const char *output = NULL;
    struct abx_options o = abx_options_start(argc, argv);
    for (const char *name; (name = abx_options_next(&o));) {
        if (strcmp(name, "--output") == 0)
            output = abx_options_value(&o);
    }
    if (!o.count || strcmp(o.words[0], "generate") != 0)
        abx_usage(&o);
    if (!output && geteuid() != 0)
        abx_die(ABX_EXIT_OWN,
                "container engines read " SYSTEM_FILE ", which root writes: run `sudo arcbox cdi "
                "generate` once, for all users; or name another file with --output (- prints it)");
    char *text = abx_cdi_text();
    if (output && strcmp(output, "-") == 0)
        fputs(text, stdout);
    else
        write_description(output ? output : SYSTEM_FILE, text);
    free(text);
    return 0;
}
