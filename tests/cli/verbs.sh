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
says "no container for gpu format" 125 "--format xml: json or table" "$arcbox" gpu --format xml
for verb in run ps stop logs rm gpu daemon cdi version; do
    same "help $verb" "usage: arcbox $verb" "$("$arcbox" help "$verb" | head -1 | cut -d' ' -f1-3)"
done
same "version" 2 "$("$arcbox" version | wc -w)"
for shell in bash zsh fish; do
    "$arcbox" completion $shell | grep -q run && pass || fail "completion $shell"
done
same "bash completion" "run" "$(bash -c 'source <("$1" completion bash); COMP_WORDS=(arcbox ru) COMP_CWORD=1; _arcbox; echo "${COMPREPLY[@]}"' - "$arcbox")"
if command -v script >/dev/null; then
    same "terminal" "yes" "$(script -qec "$arcbox run -it host sh -c 'test -t 0 && tty >/dev/null && echo yes'" /dev/null </dev/null | grep -o yes)"
else
    skip "terminal: the script program is not here"
fi
finish
