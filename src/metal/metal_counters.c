/* metal: timestamps: MTLCounterSampleBuffer, and the set of counters there is. Runs in the guest's
 * process.
 *
 * A sample is 64 bits that the device writes into an ordinary buffer: nanoseconds of the host's
 * monotonic clock. Where the guest has another clock, sampleTimestamps:gpuTimestamp: relates the
 * two, as on a Mac. */
#include <string.h>

#include "classes_gen.h"
#include "metal/metal_internal.h"

/* 512 KiB of samples; Apple's devices refuse more than 4,096 of them. */
#define MAX_SAMPLES 65536u
#define DONT_SAMPLE ((NSUInteger) - 1) /* MTLCounterDontSample */

/* ---- what can be sampled: one set of one counter, made once */

static id shared(enum abx_metal_class cls)
{
    static _Atomic(id) made[ABX_METAL_CLASSES];
    id object = atomic_load(&made[cls]), none = NULL;
    if (object)
        return object;
    object = (id)abx_metal_new(cls, NULL);
    if (object && !atomic_compare_exchange_strong(&made[cls], &none, object))
        return none; /* the other thread's; ours, a few bytes, stays */
    return object;
}

static bool has_timestamps(id device)
{
    const struct abx_client *client = ((struct abx_metal_object *)device)->client;
    return abx_client_welcome(client)->operations & ABX_OPERATION_TIMESTAMP;
}

id MTLDevice_counterSets(id self, SEL cmd)
{
    id set = has_timestamps(self) ? shared(ABX_METAL_COUNTER_SET) : NULL;
    return abx_ns_array(&set, set ? 1 : 0);
}

id MTLCounterSet_name(id self, SEL cmd)
{
    return MTLCommonCounterSetTimestamp;
}

id MTLCounterSet_counters(id self, SEL cmd)
{
    id counter = shared(ABX_METAL_COUNTER);
    return abx_ns_array(&counter, counter ? 1 : 0);
}

id MTLCounter_name(id self, SEL cmd)
{
    return MTLCommonCounterTimestamp;
}

abx_objc_bool MTLDevice_supportsCounterSampling_(id self, SEL cmd, MTLCounterSamplingPoint point)
{
    return has_timestamps(self) && (point == MTLCounterSamplingPointAtStageBoundary ||
                                           point == MTLCounterSamplingPointAtDispatchBoundary ||
                                           point == MTLCounterSamplingPointAtBlitBoundary);
}

void MTLDevice_sampleTimestamps_gpuTimestamp_(id self, SEL cmd, uint64_t *cpu, uint64_t *gpu)
{
    if (cpu)
        *cpu = abx_now_ns();
    if (gpu)
        *gpu = abx_client_host_ns(((struct abx_metal_object *)self)->client);
}

/* ---- MTLCounterSampleBuffer */

id MTLDevice_newCounterSampleBufferWithDescriptor_error_(id self, SEL cmd, id descriptor, id *error)
{
    struct MTLCounterSampleBufferDescriptor *d =
            (struct MTLCounterSampleBufferDescriptor *)descriptor;
    const char *wrong = NULL;
    if (!d || !d->counterSet)
        wrong = "the descriptor has no counterSet: take one of the device's counterSets";
    else if (d->counterSet != shared(ABX_METAL_COUNTER_SET))
        wrong = "counterSet is not one of the device's counterSets";
    else if (d->sampleCount < 1 || d->sampleCount > MAX_SAMPLES)
        wrong = "sampleCount must be from 1 to 65536";
    if (wrong) {
        abx_ns_error_set(
                error, "MTLCounterErrorDomain", MTLCounterSampleBufferErrorInvalid, "%s", wrong);
        return NULL;
    }
    struct abx_metal_sample_buffer *s = abx_metal_new(ABX_METAL_SAMPLE_BUFFER, self);
    if (s)
        s->buffer = (struct abx_metal_buffer *)abx_metal_buffer_new(self, d->sampleCount * 8, 0);
    if (!s || !s->buffer) {
        objc_release((id)s);
        abx_ns_error_set(error, "MTLCounterErrorDomain", MTLCounterSampleBufferErrorOutOfMemory,
                "no memory for the samples");
        return NULL;
    }
    s->count = d->sampleCount;
    s->hidden = d->storageMode == MTLStorageModePrivate;
    abx_objc_store_copy(&s->base.label, d->label);
    memset(s->buffer->contents, 0xff, s->count * 8); /* MTLCounterErrorValue: not sampled yet */
    return (id)s;
}

void MTLCounterSampleBuffer_dealloc(id self, SEL cmd)
{
    objc_release((id)((struct abx_metal_sample_buffer *)self)->buffer);
    abx_metal_dealloc(self, ABX_METAL_SAMPLE_BUFFER);
}

id MTLCounterSampleBuffer_label(id self, SEL cmd)
{
    id label = ((struct abx_metal_object *)self)->label;
    return label ? label : abx_ns_string("");
}

NSUInteger MTLCounterSampleBuffer_sampleCount(id self, SEL cmd)
{
    return ((struct abx_metal_sample_buffer *)self)->count;
}

id MTLCounterSampleBuffer_resolveCounterRange_(id self, SEL cmd, NSRange range)
{
    struct abx_metal_sample_buffer *s = (struct abx_metal_sample_buffer *)self;
    if (s->hidden || !abx_range_ok(range.location, range.length, s->count)) {
        abx_metal_say("-[MTLCounterSampleBuffer resolveCounterRange:]: %s",
                s->hidden ? "its storage is private: resolve it into a buffer"
                          : "the range is past the last sample");
        return NULL;
    }
    return abx_ns_data((const uint64_t *)s->buffer->contents + range.location, range.length * 8);
}

/* ---- samples */

/* The sample buffer, kept, when the encoder is open and the samples lie in it. */
static struct abx_metal_sample_buffer *samples_of(struct abx_metal_encoder *encoder, id object,
        NSUInteger first, NSUInteger count, const char *what)
{
    struct abx_metal_sample_buffer *s = (struct abx_metal_sample_buffer *)object;
    if (encoder->ended)
        abx_metal_say("%s the encoder was ended", what);
    else if (!abx_metal_is(s, ABX_METAL_SAMPLE_BUFFER))
        abx_metal_fail(encoder->buffer, "%s not a counter sample buffer", what);
    else if (!abx_range_ok(first, count, s->count))
        abx_metal_fail(encoder->buffer, "%s sample %lu is past the last of %lu", what,
                (unsigned long)(first + count - 1), (unsigned long)s->count);
    else {
        abx_metal_keep(encoder->buffer, object);
        abx_metal_hold(encoder->buffer, s->buffer); /* its memory is used */
        return s;
    }
    return NULL;
}

static void sample(struct abx_metal_encoder *encoder, const struct abx_metal_sample_buffer *s,
        NSUInteger index, bool barrier)
{
    abx_encode_sample_timestamp(
            &encoder->buffer->arena.encoder, s->buffer->resource.handle, index * 8, barrier);
}

static void sample_now(id self, id object, NSUInteger index, BOOL barrier)
{
    struct abx_metal_encoder *encoder = (struct abx_metal_encoder *)self;
    struct abx_metal_sample_buffer *s = samples_of(
            encoder, object, index, 1, "sampleCountersInBuffer:atSampleIndex:withBarrier:");
    if (s)
        sample(encoder, s, index, barrier);
}

void MTLComputeCommandEncoder_sampleCountersInBuffer_atSampleIndex_withBarrier_(
        id self, SEL cmd, id object, NSUInteger index, BOOL barrier)
{
    sample_now(self, object, index, barrier);
}

void MTLBlitCommandEncoder_sampleCountersInBuffer_atSampleIndex_withBarrier_(
        id self, SEL cmd, id object, NSUInteger index, BOOL barrier)
{
    sample_now(self, object, index, barrier);
}

void MTLBlitCommandEncoder_resolveCounters_inRange_destinationBuffer_destinationOffset_(
        id self, SEL cmd, id object, NSRange range, id destination, NSUInteger offset)
{
    static const char what[] = "resolveCounters:inRange:destinationBuffer:destinationOffset:";
    struct abx_metal_encoder *encoder = (struct abx_metal_encoder *)self;
    struct abx_metal_sample_buffer *s =
            samples_of(encoder, object, range.location, range.length, what);
    if (s && range.length)
        ABX_MSG(void, (id, SEL, id, NSUInteger, id, NSUInteger, NSUInteger), self,
                "copyFromBuffer:sourceOffset:toBuffer:destinationOffset:size:", (id)s->buffer,
                range.location * 8, destination, offset, range.length * 8);
}

/* ---- at an encoder's ends. Compute's and blit's attachments are laid out alike. */

static_assert(sizeof(struct MTLComputePassSampleBufferAttachmentDescriptor) ==
                              sizeof(struct MTLBlitPassSampleBufferAttachmentDescriptor) &&
                      sizeof(struct MTLComputePassSampleBufferAttachmentDescriptorArray) ==
                              sizeof(struct MTLBlitPassSampleBufferAttachmentDescriptorArray),
        "one reader of both");

void abx_metal_sample_begin(struct abx_metal_encoder *encoder, id attachments)
{
    struct MTLComputePassSampleBufferAttachmentDescriptorArray *all =
            (struct MTLComputePassSampleBufferAttachmentDescriptorArray *)attachments;
    for (uint32_t i = 0; all && i < ABX_ARRAY_SIZE(all->items); i++) {
        struct MTLComputePassSampleBufferAttachmentDescriptor *d =
                (struct MTLComputePassSampleBufferAttachmentDescriptor *)all->items[i];
        if (!d || !d->sampleBuffer)
            continue;
        NSUInteger first = d->startOfEncoderSampleIndex, last = d->endOfEncoderSampleIndex;
        struct abx_metal_sample_buffer *s = NULL;
        if (first != DONT_SAMPLE)
            s = samples_of(encoder, d->sampleBuffer, first, 1, "startOfEncoderSampleIndex:");
        if (s)
            sample(encoder, s, first, true);
        s = NULL;
        if (last != DONT_SAMPLE)
            s = samples_of(encoder, d->sampleBuffer, last, 1, "endOfEncoderSampleIndex:");
        if (s)
            encoder->last[encoder->last_count++] = (struct abx_metal_sample){s, last};
    }
}

void abx_metal_sample_end(struct abx_metal_encoder *encoder)
{
    for (uint32_t i = 0; i < encoder->last_count; i++)
        sample(encoder, encoder->last[i].to, encoder->last[i].index, true);
}
