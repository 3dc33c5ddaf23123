#!/usr/bin/env bash
# A program that was linked outside finds, in the container, the library that it has already under every
# name of Apple's: two of them would be two Objective-C runtimes.
#   one_library.sh ARCBOX BUILD
. "$(dirname "$0")/lib.sh"
build=$(realpath "$2")
cd "$work" || exit 1
cat >one.m <<'END'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <objc/message.h>
#include <stdio.h>
int main(int count, char **names)
{
    for (int i = 1; i < count; i++) {
        void *library = dlopen(names[i], RTLD_NOW);
        if (!library || dlsym(library, "objc_msgSend") != dlsym(RTLD_DEFAULT, "objc_msgSend"))
            printf("%s: %s\n", names[i], library ? "another library" : dlerror());
    }
    printf("looked at %d\n", count - 1);
    return 0;
}
END
"$build/scripts/arcbox-cc" one.m -o one || fail "no program"
names="/usr/lib/libSystem.dylib /usr/lib/libSystem.B.dylib /usr/lib/libobjc.A.dylib libMetal.so"
for name in Metal Foundation CoreFoundation CoreGraphics QuartzCore MetalKit MetalPerformanceShaders; do
    names="$names /System/Library/Frameworks/$name.framework/$name"
done
# shellcheck disable=SC2086
same "one library" "looked at 11" "$("$arcbox" run --gpus device=cpu --mount "$work:$work" host "$work/one" $names 2>&1)"
finish
