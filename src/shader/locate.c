/* shader: where the front end's tools are: from the environment, beside an installed binary, or in
 * the build folder. Compiler process and supervisor; the environment is the user's who started the
 * daemon, and is trusted. */
#include "shader/shader.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const clang_paths[] = {"/usr/bin/clang-19", "/usr/local/bin/clang-19",
        "/usr/lib/llvm-19/bin/clang", "/opt/homebrew/opt/llvm@19/bin/clang"};

/* Joins and checks that the result is there. */
static bool found(char to[256], const char *folder, size_t folder_bytes, const char *name)
{
    int n = snprintf(to, 256, "%.*s/%s", (int)folder_bytes, folder, name);
    return n > 0 && n < 256 && !access(to, R_OK);
}

static bool find_clang(char to[256])
{
    const char *given = getenv("ARCBOX_CLANG"), *path = getenv("PATH");
    if (given && *given)
        return snprintf(to, 256, "%s", given) < 256 && !access(to, X_OK);
    for (const char *p = path; p && *p;) {
        size_t n = strcspn(p, ":");
        if (n && found(to, p, n, "clang-19") && !access(to, X_OK))
            return true;
        p += n + (p[n] == ':');
    }
    for (size_t i = 0; i < ABX_ARRAY_SIZE(clang_paths); i++)
        if (!access(clang_paths[i], X_OK))
            return snprintf(to, 256, "%s", clang_paths[i]) < 256;
    return false;
}

/* A folder as build_shim.py makes it. */
static bool is_shim(const char *folder, size_t bytes, struct abx_shader_tools *tools)
{
    char overlay[256];
    return found(overlay, folder, bytes, "vfs.yaml") &&
           found(tools->pch, folder, bytes, "shim.pch") &&
           snprintf(tools->shim, sizeof(tools->shim), "%.*s", (int)bytes, folder) <
                   (int)sizeof(tools->shim);
}

static bool find_shim(struct abx_shader_tools *tools)
{
    static const char *const beside[] = {
            "", "/src/shader", "/share/arcbox/shader", "/lib/arcbox/shader"};
    const char *given = getenv("ARCBOX_SHADER_DIR");
    if (given && *given)
        return is_shim(given, strlen(given), tools);
    char binary[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", binary, sizeof(binary) - 1);
    if (n <= 0)
        return false;
    binary[n] = 0;
    /* From the binary's folder upwards: bin/arcbox -> share/arcbox/shader, and in a build folder
     * tests/shader/tool -> src/shader. */
    for (int up = 0; up < 4; up++) {
        char *slash = strrchr(binary, '/');
        if (!slash)
            break;
        *slash = 0;
        for (size_t i = 0; i < ABX_ARRAY_SIZE(beside); i++) {
            char folder[PATH_MAX + 32];
            snprintf(folder, sizeof(folder), "%s%s", binary, beside[i]);
            if (is_shim(folder, strlen(folder), tools))
                return true;
        }
    }
    return false;
}

int abx_shader_locate(struct abx_shader_tools *ret_tools, char **ret_message)
{
    struct abx_shader_tools tools = {0};
    if (!find_clang(tools.clang)) {
        const char *given = getenv("ARCBOX_CLANG");
        if (given && *given) {
            if (asprintf(ret_message, "no clang at ARCBOX_CLANG=%s: install clang-19", given) < 0)
                *ret_message = NULL;
        } else {
            *ret_message = strdup("no clang: install clang-19 (apt install clang-19), or set "
                                  "ARCBOX_CLANG to its path");
        }
        return -ENOENT;
    }
    if (!find_shim(&tools)) {
        *ret_message = strdup("no shader library: the folder with shim.pch and vfs.yaml was not "
                              "found; reinstall, or set ARCBOX_SHADER_DIR to it");
        return -ENOENT;
    }
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    tools.cores = cores > 0 ? (uint32_t)cores : 1;
    *ret_tools = tools;
    return 0;
}
