/* cli: what a container of the host's own root does not see although its user can: the hidden files
 * of home folders, where keys and passwords are, and the system's own keys when that user is root.
 * Empty folders and files are mounted over them, in which a program may write and a user may mount.
 * Runs in the child that assembles the root. */
#include "cli/sandbox.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define EMPTY_FILE "/run/.arcbox-empty"

/* Hidden files of a home that are seen: tool chains, what they cache, and how shells start. */
static const char *const seen[] = {".asdf", ".bash_logout", ".bash_profile", ".bashrc", ".bun",
        ".cabal", ".cache", ".cargo", ".conda", ".deno", ".dotnet", ".ghcup", ".inputrc", ".julia",
        ".keras", ".local", ".mamba", ".matplotlib", ".node", ".npm", ".nvm", ".opam", ".profile",
        ".pyenv", ".python-version", ".rbenv", ".rustup", ".rvm", ".sdkman", ".stack", ".terminfo",
        ".tool-versions", ".venv", ".venvs", ".vim", ".vimrc", ".virtualenvs", ".zprofile",
        ".zshenv", ".zshrc"};
/* And what in those is not. */
static const char *const unseen[] = {".cache/huggingface/stored_tokens", ".cache/huggingface/token",
        ".cargo/credentials", ".cargo/credentials.toml", ".local/share/gnome-shell",
        ".local/share/keyrings", ".local/share/kwalletd", ".local/share/TelegramDesktop"};
/* Kept even where $PATH would show them, and where they are links to elsewhere. */
static const char *const secret[] = {".aws", ".azure", ".config", ".docker", ".git-credentials",
        ".gnupg", ".kube", ".mozilla", ".netrc", ".password-store", ".pgpass", ".pypirc", ".ssh",
        ".thunderbird"};
/* Of the system: readable for root alone, but root's containers are root's. */
static const char *const of_system[] = {"/etc/NetworkManager/system-connections", "/etc/gshadow",
        "/etc/gshadow-", "/etc/krb5.keytab", "/etc/shadow", "/etc/shadow-", "/etc/ssl/private",
        "/etc/wireguard"};

struct homes {
    struct sandbox *s;
    int root;
    int kept[2]; /* folders the user is in, although they are hidden: to be shown again */
    const char *kept_path[2];
    unsigned kept_count;
};

static bool listed(const char *name, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (list[i] && strcmp(name, list[i]) == 0)
            return true;
    return false;
}

#define LISTED(name, list) listed(name, list, ABX_ARRAY_SIZE(list))

static bool is_in(const char *path, const char *folder)
{
    size_t n = strlen(folder);
    return strncmp(path, folder, n) == 0 && (path[n] == '/' || !path[n]);
}

/* As it is written, or without the links that lead there. */
static bool leads_to(const char *path, const char *folder)
{
    char *real = *path == '/' ? realpath(path, NULL) : NULL;
    bool leads = is_in(path, folder) || (real && is_in(real, folder));
    free(real);
    return leads;
}

/* A folder of $PATH or a virtual environment is there, or the program itself. */
static bool is_used(const struct homes *h, const char *path)
{
    const char *environment = getenv("VIRTUAL_ENV"), *list = getenv("PATH");
    if ((environment && leads_to(environment, path)) || leads_to(h->s->run->command[0], path))
        return true;
    char *copy = abx_xstrdup(list ? list : ""), *rest = copy;
    bool found = false;
    for (char *folder; !found && (folder = strsep(&rest, ":"));)
        found = leads_to(folder, path);
    free(copy);
    return found;
}

/* An error ends the start: what was to be hidden is not shown. */
static int cover(struct homes *h, const char *path)
{
    struct stat st;
    int point = abx_inside_open(h->root, path, O_PATH, 0), r = 0, tree;
    if (point == -ENOENT || point == -EACCES || point == -ELOOP || point == -ENOTDIR)
        return 0;
    if (point < 0)
        return point;
    if (fstat(point, &st) == 0 && (S_ISDIR(st.st_mode) || S_ISREG(st.st_mode))) {
        tree = S_ISDIR(st.st_mode) ? abx_tree_memory("0700")
                                   : abx_tree_open(h->root, &EMPTY_FILE[1], MOUNT_ATTR_RDONLY);
        r = tree < 0 ? tree : abx_tree_attach(tree, point);
        if (tree >= 0)
            close(tree);
    }
    close(point);
    return r;
}

/* The user works in there. */
static void keep(struct homes *h, const char *hidden)
{
    const char *folders[] = {h->s->here, h->s->folder};
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(folders); i++) {
        if (!folders[i] || !leads_to(folders[i], hidden) ||
                h->kept_count == ABX_ARRAY_SIZE(h->kept))
            continue;
        int folder = abx_inside_open(h->root, folders[i], O_PATH | O_DIRECTORY, 0);
        int tree = folder < 0 ? folder : abx_tree_open(folder, "", 0);
        if (folder >= 0)
            close(folder);
        if (tree < 0)
            continue;
        h->kept_path[h->kept_count] = folders[i];
        h->kept[h->kept_count++] = tree;
    }
}

static int show_kept(struct homes *h)
{
    int r = 0;
    for (unsigned i = 0; i < h->kept_count; i++) {
        int point = r < 0 ? r : abx_inside_folder(h->root, h->kept_path[i]);
        r = point < 0 ? point : abx_tree_attach(h->kept[i], point);
        if (point >= 0)
            close(point);
        close(h->kept[i]);
    }
    return r;
}

static int hide(struct homes *h, const char *home, const char *name, unsigned char type)
{
    char *path = abx_xprintf("%s/%s", home, name);
    bool is_secret = LISTED(name, secret), shown = LISTED(name, seen);
    int r = 0;
    if (!is_secret && !shown)
        shown = type == DT_LNK || is_used(h, path);
    if (!shown) {
        keep(h, path);
        r = cover(h, path);
    }
    free(path);
    return r;
}

static int cover_home(struct homes *h, const char *home)
{
    int fd = abx_inside_open(h->root, home, O_RDONLY | O_DIRECTORY, 0), r = 0;
    if (strcmp(home, "/") == 0 || fd < 0) {
        if (fd >= 0)
            close(fd);
        return 0; /* not there, or not to be read */
    }
    DIR *d = fdopendir(fd);
    for (struct dirent *e; r == 0 && d && (e = readdir(d));)
        if (e->d_name[0] == '.' && strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            r = hide(h, home, e->d_name, e->d_type);
    for (unsigned i = 0; r == 0 && i < ABX_ARRAY_SIZE(unseen); i++) {
        char *path = abx_xprintf("%s/%s", home, unseen[i]);
        r = cover(h, path);
        free(path);
    }
    if (d)
        closedir(d);
    else
        close(fd);
    return r;
}

/* Every home that can be read: the caller's, by its variable and by the list of users, root's,
 * those below /home. */
static int cover_homes(struct homes *h)
{
    const char *const first[] = {h->s->homes[0], h->s->homes[1], "/root"};
    int r = 0;
    for (unsigned i = 0; r == 0 && i < ABX_ARRAY_SIZE(first); i++)
        if (first[i] && !listed(first[i], first, i))
            r = cover_home(h, first[i]);
    int fd = abx_inside_open(h->root, "/home", O_RDONLY | O_DIRECTORY, 0);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    for (struct dirent *e; r == 0 && d && (e = readdir(d));) {
        char *home = abx_xprintf("/home/%s", e->d_name);
        if (e->d_name[0] != '.' && !LISTED(home, first))
            r = cover_home(h, home);
        free(home);
    }
    if (d)
        closedir(d);
    return r;
}

static int cover_host_keys(struct homes *h)
{
    int fd = abx_inside_open(h->root, "/etc/ssh", O_RDONLY | O_DIRECTORY, 0), r = 0;
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    for (struct dirent *e; r == 0 && d && (e = readdir(d));) {
        size_t n = strlen(e->d_name);
        if (n < 4 || strcmp(e->d_name + n - 4, "_key") != 0)
            continue;
        char *path = abx_xprintf("/etc/ssh/%s", e->d_name);
        r = cover(h, path);
        free(path);
    }
    if (d)
        closedir(d);
    return r;
}

int abx_sandbox_hide_secrets(struct sandbox *s, const char *root)
{
    struct homes h = {.s = s, .root = abx_inside_root(root)};
    int file = h.root < 0 ? h.root
                          : abx_inside_open(h.root, EMPTY_FILE,
                                    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0444);
    int r = file < 0 ? file : cover_homes(&h);
    for (unsigned i = 0; r == 0 && i < ABX_ARRAY_SIZE(of_system); i++)
        r = cover(&h, of_system[i]);
    if (r == 0)
        r = cover_host_keys(&h);
    if (r == 0)
        r = show_kept(&h);
    if (file >= 0)
        close(file);
    if (h.root >= 0)
        close(h.root);
    return r;
}
