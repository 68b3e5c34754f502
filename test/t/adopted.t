# Loads into tables that were adopted, of every kind, and into tables that
# somebody changed: a run says what is different and loads nothing; it never
# loads into another column.
use strict;
use warnings;
use Kaireon;
use Test::More;

my $k = Kaireon->new('adopted');
my %execution = (target => { validation => 'skip' }, execution => { errorHandling => 'skip', batchSize => 500 });
$k->write_rows('in.csv', 2000, sub { my ($i) = @_; return "$i,n$i," . ($i == 1234 ? 'bad' : $i / 4) . ",x$i" }, 'Id,name,amount,Odd Name');

# load(NAME): a run of that pipeline: "status loaded", or the error that kept it from starting.
sub load
{
    my ($name) = @_;
    my ($code, $out, $err) = $k->node->psql('postgres', "SELECT status, rows_loaded FROM kaireon.run_pipeline('$name')", extra_params => [ '-F', ' ' ]);
    return $out if $code == 0;
    return $err =~ /ERROR:  (.*)/ ? "refused: $1" : $err;
}

# ---- ordinary, with names and columns that create_schema would not make

$k->sql(q(CREATE TABLE plain ("Id" integer PRIMARY KEY, name varchar(10) NOT NULL, amount numeric(10,2), "Odd Name" text, mood inet, twice integer GENERATED ALWAYS AS ("Id" * 2) STORED);
    CREATE TABLE fast ("Id" integer PRIMARY KEY, name text, amount numeric, "Odd Name" text, extra timestamp(3) DEFAULT '2024-01-01');
    CREATE TABLE parts ("Id" integer, name text, amount numeric(10,2), "Odd Name" text) PARTITION BY RANGE ("Id");
    CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (1000); CREATE TABLE parts_2 PARTITION OF parts DEFAULT;
    CREATE TABLE kept ("Id" integer PRIMARY KEY, name text, amount numeric, "Odd Name" text, updated_at timestamptz DEFAULT '2000-01-01')));
for my $name (qw(plain fast parts kept))
{
    $k->sql("SET client_min_messages = warning; SELECT kaireon.adopt_table('$name', '$name'" . ($name eq 'kept' ? ', manage_updated_at => true' : '') . ')');
    $k->make($name, source => { resource => 'in.csv' }, %execution);
    is($k->sql("SELECT count(*) FROM kaireon.validate_pipeline('$name')"), 0, "$name: an adopted table is as the schema says");
    is(load($name), 'partial 1999', "$name: it is loaded");
    is($k->sql(qq(SELECT count(*) FROM $name WHERE name = 'n' || "Id" AND amount = "Id" / 4.0 AND "Odd Name" = 'x' || "Id")),
        $k->sql(q(SELECT count(*) FROM generate_series(1, 2000) AS i WHERE i <> 1234 AND round(i / 4.0, 2) = i / 4.0)), "$name: each value is in its column");
}
is($k->sql('SELECT count(*) FROM parts_1'), 999, 'each row is in its partition');
is($k->sql('SELECT count(DISTINCT xmin::text) FROM fast'), 1, 'a plain table is loaded straight into');
is($k->sql('SELECT count(DISTINCT xmin::text) FROM kept'), 1, 'also when its updated_at is kept');
is($k->sql(q(SELECT count(*) FROM fast WHERE extra = '2024-01-01')), 1999, 'a column of no pipeline takes its default');

# ---- an identity that is always generated: what is loaded is kept, as COPY does

$k->sql('CREATE TABLE counted ("Id" integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text); CREATE TABLE counted_slowly (LIKE counted INCLUDING ALL);'
    . "CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER t BEFORE INSERT ON counted_slowly FOR EACH ROW EXECUTE FUNCTION look()");
$k->write_rows('nameless.csv', 2, sub { return "n$_[0]" }, 'name');
for my $name (qw(counted counted_slowly))
{
    $k->sql("SELECT kaireon.adopt_table('$name', '$name')");
    $k->make($name, source => { resource => 'in.csv' }, %execution);
    is($k->sql("SELECT count(*) FROM kaireon.validate_pipeline('$name')"), 0, "$name: validate_pipeline has nothing against it");
    is(load($name), 'success 2000', "$name: it is loaded");
    is($k->sql(qq(SELECT count(*) FROM $name WHERE name = 'n' || "Id")), 2000, "$name: with the values of the file");
    $k->sql("TRUNCATE $name");
    $k->make("nameless_$name", schema => $name, source => { resource => 'nameless.csv' });
    is(load("nameless_$name"), 'success 2', "$name: a file without the column");
    is($k->sql(qq(SELECT string_agg("Id"::text, ' ' ORDER BY "Id") FROM $name)), '1 2', "$name: has it counted");
}

# ---- with rules

$k->sql('CREATE TABLE ruled ("Id" integer, name text); CREATE TABLE other ("Id" integer, name text); SELECT kaireon.adopt_table(\'ruled\', \'ruled\')');
$k->make('ruled', source => { resource => 'in.csv' }, %execution);
for my $case ([ 'ON INSERT TO ruled DO INSTEAD NOTHING', 1 ], [ 'ON INSERT TO ruled DO INSTEAD INSERT INTO other VALUES (NEW.*)', 1 ], [ 'ON INSERT TO ruled DO ALSO NOTIFY x', 1 ],
    [ 'ON INSERT TO ruled WHERE NEW."Id" > 1 DO INSTEAD NOTHING', 1 ], [ 'ON UPDATE TO ruled DO INSTEAD NOTHING', 0 ])
{
    my ($rule, $refused) = @$case;
    $k->sql("CREATE OR REPLACE RULE r AS $rule");
    is($k->sql("SELECT message FROM kaireon.validate_pipeline('ruled')"), $refused ? 'table "ruled" has rules, which a pipeline can\'t load through (Drop those for INSERT, or use a trigger.)' : '', "validate_pipeline: $rule");
    my $run = $k->run('ruled');
    like("$run->{status} $run->{error_message}", $refused ? qr/^failed node "\w+": table "ruled" has rules, which a pipeline can't load through$/ : qr/^success $/, 'a run says the same');
    is($k->sql('SELECT (SELECT count(*) FROM ruled) + (SELECT count(*) FROM other)'), $refused ? 0 : 2000, 'and loads nothing where it can not');
    $k->sql('DROP RULE r ON ruled');
}

# ---- foreign

SKIP:
{
    skip 'postgres_fdw is not installed', 2 if $k->sql(q(SELECT count(*) FROM pg_available_extensions WHERE name = 'postgres_fdw')) == 0;
    my ($host, $port) = ($k->node->host, $k->node->port);
    $k->sql(qq(CREATE EXTENSION postgres_fdw; CREATE SERVER self FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '$host', port '$port', dbname 'postgres');
        CREATE USER MAPPING FOR CURRENT_USER SERVER self; CREATE TABLE behind ("Id" integer, name text, amount numeric, "Odd Name" text);
        CREATE FOREIGN TABLE far ("Id" integer, name text, amount numeric, "Odd Name" text) SERVER self OPTIONS (table_name 'behind');
        SELECT kaireon.adopt_table('far', 'far')));
    $k->make('far', source => { resource => 'in.csv' }, %execution);
    is(load('far'), 'partial 1999', 'a foreign table is loaded');
    is($k->sql('SELECT count(*) FROM behind'), 1999, 'where it is');
}

# ---- changed behind kaireon's back

my @fields = ({ name => 'id', dataType => 'integer', isPrimaryKey => \1 }, { name => 'name', dataType => 'text' }, { name => 'amount', dataType => 'text' });
$k->write_rows('plain.csv', 10, sub { return "$_[0],n$_[0],a$_[0]" }, 'id,name,amount');
$k->make('drift', fields => \@fields, source => { resource => 'plain.csv' });
is(load('drift'), 'success 10', 'as it was made');
for my $case (
    [ 'ALTER TABLE ds_drift RENAME name TO label', qr/^refused: field "name" of the schema is not in its table: its column is called "label" now/ ],
    [ 'ALTER TABLE ds_drift RENAME name TO x; ALTER TABLE ds_drift RENAME amount TO name; ALTER TABLE ds_drift RENAME x TO amount',
        qr/^refused: field "name" of the schema is not in its table: its column is called "amount" now/ ],
    [ 'ALTER TABLE ds_drift DROP COLUMN name', qr/^refused: field "name" of the schema is not in its table$/ ],
    [ 'ALTER TABLE ds_drift DROP COLUMN name, ADD COLUMN name text', qr/^success 10$/ ],
    [ 'ALTER TABLE ds_drift ALTER name TYPE varchar(20)', qr/^success 10$/ ],
    [ 'ALTER TABLE ds_drift DROP CONSTRAINT ds_drift_pkey', qr/^success 10$/ ],
    [ 'DROP TABLE ds_drift', qr/^refused: the schema's table public\.ds_drift does not exist$/ ],
    [ 'DROP TABLE ds_drift; CREATE TABLE ds_drift (id integer, name text, amount text)', qr/^refused: the schema's table was dropped, and public\.ds_drift is another one now$/ ])
{
    my ($change, $answer) = @$case;
    $k->sql('DROP TABLE IF EXISTS ds_drift; SET client_min_messages = warning; SELECT kaireon.delete_pipeline(\'drift\'), kaireon.delete_schema(\'drift\')');
    $k->make('drift', fields => \@fields, source => { resource => 'plain.csv' });
    $k->sql($change);
    like(load('drift'), $answer, $change);
    $k->sql(q(TRUNCATE ds_drift)) if $change !~ /^DROP TABLE ds_drift$/;
    if ($change !~ /^DROP TABLE ds_drift$/)
    {
        $k->sql(q(SELECT kaireon.refresh_schema('drift')));
        is($k->sql(q(SELECT count(*) FROM kaireon.validate_pipeline('drift'))), 0, 'refreshed: nothing is different');
        is(load('drift'), 'success 10', 'refreshed: it is loaded');
    }
}

# A change between the compilation of a run and its load.
$k->sql(q(DROP TABLE ds_drift; SELECT kaireon.delete_pipeline('drift'), kaireon.delete_schema('drift')));
$k->make('drift', fields => \@fields, source => { resource => 'plain.csv' });
my $holder = $k->session;
$holder->query('BEGIN; LOCK TABLE ds_drift IN ACCESS EXCLUSIVE MODE');
my $run = $k->start('drift');
$k->poll('the run to wait for the table', q(SELECT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'kaireon run' AND wait_event_type = 'Lock')));
my $changer = $k->session;
$changer->query(q(SET kaireon.ddl_lock_timeout = '50ms'; SELECT kaireon.alter_field('drift', 'name', '{"name": "label"}')));
like($changer->err, qr/ERROR:  55006: schema "drift" is being loaded\nDETAIL:  Pipelines with a run: "drift"\./, 'while a run is under way its schema is not changed');
$changer->query(q(SELECT kaireon.delete_schema('drift', cascade => true)));
like($changer->err, qr/ERROR:  2BP01: schema "drift" is in use/, 'nor deleted');
$holder->query('ALTER TABLE ds_drift RENAME name TO label; COMMIT');
is($k->wait_run($run), 'failed', 'a table that is changed by hand in that moment fails the run');
like($k->run_row($run)->{error_message}, qr/field "name" of the schema is not in its table: its column is called "label" now/, 'which says why');
$_->close for $holder, $changer;

$k->settled('at the end');
ok($k->same_postmaster, 'the server lived through');
done_testing;
