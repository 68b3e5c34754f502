/*
 * worker.c: what Kaireon's background workers have in common.  See worker.h.
 */
#include "postgres.h"

#include "pg/worker.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/snapmgr.h"

#include "pg/compat.h"
#include "pg/control.h"

BackgroundWorkerHandle *
worker_start(const char *function, const char *type, const char *name, int arg)
{
    MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
    BackgroundWorker worker = {0};
    BackgroundWorkerHandle *handle;
    bool started;

    worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
    worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
    worker.bgw_restart_time = BGW_NEVER_RESTART;
    strlcpy(worker.bgw_library_name, "kaireon", sizeof(worker.bgw_library_name));
    strlcpy(worker.bgw_function_name, function, sizeof(worker.bgw_function_name));
    strlcpy(worker.bgw_name, name, BGW_MAXLEN);
    strlcpy(worker.bgw_type, type, BGW_MAXLEN);
    worker.bgw_main_arg = Int32GetDatum(arg);
    worker.bgw_notify_pid = MyProcPid;
    started = RegisterDynamicBackgroundWorker(&worker, &handle);
    MemoryContextSwitchTo(old);
    if (control_note_slot(started))
        ereport(LOG, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
                      errmsg("kaireon has no background worker slot left; runs wait"),
                      errhint("Consider increasing max_worker_processes.")));
    return started ? handle : NULL;
}

/* With exit_on_error the first bad row would end the process, which could not say why. */
static bool
refuse_exit(bool *value, void **extra, GucSource source)
{
    if (!*value)
        return true;
    GUC_check_errcode(ERRCODE_FEATURE_NOT_SUPPORTED);
    GUC_check_errmsg("exit_on_error can't be set in a worker of Kaireon");
    GUC_check_errdetail("It would end the run without a word at the first error.");
    return false;
}

void
worker_fix_settings(void)
{
    static const char *const settings[][2] = {
        {"default_transaction_read_only", "off"}, {"statement_timeout", "0"}, {"transaction_timeout", "0"}, {"lock_timeout", "0"},
        {"idle_in_transaction_session_timeout", "0"}, {"role", "none"}, {"row_security", "on"}, {"session_replication_role", "origin"},
        {"exit_on_error", "off"}};

    for (size_t i = 0; i < lengthof(settings); i++)
    {
        if (GetConfigOption(settings[i][0], true, false)) /* one is since 17 */
            SetConfigOption(settings[i][0], settings[i][1], PGC_SUSET, PGC_S_SESSION);
    }
    compat_guard_bool_setting("exit_on_error", refuse_exit);
}

bool
worker_can_connect(Oid database)
{
    Relation rel = table_open(DatabaseRelationId, AccessShareLock);
    Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
    SysScanDesc scan;
    ScanKeyData key;
    HeapTuple tuple;
    bool can;

    ScanKeyInit(&key, Anum_pg_database_oid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(database));
    /* the launcher has no database: it can read the index only when somebody who has one has been here before */
    scan = systable_beginscan(rel, DatabaseOidIndexId, criticalSharedRelcachesBuilt, snapshot, 1, &key);
    tuple = systable_getnext(scan);
    can = HeapTupleIsValid(tuple) && ((Form_pg_database) GETSTRUCT(tuple))->datallowconn;
    systable_endscan(scan);
    UnregisterSnapshot(snapshot);
    table_close(rel, AccessShareLock);
    return can;
}

bool
worker_is_run(void)
{
    return MyBgworkerEntry && strcmp(MyBgworkerEntry->bgw_library_name, "kaireon") == 0 && strcmp(MyBgworkerEntry->bgw_type, "kaireon run") == 0;
}

void
worker_begin(void)
{
    SetCurrentStatementStartTimestamp();
    StartTransactionCommand();
    XactIsoLevel = XACT_READ_COMMITTED;
    XactReadOnly = false;
    PushActiveSnapshot(GetTransactionSnapshot());
}

void
worker_commit(void)
{
    PopActiveSnapshot();
    CommitTransactionCommand();
    pgstat_report_stat(true);
}
