# Read after every project(): arcbox.cmake says why.
if(ARCBOX_SYSTEM_NAME)
    set(CMAKE_SYSTEM_NAME "${ARCBOX_SYSTEM_NAME}")
endif()
if(ARCBOX_APPLE)
    set(APPLE 1)
endif()
