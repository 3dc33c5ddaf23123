/* shader, private: libraries that Apple's compiler made (.metallib files): a container of LLVM
 * bitcode modules that call functions named air.* and describe their kernels in metadata. Compiler
 * process; every byte is the guest's.
 *
 * A library is taken apart only as far as its reflection needs (library.c); the modules go into
 * the library blob as they are. One is read, and its kernel brought into the form that kernels from
 * source have (shim/markers.h), when a pipeline is made of it (load.c). */
#ifndef ABX_SHADER_AIR_AIR_H
#define ABX_SHADER_AIR_AIR_H

#include "shader/codegen/codegen.h"
#include "shader/shader.h"

#define AIR_THREADGROUP_SPACE 3u

/* ---- container.c */

/* As in the container's tag TYPE. */
enum air_function_type {
    AIR_VERTEX = 0,
    AIR_FRAGMENT = 1,
    AIR_KERNEL = 2,
    AIR_VISIBLE = 4,
    AIR_INTERSECTION = 6,
};
struct air_function {
    const char *name;       /* in the container */
    uint32_t type;          /* enum air_function_type, or what else the file says */
    uint64_t offset, bytes; /* its module in the bitcode section */
};
struct air_container {
    const uint8_t *bitcode;
    uint64_t bitcode_bytes;
    struct air_function *functions; /* malloc()ed */
    uint32_t function_count;
};
/* 0, or -EINVAL with *ret_why saying what is wrong. What *ret points to lies in `data`. */
int air_container_open(
        const void *data, size_t bytes, struct air_container *ret, const char **ret_why);
void air_container_close(struct air_container *c);

/* ---- an ABX_LIBRARY_AIR blob's code: this, the modules' places (one a function of the
 * reflection), then the container's bitcode section. */
struct air_module_place {
    uint64_t offset, bytes;
};
struct air_index {
    uint64_t count;
    struct air_module_place modules[];
};

/* ---- metadata.c: what a module says about its kernels. Strings belong to the context and are
 * not NUL-terminated. */
struct air_text {
    const char *data;
    unsigned length;
};
bool air_text_is(struct air_text t, const char *word);

/* A node's operands: the longest are of structures, five a member. */
#define AIR_MAX_OPERANDS 1024u
struct air_node {
    LLVMValueRef operands[AIR_MAX_OPERANDS];
    unsigned count;
};
/* False when it is no node, or too long a one. */
bool air_node_open(LLVMValueRef value, struct air_node *ret);
/* NULL, "" and false when there is no such operand. */
LLVMValueRef air_node_operand(const struct air_node *n, unsigned i);
struct air_text air_node_text(const struct air_node *n, unsigned i);
bool air_node_number(const struct air_node *n, unsigned i, uint32_t *ret);

struct air_argument {
    enum abx_argument_kind kind;
    uint32_t position; /* of the parameter */
    uint32_t index, access, size, alignment;
    int builtin;             /* ABX_BUILTIN_x */
    bool conditional;        /* there only where a function constant says so */
    bool constant;           /* in the constant address space; and of a reference, */
    uint32_t reference_size; /* how much it leads to */
    struct air_text name, type_name;
    LLVMValueRef members; /* what is known of the structure it points to; NULL: nothing */
};
struct air_kernel {
    LLVMValueRef function;
    LLVMValueRef *arguments; /* metadata nodes, malloc()ed */
    uint32_t argument_count;
    uint32_t max_threads, required_threads[3];
};
/* Finds the module's kernel of this name, or its only one. -EINVAL: there is none. */
int air_kernel_find(LLVMModuleRef module, const char *name, struct air_kernel *ret);
void air_kernel_finish(struct air_kernel *kernel);
/* -EINVAL: malformed. -ENOTSUP: something kernels cannot have here; ret->type_name says what. */
int air_argument_read(LLVMValueRef node, struct air_argument *ret);

struct air_constant {
    LLVMValueRef global;
    struct air_text name;
    uint32_t index, type, size; /* type: MTLDataType */
    bool required;
};
uint32_t air_constant_count(LLVMModuleRef module);
int air_constant_read(LLVMModuleRef module, uint32_t i, struct air_constant *ret);
/* The MTLDataType of a type name: 1 (a structure) when it is none that every program knows. */
uint32_t air_data_type(struct air_text name);
/* The builtin (ABX_BUILTIN_x) of this name, without "air."; -1: none. */
int air_builtin(const char *name, size_t length);

/* ---- types.c: the structures that arguments point to, for the reflection */
struct air_types {
    struct abx_reflection_type *types; /* malloc()ed, as the others */
    struct abx_reflection_member *members;
    uint32_t type_count, member_count;
    uint32_t type_capacity, member_capacity;
    struct air_known_type *known;
    uint32_t (*add_text)(void *context, struct air_text text); /* the offset of a string */
    void *context;
};
/* The type of an argument's pointee: 1 + its index; 0 when its members are not known. */
uint32_t air_types_add(struct air_types *t, const struct air_argument *a);
void air_types_finish(struct air_types *t);

/* ---- load.c: function `name` of the module in place `function`, as g->module and g->kernel */
int air_load(struct codegen *g, const struct air_index *index, size_t bytes, uint32_t function,
        const char *name, const struct abx_shader_constant *constants, uint32_t constant_count);

/* Deletes the lists of what must be kept though nothing uses it. */
void air_delete_roots(LLVMModuleRef module);

/* ---- promises.c: that arguments do not overlap: clients do bind one buffer twice. That there are
 * no NaNs and no infinities: programs test for them, under fast math too. */
void air_take_back_promises(struct codegen *g);

/* ---- retype.c: the module again, all pointers in the default address space */
int air_retype(struct codegen *g);

/* ---- lower.c: calls of air.* become calls of runtime.cc's functions, which are linked in
 */
struct air {
    struct codegen *g;
    LLVMModuleRef runtime;
    const char *calling; /* AIR's name of what is being lowered */
    bool matrices;       /* some call was of a SIMD-group matrix */
    bool leave_tables;   /* calls that ask a function table stay: constants may make them dead */
};
int air_lower(struct codegen *g, bool leave_tables);
/* The module, of a program's source, declares functions of Apple's compiler (asm("air.name")). */
bool air_wanted(const struct codegen *g);
/* Calls a function of the runtime; NULL, with a message, when none has this name and form. */
LLVMValueRef air_call_runtime(
        struct air *a, const char *name, LLVMValueRef *arguments, unsigned count);
/* Memory for a value, allocated where the function begins. */
LLVMValueRef air_build_slot(struct air *a, LLVMTypeRef type);

/* ---- call.c: calls that are no function of the runtime */
struct air_call {
    const char *name; /* without "air." */
    LLVMValueRef arguments[16];
    unsigned argument_count;
    LLVMTypeRef type;    /* of the result */
    LLVMValueRef result; /* what takes the call's place */
};
/* 1: replaced; 0: not one of these; a negative errno with a message. The builder stands before the
 * call. */
int air_call_direct(struct air *a, struct air_call *c);
/* A builtin (ABX_BUILTIN_x) as an integer or a vector of them; NULL: it has no such type. */
LLVMValueRef air_build_builtin(struct codegen *g, int builtin, LLVMTypeRef type);

#endif
