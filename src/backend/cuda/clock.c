/* backend/cuda: timestamps, by the GPU's own clock. Worker process.
 *
 * A kernel of one thread reads the clock and adds what makes nanoseconds of CLOCK_MONOTONIC of it.
 * The two clocks drift apart; so each time is looked at once its command buffer is over, when the
 * processor knows moments before and after it, and what is added is moved until it lies between. */
#include "backend/cuda/queue.h"

#define ROUNDS 8

/* seen: two numbers, the time as the GPU has it, and which one it is. */
static const char ptx[] =
        ".version 7.0\n.target sm_80\n.address_size 64\n"
        ".visible .entry abx_entry_clock(.param .u64 to, .param .u64 seen, .param .u64 more,\n"
        "    .param .u64 number)\n"
        "{\n.reg .u64 %r<7>;\n"
        "ld.param.u64 %r1, [to];\nld.param.u64 %r2, [seen];\nld.param.u64 %r3, [more];\n"
        "ld.param.u64 %r4, [number];\nmov.u64 %r5, %globaltimer;\nadd.u64 %r6, %r5, %r3;\n"
        "st.global.u64 [%r1], %r6;\nst.global.u64 [%r2], %r5;\nst.global.u64 [%r2+8], %r4;\n"
        "ret;\n}\n";

static int launch(const struct abx_device *device, abx_cu_stream stream, abx_cu_address to,
        abx_cu_address seen, uint64_t number)
{
    uint64_t parameters[] = {to, seen, (uint64_t)atomic_load(&device->clock_more), number};
    size_t bytes = sizeof parameters;
    void *extra[] = {ABX_CU_LAUNCH_BUFFER, parameters, ABX_CU_LAUNCH_BUFFER_SIZE, &bytes, NULL};
    return abx_cu.launch(device->clock, 1, 1, 1, 1, 1, 1, 0, stream, NULL, extra);
}

/* What lies between the clocks, of the round that took least. */
static int compare(struct abx_device *device)
{
    volatile uint64_t *seen = (void *)(device->words + ABX_CUDA_CLOCK_WORD);
    abx_cu_address at = device->words_address + ABX_CUDA_CLOCK_WORD * sizeof(uint32_t);
    uint64_t least = UINT64_MAX;
    for (uint64_t i = 1; i <= ROUNDS; i++) {
        uint64_t before = abx_now_ns();
        int result = launch(device, device->zero_stream, at + 16, at, i);
        if (!result)
            result = abx_cu.stream_synchronize(device->zero_stream);
        if (result)
            return result;
        uint64_t took = abx_now_ns() - before;
        if (took < least && seen[1] == i) {
            least = took;
            atomic_store(&device->clock_more, (int64_t)(before + took / 2 - seen[0]));
        }
    }
    return ABX_CU_OK;
}

int abx_cuda_clock_open(struct abx_device *device)
{
    int result =
            abx_cuda_load_kernel(ptx, "abx_entry_clock", &device->clock_module, &device->clock);
    if (!result)
        result = compare(device);
    return abx_cuda_errno(result);
}

enum abx_cuda_step abx_cuda_timestamp(struct abx_queue *q, const struct abx_exec_timestamp *c)
{
    q->clock_issued_ns = abx_now_ns();
    q->kernels++;
    return abx_cuda_issued(q, launch(q->device, q->stream, c->to->address + c->offset,
                                      q->clock_address, ++q->clock_number));
}

/* A command buffer is over. When several are under way it is not known which one's time it is. */
void abx_cuda_clock_look(struct abx_queue *q)
{
    if (q->clock_looked == q->clock_number || q->clock_seen[1] != q->clock_number)
        return;
    q->clock_looked = q->clock_number;
    int64_t time = (int64_t)q->clock_seen[0], more = atomic_load(&q->device->clock_more);
    int64_t least = (int64_t)q->clock_issued_ns - time, most = (int64_t)abx_now_ns() - time;
    if (more < least || more > most)
        atomic_store(&q->device->clock_more, more < least ? least : most);
}
