/*
 * jwt.h: JSON Web Tokens (RFC 7519) that are signed with an RSA key: RS256 of RFC 7518, over OpenSSL's.
 */
#ifndef KAIREON_JWT_H
#define KAIREON_JWT_H

#include <jansson.h>

#include "core/status.h"

/* Bits that a key must have: RFC 7518, 3.3. */
#define JWT_KEY_BITS 2048

/* Whether a private key in PEM can be signed with; as jwt_sign. */
STATUS_CHECK bool jwt_check_key(const char *key, const char *what, Status *st);

/*
 * Signs claims with a private key in PEM; *token is to be freed by secret_free.  `key_id`
 * tells who checks it which key that is; NULL: nothing does.  `what` names the key in
 * messages, which never show it.  Fails with 22023 when the key can't be used.
 */
STATUS_CHECK bool jwt_sign(const json_t *claims, const char *key, const char *key_id, const char *what, char **token, Status *st);

#endif
