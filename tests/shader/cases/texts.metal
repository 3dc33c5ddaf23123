// Texts lie in the constant address space.
#include <metal_stdlib>
using namespace metal;
constant char letters[] = "letters";
static_assert(sizeof("abc") == 4, "the end has room");
[[deprecated("an attribute's")]] inline int old() { return 1; }
constant os_log logger("subsystem", "category");
inline int length(constant const char *s)
{
    int n = 0;
    while (s[n])
        n++;
    return n;
}
inline int show(constant const char *s) { return length(s); }
inline int show(long n) { return n; }
template <typename... Args> int show_all(constant const char *file, int line, constant const char *function, Args... args)
{
    return (show(file) + ... + show(args)) + line + show(function);
}
kernel void k(device int *o [[buffer(0)]], uint t [[thread_position_in_grid]])
{
    constant char *pointer = "pointer";
    char own[] = "array";
    o[0] = length("a" "bc") + length(pointer) + letters[1] + own[t];
    o[1] = show_all(__FILE__, __LINE__, __func__, "index ", 3L, " of ", 4L);
    o[2] = isnan(NAN) ? length("x") : length("yy");
    logger.log("value %d", o[0]);
}
