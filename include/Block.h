/* Copying and releasing blocks. */
#ifndef _BLOCK_H_
#define _BLOCK_H_
#ifdef __cplusplus
extern "C" {
#endif
extern void *_Block_copy(const void *block);
extern void _Block_release(const void *block);
extern void _Block_object_assign(void *to, const void *from, const int kind);
extern void _Block_object_dispose(const void *object, const int kind);
#ifdef __cplusplus
}
#endif
#define Block_copy(...) ((__typeof(__VA_ARGS__))_Block_copy((const void *)(__VA_ARGS__)))
#define Block_release(...) _Block_release((const void *)(__VA_ARGS__))
#endif
