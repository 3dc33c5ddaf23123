// wants: fault
kernel void k(device int *x [[buffer(0)]]) {
  int a[1 << 18];
  int b[1 << 18];
  for (int i = 0; i < 1 << 18; i++) a[i] = x[i & 7] + i, b[i] = x[i & 3] * i;
  *(thread int *)((ulong)a - (x[63] ? 0 : 64 << 20)) = b[x[0] & 255];
  x[1] = a[x[0] & 255] + b[x[2] & 255];
}
