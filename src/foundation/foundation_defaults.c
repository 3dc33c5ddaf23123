/* foundation: NSUserDefaults: what the process itself set; nothing is stored on disk. Guest's
 * process; trusts it. */
#include "foundation/foundation_internal.h"

ABX_OBJC_CLASS(NSUserDefaults)

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
    DEFINE(NSUserDefaults, NSObject, Class, defaults_methods, defaults_class_methods);
    defaults_object = class_createInstance(ABX_CLASS(NSUserDefaults), 0);
}
