/*
 * settings.h: the settings under which values are read, whoever reads them.
 *
 * A cell means the same in every session: DateStyle ISO, MDY, IntervalStyle
 * postgres, zone UTC.  A worker has them for good; where the catalog is changed
 * they hold for the call; elsewhere (kaireon.read, previews, inference) only
 * while a value is converted.
 */
#ifndef KAIREON_SETTINGS_H
#define KAIREON_SETTINGS_H

#include "postgres.h"

/* Runs work(arg) under the fixed settings and restores the session's, also when it raises. */
extern void settings_fixed(void (*work) (void *arg), void *arg);

/* Sets them until the current GUC nest level ends (AtEOXact_GUC). */
extern void settings_fix_level(void);

#endif
