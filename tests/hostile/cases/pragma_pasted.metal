// wants: 3:3 reserved
kernel void k(device int *x [[buffer(0)]]) {
  __ABX_CAT(_Prag, ma)("clang __debug crash")
  x[0] = 1;
}
