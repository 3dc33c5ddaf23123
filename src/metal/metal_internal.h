/* metal: the objects behind Metal's protocols. Runs in the guest's process; trusts it and the
 * client side of the wire.
 *
 * Every object starts with struct abx_metal_object. Methods are C functions named after class and
 * selector (MTLBuffer_contents); their tables are generated from api/. What several classes share
 * (MTLResource_*, MTLCommandEncoder_*) works on the common start of their structures.
 *
 * A wrong call prints one line and fails its command buffer; it never ends the process. */
#ifndef ABX_METAL_INTERNAL_H
#define ABX_METAL_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "classes_gen.h"
#include "encode_gen.h"
#include "foundation/foundation.h"
#include "methods_gen.h"
#include "wire/client.h"
#include "wire/limits.h"

struct abx_metal_object {
    Class isa;
    struct abx_client *client;
    id device; /* retained, NULL in the device itself */
    id label;
    _Atomic uint64_t held_by; /* number of the command buffer that retained this last */
};

struct abx_metal_device {
    struct abx_metal_object base;
    id name, architecture;
    bool maximize_compilation;
};

struct abx_metal_resource {
    struct abx_metal_object base;
    id heap;
    uint64_t heap_offset;
    NSUInteger options;
    uint32_t purgeable;
    bool aliasable;
    abx_handle handle;
    struct abx_memory memory; /* owner NULL: the heap's */
};

struct abx_metal_buffer {
    struct abx_metal_resource resource;
    uint64_t length;
    uint64_t address;                /* relative to the window */
    uint32_t chunk;                  /* it lies in; 0: private */
    _Atomic bool unseen;             /* the program has not asked where it is */
    _Atomic uint64_t device_address; /* once it was asked for; 0 */
    void *contents;                  /* NULL: private */
    void *deallocator;               /* block */
    void *deallocator_pointer;
    struct abx_metal_wrap *wrap; /* the program's memory, with a copy (metal_wrap.h), or NULL */
    struct abx_metal_buffer *next_exposed;
    bool exposed;
};

struct abx_metal_heap {
    struct abx_metal_object base;
    pthread_mutex_t lock;
    struct abx_memory memory;
    NSUInteger options, size, used;
    long type;
    uint32_t purgeable;
    struct abx_metal_range {
        uint64_t offset, bytes;
    } *taken; /* sorted; automatic heaps only */
    uint32_t taken_count, taken_capacity;
};

struct abx_metal_fence {
    struct abx_metal_object base;
    abx_handle handle;
};

struct abx_metal_event {
    struct abx_metal_object base;
    abx_handle handle;
    uint32_t slot;
    bool shared;
    pthread_mutex_t lock;
    struct abx_metal_notification *notifications;
    bool notifying; /* the thread runs; it holds a reference */
};

struct abx_metal_library {
    struct abx_metal_object base;
    abx_handle handle;
    struct abx_reflection *reflection;
    uint8_t key[32]; /* of what was compiled (struct abx_client_compile) */
    bool logging;    /* compiled with enableLogging */
    id libraries;    /* dynamic ones that it was compiled against, an array or nil */
    /* Retained, or NULL: what was linked with it, with functions of its own; a chain. */
    struct abx_metal_library *next;
    /* A dynamic library only. */
    id install_name;
    void *request; /* what compiled it */
    size_t request_bytes;
};

struct abx_metal_constant {
    uint32_t index, type;
    uint64_t value[2];
};

struct abx_metal_function {
    struct abx_metal_object base;
    struct abx_metal_library *library;
    uint32_t index;
    id name;
    struct abx_metal_constant *constants;
    uint32_t constant_count;
    NSUInteger options;
    abx_handle handle; /* the host's object; 0: none was needed yet */
};

/* What a pipeline is linked with beside its own library. */
struct abx_metal_links {
    struct abx_metal_link {
        void *object;  /* retained: a function, or (ABX_LINK_LIBRARY) a library */
        uint32_t kind; /* enum abx_link_kind */
    } *list;
    uint32_t count, capacity;
};

struct abx_metal_pipeline {
    struct abx_metal_object base;
    abx_handle handle;
    struct abx_metal_function *function;
    uint32_t max_threads;
    _Atomic uint64_t static_bytes; /* + 1, once the host was asked; 0 before */
    bool indirect;
    struct abx_metal_links links;
};

struct abx_metal_function_handle {
    struct abx_metal_object base;
    struct abx_metal_function *function; /* both retained */
    struct abx_metal_pipeline *pipeline;
    uint32_t number; /* in tables */
};

struct abx_metal_table {
    struct abx_metal_resource resource;
    struct abx_metal_buffer *buffer; /* both retained */
    struct abx_metal_pipeline *pipeline;
    uint32_t count;
};

struct abx_metal_icb {
    struct abx_metal_resource resource;
    struct abx_icb_slot *slots;
    uint32_t count, max_buffers;
    bool inherit_buffers, inherit_pipeline;
};

/* A view of one slot. */
struct abx_metal_icb_command {
    struct abx_metal_object base;
    struct abx_metal_icb *icb;
    struct abx_icb_slot *slot;
};

struct abx_metal_argument_encoder {
    struct abx_metal_object base;
    NSUInteger length, alignment;
    struct abx_metal_member {
        NSUInteger index;
        uint64_t offset, stride, count;
        bool constant;
        uint32_t type; /* in the library's reflection; 0: not known */
    } *members;        /* by index, apart; NULL: every 8 bytes are a pointer */
    NSUInteger member_count;
    struct abx_metal_library *library; /* retained; NULL: made from descriptors */
    struct abx_metal_buffer *buffer;   /* not retained, as in Metal */
    NSUInteger offset;
};

struct abx_metal_residency_set {
    struct abx_metal_object base;
    pthread_mutex_t lock;
    struct abx_metal_residency {
        id object; /* retained; NULL: free */
        uint64_t bytes;
        bool removed; /* at the next commit */
    } *entries;       /* a table by address; capacity: a power of two, at most 3/4 used */
    uint32_t capacity, used;
    uint64_t present;   /* used and not removed */
    uint64_t committed; /* bytes, at the last commit */
    bool changed;
};

struct abx_metal_archive {
    struct abx_metal_object base;
    pthread_mutex_t lock;
    uint8_t (*entries)[32]; /* sorted */
    uint32_t count, capacity;
};

struct abx_metal_dynamic {
    struct abx_metal_object base;
    struct abx_metal_library *library; /* retained; has a request */
};

/* Where times are sampled to: 8 bytes a sample in a buffer of its own. */
struct abx_metal_sample_buffer {
    struct abx_metal_object base;
    struct abx_metal_buffer *buffer; /* retained; shared storage */
    NSUInteger count;
    bool hidden; /* MTLStorageModePrivate */
};

struct abx_metal_capture_scope {
    struct abx_metal_object base;
    id queue;
};

struct abx_metal_binding {
    struct abx_metal_object base;
    id name;
    uint32_t kind, index, access, alignment, size, data_type;
    struct abx_metal_library *library; /* retained: has the type */
    uint32_t type;
};

struct abx_metal_handlers {
    void **blocks;
    uint32_t count, capacity;
};

struct abx_metal_log_state {
    struct abx_metal_object base;
    pthread_mutex_t lock;
    struct abx_metal_handlers handlers;
    NSInteger level;
    uint32_t bytes;
};

/* ---- queues. The state outlives the object while its completion thread runs. */
struct abx_metal_command_buffer;

struct abx_metal_queue_state {
    struct abx_metal_queue_state *next; /* of all */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct abx_client_queue wire;
    _Atomic uint32_t references;
    struct abx_metal_command_buffer *in_flight, **in_flight_end; /* submitted, oldest first */
    struct abx_metal_command_buffer *enqueued, *enqueued_last;   /* by next_enqueued */
    struct abx_metal_command_buffer *ready, **ready_end; /* complete, with handlers to call */
    uint32_t outstanding;                                /* made and not yet complete or gone */
    bool threaded, stop;
    pthread_t thread;
    _Atomic uint32_t commits; /* that the thread has to do with; wraps around */
};

struct abx_metal_queue {
    struct abx_metal_object base;
    struct abx_metal_queue_state *state;
    uint32_t max_buffers;
    id residency; /* array */
    id log_state; /* of command buffers that have none of their own */
    bool mirrors; /* its command buffers tell which memory they use (abx_client_mirrors()) */
};

/* How far a command buffer has come. It only goes on, and from ABX_STAGE_ENQUEUED on under its
 * queue's lock; anybody may look. */
enum abx_metal_stage {
    ABX_STAGE_ENCODING,
    ABX_STAGE_ENQUEUED, /* has its place in the queue; commands are still added */
    ABX_STAGE_COMMITTED,
    ABX_STAGE_SUBMITTING, /* one thread sends it, and lets go of the lock while the host is full */
    ABX_STAGE_SUBMITTED,
    ABX_STAGE_COMPLETE, /* the outcome is here; its handlers are still to be called */
    ABX_STAGE_HANDLED,
    ABX_STAGE_LET_GO, /* and of what it held */
};

struct abx_metal_command_buffer {
    struct abx_metal_object base;
    struct abx_metal_queue *queue; /* retained */
    struct abx_arena arena;
    uint64_t number; /* unique; what held_by holds */
    struct abx_metal_command_buffer *next, *next_enqueued;
    _Atomic uint32_t stage; /* enum abx_metal_stage */
    bool retains;
    struct abx_metal_encoder *encoder; /* the open one, not retained */
    id *held;
    uint32_t held_count, held_capacity;
    uint64_t sequence;
    uint32_t result_slot;
    struct abx_result result;
    char text[ABX_RESULT_TEXT_BYTES]; /* what the host says of its error, or "" */
    uint32_t error;                   /* MTLCommandBufferError */
    char *fault;                      /* the first wrong call, malloc()ed */
    id error_object, residency;
    struct abx_metal_handlers scheduled, completed;
    uint32_t debug_depth;
    NSUInteger error_options;
    struct abx_metal_buffer *log; /* what kernels write; NULL: none. Both retained */
    struct abx_metal_log_state *log_state;
    struct abx_metal_wrap_use *uses; /* metal_wrap.h */
    uint32_t use_count, use_capacity;
    /* Where the device may mirror memory: chunks that are used; any: and who knows which. */
    uint32_t *chunks, chunk_count, chunk_capacity;
    bool any_chunk;
    bool wrapped;
    struct abx_metal_command_buffer *next_wrapped;
    /* It keeps memory that becomes the program's own again when it is let go of: nobody who waits
     * goes on before ABX_STAGE_LET_GO. */
    bool keeps_pages;
    pthread_t letting_go; /* the thread that does */
};

struct abx_metal_encoder {
    struct abx_metal_object base;
    struct abx_metal_command_buffer *buffer; /* retained */
    struct abx_metal_pipeline *pipeline;     /* not retained: the command buffer does */
    uint32_t dispatch_type, debug_depth;
    bool ended, logs; /* logs: the host has the command buffer's log */
    uint32_t last_count;
    struct abx_metal_sample {
        struct abx_metal_sample_buffer *to; /* not retained: the command buffer does */
        NSUInteger index;
    } last[4]; /* what endEncoding samples */
};

static inline enum abx_metal_stage abx_metal_stage(const struct abx_metal_command_buffer *buffer)
{
    return atomic_load_explicit(&buffer->stage, memory_order_acquire);
}

/* Everything written before is seen by who sees the stage. */
static inline void abx_metal_reach(
        struct abx_metal_command_buffer *buffer, enum abx_metal_stage stage)
{
    atomic_store_explicit(&buffer->stage, stage, memory_order_release);
}

/* ---- classes, defined by metal_classes.c before any constructor of the program runs */
enum abx_metal_class {
    ABX_METAL_DEVICE,
    ABX_METAL_QUEUE,
    ABX_METAL_COMMAND_BUFFER,
    ABX_METAL_COMPUTE_ENCODER,
    ABX_METAL_BLIT_ENCODER,
    ABX_METAL_BUFFER,
    ABX_METAL_HEAP,
    ABX_METAL_FENCE,
    ABX_METAL_EVENT,
    ABX_METAL_SHARED_EVENT,
    ABX_METAL_LIBRARY,
    ABX_METAL_FUNCTION,
    ABX_METAL_PIPELINE,
    ABX_METAL_ICB,
    ABX_METAL_ICB_COMMAND,
    ABX_METAL_RESIDENCY_SET,
    ABX_METAL_ARGUMENT_ENCODER,
    ABX_METAL_BUFFER_BINDING,
    ABX_METAL_THREADGROUP_BINDING,
    ABX_METAL_CAPTURE_SCOPE,
    ABX_METAL_COUNTER,
    ABX_METAL_COUNTER_SET,
    ABX_METAL_SAMPLE_BUFFER,
    ABX_METAL_ARCHIVE,
    ABX_METAL_FUNCTION_HANDLE,
    ABX_METAL_TABLE,
    ABX_METAL_DYNAMIC,
    ABX_METAL_LOG_STATE,
    ABX_METAL_CLASSES,
};
extern Class abx_metal_classes[ABX_METAL_CLASSES];

static inline bool abx_metal_is(const void *object, enum abx_metal_class cls)
{
    return object && ((const struct abx_metal_object *)object)->isa == abx_metal_classes[cls];
}

/* A new object (+1) of the class, for the device. NULL when there is no memory. */
void *abx_metal_new(enum abx_metal_class cls, id device);
/* The end of every dealloc: label, device, then NSObject's. */
void abx_metal_dealloc(id self, enum abx_metal_class cls);

/* A line on stderr that starts with "arcbox: Metal:". At most 100 a process. */
void abx_metal_say(const char *format, ...) ABX_PRINTF(1, 2);

/* The same, with ARCBOX_VALIDATION=1 only: what Metal's validation layer objects to, and a Mac
 * without it (every user's) carries on with. */
void abx_metal_note(const char *format, ...) ABX_PRINTF(1, 2);

/* Fails the command buffer: the first failure is kept as its error, each is printed. */
void abx_metal_fail(struct abx_metal_command_buffer *buffer, const char *format, ...)
        ABX_PRINTF(2, 3);
/* Its outcome is that the device was lost. */
void abx_metal_lose(struct abx_metal_command_buffer *buffer);
/* Not 0: the uses of buffers have to be known: of those that have a copy (metal_wrap.h), and where
 * the device may mirror memory. */
extern _Atomic uint64_t abx_metal_watched;
/* Keeps the object until the command buffer is complete. _keep: even one without retained
 * references. */
void abx_metal_keep(struct abx_metal_command_buffer *buffer, id object);
void abx_metal_hold_slow(struct abx_metal_command_buffer *buffer, id object);
static inline void abx_metal_hold(struct abx_metal_command_buffer *buffer, void *object)
{
    struct abx_metal_object *o = object;
    /* Two threads may both write here: then an object is held twice, which is as good. */
    if (atomic_load_explicit(&o->held_by, memory_order_relaxed) == buffer->number)
        return;
    atomic_store_explicit(&o->held_by, buffer->number, memory_order_relaxed);
    if (buffer->retains || atomic_load_explicit(&abx_metal_watched, memory_order_relaxed))
        abx_metal_hold_slow(buffer, object);
}

/* the deallocs of the classes */
void MTLCommandQueue_dealloc(id self, SEL cmd);
void MTLCommandBuffer_dealloc(id self, SEL cmd);
void MTLComputeCommandEncoder_dealloc(id self, SEL cmd);
void MTLBlitCommandEncoder_dealloc(id self, SEL cmd);
void MTLBuffer_dealloc(id self, SEL cmd);
void MTLHeap_dealloc(id self, SEL cmd);
void MTLFence_dealloc(id self, SEL cmd);
void abx_metal_event_dealloc(id self, SEL cmd);
void MTLLibrary_dealloc(id self, SEL cmd);
void MTLFunction_dealloc(id self, SEL cmd);
void MTLComputePipelineState_dealloc(id self, SEL cmd);
void MTLIndirectCommandBuffer_dealloc(id self, SEL cmd);
void MTLIndirectComputeCommand_dealloc(id self, SEL cmd);
void MTLResidencySet_dealloc(id self, SEL cmd);
void abx_metal_argument_encoder_dealloc(id self, SEL cmd);
void abx_metal_binding_dealloc(id self, SEL cmd);
void MTLCaptureScope_dealloc(id self, SEL cmd);
void MTLBinaryArchive_dealloc(id self, SEL cmd);
void MTLFunctionHandle_dealloc(id self, SEL cmd);
void MTLDynamicLibrary_dealloc(id self, SEL cmd);
void MTLLogState_dealloc(id self, SEL cmd);
void MTLVisibleFunctionTable_dealloc(id self, SEL cmd);

void abx_metal_define_listener(void);
void abx_metal_define_absent(void);
void abx_metal_define_constant_values(void);
void abx_metal_define_capture_manager(void);
void MTLCounterSampleBuffer_dealloc(id self, SEL cmd);
/* What a pass descriptor's sampleBufferAttachments (or nil) ask for at the encoder's beginning, and
 * at its end. */
void abx_metal_sample_begin(struct abx_metal_encoder *encoder, id attachments);
void abx_metal_sample_end(struct abx_metal_encoder *encoder);

/* queue.c */
struct abx_metal_queue *abx_metal_queue_new(id device, NSUInteger max_buffers);
void abx_metal_queue_enqueue(struct abx_metal_command_buffer *buffer);
void abx_metal_queue_commit(struct abx_metal_command_buffer *buffer);
/* Waits until the buffer is complete and its handlers were called. */
void abx_metal_queue_wait(struct abx_metal_command_buffer *buffer);
void abx_metal_queue_wait_scheduled(struct abx_metal_command_buffer *buffer);
/* Takes in what has completed. */
void abx_metal_queue_reap(struct abx_metal_queue_state *state);
/* The same on every queue: for when memory is short, or counted. */
void abx_metal_queue_reap_all(struct abx_client *client);
void abx_metal_queue_gone(struct abx_metal_queue_state *state); /* a buffer died uncommitted */
void abx_metal_queue_release(struct abx_metal_queue_state *state);

/* command_buffer.c */
struct abx_metal_command_buffer *abx_metal_command_buffer_new(
        struct abx_metal_queue *queue, bool retains);
void abx_metal_command_buffer_drop(struct abx_metal_command_buffer *buffer); /* held, arena */
bool abx_metal_add_handler(struct abx_metal_handlers *handlers, const void *block);
bool abx_metal_open_encoder(struct abx_metal_command_buffer *buffer, const char *what);

/* heap.c: a buffer at `offset` is gone, or became aliasable */
void abx_metal_heap_give(id heap, uint64_t offset);

/* buffer.c */
/* As abx_client_alloc() or abx_client_alloc_private(); when there is no memory, once more after
 * what completed command buffers held was let go of. */
int abx_metal_alloc(
        struct abx_client *client, bool private, uint64_t bytes, struct abx_memory *ret);
id abx_metal_buffer_new(id device, NSUInteger length, NSUInteger options);
/* In memory that stays the caller's. */
struct abx_metal_buffer *abx_metal_buffer_in(id device, const struct abx_memory *memory,
        uint64_t offset, uint64_t length, NSUInteger options);

/* library.c */
id abx_metal_library_from_source(
        id device, const char *source, size_t bytes, id options, id *error);
id abx_metal_library_from_data(id device, const void *data, size_t bytes, id *error);
id abx_metal_library_from_request(id device, const void *request, size_t bytes, id *error);
/* Keeps a copy of the request that compiled it. False without memory. */
bool abx_metal_library_make_dynamic(struct abx_metal_library *library, const void *request,
        size_t bytes, id install_name, id libraries);

/* pipeline.c */
/* descriptor: a MTLComputePipelineDescriptor or nil. wait: until its code is ready. */
id abx_metal_pipeline_new(id device, struct abx_metal_function *function, id descriptor,
        MTLPipelineOption options, bool wait, id *reflection, id *error);
id abx_metal_reflection_new(struct abx_metal_function *function);
id abx_metal_bindings(struct abx_metal_function *function); /* autoreleased: MTLBindings */

/* Its constants as records have them; `to` has room for 256. */
void abx_metal_constants_write(
        const struct abx_metal_function *function, struct abx_wire_constant *to);

/* linked.c */
/* Adds what a kernel and its MTLComputePipelineDescriptor (or nil) name. False: an error is set. */
bool abx_metal_links_collect(
        struct abx_metal_links *links, struct abx_metal_function *kernel, id descriptor, id *error);
bool abx_metal_links_add_library(
        struct abx_metal_links *links, struct abx_metal_library *library, id *error);
bool abx_metal_links_copy(
        struct abx_metal_links *links, const struct abx_metal_links *from, id *error);
/* Adds an array of functions, to be called through tables. */
bool abx_metal_links_add(struct abx_metal_links *links, id functions, id *error);
void abx_metal_links_finish(struct abx_metal_links *links);
/* Tells the host to make the pipeline. 0 or -errno. */
int abx_metal_links_send(const struct abx_metal_links *links, struct abx_metal_function *kernel,
        abx_handle pipeline);

/* dynamic.c: adds an array of dynamic libraries (or nil), and what they need */
bool abx_metal_dynamic_link(struct abx_metal_links *links, id libraries, id *error);

/* log.c: gives the command buffer a log of the state's (or nil's none) */
void abx_metal_log_open(struct abx_metal_command_buffer *buffer, id state);
/* Hands the messages to the state's handlers: it is complete. */
void abx_metal_log_deliver(struct abx_metal_command_buffer *buffer);
void abx_metal_log_finish(struct abx_metal_command_buffer *buffer);

/* archive.c: whether one of an array of archives (or nil) has the function, with its constants and
 * links (or NULL) */
bool abx_metal_archives_have(id archives, const struct abx_metal_function *function,
        const struct abx_metal_links *links);

/* argument.c */
id abx_metal_argument_encoder_new(id device, NSUInteger length, NSUInteger alignment);
/* For what an argument of a function of the library points to: `size` bytes of the type. */
id abx_metal_argument_encoder_for(
        struct abx_metal_library *library, uint32_t type, NSUInteger size, NSUInteger alignment);

static inline MTLStorageMode abx_metal_storage(MTLResourceOptions options)
{
    return options >> 4 & 0xf;
}

/* Runs function(user) on a thread of its own; on this one when none can be made. */
void abx_metal_detach(void (*function)(void *user), void *user);

#endif
