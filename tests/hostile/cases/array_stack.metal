// wants: pipeline a variable of a thread has 1073741824 bytes
kernel void k(device int *x [[buffer(0)]]) {
  int a[1 << 28];
  for (int i = 0; i < x[0]; i++) a[x[i & 7]] = i;
  x[0] = a[x[1]];
}
