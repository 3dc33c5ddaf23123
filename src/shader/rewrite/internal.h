/* shader: shared by the rewriter's files; see rewrite.h. */
#ifndef ABX_SHADER_REWRITE_INTERNAL_H
#define ABX_SHADER_REWRITE_INTERNAL_H

#include "shader/rewrite/rewrite.h"

#define NO_TOKEN UINT32_MAX
/* How far a template argument list is followed before `<` counts as "less than". */
#define MAX_ANGLE_TOKENS 8192u
/* And how many tokens may be looked at for that in all, a token of the text: otherwise a text of
 * nothing but < would take as long as a quadratic step. */
#define ANGLE_BUDGET 64u

enum token_kind { TOKEN_END, TOKEN_WORD, TOKEN_NUMBER, TOKEN_STRING, TOKEN_PUNCT };

struct token {
    uint32_t start, end;
    uint32_t match; /* index of the other bracket of a ( [ { pair; else NO_TOKEN */
    uint8_t kind;
};

/* Replaces `remove` input bytes at `at` with text. Line breaks in what is removed are kept. */
struct abx_rewrite_edit {
    uint32_t at, remove;
    uint32_t order;   /* edits at the same place apply in this order */
    uint32_t anchor;  /* the input position that diagnostics in the text point to */
    const char *text; /* a literal, one of the result's strings, or NULL */
};

struct abx_rewrite_piece {
    uint32_t output, input;
    bool copied; /* taken over from the input, rather than inserted */
};

/* Names to indices: open addressing, names not copied, the last one entered wins. */
struct name_slot {
    const char *name;
    uint32_t length, value;
};
struct name_table {
    struct name_slot *slots;
    uint32_t count, capacity;
};

struct kernel_template {
    const char *attributes; /* the macro's argument; "" when something in it was refused */
    const char *threads;    /* what to append to an entry's id to record its limits, or "" */
    uint32_t first_argument, argument_count;
};

struct rewriter {
    const char *text;
    uint32_t length;
    struct token *tokens; /* `count`, then a TOKEN_END */
    uint32_t count, capacity;
    uint64_t *angle_budget;
    const struct abx_rewrite_options *options;
    struct abx_rewrite *out;

    struct kernel_template *templates;
    uint32_t template_count, template_capacity;
    uint32_t kernel_capacity, argument_capacity, constant_capacity, stage_capacity;
    struct name_table template_names, constant_names;
    struct name_table machine_names; /* machine.c: to the token that declares it */
    struct name_table lacking;       /* kernels whose code is left out */
    struct name_table defined;       /* how many functions a name's text defines */

    struct abx_string space;                /* the enclosing namespaces: "a::b::" */
    struct class_object *object, **objects; /* object.c: the class being read; all */
    uint32_t object_count, object_capacity;
    struct name_table object_names;
    struct class_members *members; /* of the class being read; NULL: none are noted */
    uint32_t class_name;           /* of the same class: a token, or NO_TOKEN */
    uint32_t bodies;               /* functions being read, inside one another */
    uint32_t linkages;             /* extern "C" { around what is read */
    uint32_t depth;
    int error; /* sticky: -E2BIG or -ENOMEM */
};

/* ---- lex.c */
void rewriter_lex(struct rewriter *r);
bool token_is(const struct rewriter *r, uint32_t i, const char *word);
static inline uint32_t token_length(const struct rewriter *r, uint32_t i)
{
    return r->tokens[i].end - r->tokens[i].start;
}
/* The first character, 0 past the end. */
static inline char token_char(const struct rewriter *r, uint32_t i)
{
    return i < r->count ? r->text[r->tokens[i].start] : 0;
}
/* A punctuation token of just this character. */
static inline bool token_punct(const struct rewriter *r, uint32_t i, char c)
{
    return i < r->count && r->tokens[i].kind == TOKEN_PUNCT && token_length(r, i) == 1 &&
           r->text[r->tokens[i].start] == c;
}
static inline bool token_word(const struct rewriter *r, uint32_t i)
{
    return i < r->count && r->tokens[i].kind == TOKEN_WORD;
}
/* The closing bracket of the ( [ or { at i; i itself when there is none. */
static inline uint32_t token_close(const struct rewriter *r, uint32_t i)
{
    return r->tokens[i].match != NO_TOKEN && r->tokens[i].match > i ? r->tokens[i].match : i;
}
/* The > that closes the < at i, before `end`; NO_TOKEN when it seems to be an operator. */
uint32_t token_close_angle(const struct rewriter *r, uint32_t i, uint32_t end);
/* [[ with a word after it */
bool token_attribute(const struct rewriter *r, uint32_t i);
bool token_address_space(const struct rewriter *r, uint32_t i);

/* ---- leave_out.c */
/* The text with blanks where something is left out, which the caller frees; NULL when nothing is,
 * or r->error is set. To be read again in both cases. */
char *rewriter_leave_out(struct rewriter *r);

/* ---- names.c */
#define NO_NAME UINT32_MAX
void name_table_put(struct rewriter *r, struct name_table *table, uint32_t token, uint32_t value);
uint32_t name_table_find(const struct name_table *table, const char *name, uint32_t length);
uint32_t name_table_get(const struct rewriter *r, const struct name_table *table, uint32_t token);
/* Makes room for one more element; false (r->error set) beyond `cap`. */
bool rewriter_grow(struct rewriter *r, void **array, uint32_t *capacity, uint32_t count,
        size_t element_bytes, uint32_t cap);
/* Appends tokens [first, last], separated by blanks, without attributes. */
void rewriter_append(struct rewriter *r, struct abx_string *to, uint32_t first, uint32_t last);

/* ---- edit.c */
/* A copy that lives as long as the result; "" when there is no memory (r->error is set then). */
const char *rewriter_string(struct rewriter *r, const char *text, size_t length);
const char *rewriter_format(struct rewriter *r, const char *format, ...) ABX_PRINTF(2, 3);
/* `text` must outlive the result: a literal or one of the strings above. */
void rewriter_edit(
        struct rewriter *r, uint32_t at, uint32_t remove, const char *text, uint32_t anchor);
void rewriter_remove(struct rewriter *r, uint32_t first_token, uint32_t last_token);
void rewriter_insert_before(struct rewriter *r, uint32_t token, const char *text);
void rewriter_insert_after(struct rewriter *r, uint32_t token, const char *text, uint32_t anchor);
void rewriter_refuse(struct rewriter *r, uint32_t token, const char *format, ...) ABX_PRINTF(3, 4);
/* Where there is no token: at an input position. */
void rewriter_refuse_at(struct rewriter *r, uint32_t at, const char *format, ...) ABX_PRINTF(3, 4);

/* ---- pragma.c */
/* The directive whose # is at `at`; where it ends. */
uint32_t rewriter_directive(struct rewriter *r, uint32_t at);
/* The program is compiled for relaxed or fast math. */
void rewriter_relax(struct rewriter *r);

/* ---- refuse.c */
void rewriter_refuse_unsupported(struct rewriter *r);
/* A type of textures or samplers, in a place where it is used as one. */
bool rewriter_is_texture(const struct rewriter *r, uint32_t i);

/* ---- cast.c */
void rewriter_casts(struct rewriter *r);
/* The last token of the operand that begins at i; NO_TOKEN when it does not look like one. */
uint32_t rewriter_operand_end(const struct rewriter *r, uint32_t i);

/* ---- text.c */
void rewriter_texts(struct rewriter *r);

/* ---- conditional.c */
void rewriter_conditionals(struct rewriter *r);

/* ---- decl.c */
/* The declarations of tokens [i, end): a file, a namespace, or (in_class) a class. */
void rewriter_scope(struct rewriter *r, uint32_t i, uint32_t end, bool in_class);

/* ---- body.c */
/* A function's body, between its braces. */
void rewriter_body(struct rewriter *r, uint32_t open, uint32_t close);
void rewriter_coherent(struct rewriter *r);
/* Array parameters in an address space become pointers. */
void rewriter_parameters(struct rewriter *r, uint32_t open, uint32_t close);
void rewriter_remove_attributes(struct rewriter *r, uint32_t first, uint32_t last);

/* ---- kernel.c */
struct declaration {
    uint32_t start, end;            /* first and last token */
    uint32_t open, close;           /* the parameter list's parentheses, or NO_TOKEN */
    uint32_t host_name;             /* the token host_name in an attribute, or NO_TOKEN */
    uint32_t constant;              /* the token function_constant in an attribute, or NO_TOKEN */
    uint32_t threads, required;     /* max_total_threads_..., required_threads_..., or NO_TOKEN */
    uint32_t constant_name;         /* the word before the function_constant attribute */
    uint32_t builtin, builtin_name; /* thread_position_in_grid or the like, and the word before that
                                       attribute, or NO_TOKEN */
    uint32_t angle, angle_close;    /* the last < > before the parameter list, or NO_TOKEN */
    uint32_t qualifier;             /* an address space after the parameter list, or NO_TOKEN */
    uint32_t visible;               /* the token visible in an attribute, or NO_TOKEN */
    bool kernel, is_template, instantiation, has_body, assigned;
};
void rewriter_kernel(struct rewriter *r, const struct declaration *d);
void rewriter_instantiation(struct rewriter *r, const struct declaration *d);
void rewriter_constant(struct rewriter *r, const struct declaration *d);
void rewriter_tested_constants(struct rewriter *r);
/* What host_name("...") at the token says. */
const char *rewriter_host_name(struct rewriter *r, uint32_t token);

/* Before the others: counts the definitions of each name. */
void rewriter_count_functions(struct rewriter *r);

/* A word in an attribute: its parameter's, or variable's, value is filled in by the machine. */
bool rewriter_is_builtin(const struct rewriter *r, uint32_t token);

/* ---- machine.c */
void rewriter_machine_variable(struct rewriter *r, const struct declaration *d);
void rewriter_machine_uses(struct rewriter *r); /* when all are known */

/* ---- visible.c */
void rewriter_visible(struct rewriter *r, const struct declaration *d);

/* ---- members.c */
/* The declarations of a class between its braces; `start`: the declaration it is part of. */
void rewriter_class(struct rewriter *r, uint32_t start, uint32_t open, uint32_t close);
/* A member that is no method. */
void rewriter_note_member(struct rewriter *r, const struct declaration *d);

/* ---- object.c */
struct method_set;
struct class_object *rewriter_object_begin(struct rewriter *r, uint32_t name, uint32_t open);
void rewriter_object_data(struct rewriter *r, const struct declaration *d);
bool rewriter_object_method(struct rewriter *r, const struct declaration *d, uint32_t name);
void rewriter_object_end(struct rewriter *r, struct method_set *set);
void rewriter_object_definition(struct rewriter *r, const struct declaration *d, uint32_t name);
void rewriter_objects_finish(struct rewriter *r);
/* ---- sure.c */
/* Sets `unsure` of the kernels; after everything else. */
void rewriter_sure(struct rewriter *r);

/* ---- class.c */
struct method_set; /* signatures seen in one class */
struct method_set *method_set_create(void);
void method_set_destroy(struct method_set *set);
void rewriter_method(struct rewriter *r, struct method_set *set, const struct declaration *d);
/* One that was not taken by object.c; `set` NULL: outside of its class. */
void rewriter_plain_method(struct rewriter *r, struct method_set *set, const struct declaration *d);
void rewriter_constructors(struct rewriter *r, const struct method_set *set); /* at the end */
void rewriter_member(struct rewriter *r, const struct declaration *d);

#endif
