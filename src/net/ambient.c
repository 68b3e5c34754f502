/*
 * ambient.c: see ambient.h.
 */
#include "net/ambient.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/url.h"

#define ANSWER_MAX (1U << 20)
#define FILE_MAX (64U << 10)

bool
ambient_forbidden(Status *st)
{
    status_fail(st, STATUS_FORBIDDEN, "auth_method iam_role is not allowed on this server");
    return status_hint(st, "An administrator allows the use of the machine's own credentials with kaireon.instance_credentials.");
}

const char *
ambient_value(const json_t *ambient, const char *name)
{
    const char *value = json_string_value(json_object_get(ambient, name));

    return value == NULL || value[0] == '\0' ? NULL : value;
}

static bool
ask(Http *http, const HttpRequest *request, Buf *body, Status *st)
{
    HttpExchange *exchange;
    const HttpResponse *response;
    bool fine;

    if (!http_call(http, request, &exchange, st))
        return false;
    response = http_response(exchange);
    if (response->status == 404)
    {
        /* Not that a file does not exist, which is no error everywhere. */
        fine = status_fail(st, STATUS_UNKNOWN_USER, "the machine has no credentials of its own");
        status_detail(st, "The service that gives them answered with status 404.");
    }
    else if (response->status < 200 || response->status >= 300)
        fine = http_refused(exchange, st);
    else
        fine = buf_append(body, response->body.data, response->body.used, st) && buf_append(body, "", 1, st);
    http_free(exchange);
    return fine;
}

bool
ambient_ask(const char *method, const char *url, const HttpHeader *headers, size_t nheaders, Buf *body, Status *st)
{
    HttpSettings settings = {.connect_seconds = 2, .idle_seconds = 5, .attempts = 3, .connections = 1};
    HttpRequest request = {.method = method, .url = url, .headers = headers, .nheaders = nheaders, .what = "the machine's credentials",
                           .body_max = ANSWER_MAX};
    char rule[300];
    const char *rules[] = {rule};
    Egress egress;
    Http *http = NULL;
    bool fine;
    Url parsed;

    if (!url_parse(&parsed, url, "the address of the credentials", st))
        return false;
    snprintf(rule, sizeof(rule), strchr(parsed.host, ':') != NULL ? "[%s]:%s" : "%s:%s", parsed.host, parsed.port);
    url_free(&parsed);
    if (!egress_open(&egress, rules, 1, st))
        return false;
    settings.egress = &egress;
    fine = http_open(&http, &settings, st) && ask(http, &request, body, st);
    http_close(http);
    egress_close(&egress);
    return fine;
}

char *
ambient_file(const char *path, Status *st)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    char *text = malloc(FILE_MAX + 1);
    ssize_t n = fd < 0 || text == NULL ? -1 : read(fd, text, FILE_MAX);

    if (n < 0)
    {
        if (text == NULL)
            status_out_of_memory(st, FILE_MAX);
        else
            status_fail(st, STATUS_IO, "could not read \"%s\", which the server's environment names: %s", path, strerror(errno));
        free(text);
        text = NULL;
    }
    else
    {
        while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
            n--;
        text[n] = '\0';
    }
    if (fd >= 0)
        close(fd);
    return text;
}
