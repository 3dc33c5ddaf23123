/* A client that speaks the wire by hand; see guest.h. Runs in a test's process. */
#include "guest.h"

#include <dlfcn.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "wire/compile.h"
#include "wire/reflection.h"

/* A kernel's limit is processor time, of which it has an eighth on a machine that does much else.
 */
#define PATIENCE_NS 120000000000ull

char daemon_folder[64];

static int send_hello(struct guest *g)
{
    int fd = abx_memfd_create("guest", sizeof *g->page);
    g->page = mmap(NULL, sizeof *g->page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(g->page != MAP_FAILED);
    struct abx_message_hello hello = {.type = ABX_MESSAGE_HELLO,
            .magic = ABX_WIRE_MAGIC,
            .version = ABX_WIRE_VERSION,
            .pid = (uint32_t)getpid(),
            .program = "host-test"};
    int r = abx_sock_send(g->sock, &hello, sizeof hello, &fd, 1);
    close(fd);
    return r;
}

static void receive_welcome(struct guest *g)
{
    int fds[ABX_SOCK_MAX_FDS];
    unsigned fd_count;
    ssize_t n = abx_sock_receive(g->sock, &g->welcome, sizeof g->welcome, fds, &fd_count);
    CHECK(n == (ssize_t)sizeof g->welcome);
    CHECK(g->welcome.type == ABX_MESSAGE_WELCOME && fd_count == 2);
    g->host = mmap(NULL, sizeof *g->host, PROT_READ, MAP_SHARED, fds[0], 0);
    CHECK(g->host != MAP_FAILED);
    CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fds[0], 0) == MAP_FAILED);
    g->page_fd = fds[0];
    g->doorbell = fds[1];
}

void guest_attach(struct guest *g, int sock)
{
    memset(g, 0, sizeof *g);
    g->sock = sock;
    CHECK(send_hello(g) == 0);
    receive_welcome(g);
}

int guest_dial(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    CHECK(strlen(path) < sizeof address.sun_path);
    strcpy(address.sun_path, path);
    int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    CHECK(connect(sock, (struct sockaddr *)&address, sizeof address) == 0);
    return sock;
}

static void connect_by(struct guest *g, const char *name, const char *path)
{
    struct abx_greeting greeting = {.hello = {.type = ABX_MESSAGE_HELLO,
                                            .magic = ABX_WIRE_MAGIC,
                                            .version = ABX_WIRE_VERSION,
                                            .pid = (uint32_t)getpid(),
                                            .program = "host-test"}};
    unsigned i = 0;
    while (i < abx_transport_count && strcmp(abx_transports[i]->name, name) != 0)
        i++;
    CHECK(i < abx_transport_count);
    memset(g, 0, sizeof *g);
    setenv(ABX_SOCKET_ENV, path, 1);
    CHECK(abx_transports[i]->connect(&greeting, &g->transport) == 0 && g->transport->host);
    g->page = g->transport->guest;
    g->host = (struct abx_host_page *)g->transport->host;
    g->welcome = greeting.answer.welcome;
}

void guest_connect(struct guest *g, const char *path)
{
    const char *transport = getenv(ABX_TRANSPORT_ENV);
    if (transport)
        connect_by(g, transport, path);
    else
        guest_attach(g, guest_dial(path));
}

void guest_inproc(struct guest *g, const char *library)
{
    int pair[2];
    memset(g, 0, sizeof *g);
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        fprintf(stderr, "%s\n", dlerror());
    CHECK(handle);
    int (*attach)(int, void (**)(void *), void **) =
            (int (*)(int, void (**)(void *), void **))dlsym(handle, "abx_inproc_attach");
    CHECK(attach);
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
    g->sock = pair[0];
    CHECK(send_hello(g) == 0);
    CHECK(attach(pair[1], &g->kick, &g->kick_context) == 0);
    receive_welcome(g);
    guest_setup(g);
}

void *guest_chunk(struct guest *g, uint32_t id, uint64_t bytes, uint64_t address)
{
    struct abx_message_chunk m = {
            .type = ABX_MESSAGE_CHUNK, .chunk = id, .bytes = bytes, .address = address};
    if (g->transport) {
        struct abx_shared memory = {0};
        CHECK(g->transport->ops->share(g->transport, &m, &memory) == 0);
        return memory.pointer;
    }
    int fd = abx_memfd_create("chunk", bytes);
    CHECK(fd >= 0);
    CHECK(abx_sock_send(g->sock, &m, sizeof m, &fd, 1) == 0);
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(p != MAP_FAILED);
    close(fd);
    return p;
}

void guest_open(struct guest *g, const char *path)
{
    guest_connect(g, path);
    guest_setup(g);
}

void guest_setup(struct guest *g)
{
    g->arena = guest_chunk(g, ARENA_CHUNK, ARENA_BYTES, 1 << 20);
    g->data = guest_chunk(g, DATA_CHUNK, DATA_BYTES, 16 << 20);
    GUEST_PUSH(g, queue_create, QUEUE, 0);
    GUEST_PUSH(g, buffer_create, DATA, DATA_CHUNK, 0, DATA_BYTES);
}

void guest_close(struct guest *g)
{
    if (g->transport)
        g->transport->ops->disconnect(g->transport);
    else {
        close(g->sock);
        close(g->doorbell);
        close(g->page_fd);
        munmap(g->page, sizeof *g->page);
        munmap(g->host, sizeof *g->host);
    }
    if (g->arena)
        munmap(g->arena, ARENA_BYTES);
    if (g->data)
        munmap(g->data, DATA_BYTES);
    free(g->reflection);
}

void guest_ring(struct guest *g)
{
    uint64_t one = 1;
    if (g->kick) {
        g->kick(g->kick_context);
        return;
    }
    if (g->transport) {
        g->transport->ops->doorbell(g->transport);
        return;
    }
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load(&g->host->need_doorbell))
        CHECK(write(g->doorbell, &one, sizeof one) == sizeof one);
}

void guest_push(struct guest *g, const void *record, size_t bytes)
{
    uint64_t at = g->tail % ABX_RING_BYTES, pad = 0;
    if (at + bytes > ABX_RING_BYTES)
        pad = ABX_RING_BYTES - at;
    while (g->tail + pad + bytes - atomic_load(&g->host->ring_head) > ABX_RING_BYTES)
        CHECK(!atomic_load(&g->host->lost));
    if (pad) {
        struct abx_record filler = {.op = ABX_OP_PAD, .bytes = (uint32_t)pad};
        memcpy(g->page->ring + at, &filler, sizeof filler);
        at = 0;
    }
    memcpy(g->page->ring + at, record, bytes);
    g->tail += pad + bytes;
    atomic_store(&g->page->ring_tail, g->tail);
    guest_ring(g);
}

struct abx_encoder *guest_begin(struct guest *g)
{
    /* Behind the last one, which the host may not have read yet. */
    g->begin = g->begin > ARENA_BYTES / 2 ? 0 : (size_t)(g->e.at ? g->e.at - g->arena : 0);
    g->e = (struct abx_encoder){.at = g->arena + g->begin, .end = g->arena + ARENA_BYTES};
    return &g->e;
}

void guest_commit(struct guest *g, uint32_t result)
{
    CHECK(!g->e.failed);
    struct abx_wire_segment segment = {.chunk = ARENA_CHUNK,
            .bytes = (uint32_t)(g->e.at - g->arena - g->begin),
            .offset = g->begin};
    GUEST_PUSH(g, commit, QUEUE, ++g->sequence, result, 1, &segment);
}

bool guest_wait(struct guest *g, uint32_t slot, uint64_t sequence)
{
    uint64_t start = abx_now_ns(), done;
    while ((done = atomic_load(&g->host->completed[slot])) < sequence) {
        if (abx_now_ns() - start > PATIENCE_NS || atomic_load(&g->host->lost))
            return false;
        if (abx_now_ns() - start < 50000)
            continue;
        atomic_fetch_add(&g->page->waiters, 1);
        if (g->transport) {
            g->transport->ops->sleep(g->transport, &g->host->completed[slot], done, 100000000);
            atomic_fetch_sub(&g->page->waiters, 1);
            if (!g->transport->ops->alive(g->transport))
                return atomic_load(&g->host->completed[slot]) >= sequence;
            continue;
        }
        int r = atomic_load(&g->host->completed[slot]) == done
                        ? abx_futex_wait((const uint32_t *)&g->host->completed[slot],
                                  (uint32_t)done, 100000000)
                        : 0;
        atomic_fetch_sub(&g->page->waiters, 1);
        struct pollfd p = {g->sock, POLLRDHUP, 0};
        if (r == -ETIMEDOUT && poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLRDHUP)))
            return false; /* with a supervisor that died nobody says so */
    }
    return true;
}

struct abx_result guest_run(struct guest *g)
{
    guest_commit(g, 0);
    if (!guest_wait(g, 0, g->sequence)) {
        fprintf(stderr, "lost: %s\n", g->host->lost_text);
        exit(1);
    }
    CHECK(g->host->results[0].sequence == g->sequence);
    return g->host->results[0];
}

bool guest_is_dead(struct guest *g)
{
    uint64_t start = abx_now_ns();
    while (g->transport && g->transport->ops->alive(g->transport))
        if (abx_now_ns() - start > PATIENCE_NS)
            return false;
    if (g->transport)
        return atomic_load(&g->host->lost);
    struct pollfd p = {g->sock, POLLRDHUP, 0};
    int n = poll(&p, 1, (int)(PATIENCE_NS / 1000000));
    /* Of a worker that was killed the supervisor says so, a moment later. */
    for (int i = 0; i < 2000 && !atomic_load(&g->host->lost); i++)
        usleep(1000);
    if (n > 0 && (p.revents & (POLLHUP | POLLRDHUP)) && atomic_load(&g->host->lost))
        return true;
    fprintf(stderr, "not dead: poll %d, events %#x, lost %u\n", n, (unsigned)p.revents,
            atomic_load(&g->host->lost));
    return false;
}

static void send_message(
        struct guest *g, const void *message, size_t bytes, const void *payload, size_t length)
{
    if (g->transport) {
        CHECK(g->transport->ops->send(g->transport, message, bytes, payload, length) == 0);
        return;
    }
    int fd = payload ? abx_memfd_create("source", length) : -1;
    if (payload)
        CHECK(abx_write_all(fd, payload, length) == 0 && abx_memfd_seal(fd) == 0);
    CHECK(abx_sock_send(g->sock, message, bytes, &fd, payload ? 1 : 0) == 0);
    if (fd >= 0)
        close(fd);
}

static struct abx_attachment receive(struct guest *g, union abx_message *m)
{
    int fds[ABX_SOCK_MAX_FDS];
    unsigned fd_count = 0;
    struct abx_attachment payload = {0};
    if (g->transport) {
        CHECK(g->transport->ops->receive(g->transport, m, &payload, -1) > 0);
        return payload;
    }
    CHECK(abx_sock_receive(g->sock, m, sizeof *m, fds, &fd_count) > 0);
    if (fd_count)
        CHECK(abx_read_fd(fds[0], 64 << 20, &payload.data, &payload.bytes) == 0);
    while (fd_count)
        close(fds[--fd_count]);
    return payload;
}

int guest_compile(struct guest *g, const char *source, abx_handle library)
{
    return guest_compile_text(g, NULL, 0, source, strlen(source), library);
}

int guest_compile_text(struct guest *g, const char *macros, uint32_t macro_bytes,
        const char *source, size_t source_bytes, abx_handle library)
{
    struct abx_shader_options options = {.math_mode = ABX_MATH_FAST, .macro_bytes = macro_bytes};
    size_t request_bytes = sizeof options + macro_bytes + source_bytes;
    char *request = malloc(request_bytes);
    CHECK(request);
    memcpy(request, &options, sizeof options);
    if (macro_bytes)
        memcpy(request + sizeof options, macros, macro_bytes);
    memcpy(request + sizeof options + macro_bytes, source, source_bytes);
    struct abx_message_compile c = {.type = ABX_MESSAGE_COMPILE,
            .tag = ++g->next_tag,
            .library = library,
            .bytes = request_bytes};
    send_message(g, &c, sizeof c, request, request_bytes);
    free(request);
    union abx_message m;
    struct abx_attachment answer = receive(g, &m);
    char *data = answer.data;
    CHECK(m.type == ABX_MESSAGE_COMPILED && m.compiled.tag == g->next_tag);
    g->text[0] = 0;
    g->cached = m.compiled.cached;
    if (data)
        snprintf(g->text, sizeof g->text, "%.*s", (int)m.compiled.message_bytes, data);
    free(g->reflection);
    g->reflection = NULL;
    if (m.compiled.reflection_bytes) {
        g->reflection = malloc(m.compiled.reflection_bytes);
        memcpy(g->reflection, data + abx_align_up(m.compiled.message_bytes, 8),
                m.compiled.reflection_bytes);
        CHECK(abx_reflection_check(g->reflection, m.compiled.reflection_bytes) == 0);
    }
    free(data);
    return m.compiled.error;
}

int guest_prepare(struct guest *g, abx_handle pipeline)
{
    struct abx_message_prepare p = {
            .type = ABX_MESSAGE_PREPARE, .tag = ++g->next_tag, .pipeline = pipeline};
    union abx_message m;
    send_message(g, &p, sizeof p, NULL, 0);
    CHECK(!receive(g, &m).data);
    CHECK(m.type == ABX_MESSAGE_PREPARED && m.prepared.tag == g->next_tag);
    snprintf(g->text, sizeof g->text, "%s", m.prepared.text);
    g->cached = m.prepared.cached;
    return m.prepared.error;
}

int guest_address(struct guest *g, abx_handle buffer, uint64_t *ret)
{
    struct abx_message_address a = {
            .type = ABX_MESSAGE_ADDRESS, .tag = ++g->next_tag, .buffer = buffer};
    union abx_message m;
    send_message(g, &a, sizeof a, NULL, 0);
    CHECK(!receive(g, &m).data);
    CHECK(m.type == ABX_MESSAGE_ADDRESSED && m.addressed.tag == g->next_tag);
    *ret = m.addressed.address;
    return m.addressed.error;
}

void guest_pipeline(struct guest *g, const char *name, abx_handle library, abx_handle pipeline)
{
    const struct abx_reflection_function *f = abx_reflection_functions(g->reflection);
    uint32_t i = 0;
    while (i < g->reflection->function_count &&
            strcmp(abx_reflection_string(g->reflection, f[i].name), name) != 0)
        i++;
    CHECK(i < g->reflection->function_count);
    GUEST_PUSH(g, pipeline_create, pipeline, library, i, 0, NULL);
    int r = guest_prepare(g, pipeline);
    if (r < 0)
        fprintf(stderr, "%s: %s\n", name, g->text);
    CHECK(r == 0);
}

/* ---- the daemon */

void daemon_folder_make(bool own_cache)
{
    char path[128];
    snprintf(daemon_folder, sizeof daemon_folder, "/tmp/arcbox-test-XXXXXX");
    CHECK(mkdtemp(daemon_folder));
    snprintf(path, sizeof path, "%s/run", daemon_folder);
    setenv("ARCBOX_RUNTIME_DIR", path, 1);
    snprintf(path, sizeof path, "%s/cache", daemon_folder);
    setenv("ARCBOX_CACHE_DIR", path, own_cache);
}

bool daemon_folder_remove(void)
{
    char command[128];
    if (!daemon_folder[0])
        return true;
    if (getenv("KEEP_LOG")) {
        snprintf(command, sizeof command, "cat %s/run/arcboxd.log >&2", daemon_folder);
        (void)!system(command);
    }
    snprintf(command, sizeof command, "rm -rf %s", daemon_folder);
    return system(command) == 0;
}

static struct abx_control *started;

static void stop_at_exit(void)
{
    if (started)
        abx_control_shutdown(started);
    daemon_folder_remove();
}

struct abx_control *daemon_start(void)
{
    char *message = NULL;
    daemon_folder_make(false);
    if (abx_control_connect(true, &started, &message) < 0) {
        fprintf(stderr, "%s\n", message);
        daemon_folder_remove();
        exit(1);
    }
    atexit(stop_at_exit);
    return started;
}

void daemon_stop(struct abx_control *control)
{
    CHECK(abx_control_shutdown(control) == 0);
    abx_control_close(control);
    daemon_folder_remove();
    daemon_folder[0] = 0;
    started = NULL;
}

void daemon_leave(void)
{
    daemon_folder[0] = 0;
    started = NULL;
}

void daemon_tenant(struct abx_control *control, const char *name, const char *backend,
        const struct abx_control_limits *limits, struct abx_control_tenant *ret)
{
    if (abx_control_tenant_create(control, name, backend, 0, limits, ret) < 0) {
        fprintf(stderr, "%s\n", abx_control_error(control));
        exit(1);
    }
}

int daemon_pid(void)
{
    struct abx_control *control;
    struct abx_control_daemon d;
    if (abx_control_connect(false, &control, NULL) < 0)
        return 0;
    int r = abx_control_ping(control, &d);
    abx_control_close(control);
    return r < 0 ? 0 : d.pid;
}

struct abx_control_tenant tenant_named(struct abx_control *control, const char *name)
{
    struct abx_control_tenant *all, found = {0};
    unsigned count;
    CHECK(abx_control_tenants(control, &all, &count) == 0);
    for (unsigned i = 0; i < count; i++)
        if (strcmp(all[i].name, name) == 0)
            found = all[i];
    free(all);
    return found;
}
