/*
 * format.c: the table of formats; see format.h.
 */
#include "format/format.h"

#include <string.h>
#include <strings.h>

const Format *const format_list[FORMAT_COUNT + 1] = {&format_csv, &format_tsv, &format_json, &format_jsonl, NULL};

/* Endings of names. */
static const struct { const char *ending; const Format *format; } endings[] = {
    {".csv", &format_csv}, {".txt", &format_csv}, {".tsv", &format_tsv}, {".tab", &format_tsv},
    {".json", &format_json}, {".jsonl", &format_jsonl}, {".ndjson", &format_jsonl},
};

static const char *const packed[] = {".gz", ".gzip", ".zst", ".zstd", ".bz2", ".lz4", ".sz", ".snappy", ".zip"};

const Format *
format_find(const char *name)
{
    size_t i;

    for (i = 0; format_list[i] != NULL; i++)
        if (strcmp(format_list[i]->name, name) == 0)
            return format_list[i];
    return NULL;
}

const char *
format_names(void)
{
    return "csv, tsv, json, jsonl, auto";
}

static bool
ends_with(const char *s, size_t n, const char *ending)
{
    size_t length = strlen(ending);

    return n >= length && strncasecmp(s + n - length, ending, length) == 0;
}

const Format *
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
    return NULL;
}

static size_t
pass_space(const uint8_t *data, size_t n, size_t at)
{
    while (at < n && (data[at] == ' ' || data[at] == '\t' || data[at] == '\r' || data[at] == '\n'))
        at++;
    return at;
}

/* Is the text's first line an object, with more behind it? */
static bool
is_lines(const uint8_t *data, size_t n)
{
    const uint8_t *end = memchr(data, '\n', n);
    size_t length;
    json_t *line;
    bool fine;

    if (end == NULL || pass_space(data, n, (size_t) (end - data)) == n)
        return false;
    length = (size_t) (end - data);
    line = json_loadb((const char *) data, length, 0, NULL);
    fine = line != NULL;
    json_decref(line);
    /* one that is broken, or too long to be seen: nothing but a line of them ends so and begins so again */
    while (!fine && length > 0 && (data[length - 1] == '\r' || data[length - 1] == ' '))
        length--;
    return fine || (length > 1 && data[length - 1] == '}' && end[1] == '{');
}

const Format *
format_by_content(const uint8_t *data, size_t n)
{
    size_t mark = n >= 3 && memcmp(data, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0, at = pass_space(data, n, mark), next;
    static const char behind_bracket[] = "{[]\"-0123456789tfn", behind_brace[] = "\"}";

    if (at == n || (data[at] != '{' && data[at] != '['))
        return &format_csv;
    next = pass_space(data, n, at + 1);
    if (next == n || data[next] == '\0' || strchr(data[at] == '{' ? behind_brace : behind_bracket, data[next]) == NULL)
        return &format_csv;
    return data[at] == '{' && is_lines(data + at, n - at) ? &format_jsonl : &format_json;
}
