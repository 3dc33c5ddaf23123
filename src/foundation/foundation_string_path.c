/* foundation: NSString as a file path. Guest's process; trusts it. */
#include "foundation/foundation_internal.h"

#include <pwd.h>
#include <unistd.h>

/* Length without trailing slashes; "/" stays. */
static size_t trimmed_length(struct text t)
{
    size_t length = t.length;
    while (length > 1 && t.data[length - 1] == '/')
        length--;
    return length;
}

/* Where the last component begins. */
static size_t last_start(struct text t, size_t length)
{
    size_t at = length;
    while (at > 0 && t.data[at - 1] != '/')
        at--;
    return at;
}

static id last_component(id self, SEL cmd)
{
    struct text t = abx_ns_text(self);
    size_t length = trimmed_length(t), at = last_start(t, length);
    if (length == 1 && t.data[0] == '/')
        return abx_ns_string("/");
    return abx_ns_string_bytes(t.data + at, length - at);
}

static id deleting_last_component(id self, SEL cmd)
{
    struct text t = abx_ns_text(self);
    size_t length = trimmed_length(t), at = last_start(t, length);
    while (at > 1 && t.data[at - 1] == '/')
        at--;
    if (length == 1 && t.data[0] == '/')
        at = 1;
    return abx_ns_string_bytes(t.data, at);
}

static id appending_component(id self, SEL cmd, id component)
{
    struct text t = abx_ns_text(self), c = abx_ns_text(component);
    struct abx_string out = {0};
    size_t length = trimmed_length(t);
    abx_string_add(&out, t.data, length);
    while (c.length && *c.data == '/') {
        c.data++;
        c.length--;
    }
    if (length && c.length && t.data[length - 1] != '/')
        abx_string_add(&out, "/", 1);
    abx_string_add(&out, c.data, c.length);
    id result = abx_ns_string_bytes(
            out.data ? out.data : "", trimmed_length((struct text){out.data, out.length, false}));
    abx_string_finish(&out);
    return result;
}

/* Where ".ext" begins in the last component, or its end. */
static size_t extension_start(struct text t, size_t length)
{
    size_t first = last_start(t, length);
    for (size_t at = length; at > first + 1; at--)
        if (t.data[at - 1] == '.')
            return at - 1;
    return length;
}

static id path_extension(id self, SEL cmd)
{
    struct text t = abx_ns_text(self);
    size_t length = trimmed_length(t), at = extension_start(t, length);
    return at >= length ? abx_ns_string("") : abx_ns_string_bytes(t.data + at + 1, length - at - 1);
}

static id deleting_extension(id self, SEL cmd)
{
    struct text t = abx_ns_text(self);
    return abx_ns_string_bytes(t.data, extension_start(t, trimmed_length(t)));
}

static id appending_extension(id self, SEL cmd, id extension)
{
    struct text t = abx_ns_text(self), e = abx_ns_text(extension);
    return abx_ns_string_printf("%.*s.%.*s", (int)trimmed_length(t), t.data, (int)e.length, e.data);
}

static id path_components(id self, SEL cmd)
{
    struct text t = abx_ns_text(self);
    id result = abx_ns_mutable_array();
    if (t.length && t.data[0] == '/')
        abx_ns_array_add(result, abx_ns_string("/"));
    for (size_t at = 0; at < t.length;) {
        size_t length = 0;
        while (at + length < t.length && t.data[at + length] != '/')
            length++;
        if (length)
            abx_ns_array_add(result, abx_ns_string_bytes(t.data + at, length));
        at += length + 1;
    }
    if (t.length > 1 && t.data[t.length - 1] == '/')
        abx_ns_array_add(result, abx_ns_string("/"));
    return result;
}

static id path_with_components(id cls, SEL cmd, id components)
{
    id path = abx_ns_string("");
    for (NSUInteger i = 0; i < abx_ns_array_count(components); i++) {
        id part = abx_ns_array_at(components, i);
        if (i == 0 && abx_ns_string_equal(part, abx_ns_string("/")))
            path = part;
        else
            path = appending_component(path, cmd, part);
    }
    return path;
}

static abx_objc_bool is_absolute(id self, SEL cmd)
{
    struct text t = abx_ns_text(self);
    return t.length && (t.data[0] == '/' || t.data[0] == '~');
}

static const char *home_folder(void)
{
    const char *home = getenv("HOME");
    if (home && *home)
        return home;
    struct passwd *entry = getpwuid(getuid());
    return entry ? entry->pw_dir : "/";
}

static id expanding_tilde(id self, SEL cmd)
{
    struct text t = abx_ns_text(self);
    if (!t.length || t.data[0] != '~' || (t.length > 1 && t.data[1] != '/'))
        return objc_autorelease(abx_ns_copy(self));
    return abx_ns_string_printf("%s%s", home_folder(), t.data + 1);
}

static id abbreviating_tilde(id self, SEL cmd)
{
    struct text t = abx_ns_text(self);
    const char *home = home_folder();
    size_t length = strlen(home);
    if (length > 1 && t.length >= length && memcmp(t.data, home, length) == 0 &&
            (t.data[length] == '/' || t.data[length] == '\0'))
        return abx_ns_string_printf("~%s", t.data + length);
    return objc_autorelease(abx_ns_copy(self));
}

/* Takes out "." and "..", doubled slashes and the trailing one; links are left alone. */
static id standardizing(id self, SEL cmd)
{
    id parts = path_components(expanding_tilde(self, cmd), cmd), kept = abx_ns_mutable_array();
    bool absolute = is_absolute(self, cmd);
    for (NSUInteger i = 0; i < abx_ns_array_count(parts); i++) {
        id part = abx_ns_array_at(parts, i);
        const char *name = abx_ns_string_utf8(part);
        if (strcmp(name, ".") == 0 || (strcmp(name, "/") == 0 && i))
            continue;
        if (strcmp(name, "..") == 0 && absolute) {
            if (abx_ns_array_count(kept) > 1)
                ABX_MSG(void, (id, SEL), kept, "removeLastObject");
            continue;
        }
        abx_ns_array_add(kept, part);
    }
    return path_with_components(nil, cmd, kept);
}

static id resolving_links(id self, SEL cmd)
{
    char *real = realpath(abx_ns_text(self).data, NULL);
    id result = real ? abx_ns_string(real) : standardizing(self, cmd);
    free(real);
    return result;
}

static id adding_percent_encoding(id self, SEL cmd, id allowed)
{
    struct text t = abx_ns_text(self);
    struct abx_string out = {0};
    for (size_t i = 0; i < t.length; i++) {
        uint8_t c = (uint8_t)t.data[i];
        if (c < 0x80 && abx_ns_character_set_has(allowed, c))
            abx_string_add(&out, &t.data[i], 1);
        else
            abx_string_printf(&out, "%%%02X", c);
    }
    id result = abx_ns_string_bytes(out.data ? out.data : "", out.length);
    abx_string_finish(&out);
    return result;
}

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static id removing_percent_encoding(id self, SEL cmd)
{
    struct text t = abx_ns_text(self);
    char *out = abx_ns_allocate(t.length + 1);
    size_t n = 0;
    for (size_t i = 0; i < t.length; i++) {
        if (t.data[i] != '%') {
            out[n++] = t.data[i];
            continue;
        }
        int high = i + 2 < t.length ? hex(t.data[i + 1]) : -1;
        int low = high >= 0 ? hex(t.data[i + 2]) : -1;
        if (low < 0) {
            free(out);
            return nil;
        }
        out[n++] = (char)(high << 4 | low);
        i += 2;
    }
    id result = abx_ns_is_utf8(out, n) ? abx_ns_string_bytes(out, n) : nil;
    free(out);
    return result;
}

const struct abx_objc_method abx_ns_string_path_methods[] = {
        METHOD("lastPathComponent", "@@:", last_component),
        METHOD("stringByDeletingLastPathComponent", "@@:", deleting_last_component),
        METHOD("stringByAppendingPathComponent:", "@@:@", appending_component),
        METHOD("pathExtension", "@@:", path_extension),
        METHOD("stringByDeletingPathExtension", "@@:", deleting_extension),
        METHOD("stringByAppendingPathExtension:", "@@:@", appending_extension),
        METHOD("pathComponents", "@@:", path_components),
        METHOD("isAbsolutePath", "B@:", is_absolute),
        METHOD("stringByExpandingTildeInPath", "@@:", expanding_tilde),
        METHOD("stringByAbbreviatingWithTildeInPath", "@@:", abbreviating_tilde),
        METHOD("stringByStandardizingPath", "@@:", standardizing),
        METHOD("stringByResolvingSymlinksInPath", "@@:", resolving_links),
        METHOD("stringByAddingPercentEncodingWithAllowedCharacters:", "@@:@",
                adding_percent_encoding),
        METHOD("stringByRemovingPercentEncoding", "@@:", removing_percent_encoding),
        {NULL},
};
const struct abx_objc_method abx_ns_string_path_class_methods[] = {
        METHOD("pathWithComponents:", "@@:@", path_with_components),
        {NULL},
};
