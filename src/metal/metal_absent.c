/* metal: what is not there answers like Metal. See metal_absent.h. Runs in the guest's process. */
#include <string.h>

#include "metal/metal_absent.h"

#define MOST 256u

id abx_metal_absent_error(const char *what)
{
    return abx_ns_error("MTLLibraryErrorDomain", MTLLibraryErrorUnsupported,
            abx_ns_string_utf8(abx_ns_string_printf("%s is not supported by ArcBox yet", what)));
}

void abx_metal_absent_say(const char *what, _Atomic bool *said, id *error)
{
    if (error)
        *error = abx_metal_absent_error(what);
    if (!atomic_exchange(said, true))
        abx_metal_say("%s is not supported yet", what);
}

/* Classes that have the functions, made when first needed; by the place in abx_metal_absents. */
static Class made[MOST];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static Class stand_in(unsigned place)
{
    const struct abx_metal_absent *a = &abx_metal_absents[place];
    pthread_mutex_lock(&lock);
    if (!made[place])
        made[place] = abx_objc_define_class(&(struct abx_objc_class_spec){
                .name = abx_ns_string_utf8(
                        objc_retain(abx_ns_string_printf("%s (absent)", a->name))),
                .superclass = ABX_CLASS(NSObject),
                .instance_methods = a->instance,
                .class_methods = a->class_side});
    pthread_mutex_unlock(&lock);
    return made[place];
}

static bool has(const struct abx_objc_method *table, const char *selector)
{
    for (; table && table->selector; table++)
        if (strcmp(table->selector, selector) == 0)
            return true;
    return false;
}

/* Who answers `selector` for the receiver, nil: nobody. */
static id absent_target(id receiver, SEL selector)
{
    bool class_side = class_isMetaClass(object_getClass(receiver));
    const char *name = sel_getName(selector);
    Class cls = class_side ? (Class)receiver : object_getClass(receiver);
    for (; cls; cls = class_getSuperclass(cls))
        for (unsigned i = 0; i < MOST && abx_metal_absents[i].name; i++) {
            const struct abx_metal_absent *a = &abx_metal_absents[i];
            if (strcmp(a->name, class_getName(cls)) ||
                    !has(class_side ? a->class_side : a->instance, name))
                continue;
            Class answers = stand_in(i);
            return class_side ? (id)answers : objc_autorelease(class_createInstance(answers, 0));
        }
    return nil;
}

void abx_metal_define_absent(void)
{
    abx_objc_set_forwarding(absent_target);
}
