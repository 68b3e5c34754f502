# Set nodes: what deduplicate and aggregate make of all rows of their input, in
# which order, where rows are counted, and what happens to bad ones behind them.
use strict;
use warnings;
use Kaireon;
use Test::More;

my $k = Kaireon->new('sets');

# counters(RUN): status, then read|loaded|skipped|filtered|merged
sub counters
{
    my ($run) = @_;
    return join '|', $run->{status}, map { $run->{"rows_$_"} } qw(read loaded skipped filtered merged);
}

# loaded(TABLE, EXPRESSION): in the order of the heap.
sub loaded
{
    my ($table, $expression) = @_;
    return $k->sql("SELECT $expression FROM ds_$table ORDER BY ctid") =~ s/\n/ /gr;
}

# ---- deduplicate

$k->write_csv('a.csv', [qw(id email n)], [ 3, 'a@x', 1 ], [ 1, 'b@x', 2 ], [ 2, 'a@x', 3 ], [ 5, undef, 4 ], [ 4, 'B@x', 5 ], [ 6, undef, 6 ]);
$k->write_csv('b.csv', [qw(id email n)], [ 9, 'b@x', 7 ], [ 8, 'c@x', 8 ]);
$k->make_schema('emails', 'id integer', 'email', 'n integer');
my @dedupe = ([ 'read', 'source', { resource => '[ab].csv' } ], [ 'once', 'deduplicate', { keyFields => ['email'] } ], [ 'load', 'target' ]);
$k->make_graph('emails', 'emails', \@dedupe, [ 'read>once', 'once>load' ]);
my $run = $k->run('emails');
is(counters($run), 'success|8|5|0|0|3', 'deduplicate: counters');
is(loaded('emails', 'id || coalesce(email, \'\') || n'), '3a@x1 1b@x2 54 4B@x5 8c@x8', 'deduplicate: the first of each key, in the order of the files; nulls are one');
is($k->node_counts($run), 'read 8/8/0 once 8/5/0 load 5/5/0', 'deduplicate: rows at each node');
is($k->count_identity($run->{run_id}), 't', 'deduplicate: the counters add up');

# Two keys; what nobody behind it uses is not kept, what a filter before it used may be gone.
$k->make_schema('pairs', 'id integer');
$k->make_graph('pairs', 'pairs', [ [ 'read', 'source', { resource => '[ab].csv' } ], [ 'some', 'filter', { field => 'n', operator => '!=', value => 2 } ],
        [ 'once', 'deduplicate', { keyFields => [ 'email', 'n' ] } ], [ 'drop', 'drop', { fields => [ 'n', 'email' ] } ], [ 'load', 'target' ] ],
    [ 'read>some', 'some>once', 'once>drop', 'drop>load' ]);
$run = $k->run('pairs');
is(counters($run), 'success|8|7|0|1|0', 'two keys: counters');
is(loaded('pairs', 'id'), '3 2 5 4 6 9 8', 'two keys: the order is the source\'s');

# Row nodes before and behind; deduplicating twice.
$k->make_schema('twice', 'id integer', 'email', 'len integer');
$k->make_graph('twice', 'twice', [ [ 'read', 'source', { resource => '[ab].csv' } ], [ 'lower', 'expression', { outputField => 'email', expression => 'lower(email)' } ],
        [ 'once', 'deduplicate', { keyFields => ['email'] } ], [ 'len', 'expression', { outputField => 'len', expression => 'length(email)' } ],
        [ 'again', 'deduplicate', { keyFields => ['len'] } ], [ 'known', 'filter', { field => 'email', operator => 'is_not_null' } ], [ 'load', 'target' ] ],
    [ 'read>lower', 'lower>once', 'once>len', 'len>again', 'again>known', 'known>load' ]);
$run = $k->run('twice');
is(counters($run), 'success|8|1|0|1|6', 'twice: counters');
is(loaded('twice', 'id || email || len'), '3a@x3', 'twice: of the firsts the first');
is($k->node_counts($run), 'read 8/8/0 lower 8/8/0 once 8/4/0 len 4/4/0 again 4/2/0 known 2/1/0 load 1/1/0', 'twice: rows at each node');

# ---- aggregate

$k->write_rows('sales.csv', 5000, sub { my $i = shift; join ',', $i, qw(north south east)[ $i % 3 ], $i % 10, ($i % 7) / 2 }, 'sale,region,amount,price');
$k->make_schema('regions', 'region', 'sales bigint', 'total numeric', 'mean numeric', 'low integer', 'high text', 'kinds bigint');
$k->sql('ALTER TABLE ds_regions DROP COLUMN IF EXISTS id');
$k->make_graph('regions', 'regions', [ [ 'read', 'source', { resource => 'sales.csv' } ], [ 'typed', 'cast', { field => 'amount', targetType => 'integer' } ],
        [ 'sums', 'aggregate', { groupByFields => ['region'], aggregations => [ { function => 'count', alias => 'sales' }, { field => 'amount', function => 'sum', alias => 'total' },
                { field => 'price', function => 'avg', alias => 'mean' }, { field => 'amount', function => 'min', alias => 'low' }, { field => 'sale', function => 'max', alias => 'high' },
                { field => 'price', function => 'count', alias => 'kinds' } ] } ], [ 'load', 'target' ] ],
    [ 'read>typed', 'typed>sums', 'sums>load' ]);
$run = $k->run('regions');
is(counters($run), 'success|5000|3|0|0|4997', 'aggregate: counters');
is(loaded('regions', "region || ' ' || sales || ' ' || total || ' ' || round(mean, 3) || ' ' || low || ' ' || high || ' ' || kinds"),
    'south 1667 7500 1.499 0 997 1667 east 1667 7497 1.500 0 998 1667 north 1666 7503 1.500 0 999 1666',
    'aggregate: groups in the order of their first rows; sum and avg of text calculate, max of text compares texts');
is($k->node_counts($run), 'read 5000/5000/0 typed 5000/5000/0 sums 5000/3/0 load 3/3/0', 'aggregate: rows at each node');

# Without groups one row; without rows none.
$k->make_schema('total', 'id integer', 'n bigint', 'total double');
my @total = ([ 'read', 'source', { resource => 'sales.csv' } ], [ 'big', 'filter', { field => 'amount', operator => '>=', value => 0 } ],
    [ 'sums', 'aggregate', { aggregations => [ { function => 'count', alias => 'n' }, { field => 'price', function => 'sum', alias => 'total' } ] } ],
    [ 'one', 'add_field', { fieldName => 'id', fieldType => 'integer', defaultValue => 1 } ], [ 'load', 'target' ]);
$k->make_graph('total', 'total', \@total, [ 'read>big', 'big>sums', 'sums>one', 'one>load' ]);
$run = $k->run('total');
is(counters($run) . ' ' . loaded('total', 'id || \' \' || n || \' \' || total'), 'success|5000|1|0|0|4999 1 5000 7498.5', 'no groups: one row');
$total[1][2]{value} = 10;
$k->sql('TRUNCATE ds_total');
$k->sql("SELECT kaireon.update_pipeline('total', nodes => " . $k->json([ map { { id => $_->[0], type => $_->[1], config => $_->[2] || {} } } @total ]) . ')');
$run = $k->run('total');
is(counters($run) . loaded('total', 'id'), 'success|5000|0|0|5000|0', 'no rows: no group');

# Sums of integers have room; one that does not fit fails the run and names the node.
$k->write_csv('large.csv', [qw(g i d)], [ 1, '9223372036854775807', '1e308' ], [ 1, '9223372036854775807', '1e308' ]);
$k->make_schema('large', 'id integer', 'i numeric', 'd double');
my @large = ([ 'read', 'source', { resource => 'large.csv' } ], [ 'big', 'cast', { field => 'i', targetType => 'bigint' } ], [ 'real', 'cast', { field => 'd', targetType => 'double' } ],
    [ 'id', 'rename', { sourceField => 'g', targetField => 'id' } ],
    [ 'sums', 'aggregate', { groupByFields => ['id'], aggregations => [ { field => 'i', function => 'sum', alias => 'i' } ] } ], [ 'load', 'target' ]);
my @edges = ('read>big', 'big>real', 'real>id', 'id>sums', 'sums>load');
$k->make_graph('large', 'large', \@large, \@edges);
is($k->run('large')->{status} . ' ' . loaded('large', 'i'), 'success 18446744073709551614', 'the sum of bigint is numeric');
$large[4][2]{aggregations}[0] = { field => 'd', function => 'sum', alias => 'd' };
$k->make_graph('larger', 'large', \@large, \@edges);
$run = $k->run('larger');
is("$run->{status} $run->{error_code} " . $k->run_row($run->{run_id})->{error_node}, 'failed 22003 sums', 'a sum that overflows fails the run, at the node');
like($run->{error_detail}, qr/node "sums" \(aggregate\)/, 'and says so');
is($k->count_identity($run->{run_id}), 't', 'and the counters add up');

# ---- bad rows, before and behind

$k->write_file('bad.csv', "id,g,n,d\n1,a,1,1\n2,a,x,1\n3,b,3\n4,b,4,0\n5,c,5,1\n6,a,7,2\n");
$k->make_schema('bad', 'id integer', 'g', 'n integer', 'q integer');
my @bad = ([ 'read', 'source', { resource => 'bad.csv' } ], [ 'once', 'deduplicate', { keyFields => ['g'] } ],
    [ 'over', 'expression', { outputField => 'q', expression => 'n / d::int' } ], [ 'load', 'target', { validation => 'skip' } ]);
$k->make_graph('bad', 'bad', \@bad, [ 'read>once', 'once>over', 'over>load' ], { errorHandling => 'skip' });
$run = $k->run('bad');
is(counters($run), 'partial|6|2|3|0|1', 'bad rows: counters');
is(join(' ', map { "$_->{line}:$_->{node_id}:$_->{sqlstate}:" . ($_->{value} // '') } $k->errors($run->{run_id})), '3:load:22P02:x 4:read:22P04:3,b,3 5:over:22012:n=4, d=0',
    'bad rows: before the node, and behind it still with file and line');
is(loaded('bad', 'id'), '1 5', 'bad rows: the others are loaded; a bad row is no first of its key');
is($k->node_counts($run), 'read 6/5/1 once 4/3/0 over 3/2/1 load 2/2/1', 'bad rows: counted where they are');

# A conflict at the target too.
$k->make_graph('conflict', 'bad', [ [ 'read', 'source', { resource => 'bad.csv' } ], [ 'once', 'deduplicate', { keyFields => ['id'] } ], [ 'load', 'target', { validation => 'skip' } ] ],
    [ 'read>once', 'once>load' ], { errorHandling => 'skip' });
$run = $k->run('conflict');
is(join(' ', map { "$_->{line}:$_->{node_id}:$_->{sqlstate}" } $k->errors($run->{run_id})), '3:load:22P02 4:read:22P04 2:load:23505 6:load:23505', 'a conflict behind it has file and line');
is($k->count_identity($run->{run_id}), 't', 'and the counters add up');

# ---- branches before and behind; columns some files lack

$k->write_csv('c1.csv', [qw(id n)], [ 1, 1 ], [ 2, 2 ]);
$k->write_csv('c2.csv', [qw(id n extra)], [ 3, 1, 'x' ], [ 4, 4, 'y' ]);
$k->sql("SELECT kaireon.create_schema('lacking', " . $k->json([ { name => 'id', dataType => 'integer', isPrimaryKey => \1 }, { name => 'n', dataType => 'integer' },
        { name => 'extra', dataType => 'text', defaultValue => "'none'" } ]) . ')');
for my $files ('c1.csv', 'c?.csv')
{
    my $name = $files eq 'c1.csv' ? 'lacks' : 'some_lack';
    $k->sql('TRUNCATE ds_lacking');
    $k->make_graph($name, 'lacking', [ [ 'read', 'source', { resource => $files } ], [ 'once', 'deduplicate', { keyFields => ['id'] } ], [ 'load', 'target' ] ], [ 'read>once', 'once>load' ]);
    is($k->run($name)->{status} . ' ' . loaded('lacking', 'id || coalesce(extra, \'-\')'), $name eq 'lacks' ? 'success 1none 2none' : 'success 1- 2- 3x 4y',
        "a column that $name: its default when all files lack it, null when some do");
}

$k->make_schema('left', 'id integer', 'region', 'amount integer');
$k->make_schema('right', 'region', 'n bigint');
$k->make_graph('forked', 'left', [ [ 'read', 'source', { resource => 'sales.csv' } ],
        [ 'split', 'branch', { routes => [ { label => 'north', field => 'region', operator => '=', value => 'north' } ] } ],
        [ 'id', 'rename', { sourceField => 'sale', targetField => 'id' } ], [ 'once', 'deduplicate', { keyFields => ['amount'] } ], [ 'load', 'target' ],
        [ 'count', 'aggregate', { groupByFields => ['region'], aggregations => [ { function => 'count', alias => 'n' } ] } ],
        [ 'many', 'branch', { routes => [ { label => 'south', field => 'region', operator => '=', value => 'south' } ] } ], [ 'also', 'target', { schema => 'right' } ] ],
    [ 'read>split', 'split>id:north', 'id>once', 'once>load', 'split>count:otherwise', 'count>many', 'many>also:south' ]);
$run = $k->run('forked');
is(counters($run), 'success|5000|11|0|1|4988', 'branches and sets: counters');
is(loaded('left', 'id'), '3 6 9 12 15 18 21 24 27 30', 'branches and sets: one way');
is(loaded('right', 'region || n'), 'south1667', 'branches and sets: the other');
is($k->node_counts($run), 'read 5000/5000/0 split 5000/5000/0 id 1666/1666/0 once 1666/10/0 load 10/10/0 count 3334/2/0 many 2/1/0 also 1/1/0', 'branches and sets: rows at each node');

# ---- looking at rows on their way

# shown(PIPELINE, NODE): the rows behind a node, their keys in alphabetical order.
sub shown
{
    my ($pipeline, $node) = @_;
    return $k->sql("SELECT (SELECT string_agg(key || '=' || coalesce(value, '-'), ' ' ORDER BY key COLLATE \"C\") FROM jsonb_each_text(p)) FROM kaireon.preview_pipeline('$pipeline', 3"
          . ($node ? ", node => '$node'" : '') . ') AS p') =~ s/\n/, /gr;
}

is(shown('twice'), 'email=a@x id=3 len=3', 'preview: what would be loaded');
is(shown('twice', 'load'), 'email=a@x id=3 len=3', 'preview: at the target');
is(shown('twice', 'read'), 'email=a@x id=3 n=1, email=b@x id=1 n=2, email=a@x id=2 n=3', 'preview: as read');
is(shown('twice', 'once'), 'email=a@x id=3 n=1, email=b@x id=1 n=2, email=- id=5 n=4', 'preview: behind a set node');
is(shown('twice', 'len'), 'email=a@x id=3 len=3 n=1, email=b@x id=1 len=3 n=2, email=- id=5 len=- n=4', 'preview: behind an expression behind that');
is(shown('twice', 'known'), 'email=a@x id=3 len=3 n=1', 'preview: behind a filter');
is(shown('forked', 'split'), 'amount=1 price=0.5 region=south sale=1, amount=2 price=1 region=east sale=2, amount=3 price=1.5 region=north sale=3', 'preview: behind a branch, whichever way rows go on');
is(shown('forked', 'count'), 'n=1667 region=south, n=1667 region=east', 'preview: one way only');
is(shown('forked', 'id'), 'amount=3 id=3 price=1.5 region=north, amount=6 id=6 price=3 region=north, amount=9 id=9 price=1 region=north', 'preview: the other');
is(shown('forked', 'also'), 'n=1667 region=south', 'preview: one of two targets');
is(shown('forked'), '_target=load amount=3 id=3 region=north, _target=load amount=6 id=6 region=north, _target=load amount=9 id=9 region=north', 'preview: several targets are told apart');
like($k->sql_error("SELECT kaireon.preview_pipeline('twice', node => 'nowhere')"), qr/the pipeline has no node "nowhere".*HINT:  Its nodes are: read, lower, once, len, again, known, load\./s, 'preview: no such node');
is($k->sql("SELECT count(*) FROM kaireon.preview_pipeline(NULL)") . $k->sql("SELECT count(*) FROM kaireon.preview_pipeline('twice', NULL)"), '00', 'preview: of nothing, nothing');
# A set node sees a sample, and that is said.
$k->write_rows('long.csv', 25_000, sub { "$_[0],x" }, 'id,email');
$k->make_graph('sample', 'emails', [ [ 'read', 'source', { resource => 'long.csv' } ], [ 'count', 'aggregate', { groupByFields => ['email'], aggregations => [ { function => 'count', alias => 'id' } ] } ], [ 'load', 'target' ] ],
    [ 'read>count', 'count>load' ]);
{
    my ($code, $out, $err) = $k->node->psql('postgres', "SELECT p ->> 'id' FROM kaireon.preview_pipeline('sample') AS p");
    is($out, 10_000, 'preview: what a set node makes of the first 10,000 rows');
    like($err, qr/NOTICE:  only the first 10000 rows of node "read" are looked at/, 'preview: and says so');
}
like($k->sql("SELECT string_agg(l, E'\\n') FROM kaireon.explain_pipeline('sample', true) AS l"),
    qr/read: rows in 25000, out 25000, rejected 0, time [0-9.]+ ms\n  count: rows in 25000, out 1, rejected 0, time [0-9.]+ ms\n  load: rows in 1, out 1, rejected 0, time/, 'explain analyze reads all');
like($k->sql("SELECT string_agg(l, E'\\n') FROM kaireon.explain_pipeline('twice', true) AS l"),
    qr/lower: rows in 8, out 8, rejected 0, time [0-9.]+ ms\n  once: rows in 8, out 4, rejected 0, time [0-9.]+ ms\n  len: rows in 4, out 4, .*\n  again: rows in 4, out 2, .*\n  known: rows in 2, out 1, .* ms\n  load: rows in 1, out 1, rejected 0, time with known/, 'explain analyze: each node');

# ---- more rows than fit into memory

$k->node->append_conf('postgresql.conf', "kaireon.work_mem = '64kB'");
$k->node->reload;
$k->write_rows('many.csv', 100_000, sub { my $i = shift; ($i * 7919 % 50_000) . ",some text that takes room $i" }, 'id,t');
$k->make_schema('many', 'id integer', 't');
$k->make_graph('many', 'many', [ [ 'read', 'source', { resource => 'many.csv' } ], [ 'once', 'deduplicate', { keyFields => ['id'] } ], [ 'load', 'target' ] ], [ 'read>once', 'once>load' ]);
$run = $k->run('many');
is(counters($run), 'success|100000|50000|0|0|50000', 'on disk: counters');
is($k->sql("SELECT count(*) FROM (SELECT substring(t FROM '[0-9]+')::int AS i, row_number() OVER (ORDER BY ctid) AS n FROM ds_many) AS q WHERE i <> n"), 0,
    'on disk: the first of each, in order');
$k->make_schema('counted', 'id integer', 'n bigint', 'last');
$k->make_graph('counted', 'counted', [ [ 'read', 'source', { resource => 'many.csv' } ],
        [ 'count', 'aggregate', { groupByFields => ['id'], aggregations => [ { function => 'count', alias => 'n' }, { field => 't', function => 'max', alias => 'last' } ] } ],
        [ 'load', 'target' ] ], [ 'read>count', 'count>load' ]);
$run = $k->run('counted');
is(counters($run), 'success|100000|50000|0|0|50000', 'on disk, aggregate: counters');
is($k->sql('SELECT count(*) FROM ds_counted WHERE n = 2'), 50000, 'on disk, aggregate: every group is whole');

$k->settled('sets');
ok($k->same_postmaster, 'the server lived');
done_testing();
