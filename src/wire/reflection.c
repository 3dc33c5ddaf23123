/* wire: checks a library's reflection before anyone follows an offset in it. */
#include "wire/reflection.h"

static bool functions_ok(const struct abx_reflection *r)
{
    const struct abx_reflection_function *f = abx_reflection_functions(r);
    for (uint32_t i = 0; i < r->function_count; i++, f++)
        if (f->name >= r->string_bytes || f->entry >= r->string_bytes ||
                !abx_range_ok(f->first_argument, f->argument_count, r->argument_count) ||
                !abx_range_ok(f->first_constant, f->constant_count, r->constant_count) ||
                !abx_range_ok(f->first_needed, f->needed_count, r->constant_count))
            return false;
    return true;
}

static bool arguments_ok(const struct abx_reflection *r)
{
    const struct abx_reflection_argument *a = abx_reflection_arguments(r);
    for (uint32_t i = 0; i < r->argument_count; i++, a++)
        if (a->name >= r->string_bytes || a->type_name >= r->string_bytes ||
                a->type > r->type_count)
            return false;
    return true;
}

static bool constants_ok(const struct abx_reflection *r)
{
    const struct abx_reflection_constant *c = abx_reflection_constants(r);
    for (uint32_t i = 0; i < r->constant_count; i++, c++)
        if (c->name >= r->string_bytes || c->symbol >= r->string_bytes ||
                c->defined_symbol >= r->string_bytes || c->size > 16)
            return false;
    return true;
}

/* Elements and members come before what they are in; pointers (60) may point anywhere. Members are
 * the types' in order, so that nothing is looked at twice. */
static bool types_ok(const struct abx_reflection *r)
{
    const struct abx_reflection_type *t = abx_reflection_types(r);
    const struct abx_reflection_member *m = abx_reflection_members(r);
    for (uint32_t i = 0; i < r->member_count; i++)
        if (m[i].name >= r->string_bytes || !m[i].type || m[i].type > r->type_count)
            return false;
    for (uint32_t i = 0, next = 0; i < r->type_count; i++, t++) {
        if (t->member_count && t->first_member != next)
            return false;
        next += t->member_count;
        if (t->element > (t->data_type == 60 ? r->type_count : i) ||
                !abx_range_ok(t->first_member, t->member_count, r->member_count))
            return false;
        for (uint32_t k = 0; k < t->member_count; k++)
            if (m[t->first_member + k].type > i)
                return false;
    }
    return true;
}

int abx_reflection_check(const struct abx_reflection *r, size_t length)
{
    if (length < sizeof *r || r->magic != ABX_REFLECTION_MAGIC ||
            r->version != ABX_REFLECTION_VERSION || r->total_bytes > length ||
            r->total_bytes > ABX_REFLECTION_MAX_BYTES || r->total_bytes % 8 ||
            r->function_count > ABX_REFLECTION_MAX_FUNCTIONS ||
            r->argument_count > ABX_REFLECTION_MAX_ARGUMENTS ||
            r->constant_count > ABX_REFLECTION_MAX_CONSTANTS ||
            r->type_count > ABX_REFLECTION_MAX_TYPES ||
            r->member_count > ABX_REFLECTION_MAX_MEMBERS ||
            r->string_bytes > ABX_REFLECTION_MAX_BYTES || r->string_bytes == 0)
        return -EBADMSG;
    size_t needed = sizeof *r + r->function_count * sizeof(struct abx_reflection_function) +
                    r->argument_count * sizeof(struct abx_reflection_argument) +
                    r->constant_count * sizeof(struct abx_reflection_constant) +
                    r->type_count * sizeof(struct abx_reflection_type) +
                    r->member_count * sizeof(struct abx_reflection_member) + r->string_bytes;
    if (needed > r->total_bytes || abx_reflection_string(r, 0)[r->string_bytes - 1] != 0)
        return -EBADMSG;
    return functions_ok(r) && arguments_ok(r) && constants_ok(r) && types_ok(r) ? 0 : -EBADMSG;
}
