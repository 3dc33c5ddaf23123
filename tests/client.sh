# Sourced by the runners of clients' programs: where they come from, and how they are started. The
# runner has set `build`, the build folder, and `work`, a folder of its own inside it.
arcbox=$build/src/cli/arcbox

# A host runtime of our own: one that is there already may be of another build.
client_start() {
    ARCBOX_RUNTIME_DIR=$(mktemp -d "${TMPDIR:-/tmp}/arcbox-test.XXXXXX")
    export ARCBOX_RUNTIME_DIR ARCBOX_CACHE_DIR=$work/cache
    mkdir -p "$ARCBOX_CACHE_DIR"
    trap '"$arcbox" daemon stop >/dev/null 2>&1 || true; rm -rf "$ARCBOX_RUNTIME_DIR"' EXIT
}

# client_run COMMAND...: in a container, from the work folder.
client_run() {
    "$arcbox" run --gpus "device=${ARCBOX_TEST_DEVICE:-cpu}" --mount "$work:$work" -w "$work" host timeout 900 "$@"
}

# The same in the background; $! is to be ended. A function would be a shell of its own there.
client_spawn() {
    "$arcbox" run --gpus "device=${ARCBOX_TEST_DEVICE:-cpu}" --mount "$work:$work" -w "$work" host timeout 900 "$@" &
}

# pypi_source PACKAGE VERSION [PATTERN...]: its source distribution, or the parts named, unpacked in
# the work folder.
pypi_source() {
    local package=$1 version=$2 archive
    shift 2
    [ ! -e "$work/source.done" ] || return 0
    mkdir -p "$work"
    [ -x "$work/venv/bin/pip" ] || python3 -m venv "$work/venv"
    "$work/venv/bin/pip" download -q --disable-pip-version-check --no-deps \
        --no-binary "$package" -d "$work" "$package==$version"
    archive=$(echo "$work"/*-"$version".tar.gz)
    tar -C "$work" -xzf "$archive" ${1:+--wildcards "$@"}
    rm "$archive"
    touch "$work/source.done"
}

# client_make SOURCE FOLDER TARGETS -DSETTING...: an unmodified CMake project, as docs/clients.md has it.
client_make() {
    local source=$1 folder=$work/$2 targets=$3
    shift 3
    [ -e "$folder/build.ninja" ] ||
        cmake -S "$source" -B "$folder" -G Ninja -DGGML_METAL=ON -DGGML_OPENMP=OFF \
            -DCMAKE_TOOLCHAIN_FILE="$build/scripts/arcbox.cmake" "$@" >"$folder.log" 2>&1 ||
        { tail -n 20 "$folder.log"; return 1; }
    # Those of ccache's rules that keep it from precompiled headers.
    CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime \
        ninja -C "$folder" $targets >"$folder.log" || { tail -n 40 "$folder.log"; return 1; }
}

# Without optimisation and what makes the CPU backend fast, clients compile in half the time: for tests
# that run a small model.
quick=(-DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG= -DCMAKE_C_FLAGS_DEBUG= -DGGML_CPU_REPACK=OFF
    -DGGML_LLAMAFILE=OFF "-DCMAKE_PROJECT_INCLUDE=$here/../client.cmake")

checks=0 status=0
# same WHAT EXPECTED GOT: two texts that must be equal, and not empty.
same() {
    checks=$((checks + 1))
    if [ -n "$2" ] && [ "$2" = "$3" ]; then
        echo "$1: equal"
    else
        printf '%s: differs\n  expected: %s\n  got:      %s\n' "$1" "$2" "$3"
        status=1
    fi
}
