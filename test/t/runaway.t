# A row whose evaluation does not end by itself: it is one bad row, wherever it
# is evaluated, and no more than that; the run goes on, and can be cancelled.
use strict;
use warnings;
use Kaireon;
use Test::More;

my $k = Kaireon->new('runaway', conf => "kaireon.expression_timeout = 200\n");
my $pattern = '(.+)(.+)(.+)(.+)\\4\\3\\1\\2\\2\\1q?$';
my $slow = 'abc' x 200;   # for this value the pattern runs for hours
my @fields = ({ name => 'n', dataType => 'integer', isPrimaryKey => \1 }, { name => 'v', dataType => 'text' });
my $skip = { target => { validation => 'skip' }, execution => { errorHandling => 'skip' } };

# counters(RUN): status, then loaded|skipped|filtered
sub counters { my ($run) = @_; return join '|', $run->{status}, map { $run->{"rows_$_"} } qw(loaded skipped filtered); }
sub bad { return join ' ', map { "$_->{line}:$_->{node_id}:$_->{sqlstate}:" . length($_->{value} // '') } $k->errors($_[0]->{run_id}); }

$k->write_csv('in.csv', [qw(n v)], [ 1, 'a' ], [ 2, $slow ], [ 3, 'b' ], [ 4, 'c' ]);
my $made = 0;

# chain(NODES): a pipeline of these nodes that leaves out bad rows; its name.
sub chain
{
    my ($nodes, %more) = @_;
    my $name = 'r' . ++$made;
    $k->make($name, fields => \@fields, source => { resource => $more{file} || 'in.csv' }, nodes => $nodes, %{ $more{strict} ? {} : $skip });
    return $name;
}

my $expression = { id => 'x', type => 'expression', config => { outputField => 'v', expression => "regexp_replace(v, '$pattern', '')" } };
my $run = $k->run(chain([$expression]));
is(counters($run) . ' ' . bad($run), 'partial|3|1|0 3:x:KA009:600', 'an expression: its row is a bad row');
is(($k->errors($run->{run_id}))[0]{reason}, 'the row took longer than kaireon.expression_timeout (200 ms)', 'with the reason');
is($k->count_identity($run->{run_id}), 't', 'and the counters add up');
$run = $k->run(chain([$expression], strict => 1));
is("$run->{status} $run->{error_code} " . $k->run_row($run->{run_id})->{error_node}, 'failed KA009 x', 'where bad rows are not left out, it fails the run');
$run = $k->run(chain([ { id => 'keep', type => 'validate', config => { rules => [ { field => 'v', rule => "regex:$pattern|^.\$", onFail => 'skip' } ] } } ]));
is(counters($run) . ' ' . bad($run), 'partial|3|1|0 3:keep:KA009:600', 'a rule');
$run = $k->run(chain([ { id => 'more', type => 'add_field', config => { fieldName => 'w', fieldType => 'text', expression => "v || 'x'" } },
        { id => 'match', type => 'add_field', config => { fieldName => 'm', fieldType => 'boolean', expression => "v ~ '$pattern'" } },
        { id => 'last', type => 'filter', config => { field => 'm', operator => '=', value => \0 } }, { id => 'fewer', type => 'drop', config => { fields => [ 'w', 'm' ] } } ]));
is(counters($run) . ' ' . bad($run), 'partial|3|1|0 3:match:KA009:600', 'fused nodes: the one whose expression it is');
$run = $k->run(chain([ $expression, { id => 'once', type => 'deduplicate', config => { keyFields => ['v'] } }, { %$expression, id => 'again' } ]));
is(counters($run) . ' ' . bad($run), 'partial|3|1|0 3:x:KA009:600', 'before a set node');

# A constraint of the table is evaluated with the row.
my $name = chain([]);
$k->sql("ALTER TABLE ds_$name ADD CONSTRAINT shape CHECK (v !~ '$pattern')");
$run = $k->run($name);
is(counters($run) . ' ' . ($k->errors($run->{run_id}))[0]{node_id}, 'partial|3|1|0 load', 'a check constraint of the target');

# Rows of a batch around it are evaluated once, and none is taken for it.
$k->write_rows('many.csv', 5000, sub { my $i = shift; $i . ',' . ($i % 1500 == 700 ? $slow : "v$i") }, 'n,v');
$run = $k->run(chain([$expression], file => 'many.csv'));
is(counters($run), 'partial|4997|3|0', 'several in many rows');
is(join(' ', map { $_->{line} } $k->errors($run->{run_id})), '701 2201 3701', 'and just these');

# A preview is no different.
is($k->sql("SELECT string_agg(p ->> 'n', ' ') FROM kaireon.preview_pipeline('r1') AS p"), '1 3 4', 'a preview shows the others');

# Not for days: when it is not one row, the run ends.
$k->write_rows('all.csv', 200, sub { "$_[0],$slow" }, 'n,v');
$run = $k->run(chain([$expression], file => 'all.csv'));
is("$run->{status} $run->{error_code} $run->{error_message}", 'failed KA009 10 rows took longer than kaireon.expression_timeout', 'ten of them end the run');
like($run->{error_detail}, qr/node "x".*line 11/, 'which says where');

# A cancel is a cancel, and without a limit the only way out.
$k->node->append_conf('postgresql.conf', "kaireon.expression_timeout = 0\n");
$k->node->reload;
my $started = $k->start('r1');
my $worker = $k->worker_pid($started);
$k->poll('the run to read', "SELECT stage = 'loading' FROM kaireon.progress WHERE run_id = '$started'");
is($k->sql("SELECT kaireon.cancel_run('$started')"), 't', 'a run that hangs in a row can be cancelled');
is($k->wait_run($started), 'cancelled', 'and ends');
$k->node->append_conf('postgresql.conf', "kaireon.expression_timeout = '1h'\n");
$k->node->reload;
$started = $k->start('r1');
$k->poll('the run to read', "SELECT stage = 'loading' FROM kaireon.progress WHERE run_id = '$started'");
$k->sql("SELECT kaireon.cancel_run('$started')");
is($k->wait_run($started), 'cancelled', 'also while it is watched');
my $session = $k->session;
$session->query("SET statement_timeout = '300ms'");
$session->query("SELECT count(*) FROM kaireon.preview_pipeline('r1')");
like($session->err, qr/canceling statement due to statement timeout/, 'a session\'s own timeout counts in a preview');
$session->close;

$k->settled('runaway');
ok($k->same_postmaster, 'the server lived');
done_testing();
