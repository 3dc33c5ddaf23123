// 16 bytes a thread; the last one's rest byte by byte.
kernel void copy_bytes(constant ulong &size [[buffer(0)]], device uchar *to [[buffer(1)]],
        device const uchar *from [[buffer(2)]], uint i [[thread_position_in_grid]])
{
    ulong begin = ulong(i) * 16, end = min(begin + 16, size);
    for (ulong n = begin; n < end; n++)
        to[n] = from[n];
}
