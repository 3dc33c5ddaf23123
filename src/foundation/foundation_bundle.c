/* foundation: NSBundle: the folder of the program, or of the library a class comes from. Guest's
 * process; trusts it. */
#include "foundation/foundation_internal.h"

#include <limits.h>
#include <unistd.h>

ABX_OBJC_CLASS(NSBundle)

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
    id made = bundle_for_executable(abx_own_path(file) == 0 ? file : "/");
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

__attribute__((constructor(102))) static void define(void)
{
    DEFINE(NSBundle, NSObject, struct ns_bundle, bundle_methods, bundle_class_methods);
}
