/* shader-tool: kernels of a library as machine code or PTX, each in a child of its own, because the
 * code generator may abort the process, as it does in the compiler process. */
#include "shader_tool.h"

#include "shader/abi/kernel.h"
#include "shader/abi/nvptx.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

const char *const target_names[] = {[ABX_TARGET_HOST] = "host",
        [ABX_TARGET_NVPTX] = "nvptx",
        [ABX_TARGET_X86_64] = "x86-64",
        [ABX_TARGET_AARCH64] = "aarch64"};

uint32_t find_target(const char *name)
{
    for (uint32_t i = 1; i < ABX_ARRAY_SIZE(target_names); i++)
        if (!strcmp(name, target_names[i]))
            return i;
    return 0;
}

/* As the constant's MTLDataType says: half, float, or an integer of the constant's size. */
static void encode(
        const struct abx_reflection_constant *c, double v, struct abx_shader_constant *to)
{
    float f = (float)v;
    _Float16 h = (_Float16)v;
    int64_t i = (int64_t)v;
    const void *from = c->type == 3 ? (void *)&f : c->type == 16 ? (void *)&h : (void *)&i;
    *to = (struct abx_shader_constant){.index = c->index, .type = c->type};
    memcpy(to->value, from, c->size < 8 ? c->size : 8);
}

/* Constants get the value given ("NAME=VALUE"), others 1, because 0 tends to divide something; or
 * none at all. */
static uint32_t fill_constants(
        const struct kernels *k, const struct abx_reflection *r, struct abx_shader_constant *to)
{
    uint32_t used = 0;
    for (uint32_t i = 0; i < r->constant_count && used < ABX_SHADER_MAX_CONSTANTS; i++) {
        const struct abx_reflection_constant *c = &abx_reflection_constants(r)[i];
        const char *name = abx_reflection_string(r, c->name);
        double value = 1;
        bool given = false;
        for (size_t n = 0; n < k->constant_count; n++)
            if (!strncmp(k->constants[n], name, strlen(name)) &&
                    k->constants[n][strlen(name)] == '=') {
                value = strtod(k->constants[n] + strlen(name) + 1, NULL);
                given = true;
            }
        if (given || !k->unset)
            encode(c, value, &to[used++]);
    }
    return used;
}

/* What a folder gets: the ELF object, or the PTX itself and the cubin, and the blob that a worker
 * would load. */
static int save(const char *folder, const char *name, bool ptx, const struct abx_shader_result *r)
{
    char path[4096];
    const void *body = abx_code_body(r->blob);
    const struct abx_cpu_code *c = body;
    const struct abx_ptx *p = body;
    const char *at = (const char *)body + (ptx ? p->ptx_offset : c->elf_offset);
    size_t bytes = ptx ? p->ptx_bytes - 1 : c->elf_bytes;
    snprintf(path, sizeof path, "%s/%s.%s", folder, name, ptx ? "ptx" : "o");
    int rc = abx_write_file(path, at, bytes);
    snprintf(path, sizeof path, "%s/%s.cubin", folder, name);
    if (!rc && ptx && p->processor)
        rc = abx_write_file(path, (const char *)body + p->cubin_offset, p->cubin_bytes);
    snprintf(path, sizeof path, "%s/%s.blob", folder, name);
    return rc ? rc : abx_write_file(path, r->blob, r->blob_bytes);
}

static int assemble(uint32_t processor, struct abx_shader_result *r)
{
    void *with;
    size_t bytes;
    int rc = abx_shader_assemble(processor, r->blob, r->blob_bytes, &with, &bytes);
    if (rc) {
        r->message = strdup("nvJitLink could not assemble it");
        return rc;
    }
    free(r->blob);
    r->blob = with;
    r->blob_bytes = bytes;
    return 0;
}

static int check(bool ptx, const struct abx_shader_result *r)
{
    return ptx ? abx_ptx_check(r->blob, r->blob_bytes) : abx_cpu_code_check(r->blob, r->blob_bytes);
}

#define ALONE 2 /* exit code */

/* Where threads meet: a coroutine for each of them, many times slower than one for 32. */
static bool is_alone(const struct abx_shader_result *r)
{
    const struct abx_cpu_code *c = abx_code_body(r->blob);
    return c->form == ABX_FORM_COROUTINE && c->lanes == 1;
}

_Noreturn static void child(const struct kernels *k, uint32_t function, const char *name)
{
    const struct abx_shader_library *head = k->library;
    const struct abx_reflection *r =
            (const void *)((const char *)k->library + head->reflection_offset);
    static struct abx_shader_constant constants[ABX_SHADER_MAX_CONSTANTS];
    struct abx_shader_result result = {0};
    uint32_t count = fill_constants(k, r, constants);
    bool ptx = k->target == ABX_TARGET_NVPTX;
    uint64_t start = abx_now_ns();
    static struct abx_shader_link links[ABX_SHADER_MAX_LINKS];
    uint32_t link_count = 0; /* all the library's visible functions */
    for (uint32_t i = 0; i < r->function_count && link_count < ABX_SHADER_MAX_LINKS; i++)
        if (abx_reflection_functions(r)[i].kind == ABX_FUNCTION_VISIBLE)
            links[link_count++] = (struct abx_shader_link){
                    k->library, k->library_bytes, ABX_LINK_TABLE, i, constants, count};
    int rc = abx_shader_link(k->tools, k->target, k->library, k->library_bytes, function, constants,
            count, links, link_count, &result);
    if (!rc && ptx && k->processor)
        rc = assemble(k->processor, &result);
    if (!rc && check(ptx, &result))
        rc = -EBADMSG;
    if (!rc && k->folder)
        rc = save(k->folder, name, ptx, &result);
    if (rc)
        printf("%s: %s: %s\n", name, strerror(-rc), result.message ? result.message : "");
    else if (!k->quiet)
        printf("%s: %zu bytes for %s, %.0f ms\n", name, result.blob_bytes, target_names[k->target],
                (double)(abx_now_ns() - start) / 1e6);
    bool alone = !rc && !ptx && is_alone(&result);
    if (alone && k->most_alone >= 0)
        printf("%s: one thread at a time\n", name);
    fflush(stdout);
    _exit(rc != 0 ? 1 : alone ? ALONE : 0);
}

static bool wait_one(const struct kernels *k, int *ret_alone)
{
    int status;
    pid_t pid = wait(&status);
    if (pid > 0 && WIFSIGNALED(status))
        printf("a kernel for %s: the code generator died of signal %d\n", target_names[k->target],
                WTERMSIG(status));
    bool alone = pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == ALONE;
    *ret_alone += alone;
    return alone || (pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static bool is_asked_for(const struct kernels *k, const struct abx_reflection *r, uint32_t i)
{
    const struct abx_reflection_function *f = &abx_reflection_functions(r)[i];
    return f->kind == ABX_FUNCTION_KERNEL &&
           (!k->name || strcmp(abx_reflection_string(r, f->name), k->name) == 0);
}

int specialize_kernels(const struct kernels *k)
{
    const struct abx_shader_library *head = k->library;
    const struct abx_reflection *r =
            (const void *)((const char *)k->library + head->reflection_offset);
    unsigned running = 0, good = 0, all = 0, seen = 0, last = 0;
    int alone = 0;
    for (uint32_t i = 0; i < r->function_count; i++)
        last += is_asked_for(k, r, i);
    for (uint32_t i = 0; i < r->function_count; i++) {
        const char *name = abx_reflection_string(r, abx_reflection_functions(r)[i].name);
        if (!is_asked_for(k, r, i) || (++seen % k->every && seen != last))
            continue;
        all++;
        if (running == k->jobs) {
            good += wait_one(k, &alone);
            running--;
        }
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0)
            child(k, i, name);
        running += pid > 0;
    }
    while (running--)
        good += wait_one(k, &alone);
    if (k->most_alone >= 0)
        printf("%d run one thread at a time, %d may\n", alone, k->most_alone);
    printf("%u of %u kernels for %s\n", good, all, target_names[k->target]);
    bool fast = k->most_alone < 0 || alone <= k->most_alone;
    return good == all && all && fast ? 0 : -EIO;
}
