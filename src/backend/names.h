/* backend: of those in list.c, the ones that others speak of, each by its role. */
#ifndef ABX_BACKEND_NAMES_H
#define ABX_BACKEND_NAMES_H

#define ABX_BACKEND_PROCESSOR "cpu"  /* this computer's processor; always there */
#define ABX_BACKEND_DRIVER "cuda"    /* a GPU whose driver can be measured alone, beside it */
#define ABX_BACKEND_SIMULATED "null" /* executes nothing: what is left is the bridge */

#endif
