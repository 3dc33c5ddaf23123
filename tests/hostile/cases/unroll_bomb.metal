// wants: runs
kernel void k(device int *x [[buffer(0)]]) {
#pragma clang loop unroll(full)
  for (int i = 0; i < 100000; i++)
#pragma clang loop unroll(full)
    for (int j = 0; j < 1000; j++)
      x[x[i + j] & 63] += i * j;
}
