/* backend/cpu, private: machine code in memory. See object.c. */
#ifndef ABX_BACKEND_CPU_OBJECT_H
#define ABX_BACKEND_CPU_OBJECT_H

#include "backend/cpu/code_memory.h"
#include "shader/abi/kernel.h"

struct abx_cpu_object {
    struct abx_code_memory memory;
    void *entry; /* ABX_CPU_ENTRY */
};

/* Loads an ELF relocatable object for this processor. -EBADMSG when it is malformed or wants what
 * it may not have, -ENOMEM. Any thread. */
int abx_cpu_object_load(const void *elf, size_t bytes, struct abx_cpu_object *ret_object);
void abx_cpu_object_unload(struct abx_cpu_object *object);

/* The address of a function that kernels may call, or NULL. runtime.c */
void *abx_cpu_runtime_symbol(const char *name);

#endif
