/*
 * url.c: see url.h.  libcurl's parser decides what a URL is, as it is libcurl
 * that will use it: two parsers that differ are a hole.
 */
#include "net/url.h"

#include <ctype.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
url_free(Url *url)
{
    free(url->scheme);
    free(url->host);
    free(url->port);
    free(url->origin);
    free(url->path);
    free(url->query);
    memset(url, 0, sizeof(*url));
}

/* The URL as far as it may be shown: what is behind a "?" may be a secret, and so may be what is before a "@". */
static bool
bad_url(const char *text, const char *what, const char *why, Status *st)
{
    char shown[201];
    size_t n = strcspn(text, "?#");

    snprintf(shown, sizeof(shown), "%.*s", n > 200 ? 200 : (int) n, text);
    for (char *at = shown; *at; at++)
        if ((unsigned char) *at < ' ' || *at == 0x7f)
            *at = '?';
    if (memchr(text, '@', n) != NULL)
        status_fail(st, STATUS_INVALID_VALUE, "%s is not a URL that can be used", what);
    else
        status_fail(st, STATUS_INVALID_VALUE, "%s \"%s\" is not a URL that can be used", what, shown);
    return status_detail(st, "%s", why);
}

static bool
has_control(const char *text)
{
    for (; *text; text++)
        if ((unsigned char) *text <= ' ' || *text == 0x7f)
            return true;
    return false;
}

/* A part as our own copy; `missing` stands for one that is not there, NULL: it must be. */
static bool
take_part(CURLU *parsed, CURLUPart part, unsigned flags, const char *missing, char **out)
{
    char *text = NULL;

    if (curl_url_get(parsed, part, &text, flags) == CURLUE_OK && text != NULL)
    {
        *out = strdup(text);
        curl_free(text);
    }
    else
        *out = missing != NULL ? strdup(missing) : NULL;
    return *out != NULL;
}

static bool
take_origin(Url *url)
{
    bool six = strchr(url->host, ':') != NULL, usual = strcmp(url->port, strcmp(url->scheme, "http") == 0 ? "80" : "443") == 0;
    size_t size = strlen(url->scheme) + strlen(url->host) + strlen(url->port) + 8;

    url->origin = malloc(size);
    if (url->origin != NULL)
        snprintf(url->origin, size, "%s://%s%s%s%s%s", url->scheme, six ? "[" : "", url->host, six ? "]" : "",
                 usual ? "" : ":", usual ? "" : url->port);
    return url->origin != NULL;
}

static bool
take_parts(Url *url, CURLU *parsed)
{
    size_t n;

    if (!take_part(parsed, CURLUPART_SCHEME, 0, NULL, &url->scheme) || !take_part(parsed, CURLUPART_HOST, 0, NULL, &url->host) ||
        !take_part(parsed, CURLUPART_PORT, CURLU_DEFAULT_PORT, NULL, &url->port) ||
        !take_part(parsed, CURLUPART_PATH, 0, "/", &url->path) || !take_part(parsed, CURLUPART_QUERY, 0, "", &url->query))
        return false;
    n = strlen(url->host);
    if (n > 1 && url->host[0] == '[' && url->host[n - 1] == ']')
    {
        memmove(url->host, url->host + 1, n - 2);
        url->host[n - 2] = '\0';
    }
    for (char *at = url->host; *at; at++)
        *at = (char) tolower((unsigned char) *at);
    return take_origin(url);
}

/* What is wrong with a parsed URL; NULL: nothing. */
static const char *
complaint(CURLU *parsed)
{
    char *scheme = NULL, *user = NULL, *host = NULL;
    const char *why = NULL;

    if (curl_url_get(parsed, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK || (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0))
        why = "It must begin with http:// or https://.";
    else if (curl_url_get(parsed, CURLUPART_USER, &user, 0) == CURLUE_OK)
        why = "It has a user name in it; credentials belong into auth_config.";
    else if (curl_url_get(parsed, CURLUPART_HOST, &host, 0) != CURLUE_OK || host[0] == '\0')
        why = "It has no host.";
    curl_free(scheme);
    curl_free(user);
    curl_free(host);
    return why;
}

bool
url_parse(Url *url, const char *text, const char *what, Status *st)
{
    const char *why = NULL;
    CURLU *parsed;
    CURLUcode rc;

    memset(url, 0, sizeof(*url));
    if (strlen(text) > URL_MAX)
        return bad_url(text, what, "It is too long.", st);
    if (has_control(text))
        return bad_url(text, what, "It has a space or a control character in it.", st);
    parsed = curl_url();
    if (parsed == NULL)
        return status_out_of_memory(st, strlen(text));
    rc = curl_url_set(parsed, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME);
    if (rc != CURLUE_OK)
        why = rc == CURLUE_BAD_PORT_NUMBER ? "Its port is no number up to 65535." : "It must be like https://host/path.";
    else
        why = complaint(parsed);
    if (why == NULL && !take_parts(url, parsed))
    {
        curl_url_cleanup(parsed);
        url_free(url);
        return status_out_of_memory(st, strlen(text));
    }
    curl_url_cleanup(parsed);
    return why == NULL || bad_url(text, what, why, st);
}

char *
url_resolve(const char *base, const char *reference, Status *st)
{
    CURLU *parsed = curl_url();
    char *text = NULL, *copy = NULL;

    if (parsed == NULL)
    {
        status_out_of_memory(st, strlen(base));
        return NULL;
    }
    if (strlen(reference) > URL_MAX || has_control(reference) ||
        curl_url_set(parsed, CURLUPART_URL, base, 0) != CURLUE_OK ||
        curl_url_set(parsed, CURLUPART_URL, reference, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK ||
        curl_url_get(parsed, CURLUPART_URL, &text, 0) != CURLUE_OK)
        bad_url(reference, "a redirection to", "It leads nowhere.", st);
    else if ((copy = strdup(text)) == NULL)
        status_out_of_memory(st, strlen(text));
    curl_free(text);
    curl_url_cleanup(parsed);
    return copy;
}

bool
url_encode(Buf *out, const char *s, size_t n, bool slashes, Status *st)
{
    static const char digits[] = "0123456789ABCDEF";

    if (!buf_reserve(out, 3 * n, st))
        return false;
    for (size_t i = 0; i < n; i++)
    {
        unsigned char c = (unsigned char) s[i];

        if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c != 0 && strchr("-._~", c) != NULL) ||
            (slashes && c == '/'))
            out->data[out->used++] = c;
        else
        {
            out->data[out->used++] = '%';
            out->data[out->used++] = (uint8_t) digits[c >> 4];
            out->data[out->used++] = (uint8_t) digits[c & 15];
        }
    }
    return true;
}

static int
hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

void
url_decode(char *text)
{
    char *out = text;

    for (; *text != '\0'; text++)
    {
        if (text[0] == '%' && hex_digit(text[1]) >= 0 && hex_digit(text[2]) >= 0)
        {
            *out++ = (char) (hex_digit(text[1]) * 16 + hex_digit(text[2]));
            text += 2;
        }
        else
            *out++ = *text;
    }
    *out = '\0';
}

bool
url_add_parameter(Buf *out, const char *before, const char *name, const char *value, Status *st)
{
    return buf_append(out, before, strlen(before), st) && buf_append(out, name, strlen(name), st) && buf_append(out, "=", 1, st) &&
        url_encode(out, value, strlen(value), false, st);
}

bool
url_same_origin(const char *a, const char *b)
{
    Url x, y;
    Status ignored;
    bool same = false;

    if (url_parse(&x, a, "URL", &ignored))
    {
        if (url_parse(&y, b, "URL", &ignored))
        {
            same = strcmp(x.origin, y.origin) == 0;
            url_free(&y);
        }
        url_free(&x);
    }
    return same;
}
