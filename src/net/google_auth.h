/*
 * google_auth.h: who requests to Google's APIs are made as.
 *
 * The auth_methods of Google's connector types:
 *
 *   service_account_json  a key file; a JWT signed with it is exchanged for access tokens
 *   token                 an access token, as it is
 *   iam_role              the machine's own, as Google's libraries find them: the file
 *                         that GOOGLE_APPLICATION_CREDENTIALS names (service_account or
 *                         authorized_user), else the metadata server
 *   none                  nobody
 */
#ifndef KAIREON_GOOGLE_AUTH_H
#define KAIREON_GOOGLE_AUTH_H

#include <jansson.h>

#include "net/oauth2.h"

typedef struct GoogleAuth
{
    OAuth2 holder;
    HttpSigner signer;
    const HttpSettings *settings;
    char *scope;
    /* texts of a key file; overwritten when they are freed */
    char *email, *key, *key_id;                 /* service_account */
    char *client, *secret, *refresh;            /* authorized_user */
    char *token_uri;
    char *metadata;                             /* URL that gives the machine's tokens */
} GoogleAuth;

/* What is known when a connector is opened; borrowed. */
typedef struct GoogleAuthConfig
{
    const char *method;
    const json_t *auth;         /* auth_config, may be NULL */
    const json_t *ambient;      /* as in DriverConfig: NULL: the machine's own may not be used */
    const char *scope;          /* what the tokens shall allow: a URL */
    const HttpSettings *settings;   /* for asking token endpoints; until google_auth_free */
    bool checks;                /* as in DriverConfig: what is not told is not missed */
} GoogleAuthConfig;

/*
 * Reads the credentials, of which nothing is borrowed; fails with 22023, or 42501 when the
 * machine's may not be used.  Does not connect.  In any case to be freed.
 */
STATUS_CHECK bool google_auth_open(GoogleAuth *auth, const GoogleAuthConfig *config, Status *st);
void google_auth_free(GoogleAuth *auth);

/* Who signs requests; NULL: they go out anonymous.  Lives as long as `auth`. */
const HttpSigner *google_auth_signer(const GoogleAuth *auth);

/*
 * Whether the machine's own tokens may be sent to `url`: to Google over TLS, or to the host
 * that this variable of the server's environment names, as it does for Google's libraries.
 * They can do whatever the machine may, and who makes a connector chooses the address.
 */
bool google_auth_may_send(const json_t *ambient, const char *variable, const char *url);

#endif
