/* backend/cpu: loads the code generator's ELF objects. Worker process.
 *
 * Why not dlopen or LLVM's JIT: the worker has no file system and must not contain a compiler. The
 * object is trusted no more than a guest's: every offset is checked, memory is never writable and
 * executable at once, and the only outside addresses it can name are those of runtime.c's table.
 * (What the code then does is contained by the process, not here.)
 *
 * Memory, in two parts that code_memory.c gives: the code of all allocated sections and jumps
 * through a table of outside addresses (GOT); the constants and that table. 32-bit relative
 * relocations always reach. */
#include "backend/cpu/object.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

/* Caps on a guest-made object; ggml's biggest kernel is far below each. */
#define MAX_SECTIONS 4096u
#define MAX_SYMBOLS 65536u
#define MAX_EXTERNALS 512u
#define TABLE_BYTES 16384u  /* jumps or addresses for all of them, with padding */
#define SMALLEST_PAGE 4096u /* sections want no more of an address */

#if defined(__x86_64__)
#define MACHINE EM_X86_64
#define STUB_BYTES 16
#elif defined(__aarch64__)
#define MACHINE EM_AARCH64
#define STUB_BYTES 16
#else
#error "no object loader for this processor"
#endif

struct loader {
    const char *elf;
    size_t bytes;
    const Elf64_Ehdr *head;
    const Elf64_Shdr *sections;
    uint64_t place[MAX_SECTIONS]; /* offset in its part of the memory, ~0 when not loaded */
    const Elf64_Sym *symbols;
    size_t symbol_count;
    const char *names;
    size_t name_bytes;
    uint16_t slot[MAX_SYMBOLS]; /* GOT slot + 1 */
    uint32_t slots;
    uint64_t got, stubs, code_bytes, data_bytes;
    struct abx_code_memory memory;
};

static const void *at(struct loader *l, uint64_t offset, uint64_t length)
{
    return offset % 8 == 0 && abx_range_ok(offset, length, l->bytes) ? l->elf + offset : NULL;
}

static int read_head(struct loader *l)
{
    l->head = at(l, 0, sizeof *l->head);
    const Elf64_Ehdr *h = l->head;
    if (!h || memcmp(h->e_ident, ELFMAG, SELFMAG) || h->e_ident[EI_CLASS] != ELFCLASS64 ||
            h->e_ident[EI_DATA] != ELFDATA2LSB || h->e_type != ET_REL || h->e_machine != MACHINE ||
            h->e_shentsize != sizeof(Elf64_Shdr) || h->e_shnum == 0 || h->e_shnum > MAX_SECTIONS)
        return -EBADMSG;
    l->sections = at(l, h->e_shoff, (uint64_t)h->e_shnum * sizeof(Elf64_Shdr));
    return l->sections ? 0 : -EBADMSG;
}

static int read_symbols(struct loader *l)
{
    for (unsigned i = 0; i < l->head->e_shnum; i++) {
        const Elf64_Shdr *s = &l->sections[i];
        if (s->sh_type != SHT_SYMTAB)
            continue;
        l->symbols = at(l, s->sh_offset, s->sh_size);
        l->symbol_count = s->sh_size / sizeof(Elf64_Sym);
        if (!l->symbols || l->symbol_count > MAX_SYMBOLS || s->sh_link >= l->head->e_shnum)
            return -EBADMSG;
        const Elf64_Shdr *t = &l->sections[s->sh_link];
        if (t->sh_type != SHT_STRTAB || t->sh_size == 0 ||
                !abx_range_ok(t->sh_offset, t->sh_size, l->bytes))
            return -EBADMSG;
        l->names = l->elf + t->sh_offset;
        l->name_bytes = t->sh_size;
        return l->names[l->name_bytes - 1] == 0 ? 0 : -EBADMSG;
    }
    return -EBADMSG;
}

static const char *symbol_name(struct loader *l, const Elf64_Sym *s)
{
    return s->st_name < l->name_bytes ? l->names + s->st_name : "";
}

/* Where in the memory the byte lies that the file has at `offset` of section `i`, which is loaded.
 */
static char *in_memory(struct loader *l, unsigned i, uint64_t offset)
{
    bool code = l->sections[i].sh_flags & SHF_EXECINSTR;
    return (code ? l->memory.code : l->memory.data) + l->place[i] + offset;
}

static char *got_slot(struct loader *l, uint64_t slot)
{
    return l->memory.data + l->got + 8 * slot;
}

/* Two passes: code, then constants. */
static int place_sections(struct loader *l)
{
    for (unsigned i = 0; i < l->head->e_shnum; i++)
        l->place[i] = ~0ull;
    for (int code = 1; code >= 0; code--) {
        uint64_t offset = 0;
        for (unsigned i = 0; i < l->head->e_shnum; i++) {
            const Elf64_Shdr *s = &l->sections[i];
            if (!(s->sh_flags & SHF_ALLOC) || s->sh_size == 0 ||
                    !!(s->sh_flags & SHF_EXECINSTR) != code)
                continue;
            if (s->sh_type == SHT_NOTE || s->sh_type == SHT_X86_64_UNWIND)
                continue;
            if (s->sh_type != SHT_PROGBITS || (s->sh_addralign & (s->sh_addralign - 1)) ||
                    s->sh_addralign > SMALLEST_PAGE ||
                    !abx_range_ok(s->sh_offset, s->sh_size, l->bytes))
                return -EBADMSG;
            /* A kernel has no data of its own: what it writes was given to it. (.data.rel.ro is
             * written by the loader only.) */
            const Elf64_Shdr *t = &l->sections[i];
            if ((t->sh_flags & SHF_WRITE) && code)
                return -EBADMSG;
            offset = abx_align_up(offset, s->sh_addralign ? s->sh_addralign : 1);
            l->place[i] = offset;
            offset += s->sh_size;
            if (offset > ABX_CODE_MEMORY_BYTES - TABLE_BYTES)
                return -EBADMSG;
        }
        if (code) {
            l->stubs = abx_align_up(offset, 16);
            l->code_bytes = l->stubs + (uint64_t)STUB_BYTES * MAX_EXTERNALS;
        } else {
            l->got = abx_align_up(offset, 8);
            l->data_bytes = l->got + 8ull * MAX_EXTERNALS;
        }
    }
    return 0;
}

static bool loaded(struct loader *l, const Elf64_Sym *s)
{
    return s->st_shndx != SHN_UNDEF && s->st_shndx < l->head->e_shnum &&
           l->place[s->st_shndx] != ~0ull && s->st_value <= l->sections[s->st_shndx].sh_size;
}

/* The run-time address of a symbol; 0 when it has none. */
static uint64_t address_of(struct loader *l, uint32_t index)
{
    if (index >= l->symbol_count)
        return 0;
    const Elf64_Sym *s = &l->symbols[index];
    if (loaded(l, s))
        return (uint64_t)(uintptr_t)in_memory(l, s->st_shndx, s->st_value);
    if (s->st_shndx == SHN_UNDEF)
        return (uint64_t)(uintptr_t)abx_cpu_runtime_symbol(symbol_name(l, s));
    return 0;
}

/* The GOT slot that holds the symbol's address; ~0 when there is none. */
static uint64_t slot_of(struct loader *l, uint32_t index)
{
    if (index >= l->symbol_count)
        return ~0ull;
    if (!l->slot[index]) {
        uint64_t address = address_of(l, index);
        if (!address || l->slots == MAX_EXTERNALS)
            return ~0ull;
        memcpy(got_slot(l, l->slots), &address, 8);
        l->slot[index] = (uint16_t)++l->slots;
    }
    return l->slot[index] - 1u;
}

/* A signed number of 32 bits. Sums wrap on the way: addends are anything. */
static int store32(char *to, uint64_t value)
{
    if ((int64_t)value != (int32_t)value)
        return -EBADMSG;
    uint32_t v = (uint32_t)value;
    memcpy(to, &v, 4);
    return 0;
}

#if defined(__x86_64__)

/* jmp *[rip + distance to the slot] */
static uint64_t stub_for(struct loader *l, uint64_t slot)
{
    char *stub = l->memory.code + l->stubs + STUB_BYTES * slot;
    char *to = got_slot(l, slot);
    stub[0] = (char)0xff;
    stub[1] = 0x25;
    store32(stub + 2, (uint64_t)(to - (stub + 6)));
    return (uint64_t)(uintptr_t)stub;
}

static int relocate(struct loader *l, char *where, uint64_t room, const Elf64_Rela *r)
{
    uint32_t type = ELF64_R_TYPE(r->r_info), symbol = ELF64_R_SYM(r->r_info);
    uint64_t here = (uint64_t)(uintptr_t)where, value = address_of(l, symbol), slot;
    bool outside = symbol < l->symbol_count && l->symbols[symbol].st_shndx == SHN_UNDEF;
    if (type == R_X86_64_NONE)
        return 0;
    if (!value || room < (type == R_X86_64_64 || type == R_X86_64_PC64 ? 8u : 4u))
        return -EBADMSG;
    switch (type) {
    case R_X86_64_64:
        value += (uint64_t)r->r_addend;
        memcpy(where, &value, 8);
        return 0;
    case R_X86_64_PC64:
        value += (uint64_t)r->r_addend - here;
        memcpy(where, &value, 8);
        return 0;
    case R_X86_64_PC32:
    case R_X86_64_PLT32:
        if (outside) {
            slot = slot_of(l, symbol);
            if (slot == ~0ull)
                return -EBADMSG;
            value = stub_for(l, slot);
        }
        return store32(where, value + (uint64_t)r->r_addend - here);
    case R_X86_64_GOTPCREL:
    case R_X86_64_GOTPCRELX:
    case R_X86_64_REX_GOTPCRELX:
        slot = slot_of(l, symbol);
        if (slot == ~0ull)
            return -EBADMSG;
        value = (uint64_t)(uintptr_t)got_slot(l, slot);
        return store32(where, value + (uint64_t)r->r_addend - here);
    default:
        return -EBADMSG;
    }
}

#else /* aarch64 */

/* ldr x16, [pc, #8]; br x16; the address */
static uint64_t stub_for(struct loader *l, uint64_t slot)
{
    char *stub = l->memory.code + l->stubs + STUB_BYTES * slot;
    uint32_t code[2] = {0x58000050u, 0xd61f0200u};
    memcpy(stub, code, 8);
    memcpy(stub + 8, got_slot(l, slot), 8);
    return (uint64_t)(uintptr_t)stub;
}

static int patch(char *where, uint32_t clear, uint64_t bits)
{
    uint32_t in;
    memcpy(&in, where, 4);
    in = (in & ~clear) | (uint32_t)bits;
    memcpy(where, &in, 4);
    return 0;
}

static int patch_page(char *where, uint64_t target, uint64_t here)
{
    int64_t pages = (int64_t)((target & ~0xfffull) - (here & ~0xfffull)) >> 12;
    if (pages < -(1 << 20) || pages >= 1 << 20)
        return -EBADMSG;
    return patch(where, 0x60ffffe0u,
            ((uint64_t)(pages & 3) << 29) | (((uint64_t)pages >> 2 & 0x7ffff) << 5));
}

static int patch_low(char *where, uint64_t target, unsigned scale)
{
    if (target & ((1u << scale) - 1))
        return -EBADMSG;
    return patch(where, 0x3ffc00u, (target & 0xfff) >> scale << 10);
}

static int relocate(struct loader *l, char *where, uint64_t room, const Elf64_Rela *r)
{
    uint32_t type = ELF64_R_TYPE(r->r_info), symbol = ELF64_R_SYM(r->r_info);
    uint64_t here = (uint64_t)(uintptr_t)where, value = address_of(l, symbol), slot;
    bool outside = symbol < l->symbol_count && l->symbols[symbol].st_shndx == SHN_UNDEF;
    if (!value || room < (type == R_AARCH64_ABS64 || type == R_AARCH64_PREL64 ? 8u : 4u))
        return -EBADMSG;
    uint64_t target = value + (uint64_t)r->r_addend;
    switch (type) {
    case R_AARCH64_ABS64:
        memcpy(where, &target, 8);
        return 0;
    case R_AARCH64_PREL64:
        target -= here;
        memcpy(where, &target, 8);
        return 0;
    case R_AARCH64_PREL32:
        return store32(where, target - here);
    case R_AARCH64_CALL26:
    case R_AARCH64_JUMP26: {
        if (outside) {
            slot = slot_of(l, symbol);
            if (slot == ~0ull)
                return -EBADMSG;
            target = stub_for(l, slot);
        }
        int64_t words = (int64_t)(target - here) >> 2;
        if (words < -(1 << 25) || words >= 1 << 25)
            return -EBADMSG;
        return patch(where, 0x3ffffffu, (uint64_t)words & 0x3ffffff);
    }
    case R_AARCH64_ADR_PREL_PG_HI21:
        return patch_page(where, target, here);
    case R_AARCH64_ADD_ABS_LO12_NC:
    case R_AARCH64_LDST8_ABS_LO12_NC:
        return patch_low(where, target, 0);
    case R_AARCH64_LDST16_ABS_LO12_NC:
        return patch_low(where, target, 1);
    case R_AARCH64_LDST32_ABS_LO12_NC:
        return patch_low(where, target, 2);
    case R_AARCH64_LDST64_ABS_LO12_NC:
        return patch_low(where, target, 3);
    case R_AARCH64_LDST128_ABS_LO12_NC:
        return patch_low(where, target, 4);
    case R_AARCH64_ADR_GOT_PAGE:
    case R_AARCH64_LD64_GOT_LO12_NC:
        slot = slot_of(l, symbol);
        if (slot == ~0ull)
            return -EBADMSG;
        target = (uint64_t)(uintptr_t)got_slot(l, slot);
        return type == R_AARCH64_ADR_GOT_PAGE ? patch_page(where, target, here)
                                              : patch_low(where, target, 3);
    default:
        return -EBADMSG;
    }
}

#endif

static int relocate_all(struct loader *l)
{
    for (unsigned i = 0; i < l->head->e_shnum; i++) {
        const Elf64_Shdr *s = &l->sections[i];
        if (s->sh_type == SHT_REL)
            return -EBADMSG;
        if (s->sh_type != SHT_RELA || s->sh_info >= l->head->e_shnum ||
                l->place[s->sh_info] == ~0ull)
            continue;
        const Elf64_Rela *r = at(l, s->sh_offset, s->sh_size);
        uint64_t size = l->sections[s->sh_info].sh_size;
        if (!r)
            return -EBADMSG;
        for (uint64_t n = s->sh_size / sizeof *r; n; n--, r++) {
            if (r->r_offset >= size)
                return -EBADMSG;
            char *where = in_memory(l, s->sh_info, r->r_offset);
            int e = relocate(l, where, size - r->r_offset, r);
            if (e < 0)
                return e;
        }
    }
    return 0;
}

static void *find_entry(struct loader *l)
{
    for (size_t i = 0; i < l->symbol_count; i++) {
        const Elf64_Sym *s = &l->symbols[i];
        if (loaded(l, s) && (l->sections[s->st_shndx].sh_flags & SHF_EXECINSTR) &&
                !strcmp(symbol_name(l, s), ABX_CPU_ENTRY))
            return in_memory(l, s->st_shndx, s->st_value);
    }
    return NULL;
}

static int fill(struct loader *l)
{
    for (unsigned i = 0; i < l->head->e_shnum; i++)
        if (l->place[i] != ~0ull)
            memcpy(in_memory(l, i, 0), l->elf + l->sections[i].sh_offset, l->sections[i].sh_size);
    int r = relocate_all(l);
    if (r < 0)
        return r;
    __builtin___clear_cache(l->memory.code, l->memory.code + l->code_bytes);
    return abx_code_memory_seal(&l->memory);
}

static int load(struct loader *l, struct abx_cpu_object *ret)
{
    int r = read_head(l);
    if (r == 0)
        r = read_symbols(l);
    if (r == 0)
        r = place_sections(l);
    if (r == 0)
        r = abx_code_memory_take(l->code_bytes, l->data_bytes, &l->memory);
    if (r < 0)
        return r;
    r = fill(l);
    void *entry = r == 0 ? find_entry(l) : NULL;
    if (r == 0 && !entry)
        r = -EBADMSG;
    if (r < 0) {
        abx_code_memory_give_back(&l->memory);
        return r;
    }
    *ret = (struct abx_cpu_object){l->memory, entry};
    return 0;
}

int abx_cpu_object_load(const void *elf, size_t bytes, struct abx_cpu_object *ret_object)
{
    struct loader *l = calloc(1, sizeof *l);
    if (!l)
        return -ENOMEM;
    l->elf = elf;
    l->bytes = bytes;
    int r = load(l, ret_object);
    free(l);
    return r;
}

void abx_cpu_object_unload(struct abx_cpu_object *object)
{
    abx_code_memory_give_back(&object->memory);
}
