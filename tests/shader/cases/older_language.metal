// expect: kernel k
// What later C++ deprecates or finds ambiguous is neither in Metal: no warnings.
#include <metal_stdlib>
using namespace metal;
enum Low { low = 4 };
enum High { high = 8 };
struct Loose {
    int x;
    bool operator==(const thread Loose &o) { return x == o.x; }
};
struct Strict {
    float x;
    bool operator==(thread const Strict &o) const { return x == o.x; }
    bool operator!=(thread const Strict &o) const { return x != o.x; }
};
kernel void k(device uint *out [[buffer(0)]], volatile device uint *count [[buffer(1)]],
        uint i [[thread_position_in_grid]])
{
    uint mask = low | high;
    float scaled = low * 1.5f;
    Loose a{1}, b{2};
    Strict c{1}, d{2};
    bool same = a == b || c == d || c != d;
    volatile threadgroup int turns[2];
    turns[0] = 1;
    turns[1] = turns[0]++;
    *count += 2;
    (*count)++;
    auto more = [=](int z) { return z + int(mask); };
    out[i] = mask + uint(scaled) + same + turns[1] + more(2);
}
