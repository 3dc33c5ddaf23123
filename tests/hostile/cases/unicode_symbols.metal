// wants: 2:29 not allowed in an identifier
kernel void k(device int *é€😀 [[buffer(0)]]) { }
