/*
 * settings.h: the settings under which values are read, whoever reads them.
 *
 * A cell, an expression and a pattern mean the same in every session: DateStyle
 * ISO, MDY, zone UTC with the usual abbreviations, and so on; the whole list is
 * in settings.c.  A worker has them for good; where the catalog is changed or a
 * pipeline is compiled or previewed they hold for the call; elsewhere
 * (kaireon.read, previews, inference) only while a value is converted.
 */
#ifndef KAIREON_SETTINGS_H
#define KAIREON_SETTINGS_H

#include "postgres.h"

/* What reading a value depends on. */
typedef enum SettingsNeed
{
    SETTINGS_NONE,           /* nothing: numbers, text, JSON, uuid */
    SETTINGS_CLOCK,          /* dates, zones and what is left as long as no locale is asked */
    SETTINGS_LOCALE          /* the locale as well: money, names of months in a pattern */
} SettingsNeed;

/* What the input function of a type depends on; pattern: of to_date and its kin, or NULL. */
extern SettingsNeed settings_need(Oid type, const char *pattern);

/* Runs work(arg) under the fixed settings it needs and restores the session's, also when it raises. */
extern void settings_fixed(SettingsNeed need, void (*work) (void *arg), void *arg);

/* Sets them until the current GUC nest level ends (AtEOXact_GUC). */
extern void settings_fix_level(void);

/* Sets them for the session: a worker's. */
extern void settings_fix_session(void);

#endif
