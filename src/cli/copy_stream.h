/* cli: files and folders as a stream of bytes, between `arcbox cp` and arcbox-init in the
 * container: each end opens its own files with its own rights. Either may be hostile to the other:
 * what is received makes names of its own below one folder, follows no link, and sets no more than
 * permissions. Linked into arcbox-init too, which has nothing else of ours. */
#ifndef ABX_CLI_COPY_STREAM_H
#define ABX_CLI_COPY_STREAM_H

#include <stddef.h>

/* Sends `path`, which is followed when it is a link itself; links below stay links. Sockets,
 * devices and pipes are left out. 0, or -errno with a text. */
int abx_copy_send(int out, const char *path, char *text, size_t capacity);

/* Receives to `path`: into it when it is a folder (under the name it was sent with, or, for what
 * was sent as "FOLDER/.", what is in it), else as it. 0, or -errno with a text. */
int abx_copy_receive(int in, const char *path, char *text, size_t capacity);

#endif
