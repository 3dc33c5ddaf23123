#include <metal_stdlib>
using namespace metal;
int counter;
static float gain = 1.5;
device int *pointer;
threadgroup float shared[4];
namespace inner
{
metal::vec<float, 4> vector{1, 2};
}
constant int fine = 3;
constant float table[] = {1, 2};
static constant constexpr int also_fine = 4;
struct S {
    int member;
    static constant int of_class = 5;
};
enum E : int { A, B };
template <typename T> constant T generic = T(1);
constant int *to_constant = &fine;
constant const char *names[] = {"a", "b"};
constant int *constant in_constant = &fine;
constant char *const own_names[] = {"c", "d"};
int function(int);
using Alias = int;
typedef int Defined;
kernel void k(device int *x)
{
    static int calls = 0;
    static constant int allowed[2] = {1, 2};
    int local[2] = {x[0], x[1]};
    int variable[x[2]];
    x[0] = allowed[1] + local[0];
}
// error: 3:5 program scope variable must reside in constant address space
// error: 4:14 program scope variable must reside in constant address space
// error: 5:13 program scope variable must reside in constant address space
// error: 6:19 program scope variable must reside in constant address space
// error: 9:22 program scope variable must reside in constant address space
// error: 20:15 program scope variable must reside in constant address space
// error: 21:22 program scope variable must reside in constant address space
// error: 29:5 a static variable in a function must reside in constant address space
