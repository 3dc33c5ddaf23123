#ifndef CGCOLORSPACE_H_
#define CGCOLORSPACE_H_
/* Declared for the signatures that name it; nothing makes one. */
typedef struct CGColorSpace *CGColorSpaceRef;
#endif
