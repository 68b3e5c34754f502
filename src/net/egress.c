/*
 * egress.c: see egress.h.
 *
 * Public are the addresses that IANA's registries of special-purpose addresses
 * (RFC 6890 and its updates) call globally reachable.  An IPv6 address that
 * carries an IPv4 address (mapped, 6to4, NAT64) is judged as that one.
 */
#include "net/egress.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CLOSED_PORT "Ports below 1024 are not open to connectors, but for the usual ones."
#define HOW_TO_ALLOW "An administrator can allow it with kaireon.egress_allow."

typedef struct Range { uint8_t address[16]; unsigned bits; } Range;

/* IPv4 addresses that are not public; their bits are counted from the address's own beginning. */
static const struct { uint8_t address[4]; unsigned bits; } special4[] = {
    {{0, 0, 0, 0}, 8}, {{10, 0, 0, 0}, 8}, {{100, 64, 0, 0}, 10}, {{127, 0, 0, 0}, 8}, {{169, 254, 0, 0}, 16},
    {{172, 16, 0, 0}, 12}, {{192, 0, 0, 0}, 24}, {{192, 0, 2, 0}, 24}, {{192, 88, 99, 0}, 24}, {{192, 168, 0, 0}, 16},
    {{198, 18, 0, 0}, 15}, {{198, 51, 100, 0}, 24}, {{203, 0, 113, 0}, 24}, {{224, 0, 0, 0}, 3},
};

/* The public range of IPv6, and what in it is not public. */
static const Range public6 = {{0x20}, 3};
static const Range special6[] = {
    {{0x20, 0x01, 0x00}, 23}, {{0x20, 0x01, 0x0d, 0xb8}, 32}, {{0x3f, 0xff, 0x00}, 20},
};

static const Range mapped = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96};
static const Range nat64 = {{0x00, 0x64, 0xff, 0x9b}, 96};
static const Range six_to_four = {{0x20, 0x02}, 16};

static bool
same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    unsigned rest = bits % 8;
    uint8_t mask = (uint8_t) (0xff00 >> rest);

    return memcmp(a, b, bits / 8) == 0 && (rest == 0 || ((a[bits / 8] ^ b[bits / 8]) & mask) == 0);
}

static bool
in_range(const uint8_t *address, const Range *range)
{
    return same_bits(address, range->address, range->bits);
}

static void
map4(const uint8_t *four, uint8_t *out)
{
    memcpy(out, mapped.address, 12);
    memcpy(out + 12, four, 4);
}

/* The address as 16 bytes, and its port; false for another family. */
static bool
plain_address(const struct sockaddr *address, uint8_t *out, uint16_t *port)
{
    if (address->sa_family == AF_INET)
    {
        const struct sockaddr_in *in = (const struct sockaddr_in *) address;

        map4((const uint8_t *) &in->sin_addr, out);
        *port = ntohs(in->sin_port);
        return true;
    }
    if (address->sa_family == AF_INET6)
    {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *) address;

        memcpy(out, &in->sin6_addr, 16);
        *port = ntohs(in->sin6_port);
        return true;
    }
    return false;
}

/* ---- rules -------------------------------------------------------------- */

static bool
bad_rule(const char *text, Status *st)
{
    status_fail(st, STATUS_INVALID_VALUE, "\"%s\" is no rule for connections", text);
    return status_hint(st, "Give a host name, *.domain, an address or a range like 10.0.0.0/8, each with :PORT or :FROM-TO if not all ports are meant; IPv6 addresses in brackets.");
}

/* Digits alone, up to `max`. */
static bool
read_number(const char *s, size_t n, unsigned max, unsigned *out)
{
    unsigned value = 0;

    for (size_t i = 0; i < n; i++)
    {
        if (s[i] < '0' || s[i] > '9')
            return false;
        value = value * 10 + (unsigned) (s[i] - '0');
        if (value > max)
            return false;
    }
    *out = value;
    return n > 0;
}

static bool
read_ports(EgressRule *rule, const char *s)
{
    size_t first = strcspn(s, "-");
    unsigned from, to;

    if (!read_number(s, first, 65535, &from))
        return false;
    to = from;
    if (s[first] == '-' && !read_number(s + first + 1, strlen(s + first + 1), 65535, &to))
        return false;
    rule->from = (uint16_t) from;
    rule->to = (uint16_t) to;
    return from >= 1 && from <= to;
}

/* The part before the ports, of which `host` has lower case. */
static bool
read_host(EgressRule *rule, char *host, bool bracketed)
{
    char *slash = strchr(host, '/');
    unsigned bits = 128;
    uint8_t four[4];
    char *name;

    if (slash != NULL)
        *slash = '\0';
    if (slash != NULL && !read_number(slash + 1, strlen(slash + 1), 128, &bits))
        return false;
    if (bracketed && inet_pton(AF_INET6, host, rule->address) == 1)
    {
        rule->bits = bits;
        return true;
    }
    if (bracketed)
        return false;
    if (inet_pton(AF_INET, host, four) == 1)
    {
        if (slash != NULL && bits > 32)
            return false;
        map4(four, rule->address);
        rule->bits = slash != NULL ? bits + 96 : 128;
        return true;
    }
    name = host[0] == '*' && host[1] == '.' ? host + 2 : host;
    if (slash != NULL || name[0] == '\0' || name[0] == '.' || strlen(host) >= sizeof(rule->host) ||
        name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-_")] != '\0')
        return false;
    /* 127.1, 0x7f.1 and the like are addresses to a resolver. */
    if (strspn(name, "0123456789.") == strlen(name))
        return false;
    snprintf(rule->host, sizeof(rule->host), "%s", host);
    return true;
}

bool
egress_rule_parse(EgressRule *rule, const char *text, Status *st)
{
    char copy[300], *host = copy, *ports = NULL, *end = NULL;
    bool bracketed = text[0] == '[', fine = true;

    memset(rule, 0, sizeof(*rule));
    rule->to = 65535;
    if (strlen(text) >= sizeof(copy))
        return bad_rule(text, st);
    for (size_t i = 0; i <= strlen(text); i++)
        copy[i] = (char) (text[i] >= 'A' && text[i] <= 'Z' ? text[i] + 'a' - 'A' : text[i]);
    if (bracketed)
    {
        /* [address]/bits:ports becomes address/bits and the ports. */
        host = copy + 1;
        end = strchr(host, ']');
        fine = end != NULL;
        if (fine)
            memmove(end, end + 1, strlen(end));
    }
    if (fine)
        ports = strchr(end != NULL ? end : host, ':');
    if (ports != NULL)
    {
        *ports = '\0';
        fine = read_ports(rule, ports + 1);
    }
    return (fine && read_host(rule, host, bracketed)) || bad_rule(text, st);
}

static bool
name_matches(const char *rule, const char *host)
{
    size_t n = strlen(host), below = strlen(rule) - 1;

    if (rule[0] != '*')
        return strcasecmp(rule, host) == 0;
    return n > below && strcasecmp(host + n - below, rule + 1) == 0;
}

static bool
rule_allows(const EgressRule *rule, const char *host, const uint8_t *address, uint16_t port)
{
    if (port < rule->from || port > rule->to)
        return false;
    return rule->host[0] != '\0' ? name_matches(rule->host, host) : same_bits(address, rule->address, rule->bits);
}

/* ---- judging ------------------------------------------------------------ */

static bool
is_public4(const uint8_t *four)
{
    for (size_t i = 0; i < sizeof(special4) / sizeof(special4[0]); i++)
        if (same_bits(four, special4[i].address, special4[i].bits))
            return false;
    return true;
}

static bool
is_public(const uint8_t *address)
{
    if (in_range(address, &mapped) || in_range(address, &nat64))
        return is_public4(address + 12);
    if (in_range(address, &six_to_four))
        return is_public4(address + 2);
    if (!in_range(address, &public6))
        return false;
    for (size_t i = 0; i < sizeof(special6) / sizeof(special6[0]); i++)
        if (in_range(address, &special6[i]))
            return false;
    return true;
}

static bool
is_own(const Egress *egress, const uint8_t *address)
{
    for (size_t i = 0; i < egress->nown; i++)
        if (memcmp(egress->own[i], address, 16) == 0)
            return true;
    return false;
}

static bool
is_usual(uint16_t port, uint16_t usual)
{
    return port == 80 || port == 443 || port == usual || port >= 1024;
}

EgressVerdict
egress_judge(const Egress *egress, const char *host, const struct sockaddr *address, uint16_t usual)
{
    uint8_t plain[16];
    uint16_t port;

    if (!plain_address(address, plain, &port))
        return EGRESS_FAMILY;
    for (size_t i = 0; i < egress->nrules; i++)
        if (rule_allows(&egress->rules[i], host, plain, port))
            return EGRESS_ALLOWED;
    if (!is_public(plain))
        return EGRESS_NOT_PUBLIC;
    if (is_own(egress, plain))
        return EGRESS_OWN;
    return is_usual(port, usual) ? EGRESS_ALLOWED : EGRESS_PORT;
}

bool
egress_refuse(EgressVerdict verdict, const char *host, const struct sockaddr *address, Status *st)
{
    char text[INET6_ADDRSTRLEN] = "";
    const char *why = "Its address is of an unknown family.";
    uint8_t plain[16];
    uint16_t port = 0;

    if (plain_address(address, plain, &port))
        inet_ntop(address->sa_family, address->sa_family == AF_INET ? plain + 12 : plain, text, sizeof(text));
    if (verdict == EGRESS_NOT_PUBLIC)
        why = "That is not a public address.";
    if (verdict == EGRESS_OWN)
        why = "That is an address of the database's own machine.";
    if (verdict == EGRESS_PORT)
        why = CLOSED_PORT;
    status_fail(st, STATUS_FORBIDDEN, "connection to \"%s\" is not allowed", host);
    status_detail(st, "It would go to %s, port %u. %s", text, port, why);
    return status_hint(st, HOW_TO_ALLOW);
}

/* ---- what a proxy is asked for --------------------------------------------- */

/* The address that a host is by itself: in decimal, octal and hex, of one to four parts, or of IPv6. */
static bool
literal_address(const char *host, uint16_t port, struct sockaddr_storage *address)
{
    struct sockaddr_in *four = (struct sockaddr_in *) address;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *) address;
    size_t n = strlen(host);

    memset(address, 0, sizeof(*address));
    if (inet_aton(host, &four->sin_addr) != 0 || strcasecmp(host, "localhost") == 0 || (n > 10 && strcasecmp(host + n - 10, ".localhost") == 0))
    {
        if (inet_aton(host, &four->sin_addr) == 0)
            four->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        four->sin_family = AF_INET;
        four->sin_port = htons(port);
        return true;
    }
    six->sin6_family = AF_INET6;
    six->sin6_port = htons(port);
    return inet_pton(AF_INET6, host, &six->sin6_addr) == 1;
}

bool
egress_allow_by_proxy(const Egress *egress, const char *host, uint16_t port, Status *st)
{
    struct sockaddr_storage address;
    EgressVerdict verdict;
    char name[300];
    size_t n = (size_t) snprintf(name, sizeof(name), "%s", host);

    /* "localhost." and "127.0.0.1." are the same to many a resolver. */
    if (n > 0 && n < sizeof(name) && name[n - 1] == '.')
        name[n - 1] = '\0';
    /* the interface of an IPv6 address */
    name[strcspn(name, "%")] = '\0';
    if (literal_address(name, port, &address))
    {
        verdict = egress_judge(egress, host, (struct sockaddr *) &address, 0);
        return verdict == EGRESS_ALLOWED || egress_refuse(verdict, host, (struct sockaddr *) &address, st);
    }
    if (is_usual(port, 0))
        return true;
    for (size_t i = 0; i < egress->nrules; i++)
        if (egress->rules[i].host[0] != '\0' && rule_allows(&egress->rules[i], host, NULL, port))
            return true;
    status_fail(st, STATUS_FORBIDDEN, "connection to \"%s\" is not allowed", host);
    status_detail(st, "The proxy would connect to port %u. " CLOSED_PORT, port);
    return status_hint(st, HOW_TO_ALLOW);
}

/* ---- opening ------------------------------------------------------------ */

static bool
find_own(Egress *egress, Status *st)
{
    struct ifaddrs *list, *each;
    size_t n = 0;
    uint16_t port;

    if (getifaddrs(&list) != 0)
        return true; /* not everywhere is one allowed to ask */
    for (each = list; each != NULL; each = each->ifa_next)
        n++;
    egress->own = calloc(n + 1, sizeof(*egress->own));
    for (each = list; each != NULL && egress->own != NULL; each = each->ifa_next)
        if (each->ifa_addr != NULL && plain_address(each->ifa_addr, egress->own[egress->nown], &port))
            egress->nown++;
    freeifaddrs(list);
    return egress->own != NULL || status_out_of_memory(st, n * sizeof(*egress->own));
}

bool
egress_open(Egress *egress, const char *const *rules, size_t nrules, Status *st)
{
    bool fine;

    memset(egress, 0, sizeof(*egress));
    egress->rules = calloc(nrules + 1, sizeof(*egress->rules));
    if (egress->rules == NULL)
        return status_out_of_memory(st, nrules * sizeof(*egress->rules));
    fine = find_own(egress, st);
    for (size_t i = 0; i < nrules && fine; i++, egress->nrules++)
        fine = egress_rule_parse(&egress->rules[i], rules[i], st);
    if (!fine)
        egress_close(egress);
    return fine;
}

void
egress_close(Egress *egress)
{
    free(egress->rules);
    free(egress->own);
    memset(egress, 0, sizeof(*egress));
}
