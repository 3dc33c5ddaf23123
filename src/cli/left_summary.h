/* cli: which of the files that a command left in a private layer are worth telling of, and how that
 * is told. Linked into arcbox-vm too, which has nothing else of ours but base. */
#ifndef ABX_CLI_LEFT_SUMMARY_H
#define ABX_CLI_LEFT_SUMMARY_H

#include "base/base.h"

#define ABX_LEFT_SHOWN 3u

struct abx_left_summary {
    const char *folder; /* the command's working folder */
    unsigned found, here, shown_count;
    char *shown[ABX_LEFT_SHOWN];
    bool shown_here;
};

/* What nobody misses: hidden files, caches, what systems keep for themselves, and our own. Folders
 * end with a slash. */
bool abx_left_is_boring(const struct abx_left_summary *s, const char *path);
/* One file, which is not boring. Its name may be anything. */
void abx_left_count(struct abx_left_summary *s, const char *path);
/* A line of text, the caller's to free(); NULL: there is nothing to tell. Lets go of the rest. */
char *abx_left_text(struct abx_left_summary *s);

#endif
