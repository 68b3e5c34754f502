# Databases of other encodings than UTF-8: what they have no place for is a bad
# value of its row, is shown with question marks, and is never loaded as
# something else; what they have a place for is read as anywhere.
use strict;
use warnings;
use Kaireon;
use Test::More;

my $k = Kaireon->new('encodings');
my $files = $k->files;
$k->write_file('names.csv', "id,name,n,doc\n1,caf\xc3\xa9,1,\"\"\"\xc3\xbc\"\"\"\n2,\xe2\x82\xac 5,2,{}\n3,ok,x\xe2\x82\xac,{}\n4,z,4,\"\"\"\xe2\x82\xac\"\"\"\n5,\xe2\x82\xac\n");
$k->write_file("head.csv", "id,n\xc3\xa9,\xe2\x82\xac\n1,a,b\n");

sub in_database
{
    my ($database, $encoding) = @_;
    $k->sql("CREATE DATABASE $database ENCODING '$encoding' LOCALE 'C' TEMPLATE template0");
    $k->sql("CREATE EXTENSION kaireon; SELECT kaireon.create_connector('files', 'local_fs', " . $k->json({ basePath => $files }) . ')', $database);
    # [rows, what psql said]; both in UTF-8
    return sub {
        my ($query) = @_;
        my ($code, $out, $err) = $k->node->psql($database, "\\set VERBOSITY verbose\nSET client_encoding = 'UTF8';\n$query");
        return wantarray ? ($out, $err) : $out;
    };
}

sub rows_of { my ($rule, $list) = @_; return "SELECT * FROM kaireon.read('files', 'names.csv', '{\"onError\": \"$rule\"}') AS t($list)"; }

my $latin = in_database('latin', 'LATIN1');
my ($out, $err) = $latin->(rows_of('fail', 'name text'));
like($err, qr/22P05: value has a character with no equivalent in encoding "LATIN1"\nDETAIL:  File "names\.csv", line 3, field "name": "\? 5"/, 'fail: with file, line, field and value');
is(scalar($latin->(rows_of('fail', 'id int, name text') . ' LIMIT 1')), "1|caf\xc3\xa9", 'fail: not before the row is reached; a character that LATIN1 has');
($out, $err) = $latin->(rows_of('null', 'id int, name text, n int, doc json'));
is($out, qq(1|caf\xc3\xa9|1|"\xc3\xbc"\n2||2|{}\n3|ok||{}\n4|z|4|), 'null: the value becomes null, whatever its type');
like($err, qr/left out 1 row and read 3 cells as null.*line 3, field "name": "\? 5"/s, 'which is told');
is(scalar($latin->(rows_of('skip', 'id int, name varchar(9), doc text'))), qq(1|caf\xc3\xa9|"\xc3\xbc"\n3|ok|{}), 'skip: its row is left out');
($out, $err) = $latin->(rows_of('fail', 'n int'));
like($err, qr/22P02: invalid input syntax for type integer: "x\?"/, 'a bad value is shown, too');
($out, $err) = $latin->(rows_of('fail', 'id int') . ' OFFSET 4');
like($err, qr/22P04: row has 2 fields, expected 4\nDETAIL:  File "names\.csv", line 6: "5,\?"/, 'and a row that is none');
is(scalar($latin->("SELECT p ->> 'id' FROM kaireon.preview('files', 'names.csv') p")), "1", 'preview leaves such rows out');
is(scalar($latin->("SELECT f ->> 'dataType' FROM jsonb_array_elements(kaireon.infer_fields('files', 'names.csv', '{\"onError\": \"null\"}')) f")), "integer\nvarchar\ninteger\nvarchar",
    'infer_fields too, or takes the value for a null');
($out, $err) = $latin->("SELECT kaireon.describe('files', 'head.csv')");
like($err, qr/22P05: the name of a field has a character with no equivalent in encoding "LATIN1"\nDETAIL:  File "head\.csv"/, 'a field of such a name');
is(scalar($latin->("SELECT * FROM kaireon.read('files', 'head.csv') AS t(id int, \"n\xc3\xa9\" text)")), '1|a', 'does not hinder the others');
like(scalar($latin->("SELECT kaireon.preview('files', 'head.csv', '{\"columns\": [\"id\", \"a\", \"b\"], \"header\": true}')")), qr/"b": "b"/, 'and can be given another');
($out, $err) = $latin->("SELECT * FROM kaireon.read('files', 'head.csv') AS t(none text)");
like($err, qr/42703: source has no field "none"\nDETAIL:  File "head\.csv"\. Its fields: id, n\xc3\xa9, \?\./, 'and is shown');
$k->write_file("\xe2\x82\xac.csv", "id\n1\n");
($out, $err) = $latin->("SELECT * FROM kaireon.list_objects('files')");
like($err, qr/22P05: the name of a file has a character.*\nDETAIL:  File "\?\.csv"/, 'a file of such a name');
unlink "$files/\xe2\x82\xac.csv";
$k->write_file("\xc3\xbc.csv", "id\n7\n");
is(scalar($latin->("SELECT id, _source FROM kaireon.read('files', '\xc3\xbc.csv') AS t(id int, _source text)")), "7|\xc3\xbc.csv", 'one that LATIN1 has');
unlink "$files/\xc3\xbc.csv";

# A pipeline rejects what it has no place for.
$k->make('names', database => 'latin', fields => [ { name => 'id', dataType => 'integer', isPrimaryKey => \1 }, { name => 'name', dataType => 'varchar' }, { name => 'doc', dataType => 'json' } ],
    source => { resource => 'names.csv' }, target => { validation => 'skip' }, execution => { errorHandling => 'skip' });
my $run = $k->run('names', 'latin');
is("$run->{status} $run->{rows_loaded} $run->{rows_skipped}", 'partial 2 3', 'pipeline: the others are loaded') or diag("$run->{error_code} $run->{error_message}");
is(scalar($latin->("SELECT id, name, doc FROM ds_names ORDER BY id")), qq(1|caf\xc3\xa9|"\xc3\xbc"\n3|ok|{}), 'pipeline: as they are');
is(scalar($latin->("SELECT line, field, sqlstate, value FROM kaireon.run_errors ORDER BY ordinal")), qq(3|name|22P05|? 5\n5|doc|22P05|"?"\n6||22P04|5,?), 'pipeline: those are rejected, with their place');
$k->write_file("\xc3\xbc.csv", "id,name\n7,\xc3\xbc\n");
my $nodes = '[{"id": "r", "type": "source", "config": {"resource": "' . "\xc3\xbc" . '.csv"}}, {"id": "t", "type": "target", "config": {}}]';
$latin->("SELECT kaireon.create_pipeline('umlaut', 'files', 'names', '$nodes')");
is(scalar($latin->("SELECT status, rows_loaded, error_message FROM kaireon.run_pipeline('umlaut'); SELECT name FROM ds_names WHERE id = 7")), "success|1|\n\xc3\xbc",
    'pipeline: a file whose name is no ASCII');
$k->settled('pipeline', 'latin');

# Two bytes a character, and no encoding at all.
my $japanese = in_database('japanese', 'EUC_JP');
$k->write_file('kanji.csv', "id,name\n1,\xe6\x97\xa5\xe6\x9c\xac\n2,\xf0\x9f\x98\x80\n3,\xe6\x9c\xac\n");
is(scalar($japanese->("SELECT id, name, length(name) FROM kaireon.read('files', 'kanji.csv', '{\"onError\": \"skip\"}') AS t(id int, name varchar(2))")),
    "1|\xe6\x97\xa5\xe6\x9c\xac|2\n3|\xe6\x9c\xac|1", 'EUC_JP: lengths are characters');
my $none = in_database('none', 'SQL_ASCII');
is(scalar($none->(rows_of('skip', 'id int, name text, doc json'))), qq(1|caf\xc3\xa9|"\xc3\xbc"\n2|\xe2\x82\xac 5|{}\n3|ok|{}\n4|z|"\xe2\x82\xac"), 'SQL_ASCII: takes everything as it is');

ok($k->same_postmaster, 'the server lived through');
done_testing();
