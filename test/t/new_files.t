# What a crash leaves of the relations that a run has made is removed when the
# server is back, on a standby too; and nothing else ever is.
use strict;
use warnings;
use Kaireon;
use Test::More;

my $k = Kaireon->new('new_files', conf => "wal_level = replica\nmax_wal_senders = 4\nrestart_after_crash = on\nautovacuum = off\nkaireon.supervisor_idle_timeout = 1\n");
my $node = $k->node;
my $folder = $node->data_dir . '/kaireon_new_files';
my $rows = 2000;

$k->sql(q{
    CREATE TABLE kinds (kind text PRIMARY KEY);
    INSERT INTO kinds VALUES ('a');
    CREATE TABLE goods (id integer PRIMARY KEY, name text UNIQUE, kind text REFERENCES kinds, body text);
    ALTER TABLE goods ALTER body SET STORAGE EXTERNAL;
    CREATE INDEX goods_kind ON goods (kind, name);
    INSERT INTO goods SELECT n, 'old ' || n, 'a', repeat('old', 1000) FROM generate_series(1, 50) n;
    SELECT kaireon.adopt_table('goods', 'goods')});
$k->write_rows('goods.csv', $rows, sub { "$_[0],new $_[0],a," . 'new' x 1000 }, 'id,name,kind,body');
$k->make($_, schema => 'goods', source => { resource => 'goods.csv' }, target => { loadingStrategy => $_ }) for qw(blue_green truncate_and_load);
my $content = q{SELECT md5(string_agg(g::text, ' ' ORDER BY id)) FROM goods g};
my $before = $k->sql($content);

sub lists { return map { s{.*/}{}r } glob "$folder/*"; }

# waits_for(RUN): its worker, once it waits for a lock.
sub waits_for
{
    my ($run) = @_;
    my $worker = $k->worker_pid($run);
    $k->poll('the run to wait', "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $worker AND wait_event_type = 'Lock')");
    return $worker;
}

# held(NAME): a run that has written all rows and indexes, and waits to check the
# foreign key; its id, its worker and the session that has the lock.
sub held
{
    my ($name) = @_;
    my $session = $k->session;
    $session->query("BEGIN; INSERT INTO kinds VALUES ('b')");
    my $run = $k->start($name);
    return ($run, waits_for($run), $session);
}

# crashed(HOW, WORKER): the server dies with the run's worker, and is back.
sub crashed
{
    my ($how, $worker) = @_;
    if ($how eq 'stop')
    {
        $node->stop('immediate');
        $node->start;
        return;
    }
    my $at = -s $node->logfile;
    kill 'KILL', $worker;
    $node->wait_for_log(qr/all server processes terminated; reinitializing/, $at);
    $node->poll_query_until('postgres', 'SELECT true');
    return;
}

# cleaned(WHAT): nothing is left, without anybody having asked for anything.
sub cleaned
{
    my ($what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    $k->poll("the files to go: $what", sub { return !lists() });
    is(join(' ', lists()), '', "$what: the list is gone");
    is(join(' ', $k->orphans), '', "$what: so are the files");
    is($k->sql($content), $before, "$what: the table is as it was");
    return;
}

# ---- a crash with a new heap, its indexes and its TOAST table

my ($run, $worker, $lock) = held('blue_green');
my @lists = lists();
cmp_ok(scalar(grep { -s > 100_000 } $k->orphans), '>=', 2, 'a run makes a heap and a TOAST table');
cmp_ok(scalar($k->orphans), '>=', 6, 'and indexes');
is(scalar(@lists), 1, 'of which there is one list');
like(PostgreSQL::Test::Utils::slurp_file("$folder/$lists[0]"), qr/\A(\d+ \d+\n){6}end\n\z/, 'with all of them');

# A copy has the files that are there while it is made.
$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('new_files_standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
cmp_ok(scalar($k->orphans('postgres', $standby)), '>=', 6, 'a standby has them too');
my $copy = PostgreSQL::Test::Cluster->new('new_files_copy');
$copy->init_from_backup($node, 'copy');
$copy->start;
$copy->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()');
ok($k->poll('the files of the copy to go', sub { return !$k->orphans('postgres', $copy) }), 'a copy of the server, in which the run is not, removes them');
is($copy->safe_psql('postgres', $content), $before, 'the table of the copy is the old one');
$copy->stop;

# Only the supervisor begins anew: the list is that of a transaction under way.
my $first = $k->sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'kaireon supervisor'");
$k->sql("SELECT pg_terminate_backend($first)");
$k->poll('another supervisor', "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'kaireon supervisor' AND pid <> $first AND state = 'idle')");
is(join(' ', lists()), $lists[0], 'a supervisor that begins lets a run have its list');
cmp_ok(scalar($k->orphans), '>=', 6, 'and its files');

crashed('kill', $worker);
cleaned('SIGKILL');
$node->wait_for_catchup($standby);
is(join(' ', $k->orphans('postgres', $standby)), '', 'SIGKILL: the standby has removed them as well');
$standby->stop;
like(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/the files of \d+ relations that a crash had left are removed/, 'SIGKILL: the log tells');
$lock->abandon;

($run, $worker, $lock) = held('truncate_and_load');
crashed('stop', $worker);
cleaned('immediate shutdown');
$lock->abandon;

# ---- TRUNCATE makes files, too; in another tablespace

my $space = PostgreSQL::Test::Utils::tempdir();
system('chown', 'postgres', $space) if $> == 0;
$k->sql("CREATE TABLESPACE elsewhere LOCATION '$space'");
$k->sql(q{
    ALTER TABLE goods SET TABLESPACE elsewhere;
    CREATE FUNCTION pass() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
        IF NEW.id = 1900 THEN PERFORM pg_advisory_xact_lock(42); END IF; RETURN NEW; END$$;
    CREATE TRIGGER pass BEFORE INSERT ON goods FOR EACH ROW EXECUTE FUNCTION pass()});
$lock = $k->session;
$lock->query('SELECT pg_advisory_lock(42)');
$worker = waits_for($k->start('truncate_and_load'));
cmp_ok(scalar(grep { m{/pg_tblspc/} && -s } $k->orphans), '>=', 1, 'an emptied table has other files');
crashed('kill', $worker);
cleaned('SIGKILL, emptied table');
$lock->abandon;
$k->sql('DROP TRIGGER pass ON goods');

# ---- the exchange is done, but not committed

$k->make('hooked', schema => 'goods', source => { resource => 'goods.csv' }, target => { loadingStrategy => 'blue_green', postHook => 'SELECT pg_advisory_xact_lock(42)' });
$lock = $k->session;
$lock->query('SELECT pg_advisory_lock(42)');
$worker = waits_for($k->start('hooked'));
crashed('kill', $worker);
cleaned('SIGKILL, exchanged');
$lock->abandon;

# ---- a run that ends leaves no list

is($k->run('blue_green')->{status}, 'success', 'a run');
is(join(' ', lists()), '', 'leaves no list');
is($k->sql('SELECT count(*) FROM goods WHERE length(body) = 3000'), $rows, 'and its rows');
is(join(' ', $k->orphans), '', 'and no other file');
($run, $worker, $lock) = held('blue_green');
$k->sql("SELECT pg_terminate_backend($worker)");
$k->wait_run($run);
$before = $k->sql($content);
cleaned('terminated');
$lock->close;

# ---- nothing is deleted that may be somebody's

my $database = $k->sql('SELECT oid FROM pg_database WHERE datname = current_database()');
my $aborted = $k->sql('BEGIN; SELECT pg_current_xact_id(); ROLLBACK');
my $committed = $k->sql('SELECT pg_current_xact_id()');
my $free = $k->sql('BEGIN; CREATE TABLE gone (n integer); SELECT pg_relation_filenode($$gone$$); ROLLBACK; CHECKPOINT');
my $file = $node->data_dir . "/base/$database/$free";

sub write_to
{
    my ($path, $text) = @_;
    open my $out, '>', $path or die "$path: $!";
    print $out $text;
    close $out or die $!;
    system('chown', 'postgres', $path) if $> == 0;
    return;
}

# settled_by_run(NAME, TEXT): what becomes of such a list once a run has ended.
sub settled_by_run
{
    my ($name, $text) = @_;
    write_to("$folder/$name", $text);
    $k->sql("SELECT kaireon.run_pipeline('blue_green')");
    return -e "$folder/$name" ? 'kept' : 'gone';
}
sub made { write_to($file, 'x' x 8192); return; }

made();
is(settled_by_run("$database.$aborted", "1663 $free\nend\n"), 'gone', 'a list of a transaction that was rolled back');
ok(!-s $file, 'its file is removed');
made();
is(settled_by_run("$database.$committed", "1663 $free\nend\n"), 'gone', 'a list of one that was committed');
ok(-s $file, 'its file is left to PostgreSQL');
is(settled_by_run("99.$aborted", "1663 $free\nend\n"), 'gone', 'a list of a database that is not there');
ok(-s $file, 'its file is not removed');
is(settled_by_run("$database.$aborted.tmp", "1663 $free\nend\n"), 'gone', 'a list that was not finished');
ok(-s $file, 'its file is not removed');
is(settled_by_run('1.' . $aborted, "1663 $free\nend\n"), 'kept', 'a list of another database');
unlink "$folder/1.$aborted";
for my $text ('', "1663 $free\n", "1663 $free\nend\nend\n", "1663 $free\nmore\nend\n", "1663 $free more\nend\n", "$free\nend\n", "1664 $free\nend\n", "1663 1259\n1663 $free\nend\n", "1663 $free\nend")
{
    is(settled_by_run("$database.$aborted", $text), 'kept', 'nonsense is left alone: ' . $text =~ s/\n/;/gr);
    ok(-s $file, 'nothing is removed');
}
unlink "$folder/$database.$aborted";
is(settled_by_run("$database.999999999", "1663 $free\nend\n"), 'kept', 'a list of a transaction that has not been');
ok(-s $file, 'nothing is removed');

# Files that a table has: by a row that is committed, or not yet; or mapped.
$k->sql('CREATE TABLE old AS SELECT 1 AS n; VACUUM FULL pg_class');
my $session = $k->session;
$session->query('BEGIN; CREATE TABLE young AS SELECT 2 AS n');
my %used = (committed => $k->sql(q{SELECT pg_relation_filenode('old')}), uncommitted => $session->query(q{SELECT pg_relation_filenode('young')}),
    mapped => $k->sql(q{SELECT pg_relation_filenode('pg_class')}));
for my $what (sort keys %used)
{
    cmp_ok($used{$what}, '>=', 16384, "$what: it is a number that could be new");
    is(settled_by_run("$database.$aborted", "1663 $used{$what}\nend\n"), 'gone', "$what: its list is gone");
    ok(-s $node->data_dir . "/base/$database/$used{$what}", "$what: its file is not removed");
}
$session->query('COMMIT');
$session->close;
is($k->sql('SELECT n, (SELECT n FROM young) FROM old'), '1|2', 'the tables can be read');

# What can't be understood is told when a supervisor begins.
write_to("$folder/readme", 'what is this?');
my $at = -s $node->logfile;
$node->restart;
$node->wait_for_log(qr{WARNING:.*"kaireon_new_files/readme" is no list of new files}, $at);
$node->wait_for_log(qr{WARNING:.*999999999".*is in the future}, $at);
is(join(' ', sort(lists())), "$database.999999999 readme", 'and left alone');
is($k->run('blue_green')->{status}, 'success', 'runs go on');
unlink $file, glob "$folder/*";
$k->settled('new files');
done_testing;
