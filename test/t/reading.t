# Reading without a pipeline: kaireon.read as a scan that streams, stops and is
# cancelled; what bad cells and rows do; rights; preview, list_objects and
# test_connector.
#
# What infer_fields makes of columns is infer.t.
use strict;
use warnings;
use Kaireon;
use Test::More;
use Time::HiRes qw(time);

my $k = Kaireon->new('reading');
my $files = $k->files;

$k->sql("SELECT kaireon.create_connector('files', 'local_fs', " . $k->json({ basePath => $files }) . ')');

sub error_of
{
    my ($query) = @_;
    return $k->sql_error("\\set VERBOSITY verbose\n$query");
}

# ---- rows

$k->write_csv('a.csv', [qw(id name amount day doc)],
    [ 1, 'Ada', '1.50', '2024-01-01', '{"a": 1}' ], [ 2, undef, '2.5', '2024-01-02', '[1]' ], [ 3, 'Cy, Jr', '-3', '2024-01-03', undef ]);
my $a = "kaireon.read('files', 'a.csv')";
is($k->sql("SELECT * FROM $a AS t(id bigint, name text)"), "1|Ada\n2|\n3|Cy, Jr", 'rows, by the names of the list');
is($k->sql("SELECT * FROM $a AS t(amount numeric(8,1), id text)"), "1.5|1\n2.5|2\n-3.0|3", 'any order, any types, type modifiers');
is($k->sql("SELECT doc ->> 'a', day + 1 FROM $a AS t(doc jsonb, day date) WHERE doc IS NOT NULL"), "1|2024-01-02\n|2024-01-03",
    'types the reader has no converter for');
is($k->sql("SELECT count(*) FROM $a AS t(id int)"), 3, 'no column at all is needed');
is($k->sql("SELECT name FROM $a AS t(id int, name text) WHERE id > 1 ORDER BY id DESC"), "Cy, Jr\n", 'conditions');
is($k->sql("SELECT t FROM $a AS t(id int, name text) WHERE id < 3"), "(1,Ada)\n(2,)", 'the whole row');
is($k->sql("SELECT row_to_json(t) FROM $a AS t(id int, day date) LIMIT 1"), '{"id":1,"day":"2024-01-01"}', 'its names and types');
is($k->sql("SELECT _source, _line FROM $a AS t(_source text, _line bigint)"), "a.csv|2\na.csv|3\na.csv|4", 'pseudo-columns');
is($k->sql("SELECT b.name FROM $a AS t(id int) JOIN $a AS b(id int, name text) USING (id) WHERE id = 1"), 'Ada', 'a join with itself');
is($k->sql("SELECT f, id FROM (VALUES ('a.csv'), ('a.csv')) v(f), LATERAL kaireon.read('files', f) AS x(id int) WHERE id < 3"),
    "a.csv|1\na.csv|2\na.csv|1\na.csv|2", 'LATERAL arguments start it anew');
is($k->sql("SELECT (SELECT count(*) FROM kaireon.read('files', v.f) AS x(id int)) FROM (VALUES ('a.csv'), ('a.csv')) v(f)"), "3\n3",
    'in a correlated subquery');
is($k->sql("SELECT id FROM $a AS t(id int) UNION ALL SELECT id FROM $a AS t(id int) ORDER BY 1 LIMIT 3"), "1\n1\n2", 'UNION ALL');
is($k->sql("PREPARE p(text) AS SELECT count(*) FROM kaireon.read('files', \$1) AS t(id int);\n"
      . join("\n", ("EXECUTE p('a.csv');") x 7)), join("\n", (3) x 7), 'prepared, with a generic plan too');
is($k->sql("CREATE VIEW v AS SELECT * FROM $a AS t(id int, name text); SELECT max(id) FROM v"), 3, 'a view');
is($k->sql("BEGIN; DECLARE c SCROLL CURSOR FOR SELECT id FROM $a AS t(id int); FETCH 2 FROM c; FETCH PRIOR FROM c; COMMIT"),
    "1\n2\n1", 'a scrolling cursor');
is($k->sql("SELECT count(*) FROM kaireon.read('files', 'none*.csv') AS t(id int)"), 0, 'a pattern that matches nothing');
$k->write_csv('b.csv', [qw(name id)], [ 'Dot', 4 ]);
is($k->sql("SELECT id FROM kaireon.read('files', '[ab].csv') AS t(id int)"), "1\n2\n3\n4", 'several files, each by its own header');

# More fields than a reader gives at once: those that are named are read.
$k->write_csv('wide.csv', [ map { "c$_" } 1 .. 2000 ], [ 1 .. 2000 ], [ 2 .. 2001 ]);
is($k->sql("SELECT * FROM kaireon.read('files', 'wide.csv') AS t(c1 int, c1999 int, c2000 text)"), "1|1999|2000\n2|2000|2001", 'a wide file: some of its columns');
my $list = join(', ', map { "c$_ int" } 401 .. 2000);
is($k->sql("SELECT (t).c401, (t).c2000 FROM kaireon.read('files', 'wide.csv') AS t($list) LIMIT 1"), '401|2000', 'as many as a list may have');
{
    my ($code, $out, $err) = $k->node->psql('postgres', "SELECT (SELECT count(*) FROM jsonb_object_keys(p)), p ->> 'c1600' FROM kaireon.preview('files', 'wide.csv') AS p");
    is($out, "1600|1600\n1600|1601", 'preview shows the first 1600');
    like($err, qr/NOTICE:  file "wide\.csv" has 2000 fields, of which the first 1600 are shown.*HINT:.*kaireon\.describe/s, 'and says so');
    $k->make('wide', fields => [ { name => 'c2', dataType => 'integer' }, { name => 'c2000', dataType => 'integer' } ], source => { resource => 'wide.csv' },
        nodes => [ { id => 'f', type => 'filter', config => { field => 'c1999', operator => '>', value => 1999 } } ]);
    is($k->run('wide')->{status} . ' ' . $k->sql('SELECT c2, c2000 FROM ds_wide'), 'success 3|2001', 'a pipeline that needs some');
    my $sum = join(' || ', map { "c$_" } 1 .. 1601);
    like($k->sql_error("SELECT kaireon.create_pipeline('wider', 'files', 'wide', "
          . $k->json([ { id => 'r', type => 'source', config => {} }, { id => 'x', type => 'add_field', config => { fieldName => 'x', fieldType => 'text', expression => $sum } },
              { id => 't', type => 'target', config => {} } ]) . ')'), qr/the pipeline uses more than 1600 fields of its source/, 'one that needs too many');
    $k->sql("SELECT kaireon.delete_pipeline('wide'), kaireon.delete_schema('wide')");
    unlink "$files/wide.csv";
}

# Names that are longer than an identifier: the server cuts them.
$k->write_csv('long.csv', [ 'x' x 60 . 'abcd', 'a' . "\x{c3}\x{a9}" x 32, 'y' x 70 . '1', 'y' x 70 . '2', 'z' x 63, 'z' x 64 ], [ 1 .. 6 ]);
my $long_list = join(', ', map { "\"$_\" int" } 'x' x 60 . 'abcd', 'a' . "\x{c3}\x{a9}" x 32, 'z' x 63);
is($k->sql("SELECT * FROM kaireon.read('files', 'long.csv') AS t($long_list)"), '1|2|5',
    'a field of a long name: by what the server leaves of it, the very name first');
like(error_of("SELECT * FROM kaireon.read('files', 'long.csv') AS t(\"${\ ('y' x 70 . '1')}\" int)"),
    qr/42702: source has more than one field whose name begins with "y{63}"\n.*HINT:.*"columns"/s, 'where several begin with it');
like(error_of("SELECT * FROM kaireon.read('files', 'long.csv') AS t(\"${\ ('x' x 62)}\" int)"), qr/42703: source has no field/, 'no prefix, and no shorter name');
unlink "$files/long.csv";

# ---- what goes wrong

like(error_of("SELECT kaireon.read('files', 'a.csv')"), qr/0A000.*HINT.*SELECT \* FROM kaireon\.read/s, 'in a select list');
like(error_of("SELECT * FROM ROWS FROM ($a AS (id int)) WITH ORDINALITY"), qr/0A000/, 'with ordinality');
like(error_of("SELECT * FROM $a AS t(id int, nmae text)"), qr/42703: source has no field "nmae".*id, name, amount, day, doc/s,
    'an unknown name lists the fields');
like(error_of("SELECT * FROM kaireon.read('filez', 'a.csv') AS t(id int)"), qr/42704.*Perhaps you meant "files"/s, 'unknown connector');
like(error_of("SELECT * FROM kaireon.read(NULL, 'a.csv') AS t(id int)"), qr/22004/, 'no connector');
like(error_of("SELECT * FROM kaireon.read('files', 'a.csv', '{\"delimitr\": \";\"}') AS t(id int)"),
    qr/22023: unknown key "delimitr".*delimiter/s, 'unknown option');
like(error_of("SELECT * FROM kaireon.read('files', 'a.csv', '{\"onError\": \"ignore\"}') AS t(id int)"), qr/22023.*fail, null, skip/s,
    'unknown value');
like(error_of("SELECT * FROM kaireon.read('files', 'a.csv', '[]') AS t(id int)"), qr/22023/, 'options that are no object');

$k->write_file('bad.csv', "id,amount,doc\n1,1.5,{}\n2,many,{}\n3,3,{oops\n4,4,{},x\n5,5,[]\n");
my $bad = sub { my ($rule) = @_; return "kaireon.read('files', 'bad.csv', '{\"onError\": \"$rule\"}')"; };
like(error_of('SELECT * FROM ' . $bad->('fail') . ' AS t(id int, amount numeric)'),
    qr/22P02: invalid input syntax for type numeric: "many"\nDETAIL:  File "bad\.csv", line 3, field "amount": "many"\./,
    'fail: SQLSTATE, file, line, field, value');
like(error_of('SELECT * FROM ' . $bad->('fail') . ' AS t(id int, doc jsonb)'), qr/22P02.*File "bad\.csv", line 4, field "doc": "\{oops"/s,
    'fail: from an input function of the server');
like(error_of('SELECT id FROM ' . $bad->('fail') . ' AS t(id int)'), qr/File "bad\.csv", line 5: "4,4,\{\},x"/, 'fail: a row of too many fields');
is($k->sql('SELECT * FROM ' . $bad->('fail') . ' AS t(id int, amount numeric) LIMIT 1'), '1|1.5', 'fail: not before the row is reached');
is($k->sql('SELECT * FROM ' . $bad->('null') . ' AS t(id int, amount numeric, doc jsonb)'), "1|1.5|{}\n2||{}\n3|3|\n5|5|[]",
    'null: cells become null, rows that are none are left out');
is($k->sql('SELECT * FROM ' . $bad->('skip') . ' AS t(id int, amount numeric, doc jsonb)'), "1|1.5|{}\n5|5|[]", 'skip: the row is left out');
my ($code, $out, $err) = $k->node->psql('postgres', 'SELECT count(amount) FROM ' . $bad->('null') . ' AS t(id int, amount numeric, doc jsonb)');
like($err, qr/NOTICE:  left out 1 row and read 1 cell as null that could not be converted.*line 3, field "amount": "many"/s, 'a notice counts and shows the first');

$k->write_file('bare.csv', "1,2\n3,4\n");
like(error_of("SELECT * FROM kaireon.read('files', 'bare.csv') AS t(a int)"), qr/42703: .*Its fields: column1, column2\..*HINT:  The file was taken to have no header.*"columns"/s,
    'a file without a header says so');
$k->write_file('bare.csv', "a,b\n1,\xFF\n");
like(error_of("SELECT * FROM kaireon.read('files', 'bare.csv') AS t(b text)"), qr/22021: .*HINT:.*"encoding": "WINDOWS-1252"/s, 'bytes of another encoding: a hint');
$k->write_file('bare.csv', "PK\x03\x04....");
like(error_of("SELECT * FROM kaireon.read('files', 'bare.csv') AS t(b text)"), qr/22P04: zip data ends early/, 'the beginning of an archive is no CSV');
unlink "$files/bare.csv";
$k->write_file('cr.csv', "a,b\n1,x\n2,y\x01\rz\n");
like(error_of("SELECT * FROM kaireon.read('files', 'cr.csv') AS t(a int)"),
    qr/22P04: unquoted carriage return in field 2,.*"newline": "lf".*\nDETAIL:  File "cr\.csv", line 3: "2,y\\x01\\rz"\.\n/, 'a CR that ends no line: control characters are shown escaped');
unlink "$files/cr.csv";

# Blank lines of a file with one column are nulls where COPY made it.
$k->sql("COPY (VALUES ('a'), (NULL), (''), ('b'), (NULL)) TO '$files/blank.csv' (FORMAT csv, HEADER); CREATE TABLE copied (column1 text); COPY copied FROM '$files/blank.csv' (FORMAT csv, HEADER)");
is($k->sql("SELECT column1 IS NULL, column1, _line FROM kaireon.read('files', 'blank.csv', '{\"blankLines\": \"rows\"}') AS t(column1 text, _line int)"),
    "f|a|2\nt||3\nf||4\nf|b|5\nt||6", 'blank lines as rows');
is($k->sql("SELECT count(*) FROM (SELECT * FROM copied EXCEPT ALL SELECT * FROM kaireon.read('files', 'blank.csv', '{\"blankLines\": \"rows\"}') AS t(column1 text)) d"), 0, 'as COPY reads them');
is($k->sql("SELECT count(*) FROM kaireon.read('files', 'blank.csv') AS t(column1 text)"), 3, 'else they are left out');
$k->make('blank', fields => [ { name => 'column1', dataType => 'text' } ], source => { resource => 'blank.csv', blankLines => 'rows' });
is($k->run('blank')->{status} . ' ' . $k->sql('SELECT count(*), count(column1) FROM ds_blank'), 'success 5|3', 'a pipeline, too');
$k->sql("SELECT kaireon.delete_pipeline('blank'), kaireon.delete_schema('blank'); DROP TABLE copied");
unlink "$files/blank.csv";

# ---- plans

my $plan = $k->sql("EXPLAIN (COSTS OFF) SELECT id FROM kaireon.read('files', 'a.csv', '{\"delimiter\": \",\"}') AS t(id int, name text) WHERE id > 1");
is($plan, "Custom Scan (KaireonRead)\n  Filter: (id > 1)\n  Connector: files\n  Resource: a.csv\n  Options: {\"delimiter\": \",\"}\n"
      . '  Columns: id integer', 'EXPLAIN shows what is read');
like($k->sql("EXPLAIN (ANALYZE) SELECT id FROM $a AS t(id int)"), qr/Rows Read: 3\n.*Bytes Read: ${\ -s "$files\/a.csv"}\n/s, 'EXPLAIN ANALYZE counts');
$k->sql("CREATE TABLE big AS SELECT g AS id FROM generate_series(1, 200000) g; ALTER TABLE big SET (parallel_workers = 2); ANALYZE big");
is($k->sql("SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SELECT count(*) FROM big JOIN $a AS t(id int) USING (id)"), 3,
    'beside a table that could be scanned in parallel');

# A row that is joined is looked at again after another session has changed its partner.
$k->sql("CREATE TABLE acc (id int PRIMARY KEY, n int); INSERT INTO acc VALUES (1, 0), (2, 0)");
my $one = $k->session;
my $two = $k->session;
$one->query('BEGIN; UPDATE acc SET n = n + 10 WHERE id = 1');
$two->send("UPDATE acc SET n = acc.n + length(t.name) FROM $a AS t(id int, name text) WHERE acc.id = t.id AND acc.id = 1");
$k->poll('the second update to wait', "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pid = " . $two->pid . ')');
$one->query('COMMIT');
$two->result;
is($two->err, '', 'an update that waited for another');
is($k->sql('SELECT n FROM acc WHERE id = 1'), 13, 'sees the new row and its own source row');
$_->close for $one, $two;

$k->sql("CREATE DOMAIN pos AS int NOT NULL CHECK (VALUE > 0)");
is($k->sql("SELECT sum(id) FROM $a AS t(id pos)"), 6, 'a domain');
like($k->sql_error("SELECT name FROM $a AS t(name pos) OFFSET 1"), qr/invalid input syntax for type integer: "Ada"/, 'that a value does not fit');
$k->write_csv('null.csv', [qw(id n)], [ 1, undef ]);
like($k->sql_error("SELECT n FROM kaireon.read('files', 'null.csv') AS t(n pos)"), qr/domain pos does not allow null values/, 'or a null (more in domains.t)');
unlink "$files/null.csv";
$k->sql("CREATE TABLE merged (id int PRIMARY KEY, name text); INSERT INTO merged VALUES (1, 'x'), (9, 'y')");
$k->sql("MERGE INTO merged m USING $a AS t(id int, name text) ON m.id = t.id WHEN MATCHED THEN UPDATE SET name = t.name"
      . " WHEN NOT MATCHED THEN INSERT VALUES (t.id, t.name)");
is($k->sql('SELECT * FROM merged ORDER BY id'), "1|Ada\n2|\n3|Cy, Jr\n9|y", 'MERGE');

# ---- streaming

my $rows = 400_000;
my $big = $k->write_rows('big.csv', $rows, sub { "$_[0],name $_[0],some more text that makes the row longer" }, 'id,name,rest');
is($k->sql("SELECT sum(id), count(rest) FROM kaireon.read('files', 'big.csv') AS t(id bigint, rest text)"),
    $rows * ($rows + 1) / 2 . "|$rows", 'a big file, whole');
$plan = $k->sql("EXPLAIN (ANALYZE) SELECT * FROM kaireon.read('files', 'big.csv') AS t(id bigint) LIMIT 10");
like($plan, qr/Rows Read: 10\n/, 'LIMIT: no more rows are looked at');
my ($bytes) = $plan =~ /Bytes Read: (\d+)/;
cmp_ok($bytes, '<', (-s $big) / 10, "LIMIT: only the beginning of the file is read ($bytes bytes)");
is($k->sql("SELECT count(*) FROM kaireon.read('files', 'big.csv', '{\"rowLimit\": 5}') AS t(id bigint)"), 5, 'rowLimit');
my $session = $k->session;
$session->query("SELECT sum(id) FROM kaireon.read('files', 'big.csv') AS t(id bigint, rest text)");
cmp_ok($session->query('SELECT sum(total_bytes) FROM pg_backend_memory_contexts'), '<', 20_000_000, 'nothing of it stays in memory');

# Cancelled in the middle: the session goes on, without reader and without leaks.
for my $i (1 .. 3)
{
    $session->send("SELECT count(*) FROM generate_series(1, 1000) g, LATERAL kaireon.read('files', 'big.csv', CASE WHEN g > 0 THEN jsonb '{}' END) AS t(id bigint)");
    $k->poll('its reader', sub { return scalar(Kaireon::children($session->pid)); });
    my $from = time;
    $k->sql('SELECT pg_cancel_backend(' . $session->pid . ')');
    $session->result;
    like($session->err, qr/57014/, sprintf('cancelled (%.0f ms with the call of psql)', (time - $from) * 1000));
}
is(scalar(Kaireon::children($session->pid)), 0, 'no reader is left');
$session->query("CREATE FUNCTION pg_temp.tries(n int) RETURNS int LANGUAGE plpgsql AS \$\$ DECLARE failed int := 0; BEGIN FOR i IN 1 .. n LOOP BEGIN "
      . "PERFORM count(amount) FROM " . $bad->('fail') . " AS t(id int, amount numeric); EXCEPTION WHEN invalid_text_representation THEN failed := failed + 1; "
      . "END; END LOOP; RETURN failed; END \$\$");
is($session->query('SELECT pg_temp.tries(3)') . $session->err, 3, 'errors that are caught');
my $fds = sub { my @all = glob '/proc/' . $session->pid . '/fd/*'; return scalar(@all); };
my $before = $fds->();
is($session->query('SELECT pg_temp.tries(50)'), 50, 'many of them');
is($fds->(), $before, 'leave no descriptor open');
$session->close;

# ---- rights

$k->sql('CREATE ROLE owner LOGIN; CREATE ROLE member LOGIN IN ROLE owner; CREATE ROLE stranger LOGIN; CREATE ROLE nobody LOGIN;'
      . 'GRANT kaireon_admin TO owner, stranger');
$k->sql("SET ROLE owner; SELECT kaireon.create_connector('theirs', 'local_fs', " . $k->json({ basePath => $files }) . ')');
my $theirs = "SELECT count(*) FROM kaireon.read('theirs', 'a.csv') AS t(id int)";
is($k->sql("SET ROLE owner; $theirs"), 3, 'the owner reads');
is($k->sql("SET ROLE member; $theirs"), 3, 'so does a member of its role');
like(error_of("SET ROLE stranger; $theirs"), qr/42501: must be owner of connector "theirs"/, 'others do not');
like(error_of("SET ROLE nobody; $theirs"), qr/42501/, 'nor who may not call the function');
like($k->sql_error("GRANT USAGE ON SCHEMA kaireon TO nobody; SET ROLE nobody; $theirs"), qr/permission denied for function read/,
    'the right to call it is checked though it is never called');
for my $call ("kaireon.preview('theirs', 'a.csv')", "kaireon.infer_fields('theirs', 'a.csv')", "kaireon.describe('theirs', 'a.csv')",
    "kaireon.list_objects('theirs')", "kaireon.test_connector('theirs')")
{
    like(error_of("SET ROLE stranger; SELECT $call"), qr/42501: must be owner/, "$call needs the owner's rights");
}

# ---- the others

is($k->sql("SELECT kaireon.preview('files', 'a.csv', max_rows => 1)"),
    '{"id": "1", "day": "2024-01-01", "doc": "{\"a\": 1}", "name": "Ada", "amount": "1.50"}', 'preview: every field as text');
is($k->sql("SELECT count(*) FROM kaireon.preview('files', 'big.csv')"), 20, 'preview: 20 rows');
is($k->sql("SELECT count(*) FROM kaireon.preview('files', 'bad.csv')"), 4, 'preview: rows that are none are left out');
$k->write_file('found.csv', "Sales of May\n\nname;price\nAda;1,50\nBo;2,75\nCy;3,00\n");
my $auto = '{"delimiter": "auto"}';
($code, $out, $err) = $k->node->psql('postgres', "SELECT kaireon.preview('files', 'found.csv', '$auto', 1)");
is($out, '{"name": "Ada", "price": "1,50"}', 'preview: as it was found out to be written');
like($err, qr/INFO:  file "found\.csv": semicolon.*Confidence [01]\.\d\d\./s, 'preview: says what was found, why and how sure it is');
is($k->sql("SELECT d -> 'dialect' ->> 'delimiter', d -> 'dialect' ->> 'skipLines', d ->> 'reason', (d ->> 'confidence')::float8 > 0.5"
        . " FROM kaireon.describe('files', 'found.csv', '$auto') AS d"),
    ';|2|semicolon: 4 of 5 rows have 2 fields; comma would give 2, but less plain fields, like "Bo;2"; the table begins on line 3. Header: the first row names what is below it|t',
    'describe: the same');
$k->write_file('found.csv', "name,price\nAda,1,\nBo\nCy,3\n");
($code, $out, $err) = $k->node->psql('postgres', "SELECT kaireon.preview('files', 'found.csv', max_rows => 1)");
like($err, qr/NOTICE:  1 of the first 3 rows of file "found\.csv" has fewer than its 2 fields\nHINT:  With "shortRows": "pad" the fields they lack are null\.\n.*/, 'preview: rows that are too short');
like($err, qr/NOTICE:  1 of the first 3 rows of file "found\.csv" has more than its 2 fields\nHINT:  With "longRows": "truncateEmpty" they are read without the further fields, which are empty\.\n/, 'preview: too long');
is($k->sql("SELECT d -> 'sample', d #> '{dialect,sample}' FROM kaireon.describe('files', 'found.csv') AS d"),
    '{"rows": 3, "advice": {"longRows": "truncateEmpty", "shortRows": "pad"}, "badRows": 2, "longRows": 1, "shortRows": 1}|', 'describe: the same');
($code, $out, $err) = $k->node->psql('postgres', "SELECT kaireon.infer_fields('files', 'found.csv', kaireon.describe('files', 'found.csv') #> '{sample,advice}')");
is($err, '', 'the advice leaves nothing to advise');
$k->write_file('found.csv', "name,price\nAda,1\nBo,2\n\nTotal: 3\n");
($code, $out, $err) = $k->node->psql('postgres', "SELECT kaireon.infer_fields('files', 'found.csv')");
like($err, qr/NOTICE:  1 of the first 3 rows of file "found\.csv" has fewer than its 2 fields\nHINT:  What stands behind the table is left out with "footerLines": 1; with "shortRows": "pad" it is read, too\./, 'infer_fields: what stands behind the table');
unlink "$files/found.csv";
is($k->sql("SELECT kaireon.describe('files', 'a.csv') -> 'fields'"), '["id", "name", "amount", "day", "doc"]', 'describe: fields');
is($k->sql("SELECT kaireon.describe('files', 'a.csv') -> 'dialect' ->> 'delimiter'"), ',', 'describe: dialect');
is($k->sql("SELECT kaireon.describe('files', 'none*') IS NULL"), 't', 'describe: nothing there');
is($k->sql("SELECT path, size FROM kaireon.list_objects('files', 'a*')"), 'a.csv|' . -s "$files/a.csv", 'list_objects: a pattern');
is($k->sql("SELECT count(*) FROM kaireon.list_objects('files') WHERE modified_at > now() - interval '1 hour'"), 4, 'list_objects: the base');
like(error_of("SELECT * FROM kaireon.list_objects('files', 'missing.csv')"), qr/58P01/, 'list_objects: a name that is not there');

is($k->sql("SELECT ok, latency_ms > 0, message, details FROM kaireon.test_connector('files')"),
    't|t|connected; 4 objects at the base|{"names": ["a.csv", "b.csv", "bad.csv", "big.csv"], "folders": 0, "objects": 4}', 'test_connector: fine');
mkdir "$files/$_" for 'folders', 'folders/daily', 'folders/weekly', 'folders/.hidden', 'folders/none';
$k->sql("SELECT kaireon.create_connector('$_', 'local_fs', " . $k->json({ basePath => "$files/$_" }) . ')') for 'folders', 'folders/none';
is($k->sql("SELECT message, details FROM kaireon.test_connector('folders')"),
    'connected; no objects and 3 folders at the base|{"names": ["daily/", "none/", "weekly/"], "folders": 3, "objects": 0}', 'test_connector: folders alone');
is($k->sql("SELECT message, details FROM kaireon.test_connector('folders/none')"), 'connected; there is nothing at the base|{"names": [], "folders": 0, "objects": 0}', 'test_connector: nothing');
PostgreSQL::Test::Utils::append_to_file("$files/folders/none/$_.csv", '') for 1 .. 1001;
like($k->sql("SELECT message FROM kaireon.test_connector('folders/none')"), qr/^connected; at least 1000 objects at the base$/, 'test_connector: of many it looks at some');
PostgreSQL::Test::Utils::system_or_bail('rm', '-r', "$files/folders");
is($k->sql("SELECT status, last_tested_at IS NOT NULL, last_error IS NULL FROM kaireon.connectors WHERE name = 'files'"), 'connected|t|t',
    'test_connector: kept');
$k->sql("SELECT kaireon.create_connector('gone', 'local_fs', " . $k->json({ basePath => "$files/gone" }) . ')');
is($k->sql("SELECT ok, details ->> 'sqlstate', details ->> 'hint' FROM kaireon.test_connector('gone')"), "f|58P01|It is the connector's basePath, which has to be a directory; upper and lower case count.", 'test_connector: a failure is a result');
is($k->sql("SELECT status, last_error LIKE '%does not exist' FROM kaireon.connectors WHERE name = 'gone'"), 'error|t', 'test_connector: kept too');
is($k->sql("BEGIN READ ONLY; SELECT ok FROM kaireon.test_connector('files'); COMMIT"), 't', 'test_connector: in a transaction that only reads');
is($k->sql("SELECT ok FROM kaireon.test_connector('local_fs', " . $k->json({ basePath => $files }) . ')'), 't', 'test_connector: before it is made');
is($k->sql("SELECT ok, details ->> 'sqlstate' FROM kaireon.test_connector('local_fs', '{\"basePath\": \"/etc\"}')"), 'f|42501',
    'test_connector: outside of the roots');
is($k->sql("SELECT ok, details ->> 'sqlstate' FROM kaireon.test_connector('local_fs', '{\"path\": \"/etc\"}')"), 'f|22023',
    'test_connector: a wrong key');
like(error_of("SELECT kaireon.test_connector('nope')"), qr/42704/, 'test_connector: unknown');

# A value means the same in every session.
$k->write_csv('moments.csv', [ 'id', 'at' ], [ 1, '2024-06-01 12:00:00' ], [ 2, '06/01/2024 12:00:00' ], [ 3, 'Jun 1 2024 12:00' ]);
is($k->sql("SET timezone = 'Asia/Tokyo'; SET datestyle = 'SQL, DMY'; SELECT count(DISTINCT at), min(extract(epoch FROM at))::bigint"
        . " FROM kaireon.read('files', 'moments.csv') AS t (id int, at timestamptz)"), '1|1717243200',
    'time zone and date style of the session change nothing');
is($k->sql("SET timezone = 'Asia/Tokyo'; SELECT min(extract(epoch FROM at))::bigint FROM kaireon.read('files', 'moments.csv',"
        . " '{\"timestampFormat\": \"YYYY-MM-DD HH24:MI:SS\", \"rowLimit\": 1}') AS t (id int, at timestamptz)"), '1717243200',
    'nor with a format of its own');
like(error_of("SELECT * FROM kaireon.read('files', 'moments.csv', '{\"dateFormat\": \"garbage\"}') AS t (id int)"), qr/22023.*needs a year/s,
    'a date format without a year');
like(error_of("SELECT * FROM kaireon.read('files', 'moments.csv', '{\"comment\": \",\"}') AS t (id int)"), qr/22023.*must not begin with/s,
    'a comment that begins like a row');

is(scalar($k->readers), 0, 'no reader is left');
ok($k->same_postmaster, 'the server lived through');
done_testing();
