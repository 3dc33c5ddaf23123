/* cli: arcbox gpu top (gpu_top.c). */
#ifndef ABX_CLI_GPU_TOP_H
#define ABX_CLI_GPU_TOP_H

#include "cli/cli.h"

struct abx_gpu_top {
    double interval; /* seconds */
    unsigned count;  /* 0: until q, on a terminal; once elsewhere */
};
int abx_gpu_top(const struct abx_gpu_top *top);

#endif
