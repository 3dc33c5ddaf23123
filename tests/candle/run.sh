#!/usr/bin/env bash
# candle-metal-kernels, the Metal kernels of the Rust library candle, as published: nothing of it is
# kept here. Needs cargo, which Debian 12 has only in a version that is too old for it.
#
#   run.sh BUILD kernels    every .metal file of the crate compiles
#   run.sh BUILD tests      the crate's own tests, through the bridge
#   run.sh BUILD core       candle-core of the same version builds with arcbox-rustc; its Metal device
#                           starts and gives what its CPU device gives
#   run.sh BUILD train      networks learn with candle-nn, each step's loss as on its CPU device
#   run.sh BUILD generate   llamas of candle-transformers choose the tokens of its CPU device
#
# A failure that known-failures.txt does not explain, or fewer than 19 of 20 passes, fails the run.
set -eu
build=$(realpath "$1")
suite=$2
here=$(dirname "$(realpath "$0")")
crate=candle-metal-kernels
version=0.11.1
work=$build/candle
needs=78 # cargo 1.78 reads the crate's lock file

skip() {
    echo "skipped: $1"
    exit 77
}

command -v cargo >/dev/null || skip "no cargo here (rustup.rs installs it)"
have=$(cargo --version | sed -nE 's/^cargo 1\.([0-9]+).*/\1/p')
[ "${have:-0}" -ge $needs ] || skip "$(cargo --version) is older than 1.$needs"

# The crate's published form: cargo brings the dependencies of a package, and says where they lie.
if [ ! -d "$work/$crate-$version" ]; then
    mkdir -p "$work/ask/src"
    touch "$work/ask/src/lib.rs"
    printf '[package]\nname = "ask"\nversion = "0.0.0"\nedition = "2021"\n[dependencies]\n%s = "=%s"\n[workspace]\n' \
        "$crate" "$version" >"$work/ask/Cargo.toml"
    cargo metadata -q --format-version 1 --manifest-path "$work/ask/Cargo.toml" >"$work/metadata.json" ||
        skip "cargo cannot fetch $crate $version"
    source=$(python3 -c 'import json, os, sys
for p in json.load(sys.stdin)["packages"]:
    if p["name"] == sys.argv[1]: print(os.path.dirname(p["manifest_path"]))' "$crate" <"$work/metadata.json")
    rm -rf "$work/taking"
    cp -r "$source" "$work/taking"
    mv "$work/taking" "$work/$crate-$version"
fi
cd "$work/$crate-$version"

compile_kernels() {
    local files=0 failed=0
    for file in src/metal_src/*.metal; do
        files=$((files + 1))
        "$build/tests/shader/shader-tool" -q -m fast "$file" || { echo "FAILED $file"; failed=$((failed + 1)); }
    done
    echo "$crate $version: $files files, $failed failed"
    [ $files -gt 0 ] && [ $failed = 0 ]
}

run_tests() {
    local log=$work/tests.log passed failed unknown
    RUSTC_WRAPPER=$build/scripts/arcbox-rustc CARGO_TARGET_DIR=$work/target \
        cargo test -q --locked --lib --no-run --message-format json >"$work/build.json"
    program=$(python3 -c 'import json, sys
for line in sys.stdin:
    m = json.loads(line)
    if m.get("executable") and m["profile"]["test"]: print(m["executable"])' <"$work/build.json")
    "$build/src/cli/arcbox" run --gpu --mount "$build:$build" host "$program" >"$log" 2>&1 || true
    grep '^test result' "$log" || { tail -n 20 "$log"; echo "did not come to its end ($log)"; return 1; }
    passed=$(grep -c '^test .* ok$' "$log") || true
    failed=$(grep -c '^test .* FAILED$' "$log") || true
    unknown=$(sed -n 's/^test \(.*\) \.\.\. FAILED$/\1/p' "$log" |
        grep -vxFf <(sed 's/[[:space:]].*//' "$here/known-failures.txt") || true)
    if [ -n "$unknown" ]; then
        echo "failures that known-failures.txt does not explain ($log):" $unknown
        return 1
    fi
    [ "$passed" -gt 0 ] && [ $((passed * 20)) -ge $(((passed + failed) * 19)) ]
}

# run_program NAME CRATE...: NAME.rs, a program of ours that uses those crates.
run_program() {
    local name=$1 folder=$work/$1 used
    shift
    mkdir -p "$folder/src"
    printf '[package]\nname = "%s"\nversion = "0.0.0"\nedition = "2021"\n[workspace]\n[dependencies]\n' \
        "$name" >"$folder/Cargo.toml"
    for used; do
        printf '%s = { version = "=%s", features = ["metal"] }\n' "$used" "$version" >>"$folder/Cargo.toml"
    done
    cp "$here/$name.rs" "$folder/src/main.rs"
    RUSTC_WRAPPER=$build/scripts/arcbox-rustc CARGO_TARGET_DIR=$work/target \
        cargo build -q --manifest-path "$folder/Cargo.toml"
    "$build/src/cli/arcbox" run --gpus device=cpu --mount "$build:$build" host "$work/target/debug/$name"
}

case $suite in
core) run_program core candle-core ;;
train) run_program train candle-core candle-nn ;;
generate) run_program generate candle-core candle-nn candle-transformers ;;
kernels) compile_kernels ;;
tests) run_tests ;;
*)
    echo "run.sh: unknown suite '$suite'" >&2
    exit 2
    ;;
esac
