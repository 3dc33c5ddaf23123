/* foundation: NSInvocation: messages put together as the program runs. Numbers, pointers and
 * objects are passed; structures are refused by name. Guest's process; trusts it. */
#include "foundation/foundation_internal.h"

ABX_OBJC_CLASS(NSInvocation)

#define MAX_ARGUMENTS 16u /* target and selector among them */

/* The registers that a call has for integers and for floating point; what is more goes on the
 * stack, in words. Both processors number the two kinds apart, so one prototype passes any mix of
 * them. */
#if defined(__x86_64__)
#define INTEGERS 6
#else
#define INTEGERS 8
#endif
#define FLOATS 8

union word {
    int64_t i;
    double d;
    float f;
    void *p;
    uint8_t bytes[8];
};

struct argument {
    char type; /* the first letter of its encoding, behind qualifiers; 0: a structure or the like */
    uint8_t size;
    union word value;
};

struct ns_invocation {
    Class isa;
    id signature;
    unsigned count;
    BOOL retained;
    struct argument result, arguments[MAX_ARGUMENTS];
};

static struct ns_invocation *invocation_of(id self)
{
    return (struct ns_invocation *)self;
}

static struct argument argument_of(const char *type)
{
    struct argument a = {0};
    size_t size = 0, alignment;
    while (*type && strchr("rnNoORVAj+", *type))
        type++;
    if (*type == 'v')
        a.type = 'v';
    else if (strchr("cCsSiIlLqQBfd@#:*^", *type) &&
             abx_objc_type_size(type, &size, &alignment) >= 0 && size <= sizeof(union word))
        a.type = *type, a.size = (uint8_t)size;
    return a;
}

static bool is_object(const struct argument *a)
{
    return a->type == '@' || a->type == '#';
}

static const char *next_type(const char *type)
{
    type = abx_objc_type_end(type);
    while (*type == '-' || (*type >= '0' && *type <= '9')) /* the place in the frame */
        type++;
    return type;
}

static id invocation_make(id cls, SEL cmd, id signature)
{
    if (!signature)
        abx_ns_raise_argument("+[NSInvocation invocationWithMethodSignature:]: no signature");
    id self = objc_autorelease(class_createInstance((Class)cls, 0));
    struct ns_invocation *v = invocation_of(self);
    const char *type = abx_ns_signature_types(signature);
    v->signature = objc_retain(signature);
    v->result = argument_of(type);
    for (type = next_type(type); *type; type = next_type(type)) {
        if (v->count == MAX_ARGUMENTS)
            abx_ns_raise_argument("arcbox: an NSInvocation has %u arguments at most, '%s' are more",
                    MAX_ARGUMENTS, abx_ns_signature_types(signature));
        v->arguments[v->count++] = argument_of(type);
    }
    return self;
}

/* ---- what it carries */

static struct argument *argument_at(id self, NSInteger index)
{
    struct ns_invocation *v = invocation_of(self);
    if (index < 0 || index >= v->count)
        abx_ns_raise_argument("NSInvocation: index (%ld) out of bounds [0, %u]", (long)index,
                v->count ? v->count - 1 : 0);
    if (!v->arguments[index].type)
        abx_ns_raise_argument("arcbox: an NSInvocation passes no structures: argument %ld of '%s'",
                (long)index, abx_ns_signature_types(v->signature));
    return &v->arguments[index];
}

static void keep(struct argument *a)
{
    if (is_object(a))
        objc_retain(a->value.p);
    else if (a->type == '*' && a->value.p)
        a->value.p = strdup(a->value.p);
}

static void drop(struct argument *a)
{
    if (is_object(a))
        objc_release(a->value.p);
    else if (a->type == '*')
        free(a->value.p);
}

static void set_argument(id self, SEL cmd, void *value, NSInteger index)
{
    struct argument *a = argument_at(self, index), before = *a;
    a->value = (union word){0};
    memcpy(a->value.bytes, value, a->size);
    if (!invocation_of(self)->retained)
        return;
    keep(a);
    drop(&before);
}

static void get_argument(id self, SEL cmd, void *value, NSInteger index)
{
    const struct argument *a = argument_at(self, index);
    memcpy(value, a->value.bytes, a->size);
}

static void set_result(id self, SEL cmd, void *value)
{
    struct argument *a = &invocation_of(self)->result;
    memcpy(a->value.bytes, value, a->size);
}

static void get_result(id self, SEL cmd, void *value)
{
    const struct argument *a = &invocation_of(self)->result;
    memcpy(value, a->value.bytes, a->size);
}

static id signature(id self, SEL cmd)
{
    return invocation_of(self)->signature;
}

static id target(id self, SEL cmd)
{
    return argument_at(self, 0)->value.p;
}

static void set_target(id self, SEL cmd, id to)
{
    set_argument(self, cmd, &to, 0);
}

static SEL selector(id self, SEL cmd)
{
    return argument_at(self, 1)->value.p;
}

static void set_selector(id self, SEL cmd, SEL to)
{
    set_argument(self, cmd, &to, 1);
}

static BOOL retained(id self, SEL cmd)
{
    return invocation_of(self)->retained;
}

static void retain_arguments(id self, SEL cmd)
{
    struct ns_invocation *v = invocation_of(self);
    for (unsigned i = 0; !v->retained && i < v->count; i++)
        keep(&v->arguments[i]);
    v->retained = 1;
}

static void invocation_dealloc(id self, SEL cmd)
{
    struct ns_invocation *v = invocation_of(self);
    for (unsigned i = 0; v->retained && i < v->count; i++)
        drop(&v->arguments[i]);
    objc_release(v->signature);
    abx_objc_dealloc_super(self, ABX_CLASS(NSInvocation));
}

/* ---- calling */

/* Numbers shorter than a register are extended as their type has it. */
static int64_t extended(const struct argument *a)
{
    unsigned unused = 64u - 8u * a->size;
    bool is_signed = a->type == 'c' || a->type == 's' || a->type == 'i' || a->type == 'l';
    uint64_t high = (uint64_t)a->value.i << unused;
    return is_signed ? (int64_t)high >> unused : (int64_t)(high >> unused);
}

struct frame {
    int64_t integers[INTEGERS];
    union word floats[FLOATS];
    int64_t stack[MAX_ARGUMENTS];
};

static void lay_out(struct frame *frame, const struct ns_invocation *v)
{
    unsigned integers = 0, floats = 0, stack = 0;
    for (unsigned i = 0; i < v->count; i++) {
        const struct argument *a = argument_at((id)v, i);
        bool is_float = a->type == 'f' || a->type == 'd';
        if (is_float && floats < FLOATS)
            frame->floats[floats++] = a->value;
        else if (!is_float && integers < INTEGERS)
            frame->integers[integers++] = extended(a);
        else
            frame->stack[stack++] = is_float ? a->value.i : extended(a);
    }
}

#if defined(__x86_64__)
#define INTEGER_TYPES int64_t, int64_t, int64_t, int64_t, int64_t, int64_t
#define INTEGER_VALUES(v) (v)[0], (v)[1], (v)[2], (v)[3], (v)[4], (v)[5]
#else
#define INTEGER_TYPES int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t
#define INTEGER_VALUES(v) (v)[0], (v)[1], (v)[2], (v)[3], (v)[4], (v)[5], (v)[6], (v)[7]
#endif
#define FLOAT_TYPES double, double, double, double, double, double, double, double
#define FLOAT_VALUES(v)                                                                            \
    (v)[0].d, (v)[1].d, (v)[2].d, (v)[3].d, (v)[4].d, (v)[5].d, (v)[6].d, (v)[7].d
#define STACK_TYPES FOUR, FOUR, FOUR, FOUR
#define FOUR int64_t, int64_t, int64_t, int64_t
#define FOUR_OF(v, i) (v)[i], (v)[(i) + 1], (v)[(i) + 2], (v)[(i) + 3]
#define STACK_VALUES(v) FOUR_OF(v, 0), FOUR_OF(v, 4), FOUR_OF(v, 8), FOUR_OF(v, 12)
#define CALL(result, f)                                                                            \
    ((result(*)(INTEGER_TYPES, FLOAT_TYPES, STACK_TYPES))(uintptr_t)abx_objc_msg_send)(            \
            INTEGER_VALUES((f)->integers), FLOAT_VALUES((f)->floats), STACK_VALUES((f)->stack))

static void invoke(id self, SEL cmd)
{
    struct ns_invocation *v = invocation_of(self);
    struct frame frame = {0};
    struct argument *result = &v->result;
    if (!result->type)
        abx_ns_raise_argument("arcbox: an NSInvocation returns no structures: '%s'",
                abx_ns_signature_types(v->signature));
    if (v->count < 2 || !argument_at(self, 1)->value.p)
        abx_ns_raise_argument("-[NSInvocation invoke]: no selector");
    lay_out(&frame, v);
    if (result->type == 'f')
        result->value.f = CALL(float, &frame);
    else if (result->type == 'd')
        result->value.d = CALL(double, &frame);
    else
        result->value.i = CALL(int64_t, &frame);
    if (is_object(result) && v->retained) /* as long as the pool that is current has it */
        objc_autorelease(objc_retain(result->value.p));
}

static void invoke_with(id self, SEL cmd, id to)
{
    set_target(self, cmd, to);
    invoke(self, cmd);
}

static const struct abx_objc_method instance_methods[] = {
        METHOD("methodSignature", "@@:", signature),
        METHOD("target", "@@:", target),
        METHOD("setTarget:", "v@:@", set_target),
        METHOD("selector", "::@:", selector),
        METHOD("setSelector:", "v@::", set_selector),
        METHOD("argumentsRetained", "c@:", retained),
        METHOD("retainArguments", "v@:", retain_arguments),
        METHOD("setArgument:atIndex:", "v@:^vq", set_argument),
        METHOD("getArgument:atIndex:", "v@:^vq", get_argument),
        METHOD("setReturnValue:", "v@:^v", set_result),
        METHOD("getReturnValue:", "v@:^v", get_result),
        METHOD("invoke", "v@:", invoke),
        METHOD("invokeWithTarget:", "v@:@", invoke_with),
        METHOD("dealloc", "v@:", invocation_dealloc),
        {NULL},
};
static const struct abx_objc_method class_methods[] = {
        METHOD("invocationWithMethodSignature:", "@@:@", invocation_make),
        {NULL},
};

__attribute__((constructor(102))) static void define(void)
{
    DEFINE(NSInvocation, NSObject, struct ns_invocation, instance_methods, class_methods);
}
