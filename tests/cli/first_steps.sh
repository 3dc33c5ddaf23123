#!/usr/bin/env bash
# What the environment of the README promises: tinygrad's first steps, on METAL and on its CPU device
# (which runs a program named clang), and ArcBox's own programs. $2: the build folder.
. "$(dirname "$0")/lib.sh"
source=$(realpath "$(dirname "$0")/../..")
"$source/scripts/environment.sh" "$2" >"$work/log" 2>&1 || { skip "no environment: $(tail -1 "$work/log")"; exit 77; }
trap 'arcbox daemon stop >/dev/null; rm -rf "$work"' EXIT
export ARCBOX_CACHE_DIR=$work/cache XDG_CACHE_HOME=$work/xdg
cd "$source" && . .venv/bin/activate && cd "$work" || exit 1
cat >steps.py <<'P'
from tinygrad import Device, Tensor
from tinygrad.nn.state import safe_load, safe_save
import numpy as np
assert Device.DEFAULT == "METAL", Device.DEFAULT
assert Tensor.arange(10).tolist() == list(range(10))
assert (Tensor.eye(3) @ Tensor.full((3, 3), 2.0)).numpy().tolist() == [[2.0] * 3] * 3
assert np.allclose(Tensor(np.ones(5, dtype=np.float32)).exp().numpy(), np.e)
assert (Tensor.arange(4).to("CPU") + 1).tolist() == [1, 2, 3, 4]
safe_save({"w": Tensor.arange(6).reshape(2, 3)}, "w.safetensors")
assert safe_load("w.safetensors")["w"].tolist() == [[0, 1, 2], [3, 4, 5]]
print("right")
P
same "first steps" right "$(arcbox run --gpus device=cpu host python3 steps.py 2>err | tail -1)"
grep -q Error err && cat err
for program in arcbox arcbox-cc arcbox-c++ arcbox-rustc; do
    same "$program is found" "$source/.venv/bin/$program" "$(command -v $program)"
done
# A clang of the user's comes first, wherever $PATH has it.
mkdir other
printf '#!/bin/sh\necho "the one of the user: $*"\n' >other/clang
chmod +x other/clang
same "the user's clang" "the one of the user: -v x" "$(PATH=$PATH:$work/other clang -v x)"
same "another one" "clang version" "$(clang --version | grep -o 'clang version')"
finish
