/* metal: MTLCaptureManager and MTLCaptureScope. There is nothing to capture to, and they say so.
 * Runs in the guest's process. */
#include "metal/metal_internal.h"

ABX_OBJC_CLASS(MTLCaptureManager)

struct capture_manager {
    Class isa;
    id scope;
};

void abx_metal_define_capture_manager(void)
{
    abx_objc_define_class(&(struct abx_objc_class_spec){ABX_OBJC_CLASS_STORAGE(MTLCaptureManager),
            .superclass = ABX_CLASS(NSObject), .instance_size = sizeof(struct capture_manager),
            .instance_methods = MTLCaptureManager_methods,
            .class_methods = MTLCaptureManager_class_methods});
}

id MTLCaptureManager_sharedCaptureManager(id self, SEL cmd)
{
    static id shared;
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&lock);
    if (!shared)
        shared = objc_alloc_init(ABX_CLASS(MTLCaptureManager));
    pthread_mutex_unlock(&lock);
    return shared;
}

abx_objc_bool MTLCaptureManager_supportsDestination_(
        id self, SEL cmd, MTLCaptureDestination destination)
{
    return 0;
}

abx_objc_bool MTLCaptureManager_startCaptureWithDescriptor_error_(
        id self, SEL cmd, id descriptor, id *error)
{
    abx_ns_error_set(error, "MTLCaptureErrorDomain", MTLCaptureErrorNotSupported,
            "ArcBox cannot capture GPU work");
    return 0;
}

static void cannot(void)
{
    abx_metal_say("ArcBox cannot capture GPU work");
}

void MTLCaptureManager_startCaptureWithDevice_(id self, SEL cmd, id device)
{
    cannot();
}

void MTLCaptureManager_startCaptureWithCommandQueue_(id self, SEL cmd, id queue)
{
    cannot();
}

void MTLCaptureManager_startCaptureWithScope_(id self, SEL cmd, id scope)
{
    cannot();
}

void MTLCaptureManager_stopCapture(id self, SEL cmd) {}

abx_objc_bool MTLCaptureManager_isCapturing(id self, SEL cmd)
{
    return 0;
}

id MTLCaptureManager_defaultCaptureScope(id self, SEL cmd)
{
    return ((struct capture_manager *)self)->scope;
}

void MTLCaptureManager_setDefaultCaptureScope_(id self, SEL cmd, id scope)
{
    objc_storeStrong(&((struct capture_manager *)self)->scope, scope);
}

/* ---- scopes */

id MTLCaptureManager_newCaptureScopeWithDevice_(id self, SEL cmd, id device)
{
    return device ? abx_metal_new(ABX_METAL_CAPTURE_SCOPE, device) : NULL;
}

id MTLCaptureManager_newCaptureScopeWithCommandQueue_(id self, SEL cmd, id queue)
{
    if (!queue)
        return NULL;
    struct abx_metal_capture_scope *scope =
            abx_metal_new(ABX_METAL_CAPTURE_SCOPE, ((struct abx_metal_object *)queue)->device);
    if (scope)
        scope->queue = objc_retain(queue);
    return (id)scope;
}

void MTLCaptureScope_dealloc(id self, SEL cmd)
{
    objc_release(((struct abx_metal_capture_scope *)self)->queue);
    abx_metal_dealloc(self, ABX_METAL_CAPTURE_SCOPE);
}

void MTLCaptureScope_beginScope(id self, SEL cmd) {}

void MTLCaptureScope_endScope(id self, SEL cmd) {}

id MTLCaptureScope_commandQueue(id self, SEL cmd)
{
    return ((struct abx_metal_capture_scope *)self)->queue;
}
