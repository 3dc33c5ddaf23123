/* shader: what a cached blob depends on besides its own inputs. Any process; call it before file
 * access is given up. */
#include "shader/shader.h"
#include "shader/version_gen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Object blobs are made for the features of the processor they are made on, or for lesser ones that
 * the environment asks for. */
static void add_processor(struct abx_sha256 *hash)
{
    const char *lesser = getenv(ABX_TARGET_ENV);
    if (lesser)
        abx_sha256_add(hash, lesser, strlen(lesser));
    static const char *const wanted[] = {"model name", "flags", "Features", "CPU part"};
    char line[8192];
    bool seen[ABX_ARRAY_SIZE(wanted)] = {false};
    FILE *file = fopen("/proc/cpuinfo", "re");
    if (!file)
        return;
    while (fgets(line, sizeof(line), file))
        for (size_t i = 0; i < ABX_ARRAY_SIZE(wanted); i++)
            if (!seen[i] && !strncmp(line, wanted[i], strlen(wanted[i]))) {
                seen[i] = true;
                abx_sha256_add(hash, line, strlen(line));
            }
    fclose(file);
}

const char *abx_shader_version(void)
{
    static char version[33];
    if (!version[0]) {
        struct abx_sha256 hash;
        uint8_t digest[32];
        abx_sha256_init(&hash);
        abx_sha256_add(&hash, ABX_SHADER_SOURCES, strlen(ABX_SHADER_SOURCES));
        add_processor(&hash);
        abx_sha256_finish(&hash, digest);
        for (size_t i = 0; i < 16; i++)
            snprintf(version + 2 * i, 3, "%02x", digest[i]);
    }
    return version;
}
