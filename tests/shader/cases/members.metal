// The members of what arguments point to: names, places, [[id(n)]], types inside types.
// expect:     .p offset=0 id=4 data_type=60 size=8
// expect:     .q offset=8 id=7 data_type=2 size=24 count=3 stride=8
// expect:     .in offset=32 id=-1 data_type=1 size=24
// expect:       .b offset=8 id=-1 data_type=2 size=12 count=3 stride=4
// expect:     .h offset=56 id=-1 data_type=16 size=2
// expect:   buffer node type=Node
// expect:       .next offset=8 id=-1 data_type=60 size=8
// expect:   buffer p type=Plain
// expect:     .z offset=8 id=-1 data_type=33 size=4
// expect:   buffer b type=Box<float4>
// expect:     .t offset=0 id=-1 data_type=6 size=16
// expect:     .p offset=16 id=-1 data_type=60 size=8
// expect:   buffer bits type=Bits
// expect:   buffer odd type=Odd
// expect:     .after offset=4 id=-1 data_type=29 size=4
// expect:     .k offset=8 id=-1 data_type=29 size=4
// expect:   buffer out type=float
#include <metal_stdlib>
using namespace metal;
struct Inner { float2 a; int b[3]; };
typedef struct { float x, y; uint z; } Plain;
struct Node { float v; device Node *next; };
namespace n { struct Deep { constant float *p [[id(4)]]; array<device int *, 3> q [[id(7)]]; Inner in; half h = 2; }; }
template <class T> struct Box { T t; device T *p; };
struct Bits { int a : 3; };
struct Odd { union { float f; uint u; }; int after; struct Fwd; static constant int S = 3; typedef int I; I k; };
kernel void f(constant n::Deep &d [[buffer(0)]], device Node *node [[buffer(1)]], constant Plain *p [[buffer(2)]],
  constant Box<float4> &b [[buffer(3)]], constant Bits &bits [[buffer(4)]], constant Odd &odd [[buffer(5)]], device float *out [[buffer(6)]])
{ struct Local { int x; }; Local l{1}; out[0] = d.p[0] + d.q[1][2] + node->next->v + p->x + b.t.x + bits.a + odd.k + l.x; }
