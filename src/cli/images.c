/* arcbox images and pull: OCI images are podman's. */
#include "cli/run.h"

int abx_do_images(int argc, char **argv)
{
    (void)argc;
    abx_oci_become("images", argv + 1);
}

int abx_do_pull(int argc, char **argv)
{
    struct abx_options o = abx_options_start(argc, argv);
    if (argc < 2)
        abx_usage(&o);
    abx_oci_become("pull", argv + 1);
}
