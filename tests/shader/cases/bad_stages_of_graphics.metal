#include <metal_stdlib>
using namespace metal;
void a(patch_control_point<float> p);
void b(ray_data int *p);
void c(object_data int *p);
void d(threadgroup_imageblock int *p);
void e(interpolant<float, interpolation::perspective> p);
void g()
{
    goto end;
end:
    register int r = 1;
    __int128 wide = r;
    auto q = 1.0q;
}
// error: 3:8 tessellation is not supported yet
// error: 4:8 ray tracing is not supported yet
// error: 5:8 mesh shaders are not supported yet
// error: 6:8 imageblocks are not supported yet
// error: 7:8 vertex and fragment functions are not supported yet
// error: 10:5 'goto' is not supported in Metal
// error: 12:5 'register' is not supported in Metal
// error: 13:5 128-bit integers are not supported in Metal
// error: 14:14 invalid suffix 'q' on floating constant
