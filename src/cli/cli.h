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

/* ---- the table (table.c): every verb and option, of which the option walk, the help, the man page
 * and the shells' completions are made. */

struct abx_option {
    char letter;       /* 0: none */
    const char *name;  /* with its dashes; NULL ends a list */
    const char *value; /* what follows, as the help calls it; NULL: a flag. "[X]": after "=" only */
    const char *help;
    const char *words; /* what a value may be, for completion: words, or FILE, FOLDER, CONTAINER,
                          MACHINE */
    const char *also;  /* another spelling, with its dashes, or NULL */
};

struct abx_verb {
    const char *name;    /* of one in a group: both words, with a blank */
    const char *usage;   /* what follows the name and the options */
    const char *summary; /* one line */
    const char *details; /* paragraphs below it; may be NULL */
    const struct abx_option *options;
    const char *words;  /* what its words may be, for completion, as above; also VERB */
    int max_words;      /* more are refused; -1: any number */
    bool takes_command; /* options end at the first word: the rest is a command's */
    bool hidden;
    int (*run)(int argc, char **argv); /* argv[0] is the verb; returns the exit code */
    const struct abx_verb *verbs;      /* of a group, which has no `run`; the last has no name */
};

/* Every verb, ending with one without a name. */
extern const struct abx_verb abx_verbs[];
const struct abx_verb *abx_verb_find(const char *name); /* NULL: none */
/* The word that a group's verb is called by in it. */
const char *abx_verb_short(const struct abx_verb *verb);
/* The verb of a group that is called by that word; NULL: none. */
const struct abx_verb *abx_verb_within(const struct abx_verb *group, const char *word);
/* A slip of the fingers away (near_miss.c). */
unsigned abx_word_distance(const char *a, const char *b);
bool abx_is_near(const char *word, const char *known);

struct abx_variable {
    const char *name, *help;
};
/* Of the environment; the last has no name. */
extern const struct abx_variable abx_variables[];

int abx_do_attach(int argc, char **argv);
int abx_do_bench(int argc, char **argv);
int abx_do_cdi(int argc, char **argv);
int abx_do_cdi_hook(int argc, char **argv);
int abx_do_completion(int argc, char **argv);
int abx_do_cp(int argc, char **argv);
int abx_do_daemon(int argc, char **argv);
int abx_do_doctor(int argc, char **argv);
int abx_do_exec(int argc, char **argv);
int abx_do_gpu(int argc, char **argv);
int abx_do_images(int argc, char **argv);
int abx_do_inspect(int argc, char **argv);
int abx_do_kill(int argc, char **argv);
int abx_do_prune(int argc, char **argv);
int abx_do_wait(int argc, char **argv);
int abx_help_metal(const char *class_name); /* NULL: all classes */
int abx_do_help(int argc, char **argv);
int abx_do_logs(int argc, char **argv);
int abx_do_machine_create(int argc, char **argv);
int abx_do_machine_inspect(int argc, char **argv);
int abx_do_machine_ls(int argc, char **argv);
int abx_do_machine_rm(int argc, char **argv);
int abx_do_machine_ssh(int argc, char **argv);
int abx_do_machine_start(int argc, char **argv);
int abx_do_machine_stop(int argc, char **argv);
int abx_do_manual(int argc, char **argv);
int abx_do_ps(int argc, char **argv);
int abx_do_pull(int argc, char **argv);
int abx_do_rm(int argc, char **argv);
int abx_do_run(int argc, char **argv);
int abx_do_sandbox_run(int argc, char **argv);
int abx_do_stats(int argc, char **argv);
int abx_do_vm(int argc, char **argv);
int abx_do_stop(int argc, char **argv);
int abx_do_version(int argc, char **argv);

/* ---- messages (message.c) */
/* The log of a detached container, to which its own arcbox speaks too; -1: standard error. */
extern int abx_messages_log;
void abx_say(const char *format, ...) ABX_PRINTF(1, 2);
_Noreturn void abx_die(int code, const char *format, ...) ABX_PRINTF(2, 3);
/* "out of memory" ends a command-line tool: these never return NULL. */
void *abx_xcalloc(size_t count, size_t size);
char *abx_xstrdup(const char *s);
/* As abx_grow(). */
void abx_xgrow(void **array, uint32_t *capacity, uint32_t count, size_t element_bytes);
/* A command line: `list` ends with NULL once it has a word. The words stay the caller's. */
struct abx_words {
    char **list;
    uint32_t count, capacity;
};
void abx_words_add(struct abx_words *words, const char *word);
char *abx_xprintf(const char *format, ...) ABX_PRINTF(1, 2);
void abx_json_string(struct abx_string *out, const char *text);

/* ---- options (options.c): a walk over argv that knows docker's spellings and the verb's options.
 */
struct abx_options {
    int argc, next;
    char **argv;
    const struct abx_verb *verb;
    const struct abx_option *option; /* the one being looked at */
    char *cluster;                   /* the rest of "-itd" */
    char *inlined;                   /* the value of "--name=value" */
    char given[64];                  /* as it was written, with its dashes */
    char **words; /* once the walk has ended: what is no option; argv[next] on for a command */
    int count;
    bool ended_by_dashes;
};
/* argv[0] is a verb's name. */
struct abx_options abx_options_start(int argc, char **argv);
/* The next option's long name, or NULL when there is none: `words` and `count` are the rest then.
 * Dies of an option that the verb has not, and of too many words. */
const char *abx_options_next(struct abx_options *o);
/* The value of the current option: inline or the next word; dies when there is none. */
char *abx_options_value(struct abx_options *o);
/* The inline value, or NULL: for options whose value is optional or a boolean. */
char *abx_options_inline(struct abx_options *o);
bool abx_options_bool(struct abx_options *o);
/* --format json|table: true for json. */
bool abx_option_json(struct abx_options *o);
/* Ends with "usage: ..." of the verb: too few words. */
_Noreturn void abx_usage(const struct abx_options *o);

/* ---- places (places.c) */
/* This program's own folder-relative parts: found beside the binary in a build folder, or under
 * PREFIX/lib/arcbox when installed. NULL when not there. The caller's to free(). */
char *abx_place_self(void);             /* this program */
char *abx_place_guest_root(void);       /* the tree that appears in a container */
char *abx_place_init(void);             /* arcbox-init, static */
char *abx_place_device(void);           /* arcbox-vmm */
char *abx_place_page(const char *name); /* of the documentation */
char *abx_place_tool(const char *name);
/* Private folders of this user, made with mode 0700; die when that fails. */
char *abx_place_state(void);
char *abx_place_cache(void);
char *abx_place_data(void); /* what is kept: machines */
int abx_mkdir_p(const char *path, mode_t mode);
/* Removes a folder and what is in it, never crossing into another file system. (layer.c) */
void abx_remove_tree(const char *path);
/* The program of that name in $PATH (or /usr/sbin, /sbin); NULL when there is none. */
char *abx_find_program(const char *name);

#endif
