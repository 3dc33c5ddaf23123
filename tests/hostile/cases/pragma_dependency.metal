// wants: 2:24 '/etc/passwd' file not found
#pragma GCC dependency "/etc/passwd"
kernel void k(device int *x [[buffer(0)]]) { x[0] = 1; }
