/* host: pipelines of clients. Runs in the worker: on the engine's thread; answers of
 * the compiler on the broker's (broker.c), which loads code into the backend. Trusts the compiler;
 * source, constants and function numbers are the guest's and only passed on. */
#include "host/compiler/compiler.h"
#include "host/session/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- answers */

void abx_pipeline_fail(struct abx_pipeline_object *pipeline, const char *text, size_t length)
{
    pipeline->text = strndup(text, length);
    atomic_store_explicit(&pipeline->state, ABX_PIPELINE_FAILED, memory_order_release);
}

void abx_pipeline_answer(struct abx_pipeline_object *pipeline, const struct abx_compiler_answer *a,
        const uint8_t *map)
{
    struct abx_host *host = pipeline->head.session->host;
    pipeline->cached = a->cached;
    if (a->error || !map) {
        const char *text = a->error == -EPIPE ? "the shader compiler is gone"
                                              : "the shader compiler said nothing";
        bool said = map && a->message_bytes;
        abx_pipeline_fail(
                pipeline, said ? (const char *)map : text, said ? a->message_bytes : strlen(text));
        return;
    }
    const uint8_t *object = map + abx_align_up(a->message_bytes, 8);
    struct abx_session *session = pipeline->head.session;
    int r = abx_books_charge(session, a->payload_bytes);
    pipeline->code_bytes = r < 0 ? 0 : a->payload_bytes;
    if (r == 0)
        r = host->backend->pipeline->create(
                host->device, object, a->payload_bytes, &pipeline->backend);
    if (r < 0) {
        char text[96];
        int n = snprintf(text, sizeof text, "the compiled code was refused: %s", strerror(-r));
        abx_pipeline_fail(pipeline, text, (size_t)n);
        return;
    }
    struct abx_pipeline_info info;
    host->backend->pipeline->info(pipeline->backend, &info);
    pipeline->static_threadgroup_bytes = info.threadgroup_bytes;
    pipeline->device_threads = info.max_threads;
    atomic_store_explicit(&pipeline->state, ABX_PIPELINE_READY, memory_order_release);
}

/* ---- pipelines */

/* What validating a dispatch needs of the function's reflection. */
static void describe(struct abx_pipeline_object *pipeline, const struct abx_reflection *r,
        const struct abx_reflection_function *f)
{
    const struct abx_reflection_argument *a = abx_reflection_arguments(r) + f->first_argument;
    const struct abx_device_info *info = &pipeline->head.session->host->info;
    for (uint32_t i = 0; i < f->argument_count; i++) {
        if (a[i].kind == ABX_ARGUMENT_THREADGROUP && a[i].index < ABX_MAX_THREADGROUP_BINDINGS)
            pipeline->groups_used |= 1u << a[i].index;
        if (a[i].kind != ABX_ARGUMENT_BUFFER || a[i].index >= ABX_MAX_BUFFER_BINDINGS)
            continue;
        pipeline->buffers_used |= 1u << a[i].index;
        if (a[i].access != ABX_ACCESS_READ_ONLY)
            pipeline->buffers_written |= 1u << a[i].index;
    }
    pipeline->binding_count =
            pipeline->buffers_used ? 32 - (uint32_t)__builtin_clz(pipeline->buffers_used) : 0;
    pipeline->max_threads = info->max_threads_per_threadgroup;
    if (f->max_threads && f->max_threads < pipeline->max_threads)
        pipeline->max_threads = f->max_threads;
    memcpy(pipeline->required_threads, f->required_threads, sizeof pipeline->required_threads);
}

void abx_constants_read(
        struct abx_shader_constant *to, const struct abx_wire_constant *from, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        to[i].index = from[i].index;
        to[i].type = from[i].type;
        memcpy(to[i].value, &from[i].value_low, 8);
        memcpy(to[i].value + 8, &from[i].value_high, 8);
    }
}

void abx_pipeline_request(
        struct abx_pipeline_object *pipeline, struct abx_compiler_request *message)
{
    static const char text[] = "the shader compiler is gone";
    message->type = ABX_COMPILER_PIPELINE;
    if (abx_broker_pipeline(pipeline, message) < 0)
        abx_pipeline_fail(pipeline, text, sizeof text - 1);
}

struct abx_pipeline_object *abx_pipeline_new(struct abx_session *session, abx_handle handle,
        struct abx_library_object *library, uint32_t function)
{
    const struct abx_reflection *reflection = library->reflection;
    const struct abx_reflection_function *f = abx_reflection_functions(reflection) + function;
    if (function >= reflection->function_count || f->kind != ABX_FUNCTION_KERNEL) {
        abx_session_kill(
                session, "it made a pipeline of function %u, which is no kernel", function);
        return NULL;
    }
    struct abx_pipeline_object *pipeline =
            abx_object_create(session, handle, ABX_CLASS_PIPELINE, 0);
    if (pipeline) {
        atomic_init(&pipeline->state, ABX_PIPELINE_COMPILING);
        describe(pipeline, reflection, f);
    }
    return pipeline;
}

void abx_pipeline_create(struct abx_session *session, abx_handle handle,
        struct abx_library_object *library, const struct abx_rec_pipeline_create *r)
{
    struct abx_pipeline_object *pipeline = abx_pipeline_new(session, handle, library, r->function);
    size_t bytes = r->constant_count * sizeof(struct abx_shader_constant);
    struct abx_compiler_request *message = pipeline ? calloc(1, sizeof *message + bytes) : NULL;
    static const char text[] = "no memory";
    if (message) {
        message->function = r->function;
        message->constant_count = message->own_constants = r->constant_count;
        memcpy(message->key, library->key, sizeof message->key);
        abx_constants_read(message->constants, r->constants, r->constant_count);
        abx_pipeline_request(pipeline, message);
        free(message);
    } else if (pipeline)
        abx_pipeline_fail(pipeline, text, sizeof text - 1);
}

static void destroy_pipeline(struct abx_object *object)
{
    struct abx_pipeline_object *pipeline = (struct abx_pipeline_object *)object;
    while (pipeline->waiters) {
        struct abx_prepare_waiter *waiter = pipeline->waiters;
        pipeline->waiters = waiter->next;
        abx_books_uncharge(pipeline->head.session, ABX_QUESTION_BYTES);
        free(waiter);
    }
    if (pipeline->backend)
        pipeline->head.session->host->backend->pipeline->destroy(pipeline->backend);
    abx_books_uncharge(pipeline->head.session, pipeline->code_bytes);
    free(pipeline->text);
    free(pipeline);
}

const struct abx_object_kind abx_pipeline_kind = {
        sizeof(struct abx_pipeline_object), destroy_pipeline, NULL};
