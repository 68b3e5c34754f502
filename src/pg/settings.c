/*
 * settings.c: the settings under which values are read.  See settings.h.
 *
 * settings_fixed changes the variables behind the settings directly: it is for
 * single cells, where going through the settings' own machinery would cost
 * more than the conversion.  What has no variable of its own is looked at, and
 * only set by that machinery in a session that has changed it.
 */
#include "postgres.h"

#include "pg/settings.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "pgtime.h"
#include "utils/array.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/xml.h"

#include "pg/compat.h"

/* utils/pg_locale.h declares these, but needs ICU's headers, which Debian's server package does not bring. */
extern PGDLLIMPORT char *locale_time;
extern PGDLLIMPORT char *locale_monetary;

static const struct { const char *name; const char *value; } settings[] = {
    /* how dates, times and their zones are read, and written where an expression makes text of them */
    {"DateStyle", "ISO, MDY"}, {"IntervalStyle", "postgres"}, {"TimeZone", "UTC"}, {"timezone_abbreviations", "Default"},
    /* how other values become text in an expression */
    {"extra_float_digits", "1"}, {"bytea_output", "hex"}, {"xmlbinary", "base64"}, {"quote_all_identifiers", "off"},
    /* names of months, digits' separators, amounts of money */
    {"lc_time", "C"}, {"lc_numeric", "C"}, {"lc_monetary", "C"},
    /* how values are read */
    {"array_nulls", "on"}, {"xmloption", "content"},
    /* how expressions are read */
    {"standard_conforming_strings", "on"}, {"backslash_quote", "safe_encoding"}, {"transform_null_equals", "off"}};

SettingsNeed
settings_need(Oid type, const char *pattern)
{
    Oid base = getBaseType(type);
    Oid element = get_base_element_type(base);

    if (pattern)
        return strstr(pattern, "TM") || strstr(pattern, "tm") ? SETTINGS_LOCALE : SETTINGS_CLOCK;
    if (base == CASHOID || (OidIsValid(element) && getBaseType(element) == CASHOID))
        return SETTINGS_LOCALE;
    if (type != base)            /* its check constraints may depend on anything */
        return SETTINGS_CLOCK;
    switch (type)
    {
        case TEXTOID:
        case VARCHAROID:
        case BPCHAROID:
        case INT2OID:
        case INT4OID:
        case INT8OID:
        case NUMERICOID:
        case FLOAT4OID:
        case FLOAT8OID:
        case BOOLOID:
        case BYTEAOID:
        case UUIDOID:
        case JSONOID:
        case JSONBOID:
            return SETTINGS_NONE;
        default:
            return SETTINGS_CLOCK;
    }
}

/* Are those fixed already that have no variable we can change? */
static bool
others_are_fixed(SettingsNeed need)
{
    static char **abbreviations = NULL;

    if (abbreviations == NULL)
        abbreviations = compat_string_setting("timezone_abbreviations");
    return strcmp(*abbreviations, "Default") == 0 &&
           (need < SETTINGS_LOCALE || (strcmp(locale_time, "C") == 0 && strcmp(locale_monetary, "C") == 0));
}

void
settings_fixed(SettingsNeed need, void (*work) (void *arg), void *arg)
{
    static pg_tz *utc = NULL;
    int date_style = DateStyle, date_order = DateOrder, interval_style = IntervalStyle, xml_option = xmloption;
    bool nulls = Array_nulls;
    pg_tz *zone = session_timezone;
    int volatile level = 0;

    if (need == SETTINGS_NONE)
    {
        work(arg);
        return;
    }
    if (!others_are_fixed(need))
    {
        level = NewGUCNestLevel();
        settings_fix_level();
    }
    if (utc == NULL)
        utc = pg_tzset("UTC");
    PG_TRY();
    {
        DateStyle = USE_ISO_DATES;
        DateOrder = DATEORDER_MDY;
        IntervalStyle = INTSTYLE_POSTGRES;
        session_timezone = utc;
        xmloption = XMLOPTION_CONTENT;
        Array_nulls = true;
        work(arg);
    }
    PG_FINALLY();
    {
        if (level > 0)
            AtEOXact_GUC(true, level);
        DateStyle = date_style;
        DateOrder = date_order;
        IntervalStyle = interval_style;
        session_timezone = zone;
        xmloption = xml_option;
        Array_nulls = nulls;
    }
    PG_END_TRY();
}

void
settings_fix_level(void)
{
    for (size_t i = 0; i < lengthof(settings); i++)
    {
        /* some are dear to set: abbreviations of zones are read from a file */
        if (strcmp(GetConfigOption(settings[i].name, false, false), settings[i].value) != 0)
            (void) set_config_option(settings[i].name, settings[i].value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
    }
}

void
settings_fix_session(void)
{
    for (size_t i = 0; i < lengthof(settings); i++)
        SetConfigOption(settings[i].name, settings[i].value, PGC_USERSET, PGC_S_SESSION);
}
