# While a table's storage is exchanged: readers see the old rows or the new ones,
# whatever their isolation level says; whoever holds the table keeps the run
# waiting, and not the others; what dies leaves the old rows or the new ones.
use strict;
use warnings;
use IPC::Run;
use Kaireon;
use Test::More;
use Time::HiRes qw(usleep);

my $k = Kaireon->new('replace_readers', conf => "wal_level = replica\nautovacuum = off\nkaireon.swap_lock_timeout = 100\n");
my $rows = 20000;
$k->sql(q{
    CREATE TABLE public.gens (id integer PRIMARY KEY, gen integer NOT NULL, body text);
    CREATE INDEX ON gens (gen);
    CREATE TABLE other (n integer); INSERT INTO other VALUES (1);
    SELECT kaireon.adopt_table('gens', 'public.gens')});
$k->make('gens', schema => 'gens', source => { resource => 'gens.csv' }, target => { loadingStrategy => 'blue_green', validation => 'strict' });

sub write_gen { my ($gen, $bad) = @_; return $k->write_rows('gens.csv', $rows, sub { "$_[0]," . ($bad && $_[0] == $rows ? 'bad' : $gen) . ',' . ($_[0] % 100 ? "row $_[0]" : 'x' x 9000) }, 'id,gen,body'); }
sub load { my ($gen) = @_; write_gen($gen); return $k->run('gens'); }
sub seen { return "SELECT count(*) || ' ' || min(gen) || ' ' || max(gen) FROM gens"; }

# Files of no relation, and relations that only a run knows.
sub orphans
{
    return $k->sql(q{CHECKPOINT; SELECT count(*) FROM pg_database d, pg_ls_dir('base/' || d.oid) f
        WHERE d.datname = current_database() AND f ~ '^[0-9]+(\.|$)' AND NOT EXISTS (SELECT FROM pg_class c WHERE pg_relation_filenode(c.oid) = split_part(f, '.', 1)::oid)})
      . ' ' . $k->sql(q{SELECT count(*) FROM pg_class WHERE relname ~ '^pg_temp_'});
}

sub whole
{
    my ($what) = @_;
    is($k->sql(q{SELECT count(*) FROM pg_index x, LATERAL bt_index_parent_check(x.indexrelid, true, true) WHERE x.indrelid = 'gens'::regclass}), 2, "$what: the indexes are whole");
    is($k->sql(q{SELECT count(*) FROM verify_heapam('gens', check_toast => true)}), 0, "$what: so is the heap");
    return;
}

$k->sql('CREATE EXTENSION amcheck');
my $run = load(1);
is("$run->{status} " . $k->sql(seen()), "success $rows 1 1", 'a first load') or diag(explain $run);
is(orphans(), '0 0', 'no file too many');

# ---- many readers, each of which counts all rows

my $script = $k->write_file('read.sql', "SELECT 1 / (CASE WHEN count(*) = $rows AND min(gen) = max(gen) THEN 1 ELSE 0 END) FROM gens;\n"
      . "SET enable_seqscan = off;\nSELECT 1 / (CASE WHEN count(*) = 3 THEN 1 ELSE 0 END) FROM gens WHERE id IN (1, 100, $rows);\n");
my ($out, $err, $loads) = ('', '', 0);
my $readers = IPC::Run::start([ 'pgbench', '-n', '-c', 4, '-j', 2, '-t', 200, '-M', 'simple', '-f', $script, '-h', $k->node->host, '-p', $k->node->port, 'postgres' ],
    '<', \undef, '>', \$out, '2>', \$err);
my @statuses;
do
{
    push @statuses, load(++$loads + 1)->{status};
    $readers->pump_nb;
} while ($readers->pumpable);
$readers->finish;
is($readers->result(0) . ($err =~ /aborted|ERROR/ ? $err : ''), 0, 'under pgbench nobody sees another number of rows, or rows of two loads') or diag($err);
cmp_ok($loads, '>', 1, "while $loads loads went on");
is(join(' ', grep { $_ ne 'success' } @statuses), '', 'all of which came through');
cmp_ok($k->sql("SELECT max(locked_ms) FROM kaireon.run_nodes WHERE locked_ms IS NOT NULL"), '<', 60000, 'how long the table was locked is told');
my $gen = $loads + 1;

# ---- repeatable read

my ($fresh, $reader) = ($k->session, $k->session);
$fresh->query('BEGIN ISOLATION LEVEL REPEATABLE READ');
is($fresh->query('SELECT n FROM other'), 1, 'a repeatable read transaction has its snapshot');
is(load(++$gen)->{status}, 'success', 'and does not keep a load waiting');
is($fresh->query(seen()), "$rows $gen $gen", 'it sees the new rows, since it has not read the table before');
$fresh->query('COMMIT');
$reader->query('BEGIN ISOLATION LEVEL REPEATABLE READ');
is($reader->query(seen()), "$rows $gen $gen", 'one that has read the table');
write_gen(++$gen);
$run = $k->start('gens');
$k->poll('the run to want the table', q{SELECT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'kaireon run' AND query = 'exchanging tables')});
my $old = $gen - 1;
is($k->sql(seen()), "$rows $old $old", 'others are let through while it waits');
is($k->sql("SELECT stage FROM kaireon.progress WHERE run_id = '$run'"), 'exchanging', 'its progress says for what it waits');
is($reader->query(seen()), "$rows $old $old", 'it sees the old rows');
is($k->sql("SELECT status FROM kaireon.runs WHERE run_id = '$run'"), 'running', 'and the run waits');
$reader->query('COMMIT');
is($k->wait_run($run), 'success', 'until it ends');
is($k->sql(seen()), "$rows $gen $gen", 'then there are the new ones');

like($k->sql_error("BEGIN; SELECT FROM gens LIMIT 1; SELECT * FROM kaireon.run_pipeline('gens')"),
    qr/this transaction has read the table that pipeline "gens" replaces/, 'who has read the table can not wait for the run');

# ---- what fails leaves nothing

write_gen(1000);
$run = ($k->rows(q{SELECT * FROM kaireon.run_pipeline('gens', '{"dryRun": true}')}))[0];
is("$run->{status} $run->{rows_loaded} " . $k->sql(seen()) . ' ' . orphans(), "success $rows $rows $gen $gen 0 0", 'a dry run counts, and leaves the old rows and no file') or diag(explain $run);
write_gen(1000, 1);
$run = $k->run('gens');
is("$run->{status} $run->{error_code} " . $k->sql(seen()) . ' ' . orphans(), "failed 22P02 $rows $gen $gen 0 0", 'a run that fails at its last row leaves the old rows, and no file');
for my $how ('pg_cancel_backend', 'pg_terminate_backend')
{
    $reader->query("BEGIN; SELECT FROM gens LIMIT 1");
    write_gen(1000);
    $run = $k->start('gens');
    $k->poll('the run to want the table', q{SELECT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'kaireon run' AND query = 'exchanging tables')});
    $k->sql("SELECT $how(pid) FROM pg_stat_activity WHERE backend_type = 'kaireon run'");
    like($k->wait_run($run), qr/cancelled|failed/, "$how while it waits for the lock");
    $reader->query('COMMIT');
    is($k->sql(seen()) . ' ' . orphans(), "$rows $gen $gen 0 0", "$how: the old rows, and no file");
}

# ---- crashes

$reader->query('BEGIN; SELECT FROM gens LIMIT 1');
write_gen(++$gen);
$run = $k->start('gens');
$k->poll('the run to want the table', q{SELECT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'kaireon run' AND query = 'exchanging tables')});
$k->node->stop('immediate');
$k->node->start;
$old = $gen - 1;
is($k->sql(seen()), "$rows $old $old", 'a crash before the exchange: the old rows');
whole('a crash before the exchange');
is($k->wait_run($run), 'failed', 'a crash before the exchange: the run has failed');
is($k->run('gens')->{status} . ' ' . $k->sql(seen()), "success $rows $gen $gen", 'the next one succeeds');
$k->node->stop('immediate');
$k->node->start;
is($k->sql(seen()), "$rows $gen $gen", 'a crash after the commit: the new rows');
is($k->sql("SELECT count(*) FROM gens WHERE body = repeat('x', 9000)"), $rows / 100, 'a crash after the commit: large ones too');
whole('a crash after the commit');
is($k->run('gens')->{status}, 'success', 'and the next one succeeds');

$k->settled('in the end');
done_testing();
