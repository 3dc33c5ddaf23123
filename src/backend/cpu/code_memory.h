/* backend/cpu, private: memory for many pieces of machine code. See code_memory.c. */
#ifndef ABX_BACKEND_CPU_CODE_MEMORY_H
#define ABX_BACKEND_CPU_CODE_MEMORY_H

#include <stddef.h>

/* The most bytes of either part. */
#define ABX_CODE_MEMORY_BYTES (128ull << 20)

struct abx_code_memory {
    char *code; /* bytes in whole pages */
    char *data; /* within 2 GB of the code */
    size_t code_bytes, data_bytes;
    struct code_arena *arena;
};

/* Takes pages of both kinds, as many as the sizes want; filled with zeros, to be written, not yet
 * to be run. -ENOMEM, or -EINVAL when a size is 0 or beyond ABX_CODE_MEMORY_BYTES. Any thread. */
int abx_code_memory_take(size_t code_bytes, size_t data_bytes, struct abx_code_memory *ret);
/* From now on the code may be run, and nothing of it be written. A negative errno. */
int abx_code_memory_seal(struct abx_code_memory *memory);
/* Nothing may run in it, or read it, any more. */
void abx_code_memory_give_back(struct abx_code_memory *memory);

#endif
