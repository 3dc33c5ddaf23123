#ifndef _OBJC_OBJC_API_H_
#define _OBJC_OBJC_API_H_
#include <objc/objc.h>
#include <objc/runtime.h>
#endif
