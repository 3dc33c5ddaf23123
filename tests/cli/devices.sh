#!/usr/bin/env bash
# Several devices of one backend: over a driver that is made up, of two GPUs that can be used. $2: an
# arcboxd that has it. $3: an nvJitLink that is made up, too, which doctor finds.
. "$(dirname "$0")/lib.sh"
export ARCBOXD=$2
trap '"$arcbox" daemon stop >/dev/null; rm -rf "$work"' EXIT
listed() { "$arcbox" gpu --format json | python3 -c '
import json, sys
for d in json.load(sys.stdin)["devices"]:
    if d["backend"].startswith("cuda"):
        print(d["backend"], d["name"], d["default"], sep="/")'; }
same "two devices" "cuda/Fake GPU/False cuda:1/Fake GPU 3/False" "$(listed | xargs -d '\n')"
tenant() { "$arcbox" run -d --name "$1" --gpus "device=$2" host sleep 60 >/dev/null && "$arcbox" gpu --format json | python3 -c '
import json, sys
print([t["backend"] for t in json.load(sys.stdin)["tenants"] if t["name"] == sys.argv[1]][0])' "$1"; }
same "the second, by its name" cuda:1 "$(tenant one cuda:1)"
same "the same, as the list has it" cuda:1 "$(tenant two "Fake GPU 3")"
same "the first" cuda "$(tenant three cuda)"
same "with an assembler" "ok nvJitLink" \
    "$(LD_LIBRARY_PATH=$(dirname "$3") "$arcbox" doctor | awk '$2 == "nvJitLink" { print $1, $2 }')"
# One in a virtual environment is named, and not used.
environment=$work/environment/lib/python3.12/site-packages/nvidia/cu13/lib
mkdir -p "$environment" && cp "$3" "$environment/"
without() { env LD_LIBRARY_PATH= CONDA_PREFIX= VIRTUAL_ENV="$1" "$arcbox" doctor | sed -n 's/.*nvJitLink *\(.*starts\. \)\?//p'; }
case $(without "") in
"kernels' machine"*) echo "there is an nvJitLink on this system: what doctor says without is not looked at" ;;
*)
    same "without" "As root pip install nvidia-nvjitlink" "$(without "")"
    same "in an environment" "Start arcboxd with LD_LIBRARY_PATH=$environment" "$(without "$work/environment")"
    ;;
esac
says "one that is not there" 125 "there are 2 of them" "$arcbox" run --gpus device=cuda:2 host true
says "no number" 125 "cuda:x" "$arcbox" run --gpus device=cuda:x host true
"$arcbox" rm -f one two three >/dev/null
finish
