#!/bin/sh
# Runs each program given, Python's too, and fails when one does.
status=0
for program; do
    case $program in
    *.py) set -- python3 -B "$program" ;;
    *) set -- "$program" ;;
    esac
    "$@" || { echo "$program: $?" >&2; status=1; }
done
exit $status
