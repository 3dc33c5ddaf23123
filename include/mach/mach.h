/* Mach's memory and time, for the handful of calls Metal programs make. Kernel tasks and ports do
 * not exist: mach_task_self() is only good for handing back. */
#ifndef _MACH_MACH_H_
#define _MACH_MACH_H_
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif
typedef int kern_return_t;
typedef unsigned int mach_port_t, natural_t, vm_prot_t;
typedef mach_port_t task_t, task_port_t, vm_map_t, task_id_token_t, host_t, thread_t, thread_act_t;
typedef uintptr_t vm_address_t, vm_size_t, vm_offset_t;
typedef uint64_t mach_vm_address_t, mach_vm_size_t;
typedef int boolean_t, integer_t;
#define KERN_SUCCESS 0
#define KERN_INVALID_ADDRESS 1
#define KERN_NO_SPACE 3
#define KERN_INVALID_ARGUMENT 4
#define KERN_NOT_SUPPORTED 46
#define VM_FLAGS_FIXED 0
#define VM_FLAGS_ANYWHERE 1
#define VM_PROT_NONE 0
#define VM_PROT_READ 1
#define VM_PROT_WRITE 2
#define VM_PROT_EXECUTE 4
extern mach_port_t mach_task_self_;
#define mach_task_self() mach_task_self_
#define current_task() mach_task_self_
extern vm_size_t vm_page_size, vm_page_mask, vm_kernel_page_size;
extern int vm_page_shift;
kern_return_t vm_allocate(vm_map_t task, vm_address_t *address, vm_size_t size, int flags);
kern_return_t vm_deallocate(vm_map_t task, vm_address_t address, vm_size_t size);
kern_return_t vm_protect(vm_map_t task, vm_address_t address, vm_size_t size, boolean_t set_maximum,
        vm_prot_t protection);
kern_return_t mach_vm_allocate(
        vm_map_t task, mach_vm_address_t *address, mach_vm_size_t size, int flags);
kern_return_t mach_vm_deallocate(vm_map_t task, mach_vm_address_t address, mach_vm_size_t size);
const char *mach_error_string(kern_return_t error);
/* Hints of affinity are refused with KERN_NOT_SUPPORTED, as on Apple's processors. */
typedef integer_t *thread_policy_t;
typedef natural_t mach_msg_type_number_t, thread_policy_flavor_t;
typedef struct {
    integer_t affinity_tag;
} thread_affinity_policy_data_t;
#define THREAD_AFFINITY_POLICY 4
#define THREAD_AFFINITY_POLICY_COUNT ((mach_msg_type_number_t)1)
kern_return_t thread_policy_set(thread_act_t thread, thread_policy_flavor_t flavor,
        thread_policy_t policy, mach_msg_type_number_t count);
mach_port_t mach_thread_self(void);

/* The system's memory, in pages: what /proc/meminfo has. Fields that Linux does not count are 0. */
typedef integer_t *host_info_t, *host_info64_t;
typedef integer_t host_flavor_t;
typedef struct vm_statistics {
    natural_t free_count, active_count, inactive_count, wire_count;
    natural_t zero_fill_count, reactivations, pageins, pageouts, faults, cow_faults, lookups, hits;
    natural_t purgeable_count, purges, speculative_count;
} vm_statistics_data_t;
typedef struct vm_statistics64 {
    natural_t free_count, active_count, inactive_count, wire_count;
    uint64_t zero_fill_count, reactivations, pageins, pageouts, faults, cow_faults, lookups, hits, purges;
    natural_t purgeable_count, speculative_count;
    uint64_t decompressions, compressions, swapins, swapouts;
    natural_t compressor_page_count, throttled_count, external_page_count, internal_page_count;
    uint64_t total_uncompressed_pages_in_compressor;
} vm_statistics64_data_t;
#define HOST_VM_INFO 2
#define HOST_VM_INFO64 4
#define HOST_VM_INFO_COUNT ((mach_msg_type_number_t)(sizeof(vm_statistics_data_t) / sizeof(integer_t)))
#define HOST_VM_INFO64_COUNT ((mach_msg_type_number_t)(sizeof(vm_statistics64_data_t) / sizeof(integer_t)))
mach_port_t mach_host_self(void);
kern_return_t host_page_size(host_t host, vm_size_t *size);
/* Of the flavours above; KERN_INVALID_ARGUMENT for others, or where *count is too small. */
kern_return_t host_statistics(
        host_t host, host_flavor_t flavor, host_info_t info, mach_msg_type_number_t *count);
kern_return_t host_statistics64(
        host_t host, host_flavor_t flavor, host_info64_t info, mach_msg_type_number_t *count);
kern_return_t mach_port_deallocate(task_t task, mach_port_t port);

/* This process, the only task that can be asked about: bytes, and what /proc has not is 0. */
typedef struct {
    integer_t seconds, microseconds;
} time_value_t;
typedef natural_t task_flavor_t;
typedef integer_t *task_info_t;
typedef integer_t policy_t;
struct mach_task_basic_info {
    mach_vm_size_t virtual_size, resident_size, resident_size_max;
    time_value_t user_time, system_time;
    policy_t policy;
    integer_t suspend_count;
};
struct task_basic_info {
    integer_t suspend_count;
    mach_vm_size_t virtual_size, resident_size;
    time_value_t user_time, system_time;
    policy_t policy;
};
struct task_vm_info {
    mach_vm_size_t virtual_size;
    integer_t region_count, page_size;
    mach_vm_size_t resident_size, resident_size_peak, device, device_peak, internal, internal_peak,
            external, external_peak, reusable, reusable_peak, purgeable_volatile_pmap,
            purgeable_volatile_resident, purgeable_volatile_virtual, compressed, compressed_peak,
            compressed_lifetime;
    mach_vm_size_t phys_footprint;           /* from here on revision 1 */
    mach_vm_size_t min_address, max_address; /* 2 */
    int64_t ledger_phys_footprint_peak, ledger_purgeable_nonvolatile,
            ledger_purgeable_novolatile_compressed, ledger_purgeable_volatile,
            ledger_purgeable_volatile_compressed, ledger_tag_network_nonvolatile,
            ledger_tag_network_nonvolatile_compressed, ledger_tag_network_volatile,
            ledger_tag_network_volatile_compressed, ledger_tag_media_footprint,
            ledger_tag_media_footprint_compressed, ledger_tag_media_nofootprint,
            ledger_tag_media_nofootprint_compressed, ledger_tag_graphics_footprint,
            ledger_tag_graphics_footprint_compressed, ledger_tag_graphics_nofootprint,
            ledger_tag_graphics_nofootprint_compressed, ledger_tag_neural_footprint,
            ledger_tag_neural_footprint_compressed, ledger_tag_neural_nofootprint,
            ledger_tag_neural_nofootprint_compressed; /* 3 */
    uint64_t limit_bytes_remaining;                   /* 4 */
};
typedef struct mach_task_basic_info mach_task_basic_info_data_t, *mach_task_basic_info_t;
typedef struct task_basic_info task_basic_info_data_t, *task_basic_info_t, task_basic_info_64_data_t;
typedef struct task_vm_info task_vm_info_data_t, *task_vm_info_t;
#define task_basic_info_64 task_basic_info
#define TASK_BASIC_INFO_64 5
#define TASK_BASIC_INFO TASK_BASIC_INFO_64
#define MACH_TASK_BASIC_INFO 20
#define TASK_VM_INFO 22
#define TASK_BASIC_INFO_COUNT ((mach_msg_type_number_t)(sizeof(task_basic_info_data_t) / sizeof(natural_t)))
#define TASK_BASIC_INFO_64_COUNT TASK_BASIC_INFO_COUNT
#define MACH_TASK_BASIC_INFO_COUNT                                                                 \
    ((mach_msg_type_number_t)(sizeof(mach_task_basic_info_data_t) / sizeof(natural_t)))
#define TASK_VM_INFO_COUNT ((mach_msg_type_number_t)(sizeof(task_vm_info_data_t) / sizeof(natural_t)))
#define TASK_VM_INFO_REV4_COUNT TASK_VM_INFO_COUNT
#define TASK_VM_INFO_REV3_COUNT (TASK_VM_INFO_REV4_COUNT - 2)
#define TASK_VM_INFO_REV2_COUNT (TASK_VM_INFO_REV3_COUNT - 42)
#define TASK_VM_INFO_REV1_COUNT (TASK_VM_INFO_REV2_COUNT - 4)
#define TASK_VM_INFO_REV0_COUNT (TASK_VM_INFO_REV1_COUNT - 2)
/* Of the flavours above; KERN_INVALID_ARGUMENT for others, for other tasks, or where *count is too small.
 * Of TASK_VM_INFO what the revision has for which *count has room. */
kern_return_t task_info(task_t task, task_flavor_t flavor, task_info_t info, mach_msg_type_number_t *count);
/* The threads' numbers. The list is the caller's, to be given to vm_deallocate() with its bytes. */
typedef thread_act_t *thread_act_array_t;
typedef thread_act_array_t thread_array_t;
kern_return_t task_threads(task_t task, thread_act_array_t *ret_list, mach_msg_type_number_t *ret_count);
#ifdef __cplusplus
}
#endif
#include <mach/mach_time.h>
#include <mach/machine.h>
#endif
