/* shader, private: the processors that code can be generated for. Compiler process.
 *
 * The front end knows nothing of them: its bitcode is that of one plain 64-bit processor (see
 * frontend/clang_flags.inc) whose sizes and alignments are Metal's, and everything is inlined into
 * one function before a target is chosen. So a library, its precompiled header, its reflection and
 * a .metallib serve all targets alike, and a structure has the same layout on each; an aarch64
 * front end would align long4 to 16 bytes where Metal, and a guest on the other side, have 32.
 * NVPTX finds address spaces again from where pointers come from (nvptx/nvptx.c). */
#ifndef ABX_SHADER_CODEGEN_TARGET_H
#define ABX_SHADER_CODEGEN_TARGET_H

#include "shader/codegen/codegen.h"

struct codegen_target {
    enum abx_shader_target id;
    const char *name;                    /* as the tools print it */
    const char *triple, *cpu, *features; /* NULL: those of this computer */
    void (*initialize)(void);
};

/* NULL when there is none with this number. */
const struct codegen_target *codegen_target_find(uint32_t id);
/* Fills machine, layout and vector_bytes of *g for the target. */
int codegen_target_open(struct codegen *g, uint32_t id);

#endif
