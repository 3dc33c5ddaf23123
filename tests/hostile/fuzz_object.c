/* Fuzzes the worker's loader of compiled kernels (src/backend/cpu/object.c) with damaged ELF files.
 * Seeds: objects of this machine's compiler; the code in them is never run. */
#include "fuzz.h"

#include "backend/cpu/object.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct abx_cpu_object object;
    if (size >= sizeof(struct abx_code))
        abx_cpu_code_check(data, size);
    if (abx_cpu_object_load(data, size, &object) < 0)
        return 0;
    /* Everything relocated lies inside, and the entry, too. */
    assert((char *)object.entry >= object.memory.code &&
            (char *)object.entry < object.memory.code + object.memory.code_bytes);
    abx_cpu_object_unload(&object);
    fuzz_accepted++;
    return 0;
}
