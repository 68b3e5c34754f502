# Branches and several targets: which way each row goes, where it is counted when
# it goes none, and that all tables change at one commit.
use strict;
use warnings;
use Kaireon;
use Test::More;

my $k = Kaireon->new('branch');

sub counters
{
    my ($run) = @_;
    return join '|', $run->{status}, map { $run->{"rows_$_"} } qw(read loaded skipped filtered);
}

# ---- one branch, three ways

$k->write_csv('people.csv', [qw(id country amount)], [ 1, 'ES', 10 ], [ 2, 'FR', 20 ], [ 3, 'DE', 30 ], [ 4, undef, 40 ], [ 5, 'ES', 500 ], [ 6, 'FR', -1 ]);
$k->make_schema($_, 'id integer', 'country', 'amount numeric') for qw(spain france others);
$k->make_graph('ways', 'others',
    [ [ 'read', 'source', { resource => 'people.csv' } ], [ 'positive', 'filter', { field => 'amount', operator => '>', value => 0 } ],
        [ 'split', 'branch', { routes => [ { label => 'es', field => 'country', operator => '=', value => 'ES' },
            { label => 'fr', match => 'any', conditions => [ { field => 'country', operator => '=', value => 'FR' }, { field => 'amount', operator => '>', value => 400 } ] } ] } ],
        [ 'mask', 'add_field', { fieldName => 'note', fieldType => 'text', defaultValue => 'x' } ],
        [ 'load_es', 'target', { schema => 'spain' } ], [ 'load_fr', 'target', { schema => 'france' } ], [ 'load', 'target', {} ] ],
    [ 'read>positive', 'positive>split', 'split>load:otherwise', 'split>load_fr:fr', 'split>mask:es', 'mask>load_es' ]);
my $run = $k->run('ways');
is(counters($run), 'success|6|5|0|1', 'three ways: counters');
is($k->sql('SELECT string_agg(id::text, \',\' ORDER BY id) FROM ds_spain'), '1,5', 'the first route that holds takes the row, though another would too');
is($k->sql('SELECT string_agg(id::text, \',\' ORDER BY id) FROM ds_france'), '2', 'the second takes what is left');
is($k->sql('SELECT string_agg(id::text, \',\' ORDER BY id) FROM ds_others'), '3,4', 'otherwise takes the rest, nulls too');
is($k->node_counts($run), 'read 6/6/0 positive 6/5/0 split 5/5/0 mask 2/2/0 load_es 2/2/0 load_fr 1/1/0 load 2/2/0', 'three ways: rows at each node');

# Without otherwise the rest is filtered, at the branch.
$k->make_schema('only', 'id integer', 'country');
$k->make_graph('rest', 'only', [ [ 'read', 'source', { resource => 'people.csv' } ],
        [ 'split', 'branch', { routes => [ { label => 'es', field => 'country', operator => '=', value => 'ES' } ] } ], [ 'load', 'target' ] ],
    [ 'read>split', 'split>load:es' ]);
$run = $k->run('rest');
is(counters($run), 'success|6|2|0|4', 'no route: filtered');
is($k->node_counts($run), 'read 6/6/0 split 6/2/0 load 2/2/0', 'no route: counted at the branch');

# ---- branches behind branches; two ways into one target

$k->write_rows('numbers.csv', 5000, sub { "$_[0]," . ($_[0] % 7) }, 'id,n');
$k->make_schema('low', 'id integer', 'n integer', 'way');
$k->make_schema('high', 'id integer', 'n integer', 'way');
my $way = sub { [ $_[0], 'add_field', { fieldName => 'way', fieldType => 'text', defaultValue => $_[0] } ] };
$k->make_graph('nested', 'low',
    [ [ 'read', 'source', { resource => 'numbers.csv' } ],
        [ 'outer', 'branch', { routes => [ { label => 'small', field => 'n', operator => '<', value => 4 }, { label => 'five', field => 'n', operator => '=', value => 5 } ] } ],
        [ 'inner', 'branch', { routes => [ { label => 'zero', field => 'n', operator => '=', value => 0 }, { label => 'two', field => 'n', operator => '=', value => 2 } ] } ],
        $way->('a'), $way->('b'), $way->('c'), [ 'odd', 'filter', { field => 'id', operator => '!=', value => 5 } ],
        [ 'to_low', 'target', { schema => 'low' } ], [ 'to_high', 'target', { schema => 'high' } ] ],
    [ 'read>outer', 'outer>inner:small', 'outer>c:five', 'inner>a:zero', 'inner>b:two', 'a>to_low', 'b>to_high', 'c>odd', 'odd>to_high' ]);
$run = $k->run('nested');
is($k->sql("SELECT way || n || ' ' || count(*) FROM ds_low GROUP BY way, n"), 'a0 714', 'nested: one way to the first table');
is($k->sql("SELECT string_agg(w, ' ' ORDER BY w) FROM (SELECT way || n || ' ' || count(*) AS w FROM ds_high GROUP BY way, n) AS q"), 'b2 715 c5 713',
    'nested: two ways to the second');
is($k->node_counts($run), 'read 5000/5000/0 outer 5000/3572/0 inner 2858/1429/0 a 714/714/0 b 715/715/0 c 714/714/0 odd 714/713/0 to_low 714/714/0 to_high 1428/1428/0',
    'nested: rows at each node; a row the inner branch refuses does not go back to the outer one');
is($run->{rows_filtered}, 5000 - 714 - 1428, 'nested: the others are filtered');

# ---- types: each way's own

# a is cast on one way only, and text in the other table: leading zeros stay there.
$k->write_csv('typed.csv', [qw(id a b)], [ 1, '007', '1' ], [ 2, '008', '2' ]);
$k->make_schema('numbers', 'id integer', 'a integer', 'b integer');
$k->make_schema('texts', 'id integer', 'a', 'b bigint');
$k->make_graph('typed', 'numbers', [ [ 'read', 'source', { resource => 'typed.csv' } ],
        [ 'split', 'branch', { routes => [ { label => 'one', field => 'id', operator => '=', value => 1 } ] } ],
        [ 'cast', 'cast', { field => 'a', targetType => 'integer' } ], [ 'load', 'target' ], [ 'keep', 'target', { schema => 'texts' } ] ],
    [ 'read>split', 'split>cast:one', 'cast>load', 'split>keep:otherwise' ]);
is($k->run('typed')->{status}, 'success', 'a cast on one way: loads');
is($k->sql('SELECT a, b FROM ds_numbers') . ' ' . $k->sql('SELECT a, b FROM ds_texts'), '7|1 008|2', 'a cast on one way is not seen on the other');

# ---- bad rows: at their node, of their way

$k->write_csv('bad.csv', [qw(id n d)], [ 1, 1, 0 ], [ 2, 2, 0 ], [ 'x', 1, 1 ], [ 4, 1, 1 ], [ 5, 'y', 1 ], [ 6, 2, 4 ]);
$k->make_schema('first', 'id integer', 'q numeric');
$k->make_schema('second', 'id integer', 'q numeric');
$k->make_graph('bad', 'first', [ [ 'read', 'source', { resource => 'bad.csv' } ],
        [ 'split', 'branch', { routes => [ { label => 'one', field => 'n', operator => '=', value => 1 } ] } ],
        [ 'over', 'add_field', { fieldName => 'q', fieldType => 'numeric', expression => '1 / d::numeric' } ],
        [ 'less', 'add_field', { fieldName => 'q', fieldType => 'numeric', expression => '1 / (d::numeric - 4)' } ],
        [ 'load', 'target' ], [ 'also', 'target', { schema => 'second' } ] ],
    [ 'read>split', 'split>over:one', 'over>load', 'split>less:otherwise', 'less>also' ], { errorHandling => 'skip' });
$run = $k->run('bad');
is(counters($run), 'partial|6|2|4|0', 'bad rows: counters');
is(join(' ', map { "$_->{line}:$_->{node_id}:$_->{sqlstate}" } $k->errors($run->{run_id})), '2:over:22012 4:load:22P02 6:split:22P02 7:less:22012',
    'bad rows: the node on the row\'s own way');
is($k->sql('SELECT id FROM ds_first') . ' ' . $k->sql('SELECT id, trunc(q, 2) FROM ds_second'), '4 2|-0.25', 'bad rows: the others are loaded');
is($k->node_counts($run), 'read 6/6/0 split 6/5/1 over 3/2/1 less 2/1/1 load 2/1/1 also 1/1/0', 'bad rows: counted where they are');

# ---- filters: each counts its own, and an earlier one protects a later one

$k->make_schema('kept', 'id integer', 'n integer');
$k->make_graph('filters', 'kept', [ [ 'read', 'source', { resource => 'numbers.csv' } ],
        [ 'expensive', 'filter', { match => 'any', conditions => [ { field => 'n', operator => 'in', value => [ 1, 2, 3 ] }, { field => 'n', operator => 'like', value => '4%' } ] } ],
        [ 'cheap', 'filter', { field => 'n', operator => '=', value => 3 } ], [ 'few', 'filter', { field => 'id', operator => '<', value => 100 } ], [ 'load', 'target' ] ],
    [ 'read>expensive', 'expensive>cheap', 'cheap>few', 'few>load' ]);
$run = $k->run('filters');
is($k->node_counts($run), 'read 5000/5000/0 expensive 5000/2858/0 cheap 2858/714/0 few 714/14/0 load 14/14/0', 'filters: each its own rows');

$k->write_csv('zero.csv', [qw(id n)], [ 1, 0 ], [ 2, 2 ], [ 3, 1 ]);
$k->make_graph('protect', 'kept', [ [ 'read', 'source', { resource => 'zero.csv' } ],
        [ 'no_zero', 'filter', { match => 'all', conditions => [ { field => 'n', operator => 'like', value => '_' }, { field => 'n', operator => '!=', value => 0 } ] } ],
        [ 'inverse', 'add_field', { fieldName => 'i', fieldType => 'integer', expression => '2 / n::int' } ],
        [ 'one', 'filter', { field => 'i', operator => '=', value => 1 } ], [ 'load', 'target' ] ],
    [ 'read>no_zero', 'no_zero>inverse', 'inverse>one', 'one>load' ]);
$run = $k->run('protect');
is(counters($run), 'success|3|1|0|2', 'a filter keeps a row from an expression that would fail for it');
is($k->node_counts($run), 'read 3/3/0 no_zero 3/2/0 inverse 2/2/0 one 2/1/0 load 1/1/0', 'and counts it');

# A condition that PostgreSQL sees is never true still counts where it stands.
$k->make_graph('never', 'kept', [ [ 'read', 'source', { resource => 'numbers.csv' } ], [ 'some', 'filter', { field => 'n', operator => '>', value => 4 } ],
        [ 'const', 'add_field', { fieldName => 'k', fieldType => 'integer', defaultValue => 1 } ], [ 'never', 'filter', { field => 'k', operator => '=', value => 2 } ],
        [ 'after', 'filter', { field => 'id', operator => '>', value => 7 } ], [ 'load', 'target' ] ],
    [ 'read>some', 'some>const', 'const>never', 'never>after', 'after>load' ]);
$run = $k->run('never');
is($k->node_counts($run), 'read 5000/5000/0 some 5000/1428/0 const 1428/1428/0 never 1428/0/0 after 0/0/0 load 0/0/0', 'a condition that is never true');

# What fails is the node that wrote it, though PostgreSQL sees one expression.
$k->make_graph('fused', 'kept', [ [ 'read', 'source', { resource => 'zero.csv' } ],
        [ 'a', 'add_field', { fieldName => 'a', fieldType => 'integer', expression => '6 / n::int' } ],
        [ 'b', 'add_field', { fieldName => 'b', fieldType => 'integer', expression => '6 / (a - 3)' } ],
        [ 'c', 'filter', { field => 'b', operator => '>', value => 0 } ], [ 'load', 'target' ] ],
    [ 'read>a', 'a>b', 'b>c', 'c>load' ], { errorHandling => 'skip' });
$k->sql('TRUNCATE ds_kept');
$run = $k->run('fused');
is(join(' ', map { "$_->{line}:$_->{node_id}" } $k->errors($run->{run_id})), '2:a 3:b', 'fused expressions: each error at its node');

# ---- one commit for all tables

$k->sql("CREATE FUNCTION no_nine() RETURNS trigger LANGUAGE plpgsql AS \$\$BEGIN IF NEW.id = 4998 THEN RAISE EXCEPTION 'no'; END IF; RETURN NEW; END\$\$");
$k->sql('CREATE TRIGGER t BEFORE INSERT ON ds_second FOR EACH ROW EXECUTE FUNCTION no_nine()');
$k->sql('TRUNCATE ds_first, ds_second');
$k->make_graph('atomic', 'first', [ [ 'read', 'source', { resource => 'numbers.csv' } ],
        [ 'split', 'branch', { routes => [ { label => 'one', field => 'n', operator => '=', value => 1 } ] } ],
        [ 'load', 'target' ], [ 'also', 'target', { schema => 'second' } ] ], [ 'read>split', 'split>load:one', 'split>also:otherwise' ]);
$run = $k->run('atomic');
is($run->{status} . $k->sql('SELECT count(*) FROM ds_first') . $k->sql('SELECT count(*) FROM ds_second'), 'failed00', 'one table fails: none is changed');
is($k->run_row($run->{run_id})->{error_node}, 'also', 'and the run names the target');
$k->sql('DROP TRIGGER t ON ds_second');
$k->sql('CREATE TRIGGER t BEFORE INSERT ON ds_second FOR EACH ROW WHEN (NEW.id < 0) EXECUTE FUNCTION no_nine()');
$k->sql('CREATE TRIGGER t BEFORE INSERT ON ds_first FOR EACH ROW WHEN (NEW.id < 0) EXECUTE FUNCTION no_nine()');
$run = $k->run('atomic');
is(counters($run), 'success|5000|5000|0|0', 'two tables, both loaded the careful way');
is($k->sql('SELECT count(*) FROM ds_first') . ' ' . $k->sql('SELECT count(*) FROM ds_second'), '715 4285', 'each has its own rows');

# The owner needs rights on every table.
$k->sql("CREATE ROLE loader LOGIN; GRANT kaireon_admin TO loader; GRANT CREATE ON SCHEMA public TO loader");
$k->sql("SET ROLE loader; SELECT kaireon.create_connector('mine', 'local_fs', " . $k->json({ basePath => $k->files }) . '); '
      . "SELECT kaireon.create_schema('own', '[{\"name\": \"id\", \"dataType\": \"integer\", \"isPrimaryKey\": true}]')");
my $foreign = "SET ROLE loader; SELECT kaireon.create_pipeline('foreign', 'mine', 'own', " . $k->json([ { id => 'r', type => 'source', config => { resource => 'numbers.csv' } },
            { id => 't', type => 'target', config => { schema => 'second' } } ]) . ')';
like($k->sql_error($foreign), qr/permission denied for schema "second"/, 'another one\'s schema is no target');
$k->sql("UPDATE kaireon_internal.schema SET owner = 'loader' WHERE name = 'second'; GRANT INSERT ON ds_second TO loader; $foreign");
$k->sql('REVOKE INSERT ON ds_second FROM loader');
$run = $k->run('foreign');
is("$run->{status} $run->{error_code}", 'failed 42501', 'nor is a table that the owner may not write');
$k->sql("UPDATE kaireon_internal.schema SET owner = 'postgres' WHERE name = 'second'; GRANT INSERT ON ds_second TO loader");
$run = $k->run('foreign');
is("$run->{status} $run->{error_code}", 'failed 42501', 'nor a schema that is another one\'s by now');

$k->settled('branches');
ok($k->same_postmaster, 'the server lived');
done_testing();
