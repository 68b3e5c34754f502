/*
 * settings.c: the settings under which values are read.  See settings.h.
 *
 * The variables behind the settings are changed directly: this happens for
 * single cells, where going through the settings' own machinery would cost
 * more than the conversion.
 */
#include "postgres.h"

#include "pg/settings.h"

#include "miscadmin.h"
#include "pgtime.h"

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
