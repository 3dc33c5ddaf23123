// wants: 2:29 reserved
extern "C" const int *const __msl_y_0 = (const int *)0x1234;
kernel void k(device int *x [[buffer(0)]]) { x[0] = 1; }
