# Tables that a pipeline looks up belong to others, who try their luck: rights,
# columns, policies, and code of theirs that PostgreSQL calls where it plans,
# casts or compares; other objects in a table's place, before a run and during
# one.  What is theirs never runs as who owns the pipeline.
use strict;
use warnings;
use Kaireon;
use Test::More;

my $k = Kaireon->new('attack_lookup');
my $rows = 2500;
$k->write_rows('in.csv', $rows, sub { "$_[0],k" . ($_[0] % 10) }, 'n,code');
$k->write_rows('long.csv', 400_000, sub { "$_[0],k" . ($_[0] % 10) }, 'n,code');
$k->sql('CREATE TABLE seen (who name, what text); GRANT ALL ON seen TO PUBLIC; CREATE ROLE alice LOGIN IN ROLE kaireon_admin;'
      . 'CREATE ROLE mallory LOGIN IN ROLE kaireon_admin; GRANT CREATE ON DATABASE postgres TO mallory;'
      . 'CREATE SCHEMA alice AUTHORIZATION alice; CREATE SCHEMA mallory AUTHORIZATION mallory; GRANT USAGE ON SCHEMA mallory TO PUBLIC');

sub as
{
    my ($role, $sql) = @_;
    my ($code, $out, $err) = $k->node->psql('postgres', "SET client_min_messages = warning; $sql", extra_params => [ '-U', $role ]);
    die "$role: $err" if $code;
    return $out;
}

sub error_as
{
    my ($role, $sql) = @_;
    my ($code, $out, $err) = $k->node->psql('postgres', "\\set VERBOSITY verbose\nSET client_min_messages = warning; $sql", extra_params => [ '-U', $role ]);
    return $err =~ /ERROR:  (.*)/ ? $1 : 'no error';
}

# How a run went, and what it found in the table; the target is empty again.
sub outcome
{
    my ($name) = @_;
    my $run = $k->run($name);
    my $found = $k->sql('WITH gone AS (DELETE FROM alice.ds_loaded RETURNING title), supers AS (DELETE FROM ds_postgres RETURNING title)'
          . ' SELECT count(title) FROM (TABLE gone UNION ALL TABLE supers) AS g');
    return join ' ', grep { defined } @$run{qw(status error_code)}, $found;
}

# Whose code ran, without repetitions; forgotten then.
sub seen
{
    my $answer = $k->sql('SELECT DISTINCT who FROM seen ORDER BY 1') =~ s/\n/ /gr;
    $k->sql('TRUNCATE seen');
    return $answer;
}

sub pipeline
{
    my ($role, $name, $file, %lookup) = @_;
    return "SELECT kaireon.create_pipeline('$name', '$role', '" . ($role eq 'alice' ? 'loaded' : $role) . "', " . $k->json([ { id => 'r', type => 'source', config => { resource => $file || 'in.csv' } },
            { id => 'l', type => 'lookup_join', config => { lookupSchema => 'words', joinField => 'code', lookupField => 'code', selectFields => ['title'], %lookup } },
            { id => 't', type => 'target' } ]) . ', replace => true)';
}

# mallory's table "words" as it should be, made anew; then statements of hers.
sub fresh
{
    my (@more) = @_;
    as('mallory', 'DROP TABLE IF EXISTS mallory.ds_words CASCADE; DROP DOMAIN IF EXISTS mallory.word CASCADE; DROP TYPE IF EXISTS mallory.mood CASCADE;'
          . 'CREATE TABLE mallory.ds_words (code varchar(20) PRIMARY KEY, title varchar(255), secret varchar(255));'
          . "SELECT kaireon.adopt_table('words', 'mallory.ds_words') WHERE NOT EXISTS (SELECT FROM kaireon.schemas WHERE name = 'words');"
          . "SELECT kaireon.refresh_schema('words'); INSERT INTO mallory.ds_words SELECT 'k' || i, 'title ' || i, 's3cret' FROM generate_series(0, 8) AS i; GRANT SELECT ON mallory.ds_words TO alice; " . join ';', @more);
    return;
}

for my $role ('alice', 'postgres')
{
    as($role, "SELECT kaireon.create_connector('$role', 'local_fs', " . $k->json({ basePath => $k->files }) . ')');
}
my $fields = $k->json([ { name => 'n', dataType => 'integer' }, { name => 'code' }, { name => 'title' } ]);
as('alice', "SELECT kaireon.create_schema('loaded', $fields, table_schema => 'alice')");
as('postgres', "SELECT kaireon.create_schema('postgres', $fields)"); # a superuser's pipeline loads a superuser's table
as('mallory', q(CREATE FUNCTION mallory.note(what text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.seen VALUES (current_user, what); RETURN true; EXCEPTION WHEN OTHERS THEN RAISE WARNING ''% %'', current_user, sqlerrm; RETURN true; END';
    CREATE FUNCTION mallory.quietly(what text) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN PERFORM mallory.note(what); RETURN 1; END'));
fresh();
my $found = $rows * 9 / 10;

# ---- rights

as('mallory', 'REVOKE SELECT ON mallory.ds_words FROM alice');
is(error_as('alice', pipeline('alice', 'one')), '42501: permission denied for table ds_words', 'without SELECT no lookup');
as('mallory', 'GRANT SELECT (code, title) ON mallory.ds_words TO alice');
is(error_as('alice', pipeline('alice', 'one')), 'no error', 'on the columns that it uses is enough');
is(outcome('one'), "success $found", 'and it runs');
is(error_as('alice', pipeline('alice', 'two', undef, selectFields => [ { field => 'secret', alias => 'title' } ])), '42501: permission denied for table ds_words', 'another column is not read');
is(error_as('alice', pipeline('alice', 'two', undef, lookupField => 'secret')), '42501: permission denied for table ds_words', 'nor compared');
as('mallory', 'REVOKE SELECT (title) ON mallory.ds_words FROM alice');
is(outcome('one'), 'failed 42501 0', 'a column\'s right that went');
is(error_as('alice', "SELECT kaireon.preview_pipeline('one')"), '42501: permission denied for table ds_words', 'nor in a preview');
as('mallory', 'GRANT SELECT ON mallory.ds_words TO alice; REVOKE USAGE ON SCHEMA mallory FROM PUBLIC');
is(outcome('one'), 'failed 42501 0', 'the right to the table\'s schema');
as('mallory', 'GRANT USAGE ON SCHEMA mallory TO PUBLIC');

# ---- code that reading calls, looked at by everybody; a superuser's pipeline

$k->sql(pipeline('postgres', 'supers'));
my @code = ( # how mallory's functions come into the reading of her table
    [ 'an index over an expression', 'CREATE INDEX ON mallory.ds_words ((mallory.quietly(\'index\')))' ],
    [ 'an index with a condition', 'CREATE UNIQUE INDEX ON mallory.ds_words (code) WHERE mallory.quietly(\'condition\') = 1' ],
    [ 'statistics', 'CREATE STATISTICS mallory.st ON (mallory.quietly(\'statistics\') || code), title FROM mallory.ds_words' ],
    [ 'a child with a constraint', 'CREATE TABLE mallory.child (CHECK (mallory.quietly(\'child\') = 1)) INHERITS (mallory.ds_words)' ],
    [ 'a domain as key', 'CREATE DOMAIN mallory.word AS text CHECK (mallory.note(\'domain\')); ALTER TABLE mallory.ds_words ALTER code TYPE mallory.word' ],
    [ 'a domain as field', 'CREATE DOMAIN mallory.word AS text CHECK (mallory.note(\'domain\')); ALTER TABLE mallory.ds_words ALTER title TYPE mallory.word' ],
    [ 'a domain over a domain', 'CREATE DOMAIN mallory.word AS text; CREATE DOMAIN mallory.words AS mallory.word; ALTER TABLE mallory.ds_words ALTER code TYPE mallory.words, ALTER title TYPE mallory.words;'
          . 'ALTER DOMAIN mallory.word ADD CHECK (mallory.note(\'domain\')) NOT VALID' ]);
for (@code)
{
    my ($what, $statement) = @$_;
    fresh($statement);
    ok(seen() =~ /^(mallory)?$/, "$what: is made");
    for my $name ('one', 'supers')
    {
        is(outcome($name), "success $found", "$what, $name: runs");
        for my $look ("SELECT count(*) FROM kaireon.preview_pipeline('$name')", "SELECT count(*) FROM kaireon.explain_pipeline('$name', true)", "SELECT count(*) FROM kaireon.validate_pipeline('$name')")
        {
            like($k->sql($look), qr/^\d+$/, "$what: a superuser asks for $look");
        }
    }
    like(as('alice', "SELECT count(*) FROM kaireon.preview_pipeline('one', 2, 'l')"), qr/^2$/, "$what: alice looks behind the node");
    as('alice', pipeline('alice', 'one'));
    like(seen(), qr/^(mallory)?$/, "$what: has been nobody but its owner");
}
# Behind the lookup a domain is not cast to either.
fresh('CREATE DOMAIN mallory.word AS text CHECK (mallory.note(\'domain\')); ALTER TABLE mallory.ds_words ALTER title TYPE mallory.word; TRUNCATE public.seen');
as('alice', "SELECT kaireon.create_pipeline('joined', 'alice', 'loaded', " . $k->json([ { id => 'r', type => 'source', config => { resource => 'in.csv' } },
            { id => 'l', type => 'lookup_join', config => { lookupSchema => 'words', joinField => 'code', lookupField => 'code', selectFields => ['title'] } },
            { id => 'o', type => 'source', config => { resource => 'in.csv' } }, { id => 'f', type => 'filter', config => { field => 'n', operator => '=', value => 1 } },
            { id => 'j', type => 'join', config => { joinType => 'left', on => [ { left => 'title', right => 'code' } ] } }, { id => 't', type => 'target' } ])
      . ', ' . $k->json([ map { my ($from, $to, $label) = split / /; { sourceNodeId => $from, targetNodeId => $to, label => $label // '' } } 'r l', 'l j left', 'o f', 'f j right', 'j t' ]) . ')');
is(outcome('joined'), "success $found", 'a field of a domain that is joined on');
is(seen(), '', 'is no domain any more');

# A rule that refers to a table reads it the same way; tables of two others have nobody to plan them.
sub referring { return "SELECT kaireon.create_pipeline('refers', 'alice', 'loaded', " . $k->json([ { id => 'r', type => 'source', config => { resource => 'in.csv' } },
            { id => 'v', type => 'validate', config => { rules => [ map { { field => 'code', rule => 'reference', schema => $_, schemaField => 'code', onFail => 'skip' } } @_ ] } },
            { id => 'd', type => 'target' } ]) . ', replace => true)'; }
fresh("CREATE INDEX ON mallory.ds_words ((mallory.quietly('index')))", 'TRUNCATE public.seen');
as('alice', referring('words'));
my $refers = $k->run('refers');
is("$refers->{status} $refers->{rows_loaded}", "partial $found", 'a rule that refers to the table');
is(seen(), 'mallory', 'has its code run as its owner');
$k->sql('CREATE ROLE eve LOGIN IN ROLE kaireon_admin; CREATE SCHEMA eve AUTHORIZATION eve; GRANT USAGE ON SCHEMA eve TO alice; TRUNCATE alice.ds_loaded');
as('eve', q(CREATE TABLE eve.ds_others (code text PRIMARY KEY); INSERT INTO eve.ds_others VALUES ('k3'); GRANT SELECT ON eve.ds_others TO alice; SELECT kaireon.adopt_table('others', 'eve.ds_others')));
like(error_as('alice', referring('words', 'others')), qr/^42501: one node looks up tables of roles mallory and eve/, 'rules that refer to tables of two others');
as('alice', referring('others'));
$refers = $k->run('refers');
is("$refers->{status} $refers->{rows_loaded}", 'partial ' . $rows / 10, 'of one other');
is(seen(), '', 'run nobody else\'s code');
$k->sql('TRUNCATE alice.ds_loaded');

# ---- types with casts and operators of their own

for my $type ([ 'an enumeration', "AS ENUM ('k1')", "'k1'" ], [ 'a row type', 'AS (word text)', 'ROW(code)' ])
{
    my ($what, $is, $value) = @$type;
    fresh("CREATE TYPE mallory.mood $is", 'CREATE FUNCTION mallory.make(text) RETURNS mallory.mood IMMUTABLE LANGUAGE plpgsql AS \'BEGIN PERFORM mallory.note($1); RETURN NULL; END\'',
        'CREATE CAST (text AS mallory.mood) WITH FUNCTION mallory.make(text) AS IMPLICIT', "DELETE FROM mallory.ds_words WHERE code <> 'k1'",
        "ALTER TABLE mallory.ds_words ALTER code TYPE mallory.mood USING $value\::mallory.mood", 'TRUNCATE public.seen');
    is(outcome($_), 'failed 22023 0', "$what, $_: is no field's type") for 'one', 'supers';
    like($k->sql("SELECT message FROM kaireon.validate_pipeline('one') WHERE code = 'schema_drift' AND severity = 'error' AND node_id = 'l'"),
        qr/field "code" of schema "words" is of type mallory\.mood/, "$what: which is said");
    is(seen(), '', "$what: nothing of it has run");
}

# ---- operators, temporary tables and paths of who looks

$k->sql(q(CREATE SCHEMA evil; GRANT USAGE ON SCHEMA evil TO PUBLIC; CREATE FUNCTION evil.same(text, text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN mallory.note(''operator''); END';
    CREATE OPERATOR evil.= (FUNCTION = evil.same, LEFTARG = text, RIGHTARG = text);
    CREATE TABLE evil.input (code text); CREATE TABLE evil."left" (code text); CREATE TABLE evil.ds_words (code text, title text); ALTER ROLE alice SET search_path = evil, pg_catalog));
fresh();
is(outcome('one'), "success $found", 'with a search_path of alice\'s');
my $session = $k->session('postgres', 'user=alice');
$session->query(q(SET search_path = pg_temp, evil, pg_catalog; CREATE TEMP TABLE input (n int, code text, title text); CREATE TEMP TABLE ds_words (code text, title text); CREATE TEMP TABLE rows (n int);
    INSERT INTO input VALUES (7, 'x', 'wrong'); INSERT INTO ds_words VALUES ('k1', 'wrong')));
is($session->query(q(SELECT string_agg(p ->> 'title', ',') FROM kaireon.preview_pipeline('one', 3) AS p)), 'title 1,title 2,title 3', 'temporary tables are not taken for ours');
$session->close;
$k->sql('ALTER ROLE alice RESET search_path');
is(seen(), '', 'nor operators');

# ---- policies: of another they do not run, a superuser's hold

fresh(q(CREATE POLICY p ON mallory.ds_words USING (mallory.note('policy'))), 'ALTER TABLE mallory.ds_words ENABLE ROW LEVEL SECURITY');
for my $name ('one', 'supers')
{
    is(outcome($name), 'failed 42501 0', "another's policy, $name");
}
like(error_as('alice', pipeline('alice', 'one')), qr/^42501: /, 'nor is a pipeline made');
like($k->sql("SELECT message FROM kaireon.validate_pipeline('one') WHERE code = 'permission_denied'"), qr/schema "words" is a view or has row security of role mallory/, 'which is said');
is(seen(), '', 'and nothing ran');
fresh();
$k->sql(q(SET client_min_messages = warning; SELECT kaireon.change_owner('schema', 'words', 'postgres'); GRANT SELECT ON mallory.ds_words TO alice; CREATE POLICY p ON mallory.ds_words USING (code = 'k2' AND current_user = 'alice'); ALTER TABLE mallory.ds_words ENABLE ROW LEVEL SECURITY));
is(outcome('one'), 'success ' . $rows / 10, 'a superuser\'s policy holds for alice');
is($k->sql(q(SELECT count(p ->> 'title') FROM kaireon.preview_pipeline('one', 10, 'l') AS p)), 1, 'and where a superuser looks at her pipeline');
$k->sql(q(ALTER TABLE mallory.ds_words DISABLE ROW LEVEL SECURITY; SET client_min_messages = warning; SELECT kaireon.change_owner('schema', 'words', 'mallory')));

# ---- foreign tables, also as children

SKIP:
{
    skip 'postgres_fdw is not installed', 5 if $k->sql("SELECT count(*) FROM pg_available_extensions WHERE name = 'postgres_fdw'") eq '0';
    $k->sql('CREATE EXTENSION postgres_fdw; GRANT USAGE ON FOREIGN DATA WRAPPER postgres_fdw TO mallory');
    fresh(q(CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '/nowhere'); CREATE USER MAPPING FOR PUBLIC SERVER s;
        CREATE FOREIGN TABLE mallory.far (code varchar(20) NOT NULL, title varchar(255), secret varchar(255)) SERVER s; GRANT SELECT ON mallory.far TO alice));
    is(outcome('one'), "success $found", 'foreign tables that are no part of it');
    as('mallory', 'ALTER FOREIGN TABLE mallory.far INHERIT mallory.ds_words');
    is(outcome('one'), 'failed 42501 0', 'a child that is a foreign table is not asked');
    is(outcome('supers'), 'failed 42501 0', 'nor by a superuser\'s pipeline');
    like($k->run('one')->{error_message}, qr/foreign table "far" belongs to role mallory/, 'which is said');
    as('mallory', 'ALTER FOREIGN TABLE mallory.far NO INHERIT mallory.ds_words');
    is(outcome('one'), "success $found", 'without it the lookup goes on');
}

# ---- something else in its place, before a run and while one reads

fresh();
as('mallory', q(DROP TABLE mallory.ds_words; CREATE TABLE mallory.w (code text, title text); CREATE VIEW mallory.ds_words AS SELECT code, title FROM mallory.w WHERE mallory.note('view'); GRANT SELECT ON mallory.ds_words TO alice));
like(outcome('one'), qr/^failed \w+ 0$/, 'a view of its name is not read');
is(seen(), '', 'nor evaluated');
as('mallory', 'DROP VIEW mallory.ds_words; DROP TABLE mallory.w');

# While rows are still read, the table's schema is renamed, and a view is put where the table was.
sub while_reading
{
    my ($name, $table, $statements) = @_;
    my $lock = $k->session;
    $lock->query("BEGIN; LOCK TABLE $table IN SHARE MODE");
    my $run = $k->start($name);
    $k->poll('the run to wait for its table', "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = '$table'::regclass AND NOT granted)");
    my $reader = $k->reader_pid($run);
    kill 'STOP', $reader;
    $lock->query('COMMIT');
    $lock->close;
    # The reader goes on while it is asked how far the run is, and no longer.
    $k->poll('rows that were read', sub {
        kill 'CONT', $reader;
        my $begun = $k->sql("SELECT EXISTS (SELECT FROM kaireon.progress WHERE run_id = '$run' AND rows_read > 0)") eq 't';
        kill 'STOP', $reader;
        return $begun;
    });
    is($k->run_row($run)->{status}, 'running', "$name has rows to read");
    as('mallory', $statements);
    kill 'CONT', $reader;
    $k->wait_run($run);
    return $run;
}

fresh();
as('alice', pipeline('alice', 'long', 'long.csv'));
my $run = while_reading('long', 'alice.ds_loaded', q(ALTER SCHEMA mallory RENAME TO away; CREATE SCHEMA mallory; GRANT USAGE ON SCHEMA mallory TO PUBLIC; CREATE VIEW mallory.ds_words AS SELECT code, title FROM away.ds_words WHERE away.quietly('view') = 1; GRANT SELECT ON mallory.ds_words TO alice));
is($k->run_row($run)->{error_code}, '55000', 'a schema that is renamed while rows are read: what has the table\'s name is not taken for it');
is(seen(), '', 'nor evaluated');
as('mallory', 'DROP SCHEMA mallory CASCADE; ALTER SCHEMA away RENAME TO mallory');
is($k->sql("SELECT status FROM kaireon.run_pipeline('long')"), 'success', 'afterwards it runs');
$run = while_reading('long', 'alice.ds_loaded', q(CREATE INDEX ON mallory.ds_words ((mallory.quietly('index'))); CREATE STATISTICS mallory.st ON (mallory.quietly('statistics') || code), title FROM mallory.ds_words));
is($k->run_row($run)->{status}, 'success', 'an index that is made while rows are read');
is(seen(), 'mallory', 'is its owner\'s');

# ---- the same of a target

$k->sql('TRUNCATE alice.ds_loaded');
as('mallory', 'CREATE SCHEMA house; GRANT USAGE, CREATE ON SCHEMA house TO alice');
as('alice', q(SELECT kaireon.create_schema('guest', '[{"name": "n", "dataType": "integer", "isPrimaryKey": true}, {"name": "code"}]', table_schema => 'house');
    CREATE FUNCTION alice.fire() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER t BEFORE INSERT ON house.ds_guest FOR EACH ROW EXECUTE FUNCTION alice.fire();
    SELECT kaireon.create_pipeline('guest', 'alice', 'guest', '[{"id": "r", "type": "source", "config": {"resource": "long.csv"}}, {"id": "t", "type": "target"}]', execution_config => '{"errorHandling": "skip"}')));
$run = while_reading('guest', 'house.ds_guest', q(ALTER SCHEMA house RENAME TO home; CREATE SCHEMA house; GRANT USAGE ON SCHEMA house TO PUBLIC;
    CREATE TABLE house.ds_guest (n int DEFAULT mallory.quietly('default'), code varchar(255), created_at timestamptz, updated_at timestamptz); GRANT INSERT ON house.ds_guest TO PUBLIC;));
is($k->run_row($run)->{error_code}, '55000', 'a target\'s schema that is renamed: what has its name is not loaded');
is($k->sql('SELECT (SELECT count(*) FROM house.ds_guest) + (SELECT count(*) FROM home.ds_guest)'), 0, 'neither is the table');
is(seen(), '', 'and none of its code has run');
as('mallory', 'DROP SCHEMA house CASCADE; ALTER SCHEMA home RENAME TO house');
as('alice', "SELECT kaireon.create_schema('caller', " . $k->json([ { name => 'code', dataType => 'varchar', length => 20, isPrimaryKey => \1 } ]) . ", table_schema => 'alice');"
      . "SELECT kaireon.create_schema('calls', " . $k->json([ { name => 'n', dataType => 'integer', isPrimaryKey => \1 }, { name => 'code', dataType => 'varchar', length => 20 } ])
      . ", table_schema => 'house', schema_type => 'collection', linked_schema => 'caller', join_mapping => '{\"code\": \"code\"}', summary_columns => '[{\"function\": \"count\", \"outputField\": \"calls\"}]');"
      . "SELECT kaireon.create_pipeline('calls', 'alice', 'calls', " . $k->json([ { id => 'r', type => 'source', config => { resource => 'long.csv' } },
            { id => 's', type => 'summarize', config => { collectionSchemaId => 'calls' } }, { id => 't', type => 'target' } ]) . ')');
$run = while_reading('calls', 'house.ds_calls', q(ALTER SCHEMA house RENAME TO home; CREATE SCHEMA house; GRANT USAGE ON SCHEMA house TO PUBLIC; CREATE TABLE house.ds_calls (n int, code text);
    CREATE TABLE house.ds_calls_summary (code text UNIQUE, calls bigint, updated_at timestamptz); GRANT ALL ON ALL TABLES IN SCHEMA house TO PUBLIC; INSERT INTO house.ds_calls VALUES (1, 'x');
    CREATE FUNCTION mallory.fire() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM mallory.note(''summary''); RETURN NEW; END'; CREATE TRIGGER t BEFORE INSERT ON house.ds_calls_summary FOR EACH ROW EXECUTE FUNCTION mallory.fire()));
is($k->run_row($run)->{error_code}, '55000', 'a summary\'s schema that is renamed');
is(seen(), '', 'no trigger of what has its name has fired');

$k->settled('at the end');
ok($k->same_postmaster, 'the server lived through');
done_testing;
