// wants: 2:19 program scope variable must reside in constant address space
extern "C" char **environ;
kernel void k(device int *x [[buffer(0)]]) { x[0] = environ[0][0]; }
