/*
 * mask.c: masking of personal data.  See mask.h for what is shown and hidden.
 *
 * The functions run for each of millions of rows, so each makes one pass over
 * the bytes and one allocation.  They can work on bytes because in every
 * encoding a server may use, a byte below 0x80 is a character of its own and
 * never part of a longer one; only where a character's end matters is its
 * length asked for.  The reader or COPY has checked the encoding before.
 *
 * Finding the field and choosing the function is the compiler's part
 * (compile.c); nothing here knows pipelines.
 */
#include "postgres.h"

#include "pg/mask.h"
#include "pg/compat.h"

#include "mb/pg_wchar.h"

#define SHOWN_DIGITS 4

static inline bool
is_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}

static inline bool
is_alnum(unsigned char c)
{
    return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

/* Length in bytes of the character at p; never beyond end, whatever the bytes say. */
static inline int
char_bytes(const char *p, const char *end)
{
    int len;

    if (!IS_HIGHBIT_SET(*p))
        return 1;
    len = pg_mblen(p);
    return len < end - p ? len : (int) (end - p);
}

/* How many of so many digits may be shown. */
static inline int
shown_of(int digits)
{
    return digits < SHOWN_DIGITS ? 0 : Min(SHOWN_DIGITS, digits / 2);
}

static inline text *
new_text(Size bytes)
{
    text *out = (text *) palloc(VARHDRSZ + bytes);

    SET_VARSIZE(out, VARHDRSZ + bytes);
    return out;
}

/* The shape with the last digits of the value put over its last places. */
static inline text *
number_fixed(const char *p, int bytes, const char *shape, int shape_bytes)
{
    text *out;
    const char *q = p + bytes;
    char last[SHOWN_DIGITS];
    int digits = 0, shown;

    /* From the end, until enough is known: twice as many digits as are shown. */
    while (q > p && digits < 2 * SHOWN_DIGITS)
    {
        unsigned char c = *--q;

        if (is_digit(c))
        {
            if (digits < SHOWN_DIGITS)
                last[digits] = c;
            digits++;
        }
    }
    shown = shown_of(digits);
    out = new_text(shape_bytes);
    memcpy(VARDATA(out), shape, shape_bytes);
    for (int i = 0; i < shown; i++)
        VARDATA(out)[shape_bytes - 1 - i] = last[i];
    return out;
}

/* The value itself, all masked but punctuation and the last digits. */
static text *
number_preserved(const char *p, int bytes)
{
    const char *end = p + bytes;
    text *out = new_text(bytes);
    char *start = VARDATA(out);
    char *o = start;
    struct { char *at; char digit; } last[SHOWN_DIGITS];
    unsigned digits = 0;
    int shown;

    while (p < end)
    {
        unsigned char c = *p;

        if (is_digit(c))
        {
            last[digits % SHOWN_DIGITS].at = o;
            last[digits % SHOWN_DIGITS].digit = c;
            digits++;
            *o++ = '*';
            p++;
        }
        else if (IS_HIGHBIT_SET(c))
        {
            *o++ = '*';
            p += char_bytes(p, end);
        }
        else
        {
            *o++ = is_alnum(c) ? '*' : c;
            p++;
        }
    }
    shown = shown_of((int) digits);
    for (int i = 1; i <= shown; i++)
        *last[(digits - i) % SHOWN_DIGITS].at = last[(digits - i) % SHOWN_DIGITS].digit;
    SET_VARSIZE(out, VARHDRSZ + (o - start));
    return out;
}

/* What the three kinds of number share; they differ in the fixed shape only. */
static inline Datum
mask_number(FunctionCallInfo fcinfo, const char *shape, int shape_bytes)
{
    text *in = PG_GETARG_TEXT_PP(0);
    int bytes = VARSIZE_ANY_EXHDR(in);

    if (bytes == 0)
        PG_RETURN_TEXT_P(in);
    if (PG_GETARG_BOOL(1))
        PG_RETURN_TEXT_P(number_preserved(VARDATA_ANY(in), bytes));
    PG_RETURN_TEXT_P(number_fixed(VARDATA_ANY(in), bytes, shape, shape_bytes));
}

PG_FUNCTION_INFO_V1(kaireon_mask_ssn);
Datum
kaireon_mask_ssn(PG_FUNCTION_ARGS)
{
    static const char shape[] = "***-**-****";

    return mask_number(fcinfo, shape, sizeof(shape) - 1);
}

PG_FUNCTION_INFO_V1(kaireon_mask_phone);
Datum
kaireon_mask_phone(PG_FUNCTION_ARGS)
{
    static const char shape[] = "***-***-****";

    return mask_number(fcinfo, shape, sizeof(shape) - 1);
}

PG_FUNCTION_INFO_V1(kaireon_mask_credit_card);
Datum
kaireon_mask_credit_card(PG_FUNCTION_ARGS)
{
    static const char shape[] = "****-****-****-****";

    return mask_number(fcinfo, shape, sizeof(shape) - 1);
}

/*
 * The @ before the domain, or NULL when the value has none that could be
 * shown: "call me @ 555-1234" must not give away what follows its @.  Blanks
 * at the end are common in files and are let through.
 */
static const char *
find_domain(const char *start, const char *end)
{
    const char *p = end;
    const char *domain_end;

    while (p > start && p[-1] == ' ')
        p--;
    domain_end = p;
    while (p > start)
    {
        unsigned char c = *--p;

        if (is_alnum(c) || c == '.' || c == '-' || c == '_' || IS_HIGHBIT_SET(c))
            continue;
        return c == '@' && p + 1 < domain_end ? p : NULL;
    }
    return NULL;
}

/*
 * Masks the characters from p to end into o; the first is kept if show_first,
 * ASCII that is neither letter nor digit if keep_punctuation.  Returns the end
 * of what was written; *hidden says how many characters were masked.
 */
static char *
mask_characters(const char *p, const char *end, char *o, bool show_first, bool keep_punctuation, int *hidden)
{
    *hidden = 0;
    if (show_first && p < end)
    {
        int len = char_bytes(p, end);

        memcpy(o, p, len);
        o += len;
        p += len;
    }
    while (p < end)
    {
        if (keep_punctuation && !IS_HIGHBIT_SET(*p) && !is_alnum(*p))
            *o++ = *p;
        else
        {
            *o++ = '*';
            (*hidden)++;
        }
        p += char_bytes(p, end);
    }
    return o;
}

static text *
email_preserved(const char *p, const char *end, const char *at)
{
    text *out = new_text(end - p);
    char *o = VARDATA(out);
    int hidden;

    if (at == NULL)
        o = mask_characters(p, end, o, false, false, &hidden);
    else
    {
        o = mask_characters(p, at, o, true, true, &hidden);
        if (hidden == 0)
            o = mask_characters(p, at, VARDATA(out), false, true, &hidden);
        memcpy(o, at, end - at);
        o += end - at;
    }
    SET_VARSIZE(out, o - (char *) out);
    return out;
}

PG_FUNCTION_INFO_V1(kaireon_mask_email);
Datum
kaireon_mask_email(PG_FUNCTION_ARGS)
{
    text *in = PG_GETARG_TEXT_PP(0);
    const char *p = VARDATA_ANY(in);
    const char *end = p + VARSIZE_ANY_EXHDR(in);
    const char *at;
    text *out;
    char *o;
    int first;

    if (p == end)
        PG_RETURN_TEXT_P(in);
    at = find_domain(p, end);
    if (PG_GETARG_BOOL(1))
        PG_RETURN_TEXT_P(email_preserved(p, end, at));
    if (at == NULL)
    {
        out = new_text(3);
        memcpy(VARDATA(out), "***", 3);
        PG_RETURN_TEXT_P(out);
    }
    first = at > p ? char_bytes(p, at) : 0;
    out = new_text(first + 3 + (end - at));
    o = VARDATA(out);
    memcpy(o, p, first);
    memcpy(o + first, "***", 3);
    memcpy(o + first + 3, at, end - at);
    PG_RETURN_TEXT_P(out);
}
