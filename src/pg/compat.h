/*
 * compat.h: every difference between PostgreSQL versions, in one place.
 *
 * The only file that looks at PG_VERSION_NUM.  Supported: 15, 17, 18.
 */
#ifndef KAIREON_COMPAT_H
#define KAIREON_COMPAT_H

#include "postgres.h"

#include "access/genam.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_proc.h"
#include "commands/explain.h"
#include "commands/tablecmds.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/memnodes.h"
#include "postmaster/bgworker.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/relmapper.h"
#include "utils/tuplesort.h"
#include "utils/wait_event.h"

#if PG_VERSION_NUM < 150000
#error "Kaireon needs PostgreSQL 15 or later"
#endif

#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif
#if PG_VERSION_NUM >= 180000
#include "commands/explain_format.h"
#include "commands/explain_state.h"
#endif

/* Since 16 a summarizing-only update is told apart. */
static inline List *
compat_insert_index_tuples(ResultRelInfo *rel, TupleTableSlot *slot, EState *estate, bool no_dup_error, bool *conflict)
{
#if PG_VERSION_NUM >= 160000
    return ExecInsertIndexTuples(rel, slot, estate, false, no_dup_error, conflict, NIL, false);
#else
    return ExecInsertIndexTuples(rel, slot, estate, false, no_dup_error, conflict, NIL);
#endif
}

/* Since 18 the tuple itself may be left out of the check. */
static inline bool
compat_check_index_constraints(ResultRelInfo *rel, TupleTableSlot *slot, EState *estate, ItemPointer conflict)
{
#if PG_VERSION_NUM >= 180000
    ItemPointerData none;

    ItemPointerSetInvalid(&none);
    return ExecCheckIndexConstraints(rel, slot, estate, conflict, &none, NIL);
#else
    return ExecCheckIndexConstraints(rel, slot, estate, conflict, NIL);
#endif
}

/* Since 18 a query may always be run in parts, which had to be said before. */
static inline void
compat_executor_run(QueryDesc *query, uint64 count)
{
#if PG_VERSION_NUM >= 180000
    ExecutorRun(query, ForwardScanDirection, count);
#else
    ExecutorRun(query, ForwardScanDirection, count, false);
#endif
}

/* Before 18 the mark of a function that does not return stood behind it, under another name. */
#ifndef pg_noreturn
#define pg_noreturn __attribute__((noreturn))
#endif

/* Does this transaction hold the lock, in exactly this mode? */
static inline bool
compat_lock_held(const LOCKTAG *tag, LOCKMODE mode)
{
#if PG_VERSION_NUM >= 170000
    return LockHeldByMe(tag, mode, false);
#else
    return LockHeldByMe(tag, mode);
#endif
}

/* The current user's rights on the relations of a plan. */
static inline void
compat_check_permissions(PlannedStmt *plan)
{
#if PG_VERSION_NUM >= 160000
    ExecCheckPermissions(plan->rtable, plan->permInfos, true);
#else
    ExecCheckRTPerms(plan->rtable, true);
#endif
}

/* The current user's right to call a function that is replaced by something else; raises as a call would. */
static inline void
compat_check_execute(Oid function)
{
#if PG_VERSION_NUM >= 160000
    AclResult result = object_aclcheck(ProcedureRelationId, function, GetUserId(), ACL_EXECUTE);
#else
    AclResult result = pg_proc_aclcheck(function, GetUserId(), ACL_EXECUTE);
#endif

    if (result != ACLCHECK_OK)
        aclcheck_error(result, OBJECT_FUNCTION, get_func_name(function));
    InvokeFunctionExecuteHook(function);
}

/* Raises 42501 unless the member could become the role; since 16 that is the right to SET ROLE. */
static inline void
compat_check_can_become(Oid member, Oid role)
{
#if PG_VERSION_NUM >= 160000
    check_can_set_role(member, role);
#else
    check_is_member_of_role(member, role);
#endif
}

/* Since 17 a worker may run as a role that can't log in. */
#if PG_VERSION_NUM >= 170000
#define COMPAT_WORKER_FLAGS BGWORKER_BYPASS_ROLELOGINCHECK
#define COMPAT_OWNER_NEEDS_LOGIN false
#else
#define COMPAT_WORKER_FLAGS 0
#define COMPAT_OWNER_NEEDS_LOGIN true
#endif

/* Since 17 a wait event set belongs to a resource owner; NULL keeps it until it is freed. */
static inline WaitEventSet *
compat_wait_event_set(MemoryContext context, int events)
{
#if PG_VERSION_NUM >= 170000
    (void) context;
    return CreateWaitEventSet(NULL, events);
#else
    return CreateWaitEventSet(context, events);
#endif
}

/* Since 17 extensions name their wait events; before they share one. */
static inline uint32
compat_wait_event(const char *name)
{
#if PG_VERSION_NUM >= 170000
    return WaitEventExtensionNew(name);
#else
    (void) name;
    return PG_WAIT_EXTENSION;
#endif
}

/* The next Datum of a sort whose values are passed by value; false at the end.  Since 16 it may be left uncopied. */
static inline bool
compat_tuplesort_getdatum(Tuplesortstate *sort, Datum *value)
{
    bool null;

#if PG_VERSION_NUM >= 160000
    return tuplesort_getdatum(sort, true, false, value, &null, NULL);
#else
    return tuplesort_getdatum(sort, true, value, &null, NULL);
#endif
}

/* A setting that is there for sure.  Since 16 one may ask for it. */
static inline struct config_generic *
compat_setting(const char *name)
{
#if PG_VERSION_NUM >= 160000
    return find_option(name, false, false, ERROR);
#else
    for (int i = 0; i < GetNumConfigOptions(); i++)
    {
        if (strcmp(get_guc_variables()[i]->name, name) == 0)
            return get_guc_variables()[i];
    }
    elog(ERROR, "there is no setting \"%s\"", name);
#endif
}

/* The variable behind a string setting, which stays where it is: for looking at it often. */
static inline char **
compat_string_setting(const char *name)
{
    struct config_generic *found = compat_setting(name);

    Assert(found->vartype == PGC_STRING);
    return ((struct config_string *) found)->variable;
}

/* From now on the hook is asked before a boolean setting changes in this process. */
static inline void
compat_guard_bool_setting(const char *name, GucBoolCheckHook hook)
{
    struct config_generic *found = compat_setting(name);

    Assert(found->vartype == PGC_BOOL);
    ((struct config_bool *) found)->check_hook = hook;
}

/* Where a relation's files are.  Since 16 the type, its parts and what takes it have other names. */
#if PG_VERSION_NUM >= 160000
typedef RelFileLocator CompatStorage;
#define compat_storage(rel) (&(rel)->rd_locator)
#define compat_storage_space(storage) ((storage)->spcOid)
#define compat_storage_number(storage) ((storage)->relNumber)
#define compat_mapped_relation(number) RelationMapFilenumberToOid(number, false)
#else
typedef RelFileNode CompatStorage;
#define compat_storage(rel) (&(rel)->rd_node)
#define compat_storage_space(storage) ((storage)->spcNode)
#define compat_storage_number(storage) ((storage)->relNode)
#define compat_mapped_relation(number) RelationMapFilenodeToOid(number, false)
#define PG_IO_ALIGN_SIZE 4096
#endif

/*
 * The storage of rel was made in this transaction and was another relation's so
 * far, which has got rel's: what the relation cache knows of both is exchanged,
 * too.  Before 16 the storage had another name.
 */
static inline void
compat_take_storage(Relation rel, Relation from)
{
    from->rd_createSubid = rel->rd_createSubid;
#if PG_VERSION_NUM >= 160000
    from->rd_newRelfilelocatorSubid = rel->rd_newRelfilelocatorSubid;
    from->rd_firstRelfilelocatorSubid = rel->rd_firstRelfilelocatorSubid;
    RelationAssumeNewRelfilelocator(rel);
#else
    from->rd_newRelfilenodeSubid = rel->rd_newRelfilenodeSubid;
    from->rd_firstRelfilenodeSubid = rel->rd_firstRelfilenodeSubid;
    RelationAssumeNewRelfilenode(rel);
#endif
}

/* TRUNCATE of open, locked and checked tables.  Since 16 their owners may have to run it. */
static inline void
compat_truncate(List *rels, List *relids, List *logged)
{
#if PG_VERSION_NUM >= 160000
    ExecuteTruncateGuts(rels, relids, logged, DROP_RESTRICT, false, false);
#else
    ExecuteTruncateGuts(rels, relids, logged, DROP_RESTRICT, false);
#endif
}

/* A foreign key that is not about equal values, or that nobody enforces; since 18 there are such. */
static inline bool
compat_is_odd_foreign_key(Form_pg_constraint form)
{
#if PG_VERSION_NUM >= 180000
    return form->conperiod || !form->conenforced;
#else
    (void) form;
    return false;
#endif
}

/* Since 18 scans may be instrumented. */
static inline IndexScanDesc
compat_index_beginscan(Relation heap, Relation index, Snapshot snapshot, int nkeys)
{
#if PG_VERSION_NUM >= 180000
    return index_beginscan(heap, index, snapshot, NULL, nkeys, 0);
#else
    return index_beginscan(heap, index, snapshot, nkeys, 0);
#endif
}

/* Since 18 pg_class also says how many pages are all frozen. */
static inline void
compat_set_all_visible(Form_pg_class form, BlockNumber pages)
{
    form->relallvisible = (int32) pages;
#if PG_VERSION_NUM >= 180000
    form->relallfrozen = (int32) pages;
#endif
}

/* Errors that are never turned into data: cancel, shutdown, exhausted resources, broken storage. */
static inline bool
compat_error_must_pass(int sqlerrcode)
{
    int class = ERRCODE_TO_CATEGORY(sqlerrcode);

    return sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE || class == ERRCODE_TO_CATEGORY(ERRCODE_TRANSACTION_ROLLBACK) ||
           class == ERRCODE_TO_CATEGORY(ERRCODE_CONNECTION_EXCEPTION) || class == ERRCODE_TO_CATEGORY(ERRCODE_OPERATOR_INTERVENTION) ||
           class == ERRCODE_TO_CATEGORY(ERRCODE_INSUFFICIENT_RESOURCES) ||
           class == ERRCODE_TO_CATEGORY(ERRCODE_SYSTEM_ERROR) ||
           class == ERRCODE_TO_CATEGORY(ERRCODE_INTERNAL_ERROR);
}

/* Since 17 the receive buffer says how much is left in it.  For who includes libpq/libpq.h. */
#if PG_VERSION_NUM >= 170000
#define COMPAT_RECEIVE_PENDING() (pq_buffer_remaining_data() > 0)
#else
#define COMPAT_RECEIVE_PENDING() pq_buffer_has_data()
#endif

/*
 * Overwrites all that lies in the blocks of an allocation set, which must be
 * about to be reset or deleted.  The beginning of the set's struct and its
 * blocks' are in aset.c only; they are the same in 15 to 18.  A server that is
 * built to check its memory overwrites what is freed by itself, and would find
 * the chunks gone.
 */
static inline void
compat_wipe_blocks(MemoryContext context)
{
#ifndef MEMORY_CONTEXT_CHECKING
    typedef struct Block { void *set; struct Block *before; struct Block *next; char *free; char *end; } Block;
    typedef struct Set { MemoryContextData header; Block *blocks; } Set;

    for (Block *block = ((Set *) context)->blocks; block && block->set == context; block = block->next)
        explicit_bzero((char *) block + MAXALIGN(sizeof(Block)), block->end - (char *) block - MAXALIGN(sizeof(Block)));
#else
    (void) context;
#endif
}

#endif
