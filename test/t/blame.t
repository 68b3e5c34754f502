# Whose a bad row is: the node whose work failed, with its field, its expression
# and what went into it, wherever the result goes; and which setting judges it.
use strict;
use warnings;
use Kaireon;
use Test::More;

my $k = Kaireon->new('blame');
my $n = 0;

$k->write_csv('n.csv', [ 'rid', 'g' ], [ 1, 2 ], [ 2, 0 ], [ 3, 'abc' ], [ 4, 8 ]);
$k->sql('SELECT kaireon.create_schema(' . "'o', " . $k->json([ (map { { name => $_, dataType => 'text' } } qw(rid g v)), { name => 'short', dataType => 'varchar', length => 3 },
        { name => 'num', dataType => 'integer' } ]) . ')');

# The nodes between n.csv and schema o, each [id, type, config]; the run's status
# and its rejects, "line node field sqlstate value expression".
sub blamed
{
    my ($nodes, $validation, $handling) = @_;
    my $name = 'p' . ++$n;

    $k->make($name, schema => 'o', source => { resource => 'n.csv' }, nodes => [ map { { id => $_->[0], type => $_->[1], config => $_->[2] } } @$nodes ],
        target => { validation => $validation }, execution => { errorHandling => $handling });
    my $run = $k->run($name);
    return join "\n", $run->{status}, map { join ' ', map { $_ // '-' } @{$_}{qw(line node_id field sqlstate value expression)} } $k->errors($run->{run_id});
}

sub expression { my ($id, $field, $text) = @_; return [ $id, 'expression', { outputField => $field, expression => $text } ]; }

my @both = ('3 x v 22012 0 ', '4 x v 22P02 abc ');
my $deduplicate = [ 'd', 'deduplicate', { keyFields => ['rid'] } ];
for my $to ('', '::text', '::numeric')
{
    my $x = expression('x', 'v', "(10/g::int)$to");
    my @errors = map { "$_(10/g::int)$to" } @both;
    is(blamed([$x], 'strict', 'skip'), join("\n", 'partial', @errors), "10/g::int$to into text: the expression's, judged by errorHandling");
    is(blamed([$x], 'skip', 'fail'), join("\n", 'failed', $errors[0]), "10/g::int$to into text: whatever validation says");
    is(blamed([$x], 'coerce', 'skip'), join("\n", 'partial', @errors), "10/g::int$to into text: also with coerce");
    is(blamed([ $deduplicate, $x ], 'strict', 'skip'), join("\n", 'partial', @errors), "10/g::int$to behind a set node");
    is(blamed([ $x, $deduplicate ], 'strict', 'skip'), join("\n", 'partial', @errors), "10/g::int$to in front of a set node");
}
is(blamed([ expression('x', 'num', '(10/g::int)::bigint') ], 'strict', 'skip'),
    join("\n", 'partial', '3 x num 22012 0 (10/g::int)::bigint', '4 x num 22P02 abc (10/g::int)::bigint'), 'another number');
is(blamed([ [ 'val', 'validate', { rules => [ { field => 'g', rule => 'length:1,9', onFail => 'skip' } ] } ], [ 'c', 'cast', { field => 'g', targetType => 'integer' } ] ],
        'strict', 'skip'), "partial\n4 c g 22P02 abc g as integer", 'a cast behind a rule, into text');
is(blamed([ expression('x', 'v', 'trim(g)'), [ 'c', 'cast', { field => 'v', targetType => 'integer' } ] ], 'strict', 'skip'),
    "partial\n4 c v 22P02 abc v as integer", 'a cast of what a node made, into text');

is(blamed([ expression('x', 'short', "repeat('x', rid::int)") ], 'skip', 'fail'), "partial\n5 load short 22001 4 -", 'what is too long is the target\'s');
is(blamed([ expression('x', 'num', "rid || '.5'") ], 'strict', 'skip'), "failed\n2 load num 22P02 1 -", 'what the target can\'t take is the target\'s');

is(blamed([ expression('x', 'v', 'rid::int/g::int') ], 'strict', 'skip'),
    "partial\n3 x v 22012 rid=2, g=0 rid::int/g::int\n4 x v 22P02 rid=3, g=abc rid::int/g::int", 'all that went into an expression');
is(blamed([ expression('x', 'q', '10/g::int'), expression('y', 'v', "rid || (q+1)::text") ], 'strict', 'skip'),
    "partial\n3 x q 22012 0 10/g::int\n4 x q 22P02 abc 10/g::int", 'in a chain the field, expression and value of the node that failed');
is(blamed([ expression('x', 'q', '10/g::int'), [ 'f', 'filter', { field => 'q', operator => '<', value => 100 } ] ], 'strict', 'skip'),
    "partial\n3 x q 22012 0 10/g::int\n4 x q 22P02 abc 10/g::int", 'also where a filter looks at it');
is(blamed([ [ 'f', 'filter', { field => 'g', operator => '<', value => 100 } ] ], 'strict', 'skip'), "partial\n4 f g 22P02 abc g < 100", 'a filter\'s own');
is(blamed([ [ 'val', 'validate', { rules => [ { rule => 'expression:g::int > 0', onFail => 'skip' } ] } ] ], 'strict', 'skip'),
    "partial\n3 val - 23514 0 -\n4 val g 22P02 abc expression:g::int > 0", 'a rule\'s');

$k->settled('pipelines');
done_testing();
