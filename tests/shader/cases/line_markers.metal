// error: 501:2 use of undeclared identifier 'nothing'
// shows: other.metal:501:2: error: use of undeclared identifier 'nothing'
#include <metal_stdlib>
kernel void k(device int *x)
{
#line 501 "other.metal"
    nothing = 1;
}
