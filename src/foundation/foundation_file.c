/* foundation: NSFileManager. Guest's process; trusts it. */
#include "foundation/foundation_internal.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

ABX_OBJC_CLASS(NSFileManager)

ABX_NS_CONSTANT(NSFileType, "NSFileType")
ABX_NS_CONSTANT(NSFileSize, "NSFileSize")
ABX_NS_CONSTANT(NSFileModificationDate, "NSFileModificationDate")
ABX_NS_CONSTANT(NSFilePosixPermissions, "NSFilePosixPermissions")
ABX_NS_CONSTANT(NSFileTypeDirectory, "NSFileTypeDirectory")
ABX_NS_CONSTANT(NSFileTypeRegular, "NSFileTypeRegular")
ABX_NS_CONSTANT(NSFileTypeSymbolicLink, "NSFileTypeSymbolicLink")
ABX_NS_CONSTANT(NSFileTypeUnknown, "NSFileTypeUnknown")

static id manager;

static id shared(id cls, SEL cmd)
{
    return manager;
}

static const char *text(id path)
{
    return path ? abx_ns_string_utf8(path) : "";
}

/* 1, or 0 with *error filled. */
static abx_objc_bool outcome(int r, id path, id *error)
{
    if (r < 0 && error)
        *error = abx_ns_errno_error(errno, text(path));
    return r >= 0;
}

static abx_objc_bool exists_directory(id self, SEL cmd, id path, BOOL *ret_directory)
{
    struct stat info;
    bool found = path && stat(text(path), &info) == 0;
    if (ret_directory)
        *ret_directory = found && S_ISDIR(info.st_mode);
    return found;
}

static abx_objc_bool exists(id self, SEL cmd, id path)
{
    return exists_directory(self, cmd, path, NULL);
}

static abx_objc_bool readable(id self, SEL cmd, id path)
{
    return path && access(text(path), R_OK) == 0;
}

static abx_objc_bool writable(id self, SEL cmd, id path)
{
    return path && access(text(path), W_OK) == 0;
}

static abx_objc_bool executable(id self, SEL cmd, id path)
{
    return path && access(text(path), X_OK) == 0;
}

static id attributes(id self, SEL cmd, id path, id *error)
{
    struct stat info;
    if (!outcome(lstat(text(path), &info), path, error))
        return nil;
    id result = abx_ns_mutable_dictionary();
    abx_ns_dictionary_set(result, NSFileType,
            S_ISDIR(info.st_mode)   ? NSFileTypeDirectory
            : S_ISREG(info.st_mode) ? NSFileTypeRegular
            : S_ISLNK(info.st_mode) ? NSFileTypeSymbolicLink
                                    : NSFileTypeUnknown);
    abx_ns_dictionary_set(result, NSFileSize, abx_ns_number_uint((uint64_t)info.st_size));
    abx_ns_dictionary_set(result, NSFilePosixPermissions, abx_ns_number_int(info.st_mode & 07777));
    abx_ns_dictionary_set(result, NSFileModificationDate,
            ABX_MSG(id, (id, SEL, double), (id)objc_getClass("NSDate"),
                    "dateWithTimeIntervalSince1970:",
                    (double)info.st_mtim.tv_sec + (double)info.st_mtim.tv_nsec / 1e9));
    return result;
}

static id link_destination(id self, SEL cmd, id path, id *error)
{
    char to[PATH_MAX];
    ssize_t length = readlink(text(path), to, sizeof(to));
    return outcome((int)length, path, error) ? abx_ns_string_bytes(to, (size_t)length) : nil;
}

static id contents_of_directory(id self, SEL cmd, id path, id *error)
{
    DIR *folder = opendir(text(path));
    if (!outcome(folder ? 0 : -1, path, error))
        return nil;
    id result = abx_ns_mutable_array();
    for (struct dirent *entry; (entry = readdir(folder));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            abx_ns_array_add(result, abx_ns_string(entry->d_name));
    closedir(folder);
    return result;
}

static int make_directory(const char *path, bool parents)
{
    char part[PATH_MAX];
    if (!parents)
        return mkdir(path, 0777);
    size_t length = strlen(path);
    if (length >= sizeof(part)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    for (size_t i = 1; i <= length; i++) {
        if (i < length && path[i] != '/')
            continue;
        snprintf(part, sizeof(part), "%.*s", (int)i, path);
        if (mkdir(part, 0777) < 0 && errno != EEXIST)
            return -1;
    }
    struct stat info;
    if (stat(path, &info) == 0 && !S_ISDIR(info.st_mode)) {
        errno = EEXIST;
        return -1;
    }
    return 0;
}

static abx_objc_bool create_directory(
        id self, SEL cmd, id path, BOOL parents, id dictionary, id *error)
{
    return outcome(make_directory(text(path), parents), path, error);
}

static abx_objc_bool create_file(id self, SEL cmd, id path, id data, id dictionary)
{
    data = data ? data : abx_ns_data("", 0);
    return ABX_MSG(BOOL, (id, SEL, id, BOOL), data, "writeToFile:atomically:", path, (BOOL)NO);
}

static id contents(id self, SEL cmd, id path)
{
    return ABX_MSG(id, (id, SEL, id), (id)ABX_CLASS(NSData), "dataWithContentsOfFile:", path);
}

static int remove_tree(const char *path)
{
    struct stat info;
    if (lstat(path, &info) < 0)
        return -1;
    if (!S_ISDIR(info.st_mode))
        return unlink(path);
    DIR *folder = opendir(path);
    if (!folder)
        return -1;
    int r = 0;
    for (struct dirent *entry; r == 0 && (entry = readdir(folder));) {
        char inside[PATH_MAX];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (snprintf(inside, sizeof(inside), "%s/%s", path, entry->d_name) >= PATH_MAX) {
            errno = ENAMETOOLONG;
            r = -1;
        } else {
            r = remove_tree(inside);
        }
    }
    closedir(folder);
    return r == 0 ? rmdir(path) : r;
}

static abx_objc_bool remove_item(id self, SEL cmd, id path, id *error)
{
    return outcome(remove_tree(text(path)), path, error);
}

static abx_objc_bool remove_url(id self, SEL cmd, id url, id *error)
{
    return remove_item(self, cmd, abx_ns_string(abx_ns_url_path(url)), error);
}

static abx_objc_bool move_item(id self, SEL cmd, id from, id to, id *error)
{
    if (access(text(to), F_OK) == 0) {
        errno = EEXIST;
        return outcome(-1, to, error);
    }
    return outcome(rename(text(from), text(to)), from, error);
}

static id current_directory(id self, SEL cmd)
{
    char path[PATH_MAX];
    return getcwd(path, sizeof(path)) ? abx_ns_string(path) : nil;
}

static abx_objc_bool change_directory(id self, SEL cmd, id path)
{
    return chdir(text(path)) == 0;
}

static id temporary_directory(id self, SEL cmd)
{
    const char *folder = getenv("TMPDIR");
    return abx_ns_url_file(folder && *folder ? folder : "/tmp");
}

static const char *representation(id self, SEL cmd, id path)
{
    return text(path);
}

OBJC_EXPORT id NSSearchPathForDirectoriesInDomains(NSUInteger folder, NSUInteger mask, BOOL expand);
id NSSearchPathForDirectoriesInDomains(NSUInteger folder, NSUInteger mask, BOOL expand)
{
    enum { LIBRARY = 5, DOCUMENTS = 9, DESKTOP = 12, CACHES = 13, SUPPORT = 14, DOWNLOADS = 15 };
    const char *path = folder == LIBRARY     ? "~/.local/lib"
                       : folder == DOCUMENTS ? "~/Documents"
                       : folder == DESKTOP   ? "~/Desktop"
                       : folder == CACHES    ? "~/.cache"
                       : folder == SUPPORT   ? "~/.local/share"
                       : folder == DOWNLOADS ? "~/Downloads"
                                             : NULL;
    if (!path)
        return abx_ns_array(NULL, 0);
    id result = abx_ns_string(path);
    if (expand)
        result = ABX_MSG(id, (id, SEL), result, "stringByExpandingTildeInPath");
    return abx_ns_array(&result, 1);
}

static const struct abx_objc_method methods[] = {
        METHOD("fileExistsAtPath:", "B@:@", exists),
        METHOD("fileExistsAtPath:isDirectory:", "B@:@^B", exists_directory),
        METHOD("isReadableFileAtPath:", "B@:@", readable),
        METHOD("isWritableFileAtPath:", "B@:@", writable),
        METHOD("isExecutableFileAtPath:", "B@:@", executable),
        METHOD("attributesOfItemAtPath:error:", "@@:@^@", attributes),
        METHOD("destinationOfSymbolicLinkAtPath:error:", "@@:@^@", link_destination),
        METHOD("contentsOfDirectoryAtPath:error:", "@@:@^@", contents_of_directory),
        METHOD("createDirectoryAtPath:withIntermediateDirectories:attributes:error:", "B@:@B@^@",
                create_directory),
        METHOD("createFileAtPath:contents:attributes:", "B@:@@@", create_file),
        METHOD("contentsAtPath:", "@@:@", contents),
        METHOD("removeItemAtPath:error:", "B@:@^@", remove_item),
        METHOD("removeItemAtURL:error:", "B@:@^@", remove_url),
        METHOD("moveItemAtPath:toPath:error:", "B@:@@^@", move_item),
        METHOD("currentDirectoryPath", "@@:", current_directory),
        METHOD("changeCurrentDirectoryPath:", "B@:@", change_directory),
        METHOD("temporaryDirectory", "@@:", temporary_directory),
        METHOD("fileSystemRepresentationWithPath:", "r*@:@", representation),
        {NULL},
};
static const struct abx_objc_method class_methods[] = {
        METHOD("defaultManager", "@@:", shared),
        {NULL},
};

__attribute__((constructor(102))) static void define(void)
{
    DEFINE(NSFileManager, NSObject, Class, methods, class_methods);
    manager = class_createInstance(ABX_CLASS(NSFileManager), 0);
}
