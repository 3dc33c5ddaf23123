#include <metal_stdlib>
#include "../../../../etc/hostname"
// error: 2:10 '../../../../etc/hostname' file not found
