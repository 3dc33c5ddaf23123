/* Every selector that api/ declares and says is not there, sent to an object of its class: no
 * exception, nil or 0, the NSError or the handler that the method has, and NO to
 * respondsToSelector:. absent_test status.txt (lines of class, kind, sign, selector, status) */
#include <stdio.h>
#include <string.h>

#include "foundation/foundation.h"
#include "metal/metal_absent.h"

static unsigned failures, sent, errors, handled;

static void fail(const char *class_name, const char *selector, const char *why)
{
    printf("%s %s: %s\n", class_name, selector, why);
    failures++;
}

struct words {
    uintptr_t words[16];
};
#if defined(__x86_64__)
#define SEND_STRET abx_objc_msg_send_stret
#else
#define SEND_STRET abx_objc_msg_send
#endif

/* A handler with any number of arguments up to three: the last is an error, the others nil. */
struct block {
    void *isa;
    int flags, reserved;
    void *invoke;
    const void *descriptor;
};
static unsigned calls;

static void called(void *block, id a, id b, id c)
{
    calls++;
}

static const struct {
    unsigned long reserved, size;
} descriptor = {0, sizeof(struct block)};
extern void *_NSConcreteGlobalBlock[32];
static struct block handler = {_NSConcreteGlobalBlock, 1 << 28, 0, called, &descriptor};

static const struct abx_objc_method *find(const char *name, bool class_side, const char *selector)
{
    for (const struct abx_metal_absent *a = abx_metal_absents; a->name; a++) {
        const struct abx_objc_method *m = class_side ? a->class_side : a->instance;
        if (strcmp(a->name, name))
            continue;
        for (; m && m->selector; m++)
            if (strcmp(m->selector, selector) == 0)
                return m;
    }
    return NULL;
}

/* Past the first type of an encoding. */
static const char *skip(const char *type)
{
    while (strchr("r^", *type))
        type++;
    int depth = 0;
    do {
        depth += *type == '{' || *type == '[';
        depth -= *type == '}' || *type == ']';
        type++;
    } while (depth);
    return *type == '?' ? type + 1 : type;
}

static void send(id receiver, const char *class_name, const struct abx_objc_method *m)
{
    uintptr_t arguments[8] = {0};
    unsigned count = 0;
    id error = NULL;
    bool has_error = false, has_handler = false;
    SEL sel = sel_registerName(m->selector);
    /* Structures by value come after all else here or fill registers nobody looks at. */
    for (const char *t = skip(skip(skip(m->types))); *t && count < 8; t = skip(t)) {
        if (strncmp(t, "^@", 2) == 0 && strstr(m->selector, "rror:"))
            arguments[count] = (uintptr_t)&error, has_error = true;
        else if (strncmp(t, "@?", 2) == 0)
            arguments[count] = (uintptr_t)&handler, has_handler = true;
        if (*t != 'd' && *t != 'f' && *t != '{')
            count++;
    }
    calls = 0;
    size_t size = 0, alignment;
    if (*m->types == '{' && abx_objc_type_size(m->types, &size, &alignment) == 0 && size > 16) {
        struct words (*function)(id, SEL) = (struct words(*)(id, SEL))(uintptr_t)SEND_STRET;
        function(receiver, sel);
    } else {
        uintptr_t (*function)(id, SEL, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t,
                uintptr_t) = (void *)(uintptr_t)abx_objc_msg_send;
        uintptr_t result = function(receiver, sel, arguments[0], arguments[1], arguments[2],
                arguments[3], arguments[4], arguments[5]);
        if (strchr("@QqIiB*^", *m->types) && result & (*m->types == 'B' ? 0xff : ~0ul))
            fail(class_name, m->selector, "not nil or 0");
    }
    sent++;
    errors += has_error;
    if (has_error && (!error || !strstr(abx_ns_string_utf8(ABX_MSG(
                                                id, (id, SEL), error, "localizedDescription")),
                                        m->selector)))
        fail(class_name, m->selector, "no error that names it");
    if (has_handler && strstr(m->selector, "ompletionHandler:")) {
        handled++;
        if (calls != 1)
            fail(class_name, m->selector, "its handler was not called once");
    }
    if (ABX_MSG(BOOL, (id, SEL, SEL), receiver, "respondsToSelector:", sel)) /* NO: the truth */
        fail(class_name, m->selector, "an object says that it responds");
}

int main(int argc, char **argv)
{
    FILE *f = argc == 2 ? fopen(argv[1], "re") : NULL;
    char line[512], name[64], kind[16], sign[2], selector[256], status[16], hidden[80];
    if (!f)
        return 2;
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "%63s %15s %1s %255s %15s", name, kind, sign, selector, status) != 5)
            return 2;
        snprintf(hidden, sizeof hidden, "%s%s", strcmp(kind, "protocol") ? "" : "_", name);
        Class cls = objc_getClass(hidden);
        SEL sel = sel_registerName(selector);
        bool class_side = *sign == '+';
        if (strcmp(status, "no") || !cls ||
                (class_side ? class_getClassMethod(cls, sel) : class_getInstanceMethod(cls, sel)))
            continue;
        const struct abx_objc_method *m = find(hidden, class_side, selector);
        if (!m) {
            fail(name, selector, "nothing answers");
            continue;
        }
        void *pool = objc_autoreleasePoolPush();
        send(class_side ? (id)cls : class_createInstance(cls, 0), name, m);
        objc_autoreleasePoolPop(pool);
    }
    fclose(f);
    printf("%u selectors, %u with an error, %u with a handler, %u wrong\n", sent, errors, handled,
            failures);
    return failures || sent < 100 || errors < 3 || handled < 1;
}
