// wants: runs
#pragma clang __debug llvm_fatal_error
#pragma clang __debug llvm_unreachable
#pragma clang __debug assert
#pragma clang __debug overflow_stack
#pragma clang __debug captured
kernel void k(device int *x [[buffer(0)]]) { x[0] = 1; }
