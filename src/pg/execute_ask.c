/*
 * execute_ask.c: a set node that asks a connector, at work.  See execute_ask.h.
 *
 * First all new keys are found, with the query the compiler wrote, and counted;
 * then they are asked for one after another in the order in which they came.
 * No query is open meanwhile, so that no snapshot has to be held.
 */
#include "postgres.h"

#include "pg/execute_ask.h"

#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "tcop/dest.h"
#include "executor/tstoreReceiver.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "pg/answers.h"
#include "pg/ask.h"
#include "pg/errors.h"
#include "pg/execute_set.h"
#include "pg/json.h"
#include "pg/node.h"

/* So many keys that all have a problem end a run, as so many bad rows do. */
#define HOPELESS_KEYS 1000

struct AskNode
{
    Execution *execution;
    const ProgramStage *compiled;
    const ProgramAsk *question;
    Ask *ask;
    Tuplestorestate *answers; /* the relation, */
    int64 count;             /* its rows, */
    Answers *values;         /* and what it refers to */
    int64 problems;          /* of these rows, those with a problem */
    MemoryContext scratch;   /* of one key */
};

AskNode *
ask_node_create(Execution *execution, const ProgramStage *stage)
{
    AskNode *node = palloc0(sizeof(AskNode));

    node->execution = execution;
    node->compiled = stage;
    node->question = stage->set->ask;
    node->ask = ask_create(stage->feed, node->question);
    node->answers = tuplestore_begin_heap(false, false, work_mem);
    node->values = answers_create();
    node->scratch = AllocSetContextCreate(CurrentMemoryContext, "kaireon key", ALLOCSET_SMALL_SIZES);
    return node;
}

/* ---- the keys --------------------------------------------------------------------------- */

/* Those of the rows that have not been asked for, and where a row of each came from. */
static Tuplestorestate *
find_keys(AskNode *node, Tuplestorestate *input, double rows)
{
    const ProgramSet *set = node->compiled->set;
    void *stores[] = {input, node->answers};
    double counts[] = {rows, Max(node->count, 1)};
    Tuplestorestate *keys = tuplestore_begin_heap(false, false, work_mem);
    DestReceiver *receiver = CreateDestReceiver(DestTuplestore);
    SetQuery query;

    SetTuplestoreDestReceiverParams(receiver, keys, CurrentMemoryContext, false, NULL, NULL);
    set_query_begin(&query, set, node->question->keys_sql, stores, counts, receiver);
    set_query_run(&query, 0);
    set_query_end(&query);
    receiver->rDestroy(receiver);
    return keys;
}

/* The values of a key, as its fields are shown. */
static char *
list_values(const AskNode *node, char *const *values)
{
    StringInfoData out;

    initStringInfo(&out);
    for (int i = 0; i < node->question->nkeys; i++)
        appendStringInfo(&out, "%s%s", i ? ", " : "", values[i]);
    return out.data;
}

static void
require_allowed(const AskNode *node, int64 more)
{
    const GraphNode *feed = node->compiled->feed;

    if (node->count + more > node->question->max_calls)
        ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                        errmsg("node \"%s\" would ask connector \"%s\" " INT64_FORMAT " times, more than the " INT64_FORMAT " that \"maxCalls\" allows",
                               feed->id, json_get_text(feed->config, "connector"), node->count + more, node->question->max_calls),
                        errdetail("It asks once for each value of %s.", node->question->shown),
                        errhint("Keep rows out before the node, or give it a larger \"maxCalls\".")));
}

/* ---- the answers -------------------------------------------------------------------------- */

/* What is wrong with a key, as a row of the answers has it. */
static Datum
problem_array(const AskNode *node, const Answer *answer, char *const *values)
{
    bool whole = answer->key < 0;
    Datum parts[] = {CStringGetTextDatum(unpack_sql_state(answer->sqlstate)), CStringGetTextDatum(answer->reason),
                     CStringGetTextDatum(whole ? node->question->shown : node->question->fields[answer->key]),
                     CStringGetTextDatum(whole ? list_values(node, values) : values[answer->key])};

    return PointerGetDatum(construct_array(parts, lengthof(parts), TEXTOID, -1, false, TYPALIGN_INT));
}

/* The reject of a row with such a key. */
static Reject
make_reject(const AskNode *node, Datum problem, RowPosition at)
{
    Reject reject = {.kind = REJECT_OTHER, .node = node->compiled->feed, .at = at};
    Datum *parts;
    bool *nulls;
    int count;
    char *state;

    deconstruct_array(DatumGetArrayTypeP(problem), TEXTOID, -1, false, TYPALIGN_INT, &parts, &nulls, &count);
    state = TextDatumGetCString(parts[0]);
    reject.sqlstate = MAKE_SQLSTATE(state[0], state[1], state[2], state[3], state[4]);
    reject.reason = TextDatumGetCString(parts[1]);
    reject.field = TextDatumGetCString(parts[2]);
    reject.value = TextDatumGetCString(parts[3]);
    return reject;
}

/* What is wrong with a key, the next of the answers, is kept for its rows; unless it ends the run at once. */
static Datum
take_problem(AskNode *node, const Answer *answer, char *const *values, int64 origin)
{
    Rejects *rejects = node->execution->rejects;
    Datum problem = problem_array(node, answer, values);
    Reject reject = make_reject(node, problem, positions_get(node->execution->positions, origin));

    /* one of its rows ends the run: no further key need be asked for */
    if (rejects_stop(rejects, &reject))
        rejects_add(rejects, &reject);
    if (++node->problems > node->count && node->problems >= HOPELESS_KEYS && !rejects->never_stops)
        ereport(ERROR, (errcode(ERRCODE_KAIREON_ALL_BAD),
                        errmsg("the first " INT64_FORMAT " keys that node \"%s\" asked for are all bad", node->problems, node->compiled->feed->id),
                        errdetail("The last one, %s \"%s\": %s.", reject.field, reject_shown(reject.value), reject.reason),
                        errhint("Something is wrong with the node's connector or resource, or with the source as a whole.")));
    return problem;
}

/* Asks for a key, and keeps the answer; slot: its row of find_keys. */
static void
ask_one(AskNode *node, TupleTableSlot *slot)
{
    int nkeys = node->question->nkeys;
    char **values = palloc(sizeof(char *) * nkeys);
    Datum *row = palloc0(sizeof(Datum) * (nkeys + 2));
    bool *nulls = palloc0(sizeof(bool) * (nkeys + 2));
    Answer answer;

    slot_getallattrs(slot);
    for (int i = 0; i < nkeys; i++)
    {
        row[i] = slot->tts_values[i];
        values[i] = TextDatumGetCString(row[i]);
    }
    ask_key(node->ask, values, &answer);
    nulls[nkeys] = answer.value == NULL;
    nulls[nkeys + 1] = answer.sqlstate == 0;
    if (answer.value)
        row[nkeys] = JsonbPGetDatum(answers_add(node->values, answer.value));
    if (answer.sqlstate)
        row[nkeys + 1] = take_problem(node, &answer, values, DatumGetInt64(slot->tts_values[nkeys]));
    tuplestore_putvalues(node->answers, node->question->desc, row, nulls);
    node->count++;
}

void
ask_node_ask(AskNode *node, Tuplestorestate *input, double rows)
{
    Tuplestorestate *keys = find_keys(node, input, rows);
    TupleTableSlot *slot;

    require_allowed(node, tuplestore_tuple_count(keys));
    slot = MakeSingleTupleTableSlot(node->question->keys_desc, &TTSOpsMinimalTuple);
    while (tuplestore_gettupleslot(keys, true, false, slot))
    {
        MemoryContext old = MemoryContextSwitchTo(node->scratch);

        CHECK_FOR_INTERRUPTS();
        ask_one(node, slot);
        MemoryContextSwitchTo(old);
        MemoryContextReset(node->scratch);
    }
    ExecDropSingleTupleTableSlot(slot);
    tuplestore_end(keys);
}

Tuplestorestate *
ask_node_answers(AskNode *node, double *count)
{
    *count = Max(node->count, 1);
    return node->answers;
}

void
ask_node_begin_batch(AskNode *node)
{
    answers_begin_batch(node->values);
}

Datum
ask_node_answer(AskNode *node, Datum reference)
{
    return JsonbPGetDatum(answers_get(node->values, DatumGetJsonbP(reference)));
}

bool
ask_node_refuses(AskNode *node, const Rows *rows, int row)
{
    int problem = row * rows->ncolumns + rows->ncolumns - 2;
    MemoryContext old;
    Reject reject;

    if (rows->nulls[problem])
        return false;
    MemoryContextReset(node->scratch);
    old = MemoryContextSwitchTo(node->scratch);
    reject = make_reject(node, rows->values[problem], rows_position(rows, row));
    rejects_add(node->execution->rejects, &reject);
    MemoryContextSwitchTo(old);
    return true;
}

void
ask_node_end(AskNode *node)
{
    ask_end(node->ask);
    tuplestore_end(node->answers);
    answers_close(node->values);
}
