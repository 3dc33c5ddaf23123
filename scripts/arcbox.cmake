# CMake's toolchain for Metal programs on Linux: arcbox-cc, and the libraries that find_library(Metal),
# find_library(Foundation) and the like look for.
#
#     cmake -DCMAKE_TOOLCHAIN_FILE=PREFIX/share/arcbox/arcbox.cmake ...
get_filename_component(ARCBOX_PROGRAMS "@PROGRAMS@" ABSOLUTE)
get_filename_component(ARCBOX_LIBRARIES "@LIBRARIES@" ABSOLUTE)
foreach(language C OBJC)
    set(CMAKE_${language}_COMPILER "${ARCBOX_PROGRAMS}/arcbox-cc")
endforeach()
foreach(language CXX OBJCXX)
    set(CMAKE_${language}_COMPILER "${ARCBOX_PROGRAMS}/arcbox-c++")
endforeach()
list(APPEND CMAKE_LIBRARY_PATH "${ARCBOX_LIBRARIES}")
# find_path(Metal/Metal.h); of C's headers it finds the system's own first.
foreach(folder @INCLUDES@)
    get_filename_component(folder "${folder}" ABSOLUTE)
    list(APPEND CMAKE_SYSTEM_INCLUDE_PATH "${folder}")
endforeach()
# Frameworks that have no library of their own here are in the one that has them all.
set(ARCBOX_FOUND "${CMAKE_BINARY_DIR}/CMakeFiles/arcbox")
if(NOT EXISTS "${ARCBOX_FOUND}/libIOSurface.so")
    foreach(framework CoreFoundation IOKit IOSurface)
        file(WRITE "${ARCBOX_FOUND}/lib${framework}.so" "INPUT(AS_NEEDED(\"${ARCBOX_LIBRARIES}/libMetal.so\"))\n")
    endforeach()
endif()
list(APPEND CMAKE_LIBRARY_PATH "${ARCBOX_FOUND}")
# find_library(Accelerate) finds a library, BLAS and LAPACK of OpenBLAS, where it is asked for: who has another way when there
# is none (MLX) should take it, as much of Accelerate (BNNS, LAPACK's declarations, Fourier transforms) is not there.
if(NOT DEFINED ARCBOX_ACCELERATE)
    set(ARCBOX_ACCELERATE "${ARCBOX_APPLE}")
endif()
if(ARCBOX_ACCELERATE)
    if(NOT EXISTS "${ARCBOX_FOUND}/libAccelerate.so")
        file(WRITE "${ARCBOX_FOUND}/libAccelerate.so" "INPUT(AS_NEEDED(libopenblas.so.0))\n")
    endif()
else()
    file(REMOVE "${ARCBOX_FOUND}/libAccelerate.so")
endif()
# Apple's C++ library brings these along with nearly every other header, and programs rely on it. They are
# the compiler's own arguments: programs that set CMAKE_CXX_FLAGS would lose flags.
foreach(language CXX OBJCXX)
    list(APPEND CMAKE_${language}_COMPILER -include memory -include string -include optional -include algorithm
        -include functional -include mutex)
endforeach()

# CMake from 3.28 on looks through sources of C++20 for modules with a program that Debian has in a package of its own
# (clang-scan-deps), and a build stops where there is none. With Apple's compiler it does not look.
if(NOT DEFINED CMAKE_CXX_SCAN_FOR_MODULES)
    set(CMAKE_CXX_SCAN_FOR_MODULES OFF)
endif()

# Programs that have Metal only where APPLE (CMake's) or __APPLE__ (the compiler's) says so: with -DARCBOX_APPLE=ON
# both do. What they then include of a Mac beside Metal may be missing.
if(ARCBOX_APPLE)
    foreach(language C CXX OBJC OBJCXX)
        list(APPEND CMAKE_${language}_COMPILER -D__APPLE__)
    endforeach()
endif()

# Programs that ask CMAKE_SYSTEM_NAME whether there is Metal: -DARCBOX_SYSTEM_NAME=Darwin (or iOS) is what
# they read from project() on. CMake's own rules, for ELF files and their tools, have been chosen by then.
if((ARCBOX_SYSTEM_NAME OR ARCBOX_APPLE) AND NOT CMAKE_PROJECT_INCLUDE)
    set(CMAKE_PROJECT_INCLUDE "${CMAKE_CURRENT_LIST_DIR}/arcbox-project.cmake")
endif()
