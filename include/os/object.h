#ifndef __OS_OBJECT__
#define __OS_OBJECT__
#include <dispatch/dispatch.h>
#endif
