// wants: 3:10 '/etc/passwd' file not found
#define FILE </etc/passwd>
#include FILE
