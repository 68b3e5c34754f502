/*
 * test_csv_options.c: what each option of CSV does.
 *
 * Fixtures as in test_csv.c, so every option is also read split at every byte
 * by both scans.  Numbers with separators have typed columns of their own.
 */
#include "csv_fixture.h"

#include "format/csv_detect.h"

static const Fixture dialects[] = {
    {"two-byte delimiter", "{\"delimiter\":\"||\"}", "a||b||c\n1||\"x||y\"||3\n||||\n",
     "(a) (b) (c)\n2@8 [1][x||y][3]\n3@21 <null><null><null>\n", 0},
    {"delimiter that meets itself: leftmost first", "{\"delimiter\":\"||\"}", "a||b\n1|||2\n3||\n||||4\n",
     "(a) (b)\n2@5 [1][|2]\n3@11 [3]<null>\n4@15 REJECT 22P04 row has 3 fields, expected 2 {||||4}\n", 0},
    {"eight bytes", "{\"delimiter\":\"<-tab-->\"}", "a<-tab-->b\n1<-tab-->\"<-tab-->\"\n2<-tab->x<-tab-->3\n",
     "(a) (b)\n2@11 [1][<-tab-->]\n3@31 [2<-tab->x][3]\n", 0},
    {"non-ASCII delimiter", "{\"delimiter\":\"¦\"}", "a¦b\nä¦§\n", "(a) (b)\n2@5 [ä][§]\n", 0},
    {"delimiter cut by the end", "{\"delimiter\":\"||\"}", "a||b\n1||2|", "(a) (b)\n2@5 [1][2|]\n", 0},
    {"delimiter over blocks", "{\"delimiter\":\"::\"}",
     "a::b::c\n0123456789012345678901234567890123456789012345678901234::\"x::\"::y\n"
     "01234567890123456789012345678901234567890123456789012345678901::1:::2\n",
     "(a) (b) (c)\n2@8 [0123456789012345678901234567890123456789012345678901234][x::][y]\n"
     "3@74 [01234567890123456789012345678901234567890123456789012345678901][1][:2]\n", 0},
    {"semicolon found out", "{\"delimiter\":\"auto\"}", "a;b\n1;2,5\n3;4,5\n5;6,5\n", "(a) (b)\n2@4 [1][2,5]\n3@10 [3][4,5]\n4@16 [5][6,5]\n", 0},
    {"all of it found out", "{\"delimiter\":\"auto\",\"quote\":\"auto\",\"skipLines\":\"auto\"}", "Report\n\nid;'note'\n1;'a;b'\n2;'c''d'\n3;'e'\n",
     "(id) (note)\n4@18 [1][a;b]\n5@26 [2][c'd]\n6@35 [3][e]\n", 0},
    {"TSV's delimiter with null strings", "{\"delimiter\":\"\\t\",\"nullStrings\":[\"\\\\N\"]}", "a\tb\n\\N\t\"\\N\"\n", "(a) (b)\n2@4 <null>[\\N]\n", 0},
    {"a title is found out with the delimiter", "{\"delimiter\":\"auto\"}", "Report, all of it\n\na;b\n1;2,5\n3;4,5\n",
     "(a) (b)\n4@23 [1][2,5]\n5@29 [3][4,5]\n", 0},
    {"unless told that there is none", "{\"delimiter\":\"auto\",\"skipLines\":0}", "Report\na;b\n1;2,5\n3;4,5\n",
     "(Report)\n2@7 REJECT 22P04 row has 2 fields, expected 1 {a;b}\n3@11 REJECT 22P04 row has 2 fields, expected 1 {1;2,5}\n"
     "4@17 REJECT 22P04 row has 2 fields, expected 1 {3;4,5}\n", 0},
    {"quotes are found out with the delimiter", "{\"delimiter\":\"auto\"}", "a|b\n1|5\" pipe\n2|6\" pipe\n",
     "(a) (b)\n2@4 [1][5\" pipe]\n3@14 [2][6\" pipe]\n", 0},
    {"single quotes are, too", "{\"delimiter\":\"auto\"}", "a;b\n'x;''y';1\n'z';2\n", "(a) (b)\n2@4 [x;'y][1]\n3@14 [z][2]\n", 0},
    {"unless said what they are", "{\"delimiter\":\"auto\",\"quote\":\"\\\"\"}", "a|b\n1|5\" pipe\n2|x\n3|y\n",
     "(a) (b)\n2@4 REJECT 22P04 quote inside unquoted field 2 {1|5\" pipe}\n3@14 [2][x]\n4@18 [3][y]\n", 0},
    {"sep= says the delimiter, and is no row", "{\"delimiter\":\"auto\"}", "\xEF\xBB\xBFsep=|\r\na|b\r\n1|2,3;4\r\n",
     "(a) (b)\n3@15 [1][2,3;4]\n", 0},
    {"CR alone is found out", NULL, "a,b\r1,\"x\ry\"\r\r3,4", "(a) (b)\n2@4 [1][x\ry]\n5@13 [3][4]\n", 0},
    {"CR alone, said", "{\"newline\":\"cr\"}", "a,b\r1,x\ny\r\"3\",4\r", "(a) (b)\n2@4 [1][x\ny]\n3@10 [3][4]\n", 0},
    {"CR LF, said: LF alone is data", "{\"newline\":\"crlf\"}", "a,b\r\n1,x\ny\r\n\"3\",4\r\n\"5\n\",\"6\r\n\"",
     "(a) (b)\n2@5 [1][x\ny]\n4@12 [3][4]\n5@19 [5\n][6\r\n]\n", 0},
    {"CR LF, said: LF behind a quote", "{\"newline\":\"crlf\"}", "a,b\r\n1,\"x\"\n\r\n3,4\r\n",
     "(a) (b)\n2@5 REJECT 22P04 text after the closing quote of field 2 {1,\"x\"\n}\n4@13 [3][4]\n", 0},
    {"LF, said: CR is data", "{\"newline\":\"lf\"}", "a,b\n1,x\r\n3,4\n", "(a) (b)\n2@4 [1][x\r]\n3@9 [3][4]\n", 0},
    {"mixed line ends", NULL, "a,b\r\n1,2\n3,4\r\n\"5\",\"6\"\n", "(a) (b)\n2@5 [1][2]\n3@9 [3][4]\n4@14 [5][6]\n", 0},
    {"single quote, escape, several bytes", "{\"delimiter\":\"~|~\",\"quote\":\"'\",\"escape\":\"\\\\\"}",
     "a~|~b\n'x\\'~|~y'~|~'\\\\'\n", "(a) (b)\n2@6 [x'~|~y][\\]\n", 0},
    {"no escape said: quotes are doubled", "{\"escape\":\"\"}", "a\n\"x\"\"\"\n", "(a)\n2@2 [x\"]\n", 0},
};

static const Fixture lines[] = {
    {"skipped lines may have odd quotes", "{\"skipLines\":2}", "Report \"1\nx\"\",\"\na,b\n1,2\n", "(a) (b)\n4@20 [1][2]\n", 0},
    {"skipped lines with CR", "{\"skipLines\":1}", "Report\ra,b\r1,2\r", "(a) (b)\n3@11 [1][2]\n", 0},
    {"more lines skipped than there are", "{\"skipLines\":9}", "a,b\n1,2\n", "\n", 0},
    {"mark, then skipped lines", "{\"skipLines\":1}", "\xEF\xBB\xBFtitle\na,b\n1,2", "(a) (b)\n3@13 [1][2]\n", 0},
    {"footer", "{\"footerLines\":2}", "a,b\n1,2\n3,4\nTotal,\"2\nprinted today", "(a) (b)\n2@4 [1][2]\n3@8 [3][4]\n", 0},
    {"footer that ends with a line end", "{\"footerLines\":1}", "a,b\r\n1,2\r\n3,4\r\nTotal\r\n", "(a) (b)\n2@5 [1][2]\n3@10 [3][4]\n", 0},
    {"footer longer than the file", "{\"footerLines\":9}", "a,b\n1,2\n", "\n", 0},
    {"footer, CR", "{\"footerLines\":1,\"newline\":\"cr\"}", "a\r1\r2\rend", "(a)\n2@2 [1]\n3@4 [2]\n", 0},
    {"comments", "{\"comment\":\"#\"}", "# it's \"quoted\n#\na,b\n# 1,\"2\n#,x\n1,#2\n\"# no\",3\n #,4\n#last \"",
     "(a) (b)\n6@32 [1][#2]\n7@37 [# no][3]\n8@46 [ #][4]\n", 0},
    {"comments of two bytes, CR LF", "{\"comment\":\"//\",\"newline\":\"crlf\"}", "//\"\r\na,b\r\n/1,2\r\n// \"x\n\r\n3,4\r\n",
     "(a) (b)\n3@10 [/1][2]\n6@24 [3][4]\n", 0},
    {"two header lines", "{\"headerLines\":2}", "amount , ,\"key \"\nEUR,note\n1,2,3\n", "(amount EUR) (note) (key)\n3@26 [1][2][3]\n", 0},
    {"header of more lines than the file", "{\"headerLines\":3}", "a,b\nc,d\n", "(a c) (b d)\n", 0},
    {"empty and repeated names", NULL, "a,,a,a_2,a,\n1,2,3,4,5,6\n",
     "(a) (column2) (a_3) (a_2) (a_4) (column6)\n2@12 [1][2][3][4][5][6]\n", 0},
    {"blank lines are rows", "{\"blankLines\":\"rows\"}", "\n\nn\n\n1\n\"\"\n\r\n2\n\n",
     "(n)\n4@4 <null>\n5@5 [1]\n6@7 []\n7@10 <null>\n8@12 [2]\n9@14 <null>\n", 0},
    {"blank lines are rows: without a header from the first on", "{\"blankLines\":\"rows\",\"header\":false,\"nullStrings\":[\"-\"]}",
     "\n1\n-\n\n", "(column1)\n1@0 []\n2@1 [1]\n3@3 <null>\n4@5 []\n", 0},
    {"blank lines are rows of one field", "{\"blankLines\":\"rows\",\"newline\":\"cr\"}", "a,b\r\r1,2\r\r",
     "(a) (b)\n2@4 REJECT 22P04 row has 1 field, expected 2 {}\n3@5 [1][2]\n4@9 REJECT 22P04 row has 1 field, expected 2 {}\n", 0},
    {"which may be padded", "{\"blankLines\":\"rows\",\"shortRows\":\"pad\",\"columns\":[\"a\",\"b\"],\"header\":false}", "\n1,2\n",
     "(a) (b)\n1@0 <null><null>\n2@1 [1][2]\n", 0},
    {"blank lines are rows: no comments, no footer", "{\"blankLines\":\"rows\",\"comment\":\"#\",\"footerLines\":2}", "a\n#\n\n1\n\nend\n",
     "(a)\n3@4 <null>\n4@5 [1]\n", 0},
    {"header, skip, comment, footer at once", "{\"header\":true,\"skipLines\":1,\"comment\":\"--\",\"footerLines\":1}",
     "t\n-- c\nid\n\n--x\n7\n\nend\n", "(id)\n6@15 [7]\n", 0},
};

static const Fixture fields[] = {
    {"short rows", "{\"shortRows\":\"pad\"}", "a,b,c\n1\n1,\"\"\n1,2,3\n1,2,3,4\n",
     "(a) (b) (c)\n2@6 [1]<null><null>\n3@8 [1][]<null>\n4@13 [1][2][3]\n"
     "5@19 REJECT 22P04 row has 4 fields, expected 3 {1,2,3,4}\n", 0},
    {"long rows", "{\"longRows\":\"truncate\"}", "a,b\n1,2,3\n\"x,\",\"y\"\"\",\"z\"\n1\n",
     "(a) (b)\n2@4 [1][2]\n3@10 [x,][y\"]\n4@25 REJECT 22P04 row has 1 field, expected 2 {1}\n", 0},
    {"empty extra fields", "{\"longRows\":\"truncateEmpty\"}", "a,b\n1,2,\n1,2,\"\",\n1,2, \n",
     "(a) (b)\n2@4 [1][2]\n3@9 [1][2]\n4@17 REJECT 22P04 row has 3 fields, expected 2 {1,2, }\n", 0},
    {"empty extra fields, trimmed", "{\"longRows\":\"truncateEmpty\",\"trim\":\"unquoted\"}", "a,b\n1,2, \n1,2,\" \"\n",
     "(a) (b)\n2@4 [1][2]\n3@10 REJECT 22P04 row has 3 fields, expected 2 {1,2,\" \"}\n", 0},
    {"trim unquoted", "{\"trim\":\"unquoted\"}", " a ,b\n  1\t,\" 2 \"\n  ,x y \n", "(a) (b)\n2@6 [1][ 2 ]\n3@17 <null>[x y]\n", 0},
    {"trim all", "{\"trim\":\"all\",\"nullStrings\":[\"\",\"n/a\"]}", "a,\" b\"\n n/a ,\" 2\"\" \"\n\" n/a\",\" \"\n",
     "(a) (b)\n2@7 <null>[2\"]\n3@21 [n/a][]\n", 0},
    {"lenient: quotes inside fields", "{\"quotes\":\"lenient\"}", "a,b\nx\"y,6\" pipe\n\"say \"hi\" now\",\"\"\n\"a\"\"b\",\"c\"d\"\n",
     "(a) (b)\n2@4 [x\"y][6\" pipe]\n3@16 [say \"hi\" now][]\n4@34 [a\"b][c\"d]\n", 0},
    {"lenient: a quote closes only before the field's end", "{\"quotes\":\"lenient\"}", "a,b\n\"1\" ,2\",3\n\"4\"\r\n5\",6\r\n\"7\r\",\"8\"\n",
     "(a) (b)\n2@4 [1\" ,2][3]\n3@14 REJECT 22P04 row has 1 field, expected 2 {\"4\"}\n4@19 [5\"][6]\n5@25 [7\r][8]\n", 0},
    {"lenient: not closed", "{\"quotes\":\"lenient\"}", "a,b\n1,\"2 \"x\n3,4\n",
     "(a) (b)\n2@4 REJECT 22P04 quotes opened on line 2 are not closed by the end of the file; the row takes lines 2 to 3 {1,\"2 \"x\n3,4\n}\n", 0},
    {"lenient, another escape", "{\"quotes\":\"lenient\",\"escape\":\"\\\\\"}", "a,b\n\"x\"\"y\",\"\\\"\"\n", "(a) (b)\n2@4 [x\"\"y][\"]\n", 0},
    {"lenient, delimiter of two bytes", "{\"quotes\":\"lenient\",\"delimiter\":\";;\"}", "a;;b\n\"x\";y\";;\"z\"\n", "(a) (b)\n2@5 [x\";y][z]\n", 0},
    {"lenient, long", "{\"quotes\":\"lenient\"}",
     "a,b\n\"0123456789 \"quoted\" 0123456789 0123456789 0123456789 01234567890123456789\",\"x\"\n1,2\n",
     "(a) (b)\n2@4 [0123456789 \"quoted\" 0123456789 0123456789 0123456789 01234567890123456789][x]\n3@84 [1][2]\n", 0},
};

static const Fixture encodings[] = {
    {"LATIN1", "{\"encoding\":\"LATIN1\"}", "gr\xF6\xDF" "e,b\n\xE4\x80,\xFF\n", "(größe) (b)\n2@10 [ä\xC2\x80][ÿ]\n", 0},
    {"Windows-1252", "{\"encoding\":\"windows-1252\"}", "a,b\n\x80 5,\x93x\x94\n\x81,2\n",
     "(a) (b)\n2@4 [€ 5][“x”]\n3@18 [\\x81]!7[2]\n", 0},
    {"UTF-16LE with a mark", NULL, "\xFF\xFE" "a\0,\0b\0\n\0\xE4\0,\0\x3D\xD8\x00\xDE\n\0", "(a) (b)\n2@4 [ä][😀]\n", 20},
    {"UTF-16BE with a mark", "{\"encoding\":\"UTF-16\"}", "\xFE\xFF\0a\0,\0b\0\n\0\xE4\0,\0\x32\0\n", "(a) (b)\n2@4 [ä][2]\n", 18},
    {"UTF-16 without a mark", "{\"encoding\":\"UTF-16\"}", "a\0\n\0" "1\0\n\0", "(a)\n2@2 [1]\n", 8},
    {"UTF-16BE without a mark", "{\"encoding\":\"UTF-16\"}", "\0a\0\n\0" "1\0\n", "(a)\n2@2 [1]\n", 8},
    {"half a pair", "{\"encoding\":\"UTF-16LE\"}", "a\0,\0b\0\n\0\x3D\xD8,\0\x00\xDE\n\0x\0,\0y\0\x3D\xD8",
     "(a) (b)\n2@4 [\\xed\\xa0\\xbd]!7[\\xed\\xb8\\x80]!7\n3@12 [x][y\\xed\\xa0\\xbd]!7\n", 24},
    {"half a character", "{\"encoding\":\"UTF-16LE\"}", "a\0\n\0" "1\0\n\0x", "ERROR 22021 text ends in the middle of a character\n", 9},
    {"UTF-8's mark wins", "{\"encoding\":\"LATIN1\"}", "\xEF\xBB\xBF" "a\nä\n", "(a)\n2@5 [ä]\n", 0},
};

static void
check_all(const Fixture *all, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++)
        check_fixture(&all[i]);
}

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define CHECK(table) check_all(table, COUNT(table))

static bool
mentioned(const char *key, const Fixture *all, size_t n)
{
    char quoted[40];
    size_t i;

    snprintf(quoted, sizeof(quoted), "\"%s\"", key);
    for (i = 0; i < n; i++)
        if (all[i].options != NULL && strstr(all[i].options, quoted) != NULL)
            return true;
    return false;
}

/* Every option has a fixture, so that it was read in every way; limits and columns have theirs in test_csv.c, separators below. */
static void
check_every_option(void)
{
    static const char *const keys[] = {"delimiter", "quote", "escape", "newline", "header", "headerLines", "skipLines", "footerLines",
        "comment", "nullStrings", "trim", "blankLines", "shortRows", "longRows", "quotes", "encoding"};
    size_t i;

    for (i = 0; i < COUNT(keys); i++)
        ok(mentioned(keys[i], dialects, COUNT(dialects)) || mentioned(keys[i], lines, COUNT(lines)) ||
           mentioned(keys[i], fields, COUNT(fields)) || mentioned(keys[i], encodings, COUNT(encodings)), "%s has a fixture", keys[i]);
}

/* Typed columns: decimal comma, thousands. */
static void
check_numbers(void)
{
    static const ColumnSpec specs[] = {
        {.name = "i", .kind = COLUMN_INT4}, {.name = "n", .kind = COLUMN_NUMERIC},
        {.name = "f", .kind = COLUMN_FLOAT8, .coerce = true}, {.name = "t", .kind = COLUMN_TEXT},
    };
    static const int map[] = {0, 0, 0, 0};
    static const struct { const char *options, *cell, *want; } cases[] = {
        {"{\"decimalSeparator\":\",\",\"thousandsSeparator\":\".\",\"delimiter\":\";\"}", "1.234", "[1234][1234e-0][4653142004841054208][1.234]"},
        {"{\"decimalSeparator\":\",\",\"thousandsSeparator\":\".\",\"delimiter\":\";\"}", "-1.234.567,50", "[-1.234.567,50]!3[-123456750e-2][-4525318798097514496][-1.234.567,50]"},
        {"{\"decimalSeparator\":\",\",\"thousandsSeparator\":\".\",\"delimiter\":\";\"}", "1.23", "[1.23]!3[1.23]!3[1.23]!3[1.23]"},
        {"{\"decimalSeparator\":\",\",\"thousandsSeparator\":\".\",\"delimiter\":\";\"}", "1234.567", "[1234.567]!3[1234.567]!3[1234.567]!3[1234.567]"},
        {"{\"decimalSeparator\":\",\",\"delimiter\":\";\"}", "1.5", "[1.5]!3[1.5]!3[1.5]!3[1.5]"},
        {"{\"decimalSeparator\":\",\",\"delimiter\":\";\"}", "1,5", "[1,5]!3[15e-1][4609434218613702656][1,5]"},
        {"{\"decimalSeparator\":\",\",\"delimiter\":\";\"}", "7", "[7][7e-0][4619567317775286272][7]"},
        {"{\"decimalSeparator\":\",\",\"delimiter\":\";\"}", "abc", "[abc]!3[abc]!3[abc]!2[abc]"},
        {"{\"decimalSeparator\":\",\",\"delimiter\":\";\"}", "", "<null><null><null><null>"},
        {"{\"thousandsSeparator\":\" \"}", " 12 345", "[12345][12345e-0][4668012349850910720][ 12 345]"},
        {"{\"thousandsSeparator\":\"\xC2\xA0\"}", "12\xC2\xA0" "345", "[12345][12345e-0][4668012349850910720][12\xC2\xA0" "345]"},
        {"{\"thousandsSeparator\":\"'\"}", "1'2'3", "[1'2'3]!3[1'2'3]!3[1'2'3]!3[1'2'3]"},
        {"{\"decimalSeparator\":\",\",\"delimiter\":\";\"}", "1,5\xFF", "[1,5\\xff]!7[1,5\\xff]!7[1,5\\xff]!7[1,5\\xff]!7"},
    };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
    {
        DumpHow how = {.options = cases[i].options, .specs = specs, .map = map, .ncols = 4};
        char input[100], want[300], *got, *again;
        size_t n, at, wrong = 0;

        snprintf(input, sizeof(input), "a\n\"x\"\n%s\n\"\"\n", cases[i].cell);
        /* The lines around it make sure that the segment has more than one row. */
        if (cases[i].cell[0] == '\0')
            snprintf(input, sizeof(input), "a%c\n%c\n", how.options[21] == ',' ? ';' : ',', how.options[21] == ',' ? ';' : ',');
        snprintf(want, sizeof(want), "%s\n", cases[i].want);
        n = strlen(input);
        got = csv_dump(input, n, &how);
        ok(strstr(got, want) != NULL, "%s: %s gives %s", cases[i].options, cases[i].cell, cases[i].want);
        if (strstr(got, want) == NULL)
            printf("# got: %s\n", got);
        for (at = 1; at <= n; at++, free(again))
        {
            how.first = at;
            how.batch_rows = at % 2 + 1;
            again = csv_dump(input, n, &how);
            wrong += strcmp(again, got) != 0;
        }
        is_int((int64_t) wrong, 0, "the same split at every byte");
        free(got);
    }
}

/* What looks like a contradiction and is none. */
static void
check_taken(void)
{
    static const char *const good[] = {
        "{\"header\":false,\"columns\":[\"a\"]}", "{\"header\":true,\"headerLines\":1}", "{\"headerLines\":3}",
        "{\"quote\":\"\",\"escape\":\"\"}", "{\"quote\":\"\",\"quotes\":\"strict\"}", "{\"quote\":\"\",\"trim\":\"unquoted\"}",
        "{\"quote\":\"auto\",\"escape\":\"\\\\\"}", "{\"quote\":\"auto\",\"quotes\":\"lenient\"}",
        "{\"decimalSeparator\":\",\"}", "{\"thousandsSeparator\":\",\"}", "{\"quote\":\"\",\"delimiter\":\"auto\",\"decimalSeparator\":\",\"}",
        "{\"quote\":\"\",\"delimiter\":\",,\",\"decimalSeparator\":\",\"}", "{\"maxFieldBytes\":100000000}", "{\"maxRowBytes\":1000}",
    };
    size_t i;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
    {
        DumpHow how = {.options = good[i]};
        char *got = csv_dump("a\n", 2, &how);

        ok(strncmp(got, "OPTIONS", 7) != 0, "options %s are taken: %s", good[i], got);
        free(got);
    }
}

static void
check_refused(void)
{
    static const char *const bad[][2] = {
        {"{\"comment\":\"#\\n\"}", "invalid value \"#\n\" for format option \"comment\""},
        {"{\"newline\":\"LF\"}", "invalid value \"LF\" for format option \"newline\""},
        {"{\"trim\":\"yes\"}", "invalid value \"yes\" for format option \"trim\""},
        {"{\"blankLines\":\"pad\"}", "invalid value \"pad\" for format option \"blankLines\""},
        {"{\"shortRows\":\"truncate\"}", "invalid value \"truncate\" for format option \"shortRows\""},
        {"{\"longRows\":\"pad\"}", "invalid value \"pad\" for format option \"longRows\""},
        {"{\"quotes\":\"\"}", "invalid value \"\" for format option \"quotes\""},
        {"{\"skipLines\":-1}", "format option \"skipLines\" must be \"auto\" or a whole number from 0 to 1000000"},
        {"{\"footerLines\":10001}", "key \"footerLines\" of format must be between 0 and 10000, not 10001"},
        {"{\"headerLines\":0}", "key \"headerLines\" of format must be between 1 and 100, not 0"},
        {"{\"decimalSeparator\":\"5\"}", "invalid value \"5\" for format option \"decimalSeparator\""},
        {"{\"thousandsSeparator\":\".\"}", "format option \"thousandsSeparator\" must differ from \"decimalSeparator\""},
        {"{\"thousandsSeparator\":\"..\"}", "invalid value \"..\" for format option \"thousandsSeparator\""},
        {"{\"header\":false,\"headerLines\":1}", "format options \"headerLines\" and \"header\" contradict each other"},
        {"{\"header\":false,\"headerLines\":2}", "format options \"headerLines\" and \"header\" contradict each other"},
        {"{\"quote\":\"\",\"escape\":\"\\\\\"}", "format options \"escape\" and \"quote\" contradict each other"},
        {"{\"quote\":\"\",\"quotes\":\"lenient\"}", "format options \"quotes\" and \"quote\" contradict each other"},
        {"{\"quote\":\"'\",\"thousandsSeparator\":\"'\"}", "format options \"thousandsSeparator\" and \"quote\" contradict each other"},
        {"{\"decimalSeparator\":\"\\\"\"}", "format options \"decimalSeparator\" and \"quote\" contradict each other"},
        {"{\"quote\":\"\",\"decimalSeparator\":\",\"}", "format options \"decimalSeparator\" and \"delimiter\" contradict each other"},
        {"{\"quote\":\"\",\"thousandsSeparator\":\" \",\"delimiter\":\" \"}", "format options \"thousandsSeparator\" and \"delimiter\" contradict each other"},
        {"{\"maxFieldBytes\":100,\"maxRowBytes\":99}", "format options \"maxFieldBytes\" and \"maxRowBytes\" contradict each other"},
        {"{\"delimiter\":\"|\\\"|\"}", "format option \"delimiter\" must differ from \"quote\" and \"escape\""},
        {"{\"delimiter\":\"\\\\\",\"escape\":\"\\\\\"}", "format option \"delimiter\" must differ from \"quote\" and \"escape\""},
    };
    size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
    {
        DumpHow how = {.options = bad[i][0]};
        char *got = csv_dump("a\n", 2, &how);

        ok(strstr(got, bad[i][1]) != NULL && strncmp(got, "OPTIONS 22023", 13) == 0, "option %s: %s", bad[i][0], got);
        free(got);
    }
}

/* A footer in a file of several chunks: only it is held back. */
static void
check_long_footer(void)
{
    size_t rows = 60000, size = rows * 16 + 100, used = 0, i, seen = 0;
    char *text = malloc(size), *got, *p;
    DumpHow how = {.options = "{\"footerLines\":5000}"};

    used += (size_t) sprintf(text, "a\n");
    for (i = 0; i < rows; i++)
        used += (size_t) sprintf(text + used, "row %zu\n", i);
    got = csv_dump(text, used, &how);
    for (p = got; (p = strstr(p, "[row")) != NULL; p++)
        seen++;
    is_int((int64_t) seen, (int64_t) rows - 5000, "rows before a long footer");
    ok(strstr(got, "54999]\n") != NULL && strstr(got, "55000]") == NULL, "the last of them");
    free(got);
    free(text);
}

int
main(void)
{
    CHECK(dialects);
    CHECK(lines);
    CHECK(fields);
    CHECK(encodings);
    check_every_option();
    check_numbers();
    check_refused();
    check_taken();
    check_long_footer();
    return done();
}
