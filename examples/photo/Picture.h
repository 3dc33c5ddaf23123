/* A picture in memory: drawn, not loaded, so that the example brings its own photograph. */
#ifndef PICTURE_H
#define PICTURE_H

#include <stddef.h>

/* One pixel: red, green, blue and 1, each 0..1: Metal's float4. */
typedef struct {
    float r, g, b, a;
} Pixel;

/* Draws an evening by a mountain lake, with the grain of a small camera. */
void PictureDraw(Pixel *pixels, size_t width, size_t height);

/* Writes a PNG file; 0, or -1 with errno set. */
int PictureWritePNG(const char *path, const Pixel *pixels, size_t width, size_t height);

#endif
