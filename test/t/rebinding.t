# Names whose addresses change between two questions: what counts is the address
# that a connection is made to, each time one is made.  And proxies, which come
# from the connector only.
#
# The reader's resolver is the tests' (names.c): a name answers as the test says,
# and one public address is this machine.
use strict;
use warnings;
use FaultServer;
use File::Basename qw(dirname);
use Kaireon;
use ReaderProxy;
use SshServer;
use Test::More;
use Time::HiRes qw(time);

my ($root, $names) = map { PostgreSQL::Test::Utils::tempdir() } 1 .. 2;
my @compile = (split(' ', $ENV{CC} || 'cc'), '-shared', '-fPIC', '-O1', '-o', "$names/lib.so", dirname(__FILE__) . '/names.c', '-ldl');
system(@compile) == 0 or die "@compile failed";
my $secret = "$names/key";
PostgreSQL::Test::Utils::append_to_file($secret, '0123456789abcdef' x 4);
chmod 0600, $secret;

my $files = PostgreSQL::Test::Utils::tempdir();
my ($server, $second, $proxy) = map { FaultServer->new($files) } 1 .. 3;
my $port = $server->port;
my %proxies = map { $_ => $proxy->url, uc $_ => $proxy->url } qw(http_proxy https_proxy all_proxy);
my %environment = (%proxies, no_proxy => '*', NO_PROXY => '*', LD_PRELOAD => "$names/lib.so", KAIREON_NAMES => $names);
my $prefix = ReaderProxy::install($root, "#!/bin/sh\n" . join('', map { "export $_=$environment{$_}\n" } sort keys %environment) . "exec REAL\n");
@ENV{ keys %proxies } = values %proxies;
my $k = Kaireon->new('rebinding', files => $files, install_path => $prefix, conf => "kaireon.master_key_file = '$secret'\n");
delete @ENV{ keys %proxies };
$k->write_file('small.csv', "id,name\n1,one\n2,two\n");

# name(NAME, ANSWER...): from now on, as if nobody had asked yet.
sub name
{
    my ($name, @answers) = @_;
    unlink "$names/$name.asked", "$names/$name.asked6";
    open my $out, '>', "$names/$name" or die $!;
    print $out map { "$_\n" } @answers;
    close $out;
    return $name;
}

sub asked { return -s "$names/$_[0].asked" // 0; }

sub connector
{
    my ($name, $type, $config, @auth) = @_;
    $k->sql("SELECT kaireon.create_connector('$name', '$type', " . $k->json({ %$config, $type eq 'sftp' ? () : (maxAttempts => 2) }) . (@auth ? ", '$auth[0]', " . $k->json($auth[1]) : '') . ')');
    return $name;
}

sub error_of { return $k->sql_error("\\set VERBOSITY verbose\n$_[0]"); }
sub listing { return "SELECT path FROM kaireon.list_objects('" . ($_[1] // 'anywhere') . "', '$_[0]')"; }
sub read_sum { return $k->sql("SELECT count(*), sum(id) FROM kaireon.read('anywhere', '$_[0]') AS t(id bigint, name text)"); }
sub read_error { return error_of("SELECT count(*) FROM kaireon.read('anywhere', '$_[0]') AS t(id bigint, name text)"); }
sub refused { my ($host, $to) = @_; return qr/42501: connection to "\Q$host\E" is not allowed.*It would go to \Q$to\E, port \d+\. That is not a public address/s; }
sub url { return "http://$_[0]:" . ($_[1] // $port) . '/' . ($_[2] // 'small.csv'); }
sub redirect { return 'to=' . $_[0] =~ s{/}{%2F}gr . '/x'; }

connector('anywhere', 'http_pull', {});
name('public.example', '1.1.1.1');
is(read_sum(url('public.example')), '2|3', 'a name with a public address');
like(read_error(url('nowhere.example')), qr/08001: could not find the address of host "nowhere\.example"/, 'one without any');
like(read_error(url('public.example', $_)), qr/42501: connection to "public\.example" is not allowed.*It would go to 1\.1\.1\.1, port $_\. Ports below 1024 are not open/s, "port $_ of it") for 22, 25, 1023;

# ---- answers that are not public

for my $address ('127.0.0.1', '127.8.8.8', '0.0.0.0', '10.0.0.1', '169.254.169.254', '::1', '::', 'fe80::1', 'fd00::1')
{
    name('inside.example', $address);
    like(read_error(url('inside.example')), refused('inside.example', $address), "a name with the address $address");
}
for my $address ('::ffff:127.0.0.1', '64:ff9b::7f00:1', '2002:7f00:1::1')
{
    name('inside.example', $address);
    like(read_error(url('inside.example')), qr/42501: connection to "inside\.example" is not allowed/, "one with $address");
}
name('both.example', '9.9.9.9 127.0.0.1');
like(read_error(url('both.example')), refused('both.example', '127.0.0.1'), 'the second address counts when the first does not answer');
name('both.example', '127.0.0.1 1.1.1.1');
is(read_sum(url('both.example')), '2|3', 'one that is not allowed does not keep from one that is');

# ---- answers that change

for my $inside ('127.0.0.1', '169.254.169.254')
{
    name('turns.example', '1.1.1.1', $inside);
    is($k->sql(listing(url('turns.example'))), url('turns.example'), 'a name with a public address, for now');
    is(asked('turns.example'), 1, 'is looked up once: what was judged is what is connected to');
    like(error_of(listing(url('turns.example'))), refused('turns.example', $inside), "the next time it is $inside");
    name('turns.example', '1.1.1.1', $inside);
    like(read_error(url('turns.example')), refused('turns.example', $inside), 'so it is where a file is asked for first, and then read');
}

name('loop.example', '127.0.0.1');
like(error_of(listing(url('public.example', $port, redirect(url('loop.example'))))), refused('loop.example', '127.0.0.1'), 'a redirection to a name with an address of this machine');
name('same.example', '1.1.1.1', '127.0.0.1');
like(error_of(listing(url('same.example', $port, redirect(url('same.example', $second->port))))), refused('same.example', '127.0.0.1'), 'one to the same name, which has turned by then');
is(asked('same.example'), 2, 'it was asked for twice');
name('same.example', '1.1.1.1');
is(read_sum(url('same.example', $port, redirect(url('same.example', $second->port)))), '2|3', 'one to the same name that has not');

# ---- the other ways to a server

for my $case ([ 's3', 'amazon_s3', { bucket => 'data', endpoint => "http://turns.example:$port" }, 'none', {} ],
    [ 'azure', 'azure_blob_storage', { storageAccount => 'account', container => 'data', endpoint => "http://turns.example:$port/account" }, 'access_key', { accountKey => 'bm8=' } ],
    [ 'gcs', 'google_cloud_storage', { bucket => 'data', endpoint => "http://turns.example:$port" }, 'none', {} ],
    [ 'by_proxy', 'http_pull', { baseUrl => 'http://public.example', proxy => "http://turns.example:$port" } ])
{
    my ($name, @how) = @$case;
    connector($name, @how);
    name('turns.example', '1.1.1.1');
    $server->log;
    error_of(listing('small.csv', $name));
    isnt(join("\n", $server->log), '', "$name: a server with a public address is asked");
    name('turns.example', '127.0.0.1');
    like(error_of(listing('small.csv', $name)), refused('turns.example', '127.0.0.1'), "$name: it has turned");
    is(join("\n", $server->log), '', "$name: and is not asked any more");
}
name('silent.example', 'wait');
connector('silent', 'http_pull', { baseUrl => "http://silent.example:$port", connectTimeoutSeconds => 1 });
like(error_of(listing('small.csv', 'silent')), qr/08001: could not connect to "silent\.example".*within 1 seconds \(connectTimeoutSeconds\)\. 2 attempts failed/s, 'a name of which nobody says anything');
connector('silent_sftp', 'sftp', { host => 'silent.example', hostKeySha256 => 'A' x 43, connectTimeoutSeconds => 1 }, 'username_password', { username => 'u', password => 'p' });
like(error_of(listing('small.csv', 'silent_sftp')), qr/08001: could not find the address of host "silent\.example".*within 1 seconds \(connectTimeoutSeconds\)/s, 'the same for sftp');
connector('patient', 'http_pull', { baseUrl => "http://silent.example:$port", connectTimeoutSeconds => 600 });
{
    my $session = $k->session;
    name('silent.example', 'wait');
    $session->send(listing('small.csv', 'patient'));
    $k->poll('the question', sub { asked('silent.example') });
    my $from = time;
    $k->sql('SELECT pg_cancel_backend(' . $session->pid . ')');
    $session->result;
    note(sprintf 'cancelled within %d ms, psql included', 1000 * (time - $from));
    like($session->err, qr/57014/, 'cancelled while a name is looked up');
    $session->close;
}
SKIP: {
    skip 'openssh-server is not installed', 2 unless SshServer::here();
    my $ssh = SshServer->new(host_keys => [ 'ed25519' ]);
    connector('ssh', 'sftp', { host => 'turns.example', port => $ssh->port, hostKeySha256 => $ssh->hash('ed25519'), basePath => $files }, 'ssh_key', { username => $ssh->user, privateKey => $ssh->key('id_ed25519') });
    name('turns.example', '1.1.1.1', '127.0.0.1');
    is($k->sql(listing('small.csv', 'ssh')), 'small.csv', 'sftp: a server with a public address');
    like(error_of(listing('small.csv', 'ssh')), refused('turns.example', '127.0.0.1'), 'sftp: it has turned');
}

# ---- what an administrator allows

$k->sql("ALTER SYSTEM SET kaireon.egress_allow = 'loop.example:$port'; SELECT pg_reload_conf()");
$k->poll('the setting', "SELECT current_setting('kaireon.egress_allow') <> ''");
is(read_sum(url('loop.example')), '2|3', 'a name that is allowed may have any address');
like(read_error(url('loop.example', $second->port)), refused('loop.example', '127.0.0.1'), 'at the port that is allowed');
like(read_error(url('127.0.0.1')), refused('127.0.0.1', '127.0.0.1'), 'but its address has to be got by that name');

is(join("\n", $proxy->log), '', 'proxies that the environment names are used by none of all these');
$k->settled('rebinding');
done_testing();
