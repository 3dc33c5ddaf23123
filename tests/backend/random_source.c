/* tests/backend: see random_source.h. */
#include "random_source.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct gen {
    struct abx_string *out;
    uint64_t state;
    unsigned indent, loops, names;
    bool divergent; /* not all threads of the group come here */
    bool looping;   /* inside a loop whose turns differ between threads */
    bool returned;  /* some threads may have ended */
    bool barriers;  /* the kernel uses them: no thread may end early */
};

static unsigned below(struct gen *g, unsigned n)
{
    g->state ^= g->state << 13;
    g->state ^= g->state >> 7;
    g->state ^= g->state << 17;
    return (unsigned)((g->state >> 20) % n);
}

static void line(struct gen *g, const char *format, ...) ABX_PRINTF(2, 3);
static void line(struct gen *g, const char *format, ...)
{
    char text[512];
    va_list a;
    va_start(a, format);
    vsnprintf(text, sizeof text, format, a);
    va_end(a);
    abx_string_printf(g->out, "%*s%s\n", (int)g->indent * 4, "", text);
}

/* A place that is a uniform number plus a constant for each lane. */
static void lane_pattern(struct gen *g, unsigned stride, char *text, size_t size)
{
    snprintf(text, size, "lane / %u * %u + lane %% %u * %u + %u", 1u << below(g, 4),
            1 + below(g, 40), 1u << below(g, 4), 1 + below(g, stride), below(g, 50));
}

/* What traps or has no defined result on some processors: division by anything, shifts by anything,
 * conversions out of range, in every width. Not of constants alone, which clang computes. */
static void total(struct gen *g, const char *a, const char *b, char *text, size_t size)
{
    static const char *const narrow[] = {"char", "uchar", "short", "ushort", "int", "uint"};
    static const char *const wide[] = {"ulong", "long"};
    static const char *const divide[] = {"/", "%"};
    static const char *const shift[] = {"<<", ">>"};
    const char *n = narrow[below(g, ABX_ARRAY_SIZE(narrow))], *l = wide[below(g, 2)];
    const char *op = divide[below(g, 2)];
    char product[200]; /* of unsigned numbers: signed ones must not overflow */
    unsigned v = below(g, 4);
    snprintf(product, sizeof product, "(%s)((ulong)(%s) * 77777777777)", l, a);
    switch (below(g, 9)) {
    case 0:
        snprintf(text, size, "((%s) %s ((%s) ^ v%u))", a, op, b, v);
        break;
    case 1:
        snprintf(text, size, "((uint)((int)(%s) %s (int)((%s) ^ v%u)))", a, op, b, v);
        break;
    case 2:
        snprintf(text, size, "((uint)((%s)(%s) %s (%s)((%s) ^ v%u)))", n, a, op, n, b, v);
        break;
    case 3: /* promotion leaves vectors as narrow as they are */
        snprintf(text, size, "uint((%s3(%s, v%u, 3) %s %s3(v%u, %s, 0)).%c)", n, a, v, op, n, v, b,
                "xyz"[below(g, 3)]);
        break;
    case 4:
        snprintf(text, size, "((uint)(%s %s ((%s)(int)(%s) ^ v%u)))", product, op, l, b, v);
        break;
    case 5:
        snprintf(text, size, "((%s) %s ((%s) ^ v%u))", a, shift[below(g, 2)], b, v);
        break;
    case 6:
        snprintf(text, size, "((uint)(%s %s ((%s) ^ v%u)))", product, shift[below(g, 2)], b, v);
        break;
    case 7:
        snprintf(text, size, "uint(%s(as_type<float>((%s) ^ v%u)))", n, a, v);
        break;
    default:
        snprintf(text, size, "uint(%s2(float2(as_type<float>(%s), v%u)).%c)", n, a, v,
                "xy"[below(g, 2)]);
        break;
    }
}

/* An expression of type uint (signed numbers must not overflow), in text[size]. */
static void expression(struct gen *g, unsigned depth, char *text, size_t size)
{
    static const char *const leaves[] = {"v0", "v1", "v2", "v3", "lane", "tix", "lid.x", "lid.y",
            "gid.x", "sg", "uint(c[1])", "uint(c[2])", "7u", "1000003u", "tix / 4", "lane % 8",
            "tgs.x", "(gid.y + gid.z)"};
    static const char *const operators[] = {"+", "-", "*", "&", "|", "^"};
    char a[160], b[160];
    if (depth == 0) {
        snprintf(text, size, "%s", leaves[below(g, ABX_ARRAY_SIZE(leaves))]);
        return;
    }
    expression(g, depth - 1 - below(g, depth), a, sizeof a);
    expression(g, depth - 1, b, sizeof b);
    switch (below(g, 18)) {
    case 0:
        snprintf(text, size, "uint(in[(%s) & 4095])", a);
        break;
    case 1:
        snprintf(text, size, "uint(in[(tix * %u + %u) & 4095])", 1 + below(g, 5), below(g, 9));
        break;
    case 2:
        lane_pattern(g, 9, a, sizeof a);
        snprintf(text, size, "uint(in[%s])", a);
        break;
    case 3:
        snprintf(text, size, "uint(((device const uchar *)in)[(%s) & 4095])", a);
        break;
    case 4:
        snprintf(text, size,
                "uint(((device const short *)in)[(tix / 2 * %u + tix %% 2 * %u) & 4095])",
                1 + below(g, 18), 1 + below(g, 6));
        break;
    case 5:
        snprintf(text, size, "((uint)((int)(%s) >> ((%s) & 15)))", a, b);
        break;
    case 6:
        snprintf(text, size,
                below(g, 2) ? "((%s) / (((%s) & 7) + 1))"
                            : "((uint)((int)(%s) / (int)(((%s) & 7) + 1)))",
                a, b);
        break;
    case 7:
        snprintf(text, size, "select(%s, %s, (v%u & %u) != 0)", a, b, below(g, 4), 1 + below(g, 7));
        break;
    case 8:
        snprintf(text, size, "((uint)(int)(short)(%s))", a);
        break;
    case 9:
        snprintf(text, size, "p[(%s) & 7]", a);
        break;
    case 10:
        snprintf(text, size, "((uint)((ulong)(%s) * %uu >> 7))", a, 3 + below(g, 1000));
        break;
    case 11:
    case 12:
    case 13:
    case 14:
        total(g, a, b, text, size);
        break;
    default:
        snprintf(
                text, size, "((%s) %s (%s))", a, operators[below(g, ABX_ARRAY_SIZE(operators))], b);
        break;
    }
}

static void condition(struct gen *g, char *text, size_t size)
{
    char a[512];
    expression(g, 1, a, sizeof a);
    if (below(g, 3) == 0)
        snprintf(text, size, "lane %s %u", below(g, 2) ? "<" : ">", below(g, 33));
    else
        snprintf(text, size, "((%.300s) & %u) %s", a, 1 + below(g, 7),
                below(g, 2) ? "!= 0" : "== 0");
}

static void statements(struct gen *g, unsigned depth, unsigned count);

static void branch(struct gen *g, unsigned depth)
{
    char c[512];
    bool was = g->divergent;
    condition(g, c, sizeof c);
    line(g, "if (%s) {", c);
    g->indent++;
    g->divergent = true;
    statements(g, depth - 1, 1 + below(g, 3));
    g->indent--;
    if (below(g, 2)) {
        line(g, "} else {");
        g->indent++;
        statements(g, depth - 1, 1 + below(g, 3));
        g->indent--;
    }
    line(g, "}");
    g->divergent = was;
}

static void loop(struct gen *g, unsigned depth)
{
    char e[512];
    unsigned n = g->names++;
    bool divergent = g->divergent, looping = g->looping, uniform = below(g, 3) == 0;
    expression(g, 1, e, sizeof e);
    switch (below(g, 3)) {
    case 0:
        if (uniform)
            line(g, "for (int i%u = 0; i%u < c[%u]; i%u++) {", n, n, below(g, 4), n);
        else
            line(g, "for (int i%u = 0; i%u < int((%.300s) & 7); i%u++) {", n, n, e, n);
        break;
    case 1: /* strided, as kernels walk rows */
        line(g, "for (int i%u = int(lane); i%u < 16 * c[%u]; i%u += 32) {", n, n, below(g, 4), n);
        uniform = false;
        break;
    default:
        line(g, "for (uint i%u = tix / 2; i%u < 40; i%u += %u) {", n, n, n, 8 + below(g, 9));
        uniform = false;
        break;
    }
    g->indent++;
    g->loops++;
    g->divergent |= !uniform;
    g->looping |= !uniform;
    line(g, "v%u += uint(in[i%u * %u + int(lane %% 4)]) ^ uint(i%u);", below(g, 4), n,
            1 + below(g, 6), n);
    statements(g, depth - 1, 1 + below(g, 3));
    if (below(g, 3) == 0 && !(uniform && !divergent)) {
        char c[512];
        condition(g, c, sizeof c);
        line(g, "if (%s) %s;", c, below(g, 2) ? "break" : "continue");
        line(g, "v%u ^= %u;", below(g, 4), below(g, 100));
    }
    g->loops--;
    g->indent--;
    line(g, "}");
    g->divergent = divergent;
    g->looping = looping;
}

/* Through threadgroup memory, and back. */
static void exchange(struct gen *g)
{
    unsigned v = below(g, 4);
    line(g, "sh[tix] = v%u;", v);
    line(g, "threadgroup_barrier(mem_flags::mem_threadgroup);");
    line(g, "v%u += sh[(tix + %u) %% total] - sh[total - 1 - tix];", below(g, 4), 1 + below(g, 60));
    line(g, "threadgroup_barrier(mem_flags::mem_threadgroup);");
}

/* Some matrices times some others, added up over steps, as products of larger matrices are. */
static void matrix_tiles(struct gen *g)
{
    unsigned rows = 1 + below(g, 2), columns = 1 + below(g, 4 / rows), steps = 1 + below(g, 4);
    for (unsigned s = 0, from = below(g, 4); s < steps; s++, from++)
        for (unsigned i = 0; i < rows * columns; i++)
            line(g, "    simdgroup_multiply_accumulate(r[%u], a[%u], a[%u], r[%u]);", i,
                    (from + i / columns) % 4, (from + 2 + i % columns) % 4, i);
}

static void matrix_products(struct gen *g)
{
    unsigned count = 2 + below(g, 10);
    for (unsigned i = 0, left = below(g, 4); i < count; i++) {
        left = below(g, 3) ? left : below(g, 4);
        line(g, "    simdgroup_multiply_accumulate(r[%u], a[%u], a[%u], r[%u]);", below(g, 4), left,
                below(g, 4), below(g, 4));
    }
}

/* Sums of products of small whole numbers, which are the same in any order. */
static void matrices(struct gen *g)
{
    unsigned v = below(g, 4);
    line(g, "for (uint i = tix; i < 1024; i += total)");
    line(g, "    ((threadgroup float *)sh)[i] = float((i * %u + v%u) & 7);", 1 + below(g, 30), v);
    line(g, "threadgroup_barrier(mem_flags::mem_threadgroup);");
    line(g, "if (total %% 32 == 0) {");
    line(g, "    simdgroup_float8x8 a[4], r[4];");
    for (unsigned i = 0; i < 4; i++) {
        line(g, "    simdgroup_load(a[%u], (threadgroup float *)sh + %u);", i, below(g, 512));
        line(g, "    r[%u] = make_filled_simdgroup_matrix<float, 8, 8>(%u);", i, below(g, 9));
    }
    if (below(g, 2))
        matrix_tiles(g);
    else
        matrix_products(g);
    line(g, "    threadgroup_barrier(mem_flags::mem_threadgroup);");
    for (unsigned i = 0; i < 4; i++)
        line(g, "    simdgroup_store(r[%u], (threadgroup float *)sh + %u);", i, 64 * i);
    line(g, "    threadgroup_barrier(mem_flags::mem_threadgroup);");
    line(g, "    for (uint i = tix %% 32; i < 256; i += 32)");
    line(g, "        v%u = v%u * 5 + uint(((threadgroup float *)sh)[i]);", v, v);
    line(g, "}");
    line(g, "threadgroup_barrier(mem_flags::mem_threadgroup);");
}

static void simd(struct gen *g)
{
    static const char *const any[] = {"simd_sum(v%u)", "simd_max(v%u)", "simd_min(v%u)",
            "simd_xor(v%u)", "simd_broadcast_first(v%u)",
            "uint(ulong(simd_ballot((v%u & 1) != 0)))", "simd_or(v%u)",
            "simd_prefix_inclusive_sum(v%u)", "simd_prefix_exclusive_sum(v%u)", "quad_sum(v%u)",
            "quad_max(v%u)"};
    char text[128];
    unsigned v = below(g, 4);
    if (!g->divergent && !g->returned && below(g, 3) == 0) {
        unsigned n = 1 + below(g, 31);
        line(g,
                "{ uint s = simd_shuffle_xor(v%u, %u); v%u += sg * 32 + (lane ^ %u) < total ? s : "
                "5; }",
                v, n, below(g, 4), n);
        return;
    }
    snprintf(text, sizeof text, "%s", any[below(g, ABX_ARRAY_SIZE(any))]);
    *strstr(text, "%u") = 0; /* in two, around the variable's number */
    line(g, "v%u += %s%u%s;", below(g, 4), text, v, text + strlen(text) + 2);
}

/* Some of a row of narrow elements that each thread has for itself, as packed weights are read. */
static void block(struct gen *g)
{
    static const char *const types[] = {"uchar", "char", "ushort", "short"};
    char e[200];
    unsigned v = below(g, 4), often = 1 + below(g, 4);
    if (below(g, 3))
        lane_pattern(g, 17, e, sizeof e);
    else
        expression(g, 1, e, sizeof e);
    const char *type = types[below(g, ABX_ARRAY_SIZE(types))];
    line(g, "{ device const %s *q = (device const %s *)in + ((%.180s) & 4095);", type, type, e);
    for (unsigned i = 0; i < 16; i++)
        if (below(g, 5) < often)
            line(g, "  v%u = v%u * 3 + uint(q[%u] %s %u);", v, v, i, below(g, 2) ? "&" : "+",
                    below(g, 256));
    line(g, "}");
}

/* ---- sums over lanes of rows of elements, as products of a matrix and a vector are made */

static unsigned pick_of(struct gen *g, const unsigned *of, unsigned count)
{
    return of[below(g, count)];
}

/* A small whole number made of element `name[at]`; `how` stays the same for alike elements. */
static void element(unsigned how, const char *name, unsigned at, char *text, size_t size)
{
    static const char *const forms[] = {"float(%s[%u] & 7)", "float(%s[%u] >> 4 & 3)",
            "float(int(%s[%u] & 3) - 2)", "(float(%s[%u] & 0x70) * 0.0625f)",
            "float(as_type<half>(ushort((%s[%u] & 3) << 10 | 0x3c00)))", "-float(%s[%u] & 3)",
            "float(half(%s[%u] & 7))", "float(char(%s[%u] & 5))"};
    const char *f = forms[how % ABX_ARRAY_SIZE(forms)], *mark = strchr(f, '%');
    snprintf(text, size, "%.*s%s[%u%s", (int)(mark - f), f, name, at, strchr(mark, ']'));
}

/* What a lane multiplies all of its block's products with: nothing, a number of the block, which
 * the lanes of the block share, the lane's own, or everybody's. */
static const char *factor(struct gen *g)
{
    static const char *const factors[] = {"1", "float(head[0] & 3)", "float(head[1] & 1)",
            "float(lane & 3)", "float(c[1])", "-float(head[0] & 1)", "float(b & 3)"};
    return factors[below(g, ABX_ARRAY_SIZE(factors))];
}

static void products(struct gen *g, const char *to, unsigned part)
{
    static const unsigned apart[] = {0, 0, 1, 16, 5};
    char x[96], y[96];
    unsigned how = below(g, 8), other = below(g, 8), form = below(g, 5), end = part;
    unsigned from = pick_of(g, apart, ABX_ARRAY_SIZE(apart));
    bool reversed = below(g, 8) == 0, odd = below(g, 8) == 0;
    if (below(g, 4) == 0)
        end -= below(g, part);
    for (unsigned k = 0; k < end; k++) {
        element(odd && k == 1 ? how + 1 : how, "q", k, x, sizeof x);
        element(other, "y", from + (reversed ? part - 1 - k : k), y, sizeof y);
        if (form == 0)
            line(g, "    %s += %s;", to, x);
        else if (form == 1)
            line(g, "    %s -= %s * %s;", to, x, y);
        else
            line(g, "    %s += %s * %s;", to, x, y);
    }
}

static void turn_of_sums(struct gen *g, unsigned sums, unsigned part)
{
    static const char *const adds[] = {"s%u += %s * t0;", "s%u -= %s * t0;",
            "s%u = -(t1 * %s) + s%u;", "s%u += %s * (t0 - t1);",
            "s%u += %s * t0 - float(head[1] & 1) * t1;", "s%u += %s + t1;",
            "s%u += %s * t0 + float(lane & 1);"};
    char text[256];
    line(g, "    float t0 = 0, t1 = 0;");
    products(g, "t0", part);
    products(g, below(g, 4) ? "t1" : "s0", part);
    for (unsigned i = 0; i < sums; i++) {
        const char *add = adds[below(g, ABX_ARRAY_SIZE(adds))], *f = factor(g);
        const char *second = strstr(add, "%s"), *last = strstr(second + 2, "%u");
        int n = snprintf(text, sizeof text, "s%u%.*s%s", i, (int)(second - add - 3), add + 3, f);
        if (last)
            snprintf(text + n, sizeof text - (size_t)n, "%.*s%u%s", (int)(last - second - 2),
                    second + 2, i, last + 2);
        else
            snprintf(text + n, sizeof text - (size_t)n, "%s", second + 2);
        line(g, "    %s", text);
    }
}

/* A loop over blocks of elements, each of which one, two or four lanes share. */
static void loop_of_sums(struct gen *g, unsigned sums)
{
    static const char *const types[] = {"uchar", "ushort", "uint"};
    static const unsigned shared[] = {1, 1, 2, 4}, parts[] = {2, 3, 4, 8}, heads[] = {0, 2, 4};
    unsigned lanes = pick_of(g, shared, 4), part = pick_of(g, parts, 4), type = below(g, 3);
    unsigned head = pick_of(g, heads, 3) >> type,
             blocks = below(g, 4) ? 64 / lanes : 1 + below(g, 64);
    unsigned stride = head + lanes * part + (below(g, 4) ? 0 : below(g, 3));
    line(g, "  for (uint b = lane / %u; b < %u; b += %u) {", lanes, blocks, 32 / lanes);
    line(g, "    device const %s *head = (device const %s *)in + %u + b * %u;", types[type],
            types[type], below(g, 40), stride);
    line(g, "    device const %s *q = head + %u + lane %% %u * %u;", types[type], head, lanes,
            part);
    type = below(g, 3);
    line(g, "    device const %s *y = (device const %s *)in + %u + b * %u + lane %% %u * %u;",
            types[type], types[type], below(g, 40), lanes * part + below(g, 2) * 16, lanes, part);
    turn_of_sums(g, sums, part);
    line(g, "  }");
}

/* Whole numbers below 2^24, so that every order gives the same sum. */
static void lane_sums(struct gen *g)
{
    unsigned sums = 1 + below(g, 3);
    line(g, "{");
    line(g, "#pragma METAL fp math_mode(fast)");
    line(g, "  float s0 = %u, s1 = 0, s2 = float(v3 & 3);", below(g, 3));
    for (unsigned i = 1 + below(g, 2); i > 0; i--)
        loop_of_sums(g, sums);
    for (unsigned i = 0; i < sums; i++)
        line(g, "  v%u += uint(int(simd_sum(s%u)));", below(g, 4), i);
    if (below(g, 8) == 0)
        line(g, "  v%u ^= uint(int(s%u));", below(g, 4), below(g, sums));
    line(g, "}");
}

static void statement(struct gen *g, unsigned depth)
{
    char e[512];
    unsigned what = below(g, 24);
    expression(g, 2, e, sizeof e);
    if (what < 4 && depth)
        branch(g, depth);
    else if (what < 7 && depth && g->loops < 3)
        loop(g, depth);
    else if (what == 7)
        line(g, "p[(%.300s) & 7] %s v%u;", e, below(g, 2) ? "=" : "+=", below(g, 4));
    else if (what == 22) /* mostly outside: nobody else is harmed */
        line(g, "p[int((%.300s) %% 99) - 40] %s v%u;", e, below(g, 2) ? "=" : "+=", below(g, 4));
    else if (what == 8)
        line(g, "for (int j = 0; j < 8; j++) p[j] ^= (%.200s) + j;", e);
    else if (what == 9)
        line(g, "mine[%u] = v%u;", below(g, RANDOM_WORDS), below(g, 4));
    else if (what == 10)
        line(g, "*(device uint4 *)(mine + 4) += uint4(v0, v1, v2, v3);");
    else if (what < 13 && g->barriers && !g->divergent)
        (what < 12 ? exchange : matrices)(g);
    else if (what < 16)
        simd(g);
    else if (what > 19 && what < 22)
        block(g);
    else if (what == 23 && g->loops == 0)
        lane_sums(g);
    else
        line(g, "v%u %s %.400s;", below(g, 4), below(g, 3) ? "=" : "+=", e);
}

static void statements(struct gen *g, unsigned depth, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        statement(g, depth);
}

const char *random_prelude(void)
{
    return "#include <metal_stdlib>\nusing namespace metal;\n";
}

void random_kernel(struct abx_string *out, uint64_t seed, unsigned number)
{
    struct gen g = {.out = out, .state = seed * 0x9e3779b97f4a7c15ull + 12345, .indent = 1};
    for (int i = 0; i < 8; i++)
        below(&g, 2);
    g.barriers = below(&g, 2);
    abx_string_printf(out,
            "kernel void k%u(device const int *in [[buffer(0)]], device int *out [[buffer(1)]],\n"
            "        constant int *c [[buffer(2)]], uint3 gid [[thread_position_in_grid]],\n"
            "        uint3 lid [[thread_position_in_threadgroup]],\n"
            "        uint tix [[thread_index_in_threadgroup]],\n"
            "        uint lane [[thread_index_in_simdgroup]],\n"
            "        uint sg [[simdgroup_index_in_threadgroup]],\n"
            "        uint3 tgs [[threads_per_threadgroup]], uint3 grid [[threads_per_grid]])\n{\n",
            number);
    line(&g, "uint flat = gid.x + grid.x * (gid.y + grid.y * gid.z);");
    line(&g, "device uint *mine = (device uint *)out + flat * %d;", RANDOM_WORDS);
    line(&g, "uint total = tgs.x * tgs.y * tgs.z;");
    line(&g, "uint v0 = in[flat & 4095], v1 = flat, v2 = c[0], v3 = lane;");
    line(&g, "uint p[8] = {1, 2, 3, 4, 5, 6, 7, v0};");
    if (g.barriers)
        line(&g, "threadgroup uint sh[1024];");
    if (!g.barriers && below(&g, 3) == 0) {
        char c[512];
        condition(&g, c, sizeof c);
        line(&g, "if (%s) { mine[0] = 77; return; }", c);
        g.returned = true;
    }
    statements(&g, 3, 4 + below(&g, 6));
    if (below(&g, 3) == 0)
        lane_sums(&g);
    line(&g, "mine[0] += v0; mine[1] += v1; mine[2] += v2; mine[3] += v3 + p[(v0 & 7)];");
    abx_string_printf(out, "}\n");
}
