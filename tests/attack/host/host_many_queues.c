/* Programs make all the queues they may, leave work on them that nobody waits for, and end; three
 * at once, and others after them. Nobody loses the device for it: what cannot be had fails as a
 * command buffer. */
#include "host_attack.h"

#include "backend/backend.h"

#include <sys/wait.h>
#include <unistd.h>

#define PROGRAMS 3
#define ROUNDS 4
#define QUEUES 255u /* and the one in slot 0 */

static void make_queues(struct guest *g)
{
    for (uint32_t i = 1; i <= QUEUES; i++) {
        GUEST_PUSH(g, queue_create, HANDLE(1000 + i), i);
        struct abx_encoder *e = guest_begin(g);
        abx_encode_blit_begin(e);
        abx_encode_fill_buffer(e, DATA, 0, DATA_BYTES, 1);
        abx_encode_encoder_end(e);
        struct abx_wire_segment segment = {.chunk = ARENA_CHUNK,
                .bytes = (uint32_t)(g->e.at - g->arena - g->begin),
                .offset = g->begin};
        GUEST_PUSH(g, commit, HANDLE(1000 + i), 1, i, 1, &segment);
    }
}

static int program(const char *path, bool wait)
{
    struct guest g;
    guest_open(&g, path);
    make_queues(&g);
    for (uint32_t i = 1; wait && i <= QUEUES; i++) {
        if (!guest_wait(&g, i, 1))
            return 1;
        uint32_t error = g.host->results[i].error;
        if (error && g.host->results[i].error_reason != ABX_REASON_MEMORY)
            return 2;
    }
    guest_begin(&g);
    return guest_run(&g).error || atomic_load(&g.host->lost) ? 3 : 0;
}

int main(void)
{
    struct abx_control *control = daemon_start();
    struct abx_control_tenant t;
    struct guest keeper;
    pid_t pids[PROGRAMS];
    int status;
    daemon_tenant(control, "queues", "cpu", NULL, &t);
    guest_open(&keeper, t.socket); /* one worker for all of them */
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < PROGRAMS; i++)
            if ((pids[i] = fork()) == 0)
                _exit(program(t.socket, round % 2 == 0));
        for (int i = 0; i < PROGRAMS; i++) {
            CHECK(waitpid(pids[i], &status, 0) == pids[i] && WIFEXITED(status));
            CHECK(WEXITSTATUS(status) == 0);
        }
    }
    guest_begin(&keeper);
    CHECK(guest_run(&keeper).error == 0);
    guest_close(&keeper);
    daemon_stop(control);
    return 0;
}
