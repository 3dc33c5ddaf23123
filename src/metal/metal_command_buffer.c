/* metal: MTLCommandBuffer: what it holds, how it ends, and the words of its errors.
 * Runs in the guest's process. */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metal/metal_wrap.h"

#define SAID_CAP 100u /* lines of complaint a process prints */

static void say(const char *what, const char *format, va_list args)
{
    static _Atomic unsigned said;
    unsigned n = atomic_fetch_add(&said, 1);
    if (n >= SAID_CAP)
        return;
    char line[544];
    abx_log_line(line, sizeof line, what, format, args);
    fprintf(stderr, "%s%s", line,
            n == SAID_CAP - 1 ? "arcbox: Metal: more of these lines are not printed\n" : "");
}

void abx_metal_say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say("arcbox: Metal", format, args);
    va_end(args);
}

void abx_metal_note(const char *format, ...)
{
    const char *on = getenv("ARCBOX_VALIDATION");
    if (!on || !*on || strcmp(on, "0") == 0)
        return;
    va_list args;
    va_start(args, format);
    say("arcbox: Metal validation", format, args);
    va_end(args);
}

void abx_metal_fail(struct abx_metal_command_buffer *buffer, const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    abx_metal_say("%s", line);
    if (!buffer->fault)
        buffer->fault = strdup(line);
}

void abx_metal_lose(struct abx_metal_command_buffer *buffer)
{
    buffer->error = MTLCommandBufferErrorDeviceRemoved;
    buffer->result = (struct abx_result){.error = buffer->error, .error_reason = ABX_REASON_LOST};
}

/* An indirect command buffer's buffers are not known here. */
static void note_chunk(struct abx_metal_command_buffer *buffer, id object)
{
    uint32_t chunk =
            abx_metal_is(object, ABX_METAL_BUFFER) ? ((struct abx_metal_buffer *)object)->chunk : 0;
    if (abx_metal_is(object, ABX_METAL_ICB))
        buffer->any_chunk = true;
    if (!chunk || (buffer->chunk_count && buffer->chunks[buffer->chunk_count - 1] == chunk))
        return;
    if (abx_grow((void **)&buffer->chunks, &buffer->chunk_capacity, buffer->chunk_count,
                sizeof *buffer->chunks, UINT32_MAX))
        buffer->chunks[buffer->chunk_count++] = chunk;
    else
        buffer->any_chunk = true;
}

void abx_metal_hold_slow(struct abx_metal_command_buffer *buffer, id object)
{
    if (buffer->queue->mirrors)
        note_chunk(buffer, object);
    if (abx_metal_is(object, ABX_METAL_BUFFER)) {
        struct abx_metal_buffer *b = (struct abx_metal_buffer *)object;
        if (b->wrap)
            abx_metal_wrap_use(buffer, b);
        if (b->wrap || abx_client_is_adopted(&b->resource.memory))
            buffer->keeps_pages = true;
    }
    if (buffer->retains)
        abx_metal_keep(buffer, object);
}

void abx_metal_keep(struct abx_metal_command_buffer *buffer, id object)
{
    if (!abx_grow((void **)&buffer->held, &buffer->held_capacity, buffer->held_count,
                sizeof *buffer->held, UINT32_MAX)) {
        abx_metal_fail(buffer, "no memory to keep the command buffer's resources");
        return;
    }
    buffer->held[buffer->held_count++] = objc_retain(object);
}

struct abx_metal_command_buffer *abx_metal_command_buffer_new(
        struct abx_metal_queue *queue, bool retains)
{
    static _Atomic uint64_t numbers;
    struct abx_metal_command_buffer *buffer =
            abx_metal_new(ABX_METAL_COMMAND_BUFFER, queue->base.device);
    if (!buffer)
        return NULL;
    buffer->queue = (struct abx_metal_queue *)objc_retain((id)queue);
    buffer->retains = retains;
    buffer->number = atomic_fetch_add(&numbers, 1) + 1;
    abx_arena_init(&buffer->arena, queue->base.client);
    return buffer;
}

void abx_metal_command_buffer_drop(struct abx_metal_command_buffer *buffer)
{
    abx_arena_finish(&buffer->arena);
    for (uint32_t i = 0; i < buffer->held_count; i++)
        objc_release(buffer->held[i]);
    free(buffer->held);
    buffer->held = NULL;
    free(buffer->chunks);
    buffer->chunks = NULL;
    buffer->chunk_count = buffer->chunk_capacity = 0;
    buffer->held_count = buffer->held_capacity = 0;
    abx_metal_wrap_drop(buffer);
    objc_release(buffer->residency);
    buffer->residency = NULL;
}

void MTLCommandBuffer_dealloc(id self, SEL cmd)
{
    struct abx_metal_command_buffer *buffer = (struct abx_metal_command_buffer *)self;
    if (abx_metal_stage(buffer) < ABX_STAGE_COMPLETE)
        abx_metal_queue_gone(buffer->queue->state);
    abx_metal_command_buffer_drop(buffer);
    for (int pass = 0; pass < 2; pass++) {
        struct abx_metal_handlers *h = pass ? &buffer->completed : &buffer->scheduled;
        for (uint32_t i = 0; i < h->count; i++)
            _Block_release(h->blocks[i]);
        free(h->blocks);
    }
    abx_metal_log_finish(buffer);
    free(buffer->fault);
    objc_release(buffer->error_object);
    objc_release((id)buffer->queue);
    abx_metal_dealloc(self, ABX_METAL_COMMAND_BUFFER);
}

/* ---- life */

static bool encoding(struct abx_metal_command_buffer *buffer, const char *what)
{
    if (abx_metal_stage(buffer) >= ABX_STAGE_COMMITTED) {
        abx_metal_say("-[MTLCommandBuffer %s]: the command buffer is committed already", what);
        return false;
    }
    return true;
}

bool abx_metal_open_encoder(struct abx_metal_command_buffer *buffer, const char *what)
{
    if (!encoding(buffer, what))
        return false;
    if (!buffer->encoder)
        return true;
    abx_metal_fail(buffer, "-[MTLCommandBuffer %s]: the encoder before was not ended", what);
    return false;
}

void MTLCommandBuffer_enqueue(id self, SEL cmd)
{
    if (encoding((struct abx_metal_command_buffer *)self, "enqueue"))
        abx_metal_queue_enqueue((struct abx_metal_command_buffer *)self);
}

void MTLCommandBuffer_commit(id self, SEL cmd)
{
    struct abx_metal_command_buffer *buffer = (struct abx_metal_command_buffer *)self;
    if (!encoding(buffer, "commit"))
        return;
    if (buffer->encoder) {
        abx_metal_fail(buffer, "-[MTLCommandBuffer commit]: an encoder was not ended");
        buffer->encoder->ended = true;
        buffer->encoder = NULL;
    }
    if (abx_client_forked(buffer->base.client)) {
        abx_metal_lose(buffer);
        abx_metal_reach(buffer, ABX_STAGE_HANDLED);
        return;
    }
    abx_metal_queue_commit(buffer);
}

static bool waitable(struct abx_metal_command_buffer *buffer, const char *what)
{
    if (abx_client_forked(buffer->base.client))
        return false;
    if (abx_metal_stage(buffer) >= ABX_STAGE_COMMITTED)
        return true;
    abx_metal_fail(buffer, "-[MTLCommandBuffer %s]: the command buffer was not committed", what);
    return false;
}

void MTLCommandBuffer_waitUntilCompleted(id self, SEL cmd)
{
    if (waitable((struct abx_metal_command_buffer *)self, "waitUntilCompleted"))
        abx_metal_queue_wait((struct abx_metal_command_buffer *)self);
}

void MTLCommandBuffer_waitUntilScheduled(id self, SEL cmd)
{
    if (waitable((struct abx_metal_command_buffer *)self, "waitUntilScheduled"))
        abx_metal_queue_wait_scheduled((struct abx_metal_command_buffer *)self);
}

bool abx_metal_add_handler(struct abx_metal_handlers *handlers, const void *block)
{
    if (!abx_grow((void **)&handlers->blocks, &handlers->capacity, handlers->count,
                sizeof *handlers->blocks, UINT32_MAX))
        return false;
    handlers->blocks[handlers->count++] = _Block_copy(block);
    return true;
}

static void add_handler(struct abx_metal_command_buffer *buffer,
        struct abx_metal_handlers *handlers, const void *block, const char *what)
{
    if (!block || !encoding(buffer, what))
        return;
    if (!abx_metal_add_handler(handlers, block))
        abx_metal_fail(buffer, "-[MTLCommandBuffer %s]: no memory", what);
}

void MTLCommandBuffer_addCompletedHandler_(id self, SEL cmd, id block)
{
    struct abx_metal_command_buffer *buffer = (struct abx_metal_command_buffer *)self;
    add_handler(buffer, &buffer->completed, block, "addCompletedHandler:");
}

void MTLCommandBuffer_addScheduledHandler_(id self, SEL cmd, id block)
{
    struct abx_metal_command_buffer *buffer = (struct abx_metal_command_buffer *)self;
    add_handler(buffer, &buffer->scheduled, block, "addScheduledHandler:");
}

/* What was committed may have completed without anybody waiting. */
static void look(struct abx_metal_command_buffer *buffer)
{
    enum abx_metal_stage stage = abx_metal_stage(buffer);
    if (stage >= ABX_STAGE_COMMITTED && stage < ABX_STAGE_COMPLETE)
        abx_metal_queue_reap(buffer->queue->state);
}

static NSUInteger status(const struct abx_metal_command_buffer *buffer)
{
    switch (abx_metal_stage(buffer)) {
    case ABX_STAGE_ENCODING:
        return MTLCommandBufferStatusNotEnqueued;
    case ABX_STAGE_ENQUEUED:
        return MTLCommandBufferStatusEnqueued;
    case ABX_STAGE_COMMITTED:
    case ABX_STAGE_SUBMITTING:
        return MTLCommandBufferStatusCommitted;
    case ABX_STAGE_SUBMITTED:
        return MTLCommandBufferStatusScheduled;
    case ABX_STAGE_COMPLETE:
    case ABX_STAGE_HANDLED:
    case ABX_STAGE_LET_GO:
        break;
    }
    return buffer->error ? MTLCommandBufferStatusError : MTLCommandBufferStatusCompleted;
}

NSUInteger MTLCommandBuffer_status(id self, SEL cmd)
{
    struct abx_metal_command_buffer *buffer = (struct abx_metal_command_buffer *)self;
    look(buffer);
    return status(buffer);
}

/* ---- errors */

/* The host, asked again, says why. */
static void describe_pipeline(
        const struct abx_metal_command_buffer *buffer, abx_handle pipeline, struct abx_string *s)
{
    char why[512] = "";
    uint32_t bytes;
    abx_client_prepare(buffer->base.client, pipeline, &bytes, why);
    abx_string_printf(s, "the pipeline's kernel did not compile%s%s", *why ? ": " : "", why);
}

static void describe_timeout(unsigned long long milliseconds, struct abx_string *s)
{
    abx_string_printf(s, "a kernel used more than its limit of processor time");
    if (milliseconds)
        abx_string_printf(s, ", %llu ms", milliseconds);
    abx_string_printf(s, " (ARCBOX_TIME_LIMIT_MS raises it)");
}

static void describe_fault(
        unsigned long long address, unsigned long long number, struct abx_string *s)
{
    if (number == SIGBUS)
        abx_string_printf(s,
                "the kernel touched memory that is not there any more (address %llx): a file got "
                "shorter, or the host has no memory for it",
                address);
    else if (number && number != SIGSEGV)
        abx_string_printf(s, "the kernel trapped (%s)", strsignal((int)number));
    else if (address)
        abx_string_printf(
                s, "the kernel touched memory outside its buffers (address %llx)", address);
    else
        abx_string_printf(s, "the kernel touched memory outside its buffers");
}

static void describe_reason(const struct abx_metal_command_buffer *buffer, struct abx_string *s)
{
    const struct abx_result *r = &buffer->result;
    unsigned long long value = r->error_value, limit = r->error_limit;
    switch ((enum abx_reason)r->error_reason) {
    case ABX_REASON_HANDLE_UNKNOWN:
        abx_string_printf(s,
                "an object that was released before the command buffer completed (handle %llx)",
                value);
        break;
    case ABX_REASON_HANDLE_TYPE:
        abx_string_printf(s, "an object of another class (handle %llx)", value);
        break;
    case ABX_REASON_RANGE:
        if (value || limit)
            abx_string_printf(s, "%llu is past the end, %llu", value, limit);
        else /* found while it ran: a grid from memory */
            abx_string_printf(s, "the grid or the threadgroup memory is too large");
        break;
    case ABX_REASON_ENUM:
        abx_string_printf(s, "%llu is not a value of the enumeration", value);
        break;
    case ABX_REASON_ZERO:
        abx_string_printf(s, "a size must not be 0");
        break;
    case ABX_REASON_ALIGNMENT:
        abx_string_printf(s, "%llu is not a multiple of %llu", value, limit);
        break;
    case ABX_REASON_STATE:
        abx_string_printf(s, "not allowed here");
        break;
    case ABX_REASON_OVERFLOW:
        abx_string_printf(s, "the sizes overflow");
        break;
    case ABX_REASON_MEMORY:
        abx_string_printf(s, "out of memory (%llu bytes; the cap is %llu)", value, limit);
        break;
    case ABX_REASON_PIPELINE:
        describe_pipeline(buffer, value, s);
        break;
    case ABX_REASON_TIMEOUT:
        describe_timeout(limit, s);
        break;
    case ABX_REASON_FAULT:
        describe_fault(value, limit, s);
        break;
    case ABX_REASON_LOST:
        abx_string_printf(s, "%s", abx_client_lost_text(buffer->base.client));
        break;
    case ABX_REASON_UNSUPPORTED:
        abx_string_printf(s, "not supported by the host");
        break;
    case ABX_REASON_NONE:
    default:
        abx_string_printf(s, "execution failed");
    }
}

static void describe(const struct abx_metal_command_buffer *buffer, struct abx_string *s)
{
    const struct abx_result *r = &buffer->result;
    const char *call = abx_op_call(r->error_op);
    if (r->error_op || r->error_record)
        abx_string_printf(s, "%s (command %u): ", call ? call : "commit", r->error_record);
    if (*buffer->text)
        abx_string_printf(s, "%s", buffer->text);
    else
        describe_reason(buffer, s);
}

static const char *error_words(uint32_t error)
{
    switch (error) {
    case 2:
        return "Caused GPU Timeout Error";
    case 3:
        return "Caused GPU Address Fault Error";
    case 4:
        return "Ignored (for causing prior/excessive GPU errors)";
    case 7:
        return "Not Permitted";
    case MTLCommandBufferErrorOutOfMemory:
        return "Insufficient Memory";
    case MTLCommandBufferErrorInvalidResource:
        return "Invalid Resource";
    case MTLCommandBufferErrorDeviceRemoved:
        return "Device Removed";
    default:
        return "Internal Error";
    }
}

id MTLCommandBuffer_error(id self, SEL cmd)
{
    struct abx_metal_command_buffer *buffer = (struct abx_metal_command_buffer *)self;
    look(buffer);
    if (status(buffer) != MTLCommandBufferStatusError)
        return NULL;
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&lock);
    if (!buffer->error_object) {
        struct abx_string s = {0};
        if (buffer->base.label)
            abx_string_printf(&s, "%s: ", abx_ns_string_utf8(buffer->base.label));
        abx_string_printf(&s, "%s: ", error_words(buffer->error));
        if (buffer->fault && buffer->result.error_reason != ABX_REASON_LOST)
            abx_string_printf(&s, "%s", buffer->fault);
        else
            describe(buffer, &s);
        buffer->error_object = objc_retain(abx_ns_error("MTLCommandBufferErrorDomain",
                (NSInteger)buffer->error, s.data ? s.data : "out of memory"));
        abx_string_finish(&s);
    }
    pthread_mutex_unlock(&lock);
    return buffer->error_object;
}

/* ---- properties */

id MTLCommandBuffer_commandQueue(id self, SEL cmd)
{
    return (id)((struct abx_metal_command_buffer *)self)->queue;
}

abx_objc_bool MTLCommandBuffer_retainedReferences(id self, SEL cmd)
{
    return ((struct abx_metal_command_buffer *)self)->retains;
}

NSUInteger MTLCommandBuffer_errorOptions(id self, SEL cmd)
{
    return ((struct abx_metal_command_buffer *)self)->error_options;
}

static double seconds(id self, bool end)
{
    struct abx_metal_command_buffer *buffer = (struct abx_metal_command_buffer *)self;
    look(buffer);
    if (abx_metal_stage(buffer) < ABX_STAGE_COMPLETE)
        return 0;
    return (double)(end ? buffer->result.end_ns : buffer->result.start_ns) / 1e9;
}

double MTLCommandBuffer_GPUStartTime(id self, SEL cmd)
{
    return seconds(self, false);
}

double MTLCommandBuffer_GPUEndTime(id self, SEL cmd)
{
    return seconds(self, true);
}

double MTLCommandBuffer_kernelStartTime(id self, SEL cmd)
{
    return seconds(self, false);
}

double MTLCommandBuffer_kernelEndTime(id self, SEL cmd)
{
    return seconds(self, true);
}

void MTLCommandBuffer_pushDebugGroup_(id self, SEL cmd, id name)
{
    ((struct abx_metal_command_buffer *)self)->debug_depth++;
}

void MTLCommandBuffer_popDebugGroup(id self, SEL cmd)
{
    struct abx_metal_command_buffer *buffer = (struct abx_metal_command_buffer *)self;
    if (!buffer->debug_depth)
        abx_metal_note("-[MTLCommandBuffer popDebugGroup]: no group is open");
    else
        buffer->debug_depth--;
}

void MTLCommandBuffer_useResidencySet_(id self, SEL cmd, id set)
{
    struct abx_metal_command_buffer *buffer = (struct abx_metal_command_buffer *)self;
    if (!buffer->residency)
        buffer->residency = objc_retain(abx_ns_mutable_array());
    if (set)
        abx_ns_array_add(buffer->residency, set);
}

void MTLCommandBuffer_useResidencySets_count_(id self, SEL cmd, const id *sets, NSUInteger count)
{
    for (NSUInteger i = 0; i < count; i++)
        MTLCommandBuffer_useResidencySet_(self, cmd, sets[i]);
}

/* ---- events */

static struct abx_metal_event *event_of(
        struct abx_metal_command_buffer *buffer, id event, const char *what)
{
    if (!abx_metal_open_encoder(buffer, what))
        return NULL;
    if (!event) {
        abx_metal_note("-[MTLCommandBuffer %s]: no event", what);
        return NULL;
    }
    if (!abx_metal_is(event, ABX_METAL_EVENT) && !abx_metal_is(event, ABX_METAL_SHARED_EVENT)) {
        abx_metal_fail(buffer, "-[MTLCommandBuffer %s]: not an event", what);
        return NULL;
    }
    abx_metal_hold(buffer, event);
    return (struct abx_metal_event *)event;
}

void MTLCommandBuffer_encodeSignalEvent_value_(id self, SEL cmd, id object, uint64_t value)
{
    struct abx_metal_command_buffer *buffer = (struct abx_metal_command_buffer *)self;
    struct abx_metal_event *event = event_of(buffer, object, "encodeSignalEvent:value:");
    if (event)
        abx_encode_signal_event(&buffer->arena.encoder, event->handle, value);
}

void MTLCommandBuffer_encodeWaitForEvent_value_(id self, SEL cmd, id object, uint64_t value)
{
    struct abx_metal_command_buffer *buffer = (struct abx_metal_command_buffer *)self;
    struct abx_metal_event *event = event_of(buffer, object, "encodeWaitForEvent:value:");
    if (event)
        abx_encode_wait_event(&buffer->arena.encoder, event->handle, value);
}
