/* foundation: NSNotification and NSNotificationCenter. Guest's process; trusts it.
 *
 * Locking: the center's lock covers its list; observers are called without it, from a list of their
 * own, and one that is removed meanwhile may still be called once, as with Apple's. */
#include "foundation/foundation_internal.h"
#include "foundation/foundation_operation.h"

ABX_OBJC_CLASS(NSNotification)
ABX_OBJC_CLASS(NSNotificationCenter)

struct ns_notification {
    Class isa;
    id name, object, info;
};

static struct ns_notification *inner(id self)
{
    return (struct ns_notification *)self;
}

static id init_notification(id self, SEL cmd, id name, id object, id info)
{
    inner(self)->name = abx_ns_copy(name);
    inner(self)->object = objc_retain(object);
    inner(self)->info = objc_retain(info);
    return self;
}

static id notification(id cls, SEL cmd, id name, id object, id info)
{
    return objc_autorelease(
            init_notification(class_createInstance((Class)cls, 0), cmd, name, object, info));
}

static id notification_plain(id cls, SEL cmd, id name, id object)
{
    return notification(cls, cmd, name, object, nil);
}

static id get_name(id self, SEL cmd)
{
    return inner(self)->name;
}

static id get_object(id self, SEL cmd)
{
    return inner(self)->object;
}

static id get_info(id self, SEL cmd)
{
    return inner(self)->info;
}

static void notification_dealloc(id self, SEL cmd)
{
    objc_release(inner(self)->name);
    objc_release(inner(self)->object);
    objc_release(inner(self)->info);
    abx_objc_dealloc_super(self, ABX_CLASS(NSNotification));
}

/* ---- observers: what addObserverForName: returns, and what stands for a target and selector */

struct observer {
    Class isa;
    id target; /* weak; nil: the block */
    SEL selector;
    void *block;
    id queue, name;
    id object; /* compared, never used: not retained */
    bool by_selector;
};
static Class observer_class;

static void observer_dealloc(id self, SEL cmd)
{
    struct observer *o = (struct observer *)self;
    if (o->by_selector)
        objc_destroyWeak(&o->target);
    if (o->block)
        _Block_release(o->block);
    objc_release(o->queue);
    objc_release(o->name);
    abx_objc_dealloc_super(self, observer_class);
}

struct call {
    id observer, notification;
};

static void call_block(void *user)
{
    struct call *call = user;
    ABX_BLOCK_CALL(
            void, (void *, id), ((struct observer *)call->observer)->block, call->notification);
    objc_release(call->observer);
    objc_release(call->notification);
    free(call);
}

static void tell(id self, id note)
{
    struct observer *o = (struct observer *)self;
    if (o->by_selector) {
        id target = objc_loadWeakRetained(&o->target);
        if (target)
            ((void (*)(id, SEL, id))(uintptr_t)abx_objc_msg_send)(target, o->selector, note);
        objc_release(target);
        return;
    }
    struct call *call = abx_ns_allocate(sizeof *call);
    *call = (struct call){objc_retain(self), objc_retain(note)};
    if (o->queue)
        abx_ns_operation_queue_add(o->queue, call_block, call, true);
    else
        call_block(call);
}

/* ---- the center */

struct center {
    Class isa;
    pthread_mutex_t lock;
    id observers; /* array */
};

static struct center *center_of(id self)
{
    return (struct center *)self;
}

static id init_center(id self, SEL cmd)
{
    pthread_mutex_init(&center_of(self)->lock, NULL);
    center_of(self)->observers = objc_retain(abx_ns_mutable_array());
    return self;
}

static id default_center(id cls, SEL cmd)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static id center;
    pthread_mutex_lock(&lock);
    if (!center)
        center = init_center(class_createInstance(ABX_CLASS(NSNotificationCenter), 0), cmd);
    pthread_mutex_unlock(&lock);
    return center;
}

static struct observer *add(id self, id name, id object)
{
    id new = class_createInstance(observer_class, 0);
    struct observer *o = (struct observer *)new;
    o->name = name ? abx_ns_copy(name) : nil;
    o->object = object;
    return o;
}

static void list(id self, struct observer *o)
{
    pthread_mutex_lock(&center_of(self)->lock);
    abx_ns_array_add(center_of(self)->observers, (id)o);
    pthread_mutex_unlock(&center_of(self)->lock);
}

static void add_selector(id self, SEL cmd, id target, SEL selector, id name, id object)
{
    struct observer *o = add(self, name, object);
    objc_initWeak(&o->target, target);
    o->by_selector = true;
    o->selector = selector;
    list(self, o);
    objc_release((id)o);
}

static id add_block(id self, SEL cmd, id name, id object, id queue, const void *block)
{
    struct observer *o = add(self, name, object);
    o->block = _Block_copy(block);
    o->queue = objc_retain(queue);
    list(self, o);
    return objc_autorelease((id)o);
}

/* Takes out what fits; its references go when the lock is free. */
static void remove_matching(id self, SEL cmd, id who, id name, id object)
{
    struct center *c = center_of(self);
    id gone = abx_ns_mutable_array();
    pthread_mutex_lock(&c->lock);
    for (NSUInteger i = abx_ns_array_count(c->observers); i-- > 0;) {
        id each = abx_ns_array_at(c->observers, i);
        struct observer *o = (struct observer *)each;
        id target = o->by_selector ? objc_loadWeakRetained(&o->target) : nil;
        bool fits = each == who || (o->by_selector && (!target || target == who));
        if (target) {
            abx_ns_array_add(gone, target);
            objc_release(target);
        }
        if (!fits || (name && !abx_ns_string_equal(name, o->name)) ||
                (object && object != o->object))
            continue;
        abx_ns_array_add(gone, each);
        ABX_MSG(void, (id, SEL, NSUInteger), c->observers, "removeObjectAtIndex:", i);
    }
    pthread_mutex_unlock(&c->lock);
}

static void remove_all(id self, SEL cmd, id who)
{
    remove_matching(self, cmd, who, nil, nil);
}

static void post(id self, SEL cmd, id note)
{
    struct center *c = center_of(self);
    id chosen = abx_ns_mutable_array();
    pthread_mutex_lock(&c->lock);
    for (NSUInteger i = 0; i < abx_ns_array_count(c->observers); i++) {
        struct observer *o = (struct observer *)abx_ns_array_at(c->observers, i);
        if ((!o->name || abx_ns_string_equal(o->name, inner(note)->name)) &&
                (!o->object || o->object == inner(note)->object))
            abx_ns_array_add(chosen, (id)o);
    }
    pthread_mutex_unlock(&c->lock);
    for (NSUInteger i = 0; i < abx_ns_array_count(chosen); i++)
        tell(abx_ns_array_at(chosen, i), note);
}

static void post_info(id self, SEL cmd, id name, id object, id info)
{
    post(self, cmd, notification((id)ABX_CLASS(NSNotification), cmd, name, object, info));
}

static void post_name(id self, SEL cmd, id name, id object)
{
    post_info(self, cmd, name, object, nil);
}

static void center_dealloc(id self, SEL cmd)
{
    objc_release(center_of(self)->observers);
    pthread_mutex_destroy(&center_of(self)->lock);
    abx_objc_dealloc_super(self, ABX_CLASS(NSNotificationCenter));
}

static const struct abx_objc_method notification_methods[] = {
        METHOD("initWithName:object:userInfo:", "@@:@@@", init_notification),
        METHOD("name", "@@:", get_name),
        METHOD("object", "@@:", get_object),
        METHOD("userInfo", "@@:", get_info),
        METHOD("copyWithZone:", "@@:" ZONE, abx_ns_copy_immutable),
        METHOD("dealloc", "v@:", notification_dealloc),
        {NULL},
};
static const struct abx_objc_method notification_class_methods[] = {
        METHOD("notificationWithName:object:", "@@:@@", notification_plain),
        METHOD("notificationWithName:object:userInfo:", "@@:@@@", notification),
        {NULL},
};
static const struct abx_objc_method center_methods[] = {
        METHOD("init", "@@:", init_center),
        METHOD("addObserver:selector:name:object:", "v@:@:@@", add_selector),
        METHOD("addObserverForName:object:queue:usingBlock:", "@@:@@@@?", add_block),
        METHOD("removeObserver:", "v@:@", remove_all),
        METHOD("removeObserver:name:object:", "v@:@@@", remove_matching),
        METHOD("postNotification:", "v@:@", post),
        METHOD("postNotificationName:object:", "v@:@@", post_name),
        METHOD("postNotificationName:object:userInfo:", "v@:@@@", post_info),
        METHOD("dealloc", "v@:", center_dealloc),
        {NULL},
};
static const struct abx_objc_method center_class_methods[] = {
        METHOD("defaultCenter", "@@:", default_center),
        {NULL},
};

__attribute__((constructor(102))) static void define(void)
{
    static const struct abx_objc_method observer_methods[] = {
            METHOD("dealloc", "v@:", observer_dealloc), {NULL}};
    DEFINE(NSNotification, NSObject, struct ns_notification, notification_methods,
            notification_class_methods, "NSCopying");
    DEFINE(NSNotificationCenter, NSObject, struct center, center_methods, center_class_methods);
    observer_class =
            abx_objc_define_class(&(struct abx_objc_class_spec){.name = "_NSNotificationObserver",
                    .superclass = ABX_CLASS(NSObject),
                    .instance_size = sizeof(struct observer),
                    .instance_methods = observer_methods});
}
