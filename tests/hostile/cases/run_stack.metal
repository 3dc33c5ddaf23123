// wants: runs
kernel void k(device int *x [[buffer(0)]]) {
  int a[4096];
  for (int i = 0; i < 4096; i++) a[i] = x[i & 15] + i;
  x[0] = a[x[1] & 4095];
}
