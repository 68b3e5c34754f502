/*
 * azure.h: the driver for blobs in a container of an Azure storage account.
 *
 * azure.c is the driver, credentials.c reads the key or the shared access
 * signature, list.c asks for listings, move.c copies and deletes.
 */
#ifndef KAIREON_AZURE_H
#define KAIREON_AZURE_H

#include "net/shared_key.h"
#include "store/store.h"

extern const Driver driver_azure_blob_storage;

/* Bytes of an answer in XML: a page of a listing has AZURE_PAGE blobs, with their metadata. */
#define AZURE_XML_MAX (16U << 20)
#define AZURE_PAGE "2000"

/* How requests are authorized: by a key or a signature, of which one is there.  Ours, and overwritten when they are freed. */
typedef struct AzureAuth
{
    uint8_t *key;               /* NULL: none */
    size_t nkey;
    char *sas;                  /* the parameters, without a question mark; NULL: none */
    char *signature;            /* of them: its value, */
    char *plain_signature;      /* and the same, decoded */
    char until[40];             /* when it expires, as it says; "": it does not */
    char *endpoint;             /* that a connection string names; NULL: none */
    char *suffix;               /* of hosts, the same */
    bool plain_http;            /* the same */
} AzureAuth;

typedef struct Azure
{
    Store store;
    char *account;                          /* NULL: it needs no name */
    char *container, *prefix;               /* the prefix is "" or ends in a slash */
    char *base;                 /* URL of the container, without a slash at its end */
    AzureAuth auth;
    HttpSigner signer;
    HttpHeader headers[1];
    char hint[300];
} Azure;

/* ---- credentials.c -------------------------------------------------------------- */

/* Reads auth_config; fails with 22023.  No message has anything of what is secret. */
STATUS_CHECK bool azure_credentials_read(Azure *azure, const DriverConfig *config, Status *st);
void azure_credentials_free(AzureAuth *auth);

/* ---- list.c -------------------------------------------------------------------- */

/* As Driver.list. */
STATUS_CHECK bool azure_list(void *session, const char *resource, DriverEmit emit, void *context, Status *st);

/* As Driver.look. */
STATUS_CHECK bool azure_look(void *session, DriverEmit emit, void *context, Status *st);

/* ---- move.c -------------------------------------------------------------------- */

/* As Driver.move: a copy and a deletion. */
STATUS_CHECK bool azure_move(void *session, const DriverEntry *entry, const char *to, char *place, size_t size, Status *st);

/* ---- azure.c ------------------------------------------------------------------- */

/* Whether it can be the name of an account.  Fails with 22023. */
STATUS_CHECK bool azure_check_account(const char *account, Status *st);

/* Appends the URL of a blob below the prefix, with the signature where there is one, and a zero byte. */
STATUS_CHECK bool azure_blob_url(const Azure *azure, const char *path, Buf *url, Status *st);

/* Appends the parameters of the signature, where there is one, behind `before` ("?" or "&"). */
STATUS_CHECK bool azure_add_signature(const Azure *azure, const char *before, Buf *url, Status *st);

/* What signs requests; NULL where the URL has a signature. */
const HttpSigner *azure_signer(const Azure *azure);

#endif
