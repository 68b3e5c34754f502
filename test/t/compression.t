# Files in each compression, and archives: the same rows, the same errors.
#
# What a codec does with bytes is the unit tests' to show; here it is what a run
# makes of it: rows, ledger, positions, dead letters, and bombs that end soon.
use strict;
use warnings;
use Kaireon;
use Packed;
use Test::More;

my $k = Kaireon->new('compression', conf => "kaireon.max_logged_errors = 10\n");
my @fields = ({ name => 'id', dataType => 'integer', isPrimaryKey => \1 }, { name => 'name', dataType => 'text' });

sub error_of { my ($query) = @_; return $k->sql_error("\\set VERBOSITY verbose\n$query"); }

sub table { my ($name) = @_; return $k->sql("SELECT count(*) || ' ' || coalesce(sum(id), 0) || ' ' || coalesce(md5(string_agg(name, ',' ORDER BY id)), '') FROM ds_$name"); }

# ---- each kind

my $text = "id,name\n" . join('', map { "$_,name $_\n" } 1 .. 5000);
my %packed = ('csv' => $text, 'csv.gz' => Packed::gz($text), 'csv.zst' => Packed::zstd($text), 'csv.bz2' => Packed::bz2($text), 'csv.lz4' => Packed::lz4($text), 'csv.sz' => Packed::snappy($text),
    'csv.zip' => Packed::zip([ 'a.csv', $text ]));
my %kinds = ('csv' => 'none', 'csv.gz' => 'gzip', 'csv.zst' => 'zstd', 'csv.bz2' => 'bzip2', 'csv.lz4' => 'lz4', 'csv.sz' => 'snappy', 'csv.zip' => 'zip');
$k->make('one', fields => \@fields, source => { resource => 'none.csv' });
sub load
{
    my ($file, %more) = @_;
    $k->sql('TRUNCATE ds_one');
    $k->sql("SELECT kaireon.update_pipeline('one', nodes => " . $k->json([
        { id => 'read', type => 'source', config => { resource => $file, incremental => \1, %more } }, { id => 'load', type => 'target' } ]) . ')');
    return $k->run('one');
}
my $rows;
for my $end (sort keys %packed)
{
    $k->write_file("a.$end", $packed{$end});
    is(load("a.$end")->{status}, 'success', "$end: a run");
    $rows //= table('one');
    is(table('one'), $rows, "$end: its rows");
    is($k->sql("SELECT kaireon.describe('files', 'a.$end') #>> '{dialect,compression}'"), $kinds{$end}, "$end: described");
    is($k->sql("SELECT dialect ->> 'compression' FROM kaireon.source_state WHERE path = 'a.$end'"), $kinds{$end}, "$end: recorded");
    is($k->sql("SELECT sum(id) FROM kaireon.read('files', 'a.$end', '{\"compression\": \"$kinds{$end}\"}') AS t(id int)"), 12502500, "$end: by name");
    next if $end eq 'csv';
    $k->write_file("cut.$end", substr($packed{$end}, 0, length($packed{$end}) - 3));
    my $run = load("cut.$end");
    is("$run->{status} $run->{error_code} $run->{error_message}", "failed 22P04 $kinds{$end} data ends early", "$end: cut");
    like($run->{error_detail}, qr/File "cut\.\Q$end\E.*At byte \d+ of the compressed object/, "$end: and where");
    is($k->sql('SELECT count(*) FROM ds_one') . $k->sql("SELECT count(*) FROM kaireon.source_state WHERE path = 'cut.$end'"), '00', "$end: nothing of it is loaded");
}
$k->write_file('b.tsv.bz2', Packed::bz2("id\tname\n1\tAda\n"));
is($k->sql("SELECT id, name FROM kaireon.read('files', 'b.tsv.bz2') AS t(id int, name text)"), '1|Ada', 'the format by the name without its end');
like(error_of(qq(SELECT * FROM kaireon.read('files', 'a.csv', '{"compression": "rar"}') AS t(id int))), qr/none.*gzip.*zstd.*bzip2.*lz4.*snappy.*zip/s, 'another one');

# ---- archives

$k->write_file('many.zip', Packed::zip([ 'x/', '', 1 ], [ 'x/a.csv', "id,name\n1,Ada\n2,Bruno\n" ], [ '__MACOSX/x/._a.csv', 'junk' ], [ '.hidden', 'junk', 1 ],
    [ 'b.tsv', "name\tid\nCy\t3\n", 1 ], [ 'x/a.csv', "id;name\n4;\"D\nd\"\nnone;Eve\n" ], [ '../up.csv', "name,id,more\nFay,6,x\n" ]));
my $auto = '{"delimiter": "auto", "onError": "null"}';
is($k->sql("SELECT id, name, _source, _line FROM kaireon.read('files', 'many.zip', '{\"onError\": \"null\"}') AS t(id int, name text, _source text, _line int) LIMIT 3"),
    "1|Ada|many.zip!x/a.csv|2\n2|Bruno|many.zip!x/a.csv|3\n3|Cy|many.zip!b.tsv|2", 'members, each by its own header and name');
is($k->sql("SELECT id, name, _source, _line FROM kaireon.read('files', 'many.zip', '$auto') AS t(id int, name text, _source text, _line int) OFFSET 3"),
    "4|D\nd|many.zip!x/a.csv|2\n|Eve|many.zip!x/a.csv|4\n6|Fay|many.zip!../up.csv|2", 'and its own dialect');
like(error_of("SELECT id FROM kaireon.read('files', 'many.zip', '{\"delimiter\": \"auto\"}') AS t(id int)"), qr/File "many\.zip!x\/a\.csv", line 4, field "id"/, 'an error in a member');

$k->make('zip', fields => \@fields, source => { resource => 'many.zip', incremental => \1, delimiter => 'auto' }, execution => { errorHandling => 'dlq' });
my $run = $k->run('zip');
is("$run->{status} $run->{rows_loaded} $run->{rows_skipped}", 'partial 5 1', 'a run over an archive') or diag(explain($run));
is($k->sql('SELECT string_agg(name, \',\' ORDER BY id) FROM ds_zip'), "Ada,Bruno,Cy,D\nd,Fay", 'its rows');
is($k->sql("SELECT path || ' ' || rows_read FROM kaireon.source_state WHERE pipeline = 'zip'"), 'many.zip 6', 'the archive is one file');
is($k->sql("SELECT source || ' ' || line FROM kaireon.dead_letters WHERE pipeline = 'zip'"), 'many.zip!x/a.csv 4', 'a dead letter of a member');
is($k->run('zip')->{rows_read}, 0, 'which is not read again');

$k->write_file('twice.zip', Packed::zip([ 'a.csv.gz', Packed::gz("id\n1\n") ]));
like(error_of("SELECT * FROM kaireon.read('files', 'twice.zip') AS t(id int)"), qr/0A000: member "a\.csv\.gz" of the archive is compressed once more \(gzip\)/, 'compressed twice');
my $bad = Packed::zip([ 'a.csv', "id,name\n1,Ada\n" ], [ 'b.csv', "id,name\n2,Bruno\n", 1 ]);
$bad =~ s/2,Bruno/2,Bruna/;
$k->write_file('bad.zip', $bad);
$run = load('bad.zip');
is("$run->{status} $run->{error_code} $run->{error_message}", 'failed 22P04 zip data is corrupt', 'a member with a wrong checksum');
like($run->{error_detail}, qr/File "bad\.zip!b\.csv", line 3/, 'which and where');
is($k->sql('SELECT count(*) FROM ds_one'), 0, 'nothing of it is loaded');

# A run that fails in the third member goes on there.
my @members = map { my $m = $_; [ "m$m.csv", "id,name\n" . join('', map { my $id = $m * 1000 + $_; "$id,name $id\n" } 1 .. 1000), $m % 2 ] } 0 .. 3;
$k->write_file('parts.zip', Packed::zip(@members));
$k->make('parts', fields => \@fields, source => { resource => 'parts.zip', incremental => \1 }, execution => { commit => 'batch', batchSize => 100 });
$k->sql(q(CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
    IF NEW.id = 2550 THEN RAISE EXCEPTION USING ERRCODE = '53100', MESSAGE = 'not yet'; END IF; RETURN NEW; END$$;
    CREATE TRIGGER gate BEFORE INSERT ON ds_parts FOR EACH ROW EXECUTE FUNCTION gate();));
$run = $k->run('parts');
is("$run->{status} " . $k->sql('SELECT count(*) > 2000 AND count(*) < 2600 FROM ds_parts'), 'failed t', 'a run that fails within an archive') or diag(explain($run));
$k->sql('DROP TRIGGER gate ON ds_parts');
$k->sql("SELECT kaireon.resume_run('$run->{run_id}')") if $run->{run_id};
$k->poll('the rest', 'SELECT count(*) = 4000 FROM ds_parts');
is($k->sql('SELECT count(*), count(DISTINCT id), sum(id) FROM ds_parts'), '4000|4000|8002000', 'it goes on where it was');
is($k->sql("SELECT rows_read FROM kaireon.source_state WHERE pipeline = 'parts'"), 4000, 'and counts the whole archive');

# ---- bombs

my $bomb = Packed::gz('#' . 'x' x 999_998 . "\n");
$k->write_file('bomb.csv.gz', Packed::gz("id,name\n1,Ada\n") . $bomb x 400);
like(error_of("SELECT count(*) FROM kaireon.read('files', 'bomb.csv.gz', '{\"comment\": \"#\", \"maxCompressionRatio\": 500}') AS t(id int)"),
    qr/54000: gzip data unpacks to more than is allowed.*At byte \d+ of the compressed object, after 2[67]\d{7} bytes.*"maxCompressionRatio"/s, 'a bomb is refused');
is($k->sql("SELECT count(*) FROM kaireon.read('files', 'bomb.csv.gz', '{\"comment\": \"#\", \"maxCompressionRatio\": 0}') AS t(id int)"), 1, 'unless all is allowed');
like(error_of("SELECT count(*) FROM kaireon.read('files', 'bomb.csv.gz', '{\"comment\": \"#\", \"maxDecompressedBytes\": 1000000}') AS t(id int)"),
    qr/54000: gzip data unpacks to more than is allowed.*"maxDecompressedBytes"/s, 'or as too many bytes');
$run = load('bomb.csv.gz', comment => '#', maxDecompressedBytes => 1_000_000);
is("$run->{status} $run->{error_code} " . $k->sql('SELECT count(*) FROM ds_one'), 'failed 54000 0', 'a run over one loads nothing');
like(error_of(qq(SELECT * FROM kaireon.read('files', 'a.csv', '{"maxCompressionRatio": -1}') AS t(id int))), qr/maxCompressionRatio/, 'no bound below zero');

$k->settled('at the end');
ok($k->same_postmaster, 'the server lived through');
done_testing;
