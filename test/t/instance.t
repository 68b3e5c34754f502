# Copies of a database: a base backup, a standby that takes over, a database made
# from another, another machine.  Each knows that it is one, holds its pipelines
# and says why, until confirm_instance(); with kaireon.instance_name a standby
# goes on.  (Dumps are in dump.t, pg_upgrade in upgrade.t.)
use strict;
use warnings;
use Kaireon;
use Test::More;

my $k = Kaireon->new('instance', conf => "wal_level = replica\nmax_wal_senders = 4\nkaireon.max_workers = 1\n");
my @fields = ({ name => 'id', dataType => 'integer', isPrimaryKey => \1 }, { name => 'name', dataType => 'varchar' });
mkdir $k->files . '/in';
$k->write_file('in/1.csv', "id,name\n1,a\n2,b\n");
$k->make('loads', fields => \@fields, source => { resource => 'in/*.csv', incremental => \1 });
$k->make('waits', schema => 'loads', source => { resource => 'in/1.csv' });
$k->sql('CREATE ROLE op LOGIN; GRANT kaireon_operator TO op; CREATE ROLE adm LOGIN; GRANT kaireon_admin TO adm; CREATE ROLE see LOGIN; GRANT kaireon_viewer TO see');

# state(NODE, DATABASE): what the view says.
sub state
{
    my ($node, $database) = @_;
    return $node->sql('SELECT is_confirmed, reason FROM kaireon.instance', $database);
}

# A started copy from a backup, as an object of ours.
sub copy
{
    my ($name, $backup, $conf, %how) = @_;
    my $node = PostgreSQL::Test::Cluster->new($name);
    $node->init_from_backup($k->node, $backup, %how);
    $node->append_conf('postgresql.conf', $conf) if $conf;
    $node->start;
    return bless { node => $node, files => $k->files }, 'Kaireon';
}

my $refused = qr/ERROR:  KA005: pipelines are held: this database is a copy\nDETAIL:  It was restored, cloned, .* it has another (.*)\.\nHINT:  When its original/;

sub refusal
{
    my ($node, $call, $database) = @_;
    my ($code, $out, $err) = $node->node->psql($database || 'postgres', "\\set VERBOSITY verbose\nSELECT $call");
    return $err =~ $refused ? $1 : "no such refusal: $err";
}

# ---- an original

is(state($k), 't|', 'a fresh database is confirmed');
is($k->sql('SELECT kaireon.confirm_instance()'), 'f', 'there is nothing to confirm');
is($k->sql('SELECT count(*) FROM kaireon_internal.instance'), 1, 'which changes nothing');
is($k->run('loads')->{status}, 'success', 'and it runs');
$k->node->restart;
is(state($k), 't|', 'a restart makes no difference');

# ---- a base backup, taken while runs are under way and waited for

my $lock = $k->session;
$lock->query('BEGIN; LOCK TABLE ds_loads IN SHARE MODE');
my $running = $k->start('waits');
my $worker = $k->worker_pid($running);
$k->poll('the run to wait for the table', "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $worker AND wait_event_type = 'Lock')");
my $queued = $k->start('loads');
$k->node->backup('base');
$lock->query('COMMIT');
$lock->close;
is($k->wait_run($running) . ' ' . $k->wait_run($queued), 'failed success', 'the original finishes its runs');
{
    my $clone = copy('instance_clone', 'base', "log_min_messages = log\n");
    my $other = qr/data directory/;
    like(state($clone), qr/^f\|It was restored, cloned, upgraded or taken over by a standby: since .* it has another data directory\.$/, 'a base backup knows that it is a copy');
    like(refusal($clone, "kaireon.$_('loads')"), $other, "and refuses $_") for qw(run_pipeline start_pipeline);
    is($clone->sql('SELECT DISTINCT status, held_because LIKE \'this database is a copy: It was %\' FROM kaireon.pipelines'), 'paused|t', 'its pipelines are paused, and say why');
    my ($code, $out, $err) = $clone->node->psql('postgres', q(SELECT kaireon.resume_pipeline('loads')));
    like($err, qr/NOTICE:  pipeline "loads" does not run yet: this database is a copy\nHINT:  .*confirm_instance/, 'resuming one does not help, and says so');
    is($clone->sql(q(SELECT count(*) FROM kaireon.preview_pipeline('loads'))), 2, 'a preview only reads: it works');
    is($clone->sql(q(SELECT count(*) FROM kaireon.read('files', 'in/1.csv') AS t(id int))), 2, 'so does reading');
    is($clone->sql(q(SELECT kaireon.update_pipeline('loads', description => 'copied'))), 1, 'and changing a pipeline');
    ok($clone->poll('the supervisor to look', "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'kaireon supervisor'"), 'no supervisor stays for it');
    is($clone->sql("SELECT status FROM kaireon.runs WHERE run_id = '$_->[0]'"), $_->[1], "the original's $_->[1] run stays as it is")
        for [ $running, 'running' ], [ $queued, 'queued' ];

    my $as = sub { return $clone->sql_error("SET SESSION AUTHORIZATION $_[0]; $_[1]") };
    like($as->($_, 'SELECT kaireon.confirm_instance()'), qr/permission denied for function confirm_instance/, "$_ may not confirm it") for qw(op see);
    is($clone->sql('SET SESSION AUTHORIZATION see; SELECT is_confirmed, reason IS NULL, current IS NULL, confirmed IS NULL FROM kaireon.instance'),
        'f|f|t|t', 'a viewer sees that it is a copy, but no paths');
    is($clone->sql("SET SESSION AUTHORIZATION adm; SELECT current ->> 'data_directory' = '" . $clone->node->data_dir . "', confirmed ->> 'data_directory' = '" . $k->node->data_dir . "' FROM kaireon.instance"),
        't|t', 'an admin sees which');
    is($clone->sql('SET SESSION AUTHORIZATION adm; SELECT kaireon.confirm_instance()'), 't', 'and may confirm it');
    is(state($clone), 't|', 'then it is one of its own');
    is($clone->sql('SELECT confirmed_by FROM kaireon.instance'), 'adm', 'which names who did that');
    is($clone->sql('SELECT kaireon.confirm_instance()'), 'f', 'once is enough');
    like(PostgreSQL::Test::Utils::slurp_file($clone->node->logfile), qr/LOG:  kaireon: role adm confirmed database "postgres": its pipelines may run\n.*DETAIL:  It was restored/, 'the log has it');
    is($clone->sql("SELECT DISTINCT status, error_code, finished_at IS NULL FROM kaireon.runs WHERE run_id IN ('$running', '$queued')"), 'cancelled|KA005|f',
        'the original\'s runs are not started by surprise');
    is($clone->sql('SELECT DISTINCT status, held_because IS NULL FROM kaireon.pipelines'), 'draft|t', 'the pipelines are what they were');
    is($clone->sql(q(SELECT status, rows_read FROM kaireon.run_pipeline('loads'))), 'success|0', 'and run, repeating nothing');
    $clone->settled('a confirmed copy');
    $clone->node->restart;
    is(state($clone), 't|', 'it stays confirmed');
    $clone->node->stop;
}
is(state($k), 't|', 'its original is not touched by it');

# ---- another machine, an older record, none at all

$k->sql("UPDATE kaireon_internal.instance SET machine = 'other'");
like(state($k), qr/^f\|.* it has another machine\.$/, 'another machine is noticed');
is(refusal($k, q(kaireon.run_pipeline('loads'))), 'machine', 'and refused');
$k->sql('UPDATE kaireon_internal.instance SET system_identifier = 1');
is(refusal($k, q(kaireon.run_pipeline('loads'))), 'system identifier and machine', 'all that differs is named');
$k->sql('DELETE FROM kaireon_internal.instance');
is(state($k), 'f|It has never been confirmed.', 'a database that nobody has confirmed is held');
is($k->sql('SELECT kaireon.confirm_instance()'), 't', 'and can be');

# ---- a database made from another one

$k->sql('CREATE DATABASE twin TEMPLATE postgres', 'template1');
like(state($k, 'twin'), qr/^f\|.* it has another database\.$/, 'a database made from another one is a copy');
is(refusal($k, q(kaireon.run_pipeline('loads')), 'twin'), 'database', 'and holds its pipelines');
is($k->sql(q(SELECT status FROM kaireon.run_pipeline('loads'))), 'success', 'the original does not');
is($k->sql('SELECT kaireon.confirm_instance()', 'twin'), 't', 'it can be confirmed');
is($k->sql(q(SELECT status FROM kaireon.run_pipeline('loads')), 'twin'), 'success', 'and then both run');

# ---- a standby that takes over

$k->node->backup('standby');
{
    my $standby = copy('instance_standby', 'standby', undef, has_streaming => 1);
    $k->node->wait_for_catchup($standby->node, 'replay', $k->node->lsn('flush'));
    like(state($standby), qr/^f\|/, 'a standby shows that it would be held after a failover');
    is($standby->sql('SELECT DISTINCT status FROM kaireon.pipelines'), 'draft', 'while it is one, its pipelines are shown as the primary has them');
    like($standby->sql_error('SELECT kaireon.confirm_instance()'), qr/ERROR:  cannot execute kaireon.confirm_instance on a standby server\nDETAIL:  It writes, and a standby can.t\.\nHINT:  Call it on the primary/, 'it can\'t be confirmed there');
    $standby->node->promote;
    is(refusal($standby, q(kaireon.run_pipeline('loads'))), 'data directory', 'without a name, one that takes over is held');
    is($standby->sql('SELECT kaireon.confirm_instance()'), 't', 'until it is confirmed');
    is($standby->sql(q(SELECT status FROM kaireon.run_pipeline('loads'))), 'success', 'then it runs');
    $standby->node->stop;
}
$k->sql("ALTER SYSTEM SET kaireon.instance_name = 'prod'; SELECT pg_reload_conf()");
$k->node->restart;
ok($k->poll('the name to be written down', "SELECT name = 'prod' FROM kaireon_internal.instance"), 'a name is taken up when the server starts');
is(state($k), 't|', 'it does not make a copy of a database');
$k->node->backup('named');
{
    my $standby = copy('instance_named', 'named', undef, has_streaming => 1);
    $k->node->wait_for_catchup($standby->node, 'replay', $k->node->lsn('flush'));
    is(state($standby), 't|', 'a standby of the same name is ready');
    $standby->node->promote;
    is($standby->sql(q(SELECT status FROM kaireon.run_pipeline('loads'))), 'success', 'one that takes over goes on');
    ok($standby->poll('its place to be written down', "SELECT data_directory = '" . $standby->node->data_dir . "' FROM kaireon_internal.instance"), 'and knows its place');
    $standby->node->stop;

    my $staging = copy('instance_staging', 'named', "kaireon.instance_name = 'staging'\n");
    $staging->sql("ALTER SYSTEM RESET kaireon.instance_name; SELECT pg_reload_conf()");
    $staging->poll('its own name', 'SHOW kaireon.instance_name', 'staging');
    is(refusal($staging, q(kaireon.run_pipeline('loads'))), 'kaireon.instance_name', 'another name is a copy');
    $staging->node->stop;
}
like($k->sql_error("SET kaireon.instance_name = 'x'"), qr/cannot be changed now/, 'no session gives itself a name');
$k->settled('the original');
done_testing;
