/* tests/semantics: runs kernels that check themselves (programs.h), compiled before, on another
 * processor: each FILE is an object blob, named after its kernel.
 *
 *   run_stored FILE... */
#include "programs.h"

#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    fill_data();
    CHECK(argc > 1 && rig_open(&rig, rig_suite_backend, 2) == 0);
    for (int i = 1; i < argc; i++) {
        struct abx_pipeline *pipeline = NULL;
        void *blob;
        size_t bytes;
        CHECK(abx_read_file(argv[i], 64u << 20, &blob, &bytes) == 0);
        if (rig.backend->pipeline->create(rig.device, blob, bytes, &pipeline)) {
            printf("%s: cannot be loaded\n", argv[i]);
            failures++;
        } else {
            run_kernel(argv[i], strrchr(argv[i], '/') ? strrchr(argv[i], '/') + 1 : argv[i],
                    "compiled", pipeline);
            rig.backend->pipeline->destroy(pipeline);
        }
        free(blob);
    }
    rig_close(&rig);
    printf("%u dispatches, %u failures\n", checked, failures);
    return failures != 0;
}
