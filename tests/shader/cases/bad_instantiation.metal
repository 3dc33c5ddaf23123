#include <metal_stdlib>
template <typename T> void f(T x)
{
}
template [[host_name("f_int")]] void f<int>(int);
// error: 5:12 this explicit instantiation names no kernel template
