/*
 * ownership.c: what PostgreSQL's own statements about roles and tables mean for ours.  See ownership.h.
 *
 * A hook around utility statements notes what one is about before it is
 * executed, and calls the catalog's function after PostgreSQL has checked the
 * rights and done its part.  Roles are of the cluster, the catalog is of this
 * database: what a role owns in another one is not seen from here.
 */
#include "postgres.h"

#include "pg/ownership.h"

#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/user.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "pg/call.h"
#include "pg/catalog.h"
#include "pg/compat.h"

PG_FUNCTION_INFO_V1(kaireon_require_can_become);

/* What a statement is about, noted before it is executed. */
typedef struct Subject
{
    List *roles;             /* OIDs */
    List *names;             /* of DROP ROLE's roles, as String */
    Oid new_owner;
    bool cascade;
} Subject;

static ProcessUtility_hook_type previous_utility = NULL;
static object_access_hook_type previous_access = NULL;

/* Tables that the utility statement being executed has dropped. */
static List *dropped = NIL;
static bool noting = false;

static void
watch_access(ObjectAccessType access, Oid class, Oid object, int sub, void *arg)
{
    if (previous_access)
        previous_access(access, class, object, sub, arg);
    if (access == OAT_DROP && noting && class == RelationRelationId && sub == 0 &&
        get_rel_persistence(object) != RELPERSISTENCE_TEMP)
    {
        char kind = get_rel_relkind(object);
        MemoryContext old;

        if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE && kind != RELKIND_FOREIGN_TABLE)
            return;
        old = MemoryContextSwitchTo(TopTransactionContext);
        dropped = lappend_oid(dropped, object);
        MemoryContextSwitchTo(old);
    }
}

static Datum
oid_array(List *oids)
{
    Datum *values = palloc(sizeof(Datum) * Max(list_length(oids), 1));
    ListCell *lc;

    foreach(lc, oids)
        values[foreach_current_index(lc)] = ObjectIdGetDatum(lfirst_oid(lc));
    return PointerGetDatum(construct_array(values, list_length(oids), OIDOID, sizeof(Oid), true, TYPALIGN_INT));
}

static Subject
note_subject(Node *statement)
{
    Subject subject = {0};

    if (IsA(statement, ReassignOwnedStmt))
    {
        subject.roles = roleSpecsToIds(((ReassignOwnedStmt *) statement)->roles);
        subject.new_owner = get_rolespec_oid(((ReassignOwnedStmt *) statement)->newrole, false);
    }
    else if (IsA(statement, DropOwnedStmt))
    {
        subject.roles = roleSpecsToIds(((DropOwnedStmt *) statement)->roles);
        subject.cascade = ((DropOwnedStmt *) statement)->behavior == DROP_CASCADE;
    }
    else if (IsA(statement, DropRoleStmt))
    {
        ListCell *lc;

        foreach(lc, ((DropRoleStmt *) statement)->roles)
        {
            RoleSpec *spec = lfirst(lc);
            Oid role = spec->roletype == ROLESPEC_CSTRING ? get_role_oid(spec->rolename, true) : InvalidOid;

            if (!OidIsValid(role))
                continue; /* PostgreSQL says what is wrong with it, or skips it */
            subject.roles = lappend_oid(subject.roles, role);
            subject.names = lappend(subject.names, makeString(pstrdup(spec->rolename)));
        }
    }
    return subject;
}

/* The statement has been executed: the catalog follows. */
static void
follow(Node *statement, const Subject *subject)
{
    Oid types[] = {OIDARRAYOID, OIDOID, BOOLOID};
    Datum values[] = {oid_array(subject->roles), ObjectIdGetDatum(subject->new_owner), BoolGetDatum(subject->cascade)};
    ListCell *role, *name;

    CommandCounterIncrement();
    if (!catalog_installed()) /* not any more, or never */
        return;
    if (dropped != NIL)
    {
        Datum tables = oid_array(dropped);

        call_internal("SELECT kaireon_internal.forget_tables($1)", 1, types, &tables);
    }
    if (IsA(statement, ReassignOwnedStmt))
        call_internal("SELECT kaireon_internal.reassign_owned($1, $2)", 3, types, values);
    else if (IsA(statement, DropOwnedStmt))
        call_internal("SELECT kaireon_internal.drop_owned($1, $3)", 3, types, values);
    else if (IsA(statement, DropRoleStmt))
    {
        Oid role_types[] = {OIDOID, TEXTOID};

        forboth(role, subject->roles, name, subject->names)
        {
            Datum role_values[] = {ObjectIdGetDatum(lfirst_oid(role)), CStringGetTextDatum(strVal(lfirst(name)))};

            call_internal("SELECT kaireon_internal.drop_role($1, $2)", 2, role_types, role_values);
        }
    }
}

static bool
changes_owners(Node *statement)
{
    return IsA(statement, ReassignOwnedStmt) || IsA(statement, DropOwnedStmt) || IsA(statement, DropRoleStmt);
}

static void
pass_on(PlannedStmt *pstmt, const char *query, bool read_only_tree, ProcessUtilityContext context, ParamListInfo params,
        QueryEnvironment *env, DestReceiver *dest, QueryCompletion *completion)
{
    if (previous_utility)
        previous_utility(pstmt, query, read_only_tree, context, params, env, dest, completion);
    else
        standard_ProcessUtility(pstmt, query, read_only_tree, context, params, env, dest, completion);
}

static void
watch_utility(PlannedStmt *pstmt, const char *query, bool read_only_tree, ProcessUtilityContext context, ParamListInfo params,
              QueryEnvironment *env, DestReceiver *dest, QueryCompletion *completion)
{
    Node *statement = pstmt->utilityStmt;
    bool watched = changes_owners(statement);
    bool outer_noting = noting;
    List *outer_dropped = dropped;
    Subject subject = {0};

    /* DROP EXTENSION and DROP SCHEMA reach tables too; only they and their like are in DropStmt */
    if (!watched && !IsA(statement, DropStmt))
    {
        pass_on(pstmt, query, read_only_tree, context, params, env, dest, completion);
        return;
    }
    if (watched && catalog_installed())
        subject = note_subject(statement);
    PG_TRY();
    {
        dropped = NIL;
        noting = true;
        pass_on(pstmt, query, read_only_tree, context, params, env, dest, completion);
        if (subject.roles != NIL || dropped != NIL)
            follow(statement, &subject);
    }
    PG_FINALLY();
    {
        noting = outer_noting;
        dropped = outer_dropped;
    }
    PG_END_TRY();
}

void
ownership_install_hooks(void)
{
    previous_utility = ProcessUtility_hook;
    ProcessUtility_hook = watch_utility;
    previous_access = object_access_hook;
    object_access_hook = watch_access;
}

Datum
kaireon_require_can_become(PG_FUNCTION_ARGS)
{
    compat_check_can_become(PG_GETARG_OID(0), PG_GETARG_OID(1));
    shdepLockAndCheckObject(AuthIdRelationId, PG_GETARG_OID(1));
    PG_RETURN_VOID();
}
