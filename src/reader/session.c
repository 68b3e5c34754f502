/*
 * session.c: see session.h.
 *
 * A read goes over its files one after another: open the object, put the
 * decompression over it, the encoding over that and the format on top, find out which field goes
 * into which column, then batch after batch; of an archive the same for each
 * member, all within the file's split.  The batch builder lives as long
 * as the request, so its memory is used for all files.
 */
#include "reader/session.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/head.h"
#include "reader/columns.h"
#include "reader/output.h"
#include "reader/replay.h"

/* Files that a driver is told of in advance. */
#define EXPECTED 32

typedef struct Session
{
    const Request *request;
    const Sink *sink;
    Output output;
    void *driver;           /* the driver's session */
    RequestFile *files;     /* listed by us; paths are ours */
    size_t nfiles, size;
    uint64_t rows;          /* of all splits */
} Session;

/* Content on its way into a format, and how much of it passed. */
typedef struct Counted { ByteSource source; uint64_t bytes; } Counted;

/* What is open for one member of a file; a file that is no archive has one. */
typedef struct Member
{
    char *place;            /* file and member, for people */
    const char *name;       /* in its archive; NULL: it is the file */
    uint64_t base;          /* bytes of content before it */
    Decompress *plain;      /* of an archive's member, to see what it is */
    EncodingStage *text;
    Counted counted;
    Head *head;             /* NULL: the name says the format */
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
    char *field_list;       /* JSON; NULL: nobody asked for records */
} Member;

/* What is open for one file. */
typedef struct Split
{
    const char *path;
    uint64_t from;          /* rows that begin before this byte, counted over all members, are left out */
    void *object;
    DriverInfo info;
    Decompress *plain;
    Member member;
    uint64_t rows;
} Split;

/* ---- fields to columns ------------------------------------------------- */

/* The fields are column1, column2..., because the file has no header. */
static bool
is_numbered(const Member *m)
{
    json_t *dialect = json_object();
    bool numbered = dialect != NULL && m->format->describe(m->state, false, dialect) &&
        json_is_false(json_object_get(dialect, "header")) && strcmp(m->names[0], "column1") == 0;

    json_decref(dialect);
    return numbered;
}

/* Debug mode: the source's own fields, as text. */
static bool
take_all_columns(Member *m, Status *st)
{
    size_t i;

    m->ncolumns = m->nnames > WIRE_MAX_FIELDS ? WIRE_MAX_FIELDS : (uint32_t) m->nnames;
    m->own_columns = calloc(m->ncolumns + 1, sizeof(*m->own_columns));
    if (m->own_columns == NULL)
        return status_out_of_memory(st, 0);
    for (i = 0; i < m->ncolumns; i++)
        m->own_columns[i].name = m->names[i];
    m->columns = m->own_columns;
    return true;
}

/* One column's field; what the source's names alone do not tell is added to the failure. */
static bool
map_column(Member *m, const ColumnSpec *column, bool strict, int *field, Status *st)
{
    if (column_field(m->format, m->state, column, strict, field, st))
        return true;
    if (strcmp(st->sqlstate, STATUS_NO_COLUMN) == 0 && st->hint[0] == '\0' && is_numbered(m))
        status_hint(st, "The file was taken to have no header: say \"header\": true if it has one, or name its fields with \"columns\".");
    return false;
}

/*
 * Rows may lack any field, so one that the first of them do not have is no
 * mistake; but when they have none of those that are asked for, it is one.
 */
static bool
check_fields(const Member *m, Status *st)
{
    const ColumnSpec *missing = NULL;
    int field;

    for (uint32_t i = 0; i < m->ncolumns; i++)
    {
        if (m->map[i] >= 0 && (size_t) m->map[i] < m->nnames)
            return true;
        if (m->map[i] >= 0 && m->columns[i].required && missing == NULL)
            missing = &m->columns[i];
    }
    if (missing == NULL || column_find(m->names, m->nnames, missing, true, &field, st))
        return true;
    if (m->format == &format_json && st->hint[0] == '\0')
        status_hint(st, "If the rows are deeper in the document, \"recordPath\" leads to them: $.data[*].");
    return false;
}

static bool
map_columns(Session *s, Member *m, Status *st)
{
    const Request *request = s->request;
    uint32_t i;

    m->format->fields(m->state, &m->names, &m->nnames);
    m->columns = request->columns;
    m->ncolumns = request->ncolumns;
    if (request->all_columns && !request->describe && !take_all_columns(m, st))
        return false;
    m->map = calloc(m->ncolumns + 1, sizeof(*m->map));
    m->present = calloc(m->ncolumns + 1, 1);
    if (m->map == NULL || m->present == NULL)
        return status_out_of_memory(st, 0);
    for (i = 0; i < m->ncolumns; i++)
    {
        if (request->all_columns)
            m->map[i] = (int) i;
        else if (!map_column(m, &m->columns[i], !request->describe, &m->map[i], st))
            return false;
        m->present[i] = m->map[i] != FIELD_ABSENT;
    }
    m->map[i] = FIELD_RECORD;
    m->format->fields(m->state, &m->names, &m->nnames);
    if (request->describe)
        return true;
    if (!check_fields(m, st))
        return false;
    if (request->all_columns)
        output_close(&s->output);
    return output_open(&s->output, request, m->columns, m->ncolumns, st);
}

/* ---- one file ---------------------------------------------------------- */

static bool
read_counted(void *context, uint8_t *out, size_t size, size_t *got, Status *st)
{
    Counted *counted = context;

    if (!byte_source_read(counted->source, out, size, got, st))
        return false;
    counted->bytes += *got;
    return true;
}

static void
member_close(Member *m)
{
    if (m->state != NULL)
        m->format->close(m->state);
    head_close(m->head);
    encoding_close(m->text);
    decompress_close(m->plain);
    free(m->own_columns);
    free(m->map);
    free(m->present);
    free(m->dialect);
    free(m->field_list);
    free(m->place);
    *m = (Member) {.base = m->base + m->counted.bytes};
}

static void
split_close(Session *s, Split *split)
{
    member_close(&split->member);
    decompress_close(split->plain);
    s->request->driver->object_close(split->object);
}

/* What is opened for a file. */
static const DriverEntry *
opened(const RequestFile *file)
{
    return file->at.path == NULL ? &file->entry : &file->at;
}

static bool
as_listed(const RequestFile *file, const DriverInfo *info, Status *st)
{
    const DriverEntry *entry = opened(file);

    if (!file->known || (entry->size == info->size && entry->mtime == info->mtime))
        return true;
    status_fail(st, STATUS_IO, "file \"%s\" is no longer as it was listed", entry->path);
    if (entry->size != info->size)
        return status_detail(st, "It had %" PRIu64 " bytes and has %" PRIu64 " now.", entry->size, info->size);
    return status_detail(st, "It still has %" PRIu64 " bytes, but was written since.", info->size);
}

/* A file that is elsewhere is told of as what it was. */
static void
restore_info(const RequestFile *file, DriverInfo *info)
{
    if (file->at.path == NULL)
        return;
    info->size = file->entry.size;
    info->mtime = file->entry.mtime;
    info->etag = file->entry.etag;
}

static bool
split_open(Session *s, Split *split, const RequestFile *file, Status *st)
{
    const Request *request = s->request;
    const Driver *driver = request->driver;

    if (!driver->object_open(s->driver, opened(file), file->known, &split->object, &split->info, st) || !as_listed(file, &split->info, st))
        return false;
    restore_info(file, &split->info);
    return decompress_open(&split->plain, request->compression, &request->limits, (ByteSource) {driver->object_read, split->object}, st);
}

/* A member of an archive must be a file as it is: not compressed once more, and no document. */
static bool
check_content(Member *m, ByteSource *content, Status *st)
{
    static const DecompressLimits none;
    const char *name;
    bool more;

    if (!decompress_open(&m->plain, COMPRESSION_AUTO, &none, *content, st))
        return false;
    if (decompress_kind(m->plain) != COMPRESSION_NONE)
    {
        status_fail(st, STATUS_NOT_SUPPORTED, "member \"%.400s\" of the archive is compressed once more (%s), which can't be read in this version",
                    m->name, compression_name(decompress_kind(m->plain)));
        return status_hint(st, "Take it out of the archive: it can be read on its own.");
    }
    *content = decompress_source(m->plain);
    return decompress_next(m->plain, &name, &more, st);
}

/* The stages over the content at hand; they read no more than its first bytes. */
static bool
open_stages(const Request *request, Split *split, Status *st)
{
    Member *m = &split->member;
    ByteSource content = decompress_source(split->plain);

    if (m->name != NULL && !check_content(m, &content, st))
        return false;
    if (!encoding_open(&m->text, request->encoding, content, st))
        return false;
    m->counted.source = encoding_source(m->text);
    return true;
}

/* The format over them, which is by the name or, when that says nothing, by the first bytes. */
static bool
open_format(Session *s, Split *split, Status *st)
{
    Member *m = &split->member;
    const char *name = m->name == NULL ? split->path : m->name;
    ByteSource source = {read_counted, &m->counted};
    const Format *found = NULL;
    const uint8_t *bytes;
    size_t n;

    if (request_wants_head(s->request, name))
    {
        if (!head_open(&m->head, source, st))
            return false;
        source = head_source(m->head);
        bytes = head_bytes(m->head, &n);
        found = format_by_content(bytes, n);
    }
    return request_format(s->request, name, found, &m->format, &m->options, st) &&
        m->format->open(m->options, source, &m->state, st) && map_columns(s, m, st);
}

static bool
member_open(Session *s, Split *split, Status *st)
{
    const Request *request = s->request;
    Member *m = &split->member;
    size_t length = strlen(split->path) + (m->name == NULL ? 0 : strlen(m->name)) + 2;

    m->place = malloc(length);
    if (m->place == NULL)
        return status_out_of_memory(st, length);
    snprintf(m->place, length, "%s%s%s", split->path, m->name == NULL ? "" : "!", m->name == NULL ? "" : m->name);
    if (!open_stages(request, split, st))
    {
        /* What is wrong there is on the first line. */
        st->line = strcmp(st->sqlstate, STATUS_OUT_OF_MEMORY) == 0 ? 0 : 1;
        return false;
    }
    return open_format(s, split, st);
}

/* What records are made of, as wire.h has it, to be freed; NULL without memory. */
static char *
list_fields(const Member *m)
{
    json_t *list = json_array();
    char *text;

    for (size_t i = 0; i < m->nnames; i++)
        json_array_append_new(list, json_string(m->names[i]));
    text = m->format->whole_records ? strdup("{}") : json_dumps(list, JSON_COMPACT);
    json_decref(list);
    return text;
}

static bool
describe(Session *s, Split *split, Status *st)
{
    json_t *dialect = json_object();
    Compression kind = decompress_kind(split->plain);
    Member *m = &split->member;

    if (dialect != NULL &&
        json_object_set_new(dialect, "format", json_string(m->format->name)) == 0 &&
        json_object_set_new(dialect, "compression", json_string(compression_name(kind))) == 0 &&
        (m->name == NULL || json_object_set_new(dialect, "member", json_string(m->name)) == 0) &&
        json_object_set_new(dialect, "encoding", json_string(encoding_name(encoding_kind(m->text)))) == 0 &&
        /* a run's record is how the file was read, not what was in it */
        m->format->describe(m->state, s->request->describe, dialect) &&
        (!s->request->describe || m->format->survey(m->state, dialect)))
        m->dialect = json_dumps(dialect, JSON_COMPACT | JSON_REAL_PRECISION(3));
    json_decref(dialect);
    if (s->request->records)
        m->field_list = list_fields(m);
    return (m->dialect != NULL && (m->field_list != NULL || !s->request->records)) || status_out_of_memory(st, 0);
}

static WireStr
wire_str(const char *s)
{
    return (WireStr) {s, (uint32_t) strlen(s)};
}

static bool
announce(Session *s, Split *split, Status *st)
{
    const Member *m = &split->member;
    WireSplit message = {
        .split = s->output.split,
        .path = wire_str(split->path),
        .place = wire_str(m->place),
        .base = m->base,
        .size = split->info.size,
        .mtime = split->info.mtime,
        .etag = wire_str(split->info.etag),
        .head_hash = wire_str(split->info.head_hash),
        .ncols = m->ncolumns,
        .present = m->present,
    };

    if (!describe(s, split, st))
        return false;
    message.dialect = wire_str(m->dialect);
    if (m->field_list != NULL)
        message.fields = wire_str(m->field_list);
    return s->sink->split(s->sink->context, &message, m->columns, st);
}

static bool
send_batch(Session *s, Split *split, Status *st)
{
    uint32_t rows;

    if (!output_send(&s->output, decompress_stored(split->plain), &rows, st))
        return false;
    split->rows += rows;
    s->rows += rows;
    return true;
}

static bool
read_rows(Session *s, Split *split, Status *st)
{
    const Request *request = s->request;
    Member *m = &split->member;
    FormatSplit where = {.path = m->place, .mtime = split->info.mtime, .from = split->from > m->base ? split->from - m->base : 0};
    bool end = false;

    while (!end)
    {
        uint64_t limit = request->row_limit == 0 ? UINT64_MAX : request->row_limit - s->rows;

        if (!m->format->next(m->state, &where, &s->output.builder, m->map, limit, &end, st))
        {
            /* What was read before the error is not lost: a worker that commits by batch may keep it. */
            Status ignored;

            return batch_complete(&s->output.builder) && send_batch(s, split, &ignored) && false;
        }
        if (!send_batch(s, split, st))
            return false;
    }
    return true;
}

/* Enough was read: of the rows that were asked for, or for a description. */
static bool
is_enough(const Session *s, bool begun)
{
    const Request *request = s->request;

    return (request->describe && begun) || (request->row_limit > 0 && s->rows >= request->row_limit);
}

static bool
read_member(Session *s, Split *split, Status *st)
{
    bool fine = member_open(s, split, st) && announce(s, split, st) && (s->request->describe || read_rows(s, split, st));

    output_clear(&s->output);
    if (!fine && st->path[0] == '\0' && split->member.place != NULL)
        snprintf(st->path, sizeof(st->path), "%s", split->member.place);
    member_close(&split->member);
    return fine;
}

static bool
read_file(Session *s, const RequestFile *file, Status *st)
{
    Split split = {.path = file->entry.path, .from = file->from};
    bool fine = split_open(s, &split, file, st), more = fine, begun = false;

    while (more && !is_enough(s, begun))
    {
        fine = decompress_next(split.plain, &split.member.name, &more, st);
        more = fine && more;
        if (more)
            fine = more = read_member(s, &split, st);
        begun = true;
    }
    if (fine && !s->request->describe)
        fine = s->sink->split_end(s->sink->context, s->output.split, split.rows, decompress_stored(split.plain), st);
    split_close(s, &split);
    if (!fine && st->path[0] == '\0')
        snprintf(st->path, sizeof(st->path), "%s", file->entry.path);
    s->output.split++;
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
    memset(file, 0, sizeof(*file));
    file->entry = (DriverEntry) {strdup(entry->path), entry->size, entry->mtime, strdup(entry->etag)};
    s->nfiles++;
    if (file->entry.path == NULL || file->entry.etag == NULL)
        return status_out_of_memory(st, strlen(entry->path));
    file->known = true;
    return true;
}

static bool
forward(void *context, const DriverEntry *entry, Status *st)
{
    Session *s = context;

    return s->sink->object(s->sink->context, entry, st);
}

/* May a file that could not be moved have gone, and is that why? */
static bool
has_gone(const Request *request, const Status *st)
{
    return request->missing_ok && (strcmp(st->sqlstate, STATUS_NO_FILE) == 0 || strcmp(st->sqlstate, STATUS_CHANGED) == 0);
}

/* Each object's new place is told as an object of a listing. */
static bool
move_files(Session *s, Status *st)
{
    const Request *request = s->request;
    size_t i;

    if (request->driver->move == NULL)
        return status_fail(st, STATUS_NOT_SUPPORTED, "objects of connector type \"%s\" can't be moved", request->driver->type);
    for (i = 0; i < request->nfiles; i++)
    {
        const RequestFile *file = &request->files[i];
        DriverEntry entry = file->entry;
        char place[8192];

        if (!request->driver->move(s->driver, &entry, file->to, place, sizeof(place), st))
        {
            if (!has_gone(request, st))
                return false;
            status_clear(st);
            place[0] = '\0';
        }
        entry.path = place;
        if (!s->sink->object(s->sink->context, &entry, st))
            return false;
    }
    return true;
}

static bool
call(Session *s, Status *st)
{
    const Request *request = s->request;
    DriverAnswer answer = {0};

    if (request->driver->call == NULL)
        return status_fail(st, STATUS_NOT_SUPPORTED, "connectors of type \"%s\" have nothing that can be called", request->driver->type);
    return request->driver->call(s->driver, &request->called, &answer, st) && s->sink->answer(s->sink->context, &answer, st);
}

/* The driver's listing; what does not exist has no objects where the request says so. */
static bool
list(Session *s, DriverEmit emit, Status *st)
{
    const Request *request = s->request;

    if (request->driver->list(s->driver, request->resource, emit, s, st))
        return true;
    if (!request->missing_ok || strcmp(st->sqlstate, STATUS_NO_FILE) != 0)
        return false;
    status_clear(st);
    return true;
}

static bool
read_files(Session *s, const RequestFile *files, size_t n, Status *st)
{
    const Request *request = s->request;
    size_t told = 0;

    for (size_t i = 0; i < n; i++)
    {
        if (is_enough(s, i > 0))
            break;
        for (; told < n && told < i + EXPECTED && !request->describe && request->driver->object_expect != NULL; told++)
            if (files[told].known)
                request->driver->object_expect(s->driver, opened(&files[told]));
        if (!read_file(s, &files[i], st))
            return false;
    }
    return true;
}

static bool
run(Session *s, Status *st)
{
    const Request *request = s->request;
    bool open = request->driver->open(&request->config, &s->driver, st);

    request_forget_auth(request);
    if (!open || request->check)
        return open;
    if (request->list)
        return list(s, forward, st);
    if (request->look)
        return request->driver->look == NULL || request->driver->look(s->driver, forward, s, st);
    if (request->move)
        return move_files(s, st);
    if (request->call)
        return call(s, st);
    if (request->files != NULL)
        return read_files(s, request->files, request->nfiles, st);
    return list(s, collect, st) && read_files(s, s->files, s->nfiles, st);
}

bool
session_run(const Request *request, const Sink *sink, Status *st)
{
    Session s = {.request = request, .sink = sink, .output = {.sink = sink}};
    bool fine;
    size_t i;

    if (request->replay)
        return replay_run(request, sink, st);
    fine = run(&s, st);
    request->driver->close(s.driver);
    for (i = 0; i < s.nfiles; i++)
    {
        free((char *) s.files[i].entry.path);
        free((char *) s.files[i].entry.etag);
    }
    free(s.files);
    output_close(&s.output);
    return fine;
}
