// wants: library use of undeclared identifier 'y'
# 1 "/etc/passwd" 1 3 4
kernel void k(device int *x [[buffer(0)]]) { x[0] = y; }
