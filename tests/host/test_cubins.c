/* Machine code for an NVIDIA GPU, made in the compile child, kept on the disk and loaded by a
 * worker over a driver that is made up: what is made when, and what happens where something
 * refuses. Runs arcboxd-test.
 *
 *   test_cubins FAKE UNUSABLE SCRIPT
 *
 * FAKE: nvJitLink, made up (tests/backend/fake_nvjitlink.c). UNUSABLE: a library that is none.
 * SCRIPT says in which folder a real one is, or fails. */
#include "guest.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIBRARY HANDLE(10)
#define PIPELINE HANDLE(11)

static char work[64];

/* What daemons from now on find: a copy of the library in a folder by this name, of a time of its
 * own. */
static void install(const char *library, const char *name)
{
    void *data;
    size_t bytes;
    char folder[128], path[160];
    snprintf(folder, sizeof folder, "%s/%s", work, name);
    snprintf(path, sizeof path, "%s/libnvJitLink.so.13", folder);
    if (mkdir(folder, 0700) == 0) {
        CHECK(abx_read_file(library, 64u << 20, &data, &bytes) == 0);
        CHECK(abx_write_file(path, data, bytes) == 0);
        free(data);
    }
    setenv("LD_LIBRARY_PATH", folder, 1);
}

/* How many lines of the daemon's log have a text. */
static unsigned said(const char *text)
{
    char path[128], line[1024];
    unsigned n = 0;
    snprintf(path, sizeof path, "%s/run/arcboxd.log", daemon_folder);
    FILE *file = fopen(path, "r");
    CHECK(file);
    while (fgets(line, sizeof line, file))
        n += strstr(line, text) != NULL;
    fclose(file);
    return n;
}

/* In a daemon of its own: compiles a kernel, and loads it. Of what: "cubin" or "PTX", and "cached "
 * before it where it was on the disk. */
static const char *made(const char *value)
{
    static char answer[16];
    char source[256];
    struct abx_control_tenant t;
    struct abx_control_limits limits = {.compile_seconds = 4};
    struct guest g;
    struct abx_control *control = daemon_start();
    daemon_tenant(control, "cubins", "cuda", &limits, &t);
    guest_open(&g, t.socket);
    snprintf(source, sizeof source, "kernel void k(device int *x [[buffer(0)]]) { x[0] = %s; }\n",
            value);
    CHECK(guest_compile(&g, source, LIBRARY) == 0);
    guest_pipeline(&g, "k", LIBRARY, PIPELINE);
    bool cached = g.cached;
    guest_close(&g);
    unsigned cubins = 0, texts = 0;
    for (int i = 0; i < 200 && !cubins && !texts; i++) { /* until what the worker said is read */
        usleep(20000);
        cubins = said("abx_entry_k of a cubin");
        texts = said("abx_entry_k of PTX");
    }
    CHECK(cubins + texts == 1);
    CHECK((said("the driver assembles each kernel anew") > 0) ==
            (getenv("FAKE_CUDA_REFUSES") && !getenv("FAKE_NVJITLINK")));
    /* Once, and whenever one was to be made. */
    bool lacks = getenv("FAKE_NVJITLINK") && texts && !cached;
    CHECK(said("nvJitLink made no machine code") == lacks);
    CHECK(abx_control_tenant_remove(control, "cubins") == 0);
    daemon_stop(control);
    snprintf(answer, sizeof answer, "%s%s", cached ? "cached " : "", cubins ? "cubin" : "PTX");
    return answer;
}

#define IS(value, what) CHECK(strcmp(made(value), what) == 0)

static void test_cache(const char *fake, const char *unusable)
{
    install(unusable, "none");
    IS("1", "PTX");
    IS("1", "cached PTX");
    /* It appears: what was kept without it is not found. */
    install(fake, "first");
    IS("1", "cubin");
    /* Nothing can be assembled any more, so this one comes from the disk. */
    setenv("FAKE_NVJITLINK", "fails", 1);
    IS("1", "cached cubin");
    /* Another one takes its place. */
    install(fake, "second");
    IS("1", "PTX");
    IS("1", "cached PTX");
    unsetenv("FAKE_NVJITLINK");
    install(fake, "first");
    IS("1", "cached cubin");
    /* It disappears. */
    install(unusable, "none");
    IS("1", "cached PTX");
}

static void test_refused(const char *fake)
{
    install(fake, "first");
    setenv("FAKE_CUDA_REFUSES", "209", 1); /* CUDA_ERROR_NO_BINARY_FOR_GPU */
    IS("1", "cached PTX");
    IS("2", "PTX");
    unsetenv("FAKE_CUDA_REFUSES");
    IS("2", "cached cubin");
}

/* Whatever becomes of the assembler, the pipeline is there, and is not compiled again but where it
 * may have been other work that took the time: on a machine under load that is so when it runs on
 * and on, too. */
static void test_misbehaves(const char *fake)
{
    static const char *const how[] = {"fails", "crashes", "aborts", "runs", "lies", "sleeps"};
    install(fake, "first");
    for (size_t i = 0; i < sizeof how / sizeof *how; i++) {
        char value[8];
        snprintf(value, sizeof value, "1%zu", i);
        setenv("FAKE_NVJITLINK", how[i], 1);
        IS(value, "PTX");
        unsetenv("FAKE_NVJITLINK");
        const char *again = made(value);
        bool kept = strcmp(again, "cached PTX") == 0;
        CHECK(kept || strcmp(again, "cubin") == 0);
        CHECK(strcmp(how[i], "runs") == 0 || kept == (strcmp(how[i], "sleeps") != 0));
    }
}

/* A child that runs clang, too, has other walls. */
static void test_with_clang(const char *fake)
{
    install(fake, "first");
    setenv("ARCBOX_SHADER_FORM", "sharded", 1);
    IS("4", "cubin");
    setenv("FAKE_NVJITLINK", "runs", 1);
    IS("5", "PTX");
    unsetenv("FAKE_NVJITLINK");
    unsetenv("ARCBOX_SHADER_FORM");
}

/* False: there is none here. */
static bool test_real(const char *script)
{
    char folder[256] = "";
    FILE *said = popen(script, "r");
    CHECK(said);
    bool is_there = fgets(folder, sizeof folder, said) != NULL;
    is_there &= pclose(said) == 0;
    folder[strcspn(folder, "\n")] = 0;
    setenv("LD_LIBRARY_PATH", folder, 1);
    if (!is_there)
        return false;
    IS("3", "cubin");
    IS("3", "cached cubin");
    return true;
}

int main(int argc, char **argv)
{
    char command[128];
    CHECK(argc == 4);
    snprintf(work, sizeof work, "/tmp/arcbox-test-XXXXXX");
    CHECK(mkdtemp(work));
    setenv("ARCBOX_CACHE_DIR", work, 1);
    setenv("FAKE_CUDA_SAYS", "1", 1);
    test_cache(argv[1], argv[2]);
    test_refused(argv[1]);
    test_misbehaves(argv[1]);
    test_with_clang(argv[1]);
    bool real = test_real(argv[3]);
    snprintf(command, sizeof command, "rm -rf %s", work);
    CHECK(system(command) == 0);
    puts(real ? "cubins: ok" : "cubins: ok; none by the real nvJitLink, which is not here");
    return 0;
}
