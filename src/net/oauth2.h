/*
 * oauth2.h: OAuth 2 access tokens (RFC 6749, 6750), got anew before they end.
 *
 * A holder has one token, and is the signer of the requests that carry it.  It
 * asks its source for another one before the token ends, and once more when a server
 * does not accept it (401).  Sources that are token endpoints ask them by
 * oauth2_ask, which has a client of its own: the one whose request is being signed
 * is in the middle of a step.
 */
#ifndef KAIREON_OAUTH2_H
#define KAIREON_OAUTH2_H

#include <time.h>

#include "net/http.h"

typedef struct OAuth2
{
    /* ---- set by who makes it ---- */
    /* Gets another token and gives it to oauth2_set; NULL: the one that was set is all there is. */
    bool (*source)(void *context, struct OAuth2 *holder, Status *st);
    void *context;

    /* ---- its own ---- */
    char *token;            /* NULL: none yet */
    time_t until;           /* when another one is wanted; 0: never */
    Status failure;         /* why there was none the last time, */
    time_t failed_until;    /* which is not tried again before this */
} OAuth2;

/* Sets the token, which ends after so many seconds; -1: nobody said when.  Fails with 08P01 when it is none that can be sent. */
STATUS_CHECK bool oauth2_set(OAuth2 *holder, const char *token, int64_t seconds, Status *st);

/* Sets the token to what a token endpoint has answered, in JSON; `what` names the answer. */
STATUS_CHECK bool oauth2_take(OAuth2 *holder, const char *answer, size_t n, const char *what, Status *st);

/* Asks a token endpoint with a form of names and values, and takes its answer.  Fails with 28000 when it refuses. */
STATUS_CHECK bool oauth2_ask(OAuth2 *holder, const HttpSettings *settings, const char *url, const HttpHeader *form, size_t nform, Status *st);

/* Signs requests with the holder's token. */
HttpSigner oauth2_signer(OAuth2 *holder);

/* Overwrites the token. */
void oauth2_free(OAuth2 *holder);

#endif
