/* foundation: what @available asks. Guest's process; trusts it. */
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "foundation_version.h"

/* The version that stands for `platform` in the list, NULL: none. */
static const char *version_for(const char *list, const char *platform)
{
    size_t length = strlen(platform);
    while (*list) {
        list += strspn(list, " ,");
        if (strncmp(list, platform, length) == 0 && list[length] == ' ')
            return list + length;
        list += strcspn(list, ",");
    }
    return NULL;
}

/* list: the arguments of @available, as they stand: "macOS 15.4, iOS 18, *". True where macOS is
 * not named: then * counts. */
ABX_EXPORT _Bool abx_is_available(const char *list);
ABX_EXPORT _Bool abx_is_available(const char *list)
{
    static const unsigned long system[] = {ABX_OS_MAJOR, ABX_OS_MINOR, ABX_OS_PATCH};
    static const char *const names[] = {"macOS", "macos", "macosx", "macOSApplicationExtension"};
    const char *version = NULL;
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(names) && !version; i++)
        version = version_for(list, names[i]);
    for (unsigned i = 0; version && i < ABX_ARRAY_SIZE(system); i++) {
        char *end;
        unsigned long asked = strtoul(version, &end, 10);
        if (asked != system[i])
            return asked < system[i];
        version = *end == '.' || *end == '_' ? end + 1 : NULL;
    }
    return 1;
}
