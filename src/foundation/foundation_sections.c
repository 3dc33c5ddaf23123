/* foundation: getsectiondata(): the files that arcbox-cc -sectcreate put into a program or library.
 * Each has a note (PT_NOTE), which names it and says where it lies. Guest's process; trusts what is
 * loaded there. */
#include <link.h>
#include <string.h>

#include "base/base.h"

#define NOTE_NAME "ArcBox section"

/* The note's contents, as scripts/arcbox-cc writes them. */
struct section_note {
    char segment[16], section[16]; /* padded with zeros, not always ended by one */
    int64_t offset;                /* of the bytes, from this field on */
    uint64_t bytes;
};

struct search {
    uintptr_t header;
    const char *segment, *section;
    uint8_t *found;
    unsigned long bytes;
};

static bool lies_in(const struct dl_phdr_info *info, uintptr_t address)
{
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type == PT_LOAD && address - (info->dlpi_addr + p->p_vaddr) < p->p_memsz)
            return true;
    }
    return false;
}

static bool named(const char field[static 16], const char *name)
{
    return strlen(name) <= 16 && strncmp(field, name, 16) == 0;
}

static void look_at(struct search *search, const uint8_t *at, size_t bytes)
{
    while (bytes >= sizeof(ElfW(Nhdr))) {
        ElfW(Nhdr) head;
        memcpy(&head, at, sizeof head);
        size_t name = abx_align_up(head.n_namesz, 4),
               all = sizeof head + name + abx_align_up(head.n_descsz, 4);
        if (all > bytes)
            return;
        const uint8_t *contents = at + sizeof head + name;
        struct section_note note;
        if (head.n_namesz == sizeof NOTE_NAME && head.n_descsz == sizeof note &&
                memcmp(at + sizeof head, NOTE_NAME, sizeof NOTE_NAME) == 0) {
            memcpy(&note, contents, sizeof note);
            if (named(note.segment, search->segment) && named(note.section, search->section)) {
                search->found =
                        (uint8_t *)contents + offsetof(struct section_note, offset) + note.offset;
                search->bytes = note.bytes;
                return;
            }
        }
        at += all;
        bytes -= all;
    }
}

static int look_in(struct dl_phdr_info *info, size_t size, void *context)
{
    struct search *search = context;
    (void)size;
    if (!lies_in(info, search->header))
        return 0;
    for (unsigned i = 0; i < info->dlpi_phnum && !search->found; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type == PT_NOTE)
            look_at(search, (const uint8_t *)(info->dlpi_addr + p->p_vaddr), p->p_memsz);
    }
    return 1;
}

ABX_EXPORT uint8_t *getsectiondata(
        const void *header, const char *segment, const char *section, unsigned long *size);
ABX_EXPORT uint8_t *getsectiondata(
        const void *header, const char *segment, const char *section, unsigned long *size)
{
    struct search search = {.header = (uintptr_t)header, .segment = segment, .section = section};
    dl_iterate_phdr(look_in, &search);
    if (search.found)
        *size = search.bytes;
    return search.found;
}
