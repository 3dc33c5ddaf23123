#!/usr/bin/env bash
# Makes .venv, the environment that the README's commands run in: tinygrad and what its example needs
# from PyPI, and ArcBox's programs of the build folder $1.
set -eu
cd "$(dirname "$0")/.."
build=$(realpath "$1") bin=.venv/bin
stamp=.venv/requirements.done
exec 9<. && flock 9 # one at a time
if ! cmp -s examples/digits/requirements.txt "$stamp"; then
    echo "making .venv with tinygrad, scikit-learn and numpy from PyPI"
    python3 -m venv .venv
    .venv/bin/python3 -m pip install -q --disable-pip-version-check -r examples/digits/requirements.txt
    cp examples/digits/requirements.txt "$stamp"
fi
# So that they are found once the environment is active.
ln -sfn "$(realpath --relative-to=$bin "$build/src/cli/arcbox")" $bin/arcbox
for name in arcbox-cc arcbox-c++ arcbox-rustc; do
    ln -sfn "$(realpath --relative-to=$bin "$build/scripts")/$name" $bin/$name
done
# tinygrad's CPU device runs a program named clang, which Debian's package of clang 19 has not.
cp scripts/clang $bin/clang
