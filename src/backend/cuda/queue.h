/* backend/cuda: a queue, for queue.c (its thread: marks, completions) and submit.c (what commands
 * become). Worker process. */
#ifndef ABX_BACKEND_CUDA_QUEUE_H
#define ABX_BACKEND_CUDA_QUEUE_H

#include "backend/cuda/cuda_internal.h"

/* Inline bytes (setBytes) go to the device in batches, through a ring. A dispatch has at most 31
 * times 4 KiB. */
#define ABX_CUDA_STAGING_BYTES (256u << 10) /* twice a batch, so that one always fits */
#define ABX_CUDA_BATCH_BYTES (128u << 10)
#define ABX_CUDA_BATCH_DISPATCHES 256u
/* What overlaps itself is copied through this. */
#define ABX_CUDA_BOUNCE_BYTES (1u << 20)
/* What cuBLASLt works in, once a queue multiplies; and how many kinds of products are remembered.
 */
#define ABX_CUDA_WORKSPACE_BYTES (32u << 20)
#define ABX_CUDA_PRODUCTS 32u
#define ABX_CUDA_MARKS 256u
/* Kernels between two marks: each costs what a launch does, and a kernel's time limit is multiplied
 * by those before it since the last, up to 60. */
#define ABX_CUDA_MARK_EVERY 256u
#define ABX_CUDA_INLINE_ALIGN 16u

enum abx_cuda_mark_kind {
    ABX_CUDA_MARK_PROGRESS = 1,
    ABX_CUDA_MARK_SIGNAL = 2, /* an event is raised */
    ABX_CUDA_MARK_DONE = 3,   /* the submission is over */
    ABX_CUDA_MARK_OTHERS =
            4, /* what other queues did is; value: 1, nothing of its own was before */
};

/* A place in the stream: the stream writes its number to the queue's word when it gets there. */
struct abx_cuda_mark {
    uint32_t number;
    uint32_t kernels; /* since the mark before */
    enum abx_cuda_mark_kind kind;
    struct abx_submission *submission;
    struct abx_event *event;
    uint64_t value;
    uint64_t staging; /* free up to here once it is reached */
    uint64_t issued_ns;
};

/* A wait for an event. The event's notification cannot be taken back, so it may outlive the wait,
 * the submission and the queue: two references. */
struct abx_cuda_wait {
    _Atomic uint32_t references;
    _Atomic uint32_t done;
    _Atomic(struct abx_queue *) queue; /* to rouse; NULL once the queue waits no more */
};

struct abx_queue {
    struct abx_device *device;
    struct abx_queue *next; /* of the device's */
    abx_cu_stream stream;
    pthread_t thread;
    _Atomic(struct abx_submission *) incoming; /* newest first */
    _Atomic uint32_t sleeping;                 /* futex */
    _Atomic bool stop;
    _Atomic uint64_t submitted, cancelled, finished; /* numbers of submissions */

    /* Marks that are not reached yet, oldest first. */
    pthread_mutex_t lock; /* marks and `lost`; not held in calls of the driver */
    struct abx_cuda_mark marks[ABX_CUDA_MARKS];
    uint32_t mark_first, mark_count;
    _Atomic bool lost;                  /* the device is: nothing more is issued */
    const struct abx_submission *ended; /* by whom the device was lost */
    struct abx_exec_result verdict;     /* for the submission being issued, */
    bool judged;                        /* when there is one */
    uint64_t last_ns;                   /* when the last mark was reached */
    uint64_t done_ns;                   /* when the last submission was over */
    uint32_t word;                      /* its place among the device's */
    uint32_t number;                    /* of the last mark */
    uint32_t kernels;                   /* issued behind it */
    bool unmarked;                      /* something is */

    /* The submission being issued: the thread's alone. */
    struct abx_submission *ordered; /* those after it */
    struct abx_submission *current;
    _Atomic uint64_t current_number;
    size_t at;                  /* the command that is next */
    uint32_t number_at;         /* its number, from 1 on */
    struct abx_cuda_wait *wait; /* for an event, or NULL */
    bool reading;               /* for `read_mark` */
    uint32_t read_mark;
    const void *read_for; /* the dispatch whose words are in `read` */
    bool arriving;        /* mirrors have to be looked at first */
    bool mirrored;        /* some of its memory is, or will be */
    bool waits;           /* for other queues, and no mark says so yet */
    bool touched;         /* since what was written was carried back */
    int error;            /* of the submission being issued */
    uint64_t zeroings;    /* the private memory that the stream has waited for */
    /* an indirect command buffer's range, as it was read last */
    const struct abx_device_memory *range;
    uint64_t range_offset;
    uint32_t range_words[2];
    /* staging: positions only rise */
    char *staging;
    abx_cu_address staging_address;
    uint64_t staging_head, staging_tail;
    uint64_t staged;     /* where the next dispatch's bytes are */
    size_t staged_until; /* commands below this have theirs there */
    uint32_t *read;      /* 4 words that the device writes */
    abx_cu_address read_address;
    abx_cu_address bounce;
    /* replay.c */
    size_t consumed;     /* by the last step, from q->at on */
    uint32_t commands;   /* the same, counted */
    size_t looked_until; /* dispatches below this are no replay */
    struct abx_cuda_replay *replays;
    /* clock.c */
    volatile uint64_t *clock_seen; /* two numbers that the device writes */
    abx_cu_address clock_address;
    uint64_t clock_number, clock_looked, clock_issued_ns;
    /* matrix.c */
    struct abx_cuda_product *products;
    abx_cu_address workspace;
};

/* One dispatch as the driver wants it. */
struct abx_cuda_launch {
    char parameters[sizeof(struct abx_ptx_dispatch) + 8 * ABX_BUFFER_SLOTS +
                    4 * ABX_MAX_THREADGROUP_BINDINGS];
    size_t bytes;
    uint32_t shared;
};

enum abx_cuda_step {
    ABX_CUDA_STEP_ON,      /* the command is issued */
    ABX_CUDA_STEP_BLOCKED, /* something has to happen first */
    ABX_CUDA_STEP_FAILED,  /* queue->error says why; fatal errors are told of already */
};

/* submit.c: the next command of the submission being issued. */
enum abx_cuda_step abx_cuda_issue(struct abx_queue *q, const struct abx_exec_command *c);
/* Of a call of the driver's for the submission being issued. */
enum abx_cuda_step abx_cuda_issued(struct abx_queue *q, int result);
/* number: of the command in its submission, from 1 on.
 * False: it is not a plain one (indirect, in a range, empty, of a grid that takes several
 * launches). Its inline bytes are at *inline_at, which is moved behind them. */
bool abx_cuda_describe(const struct abx_queue *q, struct abx_cuda_launch *l,
        const struct abx_exec_dispatch *c, uint32_t number, struct abx_ptx_dispatch *head,
        abx_cu_address *inline_at);
uint64_t abx_cuda_inline_bytes(const struct abx_exec_dispatch *c);
/* Returns what is behind them. */
char *abx_cuda_copy_inline(char *to, const struct abx_exec_dispatch *c);
/* A place of the staging ring, whole. */
bool abx_cuda_staging_room(struct abx_queue *q, uint64_t bytes, uint64_t *ret_at);

/* Of a queue that waits for an event, or does not. */
void abx_cuda_end_wait(struct abx_queue *q);

/* replay.c: the dispatches from q->at on, when the like of them were issued before: q->consumed
 * says how many bytes of commands that was. Nothing done, and ON: they are to be issued as they
 * are. */
enum abx_cuda_step abx_cuda_replay(struct abx_queue *q);
void abx_cuda_replay_close(struct abx_queue *q);

/* mirror.c. The imported memory of a submission that begins (1), or is over (-1). */
void abx_cuda_mirrors_count(const struct abx_submission *s, int more);
/* The first of what is issued for a submission. BLOCKED: not before what is under way is over. */
enum abx_cuda_step abx_cuda_mirrors_begin(struct abx_queue *q);
/* What the guest wrote goes to the device; or what commands may have written to the guest. */
enum abx_cuda_step abx_cuda_mirrors_exchange(struct abx_queue *q, bool to_device);
/* The queue is drained, and about to be destroyed. */
void abx_cuda_mirrors_leave(struct abx_queue *q);

/* matrix.c: the next command, a product. */
enum abx_cuda_step abx_cuda_multiply(struct abx_queue *q, const struct abx_exec_matrix_multiply *c);
void abx_cuda_matrix_queue_close(struct abx_queue *q);

/* clock.c: the next command, a timestamp. */
enum abx_cuda_step abx_cuda_timestamp(struct abx_queue *q, const struct abx_exec_timestamp *c);
void abx_cuda_clock_look(struct abx_queue *q);

/* Its words are in place before anything is issued. */
int abx_cuda_submit_open(struct abx_queue *q);
void abx_cuda_submit_close(struct abx_queue *q);

/* queue.c. False: there is no room for it now. Where nothing is under way it is reached at once. */
bool abx_cuda_mark(
        struct abx_queue *q, enum abx_cuda_mark_kind kind, struct abx_event *event, uint64_t value);
bool abx_cuda_reached(struct abx_queue *q, uint32_t number);
/* The submission being issued. */
static inline bool abx_cuda_cancelled(const struct abx_queue *q)
{
    return atomic_load(&q->cancelled) > q->current_number;
}

#endif
