/* tests/backend: a stand-in for NVIDIA's driver library (fake_cuda.c), and what tests ask of it.
 * The functions are found by name in the library that the backend has loaded. */
#ifndef TESTS_BACKEND_FAKE_CUDA_H
#define TESTS_BACKEND_FAKE_CUDA_H

/* The `call`-th call from now on (1: the next) returns `code` and does nothing; 0: none. Codes that
 * spoil a context spoil it. */
typedef void fake_cuda_fail(unsigned call, int code);
/* Calls since then; the name of the one that failed, or NULL. */
typedef unsigned fake_cuda_calls(const char **ret_failed);
/* Launches of kernels, and what is left of them: work runs `delay_us` at most after it may. */
typedef unsigned fake_cuda_launches(unsigned delay_us);
/* Launches of whole graphs since the last call. And, fake_waves: how many groups of kernels that
 * run side by side follow each other in the graph that was made last; fake_early: how many of its
 * kernels come before the one that they wait for is over. */
typedef unsigned fake_cuda_graphs(void);
/* The `on`-th kernel from now on, and those behind it, do not end until it is called with 0. */
typedef void fake_cuda_hang(int on);
/* The driver is one that does not take cubins, with this error; 0, as at first: it takes them.
 * $FAKE_CUDA_REFUSES says the same in a process that nobody calls this in. */
typedef void fake_cuda_refuse(int code);
/* How many modules were made since the last call, of cubins and of PTX. With $FAKE_CUDA_SAYS what
 * each function is of goes to standard error, too. */
struct fake_modules {
    unsigned cubins, texts;
};
typedef struct fake_modules fake_cuda_modules(void);
/* A kernel whose PTX has these words does something: it copies four bytes from its second buffer to
 * its first. */
#define FAKE_COPIES "//copies"
/* What has not been given back, in words; "" when nothing is. */
typedef const char *fake_cuda_left(void);

/* Devices; one of them is too old. Of which the context is that was made last. */
#define FAKE_DEVICES 3
#define FAKE_TOO_OLD 1
typedef int fake_cuda_device(void);

#endif
