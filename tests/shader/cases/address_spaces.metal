// expect: kernel k
#include <metal_stdlib>
using namespace metal;
struct Item {
    float a;
    static constant constexpr float step = 0.25;
    static const constant int count = 3;
    Item() thread = default;
    Item() constant = default;
    Item(float v) thread : a(v)
    {
    }
    Item(float v) device : a(v)
    {
    }
    float get() const device
    {
        return a;
    }
    float get() const constant
    {
        return a;
    }
    float get() const thread
    {
        return a;
    }
    float get() const threadgroup
    {
        return a;
    }
    template <typename T> enable_if_t<is_integral_v<T>, T> as(T) const thread
    {
        return T(a);
    }
    template <typename T> enable_if_t<!is_integral_v<T>, T> as(T) const thread
    {
        return T(a + 1);
    }
};
float which(device const float *)
{
    return 1;
}
float which(constant float *)
{
    return 2;
}
float which(threadgroup const float *)
{
    return 3;
}
float which(thread const float *)
{
    return 4;
}
float table_sum(constant float table[4])
{
    return table[0] + table[3];
}
constant float table[4] = {1, 2.5, 3, 4};
struct Block {
    float values[4];
};
kernel void k(device float *x, constant Item &item, device Item *items, constant Block &block,
        uint i [[thread_position_in_grid]])
{
    threadgroup float t[4];
    float local = Item::step * Item::count;
    Item copy = item;
    x[i] = which(x) + which(&item.a) + which(t) + which(&local) + table_sum(table) +
           table_sum(block.values) + item.get() + items[i].get() + copy.get() +
           float(copy.as(1)) + copy.as(1.0);
    Item chosen = i > 2 ? item : Item(2.0);
    x[i] += chosen.a;
}
