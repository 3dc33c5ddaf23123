/* shader: what a module of AIR says about its kernels, arguments and function constants, in
 * metadata. Compiler process. Metadata can have any shape: every operand is looked at before it is
 * used.
 *
 *   !air.kernel = !{!{function, outputs, arguments, attributes ...}, ...}
 *   argument:  !{position, ["air.function_constant", condition,] kind, key, value ...}
 *   attribute: !{"air.max_work_group_size", threads}
 *   !air.function_constants = !{!{global, type name, name, index, required}, ...} */
#include "shader/air/air.h"

#include <stdlib.h>
#include <string.h>

#define MAX_KERNELS 65536u

bool air_node_open(LLVMValueRef value, struct air_node *ret)
{
    ret->count = 0;
    if (!value || !LLVMIsAMDNode(value) || LLVMGetMDNodeNumOperands(value) > AIR_MAX_OPERANDS)
        return false;
    ret->count = LLVMGetMDNodeNumOperands(value);
    LLVMGetMDNodeOperands(value, ret->operands);
    return true;
}

LLVMValueRef air_node_operand(const struct air_node *n, unsigned i)
{
    return i < n->count ? n->operands[i] : NULL;
}

struct air_text air_node_text(const struct air_node *n, unsigned i)
{
    struct air_text t = {"", 0};
    LLVMValueRef v = air_node_operand(n, i);
    if (v && LLVMIsAMDString(v))
        t.data = LLVMGetMDString(v, &t.length);
    return t;
}

bool air_node_number(const struct air_node *n, unsigned i, uint32_t *ret)
{
    LLVMValueRef v = air_node_operand(n, i);
    if (!v || !LLVMIsAConstantInt(v) || LLVMGetIntTypeWidth(LLVMTypeOf(v)) > 64)
        return false;
    uint64_t number = LLVMConstIntGetZExtValue(v);
    *ret = (uint32_t)number;
    return number <= UINT32_MAX;
}

bool air_text_is(struct air_text t, const char *word)
{
    return t.length == strlen(word) && !memcmp(t.data, word, t.length);
}

/* ---- kernels */

static LLVMValueRef *named_nodes(LLVMModuleRef module, const char *name, unsigned *ret_count)
{
    unsigned count = LLVMGetNamedMetadataNumOperands(module, name);
    LLVMValueRef *nodes = count && count <= MAX_KERNELS ? calloc(count, sizeof(*nodes)) : NULL;
    *ret_count = nodes ? count : 0;
    if (nodes)
        LLVMGetNamedMetadataOperands(module, name, nodes);
    return nodes;
}

static int read_kernel(const struct air_node *n, struct air_kernel *ret)
{
    LLVMValueRef list = air_node_operand(n, 2);
    *ret = (struct air_kernel){.function = n->operands[0]};
    if (!list || !LLVMIsAMDNode(list))
        return -EINVAL;
    ret->argument_count = LLVMGetMDNodeNumOperands(list);
    ret->arguments = calloc(ret->argument_count + 1, sizeof(*ret->arguments));
    if (!ret->arguments)
        return -ENOMEM;
    LLVMGetMDNodeOperands(list, ret->arguments);
    for (unsigned i = 3; i < n->count; i++) {
        struct air_node attribute;
        if (!air_node_open(n->operands[i], &attribute))
            continue;
        struct air_text key = air_node_text(&attribute, 0);
        if (air_text_is(key, "air.max_work_group_size"))
            air_node_number(&attribute, 1, &ret->max_threads);
        else if (air_text_is(key, "air.reqd_work_group_size"))
            for (unsigned d = 0; d < 3; d++)
                air_node_number(&attribute, d + 1, &ret->required_threads[d]);
    }
    return 0;
}

int air_kernel_find(LLVMModuleRef module, const char *name, struct air_kernel *ret)
{
    unsigned count;
    LLVMValueRef *nodes = named_nodes(module, "air.kernel", &count);
    int rc = -EINVAL;
    for (unsigned i = 0; i < count && rc == -EINVAL; i++) {
        struct air_node n;
        size_t length;
        if (!air_node_open(nodes[i], &n) || !air_node_operand(&n, 0) ||
                !LLVMIsAFunction(n.operands[0]))
            continue;
        if (count == 1 || !strcmp(LLVMGetValueName2(n.operands[0], &length), name))
            rc = read_kernel(&n, ret);
    }
    free(nodes);
    return rc;
}

void air_kernel_finish(struct air_kernel *kernel)
{
    free(kernel->arguments);
    kernel->arguments = NULL;
}

/* ---- arguments */

int air_builtin(const char *name, size_t length)
{
    static const struct {
        const char *name;
        int number;
    } builtins[] = {{"thread_position_in_grid", ABX_BUILTIN_THREAD_IN_GRID},
            {"thread_position_in_threadgroup", ABX_BUILTIN_THREAD_IN_GROUP},
            {"threadgroup_position_in_grid", ABX_BUILTIN_GROUP_IN_GRID},
            {"threads_per_threadgroup", ABX_BUILTIN_GROUP_SIZE},
            {"dispatch_threads_per_threadgroup", ABX_BUILTIN_DISPATCH_GROUP_SIZE},
            {"threadgroups_per_grid", ABX_BUILTIN_GROUPS}, {"threads_per_grid", ABX_BUILTIN_GRID},
            {"grid_size", ABX_BUILTIN_GRID}, {"grid_origin", ABX_BUILTIN_GRID_ORIGIN},
            {"thread_index_in_threadgroup", ABX_BUILTIN_THREAD_INDEX},
            {"thread_index_in_simdgroup", ABX_BUILTIN_LANE},
            {"simdgroup_index_in_threadgroup", ABX_BUILTIN_SIMDGROUP},
            {"threads_per_simdgroup", ABX_BUILTIN_SIMD_WIDTH},
            {"thread_execution_width", ABX_BUILTIN_SIMD_WIDTH},
            {"simdgroup_size", ABX_BUILTIN_SIMD_WIDTH},
            {"simdgroups_per_threadgroup", ABX_BUILTIN_SIMDGROUPS},
            {"dispatch_simdgroups_per_threadgroup", ABX_BUILTIN_DISPATCH_SIMDGROUPS},
            {"thread_index_in_quadgroup", ABX_BUILTIN_QUAD_LANE},
            {"quadgroup_index_in_threadgroup", ABX_BUILTIN_QUADGROUP},
            {"quadgroups_per_threadgroup", ABX_BUILTIN_QUADGROUPS},
            {"dispatch_quadgroups_per_threadgroup", ABX_BUILTIN_QUADGROUPS}};
    for (size_t i = 0; i < ABX_ARRAY_SIZE(builtins); i++)
        if (strlen(builtins[i].name) == length && !memcmp(builtins[i].name, name, length))
            return builtins[i].number;
    return -1;
}

uint32_t air_data_type(struct air_text name)
{
    static const struct {
        const char *scalar;
        uint32_t first, matrices; /* MTLDataType of the scalar and of its 2x2 matrix */
    } types[] = {{"float", 3, 7}, {"half", 16, 20}, {"int", 29, 0}, {"uint", 33, 0},
            {"short", 37, 0}, {"ushort", 41, 0}, {"char", 45, 0}, {"uchar", 49, 0}, {"bool", 53, 0},
            {"long", 81, 0}, {"ulong", 85, 0}, {"bfloat", 121, 0}};
    static const char *const prefixes[] = {"packed_", "atomic_"};
    for (size_t i = 0; i < ABX_ARRAY_SIZE(prefixes); i++)
        if (name.length > 7 && !memcmp(name.data, prefixes[i], 7))
            name.data += 7, name.length -= 7;
    for (size_t i = 0; i < ABX_ARRAY_SIZE(types); i++) {
        size_t length = strlen(types[i].scalar);
        if (name.length < length || memcmp(name.data, types[i].scalar, length))
            continue;
        const char *rest = name.data + length;
        unsigned more = name.length - (unsigned)length;
        if (more == 0)
            return types[i].first;
        if (rest[0] < '2' || rest[0] > '4')
            continue;
        if (more == 1)
            return types[i].first + (uint32_t)(rest[0] - '1');
        if (more == 3 && rest[1] == 'x' && rest[2] >= '2' && rest[2] <= '4' && types[i].matrices)
            return types[i].matrices + 3 * (uint32_t)(rest[0] - '2') + (uint32_t)(rest[2] - '2');
    }
    return 1;
}

/* What stands between an argument's kind and its end: keys with a value, and words without. */
static void read_keys(
        const struct air_node *n, unsigned i, struct air_argument *ret, uint32_t *space)
{
    for (; i < n->count; i++) {
        struct air_text key = air_node_text(n, i);
        if (air_text_is(key, "air.location_index"))
            air_node_number(n, ++i, &ret->index);
        else if (air_text_is(key, "air.address_space"))
            air_node_number(n, ++i, space);
        else if (air_text_is(key, "air.buffer_size"))
            air_node_number(n, ++i, &ret->reference_size);
        else if (air_text_is(key, "air.arg_type_size"))
            air_node_number(n, ++i, &ret->size);
        else if (air_text_is(key, "air.arg_type_align_size"))
            air_node_number(n, ++i, &ret->alignment);
        else if (air_text_is(key, "air.struct_type_info"))
            ret->members = air_node_operand(n, ++i);
        else if (air_text_is(key, "air.arg_type_name"))
            ret->type_name = air_node_text(n, ++i);
        else if (air_text_is(key, "air.arg_name"))
            ret->name = air_node_text(n, ++i);
        else if (air_text_is(key, "air.read_write"))
            ret->access = ABX_ACCESS_READ_WRITE;
        else if (air_text_is(key, "air.write"))
            ret->access = ABX_ACCESS_WRITE_ONLY;
    }
}

int air_argument_read(LLVMValueRef node, struct air_argument *ret)
{
    struct air_node n;
    unsigned i = 1;
    uint32_t space = 0;
    *ret = (struct air_argument){.name = {"", 0}, .type_name = {"", 0}, .alignment = 1};
    if (!air_node_open(node, &n) || !air_node_number(&n, 0, &ret->position))
        return -EINVAL;
    ret->conditional = air_text_is(air_node_text(&n, i), "air.function_constant");
    if (ret->conditional)
        i += 2;
    struct air_text kind = air_node_text(&n, i++);
    read_keys(&n, i, ret, &space);
    if (air_text_is(kind, "air.buffer") || air_text_is(kind, "air.indirect_buffer")) {
        ret->constant = space == 2;
        ret->kind = space == 3 ? ABX_ARGUMENT_THREADGROUP : ABX_ARGUMENT_BUFFER;
        uint32_t most = space == 3 ? ABX_MAX_THREADGROUP_BINDINGS : ABX_MAX_BUFFER_BINDINGS;
        return ret->index < most ? 0 : -EINVAL;
    }
    ret->kind = ABX_ARGUMENT_BUILTIN;
    ret->builtin = kind.length > 4 ? air_builtin(kind.data + 4, kind.length - 4) : -1;
    if (ret->builtin >= 0)
        return 0;
    ret->type_name = kind;
    return kind.length ? -ENOTSUP : -EINVAL;
}

/* ---- function constants */

uint32_t air_constant_count(LLVMModuleRef module)
{
    return LLVMGetNamedMetadataNumOperands(module, "air.function_constants");
}

int air_constant_read(LLVMModuleRef module, uint32_t i, struct air_constant *ret)
{
    unsigned count;
    LLVMValueRef *nodes = named_nodes(module, "air.function_constants", &count);
    struct air_node n;
    uint32_t required = 1;
    bool ok = i < count && air_node_open(nodes[i], &n);
    free(nodes);
    if (!ok || !air_node_operand(&n, 0) || !LLVMIsAGlobalVariable(n.operands[0]))
        return -EINVAL;
    *ret = (struct air_constant){.global = n.operands[0],
            .name = air_node_text(&n, 2),
            .type = air_data_type(air_node_text(&n, 1))};
    uint64_t size = LLVMStoreSizeOfType(
            LLVMGetModuleDataLayout(module), LLVMGlobalGetValueType(ret->global));
    if (!air_node_number(&n, 3, &ret->index) || ret->index > UINT16_MAX || ret->type <= 1 ||
            size > 16)
        return -EINVAL;
    ret->size = (uint32_t)size;
    air_node_number(&n, 4, &required);
    ret->required = required != 0;
    return 0;
}
