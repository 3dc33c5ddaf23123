/* base: the hash against FIPS vectors, memory files and their seals, messages with descriptors. */
#include "../check.h"
#include "base/base.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static void check_hash(const char *text, size_t repeat, const char *expected)
{
    struct abx_sha256 h;
    uint8_t digest[32];
    char hex[65];
    abx_sha256_init(&h);
    for (size_t i = 0; i < repeat; i++)
        abx_sha256_add(&h, text, strlen(text));
    abx_sha256_finish(&h, digest);
    for (int i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    CHECK(strcmp(hex, expected) == 0);
}

static void check_hashes(void)
{
    check_hash("", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    check_hash("abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    check_hash("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    check_hash("aaaaaaaaaa", 100000,
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

/* However the bytes come, their hash is the same. */
static void check_pieces(void)
{
    uint8_t data[1000], whole[32], digest[32];
    struct abx_sha256 h;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 37 + i / 251);
    abx_sha256_init(&h);
    abx_sha256_add(&h, data, sizeof data);
    abx_sha256_finish(&h, whole);
    for (size_t piece = 1; piece < 200; piece++) {
        abx_sha256_init(&h);
        for (size_t at = 0; at < sizeof data; at += piece)
            abx_sha256_add(&h, data + at, sizeof data - at < piece ? sizeof data - at : piece);
        abx_sha256_finish(&h, digest);
        CHECK(memcmp(digest, whole, 32) == 0);
    }
}

__attribute__((format(printf, 3, 4))) static size_t line(
        char *to, size_t capacity, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    size_t length = abx_log_line(to, capacity, "head", format, arguments);
    va_end(arguments);
    return length;
}

static void check_lines(void)
{
    char text[12];
    CHECK(line(text, sizeof text, "%d", 7) == 8 && strcmp(text, "head: 7\n") == 0);
    CHECK(line(text, sizeof text, "%s", "1234") == 11 && strcmp(text, "head: 1234\n") == 0);
    CHECK(line(text, sizeof text, "%s", "12345") == 11 && strcmp(text, "head: 1234\n") == 0);
    CHECK(line(text, 5, "%d", 7) == 4 && strcmp(text, "hea\n") == 0);
}

static void check_own_path(void)
{
    char path[PATH_MAX], folder[PATH_MAX];
    CHECK(abx_own_path(path) == 0 && access(path, X_OK) == 0);
    CHECK(abx_own_folder(folder) == 0);
    CHECK(strncmp(path, folder, strlen(folder)) == 0 && path[strlen(folder)] == '/');
    CHECK(!strchr(path + strlen(folder) + 1, '/'));
}

static void check_memory_files(void)
{
    int fd = abx_memfd_create("test", 8192);
    CHECK(fd >= 0);
    CHECK(abx_memfd_check(fd, 8192) == 0);
    CHECK(abx_memfd_check(fd, 8193) == -EINVAL);
    CHECK(ftruncate(fd, 0) < 0);
    close(fd);
    int loose = memfd_create("loose", MFD_ALLOW_SEALING);
    CHECK(ftruncate(loose, 8192) == 0);
    CHECK(abx_memfd_check(loose, 8192) == -EPERM);
    close(loose);
    CHECK(abx_memfd_check(STDIN_FILENO, 0) == -EINVAL);
}

static void check_messages(void)
{
    int pair[2], fds[ABX_SOCK_MAX_FDS];
    unsigned count;
    char text[8];
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0);
    CHECK(abx_sock_send(pair[0], "hello", 6, pair, 2) == 0);
    CHECK(abx_sock_receive(pair[1], text, sizeof text, fds, &count) == 6);
    CHECK(count == 2 && strcmp(text, "hello") == 0);
    CHECK(fcntl(fds[0], F_GETFD) == FD_CLOEXEC);
    close(fds[0]);
    close(fds[1]);
    /* A message that does not fit is refused, and its descriptors do not leak. */
    int before = dup(0);
    close(before);
    CHECK(abx_sock_send(pair[0], "0123456789", 10, pair, 2) == 0);
    CHECK(abx_sock_receive(pair[1], text, sizeof text, fds, &count) == -EMSGSIZE);
    int after = dup(0);
    CHECK(before == after);
    close(after);
    close(pair[0]);
    CHECK(abx_sock_receive(pair[1], text, sizeof text, fds, &count) == 0);
    close(pair[1]);
}

static void check_ranges(void)
{
    CHECK(abx_range_ok(0, 0, 0) && abx_range_ok(4, 4, 8) && !abx_range_ok(5, 4, 8));
    CHECK(!abx_range_ok(UINT64_MAX, 2, 8) && !abx_range_ok(2, UINT64_MAX, 8));
}

/* Time in which this process did not run is nobody's silence. */
static void check_heartbeat(void)
{
    struct abx_awake_clock clock = {0};
    struct abx_heartbeat beat = {0};
    CHECK(abx_awake_ns(&clock, 1000) == 0);
    usleep(2000);
    CHECK(abx_awake_ns(&clock, 1000) == 1000);
    CHECK(abx_awake_ns(&clock, 1000000000) >= 1000);
    CHECK(abx_heartbeat_look(&beat, 5, 10) == ABX_BEAT_ASK);
    beat = (struct abx_heartbeat){.asked = true, .since_ns = 5};
    CHECK(abx_heartbeat_look(&beat, 15, 10) == ABX_BEAT_REST);
    CHECK(abx_heartbeat_look(&beat, 16, 10) == ABX_BEAT_LOST);
    beat.asked = false;
    CHECK(abx_heartbeat_look(&beat, 16, 10) == ABX_BEAT_REST);
    CHECK(abx_heartbeat_look(&beat, 5 + ABX_BEAT_NS, 10) == ABX_BEAT_ASK);
}

/* One gap in what a thread sees of the clock is no sign of others; a slice's is, and many are. */
static void check_crowded(void)
{
    const uint64_t us = 1000, ms = 1000 * us;
    uint64_t now = 1000 * ms;
    for (int i = 0; i < 20; i++, now += 60 * ms) {
        abx_looked(now, now + 900 * us);
        CHECK(!abx_crowded(now + 900 * us));
    }
    for (int i = 0; i < 10; i++, now += ms)
        abx_looked(now, now + 120 * us);
    CHECK(abx_crowded(now) && !abx_crowded(now + 60 * ms));
    now += 200 * ms;
    for (int i = 0; i < 1000; i++)
        abx_looked(now, now + 40 * us);
    CHECK(!abx_crowded(now));
    abx_looked(now, now + 3 * ms);
    CHECK(abx_crowded(now + 3 * ms) && !abx_crowded(now + 100 * ms));
}

int main(int argc, char **argv)
{
    const struct check_case cases[] = {
            CASE(check_heartbeat),
            CASE(check_hashes),
            CASE(check_pieces),
            CASE(check_lines),
            CASE(check_own_path),
            CASE(check_memory_files),
            CASE(check_messages),
            CASE(check_ranges),
            CASE(check_crowded),
    };
    return check_run(argc, argv, CHECK_SUITE(cases, .seconds = 20));
}
