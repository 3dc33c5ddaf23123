/* shim: the marker functions a kernel's bitcode calls, and their numbers. Plain macros, because both
 * the shim (Metal source, no C library) and the code generator (C) include this file.
 *
 * The front end emits one function `void __abx_k_<id>(void)` a kernel that does the work of ONE
 * thread and knows its surroundings only through these declarations; the code generator decides how
 * threads become machine code (loops, vectors of lanes, coroutines) and replaces every call:
 *
 *   unsigned __abx_builtin(unsigned which)          const; which = ABX_BUILTIN_x * 4 + dimension
 *   void *__abx_buffer(unsigned index)              const; [[buffer(index)]], with ABX_BUFFER_CONSTANT
 *                                                   where it is in the constant address space, and of a
 *                                                   reference its bytes << ABX_BUFFER_BYTES_SHIFT
 *   void *__abx_threadgroup(unsigned index)         const; [[threadgroup(index)]]
 *   void __abx_barrier(unsigned flags)              convergent; threadgroup_barrier
 *   void __abx_simd_barrier(unsigned flags)         convergent; simdgroup_barrier
 *   unsigned long __abx_simd(unsigned op, unsigned long value, unsigned long argument)
 *                                                   convergent; op = ABX_SIMD_x | type | quad
 *
 * 8x8 matrices, which a SIMD-group holds together: each lane has two of the 64 elements, `e0` and
 * `e1`. A function that gives a matrix is called once for each element; T is f32, f16 or bf16:
 *
 *   T __abx_matrix_load_T(const void *at, unsigned long per_row, unsigned flags)
 *                                                   convergent, pure; flags: ABX_MATRIX_x
 *   void __abx_matrix_store_T(void *at, unsigned long per_row, unsigned flags, T e0, T e1)
 *                                                   convergent
 *   float __abx_matrix_multiply(unsigned flags, float a0, float a1, float b0, float b1,
 *           float c0, float c1)                     convergent, const; a * b + c, where each element
 *                                                   is c, then fma(a[row][k], b[k][column]), k rising
 *   void __abx_matrix_elements(void)                the program looks at its elements: Apple's
 *                                                   layout is needed; else the code generator's
 *
 * `which`, `index`, `op` and `flags` are constants after inlining. */
#ifndef ABX_SHIM_MARKERS_H
#define ABX_SHIM_MARKERS_H

/* As in wire/limits.h: __abx_buffer() of it is the log (logging.h), or null. */
#define ABX_LOG_BUFFER 31
#define ABX_BUFFER_CONSTANT 0x100
#define ABX_BUFFER_BYTES_SHIFT 16
#define ABX_BUFFER_BYTES_MOST 1024 /* as ABX_REFERENCE_BYTES in wire/limits.h */

#define ABX_BUILTIN_THREAD_IN_GRID 0
#define ABX_BUILTIN_THREAD_IN_GROUP 1
#define ABX_BUILTIN_GROUP_IN_GRID 2
#define ABX_BUILTIN_GROUP_SIZE 3            /* threads_per_threadgroup: real size at the edges */
#define ABX_BUILTIN_DISPATCH_GROUP_SIZE 4   /* dispatch_threads_per_threadgroup */
#define ABX_BUILTIN_GROUPS 5                /* threadgroups_per_grid */
#define ABX_BUILTIN_GRID 6                  /* threads_per_grid, grid_size */
#define ABX_BUILTIN_THREAD_INDEX 7          /* thread_index_in_threadgroup */
#define ABX_BUILTIN_LANE 8                  /* thread_index_in_simdgroup */
#define ABX_BUILTIN_SIMDGROUP 9             /* simdgroup_index_in_threadgroup */
#define ABX_BUILTIN_SIMD_WIDTH 10           /* threads_per_simdgroup, thread_execution_width */
#define ABX_BUILTIN_SIMDGROUPS 11           /* simdgroups_per_threadgroup */
#define ABX_BUILTIN_DISPATCH_SIMDGROUPS 12  /* dispatch_simdgroups_per_threadgroup */
#define ABX_BUILTIN_QUAD_LANE 13            /* thread_index_in_quadgroup */
#define ABX_BUILTIN_QUADGROUP 14            /* quadgroup_index_in_threadgroup */
#define ABX_BUILTIN_QUADGROUPS 15           /* quadgroups_per_threadgroup */
#define ABX_BUILTIN_GRID_ORIGIN 16
#define ABX_BUILTIN_MATRIX_E0 17            /* row, column of a matrix's element e0 */
#define ABX_BUILTIN_MATRIX_E1 18
#define ABX_BUILTIN_COUNT 19

/* Every operation sees only the SIMD-group's active threads. */
#define ABX_SIMD_SHUFFLE 0   /* value of lane argument & 31 */
#define ABX_SIMD_BALLOT 1    /* bit per active lane whose value is not 0 */
#define ABX_SIMD_FIRST 2     /* value of the lowest active lane */
#define ABX_SIMD_ADD 3
#define ABX_SIMD_MUL 4
#define ABX_SIMD_MIN 5
#define ABX_SIMD_MAX 6
#define ABX_SIMD_AND 7
#define ABX_SIMD_OR 8
#define ABX_SIMD_XOR 9
#define ABX_SIMD_SCAN_ADD 10   /* inclusive */
#define ABX_SIMD_SCAN_MUL 11
#define ABX_SIMD_XSCAN_ADD 12  /* exclusive */
#define ABX_SIMD_XSCAN_MUL 13
#define ABX_SIMD_OP_MASK 0xff

/* How value and result are to be read: low bits of the 64, the rest 0 (sign bits for I32). */
#define ABX_SIMD_F32 0x000
#define ABX_SIMD_I32 0x100
#define ABX_SIMD_U32 0x200
#define ABX_SIMD_I64 0x300
#define ABX_SIMD_U64 0x400
#define ABX_SIMD_TYPE_MASK 0xf00

#define ABX_SIMD_QUAD 0x1000  /* within each group of four lanes */

#define ABX_SIMD_LANES 32

#define ABX_MATRIX_E1 1         /* the function's result is element e1, not e0 */
#define ABX_MATRIX_TRANSPOSE 2  /* rows in memory are columns */

#endif
