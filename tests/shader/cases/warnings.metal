#include <metal_stdlib>
using namespace metal;
#warning careful
constant int used = 3;
int branch(int a)
{
    int unset;
    if (a)
        unset = 3;
    return unset;
}
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wunused-variable"
int quiet()
{
    int unused = 1;
    return 2;
}
#pragma clang diagnostic pop
kernel void k(device int *x, device float *unused_argument)
{
    int unused = 1;
    x[0] = branch(x[1]) + used + quiet();
    int b = 3.7;
    x[1] = b;
}
// warning: 3:2 careful [-W#warnings]
// warning: 8:9 variable 'unset' is used uninitialized whenever 'if' condition is false [-Wsometimes-uninitialized]
// warning: 22:9 unused variable 'unused' [-Wunused-variable]
// warning: 24:13 implicit conversion from 'float' to 'int' changes value from 3.7 to 3 [-Wliteral-conversion]
// shows: Compilation succeeded with: 
// shows: #warning careful
// shows:     int unused = 1;
// expect: kernel k
