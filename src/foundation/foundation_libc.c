/* foundation: what macOS's C library has and glibc has not, or has since 2.38. Guest's process. */
#include "foundation/foundation_internal.h"
#include "crt_externs.h"
#include "mach-o/dyld.h"
#include "malloc/malloc.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdarg.h>
#include <unistd.h>

/* What a Mac's libraries export is found from anywhere: Python's CDLL(None) and dlsym(RTLD_DEFAULT)
 * find sysctlbyname and objc_msgSend, however the library that needs this one was loaded. */
__attribute__((constructor(101))) static void be_found(void)
{
    Dl_info own;
    if (dladdr((void *)(uintptr_t)be_found, &own) && own.dli_fname)
        dlopen(own.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_GLOBAL);
}

/* glibc's own where it has them: a program that was linked here runs on both. */
ABX_EXPORT size_t strlcpy(char *to, const char *from, size_t size);
ABX_EXPORT size_t strlcat(char *to, const char *from, size_t size);

size_t strlcpy(char *to, const char *from, size_t size)
{
    size_t length = strlen(from);
    if (size) {
        size_t part = length < size ? length : size - 1;
        memcpy(to, from, part);
        to[part] = 0;
    }
    return length;
}

size_t strlcat(char *to, const char *from, size_t size)
{
    size_t used = strnlen(to, size);
    return used + strlcpy(to + used, from, size - used);
}

ABX_EXPORT char *strnstr(const char *text, const char *part, size_t length)
{
    return memmem(text, strnlen(text, length), part, strlen(part));
}

/* macOS's qsort_r (include/stdlib.h). */
struct bsd_order {
    void *context;
    int (*compare)(void *context, const void *a, const void *b);
};

static int in_bsd_order(const void *a, const void *b, void *order)
{
    const struct bsd_order *o = order;
    return o->compare(o->context, a, b);
}

ABX_EXPORT void arcbox_bsd_qsort_r(void *base, size_t count, size_t size, void *context,
        int (*compare)(void *context, const void *a, const void *b));
void arcbox_bsd_qsort_r(void *base, size_t count, size_t size, void *context,
        int (*compare)(void *context, const void *a, const void *b))
{
    qsort_r(base, count, size, in_bsd_order, &(struct bsd_order){context, compare});
}

/* macOS's fcntl() (include/fcntl.h): its own commands, and the others as they are. */
enum { MAC_RDADVISE = 44, MAC_RDAHEAD = 45, MAC_NOCACHE = 48, MAC_FULLFSYNC = 51 };

struct mac_radvisory {
    int64_t offset;
    int bytes;
};

static int advise(int file, int64_t offset, int64_t bytes, int advice)
{
    int error = posix_fadvise(file, offset, bytes, advice);
    if (error)
        errno = error;
    return error ? -1 : 0;
}

ABX_EXPORT int arcbox_fcntl(int file, int command, ...);
int arcbox_fcntl(int file, int command, ...)
{
    va_list list;
    va_start(list, command);
    void *argument = va_arg(list, void *); /* as glibc does: an int is in the lower half of it */
    va_end(list);
    switch (command) {
    case MAC_RDADVISE: {
        const struct mac_radvisory *what = argument;
        return advise(file, what->offset, what->bytes, POSIX_FADV_WILLNEED);
    }
    case MAC_RDAHEAD:
        return advise(file, 0, 0, (int)(intptr_t)argument ? POSIX_FADV_NORMAL : POSIX_FADV_RANDOM);
    case MAC_NOCACHE:
        return fcntl(file, F_GETFD) < 0 ? -1 : 0;
    case MAC_FULLFSYNC:
        return fsync(file);
    default:
        return fcntl(file, command, argument);
    }
}

static void memset_pattern(void *to, const void *pattern, size_t period, size_t length)
{
    for (size_t at = 0; at < length; at += period)
        memcpy((char *)to + at, pattern, length - at < period ? length - at : period);
}

ABX_EXPORT void memset_pattern4(void *to, const void *pattern, size_t length)
{
    memset_pattern(to, pattern, 4, length);
}

ABX_EXPORT void memset_pattern8(void *to, const void *pattern, size_t length)
{
    memset_pattern(to, pattern, 8, length);
}

ABX_EXPORT void memset_pattern16(void *to, const void *pattern, size_t length)
{
    memset_pattern(to, pattern, 16, length);
}

ABX_EXPORT int _NSGetExecutablePath(char *path, uint32_t *size)
{
    char own[4096];
    ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
    if (length < 0)
        return -1;
    own[length] = 0;
    if ((size_t)length >= *size) {
        *size = (uint32_t)length + 1;
        return -1;
    }
    memcpy(path, own, (size_t)length + 1);
    return 0;
}

/* ---- the program's start (crt_externs.h) */

static struct {
    pthread_once_t once;
    int count;
    char **list; /* NULL after the last */
} arguments = {.once = PTHREAD_ONCE_INIT};

static void read_arguments(void)
{
    static char *none[1];
    void *text;
    size_t length;
    arguments.list = none;
    if (abx_read_file("/proc/self/cmdline", 1 << 22, &text, &length) < 0)
        return;
    size_t count = 0;
    for (const char *p = text; p < (char *)text + length; p += strlen(p) + 1)
        count++;
    char **list = calloc(count + 1, sizeof *list);
    if (!list) {
        free(text);
        return;
    }
    char *p = text; /* kept */
    for (size_t i = 0; i < count; i++, p += strlen(p) + 1)
        list[i] = p;
    arguments.list = list;
    arguments.count = (int)count;
}

ABX_EXPORT char ***_NSGetArgv(void)
{
    pthread_once(&arguments.once, read_arguments);
    return &arguments.list;
}

ABX_EXPORT int *_NSGetArgc(void)
{
    pthread_once(&arguments.once, read_arguments);
    return &arguments.count;
}

ABX_EXPORT char ***_NSGetEnviron(void)
{
    return &environ;
}

ABX_EXPORT char **_NSGetProgname(void)
{
    return &program_invocation_short_name;
}

ABX_EXPORT size_t malloc_size(const void *memory)
{
    return malloc_usable_size((void *)(uintptr_t)memory);
}

ABX_EXPORT size_t malloc_good_size(size_t size)
{
    return size <= 24 ? 24 : ((size + 8 + 15) & ~(size_t)15) - 8;
}
