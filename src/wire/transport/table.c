/* wire, guest side: the transports there are. */
#include "wire/transport/drm.h"
#include "wire/transport/socket.h"

const struct abx_transport_ops *const abx_transports[] = {
        &abx_transport_unix, &abx_transport_inproc, &abx_transport_virtgpu};
const unsigned abx_transport_count = ABX_ARRAY_SIZE(abx_transports);
