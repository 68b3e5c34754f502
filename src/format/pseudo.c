/*
 * pseudo.c: see pseudo.h.
 */
#include "format/pseudo.h"

#include <stdio.h>
#include <string.h>

size_t
pseudo_number(char *out, uint64_t value)
{
    char digits[PSEUDO_MAX];
    size_t n = 0, i;

    do
        digits[n++] = (char) ('0' + value % 10);
    while ((value /= 10) != 0);
    for (i = 0; i < n; i++)
        out[i] = digits[n - 1 - i];
    return n;
}

size_t
pseudo_time(char *out, int64_t micros)
{
    int64_t seconds = micros / 1000000, days, z, era, doe, yoe, doy, mp, y, m;
    int fraction = (int) (micros % 1000000);

    if (fraction < 0)
        fraction += 1000000, seconds--;
    days = seconds / 86400;
    if (seconds % 86400 < 0)
        days--;
    seconds -= days * 86400;
    /* Days to year, month, day: eras of 400 years that begin on 1 March. */
    z = days + 719468;
    era = (z >= 0 ? z : z - 146096) / 146097;
    doe = z - era * 146097;
    yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    mp = (5 * doy + 2) / 153;
    m = mp < 10 ? mp + 3 : mp - 9;
    y = yoe + era * 400 + (m <= 2 ? 1 : 0);
    return (size_t) snprintf(out, PSEUDO_TIME_MAX, "%04d-%02d-%02d %02d:%02d:%02d.%06d+00", (int) y, (int) m,
                             (int) (doy - (153 * mp + 2) / 5 + 1), (int) (seconds / 3600),
                             (int) (seconds / 60 % 60), (int) (seconds % 60), fraction);
}

Cell
pseudo_cell(char *out, int which, const char *path, int64_t mtime, uint64_t line, uint64_t offset)
{
    size_t n = strlen(path);

    if (which == FIELD_MODIFIED_AT)
        return mtime == WIRE_NO_TIME ? (Cell) {NULL, 0} : (Cell) {out, pseudo_time(out, mtime)};
    if (which != FIELD_SOURCE)
        return (Cell) {out, pseudo_number(out, which == FIELD_LINE ? line : offset)};
    memcpy(out, path, n);
    return (Cell) {out, n};
}
