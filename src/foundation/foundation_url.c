/* foundation: NSURL: file URLs, and enough of the others to carry them about. Guest's process;
 * trusts it. */
#include "foundation/foundation_internal.h"

#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

ABX_OBJC_CLASS(NSURL)

struct ns_url {
    Class isa;
    id text; /* the whole URL */
    id path; /* decoded; nil when it has none */
    bool directory;
};

static struct ns_url *inner(id self)
{
    return (struct ns_url *)self;
}

static id percent_encode(const char *path)
{
    struct abx_string out = {0};
    abx_string_add(&out, "file://", 7);
    for (; *path; path++) {
        uint8_t c = (uint8_t)*path;
        if (c < 0x80 && (strchr("/-._~!$&'()*+,;=:@", c) || (c >= '0' && c <= '9') ||
                                (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')))
            abx_string_add(&out, path, 1);
        else
            abx_string_printf(&out, "%%%02X", c);
    }
    id result = abx_ns_string_new(ABX_CLASS(NSString), out.data, out.length);
    abx_string_finish(&out);
    return result;
}

static id init_path_directory(id self, SEL cmd, id path, BOOL is_directory)
{
    struct text t = abx_ns_text(path);
    struct abx_string whole = {0};
    char folder[PATH_MAX];
    if (!path)
        abx_ns_raise_argument("-[NSURL initFileURLWithPath:]: nil string parameter");
    if (t.length == 0 || t.data[0] != '/') {
        if (!getcwd(folder, sizeof(folder)))
            strcpy(folder, "/");
        abx_string_printf(&whole, "%s%s", folder, strcmp(folder, "/") ? "/" : "");
    }
    size_t length = t.length;
    while (length > 1 && t.data[length - 1] == '/') {
        length--;
        is_directory = YES;
    }
    abx_string_add(&whole, t.data, length);
    struct ns_url *url = inner(self);
    url->path = abx_ns_string_new(ABX_CLASS(NSString), whole.data, whole.length);
    if (is_directory && whole.length > 1)
        abx_string_add(&whole, "/", 1);
    url->text = percent_encode(whole.data);
    url->directory = is_directory;
    abx_string_finish(&whole);
    return self;
}

/* A relative path lies in the folder of `base`, as a relative link does. */
static id init_path_base(id self, id path, bool is_directory, id base)
{
    struct text t = abx_ns_text(path);
    if (base && path && (!t.length || t.data[0] != '/')) {
        id folder = inner(base)->path;
        if (!inner(base)->directory)
            folder = ABX_MSG(id, (id, SEL), folder, "stringByDeletingLastPathComponent");
        path = ABX_MSG(id, (id, SEL, id), folder, "stringByAppendingPathComponent:", path);
    }
    return init_path_directory(self, NULL, path, is_directory);
}

static id init_path_directory_relative(id self, SEL cmd, id path, BOOL is_directory, id base)
{
    return init_path_base(self, path, is_directory, base);
}

static id init_representation(id self, SEL cmd, const char *path, BOOL is_directory, id base)
{
    return init_path_base(self, abx_ns_string(path), is_directory, base);
}

static id init_path(id self, SEL cmd, id path)
{
    struct stat info;
    const char *file = abx_ns_string_utf8(path);
    bool directory = file && stat(file, &info) == 0 && S_ISDIR(info.st_mode);
    return init_path_directory(self, cmd, path, directory);
}

/* scheme://host/path?query#fragment: the path, decoded. */
static id path_of_text(id text)
{
    const char *p = abx_ns_string_utf8(text);
    const char *colon = strchr(p, ':');
    const char *slash = strchr(p, '/');
    if (colon && (!slash || colon < slash))
        p = colon + 1;
    if (p[0] == '/' && p[1] == '/') {
        const char *start = strchr(p + 2, '/');
        if (!start)
            return nil;
        p = start;
    }
    size_t length = strcspn(p, "?#");
    while (length > 1 && p[length - 1] == '/')
        length--;
    id encoded = abx_ns_string_bytes(p, length);
    return ABX_MSG(id, (id, SEL), encoded, "stringByRemovingPercentEncoding");
}

static id init_string(id self, SEL cmd, id text)
{
    struct text t = abx_ns_text(text);
    if (!text || !t.length || memchr(t.data, ' ', t.length)) {
        objc_release(self);
        return nil;
    }
    inner(self)->text = abx_ns_copy(text);
    inner(self)->path = objc_retain(path_of_text(text));
    inner(self)->directory = t.data[t.length - 1] == '/';
    return self;
}

static id make(void)
{
    return class_createInstance(ABX_CLASS(NSURL), 0);
}

static id url_path(id cls, SEL cmd, id path)
{
    return objc_autorelease(init_path(make(), cmd, path));
}

static id url_path_directory(id cls, SEL cmd, id path, BOOL is_directory)
{
    return objc_autorelease(init_path_directory(make(), cmd, path, is_directory));
}

static id url_path_relative(id cls, SEL cmd, id path, id base)
{
    return objc_autorelease(init_path_base(make(), path, false, base));
}

static id url_path_directory_relative(id cls, SEL cmd, id path, BOOL is_directory, id base)
{
    return objc_autorelease(init_path_base(make(), path, is_directory, base));
}

static id url_representation(id cls, SEL cmd, const char *path, BOOL is_directory, id base)
{
    return objc_autorelease(init_representation(make(), cmd, path, is_directory, base));
}

/* text, relative to base: a whole URL, an absolute path, or a path in base's folder. */
static id init_string_base(id self, SEL cmd, id text, id base)
{
    const char *t = text ? abx_ns_string_utf8(text) : "";
    size_t scheme = strcspn(t, ":/?#");
    if (!base || t[scheme] == ':')
        return init_string(self, cmd, text);
    const char *whole = abx_ns_string_utf8(inner(base)->text);
    const char *authority = strstr(whole, "://");
    const char *path = authority ? authority + 3 + strcspn(authority + 3, "/?#") : whole;
    size_t length = (size_t)(path - whole), keep = 0;
    if (*t != '/')
        for (size_t i = 0; path[i] && !strchr("?#", path[i]); i++)
            keep = path[i] == '/' ? i + 1 : keep;
    return init_string(self, cmd,
            abx_ns_string_printf(
                    "%.*s%s%s", (int)(length + keep), whole, *t == '/' || keep ? "" : "/", t));
}

static id url_string_base(id cls, SEL cmd, id text, id base)
{
    return objc_autorelease(init_string_base(make(), cmd, text, base));
}

static id url_string(id cls, SEL cmd, id text)
{
    return objc_autorelease(init_string(make(), cmd, text));
}

id abx_ns_url_file(const char *path)
{
    return url_path(nil, NULL, abx_ns_string(path));
}

static abx_objc_bool is_file(id self, SEL cmd)
{
    return strncmp(abx_ns_string_utf8(inner(self)->text), "file:", 5) == 0;
}

const char *abx_ns_url_path(id url)
{
    return url && is_file(url, NULL) ? abx_ns_string_utf8(inner(url)->path) : NULL;
}

static id get_path(id self, SEL cmd)
{
    return inner(self)->path;
}

static id get_text(id self, SEL cmd)
{
    return inner(self)->text;
}

static id get_self(id self, SEL cmd)
{
    return self;
}

static id get_scheme(id self, SEL cmd)
{
    const char *text = abx_ns_string_utf8(inner(self)->text);
    size_t length = strcspn(text, ":/?#");
    return text[length] == ':' ? abx_ns_string_bytes(text, length) : nil;
}

static id get_host(id self, SEL cmd)
{
    const char *text = strstr(abx_ns_string_utf8(inner(self)->text), "://");
    size_t length = text ? strcspn(text + 3, ":/?#") : 0;
    return length ? abx_ns_string_bytes(text + 3, length) : nil;
}

static const char *file_system_representation(id self, SEL cmd)
{
    return abx_ns_string_utf8(inner(self)->path);
}

static abx_objc_bool get_representation(id self, SEL cmd, char *buffer, NSUInteger capacity)
{
    const char *path = abx_ns_url_path(self);
    size_t length = path ? strlen(path) : 0;
    if (!path || length >= capacity)
        return 0;
    memcpy(buffer, path, length + 1);
    return 1;
}

/* What stands behind `before` up to one of `ends`, nil: nothing does. */
static id part(id self, const char *before, const char *ends)
{
    const char *text = strpbrk(abx_ns_string_utf8(inner(self)->text), before);
    return text ? abx_ns_string_bytes(text + 1, strcspn(text + 1, ends)) : nil;
}

static id get_query(id self, SEL cmd)
{
    return part(self, "?", "#");
}

static id get_fragment(id self, SEL cmd)
{
    return part(self, "#", "");
}

static id get_port(id self, SEL cmd)
{
    const char *text = strstr(abx_ns_string_utf8(inner(self)->text), "://");
    size_t length = text ? strcspn(text + 3, ":/?#") : 0;
    return text && text[3 + length] == ':' ? abx_ns_number_int(atoi(text + 4 + length)) : nil;
}

static id get_nil(id self, SEL cmd)
{
    return nil; /* every URL is absolute */
}

static id last_component(id self, SEL cmd)
{
    return ABX_MSG(id, (id, SEL), inner(self)->path, "lastPathComponent");
}

static id path_extension(id self, SEL cmd)
{
    return ABX_MSG(id, (id, SEL), inner(self)->path, "pathExtension");
}

static id path_components(id self, SEL cmd)
{
    return ABX_MSG(id, (id, SEL), inner(self)->path, "pathComponents");
}

/* The same URL with another path. Only file URLs can be rebuilt so. */
static id with_path(id self, id path, bool directory)
{
    return url_path_directory(nil, NULL, path, directory);
}

static id appending_component(id self, SEL cmd, id component)
{
    struct text t = abx_ns_text(component);
    return with_path(self,
            ABX_MSG(id, (id, SEL, id), inner(self)->path,
                    "stringByAppendingPathComponent:", component),
            t.length && t.data[t.length - 1] == '/');
}

static id appending_component_directory(id self, SEL cmd, id component, BOOL directory)
{
    return with_path(self,
            ABX_MSG(id, (id, SEL, id), inner(self)->path,
                    "stringByAppendingPathComponent:", component),
            directory);
}

static id deleting_component(id self, SEL cmd)
{
    return with_path(self,
            ABX_MSG(id, (id, SEL), inner(self)->path, "stringByDeletingLastPathComponent"), true);
}

static id appending_extension(id self, SEL cmd, id extension)
{
    return with_path(self,
            ABX_MSG(id, (id, SEL, id), inner(self)->path,
                    "stringByAppendingPathExtension:", extension),
            false);
}

static id deleting_extension(id self, SEL cmd)
{
    return with_path(self,
            ABX_MSG(id, (id, SEL), inner(self)->path, "stringByDeletingPathExtension"), false);
}

static id standardized(id self, SEL cmd)
{
    return with_path(self, ABX_MSG(id, (id, SEL), inner(self)->path, "stringByStandardizingPath"),
            inner(self)->directory);
}

static abx_objc_bool has_directory_path(id self, SEL cmd)
{
    return inner(self)->directory;
}

static abx_objc_bool is_reachable(id self, SEL cmd, id *error)
{
    const char *path = abx_ns_url_path(self);
    if (path && access(path, F_OK) == 0)
        return 1;
    if (error)
        *error = abx_ns_errno_error(path ? errno : EINVAL, path);
    return 0;
}

static abx_objc_bool equal_urls(id self, SEL cmd, id other)
{
    return self == other || (abx_objc_is_kind_of(other, ABX_CLASS(NSURL)) &&
                                    abx_ns_string_equal(inner(self)->text, inner(other)->text));
}

static NSUInteger url_hash(id self, SEL cmd)
{
    return abx_ns_hash(inner(self)->text);
}

static void url_dealloc(id self, SEL cmd)
{
    objc_release(inner(self)->text);
    objc_release(inner(self)->path);
    abx_objc_dealloc_super(self, ABX_CLASS(NSURL));
}

static const struct abx_objc_method methods[] = {
        METHOD("initFileURLWithPath:", "@@:@", init_path),
        METHOD("initFileURLWithPath:isDirectory:", "@@:@B", init_path_directory),
        METHOD("initFileURLWithPath:isDirectory:relativeToURL:", "@@:@B@",
                init_path_directory_relative),
        METHOD("initFileURLWithFileSystemRepresentation:isDirectory:relativeToURL:", "@@:r*B@",
                init_representation),
        METHOD("initWithString:", "@@:@", init_string),
        METHOD("initWithString:relativeToURL:", "@@:@@", init_string_base),
        METHOD("baseURL", "@@:", get_nil),
        METHOD("query", "@@:", get_query),
        METHOD("fragment", "@@:", get_fragment),
        METHOD("port", "@@:", get_port),
        METHOD("path", "@@:", get_path),
        METHOD("absoluteString", "@@:", get_text),
        METHOD("relativeString", "@@:", get_text),
        METHOD("relativePath", "@@:", get_path),
        METHOD("absoluteURL", "@@:", get_self),
        METHOD("filePathURL", "@@:", get_self),
        METHOD("description", "@@:", get_text),
        METHOD("scheme", "@@:", get_scheme),
        METHOD("host", "@@:", get_host),
        METHOD("isFileURL", "B@:", is_file),
        METHOD("fileSystemRepresentation", "r*@:", file_system_representation),
        METHOD("getFileSystemRepresentation:maxLength:", "B@:*Q", get_representation),
        METHOD("lastPathComponent", "@@:", last_component),
        METHOD("pathExtension", "@@:", path_extension),
        METHOD("pathComponents", "@@:", path_components),
        METHOD("URLByAppendingPathComponent:", "@@:@", appending_component),
        METHOD("URLByAppendingPathComponent:isDirectory:", "@@:@B", appending_component_directory),
        METHOD("URLByDeletingLastPathComponent", "@@:", deleting_component),
        METHOD("URLByAppendingPathExtension:", "@@:@", appending_extension),
        METHOD("URLByDeletingPathExtension", "@@:", deleting_extension),
        METHOD("URLByStandardizingPath", "@@:", standardized),
        METHOD("URLByResolvingSymlinksInPath", "@@:", standardized),
        METHOD("hasDirectoryPath", "B@:", has_directory_path),
        METHOD("checkResourceIsReachableAndReturnError:", "B@:^@", is_reachable),
        METHOD("isEqual:", "B@:@", equal_urls),
        METHOD("hash", "Q@:", url_hash),
        METHOD("copyWithZone:", "@@:" ZONE, abx_ns_copy_immutable),
        METHOD("dealloc", "v@:", url_dealloc),
        {NULL},
};
static const struct abx_objc_method class_methods[] = {
        METHOD("fileURLWithPath:", "@@:@", url_path),
        METHOD("fileURLWithPath:isDirectory:", "@@:@B", url_path_directory),
        METHOD("fileURLWithPath:relativeToURL:", "@@:@@", url_path_relative),
        METHOD("fileURLWithPath:isDirectory:relativeToURL:", "@@:@B@", url_path_directory_relative),
        METHOD("fileURLWithFileSystemRepresentation:isDirectory:relativeToURL:", "@@:r*B@",
                url_representation),
        METHOD("URLWithString:", "@@:@", url_string),
        METHOD("URLWithString:relativeToURL:", "@@:@@", url_string_base),
        {NULL},
};

__attribute__((constructor(102))) static void define(void)
{
    DEFINE(NSURL, NSObject, struct ns_url, methods, class_methods, "NSCopying", "NSSecureCoding");
}
