/* wire, guest side: the transports there are. */
#include "wire/transport/socket.h"

const struct abx_transport_ops *const abx_transports[] = {
        &abx_transport_unix, &abx_transport_inproc};
const unsigned abx_transport_count = ABX_ARRAY_SIZE(abx_transports);
