/* shader: whether the code of a kernel can be made, as far as a module that holds it tells before
 * it is optimised. Compiler process; the module is clang's, of the guest's text. */
#include "shader/frontend/reflect_sure.h"

#include "base/base.h"
#include "shader/abi/names.h"
#include "wire/limits.h"

#include <llvm-c/Target.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEPTH 16u /* of constant expressions */

/* What was looked at: open addressing, by pointer. */
struct seen {
    LLVMValueRef *slots, *list; /* list: in the order in which they came */
    size_t capacity, count;
};

static size_t slot_of(const struct seen *s, LLVMValueRef value)
{
    size_t i = ((uintptr_t)value >> 4) * 0x9e3779b97f4a7c15ull >> 20;
    for (i &= s->capacity - 1; s->slots[i] && s->slots[i] != value;)
        i = (i + 1) & (s->capacity - 1);
    return i;
}

static void see(struct seen *s, LLVMValueRef value)
{
    size_t i = slot_of(s, value);
    if (s->slots[i])
        return;
    s->slots[i] = value;
    s->list[s->count++] = value;
}

static void see_operand(struct seen *s, LLVMValueRef v, unsigned depth)
{
    if (!v || !LLVMIsAConstant(v) || depth == MAX_DEPTH)
        return;
    if (LLVMIsAGlobalObject(v))
        see(s, v);
    else
        for (int i = 0; i < LLVMGetNumOperands(v); i++)
            see_operand(s, LLVMGetOperand(v, i), depth + 1);
}

static void see_body(struct seen *s, LLVMValueRef f)
{
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(f); b; b = LLVMGetNextBasicBlock(b))
        for (LLVMValueRef in = LLVMGetFirstInstruction(b); in; in = LLVMGetNextInstruction(in))
            for (int i = 0; i < LLVMGetNumOperands(in); i++)
                see_operand(s, LLVMGetOperand(in, i), 0);
}

static size_t count_globals(LLVMModuleRef module)
{
    size_t n = 0;
    for (LLVMValueRef f = LLVMGetFirstFunction(module); f; f = LLVMGetNextFunction(f))
        n++;
    for (LLVMValueRef v = LLVMGetFirstGlobal(module); v; v = LLVMGetNextGlobal(v))
        n++;
    for (LLVMValueRef i = LLVMGetFirstGlobalIFunc(module); i; i = LLVMGetNextGlobalIFunc(i))
        n++;
    return n;
}

static bool is_sure(LLVMModuleRef module, struct seen *s)
{
    uint64_t bytes = 0;
    LLVMTargetDataRef layout = LLVMGetModuleDataLayout(module);
    for (size_t i = 0; i < s->count; i++) {
        LLVMValueRef v = s->list[i];
        size_t length;
        const char *name = LLVMGetValueName2(v, &length);
        if (LLVMIsAFunction(v)) {
            bool ours = !strncmp(name, "__abx_", 6) || !strncmp(name, "__msl_", 6);
            if (LLVMIsDeclaration(v) && !ours && !abx_is_callable(name))
                return false;
            see_body(s, v);
        } else if (!LLVMIsAGlobalVariable(v)) {
            return false; /* refused, and that is then said */
        } else if (LLVMIsDeclaration(v)) {
            if (strncmp(name, "__msl_", 6) && strncmp(name, "__abx_", 6))
                return false;
        } else if (!LLVMIsGlobalConstant(v)) {
            bytes += LLVMABISizeOfType(layout, LLVMGlobalGetValueType(v));
            bytes = abx_align_up(bytes, 16);
            if (bytes > ABX_MAX_THREADGROUP_BYTES)
                return false;
        }
    }
    return true;
}

bool reflect_sure(LLVMModuleRef module, const char *entry)
{
    LLVMValueRef f = LLVMGetNamedFunction(module, entry);
    size_t count = count_globals(module);
    struct seen s = {.capacity = 64};
    while (s.capacity < 2 * count)
        s.capacity *= 2;
    s.slots = calloc(s.capacity, sizeof *s.slots);
    s.list = calloc(count + 1, sizeof *s.list);
    bool sure = false;
    if (f && s.slots && s.list) {
        see(&s, f);
        sure = is_sure(module, &s);
    }
    free(s.slots);
    free(s.list);
    return sure;
}
