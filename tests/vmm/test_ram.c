/* Memory tables and lists of pages that must not be believed. */
#include "rig.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#define MIB (1ull << 20)

static int file(uint64_t bytes)
{
    int fd = abx_memfd_create("ram", bytes);
    CHECK(fd >= 0);
    return fd;
}

static int set(struct abx_vmm_ram *ram, uint64_t address, uint64_t bytes, uint64_t user,
        uint64_t offset, int fd)
{
    const struct abx_vmm_region region = {address, bytes, user, offset, NULL, fd};
    return abx_vmm_ram_set(ram, &region, 1);
}

static void check_tables(void)
{
    struct abx_vmm_ram ram = {0};
    int loose = memfd_create("loose", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    CHECK(loose >= 0 && ftruncate(loose, MIB) == 0);
    CHECK(set(&ram, 0, MIB, 0, 0, loose) < 0); /* it could shrink under us */
    CHECK(set(&ram, 0, MIB, 0, 0, -1) < 0);
    CHECK(set(&ram, 0, 2 * MIB, 0, 0, file(MIB)) < 0);
    CHECK(set(&ram, 0, MIB, 0, 4096, file(MIB)) < 0);
    CHECK(set(&ram, 0, MIB, 0, UINT64_MAX - 4095, file(MIB)) < 0);
    CHECK(set(&ram, UINT64_MAX - 4095, MIB, 0, 0, file(MIB)) < 0);
    CHECK(set(&ram, 0, MIB, UINT64_MAX - 4095, 0, file(MIB)) < 0);
    CHECK(set(&ram, 0, 0, 0, 0, file(MIB)) < 0);
    CHECK(set(&ram, 0, 100, 0, 0, file(MIB)) < 0);
    CHECK(set(&ram, 100, MIB, 0, 0, file(MIB)) < 0);
    CHECK(set(&ram, 0, MIB, 0, 100, file(2 * MIB)) < 0);
    struct abx_vmm_region two[2] = {
            {0, MIB, 0, 0, NULL, file(MIB)}, {MIB / 2, MIB, 2 * MIB, 0, NULL, file(MIB)}};
    CHECK(abx_vmm_ram_set(&ram, two, 2) < 0); /* over each other */
    CHECK(ram.count == 0);
    CHECK(abx_vmm_ram_file(&ram) == -1);
    CHECK(!abx_vmm_ram_at(&ram, 0, 1));
}

/* Two regions of one file, as QEMU has them below and above the hole for devices. */
static void with_hole(struct abx_vmm_ram *ram)
{
    int fd = file(3 * MIB);
    const struct abx_vmm_region regions[] = {
            {0, MIB, 0x10000000, 0, NULL, fd}, {4 * MIB, 2 * MIB, 0x20000000, MIB, NULL, dup(fd)}};
    CHECK(abx_vmm_ram_set(ram, regions, 2) == 0);
}

static void check_places(void)
{
    struct abx_vmm_ram ram = {0};
    with_hole(&ram);
    CHECK(abx_vmm_ram_at(&ram, 0, MIB) && abx_vmm_ram_at(&ram, MIB - 1, 1));
    CHECK(!abx_vmm_ram_at(&ram, MIB - 1, 2) && !abx_vmm_ram_at(&ram, 2 * MIB, 1));
    CHECK(!abx_vmm_ram_at(&ram, UINT64_MAX, 2) && !abx_vmm_ram_at(&ram, 8, UINT64_MAX));
    CHECK(abx_vmm_ram_at(&ram, 4 * MIB, 2 * MIB) == ram.regions[1].map);
    CHECK(abx_vmm_ram_user(&ram, 0x20000000 + 5, 1) == ram.regions[1].map + 5);
    CHECK(!abx_vmm_ram_user(&ram, 0x20000000 + 2 * MIB, 1));
    abx_vmm_ram_finish(&ram);
}

static int runs_of(
        const struct abx_vmm_ram *ram, const struct abx_vmm_entry *entries, uint32_t count)
{
    struct abx_vmm_runs runs = {0};
    int r = abx_vmm_runs_make(ram, entries, count, &runs);
    abx_vmm_runs_finish(&runs);
    return r;
}

static void check_lists(void)
{
    struct abx_vmm_ram ram = {0};
    static struct abx_vmm_entry many[ABX_VMM_MAX_ENTRIES + 1];
    with_hole(&ram);
    const struct abx_vmm_entry bad[] = {{MIB, 4096, 0}, {MIB - 4096, 8192, 0}, {0, 0, 0},
            {0, 100, 0}, {100, 4096, 0}, {UINT64_MAX - 4095, 4096, 0}, {UINT64_MAX - 4095, 8192, 0},
            {4 * MIB, UINT32_MAX, 0}, {3 * MIB, 2 * MIB, 0}};
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(bad); i++)
        CHECK(runs_of(&ram, &bad[i], 1) == -EINVAL);
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(many); i++)
        many[i] = (struct abx_vmm_entry){i % 2 * 4096, 4096, 0};
    CHECK(runs_of(&ram, many, 0) == -EINVAL);
    CHECK(runs_of(&ram, many, ABX_VMM_MAX_ENTRIES + 1) == -EINVAL);
    CHECK(runs_of(&ram, many, ABX_VMM_MAX_ENTRIES) == 0);
    abx_vmm_ram_finish(&ram);
}

static void check_runs(void)
{
    struct abx_vmm_ram ram = {0};
    struct abx_vmm_runs runs, part = {0};
    with_hole(&ram);
    /* The end of the first region and the beginning of the second are neighbours in the file. */
    const struct abx_vmm_entry entries[] = {
            {8192, 4096, 0}, {12288, 4096, 0}, {MIB - 4096, 4096, 0}, {4 * MIB, 8192, 0}};
    CHECK(abx_vmm_runs_make(&ram, entries, 4, &runs) == 0);
    CHECK(runs.count == 2 && runs.bytes == 5 * 4096);
    CHECK(runs.list[0].offset == 8192 && runs.list[0].bytes == 8192);
    CHECK(runs.list[1].offset == MIB - 4096 && runs.list[1].bytes == 12288);
    char text[20480], back[20480];
    for (unsigned i = 0; i < sizeof text; i++)
        text[i] = (char)(i * 7 + i / 4096);
    CHECK(abx_vmm_runs_copy(&ram, &runs, 0, text, sizeof text, true) == 0);
    CHECK(abx_vmm_runs_copy(&ram, &runs, 0, back, sizeof back, false) == 0);
    CHECK(memcmp(text, back, sizeof text) == 0);
    CHECK(memcmp(ram.regions[1].map, text + 12288, 8192) == 0);
    CHECK(abx_vmm_runs_copy(&ram, &runs, 4000, back, 9000, false) == 0);
    CHECK(memcmp(text + 4000, back, 9000) == 0);
    CHECK(abx_vmm_runs_copy(&ram, &runs, 1, back, sizeof back, false) == -EINVAL);
    CHECK(abx_vmm_runs_copy(&ram, &runs, UINT64_MAX, back, 2, false) == -EINVAL);
    CHECK(abx_vmm_runs_at(&ram, &runs, 4, 4) == (char *)ram.regions[0].map + 8196);
    CHECK(!abx_vmm_runs_at(&ram, &runs, 8190, 4)); /* across two runs */
    CHECK(!abx_vmm_runs_at(&ram, &runs, sizeof text, 1));
    CHECK(abx_vmm_runs_append(&part, &runs, 4096) == 0 && part.bytes == 4096);
    CHECK(abx_vmm_runs_append(&part, &runs, sizeof text + 1) == -EINVAL);
    abx_vmm_runs_finish(&part);
    abx_vmm_runs_finish(&runs);
    abx_vmm_ram_finish(&ram);
}

int main(void)
{
    check_tables();
    check_places();
    check_lists();
    check_runs();
    return 0;
}
