#include <metal_stdlib>
#include <metal_raytracing>
using namespace metal;
kernel void k(raytracing::instance_acceleration_structure scene [[buffer(0)]])
{
}
// error: 4:15 ray tracing is not supported yet
