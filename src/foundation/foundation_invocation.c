/* foundation: NSInvocation: messages put together as the program runs, and those that a class
 * passes on with forwardInvocation:; NSProxy. What the processors' conventions pass apart
 * (structures with floating point in them of up to 16 bytes, unions, results in memory) is refused
 * by name. Guest's process; trusts it. */
#include "foundation/foundation_internal.h"

ABX_OBJC_CLASS(NSInvocation)

#define MAX_ARGUMENTS 16u /* target and selector among them */
#define MAX_WORDS 64u     /* of all of them */
#define MAX_STACK 32u     /* words that do not fit registers */

/* The registers that a call has for integers and for floating point; what is more goes on the
 * stack, in words. Both processors number the two kinds apart, so one prototype passes any mix of
 * them. */
#if defined(__x86_64__)
#define INTEGERS 6u
#define INTEGER_TYPES int64_t, int64_t, int64_t, int64_t, int64_t, int64_t
#define INTEGER_VALUES(v) (v)[0], (v)[1], (v)[2], (v)[3], (v)[4], (v)[5]
#else
#define INTEGERS 8u
#define INTEGER_TYPES int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t
#define INTEGER_VALUES(v) (v)[0], (v)[1], (v)[2], (v)[3], (v)[4], (v)[5], (v)[6], (v)[7]
#endif
#define FLOATS 8u

enum kind {
    KIND_REFUSED = 0,
    KIND_VOID,
    KIND_INTEGER, /* pointers and objects too */
    KIND_FLOAT,
    KIND_SMALL,  /* a structure of integers of up to two words */
    KIND_MEMORY, /* one of more than two */
};

struct argument {
    enum kind kind;
    char type; /* the first letter of its encoding, behind qualifiers */
    size_t size;
    int64_t *value;
};

struct ns_invocation {
    Class isa;
    id signature;
    unsigned count;
    BOOL retained;
    struct argument result, arguments[MAX_ARGUMENTS];
    int64_t words[MAX_WORDS];
};

static struct ns_invocation *invocation_of(id self)
{
    return (struct ns_invocation *)self;
}

/* ---- making */

static enum kind kind_of(const char *type, size_t size)
{
    if (*type == 'v')
        return KIND_VOID;
    if (*type == 'f' || *type == 'd')
        return KIND_FLOAT;
    if (strchr("cCsSiIlLqQB@#:*^", *type))
        return KIND_INTEGER;
    if (*type != '{' || !size)
        return KIND_REFUSED;
    if (size > 16)
        return KIND_MEMORY;
    const char *members = strchr(type, '='), *end = abx_objc_type_end(type);
    for (const char *p = members; p && p < end; p++)
        if (strchr("fdD([bj", *p))
            return KIND_REFUSED;
    return members ? KIND_SMALL : KIND_REFUSED;
}

static struct argument argument_of(const char *type, int64_t **words, const int64_t *end)
{
    struct argument a = {.value = *words};
    size_t alignment;
    while (*type && strchr("rnNoORVA+", *type))
        type++;
    if (abx_objc_type_size(type, &a.size, &alignment) < 0)
        a.size = 0;
    size_t count = a.size ? (a.size + 7) / 8 : 1;
    a.type = *type;
    if (count > (size_t)(end - *words))
        return a;
    a.kind = kind_of(type, a.size);
    *words += count;
    return a;
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
    int64_t *words = v->words, *end = v->words + MAX_WORDS;
    v->signature = objc_retain(signature);
    v->result = argument_of(type, &words, end);
    for (type = next_type(type); *type; type = next_type(type)) {
        if (v->count == MAX_ARGUMENTS)
            abx_ns_raise_argument("arcbox: an NSInvocation has %u arguments at most, '%s' are more",
                    MAX_ARGUMENTS, abx_ns_signature_types(signature));
        v->arguments[v->count++] = argument_of(type, &words, end);
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
    if (v->arguments[index].kind <= KIND_VOID)
        abx_ns_raise_argument("arcbox: an NSInvocation cannot pass argument %ld of '%s'",
                (long)index, abx_ns_signature_types(v->signature));
    return &v->arguments[index];
}

static bool is_object(const struct argument *a)
{
    return a->type == '@' || a->type == '#';
}

static id object_in(int64_t word)
{
    return (id)(uintptr_t)word;
}

static void keep(struct argument *a)
{
    if (is_object(a))
        objc_retain(object_in(*a->value));
    else if (a->type == '*' && *a->value)
        *a->value = (int64_t)(uintptr_t)strdup((const char *)(uintptr_t)*a->value);
}

static void drop(const struct argument *a, int64_t value)
{
    if (is_object(a))
        objc_release(object_in(value));
    else if (a->type == '*')
        free((void *)(uintptr_t)value);
}

static void set_argument(id self, SEL cmd, void *value, NSInteger index)
{
    struct argument *a = argument_at(self, index);
    int64_t before = *a->value;
    if (a->size < 8)
        *a->value = 0;
    memcpy(a->value, value, a->size);
    if (!invocation_of(self)->retained)
        return;
    keep(a);
    drop(a, before);
}

static void get_argument(id self, SEL cmd, void *value, NSInteger index)
{
    const struct argument *a = argument_at(self, index);
    memcpy(value, a->value, a->size);
}

static void set_result(id self, SEL cmd, void *value)
{
    const struct argument *a = &invocation_of(self)->result;
    memcpy(a->value, value, a->kind > KIND_VOID ? a->size : 0);
}

static void get_result(id self, SEL cmd, void *value)
{
    const struct argument *a = &invocation_of(self)->result;
    memcpy(value, a->value, a->kind > KIND_VOID ? a->size : 0);
}

static id signature(id self, SEL cmd)
{
    return invocation_of(self)->signature;
}

static id target(id self, SEL cmd)
{
    return object_in(*argument_at(self, 0)->value);
}

static void set_target(id self, SEL cmd, id to)
{
    set_argument(self, cmd, &to, 0);
}

static SEL selector(id self, SEL cmd)
{
    return (SEL)(uintptr_t)*argument_at(self, 1)->value;
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
        drop(&v->arguments[i], *v->arguments[i].value);
    objc_release(v->signature);
    abx_objc_dealloc_super(self, ABX_CLASS(NSInvocation));
}

/* ---- where a call has its arguments */

struct places {
    int64_t *integers, *stack;
    struct abx_objc_float *floats;
    unsigned integer, number, word; /* taken of each */
};

/* The words of the next argument, which lie beside each other. NULL: more than the stack's bound.
 */
static int64_t *place_of(struct places *p, const struct argument *a)
{
    unsigned words = (unsigned)((a->size + 7) / 8);
#if !defined(__x86_64__)
    if (a->kind == KIND_MEMORY)
        words = 1; /* its address */
#else
    if (a->kind == KIND_MEMORY)
        ; /* on the stack in any case */
    else
#endif
    if (a->kind == KIND_FLOAT && p->number < FLOATS)
        return &p->floats[p->number++].bits;
    else if (a->kind != KIND_FLOAT && p->integer + words <= INTEGERS) {
        p->integer += words;
        return &p->integers[p->integer - words];
    }
#if !defined(__x86_64__)
    if (a->kind != KIND_FLOAT)
        p->integer = INTEGERS; /* none of them goes to a register any more */
#endif
    if (p->word + words > MAX_STACK)
        return NULL;
    p->word += words;
    return &p->stack[p->word - words];
}

/* Numbers shorter than a register are extended as their type has it. */
static int64_t extended(const struct argument *a)
{
    unsigned unused = 64u - 8u * (unsigned)a->size;
    uint64_t high = (uint64_t)*a->value << unused;
    return strchr("csilq", a->type) ? (int64_t)high >> unused : (int64_t)(high >> unused);
}

static void put(int64_t *place, const struct argument *a)
{
    if (a->kind == KIND_INTEGER)
        *place = extended(a);
#if !defined(__x86_64__)
    else if (a->kind == KIND_MEMORY)
        *place = (int64_t)(uintptr_t)a->value;
#endif
    else
        memcpy(place, a->value, a->size);
}

static void take(const int64_t *place, const struct argument *a)
{
#if !defined(__x86_64__)
    if (a->kind == KIND_MEMORY)
        place = (const int64_t *)(uintptr_t)*place;
#endif
    memcpy(a->value, place, a->size);
}

static void each_place(struct ns_invocation *v, struct places *p, bool into_call)
{
    for (unsigned i = 0; i < v->count; i++) {
        const struct argument *a = argument_at((id)v, i);
        int64_t *place = place_of(p, a);
        if (!place)
            abx_ns_raise_argument(
                    "arcbox: an NSInvocation has %u words on the stack at most, '%s' are more",
                    MAX_STACK, abx_ns_signature_types(v->signature));
        if (into_call)
            put(place, a);
        else
            take(place, a);
    }
}

/* ---- calling */

struct call {
    int64_t integers[INTEGERS], stack[MAX_STACK];
    struct abx_objc_float floats[FLOATS];
};
struct pair {
    int64_t first, second;
};

#define FLOAT_TYPES double, double, double, double, double, double, double, double
#define FLOAT_VALUES(v)                                                                            \
    (v)[0].d, (v)[1].d, (v)[2].d, (v)[3].d, (v)[4].d, (v)[5].d, (v)[6].d, (v)[7].d
#define FOUR int64_t, int64_t, int64_t, int64_t
#define STACK_TYPES FOUR, FOUR, FOUR, FOUR, FOUR, FOUR, FOUR, FOUR
#define FOUR_OF(v, i) (v)[i], (v)[(i) + 1], (v)[(i) + 2], (v)[(i) + 3]
#define STACK_VALUES(v)                                                                            \
    FOUR_OF(v, 0), FOUR_OF(v, 4), FOUR_OF(v, 8), FOUR_OF(v, 12), FOUR_OF(v, 16), FOUR_OF(v, 20),   \
            FOUR_OF(v, 24), FOUR_OF(v, 28)
#define CALL(result, c)                                                                            \
    ((result(*)(INTEGER_TYPES, FLOAT_TYPES, STACK_TYPES))(uintptr_t)abx_objc_msg_send)(            \
            INTEGER_VALUES((c)->integers), FLOAT_VALUES((c)->floats), STACK_VALUES((c)->stack))

static void check_result(const struct ns_invocation *v)
{
    if (v->result.kind == KIND_REFUSED || v->result.kind == KIND_MEMORY)
        abx_ns_raise_argument("arcbox: an NSInvocation cannot return the structure of '%s'",
                abx_ns_signature_types(v->signature));
}

static void invoke(id self, SEL cmd)
{
    struct ns_invocation *v = invocation_of(self);
    struct call call = {0};
    struct argument *result = &v->result;
    check_result(v);
    if (v->count < 2 || !*argument_at(self, 1)->value)
        abx_ns_raise_argument("-[NSInvocation invoke]: no selector");
    each_place(v, &(struct places){call.integers, call.stack, call.floats}, true);
    if (result->type == 'f') {
        float f = CALL(float, &call);
        memcpy(result->value, &f, sizeof f);
    } else if (result->type == 'd') {
        double d = CALL(double, &call);
        memcpy(result->value, &d, sizeof d);
    } else {
        struct pair pair = CALL(struct pair, &call);
        memcpy(result->value, &pair, result->kind > KIND_VOID ? result->size : 0);
    }
    if (is_object(result) && v->retained) /* as long as the pool that is current has it */
        objc_autorelease(objc_retain(object_in(*result->value)));
}

static void invoke_with(id self, SEL cmd, id to)
{
    set_target(self, cmd, to);
    invoke(self, cmd);
}

/* ---- being called */

static void answer(struct abx_objc_frame *frame, const struct argument *result)
{
    int64_t words[2] = {0};
    if (result->kind == KIND_VOID)
        return;
    memcpy(words, result->value, result->size);
    frame->floats[0].bits = words[0];
#if defined(__x86_64__)
    frame->result = words[0];
    frame->integers[2] = words[1];
#else
    frame->integers[0] = words[0];
    frame->integers[1] = words[1];
#endif
}

static bool forward(id receiver, SEL selector_, struct abx_objc_frame *frame)
{
    id signature_ = ABX_MSG(id, (id, SEL, SEL), receiver, "methodSignatureForSelector:", selector_);
    if (!signature_)
        return false;
    void *pool = objc_autoreleasePoolPush();
    id made = objc_retain(invocation_make((id)ABX_CLASS(NSInvocation), NULL, signature_));
    objc_autoreleasePoolPop(pool);
    struct ns_invocation *v = invocation_of(made);
    check_result(v);
    each_place(v, &(struct places){frame->integers, frame->stack, frame->floats}, false);
    ABX_MSG(void, (id, SEL, id), receiver, "forwardInvocation:", made);
    answer(frame, &v->result);
    objc_release(made);
    return true;
}

static void forward_nothing(id self, SEL cmd, id invocation)
{
    ABX_MSG(void, (id, SEL, SEL), self, "doesNotRecognizeSelector:", selector(invocation, cmd));
}

/* ---- what NSProxy's subclasses are to have themselves */

static id no_signature(id self, SEL cmd, SEL selector_)
{
    abx_ns_raise_argument("*** -[NSProxy methodSignatureForSelector:] called!");
}

static id proxy_description(id self, SEL cmd)
{
    return abx_ns_string_printf("<%s: %p>", object_getClassName(self), (void *)self);
}

static void not_passed_on(id self, SEL cmd, SEL selector_)
{
    abx_ns_raise_argument("-[%s %s]: unrecognized selector sent to a proxy",
            object_getClassName(self), sel_getName(selector_));
}

static const struct abx_objc_method invocation_methods[] = {
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
static const struct abx_objc_method invocation_class_methods[] = {
        METHOD("invocationWithMethodSignature:", "@@:@", invocation_make),
        {NULL},
};
static const struct abx_objc_method object_methods[] = {
        METHOD("forwardInvocation:", "v@:@", forward_nothing),
        {NULL},
};
static const struct abx_objc_method proxy_methods[] = {
        METHOD("methodSignatureForSelector:", "@@::", no_signature),
        METHOD("forwardInvocation:", "v@:@", forward_nothing),
        METHOD("description", "@@:", proxy_description),
        METHOD("doesNotRecognizeSelector:", "v@::", not_passed_on),
        {NULL},
};

__attribute__((constructor(102))) static void define(void)
{
    static const struct abx_objc_method none[] = {{NULL}};
    DEFINE(NSInvocation, NSObject, struct ns_invocation, invocation_methods,
            invocation_class_methods);
    abx_objc_add_methods(ABX_CLASS(NSObject), object_methods, none);
    abx_objc_add_methods(ABX_CLASS(NSProxy), proxy_methods, none);
    abx_objc_set_forward_invocation(forward);
}
