#!/usr/bin/env bash
# The main job: a Python environment with tinygrad from PyPI, and one command that trains with it on
# the GPU of a container; then PyTorch, a Debian system's, which fine-tunes on pictures. $1: the build folder.
set -eu
cd "$(dirname "$0")/.."
scripts/environment.sh "$1"
mkdir -p examples/digits/data
. .venv/bin/activate
command=(arcbox run --gpu --mount examples/digits/data:/data -w examples/digits host python3 train.py)
printf '\n    . .venv/bin/activate\n    %s\n\n' "${command[*]}"
"${command[@]}"
# Without PyTorch, which comes over the network, it is left out.
if torch=$(scripts/torch.sh --get 2.6 2>/dev/null); then
    mkdir -p examples/torch/data
    command=(arcbox run --gpu --mount examples/torch:/examples "$torch/root" python3 /examples/finetune.py
        /examples/data/pictures)
    printf '\n    %s\n\n' "${command[*]}"
    "${command[@]}"
    echo "What was taken for what: $PWD/examples/torch/data/pictures/confusion.png"
fi
printf '\nThe same by hand, from %s: the lines above.\n' "$PWD"
