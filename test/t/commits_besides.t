# Commits before a run's end, with what belongs to the rows besides: files that
# archives move, summaries, hooks; and hooks of replays.  What dies between two
# commits leaves what was committed, with all of that, and no more.
use strict;
use warnings;
use Kaireon;
use Test::More;

my $k = Kaireon->new('commits_besides', conf => "restart_after_crash = on\n");
my $files = $k->files;
my @fields = ({ name => 'n', dataType => 'integer', isPrimaryKey => \1 }, { name => 'owner_id', dataType => 'integer' });

$k->sql("ALTER SYSTEM SET kaireon.local_fs_archive_roots = '$files'");
$k->sql('SELECT pg_reload_conf()');
$k->poll('the setting', "SELECT current_setting('kaireon.local_fs_archive_roots') = '$files'");

# put(FOLDER, FILES): f1.csv and so on, of 100 rows each, whose owners are 0 to 9.
sub put
{
    my ($folder, $count) = @_;
    mkdir "$files/$folder";
    for my $file (1 .. $count)
    {
        $k->write_rows("$folder/f$file.csv", 100, sub { my $n = ($file - 1) * 100 + $_[0]; $n . ',' . $n % 10 }, 'n,owner_id');
    }
    return;
}

sub there
{
    my ($folder) = @_;
    return join ' ', sort map { s/.*\///r } glob("$files/$folder/*.csv*");
}

# gate(TABLE, N): a load waits at row N as long as the lock of hold() is held.
sub gate
{
    my ($table, $n) = @_;
    $k->sql(qq(CREATE OR REPLACE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS \$\$BEGIN
        IF NEW.n = TG_ARGV[0]::int THEN PERFORM pg_advisory_xact_lock_shared(42); END IF; RETURN NEW; END\$\$;
        CREATE TRIGGER gate BEFORE INSERT ON $table FOR EACH ROW EXECUTE FUNCTION gate('$n')));
    return;
}

sub hold
{
    my $session = $k->session;
    $session->query('SELECT pg_advisory_lock(42)');
    return $session;
}

# begun(NAME): a run that waits at the gate.
sub begun
{
    my ($name) = @_;
    my $run = $k->start($name);
    my $worker = $k->worker_pid($run);
    $k->poll('the run to reach the lock', "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $worker AND wait_event = 'advisory')");
    return $run;
}

# died(RUN, LOCK): its worker is killed, which takes the server down and up.
sub died
{
    my ($run, $lock) = @_;
    my $worker = $k->worker_pid($run);
    kill 'KILL', $worker;
    $lock->abandon;
    $k->gone($worker);
    $k->poll('the server', sub { return defined eval { $k->sql('SELECT 1') } });
    is($k->wait_run($run), 'failed', 'a run whose worker was killed');
    return;
}

sub resumed
{
    my ($run) = @_;
    $k->sql("SELECT kaireon.resume_run('$run')");
    return $k->wait_run($run);
}

# ---- archives

sub archived
{
    my ($name, %execution) = @_;
    put($name, 5);
    $k->make($name, fields => \@fields, source => { resource => "$name/*.csv" },
        nodes => [ { id => 'away', type => 'archive', config => { successFolder => "$name/done", failureFolder => "$name/bad" } } ], execution => \%execution);
    return $name;
}

archived('plain', commit => 'file');
my $run = $k->run('plain');
is("$run->{status} $run->{commits} $run->{rows_loaded}", 'success 5 500', 'commit file with an archive: a run');
is(there('plain') . ' | ' . there('plain/done'), ' | f1.csv f2.csv f3.csv f4.csv f5.csv', 'all files are moved');

for my $policy (qw(file batch))
{
    my $name = archived("killed_$policy", commit => $policy, batchSize => 50);
    gate("ds_$name", 360);
    my $lock = hold();
    $run = begun($name);
    is($k->sql("SELECT string_agg(path, ' ' ORDER BY id) FROM kaireon.outbox WHERE run_id = '$run'"), join(' ', map { "$name/f$_.csv" } 1 .. 3),
        "commit $policy: each commit has the files that it has whole");
    died($run, $lock);
    $k->poll('the files to be moved', sub { there("$name/done") eq 'f1.csv f2.csv f3.csv' });
    is(there("$name/done"), 'f1.csv f2.csv f3.csv', "commit $policy: after a crash the files that were committed are moved by themselves");
    is(there($name), 'f4.csv f5.csv', 'the others are where they were');
    is($k->sql("SELECT count(*) FROM ds_$name"), $policy eq 'file' ? 300 : 350, 'as their rows are not there, or not all');
    is(resumed($run), 'success', 'the run is resumed');
    is($k->sql("SELECT rows_read, rows_loaded FROM kaireon.runs WHERE run_id = '$run'") . ' ' . $k->sql("SELECT count(*) FROM ds_$name"), '500|500 500', 'and loads the rest, once');
    is(there($name) . ' | ' . there("$name/done"), ' | f1.csv f2.csv f3.csv f4.csv f5.csv', 'all files are moved');
    is($k->count_identity($run), 't', 'the counters add up');
    is($k->run($name)->{rows_read}, 0, 'nothing is left');
}

# A row that fails the run: the files before are moved, that one goes to the failures unless a part of it is loaded.
for my $case ([ 'file', 'bad', 300, 'f5.csv' ], [ 'batch', 'part', 350, 'f4.csv f5.csv' ])
{
    my ($policy, $name, $rows, $left) = @$case;
    archived($name, commit => $policy, batchSize => 50);
    $k->write_rows("$name/f4.csv", 100, sub { $_[0] == 70 ? 'x,1' : 300 + $_[0] . ',1' }, 'n,owner_id');
    $run = $k->run($name);
    is("$run->{status} $run->{error_code} $run->{rows_loaded}", "failed 22P02 $rows", "commit $policy: a bad row fails the run");
    is(there($name) . ' | ' . there("$name/done") . ' | ' . there("$name/bad"), "$left | f1.csv f2.csv f3.csv | " . ($policy eq 'file' ? 'f4.csv' : ''), 'where the files are then');
}
is(resumed($run->{run_id}), 'failed', 'the part that is left is tried again when the run is resumed');
$k->write_rows('part/f4.csv', 100, sub { 300 + $_[0] . ',1' }, 'n,owner_id');
is(resumed($run->{run_id}), 'failed', 'a file that was mended is not the one of which a part is loaded');
is($k->sql("SELECT error_message FROM kaireon.runs WHERE run_id = '$run->{run_id}'"), 'file "part/f4.csv" was changed', 'and the run says so');

# ---- what has appeared since

{
    my $name = archived('appeared', commit => 'file');
    gate("ds_$name", 360);
    my $lock = hold();
    $run = begun($name);
    $k->sql("SELECT kaireon.cancel_run('$run')");
    $lock->close;
    $k->wait_run($run);
    $k->write_file("$name/e.csv", "n,owner_id\n1001,1\n");
    is(resumed($run) . ' ' . $k->sql("SELECT count(*), max(n) FROM ds_$name"), 'success 501|1001', 'a run that is resumed reads files that have appeared since');
}

# ---- summaries

$k->sql("SELECT kaireon.create_schema('owner', '[{\"name\": \"id\", \"dataType\": \"integer\", \"isPrimaryKey\": true}]')");
sub summarised
{
    my ($name, %execution) = @_;
    put($name, 5);
    $k->sql("SELECT kaireon.create_schema('$name', " . $k->json(\@fields) . ", schema_type => 'collection', linked_schema => 'owner', join_mapping => '{\"owner_id\": \"id\"}', "
          . "summary_columns => '[{\"function\": \"count\", \"outputField\": \"things\"}, {\"function\": \"sum\", \"sourceField\": \"n\", \"outputField\": \"total\"}]')");
    $k->make($name, schema => $name, source => { resource => "$name/*.csv" }, nodes => [ { id => 'sums', type => 'summarize', config => { collectionSchemaId => $name } } ], execution => \%execution);
    return $name;
}

# Does the summary say what the table has?
sub summary_is_true
{
    my ($name) = @_;
    return $k->sql("SELECT count(*) FROM (SELECT owner_id, count(*)::bigint AS things, sum(n)::numeric AS total FROM ds_$name GROUP BY 1) AS t "
          . "FULL JOIN ds_${name}_summary AS s USING (owner_id) WHERE (t.things, t.total) IS DISTINCT FROM (s.things, s.total::numeric)") eq '0';
}

for my $policy (qw(file batch))
{
    my $name = summarised("sums_$policy", commit => $policy, batchSize => 30);
    gate("ds_$name", 360);
    my $lock = hold();
    $run = begun($name);
    cmp_ok($k->sql("SELECT sum(things) FROM ds_${name}_summary"), '>=', 300, "commit $policy: each commit has its summary");
    ok(summary_is_true($name), 'which is that of the rows that are there');
    died($run, $lock);
    ok(summary_is_true($name), 'after a crash, too');
    is(resumed($run), 'success', 'the run is resumed');
    is($k->sql("SELECT sum(things), count(*) FROM ds_${name}_summary"), '500|10', 'and summarises all');
    ok(summary_is_true($name), 'as they are');
}

# ---- hooks

$k->make_schema('target', 'id integer', 'n integer');
$k->sql(q{CREATE TABLE log (at serial, what text, rows bigint);
    CREATE FUNCTION say(what text) RETURNS void LANGUAGE sql AS 'INSERT INTO public.log (what, rows) SELECT what, count(*) FROM public.ds_target'});
sub said
{
    my $said = $k->sql(q{SELECT coalesce(string_agg(what || ' ' || rows, ', ' ORDER BY at), '') FROM log});

    $k->sql('DELETE FROM log');
    return $said;
}

sub replay
{
    my ($name, $options) = @_;
    return ($k->rows("SELECT * FROM kaireon.run_pipeline('$name', " . $k->json($options || { replay => {} }) . ')'))[0];
}

$k->write_file('letters.csv', "id,n\n1,1\n2,x\n3,3\n4,y\n");
$k->make('letters', schema => 'target', source => { resource => 'letters.csv' }, execution => { errorHandling => 'dlq', commit => 'batch', batchSize => 1 },
    target => { preHook => q{SELECT public.say('before'); DELETE FROM public.ds_target}, postHook => q{SELECT public.say('after'); SELECT 1 / (count(*) - 4) FROM public.ds_target WHERE n > 0} });
is($k->run('letters')->{status} . ' ' . said(), 'partial before 0, after 2', 'a run that leaves letters');
$k->sql(q{SELECT count(kaireon.edit_dead_letter(id, '{"n": 5}')) FROM kaireon.dead_letters WHERE record ->> 'id' = '2'});
$run = replay('letters', { replay => {}, dryRun => \1 });
is("$run->{status} $run->{rows_loaded} " . said() . ' ' . $k->sql('SELECT count(*) FROM ds_target'), 'partial 1  2', 'a dry replay undoes what its hook did');
is($k->sql(q{SELECT count(*) FROM kaireon.dead_letters}), 2, 'and keeps the letters');
$run = replay('letters');
is("$run->{status} $run->{rows_loaded} " . said(), 'partial 1 after 3', 'a replay runs postHook and not preHook');
is($k->sql(q{SELECT string_agg(record ->> 'id' || ' ' || attempts, ', ') FROM kaireon.dead_letters}), '4 1', 'the letter that is bad again stays');
$k->sql(q{SELECT count(kaireon.edit_dead_letter(id, '{"n": 5}')) FROM kaireon.dead_letters});
$run = replay('letters');
is("$run->{status} $run->{error_code} $run->{error_detail} " . said(), 'failed 22012 It happened in postHook of node "letters". ' =~ s/"letters"/"load"/r, 'a postHook that fails fails the replay');
is($k->sql(q{SELECT count(*) FROM ds_target}) . ' ' . $k->sql(q{SELECT string_agg(record::text, ' ') FROM kaireon.dead_letters}), '3 {"n": "5", "id": "4"}', 'nothing is loaded, and the letter is there');
$k->sql('DELETE FROM ds_target WHERE id = 1');
$run = replay('letters');
is("$run->{status} $run->{rows_loaded} " . said() . ' ' . $k->sql(q{SELECT count(*) FROM kaireon.dead_letters}), 'success 1 after 3 0', 'until the hook lets it pass');

# A run that is resumed before its first commit and behind it.
put('hooked', 5);
$k->make('hooked', fields => \@fields, source => { resource => 'hooked/*.csv' }, execution => { commit => 'file' },
    target => { preHook => q{SELECT public.say('before')}, postHook => q{SELECT public.say('after')} });
for my $case ([ 50, '', 'before 0, after 0' ], [ 360, 'before 0', 'after 0' ])
{
    my ($row, $first, $then) = @$case;
    $k->sql('TRUNCATE ds_hooked; DROP TRIGGER IF EXISTS gate ON ds_hooked; DELETE FROM ds_target');
    gate('ds_hooked', $row);
    my $lock = hold();
    $run = begun('hooked');
    died($run, $lock);
    is(said(), $first, "killed at row $row: what of preHook is committed");
    is(resumed($run) . ' ' . said() . ' ' . $k->sql('SELECT count(*) FROM ds_hooked'), "success $then 500", 'and what the hooks do when it is resumed');
}

$k->settled('commits_besides');
done_testing;
