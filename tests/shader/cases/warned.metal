#include <metal_stdlib>
kernel void k(device int *x)
{
    int y;
    x[0] = 1, y;
    if ((x[1] == 0))
        x[2] = y;
}
// warning: 6:15 equality comparison with extraneous parentheses
// shows: Compilation succeeded with: 
// expect: kernel k
