/* tests/backend: the suite's kernels, compiled before by a run on another computer with
 * ARCBOX_TEST_RECORD (rig_compiled.c), in the order in which that run asked for them. */
#include "rig.h"

#include <stdlib.h>
#include <string.h>

struct abx_pipeline *rig_pipeline(struct rig *rig, uint32_t id)
{
    static uint32_t count;
    struct abx_pipeline *pipeline = NULL;
    char path[4096];
    void *blob;
    size_t bytes;
    snprintf(path, sizeof path, "%s/%u", rig->bitcode, count++);
    if (abx_read_file(path, 64u << 20, &blob, &bytes) < 0) {
        fprintf(stderr, "cannot read %s\n", path);
        return NULL;
    }
    int r = rig->backend->pipeline->create(rig->device, blob, bytes, &pipeline);
    if (r < 0)
        fprintf(stderr, "kernel %u: %s\n", id, strerror(-r));
    free(blob);
    return r == 0 ? pipeline : NULL;
}
