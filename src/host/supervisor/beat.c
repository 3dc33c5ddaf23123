/* host: asks workers and the compiler now and then whether they still answer, and ends those that
 * do not: stopped, or wedged. Runs in the supervisor. What counts is time in which the supervisor
 * itself runs, so that a machine that slept, a container that was frozen whole, or one with no
 * processor left for anybody ends nobody. Busy is not silent: a worker's kernels and the compiler's
 * children have threads and processes of their own. */
#include "host/supervisor/internal.h"

#include <signal.h>
#include <unistd.h>

#include "host/compiler/compiler.h"

/* True: to be ended. */
static bool look(struct supervisor *s, struct abx_heartbeat *beat, int sock, const void *question,
        size_t bytes)
{
    enum abx_beat what = abx_heartbeat_look(beat, s->awake.awake_ns, s->patience_ns);
    if (what != ABX_BEAT_ASK)
        return what == ABX_BEAT_LOST;
    abx_sock_try_send(sock, question, bytes, NULL, 0); /* one that is full is not read either */
    *beat = (struct abx_heartbeat){.asked = true, .since_ns = s->awake.awake_ns};
    return false;
}

void beat_answered(struct supervisor *s, struct abx_heartbeat *beat)
{
    *beat = (struct abx_heartbeat){.since_ns = s->awake.awake_ns};
}

static void look_at_worker(struct supervisor *s, struct worker *worker)
{
    struct abx_role_message m = {.type = ABX_ROLE_BEAT};
    if (worker->sock < 0 || !look(s, &worker->beat, worker->sock, &m, sizeof m))
        return;
    worker->silent = true;
    kill(worker->pid, SIGKILL);
}

bool beats_look(struct supervisor *s)
{
    struct abx_compiler_request question = {.type = ABX_COMPILER_BEAT};
    bool watching = s->compiler_beat.asked;
    abx_awake_ns(&s->awake, 2 * ABX_BEAT_NS);
    for (struct worker *w = s->workers; w; w = w->next) {
        if (!w->tenant) /* nobody waits for it */
            continue;
        watching = true;
        look_at_worker(s, w);
    }
    if (watching && s->compiler >= 0 &&
            look(s, &s->compiler_beat, s->compiler, &question, sizeof question))
        compiler_drop(s);
    return watching;
}

void compiler_message(struct supervisor *s)
{
    struct abx_compiler_request answer;
    int fds[ABX_SOCK_MAX_FDS];
    unsigned fd_count = 0;
    ssize_t n = abx_sock_receive(s->compiler, &answer, sizeof answer, fds, &fd_count);
    while (n > 0 && fd_count)
        close(fds[--fd_count]);
    if (n == (ssize_t)sizeof answer && answer.type == ABX_COMPILER_BEAT)
        beat_answered(s, &s->compiler_beat);
    else if (n != -EAGAIN) { /* its death is reaped; until then nothing more is read */
        close(s->compiler);
        s->compiler = -1;
        kill(s->compiler_pid, SIGKILL);
    }
}
