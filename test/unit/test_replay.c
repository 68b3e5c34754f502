/*
 * test_replay.c: records of rows, and rows made of them again.
 *
 * Requests go through the whole session into the sink that a person gets, so
 * that a test compares lines of JSON.
 */
#define _GNU_SOURCE
#include "tap.h"

#include <stdlib.h>
#include <unistd.h>

#include "reader/debug_sink.h"
#include "reader/request.h"

static char top[] = "/tmp/kaireon-test-XXXXXX";

/* What a request gives; the caller frees it. */
static char *
carried_out(const char *json)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    DebugSink debug;
    Request request;
    Status st;

    debug_sink_init(&debug, out);
    status_clear(&st);
    if (request_parse(&request, json, strlen(json), true, &st))
    {
        Sink sink = debug_sink_begin(&debug);

        (void) (session_run(&request, &sink, &st) || st.line);
        request_free(&request);
    }
    if (st.sqlstate[0] != '\0')
        fprintf(out, "ERROR %s %s\n", st.sqlstate, st.message);
    debug_sink_free(&debug);
    fclose(out);
    return text;
}

/* What reading a file with its records gives. */
static void
reads(const char *content, const char *rest, const char *want, const char *label)
{
    char path[300], json[1000], *got;
    FILE *f;

    snprintf(path, sizeof(path), "%s/a.csv", top);
    f = fopen(path, "w");
    if (f == NULL || fputs(content, f) < 0 || fclose(f) != 0)
        abort();
    snprintf(json, sizeof(json), "{\"connector\":{\"type\":\"local_fs\",\"config\":{\"basePath\":\"%s\"}},\"resource\":\"a.csv\",\"record\":true%s}", top, rest);
    got = carried_out(json);
    is_str(got, want, "%s", label);
    free(got);
}

/* What replaying records gives: columns id (integer), n (numeric) and t. */
static void
replays(const char *records, const char *rest, const char *want, const char *label)
{
    char *json, *got;

    if (asprintf(&json, "{\"operation\":\"replay\",\"records\":[%s],\"columns\":[{\"name\":\"id\",\"type\":\"int4\"},"
                 "{\"name\":\"n\",\"type\":\"numeric\",\"required\":false},{\"name\":\"t\",\"required\":false}]%s}", records, rest) < 0)
        abort();
    got = carried_out(json);
    is_str(got, want, "%s", label);
    free(got);
    free(json);
}

#define AT(id, line) "{\"id\":\"" id "\",\"path\":\"d/a.csv\",\"mtime\":1,\"line\":" line ",\"offset\":7,"
#define FIELDS(id, line, fields) AT(id, line) "\"fields\":{" fields "}}"
#define RAW(id, line, raw) AT(id, line) "\"raw\":" raw ",\"layout\":{\"fields\":[\"id\",\"t\"],\"delimiter\":\";\",\"quote\":\"'\",\"escape\":\"'\"}}"
#define ROW(id, n, t, record, line) "{\"id\":" id ",\"n\":" n ",\"t\":" t ",\"_record\":\"" record "\",\"_source\":\"d/a.csv\",\"_line\":" line "}\n"
#define REJECT(record, line, state, message) "{\"_reject\":{\"sqlstate\":\"" state "\",\"message\":\"" message \
    "\",\"offset\":7,\"raw\":\"" record "\"},\"_source\":\"d/a.csv\",\"_line\":" line "}\n"

static void
check_records(void)
{
    reads("a,b,c\n1,\"x\"\"y\", z \n2,,\"\"\n3,q\n4,NULL,5\n", ",\"format\":{\"nullStrings\":[\"NULL\",\"\"],\"trim\":\"all\"},\"columns\":[{\"name\":\"c\"}]",
          "{\"c\":\"z\",\"_record\":[\"1\",\"x\\\"y\",\"z\"],\"_source\":\"a.csv\",\"_line\":2}\n"
          "{\"c\":\"\",\"_record\":[\"2\",null,\"\"],\"_source\":\"a.csv\",\"_line\":3}\n"
          "{\"_reject\":{\"sqlstate\":\"22P04\",\"message\":\"row has 2 fields, expected 3\",\"offset\":25,\"raw\":\"3,q\"},\"_source\":\"a.csv\",\"_line\":4}\n"
          "{\"c\":\"5\",\"_record\":[\"4\",null,\"5\"],\"_source\":\"a.csv\",\"_line\":5}\n", "a record has all fields as the options cut them");
    reads("a,b\n1\n2,3,4\n", ",\"format\":{\"shortRows\":\"pad\",\"longRows\":\"truncate\"},\"columns\":[]",
          "{\"_record\":[\"1\",null],\"_source\":\"a.csv\",\"_line\":2}\n{\"_record\":[\"2\",\"3\"],\"_source\":\"a.csv\",\"_line\":3}\n",
          "rows of other lengths, and no columns at all");
    reads("", ",\"columns\":[{\"name\":\"c\"}]", "", "an empty file");
}

static void
check_fields(void)
{
    replays(FIELDS("1", "2", "\"id\":\"7\",\"n\":\"1.5\",\"t\":\"x\"") "," FIELDS("2", "3", "\"id\":\"x\",\"n\":null,\"t\":\"\""), "",
            ROW("7", "1.5", "\"x\"", "1", "2") ROW("{\"_bad\":\"syntax\",\"text\":\"x\"}", "null", "\"\"", "2", "3"), "fields are converted as they are when they are read");
    replays(FIELDS("1", "2", "\"id\":\"1.000\",\"n\":\"1.234,5\",\"t\":\"1,5\""), ",\"format\":{\"decimalSeparator\":\",\",\"thousandsSeparator\":\".\"}",
            ROW("1000", "1234.5", "\"1,5\"", "1", "2"), "numbers are respelled");
    replays(FIELDS("1", "2", "\"id\":\"1\",\"t\":{\"hex\":\"41ff\"}") "," FIELDS("2", "1", "\"id\":\"1\",\"t\":{\"hex\":\"c3a9\"}"), "",
            ROW("1", "null", "{\"_bad\":\"encoding\",\"text\":\"A\\\\xff\"}", "1", "2") ROW("1", "null", "\"\xC3\xA9\"", "2", "1"), "bytes; lines may go backwards");
    replays(FIELDS("1", "2", "\"t\":\"x\"") "," FIELDS("2", "3", "\"id\":\"1\""), "",
            REJECT("1", "2", "42703", "source has no field \\\"id\\\"") ROW("1", "null", "null", "2", "3"), "a record without a field that is needed");
    replays(FIELDS("1", "2", "\"id\":\"1\",\"t\":7"), "", "ERROR 22023 a value of a record must be a string, null or {\"hex\": digits}\n", "a number is no value");
    replays(FIELDS("1", "2", "\"id\":\"1\",\"t\":{\"hex\":\"4\"}"), "", "ERROR 22023 a value of a record must be a string, null or {\"hex\": digits}\n", "nor is half a byte");
    replays(AT("1", "2") "\"path\":\"x\"}", "", "ERROR 22023 request is not valid JSON: duplicate object key near '\"path\"'\n", "a key twice");
    replays("{\"id\":\"1\",\"path\":\"x\",\"mtime\":1,\"line\":1,\"offset\":1}", "", "ERROR 22023 records[0] needs either \"fields\" or \"raw\"\n", "neither fields nor raw");
    replays("", "", "", "no records");
}

static void
check_raw(void)
{
    replays(RAW("1", "2", "\"7,'x'\"") "," RAW("2", "3", "\"8,\\\"a,\\\"\\\"b\\\"\"") "," RAW("3", "9", "\"9\""), "",
            ROW("7", "null", "\"'x'\"", "1", "2") ROW("8", "null", "\"a,\\\"b\"", "2", "3") REJECT("3", "9", "22P04", "row has 1 field, expected 2"), "raw records are cut by the options");
    replays(RAW("1", "2", "\"7;'x'\"") "," RAW("2", "3", "\"8;'a;''b'\""), ",\"format\":{\"delimiter\":\"auto\",\"quote\":\"auto\"}",
            ROW("7", "null", "\"x\"", "1", "2") ROW("8", "null", "\"a;'b\"", "2", "3"), "and by what was found out");
    replays(RAW("1", "2", "\"9\"") "," RAW("2", "3", "\"9,a,b\""), ",\"format\":{\"shortRows\":\"pad\",\"longRows\":\"truncate\"}",
            ROW("9", "null", "null", "1", "2") ROW("9", "null", "\"a\"", "2", "3"), "other options take what was bad");
    replays(RAW("1", "2", "\"1,2\\n3,4\"") "," RAW("2", "3", "\"\"") "," RAW("3", "4", "\"1,\\\"2\\n3\\\"\""), "",
            REJECT("1", "2", "22P04", "record has more than one row") REJECT("2", "3", "22P04", "record is empty") ROW("1", "null", "\"2\\n3\"", "3", "4"), "exactly one row");
    replays(RAW("1", "20", "\"1,\\\"x\"") "," RAW("2", "30", "\"1,a\\rb\"") "," RAW("3", "40", "{\"hex\":\"312cff\"}"), "",
            REJECT("1", "20", "22P04", "quotes opened on line 20 are not closed by the end of the file") REJECT("2", "30", "22P04", "unquoted carriage return in field 2, which ends no line here (with \\\"newline\\\": \\\"lf\\\" it is data)")
            ROW("1", "null", "{\"_bad\":\"encoding\",\"text\":\"\\\\xff\"}", "3", "40"), "what is wrong stays wrong, at its place");
    replays(RAW("1", "2", "\"1,x\""), ",\"format\":{\"columns\":[\"t\",\"id\"]}", ROW("{\"_bad\":\"syntax\",\"text\":\"x\"}", "null", "\"1\"", "1", "2"), "columns of the options name the fields");
    replays(RAW("1", "2", "\"1,x\"") "," FIELDS("2", "3", "\"id\":\"2\",\"t\":\"y\""), ",\"batchRows\":1",
            ROW("1", "null", "\"x\"", "1", "2") ROW("2", "null", "\"y\"", "2", "3"), "both kinds, one row a batch");
}

int
main(void)
{
    char path[300];

    if (mkdtemp(top) == NULL)
        abort();
    check_records();
    check_fields();
    check_raw();
    snprintf(path, sizeof(path), "%s/a.csv", top);
    unlink(path);
    rmdir(top);
    return done();
}
