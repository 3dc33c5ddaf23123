/* objc: objc_msgSend and its forms, arm64. The hit path takes no lock and touches only x9, x16 and
 * x17. Layouts: class+16 is the cache, whose first word is the mask; its buckets (selector,
 * function) start at +16; see objc_method.c. The function is loaded at an address computed from the
 * selector that was loaded, which orders the two loads without a barrier. */
    .text

.macro FUNCTION name
    .globl \name
    .type \name, %function
    .p2align 5
\name:
    .cfi_startproc
.endm
.macro END name
    .cfi_endproc
    .size \name, . - \name
.endm

/* x16: the class. Jumps to the method, or falls through. */
.macro PROBE
    ldr x16, [x16, #16]
    ldr x17, [x16]
    and x17, x17, x1
    add x16, x16, x17
1:  ldr x17, [x16, #16]!
    eor x9, x17, x1
    cbnz x9, 2f
    add x16, x16, x9
    ldr x17, [x16, #8]
    br x17
2:  cbnz x17, 1b
.endm

.macro SAVE_ARGUMENTS
    stp x29, x30, [sp, #-224]!
    .cfi_def_cfa_offset 224
    .cfi_offset x29, -224
    .cfi_offset x30, -216
    mov x29, sp
    stp x0, x1, [sp, #16]
    stp x2, x3, [sp, #32]
    stp x4, x5, [sp, #48]
    stp x6, x7, [sp, #64]
    str x8, [sp, #80]
    stp q0, q1, [sp, #96]
    stp q2, q3, [sp, #128]
    stp q4, q5, [sp, #160]
    stp q6, q7, [sp, #192]
.endm
.macro RESTORE_ARGUMENTS
    ldp x0, x1, [sp, #16]
    ldp x2, x3, [sp, #32]
    ldp x4, x5, [sp, #48]
    ldp x6, x7, [sp, #64]
    ldr x8, [sp, #80]
    ldp q0, q1, [sp, #96]
    ldp q2, q3, [sp, #128]
    ldp q4, q5, [sp, #160]
    ldp q6, q7, [sp, #192]
    ldp x29, x30, [sp], #224
    .cfi_restore x29
    .cfi_restore x30
    .cfi_def_cfa_offset 0
.endm

FUNCTION objc_msgSend
    cbz x0, 9f
    ldr x16, [x0]
    PROBE
    SAVE_ARGUMENTS
    ldr x2, [x0]
    bl abx_objc_lookup_or_forward
    mov x17, x0
    RESTORE_ARGUMENTS
    br x17
9:  mov x1, #0
    movi d0, #0
    movi d1, #0
    movi d2, #0
    movi d3, #0
    ret
END objc_msgSend

    .globl objc_msgSend_noarg
    .set objc_msgSend_noarg, objc_msgSend

/* x0: struct objc_super {receiver, class to search}. */
FUNCTION objc_msgSendSuper
    ldr x10, [x0, #8]
    b .Lsuper
END objc_msgSendSuper

/* The second word is the class whose method is sending; its superclass is searched. */
FUNCTION objc_msgSendSuper2
    ldr x10, [x0, #8]
    ldr x10, [x10, #8]
.Lsuper:
    ldr x0, [x0]
    mov x16, x10
    PROBE
    SAVE_ARGUMENTS
    mov x2, x10
    bl abx_objc_lookup_or_forward
    mov x17, x0
    RESTORE_ARGUMENTS
    br x17
END objc_msgSendSuper2

/* The method of an object that has none for this selector: sends it to another, raises, or finds the
 * answer in the frame, where an invocation left it. */
FUNCTION _objc_msgForward
    SAVE_ARGUMENTS
    mov x2, sp
    bl abx_objc_forwarding_target
    cbz x0, 5f
    mov x17, x0
    .cfi_remember_state
    RESTORE_ARGUMENTS
    mov x0, x17
    b objc_msgSend
5:  .cfi_restore_state
    ldp x0, x1, [sp, #16]
    ldr q0, [sp, #96]
    ldp x29, x30, [sp], #224
    .cfi_restore x29
    .cfi_restore x30
    .cfi_def_cfa_offset 0
    ret
END _objc_msgForward

    .section .note.GNU-stack, "", %progbits
