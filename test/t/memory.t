# What is left in memory: after credentials came as parameters or in a statement,
# after they were opened, after errors: the session's process and its core hold
# neither them nor the key.  And taking them out of the connection's buffer
# breaks no protocol: pipelines, COPY, TLS.  Logging parameters makes copies that
# nobody can wipe (see the README), so none are logged.
use strict;
use warnings;
no warnings 'portable'; # addresses
use Kaireon;
use ReaderProxy;
use Test::More;

my $dir = PostgreSQL::Test::Utils::tempdir();
my $key = unpack 'H*', pack 'C*', map { ($_ * 53 + 17) % 256 } 1 .. 32;
open my $out, '>', "$dir/key" or die $!;
print $out "$key\n";
close $out;
chmod 0600, "$dir/key";
my $k = Kaireon->new('memory', conf => "kaireon.master_key_file = '$dir/key'\nlog_statement = none\n", install_path => ReaderProxy::install("$dir/mirror"));
$k->sql(q(UPDATE kaireon_internal.connector_type SET spec = spec || '{"authMethods": ["none", "token"],
    "authFields": [{"name": "token", "type": "password", "required": true, "methods": ["token"]}]}' WHERE type = 'local_fs'));
$k->write_csv('a.csv', [ 'name' ], ['Ada']);
my $config = $k->json({ basePath => $k->files });
my $file = "'a.csv'";

# found(PID, TEXT...): which of the texts the memory of a process holds; undef when it can't be read.
sub found
{
    my ($pid, @texts) = @_;
    my %found;
    open my $maps, '<', "/proc/$pid/maps" or return undef;
    open my $memory, '<:raw', "/proc/$pid/mem" or return undef;
    while (<$maps>)
    {
        # Not the shared buffers: they hold what is stored.
        /^(\w+)-(\w+) rw.p \S+ \S+ \S+\s*(.*)/ or next;
        my ($from, $size, $bytes) = (hex $1, hex($2) - hex($1), '');
        sysseek $memory, $from, 0 or next;
        while ($size > 0)
        {
            my $n = sysread $memory, $bytes, $size, length $bytes;
            last unless $n;
            $size -= $n;
        }
        for my $text (@texts) { $found{$text} = 1 if index($bytes, $text) >= 0; }
    }
    return join ' ', sort keys %found;
}

my $count = 0;
sub secret { $count++; return sprintf 'krmemory%dx%08x', $count, 0x9e3779b9 * ($count + 3) % 0xffffffff; }

# bench(MODE, SCRIPT, CHECK, VARIABLES...): runs the script and then, while its session is idle, CHECK, a shell script that gets
# the session's pid as \$1.
my $short = PostgreSQL::Test::Utils::tempdir_short(); # pgbench takes no long commands
sub bench
{
    my ($mode, $script, $check, %vars) = @_;
    my @vars = map { ('-D', "$_=$vars{$_}") } sort keys %vars;
    my ($o, $e);
    open my $out, '>', "$dir/script.sql" or die $!;
    print $out "$script\nSELECT pg_backend_pid() AS pid \\gset\n\\shell sh $short/check :pid\n";
    close $out;
    open $out, '>', "$short/check" or die $!;
    print $out "$check\n";
    close $out;
    IPC::Run::run([ 'pgbench', '-n', '-M', $mode, '-t', 1, @vars, '-f', "$dir/script.sql", $k->node->connstr('postgres') . ($vars{sslmode} ? " sslmode=$vars{sslmode} host=127.0.0.1 password=p user=tls" : '') ], '>', \$o, '2>', \$e);
    return $o . $e;
}

# The test itself is the checker: pgbench calls it with the pid and what to look for.
if (!defined found($$, 'x'))
{
    plan skip_all => '/proc/PID/mem can not be read here';
}
my $perl = "$dir/found.pl";
{
    require B::Deparse;
    open my $script, '>', $perl or die $!;
    print $script "no warnings;\nsub found ", B::Deparse->new->coderef2text(\&found), "\nmy (\$to, \@a) = \@ARGV; open F, '>', \$to; my \$r = found(\@a); print F defined \$r ? \"found: \$r\" : 'unreadable';\n";
    close $script;
}

# clean(WHAT, MODE, SCRIPT, SECRET, VARIABLES): the script's session holds neither the secret nor the key afterwards.
sub clean
{
    my ($what, $mode, $script, $secret, %vars) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    unlink "$dir/found";
    my $said = bench($mode, $script, "$^X $perl $dir/found \$1 $secret $key", %vars);
    like($said, qr{actually processed: 1/1}, $what) or diag($said);
    is(-e "$dir/found" ? PostgreSQL::Test::Utils::slurp_file("$dir/found") : 'no answer', 'found: ', "$what: nothing is left");
}

my $read = "SELECT name FROM kaireon.read('c1', $file) AS t(name text);";
for my $mode ('extended', 'prepared')
{
    my $s = secret();
    my $name = $mode eq 'extended' ? 'c1' : 'c2';
    clean("a parameter of create_connector, $mode", $mode, "SELECT kaireon.create_connector('$name', 'local_fs', $config, 'token', :auth);", $s, auth => "{\"token\": \"$s\"}");
    $s = secret();
    clean("a parameter of update_connector and a read, $mode", $mode, "SELECT kaireon.update_connector('c1', auth_config => :auth);\n$read", $s, auth => "{\"token\": \"$s\"}");
    $s = secret();
    clean("a parameter of test_connector, $mode", $mode, "SELECT ok FROM kaireon.test_connector('local_fs', $config, 'token', :auth);", $s, auth => "{\"token\": \"$s\"}");
    $s = secret();
    clean("again and again, $mode", $mode, join("\n", ("SELECT kaireon.update_connector('c1', auth_config => :auth);") x 8), $s, auth => "{\"token\": \"$s\"}");
    for my $size (1_500, 3_000, 6_000)
    {
        $s = secret();
        clean("one of $size bytes, $mode", $mode, "SELECT kaireon.update_connector('c1', auth_config => :auth);\n$read", $s, auth => '{"token": "' . 'x' x $size . $s . '"}');
    }
}
for my $mode ('simple', 'extended')
{
    my $s = secret();
    clean("a literal, $mode", $mode, "SELECT kaireon.update_connector('c1', auth_config => '{\"token\": \"$s\"}');\n$read", $s);
    $s = secret();
    clean("a literal of test_connector, $mode", $mode, "SELECT ok FROM kaireon.test_connector('local_fs', $config, 'token', '{\"token\": \"$s\"}');", $s);
}
my $s = secret();
$k->sql("SELECT kaireon.update_connector('c1', auth_config => '{\"token\": \"$s\"}')");
clean('opened by a read', 'simple', $read, $s);
clean('opened by a test', 'simple', "SELECT ok FROM kaireon.test_connector('c1');", $s);

# Errors.
my $session = $k->session;
for my $bad ("SELECT kaireon.update_connector('c1', auth_config => '{\"token\": \"SECRET')", "SELECT kaireon.update_connector('c1', auth_config => '{\"token\": \"SECRET\"}' 'x')",
    "SELECT kaireon.update_connector('no such', auth_config => '{\"token\": \"SECRET\"}')", "SELECT kaireon.update_connector('c1', auth_config => '{\"tokn\": \"SECRET\"}')")
{
    my $secret = secret();
    $session->query($bad =~ s/SECRET/$secret/r);
    like($session->err, qr/^ERROR/, 'an error: ' . substr($session->err, 0, 50) =~ s/\n.*//sr);
    is(found($session->pid, $secret, $key), '', 'leaves nothing');
}
# While a transaction is open, too.
my $open = secret();
$session->query("BEGIN; SELECT kaireon.update_connector('c1', auth_config => '{\"token\": \"$open\"}')");
is(found($session->pid, $open, $key), '', 'nor does a transaction that is open');
$session->query('COMMIT');
$session->close;

# A run's worker, after it has opened them and while it waits for the table.
$k->make('p', fields => [ { name => 'name', dataType => 'varchar' } ], source => { resource => 'a.csv' });
$k->sql("SELECT kaireon.update_pipeline('p', connector => 'c1')");
my $lock = $k->session;
$lock->query('BEGIN; LOCK TABLE ds_p IN SHARE ROW EXCLUSIVE MODE');
ReaderProxy::forget("$dir/mirror");
my $run = $k->start('p');
my $worker = $k->worker_pid($run);
$k->poll('the run to wait', "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $worker");
is((ReaderProxy::requests("$dir/mirror"))[-1]{auth}{token}, $open, 'a run has opened them');
is(found($worker, $open, $key), '', 'and its worker holds them no more');
my ($proxy) = Kaireon::children($worker);
my ($reader) = Kaireon::children($proxy);
SKIP: {
    skip 'root may read everything', 1 if $> == 0;
    is(found($reader, $open), undef, 'the reader can not be looked into');
}
$lock->query('COMMIT');
is($k->wait_run($run), 'success', 'it goes on');
$lock->close;

# A core, as the debugger writes it.
SKIP: {
    my $secret = secret();
    skip 'gdb is not installed', 2 unless grep { -x "$_/gcore" } split /:/, $ENV{PATH};
    my $said = bench('extended', "SELECT kaireon.update_connector('c1', auth_config => :auth);\n$read", "gcore -o $dir/core \$1 > $dir/gcore.log 2>&1", auth => "{\"token\": \"$secret\"}");
    my ($core) = glob "$dir/core.*";
    skip 'gdb can not attach here', 2 unless $core && -s $core > 1_000_000;
    my $bytes = PostgreSQL::Test::Utils::slurp_file($core);
    ok(index($bytes, $secret) < 0, 'a core of ' . (-s $core) . ' bytes has nothing of it');
    ok(index($bytes, $key) < 0 && index($bytes, pack 'H*', $key) < 0, 'nor of the key');
    unlink $core;
}

# ---- the protocol lives through it

sub pipeline
{
    my ($what, %vars) = @_;
    my $secret = secret();
    my $script = "\\startpipeline\n"
      . join('', map { "SELECT kaireon.update_connector('c1', description => '$_', auth_config => :auth);\nSELECT $_;\nSELECT length(repeat(:auth, 30));\n" } 1 .. 40)
      . "\\endpipeline\nSELECT kaireon.update_connector('c1', auth_config => :auth);\n";
    my $said = bench('extended', $script, 'true', auth => "{\"token\": \"$secret\"}", %vars);
    like($said, qr{actually processed: 1/1}, "$what: a pipeline of 120 statements") or diag($said);
    ReaderProxy::forget("$dir/mirror");
    is($k->sql($read), 'Ada', "$what: and what it made is sound");
    is((ReaderProxy::requests("$dir/mirror"))[0]{auth}{token}, $secret, "$what: as it was given");
    is($k->sql("SELECT description FROM kaireon.connectors WHERE name = 'c1'"), 40, "$what: the last one counts");
}
pipeline('a socket');
is($k->sql("CREATE TABLE t (a text); SELECT kaireon.update_connector('c1', auth_config => '{\"token\": \"x\"}');\nCOPY t FROM STDIN;\na\nb\n\\.\nSELECT count(*) FROM t") =~ s/^\n//r, 2, 'COPY behind it');

SKIP: {
    my $data = $k->node->data_dir;
    my $made = system("openssl req -new -x509 -nodes -days 2 -subj /CN=localhost -keyout $data/server.key -out $data/server.crt > $dir/openssl.log 2>&1") == 0;
    skip 'openssl makes no certificate', 4 unless $made;
    chmod 0600, "$data/server.key";
    $k->node->append_conf('postgresql.conf', "ssl = on\nlisten_addresses = '127.0.0.1'\n");
    $k->node->append_conf('pg_hba.conf', "hostssl all tls 127.0.0.1/32 trust\n");
    $k->sql('CREATE ROLE tls LOGIN SUPERUSER');
    $k->node->restart;
    pipeline('TLS', sslmode => 'require');
    my $secret = secret();
    clean('TLS', 'extended', "SELECT kaireon.update_connector('c1', auth_config => :auth);\nSELECT 1;", $secret, auth => '{"token": "' . 'x' x 3000 . $secret . '"}', sslmode => 'require');
}
$k->settled('the end');
done_testing;
