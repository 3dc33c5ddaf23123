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

/* Of virtual machines, which nobody else needs. (vm/doctor_vm.c) */
#define ABX_DOCTOR_VM_LINES 6u
struct abx_doctor_line {
    bool good;
    const char *what;
    char *text; /* the caller's to free() */
};
unsigned abx_doctor_vm(struct abx_doctor_line lines[ABX_DOCTOR_VM_LINES]);

#endif
