// wants: library line marker directive requires a positive integer
# 4294967295 "a"
# 99999999999999999999 "b"
#line 2147483647 "c"
kernel void k(device int *x [[buffer(0)]]) { x[0] = y; }
