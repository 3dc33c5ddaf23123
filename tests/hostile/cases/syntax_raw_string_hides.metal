// wants: 3:16 inline assembly
constant char a[] = R"(" //)"; constant char b[] = R"(*/)";
void f() {     asm("nop"); } constant char c[] = R"(")";
kernel void k(device int *x [[buffer(0)]]) { x[0] = 1; }
