/* cli: what a file is that was to be run, and why it cannot be, in words. Linked into arcbox-init
 * too, which has nothing else of ours. */
#ifndef ABX_CLI_PROGRAM_H
#define ABX_CLI_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>

#define ABX_PROGRAM_HEAD 4096u /* bytes of a file that are looked at */

/* True, with a text that follows the file's name, when no Linux on this processor can run it: a
 * program of macOS, of another processor. */
bool abx_program_is_foreign(const void *head, size_t length, char *ret_text, size_t capacity);

/* The loader of a program or a script's interpreter, as the file names it; false when it has none.
 */
bool abx_program_loader(const void *head, size_t length, char *ret_path, size_t capacity);

#endif
