# Blobs of an Azure storage account, at Microsoft's emulator: listings, reading,
# pipelines, archives, what is refused, and that no signature is ever shown.
use strict;
use warnings;
use Kaireon;
use Peers;
use TamperProxy;
use Test::More;

my $peer = Peers::azurite();
my $port = $peer->{port};
my $key = PostgreSQL::Test::Utils::tempdir() . '/key';
open my $out, '>', $key or die "$key: $!";
print $out '0123456789abcdef' x 4;
close $out;
chmod 0600, $key;
my $k = Kaireon->new('azure', conf => "kaireon.master_key_file = '$key'\nkaireon.egress_allow = '127.0.0.1'\n");
my ($account, $account_key) = ($Peers::AZURE_ACCOUNT, $Peers::AZURE_KEY);
my $ROWS = 40_000;
my $sum = $ROWS * ($ROWS + 1) / 2;
my $FOREVER = '2099-01-01T00:00:00Z';

sub creation
{
    my ($name, $config, $method, $auth) = @_;
    return "SELECT kaireon.create_connector('$name', 'azure_blob', " . $k->json({ storageAccount => $account, container => 'data', endpoint => "http://127.0.0.1:$port/$account",
        maxAttempts => 3, %$config }) . ", '" . ($method // 'access_key') . "', " . $k->json($auth // { accountKey => $account_key }) . ')';
}

sub connector
{
    $k->sql(creation(@_));
    return $_[0];
}

sub error_of { return $k->sql_error("\\set VERBOSITY verbose\n$_[0]"); }

sub paths { return $k->sql("SELECT string_agg(path, ' ') FROM kaireon.list_objects('$_[0]', '$_[1]')"); }

sub read_sum
{
    my ($connector, $path) = @_;
    return $k->sql("SELECT count(*), sum(id) FROM kaireon.read('$connector', '$path') AS t(id bigint, name text)");
}

sub put { return Peers::azure_put($port, 'data', @_); }

# ---- what is there

my ($one, $two) = ("id,name\n1,one\n", "id,name\n2,two\n");
my $big = "id,name\n" . join('', map { "$_,name of number $_ which is rather long\n" } 1 .. $ROWS);
Peers::azure($port, 'PUT', 'data?restype=container');
put(@$_) for [ 'in/daily/big.csv', $big ], [ 'in/daily/one.csv', $one, 'x-ms-meta-who' => 'me', 'x-ms-meta-i_' => 'a', 'x-ms-meta-i0' => 'b' ], [ 'in/daily/two.csv', $two ], [ 'in/daily/empty.csv', '' ],
    [ 'in/daily/deep/er/one.csv', $one ], [ 'in/daily/', '' ], [ 'in/daily/deep', '', 'x-ms-meta-hdi_isfolder' => 'true' ], [ 'in/odd/[x].csv', $two ], [ "in/odd/a b+c%20d\x{c3}\x{bc}&=?#.csv", $one ],
    [ 'outside.csv', $one ];

connector('azure', { prefix => 'in' });
is(paths('azure', 'daily'), 'daily/big.csv daily/empty.csv daily/one.csv daily/two.csv', 'a folder, without those below and without blobs that stand for folders');
is(paths('azure', 'daily/**'), 'daily/big.csv daily/deep/er/one.csv daily/empty.csv daily/one.csv daily/two.csv', 'and with them');
is(paths('azure', '*/**/one.csv'), 'daily/deep/er/one.csv daily/one.csv', 'a pattern of folders');
is(paths('azure', 'daily/*o*.csv'), 'daily/one.csv daily/two.csv', 'a pattern of names');
is($k->sql("SELECT path, size FROM kaireon.list_objects('azure', 'daily/one.csv')"), 'daily/one.csv|14', 'one blob');
is($k->sql("SELECT count(*) FROM kaireon.list_objects('azure', 'none*.csv')"), 0, 'a pattern that matches nothing');
like(error_of("SELECT * FROM kaireon.list_objects('azure', 'none.csv')"), qr/58P01: file "none\.csv" does not exist/, 'a name that is not there');
is($k->sql("SELECT bool_and(etag ~ '^0x[0-9A-F]+\$' AND modified_at > now() - interval '1 hour') FROM kaireon.list_objects('azure', 'daily')"), 't', 'etags and times');
is($k->sql("SELECT ok FROM kaireon.test_connector('azure')"), 't', 'test_connector');

# ---- reading

is(read_sum('azure', 'daily/big.csv'), "$ROWS|$sum", 'a blob of several parts');
is(read_sum('azure', 'daily/[ot]*.csv'), '2|3', 'several');
is(read_sum('azure', 'odd/a b*'), '1|1', 'a name with everything in it');
is(read_sum('azure', 'odd/\[x\].csv'), '1|2', 'a name with brackets');
is($k->sql("SELECT count(*) FROM kaireon.read('azure', 'daily/empty.csv', '{\"columns\": [\"id\"]}') AS t(id bigint)"), 0, 'an empty blob');
is($k->sql("SELECT count(*) FROM (SELECT FROM kaireon.read('azure', 'daily/big.csv') AS t(id bigint, name text) LIMIT 10) AS q"), 10, 'ten rows');
like($k->sql("SELECT kaireon.infer_fields('azure', 'daily/big.csv')"), qr/"integer"/, 'infer_fields');
is($k->sql("SELECT kaireon.preview('azure', 'daily/one.csv') ->> 'name'"), 'one', 'preview');

# ---- the ways to be allowed

my $sas = Peers::azure_sas('rl', $FOREVER);
my %way = (
    sas => [ {}, 'token', { sasToken => $sas } ],
    sas_with_ampersand => [ {}, 'token', { sasToken => "?&$sas&" } ],
    sas_with_question_mark => [ {}, 'token', { sasToken => "?$sas" } ],
    string => [ { endpoint => undef }, 'connection_string',
        { connectionString => "DefaultEndpointsProtocol=http;AccountName=$account;AccountKey=$account_key;BlobEndpoint=http://127.0.0.1:$port/$account/;QueueEndpoint=http://127.0.0.1:1/;" } ],
    string_alone => [ { endpoint => undef, storageAccount => undef }, 'connection_string', { connectionString => "AccountName=$account;AccountKey=$account_key;BlobEndpoint=http://127.0.0.1:$port/$account" } ],
    string_with_sas_alone => [ { endpoint => undef, storageAccount => undef }, 'connection_string', { connectionString => "BlobEndpoint=http://127.0.0.1:$port/$account;SharedAccessSignature=$sas" } ],
    string_with_sas => [ { endpoint => undef }, 'connection_string', { connectionString => "BlobEndpoint=http://127.0.0.1:$port/$account;SharedAccessSignature=$sas" } ]);
for my $name (sort keys %way)
{
    my ($config, $method, $auth) = @{ $way{$name} };
    $config = { %$config, prefix => 'in' };
    my %whole = (storageAccount => $account, container => 'data', endpoint => "http://127.0.0.1:$port/$account", %$config);
    delete @whole{ grep { !defined $whole{$_} } keys %whole };
    $k->sql("SELECT kaireon.create_connector('$name', 'azure_blob_storage', " . $k->json(\%whole) . ", '$method', " . $k->json($auth) . ')');
    is(paths($name, 'daily/*o*.csv') . ' ' . read_sum($name, 'daily/big.csv'), "daily/one.csv daily/two.csv $ROWS|$sum", "$name: listed and read");
}

is($k->sql("SELECT message, details ->> 'names' FROM kaireon.test_connector('azure')"), 'connected; no objects and 2 folders at the base|["daily/", "odd/"]', 'test_connector says what is there');

# ---- more than a page

Peers::azure($port, 'PUT', 'many?restype=container');
my @children;
for my $part (0 .. 3)
{
    my $pid = fork // die "fork: $!";
    push @children, $pid and next if $pid;
    Peers::azure_put($port, 'many', sprintf('%s/%05d.csv', $_ % 2 ? 'odd' : 'even', $_), '') for grep { $_ % 4 == $part } 1 .. 5200;
    POSIX::_exit(0);
}
waitpid $_, 0 for @children;
connector('many', { container => 'many' });
is($k->sql("SELECT count(*), count(DISTINCT path), min(path), max(path) FROM kaireon.list_objects('many', '**')"), '5200|5200|even/00002.csv|odd/05199.csv', 'more than 5,000 blobs');
is($k->sql("SELECT count(*) FROM kaireon.list_objects('many', 'odd/*')"), 2600, 'those of a folder');
is($k->sql("SELECT count(*) FROM kaireon.list_objects('many', '*/0513?.csv')"), 10, 'and of a pattern');

# What the emulator does not do: real folders, names that XML can't hold, a page that comes twice.
my $other_listing = TamperProxy->new($port, sub {
    my ($request, $answer) = @_;
    $answer->{body} =~ s{<Name>in/daily/one\.csv</Name>}{<Name Encoded="true">in%2Fdaily%2Fone.csv</Name>};
    $answer->{body} =~ s{(<Name>in/daily/two\.csv</Name>.*?<Properties>)}{$1<ResourceType>directory</ResourceType>};
    $answer->{body} =~ s{<NextMarker ?/>|<NextMarker></NextMarker>}{<NextMarker>again</NextMarker>} if $request =~ /prefix=in%2Fodd/;
});
connector('other_listing', { prefix => 'in', endpoint => 'http://127.0.0.1:' . $other_listing->port . "/$account" });
is(paths('other_listing', 'daily/*o*.csv'), 'daily/one.csv', 'a name that is encoded, and a folder');
like(error_of("SELECT * FROM kaireon.list_objects('other_listing', 'odd/*')"), qr/08P01: the listing of container "data" does not go on/, 'a listing that does not end');
is($k->sql("SELECT count(*) FROM (SELECT FROM kaireon.read('other_listing', 'daily/big.csv') AS t(id bigint, name text) LIMIT 10) AS q"), 10, 'ten rows of a blob');
my $parts = sub { return scalar grep { m{^GET /\w+/data/in/daily/big\.csv} } $other_listing->log };
my $first = $parts->();
is(read_sum('other_listing', 'daily/big.csv'), "$ROWS|$sum", 'and all of them');
cmp_ok($first, '<', $parts->() - $first, 'which are more requests');

# ---- pipelines

my @fields = ({ name => 'id', dataType => 'integer', isPrimaryKey => \1 }, { name => 'name', dataType => 'text' });
$k->make('big', connector => 'azure', fields => \@fields, source => { resource => 'daily/[bot]*.csv', incremental => \1 }, target => { loadingStrategy => 'upsert' });
my $run = $k->run('big');
is("$run->{status} $run->{rows_read}", 'success ' . ($ROWS + 2), 'a pipeline reads all blobs');
is($k->sql('SELECT count(*), sum(id) FROM ds_big'), "$ROWS|$sum", 'the table has them');
$run = $k->run('big');
is("$run->{status} $run->{rows_read}", 'success 0', 'and none of them again');
put('in/daily/two.csv', $one);
$run = $k->run('big');
is("$run->{status} $run->{rows_read}", 'success 1', 'but one that was written anew');

# moved(NAME, CONNECTOR, FOLDER): a pipeline that loads daily/one.csv and moves it; where that is then.
sub moved
{
    my ($name, $connector, $folder) = @_;
    $k->make($name, connector => $connector, fields => \@fields, source => { resource => 'daily/one.csv' },
        nodes => [ { id => 'done', type => 'archive', config => { successFolder => $folder } } ], target => { loadingStrategy => 'upsert' }) unless $k->sql("SELECT count(*) FROM kaireon.pipelines WHERE name = '$name'");
    is($k->run($name)->{status}, 'success', "$name: a pipeline with an archive");
    $k->poll('the outbox', "SELECT NOT EXISTS (SELECT FROM kaireon.outbox WHERE status <> 'done')") or diag($k->sql('SELECT status, attempts, error_code, error_message FROM kaireon.outbox'));
    like(error_of("SELECT * FROM kaireon.list_objects('azure', 'daily/one.csv')"), qr/58P01/, "$name: it is not where it was");
    return paths('azure', "$folder/**");
}

is(moved('moved', 'azure', 'done/x'), 'done/x/one.csv', 'a blob is moved');
my $head = Peers::azure($port, 'HEAD', 'data/in/done/x/one.csv')->{headers};
is(join(' ', map { $head->{"x-ms-meta-$_"} } qw(who i_ i0)), 'me a b', 'with its metadata');
put('in/daily/one.csv', $one);
is(moved('moved', 'azure', 'done/x'), 'done/x/one.csv done/x/one.csv.1', 'another of its name does not replace it');
put('in/daily/one.csv', $two);
connector('sas_moves', { prefix => 'in' }, 'token', { sasToken => Peers::azure_sas('rwdlc', $FOREVER) });
is(moved('by_sas', 'sas_moves', 'done/sas'), 'done/sas/one.csv', 'a blob is moved with a signature');

# What is leased can't be deleted.
put('in/daily/leased.csv', $one);
my $lease = Peers::azure($port, 'PUT', 'data/in/daily/leased.csv?comp=lease', '', 'x-ms-lease-action' => 'acquire', 'x-ms-lease-duration' => -1)->{headers}{'x-ms-lease-id'};
$k->make('leased', connector => 'azure', fields => \@fields, source => { resource => 'daily/leased.csv' }, nodes => [ { id => 'done', type => 'archive', config => { successFolder => 'done/leased' } } ]);
is($k->run('leased')->{status}, 'success', 'a blob with a lease is loaded');
my $unmoved = "error_code = '58030' AND error_message = 'the store does not let file \"daily/leased.csv\" be deleted: LeaseIdMissing'";
ok($k->poll('the outbox', "SELECT EXISTS (SELECT FROM kaireon.outbox WHERE path = 'daily/leased.csv' AND $unmoved)"), 'but not moved, and the outbox says why');
is(paths('azure', 'd*/leased**'), 'daily/leased.csv', 'it is where it was');
is(paths('azure', 'done/leased/*'), 'done/leased/leased.csv', 'beside its copy');
Peers::azure($port, 'PUT', 'data/in/daily/leased.csv?comp=lease', '', 'x-ms-lease-action' => 'release', 'x-ms-lease-id' => $lease);
$k->sql("SELECT kaireon.retry_outbox('leased')");
ok($k->poll('the outbox', "SELECT status = 'done' FROM kaireon.outbox WHERE path = 'daily/leased.csv'"), 'without the lease it is moved');
is(paths('azure', 'd*/leased**') // '', '', 'and no longer there');
is(paths('azure', 'done/leased/*'), 'done/leased/leased.csv', 'one copy was made');

# A copy that is not made at once: the first answers say so.  The answer to the second copy is lost, the third one fails.
my $pending = TamperProxy->new($port, sub {
    my ($request, $answer, $before) = @_;
    $answer->{head} =~ s/x-ms-copy-status: \w+/x-ms-copy-status: pending/i if $request =~ m{^PUT|^HEAD /\w+/data/in/done/slow/one\.csv } && $before < 3;
    $answer->{head} =~ s/x-ms-copy-status: \w+/x-ms-copy-status: failed/i if $request =~ m{^HEAD /\w+/data/in/done/failed/one\.csv } && $before == 1;
    @$answer{qw(head body)} = ('', '') if $request =~ m{^PUT /\w+/data/in/done/slow/one\.csv\.1 } && $before == 0;
});
connector('slow', { prefix => 'in', endpoint => 'http://127.0.0.1:' . $pending->port . "/$account" });
put('in/daily/one.csv', $one);
is(moved('slowly', 'slow', 'done/slow'), 'done/slow/one.csv', 'a copy that takes its time is waited for');
cmp_ok(scalar(grep { $_ eq "HEAD /$account/data/in/done/slow/one.csv" } $pending->log), '>=', 4, 'by looking again');
put('in/daily/one.csv', $two);
is(moved('slowly', 'slow', 'done/slow'), 'done/slow/one.csv done/slow/one.csv.1', 'a copy of which the answer was lost is not made twice');

put('in/daily/one.csv', $one);
is(moved('failed_copy', 'slow', 'done/failed'), 'done/failed/one.csv', 'a copy that came to nothing is made again');
is(scalar(grep { $_ eq "DELETE /$account/data/in/done/failed/one.csv" } $pending->log), 1, 'and was taken away before');

# ---- a blob that changes while it is read

my $other = $big =~ s/name/NAME/gr;
my $changing = TamperProxy->new($port, sub {
    my ($request) = @_;
    Peers::azure_put($port, 'data', 'in/daily/big.csv', $other) if $request =~ m{^GET /\w+/data/in/daily/big\.csv } && $request =~ /bytes=0-/;
});
connector('changing', { prefix => 'in', endpoint => 'http://127.0.0.1:' . $changing->port . "/$account" });
like(error_of("SELECT count(*) FROM kaireon.read('changing', 'daily/big.csv') AS t(id bigint, name text)"), qr/58030: file "daily\/big\.csv" (?:was changed while it was read|is no longer as it was listed)/,
    'a blob that changes while it is read');

# ---- what is refused

my $short = Peers::azure_sas('rl', '2020-01-01T00:00:00Z');
my $wrong = $sas =~ s/(sig=)..../${1}AAAA/r;
for my $case ([ 'wrong_key', {}, 'access_key', { accountKey => 'AAAA' }, qr/42501: "127\.0\.0\.1" does not allow access to container "data".*AuthorizationFailure.*HINT:.*account's key/s ],
    [ 'wrong_sas', {}, 'token', { sasToken => $wrong }, qr/42501: .*(?:AuthenticationFailed|AuthorizationFailure).*HINT:.*sp=rl/s ],
    [ 'expired', {}, 'token', { sasToken => $short }, qr/42501: .*HINT:  The shared access signature expired at 2020-01-01T00:00:00Z\./s ],
    [ 'may_not_list', {}, 'token', { sasToken => Peers::azure_sas('r', $FOREVER) }, qr/42501: .*AuthorizationPermissionMismatch/s ],
    [ 'no_container', { container => 'nothing' }, 'access_key', undef, qr/58P01: container "nothing" does not exist.*ContainerNotFound.*HINT:  Check storageAccount, container/s ])
{
    my ($name, $config, $method, $auth, $error) = @$case;
    connector($name, $config, $method, $auth);
    my $said = error_of("SELECT * FROM kaireon.list_objects('$name', '*')");
    like($said, $error, $name);
    is($k->sql("SELECT ok FROM kaireon.test_connector('$name')"), 'f', "$name: test_connector says so");
}
# What can't be right is no connector.
for my $case ([ 'no_sas', {}, 'token', { sasToken => 'sv=2021-12-02&sp=rl' }, qr/22023: the shared access signature has no parameter "sig"/ ],
    [ 'no_url', {}, 'token', { sasToken => "$sas junk" }, qr/22023: the shared access signature has a character in it/ ],
    [ 'no_base64', {}, 'access_key', { accountKey => 'no#key' }, qr/22023: the account key is not base64/ ],
    [ 'bad_account', { storageAccount => 'No-Where' }, 'access_key', undef, qr/22023: "No-Where" is not the name of a storage account/ ],
    [ 'bad_container', { container => 'Data/x' }, 'access_key', undef, qr/22023: "Data\/x" is not the name of a container/ ],
    [ 'other_account', {}, 'connection_string', { connectionString => "AccountName=other;AccountKey=$account_key" }, qr/22023: connectionString is for another account than storageAccount "peeracct"/ ],
    [ 'both', {}, 'connection_string', { connectionString => "AccountKey=$account_key;SharedAccessSignature=$sas" }, qr/22023: connectionString has both/ ],
    [ 'neither', {}, 'connection_string', { connectionString => "AccountName=$account" }, qr/22023: connectionString has neither/ ],
    [ 'emulator', {}, 'connection_string', { connectionString => 'UseDevelopmentStorage=true' }, qr/22023: connectionString asks for UseDevelopmentStorage/ ],
    [ 'unknown_part', {}, 'connection_string', { connectionString => "AccountKy=$account_key" }, qr/22023: unknown part "AccountKy" in connectionString.*HINT:.*AccountKey/s ],
    [ 'pasted_key', {}, 'connection_string', { connectionString => $account_key }, qr/22023: connectionString is not a connection string/ ],
    [ 'pasted_sas', {}, 'connection_string', { connectionString => $sas }, qr/22023: unknown part "se" in connectionString/ ])
{
    my ($name, $config, $method, $auth, $error) = @$case;
    like(error_of(creation($name, $config, $method, $auth)), $error, $name);
}
is($k->sql("SELECT count(*) FROM kaireon.connectors WHERE name IN ('no_sas', 'both', 'pasted_sas')"), 0, 'none of them is made');

my $refused = error_of("SELECT kaireon.create_connector('signed_url', 'azure_blob', " . $k->json({ storageAccount => $account, container => 'data', endpoint => "http://127.0.0.1:$port/$account?$sas" }) . ')');
like($refused, qr/22023: invalid value "http:\S+\?\.\.\." for key "endpoint".*HINT: .*a signature belongs in auth_config/s, 'an endpoint with a signature is not taken');

# A server that repeats what it was asked for, whole and cut.
my $echo = TamperProxy->new($port, sub {
    my ($request, $answer, $before) = @_;
    my ($url) = $request =~ /^\S+ (\S+)/;
    my $body = ($before % 2 ? 'x' x (300 - index($url, 'sig=') - 15) : '') . $url;
    @$answer{qw(head body)} = ("HTTP/1.1 400 Bad\r\nContent-Type: text/plain\r\nContent-Length: " . length($body) . "\r\nConnection: close\r\n\r\n", $body);
});
connector('echo', { endpoint => 'http://127.0.0.1:' . $echo->port . "/$account" }, 'token', { sasToken => $sas });
my @said = map { error_of("SELECT * FROM kaireon.list_objects('echo', '*')") } 1 .. 2;
like($_, qr/08P01: "127\.0\.0\.1" did not send container "data".*\*{6}/s, 'what a server repeats is shown without the signature') for @said;
is($k->run($k->make('echoed', connector => 'echo', fields => \@fields, source => { resource => '*.csv' }))->{status}, 'failed', 'also by a run');

# ---- nothing secret anywhere: not in what was said, the server's log, a view or an internal table that is not the vault's

push @said, $refused;
my @secrets = ($account_key, map { my ($sig) = /sig=([^&]+)/; ($sig, $sig =~ s/%(..)/chr hex $1/ger) } $sas, $wrong, $short);
my %places = (
    'the log' => PostgreSQL::Test::Utils::slurp_file($k->node->logfile),
    'errors' => join("\n", @said),
    'views' => $k->sql("SELECT string_agg(query_to_xml(format('SELECT * FROM %s', c.oid::regclass), true, false, '')::text, '') FROM pg_class AS c WHERE c.relkind IN ('v', 'm') AND c.relnamespace = 'kaireon'::regnamespace"));
for my $place (sort keys %places)
{
    is(scalar(grep { index($places{$place}, substr $_, 0, 8) >= 0 } @secrets), 0, "no key and no signature in $place");
}
$k->settled('azure');
done_testing();
