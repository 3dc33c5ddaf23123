#!/usr/bin/env bash
# What a build finds of Xcode: xcrun's Metal compiler, and CMake's toolchain file.
#   xcode.sh ARCBOX SCRIPTS_FOLDER
. "$(dirname "$0")/lib.sh"
scripts=$(realpath "$2")
xcrun=$scripts/xcrun
cd "$work" || exit 1

cat >half.h <<'END'
#include <metal_math>
constant half one = 1.0h;
END
cat >kernel.metal <<'END'
#include <metal_stdlib>
#include "half.h"
#if __METAL_VERSION__ >= 400
#error too new
#endif
kernel void fill(device half *out [[buffer(0)]], uint i [[thread_position_in_grid]]) { out[i] = one; }
END

case $("$xcrun" -sdk macosx --show-sdk-version) in
[1-9][0-9].[0-9]) pass ;;
*) fail "no version of an SDK" ;;
esac
echo '#include <stdio.h>' >c.c
same "where the SDK's headers are" stdio.h \
    "$("$scripts/arcbox-cc" -isysroot "$("$xcrun" -sdk macosx --show-sdk-path)" -E c.c | grep -om1 'stdio\.h')"
same "the headers that -H names: the program's alone" ". ./half.h" \
    "$("$xcrun" -sdk macosx metal -x metal -E -P -C -H kernel.metal -w 2>&1 >/dev/null)"
same "the preprocessed text" 1 "$("$xcrun" metal -E kernel.metal | grep -c 'constant half one')"
same "the language's version" 400 "$(echo __METAL_VERSION__ | "$xcrun" metal -std=metal4.0 -E -P - | tail -n 1)"

if "$xcrun" -sdk macosx metal -Wall -fno-fast-math -mmacosx-version-min=14.0 -c kernel.metal -o kernel.air; then
    pass
else
    fail "metal -c"
fi
"$xcrun" metal -std=metal4.0 -c kernel.metal -o new.air 2>errors && fail "an #error is not one"
grep -q "too new" errors && pass || fail "what was wrong: $(cat errors)"

# Linking: what the files have, unless Apple's compiler made a library of that name.
mkdir made out
"$xcrun" metal kernel.air -o out/one.metallib && cmp -s kernel.air out/one.metallib && pass || fail "one file linked"
"$xcrun" metal -x metal kernel.metal -fno-fast-math -std=metal3.2 -o out/two.metallib && pass || fail "from source to a library"
same "what it begins with" "MTLB ABXSOURC 0 196610" \
    "$(head -c 4 out/two.metallib) $(tail -c +9 out/two.metallib | head -c 8) $(od -An -j 24 -N 8 -t u4 out/two.metallib | xargs)"
"$xcrun" metal-ar rcs both.metalar kernel.air out/two.metallib && "$xcrun" metallib both.metalar -o out/both.metallib &&
    cat kernel.air out/two.metallib | cmp -s - out/both.metallib && pass || fail "an archive linked"
"$xcrun" -sdk macosx metal -MMD -c kernel.metal -o out/kernel.air && grep -q '^out/kernel.air:' out/kernel.d && grep -q ' half.h' out/kernel.d && pass ||
    fail "what it depends on"
"$xcrun" metal -fno-fast-math -c kernel.metal -o - | "$xcrun" metallib - -o out/piped.metallib && cmp -s kernel.air out/piped.metallib && pass ||
    fail "through a pipe"
"$xcrun" metallib kernel.metal -o out/none.metallib 2>errors && fail "a library of what is none"
grep -q "kernel.metal is not" errors && pass || fail "what was wrong: $(cat errors)"
[ -x "$("$xcrun" -sdk macosx --find metallib)" ] && pass || fail "where a tool is"
echo MTLB >made/default.metallib
export ARCBOX_METALLIBS=/nonexistent:$work/made
for tool in metal metallib; do
    rm -f out/*
    "$xcrun" -sdk macosx $tool -o out/default.metallib kernel.air
    same "$tool: the library that is there" MTLB "$(cat out/default.metallib)"
done
"$xcrun" metal kernel.air -o out/other.metallib && cmp -s kernel.air out/other.metallib && pass ||
    fail "a library of another name"
unset ARCBOX_METALLIBS

# What Makefiles tell a Mac's compiler and linker: names that are for them alone, and those that mean something here.
mkdir -p lib
echo 'int of_library(void) { return 7; }' >library.c
echo 'int of_archive = 5;' >archive.c
echo '#include <dlfcn.h>
extern int of_library(void);
int main(void) { int *kept = dlsym(RTLD_DEFAULT, "of_archive"); return of_library() + (kept ? *kept : 0); }' >main.c
cc=$scripts/arcbox-cc
sdk=/Applications/Xcode.app/Contents/Developer/Platforms/MacOSX.platform/Developer/SDKs/MacOSX14.2.sdk
{
    "$xcrun" -sdk macosx clang -target x86_64-apple-macos13.6 -isysroot $sdk -c archive.c -o archive.o
    "$xcrun" -sdk macosx clang++ -std=c++17 --target=arm64-apple-macos14 -x c++ -c archive.c -o unused.o
    "$cc" -arch arm64 -mmacosx-version-min=13.0 -dynamiclib -install_name @rpath/liblibrary.so -Wl,-undefined,dynamic_lookup \
        -Wl,-dead_strip library.c -o lib/liblibrary.so
    "$xcrun" ar rc libarchive.a archive.o
    "$cc" -arch arm64 -F /Library/Frameworks main.c -Llib -llibrary -Wl,-rpath,@loader_path/lib -Wl,-headerpad_max_install_names \
        -force_load libarchive.a -rdynamic -framework Foundation -o main
} >log 2>&1 || fail "a Mac's options: $(cat log)"
status=0
./main || status=$?
same "the library beside the program, and the archive kept whole" 12 $status
rm lib/liblibrary.so
./main >log 2>&1 && fail "the library was not where it was looked for"

# Files put into a program and its library, each for itself, as shader libraries are.
printf 'of the program' >one
printf 'of the library' >'t"w\o'
cat >embedded.c <<'END'
#include <mach-o/getsect.h>
#include <mach-o/ldsyms.h>
#include <stdio.h>
void of_library(void);
extern const struct mach_header_64 __dso_handle;
static void show(const struct mach_header_64 *header)
{
    unsigned long size = 0;
    uint8_t *data = getsectiondata(header, "__METAL", "__shaders", &size);
    printf("%.*s;", (int)size, data ? (char *)data : "");
}
#ifdef LIBRARY
void of_library(void) { show(&_mh_dylib_header); }
#else
int main(void)
{
    unsigned long size;
    show(&_mh_execute_header);
    show(&__dso_handle);
    of_library();
    return getsectiondata(&__dso_handle, "__METAL", "__other", &size) != NULL;
}
#endif
END
{
    "$cc" -DLIBRARY -dynamiclib embedded.c -Wl,-sectcreate,__METAL,__shaders,'t"w\o' -o lib/libembedded.so
    "$cc" embedded.c -sectcreate __TEXT __shaders 't"w\o' -Xlinker -sectcreate -Xlinker __METAL -Xlinker __shaders -Xlinker one \
        -Llib -lembedded -Wl,-rpath,@loader_path/lib -Wl,--gc-sections -o embedded
} >log 2>&1 || fail "-sectcreate: $(cat log)"
same "what was embedded" "of the program;of the program;of the library;" "$(./embedded)"
"$cc" embedded.c -sectcreate __METAL __shaders missing -o embedded >log 2>&1 && fail "embedded what is not there"
same "what is not there" "arcbox-cc: -sectcreate: no file missing" "$(cat log)"

# Optimised as a whole as it is linked: what has reference counting, beside what has not.
cat >counted.m <<'END'
#import <Foundation/Foundation.h>
__attribute__((noinline)) static NSString *twice(NSString *s) { return [s stringByAppendingString:s]; }
int length_of_twice(const char *s) { return (int)twice([NSString stringWithUTF8String:s]).length; }
END
echo 'int length_of_twice(const char *);
int main(void) { return length_of_twice("four") != 8; }' >whole.c
for lto in -flto -flto=thin; do
    {
        "$cc" -O3 $lto -fobjc-arc -c counted.m -o counted.o && "$cc" -O3 $lto -c whole.c -o whole.o
        "$cc" -O3 $lto -fobjc-arc whole.o counted.o -framework Foundation -o whole
    } >log 2>&1 || fail "$lto: $(cat log)"
    file_has_bitcode() { head -c 2 "$1" | grep -q BC; }
    ./whole && file_has_bitcode whole.o && pass || fail "$lto: linked"
done
"$cc" -O3 -flto -fobjc-arc whole.c counted.m -framework Foundation -o whole >log 2>&1 && ./whole && pass || fail "at once: $(cat log)"

# CMake: the system's name, and still the rules for ELF; and headers that Apple's C++ library brings along.
echo '#include <vector>
std::optional<int> none; std::shared_ptr<int> nothing; std::string text;' >along.cc
cat >CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.25)
project(named LANGUAGES CXX)
file(WRITE "${CMAKE_BINARY_DIR}/name" "${CMAKE_SYSTEM_NAME} ${CMAKE_SHARED_LIBRARY_SUFFIX}")
set(CMAKE_CXX_FLAGS "-Wall") # and what the toolchain gave is not lost
add_library(along OBJECT along.cc)
target_compile_features(along PRIVATE cxx_std_20)
file(WRITE "${CMAKE_BINARY_DIR}/scan" "${CMAKE_CXX_SCAN_FOR_MODULES}") # newer ones of CMake do where it is not OFF
END
for name in Linux Darwin; do
    rm -rf built
    cmake -S . -B built -DCMAKE_TOOLCHAIN_FILE="$scripts/arcbox.cmake" \
        $([ $name = Linux ] || echo -DARCBOX_SYSTEM_NAME=$name) >log 2>&1 || fail "cmake: $(tail -n 5 log)"
    cmake --build built >log 2>&1 && pass || fail "the build: $(tail -n 5 log)"
    same "CMake's names" "$name .so" "$(cat built/name)"
    same "whether sources are scanned for modules" OFF "$(cat built/scan)"
done

# Accelerate, by CMake's name for a library; its BLAS is OpenBLAS's.
echo '#include <Accelerate/Accelerate.h>
int main() { float x[2] = {1, -2}; return cblas_sasum(2, x, 1) != 3; }' >sum.cc
cat >CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.25)
project(sums LANGUAGES CXX)
find_path(METAL_INCLUDE Metal/Metal.h REQUIRED)
find_path(FOUNDATION_INCLUDE Foundation/Foundation.h REQUIRED)
find_path(TIME_INCLUDE time.h REQUIRED)
file(WRITE "${CMAKE_BINARY_DIR}/time" "${TIME_INCLUDE}")
find_library(FOUND Accelerate)
file(WRITE "${CMAKE_BINARY_DIR}/found" "${FOUND}")
if(NOT FOUND)
    return()
endif()
add_executable(by_path sum.cc)
target_link_libraries(by_path PRIVATE ${FOUND})
add_executable(by_name sum.cc)
target_link_libraries(by_name PRIVATE "-framework Accelerate")
# Frameworks whose functions are in the library of Metal.
find_library(IOKIT IOKit REQUIRED)
find_library(CORE_FOUNDATION CoreFoundation REQUIRED)
find_library(IOSURFACE IOSurface REQUIRED)
add_executable(registry registry.cc)
target_link_libraries(registry PRIVATE ${IOKIT} ${CORE_FOUNDATION} ${IOSURFACE})
END
echo '#include <IOKit/IOKitLib.h>
int main() { CFRelease(IOServiceMatching("IOAccelerator")); }' >registry.cc
rm -rf built
cmake -S . -B built -DCMAKE_TOOLCHAIN_FILE="$scripts/arcbox.cmake" >log 2>&1 || fail "cmake: $(tail -n 5 log)"
same "Metal's headers found by CMake, and a header of the system's" /usr/include "$(cat built/time 2>&1)"
same "Accelerate, not asked for" FOUND-NOTFOUND "$(cat built/found)"
rm -rf built
cmake -S . -B built -DCMAKE_TOOLCHAIN_FILE="$scripts/arcbox.cmake" -DARCBOX_ACCELERATE=ON >log 2>&1 ||
    fail "cmake: $(tail -n 5 log)"
cmake --build built >log 2>&1 && built/by_path && built/by_name && pass || fail "sums: $(tail -n 5 log)"
built/registry >log 2>&1 && pass || fail "I/O Kit found by CMake: $(tail -n 5 log)"

# What is Apple's alone, by CMake's name for that and by the compiler's.
echo '#ifdef __APPLE__
int apple;
#else
#error no __APPLE__
#endif' >apple.cc
cat >CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.25)
project(apples LANGUAGES CXX)
set(CMAKE_CXX_FLAGS "-Wall")
if(APPLE)
    add_library(apple SHARED apple.cc)
    target_link_libraries(apple PRIVATE "-framework Metal")
endif()
END
rm -rf built
cmake -S . -B built -DCMAKE_TOOLCHAIN_FILE="$scripts/arcbox.cmake" -DARCBOX_APPLE=ON >log 2>&1 ||
    fail "cmake: $(tail -n 5 log)"
cmake --build built >log 2>&1 && [ -e built/libapple.so ] && pass || fail "the build: $(tail -n 5 log)"
finish
