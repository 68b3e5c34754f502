# Bad connections to real servers: what is slow, cut, reset or silent ends in the
# right rows or the right error, over S3 and over SFTP.
use strict;
use warnings;
use Kaireon;
use Peers;
use SshServer;
use Test::More;
use Toxiproxy;

plan skip_all => Peers::absent('toxiproxy') if Peers::absent('toxiproxy');
my $dir = PostgreSQL::Test::Utils::tempdir();
PostgreSQL::Test::Utils::append_to_file("$dir/key", '0123456789abcdef' x 4);
chmod 0600, "$dir/key";
my $k = Kaireon->new('faults', conf => "kaireon.master_key_file = '$dir/key'\nkaireon.egress_allow = '127.0.0.1'\n");
my $files = $k->files;
my $ROWS = 60_000;              # about 3 MB
my $sum = $ROWS * ($ROWS + 1) / 2;
mkdir "$files/in";
$k->write_rows('in/big.csv', $ROWS, sub { "$_[0],name of number $_[0] which is rather long" }, 'id,name');
$k->write_file("in/$_.csv", "id,name\n-$_,small\n") for 1 .. 3;

# The servers: each starts, gets the files and says how a connector gets to it through a port.
my ($s3, $ssh);
my %servers = (
    s3 => sub {
        $s3 = Peers::absent('versitygw') ? Peers::seaweedfs() : Peers::versitygw();
        Peers::s3($s3->{port}, 'PUT', 'data');
        Peers::s3_put($s3->{port}, 'data', "in/$_.csv", "$files/in/$_.csv") for 'big', 1 .. 3;
        my %auth = (accessKeyId => $Peers::S3_ID, secretAccessKey => $Peers::S3_SECRET);
        return ($s3->{port}, 'amazon_s3', sub { { bucket => 'data', endpoint => "http://127.0.0.1:$_[0]" } }, 'access_key', \%auth);
    },
    sftp => sub {
        $ssh = SshServer->new;
        my %auth = (username => $ssh->user, privateKey => $ssh->key('id_ed25519'));
        return ($ssh->port, 'sftp', sub { { host => '127.0.0.1', port => $_[0], basePath => $files, knownHosts => $ssh->known_hosts =~ s/(?<=:)\d+/$_[0]/gr } }, 'ssh_key', \%auth);
    });
my ($server, $proxy, $type, $config, @auth);

sub connector
{
    my ($name, %more) = @_;
    $k->sql("SELECT kaireon.create_connector('$name', '$type', " . $k->json({ %{ $config->($proxy->port) }, %more }) . ", '$auth[0]', " . $k->json($auth[1]) . ')');
    return;
}

# The count of the rows and the sum of their ids, or the error.
sub read_sum
{
    my ($connector, $path) = @_;
    my ($code, $out, $err) = $k->node->psql('postgres', "\\set VERBOSITY verbose\nSELECT count(*), sum(id) FROM kaireon.read('$connector', '$path') AS t(id bigint, name text)");
    return $code ? $err : $out;
}

# What only takes time or has to be asked for again.
sub overcome
{
    for my $case ([ 'latency', [ latency => { latency => 60, jitter => 40 } ] ], [ 'little pieces', [ slicer => { average_size => 900, size_variation => 500, delay => 5 } ] ],
        [ 'a narrow line', [ bandwidth => { rate => 3000 } ] ], [ 'connections that end after 700 kB', [ limit_data => { bytes => 700_000 } ] ],
        [ 'requests in little pieces', [ slicer => { average_size => 40, size_variation => 20, delay => 5 }, stream => 'upstream' ] ])
    {
        my ($what, @toxics) = @$case;
        $proxy->toxic(@$_) for @toxics;
        is(read_sum("patient_$server", 'in/big.csv'), "$ROWS|$sum", "$server: $what");
        $proxy->heal;
    }
    return if $server ne 's3';  # SFTP gives a connection up sooner than chance can be relied on
    $proxy->toxic(reset_peer => { timeout => 0 }, toxicity => 0.5);
    is(read_sum("patient_$server", 'in/big.csv'), "$ROWS|$sum", "$server: every second connection is reset");
    $proxy->heal;
    return;
}

# What can't be overcome.
sub given_up
{
    for my $case ([ 'silence', qr/08006: "127\.0\.0\.1" was too slow/, [ timeout => { timeout => 0 } ] ], [ 'silence after 700 kB', qr/08006: "127\.0\.0\.1" was too slow/, [ bandwidth => { rate => 0 } ] ],
        [ 'connections that end at once', qr/08006: the connection to "127\.0\.0\.1" broke|08001: could not connect to "127\.0\.0\.1"/, [ limit_data => { bytes => 1 } ] ],
        [ 'each is reset, sooner or later', qr/08006: the connection to "127\.0\.0\.1" broke/, [ reset_peer => { timeout => 300 } ] ], [ 'each is reset', qr/08006: the connection to "127\.0\.0\.1" broke|08001: could not connect to "127\.0\.0\.1"/, [ reset_peer => { timeout => 0 } ] ])
    {
        my ($what, $error, @toxics) = @$case;
        $proxy->toxic(@$_) for @toxics;
        like(read_sum("hasty_$server", 'in/big.csv'), $error, "$server: $what");
        $proxy->heal;
    }
    $proxy->enable(0);
    like(read_sum("hasty_$server", 'in/big.csv'), qr/08001: could not connect to "127\.0\.0\.1"/, "$server: nobody listens");
    $proxy->heal;
    is(read_sum("hasty_$server", 'in/big.csv'), "$ROWS|$sum", "$server: all is well again");
    return;
}

# A cancelled statement does not wait for who is silent.
sub cancelled
{
    $proxy->toxic('timeout', { timeout => 0 });
    my $session = $k->session;
    $session->send("SELECT count(*) FROM kaireon.read('patient_$server', 'in/big.csv') AS t(id bigint)");
    $k->poll('the reader', sub { scalar $k->readers });
    $k->sql('SELECT pg_cancel_backend(' . $session->pid . ')');
    $session->result;
    like($session->err, qr/57014/, "$server: cancelled while the server is silent");
    $session->close;
    $proxy->heal;
    return;
}

sub loaded
{
    $k->make("all_$server", connector => "patient_$server", fields => [ { name => 'id', dataType => 'integer', isPrimaryKey => \1 }, { name => 'name', dataType => 'text' } ],
        source => { resource => 'in/*.csv', incremental => \1 }, target => { loadingStrategy => 'upsert' });
    $proxy->toxic(limit_data => { bytes => 500_000 });
    $proxy->toxic(slicer => { average_size => 20_000, size_variation => 5000, delay => 5 });
    my $run = $k->run("all_$server");
    is("$run->{status} $run->{rows_read}", 'success ' . ($ROWS + 3), "$server: a pipeline over connections that are cut");
    is($k->sql("SELECT count(*), count(DISTINCT id), sum(id) FROM ds_all_$server"), join('|', $ROWS + 3, $ROWS + 3, $sum - 6), "$server: has every row once");
    $run = $k->run("all_$server");
    is("$run->{status} $run->{rows_read}", 'success 0', "$server: and nothing again");
    $proxy->heal;
    return;
}

for ('s3', 'sftp')
{
    $server = $_;
    SKIP: { skip 'openssh-server is not installed', 1 if $server eq 'sftp' && !SshServer::here(); }
    next if $server eq 'sftp' && !SshServer::here();
    (my $to, $type, $config, @auth) = $servers{$server}->();
    $proxy = Toxiproxy->new($to);
    my @attempts = $server eq 's3' ? (maxAttempts => 30) : ();
    connector("patient_$server", @attempts, idleTimeoutSeconds => 60);
    connector("hasty_$server", (map { $_ eq 'maxAttempts' ? $_ : 2 } @attempts), idleTimeoutSeconds => 1, connectTimeoutSeconds => 2);
    is(read_sum("patient_$server", 'in/*.csv'), ($ROWS + 3) . '|' . ($sum - 6), "$server: nothing is wrong");
    overcome();
    given_up();
    cancelled();
    loaded();
}
$k->settled('faults');
done_testing();
