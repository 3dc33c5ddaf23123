/* foundation: NSLog. Guest's process; trusts it. */
#include "foundation/foundation_internal.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

OBJC_EXPORT void NSLogv(id format, va_list arguments);
void NSLogv(id format, va_list arguments)
{
    struct timespec now;
    struct tm parts;
    char date[32];
    id text = abx_ns_string_vprintf(format, arguments);
    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &parts);
    strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &parts);
    fprintf(stderr, "%s.%03ld %s[%d:%d] %s\n", date, now.tv_nsec / 1000000,
            program_invocation_short_name, getpid(), gettid(), abx_ns_string_utf8(text));
    objc_release(text);
}

OBJC_EXPORT void NSLog(id format, ...);
void NSLog(id format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    NSLogv(format, arguments);
    va_end(arguments);
}
