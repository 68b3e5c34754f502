/*
 * run.h: the worker of one run.
 */
#ifndef KAIREON_RUN_H
#define KAIREON_RUN_H

#include "postgres.h"

/* Entry of the background worker; arg is the index of its RunSlot. */
extern PGDLLEXPORT void kaireon_run_main(Datum arg);

#endif
