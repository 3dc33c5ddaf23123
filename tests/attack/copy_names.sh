#!/usr/bin/env bash
# A container that answers `arcbox cp` with a stream made to harm: names that lead out, links as
# folders, folders without end, sizes that are not there. What receives makes nothing outside.
. "$(dirname "$0")/lib.sh"
init=$(dirname "$arcbox")/arcbox-init
python3 - "$work" <<'P'
import struct, sys
work = sys.argv[1]
def record(kind, name, data=b"", size=None, mode=0o4777, length=None):
    name = name.encode()
    return struct.pack("=cBHIQ", kind.encode(), 0, len(name) if length is None else length, mode,
                       len(data) if size is None else size) + name + data
end = record("z", "")
streams = {
    "up": record("f", "../out", b"x") + end,
    "slash": record("d", "a") + record("f", "../../out", b"x") + record("e", "") + end,
    "absolute": record("f", f"{work}/out", b"x") + end,
    "dots": record("d", "..") + record("f", "out", b"x") + record("e", "") + end,
    "empty": record("f", "", b"x") + end,
    "nul": record("f", "a\0/../../out", b"x") + end,
    "link_as_folder": record("d", "a") + record("l", "b", work.encode()) + record("d", "b") +
        record("f", "out", b"x") + record("e", "") + record("e", "") + end,
    "link_as_file": record("d", "a") + record("l", "b", f"{work}/out".encode()) + record("f", "b", b"x") +
        record("e", "") + end,
    "deep": record("d", "a") * 5000,
    "cut": record("f", "a", b"x", size=1 << 60),
    "long_name": record("f", "a", length=65535),
    "long_link": record("l", "a", size=1 << 40),
    "kind": record("q", "a") + end,
    "too_many_ends": record("d", "a") + record("e", "") + record("e", "") + record("f", "out", b"x") + end,
    "nothing": b"",
    "only_end": record("e", ""),
}
for name, data in streams.items():
    open(f"{work}/{name}.stream", "wb").write(data)
P
for stream in "$work"/*.stream; do
    name=$(basename "$stream" .stream)
    mkdir "$work/into"
    timeout 20 "$init" -x -C in -- "$work/into" <"$stream" >/dev/null 2>"$work/said"
    code=$?
    [ $code -lt 128 ] && [ $code != 124 ] || fail "$name: ended with $code"
    [ ! -e "$work/out" ] || { fail "$name: wrote outside"; rm -f "$work/out"; }
    case $name in link_as_file | too_many_ends) ;; *) [ $code = 125 ] || fail "$name: was taken" ;; esac
    [ -z "$(find "$work/into" -perm /6000)" ] && pass || fail "$name: rights of another"
    rm -rf "$work/into"
done
finish
