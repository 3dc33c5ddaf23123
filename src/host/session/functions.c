/* host: functions of libraries as objects, and pipelines linked from them. Runs in the worker, on
 * the engine's thread. Handles, function numbers and constants are the guest's: handles are looked
 * up here, the rest is only passed on to the compiler, which checks it. */
#include "host/compiler/compiler.h"
#include "host/session/internal.h"

#include <stdlib.h>
#include <string.h>

void abx_function_create(struct abx_session *session, struct abx_library_object *library,
        const struct abx_rec_function_create *r)
{
    if (r->index >= library->reflection->function_count) {
        abx_session_kill(
                session, "it made a function of number %u, which is not in the library", r->index);
        return;
    }
    struct abx_function_object *f = abx_object_create(
            session, r->function, ABX_CLASS_FUNCTION, r->constant_count * sizeof f->constants[0]);
    if (!f)
        return;
    abx_object_retain(&library->head);
    f->library = library;
    f->index = r->index;
    f->constant_count = r->constant_count;
    abx_constants_read(f->constants, r->constants, r->constant_count);
}

static void destroy_function(struct abx_object *object)
{
    abx_object_release(&((struct abx_function_object *)object)->library->head);
    free(object);
}

const struct abx_object_kind abx_function_kind = {
        sizeof(struct abx_function_object), destroy_function, NULL};

/* What a pipeline asks the compiler for, grown link by link. */
struct asking {
    struct abx_compiler_request *message;
    struct abx_compiler_link links[ABX_MAX_LINKS];
};

static bool add_constants(struct asking *a, const struct abx_function_object *f)
{
    if (f->constant_count > ABX_COMPILER_MAX_CONSTANTS - a->message->constant_count)
        return false;
    memcpy(a->message->constants + a->message->constant_count, f->constants,
            f->constant_count * sizeof f->constants[0]);
    a->message->constant_count += f->constant_count;
    return true;
}

/* NULL, or why the link is wrong. */
static const char *add_link(
        struct asking *a, struct abx_session *session, const struct abx_wire_link *link)
{
    struct abx_object *object = abx_object_find(session, link->object);
    struct abx_compiler_link *to = &a->links[a->message->link_count++];
    bool library = link->kind == ABX_LINK_LIBRARY;
    if (!object || object->class != (library ? ABX_CLASS_LIBRARY : ABX_CLASS_FUNCTION))
        return "a pipeline links something that was released, or no function or library";
    *to = (struct abx_compiler_link){
            .kind = link->kind, .first_constant = a->message->constant_count};
    if (library) {
        memcpy(to->key, ((struct abx_library_object *)object)->key, sizeof to->key);
        return NULL;
    }
    const struct abx_function_object *f = (struct abx_function_object *)object;
    memcpy(to->key, f->library->key, sizeof to->key);
    to->function = f->index;
    to->constant_count = f->constant_count;
    return add_constants(a, f) ? NULL : "the functions have too many constants in all";
}

void abx_pipeline_create_linked(struct abx_session *session, struct abx_function_object *kernel,
        const struct abx_rec_pipeline_create_linked *r)
{
    struct abx_pipeline_object *pipeline =
            abx_pipeline_new(session, r->pipeline, kernel->library, kernel->index);
    struct asking *a = pipeline ? calloc(1, sizeof *a) : NULL;
    if (a)
        a->message = calloc(1, ABX_COMPILER_MAX_REQUEST_BYTES);
    const char *wrong = pipeline && (!a || !a->message) ? "no memory" : NULL;
    if (pipeline && !wrong) {
        a->message->function = kernel->index;
        memcpy(a->message->key, kernel->library->key, sizeof a->message->key);
        add_constants(a, kernel);
        a->message->own_constants = kernel->constant_count;
        for (uint32_t i = 0; i < r->link_count && !wrong; i++)
            wrong = add_link(a, session, &r->links[i]);
    }
    if (wrong)
        abx_pipeline_fail(pipeline, wrong, strlen(wrong));
    else if (pipeline) {
        memcpy(a->message->constants + a->message->constant_count, a->links,
                a->message->link_count * sizeof a->links[0]);
        abx_pipeline_request(pipeline, a->message);
    }
    if (a)
        free(a->message);
    free(a);
}
