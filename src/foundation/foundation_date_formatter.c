/* foundation: NSDateFormatter and NSTimeZone's part that it needs: Unicode's date patterns with
 * English names. Guest's process; trusts it. */
#include "foundation/foundation_internal.h"

#include <ctype.h>
#include <stdio.h>
#include <time.h>

ABX_OBJC_CLASS_EXTERN(NSDate)
ABX_OBJC_CLASS(NSDateFormatter)
ABX_OBJC_CLASS(NSTimeZone)

static const char *const months[] = {"January", "February", "March", "April", "May", "June", "July",
        "August", "September", "October", "November", "December"};
static const char *const days[] = {
        "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};

/* ---- time zones: a fixed offset, or the machine's own */

struct zone {
    Class isa;
    bool local;
    long offset; /* seconds east of Greenwich */
};

static id zone_new(bool local, long offset)
{
    id self = class_createInstance(ABX_CLASS(NSTimeZone), 0);
    ((struct zone *)self)->local = local;
    ((struct zone *)self)->offset = offset;
    return objc_autorelease(self);
}

static id zone_local(id cls, SEL cmd)
{
    return zone_new(true, 0);
}

static id zone_offset(id cls, SEL cmd, NSInteger seconds)
{
    return seconds > -18 * 3600 && seconds < 18 * 3600 ? zone_new(false, seconds) : nil;
}

/* Names are those of Greenwich; a region's rules are not known here. */
static id zone_name(id cls, SEL cmd, id name)
{
    const char *text = abx_ns_string_utf8(name);
    return text && (!strcmp(text, "UTC") || !strcmp(text, "GMT") || !strcmp(text, "Z"))
                   ? zone_new(false, 0)
                   : nil;
}

static long offset_at(id zone, time_t when)
{
    const struct zone *z = (struct zone *)zone;
    struct tm parts;
    if (z && !z->local)
        return z->offset;
    localtime_r(&when, &parts);
    return parts.tm_gmtoff;
}

static NSInteger zone_seconds(id self, SEL cmd)
{
    return offset_at(self, time(NULL));
}

static void add_offset(struct abx_string *to, long offset, const char *between)
{
    long minutes = labs(offset) / 60;
    abx_string_printf(
            to, "%c%02ld%s%02ld", offset < 0 ? '-' : '+', minutes / 60, between, minutes % 60);
}

static id zone_get_name(id self, SEL cmd)
{
    struct abx_string text = {0};
    long offset = offset_at(self, time(NULL));
    abx_string_printf(&text, "GMT");
    if (offset)
        add_offset(&text, offset, "");
    id name = abx_ns_string(text.data);
    abx_string_finish(&text);
    return name;
}

/* ---- the formatter */

struct formatter {
    Class isa;
    id format, zone, locale;
    NSUInteger date_style, time_style; /* without a format: 0 none, 1 short .. 4 full */
};

static struct formatter *inner(id self)
{
    return (struct formatter *)self;
}

static const char *pattern(id self, char buffer[static 96])
{
    static const char *const dates[] = {"", "M/d/yy", "MMM d, y", "MMMM d, y", "EEEE, MMMM d, y"};
    static const char *const times[] = {"", "h:mm a", "h:mm:ss a", "h:mm:ss a z", "h:mm:ss a zzzz"};
    struct formatter *f = inner(self);
    if (f->format)
        return abx_ns_string_utf8(f->format);
    const char *date = dates[f->date_style <= 4 ? f->date_style : 0];
    const char *clock = times[f->time_style <= 4 ? f->time_style : 0];
    snprintf(buffer, 96, "%s%s%s", date,
            !*date || !*clock   ? ""
            : f->date_style > 2 ? " 'at' "
                                : ", ",
            clock);
    return buffer;
}

/* A run of one letter. */
static void put_field(
        struct abx_string *to, char letter, int n, const struct tm *t, int millis, long offset)
{
    const char *name;
    switch (letter) {
    case 'y':
    case 'Y':
    case 'u':
        abx_string_printf(to, "%0*d", n, n == 2 ? (t->tm_year + 1900) % 100 : t->tm_year + 1900);
        break;
    case 'M':
    case 'L':
        name = months[t->tm_mon];
        if (n <= 2)
            abx_string_printf(to, "%0*d", n, t->tm_mon + 1);
        else
            abx_string_printf(to, "%.*s", n == 3 ? 3 : n == 5 ? 1 : 20, name);
        break;
    case 'd':
        abx_string_printf(to, "%0*d", n, t->tm_mday);
        break;
    case 'D':
        abx_string_printf(to, "%0*d", n, t->tm_yday + 1);
        break;
    case 'E':
        abx_string_printf(to, "%.*s", n <= 3 ? 3 : n == 5 ? 1 : 20, days[t->tm_wday]);
        break;
    case 'H':
        abx_string_printf(to, "%0*d", n, t->tm_hour);
        break;
    case 'k':
        abx_string_printf(to, "%0*d", n, t->tm_hour ? t->tm_hour : 24);
        break;
    case 'h':
        abx_string_printf(to, "%0*d", n, (t->tm_hour + 11) % 12 + 1);
        break;
    case 'K':
        abx_string_printf(to, "%0*d", n, t->tm_hour % 12);
        break;
    case 'm':
        abx_string_printf(to, "%0*d", n, t->tm_min);
        break;
    case 's':
        abx_string_printf(to, "%0*d", n, t->tm_sec);
        break;
    case 'S':
        for (int i = 0, unit = 100; i < n; i++, unit /= 10)
            abx_string_printf(to, "%d", unit ? millis / unit % 10 : 0);
        break;
    case 'a':
        abx_string_printf(to, "%s", t->tm_hour < 12 ? "AM" : "PM");
        break;
    case 'X':
        if (!offset) {
            abx_string_add(to, "Z", 1);
            break;
        }
        add_offset(to, offset, n == 3 || n == 5 ? ":" : "");
        break;
    case 'x':
    case 'Z':
        add_offset(to, offset, n == 5 || (letter == 'x' && n == 3) ? ":" : "");
        break;
    case 'z':
        abx_string_printf(to, "GMT");
        if (offset)
            add_offset(to, offset, ":");
        break;
    case 'G':
        abx_string_printf(to, "AD");
        break;
    default:
        break;
    }
}

/* Past the quoted text that begins at p; what it says goes to `to`. */
static const char *put_quoted(struct abx_string *to, const char *p)
{
    if (p[1] == '\'') {
        abx_string_add(to, "'", 1);
        return p + 2;
    }
    for (p++; *p; p++) {
        if (*p == '\'' && p[1] != '\'')
            return p + 1;
        abx_string_add(to, p, 1);
        p += *p == '\'';
    }
    return p;
}

static id string_from_date(id self, SEL cmd, id date)
{
    if (!date)
        return nil;
    double seconds = ABX_MSG(double, (id, SEL), date, "timeIntervalSince1970");
    time_t when = (time_t)seconds;
    when -= (double)when > seconds; /* down, without libm */
    int millis = (int)((seconds - (double)when) * 1000);
    long offset = offset_at(inner(self)->zone, when);
    time_t shifted = when + offset;
    struct tm parts;
    gmtime_r(&shifted, &parts);
    struct abx_string text = {0};
    char buffer[96];
    for (const char *p = pattern(self, buffer); *p;) {
        if (*p == '\'') {
            p = put_quoted(&text, p);
        } else if (isalpha((uint8_t)*p)) {
            int n = (int)strspn(p, (char[]){*p, 0});
            put_field(&text, *p, n, &parts, millis, offset);
            p += n;
        } else {
            abx_string_add(&text, p++, 1);
        }
    }
    id result = abx_ns_string_bytes(text.data ? text.data : "", text.length);
    abx_string_finish(&text);
    return result;
}

/* ---- reading */

struct read_parts {
    struct tm t;
    int millis;
    bool pm, has_half, has_offset;
    long offset;
};

static bool read_number(const char **at, int most, int *ret)
{
    int n = 0, value = 0;
    while (n < most && isdigit((uint8_t)(*at)[n]))
        value = value * 10 + ((*at)[n++] - '0');
    *at += n;
    *ret = value;
    return n > 0;
}

static bool read_name(const char **at, const char *const *names, int count, int letters, int *ret)
{
    for (int i = 0; i < count; i++) {
        size_t length = letters == 3 ? 3 : strlen(names[i]);
        if (strncasecmp(*at, names[i], length) == 0) {
            *at += length;
            *ret = i;
            return true;
        }
    }
    return false;
}

static bool read_offset(const char **at, struct read_parts *r)
{
    int hours = 0, minutes = 0;
    r->has_offset = true;
    if (strncmp(*at, "GMT", 3) == 0 || strncmp(*at, "UTC", 3) == 0)
        *at += 3;
    else if (**at == 'Z')
        return (*at)++, true;
    if (**at != '+' && **at != '-')
        return true;
    int sign = *(*at)++ == '-' ? -1 : 1;
    if (!read_number(at, 2, &hours))
        return false;
    *at += **at == ':';
    read_number(at, 2, &minutes);
    r->offset = sign * (hours * 3600l + minutes * 60);
    return true;
}

static bool read_field(const char **at, char letter, int n, bool joined, struct read_parts *r)
{
    int value = 0, most = joined ? n : 9, unused;
    switch (letter) {
    case 'y':
    case 'Y':
    case 'u':
        if (!read_number(at, joined || n == 2 ? n : 9, &value))
            return false;
        r->t.tm_year = n == 2 ? (value < 50 ? value + 100 : value) : value - 1900;
        return true;
    case 'M':
    case 'L':
        if (n > 2)
            return read_name(at, months, 12, n, &r->t.tm_mon);
        r->t.tm_mon = read_number(at, joined ? n : 2, &value) ? value - 1 : -1;
        return r->t.tm_mon >= 0 && r->t.tm_mon < 12;
    case 'd':
        r->t.tm_mday = read_number(at, joined ? n : 2, &value) ? value : 0;
        return value >= 1 && value <= 31;
    case 'E':
        return read_name(at, days, 7, n <= 3 ? 3 : n, &unused);
    case 'H':
    case 'k':
    case 'h':
    case 'K':
        r->t.tm_hour = read_number(at, joined ? n : 2, &value) ? value : 99;
        return r->t.tm_hour <= 24;
    case 'm':
        r->t.tm_min = read_number(at, joined ? n : 2, &value) ? value : 99;
        return r->t.tm_min < 60;
    case 's':
        r->t.tm_sec = read_number(at, joined ? n : 2, &value) ? value : 99;
        return r->t.tm_sec <= 60;
    case 'S': {
        const char *from = *at;
        if (!read_number(at, most, &value))
            return false;
        double part = value;
        for (ptrdiff_t i = *at - from; i > 0; i--)
            part /= 10;
        r->millis = (int)(part * 1000 + 0.5);
        return true;
    }
    case 'a':
        r->has_half = true;
        r->pm = (**at | 32) == 'p';
        if (strncasecmp(*at, "am", 2) && strncasecmp(*at, "pm", 2))
            return false;
        *at += 2;
        return true;
    default:
        return strchr("XxZz", letter) ? read_offset(at, r) : false;
    }
}

static id date_from_string(id self, SEL cmd, id string)
{
    struct read_parts r = {.t = {.tm_year = 100, .tm_mday = 1}};
    const char *at = string ? abx_ns_string_utf8(string) : NULL;
    char buffer[96];
    for (const char *p = pattern(self, buffer); at && *p;) {
        if (*p == '\'') {
            struct abx_string text = {0};
            p = put_quoted(&text, p);
            bool same = strncmp(at, text.data ? text.data : "", text.length) == 0;
            at = same ? at + text.length : NULL;
            abx_string_finish(&text);
        } else if (isalpha((uint8_t)*p)) {
            int n = (int)strspn(p, (char[]){*p, 0});
            if (!read_field(&at, *p, n, isalpha((uint8_t)p[n]), &r))
                at = NULL;
            p += n;
        } else {
            at = *at == *p ? at + 1 : NULL;
            p++;
        }
    }
    if (!at || *at)
        return nil;
    if (r.has_half)
        r.t.tm_hour = r.t.tm_hour % 12 + (r.pm ? 12 : 0);
    time_t when = timegm(&r.t);
    when -= r.has_offset ? r.offset : offset_at(inner(self)->zone, when);
    return ABX_MSG(id, (Class, SEL, double), ABX_CLASS(NSDate),
            "dateWithTimeIntervalSince1970:", (double)when + r.millis / 1000.0);
}

static id get_format(id self, SEL cmd)
{
    char buffer[96];
    return abx_ns_string(pattern(self, buffer));
}

static void set_format(id self, SEL cmd, id format)
{
    abx_objc_store_copy(&inner(self)->format, format);
}

static id get_zone(id self, SEL cmd)
{
    return inner(self)->zone ? inner(self)->zone : zone_local(nil, NULL);
}

static void set_zone(id self, SEL cmd, id zone)
{
    objc_storeStrong(&inner(self)->zone, zone);
}

static id get_locale(id self, SEL cmd)
{
    return inner(self)->locale;
}

/* Kept; names are English in every one. */
static void set_locale(id self, SEL cmd, id locale)
{
    objc_storeStrong(&inner(self)->locale, locale);
}

static NSUInteger get_date_style(id self, SEL cmd)
{
    return inner(self)->date_style;
}

static void set_date_style(id self, SEL cmd, NSUInteger style)
{
    inner(self)->date_style = style;
}

static NSUInteger get_time_style(id self, SEL cmd)
{
    return inner(self)->time_style;
}

static void set_time_style(id self, SEL cmd, NSUInteger style)
{
    inner(self)->time_style = style;
}

static id localized(id cls, SEL cmd, id date, NSUInteger date_style, NSUInteger time_style)
{
    id self = objc_autorelease(class_createInstance(ABX_CLASS(NSDateFormatter), 0));
    inner(self)->date_style = date_style;
    inner(self)->time_style = time_style;
    return string_from_date(self, cmd, date);
}

static void formatter_dealloc(id self, SEL cmd)
{
    objc_release(inner(self)->format);
    objc_release(inner(self)->zone);
    objc_release(inner(self)->locale);
    abx_objc_dealloc_super(self, ABX_CLASS(NSDateFormatter));
}

static const struct abx_objc_method methods[] = {
        METHOD("stringFromDate:", "@@:@", string_from_date),
        METHOD("dateFromString:", "@@:@", date_from_string),
        METHOD("dateFormat", "@@:", get_format),
        METHOD("setDateFormat:", "v@:@", set_format),
        METHOD("timeZone", "@@:", get_zone),
        METHOD("setTimeZone:", "v@:@", set_zone),
        METHOD("locale", "@@:", get_locale),
        METHOD("setLocale:", "v@:@", set_locale),
        METHOD("dateStyle", "Q@:", get_date_style),
        METHOD("setDateStyle:", "v@:Q", set_date_style),
        METHOD("timeStyle", "Q@:", get_time_style),
        METHOD("setTimeStyle:", "v@:Q", set_time_style),
        METHOD("dealloc", "v@:", formatter_dealloc),
        {NULL},
};
static const struct abx_objc_method class_methods[] = {
        METHOD("localizedStringFromDate:dateStyle:timeStyle:", "@@:@QQ", localized),
        {NULL},
};

__attribute__((constructor(102))) static void define(void)
{
    static const struct abx_objc_method zone_methods[] = {
            METHOD("secondsFromGMT", "q@:", zone_seconds), METHOD("name", "@@:", zone_get_name),
            {NULL}};
    static const struct abx_objc_method zone_class[] = {METHOD("localTimeZone", "@@:", zone_local),
            METHOD("systemTimeZone", "@@:", zone_local),
            METHOD("defaultTimeZone", "@@:", zone_local),
            METHOD("timeZoneForSecondsFromGMT:", "@@:q", zone_offset),
            METHOD("timeZoneWithName:", "@@:@", zone_name),
            METHOD("timeZoneWithAbbreviation:", "@@:@", zone_name), {NULL}};
    DEFINE(NSTimeZone, NSObject, struct zone, zone_methods, zone_class);
    DEFINE(NSDateFormatter, NSObject, struct formatter, methods, class_methods);
}
