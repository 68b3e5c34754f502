# Webhooks: what a run's end has called, by the outbox, until it is taken.
use strict;
use warnings;
use HookServer;
use Kaireon;
use Test::More;

my $key = PostgreSQL::Test::Utils::tempdir() . '/key';
open my $out, '>', $key or die "$key: $!";
print $out '0123456789abcdef' x 4;
close $out;
chmod 0600, $key;
my $server = HookServer->new;
my $k = Kaireon->new('webhook', conf => "kaireon.master_key_file = '$key'\nkaireon.egress_allow = '127.0.0.1:" . $server->port . "'\n");
my $files = $k->files;
$k->sql("ALTER SYSTEM SET kaireon.local_fs_archive_roots = '$files'; SELECT pg_reload_conf()");
$k->sql("SELECT kaireon.create_connector('hooks', 'http_pull', " . $k->json({ baseUrl => $server->url, idleTimeoutSeconds => 1, headers => { 'X-Team' => 'sales' } })
      . ", 'token', '{\"token\": \"s3cret-token\"}')");
$k->make_schema('goods', 'id integer', 'name');
mkdir "$files/in";
$k->write_csv('goods.csv', [ 'id', 'name' ], [ 1, 'one' ], [ 2, 'two' ]);
$k->write_csv('bad.csv', [ 'id', 'name' ], [ 'x', 'one' ]);

# make(NAME, HOOK..): a pipeline that has these called.
sub make
{
    my ($name, $hooks, %o) = @_;
    my @hooks = map { { type => 'webhook', connector => 'hooks', %$_ } } @$hooks;
    $k->make($name, schema => 'goods', source => { resource => $o{resource} // 'goods.csv' }, nodes => $o{nodes},
        target => { loadingStrategy => 'upsert', postHook => @hooks == 1 ? $hooks[0] : \@hooks }, execution => $o{execution});
    return;
}

# outbox(NAME): "path status attempts code" of each entry.
sub outbox
{
    my ($name) = @_;
    return $k->sql("SELECT coalesce(string_agg(format('%s %s %s %s', path, status, attempts, error_code), ', ' ORDER BY id), '') FROM kaireon.outbox WHERE pipeline = '$name' AND action = 'call'");
}

# done(NAME): waits until all of it is done.
sub done
{
    my ($name) = @_;
    return $k->poll("the webhooks of $name", "SELECT NOT EXISTS (SELECT FROM kaireon.outbox WHERE pipeline = '$name' AND status <> 'done')");
}

sub ids { return map { $_->{headers}{'webhook-id'} } @_; }

# ---- a call

make('plain', [ { path => 'plain' } ]);
my $run = $k->run('plain');
is($run->{status}, 'success', 'a run with a webhook');
my ($got) = $server->got('/plain');
is(scalar($server->got), 1, 'which is called before it is answered, once');
is($got->{method}, 'POST', 'by POST');
is($got->{headers}{'content-type'}, 'application/json', 'with JSON');
is("$got->{headers}{authorization} $got->{headers}{'x-team'}", 'Bearer s3cret-token sales', "with the connector's credentials and headers");
is_deeply([ sort keys %{ $got->{body} } ],
    [ sort qw(pipeline runId status rowsRead rowsLoaded rowsUpdated rowsSkipped rowsFiltered errorCode startedAt finishedAt attempt) ], 'what it tells of the run');
is("@{$got->{body}}{qw(pipeline runId status rowsRead rowsLoaded attempt)}", "plain $run->{run_id} success 2 2 1", 'is true');
like($got->{body}{finishedAt}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/, 'times are UTC');
is(outbox('plain'), 'plain done 1 ', 'the outbox tells');

make('mine', [ { path => '/a b?x=1', method => 'PUT', headers => { 'X-Kind' => 'load', 'Content-Type' => 'application/vnd.x+json' },
            body => { text => '{pipeline} has {rowsLoaded}, {nothing}', list => [ 1, { n => '{runId}' } ] } } ]);
$run = $k->run('mine');
($got) = grep { $_->{path} =~ /^\/a/ } $server->got;
is("$got->{method} $got->{path} $got->{headers}{'x-kind'} $got->{headers}{'content-type'}", 'PUT /a%20b?x=1 load application/vnd.x+json', 'method, path and headers of its own');
is_deeply($got->{body}, { text => 'mine has 0, {nothing}', list => [ 1, { n => $run->{run_id} } ] }, 'and a body of its own');
my $odd = q(a"b\\{status}{x}ü);
make('named', [ { path => 'named', body => '{pipeline}: {status}' } ]);
$k->sql('SELECT kaireon.update_pipeline(' . $k->json('named') . ', new_name => ' . $k->json($odd) . ')');
$k->run($odd);
($got) = $server->got('/named');
is($got->{body}, "a\"b\\{status}{x}\x{fc}: success", 'a name with anything in it stays what it is');

# ---- what is passing, and what is final

make('busy', [ { path => 'fail=503x2/busy' } ]);
$k->run('busy');
like(outbox('busy'), qr/^fail=503x2\/busy pending 1 08006$/, 'a server that is busy: later');
like($k->sql("SELECT error_message FROM kaireon.outbox WHERE pipeline = 'busy'"), qr/^the server answered with status 503: not now$/, 'with what it said');
done('busy');
my @tries = $server->got('/fail=503x2/busy');
is(scalar(@tries), 3, 'until it takes it');
is(join(' ', ids(@tries[1, 2])), join(' ', ids(@tries[0, 0])), 'which can tell that it is the same');
is(outbox('busy'), 'fail=503x2/busy done 3 ', 'the outbox counts');

make('refused', [ { path => 'fail=422x1/refused' } ]);
is($k->run('refused')->{status}, 'success', 'a refusal does not fail the run');
is(outbox('refused'), 'fail=422x1/refused failed 1 08P01', 'and is final');
$k->sql("SELECT kaireon.retry_outbox('refused')");
done('refused');
is(join(' ', ids(($server->got('/fail=422x1/refused'))[1])), join(' ', ids(($server->got('/fail=422x1/refused'))[0])), 'but for retry_outbox, with the same id');
make('echoed', [ { path => 'echo/a?to=https://example.com' } ]);
$k->run('echoed');
is($k->sql("SELECT error_message FROM kaireon.outbox WHERE pipeline = 'echoed'"), 'the server answered with status 400: (what it says has header "Authorization" in it)',
    'credentials that a server sends back are not shown');
like($k->sql_error(q(SELECT kaireon.preview('hooks', 'echo/b'))), qr/status 400: \(what it says has header "Authorization" in it\)/, 'nor by what reads from there');
make('elsewhere', [ { path => 'to=%2Fplain/x' } ]);
$k->run('elsewhere');
is(outbox('elsewhere'), 'to=%2Fplain/x failed 1 08P01', 'a redirection is not followed');
is(scalar($server->got('/plain')), 1, 'by no call');

make('asked', [ { path => 'fail=429x1/after=1800/asked' }, { path => 'fail=429x1/after=99999/asked' } ]);
$k->run('asked');
is($k->sql("SELECT string_agg(round(extract(epoch FROM next_attempt_at - created_at) / 600)::text, ' ' ORDER BY id) FROM kaireon.outbox WHERE pipeline = 'asked'"), '3 6',
    'a server says when to come again, within an hour');
$k->sql("SELECT kaireon.retry_outbox('asked')");
done('asked');

make('loose', [ { path => 'flood/x' }, { path => 'cut/x' } ]);
$k->run('loose');
is(outbox('loose'), 'flood/x done 1 , cut/x done 1 ', 'what comes behind a good status does not matter');

# ---- nobody holds up others

make('held', [ { path => 'hold/x' } ], resource => 'in/*.csv', nodes => [ { id => 'away', type => 'archive', config => { successFolder => 'done' } } ]);
$k->sql("SELECT kaireon.update_connector('hooks', config => " . $k->json({ baseUrl => $server->url, idleTimeoutSeconds => 25 }) . ')');
$k->write_csv('in/h.csv', [ 'id', 'name' ], [ 1, 'one' ]);
my $id = $k->start('held');
$k->poll('the call', sub { scalar $server->got('/hold/x') });
ok(-e "$files/done/h.csv", 'files are moved before a server is waited for');
is($k->sql("SELECT status FROM kaireon.runs WHERE run_id = '$id'"), 'success', 'the run has ended');

# ---- killed while it is called: again, with the same id

kill 'TERM', $k->sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'kaireon run'");
$server->release;
done('held');
my @held = $server->got('/hold/x');
cmp_ok(scalar(@held), '>=', 2, 'a worker that ends in a call: it is called again');
is(scalar(keys %{ { map { $_ => 1 } ids(@held) } }), 1, 'with the same id');

$server->hold_again;
make('crash', [ { path => 'hold/crash' }, { path => 'hold/behind' } ]);
$id = $k->start('crash');
$k->poll('the call', sub { scalar $server->got('/hold/crash') });
$k->node->stop('immediate');
is(scalar($server->got('/hold/behind')), 0, 'committed, and not called');
$server->release;
$k->node->start;
$k->remember_postmaster;
done('crash');
is(scalar($server->got('/hold/behind')), 1, 'a crash of the server: what was not called is');
my @crash = $server->got('/hold/crash');
is(scalar(@crash) . ' ' . scalar(keys %{ { map { $_ => 1 } ids(@crash) } }), '2 1', 'and what nobody knows of again, with the same id');

$k->sql("SELECT kaireon.update_connector('hooks', config => " . $k->json({ baseUrl => $server->url, idleTimeoutSeconds => 1 }) . ')');
make('hung', [ { path => 'hang/1' }, { path => 'hang/2' } ]);
is($k->run('hung')->{status}, 'success', 'a server that does not answer');
is($k->sql("SELECT string_agg(format('%s %s', attempts, error_code), ', ' ORDER BY attempts) FROM kaireon.outbox WHERE pipeline = 'hung' AND next_attempt_at IS NOT NULL"), '0 , 1 08006',
    'is waited for once, not for each call');
is($k->sql("SELECT kaireon.discard_outbox('hung')"), 2, 'what is pending can be given up');

# ---- when

make('ends', [ map { { path => "ends/$_", on => $_, body => "{status} {errorCode}" } } qw(success failure always) ], resource => '*.csv', execution => { errorHandling => 'fail' });
sub told { return join ', ', sort map { "$_->{path} $_->{body}" } grep { $_->{path} =~ /^\/ends/ } $server->got; }
is($k->run('ends')->{status}, 'failed', 'a run that fails');
done('ends');
is(told(), '/ends/always failed 22P02, /ends/failure failed 22P02', 'calls those for failures');
$k->sql(q(SELECT * FROM kaireon.run_pipeline('ends', '{"dryRun": true}')));
is($k->sql(q(SELECT count(*) FROM kaireon.outbox WHERE pipeline = 'ends')), 2, 'a dry run nobody');
make('partly', [ { path => 'ends/partly', body => '{status} {rowsSkipped}' }, { path => 'ends/never', on => 'failure' } ], resource => '*.csv', execution => { errorHandling => 'skip' });
$k->run('partly');
like(told(), qr{/ends/partly partial 1$}, 'a run that left rows out has succeeded');
$k->sql(q(SELECT * FROM kaireon.run_pipeline('partly', '{"dryRun": true}')));
is(outbox('partly'), 'ends/partly done 1 ', 'a dry run that succeeds calls nobody');

# A run that gives up waiting for files has ended as well.
$k->make('waited', schema => 'goods', source => { resource => 'never_*.csv', waitPolicy => { maxRetries => 1, intervalMinutes => 0.01, onMissAction => 'skip' } },
    target => { postHook => { type => 'webhook', connector => 'hooks', path => 'waited', body => '{status} {rowsRead}' } });
is($k->run('waited')->{status}, 'success', 'a run that has waited for files in vain');
done('waited');
is(join(', ', map { $_->{body} } $server->got('/waited')), 'success 0', 'calls once, when it has ended');

# Each attempt but the last is no end.
make('again', [ { path => 'again', on => 'failure', body => '{attempt}' } ], execution => { retry => { maxAttempts => 2, pauseSeconds => 0 } });
$k->sql(q(CREATE FUNCTION locked() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE lock_not_available; END$$;
    CREATE TRIGGER locked BEFORE INSERT OR UPDATE ON ds_goods FOR EACH STATEMENT EXECUTE FUNCTION locked()));
is($k->run('again')->{status}, 'failed', 'a run that is tried again, in vain');
done('again');
is(join(' ', map { $_->{body} } $server->got('/again')), '2', 'calls once, when it is over');
$k->sql(q(DROP TRIGGER locked ON ds_goods));

# A worker that dies: its supervisor writes the end.
$k->sql(q(CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_advisory_xact_lock_shared(42); RETURN NULL; END$$;
    CREATE TRIGGER gate BEFORE INSERT OR UPDATE ON ds_goods FOR EACH STATEMENT EXECUTE FUNCTION gate()));
make('orphan', [ { path => 'orphan', on => 'failure', body => '{errorCode}' }, { path => 'orphan', on => 'success' } ]);
{
    my $gate = $k->session;
    $gate->query('SELECT pg_advisory_lock(42)');
    $id = $k->start('orphan');
    my $worker = $k->worker_pid($id);
    $k->poll('the run to wait', "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $worker AND wait_event = 'advisory')");
    kill 'TERM', $worker;
    is($k->wait_run($id), 'failed', 'a worker that is ended');
    $gate->close;
}
done('orphan');
is(join(' ', map { $_->{body} } $server->got('/orphan')), 'KA003', 'the supervisor has it called');

# ---- whose connectors

$k->sql(q(CREATE ROLE ann LOGIN IN ROLE kaireon_admin; CREATE ROLE bob LOGIN IN ROLE kaireon_admin; GRANT CREATE ON SCHEMA public TO ann));
my $refresh = $k->json({ baseUrl => $server->url });
$k->sql("SET ROLE bob; SELECT kaireon.create_connector('bobs', 'http_pull', $refresh)");
sub ann
{
    my ($hook) = @_;
    return $k->sql_error("SET ROLE ann; SELECT kaireon.create_pipeline('anns', 'anns', 'anns', " . $k->json(
        [ { id => 'r', type => 'source', config => { resource => 'goods.csv' } }, { id => 'l', type => 'target', config => { postHook => $hook } } ]) . ', replace => true)');
}
$k->sql("SET ROLE ann; SELECT kaireon.create_connector('anns', 'local_fs', " . $k->json({ basePath => $files }) . q[); SELECT kaireon.create_schema('anns', '[{"name": "id", "dataType": "integer", "isPrimaryKey": true}]')]);
like(ann({ type => 'webhook', connector => 'bobs' }), qr/permission denied for connector "bobs"/, "somebody else's connector is refused");
like(ann({ type => 'webhook', connector => 'anns' }), qr/can't be called through connector "anns" of type "local_fs"/, 'and one that can\'t be called');
$k->sql("SET ROLE ann; SELECT kaireon.create_connector('annscall', 'http_pull', $refresh)");
is(ann([ { type => 'webhook', connector => 'annscall', path => 'fail=503x1/ann' } ]), '', "the owner's own is taken");
like($k->sql_error("SET ROLE ann; SELECT kaireon.delete_connector('annscall')"), qr/is in use/, 'which is then in use');
like($k->sql_error("SET ROLE ann; SELECT kaireon.update_connector('annscall', new_name => 'other')"), qr/nodes of pipelines name connector/, 'under its name');
is($k->run('anns')->{status}, 'success', 'a run of hers');
$k->sql("SELECT kaireon.change_owner('connector', 'annscall', 'bob')");
$k->sql("SELECT kaireon.retry_outbox('anns')");
$k->poll('the refusal', "SELECT error_code FROM kaireon.outbox WHERE pipeline = 'anns'", '42501');
like($k->sql("SELECT error_message FROM kaireon.outbox WHERE pipeline = 'anns'"), qr/connector is not the pipeline's owner's any more/, 'a connector that was given away is not used');
$run = $k->run('anns');
is("$run->{status} $run->{error_message}", 'failed node "l": permission denied for connector "annscall"', 'nor does a run begin');
$k->sql("SELECT kaireon.change_owner('connector', 'annscall', 'ann'); SELECT kaireon.retry_outbox('anns')");
done('anns');
is(scalar($server->got('/fail=503x1/ann')), 2, 'when it is given back, it is');

# ---- where calls may go

$k->sql("ALTER SYSTEM SET kaireon.egress_allow = ''; SELECT pg_reload_conf()");
$k->poll('the setting', "SELECT current_setting('kaireon.egress_allow') = ''");
$k->run('plain');
is(outbox('plain'), 'plain done 1 , plain pending 1 42501', 'where connections may not go, nothing is called');
$k->sql("ALTER SYSTEM RESET kaireon.egress_allow; SELECT pg_reload_conf()");
$k->poll('the setting', "SELECT current_setting('kaireon.egress_allow') <> ''");
done('plain');
is(scalar($server->got('/plain')), 2, 'until they may');

# ---- a pipeline that is deleted takes what it wanted along

make('gone', [ { path => 'fail=503/gone' } ]);
$k->run('gone');
$k->sql("SELECT kaireon.delete_pipeline('gone')");
is($k->sql('SELECT count(*) FROM kaireon_internal.outbox WHERE status = $$pending$$'), 0, 'a deleted pipeline calls nobody');

# ---- other hooks in an array

$k->sql('CREATE SCHEMA "My views"; CREATE MATERIALIZED VIEW "My views"."Totals" AS SELECT count(*) AS n FROM ds_goods; CREATE UNIQUE INDEX ON "My views"."Totals" (n);
    CREATE MATERIALIZED VIEW plain_totals AS SELECT count(*) AS n FROM ds_goods; TRUNCATE ds_goods');
$k->make('views', schema => 'goods', source => { resource => 'goods.csv' }, target => {
    preHook => { type => 'sql', statement => 'DELETE FROM public.ds_goods' },
    postHook => [ { type => 'refresh', view => '"My views"."Totals"', concurrently => \1 }, 'SELECT 1', { type => 'refresh', views => [ 'public.plain_totals' ] },
        { type => 'webhook', connector => 'hooks', path => 'views' } ] });
is($k->run('views')->{status}, 'success', 'hooks of all types');
is($k->sql('SELECT (SELECT n FROM "My views"."Totals"), (SELECT n FROM plain_totals)'), '2|2', 'refresh views');
is(scalar($server->got('/views')), 1, 'and call');
$k->sql('DROP MATERIALIZED VIEW plain_totals');
$run = $k->run('views');
is("$run->{status} $run->{error_code} $run->{error_detail}", 'failed 42P01 It happened in postHook 3 of node "load".', 'an error says in which hook');
is(scalar($server->got('/views')), 1, 'and then nothing is called');

# ---- elsewhere

like($k->sql("SELECT kaireon.export_pipeline('plain') -> 'connectors'"), qr/"hooks"/, 'an export has the connector');
unlike($k->sql("SELECT kaireon.export_pipeline('plain')"), qr/s3cret/, 'without what is secret');

make('copied', [ { path => 'fail=503x1/after=1800/copied' } ]);
$k->run('copied');
$k->poll('the workers to end', "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'kaireon run'");
$k->sql('CREATE DATABASE twin TEMPLATE postgres', 'template1');
is($k->sql("SELECT kaireon.retry_outbox('copied')", 'twin'), 1, 'a copy has what was pending');
ok($k->poll('its supervisor to have looked', "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'kaireon supervisor' AND datname = 'twin'"), 'its supervisor has nothing to do');
is($k->sql("SELECT status, attempts FROM kaireon.outbox WHERE pipeline = 'copied'", 'twin') . ' ' . scalar($server->got('/fail=503x1/after=1800/copied')), 'pending|0 1', 'and calls nobody');
$k->sql('SELECT kaireon.confirm_instance()', 'twin');
$k->sql("SELECT kaireon.retry_outbox('copied')", 'twin');
$k->poll('the call', sub { $k->sql("SELECT status FROM kaireon.outbox WHERE pipeline = 'copied'", 'twin') eq 'done' });
is(scalar(keys %{ { map { $_ => 1 } ids($server->got('/fail=503x1/after=1800/copied')) } }), 1, 'before it is confirmed; and then under the same id');

is(join(', ', grep { $_ } map { $_->{wrong} } grep { $_->{method} !~ /^(HEAD|GET)$/ } $server->got), '', 'every call was as it must be');
unlike(PostgreSQL::Test::Utils::slurp_file($k->node->logfile), qr/s3cret-token/, 'nor logged');
ok($k->same_postmaster, 'the server lived through');
$k->settled('webhooks');
done_testing();
