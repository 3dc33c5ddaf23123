/* The tests' runner itself: it tells a case that fails, dies, hangs or leaves a descriptor open
 * from one that passes, and runs the others all the same. */
#include "../check.h"

#include <fcntl.h>

static void test_good(void)
{
    CHECK(1 + 1 == 2);
    CHECK_TEXT("a", "a");
}

static void test_false(void)
{
    CHECK(1 + 1 == 3);
}

static void test_text(void)
{
    CHECK_TEXT("a", "b");
}

static void test_dead(void)
{
    raise(SIGKILL);
}

static void test_endless(void)
{
    for (;;)
        pause();
}

static void test_open(void)
{
    CHECK(open("/dev/null", O_RDONLY) >= 0);
}

/* What main() would return, and in `text` what is printed. */
static int run(int argc, char *const *argv, char *text, size_t capacity)
{
    const struct check_case cases[] = {
            CASE(test_good),
            CASE(test_false),
            CASE(test_text),
            CASE(test_dead),
            CASE(test_endless),
            CASE(test_open),
            CASE_KEEPS(test_open, 1),
    };
    int ends[2], status;
    CHECK(pipe(ends) == 0);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        exit(check_run(argc, argv, CHECK_SUITE(cases, .seconds = 1)));
    }
    close(ends[1]);
    size_t length = 0;
    for (ssize_t n;
            length < capacity - 1 && (n = read(ends[0], text + length, capacity - 1 - length)) > 0;)
        length += (size_t)n;
    text[length] = 0;
    close(ends[0]);
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void has(const char *text, const char *line)
{
    if (!strstr(text, line))
        fprintf(stderr, "%s", text);
    CHECK(strstr(text, line));
}

int main(void)
{
    char text[4096];
    if (getenv("ARCBOX_TEST_EMULATED")) { /* cases run in place there */
        puts("the runner has no processes of its own under qemu-user");
        return 77;
    }
    CHECK(run(0, NULL, text, sizeof text) == 1);
    CHECK(strncmp(text, "ok good (", 9) == 0);
    has(text, "failed: 1 + 1 == 3\n");
    has(text, "not ok false (");
    has(text, "'a', not 'b'\n");
    has(text, "not ok text (");
    has(text, "not ok dead (");
    has(text, "): Killed\n");
    has(text, "not ok endless (");
    has(text, "): out of time\n");
    has(text, "open: left 1 descriptors open\n");
    has(text, "not ok open (");
    has(text, "\nok open (");
    char *const good[] = {"runner", "good", NULL}, *const none[] = {"runner", "of no name", NULL};
    CHECK(run(2, good, text, sizeof text) == 0 && !text[0]);
    CHECK(run(2, none, text, sizeof text) == 1);
    has(text, "no case of that name\n");
    return 0;
}
