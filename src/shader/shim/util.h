// Containers and odds and ends: <metal_array>, initializer_list, os_log, uniform.
#pragma GCC system_header
// The compiler makes these of {1, 2, 3}: a pointer and a length. begin() is not const on Apple's.
namespace std
{
template <class T> class initializer_list
{
    const T *__begin;
    size_t __size;

  public:
    typedef T value_type;
    constexpr initializer_list() : __begin(nullptr), __size(0)
    {
    }
    constexpr size_t size() const
    {
        return __size;
    }
    constexpr T *begin() const
    {
        return const_cast<T *>(__begin);
    }
    constexpr T *end() const
    {
        return begin() + __size;
    }
};
} // namespace std
namespace metal
{
using std::initializer_list;
// An array of none: T[N] below is not deduced from T[0].
template <class Array> struct __array {
    typedef __remove_extent(Array) value_type;
    constexpr size_t size() const
    {
        return 0;
    }
    constexpr bool empty() const
    {
        return true;
    }
    constexpr value_type *data() const
    {
        return nullptr;
    }
    constexpr value_type *begin() const
    {
        return nullptr;
    }
    constexpr value_type *end() const
    {
        return nullptr;
    }
    constexpr value_type &operator[](size_t) const
    {
        return *data();
    }
};
template <class T, size_t N> using array = __array<T[N]>; // see vec.h
template <class T, size_t N> struct __array<T[N]> {
    T __e[N];
    typedef T value_type;
    // The element lies where the array does: its address is of that address space.
    template <class Self> constexpr auto &operator[](this Self &&self, size_t i)
    {
        return self.__e[i];
    }
    constexpr size_t size() const
    {
        return N;
    }
    constexpr bool empty() const
    {
        return N == 0;
    }
    constexpr T &front()
    {
        return __e[0];
    }
    constexpr T &back()
    {
        return __e[N - 1];
    }
    constexpr T *data()
    {
        return __e;
    }
    constexpr const T *data() const
    {
        return __e;
    }
    constexpr T *begin()
    {
        return __e;
    }
    constexpr T *end()
    {
        return __e + N;
    }
    constexpr const T *begin() const
    {
        return __e;
    }
    constexpr const T *end() const
    {
        return __e + N;
    }
};
template <class T> __MSL_CFN void swap(thread T &a, thread T &b)
{
    T t = a;
    a = b;
    b = t;
}
template <class T> using uniform = T;
template <class T> __MSL_CFN T make_uniform(T v)
{
    return v;
}
} // namespace metal

// <metal_tessellation>: what a kernel writes for the tessellator.
struct MTLQuadTessellationFactorsHalf {
    half edgeTessellationFactor[4];
    half insideTessellationFactor[2];
};
struct MTLTriangleTessellationFactorsHalf {
    half edgeTessellationFactor[3];
    half insideTessellationFactor;
};
