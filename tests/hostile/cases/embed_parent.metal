// wants: 3:8 file not found
constant unsigned char p[] = {
#embed <../../../../../../etc/passwd> limit(16)
};
kernel void k(device int *x [[buffer(0)]]) { x[0] = p[0]; }
