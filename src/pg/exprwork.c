/*
 * exprwork.c: calls of expressions take a time.  See exprwork.h.
 *
 * memmem() of the C library is linear, also for texts that are made to be
 * searched slowly; PostgreSQL's own search is faster for most, and is not.
 */
#include "postgres.h"

#include "pg/exprwork.h"

#include "access/detoast.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"

/* Comparisons of a byte with a byte: so many are done in a tenth of a second whatever they are, */
#define QUICK 1e8
/* and these take about one or two. */
#define ALLOWED 1e9

static const struct { Oid function; const char *name; } table[] = {
    {F_STRPOS, "bounded_strpos"}, {F_POSITION_TEXT_TEXT, "bounded_strpos"}, {F_POSITION_BYTEA_BYTEA, "bounded_position"},
    {F_TEXTLIKE, "bounded_like"}, {F_BPCHARLIKE, "bounded_like"}, {F_TEXTNLIKE, "bounded_nlike"}, {F_BPCHARNLIKE, "bounded_nlike"},
    {F_TEXTICLIKE, "bounded_ilike"}, {F_BPCHARICLIKE, "bounded_ilike"}, {F_TEXTICNLIKE, "bounded_nilike"}, {F_BPCHARICNLIKE, "bounded_nilike"},
    {F_BYTEALIKE, "bounded_like"}, {F_BYTEANLIKE, "bounded_nlike"}, {F_SPLIT_PART, "bounded_split_part"},
    {F_STRING_TO_ARRAY_TEXT_TEXT, "bounded_string_to_array"}, {F_STRING_TO_ARRAY_TEXT_TEXT_TEXT, "bounded_string_to_array"},
    {F_TRANSLATE, "bounded_translate"}, {F_BTRIM_TEXT_TEXT, "bounded_btrim"}, {F_LTRIM_TEXT_TEXT, "bounded_ltrim"},
    {F_RTRIM_TEXT_TEXT, "bounded_rtrim"}, {F_BTRIM_BYTEA_BYTEA, "bounded_btrim"}, {F_LTRIM_BYTEA_BYTEA, "bounded_ltrim"},
    {F_RTRIM_BYTEA_BYTEA, "bounded_rtrim"}, {F_ARRAYCONTAINS, "bounded_contains"}, {F_ARRAYCONTAINED, "bounded_contained"},
    {F_ARRAYOVERLAP, "bounded_overlaps"}, {F_JSONB_CONTAINS, "bounded_contains"}, {F_JSONB_CONTAINED, "bounded_contained"},
    {F_JSONB_DELETE_JSONB__TEXT, "bounded_without"}, {F_JSONB_EXISTS_ANY, "bounded_has_any"}, {F_JSONB_EXISTS_ALL, "bounded_has_all"}};

const char *
exprwork_function(Oid function)
{
    for (size_t i = 0; i < lengthof(table); i++)
    {
        if (table[i].function == function)
            return table[i].name;
    }
    return NULL;
}

/* ---- how much there is to do ------------------------------------------------------- */

/* The bytes of a value, which may be compressed or out of line. */
static double
bytes_of(Datum value)
{
    return toast_raw_datum_size(value) - VARHDRSZ;
}

/* All of one may be compared with all of the other. */
static double
work_of(Datum one, Datum other)
{
    return bytes_of(one) * bytes_of(other);
}

static void
require_work(double work, const char *what, Datum one, Datum other)
{
    if (work > ALLOWED)
        ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("%s may take too long for values of this size", what),
                        errdetail("One has %.0f bytes, the other %.0f: all of one may be compared with all of the other, which can't be interrupted.",
                                  bytes_of(one), bytes_of(other)),
                        errhint("Shorten one of them, as with left().")));
}

/* Are texts found where their bytes are: does no character begin within another, and is none equal to another? */
static bool
is_found_by_bytes(Oid collation)
{
    return (GetDatabaseEncoding() == PG_UTF8 || pg_database_encoding_max_length() == 1) &&
           (!OidIsValid(collation) || get_collation_isdeterministic(collation));
}

/* ---- searching ---------------------------------------------------------------------- */

PG_FUNCTION_INFO_V1(kaireon_bounded_strpos);
Datum
kaireon_bounded_strpos(PG_FUNCTION_ARGS)
{
    double work = work_of(PG_GETARG_DATUM(0), PG_GETARG_DATUM(1));
    const text *in, *what;
    const char *found;

    CHECK_FOR_INTERRUPTS();
    if (work <= QUICK)
        return textpos(fcinfo);
    if (!is_found_by_bytes(PG_GET_COLLATION()))
    {
        require_work(work / 2, "strpos()", PG_GETARG_DATUM(0), PG_GETARG_DATUM(1));
        return textpos(fcinfo);
    }
    in = PG_GETARG_TEXT_PP(0);
    what = PG_GETARG_TEXT_PP(1);
    found = memmem(VARDATA_ANY(in), VARSIZE_ANY_EXHDR(in), VARDATA_ANY(what), VARSIZE_ANY_EXHDR(what));
    PG_RETURN_INT32(found ? pg_mbstrlen_with_len(VARDATA_ANY(in), found - VARDATA_ANY(in)) + 1 : 0);
}

PG_FUNCTION_INFO_V1(kaireon_bounded_position);
Datum
kaireon_bounded_position(PG_FUNCTION_ARGS)
{
    const bytea *in = PG_GETARG_BYTEA_PP(0), *what = PG_GETARG_BYTEA_PP(1);
    const char *found = memmem(VARDATA_ANY(in), VARSIZE_ANY_EXHDR(in), VARDATA_ANY(what), VARSIZE_ANY_EXHDR(what));

    PG_RETURN_INT32(found ? found - VARDATA_ANY(in) + 1 : 0);
}

Datum
exprwork_replace(FunctionCallInfo fcinfo)
{
    double work = work_of(PG_GETARG_DATUM(0), PG_GETARG_DATUM(1));
    const text *in, *what;
    const char *at, *end, *found;
    StringInfoData out;

    CHECK_FOR_INTERRUPTS();
    if (work <= QUICK)
        return replace_text(fcinfo);
    if (!is_found_by_bytes(PG_GET_COLLATION()))
    {
        require_work(work / 2, "replace()", PG_GETARG_DATUM(0), PG_GETARG_DATUM(1));
        return replace_text(fcinfo);
    }
    in = PG_GETARG_TEXT_PP(0);
    what = PG_GETARG_TEXT_PP(1);
    at = VARDATA_ANY(in);
    end = at + VARSIZE_ANY_EXHDR(in);
    initStringInfo(&out);
    while ((found = memmem(at, end - at, VARDATA_ANY(what), VARSIZE_ANY_EXHDR(what))) != NULL)
    {
        appendBinaryStringInfo(&out, at, found - at);
        appendBinaryStringInfo(&out, VARDATA_ANY(PG_GETARG_TEXT_PP(2)), VARSIZE_ANY_EXHDR(PG_GETARG_TEXT_PP(2)));
        at = found + VARSIZE_ANY_EXHDR(what);
    }
    appendBinaryStringInfo(&out, at, end - at);
    PG_RETURN_TEXT_P(cstring_to_text_with_len(out.data, out.len));
}

/* ---- LIKE ------------------------------------------------------------------------------ */

/* An operator of the family. */
typedef struct LikeKind
{
    PGFunction own;          /* PostgreSQL's */
    bool negated, folds;     /* NOT LIKE; ILIKE */
    bool bytes;              /* of bytea */
} LikeKind;

static const LikeKind
    like_kind = {textlike, false, false, false}, nlike_kind = {textnlike, true, false, false},
    ilike_kind = {texticlike, false, true, false}, nilike_kind = {texticnlike, true, true, false},
    bytea_like_kind = {bytealike, false, false, true}, bytea_nlike_kind = {byteanlike, true, false, true};

/* A pattern: literal texts, between which anything may be. */
typedef struct LikePattern
{
    char *bytes;             /* of all literals */
    int count;
    int *lengths;
    int longest;
    bool wild;               /* there are single characters that may be any, too */
} LikePattern;

static LikePattern
parse_pattern(const text *pattern)
{
    const char *p = VARDATA_ANY(pattern), *end = p + VARSIZE_ANY_EXHDR(pattern);
    LikePattern parsed = {.bytes = palloc(end - p + 1), .count = 1, .lengths = palloc0(sizeof(int) * (end - p + 1))};
    char *out = parsed.bytes;

    for (; p < end; p++)
    {
        if (*p == '%')
        {
            parsed.count++;
            continue;
        }
        parsed.wild |= *p == '_';
        if (*p == '\\' && ++p == end)
            ereport(ERROR, (errcode(ERRCODE_INVALID_ESCAPE_SEQUENCE), errmsg("LIKE pattern must not end with escape character")));
        *out++ = *p;
        parsed.lengths[parsed.count - 1]++;
        parsed.longest = Max(parsed.longest, parsed.lengths[parsed.count - 1]);
    }
    return parsed;
}

/* The first literal at the beginning, the last at the end, each of the others at the first place behind the one before. */
static bool
matches(const text *value, const LikePattern *pattern)
{
    const char *at = VARDATA_ANY(value), *end = at + VARSIZE_ANY_EXHDR(value), *literal = pattern->bytes;
    int first = pattern->lengths[0], last = pattern->lengths[pattern->count - 1];

    if (pattern->count == 1)
        return end - at == first && memcmp(at, literal, first) == 0;
    if (end - at < (ptrdiff_t) first + last || memcmp(at, literal, first) != 0)
        return false;
    at += first;
    literal += first;
    end -= last;
    for (int i = 1; i < pattern->count - 1; i++)
    {
        at = memmem(at, end - at, literal, pattern->lengths[i]);
        if (at == NULL)
            return false;
        at += pattern->lengths[i];
        literal += pattern->lengths[i];
    }
    return memcmp(end, literal, last) == 0;
}

static bool
like(const LikeKind *kind, Oid collation, Datum value, Datum pattern)
{
    double work = work_of(value, pattern);
    LikePattern parsed;

    CHECK_FOR_INTERRUPTS();
    if (work <= QUICK)
        return DatumGetBool(DirectFunctionCall2Coll(kind->own, collation, value, pattern));
    if (kind->bytes || !is_found_by_bytes(collation))
    {
        require_work(work, "LIKE", value, pattern);
        return DatumGetBool(DirectFunctionCall2Coll(kind->own, collation, value, pattern));
    }
    parsed = parse_pattern(DatumGetTextPP(pattern));
    if (parsed.wild)
    {
        require_work(bytes_of(value) * parsed.longest, "LIKE with _ in its pattern", value, pattern);
        return DatumGetBool(DirectFunctionCall2Coll(kind->own, collation, value, pattern));
    }
    if (kind->folds)
    {
        value = DirectFunctionCall1Coll(lower, collation, value);
        parsed = parse_pattern(DatumGetTextPP(DirectFunctionCall1Coll(lower, collation, pattern)));
    }
    return matches(DatumGetTextPP(value), &parsed) != kind->negated;
}

/* Any of the patterns, or all of them: true or false where one decides, else null where one is null. */
static Datum
like_array(FunctionCallInfo fcinfo, const LikeKind *kind)
{
    ArrayType *array = PG_GETARG_ARRAYTYPE_P(1);
    bool any = PG_GETARG_BOOL(2), unknown = false;
    Datum *patterns;
    bool *nulls;
    int count;

    deconstruct_array(array, ARR_ELEMTYPE(array), -1, false, TYPALIGN_INT, &patterns, &nulls, &count);
    for (int i = 0; i < count; i++)
    {
        if (nulls[i])
            unknown = true;
        else if (like(kind, PG_GET_COLLATION(), PG_GETARG_DATUM(0), patterns[i]) == any)
            PG_RETURN_BOOL(any);
    }
    if (unknown)
        PG_RETURN_NULL();
    PG_RETURN_BOOL(!any);
}

#define LIKE_FUNCTION(name, kind) \
    PG_FUNCTION_INFO_V1(kaireon_bounded_##name); \
    Datum kaireon_bounded_##name(PG_FUNCTION_ARGS) \
    { \
        return PG_NARGS() == 3 ? like_array(fcinfo, &kind) \
                               : BoolGetDatum(like(&kind, PG_GET_COLLATION(), PG_GETARG_DATUM(0), PG_GETARG_DATUM(1))); \
    }

LIKE_FUNCTION(like, like_kind)
LIKE_FUNCTION(nlike, nlike_kind)
LIKE_FUNCTION(ilike, ilike_kind)
LIKE_FUNCTION(nilike, nilike_kind)
LIKE_FUNCTION(bytea_like, bytea_like_kind)
LIKE_FUNCTION(bytea_nlike, bytea_nlike_kind)

/* ---- those that are refused ---------------------------------------------------------------- */

/* `share` of the comparisons is done, seen by the time they take. */
static void
require_call(FunctionCallInfo fcinfo, double share, const char *what)
{
    CHECK_FOR_INTERRUPTS();
    if (!PG_ARGISNULL(0) && !PG_ARGISNULL(1))
        require_work(work_of(PG_GETARG_DATUM(0), PG_GETARG_DATUM(1)) * share, what, PG_GETARG_DATUM(0), PG_GETARG_DATUM(1));
}

#define GUARDED_FUNCTION(name, share, what, call) \
    PG_FUNCTION_INFO_V1(kaireon_bounded_##name); \
    Datum kaireon_bounded_##name(PG_FUNCTION_ARGS) \
    { \
        require_call(fcinfo, share, what); \
        return call; \
    }

GUARDED_FUNCTION(split_part, 0.5, "split_part()", split_part(fcinfo))
GUARDED_FUNCTION(string_to_array, 0.5, "string_to_array()", PG_NARGS() == 2 ? text_to_array(fcinfo) : text_to_array_null(fcinfo))
GUARDED_FUNCTION(translate, 1, "translate()", translate(fcinfo))
GUARDED_FUNCTION(btrim, 1, "trim()", btrim(fcinfo))
GUARDED_FUNCTION(ltrim, 1, "ltrim()", ltrim(fcinfo))
GUARDED_FUNCTION(rtrim, 1, "rtrim()", rtrim(fcinfo))
GUARDED_FUNCTION(bytea_btrim, 1, "trim()", byteatrim(fcinfo))
GUARDED_FUNCTION(bytea_ltrim, 1, "ltrim()", bytealtrim(fcinfo))
GUARDED_FUNCTION(bytea_rtrim, 1, "rtrim()", byteartrim(fcinfo))
GUARDED_FUNCTION(contains, 0.25, "@>", arraycontains(fcinfo))
GUARDED_FUNCTION(contained, 0.25, "<@", arraycontained(fcinfo))
GUARDED_FUNCTION(overlaps, 0.25, "&&", arrayoverlap(fcinfo))
GUARDED_FUNCTION(jsonb_contains, 0.25, "@>", jsonb_contains(fcinfo))
GUARDED_FUNCTION(jsonb_contained, 0.25, "<@", jsonb_contained(fcinfo))
GUARDED_FUNCTION(jsonb_without, 0.25, "-", jsonb_delete_array(fcinfo))
GUARDED_FUNCTION(jsonb_has_any, 0.25, "?|", jsonb_exists_any(fcinfo))
GUARDED_FUNCTION(jsonb_has_all, 0.25, "?&", jsonb_exists_all(fcinfo))
