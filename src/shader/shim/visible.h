// Calls of functions that are only known when a pipeline is made: [[visible]] functions and
// visible_function_table. The rewriter gives each visible function an entry
//
//   __ABX_VISIBLE(id, function)    `__abx_v_<id>`: the function and its type
//
// A table in memory holds numbers: 1 + the function's place among those its pipeline was linked
// with, 0 for none. A call is a call of dispatch<type>::call, whose body codegen/link.c makes: a
// switch over the linked functions of just that type. What memory holds never becomes an address.
#pragma GCC system_header
namespace __abx
{
template <class F> struct dispatch;
template <class R, class... A> struct dispatch<R(A...)> {
    static R call(A..., uint handle);
    static const char marker; // its symbol's name spells the type
};
template <class R, class... A> const char dispatch<R(A...)>::marker = 0;
template <class F> struct visible {
    F *function;
    const char *type;
};
struct table {
    uint count, reserved;
    uint handles[1]; // `count` of them
};
} // namespace __abx

namespace metal
{
template <class F> class visible_function_table;
template <class R, class... A> class visible_function_table<R(A...)>
{
    device const __abx::table *entries;

public:
    // What [] gives: it can be called and tested, which is all a function in a table is good for.
    class function_type
    {
        uint handle;

    public:
        explicit function_type(uint h) : handle(h) {}
        R operator()(A... a) const
        {
            return __abx::dispatch<R(A...)>::call(a..., handle);
        }
        explicit operator bool() const
        {
            return handle != 0;
        }
    };
    typedef R signature(A...);

    visible_function_table() : entries(nullptr) {}
    explicit visible_function_table(device const __abx::table *t) : entries(t) {}
    size_t size() const
    {
        return entries ? entries->count : 0;
    }
    bool empty() const
    {
        return size() == 0;
    }
    function_type operator[](size_t i) const
    {
        return function_type(i < size() ? entries->handles[i] : 0);
    }
    friend bool is_null_visible_function_table(visible_function_table t)
    {
        return !t.entries;
    }
};
} // namespace metal

namespace __abx
{
template <class F> struct pointee<metal::visible_function_table<F>> {
    static constexpr int space = SPACE_DEVICE, writable = 0;
    static constexpr uint size = sizeof(void *), align = alignof(void *);
    typedef metal::visible_function_table<F> data;
    static __attribute__((always_inline)) metal::visible_function_table<F> get(void *p)
    {
        return metal::visible_function_table<F>((device const table *)p);
    }
};
template <class F>
struct pointee<const metal::visible_function_table<F>> : pointee<metal::visible_function_table<F>> {};
} // namespace __abx

#define __ABX_VISIBLE(id, ...)                                                                     \
    extern "C" __attribute__((used))                                                               \
    const __abx::visible<__remove_reference_t(decltype(__VA_ARGS__))> __ABX_CAT(__abx_v_, id) = {  \
            &__VA_ARGS__, &__abx::dispatch<__remove_reference_t(decltype(__VA_ARGS__))>::marker};
