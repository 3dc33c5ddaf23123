// wants: library cannot pop empty include stack
# 1 "a" 2
# 1 "b" 2
# 1 "c" 2
# 1 "" 1
kernel void k(device int *x [[buffer(0)]]) { x[0] = y; }
