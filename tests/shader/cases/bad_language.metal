#include <metal_stdlib>
kernel void k(device float *x)
{
    asm("nop");
    double d = 1;
    int *p = new int;
    throw 1;
}
struct B {
    virtual void f();
    B(const thread B &) = delete;
};
// error: 4:5 inline assembly is not supported in Metal
// error: 5:5 'double' is not supported in Metal
// error: 6:14 'new' is not supported in Metal
// error: 7:5 exceptions are not supported in Metal
// error: 10:5 virtual functions are not supported in Metal
