# Read by the first project() of a client that is built without optimisation (client.sh): there most of the
# time goes into reading the C++ library's headers, which the largest of its libraries have precompiled then.
if(PROJECT_IS_TOP_LEVEL)
    function(client_headers)
        foreach(target llama ggml-cpu whisper common)
            if(TARGET ${target})
                foreach(header algorithm array atomic cinttypes cmath cstdint cstdio cstdlib cstring fstream functional
                        future iostream limits map memory mutex numeric optional random regex set sstream stdexcept
                        string thread unordered_map unordered_set vector)
                    target_precompile_headers(${target} PRIVATE "$<$<COMPILE_LANGUAGE:CXX>:<${header}$<ANGLE-R>>")
                endforeach()
            endif()
        endforeach()
    endfunction()
    cmake_language(DEFER CALL client_headers)
endif()
