/* cli: OCI images as the root of virtual machines: unpacked once into this user's cache, by podman,
 * which has fetched them, each in a folder of its number's:
 *
 *   vm/images/NUMBER/root        its files
 *   vm/images/NUMBER/reference   what it was called
 *   vm/images/NUMBER/lock        held, shared, by those that run on it */
#ifndef ABX_CLI_VM_IMAGES_H
#define ABX_CLI_VM_IMAGES_H

#include "cli/run.h"

/* Makes an image of podman's that of `run`: a folder now, with what the image says of command,
 * variables, folder and user where the command line says nothing. Held until this process ends.
 * Dies when it cannot be had. */
void abx_vm_take_image(struct abx_run *run);
/* What that folder was called; `folder` itself when it is no such image. The caller's to free(). */
char *abx_vm_image_name(const char *folder);
/* Holds it, if it is one. */
void abx_vm_hold_image(const char *folder);

#endif
