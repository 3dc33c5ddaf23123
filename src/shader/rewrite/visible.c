/* shader: [[visible]] functions: what a pipeline can be linked with (shim/visible.h). Compiler
 * process, hostile text. */
#include "shader/rewrite/internal.h"

void rewriter_visible(struct rewriter *r, const struct declaration *d)
{
    struct abx_rewrite *out = r->out;
    uint32_t id = out->kernel_count, name = d->open - 1;
    if (d->open <= d->start || !token_word(r, name) || token_close(r, d->open) == d->open)
        return; /* clang will say what is wrong with it */
    if (d->is_template) {
        rewriter_refuse(r, d->visible, "a visible function must not be a template");
        return;
    }
    if (!rewriter_grow(r, (void **)&out->kernels, &r->kernel_capacity, id, sizeof(*out->kernels),
                ABX_REWRITE_MAX_KERNELS))
        return;
    /* Qualified: metal has functions of many names. */
    const char *space = r->space.data ? r->space.data : "";
    int length = (int)token_length(r, name);
    const char *text = r->text + r->tokens[name].start;
    out->kernels[out->kernel_count++] = (struct abx_rewrite_kernel){
            .name = d->host_name != NO_TOKEN ? rewriter_host_name(r, d->host_name)
                                             : rewriter_format(r, "%s%.*s", space, length, text),
            .position = r->tokens[name].start,
            .visible = true,
            .entry = rewriter_format(r, "__ABX_VISIBLE(%u, ::%s%.*s)", id, space, length, text),
            .record = ""};
}
