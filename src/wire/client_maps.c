/* wire, guest side: what the program has mapped where. Runs in the guest's process; trusts the
 * kernel's answer for the moment it was given. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "wire/client_internal.h"

unsigned abx_client_mappings(
        uint64_t start, uint64_t end, struct abx_mapping *list, unsigned capacity)
{
    FILE *f = fopen("/proc/self/maps", "re");
    char line[512], access[8];
    unsigned count = 0;
    bool whole = true; /* the line before ended */
    while (f && count < capacity && fgets(line, sizeof line, f)) {
        bool begins = whole;
        whole = strchr(line, '\n') != NULL;
        struct abx_mapping m = {0};
        if (!begins || sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %*x %*s %" SCNu64, &m.start,
                               &m.end, access, &m.inode) != 4)
            continue;
        if (m.start >= end)
            break;
        if (m.end <= start)
            continue;
        m.start = m.start < start ? start : m.start;
        m.end = m.end > end ? end : m.end;
        m.writable = access[1] == 'w';
        m.shared = access[3] == 's';
        list[count++] = m;
    }
    if (f)
        fclose(f);
    return count;
}
