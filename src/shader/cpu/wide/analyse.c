/* shader: which values and blocks differ between the lanes of a vector. See wide.h. */
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

static int meet(const int *tree, const uint32_t *rank, int a, int b, bool backwards)
{
    while (a != b) {
        uint32_t x = a < 0 ? 0 : rank[a], y = b < 0 ? 0 : rank[b];
        if (backwards ? x < y : x > y)
            a = tree[a];
        else
            b = tree[b];
    }
    return a;
}

static void dominators(struct wide *w)
{
    for (uint32_t i = 0; i < w->count; i++)
        w->dominator[i] = -1;
    w->dominator[w->order[0]] = (int)w->order[0];
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t o = 1; o < w->count; o++) {
            uint32_t b = w->order[o];
            int d = -1;
            for (uint32_t p = 0; p < w->count; p++)
                for (uint32_t s = 0; s < w->successors[p]; s++)
                    if (w->successor[p][s] == b && w->dominator[p] >= 0)
                        d = d < 0 ? (int)p : meet(w->dominator, w->rank, d, (int)p, false);
            if (d != w->dominator[b]) {
                w->dominator[b] = d;
                changed = true;
            }
        }
    }
}

/* There is one returning block (mergereturn); blocks that never reach it are refused. */
static bool post_dominators(struct wide *w)
{
    int exit = -1;
    for (uint32_t i = 0; i < w->count; i++) {
        w->post_dominator[i] = -1;
        if (w->successors[i] == 0)
            exit = (int)i;
    }
    if (exit < 0) {
        w->refused = "it never ends";
        return false;
    }
    w->post_dominator[exit] = exit;
    /* Ranks of the reversed graph: a post-order walk from the exit is close enough to the reversed
     * reverse post-order for the iteration to settle, but meet() needs a true one. */
    uint32_t rank[WIDE_MAX_BLOCKS], left = w->count, stack[WIDE_MAX_BLOCKS], top = 0;
    uint32_t next[WIDE_MAX_BLOCKS] = {0}, order[WIDE_MAX_BLOCKS];
    bool seen[WIDE_MAX_BLOCKS] = {0};
    stack[top++] = (uint32_t)exit;
    seen[exit] = true;
    while (top) {
        uint32_t b = stack[top - 1], p = next[b];
        for (; p < w->count; p++) {
            bool edge = false;
            for (uint32_t s = 0; s < w->successors[p]; s++)
                edge |= w->successor[p][s] == b;
            if (edge && !seen[p])
                break;
        }
        next[b] = p + 1;
        if (p < w->count) {
            seen[p] = true;
            stack[top++] = p;
        } else {
            rank[b] = --left;
            order[left] = b;
            top--;
        }
    }
    if (left) {
        w->refused = "a part of it never ends";
        return false;
    }
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t o = 1; o < w->count; o++) {
            uint32_t b = order[o];
            int d = -1;
            for (uint32_t s = 0; s < w->successors[b]; s++) {
                int t = (int)w->successor[b][s];
                if (w->post_dominator[t] >= 0)
                    d = d < 0 ? t : meet(w->post_dominator, rank, d, t, false);
            }
            if (d != w->post_dominator[b]) {
                w->post_dominator[b] = d;
                changed = true;
            }
        }
    }
    return true;
}

bool wide_dominates(struct wide *w, uint32_t a, uint32_t b)
{
    for (;;) {
        if (a == b)
            return true;
        if (w->dominator[b] == (int)b)
            return false;
        b = (uint32_t)w->dominator[b];
    }
}

static void fill_loop(struct wide *w, struct wide_loop *l, uint32_t b)
{
    if (l->in[b])
        return;
    l->in[b] = true;
    for (uint32_t p = 0; p < w->count; p++)
        for (uint32_t s = 0; s < w->successors[p]; s++)
            if (w->successor[p][s] == b)
                fill_loop(w, l, p);
}

static bool find_loops(struct wide *w)
{
    w->loops = calloc(w->count, sizeof *w->loops);
    for (uint32_t b = 0; b < w->count && w->loops; b++)
        for (uint32_t s = 0; s < w->successors[b]; s++) {
            uint32_t h = w->successor[b][s];
            if (w->rank[h] > w->rank[b])
                continue;
            if (!wide_dominates(w, h, b)) {
                w->refused = "irreducible control flow";
                return false;
            }
            struct wide_loop *l = &w->loops[w->loop_count++];
            l->header = h;
            l->latch = b;
            l->in = calloc(w->count, 1);
            l->in[h] = true;
            fill_loop(w, l, b);
            for (uint32_t k = 0; k + 1 < w->loop_count; k++)
                if (w->loops[k].header == h) {
                    w->refused = "a loop with two latches";
                    return false;
                }
        }
    for (uint32_t b = 0; b < w->count; b++) {
        w->loop_of[b] = -1;
        size_t best = ~0ull;
        for (uint32_t i = 0; i < w->loop_count; i++) {
            size_t size = 0;
            for (uint32_t k = 0; k < w->count; k++)
                size += w->loops[i].in[k];
            if (w->loops[i].in[b] && size < best) {
                best = size;
                w->loop_of[b] = (int)i;
            }
        }
    }
    for (uint32_t i = 0; i < w->loop_count; i++) {
        size_t best = ~0ull;
        w->loops[i].parent = -1;
        for (uint32_t j = 0; j < w->loop_count; j++) {
            size_t size = 0;
            for (uint32_t k = 0; k < w->count; k++)
                size += w->loops[j].in[k];
            if (j != i && w->loops[j].in[w->loops[i].header] && size < best) {
                best = size;
                w->loops[i].parent = (int)j;
            }
        }
    }
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
    dominators(w);
    return post_dominators(w) && find_loops(w);
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

/* True when lanes bring one value to where they meet, whichever way they came: one that was there
 * before they parted. `region`: the blocks between; of a loop's, each turn's is another. */
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

/* region: NULL when lanes come at different times. */
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

/* Block b's branch diverges: what lies between it and where all lanes meet runs under masks. */
static bool mark_region(struct wide *w, uint32_t b)
{
    bool in[WIDE_MAX_BLOCKS] = {0}, changed = false;
    uint32_t stop = (uint32_t)w->post_dominator[b];
    reach(w, b, stop, in);
    if (in[b]) { /* lanes leave a loop one by one: all of it, up to its common end */
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
        /* A header's second source is its own latch: not a meeting of lanes. */
        if (sources > (header && in[k] ? 2u : 1u) || (sources > 1 && !header))
            changed |= mark_phis(w, k, in, b);
    }
    return changed;
}

/* Values that leave a loop whose lanes leave at different times. */
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

static bool marker_in_mask(struct wide *w)
{
    for (uint32_t b = 0; b < w->count; b++)
        for (LLVMValueRef in = LLVMGetFirstInstruction(w->block[b]); in && w->masked[b];
                in = LLVMGetNextInstruction(in))
            if (codegen_is_call(in, "__abx_barrier"))
                return true;
    return false;
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
    if (marker_in_mask(w))
        w->refused = "a barrier in divergent control flow";
    return !w->refused;
}
