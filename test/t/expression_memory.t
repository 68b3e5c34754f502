# What expressions leave in memory is bounded, whatever they make: a batch goes
# to its table early when there is much, and one row that would take too much is
# a bad row.  Rows do not notice where their batch was cut.
use strict;
use warnings;
use Kaireon;
use Test::More;

my $k = Kaireon->new('expression_memory', conf => "kaireon.expression_timeout = 0\n");
my @fields = ({ name => 'n', dataType => 'integer', isPrimaryKey => \1 }, { name => 'v', dataType => 'text' }, { name => 'o', dataType => 'text' });
my $skip = { target => { validation => 'skip' }, execution => { errorHandling => 'skip' } };
my $made = 0;

# chain(FILE, NODES, MORE): a pipeline of these nodes; its name.
sub chain
{
    my ($file, $nodes, %more) = @_;
    my $name = 'e' . ++$made;
    $k->make($name, fields => \@fields, source => { resource => $file }, nodes => $nodes, %$skip, %more);
    return $name;
}

sub o { return { id => 'x' . ($_[1] // ''), type => 'expression', config => { outputField => 'o', expression => $_[0] } }; }
sub counters { my ($run) = @_; return join '|', $run->{status}, map { $run->{"rows_$_"} } qw(read loaded skipped filtered); }

# peak(PID): the most memory that a process has had, in kB.
sub peak { return PostgreSQL::Test::Utils::slurp_file("/proc/$_[0]/status") =~ /^VmHWM:\s+(\d+) kB/m ? $1 : 0; }

# ---- results that are in the way of nobody but the next row's

# The table's trigger holds the last row until the worker's memory has been looked at.
$k->write_rows('small.csv', 80, sub { "$_[0]," . 'x' x 1000 }, 'n,v');
my $name = chain('small.csv', [ o('length(repeat(v, 16000))::text') ]);
$k->sql("CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF NEW.n = 80 THEN PERFORM pg_advisory_xact_lock(4711); END IF; RETURN NEW; END';"
      . "CREATE TRIGGER hold BEFORE INSERT ON ds_$name FOR EACH ROW EXECUTE FUNCTION hold()");
my $holder = $k->session;
$holder->query('SELECT pg_advisory_lock(4711)');
my $run = $k->start($name);
my $worker = $k->worker_pid($run);
$k->poll('the last row', "SELECT EXISTS (SELECT FROM pg_locks WHERE pid = $worker AND locktype = 'advisory' AND NOT granted)");
my $peak = peak($worker);
cmp_ok($peak, '<', 400_000, 'results of 16 MB for each of 80 rows: the worker stays small');
$holder->query('SELECT pg_advisory_unlock(4711)');
is($k->wait_run($run), 'success', 'and loads them');
is($k->sql("SELECT count(*), min(o), max(o) FROM ds_$name"), '80|16000000|16000000', 'all');

# ---- where a batch is cut

# Values that stay are what they should be, and bad rows of every kind in between are counted once.
my @rows = map { my $i = $_; $i == 50 ? "'torn" : $i == 70 ? '35,x' : $i == 90 ? 'no,x' : "$i," . chr(97 + $i % 26) } 1 .. 120;
$k->write_file('mixed.csv', join("\n", 'n,v', @rows) . "\n");
my @mixed = ({ id => 'some', type => 'filter', config => { field => 'v', operator => '!=', value => 'e' } },
    o("case when v = 'h' then (1 / (length(v) - 1))::text else repeat(repeat(v, 1000), 900) end"));
$name = chain('mixed.csv', \@mixed);
$run = $k->run($name);
# ended(RUN): how its rows ended; a row that its table refuses is told when the table gets it.
sub ended { my ($r) = @_; return join ' ', counters($r), $k->node_counts($r), sort map { "$_->{line}:$_->{node_id}:$_->{sqlstate}" } $k->errors($r->{run_id}); }
my $whole = ended($run);
is($k->sql("SELECT count(*) FROM ds_$name WHERE o <> repeat(repeat(v, 1000), 900)"), 0, 'values are whole');
is($k->count_identity($run->{run_id}), 't', 'the counters add up');
$mixed[1] = o("case when v = 'h' then (1 / (length(v) - 1))::text else v end");
is($whole, ended($k->run(chain('mixed.csv', \@mixed))), 'rows end as they do in batches that are not cut');
my ($loaded) = $whole =~ /^partial\|\d+\|(\d+)/;
is($k->sql("SELECT count(*) FROM ds_$name"), $loaded, 'rows loaded are there');

# Other ways in: update by key, a set node, checks on all rows, a cell's second try, a preview.
$k->write_rows('many.csv', 100, sub { "$_[0],v$_[0]" }, 'n,v');
my $big = o('repeat(repeat(v, 1000), 300)');
$name = chain('many.csv', [$big], target => { loadingStrategy => 'upsert' });
$k->sql("INSERT INTO ds_$name (n, v) SELECT i, 'old' FROM generate_series(1, 40) AS i");
$run = $k->run($name);
is("$run->{status} $run->{rows_loaded} $run->{rows_updated} " . $k->sql("SELECT count(*) FROM ds_$name WHERE o = repeat(repeat(v, 1000), 300)"), 'success 60 40 100', 'an upsert');
$name = chain('many.csv', [ $big, { id => 'once', type => 'deduplicate', config => { keyFields => ['o'] } }, { id => 'back', type => 'expression', config => { outputField => 'o', expression => 'o || v' } } ]);
$run = $k->run($name);
is(counters($run) . ' ' . $k->sql("SELECT count(*) FROM ds_$name WHERE o = repeat(repeat(v, 1000), 300) || v"), 'success|100|100|0|0 100', 'a set node');
$name = chain('many.csv', [ $big, { id => 'check', type => 'validate', config => { dataset => [ { check => 'distinct_share', field => 'o', min => 1 },
                { check => 'row_count', min => 100, max => 100 }, { check => 'sum', field => 'n', min => 5050, max => 5050 } ] } } ]);
is(counters($k->run($name)), 'success|100|100|0|0', 'checks on all rows');
$k->write_rows('coerced.csv', 100, sub { "$_[0].0,v$_[0]" }, 'n,v');
$name = chain('coerced.csv', [$big], target => { validation => 'coerce' });
is(counters($k->run($name)) . ' ' . $k->sql("SELECT sum(n) FROM ds_$name WHERE o = repeat(repeat(v, 1000), 300)"), 'success|100|100|0|0 5050', 'cells that are tried twice');
is($k->sql("SELECT count(*) FROM kaireon.preview_pipeline('$name', 100) AS p WHERE length(p ->> 'o') > 300000"), 100, 'a preview');

# ---- one row that would take too much

my $sum = join ' + ', map { "length(repeat(v, 16000 - $_))" } 1 .. 60;
$k->write_csv('one.csv', [qw(n v)], [ 1, '' ], [ 2, 'x' x 1000 ], [ 3, '' ]);
$name = chain('one.csv', [ o("($sum)::text"), o("o || '.'", 2) ]);
$run = $k->run($name);
my @bad = $k->errors($run->{run_id});
is(counters($run) . ' ' . join(' ', map { "$_->{line}:$_->{node_id}:$_->{sqlstate}" } @bad), 'partial|3|2|1|0 3:x:54000', 'it is a bad row, of the node whose expression it is');
is($bad[0]{reason}, 'results of expressions for one row need too much memory', 'with the reason');

$k->settled('expression_memory');
ok($k->same_postmaster, 'the server lived');
done_testing();
