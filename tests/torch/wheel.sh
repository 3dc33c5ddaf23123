#!/usr/bin/env bash
# Runs what shows that the device works with PyPI's own build of a version of PyTorch, in a virtual environment
# as users make them (with numpy), on this system's Python and in `host`: BUILD VERSION [PROGRAM [ARGUMENT...]]. The
# environment takes 5 GB, and goes afterwards, but for one that ARCBOX_TORCH_VENV names: that is made where it is
# missing, and stays.
set -u
build=$1 version=$2
shift 2
here=$(realpath "$(dirname "$0")")
venv=${ARCBOX_TORCH_VENV:-}
if [ -z "$venv" ]; then
    mkdir -p "$build/tests/torch"
    venv=$(mktemp -d "$build/tests/torch/venv-$version.XXXXXX")
    trap 'rm -rf "$venv"' EXIT
fi
[ -e "$venv/bin/pip" ] || python3 -m venv "$venv" || exit
if ! "$venv/bin/python" -I -c 'import torch' 2>/dev/null &&
    ! why=$("$venv/bin/pip" install -q --disable-pip-version-check --no-cache-dir --no-compile numpy "torch==$version.*" 2>&1); then
    echo "skipped: PyPI has no torch $version for this Python: $(printf '%s' "$why" | tail -1)"
    exit 77
fi
# The libraries that clients.py uses.
if [ "${1:-}" = clients.py ] && ! "$venv/bin/python" -I -c 'import accelerate, timm' 2>/dev/null &&
    ! why=$("$venv/bin/pip" install -q --disable-pip-version-check --no-cache-dir --no-compile -r "$here/clients.txt" "torch==$version.*" 2>&1); then
    echo "skipped: PyPI has not all of tests/torch/clients.txt for this Python: $(printf '%s' "$why" | tail -1)"
    exit 77
fi
if [ $# -gt 0 ]; then
    "$here/run.sh" "$build" "$venv" "$@"
    exit
fi
for program in device.py user.py steps.py train.py; do
    "$here/run.sh" "$build" "$venv" "$program" || exit
done
