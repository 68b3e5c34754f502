# Loading strategies that replace a table's rows: bad rows are what they are
# under append, nothing to load is refused, and tables whose storage can't be
# exchanged take another way, or are refused.
use strict;
use warnings;
use Kaireon;
use Test::More;

my $k = Kaireon->new('replace_ways', conf => "wal_level = logical\nmax_wal_senders = 4\nmax_replication_slots = 4\nautovacuum = off\n");
my %full = map { $_ => 1 } qw(truncate_and_load blue_green);

sub filenode { return $k->sql("SELECT pg_relation_filenode('$_[0]')"); }
sub warnings_of { return join '; ', map { $_->{reason} } $k->errors($_[0]->{run_id}); }

# make_each(SCHEMA, FILE, {target}, {execution}): a pipeline of each strategy.
sub make_each
{
    my ($schema, $file, $target, $execution) = @_;
    for my $strategy ('append', sort keys %full)
    {
        $k->make("${schema}_$strategy", schema => $schema, source => { resource => $file }, execution => $execution || {},
            target => { validation => 'skip', loadingStrategy => $strategy, %{ $full{$strategy} ? $target || {} : {} } });
    }
    return;
}

# ---- bad rows

$k->sql(q{
    CREATE TABLE parents (a integer, b text, PRIMARY KEY (a, b)); INSERT INTO parents SELECT n, 'p' FROM generate_series(1, 5) n;
    CREATE TABLE small (id integer PRIMARY KEY, code text UNIQUE NULLS NOT DISTINCT, name varchar(5) NOT NULL, amount numeric(6,2) CHECK (amount > 0),
        a integer, b text, FOREIGN KEY (a, b) REFERENCES parents MATCH FULL);
    CREATE INDEX ON small (amount);
    SELECT kaireon.adopt_table('small', 'public.small');
});
$k->write_csv('small.csv', [ qw(id code name amount a b) ],
    [ 1, 'c1', 'one', 1, 1, 'p' ], [ 2, 'c2', 'two', 2, undef, undef ], [ 1, 'c3', 'again', 3, 2, 'p' ], [ 3, 'c2', 'code', 3, 2, 'p' ],
    [ 4, 'c4', 'toolong', 4, 2, 'p' ], [ 5, 'c5', undef, 5, 2, 'p' ], [ 'six', 'c6', 'six', 6, 2, 'p' ], [ 7, 'c7', 'seven', -7, 2, 'p' ],
    [ 8, 'c8', 'eight', 8, 9, 'p' ], [ 9, 'c9', 'nine', 9, 3, undef ], [ 10, undef, 'ten', 10, 5, 'p' ], [ 11, undef, 'elev', 123456, 5, 'p' ],
    [ 12, 'c12', 'last', 12, 4, 'p' ]);
make_each('small', 'small.csv', {}, { errorHandling => 'dlq' });
my (%said, %letters);
# Of a table with foreign keys append loads by INSERT, and tells of a unique key in PostgreSQL's words, without its field.
sub plainly { return $_[0] =~ s/Key (\(\w+\)=\(\w+\)) already exists\./$1/gr =~ s/\|(?:id|code)\|23505/||23505/gr =~ s/\|(?:id|code)\|small_/|small_/gr; }
for my $strategy ('append', sort keys %full)
{
    my ($run, $node) = ($k->run("small_$strategy"), filenode('small'));

    is("$run->{status} $run->{rows_read} $run->{rows_loaded} $run->{rows_skipped}", 'partial 13 4 9', "$strategy: bad rows are left out") or diag(explain $run);
    $said{$strategy} = join "\n", sort map { join '|', map { $_ // '' } @$_{qw(node_id line field sqlstate reason value severity)} } $k->errors($run->{run_id});
    $letters{$strategy} = $k->sql("SELECT string_agg(concat_ws('|', line, field, constraint_name, sqlstate, reason, record), E'\\n' ORDER BY line) FROM kaireon.dead_letters WHERE pipeline = 'small_$strategy'");
    is($k->sql('SELECT string_agg(id::text, $$,$$ ORDER BY id) FROM small'), '1,2,10,12', "$strategy: the others are there");
    $k->sql('TRUNCATE small') if $strategy eq 'append';
    next unless $full{$strategy};
    is(plainly($said{$strategy}), plainly($said{append}), "$strategy: run_errors says what it says under append");
    is(plainly($letters{$strategy}), plainly($letters{append}), "$strategy: dead letters are the same");
    $run = $k->run("small_$strategy");
    is("$run->{status} $run->{rows_loaded}", 'partial 4', "$strategy: again");
    is($k->sql('SELECT count(*) FROM small'), 4, "$strategy: it replaces, and adds nothing");
}
$k->sql("SELECT kaireon.edit_dead_letter(id, '{\"name\": \"four\"}') FROM kaireon.dead_letters WHERE pipeline = 'small_blue_green' AND line = 6");
my $replay = ($k->rows("SELECT * FROM kaireon.replay_dead_letters('small_blue_green', '{\"sqlstate\": \"22001\"}')"))[0];
is("$replay->{loading_strategy} $replay->{rows_loaded}", 'append 1', 'a replay appends');
cmp_ok($k->sql('SELECT count(*) FROM small'), '>', 4, 'a replay of dead letters replaces nothing');

$k->write_csv('small.csv', [ qw(id code name amount a b) ], [ 1, 'x', 'one', 1, 1, 'p' ], [ 1, 'y', 'two', 2, 1, 'p' ]);
$k->make('small_fail', schema => 'small', source => { resource => 'small.csv' }, target => { loadingStrategy => 'blue_green' });
my ($before, $node) = ($k->sql('SELECT count(*) FROM small'), filenode('small'));
my $run = $k->run('small_fail');
is("$run->{status} $run->{error_code}", 'failed 23505', 'a row that stops the run');
is($k->sql('SELECT count(*) FROM small') . filenode('small'), $before . $node, 'leaves the table as it is');

# ---- nothing to load

$k->write_csv('small.csv', [ qw(id code name amount a b) ]);
for my $strategy (sort keys %full)
{
    my $run = $k->run("small_$strategy");
    is("$run->{status} $run->{error_code}", 'failed KA014', "$strategy: an empty source is refused");
    is($k->sql('SELECT count(*) FROM small'), $before, "$strategy: and the table as it was");
}
$k->write_csv('small.csv', [ qw(id code name amount a b) ], [ 1, 'x', 'much too long', 1, 1, 'p' ]);
is($k->run('small_blue_green')->{error_code}, 'KA014', 'nothing but bad rows is nothing');
$k->write_csv('small.csv', [ qw(id code name amount a b) ]);
$k->make('small_allowed', schema => 'small', source => { resource => 'small.csv' }, target => { loadingStrategy => 'truncate_and_load', allowEmptySource => \1 });
is($k->run('small_allowed')->{status} . $k->sql('SELECT count(*) FROM small'), 'success0', 'allowEmptySource empties the table');

# ---- others refer to it

$k->sql(q{
    CREATE TABLE heads (id integer PRIMARY KEY, name text); CREATE TABLE lines (head integer REFERENCES heads, n integer);
    SELECT kaireon.adopt_table('heads', 'public.heads'); SELECT kaireon.adopt_table('lines', 'public.lines');
    INSERT INTO heads SELECT n, 'old' FROM generate_series(1, 3) n; INSERT INTO lines VALUES (2, 1), (NULL, 2)});
$k->write_csv('heads.csv', [ 'id', 'name' ], map { [ $_, 'new' ] } 1, 3);
$k->make('heads', schema => 'heads', source => { resource => 'heads.csv' }, target => { loadingStrategy => 'blue_green' });
$run = $k->run('heads');
is("$run->{status} $run->{error_code} $run->{error_detail}", 'failed 23503 Key (head)=(2) would not be present in table "heads".', 'a key that others refer to must be among the new rows');
is($k->sql('SELECT string_agg(name, $$,$$) FROM heads'), 'old,old,old', 'and nothing was loaded');
$k->write_csv('heads.csv', [ 'id', 'name' ], map { [ $_, 'new' ] } 2, 3, 4);
is($k->run('heads')->{status}, 'success', 'it is');
is($k->sql('SELECT string_agg(id || name, $$,$$) FROM heads'), '2new,3new,4new', 'and they are the new ones');

# Both at once, each of which alone would break the key.
$k->write_csv('heads.csv', [ 'id', 'name', 'head', 'n', 'kind' ], [ 7, 'seven', '', '', 'head' ], [ '', '', 7, 1, 'line' ]);
$k->make_graph('both', 'heads',
    [ [ 'read', 'source', { resource => 'heads.csv' } ], [ 'which', 'branch', { routes => [ { label => 'head', field => 'kind', operator => '=', value => 'head' } ] } ],
      [ 'heads', 'target', { loadingStrategy => 'truncate_and_load' } ], [ 'lines', 'target', { schema => 'lines', loadingStrategy => 'truncate_and_load' } ] ],
    [ 'read>which', 'which>heads:head', 'which>lines:otherwise' ]);
$run = $k->run('both');
is("$run->{status} $run->{rows_loaded}", 'success 2', 'tables that refer to each other are replaced together') or diag(explain $run, $k->errors($run->{run_id}));
is($k->sql('SELECT count(*) FROM heads JOIN lines ON lines.head = heads.id'), 1, 'and hold');
like($k->sql_error('INSERT INTO lines VALUES (2, 1)'), qr/lines_head_fkey/, 'the foreign key is there');

# ---- tables whose storage is not exchanged

sub check_way
{
    my ($what, $sql, $reason, $columns) = @_;
    my $drop = $k->sql('SELECT count(*) FROM kaireon.schemas WHERE name = $$odd$$');

    $k->sql("SELECT kaireon.delete_pipeline('odd_' || s) FROM unnest('{append,truncate_and_load,blue_green}'::text[]) s; SELECT kaireon.delete_schema('odd')") if $drop;
    $k->sql('DROP TABLE IF EXISTS odd');
    $k->sql("$sql; INSERT INTO odd (id, name) SELECT n, 'old' FROM generate_series(1, 10) n; SELECT kaireon.adopt_table('odd', 'public.odd')");
    $k->write_csv('odd.csv', [ 'id', 'name' ], [ 5, 'new' ], [ 60, 'new' ], [ 60, 'twice' ]);
    make_each('odd', 'odd.csv', {}, { errorHandling => 'skip' });
    for my $strategy (sort keys %full)
    {
        my $run = $k->run("odd_$strategy");
        my $by = $strategy eq 'blue_green' && $reason !~ /publication/ ? 'DELETE' : 'TRUNCATE';

        is("$run->{status} " . $k->sql('SELECT string_agg(id || name, $$,$$ ORDER BY id) FROM odd'), ($run->{rows_skipped} ? 'partial' : 'success') . ' 5new,60new', "$what, $strategy: the new rows")
          or diag(explain $run, $k->errors($run->{run_id}));
        like(warnings_of($run), qr/^table "odd" was emptied by $by and filled, not exchanged for a new one: $reason/, "$what, $strategy: why") if $reason;
        is(warnings_of($run) =~ /emptied/ ? 1 : 0, $reason ? 1 : 0, "$what, $strategy: how");
    }
    return;
}

check_way('unlogged', 'CREATE UNLOGGED TABLE odd (id integer PRIMARY KEY, name text)', '');
check_way('parent', 'DROP TABLE IF EXISTS odd_child; CREATE TABLE odd (id integer PRIMARY KEY, name text); CREATE TABLE odd_child () INHERITS (odd)', '');
$k->sql(q{INSERT INTO odd_child VALUES (5, 'child')});
is($k->run('odd_blue_green')->{status} . $k->sql(q{SELECT count(*) || min(name) FROM odd_child}), 'partial1child', 'parent: rows of tables that inherit from it stay');
$k->sql('DROP TABLE odd CASCADE');
check_way('partitioned', 'CREATE TABLE odd (id integer PRIMARY KEY, name text) PARTITION BY RANGE (id); CREATE TABLE odd1 PARTITION OF odd FOR VALUES FROM (0) TO (50); CREATE TABLE odd2 PARTITION OF odd DEFAULT', 'it is partitioned');
check_way('trigger', 'CREATE TABLE odd (id integer PRIMARY KEY, name text); CREATE OR REPLACE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$; CREATE TRIGGER t BEFORE INSERT ON odd FOR EACH ROW EXECUTE FUNCTION nothing()', 'it has a trigger on INSERT');
check_way('generated', 'CREATE TABLE odd (id integer PRIMARY KEY, name text, length integer GENERATED ALWAYS AS (length(name)) STORED)', 'it has generated columns');
check_way('expression', 'CREATE TABLE odd (id integer PRIMARY KEY, name text); CREATE INDEX ON odd (lower(name))', 'it has an index on an expression');
check_way('deferrable', 'CREATE TABLE odd (id integer PRIMARY KEY, name text, UNIQUE (id, name) DEFERRABLE)', 'it has a deferrable unique constraint');
check_way('exclusion', 'CREATE TABLE odd (id integer PRIMARY KEY, name text, EXCLUDE USING btree (id WITH =))', 'it has an exclusion constraint');
check_way('to itself', 'CREATE TABLE odd (id integer PRIMARY KEY, name text, boss integer REFERENCES odd)', 'it has a foreign key to itself');
$k->write_csv('odd.csv', [ 'id', 'name' ], map { [ 'x', 'bad' ] } 1 .. 1500);
$run = $k->run('odd_blue_green');
like("$run->{error_code} $run->{error_detail}", qr/^KA006 Node "load": invalid input syntax for type integer: "x". File "odd\.csv", line 2,/, 'when all rows are bad, the first of them is told, not how the table was emptied') or diag explain $run;
$k->sql('CREATE TABLE of_odd (id integer REFERENCES odd)');
$run = $k->run('odd_blue_green');
is("$run->{status} $run->{error_code} $run->{error_detail}", 'failed 0A000 Table "of_odd" refers to it, and it would have to be emptied first: it has a foreign key to itself.', 'one that others refer to is refused');
is($k->sql("SELECT code, message FROM kaireon.validate_pipeline('odd_blue_green')"),
    q(referred_to|the rows of table odd can't be replaced as a whole: table of_odd refers to it, and it would have to be emptied first, because it has a foreign key to itself (Drop the foreign key, or load with another strategy.)), 'and validate_pipeline says so before');
$k->sql('DROP TABLE of_odd');

# ---- a collection's summary

$k->sql(q{SET client_min_messages = warning;
    SELECT kaireon.create_schema('people', '[{"name": "id", "dataType": "integer", "isPrimaryKey": true}]');
    SELECT kaireon.create_schema('visits', '[{"name": "person", "dataType": "integer"}, {"name": "n", "dataType": "integer"}]', schema_type => 'collection', linked_schema => 'people',
        join_mapping => '{"person": "id"}', summary_columns => '[{"function": "sum", "sourceField": "n", "outputField": "total"}]')});
$k->make('visits', source => { resource => 'visits.csv' }, nodes => [ { id => 'sums', type => 'summarize', config => { collectionSchemaId => 'visits' } } ],
    target => { loadingStrategy => 'blue_green', allowEmptySource => \1 });
sub totals { return $k->sql(q{SELECT coalesce(string_agg(person || ':' || total, ' ' ORDER BY person), '-') FROM ds_visits_summary}); }
for ([ '1:3 2:5', [ 1, 1 ], [ 1, 2 ], [ 2, 5 ] ], [ '2:7 3:1', [ 2, 7 ], [ 3, 1 ] ], ['-'])
{
    my ($totals, @visits) = @$_;

    $k->write_csv('visits.csv', [ 'person', 'n' ], @visits);
    $run = $k->run('visits');
    is("$run->{status} " . totals(), "success $totals", "a summary of what the table has now: $totals") or diag(explain $run);
}

# ---- a published table, and a subscriber

check_way('published', 'CREATE TABLE odd (id integer PRIMARY KEY, name text); CREATE PUBLICATION pub FOR TABLE odd', 'it is in a publication');
my $subscriber = PostgreSQL::Test::Cluster->new('subscriber');
$subscriber->init;
$subscriber->start;
$subscriber->safe_psql('postgres', 'CREATE TABLE odd (id integer PRIMARY KEY, name text)');
$subscriber->safe_psql('postgres', q{CREATE SUBSCRIPTION sub CONNECTION '} . $k->node->connstr . q{ dbname=postgres' PUBLICATION pub});
$subscriber->wait_for_subscription_sync($k->node, 'sub');
for my $strategy (sort keys %full)
{
    $k->write_csv('odd.csv', [ 'id', 'name' ], map { [ $_, $strategy ] } 1 .. 100);
    is($k->run("odd_$strategy")->{status}, 'success', "published, $strategy: loads");
    $k->node->wait_for_catchup('sub');
    is($subscriber->safe_psql('postgres', 'SELECT count(*) || min(name) FROM odd'), "100$strategy", "published, $strategy: the subscriber follows");
}
$k->make('odd_published', schema => 'odd', source => { resource => 'odd.csv' }, target => { loadingStrategy => 'blue_green', swapPublished => \1 });
$k->write_csv('odd.csv', [ 'id', 'name' ], [ 1, 'exchanged' ]);
$node = filenode('odd');
$run = $k->run('odd_published');
is($run->{status} . warnings_of($run), 'success', 'swapPublished: loads');
isnt(filenode('odd'), $node, 'swapPublished: exchanged');
$k->sql(q{INSERT INTO odd VALUES (1000, 'after')});
$k->node->wait_for_catchup('sub');
is($subscriber->safe_psql('postgres', q{SELECT count(*) FILTER (WHERE id <= 100) || ' ' || count(*) FILTER (WHERE name = 'after') FROM odd}), '100 1', 'swapPublished: the subscriber has the rows before, and what comes later');
$subscriber->stop;
$k->sql("SELECT pg_drop_replication_slot('sub')");

# ---- rights

$k->sql(q{CREATE ROLE loader LOGIN; GRANT kaireon_admin TO loader; SELECT kaireon.change_owner('connector', 'files', 'loader'); GRANT INSERT ON heads TO loader});
my $theirs = 'SET ROLE loader; SELECT kaireon.create_pipeline($$theirs$$, $$files$$, $$heads$$, ' . $k->json([ { id => 'r', type => 'source', config => { resource => 'heads.csv' } },
        { id => 't', type => 'target', config => { loadingStrategy => 'blue_green' } } ]) . ')';
like($k->sql_error($theirs), qr/permission denied for table heads, all rows of which loading strategy blue_green replaces.*HINT:  GRANT TRUNCATE ON public\.heads TO loader\./s, 'who may only insert makes no pipeline that replaces');
$k->sql("GRANT TRUNCATE ON heads TO loader; $theirs");
is($k->sql(q{SELECT count(*) FROM kaireon.validate_pipeline('theirs')}), 0, 'who may empty the table does');
$k->sql('REVOKE TRUNCATE ON heads FROM loader');
like($k->sql(q{SELECT node_id, code, message FROM kaireon.validate_pipeline('theirs')}), qr/^t\|permission_denied\|permission denied for table heads.*GRANT TRUNCATE ON public\.heads TO loader/, 'validate_pipeline finds the lack');
$k->sql('CREATE TRIGGER nothing BEFORE INSERT ON heads FOR EACH ROW EXECUTE FUNCTION nothing()');
like($k->sql(q{SELECT message FROM kaireon.validate_pipeline('theirs')}), qr/GRANT DELETE ON public\.heads TO loader/, 'where the rows would be deleted, that of the right to');
$k->sql('DROP TRIGGER nothing ON heads');
$k->sql('TRUNCATE heads, lines');
$k->sql(q{INSERT INTO heads VALUES (1, 'old')});
$k->write_csv('heads.csv', [ 'id', 'name' ], [ 2, 'new' ]);
$run = $k->run('theirs');
is("$run->{status} $run->{error_code} $run->{error_hint} " . $k->sql('SELECT name FROM heads'), 'failed 42501 GRANT TRUNCATE ON public.heads TO loader. old', 'who may only insert replaces nothing');
$k->sql('GRANT TRUNCATE ON heads TO loader');
is($k->run('theirs')->{status} . ' ' . $k->sql('SELECT name FROM heads'), 'success new', 'who may empty the table, too, does');
is($k->sql(q{SELECT relowner::regrole FROM pg_class WHERE relname = 'heads'}), 'postgres', 'and it stays whose it is');

# ---- publications that do not publish what replaces the rows

$k->write_csv('deaf.csv', [qw(id name)], [ 1, 'one' ]);
$k->make('deaf', fields => [ { name => 'id', dataType => 'integer', isPrimaryKey => \1 }, { name => 'name' } ], source => { resource => 'deaf.csv' }, target => { loadingStrategy => 'truncate_and_load' });
$k->sql("CREATE PUBLICATION deaf FOR TABLE ds_deaf WITH (publish = 'insert')");
like($k->sql("SELECT code, message FROM kaireon.validate_pipeline('deaf')"), qr/^not_published\|publication "deaf" does not tell its subscribers/, 'a publication without truncate: validate_pipeline says so');
like($k->run('deaf')->{error_message}, qr/^publication "deaf" does not tell its subscribers that the rows of table "ds_deaf" are replaced/, 'and the run fails');
$k->sql("ALTER PUBLICATION deaf SET (publish = 'insert, truncate')");
is($k->run('deaf')->{status}, 'success', 'with it, it does not');

# ---- a publication of all tables, those of the catalog too, and one that comes while rows are loaded

$k->make('all', fields => [ { name => 'id', dataType => 'integer', isPrimaryKey => \1 }, { name => 'name' } ], source => { resource => 'deaf.csv', incremental => \1 });
$k->sql('CREATE PUBLICATION everything FOR ALL TABLES');
is($k->run('all')->{status}, 'success', 'a publication of all tables: an incremental run');
is($k->run('deaf')->{status}, 'success', 'a run that replaces');
is($k->sql("SELECT kaireon.reset_source_state('all')"), 1, 'the state is forgotten');
is($k->run('all')->{error_code}, '23505', 'and read again');
$k->sql("SELECT kaireon.delete_pipeline('all'); SELECT kaireon.confirm_instance(); DROP PUBLICATION everything; DROP PUBLICATION deaf");
my $reader = $k->session;
$reader->query('BEGIN; SELECT FROM ds_deaf LIMIT 1');
my $id = $k->start('deaf');
$k->poll('the run to want the table', "SELECT stage = 'exchanging' FROM kaireon.progress WHERE run_id = '$id'");
$k->sql('CREATE PUBLICATION late FOR ALL TABLES');
$reader->query('COMMIT');
$k->wait_run($id);
is($k->run_row($id)->{error_code} . ' ' . $k->run_row($id)->{error_message}, '40001 table "ds_deaf" was published while its rows were loaded', 'a publication that comes meanwhile: the run fails');
is($k->run('deaf')->{status}, 'success', 'the next one takes the other way');

$k->settled('all ways');
done_testing();
