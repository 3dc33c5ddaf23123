/* metal: #include of files in a library's source. Apple's compiler reads what a program names by
 * its whole path; ours sees no file of anybody's. So the host says which file it lacks, and here,
 * with the rights of the program whose text names it, the file takes the place of its directive. */
#ifndef ABX_METAL_INCLUDE_H
#define ABX_METAL_INCLUDE_H

#include "base/base.h"

/* `complaint`: what the compiler said of `text`, which may be an abx_string that this made before.
 * True when a file that it lacks was found: *ret_text, the caller's to finish, has it. The file's
 * name is absolute, or quoted in a file that has such a name, and then beside that one; it is a
 * regular file. */
bool abx_metal_include(
        const char *text, size_t bytes, const char *complaint, struct abx_string *ret_text);

#endif
