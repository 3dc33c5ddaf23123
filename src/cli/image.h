/* cli: what can be said of an image before it runs. */
#ifndef ABX_CLI_IMAGE_H
#define ABX_CLI_IMAGE_H

#include "cli/run.h"

/* 0, or -ENOEXEC with a text: Metal's libraries cannot be loaded in that root. (image.c) */
int abx_image_check(int root, char *ret_text, size_t capacity);

/* Where podman is, which has the run's image. Dies where it is not installed, and with a hint when
 * the image is not there and looks like something else that is. (near_miss.c) */
char *abx_image_podman(const struct abx_run *run);

#endif
