# The extension in several databases of one cluster: runs in all of them at
# once, a pool that is shared fairly, databases that go while others load, few
# worker slots for many databases, supervisors that fail.
use strict;
use warnings;
use Kaireon;
use Test::More;

my $k = Kaireon->new('databases', conf => "kaireon.max_workers = 2\nkaireon.supervisor_idle_timeout = 3600\n");
my @fields = ({ name => 'id', dataType => 'integer', isPrimaryKey => \1 }, { name => 'name', dataType => 'varchar' });
my @few = (fields => \@fields, source => { resource => 'few.csv' });
$k->write_rows('few.csv', 100, sub { "$_[0],name $_[0]" }, 'id,name');
$k->sql('CREATE DATABASE second');
$k->sql('CREATE EXTENSION kaireon', 'second');
$k->make($_, @few) for qw(a b c d e f);
$k->make($_, @few, database => 'second') for qw(a b c);

# hold(DATABASE, TABLE...): keeps runs from writing.
sub hold
{
    my ($database, @tables) = @_;
    my $session = $k->session($database);
    $session->query('BEGIN; LOCK TABLE ' . join(', ', map { "ds_$_" } @tables) . ' IN SHARE MODE');
    return $session;
}

sub release
{
    my ($session) = @_;
    $session->query('COMMIT');
    $session->close;
    return;
}

sub running
{
    my ($run, $database) = @_;
    return $k->poll('the run to run', sub { return $k->sql("SELECT status FROM kaireon.runs WHERE run_id = '$run'", $database) eq 'running' });
}

sub setting
{
    my ($name, $value) = @_;
    $k->sql("ALTER SYSTEM SET $name = $value; SELECT pg_reload_conf()");
    $k->poll("$name = $value", "SHOW $name", $value);
    return;
}

sub supervisors { return $k->sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'kaireon supervisor'"); }

# order(RUN...): which databases' runs began, in their order; runs are "database run_id".
sub order
{
    my @all;
    for my $run (@_)
    {
        my ($database, $id) = split ' ', $run;
        push @all, [ $k->sql("SELECT extract(epoch FROM started_at) FROM kaireon.runs WHERE run_id = '$id'", $database), $database ];
    }
    return join ' ', map { $_->[1] eq 'postgres' ? 'P' : 'S' } sort { $a->[0] <=> $b->[0] } @all;
}

# ---- at once

{
    my ($one, $two) = (hold('postgres', 'a'), hold('second', 'a'));
    my ($p, $s) = ($k->start('a'), $k->start('a', 'second'));
    ok(running($p) && running($s, 'second'), 'runs of two databases at the same time');
    is($k->sql('SELECT count(*) FROM kaireon.progress', 'second'), 1, 'each database sees its own');
    my $waiting = $k->start('b', 'second');
    is($k->sql("SELECT status FROM kaireon.runs WHERE run_id = '$waiting'", 'second'), 'queued', 'the pool is one for both');
    release($one);
    is($k->wait_run($waiting, 'second'), 'success', 'a place that one database gives up is the other\'s');
    release($two);
    is($k->wait_run($p) . ' ' . $k->wait_run($s, 'second'), 'success success', 'all of them load');
}

# ---- fairly

$k->sql('TRUNCATE ds_a, ds_b, ds_c, ds_d, ds_e, ds_f');
$k->sql('TRUNCATE ds_a, ds_b, ds_c', 'second');
setting('kaireon.max_workers', 1);
{
    my $lock = hold('postgres', 'a');
    my @runs = ('postgres ' . $k->start('a'));
    running((split ' ', $runs[0])[1]);
    push @runs, 'postgres ' . $k->start($_) for qw(b c d e f);
    push @runs, 'second ' . $k->start($_, 'second') for qw(a b);
    # Both databases have to be seen waiting.
    $k->poll('the supervisor of the second', "SELECT count(*) = 2 FROM pg_stat_activity WHERE backend_type = 'kaireon supervisor'");
    $k->poll('both to wait', sub { return $k->sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'kaireon supervisor' AND state = 'idle'") == 2 });
    release($lock);
    $k->wait_run((split ' ', $_)[1], (split ' ', $_)[0]) for @runs;
    is(order(@runs), 'P S P S P P P P', 'two databases that wait take turns');
    setting('kaireon.max_workers', 4);
}

# ---- a database goes while the other loads

$k->sql('TRUNCATE ds_a, ds_b, ds_c');
$k->sql('TRUNCATE ds_a, ds_b, ds_c', 'second');
{
    my ($one, $two) = (hold('postgres', 'a'), hold('second', 'a'));
    my ($p, $s) = ($k->start('a'), $k->start('a', 'second'));
    running($p) && running($s, 'second');
    like($k->sql_error('DROP DATABASE second'), qr/database "second" is being accessed by other users/, 'a database that loads is not dropped');
    release($two);
    is($k->wait_run($s, 'second'), 'success', 'nor is its run disturbed');
    $two = hold('second', 'b');
    running($k->start('b', 'second'), 'second');
    is($k->sql_error('DROP DATABASE second (FORCE)'), '', 'by force it is');
    eval { $two->close };
    ok($k->poll('its processes to go', "SELECT count(DISTINCT datid) <= 1 FROM pg_stat_activity WHERE backend_type LIKE 'kaireon %' AND datid <> 0"), 'its processes go with it');
    release($one);
    is($k->wait_run($p), 'success', 'the other database\'s run ends well');
    is($k->run('b')->{status}, 'success', 'and the next one runs');
    ok($k->same_postmaster, 'the server lived through');
}

# ---- supervisors that fail

$k->sql('TRUNCATE ds_a, ds_b, ds_c, ds_d, ds_e, ds_f');
{
    my $lock = hold('postgres', 'c');
    setting('kaireon.max_workers', 1);
    my @runs = map { $k->start($_) } qw(c d);
    running($runs[0]);
    my $pid = $k->sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'kaireon supervisor'");
    $k->sql("SELECT pg_terminate_backend($pid)");
    $k->gone($pid);
    ok($k->poll('another one', "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'kaireon supervisor' AND pid <> $pid"), 'a supervisor that ends too early is replaced, though nobody asks for it');
    release($lock);
    is(join(' ', map { $k->wait_run($_) } @runs), 'success success', 'and its runs go on');
    setting('kaireon.max_workers', 4);
}
$k->sql('CREATE DATABASE closed');
$k->sql('CREATE EXTENSION kaireon', 'closed');
$k->make('a', @few, database => 'closed');
is($k->run('a', 'closed')->{status}, 'success', 'a database works');
# Nobody knocks at a database that takes no connections: its runs stay queued,
# and go on by themselves when it does again.
$k->make($_, @few, database => 'closed') for qw(b c);
setting('kaireon.max_workers', 1);
{
    my $log_at = -s $k->node->logfile;
    my $refused = sub { my $log = PostgreSQL::Test::Utils::slurp_file($k->node->logfile, $log_at); return scalar(() = $log =~ /FATAL:  database "closed" /g) };
    my $inside = $k->session('closed');
    my $status = sub { return $inside->query("SELECT string_agg(pipeline || ' ' || status, ', ' ORDER BY pipeline) FROM kaireon.runs WHERE run_id IN ('" . join("', '", @_) . "')") };
    my $supervisor = sub { return $k->sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'kaireon supervisor' AND datname = 'closed'") };
    for my $ended (0, 1)
    {
        my $what = $ended ? 'without its supervisor' : 'with its supervisor';
        $inside->query('TRUNCATE ds_a, ds_b, ds_c');
        $k->sql('TRUNCATE ds_a, ds_e');
        my $lock = hold('postgres', 'a');
        my $blocker = $k->start('a');
        running($blocker);
        my @queued = ($inside->query("SELECT kaireon.start_pipeline('a')"));
        my $pid;
        $k->poll('the supervisor', sub { return $pid = $supervisor->() });
        my $waits = $k->session('closed');
        $waits->send("SELECT status FROM kaireon.run_pipeline('c')");
        $k->poll('the session to wait', "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = " . $waits->pid . " AND wait_event_type = 'Extension')");
        $k->sql('ALTER DATABASE closed ALLOW_CONNECTIONS false');
        if ($ended)
        {
            $k->sql("SELECT pg_terminate_backend($pid)");
            $k->gone($pid);
        }
        if ($ended)
        {
            is($waits->result, '', "closed $what: a session that waits is let go");
            like($waits->err, qr/ERROR:  55000: no run of pipeline "c" can begin/, "closed $what: with the reason");
        }
        release($lock);
        is($k->wait_run($blocker), 'success', "closed $what: the run that had the place ends");
        push @queued, $inside->query("SELECT kaireon.start_pipeline('b')");
        is($k->run('e')->{status}, 'success', "closed $what: other databases are not disturbed");
        is($inside->query("SELECT status FROM kaireon.run_pipeline('c')"), '', "closed $what: a session that is inside waits for no run");
        like($inside->err, qr/ERROR:  55000: no run of pipeline "c" can begin\nDETAIL:  The database allows no connections, and a worker needs one\.\nHINT:  /, "closed $what: it is told why");
        $k->sql('TRUNCATE ds_e');
        is($k->run('e')->{status}, 'success', "closed $what: nor a while later");
        is($status->(@queued), 'a queued, b queued', "closed $what: its runs stay queued");
        is($refused->(), 0, "closed $what: it is not knocked at");
        $k->sql('ALTER DATABASE closed ALLOW_CONNECTIONS true');
        $k->wait_run($_, 'closed') for @queued;
        is($status->(@queued), 'a success, b success', "closed $what: when it is opened, they run");
        is($waits->result, 'success', "closed $what: a session that waited, too") if !$ended;
        $waits->close;
    }
    $inside->close;
}

# No connections are left in the database: supervisor and workers are none.
{
    $k->sql('TRUNCATE ds_a, ds_b, ds_c', 'closed');
    $k->sql('TRUNCATE ds_a');
    my $lock = hold('postgres', 'a');
    my $blocker = $k->start('a');
    running($blocker);
    $k->sql("CREATE ROLE limited LOGIN IN ROLE kaireon_admin; ALTER DATABASE closed CONNECTION LIMIT 0");
    $k->sql("GRANT ALL ON SCHEMA public TO limited; ALTER TABLE ds_a OWNER TO limited; SELECT kaireon.change_owner('connector', 'files', 'limited'), kaireon.change_owner('schema', 'a', 'limited'), kaireon.change_owner('pipeline', 'a', 'limited')", 'closed');
    my $run = $k->start('a', 'closed');
    my $pid;
    $k->poll('the supervisor', sub { return $pid = $k->sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'kaireon supervisor' AND datname = 'closed'") });
    $k->sql("SELECT pg_terminate_backend($pid)");
    $k->gone($pid);
    release($lock);
    is($k->wait_run($run, 'closed'), 'success', 'CONNECTION LIMIT 0: a queued run runs, and a supervisor that ends is replaced');
    $k->sql('ALTER DATABASE closed CONNECTION LIMIT -1');
}

# A database that is dropped takes its queued runs along, and the places they wait for are free.
{
    my $log_at = -s $k->node->logfile;
    $k->sql('TRUNCATE ds_a, ds_e');
    my $lock = hold('postgres', 'a');
    my $blocker = $k->start('a');
    running($blocker);
    $k->start($_, 'closed') for qw(b c);
    my $inside = $k->session('closed');
    $inside->send("SELECT status FROM kaireon.run_pipeline('a')");
    $k->poll('the session to wait', "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = 'closed' AND wait_event_type = 'Extension' AND query LIKE '%run_pipeline%')");
    like($k->sql_error('DROP DATABASE closed'), qr/database "closed" is being accessed by other users/, 'a database with queued runs is not dropped');
    is($k->sql_error('DROP DATABASE closed (FORCE)'), '', 'by force it is');
    eval { $inside->abandon };
    release($lock);
    is($k->wait_run($blocker), 'success', 'what ran goes on');
    is($k->run('e')->{status}, 'success', 'and what comes has a place');
    $k->sql('TRUNCATE ds_a');
    is($k->run('a')->{status}, 'success', 'and the next');
    my $log = PostgreSQL::Test::Utils::slurp_file($k->node->logfile, $log_at);
    # While the database goes, the supervisor that it ended may be started once more.
    cmp_ok(scalar(() = $log =~ /FATAL:  database .* does not exist/g), '<=', 1, 'nobody looks for the database again and again');
    ok($k->same_postmaster, 'the server lived through');
}
setting('kaireon.max_workers', 4);

# ---- a start with many databases and few worker slots

$k->sql('TRUNCATE ds_a');
my @databases = map { "many$_" } 1 .. 6;
$k->sql("CREATE DATABASE $_ TEMPLATE postgres") for @databases;
for my $database (@databases)
{
    $k->sql('SELECT kaireon.confirm_instance()', $database);
    # As a server that stopped before it could start them leaves them.
    $k->sql("INSERT INTO kaireon_internal.run (pipeline_id, pipeline, version, owner) SELECT id, name, 1, owner FROM kaireon_internal.pipeline WHERE name = 'a'", $database);
}
$k->node->append_conf('postgresql.conf', "max_worker_processes = 4\n");
$k->node->restart;
$k->remember_postmaster;
is(join(' ', map { my $database = $_; $k->poll("the run of $database", sub { return $k->sql("SELECT count(*) FROM kaireon.runs WHERE status = 'queued'", $database) == 0 }) ? 'success' : 'none' } @databases),
    join(' ', ('success') x @databases), 'with four worker slots, six databases get their queued runs done');
ok($k->poll('the supervisors to go', sub { return supervisors() <= 2 }), 'they do not all stay');
$k->node->restart;
ok($k->poll('the supervisors to go', sub { return supervisors() == 0 }), 'a start with nothing to do leaves no supervisor, whatever the idle timeout');
$k->settled('the end');
done_testing;
