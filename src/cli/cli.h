/* cli: the `arcbox` command, one file a verb. Runs as the user, trusts the user's own arguments and
 * nothing a container says. Messages are one line, "arcbox: ...", on standard error. */
#ifndef ABX_CLI_CLI_H
#define ABX_CLI_CLI_H

#include "base/base.h"

/* Exit codes as docker's: our own error, the command cannot run, the command is not there. Else the
 * command's own, or 128 + the signal that ended it. */
#define ABX_EXIT_OWN 125
#define ABX_EXIT_CANNOT_RUN 126
#define ABX_EXIT_NOT_FOUND 127

struct abx_verb {
    const char *name;
    const char *usage;                 /* what follows the name */
    const char *summary;               /* one line */
    const char *details;               /* options, one a line; may be NULL */
    int (*run)(int argc, char **argv); /* argv[0] is the verb; returns the exit code */
};

extern const struct abx_verb abx_verb_bench, abx_verb_cdi, abx_verb_cdi_hook, abx_verb_completion,
        abx_verb_daemon, abx_verb_doctor, abx_verb_gpu, abx_verb_help, abx_verb_logs, abx_verb_ps,
        abx_verb_rm, abx_verb_run, abx_verb_stop, abx_verb_version;

/* Every verb shown to the user, NULL-terminated; abx_verb_find also finds the hidden ones. */
extern const struct abx_verb *const abx_verbs[];
const struct abx_verb *abx_verb_find(const char *name);

/* ---- messages (message.c) */
void abx_say(const char *format, ...) ABX_PRINTF(1, 2);
_Noreturn void abx_die(int code, const char *format, ...) ABX_PRINTF(2, 3);
/* "out of memory" ends a command-line tool: these never return NULL. */
void *abx_xcalloc(size_t count, size_t size);
char *abx_xstrdup(const char *s);
char *abx_xprintf(const char *format, ...) ABX_PRINTF(1, 2);
void abx_json_string(struct abx_string *out, const char *text);

/* ---- options (message.c): a walk over argv that knows docker's spellings. */
struct abx_options {
    int argc, next;
    char **argv;
    const char *verb;
    char *cluster; /* the rest of "-itd" */
    char *inlined; /* the value of "--name=value" */
    char name[64]; /* the option being looked at, with its dashes */
};
struct abx_options abx_options_start(int argc, char **argv);
/* The next option's name, or NULL at the first word that is none (argv[next]), or after "--". */
const char *abx_options_next(struct abx_options *o);
/* The value of the current option: inline or the next word; dies when there is none. */
char *abx_options_value(struct abx_options *o);
/* The inline value, or NULL: for options whose value is optional or a boolean. */
char *abx_options_inline(struct abx_options *o);
bool abx_options_bool(struct abx_options *o);
/* --format json|table: true for json. */
bool abx_option_json(struct abx_options *o);
_Noreturn void abx_options_unknown(struct abx_options *o);

/* ---- places (places.c) */
/* This program's own folder-relative parts: found beside the binary in a build folder, or under
 * PREFIX/lib/arcbox when installed. NULL when not there. The caller's to free(). */
char *abx_place_guest_root(void); /* the tree that appears in a container */
char *abx_place_init(void);       /* arcbox-init, static */
char *abx_place_tool(const char *name);
char *abx_place_data(const char *name); /* completion scripts */
/* Private folders of this user, made with mode 0700; die when that fails. */
char *abx_place_state(void);
char *abx_place_cache(void);
int abx_mkdir_p(const char *path, mode_t mode);
/* Removes a folder and what is in it, never crossing into another file system. (layer.c) */
void abx_remove_tree(const char *path);
/* The program of that name in $PATH (or /usr/sbin, /sbin); NULL when there is none. */
char *abx_find_program(const char *name);

#endif
