// What a structure's members are, for argument buffers and MTLStructType. C++ cannot list them, so
// the rewriter appends to each class (rewrite/members.c)
//
//   __MSL_MEMBERS(__MSL_MEMBER(name, id) ...)    id: of [[id(n)]], -1 without
//
// and __MSL_TYPES (record.h) makes the tables of what a kernel's arguments point to. reflect_types.c
// reads them, as hostile input.
#pragma GCC system_header
namespace __msl
{
struct member;
// MTLDataType; count, stride: of an array; element: of an array or pointer.
struct type {
    int data_type, writable;
    uint size, align, count, stride;
    const type *element;
    const member *members;
    uint member_count;
};
struct member {
    const char *name;
    int id;
    uint offset;
    const type *of;
};

template <class... T> struct void_of {
    typedef void type;
};
template <class T, class = void> constexpr bool is_complete = false;
template <class T> constexpr bool is_complete<T, typename void_of<decltype(sizeof(T))>::type> = !__is_void(T);

// How many pointers are followed from an argument on: a list's element points to its like.
constexpr int max_pointers = 4;

template <class T, int Depth, class = void> struct members_of {
    static constexpr const member *list = nullptr;
    static constexpr uint count = 0;
};
template <class T, int Depth>
struct members_of<T, Depth, typename void_of<typename T::template __msl_members<T, Depth>>::type> {
    typedef typename T::template __msl_members<T, Depth> members;
    static constexpr const member *list = members::list;
    static constexpr uint count = sizeof(members::list) / sizeof(member);
};

template <class T, int Depth> constexpr type describe()
{
    if constexpr (!is_complete<T>)
        return {0, 0, 0, 1, 0, 0, nullptr, nullptr, 0};
    else
        return {data_type<T>, 0, sizeof(T), alignof(T), 0, 0, nullptr, members_of<T, Depth>::list,
                members_of<T, Depth>::count};
}
template <class T, int Depth> struct type_of {
    static constexpr type value = describe<T, Depth>();
};
template <class T, int Depth> struct type_of<const T, Depth> : type_of<T, Depth> {};
template <class T, int Depth> struct type_of<volatile T, Depth> : type_of<T, Depth> {};
template <class T, int Depth> struct type_of<const volatile T, Depth> : type_of<T, Depth> {};
#define __MSL_ARRAY_TYPE(...)                                                                      \
    template <class T, size_t N, int Depth> struct type_of<__VA_ARGS__, Depth> {                   \
        static constexpr type value = {2, 0, sizeof(__VA_ARGS__), alignof(T), (uint)N, sizeof(T),  \
                &type_of<T, Depth>::value, nullptr, 0};                                            \
    };
__MSL_ARRAY_TYPE(T[N])
__MSL_ARRAY_TYPE(const T[N])
__MSL_ARRAY_TYPE(metal::array<T, N>)
#undef __MSL_ARRAY_TYPE

template <class T, int Depth, bool Follow = (Depth < max_pointers)> struct target {
    static constexpr const type *value = &type_of<T, Depth + 1>::value;
};
template <class T, int Depth> struct target<T, Depth, false> {
    static constexpr const type *value = nullptr;
};
#define __MSL_POINTER_TYPE(SPACE, mutable_)                                                        \
    template <class T, int Depth> struct type_of<SPACE T *, Depth> {                               \
        static constexpr type value = {                                                            \
                60, mutable_, sizeof(void *), alignof(void *), 0, 0, target<T, Depth>::value, nullptr, 0}; \
    };
__MSL_POINTER_TYPE(device, !__abx::is_const<T>::value)
__MSL_POINTER_TYPE(constant, 0)
__MSL_POINTER_TYPE(, !__abx::is_const<T>::value)
#undef __MSL_POINTER_TYPE
} // namespace __msl

#define __MSL_MEMBERS(...)                                                                         \
public:                                                                                            \
    template <class __msl_S, int __msl_D> struct __msl_members {                                   \
        static constexpr __msl::member list[] = {__VA_ARGS__};                                     \
    };
#define __MSL_MEMBER(name, id)                                                                     \
    {#name, id, (uint)__builtin_offsetof(__msl_S, name),                                           \
            &__msl::type_of<decltype(__msl_S::name), __msl_D>::value},
