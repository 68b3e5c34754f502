/*
 * guc.c: the settings kaireon.*.  See guc.h.
 *
 * Those that guard the server can't be set by an ordinary user.
 */
#include "postgres.h"

#include "pg/guc.h"

#include <limits.h>

#include "utils/guc.h"
#include "utils/varlena.h"

char *guc_local_fs_roots = NULL;
char *guc_egress_allow = NULL;
bool guc_instance_credentials = false;
char *guc_local_fs_archive_roots = NULL;
int guc_reader_memory_limit = 256;
int guc_max_workers = 4;
int guc_max_logged_errors = 10000;
int guc_work_mem = 65536;
int guc_supervisor_idle = 10;
int guc_ddl_lock_timeout = 5000;
int guc_swap_lock_timeout;
int guc_expression_timeout = 5000;
int guc_max_field_bytes = 16384;
char *guc_instance_name = NULL;
char *guc_master_key_file = NULL;
char *guc_master_key_command = NULL;
char *guc_previous_master_key_file = NULL;
char *guc_previous_master_key_command = NULL;
int guc_master_key_timeout = 10;
char *guc_credential_env = NULL;

static bool
check_roots(char **newval, void **extra, GucSource source)
{
    char *copy = pstrdup(*newval ? *newval : "");
    List *list = NIL;
    ListCell *lc;

    if (!SplitDirectoriesString(copy, ',', &list))
    {
        GUC_check_errdetail("The list is not well formed.");
        return false;
    }
    foreach(lc, list)
    {
        if (!is_absolute_path((char *) lfirst(lc)))
        {
            GUC_check_errdetail("\"%s\" is not an absolute path.", (char *) lfirst(lc));
            return false;
        }
    }
    list_free_deep(list);
    pfree(copy);
    return true;
}

static bool
check_file(char **newval, void **extra, GucSource source)
{
    if (*newval == NULL || (*newval)[0] == '\0' || is_absolute_path(*newval))
        return true;
    GUC_check_errdetail("\"%s\" is not an absolute path.", *newval);
    return false;
}

static bool
check_names(char **newval, void **extra, GucSource source)
{
    char *copy = pstrdup(*newval ? *newval : "");
    List *list = NIL;
    bool good = SplitGUCList(copy, ',', &list);

    if (!good)
        GUC_check_errdetail("The list is not well formed.");
    list_free(list);
    pfree(copy);
    return good;
}

static void
define_vault(void)
{
    DefineCustomStringVariable("kaireon.master_key_file", "File with the key that credentials of connectors are encrypted with.",
                               NULL, &guc_master_key_file, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY, check_file, NULL, NULL);
    DefineCustomStringVariable("kaireon.master_key_command", "Command that prints that key.",
                               NULL, &guc_master_key_command, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY, NULL, NULL, NULL);
    DefineCustomStringVariable("kaireon.previous_master_key_file", "File with the key before, while kaireon.rotate_master_key is due.",
                               NULL, &guc_previous_master_key_file, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY, check_file, NULL, NULL);
    DefineCustomStringVariable("kaireon.previous_master_key_command", "Command that prints the key before.",
                               NULL, &guc_previous_master_key_command, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY, NULL, NULL, NULL);
    DefineCustomIntVariable("kaireon.master_key_timeout", "How long a command for a key may take.",
                            NULL, &guc_master_key_timeout, 10, 1, 300, PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
    DefineCustomStringVariable("kaireon.credential_env", "Variables of the server's environment that credentials may refer to.",
                               "Connectors of superusers may refer to any.", &guc_credential_env, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY,
                               check_names, NULL, NULL);
}

void
guc_define(void)
{
    DefineCustomStringVariable("kaireon.local_fs_roots", "Directories local_fs connectors may read, separated by commas.",
                               "Empty: none.", &guc_local_fs_roots, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY, check_roots, NULL, NULL);
    DefineCustomStringVariable("kaireon.local_fs_archive_roots", "Directories whose files archive nodes may move, separated by commas.",
                               "Empty: none.", &guc_local_fs_archive_roots, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY, check_roots, NULL, NULL);
    DefineCustomStringVariable("kaireon.egress_allow", "Where connectors may connect beside public addresses, separated by commas.",
                               "Names, *.domain, addresses and ranges, each with :PORT or :FROM-TO if not for all ports.",
                               &guc_egress_allow, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY, NULL, NULL, NULL);
    DefineCustomBoolVariable("kaireon.instance_credentials", "Whether connectors may use the machine's own credentials.",
                             "Those in the server's environment and of the cloud's metadata service: of everybody who may make connectors.",
                             &guc_instance_credentials, false, PGC_SIGHUP, GUC_SUPERUSER_ONLY, NULL, NULL, NULL);
    DefineCustomIntVariable("kaireon.reader_memory_limit", "Memory a run's reader may use.", NULL, &guc_reader_memory_limit,
                            256, 16, 65536, PGC_SIGHUP, GUC_UNIT_MB, NULL, NULL, NULL);
    DefineCustomIntVariable("kaireon.max_workers", "Runs at the same time, in all databases; others wait.", NULL,
                            &guc_max_workers, 4, 1, 64, PGC_SIGHUP, 0, NULL, NULL, NULL);
    DefineCustomIntVariable("kaireon.max_logged_errors", "Bad rows a run keeps in run_errors; more are only counted.", NULL,
                            &guc_max_logged_errors, 10000, 0, 1000000, PGC_SIGHUP, 0, NULL, NULL, NULL);
    DefineCustomIntVariable("kaireon.work_mem", "Memory a run's deduplicate, aggregate or join may use for each relation, sort and hash table.",
                            "What needs more goes to temporary files.", &guc_work_mem, 65536, 64, MAX_KILOBYTES, PGC_SIGHUP, GUC_UNIT_KB,
                            NULL, NULL, NULL);
    DefineCustomIntVariable("kaireon.supervisor_idle_timeout", "How long a database's supervisor stays when it has nothing to do.",
                            NULL, &guc_supervisor_idle, 10, 0, 3600, PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
    DefineCustomIntVariable("kaireon.ddl_lock_timeout", "How long functions that change schemas and pipelines wait for a lock.",
                            "0: as long as lock_timeout says.", &guc_ddl_lock_timeout, 5000, 0, INT_MAX, PGC_USERSET, GUC_UNIT_MS, NULL, NULL, NULL);
    DefineCustomIntVariable("kaireon.swap_lock_timeout", "How long a run that exchanges a table waits for those who use it, each time.",
                            "Others wait behind it meanwhile.", &guc_swap_lock_timeout, 500, 1, INT_MAX, PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
    DefineCustomIntVariable("kaireon.max_field_bytes", "Size of a value that a pipeline's expression may make.", NULL, &guc_max_field_bytes,
                            16384, 1, 256 * 1024, PGC_SIGHUP, GUC_UNIT_KB, NULL, NULL, NULL);
    DefineCustomIntVariable("kaireon.expression_timeout", "Time of the processor that the expressions of a pipeline may take for one row.",
                            "0: no limit.", &guc_expression_timeout, 5000, 0, INT_MAX, PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
    DefineCustomStringVariable("kaireon.instance_name", "The name that tells a database from its copies, the same on all servers that may take it over.",
                               "Empty: the data directory and the machine tell them apart.", &guc_instance_name, "", PGC_SIGHUP, 0, NULL, NULL, NULL);
    define_vault();
    MarkGUCPrefixReserved("kaireon");
}
