/* base: what every module may use. Runs in every process; trusts nobody.
 *
 * Conventions kept everywhere: functions return 0 or a negative errno; `ret_` outputs are written
 * on success only; a failed allocation is an error like another, never an abort. */
#ifndef ABX_BASE_H
#define ABX_BASE_H

#include <assert.h>
#include <errno.h>
#include <linux/limits.h>
#include <stdarg.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define ABX_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define ABX_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define ABX_EXPORT __attribute__((visibility("default")))

static inline uint64_t abx_align_up(uint64_t value, uint64_t power_of_two)
{
    return (value + power_of_two - 1) & ~(power_of_two - 1);
}

/* True when [offset, offset + length) lies inside [0, size); no sum can overflow. */
static inline bool abx_range_ok(uint64_t offset, uint64_t length, uint64_t size)
{
    return length <= size && offset <= size - length;
}

/* ---- time: nanoseconds of CLOCK_MONOTONIC */
uint64_t abx_now_ns(void);

/* A clock by which a peer's silence is measured: it stands still while this process does not run
 * (stopped, frozen with its container, starved), since the peer may not have run either. All zeros
 * at first. */
struct abx_awake_clock {
    uint64_t looked_ns, awake_ns;
};
/* To be asked again within `step_ns`: of a longer pause no more than that counts. */
uint64_t abx_awake_ns(struct abx_awake_clock *clock, uint64_t step_ns);
/* Somebody who is asked now and then whether he still answers. All zeros: not asked yet. */
struct abx_heartbeat {
    bool asked;        /* and has not answered */
    uint64_t since_ns; /* of the last question, by the awake clock */
};
#define ABX_BEAT_NS 1000000000u  /* between two questions */
#define ABX_PATIENCE_SECONDS 30u /* without an answer: he is taken for lost */
/* What is to be done now, by the awake clock. */
enum abx_beat { ABX_BEAT_REST, ABX_BEAT_ASK, ABX_BEAT_LOST };
enum abx_beat abx_heartbeat_look(
        const struct abx_heartbeat *beat, uint64_t awake_ns, uint64_t patience_ns);
/* From ARCBOX_PATIENCE_SECONDS, else the default. */
uint64_t abx_patience_ns(void);

/* ---- files and memory */

/* An anonymous file of `bytes` zeros that can neither shrink nor grow (so that nobody can make the
 * other side fault by truncating it). Returns a close-on-exec descriptor the caller owns, or
 * -errno. */
int abx_memfd_create(const char *name, uint64_t bytes);

/* 0 when fd is an anonymous file sealed against shrinking, of at least `bytes`; else -errno.
 * The receiver of a memory file must call this before it maps one. */
int abx_memfd_check(int fd, uint64_t bytes);

/* Nobody writes to it from here on. -EBUSY while somebody has it mapped for writing. */
int abx_memfd_seal(int fd);
/* As abx_memfd_check(), and sealed against writing too: what is read twice is the same twice. Only
 * of ordinary memory, whose pages are there when they are touched. */
int abx_memfd_check_sealed(int fd, uint64_t bytes);

/* 0: an ordinary file on a file system of this machine's, open for reading, that has all pages of
 * [offset, offset + bytes) now; it may be written and cut by others at any time. Where a page fault
 * waits for somebody else's process or network (FUSE, NFS), -ENOTSUP. */
int abx_file_check_mappable(int fd, uint64_t offset, uint64_t bytes);

/* Whole-length read and write, retried over EINTR; 0 or -errno (-EPIPE at end of file). */
int abx_read_all(int fd, void *to, size_t length);
int abx_write_all(int fd, const void *from, size_t length);

/* Reads a whole file of at most `cap` bytes; *ret_data is NUL-terminated and the caller's to
 * free(). -EFBIG when it is longer. */
int abx_read_file(const char *path, size_t cap, void **ret_data, size_t *ret_length);
/* Makes a file, or empties one, only for its owner to read. */
int abx_write_file(const char *path, const void *data, size_t length);
int abx_read_fd(int fd, size_t cap, void **ret_data, size_t *ret_length);

/* Of a descriptor just made, or -1 with errno: the same file at 3 or above, close-on-exec, the old
 * one closed; or -1 with errno. A program that closed its standard streams gets 0 to 2 for the next
 * files, and what it prints then goes to those. */
int abx_fd_high(int fd);
/* For programs of ours, first of all: what is closed of 0 to 2 becomes /dev/null. */
void abx_fd_standard(void);

/* ---- NVIDIA's libraries (cuda_library.c) */

/* The first of these that is installed: names, those to take first, the last NULL. NULL: none is.
 * It is never closed. Before this process gives up rights. */
void *abx_open_cuda_library(const char *const names[]);
/* Of nvJitLink, which makes machine code of PTX. */
extern const char *const abx_assembler_libraries[];

/* ---- this process (process.c) */

#define ABX_OWN_PROGRAM "/proc/self/exe" /* to run once more */
/* The file that this process runs, as it was called then: " (deleted)" is behind it when it is gone
 * or another stands there. 0 or -errno. */
int abx_own_path(char ret_path[PATH_MAX]);
/* The folder that it is in; "" for the root. */
int abx_own_folder(char ret_path[PATH_MAX]);

/* "head: text\n", cut where it does not fit, and NUL-terminated; its length. For one write(), so
 * that the lines of several processes do not mix. `capacity` is at least 3. */
size_t abx_log_line(char *to, size_t capacity, const char *head, const char *format,
        va_list arguments) __attribute__((format(printf, 4, 0)));

/* ---- arrays */

/* Room for one more of `count` elements. False, with nothing changed, at `cap` elements or without
 * memory. */
bool abx_grow(void **array, uint32_t *capacity, uint32_t count, size_t element_bytes, uint32_t cap);

/* ---- sockets (SOCK_SEQPACKET) with descriptors */
#define ABX_SOCK_MAX_FDS 8

/* Sends one message. The descriptors stay the caller's. 0 or -errno. */
int abx_sock_send(int sock, const void *data, size_t length, const int *fds, unsigned fd_count);
/* The same, but never waits: -EAGAIN when the peer lets too much lie unread. */
int abx_sock_try_send(int sock, const void *data, size_t length, const int *fds, unsigned fd_count);

/* Receives one message: its length (0 at end of file) or -errno (-EMSGSIZE when it did not fit; the
 * descriptors are closed then). *ret_fd_count descriptors, close-on-exec, are the caller's. */
ssize_t abx_sock_receive(
        int sock, void *data, size_t capacity, int fds[ABX_SOCK_MAX_FDS], unsigned *ret_fd_count);

/* ---- futex on memory shared between processes. A read-only mapping may wait.
 * timeout_ns < 0 waits for ever. 0, -EAGAIN (value differed), -ETIMEDOUT or -EINTR. */
int abx_futex_wait(const uint32_t *word, uint32_t expected, int64_t timeout_ns);
void abx_futex_wake(const uint32_t *word, int waiters);

/* That this process may use; at least 1. */
unsigned abx_processors(void);

/* Of the calling thread, and of those that it makes: it runs for short moments, and is to run soon
 * when it is woken where other threads use up their slices. Nothing where the kernel has no such
 * thing (before 6.12). */
void abx_short_slices(void);

/* Threads that look for news without a pause ask after each `look`: the clock before and after a
 * few turns. Where that took so long that the thread cannot have run, for a whole slice or again
 * and again, others want the processor, and whoever looks does better to sleep, for a while:
 * abx_crowded(). Of the whole process. A short gap alone says nothing: hypervisors make some, too,
 * and what sleeps in a machine of theirs may be woken a quarter of a millisecond late. */
extern uint64_t abx_crowded_until; /* atomic */
#define ABX_CROWDED_GAP_NS 50000u
#define ABX_CROWDED_LOST_NS 1000000u /* by gaps of ABX_CROWDED_NS */
#define ABX_CROWDED_NS 50000000u
void abx_lost_processor(uint64_t before, uint64_t now);
static inline void abx_looked(uint64_t before, uint64_t now)
{
    if (__builtin_expect(now - before > ABX_CROWDED_GAP_NS, 0))
        abx_lost_processor(before, now);
}
static inline bool abx_crowded(uint64_t now)
{
    return now < __atomic_load_n(&abx_crowded_until, __ATOMIC_RELAXED);
}

/* How long threads look so before they sleep; to be woken takes 6 us, and in virtual machines up to
 * 250. LONG: with so many processors. DEVICE: with as many, where what is waited for is done by a
 * device that has processors of its own (the library of NVIDIA's driver never sleeps there, unless
 * asked to). */
#define ABX_LOOK_NS 50000u
#define ABX_LOOK_LONG_NS 400000u
#define ABX_LOOK_DEVICE_NS 16000000u
#define ABX_LOOK_CPUS 8u
/* own: the device has processors of its own. */
uint32_t abx_longest_look(bool own);

/* Threads that look for news call it beside abx_looked(), with when they began: after a moment
 * whoever else wants this processor goes first. It may be the one that the news is to come from:
 * woken here, though another processor was free, it would begin when nobody looks any more. */
#define ABX_POLITE_NS 3000u
static inline void abx_give_way(uint64_t began, uint64_t now)
{
    if (now - began >= ABX_POLITE_NS)
        sched_yield();
}

static inline void abx_cpu_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* ---- memory of this process's control group (memory_group.c) */

/* The folder of the group that limits this process's memory. False: there is none. */
bool abx_memory_group(char ret_path[PATH_MAX]);
/* Bytes: the machine's, or less where that group or one above it allows less. */
uint64_t abx_memory_limit(void);
/* How often the kernel ended a process of the group (NULL: our own) for want of memory. */
uint64_t abx_memory_kills(const char *group);

/* ---- SHA-256 (FIPS 180-4): cache keys, never secrets */
struct abx_sha256 {
    uint32_t state[8];
    uint64_t length;
    uint8_t block[64];
};
void abx_sha256_init(struct abx_sha256 *h);
void abx_sha256_add(struct abx_sha256 *h, const void *data, size_t length);
void abx_sha256_finish(struct abx_sha256 *h, uint8_t digest[32]);

/* ---- a byte string that grows; `failed` sticks after an allocation failure */
struct abx_string {
    char *data; /* NUL-terminated once anything was added; free() it or abx_string_finish() */
    size_t length, capacity;
    bool failed;
};
void abx_string_add(struct abx_string *s, const void *data, size_t length);
void abx_string_printf(struct abx_string *s, const char *format, ...) ABX_PRINTF(2, 3);
void abx_string_finish(struct abx_string *s);

#endif
