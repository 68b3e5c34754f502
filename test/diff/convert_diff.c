/*
 * convert_diff.c: what the converters say about strings, for convert_diff.pl.
 *
 * Reads lines "type<TAB>field in hex" from standard input and answers each
 * with a line "state<TAB>value": the state's name, and for a value its
 * canonical text, chosen so that equal text means equal Datum:
 *   int2 int4 int8, numeric, numeric(p,s)  as PostgreSQL prints them
 *   bool                 true or false
 *   float4, float8, date, timestamp, timestamptz   the bytes of the binary format, hex
 *   varchar(n)           the text kept, hex
 *   utf8                 state VALUE or BAD_ENCODING, no value
 * Each field is converted from a block of exactly its size, so that a build
 * with the address sanitizer sees a read outside it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/convert.h"

#define LONGEST_LINE (1 << 20)

static const char *const state_names[WIRE_STATE_LAST + 1] = {
    "VALUE", "NULL", "RAW", "BAD_SYNTAX", "BAD_RANGE", "BAD_LENGTH", "BAD_PRECISION", "BAD_ENCODING", "BAD_ESCAPE"
};

/* Prints an unscaled decimal with `scale` digits after the point. */
static void
print_decimal(int64_t unscaled, int scale, char *out, size_t size)
{
    char digits[48];
    uint64_t u = unscaled < 0 ? 0 - (uint64_t) unscaled : (uint64_t) unscaled;
    int n;

    snprintf(digits, sizeof(digits), "%0*" PRIu64, (scale & 31) + 1, u);
    n = (int) strlen(digits);
    snprintf(out, size, "%s%.*s%s%s", unscaled < 0 ? "-" : "", n - scale, digits,
             scale > 0 ? "." : "", digits + n - scale);
}

static uint8_t
numeric_text(const char *type, const char *s, size_t n, char *out, size_t size)
{
    int64_t v = 0;
    uint8_t state, written = 0;
    int precision, scale;

    if (sscanf(type, "numeric(%d,%d)", &precision, &scale) == 2)
        state = convert_decimal_to(s, n, precision, scale, &v);
    else
    {
        state = convert_decimal(s, n, &v, &written);
        scale = written;
    }
    print_decimal(v, state == WIRE_VALUE ? scale : 0, out, size);
    return state;
}

/* int2, int4, int8 by their range. */
static uint8_t
int_text(int bits, const char *s, size_t n, char *out, size_t size)
{
    int64_t max = INT64_MAX >> (64 - bits), v = 0;
    uint8_t state = convert_int(s, n, -max - 1, max, &v);

    snprintf(out, size, "%" PRId64, v);
    return state;
}

static uint8_t
field_text(const char *type, const char *s, size_t n, char *out, size_t size)
{
    int64_t v = 0;
    uint64_t bits;
    double d = 0;
    uint8_t state;
    size_t keep = 0;

    out[0] = '\0';
    if (strncmp(type, "int", 3) == 0)
        return int_text(8 * atoi(type + 3), s, n, out, size);
    if (strncmp(type, "numeric", 7) == 0)
        return numeric_text(type, s, n, out, size);
    if (strcmp(type, "utf8") == 0)
        return convert_utf8_valid(s, n) ? WIRE_VALUE : WIRE_BAD_ENCODING;
    if (strcmp(type, "bool") == 0)
    {
        state = convert_bool(s, n, &v);
        snprintf(out, size, "%s", v ? "true" : "false");
        return state;
    }
    if (strncmp(type, "varchar", 7) == 0)
    {
        /* as its callers do: characters are counted in valid text only */
        if (!convert_utf8_valid(s, n))
            return WIRE_BAD_ENCODING;
        state = convert_varchar(s, n, (size_t) atoi(type + 8), false, &keep);
        for (size_t i = 0; i < keep && 2 * i + 3 < size; i++)
            sprintf(out + 2 * i, "%02x", (uint8_t) s[i]);
        return state;
    }
    if (strcmp(type, "float8") == 0)
    {
        state = convert_float8(s, n, &d);
        memcpy(&bits, &d, 8);
        snprintf(out, size, "%016" PRIx64, bits);
        return state;
    }
    if (strcmp(type, "float4") == 0)
    {
        float f;
        uint32_t single;

        state = convert_float4(s, n, &d);
        f = (float) d;
        memcpy(&single, &f, 4);
        snprintf(out, size, "%08" PRIx32, single);
        return state;
    }
    if (strcmp(type, "date") == 0)
    {
        state = convert_date(s, n, &v);
        snprintf(out, size, "%08" PRIx32, (uint32_t) v);
        return state;
    }
    state = strcmp(type, "timestamp") == 0 ? convert_timestamp(s, n, &v) : convert_timestamptz(s, n, &v);
    snprintf(out, size, "%016" PRIx64, (uint64_t) v);
    return state;
}

int
main(void)
{
    char *line = malloc(LONGEST_LINE), *out = malloc(LONGEST_LINE);

    if (line == NULL || out == NULL)
        return 1;
    while (fgets(line, LONGEST_LINE, stdin) != NULL)
    {
        char *hex = strchr(line, '\t'), *field;
        size_t n;
        uint8_t state;

        if (hex == NULL)
            return 1;
        *hex++ = '\0';
        n = strcspn(hex, "\n") / 2;
        field = malloc(n > 0 ? n : 1);
        if (field == NULL)
            return 1;
        for (size_t i = 0; i < n; i++)
        {
            char byte[3] = {hex[2 * i], hex[2 * i + 1], '\0'};

            field[i] = (char) strtoul(byte, NULL, 16);
        }
        state = field_text(line, field, n, out, LONGEST_LINE);
        printf("%s\t%s\n", state_names[state], state == WIRE_VALUE ? out : "");
        free(field);
    }
    free(line);
    free(out);
    return 0;
}
