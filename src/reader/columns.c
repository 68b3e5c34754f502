/*
 * columns.c: see columns.h.
 */
#include "reader/columns.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* How long a name can be in the server's SQL. */
#define IDENTIFIER_BYTES 63

static int
pseudo_field(const char *name)
{
    static const struct { const char *name; int field; } pseudo[] = {
        {"_source", FIELD_SOURCE}, {"_line", FIELD_LINE}, {"_offset", FIELD_OFFSET},
        {"_modified_at", FIELD_MODIFIED_AT},
    };
    size_t i;

    for (i = 0; i < sizeof(pseudo) / sizeof(pseudo[0]); i++)
        if (strcmp(pseudo[i].name, name) == 0)
            return pseudo[i].field;
    return FIELD_ABSENT;
}

static bool
missing_field(const char *const *names, size_t nnames, const char *name, Status *st)
{
    char list[1500];
    size_t used = 0, i;

    list[0] = '\0';
    for (i = 0; i < nnames && used < sizeof(list) - 1; i++)
        used += (size_t) snprintf(list + used, sizeof(list) - used, "%s%s", i > 0 ? ", " : "", names[i]);
    status_fail(st, STATUS_NO_COLUMN, "source has no field \"%s\"", name);
    status_detail(st, "Its fields: %s%s.", list, used >= sizeof(list) ? ", ..." : "");
    for (i = 0; i < nnames; i++)
        if (strcasecmp(names[i], name) == 0)
            return status_hint(st, "Upper and lower case count: there is \"%s\".", names[i]);
    return false;
}

/* A pseudo-column that the source has a field of the name of: nobody can tell which one is meant. */
static bool
ambiguous_field(const char *name, Status *st)
{
    status_fail(st, STATUS_AMBIGUOUS_COLUMN, "source has a field \"%s\" of its own", name);
    status_detail(st, "The name also stands for what every source tells about a row.");
    return status_hint(st, "Give the source's fields other names with the option \"columns\".");
}

/* A name as a column definition list or an expression has it: the server cuts identifiers, but not within a character. */
static bool
is_cut_name(const char *name, const char *cut)
{
    size_t n = strlen(cut), limit = IDENTIFIER_BYTES;

    if (n + 3 < limit || n > limit || strlen(name) <= limit || memcmp(name, cut, n) != 0)
        return false;
    while (limit > 0 && ((unsigned char) name[limit] & 0xC0) == 0x80)
        limit--;
    return n == limit;
}

/* The field whose name the server has cut; FIELD_ABSENT when there is none, or *several. */
static int
cut_field(const char *const *names, size_t nnames, const char *name, bool *several)
{
    int field = FIELD_ABSENT;
    size_t i;

    *several = false;
    for (i = 0; i < nnames; i++)
        if (is_cut_name(names[i], name))
        {
            *several |= field != FIELD_ABSENT;
            field = (int) i;
        }
    return *several ? FIELD_ABSENT : field;
}

static bool
several_cut_fields(const char *name, Status *st)
{
    status_fail(st, STATUS_AMBIGUOUS_COLUMN, "source has more than one field whose name begins with \"%s\"", name);
    status_detail(st, "An identifier in SQL has at most %d bytes.", IDENTIFIER_BYTES);
    return status_hint(st, "Give the source's fields other names with the option \"columns\".");
}

bool
column_find(const char *const *names, size_t nnames, const ColumnSpec *column, bool strict, int *field, Status *st)
{
    bool several = false;
    size_t i;

    *field = pseudo_field(column->name);
    for (i = 0; *field != FIELD_ABSENT && i < nnames; i++)
        if (strcmp(names[i], column->name) == 0)
            return ambiguous_field(column->name, st);
    for (i = 0; *field == FIELD_ABSENT && i < nnames; i++)
        if (strcmp(names[i], column->name) == 0)
            *field = (int) i;
    if (*field == FIELD_ABSENT)
        *field = cut_field(names, nnames, column->name, &several);
    if (several && strict && column->required)
        return several_cut_fields(column->name, st);
    /* An object without any byte has no fields and no rows: nothing is missing. */
    if (*field == FIELD_ABSENT && strict && column->required && nnames > 0)
        return missing_field(names, nnames, column->name, st);
    for (; *field >= 0 && i < nnames; i++)
        if (strcmp(names[i], column->name) == 0)
            return status_fail(st, STATUS_DUPLICATE_COLUMN, "source has more than one field \"%s\"", column->name);
    return true;
}

bool
column_field(const Format *format, void *state, const ColumnSpec *column, bool strict, int *field, Status *st)
{
    const char *const *names;
    size_t n;

    format->fields(state, &names, &n);
    if (!column_find(names, n, column, strict && format->add_field == NULL, field, st))
        return false;
    if (*field != FIELD_ABSENT || format->add_field == NULL)
        return true;
    if (!format->add_field(state, column->name, field, st))
        return false;
    return *field != FIELD_ABSENT || column_find(names, n, column, strict, field, st);
}
