/*
 * dead_letter.c: rows that a run could not load, kept whole.  See dead_letter.h.
 *
 * The rows of dead_letter are inserted straight into the table, as those of
 * run_error are: no trigger and no right of the pipeline's owner is involved.
 * A replay changes the rows that there are instead.
 */
#include "postgres.h"

#include "pg/dead_letter.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "pg/catalog.h"
#include "pg/fetch.h"

/* The columns that a run writes, in their order; the others are those of later. */
enum
{
    COLUMN_ID, COLUMN_PIPELINE, COLUMN_RUN, COLUMN_VERSION, COLUMN_SOURCE_NODE, COLUMN_NODE, COLUMN_SOURCE, COLUMN_MODIFIED_AT, COLUMN_FILE_NUMBER,
    COLUMN_LINE, COLUMN_OFFSET, COLUMN_FIELD, COLUMN_CONSTRAINT, COLUMN_SQLSTATE, COLUMN_REASON, COLUMN_KIND, COLUMN_RECORD, COLUMN_RAW, COLUMN_LAYOUT,
    COLUMN_ATTEMPTS, COLUMN_CREATED_AT, COLUMNS
};

/* They are written before the end of a batch when they are larger than that together. */
#define BOUND_BYTES (16 * 1024 * 1024)

/* One letter, until it is written: the values of the columns, by value or in the context of those that wait. */
typedef struct Letter
{
    Datum values[COLUMNS];
    bool nulls[COLUMNS];
} Letter;

struct DeadLetters
{
    const DeadLetterRun run;
    MemoryContext context;   /* of the letters that wait */
    List *waiting;           /* Letter * */
    MemoryContext names_context;
    const char *fields;      /* of the split whose names these are */
    List *names;
};

DeadLetters *
dead_letters_create(const DeadLetterRun *run)
{
    DeadLetters *letters = palloc0(sizeof(DeadLetters));

    memcpy(unconstify(DeadLetterRun *, &letters->run), run, sizeof(DeadLetterRun));
    letters->context = AllocSetContextCreate(CurrentMemoryContext, "kaireon dead letters", ALLOCSET_DEFAULT_SIZES);
    letters->names_context = AllocSetContextCreate(CurrentMemoryContext, "kaireon names of a split", ALLOCSET_DEFAULT_SIZES);
    return letters;
}

/* ---- making a letter ---------------------------------------------------------------------- */

static void
set_value(Letter *letter, int column, Datum value)
{
    letter->values[column] = value;
    letter->nulls[column] = false;
}

static void
set_text(Letter *letter, int column, const char *text)
{
    if (text)
        set_value(letter, column, CStringGetTextDatum(text));
}

static Jsonb *
json_of(const char *text)
{
    return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));
}

/* The names of a split's fields; of the last split they are at hand. */
static List *
names_of(DeadLetters *letters, const FetchObject *split)
{
    if (letters->fields != split->fields)
    {
        MemoryContext old;

        MemoryContextReset(letters->names_context);
        old = MemoryContextSwitchTo(letters->names_context);
        letters->names = record_names(split->fields);
        letters->fields = split->fields;
        MemoryContextSwitchTo(old);
    }
    return letters->names;
}

/* How the split was read: what it takes to cut the record into fields later. */
static Jsonb *
layout_of(const FetchObject *split)
{
    const char *dialect = split->dialect[0] == '{' ? split->dialect + 1 : "}";

    return json_of(psprintf("{\"fields\": %s%s%s", split->fields, dialect[0] == '}' ? "" : ", ", dialect));
}

static void
set_record(DeadLetters *letters, Letter *letter, const RowPosition *at)
{
    const char *kind = "record";
    Jsonb *record;
    bytea *exact = NULL;

    switch (at->record.kind)
    {
        case RECORD_FIELDS:
            if (!record_is_whole(at->split->fields))
            {
                record = record_object(&at->record, names_of(letters, at->split));
                break;
            }
            set_value(letter, COLUMN_LAYOUT, JsonbPGetDatum(layout_of(at->split)));
            record = record_whole(&at->record);
            if (record)
                break;
            kind = "raw";
            record = record_string(&at->record, &exact);
            break;
        case RECORD_ROW:
            kind = "row";
            record = json_of(at->record.data);
            break;
        case RECORD_RAW:
        case RECORD_CUT:
            kind = at->record.kind == RECORD_RAW ? "raw" : "cut";
            record = record_string(&at->record, &exact);
            set_value(letter, COLUMN_LAYOUT, JsonbPGetDatum(layout_of(at->split)));
            break;
        default:
            elog(ERROR, "a dead letter has no record");
    }
    set_text(letter, COLUMN_KIND, kind);
    set_value(letter, COLUMN_RECORD, JsonbPGetDatum(record));
    if (exact)
        set_value(letter, COLUMN_RAW, PointerGetDatum(exact));
}

/* The letter that a replayed row is: run_replay.c has made sure that it is one of the replay's. */
static Datum
id_of(const RowRecord *record)
{
    return DirectFunctionCall1(int8in, CStringGetDatum(pnstrdup(record->data, record->length)));
}

void
dead_letters_add(DeadLetters *letters, const Reject *reject)
{
    MemoryContext old = MemoryContextSwitchTo(letters->context);
    Letter *letter = palloc(sizeof(Letter));
    const FetchObject *split = reject->at.split;

    memset(letter->nulls, true, sizeof(letter->nulls));
    set_value(letter, COLUMN_PIPELINE, UUIDPGetDatum(letters->run.pipeline_id));
    set_value(letter, COLUMN_RUN, UUIDPGetDatum(letters->run.run_id));
    set_value(letter, COLUMN_VERSION, Int32GetDatum(letters->run.version));
    set_text(letter, COLUMN_SOURCE_NODE, split->source->id);
    set_text(letter, COLUMN_NODE, reject->node->id);
    set_text(letter, COLUMN_SOURCE, split->place);
    set_value(letter, COLUMN_MODIFIED_AT, TimestampTzGetDatum(split->modified));
    set_value(letter, COLUMN_FILE_NUMBER, Int32GetDatum(split->number));
    set_value(letter, COLUMN_LINE, Int64GetDatum((int64) reject->at.line));
    set_value(letter, COLUMN_OFFSET, Int64GetDatum((int64) reject->at.offset));
    set_text(letter, COLUMN_FIELD, reject->field);
    set_text(letter, COLUMN_CONSTRAINT, reject->constraint);
    set_text(letter, COLUMN_SQLSTATE, unpack_sql_state(reject->sqlstate));
    set_text(letter, COLUMN_REASON, reject->reason);
    if (letters->run.replays)
        set_value(letter, COLUMN_ID, id_of(&reject->at.record));
    else
        set_record(letters, letter, &reject->at);
    set_value(letter, COLUMN_ATTEMPTS, Int32GetDatum(0));
    set_value(letter, COLUMN_CREATED_AT, TimestampTzGetDatum(GetCurrentTransactionStartTimestamp()));
    letters->waiting = lappend(letters->waiting, letter);
    MemoryContextSwitchTo(old);
}

/* ---- writing ------------------------------------------------------------------------------ */

/* One by one: what inserts several at once into a catalog's table can't do with values that are toasted. */
static void
write_letter(Relation rel, CatalogIndexState indexes, Oid sequence, Letter *letter)
{
    TupleDesc desc = RelationGetDescr(rel);
    Datum *values = palloc0(sizeof(Datum) * desc->natts);
    bool *nulls = palloc(sizeof(bool) * desc->natts);
    HeapTuple tuple;

    set_value(letter, COLUMN_ID, Int64GetDatum(nextval_internal(sequence, false)));
    memset(nulls, true, sizeof(bool) * desc->natts);
    memcpy(values, letter->values, sizeof(letter->values));
    memcpy(nulls, letter->nulls, sizeof(letter->nulls));
    tuple = heap_form_tuple(desc, values, nulls);
    CatalogTupleInsertWithInfo(rel, tuple, indexes);
    heap_freetuple(tuple);
    pfree(values);
    pfree(nulls);
}

static void
write_letters(const List *waiting)
{
    Relation rel = table_open(catalog_table("dead_letter"), RowExclusiveLock);
    Oid sequence = catalog_table("dead_letter_id_seq");
    CatalogIndexState indexes = CatalogOpenIndexes(rel);
    ListCell *lc;

    foreach(lc, waiting)
        write_letter(rel, indexes, sequence, lfirst(lc));
    CatalogCloseIndexes(indexes);
    table_close(rel, RowExclusiveLock);
}

/* A replay could not load them. */
static void
update_letters(const List *waiting)
{
    static const int columns[] = {COLUMN_ID, COLUMN_PIPELINE, COLUMN_RUN, COLUMN_NODE, COLUMN_FIELD, COLUMN_CONSTRAINT, COLUMN_SQLSTATE, COLUMN_REASON};
    Oid types[] = {INT8OID, UUIDOID, UUIDOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID};
    CatalogScope scope = catalog_begin();
    SPIPlanPtr plan = SPI_prepare("UPDATE kaireon_internal.dead_letter SET attempts = attempts + 1, last_run_id = $3, last_tried_at = now(), node_id = $4, "
                                  "field = $5, constraint_name = $6, sqlstate = $7, reason = $8 WHERE id = $1 AND pipeline_id = $2", lengthof(columns), types);
    ListCell *lc;

    foreach(lc, waiting)
    {
        const Letter *letter = lfirst(lc);
        Datum values[lengthof(columns)];
        char nulls[lengthof(columns) + 1] = {0};

        for (size_t i = 0; i < lengthof(columns); i++)
        {
            values[i] = letter->values[columns[i]];
            nulls[i] = letter->nulls[columns[i]] ? 'n' : ' ';
        }
        if (SPI_execute_plan(plan, values, nulls, false, 0) != SPI_OK_UPDATE || SPI_processed != 1)
            elog(ERROR, "a dead letter that was being replayed is gone");
    }
    catalog_end(scope);
}

void
dead_letters_discard(DeadLetters *letters)
{
    if (letters == NULL)
        return;
    letters->waiting = NIL;
    MemoryContextReset(letters->context);
}

void
dead_letters_flush(DeadLetters *letters)
{
    MemoryContext old;

    if (letters == NULL || letters->waiting == NIL)
        return;
    old = MemoryContextSwitchTo(letters->context);
    if (letters->run.replays)
        update_letters(letters->waiting);
    else
        write_letters(letters->waiting);
    MemoryContextSwitchTo(old);
    letters->waiting = NIL;
    MemoryContextReset(letters->context);
}

void
dead_letters_bound(DeadLetters *letters)
{
    if (letters && MemoryContextMemAllocated(letters->context, true) > BOUND_BYTES)
        dead_letters_flush(letters);
}
