# A server whose answers have faults: each ends in the right rows or the right error,
# in listings, at the beginning of an object and further on, and in moves.
use strict;
use warnings;
use FaultProxy;
use Kaireon;
use Peers;
use Test::More;

plan skip_all => Peers::absent('seaweedfs') if Peers::absent('seaweedfs');
my $peer = Peers::seaweedfs();
my $proxy = FaultProxy->new($peer->{port});
my $key = PostgreSQL::Test::Utils::tempdir() . '/key';
PostgreSQL::Test::Utils::append_to_file($key, '0123456789abcdef' x 4);
chmod 0600, $key;
my $k = Kaireon->new('http_faults', conf => "kaireon.master_key_file = '$key'\nkaireon.egress_allow = '127.0.0.1'\n");
my $ROWS = 20_000;              # about a megabyte: several parts
my $all = "$ROWS|" . $ROWS * ($ROWS + 1) / 2;
$k->write_rows('big.csv', $ROWS, sub { "$_[0],name of number $_[0] which is rather long" }, 'id,name');
$k->write_file('one.csv', "id,name\n1,one\n");
my $files = $k->files;
Peers::s3($peer->{port}, 'PUT', 'data');
Peers::s3_put($peer->{port}, 'data', $_, "$files/" . s{.*/}{}r) for 'in/big.csv', 'in/one.csv';
$k->sql("SELECT kaireon.create_connector('s3', 'amazon_s3', " . $k->json({ bucket => 'data', prefix => 'in', endpoint => $proxy->url, maxAttempts => 3, idleTimeoutSeconds => 1 })
      . ", 'access_key', " . $k->json({ accessKeyId => $Peers::S3_ID, secretAccessKey => $Peers::S3_SECRET }) . ')');

# Rows, or the error.
sub answer
{
    my ($code, $out, $err) = $k->node->psql('postgres', $_[0]);
    return $code ? $err : $out;
}

sub error_of { return $k->sql_error("\\set VERBOSITY verbose\n$_[0]"); }

my $list = "SELECT string_agg(path, ' ') FROM kaireon.list_objects('s3', '*.csv')";
my $read = "SELECT count(*), sum(id) FROM kaireon.read('s3', 'big.csv') AS t(id bigint, name text)";
my ($slow, $broke) = (qr/08006: "127\.0\.0\.1" was too slow to send %s/, qr/08006: the connection to "127\.0\.0\.1" broke while it sent %s/);
my ($busy, $many) = (qr/08006: "127\.0\.0\.1" did not send %s.*status 5\d\d: Busy: try later/s, qr/08006: "127\.0\.0\.1" has had too many requests.*status 429/s);
# What each fault comes to when all answers have it; the first alone comes to the right rows, unless there is a third: the same of that.
my @always = ([ 'drop', $broke ], [ 'hang', $slow ], [ 'cut=100', $broke ], [ 'stall=100', $slow ], [ 'loris', $slow ], [ 'drip', $slow ],
    [ '429', $many ], [ '429:1', $many ], [ '500', $busy ], [ '503', $busy ], [ '503:1', $busy ], [ '503:9999', $busy, $busy ]);
my $no_xml = qr/08P01: the listing is not XML that can be read.*DETAIL:  At byte \d+, near .*: .*HINT:/s;
my $moved_on = qr/58030: %s (?:was changed while it was read|is no longer as it was listed)/;

# What the parts of an object may have besides.
my @parts = ([ 'truncate=100', $broke ], [ 'etag', $moved_on, $moved_on ]);

for my $case (
    [ 'a listing', $list, 'big.csv one.csv', 'bucket "data"', 'GET /data/?\?', @always, [ 'longer=50', $broke ], [ 'truncate=300', $no_xml, $no_xml ], [ 'shorter=50', $no_xml, $no_xml ], [ 'corrupt=1', $no_xml, $no_xml ] ],
    [ 'one object, looked for', "SELECT string_agg(path, ' ') FROM kaireon.list_objects('s3', 'big.csv')", 'big.csv', 'bucket "data"', 'GET /data/?\?', [ 'drop', $broke ], [ 'hang', $slow ], [ '503', $busy ] ],
    [ 'the beginning of an object', $read, $all, 'file "big.csv"', 'GET /data/in/big.csv.* bytes=\d{1,5}-', @always, @parts ],
    [ 'what follows', $read, $all, 'file "big.csv"', 'GET /data/in/big.csv.* bytes=\d{6}', @always, @parts, [ 'shorter=50', $broke ] ])
{
    my ($what, $sql, $right, $subject, $on, @faults) = @$case;
    for (@faults)
    {
        my ($how, $error, $once) = @$_;
        my ($wanted, $wanted_once) = map { my $said = $_ // ''; $said =~ s/%s/$subject/g; qr/$said/s } $error, $once;
        $proxy->fault($how, $on);
        my $said = error_of($sql);
        like($said, $wanted, "$what, always $how");
        like($said, qr/ file "big\.csv"|bucket "data"|File "big\.csv"|the listing/, '  of which it is said') unless $how =~ /^429/ && $subject =~ /bucket/;
        $k->poll('the end of what was asked for ahead', sub { !$k->readers });
        $proxy->fault($how, $on, 1);
        if ($once) { like(error_of($sql), $wanted_once, "$what, once $how"); }
        else { is(answer($sql), $right, "$what, once $how"); }
        cmp_ok($proxy->hit, '>', 0, '  which it met');
    }
}
for my $times (undef, 1)
{
    $proxy->fault('longer=50', 'GET /data/in/big.csv', $times);
    is(answer($read), $all, 'a part that has all its bytes, and less than its length says');
}
# Another letter is no fault of the file, and is told by its sum alone.
my $letter = index(PostgreSQL::Test::Utils::slurp_file("$files/big.csv"), 'rather', 5000);
for my $times (undef, 1)
{
    $proxy->fault("corrupt=$letter", 'GET /data/in/big.csv.* bytes=\d{1,5}-', $times);
    like(error_of($read), qr/58030: file "big\.csv" was damaged on its way\nDETAIL:  File "big\.csv", line \d+, byte \d+\. The server says that its MD5 sum is [0-9a-f]{32}, and that of what came is [0-9a-f]{32}\.\nHINT:.*verifyEtag/, 'another letter');
}
$proxy->fault('', '');

# ---- moves

$k->make('moved', connector => 's3', fields => [ { name => 'id', dataType => 'integer', isPrimaryKey => \1 }, { name => 'name', dataType => 'text' } ],
    source => { resource => 'one.csv' }, nodes => [ { id => 'done', type => 'archive', config => { successFolder => 'done' } } ], target => { loadingStrategy => 'upsert' });

for my $method ('HEAD', 'PUT', 'DELETE')
{
    for my $how ('drop', 'hang', $method eq 'HEAD' ? () : ('cut=3', 'longer=5'), 'loris', '429', '500', '503:1')
    {
        Peers::s3_put($peer->{port}, 'data', 'in/one.csv', "$files/one.csv");
        $proxy->fault($how, "^$method ", 1);
        is($k->run('moved')->{status}, 'success', "a move, once $how of $method");
        ok($k->poll('the outbox', "SELECT NOT EXISTS (SELECT FROM kaireon.outbox WHERE status <> 'done')"), '  is done');
        $proxy->fault('', '');
        is($k->sql("SELECT string_agg(path, ' ') FROM kaireon.list_objects('s3', '**') WHERE path ~ 'one'"), 'done/one.csv', '  once');
        Peers::s3($peer->{port}, 'DELETE', 'data/in/done/one.csv');
    }
}
for my $case ([ 'hang', qr/08006 "127\.0\.0\.1" was too slow to send file "done\/one\.csv"/ ], [ '503', qr/08006 "127\.0\.0\.1" did not send file "done\/one\.csv"/ ], [ '403', qr/42501 "127\.0\.0\.1" does not allow access to file "done\/one\.csv"/ ],
    # what says that the object was copied, and is not true
    [ 'answer=', qr/08P01 the answer to a copy is not XML/ ], [ 'answer=hello', qr/08P01 the answer to a copy is not XML/ ],
    [ 'answer=<html/>', qr/08P01 the store did not copy file "one\.csv"/ ],
    [ 'answer=<s3:Error xmlns:s3="urn:x"><s3:Code>InternalError</s3:Code></s3:Error>', qr/08006 the store did not copy file "one\.csv": InternalError/ ],
    [ 'answer=<CopyObjectResult><ETag>"x"</ETag></CopyObjectResult>', qr/08P01 the store says that it has copied file "one\.csv", but there is no copy/ ])
{
    my ($how, $error) = @$case;
    Peers::s3_put($peer->{port}, 'data', 'in/one.csv', "$files/one.csv");
    $proxy->fault($how, '^PUT ');
    $k->run('moved');
    my $said;
    $k->poll('the failure', sub { $said = $k->sql("SELECT error_code || ' ' || error_message FROM kaireon.outbox WHERE status <> 'done' AND error_code IS NOT NULL"); });
    like($said, $error, "a move, always $how");
    $proxy->fault('', '');
    is($k->sql("SELECT count(*) FROM kaireon.list_objects('s3', 'one.csv')"), 1, '  leaves the object where it is');
    $k->sql("SELECT kaireon.retry_outbox('moved')");
    ok($k->poll('the outbox', "SELECT NOT EXISTS (SELECT FROM kaireon.outbox WHERE status <> 'done')"), '  until it can be done');
    Peers::s3($peer->{port}, 'DELETE', 'data/in/done/one.csv');
}
$k->settled('http_faults');
done_testing();
