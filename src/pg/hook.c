/*
 * hook.c: SQL of a target node that runs in the load's transaction.  See hook.h.
 */
#include "postgres.h"

#include "pg/hook.h"

#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "parser/parser.h"
#include "tcop/dest.h"
#include "utils/guc.h"

#include "pg/guard.h"
#include "pg/json.h"
#include "pg/redact_text.h"
#include "pg/settings.h"

const char *
hook_key(HookKind kind)
{
    return kind == HOOK_PRE ? "preHook" : "postHook";
}

char *
hook_text(const GraphNode *node, HookKind kind)
{
    return json_get_text(node->config, hook_key(kind));
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
check_statements(const GraphNode *node, const char *key, const Parsing *parsing, List **findings)
{
    ListCell *lc;

    if (parsing->statements == NIL)
        graph_complain(findings, node->id, "wrong_value", "For example: REFRESH MATERIALIZED VIEW totals.", "%s has no statement", key);
    foreach(lc, parsing->statements)
    {
        const RawStmt *statement = lfirst_node(RawStmt, lc);

        if (IsA(statement->stmt, TransactionStmt))
            graph_complain(findings, node->id, "wrong_value", "It runs inside of the load's transaction, which the run commits.",
                           "%s controls the transaction, at %s", key, place_of_statement(parsing->text, statement));
    }
}

static void
check_one(const GraphNode *node, HookKind kind, List **findings)
{
    Parsing parsing = {.text = hook_text(node, kind)};
    const char *key = hook_key(kind);
    ErrorData *error;
    char *place;

    if (parsing.text == NULL)
        return;
    error = guard_try(parse, &parsing, CurrentMemoryContext);
    place = error && error->cursorpos > 0 ? place_of(parsing.text, error->cursorpos) : NULL;
    if (error)
        graph_complain(findings, node->id, "syntax_error", "It is one or more SQL statements, with semicolons between them.", "%s: %s%s%s", key,
                       error->message, place ? ", at " : "", place ? place : "");
    else
        check_statements(node, key, &parsing, findings);
    if (redact_mentions(parsing.text))
        graph_complain(findings, node->id, "wrong_value", "Everybody who may see the pipeline sees its nodes. Change credentials by hand.",
                       "%s may carry credentials", key);
}

void
hook_check(const GraphNode *node, List **findings)
{
    check_one(node, HOOK_PRE, findings);
    check_one(node, HOOK_POST, findings);
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
hook_place(const char *text, const ErrorData *error)
{
    bool ours = error->internalquery && strcmp(error->internalquery, text) == 0;

    return ours && error->internalpos > 0 ? place_of(text, error->internalpos) : NULL;
}
