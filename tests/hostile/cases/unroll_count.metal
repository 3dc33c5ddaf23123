// wants: runs
kernel void k(device int *x [[buffer(0)]]) {
#pragma unroll 100000000
  for (int i = 0; i < (x[0] & 255); i++)
    x[x[i] & 63] += i * x[i & 31];
}
