"""Pictures as tensors of shape (3, height, width) from 0 to 1, and PNG files of them. Needs torch alone."""
import struct
import zlib

import torch

from digits import figures


def save(picture, path):
    """Without loss but for the 8 bits of a colour."""
    rows = (picture.detach().cpu().clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous()
    height, width = rows.shape[:2]

    def part(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    lines = b"".join(b"\0" + bytes(row.flatten().tolist()) for row in rows)
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + part(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
                   part(b"IDAT", zlib.compress(lines, 9)) + part(b"IEND", b""))


def load(path):
    """What save() wrote: 8 bits a colour, no filters."""
    with open(path, "rb") as file:
        data = file.read()
    at, packed = 8, b""
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + size]
        if kind == b"IHDR":
            width, height, bits, colours = struct.unpack(">IIBB", body[:10])
        elif kind == b"IDAT":
            packed += body
        at += 12 + size
    lines = torch.frombuffer(bytearray(zlib.decompress(packed)), dtype=torch.uint8).view(height, 1 + 3 * width)
    if (bits, colours) != (8, 2) or lines[:, 0].any():
        raise ValueError(f"{path}: this reads the PNG files that it wrote, no others")
    return lines[:, 1:].reshape(height, width, 3).permute(2, 0, 1).float() / 255


def larger(picture, times):
    return picture.repeat_interleave(times, 1).repeat_interleave(times, 2)


def grid(pictures, columns, gap=2):
    """All in one, row by row, on white."""
    _, height, width = pictures[0].shape
    rows = -(-len(pictures) // columns)
    whole = torch.ones(3, rows * (height + gap) + gap, columns * (width + gap) + gap)
    for n, picture in enumerate(pictures):
        y, x = gap + n // columns * (height + gap), gap + n % columns * (width + gap)
        whole[:, y:y + height, x:x + width] = picture
    return whole


def number(n, colour, size):
    """The number's figures in the middle of a square of that many points; a mask of shape (size, size)."""
    known = figures()
    figure = torch.cat([torch.nn.functional.pad(known[int(c)], (1, 0)) for c in str(n)], 1)[:, 1:]
    figure = figure.repeat_interleave(2, 0).repeat_interleave(2, 1)
    mask = torch.zeros(size, size)
    y, x = (size - figure.shape[0]) // 2, (size - figure.shape[1]) // 2
    mask[y:y + figure.shape[0], x:x + figure.shape[1]] = figure
    return mask * torch.tensor(colour).view(3, 1, 1), mask


def confusion(counts, icons):
    """Rows: what pictures show; columns: what they were taken for. `icons`, (3, size, size), stand for the classes."""
    size = icons[0].shape[-1]
    cells = [torch.ones(3, size, size), *icons]
    for row, icon in zip(counts.tolist(), icons):
        cells.append(icon)
        for n, count in enumerate(row):
            share = count / max(1, sum(row))
            cell = torch.tensor([1 - 0.85 * share, 1 - 0.55 * share, 1 - 0.2 * share]).view(3, 1, 1).expand(3, size, size).clone()
            colour, mask = number(count, [1.0, 1.0, 1.0] if share > 0.5 else [0.2, 0.2, 0.3], size)
            cells.append(cell * (1 - mask) + colour)
    return grid(cells, len(icons) + 1)
