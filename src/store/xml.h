/*
 * xml.h: small answers in XML, as object stores give them.
 *
 * libxml2 reads them, without its network and without entities of others'.
 * Elements are found by their local names, whatever the namespace.
 */
#ifndef KAIREON_STORE_XML_H
#define KAIREON_STORE_XML_H

#include <libxml/tree.h>

#include "core/buf.h"
#include "core/status.h"

/* The document, to be freed by xmlFreeDoc; NULL: it is none (08P01).  `what` names it. */
xmlDoc *store_xml_parse(const Buf *body, const char *what, Status *st);

/* The first element of that name in or behind `node`, a child or a sibling; NULL: there is none. */
const xmlNode *store_xml_find(const xmlNode *first, const char *name);

/* Its text, as a copy to be freed; NULL: there is no such element, or no memory. */
char *store_xml_text(const xmlNode *first, const char *name);

/* Any element of that name in the document, in whatever depth. */
const xmlNode *store_xml_anywhere(const xmlNode *node, const char *name);

/* "2024-05-01T10:20:30.123Z" in microseconds since 1970; false: it is none. */
bool store_iso_time(const char *text, int64_t *micros);

/* A number of bytes, in decimal digits and nothing else; false: it is none. */
bool store_size(const char *text, uint64_t *size);

#endif
