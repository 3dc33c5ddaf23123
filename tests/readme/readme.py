#!/usr/bin/env python3
"""Every command of README.md, run as it is printed, in one shell and in its order. The text of the
README is the input: a command that is added to it is run by the next test. Those before the environment
is active find an `arcbox` as if it were installed.

What the commands need that a reader brings along is made here: a root file system in ./root, an image
debian:12 of the same files where there is none, training data, a crate for cargo. `sudo` does without,
installs go into a folder of their own, and systemctl looks whether what it is to enable was installed.

What the examples train, they train for a shorter time here: half the epochs of digits, after which it still
has to tell them apart, and a fifth of the steps of PyTorch's pictures, which tests/torch trains among the
slow tests.

Left out are `arcbox bench` (minutes, and --quick is run), `make deb` (tests/packages runs it), `make
check`, which runs this, and the command that `make demo` has run and printed.

    readme.py SOURCE BUILD
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

source, build = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
MINUTES = {"make deb", "make check", "arcbox bench"}
LIMIT = 1400


def commands(text):
    """Indented blocks, and words in backquotes that begin with a command of ours."""
    found = [line[4:] for line in text.splitlines() if line.startswith("    ") and line.strip()]
    inline = re.findall(r"`((?:sudo )?(?:arcbox|make|man) [^`]*)`", text)
    return found + [c for c in dict.fromkeys(inline) if c not in found and not re.search(r"\b[A-Z]{3,}\b|\.\.\.", c)]


def write(path, text, mode=0o644):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def copy_tree(work):
    """The checkout, without what was built in it, and with that build beside it."""
    tree = work / "arcbox"
    shutil.copytree(source, tree, symlinks=True,
                    ignore=lambda folder, names: [n for n in names if pathlib.Path(folder) == source and
                                                  (n.startswith("build") or n in (".venv",))])
    (tree / "build").symlink_to(build)
    # Python makes no environment in a folder that is a link to one: it is made before, and kept.
    subprocess.run([source / "scripts/environment.sh", build], check=True)
    (tree / ".venv").symlink_to(source / ".venv")
    return tree


def shorten(file, *changes):
    text = file.read_text()
    for long, short in changes:
        assert long in text, f"{file.name}: no {long}"
        text = text.replace(long, short)
    file.write_text(text)


def make_root(root, programs):
    for name in ("bin", "etc", "usr", "tmp", "run", "proc", "dev", "sys"):
        (root / name).mkdir(parents=True, exist_ok=True)
    libraries = set()
    for program in programs:
        text = subprocess.run(["ldd", program], capture_output=True, text=True).stdout
        libraries |= set(re.findall(r"(/\S+)", text.replace(":", " ")))
    for file in libraries:
        if os.path.exists(file) and not file.startswith(str(build)):
            (root / file[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, root / file[1:])
    shutil.copy("/bin/sh", root / "bin/sh")
    shutil.copy("/etc/ld.so.cache", root / "etc/ld.so.cache")


def make_fixtures(work, tree):
    (tree / "training-data").mkdir()
    write(tree / "training-data/numbers", "1\n2\n")
    write(tree / "train.py", "print(sum(map(int, open('/data/numbers'))))\n")
    shorten(tree / "examples/digits/train.py", ('"EPOCHS", "12"', '"EPOCHS", "6"'))
    shorten(tree / "examples/torch/finetune.py", ("turned, 60,", "turned, 12,"), ("labelled, 60,", "labelled, 12,"))
    write(tree / "Cargo.toml", '[package]\nname = "filter"\nversion = "0.1.0"\nedition = "2021"\n')
    write(tree / "src/main.rs", 'fn main() { println!("filtered"); }\n')
    libraries = sorted(build.glob("guest-root/usr/lib/*-linux-gnu/libarcbox.so.0"))
    make_root(tree / "root", ["/bin/sh", str(build / "examples/photo/photo"), *map(str, libraries)])
    stubs = work / "stubs"
    write(stubs / "sudo", f'#!/bin/sh\nDESTDIR={work}/installed exec "$@"\n', 0o755)
    (stubs / "arcbox").symlink_to(build / "src/cli/arcbox")  # as if it were installed, for the first command
    write(stubs / "systemctl", '#!/bin/sh\nfor unit; do case $unit in arcbox*) '
          f'find {work}/installed -path "*/systemd/*/$unit" | grep -q . || exit 1 ;; esac; done\n', 0o755)
    return stubs


def podman_works(arcbox, work, environment):
    """Sets podman up so that it runs here, as its reader's would; False when it cannot."""
    text = subprocess.run([arcbox, "doctor"], capture_output=True, text=True, env=environment).stdout
    line = next((l for l in text.splitlines() if " OCI container " in l), "")
    if not line or "starts none" in line or os.geteuid() != 0:
        return False
    if not line.startswith("ok"):
        engine = '[engine]\nruntime = "runc"\n' if shutil.which("runc") and os.path.exists("/sys/fs/cgroup/unified") else ""
        write(work / "containers.conf", '[containers]\nnetns = "host"\n'
              f'default_ulimits = ["nofile=512:512", "nproc=512:512"]\n{engine}')
        environment["CONTAINERS_CONF"] = str(work / "containers.conf")
    return True


SHELL = r"""
set -u
failed=0
run() {
    printf '\n@@ %s (at %s s)\n' "$1" "$SECONDS"
    eval "$1"
    code=$?
    [ $code = 0 ] || { echo "@@ FAILED with $code: $1"; failed=$((failed + 1)); }
}
"""


def main():
    with tempfile.TemporaryDirectory(prefix="arcbox-readme.") as name:
        work = pathlib.Path(name)
        work.chmod(0o755)
        tree = copy_tree(work)
        stubs = make_fixtures(work, tree)
        (work / "runtime").mkdir(mode=0o700)
        environment = dict(os.environ, ARCBOX_RUNTIME_DIR=str(work / "runtime"), ARCBOX_CACHE_DIR=str(work / "cache"),
                           PATH=f"{stubs}:{os.environ['PATH']}", MANPATH=f"{work}/installed/usr/local/share/man", MANPAGER="cat",
                           CARGO_TARGET_DIR=str(tree / "target"))
        arcbox = str(build / "src/cli/arcbox")
        podman, image, description = podman_works(arcbox, work, environment), False, pathlib.Path("/etc/cdi/arcbox.json")
        had_description = description.exists()
        if podman and subprocess.run(["podman", "image", "exists", "debian:12"]).returncode:
            tar = subprocess.run(["tar", "-C", tree / "root", "-c", "."], stdout=subprocess.PIPE, check=True).stdout
            image = subprocess.run(["podman", "import", "-q", "-", "localhost/debian:12"], input=tar,
                                   stdout=subprocess.DEVNULL).returncode == 0
            podman = image
        script, count, left_out = SHELL, 0, []
        demo = (tree / "scripts/demo.sh").read_text()
        for command in commands((tree / "README.md").read_text()):
            if command in MINUTES or f"command=({command})" in demo and "make demo" in script or \
                    (("debian:12" in command or "cdi generate" in command) and (not podman or had_description)) or \
                    ("cargo" in command or "target/debug" in command) and not shutil.which("cargo"):
                left_out.append(command)
                continue
            count += 1
            script += "run '" + command.replace("'", "'\\''") + "'\n"
        script += "exit $((failed != 0))\n"
        try:
            result = subprocess.run(["bash", "-c", script], cwd=tree, env=environment, timeout=LIMIT,
                                    stdin=subprocess.DEVNULL)
        finally:
            subprocess.run([arcbox, "daemon", "stop"], env=environment, stdout=subprocess.DEVNULL)
            if image:
                subprocess.run(["podman", "rmi", "-f", "localhost/debian:12"], stdout=subprocess.DEVNULL)
            if not had_description:
                description.unlink(missing_ok=True)
        for command in left_out:
            print(f"left out: {command}")
        print(f"{count} commands of README.md, {len(left_out)} left out")
        return result.returncode or count < 20


if __name__ == "__main__":
    sys.exit(main())
