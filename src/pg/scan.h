/*
 * scan.h: kaireon.read as a scan of its own.
 *
 * PostgreSQL runs a set-returning function in FROM to its end and keeps all
 * rows before the first is used.  So calls of kaireon.read in FROM are planned
 * as a custom scan instead, which streams, reads only the columns the query
 * uses, and stops when the query does.
 */
#ifndef KAIREON_SCAN_H
#define KAIREON_SCAN_H

/* Installs the planner hook; in _PG_init. */
extern void scan_install_hook(void);

#endif
