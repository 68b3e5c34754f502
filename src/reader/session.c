/*
 * session.c: see session.h.
 *
 * A read goes over its files one after another: open the object, put the
 * decompression over it, the encoding over that and the format on top, find out which field goes
 * into which column, then batch after batch.  The batch builder lives as long
 * as the request, so its memory is used for all files.
 */
#include "reader/session.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* How long a name can be in the server's SQL. */
#define IDENTIFIER_BYTES 63

typedef struct Session
{
    const Request *request;
    const Sink *sink;
    void *driver;           /* the driver's session */
    RequestFile *files;     /* listed by us; paths are ours */
    size_t nfiles, size;
    uint32_t split;
    uint64_t rows;          /* of all splits */
    bool builder_open;
    BatchBuilder builder;
} Session;

/* What is open for one file. */
typedef struct Split
{
    const char *path;
    void *object;
    DriverInfo info;
    Decompress *plain;
    EncodingStage *text;
    const Format *format;
    const void *options;
    void *state;            /* the format's */
    const char *const *names;
    size_t nnames;
    ColumnSpec *own_columns;    /* when the request has none */
    const ColumnSpec *columns;
    uint32_t ncolumns;
    int *map;
    uint8_t *present;
    char *dialect;
    uint64_t rows;
} Split;

/* ---- fields to columns ------------------------------------------------- */

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

/* The fields are column1, column2..., because the file has no header. */
static bool
is_numbered(const Split *split)
{
    json_t *dialect = json_object();
    bool numbered = dialect != NULL && split->format->describe(split->state, dialect) &&
        json_is_false(json_object_get(dialect, "header")) && strcmp(split->names[0], "column1") == 0;

    json_decref(dialect);
    return numbered;
}

static bool
missing_field(const Split *split, const char *name, Status *st)
{
    char list[1500];
    size_t used = 0, i;

    list[0] = '\0';
    for (i = 0; i < split->nnames && used < sizeof(list) - 1; i++)
        used += (size_t) snprintf(list + used, sizeof(list) - used, "%s%s", i > 0 ? ", " : "", split->names[i]);
    status_fail(st, STATUS_NO_COLUMN, "source has no field \"%s\"", name);
    status_detail(st, "Its fields: %s%s.", list, used >= sizeof(list) ? ", ..." : "");
    for (i = 0; i < split->nnames; i++)
        if (strcasecmp(split->names[i], name) == 0)
            return status_hint(st, "Upper and lower case count: there is \"%s\".", split->names[i]);
    if (is_numbered(split))
        return status_hint(st, "The file was taken to have no header: say \"header\": true if it has one, or name its fields with \"columns\".");
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
cut_field(const Split *split, const char *name, bool *several)
{
    int field = FIELD_ABSENT;
    size_t i;

    *several = false;
    for (i = 0; i < split->nnames; i++)
        if (is_cut_name(split->names[i], name))
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

static bool
map_column(const Split *split, const ColumnSpec *column, bool required, int *field, Status *st)
{
    bool several = false;
    size_t i;

    *field = pseudo_field(column->name);
    for (i = 0; *field != FIELD_ABSENT && i < split->nnames; i++)
        if (strcmp(split->names[i], column->name) == 0)
            return ambiguous_field(column->name, st);
    for (i = 0; *field == FIELD_ABSENT && i < split->nnames; i++)
        if (strcmp(split->names[i], column->name) == 0)
            *field = (int) i;
    if (*field == FIELD_ABSENT)
        *field = cut_field(split, column->name, &several);
    if (several && required && column->required)
        return several_cut_fields(column->name, st);
    /* An object without any byte has no fields and no rows: nothing is missing. */
    if (*field == FIELD_ABSENT && required && column->required && split->nnames > 0)
        return missing_field(split, column->name, st);
    for (; *field >= 0 && i < split->nnames; i++)
        if (strcmp(split->names[i], column->name) == 0)
            return status_fail(st, STATUS_DUPLICATE_COLUMN, "source has more than one field \"%s\"", column->name);
    return true;
}

/* Debug mode: the source's own fields, as text. */
static bool
take_all_columns(Split *split, Status *st)
{
    size_t i;

    split->ncolumns = split->nnames > WIRE_MAX_COLUMNS ? WIRE_MAX_COLUMNS : (uint32_t) split->nnames;
    split->own_columns = calloc(split->ncolumns + 1, sizeof(*split->own_columns));
    if (split->own_columns == NULL)
        return status_out_of_memory(st, 0);
    for (i = 0; i < split->ncolumns; i++)
        split->own_columns[i].name = split->names[i];
    split->columns = split->own_columns;
    return true;
}

static bool
map_columns(Session *s, Split *split, Status *st)
{
    const Request *request = s->request;
    uint32_t i;

    split->format->fields(split->state, &split->names, &split->nnames);
    split->columns = request->columns;
    split->ncolumns = request->ncolumns;
    if (request->all_columns && !request->describe && !take_all_columns(split, st))
        return false;
    split->map = calloc(split->ncolumns + 1, sizeof(*split->map));
    split->present = calloc(split->ncolumns + 1, 1);
    if (split->map == NULL || split->present == NULL)
        return status_out_of_memory(st, 0);
    for (i = 0; i < split->ncolumns; i++)
    {
        if (request->all_columns)
            split->map[i] = (int) i;
        else if (!map_column(split, &split->columns[i], !request->describe, &split->map[i], st))
            return false;
        split->present[i] = split->map[i] != FIELD_ABSENT;
    }
    if (request->describe)
        return true;
    if (request->all_columns && s->builder_open)
    {
        batch_free(&s->builder);
        s->builder_open = false;
    }
    if (!s->builder_open && !batch_init(&s->builder, split->columns, split->ncolumns,
                                        request->batch_rows, request->batch_bytes, st))
        return false;
    s->builder_open = true;
    return true;
}

/* ---- one file ---------------------------------------------------------- */

static void
split_close(Session *s, Split *split)
{
    if (split->state != NULL)
        split->format->close(split->state);
    encoding_close(split->text);
    decompress_close(split->plain);
    s->request->driver->object_close(split->object);
    free(split->own_columns);
    free(split->map);
    free(split->present);
    free(split->dialect);
}

static bool
as_listed(const RequestFile *file, const DriverInfo *info, Status *st)
{
    if (!file->known || (file->size == info->size && file->mtime == info->mtime))
        return true;
    status_fail(st, STATUS_IO, "file \"%s\" is no longer as it was listed", file->path);
    if (file->size != info->size)
        return status_detail(st, "It had %" PRIu64 " bytes and has %" PRIu64 " now.", file->size, info->size);
    return status_detail(st, "It still has %" PRIu64 " bytes, but was written since.", info->size);
}

static void
choose_format(const Request *request, Split *split)
{
    split->format = request->format;
    split->options = request->options;
    if (request->by_name && format_find(format_by_path(split->path)) == &format_tsv)
    {
        split->format = &format_tsv;
        split->options = request->tsv_options;
    }
}

static bool
split_open(Session *s, Split *split, const RequestFile *file, Status *st)
{
    const Request *request = s->request;
    const Driver *driver = request->driver;

    if (!driver->object_open(s->driver, file->path, &split->object, &split->info, st) ||
        !as_listed(file, &split->info, st))
        return false;
    choose_format(request, split);
    if (!decompress_open(&split->plain, request->compression, (ByteSource) {driver->object_read, split->object}, st) ||
        !encoding_open(&split->text, request->encoding, decompress_source(split->plain), st))
    {
        /* They read no more than a mark: what is wrong there is on the first line. */
        st->line = strcmp(st->sqlstate, STATUS_OUT_OF_MEMORY) == 0 ? 0 : 1;
        return false;
    }
    return split->format->open(split->options, encoding_source(split->text), &split->state, st) &&
        map_columns(s, split, st);
}

static bool
describe(Session *s, Split *split, Status *st)
{
    json_t *dialect = json_object();
    Compression kind = decompress_kind(split->plain);

    if (dialect != NULL &&
        json_object_set_new(dialect, "format", json_string(split->format->name)) == 0 &&
        json_object_set_new(dialect, "compression", json_string(compression_name(kind))) == 0 &&
        json_object_set_new(dialect, "encoding", json_string(encoding_name(encoding_kind(split->text)))) == 0 &&
        split->format->describe(split->state, dialect) &&
        (!s->request->describe || split->format->survey(split->state, dialect)))
    {
        /* A run's record is how the file was read, not what was in it. */
        if (!s->request->describe)
            json_object_del(dialect, "fields");
        split->dialect = json_dumps(dialect, JSON_COMPACT | JSON_REAL_PRECISION(3));
    }
    json_decref(dialect);
    return split->dialect != NULL || status_out_of_memory(st, 0);
}

static WireStr
wire_str(const char *s)
{
    return (WireStr) {s, (uint32_t) strlen(s)};
}

static bool
announce(Session *s, Split *split, Status *st)
{
    WireSplit message = {
        .split = s->split,
        .path = wire_str(split->path),
        .size = split->info.size,
        .mtime = split->info.mtime,
        .etag = wire_str(split->info.etag),
        .head_hash = wire_str(split->info.head_hash),
        .ncols = split->ncolumns,
        .present = split->present,
    };

    if (!describe(s, split, st))
        return false;
    message.dialect = wire_str(split->dialect);
    return s->sink->split(s->sink->context, &message, split->columns, st);
}

static bool
send_batch(Session *s, Split *split, Status *st)
{
    BatchBuilder *b = &s->builder;
    struct iovec *pieces;
    int npieces;

    if (b->nrows == 0 && b->nrejects == 0)
        return true;
    if (!batch_finish(b, s->split, decompress_stored(split->plain), &pieces, &npieces, st) ||
        !s->sink->batch(s->sink->context, pieces, npieces, st))
        return false;
    split->rows += b->nrows;
    s->rows += b->nrows;
    batch_reset(b);
    return true;
}

static bool
read_rows(Session *s, Split *split, Status *st)
{
    const Request *request = s->request;
    FormatSplit where = {split->path, split->info.mtime};
    bool end = false;

    while (!end)
    {
        uint64_t limit = request->row_limit == 0 ? UINT64_MAX : request->row_limit - s->rows;

        if (!split->format->next(split->state, &where, &s->builder, split->map, limit, &end, st))
        {
            /* What was read before the error is not lost: a worker that commits by batch may keep it. */
            Status ignored;

            return batch_complete(&s->builder) && send_batch(s, split, &ignored) && false;
        }
        if (!send_batch(s, split, st))
            return false;
    }
    return true;
}

static bool
read_file(Session *s, const RequestFile *file, Status *st)
{
    Split split = {.path = file->path};
    bool fine;

    fine = split_open(s, &split, file, st) && announce(s, &split, st);
    if (fine && !s->request->describe)
        fine = read_rows(s, &split, st) &&
            s->sink->split_end(s->sink->context, s->split, split.rows, decompress_stored(split.plain), st);
    if (s->builder_open)
        batch_reset(&s->builder);
    split_close(s, &split);
    if (!fine && st->path[0] == '\0')
        snprintf(st->path, sizeof(st->path), "%s", file->path);
    s->split++;
    return fine;
}

/* ---- the request ------------------------------------------------------- */

static bool
collect(void *context, const DriverEntry *entry, Status *st)
{
    Session *s = context;
    RequestFile *file;

    if (s->nfiles == s->size)
    {
        size_t size = s->size * 2 + 16;
        RequestFile *grown = realloc(s->files, size * sizeof(*grown));

        if (grown == NULL)
            return status_out_of_memory(st, size * sizeof(*grown));
        s->files = grown;
        s->size = size;
    }
    file = &s->files[s->nfiles];
    file->path = strdup(entry->path);
    if (file->path == NULL)
        return status_out_of_memory(st, strlen(entry->path));
    file->size = entry->size;
    file->mtime = entry->mtime;
    file->known = true;
    s->nfiles++;
    return true;
}

static bool
forward(void *context, const DriverEntry *entry, Status *st)
{
    Session *s = context;

    return s->sink->object(s->sink->context, entry, st);
}

static bool
run(Session *s, Status *st)
{
    const Request *request = s->request;
    const RequestFile *files = request->files;
    size_t n = request->nfiles, i;

    bool open = request->driver->open(&request->config, &s->driver, st);

    request_forget_auth(request);
    if (!open)
        return false;
    if (request->list)
        return request->driver->list(s->driver, request->resource, forward, s, st);
    if (files == NULL)
    {
        if (!request->driver->list(s->driver, request->resource, collect, s, st))
            return false;
        files = s->files;
        n = s->nfiles;
    }
    for (i = 0; i < n; i++)
    {
        if (request->row_limit > 0 && s->rows >= request->row_limit)
            break;
        if (!read_file(s, &files[i], st))
            return false;
        if (request->describe)
            break;
    }
    return true;
}

bool
session_run(const Request *request, const Sink *sink, Status *st)
{
    Session s = {.request = request, .sink = sink};
    bool fine = run(&s, st);
    size_t i;

    request->driver->close(s.driver);
    for (i = 0; i < s.nfiles; i++)
        free((char *) s.files[i].path);
    free(s.files);
    if (s.builder_open)
        batch_free(&s.builder);
    return fine;
}
