/*
 * guc.h: the settings kaireon.*; README documents them.
 */
#ifndef KAIREON_GUC_H
#define KAIREON_GUC_H

#include "postgres.h"

extern char *guc_local_fs_archive_roots; /* the same, where files may be moved */
extern bool guc_instance_credentials;
extern char *guc_egress_allow;         /* comma-separated rules of src/net/egress.h */
extern char *guc_local_fs_roots;       /* comma-separated absolute directories */
extern int guc_reader_memory_limit;    /* MB */
extern int guc_max_workers;            /* runs at once, in all databases */
extern int guc_max_logged_errors;      /* rows of run_errors a run at most */
extern int guc_work_mem;               /* kB: of a run's set node, for each relation, sort and hash table */
extern int guc_supervisor_idle;        /* seconds an idle supervisor stays */
extern int guc_ddl_lock_timeout;       /* ms a catalog function waits for a lock; 0: as lock_timeout says */
extern int guc_swap_lock_timeout;      /* ms others have to leave a table whose storage is exchanged */
extern int guc_expression_timeout;     /* ms the evaluation of a row may take; 0: no limit */
extern int guc_max_field_bytes;        /* kB: results of expressions */
extern char *guc_instance_name;        /* tells the database from its copies; empty: none */
extern char *guc_master_key_file;      /* see masterkey.h */
extern char *guc_master_key_command;
extern char *guc_previous_master_key_file;
extern char *guc_previous_master_key_command;
extern int guc_master_key_timeout;     /* seconds */
extern char *guc_credential_env;       /* comma-separated names; see auth.h */

extern void guc_define(void);

#endif
