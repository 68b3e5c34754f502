/*
 * masterkey.h: where the key comes from that credentials are encrypted with.
 *
 * Settings name a file or a command; it is read each time it is needed and kept
 * no longer.  Any backend or worker; no catalog is looked at, so no transaction
 * is needed.
 */
#ifndef KAIREON_MASTERKEY_H
#define KAIREON_MASTERKEY_H

#include "postgres.h"

#include "pg/secret.h"

#define MASTER_KEY_BYTES 32

typedef enum MasterKeyUse
{
    MASTER_KEY_CURRENT,      /* kaireon.master_key_file or _command */
    MASTER_KEY_PREVIOUS      /* kaireon.previous_master_key_file or _command */
} MasterKeyUse;

/* Is there a setting for it? */
extern bool masterkey_configured(MasterKeyUse use);

/*
 * The key: MASTER_KEY_BYTES bytes, the caller's to free.  Raises KA010 when none
 * is configured or it can't be had, saying which setting is to blame; no error
 * shows the setting's value, let alone what was read.
 */
extern Secret *masterkey_load(MasterKeyUse use);

/*
 * Opens a file of secrets: regular, not in the data directory.  Returns a
 * descriptor, or -1 with what is wrong in *reason (no sentence, "is a
 * directory"), or with *reason NULL and errno.
 */
extern int masterkey_open_file(const char *path, const char **reason);

#endif
