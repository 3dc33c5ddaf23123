/* shader: the rewriter's list of edits, the text they give, and the map back from it. Compiler
 * process, hostile text. */
#include "shader/rewrite/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *rewriter_string(struct rewriter *r, const char *text, size_t length)
{
    struct abx_rewrite *out = r->out;
    if (r->error)
        return "";
    if (length > ABX_REWRITE_MAX_OUTPUT || out->string_bytes + length > ABX_REWRITE_MAX_OUTPUT) {
        r->error = -E2BIG;
        return "";
    }
    if (out->string_count == out->string_capacity) {
        size_t capacity = out->string_capacity ? out->string_capacity * 2 : 256;
        char **strings = realloc(out->strings, capacity * sizeof(*strings));
        if (!strings) {
            r->error = -ENOMEM;
            return "";
        }
        out->strings = strings, out->string_capacity = capacity;
    }
    char *copy = malloc(length + 1);
    if (!copy) {
        r->error = -ENOMEM;
        return "";
    }
    memcpy(copy, text, length);
    copy[length] = 0;
    out->strings[out->string_count++] = copy;
    out->string_bytes += length + 1;
    return copy;
}

const char *rewriter_format(struct rewriter *r, const char *format, ...)
{
    va_list args;
    char *text = NULL;
    va_start(args, format);
    int length = vasprintf(&text, format, args);
    va_end(args);
    if (length < 0) {
        r->error = -ENOMEM;
        return "";
    }
    const char *copy = rewriter_string(r, text, (size_t)length);
    free(text);
    return copy;
}

static int add_edit(struct abx_rewrite *out, struct abx_rewrite_edit edit)
{
    if (out->edit_count == out->edit_capacity) {
        size_t capacity = out->edit_capacity ? out->edit_capacity * 2 : 1024;
        struct abx_rewrite_edit *edits = realloc(out->edits, capacity * sizeof(*edits));
        if (!edits)
            return -ENOMEM;
        out->edits = edits, out->edit_capacity = capacity;
    }
    edit.order = (uint32_t)out->edit_count;
    out->edits[out->edit_count++] = edit;
    return 0;
}

void rewriter_edit(
        struct rewriter *r, uint32_t at, uint32_t remove, const char *text, uint32_t anchor)
{
    if (r->error)
        return;
    r->error = add_edit(r->out,
            (struct abx_rewrite_edit){.at = at, .remove = remove, .text = text, .anchor = anchor});
}

void rewriter_remove(struct rewriter *r, uint32_t first_token, uint32_t last_token)
{
    uint32_t at = r->tokens[first_token].start;
    rewriter_edit(r, at, r->tokens[last_token].end - at, NULL, at);
}

void rewriter_insert_before(struct rewriter *r, uint32_t token, const char *text)
{
    uint32_t at = r->tokens[token].start;
    rewriter_edit(r, at, 0, text, at);
}

void rewriter_insert_after(struct rewriter *r, uint32_t token, const char *text, uint32_t anchor)
{
    rewriter_edit(r, r->tokens[token].end, 0, text, r->tokens[anchor].start);
}

static void ABX_PRINTF(3, 0)
        refuse(struct rewriter *r, uint32_t at, const char *format, va_list args)
{
    struct abx_rewrite *out = r->out;
    if (out->refusal_count == ABX_REWRITE_MAX_REFUSALS)
        return;
    struct abx_rewrite_refusal *refusal = &out->refusals[out->refusal_count++];
    refusal->position = at;
    vsnprintf(refusal->message, sizeof(refusal->message), format, args);
}

void rewriter_refuse(struct rewriter *r, uint32_t token, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    refuse(r, r->tokens[token].start, format, args);
    va_end(args);
}

void rewriter_refuse_at(struct rewriter *r, uint32_t at, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    refuse(r, at, format, args);
    va_end(args);
}

/* ---- building the text */

/* What is inserted where something else is removed stays: `bool on[[function_constant(1)]]`. */
static int compare_edits(const void *a, const void *b)
{
    const struct abx_rewrite_edit *x = a, *y = b;
    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    if (!x->remove != !y->remove)
        return x->remove ? 1 : -1;
    return x->order < y->order ? -1 : x->order > y->order;
}

static void add_piece(
        struct abx_rewrite *out, const struct abx_string *text, size_t input, bool copied)
{
    out->pieces[out->piece_count++] =
            (struct abx_rewrite_piece){(uint32_t)text->length, (uint32_t)input, copied};
}

static void keep_line_breaks(struct abx_string *text, const char *removed, size_t length)
{
    const char *end = removed + length;
    while ((removed = memchr(removed, '\n', (size_t)(end - removed)))) {
        abx_string_add(text, "\n", 1);
        removed++;
    }
}

int abx_rewrite_rebuild(struct abx_rewrite *out, const char *input, size_t length)
{
    struct abx_string text = {0};
    size_t at = 0;
    if (out->edit_count)
        qsort(out->edits, out->edit_count, sizeof(*out->edits), compare_edits);
    free(out->pieces);
    /* An edit gives at most a copied and an inserted piece. */
    out->pieces = malloc((2 * out->edit_count + 2) * sizeof(*out->pieces));
    out->piece_count = 0;
    if (!out->pieces)
        return -ENOMEM;
    for (size_t i = 0; i < out->edit_count; i++) {
        const struct abx_rewrite_edit *edit = &out->edits[i];
        out->edits[i].order = (uint32_t)i;
        if (edit->at < at)
            continue; /* inside something removed */
        add_piece(out, &text, at, true);
        abx_string_add(&text, input + at, edit->at - at);
        at = edit->at;
        add_piece(out, &text, edit->anchor, false);
        if (edit->text)
            abx_string_add(&text, edit->text, strlen(edit->text));
        keep_line_breaks(&text, input + at, edit->remove);
        at += edit->remove;
        if (text.length > ABX_REWRITE_MAX_OUTPUT) {
            abx_string_finish(&text);
            return -E2BIG;
        }
    }
    add_piece(out, &text, at, true);
    abx_string_add(&text, input + at, length - at);
    if (text.failed) {
        abx_string_finish(&text);
        return -ENOMEM;
    }
    free(out->text);
    out->text = text.data ? text.data : strdup("");
    out->text_length = text.length;
    return out->text ? 0 : -ENOMEM;
}

static const struct abx_rewrite_piece *find_piece(const struct abx_rewrite *out, size_t at)
{
    size_t low = 0, high = out->piece_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (out->pieces[middle].output <= at)
            low = middle;
        else
            high = middle;
    }
    return &out->pieces[low];
}

size_t abx_rewrite_locate(const struct abx_rewrite *out, size_t at)
{
    if (!out->piece_count)
        return at;
    const struct abx_rewrite_piece *piece = find_piece(out, at);
    return piece->copied ? piece->input + (at - piece->output) : piece->input;
}

int abx_rewrite_wrap(struct abx_rewrite *out, const char *input, size_t length, size_t from,
        size_t to, const char *before, const char *after)
{
    if (!out->piece_count || from >= to || to > out->text_length)
        return -EINVAL;
    const struct abx_rewrite_piece *first = find_piece(out, from), *last = find_piece(out, to - 1);
    if (!first->copied || !last->copied)
        return -EINVAL;
    uint32_t start = first->input + (uint32_t)(from - first->output);
    uint32_t end = last->input + (uint32_t)(to - last->output);
    if (start >= end || end > length)
        return -EINVAL;
    int rc = add_edit(out, (struct abx_rewrite_edit){.at = start, .text = before, .anchor = start});
    if (rc)
        return rc;
    return add_edit(out, (struct abx_rewrite_edit){.at = end, .text = after, .anchor = start});
}

/* ---- the whole */

static int compare_refusals(const void *a, const void *b)
{
    const struct abx_rewrite_refusal *x = a, *y = b;
    return x->position < y->position ? -1 : x->position > y->position;
}

int abx_rewrite_run(const char *text, size_t length, const struct abx_rewrite_options *options,
        struct abx_rewrite *out)
{
    *out = (struct abx_rewrite){0};
    if (length > ABX_REWRITE_MAX_TEXT)
        return -E2BIG;
    uint64_t angle_budget = 0;
    struct rewriter r = {.text = text,
            .class_name = NO_TOKEN,
            .length = (uint32_t)length,
            .angle_budget = &angle_budget,
            .options = options,
            .out = out};
    if (options->relaxed)
        rewriter_relax(&r);
    angle_budget = (uint64_t)ANGLE_BUDGET * length + MAX_ANGLE_TOKENS;
    char *left = options->all ? NULL : rewriter_leave_out(&r);
    if (left)
        r.text = left;
    if (!r.error)
        rewriter_lex(&r);
    angle_budget = (uint64_t)ANGLE_BUDGET * r.count + MAX_ANGLE_TOKENS;
    if (!r.error)
        rewriter_refuse_unsupported(&r);
    if (!r.error)
        rewriter_casts(&r);
    if (!r.error)
        rewriter_texts(&r);
    if (!r.error)
        rewriter_conditionals(&r);
    if (!r.error)
        rewriter_coherent(&r);
    if (!r.error)
        rewriter_count_functions(&r);
    if (!r.error)
        rewriter_scope(&r, 0, r.count, false);
    if (!r.error)
        rewriter_tested_constants(&r);
    if (!r.error)
        rewriter_machine_uses(&r);
    if (!r.error)
        rewriter_sure(&r);
    if (r.space.failed)
        r.error = -ENOMEM;
    if (!r.error)
        r.error = abx_rewrite_rebuild(out, text, length);
    qsort(out->refusals, out->refusal_count, sizeof(out->refusals[0]), compare_refusals);
    free(left);
    free(r.tokens);
    free(r.templates);
    free(r.template_names.slots);
    free(r.constant_names.slots);
    free(r.machine_names.slots);
    free(r.defined.slots);
    free(r.lacking.slots);
    rewriter_objects_finish(&r);
    abx_string_finish(&r.space);
    return r.error;
}

void abx_rewrite_finish(struct abx_rewrite *out)
{
    for (size_t i = 0; i < out->string_count; i++)
        free(out->strings[i]);
    free(out->strings);
    free(out->edits);
    free(out->pieces);
    free(out->kernels);
    free(out->stages);
    free(out->arguments);
    free(out->constants);
    free(out->text);
    *out = (struct abx_rewrite){0};
}
