#!/usr/bin/env bash
# PyTorch's C++ headers, against which the device "mps" is built. `torch-headers.sh` prints what is here, a
# version and its folder a line; `--index` names the file that it reads for that. `--get` fetches what is
# missing from PyPI into the user's cache (900 MB in all, of which 450 are kept), and says in one line which
# could not be had. The headers of all of a version's wheels are the same: the smallest is another system's.
set -eu
versions=(2.6 2.7 2.8 2.9 2.10 2.11 2.12 2.13 2.14 2.15)
folder=${XDG_CACHE_HOME:-$HOME/.cache}/arcbox-tools
index=$folder/torch-headers
case ${1:-} in
"")
    cat "$index" 2>/dev/null || true
    exit
    ;;
--index) echo "$index" && exit ;;
--get) ;;
*) echo "usage: torch-headers.sh [--index | --get]" >&2 && exit 2 ;;
esac

# Meson configures again when the index changes.
write_index() {
    local version text=
    for version in "${versions[@]}"; do
        [ ! -d "$folder/torch-$version/include" ] || text+="$version $folder/torch-$version/include"$'\n'
    done
    printf %s "$text" | cmp -s - "$index" || printf %s "$text" >"$index"
}

# Fails where there is no network.
get() {
    local version=$1
    "${pip[@]}" download -q --disable-pip-version-check --retries 1 --no-deps --no-cache-dir -d "$work" \
        --only-binary=:all: --implementation cp --python-version 311 --abi cp311 --abi none \
        --platform macosx_14_0_arm64 --platform macosx_11_0_arm64 "torch==$version.*" >"$work/said" 2>&1 || return
    python3 - "$work"/torch-"$version".*.whl "$work/made" >"$work/said" 2>&1 <<'end' || return
import sys
import zipfile
folders = tuple(f"torch/include/{name}/" for name in ("ATen", "c10", "caffe2", "torch"))
with zipfile.ZipFile(sys.argv[1]) as wheel:
    wheel.extractall(sys.argv[2], [n for n in wheel.namelist() if n.startswith(folders) and
                                   not n.endswith("_dispatch.h")])
end
    mkdir -p "$folder/torch-$version"
    mv -T "$work/made/torch/include" "$folder/torch-$version/include"
    rm -r "$work/made" "$work"/torch-*.whl
}

mkdir -p "$folder"
missing=()
for version in "${versions[@]}"; do
    [ -d "$folder/torch-$version/include" ] || missing+=("$version")
done
if [ ${#missing[@]} -gt 0 ]; then
    echo "fetching the headers of PyTorch ${missing[*]}" >&2
    work=$(mktemp -d "$folder/get.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    pip=(python3 -m pip)
    "${pip[@]}" --version >/dev/null 2>&1 || { python3 -m venv "$work/venv" && pip=("$work/venv/bin/pip"); }
    while [ ${#missing[@]} -gt 0 ] && get "${missing[0]}"; do
        missing=("${missing[@]:1}")
    done
fi
write_index
[ ${#missing[@]} = 0 ] && exit
echo "PyTorch ${missing[*]}: no headers, so no device mps for them: $(tail -1 "$work/said")" >&2
exit 1
