/*
 * file_pattern.c: see file_pattern.h.
 */
#include "postgres.h"

#include "pg/file_pattern.h"

#include "catalog/pg_collation.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgtime.h"
#include "regex/regex.h"
#include "utils/builtins.h"

#include "pg/date_tokens.h"
#include "pg/errors.h"
#include "pg/fetch.h"
#include "pg/guc.h"
#include "pg/row_watch.h"

/* Of a pattern, in bytes. */
#define MAX_VALUE 1000

static const char *const types[] = {"glob", "regex", "dateGlob", NULL};
static const JsonKey pattern_keys[] = {
    {"type", JSON_STRING, true, types}, {"value", JSON_STRING, true, NULL}, {"timezone", JSON_STRING, false, NULL}, {NULL, 0, false, NULL}};

/* NULL: there is none, or, in a pipeline that is wrong, none that can be understood. */
static JsonbContainer *
pattern_of(JsonbContainer *config)
{
    JsonbContainer *pattern = json_get_container(config, "pattern");

    return pattern && json_get_text(pattern, "type") && json_get_text(pattern, "value") ? pattern : NULL;
}

static bool
is_of_type(JsonbContainer *config, const char *type)
{
    JsonbContainer *pattern = pattern_of(config);

    return pattern && strcmp(json_get_text(pattern, "type"), type) == 0;
}

/* As it is written: "resource" or "path". */
static char *
resource_of(JsonbContainer *config)
{
    char *resource = json_get_text(config, "resource");

    if (resource == NULL)
        resource = json_get_text(config, "path");
    return resource ? resource : pstrdup("");
}

/* ---- time zones ------------------------------------------------------------------ */

/* NULL: unknown.  PostgreSQL takes any "ABC5" for a zone, as POSIX has it. */
static pg_tz *
find_zone(const char *name)
{
    static const char *const with_digits[] = {"EST5EDT", "CST6CDT", "MST7MDT", "PST8PDT", "GMT0", "GMT+0", "GMT-0"};
    pg_tz *zone = strlen(name) <= TZ_STRLEN_MAX ? pg_tzset(name) : NULL;
    const char *known = zone ? pg_get_timezone_name(zone) : "";

    if (zone == NULL || !pg_tz_acceptable(zone))
        return NULL;
    if (strpbrk(known, "0123456789") == NULL || strpbrk(known, "abcdefghijklmnopqrstuvwxyz") != NULL)
        return zone;
    for (size_t i = 0; i < lengthof(with_digits); i++)
    {
        if (strcmp(with_digits[i], known) == 0)
            return zone;
    }
    return NULL;
}

/* ---- checking -------------------------------------------------------------------- */

typedef struct Checking
{
    JsonbContainer *config;
    const char *value;
    JsonComplain complain;
    void *arg;
} Checking;

static void
complain_value(const Checking *c, char *message, const char *hint)
{
    c->complain(c->arg, "wrong_value", message, hint);
}

/* The text with its options in front, to be found as a whole. */
static char *
anchored(const char *value)
{
    bool ignores_case = strncmp(value, "(?i)", 4) == 0;

    return psprintf("%s^(?:%s)$", ignores_case ? "(?i)" : "", value + (ignores_case ? 4 : 0));
}

/* What PostgreSQL says against a regular expression; NULL: nothing. */
static char *
regex_mistake(const char *value)
{
    int length = strlen(value), code;
    pg_wchar *wide = palloc(sizeof(pg_wchar) * (length + 1));
    char message[100];
    regex_t regex;

    code = pg_regcomp(&regex, wide, pg_mb2wchar_with_len(value, wide, length), REG_ADVANCED, DEFAULT_COLLATION_OID);
    if (code == REG_OKAY)
    {
        pg_regfree(&regex);
        return NULL;
    }
    CHECK_FOR_INTERRUPTS();
    pg_regerror(code, &regex, message, sizeof(message));
    return pstrdup(message);
}

static void
check_regex(const Checking *c)
{
    char *mistake = regex_mistake(c->value);

    /* whole by itself, it may still not be what it was behind other options than (?i) */
    if (mistake == NULL)
        mistake = regex_mistake(anchored(c->value));
    if (mistake)
        complain_value(c, psprintf("\"value\" of \"pattern\" is no regular expression: %s", mistake),
                       "It is one of PostgreSQL's, which has to match a file's whole path below \"resource\", for example \"[^/]*\\\\.csv\"; it may begin with (?i).");
    if (resource_of(c->config)[0] == '/')
        complain_value(c, pstrdup("\"resource\" beside a regex pattern must not begin with a slash"), "It is a folder below the connector's base, for example \"in\".");
}

/* Wildcards of a glob: paths below a folder. */
static void
check_path(const Checking *c)
{
    if (c->value[0] == '/')
        complain_value(c, pstrdup("\"value\" of \"pattern\" must not begin with a slash"), "It stands for paths below \"resource\", for example \"*.csv\".");
    for (const char *part = c->value; *part; part += strcspn(part, "/"), part += *part == '/')
    {
        if (strcspn(part, "/") == 2 && strncmp(part, "..", 2) == 0)
            complain_value(c, pstrdup("\"value\" of \"pattern\" must not contain \"..\""), "Name the folder in \"resource\".");
    }
}

static void
check_dates(const Checking *c, bool expands)
{
    bool any = false;

    for (const char *at = c->value; *at; at++)
    {
        int length = *at == '{' ? date_token_length(at) : 0;

        any |= length > 0;
        if (*at == '\\' && at[1])
            at++;
        else if (*at == '{' && length == 0 && expands)
            complain_value(c, psprintf("\"value\" of \"pattern\" contains \"%s\", which is no date", date_token_shown(at)),
                           "Dates are written " DATE_TOKENS ". A brace of a name is written \\\\{.");
    }
    if (expands && !any)
        complain_value(c, pstrdup("\"value\" of a dateGlob pattern has no date"), "For example \"orders_{YYYYMMDD}*.csv\"; dates are written " DATE_TOKENS ".");
    if (!expands && any)
        complain_value(c, pstrdup("\"value\" of a glob pattern has a date, which would not be replaced"), "Say \"type\": \"dateGlob\". A brace of a name is written \\\\{.");
}

/* The first character of a resource with a meaning in patterns. */
static const char *
find_wildcard(const char *resource)
{
    for (; *resource; resource++)
    {
        if (*resource == '\\' && resource[1])
            resource++;
        else if (strchr("*?[", *resource))
            return resource;
    }
    return NULL;
}

void
file_pattern_check(JsonbContainer *config, JsonComplain complain, void *arg)
{
    JsonbContainer *pattern = json_get_container(config, "pattern");
    Checking c = {config, NULL, complain, arg};
    char *zone;

    if (pattern == NULL || !json_check(pattern, pattern_keys, "\"pattern\"", complain, arg))
        return;
    c.value = json_get_text(pattern, "value");
    zone = json_get_text(pattern, "timezone");
    if (zone && find_zone(zone) == NULL)
        complain_value(&c, psprintf("time zone \"%s\" is unknown", zone), "Names are those of the IANA, for example \"Europe/Berlin\"; the view pg_timezone_names has them.");
    if (find_wildcard(resource_of(config)))
        complain_value(&c, pstrdup("\"resource\" beside \"pattern\" must be a folder, without wildcards"),
                       "Move them into the pattern, whose \"**\" is folders of any depth. In a folder's name they are written \\\\*, \\\\? and \\\\[.");
    if (c.value[0] == '\0' || strlen(c.value) > MAX_VALUE)
    {
        complain_value(&c, psprintf("\"value\" of \"pattern\" must have from 1 to %d bytes", MAX_VALUE), "For example \"*.csv\".");
        return;
    }
    if (is_of_type(config, "regex"))
        check_regex(&c);
    else
    {
        check_path(&c);
        check_dates(&c, is_of_type(config, "dateGlob"));
    }
}

/* ---- what is asked for ------------------------------------------------------------- */

bool
file_pattern_has_dates(JsonbContainer *config)
{
    return is_of_type(config, "dateGlob");
}

/* A path below the folder of the config. */
static char *
below_folder(JsonbContainer *config, const char *path)
{
    char *folder = resource_of(config);
    int n = strlen(folder);

    while (n > 0 && folder[n - 1] == '/')
        n--;
    return n > 0 ? psprintf("%.*s/%s", n, folder, path) : pstrdup(path);
}

static char *
expand(JsonbContainer *pattern, TimestampTz at)
{
    char *zone = json_get_text(pattern, "timezone");

    return date_tokens_expand(json_get_text(pattern, "value"), at, zone ? find_zone(zone) : NULL);
}

char *
file_pattern_resource(JsonbContainer *config, TimestampTz at)
{
    JsonbContainer *pattern = pattern_of(config);

    if (pattern == NULL)
        return resource_of(config);
    if (is_of_type(config, "regex"))
        return below_folder(config, "**");
    return below_folder(config, is_of_type(config, "dateGlob") ? expand(pattern, at) : json_get_text(pattern, "value"));
}

bool
file_pattern_may_miss(JsonbContainer *config)
{
    char *value;

    if (!is_of_type(config, "dateGlob"))
        return false;
    value = json_get_text(pattern_of(config), "value");
    return strchr(value + strcspn(value, "{"), '/') != NULL;
}

char *
file_pattern_shown(JsonbContainer *config, const TimestampTz *at)
{
    JsonbContainer *pattern = pattern_of(config);
    char *value = pattern ? json_get_text(pattern, "value") : NULL;

    if (pattern == NULL)
        return resource_of(config);
    if (is_of_type(config, "regex"))
        return psprintf("%s ~ %s", resource_of(config), value);
    return at ? file_pattern_resource(config, *at) : below_folder(config, value);
}

/* ---- regular expressions ------------------------------------------------------------ */

typedef struct Selection
{
    text *regex;
    char *folders[2];        /* without slashes at the end: as it is written; without "." and empty components */
    List *listed;
    int place;               /* of the file at hand */
    List *left;
} Selection;

/* The folder, wildcards unescaped; `clean`: as paths of a listing have it where folders exist. */
static char *
plain_folder(JsonbContainer *config, bool clean)
{
    const char *at = resource_of(config);
    StringInfoData out;

    initStringInfo(&out);
    while (*at)
    {
        bool begins = out.len == 0 || out.data[out.len - 1] == '/';

        if (clean && begins && (*at == '/' || (at[0] == '.' && (at[1] == '/' || at[1] == '\0'))))
        {
            at++;
            continue;
        }
        if (*at == '\\' && at[1])
            at++;
        appendStringInfoChar(&out, *at++);
    }
    while (out.len > 0 && out.data[out.len - 1] == '/')
        out.data[--out.len] = '\0';
    return out.data;
}

static const char *
path_below(const Selection *s, const char *path)
{
    for (size_t i = 0; i < lengthof(s->folders); i++)
    {
        size_t n = strlen(s->folders[i]);

        if (n > 0 && strncmp(path, s->folders[i], n) == 0 && path[n] == '/')
            return path + n + 1;
    }
    return path;
}

static void
select_files(void *arg)
{
    Selection *s = arg;

    for (; s->place < list_length(s->listed); s->place++)
    {
        FetchObject *file = list_nth(s->listed, s->place);
        const char *path = path_below(s, file->path);

        CHECK_FOR_INTERRUPTS();
        if (RE_compile_and_execute(s->regex, unconstify(char *, path), strlen(path), REG_ADVANCED, DEFAULT_COLLATION_OID, 0, NULL))
            s->left = lappend(s->left, file);
    }
}

List *
file_pattern_select(JsonbContainer *config, List *listed)
{
    Selection s = {.listed = listed};

    if (!is_of_type(config, "regex"))
        return listed;
    s.regex = cstring_to_text(anchored(json_get_text(pattern_of(config), "value")));
    s.folders[0] = plain_folder(config, false);
    s.folders[1] = plain_folder(config, true);
    while (s.place < list_length(listed))
    {
        bool innocent;
        ErrorData *error = row_watch_try(select_files, &s, CurrentMemoryContext, &s.place, &innocent);

        if (error && !innocent && error->sqlerrcode == ERRCODE_KAIREON_EXPRESSION_TIMEOUT)
            ereport(ERROR, (errcode(ERRCODE_KAIREON_EXPRESSION_TIMEOUT),
                            errmsg("the regular expression of \"pattern\" took longer than kaireon.expression_timeout (%d ms)", guc_expression_timeout),
                            errdetail("It was about file \"%s\".", ((FetchObject *) list_nth(listed, s.place))->path),
                            errhint("Regular expressions with back references and nested repetitions may run for ages; a glob never does.")));
        if (error && !innocent)
            ReThrowError(error);
    }
    return s.left;
}
