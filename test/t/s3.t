# Objects in an S3 bucket, of real servers: listings, reading, pipelines, archives,
# what is refused.  versitygw is the one that looks at every byte that is signed.
use strict;
use warnings;
use FaultServer;
use Kaireon;
use Peers;
use TamperProxy;
use Test::More;

my @servers = grep { !Peers::absent($_) } 'seaweedfs', 'versitygw', 'minio';
plan skip_all => Peers::absent('seaweedfs') unless @servers;
my $key = PostgreSQL::Test::Utils::tempdir() . '/key';
PostgreSQL::Test::Utils::append_to_file($key, '0123456789abcdef' x 4);
chmod 0600, $key;
my $ROWS = 40_000;
my $sum = $ROWS * ($ROWS + 1) / 2;
my %auth = (accessKeyId => $Peers::S3_ID, secretAccessKey => $Peers::S3_SECRET);

# The server that is asked, its name, and who asks.
my ($server, $peer, $port, $k, $files);

sub creation
{
    my ($name, $config, $method, $auth) = @_;
    return "SELECT kaireon.create_connector('$name', 'amazon_s3', " . $k->json({ bucket => 'data', endpoint => "http://127.0.0.1:$port", maxAttempts => 3, %$config }) . ", '"
        . ($method // 'access_key') . "', " . $k->json($auth // \%auth) . ')';
}

sub connector
{
    $k->sql(creation(@_));
    return $_[0];
}

sub is_here { my ($got, $wanted, $what) = @_; return is($got, $wanted, "$server: $what"); }

sub like_here { my ($got, $wanted, $what) = @_; return like($got, $wanted, "$server: $what"); }

sub error_of { return $k->sql_error("\\set VERBOSITY verbose\n$_[0]"); }

sub read_sum
{
    my ($connector, $path) = @_;
    return $k->sql("SELECT count(*), sum(id) FROM kaireon.read('$connector', '$path') AS t(id bigint, name text)");
}

# What is put into the bucket.
sub put_there
{
    Peers::s3($port, 'PUT', 'data');
    $k->write_rows('big.csv', $ROWS, sub { "$_[0],name of number $_[0] which is rather long" }, 'id,name');
    $k->write_rows('large.csv', 15 * $ROWS, sub { "$_[0],name of number $_[0] which is rather long" }, 'id,name');
    $k->write_rows('larger.csv', 15 * $ROWS + 1, sub { "$_[0],another name of number $_[0] which is rather long" }, 'id,name');
    $k->write_file('one.csv', "id,name\n1,one\n");
    $k->write_file('two.csv', "id,name\n2,two\n");
    $k->write_file('empty.csv', '');
    Peers::s3_put($port, 'data', $_->[0], "$files/$_->[1]") for [ 'in/daily/big.csv', 'big.csv' ], [ 'in/daily/one.csv', 'one.csv' ], [ 'in/daily/two.csv', 'two.csv' ],
        [ 'in/daily/empty.csv', 'empty.csv' ], [ 'in/daily/deep/er/one.csv', 'one.csv' ], [ "in/odd/a b+c%20d\x{c3}\x{bc}&=?#.csv", 'one.csv' ], [ 'in/odd/[x].csv', 'two.csv' ], [ 'outside.csv', 'one.csv' ];
    return;
}

# What a folder or a pattern finds.
sub listings
{
    connector('s3', { prefix => 'in' });
    is_here($k->sql("SELECT message, details ->> 'names' FROM kaireon.test_connector('s3')"), 'connected; no objects and 2 folders at the base|["daily/", "odd/"]', 'test_connector says what is there');
    is_here($k->sql("SELECT string_agg(path, ' ') FROM kaireon.list_objects('s3', 'daily')"), 'daily/big.csv daily/empty.csv daily/one.csv daily/two.csv', 'a folder, without those below');
    is_here($k->sql("SELECT string_agg(path, ' ') FROM kaireon.list_objects('s3', 'daily/**')"), 'daily/big.csv daily/deep/er/one.csv daily/empty.csv daily/one.csv daily/two.csv', 'and with them');
    is_here($k->sql("SELECT string_agg(path, ' ') FROM kaireon.list_objects('s3', '*/**/one.csv')"), 'daily/deep/er/one.csv daily/one.csv', 'a pattern of folders');
    is_here($k->sql("SELECT string_agg(path, ' ') FROM kaireon.list_objects('s3', 'daily/*o*.csv')"), 'daily/one.csv daily/two.csv', 'a pattern of names');
    is_here($k->sql("SELECT sum(id) FROM kaireon.read('s3', 'daily/', '{\"pattern\": {\"type\": \"regex\", \"value\": \"(deep/er/)?(one|two).csv\"}}') AS t(id int)"), 4, 'a regular expression');
    is_here($k->sql("SELECT path, size FROM kaireon.list_objects('s3', 'daily/one.csv')"), 'daily/one.csv|14', 'one object');
    is_here($k->sql("SELECT count(*) FROM kaireon.list_objects('s3', 'none*.csv')"), 0, 'a pattern that matches nothing');
    like_here(error_of("SELECT * FROM kaireon.list_objects('s3', 'none.csv')"), qr/58P01: file "none\.csv" does not exist.*HINT:.*relative to the connector's prefix/s, 'a name that is not there');
    is_here($k->sql("SELECT bool_and(etag ~ '^[0-9a-f]{32}' AND modified_at > now() - interval '1 hour') FROM kaireon.list_objects('s3', 'daily')"), 't', 'etags and times');
    is_here($k->sql("SELECT ok FROM kaireon.test_connector('s3')"), 't', 'test_connector');
    return;
}

# What objects give.
sub reading
{
    is_here(read_sum('s3', 'daily/big.csv'), "$ROWS|$sum", 'an object of several parts');
    is_here(read_sum('s3', 'daily/[ot]*.csv'), '2|3', 'several');
    is_here(read_sum('s3', "odd/a b*"), '1|1', 'a key with everything in it');
    is_here(read_sum('s3', 'odd/\[x\].csv'), '1|2', 'a key with brackets');
    is_here($k->sql("SELECT count(*) FROM kaireon.read('s3', 'daily/empty.csv', '{\"columns\": [\"id\"]}') AS t(id bigint)"), 0, 'an empty object');
    like_here($k->sql("SELECT kaireon.infer_fields('s3', 'daily/big.csv')"), qr/"integer"/, 'infer_fields');
    is_here($k->sql("SELECT kaireon.preview('s3', 'daily/one.csv') ->> 'name'"), 'one', 'preview');
    return;
}

# A pipeline that reads what it has not read.
sub incremental
{
    $k->make('big', connector => 's3', fields => [ { name => 'id', dataType => 'integer', isPrimaryKey => \1 }, { name => 'name', dataType => 'text' } ],
        source => { resource => 'daily/*.csv', incremental => \1 }, target => { loadingStrategy => 'upsert' });
    my $run = $k->run('big');
    is_here("$run->{status} $run->{rows_read}", 'success ' . ($ROWS + 2), 'a pipeline reads all objects');
    is_here($k->sql(q(SELECT rows_read FROM kaireon.source_state WHERE path = 'daily/empty.csv')), 0, 'one without a byte too');
    is_here($k->sql('SELECT count(*), sum(id) FROM ds_big'), "$ROWS|$sum", 'the table has them');
    $run = $k->run('big');
    is_here("$run->{status} $run->{rows_read}", 'success 0', 'and none of them again');
    Peers::s3_put($port, 'data', 'in/daily/two.csv', "$files/one.csv");
    $run = $k->run('big');
    is_here("$run->{status} $run->{rows_read}", 'success 1', 'but one that was written anew');
    return;
}

# What the ledger says of the time and the etag of two.csv, of all its versions.
sub forge { $k->sql("UPDATE kaireon_internal.source_file SET $_[0] WHERE path = 'daily/two.csv'"); return; }

# What makes an object another version of itself.
sub versions
{
    my $run;
    forge(q(modified_at = modified_at - interval '1 hour'));
    $run = $k->run('big');
    is_here("$run->{status} $run->{rows_read}", 'success 0', 'the same content with another time is the same version');
    forge(q(loaded_at = loaded_at - CASE WHEN rows_read = 1 AND etag = (SELECT etag FROM kaireon.list_objects('s3', 'daily/two.csv')) THEN interval '1 hour' ELSE '0' END));
    $run = $k->run('big');
    is_here("$run->{status} $run->{rows_read}", 'success 1', 'unless another was loaded since');
    $k->sql(q(DELETE FROM kaireon_internal.source_file WHERE path = 'daily/two.csv'));
    $k->run('big');
    forge(q(etag = 'another'));
    $k->sql(q(SELECT kaireon.update_pipeline('big', nodes => (SELECT jsonb_set(nodes, '{0,config,changedFiles}', '"fail"') FROM kaireon.pipelines WHERE name = 'big'))));
    $run = $k->run('big');
    is_here("$run->{status} $run->{error_code} $run->{error_message}", 'failed 55000 file "daily/two.csv" has changed since it was loaded', 'another etag with the same size and time is another version');
    like_here($run->{error_detail}, qr/^"daily\/two\.csv" had 14 bytes of \S+ \S+, etag "another" and has 14 bytes of \S+ \S+, etag "[0-9a-f]{32}" now\.$/, 'the error says what it was and is');
    return;
}

# Objects that are moved.
sub moves
{
    $k->make('moved', connector => 's3', fields => [ { name => 'id', dataType => 'integer', isPrimaryKey => \1 }, { name => 'name', dataType => 'text' } ],
        source => { resource => 'daily/one.csv' }, nodes => [ { id => 'done', type => 'archive', config => { successFolder => 'done/x' } } ], target => { loadingStrategy => 'upsert' });
    for my $time ('', '.1')
    {
        is_here($k->run('moved')->{status}, 'success', 'a pipeline with an archive');
        $k->poll('the outbox', "SELECT NOT EXISTS (SELECT FROM kaireon.outbox WHERE status <> 'done')");
        is_here($k->sql("SELECT count(*) FROM kaireon.list_objects('s3', 'done/x/one.csv$time')"), 1, "the object is done/x/one.csv$time");
        like_here(error_of("SELECT * FROM kaireon.list_objects('s3', 'daily/one.csv')"), qr/58P01/, 'and not where it was');
        Peers::s3_put($port, 'data', 'in/daily/one.csv', "$files/two.csv");
    }
    return;
}

# Keys that are awkward to sign, to list and to move.
my @ODD = ("a b.csv", 'a+b.csv', '100%.csv', 'a%20b.csv', "caf\xc3\xa9 \xe6\xbc\xa2.csv", '~!*().csv', 'q?x=1&y#z.csv', q(quote'"<>&.csv), 'dots..csv', 'in/x../b.csv', ';,:@$.csv', ' lead.csv', 'trail .csv', 'back\\slash.csv',
    '%2F.csv', '{a,b}.csv', '^|`.csv', "\xf0\x9f\x98\x80.csv", 'x=.csv');

sub odd_keys
{
    my @there = grep { $server eq 'versitygw' || !/\\/ } @ODD;    # others take it for a slash
    for my $i (0 .. $#there)
    {
        $k->write_file('odd.csv', "id,name\n$i,odd\n");
        Peers::s3_put($port, 'data', "keys/$there[$i]", "$files/odd.csv");
    }
    connector('keys', { prefix => 'keys' });
    my $sorted = join("\n", sort @there);
    is_here($k->sql("SELECT string_agg(path, E'\\n' ORDER BY path COLLATE \"C\") FROM kaireon.list_objects('keys', '**')"), $sorted, 'odd keys are listed');
    my @wrong = grep { my $name = $there[$_] =~ s/([\[\]{}*?\\])/\\$1/gr =~ s/'/''/gr; $k->sql("SELECT id FROM kaireon.read('keys', '$name') AS t(id int)") ne $_ } 0 .. $#there;
    is_here(join("\n", @there[@wrong]), '', 'and read, each by its name');
    $k->make('odd', connector => 'keys', fields => [ { name => 'id', dataType => 'integer', isPrimaryKey => \1 }, { name => 'name', dataType => 'text' } ],
        source => { resource => '**' }, nodes => [ { id => 'done', type => 'archive', config => { successFolder => "to +%/caf\x{e9}" } } ], target => { loadingStrategy => 'upsert' });
    is_here($k->run('odd')->{rows_read}, scalar @there, 'a pipeline reads them');
    $k->poll('the outbox', "SELECT NOT EXISTS (SELECT FROM kaireon.outbox WHERE status NOT IN ('done', 'failed'))");
    is_here($k->sql("SELECT string_agg(path || ': ' || error_message, E'\\n') FROM kaireon.outbox WHERE pipeline = 'odd' AND status = 'failed'"), '', 'and moves them');
    is_here($k->sql("SELECT string_agg(split_part(path, '/', 3), E'\\n' ORDER BY split_part(path, '/', 3) COLLATE \"C\") FROM kaireon.list_objects('keys', 'to +%/**')"),
        join("\n", sort map { s{.*/}{}r } @there), 'to where they belong');
    is_here($k->sql("SELECT count(*) FROM kaireon.list_objects('keys', '*.csv')"), 0, 'none stays');
    return;
}

# Buckets in host names, and Amazon's own hosts, as far as a proxy is asked for them.
sub addresses
{
    connector('in_host', { endpoint => "http://$peer->{domain}", pathStyle => \0, prefix => 'in' });
    is_here(read_sum('in_host', 'daily/big.csv'), "$ROWS|$sum", 'a bucket in the host name');
    is_here($k->sql("SELECT string_agg(path, ' ') FROM kaireon.list_objects('in_host', 'odd/*')"), $k->sql("SELECT string_agg(path, ' ') FROM kaireon.list_objects('s3', 'odd/*')"), 'with odd keys');
    is_here(read_sum('in_host', 'odd/a b*'), '1|1', 'which are read');
    connector('to_path', { endpoint => "http://127.0.0.1:$port", pathStyle => \1, prefix => '/in/' });
    is_here(read_sum('to_path', 'daily/[ot]*.csv'), read_sum('s3', 'daily/[ot]*.csv'), 'slashes around a prefix are nothing');
    return;
}

# An object that is written anew while it is read: of it no mixture comes.
sub changing
{
    Peers::s3_put($port, 'data', 'in/changing.csv', "$files/large.csv");
    my $session = $k->session;
    is_here($session->query("BEGIN; DECLARE c NO SCROLL CURSOR FOR SELECT id FROM kaireon.read('s3', 'changing.csv') AS t(id bigint); FETCH 1 FROM c"), 1, 'a reader is at work');
    Peers::s3_put($port, 'data', 'in/changing.csv', "$files/larger.csv");
    $session->query('MOVE ALL FROM c');
    like_here($session->err, qr/58030: file "changing\.csv" is no longer as it was listed/, 'an object that is written anew');
    $session->close;
    return;
}

# What is refused.
sub refused
{
    for my $case ([ 'wrong_secret', {}, 'access_key', { %auth, secretAccessKey => 'no' }, qr/42501: "127\.0\.0\.1" does not allow access to bucket "data".*SignatureDoesNotMatch.*HINT/s ],
        [ 'unknown_key', {}, 'access_key', { %auth, accessKeyId => 'NOBODY00000000000000' }, qr/42501: .*InvalidAccessKeyId/s ],
        [ 'anonymous', {}, 'none', {}, qr/42501: .*AccessDenied/s ],
        [ 'no_bucket', { bucket => 'nothing' }, 'access_key', \%auth, qr/58P01: bucket "nothing" does not exist.*HINT:  Check bucket, region/s ],
        $server eq 'seaweedfs' ? () : [ 'other_region', { region => 'eu-west-3' }, 'access_key', \%auth, qr/08P01: .*AuthorizationHeaderMalformed.*HINT: +(?:Check bucket, region|The bucket is in region "us-east-1")/s ],
        [ 'token_of_nobody', {}, 'access_key', { %auth, sessionToken => 'junk' }, qr/(42501: .*(InvalidTokenId|InvalidAccessKeyId)|28000: .*status 400: InvalidToken)/s ],
        [ 'machine', {}, 'iam_role', {}, qr/42501: auth_method iam_role is not allowed.*HINT:.*kaireon\.instance_credentials/s ])
    {
        my ($name, $config, $method, $auth, $error) = @$case;
        connector($name, $config, $method, $auth);
        my $said = error_of("SELECT * FROM kaireon.list_objects('$name', '*')");
        like_here($said, $error, $name);
        unlike($said, qr/\Q$Peers::S3_SECRET\E/, "$server: $name: no secret in it");
        is_here($k->sql("SELECT ok FROM kaireon.test_connector('$name')"), 'f', "$name: test_connector says so");
    }
    # As Amazon says it of a bucket that is elsewhere.
    my $body = '<Error><Code>PermanentRedirect</Code><Message>The bucket must be addressed using the specified endpoint.</Message></Error>';
    my $elsewhere = TamperProxy->new($port, sub {
        @{ $_[1] }{qw(head body)} = ("HTTP/1.1 301 Moved Permanently\r\nx-amz-bucket-region: eu-west-1\r\nContent-Length: " . length($body) . "\r\nConnection: close\r\n\r\n", $body);
    });
    connector('elsewhere', { endpoint => 'http://127.0.0.1:' . $elsewhere->port });
    like_here(error_of("SELECT * FROM kaireon.list_objects('elsewhere', '*')"), qr/08P01: .*PermanentRedirect.*HINT:  The bucket is in region "eu-west-1"; give the connector that region\./s, 'a bucket in another region');
    like_here(error_of(creation('bad_endpoint', { endpoint => "http://127.0.0.1:$port/path" })), qr/22023: endpoint must be a URL without a path/, 'bad_endpoint is not made');
    like_here(error_of(creation('bad_region', { region => 'no/where' })), qr/22023: .*region/, 'bad_region is not made');
    return;
}

for (@servers)
{
    $server = $_;
    $peer = Peers->can($server)->();
    $port = $peer->{port};
    $k = Kaireon->new("s3_$server", conf => "kaireon.master_key_file = '$key'\nkaireon.egress_allow = '127.0.0.1'\n");
    $files = $k->files;
    put_there();
    listings();
    reading();
    incremental();
    versions();
    moves();
    odd_keys();
    addresses() if $peer->{domain};
    changing();
    refused();
    $k->settled($server);
    $k->node->stop;
}
for (grep { Peers::absent($_) } 'seaweedfs', 'versitygw', 'minio')
{
    SKIP: { skip Peers::absent($_), 1; }
}

# Amazon's own hosts, as a proxy is asked for them.
$k = Kaireon->new('s3_hosts', conf => "kaireon.master_key_file = '$key'\nkaireon.egress_allow = '127.0.0.1'\n");
my $proxy = FaultServer->new($k->files);
for my $case ([ 'eu-central-1', 'data', 'data.s3.eu-central-1.amazonaws.com' ], [ 'eu-central-1', 'data.with.dots', 's3.eu-central-1.amazonaws.com' ], [ 'cn-north-1', 'data', 'data.s3.cn-north-1.amazonaws.com.cn' ],
    [ 'us-gov-west-1', 'data', 'data.s3.us-gov-west-1.amazonaws.com' ], [ 'eusc-de-east-1', 'data', 'data.s3.eusc-de-east-1.amazonaws.eu' ], [ 'us-isob-east-1', 'data', 'data.s3.us-isob-east-1.sc2s.sgov.gov' ])
{
    my ($region, $bucket, $host) = @$case;
    $proxy->log;
    $k->sql("SELECT kaireon.create_connector('hosts', 'amazon_s3', " . $k->json({ bucket => $bucket, region => $region, proxy => $proxy->url, maxAttempts => 1 }) . ", 'access_key', " . $k->json(\%auth) . ')');
    error_of("SELECT * FROM kaireon.list_objects('hosts', '*')");
    is(($proxy->log)[0] =~ s/ -.*//r, "CONNECT $host:443", "the host of $bucket in $region");
    $k->sql("SELECT kaireon.delete_connector('hosts')");
}
done_testing();
