/* cli: what a file is that was to be run (program.h). The file may be anybody's: every offset is
 * checked against what was read. */
#include "cli/program.h"

#include <elf.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#if defined(__x86_64__)
#define OWN_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define OWN_MACHINE EM_AARCH64
#endif

static const char *machine_name(unsigned machine)
{
    switch (machine) {
    case EM_X86_64:
        return "x86-64";
    case EM_AARCH64:
        return "aarch64";
    case EM_386:
        return "32-bit x86";
    case EM_ARM:
        return "32-bit ARM";
    case EM_RISCV:
        return "RISC-V";
    case EM_PPC64:
        return "POWER";
    case EM_S390:
        return "s390x";
    default:
        return "another processor";
    }
}

/* Java's class files begin like universal programs, with a version where those have a small count.
 */
static bool is_mach_o(const unsigned char *head, size_t length)
{
    static const unsigned char magics[][4] = {{0xcf, 0xfa, 0xed, 0xfe}, {0xce, 0xfa, 0xed, 0xfe},
            {0xfe, 0xed, 0xfa, 0xcf}, {0xfe, 0xed, 0xfa, 0xce}};
    static const unsigned char universal[] = {0xca, 0xfe, 0xba, 0xbe, 0, 0, 0};
    for (unsigned i = 0; i < sizeof magics / sizeof *magics; i++)
        if (length >= 4 && memcmp(head, magics[i], 4) == 0)
            return true;
    return length >= 8 && memcmp(head, universal, sizeof universal) == 0 && head[7] < 32;
}

static bool is_elf(const void *head, size_t length)
{
    return length >= sizeof(Elf64_Ehdr) && memcmp(head, ELFMAG, SELFMAG) == 0;
}

bool abx_program_is_foreign(const void *head, size_t length, char *ret_text, size_t capacity)
{
    Elf64_Ehdr elf;
    if (is_mach_o(head, length)) {
        snprintf(ret_text, capacity, "is a macOS program: rebuild it with arcbox-cc");
        return true;
    }
    if (!is_elf(head, length))
        return false;
    memcpy(&elf, head, sizeof elf);
    bool swapped = ((const unsigned char *)head)[EI_DATA] != ELFDATA2LSB;
    if (!swapped && elf.e_machine == OWN_MACHINE)
        return false;
    if (!swapped && elf.e_machine == EM_386 && OWN_MACHINE == EM_X86_64)
        return false; /* most kernels run them */
    snprintf(ret_text, capacity, "is a program for %s, and this machine is %s: rebuild it",
            machine_name(swapped ? elf.e_machine >> 8 | (elf.e_machine & 255) << 8 : elf.e_machine),
            machine_name(OWN_MACHINE));
    return true;
}

static bool copy_line(const char *from, size_t length, char *to, size_t capacity)
{
    size_t n = 0;
    while (n < length && n + 1 < capacity && from[n] > ' ' && from[n] < 0x7f) {
        to[n] = from[n];
        n++;
    }
    to[n] = 0;
    return n > 0;
}

bool abx_program_loader(const void *head, size_t length, char *ret_path, size_t capacity)
{
    const char *bytes = head;
    Elf64_Ehdr elf;
    Elf64_Phdr segment;
    if (length > 3 && memcmp(bytes, "#!", 2) == 0) {
        size_t at = 2 + strspn(bytes + 2, " \t");
        return at < length && copy_line(bytes + at, length - at, ret_path, capacity);
    }
    if (!is_elf(head, length) || bytes[EI_CLASS] != ELFCLASS64)
        return false;
    memcpy(&elf, head, sizeof elf);
    for (unsigned i = 0; i < elf.e_phnum && elf.e_phentsize == sizeof segment; i++) {
        uint64_t at = elf.e_phoff + (uint64_t)i * sizeof segment;
        if (elf.e_phoff > length || at + sizeof segment > length)
            return false;
        memcpy(&segment, bytes + at, sizeof segment);
        if (segment.p_type == PT_INTERP)
            return segment.p_offset < length && segment.p_filesz <= length - segment.p_offset &&
                   copy_line(bytes + segment.p_offset, segment.p_filesz, ret_path, capacity);
    }
    return false;
}
