/* shader: the rewritten text through clang. Compiler process; the text is the guest's.
 *
 * A program of a few kernels is compiled at once, with all its kernels, to one module. In one of
 * hundreds (ggml has 700, all instantiations of templates) that would take seconds before the first
 * could run, so there
 *
 *   1. the text alone, its templates not instantiated, becomes a precompiled header: the library;
 *   2. on top of that, kernels' records are compiled, and all kernels instantiated without making
 *      code, so that every error is known before the library is ready: in shards, as many as there
 *      are cores to spare;
 *   3. a pipeline compiles its one kernel on top of the header (kernel.c).
 *
 * Measured for ggml's 689 kernels: 0.2 s, 2.7 s of processor time divided by the cores, 0.15 s a
 * kernel; at once 6.3 s, and 0.7 s more a kernel to read the module. */
#include "shader/frontend/frontend.h"

#include <stdlib.h>
#include <string.h>

#define MAX_AMENDING_ROUNDS 8  /* each round compiles again; nested conditionals need one each */
#define MAX_DIRECT_KERNELS 24u /* compiled at once */
#define SHARD_BLOCK 16u        /* kernels; fewer are not worth a clang of their own */
#define MAX_SHARDS 8u          /* descriptors: three each */

/* ---- what clang is given */

/* What clang lets pass of bfloat is found by warnings that say much else, so a text without it is
 * not asked about: operations on a half and a bfloat, which clang 19 compiles to an invalid module,
 * and floats that become a bfloat without a cast (diag.c). */
static void begin_arguments(
        struct clang_arguments *ret, const struct frontend *f, const char *overlay, const char *pch)
{
    clang_compile_arguments(ret, f->tools->clang, overlay, pch);
    if (!strstr(f->rewrite.text, "bfloat"))
        return;
    clang_argument(ret, "-Wimplicit-float-conversion");
    clang_argument(ret, "-Wno-implicit-int-float-conversion");
    if (strstr(f->rewrite.text, "half"))
        clang_argument(ret, "-Wdouble-promotion");
}

enum parts { PART_RECORDS = 1, PART_ENTRIES = 2 };

/* Line n + 1 of "<entry>" speaks of kernel n, which is how diagnostics find back. */
static void add_kernels(const struct abx_rewrite *rewrite, struct abx_string *to, uint32_t first,
        uint32_t count, unsigned parts)
{
    abx_string_printf(to, "\n# %u \"" ENTRY_NAME "\"\n", first + 1);
    for (uint32_t i = first; i < first + count; i++) {
        const struct abx_rewrite_kernel *k = &rewrite->kernels[i];
        if (parts & PART_RECORDS)
            abx_string_add(to, k->record, strlen(k->record));
        if (parts & PART_ENTRIES)
            abx_string_add(to, k->entry, strlen(k->entry));
        abx_string_add(to, "\n", 1);
    }
}

/* ---- running it */

static int too_large(struct abx_shader_result *result)
{
    return frontend_fail(result, -EINVAL,
            "Compilation failed: \n\nfatal error: the library is larger "
            "than is supported\n");
}

static int run(struct clang_run *runs, unsigned count, struct abx_shader_result *result)
{
    int rc = clang_run(runs, count);
    return rc == -E2BIG ? too_large(result)
           : rc         ? frontend_fail(result, rc, "cannot run clang 19")
                        : 0;
}

/* After runs that ended: 0 when all is well; -EINVAL with diagnostics; -EAGAIN when the text was
 * amended and should be compiled again. */
static int judge(struct frontend *f, struct clang_run *runs, unsigned count, bool may_amend,
        struct abx_shader_result *result)
{
    struct abx_string errors = {0};
    for (unsigned i = 0; may_amend && i < count; i++)
        abx_string_add(&errors, runs[i].errors.data, runs[i].errors.length);
    bool amended = errors.length && !errors.failed &&
                   amend_text(&f->rewrite, f->text, f->text_bytes, errors.data);
    abx_string_finish(&errors);
    if (amended)
        return -EAGAIN;
    for (unsigned i = 0; i < count; i++)
        diagnose(&f->diagnosed, f->map, &f->rewrite, runs[i].errors.data);
    if (f->diagnosed.errors)
        return -EINVAL;
    for (unsigned i = 0; i < count; i++) {
        const char *message = ABX_SHADER_CRASHED;
        int rc = clang_failure(&runs[i], &message);
        if (rc || runs[i].status)
            return frontend_fail(result, rc ? rc : -EIO, message);
    }
    return 0;
}

void frontend_forget(struct frontend *f)
{
    struct diagnosed *d = &f->diagnosed;
    d->text.length = d->preprocessing;
    if (d->text.data)
        d->text.data[d->text.length] = 0;
    d->errors = d->warnings = 0;
}

/* ---- at once */

static int compile_direct(struct frontend *f, bool may_amend, struct abx_shader_result *result)
{
    struct clang_arguments arguments;
    struct abx_string text = {0};
    begin_arguments(&arguments, f, f->overlay.data, SHIM_PCH);
    clang_emit_bitcode(&arguments);
    abx_string_add(&text, f->rewrite.text, f->rewrite.text_length);
    add_kernels(&f->rewrite, &text, 0, f->rewrite.kernel_count, PART_RECORDS | PART_ENTRIES);
    struct clang_run one = {.arguments = arguments.list,
            .input = text.data,
            .input_bytes = text.length,
            .output_cap = ABX_SHADER_MAX_LIBRARY_BYTES};
    int rc = text.failed ? -ENOMEM : run(&one, 1, result);
    rc = rc ? rc : judge(f, &one, 1, may_amend, result);
    if (!rc) {
        struct library_code code = {
                .form = ABX_LIBRARY_BITCODE, .data = one.output.data, .bytes = one.output.length};
        rc = reflect(&one.output, &code, &f->rewrite, f->map, f->options, &f->diagnosed, result);
        if (rc == -EBADMSG)
            frontend_fail(result, rc = -EIO, "clang's output cannot be read back");
    }
    clang_run_finish(&one);
    abx_string_finish(&text);
    return rc;
}

/* ---- in stages */

struct stages {
    struct frontend *f;
    struct clang_arguments header_arguments, record_arguments, check_arguments;
    struct clang_run runs[1 + MAX_SHARDS]; /* the header; the shards, the first with the records */
    struct abx_string texts[1 + MAX_SHARDS];
    unsigned count;
    uint32_t block; /* kernels */
    struct precompiled header;
};

static void make_header(struct stages *s)
{
    struct frontend *f = s->f;
    begin_arguments(&s->header_arguments, f, f->overlay.data, SHIM_PCH);
    clang_emit_header(&s->header_arguments);
    s->runs[0] = (struct clang_run){.arguments = s->header_arguments.list,
            .input = f->rewrite.text,
            .input_bytes = f->rewrite.text_length,
            .output_cap = ABX_SHADER_MAX_LIBRARY_BYTES};
    s->count = 1;
}

/* Shard `index` of `shards`: blocks index, index + shards, ... of SHARD_BLOCK kernels. Neighbours
 * in the text are often instantiations of one template, which share work: blocks of them, dealt out
 * in turn because some templates take a hundred times as long as others. */
static void add_shard(struct stages *s, uint32_t index, uint32_t shards)
{
    struct abx_string *text = &s->texts[s->count];
    const struct abx_rewrite *rewrite = &s->f->rewrite;
    uint32_t kernels = rewrite->kernel_count, block = s->block;
    if (index == 0) {
        add_kernels(rewrite, text, 0, kernels, PART_RECORDS);
        abx_string_printf(text, "\n#undef __ABX_ENTRY_KIND\n#define __ABX_ENTRY_KIND inline\n");
    }
    for (uint64_t at = (uint64_t)index * block; at < kernels; at += (uint64_t)shards * block)
        add_kernels(rewrite, text, (uint32_t)at,
                kernels - at < block ? (uint32_t)(kernels - at) : block, PART_ENTRIES);
    s->runs[s->count++] = (struct clang_run){
            .arguments = index == 0 ? s->record_arguments.list : s->check_arguments.list,
            .input = text->data,
            .input_bytes = text->failed ? 0 : text->length,
            .output_cap = ABX_SHADER_MAX_LIBRARY_BYTES};
}

static void make_shards(struct stages *s)
{
    uint32_t blocks = (s->f->rewrite.kernel_count + s->block - 1) / s->block;
    uint32_t shards = s->f->tools->cores < blocks ? s->f->tools->cores : blocks;
    shards = shards < MAX_SHARDS ? shards : MAX_SHARDS;
    shards = shards ? shards : 1;
    begin_arguments(&s->record_arguments, s->f, s->header.overlay, LIBRARY_PCH);
    clang_emit_bitcode(&s->record_arguments);
    begin_arguments(&s->check_arguments, s->f, s->header.overlay, LIBRARY_PCH);
    clang_argument(&s->check_arguments, "-fsyntax-only");
    clang_argument(&s->check_arguments, "-");
    for (uint32_t i = 0; i < shards; i++)
        add_shard(s, i, shards);
}

static int finish_stages(struct stages *s, struct abx_shader_result *result)
{
    struct frontend *f = s->f;
    struct abx_string entries = {0};
    for (uint32_t i = 0; i < f->rewrite.kernel_count; i++)
        abx_string_add(
                &entries, f->rewrite.kernels[i].entry, strlen(f->rewrite.kernels[i].entry) + 1);
    struct library_code code = {.form = ABX_LIBRARY_HEADER,
            .data = s->runs[0].output.data,
            .bytes = s->runs[0].output.length,
            .entries = entries.data,
            .entry_bytes = entries.length};
    int rc = entries.failed ? -ENOMEM
                            : reflect(&s->runs[1].output, &code, &f->rewrite, f->map, f->options,
                                      &f->diagnosed, result);
    abx_string_finish(&entries);
    return rc;
}

static int compile_staged(
        struct frontend *f, uint32_t block, bool may_amend, struct abx_shader_result *result)
{
    struct stages s = {.f = f, .block = block};
    make_header(&s);
    int rc = run(s.runs, 1, result);
    rc = rc ? rc : judge(f, s.runs, 1, may_amend, result);
    if (rc == -EINVAL && f->diagnosed.errors) {
        /* There may be more to say about its kernels. */
        clang_run_finish(&s.runs[0]);
        frontend_forget(f);
        return compile_direct(f, may_amend, result);
    }
    if (!rc) {
        rc = precompiled_open(&s.header, f->tools, s.runs[0].output.data, s.runs[0].output.length);
        if (rc)
            frontend_fail(result, rc, "the compiler cannot keep its temporary files");
    }
    if (!rc) {
        make_shards(&s);
        rc = run(s.runs + 1, s.count - 1, result);
    }
    rc = rc ? rc : judge(f, s.runs + 1, s.count - 1, may_amend, result);
    rc = rc ? rc : finish_stages(&s, result);
    precompiled_close(&s.header);
    for (unsigned i = 0; i < s.count; i++) {
        clang_run_finish(&s.runs[i]);
        abx_string_finish(&s.texts[i]);
    }
    return rc;
}

int frontend_compile(struct frontend *f, struct abx_shader_result *result)
{
    const char *form = getenv("ARCBOX_SHADER_FORM"); /* for tests */
    bool direct = form ? !strcmp(form, "direct") : f->rewrite.kernel_count <= MAX_DIRECT_KERNELS;
    uint32_t block = form && !strcmp(form, "sharded") ? 1 : SHARD_BLOCK;
    int rc = -EAGAIN;
    for (int round = 0; rc == -EAGAIN; round++) {
        bool may_amend = round < MAX_AMENDING_ROUNDS;
        frontend_forget(f);
        rc = direct ? compile_direct(f, may_amend, result)
                    : compile_staged(f, block, may_amend, result);
    }
    return rc;
}
