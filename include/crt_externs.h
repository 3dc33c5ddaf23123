/* <crt_externs.h>: what a Mac's libraries, which main() tells nothing, ask of the program's start. */
#ifndef _CRT_EXTERNS_H_
#define _CRT_EXTERNS_H_

#ifdef __cplusplus
extern "C" {
#endif
/* The arguments as the program got them: a copy, the same one for each caller. */
extern char ***_NSGetArgv(void);
extern int *_NSGetArgc(void);
extern char ***_NSGetEnviron(void);
/* The program's name without its folder. */
extern char **_NSGetProgname(void);
#ifdef __cplusplus
}
#endif

#endif
