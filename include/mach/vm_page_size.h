#include <limits.h> /* as on a Mac */
#include <mach/mach.h>
