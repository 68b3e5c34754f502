/*
 * lookup.h: the addresses of a host, waited for only so long.
 *
 * libcurl looks names up by itself; this is for connections of others.
 */
#ifndef KAIREON_LOOKUP_H
#define KAIREON_LOOKUP_H

#include <netdb.h>
#include <stdint.h>

/* In place of an error of getaddrinfo's: there was no answer in time. */
#define LOOKUP_LATE 1

/*
 * As getaddrinfo(host, port, for streams), within `ms` milliseconds: 0 with *list, to be freed by freeaddrinfo, or an
 * EAI_ error (EAI_SYSTEM leaves errno), or LOOKUP_LATE.  A question that is given up goes on in a thread of its own
 * until it is answered.
 */
int lookup_host(const char *host, const char *port, int64_t ms, struct addrinfo **list);

#endif
