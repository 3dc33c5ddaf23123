/* foundation: NSFileHandle and NSPipe. Guest's process; trusts it. */
#include "foundation/foundation_internal.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

ABX_OBJC_CLASS(NSFileHandle)
ABX_OBJC_CLASS(NSPipe)

struct handle {
    Class isa;
    int fd; /* -1: closed */
    bool close_on_dealloc;
};

static struct handle *inner(id self)
{
    return (struct handle *)self;
}

static id init_fd_close(id self, SEL cmd, int fd, BOOL close_on_dealloc)
{
    inner(self)->fd = fd;
    inner(self)->close_on_dealloc = close_on_dealloc;
    return self;
}

static id init_fd(id self, SEL cmd, int fd)
{
    return init_fd_close(self, cmd, fd, NO);
}

static id open_path(const char *path, int flags)
{
    int fd = path ? open(path, flags | O_CLOEXEC) : -1;
    return fd < 0 ? nil
                  : objc_autorelease(init_fd_close(
                            class_createInstance(ABX_CLASS(NSFileHandle), 0), NULL, fd, YES));
}

static id for_reading(id cls, SEL cmd, id path)
{
    return open_path(abx_ns_string_utf8(path), O_RDONLY);
}

static id for_writing(id cls, SEL cmd, id path)
{
    return open_path(abx_ns_string_utf8(path), O_WRONLY);
}

static id for_updating(id cls, SEL cmd, id path)
{
    return open_path(abx_ns_string_utf8(path), O_RDWR);
}

static id open_url(id url, int flags, id *error)
{
    id handle = open_path(abx_ns_url_path(url), flags);
    if (!handle && error)
        *error = abx_ns_errno_error(errno, abx_ns_url_path(url));
    return handle;
}

static id url_reading(id cls, SEL cmd, id url, id *error)
{
    return open_url(url, O_RDONLY, error);
}

static id url_writing(id cls, SEL cmd, id url, id *error)
{
    return open_url(url, O_WRONLY, error);
}

static id url_updating(id cls, SEL cmd, id url, id *error)
{
    return open_url(url, O_RDWR, error);
}

static id standard(int fd)
{
    static id handles[3];
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&lock);
    if (!handles[fd])
        handles[fd] = init_fd(class_createInstance(ABX_CLASS(NSFileHandle), 0), NULL, fd);
    pthread_mutex_unlock(&lock);
    return handles[fd];
}

static id standard_input(id cls, SEL cmd)
{
    return standard(0);
}

static id standard_output(id cls, SEL cmd)
{
    return standard(1);
}

static id standard_error(id cls, SEL cmd)
{
    return standard(2);
}

static id null_device(id cls, SEL cmd)
{
    return open_path("/dev/null", O_RDWR);
}

/* ---- reading and writing: with an NSError, or an exception for the older methods */

static abx_objc_bool failed(id *error)
{
    if (error)
        *error = abx_ns_errno_error(errno, NULL);
    return 0;
}

static id read_some(id self, size_t most, bool all, id *error)
{
    struct abx_string bytes = {0};
    char buffer[65536];
    ssize_t n = 1;
    while (most && n > 0) {
        n = read(inner(self)->fd, buffer, most < sizeof buffer ? most : sizeof buffer);
        if (n < 0 && errno == EINTR) {
            n = 1;
            continue;
        }
        if (n > 0) {
            abx_string_add(&bytes, buffer, (size_t)n);
            most -= (size_t)n;
        }
        if (!all)
            break;
    }
    id data = n < 0 ? nil : abx_ns_data(bytes.data, bytes.length);
    if (n < 0)
        failed(error);
    abx_string_finish(&bytes);
    return data;
}

static id read_to_end_error(id self, SEL cmd, id *error)
{
    return read_some(self, SIZE_MAX, true, error);
}

static id read_up_to_error(id self, SEL cmd, NSUInteger length, id *error)
{
    return read_some(self, length, true, error);
}

static id or_raise(id data)
{
    if (!data)
        abx_ns_raise(
                "NSFileHandleOperationException", "-[NSFileHandle readData]: %s", strerror(errno));
    return data;
}

static id read_to_end(id self, SEL cmd)
{
    return or_raise(read_some(self, SIZE_MAX, true, NULL));
}

static id read_length(id self, SEL cmd, NSUInteger length)
{
    return or_raise(read_some(self, length, true, NULL));
}

static id available_data(id self, SEL cmd)
{
    return or_raise(read_some(self, 65536, false, NULL));
}

static abx_objc_bool write_error(id self, SEL cmd, id data, id *error)
{
    const char *bytes = abx_ns_data_bytes(data);
    size_t left = abx_ns_data_length(data);
    while (left) {
        ssize_t n = write(inner(self)->fd, bytes, left);
        if (n < 0 && errno != EINTR)
            return failed(error);
        if (n > 0) {
            bytes += n;
            left -= (size_t)n;
        }
    }
    return 1;
}

static void write_data(id self, SEL cmd, id data)
{
    if (!write_error(self, cmd, data, NULL))
        abx_ns_raise("NSFileHandleOperationException", "-[NSFileHandle writeData:]: %s",
                strerror(errno));
}

static unsigned long long offset_in_file(id self, SEL cmd)
{
    off_t at = lseek(inner(self)->fd, 0, SEEK_CUR);
    return at < 0 ? 0 : (unsigned long long)at;
}

static unsigned long long seek_to_end(id self, SEL cmd)
{
    off_t at = lseek(inner(self)->fd, 0, SEEK_END);
    return at < 0 ? 0 : (unsigned long long)at;
}

static void seek_to(id self, SEL cmd, unsigned long long offset)
{
    lseek(inner(self)->fd, (off_t)offset, SEEK_SET);
}

static abx_objc_bool seek_error(id self, SEL cmd, unsigned long long offset, id *error)
{
    return lseek(inner(self)->fd, (off_t)offset, SEEK_SET) < 0 ? failed(error) : 1;
}

static abx_objc_bool seek_end_error(id self, SEL cmd, unsigned long long *ret_offset, id *error)
{
    off_t at = lseek(inner(self)->fd, 0, SEEK_END);
    if (at >= 0 && ret_offset)
        *ret_offset = (unsigned long long)at;
    return at < 0 ? failed(error) : 1;
}

static abx_objc_bool truncate_error(id self, SEL cmd, unsigned long long length, id *error)
{
    if (ftruncate(inner(self)->fd, (off_t)length) < 0)
        return failed(error);
    return seek_error(self, cmd, length, error);
}

static void truncate_at(id self, SEL cmd, unsigned long long length)
{
    truncate_error(self, cmd, length, NULL);
}

static abx_objc_bool synchronize_error(id self, SEL cmd, id *error)
{
    return fsync(inner(self)->fd) < 0 && errno != EINVAL && errno != EROFS ? failed(error) : 1;
}

static void synchronize(id self, SEL cmd)
{
    synchronize_error(self, cmd, NULL);
}

static abx_objc_bool close_error(id self, SEL cmd, id *error)
{
    int fd = inner(self)->fd;
    inner(self)->fd = -1;
    return fd >= 0 && close(fd) < 0 ? failed(error) : 1;
}

static void close_file(id self, SEL cmd)
{
    close_error(self, cmd, NULL);
}

static int get_fd(id self, SEL cmd)
{
    return inner(self)->fd;
}

static void handle_dealloc(id self, SEL cmd)
{
    if (inner(self)->close_on_dealloc)
        close_file(self, cmd);
    abx_objc_dealloc_super(self, ABX_CLASS(NSFileHandle));
}

/* ---- NSPipe */

struct ns_pipe {
    Class isa;
    id ends[2];
};

static id pipe_init(id self, SEL cmd)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0) {
        objc_release(self);
        return nil;
    }
    for (int i = 0; i < 2; i++)
        ((struct ns_pipe *)self)->ends[i] =
                init_fd_close(class_createInstance(ABX_CLASS(NSFileHandle), 0), cmd, fds[i], YES);
    return self;
}

static id pipe_new(id cls, SEL cmd)
{
    return objc_autorelease(pipe_init(class_createInstance(ABX_CLASS(NSPipe), 0), cmd));
}

static id pipe_reading(id self, SEL cmd)
{
    return ((struct ns_pipe *)self)->ends[0];
}

static id pipe_writing(id self, SEL cmd)
{
    return ((struct ns_pipe *)self)->ends[1];
}

static void pipe_dealloc(id self, SEL cmd)
{
    objc_release(((struct ns_pipe *)self)->ends[0]);
    objc_release(((struct ns_pipe *)self)->ends[1]);
    abx_objc_dealloc_super(self, ABX_CLASS(NSPipe));
}

static const struct abx_objc_method methods[] = {
        METHOD("initWithFileDescriptor:", "@@:i", init_fd),
        METHOD("initWithFileDescriptor:closeOnDealloc:", "@@:iB", init_fd_close),
        METHOD("fileDescriptor", "i@:", get_fd),
        METHOD("availableData", "@@:", available_data),
        METHOD("readDataToEndOfFile", "@@:", read_to_end),
        METHOD("readDataOfLength:", "@@:Q", read_length),
        METHOD("readDataToEndOfFileAndReturnError:", "@@:^@", read_to_end_error),
        METHOD("readDataUpToLength:error:", "@@:Q^@", read_up_to_error),
        METHOD("writeData:", "v@:@", write_data),
        METHOD("writeData:error:", "B@:@^@", write_error),
        METHOD("offsetInFile", "Q@:", offset_in_file),
        METHOD("seekToEndOfFile", "Q@:", seek_to_end),
        METHOD("seekToFileOffset:", "v@:Q", seek_to),
        METHOD("seekToOffset:error:", "B@:Q^@", seek_error),
        METHOD("seekToEndReturningOffset:error:", "B@:^Q^@", seek_end_error),
        METHOD("truncateFileAtOffset:", "v@:Q", truncate_at),
        METHOD("truncateAtOffset:error:", "B@:Q^@", truncate_error),
        METHOD("synchronizeFile", "v@:", synchronize),
        METHOD("synchronizeAndReturnError:", "B@:^@", synchronize_error),
        METHOD("closeFile", "v@:", close_file),
        METHOD("closeAndReturnError:", "B@:^@", close_error),
        METHOD("dealloc", "v@:", handle_dealloc),
        {NULL},
};
static const struct abx_objc_method class_methods[] = {
        METHOD("fileHandleForReadingAtPath:", "@@:@", for_reading),
        METHOD("fileHandleForWritingAtPath:", "@@:@", for_writing),
        METHOD("fileHandleForUpdatingAtPath:", "@@:@", for_updating),
        METHOD("fileHandleForReadingFromURL:error:", "@@:@^@", url_reading),
        METHOD("fileHandleForWritingToURL:error:", "@@:@^@", url_writing),
        METHOD("fileHandleForUpdatingURL:error:", "@@:@^@", url_updating),
        METHOD("fileHandleWithStandardInput", "@@:", standard_input),
        METHOD("fileHandleWithStandardOutput", "@@:", standard_output),
        METHOD("fileHandleWithStandardError", "@@:", standard_error),
        METHOD("fileHandleWithNullDevice", "@@:", null_device),
        {NULL},
};

__attribute__((constructor(102))) static void define(void)
{
    static const struct abx_objc_method pipe_methods[] = {METHOD("init", "@@:", pipe_init),
            METHOD("fileHandleForReading", "@@:", pipe_reading),
            METHOD("fileHandleForWriting", "@@:", pipe_writing),
            METHOD("dealloc", "v@:", pipe_dealloc), {NULL}};
    static const struct abx_objc_method pipe_class[] = {METHOD("pipe", "@@:", pipe_new), {NULL}};
    DEFINE(NSFileHandle, NSObject, struct handle, methods, class_methods);
    DEFINE(NSPipe, NSObject, struct ns_pipe, pipe_methods, pipe_class);
}
