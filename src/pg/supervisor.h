/*
 * supervisor.h: the supervisor of one database's runs.
 */
#ifndef KAIREON_SUPERVISOR_H
#define KAIREON_SUPERVISOR_H

#include "postgres.h"

/* Entry of the background worker; arg is the index of its DatabaseSlot. */
extern PGDLLEXPORT void kaireon_supervisor_main(Datum arg);

#endif
