/* shader: names what a program uses and ArcBox does not support yet, or Metal does not allow, at
 * the line where it is used; clang would only say that it knows no such name. Compiler process,
 * hostile text. */
#include "shader/rewrite/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXTURES "textures are not supported yet"
#define SAMPLERS "samplers are not supported yet"

/* When a word counts as a use. */
enum use {
    ALWAYS,
    TEMPLATE,   /* before < */
    DECLARES,   /* before a word: the name of a type, in front of what it declares */
    QUALIFIES,  /* before :: */
    ASSEMBLY,   /* not the label of a function of Apple's compiler */
    EXPRESSION, /* not a member, after operator, nor `= delete;` */
    STATEMENT,  /* not a member */
};

static const struct refused {
    const char *word;
    enum use use;
    const char *message;
} refused[] = {
        /* sorted by word */
        {"_Complex", ALWAYS, "complex numbers are not supported in Metal"},
        {"_Float128", ALWAYS, "'_Float128' is not supported in Metal"},
        {"__asm", ASSEMBLY, "inline assembly is not supported in Metal"},
        {"__asm__", ASSEMBLY, "inline assembly is not supported in Metal"},
        {"__float128", ALWAYS, "'__float128' is not supported in Metal"},
        {"__float80", ALWAYS, "'__float80' is not supported in Metal"},
        {"__int128", ALWAYS, "128-bit integers are not supported in Metal"},
        {"__int128_t", ALWAYS, "128-bit integers are not supported in Metal"},
        {"__uint128_t", ALWAYS, "128-bit integers are not supported in Metal"},
        {"asm", ASSEMBLY, "inline assembly is not supported in Metal"},
        {"command_buffer", DECLARES, "encoding commands on the GPU is not supported yet"},
        {"compute_command", DECLARES, "encoding commands on the GPU is not supported yet"},
        {"delete", EXPRESSION, "'delete' is not supported in Metal"},
        {"depth2d", TEMPLATE, TEXTURES},
        {"depth2d_array", TEMPLATE, TEXTURES},
        {"depth2d_ms", TEMPLATE, TEXTURES},
        {"depth2d_ms_array", TEMPLATE, TEXTURES},
        {"depthcube", TEMPLATE, TEXTURES},
        {"depthcube_array", TEMPLATE, TEXTURES},
        {"double", ALWAYS, "'double' is not supported in Metal"},
        {"dynamic_cast", ALWAYS, "'dynamic_cast' is not supported in Metal"},
        {"goto", STATEMENT, "'goto' is not supported in Metal"},
        {"imageblock", TEMPLATE, "imageblocks are not supported yet"},
        {"interpolant", TEMPLATE, "vertex and fragment functions are not supported yet"},
        {"intersection_function_table", TEMPLATE, "ray tracing is not supported yet"},
        {"mesh", TEMPLATE, "mesh shaders are not supported yet"},
        {"mesh_grid_properties", DECLARES, "mesh shaders are not supported yet"},
        {"new", EXPRESSION, "'new' is not supported in Metal"},
        {"object_data", DECLARES, "mesh shaders are not supported yet"},
        {"patch_control_point", TEMPLATE, "tessellation is not supported yet"},
        {"ray_data", DECLARES, "ray tracing is not supported yet"},
        {"raytracing", QUALIFIES, "ray tracing is not supported yet"},
        {"register", ALWAYS, "'register' is not supported in Metal"},
        {"render_command", DECLARES, "encoding commands on the GPU is not supported yet"},
        {"sampler", DECLARES, SAMPLERS},
        {"texture1d", TEMPLATE, TEXTURES},
        {"texture1d_array", TEMPLATE, TEXTURES},
        {"texture2d", TEMPLATE, TEXTURES},
        {"texture2d_array", TEMPLATE, TEXTURES},
        {"texture2d_ms", TEMPLATE, TEXTURES},
        {"texture2d_ms_array", TEMPLATE, TEXTURES},
        {"texture3d", TEMPLATE, TEXTURES},
        {"texture_buffer", TEMPLATE, TEXTURES},
        {"texturecube", TEMPLATE, TEXTURES},
        {"texturecube_array", TEMPLATE, TEXTURES},
        {"thread_local", ALWAYS, "'thread_local' is not supported in Metal"},
        {"threadgroup_imageblock", DECLARES, "imageblocks are not supported yet"},
        {"throw", STATEMENT, "exceptions are not supported in Metal"},
        {"try", STATEMENT, "exceptions are not supported in Metal"},
        {"typeid", ALWAYS, "'typeid' is not supported in Metal"},
        {"virtual", ALWAYS, "virtual functions are not supported in Metal"},
};

struct word {
    const char *text;
    size_t length;
};

static int compare_word(const void *key, const void *entry)
{
    const struct word *word = key;
    const struct refused *r = entry;
    int order = strncmp(word->text, r->word, word->length);
    return order ? order : r->word[word->length] ? -1 : 0;
}

/* What the shim's own names begin with: a program that could say them could forge the records that
 * frontend/reflect.c reads, or join tokens into words that this file would have refused. */
static const char *const reserved[] = {"__abx", "__ABX", "__msl", "__MSL"};

/* The builtins of clang that compute: values, bits, types, overflow, memory within buffers. All
 * others (this processor's instructions, the stack, variable arguments, printing) are refused.
 * Each is the start of a name, behind "__builtin_". */
static const char *const computing[] = {"COLUMN", "FILE", "FUNCTION", "LINE", "abs", "acos", "add",
        "asin", "assume", "atan", "bit", "bswap", "canonicalize", "cbrt", "ceil", "choose_expr",
        "clz", "constant_p", "convertvector", "copysign", "cos", "ctz", "elementwise_", "erf",
        "exp", "fabs", "fdim", "ffs", "floor", "fma", "fmin", "fmod", "fpclassify", "frexp",
        "huge_val", "hypot", "ilogb", "inf", "is", "labs", "launder", "ldexp", "lgamma", "log",
        "lrint", "lround", "mem", "modf", "mul", "nan", "nearbyint", "nextafter", "object_size",
        "offsetof", "parity", "popcount", "pow", "prefetch", "reduce_", "remainder", "remquo",
        "rint", "rotate", "round", "sadd", "scalbn", "shuffle", "signbit", "sin", "smul", "sqrt",
        "ssub", "sub", "tan", "tgamma", "trunc", "types_compatible_p", "uadd", "umul",
        "unpredictable", "unreachable", "usub"};

static bool begins(const struct word *word, const char *start)
{
    size_t n = strlen(start);
    return word->length >= n && !memcmp(word->text, start, n);
}

static bool begins_with_one(const struct word *word, const char *const *starts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (begins(word, starts[i]))
            return true;
    return false;
}

static void refuse_implementation_name(struct rewriter *r, uint32_t i, const struct word *word)
{
    static const char builtin[] = "__builtin_";
    const size_t n = sizeof builtin - 1;
    struct word rest = {word->text + n, word->length - n};
    if (begins_with_one(word, reserved, ABX_ARRAY_SIZE(reserved)))
        rewriter_refuse(r, i, "names that begin with '%.5s' are reserved", word->text);
    else if (begins(word, builtin) && !begins_with_one(&rest, computing, ABX_ARRAY_SIZE(computing)))
        rewriter_refuse(r, i, "'%.*s' is not supported in Metal",
                (int)(word->length < 64 ? word->length : 64), word->text);
}

/* asm("air.name") behind a declaration: how a program reaches what Apple's headers do not declare.
 * The call is looked up by its name when the pipeline is made, as one of Apple's compiler is
 * (air/lower.c). A byte 1 before the name, which tells LLVM to leave it alone, and which newer
 * systems' compilers have to be shown, is in *ret_escape: so many characters. */
static bool is_air_label(const struct rewriter *r, uint32_t i, uint32_t *ret_escape)
{
    static const char *const escapes[] = {"", "\\001", "\\x01", "\\1"};
    uint32_t n = token_punct(r, i + 1, '(') ? token_length(r, i + 2) : 0;
    if (n < 2 || r->tokens[i + 2].kind != TOKEN_STRING || !token_punct(r, i + 3, ')') ||
            !token_punct(r, i + 4, ';'))
        return false;
    const char *text = r->text + r->tokens[i + 2].start;
    for (size_t e = 0; e < ABX_ARRAY_SIZE(escapes); e++) {
        char start[16];
        int length = snprintf(start, sizeof start, "\"%sair.", escapes[e]);
        if (n <= (uint32_t)length + 1 || memcmp(text, start, (size_t)length))
            continue;
        size_t name = strspn(text + length, "abcdefghijklmnopqrstuvwxyz0123456789_.");
        *ret_escape = (uint32_t)strlen(escapes[e]);
        return (size_t)length + name + 1 == n;
    }
    return false;
}

static bool is_use(const struct rewriter *r, uint32_t i, enum use use)
{
    bool member = i > 0 && (token_punct(r, i - 1, '.') || token_is(r, i - 1, "->"));
    switch (use) {
    case ALWAYS:
        return true;
    case ASSEMBLY:
        return !is_air_label(r, i, &(uint32_t){0});
    case TEMPLATE:
        return token_punct(r, i + 1, '<');
    case DECLARES:
        return token_word(r, i + 1);
    case QUALIFIES:
        return token_is(r, i + 1, "::");
    case EXPRESSION:
        return !member && !(i > 0 && token_is(r, i - 1, "operator")) &&
               !(i > 0 && token_punct(r, i - 1, '=') && token_punct(r, i + 1, ';'));
    case STATEMENT:
        return !member;
    }
    return false;
}

/* [captures](...) or [captures]{...} */
static bool is_lambda(const struct rewriter *r, uint32_t i)
{
    if (!token_punct(r, i, '[') || token_attribute(r, i))
        return false;
    uint32_t close = token_close(r, i);
    if (close == i || (!token_punct(r, close + 1, '(') && !token_punct(r, close + 1, '{')))
        return false;
    return i == 0 || token_is(r, i - 1, "return") ||
           (r->tokens[i - 1].kind == TOKEN_PUNCT && !token_punct(r, i - 1, ')') &&
                   !token_punct(r, i - 1, ']') && !token_punct(r, i - 1, '}'));
}

/* Features newer than the language version the program is compiled as. */
static void refuse_newer(struct rewriter *r, uint32_t i)
{
    if (r->options->language_version < ABX_METAL_3_2 && is_lambda(r, i))
        rewriter_refuse(r, i, "lambda expressions are not supported in Metal");
}

static const struct refused *find_refused(const struct rewriter *r, uint32_t i)
{
    struct word word = {r->text + r->tokens[i].start, token_length(r, i)};
    return bsearch(&word, refused, ABX_ARRAY_SIZE(refused), sizeof(refused[0]), compare_word);
}

bool rewriter_is_texture(const struct rewriter *r, uint32_t i)
{
    const struct refused *found = token_word(r, i) ? find_refused(r, i) : NULL;
    return found && is_use(r, i, found->use) &&
           (!strcmp(found->message, TEXTURES) || !strcmp(found->message, SAMPLERS));
}

void rewriter_refuse_unsupported(struct rewriter *r)
{
    for (uint32_t i = 0; i < r->count; i++) {
        if (r->options->language_version && r->tokens[i].kind == TOKEN_PUNCT)
            refuse_newer(r, i);
        if (r->tokens[i].kind != TOKEN_WORD)
            continue;
        struct word word = {r->text + r->tokens[i].start, token_length(r, i)};
        if (begins(&word, "__"))
            refuse_implementation_name(r, i, &word);
        const struct refused *found = find_refused(r, i);
        uint32_t escape = 0;
        if (found && is_use(r, i, found->use))
            rewriter_refuse(r, i, "%s", found->message);
        else if (found && found->use == ASSEMBLY && is_air_label(r, i, &escape) && escape)
            rewriter_edit(r, r->tokens[i + 2].start + 1, escape, NULL, r->tokens[i + 2].start);
    }
}
