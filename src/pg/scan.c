/*
 * scan.c: kaireon.read as a scan of its own.  See scan.h.
 *
 * Planner: set_rel_pathlist_hook sees each function in FROM; where it is
 * kaireon.read alone with a column definition list, the only path becomes ours.
 * The plan node scans no relation, so its rows are described by
 * custom_scan_tlist: the columns the query uses, and the whole row when it is
 * asked for (SELECT t, row locks of an UPDATE ... FROM); then all columns are
 * read.  The function's arguments are custom_exprs: parameters and LATERAL
 * references work as anywhere.
 *
 * Executor: arguments are evaluated and the reader is started at the first
 * row.  Everything of one pass hangs under one memory context; a rescan drops
 * it.  read.c does the reading, ExecScan the query's conditions.
 */
#include "postgres.h"

#include "pg/scan.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/explain.h"
#include "commands/extension.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/extensible.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/ruleutils.h"

#include "pg/compat.h"
#include "pg/read.h"

extern PGDLLEXPORT Datum kaireon_read(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(kaireon_read);

/* Places in CustomScan.custom_private. */
enum { PRIVATE_FUNCTION, PRIVATE_NAMES, PRIVATE_TYPES, PRIVATE_TYPMODS, PRIVATE_WHOLE_ROW };

/* Starting a process and asking the source, as planner's cost: about a thousand rows. */
#define START_COST 10.0

static set_rel_pathlist_hook_type previous_hook = NULL;

typedef struct ReadScan
{
    CustomScanState css;
    Oid function;
    List *arguments;         /* of ExprState *: connector, resource, options */
    SourceColumn *columns;
    int ncolumns;
    bool whole_row;          /* the slot's last column is the row of all */
    TupleDesc row_desc;      /* of the whole row; NULL without */
    TupleTableSlot *recheck_slot;
    MemoryContext context;   /* of one pass */
    MemoryContext row_context; /* of the whole row's Datum */
    Reading *reading;        /* NULL before the first row */
    int64 rows, left_out, nulled, bytes, peak_kb; /* of passes before */
} ReadScan;

static Node *create_state(CustomScan *plan);

static const CustomScanMethods scan_methods = {.CustomName = "KaireonRead", .CreateCustomScanState = create_state};

/* ---- planner ------------------------------------------------------------------ */

/* The call of kaireon.read that a relation is, or NULL. */
static FuncExpr *
read_call(RangeTblEntry *rte)
{
    RangeTblFunction *function;
    FuncExpr *call;
    char *name;
    Oid extension;

    if (rte->rtekind != RTE_FUNCTION || list_length(rte->functions) != 1 || rte->funcordinality)
        return NULL;
    function = linitial(rte->functions);
    if (!IsA(function->funcexpr, FuncExpr) || function->funccolnames == NIL)
        return NULL;
    call = (FuncExpr *) function->funcexpr;
    if (call->funcid < FirstNormalObjectId || list_length(call->args) != 3 || call->funcresulttype != RECORDOID)
        return NULL;
    name = get_func_name(call->funcid);
    if (name == NULL || strcmp(name, "read") != 0)
        return NULL;
    extension = get_extension_oid("kaireon", true);
    if (!OidIsValid(extension) || getExtensionOfObject(ProcedureRelationId, call->funcid) != extension)
        return NULL;
    return call;
}

/* The columns of the relation that an expression list uses, and whether the whole row. */
static void
note_columns(Node *expr, Index rel, Bitmapset **used, bool *whole_row)
{
    Bitmapset *attributes = NULL;
    int member = -1;

    pull_varattnos(expr, rel, &attributes);
    while ((member = bms_next_member(attributes, member)) >= 0)
    {
        int attribute = member + FirstLowInvalidHeapAttributeNumber;

        if (attribute == 0)
            *whole_row = true;
        else if (attribute > 0)
            *used = bms_add_member(*used, attribute);
    }
}

static Plan *
plan_read(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *tlist, List *clauses, List *custom_plans)
{
    RangeTblEntry *rte = planner_rt_fetch(rel->relid, root);
    RangeTblFunction *function = linitial(rte->functions);
    FuncExpr *call = (FuncExpr *) function->funcexpr;
    CustomScan *scan = makeNode(CustomScan);
    List *quals = extract_actual_clauses(clauses, false);
    List *names = NIL, *types = NIL, *typmods = NIL;
    Bitmapset *used = NULL;
    bool whole_row = false;

    /* not tlist: the planner may give none and put a projection in its place afterwards */
    note_columns((Node *) rel->reltarget->exprs, rel->relid, &used, &whole_row);
    note_columns((Node *) quals, rel->relid, &used, &whole_row);
    for (int i = 0; i < list_length(function->funccolnames); i++)
    {
        Oid type = list_nth_oid(function->funccoltypes, i);
        int32 typmod = list_nth_int(function->funccoltypmods, i);

        if (!whole_row && !bms_is_member(i + 1, used))
            continue;
        names = lappend(names, makeString(pstrdup(strVal(list_nth(function->funccolnames, i)))));
        types = lappend_oid(types, type);
        typmods = lappend_int(typmods, typmod);
        scan->custom_scan_tlist =
            lappend(scan->custom_scan_tlist,
                    makeTargetEntry((Expr *) makeVar(rel->relid, i + 1, type, typmod, list_nth_oid(function->funccolcollations, i), 0),
                                    list_length(scan->custom_scan_tlist) + 1, NULL, false));
    }
    if (whole_row)
        scan->custom_scan_tlist = lappend(scan->custom_scan_tlist,
                                          makeTargetEntry((Expr *) makeVar(rel->relid, 0, RECORDOID, -1, InvalidOid, 0),
                                                          list_length(scan->custom_scan_tlist) + 1, NULL, false));
    scan->scan.plan.targetlist = tlist;
    scan->scan.plan.qual = quals;
    scan->scan.scanrelid = 0;
    scan->flags = path->flags;
    scan->custom_exprs = copyObject(call->args);
    scan->custom_private = list_make5(list_make1_oid(call->funcid), names, types, typmods, makeInteger(whole_row));
    scan->methods = &scan_methods;
    return &scan->scan.plan;
}

static const CustomPathMethods path_methods = {.CustomName = "KaireonRead", .PlanCustomPath = plan_read};

static void
replace_paths(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *rte)
{
    CustomPath *path;

    if (previous_hook)
        previous_hook(root, rel, rti, rte);
    if (rte->rtekind != RTE_FUNCTION || IS_DUMMY_REL(rel) || read_call(rte) == NULL)
        return;
    path = makeNode(CustomPath);
    path->path.pathtype = T_CustomScan;
    path->path.parent = rel;
    path->path.pathtarget = rel->reltarget;
    path->path.param_info = get_baserel_parampathinfo(root, rel, rel->lateral_relids);
    path->path.rows = path->path.param_info ? path->path.param_info->ppi_rows : rel->rows;
    path->path.startup_cost = START_COST + rel->baserestrictcost.startup + rel->reltarget->cost.startup;
    path->path.total_cost = path->path.startup_cost + (cpu_tuple_cost + rel->baserestrictcost.per_tuple) * rel->tuples +
                            rel->reltarget->cost.per_tuple * path->path.rows;
    path->flags = CUSTOMPATH_SUPPORT_PROJECTION;
    path->methods = &path_methods;
    rel->pathlist = NIL;
    rel->partial_pathlist = NIL;
    add_path(rel, &path->path);
}

/* ---- executor ------------------------------------------------------------------- */

static void
begin_read(CustomScanState *node, EState *estate, int eflags)
{
    ReadScan *scan = (ReadScan *) node;
    CustomScan *plan = (CustomScan *) node->ss.ps.plan;
    List *names = list_nth(plan->custom_private, PRIVATE_NAMES);
    List *types = list_nth(plan->custom_private, PRIVATE_TYPES);
    List *typmods = list_nth(plan->custom_private, PRIVATE_TYPMODS);

    scan->function = linitial_oid(list_nth(plan->custom_private, PRIVATE_FUNCTION));
    compat_check_execute(scan->function);
    scan->whole_row = intVal(list_nth(plan->custom_private, PRIVATE_WHOLE_ROW));
    scan->arguments = ExecInitExprList(plan->custom_exprs, &node->ss.ps);
    scan->ncolumns = list_length(names);
    scan->columns = palloc0(sizeof(SourceColumn) * Max(scan->ncolumns, 1));
    if (scan->whole_row)
        scan->row_desc = CreateTemplateTupleDesc(scan->ncolumns);
    for (int i = 0; i < scan->ncolumns; i++)
    {
        scan->columns[i].name = strVal(list_nth(names, i));
        scan->columns[i].type = list_nth_oid(types, i);
        scan->columns[i].typmod = list_nth_int(typmods, i);
        if (scan->whole_row)
            TupleDescInitEntry(scan->row_desc, i + 1, scan->columns[i].name, scan->columns[i].type, scan->columns[i].typmod, 0);
    }
    if (scan->whole_row)
    {
        scan->row_desc = BlessTupleDesc(scan->row_desc);
        scan->row_context = AllocSetContextCreate(estate->es_query_cxt, "kaireon row", ALLOCSET_DEFAULT_SIZES);
    }
}

/* An argument's value; false for null. */
static bool
argument(ReadScan *scan, int n, Datum *value)
{
    bool null;

    *value = ExecEvalExprSwitchContext(list_nth(scan->arguments, n), scan->css.ss.ps.ps_ExprContext, &null);
    return !null;
}

static void
start_reading(ReadScan *scan)
{
    MemoryContext old;
    Datum value;
    char *connector, *resource;
    Jsonb *options;

    scan->context = AllocSetContextCreate(scan->css.ss.ps.state->es_query_cxt, "kaireon scan", ALLOCSET_DEFAULT_SIZES);
    old = MemoryContextSwitchTo(scan->context);
    connector = argument(scan, 0, &value) ? TextDatumGetCString(value) : NULL;
    resource = argument(scan, 1, &value) ? TextDatumGetCString(value) : NULL;
    options = argument(scan, 2, &value) ? DatumGetJsonbPCopy(value) : NULL;
    scan->reading = reading_open(read_source(connector, resource, options), scan->columns, scan->ncolumns, 0);
    MemoryContextSwitchTo(old);
}

static Datum
whole_row(ReadScan *scan, Datum *values, bool *nulls)
{
    MemoryContext old;
    Datum row;

    MemoryContextReset(scan->row_context);
    old = MemoryContextSwitchTo(scan->row_context);
    row = HeapTupleHeaderGetDatum(heap_form_tuple(scan->row_desc, values, nulls)->t_data);
    MemoryContextSwitchTo(old);
    return row;
}

static TupleTableSlot *
next_row(ScanState *node)
{
    ReadScan *scan = (ReadScan *) node;
    TupleTableSlot *slot = node->ss_ScanTupleSlot;
    const Cells *cells;
    int at;

    if (scan->reading == NULL)
        start_reading(scan);
    ExecClearTuple(slot);
    if (!reading_next(scan->reading))
        return slot;
    cells = scan->reading->cells;
    at = scan->reading->row * cells->ncolumns;
    memcpy(slot->tts_values, &cells->values[at], sizeof(Datum) * cells->ncolumns);
    memcpy(slot->tts_isnull, &cells->nulls[at], sizeof(bool) * cells->ncolumns);
    if (scan->whole_row)
    {
        slot->tts_values[cells->ncolumns] = whole_row(scan, &cells->values[at], &cells->nulls[at]);
        slot->tts_isnull[cells->ncolumns] = false;
    }
    return ExecStoreVirtualTuple(slot);
}

/*
 * A row is looked at once more because another session changed the row it is
 * joined to: it is taken from the whole row that the query carries along.
 */
static bool
recheck_row(ScanState *node, TupleTableSlot *slot)
{
    ReadScan *scan = (ReadScan *) node;
    EPQState *epq = node->ps.state->es_epq_active;
    int rti = bms_next_member(((CustomScan *) node->ps.plan)->custom_relids, -1);
    TupleTableSlot *row;

    if (rti <= 0 || !scan->whole_row)
        return false;
    ExecClearTuple(slot);
    if (scan->recheck_slot == NULL)
        scan->recheck_slot = ExecInitExtraTupleSlot(node->ps.state, scan->row_desc, &TTSOpsVirtual);
    row = epq->relsubs_slot[rti - 1];
    if (row == NULL || TupIsNull(row))
    {
        row = scan->recheck_slot;
        if (epq->relsubs_rowmark[rti - 1] == NULL || !EvalPlanQualFetchRowMark(epq, rti, row))
            return false;
    }
    slot_getallattrs(row);
    memcpy(slot->tts_values, row->tts_values, sizeof(Datum) * scan->ncolumns);
    memcpy(slot->tts_isnull, row->tts_isnull, sizeof(bool) * scan->ncolumns);
    slot->tts_values[scan->ncolumns] = whole_row(scan, row->tts_values, row->tts_isnull);
    slot->tts_isnull[scan->ncolumns] = false;
    ExecStoreVirtualTuple(slot);
    return true;
}

static TupleTableSlot *
exec_read(CustomScanState *node)
{
    return ExecScan(&node->ss, next_row, recheck_row);
}

/* Ends a pass, keeping its counters. */
static void
end_pass(ReadScan *scan)
{
    if (scan->reading)
    {
        reading_close(scan->reading);
        scan->rows += scan->reading->rows;
        scan->left_out += scan->reading->left_out;
        scan->nulled += scan->reading->nulled;
        scan->bytes += scan->reading->bytes;
        scan->peak_kb = Max(scan->peak_kb, scan->reading->reader_kb);
    }
    scan->reading = NULL;
    if (scan->context)
        MemoryContextDelete(scan->context);
    scan->context = NULL;
}

static void
rescan_read(CustomScanState *node)
{
    /* the slot may point into the batch that goes */
    ExecClearTuple(node->ss.ss_ScanTupleSlot);
    end_pass((ReadScan *) node);
    ExecScanReScan(&node->ss);
}

static void
end_read(CustomScanState *node)
{
    ExecClearTuple(node->ss.ss_ScanTupleSlot);
    end_pass((ReadScan *) node);
}

/* ---- explain ------------------------------------------------------------------------ */

static void
explain_argument(ReadScan *scan, const char *label, int n, List *ancestors, ExplainState *es)
{
    Node *expr = list_nth(((CustomScan *) scan->css.ss.ps.plan)->custom_exprs, n);
    char *text;

    if (IsA(expr, Const))
    {
        Oid output;
        bool varlena;

        if (((Const *) expr)->constisnull)
            return;
        getTypeOutputInfo(((Const *) expr)->consttype, &output, &varlena);
        text = OidOutputFunctionCall(output, ((Const *) expr)->constvalue);
        if (n == 2 && strcmp(text, "{}") == 0)
            return;
    }
    else
        text = deparse_expression(expr, set_deparse_context_plan(es->deparse_cxt, scan->css.ss.ps.plan, ancestors),
                                  list_length(es->rtable) > 1, false);
    ExplainPropertyText(label, text, es);
}

static void
explain_read(CustomScanState *node, List *ancestors, ExplainState *es)
{
    ReadScan *scan = (ReadScan *) node;
    const Reading *reading = scan->reading;
    List *columns = NIL;

    explain_argument(scan, "Connector", 0, ancestors, es);
    explain_argument(scan, "Resource", 1, ancestors, es);
    explain_argument(scan, "Options", 2, ancestors, es);
    for (int i = 0; i < scan->ncolumns; i++)
        columns = lappend(columns, psprintf("%s %s", quote_identifier(scan->columns[i].name),
                                            format_type_with_typemod(scan->columns[i].type, scan->columns[i].typmod)));
    if (columns != NIL || es->format != EXPLAIN_FORMAT_TEXT)
        ExplainPropertyList("Columns", columns, es);
    if (!es->analyze)
        return;
    ExplainPropertyInteger("Rows Read", NULL, scan->rows + (reading ? reading->rows : 0), es);
    ExplainPropertyInteger("Rows Left Out", NULL, scan->left_out + (reading ? reading->left_out : 0), es);
    ExplainPropertyInteger("Cells Made Null", NULL, scan->nulled + (reading ? reading->nulled : 0), es);
    ExplainPropertyInteger("Bytes Read", NULL, scan->bytes + (reading ? reading->bytes : 0), es);
    if (es->costs) /* what differs from run to run is left out with the costs */
        ExplainPropertyInteger("Reader Peak Memory", "kB", Max(scan->peak_kb, reading ? reading_peak(reading) : 0), es);
}

static const CustomExecMethods exec_methods = {
    .CustomName = "KaireonRead", .BeginCustomScan = begin_read, .ExecCustomScan = exec_read, .EndCustomScan = end_read,
    .ReScanCustomScan = rescan_read, .ExplainCustomScan = explain_read};

static Node *
create_state(CustomScan *plan)
{
    ReadScan *scan = (ReadScan *) newNode(sizeof(ReadScan), T_CustomScanState);

    scan->css.methods = &exec_methods;
    return (Node *) scan;
}

void
scan_install_hook(void)
{
    RegisterCustomScanMethods(&scan_methods);
    previous_hook = set_rel_pathlist_hook;
    set_rel_pathlist_hook = replace_paths;
}

/* Only reached where the planner could not put the scan in its place. */
Datum
kaireon_read(PG_FUNCTION_ARGS)
{
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("kaireon.read can only be called in FROM, with a column definition list"),
                    errdetail("It was called in a select list, in ROWS FROM, WITH ORDINALITY, or without the library preloaded."),
                    errhint("For example: SELECT * FROM kaireon.read('files', 'orders/*.csv') AS t(id bigint, amount numeric). "
                            "shared_preload_libraries must contain kaireon.")));
    PG_RETURN_NULL();
}
