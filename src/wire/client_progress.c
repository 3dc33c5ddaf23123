/* wire, guest side: a line on the terminal while a compile takes longer than a second. Runs in the
 * guest's process, on a thread that waits for an answer. Nothing is written where standard error is
 * no terminal. */
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

ssize_t abx_client_receive_showing(
        struct abx_client *client, union abx_message *message, struct abx_attachment *ret_payload)
{
    struct abx_transport *t = client->transport;
    int waited = FIRST_MS;
    /* At once, or soon: most answers. */
    ssize_t n = t->ops->receive(t, message, ret_payload, FIRST_MS);
    if (n != -ETIMEDOUT)
        return n;
    if (!may_show())
        return t->ops->receive(t, message, ret_payload, -1);
    do {
        char text[64];
        int length = snprintf(text, sizeof text, "\r\033[Kcompiling shaders: %d s", waited / 1000);
        (void)!write(STDERR_FILENO, text, (size_t)length);
        waited += STEP_MS;
        n = t->ops->receive(t, message, ret_payload, STEP_MS);
    } while (n == -ETIMEDOUT);
    (void)!write(STDERR_FILENO, "\r\033[K", 4);
    return n;
}
