#!/usr/bin/env bash
# llama.cpp's own programs with its Metal backend, as published, through the bridge. Nothing of it is
# kept here: llama-cpp-python's source distribution on PyPI carries all of llama.cpp.
#
#   run.sh BUILD small       llama-simple writes the text that it writes on its CPU backend
#   run.sh BUILD programs    llama-completion, llama-cli, llama-server with four requests at once;
#                            f16, q4_0 and q8_0, flash attention on and off
#   run.sh BUILD speed       llama-bench on a 1B shape, beside its CPU backend: prints, judges nothing
#   run.sh BUILD cuda        brings llama.cpp's own CUDA backend for a GPU of compute capability 9.0, which
#                            llama-bench loads by GGML_BACKEND_PATH: what scripts/cuda-bench.sh compares
#                            with on another machine. Takes npm, zstd and a quarter of an hour
#
# LLAMA_FROM names another version of llama-cpp-python. Its CPU backend rounds what it multiplies
# quantised weights with to 8 bits, and Metal's kernels do not. So the reference of a quantised model is
# the same weights dequantised, on the CPU backend.
set -eu
build=$(realpath "$1")
what=$2
here=$(dirname "$(realpath "$0")")
version=${LLAMA_FROM:-0.3.36}
work=$build/llama-$version
source=$work/llama_cpp_python-$version/vendor/llama.cpp
port=18089
. "$here/../client.sh"

# make_model small|1b: MODEL-f16.gguf
make_model() {
    [ ! -e "$work/$1-f16.gguf" ] || return 0
    "$work/venv/bin/python" -c 'import numpy, yaml, tqdm, requests' 2>/dev/null ||
        "$work/venv/bin/pip" install -q --disable-pip-version-check numpy pyyaml tqdm requests
    "$work/venv/bin/python" "$here/make_model.py" "$source" "$1" "$work/making.gguf"
    mv "$work/making.gguf" "$work/$1-f16.gguf"
}

# quantise MODEL FROM TO: MODEL-FROM.gguf becomes model-MODEL-TO.gguf. The program takes a name that
# begins with a digit for the number of a type.
quantise() {
    [ -e "$work/$1-$3.gguf" ] ||
        client_run program/bin/llama-quantize --allow-requantize --pure \
            "./$1-$2.gguf" "./$1-$3.gguf" "${3#*-}" >"$work/quantise.log" 2>&1 ||
        { tail -n 5 "$work/quantise.log"; return 1; }
}

complete() { # MODEL DEVICE FLASH-ATTENTION
    client_run program/bin/llama-completion -m "$1.gguf" -dev "$2" -fa "$3" -p 'The bridge' -n 48 \
        --temp 0 -no-cnv -t 2 --no-perf 2>"$work/completion.log"
}

# The texts of four requests at once, in the order of their prompts.
serve() { # MODEL DEVICE
    local server i
    client_spawn program/bin/llama-server -m "$1.gguf" -dev "$2" --host 127.0.0.1 --port $port -np 4 \
        -t 2 >"$work/server.log" 2>&1
    server=$!
    for i in $(seq 120); do
        curl -sf -m 2 "http://127.0.0.1:$port/health" >/dev/null && break
        kill -0 $server 2>/dev/null || { tail -n 20 "$work/server.log" >&2; return 1; }
        sleep 0.5
    done
    rm -f "$work"/answer-*.json
    local asked=()
    for i in 1 2 3 4; do
        curl -s -m 300 "http://127.0.0.1:$port/completion" -o "$work/answer-$i.json" \
            -d "{\"prompt\": \"Bridge number $i\", \"n_predict\": 24, \"temperature\": 0}" &
        asked+=($!)
    done
    wait "${asked[@]}" || true
    kill $server
    wait $server 2>/dev/null || true
    for i in 1 2 3 4; do
        python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["content"])' "$work/answer-$i.json"
    done
}

# node-llama-cpp's, of the same llama.cpp but for a patch release of ggml. Of a GPU of compute capability 9.0
# it has PTX alone, of CUDA 13.1, which the drivers of CUDA 13.0 refuse: so it is assembled here.
fetch_cuda() {
    local version=3.22.1 place=package/bins/linux-x64-cuda/libggml-cuda.so making=$work/cuda-making
    mkdir -p "$making" "$work/cuda"
    (cd "$making" && npm pack --silent "@node-llama-cpp/linux-x64-cuda@$version" >/dev/null)
    tar -C "$making" -xzf "$making/node-llama-cpp-linux-x64-cuda-$version.tgz" $place
    "$work/venv/bin/pip" install -q --disable-pip-version-check --no-deps --target "$making" nvidia-cuda-nvcc==13.1.115
    python3 "$here/cuda_code.py" "$making/$place" 90 "$making/nvidia/cu13/bin" "$(nproc)" "$making/made.so"
    ln -sfn ../program/bin/libggml-base.so "$work/cuda/libggml-base.so"
    mv "$making/made.so" "$work/cuda/libggml-cuda.so"
    rm -r "$making"
}

pypi_source llama-cpp-python "$version" '*/vendor/llama.cpp/*'
client_start
case $what in
small)
    client_make "$source" small llama-simple "${quick[@]}" -DLLAMA_BUILD_TESTS=OFF
    make_model small
    simple() { client_run small/bin/llama-simple -m small-f16.gguf -n 24 "$@" 2>"$work/small.err"; }
    on_cpu=$(simple -ngl 0 'The bridge')
    same 'llama-simple, f16' "$on_cpu" "$(simple 'The bridge')"
    grep -q 'using device MTL0' "$work/small.err" || { echo 'not on Metal'; status=1; }
    ;;
programs)
    client_make "$source" program 'llama-completion llama-cli llama-server llama-quantize' \
        -DCMAKE_BUILD_TYPE=Release
    make_model small
    for type in f16 q4_0 q8_0; do
        reference=small-f16
        if [ $type != f16 ]; then
            quantise small f16 $type
            reference=small-$type-f32
            quantise small $type $type-f32
        fi
        for attention in on off; do
            same "llama-completion, $type, flash attention $attention" \
                "$(complete $reference none $attention)" "$(complete small-$type MTL0 $attention)"
        done
    done
    chat() {
        client_run program/bin/llama-cli -m small-f16.gguf -dev "$1" -p 'The bridge' -n 24 --temp 0 -st \
            </dev/null 2>/dev/null | sed -n '/^> /,/^\[ Prompt/p' | grep -v '^\[ Prompt'
    }
    same 'llama-cli' "$(chat none)" "$(chat MTL0)"
    same 'llama-server, four requests at once' "$(serve small-f16 none)" "$(serve small-f16 MTL0)"
    ;;
speed)
    client_make "$source" program 'llama-bench llama-quantize' -DCMAKE_BUILD_TYPE=Release
    make_model 1b
    quantise 1b f16 q4_0
    quantise 1b f16 q8_0
    for type in f16 q4_0 q8_0; do
        for device in none MTL0; do
            client_run program/bin/llama-bench -m ./1b-$type.gguf -dev $device -p 128 -n 32 -r 3 -t 2 \
                2>/dev/null | grep -E 'pp128|tg32' | sed "s/^/$type $device /"
        done
    done
    checks=1
    ;;
cuda)
    client_make "$source" program 'llama-bench llama-quantize' -DCMAKE_BUILD_TYPE=Release
    [ -e "$work/cuda/libggml-cuda.so" ] || fetch_cuda
    ls -l "$work/cuda/libggml-cuda.so"
    ;;
*)
    echo "run.sh: unknown test '$what'" >&2
    exit 2
    ;;
esac
echo "llama.cpp of llama-cpp-python $version: $checks compared"
exit $status
