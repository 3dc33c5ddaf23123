/* torch: batches of launches. A batch is one command buffer. It is committed when
 * it has MOST launches, and before that whenever the device has nothing to do, so that the device
 * works while Python prepares what comes next.
 *
 * A batch that was lent to a program that encodes by itself stays open, as nobody knows when that
 * program is done, until it is full, committed by name or waited for. */
#include "internal.h"

#include <errno.h>
#include <string.h>

#define MOST 128     /* launches of a batch */
#define IN_FLIGHT 64 /* batches committed and not known to have ended */

static struct {
    id command_buffer, encoder, pipeline; /* of the open batch, or NULL */
    unsigned launches;
    uint64_t number; /* of the last batch that was opened */
    bool is_lent;    /* the open one, to a program that encodes by itself */
    bool encoder_is_lent;
    uint64_t last_lent; /* number */
    id flight[IN_FLIGHT];
    uint64_t committed, ended; /* numbers; flight[n % IN_FLIGHT] for ended < n <= committed */
    char failure[512];         /* of the first batch that failed since the last wait */
} batch;

static void open_buffer(void)
{
    if (batch.command_buffer && batch.is_lent && metal_is_committed(batch.command_buffer))
        batch_commit(); /* by the program; a Mac would refuse what comes behind it */
    if (batch.command_buffer)
        return;
    batch.command_buffer = metal_command_buffer(core.queue);
    batch.launches = 0;
    batch.number++;
}

static void end_encoder(void)
{
    if (!batch.encoder)
        return;
    metal_end(batch.encoder);
    metal_release(batch.encoder);
    batch.encoder = NULL;
    batch.encoder_is_lent = false;
}

void batch_end_encoder(void)
{
    end_encoder();
}

struct batch_point batch_open(void)
{
    open_buffer();
    if (!batch.encoder) {
        batch.encoder = metal_encoder(batch.command_buffer);
        batch.pipeline = NULL;
    }
    return (struct batch_point){batch.encoder, batch.command_buffer, batch.number};
}

struct batch_point batch_open_between(void)
{
    open_buffer();
    end_encoder();
    return (struct batch_point){NULL, batch.command_buffer, batch.number};
}

struct batch_point batch_lend(bool shares_encoder)
{
    struct batch_point at = shares_encoder ? batch_open() : batch_open_between();
    batch.is_lent = true;
    batch.encoder_is_lent = shares_encoder;
    batch.last_lent = at.number;
    return at;
}

uint64_t batch_last_use(const struct abx_torch_block *block)
{
    return block->last_use > batch.last_lent ? block->last_use : batch.last_lent;
}

void batch_set_pipeline(id pipeline)
{
    if (batch.pipeline != pipeline || batch.encoder_is_lent)
        metal_set_pipeline(batch.encoder, pipeline);
    batch.pipeline = pipeline;
}

/* The oldest batch in flight, which has ended or is waited for. */
static void take_result(void)
{
    id oldest = batch.flight[(batch.ended + 1) % IN_FLIGHT];
    char message[sizeof batch.failure];
    if (!metal_succeeded(oldest, message, sizeof message) && !batch.failure[0])
        memcpy(batch.failure, message, sizeof message);
    metal_release(oldest);
    batch.ended++;
}

static void take_results(void)
{
    while (batch.ended < batch.committed &&
            metal_has_ended(batch.flight[(batch.ended + 1) % IN_FLIGHT]))
        take_result();
}

void batch_commit(void)
{
    if (!batch.command_buffer)
        return;
    if (batch.committed - batch.ended == IN_FLIGHT) {
        metal_wait(batch.flight[(batch.ended + 1) % IN_FLIGHT]);
        take_result();
    }
    end_encoder();
    if (!batch.is_lent || !metal_is_committed(batch.command_buffer))
        metal_commit(batch.command_buffer);
    batch.is_lent = false;
    batch.committed = batch.number;
    batch.flight[batch.number % IN_FLIGHT] = batch.command_buffer;
    batch.command_buffer = NULL;
    core.counts.batches++;
}

/* A device that has nothing to do ends an empty batch at once: it is waited for, so that who asks
 * then whether all has ended hears that it has. */
id batch_mark(uint64_t *ret_number)
{
    take_results();
    bool idle = !batch.command_buffer && batch.ended == batch.committed;
    *ret_number = batch_open().number;
    id mark = metal_retain(batch.command_buffer);
    batch_commit();
    if (idle)
        metal_wait(mark);
    return mark;
}

void batch_launched(void)
{
    core.counts.launches++;
    if (core.waits_each) {
        batch_commit();
        core.counts.waits++;
        metal_wait(batch.flight[batch.committed % IN_FLIGHT]);
        return;
    }
    if (++batch.launches < MOST) {
        if (batch.is_lent) {
            if (!batch.encoder_is_lent)
                end_encoder(); /* the program may open one of its own */
            return;
        }
        take_results();
        if (batch.ended < batch.committed)
            return; /* the device is busy */
    }
    batch_commit();
}

bool batch_has_ended(uint64_t number)
{
    take_results();
    return number <= batch.ended;
}

int batch_wait(uint64_t number)
{
    if (number > batch.ended && number > batch.committed)
        batch_commit();
    if (number > batch.committed)
        number = batch.committed;
    if (!batch_has_ended(number)) {
        core.counts.waits++;
        /* The lock stays: another thread's work would only come behind this. */
        metal_wait(batch.flight[number % IN_FLIGHT]);
    }
    while (batch.ended < number)
        take_result();
    if (!batch.failure[0])
        return 0;
    int r = core_fail(EIO, "%s", batch.failure);
    batch.failure[0] = 0;
    return r;
}
