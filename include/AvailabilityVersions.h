#ifndef __AVAILABILITY_VERSIONS__
#define __AVAILABILITY_VERSIONS__
#include <Availability.h>
#endif
