/* tests: what stands for a cubin where nothing real assembles: an ELF file with the head that
 * NVIDIA's have, whose one section is the PTX that it was made of. */
#ifndef TESTS_BACKEND_FAKE_CUBIN_H
#define TESTS_BACKEND_FAKE_CUBIN_H

#include <elf.h>
#include <stddef.h>
#include <string.h>

struct fake_cubin {
    Elf64_Ehdr head;
    Elf64_Shdr sections[2];
    char ptx[];
};

static inline size_t fake_cubin_bytes(size_t ptx_bytes)
{
    return sizeof(struct fake_cubin) + ptx_bytes;
}

/* ptx: with its NUL. */
static inline void fake_cubin_make(
        struct fake_cubin *c, unsigned processor, const char *ptx, size_t ptx_bytes)
{
    memset(c, 0, sizeof *c);
    memcpy(c->head.e_ident, ELFMAG, SELFMAG);
    c->head.e_ident[EI_CLASS] = ELFCLASS64;
    c->head.e_ident[EI_DATA] = ELFDATA2LSB;
    c->head.e_ident[EI_ABIVERSION] = 8;
    c->head.e_machine = EM_CUDA;
    c->head.e_flags = 0x06000004u | processor << 8;
    c->head.e_ehsize = sizeof c->head;
    c->head.e_shoff = offsetof(struct fake_cubin, sections);
    c->head.e_shentsize = sizeof *c->sections;
    c->head.e_shnum = 2;
    c->sections[1].sh_type = SHT_PROGBITS;
    c->sections[1].sh_offset = sizeof *c;
    c->sections[1].sh_size = ptx_bytes;
    memcpy(c->ptx, ptx, ptx_bytes);
}

/* Which processor one is for, a real one too: its place was another up to CUDA 12. */
static inline unsigned fake_cubin_processor(const void *cubin)
{
    const Elf64_Ehdr *e = cubin;
    return e->e_ident[EI_ABIVERSION] >= 8 ? e->e_flags >> 8 & 0xff : e->e_flags & 0xff;
}

#endif
