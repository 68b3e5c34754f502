/*
 * utility.h: statements of SQL that Kaireon has something to say about.
 *
 * DROP DATABASE and others that want nobody connected: an idle supervisor is
 * asked to go.  DROP EXTENSION: refused while runs are under way, unless
 * they go with it (CASCADE); afterwards it is said which tables stay.
 */
#ifndef KAIREON_UTILITY_H
#define KAIREON_UTILITY_H

#include "postgres.h"

/* When the library is preloaded. */
extern void utility_install_hook(void);

#endif
