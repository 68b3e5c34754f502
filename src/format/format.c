/*
 * format.c: the table of formats; see format.h.
 */
#include "format/format.h"

#include <string.h>
#include <strings.h>

static const Format *const formats[] = {&format_csv, &format_tsv};

/* Endings of names; a name with another one is CSV. */
static const struct { const char *ending, *format; } endings[] = {
    {".csv", "csv"}, {".txt", "csv"}, {".tsv", "tsv"}, {".tab", "tsv"},
};

static const char *const packed[] = {".gz", ".gzip", ".zst", ".zstd", ".bz2", ".lz4", ".sz", ".snappy", ".zip"};

const Format *
format_find(const char *name)
{
    size_t i;

    for (i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
        if (strcmp(formats[i]->name, name) == 0)
            return formats[i];
    return NULL;
}

const char *
format_names(void)
{
    return "csv, tsv, auto";
}

static bool
ends_with(const char *s, size_t n, const char *ending)
{
    size_t length = strlen(ending);

    return n >= length && strncasecmp(s + n - length, ending, length) == 0;
}

const char *
format_by_path(const char *path)
{
    size_t n = strlen(path), i;

    for (i = 0; i < sizeof(packed) / sizeof(packed[0]); i++)
        if (ends_with(path, n, packed[i]))
        {
            n -= strlen(packed[i]);
            break;
        }
    for (i = 0; i < sizeof(endings) / sizeof(endings[0]); i++)
        if (ends_with(path, n, endings[i].ending))
            return endings[i].format;
    return "csv";
}
