// wants: library use of undeclared identifier 'y'
# 1 "/etc/passwd" 1
# 7 "/etc/shadow" 2
#line 3 "/etc/passwd"
kernel void k(device int *x [[buffer(0)]]) { x[0] = y; }
