/* QuartzCore for programs that include it and compute: layers are declared, and are never there. */
#ifndef QUARTZCORE_H_
#define QUARTZCORE_H_
#include <QuartzCore/CABase.h>
#import <QuartzCore/CAMetalLayer.h>
#endif
