#ifndef _MALLOC_MALLOC_H_
#define _MALLOC_MALLOC_H_

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif
extern size_t malloc_size(const void *memory);
extern size_t malloc_good_size(size_t size);
#ifdef __cplusplus
}
#endif

#endif
