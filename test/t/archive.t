# Archive nodes: files go to their folder once what they hold is loaded, each
# exactly once, whatever fails in between.
use strict;
use warnings;
use Kaireon;
use Test::More;
use POSIX qw(strftime);

my $k = Kaireon->new('archive');
my $files = $k->files;
my @fields = ({ name => 'id', dataType => 'integer', isPrimaryKey => \1 }, { name => 'name', dataType => 'varchar' });

sub allow
{
    my ($roots) = @_;
    $k->sql("ALTER SYSTEM SET kaireon.local_fs_archive_roots = '$roots'");
    $k->sql('SELECT pg_reload_conf()');
    $k->poll('the setting', "SELECT current_setting('kaireon.local_fs_archive_roots') = '$roots'");
    return;
}

# put(NAME, IDS): a file of the inbox.
sub put
{
    my ($name, @ids) = @_;
    mkdir "$files/in" unless -d "$files/in";
    $k->write_file("in/$name", join '', "id,name\n", map { "$_,name $_\n" } @ids);
    return;
}

# there(FOLDER): the files below it.
sub there
{
    my ($folder) = @_;
    return join ' ', sort map { s/^\Q$files\E\///r } glob("$files/$folder/*.csv*");
}

sub outbox
{
    my ($name) = @_;
    return $k->sql("SELECT path, status, moved_to, error_code FROM kaireon.outbox WHERE pipeline = '$name' ORDER BY id");
}

my $today = strftime('%Y/%m', gmtime);
sub make
{
    my ($name, %o) = @_;
    $k->make($name, fields => \@fields, source => { resource => 'in/*.csv' },
        nodes => [ { id => 'away', type => 'archive', config => { successFolder => "$name/{YYYY}/{MM}", failureFolder => "$name/bad" } } ],
        execution => $o{execution});
    return;
}

allow($files);
make('plain');
put('a.csv', 1, 2);
put('b.csv', 3);
my $done = "plain/$today";
is($k->run('plain')->{status}, 'success', 'a run with an archive node');
is($k->sql('SELECT count(*) FROM ds_plain'), 3, 'loads all rows');
is(there('in'), '', 'its files are gone when it has ended');
is(there($done), "$done/a.csv $done/b.csv", 'they are in the folder of the date');
is(outbox('plain'), "in/a.csv|done|$done/a.csv|\nin/b.csv|done|$done/b.csv|", 'the outbox tells');
is($k->run('plain')->{rows_read}, 0, 'a run without files loads nothing');
put('a.csv', 4);
is($k->run('plain')->{rows_loaded}, 1, 'a file of the same name is another');
is(there($done), "$done/a.csv $done/a.csv.1 $done/b.csv", 'and overwrites nothing');

# ---- what the data does

put('a.csv', 5, 6);
put('b.csv', 'x');
my $run = $k->run('plain');
is("$run->{status} $run->{error_code}", 'failed 22P02', 'a bad row fails the run');
is(there('in'), 'in/a.csv', 'the other files stay');
is(there('plain/bad'), 'plain/bad/b.csv', 'the file at fault goes to the folder of failures');
is($k->run('plain')->{rows_loaded}, 2, 'so that the next run loads the others');
is($k->sql('SELECT count(*) FROM ds_plain'), 6, 'all of them');

{
    my $lock = $k->session;
    put('c.csv', 7);
    $lock->query('BEGIN; LOCK TABLE ds_plain IN ACCESS EXCLUSIVE MODE');
    my $id = $k->start('plain');
    $k->poll('the worker to wait', "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'kaireon run' AND wait_event_type = 'Lock'");
    $k->sql("SELECT kaireon.cancel_run('$id')");
    is($k->wait_run($id), 'cancelled', 'a run that is cancelled');
    is(there('in'), 'in/c.csv', 'moves nothing');
    $lock->query('ROLLBACK');
    $lock->close;
    is($k->run('plain')->{rows_loaded}, 1, 'and the next one loads it');
}

# ---- what can't be moved

make('held');
allow('');
put('d.csv', 1);
is($k->run('held')->{status}, 'success', 'files that may not be moved do not fail the run');
like(outbox('held'), qr/^in\/d\.csv\|pending\|\|42501$/, 'the outbox says why');
like($k->sql("SELECT error_message FROM kaireon.outbox WHERE pipeline = 'held'"), qr/lies in no directory whose files may be moved/, 'in words');
is($k->run('held')->{rows_read}, 0, 'a file that waits to be moved is not loaded again, though the source is not incremental');
allow($files);
is($k->poll('the supervisor to try again', "SELECT status FROM kaireon.outbox WHERE pipeline = 'held'", 'done'), 'done', 'it is tried again without anybody asking');
is(there('in'), '', 'and moved');

put('e.csv', 2);
allow('');
$k->run('held');
put('e.csv', 3, 4);
allow($files);
$k->sql("SELECT kaireon.retry_outbox('held')");
like($k->poll('the end', sub { my $o = outbox('held'); $o =~ /e\.csv\|failed/ && $o }), qr/in\/e\.csv\|failed\|\|55000$/, 'a file that another has taken the place of is not moved');
is($k->run('held')->{rows_loaded}, 2, 'the other is loaded');
is(there("held/$today"), "held/$today/d.csv held/$today/e.csv", 'and moved');
is($k->sql("SELECT kaireon.discard_outbox('held')"), 1, 'what failed can be given up');

# What became of it can't be written, as on a full disk: nobody dies of it but the workers, and it goes on when it can.
{
    my $supervisor = q(SELECT pid FROM pg_stat_activity WHERE backend_type = 'kaireon supervisor');
    my $log_at = -s $k->node->logfile;
    $k->sql(q(CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'no room' USING ERRCODE = '53100'; END$$;
        CREATE TRIGGER no_room BEFORE UPDATE ON kaireon_internal.outbox FOR EACH ROW EXECUTE FUNCTION no_room()));
    put('f.csv', 5);
    is($k->run('held')->{status}, 'success', 'a run whose outbox has no room');
    my $before = $k->sql($supervisor);
    ok($k->poll('the supervisor to notice', sub { PostgreSQL::Test::Utils::slurp_file($k->node->logfile, $log_at) =~ /could not postpone what the outbox of pipeline "held" has: no room/ }),
        'the log says so');
    $k->sql('DROP TRIGGER no_room ON kaireon_internal.outbox');
    is($k->poll('the end', "SELECT count(*) FROM kaireon.outbox WHERE pipeline = 'held' AND status <> 'done'", '0'), '0', 'it is done when there is room');
    is($k->sql($supervisor), $before, 'by the same supervisor');
}

# ---- folders within what is read

$k->make('deep', fields => \@fields, source => { resource => 'deep/**/*.csv' },
    nodes => [ { id => 'away', type => 'archive', config => { successFolder => 'deep/done/{YYYYMMDD}' } } ]);
mkdir "$files/deep";
$k->write_file('deep/d.csv', "id,name\n1,one\n");
is($k->run('deep')->{rows_loaded}, 1, 'a file below the folder that has the archive');
is($k->run('deep')->{rows_read}, 0, 'what was archived is not read again');
is($k->sql("SELECT count(*) FROM kaireon.preview_pipeline('deep')"), 0, 'nor previewed');

# ---- killed

{
    make('kill');
    for my $try (1 .. 5)
    {
        put("k$_.csv", $_) for $try * 10 + 1 .. $try * 10 + 9;
        my $id = $k->start('kill');
        my $worker = $k->worker_pid($id);
        $k->poll('rows or the end', sub { $k->sql("SELECT status <> 'running' OR EXISTS (SELECT FROM kaireon.outbox WHERE run_id = '$id') FROM kaireon.runs WHERE run_id = '$id'") eq 't' });
        kill 'TERM', $worker if $worker;
        $k->wait_run($id);
    }
    $k->poll('all to be moved', sub { $k->run('kill'); there('in') eq '' && $k->sql("SELECT count(*) FROM kaireon.outbox WHERE status <> 'done'") eq '0' });
    is($k->sql('SELECT count(*), count(DISTINCT id) FROM ds_kill'), '45|45', 'workers killed after their commit: each row once');
    is(scalar(split ' ', there("kill/$today")), 45, 'each file moved');
}
$k->node->stop('immediate');
put('z.csv', 99_999);
$k->node->start;
is($k->run('kill')->{rows_loaded}, 1, 'after a crash of the server it goes on');

# A run that waits goes on after a restart, before anybody connects.
{
    make('queued');
    $k->sql(q(CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_advisory_xact_lock_shared(42); RETURN NEW; END$$;
        CREATE TRIGGER gate BEFORE INSERT ON ds_queued FOR EACH ROW EXECUTE FUNCTION gate()));
    put('q.csv', 1);
    my $gate = $k->session;
    $gate->query('SELECT pg_advisory_lock(42)');
    my $first = $k->start('queued');
    my $worker = $k->worker_pid($first);
    $k->poll('the run to wait', "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $worker AND wait_event = 'advisory')");
    my $second = $k->start('queued');
    my $log = -s $k->node->logfile;
    $k->node->stop('immediate');
    $gate->abandon;
    $k->node->start;
    $k->poll('the file to be moved', sub { there("queued/$today") eq "queued/$today/q.csv" });
    unlike(PostgreSQL::Test::Utils::slurp_file($k->node->logfile, $log), qr/FATAL:/, 'a restart: no process of ours fails');
    is($k->sql("SELECT string_agg(status || ' ' || coalesce(error_code, ''), ', ' ORDER BY queued_at) FROM kaireon_internal.run WHERE run_id IN ('$first', '$second')"),
        'failed KA003, success ', 'the run that waited was started before anybody connected');
}

# ---- rights and the rest

ok(!$k->readers, 'no reader is left');
$k->settled('archive');
# ---- "atomicity" of a source says the same

{
    system('rm', '-rf', "$files/in") == 0 or die 'rm';
    my @keys = (resource => 'in/*.csv');
    my $source = sub { return { @keys, atomicity => {@_} } };
    $k->make('atomic', fields => \@fields, source => $source->(successFolder => 'atomic/{YYYY}/{MM}', failureFolder => \1));
    put('a.csv', 501, 502);
    is($k->run('atomic')->{rows_loaded}, 2, 'atomicity: a run loads its file');
    is(there("atomic/$today") . ' | ' . there('in'), "atomic/$today/a.csv | ", 'and the file is in its folder');
    is(outbox('atomic'), "in/a.csv|done|atomic/$today/a.csv|", 'by the outbox');
    $k->write_file('in/bad.csv', "id,name\n503,x\nbad,y\n");
    is($k->run('atomic')->{error_code}, '22P02', 'a bad file fails its run');
    is(there('.failed') . ' | ' . there('in'), '.failed/bad.csv | ', 'and is in the usual folder');
    put('b.csv', 504);
    is($k->sql(q(SELECT status FROM kaireon.run_pipeline('atomic', '{"dryRun": true}'))) . ' ' . there('in'), 'success in/b.csv', 'a dry run moves nothing');
    $k->make('usual', fields => \@fields, source => $source->(successFolder => \1, failureFolder => \0));
    $k->run('usual');
    is(there('.archive/' . strftime('%Y/%m/%d', gmtime)), '.archive/' . strftime('%Y/%m/%d', gmtime) . '/b.csv', 'the usual folder of what was loaded');
    $k->write_file('in/bad.csv', "id,name\nbad,y\n");
    $k->run('usual');
    is(there('in'), 'in/bad.csv', 'without a failureFolder a bad file stays');
    my $away = { id => 'away', type => 'archive', config => { successFolder => 'done' } };
    my $refused = sub {
        my ($source, @nodes) = @_;
        my $said = $k->sql_error("SELECT kaireon.update_pipeline('usual', nodes => " . $k->json([ { id => 'read', type => 'source', config => $source }, @nodes, { id => 'load', type => 'target' } ]) . ')');
        return $said =~ s/.*?ERROR:\s+//sr;
    };
    like($refused->($source->(successFolder => 'x'), $away), qr/the "atomicity" of source "read" says already where its files go/, 'beside an archive node it is refused');
    like($refused->($source->()), qr/"atomicity" needs "successFolder" or "failureFolder"/, 'without a folder it means nothing');
    like($refused->($source->(successFolder => '../x')), qr/"successFolder" must not contain "." or ".."/, 'folders are checked');
    like($refused->($source->(successFolder => 'in')), qr/the files of source "read" lie in the folder that they would be moved to/, 'they are not the source itself');
    like($refused->($source->(doneFolder => 'in')), qr/unknown key "doneFolder" in atomicity.*Valid keys are: successFolder, failureFolder, stagingFolder/s, 'a wrong key is named');
    like($refused->({ %{ $source->(successFolder => 'x') }, rowLimit => 5 }), qr/can't be archived, because its "rowLimit"/, 'a row limit is refused');
}

done_testing;
