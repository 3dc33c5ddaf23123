/* foundation: Core Foundation's bundles, which are Foundation's. Guest's process; trusts it. */
#include "foundation/foundation_internal.h"
#include "CoreFoundation/CFBundle.h"

/* What a message without arguments answers, the caller's; NULL for no bundle. Not ABX_MSG, which
 * keeps one selector at each place. */
static CFURLRef copy_url(CFBundleRef bundle, const char *selector)
{
    if (!bundle)
        return NULL;
    void *pool = objc_autoreleasePoolPush();
    id url = objc_retain(((id(*)(id, SEL))(uintptr_t)abx_objc_msg_send)(
            abx_ns_of_cf(bundle), sel_registerName(selector)));
    objc_autoreleasePoolPop(pool);
    return (CFURLRef)url;
}

ABX_EXPORT CFBundleRef CFBundleGetMainBundle(void)
{
    void *pool = objc_autoreleasePoolPush(); /* there is but one, which stays */
    id bundle = ABX_MSG(id, (Class, SEL), ABX_CLASS(NSBundle), "mainBundle");
    objc_autoreleasePoolPop(pool);
    return (CFBundleRef)bundle;
}

ABX_EXPORT CFBundleRef CFBundleGetBundleWithIdentifier(CFStringRef identifier)
{
    return (CFBundleRef)ABX_MSG(id, (Class, SEL, id), ABX_CLASS(NSBundle),
            "bundleWithIdentifier:", abx_ns_of_cf(identifier));
}

ABX_EXPORT CFURLRef CFBundleCopyResourceURL(
        CFBundleRef bundle, CFStringRef name, CFStringRef type, CFStringRef subfolder)
{
    if (!bundle)
        return NULL;
    void *pool = objc_autoreleasePoolPush();
    id url = ABX_MSG(id, (id, SEL, id, id, id), abx_ns_of_cf(bundle),
            "URLForResource:withExtension:subdirectory:", abx_ns_of_cf(name), abx_ns_of_cf(type),
            abx_ns_of_cf(subfolder));
    objc_retain(url);
    objc_autoreleasePoolPop(pool);
    return (CFURLRef)url;
}

ABX_EXPORT CFURLRef CFBundleCopyBundleURL(CFBundleRef bundle)
{
    return copy_url(bundle, "bundleURL");
}

ABX_EXPORT CFURLRef CFBundleCopyExecutableURL(CFBundleRef bundle)
{
    return copy_url(bundle, "executableURL");
}

ABX_EXPORT CFURLRef CFBundleCopyResourcesDirectoryURL(CFBundleRef bundle)
{
    return copy_url(bundle, "resourceURL");
}

ABX_EXPORT CFStringRef CFBundleGetIdentifier(CFBundleRef bundle)
{
    return bundle ? (CFStringRef)ABX_MSG(id, (id, SEL), abx_ns_of_cf(bundle), "bundleIdentifier")
                  : NULL;
}

ABX_EXPORT CFDictionaryRef CFBundleGetInfoDictionary(CFBundleRef bundle)
{
    return bundle ? (CFDictionaryRef)ABX_MSG(id, (id, SEL), abx_ns_of_cf(bundle), "infoDictionary")
                  : NULL;
}

ABX_EXPORT CFTypeRef CFBundleGetValueForInfoDictionaryKey(CFBundleRef bundle, CFStringRef key)
{
    return bundle ? (CFTypeRef)ABX_MSG(id, (id, SEL, id), abx_ns_of_cf(bundle),
                            "objectForInfoDictionaryKey:", abx_ns_of_cf(key))
                  : NULL;
}
