# Sourced by torch.sh and torch-tests.sh: Debian's releases that have a torch, and an apt of their own that
# reads one of them; the system's list of sources stays as it is.

# torch_suite VERSION: sets `suite`.
torch_suite() {
    case $1 in
    2.6) suite=trixie ;;
    2.14) suite=forky ;;
    *)
        echo "$(basename "$0"): no Debian release has torch $1" >&2
        exit 1
        ;;
    esac
}

# torch_apt deb|deb-src [OPTION...]: in the folder $work, for $suite; sets `options`, what apt-get is to be
# called with, and reads the lists.
torch_apt() {
    local kind=$1 mirror
    shift
    # The mirror is the one that this system itself installs from.
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' |
        grep '/debian/$' | head -1)
    [ -n "$mirror" ] || {
        echo "$(basename "$0"): apt-get names no Debian mirror: run apt-get update, or install from one" >&2
        exit 1
    }
    mkdir -p "$work"/{lists,cache/archives}/partial
    echo "$kind [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$work/sources.list"
    : >"$work/status"
    options=(-q -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=/dev/null
        -o "Dir::State=$work" -o "Dir::State::lists=$work/lists" -o "Dir::State::status=$work/status"
        -o "Dir::Cache=$work/cache" -o Acquire::Languages=none -o APT::Sandbox::User= "$@")
    apt-get "${options[@]}" update >&2
}
