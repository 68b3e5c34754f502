/*
 * reject.c: what happens to rows that can't be loaded.  See reject.h.
 *
 * The rows of run_error are inserted straight into the table, as the catalog's
 * are: no trigger and no right of the pipeline's owner is involved.
 */
#include "postgres.h"

#include "pg/reject.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "pg/catalog.h"
#include "pg/dead_letter.h"
#include "pg/fetch.h"
#include "pg/compat.h"
#include "pg/errors.h"
#include "pg/guc.h"

/* Values and reasons are kept for a person to look at: this much of all. */
/* So many bad rows at the beginning, and no other, end a run. */
#define HOPELESS_ROWS 1000
/* So many rows that take longer than kaireon.expression_timeout end a run, which would go on for days. */
#define SLOW_ROWS 10
#define KEPT_BYTES (32 * 1024 * 1024)
/* Of a value, an error quotes this much. */
#define SHOWN_BYTES 200

Rejects *
rejects_create(const char *pipeline, const Program *program, const ErrorPolicy *policy)
{
    Rejects *rejects = palloc0(sizeof(Rejects));
    bool strict = false;

    rejects->context = CurrentMemoryContext;
    rejects->pipeline = pipeline;
    rejects->validation_fails = palloc0(sizeof(bool) * program->graph->nnodes);
    rejects->per_node = palloc0(sizeof(int64) * program->graph->nnodes);
    rejects->nnodes = program->graph->nnodes;
    rejects->mark.per_node = palloc0(sizeof(int64) * rejects->nnodes);
    rejects->limit = guc_max_logged_errors;
    rejects->never_stops = policy == NULL;
    if (policy == NULL)
        return rejects;
    for (int i = 0; i < program->ntargets; i++)
    {
        const ProgramTarget *target = &program->targets[i];

        strict |= target->validation == VALIDATION_STRICT;
        rejects->validation_fails[target->node->ordinal] = target->validation == VALIDATION_STRICT;
    }
    rejects->policy = policy;
    rejects->keeps_all = policy->handling == ERRORS_DLQ;
    rejects->other_fails = policy->handling == ERRORS_UNSAID ? strict : !error_policy_goes_on(policy);
    return rejects;
}

static char *
clipped(const char *text)
{
    return pnstrdup(text, pg_mbcliplen(text, strlen(text), REJECT_TEXT_BYTES));
}

static Reject *
keep(Rejects *rejects, const Reject *reject)
{
    MemoryContext old = MemoryContextSwitchTo(rejects->context);
    Reject *copy = palloc(sizeof(Reject));

    *copy = *reject;
    copy->at.record = (RowRecord) {RECORD_NONE, NULL, 0};
    copy->constraint = NULL;
    copy->field = reject->field ? pstrdup(reject->field) : NULL;
    copy->reason = clipped(reject->reason);
    copy->value = reject->value ? clipped(reject->value) : NULL;
    copy->expression = reject->expression ? clipped(reject->expression) : NULL;
    rejects->kept_bytes += sizeof(Reject) + strlen(copy->reason) + (copy->value ? strlen(copy->value) : 0) +
                           (copy->expression ? strlen(copy->expression) : 0);
    MemoryContextSwitchTo(old);
    return copy;
}

char *
reject_shown(const char *value)
{
    int length = strlen(value), shown = pg_mbcliplen(value, length, SHOWN_BYTES);
    StringInfoData out;

    initStringInfo(&out);
    for (int i = 0; i < shown; i++)
    {
        unsigned char c = value[i];

        if (c == '\r')
            appendStringInfoString(&out, "\\r");
        else if ((c < ' ' && c != '\t' && c != '\n') || c == 0x7F)
            appendStringInfo(&out, "\\x%02x", c);
        else
            appendStringInfoChar(&out, c);
    }
    appendStringInfoString(&out, shown < length ? "..." : "");
    return out.data;
}

char *
reject_place(const Reject *reject)
{
    StringInfoData where;

    initStringInfo(&where);
    if (reject->at.split)
        appendStringInfo(&where, "File \"%s\", line " UINT64_FORMAT, reject->at.split->place, reject->at.line);
    if (reject->field)
        appendStringInfo(&where, ", field \"%s\"", reject->field);
    if (reject->value)
        appendStringInfo(&where, ": \"%s\"", reject_shown(reject->value));
    return where.data;
}

pg_noreturn static void
stop(const Reject *reject)
{
    char *place = reject_place(reject);

    ereport(ERROR,
            (errcode(reject->sqlstate),
             errmsg("%s", reject->reason),
             place[0] ? errdetail("%s.", place) : 0,
             reject->kind == REJECT_STOPS
                 ? errhint("Mend the row, or give the rule another \"onFail\": \"skip\" leaves the row out, \"warn\" loads it.")
             : reject->sqlstate == ERRCODE_CHARACTER_NOT_IN_REPERTOIRE ? errhint("%s", REJECT_ENCODING_HINT)
             : reject->kind == REJECT_VALIDATION
                 ? errhint("Mend the row, or load the others with \"validation\": \"skip\" in the target node.")
                 : errhint("Mend the row, or load the others with \"errorHandling\": \"skip\" in execution_config.")));
    pg_unreachable();
}

bool
rejects_stop(const Rejects *rejects, const Reject *reject)
{
    switch (reject->kind)
    {
        case REJECT_VALIDATION:
            return rejects->validation_fails[reject->node->ordinal];
        case REJECT_OTHER:
            return rejects->other_fails;
        default:
            return reject->kind == REJECT_STOPS && !rejects->never_stops;
    }
}

void
rejects_note(Rejects *rejects, const Reject *reject)
{
    MemoryContext old = MemoryContextSwitchTo(rejects->context);

    rejects->kept = lappend(rejects->kept, keep(rejects, reject));
    MemoryContextSwitchTo(old);
}

/* Keeps it while there is room. */
static void
record(Rejects *rejects, const Reject *reject)
{
    if (rejects->earlier + list_length(rejects->kept) < rejects->limit && rejects->kept_bytes < KEPT_BYTES)
        rejects_note(rejects, reject);
}

pg_noreturn static void
too_many(const Rejects *rejects, const char *detail)
{
    ereport(ERROR, (errcode(ERRCODE_KAIREON_TOO_MANY_BAD), errmsg("more rows are bad than \"maxErrors\" allows"), errdetail("%s", detail),
                    errhint("kaireon.run_errors has them. Mend the source, or allow more in execution_config.")));
    pg_unreachable();
}

pg_noreturn static void
too_slow(const Reject *reject)
{
    ereport(ERROR, (errcode(ERRCODE_KAIREON_EXPRESSION_TIMEOUT), errmsg("%d rows took longer than kaireon.expression_timeout", SLOW_ROWS),
                    errdetail("The last one, at node \"%s\": %s. %s.", reject->node->id, reject->reason, reject_place(reject)),
                    errhint("Mend the expression: regular expressions with back references and nested repetitions may run for ages.")));
    pg_unreachable();
}

void
rejects_add(Rejects *rejects, const Reject *reject)
{
    rejects->count++;
    rejects->conflicts += reject->sqlstate == ERRCODE_UNIQUE_VIOLATION || reject->sqlstate == ERRCODE_EXCLUSION_VIOLATION;
    rejects->per_node[reject->node->ordinal]++;
    if (rejects_stop(rejects, reject))
    {
        rejects->failure = keep(rejects, reject);
        stop(reject);
    }
    record(rejects, reject);
    if (rejects->letters && (rejects->keeps_all || reject->kind == REJECT_QUARANTINED))
        dead_letters_add(rejects->letters, reject);
    if (rejects->policy && rejects->policy->max_errors >= 0 && rejects->count > rejects->policy->max_errors)
        too_many(rejects, psprintf("More than %s rows are bad. The last one, at node \"%s\": %s. %s.", rejects->policy->max_said,
                                   reject->node->id, reject->reason, reject_place(reject)));
    rejects->slow += reject->sqlstate == ERRCODE_KAIREON_EXPRESSION_TIMEOUT;
    if (rejects->slow >= SLOW_ROWS)
        too_slow(reject);
}

void
rejects_check_share(Rejects *rejects, int64 rows)
{
    if (rejects->policy && rejects->policy->max_percent >= 0 && rejects->count * 100.0 > rejects->policy->max_percent * rows)
        too_many(rejects, psprintf("Of " INT64_FORMAT " rows " INT64_FORMAT " were bad, more than %s.", rows, rejects->count,
                                   rejects->policy->max_said));
}

/* The first bad row that is kept; NULL: none is. */
static const Reject *
first_bad(const Rejects *rejects)
{
    ListCell *lc;

    foreach(lc, rejects->kept)
    {
        const Reject *reject = lfirst(lc);

        if (reject->kind != REJECT_WARNS)
            return reject;
    }
    return NULL;
}

void
rejects_check_all_bad(Rejects *rejects, int64 rows)
{
    const Reject *first;

    rejects->some_good |= rejects->count - rejects->conflicts < rows;
    if (rejects->some_good || rows < HOPELESS_ROWS)
        return;
    first = first_bad(rejects);
    ereport(ERROR, (errcode(ERRCODE_KAIREON_ALL_BAD), errmsg("the first " INT64_FORMAT " rows are all bad", rows),
                    first ? errdetail("Node \"%s\": %s. %s.", first->node->id, first->reason, reject_place(first)) : 0,
                    errhint("Something is wrong with the pipeline or with the source as a whole; kaireon.run_errors has these rows.")));
}

void
rejects_warn(Rejects *rejects, const Reject *warning)
{
    record(rejects, warning);
}

static void
set_text(Datum *values, bool *nulls, int at, const char *text)
{
    nulls[at] = text == NULL;
    if (text)
        values[at] = CStringGetTextDatum(text);
}

static void
write_one(Relation rel, CatalogIndexState indexes, const Rejects *rejects, const Reject *reject,
          const pg_uuid_t *run_id, int64 ordinal)
{
    enum { run, number, node, source, line, offset, field, sqlstate, reason, value, severity, expression, count };
    Datum values[count];
    bool nulls[count] = {0};
    HeapTuple tuple;

    values[run] = UUIDPGetDatum(run_id);
    values[number] = Int64GetDatum(ordinal);
    set_text(values, nulls, node, reject->node->id);
    set_text(values, nulls, source, reject->at.split ? reject->at.split->place : NULL);
    values[line] = Int64GetDatum((int64) reject->at.line);
    values[offset] = Int64GetDatum((int64) reject->at.offset);
    nulls[line] = nulls[offset] = reject->at.split == NULL || reject->at.line == 0;
    set_text(values, nulls, field, reject->field);
    set_text(values, nulls, sqlstate, unpack_sql_state(reject->sqlstate));
    set_text(values, nulls, reason, reject->reason);
    set_text(values, nulls, value, reject->value);
    set_text(values, nulls, severity, reject->kind == REJECT_WARNS ? "warning" : "error");
    set_text(values, nulls, expression, reject->expression);
    tuple = heap_form_tuple(RelationGetDescr(rel), values, nulls);
    CatalogTupleInsertWithInfo(rel, tuple, indexes);
    heap_freetuple(tuple);
}

void
rejects_write(Rejects *rejects, const pg_uuid_t *run_id)
{
    Relation rel;
    CatalogIndexState indexes;
    MemoryContext context, old;
    int64 ordinal = rejects->earlier + rejects->written;

    if (rejects->written == list_length(rejects->kept) && rejects->failure == NULL)
        return;
    context = AllocSetContextCreate(CurrentMemoryContext, "kaireon rejects", ALLOCSET_DEFAULT_SIZES);
    rel = table_open(catalog_table("run_error"), RowExclusiveLock);
    indexes = CatalogOpenIndexes(rel);
    old = MemoryContextSwitchTo(context);
    for (int i = rejects->written; i < list_length(rejects->kept); i++)
    {
        write_one(rel, indexes, rejects, list_nth(rejects->kept, i), run_id, ++ordinal);
        MemoryContextReset(context);
    }
    if (rejects->failure)
        write_one(rel, indexes, rejects, rejects->failure, run_id, ++ordinal);
    MemoryContextSwitchTo(old);
    CatalogCloseIndexes(indexes);
    table_close(rel, RowExclusiveLock);
    MemoryContextDelete(context);
}

void
rejects_committed(Rejects *rejects, bool written)
{
    int64 *per_node = rejects->mark.per_node;

    if (written)
        rejects->written = list_length(rejects->kept);
    memcpy(per_node, rejects->per_node, sizeof(int64) * rejects->nnodes);
    rejects->mark = (struct RejectsMark) {rejects->count, rejects->conflicts, rejects->slow, rejects->kept_bytes, rejects->some_good, per_node};
    rejects->marked = list_length(rejects->kept);
}

void
rejects_go_back(Rejects *rejects)
{
    for (int i = rejects->marked; i < list_length(rejects->kept); i++)
    {
        Reject *reject = list_nth(rejects->kept, i);

        pfree(reject->reason);
        pfree(reject);
    }
    rejects->kept = list_truncate(rejects->kept, rejects->marked);
    rejects->failure = NULL;
    memcpy(rejects->per_node, rejects->mark.per_node, sizeof(int64) * rejects->nnodes);
    rejects->count = rejects->mark.count;
    rejects->conflicts = rejects->mark.conflicts;
    rejects->slow = rejects->mark.slow;
    rejects->kept_bytes = rejects->mark.kept_bytes;
    rejects->some_good = rejects->mark.some_good;
}
