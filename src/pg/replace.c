/*
 * replace.c: a table whose rows are replaced as a whole.  See replace.h.
 */
#include "postgres.h"

#include "pg/replace.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/catalog.h"
#include "catalog/pg_am.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_publication.h"
#include "catalog/pg_trigger.h"
#include "commands/tablecmds.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "foreign/fdwapi.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"

#include "pg/catalog.h"
#include "pg/compat.h"
#include "pg/foreign_keys.h"
#include "pg/guard.h"
#include "pg/guc.h"
#include "pg/rights.h"
#include "pg/target.h"

/* How often the lock is tried, and the pauses between, in ms: each is twice the one before. */
#define LOCK_ATTEMPTS 30
#define FIRST_PAUSE 100
#define LONGEST_PAUSE 10000

/* ---- what keeps a table's storage from being exchanged ---------------------------------- */

static const char *
trigger_obstacle(const TriggerDesc *triggers)
{
    for (int i = 0; triggers && i < triggers->numtriggers; i++)
    {
        const Trigger *trigger = &triggers->triggers[i];

        if (trigger->tgfoid == F_UNIQUE_KEY_RECHECK)
            return "it has a deferrable unique constraint";
        if (!trigger->tgisinternal && TRIGGER_FOR_INSERT(trigger->tgtype))
            return "it has a trigger on INSERT";
        if (TRIGGER_FOR_TRUNCATE(trigger->tgtype)) /* internal ones are those of extensions that keep rows elsewhere */
            return "it has a trigger on TRUNCATE";
    }
    return NULL;
}

static const char *
index_obstacle(Relation table)
{
    List *indexes = RelationGetIndexList(table);
    const char *obstacle = NULL;
    ListCell *lc;

    foreach(lc, indexes)
    {
        Relation index = index_open(lfirst_oid(lc), AccessShareLock);

        if (index->rd_index->indisexclusion)
            obstacle = "it has an exclusion constraint";
        else if (RelationGetIndexExpressions(index) != NIL || RelationGetIndexPredicate(index) != NIL)
            obstacle = "it has an index on an expression or on a part of its rows";
        else if (index->rd_index->indisunique && index->rd_rel->relam != BTREE_AM_OID)
            obstacle = "it has a unique index that is no B-tree";
        index_close(index, NoLock);
    }
    list_free(indexes);
    return obstacle;
}

static bool
is_published(Relation table)
{
    return GetAllTablesPublications() != NIL || GetRelationPublications(RelationGetRelid(table)) != NIL ||
           GetSchemaPublications(RelationGetNamespace(table)) != NIL;
}

/* A publication the table is in whose subscribers are not told that it is emptied; NULL: there is none. */
static char *
find_deaf_publication(Relation table)
{
    List *all = list_concat(GetAllTablesPublications(), GetRelationPublications(RelationGetRelid(table)));
    ListCell *lc;

    all = list_concat(all, GetSchemaPublications(RelationGetNamespace(table)));
    foreach(lc, all)
    {
        Publication *publication = GetPublication(lfirst_oid(lc));

        if (!publication->pubactions.pubtruncate || !publication->pubactions.pubinsert)
            return publication->name;
    }
    return NULL;
}

static const char deaf_hint[] = "Let the publication publish insert and truncate, or say \"swapPublished\": true in the node and refresh the subscriptions.";

/* For an errdetail: "it is partitioned"; NULL when nothing does. */
static const char *
find_obstacle(Relation table, bool published)
{
    const TupleDesc desc = RelationGetDescr(table);
    const char *obstacle;

    if (table->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
        return "it is partitioned";
    if (table->rd_rel->relkind == RELKIND_FOREIGN_TABLE)
        return "it is a foreign table";
    if (table->rd_rel->relispartition)
        return "it is a partition";
    if (table->rd_rel->relam != HEAP_TABLE_AM_OID)
        return "its access method is not heap";
    if (desc->constr && desc->constr->has_generated_stored)
        return "it has generated columns";
    if (check_enable_rls(RelationGetRelid(table), InvalidOid, true) == RLS_ENABLED)
        return "its row security applies to the pipeline's owner, so rows that a policy hides stay";
    if ((obstacle = trigger_obstacle(table->trigdesc)) != NULL || (obstacle = index_obstacle(table)) != NULL ||
        (obstacle = foreign_keys_obstacle(table)) != NULL)
        return obstacle;
    return published ? "it is in a publication, whose subscribers would not see that" : NULL;
}

/* ---- emptying it ------------------------------------------------------------------------- */

static const char *const referred_hint = "Drop the foreign key, or load with another strategy.";

static void
refuse_referred(Relation table, const char *obstacle)
{
    Oid referrer = foreign_keys_find_referrer(table);

    if (OidIsValid(referrer))
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                        errmsg("the rows of table \"%s\" can't be replaced as a whole", RelationGetRelationName(table)),
                        errdetail("Table \"%s\" refers to it, and it would have to be emptied first: %s.", get_rel_name(referrer), obstacle),
                        errhint("%s", referred_hint)));
}

static void
refuse_deaf(Relation table, const ProgramTarget *target)
{
    char *deaf = target->swap_published ? NULL : find_deaf_publication(table);

    if (deaf)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("publication \"%s\" does not tell its subscribers that the rows of table \"%s\" are replaced", deaf,
                               RelationGetRelationName(table)),
                        errdetail("They would keep the old rows beside the new ones."), errhint("%s", deaf_hint)));
}

/* What TRUNCATE ONLY does, of a table that is known by its OID; ONLY, unless it has no rows itself. */
static void
truncate_table(Oid relid, char relkind)
{
    List *tables = relkind == RELKIND_PARTITIONED_TABLE ? find_all_inheritors(relid, AccessExclusiveLock, NULL) : list_make1_oid(relid);
    List *rels = NIL, *logged = NIL;
    ListCell *lc;

    foreach(lc, tables)
    {
        Relation rel = table_open(lfirst_oid(lc), AccessExclusiveLock);

        CheckTableNotInUse(rel, "TRUNCATE");
        if (rel->rd_rel->relkind == RELKIND_FOREIGN_TABLE && GetFdwRoutineForRelation(rel, false)->ExecForeignTruncate == NULL)
            ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("cannot truncate foreign table \"%s\"", RelationGetRelationName(rel))));
        rels = lappend(rels, rel);
        if (RelationIsLogicallyLogged(rel))
            logged = lappend_oid(logged, lfirst_oid(lc));
    }
    compat_truncate(rels, tables, logged);
    foreach(lc, rels)
        table_close(lfirst(lc), NoLock);
}

/* DELETE names the table, which is locked; but its schema may be renamed: what was planned is looked at. */
static void
delete_rows(Oid relid, char relkind)
{
    char *name = quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), get_rel_name(relid));
    SPIPlanPtr plan;
    CachedPlan *cached;
    bool planned;

    SPI_connect();
    plan = SPI_prepare(psprintf("DELETE FROM %s%s", relkind == RELKIND_RELATION ? "ONLY " : "", name), 0, NULL);
    if (plan == NULL || SPI_keepplan(plan) != 0)
        elog(ERROR, "could not empty a table: %s", SPI_result_code_string(SPI_result));
    cached = SPI_plan_get_cached_plan(plan);
    planned = list_member_oid(linitial_node(PlannedStmt, cached->stmt_list)->relationOids, relid);
    ReleaseCachedPlan(cached, CurrentResourceOwner);
    if (!planned || SPI_execute_plan(plan, NULL, NULL, false, 0) != SPI_OK_DELETE)
        elog(ERROR, "could not empty a table: another has its name");
    SPI_freeplan(plan);
    SPI_finish();
}

/* As the owner of the pipeline, for whom the table's triggers run. */
static void
empty_table(Oid relid, char relkind, bool truncates)
{
    RightsScope scope = rights_assume(GetUserId(), 0);

    if (truncates)
        truncate_table(relid, relkind);
    else
    {
        PushActiveSnapshot(GetTransactionSnapshot());
        delete_rows(relid, relkind);
        PopActiveSnapshot();
    }
    rights_resume(scope);
    CommandCounterIncrement();
}

static void
note_obstacle(Relation table, const ProgramTarget *target, bool truncates, const char *obstacle, Rejects *rejects)
{
    Reject note = {.kind = REJECT_WARNS, .node = target->node, .sqlstate = ERRCODE_WARNING};

    note.reason = psprintf("table \"%s\" was emptied by %s and filled, not exchanged for a new one: %s", RelationGetRelationName(table),
                           truncates ? "TRUNCATE" : "DELETE", obstacle);
    rejects_note(rejects, &note);
}

/* What replaces the rows of the table: *obstacle is why it can't be exchanged, or NULL; *truncates, whether it is emptied by TRUNCATE then.  The right for it. */
static AclMode
choose_way(Relation table, const ProgramTarget *target, const char **obstacle, bool *truncates)
{
    bool published = is_published(table) && !target->swap_published;

    *obstacle = find_obstacle(table, published);
    *truncates = target->strategy == LOAD_TRUNCATE || published;
    /* what is exchanged is emptied, too */
    return *obstacle == NULL || *truncates ? ACL_TRUNCATE : ACL_DELETE;
}

static char *
right_hint(Relation table, AclMode right)
{
    return psprintf("GRANT %s ON %s TO %s.", right == ACL_TRUNCATE ? "TRUNCATE" : "DELETE",
                    quote_qualified_identifier(get_namespace_name(RelationGetNamespace(table)), RelationGetRelationName(table)),
                    quote_identifier(GetUserNameFromId(GetUserId(), false)));
}

void
replace_check(const ProgramTarget *target, List **findings)
{
    Relation table = try_table_open(target->schema->relid, AccessShareLock);
    const char *obstacle;
    bool truncates;
    AclMode right;
    Oid referrer;
    char *deaf;

    if (table == NULL)
        return;
    right = choose_way(table, target, &obstacle, &truncates);
    if (pg_class_aclcheck(RelationGetRelid(table), GetUserId(), right) != ACLCHECK_OK)
        graph_complain(findings, target->node->id, "permission_denied", right_hint(table, right),
                       "permission denied for table %s, all rows of which loading strategy %s replaces", RelationGetRelationName(table),
                       target_strategy_name(target->strategy));
    if (!target->swap_published && (deaf = find_deaf_publication(table)) != NULL)
        graph_complain(findings, target->node->id, "not_published", deaf_hint,
                       "publication \"%s\" does not tell its subscribers that the rows of table %s are replaced", deaf, RelationGetRelationName(table));
    if (obstacle && OidIsValid(referrer = foreign_keys_find_referrer(table)))
        graph_complain(findings, target->node->id, "referred_to", referred_hint,
                       "the rows of table %s can't be replaced as a whole: table %s refers to it, and it would have to be emptied first, because %s",
                       RelationGetRelationName(table), get_rel_name(referrer), obstacle);
    table_close(table, AccessShareLock);
}

bool
replace_begin(Relation *table, const ProgramTarget *target, Rejects *rejects)
{
    Oid relid = RelationGetRelid(*table);
    char relkind = (*table)->rd_rel->relkind;
    const char *obstacle;
    bool truncates;
    AclMode right = choose_way(*table, target, &obstacle, &truncates);

    if (pg_class_aclcheck(relid, GetUserId(), right) != ACLCHECK_OK)
        ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("permission denied for table %s", RelationGetRelationName(*table)),
                        errdetail("Loading strategy %s replaces all of its rows.", target_strategy_name(target->strategy)),
                        errhint("%s", right_hint(*table, right))));
    if (obstacle == NULL)
        return true;
    refuse_deaf(*table, target);
    refuse_referred(*table, obstacle);
    note_obstacle(*table, target, truncates, obstacle, rejects);
    table_close(*table, NoLock); /* TRUNCATE wants it for itself */
    empty_table(relid, relkind, truncates);
    *table = table_open(relid, NoLock);
    return false;
}

/* ---- locking it -------------------------------------------------------------------------- */

static void
lock_table(void *arg)
{
    const Oid *table = arg;
    int level = NewGUCNestLevel();

    (void) set_config_option("lock_timeout", psprintf("%d", guc_swap_lock_timeout), PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
    LockRelationOid(*table, AccessExclusiveLock);
    AtEOXact_GUC(true, level);
}

static bool
must_pass(int sqlerrcode)
{
    return sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE && sqlerrcode != ERRCODE_T_R_DEADLOCK_DETECTED;
}

static void
pause_for(long ms)
{
    (void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, ms, compat_wait_event("KaireonSwap"));
    ResetLatch(MyLatch);
    CHECK_FOR_INTERRUPTS();
}

/* Who keeps the table from being locked, as far as `owner` may know. */
static char *
name_holders(Oid table, Oid owner)
{
    Oid types[] = {REGROLEOID, OIDOID};
    Datum values[] = {ObjectIdGetDatum(owner), ObjectIdGetDatum(table)};
    MemoryContext context = CurrentMemoryContext;
    CatalogScope scope = catalog_begin();
    char *holders;

    catalog_execute("SELECT kaireon_internal.holders($1, $2)", 2, types, values, NULL, SPI_OK_SELECT);
    holders = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
    if (holders)
        holders = MemoryContextStrdup(context, holders);
    catalog_end(scope);
    return holders;
}

void
replace_recheck(const ProgramTarget *target)
{
    Relation table = table_open(target->schema->relid, NoLock);

    if (!target->swap_published && is_published(table))
        ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
                        errmsg("table \"%s\" was published while its rows were loaded", RelationGetRelationName(table)),
                        errdetail("Subscribers would not see that its storage is exchanged."),
                        errhint("Run the pipeline again: it takes another way then.")));
    table_close(table, NoLock);
}

void
replace_lock(Oid table, Oid owner, instr_time *since)
{
    long pause = FIRST_PAUSE;
    char *holders;

    for (int i = 0; i < LOCK_ATTEMPTS; i++)
    {
        if (i > 0)
            pause_for(pause);
        if (i > 0)
            pause = Min(pause * 2, LONGEST_PAUSE);
        if (guard_try_but(lock_table, &table, CurrentMemoryContext, must_pass) == NULL)
        {
            INSTR_TIME_SET_CURRENT(*since);
            return;
        }
    }
    holders = name_holders(table, owner);
    ereport(ERROR, (errcode(ERRCODE_LOCK_NOT_AVAILABLE), errmsg("table \"%s\" could not be locked for the exchange", get_rel_name(table)),
                    errdetail("Others used it each of the %d times that it was tried, for as long as kaireon.swap_lock_timeout; now %s.", LOCK_ATTEMPTS,
                              holders ? holders : "nobody"),
                    errhint("Run the pipeline again when they are done, or raise kaireon.swap_lock_timeout.")));
}
