# Hooks of target nodes: SQL of the pipeline's owner within the load's
# transaction, before the first row and after the last.
use strict;
use warnings;
use Kaireon;
use Test::More;

my $k = Kaireon->new('hooks');

sub failure
{
    my ($run) = @_;
    return join ' | ', map { $_ // '' } @$run{qw(status error_code error_message error_detail)};
}

$k->make_schema('goods', 'id integer', 'day', 'n integer');
$k->sql(q{CREATE TABLE log (at serial, what text, rows bigint);
    CREATE FUNCTION say(what text) RETURNS void LANGUAGE sql AS 'INSERT INTO public.log (what, rows) SELECT what, count(*) FROM public.ds_goods'});
sub said
{
    my $said = $k->sql(q{SELECT coalesce(string_agg(what || ' ' || rows, ', ' ORDER BY at), '') FROM log});

    $k->sql('DELETE FROM log');
    return $said;
}

# ---- when they run

$k->sql(q{CREATE MATERIALIZED VIEW totals AS SELECT day, sum(n) AS n FROM ds_goods GROUP BY day; CREATE UNIQUE INDEX ON totals (day)});
$k->make('goods', schema => 'goods', source => { resource => 'goods.csv' }, target => {
    preHook => q{SELECT public.say('before'); DELETE FROM public.ds_goods WHERE day = 'mon'; SELECT public.say('deleted')},
    postHook => q{REFRESH MATERIALIZED VIEW public.totals; SELECT public.say('after')} }, execution => { errorHandling => 'dlq' });
$k->write_csv('goods.csv', [ 'id', 'day', 'n' ], [ 1, 'mon', 3 ], [ 2, 'mon', 4 ], [ 3, 'tue', 'x' ]);
is($k->sql(q[SELECT count(*) FROM kaireon.preview_pipeline('goods')]) . said(), '2', 'a preview runs none');
$k->sql(q[SELECT kaireon.explain_pipeline('goods', true); SELECT count(*) FROM kaireon.validate_pipeline('goods')]);
is(said(), '', 'nor do explain and validate');
my $run = $k->run('goods');
is("$run->{status} $run->{rows_loaded}", 'partial 2', 'a run with hooks') or diag(failure($run));
is(said(), 'before 0, deleted 0, after 2', 'which ran before the first row and after the last');
is($k->sql('SELECT n FROM totals'), 7, 'a materialized view is refreshed');
$run = $k->run('goods');
is("$run->{status} $run->{rows_loaded} " . said(), 'partial 2 before 2, deleted 0, after 2', 'what a hook deletes is gone before the rows come');

# A dry run.
my $before = $k->sql('SELECT max(at) FROM log') . $k->sql('SELECT string_agg(t::text, $$ $$ ORDER BY id) FROM ds_goods t');
$run = ($k->rows(q[SELECT * FROM kaireon.run_pipeline('goods', '{"dryRun": true}')]))[0];
is("$run->{status} $run->{rows_loaded} " . said(), 'partial 2 ', 'a dry run undoes what they did');
is($k->sql('SELECT max(at) FROM log') . $k->sql('SELECT string_agg(t::text, $$ $$ ORDER BY id) FROM ds_goods t'), $before, 'the table is as before');

# A replay loads the rest of what was loaded.
$k->sql(q[SELECT count(kaireon.edit_dead_letter(id, '{"n": 9}')) FROM (SELECT max(id) AS id FROM kaireon.dead_letters) l]);
$run = ($k->rows(q[SELECT * FROM kaireon.replay_dead_letters('goods', '{"field": "n"}')]))[0];
is("$run->{rows_loaded} " . said(), '1 after 3', 'a replay runs the postHook only');

# In place of the table's rows.
for my $strategy ('truncate_and_load', 'blue_green')
{
    $k->make($strategy, schema => 'goods', source => { resource => 'goods.csv', rowLimit => 2 }, target => { loadingStrategy => $strategy,
        preHook => q{SELECT public.say('before')}, postHook => q{REFRESH MATERIALIZED VIEW CONCURRENTLY public.totals; SELECT public.say('after')} });
    $k->write_csv('goods.csv', [ 'id', 'day', 'n' ], [ 7, 'fri', 1 ], [ 8, 'fri', 1 ]);
    $k->sql(q{INSERT INTO ds_goods (id, day, n) VALUES (100, 'sat', 1), (101, 'sun', 1) ON CONFLICT DO NOTHING});
    my $rows = $k->sql('SELECT count(*) FROM ds_goods');
    $run = ($k->rows(qq[SELECT * FROM kaireon.run_pipeline('$strategy', '{"dryRun": true}')]))[0];
    is("$run->{status} " . $k->sql('SELECT count(*) FROM ds_goods'), "success $rows", "$strategy: a dry run exchanges for the hook, and back") or diag(failure($run));
    $run = $k->run($strategy);
    is("$run->{status} " . said(), "success before $rows, after 2", "$strategy: the postHook sees the new rows") or diag(failure($run));
    is($k->sql('SELECT string_agg(day || n, $$ $$) FROM totals'), 'fri2', "$strategy: so does the view");
}

# ---- with several commits

my @load = ('hooked', schema => 'goods', source => { resource => 'many.csv' }, execution => { commit => 'batch', batchSize => 1000 });
$k->make(@load, target => { preHook => q{DELETE FROM public.ds_goods; SELECT public.say('before')}, postHook => q{SELECT public.say('after')} });
$k->write_csv('many.csv', [ 'id', 'day', 'n' ], map { [ $_, 'sat', $_ ] } 1 .. 5000);
$run = $k->run('hooked');
cmp_ok($run->{commits}, '>', 1, 'a run with several commits');
is("$run->{status} " . said(), 'success before 0, after 5000', 'runs each hook once');
$k->sql('ALTER TABLE ds_goods ADD CONSTRAINT small CHECK (n <> 4500) NOT VALID');
$run = $k->run('hooked');
is("$run->{status} " . said(), 'failed before 0', 'one that fails before its last commit has run the first');
$k->sql('ALTER TABLE ds_goods DROP CONSTRAINT small');
$k->sql("SELECT kaireon.resume_run('$run->{run_id}')");
is($k->wait_run($run->{run_id}) . ' ' . said(), 'success after 5000', 'resumed, it does not run it again');

# ---- what goes wrong

$k->make_schema('plain', 'id integer');
$k->write_csv('plain.csv', ['id'], [1], [2]);
sub with
{
    my ($key, $sql, $rows) = @_;
    my $config = $k->json([ { id => 'read', type => 'source', config => { resource => 'plain.csv' } }, { id => 'load', type => 'target', config => { $key => $sql } } ]);

    $k->sql("SELECT kaireon.create_pipeline('plain', 'files', 'plain', $config, replace => true)");
    return $k->run('plain');
}
$run = with('postHook', "SELECT 1;\nSELECT 1 / 0");
is(failure($run), 'failed | 22012 | division by zero | It happened in postHook of node "load".', 'an error says in which hook it was');
is($k->sql("SELECT error_node FROM kaireon_internal.run WHERE run_id = '$run->{run_id}'"), 'load', 'and of which node');
is(failure(with('preHook', "SELECT 1;\n  SELECT nothing FROM public.log")), 'failed | 42703 | column "nothing" does not exist | It happened in preHook of node "load", at line 2, column 10.', 'and where');
is(failure(with('postHook', q{INSERT INTO public.ds_plain (id) VALUES (1)})),
    'failed | 23505 | duplicate key value violates unique constraint "ds_plain_pkey" | Key (id)=(1) already exists. It happened in postHook of node "load".', 'beside what PostgreSQL says');
is($k->sql('SELECT count(*) FROM ds_plain'), 0, 'nothing is loaded');
like(failure(with('postHook', 'DO $$ BEGIN COMMIT; END $$')), qr/2D000/, 'the transaction is not theirs to end');
like(failure(with('postHook', 'VACUUM public.log')), qr/25001/, 'what needs one of its own is refused');
like(failure(with('postHook', 'COPY public.log TO STDOUT')), qr/0A000/, 'there is no client');
like(failure(with('preHook', 'ALTER TABLE public.ds_plain ALTER id TYPE bigint')), qr/55000.*was changed/, 'a hook that changes the table is too late');
like(failure(with('postHook', q{SELECT kaireon.run_pipeline('goods')})), qr/0A000 \| a run can't wait for a run/, 'a run does not wait for a run');
is(with('postHook', q{SELECT kaireon.start_pipeline('goods')})->{status}, 'success', 'but may start one');
ok($k->poll('the other run', q{SELECT status IN ('success', 'partial') FROM kaireon.runs WHERE pipeline = 'goods' ORDER BY started_at DESC LIMIT 1}), 'which runs');
$k->sql('DELETE FROM ds_plain');
is(with('preHook', q{TRUNCATE public.ds_plain; CREATE TEMP TABLE kept AS SELECT 5 AS n; SET work_mem = '64kB'})->{status}, 'success', 'a hook may do with the table what it likes');
is(with('preHook', 'TRUNCATE public.ds_plain')->{status}, 'success', 'again');
is($k->sql('SELECT count(*) FROM ds_plain'), 2, 'and the rows are there');

# ---- whose rights

$k->sql(q{
    CREATE ROLE owner LOGIN IN ROLE kaireon_admin; CREATE ROLE operator LOGIN IN ROLE kaireon_operator; CREATE ROLE admin LOGIN IN ROLE kaireon_admin; CREATE ROLE friend; GRANT friend TO owner;
    CREATE TABLE secret (v text); INSERT INTO secret VALUES ('x'); GRANT CREATE ON SCHEMA public TO owner;
    CREATE TABLE mine (who text, path text); GRANT ALL ON mine TO owner; CREATE TABLE theirs (v text); GRANT ALL ON theirs TO operator;
    SELECT kaireon.change_owner('connector', 'files', 'owner')});
$k->sql(q{SET ROLE owner; SELECT kaireon.create_schema('owned', '[{"name": "id", "dataType": "integer", "isPrimaryKey": true}]')});
sub owned
{
    my ($key, $sql) = @_;
    my $config = $k->json([ { id => 'read', type => 'source', config => { resource => 'plain.csv' } }, { id => 'load', type => 'target', config => { $key => $sql } } ]);

    $k->sql('DELETE FROM ds_owned');
    $k->sql("SET ROLE owner; SELECT kaireon.create_pipeline('owned', 'files', 'owned', $config, replace => true)");
    return ($k->rows(q[SELECT * FROM kaireon.run_pipeline('owned')]))[0];
}
is(failure(owned('preHook', 'SELECT * FROM public.secret')), 'failed | 42501 | permission denied for table secret | It happened in preHook of node "load".', 'a hook has the rights of the owner, whoever runs the pipeline');
is(failure(owned('postHook', q(DO $$BEGIN RAISE 'not today' USING ERRCODE = '57014'; END$$))), 'failed | 57014 | not today | It happened in postHook of node "load".', 'a hook that says it was cancelled, when nobody did');
for my $sql ('SET ROLE friend', 'SET SESSION AUTHORIZATION DEFAULT', 'RESET ROLE', q{SELECT set_config('role', 'friend', true)})
{
    is(owned('preHook', $sql)->{error_code}, '42501', "$sql is refused");
}
is(owned('preHook', q{SET search_path = friend; INSERT INTO public.mine VALUES (current_user, current_setting('search_path'))})->{status}, 'success', 'settings are its own');
is(owned('postHook', q{INSERT INTO public.mine VALUES (session_user, current_setting('search_path'))})->{status}, 'success', 'and last as long as it');
is($k->sql(q{SELECT string_agg(who || ' ' || path, ', ' ORDER BY path COLLATE "C" DESC) FROM mine}), 'owner friend, owner "$user", public', 'nothing of the caller is there');
owned('preHook', 'SELECT * FROM public.theirs');
is($k->sql(q[SET ROLE operator; SELECT error_code FROM kaireon.run_pipeline('owned')]), '42501', "an operator who runs it lends it no rights");
for my $stranger ('operator', 'admin')
{
    like($k->sql_error(qq[SET ROLE $stranger; SELECT kaireon.update_pipeline('owned', nodes => '[{"id": "r", "type": "source"}, {"id": "l", "type": "target", "config": {"preHook": "SELECT 1"}}]')]),
        qr/permission denied|must be owner/, "$stranger can give it no hook");
}

# ---- scripts

like($k->sql(q[SELECT kaireon.export_pipeline('goods')]), qr/preHook/, 'an export has them');

$k->settled('hooks');
ok($k->same_postmaster, 'the server lived through');
done_testing();
