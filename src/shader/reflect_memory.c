/* shader: how much threadgroup memory a kernel's own variables take. In the bitcode they are the
 * mutable globals (Metal has no others), reached from the kernel's entry through calls and
 * addresses. Compiler process; the module is the guest's. */
#include "shader/frontend.h"

#include <llvm-c/Core.h>
#include <stdio.h>
#include <stdlib.h>

/* Functions and mutable globals are nodes; what their bodies and initialisers mention are edges. */
struct node {
    uint32_t first_edge, edge_count;
    uint32_t seen; /* the last kernel, + 1, that reached it */
    uint32_t bytes;
};

struct graph {
    LLVMTargetDataRef layout;
    LLVMValueRef *values; /* sorted */
    struct node *nodes;
    uint32_t count, capacity;
    uint32_t *edges;
    uint32_t edge_count, edge_capacity;
    uint32_t *stack;
    int error;
};

static int compare_values(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t)*(const LLVMValueRef *)a, y = (uintptr_t)*(const LLVMValueRef *)b;
    return x < y ? -1 : x > y;
}

static uint32_t find_node(const struct graph *g, LLVMValueRef value)
{
    const LLVMValueRef *found = bsearch(&value, g->values, g->count, sizeof(value), compare_values);
    return found ? (uint32_t)(found - g->values) : UINT32_MAX;
}

static bool collect(struct graph *g, LLVMModuleRef module)
{
    for (int pass = 0; pass < 2; pass++) {
        uint32_t count = 0;
        for (LLVMValueRef f = LLVMGetFirstFunction(module); f; f = LLVMGetNextFunction(f), count++)
            if (pass)
                g->values[count] = f;
        for (LLVMValueRef v = LLVMGetFirstGlobal(module); v; v = LLVMGetNextGlobal(v), count++)
            if (pass)
                g->values[count] = v;
        g->count = count;
        if (!pass) {
            g->values = calloc(count + 1, sizeof(*g->values));
            g->nodes = calloc(count + 1, sizeof(*g->nodes));
            g->stack = calloc(count + 1, sizeof(*g->stack));
            if (!g->values || !g->nodes || !g->stack)
                return false;
        }
    }
    qsort(g->values, g->count, sizeof(*g->values), compare_values);
    return true;
}

static void add_edge(struct graph *g, struct node *node, uint32_t to)
{
    if (g->edge_count == g->edge_capacity) {
        uint32_t capacity = g->edge_capacity ? 2 * g->edge_capacity : 1024;
        uint32_t *more = realloc(g->edges, capacity * sizeof(*more));
        if (!more) {
            g->error = -ENOMEM;
            return;
        }
        g->edges = more, g->edge_capacity = capacity;
    }
    g->edges[g->edge_count++] = to;
    node->edge_count++;
}

#define MAX_CONSTANT_DEPTH 16 /* of expressions around a global's address */

/* What a constant operand mentions. */
static void scan_value(struct graph *g, struct node *node, LLVMValueRef value, int depth)
{
    if (LLVMIsAGlobalValue(value)) {
        uint32_t to = find_node(g, value);
        if (to != UINT32_MAX)
            add_edge(g, node, to);
        return;
    }
    if (!LLVMIsAConstantExpr(value) && !LLVMIsAConstantStruct(value) &&
            !LLVMIsAConstantArray(value))
        return;
    for (int i = 0; depth < MAX_CONSTANT_DEPTH && i < LLVMGetNumOperands(value); i++)
        scan_value(g, node, LLVMGetOperand(value, (unsigned)i), depth + 1);
}

static void scan_function(struct graph *g, struct node *node, LLVMValueRef function)
{
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(function); b; b = LLVMGetNextBasicBlock(b))
        for (LLVMValueRef i = LLVMGetFirstInstruction(b); i; i = LLVMGetNextInstruction(i))
            for (int k = 0; k < LLVMGetNumOperands(i); k++) {
                LLVMValueRef operand = LLVMGetOperand(i, (unsigned)k);
                if (operand && LLVMIsAConstant(operand))
                    scan_value(g, node, operand, 0);
            }
}

static void scan_global(struct graph *g, struct node *node, LLVMValueRef global)
{
    LLVMValueRef initializer = LLVMGetInitializer(global);
    if (LLVMIsGlobalConstant(global)) {
        if (initializer)
            scan_value(g, node, initializer, 0);
    } else if (initializer) {
        LLVMTypeRef type = LLVMGlobalGetValueType(global);
        uint64_t bytes = LLVMABISizeOfType(g->layout, type);
        uint32_t align = LLVMGetAlignment(global);
        /* Room for the padding before it, whatever the order they are laid out in. */
        bytes = abx_align_up(bytes, align > 16 ? align : 16);
        node->bytes = bytes < UINT32_MAX / 2 ? (uint32_t)bytes : UINT32_MAX / 2;
    }
}

static uint32_t reach(struct graph *g, uint32_t start, uint32_t stamp)
{
    uint64_t bytes = 0;
    uint32_t top = 0;
    g->stack[top++] = start;
    g->nodes[start].seen = stamp;
    while (top) {
        const struct node *node = &g->nodes[g->stack[--top]];
        bytes += node->bytes;
        for (uint32_t i = 0; i < node->edge_count; i++) {
            uint32_t to = g->edges[node->first_edge + i];
            if (g->nodes[to].seen == stamp)
                continue;
            g->nodes[to].seen = stamp;
            g->stack[top++] = to;
        }
    }
    return bytes < UINT32_MAX ? (uint32_t)bytes : UINT32_MAX;
}

int threadgroup_bytes(
        LLVMModuleRef module, LLVMTargetDataRef layout, uint32_t kernel_count, uint32_t *bytes)
{
    struct graph g = {.layout = layout};
    if (!collect(&g, module))
        g.error = -ENOMEM;
    for (uint32_t i = 0; !g.error && i < g.count; i++) {
        g.nodes[i].first_edge = g.edge_count;
        if (LLVMIsAFunction(g.values[i]))
            scan_function(&g, &g.nodes[i], g.values[i]);
        else
            scan_global(&g, &g.nodes[i], g.values[i]);
    }
    for (uint32_t i = 0; !g.error && i < kernel_count; i++) {
        char name[32];
        snprintf(name, sizeof(name), "__abx_k_%u", i);
        LLVMValueRef kernel = LLVMGetNamedFunction(module, name);
        uint32_t start = kernel ? find_node(&g, kernel) : UINT32_MAX;
        bytes[i] = start != UINT32_MAX ? reach(&g, start, i + 1) : 0;
    }
    free(g.values), free(g.nodes), free(g.stack), free(g.edges);
    return g.error;
}
