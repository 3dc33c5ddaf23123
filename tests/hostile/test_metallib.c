/* Damaged .metallib files through the real processes: whatever becomes of them in the compiler's
 * child, there is an answer, and the next file works.
 *
 *   test_hostile_metallib COUNT FILE */
#include "guest.h"

#include "wire/reflection.h"

#include <unistd.h>

#define ABX_LIBFUZZER /* not its main() */
#include "fuzz.h"

static struct guest guest;

/* Every pipeline of the library that was just made; how many came to be. */
static unsigned prepare(void)
{
    unsigned made = 0, count = guest.reflection->function_count;
    for (unsigned i = 0; i < count && i < 4; i++) {
        if (abx_reflection_functions(guest.reflection)[i].kind != ABX_FUNCTION_KERNEL)
            continue;
        GUEST_PUSH(&guest, pipeline_create, HANDLE(20 + i), HANDLE(10), i, 0, NULL);
        made += guest_prepare(&guest, HANDLE(20 + i)) == 0;
        GUEST_PUSH(&guest, destroy, HANDLE(20 + i));
    }
    return made;
}

int main(int argc, char **argv)
{
    struct abx_control_limits limits = {.compile_seconds = 3};
    struct abx_control_tenant tenant;
    void *file;
    size_t bytes;
    unsigned refused = 0, crashed = 0, made = 0;
    CHECK(argc == 3 && abx_read_file(argv[2], 16 << 20, &file, &bytes) == 0);
    uint8_t *data = malloc(bytes + 64);
    CHECK(data);
    struct abx_control *control = daemon_start();
    daemon_tenant(control, "metallib", "cpu", &limits, &tenant);
    guest_open(&guest, tenant.socket);
    for (long n = strtol(argv[1], NULL, 10); n >= 0; n--) {
        memcpy(data, file, bytes);
        size_t size =
                n ? fuzz_bytes(data, bytes, bytes + 64) : bytes; /* at last, the file itself */
        int r = guest_compile_text(&guest, NULL, 0, (const char *)data, size, HANDLE(10));
        if (r == 0) {
            made = prepare();
            GUEST_PUSH(&guest, destroy, HANDLE(10));
        }
        refused += r < 0;
        crashed += strstr(guest.text, "internal error") != NULL;
        CHECK(n || (r == 0 && made > 0));
    }
    fprintf(stderr, "%u refused, LLVM crashed on %u\n", refused, crashed);
    CHECK(refused > 0);
    guest_close(&guest);
    free(data);
    free(file);
    daemon_stop(control);
    return 0;
}
