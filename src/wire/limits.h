/* wire: the limits of the API, as in Metal's feature tables for the GPU families we report. Shared
 * by the guest (answers), the compiler (layouts), the host (checks) and the backends. */
#ifndef ABX_WIRE_LIMITS_H
#define ABX_WIRE_LIMITS_H

#define ABX_MAX_BUFFER_BINDINGS 31u
#define ABX_MAX_THREADGROUP_BINDINGS 31u
/* Where kernels find the command buffer's log: behind the buffers a program can bind. */
#define ABX_LOG_BUFFER 31
#define ABX_BUFFER_SLOTS 32u
#define ABX_MAX_THREADS_PER_THREADGROUP 1024u
#define ABX_MAX_THREADGROUP_BYTES 32768u
#define ABX_MAX_SETBYTES_BYTES 4096u
/* What a reference in the constant address space leads to can be read before the kernel asks for
 * it, up to here: the host sees to it that something is there. */
#define ABX_REFERENCE_BYTES 1024u

/* What the elements of a library operation's matrices are. */
enum abx_element {
    ABX_ELEMENT_FLOAT32 = 1,
    ABX_ELEMENT_FLOAT16 = 2,
    ABX_ELEMENT_BFLOAT16 = 3,
};
/* What not every device can do, bits. Library operations: what a device has a library for that is
 * faster than kernels. */
#define ABX_OPERATION_MATRIX_MULTIPLY 1u
#define ABX_OPERATION_TIMESTAMP 2u
/* Products of matrices whatever the types of their elements; without it, of operands of one type,
 * and results of that or of float. */
#define ABX_OPERATION_MATRIX_MIXED 4u

/* Functions and dynamic libraries that a pipeline is linked with: each is parsed again. */
#define ABX_MAX_LINKS 128u
enum abx_link_kind {
    ABX_LINK_TABLE = 0,   /* a visible function: called by name or through a table */
    ABX_LINK_PRIVATE = 1, /* a visible function, by name only */
    ABX_LINK_LIBRARY = 2, /* a library: what is called by name and defined nowhere else */
};

#endif
