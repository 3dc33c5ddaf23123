// wants: 2:15 '/etc/passwd' file not found
#include_next </etc/passwd>
