// wants: 2:11 reserved
namespace __abx { int evil; }
kernel void k(device int *x [[buffer(0)]]) { x[0] = 1; }
