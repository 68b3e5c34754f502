# Files behind URLs: what servers do right and wrong, and where connections may go.
use strict;
use warnings;
use FaultServer;
use Kaireon;
use ProxyServer;
use Test::More;
use Time::HiRes qw(time);

my $key = PostgreSQL::Test::Utils::tempdir() . '/key';
open my $out, '>', $key or die "$key: $!";
print $out '0123456789abcdef' x 4;
close $out;
chmod 0600, $key;
my $k = Kaireon->new('http_pull', conf => "kaireon.master_key_file = '$key'\n");
my $server = FaultServer->new($k->files);
my $ROWS = 60_000;              # about 3 MB: several parts
$k->write_rows('a.csv', $ROWS, sub { "$_[0],name of number $_[0] which is rather long" }, 'id,name');
$k->write_file('small.csv', "id,name\n1,one\n2,two\n");
$k->write_file('empty.csv', '');
my $sum = $ROWS * ($ROWS + 1) / 2;

sub connector
{
    my ($name, $config, @auth) = @_;
    $k->sql("SELECT kaireon.create_connector('$name', 'http_pull', " . $k->json($config)
        . (@auth ? ", '$auth[0]', " . $k->json($auth[1]) : '') . ", if_not_exists => true)");
    return $name;
}

sub error_of { return $k->sql_error("\\set VERBOSITY verbose\n$_[0]"); }

# read(PATH, CONNECTOR): how many rows, and the sum of their ids.
sub read_sum
{
    my ($path, $connector) = @_;
    return $k->sql("SELECT count(*), sum(id) FROM kaireon.read('" . ($connector // 'web') . "', '$path') AS t(id bigint, name text)");
}

sub read_error
{
    my ($path, $connector) = @_;
    return error_of("SELECT count(*) FROM kaireon.read('" . ($connector // 'web') . "', '$path') AS t(id bigint, name text)");
}

# ---- where connections may go

connector('web', { baseUrl => $server->url, maxAttempts => 3, idleTimeoutSeconds => 1 });
connector('patient', { baseUrl => $server->url, maxAttempts => 8, idleTimeoutSeconds => 600 });
like(read_error('small.csv'), qr/42501: connection to "127\.0\.0\.1" is not allowed.*not a public address.*HINT:.*kaireon\.egress_allow/s,
    'the machine itself is not reached without leave');
$k->sql("ALTER SYSTEM SET kaireon.egress_allow = '127.0.0.1:" . $server->port . "'; SELECT pg_reload_conf()");
$k->poll('the setting', "SELECT current_setting('kaireon.egress_allow') <> ''");
is(read_sum('small.csv'), '2|3', 'with leave it is');

my $port = $server->port;
for my $host ('2130706433', '0x7f000001', '0177.0.0.1', '127.1', '[::ffff:127.0.0.2]', '[::1]', '0.0.0.0', '169.254.169.254', '10.1.2.3', '[fe80::1]', '100.64.0.1', '[64:ff9b::7f00:1]',
    '[2002:7f00:1::]', '224.0.0.1', '255.255.255.255', 'localhost', '0x7f.0.0.1', '0x7f.1', '017700000001', '[::ffff:7f00:2]', '[::]', '[::127.0.0.1]', '0')
{
    connector('odd', { baseUrl => "http://$host:" . ($port + 1), maxAttempts => 1, connectTimeoutSeconds => 3 });
    like(read_error('small.csv', 'odd'), qr/42501: connection to "[^"]*" is not allowed/, "$host");
    $k->sql("SELECT kaireon.delete_connector('odd')");
}
for my $case ([ "http://user:pw\@127.0.0.1:$port", qr/user name/ ], [ 'gopher://127.0.0.1/', qr/http or https/ ], [ 'file:///etc/passwd', qr/http or https/ ], [ "http://127.0.0.1:$port/a\r\nX: y", qr/./ ])
{
    like(error_of("SELECT kaireon.create_connector('odd', 'http_pull', " . $k->json({ baseUrl => $case->[0] }) . "); SELECT * FROM kaireon.list_objects('odd', 'a')"),
        qr/(22023|42501): .*$case->[1]/s, 'refused: ' . $case->[0] =~ s/[\r\n]/./gr);
    $k->sql("SELECT kaireon.delete_connector(name) FROM kaireon.connectors WHERE name = 'odd'");
}
connector('anywhere', {});
for my $resource ("http://public.example\@127.0.0.1:$port/small.csv", "http://127.0.0.1:$port\\\@public.example/small.csv", 'gopher://127.0.0.1/x',
    'file:///etc/passwd', 'dict://127.0.0.1/x', "http://127.0.0.1:$port/small.csv\r\nX-Key: y", "http://127.0.0.1:$port/small.csv HTTP/1.1")
{
    $server->log;
    like(read_error($resource, 'anywhere'), qr/(22023|42501): /, 'resource ' . $resource =~ s/[\r\n]/./gr);
    is(join("\n", $server->log), '', 'is not asked for');
}
for my $to ("http:%2F%2F169.254.169.254%2Flatest%2F", "http:%2F%2F127.0.0.1:1%2Fa.csv", "http:%2F%2F[::1]:$port%2Fa.csv")
{
    like(read_error($server->url("/to=$to/a.csv"), 'anywhere'), qr/42501: connection to "[^"]*" is not allowed/, "redirected to $to");
}
for my $to ('file:%2F%2F%2Fetc%2Fpasswd', 'gopher:%2F%2F127.0.0.1%2F', 'ftp:%2F%2F127.0.0.1%2F', 'dict:%2F%2F127.0.0.1%2F', "http:%2F%2F127.0.0.1:$port%5C\@public.example%2Fa.csv", "http:%2F%2Fu:p\@127.0.0.1:$port%2Fa.csv")
{
    like(read_error($server->url("/to=$to/a.csv"), 'anywhere'), qr/22023: .*not a URL that can be used/, "redirected to $to");
}
like(read_error('a.csv', 'anywhere'), qr/22023: .*needs baseUrl/, 'a path without baseUrl');

# ---- what goes wrong and is put right

is(read_sum('a.csv'), "$ROWS|$sum", 'all of a file of several parts');
is(read_sum($_, 'patient'), "$ROWS|$sum", $_) for 'noranges/a.csv', 'onerange/a.csv', 'onerange/cutonce=1000/a.csv', 'chunked/noranges/a.csv', 'notags/a.csv', 'cut=400000/a.csv', 'cutonce=1000/a.csv',
    'cutonce=1000/noranges/a.csv', 'fail=503x2/a.csv', 'fail=429x1/after=1/a.csv', 'fail=500x2/a.csv', "to=%2Fa.csv/x", "to=%2Fto=%252Fa.csv%2Fx/x";
is(read_sum($_, 'patient'), "$ROWS|$sum", "without ETag and Last-Modified: $_") for 'undated/notags/a.csv', 'undated/notags/noranges/a.csv', 'undated/notags/cutonce=1000/a.csv', 'undated/notags/cutonce=1000/noranges/a.csv', 'undated/cut=400000/a.csv';
is($k->sql("SELECT count(*) FROM kaireon.read('web', 'empty.csv', '{\"columns\": [\"id\"]}') AS t(id bigint)"), 0, 'an empty file');
is($k->sql("SELECT count(*) FROM kaireon.read('web', 'bare416/empty.csv', '{\"columns\": [\"id\"]}') AS t(id bigint)"), 0, 'one of a server that does not say that it is empty');

my ($year) = map { 1900 + $_ } (gmtime)[5];
$k->write_file("year_$year.csv", "id,name\n5,five\n");
is($k->sql(q(SELECT sum(id) FROM kaireon.read('web', '', '{"pattern": {"type": "dateGlob", "value": "year_{YYYY}.csv"}}') AS t(id bigint, name text))), 5, 'a date in a URL');

# ---- tests of a connector

is($k->sql("SELECT ok, message FROM kaireon.test_connector('web')"), 't|connected; there is no file at the base itself', 'test_connector: a server without a file there');
connector('at_file', { baseUrl => $server->url('/small.csv') });
is($k->sql("SELECT ok, message FROM kaireon.test_connector('at_file')"), 't|connected; there is a file at the base itself', 'test_connector: a file');
is($k->sql("SELECT ok, message FROM kaireon.test_connector('anywhere')"), 't|there is no baseUrl to connect to; a resource has to be a whole URL', 'test_connector: without baseUrl');
connector('refused', { baseUrl => $server->url('/fail=403/a.csv'), maxAttempts => 1 });
is($k->sql("SELECT ok, message FROM kaireon.test_connector('refused')"), 't|connected; there is no file at the base itself', 'test_connector: the base is shown to nobody');
connector('unknown', { baseUrl => $server->url('/fail=403/a.csv'), maxAttempts => 1 }, 'token', { token => 'abc' });
is($k->sql("SELECT ok, details ->> 'sqlstate' FROM kaireon.test_connector('unknown')"), 'f|42501', 'test_connector: credentials that are refused');
connector('busy', { baseUrl => $server->url('/fail=503/a.csv'), maxAttempts => 1 });
is($k->sql("SELECT ok, details ->> 'sqlstate', message FROM kaireon.test_connector('busy')"), 'f|08006|"127.0.0.1" did not send what is at "baseUrl"', 'test_connector: a server that is busy');

# ---- what can't be

like(read_error('../gone.csv'), qr/42501: "\.\.\/gone\.csv" contains "\.\."/, 'a path does not go up from baseUrl');
for my $path ('..', 'a/../b.csv', '%2e%2e/gone.csv', 'a/.%2E/b.csv', 'a%2f..%2fb.csv', '..\\\\b.csv', 'a%5c..%5Cb.csv', '..?x=1', '%00/../b.csv')
{
    $server->log;
    like(read_error($path), qr/(42501|22023): .* contains "\.\."/, "nor by $path");
    is(join("\n", $server->log), '', 'is not asked for');
}
is(read_sum('...%2e/..a/small.csv'), '2|3', 'more than two dots are a name');
like(read_error('gone.csv'), qr/58P01: file "gone\.csv" does not exist/, 'a file that is not there');
like(read_error('fail=503/a.csv'), qr/08006: "127\.0\.0\.1" did not send file.*status 503: Busy: try later/s, 'a server that is always busy');
like(read_error('fail=429/after=9999/a.csv'), qr/08006: "127\.0\.0\.1" has had too many requests/, 'one that wants to be left alone for hours');
like(read_error('fail=403/a.csv'), qr/42501: "127\.0\.0\.1" does not allow access to file.*Busy: try later/s, 'access refused');
like(read_error('stall=1000/a.csv'), qr/08006: "127\.0\.0\.1" was too slow to send file/, 'one that falls silent');
like(read_error('trickle/a.csv'), qr/08006: "127\.0\.0\.1" was too slow to send file/, 'one that sends a byte a second');
like(read_error('slowhead/a.csv'), qr/08006: "127\.0\.0\.1" was too slow to send file "slowhead\/a\.csv".*DETAIL:  Fewer than 100 bytes came within 1 seconds \(idleTimeoutSeconds\)\. 3 attempts failed, /s,
    'one that sends a byte of its headers a second');
like(read_error("rant=$_->[0]/a.csv"), $_->[1], "status $_->[0] with a body that never ends")
    for [ 403, qr/42501: "127\.0\.0\.1" does not allow access to file.*and no, and no/s ], [ 500, qr/08006: "127\.0\.0\.1" did not send file.*status 500: and no, and no/s ];
like(read_error('header=200000/a.csv'), qr/08P01: "127\.0\.0\.1" sent a header of its answer that is too long/, 'a header of 200 kB');
is(read_sum('header=50000/a.csv'), "$ROWS|$sum", 'one of 50 kB');
connector('slow', { baseUrl => $server->url, maxAttempts => 1, idleTimeoutSeconds => 8 });
like(read_error('pace=500:5/a.csv', 'slow'), qr/08006: "127\.0\.0\.1" was too slow to send file/, 'one that sends little now and then');
connector('hurried', { baseUrl => $server->url, totalTimeoutSeconds => 2 });
like(read_error('pace=20000:0.1/a.csv', 'hurried'), qr/08006: "127\.0\.0\.1" took longer than 2 seconds to send file "pace=20000:0\.1\/a\.csv".*DETAIL: .* 1 attempt failed, the last at byte \d+ of \d{7}\.\n.*HINT:.*totalTimeoutSeconds/s,
    'one that is slower than it may be');
like(read_error('fail=503/after=1/a.csv', 'hurried'), qr/08006: "127\.0\.0\.1" took longer than 2 seconds to send file/, 'the pauses between attempts count');
is(read_sum('a.csv', 'hurried'), "$ROWS|$sum", 'one that is in time');
like(error_of('SELECT kaireon.create_connector(' . $k->json('never') . ", 'http_pull', " . $k->json({ baseUrl => $server->url, totalTimeoutSeconds => -1 }) . ')'), qr/22023: .*totalTimeoutSeconds/, 'a bound that is none');
like(read_error('etags/a.csv'), qr/58030: file "etags\/a\.csv" (was changed while it was read|is no longer as it was listed)/, 'a file that changes all the time');
like(read_error('dates/notags/a.csv'), qr/58030: file "dates\/notags\/a\.csv" (was changed while it was read|is no longer as it was listed)/, 'one whose time changes, and that has no ETag');
like(read_error("undated/notags/$_/a.csv"), qr/08006: the connection to "127\.0\.0\.1" broke while it sent file.*1 attempt failed, the last at byte 2000000 of \d{7}\.\n.*HINT:  The server says neither ETag nor Last-Modified/s, "one that ends and does not tell versions apart: $_")
    for 'cut=2000000', 'cut=2000000/noranges';
like(read_error('wrongrange/a.csv'), qr/08P01: the server sent other bytes/, 'other bytes than were asked for');
like(read_error('longer=100/noranges/a.csv'), qr/08006: the connection to "127\.0\.0\.1" broke/, 'less than was announced');
like(read_error('cut=100/noranges/notags/a.csv'), qr/08006: the connection/, 'cut each time, without ranges');
like(read_error('to=%2Fto=%252Fto=%25252Fto=%2525252Fto=%252525252Fto=%25252525252Fx%252525252Fx%2525252Fx%25252Fx%252Fx%2Fx/x'), qr/redirected more than 5 times/, 'redirected for ever');
my $closed = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1');
my $nobody = $closed->sockport;
close $closed;
$k->sql("ALTER SYSTEM SET kaireon.egress_allow = '127.0.0.1'; SELECT pg_reload_conf()");
$k->poll('the setting', "SELECT current_setting('kaireon.egress_allow') = '127.0.0.1'");
connector('silent', { baseUrl => 'https://127.0.0.1:' . $server->port, maxAttempts => 2, connectTimeoutSeconds => 1 });
like(read_error('a.csv', 'silent'), qr/08001: could not connect to "127\.0\.0\.1".*DETAIL:  There was no connection within 1 seconds \(connectTimeoutSeconds\)\. 2 attempts failed/s, 'one that does not begin TLS');
like(read_error("http://127.0.0.1:$nobody/a.csv", 'anywhere'), qr/08001: could not connect to "127\.0\.0\.1"/, 'nobody there');

# ---- time in which nobody asks does not count

{
    connector('once', { baseUrl => $server->url, maxAttempts => 1, idleTimeoutSeconds => 1, totalTimeoutSeconds => 2 });
    my $session = $k->session;
    $session->query("BEGIN; DECLARE c CURSOR FOR SELECT id FROM kaireon.read('once', 'cutonce=2000000/noranges/a.csv') AS t(id bigint, name text); FETCH 1 FROM c");
    $session->query('SELECT pg_sleep(3)');
    is($session->query('MOVE ' . ($ROWS - 2) . ' FROM c; FETCH 1 FROM c; COMMIT') . $session->err, $ROWS, 'a cursor that is not read for a while loses neither rows nor attempts');
    $session->close;
}

# ---- a proxy is where connections go, whatever they are for

$k->sql("ALTER SYSTEM SET kaireon.egress_allow = 'named.example'; SELECT pg_reload_conf()");
$k->poll('the setting', "SELECT current_setting('kaireon.egress_allow') = 'named.example'");
connector('by_proxy', { baseUrl => 'http://named.example', proxy => $server->url, maxAttempts => 1 });
like(read_error('small.csv', 'by_proxy'), qr/42501: connection to "127\.0\.0\.1" is not allowed/, 'a proxy that is not allowed, for a host that is');
$k->sql("ALTER SYSTEM SET kaireon.egress_allow = '127.0.0.1'; SELECT pg_reload_conf()");
$k->poll('the setting', "SELECT current_setting('kaireon.egress_allow') = '127.0.0.1'");
is(read_sum('small.csv', 'by_proxy'), '2|3', 'a proxy that is allowed');
$server->log;
for my $case ([ 'http://169.254.169.254', qr/42501: connection to "169\.254\.169\.254" is not allowed.*169\.254\.169\.254, port 80\. That is not a public address/s ], [ 'http://0x0a.1' ], [ 'http://10.1.2.3.' ],
    [ 'http://[fd00::1]' ], [ 'http://[fe80::1%25eth0]', qr/./ ], [ 'http://named.example:25', qr/42501: connection to "named\.example" is not allowed.*The proxy would connect to port 25/s ])
{
    my ($url, $error) = @$case;
    connector('by_proxy2', { baseUrl => $url, proxy => $server->url, maxAttempts => 1 });
    like(read_error('small.csv', 'by_proxy2'), $error // qr/42501: connection to "[^"]*" is not allowed/, "a proxy is not asked for $url");
    $k->sql("SELECT kaireon.delete_connector('by_proxy2')");
}
is(join("\n", $server->log), '', 'it hears nothing of these');
connector('by_proxy2', { baseUrl => 'http://0177.1', proxy => $server->url, maxAttempts => 1 });
is(read_sum('small.csv', 'by_proxy2'), '2|3', 'but for what kaireon.egress_allow has, in whatever spelling');
like(error_of('SELECT kaireon.create_connector(' . $k->json('with_password') . ", 'http_pull', " . $k->json({ baseUrl => $server->url, proxy => 'http://u:sesame@127.0.0.1:1' }) . ')'),
    qr/22023: key "proxy" of config holds a URL with a user name or password.*HINT:  Credentials for a proxy can't be given/s, 'credentials of a proxy have no place in config');
for my $case ([ 407, qr/28000: proxy "127\.0\.0\.1" wants credentials.*HINT:  Credentials for a proxy can't be given/s ], [ 502, qr/08006: "named\.example" did not send file "small\.csv".*The server, or the proxy, answered with status 502/s ])
{
    my $proxy = ProxyServer->new;
    connector("by_$case->[0]", { baseUrl => 'http://named.example', proxy => $proxy->url, maxAttempts => 2 });
    $proxy->behave($case->[0]);
    like(read_error('small.csv', "by_$case->[0]"), $case->[1], "a proxy that answers with $case->[0]");
}

# ---- credentials

for my $case ([ 'api_key', { header => 'X-Key', value => 'sesame' }, 'x-key:sesame', qr/x-key=sesame/ ], [ 'token', { token => 'sesame' }, 'authorization:Bearer%20sesame', qr/authorization=Bearer sesame/ ],
    [ 'username_password', { username => 'u', password => 'sesame' }, undef, qr/authorization=Basic dTpzZXNhbWU=/ ])
{
    my ($method, $auth, $needs, $sent) = @$case;
    connector("by_$method", { baseUrl => $server->url }, $method, $auth);
    $server->log;
    is(read_sum('small.csv', "by_$method"), '2|3', $method);
    is(scalar(grep { $_ !~ $sent } $server->log), 0, "$method: it is sent with each request");
    like(read_error("http://localhost:$port/small.csv", "by_$method"), qr/42501: the resource is on another server/, "$method: not to another server");
    $server->log;
    read_error('to=http:%2F%2F127.0.0.1:' . $port . '%2Fsmall.csv/x', "by_$method");
    my $other = FaultServer->new($k->files);
    is(read_sum('to=http:%2F%2F127.0.0.1:' . $other->port . '%2Fsmall.csv/x', "by_$method"), '2|3', "$method: redirected to another server");
    is(scalar(grep { /sesame|dTpzZXNhbWU/ } $other->log), 0, "$method: which does not get it");
    unlike(read_error('needs=x-other:1/small.csv', "by_$method"), qr/sesame|dTpzZXNhbWU/, "$method: it is in no error");
}
like(read_error('needs=x-other:1/small.csv'), qr/28000: "127\.0\.0\.1" does not accept the credentials.*who are you\?/s, 'credentials refused, with what the server says');

# ---- how much is fetched

$server->log;
is($k->sql("SELECT id FROM kaireon.read('web', 'a.csv') AS t(id bigint) LIMIT 2"), "1\n2", 'a few rows');
my $fetched = 0;
for ($server->log) { $fetched += $2 - $1 + 1 if /bytes=(\d+)-(\d+)/; }
cmp_ok($fetched, '<', 600_000, "take $fetched bytes of the file");

# ---- a pipeline

$k->make('loaded', connector => 'patient', fields => [ { name => 'id', dataType => 'integer', isPrimaryKey => \1 }, { name => 'name', dataType => 'text' } ], source => { resource => 'cut=700000/a.csv' });
is($k->run('loaded')->{status}, 'success', 'a pipeline loads it');
is($k->sql('SELECT count(*), sum(id) FROM ds_loaded'), "$ROWS|$sum", 'all of it');

# ---- a file of which nobody says when it was changed

is($k->sql(q(SELECT modified_at IS NULL, size FROM kaireon.list_objects('web', 'undated/small.csv'))), 't|20', 'it has no time');
is($k->sql(q(SELECT id, _modified_at IS NULL FROM kaireon.read('web', 'undated/small.csv') AS t(id int, _modified_at timestamptz) ORDER BY id)), "1|t\n2|t", 'nor in rows');
$k->write_file('lines.json', qq({"id": 1}\n{"id": "x"}\n));
$k->make('undated', connector => 'patient', fields => [ { name => 'id', dataType => 'integer', isPrimaryKey => \1 }, { name => 'at', dataType => 'timestamptz' } ],
    source => { resource => 'undated/notags/lines.json', format => 'jsonl', incremental => \1 }, target => { fieldMapping => { id => 'id', _modified_at => 'at' } }, execution => { errorHandling => 'dlq' });
my $run = $k->run('undated');
is("$run->{status} $run->{rows_loaded} $run->{rows_updated}", 'partial 1 0', 'a pipeline reads it, but for a bad row');
is($k->sql(q(SELECT id, at IS NULL FROM ds_undated)), '1|t', 'its rows have none');
is($k->sql(q(SELECT kind, size, modified_at IS NULL FROM kaireon.source_state WHERE pipeline = 'undated')), 'file|22|t', 'nor has what is known of it');
is($k->run('undated')->{rows_read}, 0, 'it is read once');
$k->sql(q(SELECT kaireon.edit_dead_letter(id, '{"id": 7}') FROM kaireon.dead_letters WHERE pipeline = 'undated'));
is($k->sql(q(SELECT rows_loaded FROM kaireon.replay_dead_letters('undated'))), 1, 'a row of it that is loaded later');
is($k->sql(q(SELECT id FROM ds_undated WHERE at IS NULL ORDER BY id)), "1\n7", 'has no time either');
$k->write_file('lines.json', qq({"id": 1}\n{"id": 22}\n{"id": 3}\n));
$k->sql(q(SELECT kaireon.update_pipeline('undated', nodes => (SELECT jsonb_set(nodes, '{0,config,changedFiles}', '"fail"') FROM kaireon.pipelines WHERE name = 'undated'))));
$run = $k->run('undated');
is("$run->{error_code} $run->{error_detail}", '55000 "undated/notags/lines.json" had 22 bytes and has 31 bytes now.', 'it has changed when it has another size');

# ---- cancelled while the server is silent

# A port of which the queue is full: connections to it are neither made nor refused.
my $full = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1');
my @waiting = map { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $full->sockport, Blocking => 0) } 1 .. 4;
my $proxy = ProxyServer->new;
my %patient = (connectTimeoutSeconds => 600, idleTimeoutSeconds => 600, maxAttempts => 100);
connector('to_full', { %patient, baseUrl => 'http://127.0.0.1:' . $full->sockport });
connector('to_mute', { %patient, baseUrl => 'https://127.0.0.1:' . $server->port });
connector('to_web', { %patient, baseUrl => $server->url });
connector('to_proxy', { %patient, baseUrl => 'https://127.0.0.1:' . $server->port, proxy => $proxy->url });
for my $case ([ 'connecting', 'to_full', 'a.csv' ], [ 'beginning TLS', 'to_mute', 'a.csv' ], [ 'waiting for a proxy', 'to_proxy', 'a.csv', 'stall' ], [ 'beginning TLS behind a proxy', 'to_proxy', 'a.csv', 'mute' ],
    [ 'waiting for headers', 'to_web', 'slowhead/a.csv' ], [ 'waiting for the body', 'to_web', 'stall=1000/a.csv' ], [ 'waiting for a later part', 'to_web', 'stall=700000/noranges/a.csv' ],
    [ 'pausing before the next attempt', 'to_web', 'fail=503/after=100/a.csv' ])
{
    my ($what, $name, $path, $how) = @$case;
    my $session = $k->session;
    $proxy->behave($how // '');
    $_->log for $server, $proxy;
    $session->send("SELECT count(*) FROM kaireon.read('$name', '$path') AS t(id bigint, name text)");
    $k->poll('the reader', sub { scalar $k->readers });
    $k->poll('the request', sub { $proxy->log || $server->log }) if $name =~ /proxy|web/;
    my $from = time;
    $k->sql('SELECT pg_cancel_backend(' . $session->pid . ')');
    $session->result;
    note(sprintf '%s: cancelled within %d ms, psql included', $what, 1000 * (time - $from));
    like($session->err, qr/57014/, "cancelled while $what");
    ok($k->poll('the reader to end', sub { !$k->readers }), '  no reader is left');
    $session->close;
}
$k->settled;
done_testing();
