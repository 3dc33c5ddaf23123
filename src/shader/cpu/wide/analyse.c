/* shader: which values and blocks differ between the lanes of a vector. See wide.h. */
#include "shader/codegen/graph.h"
#include "shader/cpu/wide/wide.h"

#include <stdlib.h>
#include <string.h>

/* ---- map */

static size_t hash(const void *key, size_t capacity)
{
    return (size_t)(((uintptr_t)key >> 4) * 0x9e3779b97f4a7c15ull >> 20) & (capacity - 1);
}

static struct wide_value *find(struct wide *w, const void *key)
{
    size_t i = hash(key, w->map_capacity);
    while (w->map[i].key && w->map[i].key != key)
        i = (i + 1) & (w->map_capacity - 1);
    return &w->map[i];
}

/* The map is sized for the whole function before the first call (wide_graph), so that entries never
 * move. Beyond that a kernel is refused. */
struct wide_value *wide_get(struct wide *w, void *key)
{
    static struct wide_value spare;
    struct wide_value *v = find(w, key);
    if (v->key)
        return v;
    if (w->map_count * 2 >= w->map_capacity) {
        w->refused = "too many values";
        memset(&spare, 0, sizeof spare);
        return &spare;
    }
    w->map_count++;
    v->key = key;
    return v;
}

bool wide_is_divergent(struct wide *w, LLVMValueRef v)
{
    return find(w, v)->key && find(w, v)->divergent;
}

uint64_t wide_marker(LLVMValueRef call, const char *name)
{
    if (!codegen_is_call(call, name) || !LLVMIsAConstantInt(LLVMGetOperand(call, 0)))
        return ~0ull;
    return LLVMConstIntGetZExtValue(LLVMGetOperand(call, 0));
}

/* ---- graph */

uint32_t wide_block(struct wide *w, LLVMBasicBlockRef b)
{
    for (uint32_t i = 0; i < w->count; i++)
        if (w->block[i] == b)
            return i;
    return w->count;
}

static bool collect_blocks(struct wide *w, LLVMValueRef function)
{
    size_t values = 0;
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(function); b; b = LLVMGetNextBasicBlock(b)) {
        if (w->count == WIDE_MAX_BLOCKS) {
            w->refused = "too many blocks";
            return false;
        }
        w->block[w->count++] = b;
        for (LLVMValueRef in = LLVMGetFirstInstruction(b); in; in = LLVMGetNextInstruction(in))
            values++;
    }
    for (w->map_capacity = 1024; w->map_capacity < values * 4;)
        w->map_capacity *= 2;
    w->map = calloc(w->map_capacity, sizeof *w->map);
    for (uint32_t i = 0; i < w->count; i++) {
        LLVMValueRef t = LLVMGetBasicBlockTerminator(w->block[i]);
        LLVMOpcode op = LLVMGetInstructionOpcode(t);
        if (op != LLVMBr && op != LLVMRet) {
            w->refused = op == LLVMUnreachable ? "unreachable code" : "a switch";
            return false;
        }
        w->successors[i] = LLVMGetNumSuccessors(t);
        for (uint32_t s = 0; s < w->successors[i]; s++)
            w->successor[i][s] = wide_block(w, LLVMGetSuccessor(t, s));
    }
    return w->map != NULL;
}

static void visit(struct wide *w, uint32_t b, bool *seen, uint32_t *left)
{
    seen[b] = true;
    for (uint32_t s = w->successors[b]; s-- > 0;)
        if (!seen[w->successor[b][s]])
            visit(w, w->successor[b][s], seen, left);
    w->order[--*left] = b;
    w->rank[b] = *left;
}

/* Every block is reached and reaches the one that returns (mergereturn). */
static bool dominators(struct wide *w, const struct codegen_graph *graph)
{
    if (!codegen_graph_ends(graph)) {
        w->refused = "a part of it never ends";
        return false;
    }
    for (uint32_t b = 0; b < w->count; b++) {
        LLVMBasicBlockRef up = codegen_graph_dominator(graph, w->block[b]);
        LLVMBasicBlockRef after = codegen_graph_post_dominator(graph, w->block[b]);
        w->dominator[b] = up ? wide_block(w, up) : b;
        w->post_dominator[b] = after ? wide_block(w, after) : b;
    }
    return true;
}

bool wide_dominates(struct wide *w, uint32_t a, uint32_t b)
{
    for (;;) {
        if (a == b)
            return true;
        if (w->dominator[b] == b)
            return false;
        b = w->dominator[b];
    }
}

/* Notes the loop that the branch from `latch` to `header` closes. */
static bool add_loop(
        struct wide *w, const struct codegen_graph *graph, uint32_t header, uint32_t latch)
{
    struct wide_loop *l = &w->loops[w->loop_count++];
    *l = (struct wide_loop){.header = header, .latch = latch, .in = calloc(w->count, 1)};
    if (codegen_graph_latch(graph, w->block[header]) != w->block[latch]) {
        w->refused = "a loop with two latches";
        return false;
    }
    for (uint32_t b = 0; b < w->count && l->in; b++)
        l->in[b] = codegen_graph_in_loop(graph, w->block[header], w->block[b]);
    return l->in != NULL;
}

/* The number of the loop with this header; -1 when `header` is NULL. */
static int loop_with(const struct wide *w, LLVMBasicBlockRef header)
{
    for (uint32_t l = 0; l < w->loop_count && header; l++)
        if (w->block[w->loops[l].header] == header)
            return (int)l;
    return -1;
}

static bool find_loops(struct wide *w, const struct codegen_graph *graph)
{
    w->loops = calloc(w->count, sizeof *w->loops);
    for (uint32_t b = 0; b < w->count && w->loops; b++)
        for (uint32_t s = 0; s < w->successors[b]; s++) {
            uint32_t header = w->successor[b][s];
            if (w->rank[header] > w->rank[b])
                continue;
            if (!wide_dominates(w, header, b)) {
                w->refused = "irreducible control flow";
                return false;
            }
            if (!add_loop(w, graph, header, b))
                return false;
        }
    for (uint32_t b = 0; b < w->count; b++)
        w->loop_of[b] = loop_with(w, codegen_graph_loop(graph, w->block[b]));
    for (uint32_t l = 0; l < w->loop_count; l++)
        w->loops[l].parent = loop_with(w, codegen_graph_outer(graph, w->block[w->loops[l].header]));
    return w->loops != NULL;
}

int wide_child_loop(struct wide *w, uint32_t b, int level)
{
    int l = w->loop_of[b];
    if (l == level)
        return -1;
    while (l >= 0 && w->loops[l].parent != level)
        l = w->loops[l].parent;
    return l;
}

bool wide_graph(struct wide *w, LLVMValueRef function)
{
    bool seen[WIDE_MAX_BLOCKS] = {0};
    uint32_t left;
    if (!collect_blocks(w, function))
        return false;
    left = w->count;
    visit(w, 0, seen, &left);
    if (left) {
        w->refused = "unreachable blocks";
        return false;
    }
    struct codegen_graph *graph = codegen_graph_create(function);
    bool fit = dominators(w, graph) && find_loops(w, graph);
    codegen_graph_destroy(graph);
    return fit;
}

void wide_free(struct wide *w)
{
    for (uint32_t i = 0; i < w->loop_count; i++)
        free(w->loops[i].in);
    for (struct wide_root *r = w->roots_kept, *next; r; r = next) {
        next = r->next;
        free(r);
    }
    for (struct wide_lanes *k = w->lanes_kept, *next; k; k = next) {
        next = k->next;
        free(k);
    }
    free(w->loops);
    free(w->map);
}

/* ---- private memory */

LLVMValueRef wide_private(LLVMValueRef pointer)
{
    while (LLVMIsAGetElementPtrInst(pointer))
        pointer = LLVMGetOperand(pointer, 0);
    return LLVMIsAAllocaInst(pointer) ? pointer : NULL;
}

/* Notes how `pointer`, which leads into the alloca, is used. `unit` becomes the size of every
 * access and a divisor of every step, or 1. */
static bool pointer_uses(struct wide *w, struct wide_value *a, LLVMValueRef pointer)
{
    LLVMTargetDataRef layout = w->g->layout;
    for (LLVMUseRef u = LLVMGetFirstUse(pointer); u; u = LLVMGetNextUse(u)) {
        LLVMValueRef user = LLVMGetUser(u);
        const char *callee = codegen_callee(user);
        uint64_t bytes = 0;
        if (LLVMIsALoadInst(user) ||
                (LLVMIsAStoreInst(user) && LLVMGetOperand(user, 1) == pointer &&
                        LLVMGetOperand(user, 0) != pointer)) {
            LLVMTypeRef t =
                    LLVMIsALoadInst(user) ? LLVMTypeOf(user) : LLVMTypeOf(LLVMGetOperand(user, 0));
            bytes = LLVMABISizeOfType(layout, t);
            if (LLVMGetVolatile(user))
                return false;
        } else if (LLVMIsAGetElementPtrInst(user) && LLVMGetOperand(user, 0) == pointer) {
            LLVMTypeRef t = LLVMGetGEPSourceElementType(user);
            if (LLVMGetNumOperands(user) == 2 && LLVMIsAConstantInt(LLVMGetOperand(user, 1)))
                bytes = LLVMABISizeOfType(layout, t) *
                        LLVMConstIntGetZExtValue(LLVMGetOperand(user, 1));
            else if (LLVMGetTypeKind(t) == LLVMArrayTypeKind)
                bytes = LLVMABISizeOfType(layout, LLVMGetElementType(t));
            else
                bytes = LLVMABISizeOfType(layout, t);
            if (bytes % a->unit || LLVMGetTypeKind(t) == LLVMStructTypeKind)
                a->interleaved = false;
            if (!pointer_uses(w, a, user))
                return false;
            continue;
        } else if (callee && !strncmp(callee, "llvm.lifetime", 13)) {
            continue;
        } else if (callee && !strncmp(callee, "llvm.mem", 8)) {
            a->interleaved = false;
            continue;
        } else {
            return false;
        }
        if (bytes != a->unit)
            a->interleaved = false;
    }
    return true;
}

/* The size of the first load or store found under the pointer. */
static uint64_t first_access(struct wide *w, LLVMValueRef pointer)
{
    for (LLVMUseRef u = LLVMGetFirstUse(pointer); u; u = LLVMGetNextUse(u)) {
        LLVMValueRef user = LLVMGetUser(u);
        uint64_t bytes = 0;
        if (LLVMIsALoadInst(user))
            bytes = LLVMABISizeOfType(w->g->layout, LLVMTypeOf(user));
        else if (LLVMIsAStoreInst(user))
            bytes = LLVMABISizeOfType(w->g->layout, LLVMTypeOf(LLVMGetOperand(user, 0)));
        else if (LLVMIsAGetElementPtrInst(user))
            bytes = first_access(w, user);
        if (bytes)
            return bytes;
    }
    return 0;
}

static bool private_memory(struct wide *w)
{
    for (uint32_t b = 0; b < w->count; b++)
        for (LLVMValueRef in = LLVMGetFirstInstruction(w->block[b]); in;
                in = LLVMGetNextInstruction(in)) {
            if (!LLVMIsAAllocaInst(in))
                continue;
            struct wide_value *a = wide_get(w, in);
            LLVMValueRef n = LLVMGetOperand(in, 0);
            if (b != 0 || !LLVMIsAConstantInt(n)) {
                w->refused = "private memory of variable size";
                return false;
            }
            a->bytes = LLVMABISizeOfType(w->g->layout, LLVMGetAllocatedType(in)) *
                       LLVMConstIntGetZExtValue(n);
            a->unit = first_access(w, in);
            a->interleaved = a->unit != 0 && a->bytes % a->unit == 0;
            if (a->unit == 0)
                a->unit = 1;
            a->private_memory = true;
            if (!pointer_uses(w, a, in)) {
                w->refused = "private memory whose address escapes";
                return false;
            }
            /* What LLVM knows of the array's alignment holds for every lane's. */
            if (!a->interleaved)
                a->bytes = abx_align_up(a->bytes, LLVMGetAlignment(in));
        }
    return true;
}

/* ---- divergence */

static bool seed(struct wide *w, LLVMValueRef in)
{
    uint64_t which = wide_marker(in, "__abx_builtin");
    if (which != ~0ull)
        switch (which / 4) {
        case ABX_BUILTIN_THREAD_IN_GRID:
        case ABX_BUILTIN_THREAD_IN_GROUP:
            return !w->rows || which % 4 == 0;
        case ABX_BUILTIN_THREAD_INDEX:
        case ABX_BUILTIN_LANE:
        case ABX_BUILTIN_QUAD_LANE:
        case ABX_BUILTIN_QUADGROUP:
        case ABX_BUILTIN_MATRIX_E0:
        case ABX_BUILTIN_MATRIX_E1:
            return true;
        default:
            return false;
        }
    LLVMOpcode op = LLVMGetInstructionOpcode(in);
    return op == LLVMAtomicRMW || op == LLVMAtomicCmpXchg;
}

static bool operand_diverges(struct wide *w, LLVMValueRef in)
{
    int n = LLVMGetNumOperands(in);
    for (int i = 0; i < n; i++) {
        LLVMValueRef o = LLVMGetOperand(in, i);
        if (o && !LLVMValueIsBasicBlock(o) && wide_is_divergent(w, o))
            return true;
    }
    return false;
}

static bool simd_diverges(struct wide *w, LLVMValueRef in)
{
    uint64_t op = wide_marker(in, "__abx_simd");
    if (op == ~0ull)
        return true;
    if (op & ABX_SIMD_QUAD)
        return true;
    switch (op & ABX_SIMD_OP_MASK) {
    case ABX_SIMD_SHUFFLE:
        return wide_is_divergent(w, LLVMGetOperand(in, 1)) &&
               wide_is_divergent(w, LLVMGetOperand(in, 2));
    case ABX_SIMD_SCAN_ADD:
    case ABX_SIMD_SCAN_MUL:
    case ABX_SIMD_XSCAN_ADD:
    case ABX_SIMD_XSCAN_MUL:
        return true;
    default:
        return false;
    }
}

static bool diverges(struct wide *w, struct wide_value *v, LLVMValueRef in)
{
    if (v->phi_divergent || seed(w, in))
        return true;
    if (codegen_is_call(in, "__abx_simd"))
        return simd_diverges(w, in);
    if (codegen_is_matrix(in))
        return true;
    LLVMValueRef memory = LLVMIsALoadInst(in) ? wide_private(LLVMGetOperand(in, 0)) : NULL;
    if (memory)
        return true; /* each lane has its own */
    if (LLVMIsAAllocaInst(in))
        return false;
    return operand_diverges(w, in);
}

static void reach(struct wide *w, uint32_t b, uint32_t stop, bool *in)
{
    for (uint32_t s = 0; s < w->successors[b]; s++) {
        uint32_t t = w->successor[b][s];
        if (t != stop && !in[t]) {
            in[t] = true;
            reach(w, t, stop, in);
        }
    }
}

/* Lanes that parted in block `parted` go through the blocks of `region` and meet again at `phi`.
 * True when the phi gives all of them the same value whichever way each came: its inputs from there
 * are one value, and that was computed before the region. (What is computed inside may be from
 * different turns of a loop.) */
static bool brings_one(struct wide *w, LLVMValueRef phi, const bool *region, uint32_t parted)
{
    LLVMValueRef one = NULL;
    for (unsigned i = 0; i < LLVMCountIncoming(phi); i++) {
        uint32_t from = wide_block(w, LLVMGetIncomingBlock(phi, i));
        LLVMValueRef v = LLVMGetIncomingValue(phi, i);
        if (!region[from] && from != parted)
            continue;
        if ((one && one != v) || LLVMIsUndef(v))
            return false;
        one = v;
    }
    return one &&
           (!LLVMIsAInstruction(one) || !region[wide_block(w, LLVMGetInstructionParent(one))]);
}

/* The phis of block b where lanes that parted meet give different values in different lanes, unless
 * brings_one() says otherwise. `region` NULL: lanes come here in different turns of a loop, and the
 * phis differ in any case. */
static bool mark_phis(struct wide *w, uint32_t b, const bool *region, uint32_t parted)
{
    bool changed = false;
    for (LLVMValueRef in = LLVMGetFirstInstruction(w->block[b]); in && LLVMIsAPHINode(in);
            in = LLVMGetNextInstruction(in)) {
        struct wide_value *v = wide_get(w, in);
        if (v->phi_divergent || (region && brings_one(w, in, region, parted)))
            continue;
        v->phi_divergent = changed = true;
    }
    return changed;
}

/* Lanes go different ways at block b's branch: the blocks between it and the one where all lanes
 * meet again (its post-dominator) run under masks. */
static bool mark_region(struct wide *w, uint32_t b)
{
    bool in[WIDE_MAX_BLOCKS] = {0}, changed = false;
    uint32_t stop = w->post_dominator[b];
    reach(w, b, stop, in);
    /* The branch is reached again from itself: it leaves a loop, and lanes leave it in different
     * turns. Then all blocks of the loops that it leaves run under masks. */
    if (in[b]) {
        int loop = w->loop_of[b];
        while (loop >= 0 && w->loops[loop].parent >= 0 && !w->loops[w->loops[loop].parent].in[stop])
            loop = w->loops[loop].parent;
        for (int l = w->loop_of[b]; l >= 0; l = w->loops[l].parent) {
            if (w->loops[l].in[stop])
                break;
            changed |= !w->loops[l].divergent;
            w->loops[l].divergent = true;
        }
        for (uint32_t k = 0; loop >= 0 && k < w->count; k++)
            if (w->loops[loop].in[k])
                in[k] = true;
    }
    in[stop] = false;
    uint32_t entered[WIDE_MAX_BLOCKS] = {0};
    for (uint32_t p = 0; p < w->count; p++)
        for (uint32_t s = 0; (in[p] || p == b) && s < w->successors[p]; s++)
            entered[w->successor[p][s]]++;
    for (uint32_t k = 0; k < w->count; k++) {
        if (in[k] && !w->masked[k])
            w->masked[k] = changed = true;
        if (!in[k] && k != stop)
            continue;
        uint32_t sources = entered[k];
        bool header = w->loop_of[k] >= 0 && w->loops[w->loop_of[k]].header == k;
        /* A loop's header is also entered from its own latch: no lanes that parted meet there. */
        if (sources > (header && in[k] ? 2u : 1u) || (sources > 1 && !header))
            changed |= mark_phis(w, k, in, b);
    }
    return changed;
}

/* A value that was computed in a loop which lanes leave in different turns differs between them
 * outside of it. */
static bool mark_exits(struct wide *w)
{
    bool changed = false;
    for (uint32_t l = 0; l < w->loop_count; l++)
        for (uint32_t b = 0; b < w->count && w->loops[l].divergent; b++)
            for (uint32_t s = 0; w->loops[l].in[b] && s < w->successors[b]; s++)
                if (!w->loops[l].in[w->successor[b][s]])
                    changed |= mark_phis(w, w->successor[b][s], NULL, 0);
    return changed;
}

bool wide_analyse(struct wide *w)
{
    memset(w->map, 0, w->map_capacity * sizeof *w->map);
    w->map_count = 0;
    memset(w->masked, 0, sizeof w->masked);
    for (uint32_t l = 0; l < w->loop_count; l++)
        w->loops[l].divergent = false;
    if (!private_memory(w))
        return false;
    for (bool changed = true; changed && !w->refused;) {
        changed = false;
        for (uint32_t o = 0; o < w->count; o++) {
            uint32_t b = w->order[o];
            for (LLVMValueRef in = LLVMGetFirstInstruction(w->block[b]); in;
                    in = LLVMGetNextInstruction(in)) {
                struct wide_value *v = wide_get(w, in);
                if (!v->divergent && diverges(w, v, in))
                    v->divergent = changed = true;
            }
            LLVMValueRef t = LLVMGetBasicBlockTerminator(w->block[b]);
            if (w->successors[b] == 2 && (wide_is_divergent(w, t) || w->masked[b]))
                changed |= mark_region(w, b);
        }
        changed |= mark_exits(w);
    }
    return !w->refused;
}

/* What differs between lanes stays as it was found: some of it would not. */
void wide_mask_again(struct wide *w)
{
    memset(w->masked, 0, sizeof w->masked);
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t o = 0; o < w->count; o++) {
            uint32_t k = w->order[o];
            LLVMValueRef t = LLVMGetBasicBlockTerminator(w->block[k]);
            if (!w->lifted[k] && w->successors[k] == 2 && (wide_is_divergent(w, t) || w->masked[k]))
                changed |= mark_region(w, k);
        }
    }
}
