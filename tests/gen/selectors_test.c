/* What api/ says works is there, in the class behind each protocol, and what it says does not is
 * not: a program that asks respondsToSelector: gets the truth. selectors_test status.txt (lines of
 * class, kind, sign, selector, status) */
#include "objc/objc_internal.h"

#include <stdio.h>
#include <string.h>

/* src/metal keeps the methods of protocol P in a class _P; a protocol without one has no objects.
 */
static Class class_of(const char *name, const char *kind)
{
    char hidden[80];

    if (strcmp(kind, "protocol"))
        return objc_getClass(name);
    snprintf(hidden, sizeof hidden, "_%s", name);
    return objc_getClass(hidden);
}

int main(int argc, char **argv)
{
    FILE *f = argc == 2 ? fopen(argv[1], "re") : NULL;
    char line[512], name[64], kind[16], sign[2], selector[256], status[16];
    unsigned rows = 0, failures = 0;

    if (!f)
        return 2;
    while (fgets(line, sizeof line, f)) {
        Class cls;
        SEL sel;
        bool here, works;

        if (sscanf(line, "%63s %15s %1s %255s %15s", name, kind, sign, selector, status) != 5)
            return 2;
        rows++;
        cls = class_of(name, kind);
        sel = sel_registerName(selector);
        here = cls &&
               (*sign == '+' ? class_getClassMethod(cls, sel) : class_getInstanceMethod(cls, sel));
        works = strcmp(status, "no") != 0;
        /* Descriptors keep also what nobody reads yet: those may be there. */
        if (works ? !here : here && !strcmp(kind, "protocol")) {
            printf("%s[%s %s] is %s, but %s\n", sign, name, selector,
                    works ? "to work" : "not to work", here ? "there" : "not there");
            failures++;
        }
    }
    fclose(f);
    printf("%u selectors, %u wrong\n", rows, failures);
    return failures || rows < 500;
}
