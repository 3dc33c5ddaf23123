/* cli: /etc/hosts and /etc/resolv.conf of a sandbox. Runs in the child that assembles the root. */
#include "cli/sandbox.h"
#include "cli/vm/box.h"
#include "cli/vm/network.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NETWORK_FILE_CAP (1u << 20)

/* An image without the folder goes without the file. */
static void put(const char *path, const char *rel, const void *data, size_t length)
{
    int root = abx_inside_root(path);
    abx_inside_put(root, rel, data, length);
    close(root);
}

/* The container knows the host's names, its own (programs look themselves up), and those given. */
static void write_hosts(const struct sandbox *s, const char *root)
{
    struct abx_string text = {0};
    void *data;
    size_t length;
    if (abx_read_file("/etc/hosts", NETWORK_FILE_CAP, &data, &length) == 0) {
        abx_string_add(&text, data, length);
        free(data);
    } else
        abx_string_printf(&text, "127.0.0.1\tlocalhost\n::1\tlocalhost\n");
    if (text.length && text.data[text.length - 1] != '\n')
        abx_string_add(&text, "\n", 1);
    abx_string_printf(&text, "127.0.1.1\t%s\n", s->run->hostname ? s->run->hostname : s->name);
    unsigned at = 0;
    for (const char *given; (given = abx_run_given(s->run, "--add-host", &at));) {
        const char *address = strchr(given, ':') + 1;
        if (strcmp(address, "host-gateway") == 0) /* docker's word for the host */
            address = s->vm ? ABX_VM_HOST : "127.0.0.1";
        abx_string_printf(&text, "%s\t%.*s\n", address, (int)strcspn(given, ":"), given);
    }
    if (!text.failed)
        put(root, "/etc/hosts", text.data, text.length);
    abx_string_finish(&text);
}

/* A folder image resolves names as the host does, unless it was told how. */
static void write_resolver(const struct sandbox *s, const char *root)
{
    static const char resolv[] = "/etc/resolv.conf";
    struct abx_string text = {0};
    void *data;
    size_t length;
    unsigned at = 0;
    for (const char *given; (given = abx_run_given(s->run, "--dns", &at));)
        abx_string_printf(&text, "nameserver %s\n", given);
    if (!text.length && s->vm && s->vm->network)
        abx_string_printf(&text, "nameserver " ABX_VM_RESOLVER "\n");
    if (text.length)
        put(root, resolv, text.data, text.length);
    else if (s->run->kind == ABX_IMAGE_FOLDER &&
             abx_read_file(resolv, NETWORK_FILE_CAP, &data, &length) == 0) {
        put(root, resolv, data, length);
        free(data);
    }
    abx_string_finish(&text);
}

void abx_sandbox_network_files(const struct sandbox *s, const char *root)
{
    write_hosts(s, root);
    write_resolver(s, root);
}
