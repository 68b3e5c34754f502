# Joins of two flows, and of a flow with a table: which rows come out, in which
# order, what bad keys do, and several sources with connectors of their own.
use strict;
use warnings;
use Kaireon;
use Test::More;

my $k = Kaireon->new('joins');

sub counters
{
    my ($run) = @_;
    return join '|', $run->{status}, map { $run->{"rows_$_"} } qw(read loaded skipped filtered merged);
}

# loaded(TABLE, COLUMN...): in the order of the heap.
sub loaded
{
    my ($table, @columns) = @_;
    return $k->sql("SELECT concat_ws(':', " . join(', ', map { "coalesce($_\::text, '-')" } @columns) . ") FROM ds_$table ORDER BY ctid") =~ s/\n/ /gr;
}

$k->write_csv('orders.csv', [qw(order customer amount)], [ 1, '03', 10 ], [ 2, '01', 20 ], [ 3, '09', 30 ], [ 4, '3', 40 ], [ 5, undef, 50 ]);
$k->write_csv('customers.csv', [qw(id name city)], [ 1, 'Ada', 'Paris' ], [ 2, 'Bob', 'Rome' ], [ 3, 'Cid', 'Oslo' ], [ 3, 'Cyd', 'Bonn' ]);
$k->make_schema('joined', 'id text', 'customer integer', 'amount integer', 'who', 'city');
$k->sql('ALTER TABLE ds_joined DROP CONSTRAINT ds_joined_pkey, ALTER id DROP NOT NULL');

sub join_graph
{
    my ($name, $config, %o) = @_;
    return $k->make_graph($name, 'joined', [ [ 'customers', 'source', { resource => 'customers.csv' } ], [ 'orders', 'source', { resource => 'orders.csv' } ],
            [ 'id', 'rename', { sourceField => 'order', targetField => 'id' } ], [ 'typed', 'cast', { field => 'id', targetType => 'integer' } ],
            [ 'both', 'join', { on => [ { left => 'customer', right => 'id' } ], selectFields => [ { field => 'name', alias => 'who' }, 'city' ], %$config } ],
            [ 'load', 'target', { validation => 'skip' } ] ],
        $o{edges} || [ 'customers>typed', 'typed>both:right', 'orders>id', 'id>both:left', 'both>load' ], { errorHandling => 'skip' });
}

my %expected = (
    inner => [ '9|5|0|0|4', '1:3:10:Cid:Oslo 1:3:10:Cyd:Bonn 2:1:20:Ada:Paris 4:3:40:Cid:Oslo 4:3:40:Cyd:Bonn' ],
    left => [ '9|7|0|0|2', '1:3:10:Cid:Oslo 1:3:10:Cyd:Bonn 2:1:20:Ada:Paris 3:9:30:-:- 4:3:40:Cid:Oslo 4:3:40:Cyd:Bonn 5:-:50:-:-' ],
    right => [ '9|6|0|0|3', '1:3:10:Cid:Oslo 1:3:10:Cyd:Bonn 2:1:20:Ada:Paris 4:3:40:Cid:Oslo 4:3:40:Cyd:Bonn -:2:-:Bob:Rome' ],
    full => [ '9|8|0|0|1', '1:3:10:Cid:Oslo 1:3:10:Cyd:Bonn 2:1:20:Ada:Paris 3:9:30:-:- 4:3:40:Cid:Oslo 4:3:40:Cyd:Bonn 5:-:50:-:- -:2:-:Bob:Rome' ]);
my $run;
for my $type (sort keys %expected)
{
    $k->sql('TRUNCATE ds_joined');
    join_graph($type, { joinType => $type });
    $run = $k->run($type);
    is(counters($run), "success|$expected{$type}[0]", "$type: counters");
    is(loaded('joined', qw(id customer amount who city)), $expected{$type}[1], "$type: rows, in the left side's order; 03 and 3 are one key");
    is($k->count_identity($run->{run_id}), 't', "$type: the counters add up");
}
like($k->node_counts($run), qr/both 9\/6\/0/, 'rows in are those of both sides');

# Without labels the first edge is the left one.
$k->sql('TRUNCATE ds_joined');
join_graph('unlabelled', {}, edges => [ 'orders>id', 'id>both', 'customers>typed', 'typed>both', 'both>load' ]);
$run = $k->run('unlabelled');
is(loaded('joined', qw(id who)), '1:Cid 1:Cyd 2:Ada 4:Cid 4:Cyd', 'without labels: inner, the first edge is left');

# A key that is none is a bad row of its side, with its place.
$k->write_csv('orders.csv', [qw(order customer amount)], [ 1, '03', 10 ], [ 2, 'one', 20 ]);
$k->write_csv('customers.csv', [qw(id name city)], [ 1, 'Ada', 'Paris' ], [ 'x', 'Bob', 'Rome' ], [ 3, 'Cid', 'Oslo' ]);
$k->sql('TRUNCATE ds_joined');
$run = $k->run('left');
is(counters($run), 'partial|5|1|2|0|2', 'bad keys: counters');
is(join(' ', map { ($_->{source} =~ s/.*\///r) . ":$_->{line}:$_->{node_id}:$_->{sqlstate}:$_->{value}" } $k->errors($run->{run_id})),
    'customers.csv:3:typed:22P02:x orders.csv:3:both:22P02:one', 'bad keys: a reject of the side they came from');

# A bad row behind a join has the left row's place; of a row only the right side has, its own.
$k->write_csv('orders.csv', [qw(order customer amount)], [ 1, 3, 10 ], [ 2, 1, 20 ]);
$k->sql('TRUNCATE ds_joined; ALTER TABLE ds_joined ADD CONSTRAINT c CHECK (who <> \'Bob\' AND amount <> 20)');
$k->write_csv('customers.csv', [qw(id name city)], [ 1, 'Ada', 'Paris' ], [ 2, 'Bob', 'Rome' ], [ 3, 'Cid', 'Oslo' ]);
$run = $k->run('full');
is(join(' ', map { ($_->{source} =~ s/.*\///r) . ":$_->{line}:$_->{node_id}" } $k->errors($run->{run_id})), 'orders.csv:3:load customers.csv:3:load', 'bad rows behind a join have a place');
$k->sql('ALTER TABLE ds_joined DROP CONSTRAINT c');

# A flow with itself: the ways of a branch.
$k->write_csv('people.csv', [qw(id boss kind)], [ 1, undef, 'boss' ], [ 2, 1, 'hand' ], [ 3, 1, 'hand' ], [ 4, 7, 'hand' ]);
$k->make_schema('team', 'id integer', 'name');
$k->make_graph('team', 'team', [ [ 'read', 'source', { resource => 'people.csv' } ],
        [ 'kind', 'branch', { routes => [ { label => 'boss', field => 'kind', operator => '=', value => 'boss' } ] } ],
        [ 'named', 'expression', { outputField => 'name', expression => "'boss ' || id" } ],
        [ 'with', 'join', { joinType => 'left', on => [ { left => 'boss', right => 'id' } ], selectFields => ['name'] } ], [ 'load', 'target' ] ],
    [ 'read>kind', 'kind>with:otherwise', 'kind>named:boss', 'named>with', 'with>load' ]);
$run = $k->run('team');
is(counters($run) . ' ' . loaded('team', qw(id name)), 'success|4|3|0|0|1 2:boss 1 3:boss 1 4:-', 'two ways of a branch joined');

# ---- with a table

$k->write_csv('sales.csv', [qw(id code n)], [ 1, 'B', '01' ], [ 2, 'a', '2' ], [ 3, 'B', '7' ], [ 4, undef, 'x' ]);
$k->sql("SELECT kaireon.create_schema('product', " . $k->json([ { name => 'code', dataType => 'varchar', length => 5, isPrimaryKey => \1 }, { name => 'title', dataType => 'text' },
        { name => 'num', dataType => 'smallint' } ]) . ')');
$k->sql("INSERT INTO ds_product VALUES ('A', 'Apple', 1), ('B', 'Bread', 2), ('C', 'Corn', 2)");
$k->make_schema('sold', 'id integer', 'code', 'title', 'n');
$k->make_graph('sold', 'sold', [ [ 'read', 'source', { resource => 'sales.csv' } ],
        [ 'look', 'lookup_join', { lookupSchema => 'product', joinField => 'code', lookupField => 'code', selectFields => ['title'] } ], [ 'load', 'target' ] ], [ 'read>look', 'look>load' ]);
$run = $k->run('sold');
is(counters($run), 'success|4|4|0|0|0', 'lookup: counters');
is(loaded('sold', qw(id code title n)), '1:B:Bread:01 2:a:-:2 3:B:Bread:7 4:-:-:x', 'lookup: every row once, null where nothing is found');

# By a key of another type, which several rows have: a warning, and more rows.
$k->sql('TRUNCATE ds_sold; ALTER TABLE ds_sold DROP CONSTRAINT ds_sold_pkey');
$k->make_graph('by_number', 'sold', [ [ 'read', 'source', { resource => 'sales.csv' } ],
        [ 'look', 'enrich', { schema => 'product', joinField => 'n', lookupField => 'num', selectFields => [ { field => 'title', alias => 'title' } ] } ],
        [ 'load', 'target', { validation => 'skip' } ] ], [ 'read>look', 'look>load' ], { errorHandling => 'skip' });
is($k->sql("SELECT severity || ' ' || node_id || ' ' || code || ' ' || message FROM kaireon.validate_pipeline('by_number') WHERE node_id IS NOT NULL"),
    'warning look not_unique field "num" of schema "product" is not unique (Rows with a key that the table has several times come out as often.)', 'a key that is not unique is a warning');
$run = $k->run('by_number');
is(counters($run), 'partial|4|4|1|0|-1', 'rows that multiply: merged is negative');
is(loaded('sold', qw(id title n)), '1:Apple:01 2:Bread:2 2:Corn:2 3:-:7', 'a key is compared in the table\'s type, and goes on as it was');
is(join(' ', map { "$_->{line}:$_->{node_id}:$_->{sqlstate}:$_->{value}" } $k->errors($run->{run_id})), '5:look:22P02:x', 'one that is none is a bad row');
is($k->count_identity($run->{run_id}), 't', 'and the counters add up');

# Where bad rows are not left out, it ends the run.
$k->make_graph('strict', 'sold', [ [ 'read', 'source', { resource => 'sales.csv' } ],
        [ 'look', 'lookup_join', { lookupSchema => 'product', joinField => 'n', lookupField => 'num', selectFields => ['title'] } ], [ 'load', 'target' ] ], [ 'read>look', 'look>load' ]);
$run = $k->run('strict');
is("$run->{status} $run->{error_code} " . $k->run_row($run->{run_id})->{error_node}, 'failed 22P02 look', 'and the end of a run that leaves none out');

# The table as it was before the run, though the run loads it.
$k->write_csv('new.csv', [qw(code title)], map { [ "N$_", "new $_" ] } 1 .. 3000);
$k->make_graph('itself', 'product', [ [ 'read', 'source', { resource => 'new.csv' } ], [ 'once', 'deduplicate', { keyFields => ['code'] } ],
        [ 'old', 'lookup_join', { lookupSchema => 'product', joinField => 'code', lookupField => 'code', selectFields => [ { field => 'title', alias => 'was' } ] } ],
        [ 'fresh', 'filter', { field => 'was', operator => 'is_null' } ], [ 'load', 'target' ] ], [ 'read>once', 'once>old', 'old>fresh', 'fresh>load' ]);
is(counters($k->run('itself')), 'success|3000|3000|0|0|0', 'a table that is loaded and looked up: nothing of this run is found');
is(counters($k->run('itself')), 'success|3000|0|0|3000|0', 'of the run before all');

# Rights are the owner's.
$k->sql("CREATE ROLE reader LOGIN; GRANT kaireon_admin TO reader; GRANT CREATE ON SCHEMA public TO reader");
$k->sql("SET ROLE reader; SELECT kaireon.create_connector('hers', 'local_fs', " . $k->json({ basePath => $k->files }) . "); "
      . "SELECT kaireon.create_schema('hers', '[{\"name\": \"id\", \"dataType\": \"integer\", \"isPrimaryKey\": true}, {\"name\": \"title\"}]')");
my $hers = "SET ROLE reader; SELECT kaireon.create_pipeline('hers', 'hers', 'hers', " . $k->json([ { id => 'r', type => 'source', config => { resource => 'sales.csv' } },
        { id => 'l', type => 'lookup_join', config => { lookupSchema => 'product', joinField => 'code', lookupField => 'code', selectFields => ['title'] } }, { id => 't', type => 'target' } ]) . ')';
like($k->sql_error($hers), qr/permission denied for table ds_product/, 'a table the owner may not read is no lookup');
$k->sql("GRANT SELECT ON ds_product TO reader; $hers");
is($k->run('hers')->{status}, 'success', 'with the right it is');
$k->sql('REVOKE SELECT ON ds_product FROM reader');
$run = $k->run('hers');
is("$run->{status} $run->{error_code}", 'failed 42501', 'and without it no more');
$k->sql('CREATE ROLE other; GRANT CREATE ON SCHEMA public TO other; GRANT SELECT ON ds_product TO reader; ALTER TABLE ds_product OWNER TO other; ALTER TABLE ds_product ENABLE ROW LEVEL SECURITY');
$run = $k->run('hers');
is("$run->{status} $run->{error_code}", 'failed 42501', 'another one\'s policies do not run as the owner');
$k->sql('ALTER TABLE ds_product DISABLE ROW LEVEL SECURITY; ALTER TABLE ds_product OWNER TO postgres');

# ---- a summary

$k->sql("SELECT kaireon.create_schema('customer', " . $k->json([ { name => 'id', dataType => 'integer', isPrimaryKey => \1 }, { name => 'name' } ]) . ')');
$k->sql("SELECT kaireon.create_schema('account', " . $k->json([ { name => 'account_id', dataType => 'integer', isPrimaryKey => \1 }, { name => 'customer_id', dataType => 'integer' },
        { name => 'balance', dataType => 'numeric' } ]) . ", schema_type => 'collection', linked_schema => 'customer', join_mapping => '{\"customer_id\": \"id\"}', summary_columns => "
      . $k->json([ { function => 'count', outputField => 'accounts' }, { function => 'sum', sourceField => 'balance', outputField => 'balance' } ]) . ')');
$k->sql('INSERT INTO ds_account_summary (customer_id, accounts, balance) VALUES (1, 2, 30.5), (3, 1, 7)');
$k->make_schema('rich', 'id integer', 'accounts bigint', 'balance numeric');
$k->make_graph('rich', 'rich', [ [ 'read', 'source', { resource => 'sales.csv' } ],
        [ 'sums', 'enrich', { summary => 'account', joinField => 'id', lookupField => 'customer_id', selectFields => [ 'accounts', 'balance' ] } ], [ 'load', 'target' ] ], [ 'read>sums', 'sums>load' ]);
is($k->run('rich')->{status} . ' ' . loaded('rich', qw(id accounts balance)), 'success 1:2:30.5 2:-:- 3:1:7 4:-:-', 'enrich from a summary');

# ---- several sources, each with its own connector, ledger and files

mkdir $k->files . '/in' or die;
mkdir $k->files . '/more' or die;
$k->write_csv('in/1.csv', [qw(id t)], [ 1, 'a' ], [ 2, 'b' ]);
$k->write_csv('more/1.csv', [qw(key t)], [ 3, 'c' ], [ 'x', 'd' ]);
$k->sql("SELECT kaireon.create_connector('more', 'local_fs', " . $k->json({ basePath => $k->files . '/more' }) . ')');
$k->make_schema('union', 'id integer', 't');
$k->make_graph('union', 'union', [ [ 'first', 'source', { resource => 'in/*.csv', incremental => \1 } ], [ 'second', 'source', { connector => 'more', resource => '*.csv', incremental => \1 } ],
        [ 'key', 'rename', { sourceField => 'key', targetField => 'id' } ], [ 'load', 'target', { validation => 'skip' } ] ], [ 'first>load', 'second>key', 'key>load' ]);
$run = $k->run('union');
is(counters($run) . ' ' . loaded('union', qw(id t)), 'partial|4|3|1|0|0 1:a 2:b 3:c', 'two sources into one target');
is($k->node_counts($run), 'first 2/2/0 second 2/2/0 key 2/2/0 load 4/3/1', 'rows at each node');
is($k->sql("SELECT node_id || ' ' || path || ' ' || rows_read FROM kaireon.source_state WHERE pipeline = 'union' ORDER BY 1") =~ s/\n/, /gr, 'first in/1.csv 2, second 1.csv 2', 'each has its ledger');
$k->write_csv('more/2.csv', [qw(key t)], [ 4, 'e' ]);
$run = $k->run('union');
is(counters($run) . ' ' . $k->node_counts($run), 'success|1|1|0|0|0 first 0/0/0 second 1/1/0 key 1/1/0 load 1/1/0', 'only what is new of either');
like($k->sql_error("SELECT kaireon.delete_connector('more')"), qr/connector "more" is in use/, 'a connector that a node names is not deleted');
like($k->sql_error("SELECT kaireon.update_connector('more', new_name => 'less')"), qr/nodes of pipelines name connector "more"/, 'nor renamed');
$k->sql("CREATE ROLE stranger LOGIN; GRANT kaireon_admin TO stranger");
like($k->sql_error("SET ROLE reader; SELECT kaireon.create_pipeline('theirs', 'hers', 'hers', " . $k->json([ { id => 'r', type => 'source', config => { connector => 'more', resource => '1.csv' } },
            { id => 't', type => 'target' } ]) . ')'), qr/permission denied for connector "more"/, 'another one\'s connector is not read');

# The left side's key stays as it is, whatever it is compared as, and whatever the type of the join.
$k->write_csv('codes.csv', [qw(id v)], [ '007', 'a' ], [ '008', 'b' ]);
$k->write_csv('numbers.csv', [qw(code w)], [ 7, 'x' ], [ 9, 'z' ]);
$k->make_schema('codes', 'id text', 'v', 'w');
$k->sql('ALTER TABLE ds_codes DROP CONSTRAINT ds_codes_pkey, ALTER id DROP NOT NULL');
for my $type (sort keys %expected)
{
    $k->make_graph("codes_$type", 'codes', [ [ 'codes', 'source', { resource => 'codes.csv' } ], [ 'numbers', 'source', { resource => 'numbers.csv' } ],
            [ 'typed', 'cast', { field => 'code', targetType => 'numeric' } ], [ 'both', 'join', { joinType => $type, on => [ { left => 'id', right => 'code' } ], selectFields => ['w'] } ],
            [ 'load', 'target' ] ], [ 'codes>both:left', 'numbers>typed', 'typed>both:right', 'both>load' ]);
    $k->sql('TRUNCATE ds_codes');
    $run = $k->run("codes_$type");
    is($run->{status} . ' ' . loaded('codes', qw(id v w)), 'success ' . join(' ', '007:a:x', $type =~ /left|full/ ? '008:b:-' : (), $type =~ /right|full/ ? '9:-:z' : ()), "$type: the left key keeps its zeros");
}

# Preview goes the whole way.
is($k->sql("SELECT string_agg(p ->> 'id', ' ') FROM kaireon.preview_pipeline('union') AS p"), '1 2 3 4', 'preview of two sources');
is($k->sql("SELECT count(*) FROM kaireon.preview_pipeline('rich')"), 4, 'preview through a lookup');

$k->settled('joins');
ok($k->same_postmaster, 'the server lived');
done_testing();
