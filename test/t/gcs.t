# Objects in a bucket of Google Cloud Storage: listings, reading, pipelines,
# archives, what is refused.  The peer is asked through a gate, which checks what
# Google's service checks and the peer does not (GcsGate.pm).
use strict;
use warnings;
use GcsGate;
use IO::Compress::Gzip qw(gzip);
use Kaireon;
use Peers;
use Test::More;

my $peer = Peers::fake_gcs();
my $port = $peer->{port};
my $gate = GcsGate->new($port);
my $key = PostgreSQL::Test::Utils::tempdir() . '/key';
open my $out, '>', $key or die "$key: $!";
print $out '0123456789abcdef' x 4;
close $out;
chmod 0600, $key;
my $k = Kaireon->new('gcs', conf => "kaireon.master_key_file = '$key'\nkaireon.egress_allow = '127.0.0.1'\n");
my $ROWS = 40_000;
my $sum = $ROWS * ($ROWS + 1) / 2;

sub creation
{
    my ($name, $config, $method, $auth) = @_;
    return "SELECT kaireon.create_connector('$name', 'google_cloud_storage', " . $k->json({ bucket => 'data', endpoint => $gate->url, maxAttempts => 3, %$config }) . ", '"
        . ($method // 'none') . "', " . $k->json($auth // {}) . ')';
}

sub connector
{
    $k->sql(creation(@_));
    return $_[0];
}

sub error_of { return $k->sql_error("\\set VERBOSITY verbose\n$_[0]"); }

sub read_sum
{
    my ($connector, $path) = @_;
    return "SELECT count(*), sum(id) FROM kaireon.read('$connector', '$path') AS t(id bigint, name text)";
}

sub put { return Peers::gcs_put($port, 'data', @_); }
sub list { return $k->sql("SELECT string_agg(path, ' ') FROM kaireon.list_objects('gcs', '$_[0]')"); }

# ---- what is there

Peers::gcs_bucket($port, 'data');
my $big = "id,name\n" . join '', map { "$_,name of number $_ which is rather long\n" } 1 .. $ROWS;
my ($one, $two) = ("id,name\n1,one\n", "id,name\n2,two\n");
gzip(\$two => \my $packed);
put(@$_) for [ 'in/daily/big.csv', $big ], [ 'in/daily/one.csv', $one ], [ 'in/daily/two.csv', $two ], [ 'in/daily/empty.csv', '' ], [ 'in/daily/deep/er/one.csv', $one ],
    [ "in/odd/a b+c%20d\x{c3}\x{bc}&=?#.csv", $one ], [ 'in/odd/[x].csv', $two ], [ 'in/odd/x//y.csv', $two ], [ 'in/stored.csv', $packed, 'gzip' ], [ 'outside.csv', $one ];
put("in/many/$_.csv", "id,name\n$_,x\n") for 1 .. 57;

connector('gcs', { prefix => 'in', projectId => 'payer' });
is($k->sql("SELECT message, details ->> 'names' FROM kaireon.test_connector('gcs')"), 'connected; 1 object and 3 folders at the base|["daily/", "many/", "odd/", "stored.csv"]', 'test_connector says what is there');
$gate->log;
is(list('daily'), 'daily/big.csv daily/empty.csv daily/one.csv daily/two.csv', 'a folder, without those below');
is(scalar(grep { /^GET/ && !/userProject=payer/ } $gate->log), 0, 'the project that pays is named');
is(list('daily/**'), 'daily/big.csv daily/deep/er/one.csv daily/empty.csv daily/one.csv daily/two.csv', 'and with them');
is(list('*/**/one.csv'), 'daily/deep/er/one.csv daily/one.csv', 'a pattern of folders');
$gate->log;
is(list('daily/*o*.csv'), 'daily/one.csv daily/two.csv', 'a pattern of names');
is(scalar(grep { !m{prefix=in%2Fdaily%2F&} || !/delimiter=%2F/ } $gate->log), 0, 'is narrowed down to its folder');
is($k->sql("SELECT path, size FROM kaireon.list_objects('gcs', 'daily/one.csv')"), 'daily/one.csv|14', 'one object');
is($k->sql("SELECT count(*) FROM kaireon.list_objects('gcs', 'none*.csv')"), 0, 'a pattern that matches nothing');
like(error_of("SELECT * FROM kaireon.list_objects('gcs', 'none.csv')"), qr/58P01: file "none\.csv" does not exist/, 'a name that is not there');
is($k->sql("SELECT bool_and(etag ~ '^[0-9]+\$' AND modified_at BETWEEN now() - interval '1 hour' AND now() + interval '1 minute') FROM kaireon.list_objects('gcs', 'daily')"), 't',
    'generations and times');
is($k->sql("SELECT ok FROM kaireon.test_connector('gcs')"), 't', 'test_connector');
$gate->set('page', 10);
$gate->log;
is($k->sql("SELECT count(*) FROM kaireon.list_objects('gcs', 'many/*.csv')"), 57, 'a listing of several pages');
is(scalar(grep { /pageToken=/ } $gate->log), 5, 'all but the first asked for by their tokens');
is($k->sql(read_sum('gcs', 'many/*.csv')), '57|' . (57 * 58 / 2), 'many objects');
$gate->set('page', '');

# ---- reading

is($k->sql(read_sum('gcs', 'daily/big.csv')), "$ROWS|$sum", 'an object of several parts');
is($k->sql(read_sum('gcs', 'daily/[ot]*.csv')), '2|3', 'several');
is($k->sql(read_sum('gcs', 'odd/a b*')), '1|1', 'a key with everything in it');
is($k->sql(read_sum('gcs', 'odd/\[x\].csv')), '1|2', 'a key with brackets');
is($k->sql(read_sum('gcs', 'stored.csv')), '1|2', 'an object that the service would unpack');
is($k->sql("SELECT count(*) FROM kaireon.read('gcs', 'daily/empty.csv', '{\"columns\": [\"id\"]}') AS t(id bigint)"), 0, 'an empty object');
like($k->sql("SELECT kaireon.infer_fields('gcs', 'daily/big.csv')"), qr/"integer"/, 'infer_fields');
is($k->sql("SELECT kaireon.preview('gcs', 'daily/one.csv') ->> 'name'"), 'one', 'preview');
put('in/large.csv', $big . ($big =~ s/^.*?\n//r) x 11);
$gate->log;
is($k->sql("SELECT count(*) FROM (SELECT * FROM kaireon.read('gcs', 'large.csv') AS t(id bigint, name text) LIMIT 10) AS few"), 10, 'a few rows of a large object');
my @asked = map { /bytes=(\d+)-(\d+)$/ ? $2 - $1 + 1 : () } $gate->log;
cmp_ok(eval { my $n = 0; $n += $_ for @asked; $n }, '<', length($big) * 4, 'fetch its beginning');
for my $lenient (0, 1)
{
    put('in/changing.csv', $big);
    $gate->set('lenient', $lenient || '');
    $gate->set('change', "in/changing.csv=$big" . "7,seven\n");
    like(error_of(read_sum('gcs', 'changing.csv')), $lenient ? qr/58030: file "changing\.csv" was changed while it was read/ : qr/58030: file "changing\.csv" is no longer as it was listed/,
        $lenient ? 'and where the service does not tell' : 'an object that changes while it is read');
}
$gate->set('lenient', '');

# ---- pipelines

my @fields = ({ name => 'id', dataType => 'integer', isPrimaryKey => \1 }, { name => 'name', dataType => 'text' });
$k->make('big', connector => 'gcs', fields => \@fields, source => { resource => 'daily/[bot]*.csv', incremental => \1 }, target => { loadingStrategy => 'upsert' });
my $run = $k->run('big');
is("$run->{status} $run->{rows_read}", 'success ' . ($ROWS + 2), 'a pipeline reads all objects');
is($k->sql('SELECT count(*), sum(id) FROM ds_big'), "$ROWS|$sum", 'the table has them');
$run = $k->run('big');
is("$run->{status} $run->{rows_read}", 'success 0', 'and none of them again');
put('in/daily/two.csv', $one);
$run = $k->run('big');
is("$run->{status} $run->{rows_read}", 'success 1', 'but one that was written anew');

# ---- archives

$k->make('moved', connector => 'gcs', fields => \@fields, source => { resource => 'daily/one.csv' },
    nodes => [ { id => 'done', type => 'archive', config => { successFolder => 'done/x' } } ], target => { loadingStrategy => 'upsert' });

sub move
{
    is($k->run('moved')->{status}, 'success', 'a pipeline with an archive');
    $k->poll('the outbox', "SELECT NOT EXISTS (SELECT FROM kaireon.outbox WHERE status <> 'done')");
    like(error_of("SELECT * FROM kaireon.list_objects('gcs', 'daily/one.csv')"), qr/58P01/, 'the object is not where it was');
    return;
}

sub object { return JSON::PP::decode_json(Peers::gcs($port, 'GET', 'storage/v1/b/data/o/in%2F' . $_[0] =~ s{/}{%2F}gr)); }

Peers::gcs($port, 'PATCH', 'storage/v1/b/data/o/in%2Fdaily%2Fone.csv', 'application/json', '{"metadata": {"origin": "shop"}}');
$gate->log;
move();
my @moves = $gate->log;
is(scalar(grep { /^POST .*ifGenerationMatch=0&ifSourceGenerationMatch=[0-9]+/ } @moves), 2, 'it was copied, in two calls');
is(scalar(grep { /^DELETE .*ifGenerationMatch=[0-9]+/ } @moves), 1, 'and deleted, once');
my $copy = object('done/x/one.csv');
is("$copy->{contentType} $copy->{metadata}{origin}", 'text/csv shop', 'the copy has the metadata of the original');
like($copy->{metadata}{kaireon_source}, qr/^[0-9a-f]{64}$/, 'and says what it is a copy of');
put('in/daily/one.csv', $two);
move();
is(list('done/x/*'), 'done/x/one.csv done/x/one.csv.1', 'a name that is taken');
is($k->sql("SELECT string_agg(attempts::text, ' ') FROM kaireon.outbox"), '1 1', 'each was moved at the first attempt');
put('in/daily/one.csv', $one);
$gate->set('race', "in/done/x/one.csv.2=$two");
move();
is(list('done/x/*'), join(' ', map { "done/x/one.csv$_" } '', '.1', '.2', '.3'), 'a name that is taken just then');
put('in/daily/one.csv', $one);
$gate->set('race', "in/daily/one.csv=$two");
is($k->run('moved')->{status}, 'success', 'an object that is written anew before it is moved');
is($k->poll('the outbox', sub { $k->sql("SELECT error_code || ' ' || error_message FROM kaireon.outbox WHERE status = 'failed'") }), '55000 file "daily/one.csv" is no longer as it was loaded', 'is not moved');
is(list('done/x/*'), join(' ', map { "done/x/one.csv$_" } '', '.1', '.2', '.3'), 'nor copied');
is($k->sql(read_sum('gcs', 'daily/one.csv')), '1|2', 'and stays as it is now');
put('in/daily/one.csv', $one);
$gate->set('endless', 'go on for ever');
$gate->log;
is($k->run('moved')->{status}, 'success', 'an object of which the copy comes to no end');
is($k->poll('the outbox', sub { $k->sql("SELECT error_code || ' ' || error_message FROM kaireon.outbox WHERE error_message ~ 'go on'") }),
    '08P01 the copy of file "daily/one.csv" does not go on at byte 7 of 14', 'is told');
is(scalar(grep { /^POST .*rewriteTo/ } $gate->log), 12, 'after a few calls');
$gate->set('endless', '');

# ---- what is refused

my $secret = 'ya29.secret-access-token';
$gate->set('secure', 1);
for my $case ([ 'wrong_token', {}, 'token', { accessToken => $secret }, qr/28000: "127\.0\.0\.1" does not accept the credentials.*status 401: authError: Invalid Credentials.*HINT/s ],
    [ 'anonymous', {}, 'none', {}, qr/28000: .*required: Anonymous caller does not have/s ],
    [ 'machine', {}, 'iam_role', {}, qr/42501: auth_method iam_role is not allowed.*HINT:.*kaireon\.instance_credentials/s ])
{
    my ($name, $config, $method, $auth, $error) = @$case;
    connector($name, $config, $method, $auth);
    my $said = error_of("SELECT * FROM kaireon.list_objects('$name', '*')");
    like($said, $error, $name);
    unlike($said, qr/\Q$secret\E/, "$name: no secret in it");
    is($k->sql("SELECT ok FROM kaireon.test_connector('$name')"), 'f', "$name: test_connector says so");
}
# What can't be right is no connector.
for my $case ([ 'bad_token', {}, 'token', { accessToken => "$secret\nX-Other: 1" }, qr/22023: accessToken has a line end/ ],
    [ 'bad_endpoint', { endpoint => $gate->url('/path') }, 'token', { accessToken => $secret }, qr/22023: endpoint must be a URL without a path/ ],
    [ 'bad_bucket', { bucket => 'no/where' }, 'token', { accessToken => $secret }, qr/22023: "no\/where" is not the name of a bucket.*HINT/s ])
{
    my ($name, $config, $method, $auth, $error) = @$case;
    my $said = error_of(creation($name, $config, $method, $auth));
    like($said, $error, $name);
    unlike($said, qr/\Q$secret\E/, "$name: no secret in it");
}
$gate->set('secure', '');
connector('no_bucket', { bucket => 'nothing' });
like(error_of("SELECT * FROM kaireon.list_objects('no_bucket', '*')"), qr/58P01: bucket "nothing" does not exist/, 'no_bucket');
connector('elsewhere', { endpoint => 'http://127.0.0.1:' . Peers::free_port() });
like(error_of("SELECT * FROM kaireon.list_objects('elsewhere', '*')"), qr/08001: could not connect to "127\.0\.0\.1"/, 'no service');
$k->settled;
done_testing();
