// Processes, bundles, threads, locks, dates, defaults, Core Foundation, Mach, sysctl.
#import <Foundation/Foundation.h>
#include <CoreGraphics/CoreGraphics.h>
#include <crt_externs.h>
#include <mach-o/dyld.h>
#include <objc/message.h>
#include <mach/mach.h>
#include <simd/simd.h>
#include <sys/sysctl.h>
#include "../check.h"

/* What programs call so is theirs. */
static int available(void)
{
    return 3;
}

struct taken {
    int (*available)(int left, int right, int more);
};

static int sum(int left, int right, int more)
{
    return left + right + more;
}

/* @available is true up to the version that everything else reports, and no further. */
static void availability(NSProcessInfo *info)
{
    NSOperatingSystemVersion v = info.operatingSystemVersion;
    char text[32], wanted[32];
    size_t length = sizeof text;
    CHECK(sysctlbyname("kern.osproductversion", text, &length, NULL, 0) == 0);
    snprintf(wanted, sizeof wanted, "%ld.%ld", (long)v.majorVersion, (long)v.minorVersion);
    CHECK_TEXT(text, wanted);
    CHECK([info.operatingSystemVersionString containsString:[NSString stringWithUTF8String:text]]);
    char list[64];
    for (int more = -1; more <= 1; more++) {
        snprintf(list, sizeof list, "macOS %ld.%ld, *", (long)v.majorVersion,
                (long)v.minorVersion + more);
        CHECK(abx_is_available(list) == (more <= 0));
        snprintf(list, sizeof list, "iOS 1, macOS %ld, *", (long)v.majorVersion + more);
        CHECK(abx_is_available(list) == (more <= 0));
    }
    int taken = 0;
    if (@available(macOS 11.0, *))
        taken |= 1;
    if (!@available(macOS 99, iOS 99, *))
        taken |= 2;
    if (@available(iOS 99, *)) /* not this system */
        taken |= 4;
    if (__builtin_available(macOS 99.1, *) || @available(macos 98, *))
        taken |= 8;
    if (__builtin_available(macOS 10.15.4, *) && @available(macOS 14, *))
        taken |= 16;
    CHECK(taken == (1 | 2 | 4 | 16));
    struct taken own = {sum};
    CHECK(available() == 3 && own.available(taken, 1, 2) == taken + 3);
}

static void c_library(void)
{
    char text[8], *pattern = "abcd";
    CHECK(strlcpy(text, "a long text", sizeof text) == 11 && !strcmp(text, "a long "));
    CHECK(strlcpy(text, "ab", sizeof text) == 2 && strlcat(text, "cdefgh", sizeof text) == 8);
    CHECK_TEXT(text, "abcdefg");
    CHECK(strnstr(text, "cd", 4) == text + 2 && !strnstr(text, "cd", 3));
    memset_pattern4(text, pattern, 7);
    CHECK_TEXT(text, "abcdabc");
    struct timespec now;
    uint64_t before = clock_gettime_nsec_np(CLOCK_UPTIME_RAW);
    CHECK(clock_gettime(CLOCK_UPTIME_RAW, &now) == 0 && before > 0);
    CHECK(before <= (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec);
    CHECK(clock_gettime_nsec_np(1000) == 0);
    char path[4096];
    uint32_t size = 1;
    CHECK(_NSGetExecutablePath(path, &size) == -1 && size > 1);
    CHECK(_NSGetExecutablePath(path, &size) == 0 && path[0] == '/' && strlen(path) + 1 == size);
    CHECK(*_NSGetArgc() >= 1 && !(*_NSGetArgv())[*_NSGetArgc()] && *_NSGetArgv() == *_NSGetArgv());
    CHECK([@((*_NSGetArgv())[0]) isEqual:NSProcessInfo.processInfo.arguments[0]]);
    CHECK(strcmp(*_NSGetProgname(), strrchr(path, '/') + 1) == 0);
    CHECK(setenv("ARCBOX_TEST_START", "1", 1) == 0);
    bool found = false;
    for (char **e = *_NSGetEnviron(); *e; e++)
        found |= !strcmp(*e, "ARCBOX_TEST_START=1");
    CHECK(found);
}

static void files(void)
{
    char name[] = "/tmp/arcbox-test.XXXXXX", text[4] = "";
    int file = mkstemp(name);
    CHECK(file >= 0 && unlink(name) == 0 && write(file, "abc", 3) == 3);
    const struct radvisory ahead = {.ra_offset = 0, .ra_count = 3};
    CHECK(fcntl(file, F_NOCACHE, 1) == 0 && fcntl(file, F_RDAHEAD, 0) == 0 && fcntl(file, F_RDADVISE, &ahead) == 0);
    CHECK(fcntl(file, F_FULLFSYNC) == 0 && pread(file, text, 3, 0) == 3 && !strcmp(text, "abc"));
    CHECK(fcntl(file, F_SETFD, FD_CLOEXEC) == 0 && fcntl(file, F_GETFD) == FD_CLOEXEC);
    int other = fcntl(file, F_DUPFD, 100);
    CHECK(other >= 100 && close(other) == 0 && close(file) == 0);
    errno = 0;
    CHECK(fcntl(file, F_NOCACHE, 1) == -1 && errno == EBADF && fcntl(file, F_RDADVISE, &ahead) == -1);
}

// What the process takes, and its threads.
static void *wait_for_lock(void *lock)
{
    pthread_mutex_lock(lock);
    pthread_mutex_unlock(lock);
    return NULL;
}

static unsigned threads_now(void)
{
    thread_act_array_t list;
    mach_msg_type_number_t count = 0;
    bool own = false;
    CHECK(task_threads(mach_task_self(), &list, &count) == KERN_SUCCESS && count);
    for (unsigned i = 0; i < count; i++)
        own |= list[i] == mach_thread_self();
    CHECK(own && vm_deallocate(mach_task_self(), (vm_address_t)list, count * sizeof *list) ==
                         KERN_SUCCESS);
    return count;
}

static void the_task(void)
{
    enum { Bytes = 32 << 20 };
    struct mach_task_basic_info before, after;
    mach_msg_type_number_t count = MACH_TASK_BASIC_INFO_COUNT;
    CHECK(task_info(mach_task_self(), MACH_TASK_BASIC_INFO, (task_info_t)&before, &count) ==
            KERN_SUCCESS);
    char *volatile memory = malloc(Bytes); // or it is left out
    memset(memory, 1, Bytes);
    CHECK(task_info(mach_task_self(), MACH_TASK_BASIC_INFO, (task_info_t)&after, &count) ==
            KERN_SUCCESS);
    CHECK(after.resident_size >= before.resident_size + Bytes / 2 &&
            after.resident_size_max >= after.resident_size &&
            after.virtual_size >= after.resident_size);
    task_vm_info_data_t whole;
    count = TASK_VM_INFO_COUNT;
    CHECK(task_info(mach_task_self(), TASK_VM_INFO, (task_info_t)&whole, &count) == KERN_SUCCESS &&
            count == TASK_VM_INFO_COUNT && whole.phys_footprint >= Bytes / 2 &&
            whole.ledger_phys_footprint_peak >= Bytes / 2 && whole.max_address > (uintptr_t)memory);
    // A program made for an older revision is given that one, and no more is written.
    memset(&whole, 1, sizeof whole);
    count = TASK_VM_INFO_REV1_COUNT + 1;
    CHECK(task_info(mach_task_self(), TASK_VM_INFO, (task_info_t)&whole, &count) == KERN_SUCCESS &&
            count == TASK_VM_INFO_REV1_COUNT && whole.phys_footprint >= Bytes / 2 &&
            whole.min_address == 0x0101010101010101);
    CHECK(offsetof(task_vm_info_data_t, phys_footprint) ==
                    TASK_VM_INFO_REV0_COUNT * sizeof(natural_t) &&
            offsetof(task_vm_info_data_t, min_address) ==
                    TASK_VM_INFO_REV1_COUNT * sizeof(natural_t) &&
            offsetof(task_vm_info_data_t, ledger_phys_footprint_peak) ==
                    TASK_VM_INFO_REV2_COUNT * sizeof(natural_t) &&
            offsetof(task_vm_info_data_t, limit_bytes_remaining) ==
                    TASK_VM_INFO_REV3_COUNT * sizeof(natural_t));
    count = 3;
    CHECK(task_info(mach_task_self(), TASK_VM_INFO, (task_info_t)&whole, &count) != KERN_SUCCESS);
    free(memory);
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_t thread;
    unsigned threads = threads_now();
    pthread_mutex_lock(&lock);
    CHECK(pthread_create(&thread, NULL, wait_for_lock, &lock) == 0 && threads_now() == threads + 1);
    pthread_mutex_unlock(&lock);
    pthread_join(thread, NULL);
}

// Core Foundation's bundles: the program's folder, and what lies in it.
static void bundles(void)
{
    CFBundleRef bundle = CFBundleGetMainBundle();
    CHECK(bundle && bundle == CFBundleGetMainBundle());
    CFURLRef url = CFBundleCopyBundleURL(bundle), program = CFBundleCopyExecutableURL(bundle);
    CFStringRef path = CFURLCopyFileSystemPath(url, kCFURLPOSIXPathStyle);
    CHECK([(__bridge NSString *)path isEqual:NSBundle.mainBundle.bundlePath]);
    CHECK([((__bridge NSURL *)program).path isEqual:NSBundle.mainBundle.executablePath]);
    CFURLRef found = CFBundleCopyResourceURL(bundle,
            (__bridge CFStringRef)((__bridge NSURL *)program).lastPathComponent, NULL, NULL);
    CHECK(found && !CFBundleCopyResourceURL(bundle, CFSTR("none"), CFSTR("metallib"), NULL));
    CHECK(!CFBundleCopyBundleURL(NULL) &&
            !CFBundleGetValueForInfoDictionaryKey(bundle, CFSTR("none")));
    CFRelease(found);
    CFRelease(path);
    CFRelease(program);
    CFRelease(url);
}

// What catches exceptions in Rust or C++ knows nothing of their reasons.
static void unknown_messages_are_said(void)
{
    int pipes[2], old = dup(2);
    CHECK(pipe(pipes) == 0 && dup2(pipes[1], 2) == 2);
    @try {
        ((void (*)(id, SEL))objc_msgSend)(@"x", sel_registerName("noSuchMessage"));
    } @catch (NSException *exception) {
        CHECK([exception.reason containsString:@"noSuchMessage"]);
    }
    dup2(old, 2);
    close(pipes[1]);
    char said[256] = "";
    CHECK(read(pipes[0], said, sizeof said - 1) > 0);
    CHECK(strstr(said, "noSuchMessage]: unrecognized selector sent to instance"));
}

int main(int argc, char **argv)
{
    @autoreleasepool {
        c_library();
        files();
        the_task();
        bundles();
        unknown_messages_are_said();
        availability([NSProcessInfo processInfo]);
        NSProcessInfo *info = [NSProcessInfo processInfo];
        CHECK(info.arguments.count >= 1 && info.environment.count > 0);
        CHECK([info isOperatingSystemAtLeastVersion:(NSOperatingSystemVersion){14, 0, 0}] &&
                ![info isOperatingSystemAtLeastVersion:(NSOperatingSystemVersion){99, 0, 0}]);
        CHECK(info.operatingSystemVersion.majorVersion >= 15 && info.physicalMemory > 1 << 20);
        NSBundle *bundle = [NSBundle mainBundle];
        CHECK([bundle isEqual:[NSBundle bundleForClass:[NSBundle class]]] ||
                [NSBundle bundleForClass:[NSBundle class]].bundlePath.length > 0);
        CHECK(bundle.resourcePath.isAbsolutePath && ![bundle pathForResource:@"none" ofType:@"x"]);

        CHECK([[NSBundle allBundles] containsObject:bundle] && [NSBundle allFrameworks]);
        CHECK_TEXT([bundle localizedStringForKey:@"k" value:@"" table:nil].UTF8String, "k");

        NSCondition *condition = [NSCondition new];
        __block BOOL ready = NO;
        NSThread *thread = [[NSThread alloc] initWithBlock:^{
          CHECK(![NSThread isMainThread]);
          [condition lock];
          ready = YES;
          [condition signal];
          [condition unlock];
        }];
        CHECK([NSThread isMainThread] && [NSThread currentThread] == [NSThread mainThread]);
        [thread start];
        [condition lock];
        while (!ready)
            [condition wait];
        [condition unlock];
        NSRecursiveLock *lock = [NSRecursiveLock new];
        [lock lock];
        CHECK([lock tryLock]);
        [lock unlock];
        [lock unlock];
        NSLock *plain = [NSLock new];
        [plain lock];
        CHECK(![plain tryLock]);
        CHECK(![plain lockBeforeDate:[NSDate dateWithTimeIntervalSinceNow:0.005]]);
        [plain unlock];

        NSDate *date = [NSDate dateWithTimeIntervalSince1970:0];
        CHECK_TEXT(date.description.UTF8String, "1970-01-01 00:00:00 +0000");
        CHECK(-[date timeIntervalSinceNow] > 1e9 &&
                [date compare:[NSDate date]] == NSOrderedAscending);
        NSUserDefaults *defaults = [NSUserDefaults standardUserDefaults];
        [defaults registerDefaults:@{@"a" : @1}];
        CHECK([defaults integerForKey:@"a"] == 1);
        [defaults setBool:YES forKey:@"b"];
        CHECK([defaults boolForKey:@"b"]);
        NSUUID *uuid = [NSUUID UUID];
        CHECK([[[NSUUID alloc] initWithUUIDString:uuid.UUIDString] isEqual:uuid]);
        CHECK(![[NSUUID alloc] initWithUUIDString:@"bad"]);

        CFStringRef string = CFStringCreateWithCString(NULL, "caf\xc3\xa9", kCFStringEncodingUTF8);
        CHECK(CFStringGetLength(string) == 4 && [(__bridge NSString *)string hasPrefix:@"caf"]);
        CHECK(CFEqual(CFSTR("x"), (__bridge CFTypeRef) @"x"));
        CFRelease(string);

        vm_address_t address = 0;
        CHECK(vm_allocate(mach_task_self(), &address, vm_page_size, VM_FLAGS_ANYWHERE) == 0);
        *(char *)address = 1;
        CHECK(vm_deallocate(mach_task_self(), address, vm_page_size) == 0);
        uint64_t memory = 0;
        size_t size = sizeof(memory);
        CHECK(sysctlbyname("hw.memsize", &memory, &size, NULL, 0) == 0 && memory > 1 << 20);
        int count = 0;
        size = sizeof(count);
        CHECK(sysctlbyname("hw.ncpu", &count, &size, NULL, 0) == 0 && count > 0);
        CHECK(sysctlbyname("no.such.name", &count, &size, NULL, 0) == -1 && errno == ENOENT);
        CGColorSpaceRef space = CGColorSpaceCreateWithName(kCGColorSpaceDisplayP3);
        CHECK(space && CFEqual(CGColorSpaceGetName(space), kCGColorSpaceDisplayP3));
        CGColorSpaceRelease(space);
        CHECK(!CGColorSpaceCreateWithName(CFSTR("no such space")));
        CHECK(sizeof(simd_float3) == 16 &&
                simd_dot((simd_float3){1, 2, 3}, (simd_float3){1, 1, 1}) == 6);
        CHECK_TEXT(NSStringFromClass([NSString class]).UTF8String, "NSString");
        CHECK(NSSelectorFromString(@"length") == @selector(length));
    }
    printf("ok\n");
    return 0;
}
