#ifndef __COREFOUNDATION_CFBUNDLE__
#define __COREFOUNDATION_CFBUNDLE__
#include <CoreFoundation/CFBase.h>
CF_EXTERN_C_BEGIN
/* A bundle is Foundation's NSBundle here. */
typedef struct __CFBundle *CFBundleRef;
CFBundleRef CFBundleGetMainBundle(void);
CFBundleRef CFBundleGetBundleWithIdentifier(CFStringRef identifier);
/* NULL where there is no such file; type and subfolder may be NULL. */
CFURLRef CFBundleCopyResourceURL(
        CFBundleRef bundle, CFStringRef name, CFStringRef type, CFStringRef subfolder);
CFURLRef CFBundleCopyBundleURL(CFBundleRef bundle);
CFURLRef CFBundleCopyExecutableURL(CFBundleRef bundle);
CFURLRef CFBundleCopyResourcesDirectoryURL(CFBundleRef bundle);
CFStringRef CFBundleGetIdentifier(CFBundleRef bundle);
CFDictionaryRef CFBundleGetInfoDictionary(CFBundleRef bundle);
CFTypeRef CFBundleGetValueForInfoDictionaryKey(CFBundleRef bundle, CFStringRef key);
CF_EXTERN_C_END
#endif
