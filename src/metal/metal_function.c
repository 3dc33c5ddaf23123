/* metal: MTLFunction and MTLFunctionConstantValues. Runs in the guest's process. */
#include <stdlib.h>
#include <string.h>

#include "metal/metal_internal.h"

#define LIBRARY_DOMAIN "MTLLibraryErrorDomain"
#define MAX_CONSTANTS 256u /* of one pipeline: the wire's cap */

/* ---- MTLFunctionConstantValues */

ABX_OBJC_CLASS(MTLFunctionConstantValues)

struct value {
    uint32_t type, index;
    id name; /* NULL: by index */
    uint64_t value[2];
};

struct constant_values {
    Class isa;
    struct value *values;
    uint32_t count, capacity;
};

/* Bytes of a constant's type; 0 when a constant cannot have it. */
static uint32_t constant_size(NSUInteger type)
{
    static const struct {
        uint8_t first, bytes;
    } scalars[] = {{MTLDataTypeFloat, 4}, {MTLDataTypeHalf, 2}, {MTLDataTypeInt, 4},
            {MTLDataTypeUInt, 4}, {MTLDataTypeShort, 2}, {MTLDataTypeUShort, 2},
            {MTLDataTypeChar, 1}, {MTLDataTypeUChar, 1}, {MTLDataTypeBool, 1}, {MTLDataTypeLong, 8},
            {MTLDataTypeULong, 8}, {MTLDataTypeBFloat, 2}};
    for (size_t i = 0; i < ABX_ARRAY_SIZE(scalars); i++)
        if (type >= scalars[i].first && type < scalars[i].first + 4u) {
            uint32_t bytes = (uint32_t)(type - scalars[i].first + 1) * scalars[i].bytes;
            return bytes <= 16 ? bytes : 0;
        }
    return 0;
}

static void set_value(
        id self, const void *bytes, NSUInteger type, NSUInteger index, id name, const char *what)
{
    struct constant_values *v = (struct constant_values *)self;
    uint32_t size = constant_size(type), at = 0;
    if (!bytes || !size || index > UINT16_MAX) {
        abx_metal_say("-[MTLFunctionConstantValues %s]: %s", what,
                !bytes  ? "no value"
                : !size ? "the type cannot be a constant's"
                        : "the index is too large");
        return;
    }
    while (at < v->count && (name ? !abx_ns_string_equal(v->values[at].name, name)
                                  : v->values[at].name || v->values[at].index != index))
        at++;
    if (!abx_grow((void **)&v->values, &v->capacity, at, sizeof *v->values, UINT32_MAX))
        return;
    if (at == v->count)
        v->values[v->count++] = (struct value){
                .index = (uint32_t)index, .name = ABX_MSG(id, (id, SEL), name, "copy")};
    v->values[at].type = (uint32_t)type;
    memset(v->values[at].value, 0, sizeof v->values[at].value);
    memcpy(v->values[at].value, bytes, size);
}

id MTLFunctionConstantValues_init(id self, SEL cmd)
{
    return self;
}

void MTLFunctionConstantValues_setConstantValue_type_atIndex_(
        id self, SEL cmd, const void *value, MTLDataType type, NSUInteger index)
{
    set_value(self, value, type, index, NULL, "setConstantValue:type:atIndex:");
}

void MTLFunctionConstantValues_setConstantValues_type_withRange_(
        id self, SEL cmd, const void *values, MTLDataType type, NSRange range)
{
    for (NSUInteger i = 0; i < range.length && i < MAX_CONSTANTS; i++)
        set_value(self, values ? (const char *)values + i * constant_size(type) : NULL, type,
                range.location + i, NULL, "setConstantValues:type:withRange:");
}

void MTLFunctionConstantValues_setConstantValue_type_withName_(
        id self, SEL cmd, const void *value, MTLDataType type, id name)
{
    if (name)
        set_value(self, value, type, 0, name, "setConstantValue:type:withName:");
}

void MTLFunctionConstantValues_reset(id self, SEL cmd)
{
    struct constant_values *v = (struct constant_values *)self;
    for (uint32_t i = 0; i < v->count; i++)
        objc_release(v->values[i].name);
    free(v->values);
    v->values = NULL;
    v->count = v->capacity = 0;
}

id MTLFunctionConstantValues_copyWithZone_(id self, SEL cmd, void *zone)
{
    struct constant_values *v = (struct constant_values *)self;
    id copy = objc_alloc_init(ABX_CLASS(MTLFunctionConstantValues));
    for (uint32_t i = 0; i < v->count; i++)
        set_value(copy, v->values[i].value, v->values[i].type, v->values[i].index,
                v->values[i].name, "copy");
    return copy;
}

void MTLFunctionConstantValues_dealloc(id self, SEL cmd)
{
    MTLFunctionConstantValues_reset(self, cmd);
    abx_objc_dealloc_super(self, ABX_CLASS(MTLFunctionConstantValues));
}

void abx_metal_define_constant_values(void)
{
    abx_objc_define_class(&(struct abx_objc_class_spec){
            ABX_OBJC_CLASS_STORAGE(MTLFunctionConstantValues), .superclass = ABX_CLASS(NSObject),
            .instance_size = sizeof(struct constant_values),
            .instance_methods = MTLFunctionConstantValues_methods,
            .protocols = (const char *const[]){"NSCopying", NULL}});
}

/* ---- making functions */

/* The function's number in the library; its function_count when there is none of that name. */
static uint32_t number_of(const struct abx_metal_library *library, const char *name)
{
    const struct abx_reflection *r = library->reflection;
    const struct abx_reflection_function *f = abx_reflection_functions(r);
    uint32_t i = 0;
    while (i < r->function_count && strcmp(abx_reflection_string(r, f[i].name), name))
        i++;
    return i;
}

static struct abx_metal_function *function_new(
        struct abx_metal_library *library, id name, id *error)
{
    const char *wanted = abx_ns_string_utf8(name);
    uint32_t i = 0;
    while (library && wanted &&
            (i = number_of(library, wanted)) == library->reflection->function_count)
        library = library->next;
    if (!library || !wanted) {
        abx_ns_error_set(error, LIBRARY_DOMAIN, MTLLibraryErrorFunctionNotFound,
                "there is no function \"%s\" in the library", wanted ? wanted : "(nil)");
        return NULL;
    }
    struct abx_metal_function *function = abx_metal_new(ABX_METAL_FUNCTION, library->base.device);
    if (!function)
        return NULL;
    function->library = (struct abx_metal_library *)objc_retain((id)library);
    function->index = i;
    function->name = ABX_MSG(id, (id, SEL), name, "copy");
    return function;
}

/* The constants that the function may use. */
static const struct abx_reflection_constant *constants_of(
        const struct abx_metal_function *function, uint32_t *ret_count)
{
    const struct abx_reflection *r = function->library->reflection;
    const struct abx_reflection_function *f = &abx_reflection_functions(r)[function->index];
    *ret_count = f->constant_count;
    return abx_reflection_constants(r) + f->first_constant;
}

static const struct abx_reflection_constant *find_constant(
        const struct abx_metal_function *function, const struct value *value)
{
    uint32_t count;
    const struct abx_reflection *r = function->library->reflection;
    const struct abx_reflection_constant *c = constants_of(function, &count);
    const char *name = abx_ns_string_utf8(value->name);
    for (uint32_t i = 0; i < count; i++)
        if (name ? !strcmp(abx_reflection_string(r, c[i].name), name) : c[i].index == value->index)
            return &c[i];
    return NULL;
}

/* Values nobody asked for are ignored, as on Apple's. */
static bool specialize(struct abx_metal_function *function, id object, id *error)
{
    const struct constant_values *v = (const struct constant_values *)object;
    const struct abx_reflection *r = function->library->reflection;
    if (!v || !v->count || !r->constant_count)
        return true;
    function->constants = calloc(v->count, sizeof *function->constants);
    if (!function->constants)
        return false;
    for (uint32_t i = 0; i < v->count; i++) {
        const struct abx_reflection_constant *c = find_constant(function, &v->values[i]);
        if (!c || function->constant_count == MAX_CONSTANTS)
            continue;
        if (c->type && c->type != v->values[i].type) {
            abx_ns_error_set(error, LIBRARY_DOMAIN, MTLLibraryErrorCompileFailure,
                    "function constant \"%s\" (index %u) has type %u, the value has type %u",
                    abx_reflection_string(r, c->name), c->index, c->type, v->values[i].type);
            return false;
        }
        struct abx_metal_constant *to = &function->constants[function->constant_count++];
        to->index = c->index;
        to->type = v->values[i].type;
        memcpy(to->value, v->values[i].value, sizeof to->value);
    }
    return true;
}

id MTLLibrary_newFunctionWithName_(id self, SEL cmd, id name)
{
    return (id)function_new((struct abx_metal_library *)self, name, NULL);
}

id MTLLibrary_reflectionForFunctionWithName_(id self, SEL cmd, id name)
{
    struct abx_metal_function *function =
            function_new((struct abx_metal_library *)self, name, NULL);
    if (!function)
        return NULL;
    struct MTLFunctionReflection *reflection =
            (struct MTLFunctionReflection *)objc_alloc_init(ABX_CLASS(MTLFunctionReflection));
    reflection->bindings = objc_retain(abx_metal_bindings(function));
    objc_release((id)function);
    return objc_autorelease((id)reflection);
}

id MTLLibrary_newFunctionWithName_constantValues_error_(
        id self, SEL cmd, id name, id values, id *error)
{
    struct abx_metal_function *function =
            function_new((struct abx_metal_library *)self, name, error);
    if (function && !specialize(function, values, error)) {
        objc_release((id)function);
        return NULL;
    }
    return (id)function;
}

/* Nothing is compiled here: the handler can be called at once. */
void MTLLibrary_newFunctionWithName_constantValues_completionHandler_(
        id self, SEL cmd, id name, id values, id handler)
{
    id error = NULL;
    id function =
            MTLLibrary_newFunctionWithName_constantValues_error_(self, cmd, name, values, &error);
    ABX_BLOCK_CALL(void, (void *, id, id), handler, function, function ? NULL : error);
    objc_release(function);
}

id MTLLibrary_newFunctionWithDescriptor_error_(id self, SEL cmd, id object, id *error)
{
    struct MTLFunctionDescriptor *descriptor = (struct MTLFunctionDescriptor *)object;
    if (!descriptor) {
        abx_ns_error_set(error, LIBRARY_DOMAIN, MTLLibraryErrorFunctionNotFound, "no descriptor");
        return NULL;
    }
    id made = MTLLibrary_newFunctionWithName_constantValues_error_(
            self, cmd, descriptor->name, descriptor->constantValues, error);
    struct abx_metal_function *function = (struct abx_metal_function *)made;
    if (function && descriptor->options & MTLFunctionOptionFailOnBinaryArchiveMiss &&
            !abx_metal_archives_have(descriptor->binaryArchives, function, NULL)) {
        abx_ns_error_set(error, LIBRARY_DOMAIN, MTLLibraryErrorFunctionNotFound,
                "%s: no binary archive has the function, and "
                "MTLFunctionOptionFailOnBinaryArchiveMiss is set",
                abx_ns_string_utf8(function->name));
        objc_release(made);
        return NULL;
    }
    if (function) {
        function->options = descriptor->options;
        if (descriptor->specializedName) {
            objc_release(function->name);
            function->name = ABX_MSG(id, (id, SEL), descriptor->specializedName, "copy");
        }
    }
    return made;
}

void MTLLibrary_newFunctionWithDescriptor_completionHandler_(
        id self, SEL cmd, id descriptor, id handler)
{
    id error = NULL;
    id function = MTLLibrary_newFunctionWithDescriptor_error_(self, cmd, descriptor, &error);
    ABX_BLOCK_CALL(void, (void *, id, id), handler, function, function ? NULL : error);
    objc_release(function);
}

/* ---- MTLFunction */

static struct abx_metal_function *function_of(id self)
{
    return (struct abx_metal_function *)self;
}

void MTLFunction_dealloc(id self, SEL cmd)
{
    struct abx_metal_function *function = function_of(self);
    abx_client_destroy(function->base.client, function->handle);
    objc_release((id)function->library);
    objc_release(function->name);
    free(function->constants);
    abx_metal_dealloc(self, ABX_METAL_FUNCTION);
}

MTLFunctionType MTLFunction_functionType(id self, SEL cmd)
{
    struct abx_metal_function *function = function_of(self);
    uint32_t kind = abx_reflection_functions(function->library->reflection)[function->index].kind;
    switch (kind) {
    case ABX_FUNCTION_VISIBLE:
        return MTLFunctionTypeVisible;
    case ABX_FUNCTION_VERTEX:
        return MTLFunctionTypeVertex;
    case ABX_FUNCTION_FRAGMENT:
        return MTLFunctionTypeFragment;
    case ABX_FUNCTION_INTERSECTION:
        return MTLFunctionTypeIntersection;
    default:
        return MTLFunctionTypeKernel;
    }
}

id MTLFunction_name(id self, SEL cmd)
{
    return function_of(self)->name;
}

id MTLFunction_functionConstantsDictionary(id self, SEL cmd)
{
    uint32_t count;
    const struct abx_reflection *r = function_of(self)->library->reflection;
    const struct abx_reflection_constant *c = constants_of(function_of(self), &count);
    id dictionary = abx_ns_mutable_dictionary();
    for (uint32_t i = 0; i < count; i++) {
        id name = abx_ns_string(abx_reflection_string(r, c[i].name));
        struct MTLFunctionConstant *constant =
                (struct MTLFunctionConstant *)objc_alloc_init(ABX_CLASS(MTLFunctionConstant));
        constant->name = objc_retain(name);
        constant->type = c[i].type;
        constant->index = c[i].index;
        constant->required = c[i].required != 0;
        abx_ns_dictionary_set(dictionary, name, (id)constant);
        objc_release((id)constant);
    }
    return dictionary;
}

MTLFunctionOptions MTLFunction_options(id self, SEL cmd)
{
    return function_of(self)->options;
}

id MTLFunction_newArgumentEncoderWithBufferIndex_(id self, SEL cmd, NSUInteger index)
{
    struct abx_metal_function *function = function_of(self);
    const struct abx_reflection *r = function->library->reflection;
    const struct abx_reflection_function *f = &abx_reflection_functions(r)[function->index];
    const struct abx_reflection_argument *a = abx_reflection_arguments(r) + f->first_argument;
    for (uint32_t i = 0; i < f->argument_count; i++)
        if (a[i].kind == ABX_ARGUMENT_BUFFER && a[i].index == index)
            return abx_metal_argument_encoder_for(
                    function->library, a[i].type, a[i].data_size, a[i].data_alignment);
    abx_metal_say("-[MTLFunction newArgumentEncoderWithBufferIndex:]: no buffer argument %lu",
            (unsigned long)index);
    return NULL;
}
