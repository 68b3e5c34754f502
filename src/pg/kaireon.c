/*
 * kaireon.c: what happens when the server loads the library.
 *
 * Preloaded, it reserves shared memory and registers the launcher.  Loaded by
 * a session only (CREATE EXTENSION without preloading), functions that need
 * neither work and the others say what is missing.  Either way queries are
 * planned with a hook that looks for kaireon.read, statements about roles and
 * tables are followed by the catalog, and credentials are kept out of logs.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"

#include "pg/control.h"
#include "pg/guc.h"
#include "pg/launcher.h"
#include "pg/ownership.h"
#include "pg/redact.h"
#include "pg/scan.h"
#include "pg/utility.h"
#include "pg/wipe.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
    guc_define();
    if (IsBinaryUpgrade)         /* pg_upgrade builds a catalog: nothing of ours may read or run it */
        return;
    scan_install_hook();
    ownership_install_hooks();
    redact_install_hooks();
    if (!process_shared_preload_libraries_in_progress)
        return;
    control_install_hooks();
    wipe_install_hook();
    utility_install_hook();
    launcher_register();
}
