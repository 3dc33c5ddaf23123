/* torch: events. An event holds the command buffer that was the last when it was recorded, which
 * says when it ended. */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

struct abx_torch_event {
    id mark; /* NULL: not recorded */
    uint64_t batch;
};

struct abx_torch_event *abx_torch_event_new(void)
{
    return calloc(1, sizeof(struct abx_torch_event));
}

void abx_torch_event_free(struct abx_torch_event *event)
{
    core_lock();
    if (event && core_check() == 0)
        metal_release(event->mark);
    core_unlock();
    free(event);
}

int abx_torch_event_record(struct abx_torch_event *event)
{
    core_lock();
    int r = core_check();
    if (r == 0) {
        metal_release(event->mark);
        event->mark = batch_mark(&event->batch);
    }
    core_unlock();
    return r;
}

bool abx_torch_event_has_ended(const struct abx_torch_event *event)
{
    core_lock();
    bool ended = !event->mark || batch_has_ended(event->batch);
    core_unlock();
    return ended;
}

int abx_torch_event_wait(const struct abx_torch_event *event)
{
    core_lock();
    int r = core_check();
    if (r == 0 && event->mark)
        r = batch_wait(event->batch);
    core_unlock();
    return r;
}

int abx_torch_event_elapsed(const struct abx_torch_event *start, const struct abx_torch_event *end,
        double *ret_milliseconds)
{
    int r = abx_torch_event_wait(start);
    if (r == 0)
        r = abx_torch_event_wait(end);
    if (r < 0)
        return r;
    core_lock();
    if (!start->mark || !end->mark)
        r = core_fail(EINVAL, "an event was not recorded");
    else
        *ret_milliseconds = (metal_end_time(end->mark) - metal_end_time(start->mark)) * 1e3;
    core_unlock();
    return r;
}

void abx_torch_wait_each(bool each)
{
    core_lock();
    core.waits_each = each;
    core_unlock();
}
