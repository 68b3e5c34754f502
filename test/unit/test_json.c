/*
 * test_json.c: JSON and JSON Lines: rows, fields, paths, rejects and errors.
 *
 * Every fixture is read in every way that csv_fixture.h knows.
 */
#include "csv_fixture.h"

static const Fixture lines[] = {
    {"nothing", NULL, "", "\n", 0},
    {"nothing but lines", NULL, "\n\r\n  \n", "\n", 0},
    {"lines", NULL, "{\"a\":1,\"b\":\"x\"}\n{\"b\":\"y\",\"a\":2}\n",
     "(a) (b)\n1@0 [1][x]\n2@16 [2][y]\n", 0},
    {"no line end at the end", NULL, "{\"a\":1}", "(a)\n1@0 [1]\n", 0},
    {"CR LF, empty lines, space", NULL, " {\"a\" : 1 } \r\n\r\n\t{ \"a\":2}\r\n", "(a)\n1@1 [1]\n3@17 [2]\n", 0},
    {"a byte order mark", NULL, "\xEF\xBB\xBF{\"a\":1}\n", "(a)\n1@3 [1]\n", 0},
    {"fields come and go", NULL, "{\"a\":1}\n{\"b\":2}\n{\"c\":3,\"a\":4}\n{}\n",
     "(a) (b) (c)\n1@0 [1]<null><null>\n2@8 <null>[2]<null>\n3@16 [4]<null>[3]\n4@30 <null><null><null>\n", 0},
    {"numbers stay as they are written", NULL, "{\"a\":-0,\"b\":1.50,\"c\":1E+3,\"d\":123456789012345678901234567890.1}\n",
     "(a) (b) (c) (d)\n1@0 [-0][1.50][1E+3][123456789012345678901234567890.1]\n", 0},
    {"words", NULL, "{\"a\":true,\"b\":false,\"c\":null}\n", "(a) (b) (c)\n1@0 [true][false]<null>\n", 0},
    {"nested values are their text", NULL, "{\"a\":{\"b\": [1, {}]},\"c\":[ ],\"d\":{ }}\n",
     "(a) (c) (d)\n1@0 [{\"b\": [1, {}]}][[ ]][{ }]\n", 0},
    {"the last of two", NULL, "{\"a\":1,\"a\":null}\n{\"a\":1,\"b\":2,\"a\":3}\n", "(a) (b)\n1@0 <null><null>\n2@17 [3][2]\n", 0},
    {"escapes", NULL, "{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u20AC\\ud83d\\ude00.\"}\n",
     "(a)\n1@0 [\"\\/\b\f\n\r\tA\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80.]\n", 0},
    {"escaped keys", NULL, "{\"\\u0061\":1,\"b\\\"\":2}\n{\"a\":3,\"b\\\"\":4}\n", "(a) (b\")\n1@0 [1][2]\n2@21 [3][4]\n", 0},
    {"what is no text", NULL, "{\"a\":\"x\\u0000\",\"b\":\"\\ud800\",\"c\":\"\\udc00x\",\"d\":\"\\ud800\\u0041\",\"e\":\"ok\"}\n",
     "(a) (b) (c) (d) (e)\n1@0 [x\\u0000]!8[\\ud800]!8[\\udc00x]!8[\\ud800A]!8[ok]\n", 0},
    {"bytes that are not UTF-8", NULL, "{\"a\":\"x\xFF\",\"b\":\"y\"}\n", "(a) (b)\n1@0 [x\\xff]!7[y]\n", 0},
    {"bytes that are not UTF-8 in a nested key", "{\"flatten\":1}", "{\"a\":{\"\xFF\":1}}\n{\"a\":{\"\xFF\":1}}\n",
     "(a_\xFF)\n1@0 [1]\n2@14 [1]\n", 0},
    {"bad lines", NULL, "{\"a\":1}\n{\"a\":2\n{\"a\":}\nhello\n{\"a\":3} x\n[1]\n{\"a\":4}\n",
     "(a)\n1@0 [1]\n"
           "2@8 REJECT 22P04 invalid JSON at line 2, column 7, path $.a: the line ends too early {{\"a\":2}\n"
           "3@15 REJECT 22P04 invalid JSON at line 3, column 6, path $.a: a value is expected {{\"a\":}}\n"
           "4@22 REJECT 22P04 invalid JSON at line 4, column 1, path $: a value is expected {hello}\n"
           "5@28 REJECT 22P04 invalid JSON at line 5, column 9, path $: nothing may stand behind the value of a line {{\"a\":3} x}\n"
           "6@38 REJECT 22P04 row is an array, not an object (of \"format\": \"json\" its elements would be rows) {[1]}\n7@42 [4]\n", 0},
    {"a line that ends with the file", NULL, "{\"a\":1}\n{\"a\":\"x", "(a)\n1@0 [1]\n"
           "2@8 REJECT 22P04 invalid JSON at line 2, column 8, path $.a: the text ends too early {{\"a\":\"x}\n", 0},
    {"long rows and fields", "{\"maxRowBytes\":20,\"maxFieldBytes\":8}",
     "{\"a\":\"12345678\"}\n{\"a\":\"123456789\"}\n{\"a\":1,\"b\":\"                      \"}\n{\"a\":2}\n{\"a\":\"12345678901234567890",
     "(a) (b)\n1@0 [12345678]<null>\n2@17 REJECT 54000 a field is longer than 8 bytes (maxFieldBytes) {{\"a\":\"123456789\"}}\n"
           "3@35 REJECT 54000 row is longer than 20 bytes (maxRowBytes) {{\"a\":1,\"b\":\"        }\n4@72 [2]<null>\n"
           "5@80 REJECT 54000 row is longer than 20 bytes (maxRowBytes) {{\"a\":\"12345678901234}\n", 0},
    {"nullStrings", "{\"nullStrings\":[\"\",\"N/A\"]}", "{\"a\":\"\",\"b\":\"N/A\",\"c\":\"x\"}\n", "(a) (b) (c)\n1@0 <null><null>[x]\n", 0},
    {"flatten", "{\"flatten\":1}", "{\"a\":{\"b\":1,\"c\":{\"d\":2}},\"e\":[{}]}\n{\"a\":5,\"a_b\":6}\n{\"a\":{\"b\":1},\"a\":{\"c\":2}}\n",
     "(a_b) (a_c) (e) (a)\n1@0 [1][{\"d\":2}][[{}]][{\"b\":1,\"c\":{\"d\":2}}]\n2@35 [6]<null><null>[5]\n3@51 <null>[2]<null>[{\"c\":2}]\n", 0},
    {"columns", "{\"columns\":{\"i\":\"$.a.b\",\"j\":\"$.a\",\"k\":\"$.c[1].d\",\"all\":\"$\",\"i2\":\"$['a'][\\\"b\\\"]\"}}",
     "{\"a\":{\"b\":1},\"c\":[0,{\"d\":2}]}\n7\n",
     "(i) (j) (k) (all) (i2)\n1@0 [1][{\"b\":1}][2][{\"a\":{\"b\":1},\"c\":[0,{\"d\":2}]}][1]\n2@30 <null><null><null>[7]<null>\n", 0},
};

static const Fixture documents[] = {
    {"an empty document", NULL, " \n", "\n", 0},
    {"an array", NULL, "[{\"a\":1},\n {\"a\":2}]\n", "(a)\n1@1 [1]\n2@11 [2]\n", 0},
    {"an empty array", NULL, "[ ]", "\n", 0},
    {"an object", NULL, "{\n \"a\": 1,\n \"b\": \"x\"\n}\n", "(a) (b)\n1@0 [1][x]\n", 0},
    {"a number", NULL, "12", "\n1@0 REJECT 22P04 row is a number, not an object {12}\n", 0},
    {"a bad element", NULL, "[{\"a\":1},\n {\"a\":tru, \"b\":{\"c\":[1]} } ,{\"a\":3}]",
     "(a)\n1@1 [1]\n2@11 REJECT 22P04 invalid JSON at line 2, column 10, path $[1].a: a value is expected {{\"a\":tru, \"b\":{\"c\":[1]} }}\n2@38 [3]\n", 0},
    {"a bad element below keys of any letters", NULL, "[{\"\xC3\xA9\":{\"b c\":{\"\\u00e9\xFF\":oops}}}]",
     "(\xC3\xA9)\n1@1 REJECT 22P04 invalid JSON at line 1, column 25, path $[0][\"\xC3\xA9\"][\"b c\"][\"\\u00e9\\xff\"]: a value is expected {{\"\xC3\xA9\":{\"b c\":{\"\\u00e9\\xff\":oops}}}}\n", 0},
    {"trailing commas", NULL, "[{\"a\":1,},{\"a\":2},]",
     "(a)\n1@1 REJECT 22P04 invalid JSON at line 1, column 9, path $[0]: a key in quotes is expected {{\"a\":1,}}\n"
              "1@10 [2]\n1@18 REJECT 22P04 invalid JSON at line 1, column 19, path $[2]: a value is expected {}\n", 0},
    {"brackets that do not match", NULL, "[{\"a\":1},\n{\"a\":[1}},{\"a\":2}]",
     "(a)\n1@1 [1]\nERROR 22P04 invalid JSON at line 2, column 8, path $[1].a[0]: a comma or ] is expected\n", 0},
    {"a document that ends early", NULL, "[{\"a\":1},{\"a\":2", "(a)\n1@1 [1]\nERROR 22P04 invalid JSON at line 1, column 16, path $[1].a: the text ends too early\n", 0},
    {"an array that is not closed", NULL, "[{\"a\":1}", "(a)\n1@1 [1]\nERROR 22P04 invalid JSON at line 1, column 9, path $: the text ends too early\n", 0},
    {"more than a document", NULL, "{\"a\":1}\n{\"a\":2}", "(a)\n1@0 [1]\nERROR 22P04 invalid JSON at line 2, column 1, path $: nothing may stand behind the value\n", 0},
    {"recordPath", "{\"recordPath\":\"$.data.items[*]\"}", "{\"n\":{\"data\":[{}]},\"data\":{\"x\":[1,[2]],\"\\u0069tems\":[{\"a\":1},{\"a\":2}],\"y\":0},\"z\":null}",
     "(a)\n1@53 [1]\n1@61 [2]\n", 0},
    {"recordPath without [*]", "{\"recordPath\":\"$.items\"}", "{\"items\":[{\"a\":1}]}", "(a)\n1@10 [1]\n", 0},
    {"recordPath to an object", "{\"recordPath\":\"$['a b']\"}", "{\"a b\":{\"a\":1}}", "(a)\n1@7 [1]\n", 0},
    {"recordPath through arrays", "{\"recordPath\":\"$[*].d[*]\"}", "[{\"d\":[{\"a\":1}]},{},{\"d\":null},7,{\"d\":[]},{\"d\":[{\"a\":2}]}]",
     "(a)\n1@7 [1]\n1@48 [2]\n", 0},
    {"recordPath to null", "{\"recordPath\":\"$.items\"}", "{\"items\":null}", "\n", 0},
    {"recordPath to nothing", "{\"recordPath\":\"$.items\"}", "{\"Items\":[]}", "\nERROR 22P04 there is nothing at recordPath \"$.items\"\n", 0},
    {"an error beside the path", "{\"recordPath\":\"$.a\"}", "{\"a\":[{\"b\":1}],\"c\":[1,2,}]}",
     "(b)\n1@6 [1]\nERROR 22P04 invalid JSON at line 1, column 25, path $: a value is expected\n", 0},
    {"a long element", "{\"maxRowBytes\":12}", "[{\"a\":1},{\"a\":\"123,]]{{4567\"},{\"a\":2}]",
     "(a)\n1@1 [1]\n1@9 REJECT 54000 row is longer than 12 bytes (maxRowBytes) {{\"a\":\"123,]]}\n1@30 [2]\n", 0},
};

/* What RFC 8259 says of texts of one line: y must be taken, n refused. */
static const struct { char kind; const char *text; } grammar[] = {
    {'y', "{}"}, {'y', "{ }"}, {'y', "{\"\":0}"}, {'y', "{\"a\":[]}"}, {'y', "{\"a\":[ ]}"}, {'y', "{\"a\":[[]   ]}"}, {'y', "{\"a\":[1,null,\"\",{}]}"},
    {'y', "{\"a\":0}"}, {'y', "{\"a\":-0}"}, {'y', "{\"a\":-1}"}, {'y', "{\"a\":0.5}"}, {'y', "{\"a\":1e1}"}, {'y', "{\"a\":1E+1}"}, {'y', "{\"a\":1e-1}"},
    {'y', "{\"a\":0e1}"}, {'y', "{\"a\":1.5e400}"}, {'y', "{\"a\":-0.000000000000000000000000000000000000001}"}, {'y', "{\"a\":20e1 }"},
    {'y', "{\"a\":\"\\u0061\\u0000\\uD83D\\uDE00\"}"}, {'y', "{\"a\":\"\\uDEAD\"}"}, {'y', "{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}"}, {'y', "{\"a\":\"\x7F\"}"},
    {'y', "{\"a\":\"\xE2\x80\xA8\"}"}, {'y', "{\"a\":\"/* no comment */\"}"}, {'y', "{\"a\":\"x\",\"a\":\"y\"}"}, {'y', "\t{\"a\" :\t1 , \"b\"\r: 2 }\r"},
    {'y', "{\"a\":true,\"b\":false,\"c\":null}"}, {'y', "{\"\\u0000\":1}"},
    {'n', "{"}, {'n', "}"}, {'n', "{\"a\"}"}, {'n', "{\"a\":}"}, {'n', "{\"a\" 1}"}, {'n', "{\"a\"::1}"}, {'n', "{\"a\":1,}"}, {'n', "{,}"}, {'n', "{,\"a\":1}"},
    {'n', "{\"a\":1,,\"b\":2}"}, {'n', "{a:1}"}, {'n', "{'a':1}"}, {'n', "{1:1}"}, {'n', "{null:1}"}, {'n', "{\"a\":1}}"}, {'n', "{\"a\":1}]"}, {'n', "{\"a\":1 \"b\":2}"},
    {'n', "{\"a\":[1,]}"}, {'n', "{\"a\":[,1]}"}, {'n', "{\"a\":[1,,2]}"}, {'n', "{\"a\":[1 2]}"}, {'n', "{\"a\":[1}"}, {'n', "{\"a\":[1}}"}, {'n', "{\"a\":]}"}, {'n', "{\"a\":[\"x\":1]}"},
    {'n', "{\"a\":01}"}, {'n', "{\"a\":-01}"}, {'n', "{\"a\":+1}"}, {'n', "{\"a\":.5}"}, {'n', "{\"a\":1.}"}, {'n', "{\"a\":1.e1}"}, {'n', "{\"a\":1e}"}, {'n', "{\"a\":1e+}"}, {'n', "{\"a\":-}"},
    {'n', "{\"a\":- 1}"}, {'n', "{\"a\":0x1}"}, {'n', "{\"a\":1_0}"}, {'n', "{\"a\":1e1.5}"}, {'n', "{\"a\":1-}"}, {'n', "{\"a\":NaN}"}, {'n', "{\"a\":nan}"}, {'n', "{\"a\":Infinity}"},
    {'n', "{\"a\":-Infinity}"}, {'n', "{\"a\":True}"}, {'n', "{\"a\":tru}"}, {'n', "{\"a\":truee}"}, {'n', "{\"a\":nul}"}, {'n', "{\"a\":undefined}"}, {'n', "{\"a\":\xEF\xBC\x91}"},
    {'n', "{\"a\":\"x}"}, {'n', "{\"a\":'x'}"}, {'n', "{\"a\":\"\t\"}"}, {'n', "{\"a\":\"\x01\"}"}, {'n', "{\"a\":\"\\x41\"}"}, {'n', "{\"a\":\"\\\"}"}, {'n', "{\"a\":\"\\u\"}"}, {'n', "{\"a\":\"\\u12\"}"},
    {'n', "{\"a\":\"\\u123g\"}"}, {'n', "{\"a\":\"\\U0041\"}"}, {'n', "{\"a\":\"\\a\"}"}, {'n', "{\"a\":\"\\ud800\\u1\"}"}, {'n', "{\"a\":x\"}"}, {'n', "{\"a\":\"x\"y\"}"},
    {'n', "{\"a\":1}x"}, {'n', "{\"a\":1},"}, {'n', "{\"a\":1}{}"}, {'n', "{\"a\":1}//"}, {'n', "{\"a\":1/**/}"}, {'n', "{/**/}"}, {'n', "#"}, {'n', "\x0C{}"}, {'n', "{\xC2\xA0}"}, {'n', "{\"a\":(1)}"},
};

/* The same whether the value is a field that is asked for, a field of an array, or nobody's. */
static void
test_grammar(void)
{
    static const char *const options[] = {NULL, "{\"columns\":{\"x\":\"$.x\"}}", "{\"columns\":{\"x\":\"$.a[7]\",\"all\":\"$\"}}", "{\"flatten\":3}"};

    for (size_t i = 0; i < sizeof(grammar) / sizeof(grammar[0]); i++)
        for (size_t how = 0; how < 8; how++)
        {
            DumpHow dump = {.format = &format_jsonl, .options = options[how / 2], .path = how % 2 ? CSV_SCAN_AUTO : CSV_SCAN_PORTABLE};
            char *got = csv_dump(grammar[i].text, strlen(grammar[i].text), &dump);

            ok((strstr(got, " REJECT 22P04 invalid JSON") == NULL) == (grammar[i].kind == 'y'), "%c %s (%zu)", grammar[i].kind, grammar[i].text, how);
            free(got);
        }
}

static void
test_limits(void)
{
    size_t deep = JS_MAX_DEPTH, n = 2 * deep + 20, i;
    char *text = malloc(n), *got;
    DumpHow how = {.format = &format_jsonl};

    /* the object is a level, too */
    for (i = 0; i < 2; i++)
    {
        size_t used = (size_t) sprintf(text, "{\"a\":");

        memset(text + used, '[', deep - 1 + i);
        used += deep - 1 + i;
        memset(text + used, ']', deep - 1 + i);
        used += deep - 1 + i;
        used += (size_t) sprintf(text + used, "}");
        got = csv_dump(text, used, &how);
        ok((strstr(got, "nested deeper than 1000 levels") != NULL) == (i == 1), "%zu levels", deep + i);
        free(got);
    }
    free(text);
}

/* What stands in front of the rows may be longer than the window: strings and keys are passed over piece by piece, and the fields found all the same. */
static void
test_long_tokens(void)
{
    static const struct { const char *before; char fill; const char *behind, *want; } cases[] = {
        {"{\"skipped\":\"\\\"", 'x', "\\u0041\",\"rows\":[{\"a\":1}]}", "(a)\n1@3000030 [1]\n"},
        {"{\"\\\"", 'x', "\\u0041\" : {},\"rows\":[{\"a\":1}]}", "(a)\n1@3000025 [1]\n"},
        {"{\"x\":[{\"", 'x', "\":[1,\"\"]}],\"rows\":[{\"a\":1}]}", "(a)\n1@3000027 [1]\n"},
        {"{\"rows\"", ' ', ":[{\"a\":1}]}", "\nERROR 54000 a value is longer than 1048676 bytes\n"},
        {"{\"x\":", '1', ",\"rows\":[{\"a\":1}]}", "\nERROR 54000 a value is longer than 1048676 bytes\n"},
        {"{\"x\":\"", 'x', "\n\"}", "\nERROR 22P04 invalid JSON at line 1, column 3000007, path $: a string is not closed at the line's end\n"},
        {"{\"x\":\"", 'x', "", "\nERROR 22P04 invalid JSON at line 1, column 3000007, path $: the text ends too early\n"},
        {"{\"", 'x', "\";1}", "\nERROR 22P04 invalid JSON at line 1, column 3000004, path $: a colon is expected\n"},
    };
    size_t fill = 3000000;
    char *text = malloc(fill + 100);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        for (int pieces = 0; pieces < 3; pieces++)
        {
            DumpHow how = {.format = &format_json, .options = "{\"recordPath\":\"$.rows\",\"maxRowBytes\":100}", .step = pieces == 0 ? 0 : pieces == 1 ? 1 << 19 : 999};
            size_t n = strlen(cases[i].before);
            char *got;

            how.first = how.step;
            memcpy(text, cases[i].before, n);
            memset(text + n, cases[i].fill, fill);
            strcpy(text + n + fill, cases[i].behind);
            got = csv_dump(text, n + fill + strlen(cases[i].behind), &how);
            is_str(got, cases[i].want, "a long token %zu, pieces %d", i, pieces);
            free(got);
        }
    free(text);
}

/* Columns of every kind, pseudo-columns, and a field that the first rows do not have. */
static void
test_columns(void)
{
    static const ColumnSpec specs[] = {
        {.name = "i", .kind = COLUMN_INT4}, {.name = "i", .kind = COLUMN_JSON}, {.name = "s", .kind = COLUMN_TEXT},
        {.name = "s", .kind = COLUMN_JSON}, {.name = "n", .kind = COLUMN_NUMERIC}, {.name = "_line", .kind = COLUMN_INT8},
        {.name = "_offset", .kind = COLUMN_INT8}, {.name = "_source", .kind = COLUMN_TEXT}, {.name = "absent", .kind = COLUMN_TEXT}};
    static const int map[] = {0, 0, 1, 1, 2, FIELD_LINE, FIELD_OFFSET, FIELD_SOURCE, FIELD_ABSENT};
    const char *input = "{\"i\":1,\"s\":\"x\\n\",\"n\":1.50}\n{\"i\":1.0,\"s\":\"\",\"n\":\"2\"}\n";
    DumpHow how = {.format = &format_jsonl, .specs = specs, .map = map, .ncols = 9};
    char *got = csv_dump(input, strlen(input), &how);

    is_str(got, "(i) (s) (n)\n1@0 [1][1]!2[x\n][\"x\\n\"]!2[150e-2][1][0][dir/file.csv]<null>\n"
                "2@27 [1.0]!3[1.0]!2[][\"\"]!2[2e-0][2][27][dir/file.csv]<null>\n", "columns");
    free(got);
}

static void
test_options(void)
{
    static const struct { const Format *format; const char *options, *want; } cases[] = {
        {&format_json, "{\"delimiter\":\";\"}", "delimiter"},
        {&format_jsonl, "{\"recordPath\":\"$\"}", "recordPath"},
        {&format_json, "{\"recordPath\":\"data\"}", "invalid path"},
        {&format_json, "{\"recordPath\":\"$.a[0]\"}", "invalid path"},
        {&format_json, "{\"recordPath\":\"$..a\"}", "invalid path"},
        {&format_json, "{\"recordPath\":\"$['a\"}", "invalid path"},
        {&format_json, "{\"columns\":{\"a\":\"$.b[*]\"}}", "invalid path"},
        {&format_json, "{\"columns\":{\"a\":1}}", "needs a path"},
        {&format_json, "{\"columns\":{}}", "is empty"},
        {&format_json, "{\"columns\":[\"a\"]}", "columns"},
        {&format_json, "{\"columns\":{\"a\":\"$.b\"},\"flatten\":1}", "contradict"},
        {&format_json, "{\"flatten\":33}", "flatten"},
        {&format_json, "{\"maxRowBytes\":5,\"maxFieldBytes\":6}", "contradict"}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
    {
        DumpHow how = {.format = cases[i].format, .options = cases[i].options};
        char *got = csv_dump("{}", 2, &how);

        ok(strncmp(got, "OPTIONS 22023", 13) == 0 && strstr(got, cases[i].want) != NULL, "%s", cases[i].options);
        free(got);
    }
}

static void
test_content(void)
{
    static const struct { const char *text, *want; } cases[] = {
        {"", "csv"}, {"a,b\n1,2\n", "csv"}, {"{\"a\":1}\n{\"a\":2}\n", "jsonl"}, {"{\"a\":1}\n", "json"}, {"{\n\"a\":1}", "json"},
        {" [ {\"a\":1}]", "json"}, {"[id],name\n", "csv"}, {"{x},y\n", "csv"}, {"\xEF\xBB\xBF[1]", "json"}, {"{\"a\":x}\n{\"a\":2}\n", "jsonl"}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        is_str(format_by_content((const uint8_t *) cases[i].text, strlen(cases[i].text))->name, cases[i].want, "content %zu", i);
}

int
main(void)
{
    fixture_format = &format_jsonl;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        check_fixture(&lines[i]);
    fixture_format = &format_json;
    for (size_t i = 0; i < sizeof(documents) / sizeof(documents[0]); i++)
        check_fixture(&documents[i]);
    test_grammar();
    test_limits();
    test_long_tokens();
    test_columns();
    test_options();
    test_content();
    return done();
}
