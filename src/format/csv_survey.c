/*
 * csv_survey.c: how many of a CSV object's first rows have another number of
 * fields than it has names, and which options would take or leave them out.
 *
 * For people who look at a file before they load it; so a file that can't be
 * read on is surveyed as far as it goes.  What is counted does not depend on
 * the pieces the object comes in.  Takes rows from csv_rows.c.
 */
#include "format/csv.h"

#define SURVEY_ROWS 1000

/* Rows that will be rejected. */
typedef struct Misfits
{
    uint64_t bad;       /* all of them; among them: */
    uint64_t shorter;
    uint64_t longer;
    uint64_t filled;    /* of the longer ones: those whose further fields are not all empty */
} Misfits;

typedef struct Survey
{
    uint64_t rows;
    Misfits before;     /* a row that fits */
    Misfits behind;     /* the last row that fits */
    uint64_t behind_line;   /* the first of those behind */
    bool whole;         /* every row was seen */
} Survey;

static void
add(Misfits *to, const Misfits *more)
{
    to->bad += more->bad;
    to->shorter += more->shorter;
    to->longer += more->longer;
    to->filled += more->filled;
}

static void
see_row(Survey *survey, CsvRowKind kind, const CsvProblem *problem)
{
    Misfits *behind = &survey->behind;

    survey->rows++;
    if (kind == CSV_ROW_FINE)
    {
        add(&survey->before, behind);
        *behind = (Misfits) {0};
        return;
    }
    if (behind->bad++ == 0)
        survey->behind_line = problem->line;
    behind->shorter += problem->misfit == CSV_SHORT;
    behind->longer += problem->misfit == CSV_LONG || problem->misfit == CSV_LONG_EMPTY;
    behind->filled += problem->misfit == CSV_LONG;
}

static Survey
take_rows(Csv *csv)
{
    Survey survey = {0};
    CsvRowKind kind;
    CsvRow row;
    Status ignored;

    for (;;)
    {
        kind = csv_rows_next(csv, &row);
        survey.whole = kind == CSV_ROW_END;
        if (kind == CSV_ROW_NONE)
        {
            if (csv->base + csv->scanned >= CSV_SAMPLE || !csv_rows_fill(csv, &ignored))
                return survey;
            continue;
        }
        if (kind == CSV_ROW_END || survey.rows == SURVEY_ROWS ||
            (kind == CSV_ROW_FINE ? csv->base + row.end : csv->problem.offset + csv->problem.length) > CSV_SAMPLE)
            return survey;
        see_row(&survey, kind, &csv->problem);
    }
}

static bool
set_count(json_t *object, const char *key, uint64_t count)
{
    return count == 0 || json_object_set_new(object, key, json_integer((json_int_t) count)) == 0;
}

/* Options as people write them. */
static json_t *
make_advice(const Csv *csv, const Survey *survey, const Misfits *all)
{
    json_t *advice = json_object();
    bool fine = true;

    /* only behind the table, and none of them longer than its rows: a total, notes */
    if (survey->whole && survey->before.shorter == 0 && all->longer == 0 && survey->rows > survey->behind.bad)
        fine = set_count(advice, "footerLines", csv->options->footer_lines + csv->line - survey->behind_line);
    else
        fine = (all->shorter == 0 || json_object_set_new(advice, "shortRows", json_string("pad")) == 0) &&
            (all->longer == 0 || json_object_set_new(advice, "longRows", json_string(all->filled > 0 ? "truncate" : "truncateEmpty")) == 0);
    if (fine)
        return advice;
    json_decref(advice);
    return NULL;
}

bool
csv_survey(void *state, json_t *dialect)
{
    Csv *csv = state;
    Survey survey = take_rows(csv);
    Misfits all = survey.before;
    json_t *sample;

    add(&all, &survey.behind);
    sample = json_object();
    if (sample == NULL || json_object_set_new(sample, "rows", json_integer((json_int_t) survey.rows)) != 0 ||
        !set_count(sample, "badRows", all.bad) || !set_count(sample, "shortRows", all.shorter) || !set_count(sample, "longRows", all.longer) ||
        (all.shorter + all.longer > 0 && json_object_set_new(sample, "advice", make_advice(csv, &survey, &all)) != 0))
    {
        json_decref(sample);
        return false;
    }
    return json_object_set_new(dialect, "sample", sample) == 0;
}
