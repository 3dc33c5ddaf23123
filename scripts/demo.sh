#!/usr/bin/env bash
# The main job: a Python environment with tinygrad from PyPI, and one command that trains with it on
# the GPU of a container. $1: the build folder.
set -eu
cd "$(dirname "$0")/.."
scripts/environment.sh "$1"
mkdir -p examples/digits/data
. .venv/bin/activate
command=(arcbox run --gpu --mount examples/digits/data:/data -w examples/digits host python3 train.py)
printf '\n    . .venv/bin/activate\n    %s\n\n' "${command[*]}"
"${command[@]}"
printf '\nThe same by hand, from %s: the two lines above.\n' "$PWD"
