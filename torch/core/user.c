/* torch: kernels that a user wrote: libraries of their own, and launches with arguments as they
 * stand. */
#include "internal.h"

#include <errno.h>

static int make(const char *name, const char *source, int (*add)(const char *, const char *))
{
    core_lock();
    int r = core_check();
    if (r == 0)
        r = add(name, source);
    if (r == 0 && !kernel_library(name))
        r = -EINVAL;
    core_unlock();
    return r;
}

int abx_torch_add_library(const char *name, const char *source)
{
    return make(name, source, kernel_add_library);
}

int abx_torch_add_library_file(const char *name, const char *path)
{
    return make(name, path, kernel_add_library_file);
}

char *abx_torch_function_names(const char *library)
{
    core_lock();
    id made = core_check() == 0 ? kernel_library(library) : NULL;
    char *names = made ? metal_function_names(made) : NULL;
    core_unlock();
    return names;
}

int abx_torch_describe(
        const char *library, const char *function, struct abx_torch_function *ret_function)
{
    unsigned long most;
    core_lock();
    int r = core_check();
    id pipeline = r == 0 ? kernel_find(library, function, NULL, 0, &most) : NULL;
    if (pipeline)
        *ret_function = (struct abx_torch_function){
                most, metal_pipeline_simd_width(pipeline), metal_pipeline_memory(pipeline)};
    core_unlock();
    return r < 0 ? r : pipeline ? 0 : -EINVAL;
}

static void bind(struct batch_point at, const struct abx_torch_argument *a, unsigned index)
{
    struct abx_torch_block *b = a->operand.block;
    if (!b) {
        metal_set_bytes(at.encoder, a->bytes, a->size, index);
        return;
    }
    if (!b->buffer)
        return; /* a tensor of no elements */
    metal_set_buffer(at.encoder, b->buffer, b->offset + a->operand.offset, index);
    b->last_use = at.number;
}

int abx_torch_run_user(const char *library, const char *function,
        const struct abx_torch_argument *arguments, unsigned count, const size_t grid[3],
        const size_t group[3])
{
    unsigned long most;
    if (count > ABX_TORCH_MAX_ARGUMENTS)
        return core_fail(E2BIG, "a kernel has %d arguments at most", ABX_TORCH_MAX_ARGUMENTS);
    for (unsigned i = 0; i < count; i++)
        if (!arguments[i].operand.block && arguments[i].size > ABX_TORCH_MAX_PARAMETERS)
            return core_fail(E2BIG, "an argument that is no tensor has %d bytes at most",
                    ABX_TORCH_MAX_PARAMETERS);
    if (!grid[0] || !grid[1] || !grid[2])
        return 0;
    core_lock();
    int r = core_check();
    id pipeline = r == 0 ? kernel_find(library, function, NULL, 0, &most) : NULL;
    if (pipeline) {
        struct batch_point at = batch_open();
        batch_set_pipeline(pipeline);
        for (unsigned i = 0; i < count; i++)
            bind(at, &arguments[i], i);
        metal_dispatch(at.encoder, (struct metal_size){grid[0], grid[1], grid[2]},
                (struct metal_size){group[0], group[1], group[2]});
        batch_launched();
    }
    core_unlock();
    return r < 0 ? r : pipeline ? 0 : -EINVAL;
}
