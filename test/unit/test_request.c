/*
 * test_request.c: requests are read strictly.
 */
#include "tap.h"

#include "format/csv.h"
#include "reader/request.h"

#define CONNECTOR "\"connector\":{\"type\":\"local_fs\",\"config\":{\"basePath\":\"/srv\"}}"

static const struct { const char *json, *message; } bad[] = {
    {"", "request is not valid JSON: '[' or '{' expected near end of file"},
    {"{\"a\":1,\"a\":2}", "request is not valid JSON: duplicate object key near '\"a\"'"},
    {"[]", "request must be an object, not an array"},
    {"{}", "key \"connector\" is missing in request"},
    {"{\"colums\":[]}", "unknown key \"colums\" in request"},
    {"{\"version\":2," CONNECTOR "}", "key \"version\" of request must be between 1 and 1, not 2"},
    {"{\"operation\":\"write\"," CONNECTOR "}", "unknown operation \"write\""},
    {"{\"operation\":\"replay\",\"columns\":[]}", "key \"records\" is missing in request"},
    {"{\"operation\":\"replay\",\"columns\":[],\"records\":[]," CONNECTOR "}", "operation replay takes no key \"connector\""},
    {"{\"records\":[],\"columns\":[]," CONNECTOR "}", "key \"records\" of request needs operation replay"},
    {"{\"connector\":{}}", "key \"type\" is missing in connector"},
    {"{\"connector\":{\"type\":\"ftp\"}}", "reader does not know connector type \"ftp\""},
    {"{\"connector\":{\"type\":\"local_fs\",\"confg\":{}}}", "unknown key \"confg\" in connector"},
    {"{\"connector\":{\"type\":\"local_fs\",\"config\":[]}}", "key \"config\" of connector must be an object, not an array"},
    {"{\"operation\":\"call\"," CONNECTOR "}", "key \"call\" is missing in request"},
    {"{" CONNECTOR ",\"columns\":[],\"call\":{}}", "key \"call\" of request needs operation call"},
    {"{\"operation\":\"call\",\"call\":{\"body\":\"\"}," CONNECTOR "}", "key \"method\" is missing in call"},
    {"{\"operation\":\"call\",\"call\":{\"method\":\"POST\",\"body\":{}}," CONNECTOR "}", "key \"body\" of call must be a string, not an object"},
    {"{" CONNECTOR "}", "key \"columns\" is missing in request"},
    {"{" CONNECTOR ",\"columns\":{}}", "key \"columns\" of request must be an array, not an object"},
    {"{" CONNECTOR ",\"columns\":[{}]}", "key \"name\" is missing in columns[0]"},
    {"{" CONNECTOR ",\"columns\":[1]}", "columns[0] must be an object, not a number"},
    {"{" CONNECTOR ",\"columns\":[{\"name\":\"a\",\"type\":\"int\"}]}", "unknown type \"int\" in columns[0]"},
    {"{" CONNECTOR ",\"columns\":[{\"name\":\"a\"},{\"name\":\"b\",\"length\":3}]}", "key \"length\" of columns[1] needs type varchar"},
    {"{" CONNECTOR ",\"columns\":[{\"name\":\"a\",\"scale\":3}]}", "keys \"precision\" and \"scale\" of columns[0] need type numeric"},
    {"{" CONNECTOR ",\"columns\":[{\"name\":\"a\",\"type\":\"numeric\",\"scale\":3}]}", "key \"scale\" of columns[0] needs \"precision\""},
    {"{" CONNECTOR ",\"columns\":[{\"name\":\"a\",\"coerce\":1}]}", "key \"coerce\" of columns[0] must be true or false, not a number"},
    {"{" CONNECTOR ",\"columns\":[],\"roots\":[1]}", "request \"roots\" must hold strings, but entry 1 is a number"},
    {"{" CONNECTOR ",\"columns\":[],\"files\":[{\"size\":1}]}", "key \"path\" is missing in files[0]"},
    {"{" CONNECTOR ",\"columns\":[],\"files\":[{\"path\":\"a\",\"size\":1}]}", "files[0] needs both \"size\" and \"mtime\" or neither"},
    {"{" CONNECTOR ",\"columns\":[],\"files\":[{\"path\":\"a\",\"at\":{}}]}", "key \"at\" of files[0] needs operation read, \"size\" and \"mtime\""},
    {"{\"operation\":\"move\"," CONNECTOR ",\"files\":[{\"path\":\"a\",\"size\":1,\"mtime\":1,\"to\":\"b\",\"at\":{}}]}", "key \"at\" of files[0] needs operation read, \"size\" and \"mtime\""},
    {"{" CONNECTOR ",\"columns\":[],\"files\":[{\"path\":\"a\",\"size\":1,\"mtime\":1,\"at\":{\"path\":\"b\",\"size\":1}}]}", "key \"mtime\" is missing in files[0].at"},
    {"{" CONNECTOR ",\"columns\":[],\"batchRows\":0}", "key \"batchRows\" of request must be between 1 and 65536, not 0"},
    {"{" CONNECTOR ",\"columns\":[],\"batchRows\":1.5}", "key \"batchRows\" of request must be a whole number, not a number"},
    {"{" CONNECTOR ",\"columns\":[],\"resource\":null}", "key \"resource\" of request must be a string, not null"},
    {"{" CONNECTOR ",\"columns\":[],\"format\":{\"format\":\"xls\"}}", "unknown format \"xls\""},
    {"{" CONNECTOR ",\"columns\":[],\"format\":{\"compression\":\"rar\"}}", "invalid value \"rar\" for format option \"compression\""},
    {"{" CONNECTOR ",\"columns\":[],\"format\":{\"compression\":1}}", "key \"compression\" of format must be a string, not a number"},
    {"{" CONNECTOR ",\"columns\":[],\"format\":{\"delim\":\",\"}}", "unknown key \"delim\" in format"},
};

int
main(void)
{
    static const char good[] =
        "{\"version\":1,\"operation\":\"read\"," CONNECTOR ",\"roots\":[\"/srv\"],\"forbidden\":[\"/db\"],"
        "\"resource\":\"a.csv\",\"files\":[{\"path\":\"a.csv\",\"size\":3,\"mtime\":-4,\"at\":{\"path\":\"b.csv\",\"size\":5,\"mtime\":6}},{\"path\":\"b\"}],"
        "\"format\":{\"format\":\"csv\",\"delimiter\":\";\",\"compression\":\"gzip\"},"
        "\"columns\":[{\"name\":\"v\",\"type\":\"varchar\",\"length\":5,\"coerce\":true},"
        "{\"name\":\"n\",\"type\":\"numeric\",\"precision\":12,\"scale\":2,\"required\":false},{\"name\":\"t\"},"
        "{\"name\":\"u\",\"type\":\"varchar\"}],"
        "\"batchRows\":10,\"batchBytes\":20,\"rowLimit\":30,\"memoryLimit\":40000000,\"credit\":50}";
    static const char with_auth[] =
        "{\"connector\":{\"type\":\"local_fs\",\"authMethod\":\"token\",\"auth\":{\"token\":\"s3cret\"}}}";
    Request r;
    Status st;
    size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
    {
        status_clear(&st);
        if (request_parse(&r, bad[i].json, strlen(bad[i].json), false, &st))
            request_free(&r);
        is_str(st.message, bad[i].message, "refused: %s", bad[i].json);
    }
    is_str(st.sqlstate, "22023", "their code");
    ok(strstr(st.hint, "delimiter") != NULL, "the hint lists the keys: %s", st.hint);

    status_clear(&st);
    if (!ok(request_parse(&r, good, strlen(good), false, &st), "a whole request (%s)", st.message))
        return done();
    is_str(r.driver->type, "local_fs", "driver");
    ok(r.config.nroots == 1 && strcmp(r.config.roots[0], "/srv") == 0 && r.config.nforbidden == 1, "roots");
    ok(r.nfiles == 2 && r.files[0].known && r.files[0].entry.size == 3 && r.files[0].entry.mtime == -4 && !r.files[1].known, "files");
    ok(strcmp(r.files[0].at.path, "b.csv") == 0 && r.files[0].at.size == 5 && r.files[0].at.mtime == 6 && r.files[1].at.path == NULL, "where they are");
    ok(r.compression == COMPRESSION_GZIP && ((CsvOptions *) r.formats[0].options)->dialect.delimiter[0] == ';', "format");
    ok(r.ncolumns == 4 && r.columns[0].kind == COLUMN_VARCHAR && r.columns[0].length == 5 && r.columns[0].coerce &&
       r.columns[0].required, "varchar");
    ok(r.columns[1].kind == COLUMN_NUMERIC && r.columns[1].precision == 12 && r.columns[1].scale == 2 &&
       !r.columns[1].required, "numeric");
    ok(r.columns[2].kind == COLUMN_TEXT && r.columns[3].kind == COLUMN_TEXT, "text by default, varchar without a length is text");
    ok(r.batch_rows == 10 && r.batch_bytes == 20 && r.row_limit == 30 && r.memory_limit == 40000000 && r.credit == 50, "limits");
    request_free(&r);

    ok(request_parse(&r, "{" CONNECTOR "}", strlen("{" CONNECTOR "}"), true, &st), "debug mode: the connector is enough");
    ok(r.all_columns && r.config.nroots == 1 && strcmp(r.config.roots[0], "/srv") == 0, "the base path is the root");
    is_str(r.config.auth_method, "none", "no auth method is none");
    request_forget_auth(&r);
    request_free(&r);

    request_wipe_memory();
    ok(request_parse(&r, with_auth, strlen(with_auth), true, &st), "credentials (%s)", st.message);
    is_str(r.config.auth_method, "token", "their method");
    is_str(json_string_value(json_object_get(r.config.auth, "token")), "s3cret", "and what they are");
    request_forget_auth(&r);
    ok(json_object_size(r.config.auth) == 0, "until they are forgotten");
    request_free(&r);
    return done();
}
