/* Shaders written to break the compiler, to reach the host through it, or to misbehave when they
 * run: each is given to the real processes (arcboxd, its compiler, a worker) by a tenant of its
 * own. Afterwards another tenant's kernel still runs, and the hostile tenant's next honest shader
 * compiles and runs.
 *
 *   test_hostile_shaders CASE...    files; cases too large for a file are made in large.c
 *
 * A case says on its first lines what must become of it (several: any of them):
 *   // wants: LINE:COLUMN TEXT     the library fails, and its message says so there
 *   // wants: library TEXT         the library fails, and its message says so
 *   // wants: pipeline TEXT        the library compiles; making a pipeline fails, and says so
 *   // wants: limit                the compiler is stopped by its limits
 *   // wants: crash                the compiler crashes, in its own process, and says so
 *   // wants: runs                 every kernel compiles and does its work: there is no harm in it
 *   // wants: fault | timeout | memory    the kernel's command buffer ends so
 * and may add
 *   // macro: NAME=VALUE           of MTLCompileOptions.preprocessorMacros */
#include "hostile.h"

#include "wire/reflection.h"

#include <signal.h>
#include <unistd.h>

#define LIBRARY HANDLE(10)
#define PIPELINE(n) HANDLE(100 + (n))
#define MAX_PIPELINES 16u
#define STOPPED "the compiler was stopped: it took too long or too much memory"

static const char honest[] = "kernel void add(device uint *x [[buffer(0)]], uint i "
                             "[[thread_position_in_grid]]) { x[i] += %u; }\n";

static struct abx_control *control;
static struct abx_control_tenant hostile_tenant, other_tenant;
static struct guest guest, other;
static bool guest_is_new; /* the case's kernel ended the last one's worker */

static struct abx_result dispatch(struct guest *g, abx_handle pipeline)
{
    struct abx_encoder *e = guest_begin(g);
    abx_encode_compute_begin(e, 0);
    abx_encode_set_pipeline(e, pipeline);
    abx_encode_set_buffer(e, DATA, 0, 0);
    abx_encode_dispatch_threads(e, (uint32_t[]){1, 1, 1}, (uint32_t[]){1, 1, 1});
    abx_encode_encoder_end(e);
    guest_commit(g, 0);
    if (!guest_wait(g, 0, g->sequence))
        CHECK(guest_is_dead(g));
    return g->host->results[0];
}

/* A shader the compiler has not seen: none of this comes from a cache. */
static void check_honest(void)
{
    static unsigned count;
    char source[256];
    snprintf(source, sizeof source, honest, ++count);
    int r = guest_compile(&guest, source, HANDLE(11));
    if (r < 0)
        fprintf(stderr, "an honest shader: %d, %s\n", r, guest.text);
    CHECK(r == 0);
    guest_pipeline(&guest, "add", HANDLE(11), HANDLE(12));
    uint32_t before = *(uint32_t *)guest.data;
    CHECK(dispatch(&guest, HANDLE(12)).error == 0);
    CHECK(*(uint32_t *)guest.data == before + count);
    GUEST_PUSH(&guest, destroy, HANDLE(12));
    GUEST_PUSH(&guest, destroy, HANDLE(11));
}

static void check_other(void)
{
    uint32_t before = *(uint32_t *)other.data;
    CHECK(dispatch(&other, HANDLE(12)).error == 0);
    CHECK(*(uint32_t *)other.data == before + 1000);
}

/* ---- one case */

/* What has come of it so far, in the words of `wants`. */
static bool is_wanted(const struct hostile_case *c, const char *what, const char *text)
{
    size_t n = strlen(what);
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(c->wants); i++) {
        const char *w = c->wants[i];
        if (strncmp(w, what, n) == 0 && (!w[n] || (w[n] == ' ' && strstr(text, w + n + 1))))
            return true;
    }
    return false;
}

static bool wants_place(const char *wants, const char *text)
{
    char place[64];
    unsigned line, column;
    int at = 0;
    if (sscanf(wants, "%u:%u %n", &line, &column, &at) != 2)
        return false;
    snprintf(place, sizeof place, "program_source:%u:%u: ", line, column);
    for (const char *p = text; (p = strstr(p, place)); p++) {
        const char *end = strchrnul(p, '\n'), *found = strstr(p, wants + at);
        if (found && found < end)
            return true;
    }
    return false;
}

static bool library_failed_as_wanted(const struct hostile_case *c, int error, const char *text)
{
    if (strncmp(text, "Compilation failed: \n\n", 22) != 0)
        return false;
    if (error != -EINVAL)
        return is_wanted(c, strstr(text, STOPPED) ? "limit" : "crash", text);
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(c->wants); i++)
        if (wants_place(c->wants[i], text))
            return true;
    return is_wanted(c, "library", text);
}

static const char *reason_name(const struct abx_result *r)
{
    return r->error_reason == ABX_REASON_FAULT     ? "fault"
           : r->error_reason == ABX_REASON_TIMEOUT ? "timeout"
           : r->error_reason == ABX_REASON_MEMORY  ? "memory"
           : r->error                              ? "another error"
                                                   : "runs";
}

static bool run_kernel(const struct hostile_case *c, abx_handle pipeline)
{
    struct abx_result r = dispatch(&guest, pipeline);
    printf("  %s\n", reason_name(&r));
    guest_is_new = atomic_load(&guest.host->lost);
    if (guest_is_new) {
        guest_close(&guest);
        guest_open(&guest, hostile_tenant.socket);
    }
    return is_wanted(c, reason_name(&r), "");
}

static bool run_function(const struct hostile_case *c, uint32_t i)
{
    bool ok;
    GUEST_PUSH(&guest, pipeline_create, PIPELINE(i), LIBRARY, i, 0, NULL);
    int error = guest_prepare(&guest, PIPELINE(i));
    if (error < 0) {
        printf("  pipeline: %d, %s\n", error, guest.text);
        ok = is_wanted(c, strstr(guest.text, STOPPED) ? "limit" : "pipeline", guest.text);
    } else
        ok = run_kernel(c, PIPELINE(i));
    if (!guest_is_new)
        GUEST_PUSH(&guest, destroy, PIPELINE(i));
    return ok;
}

static bool leaks(void)
{
    static const char *const secrets[] = {"root:", "Stack dump", "/usr/", "libLLVM", "clang-19"};
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(secrets); i++)
        if (strstr(guest.text, secrets[i]))
            return true;
    return false;
}

bool hostile_check(const struct hostile_case *c)
{
    uint64_t start = abx_now_ns();
    printf("%s\n", c->name);
    guest_is_new = false;
    int error = guest_compile_text(
            &guest, c->macros, c->macro_bytes, c->source, c->source_bytes, LIBRARY);
    bool ok = !leaks();
    if (error < 0) {
        printf("  library: %d, %.600s\n", error, guest.text);
        ok &= library_failed_as_wanted(c, error, guest.text);
    } else {
        uint32_t count = guest.reflection->function_count;
        ok &= count > 0;
        for (uint32_t i = 0; i < count && i < MAX_PIPELINES && !guest_is_new; i++)
            ok &= run_function(c, i) && !leaks();
        if (!guest_is_new)
            GUEST_PUSH(&guest, destroy, LIBRARY);
    }
    printf("  %.1f s\n", (double)(abx_now_ns() - start) / 1e9);
    for (unsigned i = 0; !ok && c->wants[i][0] && i < ABX_ARRAY_SIZE(c->wants); i++)
        printf("  FAILED, wanted %s\n", c->wants[i]);
    check_other();
    check_honest();
    return ok;
}

/* ---- cases in files */

static void read_directive(const char *line, const char *end, struct hostile_case *c)
{
    static const char wants[] = "// wants: ", macro[] = "// macro: ";
    const char *text = line + sizeof wants - 1;
    int rest = (int)(end - text);
    CHECK(rest >= 0);
    if (memcmp(line, macro, sizeof macro - 1) == 0) {
        CHECK(c->macro_bytes + (unsigned)rest + 1 <= sizeof c->macros);
        memcpy(c->macros + c->macro_bytes, text, (size_t)rest);
        c->macro_bytes += (unsigned)rest;
        c->macros[c->macro_bytes++] = 0;
    } else {
        unsigned i = 0;
        CHECK(memcmp(line, wants, sizeof wants - 1) == 0);
        while (c->wants[i][0])
            CHECK(++i < ABX_ARRAY_SIZE(c->wants));
        snprintf(c->wants[i], sizeof c->wants[i], "%.*s", rest, text);
    }
}

static bool check_file(const char *path)
{
    struct hostile_case c = {.name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path};
    void *text;
    CHECK(abx_read_file(path, 1 << 20, &text, &c.source_bytes) == 0);
    c.source = text;
    const char *end = c.source + c.source_bytes;
    const char *first = c.source + (memcmp(c.source, "\xef\xbb\xbf", 3) ? 0 : 3);
    for (const char *line = first; line < end && line[0] == '/'; line++) {
        const char *line_end = memchr(line, '\n', (size_t)(end - line));
        CHECK(line_end);
        read_directive(line, line_end, &c);
        line = line_end;
    }
    CHECK(c.wants[0][0]);
    bool ok = hostile_check(&c);
    free(text);
    return ok;
}

int main(int argc, char **argv)
{
    /* Low, so that what is stopped is stopped soon; honest shaders take a tenth. */
    struct abx_control_limits limits = {.kernel_ns = 2000000000, .compile_seconds = 3};
    unsigned failed = 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGPIPE, SIG_IGN);
    control = daemon_start();
    daemon_tenant(control, "hostile", "cpu", &limits, &hostile_tenant);
    daemon_tenant(control, "other", "cpu", NULL, &other_tenant);
    guest_open(&guest, hostile_tenant.socket);
    guest_open(&other, other_tenant.socket);
    char source[256];
    snprintf(source, sizeof source, honest, 1000u);
    CHECK(guest_compile(&other, source, HANDLE(11)) == 0);
    guest_pipeline(&other, "add", HANDLE(11), HANDLE(12));
    for (int i = 1; i < argc; i++)
        failed += !check_file(argv[i]);
    if (argc == 1)
        failed = hostile_check_large();
    guest_close(&guest);
    guest_close(&other);
    daemon_stop(control);
    printf("%u failed\n", failed);
    return failed != 0;
}
