# JSON and JSON Lines through the server: pipelines, rejects, dead letters and
# their replay, kaireon.read, preview, describe and infer_fields, options.
use strict;
use warnings;
use IO::Compress::Gzip qw(gzip);
use Kaireon;
use Test::More;

my $k = Kaireon->new('json');
my @fields = (
    { name => 'id', dataType => 'bigint', isPrimaryKey => \1 }, { name => 'name', dataType => 'varchar', length => 10 },
    { name => 'amount', dataType => 'numeric' }, { name => 'active', dataType => 'boolean' }, { name => 'tags', dataType => 'json' }, { name => 'seen', dataType => 'timestamptz' });
my @dlq = (execution => { errorHandling => 'dlq' });

sub lines { return join('', map { "$_\n" } @_); }

# read(FILE, COLUMNS, OPTIONS, WHAT)
sub read_sql { my ($file, $columns, $options, $what) = @_; return 'SELECT ' . ($what || '*') . " FROM kaireon.read('files', '$file', " . $k->json($options || {}) . ") AS t($columns)"; }

# ---- pipelines

my @good = ('{"id":1,"name":"Ann","amount":12345678901234567890.123456789,"active":true,"tags":["a", {"b": 1.0}],"seen":"2026-01-02T03:04:05Z"}',
    '{"seen":null,"tags":"x\"y","active":"no","amount":1e3,"name":"B\u00e9\ud83d\ude00","id":"2"}', '{"id":3,"other":{"x":1}}');
my @bad = ('{"id":4,"name":"too long a name"}', '{"id":1.0}', '{"id":6,"name":"x\u0000"}', '{"id":7,"tags":{"a":"\ud800"}}', '{"id":8', '[9]', '{"id":10,}', '{"id":1,"name":"again"}');
$k->write_file('a.jsonl', lines($good[0], '', $good[1], @bad, $good[2]));
$k->make('a', fields => \@fields, source => { resource => 'a.jsonl' }, @dlq);
my $run = $k->run('a');
is(join('|', map { $run->{$_} } qw(status rows_read rows_loaded rows_failed rows_skipped)), 'partial|11|3|0|8', 'good lines are loaded, bad ones left');
is($k->sql("SELECT concat_ws('|', id, name, amount, active, tags, seen AT TIME ZONE 'UTC') FROM ds_a ORDER BY id"),
    qq(1|Ann|12345678901234567890.123456789|t|["a", {"b": 1.0}]|2026-01-02 03:04:05\n2|B\x{c3}\x{a9}\x{f0}\x{9f}\x{98}\x{80}|1000|f|"x\\"y"\n3),
    'values: big numbers are exact, strings say what they say, nested values and strings are JSON in a json column, absent keys are null');
is($k->sql("SELECT string_agg(concat_ws(' ', line, kind, field, sqlstate), E'\\n' ORDER BY line) FROM kaireon.dead_letters WHERE pipeline = 'a'"),
    join("\n", '4 record name 22001', '5 record id 22P02', '6 raw name 22P05', '7 raw tags 22P02', '8 raw 22P04', '9 raw 22P04', '10 raw 22P04', '11 record id 23505'), 'a dead letter for each of the others');
is($k->sql("SELECT record FROM kaireon.dead_letters WHERE pipeline = 'a' AND line = 4"), '{"id": 4, "name": "too long a name"}', 'a record is the object');
is($k->sql("SELECT record #>> '{}' FROM kaireon.dead_letters WHERE pipeline = 'a' AND line = 8"), '{"id":8', 'what is none is its text');
like($k->sql("SELECT reason FROM kaireon.dead_letters WHERE pipeline = 'a' AND line = 10"), qr/^invalid JSON at line 10, column 10, path \$: a key in quotes is expected/, 'and the reason has line, column and path');

sub edit { my ($line, $record) = @_; return $k->sql("SELECT kaireon.edit_dead_letter(id, '$record') FROM kaireon.dead_letters WHERE pipeline = 'a' AND line = $line"); }

is(edit(4, '{"name": "short", "tags": {"n": [1, 2]}}'), '{"id": 4, "name": "short", "tags": {"n": [1, 2]}}', 'fields are edited and added, with values of any kind');
is(edit(5, '{"id": 5}'), '{"id": 5}', 'a number stays one');
is(edit(8, '{"id": 8, "active": true}'), '{"id": 8, "active": true}', 'an object in place of a broken line');
is(edit(10, '"{\"id\":10,\n\"amount\":1.5}"'), '"{\"id\":10,\n\"amount\":1.5}"', 'a text in its place');
$run = ($k->rows("SELECT * FROM kaireon.replay_dead_letters('a')"))[0];
is(join('|', map { $run->{$_} } qw(status rows_read rows_loaded rows_skipped)), 'partial|8|4|4', 'a replay loads what was mended') or diag explain $run;
is($k->sql("SELECT string_agg(concat_ws('|', id, name, amount, active, tags), E'\\n' ORDER BY id) FROM ds_a WHERE id > 3"), qq(4|short|{"n": [1, 2]}\n5\n8|t\n10|1.5), 'as it is now');
is($k->sql("SELECT string_agg(concat_ws(' ', line, sqlstate, attempts), ', ' ORDER BY line) FROM kaireon.dead_letters WHERE pipeline = 'a'"),
    '6 22P05 1, 7 22P02 1, 9 22P04 1, 11 23505 1', 'the others are left as they were');

# ---- a document: recordPath, a broken element, commits by batch, resumed

my $document = '{"meta": {"n": 2}, "data": {"items": [' . join(",\n", map { $_ == 1500 ? '{"id": oops}' : qq({"id":$_,"name":"n$_"}) } 1 .. 3000) . ']}}';
$k->write_file('doc.json', $document);
gzip(\$document => $k->files . '/doc2.json.gz') or die;
$k->make('doc', fields => \@fields, source => { resource => 'doc*', recordPath => '$.data.items[*]' }, target => { loadingStrategy => 'upsert', keyFields => ['id'] }, execution => { commit => 'batch', errorHandling => 'skip', batchSize => 500 });
$run = $k->run('doc');
is(join('|', map { $run->{$_} } qw(status rows_read rows_loaded rows_updated rows_failed)), 'partial|6000|2999|0|0', 'elements of an array, of two files') or diag explain $run;
like(($k->errors($run->{run_id}))[0]->{reason} // '', qr/invalid JSON at line 1500, column 8, path \$\.data\.items\[1499\]\.id: a value is expected/, 'a broken element is told by its place');

$k->write_file('cut.json', "[{\"id\":1},\n{\"id\":2");
$k->make('cut', fields => \@fields, source => { resource => 'cut.json' });
$run = $k->run('cut');
is("$run->{status} $run->{error_code}", 'failed 22P04', 'what ends within a row is an error of the file') or diag explain $run;
is($k->sql('SELECT count(*) FROM ds_cut'), 0, 'nothing of it is loaded');

# ---- read

is($k->sql(read_sql('a.jsonl', 'id text, _line bigint, _offset bigint, _source text', {}, "concat_ws(' ', id, _line, _offset, _source)") . ' LIMIT 2'), "1 1 0 a.jsonl\n2 3 " . (length($good[0]) + 2) . ' a.jsonl', 'pseudo-columns');
is($k->sql(read_sql('a.jsonl', 'id text, "coupon" text', { onError => 'skip' }, 'count(id), count(coupon)')), '8|0', 'a key that no row has is null');
like($k->sql_error(read_sql('a.jsonl', '"Id" text')), qr/source has no field "Id".*Its fields: id, name.*there is "id"/s, 'but when none of the keys is there it is an error');
is($k->sql(read_sql('doc.json', 'id int, name text', { recordPath => '$.data.items', rowLimit => 2 }, "string_agg(concat_ws(' ', id, name), ',')")), '1 n1,2 n2', 'with a limit');
$k->write_file('nested', '[{"a":{"b":{"c":1}},"l":[7,8]},{"a":{"d":2}}]');
is($k->sql(read_sql('nested', 'a_b_c int, a_d int, l jsonb', { flatten => 2 }, "string_agg(concat_ws(' ', a_b_c, a_d, l), ',')")), '1 [7, 8],2', 'flattened; without an ending the bytes tell the format');
is($k->sql(read_sql('nested', 'c int, two int, b json', { columns => { c => '$.a.b.c', two => '$.l[1]', b => '$.a' } }, "string_agg(concat_ws(' ', c, two, b), ',')")), '1 8 {"b":{"c":1}},{"d":2}', 'by paths');
like($k->sql_error(read_sql('nested', 'x int', { columns => { c => '$.a.b.c' } })), qr/source has no field "x".*Its fields: c\./s, 'with paths there are no other fields');
like($k->sql_error(read_sql('nested', 'x int', { format => 'json', recordPath => '$.b' })), qr/there is nothing at recordPath "\$\.b"/, 'a path that leads to nothing');
is($k->sql(read_sql('doc.json', 'id int', { recordPath => '$.data.items', onError => 'skip' }, 'count(*), sum(id)')), '2999|' . (3000 * 3001 / 2 - 1500), 'with bad rows left out');

# ---- what errors say

# reads(TEXT, FILE, COLUMNS, OPTIONS, WHAT): what psql says.
sub reads
{
    my ($text, $file, @how) = @_;
    $k->write_file($file, $text);
    my ($code, $out, $err) = $k->node->psql('postgres', "\\set VERBOSITY verbose\n" . read_sql($file, @how));
    return $err;
}
my $said = reads(qq({"id":1}\n{"id":"x\\u0000"}\n), 'zero.jsonl', 'id text');
like($said, qr/22P05: value has \\u0000 or half of a surrogate pair, which no text can hold.*File "zero\.jsonl", line 2, field "id": "x\\u0000"\./s, 'what no text can hold is shown as it is written');
unlike($said, qr/encoding/, 'and is no matter of the encoding');
like(reads(qq({"id":"\\ud83d "}\n), 'half.jsonl', 'id text'), qr/22P05: .*field "id": "\\ud83d "\./s, 'nor is half of a pair');
like(reads(qq({"id":"\xed\xa0\x80\xff"}\n), 'bytes.jsonl', 'id text'), qr/22021: .*"encoding"/s, 'bytes are');
like(reads(qq({\n "id": 1\n}\n), 'pretty.jsonl', 'id int'), qr/22P04: invalid JSON at line 1, column 2, path \$: the line ends too early.*File "pretty\.jsonl", line 1: .*value on several lines.*"format": "json"/s, 'a document for lines');
like(reads(qq([{"id":1}]\n), 'array.jsonl', 'id int'), qr/22P04: row is an array, not an object \(of "format": "json" its elements would be rows\)/, 'or an array');
like(reads(qq({"id":1}\n{"id":2}\n), 'lines.json', 'id int'), qr/22P04: invalid JSON at line 2, column 1, path \$: nothing may stand behind the value.*File "lines\.json", line 2, byte 9.*"format": "jsonl"/s, 'lines for a document');
like(reads(qq([{"id":1},\n{"id":2), 'short.json', 'id int'), qr/22P04: invalid JSON at line 2, column 8, path \$\[1\]\.id: the text ends too early.*File "short\.json", line 2, byte 18.*HINT: .*has been cut/s, 'a document that was cut');
like(reads('{"data":[{"id":1}]}', 'deep.json', 'id int'), qr/42703: source has no field "id".*Its fields: data\..*"recordPath".*\$\.data\[\*\]/s, 'rows that are deeper');
like(reads('[1]', 'number.json', 'id int'), qr/row is a number, not an object.*"columns"/s, 'elements that are no objects');

# What is noted first is the first in the file: a line, a cell, whatever is found out when.
my $mixed = lines('{"id":1}', '{"id":', '{"id":"x"}', '{"id":4}');
like(reads($mixed, 'mixed.jsonl', 'id int', { onError => 'skip' }), qr/left out 2 rows.*The first: File "mixed\.jsonl", line 2: /s, 'the first that was left out: a line');
like(reads($mixed, 'mixed.jsonl', 'id int', { onError => 'null' }), qr/left out 1 row and read 1 cell as null.*The first: File "mixed\.jsonl", line 2: /s, 'so with nulls');
like(reads(lines('{"id":"x"}', '{"id":', '{"id":3}'), 'mixed.jsonl', 'id int', { onError => 'skip' }), qr/left out 2 rows.*The first: File "mixed\.jsonl", line 1, field "id"/s, 'or a cell');
$k->write_file('mixed.jsonl', $mixed . $mixed);
like(($k->node->psql('postgres', read_sql('mixed.jsonl', 'id int', { onError => 'skip' }) . ' LIMIT 2'))[2], qr/left out 2 rows/, 'what is behind the last row is not counted');
is(($k->node->psql('postgres', read_sql('mixed.jsonl', 'id int', { onError => 'null' }) . ' LIMIT 1'))[2], '', 'or noted');

# ---- looking

is($k->sql("SELECT kaireon.describe('files', 'nested', '{\"flatten\": 1}')"),
    '{"path": "nested", "fields": ["a_b", "l", "a_d"], "sample": {"rows": 2}, "dialect": {"format": "json", "flatten": 1, "encoding": "UTF-8", "recordPath": "$", "compression": "none"}}', 'describe');
is($k->sql("SELECT kaireon.preview('files', 'nested', '{\"flatten\": 2}')"), qq({"l": "[7,8]", "a_d": null, "a_b_c": "1"}\n{"l": null, "a_d": "2", "a_b_c": null}), 'preview');
$k->write_file('typed.ndjson', lines(map { qq({"id":$_,"big":${_}000000000,"price":$_.25,"ok":true,"day":"2026-01-0$_","at":"2026-01-0${_}T00:00:00Z","name":"n","list":[$_],"none":null}) } 1 .. 9));
is($k->sql("SELECT string_agg(concat(f ->> 'name', ' ', f ->> 'dataType', ' ' || (f ->> 'isPrimaryKey')), ', ') FROM jsonb_array_elements(kaireon.infer_fields('files', 'typed.ndjson')) AS f"),
    'id integer true, big bigint, price numeric, ok boolean, day date, at timestamptz, name varchar, list json, none text', 'fields have their types');
is($k->sql("SELECT status, rows_loaded FROM kaireon.run_pipeline(\$\$typed\$\$)") // '', 'success|9', 'which load')
  if $k->sql("SELECT kaireon.create_schema('typed', kaireon.infer_fields('files', 'typed.ndjson')); SELECT kaireon.create_pipeline('typed', 'files', 'typed', '[{\"id\":\"r\",\"type\":\"source\",\"config\":{\"resource\":\"typed.ndjson\"}},{\"id\":\"t\",\"type\":\"target\"}]')");

# ---- nested values, against PostgreSQL's own

# Rows at random: each field of each level is what jsonb has there.  No key has a _ in it, so that a field's name says its path.
my $seed = int($ENV{SEED} || time() % 1000000);
srand($seed);
note("seed $seed");
sub one_of { return $_[ int(rand(@_)) ]; }
sub value
{
    my ($depth) = @_;
    my $what = int(rand($depth > 3 ? 6 : 9));
    return ('null', 'true', -1 - int(rand(1000)) . one_of('', '.50'), '"x\u00e9\n"', '""', '[1, {"a": 2}]', ())[$what] if $what < 6;
    # the last of two keys counts, and what was said before is forgotten
    return '{' . join(',', map { (one_of(' ', '') . '"' . one_of('a' .. 'd') . '": ' . value($depth + 1)) } 1 .. int(rand(5))) . '}';
}
my @nested = map { my $v = value(0); $v =~ /^\{/ ? $v : "{\"a\":$v}" } 1 .. 400;
$k->write_file('deep.jsonl', lines(@nested));
$k->sql('CREATE TABLE lines (line int, doc jsonb)');
$k->sql('INSERT INTO lines VALUES ' . join(',', map { '(' . ($_ + 1) . ", \$q\$$nested[$_]\$q\$)" } 0 .. $#nested));
for my $levels (0 .. 5)
{
    my @names = split(/,/, $k->sql("SELECT string_agg(f, ',') FROM jsonb_array_elements_text(kaireon.describe('files', 'deep.jsonl', '{\"flatten\": $levels}') -> 'fields') AS f"));
    my $read = read_sql('deep.jsonl', join(', ', map({ "$_ text" } @names), '_line int'), { flatten => $levels });
    my %wrong = map { ($_ => "CASE WHEN r.$_ ~ '^[{[]' THEN (r.$_)::jsonb::text ELSE r.$_ END IS DISTINCT FROM doc #>> '{" . tr/_/,/r . "}'") } @names;
    is($k->sql('SELECT count(*), ' . join(' + ', map { "count(*) FILTER (WHERE $wrong{$_})" } @names) . " FROM ($read) AS r JOIN lines ON line = _line"), '400|0', "flatten $levels: " . @names . ' fields')
      or diag($k->sql(join(' UNION ALL ', map { "SELECT '$_', line, r.$_, doc::text FROM ($read) AS r JOIN lines ON line = _line WHERE $wrong{$_}" } @names) . ' LIMIT 5'));
}
is($k->sql(read_sql('deep.jsonl', 'b jsonb, "all" jsonb, _line int', { columns => { b => '$.a.b', all => '$' } }, "count(*) FILTER (WHERE b IS DISTINCT FROM nullif((SELECT doc FROM lines WHERE line = _line) #> '{a,b}', 'null')), count(*) FILTER (WHERE \"all\" <> (SELECT doc FROM lines WHERE line = _line))")),
    '0|0', 'by paths, as json');

# Numbers: into each type what a cast of their text gives, or a bad value.
my @numbers = ('1' x 1000, '-' . '9' x 999 . '.' . '7' x 1000, qw(1e400 -1e400 1e-400 1e308 1.7976931348623157e308 1.7976931348623159e308 4.9e-324 1e-330 9223372036854775807 9223372036854775808
    -9223372036854775808 -9223372036854775809 2147483647 2147483648 -2147483649 32768 -0 -0.0 0e5 1.0 1e3 0.1 12345678901234567890.123456789 3.4028235e38 3.4028236e38 1e131071 1e131072));
$k->write_file('numbers.jsonl', lines(map { "{\"n\":$_}" } @numbers));
$k->sql('CREATE TABLE numbers (line int, n text)');
$k->sql('INSERT INTO numbers VALUES ' . join(',', map { '(' . ($_ + 1) . ", '$numbers[$_]')" } 0 .. $#numbers));
$k->sql('CREATE FUNCTION made(n text, type text) RETURNS text LANGUAGE plpgsql AS $$DECLARE r text; BEGIN EXECUTE format(\'SELECT %L::%s::text\', n, type) INTO r; RETURN r; EXCEPTION WHEN OTHERS THEN RETURN NULL; END$$');
for my $type ('numeric', 'numeric(20,3)', 'float8', 'float4', 'bigint', 'int', 'smallint', 'jsonb', 'text', 'boolean')
{
    is($k->sql("SET client_min_messages = warning; SELECT count(*), string_agg(line::text, ' ') FILTER (WHERE r.n IS DISTINCT FROM made(o.n, '$type')) FROM (" . read_sql('numbers.jsonl', "n $type, _line int", { onError => 'null' }, 'n::text AS n, _line') . ') AS r JOIN numbers o ON line = _line'),
        scalar(@numbers) . '|', "numbers into $type");
}

# Keys that are strange, names that collide, more fields than a table has columns.
$k->write_file('keys.jsonl', lines('{"":1,"a.b":2,"a\"b":3,"a\\\\b":4,"a\nb":5,"' . 'k' x 100 . '":6,"\u00e9":7," sp ":8}'));
is($k->sql(read_sql('keys.jsonl', 'a int, b int, c int, d int, e int, f int, g int, h int', { columns => { a => '$[""]', b => '$["a.b"]', c => '$["a\\"b"]', d => '$["a\\\\b"]', e => "\$[\"a\nb\"]", f => '$.' . 'k' x 100, g => "\$.\x{e9}", h => "\$[' sp ']" } })), '1|2|3|4|5|6|7|8', 'any key has a path');
is($k->sql(read_sql('keys.jsonl', '"a.b" int, "' . 'k' x 63 . '" int')), '2|6', 'and is a name, a long one as SQL cuts it');
$k->write_file('collide.jsonl', lines('{"a_b":1,"a":{"b":2}}', '{"a":{"b":2},"a_b":1}', '{"a":{"b":3}}', '{"a_b":4,"a":{}}', '{"a":{"b":5},"a":6}', '{"a":7,"a":{"b":8}}'));
is($k->sql(read_sql('collide.jsonl', 'a_b int, a text', { flatten => 1 }, "string_agg(concat(a_b, ':', a), ' ')")), '2:{"b":2} 1:{"b":2} 3:{"b":3} 4:{} :6 8:{"b":8}', 'of two keys of one name the last counts');
$k->write_file('wide.jsonl', lines('{' . join(',', map { "\"k$_\":$_" } 1 .. 2000) . '}', '{' . join(',', map { "\"k$_\":-$_" } reverse 1 .. 2000) . '}'));
is($k->sql(read_sql('wide.jsonl', 'k2000 int, k1 int, k1700 text', {}, "string_agg(concat_ws(' ', k2000, k1, k1700), ',')")), '2000 1 1700,-2000 -1 -1700', '2,000 keys');
is($k->sql("SELECT jsonb_array_length(kaireon.describe('files', 'wide.jsonl') -> 'fields')"), 2000, 'are described');
like($k->sql_error("SELECT kaireon.infer_fields('files', 'wide.jsonl')"), qr/has 2000 fields, but a schema can have at most \d+/, 'and more than a schema has');
like($k->sql("SELECT kaireon.preview('files', 'wide.jsonl')"), qr/"k1600": "1600"/, 'of which a preview shows as many as a row can have');

# ---- options

like($k->sql_error(read_sql('nested', 'a int', { format => 'json', delimiter => ';' })), qr/"delimiter" is no option of format json.*Options of json: format, columns, recordPath, flatten, nullStrings, encoding/s, 'an option of CSV');
like($k->sql_error(read_sql('nested', 'a int', { format => 'jsonl', recordPath => '$' })), qr/"recordPath" is no option of format jsonl/, 'lines have no recordPath');
like($k->sql_error(read_sql('nested', 'a int', { format => 'json', columns => ['a'] })), qr/"columns" of format json must be an object of names and paths/, 'columns of JSON');
like($k->sql_error(read_sql('nested', 'a int', { format => 'csv', columns => { a => '$.a' } })), qr/"columns" of format csv must be an array of names/, 'and of CSV');
like($k->sql_error(read_sql('nested', 'a int', { header => \1, recordPath => '$' })), qr/"header" and "recordPath" contradict each other/, 'options of two formats');
like($k->sql_error(read_sql('nested', 'a int', { delimiter => ';' })), qr/unknown key "delimiter" in format.*The file is taken for json/s, 'options of another format than the file has');
like($k->sql_error(read_sql('nested', 'a int', { columns => { a => 'a' } })), qr/invalid path "a" for "a" of "columns": at character 1 \$ is expected.*A path is \$/s, 'a wrong path');

done_testing;
