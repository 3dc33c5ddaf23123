/* libFuzzer target: fuzz_rewriter [CORPUS], with tests/shader/cases as a first corpus. */
#include "rewrite_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_rewrite(data, size);
    return 0;
}
