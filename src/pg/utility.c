/*
 * utility.c: statements of SQL that Kaireon has something to say about.  See utility.h.
 *
 * The extension can go in more ways than DROP EXTENSION (DROP SCHEMA, DROP OWNED):
 * what is said afterwards depends on whether it went, not on the statement.
 */
#include "postgres.h"

#include "pg/utility.h"

#include "access/xact.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/latch.h"
#include "tcop/utility.h"

#include "pg/catalog.h"
#include "pg/control.h"
#include "pg/guard.h"

static ProcessUtility_hook_type previous_utility = NULL;

/* ---- databases --------------------------------------------------------------- */

/* An idle supervisor is connected: it is asked to go. */
static void
release_database(const char *name)
{
    Oid database = name ? get_database_oid(name, true) : InvalidOid;

    if (!OidIsValid(database))
        return;
    LWLockAcquire(control->lock, LW_EXCLUSIVE);
    for (int i = 0; i < CONTROL_DATABASES; i++)
    {
        DatabaseSlot *slot = &control->databases[i];

        if (slot->database == database && slot->supervisor)
        {
            slot->stop = true;
            SetLatch(slot->supervisor);
        }
    }
    LWLockRelease(control->lock);
}

static void
release_databases(Node *statement)
{
    ListCell *lc;

    if (IsA(statement, DropdbStmt))
        release_database(((DropdbStmt *) statement)->dbname);
    else if (IsA(statement, RenameStmt) && ((RenameStmt *) statement)->renameType == OBJECT_DATABASE)
        release_database(((RenameStmt *) statement)->subname);
    else if (IsA(statement, AlterDatabaseStmt))
        release_database(((AlterDatabaseStmt *) statement)->dbname);
    else if (IsA(statement, CreatedbStmt))
    {
        foreach(lc, ((CreatedbStmt *) statement)->options)
        {
            DefElem *option = lfirst_node(DefElem, lc);

            if (strcmp(option->defname, "template") == 0 && option->arg)
                release_database(defGetString(option));
        }
    }
}

/* A database that lets workers in again has runs that wait. */
static void
wake_database(Node *statement)
{
    ListCell *lc;

    if (!IsA(statement, AlterDatabaseStmt))
        return;
    foreach(lc, ((AlterDatabaseStmt *) statement)->options)
    {
        DefElem *option = lfirst_node(DefElem, lc);

        if (strcmp(option->defname, "allow_connections") == 0 && option->arg && defGetBoolean(option))
            control_wake_at_commit(get_database_oid(((AlterDatabaseStmt *) statement)->dbname, false));
    }
}

/* Runs may have been started in it; the session that did would not know when it commits. */
static void
wake_after_prepared(Node *statement)
{
    if (IsA(statement, TransactionStmt) && ((TransactionStmt *) statement)->kind == TRANS_STMT_COMMIT_PREPARED &&
        IsTransactionState() && catalog_installed())
        control_wake_at_commit(MyDatabaseId);
}

/* ---- the extension ----------------------------------------------------------- */

/* Could the statement drop the extension?  Only somebody who may drop it is told anything. */
static bool
could_drop(Node *statement)
{
    return ((IsA(statement, DropStmt) &&
             (((DropStmt *) statement)->removeType == OBJECT_EXTENSION || ((DropStmt *) statement)->removeType == OBJECT_SCHEMA)) ||
            IsA(statement, DropOwnedStmt)) &&
           IsTransactionState() && catalog_installed() && catalog_may_act(GetUserId(), catalog_owner());
}

/* Does it drop the extension by name, or a schema of it, and what else goes with that? */
static bool
drops_extension(Node *statement, DropBehavior behavior)
{
    DropStmt *drop = (DropStmt *) statement;
    ListCell *lc;

    if (!IsA(statement, DropStmt) || drop->behavior != behavior)
        return false;
    foreach(lc, drop->objects)
    {
        if (strcmp(strVal(lfirst(lc)), "kaireon") == 0)
            return true;
    }
    return false;
}

typedef struct Question { const char *query; char *answer; } Question;

static void
ask(void *arg)
{
    MemoryContext context = CurrentMemoryContext;
    Question *question = arg;
    CatalogScope scope = catalog_begin();
    char *answer = NULL;

    if (catalog_execute(question->query, 0, NULL, NULL, NULL, SPI_OK_SELECT) > 0)
        answer = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
    if (answer)
        question->answer = MemoryContextStrdup(context, answer);
    catalog_end(scope);
}

/*
 * One text of the catalog, in the current context; NULL where the query gives
 * none, and where it fails: a catalog of another version, or a damaged one, can
 * be dropped all the same.
 */
static char *
ask_catalog(const char *query)
{
    Question question = {query, NULL};

    (void) guard_try(ask, &question, CurrentMemoryContext);
    return question.answer;
}

/* Runs of an original that this database is a copy of do not count. */
static void
refuse_while_running(void)
{
    char *run = ask_catalog("SELECT pg_catalog.format('Run %s of pipeline \"%s\" is %s.', run_id, pipeline, status) FROM kaireon_internal.run "
                            "WHERE status IN ('queued', 'running') AND (SELECT is_confirmed FROM kaireon.instance) ORDER BY queued_at LIMIT 1");

    if (run)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE), errmsg("cannot drop extension kaireon while its pipelines run"),
                        errdetail_internal("%s", run),
                        errhint("Wait for the runs, or cancel them: SELECT kaireon.cancel_run(run_id) FROM kaireon.runs "
                                "WHERE status IN ('queued', 'running'). DROP ... CASCADE ends them with nothing loaded.")));
}

static void
lock_runs(void *arg)
{
    CatalogScope scope = catalog_begin();

    catalog_execute("LOCK TABLE kaireon_internal.run IN ACCESS EXCLUSIVE MODE", 0, NULL, NULL, NULL, SPI_OK_UTILITY);
    catalog_end(scope);
}

/* No run begins between the look and the drop; one that did before the lock was had is seen then. */
static void
forbid_runs(void)
{
    refuse_while_running();
    lock_runs(NULL);
    refuse_while_running();
}

/* Ends the runs under way, whose locks the drop would wait for.  Those that begin until the lock is had are ended then. */
static void
end_runs(void)
{
    control_cancel_all(MyDatabaseId);
    (void) guard_try(lock_runs, NULL, CurrentMemoryContext);
    control_cancel_all(MyDatabaseId);
}

/* The tables of schemas: how many there are, and which; NULL when there is none. */
static char *
list_tables(void)
{
    return ask_catalog("SELECT pg_catalog.format(CASE pg_catalog.count(*) WHEN 1 THEN 'This table of its schemas stays: %2$s.' "
                       "ELSE '%1$s tables of its schemas stay: %2$s%3$s.' END, pg_catalog.count(*), "
                       "pg_catalog.string_agg(t.name, ', ' ORDER BY t.name COLLATE \"C\") FILTER (WHERE t.n <= 10), "
                       "CASE WHEN pg_catalog.count(*) > 10 THEN pg_catalog.format(' and %s more', pg_catalog.count(*) - 10) END) "
                       "FROM (SELECT c.oid::regclass::text AS name, pg_catalog.row_number() OVER (ORDER BY c.oid::regclass::text COLLATE \"C\") AS n "
                       "FROM kaireon_internal.schema s JOIN pg_catalog.pg_class c ON c.oid = s.relation) AS t HAVING pg_catalog.count(*) > 0");
}

static void
say_what_stays(const char *tables)
{
    if (tables && !catalog_installed())
        ereport(NOTICE, (errmsg("the data that kaireon loaded is kept"), errdetail_internal("%s", tables),
                         errhint("They are ordinary tables: DROP TABLE removes them, and kaireon.adopt_table of a new extension takes them back; until then nothing keeps their updated_at.")));
}

/* ---- the hook ---------------------------------------------------------------- */

static void
watch_utility(PlannedStmt *pstmt, const char *query, bool read_only_tree, ProcessUtilityContext context, ParamListInfo params,
              QueryEnvironment *env, DestReceiver *dest, QueryCompletion *completion)
{
    Node *statement = pstmt->utilityStmt;
    char *tables = NULL;

    release_databases(statement);
    if (could_drop(statement))
    {
        if (drops_extension(statement, DROP_RESTRICT) && ((DropStmt *) statement)->removeType == OBJECT_EXTENSION)
            forbid_runs();
        else if (drops_extension(statement, DROP_CASCADE))
            end_runs();
        tables = list_tables();
    }
    if (previous_utility)
        previous_utility(pstmt, query, read_only_tree, context, params, env, dest, completion);
    else
        standard_ProcessUtility(pstmt, query, read_only_tree, context, params, env, dest, completion);
    wake_database(statement);
    wake_after_prepared(statement);
    say_what_stays(tables);
}

void
utility_install_hook(void)
{
    previous_utility = ProcessUtility_hook;
    ProcessUtility_hook = watch_utility;
}
