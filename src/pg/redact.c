/*
 * redact.c: statements that carry credentials are kept out of logs.  See redact.h.
 *
 * Blanking out in place is possible because nothing reads a statement's text
 * once it is parsed but those who show it.  Only client sessions do it: there
 * the text is a message's or a prepared statement's, both writable.
 */
#include "postgres.h"

#include "pg/redact.h"

#include "access/xact.h"
#include "commands/prepare.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "parser/analyze.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/backend_status.h"
#include "utils/elog.h"
#include "utils/memutils.h"

#include "pg/errors.h"
#include "pg/redact_text.h"
#include "pg/wipe.h"

#define HIDDEN "(hidden: the statement carries credentials)"

static emit_log_hook_type previous_log_hook = NULL;
static post_parse_analyze_hook_type previous_parse_hook = NULL;
static ExecutorStart_hook_type previous_start_hook = NULL;
static ProcessUtility_hook_type previous_utility = NULL;

/* The statement that is known to carry credentials: this text, at this time. */
static struct Marked { const char *query; TimestampTz at; bool blanked; } marked;

static bool
is_marked(void)
{
    return debug_query_string && marked.query == debug_query_string && marked.at == GetCurrentStatementStartTimestamp();
}

/* The text may be written to. */
static bool
is_client_text(const char *text)
{
    return text && text == debug_query_string && MyBackendType == B_BACKEND && MyProcPort != NULL;
}

/* Remembers the statement, and lets `blank` (NULL: nothing) work on its text where it may. */
static void
mark(bool (*blank) (char *text))
{
    bool changed = false;

    if (debug_query_string == NULL)
        return;
    if (!is_marked())
        marked = (struct Marked) {debug_query_string, GetCurrentStatementStartTimestamp(), false};
    if (blank && is_client_text(debug_query_string))
    {
        changed = blank(unconstify(char *, debug_query_string));
        marked.blanked = true;
    }
    if (changed)
        pgstat_report_activity(STATE_RUNNING, debug_query_string);
    wipe_statement();
}

void
redact_statement(void)
{
    mark(redact_blank);
}

/* ---- EXECUTE ------------------------------------------------------------------------- */

static bool
prepared_mentions(const char *name)
{
    PreparedStatement *statement = FetchPreparedStatement(name, false);

    return statement && redact_mentions(statement->plansource->query_string);
}

/* Has the text EXECUTE of a prepared statement that carries credentials, anywhere? */
static bool
executes_secret(const char *text)
{
    static const char word[] = "execute";

    while (text && (text = strcasestr(text, word)) != NULL)
    {
        char *name;
        bool unknown;

        text += sizeof(word) - 1;
        name = redact_name(text, &unknown);
        if (unknown || (name && prepared_mentions(name)))
            return true;
    }
    return false;
}

/* ---- as soon as it is parsed ------------------------------------------------------------ */

/* Statements whose text others may take for what was done: it is left alone. */
static bool
is_definition(const Node *utility)
{
    if (utility == NULL)
        return false;
    switch (nodeTag(utility))
    {
        case T_DoStmt:
        case T_CallStmt:
        case T_ExplainStmt:
        case T_PrepareStmt:
        case T_ExecuteStmt:
        case T_DeclareCursorStmt:
        case T_CreateTableAsStmt:
        case T_CopyStmt:
        case T_TransactionStmt:
        case T_VariableSetStmt:
            return false;
        default:
            return true;
    }
}

static bool
text_is_secret(const char *text)
{
    return redact_mentions(text) || executes_secret(text);
}

/*
 * Who counts utility statements does so by the text they are called with: that
 * of a statement within another, and of a portal, is a copy, and perhaps not
 * ours to write to.
 */
static void
blank_utility(PlannedStmt *pstmt, const char *query, bool read_only_tree, ProcessUtilityContext context, ParamListInfo params,
              QueryEnvironment *env, DestReceiver *dest, QueryCompletion *completion)
{
    ProcessUtility_hook_type next = previous_utility ? previous_utility : standard_ProcessUtility;

    if (!is_definition(pstmt->utilityStmt) && text_is_secret(query))
    {
        char *copy = pstrdup(query);

        if (redact_blank(copy))
            query = copy;
    }
    next(pstmt, query, read_only_tree, context, params, env, dest, completion);
}

/* Outside of all other libraries, whatever their order: they are there when the first statement is parsed. */
static void
install_utility_hook(void)
{
    static bool installed = false;

    if (installed)
        return;
    installed = true;
    previous_utility = ProcessUtility_hook;
    ProcessUtility_hook = blank_utility;
}

static void
after_parse(ParseState *pstate, Query *query, JumbleState *jstate)
{
    install_utility_hook();
    if (text_is_secret(pstate->p_sourcetext))
        mark(is_definition(query->utilityStmt) ? NULL : redact_blank);
    if (previous_parse_hook)
        previous_parse_hook(pstate, query, jstate);
}

/* Is this the statement that the client sent, or the copy its portal has of it? */
static bool
is_top_statement(const QueryDesc *query)
{
    return is_client_text(debug_query_string) &&
           (query->sourceText == debug_query_string ||
            (ActivePortal && ActivePortal->sourceText == query->sourceText && strcmp(query->sourceText, debug_query_string) == 0));
}

/* Prepared statements and portals keep copies of the text, which are first met here. */
static void
before_execution(QueryDesc *query, int eflags)
{
    if (redact_mentions(query->sourceText) && is_top_statement(query))
    {
        mark(redact_blank);
        redact_blank(unconstify(char *, query->sourceText));
        wipe_context_of(query->plannedstmt); /* parameters may have become constants of it */
    }
    if (previous_start_hook)
        previous_start_hook(query, eflags);
    else
        standard_ExecutorStart(query, eflags);
}

/* ---- the log ------------------------------------------------------------------------------ */

/* A context that only names one of our functions, with its arguments' types, shows nothing. */
static bool
shows_call(const char *context)
{
    return context && strpbrk(context, "'$") && redact_mentions(context);
}

static bool
is_secret(const ErrorData *error)
{
    return is_marked() || text_is_secret(debug_query_string) ||
           redact_mentions(error->message) || redact_mentions(error->detail) || redact_mentions(error->detail_log) ||
           shows_call(error->context) || redact_mentions(error->internalquery);
}

/* A copy of a message with what is quoted in it blanked out. */
static char *
blanked_message(const ErrorData *error)
{
    char *copy = pstrdup(error->message), *plan = strstr(copy, "plan:");
    size_t length = strlen(copy), query = debug_query_string ? strlen(debug_query_string) : 0;

    /* auto_explain: constants and parameters in any format */
    if (plan && strncmp(copy, "duration:", strlen("duration:")) == 0)
        return psprintf("%.*splan: " HIDDEN, (int) (plan - copy), copy);
    /* before the statement may come a name with anything in it */
    if (query > 0 && length > query && strcmp(copy + length - query, debug_query_string) == 0)
        redact_blank(copy + length - query);
    else if (error->elevel <= LOG_SERVER_ONLY)
        redact_blank(copy);
    else /* it quotes a value, in which there may be quotes */
        redact_blank_quoted(copy);
    return copy;
}

/* Where it happened: the lines of a context that name a function and quote nothing. */
static char *
plain_lines(char *context)
{
    char *copy = pstrdup(context), *out = pstrdup(""), *save = NULL;

    for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
    {
        if ((strncmp(line, "PL/pgSQL function ", 18) == 0 || strncmp(line, "SQL function ", 13) == 0) && !strpbrk(line, "'\"$"))
            out = psprintf("%s%s%s", out, *out ? "\n" : "", line);
    }
    return *out ? out : NULL;
}

static void
hide_secrets(ErrorData *error)
{
    /* our own messages show no values, by construction */
    bool ours = error->domain && strcmp(error->domain, TEXTDOMAIN) == 0;

    /* an error ends the statement: from here on its text is only shown; perhaps it was never parsed */
    if (error->elevel >= ERROR && !(is_marked() && marked.blanked))
        mark(redact_blank_rest);
    if (!(is_marked() && marked.blanked))
        error->hide_stmt = true;
    if (CritSectionCount > 0)
        return;
    if (error->message && !ours)
        error->message = blanked_message(error);
    if (error->detail && !ours)
        error->detail = pstrdup(HIDDEN);
    if (error->detail_log && !ours)
        error->detail_log = pstrdup(HIDDEN);
    if (error->context)
        error->context = plain_lines(error->context);
    error->internalquery = NULL;
    error->internalpos = 0;
}

static void
on_log(ErrorData *error)
{
    if (is_secret(error))
        hide_secrets(error);
    if (previous_log_hook)
        previous_log_hook(error);
}

void
redact_install_hooks(void)
{
    previous_log_hook = emit_log_hook;
    emit_log_hook = on_log;
    previous_parse_hook = post_parse_analyze_hook;
    post_parse_analyze_hook = after_parse;
    previous_start_hook = ExecutorStart_hook;
    ExecutorStart_hook = before_execution;
}
