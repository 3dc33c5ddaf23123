/* photo: draws a photograph, filters it with Metal, and writes both as PNG.
 *
 *     photo [FOLDER]      writes FOLDER/before.png and FOLDER/after.png
 *
 * Reads Filters.metal beside the program. Compiled with ARC; nothing here knows which system it runs
 * on. */
#import "PhotoFilter.h"

#include <stdio.h>

enum { Width = 960, Height = 640 };

static int Write(NSString *folder, NSString *name, const Pixel *pixels)
{
    NSString *path = [folder stringByAppendingPathComponent:name];
    if (PictureWritePNG(path.UTF8String, pixels, Width, Height) < 0) {
        perror(path.UTF8String);
        return 1;
    }
    printf("wrote %s\n", path.UTF8String);
    return 0;
}

static int Fail(NSString *what, NSError *error)
{
    fprintf(stderr, "photo: %s: %s\n", what.UTF8String,
            error ? error.localizedDescription.UTF8String : "unknown error");
    return 1;
}

int main(int argc, const char *argv[])
{
    @autoreleasepool {
        NSString *folder = argc > 1 ? [NSString stringWithUTF8String:argv[1]] : @".";
        NSString *program = [NSString stringWithUTF8String:argv[0]];
        NSString *path = [[program stringByDeletingLastPathComponent]
                stringByAppendingPathComponent:@"Filters.metal"];
        NSError *error = nil;
        NSString *source = [NSString stringWithContentsOfFile:path
                                                     encoding:NSUTF8StringEncoding
                                                        error:&error];
        if (!source)
            return Fail(path, error);
        id<MTLDevice> device = MTLCreateSystemDefaultDevice();
        if (!device)
            return Fail(@"no Metal device", nil);
        PhotoFilter *filter = [[PhotoFilter alloc] initWithDevice:device source:source error:&error];
        if (!filter)
            return Fail(@"the filters", error);

        NSMutableData *pixels = [NSMutableData dataWithLength:sizeof(Pixel) * Width * Height];
        PictureDraw(pixels.mutableBytes, Width, Height);
        if (Write(folder, @"before.png", pixels.bytes))
            return 1;
        if (![filter filterPixels:pixels.mutableBytes width:Width height:Height error:&error])
            return Fail(@"filtering", error);
        printf("%s: %s\n", device.name.UTF8String, filter.summary.UTF8String);
        return Write(folder, @"after.png", pixels.bytes);
    }
}
