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
typedef mach_port_t task_t, vm_map_t, task_id_token_t, host_t, thread_t;
typedef uintptr_t vm_address_t, vm_size_t, vm_offset_t;
typedef uint64_t mach_vm_address_t, mach_vm_size_t;
typedef int boolean_t;
#define KERN_SUCCESS 0
#define KERN_INVALID_ADDRESS 1
#define KERN_NO_SPACE 3
#define KERN_INVALID_ARGUMENT 4
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
#ifdef __cplusplus
}
#endif
#include <mach/mach_time.h>
#endif
