/* metal: MTLFence, MTLEvent, MTLSharedEvent and its listeners. Runs in the guest's process.
 *
 * An event's value is a word both sides map: reading it is a load. Notifications are called by a
 * thread an event has while somebody waits for a notification. */
#include <stdlib.h>

#include "metal/metal_wrap.h"

struct abx_metal_notification {
    struct abx_metal_notification *next;
    uint64_t value;
    void *block;
    id listener;
};

struct detached {
    void (*function)(void *user);
    void *user;
};

static void *run_detached(void *user)
{
    struct detached d = *(struct detached *)user;
    free(user);
    void *pool = objc_autoreleasePoolPush();
    d.function(d.user);
    objc_autoreleasePoolPop(pool);
    return NULL;
}

void abx_metal_detach(void (*function)(void *user), void *user)
{
    struct detached *d = malloc(sizeof *d);
    pthread_t thread;
    if (d) {
        *d = (struct detached){function, user};
        if (pthread_create(&thread, NULL, run_detached, d) == 0) {
            pthread_detach(thread);
            return;
        }
        free(d);
    }
    function(user);
}

/* ---- MTLFence */

id MTLDevice_newFence(id self, SEL cmd)
{
    struct abx_metal_fence *fence = abx_metal_new(ABX_METAL_FENCE, self);
    if (!fence)
        return NULL;
    struct abx_client *client = fence->base.client;
    fence->handle = abx_client_handle_new(client);
    uint64_t space[4];
    struct abx_encoder e = {.at = (uint8_t *)space, .end = (uint8_t *)(space + 4)};
    abx_encode_fence_create(&e, fence->handle);
    if (!fence->handle || abx_client_push(client, space, 0) < 0) {
        objc_release((id)fence);
        return NULL;
    }
    return (id)fence;
}

void MTLFence_dealloc(id self, SEL cmd)
{
    struct abx_metal_fence *fence = (struct abx_metal_fence *)self;
    abx_client_destroy(fence->base.client, fence->handle);
    abx_metal_dealloc(self, ABX_METAL_FENCE);
}

/* ---- events */

static struct abx_metal_event *event_of(id self)
{
    return (struct abx_metal_event *)self;
}

static id event_new(id device, bool shared)
{
    struct abx_metal_event *event =
            abx_metal_new(shared ? ABX_METAL_SHARED_EVENT : ABX_METAL_EVENT, device);
    if (!event)
        return NULL;
    event->shared = shared;
    pthread_mutex_init(&event->lock, NULL);
    int r = abx_client_event_create(event->base.client, &event->slot, &event->handle);
    if (r < 0) {
        if (r == -EMFILE)
            abx_metal_say("a process has at most %u events", ABX_MAX_EVENTS);
        else if (r == -ENODEV)
            abx_metal_say("newEvent: %s", abx_client_lost_text(event->base.client));
        objc_release((id)event);
        return NULL;
    }
    return (id)event;
}

id MTLDevice_newEvent(id self, SEL cmd)
{
    return event_new(self, false);
}

id MTLDevice_newSharedEvent(id self, SEL cmd)
{
    return event_new(self, true);
}

void abx_metal_event_dealloc(id self, SEL cmd)
{
    struct abx_metal_event *event = event_of(self);
    if (event->handle)
        abx_client_event_destroy(event->base.client, event->slot, event->handle);
    pthread_mutex_destroy(&event->lock);
    abx_metal_dealloc(self, event->shared ? ABX_METAL_SHARED_EVENT : ABX_METAL_EVENT);
}

/* By an event program and device hand memory to each other in the middle of command buffers. */
static void take_copies(void)
{
    if (atomic_load(&abx_metal_watched))
        abx_metal_wrap_take();
}

uint64_t MTLSharedEvent_signaledValue(id self, SEL cmd)
{
    uint64_t value = abx_client_event_value(event_of(self)->base.client, event_of(self)->slot);
    take_copies();
    return value;
}

void MTLSharedEvent_setSignaledValue_(id self, SEL cmd, uint64_t value)
{
    struct abx_metal_event *event = event_of(self);
    if (atomic_load(&abx_metal_watched)) {
        abx_metal_wrap_send();
        if (abx_client_mirrors(event->base.client))
            abx_client_mirror_tell(event->base.client);
    }
    abx_client_event_set(event->base.client, event->slot, event->handle, value);
}

abx_objc_bool MTLSharedEvent_waitUntilSignaledValue_timeoutMS_(
        id self, SEL cmd, uint64_t value, uint64_t milliseconds)
{
    struct abx_metal_event *event = event_of(self);
    int64_t limit = milliseconds > INT64_MAX / 1000000 ? -1 : (int64_t)(milliseconds * 1000000);
    int r = abx_client_event_wait(event->base.client, event->slot, value, limit, 0);
    take_copies();
    return r == 0;
}

/* ---- notifications */

/* Takes the notification with the lowest value; lock held. */
static struct abx_metal_notification *take_lowest(struct abx_metal_event *event)
{
    struct abx_metal_notification **lowest = &event->notifications;
    for (struct abx_metal_notification **at = lowest; *at; at = &(*at)->next)
        if ((*at)->value < (*lowest)->value)
            lowest = at;
    struct abx_metal_notification *n = *lowest;
    if (n)
        *lowest = n->next;
    return n;
}

struct call {
    id event;
    void *block;
    uint64_t value;
};

static void call_block(void *user)
{
    struct call *call = user;
    ABX_BLOCK_CALL(void, (void *, id, uint64_t), call->block, call->event, call->value);
    _Block_release(call->block);
    objc_release(call->event);
    free(call);
}

/* dispatch_async_f(), where the dispatch functions have it. */
extern void dispatch_async_f(void *queue, void *context, void (*work)(void *))
        __attribute__((weak));

static void notify(struct abx_metal_event *event, struct abx_metal_notification *n)
{
    struct call *call = malloc(sizeof *call);
    take_copies();
    id queue = n->listener ? ABX_MSG(id, (id, SEL), n->listener, "dispatchQueue") : NULL;
    if (call) {
        *call = (struct call){objc_retain((id)event), n->block,
                abx_client_event_value(event->base.client, event->slot)};
        if (queue && dispatch_async_f)
            dispatch_async_f(queue, call, call_block);
        else
            call_block(call);
    }
    objc_release(n->listener);
    free(n);
}

/* Waits for the lowest value, a slice at a time: a lower one may be added meanwhile. */
static void notification_thread(void *user)
{
    struct abx_metal_event *event = user;
    for (;;) {
        pthread_mutex_lock(&event->lock);
        struct abx_metal_notification *n = take_lowest(event);
        if (!n)
            event->notifying = false;
        pthread_mutex_unlock(&event->lock);
        if (!n)
            break;
        int r = abx_client_event_wait(
                event->base.client, event->slot, n->value, 20000000, ABX_WAIT_BACKGROUND);
        if (r == 0) {
            void *pool = objc_autoreleasePoolPush();
            notify(event, n);
            objc_autoreleasePoolPop(pool);
        } else if (r == -ENODEV) { /* it will never come */
            _Block_release(n->block);
            objc_release(n->listener);
            free(n);
        } else {
            pthread_mutex_lock(&event->lock);
            n->next = event->notifications;
            event->notifications = n;
            pthread_mutex_unlock(&event->lock);
        }
    }
    objc_release((id)event);
}

void MTLSharedEvent_notifyListener_atValue_block_(
        id self, SEL cmd, id listener, uint64_t value, id block)
{
    struct abx_metal_event *event = event_of(self);
    struct abx_metal_notification *n = block ? calloc(1, sizeof *n) : NULL;
    if (!n || abx_client_forked(event->base.client)) {
        free(n);
        return;
    }
    *n = (struct abx_metal_notification){
            .value = value, .block = _Block_copy(block), .listener = objc_retain(listener)};
    pthread_mutex_lock(&event->lock);
    n->next = event->notifications;
    event->notifications = n;
    bool start = !event->notifying;
    event->notifying = true;
    pthread_mutex_unlock(&event->lock);
    if (start) {
        objc_retain(self);
        abx_metal_detach(notification_thread, event);
    }
}

/* ---- MTLSharedEventHandle: keeps the event. It cannot leave the process. */

ABX_OBJC_CLASS(MTLSharedEventHandle)

struct event_handle {
    Class isa;
    id event;
};

id MTLSharedEvent_newSharedEventHandle(id self, SEL cmd)
{
    id handle = objc_alloc(ABX_CLASS(MTLSharedEventHandle));
    if (handle)
        ((struct event_handle *)handle)->event = objc_retain(self);
    return handle;
}

id MTLDevice_newSharedEventWithHandle_(id self, SEL cmd, id handle)
{
    id event = handle && object_getClass(handle) == ABX_CLASS(MTLSharedEventHandle)
                       ? ((struct event_handle *)handle)->event
                       : NULL;
    if (event && event_of(event)->base.client == ((struct abx_metal_object *)self)->client)
        return objc_retain(event);
    abx_metal_say("-[MTLDevice newSharedEventWithHandle:]: not the handle of an event of this "
                  "process");
    return NULL;
}

id MTLSharedEventHandle_label(id self, SEL cmd)
{
    return event_of(((struct event_handle *)self)->event)->base.label;
}

static void handle_dealloc(id self, SEL cmd)
{
    objc_release(((struct event_handle *)self)->event);
    abx_objc_dealloc_super(self, ABX_CLASS(MTLSharedEventHandle));
}

static void define_handle(void)
{
    static const struct abx_objc_method dealloc[] = {{"dealloc", "v@:", handle_dealloc}, {NULL}};
    abx_objc_define_class(&(struct abx_objc_class_spec){
            ABX_OBJC_CLASS_STORAGE(MTLSharedEventHandle), .superclass = ABX_CLASS(NSObject),
            .instance_size = sizeof(struct event_handle), .instance_methods = dealloc});
    abx_objc_add_methods(ABX_CLASS(MTLSharedEventHandle), MTLSharedEventHandle_methods, NULL);
}

/* ---- MTLSharedEventListener */

ABX_OBJC_CLASS(MTLSharedEventListener)

struct listener {
    Class isa;
    id queue;
};

extern id dispatch_queue_create(const char *label, void *attributes) __attribute__((weak));

id MTLSharedEventListener_initWithDispatchQueue_(id self, SEL cmd, id queue)
{
    ((struct listener *)self)->queue = objc_retain(queue);
    return self;
}

id MTLSharedEventListener_init(id self, SEL cmd)
{
    if (dispatch_queue_create)
        ((struct listener *)self)->queue = dispatch_queue_create("MTLSharedEventListener", NULL);
    return self;
}

id MTLSharedEventListener_sharedListener(id self, SEL cmd)
{
    static id shared;
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&lock);
    if (!shared)
        shared = objc_alloc_init(ABX_CLASS(MTLSharedEventListener));
    pthread_mutex_unlock(&lock);
    return shared;
}

id MTLSharedEventListener_dispatchQueue(id self, SEL cmd)
{
    return ((struct listener *)self)->queue;
}

static Class listener_base; /* has dealloc; the public class has the generated table */

static void listener_dealloc(id self, SEL cmd)
{
    objc_release(((struct listener *)self)->queue);
    abx_objc_dealloc_super(self, listener_base);
}

void abx_metal_define_listener(void)
{
    define_handle();
    static const struct abx_objc_method dealloc[] = {{"dealloc", "v@:", listener_dealloc}, {NULL}};
    listener_base =
            abx_objc_define_class(&(struct abx_objc_class_spec){.name = "_MTLSharedEventListener",
                    .superclass = ABX_CLASS(NSObject),
                    .instance_size = sizeof(struct listener),
                    .instance_methods = dealloc});
    abx_objc_define_class(
            &(struct abx_objc_class_spec){ABX_OBJC_CLASS_STORAGE(MTLSharedEventListener),
                    .superclass = listener_base, .instance_methods = MTLSharedEventListener_methods,
                    .class_methods = MTLSharedEventListener_class_methods});
}
