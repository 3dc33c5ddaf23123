#ifndef IOSURFACEREF_H_
#define IOSURFACEREF_H_
/* Declared for the signatures that name it; nothing makes one. */
typedef struct __IOSurface *IOSurfaceRef;
#endif
