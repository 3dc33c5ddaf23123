// wants: pipeline environ
extern "C" char **environ;
kernel void k(device int *x [[buffer(0)]]) { x[0] = environ[0][0]; }
