// wants: runs
#pragma comment(lib, "c")
#pragma comment(linker, "/x")
#pragma comment(compiler)
#pragma detect_mismatch("a", "b")
#pragma GCC pch_preprocess "/etc/passwd"
#pragma push_macro("kernel")
#pragma pop_macro("kernel")
#pragma redefine_extname k system
#pragma weak system
#pragma weak k = system
#pragma pack(push, 1)
#pragma clang section text="evil" data="evil" bss="evil"
#pragma clang attribute push(__attribute__((annotate("x"))), apply_to = function)
#pragma clang attribute pop
#pragma GCC visibility push(default)
#pragma STDC FENV_ACCESS ON
#pragma clang optimize off
#pragma include_alias("a", "/etc/passwd")
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Weverything"
#pragma omp parallel
#pragma code_seg("evil")
#pragma init_seg(lib)
#pragma intrinsic(memset)
#pragma ms_struct on
#pragma clang max_tokens_total 1
#pragma region
kernel void k(device int *x [[buffer(0)]]) { x[0] = 1; }
