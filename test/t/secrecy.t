# No plaintext anywhere: each way to hand credentials over has a secret of its
# own, everything the server can log is logged, and afterwards the secrets are
# looked for in the log, the data directory with its WAL, dumps,
# pg_stat_activity and pg_stat_statements.  memory.t looks into processes.
use strict;
use warnings;
use Kaireon;
use File::Find;
use ReaderProxy;
use Test::More;

my $dir = PostgreSQL::Test::Utils::tempdir();
open my $key, '>', "$dir/key" or die $!;
print $key 'ab12' x 16;
close $key;
chmod 0600, "$dir/key";

# start(ORDER): a node that says all it can; preload in that order.
my $conf = <<"CONF";
kaireon.master_key_file = '$dir/key'
log_min_messages = debug5
log_error_verbosity = verbose
log_statement = all
log_duration = on
log_min_duration_statement = 0
log_min_error_statement = debug5
log_parameter_max_length = -1
log_parameter_max_length_on_error = -1
log_lock_waits = on
deadlock_timeout = 100ms
debug_print_parse = on
debug_print_rewritten = on
debug_print_plan = on
track_activity_query_size = 16kB
auto_explain.log_min_duration = 0
auto_explain.log_verbose = on
auto_explain.log_analyze = on
auto_explain.log_nested_statements = on
pg_stat_statements.track = all
pg_stat_statements.track_utility = on
restart_after_crash = on
kaireon.ddl_lock_timeout = 60s
CONF

my ($k, @secrets, $calls);

# secret(NAME): a new one, as auth_config for the type that start() makes.
sub secret { my ($name) = @_; my $s = "kr${name}x" . sprintf('%08x', 0x9e3779b9 * (@secrets + 7) % 0xffffffff); push @secrets, $s; return $s; }
sub auth { my ($name) = @_; return '{"token": "' . secret($name) . '"}'; }

sub start
{
    my ($name, $preload) = @_;
    $k = Kaireon->new($name, preload => $preload, conf => $conf, install_path => ReaderProxy::install("$dir/$name"));
    $k->sql('CREATE EXTENSION pg_stat_statements');
    $k->sql(q(UPDATE kaireon_internal.connector_type SET spec = spec || '{"authMethods": ["none", "token"],
        "authFields": [{"name": "token", "type": "password", "required": true, "methods": ["token"]}]}' WHERE type = 'local_fs'));
    $k->write_csv('a.csv', [ 'name' ], ['Ada']);
    @secrets = ();
    $calls = 0;
}

my $config = sub { $k->json({ basePath => $k->files }) };

# create(AUTH): an SQL call that carries it.
sub create { my ($auth) = @_; $calls++; return "kaireon.create_connector('c$calls', 'local_fs', " . $config->() . ", 'token', '$auth')"; }

# pgbench sends variables as parameters.
sub bench_command
{
    my ($mode, $script, %vars) = @_;
    my $file = "$dir/script.sql";
    open my $out, '>', $file or die $!;
    print $out $script;
    close $out;
    return [ 'pgbench', '-n', '-M', $mode, '-t', 1, (map { ('-D', "$_=$vars{$_}") } sort keys %vars), '-f', $file, '-h', $k->node->host, '-p', $k->node->port, 'dbname=postgres application_name=pgbench' ];
}

sub bench
{
    my ($o, $e);
    IPC::Run::run(bench_command(@_), '>', \$o, '2>', \$e);
    return $o . $e;
}

# ---- looking

# Every way a secret may be written: as it is, and as the bytes of a plan's constant.
sub forms { my ($s) = @_; return ($s, join(' ', map { ord } split //, $s), unpack('H*', $s)); }
my $pattern;
sub prepare_search { my $all = join '|', map { quotemeta } map { forms($_) } @secrets; $pattern = qr/($all)/; }

sub found_in
{
    my ($text) = @_;
    my %found;
    $found{$1} = 1 while $text =~ /$pattern/g;
    return sort keys %found;
}

sub file_clean
{
    my ($path, $what) = @_;
    return is_deeply([ found_in(PostgreSQL::Test::Utils::slurp_file($path)) ], [], $what);
}

# everywhere(WHAT): the four places.
sub everywhere
{
    my ($what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    prepare_search();
    my @lines = grep { /$pattern/ } split /\n/, PostgreSQL::Test::Utils::slurp_file($k->node->logfile);
    is_deeply([ map { substr $_, 0, 400 } @lines[0 .. ($#lines > 9 ? 9 : $#lines)] ], [], "$what: the log");
    is_deeply([ found_in($k->sql('SELECT coalesce(string_agg(query, chr(10)), \'\') FROM pg_stat_statements')) ], [], "$what: pg_stat_statements");
    is_deeply([ found_in($k->sql('SELECT string_agg(query, chr(10)) FROM pg_stat_activity')) ], [], "$what: pg_stat_activity");
    $k->sql('CHECKPOINT');
    my (%files, $count);
    find({ no_chdir => 1, wanted => sub { return unless -f; $count++; $files{$_} = 1 if found_in(PostgreSQL::Test::Utils::slurp_file($_)); } }, $k->node->data_dir);
    is_deeply([ sort keys %files ], [], "$what: the data directory, $count files");
    ok($count > 500, "$what: it was all looked at");
    for my $dump ('pg_dump', 'pg_dumpall')
    {
        my $file = "$dir/$dump.sql";
        $k->node->command_ok([ $dump, '-f', $file, $dump eq 'pg_dump' ? $k->node->connstr('postgres') : ('-d', $k->node->connstr('postgres')) ], "$what: $dump");
        file_clean($file, "$what: has nothing of it");
    }
}

# ---- all the ways

sub all_ways
{
    my $s;
    my @ok = (
        'SELECT ' . create(auth('literal')),
        "SELECT kaireon.update_connector('c1', auth_config => '" . auth('update') . "')",
        "SELECT ok FROM kaireon.test_connector('local_fs', " . $config->() . ", 'token', '" . auth('test') . "')",
        'SELECT ' . create(auth('upper')) =~ s/kaireon.create_connector/KAIREON . "create_connector" \/* auth *\//r,
        "SELECT kaireon.create_connector('json', 'local_fs', " . $config->() . ", 'token', jsonb_build_object('token', '" . secret('json') . "'))",
        "WITH s AS (SELECT '" . auth('before') . "'::jsonb AS a) SELECT kaireon.create_connector('with', 'local_fs', " . $config->() . ", auth_method => 'token', auth_config => s.a) FROM s",
        "SELECT kaireon.create_connector('dollar', 'local_fs', " . $config->() . ", 'token', \$x\$" . auth('dollar') . "\$x\$)",
        "SELECT kaireon.create_connector('escaped', 'local_fs', " . $config->() . ", 'token', E'{\"token\": \"it\\'s " . secret('escaped') . "\"}')",
        "SELECT 1 AS one \\; SELECT " . create(auth('second')) . " \\; SELECT 2",
        'BEGIN \\; SELECT ' . create(auth('block')) . ' \\; COMMIT',
        'DO $d$ BEGIN PERFORM ' . create(auth('do')) . '; END $d$',
        'EXPLAIN (ANALYZE, VERBOSE, COSTS off, TIMING off) SELECT ' . create(auth('explain')),
        'CREATE TEMP TABLE t AS SELECT ' . create(auth('ctas')),
        'COPY (SELECT ' . create(auth('copy')) . ') TO STDOUT',
        'BEGIN; DECLARE cur CURSOR FOR SELECT ' . create(auth('cursor')) . '; FETCH ALL FROM cur; COMMIT',
        "PREPARE pre(text, jsonb) AS SELECT kaireon.create_connector(\$1, 'local_fs', " . $config->() . ", 'token', \$2); EXECUTE pre('pre1', '" . auth('execute') . "'); "
          . "EXECUTE  \"pre\" ('pre2', '" . auth('quotedname') . "'); SELECT 1 \\; execute Pre('pre3', '" . auth('multi') . "') \\; SELECT 2",
        'PREPARE "p""q" AS SELECT kaireon.update_connector(\'c1\', "auth_config" => $1); EXECUTE "p""q"(\'' . auth('doubled') . "'); EXECUTE/* of /* it */ */\"p\"\"q\" ('" . auth('comment') . "');\n"
          . "EXECUTE -- of\n \"p\"\"q\"('" . auth('line') . "'); EXPLAIN (ANALYZE) EXECUTE /*x*/ \"p\"\"q\" ('" . auth('explained') . "'); EXECUTE U&\"p\\0022q\"('" . auth('unicode') . "')",
        'SELECT ' . create(auth('uniname')) =~ s/create_connector/U&"create\\005fconnector"/r,
        "SELECT kaireon.update_connector('c1', U&\"\\0061uth_config\" => '" . auth('uniargument') . "')",
        "SELECT kaireon.update_connector('c1', U&\"!0061uth_config\" UESCAPE '!' => '" . auth('unichosen') . "')",
        'PREPARE uni AS SELECT kaireon.U&"\0075pdate\005fconnector"(\'c1\', U&"\0061uth_config" => $1); EXECUTE uni(\'' . auth('uniexecute') . "')",
        map({ "DO \$d\$ BEGIN EXECUTE '$_ SELECT " . create(auth('nested' . length)) =~ s/'/''/gr . "'; END \$d\$" } 'EXPLAIN', 'CREATE TEMP TABLE nested AS', 'PREPARE nested AS'),
        'CREATE FUNCTION made() RETURNS uuid LANGUAGE sql AS $f$ SELECT ' . create('{"token": "a token"}') . ' $f$; SELECT made()');

    for my $sql (@ok)
    {
        my ($code, $out, $err) = $k->node->psql('postgres', "SET client_min_messages = debug5;\n$sql;\n");
        is($code, 0, substr($sql, 0, 60)) or diag($err =~ s/^(?!.*ERROR).*\n//gmr);
        # What the client is told of its statement: not more than the log.
        $err =~ s/^LINE .*\n//gm;
        prepare_search();
        is_deeply([ found_in($err) ], [], 'and its messages show nothing');
    }
    for my $mode ('simple', 'extended', 'prepared')
    {
        my $quote = $mode eq 'simple' ? "'" : '';
        my $said = bench($mode, "SELECT kaireon.create_connector(:name, 'local_fs', :config, 'token', :auth);\nSELECT kaireon.update_connector(:name, auth_config => :auth);\n"
              . "SELECT ok FROM kaireon.test_connector('local_fs', :config, 'token', :auth);\n",
            name => "${quote}bench $mode$quote", config => $quote . '{"basePath": "' . $k->files . '"}' . $quote, auth => $quote . auth("param$mode") . $quote);
        like($said, qr{actually processed: 1/1}, "$mode protocol") or diag($said);
        $said = bench($mode, "SELECT kaireon.update_connector('c1', auth_config => '" . auth("text$mode") . "');\n");
        like($said, qr{actually processed: 1/1}, "$mode protocol, in the text") or diag($said);
        $said = bench($mode, "EXPLAIN SELECT kaireon.update_connector('c1', auth_config => '" . auth("utility$mode") . "');\n");
        like($said, qr{actually processed: 1/1}, "$mode protocol, a utility statement") or diag($said);
    }

    # A function of one's own that takes them: nobody can know before it runs, so nothing must be logged before.
    $k->sql('CREATE FUNCTION mine(n text, s text) RETURNS uuid LANGUAGE plpgsql AS $f$ BEGIN RETURN kaireon.create_connector(n, \'local_fs\', '
          . $config->() . ', \'token\', jsonb_build_object(\'token\', s)); END $f$');
    $k->sql("SET log_statement = none; SET debug_print_parse = off; SET debug_print_rewritten = off; SET debug_print_plan = off; SET log_min_messages = log; "
          . "SET log_min_error_statement = error; SELECT mine('mine', '" . secret('wrapped') . "')");

    # A read and a run open them.
    $k->make('p', fields => [ { name => 'name', dataType => 'varchar' } ], source => { resource => 'a.csv' });
    $k->sql("SELECT kaireon.update_pipeline('p', connector => 'c1')");
    is($k->run('p')->{status}, 'success', 'a run opens them');
    is($k->sql("SELECT name FROM kaireon.read('c1', 'a.csv') AS t(name text)"), 'Ada', 'so does a read');
}

# ---- errors

sub all_errors
{
    my @bad = (
        [ "SELECT kaireon.update_connector('c1', auth_config => '{\"token\": \"" . secret('nojson') . "')", '22P02', 'a literal that is no JSON' ],
        [ "SELECT kaireon.update_connector('c1', auth_config => '{\"token\": " . secret('notoken') . "}')", '22P02', 'a token that is none' ],
        [ "SELECT kaireon.update_connector('c1', auth_config => '" . auth('syntax') . "' '" . secret('syntax2') . "')", '42601', 'a syntax error' ],
        [ "SELECT kaireon.update_connector('c1', auth_config => '{\"token\": \"it's " . secret('apostrophe') . "\"}')", '42601', 'an apostrophe within' ],
        [ "SELECT kaireon.update_connector('c1', auth_config => \"" . secret('column') . "\")", '42703', 'the wrong quotes' ],
        [ "SELECT kaireon.update_connector('c1', auth_config => '" . auth('cast') . "'::int)", '22P02', 'a wrong cast' ],
        [ "SELECT kaireon.update_connector('c1', auth_confg => '" . auth('argument') . "')", '42883', 'no such argument' ],
        [ "SELECT kaireon.update_connector('c1', auth_config => '[\"" . secret('array') . "\"]')", '22023', 'an array' ],
        [ "SELECT kaireon.update_connector('c1', auth_config => '\"" . secret('scalar') . "\"')", '22023', 'a string' ],
        [ "SELECT kaireon.update_connector('c1', auth_config => '{\"tokn\": \"" . secret('wrongkey') . "\"}')", '22023', 'a wrong key' ],
        [ "SELECT kaireon.update_connector('c1', auth_config => '{\"token\": [\"" . secret('wrongkind') . "\"]}')", '22023', 'a wrong kind' ],
        [ "SELECT kaireon.update_connector('missing', auth_config => '" . auth('missing') . "')", '42704', 'a connector that is not there' ],
        [ "SELECT kaireon.create_connector('c1', 'local_fs', '{}', 'token', '" . auth('exists') . "')", '42710', 'one that is there' ],
        [ "SELECT kaireon.create_connector('x', 'local_fs', '{}', 'none', '" . auth('nomethod') . "')", '22023', 'a method that takes none' ],
        [ "BEGIN; SELECT 1/0; SELECT kaireon.update_connector('c1', auth_config => '" . auth('aborted') . "')", '25P02', 'an aborted transaction' ],
        [ "SET SESSION AUTHORIZATION nobody; SELECT kaireon.update_connector('c1', auth_config => '" . auth('denied') . "')", '42501', 'no right' ],
        [ "DO \$d\$ BEGIN PERFORM kaireon.update_connector('missing', auth_config => '" . auth('doerror') . "'); END \$d\$", '42704', 'an error in a block' ],
        [ "PREPARE pre(jsonb) AS SELECT kaireon.update_connector('c1', auth_config => \$1); EXECUTE pre('" . secret('executeerror') . "')", '22P02', 'an error in EXECUTE' ],
        [ "SELECT kaireon.update_connector('c1', auth_config => '" . auth('divided') . "'), 1/0", '22012', 'an error beside' ]);

    $k->sql('CREATE ROLE nobody');
    for my $bad (@bad)
    {
        my ($code, $out, $err) = $k->node->psql('postgres', "\\set VERBOSITY verbose\n$bad->[0];\n", on_error_stop => 0);
        like($err, qr/ERROR:  $bad->[1]: /, $bad->[2]);
        $err =~ s/^LINE .*\n//gm; # psql's own
        prepare_search();
        is_deeply([ found_in($err) ], [], "$bad->[2]: the error does not repeat it");
    }
    for my $mode ('extended', 'prepared')
    {
        my $said = bench($mode, "SELECT kaireon.update_connector('c1', auth_config => :auth);\n", auth => '{"token": "' . secret("bind$mode"));
        like($said, qr/invalid input syntax for type json/, "$mode protocol, a parameter that is no JSON");
        prepare_search();
        is_deeply([ found_in($said) ], [], 'the error does not repeat it');
    }
}

# ---- while they run

sub while_running
{
    my $lock = $k->session;
    my @sessions;
    my @waiting = (
        'SELECT ' . create(auth('waitsimple')),
        'DO $d$ BEGIN PERFORM ' . create(auth('waitdo')) . '; END $d$',
        "PREPARE pre(jsonb) AS SELECT kaireon.create_connector('waits', 'local_fs', " . $config->() . ", 'token', \$1); EXECUTE pre('" . auth('waitexecute') . "')",
        "SELECT mine('waitmine', '" . secret('waitmine') . "')");

    $lock->query('BEGIN; LOCK TABLE kaireon_internal.connector IN SHARE MODE');
    for my $sql (@waiting)
    {
        my $session = $k->session;
        $session->query('SET log_statement = none; SET debug_print_parse = off; SET debug_print_rewritten = off; SET debug_print_plan = off; SET log_min_messages = log; SET log_min_error_statement = error')
          if $sql =~ /mine/;
        $session->send($sql);
        push @sessions, $session;
    }
    my $extended = bench_command('extended', 'SELECT ' . create(auth('waitextended')) . ';');
    my $bench = IPC::Run::start($extended, '>', \my $o, '2>', \my $e);
    my $pids = join ',', map { $_->pid } @sessions;
    my $who = "(pid IN ($pids) OR application_name = 'pgbench')";
    ok($k->poll('all of them to wait', "SELECT count(*) = 5 FROM pg_stat_activity WHERE $who AND wait_event_type = 'Lock'"), 'five calls wait');
    prepare_search();
    my @texts = split /\n/, $k->sql("SELECT query FROM pg_stat_activity WHERE $who ORDER BY application_name = 'pgbench', pid");
    is(scalar(@texts), 5, 'what they do is to be seen');
    is_deeply([ found_in(join "\n", @texts) ], [], 'but not the credentials');
    like($_, qr/^SELECT kaireon\.create_connector\('\*+', '\*+'/, 'and what is called is') for @texts[0, 4];
    $k->sql('SELECT pg_cancel_backend(' . $sessions[0]->pid . ')');
    $sessions[0]->result;
    like($sessions[0]->err, qr/57014/, 'one is cancelled');
    $k->poll('that one to be idle', 'SELECT state = \'idle\' FROM pg_stat_activity WHERE pid = ' . $sessions[0]->pid);
    everywhere('while they run');

    # A crash: the server logs what the process did.
    kill 'KILL', $sessions[1]->pid;
    $k->poll('the server to come back', sub { return defined eval { $k->sql('SELECT 1') } });
    like(PostgreSQL::Test::Utils::slurp_file($k->node->logfile), qr/Failed process was running: DO \$d\$\*+/, 'a crash is logged with what ran');
    eval { $_->close } for @sessions, $lock;
    eval { $bench->finish };
    $k->remember_postmaster;
}

start('secrecy', 'pg_stat_statements,auto_explain,kaireon');
all_ways();
all_errors();
everywhere('kaireon last');
while_running();
everywhere('after a crash');
$k->node->stop;

start('secrecy_first', 'kaireon,auto_explain,pg_stat_statements');
all_ways();
all_errors();
everywhere('kaireon first');
done_testing;
