# Compressed files that are cut or damaged, wherever that is: the very rows, or
# an error that says where, and never some of the rows.
#
# CSV, JSON and JSON Lines in each compression, by the programs that people use,
# as far as they are installed.  CUTS and FLIPS say how many of each.
use strict;
use warnings;
use Kaireon;
use Packed;
use Test::More;

my ($cuts, $flips) = ($ENV{CUTS} || 12, $ENV{FLIPS} || 24);
my $seed = int($ENV{SEED} || time() % 1000000);
srand($seed);
note("seed $seed");
my $k = Kaireon->new('damage');

# Names that do not compress well, so that there are several blocks.
my @rows = map { [ $_, join('', map { ('a' .. 'z', 'A' .. 'Z', 0 .. 9)[ int(rand(62)) ] } 1 .. 40) ] } 1 .. 4000;
my %texts = (
    csv => "id,name\n" . join('', map { "$_->[0],$_->[1]\n" } @rows),
    jsonl => join('', map { qq({"id": $_->[0], "name": "$_->[1]"}\n) } @rows),
    json => '{"head": [1, 2], "rows": [' . join(",\n", map { qq({"id": $_->[0], "name": "$_->[1]"}) } @rows) . ']}');
my $whole = @rows . ' ' . $k->sql("SELECT md5('" . join(',', map { "$_->[0]:$_->[1]" } @rows) . "')");

# What a file has: its rows, or the error's SQLSTATE, message and detail.
$k->sql(<<'SQL');
CREATE FUNCTION rows_of(file text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
    detail text;
BEGIN
    EXECUTE format('SELECT count(*) || '' '' || md5(string_agg(id || '':'' || name, '','' ORDER BY at)) FROM (SELECT id, name, row_number() OVER () AS at FROM kaireon.read(''files'', %L, %L) AS t(id text, name text)) AS r',
        file, CASE WHEN file ~ '\.json(\.|$)' THEN '{"recordPath": "$.rows"}' ELSE '{}' END) INTO answer;
    RETURN answer;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RETURN format('ERROR %s %s: %s', SQLSTATE, SQLERRM, detail);
END $$;
SQL
my @fields = ({ name => 'id', dataType => 'text', isPrimaryKey => \1 }, { name => 'name', dataType => 'text' });
$k->make('one', fields => \@fields, source => { resource => 'none' });

sub pack_as
{
    my ($kind, $format) = @_;
    my $packed = Packed::with($kind, $texts{$format}, "a.$format");
    return $packed if defined $packed;
    note("$kind: no program") if $kind ne 'sz';
    my %made = (gz => \&Packed::gz, bz2 => \&Packed::bz2, sz => \&Packed::snappy, zip => sub { Packed::zip([ "a.$format", $_[0] ]) });
    # what else is made here has no checksums
    return $made{$kind} && $made{$kind}->($texts{$format});
}

# Answers about damaged copies of a file, in one go; WHAT => bytes.
sub answers
{
    my ($end, %copies) = @_;
    $k->write_file("$_.$end", $copies{$_}) for keys %copies;
    my %answers = map { /^([^|]*)\|(.*)/s } split(/\x01/, $k->sql("SELECT string_agg(f || '|' || rows_of(f || '.$end'), E'\\x01') FROM unnest('{" . join(',', keys %copies) . "}'::text[]) AS f"));
    unlink map { $k->files . "/$_.$end" } keys %copies;
    return %answers;
}

# Is it an error that says where?  Between members of an archive there are no lines; what the whole file lacks is nowhere.
sub says_where { my ($answer) = @_; return $answer =~ /^ERROR (?:22\w{3}|54000) .*: File ".*?"(?:, line \d+|\. At byte \d+ of the compressed object)/s || $answer =~ /^ERROR (?:42703|0A000) .*: File "/s; }

# A run over the copy loads nothing, and says where.
sub load_nothing
{
    my ($file, $format, $bytes) = @_;
    $k->write_file($file, $bytes);
    $k->sql("SELECT kaireon.update_pipeline('one', nodes => " . $k->json([
        { id => 'read', type => 'source', config => { resource => $file, $format eq 'json' ? (recordPath => '$.rows') : () } }, { id => 'load', type => 'target' } ]) . ')');
    my $run = $k->run('one');
    return "$run->{status} " . $k->sql('SELECT count(*) FROM ds_one') . ($run->{error_detail} =~ /File ".*line \d+/ ? '' : " where: $run->{error_detail}");
}

for my $kind (qw(gz bz2 zst lz4 sz zip))
{
    for my $format (sort keys %texts)
    {
        my ($end, $packed) = ("$format.$kind", pack_as($kind, $format));
        SKIP: { skip "$end: there is no program that makes it", 1 unless defined $packed; }
        next unless defined $packed;
        my $n = length $packed;
        my %copies = (whole => $packed);
        # the first and last bytes, and some between
        $copies{"cut$_"} = substr($packed, 0, $_) for 1 .. 12, map({ $n - $_ } 1 .. 12), map { 13 + int(rand($n - 26)) } 1 .. $cuts;
        for (1 .. $flips)
        {
            my $at = $_ <= 8 ? int(rand(40)) : $_ <= 14 ? $n - 1 - int(rand(40)) : int(rand($n));
            my $bit = int(rand(8));
            $copies{"flip${at}_$bit"} = substr($packed, 0, $at) . chr(ord(substr($packed, $at, 1)) ^ 1 << $bit) . substr($packed, $at + 1);
        }
        my %answers = answers($end, %copies);
        is(delete $answers{whole}, $whole, "$end: whole, all rows");
        my @cut = grep { /^cut/ } keys %answers;
        my @bad = grep { !says_where($answers{$_}) } @cut;
        is(scalar(@bad), 0, "$end: " . @cut . ' times cut, each an error that says where') or diag(map { "$_ of $n: $answers{$_}\n" } @bad);
        my @flip = grep { /^flip/ } keys %answers;
        @bad = grep { $answers{$_} ne $whole && !says_where($answers{$_}) } @flip;
        is(scalar(@bad), 0, "$end: " . @flip . ' bits flipped, each an error that says where, or all rows') or diag(map { "$_ of $n: $answers{$_}\n" } @bad);
        is(load_nothing("cut.$end", $format, substr($packed, 0, int($n * 0.9))), 'failed 0', "$end: a run over one that is cut loads nothing");
        is(load_nothing("bent.$end", $format, substr($packed, 0, int($n * 0.8)) . chr(ord(substr($packed, int($n * 0.8), 1)) ^ 8) . substr($packed, int($n * 0.8) + 1)),
            'failed 0', "$end: nor one over one with a wrong bit");
    }
}

# A document is whole or it is none, also where nothing is compressed.
my $n = length $texts{json};
my %answers = answers('json', map { ("cut$_" => substr($texts{json}, 0, $_)) } 1 .. 12, map({ $n - $_ } 1 .. 12), map { int(rand($n)) } 1 .. $cuts);
my @bad = grep { !says_where($answers{$_}) } keys %answers;
is(scalar(@bad), 0, 'a document that is cut, ' . keys(%answers) . ' times: an error that says where') or diag(map { "$_ of $n: $answers{$_}\n" } @bad);

# ---- archives of several documents

my $row = sub { my ($from, $to) = @_; return map { qq({"id": $_, "name": "n$_"}) } $from .. $to; };
$k->write_file('many.zip', Packed::zip([ 'a.jsonl', join("\n", $row->(1, 3)) ], [ 'b.json', '[' . join(',', $row->(4, 6)) . ']', 1 ], [ 'c.csv', "id,name\n7,n7\n" ], [ 'd', join("\n", $row->(8, 9)), 1 ]));
is($k->sql("SELECT string_agg(concat_ws(':', id, name, _source, _line), ' ' ORDER BY id) FROM kaireon.read('files', 'many.zip') AS t(id int, name text, _source text, _line int)"),
    '1:n1:many.zip!a.jsonl:1 2:n2:many.zip!a.jsonl:2 3:n3:many.zip!a.jsonl:3 4:n4:many.zip!b.json:1 5:n5:many.zip!b.json:1 6:n6:many.zip!b.json:1 7:n7:many.zip!c.csv:2 8:n8:many.zip!d:1 9:n9:many.zip!d:2',
    'members of several formats');
$k->write_file('bad.zip', Packed::zip([ 'a.json', '[' . join(',', $row->(1, 3)) . ']' ], [ 'b.json', qq([{"id": 4},\n{"id": 5) ], [ 'c.json', '[]' ]));
like($k->sql("SELECT rows_of('bad.zip')"), qr/^ERROR 22P04 invalid JSON at line 2, column 9, path \$\[1\]\.id: the text ends too early: File "bad\.zip!b\.json", line 2/, 'a member that was cut before it was packed');

# ---- bombs

my $spaces = Packed::gz(' ' x 1_000_000);
my %bombs = ('spaces.json.gz' => Packed::gz('[{"id": 1}, ') . $spaces x 400, 'spaces.jsonl.gz' => Packed::gz(qq({"id": 1}\n)) . $spaces x 400, 'skipped.json.gz' => Packed::gz('{"skipped": "') . Packed::gz('x' x 1_000_000) x 400);
for my $bomb (sort keys %bombs)
{
    $k->write_file($bomb, $bombs{$bomb});
    my $record = $bomb =~ /skipped/ ? ', "recordPath": "$.rows"' : '';
    like($k->sql_error("\\set VERBOSITY verbose\nSELECT count(*) FROM kaireon.read('files', '$bomb', '{\"maxCompressionRatio\": 500$record}') AS t(id int)"),
        qr/54000: gzip data unpacks to more than is allowed.*At byte \d+ of the compressed object/s, "$bomb: by its ratio");
    like($k->sql_error("\\set VERBOSITY verbose\nSELECT count(*) FROM kaireon.read('files', '$bomb', '{\"maxDecompressedBytes\": 1000000$record}') AS t(id int)"), qr/54000: gzip data unpacks to more than is allowed.*"maxDecompressedBytes"/s, "$bomb: by its size");
}

$k->settled('at the end');
ok($k->same_postmaster, 'the server lived through');
done_testing();
