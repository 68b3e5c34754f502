# Files of SSH servers: a real sshd, and what goes wrong with one.
use strict;
use warnings;
use IO::Socket::INET;
use Kaireon;
use SshServer;
use Test::More;
use Time::HiRes qw(time);

plan skip_all => 'openssh-server is not installed' unless SshServer::here();

my $secret = PostgreSQL::Test::Utils::tempdir() . '/key';
PostgreSQL::Test::Utils::append_to_file($secret, '0123456789abcdef' x 4);
chmod 0600, $secret;
my $k = Kaireon->new('sftp', conf => "kaireon.master_key_file = '$secret'\n");
my $server = SshServer->new(password => 'open sesame');
my $port = $server->port;
my $files = $k->files;
my %server = (host => '127.0.0.1', port => $port, knownHosts => $server->known_hosts, basePath => $files, idleTimeoutSeconds => 20);
my @by_key = ('ssh_key', { username => $server->user, privateKey => $server->key('id_ed25519') });

sub creation
{
    my ($name, $config, $method, $auth) = @_;
    ($method, $auth) = @by_key unless $method;
    return "SELECT kaireon.delete_connector(name) FROM kaireon.connectors WHERE name = '$name';"
        . " SELECT kaireon.create_connector('$name', 'sftp', " . $k->json({ %server, %$config }) . ", '$method', " . $k->json($auth) . ')';
}

sub connector
{
    $k->sql(creation(@_));
    return $_[0];
}

sub error_of { return $k->sql_error("\\set VERBOSITY verbose\n$_[0]"); }

sub list
{
    my ($resource, $connector) = @_;
    return join ' ', split /\n/, $k->sql("SELECT path FROM kaireon.list_objects('" . ($connector // 'ssh') . "', '$resource')");
}

sub list_error { return error_of("SELECT * FROM kaireon.list_objects('" . ($_[1] // 'ssh') . "', '$_[0]')"); }

sub read_sum
{
    my ($path, $connector) = @_;
    return $k->sql("SELECT count(*), sum(id) FROM kaireon.read('" . ($connector // 'ssh') . "', '$path') AS t(id bigint, name text)");
}

sub read_error
{
    my ($path, $connector) = @_;
    return error_of("SELECT count(*) FROM kaireon.read('" . ($connector // 'ssh') . "', '$path') AS t(id bigint, name text)");
}

mkdir "$files/$_" for 'in', 'in/deep', 'in/deep/er', 'in/.hidden', 'many', 'empty';
$k->write_file('in/a.csv', "id,name\n1,one\n2,two\n");
$k->write_file('in/b.csv', "id,name\n3,three\n");
$k->write_file("in/$_", "id,name\n9,nine\n") for 'c.txt', '.hidden.csv', 'deep/d.csv', 'deep/er/e.csv', '.hidden/f.csv', "sp ace.csv", "\xc3\xa9.csv", '[x].csv';
$k->write_file('in/none.csv', '');
symlink 'a.csv', "$files/in/link.csv";
symlink 'deep', "$files/in/round";
symlink 'nowhere', "$files/in/broken.csv";
my $ROWS = 600_000;             # about 30 MB
$k->write_rows('big.csv', $ROWS, sub { "$_[0],name of number $_[0] which is rather long" }, 'id,name');
my $sum = $ROWS * ($ROWS + 1) / 2;

# ---- where connections may go

connector('ssh', {});
like(list_error(''), qr/42501: connection to "127\.0\.0\.1" is not allowed.*HINT:.*kaireon\.egress_allow/s, 'the machine itself is not reached without leave');
$k->sql("ALTER SYSTEM SET kaireon.egress_allow = '127.0.0.1'; SELECT pg_reload_conf()");
$k->poll('the setting', "SELECT current_setting('kaireon.egress_allow') <> ''");

# ---- listing

my $csv = "in/[x].csv in/a.csv in/b.csv in/link.csv in/none.csv in/sp ace.csv in/\xc3\xa9.csv";
is(list('in/*.csv'), $csv, 'a pattern');
is(list('in'), $csv =~ s/b\.csv/b.csv in\/c.txt/r, 'a folder');
is(list("$files/in/a.csv"), 'in/a.csv', 'a whole path below basePath');
is(list('in/**/*.csv'), $csv =~ s/b\.csv/b.csv in\/deep\/d.csv in\/deep\/er\/e.csv/r, 'a pattern for folders of any depth does not go through links');
is(list('in/round/*.csv'), 'in/round/d.csv', 'but a link may be named');
is(list('in/.hid*'), 'in/.hidden.csv', 'hidden names are asked for');
is(list('in/[x].csv'), 'in/[x].csv', 'what has the very name is meant');
is(list('in/x*'), '', 'a pattern without matches');
is(list('empty'), '', 'an empty folder');
is($k->sql(q(SELECT kaireon.describe('ssh', './in/', '{"pattern": {"type": "regex", "value": "deep/.*/e\\\\.csv"}}') ->> 'path')), 'in/deep/er/e.csv', 'a regular expression');
is($k->sql(q(SELECT count(*) FROM kaireon.preview('ssh', 'in', '{"pattern": {"type": "dateGlob", "value": "x/{YYYY}/*.csv"}}'))), 0, 'a folder of a date that is not there');
is($k->sql("SELECT size, modified_at = to_timestamp(" . (stat "$files/in/a.csv")[9] . ") FROM kaireon.list_objects('ssh', 'in/a.csv')"), '20|t', 'size and time');
like(list_error('in/gone.csv'), qr/58P01: file "in\/gone\.csv" does not exist/, 'a file that is not there');
like(list_error('gone/*.csv'), qr/58P01: directory "gone" does not exist/, 'a folder that is not there');
like(list_error('in/../big.csv'), qr/42501: .*contains "\.\."/, '..');
like(list_error('/etc/passwd'), qr/42501: .*does not lie below basePath/, 'a path that lies elsewhere');
for (1 .. 5000) { $k->write_file("many/$_", ''); }
is($k->sql("SELECT count(*) FROM kaireon.list_objects('ssh', 'many')"), 5000, 'a folder of 5,000');
is($k->sql("SELECT count(*) FROM kaireon.read('ssh', 'many/12*') AS t(n int)"), 0, 'files without a byte have no rows');
SKIP: {
    skip 'root may read everything', 2 if $< == 0;
    chmod 0, "$files/in/b.csv", "$files/empty";
    like(read_error('in/b.csv'), qr/42501: no permission to read file "in\/b\.csv"/, 'a file that may not be read');
    like(list_error('empty'), qr/42501: no permission to read directory "empty"/, 'a folder that may not');
    chmod 0644, "$files/in/b.csv";
    chmod 0755, "$files/empty";
}

# ---- reading

is(read_sum('in/a.csv'), '2|3', 'a file');
is(read_sum('in/link.csv'), '2|3', 'a link to one');
is(read_sum('in/[ab].csv'), '3|6', 'several');
is(read_sum('big.csv'), "$ROWS|$sum", 'a big one');
is($k->sql("SELECT count(*) FROM kaireon.read('ssh', 'in/none.csv', '{\"columns\": [\"id\"]}') AS t(id bigint)"), 0, 'an empty one');
is($k->sql("SELECT id FROM kaireon.read('ssh', 'big.csv') AS t(id bigint) LIMIT 2"), "1\n2", 'a few rows');
connector('home', { basePath => substr($files, 1) . '/in' });
like(list_error('a.csv', 'home'), qr/58P01/, 'basePath without a slash in front is below the login folder');
is($k->sql("SELECT ok FROM kaireon.test_connector('ssh')"), 't', 'test_connector');
is($k->sql("SELECT count(*) FROM kaireon.preview('ssh', 'in/a.csv')"), 2, 'preview');
like($k->sql("SELECT kaireon.infer_fields('ssh', 'in/a.csv')"), qr/id.*integer/s, 'infer_fields');

# ---- the server's key

for my $case ([ 'plain lines', { knownHosts => $server->known_hosts } ], [ 'hashed names', { knownHosts => $server->hashed } ],
    [ 'among others', { knownHosts => "# a comment\n\nother.example ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBadbadbadbadbadbadbadbadbadbadbadbadbadbad0\n" . $server->known_hosts } ],
    [ 'the ed25519 line alone', { knownHosts => join '', grep { /ed25519/ } split /^/, $server->known_hosts } ],
    (map { my $type = $_; ([ "hash of $type", { hash => $server->hash($type) } ], [ "hash of $type without its name, padded", { hash => $server->hash($type) =~ s/SHA256://r . '=' } ]) } 'ed25519', 'ecdsa'))
{
    my ($name, $keys) = @$case;
    connector('known', { knownHosts => $keys->{knownHosts} // '', $keys->{hash} ? (hostKeySha256 => $keys->{hash}) : () });
    is(list('in/a.csv', 'known'), 'in/a.csv', $name);
}
my $other = SshServer->new;
my $others = join '', map { s/^\S+/[127.0.0.1]:$port/r } split /^/, $other->known_hosts;
my $shown = join '|', map { quotemeta $server->hash($_) } 'ed25519', 'ecdsa';
connector('known', { knownHosts => $others });
like(list_error('', 'known'), qr/42501: "127\.0\.0\.1" has another key than the known one.*DETAIL:.*($shown).*HINT:.*ssh-keyscan -p $port/s, 'another key');
connector('known', { knownHosts => '', hostKeySha256 => $other->hash('ed25519') });
like(list_error('', 'known'), qr/42501: "127\.0\.0\.1" has another key than the known one.*DETAIL:.*($shown)/s, 'another hash');
like(error_of(creation('known', { knownHosts => $other->known_hosts })), qr/22023: knownHosts has no line for "\[127\.0\.0\.1\]:$port"/, 'a host that is not listed');
connector('known', { knownHosts => $server->known_hosts . join '', map { "\@revoked * " . (split ' ', $_, 2)[1] } split /^/, $server->known_hosts });
like(list_error('', 'known'), qr/42501: the key of "127\.0\.0\.1" is marked as revoked/, 'a revoked key');
connector('known', { knownHosts => join '', grep { /ssh-rsa/ } split /^/, $server->known_hosts });
like(list_error('', 'known'), qr/08001: "127\.0\.0\.1" has no key of a type that is known.*HINT:.*ed25519/s, 'only an RSA key is known') if `dpkg-query -W libssh2-1 2>&1` =~ /1\.10/;
like(error_of(creation('known', { knownHosts => ' ' })), qr/22023: connector has neither hostKeySha256 nor knownHosts.*HINT:.*ssh-keyscan -p $port 127\.0\.0\.1/s, 'no key is given');
like(error_of(creation('known', { knownHosts => '', hostKeySha256 => 'SHA256:short' })), qr/22023: hostKeySha256 is not/, 'no hash');

is($k->sql("SELECT message, details ->> 'names' FROM kaireon.test_connector('ssh')"), 'connected; 1 object and 3 folders at the base|["big.csv", "empty/", "in/", "many/"]', 'test_connector says what is there');

connector('nowhere', { basePath => "$files/nowhere" });
is($k->sql("SELECT details ->> 'sqlstate', details ->> 'hint' FROM kaireon.test_connector('nowhere')"), "58P01|It is the connector's basePath, which has to be a directory; upper and lower case count.", 'a basePath that is not there');

# ---- who logs in

for my $name ('id_ed25519', 'id_ecdsa')
{
    connector('key', {}, 'ssh_key', { username => $server->user, privateKey => $server->key($name) });
    is(list('in/a.csv', 'key'), 'in/a.csv', $name);
}
for my $name ('id_ed25519_phrase', 'id_ecdsa_phrase', 'id_pem')
{
    connector('key', {}, 'ssh_key', { username => $server->user, privateKey => $server->key($name), passphrase => 'pass phrase' });
    is(list('in/a.csv', 'key'), 'in/a.csv', $name);
    connector('key', {}, 'ssh_key', { username => $server->user, privateKey => $server->key($name), passphrase => 'pass word' });
    my $error = list_error('', 'key');
    like($error, qr/28000: privateKey can't be opened with the passphrase/, "$name: wrong passphrase");
    unlike($error, qr/pass word|PRIVATE/, "$name: it is in no error");
    connector('key', {}, 'ssh_key', { username => $server->user, privateKey => $server->key($name) });
    like(list_error('', 'key'), qr/28000: privateKey can't be opened/, "$name: no passphrase");
}
connector('key', {}, 'ssh_key', { username => $server->user, privateKey => $server->key('id_stranger') });
like(list_error('', 'key'), qr/28000: "127\.0\.0\.1" does not accept the private key.*HINT:.*authorized keys/s, 'a key that is not authorized');
connector('key', {}, 'ssh_key', { username => 'nobody at all', privateKey => $server->key('id_ed25519') });
like(list_error('', 'key'), qr/28000: "127\.0\.0\.1" does not accept the private key of user "nobody at all"/, 'an unknown user');
connector('key', {}, 'ssh_key', { username => $server->user, privateKey => $server->key('id_rsa') });
like(list_error('', 'key'), qr/28000: .*HINT:.*RSA key.*ed25519/s, 'an RSA key') if `dpkg-query -W libssh2-1 2>&1` =~ /1\.10/;
like(error_of(creation('key', {}, 'ssh_key', { username => $server->user, privateKey => 'no key' })), qr/22023: privateKey is no private key/, 'no key');
connector('word', {}, 'username_password', { username => $server->user, password => 'open sesame' });
is(list('in/a.csv', 'word'), 'in/a.csv', 'a password');
connector('word', {}, 'username_password', { username => $server->user, password => 'open barley' });
my $refused = list_error('', 'word');
like($refused, qr/28000: "127\.0\.0\.1" does not accept the password of user/, 'a wrong password');
unlike($refused, qr/barley/, 'which is in no error');

# ---- pipelines

my @fields = ({ name => 'id', dataType => 'integer', isPrimaryKey => \1 }, { name => 'name', dataType => 'text' });
for my $source ([ 'ssh', 'over_ssh' ], [ 'files', 'from_disk' ])
{
    $k->make($source->[1], $source->[0] eq 'files' ? () : (connector => $source->[0]), fields => \@fields, source => { resource => 'big.csv' });
    is($k->run($source->[1])->{status}, 'success', "a pipeline: $source->[1]");
}
is($k->sql('SELECT count(*) FROM (SELECT id, name FROM ds_over_ssh EXCEPT SELECT id, name FROM ds_from_disk) AS d'), 0, 'the tables are equal');
is($k->sql('SELECT count(*) FROM ds_over_ssh'), $ROWS, 'and whole');

mkdir "$files/fed";
$k->write_file("fed/$_.csv", "id,name\n$_,x\n") for 1, 2;
$k->write_file('fed/3.csv', "x,name\n3,y\n");
$k->make('fed', connector => 'ssh', fields => \@fields, execution => { commit => 'file' },
    source => { resource => 'fed', pattern => { type => 'regex', value => '\d\.csv' }, header => \1, incremental => \1, changedFiles => 'fail', onFileError => 'skip' });
my $fed = $k->run('fed');
is("$fed->{status} $fed->{rows_loaded}", 'partial 2', 'a file that fails is left out');
unlink "$files/fed/3.csv";
is($k->run('fed')->{rows_read}, 0, 'no other is read again');
$k->write_file('fed/2.csv', "id,name\n2,x\n4,x\n");
like($k->run('fed')->{error_detail}, qr/^"fed\/2\.csv" had 12 bytes of .* and has 16 bytes of .* now\.$/, 'one that has changed fails the run, where that is wanted');

mkdir "$files/box";
$k->write_file("box/$_.csv", "id,name\n$_,x\n") for 1, 2;
$k->make('archived', connector => 'ssh', fields => \@fields, source => { resource => 'box/*.csv' },
    nodes => [ { id => 'away', type => 'archive', config => { successFolder => 'done/deeper', failureFolder => 'bad' } } ]);
is($k->run('archived')->{status}, 'success', 'an archive node');
is(list('box'), '', 'its files are gone');
is(list('done/**'), 'done/deeper/1.csv done/deeper/2.csv', 'and in the folder');
$k->write_file('box/1.csv', "id,name\n7,x\n");
is($k->run('archived')->{rows_loaded}, 1, 'a file of the same name is another');
is(list('done/**'), 'done/deeper/1.csv done/deeper/1.csv.1 done/deeper/2.csv', 'and overwrites nothing');
for my $id (8, 9)
{
    $k->write_file('box/' . 'n' x 251 . '.csv', "id,name\n$id,x\n");
    is($k->run('archived')->{rows_loaded}, 1, 'a name of 255 bytes');
}
ok(-e "$files/done/deeper/" . 'n' x 251 . '.c.1', 'makes room for a number');

# The run dies before it has noted that a file is moved, and one of the same path, size and time comes.
mkdir "$files/desk";
$k->make('staged', connector => 'ssh', fields => \@fields, source => { resource => 'desk/*.csv', atomicity => { stagingFolder => 'work', successFolder => 'desk_done' } });
$k->write_file('desk/a.csv', "id,name\n1,x\n");
$k->write_file('desk/b.csv', "id,name\nx,x\n");
is($k->run('staged')->{error_code}, '22P02', 'a run that leaves claims');
$k->sql("UPDATE kaireon_internal.outbox SET status = 'pending', moved_to = NULL, staged_size = NULL, staged_modified_at = NULL, staged_etag = NULL WHERE path = 'desk/a.csv'");
$k->sql("DELETE FROM kaireon_internal.outbox WHERE path = 'desk/b.csv'");
$k->write_file('desk/a.csv', "id,name\n2,x\n");
system('touch', '-r', glob("$files/work/*-a.csv"), "$files/desk/a.csv") == 0 or die 'touch';
for my $ids ('1', '1 2')
{
    is($k->run('staged')->{rows_loaded}, 1, 'a file that was claimed is loaded before another in its place');
    is($k->sql("SELECT string_agg(id::text, ' ' ORDER BY id) FROM ds_staged"), $ids, 'each once');
}

# ---- what breaks

# rest(CURSOR): how many rows are left, and the sum of their ids.
$k->sql(q{CREATE FUNCTION rest(c refcursor) RETURNS text LANGUAGE plpgsql AS $$
DECLARE r record; n bigint := 0; s numeric := 0;
BEGIN LOOP FETCH c INTO r; EXIT WHEN NOT FOUND; n := n + 1; s := s + r.id; END LOOP; RETURN n || '|' || s; END $$});

# through(CONNECTOR, CODE): reads a row of the big file, runs CODE, reads the rest: what rest() says, or the error.
sub through
{
    my ($connector, $code) = @_;
    my $session = $k->session;
    my $first = $session->query("BEGIN; DECLARE c NO SCROLL CURSOR FOR SELECT id FROM kaireon.read('$connector', 'big.csv') AS t(id bigint); FETCH 1 FROM c");
    is($first, 1, 'a reader is at work');
    $code->();
    my $rest = $session->query("SELECT rest('c')");
    my $error = $session->err;
    $session->close;
    return $rest || $error;
}

my $rest = ($ROWS - 1) . '|' . ($sum - 1);
is(through('ssh', sub { }), $rest, 'nothing happens');
is(through('ssh', sub { ok($server->cut, 'the sessions are ended') }), $rest, 'a broken connection is made again, and the file goes on');
connector('hasty', { idleTimeoutSeconds => 1 });
is(through('hasty', sub { ok($server->cut('STOP'), 'the sessions are halted') }), $rest, 'so is one that is silent');
$server->cut;
connector('hurried', { totalTimeoutSeconds => 1 });
like(through('hurried', sub { $server->cut('STOP') }), qr/08006: "127\.0\.0\.1" took longer than 1 seconds to read file "big\.csv".*HINT:.*totalTimeoutSeconds/s, 'but for one that takes longer than it may in all');
$server->cut;
is(through('ssh', sub { $server->stop; $server->start }), $rest, 'the server is started anew');
like(through('ssh', sub { utime 1, 1, "$files/big.csv"; $server->cut }), qr/58030: file "big\.csv" changed while it was read/, 'the file is another by then');
like(through('ssh', sub { $server->stop }), qr/08001: could not connect to "127\.0\.0\.1", port $port/, 'the server is gone');
like(list_error(''), qr/08001: could not connect to "127\.0\.0\.1", port $port/, 'and stays so');
$server->start;

my $mute = IO::Socket::INET->new(Listen => 10, LocalAddr => '127.0.0.1') or die $!;
connector('mute', { port => $mute->sockport, knownHosts => '', hostKeySha256 => $server->hash('ed25519'), idleTimeoutSeconds => 1 });
like(list_error('', 'mute'), qr/08006: "127\.0\.0\.1" was too slow to begin a session/, 'a server that says nothing');
connector('mute', { port => $mute->sockport, knownHosts => '', hostKeySha256 => $server->hash('ed25519'), totalTimeoutSeconds => 1 });
like(list_error('', 'mute'), qr/08006: "127\.0\.0\.1" took longer than 1 seconds to begin a session/, 'no longer than all may take');
connector('mute', { port => $mute->sockport, knownHosts => '', hostKeySha256 => $server->hash('ed25519'), idleTimeoutSeconds => 600 });
{
    my $session = $k->session;
    $session->send("SELECT * FROM kaireon.list_objects('mute', '')");
    $k->poll('the reader', sub { scalar $k->readers });
    my $from = time;
    $k->sql('SELECT pg_cancel_backend(' . $session->pid . ')');
    $session->result;
    like($session->err, qr/57014/, 'cancelled while the server says nothing');
    note(sprintf 'within %d ms', 1000 * (time - $from));
    $session->close;
}
$k->settled('at the end');
$server->stop;
$other->stop;
done_testing();
