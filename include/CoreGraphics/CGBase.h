#ifndef CGBASE_H_
#define CGBASE_H_
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
typedef double CGFloat;
#define CGFLOAT_DEFINED 1
#define CGFLOAT_IS_DOUBLE 1
#endif
