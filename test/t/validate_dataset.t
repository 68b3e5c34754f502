# Checks of validate nodes on all rows together: what each measures, that one
# that fails keeps everything from being loaded, which rows they look at, and
# that they add up while rows go by.
use strict;
use warnings;
use Kaireon;
use Test::More;

my $k = Kaireon->new('validate_dataset', conf => "kaireon.work_mem = '64kB'\n");
my @fields = ({ name => 'n', dataType => 'integer', isPrimaryKey => \1 }, { name => 'v', dataType => 'text' }, { name => 'a', dataType => 'numeric' }, { name => 'd', dataType => 'timestamptz' });
my $made = 0;

# checked(DATASET, ROWS, MORE): a pipeline whose node "check" has the checks for rows (v, a, d); its name.
sub checked
{
    my ($dataset, $rows, %more) = @_;
    my $name = 'd' . ++$made;

    $k->write_csv("$name.csv", [ 'n', 'v', 'a', 'd' ], map { [ $_ + 1, @{ $rows->[$_] }, (undef) x (3 - @{ $rows->[$_] }) ] } 0 .. $#$rows);
    $k->make($name, fields => \@fields, source => { resource => "$name.csv" }, nodes => [ @{ $more{before} || [] },
            { id => 'check', type => 'validate', config => { dataset => $dataset, $more{rules} ? (rules => $more{rules}) : () } }, @{ $more{behind} || [] } ],
        execution => $more{execution}, target => $more{target});
    return $name;
}

# outcome(NAME): status, and of a run that failed code and message.
sub outcome
{
    my ($name) = @_;
    my $run = $k->run($name);
    return $run->{status} . ($run->{error_code} ? " $run->{error_code} $run->{error_message}" : '');
}

my @rows = map { [ $_ % 4 ? "v$_" : undef, $_ / 2, "2024-01-0$_" ] } 1 .. 8;
my $failed = 'failed KA008 dataset check';
for my $test (
    [ { check => 'row_count', min => 8, max => 8 }, 'success' ], [ { check => 'row_count', min => 9 }, "$failed \"row_count\" failed: 8 is less than 9" ],
    [ { check => 'row_count', max => 7 }, "$failed \"row_count\" failed: 8 is more than 7" ],
    [ { check => 'null_share', field => 'v', max => 0.25 }, 'success' ], [ { check => 'null_share', field => 'v', max => 0.2 }, "$failed \"null_share\" of field \"v\" failed: 0.25 is more than 0.2" ],
    [ { check => 'null_share', field => 'a', max => 0 }, 'success' ],
    [ { check => 'distinct_share', field => 'v', min => 1 }, 'success' ],
    [ { check => 'sum', field => 'a', min => 18, max => 18 }, 'success' ], [ { check => 'sum', field => 'a', max => 17.5 }, "$failed \"sum\" of field \"a\" failed: 18 is more than 17.5" ],
    [ { check => 'avg', field => 'a', min => 2.25, max => 2.25 }, 'success' ], [ { check => 'avg', field => 'a', min => 2.5 }, "$failed \"avg\" of field \"a\" failed: 2.25 is less than 2.5" ],
    [ { check => 'freshness', field => 'd', maxAge => '1000 years' }, 'success' ],
    [ { check => 'freshness', field => 'd', maxAge => '1 day' }, "$failed \"freshness\" of field \"d\" failed: 2024-01-08 00:00:00+00 is older than 1 day" ],
    [ { check => 'row_count_change', min => 0, max => 0 }, 'success' ])
{
    my ($check, $expected) = @$test;
    my $name = checked([$check], \@rows);
    is(outcome($name), $expected, "$check->{check}: " . ($expected =~ s/.*failed: //r));
    is($k->sql("SELECT count(*) FROM ds_$name"), $expected eq 'success' ? 8 : 0, 'all or nothing is loaded');
}
is(outcome(checked([ { check => 'distinct_share', field => 'v', min => 0.6 } ], [ ['x'], ['y'], ['x'], [undef], ['x'] ])),
    "$failed \"distinct_share\" of field \"v\" failed: 0.5 is less than 0.6", 'distinct_share: of the values that are not null');
for my $bound ('min', 'max')
{
    is(outcome(checked([ { check => $_, field => 'a', $bound => 1 } ], [ [ 'x', 'NaN' ], [ 'x', 5 ] ])), "$failed \"$_\" of field \"a\" failed: NaN is not a number", "$_: NaN keeps no $bound") for 'sum', 'avg';
}
my $now = $k->sql("SELECT now() - interval '1 hour'");
is(outcome(checked([ { check => 'freshness', field => 'd', maxAge => '1 day' } ], [ [ 'x', 1, '2001-01-01' ], [ 'x', 1, $now ], [ 'x', 1, undef ] ])), 'success', 'freshness: of the latest');

# Nothing to look at: only the number of rows is known.
my @all = ({ check => 'null_share', field => 'v', max => 0 }, { check => 'distinct_share', field => 'v', min => 1 }, { check => 'sum', field => 'a', min => 1 },
    { check => 'avg', field => 'a', min => 1 }, { check => 'freshness', field => 'd', maxAge => '1 day' }, { check => 'row_count_change', min => 0 });
is(outcome(checked(\@all, [])), 'success', 'without rows they hold');
is(outcome(checked([ @all[ 1 .. 4 ] ], [ [], [] ])), 'success', 'and where all is null');
is(outcome(checked([ { check => 'row_count', min => 1 } ], [])), "$failed \"row_count\" failed: 0 is less than 1", 'but for the number of rows');

# All that fail are named; what only warns is kept and lets the run pass.
my $name = checked([ { check => 'sum', field => 'a', max => 1 }, { check => 'row_count', min => 9, onFail => 'warn' }, { check => 'null_share', field => 'v', max => 0.1 } ], \@rows);
my $run = $k->run($name);
is("$run->{status} " . $k->run_row($run->{run_id})->{error_node}, 'failed check', 'several: the run fails at the node');
is($run->{error_detail}, 'It is a check of node "check"; nothing was loaded. Others failed too: dataset check "null_share" of field "v" failed: 0.25 is more than 0.1.', 'and names the others');
is(join('; ', map { join ' ', $_->{severity}, $_->{node_id}, $_->{field} // '-', $_->{sqlstate}, $_->{value}, $_->{reason} =~ s/.*failed: //r, $_->{line} // '-' } $k->errors($run->{run_id})),
    'error check a KA008 18 18 is more than 1 -; warning check - KA008 8 8 is less than 9 -; error check v KA008 0.25 0.25 is more than 0.1 -', 'run_errors has all of them');
is($k->count_identity($run->{run_id}), 't', 'and the counters add up');
$name = checked([ { check => 'row_count', min => 9, onFail => 'warn' }, { check => 'avg', field => 'a', max => 1, onFail => 'warn' } ], \@rows);
$run = $k->run($name);
is("$run->{status} $run->{rows_loaded} " . join(' ', map { $_->{severity} } $k->errors($run->{run_id})), 'success 8 warning warning', 'warnings alone leave it a success');

# Against the run before.
$name = checked([ { check => 'row_count_change', min => -20, max => 50 } ], [ map { [$_] } 1 .. 10 ]);
is(outcome($name), 'success', 'the first run has nothing to compare with');
my $load = sub { $k->sql("TRUNCATE ds_$name"); $k->write_csv("$name.csv", [qw(n v a d)], map { [ $_, 'x', 1, undef ] } 1 .. $_[0]); return outcome($name); };
is($load->(7), "$failed \"row_count_change\" failed: -30 is less than -20", 'fewer');
is($load->(8), 'success', 'a run that failed is none to compare with');
is($load->(13), "$failed \"row_count_change\" failed: 62.5 is more than 50", 'more');
is($load->(0), "$failed \"row_count_change\" failed: -100 is less than -20", 'none');
$k->sql("SELECT kaireon.update_pipeline('$name', nodes => " . $k->json([ { id => 'read', type => 'source', config => { resource => "$name.csv" } },
        { id => 'check', type => 'validate', config => { dataset => [ { check => 'row_count_change', max => 50 } ] } }, { id => 'load', type => 'target' } ]) . ')');
is($load->(0), 'success', 'a run without rows');
is($load->(13), "$failed \"row_count_change\" failed: 62.5 is more than 50", 'is none to compare with');

# Against several runs before: their median.
$name = checked([ { check => 'row_count_change', min => -20, max => 20, runs => 3, onFail => 'warn' } ], [ map { [$_] } 1 .. 10 ]);
is(outcome($name), 'success', 'the first run has no runs to compare with');
sub warnings { return join ' ', map { "$_->{severity} $_->{value}" } $k->errors($k->sql("SELECT run_id FROM kaireon.runs WHERE pipeline = '$name' ORDER BY started_at DESC LIMIT 1")); }
for my $next ([ 20, 'warning 100' ], [ 11, '' ], [ 30, 'warning 172.7' ], [ 22, '' ], [ 12, 'warning -45.4' ])
{
    my ($count, $expected) = @$next;
    is($load->($count), 'success', "$count rows");
    like(warnings(), qr/^\Q$expected\E/, "$count rows: " . ($expected || 'no warning'));
    is(warnings(), '', "$count rows: none") if !$expected;
}

# ---- which rows: those that go out of the node

$name = checked([ { check => 'row_count', min => 3, max => 3 }, { check => 'sum', field => 'a', min => 12, max => 12 } ], [ [ 'no', 100 ], [ 'x', 3 ], [ 'x', 4 ], [ 'x', 5 ], [ 'x', -9 ], [ undef, 50 ] ],
    before => [ { id => 'some', type => 'filter', config => { field => 'v', operator => '!=', value => 'no' } } ], rules => [ { field => 'a', rule => 'gt:0', onFail => 'skip' } ],
    behind => [ { id => 'few', type => 'filter', config => { field => 'a', operator => '=', value => 4 } } ]);
$run = $k->run($name);
is("$run->{status} $run->{rows_loaded} $run->{rows_skipped} $run->{rows_filtered}", 'partial 1 1 4', 'rows that a filter before or a rule of the node keeps out do not count, those filtered out behind do');
is($k->node_counts($run), 'read 6/6/0 some 6/4/0 check 4/3/1 few 3/1/0 load 1/1/0', 'as the node\'s counts');

# A row that fails at a node before is none, though that shows only when the row is made; one that fails behind counts.
$name = checked([ { check => 'row_count', min => 3, max => 3 }, { check => 'sum', field => 'a', min => 6, max => 6 } ], [ [ '1', 1 ], [ '0', 10 ], [ '2', 2 ], [ '-', 3 ] ],
    before => [ { id => 'over', type => 'expression', config => { outputField => 'q', expression => "case when v = '0' then 1 / v::int end" } } ],
    behind => [ { id => 'number', type => 'expression', config => { outputField => 'v', expression => "(v::int + coalesce(q, 0))::text" } } ],
    target => { validation => 'skip' }, execution => { errorHandling => 'skip' });
$run = $k->run($name);
is("$run->{status} " . $k->node_counts($run), 'partial read 4/4/0 over 4/3/1 check 3/3/0 number 3/2/1 load 2/2/0', 'bad rows count where they came to');

# A value that is no number is a bad row; coerce's second try counts a row once.
$name = checked([ { check => 'sum', field => 'v', min => 3, max => 3 }, { check => 'row_count', min => 2, max => 2 } ], [ ['1'], ['x'], ['2'] ], execution => { errorHandling => 'skip' });
$run = $k->run($name);
is("$run->{status} $run->{rows_loaded} " . join(' ', map { "$_->{node_id} $_->{sqlstate} $_->{value}" } $k->errors($run->{run_id})), 'partial 2 check 22P02 x', 'text is added up as numbers');
$k->write_csv('coerce.csv', [qw(n v a d)], [ 1, 'x', '1', '' ], [ '2.0', 'y', '2', '' ], [ 3, 'z', '', '' ], [ 'no', 'z', '4', '' ]);
$k->make('coerce', schema => 'd1', source => { resource => 'coerce.csv' }, nodes => [ { id => 'check', type => 'validate', config => { dataset => [ { check => 'sum', field => 'a', min => 7, max => 7 },
                { check => 'null_share', field => 'a', min => 0.25, max => 0.25 }, { check => 'row_count', min => 4, max => 4 } ] } } ], target => { validation => 'coerce' });
$k->sql('TRUNCATE ds_d1');
is(outcome('coerce'), 'partial', 'mended rows count once, those that can\'t be mended at the target too');

# A branch behind, and two validate nodes on its ways.
$k->write_csv('w1.csv', [qw(n v a)], map { [ $_, $_ % 3 ? 'x' : 'y', $_ ] } 1 .. 3000);
$k->make_graph('ways', 'd1', [ [ 'read', 'source', { resource => 'w1.csv' } ],
        [ 'all', 'validate', { dataset => [ { check => 'row_count', min => 3000, max => 3000 }, { check => 'sum', field => 'a', min => 4501500, max => 4501500 }, { check => 'distinct_share', field => 'n', min => 1 } ] } ],
        [ 'kind', 'branch', { routes => [ { label => 'y', field => 'v', operator => '=', value => 'y' } ] } ],
        [ 'ys', 'validate', { dataset => [ { check => 'row_count', min => 1000, max => 1000 }, { check => 'sum', field => 'a', min => 1501500, max => 1501500 } ] } ],
        [ 'xs', 'validate', { dataset => [ { check => 'row_count', min => 2000, max => 2000 }, { check => 'avg', field => 'a', min => 1500, max => 1500 } ] } ], [ 'load', 'target' ], [ 'also', 'target', { schema => 'd2' } ] ],
    [ 'read>all', 'all>kind', 'kind>ys:y', 'kind>xs:otherwise', 'ys>load', 'xs>also' ]);
$k->sql('TRUNCATE ds_d1, ds_d2');
is(outcome('ways'), 'success', 'ways of a branch: each row once, at each node its own');

# With rules about all rows: what these leave out does not count.
$name = checked([ { check => 'row_count', min => 2, max => 2 }, { check => 'sum', field => 'a', min => 3, max => 3 } ], [ [ 'x', 1 ], [ 'x', 5 ], [ 'y', 2 ] ],
    rules => [ { field => 'v', rule => 'unique', onFail => 'skip' } ]);
is(outcome($name), 'partial', 'with a unique rule');

# Files with other columns are one set of rows.
$k->write_csv('o1.csv', [qw(n v a)], [ 1, 'x', 1 ], [ 2, 'y', 2 ]);
$k->write_csv('o2.csv', [qw(n a)], [ 3, 3 ]);
$k->make('others', schema => 'd1', source => { resource => 'o?.csv' }, nodes => [ { id => 'check', type => 'validate', config => { dataset => [ { check => 'sum', field => 'a', min => 6, max => 6 } ] } } ]);
$k->sql('TRUNCATE ds_d1');
is(outcome('others'), 'success', 'files with other columns');

# Many values, in little memory.
$k->write_rows('many.csv', 200_000, sub { my $i = shift; "$i," . ($i % 150_000) . ',1' }, 'n,v,a');
$k->make('many', schema => 'd1', source => { resource => 'many.csv' },
    nodes => [ { id => 'check', type => 'validate', config => { dataset => [ { check => 'distinct_share', field => 'v', min => 0.75, max => 0.75 }, { check => 'sum', field => 'a', min => 200000, max => 200000 } ] } } ]);
$k->sql('TRUNCATE ds_d1');
is(outcome('many'), 'success', 'distinct values on disk');

# Looking is not loading.
is($k->sql("SELECT count(*) FROM kaireon.preview_pipeline('d2')"), 8, 'a preview judges nothing');

$k->settled('validate_dataset');
ok($k->same_postmaster, 'the server lived');
done_testing();
