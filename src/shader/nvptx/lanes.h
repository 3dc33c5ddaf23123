/* shader, private: how the code generator and its functions (runtime.c) number a warp's lanes. */
#ifndef ABX_SHADER_NVPTX_LANES_H
#define ABX_SHADER_NVPTX_LANES_H

/* Bits of the last operand of runtime.c's functions: see there. */
#define ABX_NV_UNIFORM 1u
#define ABX_NV_RENAMED 2u

/* The program's number of the hardware's lane h4 h3 h2 h1 h0: h4 h1 h3 h2 h0. */
static inline __attribute__((always_inline)) unsigned abx_nv_lane(unsigned h, int renamed)
{
    return renamed ? (h & 17) | (h << 2 & 8) | (h >> 1 & 6) : h;
}

/* The other way. */
static inline __attribute__((always_inline)) unsigned abx_nv_hardware_lane(unsigned l, int renamed)
{
    return renamed ? (l & 17) | (l >> 2 & 2) | (l << 1 & 12) : l;
}

#endif
