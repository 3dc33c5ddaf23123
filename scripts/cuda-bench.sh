#!/usr/bin/env bash
# Runs on a machine with an NVIDIA GPU what docs/cuda.md says of it, and prints a table: of the build folder
# where it was made, or where unpack.sh of cuda-bundle.sh put it.
#
#   cuda-bench.sh BUILD RESULTS [PART...]
#
# conformance  the backend suite's kernels and queues, and the programs of tests/semantics, a process each:
#              from PTX and, where the bundle has them, from cubins
# metal        the Metal programs of tests/metal
# ggml         the sample of tests/ggml
# llama        llama-bench: models of random weights of the shapes LLAMA_SHAPES (1b 8b: Llama 3.2 1B's and 3.1
#              8B's), f16 and q4_0, which are made first (in the folder LLAMA_MODELS, where they are kept);
#              LLAMA_FLAGS: a run for each line. Beside llama.cpp's own CUDA backend, where
#              tests/llama/run.sh BUILD cuda has brought it: prompt and generation, and ours by theirs
# tinygrad     ResNet-50's forward pass by tinygrad's METAL device and by its CUDA device; and with the
#              host inside the program (inproc)
# torch        tests/torch with the machine's own PyTorch (ARCBOX_TORCH_VENV: its virtual environment)
# speed        the same networks on "mps" and on "cuda"
# start        a network's first pass, with nothing cached and again, by nvJitLink and by the driver's assembler alone
# bench        arcbox bench --backend cuda --format json
# soak         ARCBOX_SOAK_SECONDS (120) of mixed work on three tenants, of which one is killed again and again
#
# Without a PART all of these. RESULTS gets a log of each, and table. The card's settings stay as they are.
set -u
[ $# -ge 2 ] || { echo "usage: cuda-bench.sh BUILD RESULTS [PART...]" >&2; exit 2; }
build=$(realpath "$1")
mkdir -p "$2"
results=$(realpath "$2")
shift 2
root=$(dirname "$(dirname "$(realpath "$0")")")
arcbox=$build/src/cli/arcbox arcboxd=$build/src/host/arcboxd stored=$build/cuda-stored
export ARCBOX_TEST_DEVICE=${ARCBOX_TEST_DEVICE:-cuda}
work=$(mktemp -d)
export ARCBOX_RUNTIME_DIR=$work/run ARCBOX_CACHE_DIR=$work/cache
mkdir -p "$ARCBOX_RUNTIME_DIR" "$ARCBOX_CACHE_DIR"
trap '"$arcbox" daemon stop >/dev/null 2>&1; rm -rf "$work"' EXIT
failed=0
python=$(readlink -f "$(dirname "$(command -v python3)")")/python3
venv=${ARCBOX_TORCH_VENV:-$(dirname "$(dirname "$python")")}
# Where the system has no nvJitLink: what came with PyTorch.
for assembler in "$venv"/lib/python3*/site-packages/nvidia/*/lib/libnvJitLink.so.1[23]; do
    [ ! -e "$assembler" ] || ldconfig -p | grep -q 'libnvJitLink\.so\.1[23]' ||
        export LD_LIBRARY_PATH=${assembler%/*}${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
done

row() { printf '%-34s %s\n' "$1" "$2" | tee -a "$results/table"; }
# check NAME LIMIT COMMAND...: its exit status, and what its last line says.
check() {
    local name=$1 limit=$2 begun=$SECONDS rc=0
    shift 2
    timeout -k 5 "$limit" "$@" >"$results/${name//[^a-z0-9_.-]/_}.log" 2>&1 || rc=$?
    [ $rc = 0 ] || failed=$((failed + 1))
    row "$name" "$([ $rc = 0 ] && echo passes || echo "FAILS ($rc)"), $((SECONDS - begun)) s: $(tail -n 1 "$results/${name//[^a-z0-9_.-]/_}.log" | cut -c -150)"
}
memory() { nvidia-smi --query-gpu=memory.used --format=csv,noheader | head -1; }

conformance() {
    [ -d "$stored" ] || { row conformance "left out: no $stored (cuda-bundle.sh makes it)"; return; }
    local form
    for form in ptx cubin; do
        [ -d "$stored/$form" ] || continue
        check "conformance, kernels, $form" 120 "$stored/suite" "$stored/$form"
        check "conformance, queues, $form" 120 "$stored/queues" "$stored/$form"
    done
    # What faults takes its process along.
    local blob mode
    rm -f "$results/semantics.log"
    for mode in safe fast cubins; do
        [ -d "$stored/$mode" ] || continue
        for blob in "$stored/$mode"/*/*.blob; do echo "$blob"; done |
            xargs -P 8 -I{} sh -c 'timeout -k 5 60 "$0" "$1" >"$2/$$" 2>&1 && w=ok || w=FAILS
                { echo "$1: $w"; [ $w = ok ] || tail -n 3 "$2/$$"; } >>"$3"; rm -f "$2/$$"' \
                "$stored/programs" {} "$work" "$results/semantics.log"
    done
    row semantics "$(grep -c ': ok$' "$results/semantics.log") pass; fail: $(sed -n 's/.*\/\(safe\|fast\|cubins\)\/[^/]*\/\(.*\).blob: FAILS$/\2 (\1)/p' "$results/semantics.log" | sort | tr '\n' ' ')"
}

metal() {
    local program name
    for program in "$build"/tests/metal/metal_*; do
        name=${program##*metal_}
        case $name in
        *.p | headers* | discrete | metallib | wrong | lost | lenient | offline) ;; # about other devices' ways
        waiting) ARCBOX_TIME_LIMIT_MS=60000 check "metal $name" 200 "$root/tests/metal/with_worker.sh" "$arcboxd" cuda "$program" ;;
        *) check "metal $name" 120 "$root/tests/metal/with_worker.sh" "$arcboxd" cuda "$program" ;;
        esac
    done
}

# As tests/ggml/run.sh does, with eight processes at a time.
ggml() {
    local tests=$(ls -d "$build"/ggml-*/build/bin 2>/dev/null | tail -1) begun=$SECONDS operators parameters n=0
    [ -x "$tests/test-backend-ops" ] || { row ggml "left out: tests/ggml/run.sh has not built it"; return; }
    mkdir -p "$results/ggml"
    while read -r operators parameters; do
        case $operators in '' | '#'*) continue ;; esac
        n=$((n + 1))
        printf '%s\0%s\0%s\0' "$results/ggml/$n.log" "$operators" "$parameters"
    done <"$root/tests/ggml/sample.txt" |
        ARCBOX_TIME_LIMIT_MS=120000 xargs -0 -P 8 -n 3 sh -c '"$0" run --gpus device=cuda --mount "${1%/bin}:${1%/bin}" -w "$1" host \
            timeout 300 ./test-backend-ops test -b MTL0 -o "$3" ${4:+-p "$4"} >"$2" 2>&1 || echo "ended with $?" >>"$2"' \
            "$arcbox" "$tests"
    sed -i 's/\x1b\[[0-9;]*m//g' "$results"/ggml/*.log
    local ok=$(cat "$results"/ggml/*.log | grep -cE '\): OK$') bad=$(cat "$results"/ggml/*.log | sed -n '/^Failing tests:/,/^  Backend/s/^  \([A-Z0-9_]*(.*)\)$/\1/p' | wc -l)
    local ends=$(grep -l 'tests passed' "$results"/ggml/*.log | wc -l)
    cat "$results"/ggml/*.log >"$results/ggml.log"; rm -r "$results/ggml"
    [ "$bad" = 0 ] && [ "$ends" = "$(grep -cE '^[A-Z]' "$root/tests/ggml/sample.txt")" ] || failed=$((failed + 1))
    row 'ggml, sample' "$ok pass, $bad fail; $ends runs came to their end, $((SECONDS - begun)) s"
}

# Where the machine's CUDA libraries are.
cuda_libraries=$(ls -d "$venv"/lib/python3*/site-packages/nvidia/cu13/lib /usr/local/cuda/lib64 2>/dev/null | tr '\n' ':')

# llama_bench COMMAND...: tokens a second of the prompt and of generation.
llama_bench() {
    timeout 240 "$@" </dev/null >"$work/said" 2>"$work/errors"
    cat "$work/said" "$work/errors" >>"$results/llama.log"
    sed -n 's/.*| *\(pp512\|tg128\) *| *\([0-9.]*\).*/\2/p' "$work/said" | tr '\n' ' '
}

llama() {
    local here=$(ls -d "$build"/llama-*/program/bin 2>/dev/null | tail -1) models=${LLAMA_MODELS:-$work/models} shape type flags ours theirs why
    [ -x "$here/llama-bench" ] || { row llama "left out: tests/llama/run.sh has not built it"; return; }
    local source=$(ls -d "$build"/llama-*/llama_cpp_python-*/vendor/llama.cpp | tail -1)
    local cuda=${here%/program/bin}/cuda/libggml-cuda.so
    [ -e "$cuda" ] || { row llama "nothing to compare with: tests/llama/run.sh BUILD cuda has not brought it"; cuda=; }
    [ -n "${LLAMA_FLAGS:-}" ] || LLAMA_FLAGS=$'-t 1\n-t 1 -fa 1\n'
    mkdir -p "$models"
    : >"$results/llama.log"
    for shape in ${LLAMA_SHAPES:-1b 8b}; do
        for type in f16 q4_0; do
            local model=$models/$shape-$type.gguf
            [ -e "$model" ] || { "$python" "$root/tests/llama/make_model.py" "$source" $shape "$model.making" $type && mv "$model.making" "$model"; } >>"$results/llama.log" 2>&1 ||
                { row "llama $shape-$type" "no model: $(tail -n 1 "$results/llama.log")"; failed=$((failed + 1)); continue; }
            while IFS= read -r flags; do
                ours=$(llama_bench "$arcbox" run --gpus "device=$ARCBOX_TEST_DEVICE" --mount "$here:$here" --mount "$models:$models" -w "$models" host \
                    "$here/llama-bench" -m "$model" -p 512 -n 128 -r "${LLAMA_ROUNDS:-3}" $flags)
                [ -n "$ours" ] || { ours="- -"; failed=$((failed + 1)); }
                theirs= why=
                if [ -n "$cuda" ]; then
                    theirs=$(llama_bench env GGML_BACKEND_PATH="$cuda" LD_LIBRARY_PATH="$cuda_libraries" \
                        "$here/llama-bench" -m "$model" -dev CUDA0 -p 512 -n 128 -r "${LLAMA_ROUNDS:-3}" $flags)
                    [ -n "$theirs" ] || { why="; CUDA: $(grep -m 1 -E 'fail|error' "$work/errors")"; failed=$((failed + 1)); }
                fi
                row "llama $shape-$type $flags" "$(echo $ours $theirs | awk '{ printf "%s and %s tokens/s", $1, $2 }
                    NF == 4 { printf ", CUDA %s and %s", $3, $4 }
                    NF == 4 && $1 > 0 && $3 > 0 { printf ": ratio %.2f and %.2f", $1 / $3, $2 / $4 }')$why"
            done <<<"${LLAMA_FLAGS%$'\n'}"
            [ -n "${LLAMA_MODELS:-}" ] || rm "$model"
        done
    done
}

# A program of its own for each, outside a container, since the two others know none. With the host inside the
# program the GPU's kernels are the same, and what is between them is the least that there can be.
tinygrad() {
    local package=$build/tinygrad-site guest=$(echo "$build"/guest-root/usr/lib/*-linux-gnu) turn
    [ -d "$package" ] || { row tinygrad "left out: no $package (cuda-bundle.sh makes it)"; return; }
    local driver=$(ldconfig -p | sed -n 's/.*libcuda\.so\.1 .*=> //p' | head -1)
    [ -n "$driver" ] || row tinygrad "nothing to compare with: no libcuda.so.1"
    local common=(PYTHONDONTWRITEBYTECODE=1 CACHEDB="$work/tinygrad.db" ARCBOX_GUEST_ROOT="$build/guest-root"
        PYTHONPATH="$root/tests/tinygrad/outside:$package")
    local program=("$python" "$root/tests/tinygrad/resnet.py")
    for turn in 1 2; do
        check "tinygrad, bridged, $turn" 280 "$root/tests/metal/with_worker.sh" "$arcboxd" "$ARCBOX_TEST_DEVICE" \
            env "${common[@]}" DEV=METAL LD_LIBRARY_PATH="$guest" "${program[@]}" METAL ${TINYGRAD_SIZES:-}
        check "tinygrad, inproc, $turn" 280 env "${common[@]}" DEV=METAL ARCBOX_TRANSPORT=inproc ARCBOX_BACKEND="$ARCBOX_TEST_DEVICE" \
            ARCBOXD="$arcboxd" LD_LIBRARY_PATH="$guest:$build/src/host" "${program[@]}" METAL ${TINYGRAD_SIZES:-}
        [ -z "$driver" ] || check "tinygrad, cuda, $turn" 280 env "${common[@]}" DEV=CUDA \
            LD_LIBRARY_PATH="$cuda_libraries$(dirname "$driver")" "${program[@]}" CUDA ${TINYGRAD_SIZES:-}
    done
    "$python" - "$results"/tinygrad__{bridged,inproc,cuda}__{1,2}.log <<'end' | while IFS=$'\t' read -r name rest; do row "  $name" "$rest"; done
import os, re, sys
taken = {}
for path in filter(os.path.exists, sys.argv[1:]):
    way = path.split("__")[1]
    for name, *times in re.findall(r"^(ResNet-50 .*) [A-Z]+: ([0-9.]+) ms, ([0-9.]+) ms in a row", open(path).read(), re.M):
        taken.setdefault(name, {}).setdefault(way, []).append([float(t) for t in times])
for name, ways in taken.items():
    best = {way: [min(times) for times in zip(*pairs)] for way, pairs in ways.items()}
    text = [f"{way} {alone:.3f} ms ({followed:.3f})" for way, (alone, followed) in best.items()]
    for one, other in (("bridged", "inproc"), ("cuda", "bridged")):
        if one in best and other in best:
            text.append(f"{one} / {other} " + "{:.3f} ({:.3f})".format(*(a / b for a, b in zip(best[one], best[other]))))
    print(name, ", ".join(text), sep="\t")
end
}

torch() {
    local program
    for program in device.py steps.py networks.py convolutions.py; do
        ARCBOX_TORCH_SECONDS=280 check "torch $program" 300 "$root/tests/torch/run.sh" "$build" "$venv" $program
    done
}

# Both of the GPU's devices have to be seen: in no container.
speed() {
    check 'torch mps beside cuda' 300 "$root/tests/metal/with_worker.sh" "$arcboxd" cuda env PYTHONDONTWRITEBYTECODE=1 \
        LD_LIBRARY_PATH="$(echo "$build"/guest-root/usr/lib/*-linux-gnu)" \
        PYTHONPATH="$build/guest-root/usr/lib/arcbox/python" "$venv/bin/python" "$root/tests/torch/beside.py"
    sed -n 's/^\(.*\): mps/  \1\tmps/p' "$results/torch_mps_beside_cuda.log" | while IFS=$'\t' read -r name rest; do row "$name" "$rest"; done
}

# Without nvJitLink: one that is found and is none.
start() {
    local form n libraries
    mkdir -p "$work/none"
    cp -L "$(ldconfig -p | sed -n 's/.*x86-64.* => \(.*libm\.so\.6\)$/\1/p' | head -1)" "$work/none/libnvJitLink.so.13"
    for form in cubins PTX; do
        libraries=${LD_LIBRARY_PATH:-}
        [ $form = cubins ] || libraries=$work/none:$libraries
        for n in first second third; do
            "$arcbox" daemon stop >/dev/null 2>&1
            ARCBOX_CACHE_DIR=$work/start-$form LD_LIBRARY_PATH=$libraries check "start, $form, $n" 300 \
                "$arcbox" run --gpus device=cuda --mount "$venv:$venv:ro" --mount "$root/tests/torch:/tests:ro" \
                -e PYTHONDONTWRITEBYTECODE=1 host "$venv/bin/python" /tests/first.py
        done
    done
    "$arcbox" daemon stop >/dev/null 2>&1
}

bench() {
    check 'arcbox bench' 300 "$arcbox" bench --backend cuda --format json
    "$python" - "$results/arcbox_bench.log" <<'end' 2>/dev/null | while IFS=$'\t' read -r name rest; do row "  $name" "$rest"; done
import json, sys
text = open(sys.argv[1]).read()
for name, r in json.loads(text[text.index("{"):text.rindex("}") + 1]).items():
    print(name, f"{r['value']:.6g} {r['unit']}" + (f", beside {r['baseline']:.6g}: {r['ratio']:.3f}" if r["baseline"] else ""), sep="\t")
end
}

soak() {
    local seconds=${ARCBOX_SOAK_SECONDS:-120} before n kills=0 pids=()
    before=$(memory)
    rounds() { # NUMBER SECONDS
        exec timeout -k 5 $(($2 + 60)) "$arcbox" run --gpus device=cuda --mount "$venv:$venv:ro" --mount "$root/tests/torch:/tests:ro" \
            -e PYTHONDONTWRITEBYTECODE=1 host "$venv/bin/python" /tests/soak.py "$1" "$2"
    }
    for n in 1 2; do (rounds $n "$seconds") >"$results/soak-$n.log" 2>&1 & pids+=($!); done
    local end=$((SECONDS + seconds)) victim
    while [ $SECONDS -lt $((end - 10)) ]; do
        (rounds 3 600) >"$results/soak-3.log" 2>&1 &
        victim=$!
        sleep 10
        kill -9 $victim 2>/dev/null && kills=$((kills + 1))
        wait $victim 2>/dev/null
    done
    local said='' rc
    for n in 0 1; do
        rc=0; wait "${pids[$n]}" || rc=$?
        [ $rc = 0 ] || failed=$((failed + 1))
        said+="$(tail -n 1 "$results/soak-$((n + 1)).log") ($rc); "
    done
    "$arcbox" daemon stop >/dev/null 2>&1
    sleep 2
    row soak "$said$kills kills in $seconds s; device memory $before before, $(memory) after"
}

: >"$results/table"
row machine "$(nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader | head -1); $(nproc) x $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1); Linux $(uname -r)"
"$arcbox" gpu >"$results/gpu.log" 2>&1
row assembler "$("$arcbox" doctor 2>/dev/null | sed -n 's/ *nvJitLink */, nvJitLink: /p')"
[ $# -gt 0 ] || set -- conformance metal ggml torch speed start llama tinygrad bench soak
for part; do
    case $part in
    conformance | metal | ggml | llama | tinygrad | torch | speed | start | bench | soak) "$part" ;;
    *) echo "cuda-bench.sh: unknown part '$part'" >&2; exit 2 ;;
    esac
done
[ $failed = 0 ]
