/* cli: the system calls of a container of podman's that has the GPU: podman's own list, and with it
 * userfaultfd() for faults of the process itself, which the guest's library asks for (src/wire/
 * client_watch.c). What is risky in it, faults of the kernel's, stays refused: the call has to have
 * UFFD_USER_MODE_ONLY, as Linux itself wants it of ordinary users. */
#include "cli/run.h"

#include <cjson/cJSON.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CALL "userfaultfd"
#define MOST_BYTES (4u << 20)

/* What podman takes, in its order. */
static char *default_list(void)
{
    static const char *const paths[] = {
            "/etc/containers/seccomp.json", "/usr/share/containers/seccomp.json"};
    void *text = NULL;
    size_t length;
    for (size_t i = 0; i < ABX_ARRAY_SIZE(paths) && !text; i++)
        if (abx_read_file(paths[i], MOST_BYTES, &text, &length) < 0)
            text = NULL;
    return text;
}

/* A file of podman's settings; `pattern`: of them. */
static bool names_list(const char *pattern)
{
    glob_t found;
    bool names = false;
    if (!pattern || glob(pattern, 0, NULL, &found) != 0)
        return false;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        void *text = NULL;
        size_t length;
        if (abx_read_file(found.gl_pathv[i], MOST_BYTES, &text, &length) == 0)
            for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
                names |= strncmp(line + strspn(line, " \t"), "seccomp_profile", 15) == 0;
        free(text);
    }
    globfree(&found);
    return names;
}

/* Whoever has given podman a list of their own means it. Where podman looks: containers.conf(5). */
static bool has_own_list(void)
{
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    char *own = config && *config ? abx_xprintf("%s/containers", config)
                                  : abx_xprintf("%s/.config/containers", home ? home : "");
    const char *folders[] = {"/usr/share/containers", "/etc/containers", own};
    bool names =
            names_list(getenv("CONTAINERS_CONF")) || names_list(getenv("CONTAINERS_CONF_OVERRIDE"));
    for (size_t i = 0; i < ABX_ARRAY_SIZE(folders); i++) {
        char *file = abx_xprintf("%s/containers.conf", folders[i]);
        char *parts = abx_xprintf("%s/containers.conf.d/*.conf", folders[i]);
        names |= names_list(file) || names_list(parts);
        free(file);
        free(parts);
    }
    free(own);
    return names;
}

/* Takes the call off all lists. False: it is on none that refuses it. */
static bool take_off(cJSON *rules)
{
    bool refused = false;
    cJSON *rule;
    cJSON_ArrayForEach(rule, rules)
    {
        cJSON *names = cJSON_GetObjectItemCaseSensitive(rule, "names");
        const cJSON *action = cJSON_GetObjectItemCaseSensitive(rule, "action");
        for (int i = cJSON_GetArraySize(names) - 1; i >= 0; i--) {
            const cJSON *name = cJSON_GetArrayItem(names, i);
            if (!cJSON_IsString(name) || strcmp(name->valuestring, CALL) != 0)
                continue;
            refused |= cJSON_IsString(action) && strcmp(action->valuestring, "SCMP_ACT_ALLOW") != 0;
            cJSON_DeleteItemFromArray(names, i);
        }
    }
    return refused;
}

/* The list with the call, to be freed; NULL where it is allowed anyway, or not understood. */
static char *amended(const char *text)
{
    cJSON *all = cJSON_Parse(text);
    cJSON *rules = cJSON_GetObjectItemCaseSensitive(all, "syscalls");
    cJSON *rule =
            cJSON_IsArray(rules) && take_off(rules)
                    ? cJSON_Parse("{\"names\": [\"" CALL "\"], \"action\": \"SCMP_ACT_ALLOW\", "
                                  "\"args\": [{\"index\": 0, \"value\": 1, \"valueTwo\": 1, "
                                  "\"op\": \"SCMP_CMP_MASKED_EQ\"}]}")
                    : NULL;
    char *list = NULL;
    if (rule && cJSON_AddItemToArray(rules, rule))
        list = cJSON_PrintUnformatted(all);
    cJSON_Delete(all);
    return list;
}

char *abx_oci_calls_keep(const struct abx_container *c)
{
    char *text = has_own_list() ? NULL : default_list(), *list = text ? amended(text) : NULL;
    char *path = list ? abx_container_file(c, "calls") : NULL;
    if (path && abx_write_file(path, list, strlen(list)) < 0) {
        free(path);
        path = NULL;
    }
    free(text);
    cJSON_free(list);
    return path;
}
