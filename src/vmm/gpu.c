/* vmm: the commands of virtio-gpu (virtio 1.2, 5.7) that a guest without a screen and with our
 * capability set needs. Runs in the device process. Requests are copies already; numbers of
 * resources and contexts are the guest kernel's, or anybody's who took it over: a context uses what
 * was attached to it, and nothing else. See gpu.h. */
#include "vmm/gpu.h"

#include <linux/virtio_gpu.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/link.h"

#define BUCKETS 4096u
/* Of what the guest gives up and a worker still has, answers that are held: the guest's queue has
 * 256 places. A program that gives up more at once has been killed, or does nothing right. */
#define MAX_LEAVING 128u

struct resource {
    struct resource *next;
    uint32_t id;
    uint32_t uses; /* in chunks, and pages, that a worker has mapped */
    /* The guest gives it up, and has not been answered yet: its kernel gives the pages to somebody
     * else once it is, and a worker would write there. */
    bool leaving, leaving_whole;
    uint64_t leaving_cookie;
    struct virtio_gpu_ctrl_hdr leaving_answer;
    uint64_t attached[ABX_VMM_MAX_CONTEXTS / 64]; /* by the context's place */
    struct abx_vmm_runs runs;                     /* none: no backing */
};

/* Memory that a worker has. */
struct share {
    struct share *next;
    uint64_t address; /* the chunk's; of the pages: PAGES */
    uint32_t count;
    struct resource *resources[];
};
#define PAGES UINT64_MAX

struct context {
    bool used, ending; /* ending: the guest has destroyed it, the worker is not done with it */
    uint32_t id;
    struct abx_vmm_gpu *gpu;
    struct abx_vmm_link *link; /* NULL: not opened */
    struct share *shares;
};

struct abx_vmm_gpu {
    const struct abx_vmm_ram *ram;
    char socket[108];
    void (*complete)(void *owner, uint64_t cookie, const void *answer, uint32_t bytes);
    void *owner;
    struct resource *buckets[BUCKETS];
    uint32_t resource_count;
    uint64_t run_count;
    uint32_t leaving_count;
    struct context contexts[ABX_VMM_MAX_CONTEXTS];
    struct virtio_gpu_ctrl_hdr held[ABX_VMM_MAX_CONTEXTS]; /* answers of what sleeps */
};

/* One command on its way. */
struct command {
    const uint8_t *request;
    uint32_t bytes;
    struct virtio_gpu_ctrl_hdr head;
    uint64_t cookie;
    union answer {
        struct virtio_gpu_ctrl_hdr head;
        struct virtio_gpu_resp_display_info display;
        struct virtio_gpu_resp_capset_info capset_info;
        struct virtio_gpu_resp_edid edid;
        uint8_t bytes[ABX_VMM_ANSWER_MAX];
    } *answer;
    bool held;
};
_Static_assert(sizeof(union answer) == ABX_VMM_ANSWER_MAX, "the largest answer");

/* ---- the beginning and the end */

void abx_vmm_gpu_config(uint8_t ret[ABX_VMM_CONFIG_BYTES])
{
    /* A screen there must be, or the driver refuses the device; nothing is plugged into it. */
    struct virtio_gpu_config config = {.num_scanouts = 1, .num_capsets = 1};
    memset(ret, 0, ABX_VMM_CONFIG_BYTES);
    memcpy(ret, &config, sizeof config);
}

struct abx_vmm_gpu *abx_vmm_gpu_create(const struct abx_vmm_ram *ram, const char *socket,
        void (*complete)(void *owner, uint64_t cookie, const void *answer, uint32_t bytes),
        void *owner)
{
    struct abx_vmm_gpu *gpu = calloc(1, sizeof *gpu);
    if (!gpu || strlen(socket) >= sizeof gpu->socket) {
        free(gpu);
        return NULL;
    }
    gpu->ram = ram;
    strcpy(gpu->socket, socket);
    gpu->complete = complete;
    gpu->owner = owner;
    return gpu;
}

static void drop_backing(struct abx_vmm_gpu *gpu, struct resource *r)
{
    gpu->run_count -= r->runs.count;
    abx_vmm_runs_finish(&r->runs);
}

static void drop_link(struct context *c)
{
    if (c->link)
        abx_vmm_link_close(c->link);
    free(c->link);
    c->link = NULL;
    for (struct share *s = c->shares, *next; s; s = next) {
        next = s->next;
        free(s);
    }
    c->shares = NULL;
}

void abx_vmm_gpu_reset(struct abx_vmm_gpu *gpu)
{
    for (unsigned i = 0; i < ABX_VMM_MAX_CONTEXTS; i++) {
        drop_link(&gpu->contexts[i]);
        gpu->contexts[i] = (struct context){0};
    }
    for (unsigned i = 0; i < BUCKETS; i++)
        for (struct resource *r = gpu->buckets[i], *next; r; r = next) {
            next = r->next;
            drop_backing(gpu, r);
            free(r);
        }
    memset(gpu->buckets, 0, sizeof gpu->buckets);
    gpu->resource_count = gpu->leaving_count = 0;
}

void abx_vmm_gpu_destroy(struct abx_vmm_gpu *gpu)
{
    if (gpu)
        abx_vmm_gpu_reset(gpu);
    free(gpu);
}

/* ---- resources */

static struct resource **find_resource(struct abx_vmm_gpu *gpu, uint32_t id)
{
    struct resource **at = &gpu->buckets[id % BUCKETS];
    while (*at && (*at)->id != id)
        at = &(*at)->next;
    return at;
}

static bool read_body(const struct command *c, void *body, size_t bytes)
{
    memset(body, 0, bytes);
    if (c->bytes < bytes)
        return false;
    memcpy(body, c->request, bytes);
    return true;
}

static uint32_t create_resource(struct abx_vmm_gpu *gpu, const struct command *c)
{
    struct {
        struct virtio_gpu_ctrl_hdr head;
        uint32_t id;
    } body;
    if (!read_body(c, &body, sizeof body) || !body.id)
        return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    struct resource **at = find_resource(gpu, body.id);
    if (*at)
        return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
    struct resource *r = gpu->resource_count < ABX_VMM_MAX_RESOURCES ? calloc(1, sizeof *r) : NULL;
    if (!r)
        return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
    r->id = body.id;
    *at = r;
    gpu->resource_count++;
    return VIRTIO_GPU_RESP_OK_NODATA;
}

static void remove_now(struct abx_vmm_gpu *gpu, struct resource *r, bool whole)
{
    drop_backing(gpu, r);
    if (!whole)
        return;
    *find_resource(gpu, r->id) = r->next;
    free(r);
    gpu->resource_count--;
}

/* One use less; the guest is answered when it waits for that. */
static void unuse(struct abx_vmm_gpu *gpu, struct resource *r)
{
    if (--r->uses || !r->leaving)
        return;
    uint64_t cookie = r->leaving_cookie;
    struct virtio_gpu_ctrl_hdr answer = r->leaving_answer;
    bool whole = r->leaving_whole;
    r->leaving = false;
    gpu->leaving_count--;
    remove_now(gpu, r, whole);
    gpu->complete(gpu->owner, cookie, &answer, sizeof answer);
}

static void end_users(struct abx_vmm_gpu *gpu, const struct resource *r)
{
    for (unsigned i = 0; i < ABX_VMM_MAX_CONTEXTS; i++)
        for (struct share *s = gpu->contexts[i].shares; s; s = s->next)
            for (uint32_t k = 0; k < s->count; k++)
                if (s->resources[k] == r)
                    abx_vmm_link_end(gpu->contexts[i].link);
}

static void hear_all(struct abx_vmm_gpu *gpu)
{
    for (unsigned i = 0; i < ABX_VMM_MAX_CONTEXTS; i++)
        if (gpu->contexts[i].link && !gpu->contexts[i].link->over)
            abx_vmm_link_ready(gpu->contexts[i].link, POLLIN, 0);
}

static uint32_t remove_resource(struct abx_vmm_gpu *gpu, struct command *c, bool whole)
{
    struct virtio_gpu_resource_unref body;
    struct resource *r;
    if (!read_body(c, &body, sizeof body) || !(r = *find_resource(gpu, body.resource_id)) ||
            r->leaving)
        return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
    if (r->uses)
        hear_all(gpu); /* an honest guest waited for that: it has been said */
    if (!r->uses) {
        remove_now(gpu, r, whole);
        return VIRTIO_GPU_RESP_OK_NODATA;
    }
    r->leaving = c->held = true;
    r->leaving_whole = whole;
    r->leaving_cookie = c->cookie;
    r->leaving_answer = c->answer->head;
    if (++gpu->leaving_count > MAX_LEAVING)
        end_users(gpu, r);
    return VIRTIO_GPU_RESP_OK_NODATA;
}

static uint32_t attach_backing(struct abx_vmm_gpu *gpu, const struct command *c)
{
    struct virtio_gpu_resource_attach_backing body;
    struct resource *r;
    if (!read_body(c, &body, sizeof body) || !(r = *find_resource(gpu, body.resource_id)) ||
            r->runs.count)
        return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
    if (body.nr_entries > (c->bytes - sizeof body) / sizeof(struct abx_vmm_entry))
        return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    struct abx_vmm_runs runs;
    int e = abx_vmm_runs_make(gpu->ram, (const struct abx_vmm_entry *)(c->request + sizeof body),
            body.nr_entries, &runs);
    if (e == 0 && gpu->run_count + runs.count > ABX_VMM_MAX_RUNS) {
        abx_vmm_runs_finish(&runs);
        e = -ENOMEM;
    }
    if (e < 0)
        return e == -ENOMEM ? VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY
                            : VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    r->runs = runs;
    gpu->run_count += runs.count;
    return VIRTIO_GPU_RESP_OK_NODATA;
}

/* ---- contexts */

static struct context *find_context(struct abx_vmm_gpu *gpu, uint32_t id)
{
    for (unsigned i = 0; i < ABX_VMM_MAX_CONTEXTS; i++)
        if (gpu->contexts[i].used && !gpu->contexts[i].ending && gpu->contexts[i].id == id)
            return &gpu->contexts[i];
    return NULL;
}

static uint32_t create_context(struct abx_vmm_gpu *gpu, const struct command *c)
{
    if (find_context(gpu, c->head.ctx_id))
        return VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID;
    for (unsigned i = 0; i < ABX_VMM_MAX_CONTEXTS; i++)
        if (!gpu->contexts[i].used) {
            gpu->contexts[i] = (struct context){.used = true, .id = c->head.ctx_id, .gpu = gpu};
            return VIRTIO_GPU_RESP_OK_NODATA;
        }
    return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
}

/* What sleeps is answered: the guest's driver waits for each. */
static void answer_held(struct abx_vmm_gpu *gpu, struct context *c)
{
    if (!c->link || !c->link->holds)
        return;
    c->link->holds = false;
    gpu->complete(
            gpu->owner, c->link->holds_cookie, &gpu->held[c - gpu->contexts], sizeof gpu->held[0]);
}

static void release(struct context *c, struct share **at)
{
    struct share *s = *at;
    *at = s->next;
    for (uint32_t i = 0; i < s->count; i++)
        unuse(c->gpu, s->resources[i]);
    free(s);
}

/* The worker says that it has let go of a chunk. */
static void released(void *owner, uint64_t address)
{
    struct context *c = owner;
    for (struct share **at = &c->shares; *at; at = &(*at)->next)
        if ((*at)->address == address && address != PAGES) {
            release(c, at);
            return;
        }
}

/* The worker has nothing of it any more. */
static void clean_up(struct context *c)
{
    while (c->shares)
        release(c, &c->shares);
    if (!c->ending)
        return;
    drop_link(c);
    *c = (struct context){0};
}

static uint32_t destroy_context(struct abx_vmm_gpu *gpu, const struct command *command)
{
    struct context *c = find_context(gpu, command->head.ctx_id);
    if (!c)
        return VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID;
    unsigned place = (unsigned)(c - gpu->contexts);
    answer_held(gpu, c);
    for (unsigned i = 0; i < BUCKETS; i++)
        for (struct resource *r = gpu->buckets[i]; r; r = r->next)
            r->attached[place / 64] &= ~(1ull << (place % 64));
    c->ending = true;
    if (c->link)
        abx_vmm_link_end(c->link);
    if (!c->link || c->link->over)
        clean_up(c);
    return VIRTIO_GPU_RESP_OK_NODATA;
}

static uint32_t attach_resource(struct abx_vmm_gpu *gpu, const struct command *command, bool attach)
{
    struct virtio_gpu_ctx_resource body;
    struct context *c = find_context(gpu, command->head.ctx_id);
    struct resource *r;
    if (!c)
        return VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID;
    if (!read_body(command, &body, sizeof body) || !(r = *find_resource(gpu, body.resource_id)))
        return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
    unsigned place = (unsigned)(c - gpu->contexts);
    if (attach)
        r->attached[place / 64] |= 1ull << (place % 64);
    else
        r->attached[place / 64] &= ~(1ull << (place % 64));
    return VIRTIO_GPU_RESP_OK_NODATA;
}

/* ---- what our own guest library says, in SUBMIT_3D */

struct submission {
    struct abx_virtgpu_command head;
    const uint8_t *numbers, *message;
    struct abx_vmm_runs runs; /* `head.bytes` of the resources that it names */
};

/* Memory of the context's own, and no more than it says. */
static int collect(struct abx_vmm_gpu *gpu, const struct context *c, struct submission *s)
{
    unsigned place = (unsigned)(c - gpu->contexts);
    uint64_t left = s->head.bytes;
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < s->head.resources; i++) {
        uint32_t id;
        memcpy(&id, s->numbers + 4ull * i, sizeof id);
        struct resource *from = *find_resource(gpu, id);
        if (!from || !(from->attached[place / 64] & 1ull << (place % 64)) || !from->runs.count ||
                from->leaving)
            return -EINVAL;
        uint64_t n = from->runs.bytes < left ? from->runs.bytes : left;
        r = abx_vmm_runs_append(&s->runs, &from->runs, n);
        left -= n;
    }
    return r < 0 ? r : left ? -EINVAL : 0;
}

static int parse(const uint8_t *data, uint32_t bytes, struct submission *s)
{
    if (bytes < sizeof s->head || bytes > ABX_VIRTGPU_MAX_COMMAND_BYTES)
        return -EINVAL;
    memcpy(&s->head, data, sizeof s->head);
    uint64_t numbers = abx_align_up(4ull * s->head.resources, 8);
    if (s->head.magic != ABX_VIRTGPU_MAGIC || s->head.message_bytes > sizeof(union abx_message) ||
            sizeof s->head + numbers + s->head.message_bytes > bytes)
        return -EINVAL;
    s->numbers = data + sizeof s->head;
    s->message = s->numbers + numbers;
    return 0;
}

/* Before the worker hears of it. */
static int note_share(
        struct abx_vmm_gpu *gpu, struct context *c, const struct submission *s, uint64_t address)
{
    struct share *share = malloc(sizeof *share + s->head.resources * sizeof share->resources[0]);
    if (!share)
        return -ENOMEM;
    *share = (struct share){c->shares, address, s->head.resources};
    for (uint32_t i = 0; i < share->count; i++) {
        uint32_t id;
        memcpy(&id, s->numbers + 4ull * i, sizeof id);
        share->resources[i] = *find_resource(gpu, id); /* collect() found it */
        share->resources[i]->uses++;
    }
    c->shares = share;
    return 0;
}

static int share(struct abx_vmm_gpu *gpu, struct context *c, struct submission *s)
{
    struct abx_message_chunk chunk;
    if (s->head.message_bytes != sizeof chunk)
        return -EINVAL;
    memcpy(&chunk, s->message, sizeof chunk);
    int r = chunk.type == ABX_MESSAGE_CHUNK ? note_share(gpu, c, s, chunk.address) : -EINVAL;
    if (r == 0)
        abx_vmm_link_share(c->link, &s->runs, s->message, s->head.message_bytes);
    return r;
}

static int open_link(struct abx_vmm_gpu *gpu, struct context *c, struct submission *s)
{
    if (c->link)
        return -EALREADY;
    c->link = malloc(sizeof *c->link);
    if (!c->link)
        return -ENOMEM;
    int r = note_share(gpu, c, s, PAGES);
    int e = abx_vmm_link_open(
            c->link, gpu->ram, gpu->socket, &s->runs, s->message, s->head.message_bytes);
    c->link->released = released;
    c->link->owner = c;
    if (r < 0 || e < 0) /* the guest is told in its pages, if it has any */
        abx_vmm_link_end(c->link);
    return 0;
}

/* One sleeps for all threads of a program: an older one is answered. */
static void hold(struct abx_vmm_gpu *gpu, struct context *c, struct command *command)
{
    answer_held(gpu, c);
    c->link->holds = command->held = true;
    c->link->holds_cookie = command->cookie;
    gpu->held[c - gpu->contexts] = command->answer->head;
}

static int obey(
        struct abx_vmm_gpu *gpu, struct context *c, struct submission *s, struct command *command)
{
    struct abx_vmm_link *link = c->link;
    if (s->head.op == ABX_VIRTGPU_OPEN)
        return open_link(gpu, c, s);
    if (!link)
        return -ENOTCONN;
    switch ((enum abx_virtgpu_op)s->head.op) {
    case ABX_VIRTGPU_SHARE:
        return share(gpu, c, s);
    case ABX_VIRTGPU_SEND:
        abx_vmm_link_send(link, &s->runs, s->head.bytes, s->message, s->head.message_bytes);
        return 0;
    case ABX_VIRTGPU_FETCH:
        return abx_vmm_link_fetch(link, s->head.tag, &s->runs);
    case ABX_VIRTGPU_RING:
        abx_vmm_link_ring(link);
        if (link->full)
            abx_vmm_link_ready(link, POLLIN, 0);
        return 0;
    case ABX_VIRTGPU_SLEEP:
        if (!link->gone && link->wakes == (uint32_t)s->head.tag)
            hold(gpu, c, command);
        return 0;
    case ABX_VIRTGPU_PING:
        abx_vmm_link_ping(link, s->head.tag);
        return 0;
    case ABX_VIRTGPU_OPEN:
        break;
    }
    return -EINVAL;
}

/* What makes no sense ends the connection of who said it. */
static uint32_t submit(struct abx_vmm_gpu *gpu, struct command *command)
{
    struct virtio_gpu_cmd_submit body;
    struct context *c = find_context(gpu, command->head.ctx_id);
    struct submission s = {0};
    if (!c)
        return VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID;
    if (!read_body(command, &body, sizeof body) || body.size > command->bytes - sizeof body)
        return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    int r = parse(command->request + sizeof body, body.size, &s);
    if (r == 0)
        r = collect(gpu, c, &s);
    if (r == 0)
        r = obey(gpu, c, &s, command);
    abx_vmm_runs_finish(&s.runs);
    if (r < 0 && c->link)
        abx_vmm_link_end(c->link);
    return r < 0 ? VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER : VIRTIO_GPU_RESP_OK_NODATA;
}

/* ---- what the driver asks for at its start */

static uint32_t say_capset_info(struct command *c)
{
    struct virtio_gpu_get_capset_info body;
    if (!read_body(c, &body, sizeof body) || body.capset_index != 0)
        return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    c->answer->capset_info.capset_id = ABX_VIRTGPU_CAPSET;
    c->answer->capset_info.capset_max_version = ABX_VIRTGPU_VERSION;
    c->answer->capset_info.capset_max_size = sizeof(struct abx_virtgpu_caps);
    return VIRTIO_GPU_RESP_OK_CAPSET_INFO;
}

static uint32_t say_capset(struct command *c)
{
    struct virtio_gpu_get_capset body;
    const struct abx_virtgpu_caps caps = {.magic = ABX_VIRTGPU_MAGIC,
            .version = ABX_VIRTGPU_VERSION,
            .wire_version = ABX_WIRE_VERSION};
    if (!read_body(c, &body, sizeof body) || body.capset_id != ABX_VIRTGPU_CAPSET)
        return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    memcpy(c->answer->bytes + sizeof c->answer->head, &caps, sizeof caps);
    return VIRTIO_GPU_RESP_OK_CAPSET;
}

/* ---- commands */

static uint32_t answer_bytes(uint32_t type)
{
    switch (type) {
    case VIRTIO_GPU_RESP_OK_DISPLAY_INFO:
        return sizeof(struct virtio_gpu_resp_display_info);
    case VIRTIO_GPU_RESP_OK_CAPSET_INFO:
        return sizeof(struct virtio_gpu_resp_capset_info);
    case VIRTIO_GPU_RESP_OK_CAPSET:
        return sizeof(struct virtio_gpu_ctrl_hdr) + sizeof(struct abx_virtgpu_caps);
    case VIRTIO_GPU_RESP_OK_EDID:
        return sizeof(struct virtio_gpu_resp_edid);
    default:
        return sizeof(struct virtio_gpu_ctrl_hdr);
    }
}

static uint32_t obey_driver(struct abx_vmm_gpu *gpu, struct command *c)
{
    switch (c->head.type) {
    case VIRTIO_GPU_CMD_GET_DISPLAY_INFO:
        return VIRTIO_GPU_RESP_OK_DISPLAY_INFO; /* zeros: nothing is plugged in */
    case VIRTIO_GPU_CMD_GET_EDID:
        return VIRTIO_GPU_RESP_OK_EDID;
    case VIRTIO_GPU_CMD_GET_CAPSET_INFO:
        return say_capset_info(c);
    case VIRTIO_GPU_CMD_GET_CAPSET:
        return say_capset(c);
    case VIRTIO_GPU_CMD_CTX_CREATE:
        return create_context(gpu, c);
    case VIRTIO_GPU_CMD_CTX_DESTROY:
        return destroy_context(gpu, c);
    case VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE:
        return attach_resource(gpu, c, true);
    case VIRTIO_GPU_CMD_CTX_DETACH_RESOURCE:
        return attach_resource(gpu, c, false);
    case VIRTIO_GPU_CMD_RESOURCE_CREATE_2D:
    case VIRTIO_GPU_CMD_RESOURCE_CREATE_3D:
        return create_resource(gpu, c);
    case VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING:
        return attach_backing(gpu, c);
    case VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING:
        return remove_resource(gpu, c, false);
    case VIRTIO_GPU_CMD_RESOURCE_UNREF:
        return remove_resource(gpu, c, true);
    case VIRTIO_GPU_CMD_SUBMIT_3D:
        return submit(gpu, c);
    /* Nothing is shown, and memory is one on both sides. */
    case VIRTIO_GPU_CMD_SET_SCANOUT:
    case VIRTIO_GPU_CMD_RESOURCE_FLUSH:
    case VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D:
    case VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D:
    case VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D:
    case VIRTIO_GPU_CMD_UPDATE_CURSOR:
    case VIRTIO_GPU_CMD_MOVE_CURSOR:
        return VIRTIO_GPU_RESP_OK_NODATA;
    default:
        return VIRTIO_GPU_RESP_ERR_UNSPEC;
    }
}

/* Somebody was woken, or a connection has ended. */
static void look_after(struct abx_vmm_gpu *gpu)
{
    for (unsigned i = 0; i < ABX_VMM_MAX_CONTEXTS; i++) {
        struct context *c = &gpu->contexts[i];
        if (!c->link)
            continue;
        if (c->link->woken)
            answer_held(gpu, c);
        c->link->woken = false;
        if (c->link->over)
            clean_up(c);
    }
}

uint32_t abx_vmm_gpu_command(
        struct abx_vmm_gpu *gpu, const void *request, uint32_t bytes, uint64_t cookie, void *answer)
{
    struct command c = {.request = request, .bytes = bytes, .cookie = cookie, .answer = answer};
    memset(answer, 0, ABX_VMM_ANSWER_MAX);
    c.answer->head.type = VIRTIO_GPU_RESP_ERR_UNSPEC;
    if (!read_body(&c, &c.head, sizeof c.head))
        return sizeof c.answer->head;
    if (c.head.flags & VIRTIO_GPU_FLAG_FENCE) {
        c.answer->head.flags = VIRTIO_GPU_FLAG_FENCE;
        c.answer->head.fence_id = c.head.fence_id;
        c.answer->head.ctx_id = c.head.ctx_id;
    }
    c.answer->head.type = VIRTIO_GPU_RESP_OK_NODATA; /* of what is held */
    uint32_t type = obey_driver(gpu, &c);
    look_after(gpu);
    if (c.held) /* or it was woken, and is answered, already */
        return 0;
    c.answer->head.type = type;
    return answer_bytes(type);
}

/* ---- waiting */

unsigned abx_vmm_gpu_watch(struct abx_vmm_gpu *gpu, struct pollfd *list, unsigned capacity)
{
    unsigned n = 0;
    for (unsigned i = 0; i < ABX_VMM_MAX_CONTEXTS; i++) {
        struct abx_vmm_link *link = gpu->contexts[i].link;
        if (!link || link->over || n + 2 > capacity)
            continue;
        short events = link->full && !link->gone ? 0 : POLLIN;
        if (abx_outbox_waits(&link->outbox) && !link->gone)
            events |= POLLOUT;
        list[n++] = (struct pollfd){.fd = link->sock, .events = events};
        list[n++] = (struct pollfd){.fd = link->call, .events = POLLIN};
    }
    return n;
}

void abx_vmm_gpu_ready(struct abx_vmm_gpu *gpu, const struct pollfd *list, unsigned count)
{
    for (unsigned i = 0; i < ABX_VMM_MAX_CONTEXTS; i++) {
        struct abx_vmm_link *link = gpu->contexts[i].link;
        for (unsigned k = 0; link && !link->over && k + 1 < count; k += 2)
            if (list[k].fd == link->sock && list[k + 1].fd == link->call)
                abx_vmm_link_ready(link, list[k].revents, list[k + 1].revents);
    }
    look_after(gpu);
}

bool abx_vmm_gpu_settle(struct abx_vmm_gpu *gpu)
{
    bool settled = true;
    for (unsigned i = 0; i < ABX_VMM_MAX_CONTEXTS; i++) {
        struct abx_vmm_link *link = gpu->contexts[i].link;
        if (link)
            abx_vmm_link_end(link);
        settled &= !link || link->over;
    }
    return settled;
}
