# A cast acts where it stands: nodes in front of it see the text, and a row that
# one of them takes away is no bad row; the source's spelling of numbers and
# dates counts there too.
use strict;
use warnings;
use Kaireon;
use Test::More;

my $k = Kaireon->new('casts');
my $n = 0;

$k->write_csv('g.csv', [ 'rid', 'g' ], [ 1, 'N/A' ], [ 1, '05' ], [ 2, '7' ], [ 3, 'x' ]);
$k->make_schema('o', 'rid', 'g', 'v');

# The nodes, each [type, config], between the source and schema o; what was
# loaded as "rid|g|v", and the rejects as "line node field sqlstate".
sub loaded
{
    my ($nodes, %o) = @_;
    my $name = 'p' . ++$n;
    my $i = 0;

    $k->make($name, schema => 'o', source => $o{source} || { resource => 'g.csv' }, nodes => [ map { { id => "n" . ++$i, type => $_->[0], config => $_->[1] } } @$nodes ],
        execution => { errorHandling => 'skip' });
    $k->sql('TRUNCATE ds_o');
    my $run = $k->run($name);
    my @errors = map { join ' ', map { $_ // '-' } @{$_}{qw(line node_id field sqlstate)} } $k->errors($run->{run_id});
    return join "\n", split(/\n/, $k->sql("SELECT concat_ws('|', rid, g, v) FROM ds_o ORDER BY id")), @errors;
}

my $cast = [ 'cast', { field => 'g', targetType => 'integer' } ];
my $once = [ 'deduplicate', { keyFields => ['rid'] } ];
my $no_na = [ 'filter', { field => 'g', operator => '!=', value => 'N/A' } ];

is(loaded([$cast]), "1|5\n2|7\n2 n1 g 22P02\n5 n1 g 22P02", 'straight from the source');
is(loaded([ [ 'rename', { sourceField => 'g', targetField => 'v' } ], [ 'cast', { field => 'v', targetType => 'integer' } ] ]),
    "1|5\n2|7\n2 n2 g 22P02\n5 n2 g 22P02", 'by another name');
like($k->sql("SELECT kaireon.explain_pipeline('p1')"), qr/g integer/, 'then the reader makes the type');
is(loaded([ $once, $cast ]), "2|7\n2 n2 g 22P02\n5 n2 g 22P02", 'deduplicate keeps the first row, whether or not it can be cast later');
is(loaded([ $cast, $once ]), "1|5\n2|7\n2 n1 g 22P02\n5 n1 g 22P02", 'the other way round the first that can');
is(loaded([ $no_na, $cast ]), "1|5\n2|7\n5 n2 g 22P02", 'a filter compares the text, and what it takes away is no bad row');
is(loaded([ [ 'filter', { field => 'g', operator => 'not_in', value => [ 'N/A', 'x' ] } ], $cast ]), "1|5\n2|7", 'the rubbish filtered, then cast');
is(loaded([ [ 'filter', { field => 'rid', operator => '!=', value => '1' } ], $cast ]), "2|7\n5 n2 g 22P02", 'a filter of another field takes bad cells away too');
is(loaded([ [ 'validate', { rules => [ { field => 'g', rule => 'regex:^[0-9]+$', onFail => 'skip' } ] } ], $cast ]),
    "1|5\n2|7\n2 n1 g 23514\n5 n1 g 23514", 'a rule in front is broken, not the cast');
is(loaded([ [ 'expression', { outputField => 'v', expression => "(g ~ '^0')::text" } ], $cast ]),
    "1|5|true\n2|7|false\n2 n2 g 22P02\n5 n2 g 22P02", 'an expression in front has the text');
is(loaded([ $cast, [ 'expression', { outputField => 'v', expression => '(g + 1)::text' } ] ]),
    "1|5|6\n2|7|8\n2 n1 g 22P02\n5 n1 g 22P02", 'one behind it the number');
is(loaded([ $no_na, [ 'aggregate', { groupByFields => ['rid'], aggregations => [ { field => 'g', function => 'sum', alias => 'v' } ] } ] ]),
    "1|5\n2|7\n5 n2 g 22P02", 'a sum behind a filter');

# ---- as the source spells it

$k->write_file('de.csv', "rid;g;v\n1;1.234,5;31.12.2024\n1;7;01.02.2024\n2;1,5;30.11.2024\n3;1.5;01.01.2024\n4;2;32.13.2024\n5;1.2345,0;01.01.2024\n");
my %german = (source => { resource => 'de.csv', delimiter => ';', decimalSeparator => ',', thousandsSeparator => '.', dateFormat => 'DD.MM.YYYY' });
my @both = ([ 'cast', { field => 'g', targetType => 'numeric' } ], [ 'cast', { field => 'v', targetType => 'date' } ]);
my $seen = [ 'expression', { outputField => 'w', expression => 'g || v' } ];
is(loaded([@both], %german), "1|1234.5|2024-12-31\n1|7|2024-02-01\n2|1.5|2024-11-30\n5 n1 g 22P02\n6 n2 v 22008\n7 n1 g 22P02", 'numbers and dates as the source writes them');
is(loaded([ $seen, @both ], %german), "1|1234.5|2024-12-31\n1|7|2024-02-01\n2|1.5|2024-11-30\n5 n2 g 22P02\n6 n3 v 22008\n7 n2 g 22P02", 'also where the text was looked at before');
is(loaded([ $once, @both ], %german), "1|1234.5|2024-12-31\n2|1.5|2024-11-30\n5 n2 g 22P02\n6 n3 v 22008\n7 n2 g 22P02", 'and behind a set node');
is(loaded([ [ 'filter', { field => 'g', operator => '>', value => 5 } ] ], %german), "1|1.234,5|31.12.2024\n1|7|01.02.2024\n5 n1 g 22P02\n7 n1 g 22P02",
    'and where text is compared with a number');

$k->settled('casts');
done_testing();
