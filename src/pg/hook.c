/*
 * hook.c: what a target node has done besides loading.  See hook.h.
 */
#include "postgres.h"

#include "pg/hook.h"

#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "parser/parser.h"
#include "tcop/dest.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/varlena.h"

#include "pg/guard.h"
#include "pg/json.h"
#include "pg/redact_text.h"
#include "pg/settings.h"

const char *
hook_key(HookKind kind)
{
    return kind == HOOK_PRE ? "preHook" : "postHook";
}

/* ---- what there is ------------------------------------------------------------------- */

static const char *const types[] = {"sql", "refresh", "webhook", NULL};
static const JsonKey sql_keys[] = {{"type", JSON_STRING, true, NULL}, {"statement", JSON_STRING, true, NULL}, {NULL, 0, false, NULL}};
static const JsonKey refresh_keys[] = {{"type", JSON_STRING, true, NULL},
                                       {"view", JSON_STRING, false, NULL},
                                       {"views", JSON_STRINGS, false, NULL},
                                       {"concurrently", JSON_BOOL, false, NULL},
                                       {NULL, 0, false, NULL}};

/* The object's place in types; -1: it has none. */
static int
find_type(JsonbContainer *object)
{
    char *name = json_get_text(object, "type");

    for (int i = 0; name && types[i]; i++)
    {
        if (strcmp(types[i], name) == 0)
            return i;
    }
    return -1;
}

/* The values (JsonbValue *) under the key: one, or an array's. */
static List *
list_values(const GraphNode *node, HookKind kind)
{
    JsonbContainer *list = json_get_container(node->config, hook_key(kind));
    JsonbValue *value = json_get(node->config, hook_key(kind));
    List *values = NIL;

    if (value == NULL)
        return NIL;
    if (list == NULL || !JsonContainerIsArray(list))
        return list_make1(value);
    for (uint32 i = 0; i < JsonContainerSize(list); i++)
        values = lappend(values, getIthJsonbValueFromContainer(list, i));
    return values;
}

/* The value as an object; NULL: it is none. */
static JsonbContainer *
as_object(const JsonbValue *value)
{
    return value->type == jbvBinary && JsonContainerIsObject(value->val.binary.data) ? value->val.binary.data : NULL;
}

static char *
label_of(HookKind kind, int place, int count)
{
    return count > 1 ? psprintf("%s %d", hook_key(kind), place + 1) : pstrdup(hook_key(kind));
}

static List *
list_views(JsonbContainer *given)
{
    char *view = json_get_text(given, "view");

    return view ? list_make1(view) : json_get_texts(given, "views");
}

/* "schema.view" with each name quoted; NULL: it is none. */
static char *
quote_view(const char *view)
{
    List *names;

    if (!SplitIdentifierString(pstrdup(view), '.', &names) || names == NIL || list_length(names) > 2)
        return NULL;
    return list_length(names) == 1 ? pstrdup(quote_identifier(linitial(names))) : quote_qualified_identifier(linitial(names), lsecond(names));
}

/* The statements of a refresh; NULL: there is none, or a name is none. */
static char *
refresh_sql(JsonbContainer *given)
{
    StringInfoData out;
    ListCell *lc;

    initStringInfo(&out);
    foreach(lc, list_views(given))
    {
        char *name = quote_view(lfirst(lc));

        if (name == NULL)
            return NULL;
        appendStringInfo(&out, "%sREFRESH MATERIALIZED VIEW %s%s", out.len ? ";\n" : "", json_get_bool(given, "concurrently", false) ? "CONCURRENTLY " : "", name);
    }
    return out.len ? out.data : NULL;
}

/* NULL: it is wrong. */
static Hook *
make_hook(const JsonbValue *value, char *label)
{
    Hook *hook = palloc0(sizeof(Hook));
    int type;

    hook->label = label;
    hook->given = as_object(value);
    if (hook->given == NULL)
    {
        hook->sql = value->type == jbvString ? json_scalar_text(value) : NULL;
        return hook->sql ? hook : NULL;
    }
    type = find_type(hook->given);
    hook->type = type < 0 ? HOOK_SQL : type;
    if (hook->type == HOOK_SQL)
        hook->sql = json_get_text(hook->given, "statement");
    else if (hook->type == HOOK_REFRESH)
        hook->sql = refresh_sql(hook->given);
    return type < 0 || (hook->type != HOOK_WEBHOOK && hook->sql == NULL) ? NULL : hook;
}

List *
hook_list(const GraphNode *node, HookKind kind)
{
    List *values = list_values(node, kind), *hooks = NIL;

    for (int i = 0; i < list_length(values); i++)
    {
        Hook *hook = make_hook(list_nth(values, i), label_of(kind, i, list_length(values)));

        if (hook)
            hooks = lappend(hooks, hook);
    }
    return hooks;
}

char *
hook_shown(const Hook *hook)
{
    return hook->type == HOOK_WEBHOOK ? webhook_shown(hook->given) : pstrdup(hook->sql);
}

/* Where the character is that has that number, from 1 on. */
static char *
place_of(const char *text, int number)
{
    int line = 1, column = 1;

    for (int i = 1; i < number && *text; i++)
    {
        column = *text == '\n' ? 1 : column + 1;
        line += *text == '\n';
        text += pg_mblen(text);
    }
    return psprintf("line %d, column %d", line, column);
}

/* ---- checking ------------------------------------------------------------------------ */

typedef struct Parsing { const char *text; List *statements; } Parsing;

/* As it will be when it runs: the worker has these settings. */
static void
parse(void *arg)
{
    Parsing *parsing = arg;
    ErrorContextCallback *callers = error_context_stack;
    int level = NewGUCNestLevel();

    settings_fix_level();
    error_context_stack = NULL;  /* they would take the place in the hook for one in their own statement */
    parsing->statements = raw_parser(parsing->text, RAW_PARSE_DEFAULT);
    error_context_stack = callers;
    AtEOXact_GUC(true, level);
}

/* Where a statement begins, behind white space. */
static char *
place_of_statement(const char *text, const RawStmt *statement)
{
    const char *at = text + statement->stmt_location;

    at += strspn(at, " \t\r\n\f\v");
    return place_of(text, pg_mbstrlen_with_len(text, at - text) + 1);
}

static void
check_statements(const GraphNode *node, const char *label, const Parsing *parsing, List **findings)
{
    ListCell *lc;

    if (parsing->statements == NIL)
        graph_complain(findings, node->id, "wrong_value", "For example: REFRESH MATERIALIZED VIEW totals.", "%s has no statement", label);
    foreach(lc, parsing->statements)
    {
        const RawStmt *statement = lfirst_node(RawStmt, lc);

        if (IsA(statement->stmt, TransactionStmt))
            graph_complain(findings, node->id, "wrong_value", "It runs inside of the load's transaction, which the run commits.",
                           "%s controls the transaction, at %s", label, place_of_statement(parsing->text, statement));
    }
}

static void
check_sql(const GraphNode *node, const char *label, char *text, List **findings)
{
    Parsing parsing = {.text = text};
    ErrorData *error = guard_try(parse, &parsing, CurrentMemoryContext);
    char *place = error && error->cursorpos > 0 ? place_of(text, error->cursorpos) : NULL;

    if (error)
        graph_complain(findings, node->id, "syntax_error", "It is one or more SQL statements, with semicolons between them.", "%s: %s%s%s", label,
                       error->message, place ? ", at " : "", place ? place : "");
    else
        check_statements(node, label, &parsing, findings);
    if (redact_mentions(text))
        graph_complain(findings, node->id, "wrong_value", "Everybody who may see the pipeline sees its nodes. Change credentials by hand.",
                       "%s may carry credentials", label);
}

static void
check_refresh(const GraphNode *node, const char *label, JsonbContainer *given, List **findings)
{
    ListCell *lc;

    if ((json_get(given, "view") == NULL) == (json_get(given, "views") == NULL))
        graph_complain(findings, node->id, "wrong_value", "For example: \"view\": \"public.totals\".", "%s needs one of the keys \"view\" and \"views\"", label);
    foreach(lc, list_views(given))
    {
        if (quote_view(lfirst(lc)) == NULL)
            graph_complain(findings, node->id, "wrong_value", "Write schema.name, a name with capitals or dots in it in double quotes.",
                           "\"%s\" in %s is not the name of a view", (char *) lfirst(lc), label);
    }
}

static void
check_object(const GraphNode *node, HookKind kind, const char *label, JsonbContainer *given, List **findings)
{
    GraphComplaint complaint = {findings, node->id};
    const char *valid = kind == HOOK_PRE ? "Valid values are: sql, refresh." : "Valid values are: sql, refresh, webhook.";
    char *name = json_get_text(given, "type");
    int type = find_type(given);

    if (name == NULL)
        graph_complain(findings, node->id, "missing_key", valid, "%s needs key \"type\"", label);
    else if (type < 0)
        graph_complain(findings, node->id, "wrong_value", valid, "\"%s\" is not a valid value of key \"type\" of %s", name, label);
    else if (type == HOOK_WEBHOOK && kind == HOOK_PRE)
        graph_complain(findings, node->id, "wrong_value", "It would be called for a run that may not commit. Make it a postHook.", "%s can't be a webhook", label);
    else if (type == HOOK_WEBHOOK)
        webhook_check(node, label, given, findings);
    else if (!json_check(given, type == HOOK_SQL ? sql_keys : refresh_keys, label, graph_complain_config, &complaint))
        return;
    else if (type == HOOK_SQL)
        check_sql(node, label, json_get_text(given, "statement"), findings);
    else
        check_refresh(node, label, given, findings);
}

static void
check_all(const GraphNode *node, HookKind kind, List **findings)
{
    List *values = list_values(node, kind);

    for (int i = 0; i < list_length(values); i++)
    {
        const JsonbValue *value = list_nth(values, i);
        char *label = label_of(kind, i, list_length(values));

        if (as_object(value))
            check_object(node, kind, label, as_object(value), findings);
        else if (value->type == jbvString)
            check_sql(node, label, json_scalar_text(value), findings);
        else
            graph_complain(findings, node->id, "wrong_type", "A text is SQL; an object has a type: sql, refresh or webhook.", "%s must be a string or an object", label);
    }
}

void
hook_check(const GraphNode *node, List **findings)
{
    check_all(node, HOOK_PRE, findings);
    check_all(node, HOOK_POST, findings);
}

void
hook_resolve(const GraphNode *node, List **findings)
{
    ListCell *lc;

    foreach(lc, hook_list(node, HOOK_POST))
    {
        const Hook *hook = lfirst(lc);

        if (hook->type == HOOK_WEBHOOK)
            webhook_resolve(node, hook, findings);
    }
}

/* ---- running ------------------------------------------------------------------------- */

void
hook_run(const char *text)
{
    SPIExecuteOptions options = {.dest = None_Receiver};
    int result;

    SPI_connect();
    result = SPI_execute_extended(text, &options);
    if (result < 0)
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                        errmsg(result == SPI_ERROR_TRANSACTION ? "a hook can't control the transaction" : "a hook can't do that"),
                        errdetail("SPI says: %s.", SPI_result_code_string(result)), errhint("COPY needs a file or a program on the server.")));
    SPI_finish();
}

char *
hook_place(const Hook *hook, const ErrorData *error)
{
    bool ours = hook->type == HOOK_SQL && error->internalquery && strcmp(error->internalquery, hook->sql) == 0;

    return ours && error->internalpos > 0 ? place_of(hook->sql, error->internalpos) : NULL;
}
