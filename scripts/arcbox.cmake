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
# Apple's C++ library brings <memory> along with nearly every other header, and programs rely on it.
set(CMAKE_CXX_FLAGS_INIT "-include memory")
