#!/usr/bin/env bash
# ps, stop, logs, rm, help, completion: what a user sees of detached containers.
. "$(dirname "$0")/lib.sh"
name=$("$arcbox" run -d --name one host sh -c 'echo first; echo second; trap "echo bye; exit 4" TERM; while :; do sleep 0.05; done')
same "prints its name" one "$name"
same "listed" "one" "$("$arcbox" ps -q)"
same "json" "one True host" "$("$arcbox" ps --format json | python3 -c '
import json, sys
c, = json.load(sys.stdin)
print(c["name"], c["running"], c["image"])')"
for _ in $(seq 100); do [ -n "$("$arcbox" logs one)" ] && break; sleep 0.05; done
same "logs" "first second " "$("$arcbox" logs one | tr '\n' ' ')"
same "last line" second "$("$arcbox" logs -n 1 one)"
says "same name twice" 125 "a container named 'one' is there already" "$arcbox" run -d --name one host true
says "rm of a running one" 125 "'one' is running" "$arcbox" rm one
same "stopped" one "$("$arcbox" stop one)"
same "its last word" bye "$("$arcbox" logs -n 1 one)"
same "not listed any more" "" "$("$arcbox" ps -q)"
same "but with -a" "exited (4)" "$("$arcbox" ps -a | grep -o 'exited (4)')"
same "removed" one "$("$arcbox" rm one)"
says "stop of nothing" 125 "no container named 'one'" "$arcbox" stop one
says "logs of nothing" 125 "no container named 'one'" "$arcbox" logs one
says "rm of nothing" 125 "no container named '../x'" "$arcbox" rm ../x
"$arcbox" run -d --rm --name two host true >/dev/null
for _ in $(seq 100); do [ -e "$work/state/containers/two" ] || break; sleep 0.05; done
same "--rm leaves nothing" "" "$(ls -A "$work/state/containers")"
"$arcbox" run -d --name deaf host sh -c 'trap "" TERM; while :; do sleep 0.05; done' >/dev/null
same "a deaf one is ended" deaf "$("$arcbox" stop -t 1 deaf)"
"$arcbox" rm deaf >/dev/null
says "no container for gpu format" 125 "--format xml: expected json or table" "$arcbox" gpu --format xml
verbs=$("$arcbox" help | sed -n 's/^  \([a-z]*\)  .*/\1/p')
same "verbs" run "$(echo $verbs | cut -d' ' -f1)"
man=$(dirname "$arcbox")/../../data/arcbox.1
for verb in $verbs; do
    for words in "help $verb" "$verb -h" "$verb --help"; do
        same "$words" "usage: arcbox $verb" "$("$arcbox" $words | head -1 | cut -d' ' -f1-3)"
    done
    grep -q "^\.SS arcbox $verb" "$man" || fail "$verb is not in the man page"
    for shell in bash zsh fish; do
        "$arcbox" completion $shell | grep -qw -e "$verb" || fail "$verb is not in $shell's completion"
    done
done
for verb in ps doctor bench version; do
    says "extra word of $verb" 125 "arcbox $verb takes no 'extra'" "$arcbox" $verb extra
done
says "extra word of logs" 125 "takes no 'two'" "$arcbox" logs one two
same "options after words" "no container named 'one'" "$("$arcbox" stop one -t 1 2>&1 | grep -o "no container named 'one'")"
same "what works of Metal" "MTLDevice" "$("$arcbox" help metal | grep -o '^  MTLDevice ' | xargs)"
same "of a class" "MTLBuffer (Metal) works" "$("$arcbox" help metal mtlbuffer | head -1) $("$arcbox" help metal MTLBuffer | sed -n "s/^  contents  *//p" | xargs)"
says "of no class" 125 "there is no class 'Buffers' in the table" "$arcbox" help metal Buffers
same "a hint" 1 "$("$arcbox" help metal commandbuf 2>&1 | grep -c "there is .*MTLCommandBuffer")"
same "-h NAME is docker's host name" other "$("$arcbox" run -h other host hostname)"
# Every variable that the programs read is in the man page.
for variable in $(grep -rhoE 'getenv\("ARCBOX[A-Z_]*"' "$(dirname "$0")/../../src" | cut -d'"' -f2 | sort -u); do
    grep -q "$variable" "$man" || fail "$variable is not in the man page"
done
if command -v man >/dev/null; then
    same "the man page is clean" "" "$(MANROFFSEQ= man --warnings -l "$man" 2>&1 >/dev/null </dev/null | head -3)"
fi
same "version" 2 "$("$arcbox" version | wc -w)"
for shell in bash zsh; do
    "$arcbox" completion $shell >"$work/completion"
    ! command -v $shell >/dev/null || $shell -n "$work/completion" || fail "completion $shell"
done
complete() { bash -c 'source <("$1" completion bash); shift; COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _arcbox; echo "${COMPREPLY[@]}"' - "$arcbox" "$@"; }
same "bash completion" run "$(complete arcbox ru)"
same "of an option" "--tail" "$(complete arcbox logs --ta)"
same "of its value" "host" "$(complete arcbox run --network ho)"
# Verbs of groups.
same "a group" "create start stop" "$("$arcbox" machine | sed -n 's/^  \([a-z]*\)  .*/\1/p' | head -3 | xargs)"
same "help for one of it" "usage: arcbox machine create" "$("$arcbox" machine create --help | head -1 | cut -d' ' -f1-4)"
same "the same" "$("$arcbox" help machine create)" "$("$arcbox" machine create -h)"
says "a slip in a group" 125 "did you mean 'machine start'" "$arcbox" machine strat
says "an option of a group" 125 "unknown option --all" "$arcbox" machine --all
grep -q "^\.SS arcbox machine create" "$man" && pass || fail "machine create is not in the man page"
same "bash completion in a group" "create" "$(complete arcbox machine cr)"
same "of an option in it" "--disk" "$(complete arcbox machine create --di)"
if command -v script >/dev/null; then
    same "terminal" "yes" "$(script -qec "$arcbox run -it host sh -c 'test -t 0 && tty >/dev/null && echo yes'" /dev/null </dev/null | grep -o yes)"
else
    skip "terminal: the script program is not here"
fi
finish
