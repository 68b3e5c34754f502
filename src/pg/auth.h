/*
 * auth.h: a connector's credentials on their way: from the argument auth_config
 * into the vault, and from there into a request to the reader.
 *
 * No SQL function sees their values.  A function of schema kaireon that has an
 * argument auth_config is called through auth_begin: the PL/pgSQL behind it
 * gets the argument's shape, the same keys without values, checks that, and
 * asks for the sealed whole with kaireon_internal.seal_auth.
 *
 * A value may be a reference instead: {"file": "/path"} or {"env": "NAME"}.  It
 * is stored as such and resolved each time the credentials are opened, with the
 * rights of the connector's owner.
 */
#ifndef KAIREON_AUTH_H
#define KAIREON_AUTH_H

#include "postgres.h"
#include "fmgr.h"
#include "utils/jsonb.h"
#include "utils/uuid.h"

#include "pg/secret.h"

/* What a connector's row says about its credentials; part of a PipelineSpec. */
typedef struct Auth
{
    pg_uuid_t connector;
    char *name;              /* of the connector, for messages */
    char *method;
    bytea *sealed;           /* NULL: there are none */
    Secret *packed;          /* of a connector that is not saved, instead of sealed */
    bool may_files;          /* the owner may refer to files */
    bool may_env;            /* the owner may refer to any variable */
} Auth;

/* Notes what the connector's owner may refer to; in a transaction. */
extern void auth_set_owner(Auth *auth, Oid owner);

/*
 * The credentials as a JSON object for the reader, in UTF-8, references
 * resolved; the caller's to free, as soon as they are sent.  Needs no
 * transaction.  Raises what vault_open does, KA013 for a reference that leads
 * nowhere, 42501 for one its owner has no right to.
 */
extern Secret *auth_open(const Auth *auth);

/*
 * Credentials in the form the vault seals.  Raises 42501 for references that
 * the caller or the owner has no right to, 54000 when they are too large, 22023
 * for a reference that is none.
 */
extern Secret *auth_pack(Jsonb *auth_config, Oid caller, Oid owner);

/* The same without references, which only the use can tell anything about; nor are rights looked at. */
extern Secret *auth_pack_values(Jsonb *auth_config);

/* ---- calls that carry credentials */

/* One call under way; the struct is the caller's and lives until auth_end. */
typedef struct AuthCall
{
    Jsonb *auth_config;
    struct AuthCall *outer;
} AuthCall;

/* Begins a call and gives the argument's shape: strings are empty, numbers 0. */
extern Jsonb *auth_begin(AuthCall *call, Jsonb *auth_config);
/* Ends it; also after an error, from where it was begun. */
extern void auth_end(AuthCall *call);
/* The auth_config of the call that is under way; NULL: none is. */
extern Jsonb *auth_under_way(void);

/*
 * kaireon_internal.seal_auth(connector uuid, caller regrole, owner regrole) RETURNS bytea:
 * the credentials of the call under way, sealed for that connector.
 */
extern PGDLLEXPORT Datum kaireon_seal_auth(PG_FUNCTION_ARGS);

/*
 * kaireon_internal.public_auth(keys text[]) RETURNS jsonb: those keys of the call
 * under way with their values: fields that a type declares not to be secret.
 */
extern PGDLLEXPORT Datum kaireon_public_auth(PG_FUNCTION_ARGS);

#endif
