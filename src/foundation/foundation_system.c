/* foundation: NSProcessInfo, NSBundle, NSUserDefaults, NSLog, and names of classes, selectors and
 * folders. Guest's process; trusts it. */
#include "foundation_version.h"
#include "foundation/foundation_internal.h"

#include <limits.h>
#include <pwd.h>
#include <sched.h>
#include <stdio.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

ABX_OBJC_CLASS(NSProcessInfo)
ABX_OBJC_CLASS(NSBundle)
ABX_OBJC_CLASS(NSUserDefaults)

extern char **environ;

/* ---- NSProcessInfo */

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
    void *text;
    size_t length;
    if (abx_read_file("/proc/self/cmdline", 1 << 22, &text, &length) < 0)
        return result;
    for (const char *p = text; p < (char *)text + length; p += strlen(p) + 1)
        abx_ns_array_add(result, abx_ns_string(p));
    free(text);
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

/* ---- NSBundle: the folder of the program, or of the library a class comes from */

struct ns_bundle {
    Class isa;
    id path, executable;
};

static struct ns_bundle *bundle_of(id self)
{
    return (struct ns_bundle *)self;
}

static id bundle_for_executable(const char *file)
{
    id object = class_createInstance(ABX_CLASS(NSBundle), 0);
    id executable = abx_ns_string(file);
    bundle_of(object)->executable = objc_retain(executable);
    bundle_of(object)->path =
            objc_retain(ABX_MSG(id, (id, SEL), executable, "stringByDeletingLastPathComponent"));
    return object;
}

static id main_bundle(id cls, SEL cmd)
{
    static id bundle;
    id known = __atomic_load_n(&bundle, __ATOMIC_ACQUIRE);
    if (known)
        return known;
    char file[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", file, sizeof(file) - 1);
    file[length > 0 ? length : 0] = '\0';
    id made = bundle_for_executable(length > 0 ? file : "/");
    if (!__atomic_compare_exchange_n(
                &bundle, &known, made, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return known;
    return made;
}

static id bundle_for_class(id self, SEL cmd, Class cls)
{
    const char *image = class_getImageName(cls);
    char real[PATH_MAX];
    if (!image || !realpath(image, real))
        return main_bundle(self, cmd);
    id of_main = bundle_of(main_bundle(self, cmd))->executable;
    if (strcmp(real, abx_ns_string_utf8(of_main)) == 0)
        return main_bundle(self, cmd);
    return objc_autorelease(bundle_for_executable(real));
}

static id bundle_init_path(id self, SEL cmd, id path)
{
    const char *folder = abx_ns_string_utf8(path);
    if (!folder || access(folder, X_OK) != 0) {
        objc_release(self);
        return nil;
    }
    bundle_of(self)->path = abx_ns_copy(path);
    return self;
}

static id bundle_with_path(id cls, SEL cmd, id path)
{
    return objc_autorelease(bundle_init_path(class_createInstance((Class)cls, 0), cmd, path));
}

static id bundle_with_url(id cls, SEL cmd, id url)
{
    return bundle_with_path(cls, cmd, abx_ns_string(abx_ns_url_path(url)));
}

static id bundle_with_identifier(id cls, SEL cmd, id identifier)
{
    return nil; /* bundles here have no identifiers */
}

static id bundle_path(id self, SEL cmd)
{
    return bundle_of(self)->path;
}

static id bundle_executable(id self, SEL cmd)
{
    return bundle_of(self)->executable;
}

static id url_of(id path, bool directory)
{
    return path ? ABX_MSG(id, (id, SEL, id, BOOL), (id)ABX_CLASS(NSURL),
                          "fileURLWithPath:isDirectory:", path, (BOOL)directory)
                : nil;
}

static id bundle_url(id self, SEL cmd)
{
    return url_of(bundle_of(self)->path, true);
}

static id bundle_executable_url(id self, SEL cmd)
{
    return url_of(bundle_of(self)->executable, false);
}

/* Resources lie beside the executable or in its Resources folder. */
static id resource_path(id self, SEL cmd)
{
    id folder = abx_ns_string_printf("%s/Resources", abx_ns_string_utf8(bundle_of(self)->path));
    return access(abx_ns_string_utf8(folder), X_OK) == 0 ? folder : bundle_of(self)->path;
}

static id resource_url(id self, SEL cmd)
{
    return url_of(resource_path(self, cmd), true);
}

static id path_in(id self, SEL cmd, id name, id extension, id folder)
{
    const char *bases[] = {abx_ns_string_utf8(resource_path(self, cmd)),
            abx_ns_string_utf8(bundle_of(self)->path)};
    const char *type = abx_ns_string_utf8(extension), *inside = abx_ns_string_utf8(folder);
    for (size_t i = 0; name && i < ABX_ARRAY_SIZE(bases); i++) {
        id path = abx_ns_string_printf("%s%s%s/%s%s%s", bases[i], inside ? "/" : "",
                inside ? inside : "", abx_ns_string_utf8(name), type && *type ? "." : "",
                type ? type : "");
        if (access(abx_ns_string_utf8(path), F_OK) == 0)
            return path;
    }
    return nil;
}

static id path_for(id self, SEL cmd, id name, id extension)
{
    return path_in(self, cmd, name, extension, nil);
}

static id url_for(id self, SEL cmd, id name, id extension)
{
    return url_of(path_in(self, cmd, name, extension, nil), false);
}

static id url_in(id self, SEL cmd, id name, id extension, id folder)
{
    return url_of(path_in(self, cmd, name, extension, folder), false);
}

/* The program's own: there are no others. */
static id all_bundles(id cls, SEL cmd)
{
    id main = ABX_MSG(id, (id, SEL), (id)ABX_CLASS(NSBundle), "mainBundle");
    return abx_ns_array(&main, 1);
}

static id no_frameworks(id cls, SEL cmd)
{
    return abx_ns_array(NULL, 0);
}

/* Strings are in the language that they are written in. */
static id localized_string(id self, SEL cmd, id key, id value, id table)
{
    return value && abx_ns_string_bytes_count(value) ? value : key;
}

static abx_objc_bool load_bundle(id self, SEL cmd)
{
    return 1; /* what it has is linked */
}

static abx_objc_bool load_bundle_error(id self, SEL cmd, id *error)
{
    return 1;
}

static id bundle_nothing(id self, SEL cmd)
{
    return nil;
}

static id bundle_no_info(id self, SEL cmd)
{
    return abx_ns_dictionary(NULL, NULL, 0);
}

static id bundle_no_key(id self, SEL cmd, id key)
{
    return nil;
}

static void bundle_dealloc(id self, SEL cmd)
{
    objc_release(bundle_of(self)->path);
    objc_release(bundle_of(self)->executable);
    abx_objc_dealloc_super(self, ABX_CLASS(NSBundle));
}

/* ---- NSUserDefaults: what the process itself set; nothing is stored on disk */

static id defaults_object;
static struct {
    pthread_mutex_t mutex;
    id set, registered;
} defaults = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static id shared_defaults(id cls, SEL cmd)
{
    return defaults_object;
}

static id default_object(id self, SEL cmd, id key)
{
    pthread_mutex_lock(&defaults.mutex);
    id value = abx_ns_dictionary_get(defaults.set, key);
    value = objc_retain(value ? value : abx_ns_dictionary_get(defaults.registered, key));
    pthread_mutex_unlock(&defaults.mutex);
    return objc_autorelease(value);
}

static void set_default(id self, SEL cmd, id value, id key)
{
    pthread_mutex_lock(&defaults.mutex);
    if (!defaults.set)
        defaults.set = objc_retain(abx_ns_mutable_dictionary());
    ABX_MSG(void, (id, SEL, id, id), defaults.set, "setObject:forKeyedSubscript:", value, key);
    pthread_mutex_unlock(&defaults.mutex);
}

static void remove_default(id self, SEL cmd, id key)
{
    set_default(self, cmd, nil, key);
}

static void register_defaults(id self, SEL cmd, id dictionary)
{
    pthread_mutex_lock(&defaults.mutex);
    if (!defaults.registered)
        defaults.registered = objc_retain(abx_ns_mutable_dictionary());
    ABX_MSG(void, (id, SEL, id), defaults.registered, "addEntriesFromDictionary:", dictionary);
    pthread_mutex_unlock(&defaults.mutex);
}

static id default_string(id self, SEL cmd, id key)
{
    id value = default_object(self, cmd, key);
    return value ? abx_ns_description(value) : nil;
}

static NSInteger default_integer(id self, SEL cmd, id key)
{
    return abx_ns_number_get_int(default_object(self, cmd, key));
}

static double default_double(id self, SEL cmd, id key)
{
    return abx_ns_number_get_double(default_object(self, cmd, key));
}

static float default_float(id self, SEL cmd, id key)
{
    return (float)default_double(self, cmd, key);
}

static abx_objc_bool default_bool(id self, SEL cmd, id key)
{
    id value = default_object(self, cmd, key);
    return value && ABX_MSG(BOOL, (id, SEL), value, "boolValue");
}

static void set_default_integer(id self, SEL cmd, NSInteger value, id key)
{
    set_default(self, cmd, abx_ns_number_int(value), key);
}

static void set_default_double(id self, SEL cmd, double value, id key)
{
    set_default(self, cmd, abx_ns_number_double(value), key);
}

static void set_default_float(id self, SEL cmd, float value, id key)
{
    set_default(self, cmd, abx_ns_number_double((double)value), key);
}

static void set_default_bool(id self, SEL cmd, BOOL value, id key)
{
    set_default(self, cmd, abx_ns_number_bool(value), key);
}

static abx_objc_bool yes(id self, SEL cmd)
{
    return 1;
}

/* ---- functions */

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

OBJC_EXPORT id NSStringFromSelector(SEL selector);
id NSStringFromSelector(SEL selector)
{
    return selector ? abx_ns_string(sel_getName(selector)) : nil;
}

OBJC_EXPORT SEL NSSelectorFromString(id name);
SEL NSSelectorFromString(id name)
{
    return name ? sel_registerName(abx_ns_string_utf8(name)) : NULL;
}

OBJC_EXPORT id NSStringFromClass(Class cls);
id NSStringFromClass(Class cls)
{
    return cls ? abx_ns_string(class_getName(cls)) : nil;
}

OBJC_EXPORT Class NSClassFromString(id name);
Class NSClassFromString(id name)
{
    return name ? objc_lookUpClass(abx_ns_string_utf8(name)) : Nil;
}

OBJC_EXPORT id NSStringFromProtocol(Protocol *protocol);
id NSStringFromProtocol(Protocol *protocol)
{
    return protocol ? abx_ns_string(protocol_getName(protocol)) : nil;
}

OBJC_EXPORT Protocol *NSProtocolFromString(id name);
Protocol *NSProtocolFromString(id name)
{
    return name ? objc_getProtocol(abx_ns_string_utf8(name)) : NULL;
}

OBJC_EXPORT const char *NSGetSizeAndAlignment(
        const char *type, NSUInteger *ret_size, NSUInteger *ret_alignment);
const char *NSGetSizeAndAlignment(const char *type, NSUInteger *ret_size, NSUInteger *ret_alignment)
{
    size_t size = 0, alignment = 0;
    if (abx_objc_type_size(type, &size, &alignment) < 0)
        abx_ns_raise_argument("NSGetSizeAndAlignment: unsupported type encoding '%s'", type);
    if (ret_size)
        *ret_size = size;
    if (ret_alignment)
        *ret_alignment = alignment;
    return abx_objc_type_next(type);
}

OBJC_EXPORT id NSAllocateObject(Class cls, NSUInteger extra, void *zone);
id NSAllocateObject(Class cls, NSUInteger extra, void *zone)
{
    return class_createInstance(cls, extra);
}

OBJC_EXPORT void NSDeallocateObject(id object);
void NSDeallocateObject(id object)
{
    object_dispose(object);
}

OBJC_EXPORT id NSStringFromRange(NSRange range);
id NSStringFromRange(NSRange range)
{
    return abx_ns_string_printf("{%lu, %lu}", range.location, range.length);
}

OBJC_EXPORT NSRange NSUnionRange(NSRange a, NSRange b);
NSRange NSUnionRange(NSRange a, NSRange b)
{
    NSUInteger a_end = a.location + a.length, b_end = b.location + b.length;
    NSUInteger start = a.location < b.location ? a.location : b.location;
    return (NSRange){start, (a_end > b_end ? a_end : b_end) - start};
}

OBJC_EXPORT NSRange NSIntersectionRange(NSRange a, NSRange b);
NSRange NSIntersectionRange(NSRange a, NSRange b)
{
    NSUInteger a_end = a.location + a.length, b_end = b.location + b.length;
    NSUInteger start = a.location > b.location ? a.location : b.location;
    NSUInteger end = a_end < b_end ? a_end : b_end;
    return end > start ? (NSRange){start, end - start} : (NSRange){0, 0};
}

OBJC_EXPORT id NSTemporaryDirectory(void);
id NSTemporaryDirectory(void)
{
    const char *folder = getenv("TMPDIR");
    return abx_ns_string_printf("%s/", folder && *folder ? folder : "/tmp");
}

OBJC_EXPORT id NSHomeDirectory(void);
id NSHomeDirectory(void)
{
    return ABX_MSG(id, (id, SEL), abx_ns_string("~"), "stringByExpandingTildeInPath");
}

OBJC_EXPORT id NSUserName(void);
id NSUserName(void)
{
    struct passwd *entry = getpwuid(getuid());
    return abx_ns_string(entry ? entry->pw_name : "nobody");
}

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
static const struct abx_objc_method bundle_methods[] = {
        METHOD("initWithPath:", "@@:@", bundle_init_path),
        METHOD("bundlePath", "@@:", bundle_path),
        METHOD("bundleURL", "@@:", bundle_url),
        METHOD("executablePath", "@@:", bundle_executable),
        METHOD("executableURL", "@@:", bundle_executable_url),
        METHOD("resourcePath", "@@:", resource_path),
        METHOD("resourceURL", "@@:", resource_url),
        METHOD("pathForResource:ofType:", "@@:@@", path_for),
        METHOD("pathForResource:ofType:inDirectory:", "@@:@@@", path_in),
        METHOD("URLForResource:withExtension:", "@@:@@", url_for),
        METHOD("URLForResource:withExtension:subdirectory:", "@@:@@@", url_in),
        METHOD("localizedStringForKey:value:table:", "@@:@@@", localized_string),
        METHOD("load", "B@:", load_bundle),
        METHOD("loadAndReturnError:", "B@:^@", load_bundle_error),
        METHOD("bundleIdentifier", "@@:", bundle_nothing),
        METHOD("infoDictionary", "@@:", bundle_no_info),
        METHOD("objectForInfoDictionaryKey:", "@@:@", bundle_no_key),
        METHOD("dealloc", "v@:", bundle_dealloc),
        {NULL},
};
static const struct abx_objc_method bundle_class_methods[] = {
        METHOD("mainBundle", "@@:", main_bundle),
        METHOD("allBundles", "@@:", all_bundles),
        METHOD("allFrameworks", "@@:", no_frameworks),
        METHOD("bundleForClass:", "@@:#", bundle_for_class),
        METHOD("bundleWithPath:", "@@:@", bundle_with_path),
        METHOD("bundleWithURL:", "@@:@", bundle_with_url),
        METHOD("bundleWithIdentifier:", "@@:@", bundle_with_identifier),
        {NULL},
};
static const struct abx_objc_method defaults_methods[] = {
        METHOD("objectForKey:", "@@:@", default_object),
        METHOD("setObject:forKey:", "v@:@@", set_default),
        METHOD("removeObjectForKey:", "v@:@", remove_default),
        METHOD("registerDefaults:", "v@:@", register_defaults),
        METHOD("stringForKey:", "@@:@", default_string),
        METHOD("integerForKey:", "q@:@", default_integer),
        METHOD("doubleForKey:", "d@:@", default_double),
        METHOD("floatForKey:", "f@:@", default_float),
        METHOD("boolForKey:", "B@:@", default_bool),
        METHOD("setInteger:forKey:", "v@:q@", set_default_integer),
        METHOD("setDouble:forKey:", "v@:d@", set_default_double),
        METHOD("setFloat:forKey:", "v@:f@", set_default_float),
        METHOD("setBool:forKey:", "v@:B@", set_default_bool),
        METHOD("synchronize", "B@:", yes),
        {NULL},
};
static const struct abx_objc_method defaults_class_methods[] = {
        METHOD("standardUserDefaults", "@@:", shared_defaults),
        {NULL},
};

__attribute__((constructor(102))) static void define(void)
{
    DEFINE(NSProcessInfo, NSObject, Class, process_methods, process_class_methods);
    DEFINE(NSBundle, NSObject, struct ns_bundle, bundle_methods, bundle_class_methods);
    DEFINE(NSUserDefaults, NSObject, Class, defaults_methods, defaults_class_methods);
    process_info = class_createInstance(ABX_CLASS(NSProcessInfo), 0);
    defaults_object = class_createInstance(ABX_CLASS(NSUserDefaults), 0);
}
