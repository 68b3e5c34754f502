/*
 * test_csv_survey.c: what is told of a file's first rows, and which options
 * are advised.  Each file is also surveyed split at every byte.
 */
#include "csv_dump.h"
#include "tap.h"

static const struct { const char *name, *options, *input, *want; } cases[] = {
    {"nothing to tell", NULL, "a,b\n1,2\n3,4\n", "{\"rows\":2}"},
    {"an empty file", NULL, "", "{\"rows\":0}"},
    {"short rows", NULL, "a,b,c\n1,2\n1,2,3\n1\n1,2,3\n",
     "{\"rows\":4,\"badRows\":2,\"shortRows\":2,\"advice\":{\"shortRows\":\"pad\"}}"},
    {"long rows", NULL, "a,b\n1,2,3\n1,2,\n1,2\n", "{\"rows\":3,\"badRows\":2,\"longRows\":2,\"advice\":{\"longRows\":\"truncate\"}}"},
    {"long rows whose further fields are empty", NULL, "a,b\n1,2,\n1,2,\"\",\n1,2\n",
     "{\"rows\":3,\"badRows\":2,\"longRows\":2,\"advice\":{\"longRows\":\"truncateEmpty\"}}"},
    {"every row is longer", NULL, "a,b\n1,2,3\n4,5,6\n", "{\"rows\":2,\"badRows\":2,\"longRows\":2,\"advice\":{\"longRows\":\"truncate\"}}"},
    {"both, and worse", NULL, "a,b\n1,2,3\n1\n1,x\"\n\n1,2\n",
     "{\"rows\":4,\"badRows\":3,\"shortRows\":1,\"longRows\":1,\"advice\":{\"shortRows\":\"pad\",\"longRows\":\"truncate\"}}"},
    {"only worse", NULL, "a,b\n1,x\"\n1,2\n", "{\"rows\":2,\"badRows\":1}"},
    {"what the options take", "{\"shortRows\":\"pad\",\"longRows\":\"truncateEmpty\"}", "a,b\n1\n1,2,\n1,2,3\n1,2\n",
     "{\"rows\":4,\"badRows\":1,\"longRows\":1,\"advice\":{\"longRows\":\"truncate\"}}"},
    {"notes behind the table", NULL, "a,b\r\n1,2\r\n3,4\r\n\r\nTotal\r\nit's 6\"\r\nend\r\n\r\n",
     "{\"rows\":5,\"badRows\":3,\"shortRows\":2,\"advice\":{\"footerLines\":4}}"},
    {"longer rows behind the table are no notes", NULL, "a,b\n1,2\n3,4,\n", "{\"rows\":2,\"badRows\":1,\"longRows\":1,\"advice\":{\"longRows\":\"truncateEmpty\"}}"},
    {"notes behind a footer that is known of", "{\"footerLines\":1}", "a,b\n1,2\nTotal\nend", "{\"rows\":2,\"badRows\":1,\"shortRows\":1,\"advice\":{\"footerLines\":2}}"},
    {"short rows behind others are no notes", NULL, "a,b\n1\n1,2\n3\n", "{\"rows\":3,\"badRows\":2,\"shortRows\":2,\"advice\":{\"shortRows\":\"pad\"}}"},
};

static char *
survey(const char *options, const char *input, size_t n, size_t first)
{
    DumpHow how = {.options = options, .first = first, .step = first, .survey = true};

    return csv_dump(input, n, &how);
}

/* Where the sample ends: rows behind it are not looked at, however the file comes. */
static void
check_bounds(const char *row, const char *want)
{
    size_t step = strlen(row), n = 600000 / step * step, i;
    char *input = malloc(n + 4 + 20), *got;

    memcpy(input, "a,b\n", 4);
    for (i = 0; i < n; i += step)
        memcpy(input + 4 + i, row, step);
    memcpy(input + 4 + n, "short\nshort\n1,2\n", 16);
    for (i = 1; i < 4; i++)
    {
        got = survey(NULL, input, n + 20, i == 1 ? n + 20 : i * 7001);
        is_str(got, want, "rows of %zu bytes, pieces %zu", step, i);
        free(got);
    }
    free(input);
}

int
main(void)
{
    char row[2001];
    size_t i, at;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
    {
        size_t n = strlen(cases[i].input), wrong = 0;
        char *got = survey(cases[i].options, cases[i].input, n, n);

        is_str(got, cases[i].want, "%s", cases[i].name);
        free(got);
        for (at = 1; at < n; at++, free(got))
        {
            got = survey(cases[i].options, cases[i].input, n, at);
            wrong += strcmp(got, cases[i].want) != 0;
        }
        is_int((int64_t) wrong, 0, "%s: in pieces", cases[i].name);
    }
    check_bounds("1,2\n", "{\"rows\":1000}");
    memset(row, 'x', 2000);
    row[1] = ',';
    row[1999] = '\n';
    row[2000] = '\0';
    check_bounds(row, "{\"rows\":131}");
    return done();
}
