# Sources with a "stagingFolder": files are moved there before a byte of them is
# read, and whatever happens then each row is loaded once and no file is lost.
#
# What a crash leaves between two steps is made here by hand, in the outbox and
# in the folders; the kill test (test/torture) has crashes at each step.
use strict;
use warnings;
use Kaireon;
use POSIX qw(strftime);
use Test::More;

my $k = Kaireon->new('staging');
my $files = $k->files;
my @fields = ({ name => 'id', dataType => 'integer', isPrimaryKey => \1 }, { name => 'name', dataType => 'varchar' }, { name => 'source', dataType => 'text' });
my $today = strftime('%Y/%m/%d', gmtime);

sub allow
{
    my ($roots) = @_;
    $k->sql("ALTER SYSTEM SET kaireon.local_fs_archive_roots = '$roots'");
    $k->sql('SELECT pg_reload_conf()');
    $k->poll('the setting', "SELECT current_setting('kaireon.local_fs_archive_roots') = '$roots'");
    return;
}

# put(NAME, IDS): a file, and its folder.
sub put
{
    my ($name, @ids) = @_;
    my $folder = $files;
    for my $part (split m{/}, $name =~ s{/?[^/]*$}{}r) { $folder .= "/$part"; mkdir $folder; }
    $k->write_file($name, join '', "id,name\n", map { "$_,name $_\n" } @ids);
    return;
}

# there(FOLDER): the files below it, without what makes their names in a staging folder unique.
sub there
{
    my ($folder) = @_;
    return join ' ', sort map { s/^\Q$files\E\///r =~ s/\/[0-9a-f]{16}-/\/#-/r } glob("$files/$folder/*.csv*");
}

# make(NAME, RESOURCE, atomicity => {...}, source => {...}, ...): as $k->make has it.
sub make
{
    my ($name, $resource, %o) = @_;
    my %source = (resource => $resource, atomicity => { stagingFolder => \1, successFolder => "$name.done", failureFolder => "$name.bad", %{ $o{atomicity} || {} } }, %{ $o{source} || {} });
    $k->make($name, $o{schema} ? (schema => $o{schema}) : (fields => \@fields), source => \%source,
        nodes => [ { id => 'from', type => 'add_field', config => { fieldName => 'source', fieldType => 'text', expression => '_source' } } ], execution => $o{execution}, target => $o{target});
    return $name;
}

sub rows { return $k->sql("SELECT coalesce(string_agg(id || ' ' || source, ', ' ORDER BY id, source), '') FROM ds_$_[0]"); }

# claims(NAME): "path status place" of each claim.
sub claims { return $k->sql("SELECT coalesce(string_agg(concat_ws(' ', path, status, regexp_replace(moved_to, '[0-9a-f]{16}', '#')), ', ' ORDER BY path), '') FROM kaireon.outbox WHERE pipeline = '$_[0]' AND action = 'stage'"); }

sub undone { return $k->sql("SELECT count(*) FROM kaireon.outbox WHERE pipeline = '$_[0]' AND action = 'move' AND status <> 'done'"); }

# warnings(RUN): "node severity reason" of each line of run_errors.
sub warnings { my ($run) = @_; return $k->sql("SELECT coalesce(string_agg(concat_ws(' ', node_id, severity, reason), '; ' ORDER BY ordinal), '') FROM kaireon.run_errors WHERE run_id = '$run->{run_id}'"); }

# ended(NAME): "status rows error" of a run.
sub ended
{
    my $run = $k->run($_[0]);
    return join ' ', $run->{status}, $run->{rows_loaded}, grep { defined } $run->{error_code};
}

# halt(NAME): a run that loads its first row, and waits there for the session.
$k->sql('CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_advisory_xact_lock_shared(42); RETURN NEW; END$$');
sub halt
{
    my ($name) = @_;
    my $session = $k->session;
    $k->sql("CREATE TRIGGER gate BEFORE INSERT ON ds_$name FOR EACH ROW EXECUTE FUNCTION gate()") if $k->sql("SELECT NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'ds_$name'::regclass AND tgname = 'gate')") eq 't';
    $session->query('SELECT pg_advisory_lock(42)');
    my $run = $k->start($name);
    my $worker = $k->worker_pid($run);
    $k->poll('the run to wait', "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $worker AND wait_event = 'advisory')");
    return ($session, $run, $worker);
}

allow($files);

# ---- the way of a file

{
    make('plain', 'in/**/*.csv', atomicity => { successFolder => \1, failureFolder => \1 });
    put('in/a/x.csv', 1);
    put('in/b/x.csv', 2);
    put('in/y.csv', 3);
    my ($gate, $run) = halt('plain');
    is(there('in') . there('in/*'), '', 'while a run loads its files are not where they were');
    is(there('.processing'), '.processing/#-x.csv .processing/#-x.csv .processing/#-y.csv', 'but in the staging folder, also two of one name');
    is(claims('plain'), 'in/a/x.csv staged .processing/#-x.csv, in/b/x.csv staged .processing/#-x.csv, in/y.csv staged .processing/#-y.csv', 'which the outbox says');
    put('in/y.csv', 30);
    $gate->query('SELECT pg_advisory_unlock(42)');
    is($k->wait_run($run), 'success', 'it ends well');
    is(rows('plain'), '1 in/a/x.csv, 2 in/b/x.csv, 3 in/y.csv', 'with the rows that the files had, from where they were');
    $k->poll('the files to be moved', sub { undone('plain') eq '0' });
    is(there('.processing') . '; ' . there(".archive/$today"), "; .archive/$today/x.csv .archive/$today/x.csv.1 .archive/$today/y.csv", 'then they are in the folder for what was loaded, under their names');
    is(claims('plain'), '', 'and claimed no more');
    is(ended('plain') . ' ' . rows('plain'), 'success 1 1 in/a/x.csv, 2 in/b/x.csv, 3 in/y.csv, 30 in/y.csv', 'a file that has come under the name of another meanwhile is loaded by the next run');
    is(ended('plain'), 'success 0', 'which leaves nothing');
    is($k->sql("SELECT count(*), count(DISTINCT path) FROM kaireon.source_state WHERE pipeline = 'plain'"), '4|3', 'the ledger has them by the paths at which they were listed');
    $gate->close;
}

# ---- what fails

{
    make('fails', 'fails/*.csv', atomicity => { failureFolder => 'fails.bad' });
    put('fails/a.csv', 1);
    put('fails/b.csv', 2);
    $k->write_file('fails/b.csv', "id,name\nx,bad\n");
    put('fails/c.csv', 3);
    is(ended('fails'), 'failed 0 22P02', 'a row that fails the run');
    is(there('fails') . '; ' . there('fails.bad'), '; fails.bad/b.csv', 'its file goes to the folder for failures');
    is(claims('fails'), 'fails/a.csv staged .processing/#-a.csv, fails/c.csv staged .processing/#-c.csv', 'the others stay claimed');
    put('fails/0.csv', 4);
    is(ended('fails'), 'success 3', 'and are loaded by the next run');
    is(rows('fails'), '1 fails/a.csv, 3 fails/c.csv, 4 fails/0.csv', 'with what has come since');
    is($k->sql("SELECT string_agg(path, ' ' ORDER BY loaded_at, path) FROM kaireon.source_state WHERE pipeline = 'fails'"), 'fails/0.csv fails/a.csv fails/c.csv', 'all in the ledger');
    is(there('.processing') . ' ' . undone('fails'), ' 0', 'and nothing is left');

    make('stuck', 'stuck/*.csv', atomicity => { failureFolder => \0 });
    put('stuck/a.csv', 1);
    $k->write_file('stuck/a.csv', "id,name\nx,bad\n");
    is(ended('stuck') . ' ' . there('.processing'), 'failed 0 22P02 .processing/#-a.csv', 'without such a folder it stays in the staging folder');
    put('stuck/a.csv', 2);
    is(ended('stuck'), 'failed 0 22P02', 'and is read first, while a new one waits');
    is(there('stuck'), 'stuck/a.csv', 'where it is');
    my ($staged) = glob("$files/.processing/*-a.csv");
    $k->write_file($staged =~ s/^\Q$files\E\///r, "id,name\n1,mended\n");
    is(ended('stuck'), 'success 1', 'one that was mended there is loaded');
    is(ended('stuck') . ' ' . rows('stuck'), 'success 1 1 stuck/a.csv, 2 stuck/a.csv', 'then the new one');
}

# ---- what a crash leaves

my $pending = "UPDATE kaireon_internal.outbox SET status = 'pending', moved_to = NULL, staged_size = NULL, staged_modified_at = NULL, staged_etag = NULL WHERE kind = 'stage'";
{
    make('crash', 'crash/*.csv', target => { loadingStrategy => 'append' });
    my $halted = sub {
        put('crash/a.csv', 1);
        put('crash/b.csv', 2);
        my ($gate, $run, $worker) = halt('crash');
        $k->sql("SELECT pg_terminate_backend($worker)");
        is($k->wait_run($run), 'failed', 'a worker that dies');
        $gate->close;
        return;
    };
    my $next = sub {
        my ($what, $rows) = @_;
        is(ended('crash') . ' ' . rows('crash'), $rows ? "success 2 1 crash/a.csv, 2 crash/b.csv" : 'success 0 ', $what);
        is(there('.processing') . there('crash') . claims('crash') . undone('crash'), '0', "$what: nothing is left");
        $k->sql('TRUNCATE ds_crash');
        return;
    };
    my $back = sub { system("cd $files && for f in .processing/*-*.csv; do mv \$f crash/\${f##*-}; done") == 0 or die 'mv'; };

    $halted->();
    is(claims('crash'), 'crash/a.csv staged .processing/#-a.csv, crash/b.csv staged .processing/#-b.csv', 'while it loads');
    $next->('the next run loads what was claimed', 1);

    $halted->();
    $k->sql($pending);
    $next->('before it was noted that files are moved', 1);

    # Nothing tells them from those that were claimed, but where they are.
    $halted->();
    $k->sql($pending);
    for my $name (qw(a b))
    {
        my ($staged) = glob("$files/.processing/*-$name.csv");
        put("crash/$name.csv", $name eq 'a' ? 3 : 4);
        system('touch', '-r', $staged, "$files/crash/$name.csv") == 0 or die;
    }
    is(ended('crash') . ' ' . rows('crash') . '; ' . there('crash') . '; ' . there('.processing'), 'success 2 1 crash/a.csv, 2 crash/b.csv; crash/a.csv crash/b.csv; ',
        'before it was noted, and files of the same path, size and time have come: what was claimed is loaded');
    is(ended('crash') . ' ' . rows('crash'), 'success 2 1 crash/a.csv, 2 crash/b.csv, 3 crash/a.csv, 4 crash/b.csv', 'then those');
    $k->sql('TRUNCATE ds_crash');

    $halted->();
    $k->sql($pending);
    $back->();
    $next->('before files were moved', 1);

    $halted->();
    $k->sql($pending);
    $back->();
    unlink glob("$files/crash/*.csv");
    put('other/z.csv', 9);
    make('other', 'other/*.csv');
    $next->('files that were claimed and taken away', 0) if unseen();
}

# Claimed files that are nowhere stay claimed until something is seen of the place, which may not be mounted.
sub unseen
{
    my $run = $k->run('crash');
    is("$run->{status} $run->{rows_loaded}", 'success 0', 'files that are nowhere');
    is(warnings($run), q{read warning 2 files that earlier runs have claimed, the first "crash/a.csv", can't be found, nor is anything else}
          . q{ (Look whether the place is mounted, or give up the claims with kaireon.discard_outbox('crash').)}, 'are told of');
    is(claims('crash'), 'crash/a.csv pending, crash/b.csv pending', 'are claimed for longer while nothing is seen of the place');
    put('.processing/of another.csv', 1);
    is(ended('crash'), 'success 0', 'and not');
    is(claims('crash'), '', 'when something is');
    unlink "$files/.processing/of another.csv";
    return 1;
}

# A file that was written anew while it was claimed and not moved.
{
    put('crash/a.csv', 1);
    allow('');
    is(ended('crash'), 'failed 0 42501', 'files that may not be moved fail the run');
    is(claims('crash'), 'crash/a.csv pending', 'and stay claimed');
    is($k->sql("SELECT kaireon.retry_outbox('crash')"), 0, 'for a run: retry_outbox leaves them alone');
    put('crash/a.csv', 1, 2, 3);
    allow($files);
    is(ended('crash'), 'success 0', 'one that was written anew meanwhile is not claimed any more');
    is(ended('crash'), 'success 3', 'and loaded by the next run');
    $k->sql('TRUNCATE ds_crash');
}

# The server dies; the file was moved and its rows were committed, or not.
for my $at ('before', 'behind')
{
    put("crash/$at.csv", 7);
    my ($gate, $run) = $at eq 'before' ? halt('crash') : ();
    $k->run('crash') unless $gate;
    $k->node->stop('immediate');
    $gate->abandon if $gate;
    $k->node->start;
    $k->remember_postmaster;
    $k->run('crash');
    is(rows('crash'), "7 crash/$at.csv", "a crash of the server $at the commit: each row once");
    $k->poll('the file to be moved', sub { undone('crash') eq '0' });
    is(there('.processing') . there('crash') . claims('crash'), '', 'and the file is moved on');
    $k->sql('TRUNCATE ds_crash');
}

# ---- a writer that still had the file open

# late(NAME, ROWS): a file is loaded, but can't be moved on before rows are written behind those that were read.
sub late
{
    my ($name, @ids) = @_;
    my ($gate, $run) = halt($name);
    $k->write_file("$name.done", 'not a folder');
    $gate->query('SELECT pg_advisory_unlock(42)');
    is($k->wait_run($run), 'success', 'a file is loaded');
    $gate->close;
    my ($staged) = glob("$files/.processing/*-a.csv");
    $k->write_file($staged =~ s/^\Q$files\E\///r, join '', "id,name\n", map { "$_,name $_\n" } @ids);
    unlink "$files/$name.done";
    $k->sql("SELECT kaireon.retry_outbox('$name')");
    $k->poll('the file to be looked at', sub { undone($name) eq '0' });
    return;
}
for my $policy (qw(reload ignore fail))
{
    make("late_$policy", "late_$policy/*.csv", source => { incremental => \1, changedFiles => $policy }, target => { loadingStrategy => 'upsert' });
    put("late_$policy/a.csv", 1);
    late("late_$policy", 1, 2);
    is(claims("late_$policy"), "late_$policy/a.csv staged .processing/#-a.csv", 'rows written to it before it was moved on make it a claim again');
    my $run = $k->run("late_$policy");
    is("$run->{status} " . rows("late_$policy"), $policy eq 'reload' ? "success 1 late_$policy/a.csv, 2 late_$policy/a.csv" : ($policy eq 'ignore' ? 'success' : 'failed') . " 1 late_$policy/a.csv",
        "changedFiles $policy: of the next run");
    is($run->{error_message}, $policy eq 'fail' ? 'file "late_fail/a.csv" has changed since it was loaded' : undef, 'which says so when it fails');
    is(claims("late_$policy") . there("late_$policy.done"), $policy eq 'fail' ? 'late_fail/a.csv staged .processing/#-a.csv' : "late_$policy.done/a.csv", 'then it is moved on, or kept');
    $k->sql("SELECT kaireon.discard_outbox('late_$policy')");
    unlink glob("$files/.processing/*");
}

# ---- a staged file that has gone

{
    make('gone', 'gone/*.csv');
    put('gone/a.csv', 1);
    $k->write_file('gone/b.csv', "id,name\nx,bad\n");
    put('gone/c.csv', 3);
    is(ended('gone'), 'failed 0 22P02', 'two files stay claimed');
    my ($staged) = glob("$files/.processing/*-a.csv");
    rename $staged, "$files/kept.csv" or die $!;
    my $run = $k->run('gone');
    is("$run->{status} $run->{error_code} $run->{error_message}", 'failed 58P01 file "gone/a.csv" is not in its staging folder any more', 'one that has gone from there fails the run');
    is($run->{error_detail} =~ s/[0-9a-f]{16}/#/r, 'It was moved to ".processing/#-a.csv", and its rows were not loaded since.', 'which says where it was');
    like($run->{error_hint}, qr/^Put it back there and run the pipeline again\.  kaireon\.discard_outbox\('gone'\) gives up/, 'and what to do');
    is($k->sql("SELECT status FROM kaireon.run_pipeline('gone', '{\"dryRun\": true}')"), 'failed', 'a dry run fails too');
    rename "$files/kept.csv", $staged or die $!;
    is($k->sql("SELECT status || ' ' || rows_loaded FROM kaireon.run_pipeline('gone', '{\"dryRun\": true}')"), 'success 2', 'put back, a dry run reads it where it is');
    is(claims('gone'), 'gone/a.csv staged .processing/#-a.csv, gone/c.csv staged .processing/#-c.csv', 'and leaves it there');
    is(ended('gone'), 'success 2', 'a run loads it');

    put('gone/a.csv', 4);
    $k->write_file('gone/b.csv', "id,name\nx,bad\n");
    $k->run('gone');
    is($k->sql("SELECT kaireon.discard_outbox('gone')"), 1, 'a claim can be given up');
    is(ended('gone') . ' ' . there('.processing'), 'success 0 .processing/#-a.csv', 'then the file stays where it is, and nobody reads it');
    unlink glob("$files/.processing/*");

    put('gone/a.csv', 5);
    $k->write_file('gone/b.csv', "id,name\nx,bad\n");
    $k->run('gone');
    my ($code, $out, $err) = $k->node->psql('postgres', "SELECT kaireon.delete_pipeline('gone')");
    like($err, qr/NOTICE:  pipeline "gone" has 1 file in staging folders that nobody loads any more/, 'a pipeline that is deleted says what it leaves');
    unlink glob("$files/.processing/*");
}

# A source that is one file.
{
    make('one', 'one/a.csv');
    put('one/a.csv', 1);
    my ($gate, $run) = halt('one');
    $k->sql("SELECT kaireon.cancel_run('$run')");
    is($k->wait_run($run) . ' ' . there('one'), 'cancelled ', 'the only file of a source was moved, and its run was cancelled');
    $gate->close;
    is(ended('one') . ' ' . rows('one'), 'success 1 1 one/a.csv', 'the next run does not miss it');
    is(ended('one'), 'failed 0 58P01', 'and then does');
}

# ---- several pipelines at one folder

{
    make('first', 'shared/*.csv');
    make('second', 'shared/*.csv', schema => 'first');
    put("shared/$_.csv", $_) for 1 .. 200;
    my @runs = map { $k->start($_) } qw(first second);
    my @ended = map { $k->wait_run($_) } @runs;
    is("@ended", 'success success', 'two runs at once over the same files');
    is($k->sql('SELECT count(*), count(DISTINCT id) FROM ds_first'), '200|200', 'load each file once in all');
    $k->poll('the files to be moved', sub { undone('first') + undone('second') == 0 });
    is(there('.processing') . there('shared') . ' ' . ((split ' ', there('first.done')) + (split ' ', there('second.done'))), ' 200', 'and move each on');
    is(claims('first') . claims('second'), '', 'nothing is claimed any more');

    put('shared/a.csv', 201);
    $k->sql("INSERT INTO kaireon_internal.outbox (kind, pipeline_id, run_id, node_id, connector_id, path, size, modified_at, target_path)
        SELECT 'stage', p.id, gen_random_uuid(), 'read', c.id, o.path, o.size, o.modified_at, '.processing/of-first.csv'
        FROM kaireon.list_objects('files', 'shared/*') AS o, kaireon_internal.pipeline AS p, kaireon_internal.connector AS c WHERE p.name = 'first' AND c.name = 'files'");
    is(ended('second'), 'success 0', 'a file that another pipeline has claimed is left to that');
    is(ended('first'), 'success 1', 'which loads it');
}

# Nor do two databases load a file twice, which know nothing of one another.
{
    my @databases = map { "twin_$_" } 1 .. 2;
    for my $database (@databases)
    {
        $k->sql("CREATE DATABASE $database");
        $k->sql('CREATE EXTENSION kaireon', $database);
        $k->make('twin', database => $database, fields => \@fields, source => { resource => 'twins/*.csv', atomicity => { stagingFolder => \1, successFolder => "$database.done" } },
            nodes => [ { id => 'from', type => 'add_field', config => { fieldName => 'source', fieldType => 'text', expression => '_source' } } ]);
    }
    put("twins/$_.csv", $_) for 1 .. 200;
    my %runs = map { $_ => $k->start('twin', $_) } @databases;
    is(join(' ', map { $k->wait_run($runs{$_}, $_) } @databases), 'success success', 'two databases over the same files');
    my @loaded = map { split /\n/, $k->sql('SELECT id FROM ds_twin', $_) } @databases;
    is(join(' ', sort { $a <=> $b } @loaded), join(' ', 1 .. 200), 'load each file once in all');
    is($k->sql("SELECT count(*) FROM kaireon.outbox WHERE action = 'stage'", $_), 0, "$_: nothing is claimed any more") for @databases;
}

# ---- with other options

{
    make('by_file', 'by_file/*.csv', execution => { commit => 'file' });
    put('by_file/1.csv', 1);
    put('by_file/2.csv', 2);
    $k->write_file('by_file/3.csv', "id,name\nx,bad\n");
    put('by_file/4.csv', 4);
    my $run = $k->run('by_file');
    is("$run->{status} $run->{rows_loaded} $run->{error_code}", 'failed 2 22P02', 'commits by file: a run that fails');
    is(rows('by_file') . '; ' . there('by_file.done') . '; ' . there('by_file.bad'), '1 by_file/1.csv, 2 by_file/2.csv; by_file.done/1.csv by_file.done/2.csv; by_file.bad/3.csv',
        'has moved on what it has committed');
    is(claims('by_file'), 'by_file/4.csv staged .processing/#-4.csv', 'the rest is claimed');
    $k->sql("SELECT kaireon.resume_run('$run->{run_id}')");
    is($k->wait_run($run->{run_id}) . ' ' . rows('by_file'), 'success 1 by_file/1.csv, 2 by_file/2.csv, 4 by_file/4.csv', 'and loaded when the run is resumed');
}
{
    make('by_batch', 'by_batch/*.csv', execution => { commit => 'batch', batchSize => 2 });
    put('by_batch/a.csv', 1 .. 9);
    my $bad = join '', "id,name\n", map({ "$_,name $_\n" } 11 .. 15), "x,bad\n", "16,name 16\n";
    $k->write_file('by_batch/b.csv', $bad);
    my $run = $k->run('by_batch');
    is("$run->{status} $run->{error_code} " . claims('by_batch'), 'failed 22P02 by_batch/b.csv staged .processing/#-b.csv', 'commits by batch: a file of which a part is committed stays claimed');
    my ($staged) = glob("$files/.processing/*-b.csv");
    my @times = (stat $staged)[ 8, 9 ];
    $k->sql("SELECT kaireon.resume_run('$run->{run_id}')");
    is($k->wait_run($run->{run_id}), 'failed', 'resumed it goes on within the file');
    is($k->sql("SELECT error_code FROM kaireon.runs WHERE run_id = '$run->{run_id}'"), '22P02', 'up to the same row');
    $k->sql("SELECT kaireon.update_pipeline('by_batch', execution_config => '{\"commit\": \"batch\", \"batchSize\": 2, \"errorHandling\": \"skip\"}')");
    $k->write_file('.processing/' . $staged =~ s/.*\///r, "id,name\n11,other\n");
    $k->sql("SELECT kaireon.resume_run('$run->{run_id}')");
    is($k->wait_run($run->{run_id}), 'failed', 'one that was changed');
    like($k->sql("SELECT error_code || ' ' || error_message FROM kaireon.runs WHERE run_id = '$run->{run_id}'"), qr/^55000 file "by_batch\/b\.csv" was changed$/, 'is refused, as it would be where it was');
    $k->sql("SELECT kaireon.discard_outbox('by_batch')");
    unlink glob("$files/.processing/*");
}
{
    make('skips', 'skips/*.csv', source => { onFileError => 'skip' }, execution => { commit => 'file' });
    put('skips/a.csv', 1);
    $k->write_file('skips/b.csv', "id,name\nx,bad\n");
    $k->write_file('skips/c.csv', "number,name\n1,x\n");
    put('skips/d.csv', 2);
    is(ended('skips'), 'partial 2', 'files that fail are left out');
    is(there('skips.done') . '; ' . there('skips.bad') . '; ' . claims('skips'), 'skips.done/a.csv skips.done/d.csv; skips.bad/b.csv; skips/c.csv staged .processing/#-c.csv',
        'one with bad rows goes to its folder, what may be mended stays claimed');
    put('skips/e.csv', 3);
    unlink glob("$files/.processing/*-c.csv");
    is(ended('skips'), 'partial 1', 'one that has gone is left out as well');
    like($k->sql("SELECT string_agg(reason, ' ') FROM kaireon.run_errors WHERE run_id = (SELECT run_id FROM kaireon.runs WHERE pipeline = 'skips' ORDER BY started_at DESC LIMIT 1)"),
        qr/^the file was left out: file "\.processing\/[0-9a-f]{16}-c\.csv" does not exist/, 'which is said');
    is($k->sql("SELECT path FROM kaireon.source_state WHERE pipeline = 'skips' AND kind = 'failure' ORDER BY path"), "skips/b.csv\nskips/c.csv", 'of the file as it was listed');
}
{
    make('inc', 'inc/*.csv', source => { incremental => \1 });
    put('inc/a.csv', 1);
    is(ended('inc'), 'success 1', 'incremental');
    rename "$files/inc.done/a.csv", "$files/inc/a.csv" or die $!;
    is(ended('inc') . ' ' . there('inc') . claims('inc'), 'success 0 inc/a.csv', 'a version that was loaded is neither claimed nor read');
    put('inc/a.csv', 2, 3);
    is(ended('inc'), 'success 2', 'another one is');
}
{
    make('waits', 'waits/*.csv', source => { waitPolicy => { maxRetries => 0 } });
    mkdir "$files/waits";
    is(ended('waits'), 'failed 0 KA015', 'a source that waits for files');
    put('waits/a.csv', 1);
    my ($gate, $run) = halt('waits');
    $k->sql("SELECT kaireon.cancel_run('$run')");
    is($k->wait_run($run) . ' ' . claims('waits'), 'cancelled waits/a.csv staged .processing/#-a.csv', 'a run that is cancelled leaves its claims');
    $gate->close;
    is(ended('waits') . ' ' . ended('waits'), 'success 1 failed 0 KA015', 'and a file that is claimed counts as found');
}

# ---- another configuration

{
    make('later', 'later/*.csv');
    put('later/a.csv', 1);
    $k->write_file('later/b.csv', "id,name\nx,bad\n");
    $k->run('later');
    mkdir "$files/elsewhere";
    my $source = { resource => 'elsewhere/*.csv' };
    $k->sql("SELECT kaireon.update_pipeline('later', nodes => " . $k->json([ { id => 'read', type => 'source', config => $source },
        { id => 'from', type => 'add_field', config => { fieldName => 'source', fieldType => 'text', expression => '_source' } }, { id => 'load', type => 'target', config => {} } ]) . ')');
    is(ended('later') . ' ' . rows('later'), 'success 1 1 later/a.csv', 'what was claimed is read, whatever the source says by now');
    is(claims('later') . there('.processing'), '.processing/#-a.csv', 'and stays in the staging folder when there is no other any more');
    unlink glob("$files/.processing/*");
}
{
    make('odd', 'odd/*.csv', atomicity => { stagingFolder => 'work [1]/{YYYY}', successFolder => 'odd done' });
    my $long = 'n' x 240 . '.csv';
    put("odd/$long", 1);
    put("odd/caf\xc3\xa9 *.csv", 2);
    is(ended('odd'), 'success 2', 'names of folders and files may be odd, and long');
    is($k->sql("SELECT count(*) FROM kaireon.list_objects('files', 'odd done')") . $k->sql("SELECT count(*) FROM kaireon.list_objects('files', 'work \\[1\\]/**')"), '20', 'they are moved on');
    make('long', 'long/*.csv');
    for my $id (1, 2)
    {
        put('long/' . 'n' x 251 . '.csv', $id);
        is(ended('long'), 'success 1', 'a name of 255 bytes');
    }
    is(join(' ', sort map { s/.*\///r } glob("$files/long.done/*")), join(' ', 'n' x 251 . '.c.1', 'n' x 251 . '.csv'), 'also where it is taken');
}

# ---- a pipeline that was changed while it has claims, and sources that share files

# nodes(SOURCE...): [id, resource, {atomicity}, connector] each; joined when there are two.
my $staged = { stagingFolder => \1, successFolder => 'nodes.done' };
sub nodes
{
    my @sources = map { { id => $_->[0], type => 'source', config => { resource => $_->[1], $_->[2] ? (atomicity => $_->[2]) : (), $_->[3] ? (connector => $_->[3]) : () } } } @_;
    my @load = ({ id => 'load', type => 'target', config => {} });
    return ([ @sources, @load ], [ { sourceNodeId => $sources[0]{id}, targetNodeId => 'load' } ]) if @_ == 1;
    return ([ @sources, { id => 'both', type => 'join', config => { on => [ { left => 'id', right => 'id' } ], selectFields => [] } }, @load ],
        [ { sourceNodeId => $sources[0]{id}, targetNodeId => 'both', label => 'left' }, { sourceNodeId => $sources[1]{id}, targetNodeId => 'both', label => 'right' },
          { sourceNodeId => 'both', targetNodeId => 'load' } ]);
}
sub update { my ($name, @sources) = @_; my ($nodes, $edges) = nodes(@sources); return "SELECT kaireon.update_pipeline('$name', nodes => " . $k->json($nodes) . ', edges => ' . $k->json($edges) . ')'; }

{
    $k->make('moved', fields => [ @fields[ 0, 1 ] ], source => { resource => 'moved/*.csv', atomicity => $staged });
    mkdir "$files/away";
    $k->sql("SELECT kaireon.create_connector('away', 'local_fs', " . $k->json({ basePath => "$files/away" }) . ')');
    my $claim = sub {
        $k->sql('TRUNCATE ds_moved');
        put('moved/a.csv', 1);
        put('moved/b.csv', 2);
        $k->write_file('moved/c.csv', "id,name\nx,bad\n");
        is(ended('moved'), 'failed 0 22P02', 'claims are left');
        return;
    };
    $claim->();
    $k->sql(update('moved', [ 'read2', 'moved/*.csv', $staged ]));
    is($k->sql("SELECT count(*) FROM kaireon.validate_pipeline('moved')"), 0, 'a source that was renamed, the only one of its connector, is no mistake');
    unlink glob("$files/.processing/*-c.csv");
    $k->sql("DELETE FROM kaireon_internal.outbox WHERE path = 'moved/c.csv'");
    is(ended('moved') . claims('moved') . there('.processing') . undone('moved'), 'success 20', 'it takes over what was claimed');

    $claim->();
    $k->sql(update('moved', [ 'read2', '*.csv', undef, 'away' ]));
    my $said = qr/3 files in staging folders, claimed for source "read2" and connector "files", are read by no source any more \(Have a source of that name read that connector again, or give up the claims with kaireon\.discard_outbox\('moved'\)\.\)/;
    like($k->sql("SELECT concat_ws(' ', node_id, severity, code, message) FROM kaireon.validate_pipeline('moved')"), qr/^read2 warning unused_state $said$/, 'claims that no source reads are a warning of validate_pipeline');
    my $run = $k->run('moved');
    is("$run->{status} $run->{rows_loaded}", 'success 0', 'a run does without');
    like(warnings($run), qr/^read2 warning $said$/, 'and says so');
    $k->sql(update('moved', [ 'x', 'x/*.csv' ], [ 'y', 'y/*.csv' ]));
    mkdir "$files/$_" for qw(x y);
    $run = $k->run('moved');
    like(warnings($run), qr/^read2 warning $said$/, 'of two sources of the connector neither takes what is a third one\'s');
    is($k->sql("SELECT kaireon.discard_outbox('moved')"), 3, 'they can be given up');
    is(warnings($k->run('moved')), '', 'then nothing is said');
    unlink glob("$files/.processing/*");
}

{
    my $refused = qr/sources "r1" and "r2" read the same files, which a "stagingFolder" would take away from one of them/;
    like($k->sql_error(update('moved', [ 'r1', 'pairs/*.csv', $staged ], [ 'r2', 'pairs/*.csv', $staged ])), $refused, 'two sources of the same files, with staging folders');
    like($k->sql_error(update('moved', [ 'r1', 'pairs/*.csv' ], [ 'r2', 'pairs/*.csv', $staged ])), $refused, 'or one');
    put('pairs/a1.csv', 1);
    put('pairs/b1.csv', 2);
    for my $case ([ $staged, undef, 'r1', 'r2' ], [ undef, $staged, 'r2', 'r1' ], [ $staged, $staged, 'r1', 'r2' ])
    {
        my ($one, $other, $taker, $loser) = @$case;
        $k->sql(update('moved', [ 'r1', 'pairs/*.csv', $one ], [ 'r2', 'pairs/b*.csv', $other ]));
        my $run = $k->run('moved');
        is("$run->{status} $run->{error_code} $run->{error_message}",
            qq(failed 55000 sources "$taker" and "$loser" would both read file "pairs/b1.csv", which the "stagingFolder" of "$taker" takes away), 'sources that share a file fail the run');
        is(there('pairs') . claims('moved'), 'pairs/a1.csv pairs/b1.csv', 'before one is claimed or moved');
    }
    $k->sql(update('moved', [ 'r1', 'pairs/a*.csv', $staged ], [ 'r2', 'pairs/b*.csv' ]));
    is($k->run('moved')->{status}, 'success', 'others do not');
}

# The connector's base was changed before it was noted that files are moved.
{
    my $base = sub { $k->sql("SELECT kaireon.update_connector('home', config => " . $k->json({ basePath => "$files/$_[0]" }) . ')'); };
    mkdir "$files/$_" for qw(home home/in other_home other_home/in);
    $k->sql("SELECT kaireon.create_connector('home', 'local_fs', " . $k->json({ basePath => "$files/home" }) . ')');
    $k->make('based', connector => 'home', fields => [ @fields[ 0, 1 ] ], source => { resource => 'in/*.csv', atomicity => $staged });
    put('home/in/a.csv', 1);
    $k->write_file('home/in/b.csv', "id,name\nx,bad\n");
    is(ended('based'), 'failed 0 22P02', 'a claim of one base');
    $k->sql("$pending AND path = 'in/a.csv'");
    $k->sql("DELETE FROM kaireon_internal.outbox WHERE path = 'in/b.csv'");
    $base->('other_home');
    put('other_home/in/z.csv', 2);
    my $run = $k->run('based');
    is("$run->{status} $run->{rows_loaded} " . claims('based'), 'success 1 in/a.csv pending', 'is kept where the connector has another one');
    is(warnings($run), q{read warning 1 file that earlier runs have claimed, the first "in/a.csv", can't be found since the connector was changed}
          . q{ (Change the connector back and run the pipeline again, or give up the claims with kaireon.discard_outbox('based').)}, 'and told of');
    $base->('home');
    is(ended('based') . claims('based'), 'success 1', 'put back, it is loaded');
}

{
    my $refused = sub {
        my $source = { resource => 'in/*.csv', atomicity => {@_} };
        my $said = $k->sql_error("SELECT kaireon.update_pipeline('plain', nodes => " . $k->json([ { id => 'read', type => 'source', config => $source }, { id => 'load', type => 'target' } ]) . ')');
        return $said =~ s/.*?ERROR:\s+//sr;
    };
    like($refused->(stagingFolder => 'x'), qr/"stagingFolder" of "atomicity" needs a "successFolder"/, 'a file must have somewhere to go');
    like($refused->(stagingFolder => 'x', successFolder => 'x/{YYYY}'), qr/"stagingFolder" and "successFolder" of "atomicity" lie within one another/, 'which is not the same folder');
    like($refused->(stagingFolder => 'x/y', successFolder => 'z', failureFolder => 'x'), qr/"stagingFolder" and "failureFolder" of "atomicity" lie within one another/, 'nor one around it');
    like($refused->(stagingFolder => 'in', successFolder => 'z'), qr/the files of source "read" lie in the folder that they would be moved to/, 'nor where the files come from');
    like($refused->(stagingFolder => '../x', successFolder => 'z'), qr/"stagingFolder" must not contain "." or ".."/, 'folders are checked');
    like($refused->(stagingFolder => 1, successFolder => 'z'), qr/"stagingFolder"/, 'numbers are none');
}

ok($k->same_postmaster, 'the server never noticed');
$k->settled('staging');
done_testing;
