/*
 * call.c: the way from public functions to the catalog's.  See call.h.
 *
 * What the functions do is in sql/; here is only the change of user and of
 * settings around them.  Both are restored when a function returns; when it
 * fails, the end of the (sub)transaction restores them, the user at once.
 */
#include "postgres.h"

#include "pg/call.h"

#include "access/htup_details.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/formatting.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "pg/auth.h"
#include "pg/catalog.h"
#include "pg/errors.h"
#include "pg/guc.h"
#include "pg/rights.h"
#include "pg/settings.h"

PG_FUNCTION_INFO_V1(kaireon_call);
PG_FUNCTION_INFO_V1(kaireon_as_role);
PG_FUNCTION_INFO_V1(kaireon_fail);
PG_FUNCTION_INFO_V1(kaireon_closest);

/* For whom a function of kaireon_internal is running, innermost; as_role does nothing he could not do. */
static Oid served = InvalidOid;

/* Who is called, looked up once a call site. */
typedef struct Target
{
    FmgrInfo function;
    Oid owner;               /* of the extension */
    int auth_config;         /* the argument with credentials, from 0; -1: there is none */
} Target;

static int
find_argument(HeapTuple proc, const char *name)
{
    Oid *types;
    char **names, *modes;
    int count = get_func_arg_info(proc, &types, &names, &modes);

    for (int i = 0; names && i < count; i++)
    {
        if (strcmp(names[i], name) == 0)
            return i;
    }
    return -1;
}

/* The function behind a public one. */
static Target *
find_target(FmgrInfo *flinfo)
{
    Target *target = MemoryContextAllocZero(flinfo->fn_mcxt, sizeof(Target));
    Oid schema = get_namespace_oid("kaireon_internal", false);
    Oid types[FUNC_MAX_ARGS + 1];
    HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(flinfo->fn_oid));
    Form_pg_proc proc;
    Oid found;

    if (!HeapTupleIsValid(tuple))
        elog(ERROR, "cache lookup failed for function %u", flinfo->fn_oid);
    proc = (Form_pg_proc) GETSTRUCT(tuple);
    if (proc->pronargs >= FUNC_MAX_ARGS || proc->proretset)
        elog(ERROR, "function %s can't be called through kaireon_call", NameStr(proc->proname));
    types[0] = REGROLEOID;
    memcpy(&types[1], proc->proargtypes.values, proc->pronargs * sizeof(Oid));
    found = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid, NameGetDatum(&proc->proname),
                            PointerGetDatum(buildoidvector(types, proc->pronargs + 1)), ObjectIdGetDatum(schema));
    if (!OidIsValid(found))
        elog(ERROR, "there is no kaireon_internal.%s for these arguments", NameStr(proc->proname));
    target->auth_config = find_argument(tuple, "auth_config");
    ReleaseSysCache(tuple);
    target->owner = catalog_owner();
    fmgr_info_cxt(found, &target->function, flinfo->fn_mcxt);
    return target;
}

/*
 * Raises an error again that was caught while error_context_stack was empty:
 * its context is ours alone and goes, then the caller's is added.
 */
static void
throw_without_context(MemoryContext context)
{
    ErrorData *error;

    MemoryContextSwitchTo(context);
    error = CopyErrorData();
    FlushErrorState();
    if (error->sqlerrcode != ERRCODE_INTERNAL_ERROR)
    {
        error->context = NULL;
        error->internalquery = NULL;
        error->internalpos = 0;
    }
    if (error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE && error->hint == NULL)
        error->hint = "Another session holds the lock. Try again later, or raise kaireon.ddl_lock_timeout, or lock_timeout where that is shorter.";
    ThrowErrorData(error);
}

/*
 * Settings that hold while the catalog is changed: values mean what they mean
 * in a run, and locks are not waited for without end.  Returns the nest level
 * that AtEOXact_GUC ends.
 */
static int
fix_settings(void)
{
    int level = NewGUCNestLevel();

    settings_fix_level();
    (void) set_config_option("jit", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false); /* many small statements */
    if (guc_ddl_lock_timeout > 0 && (LockTimeout == 0 || LockTimeout > guc_ddl_lock_timeout))
        (void) set_config_option("lock_timeout", psprintf("%d", guc_ddl_lock_timeout), PGC_USERSET, PGC_S_SESSION,
                                 GUC_ACTION_SAVE, true, 0, false);
    return level;
}

Datum
kaireon_call(PG_FUNCTION_ARGS)
{
    LOCAL_FCINFO(inner, FUNC_MAX_ARGS);
    MemoryContext context = CurrentMemoryContext;
    Target *target = fcinfo->flinfo->fn_extra;
    volatile Datum result = (Datum) 0;
    AuthCall auth;
    bool secret;
    Oid user, outer = served;
    int sec_context, level;

    if (func_volatile(fcinfo->flinfo->fn_oid) == PROVOLATILE_VOLATILE) /* the others only read */
    {
        char *name = get_func_name(fcinfo->flinfo->fn_oid);

        catalog_require_primary(name);
        catalog_require_read_write(psprintf("kaireon.%s", name));
    }
    if (target == NULL)
    {
        target = find_target(fcinfo->flinfo);
        fcinfo->flinfo->fn_extra = target;
    }
    GetUserIdAndSecContext(&user, &sec_context);
    /* who may become an owner is not dropped before this transaction has ended */
    shdepLockAndCheckObject(AuthIdRelationId, user);

    InitFunctionCallInfoData(*inner, &target->function, fcinfo->nargs + 1, fcinfo->fncollation, NULL, NULL);
    inner->args[0].value = ObjectIdGetDatum(user);
    inner->args[0].isnull = false;
    for (int i = 0; i < fcinfo->nargs; i++)
        inner->args[i + 1] = fcinfo->args[i];
    secret = target->auth_config >= 0 && !PG_ARGISNULL(target->auth_config);
    if (secret)
        inner->args[target->auth_config + 1].value =
            JsonbPGetDatum(auth_begin(&auth, PG_GETARG_JSONB_P(target->auth_config)));

    level = fix_settings();
    SetUserIdAndSecContext(target->owner, sec_context | SECURITY_LOCAL_USERID_CHANGE);
    PG_TRY();
    {
        error_context_stack = NULL;
        served = user;
        result = FunctionCallInvoke(inner);
    }
    PG_CATCH();
    {
        served = outer;
        SetUserIdAndSecContext(user, sec_context);
        if (secret)
            auth_end(&auth);
        throw_without_context(context);
    }
    PG_END_TRY();
    served = outer;
    SetUserIdAndSecContext(user, sec_context);
    AtEOXact_GUC(true, level);
    if (secret)
        auth_end(&auth);

    fcinfo->isnull = inner->isnull;
    return result;
}

char *
call_internal(const char *sql, int nargs, Oid *types, Datum *values)
{
    MemoryContext context = CurrentMemoryContext;
    char *volatile result = NULL;

    PG_TRY();
    {
        CatalogScope scope;

        error_context_stack = NULL;
        scope = catalog_begin();
        catalog_execute(sql, nargs, types, values, NULL, SPI_OK_SELECT);
        result = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
        if (result)
            result = MemoryContextStrdup(context, result);
        catalog_end(scope);
    }
    PG_CATCH();
    {
        throw_without_context(context);
    }
    PG_END_TRY();
    return result;
}

/*
 * As SPI_execute, but sees what ALTER TABLE will see: all that is committed by
 * now, also in a transaction whose snapshot is older.
 */
static int
execute_latest(const char *sql)
{
    SPIPlanPtr plan = SPI_prepare(sql, 0, NULL);
    Snapshot latest;
    int code;

    if (plan == NULL)
        return SPI_result;
    latest = RegisterSnapshot(GetLatestSnapshot());
    code = SPI_execute_snapshot(plan, NULL, NULL, latest, InvalidSnapshot, false, true, 0);
    UnregisterSnapshot(latest);
    return code;
}

Datum
kaireon_as_role(PG_FUNCTION_ARGS)
{
    Oid role = PG_GETARG_OID(0);
    char *sql = text_to_cstring(PG_GETARG_TEXT_PP(1));
    MemoryContext context = CurrentMemoryContext;
    char *value = NULL;
    RightsScope scope;
    int code;

    if (!OidIsValid(served) || !has_privs_of_role(served, role))
        ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("as_role acts only with rights of who called a function of kaireon"),
                        errdetail("It was called for the role with OID %u.", role),
                        errhint("It is no function to be called by hand.")));

    /*
     * The role's own code may run in there (defaults, row policies): whatever
     * it SETs must be gone before statements of the extension's owner go on.
     */
    scope = rights_assume(role, SECURITY_RESTRICTED_OPERATION);
    SPI_connect();
    code = execute_latest(sql);
    if (code < 0)
        elog(ERROR, "as_role: %s", SPI_result_code_string(code));
    if (SPI_tuptable != NULL && SPI_processed > 0)
    {
        char *found = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);

        if (found != NULL)
            value = MemoryContextStrdup(context, found);
    }
    SPI_finish();
    rights_resume(scope);

    if (value == NULL)
        PG_RETURN_NULL();
    PG_RETURN_TEXT_P(cstring_to_text(value));
}

Datum
kaireon_fail(PG_FUNCTION_ARGS)
{
    const char *code = PG_ARGISNULL(0) ? "" : text_to_cstring(PG_GETARG_TEXT_PP(0));
    const char *message = PG_ARGISNULL(1) ? "" : text_to_cstring(PG_GETARG_TEXT_PP(1));
    const char *detail = PG_ARGISNULL(2) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(2));
    const char *hint = PG_ARGISNULL(3) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(3));

    if (strlen(code) != 5)
        elog(ERROR, "fail: \"%s\" is not an SQLSTATE", code);
    ereport(ERROR,
            errcode(MAKE_SQLSTATE(code[0], code[1], code[2], code[3], code[4])),
            errmsg_internal("%s", message),
            detail ? errdetail_internal("%s", detail) : 0,
            hint ? errhint("%s", hint) : 0);
    PG_RETURN_VOID();
}

Datum
kaireon_closest(PG_FUNCTION_ARGS)
{
    text *word = PG_GETARG_TEXT_PP(0);
    char *lower = asc_tolower(VARDATA_ANY(word), VARSIZE_ANY_EXHDR(word));
    int length = strlen(lower);
    int characters = pg_mbstrlen(lower);
    int best = Min(Max(characters / 3, 1) + 1, characters); /* of another letter nobody has meant this one */
    text *found = NULL;
    Datum *items;
    bool *nulls;
    int count;

    deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), TEXTOID, -1, false, TYPALIGN_INT, &items, &nulls, &count);
    for (int i = 0; i < count; i++)
    {
        text *item = nulls[i] ? NULL : DatumGetTextPP(items[i]);
        char *other;
        int distance;

        /* What is longer than names get is not worth the time; nor does the function take it. */
        if (item == NULL || length > 255 || VARSIZE_ANY_EXHDR(item) > 255)
            continue;
        other = asc_tolower(VARDATA_ANY(item), VARSIZE_ANY_EXHDR(item));
        distance = varstr_levenshtein_less_equal(lower, length, other, strlen(other), 1, 1, 1, best, true);
        if (distance < best)
        {
            best = distance;
            found = item;
        }
    }
    if (found == NULL)
        PG_RETURN_NULL();
    PG_RETURN_TEXT_P(found);
}
