# Disks that are full: a table's, its indexes', that of temporary files, the
# catalog's, that of the WAL.  A run says so, loads nothing or what it has
# committed, and the next one succeeds; nobody waits for ever, and whoever looks
# after the runs lives through.
use strict;
use warnings;
use FullDisk;
use Kaireon;
use Test::More;

my $k = Kaireon->new('disk', conf => "restart_after_crash = on\nautovacuum = off\nwal_recycle = off\n");
FullDisk::start($k);
my $space = PostgreSQL::Test::Utils::tempdir() . '/small_space';
mkdir $space;
$k->sql("CREATE TABLESPACE small LOCATION '$space'");
my @fields = ({ name => 'n', dataType => 'integer' }, { name => 'name', dataType => 'varchar' });
$k->write_rows('rows.csv', 20_000, sub { "$_[0],this is row $_[0]" }, 'n,name');
my @rows = (fields => \@fields, source => { resource => 'rows.csv' });

# full(PART, CODE): what it returns, while that disk is full.
sub full
{
    my ($part, $code) = @_;
    FullDisk::fill($k, $part);
    my @result = eval { $code->() };
    my $error = $@;
    FullDisk::clear($k);
    die $error if $error;
    return wantarray ? @result : $result[0];
}

sub state_of
{
    my ($name) = @_;
    return $k->sql("SELECT (SELECT count(*) || ' ' || coalesce(sum(n), 0) FROM ds_$name), (SELECT count(*) FROM kaireon_internal.source_file AS f JOIN kaireon_internal.pipeline AS p"
          . " ON p.id = f.pipeline_id WHERE p.name = '$name'), (SELECT count(*) FROM kaireon.dead_letters WHERE pipeline = '$name')");
}

# held(NAME, PART): a run of the pipeline that has begun when the disk fills up.
sub held
{
    my ($name, $part) = @_;
    my $lock = $k->session;
    $lock->query("BEGIN; LOCK TABLE ds_$name IN SHARE MODE");
    my $run = $k->start($name);
    my $worker = $k->worker_pid($run);
    $k->poll('the run to wait', "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $worker");
    full($part, sub { $lock->query('COMMIT'); $k->wait_run($run) });
    $lock->close;
    return $k->run_row($run);
}

# fails(WHAT, NAME, PART, held => 1): a run of the pipeline on that full disk, and one more when there is room.
sub fails
{
    my ($what, $name, $part, %o) = @_;
    my $before = state_of($name);
    my $row = $o{held} ? held($name, $part) : full($part, sub { $k->run($name) });

    is("$row->{status} $row->{error_code}", 'failed 53100', "$what: the run fails, and says why");
    like($row->{error_message}, qr/^could not (extend|write to) file ".*"( with FileFallocate\(\))?: No space left on device$/, 'which file');
    like($row->{error_hint}, qr/^(Check free disk space\.|Make room on the disk)/, 'and what to do');
    is($k->count_identity($row->{run_id}) . " $row->{rows_loaded}", 't 0', 'nothing was loaded, the counters add up');
    is(state_of($name), $before, 'table, ledger and dead letters are as before');
    is($k->sql('SELECT count(*) FROM kaireon.progress'), 0, 'nothing is under way any more');
    my $next = $k->run($name);
    like("$next->{status} $next->{rows_read}", qr/^(success|partial) 20000$/, 'the next run succeeds') or diag(explain($next));
    return $row;
}

# ---- the table's, by each way of writing

for my $strategy (qw(append upsert truncate_and_load blue_green))
{
    my $key = $strategy eq 'upsert' ? { name => 'n', dataType => 'integer', isPrimaryKey => \1 } : $fields[0];
    $k->make($strategy, fields => [ $key, $fields[1] ], source => { resource => 'rows.csv' }, target => { loadingStrategy => $strategy });
    $k->sql("ALTER TABLE ds_$strategy SET TABLESPACE small; INSERT INTO ds_$strategy (n) VALUES (-1)");
    fails($strategy, $strategy, '/small_space/');
}
is($k->sql('SELECT count(*) FROM ds_append') . ' ' . $k->sql('SELECT count(*) FROM ds_upsert') . ' ' . $k->sql('SELECT count(*) FROM ds_blue_green'), '20001 20001 20000', 'all rows once');
$k->make('slow', @rows);
$k->sql(q(CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER t BEFORE INSERT ON ds_slow FOR EACH ROW EXECUTE FUNCTION nothing(); ALTER TABLE ds_slow SET TABLESPACE small));
fails('ordinary INSERTs', 'slow', '/small_space/');
for my $strategy (qw(append blue_green))
{
    $k->make("indexed_$strategy", @rows, target => { loadingStrategy => $strategy });
    $k->sql("CREATE INDEX ON ds_indexed_$strategy (name) TABLESPACE small");
    fails("an index, $strategy", "indexed_$strategy", '/small_space/');
}
$k->make('letters', @rows, execution => { errorHandling => 'dlq' });
$k->sql('ALTER TABLE ds_letters ADD CHECK (n % 2 = 0); ALTER TABLE ds_letters SET TABLESPACE small');
fails('with bad rows', 'letters', '/small_space/');
is(state_of('letters'), '10000 100010000|1|10000', 'which the next run has, each once');

# An incremental source has what was not loaded still before it.
$k->make('part', fields => \@fields, source => { resource => 'rows.csv', incremental => \1 });
$k->sql('ALTER TABLE ds_part SET TABLESPACE small');
fails('an incremental source', 'part', '/small_space/');
is($k->run('part')->{rows_read}, 0, 'which has nothing more then');

# ---- temporary files

$k->sql("ALTER SYSTEM SET kaireon.work_mem = '64kB'");
$k->sql('SELECT pg_reload_conf()');
$k->make('distinct', @rows, nodes => [ { id => 'd', type => 'deduplicate', config => { keyFields => ['name'] } } ]);
$k->make('groups', @rows, nodes => [ { id => 'a', type => 'aggregate', config => { groupByFields => ['name'], aggregations => [ { field => 'n', function => 'max', alias => 'n' } ] } } ]);
$k->make('ruled', @rows, nodes => [ { id => 'j', type => 'validate', config => { rules => [ { field => 'name', rule => 'unique' } ] } } ]);
fails("temporary files, $_", $_, '/pgsql_tmp/') for qw(distinct groups ruled);
$k->sql("ALTER ROLE CURRENT_USER SET temp_file_limit = '100kB'");
my $row = $k->run('distinct');
like("$row->{status} $row->{error_code} $row->{error_message}", qr/^failed 53400 temporary file size exceeds "?temp_file_limit"? \(100kB\)$/, 'temp_file_limit of the owner holds for runs');
like($row->{error_hint}, qr/^A superuser can raise it for the pipeline's owner/, 'and the run says who can change that');
$k->sql('ALTER ROLE CURRENT_USER RESET temp_file_limit');
is($k->run('distinct')->{status}, 'success', 'the next run succeeds');

# ---- tried again

$k->make('again', @rows, execution => { retry => { pauseSeconds => 3600 } });
$k->sql('ALTER TABLE ds_again SET TABLESPACE small');
{
    my $session = $k->session;
    my $run = full('/small_space/', sub {
        $session->send(q(SELECT status, attempt, rows_loaded FROM kaireon.run_pipeline('again')));
        $k->poll('the pause', "SELECT count(*) = 1 FROM kaireon.run_attempts WHERE pipeline = 'again' AND error_code = '53100' AND next_attempt_at IS NOT NULL");
        return $k->sql(q(SELECT run_id FROM kaireon.runs WHERE pipeline = 'again' AND status = 'queued'));
    });
    $k->sql("UPDATE kaireon_internal.run SET retry_at = now() WHERE run_id = '$run'; SELECT kaireon_internal.wake_supervisor()");
    is($session->result, 'success|2|20000', 'a full disk is something that may be over soon');
    $session->close;
}

# ---- the catalog's

my $supervisor = $k->sql(q(SELECT pid FROM pg_stat_activity WHERE backend_type = 'kaireon supervisor'));
$k->make('noted', @rows, execution => { errorHandling => 'skip' });
$k->sql('ALTER TABLE ds_noted ADD CHECK (n % 2 = 0)');
$row = fails('the catalog', 'noted', '/base/', held => 1);
is("$row->{rows_read} " . ($row->{rows_skipped} + $row->{rows_failed}), '1000 1000', 'the run has its counters');
like($row->{error_detail}, qr/^The run's bad rows and counts by node could not be recorded: could not extend file/, 'and what is missing, and why');
$k->make('small', @rows);
full('/base/', sub {
    my %said;

    # A run that is asked for has a row as long as there is room for one.
    for (1 .. 300)
    {
        my ($code, $out, $err) = $k->node->psql('postgres', "\\set VERBOSITY verbose\nSET statement_timeout = '60s'; SELECT status, error_code FROM kaireon.run_pipeline('small')");
        $said{ $err =~ /ERROR:  (53100: could not record a run of pipeline "small": could not extend file)/ ? $1 : $out . $err }++;
        last if $err;
    }
    is(join(', ', sort keys %said), '53100: could not record a run of pipeline "small": could not extend file, failed|53100',
        'run_pipeline fails, or when there is no room for that, says so') or diag(explain(\%said));
    like($k->sql_error(q(DO $$BEGIN FOR i IN 1..300 LOOP PERFORM kaireon.start_pipeline('small'); END LOOP; END$$)), qr/could not extend file/, 'start_pipeline says so');
    return;
});
is($k->sql(q(SELECT count(*) FROM kaireon.runs WHERE status IN ('queued', 'running') OR status = 'failed' AND error_code <> '53100')), '1', 'every run is recorded (one has failed for temp_file_limit)');
is($k->run('small')->{status} . $k->sql('SELECT count(*) FROM ds_small'), 'success20000', 'the next run succeeds');
is($k->sql(q(SELECT pid FROM pg_stat_activity WHERE backend_type = 'kaireon supervisor')), $supervisor, 'by the same supervisor');

# Not even the run's row can be written by its worker: what it failed for is known all the same.
$k->sql(q(CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
    IF (SELECT backend_type FROM pg_stat_activity WHERE pid = pg_backend_pid()) = 'kaireon run' THEN RAISE 'no room' USING ERRCODE = '53100'; END IF; RETURN NEW; END$$;
    CREATE TRIGGER no_room BEFORE UPDATE ON kaireon_internal.run FOR EACH ROW WHEN (NEW.status = 'failed') EXECUTE FUNCTION no_room()));
$k->sql('ALTER TABLE ds_small SET TABLESPACE small');
$row = full('/small_space/', sub { $k->run('small') });
like("$row->{status} $row->{error_code} $row->{error_message}", qr/^failed 53100 could not extend file "pg_tblspc/, 'a worker that can\'t write its run\'s row leaves the reason');
is($row->{error_hint}, "The run's worker could not record it. Nothing of the run was loaded; run the pipeline again.", 'with what is known');
$k->sql('DROP TRIGGER no_room ON kaireon_internal.run');
is($k->run('small')->{status}, 'success', 'the next run succeeds');
ok($k->same_postmaster, 'the server lived through all of it');
$k->settled('full disks');

# ---- the WAL's: that ends the server, which starts again

$k->write_rows('many.csv', 300_000, sub { "$_[0],this is row $_[0] which is longer than most" }, 'n,name');
$k->make('whole', fields => \@fields, source => { resource => 'many.csv' });
$k->make('parts', fields => \@fields, source => { resource => 'many.csv' }, execution => { commit => 'batch', batchSize => 1000 });
for my $name (qw(whole parts))
{
    $k->sql('CHECKPOINT');
    my $log_at = -s $k->node->logfile;
    my $run = full('/pg_wal/', sub {
        my $started = $k->start($name);
        $k->poll('the end of the server', sub { return PostgreSQL::Test::Utils::slurp_file($k->node->logfile, $log_at) =~ /PANIC:  .*No space left on device/ });
        return $started;
    });
    $k->poll('the server, and the end of the run', sub {
        # a psql that is not let in is gone before its question is written, which is an error of IPC::Run
        my ($code, $out) = eval { $k->node->psql('postgres', "SELECT status FROM kaireon.runs WHERE run_id = '$run'") };
        return defined $code && !$code && $out !~ /queued|running/;
    });
    $row = $k->run_row($run);
    is("$row->{status} $row->{error_code}", 'failed KA003', "the WAL, $name: the run has ended with the server");
    is($k->sql("SELECT count(*), count(DISTINCT n) FROM ds_$name"), "$row->{rows_loaded}|$row->{rows_loaded}", 'the table has what it has committed');
    is($row->{rows_loaded} > 0, $name eq 'parts', $name eq 'parts' ? 'some' : 'nothing');
    if ($name eq 'parts')
    {
        $k->sql("SELECT kaireon.resume_run('$run')");
        is($k->wait_run($run), 'success', 'resumed, it succeeds');
    }
    else
    {
        is($k->run($name)->{status}, 'success', 'the next run succeeds');
    }
    is($k->sql("SELECT count(*), count(DISTINCT n) FROM ds_$name"), '300000|300000', 'each row once');
}
$k->settled('the WAL');
done_testing;
