/*
 * fetch.c: what a pipeline asks its reader for.  See fetch.h.
 */
#include "postgres.h"

#include "pg/fetch.h"

#include "common/int.h"
#include "mb/pg_wchar.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "utils/fmgrprotos.h"

#include "pg/cells.h"
#include "pg/encoding.h"
#include "pg/errors.h"
#include "pg/file_pattern.h"
#include "pg/json.h"
#include "pg/source_options.h"
#include "pg/upload.h"

/* Rows in a message: small enough that the reader fills one while another is loaded. */
#define BATCH_ROWS 1000
/* A listing is kept in memory. */
#define MAX_OBJECTS 2000000
#define UNIX_TO_POSTGRES_US (INT64CONST(946684800) * USECS_PER_SEC)

bool
fetch_is_incremental(const GraphNode *source)
{
    return json_get_bool(source->config, "incremental", false);
}

bool
fetch_skips_failing(const GraphNode *source)
{
    char *rule = json_get_text(source->config, "onFileError");

    return rule && strcmp(rule, "skip") == 0;
}

int64
fetch_row_limit(const GraphNode *source)
{
    return json_get_int(source->config, "rowLimit", 0);
}

/* What the reader is told of a config, where a null is a key that was left out. */
static char *
config_text(const ConnectorSpec *connector)
{
    Jsonb *config;

    if (connector->upload)
        return upload_config(connector);
    config = DatumGetJsonbP(DirectFunctionCall1(jsonb_strip_nulls, JsonbPGetDatum(connector->config)));
    return JsonbToCString(NULL, &config->root, VARSIZE(config));
}

/* A reader's time as ours; it may send anything. */
static TimestampTz
server_time(int64 unix_us)
{
    TimestampTz time;

    if (unix_us == WIRE_NO_TIME)
        return FETCH_NO_TIME;
    if (pg_sub_s64_overflow(unix_us, UNIX_TO_POSTGRES_US, &time) || !IS_VALID_TIMESTAMP(time))
        link_misbehaved("kaireon-reader sent a file time out of range");
    return time;
}

static int64
server_size(uint64 size)
{
    if (size > PG_INT64_MAX)
        link_misbehaved("kaireon-reader sent a file size out of range");
    return (int64) size;
}

/* A text about the object of that path; `what` names it where the database has no place for it. */
static char *
server_copy(WireStr text, WireStr path, const char *what)
{
    char *copy = pnstrdup(text.data, text.length), *converted;

    if (strlen(copy) != text.length || !pg_verify_mbstr(PG_UTF8, copy, text.length, true))
        link_misbehaved("kaireon-reader sent text that is not UTF-8");
    converted = encoding_text(copy, text.length);
    if (converted == NULL)
        ereport(ERROR, (errcode(ERRCODE_UNTRANSLATABLE_CHARACTER), errmsg("%s", encoding_complaint(what)),
                        errdetail("File \"%s\".", link_text(path)),
                        errhint("Rename it, or read the source in a database of encoding UTF8.")));
    return converted;
}

static int
compare_modified(const ListCell *a, const ListCell *b)
{
    const FetchObject *x = lfirst(a), *y = lfirst(b);

    CHECK_FOR_INTERRUPTS(); /* there may be two million */
    if (x->modified != y->modified)
        return x->modified < y->modified ? -1 : 1;
    return strcmp(x->path, y->path);
}

static int
compare_newest(const ListCell *a, const ListCell *b)
{
    return -compare_modified(a, b);
}

/* Being by path is fine for the other orderings too. */
void
fetch_order(List *objects, const GraphNode *source)
{
    char *ordering = json_get_text(source->config, "ordering");

    if (ordering && strcmp(ordering, "latest_by_mtime") == 0)
        list_sort(objects, compare_newest);
    else if (ordering && strcmp(ordering, "oldest_by_mtime") == 0)
        list_sort(objects, compare_modified);
}

/* What the reader tells of, one OBJECT after another, until END. */
static List *
receive_objects(Link *link)
{
    LinkMessage message;
    List *objects = NIL;

    for (;;)
    {
        WireReader r;
        WireObject object;
        FetchObject *copy;

        (void) link_receive(link, &message, true);
        if (message.type == WIRE_END)
            return objects;
        r = (WireReader){message.body, message.length, 0, false};
        if (message.type != WIRE_OBJECT || !wire_get_object(&r, &object))
            link_misbehaved("kaireon-reader sent something else than a listing");
        copy = palloc0(sizeof(FetchObject));
        copy->path = server_copy(object.path, object.path, "the name of a file");
        copy->size = server_size(object.size);
        copy->modified = server_time(object.mtime);
        copy->etag = server_copy(object.etag, object.path, "the etag of a file");
        objects = lappend(objects, copy);
        if (list_length(objects) > MAX_OBJECTS)
            ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("the source has more than %d objects", MAX_OBJECTS),
                            errdetail("All of them are listed, and put in order, before the first is read."),
                            errhint("Name a folder or a pattern that holds fewer.")));
    }
}

static List *
list_resource(Link *link, const ConnectorSpec *connector, const char *resource, bool missing_ok)
{
    LinkRequest request = {.operation = "list", .resource = resource, .missing_ok = missing_ok};

    request.connector_type = connector->type;
    request.config = config_text(connector);
    request.auth = &connector->auth;
    link_request(link, &request);
    return receive_objects(link);
}

static List *
list_objects(Link *link, const ConnectorSpec *connector, const GraphNode *source, TimestampTz at, bool missing_ok)
{
    List *objects = list_resource(link, connector, file_pattern_resource(source->config, at), missing_ok);

    fetch_order(objects, source);
    return objects;
}

List *
fetch_list_folder(Link *link, const ConnectorSpec *connector, const char *folder)
{
    StringInfoData resource;

    initStringInfo(&resource);
    for (const char *at = folder; *at; at++)
    {
        if (strchr("*?[\\", *at))
            appendStringInfoChar(&resource, '\\');
        appendStringInfoChar(&resource, *at);
    }
    return list_resource(link, connector, resource.data, true);
}

List *
fetch_list(Link *link, const ConnectorSpec *connector, const GraphNode *source, TimestampTz at, bool may_miss)
{
    return list_objects(link, connector, source, at, may_miss || file_pattern_may_miss(source->config) || json_get(source->config, "waitPolicy"));
}

List *
fetch_list_now(Link *link, const ConnectorSpec *connector, const GraphNode *source)
{
    return file_pattern_select(source->config, fetch_list(link, connector, source, GetCurrentStatementStartTimestamp(), false));
}

List *
fetch_find(Link *link, const ConnectorSpec *connector, const GraphNode *source)
{
    return list_objects(link, connector, source, GetCurrentStatementStartTimestamp(), true);
}

int64
fetch_reader_time(TimestampTz time)
{
    return time == FETCH_NO_TIME ? WIRE_NO_TIME : time + UNIX_TO_POSTGRES_US;
}

/* An entry of a request's files, without its end. */
static void
append_file(StringInfo out, const FetchObject *file)
{
    appendStringInfoString(out, "{\"path\":");
    json_append_string(out, file->path);
    appendStringInfo(out, ",\"size\":" INT64_FORMAT ",\"mtime\":" INT64_FORMAT, file->size, fetch_reader_time(file->modified));
    if (file->etag && file->etag[0])
    {
        appendStringInfoString(out, ",\"etag\":");
        json_append_string(out, file->etag);
    }
}

void
fetch_read(Link *link, const ConnectorSpec *connector, const ProgramSource *source, List *files, const FetchLimits *limits)
{
    LinkRequest request = {.operation = "read"};
    StringInfoData columns, list;
    int64 limit = fetch_row_limit(source->node);
    ListCell *lc;

    initStringInfo(&columns);
    initStringInfo(&list);
    cells_request(source, &columns);
    appendStringInfoChar(&list, '[');
    foreach(lc, files)
    {
        const FetchObject *file = lfirst(lc);

        CHECK_FOR_INTERRUPTS();
        appendStringInfoString(&list, list.len > 1 ? "," : "");
        append_file(&list, file);
        if (file->at)
        {
            appendStringInfoString(&list, ",\"at\":");
            append_file(&list, file->at);
            appendStringInfoChar(&list, '}');
        }
        if (file->from > 0)
            appendStringInfo(&list, ",\"from\":" INT64_FORMAT, file->from);
        appendStringInfoChar(&list, '}');
    }
    appendStringInfoChar(&list, ']');
    if (limits->rows > 0 && (limit <= 0 || limits->rows < limit))
        limit = limits->rows;
    request.connector_type = connector->type;
    request.config = config_text(connector);
    request.auth = &connector->auth;
    request.resource = "";
    request.files = list.data;
    request.format = source_format(upload_format(connector, source->node->config));
    request.columns = columns.data;
    request.records = limits->records;
    request.row_limit = limit;
    request.batch_rows = limits->batch_rows > 0 ? (int) Min(limits->batch_rows, BATCH_ROWS) : BATCH_ROWS;
    link_request(link, &request);
}

void
fetch_replay(Link *link, const ProgramSource *source, const char *records, int64 batch_rows)
{
    LinkRequest request = {.operation = "replay", .replayed = records, .records = true};
    StringInfoData columns;

    initStringInfo(&columns);
    cells_request(source, &columns);
    request.format = source_format(source->node->config);
    request.columns = columns.data;
    request.batch_rows = batch_rows > 0 ? (int) Min(batch_rows, BATCH_ROWS) : BATCH_ROWS;
    link_request(link, &request);
}

FetchObject *
fetch_split(const LinkMessage *message, int ncolumns, bool *present)
{
    WireReader r = {message->body, message->length, 0, false};
    WireSplit split;
    FetchObject *object = palloc0(sizeof(FetchObject));

    if (!wire_get_split(&r, &split) || split.ncols != (uint32) ncolumns)
        link_misbehaved("kaireon-reader sent a split that can't be read");
    for (int i = 0; i < ncolumns; i++)
        present[i] = split.present[i] != 0;
    object->path = server_copy(split.path, split.path, "the name of a file");
    object->place = server_copy(split.place, split.place, "the name of a file");
    object->base = server_size(split.base);
    object->size = server_size(split.size);
    object->modified = server_time(split.mtime);
    object->etag = server_copy(split.etag, split.path, "the etag of a file");
    object->head_hash = server_copy(split.head_hash, split.path, "the hash of a file");
    object->dialect = server_copy(split.dialect, split.path, "the name of a field");
    object->fields = server_copy(split.fields, split.path, "the name of a field");
    return object;
}

FetchObject *
fetch_describe(Link *link, const ConnectorSpec *connector, const GraphNode *source, const FetchObject *object)
{
    LinkRequest request = {.operation = "describe", .columns = "[]", .batch_rows = 1};
    FetchObject *described = NULL;
    StringInfoData list;
    LinkMessage message;

    if (object == NULL && json_get(source->config, "pattern"))
    {
        List *listed = fetch_list_now(link, connector, source);

        if (listed == NIL)
            return NULL;
        object = linitial(listed);
    }
    if (object)
    {
        initStringInfo(&list);
        appendStringInfoChar(&list, '[');
        append_file(&list, object);
        appendStringInfoString(&list, "}]");
        request.files = list.data;
    }
    request.connector_type = connector->type;
    request.config = config_text(connector);
    request.auth = &connector->auth;
    request.resource = object ? "" : file_pattern_resource(source->config, GetCurrentStatementStartTimestamp());
    request.format = source_format(source->config);
    link_request(link, &request);
    while (link_receive(link, &message, true) && message.type != WIRE_END)
    {
        if (message.type == WIRE_SPLIT)
            described = fetch_split(&message, 0, NULL);
    }
    return described;
}

static List *
move_files(Link *link, const ConnectorSpec *connector, List *files, List *to, bool missing_ok)
{
    LinkRequest request = {.operation = "move", .resource = "", .missing_ok = missing_ok};
    WireObject object = {0};
    StringInfoData list;
    LinkMessage message;
    List *places = NIL;
    ListCell *file, *target;

    initStringInfo(&list);
    appendStringInfoChar(&list, '[');
    forboth(file, files, target, to)
    {
        appendStringInfoString(&list, list.len > 1 ? "," : "");
        append_file(&list, lfirst(file));
        appendStringInfoString(&list, ",\"to\":");
        json_append_string(&list, lfirst(target));
        appendStringInfoChar(&list, '}');
    }
    appendStringInfoChar(&list, ']');
    request.connector_type = connector->type;
    request.config = config_text(connector);
    request.auth = &connector->auth;
    request.files = list.data;
    link_request(link, &request);
    while (link_receive(link, &message, true) && message.type != WIRE_END)
    {
        WireReader r = {message.body, message.length, 0, false};

        if (message.type != WIRE_OBJECT || !wire_get_object(&r, &object) || list_length(places) == list_length(files) ||
            (object.path.length == 0 && !missing_ok))
            link_misbehaved("kaireon-reader sent something else than a moved file");
        places = lappend(places, object.path.length == 0 ? NULL : server_copy(object.path, object.path, "the name of a file"));
    }
    if (list_length(places) < list_length(files))
        link_misbehaved("kaireon-reader did not say where it moved a file");
    return places;
}

char *
fetch_move(Link *link, const ConnectorSpec *connector, const FetchObject *file, const char *to)
{
    return linitial(move_files(link, connector, list_make1(unconstify(FetchObject *, file)), list_make1(unconstify(char *, to)), false));
}

List *
fetch_move_all(Link *link, const ConnectorSpec *connector, List *files, List *to)
{
    return move_files(link, connector, files, to, true);
}

void
fetch_call(Link *link, const ConnectorSpec *connector, const char *path, const char *call, FetchAnswer *answer)
{
    LinkRequest request = {.operation = "call", .resource = path, .call = call};
    LinkMessage message;
    WireAnswer got;

    request.connector_type = connector->type;
    request.config = config_text(connector);
    request.auth = &connector->auth;
    link_request(link, &request);
    answer->status = 0;
    while (link_receive(link, &message, true) && message.type != WIRE_END)
    {
        WireReader r = {message.body, message.length, 0, false};

        if (answer->status || message.type != WIRE_ANSWER || !wire_get_answer(&r, &got) || got.status < 100 || got.status > 999)
            link_misbehaved("kaireon-reader sent something else than the answer to a call");
        answer->status = got.status;
        answer->wait = Min(got.wait, PG_INT32_MAX);
        answer->said = link_text(got.said);
    }
    if (answer->status == 0)
        link_misbehaved("kaireon-reader did not say what was answered to a call");
}

void
fetch_check(Link *link, const ConnectorSpec *connector)
{
    LinkRequest request = {.operation = "check", .resource = ""};
    LinkMessage message;

    request.connector_type = connector->type;
    request.config = config_text(connector);
    request.auth = &connector->auth;
    link_request(link, &request);
    (void) link_receive(link, &message, true);
    if (message.type != WIRE_END)
        link_misbehaved("kaireon-reader sent something else than that a connector is right");
}

List *
fetch_look(Link *link, const ConnectorSpec *connector)
{
    LinkRequest request = {.operation = "look", .resource = ""};

    request.connector_type = connector->type;
    request.config = config_text(connector);
    request.auth = &connector->auth;
    link_request(link, &request);
    return receive_objects(link);
}
