/* cli: finds a string in JSON text, as cJSON reads it; what is malformed, or not there, is NULL. */
#include "cli/json.h"
#include "cli/cli.h"

#include <cjson/cJSON.h>

char *abx_json_find(const char *text, const char *const *path)
{
    cJSON *all = cJSON_Parse(text);
    const cJSON *at = all;
    for (; *path; path++)
        at = cJSON_GetObjectItemCaseSensitive(at, *path);
    char *found = cJSON_IsString(at) ? abx_xprintf("%s", at->valuestring) : NULL;
    cJSON_Delete(all);
    return found;
}
