// <simd/simd.h>: the names under which headers shared with the host know Metal's vectors.
#pragma GCC system_header
namespace simd
{
using namespace metal; // its functions too: simd::dot
}
#define __MSL_SIMD_NAMES(T)                                                                        \
    typedef metal::vec<T, 2> vector_##T##2, simd_##T##2;                                           \
    typedef metal::vec<T, 3> vector_##T##3, simd_##T##3;                                           \
    typedef metal::vec<T, 4> vector_##T##4, simd_##T##4;                                           \
    typedef metal::packed_vec<T, 2> simd_packed_##T##2;                                            \
    typedef metal::packed_vec<T, 4> simd_packed_##T##4;                                            \
    namespace simd                                                                                 \
    {                                                                                              \
    using metal::T##2;                                                                             \
    using metal::T##3;                                                                             \
    using metal::T##4;                                                                             \
    using metal::packed_##T##2;                                                                    \
    using metal::packed_##T##4;                                                                    \
    }
__MSL_FOR_NUMBERS(__MSL_SIMD_NAMES)

#define __MSL_SIMD_MATRIX(T, C, R)                                                                 \
    typedef metal::T##C##x##R matrix_##T##C##x##R, simd_##T##C##x##R;                              \
    namespace simd                                                                                 \
    {                                                                                              \
    using metal::T##C##x##R;                                                                       \
    }
#define __MSL_SIMD_MATRICES(T)                                                                     \
    __MSL_SIMD_MATRIX(T, 2, 2)                                                                     \
    __MSL_SIMD_MATRIX(T, 2, 3)                                                                     \
    __MSL_SIMD_MATRIX(T, 2, 4)                                                                     \
    __MSL_SIMD_MATRIX(T, 3, 2)                                                                     \
    __MSL_SIMD_MATRIX(T, 3, 3)                                                                     \
    __MSL_SIMD_MATRIX(T, 3, 4)                                                                     \
    __MSL_SIMD_MATRIX(T, 4, 2)                                                                     \
    __MSL_SIMD_MATRIX(T, 4, 3)                                                                     \
    __MSL_SIMD_MATRIX(T, 4, 4)
__MSL_SIMD_MATRICES(float)
__MSL_SIMD_MATRICES(half)
