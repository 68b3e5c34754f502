/*
 * redact.h: statements that carry credentials are kept out of the server's log,
 * pg_stat_activity and pg_stat_statements.
 *
 * A statement is known by its text (redact_text.h), by being EXECUTE of such a
 * one, or, at the latest, by what it calls.  As soon as it is parsed, what is
 * quoted in its text is blanked out in place: everything that shows the text
 * afterwards shows asterisks.  What is logged before that, and what is logged
 * of parameters, plans and contexts, goes through a hook.
 *
 * What is not reached: pg_stat_activity between a statement's arrival and the
 * end of its parsing, and a statement logged before it runs that hides what it
 * calls in a function of the user's own.
 */
#ifndef KAIREON_REDACT_H
#define KAIREON_REDACT_H

#include "postgres.h"

/* When the library is loaded. */
extern void redact_install_hooks(void);

/* Says that the statement under way carries credentials, whatever it looks like. */
extern void redact_statement(void);

#endif
