# Conditions over what no row decides: a constant, the time of the transaction.
# PostgreSQL would look at them once and not at each row; each row is held to
# them all the same, and counted where they keep it out.
use strict;
use warnings;
use Kaireon;
use Test::More;

my $k = Kaireon->new('constants');
my @fields = ({ name => 'k', dataType => 'integer', isPrimaryKey => \1 }, { name => 'v', dataType => 'text' }, { name => 'o', dataType => 'text' });
my $made = 0;

$k->write_csv('in.csv', [qw(k v)], [ 1, 'a' ], [ 2, 'b' ]);

# chain(NODE...): a pipeline of nodes type => config; its name.
sub chain
{
    my @nodes = @_;
    my $name = 'c' . ++$made;
    my @made = map { { id => $_->[0] . ($_->[2] // ''), type => $_->[0], config => $_->[1] } } @nodes;
    $k->make($name, fields => \@fields, source => { resource => 'in.csv' }, nodes => \@made, target => { validation => 'skip' }, execution => { errorHandling => 'skip' });
    return $name;
}

# outcome(NODE...): the run's status and counters, and what it says of rows and checks.
sub outcome
{
    my $run = $k->run(chain(@_));
    return join ' ', $run->{status}, (map { $run->{"rows_$_"} } qw(loaded skipped filtered)),
      map { "$_->{severity}:$_->{node_id}:$_->{sqlstate}" } $k->errors($run->{run_id});
}

sub o { return [ 'expression', { outputField => 'o', expression => $_[0] } ]; }
sub filter { return [ 'filter', { field => 'o', operator => $_[0], @_ > 1 ? (value => $_[1]) : () }, $_[2] ]; }
sub rules { return [ 'validate', { rules => [@_] } ]; }
sub checks { return [ 'validate', { dataset => [@_] } ]; }
my $at = [ 'add_field', { fieldName => 'o', fieldType => 'timestamptz', expression => 'now()' } ];
my $text = [ 'cast', { field => 'o', targetType => 'text' } ];
my $fifty = [ 'add_field', { fieldName => 'o', fieldType => 'integer', defaultValue => 50 } ];
my $five = [ 'add_field', { fieldName => 'o', fieldType => 'integer', defaultValue => 5 } ];

is(outcome($at, filter('>', '2020-01-01'), $text), 'success 2 0 0', 'a filter by the time that holds');
is(outcome($at, filter('<', '2020-01-01'), $text), 'success 0 0 2', 'and one that does not');
is(outcome(o('now()::date::text'), filter('starts_with', '1999')), 'success 0 0 2', 'text of the time: starts_with');
is(outcome(o('now()::date::text'), filter('is_null')), 'success 0 0 2', 'is_null');
is(outcome(o('now()::date::text'), filter('is_not_null')), 'success 2 0 0', 'is_not_null');
is(outcome(o('nullif(now(), now())::text'), filter('=', 'x')), 'success 0 0 2', 'null is not true');
is(outcome(o('now()::text'), filter('is_not_null'), [ 'filter', { field => 'v', operator => '=', value => 'b' }, 'b' ]), 'success 1 0 1', 'beside a condition of each row');
is(outcome([ 'filter', { field => 'k', operator => '=', value => 2 } ], o('now()::text || v'), [ 'add_field', { fieldName => 'z', fieldType => 'timestamptz', expression => 'now()' } ],
        [ 'filter', { field => 'z', operator => '>', value => '2020-01-01' }, 'late' ], [ 'drop', { fields => ['z'] } ]), 'success 1 0 1', 'columns keep their places');
like($k->sql("SELECT k || v || o FROM ds_c$made"), qr/^2b\d{4}-.*b$/, 'and what is made of them its value');

# An error belongs to the rows it happens at.
is(outcome(o("(1 / (extract(epoch FROM now()) - extract(epoch FROM now())))::text"), filter('=', 'x')),
    'partial 0 2 0 error:expression:22012 error:expression:22012', 'an error of every row');
is(outcome([ 'filter', { field => 'v', operator => '=', value => 'a' }, 1 ], o("(1 / (extract(epoch FROM now()) - extract(epoch FROM now())))::text"), filter('=', 'x')),
    'partial 0 1 1 error:expression:22012', 'which an earlier filter keeps rows from');

# Rules.
is(outcome($fifty, rules({ field => 'o', rule => 'gt:10', onFail => 'skip' })), 'success 2 0 0', 'a rule that a constant keeps');
is(outcome($five, rules({ field => 'o', rule => 'gt:10', onFail => 'skip' })), 'partial 0 2 0 error:validate:23514 error:validate:23514', 'one that it breaks');
is(outcome($five, rules({ field => 'o', rule => 'gt:10', onFail => 'warn' })), 'success 2 0 0 warning:validate:23514 warning:validate:23514', 'which only warns');
is(outcome(rules({ rule => "expression:now() > '2020-01-01'", onFail => 'fail' })), 'success 2 0 0', 'a rule about the time');
is(outcome(rules({ rule => "expression:now() < '2020-01-01'", onFail => 'skip' })), 'partial 0 2 0 error:validate:23514 error:validate:23514', 'and its opposite');

# Checks on all rows.
my $failed = sub { my $run = $k->run(chain(@_)); return "$run->{status} $run->{error_code} " . ($run->{error_message} =~ s/.*failed: //r); };
is($failed->($five, checks({ check => 'sum', field => 'o', max => 9 })), 'failed KA008 10 is more than 9', 'a constant counts for each row in a sum');
is($failed->(o("'x'"), checks({ check => 'distinct_share', field => 'o', min => 0.9 })), 'failed KA008 0.5 is less than 0.9', 'and in a share');
is(outcome($at, checks({ check => 'freshness', field => 'o', maxAge => '1 day' }), $text), 'success 2 0 0', 'the time is fresh');

# A route of a branch.
$k->make_schema('way', 'k integer', 'v', 'o');
$k->make_graph('ways', 'way', [ [ 'read', 'source', { resource => 'in.csv' } ], [ 'x', @{ o("(now() > '2020-01-01')::text") } ],
        [ 'split', 'branch', { routes => [ { label => 'new', field => 'o', operator => '=', value => 'true' } ] } ], [ 'load', 'target', {} ] ],
    [ 'read>x', 'x>split', 'split>load:new' ]);
is($k->run('ways')->{rows_loaded}, 2, 'a route by the time');
is($k->sql("SELECT count(*) FROM kaireon.preview_pipeline('ways')"), 2, 'a preview agrees');

$k->settled('constants');
ok($k->same_postmaster, 'the server lived');
done_testing();
