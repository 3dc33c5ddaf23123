# Read after every project(): arcbox.cmake says why.
set(CMAKE_SYSTEM_NAME "${ARCBOX_SYSTEM_NAME}")
