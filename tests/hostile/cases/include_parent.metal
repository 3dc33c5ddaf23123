// wants: 2:10 '../../../../../../../../etc/passwd' file not found
#include "../../../../../../../../etc/passwd"
