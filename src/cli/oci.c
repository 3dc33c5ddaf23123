/* cli: `arcbox run` with an OCI reference, through podman. */
#include "cli/run.h"

int abx_run_oci(struct abx_run *run)
{
    abx_die(ABX_EXIT_OWN, "image '%s': OCI images are not built yet; use host or a folder",
            run->image);
}
