// macro: A -include /etc/passwd
// macro: -include=/etc/passwd
// macro: @/etc/passwd
// wants: library macro
kernel void k(device int *x [[buffer(0)]]) { x[0] = 1; }
