/* foundation: NSProcessInfo. Guest's process; trusts it. */
#include "foundation_version.h"
#include "foundation/foundation_internal.h"
#include "crt_externs.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <sys/sysinfo.h>
#include <unistd.h>

ABX_OBJC_CLASS(NSProcessInfo)

extern char **environ;

/* The macOS version this library's interface is of. */
enum { OS_MAJOR = ABX_OS_MAJOR, OS_MINOR = ABX_OS_MINOR, OS_PATCH = ABX_OS_PATCH };
struct os_version {
    NSInteger major, minor, patch;
};
#define OS_VERSION "{?=qqq}"

static id process_info;

static id shared_process_info(id cls, SEL cmd)
{
    return process_info;
}

static id process_environment(id self, SEL cmd)
{
    id result = abx_ns_mutable_dictionary();
    for (char **e = environ; e && *e; e++) {
        const char *equals = strchr(*e, '=');
        if (equals)
            abx_ns_dictionary_set(result, abx_ns_string_bytes(*e, (size_t)(equals - *e)),
                    abx_ns_string(equals + 1));
    }
    return result;
}

static id process_arguments(id self, SEL cmd)
{
    id result = abx_ns_mutable_array();
    for (char **argument = *_NSGetArgv(); *argument; argument++)
        abx_ns_array_add(result, abx_ns_string(*argument));
    return result;
}

static id process_name(id self, SEL cmd)
{
    return abx_ns_string(program_invocation_short_name);
}

static int process_identifier(id self, SEL cmd)
{
    return getpid();
}

static id host_name(id self, SEL cmd)
{
    char name[HOST_NAME_MAX + 1] = "localhost";
    gethostname(name, sizeof(name) - 1);
    return abx_ns_string(name);
}

static id unique_string(id self, SEL cmd)
{
    static unsigned counter;
    return abx_ns_string_printf("%d-%lx-%u", getpid(), (unsigned long)abx_now_ns(),
            __atomic_fetch_add(&counter, 1, __ATOMIC_RELAXED));
}

static id os_version_string(id self, SEL cmd)
{
    return abx_ns_string("Version " ABX_OS_VERSION " (Build " ABX_OS_BUILD ")");
}

static struct os_version os_version(id self, SEL cmd)
{
    return (struct os_version){OS_MAJOR, OS_MINOR, OS_PATCH};
}

static abx_objc_bool os_at_least(id self, SEL cmd, struct os_version v)
{
    if (v.major != OS_MAJOR)
        return v.major < OS_MAJOR;
    if (v.minor != OS_MINOR)
        return v.minor < OS_MINOR;
    return v.patch <= OS_PATCH;
}

static NSUInteger processor_count(id self, SEL cmd)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof(set), &set) == 0 ? (NSUInteger)CPU_COUNT(&set) : 1;
}

static unsigned long long physical_memory(id self, SEL cmd)
{
    struct sysinfo info;
    return sysinfo(&info) == 0 ? (unsigned long long)info.totalram * info.mem_unit : 0;
}

static double uptime(id self, SEL cmd)
{
    return (double)abx_now_ns() / 1e9;
}

static NSInteger thermal_state(id self, SEL cmd)
{
    return 0;
}

static abx_objc_bool no(id self, SEL cmd)
{
    return 0;
}

static id begin_activity(id self, SEL cmd, uint64_t options, id reason)
{
    return objc_autorelease(class_createInstance(ABX_CLASS(NSObject), 0));
}

static void end_activity(id self, SEL cmd, id activity) {}

static const struct abx_objc_method process_methods[] = {
        METHOD("environment", "@@:", process_environment),
        METHOD("arguments", "@@:", process_arguments),
        METHOD("processName", "@@:", process_name),
        METHOD("processIdentifier", "i@:", process_identifier),
        METHOD("hostName", "@@:", host_name),
        METHOD("globallyUniqueString", "@@:", unique_string),
        METHOD("operatingSystemVersionString", "@@:", os_version_string),
        METHOD("operatingSystemVersion", OS_VERSION "@:", os_version),
        METHOD("isOperatingSystemAtLeastVersion:", "B@:" OS_VERSION, os_at_least),
        METHOD("processorCount", "Q@:", processor_count),
        METHOD("activeProcessorCount", "Q@:", processor_count),
        METHOD("physicalMemory", "Q@:", physical_memory),
        METHOD("systemUptime", "d@:", uptime),
        METHOD("thermalState", "q@:", thermal_state),
        METHOD("isLowPowerModeEnabled", "B@:", no),
        METHOD("isMacCatalystApp", "B@:", no),
        METHOD("isiOSAppOnMac", "B@:", no),
        METHOD("beginActivityWithOptions:reason:", "@@:Q@", begin_activity),
        METHOD("endActivity:", "v@:@", end_activity),
        {NULL},
};
static const struct abx_objc_method process_class_methods[] = {
        METHOD("processInfo", "@@:", shared_process_info),
        {NULL},
};

__attribute__((constructor(102))) static void define(void)
{
    DEFINE(NSProcessInfo, NSObject, Class, process_methods, process_class_methods);
    process_info = class_createInstance(ABX_CLASS(NSProcessInfo), 0);
}
