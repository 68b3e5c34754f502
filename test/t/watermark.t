# Loading strategy incremental_watermark: rows up to the mark are left out, the
# mark moves in the load's transaction to the greatest value that was loaded, and
# nothing that was not loaded moves it.
use strict;
use warnings;
use Kaireon;
use Test::More;

my $k = Kaireon->new('watermark');

sub load
{
    my ($name, $file, @lines) = @_;
    $k->write_file("$file.csv", join("\n", @lines) . "\n");
    return $k->run($name);
}

# counts(RUN): read = new, updated, merged, left out, bad.
sub counts
{
    my ($run) = @_;
    return "$run->{status}: $run->{rows_read} = " . join ' ', map { $run->{"rows_$_"} } qw(loaded updated merged filtered skipped);
}

sub mark { return $k->sql("SELECT coalesce(string_agg(node_id || ' ' || kind || ' ' || field || ' ' || mark, ', '), '-') FROM kaireon.source_state WHERE pipeline = '$_[0]' AND kind = 'watermark'"); }
sub ids  { return $k->sql("SELECT coalesce(string_agg(id || coalesce(v, ''), ' ' ORDER BY id, v), '') FROM ds_$_[0]"); }

# ---- appending

$k->make_schema('events', 'key integer', 'v', 'changed timestamptz');
$k->make('events', schema => 'events', source => { resource => 'events.csv' }, target => { loadingStrategy => 'incremental_watermark', watermarkField => 'changed', validation => 'skip' },
    execution => { errorHandling => 'skip' });
sub keys_of { return $k->sql('SELECT string_agg(key::text, $$ $$ ORDER BY key, id) FROM ds_events'); }
is(mark('events'), '-', 'no mark at first');
my $run = load('events', 'events', 'key,v,changed', '1,a,2024-01-02 00:00:00.5+00', '2,b,2024-01-03 00:00:00.000001+00', '3,c,2024-01-01');
is(counts($run), 'success: 3 = 3 0 0 0 0', 'the first run loads all');
is($run->{loading_strategy}, 'incremental_watermark', 'the run says how');
is(mark('events'), 'load watermark changed 2024-01-03 00:00:00.000001+00', 'and leaves the greatest value');
$run = load('events', 'events', 'key,v,changed', '1,a,2024-01-02 00:00:00.5+00', '2,b,2024-01-03 00:00:00.000001+00', '4,d,2024-01-05', '5,e,2024-01-04', '6,f,2024-01-03');
is(counts($run), 'success: 5 = 2 0 0 3 0', 'then only what is greater, in whatever order; the others count as filtered');
is($k->node_counts($run), 'read 5/5/0 load 5/2/0', 'at the target');
is(keys_of(), '1 2 3 4 5', 'the table');
is(mark('events'), 'load watermark changed 2024-01-05 00:00:00+00', 'the mark follows');
$run = load('events', 'events', 'key,v,changed', '4,d,2024-01-05', '7,g,', '8,h,soon');
is(counts($run), 'partial: 3 = 0 0 0 1 2', 'a row without a value is bad, as is one that has none');
is(mark('events'), 'load watermark changed 2024-01-05 00:00:00+00', 'and neither moves the mark');

# What is not loaded does not move it.
$k->sql('ALTER TABLE ds_events ADD CHECK (key < 100), ADD CONSTRAINT v_key UNIQUE (v)');
$run = load('events', 'events', 'key,v,changed', '9,i,2024-01-06', '100,j,2024-01-09', '10,a,2024-01-08', '11,k,2024-01-07');
is(counts($run), 'partial: 4 = 2 0 0 0 2', 'rows that a constraint or a key refuses');
is(mark('events'), 'load watermark changed 2024-01-07 00:00:00+00', 'do not move the mark');
$k->sql(q[SELECT kaireon.update_pipeline('events', execution_config => '{"errorHandling": "fail"}')]);
$run = load('events', 'events', 'key,v,changed', '12,l,2024-02-01', '100,j,2024-02-02');
is("$run->{status} " . mark('events'), 'failed load watermark changed 2024-01-07 00:00:00+00', 'nor does a run that fails');
$run = load('events', 'events', 'key,v,changed', '12,l,2024-02-01');
is(counts($run), 'success: 1 = 1 0 0 0 0', 'the next run loads its rows');

# ---- with a key: updating

$k->make_schema('people', 'id integer', 'v', 'n bigint');
$k->make('people', schema => 'people', source => { resource => 'people.csv' },
    target => { loadingStrategy => 'incremental_watermark', watermarkField => 'n', keyFields => ['id'], validation => 'skip' }, execution => { errorHandling => 'dlq' });
is(counts(load('people', 'people', 'id,v,n', '1,a,9', '2,b,10', '1,c,8')), 'success: 3 = 2 0 1 0 0', 'with a key');
is(ids('people') . ' ' . mark('people'), '1c 2b load watermark n 10', 'the last of equal keys wins, the mark is the greatest number');
is(counts(load('people', 'people', 'id,v,n', '1,d,11', '2,x,10', '3,e,100')), 'success: 3 = 1 1 0 1 0', 'rows that are greater are new or update');
is(ids('people') . ' ' . mark('people'), '1d 2b 3e load watermark n 100', 'the table');

# Dead letters do not look at the mark, and do not move it.
$k->sql('ALTER TABLE ds_people ADD CONSTRAINT short CHECK (length(v) < 3)');
is(counts(load('people', 'people', 'id,v,n', '4,long,101', '5,f,102', '6,wide,300')), 'partial: 3 = 1 0 0 0 2', 'bad rows below and above the mark');
is(mark('people'), 'load watermark n 102', 'which is the greatest value loaded');
$k->sql('ALTER TABLE ds_people DROP CONSTRAINT short');
is(counts(($k->rows(q[SELECT * FROM kaireon.replay_dead_letters('people')]))[0]), 'success: 2 = 2 0 0 0 0', 'a replay loads them whatever the mark is');
is(ids('people') . ' ' . mark('people'), '1d 2b 3e 4long 5f 6wide load watermark n 102', 'and does not move it, since rows between may not have been read');

# ---- another strategy, and starting over

my $told = qr/the pipeline has loaded up to a watermark of field "n" at node "load", which it does not use any more/;
my ($status, $out, $warning) = $k->node->psql('postgres', q[SELECT kaireon.update_pipeline('people', nodes => '[{"id": "read", "type": "source", "config": {"resource": "people.csv"}}, {"id": "load", "type": "target", "config": {"loadingStrategy": "upsert"}}]')]);
like("$status $warning", qr/^0 .*WARNING:  $told.*HINT:  .*reset_source_state\('people'\)/s, 'a pipeline with a mark that gets another strategy: a warning');
like($k->sql(q[SELECT node_id, severity, code, message FROM kaireon.validate_pipeline('people')]), qr/^load\|error\|unused_state\|$told/, 'validate_pipeline says so');
($status, $out, $warning) = $k->node->psql('postgres', q[SELECT kaireon.publish_pipeline('people', 1)]);
is("$status $warning", '0 ', 'the version that uses it can be published');
($status, $out, $warning) = $k->node->psql('postgres', q[SELECT kaireon.update_pipeline('people', description => 'other'), kaireon.publish_pipeline('people')]);
like("$status $warning", qr/^0 .*WARNING:  $told/s, 'so can the other, with the warning');
$run = load('people', 'people', 'id,v,n', '1,z,1');
is("$run->{status} $run->{error_code}", 'failed 55000', 'a pipeline with a mark that gets another strategy does not run');
like("$run->{error_message} $run->{error_detail} $run->{error_hint}", qr/has loaded up to a watermark, which it does not use any more It is that of field "n" at node "load".*reset_source_state\('people'\)/, 'and says what to do');
my $entries = $k->sql(q[SELECT count(*) FROM kaireon.source_state WHERE pipeline = 'people']);
is($k->sql(q[SELECT kaireon.reset_source_state('people')]), $entries, 'the state is forgotten, of files and marks');
is(mark('people'), '-', 'there is none');
is($k->sql(q[SELECT count(*) FROM kaireon.validate_pipeline('people')]), 0, 'nor anything wrong with the pipeline');
is(counts($k->run('people')), 'success: 1 = 0 1 0 0 0', 'then it runs');

# Values that nothing is greater than, and another order of values.
$k->make('ends', fields => [ { name => 'key', dataType => 'integer' }, { name => 'n', dataType => $_->[0] } ], source => { resource => 'ends.csv' },
    target => { loadingStrategy => 'incremental_watermark', watermarkField => 'n' }, execution => { errorHandling => 'skip' }),
    $run = load('ends', 'ends', 'key,n', "1,$_->[1]", "2,$_->[2]", "3,$_->[1]"),
    is(counts($run) . " $run->{error_code}", "partial: 3 = 2 0 0 0 1 ", "$_->[0]: a row with $_->[2] is a bad one"),
    is(join(q( ), @{ ($k->errors($run->{run_id}))[0] }{qw(sqlstate reason)}), q(22003 endless value in field "n", which is the watermark), "$_->[0]: and why"),
    like(mark('ends'), qr/^load watermark n $_->[1]/, "$_->[0]: and does not move the mark"),
    $k->sql("SELECT kaireon.delete_pipeline('ends'); SELECT kaireon.delete_schema('ends')")
    for [ 'double', 5, 'NaN' ], [ 'real', 5, 'Infinity' ], [ 'numeric', 5, 'NaN' ], [ 'date', '2024-01-01', 'infinity' ], [ 'timestamptz', '2024-01-01', 'infinity' ];
$k->make('order', fields => [ { name => 'key', dataType => 'integer' }, { name => 'n', dataType => 'integer' } ], source => { resource => 'order.csv' },
    target => { loadingStrategy => 'incremental_watermark', watermarkField => 'n' });
is(counts(load('order', 'order', 'key,n', '1,9')), 'success: 1 = 1 0 0 0 0', 'a mark of an integer');
$k->sql(q[SELECT kaireon.alter_field('order', 'n', '{"dataType": "bigint"}')]);
is(counts(load('order', 'order', 'key,n', '1,9', '2,10')), 'success: 2 = 1 0 0 1 0', 'is one of a bigint');
$k->sql(q[SELECT kaireon.alter_field('order', 'n', '{"dataType": "text"}', true)]);
$run = load('order', 'order', 'key,n', '3,100');
is("$run->{status} $run->{error_code} $run->{error_message}", 'failed 55000 field "n" is of another type than when pipeline "order" loaded up to its watermark', 'but not of a text, whose order is another');
$k->sql(q[SELECT kaireon.reset_source_state('order')]);
is(counts($k->run('order')), 'success: 1 = 1 0 0 0 0', 'once it is forgotten, it runs');

# A run that is killed does not move it.
$k->sql(q[SELECT kaireon.reset_source_state('events'); TRUNCATE ds_events; ALTER TABLE ds_events DROP CONSTRAINT v_key]);
$k->write_rows('events.csv', 20000, sub { "$_[0],x,2024-01-01" }, 'key,v,changed');
$k->sql('ALTER TABLE ds_events DROP CONSTRAINT ds_events_key_check');
my $locker = $k->session;
$locker->query('BEGIN; LOCK TABLE ds_events IN SHARE MODE');
my $id = $k->start('events');
my $pid = $k->worker_pid($id);
ok($k->poll('the run to wait', "SELECT count(*) > 0 FROM pg_locks WHERE pid = $pid AND NOT granted"), 'a run waits for the table');
$k->sql("SELECT pg_terminate_backend($pid)");
is($k->wait_run($id), 'failed', 'and is ended');
is(mark('events'), '-', 'without a mark');
$locker->query('COMMIT');
$locker->close;
is(counts($k->run('events')), 'success: 20000 = 20000 0 0 0 0', 'the next run loads all');

# Viewers see that there is a mark, but no values.
$k->sql('CREATE ROLE viewer LOGIN; GRANT kaireon_viewer TO viewer');
is($k->sql(q[SET SESSION AUTHORIZATION viewer; SELECT field, mark IS NULL FROM kaireon.source_state WHERE pipeline = 'events' AND kind = 'watermark']), 'changed|t', 'viewers do not see the value');
$k->settled('in the end');
done_testing();
