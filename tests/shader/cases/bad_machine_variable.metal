#include <metal_stdlib>
using namespace metal;
uint at [[thread_position_in_grid]];
struct late {
    uint get() { return at; }
    uint at;
};
kernel void k(device uint *out [[buffer(0)]])
{
    out[at] = 1;
}
// error: 6:10 'at' hides a variable that the machine fills in, which is not supported here
