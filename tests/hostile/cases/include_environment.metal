// wants: 2:10 '/proc/self/environ' file not found
#include "/proc/self/environ"
