/*
 * foreign_keys.c: foreign keys of and to a table whose rows are made anew beside
 * it.  See foreign_keys.h.
 */
#include "postgres.h"

#include "pg/foreign_keys.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"
#include "utils/queryenvironment.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"

#include "pg/compat.h"
#include "pg/rights.h"

#define STAGED_RELATION "staged"

/* What statements are run with that read other people's tables, as their owner: what PostgreSQL's own checks have. */
#define CHECK_FLAGS (SECURITY_RESTRICTED_OPERATION | SECURITY_NOFORCE_RLS)

typedef struct ForeignKey
{
    char *name;
    Oid from, to;
    bool full;               /* MATCH FULL */
    bool odd;                /* of a kind that is not known here */
    int nkeys;
    AttrNumber from_keys[INDEX_MAX_KEYS];
    AttrNumber to_keys[INDEX_MAX_KEYS];
    Oid operators[INDEX_MAX_KEYS];
} ForeignKey;

/* A foreign key while batches come. */
typedef struct BatchKey
{
    ForeignKey *key;
    TupleDesc desc;          /* of the staged rows: their number, and the key's values */
    Tuplestorestate *staged;
    SPIPlanPtr plan;
} BatchKey;

struct ForeignKeys
{
    MemoryContext context;
    char *table;
    StorageOf storage_of;
    const void *arg;
    List *keys;              /* BatchKey * */
};

/* ---- which there are ------------------------------------------------------------------ */

static ForeignKey *
read_key(HeapTuple tuple)
{
    Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);
    ForeignKey *key = palloc0(sizeof(ForeignKey));
    Oid others[INDEX_MAX_KEYS], more[INDEX_MAX_KEYS];
    AttrNumber set_columns[INDEX_MAX_KEYS];
    int nset;

    key->name = pstrdup(NameStr(form->conname));
    key->from = form->conrelid;
    key->to = form->confrelid;
    key->full = form->confmatchtype == FKCONSTR_MATCH_FULL;
    key->odd = compat_is_odd_foreign_key(form);
    DeconstructFkConstraintRow(tuple, &key->nkeys, key->from_keys, key->to_keys, key->operators, others, more, &nset, set_columns);
    return key;
}

/* Those of the table, or those of other tables to it; of partitioned tables those of their partitions. */
static List *
read_keys(Oid table, bool to)
{
    Relation pg_constraint = table_open(ConstraintRelationId, AccessShareLock);
    SysScanDesc scan = systable_beginscan(pg_constraint, InvalidOid, false, NULL, 0, NULL);
    HeapTuple tuple;
    List *keys = NIL;

    while (HeapTupleIsValid(tuple = systable_getnext(scan)))
    {
        Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);

        if (form->contype == CONSTRAINT_FOREIGN && (to ? form->confrelid : form->conrelid) == table &&
            get_rel_relkind(form->conrelid) != RELKIND_PARTITIONED_TABLE)
            keys = lappend(keys, read_key(tuple));
    }
    systable_endscan(scan);
    table_close(pg_constraint, AccessShareLock);
    return keys;
}

const char *
foreign_keys_obstacle(Relation table)
{
    List *keys = list_concat(read_keys(RelationGetRelid(table), false), read_keys(RelationGetRelid(table), true));
    ListCell *lc;

    foreach(lc, keys)
    {
        const ForeignKey *key = lfirst(lc);

        if (key->from == key->to)
            return "it has a foreign key to itself";
        if (key->odd || get_rel_relkind(key->to) != RELKIND_RELATION)
            return "it has a foreign key to a partitioned table, or one of periods";
    }
    return NULL;
}

Oid
foreign_keys_find_referrer(Relation table)
{
    ListCell *lc;
    List *keys = read_keys(RelationGetRelid(table), true);

    foreach(lc, keys)
    {
        const ForeignKey *key = lfirst(lc);

        if (key->from != key->to)
            return key->from;
    }
    return InvalidOid;
}

/* ---- statements ------------------------------------------------------------------------ */

static char *
name_of(Oid relid)
{
    return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), get_rel_name(relid));
}

/* "a, b" of the table's columns. */
static char *
list_columns(Oid relid, const AttrNumber *columns, int count)
{
    StringInfoData out;

    initStringInfo(&out);
    for (int i = 0; i < count; i++)
        appendStringInfo(&out, "%s%s", i ? ", " : "", get_attname(relid, columns[i], false));
    return out.data;
}

static Oid
collation_of(Oid relid, AttrNumber column)
{
    Oid type, collation;
    int32 typmod;

    get_atttypetypmodcoll(relid, column, &type, &typmod, &collation);
    return collation;
}

/* " COLLATE ..." where the two sides differ: that of the table referred to counts. */
static const char *
collate_clause(const ForeignKey *key, int i)
{
    Oid to = collation_of(key->to, key->to_keys[i]);
    HeapTuple tuple;
    Form_pg_collation form;
    char *clause;

    if (!OidIsValid(to) || to == collation_of(key->from, key->from_keys[i]))
        return "";
    tuple = SearchSysCache1(COLLOID, ObjectIdGetDatum(to));
    if (!HeapTupleIsValid(tuple))
        elog(ERROR, "cache lookup failed for collation %u", to);
    form = (Form_pg_collation) GETSTRUCT(tuple);
    clause = psprintf(" COLLATE %s", quote_qualified_identifier(get_namespace_name(form->collnamespace), NameStr(form->collname)));
    ReleaseSysCache(tuple);
    return clause;
}

/* NOT EXISTS (the row that is referred to); `values`: of the row that refers, by key. */
static void
append_missing(StringInfo sql, const ForeignKey *key, Oid to, char **values)
{
    appendStringInfo(sql, "NOT EXISTS (SELECT FROM ONLY %s AS p WHERE ", name_of(to));
    for (int i = 0; i < key->nkeys; i++)
    {
        const char *column = psprintf("p.%s%s", quote_identifier(get_attname(key->to, key->to_keys[i], false)), collate_clause(key, i));

        appendStringInfoString(sql, i ? " AND " : "");
        generate_operator_clause(sql, column, get_atttype(key->to, key->to_keys[i]), key->operators[i], values[i],
                                 get_atttype(key->from, key->from_keys[i]));
    }
    appendStringInfoChar(sql, ')');
}

/* Keeps a plan.  The tables that it reads are these: a name may have become another's. */
static void
check_plan(SPIPlanPtr plan, Oid a, Oid b)
{
    CachedPlan *cached;
    List *read;

    if (plan == NULL || SPI_keepplan(plan) != 0)
        elog(ERROR, "could not check a foreign key: %s", SPI_result_code_string(SPI_result));
    cached = SPI_plan_get_cached_plan(plan);
    read = linitial_node(PlannedStmt, cached->stmt_list)->relationOids;
    if ((OidIsValid(a) && !list_member_oid(read, a)) || !list_member_oid(read, b))
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("a schema was renamed while a table in it was loaded"),
                        errhint("Run the pipeline again.")));
    ReleaseCachedPlan(cached, CurrentResourceOwner);
}

static Oid
owner_of(Oid relid)
{
    HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
    Oid owner;

    if (!HeapTupleIsValid(tuple))
        elog(ERROR, "cache lookup failed for relation %u", relid);
    owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
    ReleaseSysCache(tuple);
    return owner;
}

/* ---- batch by batch --------------------------------------------------------------------- */

ForeignKeys *
foreign_keys_create(Relation table, StorageOf storage_of, const void *arg)
{
    ForeignKeys *keys = palloc0(sizeof(ForeignKeys));
    List *read = read_keys(RelationGetRelid(table), false);
    ListCell *lc;

    keys->context = CurrentMemoryContext;
    keys->table = pstrdup(RelationGetRelationName(table));
    keys->storage_of = storage_of;
    keys->arg = arg;
    foreach(lc, read)
    {
        BatchKey *batch = palloc0(sizeof(BatchKey));

        batch->key = lfirst(lc);
        batch->desc = CreateTemplateTupleDesc(batch->key->nkeys + 1);
        TupleDescInitEntry(batch->desc, 1, "n", INT4OID, -1, 0);
        for (int i = 0; i < batch->key->nkeys; i++)
        {
            Form_pg_attribute column = TupleDescAttr(RelationGetDescr(table), batch->key->from_keys[i] - 1);

            TupleDescInitEntry(batch->desc, i + 2, psprintf("k%d", i + 1), column->atttypid, column->atttypmod, 0);
            TupleDescInitEntryCollation(batch->desc, i + 2, column->attcollation);
        }
        batch->staged = tuplestore_begin_heap(false, false, work_mem);
        keys->keys = lappend(keys->keys, batch);
    }
    return keys;
}

static void
connect_staged(BatchKey *batch)
{
    EphemeralNamedRelation enr = palloc0(sizeof(EphemeralNamedRelationData));

    enr->md.name = STAGED_RELATION;
    enr->md.tupdesc = batch->desc;
    enr->md.enrtype = ENR_NAMED_TUPLESTORE;
    enr->md.enrtuples = 1000;
    enr->reldata = batch->staged;
    if (SPI_connect() != SPI_OK_CONNECT || SPI_register_relation(enr) != SPI_OK_REL_REGISTER)
        elog(ERROR, "could not check a foreign key");
}

/* Inside SPI. */
static void
prepare_batch(BatchKey *batch)
{
    char *values[INDEX_MAX_KEYS];
    StringInfoData sql;

    for (int i = 0; i < batch->key->nkeys; i++)
        values[i] = psprintf("s.k%d", i + 1);
    initStringInfo(&sql);
    appendStringInfoString(&sql, "SELECT s.n FROM " STAGED_RELATION " AS s WHERE ");
    append_missing(&sql, batch->key, batch->key->to, values);
    appendStringInfoString(&sql, " ORDER BY s.n");
    batch->plan = SPI_prepare(sql.data, 0, NULL);
    check_plan(batch->plan, InvalidOid, batch->key->to);
}

static void
refuse_row(const ForeignKeys *keys, const ForeignKey *key, TupleTableSlot *slot, Reject *reject)
{
    StringInfoData values;
    bool partly = false;

    initStringInfo(&values);
    for (int i = 0; i < key->nkeys; i++)
    {
        bool null, varlena;
        Oid output;
        Datum value = slot_getattr(slot, key->from_keys[i], &null);

        getTypeOutputInfo(get_atttype(key->from, key->from_keys[i]), &output, &varlena);
        appendStringInfo(&values, "%s%s", i ? ", " : "", null ? "null" : OidOutputFunctionCall(output, value));
        partly |= null;
    }
    memset(reject, 0, sizeof(Reject));
    reject->sqlstate = ERRCODE_FOREIGN_KEY_VIOLATION;
    reject->constraint = key->name;
    reject->reason = psprintf("insert or update on table \"%s\" violates foreign key constraint \"%s\"", keys->table, key->name);
    if (partly)
        reject->value = pstrdup("MATCH FULL does not allow mixing of null and nonnull key values.");
    else
        reject->value = psprintf("Key (%s)=(%s) is not present in table \"%s\".", list_columns(key->from, key->from_keys, key->nkeys), values.data,
                                 get_rel_name(key->to));
}

/* Stages the rows that refer to something, by number; those that do so in part (MATCH FULL) are bad.  How many were staged. */
static int
stage_rows(const BatchKey *batch, TupleTableSlot **slots, int count, bool *bad, Bitmapset **partly)
{
    int staged = 0;
    Datum values[INDEX_MAX_KEYS + 1];
    bool nulls[INDEX_MAX_KEYS + 1];

    tuplestore_clear(batch->staged);
    for (int i = 0; i < count; i++)
    {
        int missing = 0;

        if (bad[i])
            continue;
        values[0] = Int32GetDatum(i);
        nulls[0] = false;
        for (int k = 0; k < batch->key->nkeys; k++)
        {
            values[k + 1] = slot_getattr(slots[i], batch->key->from_keys[k], &nulls[k + 1]);
            missing += nulls[k + 1];
        }
        if (missing > 0 && missing < batch->key->nkeys && batch->key->full)
            *partly = bms_add_member(*partly, i);
        if (missing > 0)
            continue;
        tuplestore_putvalues(batch->staged, batch->desc, values, nulls);
        staged++;
    }
    return staged;
}

/* The numbers of the staged rows that refer to nothing; in the current context. */
static Bitmapset *
find_missing(BatchKey *batch)
{
    MemoryContext context = CurrentMemoryContext;
    RightsScope scope = rights_assume(owner_of(batch->key->to), CHECK_FLAGS);
    Bitmapset *missing = NULL;

    PushActiveSnapshot(GetTransactionSnapshot());
    connect_staged(batch);
    if (batch->plan == NULL)
        prepare_batch(batch);
    if (SPI_execute_plan(batch->plan, NULL, NULL, false, 0) != SPI_OK_SELECT)
        elog(ERROR, "could not check foreign key \"%s\"", batch->key->name);
    for (uint64 i = 0; i < SPI_processed; i++)
    {
        bool null;
        int row = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &null));
        MemoryContext old = MemoryContextSwitchTo(context);

        missing = bms_add_member(missing, row);
        MemoryContextSwitchTo(old);
    }
    SPI_finish();
    PopActiveSnapshot();
    rights_resume(scope);
    return missing;
}

void
foreign_keys_check_batch(ForeignKeys *keys, TupleTableSlot **slots, int count, bool *bad,
                         void (*reject) (void *arg, int i, Reject *reject), void *arg)
{
    ListCell *lc;

    foreach(lc, keys->keys)
    {
        BatchKey *batch = lfirst(lc);
        Bitmapset *found = NULL;
        int row = -1;

        if (keys->storage_of(keys->arg, batch->key->to) != batch->key->to)
            continue;
        if (stage_rows(batch, slots, count, bad, &found) > 0)
            found = bms_add_members(found, find_missing(batch));
        while ((row = bms_next_member(found, row)) >= 0)
        {
            Reject refused;

            refuse_row(keys, batch->key, slots[row], &refused);
            bad[row] = true;
            reject(arg, row, &refused);
        }
    }
}

void
foreign_keys_end(ForeignKeys *keys)
{
    ListCell *lc;

    foreach(lc, keys->keys)
    {
        BatchKey *batch = lfirst(lc);

        if (batch->plan)
            SPI_freeplan(batch->plan);
        tuplestore_end(batch->staged);
    }
}

/* ---- all at once ------------------------------------------------------------------------ */

/* A relation that only this transaction knows: whoever checks may read it. */
static void
let_read(Oid storage, Oid table)
{
    GrantStmt *grant = makeNode(GrantStmt);
    AccessPriv *select = makeNode(AccessPriv);
    RoleSpec *everyone = makeNode(RoleSpec);
    RightsScope scope;

    if (storage == table)
        return;
    select->priv_name = "select";
    everyone->roletype = ROLESPEC_PUBLIC;
    grant->is_grant = true;
    grant->targtype = ACL_TARGET_OBJECT;
    grant->objtype = OBJECT_TABLE;
    grant->objects = list_make1(makeRangeVar(get_namespace_name(get_rel_namespace(storage)), get_rel_name(storage), -1));
    grant->privileges = list_make1(select);
    grant->grantees = list_make1(everyone);
    scope = rights_assume(owner_of(storage), 0);
    ExecuteGrantStmt(grant);
    rights_resume(scope);
    CommandCounterIncrement();
}

static char *
missing_sql(const ForeignKey *key, Oid from, Oid to)
{
    char *values[INDEX_MAX_KEYS];
    StringInfoData sql;

    initStringInfo(&sql);
    appendStringInfoString(&sql, "SELECT ");
    for (int i = 0; i < key->nkeys; i++)
    {
        values[i] = psprintf("f.%s", quote_identifier(get_attname(key->from, key->from_keys[i], false)));
        appendStringInfo(&sql, "%s%s", i ? ", " : "", values[i]);
    }
    appendStringInfo(&sql, " FROM ONLY %s AS f WHERE ", name_of(from));
    for (int i = 0; i < key->nkeys; i++)
        appendStringInfo(&sql, "%s IS NOT NULL AND ", values[i]);
    append_missing(&sql, key, to, values);
    appendStringInfoString(&sql, " LIMIT 1");
    return sql.data;
}

pg_noreturn static void
report_missing(const ForeignKey *key)
{
    StringInfoData values;

    initStringInfo(&values);
    for (int i = 0; i < key->nkeys; i++)
        appendStringInfo(&values, "%s%s", i ? ", " : "", SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, i + 1));
    ereport(ERROR, (errcode(ERRCODE_FOREIGN_KEY_VIOLATION),
                    errmsg("the new rows violate foreign key constraint \"%s\" of table \"%s\"", key->name, get_rel_name(key->from)),
                    errdetail("Key (%s)=(%s) would not be present in table \"%s\".", list_columns(key->from, key->from_keys, key->nkeys),
                              values.data, get_rel_name(key->to)),
                    errhint("Load all rows that others refer to, or the table that refers to them as well.")));
    pg_unreachable();
}

/* `other`: the table at the other end of the key, which is read with its owner's rights. */
static void
check_all(const ForeignKey *key, Oid other, StorageOf storage_of, const void *arg)
{
    Oid from = storage_of(arg, key->from), to = storage_of(arg, key->to);
    RightsScope scope;
    SPIPlanPtr plan;

    LockRelationOid(other, ShareRowExclusiveLock);
    let_read(from, key->from);
    let_read(to, key->to);
    scope = rights_assume(owner_of(other), CHECK_FLAGS);
    PushActiveSnapshot(GetTransactionSnapshot());
    SPI_connect();
    plan = SPI_prepare(missing_sql(key, from, to), 0, NULL);
    check_plan(plan, from, to);
    if (SPI_execute_plan(plan, NULL, NULL, true, 1) != SPI_OK_SELECT)
        elog(ERROR, "could not check foreign key \"%s\"", key->name);
    if (SPI_processed > 0)
        report_missing(key);
    SPI_freeplan(plan);
    SPI_finish();
    PopActiveSnapshot();
    rights_resume(scope);
}

void
foreign_keys_check_all(Oid relid, StorageOf storage_of, const void *arg)
{
    List *outward = read_keys(relid, false), *inward = read_keys(relid, true);
    ListCell *lc;

    CommandCounterIncrement();
    foreach(lc, outward)
        check_all(lfirst(lc), ((ForeignKey *) lfirst(lc))->to, storage_of, arg);
    foreach(lc, inward)
        check_all(lfirst(lc), ((ForeignKey *) lfirst(lc))->from, storage_of, arg);
}
