# Objects in an S3 bucket, of a real server: listings, reading, pipelines, archives,
# what is refused.
use strict;
use warnings;
use Kaireon;
use Peers;
use Test::More;

my $peer = Peers::seaweedfs();
my $port = $peer->{port};
my $key = PostgreSQL::Test::Utils::tempdir() . '/key';
open my $out, '>', $key or die "$key: $!";
print $out '0123456789abcdef' x 4;
close $out;
chmod 0600, $key;
my $k = Kaireon->new('s3', conf => "kaireon.master_key_file = '$key'\nkaireon.egress_allow = '127.0.0.1'\n");
my $ROWS = 40_000;
my $sum = $ROWS * ($ROWS + 1) / 2;
my %auth = (accessKeyId => $Peers::S3_ID, secretAccessKey => $Peers::S3_SECRET);

sub connector
{
    my ($name, $config, $method, $auth) = @_;
    $k->sql("SELECT kaireon.create_connector('$name', 'amazon_s3', " . $k->json({ bucket => 'data', endpoint => "http://127.0.0.1:$port", maxAttempts => 3, %$config }) . ", '"
        . ($method // 'access_key') . "', " . $k->json($auth // \%auth) . ')');
    return $name;
}

sub error_of { return $k->sql_error("\\set VERBOSITY verbose\n$_[0]"); }

sub read_sum
{
    my ($connector, $path) = @_;
    return $k->sql("SELECT count(*), sum(id) FROM kaireon.read('$connector', '$path') AS t(id bigint, name text)");
}

# ---- what is there

Peers::s3($port, 'PUT', 'data');
$k->write_rows('big.csv', $ROWS, sub { "$_[0],name of number $_[0] which is rather long" }, 'id,name');
$k->write_file('one.csv', "id,name\n1,one\n");
$k->write_file('two.csv', "id,name\n2,two\n");
$k->write_file('empty.csv', '');
my $files = $k->files;
Peers::s3_put($port, 'data', $_->[0], "$files/$_->[1]") for [ 'in/daily/big.csv', 'big.csv' ], [ 'in/daily/one.csv', 'one.csv' ], [ 'in/daily/two.csv', 'two.csv' ],
    [ 'in/daily/empty.csv', 'empty.csv' ], [ 'in/daily/deep/er/one.csv', 'one.csv' ], [ "in/odd/a b+c%20d\x{c3}\x{bc}&=?#.csv", 'one.csv' ], [ 'in/odd/[x].csv', 'two.csv' ], [ 'outside.csv', 'one.csv' ];

connector('s3', { prefix => 'in' });
is($k->sql("SELECT string_agg(path, ' ') FROM kaireon.list_objects('s3', 'daily')"), 'daily/big.csv daily/empty.csv daily/one.csv daily/two.csv', 'a folder, without those below');
is($k->sql("SELECT string_agg(path, ' ') FROM kaireon.list_objects('s3', 'daily/**')"), 'daily/big.csv daily/deep/er/one.csv daily/empty.csv daily/one.csv daily/two.csv', 'and with them');
is($k->sql("SELECT string_agg(path, ' ') FROM kaireon.list_objects('s3', '*/**/one.csv')"), 'daily/deep/er/one.csv daily/one.csv', 'a pattern of folders');
is($k->sql("SELECT string_agg(path, ' ') FROM kaireon.list_objects('s3', 'daily/*o*.csv')"), 'daily/one.csv daily/two.csv', 'a pattern of names');
is($k->sql("SELECT sum(id) FROM kaireon.read('s3', 'daily/', '{\"pattern\": {\"type\": \"regex\", \"value\": \"(deep/er/)?(one|two).csv\"}}') AS t(id int)"), 4, 'a regular expression');
is($k->sql("SELECT path, size FROM kaireon.list_objects('s3', 'daily/one.csv')"), 'daily/one.csv|14', 'one object');
is($k->sql("SELECT count(*) FROM kaireon.list_objects('s3', 'none*.csv')"), 0, 'a pattern that matches nothing');
like(error_of("SELECT * FROM kaireon.list_objects('s3', 'none.csv')"), qr/58P01: file "none\.csv" does not exist/, 'a name that is not there');
is($k->sql("SELECT bool_and(etag ~ '^[0-9a-f]{32}' AND modified_at > now() - interval '1 hour') FROM kaireon.list_objects('s3', 'daily')"), 't', 'etags and times');
is($k->sql("SELECT ok FROM kaireon.test_connector('s3')"), 't', 'test_connector');

# ---- reading

is(read_sum('s3', 'daily/big.csv'), "$ROWS|$sum", 'an object of several parts');
is(read_sum('s3', 'daily/[ot]*.csv'), '2|3', 'several');
is(read_sum('s3', "odd/a b*"), '1|1', 'a key with everything in it');
is(read_sum('s3', 'odd/\[x\].csv'), '1|2', 'a key with brackets');
is($k->sql("SELECT count(*) FROM kaireon.read('s3', 'daily/empty.csv', '{\"columns\": [\"id\"]}') AS t(id bigint)"), 0, 'an empty object');
like($k->sql("SELECT kaireon.infer_fields('s3', 'daily/big.csv')"), qr/"integer"/, 'infer_fields');
is($k->sql("SELECT kaireon.preview('s3', 'daily/one.csv') ->> 'name'"), 'one', 'preview');

# ---- pipelines

$k->make('big', connector => 's3', fields => [ { name => 'id', dataType => 'integer', isPrimaryKey => \1 }, { name => 'name', dataType => 'text' } ],
    source => { resource => 'daily/*.csv', incremental => \1 }, target => { loadingStrategy => 'upsert' });
my $run = $k->run('big');
is("$run->{status} $run->{rows_read}", 'success ' . ($ROWS + 2), 'a pipeline reads all objects');
is($k->sql(q(SELECT rows_read FROM kaireon.source_state WHERE path = 'daily/empty.csv')), 0, 'one without a byte too');
is($k->sql('SELECT count(*), sum(id) FROM ds_big'), "$ROWS|$sum", 'the table has them');
$run = $k->run('big');
is("$run->{status} $run->{rows_read}", 'success 0', 'and none of them again');
Peers::s3_put($port, 'data', 'in/daily/two.csv', "$files/one.csv");
$run = $k->run('big');
is("$run->{status} $run->{rows_read}", 'success 1', 'but one that was written anew');

# What the ledger says of the time and the etag of two.csv, of all its versions.
sub forge { $k->sql("UPDATE kaireon_internal.source_file SET $_[0] WHERE path = 'daily/two.csv'"); return; }
forge(q(modified_at = modified_at - interval '1 hour'));
$run = $k->run('big');
is("$run->{status} $run->{rows_read}", 'success 0', 'the same content with another time is the same version');
forge(q(loaded_at = loaded_at - CASE WHEN rows_read = 1 AND etag = (SELECT etag FROM kaireon.list_objects('s3', 'daily/two.csv')) THEN interval '1 hour' ELSE '0' END));
$run = $k->run('big');
is("$run->{status} $run->{rows_read}", 'success 1', 'unless another was loaded since');
$k->sql(q(DELETE FROM kaireon_internal.source_file WHERE path = 'daily/two.csv'));
$k->run('big');
forge(q(etag = 'another'));
$k->sql(q(SELECT kaireon.update_pipeline('big', nodes => (SELECT jsonb_set(nodes, '{0,config,changedFiles}', '"fail"') FROM kaireon.pipelines WHERE name = 'big'))));
$run = $k->run('big');
is("$run->{status} $run->{error_code} $run->{error_message}", 'failed 55000 file "daily/two.csv" has changed since it was loaded', 'another etag with the same size and time is another version');
like($run->{error_detail}, qr/^"daily\/two\.csv" had 14 bytes of \S+ \S+, etag "another" and has 14 bytes of \S+ \S+, etag "[0-9a-f]{32}" now\.$/, 'the error says what it was and is');

$k->make('moved', connector => 's3', fields => [ { name => 'id', dataType => 'integer', isPrimaryKey => \1 }, { name => 'name', dataType => 'text' } ],
    source => { resource => 'daily/one.csv' }, nodes => [ { id => 'done', type => 'archive', config => { successFolder => 'done/x' } } ], target => { loadingStrategy => 'upsert' });
for my $time ('', '.1')
{
    is($k->run('moved')->{status}, 'success', 'a pipeline with an archive');
    $k->poll('the outbox', "SELECT NOT EXISTS (SELECT FROM kaireon.outbox WHERE status <> 'done')");
    is($k->sql("SELECT count(*) FROM kaireon.list_objects('s3', 'done/x/one.csv$time')"), 1, "the object is done/x/one.csv$time");
    like(error_of("SELECT * FROM kaireon.list_objects('s3', 'daily/one.csv')"), qr/58P01/, 'and not where it was');
    Peers::s3_put($port, 'data', 'in/daily/one.csv', "$files/two.csv");
}

# ---- what is refused

for my $case ([ 'wrong_secret', {}, 'access_key', { %auth, secretAccessKey => 'no' }, qr/42501: "127\.0\.0\.1" does not allow access to bucket "data".*SignatureDoesNotMatch.*HINT/s ],
    [ 'unknown_key', {}, 'access_key', { %auth, accessKeyId => 'NOBODY00000000000000' }, qr/42501: .*InvalidAccessKeyId/s ],
    [ 'anonymous', {}, 'none', {}, qr/42501: .*AccessDenied/s ],
    [ 'no_bucket', { bucket => 'nothing' }, 'access_key', \%auth, qr/58P01: bucket "nothing" does not exist/ ],
    [ 'machine', {}, 'iam_role', {}, qr/42501: auth_method iam_role is not allowed.*HINT:.*kaireon\.instance_credentials/s ],
    [ 'bad_endpoint', { endpoint => "http://127.0.0.1:$port/path" }, 'access_key', \%auth, qr/22023: endpoint must be a URL without a path/ ],
    [ 'bad_region', { region => 'no/where' }, 'access_key', \%auth, qr/22023: .*region/ ])
{
    my ($name, $config, $method, $auth, $error) = @$case;
    connector($name, $config, $method, $auth);
    my $said = error_of("SELECT * FROM kaireon.list_objects('$name', '*')");
    like($said, $error, $name);
    unlike($said, qr/\Q$Peers::S3_SECRET\E/, "$name: no secret in it");
    is($k->sql("SELECT ok FROM kaireon.test_connector('$name')"), 'f', "$name: test_connector says so");
}
$k->settled;
done_testing();
