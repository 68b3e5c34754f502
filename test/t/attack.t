# What surrounds a run tries its luck: triggers that change the role, settings
# of roles and databases, code of tables, other objects in the place of a
# table; and operators and viewers, who get nobody's data by running pipelines.
use strict;
use warnings;
use Kaireon;
use Test::More;

# Supervisors leave at once, so that each run has one that has just connected.
my $k = Kaireon->new('attack', conf => "kaireon.supervisor_idle_timeout = 0\n");
my $rows = 2500; # three batches
$k->write_rows('in.csv', $rows, sub { "$_[0],01/02/2024,s3cret-$_[0]" }, 'n,day,word');
$k->write_file('bad.csv', "n,day,word\n1,2024-01-01,fine\nx,2024-01-01,s3cret\n");
my $fields = [ { name => 'n', dataType => 'integer', isPrimaryKey => \1 }, { name => 'day', dataType => 'date' }, { name => 'word', dataType => 'text' } ];
my $prepare = 'CREATE TABLE seen (who name, session name, role text, path text, style text, what text); GRANT ALL ON seen TO PUBLIC;';
$k->sql("$prepare CREATE ROLE spare LOGIN; CREATE ROLE operator LOGIN IN ROLE kaireon_operator; CREATE ROLE viewer LOGIN IN ROLE kaireon_viewer");

# as(ROLE, SQL, DATABASE): in a session that is the role's own; dies on an error.
sub as
{
    my ($role, $sql, $database) = @_;
    my ($code, $out, $err) = $k->node->psql($database || 'postgres', "SET client_min_messages = warning; $sql", extra_params => [ '-U', $role ]);
    die "$role: $err" if $code;
    return $out;
}

# error_as(ROLE, SQL): the SQLSTATE and message of its error.
sub error_as
{
    my ($role, $sql) = @_;
    my ($code, $out, $err) = $k->node->psql('postgres', "\\set VERBOSITY verbose\n$sql", extra_params => [ '-U', $role ]);
    return $err =~ /ERROR:  (.*)/ ? $1 : 'no error';
}

# owner(NAME, DATABASE, FILE): a role with a connector, a schema and a pipeline of
# its name, all its own; it may also become "spare".
sub owner
{
    my ($name, $database, $file) = @_;
    $k->sql("DO \$\$BEGIN CREATE ROLE $name LOGIN IN ROLE kaireon_admin, spare; EXCEPTION WHEN duplicate_object THEN NULL; END\$\$; CREATE SCHEMA $name AUTHORIZATION $name", $database);
    as($name, "SELECT kaireon.create_connector('$name', 'local_fs', " . $k->json({ basePath => $k->files }) . ');'
          . "SELECT kaireon.create_schema('$name', " . $k->json($fields) . ", table_schema => '$name');"
          . "SELECT kaireon.create_pipeline('$name', '$name', '$name', " . $k->json([ { id => 's', type => 'source', config => { resource => $file || 'in.csv' } },
                { id => 't', type => 'target', config => { validation => 'skip' } } ]) . q[, execution_config => '{"errorHandling": "skip"}')], $database);
    return $name;
}

# How a run went: status, SQLSTATE, rows loaded.
sub outcome { my ($name) = @_; my $run = $k->run($name); return join ' ', grep { defined } @$run{qw(status error_code rows_loaded)}; }

# What the code that ran had noted, without repetitions; forgotten then.
sub seen
{
    my ($columns) = @_;
    my $answer = $k->sql("SELECT DISTINCT $columns FROM seen ORDER BY 1");
    $k->sql('TRUNCATE seen');
    return $answer;
}

# Statements that note who is current, and WHAT, an SQL expression.
sub note { my ($what) = @_; return "INSERT INTO public.seen VALUES (current_user, session_user, current_setting('role'), current_setting('search_path'), current_setting('DateStyle'), $what);"; }

# trigger(ROLE, WHEN, STATEMENTS, DATABASE): puts a trigger on the role's table.
sub trigger
{
    my ($name, $when, $statements, $database) = @_;
    as($name, "CREATE OR REPLACE FUNCTION $name.fire() RETURNS trigger LANGUAGE plpgsql AS \$f\$ BEGIN $statements RETURN NEW; END \$f\$;"
          . "DROP TRIGGER IF EXISTS fire ON $name.ds_$name; CREATE $when INSERT ON $name.ds_$name " . ($when =~ /CONSTRAINT/ ? 'DEFERRABLE INITIALLY DEFERRED ' : '')
          . "FOR EACH ROW EXECUTE FUNCTION $name.fire()", $database);
    return;
}

# ---- triggers

owner('alice');
trigger('alice', 'TRIGGER fire BEFORE', note('NULL'));
is(outcome('alice'), "success $rows", 'a run with a trigger');
is(seen('who, session, role'), 'alice|alice|none', 'which fires as the owner');
for my $when ('TRIGGER fire BEFORE', 'TRIGGER fire AFTER', 'CONSTRAINT TRIGGER fire AFTER')
{
    for my $statement ('SET ROLE spare', 'SET LOCAL ROLE spare', 'SET SESSION AUTHORIZATION spare', 'SET ROLE kaireon_admin', 'SET ROLE NONE; RESET SESSION AUTHORIZATION')
    {
        my $deferred = $when =~ /CONSTRAINT/;
        $k->sql('TRUNCATE alice.ds_alice, seen');
        trigger('alice', $when, "IF NEW.n % 500 = 0 THEN $statement; END IF;" . note('NULL'));
        # At commit, when a deferred trigger fires, it may become what the role itself may: nothing follows.
        like(outcome('alice'), $deferred ? qr/^(success $rows|failed 42501 0)$/ : qr/^partial @{[ $rows - 5 ]}$/, "$when, $statement: is refused");
        my $who = seen('who');
        is($who, 'alice', "$when, $statement: it is the owner all the time") unless $deferred;
        like($who, qr/^(alice|spare|kaireon_admin|\n)*$/, "$when, $statement: nobody it could not become itself") if $deferred;
    }
}
$k->sql('TRUNCATE alice.ds_alice, seen');
trigger('alice', 'TRIGGER fire BEFORE', note('NEW.n') . q(PERFORM set_config('search_path', 'alice', false), set_config('DateStyle', 'SQL, DMY', false), set_config('row_security', 'off', false);));
is(outcome('alice'), "success $rows", 'a trigger that changes settings');
is($k->sql(q(SELECT string_agg(what, ' ' ORDER BY what::int) FROM seen WHERE style = 'ISO, MDY' AND path <> 'alice')), '1 1001 2001', 'finds them as they were with each batch');
is($k->sql('SELECT DISTINCT day FROM alice.ds_alice'), '2024-01-02', 'and every row means the same');
$k->sql('TRUNCATE alice.ds_alice, seen');
trigger('alice', 'TRIGGER fire BEFORE', q(IF NEW.n = 7 THEN PERFORM set_config('exit_on_error', 'on', false); END IF;) . note('NULL'));
is(outcome('alice'), 'partial ' . ($rows - 1), 'a trigger that wants the run to end without a word makes a bad row');
is($k->sql("SELECT sqlstate || ' ' || reason FROM kaireon.run_errors WHERE reason LIKE '%exit_on_error%'"), "0A000 exit_on_error can't be set in a worker of Kaireon", 'which says why');
as('alice', 'DROP TRIGGER fire ON alice.ds_alice');

# ---- settings of roles and databases, which a worker and a supervisor have when they connect

$k->sql('CREATE DATABASE settings');
$k->sql("CREATE EXTENSION kaireon; $prepare", 'settings');
owner('bob', 'settings');
trigger('bob', 'TRIGGER fire BEFORE', note(q(concat_ws(' ', current_setting('session_replication_role'), current_setting('row_security'), current_setting('transaction_read_only')))), 'settings');
$k->sql(q(CREATE SCHEMA evil; GRANT USAGE ON SCHEMA evil TO PUBLIC;
    CREATE FUNCTION evil.lower(text) RETURNS text LANGUAGE plpgsql AS $$BEGIN INSERT INTO public.seen (who, what) VALUES (current_user, 'evil'); RETURN NULL; END$$;
    CREATE FUNCTION evil.same(text, text) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN INSERT INTO public.seen (who, what) VALUES (current_user, 'evil'); RETURN false; END$$;
    CREATE OPERATOR evil.= (FUNCTION = evil.same, LEFTARG = text, RIGHTARG = text);
    CREATE TABLE evil.ds_bob (); CREATE TABLE evil.source (); CREATE TABLE evil.staged (); CREATE TABLE evil.pg_class ()), 'settings');
my $session = $k->session('settings'); # connected before they are set
for my $whose ('ROLE bob', 'DATABASE settings', 'ROLE bob IN DATABASE settings', 'ROLE ALL')
{
    for my $setting ('role = spare', 'search_path = evil, pg_catalog', "session_preload_libraries = 'auto_explain'", 'session_replication_role = replica', 'row_security = off',
        'default_transaction_read_only = on', "statement_timeout = '1ms'", "default_transaction_isolation = 'serializable'", 'plpgsql.variable_conflict = error', "plpgsql.extra_errors = 'all'", 'exit_on_error = on')
    {
        my ($name) = $setting =~ /^(\S+)/;
        $session->query("ALTER $whose SET $setting");
        my $answer = $session->query("SELECT status || ' ' || rows_loaded FROM kaireon.run_pipeline('bob')");
        $session->query("ALTER $whose RESET $name");
        is($answer, "success $rows", "ALTER $whose SET $setting: the run succeeds");
        is($session->query('SELECT DISTINCT who, session, what FROM seen'), 'bob|bob|origin on off', "ALTER $whose SET $setting: as its owner, with triggers, row security and writing");
        $session->query('TRUNCATE seen, bob.ds_bob');
    }
}
$session->close;

# ---- code of the table, which is its owner's

as('alice', q(CREATE FUNCTION alice.code(what text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN ) . note('what') . q( RETURN true; END $$;
    CREATE FUNCTION alice.quietly(what text) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM alice.code(what); RETURN 1; END $$;
    CREATE DOMAIN alice.word AS text CHECK (alice.code('domain')); TRUNCATE alice.ds_alice;
    ALTER TABLE alice.ds_alice ALTER word TYPE alice.word, ADD CHECK (alice.code('check')), ADD d int DEFAULT alice.quietly('default'), ADD g int GENERATED ALWAYS AS (alice.quietly('generated')) STORED;
    CREATE INDEX ON alice.ds_alice (alice.quietly('index')) WHERE alice.quietly('predicate') > 0));
$k->sql('TRUNCATE seen');
is(outcome('alice'), "success $rows", 'a table that is full of code');
is(seen('who, session'), 'alice|alice', 'all of which is its owner');
$session = $k->session;
my $state = q(SELECT current_user, session_user, current_setting('search_path'), current_setting('DateStyle'), current_setting('role'), (SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema()));
my $before = $session->query($state);
as('alice', q(CREATE OR REPLACE FUNCTION alice.code(what text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN IF current_user <> 'alice' THEN RAISE WARNING 'became %', current_user; END IF;
    PERFORM set_config('search_path', 'alice', false), set_config('DateStyle', 'SQL, DMY', false);
    BEGIN INSERT INTO public.seen (who) VALUES (current_user); RAISE WARNING 'written'; EXCEPTION WHEN read_only_sql_transaction THEN NULL; END;
    BEGIN SET ROLE spare; RAISE WARNING 'became %', current_user; EXCEPTION WHEN insufficient_privilege THEN NULL; END;
    BEGIN CREATE TEMP TABLE pg_class (); RAISE WARNING 'left something'; EXCEPTION WHEN insufficient_privilege OR read_only_sql_transaction THEN NULL; END; RETURN true; END $$));
is($session->query("SELECT count(*) FROM kaireon.preview_pipeline('alice', 3)"), 3, 'a superuser previews it');
is($session->query("SELECT count(*) > 0 FROM kaireon.explain_pipeline('alice', true)"), 't', 'and has it measured');
is($session->err, '', 'what runs then is still its owner, and writes nothing');
is($session->query($state), $before, 'nor leaves it anything in the session');
$session->close;

# ---- a table that another owns

owner('carol');
$k->sql('GRANT USAGE ON SCHEMA alice, carol TO PUBLIC; GRANT INSERT ON carol.ds_carol TO alice');
trigger('carol', 'TRIGGER fire BEFORE', note('NULL') . 'IF NEW.n = 7 THEN SET ROLE spare; END IF;');
as('alice', "SELECT kaireon.create_pipeline('into_carols', 'alice', 'carol', "
      . $k->json([ { id => 's', type => 'source', config => { resource => 'in.csv' } }, { id => 't', type => 'target', config => { validation => 'skip' } } ]) . q[, execution_config => '{"errorHandling": "skip"}')]);
is(outcome('into_carols'), 'partial ' . ($rows - 1), 'a table that another owns, with its trigger');
is(seen('who, session'), 'alice|alice', 'which fires as who loads, and can not change that');
my $supers = sub { return $k->sql_error("SELECT kaireon.create_pipeline('supers', 'carol', 'carol', if_not_exists => true)"); };
like($supers->(), qr/a superuser's pipeline does not load a table that calls code of role carol/, 'a superuser does not load it');
as('carol', 'DROP TRIGGER fire ON carol.ds_carol; TRUNCATE carol.ds_carol');
# Its owner can add a trigger, a default, statistics at any time, also while the load goes on.
like($supers->(), qr/a superuser's pipeline does not load a table that calls code of role carol\nDETAIL:  What the owner of table carol\.ds_carol makes part of it/, 'nor without the trigger');
$k->sql('ALTER TABLE carol.ds_carol OWNER TO CURRENT_USER; GRANT TRIGGER, TRUNCATE, SELECT ON carol.ds_carol TO carol');
is($supers->(), '', 'a superuser\'s table he does');
$k->sql('SELECT kaireon.delete_pipeline(\'supers\'); SELECT kaireon.create_pipeline(\'supers\', \'carol\', \'carol\', ' . $k->json([ { id => 's', type => 'source', config => { resource => 'in.csv' } }, { id => 't', type => 'target' } ]) . ')');
is(outcome('supers'), "success $rows", 'and it runs');
my $carol = $k->session('postgres', 'user=carol');
$carol->query('BEGIN; TRUNCATE carol.ds_carol; CREATE TRIGGER fire BEFORE INSERT ON carol.ds_carol FOR EACH ROW EXECUTE FUNCTION carol.fire()');
my $run = $k->start('supers');
$k->poll('the run to wait for the table', q(SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'carol.ds_carol'::regclass AND NOT granted)));
$carol->query('COMMIT');
is($k->wait_run($run), 'failed', 'a trigger that comes while the run waits for its table');
like($k->run_row($run)->{error_message}, qr/^a superuser's pipeline does not load a table that calls code of role carol/, 'is found');
is(seen('who'), '', 'and has not fired');
$carol->close;
# What looks at the pipeline would run such code, too, where it plans the load; and a type may get some at any time.
$k->sql('DROP TRIGGER fire ON carol.ds_carol; TRUNCATE seen');
as('carol', q(CREATE FUNCTION carol.note() RETURNS text LANGUAGE plpgsql AS $$ BEGIN ) . note("'default'") . q( RETURN 'x'; END $$;
    CREATE FUNCTION carol.quietly() RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN carol.note(); EXCEPTION WHEN read_only_sql_transaction THEN RAISE WARNING 'ran as %', current_user; RETURN 'x'; END $$;
    TRUNCATE carol.ds_carol));
$k->sql('ALTER TABLE carol.ds_carol ADD extra text, ALTER extra SET DEFAULT carol.quietly()');
for my $look ("kaireon.explain_pipeline('supers')", "kaireon.preview_pipeline('supers')", "kaireon.explain_pipeline('supers', true)")
{
    my ($code, $out, $err) = $k->node->psql('postgres', "SELECT $look");
    like($err, qr/ERROR:  a superuser's pipeline does not load a table that calls code of role carol/, "$look is refused");
    unlike($err, qr/ran as/, "$look runs none of it");
}
is(error_as('operator', "SELECT kaireon.explain_pipeline('supers')"), '42501: a superuser\'s pipeline does not load a table that calls code of role carol', 'whoever asks');
like($k->sql("SELECT message FROM kaireon.validate_pipeline('supers')"), qr/^a superuser's pipeline does not load a table that calls code of role carol/m, 'validate_pipeline says so');
is(seen('who'), '', 'and nothing ran');
as('carol', 'CREATE DOMAIN carol.word AS text');
$k->sql('ALTER TABLE carol.ds_carol DROP extra, ALTER word TYPE carol.word');
is(outcome('supers'), 'failed 42501 0', 'a type of another in a superuser\'s pipeline');
like($k->sql("SELECT error_detail FROM kaireon.runs WHERE pipeline = 'supers' AND error_detail LIKE 'Type%'"), qr/^Type carol\.word would have a superuser's rights\.$/, 'for casts and checks that it may get');
$k->sql('ALTER TABLE carol.ds_carol ALTER word TYPE text');
is(outcome('supers'), "success $rows", 'without it runs again');

# What an owner's statistics call where a schema is changed is his, too; and a partition is not changed while rows go there.
$k->sql('ALTER TABLE carol.ds_carol OWNER TO carol');
as('carol', q(CREATE FUNCTION carol.deed() RETURNS int LANGUAGE plpgsql AS $$ BEGIN IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN RAISE WARNING 'ran as %', current_user; ELSE RAISE division_by_zero; END IF; RETURN 1; END $$;
    CREATE FUNCTION carol.stats(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN 'x'; END $$;
    UPDATE carol.ds_carol SET word = '1'; CREATE STATISTICS carol.st ON (word || carol.stats(word)), n FROM carol.ds_carol;
    CREATE OR REPLACE FUNCTION carol.stats(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM carol.deed(); RETURN 'x'; END $$));
{
    my ($code, $out, $err) = $k->node->psql('postgres', q(SELECT kaireon.alter_field('carol', 'word', '{"dataType": "integer"}')));
    unlike($err, qr/ran as/, 'statistics of a table that a superuser changes');
}

# ---- something else in the place of a table

owner('dora');
as('dora', q(CREATE RULE r AS ON INSERT TO dora.ds_dora DO ALSO DELETE FROM public.seen));
like(outcome('dora'), qr/^failed 22023 0$/, 'a rule is not loaded through');
like($k->sql("SELECT message FROM kaireon.validate_pipeline('dora')"), qr/table "ds_dora" has rules, which a pipeline can't load through/, 'validate_pipeline says so');
as('dora', 'DROP RULE r ON dora.ds_dora; ALTER TABLE dora.ds_dora RENAME TO away; CREATE VIEW dora.ds_dora AS SELECT * FROM dora.away;'
      . 'CREATE FUNCTION dora.fire() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ' . note("'view'") . ' RETURN NULL; END $$; CREATE TRIGGER t INSTEAD OF INSERT ON dora.ds_dora FOR EACH ROW EXECUTE FUNCTION dora.fire()');
is(outcome('dora'), "success $rows", 'a table is itself under any name');
is($k->sql('SELECT count(*) FROM dora.away') . seen('what'), $rows, 'and a view of its old name is not loaded');
as('dora', 'DROP TABLE dora.away CASCADE; CREATE VIEW dora.ds_dora AS SELECT 1 AS n');
like($k->sql_error("SELECT kaireon.run_pipeline('dora')"), qr/the schema's table \S+ does not exist/, 'nor when the table is gone');
# A target that names its schema, and another who takes the name.
owner('greta');
as('greta', q(SELECT kaireon.create_schema('rest', '[{"name": "n", "dataType": "integer", "isPrimaryKey": true}, {"name": "word", "dataType": "text"}]', table_schema => 'greta');
    SELECT kaireon.create_pipeline('routed', 'greta', 'greta', '[{"id": "s", "type": "source", "config": {"resource": "in.csv"}}, {"id": "t", "type": "target"}, {"id": "u", "type": "target", "config": {"schema": "rest"}},
        {"id": "b", "type": "branch", "config": {"routes": [{"label": "few", "field": "n", "operator": "<=", "value": 10}]}}]',
        '[{"sourceNodeId": "s", "targetNodeId": "b"}, {"sourceNodeId": "b", "targetNodeId": "t", "label": "few"}, {"sourceNodeId": "b", "targetNodeId": "u", "label": "otherwise"}]')));
is(outcome('routed'), "success $rows", 'two targets');
is($k->sql('SELECT count(*) FROM greta.ds_greta') . ' ' . $k->sql('SELECT count(*) FROM greta.ds_rest'), '10 ' . ($rows - 10), 'each gets its rows');
$k->sql(q(DELETE FROM kaireon_internal.schema WHERE name = 'rest'; DROP TABLE greta.ds_rest; TRUNCATE greta.ds_greta));
as('carol', q(SELECT kaireon.create_schema('rest', '[{"name": "n", "dataType": "integer", "isPrimaryKey": true}, {"name": "word", "dataType": "text"}]', table_schema => 'carol'); GRANT INSERT ON carol.ds_rest TO PUBLIC));
is(outcome('routed'), 'failed 42501 0', 'a name that another has taken since is not loaded into');
is($k->sql('SELECT (SELECT count(*) FROM carol.ds_rest) + (SELECT count(*) FROM greta.ds_greta)'), 0, 'nor is the other target');
# What it refers to is another's: the check is that one's, and reads no more than the key.
owner('erna');
as('carol', 'CREATE TABLE carol.keys (n int PRIMARY KEY); INSERT INTO carol.keys SELECT generate_series(1, 1000); GRANT REFERENCES ON carol.keys TO erna; ALTER TABLE carol.keys ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;'
      . 'CREATE FUNCTION carol.spy() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN ' . note("'policy'") . ' RETURN true; END $$; CREATE POLICY p ON carol.keys USING (carol.spy())');
as('erna', 'ALTER TABLE erna.ds_erna ADD FOREIGN KEY (n) REFERENCES carol.keys');
$k->sql('TRUNCATE seen');
is(outcome('erna'), 'partial 1000', 'a foreign key to a table of another');
is($k->sql(q(SELECT count(*) FROM seen WHERE who <> 'carol')), 0, 'has none of its code run as who loads');

# ---- operators and viewers

owner('fritz', undef, 'bad.csv');
$run = as('operator', "SELECT run_id, status, rows_loaded, rows_skipped, error_detail FROM kaireon.run_pipeline('fritz')");
like($run, qr/^[-0-9a-f]{36}\|partial\|1\|1\|$/, 'an operator runs what is another\'s');
is($k->sql("SELECT DISTINCT r.owner FROM kaireon_internal.run r WHERE pipeline = 'fritz'"), 'fritz', 'with its owner\'s rights');
is(error_as('operator', 'SELECT * FROM fritz.ds_fritz'), '42501: permission denied for schema fritz', 'and does not see what was loaded');
is(error_as('operator', "SELECT kaireon.preview_pipeline('fritz')"), '42501: permission denied for function preview_pipeline', 'nor what would be');
is(error_as('operator', "SELECT * FROM kaireon.read('fritz', 'in.csv') AS t(n int)"), '42501: permission denied for function read', 'nor the source');
is(as('operator', q(SELECT value, field FROM kaireon.run_errors WHERE pipeline = 'fritz')), 'x|n', 'bad rows are for operators');
is(as('viewer', 'SELECT count(*) FROM kaireon.run_errors'), 0, 'not for viewers');
as('fritz', q(SELECT kaireon.update_pipeline('fritz', execution_config => '{"errorHandling": "fail"}', nodes =>
    '[{"id": "s", "type": "source", "config": {"resource": "bad.csv"}}, {"id": "t", "type": "target", "config": {"validation": "strict"}}]'); TRUNCATE fritz.ds_fritz));
$run = $k->run('fritz')->{run_id};
like(as('operator', "SELECT error_detail FROM kaireon.runs WHERE run_id = '$run'"), qr/line 3.*"x"/, 'why a run failed is for operators, with the value');
is(as('viewer', "SELECT error_code, error_message, error_detail IS NULL FROM kaireon.runs WHERE run_id = '$run'"), '22P02|a row could not be loaded|t', 'for viewers without');
as('fritz', q(CREATE FUNCTION fritz.tell() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'row %', NEW.n USING ERRCODE = 'MY001', HINT = 'row ' || NEW.n; END$$;
    CREATE CONSTRAINT TRIGGER tell AFTER INSERT ON fritz.ds_fritz DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fritz.tell();
    SELECT kaireon.update_pipeline('fritz', execution_config => '{"errorHandling": "skip"}', nodes =>
        '[{"id": "s", "type": "source", "config": {"resource": "bad.csv"}}, {"id": "t", "type": "target"}]')));
$run = $k->run('fritz')->{run_id};
like(as('operator', "SELECT error_message, error_hint FROM kaireon.runs WHERE run_id = '$run'"), qr/^row \d\|row \d$/, 'what a trigger raises at the commit is for operators');
is(as('viewer', "SELECT error_code, error_message, error_hint IS NULL FROM kaireon.runs WHERE run_id = '$run'"), 'MY001|a row could not be loaded|t', 'whatever SQLSTATE it chooses, not for viewers');
is(as('viewer', "SELECT error_message, error_hint IS NULL FROM kaireon.run_attempts WHERE run_id = '$run'"), 'a row could not be loaded|t', 'in view run_attempts neither');
as('fritz', q(DROP TRIGGER tell ON fritz.ds_fritz; CREATE OR REPLACE FUNCTION fritz.tell() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'row %', NEW.n USING ERRCODE = '53000', HINT = 'row ' || NEW.n; END$$;
    CREATE TRIGGER tell BEFORE INSERT ON fritz.ds_fritz FOR EACH ROW EXECUTE FUNCTION fritz.tell()));
$run = $k->run('fritz')->{run_id};
is(as('viewer', "SELECT error_code, error_message, error_hint IS NULL FROM kaireon.runs WHERE run_id = '$run'"), '53000|a row could not be loaded|t', 'not even one that ends a run');
as('fritz', 'DROP TRIGGER tell ON fritz.ds_fritz');
for my $view (grep { $_ ne 'expression_functions' } split /\n/, as('viewer', q(SELECT relname FROM pg_class WHERE relnamespace = 'kaireon'::regnamespace AND relkind = 'v' ORDER BY 1)))
{
    unlike(as('viewer', "SELECT coalesce(string_agg(v::text, ' '), '') FROM kaireon.$view AS v"), qr/s3cret|"x"/, "and kaireon.$view shows them no value");
}
is(error_as('viewer', "SELECT kaireon.run_pipeline('fritz')"), '42501: permission denied for function run_pipeline', 'viewers run nothing');
# An owner needs no more than an operator's role.
$k->sql("REVOKE kaireon_admin FROM fritz; GRANT kaireon_operator TO fritz; SELECT kaireon.update_pipeline('fritz', nodes => "
      . $k->json([ { id => 's', type => 'source', config => { resource => 'in.csv' } }, { id => 'm', type => 'mask_pii', config => { field => 'word', maskType => 'email' } },
            { id => 'e', type => 'expression', config => { outputField => 'word', expression => 'upper(lpad(word, 20))' } }, { id => 't', type => 'target' } ]) . ')');
is(outcome('fritz'), "success $rows", 'an operator\'s own pipeline runs with masks and expressions');

$k->settled('at the end');
$k->settled('at the end, settings', 'settings');
ok($k->same_postmaster, 'the server lived through');
done_testing;
