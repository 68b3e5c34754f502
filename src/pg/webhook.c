/*
 * webhook.c: hooks that call a URL once the run has ended.  See hook.h.
 *
 * The URL, credentials and what else belongs to the server are a connector's,
 * so that no secret stands in a node.
 */
#include "postgres.h"

#include "pg/hook.h"

#include "pg/ability.h"
#include "pg/catalog.h"
#include "pg/json.h"

static const char *const methods[] = {"POST", "PUT", NULL};
static const char *const occasions[] = {"success", "failure", "always", NULL};

static const JsonKey keys[] = {
    {"type", JSON_STRING, true, NULL},
    {"connector", JSON_STRING, true, NULL},
    {"path", JSON_STRING, false, NULL},
    {"method", JSON_STRING, false, methods},
    {"headers", JSON_OBJECT, false, NULL},
    {"body", JSON_SCALAR | JSON_ARRAY | JSON_OBJECT, false, NULL},
    {"on", JSON_STRING, false, occasions},
    {NULL, 0, false, NULL}};

/* Headers that carry credentials, and those that the call or the connection has itself. */
static const char *const secret_headers[] = {"authorization", "proxy-authorization", "cookie", "x-api-key", "api-key", "x-auth-token", NULL};
static const char *const own_headers[] = {"host", "content-length", "transfer-encoding", "connection", "expect", "te", "trailer", "upgrade", "range", "if-match",
                                          "accept-encoding", "idempotency-key", "webhook-id", "webhook-timestamp", "webhook-signature", NULL};

static bool
is_among(const char *name, const char *const *names)
{
    for (; *names; names++)
    {
        if (pg_strcasecmp(*names, name) == 0)
            return true;
    }
    return false;
}

static bool
has_control(const char *text)
{
    for (; *text; text++)
    {
        if ((unsigned char) *text < ' ' || *text == 0x7f)
            return true;
    }
    return false;
}

static void
check_header(const GraphNode *node, const char *label, const char *name, const JsonbValue *value, List **findings)
{
    if (name[0] == '\0' || name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")])
        graph_complain(findings, node->id, "wrong_value", "It has letters, digits, - and _.", "\"%s\" in %s is not the name of a header", name, label);
    else if (is_among(name, secret_headers))
        graph_complain(findings, node->id, "wrong_value", "Everybody who may see the pipeline sees its nodes. Give the connector credentials.",
                       "header \"%s\" in %s would carry credentials", name, label);
    else if (is_among(name, own_headers))
        graph_complain(findings, node->id, "wrong_value", "It is set for each call.", "header \"%s\" in %s can't be set", name, label);
    else if (value->type != jbvString)
        graph_complain(findings, node->id, "wrong_type", NULL, "header \"%s\" in %s must be a string", name, label);
    else if (has_control(json_scalar_text(value)))
        graph_complain(findings, node->id, "wrong_value", NULL, "header \"%s\" in %s has a line end or control character in it", name, label);
}

static void
check_headers(const GraphNode *node, const char *label, JsonbContainer *headers, List **findings)
{
    JsonbIterator *it = JsonbIteratorInit(headers);
    JsonbIteratorToken token;
    JsonbValue item;
    char *name = NULL;

    while ((token = JsonbIteratorNext(&it, &item, true)) != WJB_DONE)
    {
        if (token == WJB_KEY)
            name = pnstrdup(item.val.string.val, item.val.string.len);
        else if (token == WJB_VALUE)
            check_header(node, label, name, &item, findings);
    }
}

/* Some part of the path is "..", however a server may read it. */
static bool
goes_up(const char *path)
{
    size_t end = strcspn(path, "?");
    char *plain = palloc(end + 1);
    int n = 0;

    for (size_t i = 0; i < end; i++)
    {
        bool dot = pg_strncasecmp(path + i, "%2e", 3) == 0, slash = pg_strncasecmp(path + i, "%2f", 3) == 0 || pg_strncasecmp(path + i, "%5c", 3) == 0;

        plain[n++] = dot ? '.' : slash || path[i] == '\\' ? '/' : path[i];
        i += dot || slash ? 2 : 0;
    }
    plain[n] = '\0';
    for (char *part = strtok(plain, "/"); part; part = strtok(NULL, "/"))
        if (strcmp(part, "..") == 0)
            return true;
    return false;
}

void
webhook_check(const GraphNode *node, const char *label, JsonbContainer *given, List **findings)
{
    GraphComplaint complaint = {findings, node->id};
    char *path;

    if (!json_check(given, keys, label, graph_complain_config, &complaint))
        return;
    path = json_get_text(given, "path");
    if (path && strcspn(path, "?") > strcspn(path, ":") && strncmp(path + strcspn(path, ":"), "://", 3) == 0)
        graph_complain(findings, node->id, "wrong_value", "The connector has the URL, in baseUrl; what is behind that is the path.",
                       "the path of %s is a whole URL", label);
    else if (path && goes_up(path))
        graph_complain(findings, node->id, "wrong_value", "It lies below the connector's baseUrl.", "the path of %s contains \"..\"", label);
    if (json_get(given, "headers"))
        check_headers(node, label, json_get_container(given, "headers"), findings);
}

void
webhook_resolve(const GraphNode *node, const Hook *hook, List **findings)
{
    char *name = json_get_text(hook->given, "connector");
    ConnectorSpec *connector = name ? catalog_find_connector(name, node->id, findings) : NULL;
    char *types;

    if (connector && !catalog_type_can(connector->type, ABILITY_CALL, &types))
        graph_complain(findings, node->id, "wrong_value", psprintf("Types that can be called: %s.", types),
                       "%s can't be called through connector \"%s\" of type \"%s\"", hook->label, name, connector->type);
}

char *
webhook_shown(JsonbContainer *given)
{
    char *method = json_get_text(given, "method"), *path = json_get_text(given, "path"), *on = json_get_text(given, "on");
    char *connector = json_get_text(given, "connector");

    return psprintf("%s %s, through connector %s, on %s", method ? method : methods[0], path && path[0] ? path : "/", connector ? connector : "?",
                    on ? on : occasions[0]);
}
