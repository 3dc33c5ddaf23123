// wants: limit
#define F(a, b) int f##a(int x) { return f##b(x) + f##b(x * 3) + f##b(x + 7); }
int f0(int x) { return x * x; }
F(1, 0) F(2, 1) F(3, 2) F(4, 3) F(5, 4) F(6, 5) F(7, 6) F(8, 7) F(9, 8) F(10, 9)
F(11, 10) F(12, 11) F(13, 12) F(14, 13) F(15, 14) F(16, 15)
kernel void k(device int *x [[buffer(0)]]) { x[0] = f16(x[0]); }
