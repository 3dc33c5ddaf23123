/* host: memory that came with a message. See transport.h. */
#include "host/transport/transport.h"

#include <stdlib.h>
#include <unistd.h>

void abx_parcel_drop(struct abx_parcel *parcel)
{
    if (parcel->fd >= 0)
        close(parcel->fd);
    free(parcel->runs);
    *parcel = (struct abx_parcel){.fd = -1};
}
