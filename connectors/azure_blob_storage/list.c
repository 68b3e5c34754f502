/*
 * list.c: listings of a container, page by page (List Blobs).
 *
 * Folders are no blobs, but some programs make blobs that stand for them: of
 * the type directory, where the account has real ones, or with the metadata
 * hdi_isfolder.  These are left out, as are names that end in a slash (keys.h).
 */
#include <libxml/parser.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../connectors/azure_blob_storage/azure.h"
#include "net/url.h"
#include "store/keys.h"
#include "store/xml.h"

static bool
page_url(const Azure *azure, const char *prefix, bool flat, const char *marker, Buf *url, Status *st)
{
    size_t size = strlen(azure->prefix) + strlen(prefix) + 1;
    char *whole = malloc(size);
    bool fine;

    if (whole == NULL)
        return status_out_of_memory(st, size);
    snprintf(whole, size, "%s%s", azure->prefix, prefix);
    fine = buf_append(url, azure->base, strlen(azure->base), st) && url_add_parameter(url, "?", "restype", "container", st) &&
        url_add_parameter(url, "&", "comp", "list", st) && url_add_parameter(url, "&", "include", "metadata", st) &&
        url_add_parameter(url, "&", "maxresults", AZURE_PAGE, st) && url_add_parameter(url, "&", "prefix", whole, st) &&
        (!flat || url_add_parameter(url, "&", "delimiter", "/", st)) && (marker == NULL || url_add_parameter(url, "&", "marker", marker, st)) &&
        azure_add_signature(azure, "&", url, st) && buf_append(url, "", 1, st);
    free(whole);
    return fine;
}

/* Whether an element says so. */
static bool
says(const xmlNode *first, const char *name, const char *value)
{
    for (const xmlNode *each = first; each != NULL; each = each->next)
    {
        xmlChar *text;
        bool same;

        if (each->type != XML_ELEMENT_NODE || strcasecmp((const char *) each->name, name) != 0)
            continue;
        text = xmlNodeGetContent(each);
        same = text != NULL && strcasecmp((const char *) text, value) == 0;
        xmlFree(text);
        return same;
    }
    return false;
}

static bool
is_folder(const xmlNode *blob, const xmlNode *properties)
{
    const xmlNode *metadata = store_xml_find(blob->children, "Metadata");

    return says(properties->children, "ResourceType", "directory") || (metadata != NULL && says(metadata->children, "hdi_isfolder", "true"));
}

/* The name of a blob; one that XML can't hold comes encoded. */
static char *
blob_name(const xmlNode *blob)
{
    const xmlNode *node = store_xml_find(blob->children, "Name");
    char *name = store_xml_text(blob->children, "Name");
    xmlChar *encoded = node == NULL ? NULL : xmlGetNoNsProp(node, (const xmlChar *) "Encoded");

    if (name != NULL && encoded != NULL && strcmp((const char *) encoded, "true") == 0)
        url_decode(name);
    xmlFree(encoded);
    return name;
}

/* One blob of a page. */
static bool
take_blob(const Azure *azure, const xmlNode *blob, KeyEmit emit, void *context, bool *stop, Status *st)
{
    const xmlNode *properties = store_xml_find(blob->children, "Properties"), *below = properties == NULL ? NULL : properties->children;
    char *name = blob_name(blob), *size = store_xml_text(below, "Content-Length"), *time = store_xml_text(below, "Last-Modified"),
         *etag = store_xml_text(below, "Etag");
    size_t skip = strlen(azure->prefix);
    DriverEntry entry = {.etag = ""};
    char plain[300];
    bool fine = true;

    if (name == NULL || size == NULL || time == NULL || !http_time(time, &entry.mtime) || !store_size(size, &entry.size))
        fine = status_fail(st, STATUS_PROTOCOL, "a listing of container \"%s\" has a blob without name, size or time", azure->container);
    else if (strncmp(name, azure->prefix, skip) == 0 && !is_folder(blob, properties))
    {
        store_plain_etag(etag, plain, sizeof(plain));
        entry.path = name + skip;
        entry.etag = plain;
        fine = emit(context, &entry, stop, st);
    }
    xmlFree(name);
    xmlFree(size);
    xmlFree(time);
    xmlFree(etag);
    return fine;
}

/* Takes a page; *marker becomes where the next one begins, or NULL. */
static bool
take_page(const Azure *azure, const Buf *body, KeyEmit emit, void *context, bool *stop, char **marker, KeyPages *pages, Status *st)
{
    xmlDoc *doc = store_xml_parse(body, "the listing", st);
    const xmlNode *root, *blobs;
    char *next;
    bool fine = true;

    if (doc == NULL)
        return false;
    root = xmlDocGetRootElement(doc);
    if (strcmp((const char *) root->name, "EnumerationResults") != 0)
        fine = status_fail(st, STATUS_PROTOCOL, "the answer to a listing of container \"%s\" is no listing", azure->container);
    blobs = store_xml_find(root->children, "Blobs");
    for (const xmlNode *each = blobs == NULL ? NULL : store_xml_find(blobs->children, "Blob"); each != NULL && fine && !*stop;
         each = store_xml_find(each->next, "Blob"))
        fine = take_blob(azure, each, emit, context, stop, st);
    next = store_xml_text(root->children, "NextMarker");
    if (next != NULL && next[0] == '\0')
    {
        xmlFree(next);
        next = NULL;
    }
    if (fine && keys_endless(pages, blobs != NULL && store_xml_find(blobs->children, "Blob") != NULL, next))
        fine = status_fail(st, STATUS_PROTOCOL, "the listing of container \"%s\" does not go on", azure->container);
    xmlFree(*marker);
    *marker = next;
    xmlFreeDoc(doc);
    return fine;
}

static bool
list_prefix(void *context, const char *prefix, bool flat, KeyEmit emit, void *emit_context, Status *st)
{
    Azure *azure = context;
    char *marker = NULL;
    bool stop = false, fine;
    KeyPages pages = {0};

    do
    {
        HttpExchange *exchange = NULL;
        HttpRequest request = {.headers = azure->headers, .nheaders = 1, .signer = azure_signer(azure), .what = "container",
                               .name = azure->container, .body_max = AZURE_XML_MAX};
        Buf url;

        buf_init(&url, URL_MAX);
        fine = page_url(azure, prefix, flat, marker, &url, st);
        request.url = (const char *) url.data;
        fine = fine && store_call(&azure->store, &request, 0, &exchange, st) &&
            take_page(azure, &http_response(exchange)->body, emit, emit_context, &stop, &marker, &pages, st);
        http_free(exchange);
        buf_free(&url);
    }
    while (fine && marker != NULL && !stop);
    xmlFree(marker);
    return fine;
}

bool
azure_list(void *session, const char *resource, DriverEmit emit, void *context, Status *st)
{
    const KeyLister lister = {list_prefix, session};

    http_operation(((Azure *) session)->store.http);
    return keys_list(&lister, resource, emit, context, st);
}

bool
azure_look(void *session, DriverEmit emit, void *context, Status *st)
{
    const KeyLister lister = {list_prefix, session};

    http_operation(((Azure *) session)->store.http);
    return keys_look(&lister, emit, context, st);
}
