/*
 * keyed_hash.c: the keys of hash nodes that have a "keySecret".  See keyed_hash.h.
 */
#include "postgres.h"

#include "pg/keyed_hash.h"

#include <openssl/hmac.h>

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "pg/errors.h"
#include "pg/json.h"
#include "pg/reference.h"

/* A node at work. */
typedef struct KeyedHash
{
    struct KeyedHash *next;
    char *node;
    const EVP_MD *digest;
    Secret *key;
} KeyedHash;

static KeyedHash *at_work = NULL;
static MemoryContext at_work_in = NULL; /* where they are */
static Oid at_work_for = InvalidOid;    /* the pipeline's owner */

PG_FUNCTION_INFO_V1(kaireon_keyed_hash);

/* ---- the config ----------------------------------------------------------------------- */

bool
keyed_hash_configured(const GraphNode *node)
{
    return json_get(node->config, "keySecret") != NULL;
}

/* What the config refers to, in the current context. */
static char *
key_reference(const GraphNode *node, ReferenceKind *kind)
{
    JsonbValue name;

    if (!reference_parse(json_get(node->config, "keySecret"), kind, &name))
        return NULL;
    return pnstrdup(name.val.string.val, name.val.string.len);
}

void
keyed_hash_check(const GraphNode *node, List **findings)
{
    ReferenceKind kind;
    char *name;

    if (!keyed_hash_configured(node))
        return;
    name = key_reference(node, &kind);
    if (name == NULL || name[0] == '\0' || (kind == REFERENCE_FILE && name[0] != '/'))
        graph_complain(findings, node->id, "wrong_value", "Write {\"file\": \"/path\"} or {\"env\": \"NAME\"}: a config is no place for a secret.",
                       "key \"keySecret\" must refer to a file by an absolute path, or to a variable of the server's environment");
}

void
keyed_hash_check_rights(const GraphNode *node, bool collect, List **findings)
{
    ReferenceKind kind;
    char *name = key_reference(node, &kind), *problem;
    Secret *key;

    if (kind == REFERENCE_FILE && !reference_may_files(GetUserId()))
        graph_complain(findings, node->id, "permission_denied", "Let an administrator grant that role.",
                       "the pipeline's owner must have the rights of pg_read_server_files to take \"keySecret\" from a file");
    else if (kind == REFERENCE_ENV && !reference_may_env(superuser(), name))
        graph_complain(findings, node->id, "permission_denied", "Let an administrator add it there.",
                       "unless the pipeline's owner is a superuser, environment variable \"%s\" must be listed in \"kaireon.credential_env\"", name);
    else if (collect)
    {
        key = reference_read(kind, name, &problem);
        if (key == NULL)
            graph_warn(findings, node->id, "missing_secret", problem, "the secret of \"keySecret\" can't be had now");
        secret_free(key);
    }
}

/* ---- an execution ----------------------------------------------------------------------- */

static Secret *
read_key(const GraphNode *node)
{
    ReferenceKind kind;
    char *name = key_reference(node, &kind), *problem;
    Secret *key = reference_read(kind, name, &problem);

    if (key && key->length > 0)
        return key;
    ereport(ERROR, (errcode(ERRCODE_KAIREON_NO_CREDENTIAL), errmsg("the secret of node \"%s\" can't be had", node->id),
                    errdetail_internal("%s", key ? "It is empty." : problem), errhint("Mend what its \"keySecret\" refers to.")));
    pg_unreachable();
}

/* The context has gone, and with it the keys: perhaps after an error, when others are at work already. */
static void
forget_keys(void *context)
{
    if (at_work_in == context)
        at_work = NULL;
}

void
keyed_hash_begin(const Graph *graph)
{
    MemoryContextCallback *callback = palloc0(sizeof(MemoryContextCallback));

    at_work = NULL;
    at_work_in = CurrentMemoryContext;
    at_work_for = GetUserId();
    callback->func = forget_keys;
    callback->arg = CurrentMemoryContext;
    MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
    for (int i = 0; i < graph->nnodes; i++)
    {
        const GraphNode *node = &graph->nodes[i];
        const char *algorithm;
        KeyedHash *hash;

        if (!keyed_hash_configured(node))
            continue;
        hash = palloc(sizeof(KeyedHash));
        hash->node = node->id;
        algorithm = json_get_text(node->config, "algorithm");
        hash->digest = algorithm && strcmp(algorithm, "md5") == 0 ? EVP_md5() : EVP_sha256();
        hash->key = read_key(node);
        hash->next = at_work;
        at_work = hash;
    }
}

void
keyed_hash_end(void)
{
    for (KeyedHash *hash = at_work; hash; hash = hash->next)
        secret_free(hash->key);
    at_work = NULL;
}

Datum
kaireon_keyed_hash(PG_FUNCTION_ARGS)
{
    const text *value = PG_GETARG_TEXT_PP(0);
    const char *bytes = VARDATA_ANY(value), *utf8 = pg_server_to_any(bytes, VARSIZE_ANY_EXHDR(value), PG_UTF8);
    size_t length = utf8 == bytes ? VARSIZE_ANY_EXHDR(value) : strlen(utf8);
    char *node = text_to_cstring(PG_GETARG_TEXT_PP(1)), hex[2 * EVP_MAX_MD_SIZE];
    unsigned char code[EVP_MAX_MD_SIZE];
    unsigned int size;
    const KeyedHash *hash = GetUserId() == at_work_for ? at_work : NULL; /* code of others may be called meanwhile */

    while (hash && strcmp(hash->node, node) != 0)
        hash = hash->next;
    if (hash == NULL)
        PG_RETURN_NULL();
    if (HMAC(hash->digest, hash->key->data, (int) hash->key->length, (const unsigned char *) utf8, length, code, &size) == NULL)
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("OpenSSL has no HMAC with this algorithm"),
                        errdetail("Its configuration forbids it."), errhint("Use algorithm \"sha256\".")));
    hex_encode((const char *) code, size, hex);
    PG_RETURN_TEXT_P(cstring_to_text_with_len(hex, 2 * size));
}
