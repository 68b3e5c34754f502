# Calls that compare all of one text with all of another take a time that is
# bounded: what PostgreSQL can't be interrupted in is done in another way, or
# is a bad row.  The results are PostgreSQL's.
use strict;
use warnings;
use Kaireon;
use Test::More;

my $k = Kaireon->new('expression_time', conf => "kaireon.expression_timeout = '60s'\n");
my @fields = ({ name => 'n', dataType => 'integer', isPrimaryKey => \1 }, { name => 'v', dataType => 'text' }, { name => 'o', dataType => 'text' });
my $made = 0;

$k->write_csv('in.csv', [qw(n v)], [ 1, 'x' ], [ 2, 'a' ]);

# made(EXPRESSION or NODE): what a pipeline makes of the rows: the values, and of bad rows SQLSTATE and reason.
sub made
{
    my ($what) = @_;
    my $name = 't' . ++$made;
    $k->make($name, fields => \@fields, source => { resource => 'in.csv' }, target => { validation => 'skip' }, execution => { errorHandling => 'skip' },
        nodes => [ ref $what ? $what : { id => 'x', type => 'expression', config => { outputField => 'o', expression => $what } } ]);
    my $run = $k->run($name);
    return join ' ', $k->sql("SELECT coalesce(string_agg(coalesce(o, '~'), ' ' ORDER BY n), '-') FROM ds_$name"), map { "$_->{line}:$_->{sqlstate}:$_->{reason}" } $k->errors($run->{run_id});
}

# ---- texts that are made to be searched slowly: each of these took minutes

my $long = 'repeat(v, 1000000)';
my $half = 'repeat(v, 500000)';
for my $test (
    [ "strpos($long, 'b' || $half)", '0 0' ], [ "position('b' || $half in $long)", '0 0' ], [ "strpos($long || 'b' || $half, 'b' || $half)", '1000001 1000001' ],
    [ "strpos('\x{e9}' || $long || 'b' || $half, 'b' || $half)", '1000002 1000002' ],
    [ "position(('b' || $half)::bytea in $long\::bytea)", '0 0' ],
    [ "length(replace($long || 'b' || $half || 'c', 'b' || $half, 'yy'))", '1000003 1000003' ],
    [ "$long like '%' || $half || 'b'", 'false false' ], [ "$long like '%' || $half || 'b%'", 'false false' ], [ "$long not like '%' || $half || 'b%'", 'true true' ],
    [ "$long like '%' || $half || '%' || $half", 'true true' ], [ "$long like '%' || $half || '%' || $half || v", 'false false' ],
    [ "$long like $half || '%'", 'true true' ], [ "$long like $long", 'true true' ], [ "$long like $half", 'false false' ],
    [ "($long || '%_') like '%' || $half || '\\%\\_'", 'true true' ], [ "$long ilike '%' || upper($half) || '%'", 'true true' ], [ "upper($long) not ilike $half || '%b'", 'true true' ],
    [ "not ($long like any (array['b', '%' || $half || 'b']))", 'true true' ], [ "$long like all (array['%' || $half || 'b', null])", 'false false' ],
    [ "$long like any (array['%' || $half || 'b', null])", '~ ~' ])
{
    my ($expression, $expected) = @$test;
    is(made("($expression)::text"), $expected, $expression);
}
is(made({ id => 'f', type => 'filter', config => { field => 'v', operator => 'contains', value => 'x' } }), '~', 'a filter');

# ---- those that are refused

for my $test (
    [ "$long like '%_' || $half || 'b'", 'LIKE with _ in its pattern' ], [ "split_part($long, 'b' || $half, 2)", 'split_part()' ],
    [ "array_length(string_to_array($long, 'b' || $half), 1)", 'string_to_array()' ], [ "length(translate($long, repeat('b', 500000), ''))", 'translate()' ],
    [ "length(btrim($long, repeat('b', 500000)))", 'trim()' ], [ "length(ltrim($long, repeat('b', 500000)))", 'ltrim()' ], [ "length(trim(trailing repeat('b', 500000) from $long))", 'rtrim()' ],
    [ "string_to_array(repeat(v || ',', 100000), ',') @> string_to_array(repeat('b,', 100000), ',')", '@>' ],
    [ "string_to_array(repeat(v || ',', 100000), ',') && string_to_array(repeat('b,', 100000), ',')", '&&' ],
    [ "to_jsonb(string_to_array(repeat(v || ',', 100000), ',')) @> to_jsonb(string_to_array(repeat('b,', 100000), ','))", '@>' ],
    [ "not (to_jsonb(string_to_array(repeat(v || ',', 100000), ',')) @> any (array[to_jsonb(string_to_array(repeat('b,', 100000), ','))]))", '@>' ],
    [ "to_jsonb(string_to_array(repeat(v || ',', 100000), ',')) ?| string_to_array(repeat('b,', 100000), ',')", '?|' ])
{
    my ($expression, $what) = @$test;
    is(made("($expression)::text"), "- 2:54000:$what may take too long for values of this size 3:54000:$what may take too long for values of this size", $expression);
}
like($k->sql_error('SELECT kaireon.create_pipeline(\'const\', \'files\', \'t1\', '
          . $k->json([ { id => 'read', type => 'source', config => { resource => 'in.csv' } },
                { id => 'x', type => 'expression', config => { outputField => 'o', expression => "translate(repeat('a', 1000000), repeat('b', 500000), '')" } }, { id => 'load', type => 'target' } ]) . ')'),
    qr/may take too long for values of this size/, 'constants are refused when the pipeline is made');

# ---- of ordinary sizes they are PostgreSQL's

for my $expression ("strpos('abcbc', 'bc')", "position('' in 'abc')", "position('c'::bytea in 'abc'::bytea)", "position(''::bytea in 'abc'::bytea)", "'abc' like 'a%'", "'abc' not like '_b_'", "'ABC' ilike '%b%'",
    "'abc' not ilike 'B%'", "'abc'::bpchar(5) like 'abc'", "'abc'::bpchar(5) like 'abc  '", "'abc'::varchar like 'a_c'", "'a'::name like 'a'", "'a_c' like 'a\\_c'", "'abc' like any (array['x', 'a%'])",
    "'abc' like all (array['x', 'a%'])", "'abc' not like all (array['x', 'y'])", "not ('abc' ilike any (array['x', null]))", "'abc'::bytea like 'a%'::bytea", "'abc'::bytea not like any (array['a%'::bytea])",
    "split_part('a,b,c', ',', -1)", "string_to_array('a,b,c', ',')::text", "string_to_array('a,b,c', ',', 'b')::text", "string_to_array('abc', null)::text", "translate('a.b', '.', ',')",
    "btrim('xax', 'x')", "rtrim('xax', 'x')", "ltrim('xax', 'x')", "btrim('xax'::bytea, 'x'::bytea)::text", "replace('aXbX', 'X', 'yy')", "replace('abc', '', 'y')",
    "array[1, 2] @> array[2]", "array[1, 2] <@ array[2]", "array['a', 'b'] && array['b']", "'{\"a\": [1, 2]}'::jsonb \@> '{\"a\": [2]}'", "'[1]'::jsonb <@ '[1, 2]'", "('{\"a\": 1, \"b\": 2}'::jsonb - array['a'])::text",
    "'[\"a\"]'::jsonb ?| array['a', 'b']", "'[\"a\"]'::jsonb ?& array['a', 'b']", "'abc' like null", "'{\"a\": 1}'::jsonb \@> any (array['{}'::jsonb])")
{
    my $expected = $k->sql("SELECT coalesce(($expression)::text, '~')");
    is(made("case when v is not null then ($expression)::text end"), "$expected $expected", $expression);
}

$k->settled('expression_time');
ok($k->same_postmaster, 'the server lived');
done_testing();
