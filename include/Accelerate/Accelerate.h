/* What programs with Metal use of Accelerate beside it: BLAS and LAPACK, which -framework
 * Accelerate takes from OpenBLAS, and functions of vectors. Images, neural networks and sparse
 * matrices are not there. */
#ifndef ABX_ACCELERATE_H
#define ABX_ACCELERATE_H
#include <Accelerate/cblas.h>
#include <Accelerate/clapack.h>
#include <Accelerate/vDSP.h>
#include <Accelerate/vForce.h>
#endif
