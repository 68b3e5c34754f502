/*
 * launcher.h: the one launcher, and the supervisors it starts.
 */
#ifndef KAIREON_LAUNCHER_H
#define KAIREON_LAUNCHER_H

#include "postgres.h"

/* Entry of the static background worker. */
extern PGDLLEXPORT void kaireon_launcher_main(Datum arg);
/* Registers it; from _PG_init while the server preloads. */
extern void launcher_register(void);

#endif
