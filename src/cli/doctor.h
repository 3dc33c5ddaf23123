/* cli: what the files behind `arcbox doctor` share. */
#ifndef ABX_CLI_DOCTOR_H
#define ABX_CLI_DOCTOR_H

#include "cli/cli.h"

/* Runs it and returns its exit code; *ret_text is its output and messages, without the last end of
 * line. (doctor.c) */
int abx_doctor_output(char *const argv[], char **ret_text);

/* Starts a container with podman: 0 when that works, 1 when something is lacking, -1 when there is
 * no podman. *ret_text says what is so. (doctor_podman.c) */
int abx_doctor_podman(char **ret_text);

#endif
