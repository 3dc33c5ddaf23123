// wants: 2:10 file not found
#include "/msl/shim.pch"
