#ifndef _OBJC_SYNC_H
#define _OBJC_SYNC_H
#include <objc/objc.h>
OBJC_EXPORT int objc_sync_enter(id obj);
OBJC_EXPORT int objc_sync_exit(id obj);
enum {
    OBJC_SYNC_SUCCESS = 0,
    OBJC_SYNC_NOT_OWNING_THREAD_ERROR = -1,
};
#endif
