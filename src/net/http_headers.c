/*
 * http_headers.c: headers of requests and answers.  See http.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "net/http_state.h"

static bool
add_line(HttpHeaders *headers, const char *line, Status *st)
{
    struct curl_slist *longer = curl_slist_append(headers->list, line);

    if (longer == NULL)
        return status_out_of_memory(st, strlen(line));
    headers->list = longer;
    return true;
}

bool
http_header_check(const char *name, const char *value, Status *st)
{
    for (const char *at = value; *at != '\0'; at++)
        if (((unsigned char) *at < ' ' && *at != '\t') || *at == 0x7f)
            return status_fail(st, STATUS_INVALID_VALUE, "header \"%s\" has a line end or control character in it", name);
    return true;
}

bool
http_header_add(HttpHeaders *headers, const char *name, const char *value, Status *st)
{
    size_t size = strlen(name) + strlen(value) + 3;
    char *line;
    bool fine;

    if (!http_header_check(name, value, st))
        return false;
    line = malloc(size);
    if (line == NULL)
        return status_out_of_memory(st, size);
    /* libcurl takes a header without a value for one that is to be left out, unless it ends in a semicolon. */
    snprintf(line, size, value[0] == '\0' ? "%s;" : "%s: %s", name, value);
    fine = add_line(headers, line, st);
    explicit_bzero(line, size);
    free(line);
    return fine;
}

bool
http_header_omit(HttpHeaders *headers, const char *name, Status *st)
{
    char line[64];

    snprintf(line, sizeof(line), "%s:", name);
    return add_line(headers, line, st);
}

void
http_headers_free(HttpHeaders *headers)
{
    for (struct curl_slist *each = headers->list; each != NULL; each = each->next)
        explicit_bzero(each->data, strlen(each->data));
    curl_slist_free_all(headers->list);
    headers->list = NULL;
}

const char *
http_response_header(const HttpResponse *response, const char *name)
{
    const Buf *headers = &response->headers;
    size_t n = strlen(name);

    for (size_t at = 0; at < headers->used; at += strlen((const char *) headers->data + at) + 1)
    {
        const char *line = (const char *) headers->data + at;

        if (strncasecmp(line, name, n) == 0 && line[n] == ':')
            return line + n + 1 + strspn(line + n + 1, " \t");
    }
    return NULL;
}

bool
http_time(const char *text, int64_t *micros)
{
    time_t seconds = curl_getdate(text, NULL);

    if (seconds == -1)
        return false;
    *micros = (int64_t) seconds * 1000000;
    return true;
}

bool
http_response_time(const HttpResponse *response, const char *name, int64_t *micros)
{
    const char *value = http_response_header(response, name);

    return value != NULL && http_time(value, micros);
}
