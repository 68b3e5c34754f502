# What happens to a pipeline's runs when its owner loses rights or goes away
# while they are queued or under way: each ends at once with an error that says
# why, or does what PostgreSQL's rules say; nothing hangs, nothing is half loaded.
use strict;
use warnings;
use Kaireon;
use Test::More;

# One worker at a time: behind a run that waits for a lock, others stay queued.
my $k = Kaireon->new('owners', conf => "kaireon.max_workers = 1\n");
my $fields = [ { name => 'n', dataType => 'integer' } ];
$k->write_file('in.csv', "n\n1\n2\n3\n");
$k->sql('CREATE DATABASE elsewhere');
$k->make('blocker', fields => $fields, source => { resource => 'in.csv' });

# Role NAME with connector, schema and pipeline NAME; its table is postgres's
# and the connector a group's, so that each right can be taken away alone.
sub owner
{
    my ($name) = @_;
    $k->sql("CREATE ROLE $name LOGIN IN ROLE kaireon_admin; CREATE ROLE ${name}_group; GRANT ${name}_group TO $name;"
          . "GRANT CREATE ON SCHEMA public TO $name; SET client_min_messages = warning; SET SESSION AUTHORIZATION $name;"
          . "SELECT kaireon.create_connector('$name', 'local_fs', " . $k->json({ basePath => $k->files }) . ');'
          . "SELECT kaireon.create_schema('$name', " . $k->json($fields) . ');'
          . "SELECT kaireon.create_pipeline('$name', '$name', '$name', " . $k->json([ { id => 's', type => 'source', config => { resource => 'in.csv' } }, { id => 't', type => 'target' } ]) . ');'
          . "SELECT kaireon.change_owner('connector', '$name', '${name}_group'); RESET SESSION AUTHORIZATION;"
          . "ALTER TABLE ds_$name OWNER TO postgres; GRANT INSERT ON ds_$name TO $name; GRANT USAGE ON SEQUENCE ds_${name}_id_seq TO PUBLIC");
    return $name;
}

# How a run ended: status, SQLSTATE, message; and the rows in the table.
sub outcome
{
    my ($run, $table) = @_;
    $k->wait_run($run);
    my $row = $k->run_row($run);
    my $loaded = $table ? $k->sql("SELECT count(*) FROM $table") : '-';
    return join(' ', grep { defined } $row->{status}, $row->{error_code}, $row->{error_message}) . " [$loaded]";
}

# Does STATEMENT while a run of PIPELINE is queued.
sub while_queued
{
    my ($pipeline, $statement, $database) = @_;
    my $lock = $k->session;
    $lock->query('BEGIN; LOCK TABLE ds_blocker IN SHARE MODE');
    my $blocker = $k->start('blocker');
    $k->worker_pid($blocker);
    my $run = $k->start($pipeline);
    $k->sql($statement, $database);
    # a run whose owner has gone or may not log in is ended as soon as the supervisor looks at the queue
    is($k->sql("SELECT status FROM kaireon.runs WHERE run_id = '$run'"), 'queued', "$statement: the run is queued") if $statement !~ /DROP (OWNED|ROLE)|NOLOGIN/;
    $lock->query('COMMIT');
    $lock->close;
    $k->wait_run($blocker);
    return $run;
}

# Does STATEMENT while a run of PIPELINE has begun and waits for its table.
sub while_running
{
    my ($pipeline, $statement, $database) = @_;
    my $lock = $k->session;
    $lock->query("BEGIN; LOCK TABLE ds_$pipeline IN SHARE MODE");
    my $run = $k->start($pipeline);
    $k->poll("the run of $pipeline to wait for its table",
        "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'ds_$pipeline'::regclass AND NOT granted)");
    $k->sql($statement, $database);
    $lock->query('COMMIT');
    $lock->close;
    return $run;
}

my $number = 0;
my $version = $k->sql('SHOW server_version_num');
for my $case (
    [ 'REVOKE INSERT ON ds_%s FROM %1$s', 'failed 42501 permission denied for table ds_%s [0]' ],
    [ 'REVOKE %s_group FROM %1$s', 'failed 42501 permission denied for connector "%s" [0]' ],
    [ 'REVOKE kaireon_admin FROM %s', 'failed 42501 role %s may not run pipelines [0]' ],
    [ 'ALTER ROLE %s NOLOGIN', $version < 170000 ? "failed 28000 the pipeline's owner is not permitted to log in [0]" : 'success [3]', 'success [3]' ],
    # These are about sessions and passwords; a run has neither.
    [ 'ALTER ROLE %s CONNECTION LIMIT 0', 'success [3]' ],
    [ "ALTER ROLE %s VALID UNTIL '2000-01-01'", 'success [3]' ],
    [ 'ALTER ROLE %s NOINHERIT', $version < 160000 ? 'failed 42501 role %s may not run pipelines [0]' : 'success [3]' ])
{
    for my $when (\&while_queued, \&while_running)
    {
        my $name = owner('owner' . ++$number);
        my $statement = sprintf $case->[0], $name;
        my $run = $when->($name, $statement);
        my $expected = $when == \&while_running && $case->[2] || $case->[1];
        is(outcome($run, "ds_$name"), sprintf($expected, $name), $statement . ($when == \&while_queued ? ' while it is queued' : ' while it runs'));
    }
}
like($k->run_row($k->sql("SELECT run_id FROM kaireon.runs WHERE pipeline = 'owner1'"))->{error_detail}, qr/^Role owner1, who owns the pipeline, may not insert into it\.$/, 'an error has its detail');
is($k->run_row($k->sql("SELECT run_id FROM kaireon.runs WHERE pipeline = 'owner1'"))->{error_hint}, 'GRANT INSERT ON public.ds_owner1 TO owner1.', 'and its hint');

# ---- a role that was dropped, which only another database allows

for my $when (\&while_queued, \&while_running)
{
    my $name = owner('gone' . ++$number);
    $k->sql("REVOKE CREATE ON SCHEMA public FROM $name; REVOKE ALL ON ds_$name FROM $name; GRANT INSERT ON ds_$name TO ${name}_group");
    like($k->sql_error("DROP ROLE $name"), qr/role "$name" cannot be dropped because some objects depend on it/, 'here it can not be dropped');
    my $run = $when->($name, "DROP ROLE $name", 'elsewhere');
    is(outcome($run, "ds_$name"), "failed 42704 the pipeline's owner does not exist any more [0]", 'an owner that was dropped elsewhere');
    like($k->sql_error("SELECT kaireon.run_pipeline('$name')"), qr/^$/, 'a later run');
    is($k->sql("SELECT error_code FROM kaireon.runs WHERE pipeline = '$name' ORDER BY finished_at DESC LIMIT 1"), '42704', 'ends the same');
    is($k->sql("SELECT code FROM kaireon.validate_pipeline('$name')"), 'missing_owner', 'validate_pipeline says so');
    $k->sql("SELECT kaireon.change_owner('pipeline', '$name', 'postgres')");
    is($k->sql("SELECT status FROM kaireon.run_pipeline('$name')"), 'success', 'given to another role it runs');
}

# ---- what keeps the worker from connecting

my $name = owner('connecting');
$k->sql("REVOKE CONNECT ON DATABASE postgres FROM PUBLIC");
is(outcome($k->start($name), "ds_$name"), "failed 42501 could not connect as the pipeline's owner: permission denied for database \"postgres\" [0]", 'an owner without CONNECT');
$k->sql('GRANT CONNECT ON DATABASE postgres TO PUBLIC');
is(outcome($k->start($name), "ds_$name"), 'success [3]', 'afterwards it runs');

# ---- pipelines that change hands

$name = owner('given');
$k->sql("CREATE ROLE heir LOGIN IN ROLE kaireon_operator; GRANT given_group TO heir; GRANT INSERT ON ds_given TO heir;"
      . 'CREATE TABLE who (who name, session name); GRANT INSERT ON who TO PUBLIC;'
      . q(CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.who VALUES (current_user, session_user); RETURN NEW; END';)
      . 'CREATE TRIGGER note BEFORE INSERT ON ds_given FOR EACH ROW EXECUTE FUNCTION note()');
my $run = while_queued($name, 'REASSIGN OWNED BY given TO heir');
is(outcome($run, 'ds_given'), 'success [3]', 'REASSIGN OWNED takes a queued run along');
is($k->sql('SELECT DISTINCT who, session FROM who'), 'heir|heir', 'which is the new owner\'s');
is($k->run_row($run)->{owner}, 'heir', 'in its row too');
$k->sql('TRUNCATE ds_given, who');
$run = while_running($name, 'REASSIGN OWNED BY heir TO given');
is(outcome($run, 'ds_given'), 'failed 55000 pipeline "given" was given to role given while its run began [0]', 'a run that has begun ends');
is($k->sql('SELECT count(*) FROM who'), 0, 'without a row as anybody');
my $session = $k->session;
$session->query("BEGIN; REASSIGN OWNED BY given TO heir");
is(outcome($k->start('given'), 'ds_given'), 'success [3]', 'until REASSIGN OWNED is committed');
is($k->sql('SELECT DISTINCT who, session FROM who'), 'given|given', 'runs are the old owner\'s');
$session->query('COMMIT');
$k->sql('TRUNCATE ds_given, who');
is($k->sql("SELECT status FROM kaireon.run_pipeline('given')"), 'success', 'after that');
is($k->sql('SELECT DISTINCT who, session FROM who'), 'heir|heir', 'they are the new owner\'s');
$k->sql("ALTER ROLE heir RENAME TO \"He\"\"ir\"; TRUNCATE ds_given, who");
is(outcome($k->start('given'), 'ds_given'), 'success [3]', 'a renamed owner runs');
is($k->sql('SELECT DISTINCT who FROM who'), 'He"ir', 'under its new name');

$name = owner('dropped');
$k->sql('ALTER TABLE ds_dropped OWNER TO dropped');
$run = while_queued($name, 'DROP OWNED BY dropped');
is(outcome($run), 'cancelled 57014 the pipeline was dropped before the run started [-]', 'DROP OWNED cancels a run that is queued');
is($k->sql("SELECT to_regclass('ds_dropped') IS NULL"), 't', 'with its table');
$k->sql('DROP ROLE dropped');
is($k->sql("SELECT owner FROM kaireon_internal.run WHERE run_id = '$run'"), '-', 'its role can be dropped then');
$name = owner('busy');
my ($answer, $lock);
$run = while_running($name, 'SELECT 1');
is(outcome($run, 'ds_busy'), 'success [3]', 'a run to compare with');
$lock = $k->session;
$lock->query('BEGIN; LOCK TABLE ds_busy IN SHARE MODE');
$run = $k->start($name);
$k->poll('the run to begin', "SELECT status = 'running' FROM kaireon.runs WHERE run_id = '$run'");
like($k->sql_error('DROP OWNED BY busy'), qr/cannot drop a pipeline with a run that is not finished/, 'DROP OWNED refuses while a run has begun');
like($k->sql_error("SELECT kaireon.change_owner('pipeline', 'busy', 'postgres')"), qr/pipeline "busy" has a run that is not finished/, 'so does change_owner');
$lock->query('COMMIT');
is(outcome($run, 'ds_busy'), 'success [6]', 'and the run goes on');

# Whoever is just making something with his role keeps it from being dropped.
$k->sql('CREATE ROLE maker LOGIN IN ROLE kaireon_admin');
my $maker = $k->session('postgres', 'user=maker');
$maker->query("BEGIN; SELECT kaireon.create_connector('made', 'local_fs')");
$lock->send('DROP ROLE maker');
$k->poll('DROP ROLE to wait', "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted AND locktype = 'object' AND classid = 'pg_authid'::regclass");
$maker->query('COMMIT');
$lock->result;
like($lock->err, qr/2BP01: role "maker" cannot be dropped.*owner of connector "made"/s, 'DROP ROLE waits for it, and refuses');
$_->close for $maker, $lock, $session;

$k->settled('at the end');
ok($k->same_postmaster, 'the server lived through');
done_testing;
