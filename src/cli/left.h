/* cli: files that a command leaves in its private layer (left.c). */
#ifndef ABX_CLI_LEFT_H
#define ABX_CLI_LEFT_H

#include "cli/run.h"

struct abx_left;

/* In the child, once the root is assembled: hands its layer over. `names`: abx_root's. */
void abx_left_hand_over(int sock, const char *upper, const char *root, const char *names);
/* Outside: NULL when there is none (a root that cannot be written). */
struct abx_left *abx_left_receive(int sock);
/* When the container has ended; frees it. `folder`: the command's working folder. */
void abx_left_say(struct abx_left *left, const struct abx_run *run, const char *folder);

#endif
