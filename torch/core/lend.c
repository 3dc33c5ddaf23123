/* torch: what programs take that encode by themselves: extensions in C++ and Objective-C++, which
 * on a Mac get PyTorch's command buffer, and a tensor's MTLBuffer as its storage's data. Runs in
 * the user's program, on any thread; what such a program encodes is its own affair. */
#include "internal.h"

#include <errno.h>
#include <pthread.h>

extern void *dispatch_queue_create(const char *label, void *attributes);

/* A GPU's own memory: small tensors share a buffer there, so that a storage's data is an address.
 */
static int check(void)
{
    int r = core_check();
    if (r == 0 && !core.shares_memory)
        r = core_fail(ENOTSUP,
                "this device has memory of its own: extensions that encode Metal commands by "
                "themselves are not supported there yet");
    return r;
}

static struct batch_point lend(bool shares_encoder)
{
    struct batch_point at = {0};
    core_lock();
    if (check() == 0)
        at = batch_lend(shares_encoder);
    core_unlock();
    return at;
}

void *abx_torch_lend_command_buffer(void)
{
    return lend(false).command_buffer;
}

void *abx_torch_lend_encoder(void)
{
    return lend(true).encoder;
}

void abx_torch_end_encoder(void)
{
    core_lock();
    batch_end_encoder();
    core_unlock();
}

void *abx_torch_device(void)
{
    return core.device;
}

void *abx_torch_command_queue(void)
{
    return core.queue;
}

static void *encoding;

static void make_queue(void)
{
    encoding = dispatch_queue_create("metal gpu stream", NULL);
}

void *abx_torch_dispatch_queue(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_queue);
    return encoding;
}

void *abx_torch_contents(void *place)
{
    return place ? metal_buffer_contents(place) : NULL;
}
