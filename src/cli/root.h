/* cli: private to the files that assemble a root (root.c, root_farm.c, root_ldcache.c). */
#ifndef ABX_CLI_ROOT_H
#define ABX_CLI_ROOT_H

#include "cli/inside.h"
#include "cli/run.h"

struct assembly {
    struct abx_root *root;
    const char *lower;  /* "" for the host's root, else the image's folder */
    const char *stage;  /* our tree, or NULL */
    int image, ours;    /* both, opened (abx_inside_root()); ours may be -1 */
    char *upper, *work; /* folders that hold one folder for each overlay */
    unsigned serial;
    bool overlay_works, without_overlay;
    bool on_disk;           /* the layers: memory does not do */
    const char *all_layers; /* abx_layer_place() */
    char **mounts;          /* mount points below the image's root */
    size_t mount_count;
    int (*make_folder)(struct assembly *a, const char *rel);
};

char *abx_root_lower(const struct assembly *a, const char *rel);
char *abx_root_upper_path(const struct assembly *a, const char *rel);
/* A folder of a tree, which is no link; -errno. */
int abx_root_folder(int tree, const char *rel);
bool abx_root_has_folder(int tree, const char *rel);
/* Shows an opened file or folder and what is mounted below it at `to`, read-only all of it or not
 * at all. */
int abx_root_bind(int from, const char *to);
int abx_root_overlay(struct assembly *a, const char *rel);
/* The same without overlays: links to the entries of both trees. */
int abx_root_farm(struct assembly *a, const char *rel);
/* Puts a loader's cache that knows our libraries into the root; without it they are still found in
 * the loader's default folders, so a failure only adds to the notice. */
void abx_root_ldcache(struct assembly *a);

#endif
