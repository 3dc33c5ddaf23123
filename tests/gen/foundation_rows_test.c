/* api/foundation.tsv says which Foundation selectors the guest answers: this asks the runtime.
 *     foundation_rows_test api/clients.tsv api/foundation.tsv
 * What is listed and absent fails; what is there and not listed is printed, for the list to
 * follow. */
#include "foundation/foundation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct row {
    char class[64], selector[128];
};

static unsigned failures;

static bool answers(const char *name, const char *selector)
{
    Class cls = objc_getClass(name);
    SEL sel = sel_registerName(selector);

    /* Headers declare some selectors in categories of NSObject that only strings answer. */
    if (!strcmp(name, "NSObject") && !strncmp(selector, "string", 6))
        cls = objc_getClass("NSString");
    if (!strcmp(name, "NSLocking"))
        cls = objc_getClass("NSLock");
    return cls && (class_getInstanceMethod(cls, sel) || class_getClassMethod(cls, sel));
}

static bool listed(const char *path, const struct row *wanted)
{
    FILE *f = fopen(path, "re");
    char line[512];
    struct row row;
    bool found = false;

    if (!f)
        return false;
    while (!found && fgets(line, sizeof line, f))
        found = sscanf(line, "%63s %127s", row.class, row.selector) == 2 &&
                !strcmp(row.class, wanted->class) && !strcmp(row.selector, wanted->selector);
    fclose(f);
    return found;
}

int main(int argc, char **argv)
{
    FILE *f = argc == 3 ? fopen(argv[1], "re") : NULL;
    char line[512], framework[64];
    unsigned rows = 0;
    struct row row;

    if (!f)
        return 2;
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "%63s %63s %127s", framework, row.class, row.selector) != 3 ||
                strcmp(framework, "Foundation"))
            continue;
        rows++;
        bool here = answers(row.class, row.selector), said = listed(argv[2], &row);

        if (here && !said)
            printf("not listed: %s\t%s\n", row.class, row.selector);
        if (said && !here) {
            printf("listed, but not there: %s\t%s\n", row.class, row.selector);
            failures++;
        }
    }
    fclose(f);
    return failures != 0 || !rows;
}
