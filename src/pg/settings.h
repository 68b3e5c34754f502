/*
 * settings.h: the settings under which values are read, whoever reads them.
 *
 * A cell means the same in every session: DateStyle ISO, MDY, IntervalStyle
 * postgres, zone UTC.  A worker has them for good; elsewhere (kaireon.read,
 * previews, inference) they hold only while a value is converted.
 */
#ifndef KAIREON_SETTINGS_H
#define KAIREON_SETTINGS_H

#include "postgres.h"

/* Runs work(arg) under the fixed settings and restores the session's, also when it raises. */
extern void settings_fixed(void (*work) (void *arg), void *arg);

#endif
