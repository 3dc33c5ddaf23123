/* foundation: what Mach's calls say of this process: its memory, its time, its threads. Guest's
 * process; what they tell is /proc's. */
#include "foundation/foundation_internal.h"
#include "mach/mach.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

/* Programs have the lower half of what 48 bits address. */
#define MAX_ADDRESS 0x7ffffffff000ull

struct usage {
    uint64_t virtual_bytes, resident, most_resident, anonymous, shared, swapped;
    time_value_t user, system;
};

static time_value_t time_of(struct timeval t)
{
    return (time_value_t){(integer_t)t.tv_sec, (integer_t)t.tv_usec};
}

static int usage_of_process(struct usage *u)
{
    struct {
        const char *name;
        uint64_t *bytes;
    } fields[] = {{"VmSize", &u->virtual_bytes}, {"VmRSS", &u->resident},
            {"VmHWM", &u->most_resident}, {"RssAnon", &u->anonymous}, {"RssShmem", &u->shared},
            {"VmSwap", &u->swapped}};
    *u = (struct usage){0};
    FILE *file = fopen("/proc/self/status", "re");
    if (!file)
        return -errno;
    char line[256], name[32];
    unsigned long long kilobytes;
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "%31[^:]: %llu kB", name, &kilobytes) == 2)
            for (size_t i = 0; i < ABX_ARRAY_SIZE(fields); i++)
                if (!strcmp(name, fields[i].name))
                    *fields[i].bytes = (uint64_t)kilobytes << 10;
    fclose(file);
    struct rusage used;
    if (getrusage(RUSAGE_SELF, &used) == 0) {
        u->user = time_of(used.ru_utime);
        u->system = time_of(used.ru_stime);
    }
    return 0;
}

/* The structure of the flavour, and its bytes; 0: not one known here. */
static size_t info_of(const struct usage *u, task_flavor_t flavor, void *to)
{
    switch (flavor) {
    case MACH_TASK_BASIC_INFO:
        *(struct mach_task_basic_info *)to =
                (struct mach_task_basic_info){.virtual_size = u->virtual_bytes,
                        .resident_size = u->resident,
                        .resident_size_max = u->most_resident,
                        .user_time = u->user,
                        .system_time = u->system};
        return sizeof(struct mach_task_basic_info);
    case TASK_BASIC_INFO:
        *(struct task_basic_info *)to = (struct task_basic_info){.virtual_size = u->virtual_bytes,
                .resident_size = u->resident,
                .user_time = u->user,
                .system_time = u->system};
        return sizeof(struct task_basic_info);
    case TASK_VM_INFO:
        *(struct task_vm_info *)to = (struct task_vm_info){.virtual_size = u->virtual_bytes,
                .page_size = (integer_t)vm_page_size,
                .resident_size = u->resident,
                .resident_size_peak = u->most_resident,
                .internal = u->anonymous,
                .external = u->resident - u->anonymous,
                .compressed = u->swapped,
                .phys_footprint = u->anonymous + u->shared + u->swapped,
                .max_address = MAX_ADDRESS,
                .ledger_phys_footprint_peak = (int64_t)(u->most_resident + u->swapped)};
        return sizeof(struct task_vm_info);
    default:
        return 0;
    }
}

/* The words of the newest revision that has no more than `count`. */
static mach_msg_type_number_t revision(task_flavor_t flavor, mach_msg_type_number_t count)
{
    static const mach_msg_type_number_t revisions[] = {TASK_VM_INFO_REV4_COUNT,
            TASK_VM_INFO_REV3_COUNT, TASK_VM_INFO_REV2_COUNT, TASK_VM_INFO_REV1_COUNT,
            TASK_VM_INFO_REV0_COUNT};
    size_t i = 0;
    if (flavor != TASK_VM_INFO)
        return count;
    while (revisions[i] > count)
        i++;
    return revisions[i];
}

ABX_EXPORT kern_return_t task_info(
        task_t task, task_flavor_t flavor, task_info_t info, mach_msg_type_number_t *count)
{
    struct usage usage;
    union {
        struct mach_task_basic_info basic;
        struct task_basic_info older;
        struct task_vm_info memory;
    } found;
    if (task != mach_task_self_ || !info || !count || usage_of_process(&usage) < 0)
        return KERN_INVALID_ARGUMENT;
    mach_msg_type_number_t words =
            (mach_msg_type_number_t)(info_of(&usage, flavor, &found) / sizeof(natural_t));
    if (!words || *count < (flavor == TASK_VM_INFO ? TASK_VM_INFO_REV0_COUNT : words))
        return KERN_INVALID_ARGUMENT;
    *count = revision(flavor, words < *count ? words : *count);
    memcpy(info, &found, *count * sizeof(natural_t));
    return KERN_SUCCESS;
}

ABX_EXPORT kern_return_t task_threads(
        task_t task, thread_act_array_t *ret_list, mach_msg_type_number_t *ret_count)
{
    vm_address_t list = 0; /* of at most a page: more threads than that are not named */
    uint32_t count = 0, capacity = (uint32_t)(vm_page_size / sizeof(thread_act_t));
    DIR *folder = task == mach_task_self_ ? opendir("/proc/self/task") : NULL;
    if (!folder)
        return KERN_INVALID_ARGUMENT;
    kern_return_t result = vm_allocate(task, &list, vm_page_size, VM_FLAGS_ANYWHERE);
    const struct dirent *entry;
    while (result == KERN_SUCCESS && (entry = readdir(folder)) && count < capacity)
        if (entry->d_name[0] != '.')
            ((thread_act_t *)list)[count++] = (thread_act_t)atoi(entry->d_name);
    closedir(folder);
    if (result == KERN_SUCCESS) {
        *ret_list = (thread_act_array_t)list;
        *ret_count = count;
    }
    return result;
}
