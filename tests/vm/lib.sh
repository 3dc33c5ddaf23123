# For the tests that start virtual machines: what they need, or exit code 77 and the name of what is
# missing. $1: arcbox; $2: a folder that keeps the kernel from one run to the next.
. "$(dirname "$0")/../cli/lib.sh"
lacks() { echo "SKIP: no virtual machine can be started: $*"; exit 77; }
export ARCBOX_CACHE_DIR=$work/shaders
version=$(qemu-system-x86_64 --version 2>/dev/null | sed -n 's/.*version \([0-9]*\).*/\1/p')
[ -n "$version" ] || lacks "QEMU is not installed (scripts/deps.sh tests installs it)"
[ "$version" -ge 8 ] || lacks "QEMU $version is too old (scripts/deps.sh tests installs a newer one)"
mkdir -p "$2"
export XDG_CACHE_HOME=$(realpath "$2")
(
    flock 9
    "$arcbox" run --vm --memory 1t host true 2>&1 | grep -q 'no kernel' || exit 0
    "$arcbox" vm setup
) 9>"$XDG_CACHE_HOME/lock" >"$work/setup" 2>&1 ||
    lacks "the package of a kernel cannot be had: $(tail -1 "$work/setup")"
end_daemon() { for name in $("$arcbox" ps -q 2>/dev/null); do "$arcbox" stop -t 0 "$name" >/dev/null 2>&1; done; "$arcbox" daemon stop >/dev/null 2>&1; rm -rf "$work"; }
trap end_daemon EXIT

# below PID NAME: the processes of that name among the descendants of PID.
below() {
    local child
    for child in $(pgrep -P "$1"); do
        [ "$(cat "/proc/$child/comm" 2>/dev/null)" != "$2" ] || echo "$child"
        below "$child" "$2"
    done
}
