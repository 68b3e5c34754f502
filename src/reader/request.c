/*
 * request.c: see request.h.
 *
 * Every object goes through json_fields_read with a table of its keys, so that
 * a misspelt key is an error that names it.
 */
#include "reader/request.h"

#include <limits.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/json_fields.h"

#define MAX_FILES 1000000
#define MAX_ROOTS 1000
/* What may come out of a compressed object unless the request says otherwise. */
#define MAX_DECOMPRESSED_BYTES (UINT64_C(1) << 40)
#define MAX_COMPRESSION_RATIO 1000
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct { const char *name; ColumnKind kind; } column_types[] = {
    {"text", COLUMN_TEXT}, {"varchar", COLUMN_VARCHAR}, {"bool", COLUMN_BOOL},
    {"int2", COLUMN_INT2}, {"int4", COLUMN_INT4}, {"int8", COLUMN_INT8},
    {"numeric", COLUMN_NUMERIC}, {"float4", COLUMN_FLOAT4}, {"float8", COLUMN_FLOAT8}, {"date", COLUMN_DATE},
    {"timestamp", COLUMN_TIMESTAMP}, {"timestamptz", COLUMN_TIMESTAMPTZ}, {"raw", COLUMN_RAW}, {"json", COLUMN_JSON},
};

/* ---- columns ----------------------------------------------------------- */

static bool
parse_type(ColumnSpec *spec, const char *where, const char *type, Status *st)
{
    char list[200] = "";
    size_t i, used = 0;

    for (i = 0; i < COUNT(column_types); i++)
        if (strcmp(column_types[i].name, type) == 0)
        {
            spec->kind = column_types[i].kind;
            return true;
        }
    for (i = 0; i < COUNT(column_types); i++)
        used += (size_t) snprintf(list + used, sizeof(list) - used, "%s%s", i > 0 ? ", " : "", column_types[i].name);
    status_fail(st, STATUS_INVALID_VALUE, "unknown type \"%s\" in %s", type, where);
    return status_hint(st, "Known types: %s.", list);
}

static bool
parse_column(ColumnSpec *spec, const json_t *json, size_t index, Status *st)
{
    const char *name = NULL, *type = "text";
    int64_t length = 0, precision = 0, scale = 0;
    bool coerce = false, required = true;
    const JsonField fields[] = {
        {"name", JSON_FIELD_TEXT, true, &name, 0, 0},
        {"type", JSON_FIELD_TEXT, false, &type, 0, 0},
        {"length", JSON_FIELD_INT, false, &length, 1, 10485760},
        {"precision", JSON_FIELD_INT, false, &precision, 1, 1000},
        {"scale", JSON_FIELD_INT, false, &scale, -1000, 1000},
        {"coerce", JSON_FIELD_BOOL, false, &coerce, 0, 0},
        {"required", JSON_FIELD_BOOL, false, &required, 0, 0},
    };
    char where[40];

    snprintf(where, sizeof(where), "columns[%zu]", index);
    memset(spec, 0, sizeof(*spec));
    if (!json_fields_read(json, where, fields, COUNT(fields), st) || !parse_type(spec, where, type, st))
        return false;
    if (spec->kind != COLUMN_VARCHAR && length != 0)
        return status_fail(st, STATUS_INVALID_VALUE, "key \"length\" of %s needs type varchar", where);
    if (spec->kind != COLUMN_NUMERIC && (precision != 0 || scale != 0))
        return status_fail(st, STATUS_INVALID_VALUE, "keys \"precision\" and \"scale\" of %s need type numeric", where);
    if (scale != 0 && precision == 0)
        return status_fail(st, STATUS_INVALID_VALUE, "key \"scale\" of %s needs \"precision\"", where);
    /* varchar without a length takes any text. */
    if (spec->kind == COLUMN_VARCHAR && length == 0)
        spec->kind = COLUMN_TEXT;
    spec->name = name;
    spec->length = (int) length;
    spec->precision = (int) precision;
    spec->scale = (int) scale;
    spec->coerce = coerce;
    spec->required = required;
    return true;
}

static bool
parse_columns(Request *request, const json_t *columns, bool debug, Status *st)
{
    size_t n = columns == NULL ? 0 : json_array_size(columns), i;

    if (columns == NULL)
    {
        request->all_columns = true;
        return debug || request->list || request->describe || request->move || request->call || request->check || request->look ||
            status_fail(st, STATUS_INVALID_VALUE, "key \"columns\" is missing in request");
    }
    if (n > WIRE_MAX_FIELDS)
        return status_fail(st, STATUS_INVALID_VALUE, "request has %zu columns, at most %d are allowed",
                           n, WIRE_MAX_FIELDS);
    request->columns = calloc(n + 1, sizeof(*request->columns));
    if (request->columns == NULL)
        return status_out_of_memory(st, n * sizeof(*request->columns));
    for (i = 0; i < n; i++)
        if (!parse_column(&request->columns[i], json_array_get(columns, i), i, st))
            return false;
    request->ncolumns = (uint32_t) n;
    return true;
}

/* ---- the rest ---------------------------------------------------------- */

/* Where a file is now, if not where it was listed; all of it must be known. */
static bool
parse_at(DriverEntry *at, const json_t *json, const char *file, Status *st)
{
    int64_t size = 0, mtime = 0;
    const JsonField fields[] = {
        {"path", JSON_FIELD_TEXT, true, &at->path, 0, 0},
        {"size", JSON_FIELD_INT, true, &size, 0, INT64_MAX},
        {"mtime", JSON_FIELD_INT, true, &mtime, INT64_MIN, INT64_MAX},
        {"etag", JSON_FIELD_TEXT, false, &at->etag, 0, 0},
    };
    char where[50];

    if (json == NULL)
        return true;
    at->etag = "";
    snprintf(where, sizeof(where), "%s.at", file);
    if (!json_fields_read(json, where, fields, COUNT(fields), st))
        return false;
    at->size = (uint64_t) size;
    at->mtime = mtime;
    return true;
}

static bool
parse_files(Request *request, const json_t *files, Status *st)
{
    size_t n = json_array_size(files), i;

    if (files == NULL)
        return true;
    if (n > MAX_FILES)
        return status_fail(st, STATUS_INVALID_VALUE, "request has %zu files, at most %d are allowed", n, MAX_FILES);
    request->files = calloc(n + 1, sizeof(*request->files));
    if (request->files == NULL)
        return status_out_of_memory(st, n * sizeof(*request->files));
    for (i = 0; i < n; i++)
    {
        RequestFile *file = &request->files[i];
        int64_t size = -1, mtime = INT64_MIN, from = 0;
        json_t *at = NULL;
        const JsonField fields[] = {
            {"path", JSON_FIELD_TEXT, true, &file->entry.path, 0, 0},
            {"etag", JSON_FIELD_TEXT, false, &file->entry.etag, 0, 0},
            {"size", JSON_FIELD_INT, false, &size, 0, INT64_MAX},
            {"mtime", JSON_FIELD_INT, false, &mtime, INT64_MIN, INT64_MAX},
            {"to", JSON_FIELD_TEXT, request->move, &file->to, 0, 0},
            {"from", JSON_FIELD_INT, false, &from, 0, INT64_MAX},
            {"at", JSON_FIELD_OBJECT, false, &at, 0, 0},
        };
        char where[40];

        file->entry.etag = "";
        snprintf(where, sizeof(where), "files[%zu]", i);
        if (!json_fields_read(json_array_get(files, i), where, fields, COUNT(fields), st))
            return false;
        if ((size < 0) != (mtime == INT64_MIN))
            return status_fail(st, STATUS_INVALID_VALUE, "%s needs both \"size\" and \"mtime\" or neither", where);
        if (request->move != (file->to != NULL) || (request->move && size < 0))
            return status_fail(st, STATUS_INVALID_VALUE, request->move ? "%s of a move needs \"size\" and \"mtime\""
                                                                       : "key \"to\" of %s needs operation move", where);
        if (at != NULL && (request->move || size < 0))
            return status_fail(st, STATUS_INVALID_VALUE, "key \"at\" of %s needs operation read, \"size\" and \"mtime\"", where);
        if (!parse_at(&file->at, at, where, st))
            return false;
        file->entry.size = (uint64_t) size;
        file->entry.mtime = mtime;
        file->known = size >= 0;
        file->from = (uint64_t) from;
    }
    request->nfiles = n;
    return true;
}

static bool
parse_call(Request *request, const json_t *call, Status *st)
{
    json_t *headers = NULL;
    const JsonField fields[] = {
        {"method", JSON_FIELD_TEXT, true, &request->called.method, 0, 0},
        {"headers", JSON_FIELD_OBJECT, false, &headers, 0, 0},
        {"body", JSON_FIELD_TEXT, true, &request->called.body, 0, 0},
    };

    if (request->call != (call != NULL))
        return status_fail(st, STATUS_INVALID_VALUE, request->call ? "key \"call\" is missing in request" : "key \"call\" of request needs operation call");
    if (call == NULL)
        return true;
    if (!json_fields_read(call, "call", fields, COUNT(fields), st))
        return false;
    request->called.path = request->resource == NULL ? "" : request->resource;
    request->called.headers = headers;
    return true;
}

static bool
parse_connector(Request *request, const json_t *connector, Status *st)
{
    const char *type = NULL, *auth_method = "none";
    json_t *config = NULL, *auth = NULL;
    const JsonField fields[] = {
        {"type", JSON_FIELD_TEXT, true, &type, 0, 0},
        {"config", JSON_FIELD_OBJECT, false, &config, 0, 0},
        {"authMethod", JSON_FIELD_TEXT, false, &auth_method, 0, 0},
        {"auth", JSON_FIELD_OBJECT, false, &auth, 0, 0},
    };

    if (!json_fields_read(connector, "connector", fields, COUNT(fields), st))
        return false;
    request->driver = driver_find(type);
    if (request->driver == NULL)
    {
        status_fail(st, STATUS_INVALID_VALUE, "reader does not know connector type \"%s\"", type);
        return status_hint(st, "Known types: %s.", driver_types());
    }
    request->config.config = config;
    request->config.auth_method = auth_method;
    request->config.auth = auth;
    return true;
}

static bool
parse_roots(Request *request, const json_t *roots, const json_t *forbidden, bool debug, Status *st)
{
    DriverConfig *config = &request->config;
    const json_t *base = config->config == NULL ? NULL : json_object_get(config->config, "basePath");

    if (!json_strings(roots, "request \"roots\"", MAX_ROOTS, &request->roots, &config->nroots, st) ||
        !json_strings(forbidden, "request \"forbidden\"", MAX_ROOTS, &request->forbidden, &config->nforbidden, st))
        return false;
    if (debug && roots == NULL)
    {
        request->own_root = json_is_string(base) ? strdup(json_string_value(base)) : getcwd(NULL, 0);
        request->roots = malloc(sizeof(*request->roots));
        if (request->own_root == NULL || request->roots == NULL)
            return status_out_of_memory(st, 0);
        request->roots[0] = request->own_root;
        config->nroots = 1;
    }
    config->roots = request->roots;
    config->forbidden = request->forbidden;
    return true;
}

/* A person at a terminal may connect wherever the machine can. */
static bool
parse_egress(Request *request, const json_t *egress, bool debug, Status *st)
{
    static const char *const everywhere[] = {"0.0.0.0/0", "[::]/0"};
    DriverConfig *config = &request->config;

    if (!json_strings(egress, "request \"egress\"", MAX_ROOTS, &request->egress, &config->negress, st))
        return false;
    config->egress = request->egress;
    if (debug && egress == NULL)
    {
        config->egress = everywhere;
        config->negress = COUNT(everywhere);
    }
    return true;
}

/* The text of a format option that is the session's; NULL when it is absent. */
static bool
format_text(const json_t *json, const char *key, const char **out, Status *st)
{
    const json_t *value = json_object_get(json, key);

    *out = NULL;
    if (value != NULL && !json_is_string(value))
        return status_fail(st, STATUS_INVALID_VALUE, "key \"%s\" of format must be a string, not %s", key,
                           json_kind_name(value));
    if (value != NULL)
        *out = json_string_value(value);
    return true;
}

/* A whole number from 0; *out stays as it is when it is absent. */
static bool
format_count(const json_t *json, const char *key, uint64_t *out, Status *st)
{
    const json_t *value = json_object_get(json, key);

    if (value != NULL && (!json_is_integer(value) || json_integer_value(value) < 0))
        return status_fail(st, STATUS_INVALID_VALUE, "format option \"%s\" must be a whole number from 0", key);
    if (value != NULL)
        *out = (uint64_t) json_integer_value(value);
    return true;
}

static bool
bad_format_value(const char *key, const char *value, const char *valid, Status *st)
{
    status_fail(st, STATUS_INVALID_VALUE, "invalid value \"%s\" for format option \"%s\"", value, key);
    return status_hint(st, "Valid: %s.", valid);
}

/* The byte stages in front of the format. */
static bool
parse_stages(Request *request, const json_t *json, Status *st)
{
    const char *compression, *encoding;

    request->limits = (DecompressLimits) {MAX_DECOMPRESSED_BYTES, MAX_COMPRESSION_RATIO};
    if (!format_text(json, "compression", &compression, st) || !format_text(json, "encoding", &encoding, st) ||
        !format_count(json, "maxDecompressedBytes", &request->limits.bytes, st) ||
        !format_count(json, "maxCompressionRatio", &request->limits.ratio, st))
        return false;
    if (compression != NULL && !compression_find(compression, &request->compression))
        return bad_format_value("compression", compression, compression_names(), st);
    if (encoding != NULL && !encoding_find(encoding, &request->encoding))
        return bad_format_value("encoding", encoding, encoding_names(), st);
    return true;
}

/*
 * What is said about the format of one kind: "ifCsv" has options that hold where it is CSV or
 * TSV and nothing else is said.  The result lives as long as the request.
 */
static const json_t *
options_of(Request *request, const Format *format, const json_t *json, json_t *if_csv, Status *st)
{
    json_t *merged;

    if (if_csv == NULL || (format != &format_csv && format != &format_tsv))
        return json;
    merged = json_copy(if_csv);
    if (merged == NULL || json_object_update(merged, (json_t *) json) != 0 || json_object_set_new(request->root, format->name, merged) != 0)
    {
        status_out_of_memory(st, 0);
        return NULL;
    }
    return merged;
}

/* One format's options.  By name the file may be of another format, so what is wrong is only kept. */
static bool
parse_options(Request *request, size_t i, const json_t *json, json_t *if_csv, Status *st)
{
    RequestFormat *format = &request->formats[i];

    json = options_of(request, format_list[i], json, if_csv, st);
    if (json == NULL)
        return false;
    if (format_list[i]->options_parse(json, &format->options, st))
        return true;
    if (request->format != NULL || strcmp(st->sqlstate, STATUS_INVALID_VALUE) != 0)
        return false;
    format->wrong = strdup(st->message);
    format->hint = strdup(st->hint);
    status_clear(st);
    return (format->wrong != NULL && format->hint != NULL) || status_out_of_memory(st, 0);
}

static bool
only_json(const json_t *json)
{
    return json_is_object(json_object_get(json, "columns")) || json_object_get(json, "recordPath") != NULL || json_object_get(json, "flatten") != NULL;
}

static bool
parse_format(Request *request, json_t *json, Status *st)
{
    const char *name;
    json_t *empty = NULL, *if_csv = json_object_get(json, "ifCsv");
    bool fine = true, any = false;
    size_t i;

    if (if_csv != NULL && (!json_is_object(if_csv) || json_object_set(request->root, "ifCsv", if_csv) != 0 || json_object_del(json, "ifCsv") != 0))
        return status_fail(st, STATUS_INVALID_VALUE, "key \"ifCsv\" of format must be an object");
    if (!format_text(json, "format", &name, st) || !parse_stages(request, json, st))
        return false;
    if (name != NULL && strcmp(name, "auto") != 0 && (request->format = format_find(name)) == NULL)
    {
        status_fail(st, STATUS_INVALID_VALUE, "unknown format \"%s\"", name);
        return status_hint(st, "Known formats: %s.", format_names());
    }
    if (json == NULL && (json = empty = json_object()) == NULL)
        return status_out_of_memory(st, 0);
    for (i = 0; fine && i < FORMAT_COUNT; i++)
    {
        if (request->format != NULL && request->format != format_list[i])
            continue;
        fine = parse_options(request, i, json, if_csv, st);
        any |= fine && request->formats[i].wrong == NULL;
    }
    if (!fine || any)
    {
        json_decref(empty);
        return fine;
    }
    /* They are none of any format's: of JSON's when something is said that only JSON has. */
    for (i = 0; format_list[i] != (only_json(json) ? &format_json : &format_csv); i++)
        ;
    status_fail(st, STATUS_INVALID_VALUE, "%s", request->formats[i].wrong);
    status_hint(st, "%s", request->formats[i].hint);
    json_decref(empty);
    return false;
}

static bool
parse_root(Request *request, bool debug, Status *st)
{
    int64_t version = WIRE_VERSION, batch_rows = 1000, batch_bytes = 131072, row_limit = 0;
    int64_t memory_limit = 268435456, credit = 8;
    const char *operation = "read";
    json_t *connector = NULL, *roots = NULL, *forbidden = NULL, *egress = NULL, *ambient = NULL, *files = NULL, *format = NULL, *columns = NULL, *replayed = NULL, *call = NULL;
    const JsonField fields[] = {
        {"version", JSON_FIELD_INT, false, &version, WIRE_VERSION, WIRE_VERSION},
        {"operation", JSON_FIELD_TEXT, false, &operation, 0, 0},
        {"connector", JSON_FIELD_OBJECT, false, &connector, 0, 0},
        {"roots", JSON_FIELD_ARRAY, false, &roots, 0, 0},
        {"forbidden", JSON_FIELD_ARRAY, false, &forbidden, 0, 0},
        {"egress", JSON_FIELD_ARRAY, false, &egress, 0, 0},
        {"ambient", JSON_FIELD_OBJECT, false, &ambient, 0, 0},
        {"resource", JSON_FIELD_TEXT, false, &request->resource, 0, 0},
        {"missingOk", JSON_FIELD_BOOL, false, &request->missing_ok, 0, 0},
        {"files", JSON_FIELD_ARRAY, false, &files, 0, 0},
        {"call", JSON_FIELD_OBJECT, false, &call, 0, 0},
        {"format", JSON_FIELD_OBJECT, false, &format, 0, 0},
        {"columns", JSON_FIELD_ARRAY, false, &columns, 0, 0},
        {"record", JSON_FIELD_BOOL, false, &request->records, 0, 0},
        {"records", JSON_FIELD_ARRAY, false, &replayed, 0, 0},
        {"batchRows", JSON_FIELD_INT, false, &batch_rows, 1, WIRE_MAX_ROWS},
        {"batchBytes", JSON_FIELD_INT, false, &batch_bytes, 1, 16 << 20},
        {"rowLimit", JSON_FIELD_INT, false, &row_limit, 0, INT64_MAX},
        {"memoryLimit", JSON_FIELD_INT, false, &memory_limit, 1 << 20, INT64_C(1) << 40},
        {"credit", JSON_FIELD_INT, false, &credit, 0, UINT32_MAX},
    };

    if (!json_fields_read(request->root, "request", fields, COUNT(fields), st))
        return false;
    request->list = strcmp(operation, "list") == 0;
    request->describe = strcmp(operation, "describe") == 0;
    request->replay = strcmp(operation, "replay") == 0;
    request->move = request->config.moves = strcmp(operation, "move") == 0;
    request->config.claims = request->move && request->missing_ok;
    request->call = request->config.calls = strcmp(operation, "call") == 0;
    request->check = request->config.checks = strcmp(operation, "check") == 0;
    request->look = strcmp(operation, "look") == 0;
    if (!request->list && !request->describe && !request->replay && !request->move && !request->call && !request->check && !request->look && strcmp(operation, "read") != 0)
    {
        status_fail(st, STATUS_INVALID_VALUE, "unknown operation \"%s\"", operation);
        return status_hint(st, "Known operations: read, list, describe, move, call, check, look, replay.");
    }
    if (request->replay != (replayed != NULL))
        return status_fail(st, STATUS_INVALID_VALUE, request->replay ? "key \"records\" is missing in request"
                                                                     : "key \"records\" of request needs operation replay");
    if (request->replay == (connector != NULL))
        return status_fail(st, STATUS_INVALID_VALUE, request->replay ? "operation replay takes no key \"connector\""
                                                                     : "key \"connector\" is missing in request");
    request->config.ambient = ambient;
    request->replayed = replayed;
    request->records |= request->replay;
    request->batch_rows = (uint32_t) batch_rows;
    request->batch_bytes = (size_t) batch_bytes;
    request->row_limit = (uint64_t) row_limit;
    request->memory_limit = (uint64_t) memory_limit;
    request->credit = (uint32_t) credit;
    return (request->replay || parse_connector(request, connector, st)) &&
        parse_roots(request, roots, forbidden, debug, st) &&
        parse_egress(request, egress, debug, st) &&
        parse_files(request, files, st) &&
        parse_call(request, call, st) &&
        parse_format(request, format, st) &&
        parse_columns(request, columns, debug, st);
}

bool
request_wants_head(const Request *request, const char *path)
{
    return request->format == NULL && format_by_path(path) == NULL;
}

bool
request_format(const Request *request, const char *path, const Format *found,
               const Format **format, const void **options, Status *st)
{
    const RequestFormat *own;
    size_t i = 0;

    *format = request->format != NULL ? request->format : format_by_path(path);
    if (*format == NULL)
        *format = found != NULL ? found : &format_csv;
    while (format_list[i] != *format)
        i++;
    own = &request->formats[i];
    *options = own->options;
    if (own->wrong == NULL)
        return true;
    status_fail(st, STATUS_INVALID_VALUE, "%s", own->wrong);
    status_detail(st, "The file is taken for %s.", (*format)->name);
    return status_hint(st, "%s", own->hint);
}

static void
wipe_and_free(void *memory)
{
    if (memory != NULL)
        explicit_bzero(memory, malloc_usable_size(memory));
    free(memory);
}

void
request_wipe_memory(void)
{
    json_set_alloc_funcs(malloc, wipe_and_free);
}

void
request_forget_auth(const Request *request)
{
    /* Constant to the driver; the request owns it. */
    if (request->config.auth != NULL)
        json_object_clear((json_t *) request->config.auth);
}

bool
request_parse(Request *request, const char *text, size_t length, bool debug, Status *st)
{
    json_error_t error;

    memset(request, 0, sizeof(*request));
    request->root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
    if (request->root == NULL)
    {
        if (json_error_code(&error) == json_error_out_of_memory)
            return status_out_of_memory(st, 0);
        status_fail(st, STATUS_INVALID_VALUE, "request is not valid JSON: %s", error.text);
        return status_detail(st, "At line %d, column %d.", error.line, error.column);
    }
    if (parse_root(request, debug, st))
        return true;
    request_free(request);
    return false;
}

void
request_free(Request *request)
{
    for (size_t i = 0; i < FORMAT_COUNT; i++)
    {
        format_list[i]->options_free(request->formats[i].options);
        free(request->formats[i].wrong);
        free(request->formats[i].hint);
    }
    free(request->columns);
    free(request->files);
    free(request->roots);
    free(request->forbidden);
    free(request->egress);
    free(request->own_root);
    json_decref(request->root);
    memset(request, 0, sizeof(*request));
}
