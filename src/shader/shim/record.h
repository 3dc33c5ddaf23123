// What the rewriter appends after declarations so that the compiler itself says what only it knows:
// data types, sizes, values of constant expressions. frontend/reflect.c reads the records back from the
// bitcode, as hostile input: nothing stops a program from forging one.
//
//   __MSL_CONSTANT(id, name, index)       after `constant T name [[function_constant(index)]];`
//   __MSL_THREADS(id, x, y, z)            limit of kernel `id`: [[max_total_threads_...]] x, 0, 0
//                                         or [[required_threads_...]] 0, x | y << 16 ...
//   __MSL_TYPES(id, kernel)               the MTLDataType of each argument of kernel `id`, and
//                                         its type in full (members.h)
#pragma GCC system_header
namespace __msl
{
// MTLDataType
template <class T> constexpr int data_type = __is_class(T) || __is_union(T) ? 1 : 0;
#define __MSL_DATA_TYPE(T, scalar)                                                                 \
    template <> constexpr int data_type<T> = scalar;                                               \
    template <> constexpr int data_type<metal::vec<T, 2>> = scalar + 1;                            \
    template <> constexpr int data_type<metal::vec<T, 3>> = scalar + 2;                            \
    template <> constexpr int data_type<metal::vec<T, 4>> = scalar + 3;                            \
    template <> constexpr int data_type<metal::packed_vec<T, 2>> = scalar + 1;                     \
    template <> constexpr int data_type<metal::packed_vec<T, 3>> = scalar + 2;                     \
    template <> constexpr int data_type<metal::packed_vec<T, 4>> = scalar + 3;
__MSL_DATA_TYPE(float, 3)
__MSL_DATA_TYPE(half, 16)
__MSL_DATA_TYPE(int, 29)
__MSL_DATA_TYPE(uint, 33)
__MSL_DATA_TYPE(short, 37)
__MSL_DATA_TYPE(ushort, 41)
__MSL_DATA_TYPE(char, 45)
__MSL_DATA_TYPE(uchar, 49)
__MSL_DATA_TYPE(bool, 53)
__MSL_DATA_TYPE(long, 81)
__MSL_DATA_TYPE(ulong, 85)
__MSL_DATA_TYPE(bfloat, 121)
template <> constexpr int data_type<signed char> = 45;
#define __MSL_MATRIX_TYPE(T, first)                                                                \
    template <> constexpr int data_type<metal::matrix<T, 2, 2>> = first;                           \
    template <> constexpr int data_type<metal::matrix<T, 2, 3>> = first + 1;                       \
    template <> constexpr int data_type<metal::matrix<T, 2, 4>> = first + 2;                       \
    template <> constexpr int data_type<metal::matrix<T, 3, 2>> = first + 3;                       \
    template <> constexpr int data_type<metal::matrix<T, 3, 3>> = first + 4;                       \
    template <> constexpr int data_type<metal::matrix<T, 3, 4>> = first + 5;                       \
    template <> constexpr int data_type<metal::matrix<T, 4, 2>> = first + 6;                       \
    template <> constexpr int data_type<metal::matrix<T, 4, 3>> = first + 7;                       \
    template <> constexpr int data_type<metal::matrix<T, 4, 4>> = first + 8;
__MSL_MATRIX_TYPE(float, 7)
__MSL_MATRIX_TYPE(half, 20)
template <class F> constexpr int data_type<metal::visible_function_table<F>> = 115;
template <class T> constexpr int data_type<metal::atomic<T>> = data_type<T>;
template <class T> constexpr int data_type<const T> = data_type<T>;
template <class T> constexpr int data_type<volatile T> = data_type<T>;
template <class T> constexpr int data_type<const volatile T> = data_type<T>;

} // namespace __msl
#include "members.h"
namespace __msl
{
struct constant_info {
    const char *name;
    int index, type;
    uint size;
};

template <class F> struct types_of;
template <class... P> struct types_of<void(P...)> {
    static constexpr int info[sizeof...(P) + 1] = {
            data_type<typename __abx::pointee<P>::data>..., 0};
    static constexpr const type *types[sizeof...(P) + 1] = {
            &type_of<typename __abx::pointee<P>::data, 0>::value..., nullptr};
};
} // namespace __msl

#define is_function_constant_defined(name) (__msl_given_##name)
#define __MSL_CONSTANT(id, name, ...)                                                              \
    extern "C" __attribute__((used)) const __msl::constant_info __ABX_CAT(__msl_c_, id) = {        \
            #name, (int)(__VA_ARGS__), __msl::data_type<metal::remove_addrspace_t<decltype(name)>>,              \
            (uint)sizeof(name)};
#define __MSL_THREADS(id, ...)                                                                     \
    extern "C" __attribute__((used)) const uint __ABX_CAT(__msl_t_, id)[4] = {__VA_ARGS__};
#define __MSL_TYPES(id, ...)                                                                       \
    extern "C" __attribute__((used)) const int *const __ABX_CAT(__msl_y_, id) =                    \
            __msl::types_of<__remove_reference_t(decltype(__VA_ARGS__))>::info;                    \
    extern "C" __attribute__((used)) const __msl::type *const *const __ABX_CAT(__msl_m_, id) =     \
            __msl::types_of<__remove_reference_t(decltype(__VA_ARGS__))>::types;
