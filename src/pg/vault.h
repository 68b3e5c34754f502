/*
 * vault.h: credentials of connectors, encrypted.
 *
 * AES-256-GCM under the master key (masterkey.h).  A sealed value is
 *
 *    3 bytes   "KRV"
 *    1 byte    version of this form: 1
 *    8 bytes   which key: the beginning of SHA-256 over a label and the key
 *   12 bytes   nonce, random
 *    n bytes   ciphertext
 *   16 bytes   tag
 *
 * and what is authenticated besides is all before the nonce and the connector's
 * id: a value that is changed, or put into another connector's row, does not
 * open.  Nothing here is reachable by SQL but the rotation.
 */
#ifndef KAIREON_VAULT_H
#define KAIREON_VAULT_H

#include "postgres.h"
#include "fmgr.h"
#include "utils/uuid.h"

#include "pg/secret.h"

/* Seals with the current key; in the current context.  Raises KA010 without a key. */
extern bytea *vault_seal(const Secret *plain, const pg_uuid_t *connector);

/*
 * Opens with the current or the previous key, whichever it was sealed with; the
 * result is the caller's to free.  `name` is the connector's, for messages.
 * Raises KA010 without a key, KA011 when it was another key, KA012 when the
 * value is damaged or was sealed for another connector.  Needs no transaction.
 */
extern Secret *vault_open(bytea *sealed, const pg_uuid_t *connector, const char *name);

/*
 * kaireon.rotate_master_key() RETURNS int: seals every connector's credentials
 * with the current key that are sealed with the previous one; how many.
 */
extern PGDLLEXPORT Datum kaireon_rotate_master_key(PG_FUNCTION_ARGS);

#endif
