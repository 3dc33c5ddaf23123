/* shader: which form is for a kernel whose threads never meet. Without loops it is one loop over
 * the threads, which LLVM's vectoriser takes further than lanes would be. With loops of its own
 * that vectoriser sees the innermost ones alone, while kernels are written so that neighbours in x
 * read neighbours in memory: there a vector is best made of threads. Where loops turned a known
 * number of times nothing is left of them, and that vectoriser sees the whole kernel; but it
 * gathers what only some threads read from one place, which lanes load once. Compiler process. */
#include "shader/codegen/graph.h"
#include "shader/cpu/cpu.h"

#include <stdlib.h>

/* Work, in instructions, that makes up for an access in which each thread has a place far from its
 * neighbour's: lanes move such numbers one by one. */
#define WORK_A_SCATTERED_ACCESS 32u
#define WORK_OF_DIVISION 8u /* one instruction that costs as much as these */
#define MAX_DEPTH 200       /* of operands that are looked through */

/* What a value is multiplied by x in; UNKNOWN where it is no such sum. */
#define UNKNOWN INT64_MIN
struct slope {
    LLVMValueRef value;
    int64_t slope;
};
struct slopes {
    struct codegen *g;
    struct slope *kept; /* a hash table, at most half full */
    size_t slots;
};

static struct slope *slot_of(struct slopes *s, LLVMValueRef v)
{
    size_t i = ((uintptr_t)v >> 4) * 0x9e3779b97f4a7c15u & (s->slots - 1);
    while (s->kept[i].value && s->kept[i].value != v)
        i = (i + 1) & (s->slots - 1);
    return &s->kept[i];
}

static int64_t slope_of(struct slopes *s, LLVMValueRef v, int depth);

static int64_t add(int64_t a, int64_t b)
{
    return a == UNKNOWN || b == UNKNOWN || __builtin_add_overflow(a, b, &a) ? UNKNOWN : a;
}

static int64_t times(int64_t a, int64_t b)
{
    return a == UNKNOWN || __builtin_mul_overflow(a, b, &a) ? UNKNOWN : a;
}

/* The same for all threads if all operands are. */
static int64_t slope_of_any(struct slopes *s, LLVMValueRef v, int depth)
{
    for (int i = 0; i < LLVMGetNumOperands(v); i++) {
        LLVMValueRef operand = LLVMGetOperand(v, (unsigned)i);
        if (!LLVMValueIsBasicBlock(operand) && slope_of(s, operand, depth) != 0)
            return UNKNOWN;
    }
    return 0;
}

static int64_t slope_of_product(struct slopes *s, LLVMValueRef v, int depth)
{
    for (unsigned i = 0; i < 2; i++) {
        LLVMValueRef factor = LLVMGetOperand(v, i);
        if (LLVMIsAConstantInt(factor))
            return times(
                    slope_of(s, LLVMGetOperand(v, 1 - i), depth), LLVMConstIntGetSExtValue(factor));
    }
    return slope_of_any(s, v, depth);
}

static int64_t slope_of_address(struct slopes *s, LLVMValueRef v, int depth)
{
    int64_t sum = slope_of(s, LLVMGetOperand(v, 0), depth);
    LLVMTypeRef type = LLVMGetGEPSourceElementType(v);
    if (LLVMGetNumOperands(v) > 2)
        return sum == 0 ? slope_of_any(s, v, depth) : UNKNOWN;
    return add(sum, times(slope_of(s, LLVMGetOperand(v, 1), depth),
                            (int64_t)LLVMABISizeOfType(s->g->layout, type)));
}

/* Of a loop's counter: what it begins with; its steps are the same for all threads, or are found
 * not to be when they are looked at. */
static int64_t slope_of_phi(struct slopes *s, LLVMValueRef v, int depth)
{
    int64_t first = UNKNOWN;
    for (unsigned i = 0; i < LLVMCountIncoming(v); i++) {
        int64_t slope = slope_of(s, LLVMGetIncomingValue(v, i), depth);
        if (i == 0)
            slot_of(s, v)->slope = first = slope;
        else if (slope != first)
            return UNKNOWN;
    }
    return first;
}

static int64_t slope_of_call(struct slopes *s, LLVMValueRef v, int depth)
{
    if (!codegen_is_call(v, "__abx_builtin") || !LLVMIsAConstantInt(LLVMGetOperand(v, 0)))
        return slope_of_any(s, v, depth);
    uint64_t n = LLVMConstIntGetZExtValue(LLVMGetOperand(v, 0));
    switch (n / 4) {
    case ABX_BUILTIN_THREAD_IN_GRID:
    case ABX_BUILTIN_THREAD_IN_GROUP:
    case ABX_BUILTIN_THREAD_INDEX:
    case ABX_BUILTIN_LANE:
        return n % 4 == 0;
    default:
        return 0;
    }
}

static int64_t slope_of_instruction(struct slopes *s, LLVMValueRef v, int depth)
{
    switch (LLVMGetInstructionOpcode(v)) {
    case LLVMOr: /* a sum where no bit is in both, as a lane behind a multiple of 32 */
        if (!LLVMGetIsDisjoint(v))
            return slope_of_any(s, v, depth);
        /* fall through */
    case LLVMAdd:
        return add(
                slope_of(s, LLVMGetOperand(v, 0), depth), slope_of(s, LLVMGetOperand(v, 1), depth));
    case LLVMSub:
        return add(slope_of(s, LLVMGetOperand(v, 0), depth),
                times(slope_of(s, LLVMGetOperand(v, 1), depth), -1));
    case LLVMMul:
        return slope_of_product(s, v, depth);
    case LLVMShl:
        return LLVMIsAConstantInt(LLVMGetOperand(v, 1))
                       ? times(slope_of(s, LLVMGetOperand(v, 0), depth),
                                 1ll << (LLVMConstIntGetZExtValue(LLVMGetOperand(v, 1)) & 62))
                       : slope_of_any(s, v, depth);
    case LLVMZExt:
    case LLVMSExt:
    case LLVMTrunc:
    case LLVMFreeze:
    case LLVMBitCast:
        return slope_of(s, LLVMGetOperand(v, 0), depth);
    case LLVMGetElementPtr:
        return slope_of_address(s, v, depth);
    case LLVMPHI:
        return slope_of_phi(s, v, depth);
    case LLVMCall:
        return slope_of_call(s, v, depth);
    case LLVMAlloca: /* private memory: lanes have theirs side by side */
        return 0;
    default:
        return slope_of_any(s, v, depth);
    }
}

static int64_t slope_of(struct slopes *s, LLVMValueRef v, int depth)
{
    if (!LLVMIsAInstruction(v))
        return 0;
    struct slope *kept = slot_of(s, v);
    if (kept->value)
        return kept->slope;
    if (depth == MAX_DEPTH)
        return UNKNOWN;
    *kept = (struct slope){v, UNKNOWN}; /* while its own operands lead back to it */
    int64_t slope = slope_of_instruction(s, v, depth + 1);
    slot_of(s, v)->slope = slope;
    return slope;
}

/* Of lanes: neither one place for all, nor side by side. */
static bool is_scattered(struct slopes *s, LLVMValueRef in)
{
    bool store = LLVMIsAStoreInst(in);
    LLVMValueRef pointer = LLVMGetOperand(in, store ? 1 : 0);
    LLVMTypeRef type = LLVMTypeOf(store ? LLVMGetOperand(in, 0) : in);
    int64_t slope = slope_of(s, pointer, 0);
    return slope != 0 && slope != (int64_t)LLVMABISizeOfType(s->g->layout, type);
}

static unsigned work_of(LLVMValueRef in)
{
    switch (LLVMGetInstructionOpcode(in)) {
    case LLVMUDiv:
    case LLVMSDiv:
    case LLVMURem:
    case LLVMSRem:
        return WORK_OF_DIVISION;
    default:
        return 1;
    }
}

static bool has_loops(LLVMValueRef kernel, const struct codegen_graph *graph)
{
    bool any = false;
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(kernel); b && !any;
            b = LLVMGetNextBasicBlock(b))
        any = codegen_graph_loop(graph, b) != NULL;
    return any;
}

/* Every way from `b` on goes through `to`. */
static bool leads_to(const struct codegen_graph *graph, LLVMBasicBlockRef b, LLVMBasicBlockRef to)
{
    while (b && b != to)
        b = codegen_graph_post_dominator(graph, b);
    return b == to;
}

/* Some threads may come to the block and their neighbours not. */
static bool is_guarded(struct slopes *s, const struct codegen_graph *graph, LLVMBasicBlockRef b)
{
    LLVMBasicBlockRef before = codegen_graph_dominator(graph, b);
    for (; before; before = codegen_graph_dominator(graph, before)) {
        LLVMValueRef branch = LLVMGetBasicBlockTerminator(before);
        if (LLVMIsABranchInst(branch) && LLVMIsConditional(branch) && !leads_to(graph, before, b) &&
                slope_of(s, LLVMGetCondition(branch), 0) != 0)
            return true;
    }
    return false;
}

/* Loads of one place for all threads that come there, which are not all. */
static bool has_guarded_loads(struct slopes *s, const struct codegen_graph *graph)
{
    LLVMValueRef kernel = s->g->kernel;
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(kernel); b; b = LLVMGetNextBasicBlock(b)) {
        bool uniform = false;
        for (LLVMValueRef in = LLVMGetFirstInstruction(b); in; in = LLVMGetNextInstruction(in))
            uniform |= LLVMIsALoadInst(in) && slope_of(s, LLVMGetOperand(in, 0), 0) == 0;
        if (uniform && is_guarded(s, graph, b))
            return true;
    }
    return false;
}

/* What stands in loops: work, and accesses that cost lanes more than they gain. Without loops that
 * is the whole kernel. */
static bool is_worth_it(struct slopes *s, const struct codegen_graph *graph)
{
    uint64_t work = 0, scattered = 0;
    LLVMValueRef kernel = s->g->kernel;
    bool unrolled = !has_loops(kernel, graph);
    if (unrolled && !has_guarded_loads(s, graph))
        return false;
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(kernel); b; b = LLVMGetNextBasicBlock(b)) {
        if (!unrolled && !codegen_graph_loop(graph, b))
            continue;
        for (LLVMValueRef in = LLVMGetFirstInstruction(b); in; in = LLVMGetNextInstruction(in)) {
            work += work_of(in);
            if (LLVMIsALoadInst(in) || LLVMIsAStoreInst(in))
                scattered += is_scattered(s, in);
        }
    }
    return work > 0 && work >= scattered * WORK_A_SCATTERED_ACCESS;
}

bool cpu_prefers_lanes(struct codegen *g)
{
    struct slopes s = {.g = g, .slots = 64};
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(g->kernel); b; b = LLVMGetNextBasicBlock(b))
        for (LLVMValueRef in = LLVMGetFirstInstruction(b); in; in = LLVMGetNextInstruction(in))
            s.slots++;
    s.slots = (size_t)1 << (65 - __builtin_clzll(s.slots)); /* twice as many, at least */
    s.kept = calloc(s.slots, sizeof *s.kept);
    if (!s.kept)
        return false;
    struct codegen_graph *graph = codegen_graph_create(g->kernel);
    bool worth = is_worth_it(&s, graph);
    codegen_graph_destroy(graph);
    free(s.kept);
    return worth;
}

bool cpu_has_loops(struct codegen *g)
{
    struct codegen_graph *graph = codegen_graph_create(g->kernel);
    bool any = has_loops(g->kernel, graph);
    codegen_graph_destroy(graph);
    return any;
}
