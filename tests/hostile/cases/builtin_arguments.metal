// wants: 2:21 '__builtin_va_list' is not supported
int f(int n, ...) { __builtin_va_list a; __builtin_va_start(a, n); return __builtin_va_arg(a, int); }
kernel void k(device int *x [[buffer(0)]]) { x[0] = f(1, 2); }
