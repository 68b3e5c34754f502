# Bad rows of tables that are loaded by INSERT ... SELECT: whatever refuses a
# row, its neighbours are loaded, in the source's order, and the run's
# transaction keeps the IDs of only a few subtransactions, since more than 64 of
# one transaction slow down all sessions.
use strict;
use warnings;
use Kaireon;
use Test::More;

my $k = Kaireon->new('load_rejects');
my $version = $k->sql('SHOW server_version_num');
my @dlq = (execution => { errorHandling => 'dlq', batchSize => 1000 });
my @fields = ({ name => 'id', dataType => 'integer', isPrimaryKey => \1 }, { name => 'name', dataType => 'varchar' }, { name => 'amount', dataType => 'integer' });

# letters(PIPELINE): line, SQLSTATE, constraint, column and key of each dead letter.
sub letters
{
    my ($name) = @_;
    return $k->sql("SELECT string_agg(concat_ws('|', line, sqlstate, coalesce(constraint_name, '-'), coalesce(field, '-'), record ->> 'id'), E'\\n' ORDER BY line) "
          . "FROM kaireon.dead_letters WHERE pipeline = '$name'");
}

# in_order(NAME): are the rows of the table where the source has them?
sub in_order
{
    my ($name) = @_;
    return $k->sql("SELECT bool_and(ascending) FROM (SELECT id > coalesce(lag(id) OVER (ORDER BY ctid), -1) AS ascending FROM ds_$name) AS s");
}

# ids(NAME): how many subtransactions wrote what the table has.
sub ids { return $k->sql("SELECT count(DISTINCT xmin::text) FROM ds_$_[0]"); }

# ---- everything that can refuse a row

$k->sql(q(CREATE ROLE loader LOGIN; GRANT kaireon_admin TO loader; GRANT CREATE, USAGE ON SCHEMA public TO loader;
    CREATE TABLE known (id int PRIMARY KEY); INSERT INTO known SELECT generate_series(0, 9999); GRANT REFERENCES, SELECT ON known TO loader;
    CREATE DOMAIN small AS int CONSTRAINT is_small CHECK (VALUE < 5000)));
my @kinds = (
    [ 'taken', 1, 'unique', '23505|ds_kinds_pkey|-' ],
    [ 'kin', 20000, 'foreign key', '23503|kin|-' ],
    [ 'check', -1, 'check', '23514|positive|-' ],
    [ 'twin', 1, 'exclusion', '23P01|twins|-' ],
    [ 'null', 1, 'not null', '23502|-|told' ],
    [ 'domain', 6000, 'domain', '23514|is_small|-' ],
    [ 'raise', 1, 'an error of a trigger', 'KX001|-|name' ],
    [ 'policy', 1, 'row-level security', '42501|-|-' ],
    [ 'computed', 0, 'a generated column', '22012|-|-' ],
    [ 'long', 1, 'an index row that is too long', '54000|-|-' ],
    [ 'overflow', 1, 'a number that is too large for its column', '22003|-|-' ]);
my ($line, @rows, @letters, @good) = (1);
for my $kind (@kinds)
{
    my ($name, $amount, undef, $what) = @$kind;
    my $id = scalar @rows;
    push @rows, "$id,good $id,7";
    push @good, $id++;
    push @rows, ($name eq 'taken' ? 0 : $id) . ",$name,$amount";
    push @letters, join '|', scalar @rows + 1, $what, $name eq 'taken' ? 0 : $id;
}
push @rows, scalar(@rows) . ',last,7';
push @good, $#rows;
$k->write_file('kinds.csv', join("\n", 'id,name,amount', @rows) . "\n");
my $as_loader = 'SET SESSION AUTHORIZATION loader; SET search_path = public;';
$k->sql("$as_loader SELECT kaireon.create_connector('hers', 'local_fs', " . $k->json({ basePath => $k->files }) . ');'
      . "SELECT kaireon.create_schema('kinds', " . $k->json(\@fields) . ');'
      . "SELECT kaireon.create_pipeline('kinds', 'hers', 'kinds', " . $k->json([ { id => 's', type => 'source', config => { resource => 'kinds.csv' } }, { id => 't', type => 'target' } ])
      . q~, execution_config => '{"errorHandling": "dlq"}'); ALTER TABLE ds_kinds ADD CONSTRAINT kin FOREIGN KEY (amount) REFERENCES known,
        ADD CONSTRAINT positive CHECK (amount >= 0), ADD twin text, ADD CONSTRAINT twins EXCLUDE USING btree (twin WITH =), ADD told text NOT NULL DEFAULT 'x', ADD little small,
        ADD share int GENERATED ALWAYS AS (100 / amount) STORED, ADD long text, ADD tiny numeric(3, 1);
    CREATE INDEX ON ds_kinds (long);
    CREATE FUNCTION change() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
        NEW.told := CASE NEW.name WHEN 'null' THEN NULL ELSE 'x' END;
        NEW.twin := CASE NEW.name WHEN 'twin' THEN 'good 0' ELSE NEW.name END;
        NEW.little := NEW.amount % 20000;
        IF NEW.name = 'long' THEN NEW.long := (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 300) AS i); END IF;
        IF NEW.name = 'overflow' THEN NEW.tiny := 1000; END IF;
        IF NEW.name = 'raise' THEN RAISE 'no' USING ERRCODE = 'KX001', COLUMN = 'name'; END IF;
        RETURN NEW; END$$;
    CREATE TRIGGER change BEFORE INSERT ON ds_kinds FOR EACH ROW EXECUTE FUNCTION change();
    ALTER TABLE ds_kinds ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
    CREATE POLICY allowed ON ds_kinds USING (true) WITH CHECK (name <> 'policy')~);
my $run = $k->run('kinds');
is("$run->{status} $run->{rows_loaded} $run->{rows_skipped}", 'partial ' . @good . ' ' . @kinds, 'everything that can refuse a row') or diag($run->{error_message});
my @found = split /\n/, letters('kinds') // '';
is($found[$_], $letters[$_], $kinds[$_][2]) for 0 .. $#kinds;
is($k->sql('SELECT string_agg(id::text, $$ $$ ORDER BY ctid) FROM ds_kinds'), "@good", 'the neighbours are loaded, in order');

# ---- rows that depend on others of the same file

# Row 2000 is bad, and so are the rows that name it; the others name the nearest good row halfway; every fifth good row is there twice.
$k->make('family', fields => \@fields, source => { resource => 'family.csv' }, @dlq);
$k->sql(q(ALTER TABLE ds_family ADD FOREIGN KEY (amount) REFERENCES ds_family;
    CREATE FUNCTION no_boom() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN IF NEW.name = 'boom' THEN RAISE 'boom'; END IF; RETURN NEW; END$$;
    CREATE TRIGGER no_boom BEFORE INSERT ON ds_family FOR EACH ROW EXECUTE FUNCTION no_boom()));
my (@family, %bad);
for my $i (0 .. 7999)
{
    my $boom = $i == 2000 || $i % 500 == 77;
    my $orphan = $i > 3000 && $i % 1000 == 3;
    my $parent = $orphan ? 2000 : int($i / 2);
    $parent = int($parent / 2) while $bad{$parent} && !$orphan;
    push @family, "$i," . ($boom ? 'boom' : "name $i") . ",$parent";
    $bad{$i} = 1 if $boom || $orphan;
    push @family, "$i,again,0" if $i % 5 == 0 && !$bad{$i};
}
$k->write_file('family.csv', join("\n", 'id,name,amount', @family) . "\n");
$run = $k->run('family');
my $good = 8000 - keys %bad;
is("$run->{status} $run->{rows_loaded} $run->{rows_skipped}", "partial $good " . (@family - $good), 'rows that depend on others of the file') or diag($run->{error_message});
is($k->sql('SELECT count(*) FROM ds_family WHERE name = $$again$$'), 0, 'of two with one key the first is loaded');
is($k->sql('SELECT string_agg(id::text, $$ $$ ORDER BY id) FROM generate_series(0, 7999) AS g(id) WHERE NOT EXISTS (SELECT FROM ds_family AS f WHERE f.id = g.id)'),
    join(' ', sort { $a <=> $b } keys %bad), 'none is refused for a neighbour');
is(in_order('family'), 't', 'in order');

# ---- many rows

# A hundredth of the rows is bad.
$k->write_rows('many.csv', 200_000, sub { my ($i) = @_; return "$i,name $i," . ($i % 100 == 37 ? -1 : $i % 1000) }, 'id,name,amount');
$k->make($_, fields => \@fields, source => { resource => 'many.csv' }, execution => { errorHandling => 'skip', batchSize => 1000 }) for qw(fires refers);
$k->sql(q(CREATE FUNCTION positive() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN IF NEW.amount < 0 THEN RAISE 'negative'; END IF; RETURN NEW; END$$;
    CREATE TRIGGER positive BEFORE INSERT ON ds_fires FOR EACH ROW EXECUTE FUNCTION positive();
    ALTER TABLE ds_refers ADD FOREIGN KEY (amount) REFERENCES known));
for my $name (qw(fires refers))
{
    my $id = $k->start($name);
    my $overflowed = 0;
    $k->poll("the run of $name", sub {
        $overflowed ||= $k->sql("SELECT count(*) FROM pg_stat_get_backend_idset() AS b, pg_stat_get_backend_subxact(b) AS s WHERE s.subxact_overflowed") if $version >= 160000;
        return $k->sql("SELECT status FROM kaireon.runs WHERE run_id = '$id'") !~ /queued|running/;
    });
    $run = $k->run_row($id);
    is("$run->{status} $run->{rows_loaded} $run->{rows_skipped}", 'partial 198000 2000', "many rows, $name: loaded") or diag($run->{error_message});
    cmp_ok(ids($name), '<', 64, "many rows, $name: by a few subtransactions");
    is($overflowed, 0, "many rows, $name: there were never more");
    is(in_order($name), 't', "many rows, $name: in order");
    is($k->sql("SELECT count(*) FROM ds_$name WHERE amount < 0 OR id % 100 = 37"), 0, "many rows, $name: none that is bad");
}

# ---- what is not the same the second time

# Whether a row is refused depends on how often the trigger was called; a sequence is not undone.
$k->make('dice', fields => \@fields, source => { resource => 'dice.csv' }, @dlq);
$k->write_rows('dice.csv', 5000, sub { "$_[0],name,1" }, 'id,name,amount');
$k->sql(q(CREATE SEQUENCE throws; CREATE FUNCTION dice() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
        IF nextval('throws') % 97 = 0 THEN RAISE 'bad luck'; END IF; RETURN NEW; END$$;
    CREATE TRIGGER dice BEFORE INSERT ON ds_dice FOR EACH ROW EXECUTE FUNCTION dice()));
$run = $k->run('dice');
is($run->{status}, 'partial', 'a trigger that throws dice') or diag($run->{error_message});
is($k->sql(q(SELECT count(*) || ' ' || count(DISTINCT id) FROM (SELECT id FROM ds_dice UNION ALL SELECT (record ->> 'id')::int FROM kaireon.dead_letters WHERE pipeline = 'dice') AS u)),
    '5000 5000', 'each row is in the table or among the dead letters');
is("$run->{rows_loaded} $run->{rows_skipped}", $k->sql(q(SELECT (SELECT count(*) FROM ds_dice) || ' ' || (SELECT count(*) FROM kaireon.dead_letters WHERE pipeline = 'dice'))), 'and counted there');

# ---- upserts

my @upsert = (target => { loadingStrategy => 'upsert' }, execution => { errorHandling => 'skip', batchSize => 1000 });
$k->make('upserts', fields => \@fields, source => { resource => 'many.csv' }, @upsert);
$k->sql('CREATE TRIGGER positive BEFORE INSERT ON ds_upserts FOR EACH ROW EXECUTE FUNCTION positive()');
$run = $k->run('upserts');
is("$run->{status} $run->{rows_loaded} $run->{rows_skipped}", 'partial 198000 2000', 'upsert, many rows: loaded') or diag($run->{error_message});
cmp_ok(ids('upserts'), '<', 64, 'upsert, many rows: by a few subtransactions');
is(in_order('upserts'), 't', 'upsert, many rows: in order');

# Each key comes twice; of each tenth the last row is bad, of each hundredth both are.
$k->make('twins', fields => \@fields, source => { resource => 'twins.csv' }, @upsert);
$k->sql('CREATE TRIGGER no_boom BEFORE INSERT ON ds_twins FOR EACH ROW EXECUTE FUNCTION no_boom()');
$k->write_rows('twins.csv', 8000, sub {
    my $id = int(($_[0] + 1) / 2);
    return "$id," . ($id % 100 == 0 || $_[0] % 2 == 0 && $id % 10 == 0 ? 'boom' : $_[0] % 2 ? 'first' : 'last') . ',1';
}, 'id,name,amount');
$run = $k->run('twins');
is("$run->{status} $run->{rows_loaded} $run->{rows_merged} $run->{rows_skipped}", 'partial 3960 3600 440', 'upsert: keys that come twice') or diag($run->{error_message});
is($k->sql('SELECT string_agg(name || $$ $$ || n, $$ $$ ORDER BY name) FROM (SELECT name, count(*) AS n FROM ds_twins GROUP BY name) AS g'), 'first 360 last 3600',
    'where the last row of a key is bad, the one before stands for it');
$k->sql('TRUNCATE ds_twins; DROP TRIGGER no_boom ON ds_twins; CREATE TRIGGER dice BEFORE INSERT ON ds_twins FOR EACH ROW EXECUTE FUNCTION dice()');
$run = $k->run('twins');
is("$run->{status} " . $k->count_identity($run->{run_id}), 'partial t', 'upsert: a trigger that throws dice') or diag($run->{error_message});
is($run->{rows_loaded}, $k->sql('SELECT count(*) FROM ds_twins'), 'upsert: what counts as loaded is there');

# ---- rows that stop the run

$k->make('stops', fields => \@fields, source => { resource => 'stops.csv' }, execution => { errorHandling => 'fail' });
$k->sql('CREATE TRIGGER positive BEFORE INSERT ON ds_stops FOR EACH ROW EXECUTE FUNCTION positive()');
$k->write_rows('stops.csv', 9000, sub { "$_[0],name," . ($_[0] == 5000 || $_[0] == 7000 ? -1 : 1) }, 'id,name,amount');
$run = $k->run('stops');
is("$run->{status} $run->{error_code}", 'failed P0001', 'errorHandling fail');
like($k->run_row($run->{run_id})->{error_detail}, qr/line 5001\b/, 'says which is the first bad row');
is($k->sql('SELECT count(*) FROM ds_stops'), 0, 'and loads nothing');
$k->sql(q[SELECT kaireon.update_pipeline('stops', execution_config => '{"errorHandling": "skip", "batchSize": 300}')]);
$k->write_rows('stops.csv', 9000, sub { "$_[0],name," . ($_[0] <= 1500 ? -1 : 1) }, 'id,name,amount');
$run = $k->run('stops');
is("$run->{status} $run->{error_code}", 'failed KA006', 'when the first 1,000 rows are all bad the run ends, however small its batches');

# ---- the watermark, and records behind nodes that need all rows

$k->make('marked', fields => \@fields, source => { resource => 'marked.csv' }, target => { loadingStrategy => 'incremental_watermark', watermarkField => 'id' }, execution => { errorHandling => 'skip' });
$k->sql('CREATE TRIGGER no_boom BEFORE INSERT ON ds_marked FOR EACH ROW EXECUTE FUNCTION no_boom()');
$k->write_rows('marked.csv', 3000, sub { "$_[0]," . ($_[0] == 3000 || $_[0] == 10 ? 'boom' : 'name') . ',1' }, 'id,name,amount');
$run = $k->run('marked');
is("$run->{status} $run->{rows_loaded}", 'partial 2998', 'a watermark');
is($k->sql(q(SELECT mark FROM kaireon.source_state WHERE pipeline = 'marked' AND kind = 'watermark')), 2999, 'is that of the rows that were loaded');

$k->make_schema('sums', 'name', 'total integer');
$k->sql(q(CREATE FUNCTION at_most() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN IF NEW.total > 20 THEN RAISE 'too much'; END IF; RETURN NEW; END$$;
    CREATE TRIGGER at_most BEFORE INSERT ON ds_sums FOR EACH ROW EXECUTE FUNCTION at_most()));
$k->write_file('sums.csv', "name,amount\na,5\nb,15\nb,16\nc,7\n");
$k->make_graph('sums', 'sums', [ [ 'read', 'source', { resource => 'sums.csv' } ],
        [ 'sum', 'aggregate', { groupByFields => ['name'], aggregations => [ { field => 'amount', function => 'sum', alias => 'total' } ] } ], [ 'load', 'target' ] ],
    [ 'read>sum', 'sum>load' ], { errorHandling => 'dlq' });
$run = $k->run('sums');
is($k->sql(q(SELECT kind || ' ' || record FROM kaireon.dead_letters WHERE pipeline = 'sums')), 'row {"name": "b", "total": "31"}', 'behind a node that makes rows of rows: the row that it made');

$k->settled('at the end');
ok($k->same_postmaster, 'the server lived through');
done_testing;
