/* Hostile shaders that are made of many of the same. */
#include "hostile.h"

#define BEGIN "kernel void k(device int *x [[buffer(0)]]) { "
#define KERNEL BEGIN "x[0] = 1; }\n"

/* `unit` is repeated `count` times; %u in it is the number. */
static const struct large {
    const char *name, *wants, *head, *unit, *tail;
    unsigned count;
} cases[] = {
        {"10,000 parameters", "library a kernel may have at most",
                "kernel void k(device int *x [[buffer(0)]]",
                ", uint a%u [[thread_position_in_grid]]", ") { x[0] = 1; }\n", 10000},
        {"an identifier of 1 MB", "runs", BEGIN "int ", "a", " = 1; x[0] = 1; }\n", 1 << 20},
        {"a kernel's name of 1 MB", "runs", "kernel void ", "a",
                "(device int *x [[buffer(0)]]) { x[0] = 1; }\n", 1 << 20},
        {"functions", "runs", "", "int f%u(int x) { return x; }\n", KERNEL, 30000},
        {"kernels", "library the program is too large", "",
                "kernel void k%u(device int *x [[buffer(0)]]) { x[0] = 1; }\n", "", 100000},
        {"open parentheses", "library error", BEGIN "x[0] = ", "(", "1; }\n", 100000},
        {"nested parentheses", "library bracket nesting level",
                "#define L (((((((((((((((((((((((((((((((\n#define R "
                ")))))))))))))))))))))))))))))))\n" BEGIN
                "x[0] = L L L L L L L L L L L L 1 R R R R R R R R R R R R; }\n",
                "", "", 0},
        {"open braces", "library error", BEGIN, "{", "", 100000},
        {"open brackets", "crash", BEGIN "x", "[", "1; }\n", 100000},
        {"template arguments", "crash", "template<class T> struct S {};\n" BEGIN, "S<",
                "int> s; }\n", 100000},
        {"name spaces", "library bracket nesting level", "", "namespace n {", "", 100000},
        {"classes", "library error", "", "struct s {", "", 100000},
        {"lambdas", "library error", BEGIN, "[&]() { ", "", 10000},
        {"unary operators", "crash", BEGIN "x[0] = ", "- ", "1; }\n", 1000000},
        {"a long sum", "crash", BEGIN "x[0] = 1", " + x[%u]", "; }\n", 200000},
        {"conditional operators", "crash", BEGIN "x[0] = ", "x[%u] ? 1 : ", "1; }\n", 100000},
        {"else if", "crash", BEGIN "if (x[0]) x[0] = 1;\n", "else if (x[%u]) x[1] = %u;\n", "}\n",
                100000},
        {"cases of a switch", "limit", BEGIN "switch (x[0]) {\n", "case %u: x[1] += x[%u];\n",
                "} }\n", 100000},
        {"statements", "limit", BEGIN, "x[%u] = x[x[%u] & 255] * 3 + x[7];\n", "}\n", 200000},
        {"macros", "runs", "", "#define M%u 1\n", KERNEL, 200000},
        {"conditions", "library unterminated conditional directive", "", "#if 1\n", KERNEL, 100000},
        {"blanks", "runs", KERNEL, " ", "\n", 8 << 20},
        {"empty lines", "runs", "", "\n", KERNEL, 8 << 20},
        {"comments", "runs", "", "/**/", KERNEL, 2 << 20},
        {"joined lines", "crash", "", "\\\n", "\n" KERNEL, 4 << 20},
        {"a string", "runs", "constant char s[] = \"", "abcdefgh", "\";\n" KERNEL, 1 << 20},
        {"attributes", "runs", "", "[[maybe_unused]]", "constant int v = 1;\n" KERNEL, 10000},
        {"function constants", "library the program is too large", "",
                "constant int c%u [[function_constant(%u)]];\n", KERNEL, 70000},
        {"threadgroup variables", "pipeline exceeds the maximum threadgroup memory", BEGIN,
                "threadgroup int t%u[64]; t%u[x[0] & 63] = 1; x[1] = t%u[x[1] & 63];\n", "}\n",
                1000},
        {"warnings", "runs", "", "#warning w\n", KERNEL, 50000},
        {"errors", "library error", "", "#error e\n", KERNEL, 100000},
        {"includes", "runs", "", "#include <metal_stdlib>\n", KERNEL, 100000},
        {"line markers", "runs", "", "# 1 \"a%u\" 1\n", KERNEL, 100000},
};

static void add_unit(struct abx_string *text, const char *unit, unsigned number)
{
    for (const char *p = unit, *mark;; p = mark + 2) {
        mark = strstr(p, "%u");
        abx_string_add(text, p, mark ? (size_t)(mark - p) : strlen(p));
        if (!mark)
            return;
        abx_string_printf(text, "%u", number);
    }
}

static bool check_large(const struct large *l)
{
    struct abx_string text = {0};
    abx_string_printf(&text, "%s", l->head);
    for (unsigned i = 0; i < l->count; i++)
        add_unit(&text, l->unit, i);
    abx_string_printf(&text, "%s", l->tail);
    CHECK(!text.failed);
    struct hostile_case c = {.name = l->name, .source = text.data, .source_bytes = text.length};
    snprintf(c.wants[0], sizeof c.wants[0], "%s", l->wants);
    bool ok = hostile_check(&c);
    abx_string_finish(&text);
    return ok;
}

unsigned hostile_check_large(void)
{
    unsigned failed = 0;
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(cases); i++)
        failed += !check_large(&cases[i]);
    return failed;
}
