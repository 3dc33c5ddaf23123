/* Mach-O's names for what a program and its libraries are. They are ELF files here: a header's address only says
 * which of them is meant. */
#ifndef _MACHO_LOADER_H_
#define _MACHO_LOADER_H_

struct mach_header;
struct mach_header_64;

#endif
