// os_log of metal_logging. A message goes into the log buffer of the command buffer, which the host
// binds behind the program's own buffers; there is none where nothing is to be logged. The guest's
// library prints it (src/metal/metal_log.c):
//
//   buffer:  uint used (bytes asked for), uint capacity (bytes behind this), uint dropped, uint 0
//   message: uint bytes (a multiple of 8), uint level (MTLLogLevel), uint arguments, uint text bytes,
//            subsystem, category and format with their NULs, padded to 8; for each argument uint
//            kind (1 signed, 2 unsigned, 3 float), uint how many more belong to it (a vector's
//            components each take an argument's place), ulong value (floats: their bits)
//
// Formatting happens there; a message that does not fit is counted.
#pragma GCC system_header
namespace __abx
{
constexpr int log_relaxed = 0; // memory_order
struct log_buffer {
    uint used, capacity, dropped, reserved;
};
inline device log_buffer *log_memory()
{
    return (device log_buffer *)__abx_buffer(ABX_LOG_BUFFER);
}
template <class T> inline uint log_kind(T)
{
    if constexpr (metal::is_same<T, float>::value || metal::is_same<T, half>::value ||
            metal::is_same<T, bfloat>::value)
        return 3;
    else
        return (T)-1 < (T)0 ? 1 : 2;
}
template <class T> inline ulong log_value(T x)
{
    if constexpr (metal::is_same<T, float>::value || metal::is_same<T, half>::value ||
            metal::is_same<T, bfloat>::value)
        return __builtin_bit_cast(uint, (float)x);
    else
        return (ulong)(long)x;
}
template <class T> struct log_size {
    static constexpr uint value = 1;
};
template <class T, int N> struct log_size<metal::vec<T, N>> {
    static constexpr uint value = N;
};
template <class T, int N> struct log_size<metal::packed_vec<T, N>> {
    static constexpr uint value = N;
};
template <class T> inline device ulong *log_put(device ulong *to, T x, uint more = 0)
{
    if constexpr (log_size<T>::value > 1) {
        for (uint i = 0; i < log_size<T>::value; i++)
            to = log_put(to, x[i], i ? 0 : log_size<T>::value - 1);
        return to;
    } else {
        to[0] = log_kind(x) | (ulong)more << 32;
        to[1] = log_value(x);
        return to + 2;
    }
}
// Room for a message; null when there is none.
inline device uint *log_take(device log_buffer *log, uint bytes)
{
    uint at = __atomic_load_n(&log->used, log_relaxed);
    if (at < log->capacity)
        at = __atomic_fetch_add(&log->used, bytes, log_relaxed);
    if (at < log->capacity && bytes <= log->capacity - at)
        return (device uint *)((device char *)(log + 1) + at);
    __atomic_fetch_add(&log->dropped, 1u, log_relaxed);
    return nullptr;
}
inline uint log_text(device char *to, const char *from)
{
    uint n = 0;
    do
        to[n] = from[n];
    while (from[n++]);
    return n;
}
inline uint log_length(const char *text)
{
    uint n = 0;
    while (text[n])
        n++;
    return n + 1;
}
template <class... T>
inline void log_message(uint level, const char *subsystem, const char *category, const char *format, T... x)
{
    device log_buffer *log = log_memory();
    if (!log)
        return;
    uint text = (log_length(subsystem) + log_length(category) + log_length(format) + 7) / 8 * 8;
    constexpr uint count = (0 + ... + log_size<T>::value);
    uint bytes = 16 + text + 16 * count;
    device uint *to = log_take(log, bytes);
    if (!to)
        return;
    to[0] = bytes, to[1] = level, to[2] = count, to[3] = text;
    device char *at = (device char *)(to + 4);
    at += log_text(at, subsystem);
    at += log_text(at, category);
    log_text(at, format);
    device ulong *argument = (device ulong *)((device char *)(to + 4) + text);
    ((argument = log_put(argument, x)), ...);
}
} // namespace __abx

namespace metal
{
class os_log
{
    const char *subsystem, *category;

public:
    constexpr os_log() : subsystem(""), category("") {}
    constexpr os_log(const char *s, const char *c) : subsystem(s), category(c) {}
#define __MSL_LOG(name, level)                                                                     \
    template <class... T> void name(const char *format, T... x) const                              \
    {                                                                                              \
        __abx::log_message(level, subsystem, category, format, x...);                              \
    }
    __MSL_LOG(log_debug, 1)
    __MSL_LOG(log_info, 2)
    __MSL_LOG(log, 3)
    __MSL_LOG(log_error, 4)
    __MSL_LOG(log_fault, 5)
#undef __MSL_LOG
};
constexpr constant os_log os_log_default;
} // namespace metal
