/* MetalKit for programs that include it and compute: views, meshes and texture loaders are not there. */
#ifndef METALKIT_H_
#define METALKIT_H_
#import <Metal/Metal.h>
#endif
