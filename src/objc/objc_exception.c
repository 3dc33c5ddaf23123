/* objc: exceptions. On Apple's ABI an Objective-C exception is a C++ exception whose type is ours:
 * the unwinder asks the type object's virtual functions whether a handler catches it.
 *
 * The C++ runtime is not linked. Most guests never throw, and loading libstdc++ costs more than the
 * whole library; so its functions are looked up at the first throw: in the program if it brought a
 * C++ runtime (libstdc++ or libc++), else libstdc++.so.6 is loaded. A program that links its C++
 * runtime statically and hides it gets the shared one beside it for Objective-C exceptions.
 * Runs in the guest's process; trusts it. */
#include "objc/objc_private.h"
#include "objc/objc-exception.h"

#include <dlfcn.h>
#include <stdio.h>

static struct cxx_runtime {
    void *(*allocate)(size_t);
    void (*throw_)(void *, void *, void (*)(void *));
    void *(*begin_catch)(void *);
    void (*end_catch)(void);
    void (*rethrow)(void);
    int (*personality)(int, int, uint64_t, void *, void *);
    void *(*current_type)(void);
    void *(*set_terminate)(void (*)(void));
} cxx;
static pthread_once_t cxx_once = PTHREAD_ONCE_INIT;

/* The type object the compiler emits for classes in @catch, and its virtual table. Slots as both
 * libstdc++ and libc++abi lay them out: two destructors, two predicates, can_catch, upcast. */
struct type_info {
    const void *const *vtable;
    const char *name;
    abx_class cls;
};
ABX_EXPORT extern const void *const objc_ehtype_vtable[];
ABX_EXPORT extern struct type_info OBJC_EHTYPE_id;

static void type_destroy(void *self) {}

static abx_objc_bool type_predicate(const void *self)
{
    return 0;
}

static abx_objc_bool type_catches(const struct type_info *handler, const struct type_info *thrown,
        void **object, unsigned outer)
{
    if (thrown->vtable != objc_ehtype_vtable + 2)
        return 0;
    id exception = *(id *)*object;
    if (handler->cls && !abx_objc_is_kind_of(exception, (Class)handler->cls))
        return 0;
    *object = exception;
    return 1;
}

const void *const objc_ehtype_vtable[] = {NULL, NULL, type_destroy, type_destroy, type_predicate,
        type_predicate, type_catches, type_predicate};
struct type_info OBJC_EHTYPE_id = {objc_ehtype_vtable + 2, "id", NULL};

/* The last exception this thread threw, for the message when nobody catches it. */
static __thread id last_thrown __attribute__((tls_model("initial-exec")));
static _abx_objc_uncaught_handler uncaught_handler;

_abx_objc_uncaught_handler objc_setUncaughtExceptionHandler(_abx_objc_uncaught_handler handler)
{
    _abx_objc_uncaught_handler old = uncaught_handler;
    uncaught_handler = handler;
    return old;
}

static void (*previous_terminate)(void);

static void terminate(void)
{
    struct type_info *type = cxx.current_type();
    if (type && type->vtable == objc_ehtype_vtable + 2 && last_thrown) {
        if (uncaught_handler)
            uncaught_handler(last_thrown);
        abort();
    }
    if (previous_terminate)
        previous_terminate();
    abort();
}

static void load_cxx(void)
{
    void *from = RTLD_DEFAULT; /* which is NULL */
    if (!dlsym(from, "__cxa_throw") && !(from = dlopen("libstdc++.so.6", RTLD_NOW | RTLD_GLOBAL)))
        abx_objc_fatal("an exception was thrown, and there is no C++ runtime to carry it: %s\n"
                       "      Install libstdc++6.",
                dlerror());
    *(void **)&cxx.allocate = dlsym(from, "__cxa_allocate_exception");
    *(void **)&cxx.throw_ = dlsym(from, "__cxa_throw");
    *(void **)&cxx.begin_catch = dlsym(from, "__cxa_begin_catch");
    *(void **)&cxx.end_catch = dlsym(from, "__cxa_end_catch");
    *(void **)&cxx.rethrow = dlsym(from, "__cxa_rethrow");
    *(void **)&cxx.personality = dlsym(from, "__gxx_personality_v0");
    *(void **)&cxx.current_type = dlsym(from, "__cxa_current_exception_type");
    *(void **)&cxx.set_terminate = dlsym(from, "_ZSt13set_terminatePFvvE");
    if (!cxx.allocate || !cxx.throw_ || !cxx.begin_catch || !cxx.end_catch || !cxx.rethrow ||
            !cxx.personality)
        abx_objc_fatal("the C++ runtime in this program lacks exception functions");
    if (cxx.set_terminate && cxx.current_type)
        *(void **)&previous_terminate = cxx.set_terminate(terminate);
}

static const struct cxx_runtime *cxx_runtime(void)
{
    pthread_once(&cxx_once, load_cxx);
    return &cxx;
}

static void destroy_exception(void *exception)
{
    objc_release(*(id *)exception);
}

void objc_exception_throw(id exception)
{
    const struct cxx_runtime *runtime = cxx_runtime();
    id *holder = runtime->allocate(sizeof(*holder));
    *holder = objc_retain(exception);
    last_thrown = exception;
    runtime->throw_(holder, &OBJC_EHTYPE_id, destroy_exception);
    abort();
}

id objc_begin_catch(void *exception)
{
    return cxx_runtime()->begin_catch(exception);
}

void objc_end_catch(void)
{
    cxx_runtime()->end_catch();
}

void objc_exception_rethrow(void)
{
    cxx_runtime()->rethrow();
    abort();
}

void objc_terminate(void)
{
    abx_objc_fatal("an exception could not be handled");
}

OBJC_EXPORT int __objc_personality_v0(
        int version, int actions, uint64_t exception_class, void *exception, void *context);
int __objc_personality_v0(
        int version, int actions, uint64_t exception_class, void *exception, void *context)
{
    return cxx_runtime()->personality(version, actions, exception_class, exception, context);
}
