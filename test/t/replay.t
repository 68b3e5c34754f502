# Dead letters that are loaded later: as if their file were read again, each in
# the transaction that takes it away, in the order of the source, by the version
# that runs now; and which ones are left alone, and why.
use strict;
use warnings;
use Digest::MD5;
use Kaireon;
use Test::More;

my $k = Kaireon->new('replay', conf => "restart_after_crash = on\n");
my @fields = (
    { name => 'id', dataType => 'integer', isPrimaryKey => \1 }, { name => 'name', dataType => 'varchar', length => 5 },
    { name => 'amount', dataType => 'numeric', precision => 8, scale => 2 });
my @dlq = (execution => { errorHandling => 'dlq' });

# replay(PIPELINE, FILTER): the kaireon.run row as a hash reference.
sub replay
{
    my ($name, $filter, $database) = @_;
    return ($k->rows("SELECT * FROM kaireon.replay_dead_letters('$name', " . $k->json($filter || {}) . ')', $database))[0];
}

# counters(RUN): status, then read|loaded|skipped|filtered|merged
sub counters
{
    my ($run) = @_;
    return join '|', $run->{status}, map { $run->{"rows_$_"} } qw(read loaded skipped filtered merged);
}

# letters(PIPELINE, EXPRESSION): a line for each.
sub letters
{
    my ($pipeline, $expression) = @_;
    return $k->sql("SELECT $expression FROM kaireon.dead_letters WHERE pipeline = '$pipeline' ORDER BY id");
}

# edit(WHERE, RECORD): edits the letters for which it is true.
sub edit
{
    my ($where, $record) = @_;
    return $k->sql("SELECT count(kaireon.edit_dead_letter(id, $record)) FROM kaireon.dead_letters WHERE $where");
}

sub new_version { my ($name, %o) = @_; return $k->sql("SELECT kaireon.update_pipeline('$name'" . join('', map { ", $_ => " . $k->json($o{$_}) } sort keys %o) . ')'); }

# ---- a whole life

$k->write_file('life.csv', "id,name,amount,extra\n1,a,1.5,x\n2,b,many,y\n1,c,2,dup\n5,d,-1,check\n6,a\n8,\xff,1,\n,a,1,nokey\n10,d,1,fine\n");
$k->make('life', fields => \@fields, source => { resource => 'life.csv', incremental => \1 }, @dlq);
$k->sql('ALTER TABLE ds_life ADD CONSTRAINT positive CHECK (amount > 0)');
is(counters($k->run('life')), 'partial|8|2|6|0|0', 'a run leaves letters');
my $before = $k->sql('SELECT * FROM kaireon.source_state');
my $run = replay('life');
is(counters($run), 'partial|6|0|6|0|0', 'what was not mended is bad again');
is("$run->{trigger} $run->{version} $run->{bytes_read}", 'replay 1 0', 'the run tells what it was');
is(letters('life', "concat_ws(' ', line, attempts, last_run_id = '$run->{run_id}', last_tried_at IS NOT NULL)"), join("\n", map { "$_ 1 t t" } qw(3 5 6 7 8 4)), 'each was tried once');
is($k->sql("SELECT string_agg(line::text, ' ' ORDER BY ordinal) FROM kaireon.run_errors WHERE run_id = '$run->{run_id}'"), '3 5 4 6 7 8', 'run_errors has them at their place in the file');
is($k->node_counts($run), 'read 6/5/1 load 5/0/5', 'and each node counts');
my (undef, undef, $notice) = $k->node->psql('postgres', q(SELECT kaireon.replay_dead_letters('life', '{"ids": [0]}')));
like($notice, qr/NOTICE:  pipeline "life" has no dead letter that is meant/, 'a filter that means none is told of');
is(edit("record ->> 'id' = '2'", q('{"amount": 12.5}')), 1, 'a field is edited');
is(edit('line = 6', q('"6,f,3,whole"')), 1, 'a row that could not be cut is given anew');
is(edit('line = 7', q('{"name": "h"}')), 1, 'bytes become text');
$run = replay('life');
is(counters($run), 'partial|6|3|3|0|0', 'what was mended is loaded');
is($k->sql("SELECT string_agg(concat_ws(' ', id, name, amount), ', ' ORDER BY id) FROM ds_life"), '1 a 1.50, 2 b 12.50, 6 f 3.00, 8 h 1.00, 10 d 1.00', 'as it was edited');
is(letters('life', q(concat_ws(' ', line, attempts, sqlstate))), "5 2 23514\n8 2 23502\n4 2 23505", 'and is a letter no more');
$k->sql('ALTER TABLE ds_life DROP CONSTRAINT positive; DELETE FROM ds_life WHERE id = 1');
is(counters(replay('life', { sqlstate => '23502' })), 'partial|1|0|1|0|0', 'a filter chooses');
is(counters(replay('life', { constraint => 'positive', node => 'load' })), 'success|1|1|0|0|0', 'by what was wrong');
is(counters(replay('life', { field => 'none' })), 'success|0|0|0|0|0', 'none is fine');
is(edit('line = 8', q('{"id": 9}')), 1, 'the rest is mended');
is(counters(replay('life')), 'success|2|2|0|0|0', 'and loaded');
is(letters('life', 'id'), '', 'nothing is left');
is($k->sql('SELECT * FROM kaireon.source_state'), $before, 'the files are none of a replay\'s business');

# ---- the same as reading it again

# Every row becomes a letter by a rule, and is then replayed without it: what is in the table is what a run without the rule gives.
my @types = (
    [ 'f_text', 'text', 'plain', 'a,b', 'say "hi"', "line\nend", '', '  x ', "\x{c3}\x{a9}", '\\N', 'x' x 3000 ], [ 'f_varchar', 'varchar', 'abc', 'null', 'NULL', '0' ],
    [ 'f_integer', 'integer', '0', '-1', ' 42', '+7', '2147483647' ], [ 'f_bigint', 'bigint', '9223372036854775807', '007' ], [ 'f_smallint', 'smallint', '-32768', '5' ],
    [ 'f_numeric', 'numeric', '1.50', '-0.01', '.5', '5.', '1e3', 'NaN', '123456789012345678901' ], [ 'f_double', 'double', '0.1', '1e308', '-Infinity', '4.9e-324' ], [ 'f_float', 'float', '3.4e38', '0.1' ],
    [ 'f_boolean', 'boolean', 't', 'no', 'ON', '0' ], [ 'f_date', 'date', '2024-02-29', '1/2/2003', 'infinity', 'Jan 5 2020' ], [ 'f_timestamp', 'timestamp', '2024-02-29T01:02:03.456789', '2000-01-01 24:00:00' ],
    [ 'f_timestamptz', 'timestamptz', '2024-02-29T01:02:03.4Z', '2024-07-01 12:00:00 America/New_York', '2024-01-01' ], [ 'f_json', 'json', '{"a": [1, 2.50]}', 'null', '"s"' ],
    [ 'f_uuid', 'uuid', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', 'a0eebc999c0b4ef8bb6d6bb9bd380a11' ]);
my @columns = map { $_->[0] } @types;
my @rows = map { my $i = $_; [ $i, map { my ($name, $type, @values) = @$_; ($i + length $name) % 9 == 0 ? undef : $values[ ($i * 7 + ($i >> 3)) % @values ] } @types ] } 1 .. 2500;
$k->write_csv('types1.csv', [ 'key', @columns ], @rows[ 0 .. 1699 ]);
$k->write_csv('types2.csv', [ reverse(@columns), 'key' ], map { [ reverse @$_ ] } @rows[ 1700 .. 2499 ]);
my $schema = [ { name => 'key', dataType => 'integer' }, (map { { name => $_->[0], dataType => $_->[1] } } @types),
    { name => 'src', dataType => 'text' }, { name => 'ln', dataType => 'bigint' }, { name => 'off', dataType => 'bigint' }, { name => 'mod', dataType => 'timestamptz' }, { name => 'dflt', dataType => 'text', defaultValue => "'none'" } ];
my %mapping = (fieldMapping => { _source => 'src', _line => 'ln', _offset => 'off', _modified_at => 'mod' });
my @held = ({ id => 'hold', type => 'validate', config => { rules => [ { rule => 'expression:key % 500 = 0', onFail => 'quarantine' } ] } });
$k->make('again', fields => $schema, source => { resource => 'types?.csv' }, target => \%mapping);
$k->make('held', fields => $schema, source => { resource => 'types?.csv' }, nodes => \@held, target => \%mapping, execution => { errorHandling => 'skip' });
is(counters($k->run('again')), 'success|2500|2500|0|0|0', 'read: all rows') or diag($k->sql('SELECT error_message FROM kaireon.runs ORDER BY started_at DESC LIMIT 1'));
is(counters($k->run('held')), 'partial|2500|5|2495|0|0', 'held: all but some become letters');
new_version('held', nodes => [ { id => 'read', type => 'source', config => { resource => 'nothing-of-this' } }, { id => 'load', type => 'target', config => \%mapping } ]);
is(counters(replay('held')), 'success|2495|2495|0|0|0', 'held: all of them are replayed, though the files are not read');
my $all = join ', ', 'key', (map { "${_}::text" } @columns), qw(src ln off mod dflt);
is($k->sql("SELECT count(*) FROM (SELECT $all FROM ds_again EXCEPT ALL SELECT $all FROM ds_held) AS d"), 0, 'each value is what reading it gives');
is($k->sql("SELECT count(*) FROM (SELECT $all FROM ds_held EXCEPT ALL SELECT $all FROM ds_again) AS d"), 0, 'and the reverse');
is($k->sql('SELECT count(*) FROM (SELECT key, lag(key) OVER (ORDER BY id) AS before FROM ds_held WHERE key % 500 <> 0) AS o WHERE before > key'), 0, 'in the order of the source');

# What reading refuses, replaying refuses for the same reason.
$k->write_file('wrong.csv', "id,name,amount\n" . join('', map { "$_\n" } '1,toolong,1', '2,a,1e9', 'x,a,1', '99999999999,a,1', "3,\xc3,1", ',a,1', '4,a', '5,a,1,2', '6,"a,1', 'b,7'));
$k->make('wrong', fields => \@fields, source => { resource => 'wrong.csv' }, @dlq);
$k->run('wrong');
my $wrong = letters('wrong', q(concat_ws('|', line, node_id, field, sqlstate, reason)));
is(() = $wrong =~ /\n/g, 8, 'nine ways to be wrong');
replay('wrong');
is(letters('wrong', q(concat_ws('|', line, node_id, field, sqlstate, reason))), $wrong, 'are found again, in the same words');

# ---- the version that runs now

$k->write_csv('fix.csv', [qw(id name amount)], [ 1, 'a', '1,5' ], [ 2, 'b', '2.5' ], [ 3, 'c', '1.234,5' ]);
$k->make('fix', fields => \@fields, source => { resource => 'fix.csv' }, @dlq);
is(counters($k->run('fix')), 'partial|3|1|2|0|0', 'decimal commas are bad');
new_version('fix', nodes => [ { id => 'read', type => 'source', config => { resource => 'fix.csv', decimalSeparator => ',', thousandsSeparator => '.' } }, { id => 'load', type => 'target' } ]);
is(counters(replay('fix')), 'success|2|2|0|0|0', 'until the options say what they are');
is($k->sql("SELECT string_agg(amount::text, ' ' ORDER BY id) FROM ds_fix"), '1.50 2.50 1234.50', 'read as the new version reads them');

$k->write_file('ragged.csv', "id;name;amount\n1;a\n2;b;2;more\n3;c;3\n");
$k->make('ragged', fields => \@fields, source => { resource => 'ragged.csv', delimiter => 'auto' }, @dlq);
is(counters($k->run('ragged')), 'partial|3|1|2|0|0', 'rows of other lengths are bad');
new_version('ragged', nodes => [ { id => 'read', type => 'source', config => { resource => 'ragged.csv', delimiter => 'auto', shortRows => 'pad', longRows => 'truncate' } }, { id => 'load', type => 'target' } ]);
is(counters(replay('ragged')), 'success|2|2|0|0|0', 'until the options take them, with the delimiter that was found in their file');
is($k->sql("SELECT string_agg(concat_ws(' ', id, name, amount), ', ' ORDER BY id) FROM ds_ragged"), '1 a, 2 b 2.00, 3 c 3.00', 'as they would have been read');

# A filter of the new version keeps rows out, which is no failure; a rule that would fail the run does not; nor does strict.
$k->write_csv('rules.csv', [qw(id name amount)], map { [ $_, "n$_", $_ == 4 ? 'x' : $_ ] } 1 .. 6);
$k->make('rules', fields => \@fields, source => { resource => 'rules.csv' }, nodes => [ { id => 'check', type => 'validate', config => { rules => [ { rule => 'expression:id < 2', onFail => 'quarantine' } ] } } ],
    execution => { errorHandling => 'skip' });
is(counters($k->run('rules')), 'partial|6|1|5|0|0', 'a rule leaves five letters');
new_version('rules', execution_config => { errorHandling => 'fail' }, nodes => [ { id => 'read', type => 'source', config => { resource => 'rules.csv' } }, { id => 'some', type => 'filter', config => { field => 'name', operator => '!=', value => 'n5' } },
        { id => 'check', type => 'validate', config => { rules => [ { rule => 'expression:id <> 6', onFail => 'fail' } ], dataset => [ { check => 'row_count', min => 1000 } ] } }, { id => 'load', type => 'target', config => { validation => 'strict' } } ]);
is(counters(replay('rules')), 'partial|5|2|2|1|0', 'a replay is stopped by no row, and judged by no check on all rows') or diag($k->sql('SELECT error_message FROM kaireon.runs ORDER BY started_at DESC LIMIT 1'));
is(letters('rules', q(concat_ws(' ', record ->> 'id', sqlstate, attempts))), "4 22P02 1\n6 23514 1", 'what is bad again stays; what is filtered does not');

# More than the first thousand are bad again.
$k->write_csv('many.csv', [qw(id name amount)], map { [ $_, 'n', $_ % 2000 == 1 ? 1 : 'x' ] } 1 .. 4000);
$k->make('many', fields => \@fields, source => { resource => 'many.csv' }, @dlq);
$k->run('many');
is(counters(replay('many')), 'partial|3998|0|3998|0|0', 'however many are bad again, each is tried');
is($k->sql("SELECT count(*), min(attempts), max(attempts) FROM kaireon.dead_letters WHERE pipeline = 'many'"), '3998|1|1', 'once');
edit("pipeline = 'many'", q(jsonb_build_object('amount', record ->> 'id')));
is(counters(replay('many')), 'success|3998|3998|0|0|0', 'and loaded when it is mended, chunk by chunk');
is($k->sql('SELECT count(*), sum(amount) FROM ds_many'), '4000|' . (8002000 - 1 - 2001 + 2) . '.00', 'with its own value');

# ---- branches, lookups, several sources

$k->write_csv('people.csv', [qw(id name team amount)], [ 1, 'a', 'x', 1 ], [ 2, 'b', 'y', 'q' ], [ 3, 'c', 'x', 'r' ], [ 4, 'd', 'none', 's' ]);
$k->make_schema('teams', 'id', 'boss');
$k->sql("INSERT INTO ds_teams (id, boss) VALUES ('x', 'Xaver'), ('y', 'Yara')");
$k->make_schema('bosses', 'team', 'boss');
$k->sql("INSERT INTO ds_bosses (team, boss) VALUES ('x', 'Xaver')");
$k->make_schema($_, 'id integer', 'name', 'boss', 'amount integer') for qw(left right);
my %graph = (lookup => [ 'lookup_join', { lookupSchema => 'teams', joinField => 'team', lookupField => 'id', selectFields => ['boss'] } ],
    loose => [ 'lookup_join', { lookupSchema => 'bosses', joinField => 'team', lookupField => 'team', selectFields => ['boss'] } ],
    refer => [ 'validate', { rules => [ { field => 'team', rule => 'reference', schema => 'teams', schemaField => 'id', onFail => 'warn' } ] } ],
    unique => [ 'validate', { rules => [ { field => 'team', rule => 'unique', onFail => 'warn' } ] } ],
    once => [ 'deduplicate', { keyFields => ['id'] } ], total => [ 'aggregate', { groupByFields => [ 'id', 'team' ], aggregations => [ { field => 'amount', function => 'sum', alias => 'amount' } ] } ]);
sub graph
{
    my ($name, @middle) = @_;
    my @nodes = ([ 'read', 'source', { resource => 'people.csv' } ], (map { [ $_, @{ $graph{$_} } ] } @middle),
        [ 'fork', 'branch', { routes => [ { label => 'l', field => 'team', operator => '=', value => 'x' } ] } ], [ 'left', 'target', { schema => 'left' } ], [ 'right', 'target', { schema => 'right' } ]);
    my @way = ('read', @middle, 'fork');
    $k->sql('TRUNCATE ds_left, ds_right');
    $k->make_graph($name, 'left', \@nodes, [ (map { "$way[$_-1]>$way[$_]" } 1 .. $#way), 'fork>left:l', 'fork>right:otherwise' ], { errorHandling => 'dlq' });
    return $k->run($name);
}
graph('through', 'lookup', 'refer');
is(letters('through', q(concat_ws(' ', node_id, record ->> 'id', kind))), "left 2 record\nleft 3 record\nleft 4 record", 'behind lookups and a branch: letters with the source\'s record')
  or diag($k->sql('SELECT error_message FROM kaireon.runs ORDER BY started_at DESC LIMIT 1'));
edit("pipeline = 'through' AND record ->> 'id' <> '4'", q('{"amount": 7}'));
is(counters(replay('through')), 'partial|3|2|1|0|0', 'are replayed through them');
is($k->sql(q(SELECT string_agg(concat_ws(' ', id, name, boss, amount), ', ' ORDER BY id) FROM (SELECT * FROM ds_left UNION ALL SELECT * FROM ds_right) AS u)), '1 a Xaver 1, 2 b Yara 7, 3 c Xaver 7', 'each on its way');
for my $test ([ 'loose', 'lookup_join' ], [ 'unique', 'validate' ], [ 'once', 'deduplicate' ], [ 'total', 'aggregate' ])
{
    my ($node, $type) = @$test;
    graph("no_$node", $node);
    my $n = $k->sql("SELECT count(*) FROM kaireon.dead_letters WHERE pipeline = 'no_$node' AND kind = 'record'");
    $run = replay("no_$node");
    is("$run->{status} $run->{error_code} $run->{error_message}", 'failed 0A000 none of the dead letters can be replayed', "$type where rows meet others: no replay");
    like($run->{error_detail}, qr/For $n dead letters of source "read" node "$node" \($type\) would need the rows that were loaded before/, "$type: and why");
    is($k->sql("SELECT max(attempts) FROM kaireon.dead_letters WHERE pipeline = 'no_$node'"), 0, "$type: which is no attempt");
}
$k->write_csv('more.csv', [qw(id name)], [ 'x', 'n' ], [ 9, 'm' ], [ 10, 'k', 7 ]);
$k->sql('TRUNCATE ds_left');
$k->make_graph('two', 'left', [ [ 'one', 'source', { resource => 'people.csv' } ], [ 'other', 'source', { resource => 'more.csv', maxRowBytes => 30 } ], [ 'once', 'deduplicate', { keyFields => ['id'] } ], [ 'load', 'target' ] ],
    [ 'one>once', 'once>load', 'other>load' ], { errorHandling => 'dlq' });
$k->run('two');
$k->sql(q(UPDATE kaireon_internal.dead_letter SET kind = 'cut' WHERE record = '"10,k,7"'));
edit("pipeline = 'two' AND record ->> 'id' = 'x'", q('{"id": 8}'));
$run = replay('two');
is(counters($run), 'success|1|1|0|0|0', 'of two sources one can be replayed');
is($k->sql("SELECT string_agg(concat_ws(' ', node_id, severity, sqlstate, reason), '; ' ORDER BY ordinal) FROM kaireon.run_errors WHERE run_id = '$run->{run_id}'"),
    'once warning 0A000 for 3 dead letters of source "one" node "once" (deduplicate) would need the rows that were loaded before; '
      . 'other warning 0A000 1 dead letters of source "other" have only the beginning of a record', 'the others are told of');
is(edit("pipeline = 'two' AND kind = 'cut'", q('"10,k"')), 1, 'one that was cut off is given whole');
is(counters(replay('two', { sourceNode => 'other' })), 'success|1|1|0|0|0', 'and loaded');
$k->sql("SELECT kaireon.update_pipeline('two', nodes => " . $k->json([ { id => 'source', type => 'source', config => { resource => 'people.csv' } }, { id => 'load', type => 'target' } ]) . ", edges => '[]')");
like(replay('two')->{error_detail}, qr/3 dead letters are of source "one", which version 2 of the pipeline does not have/, 'a source that the version does not have');
$k->make_schema('sums', 'team', 'amount integer');
$k->sql('ALTER TABLE ds_sums ADD CONSTRAINT small CHECK (amount < 1)');
$k->make_graph('sums', 'sums', [ [ 'read', 'source', { resource => 'people.csv' } ], [ 'sum', 'aggregate', { groupByFields => ['team'], aggregations => [ { field => 'amount', function => 'sum', alias => 'amount' } ] } ], [ 'load', 'target' ] ],
    [ 'read>sum', 'sum>load' ], { errorHandling => 'dlq' });
$k->run('sums');
like(replay('sums', { kind => 'row' })->{error_detail}, qr/^1 dead letters are rows that a node made of several, and no records of source "read"\.$/, 'rows of an aggregate are no records');

# ---- killed in the middle: each row once, in the table or in the letters

$k->write_csv('mid.csv', [qw(id name amount)], map { [ $_, 'n', $_ % 3 ? $_ : 'x' ] } 1 .. 18000);
$k->make('mid', fields => \@fields, source => { resource => 'mid.csv' }, execution => { errorHandling => 'dlq', batchSize => 100 });
$k->run('mid');
edit("pipeline = 'mid' AND (record ->> 'id')::int % 2 = 0", q('{"amount": 2}'));
$k->sql(q(CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN IF NEW.id = 7500 THEN PERFORM pg_advisory_xact_lock_shared(42); END IF; RETURN NEW; END$$;
    CREATE TRIGGER gate BEFORE INSERT ON ds_mid FOR EACH ROW EXECUTE FUNCTION gate()));
my $both = q(SELECT count(*), count(DISTINCT id), (SELECT count(*) FROM ds_mid), (SELECT sum(attempts) FROM kaireon.dead_letters WHERE pipeline = 'mid')
    FROM (SELECT id FROM ds_mid UNION ALL SELECT (record ->> 'id')::int FROM kaireon.dead_letters WHERE pipeline = 'mid') AS u);
is($k->sql($both), '18000|18000|12000|0', 'before: each row once');

# in_the_middle(): rows of a table with a trigger are loaded a thousand at a time.  A replay that waits at the gate; its id, worker and reader, and the session that keeps the gate.
sub in_the_middle
{
    my $gate = $k->session;
    $gate->query('SELECT pg_advisory_lock(42)');
    my $id = $k->sql(q(SELECT kaireon.start_pipeline('mid', '{"replay": {}}')));
    my $reader = $k->reader_pid($id);
    my $worker = $k->worker_pid($id);
    $k->poll('the replay to reach the gate', "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $worker AND wait_event = 'advisory')");
    return ($id, $worker, $reader, $gate);
}
for my $kill (qw(worker reader cancel))
{
    my ($id, $worker, $reader, $gate) = in_the_middle();
    is($k->sql("SELECT rows_loaded > 0 AND rows_skipped > 0 FROM kaireon.progress WHERE run_id = '$id'"), 't', "$kill: some are loaded, some are not") if $kill ne 'worker';
    like($k->sql_error("SELECT kaireon.edit_dead_letter(id, '{\"amount\": 1}') FROM kaireon.dead_letters WHERE pipeline = 'mid' AND record ->> 'id' = '3'"), qr/dead letter \d+ is being replayed/,
        "$kill: a letter that is on its way can't be edited") if $kill eq 'reader';
    is($k->sql("SELECT kaireon.purge_dead_letters('mid', '{\"before\": \"2000-01-01\"}')"), 0, "$kill: nor purged, without a wait");
    if ($kill eq 'cancel') { $k->sql("SELECT kaireon.cancel_run('$id')"); }
    else { kill 'KILL', $kill eq 'worker' ? $worker : $reader; }
    if ($kill eq 'worker')
    {
        $gate->abandon;
        $k->poll('the server to be back', sub { return defined eval { $k->sql('SELECT 1') } });
        $k->remember_postmaster;
    }
    else { $gate->close; }
    $k->wait_run($id);
    is($k->sql("SELECT status || ' ' || error_code FROM kaireon.runs WHERE run_id = '$id'"), { worker => 'failed KA003', reader => 'failed KA001', cancel => 'cancelled 57014' }->{$kill}, "$kill: how it ended");
    is($k->sql($both), '18000|18000|12000|0', "$kill: nothing is loaded, nothing is lost, no attempt counts");
}
is(counters(replay('mid')), 'partial|6000|3000|3000|0|0', 'then a replay that is left alone');
is($k->sql($both), '18000|18000|15000|3000', 'has each row once, in the table or in the letters');

# Two at once take turns.
edit("pipeline = 'mid'", q('{"amount": 3}'));
my @two = map { $k->sql(q(SELECT kaireon.start_pipeline('mid', '{"replay": {}}'))) } 1 .. 2;
$k->wait_run($_) for @two;
is($k->sql("SELECT string_agg(rows_read::text, ' ' ORDER BY queued_at) FROM kaireon_internal.run WHERE run_id IN ('$two[0]', '$two[1]')"), '3000 0', 'two replays at once do not meet');
is($k->sql('SELECT count(*), count(DISTINCT id) FROM ds_mid'), '18000|18000', 'all rows are there, once');

# Letters that this transaction has edited: the run would wait for it, and it for the run.
$k->write_csv('one.csv', [qw(id name amount)], [ 'x', 'a', 1 ]);
$k->make('one', fields => \@fields, source => { resource => 'one.csv' }, @dlq);
$k->run('one');
like($k->sql_error(q(BEGIN; SELECT kaireon.edit_dead_letter(id, '{"id": 1}') FROM kaireon.dead_letters WHERE pipeline = 'one'; SELECT kaireon.replay_dead_letters('one'); COMMIT)),
    qr/would wait|waits for this|deadlock|each other/, 'edited and replayed in one transaction: an error, and no wait for ever');
is($k->sql(q(SELECT count(*), max(edited_at::text) IS NULL FROM kaireon.dead_letters WHERE pipeline = 'one')), '1|t', 'and nothing came of it');
$k->sql(q(BEGIN; SELECT kaireon.edit_dead_letter(id, '{"id": 1}') FROM kaireon.dead_letters WHERE pipeline = 'one'; SELECT kaireon.start_pipeline('one', '{"replay": {}}'); COMMIT));
$k->poll('the replay', 'SELECT count(*) = 1 FROM ds_one');

# ---- large and many

$k->write_rows('wide.csv', 60_000, sub { ($_[0] == 1 ? 1 : "$_[0]x") . ',n,1,' . ('w' x 2000) }, 'id,name,amount,wide');
$k->make('wide', fields => [ @fields, { name => 'wide', dataType => 'text' } ], source => { resource => 'wide.csv' }, @dlq);
$k->run('wide');
$k->sql(q(UPDATE kaireon_internal.dead_letter SET record = record || jsonb_build_object('id', replace(record ->> 'id', 'x', '')) WHERE source = 'wide.csv'));
my $started = $k->sql(q(SELECT kaireon.start_pipeline('wide', '{"replay": {}}')));
my $worker = $k->worker_pid($started);
my $most = 0;
$k->poll('the end of a large replay', sub {
    my ($kilobytes) = (eval { PostgreSQL::Test::Utils::slurp_file("/proc/$worker/status") } // '') =~ /^RssAnon:\s+(\d+)/m;
    $most = $kilobytes if ($kilobytes // 0) > $most;
    return $k->sql("SELECT status NOT IN ('queued', 'running') FROM kaireon.runs WHERE run_id = '$started'") eq 't';
});
is($k->sql('SELECT count(*), sum(id), sum(length(wide)) FROM ds_wide'), '60000|1800030000|120000000', '120 MB of letters are loaded');
cmp_ok($most, '<', 80_000, "and the worker's memory stayed below 80 MB ($most kB)");
$k->write_file('huge.csv', "id,name,amount,wide\nx,n,1," . ('h' x 15_000_000) . "\ny,\"" . ("q\"\"\n" x 1_000_000) . "\n");
$k->make('huge', schema => 'wide', source => { resource => 'huge.csv' }, @dlq);
is(counters($k->run('huge')), 'partial|2|0|2|0|0', 'records of many megabytes');
edit("pipeline = 'huge' AND kind = 'record'", q('{"id": -1}'));
is(counters(replay('huge')), 'partial|2|1|1|0|0', 'are replayed');
is($k->sql('SELECT length(wide), md5(wide) FROM ds_wide WHERE id = -1'), '15000000|' . Digest::MD5::md5_hex('h' x 15_000_000), 'whole');

# ---- another encoding

$k->sql("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
$k->sql('CREATE EXTENSION kaireon', 'latin');
$k->write_file('euro.csv', "id,name,note\nx,caf\xc3\xa9,\xe2\x82\xac\ny,\xe2\x82\xac,\xff\n2,\xe2\x82\xac\n");
$k->make('euro', fields => [ @fields, { name => 'note', dataType => 'text' } ], source => { resource => 'euro.csv' }, database => 'latin', @dlq);
$k->run('euro', 'latin');
is($k->sql(q(SELECT string_agg(sqlstate, ' ' ORDER BY id) FROM kaireon.dead_letters), 'latin'), '22P02 22P02 22P04', 'a database without some of the characters');
$k->sql(q(SELECT kaireon.edit_dead_letter(id, '{"id": 1}') FROM kaireon.dead_letters WHERE record ->> 'id' = 'x'; SELECT kaireon.edit_dead_letter(id, '{"id": 2, "name": "y"}') FROM kaireon.dead_letters WHERE record ->> 'id' = 'y'), 'latin');
replay('euro', {}, 'latin');
is($k->sql(q(SELECT string_agg(concat_ws(' ', field, sqlstate), ', ' ORDER BY id) FROM kaireon.dead_letters), 'latin'), 'note 22P05, note 22021, 22P04', 'what it has no place for is bad again, and never loaded as something else');
$k->sql(q(SELECT kaireon.edit_dead_letter(id, '{"note": "euro"}') FROM kaireon.dead_letters WHERE record ->> 'id' = '1'), 'latin');
replay('euro', { ids => [1] }, 'latin');
is($k->sql(q(SELECT convert_to(name, 'UTF8'), note FROM ds_euro), 'latin'), '\\x636166c3a9|euro', 'the rest is loaded as it was');

$k->settled('replay');
$k->settled('latin', 'latin');
ok($k->same_postmaster, 'the server never noticed');
done_testing;
