#!/usr/bin/env bash
# `arcbox run` killed outright at any moment of its start takes all it has started with it.
. "$(dirname "$0")/lib.sh"
for attacker in $(attackers); do
    become "$attacker"
    seconds=4321.$$$RANDOM
    # Between two steps of its own bubblewrap may leave a process that sleeps, and runs nothing.
    left() { ps -eo args | grep -c "^\(/run/.arcbox-init .*-- \|$arcbox run host \)\?sleep $seconds"; }
    run run host true
    for i in $(seq 60); do
        "${as[@]}" "$arcbox" run host sleep "$seconds" &
        pid=$!
        sleep "0.0$((10 + RANDOM % 60))"
        kill -KILL $pid
        wait $pid
    done 2>/dev/null
    sleep 1 # what was about to start has
    for _ in $(seq 100); do [ "$(left)" = 0 ] && break; sleep 0.05; done
    same "$who: containers without their arcbox" 0 "$(left)"
    ps -eo pid,args | awk -v "s=sleep $seconds" 'index($0, s) && !/awk/ {print $1}' | xargs -r kill -KILL 2>/dev/null
done
finish
