// The language: objects in every address space, classes, templates, layout, control flow.
#include <metal_stdlib>
using namespace metal;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition) && !line[i])                                                              \
            line[i] = __LINE__;                                                                    \
    } while (0)
#define ARGUMENTS                                                                                  \
    device uint *line [[buffer(0)]], device const uint *data [[buffer(1)]],                        \
            device uint *scratch [[buffer(2)]], uint i [[thread_position_in_grid]],                \
            uint t [[thread_index_in_threadgroup]]

constant float weights[] = {0.5, 1.5, 2.5, 3.5};
constant int table[2][3] = {{1, 2, 3}, {4, 5, 6}};
constant float3 axis = {0, 1, 2};
struct Pair {
    int a;
    float b;
};
constant Pair pairs[] = {{1, 2.0}, {3, 4.0}};
constant constexpr uint sizes[3] = {sizeof(Pair), sizeof(float3), alignof(float4)};

enum class Mode : uchar { none, some = 7, all };
enum { first = 3, second };
union Bits {
    float f;
    uint u;
    uchar4 bytes;
};
struct Fields {
    uint low : 5;
    uint middle : 11;
    int high : 16;
};
struct alignas(32) Aligned {
    uchar c;
};
struct Layout {
    uchar a;
    float3 b;
    packed_float3 c;
    half d;
    bool e;
    long f;
};
static_assert(sizeof(Layout) == 64, "as on Apple's GPUs");

struct Counter {
    int n;
    Counter() : n(0) {}
    explicit Counter(int start) : n(start) {}
    thread Counter &add(int by) thread
    {
        n += by;
        return *this;
    }
    int get() const thread { return n; }
    int get() const device { return n + 100; }
    int get() const constant { return n + 1000; }
    Counter operator+(Counter o) const { return Counter(n + o.n); }
    operator int() const { return n; }
    static int made(int x) { return x * 2; }
    static constant constexpr int limit = 9;
};

template <int N> struct Indices {
    const array<const device uint *, N> buffers;
    const int ndim;
};

template <typename T, int N> struct Stack {
    array<T, N> items;
    int used = 0;
    void push(T x) { items[used++] = x; }
    T pop() { return items[--used]; }
    template <typename F> T fold(T start, F f) const
    {
        for (int k = 0; k < used; k++)
            start = f(start, items[k]);
        return start;
    }
};

template <int N> int power(int x) { return x * power<N - 1>(x); }
template <> int power<0>(int) { return 1; }
template <typename... T> int total(T... x) { return (0 + ... + int(x)); }
template <typename T, enable_if_t<is_integral_v<T>, bool> = true> int kind(T) { return 1; }
template <typename T, enable_if_t<is_floating_point_v<T>, bool> = true> int kind(T) { return 2; }
template <typename T, int N> int kind(vec<T, N>) { return 10 * N + kind(T()); }

int where(device const uint *) { return 1; }
int where(threadgroup const uint *) { return 2; }
int where(constant const int *) { return 3; }
int where(thread const int *) { return 4; }

void exchange(thread int &a, thread int &b)
{
    int c = a;
    a = b;
    b = c;
}
void increase(device uint &x, uint by) { x += by; }
int ack(int m, int n) { return m == 0 ? n + 1 : n == 0 ? ack(m - 1, 1) : ack(m - 1, ack(m, n - 1)); }

kernel void data_and_layout(ARGUMENTS)
{
    uint k = data[i % 4096] % 4;
    CHECK(weights[k] == 0.5f + k && table[k & 1][k % 3] == int((k & 1) * 3 + k % 3 + 1));
    CHECK(axis[k % 3] == float(k % 3) && axis.zyx.x == 2 && pairs[k & 1].b == (k & 1 ? 4.0f : 2.0f));
    CHECK(sizes[0] == 8 && sizes[1] == 16 && sizes[2] == 16);
    CHECK(uint(Mode::all) == 8 && second == 4 && sizeof(Mode) == 1);
    Bits b;
    b.f = float(data[1]);
    CHECK(b.u == 0x3f800000u && b.bytes.w == 0x3f && b.bytes.z == 0x80);
    Fields f = {data[i % 4096], data[i % 4096] >> 3, int(data[i % 4096])};
    CHECK(f.low == (data[i % 4096] & 31) && f.middle == (data[i % 4096] >> 3 & 2047));
    CHECK(f.high == int(short(data[i % 4096])) && sizeof(f) == 4);
    f.middle++;
    CHECK(f.middle == ((data[i % 4096] >> 3) + 1 & 2047) && f.low == (data[i % 4096] & 31));
    CHECK(sizeof(Aligned) == 32 && alignof(Aligned) == 32);
    device uint *mine = scratch + i * 16;
    device Layout *l = (device Layout *)mine;
    l->b = float3(1, 2, 3);
    l->c = packed_float3(4, 5, 6);
    l->d = 7.0h, l->e = true, l->f = -8;
    CHECK(as_type<float>(mine[5]) == 2 && as_type<float>(mine[8]) == 4 && as_type<float>(mine[10]) == 6);
    CHECK(as_type<half2>(mine[11]).x == 7.0h && (mine[11] >> 16 & 255) == 1 && mine[12] == 0xfffffff8u);
    CHECK(all(float3(l->c) == float3(4, 5, 6)) && l->c.zyx.x == 6);
    l->c.xz = float2(8, 9);
    CHECK(as_type<float>(mine[8]) == 8 && as_type<float>(mine[9]) == 5 && as_type<float>(mine[10]) == 9);
    device packed_float3 *packed = (device packed_float3 *)mine;
    packed[1] = float3(1, 2, 3) * float(data[2]);
    packed[1] += float3(1);
    packed[1].y = 0.5f;
    CHECK(as_type<float>(mine[3]) == 3 && as_type<float>(mine[4]) == 0.5f && as_type<float>(mine[5]) == 7);
    Layout copy = *l;
    copy.f++;
    CHECK(copy.f == l->f + 1 && copy.b.y == l->b.y);
}

kernel void classes(ARGUMENTS)
{
    int x = int(data[i % 4096] % 1000);
    Counter c(x);
    CHECK(c.add(2).add(3).get() == x + 5 && int(c + Counter(1)) == x + 6);
    CHECK(Counter::made(4) == 8 && Counter::limit == 9 && Counter().get() == 0);
    device Counter *stored = (device Counter *)(scratch + i);
    *stored = c;
    Counter back = *stored;
    CHECK(back.n == x + 5);
    Stack<int, 8> s;
    for (int k = 0; k < 5; k++)
        s.push(x + k);
    CHECK(s.pop() == x + 4 && s.used == 4);
    CHECK(s.fold(1, [](int a, int b) { return a + b; }) == 1 + 4 * x + 6);
    int sum = 0;
    s.fold(0, [&](int a, int b) { sum += b; return 0; });
    CHECK(sum == 4 * x + 6);
    CHECK(power<5>(x % 5) == (x % 5) * (x % 5) * (x % 5) * (x % 5) * (x % 5));
    CHECK(total(x, 1.5f, short(2), true) == x + 4);
    CHECK(kind(x) == 1 && kind(1.0h) == 2 && kind(float3(1)) == 32 && kind(uchar4(1)) == 41);
    array<float2, 3> a = {float2(1), float2(2), float2(3)};
    a[x % 3] = float2(x);
    float2 most = 0;
    for (float2 v : a)
        most = max(most, v);
    CHECK(most.x == max(float(x), x % 3 == 2 ? 2.0f : 3.0f) && a.size() == 3);
    const Indices<0> none = {{}, 1};
    CHECK(none.buffers.size() == 0 && none.buffers.empty() && none.ndim == 1);
    for (const device uint *p : none.buffers)
        CHECK(!p && none.ndim == 2);
}

kernel void address_spaces(ARGUMENTS, uint size [[threads_per_threadgroup]])
{
    threadgroup uint shared[1024];
    threadgroup uint2 rows[4][8];
    shared[t] = t;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    int local[3] = {1, 2, int(t)};
    CHECK(where(data) == 1 && where(shared) == 2 && where(&table[0][0]) == 3 && where(local) == 4);
    exchange(local[0], local[2]);
    CHECK(local[0] == int(t) && local[2] == 1);
    increase(scratch[i], 5);
    increase(scratch[i], data[i % 4096] & 3);
    CHECK(scratch[i] == 5 + (data[i % 4096] & 3));
    threadgroup uint *p = shared + t;
    threadgroup uint *thread *pp = &p;
    CHECK(**pp == t);
    if (t > 0)
        CHECK(*--p == t - 1 && **pp == t - 1);
    device const uint *from = data + 8, *to = from + 24;
    CHECK(to - from == 24 && from < to && *(to - 24) == data[8]);
    if (t == 0)
        rows[3][7] = uint2(4, size);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    CHECK(rows[3][7].y == size && (&rows[3][0])[7].x == 4);
    const device uchar *bytes = (const device uchar *)(data + 6);
    CHECK(bytes[3] == 0x3f && *(const device ushort *)(bytes + 2) == 0x3f80);
    device const float4 *vectors = reinterpret_cast<device const float4 *>(data + 4);
    CHECK(vectors->z == 1.0f && (*vectors)[3] == -1.0f);
    thread const int *none = nullptr;
    CHECK(!none && none == nullptr);
}

// What methods and columns refer to is in the object's address space.
template <class T, size_t N> struct Cells {
    T cell[N ? N : 1];
    thread T &operator[](size_t n) thread { return cell[n]; }
    constexpr const thread T &operator[](size_t n) const thread { return cell[n]; }
    device T &operator[](size_t n) device { return cell[n]; }
    constexpr const device T &operator[](size_t n) const device { return cell[n]; }
    constexpr const constant T &operator[](size_t n) const constant { return cell[n]; }
    threadgroup T &operator[](size_t n) threadgroup { return cell[n]; }
    constexpr const threadgroup T &operator[](size_t n) const threadgroup { return cell[n]; }
    device T *end() device { return cell + N; }
};
struct Table {
    Cells<Cells<uint, 2>, 4> rows;
    float2x2 turn;
};
constant Cells<int, 3> fixed = {{7, 8, 9}};
uint kind_of(device const uint *) { return 1; }
uint kind_of(threadgroup const uint *) { return 2; }
uint kind_of(thread const uint *) { return 3; }
int from_constant(constant const int *p) { return *p; }
float from_column(device const float2 *c) { return c->x; }

kernel void spaces_of_results(ARGUMENTS)
{
    threadgroup Cells<uint, 4> shared;
    device Table &mine = *(device Table *)(scratch + i * 16);
    device const Table &read = mine;
    Cells<uint, 2> own = {{1, 2}};
    mine.rows[3][1] = data[0] + 5;
    mine.turn = float2x2(float2(1, 2), float2(3, float(data[1])));
    if (t == 0)
        shared[2] = 11;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    CHECK(kind_of(&mine.rows[3][1]) == 1 && kind_of(&read.rows[3][1]) == 1);
    CHECK(kind_of(&shared[2]) == 2 && kind_of(&own[1]) == 3 && own[1] == 2);
    device uint *const cell = &mine.rows[3][1];
    threadgroup uint *const other = &shared[2];
    *cell += 1;
    CHECK(read.rows[3][1] == data[0] + 6 && *other == 11 && scratch[i * 16 + 7] == *cell);
    CHECK(from_constant(&fixed[2]) == 9 && mine.rows.end() - &mine.rows[0] == 4);
    device float2 *column = &mine.turn[1];
    column->y += 1;
    CHECK(from_column(&read.turn[1]) == 3 && read.turn[1].y == float(data[1]) + 1);
    threadgroup uchar bytes[64];
    threadgroup half *halves = reinterpret_cast<threadgroup half *>(&bytes[2]);
    CHECK((threadgroup uchar *)halves == bytes + 2);
}

struct Defaulted {
    Defaulted() = default;
    int a, b;
};

// Words that are none of Metal's C++.
kernel void older_language(ARGUMENTS)
{
    int concept = 1, requires = 2, consteval = 3, co_await = 4;
    CHECK(concept + requires + consteval + co_await == 10);
    Defaulted d = {5, int(data[0])};
    CHECK(d.a == 5 && d.b == int(data[0]));
    CHECK(all((int2(-8, 8) >> uint2(1, 2)) == int2(-4, 2)) && all((uint3(1) << int3(0, 1, 2)) == uint3(1, 2, 4)));
    float3 v = float3(3, 0, 4) * float(data[1]);
    CHECK(fast::length(v) == 5 && precise::distance(v, float3(0)) == 5 && fast::normalize(v).z == 0.8f);
}

kernel void control(ARGUMENTS)
{
    int x = int(data[i % 4096] % 100), steps = 0, n = x;
    while (n != 1 && steps < 200) {
        if (n <= 0)
            break;
        n = n & 1 ? 3 * n + 1 : n / 2;
        steps++;
    }
    CHECK(n == (x == 0 ? 0 : 1));
    int sum = 0;
    for (int k = 0; k < 20; k++) {
        if (k == x % 20)
            continue;
        for (int m = k;; m++) {
            if (m > k + 2)
                break;
            sum += m;
        }
    }
    CHECK(sum == 3 * (190 - x % 20) + 3 * 19);
    int what = 0;
    switch (x % 6) {
    case 0:
    case 1:
        what = 10;
        break;
    case 2:
        what = 20;
    case 3:
        what += 30;
        break;
    default:
        what = -1;
    }
    int m = x % 6;
    CHECK(what == (m < 2 ? 10 : m == 2 ? 50 : m == 3 ? 30 : -1));
    do
        m--;
    while (m > 0);
    CHECK(m == (x % 6 > 0 ? 0 : -1));
    CHECK(ack(2, x % 4) == 2 * (x % 4) + 3);
    int y = 3;
    {
        int y = x;
        y++;
        CHECK(y == x + 1);
    }
    if (int z = x + y; z > 50)
        CHECK(x > 47);
    CHECK((x > 50 && (y = 7, true)) == (x > 50) && y == (x > 50 ? 7 : 3));
    auto [whole, part] = Pair{x / 7, float(x % 7)};
    CHECK(whole * 7 + int(part) == x);
    uchar small = uchar(x);
    small += 200;
    CHECK(small == uchar(x + 200) && (char(200) < 0) && ushort(-1) == 65535);
    CHECK((1 << (32 + (x & 3))) == 1 << (x & 3));
    CHECK(-7 / 2 == -3 && -7 % 2 == -1 && (-7 >> 1) == -4 && (int(data[5]) >> 31) == -1);
}

kernel void vectors(ARGUMENTS)
{
    float a = float(data[i % 4096] & 255);
    float4 v(a, 2, float2(3, 4));
    CHECK(all(v.wzyx == float4(4, 3, 2, a)) && all(v.xxyy.zw == float2(2)));
    v.zw = v.xy;
    CHECK(all(v == float4(a, 2, a, 2)) && all(v.rgba == v) && v.b == a);
    v.yx = float2(5, 6);
    CHECK(v.x == 6 && v.y == 5);
    v.xyz *= 2.0f;
    v.w++;
    CHECK(all(v == float4(12, 10, 2 * a, 3)));
    uint k = data[i % 4096] >> 8 & 3;
    v[k] = -1;
    CHECK(v[k] == -1 && (k == 0 || v.x == 12));
    int3 n = int3(v.xyz);
    n <<= 1;
    CHECK(n.y == (k == 1 ? -2 : 20) && all((n & ~n) == int3(0)));
    bool3 b = n > int3(0);
    CHECK(b.y == (k != 1) && any(b) && (b.x || !all(b)));
    CHECK(all(select(n, int3(7), b) == int3(b.x ? 7 : n.x, b.y ? 7 : n.y, b.z ? 7 : n.z)));
    float3 c = cross(float3(1, 0, 0), float3(0, a, 0));
    CHECK(c.z == a && dot(c, c) == a * a && length(float2(3 * a, 4 * a)) == 5 * a);
    CHECK(fabs(length(normalize(float3(a + 1, 2, 3))) - 1) < 1e-6f && distance(c, c) == 0);
    CHECK(all(reflect(float2(1, -1), float2(0, 1)) == float2(1, 1)) && all(faceforward(c, -c, c + float3(1)) == c));
    CHECK(all(as_type<uchar4>(data[7]) == uchar4(0, 0, 0x80, 0xbf)));
    CHECK(all(float2(as_type<half2>(data[16])) == float2(1, 1)) && all(as_type<ushort2>(0x10002u) == ushort2(2, 1)));
    half4 h = half4(v) + 1.0h;
    CHECK(float(h.w) == (k == 3 ? 0.0f : 4.0f));
    ulong2 wide = ulong2(1ul << 40, 3) * ulong(a + 1);
    CHECK(wide.x == (1ul << 40) * ulong(a + 1) && all(long2(-1) < long2(0)));
    CHECK(all(mix(float2(0, 10), float2(10, 20), 0.5f) == float2(5, 15)) && all(clamp(v, 0.0f, 1.0f) >= 0.0f));
    char4 narrow = char4(int4(127, 128, 255, -129));
    CHECK(narrow.x == 127 && narrow.y == -128 && narrow.z == -1 && narrow.w == 127);
    uint4 partial = {1, 2};
    CHECK(partial.z == 0 && partial.w == 0 && all(max(int2(3, -3), 0) == int2(3, 0)));
    float4 m = {1, 2, 3, 4};
    m.xw = m.wx;
    thread float4 &r = m;
    r.y = 9;
    CHECK(all(m == float4(4, 9, 3, 1)));
}

// ---- methods overloaded on the address space of their object

struct Counted {
    int n, d[2];
    int get(int k) device const
    {
        return n + k;
    }
    int get(int k) const;
    int get(int k) threadgroup const
    {
        return n * k;
    }
    int sum() device const
    {
        int s = 0;
        for (int n = 0; n < 2; n++)
            s += at(&d[n]);
        return s + get(1) + this->get(2);
    }
    static int at(device const int *p)
    {
        return *p;
    }
    void put(int k) device;
};
int Counted::get(int k) const
{
    return n - k;
}
void Counted::put(int k) device
{
    n = k;
    d[1] = get(k);
}
kernel void qualified(device uint *line, device const uint *data, device uint *scratch,
        uint i [[thread_position_in_grid]])
{
    device Counted *c = (device Counted *)scratch + i;
    threadgroup Counted shared[1024];
    threadgroup Counted &t = shared[i & 1023];
    Counted mine;
    c->n = 5, c->d[0] = 7;
    c->put(6);
    mine.n = t.n = 10;
    CHECK(c->n == 6 && c->d[1] == 12);
    CHECK(c->get(3) == 9 && mine.get(3) == 7 && t.get(3) == 30);
    CHECK(c->sum() == 7 + 12 + 7 + 8);
}

// A block of some thousand calls, which is taken apart before they are put in their place.
static uint step_of(uint x, thread uint *last)
{
    if (x & 1)
        *last = x;
    return x * 1664525 + 1013904223;
}

#define FOUR(x) x x x x
kernel void long_block(ARGUMENTS)
{
    uint a = data[i], b = a, last_a = 0, last_b = 0;
    FOUR(FOUR(FOUR(FOUR(FOUR(a = step_of(a, &last_a);)))))
    for (uint k = 0; k < 1024; k++)
        b = step_of(b, &last_b);
    CHECK(a == b && last_a == last_b);
}

// Texts lie in the constant address space.
static uint length_of(constant const char *text)
{
    uint n = 0;
    while (text[n])
        n++;
    return n;
}

template <typename... T> static uint lengths_of(T... texts)
{
    return (length_of(texts) + ...);
}

kernel void texts(ARGUMENTS)
{
    constant char *pointer = "pointer";
    char own[] = "array";
    CHECK(length_of("a" "bc") == 3 && length_of(pointer) == 7 && pointer[6] == 'r' && own[4] == 'y');
    CHECK(lengths_of("", "b", "cd") == 3 && sizeof("abc") == 4);
}

// Small loops that read, of which several turns may be done together, and the rest by itself.
template <int turns> static uint sum_of(device const uint *data, uint i)
{
    uint sum = 0;
    for (int n = 0; n < turns; n++)
        sum = sum * 3 + data[(i + n * 7) % 4096] * data[n];
    return sum;
}

static uint sum_of(device const uint *data, uint i, int turns)
{
    uint sum = 0, factor = 1;
    while (turns-- > 0) {
        sum += factor * data[(i + turns * 7) % 4096] * data[turns];
        factor *= 3;
    }
    return sum;
}

kernel void loops_that_read(ARGUMENTS)
{
    CHECK(sum_of<8>(data, i) == sum_of(data, i, 8));
    CHECK(sum_of<9>(data, i) == sum_of(data, i, 9));
    CHECK(sum_of<11>(data, i) == sum_of(data, i, 11));
    CHECK(sum_of<64>(data, i) == sum_of(data, i, 64));
    CHECK(sum_of<511>(data, i) == sum_of(data, i, 511));
}

// What the machine knows of a thread, as variables of the program.
uint at [[thread_position_in_grid]];
static uint2 at_in_group [[ thread_position_in_threadgroup ]];
ushort3 const group_size [[threads_per_threadgroup]];
namespace own
{
uint lane_of [[thread_index_in_simdgroup]];
}
struct hiding {
    uint at;
};

static uint next_to_it()
{
    return at + 1;
}

template <typename T> static T scaled(T factor)
{
    return factor * T(own::lane_of);
}

static uint hidden(uint at)
{
    uint sum = at;
    for (uint lane_of = 0; lane_of < 3; lane_of++)
        sum += lane_of;
    return sum;
}

kernel void machine_variables(ARGUMENTS, uint2 in_group [[thread_position_in_threadgroup]],
        uint3 size [[threads_per_threadgroup]], uint lane [[thread_index_in_simdgroup]])
{
    hiding h = {i ^ 5};
    device const hiding *there = (device const hiding *)data;
    CHECK(at == i && ::at == i && next_to_it() == i + 1 && h.at == (i ^ 5) && there->at == data[0]);
    CHECK(all(at_in_group == in_group) && at_in_group.x == in_group.x);
    CHECK(group_size.x == size.x && group_size.y * group_size.z == size.y * size.z);
    CHECK(hidden(i + 9) == i + 12 && hidden(at) == at + 3);
    CHECK(scaled(3.0f) == 3.0f * lane && scaled<uint>(at_in_group.y + 7) == (in_group.y + 7) * lane);
}

// Pointers to texts, outside of functions and within.
constant char *const words[] = {"one", "three", "five" "teen"};
struct named {
    constant char *name;
    char own[6];
    uint length;
};
constant named entries[2][2] = {{{"a", "bc", 1}, {"def", "", 3}}, {{"", "x", 0}, {"ghij", "klmno", 4}}};
constant char *constant only = "only";

kernel void tables_of_texts(ARGUMENTS)
{
    constant char *const own[] = {"zero", "x"};
    constant named &entry = entries[data[i] & 1][i & 1];
    named local = {"local", "y", 5};
    CHECK(length_of(words[i % 3]) == 3 + 2 * (i % 3) - (i % 3 == 2 ? -1 : 0));
    CHECK(words[2][5] == 'e' && words[i % 3][0] == (i % 3 == 0 ? 'o' : i % 3 == 1 ? 't' : 'f'));
    CHECK(length_of(entry.name) == entry.length && (entry.length != 4 || entry.own[4] == 'o'));
    CHECK(length_of(own[i & 1]) == ((i & 1) ? 1 : 4) && length_of(local.name) == local.length && local.own[0] == 'y');
    CHECK(length_of(only) == 4 && only[3] == 'y');
}
