/* tests/backend: see discrete.c. */
#ifndef TESTS_BACKEND_DISCRETE_H
#define TESTS_BACKEND_DISCRETE_H

#include "backend/backend.h"

/* The same device; kernels see memory where the guest wants it, and elsewhere. */
extern const struct abx_backend discrete_backend, elsewhere_backend;

/* A fill of so many bytes with this value loses the device. */
#define DISCRETE_LOSE_BYTES 57005u
#define DISCRETE_LOSE_VALUE 0xddu

#endif
