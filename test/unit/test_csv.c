/*
 * test_csv.c: what CSV means, and that it does not depend on how it is read.
 *
 * A table of inputs with the rows they give.  Each input is read whole, in
 * single bytes, and split in two at every byte, by the vector scan and by the
 * portable one, in batches of one row and of many: the dump must always be
 * the same.  A random part compares the scans on inputs nobody thought of.
 */
#include "tap.h"

#include "csv_fixture.h"

static const Fixture fixtures[] = {
    {"plain", NULL, "a,b\n1,2\n3,4\n", "(a) (b)\n2@4 [1][2]\n3@8 [3][4]\n", 0},
    {"no line end at the end", NULL, "a,b\n1,2\n3,4", "(a) (b)\n2@4 [1][2]\n3@8 [3][4]\n", 0},
    {"CRLF", NULL, "a,b\r\n1,2\r\n\"x\",\"y\"\r\n", "(a) (b)\n2@5 [1][2]\n3@10 [x][y]\n", 0},
    {"CRLF, no line end at the end", NULL, "a,b\r\n1,\"y\"\r", "(a) (b)\n2@5 [1][y]\n", 0},
    {"CR inside a line", NULL, "a,b\n\"1\r\",x\r2\n3,4\n",
     "(a) (b)\n2@4 REJECT 22P04 unquoted carriage return in field 2, which ends no line here (with \"newline\": \"lf\" it is data)"
     " {\"1\r\",x\r2}\n3@13 [3][4]\n", 0},
    {"lines that end with LF, CR LF and CR", NULL, "a,b\n1,2\r3,4\r\n5,6\n\r7,8", "(a) (b)\n2@4 [1][2]\n3@8 [3][4]\n4@13 [5][6]\n6@18 [7][8]\n", 0},
    {"the same, CRs in quotes", NULL, "a,b\n\"1\rx\",2\r\"y\",\"3\r\"\r\n4,5\n", "(a) (b)\n2@4 [1\rx][2]\n4@12 [y][3\r]\n6@22 [4][5]\n", 0},
    {"CR CR LF", NULL, "a,b\r\r\n1,2\r\r\n\"3\",\"4\"\r\r\n5,6\r\r\n", "(a) (b)\n2@6 [1][2]\n3@12 [3][4]\n4@22 [5][6]\n", 0},
    {"CR CR LF, dialect found out", "{\"delimiter\":\"auto\"}", "name;n\r\r\nx;2\r\r\ny;3\r\r\n", "(name) (n)\n2@9 [x][2]\n3@15 [y][3]\n", 0},
    {"mixed line ends, skipped lines and a footer", "{\"skipLines\":1,\"footerLines\":2}", "Report\ra,b\r1,2\n3,4\r\r\nTotal\rend\r\n",
     "(a) (b)\n3@11 [1][2]\n4@15 [3][4]\n", 0},
    {"quoted comma, quote, line end", NULL, "a,b\n\"x,y\",\"say \"\"hi\"\"\"\n\"l1\nl2\r\nl3\",z\n1,2\n",
     "(a) (b)\n2@4 [x,y][say \"hi\"]\n3@23 [l1\nl2\r\nl3][z]\n6@37 [1][2]\n", 0},
    {"empty and quoted empty", NULL, "a,b,c\n,\"\",x\n", "(a) (b) (c)\n2@6 <null>[][x]\n", 0},
    {"only quotes", NULL, "a\n\"\"\"\"\n\"\"\"\"\"\"\n", "(a)\n2@2 [\"]\n3@7 [\"\"]\n", 0},
    {"byte order mark", NULL, "\xEF\xBB\xBF" "a,b\n1,2\n", "(a) (b)\n2@7 [1][2]\n", 0},
    {"byte order mark before a quoted name", NULL, "\xEF\xBB\xBF\"a\",b\n1,2\n", "(a) (b)\n2@9 [1][2]\n", 0},
    {"blank lines", NULL, "\n\r\na,b\n\n1,2\n\r\n\n3,4\n\n", "(a) (b)\n5@8 [1][2]\n8@15 [3][4]\n", 0},
    {"empty", NULL, "", "\n", 0},
    {"only a mark", NULL, "\xEF\xBB\xBF", "\n", 0},
    {"header only", NULL, "a,b\n", "(a) (b)\n", 0},
    {"header only, no line end", NULL, "a,\"b c\"", "(a) (b c)\n", 0},
    {"too few and too many", NULL, "a,b,c\n1,2\n1,2,3\n1,2,3,4\n",
     "(a) (b) (c)\n2@6 REJECT 22P04 row has 2 fields, expected 3 {1,2}\n3@10 [1][2][3]\n"
     "4@16 REJECT 22P04 row has 4 fields, expected 3 {1,2,3,4}\n", 0},
    {"one field", NULL, "a,b\nx\n", "(a) (b)\n2@4 REJECT 22P04 row has 1 field, expected 2 {x}\n", 0},
    {"stray quote", NULL, "a,b\nx\"y,2\n3,4\n",
     "(a) (b)\n2@4 REJECT 22P04 quote inside unquoted field 1 {x\"y,2}\n3@10 [3][4]\n", 0},
    {"stray quote, quoted line end behind it", NULL, "a,b\nx\"y,\"2\n2\"\n3,4\n",
     "(a) (b)\n2@4 REJECT 22P04 quote inside unquoted field 1; the row takes lines 2 to 3 {x\"y,\"2\n2\"}\n4@14 [3][4]\n", 0},
    {"text after the closing quote", NULL, "a,b\n1,\"x\"y\n3,4\n",
     "(a) (b)\n2@4 REJECT 22P04 text after the closing quote of field 2 {1,\"x\"y}\n3@11 [3][4]\n", 0},
    {"space after the closing quote", NULL, "a,b\n\"1\" ,2\n3,4\n",
     "(a) (b)\n2@4 REJECT 22P04 text after the closing quote of field 1 {\"1\" ,2}\n3@11 [3][4]\n", 0},
    {"CR after the closing quote", NULL, "a,b\n\"1\"\r,2\n3,4\n",
     "(a) (b)\n2@4 REJECT 22P04 text after the closing quote of field 1 {\"1\"\r,2}\n3@11 [3][4]\n", 0},
    {"two bad rows in a row", NULL, "a,b\nx\",2\ny\",2\n3,4\n",
     "(a) (b)\n2@4 REJECT 22P04 quote inside unquoted field 1 {x\",2}\n"
     "3@9 REJECT 22P04 quote inside unquoted field 1 {y\",2}\n4@14 [3][4]\n", 0},
    {"quotes not closed", NULL, "a,b\n1,2\n3,\"4\n5,6\n",
     "(a) (b)\n2@4 [1][2]\n3@8 REJECT 22P04 quotes opened on line 3 are not closed by the end of the file; the row takes lines 3 to 4 {3,\"4\n5,6\n}\n", 0},
    {"quotes not closed behind a line end in quotes", NULL, "a,b\n\"x\ny\",\"4\n",
     "(a) (b)\n2@4 REJECT 22P04 quotes opened on line 3 are not closed by the end of the file; the row takes lines 2 to 3 {\"x\ny\",\"4\n}\n", 0},
    {"quotes not closed, CR", NULL, "a,b\r1,\"x\ry\"\r3,\"4\r5,6\r",
     "(a) (b)\n2@4 [1][x\ry]\n4@12 REJECT 22P04 quotes opened on line 4 are not closed by the end of the file; the row takes lines 4 to 5 {3,\"4\r5,6\r}\n", 0},
    {"quotes not closed, CR LF", NULL, "a,b\r\n\"1\r\n\r\n2\",\"x\r\ny\r\n",
     "(a) (b)\n2@5 REJECT 22P04 quotes opened on line 4 are not closed by the end of the file; the row takes lines 2 to 5 {\"1\r\n\r\n2\",\"x\r\ny\r\n}\n", 0},
    {"no header, quotes not closed in the first row", "{\"header\":false}", "\n\"x\n",
     "\n2@1 REJECT 22P04 quotes opened on line 2 are not closed by the end of the file {\"x\n}\n", 0},
    {"no header, bad rows first", "{\"header\":false,\"maxRowBytes\":6}", "a\"b,2\n\n\"long\nlong\nlong\",1\n1,2,3\n4,5\n",
     "(column1) (column2) (column3)\n1@0 REJECT 22P04 quote inside unquoted field 1 {a\"b,2}\n"
     "3@7 REJECT 54000 row is longer than maxRowBytes (6) {\"long\n}\n6@26 [1][2][3]\n7@32 REJECT 22P04 row has 2 fields, expected 3 {4,5}\n", 0},
    {"no header, bad rows only", "{\"header\":false}", "a\"b\nc\"d\n",
     "\n1@0 REJECT 22P04 quote inside unquoted field 1 {a\"b}\n2@4 REJECT 22P04 quote inside unquoted field 1 {c\"d}\n", 0},
    {"columns instead of a header", "{\"columns\":[\"x\",\"y\"]}", "1,2\n3,4\n", "(x) (y)\n1@0 [1][2]\n2@4 [3][4]\n", 0},
    {"columns in place of a header", "{\"columns\":[\"x\",\"y\"],\"header\":true}", "a,b\n3,4\n", "(x) (y)\n2@4 [3][4]\n", 0},
    {"columns, and a header with these names", "{\"columns\":[\"id\",\"name\"]}", "ID,\" Name\"\nx,y\nz,w\n", "(id) (name)\n2@11 [x][y]\n3@15 [z][w]\n", 0},
    {"columns, and only a header", "{\"columns\":[\"id\",\"name\"]}", "id,name", "(id) (name)\n", 0},
    {"columns, and nothing", "{\"columns\":[\"id\",\"name\"]}", "", "(id) (name)\n", 0},
    {"columns, and a header with fewer names", "{\"columns\":[\"id\",\"name\",\"x\"]}", "id,name\ny,z,w\n",
     "(id) (name) (x)\n1@0 REJECT 22P04 row has 2 fields, expected 3 {id,name}\n2@8 [y][z][w]\n", 0},
    {"columns, and a header with other names", "{\"columns\":[\"a\",\"b\",\"c\"]}",
     "Kunde,Betrag,Datum\nx,1.50,2024-01-01\ny,2.50,2024-01-02\n",
     "(a) (b) (c)\n2@19 [x][1.50][2024-01-01]\n3@37 [y][2.50][2024-01-02]\n", 0},
    {"columns, and a row that may be a header", "{\"columns\":[\"a\",\"b\"]}", "foo,bar\nx,y\n", "(a) (b)\n1@0 [foo][bar]\n2@8 [x][y]\n", 0},
    {"columns, and a word where numbers are", "{\"columns\":[\"a\",\"b\"]}", "twelve,Bob\n13,Al\n14,Cy\n",
     "(a) (b)\n1@0 [twelve][Bob]\n2@11 [13][Al]\n3@17 [14][Cy]\n", 0},
    {"columns, and their names as data", "{\"columns\":[\"a\",\"b\"],\"header\":false}", "a,b\n1,2\n", "(a) (b)\n1@0 [a][b]\n2@4 [1][2]\n", 0},
    {"columns, and a bad first row", "{\"columns\":[\"a\",\"b\"]}", "a\",b\n1,2\n",
     "(a) (b)\n1@0 REJECT 22P04 quote inside unquoted field 1 {a\",b}\n2@5 [1][2]\n", 0},
    {"columns, and a first row that is too long", "{\"columns\":[\"a\",\"b\"],\"maxRowBytes\":6}", "a,\"b\n\nb\",c\n1,2\n",
     "(a) (b)\n1@0 REJECT 54000 row is longer than maxRowBytes (6); the row reaches line 2 {a,\"b\n\n}\n4@11 [1][2]\n", 0},
    {"columns, and quotes that are not closed", "{\"columns\":[\"a\",\"b\"]}", "a,\"b\n",
     "(a) (b)\n1@0 REJECT 22P04 quotes opened on line 1 are not closed by the end of the file {a,\"b\n}\n", 0},
    {"columns, a mark, a title, a comment and a header", "{\"columns\":[\"a\",\"b\"],\"skipLines\":1,\"comment\":\"#\"}",
     "\xEF\xBB\xBF" "title\n#\n\nA,B\nx,y\n", "(a) (b)\n5@16 [x][y]\n", 0},
    {"neither header nor columns", "{\"header\":false}", "1,2\n3,4\n", "(column1) (column2)\n1@0 [1][2]\n2@4 [3][4]\n", 0},
    {"no header, blank and mark first", "{\"header\":false}", "\xEF\xBB\xBF\n1,2\n", "(column1) (column2)\n2@4 [1][2]\n", 0},
    {"null strings", "{\"nullStrings\":[\"NULL\",\"\\\\N\"]}", "a,b,c\nNULL,\"NULL\",\n\\N,x,NULLx\n",
     "(a) (b) (c)\n2@6 <null>[NULL][]\n3@19 <null>[x][NULLx]\n", 0},
    {"semicolon and single quote", "{\"delimiter\":\";\",\"quote\":\"'\"}", "a;b\n'x;''y';\"z\n", "(a) (b)\n2@4 [x;'y][\"z]\n", 0},
    {"tab, no quote", "{\"delimiter\":\"\\t\",\"quote\":\"\"}", "a\tb\n\"x\ty\"\n", "(a) (b)\n2@4 [\"x][y\"]\n", 0},
    {"escape", "{\"escape\":\"\\\\\"}", "a,b\n\"x\\\"y\",\"c:\\\\d\\e\"\n\"\\\\\",2\n",
     "(a) (b)\n2@4 [x\"y][c:\\d\\e]\n3@21 [\\][2]\n", 0},
    {"escape, doubled quote is text behind", "{\"escape\":\"\\\\\"}", "a,b\n\"x\"\"y\",2\n3,4\n",
     "(a) (b)\n2@4 REJECT 22P04 text after the closing quote of field 1 {\"x\"\"y\",2}\n3@13 [3][4]\n", 0},
    {"escape at the end", "{\"escape\":\"\\\\\"}", "a,b\n1,\"x\\",
     "(a) (b)\n2@4 REJECT 22P04 quotes opened on line 2 are not closed by the end of the file {1,\"x\\}\n", 0},
    {"field limit", "{\"maxFieldBytes\":5}", "a,b\n12345,x\n123456,x\n1,123456\n\"12\n45\",x\n7,8\n",
     "(a) (b)\n2@4 [12345][x]\n3@12 REJECT 54000 field 1 is longer than maxFieldBytes (5) {12345}\n"
     "4@21 REJECT 54000 field 2 is longer than maxFieldBytes (5) {1,12345}\n"
     "5@30 REJECT 54000 field 1 is longer than maxFieldBytes (5), in quotes opened on line 5 that are perhaps not closed; the row reaches line 6 {\"12\n4}\n7@40 [7][8]\n", 0},
    {"row limit", "{\"maxRowBytes\":7}", "a,b\n123,567\n123,5678\n\"12\n4\n678\",2\n7,8",
     "(a) (b)\n2@4 [123][567]\n3@12 REJECT 54000 row is longer than maxRowBytes (7) {123,567}\n"
     "4@21 REJECT 54000 row is longer than maxRowBytes (7); the row reaches line 6 {\"12\n4\n6}\n7@34 [7][8]\n", 0},
    {"a long field in quotes", "{\"maxFieldBytes\":5}", "a,b\n\"\n\",\"x\ny\nz\n1,2\n",
     "(a) (b)\n2@4 REJECT 54000 field 2 is longer than maxFieldBytes (5), in quotes opened on line 3 that are perhaps not closed; the row reaches line 4 {\"\n\",\"x\ny\n}\n", 0},
    {"a quote closed by the next one", NULL, "a,b\n1,\"x\n2,\"y\n3,4\n",
     "(a) (b)\n2@4 REJECT 22P04 text after the closing quote of field 2; the row takes lines 2 to 3 {1,\"x\n2,\"y}\n4@14 [3][4]\n", 0},
    {"too many fields behind line ends", NULL, "a,b\r\n\"1\r\n\r\n\",2,3\r\n3,4\r\n",
     "(a) (b)\n2@5 REJECT 22P04 row has 3 fields, expected 2; the row takes lines 2 to 4 {\"1\r\n\r\n\",2,3}\n5@18 [3][4]\n", 0},
    {"row limit at an open quote", "{\"maxRowBytes\":7}", "a,b\n1,\"23456789\n\nabc",
     "(a) (b)\n2@4 REJECT 54000 row is longer than maxRowBytes (7) {1,\"2345}\n", 0},
    {"UTF-8", NULL, "größe,b\nÄäß€,😀\n", "(größe) (b)\n2@10 [Ääß€][😀]\n", 0},
    {"bad bytes", NULL, "a,b\n\xFFx,2\n3,\"\xC3\"\n\xE4\xF6,x,y\n5,6\n",
     "(a) (b)\n2@4 [\\xffx]!7[2]\n3@9 [3][\\xc3]!7\n4@15 REJECT 22P04 row has 3 fields, expected 2 {\\xe4\\xf6,x,y}\n5@22 [5][6]\n", 0},
    {"zero byte", NULL, "a,b\nx\0y,2\n", "(a) (b)\n2@4 [x\\x00y]!7[2]\n", 10},
    {"bad header", NULL, "a,b\"c\n1,2\n", "ERROR 22P04 header can't be read: quote inside unquoted field 2\n", 0},
    {"header not UTF-8", NULL, "a,\xFF\n1,2\n", "ERROR 22021 name of field 2 in the header has bytes that are no characters in the encoding of the file\n", 0},
    {"long lines", NULL,
     "a,b\n0123456789012345678901234567890123456789012345678901234567890123456789,\"x\"\n"
     "\"0123456789012345678901234567890123456789012345678901234567\",y\r\n"
     "1,\"01234567890123456789012345678901234567890123456789\"\"2345678\"\r\n",
     "(a) (b)\n2@4 [0123456789012345678901234567890123456789012345678901234567890123456789][x]\n"
     "3@79 [0123456789012345678901234567890123456789012345678901234567][y]\n"
     "4@143 [1][01234567890123456789012345678901234567890123456789\"2345678]\n", 0},
};

static void
check_options(void)
{
    static const char *const bad[][2] = {
        {"{\"delimiter\":\"123456789\"}", "OPTIONS 22023 invalid value \"123456789\" for format option \"delimiter\"\n"},
        {"{\"delimiter\":\"\"}", "OPTIONS 22023 invalid value \"\" for format option \"delimiter\"\n"},
        {"{\"delimiter\":\"\\n\"}", "OPTIONS 22023 invalid value \"\n\" for format option \"delimiter\"\n"},
        {"{\"delimiter\":\"\\\"\"}", "OPTIONS 22023 format option \"delimiter\" must differ from \"quote\" and \"escape\"\n"},
        {"{\"quote\":\"ab\"}", "OPTIONS 22023 invalid value \"ab\" for format option \"quote\"\n"},
        {"{\"escape\":\"é\"}", "OPTIONS 22023 invalid value \"é\" for format option \"escape\"\n"},
        {"{\"header\":\"yes\"}", "OPTIONS 22023 invalid value \"yes\" for format option \"header\"\n"},
        {"{\"header\":1}", "OPTIONS 22023 format option \"header\" must be true, false or \"auto\", not a number\n"},
        {"{\"columns\":[]}", "OPTIONS 22023 format option \"columns\" is empty\n"},
        {"{\"columns\":[1]}", "OPTIONS 22023 format option \"columns\" must hold strings, but entry 1 is a number\n"},
        {"{\"maxRowBytes\":0}", "OPTIONS 22023 key \"maxRowBytes\" of format must be between 1 and 268435456, not 0\n"},
        {"{\"seperator\":\",\"}", "OPTIONS 22023 unknown key \"seperator\" in format\n"},
    };
    size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
    {
        DumpHow how = {.options = bad[i][0]};
        char *got = csv_dump("a\n", 2, &how);

        is_str(got, bad[i][1], "option %s", bad[i][0]);
        free(got);
    }
}

/* Random bytes of a small alphabet: both scans and any chunking agree. */
static void
check_random(const char *options, const char *label)
{
    static const char alphabet[] = "aaaab,,,\"\"\"\n\n\r\\\xC3\xA4;||#";
    uint32_t seed = 12345;
    int round, wrong = 0;

    for (round = 0; round < 2000; round++)
    {
        char input[400];
        size_t n, i;
        DumpHow how = {.options = options, .path = CSV_SCAN_PORTABLE, .first = 1, .step = 1};
        char *a, *b, *c, *d;

        seed = seed * 1664525 + 1013904223;
        n = (seed >> 8) % sizeof(input);
        for (i = 0; i < n; i++)
        {
            seed = seed * 1664525 + 1013904223;
            input[i] = alphabet[(seed >> 16) % (sizeof(alphabet) - 1)];
        }
        a = csv_dump(input, n, &how);
        how = (DumpHow) {.options = options, .path = CSV_SCAN_PORTABLE};
        b = csv_dump(input, n, &how);
        how.path = CSV_SCAN_AVX2;
        c = csv_dump(input, n, &how);
        how.path = CSV_SCAN_BYTES;
        d = csv_dump(input, n, &how);
        wrong += strcmp(a, b) != 0 || strcmp(a, c) != 0 || strcmp(a, d) != 0;
        free(d);
        free(a);
        free(b);
        free(c);
    }
    is_int(wrong, 0, "2000 random inputs, %s: scans and chunkings agree", label);
}

static void
check_columns(void)
{
    static const ColumnSpec specs[] = {
        {.name = "b", .kind = COLUMN_INT4}, {.name = "b", .kind = COLUMN_TEXT}, {.name = "x", .kind = COLUMN_NUMERIC},
        {.name = "_source", .kind = COLUMN_TEXT}, {.name = "_line", .kind = COLUMN_INT8},
        {.name = "_offset", .kind = COLUMN_INT8}, {.name = "_modified_at", .kind = COLUMN_TEXT},
        {.name = "_modified_at", .kind = COLUMN_TIMESTAMPTZ},
    };
    static const int map[] = {1, 1, FIELD_ABSENT, FIELD_SOURCE, FIELD_LINE, FIELD_OFFSET, FIELD_MODIFIED_AT, FIELD_MODIFIED_AT};
    DumpHow how = {.specs = specs, .map = map, .ncols = 8};
    char *got = csv_dump("a,b\n1,7\n\n2,x\n", 13, &how);

    is_str(got, "(a) (b)\n"
           "2@4 [7][7]<null>[dir/file.csv][2][4][1970-01-02 00:00:00.000001+00][-946598399999999]\n"
           "4@9 [x]!3[x]<null>[dir/file.csv][4][9][1970-01-02 00:00:00.000001+00][-946598399999999]\n",
           "typed, repeated, absent and pseudo-columns");
    free(got);
}

/* A file of several chunks with a huge row in it. */
static void
check_large(void)
{
    size_t rows = 40000, huge = 3 << 20, used = 0, size = rows * 24 + huge + 100, i, lines = 0, rejects = 0;
    char *text = malloc(size), *got, *p;
    DumpHow how = {.options = "{\"maxFieldBytes\":1000000}"};

    used += (size_t) sprintf(text, "a,b\n");
    for (i = 0; i < rows; i++)
    {
        used += (size_t) sprintf(text + used, "%zu,\"x,\n%zu\"\n", i, i);
        if (i == rows / 2)
        {
            text[used++] = '"';
            memset(text + used, '\n', huge);
            used += huge;
            used += (size_t) sprintf(text + used, "\",1\n");
        }
    }
    got = csv_dump(text, used, &how);
    for (p = got; (p = strstr(p, "[x,\n")) != NULL; p++)
        lines++;
    for (p = got; (p = strstr(p, "REJECT 54000")) != NULL; p++)
        rejects++;
    is_int((int64_t) lines, (int64_t) rows, "rows around a field beyond the limit");
    is_int((int64_t) rejects, 1, "that row is one reject");
    p = strrchr(got, '@');
    while (p > got && p[-1] != '\n')
        p--;
    is_int(atoll(p), (int64_t) (2 + 2 * (rows - 1) + huge + 1), "line numbers behind it are right");
    free(got);
    free(text);
}

/* What ends lines is seen in the sample; a CR alone, or a LF, that comes later is never a part of a value. */
static void
check_late_line_end(const char *row, size_t rows, const char *behind, const char *want)
{
    size_t used = 0, i, step, length = strlen(behind);
    char *text = malloc(rows * 4 + length + 10), *got, *end;

    used += (size_t) sprintf(text, "a,b%c", row[3]);
    for (i = 0; i < rows; i++, used += 4)
        memcpy(text + used, row, 4);
    memcpy(text + used, behind, length);
    for (step = 0; step < 3; step++)
    {
        DumpHow how = {.first = step == 0 ? used + length : 1000, .step = step == 1 ? 7777 : step == 2 ? 64 : 1 << 30};

        got = csv_dump(text, used + length, &how);
        for (end = got, i = 0; i < rows + 1; i++)
            end = strchr(end, '\n') + 1;
        is_str(end, want, "a late line end, in pieces of %zu", how.step);
        free(got);
    }
    free(text);
}

/* Bad rows before the first good one: as many as fit what is looked at, whatever the pieces. */
static void
check_bad_start(size_t bad, const char *want)
{
    size_t used = 0, i, step;
    char *text = malloc(bad * 16 + 100), *got;

    for (i = 0; i < bad; i++)
        used += (size_t) sprintf(text + used, "x\"%zu,\n", i % 10);
    used += (size_t) sprintf(text + used, "1,2,3\n");
    for (step = 0; step < 3; step++)
    {
        DumpHow how = {.options = "{\"header\":false}", .first = step == 0 ? used : 1000, .step = step == 1 ? 7777 : step == 2 ? 64 : 1 << 30};

        got = csv_dump(text, used, &how);
        got[strcspn(got, "\n")] = '\0';
        is_str(got, want, "%zu bad rows first, in pieces of %zu", bad, how.step);
        free(got);
    }
    free(text);
}

int
main(void)
{
    size_t i;

    for (i = 0; i < sizeof(fixtures) / sizeof(fixtures[0]); i++)
        check_fixture(&fixtures[i]);
    check_options();
    check_random(NULL, "default");
    check_random("{\"escape\":\"\\\\\"}", "escape");
    check_random("{\"quote\":\"\"}", "no quote");
    check_random("{\"quotes\":\"lenient\"}", "lenient");
    check_random("{\"quotes\":\"lenient\",\"header\":false,\"quote\":\"a\",\"delimiter\":\"\\\"\"}", "lenient, many quotes");
    check_random("{\"quotes\":\"lenient\",\"escape\":\"\\\\\",\"newline\":\"crlf\"}", "lenient, escape, crlf");
    check_random("{\"delimiter\":\"||\",\"header\":false}", "two bytes");
    check_random("{\"delimiter\":\"a,a\",\"header\":false,\"quotes\":\"lenient\"}", "three bytes that meet themselves");
    check_random("{\"newline\":\"cr\",\"comment\":\"#\",\"header\":false}", "cr, comments");
    check_random("{\"newline\":\"crlf\",\"header\":false,\"maxRowBytes\":30,\"comment\":\",\"}", "crlf, comments, limits");
    check_random("{\"newline\":\"lf\",\"skipLines\":2,\"footerLines\":3,\"header\":false}", "lf, skipped lines and a footer");
    check_random("{\"shortRows\":\"pad\",\"longRows\":\"truncateEmpty\",\"trim\":\"all\",\"header\":false}", "ragged");
    check_random("{\"blankLines\":\"rows\"}", "blank lines are rows");
    check_random("{\"blankLines\":\"rows\",\"columns\":[\"a\"],\"shortRows\":\"pad\"}", "blank lines are rows, columns");
    check_random("{\"maxFieldBytes\":9,\"maxRowBytes\":20}", "small limits");
    check_columns();
    check_late_line_end("1,2\n", 20000, "3\r4,5\n6,7\r\r\n\"8\r\",9\n",
                        "20002@80004 REJECT 22P04 unquoted carriage return in field 1, which ends no line here (with \"newline\": \"lf\" it is data)"
                        " {3\r4,5}\n20003@80010 [6][7]\n20004@80016 [8\r][9]\n");
    check_late_line_end("1,2\r", 90000, "3,4\n5,6\r\n7,8", "90002@360004 [3][4]\n90003@360008 [5][6]\n90004@360013 [7][8]\n");
    check_bad_start(40000, "(column1) (column2) (column3)");
    check_bad_start(52427, "(column1) (column2) (column3)");
    check_bad_start(52428, "ERROR 22P04 first row can't be read: quote inside unquoted field 1");
    check_bad_start(100000, "ERROR 22P04 first row can't be read: quote inside unquoted field 1");
    check_large();
    return done();
}
