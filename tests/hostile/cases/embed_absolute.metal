// wants: 3:8 '/etc/passwd' file not found
constant unsigned char p[] = {
#embed "/etc/passwd"
};
kernel void k(device int *x [[buffer(0)]]) { x[0] = p[0]; }
