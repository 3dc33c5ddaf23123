/* metal: selectors that Metal declares and ArcBox does not have yet. Runs in the guest's process.
 *
 * respondsToSelector: is NO for them. An object that is sent one all the same answers nil or 0, as
 * Metal does for what a device cannot do, and says so once: in the NSError where the method has
 * one, else on stderr. Nothing of it exists until the first such message. */
#ifndef ABX_METAL_ABSENT_H
#define ABX_METAL_ABSENT_H

#include "metal/metal_internal.h"

/* By class (as src/metal names it): what instances and the class itself are sent; tables or NULL.
 */
struct abx_metal_absent {
    const char *name;
    const struct abx_objc_method *instance, *class_side;
};
extern const struct abx_metal_absent abx_metal_absents[]; /* absent_gen.c; ended by {NULL} */

/* The NSError (autoreleased) that names the call. */
id abx_metal_absent_error(const char *what);
/* A line, the first time; and *error, when error is not NULL. */
void abx_metal_absent_say(const char *what, _Atomic bool *said, id *error);

#endif
