/* cli: qmp.h. Runs in arcbox-vm. */
#include "cli/vm/qmp.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINE_CAP 65536u

/* One line, the caller's to free(); NULL: there are no more. */
static char *read_line(int monitor)
{
    struct abx_string line = {0};
    char c;
    while (line.length < LINE_CAP && read(monitor, &c, 1) == 1 && c != '\n')
        abx_string_add(&line, &c, 1);
    if (line.failed || !line.length) {
        abx_string_finish(&line);
        return NULL;
    }
    return line.data;
}

static bool begins(const char *line, const char *with)
{
    return strncmp(line, with, strlen(with)) == 0;
}

static int send_line(int monitor, const struct abx_string *line, int fd)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec io = {line->data, line->length};
    struct msghdr message = {.msg_iov = &io, .msg_iovlen = 1};
    if (fd >= 0) {
        message.msg_control = &control;
        message.msg_controllen = sizeof control;
        control.head = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
        memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
    }
    return sendmsg(monitor, &message, MSG_NOSIGNAL) == (ssize_t)line->length ? 0 : -EPIPE;
}

char *abx_qmp(int monitor, const char *order, const char *arguments, int fd)
{
    struct abx_string line = {0};
    abx_string_printf(&line, "{\"execute\": \"%s\"%s%s}\n", order,
            arguments ? ", \"arguments\": " : "", arguments ? arguments : "");
    int r = line.failed ? -ENOMEM : send_line(monitor, &line, fd);
    abx_string_finish(&line);
    /* What happens meanwhile is told in lines of another form. */
    for (char *answer; r == 0 && (answer = read_line(monitor)); free(answer))
        if (begins(answer, "{\"return\""))
            return answer;
        else if (begins(answer, "{\"error\"")) {
            free(answer);
            break;
        }
    return NULL;
}

bool abx_qmp_open(int monitor)
{
    char *greeting = read_line(monitor);
    bool good = greeting && begins(greeting, "{\"QMP\"");
    free(greeting);
    char *answer = good ? abx_qmp(monitor, "qmp_capabilities", NULL, -1) : NULL;
    free(answer);
    return answer;
}
