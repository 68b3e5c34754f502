/*
 * settings.c: the settings under which values are read.  See settings.h.
 *
 * settings_fixed changes the variables behind the settings directly: it is for
 * single cells, where going through the settings' own machinery would cost
 * more than the conversion.
 */
#include "postgres.h"

#include "pg/settings.h"

#include "miscadmin.h"
#include "pgtime.h"
#include "utils/guc.h"

void
settings_fixed(void (*work) (void *arg), void *arg)
{
    static pg_tz *utc = NULL;
    int date_style = DateStyle, date_order = DateOrder, interval_style = IntervalStyle;
    pg_tz *zone = session_timezone;

    if (utc == NULL)
        utc = pg_tzset("UTC");
    PG_TRY();
    {
        DateStyle = USE_ISO_DATES;
        DateOrder = DATEORDER_MDY;
        IntervalStyle = INTSTYLE_POSTGRES;
        session_timezone = utc;
        work(arg);
    }
    PG_FINALLY();
    {
        DateStyle = date_style;
        DateOrder = date_order;
        IntervalStyle = interval_style;
        session_timezone = zone;
    }
    PG_END_TRY();
}

void
settings_fix_level(void)
{
    static const char *const settings[][2] = {
        {"DateStyle", "ISO, MDY"}, {"IntervalStyle", "postgres"}, {"TimeZone", "UTC"}, {"extra_float_digits", "1"}};

    for (size_t i = 0; i < lengthof(settings); i++)
        (void) set_config_option(settings[i][0], settings[i][1], PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}
