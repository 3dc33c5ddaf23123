#include <metal_stdlib>
#include "/etc/passwd"
// error: 2:10 '/etc/passwd' file not found
