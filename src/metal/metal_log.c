/* metal: MTLLogState: what kernels log (src/shader/shim/logging.h says how it lies in memory). Runs
 * in the guest's process, when a command buffer is complete. The kernel wrote the log: nothing in
 * it is trusted beyond this process, which made the kernel. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metal/metal_internal.h"

#define DOMAIN "MTLLogStateErrorDomain"
#define MIN_BYTES 1024u
#define MAX_BYTES (1u << 30)

struct log_head {
    uint32_t used, capacity, dropped, reserved;
};
struct message_head {
    uint32_t bytes, level, arguments, text_bytes;
};
struct argument {
    uint32_t kind, more; /* components of the same vector behind it */
    uint64_t value;
};

/* ---- MTLLogState */

id MTLDevice_newLogStateWithDescriptor_error_(id self, SEL cmd, id object, id *error)
{
    const struct MTLLogStateDescriptor *d = (void *)object;
    if (!d || d->bufferSize < (NSInteger)MIN_BYTES || d->bufferSize > (NSInteger)MAX_BYTES) {
        abx_ns_error_set(error, DOMAIN, d ? MTLLogStateErrorInvalidSize : MTLLogStateErrorInvalid,
                "a log's buffer can have %u to %u bytes", MIN_BYTES, MAX_BYTES);
        return NULL;
    }
    struct abx_metal_log_state *state = abx_metal_new(ABX_METAL_LOG_STATE, self);
    if (!state)
        return NULL;
    pthread_mutex_init(&state->lock, NULL);
    state->level = d->level;
    state->bytes = (uint32_t)d->bufferSize;
    return (id)state;
}

void MTLLogState_dealloc(id self, SEL cmd)
{
    struct abx_metal_log_state *state = (struct abx_metal_log_state *)self;
    for (uint32_t i = 0; i < state->handlers.count; i++)
        _Block_release(state->handlers.blocks[i]);
    free(state->handlers.blocks);
    pthread_mutex_destroy(&state->lock);
    abx_metal_dealloc(self, ABX_METAL_LOG_STATE);
}

void MTLLogState_addLogHandler_(id self, SEL cmd, id block)
{
    struct abx_metal_log_state *state = (struct abx_metal_log_state *)self;
    pthread_mutex_lock(&state->lock);
    if (block)
        abx_metal_add_handler(&state->handlers, block);
    pthread_mutex_unlock(&state->lock);
}

/* ---- a command buffer's log */

void abx_metal_log_open(struct abx_metal_command_buffer *buffer, id state)
{
    struct abx_metal_log_state *s = (struct abx_metal_log_state *)state;
    if (!abx_metal_is(s, ABX_METAL_LOG_STATE))
        return;
    id memory = abx_metal_buffer_new(buffer->base.device, sizeof(struct log_head) + s->bytes, 0);
    if (!memory) {
        abx_metal_fail(buffer, "no memory for the log (%u bytes)", s->bytes);
        return;
    }
    buffer->log = (struct abx_metal_buffer *)memory;
    buffer->log_state = (struct abx_metal_log_state *)objc_retain(state);
    ((struct log_head *)MTLBuffer_contents((id)buffer->log, NULL))->capacity = s->bytes;
}

void abx_metal_log_finish(struct abx_metal_command_buffer *buffer)
{
    objc_release((id)buffer->log);
    objc_release((id)buffer->log_state);
    buffer->log = NULL;
    buffer->log_state = NULL;
}

/* ---- formatting */

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"

/* One conversion, its flags in `spec` (which ends with %'s letter), with the argument's own type.
 */
static void convert(struct abx_string *to, char *spec, char letter, const struct argument *a)
{
    size_t at = strlen(spec);
    if (strchr("diuxXoc", letter) && letter != 'c') {
        long long value = (long long)a->value;
        if (a->kind == 3) { /* a float given to %d */
            float f;
            memcpy(&f, &a->value, sizeof f);
            value = f >= -9e18f && f <= 9e18f ? (long long)f : 0;
        }
        snprintf(spec + at, 4, "ll%c", letter);
        abx_string_printf(to, spec, value);
    } else if (letter == 'c') {
        abx_string_printf(to, "%c", (int)(a->value & 0x7f));
    } else if (strchr("fFeEgGaA", letter)) {
        float f = a->kind == 1 ? (float)(int64_t)a->value : (float)a->value;
        if (a->kind == 3)
            memcpy(&f, &a->value, sizeof f);
        snprintf(spec + at, 2, "%c", letter);
        abx_string_printf(to, spec, (double)f);
    } else if (letter == 'p') {
        abx_string_printf(to, "0x%llx", (unsigned long long)a->value);
    } else {
        abx_string_printf(to, "<%%%c>", letter);
    }
}

#pragma GCC diagnostic pop

/* Components are separated by commas. */
static void convert_vector(struct abx_string *to, const char *spec, char letter,
        const struct argument *arguments, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        char own[16];
        memcpy(own, spec, sizeof own);
        if (i)
            abx_string_add(to, ",", 1);
        convert(to, own, letter, &arguments[i]);
    }
}

/* As printf: flags, width and precision; lengths are the arguments' own; %{public} is skipped. */
static const char *read_spec(const char *p, char spec[16], uint32_t *ret_components)
{
    size_t n = 1;
    *ret_components = 1;
    spec[0] = '%';
    if (*p == '{') {
        const char *end = strchr(p, '}');
        p = end ? end + 1 : p + strlen(p);
    }
    for (; *p && strchr("-+ #0123456789.", *p); p++)
        if (n < 9) /* widths of a few digits */
            spec[n++] = *p;
    spec[n] = 0;
    if (*p == 'v') /* a vector: %v4hf */
        for (p++, *ret_components = 0; *p >= '0' && *p <= '9'; p++)
            *ret_components =
                    *ret_components < 16 ? *ret_components * 10 + (uint32_t)(*p - '0') : 16;
    while (*p && strchr("hlqjztL", *p))
        p++;
    return p;
}

static void format_message(
        struct abx_string *to, const char *format, const struct argument *arguments, uint32_t count)
{
    uint32_t next = 0, wanted;
    char spec[16];
    for (const char *p = format; *p; p++) {
        if (*p != '%' || p[1] == '%') {
            abx_string_add(to, p, 1);
            p += *p == '%';
            continue;
        }
        p = read_spec(p + 1, spec, &wanted);
        if (!*p)
            break;
        if (next >= count) {
            abx_string_printf(to, "<missing>");
            continue;
        }
        uint32_t rest = count - next - 1, more = arguments[next].more;
        uint32_t end = next + 1 + (more < rest ? more : rest);
        convert_vector(to, spec, *p, arguments + next, end - next < wanted ? end - next : wanted);
        next = end;
    }
}

static void deliver(struct abx_metal_log_state *state, uint32_t level, const char *subsystem,
        const char *category, const char *text)
{
    void *pool = objc_autoreleasePoolPush();
    id of = *subsystem ? abx_ns_string(subsystem) : NULL;
    id in = *category ? abx_ns_string(category) : NULL;
    id message = abx_ns_string(text);
    pthread_mutex_lock(&state->lock);
    uint32_t count = state->handlers.count;
    pthread_mutex_unlock(&state->lock);
    for (uint32_t i = 0; i < count; i++) {
        pthread_mutex_lock(&state->lock);
        void *block = state->handlers.blocks[i];
        pthread_mutex_unlock(&state->lock);
        ABX_BLOCK_CALL(void, (void *, id, id, MTLLogLevel, id), block, of, in, level, message);
    }
    if (!count)
        fprintf(stderr, *subsystem ? "[%s:%s] %s\n" : "%s%s%s\n", subsystem, category, text);
    objc_autoreleasePoolPop(pool);
}

/* The three strings of a message, or false. */
static bool split(const char *text, uint32_t bytes, const char *parts[3])
{
    const char *end = text + bytes;
    for (int i = 0; i < 3; i++) {
        const char *nul = text < end ? memchr(text, 0, (size_t)(end - text)) : NULL;
        if (!nul)
            return false;
        parts[i] = text;
        text = nul + 1;
    }
    return true;
}

/* Returns the bytes of the message at `at`, 0 when it is none. */
static uint32_t read_message(struct abx_metal_log_state *state, const uint8_t *at, uint32_t bytes)
{
    struct message_head m;
    const char *parts[3];
    if (bytes < sizeof m)
        return 0;
    memcpy(&m, at, sizeof m);
    if (m.bytes > bytes || m.bytes % 8 || m.bytes < sizeof m || m.text_bytes % 8 ||
            m.text_bytes > m.bytes - sizeof m ||
            m.arguments != (m.bytes - sizeof m - m.text_bytes) / sizeof(struct argument) ||
            !split((const char *)at + sizeof m, m.text_bytes, parts))
        return 0;
    if (m.level < state->level)
        return m.bytes;
    struct abx_string text = {0};
    format_message(
            &text, parts[2], (const struct argument *)(at + sizeof m + m.text_bytes), m.arguments);
    deliver(state, m.level, parts[0], parts[1], text.data ? text.data : "");
    abx_string_finish(&text);
    return m.bytes;
}

void abx_metal_log_deliver(struct abx_metal_command_buffer *buffer)
{
    struct abx_metal_log_state *state = buffer->log_state;
    const uint8_t *memory = MTLBuffer_contents((id)buffer->log, NULL);
    const struct log_head *head = (const struct log_head *)memory;
    uint32_t used = head->used < state->bytes ? head->used : state->bytes, n;
    memory += sizeof *head;
    for (uint32_t at = 0; at < used && (n = read_message(state, memory + at, used - at)); at += n)
        ;
    if (head->dropped)
        abx_metal_say(
                "%u messages did not fit into the log's %u bytes", head->dropped, state->bytes);
}
