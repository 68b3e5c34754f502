# "changedFiles" of an incremental source: what becomes of a file that is not as it
# was when it was loaded.
use strict;
use warnings;
use Kaireon;
use Test::More;

my $k = Kaireon->new('changed_files');
my $files = $k->files;
my $t = 1_700_000_000;
mkdir "$files/in";
my %source = (resource => 'in/*.csv', incremental => \1);

# put(NAME, TIME, VALUE...): a file with these rows that was changed then.
sub put
{
    my ($name, $time, @values) = @_;
    my $path = $k->write_file("in/$name.csv", "n\n" . join('', map { "$_\n" } @values));
    utime $t + $time, $t + $time, $path;
    return;
}

sub policy
{
    my ($policy, %execution) = @_;
    $k->sql("SELECT kaireon.update_pipeline('p', nodes => " . $k->json([ { id => 'read', type => 'source', config => { %source, $policy ? (changedFiles => $policy) : () } }, { id => 'load', type => 'target' } ])
        . ', execution_config => ' . $k->json(\%execution) . ')');
    return;
}

# ran(STATUS, VALUES, WHAT): a run, and what the table has then.
sub ran
{
    my ($status, $values, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $run = $k->run('p');
    is("$run->{status}: " . $k->sql("SELECT string_agg(n::text, ' ' ORDER BY n) FROM ds_p"), "$status: $values", $what) or diag($run->{error_message});
    return $run;
}

$k->make('p', fields => [ { name => 'n', dataType => 'integer' } ], source => \%source);
put('a', 0, 1);
put('b', 0, 2, 3);
ran('success', '1 2 3', 'two files');
put('b', 10, 4, 5);
ran('success', '1 2 3 4 5', 'a file that has changed is loaded anew, unless somebody says otherwise');

policy('ignore');
put('a', 20, 6);
put('c', 0, 7);
ran('success', '1 2 3 4 5 7', 'ignore: a file that was loaded is left alone, whatever becomes of it; a new one is loaded');
put('a', 30, 6, 6, 6);
ran('success', '1 2 3 4 5 7', 'once more');

policy('fail');
put('d', 0, 8);
my $run = ran('failed', '1 2 3 4 5 7', 'fail: nothing is loaded, no new file either');
is("$run->{error_code} $run->{error_message}", '55000 file "in/a.csv" has changed since it was loaded', 'the run names it');
is($run->{error_detail}, '"in/a.csv" had 4 bytes of 2023-11-14 22:13:20+00 and has 8 bytes of 2023-11-14 22:13:50+00 now.', 'and says what it was and is');
like($run->{error_hint}, qr/"reload".*"ignore"/, 'the hint has the other policies');
put('a', 0, 1);
ran('success', '1 2 3 4 5 7 8', 'put back as it was, it does not stand in the way');
put('b', 0, 2, 3);
ran('success', '1 2 3 4 5 7 8', 'nor does one that is as it was before the last time');
put("many$_", 0, 9) for 10 .. 21;
$run = ran('success', '1 2 3 4 5 7 8' . ' 9' x 12, 'twelve files');
put("many$_", 5, 9) for 10 .. 21;
$run = ran('failed', '1 2 3 4 5 7 8' . ' 9' x 12, 'all of them change');
is($run->{error_message}, '12 files have changed since they were loaded', 'the number of them');
my @said = split /\n/, $run->{error_detail};
is(scalar(@said) . ": $said[0]; $said[9]; $said[10]", '11: "in/many10.csv" had 4 bytes of 2023-11-14 22:13:20+00 and has 4 bytes of 2023-11-14 22:13:25+00 now.; '
      . '"in/many19.csv" had 4 bytes of 2023-11-14 22:13:20+00 and has 4 bytes of 2023-11-14 22:13:25+00 now.; So have 2 more.', 'the first ten by name');
policy('reload');
ran('success', '1 2 3 4 5 7 8' . ' 9' x 24, 'reload: as without a policy');

# A file of which a run has committed a part: where it has changed nobody knows where the rest begins.
$k->sql('TRUNCATE ds_p');
policy('ignore', commit => 'batch', batchSize => 2);
put('z', 0, 1 .. 5, 'bad');
$run = ran('failed', '1 2 3 4', 'a run that commits a part of a file');
put('z', 1, 1 .. 6);
$run = ran('failed', '1 2 3 4', 'ignore does not take that for loaded');
is("$run->{error_code} $run->{error_message}", '55000 file "in/z.csv" was changed', 'but says so');
policy('reload');
ran('success', '1 1 2 2 3 3 4 4 5 6', 'reload loads it from its beginning');

# What is said of it when the pipeline is made.
for my $case ([ { resource => 'in', changedFiles => 'fail' }, qr/"changedFiles" needs "incremental": true/ ],
    [ { %source, changedFiles => 'skip' }, qr/"skip" is not a valid value of key "changedFiles".*reload, ignore, fail/s ])
{
    like($k->sql_error("SELECT kaireon.update_pipeline('p', nodes => " . $k->json([ { id => 'read', type => 'source', config => $case->[0] }, { id => 'load', type => 'target' } ]) . ')'), $case->[1], 'refused');
}

$k->settled('at the end');
done_testing;
