/*
 * egress.h: where a connection may go.
 *
 * Whoever makes a connector chooses the host, and the connection comes from
 * the database's machine, which may reach what they can't.  So the address is
 * judged when a socket is about to be opened, after the name was resolved, and
 * for each redirect anew: a name that resolves to something else the second
 * time gains nothing.
 *
 * Without a rule, an address must be a public one that is not this machine's,
 * and the port 80, 443, 22 for SFTP, or one from 1024 on.  An administrator's
 * rules allow more (kaireon.egress_allow):
 *
 *   10.1.2.3    10.0.0.0/8    [fd00::]/8    minio.internal    *.corp.example
 *
 * each with ":PORT" or ":FROM-TO" behind it or for all ports.  A rule with a
 * name allows whatever that name resolves to.
 */
#ifndef KAIREON_EGRESS_H
#define KAIREON_EGRESS_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "core/status.h"

typedef struct EgressRule
{
    char host[256];         /* lower case; "" in a rule about addresses; "*." in front: names below */
    uint8_t address[16];    /* IPv4 as ::ffff:a.b.c.d */
    unsigned bits;          /* of the address that count */
    uint16_t from, to;      /* ports */
} EgressRule;

typedef struct Egress
{
    EgressRule *rules;
    size_t nrules;
    uint8_t (*own)[16];     /* this machine's addresses */
    size_t nown;
} Egress;

/* Why an address is refused, or that it is not. */
typedef enum EgressVerdict { EGRESS_ALLOWED, EGRESS_NOT_PUBLIC, EGRESS_OWN, EGRESS_PORT, EGRESS_FAMILY } EgressVerdict;

/* One rule; fails with 22023.  Does not look the name up. */
STATUS_CHECK bool egress_rule_parse(EgressRule *rule, const char *text, Status *st);

/* Reads the rules, and finds out this machine's addresses.  On success to be freed. */
STATUS_CHECK bool egress_open(Egress *egress, const char *const *rules, size_t nrules, Status *st);
void egress_close(Egress *egress);

/*
 * Whether a socket may be connected to `address` for `host`, the name or address that was
 * asked for.  `usual`: the one port below 1024 that is allowed beside 80 and 443; or 0.
 */
EgressVerdict egress_judge(const Egress *egress, const char *host, const struct sockaddr *address, uint16_t usual);

/*
 * Whether a proxy may be asked for a connection to `host`.  What its name resolves to is for the proxy
 * to find out, and not known here; an address, however it is spelled, and localhost are judged
 * as if it was connected to.  Fails with 42501.
 */
STATUS_CHECK bool egress_allow_by_proxy(const Egress *egress, const char *host, uint16_t port, Status *st);

/* Fails with 42501 and says why; false.  `address` as for egress_judge. */
bool egress_refuse(EgressVerdict verdict, const char *host, const struct sockaddr *address, Status *st);

#endif
