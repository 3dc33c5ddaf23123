#include <metal_stdlib>
using namespace metal;
kernel void k(device float *a, uint i [[thread_position_in_grid]])
{
    foo = 1;
    a[i] =  1.0 +    bar;
    device int *q = a;
    float4 v = a;
}
// error: 5:5 use of undeclared identifier 'foo'
// error: 6:22 use of undeclared identifier 'bar'
// error: 7:17 cannot initialize a variable of type 'device int *' with an lvalue of type 'device float *'
// error: 8:12 no viable conversion from 'device float *' to 'float4'
// shows: program_source:5:5: error: use of undeclared identifier 'foo'
// shows:     foo = 1;
// shows:     ^
// shows:                      ^
