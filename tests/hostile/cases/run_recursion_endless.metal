// wants: fault
int f(thread int *above, int n) {
  int own[64];
  for (int i = 0; i < 64; i++) own[i] = above[i] * n + i;
  return n == -1 ? own[3] : f(own, n + 1) + above[n & 63];
}
kernel void k(device int *x [[buffer(0)]]) {
  int a[64];
  for (int i = 0; i < 64; i++) a[i] = x[i];
  x[0] = f(a, x[0] & 7);
}
