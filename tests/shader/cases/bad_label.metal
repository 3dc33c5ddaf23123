// error: 5:20 inline assembly is not supported in Metal
// error: 6:20 inline assembly is not supported in Metal
// error: 7:20 inline assembly is not supported in Metal
float good(float) asm("air.fast_sin.f32");
float wrong_name() asm("puts");
float wrong_text() asm("air.x" "y");
float wrong_body() asm("air.x;nop");
kernel void k(device float *x) { *x = good(*x); }
