/* arcbox gpu top: tenants as they work. On a terminal a screen that renews itself, of plain escape
 * sequences; elsewhere a table. What it shows are numbers of the workers', never believed. */
#include "cli/gpu_top.h"
#include "host/control/control.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define HISTORY 60u /* samples of a sparkline */
#define MAX_ROWS 256u

struct row {
    char name[ABX_TENANT_NAME_BYTES];
    uint64_t busy_ns, compiles, memory, cap;
    unsigned clients, waiting, compiling;
    double busy, compiles_a_second; /* since the last sample; a share of the time */
    float history[HISTORY];
    unsigned history_count;
    bool seen;
};

struct screen {
    struct row rows[MAX_ROWS];
    unsigned count;
    uint64_t at_ns;
};

static struct row *row_of(struct screen *s, const char *name)
{
    for (unsigned i = 0; i < s->count; i++)
        if (strcmp(s->rows[i].name, name) == 0)
            return &s->rows[i];
    if (s->count == MAX_ROWS)
        return NULL;
    struct row *row = &s->rows[s->count++];
    *row = (struct row){0};
    snprintf(row->name, sizeof row->name, "%s", name);
    return row;
}

static void remember(struct row *row)
{
    if (row->history_count == HISTORY)
        memmove(row->history, row->history + 1, sizeof row->history - sizeof *row->history);
    else
        row->history_count++;
    row->history[row->history_count - 1] = (float)row->busy;
}

static void drop_unseen(struct screen *s)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < s->count; i++)
        if (s->rows[i].seen)
            s->rows[kept++] = s->rows[i];
    s->count = kept;
}

/* A client that left took its counts with it: less than before is nothing. */
static double more(uint64_t now, uint64_t before)
{
    return now > before ? (double)(now - before) : 0;
}

static void update(struct screen *s, const struct abx_control_tenant *tenants,
        unsigned tenant_count, const struct abx_control_client *clients, unsigned client_count)
{
    uint64_t now = abx_now_ns();
    double time = s->at_ns ? (double)(now - s->at_ns) : 0;
    for (unsigned i = 0; i < s->count; i++)
        s->rows[i].seen = false;
    for (unsigned i = 0; i < tenant_count; i++) {
        struct row *row = row_of(s, tenants[i].name);
        if (!row)
            break;
        uint64_t busy = 0, compiles = 0;
        row->seen = true;
        row->memory = tenants[i].memory_used;
        row->cap = tenants[i].limits.memory_bytes;
        row->clients = tenants[i].clients;
        row->waiting = row->compiling = 0;
        for (unsigned k = 0; k < client_count; k++) {
            if (strcmp(clients[k].tenant, row->name) != 0)
                continue;
            busy += clients[k].busy_ns;
            compiles += clients[k].compiles;
            row->waiting += clients[k].waiting;
            row->compiling += clients[k].compiling;
        }
        row->busy = time > 0 ? more(busy, row->busy_ns) / time : 0;
        row->compiles_a_second = time > 0 ? more(compiles, row->compiles) * 1e9 / time : 0;
        row->busy_ns = busy;
        row->compiles = compiles;
        remember(row);
    }
    drop_unseen(s);
    s->at_ns = now;
}

static void look(struct screen *s)
{
    struct abx_control *control;
    struct abx_control_tenant *tenants = NULL;
    struct abx_control_client *clients = NULL;
    unsigned tenant_count = 0, client_count = 0;
    char *why = NULL;
    int r = abx_control_connect(true, &control, &why);
    if (r < 0)
        abx_die(ABX_EXIT_OWN, "cannot reach the host runtime: %s", why ? why : strerror(-r));
    if (abx_control_tenants(control, &tenants, &tenant_count) < 0 ||
            abx_control_clients(control, &clients, &client_count) < 0)
        abx_die(ABX_EXIT_OWN, "the host runtime does not answer: %s", abx_control_error(control));
    update(s, tenants, tenant_count, clients, client_count);
    free(tenants);
    free(clients);
    abx_control_close(control);
}

static void print_sparkline(const struct row *row, unsigned width)
{
    static const char *const bars[] = {
            " ", "\u2581", "\u2582", "\u2583", "\u2584", "\u2585", "\u2586", "\u2587", "\u2588"};
    unsigned start = row->history_count > width ? row->history_count - width : 0;
    for (unsigned i = start; i < row->history_count; i++) {
        float share = row->history[i] > 1 ? 1 : row->history[i];
        printf("%s", bars[share > 0 ? 1 + (unsigned)(share * 7.49f) : 0]);
    }
}

static void print_screen(const struct screen *s, bool live, const char *end)
{
    struct winsize size = {0};
    unsigned width = ioctl(1, TIOCGWINSZ, &size) == 0 && size.ws_col > 95 ? size.ws_col - 88u : 8u;
    unsigned lines = size.ws_row > 4 ? size.ws_row - 3u : 20u;
    printf("%-24s %7s %11s %11s %7s %8s %12s%s%s\n", "TENANT", "GPU", "MEMORY", "CAP", "CLIENTS",
            "WAITING", "COMPILES", live ? "  GPU TIME" : "", end);
    for (unsigned i = 0; i < s->count && (!live || i < lines); i++) {
        const struct row *r = &s->rows[i];
        printf("%-24.24s %5.0f %% %7.1f MiB %7.0f MiB %7u %8u %4u, %3.0f/s", r->name, 100 * r->busy,
                (double)r->memory / 1048576.0, (double)r->cap / 1048576.0, r->clients, r->waiting,
                r->compiling, r->compiles_a_second);
        if (live) {
            printf("  ");
            print_sparkline(r, width > HISTORY ? HISTORY : width);
        }
        printf("%s\n", end);
    }
    if (!s->count)
        printf("no tenants%s\n", end);
    fflush(stdout);
}

/* ---- the terminal */

static struct termios saved;
static volatile sig_atomic_t ended;

static void on_signal(int number)
{
    (void)number;
    ended = 1;
}

static void restore(void)
{
    tcsetattr(0, TCSANOW, &saved);
    printf("\033[?25h\033[?1049l");
    fflush(stdout);
}

static void enter(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    struct termios t;
    if (tcgetattr(0, &saved) < 0)
        return;
    t = saved;
    t.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    tcsetattr(0, TCSANOW, &t);
    atexit(restore);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    printf("\033[?1049h\033[?25l");
}

/* False: q, or the end of the input. */
static bool pause_for(double seconds)
{
    struct pollfd p = {.fd = 0, .events = POLLIN};
    char key;
    int r = poll(&p, 1, (int)(seconds * 1000));
    if (ended || (r > 0 && (read(0, &key, 1) != 1 || key == 'q' || key == 'Q' || key == 3)))
        return false;
    return true;
}

static int live(struct screen *s, const struct abx_gpu_top *top)
{
    enter();
    for (unsigned n = 0; !top->count || n < top->count; n++) {
        look(s);
        printf("\033[H");
        print_screen(s, true, "\033[K");
        printf("\033[J\n\033[2mq: end\033[0m");
        fflush(stdout);
        if (!pause_for(top->interval))
            break;
    }
    return 0;
}

int abx_gpu_top(const struct abx_gpu_top *top)
{
    struct screen *s = abx_xcalloc(1, sizeof *s);
    const char *term = getenv("TERM");
    if (isatty(0) && isatty(1) && term && strcmp(term, "dumb") != 0)
        return live(s, top);
    look(s);
    for (unsigned n = 0; n < (top->count ? top->count : 1); n++) {
        uint64_t ns = (uint64_t)(top->interval * 1e9);
        nanosleep(&(struct timespec){.tv_sec = (time_t)(ns / 1000000000u),
                          .tv_nsec = (long)(ns % 1000000000u)},
                NULL);
        look(s);
        print_screen(s, false, "");
    }
    free(s);
    return 0;
}
