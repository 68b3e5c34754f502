/*
 * xml.c: see xml.h.
 */
#define _GNU_SOURCE     /* timegm */
#include "store/xml.h"

#include <libxml/parser.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "format/convert.h"

/* Bytes of what is wrong that are shown. */
#define SHOWN 200
/* So many bytes in front of it its element may begin. */
#define FAR 5000

#if LIBXML_VERSION >= 21200
typedef const xmlError *ErrorPointer;
#else
typedef xmlErrorPtr ErrorPointer;
#endif

/* The first thing that is wrong with a text. */
typedef struct Mistake
{
    xmlParserCtxt *context;
    char message[200];
    long at;            /* bytes of the text; -1: not known */
} Mistake;

static void
on_error(void *context, ErrorPointer error)
{
    Mistake *mistake = ((xmlParserCtxt *) context)->_private;

    if (mistake->message[0] != '\0' || error->message == NULL)
        return;
    snprintf(mistake->message, sizeof(mistake->message), "%.*s", (int) strcspn(error->message, "\n"), error->message);
    mistake->at = xmlByteConsumed(mistake->context);
}

/* What is wrong, and the element that it is in: a name may have characters that XML has not. */
static void
explain(const Mistake *mistake, const Buf *body, Status *st)
{
    size_t at = mistake->at < 0 || (size_t) mistake->at > body->used ? body->used : (size_t) mistake->at, from = at, to;
    char near[4 * SHOWN + 1];

    if (mistake->message[0] == '\0' || body->used == 0)
        return;
    while (from > 0 && at - from < FAR && (from == body->used || body->data[from] != '<'))
        from--;
    for (to = from + 1; to < body->used && to - from < SHOWN && body->data[to] != '<'; to++)
        ;
    near[convert_utf8_escape((const char *) body->data + from, to - from, near, sizeof(near) - 1)] = '\0';
    status_detail(st, "At byte %zu, near %s: %s.", at, near, mistake->message);
}

xmlDoc *
store_xml_parse(const Buf *body, const char *what, Status *st)
{
    Mistake mistake = {.context = xmlNewParserCtxt(), .at = -1};
    xmlDoc *doc = NULL;

    if (mistake.context == NULL)
        return status_out_of_memory(st, 0), NULL;
    mistake.context->_private = &mistake;
    mistake.context->sax->serror = on_error;
    if (body->used <= INT_MAX)
        doc = xmlCtxtReadMemory(mistake.context, (const char *) body->data, (int) body->used, "answer.xml", NULL,
                                XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_NOBLANKS);
    if (doc == NULL || xmlDocGetRootElement(doc) == NULL)
    {
        status_fail(st, STATUS_PROTOCOL, "%s is not XML that can be read", what);
        explain(&mistake, body, st);
        status_hint(st, "Check the endpoint: something else may have answered.");
        xmlFreeDoc(doc);
        doc = NULL;
    }
    xmlFreeParserCtxt(mistake.context);
    return doc;
}

const xmlNode *
store_xml_find(const xmlNode *first, const char *name)
{
    for (; first != NULL; first = first->next)
        if (first->type == XML_ELEMENT_NODE && strcmp((const char *) first->name, name) == 0)
            return first;
    return NULL;
}

char *
store_xml_text(const xmlNode *first, const char *name)
{
    const xmlNode *node = store_xml_find(first, name);

    return node == NULL ? NULL : (char *) xmlNodeGetContent(node);
}

const xmlNode *
store_xml_anywhere(const xmlNode *node, const char *name)
{
    for (; node != NULL; node = node->next)
    {
        const xmlNode *below;

        if (node->type == XML_ELEMENT_NODE && strcmp((const char *) node->name, name) == 0)
            return node;
        below = store_xml_anywhere(node->children, name);
        if (below != NULL)
            return below;
    }
    return NULL;
}

bool
store_iso_time(const char *text, int64_t *micros)
{
    struct tm utc = {0};
    int n = 0, month;
    int64_t fraction = 0, unit = 100000;

    if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d%n", &utc.tm_year, &utc.tm_mon, &utc.tm_mday, &utc.tm_hour, &utc.tm_min, &utc.tm_sec, &n) != 6)
        return false;
    utc.tm_year -= 1900;
    utc.tm_mon--;
    if (text[n] == '.')
        for (n++; text[n] >= '0' && text[n] <= '9'; n++, unit /= 10)
            fraction += (text[n] - '0') * unit;
    if ((text[n] != 'Z' && text[n] != '\0') || (unsigned) utc.tm_mon >= 12 || utc.tm_mday < 1 || utc.tm_mday > 31 || (unsigned) utc.tm_hour >= 24 ||
        (unsigned) utc.tm_min >= 60 || (unsigned) utc.tm_sec > 60)
        return false;
    month = utc.tm_mon;
    *micros = (int64_t) timegm(&utc) * 1000000 + fraction;
    /* a day that the month does not have has become one of the next; so has, rightly, the end of a month's last minute of 61 seconds */
    return utc.tm_mon == month || (utc.tm_mday == 1 && utc.tm_hour + utc.tm_min + utc.tm_sec == 0 && strstr(text, ":60") != NULL);
}

bool
store_size(const char *text, uint64_t *size)
{
    size_t digits = strspn(text, "0123456789");

    *size = strtoull(text, NULL, 10);
    return digits > 0 && digits < 19 && text[digits] == '\0';
}
