/* cli: the one table of verbs, their options and the variables of the environment. The option walk
 * (options.c) accepts what stands here and nothing else; help, man page and completions (help.c,
 * manual.c, completion.c) show it. */
#include "cli/cli.h"

#define FORMAT {0, "--format", "json", "print JSON, for programs", "json table", NULL}
#define END {0}

static const struct abx_option run_options[] = {
        {0, "--gpu", "[NAME]", "give it the GPU: Metal programs run in it", "all", NULL},
        {0, "--gpus", "all|N|device=NAME,...",
                "the same in docker's words; `arcbox gpu` lists them", "all count= device=", NULL},
        {0, "--device", "arcbox.dev/gpu=NAME", "the same in podman's words", "arcbox.dev/gpu=all",
                NULL},
        {0, "--vm", NULL,
                "run it in a virtual machine, with a kernel of its own: `arcbox vm setup` first",
                NULL, NULL},
        {0, "--kernel", "RELEASE|FOLDER",
                "of a virtual machine: which kernel, as `arcbox vm setup` called it; the last one "
                "unless told otherwise",
                "FOLDER", NULL},
        {0, "--mount", "HOST:GUEST[:ro]",
                "show a file or folder of the host; what is written to it stays. Also "
                "type=bind,source=HOST,target=GUEST[,readonly]",
                "FILE", NULL},
        {0, "--here", NULL,
                "show the current folder, under its own name, and start in it; what is written to "
                "it stays",
                NULL, NULL},
        {'v', "--volume", "HOST:GUEST[:ro]", "the same", "FILE", NULL},
        {'e', "--env", "NAME[=VALUE]", "set a variable, or pass on the one that is set here", "",
                NULL},
        {0, "--env-file", "FILE", "set variables: lines NAME=VALUE", "FILE", NULL},
        {'w', "--workdir", "FOLDER", "working folder (host image: relative to this one)", "FOLDER",
                NULL},
        {'i', "--interactive", NULL,
                "with -d: keep its input open, for `arcbox attach`; else input is always passed on",
                NULL, NULL},
        {'t', "--tty", NULL, "give it a terminal", NULL, NULL},
        {'d', "--detach", NULL, "run it in the background, and print its name", NULL, NULL},
        {0, "--rm", NULL, "forget it when it ends", NULL, NULL},
        {0, "--ttl", "TIME", "end it after so long: seconds, or as 10m or 2h", "", NULL},
        {0, "--name", "NAME", "name it", "", NULL},
        {'h', "--hostname", "NAME", "its host name; its name unless told otherwise", "", NULL},
        {0, "--network", "host|none|user",
                "the host's network, or none; of a virtual machine: its own (user), or none; for "
                "OCI images also podman's others",
                "host none user", "--net"},
        {0, "--cpus", "N",
                "processors that its GPU work uses, where that is the processor's, and the command "
                "itself, where control groups can be made; all unless told otherwise",
                "", NULL},
        {'m', "--memory", "SIZE", "memory that the command may use: 512m, 2g", "", NULL},
        {'u', "--user", "USER[:GROUP]", "who it is in the container, by name or number", "", NULL},
        {0, "--entrypoint", "PROGRAM", "run that, and take the command for its arguments", "",
                NULL},
        {0, "--read-only", NULL, "no writable layer but /tmp, /run and mounts", NULL, NULL},
        {0, "--tmpfs", "FOLDER[:size=SIZE,mode=MODE]", "an empty folder in memory", "", NULL},
        {0, "--shm-size", "SIZE", "how large /dev/shm may grow", "", NULL},
        {0, "--ulimit", "NAME=SOFT[:HARD]", "a limit of its processes: nofile, nproc, core, ...",
                "", NULL},
        {0, "--add-host", "NAME:ADDRESS", "an address for a name, in /etc/hosts", "", NULL},
        {0, "--dns", "ADDRESS", "a name server, instead of the host's", "", NULL},
        {'l', "--label", "NAME[=VALUE]", "a note that `arcbox inspect` shows", "", NULL},
        {0, "--init", NULL, "docker's; a process that reaps others is always there", NULL, NULL},
        {'p', "--publish", "[ADDRESS:]PORT:PORT",
                "OCI images and virtual machines: a port of its own on the host", "", NULL},
        {0, "--pull", "WHEN", "OCI images: when to fetch it", "always missing newer never", NULL},
        {0, "--platform", "SYSTEM/PROCESSOR", "OCI images: which of several", "", NULL}, END};

static const struct abx_option machine_options[] = {
        {0, "--gpu", "[NAME]", "give it the GPU", "all", NULL},
        {0, "--gpus", "all|N|device=NAME,...", "the same in docker's words",
                "all count= device=", NULL},
        {0, "--cpus", "N", "its processors; as many as are here unless told otherwise", "", NULL},
        {'m', "--memory", "SIZE", "its memory; 2g unless told otherwise", "", NULL},
        {0, "--kernel", "RELEASE|FOLDER", "which kernel, as `arcbox vm setup` called it", "FOLDER",
                NULL},
        {0, "--disk", "SIZE",
                "how large its layer may grow; 16g unless told otherwise, of which only what is "
                "written takes room",
                "", NULL},
        {0, "--mount", "HOST:GUEST[:ro]", "show a file or folder of the host", "FILE", NULL},
        {0, "--here", NULL, "show the current folder, and let commands start in it", NULL, NULL},
        {'v', "--volume", "HOST:GUEST[:ro]", "the same as --mount", "FILE", NULL},
        {'e', "--env", "NAME[=VALUE]", "set a variable for its commands", "", NULL},
        {0, "--env-file", "FILE", "set variables: lines NAME=VALUE", "FILE", NULL},
        {'w', "--workdir", "FOLDER", "where its commands start", "FOLDER", NULL},
        {'u', "--user", "USER[:GROUP]", "who its commands are, by name or number", "", NULL},
        {'h', "--hostname", "NAME", "its host name; its name unless told otherwise", "", NULL},
        {0, "--network", "user|none", "a network of its own, or none", "none user", "--net"},
        {'p', "--publish", "[ADDRESS:]PORT:PORT", "a port of its own on the host", "", NULL},
        {0, "--add-host", "NAME:ADDRESS", "an address for a name, in /etc/hosts", "", NULL},
        {0, "--dns", "ADDRESS", "a name server, instead of the host's", "", NULL},
        {'l', "--label", "NAME[=VALUE]", "a note that `arcbox inspect` shows", "", NULL}, END};
static const struct abx_option machine_ls_options[] = {
        {'q', "--quiet", NULL, "names only", NULL, NULL}, FORMAT, END};
static const struct abx_option machine_stop_options[] = {
        {'t', "--time", "SECONDS", "how long to wait before it is ended outright (30)", "", NULL},
        END};

static const struct abx_option prune_options[] = {
        {'f', "--force", NULL, "docker's; nothing is asked", NULL, NULL}, END};

static const struct abx_option attach_options[] = {
        {0, "--no-stdin", NULL, "only show what it writes", NULL, NULL}, END};

static const struct abx_option exec_options[] = {
        {'e', "--env", "NAME[=VALUE]", "set a variable, or pass on the one that is set here", "",
                NULL},
        {'w', "--workdir", "FOLDER", "working folder; the container's unless told otherwise", "",
                NULL},
        {'u', "--user", "UID[:GID]", "who it is in the container (root's containers only)", "",
                NULL},
        {'i', "--interactive", NULL, "docker's; input is always passed on", NULL, NULL},
        {'t', "--tty", NULL, "give it a terminal", NULL, NULL},
        {'d', "--detach", NULL, "do not wait for it", NULL, NULL}, END};
static const struct abx_option kill_options[] = {
        {'s', "--signal", "SIGNAL", "which one; KILL unless told otherwise",
                "TERM KILL INT HUP USR1 USR2", NULL},
        END};
static const struct abx_option stats_options[] = {
        {0, "--no-stream", NULL, "print once", NULL, NULL}, FORMAT, END};
static const struct abx_option ps_options[] = {
        {'a', "--all", NULL, "also those that have ended", NULL, NULL},
        {'q', "--quiet", NULL, "names only", NULL, NULL}, FORMAT, END};
static const struct abx_option stop_options[] = {
        {'t', "--time", "SECONDS", "how long to wait before it is ended outright (10)", "", NULL},
        END};
static const struct abx_option logs_options[] = {
        {'f', "--follow", NULL, "go on until it ends", NULL, NULL},
        {'n', "--tail", "LINES", "the last lines only", "all", NULL}, END};
static const struct abx_option rm_options[] = {
        {'f', "--force", NULL, "stop it first when it runs", NULL, NULL}, END};
static const struct abx_option format_option[] = {FORMAT, END};
static const struct abx_option doctor_options[] = {
        FORMAT, {0, "--vm", NULL, "run a kernel in a virtual machine too", NULL, NULL}, END};
static const struct abx_option gpu_options[] = {FORMAT,
        {0, "--interval", "SECONDS", "of top: how often it looks (1)", "", NULL},
        {0, "--count", "N", "of top: how often it prints before it ends", "", NULL}, END};
static const struct abx_option bench_options[] = {
        {0, "--quick", NULL, "leave the training out", NULL, NULL},
        {0, "--vm", NULL, "what a virtual machine costs, and nothing else", NULL, NULL},
        {0, "--backend", "NAME", "cuda: an NVIDIA GPU beside its driver alone, and nothing else",
                "cpu cuda", NULL},
        {0, "--ggml", "FILE", "ggml's Metal source, for the figures of its matrix kernels", "FILE",
                NULL},
        FORMAT, END};
static const struct abx_option cdi_options[] = {
        {'o', "--output", "FILE", "write it there; - is standard output", "FILE", NULL}, END};

static const struct abx_verb machine_verbs[] = {
        {.name = "machine create",
                .usage = "NAME [host|FOLDER|REFERENCE]",
                .summary = "make a virtual machine that stays",
                .details = "Its root is the image, `host` unless another one is named, under a "
                           "layer that is kept. It starts with `arcbox machine start`.",
                .options = machine_options,
                .words = "host FOLDER",
                .max_words = 2,
                .run = abx_do_machine_create},
        {.name = "machine start",
                .usage = "NAME...",
                .summary = "start machines",
                .details = "It runs in the background until it is stopped; `arcbox ps`, `logs`, "
                           "`cp`, `stats` and `gpu` show it by its name.",
                .words = "MACHINE",
                .max_words = -1,
                .run = abx_do_machine_start},
        {.name = "machine stop",
                .usage = "NAME...",
                .summary = "shut machines down",
                .details = "Its processes get SIGTERM and 5 seconds, and what they wrote is kept.",
                .options = machine_stop_options,
                .words = "MACHINE",
                .max_words = -1,
                .run = abx_do_machine_stop},
        {.name = "machine rm",
                .usage = "NAME...",
                .summary = "remove machines, and all that was written in them",
                .options = rm_options,
                .words = "MACHINE",
                .max_words = -1,
                .run = abx_do_machine_rm},
        {.name = "machine ls",
                .usage = "",
                .summary = "list machines",
                .options = machine_ls_options,
                .run = abx_do_machine_ls},
        {.name = "machine exec",
                .usage = "NAME COMMAND...",
                .summary = "run a command in a machine that runs",
                .details = "Exit status as for run.",
                .options = exec_options,
                .words = "MACHINE",
                .max_words = -1,
                .takes_command = true,
                .run = abx_do_exec},
        {.name = "machine ssh",
                .usage = "NAME [WORDS...]",
                .summary = "a shell in a machine that runs, or words for one, as ssh has it",
                .details = "No ssh is needed in the machine, and no network.",
                .words = "MACHINE",
                .max_words = -1,
                .takes_command = true,
                .run = abx_do_machine_ssh},
        {.name = "machine inspect",
                .usage = "NAME...",
                .summary = "print all that is known of machines, as JSON",
                .words = "MACHINE",
                .max_words = -1,
                .run = abx_do_machine_inspect},
        {0}};

static const struct abx_verb sandbox_verbs[] = {
        {.name = "sandbox run",
                .usage = "host|FOLDER|REFERENCE COMMAND...",
                .summary = "run a command that is not trusted in a virtual machine",
                .details = "As `arcbox run --vm --rm --network none`: a kernel of its own, no "
                           "network and no mounts unless they are asked for, and nothing of it is "
                           "kept. --ttl ends it in time.",
                .options = run_options,
                .words = "host FOLDER",
                .max_words = -1,
                .takes_command = true,
                .run = abx_do_sandbox_run},
        {0}};

const struct abx_verb abx_verbs[] = {
        {.name = "run",
                .usage = "host|FOLDER|REFERENCE COMMAND...",
                .summary = "run a command in a container",
                .details =
                        "The image is `host` (this system's own root, read-only under a private "
                        "writable layer, without most of the environment and the hidden files of "
                        "homes; also meant by `arcbox run -- COMMAND`), the folder of a root file "
                        "system (/..., ./...), or an OCI reference, which podman runs.\n\n"
                        "Exit status: the command's, 128 + the signal that ended it, 127 when it "
                        "is not there, 126 when it cannot run, 125 when arcbox itself failed.",
                .options = run_options,
                .words = "host FOLDER",
                .max_words = -1,
                .takes_command = true,
                .run = abx_do_run},
        {.name = "exec",
                .usage = "NAME COMMAND...",
                .summary = "run another command in a container that runs",
                .details = "It has the container's files, processes, limits and variables, and no "
                           "more rights than the container's own command. Exit status as for run.",
                .options = exec_options,
                .words = "CONTAINER",
                .max_words = -1,
                .takes_command = true,
                .run = abx_do_exec},
        {.name = "ps",
                .usage = "",
                .summary = "list containers",
                .options = ps_options,
                .run = abx_do_ps},
        {.name = "stop",
                .usage = "NAME...",
                .summary = "end containers",
                .details = "Sends the command SIGTERM, and after 10 seconds ends it outright.",
                .options = stop_options,
                .words = "CONTAINER",
                .max_words = -1,
                .run = abx_do_stop},
        {.name = "logs",
                .usage = "NAME",
                .summary = "show what a detached container has written",
                .options = logs_options,
                .words = "CONTAINER",
                .max_words = 1,
                .run = abx_do_logs},
        {.name = "attach",
                .usage = "NAME",
                .summary = "show what a detached container writes, until it ends, and type into it",
                .details = "What is typed goes to a container that was started with -i or -t. "
                           "Ctrl-P Ctrl-Q (-t), or else Ctrl-C, leaves it running; without -t the "
                           "end of this input is the end of its. Exit status: the container's.",
                .options = attach_options,
                .words = "CONTAINER",
                .max_words = 1,
                .run = abx_do_attach},
        {.name = "wait",
                .usage = "NAME...",
                .summary = "wait until containers end, and print their exit codes",
                .words = "CONTAINER",
                .max_words = -1,
                .run = abx_do_wait},
        {.name = "kill",
                .usage = "NAME...",
                .summary = "send a signal to the commands of containers",
                .options = kill_options,
                .words = "CONTAINER",
                .max_words = -1,
                .run = abx_do_kill},
        {.name = "rm",
                .usage = "NAME...",
                .summary = "forget containers that have ended",
                .options = rm_options,
                .words = "CONTAINER",
                .max_words = -1,
                .run = abx_do_rm},
        {.name = "prune",
                .usage = "",
                .summary = "forget all containers that have ended",
                .options = prune_options,
                .run = abx_do_prune},
        {.name = "cp",
                .usage = "NAME:PATH PATH | PATH NAME:PATH",
                .summary = "copy files between here and a container that runs",
                .details =
                        "Into a folder that is there, or as the name that is given; what is in a "
                        "folder is FOLDER/.",
                .words = "FILE",
                .max_words = 2,
                .run = abx_do_cp},
        {.name = "inspect",
                .usage = "NAME...",
                .summary = "print all that is known of containers, as JSON",
                .words = "CONTAINER",
                .max_words = -1,
                .run = abx_do_inspect},
        {.name = "stats",
                .usage = "[NAME...]",
                .summary = "what containers use: processors, memory, processes, GPU",
                .options = stats_options,
                .words = "CONTAINER",
                .max_words = -1,
                .run = abx_do_stats},
        {.name = "images",
                .usage = "[WORDS...]",
                .summary = "list OCI images (podman images)",
                .max_words = -1,
                .takes_command = true,
                .run = abx_do_images},
        {.name = "pull",
                .usage = "REFERENCE",
                .summary = "fetch an OCI image (podman pull)",
                .max_words = -1,
                .takes_command = true,
                .run = abx_do_pull},
        {.name = "gpu",
                .usage = "[top]",
                .summary = "devices, tenants, and who uses what",
                .details = "`arcbox gpu top` shows tenants as they work: GPU time with its last "
                           "minute, memory, command buffers that wait, compiles. q ends it. Where "
                           "the output is no terminal it prints one table.",
                .options = gpu_options,
                .words = "top",
                .max_words = 1,
                .run = abx_do_gpu},
        {.name = "doctor",
                .usage = "",
                .summary = "what is there, what is missing, and a kernel run end to end",
                .details = "Exit status 1 when something that is needed fails.",
                .options = doctor_options,
                .run = abx_do_doctor},
        {.name = "bench",
                .usage = "",
                .summary = "measure the bridge, every figure beside its baseline",
                .details = "Takes minutes. The training needs a python3 with tinygrad: "
                           ". .venv/bin/activate after `make demo`.",
                .options = bench_options,
                .run = abx_do_bench},
        {.name = "vm",
                .usage = "setup [FILE|FOLDER]",
                .summary = "fetch what virtual machines boot",
                .details = "The kernel of the distribution's package linux-image-amd64, or of the "
                           "package or unpacked one that is named, goes into the cache; nothing "
                           "is installed.",
                .words = "setup",
                .max_words = 2,
                .run = abx_do_vm},
        {.name = "machine",
                .usage = "create|start|stop|rm|ls|exec|ssh|inspect",
                .summary = "virtual machines that stay",
                .verbs = machine_verbs},
        {.name = "sandbox",
                .usage = "run",
                .summary = "virtual machines for what is not trusted",
                .verbs = sandbox_verbs},
        {.name = "daemon",
                .usage = "start|stop|status",
                .summary = "the host runtime: start, stop, ask",
                .details = "It starts by itself on first use and ends when idle. Stopping it ends "
                           "the GPU work of every container.",
                .options = format_option,
                .words = "start stop status",
                .max_words = 1,
                .run = abx_do_daemon},
        {.name = "cdi",
                .usage = "generate",
                .summary = "describe the GPU to podman, docker and Kubernetes",
                .details =
                        "`sudo arcbox cdi generate` writes /etc/cdi/arcbox.json, once for all "
                        "users of the machine; `podman run --device arcbox.dev/gpu=all ...` then "
                        "works without the arcbox command. Each user's containers use that "
                        "user's host runtime, unless ARCBOX_RUNTIME_DIR is set here.",
                .options = cdi_options,
                .words = "generate",
                .max_words = 1,
                .run = abx_do_cdi},
        {.name = "completion",
                .usage = "bash|zsh|fish",
                .summary = "print a shell's completion script",
                .words = "bash zsh fish",
                .max_words = 1,
                .run = abx_do_completion},
        {.name = "version", .usage = "", .summary = "show the version", .run = abx_do_version},
        {.name = "help",
                .usage = "[COMMAND | environment | metal [CLASS]]",
                .summary =
                        "show what a command does, which variables it reads, what works of Metal",
                .words = "VERB environment metal",
                .max_words = 2,
                .run = abx_do_help},
        {.name = "manual",
                .usage = "TEMPLATE",
                .summary = "print the man page; for the build",
                .max_words = 1,
                .hidden = true,
                .run = abx_do_manual},
        {.name = "cdi-hook",
                .usage = "start [BACKEND] | attach | end",
                .summary = "called by container engines, not by people",
                .max_words = 2,
                .hidden = true,
                .run = abx_do_cdi_hook},
        {0}};

const struct abx_variable abx_variables[] = {
        {"ARCBOX_ALLOW_WEAK_SANDBOX",
                "1 lets the host runtime start where the system allows it no name spaces for its "
                "sandboxes, which it otherwise refuses. A program whose shaders take a compile or "
                "a "
                "worker over can then do what this user can, but for files where the kernel has "
                "Landlock. Read when the host runtime is started; also arcboxd "
                "--allow-weak-sandbox."},
        {"ARCBOX_BACKEND",
                "The backend of programs that name none: cpu, or null, which checks every command "
                "and executes nothing. Read when the host runtime is started."},
        {"ARCBOX_CACHE_DIR",
                "Where compiled shaders are kept, instead of $XDG_CACHE_HOME/arcbox or "
                "~/.cache/arcbox. Read when the host runtime is started."},
        {"ARCBOX_CACHE_BYTES", "How much of them is kept. Read when the host runtime is started."},
        {"ARCBOX_CC_LIBRARY", "The library that arcbox-cc links instead of arcbox; "
                              "ARCBOX_CC_NO_LIBRARY=1: none."},
        {"ARCBOX_CLANG",
                "The clang that arcbox-cc runs, and the host runtime where it runs a program."},
        {"ARCBOX_CODEGEN_FORM",
                "scalar makes the host runtime compile kernels one thread at a time, wide several "
                "at once or not at all. ARCBOX_CODEGEN_VERBOSE=FILE writes LLVM's code there, and "
                "ARCBOX_SHADER_FORM (direct, sharded) says how libraries are compiled. To test."},
        {"ARCBOX_COMPILE_SECONDS",
                "Processor time that one compile may use. Read when the host runtime is started."},
        {"ARCBOX_CPUS",
                "Processors that GPU work uses where the processor is the device. Read when "
                "the host runtime is started."},
        {"ARCBOX_GUEST_ROOT",
                "The tree of files that appears in containers, instead of the one beside arcbox."},
        {"ARCBOX_IDLE_SECONDS",
                "The host runtime ends after so long without clients; 0: never. Read when it is "
                "started."},
        {"ARCBOX_INIT", "The arcbox-init program, instead of the one beside arcbox."},
        {"ARCBOX_LAYER_ON_DISK",
                "1 keeps the private layers of containers on a disk (/var/tmp) instead of in "
                "memory."},
        {"ARCBOX_MEMORY_BYTES",
                "GPU memory of each tenant. Read when the host runtime is started."},
        {"ARCBOX_MIRRORS",
                "never keeps shared memory out of a GPU's own memory, into which what is used "
                "again "
                "and again is taken else (for a program whose kernels exchange words with it while "
                "they run); always takes it there at once. Read by the program in the container."},
        {"ARCBOX_NO_OVERLAY",
                "1 runs containers without overlay file systems: the root is read-only."},
        {"ARCBOX_PROGRESS",
                "0 shows no line on the terminal while a compile takes longer than a second. Read "
                "by the program in the container."},
        {"ARCBOX_REPORT",
                "1 prints, when a program ends, how often it waited for the host. Read by the "
                "program in the container."},
        {"ARCBOX_PATIENCE_SECONDS",
                "A GPU worker or shader compiler that has not answered for so long, because it was "
                "stopped or hangs, is ended and replaced; 30 unless set. Read when the host "
                "runtime "
                "is started."},
        {"ARCBOX_RUNTIME_DIR",
                "Where sockets and records of containers are, instead of $XDG_RUNTIME_DIR/arcbox "
                "or, without that variable, /run/arcbox for root and /tmp/arcbox-UID for others."},
        {"ARCBOX_SHADER_DIR",
                "Where the compiler's headers are, instead of beside the host runtime."},
        {"ARCBOX_SOCKET", "The host runtime's socket that a program in no container connects to."},
        {"ARCBOX_TARGET",
                "x86-64 makes the host runtime use code for a processor with AVX2 alone, although "
                "this one may have AVX-512. Read when it is started; to measure and to test."},
        {"ARCBOX_TIME_LIMIT_MS",
                "Processor time that one kernel may use on one thread before its command buffer "
                "fails with MTLCommandBufferErrorTimeout; 10000 unless set. Read by arcbox run "
                "--gpu for its container, and by the host runtime, when it is started, for all "
                "others."},
        {"ARCBOX_TRANSPORT", "inproc loads the host runtime into the program itself: no isolation, "
                             "for comparison."},
        {"ARCBOX_VALIDATION",
                "1 prints a line for each call that Metal's validation layer objects to and that a "
                "Mac without it carries on with, as ArcBox does. Read by the program in the "
                "container."},
        {"ARCBOX_VM_TEMPLATES",
                "0 lets virtual machines boot, instead of going on from a template of their size."},
        {"ARCBOXD", "The host runtime's program that arcbox starts, instead of the one beside it."},
        {0}};
