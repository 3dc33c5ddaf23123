#!/usr/bin/env bash
# The photograph in a container: both pictures are written, and the filtered one is what its filters
# promise: smoother, warmer, darker at the corners. $2: the photo program.
. "$(dirname "$0")/lib.sh"
photo=$(realpath "$2")
trap '"$arcbox" daemon stop >/dev/null; rm -rf "$work"' EXIT
mkdir "$work/out"
"$arcbox" run --gpus device=cpu -v "$(dirname "$photo"):/opt/photo:ro" -v "$work/out:/out" host /opt/photo/photo /out ||
    fail "photo ended with $?"
python3 - "$work/out" <<'P' && pass || fail "the pictures"
import struct, sys, zlib
def read(path):
    data, at, body = open(path, "rb").read(), 8, b""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    while at < len(data):
        n, kind = struct.unpack(">I4s", data[at:at + 8])
        chunk = data[at + 8:at + 8 + n]
        assert zlib.crc32(kind + chunk) == struct.unpack(">I", data[at + 8 + n:at + 12 + n])[0]
        if kind == b"IHDR": width, height = struct.unpack(">II", chunk[:8])
        if kind == b"IDAT": body += chunk
        at += 12 + n
    raw, row = zlib.decompress(body), 1 + 3 * width
    return width, height, [raw[j * row + 1:(j + 1) * row] for j in range(height)]
def rough(rows): # mean step between neighbours in a row, sky only
    steps = [abs(r[i] - r[i + 3]) for r in rows[20:120:5] for i in range(300, 2100)]
    return sum(steps) / len(steps)
def mean(rows, x, y, channel):
    return sum(rows[y + j][3 * (x + i) + channel] for j in range(20) for i in range(20)) / 400
w, h, before = read(sys.argv[1] + "/before.png")
assert (w, h) == (960, 640)
assert read(sys.argv[1] + "/after.png")[:2] == (w, h)
after = read(sys.argv[1] + "/after.png")[2]
a, b = rough(before), rough(after)
assert b < a / 3, f"not smoother: {a:.2f} -> {b:.2f}"
for x, y in ((0, 0), (940, 0)):
    assert mean(after, x, y, 2) < 0.6 * mean(before, x, y, 2), f"corner {x},{y} is not darker"
# the snow stays bright and becomes warmer
assert mean(after, 320, 275, 0) > 190
warmth = lambda rows: mean(rows, 640, 210, 0) / max(mean(rows, 640, 210, 2), 1)
assert warmth(after) > warmth(before), "not warmer"
P
finish
