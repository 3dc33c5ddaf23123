/* objc: objc_msgSend and its forms, x86-64. The hit path takes no lock and touches only r10 and r11.
 * Layouts: class+16 is the cache, whose first word is the mask; its buckets (selector, function)
 * start at +16; see objc_method.c. A run of buckets always ends in an empty one. */
    .text

.macro FUNCTION name
    .globl \name
    .type \name, @function
    .p2align 5
\name:
    .cfi_startproc
.endm
.macro END name
    .cfi_endproc
    .size \name, . - \name
.endm

/* Every register that may carry an argument. */
.macro SAVE_ARGUMENTS
    pushq %rbp
    .cfi_def_cfa_offset 16
    .cfi_offset %rbp, -16
    movq %rsp, %rbp
    .cfi_def_cfa_register %rbp
    subq $0xc0, %rsp
    movq %rdi, 0x00(%rsp)
    movq %rsi, 0x08(%rsp)
    movq %rdx, 0x10(%rsp)
    movq %rcx, 0x18(%rsp)
    movq %r8, 0x20(%rsp)
    movq %r9, 0x28(%rsp)
    movq %rax, 0x30(%rsp)
    movaps %xmm0, 0x40(%rsp)
    movaps %xmm1, 0x50(%rsp)
    movaps %xmm2, 0x60(%rsp)
    movaps %xmm3, 0x70(%rsp)
    movaps %xmm4, 0x80(%rsp)
    movaps %xmm5, 0x90(%rsp)
    movaps %xmm6, 0xa0(%rsp)
    movaps %xmm7, 0xb0(%rsp)
.endm
.macro RESTORE_ARGUMENTS
    movq 0x00(%rsp), %rdi
    movq 0x08(%rsp), %rsi
    movq 0x10(%rsp), %rdx
    movq 0x18(%rsp), %rcx
    movq 0x20(%rsp), %r8
    movq 0x28(%rsp), %r9
    movq 0x30(%rsp), %rax
    movaps 0x40(%rsp), %xmm0
    movaps 0x50(%rsp), %xmm1
    movaps 0x60(%rsp), %xmm2
    movaps 0x70(%rsp), %xmm3
    movaps 0x80(%rsp), %xmm4
    movaps 0x90(%rsp), %xmm5
    movaps 0xa0(%rsp), %xmm6
    movaps 0xb0(%rsp), %xmm7
    leave
    .cfi_def_cfa %rsp, 8
    .cfi_restore %rbp
.endm

/* The lookup proper. On entry r10 is the class; clobbers r10 and r11 only. */
.macro PROBE selector
    movq 16(%r10), %r11         /* cache */
    movq (%r11), %r10           /* mask */
    andq \selector, %r10
    leaq 16(%r10, %r11), %r11   /* first bucket */
1:  cmpq (%r11), \selector
    jne 2f
    jmpq *8(%r11)
2:  cmpq $0, (%r11)
    je 3f
    addq $16, %r11
    jmp 1b
3:
.endm

FUNCTION objc_msgSend
    testq %rdi, %rdi
    je 9f
    movq (%rdi), %r10
    PROBE %rsi
    SAVE_ARGUMENTS
    movq (%rdi), %rdx
    call abx_objc_lookup_or_forward
    movq %rax, %r11
    RESTORE_ARGUMENTS
    jmpq *%r11
9:  xorl %eax, %eax
    xorl %edx, %edx
    xorps %xmm0, %xmm0
    xorps %xmm1, %xmm1
    ret
END objc_msgSend

    .globl objc_msgSend_noarg
    .set objc_msgSend_noarg, objc_msgSend

FUNCTION objc_msgSend_fpret
    testq %rdi, %rdi
    jne objc_msgSend
    fldz
    xorl %eax, %eax
    xorl %edx, %edx
    ret
END objc_msgSend_fpret

FUNCTION objc_msgSend_fp2ret
    testq %rdi, %rdi
    jne objc_msgSend
    fldz
    fldz
    xorl %eax, %eax
    xorl %edx, %edx
    ret
END objc_msgSend_fp2ret

/* rdi: where the structure goes; rsi, rdx: receiver and selector. */
FUNCTION objc_msgSend_stret
    testq %rsi, %rsi
    je 9f
    movq (%rsi), %r10
    PROBE %rdx
    SAVE_ARGUMENTS
    movq %rsi, %rdi
    movq %rdx, %rsi
    movq (%rdi), %rdx
    call abx_objc_lookup_or_forward_stret
    movq %rax, %r11
    RESTORE_ARGUMENTS
    jmpq *%r11
9:  movq %rdi, %rax
    ret
END objc_msgSend_stret

/* rdi: struct objc_super {receiver, class to search}. */
FUNCTION objc_msgSendSuper
    movq 8(%rdi), %r10
    jmp .Lsuper
END objc_msgSendSuper

/* The second word is the class whose method is sending; its superclass is searched. */
FUNCTION objc_msgSendSuper2
    movq 8(%rdi), %r10
    movq 8(%r10), %r10
.Lsuper:
    pushq %r10
    .cfi_adjust_cfa_offset 8
    movq (%rdi), %rdi
    movq 16(%r10), %r11
    movq (%r11), %r10
    andq %rsi, %r10
    leaq 16(%r10, %r11), %r11
1:  cmpq (%r11), %rsi
    jne 2f
    addq $8, %rsp
    .cfi_adjust_cfa_offset -8
    jmpq *8(%r11)
    .cfi_adjust_cfa_offset 8
2:  cmpq $0, (%r11)
    je 3f
    addq $16, %r11
    jmp 1b
3:  popq %r10
    .cfi_adjust_cfa_offset -8
    SAVE_ARGUMENTS
    movq %r10, %rdx
    call abx_objc_lookup_or_forward
    movq %rax, %r11
    RESTORE_ARGUMENTS
    jmpq *%r11
END objc_msgSendSuper2

FUNCTION objc_msgSendSuper_stret
    movq 8(%rsi), %r10
    jmp .Lsuper_stret
END objc_msgSendSuper_stret

FUNCTION objc_msgSendSuper2_stret
    movq 8(%rsi), %r10
    movq 8(%r10), %r10
.Lsuper_stret:
    pushq %r10
    .cfi_adjust_cfa_offset 8
    movq (%rsi), %rsi
    movq 16(%r10), %r11
    movq (%r11), %r10
    andq %rdx, %r10
    leaq 16(%r10, %r11), %r11
1:  cmpq (%r11), %rdx
    jne 2f
    addq $8, %rsp
    .cfi_adjust_cfa_offset -8
    jmpq *8(%r11)
    .cfi_adjust_cfa_offset 8
2:  cmpq $0, (%r11)
    je 3f
    addq $16, %r11
    jmp 1b
3:  popq %r10
    .cfi_adjust_cfa_offset -8
    SAVE_ARGUMENTS
    movq %rsi, %rdi
    movq %rdx, %rsi
    movq %r10, %rdx
    call abx_objc_lookup_or_forward_stret
    movq %rax, %r11
    RESTORE_ARGUMENTS
    jmpq *%r11
END objc_msgSendSuper2_stret

/* The method of an object that has none for this selector: sends it to another, raises, or finds the
 * answer in the frame, where an invocation left it. */
FUNCTION _objc_msgForward
    SAVE_ARGUMENTS
    movq %rsp, %rdx
    call abx_objc_forwarding_target
    testq %rax, %rax
    je 5f
    movq %rax, %r11
    .cfi_remember_state
    RESTORE_ARGUMENTS
    movq %r11, %rdi
    jmp objc_msgSend
5:  .cfi_restore_state
    movq 0x30(%rsp), %rax
    movq 0x10(%rsp), %rdx
    movaps 0x40(%rsp), %xmm0
    leave
    .cfi_def_cfa %rsp, 8
    .cfi_restore %rbp
    ret
END _objc_msgForward

FUNCTION _objc_msgForward_stret
    SAVE_ARGUMENTS
    movq %rsi, %rdi
    movq %rdx, %rsi
    xorl %edx, %edx             /* no invocation returns a structure in memory */
    call abx_objc_forwarding_target
    movq %rax, %r11
    RESTORE_ARGUMENTS
    movq %r11, %rsi
    jmp objc_msgSend_stret
END _objc_msgForward_stret

    .section .note.GNU-stack, "", @progbits
