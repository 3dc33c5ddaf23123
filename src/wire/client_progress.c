/* wire, guest side: a line on the terminal while a compile takes longer than a second. Runs in the
 * guest's process, on a thread that waits for an answer. Nothing is written where standard error is
 * no terminal. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wire/client_internal.h"

#define FIRST_MS 1000
#define STEP_MS 250

static bool may_show(void)
{
    const char *term = getenv("TERM"), *wanted = getenv("ARCBOX_PROGRESS");
    return isatty(STDERR_FILENO) && term && *term && strcmp(term, "dumb") != 0 &&
           !(wanted && strcmp(wanted, "0") == 0);
}

void abx_client_wait_showing(int sock)
{
    struct pollfd p = {.fd = sock, .events = POLLIN};
    int waited = FIRST_MS;
    /* At once, or soon: most answers. */
    if (poll(&p, 1, FIRST_MS) != 0 || !may_show())
        return;
    do {
        char text[64];
        int n = snprintf(text, sizeof text, "\r\033[Kcompiling shaders: %d s", waited / 1000);
        (void)!write(STDERR_FILENO, text, (size_t)n);
        waited += STEP_MS;
    } while (poll(&p, 1, STEP_MS) == 0);
    (void)!write(STDERR_FILENO, "\r\033[K", 4);
}
