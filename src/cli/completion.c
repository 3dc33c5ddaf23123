/* arcbox completion: the shells' scripts, of the table, so that `source <(arcbox completion bash)`
 * works without an installation. What a word may be: words that stand for themselves, FILE, FOLDER,
 * CONTAINER, MACHINE, VERB. */
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_names(const struct abx_verb *verbs)
{
    for (const struct abx_verb *v = verbs; v->name; v++)
        if (!v->hidden)
            printf("%s%s", v == verbs ? "" : " ", abx_verb_short(v));
}

static void print_verb_names(void)
{
    print_names(abx_verbs);
}

/* Calls `known` for each of the five kinds, and `plain` with the words that are none. */
static void each_word(const char *words, void (*known)(const char *), void (*plain)(const char *))
{
    char *copy = abx_xstrdup(words), *rest = copy;
    struct abx_string others = {0};
    for (char *word; (word = strsep(&rest, " "));) {
        if (strcmp(word, "FILE") == 0 || strcmp(word, "FOLDER") == 0 ||
                strcmp(word, "CONTAINER") == 0 || strcmp(word, "MACHINE") == 0 ||
                strcmp(word, "VERB") == 0)
            known(word);
        else if (*word)
            abx_string_printf(&others, "%s%s", others.length ? " " : "", word);
    }
    if (others.length)
        plain(others.data);
    abx_string_finish(&others);
    free(copy);
}

/* ---- bash */

static void bash_known(const char *kind)
{
    if (*kind == 'V') {
        printf(" $(compgen -W \"");
        print_verb_names();
        printf("\" -- \"$word\")");
    } else if (*kind == 'C')
        printf(" $(compgen -W \"$(arcbox ps -aq 2>/dev/null)\" -- \"$word\")");
    else if (*kind == 'M')
        printf(" $(compgen -W \"$(arcbox machine ls -q 2>/dev/null)\" -- \"$word\")");
    else
        printf(" $(compgen -%c -- \"$word\")", kind[1] == 'I' ? 'f' : 'd');
}

static void bash_plain(const char *words)
{
    printf(" $(compgen -W \"%s\" -- \"$word\")", words);
}

static void bash_verb(const struct abx_verb *v);

static void bash_group(const struct abx_verb *group)
{
    printf("    %s)\n    if [ \"$COMP_CWORD\" = 2 ]; then COMPREPLY=($(compgen -W \"", group->name);
    print_names(group->verbs);
    printf("\" -- \"$word\")); return; fi\n    case ${COMP_WORDS[2]} in\n");
    for (const struct abx_verb *v = group->verbs; v->name; v++)
        bash_verb(v);
    printf("    esac ;;\n");
}

static void bash_verb(const struct abx_verb *v)
{
    if (v->verbs) {
        bash_group(v);
        return;
    }
    printf("    %s)\n        case $previous in\n", abx_verb_short(v));
    for (const struct abx_option *o = v->options; o && o->name; o++) {
        if (!o->value || *o->value == '[')
            continue;
        printf("        %s", o->name);
        if (o->also)
            printf(" | %s", o->also);
        if (o->letter)
            printf(" | -%c", o->letter);
        printf(") COMPREPLY=(");
        each_word(o->words ? o->words : "", bash_known, bash_plain);
        printf("); return ;;\n");
    }
    printf("        esac\n        if [[ $word == -* ]]; then COMPREPLY=($(compgen -W \"");
    for (const struct abx_option *o = v->options; o && o->name; o++) {
        printf("%s ", o->name);
        if (o->letter)
            printf("-%c ", o->letter);
    }
    printf("--help\" -- \"$word\"))\n        else COMPREPLY=(");
    each_word(v->words ? v->words : "", bash_known, bash_plain);
    printf("%s); fi ;;\n", v->takes_command ? " $(compgen -c -- \"$word\")" : "");
}

static void bash(void)
{
    printf("# bash completion for arcbox, made by `arcbox completion bash`\n_arcbox() {\n"
           "    local word=${COMP_WORDS[COMP_CWORD]} verb=${COMP_WORDS[1]} previous=\n"
           "    [ \"$COMP_CWORD\" -gt 0 ] && previous=${COMP_WORDS[COMP_CWORD - 1]}\n"
           "    COMPREPLY=()\n    if [ \"$COMP_CWORD\" = 1 ]; then\n"
           "        COMPREPLY=($(compgen -W \"");
    print_verb_names();
    printf("\" -- \"$word\"))\n        return\n    fi\n    case $verb in\n");
    for (const struct abx_verb *v = abx_verbs; v->name; v++)
        if (!v->hidden)
            bash_verb(v);
    printf("    esac\n}\ncomplete -o default -F _arcbox arcbox\n");
}

/* ---- zsh and fish: texts in single quotation marks */

static void quoted(const char *text, const char *also_escaped)
{
    for (; *text; text++)
        if (*text == '\'')
            printf("'\\''");
        else if (strchr(also_escaped, *text))
            printf("\\%c", *text);
        else
            putchar(*text);
}

static void zsh_known(const char *kind)
{
    printf(*kind == 'C'      ? "($(arcbox ps -aq 2>/dev/null))"
            : *kind == 'M'   ? "($(arcbox machine ls -q 2>/dev/null))"
            : *kind == 'V'   ? "_arcbox_verbs"
            : kind[1] == 'I' ? "_files"
                             : "_files -/");
}

static void zsh_plain(const char *words)
{
    printf("(%s)", words);
}

/* Of several kinds zsh takes the first that is no list of words: files, or containers. */
static void zsh_words(const char *words)
{
    static const char *const kinds[] = {"FILE", "FOLDER", "CONTAINER", "MACHINE", "VERB"};
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(kinds); i++)
        if (strstr(words, kinds[i])) {
            zsh_known(kinds[i]);
            return;
        }
    each_word(words, zsh_known, zsh_plain);
}

static void zsh_option(const struct abx_option *o)
{
    char letter[4] = {'-', o->letter, 0};
    const char *const names[] = {o->name, o->letter ? letter : NULL};
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(names) && names[i]; i++) {
        printf(" \\\n            '*%s%s[", names[i],
                !o->value || *o->value == '[' ? ""
                : i                           ? "+"
                                              : "=");
        quoted(o->help, "[]:");
        printf("]");
        if (o->value && *o->value != '[') {
            printf(":value:");
            zsh_words(o->words ? o->words : "");
        }
        printf("'");
    }
}

static void zsh_verb(const struct abx_verb *v)
{
    printf("    %s) _arguments '--help[show help]'", abx_verb_short(v));
    for (const struct abx_option *o = v->options; o && o->name; o++)
        zsh_option(o);
    if (v->words) {
        printf(" \\\n            '%s:word:", v->takes_command ? "1" : "*");
        zsh_words(v->words);
        printf("'");
    }
    printf("%s ;;\n", v->takes_command ? " '*::command:_normal'" : "");
}

static void zsh_group(const struct abx_verb *group)
{
    printf("    %s) if ((CURRENT == 2)); then\n        compadd ", group->name);
    print_names(group->verbs);
    printf("\n        return\n    fi\n    verb=$words[2]\n    shift words\n    ((CURRENT--))\n"
           "    case $verb in\n");
    for (const struct abx_verb *v = group->verbs; v->name; v++)
        zsh_verb(v);
    printf("    esac ;;\n");
}

static void zsh(void)
{
    printf("#compdef arcbox\n# zsh completion for arcbox, made by `arcbox completion zsh`\n"
           "_arcbox_verbs() {\n    local -a verbs\n    verbs=(\n");
    for (const struct abx_verb *v = abx_verbs; v->name; v++)
        if (!v->hidden) {
            printf("        '%s:", v->name);
            quoted(v->summary, ":");
            printf("'\n");
        }
    printf("    )\n    _describe command verbs\n}\n_arcbox() {\n    if ((CURRENT == 2)); then\n"
           "        _arcbox_verbs\n        return\n    fi\n    local verb=$words[2]\n"
           "    shift words\n    ((CURRENT--))\n    case $verb in\n");
    for (const struct abx_verb *v = abx_verbs; v->name; v++) {
        if (v->hidden)
            continue;
        if (v->verbs)
            zsh_group(v);
        else
            zsh_verb(v);
    }
    printf("    esac\n}\n_arcbox \"$@\"\n");
}

static void fish_known(const char *kind)
{
    printf(*kind == 'C'      ? " -a '(arcbox ps -aq)'"
            : *kind == 'M'   ? " -a '(arcbox machine ls -q)'"
            : *kind == 'V'   ? " -a \"$verbs\""
            : kind[1] == 'I' ? " -F"
                             : " -a '(__fish_complete_directories)'");
}

static void fish_plain(const char *words)
{
    printf(" -a '%s'", words);
}

/* `seen`: fish's words for that it stands there. */
static void fish_verb(const struct abx_verb *v, const char *seen)
{
    if (v->words && !v->takes_command) {
        printf("complete -c arcbox -f -n '%s'", seen);
        each_word(v->words, fish_known, fish_plain);
        printf("\n");
    }
    for (const struct abx_option *o = v->options; o && o->name; o++) {
        printf("complete -c arcbox -n '%s' -l %s", seen, o->name + 2);
        if (o->letter)
            printf(" -s %c", o->letter);
        if (o->value && *o->value != '[') {
            printf(" -r");
            each_word(o->words ? o->words : "", fish_known, fish_plain);
        }
        printf(" -d '");
        quoted(o->help, "");
        printf("'\n");
    }
}

static void fish_group(const struct abx_verb *group)
{
    for (const struct abx_verb *v = group->verbs; v->name; v++) {
        printf("complete -c arcbox -f -n '__fish_seen_subcommand_from %s; and not "
               "__fish_seen_subcommand_from ",
                group->name);
        print_names(group->verbs);
        printf("' -a %s -d '", abx_verb_short(v));
        quoted(v->summary, "");
        printf("'\n");
        char *seen =
                abx_xprintf("__fish_seen_subcommand_from %s; and __fish_seen_subcommand_from %s",
                        group->name, abx_verb_short(v));
        fish_verb(v, seen);
        free(seen);
    }
}

static void fish(void)
{
    printf("# fish completion for arcbox, made by `arcbox completion fish`\nset -l verbs ");
    print_verb_names();
    printf("\n");
    for (const struct abx_verb *v = abx_verbs; v->name; v++) {
        if (v->hidden)
            continue;
        printf("complete -c arcbox -f -n \"not __fish_seen_subcommand_from $verbs\" -a %s -d '",
                v->name);
        quoted(v->summary, "");
        printf("'\n");
        if (v->verbs)
            fish_group(v);
        else {
            char *seen = abx_xprintf("__fish_seen_subcommand_from %s", v->name);
            fish_verb(v, seen);
            free(seen);
        }
    }
}

int abx_do_completion(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*print)(void);
    } shells[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}};
    struct abx_options o = abx_options_start(argc, argv);
    abx_options_next(&o);
    if (!o.count)
        abx_usage(&o);
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(shells); i++)
        if (strcmp(o.words[0], shells[i].name) == 0) {
            shells[i].print();
            return 0;
        }
    abx_die(ABX_EXIT_OWN, "no completion for the shell '%s': bash, zsh or fish", o.words[0]);
}
