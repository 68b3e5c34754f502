/*
 * run_wait.c: runs that find no file and wait for some.  See run_state.h and wait_policy.h.
 *
 * kaireon_internal.run_wait has how often each source with a policy was looked
 * at in vain, and when it is to be looked at again; so sources wait each in
 * their own rhythm, and the run while any of them does.
 */
#include "postgres.h"

#include "pg/run_state.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "pg/errors.h"
#include "pg/file_pattern.h"
#include "pg/injection.h"
#include "pg/outbox.h"
#include "pg/wait_policy.h"
#include "pg/worker.h"

/* A source with a policy that has found nothing. */
typedef struct Miss
{
    const GraphNode *node;
    WaitPolicy policy;
    char *resource;
    int looks;               /* in vain, this one too */
    char *since;             /* the first one */
    char *next;              /* the next one; NULL: it was the last */
} Miss;

/* ---- what was found ------------------------------------------------------------------------ */

/* Nothing that is new: not even files that the run has committed before. */
static bool
found_nothing(const RunSource *source)
{
    return source->files == NIL && source->earlier == 0;
}

/* Counts the look, unless it is for another source's sake; between catalog_begin and catalog_end. */
static void
count_miss(const Run *run, Miss *miss)
{
    Oid types[] = {UUIDOID, TEXTOID, TEXTOID, FLOAT8OID};
    Datum values[] = {UUIDPGetDatum(&run->slot->run_id), CStringGetTextDatum(miss->node->id), CStringGetTextDatum(miss->resource),
                      Float8GetDatum(miss->policy.minutes * 60)};
    HeapTuple row;
    bool null;

    catalog_execute("INSERT INTO kaireon_internal.run_wait AS w (run_id, node_id, resource, next_look_at) "
                    "VALUES ($1, $2, $3, clock_timestamp() + make_interval(secs => $4)) ON CONFLICT (run_id, node_id) DO UPDATE SET outcome = NULL, "
                    "looks = w.looks + (w.next_look_at <= clock_timestamp())::int, "
                    "next_look_at = CASE WHEN w.next_look_at <= clock_timestamp() THEN excluded.next_look_at ELSE w.next_look_at END "
                    "RETURNING looks, since::timestamptz(0)::text, next_look_at::text",
                    lengthof(types), types, values, NULL, SPI_OK_INSERT_RETURNING);
    row = SPI_tuptable->vals[0];
    miss->looks = DatumGetInt32(SPI_getbinval(row, SPI_tuptable->tupdesc, 1, &null));
    miss->since = MemoryContextStrdup(run->context, SPI_getvalue(row, SPI_tuptable->tupdesc, 2));
    miss->next = miss->looks > miss->policy.retries ? NULL : MemoryContextStrdup(run->context, SPI_getvalue(row, SPI_tuptable->tupdesc, 3));
}

/* The sources that miss something (Miss *). */
static List *
count_misses(Run *run)
{
    List *misses = NIL;

    for (int i = 0; i < run->program->nsources; i++)
    {
        const GraphNode *node = run->sources[i].asked->node;
        MemoryContext old;
        WaitPolicy policy;
        Miss *miss;

        if (!wait_policy_get(node->config, &policy) || !found_nothing(&run->sources[i]))
            continue;
        old = MemoryContextSwitchTo(run->context);
        miss = palloc0(sizeof(Miss));
        miss->node = node;
        miss->policy = policy;
        miss->resource = file_pattern_shown(node->config, &run->asked_at);
        misses = lappend(misses, miss);
        MemoryContextSwitchTo(old);
        count_miss(run, miss);
    }
    return misses;
}

/* What the view run_waits says in the end of a source that does not wait any more: `node` NULL: those that have found something. */
static void
set_outcome(const Run *run, const GraphNode *node, const char *outcome)
{
    Oid types[] = {UUIDOID, TEXTOID, TEXTOID};
    Datum values[] = {UUIDPGetDatum(&run->slot->run_id), node ? CStringGetTextDatum(node->id) : (Datum) 0, CStringGetTextDatum(outcome)};

    catalog_execute("UPDATE kaireon_internal.run_wait SET outcome = $3 WHERE run_id = $1 AND outcome IS NULL AND node_id = coalesce($2, node_id)",
                    lengthof(types), types, values, node ? NULL : " n ", SPI_OK_UPDATE);
}

/* ---- what becomes of the run ------------------------------------------------------------------ */

/* "in/a.csv" was looked for 4 times, every 5 minutes, since ... */
static char *
describe_miss(const Miss *miss)
{
    return psprintf("\"%s\" was looked for %d time%s since %s, %g minute%s apart.", miss->resource, miss->looks, miss->looks == 1 ? "" : "s", miss->since,
                    miss->policy.minutes, miss->policy.minutes == 1 ? "" : "s");
}

static const Miss *
find_failing(List *misses)
{
    ListCell *lc;

    foreach(lc, misses)
    {
        const Miss *miss = lfirst(lc);

        if (miss->next == NULL && miss->policy.action == MISS_FAIL)
            return miss;
    }
    return NULL;
}

pg_noreturn static void
fail(const Miss *miss)
{
    ereport(ERROR, (errcode(ERRCODE_KAIREON_NO_FILE), errmsg("source \"%s\" has found no new file", miss->node->id),
                    errdetail("%s", describe_miss(miss)),
                    errhint("Put a file there and run the pipeline again. With \"onMissAction\": \"skip\" or \"alert\" in its waitPolicy, a run without files succeeds.")));
    pg_unreachable();
}

/* The run is queued until the first source is to be looked at again; between catalog_begin and catalog_end. */
static void
queue_again(const Run *run)
{
    Oid types[] = {UUIDOID};
    Datum values[] = {UUIDPGetDatum(&run->slot->run_id)};

    /* it was no attempt: the next one has its number */
    if (catalog_execute("UPDATE kaireon_internal.run AS r SET status = 'queued', attempt = attempt - 1, looks = looks + 1, "
                        "retry_at = (SELECT min(w.next_look_at) FROM kaireon_internal.run_wait AS w WHERE w.run_id = $1 AND w.outcome IS NULL) "
                        "WHERE run_id = $1 AND status = 'running'", 1, types, values, NULL, SPI_OK_UPDATE) != 1)
        record_ended_by_other();
}

static void
tell_wait(const Run *run, List *misses)
{
    ListCell *lc;

    foreach(lc, misses)
    {
        const Miss *miss = lfirst(lc);

        if (miss->next)
            ereport(LOG, (errmsg("source \"%s\" of pipeline \"%s\" has found no new file: its run looks again at %s", miss->node->id, run->spec->name, miss->next),
                          errdetail_internal("%s", describe_miss(miss))));
    }
}

/* A source was looked at for the last time, and the run goes on without its files. */
static void
give_up(Run *run, const Miss *miss)
{
    bool alert = miss->policy.action == MISS_ALERT;
    char *reason = psprintf("no new file was found: %s", describe_miss(miss));
    Reject warning = {.kind = REJECT_WARNS, .node = miss->node, .sqlstate = ERRCODE_KAIREON_NO_FILE, .reason = reason};

    if (alert)
        rejects_note(run->rejects, &warning);
    ereport(alert ? WARNING : LOG, (errcode(ERRCODE_KAIREON_NO_FILE), errmsg("source \"%s\" of pipeline \"%s\" has found no new file", miss->node->id, run->spec->name),
                                    errdetail_internal("%s", describe_miss(miss))));
}

/* Does the run wait?  What was decided is written. */
static bool
decide(Run *run, List *misses)
{
    const Miss *failing = find_failing(misses);
    bool waits = false;
    ListCell *lc;

    foreach(lc, misses)
    {
        const Miss *miss = lfirst(lc);

        if (miss->next == NULL)
            set_outcome(run, miss->node, wait_policy_action(miss->policy.action));
        waits |= miss->next != NULL;
    }
    waits = waits && failing == NULL;
    if (waits)
        queue_again(run);
    else if (failing == NULL)
        set_outcome(run, NULL, "found");
    return waits;
}

static void
close_readers(Run *run)
{
    for (int i = 0; i < run->program->nsources; i++)
    {
        if (run->sources[i].link)
            link_close(run->sources[i].link);
        run->sources[i].link = NULL;
    }
}

/* No source has anything to read.  Where one was given up, nothing is touched: neither rows that the run would replace, nor what a hook does. */
static bool
ends_here(const Run *run, List *misses)
{
    for (int i = 0; i < run->program->nsources; i++)
    {
        if (!found_nothing(&run->sources[i]))
            return false;
    }
    return misses != NIL;
}

static void
end_run(Run *run)
{
    CatalogScope scope;

    close_readers(run);
    worker_begin();
    scope = catalog_begin();
    record_check_lease(run);
    record_expiry(run);
    record_nodes(run, true);
    rejects_write(run->rejects, &run->slot->run_id);
    record_end(run, "success", NULL, NULL);
    outbox_want_webhooks(&run->slot->run_id);
    catalog_end(scope);
    injection_point("vain-recorded");
    worker_commit();
    MemoryContextSwitchTo(run->context);
}

bool
run_waits(Run *run)
{
    CatalogScope scope;
    List *misses;
    ListCell *lc;
    bool waits;

    if (run->replay || run->dry)
        return false;
    worker_begin();
    scope = catalog_begin();
    misses = count_misses(run);
    waits = decide(run, misses);
    catalog_end(scope);
    injection_point("wait-decided");
    worker_commit();
    MemoryContextSwitchTo(run->context);
    if (waits)
    {
        injection_point("wait-begun");
        tell_wait(run, misses);
        close_readers(run);
        return true;
    }
    if (find_failing(misses))
        fail(find_failing(misses));
    foreach(lc, misses)
        give_up(run, lfirst(lc));
    if (!ends_here(run, misses))
        return false;
    end_run(run);
    return true;
}
