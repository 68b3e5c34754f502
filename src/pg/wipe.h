/*
 * wipe.h: what the server itself keeps in memory of a statement that carries
 * credentials.
 *
 * Our own copies are Secrets.  The server's are the message as it was received,
 * its texts, parameters, trees and plans: they lie in memory contexts that go
 * with the statement, and in the connection's receive buffer.  Freed memory is
 * not overwritten by the server; here it is.
 */
#ifndef KAIREON_WIPE_H
#define KAIREON_WIPE_H

#include "postgres.h"

/*
 * Sees to it that the memory of the statement under way is overwritten when it
 * is given back: that of the message, of the unnamed portal and the active one,
 * and of the current context with those around it.  Empties the connection's
 * receive buffer at once.  May be called as often as contexts come into being.
 * Client sessions only; elsewhere it does nothing.
 */
extern void wipe_statement(void);

/* The same for the context that a palloc'd thing lies in, for instance a plan. */
extern void wipe_context_of(void *pointer);

/* When the server starts: TLS connections get buffers that do not keep what was read. */
extern void wipe_install_hook(void);

#endif
