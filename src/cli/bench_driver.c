/* arcbox bench --backend of a GPU: the GPU through the bridge, beside what its driver does without
 * ArcBox (a program of src/bench), in the same run. */
#include "cli/bench.h"
#include "host/control/control.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DRIVER "the driver alone"
#define PROGRAM "arcbox-bench-" ABX_BACKEND_DRIVER

/* Of a line after the first that has the name; NAN. */
static double second_number(const char *text, const char *name)
{
    const char *first = strstr(text, name);
    return first ? bench_number(first + strlen(name), name) : NAN;
}

static char *run_driver(void)
{
    char *program = bench_tool(PROGRAM);
    if (!program)
        abx_die(ABX_EXIT_OWN, PROGRAM " is missing: build again");
    char *argv[] = {program, NULL};
    struct bench_run r = bench_run(argv, NULL, false);
    if (r.code != 0)
        abx_die(ABX_EXIT_OWN, "the driver cannot be measured (" PROGRAM " ended with %d)", r.code);
    free(program);
    return r.output;
}

static struct abx_control_tenant make_tenant(struct abx_control *control, unsigned number)
{
    struct abx_control_tenant tenant;
    char name[32];
    snprintf(name, sizeof name, "bench-%d-%u", (int)getpid(), number);
    if (abx_control_tenant_create(
                control, name, ABX_BACKEND_DRIVER, ABX_TENANT_HOLD, NULL, &tenant) < 0)
        abx_die(ABX_EXIT_OWN, "no tenant for the probe: %s", abx_control_error(control));
    return tenant;
}

/* Without mirrors: copies of shared memory are to go over the bus. */
static char *run_probe(struct bench *b, const char *what, const char *socket)
{
    char *argv[] = {b->probe, (char *)what, NULL};
    char *env[] = {abx_xprintf("LD_LIBRARY_PATH=%s", b->libraries),
            abx_xprintf("ARCBOX_SOCKET=%s", socket), (char *)"ARCBOX_MIRRORS=never",
            ABX_TRANSPORT_ENV, NULL};
    struct bench_run r = bench_run(argv, env, false);
    if (r.code != 0)
        abx_say("the probe ended with %d (%s)", r.code, what);
    free(env[0]);
    free(env[1]);
    return r.output ? r.output : abx_xstrdup("");
}

/* Two programs of two tenants, at the same time. */
static char *run_two(struct bench *b, const char *what, const char *one, const char *other)
{
    char *argv[] = {(char *)"/bin/sh", (char *)"-c",
            (char *)"ARCBOX_SOCKET=$2 \"$0\" $1 & ARCBOX_SOCKET=$3 \"$0\" $1; wait", b->probe,
            (char *)what, (char *)one, (char *)other, NULL};
    char *env[] = {abx_xprintf("LD_LIBRARY_PATH=%s", b->libraries), (char *)"ARCBOX_MIRRORS=never",
            ABX_TRANSPORT_ENV, NULL};
    struct bench_run r = bench_run(argv, env, false);
    free(env[0]);
    return r.output ? r.output : abx_xstrdup("");
}

static void add_rate(
        struct bench *b, const char *name, const char *unit, double value, double driver)
{
    bench_add(b, name, unit, value, driver, DRIVER, value / driver);
}

static void add_device(struct bench *b, const char *bridged, const char *driver)
{
    static const struct {
        const char *name, *unit, *ours, *theirs;
    } rates[] = {{"launch_rate", "1/s", "launches_apart_per_s", "launches_per_s"},
            {"replay", "1/s", "launches_per_s", "launches_per_s"},
            {"copy_bandwidth", "GB/s", "copy_gbs", "copy_seen_gbs"},
            {"copy_bandwidth_in", "GB/s", "copy_in_gbs", "copy_in_gbs"},
            {"copy_bandwidth_out", "GB/s", "copy_out_gbs", "copy_out_gbs"}};
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(rates); i++)
        add_rate(b, rates[i].name, rates[i].unit, bench_number(bridged, rates[i].ours),
                bench_number(driver, rates[i].theirs));
    double wait = bench_number(bridged, "launch_wait_us"),
           bare = bench_number(driver, "launch_wait_us");
    bench_add(b, "submit_wait_us", "us", wait, bare, DRIVER, bare / wait);
    bench_add(b, "submit_wait_empty_us", "us", bench_number(bridged, "submit_wait_spin_us"), NAN,
            "", NAN);
}

static void add_products(struct bench *b, const char *bridged, const char *driver)
{
    static const struct {
        const char *name, *key;
    } rows[] = {{"matmul_tflops", "half_tflops"}, {"matmul_bfloat_tflops", "bfloat_tflops"}};
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(rows); i++) {
        double ours = bench_number(bridged, rows[i].key),
               theirs = bench_number(driver, rows[i].key);
        bench_add(b, rows[i].name, "TFLOP/s", ours, theirs, "cuBLAS alone", ours / theirs);
    }
}

/* The sum of both, beside one alone. */
static void add_tenants(struct bench *b, const char *name, const char *what, const char *key,
        const char *one, const char *other)
{
    char *alone = run_probe(b, what, one), *both = run_two(b, what, one, other);
    double single = bench_number(alone, key),
           sum = bench_number(both, key) + second_number(both, key);
    bench_add(b, name, "1/s", sum, single, "one tenant alone", sum / single);
    free(alone);
    free(both);
}

void bench_driver(struct bench *b)
{
    struct abx_control *control;
    char *why = NULL;
    int r = abx_control_connect(true, &control, &why);
    if (r < 0)
        abx_die(ABX_EXIT_OWN, "cannot reach the host runtime: %s", why ? why : strerror(-r));
    struct abx_control_tenant one = make_tenant(control, 1), other = make_tenant(control, 2);
    char *driver = run_driver();
    char *bridged = run_probe(b, "device", one.socket), *empty = run_probe(b, "submit", one.socket);
    char *both = abx_xprintf("%s%s", bridged, empty);
    add_device(b, both, driver);
    char *products = run_probe(b, "products", one.socket);
    add_products(b, products, driver);
    add_tenants(b, "tenants", "rate", "launches_per_s", one.socket, other.socket);
    add_tenants(b, "tenants_busy", "busy", "copies_per_s", one.socket, other.socket);
    char *texts[] = {driver, bridged, empty, both, products};
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(texts); i++)
        free(texts[i]);
    abx_control_close(control);
}
