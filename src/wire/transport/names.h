/* wire: of the transports in table.c, the one by its role that others speak of. */
#ifndef ABX_WIRE_TRANSPORT_NAMES_H
#define ABX_WIRE_TRANSPORT_NAMES_H

#define ABX_TRANSPORT_ENV "ARCBOX_TRANSPORT" /* chooses one by its name; else it is the first */

/* Without isolation: the least that the same work can cost. Measurements divide by it. */
#define ABX_TRANSPORT_BASELINE "inproc"

#endif
