// wants: library header '/etc/passwd' not found
#pragma clang module build x
module x { header "/etc/passwd" }
#pragma clang module contents
#pragma clang module begin x
int y;
#pragma clang module end
#pragma clang module endbuild
#pragma clang module load x
kernel void k(device int *x [[buffer(0)]]) { x[0] = 1; }
