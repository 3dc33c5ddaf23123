/* foundation: NSDate: seconds since the start of 2001. Guest's process; trusts it. */
#include "foundation/foundation_internal.h"

#include <time.h>

ABX_OBJC_CLASS(NSDate)

struct ns_date {
    Class isa;
    double seconds;
};
#define SINCE_1970 978307200.0

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9 - SINCE_1970;
}

static double seconds_of(id date)
{
    return ((struct ns_date *)date)->seconds;
}

static id date_set(id self, double seconds)
{
    ((struct ns_date *)self)->seconds = seconds;
    return self;
}

static id date_new(double seconds)
{
    return objc_autorelease(date_set(class_createInstance(ABX_CLASS(NSDate), 0), seconds));
}

static id date_init(id self, SEL cmd)
{
    return date_set(self, now());
}

static id date_init_reference(id self, SEL cmd, double s)
{
    return date_set(self, s);
}

static id date_init_now(id self, SEL cmd, double s)
{
    return date_set(self, now() + s);
}

static id date_init_1970(id self, SEL cmd, double s)
{
    return date_set(self, s - SINCE_1970);
}

static id date_now(id cls, SEL cmd)
{
    return date_new(now());
}

static id date_from_now(id cls, SEL cmd, double s)
{
    return date_new(now() + s);
}

static id date_from_1970(id cls, SEL cmd, double s)
{
    return date_new(s - SINCE_1970);
}

static id date_from_reference(id cls, SEL cmd, double s)
{
    return date_new(s);
}

static id date_future(id cls, SEL cmd)
{
    return date_new(63113904000.0);
}

static id date_past(id cls, SEL cmd)
{
    return date_new(-63114076800.0);
}

static double date_reference(id self, SEL cmd)
{
    return seconds_of(self);
}

static double class_reference(id cls, SEL cmd)
{
    return now();
}

double abx_ns_date_since_now(id date)
{
    return seconds_of(date) - now();
}

static double date_since_now(id self, SEL cmd)
{
    return abx_ns_date_since_now(self);
}

static double date_since_1970(id self, SEL cmd)
{
    return seconds_of(self) + SINCE_1970;
}

static double date_since(id self, SEL cmd, id other)
{
    return seconds_of(self) - (other ? seconds_of(other) : 0);
}

static id date_adding(id self, SEL cmd, double s)
{
    return date_new(seconds_of(self) + s);
}

static NSInteger date_compare(id self, SEL cmd, id other)
{
    double a = seconds_of(self), b = seconds_of(other);
    return a < b ? -1 : a > b;
}

static id date_earlier(id self, SEL cmd, id other)
{
    return seconds_of(other) < seconds_of(self) ? other : self;
}

static id date_later(id self, SEL cmd, id other)
{
    return seconds_of(other) > seconds_of(self) ? other : self;
}

static abx_objc_bool date_equal(id self, SEL cmd, id other)
{
    return self == other ||
           (abx_objc_is_kind_of(other, ABX_CLASS(NSDate)) && seconds_of(self) == seconds_of(other));
}

static NSUInteger date_hash(id self, SEL cmd)
{
    return (NSUInteger)(int64_t)seconds_of(self);
}

static id date_description(id self, SEL cmd)
{
    time_t t = (time_t)(seconds_of(self) + SINCE_1970);
    struct tm parts;
    char text[64];
    gmtime_r(&t, &parts);
    strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S +0000", &parts);
    return abx_ns_string(text);
}

struct timespec abx_ns_date_realtime(id date)
{
    double s = seconds_of(date) + SINCE_1970;
    s = s < 0 ? 0 : s > 4e9 ? 4e9 : s;
    return (struct timespec){(time_t)s, (long)((s - (double)(time_t)s) * 1e9)};
}

static const struct abx_objc_method date_methods[] = {
        METHOD("init", "@@:", date_init),
        METHOD("initWithTimeIntervalSinceReferenceDate:", "@@:d", date_init_reference),
        METHOD("initWithTimeIntervalSinceNow:", "@@:d", date_init_now),
        METHOD("initWithTimeIntervalSince1970:", "@@:d", date_init_1970),
        METHOD("timeIntervalSinceReferenceDate", "d@:", date_reference),
        METHOD("timeIntervalSinceNow", "d@:", date_since_now),
        METHOD("timeIntervalSince1970", "d@:", date_since_1970),
        METHOD("timeIntervalSinceDate:", "d@:@", date_since),
        METHOD("dateByAddingTimeInterval:", "@@:d", date_adding),
        METHOD("compare:", "q@:@", date_compare),
        METHOD("earlierDate:", "@@:@", date_earlier),
        METHOD("laterDate:", "@@:@", date_later),
        METHOD("isEqual:", "B@:@", date_equal),
        METHOD("isEqualToDate:", "B@:@", date_equal),
        METHOD("hash", "Q@:", date_hash),
        METHOD("description", "@@:", date_description),
        METHOD("copyWithZone:", "@@:" ZONE, abx_ns_copy_immutable),
        {NULL},
};
static const struct abx_objc_method date_class_methods[] = {
        METHOD("date", "@@:", date_now),
        METHOD("now", "@@:", date_now),
        METHOD("dateWithTimeIntervalSinceNow:", "@@:d", date_from_now),
        METHOD("dateWithTimeIntervalSince1970:", "@@:d", date_from_1970),
        METHOD("dateWithTimeIntervalSinceReferenceDate:", "@@:d", date_from_reference),
        METHOD("distantFuture", "@@:", date_future),
        METHOD("distantPast", "@@:", date_past),
        METHOD("timeIntervalSinceReferenceDate", "d@:", class_reference),
        {NULL},
};

__attribute__((constructor(102))) static void define(void)
{
    DEFINE(NSDate, NSObject, struct ns_date, date_methods, date_class_methods, "NSCopying",
            "NSSecureCoding");
}
