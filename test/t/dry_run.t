# Dry runs: counts and bad rows are those of the run that follows, constraints and
# triggers have their say, and nothing is left but the report.
use strict;
use warnings;
use Kaireon;
use Test::More;

my $k = Kaireon->new('dry_run', conf => "autovacuum = off\n");
my $files = $k->files;

sub try
{
    my ($name) = @_;
    return ($k->rows(qq{SELECT * FROM kaireon.run_pipeline('$name', '{"dryRun": true}')}))[0];
}

# counts(RUN): what became of the rows.
sub counts
{
    my ($run) = @_;
    return join ' ', $run->{status}, map { $run->{"rows_$_"} } qw(read loaded updated failed skipped filtered merged);
}

# report(RUN): what the views say of it, but for times.
sub report
{
    my ($run) = @_;
    return join "\n", counts($run), map { $_ // '' } @$run{qw(error_code error_message error_detail error_hint loading_strategy)}, $k->node_counts($run),
      $k->sql("SELECT node_id, source, line, field, reason, sqlstate, value, severity FROM kaireon.run_errors WHERE run_id = '$run->{run_id}' ORDER BY ordinal");
}

# left(TABLE): all that a run may leave, but for its report.
sub left
{
    my ($table) = @_;

    $k->sql('CHECKPOINT');       # what is unlinked goes then
    return $k->sql(qq{
        SELECT format('%s: %s', '$table', (SELECT coalesce(string_agg(t::text, ' ' ORDER BY t::text), '') FROM $table t))
        UNION ALL SELECT 'files of tables: ' || count(*) FROM pg_database d, pg_ls_dir('base/' || d.oid) f
         WHERE datname = current_database() AND f ~ '^[0-9]+\$' AND NOT EXISTS (SELECT FROM pg_class c WHERE pg_relation_filenode(c.oid) = f::oid)
        UNION ALL SELECT format('storage %s, state %s, letters %s, outbox %s', pg_relation_filenode('$table'),
            (SELECT coalesce(string_agg(s::text, ' ' ORDER BY s::text), '') FROM kaireon.source_state s),
            (SELECT coalesce(string_agg(d::text, ' ' ORDER BY d::text), '') FROM kaireon.dead_letters d),
            (SELECT count(*) FROM kaireon.outbox))})
      . "\nsource: " . join ' ', map { s/^\Q$files\E\///r } sort glob("$files/*.csv $files/*/*");
}

# both(NAME, TABLE, WHAT): a dry run and then the run; the run.
sub both
{
    my ($name, $table, $what) = @_;
    my ($before, $dry) = (left($table), try($name));

    is(left($table), $before, "$what: a dry run leaves nothing");
    ok($dry->{is_dry_run}, "$what: and is told from others");
    my $run = $k->run($name);
    is(report($dry), report($run), "$what: its report is that of the run that follows") or diag(explain $dry);
    ok(!$run->{is_dry_run}, "$what: which is a run");
    return $run;
}

# ---- appending: a ledger, dead letters, files to move, triggers

$k->sql("ALTER SYSTEM SET kaireon.local_fs_archive_roots = '$files'; ");
$k->sql('SELECT pg_reload_conf()');
$k->poll('the setting', "SELECT current_setting('kaireon.local_fs_archive_roots') = '$files'");
$k->sql(q{
    CREATE TABLE kinds (kind text PRIMARY KEY);
    INSERT INTO kinds VALUES ('a'), ('b');
    CREATE TABLE seen (id integer);
    CREATE TABLE things (id integer PRIMARY KEY, kind text REFERENCES kinds DEFERRABLE INITIALLY DEFERRED, n integer CHECK (n > 0));
    CREATE FUNCTION notice() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.n = 13 THEN RAISE EXCEPTION 'bad luck'; END IF;
        INSERT INTO seen VALUES (NEW.id);
        RETURN NEW;
    END $$;
    CREATE TRIGGER noticed BEFORE INSERT ON things FOR EACH ROW EXECUTE FUNCTION notice();
    SELECT kaireon.adopt_table('things', 'things');
});
$k->make('things', schema => 'things', source => { resource => 'things*.csv', incremental => \1 },
    nodes => [ { id => 'some', type => 'filter', config => { field => 'n', operator => '!=', value => 99 } },
               { id => 'away', type => 'archive', config => { successFolder => 'done', failureFolder => 'bad' } } ],
    execution => { errorHandling => 'dlq' });
$k->write_csv('things1.csv', [ 'id', 'kind', 'n' ], [ 1, 'a', 1 ], [ 2, 'b', 0 ], [ 3, 'a', 13 ], [ 4, 'b', 99 ], [ 5, 'b', 'x' ], [ 1, 'a', 2 ], [ 6, 'a', 7 ]);
my $dry = try('things');
is($k->sql('SELECT count(*) FROM seen'), 0, 'what a trigger has written is undone');
is($k->sql(q{SELECT last_run_status IS NULL FROM kaireon.pipelines}), 't', 'it is not the last run of its pipeline');
my $run = both('things', 'things', 'append');
is(counts($run), 'partial 7 2 0 0 4 1 0', 'append: constraints and triggers fire');
is($k->sql('SELECT count(*) FROM seen'), 2, 'append: the run does all of it');
ok(-e "$files/done/things1.csv", 'append: it moves the file');
is($k->sql('SELECT count(*) FROM kaireon.dead_letters'), 4, 'append: it keeps the bad rows');
is(counts(try('things')), 'success 0 0 0 0 0 0 0', 'append: what was loaded is not read again, nor by a dry run');

# What is only checked at the commit.
$k->write_csv('things2.csv', [ 'id', 'kind', 'n' ], [ 10, 'zzz', 1 ]);
$run = both('things', 'things', 'deferred');
is($run->{error_code}, '23503', 'deferred: a constraint that is checked at the commit fails the dry run');
unlink "$files/things2.csv";

# A run that fails.
$k->sql(q[SELECT kaireon.update_pipeline('things', execution_config => '{"errorHandling": "fail"}')]);
$k->write_csv('things3.csv', [ 'id', 'kind', 'n' ], [ 10, 'a', 1 ], [ 11, 'a', -1 ]);
$run = both('things', 'things', 'failing');
is(counts($run), 'failed 2 0 0 2 0 0 0', 'failing: nothing is loaded');
ok(-e "$files/bad/things3.csv", 'failing: the run moves the file, a dry run has not');

# ---- the other strategies

$k->make_schema('people', 'id integer', 'v');
$k->make('people', schema => 'people', source => { resource => 'people.csv' }, target => { loadingStrategy => 'upsert' }, execution => { errorHandling => 'skip' });
$k->write_csv('people.csv', [ 'id', 'v' ], [ 1, 'a' ], [ 2, 'b' ], [ 2, 'c' ]);
is(counts(both('people', 'ds_people', 'upsert')), 'success 3 2 0 0 0 0 1', 'upsert: new rows');
$k->write_csv('people.csv', [ 'id', 'v' ], [ 1, 'z' ], [ 2, 'c' ], [ 3, 'd' ], [ 'x', 'e' ]);
is(counts(both('people', 'ds_people', 'upsert')), 'partial 4 1 1 0 1 1 0', 'upsert: changed ones');

$k->make_schema('events', 'id integer', 'at integer');
$k->make('events', schema => 'events', source => { resource => 'events.csv' }, target => { loadingStrategy => 'incremental_watermark', watermarkField => 'at' });
$k->write_csv('events.csv', [ 'id', 'at' ], [ 1, 10 ], [ 2, 20 ]);
is(counts(both('events', 'ds_events', 'watermark')), 'success 2 2 0 0 0 0 0', 'watermark: a dry run does not move the mark');
$k->write_csv('events.csv', [ 'id', 'at' ], [ 3, 20 ], [ 4, 21 ]);
is(counts(both('events', 'ds_events', 'watermark')), 'success 2 1 0 0 0 1 0', 'watermark: it counts from the mark');

$k->make_schema('swapped', 'id integer', 'v');
$k->make_schema('emptied', 'id integer', 'v');
$k->sql(q{
    CREATE TABLE refers (id integer REFERENCES ds_swapped);
    CREATE FUNCTION pass() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER pass BEFORE INSERT ON ds_emptied FOR EACH ROW EXECUTE FUNCTION pass()});
for my $table ('swapped', 'emptied')
{
    for my $strategy ('truncate_and_load', 'blue_green')
    {
        my $name = "${table}_$strategy";

        $k->make($name, schema => $table, source => { resource => "$name.csv" }, target => { loadingStrategy => $strategy }, execution => { errorHandling => 'dlq' });
        $k->write_csv("$name.csv", [ 'id', 'v' ], map { [ $_ == 7 ? 6 : $_, $strategy ] } 1 .. 20);
        $run = both($name, "ds_$table", $name);
        is(counts($run), 'partial 20 19 0 0 1 0 0', "$name: loads all rows");
    }
}
$k->sql('INSERT INTO refers VALUES (20)');
$k->write_csv('swapped_blue_green.csv', [ 'id', 'v' ], map { [ $_, 'new' ] } 1 .. 19);
is(both('swapped_blue_green', 'ds_swapped', 'foreign key')->{error_code}, '23503', 'foreign key: rows that refer to a key that would go fail a dry run');
$k->sql('DELETE FROM refers');
my $reader = $k->session;
$reader->query('BEGIN');
$reader->query('SELECT count(*) FROM ds_swapped');
is(counts(try('swapped_blue_green')), 'success 19 19 0 0 0 0 0', 'readers do not keep a dry run waiting: the table is not exchanged');
$reader->close;

# ---- dead letters

my $letters = $k->sql("SELECT string_agg(d::text, ' ' ORDER BY id) FROM kaireon.dead_letters d WHERE pipeline = 'things'");
$k->sql('ALTER TABLE things DROP CONSTRAINT things_n_check');
$dry = ($k->rows(q[SELECT * FROM kaireon.run_pipeline('things', '{"dryRun": true, "replay": {}}')]))[0];
is("$dry->{trigger} " . counts($dry), 'replay partial 4 1 0 0 3 0 0', 'a replay can be tried');
is($k->sql("SELECT string_agg(d::text, ' ' ORDER BY id) FROM kaireon.dead_letters d WHERE pipeline = 'things'"), $letters, 'and leaves the letters as they are');
is(counts($k->run('things')), 'success 0 0 0 0 0 0 0', 'the pipeline runs on');

# ---- without waiting, and what is refused

$k->write_csv('people.csv', [ 'id', 'v' ], [ 50, 'z' ]);
my $id = $k->sql(q[SELECT kaireon.start_pipeline('people', '{"dryRun": true}')]);
is($k->wait_run($id), 'success', 'started without waiting');
is($k->sql("SELECT rows_loaded, is_dry_run FROM kaireon.runs WHERE run_id = '$id'"), '1|t', 'it is one too');
is($k->sql('SELECT count(*) FROM ds_people WHERE id = 50'), 0, 'it leaves nothing');
is($k->sql(q[SELECT is_dry_run FROM kaireon.run_pipeline('people', '{"dryRun": false}')]), 'f', 'dryRun may be false');
is($k->sql('SELECT count(*) FROM ds_people WHERE id = 50'), 1, 'then it loads');
like($k->sql_error(q[SELECT kaireon.run_pipeline('people', '{"dryRun": "yes"}')]), qr/dryRun/, 'a wrong value is named');

$k->settled('dry runs');
ok($k->same_postmaster, 'the server lived through');
done_testing();
