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

# Linking: only what Apple's compiler made.
mkdir made out
echo MTLB >made/default.metallib
"$xcrun" metal kernel.air -o out/default.metallib 2>errors && fail "a library out of nothing"
grep -q ARCBOX_METALLIBS errors && pass || fail "no advice: $(cat errors)"
export ARCBOX_METALLIBS=/nonexistent:$work/made
for tool in metal metallib; do
    rm -f out/*
    "$xcrun" -sdk macosx $tool -o out/default.metallib kernel.air
    same "$tool: the library that is there" MTLB "$(cat out/default.metallib)"
done
"$xcrun" metal kernel.air -o out/other.metallib 2>/dev/null && fail "a library of another name"

# CMake: the system's name, and still the rules for ELF; and headers that Apple's C++ library brings along.
echo '#include <vector>
std::optional<int> none; std::shared_ptr<int> nothing;' >along.cc
cat >CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.25)
project(named LANGUAGES CXX)
file(WRITE "${CMAKE_BINARY_DIR}/name" "${CMAKE_SYSTEM_NAME} ${CMAKE_SHARED_LIBRARY_SUFFIX}")
add_library(along OBJECT along.cc)
target_compile_features(along PRIVATE cxx_std_17)
END
for name in Linux Darwin; do
    rm -rf built
    cmake -S . -B built -DCMAKE_TOOLCHAIN_FILE="$scripts/arcbox.cmake" \
        $([ $name = Linux ] || echo -DARCBOX_SYSTEM_NAME=$name) >log 2>&1 || fail "cmake: $(tail -n 5 log)"
    cmake --build built >log 2>&1 && pass || fail "the build: $(tail -n 5 log)"
    same "CMake's names" "$name .so" "$(cat built/name)"
done

# What is Apple's alone, by CMake's name for that and by the compiler's.
echo '#ifdef __APPLE__
int apple;
#else
#error no __APPLE__
#endif' >apple.cc
cat >CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.25)
project(apples LANGUAGES CXX)
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
