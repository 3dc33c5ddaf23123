/* wire: the limits of the API, as in Metal's feature tables for the GPU families we report. Shared
 * by the guest (answers), the compiler (layouts), the host (checks) and the backends. */
#ifndef ABX_WIRE_LIMITS_H
#define ABX_WIRE_LIMITS_H

#define ABX_MAX_BUFFER_BINDINGS 31u
#define ABX_MAX_THREADGROUP_BINDINGS 31u
#define ABX_MAX_THREADS_PER_THREADGROUP 1024u
#define ABX_MAX_THREADGROUP_BYTES 32768u
#define ABX_MAX_SETBYTES_BYTES 4096u

#endif
