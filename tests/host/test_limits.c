/* Limits: memory over the tenant's cap, too many clients, compile bombs, a cache folder on a full
 * disk; and that a worker has given up the rights it should have. */
#include "guest.h"

#include <dirent.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct abx_control *control;

/* ---- memory */

static void check_memory(void)
{
    struct abx_control_limits limits = {.memory_bytes = 16 << 20};
    struct abx_control_tenant t;
    struct guest g;
    daemon_tenant(control, "small", "null", &limits, &t);
    guest_open(&g, t.socket);
    CHECK(g.welcome.memory_cap == 16 << 20 && atomic_load(&g.host->memory_cap) == 16 << 20);
    CHECK(g.welcome.max_buffer_length <= 16 << 20);
    /* A guest that ignores the cap: its buffers fail where they are used, not the client. */
    guest_chunk(&g, 5, 32 << 20, 64 << 20);
    GUEST_PUSH(&g, buffer_create, HANDLE(20), 5, 0, 4096);
    GUEST_PUSH(&g, buffer_create_private, HANDLE(21), 256 << 20, 64 << 20);
    for (int i = 0; i < 2; i++) {
        struct abx_encoder *e = guest_begin(&g);
        abx_encode_blit_begin(e);
        abx_encode_fill_buffer(e, HANDLE(20 + (unsigned)i), 0, 16, 1);
        abx_encode_encoder_end(e);
        struct abx_result r = guest_run(&g);
        CHECK(r.error_reason == ABX_REASON_MEMORY && r.error_limit == 16 << 20);
    }
    uint64_t books = atomic_load(&g.host->memory_used) - (ARENA_BYTES + DATA_BYTES);
    CHECK(books < 1 << 20); /* of the host, for the client's tables */
    /* Freed memory can be had again. */
    GUEST_PUSH(&g, buffer_create_private, HANDLE(22), 512 << 20, 8 << 20);
    GUEST_PUSH(&g, destroy, HANDLE(22));
    GUEST_PUSH(&g, buffer_create_private, HANDLE(23), 512 << 20, 8 << 20);
    guest_begin(&g);
    CHECK(guest_run(&g).error == 0);
    books = atomic_load(&g.host->memory_used) - (ARENA_BYTES + DATA_BYTES + (8 << 20));
    CHECK(books < 1 << 20);
    guest_close(&g);
}

/* set_bytes into thousands of dispatches: 4 KB of records each, but gigabytes when expanded. */
static void check_expansion(void)
{
    static const char source[] = "#include <metal_stdlib>\n"
                                 "kernel void k(constant float4 *a [[buffer(0)]], constant float4 "
                                 "*b [[buffer(1)]], device float4 *c [[buffer(2)]]) { c[0] = a[0] "
                                 "+ b[0]; }\n";
    struct abx_control_tenant t;
    struct guest g;
    uint8_t bytes[4096] = {0};
    daemon_tenant(control, "expanding", "null", NULL, &t);
    guest_open(&g, t.socket);
    CHECK(guest_compile(&g, source, HANDLE(10)) == 0);
    guest_pipeline(&g, "k", HANDLE(10), HANDLE(11));
    struct abx_encoder *e = guest_begin(&g);
    abx_encode_compute_begin(e, 0);
    abx_encode_set_pipeline(e, HANDLE(11));
    abx_encode_set_bytes(e, 0, sizeof bytes, bytes);
    abx_encode_set_bytes(e, 1, sizeof bytes, bytes);
    abx_encode_set_buffer(e, DATA, 0, 2);
    for (int i = 0; i < 100000; i++)
        abx_encode_dispatch_threads(e, (uint32_t[]){1, 1, 1}, (uint32_t[]){1, 1, 1});
    abx_encode_encoder_end(e);
    CHECK(guest_run(&g).error_reason == ABX_REASON_MEMORY);
    guest_begin(&g);
    CHECK(guest_run(&g).error == 0);
    guest_close(&g);
}

static void check_clients(void)
{
    struct abx_control_limits limits = {.clients = 2};
    struct abx_control_tenant t;
    struct abx_message_refused refused = {0};
    struct guest a, b;
    daemon_tenant(control, "two", "null", &limits, &t);
    guest_open(&a, t.socket);
    guest_open(&b, t.socket);
    int sock = guest_dial(t.socket);
    int fds[ABX_SOCK_MAX_FDS];
    unsigned fd_count;
    CHECK(abx_sock_receive(sock, &refused, sizeof refused, fds, &fd_count) == sizeof refused);
    CHECK(refused.type == ABX_MESSAGE_REFUSED && strstr(refused.text, "as many clients"));
    close(sock);
    guest_close(&a);
    guest_close(&b);
}

/* ---- compiles */

static void check_bombs(void)
{
    /* Exponential in clang's time or memory; each must end with an error, soon. */
    static const char *const bombs[] = {
            "template<int a, int b> struct F { static constexpr int v = F<a-1, b*2>::v + F<a-1, "
            "b*2+1>::v; };\n"
            "template<int b> struct F<0, b> { static constexpr int v = b; };\n"
            "kernel void k(device int *x [[buffer(0)]]) { x[0] = F<28, 1>::v; }\n",
            "#define A x,x,x,x,x,x,x,x,x,x\n#define B A,A,A,A,A,A,A,A,A,A\n"
            "#define C B,B,B,B,B,B,B,B,B,B\n#define D C,C,C,C,C,C,C,C,C,C\n"
            "#define E D,D,D,D,D,D,D,D,D,D\n#define F E,E,E,E,E,E,E,E,E,E\n"
            "#define G F,F,F,F,F,F,F,F,F,F\n#define H G,G,G,G,G,G,G,G,G,G\n"
            "#define I H,H,H,H,H,H,H,H,H,H\nint x = (I);\n",
    };
    struct abx_control_tenant t;
    struct guest g;
    daemon_tenant(control, "bomber", "null", NULL, &t);
    guest_open(&g, t.socket);
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(bombs); i++) {
        uint64_t start = abx_now_ns();
        int r = guest_compile(&g, bombs[i], HANDLE(10));
        fprintf(stderr, "bomb %u: %d after %.1f s: %.60s\n", i, r,
                (double)(abx_now_ns() - start) / 1e9, g.text);
        CHECK(r < 0);
        CHECK(abx_now_ns() - start < 20000000000ull);
    }
    CHECK(guest_compile(&g, "kernel void k(device int *x [[buffer(0)]]) { x[0] = 1; }\n",
                  HANDLE(10)) == 0);
    guest_close(&g);
}

/* A malformed request never reaches clang. */
static void check_requests(void)
{
    struct abx_control_tenant t;
    struct guest g;
    union abx_message m;
    int fds[ABX_SOCK_MAX_FDS];
    unsigned fd_count;
    daemon_tenant(control, "requests", "null", NULL, &t);
    guest_open(&g, t.socket);
    static const uint64_t sizes[] = {0, 4, 23, ABX_MAX_COMPILE_BYTES + 1ull, 1ull << 60};
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(sizes); i++) {
        struct abx_message_compile c = {
                .type = ABX_MESSAGE_COMPILE, .tag = i, .library = HANDLE(10), .bytes = sizes[i]};
        int fd = abx_memfd_create("source", 18u << 20);
        CHECK(abx_sock_send(g.sock, &c, sizeof c, &fd, 1) == 0);
        close(fd);
        CHECK(abx_sock_receive(g.sock, &m, sizeof m, fds, &fd_count) == sizeof m.compiled);
        CHECK(m.compiled.tag == i && m.compiled.error < 0);
        while (fd_count)
            close(fds[--fd_count]);
    }
    guest_close(&g);
}

/* ---- what the worker may not */

static void read_proc(int pid, const char *what, char *text, size_t capacity)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, what);
    FILE *file = fopen(path, "r");
    size_t n = file ? fread(text, 1, capacity - 1, file) : 0;
    text[n] = 0;
    if (file)
        fclose(file);
}

static void check_rights(void)
{
    struct abx_control_tenant t, *all;
    struct guest g;
    unsigned count;
    char text[8192], path[64];
    struct stat ours, theirs;
    daemon_tenant(control, "confined", "cpu", NULL, &t);
    guest_open(&g, t.socket);
    CHECK(abx_control_tenants(control, &all, &count) == 0);
    int pid = 0;
    for (unsigned i = 0; i < count; i++)
        if (strcmp(all[i].name, "confined") == 0)
            pid = all[i].worker_pid;
    free(all);
    CHECK(pid > 0);
    read_proc(pid, "status", text, sizeof text);
    CHECK(strstr(text, "NoNewPrivs:\t1") && strstr(text, "Seccomp:\t2"));
    CHECK(strstr(text, "CapEff:\t0000000000000000") && strstr(text, "CapBnd:\t0000000000000000"));
    read_proc(pid, "limits", text, sizeof text);
    CHECK(strstr(text, "Max core file size        0"));
    /* Where the system allows name spaces, the file system is empty and the network another. */
    snprintf(path, sizeof path, "/proc/%d/ns/net", pid);
    CHECK(stat("/proc/self/ns/net", &ours) == 0);
    if (stat(path, &theirs) < 0) /* it is not dumpable, and we are not root */
        fprintf(stderr, "%s: not ours to see: not checked\n", path);
    else if (ours.st_ino == theirs.st_ino)
        fprintf(stderr, "no name spaces here: not checked\n");
    else {
        snprintf(path, sizeof path, "/proc/%d/root", pid);
        DIR *dir = opendir(path);
        unsigned entries = 0;
        CHECK(dir);
        while (readdir(dir))
            entries++;
        closedir(dir);
        CHECK(entries == 2); /* . and .. */
    }
    guest_close(&g);
}

/* ---- a full disk */

static void check_full_disk(void)
{
    static const char source[] = "kernel void k(device int *x [[buffer(0)]]) { x[0] = 42; }\n";
    struct abx_control_tenant t;
    struct guest g;
    char cache[96];
    snprintf(cache, sizeof cache, "/tmp/arcbox-full-%d", (int)getpid());
    CHECK(mkdir(cache, 0700) == 0);
    if (mount("none", cache, "tmpfs", 0, "size=4096,mode=700") < 0) {
        fprintf(stderr, "cannot mount here: full disk not checked\n");
        rmdir(cache);
        return;
    }
    setenv("ARCBOX_CACHE_DIR", cache, 1);
    daemon_stop(control);
    control = daemon_start();
    daemon_tenant(control, "full", "null", NULL, &t);
    guest_open(&g, t.socket);
    for (int i = 0; i < 2; i++) {
        CHECK(guest_compile(&g, source, HANDLE(10 + (unsigned)i)) == 0);
        guest_pipeline(&g, "k", HANDLE(10 + (unsigned)i), HANDLE(20 + (unsigned)i));
    }
    guest_close(&g);
    umount2(cache, MNT_DETACH);
    rmdir(cache);
}

static void start(void)
{
    control = daemon_start();
}

static void stop(void)
{
    daemon_stop(control);
}

int main(int argc, char **argv)
{
    setenv("ARCBOX_COMPILE_SECONDS", "4", 1);
    const struct check_case cases[] = {
            CASE(check_memory),
            CASE(check_expansion),
            CASE(check_clients),
            CASE(check_requests),
            CASE(check_rights),
            CASE(check_bombs),
            CASE(check_full_disk),
    };
    return check_run(
            argc, argv, CHECK_SUITE(cases, .seconds = 120, .before = start, .after = stop));
}
