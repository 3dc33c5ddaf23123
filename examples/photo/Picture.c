/* Draws the photograph and writes PNG files (stored, uncompressed blocks: no library needed). */
#include "Picture.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- noise */

static float Hash(int32_t x, int32_t y)
{
    uint32_t h = (uint32_t)x * 374761393u + (uint32_t)y * 668265263u;
    h = (h ^ (h >> 13)) * 1274126177u;
    return (float)((h ^ (h >> 16)) & 0xffffff) / 16777215.0f;
}

static float Smooth(float t)
{
    return t * t * (3 - 2 * t);
}

static float Noise(float x, float y)
{
    float fx = floorf(x), fy = floorf(y);
    int32_t ix = (int32_t)fx, iy = (int32_t)fy;
    float u = Smooth(x - fx), v = Smooth(y - fy);
    float top = Hash(ix, iy) * (1 - u) + Hash(ix + 1, iy) * u;
    float bottom = Hash(ix, iy + 1) * (1 - u) + Hash(ix + 1, iy + 1) * u;
    return top * (1 - v) + bottom * v;
}

static float Fractal(float x, float y, int octaves)
{
    float sum = 0, weight = 0.5f;
    for (int i = 0; i < octaves; i++) {
        sum += weight * Noise(x, y);
        x = x * 2.03f + 17;
        y = y * 2.03f + 29;
        weight *= 0.5f;
    }
    return sum;
}

/* ---- the scene; x and y run from 0 to 1, y downwards */

static const float Horizon = 0.62f;

static Pixel Mix(Pixel a, Pixel b, float t)
{
    t = t < 0 ? 0 : t > 1 ? 1 : t;
    return (Pixel){a.r + (b.r - a.r) * t, a.g + (b.g - a.g) * t, a.b + (b.b - a.b) * t, 1};
}

static Pixel Sky(float x, float y, float aspect)
{
    const Pixel zenith = {0.16f, 0.27f, 0.50f, 1}, middle = {0.58f, 0.55f, 0.66f, 1};
    const Pixel low = {0.98f, 0.72f, 0.45f, 1}, sun = {1, 0.95f, 0.80f, 1};
    float t = y / Horizon;
    Pixel p = t < 0.55f ? Mix(zenith, middle, t / 0.55f) : Mix(middle, low, (t - 0.55f) / 0.45f);
    float dx = (x - 0.66f) * aspect, dy = y - 0.44f, d = sqrtf(dx * dx + dy * dy);
    p = Mix(p, sun, 0.75f * expf(-d * 7));
    p = Mix(p, sun, 1 - Smooth(fminf(fmaxf((d - 0.030f) / 0.006f, 0), 1)));
    float clouds = Fractal(x * 5 + 3, y * 22, 6) - 0.46f;
    if (clouds > 0)
        p = Mix(p, Mix((Pixel){0.98f, 0.80f, 0.66f, 1}, (Pixel){0.62f, 0.55f, 0.66f, 1}, 1 - t),
                fminf(clouds * 5, 0.75f));
    return p;
}

typedef struct {
    float base, height, frequency, seed;
    Pixel colour, snow;
} Ridge;

static const Ridge Ridges[] = {
        {0.54f, 0.36f, 2.6f, 11, {0.50f, 0.50f, 0.64f, 1}, {0.93f, 0.84f, 0.84f, 1}},
        {0.58f, 0.25f, 3.7f, 41, {0.35f, 0.38f, 0.51f, 1}, {0.72f, 0.68f, 0.74f, 1}},
        {0.615f, 0.15f, 6.0f, 73, {0.20f, 0.26f, 0.33f, 1}, {0.20f, 0.26f, 0.33f, 1}},
};

static Pixel Land(float x, float y, float aspect)
{
    Pixel p = Sky(x, y, aspect);
    for (size_t i = 0; i < sizeof Ridges / sizeof *Ridges; i++) {
        const Ridge *r = &Ridges[i];
        float top = r->base - r->height * (Fractal(x * r->frequency + r->seed, r->seed, 7) - 0.22f);
        if (y < top)
            continue;
        float rock = Fractal(x * 60 + r->seed, y * 60, 5) - 0.5f;
        float snow = 1 - (y - top) / 0.05f + rock * 5 - (float)i * 0.9f;
        Pixel stone = Mix(r->colour, (Pixel){0.10f, 0.12f, 0.18f, 1}, 0.45f * rock + 0.05f);
        p = Mix(stone, r->snow, snow);
        p = Mix(p, (Pixel){0.93f, 0.72f, 0.58f, 1}, 0.45f * Smooth((y - top) / (Horizon + 0.02f - top)) /
                                                            (1 + (float)i));
    }
    /* firs on the far shore */
    float tree = Noise(x * 240, 7) * 0.022f + Noise(x * 31, 3) * 0.024f;
    if (y > Horizon - tree)
        p = Mix((Pixel){0.07f, 0.13f, 0.13f, 1}, (Pixel){0.12f, 0.19f, 0.16f, 1},
                Noise(x * 400, y * 400));
    return p;
}

static Pixel Water(float x, float y, float aspect)
{
    float depth = (y - Horizon) / (1 - Horizon);
    float wave = Fractal(x * (26 - 14 * depth), y * (190 - 110 * depth), 4) - 0.46f;
    float mirrored = 2 * Horizon - y + wave * 0.10f * (0.2f + depth);
    Pixel p = Land(x + wave * 0.02f, fminf(fmaxf(mirrored, 0), Horizon), aspect);
    p = Mix(p, (Pixel){0.08f, 0.16f, 0.24f, 1}, 0.22f + 0.50f * depth);
    float glitter = Noise(x * 160, y * 420);
    float path = expf(-fabsf(x - 0.66f) * (10 - 5 * depth));
    return Mix(p, (Pixel){1, 0.87f, 0.66f, 1}, glitter > 0.70f ? path * (glitter - 0.70f) * 2.6f : 0);
}

static Pixel Shore(Pixel behind, float x, float y)
{
    float top = 0.93f - 0.11f * Fractal(x * 3.1f + 90, 5, 5) - 0.12f * (1 - Smooth(fminf(x * 2.6f, 1)));
    if (y < top - 0.02f * Noise(x * 330, 1) * Noise(x * 47, 8))
        return behind;
    float grass = Noise(x * 420, y * 110) * 0.7f + Noise(x * 90, y * 40) * 0.3f;
    return Mix((Pixel){0.05f, 0.07f, 0.06f, 1}, (Pixel){0.24f, 0.25f, 0.13f, 1}, grass * grass);
}

void PictureDraw(Pixel *pixels, size_t width, size_t height)
{
    float aspect = (float)width / (float)height;
    for (size_t j = 0; j < height; j++)
        for (size_t i = 0; i < width; i++) {
            float x = ((float)i + 0.5f) / (float)width, y = ((float)j + 0.5f) / (float)height;
            Pixel p = y < Horizon ? Land(x, y, aspect) : Water(x, y, aspect);
            p = Shore(p, x, y);
            float grain = (Hash((int32_t)i, (int32_t)j + 9999) - 0.5f) * 0.14f;
            float tint = (Hash((int32_t)i + 7777, (int32_t)j) - 0.5f) * 0.05f;
            pixels[j * width + i] =
                    (Pixel){p.r + grain + tint, p.g + grain, p.b + grain - tint, 1};
        }
}

/* ---- PNG */

static uint32_t CRC(uint32_t crc, const uint8_t *data, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        crc ^= data[i];
        for (int k = 0; k < 8; k++)
            crc = (crc >> 1) ^ (0xedb88320u & (0u - (crc & 1)));
    }
    return crc;
}

static void Put32(uint8_t *to, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(value >> (24 - 8 * i));
}

static void WriteChunk(FILE *f, const char *type, const uint8_t *data, size_t length)
{
    uint8_t word[4];
    Put32(word, (uint32_t)length);
    fwrite(word, 1, 4, f);
    fwrite(type, 1, 4, f);
    fwrite(data, 1, length, f);
    Put32(word, ~CRC(CRC(~0u, (const uint8_t *)type, 4), data, length));
    fwrite(word, 1, 4, f);
}

static uint8_t Byte(float value)
{
    return value <= 0 ? 0 : value >= 1 ? 255 : (uint8_t)(value * 255 + 0.5f);
}

/* zlib's frame around blocks of at most 65,535 stored bytes; *length in and out. */
static uint8_t *Store(const uint8_t *data, size_t *length)
{
    size_t n = *length, blocks = n / 65535 + 1, at = 2;
    uint8_t *out = malloc(n + 5 * blocks + 6);
    uint32_t a = 1, b = 0;
    if (!out)
        return NULL;
    out[0] = 0x78;
    out[1] = 0x01;
    for (size_t from = 0, left = blocks; left--; from += 65535) {
        size_t part = left ? 65535 : n - from;
        const uint8_t head[5] = {!left, (uint8_t)part, (uint8_t)(part >> 8), (uint8_t)~part,
                (uint8_t)(~part >> 8)};
        memcpy(out + at, head, 5);
        memcpy(out + at + 5, data + from, part);
        at += 5 + part;
    }
    for (size_t i = 0; i < n; i++) {
        a = (a + data[i]) % 65521;
        b = (b + a) % 65521;
    }
    Put32(out + at, b << 16 | a);
    *length = at + 4;
    return out;
}

int PictureWritePNG(const char *path, const Pixel *pixels, size_t width, size_t height)
{
    size_t row = 1 + 3 * width, length = row * height;
    uint8_t *raw = malloc(length), *packed = NULL, header[13] = {0};
    FILE *f = fopen(path, "wb");
    int result = -1;
    if (raw && f) {
        for (size_t j = 0; j < height; j++) {
            raw[j * row] = 0;
            for (size_t i = 0; i < width; i++) {
                const Pixel *p = &pixels[j * width + i];
                uint8_t *to = raw + j * row + 1 + 3 * i;
                to[0] = Byte(p->r);
                to[1] = Byte(p->g);
                to[2] = Byte(p->b);
            }
        }
        packed = Store(raw, &length);
    }
    if (packed) {
        Put32(header, (uint32_t)width);
        Put32(header + 4, (uint32_t)height);
        header[8] = 8; /* bits */
        header[9] = 2; /* red, green, blue */
        fwrite("\x89PNG\r\n\x1a\n", 1, 8, f);
        WriteChunk(f, "IHDR", header, sizeof header);
        WriteChunk(f, "IDAT", packed, length);
        WriteChunk(f, "IEND", NULL, 0);
        result = ferror(f) ? -1 : 0;
    }
    if (f && fclose(f) != 0)
        result = -1;
    free(packed);
    free(raw);
    return result;
}
