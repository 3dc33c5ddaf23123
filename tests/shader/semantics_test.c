/* Runs the checks of semantics_probe.metal.cc. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

int semantics_failure(void);
_Float16 __truncsfbf2(float f);

/* The compiler's support library has it only from gcc 13 on. bfloat is returned where half is. */
_Float16 __truncsfbf2(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, 4);
    uint16_t high = (uint16_t)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        high = (uint16_t)(bits >> 16 | 0x40);
    _Float16 result;
    memcpy(&result, &high, 2);
    return result;
}

int main(void)
{
    int line = semantics_failure();
    if (line)
        printf("semantics_probe.metal.cc:%d does not hold\n", line);
    return line != 0;
}
