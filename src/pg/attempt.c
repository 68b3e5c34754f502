/*
 * attempt.c: which values of a column a conversion would refuse or change.
 *
 * Before a field's type changes, every value of its column is tried.  Usually
 * one query finds nothing in the way (sql/33-field-types.sql); when it does
 * not, this goes through the values one by one to say how many stand in the
 * way, and which.  Each expression gets a subtransaction that contains its
 * error; none of them writes, so none of them takes a transaction ID.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "pg/guard.h"

#define EXAMPLES 3
#define EXAMPLE_LENGTH 40  /* bytes */
#define FETCHED_ROWS 1000

extern PGDLLEXPORT Datum kaireon_try_values(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(kaireon_try_values);

/* Values of one kind: how many, and the first few, in the caller's context. */
typedef struct Found { int64 count; Datum examples[EXAMPLES]; } Found;

/* One expression over $1, and what it gave as text. */
typedef struct Question { SPIPlanPtr plan; Datum value; char *answer; } Question;

static void
put_question(void *arg)
{
    Question *q = arg;

    if (SPI_execute_plan(q->plan, &q->value, NULL, true, 1) != SPI_OK_SELECT || SPI_processed != 1)
        elog(ERROR, "try_values: unexpected result");
    q->answer = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
    SPI_freetuptable(SPI_tuptable);
}

static SPIPlanPtr
prepare_question(const char *expression, Oid type)
{
    SPIPlanPtr plan = SPI_prepare(psprintf("SELECT %s", expression), 1, &type);

    if (plan == NULL)
        elog(ERROR, "try_values: %s", SPI_result_code_string(SPI_result));
    return plan;
}

static char *
clipped(const char *text)
{
    int length = strlen(text);

    if (length <= EXAMPLE_LENGTH)
        return psprintf("\"%s\"", text);
    return psprintf("\"%.*s...\"", pg_mbcliplen(text, length, EXAMPLE_LENGTH), text);
}

static void
note(Found *found, MemoryContext context, char *value, const char *becomes)
{
    if (found->count < EXAMPLES)
    {
        char *example = becomes ? psprintf("%s becomes %s", clipped(value), clipped(becomes)) : clipped(value);
        MemoryContext old = MemoryContextSwitchTo(context);

        found->examples[found->count] = CStringGetTextDatum(example);
        MemoryContextSwitchTo(old);
    }
    found->count++;
}

/* Tries every value the cursor gives, none of which is null; returns how many there were. */
static int64
try_all(Portal cursor, const char *convert, const char *loss, Found *failing, Found *changing)
{
    MemoryContext outside = CurrentMemoryContext;
    MemoryContext row = AllocSetContextCreate(CurrentMemoryContext, "kaireon attempt", ALLOCSET_DEFAULT_SIZES);
    Question conversion = {0}, question = {0};
    int64 tried = 0;

    for (;;)
    {
        SPITupleTable *rows;
        uint64 count;

        SPI_cursor_fetch(cursor, true, FETCHED_ROWS);
        rows = SPI_tuptable;
        count = SPI_processed;
        if (count == 0)
            break;
        if (conversion.plan == NULL)
        {
            conversion.plan = prepare_question(convert, SPI_gettypeid(rows->tupdesc, 1));
            question.plan = prepare_question(loss, SPI_gettypeid(rows->tupdesc, 1));
        }
        for (uint64 i = 0; i < count; i++)
        {
            bool null;

            CHECK_FOR_INTERRUPTS();
            MemoryContextReset(row);
            MemoryContextSwitchTo(row);
            conversion.value = question.value = SPI_getbinval(rows->vals[i], rows->tupdesc, 1, &null);
            if (guard_try(put_question, &conversion, row) != NULL)
                note(failing, outside, SPI_getvalue(rows->vals[i], rows->tupdesc, 1), NULL);
            /* what can't even be compared has changed */
            else if (guard_try(put_question, &question, row) != NULL || (question.answer && question.answer[0] == 't'))
                note(changing, outside, SPI_getvalue(rows->vals[i], rows->tupdesc, 1), conversion.answer ? conversion.answer : "");
            MemoryContextSwitchTo(outside);
        }
        tried += count;
        SPI_freetuptable(rows);
    }
    MemoryContextDelete(row);
    return tried;
}

static Datum
examples_array(Found *found)
{
    return PointerGetDatum(construct_array(found->examples, Min(found->count, EXAMPLES), TEXTOID, -1, false, TYPALIGN_INT));
}

/*
 * try_values(role, source, convert, loss): the values that the query `source`
 * gives (one column, no nulls), as that role.  `convert` is an expression over
 * $1, as text; `loss` a boolean one, true when the conversion changes $1.
 */
Datum
kaireon_try_values(PG_FUNCTION_ARGS)
{
    char *source = text_to_cstring(PG_GETARG_TEXT_PP(1));
    Found failing = {0}, changing = {0};
    MemoryContext outside = CurrentMemoryContext;
    TupleDesc desc;
    Datum values[5];
    bool nulls[5] = {0};
    SPIPlanPtr plan;
    Portal cursor;
    Oid user;
    int sec_context, level = NewGUCNestLevel();
    volatile int64 tried = 0;

    if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
        elog(ERROR, "try_values must return a row");
    GetUserIdAndSecContext(&user, &sec_context);
    SetUserIdAndSecContext(PG_GETARG_OID(0), sec_context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
    PG_TRY();
    {
        SPI_connect();
        PushActiveSnapshot(GetLatestSnapshot());
        plan = SPI_prepare(source, 0, NULL);
        if (plan == NULL)
            elog(ERROR, "try_values: %s", SPI_result_code_string(SPI_result));
        MemoryContextSwitchTo(outside);
        cursor = SPI_cursor_open(NULL, plan, NULL, NULL, true);
        tried = try_all(cursor, text_to_cstring(PG_GETARG_TEXT_PP(2)), text_to_cstring(PG_GETARG_TEXT_PP(3)), &failing, &changing);
        SPI_cursor_close(cursor);
        PopActiveSnapshot();
        SPI_finish();
    }
    PG_FINALLY();
    {
        SetUserIdAndSecContext(user, sec_context);
    }
    PG_END_TRY();
    AtEOXact_GUC(false, level);
    values[0] = Int64GetDatum(tried);
    values[1] = Int64GetDatum(failing.count);
    values[2] = Int64GetDatum(changing.count);
    values[3] = examples_array(&failing);
    values[4] = examples_array(&changing);
    return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}
