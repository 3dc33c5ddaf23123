// 16 bytes a thread, at once where both lie so; the last one's rest byte by byte.
kernel void copy_bytes(constant ulong &size [[buffer(0)]], device uchar *to [[buffer(1)]],
        device const uchar *from [[buffer(2)]], uint i [[thread_position_in_grid]])
{
    ulong begin = ulong(i) * 16, end = min(begin + 16, size);
    if (end - begin == 16 && ((ulong(to) | ulong(from)) & 15) == 0) {
        *(device uint4 *)(to + begin) = *(device const uint4 *)(from + begin);
        return;
    }
    for (ulong n = begin; n < end; n++)
        to[n] = from[n];
}
