/* foundation: NSAutoreleasePool. Guest's process; trusts it. */
#include "foundation/foundation_internal.h"

ABX_OBJC_CLASS(NSAutoreleasePool)

struct ns_pool {
    Class isa;
    void *token;
};

static id pool_init(id self, SEL cmd)
{
    ((struct ns_pool *)self)->token = objc_autoreleasePoolPush();
    return self;
}

static void pool_add(id self, SEL cmd, id object)
{
    objc_autorelease(object);
}

static void pool_dealloc(id self, SEL cmd)
{
    void *token = ((struct ns_pool *)self)->token;
    if (token)
        objc_autoreleasePoolPop(token);
    abx_objc_dealloc_super(self, ABX_CLASS(NSAutoreleasePool));
}

static void pool_drain(id self, SEL cmd)
{
    objc_release(self);
}

static id pool_autorelease(id self, SEL cmd)
{
    abx_ns_raise_argument("-[NSAutoreleasePool autorelease]: a pool cannot be autoreleased");
}

static const struct abx_objc_method pool_methods[] = {
        METHOD("init", "@@:", pool_init),
        METHOD("addObject:", "v@:@", pool_add),
        METHOD("drain", "v@:", pool_drain),
        METHOD("dealloc", "v@:", pool_dealloc),
        METHOD("autorelease", "@@:", pool_autorelease),
        {NULL},
};
static const struct abx_objc_method pool_class_methods[] = {
        METHOD("addObject:", "v@:@", pool_add),
        {NULL},
};

__attribute__((constructor(102))) static void define(void)
{
    DEFINE(NSAutoreleasePool, NSObject, struct ns_pool, pool_methods, pool_class_methods);
}
