#!/usr/bin/env bash
# The main job: a Python environment with tinygrad from PyPI, and one command that trains with it on
# the GPU of a container. $1: the build folder.
set -eu
cd "$(dirname "$0")/.."
build=$1
stamp=.venv/requirements.done
if ! cmp -s examples/digits/requirements.txt "$stamp"; then
    echo "making .venv with tinygrad, scikit-learn and numpy from PyPI"
    python3 -m venv .venv
    .venv/bin/python3 -m pip install -q --disable-pip-version-check -r examples/digits/requirements.txt
    cp examples/digits/requirements.txt "$stamp"
fi
# So that `arcbox` is found once the environment is active.
ln -sfn "../../$build/src/cli/arcbox" .venv/bin/arcbox
mkdir -p examples/digits/data
. .venv/bin/activate
command=(arcbox run --gpu --mount examples/digits/data:/data -w examples/digits host python3 train.py)
printf '\n    . .venv/bin/activate\n    %s\n\n' "${command[*]}"
"${command[@]}"
printf '\nThe same by hand, from %s: the two lines above.\n' "$PWD"
