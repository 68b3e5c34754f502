# Rows that a run could not load, kept whole: which ones, with what, in which
# transaction; what the record is behind nodes that make rows of rows; and that
# they are thrown away when their time has come, and not before.
#
# Loading them later is replay.t.
use strict;
use warnings;
use Kaireon;
use Test::More;

my $k = Kaireon->new('dead_letters', conf => "restart_after_crash = on\n");
my @fields = (
    { name => 'id', dataType => 'integer', isPrimaryKey => \1 }, { name => 'name', dataType => 'varchar', length => 5 },
    { name => 'amount', dataType => 'numeric', precision => 8, scale => 2 });
my @dlq = (execution => { errorHandling => 'dlq' });

# letters(PIPELINE, EXPRESSION, WHERE): a line for each, in the order in which they were kept.
sub letters
{
    my ($pipeline, $expression, $where) = @_;
    return $k->sql("SELECT $expression FROM kaireon.dead_letters WHERE pipeline = '$pipeline'" . ($where ? " AND $where" : '') . ' ORDER BY id');
}

# all_there(PIPELINE): the ids of the source that are in the table or in the letters, and how often each is, when that is not once.
sub all_there
{
    my ($name, $rows) = @_;
    return $k->sql("SELECT count(*) || ' of $rows' || coalesce(', but ' || string_agg(id, ' ') FILTER (WHERE n <> 1), '') FROM (SELECT id, count(*) AS n FROM ("
          . "SELECT id::text FROM ds_$name UNION ALL SELECT record ->> 'id' FROM kaireon.dead_letters WHERE pipeline = '$name') AS u GROUP BY id) AS g");
}

# ---- what is kept

$k->write_file('kinds.csv', "id,name,amount,extra\n1,a,1.5,x\n2,b,many,\"q\"\"q\"\n1,c,2,dup\n5,d,-1,check\n6,a\n7,toolong,1,\n8,\xff,1,\xe9\x01\n,a,1,nokey\n10,d,1,fine\n11,e,1,a\0b\n");
$k->make('kinds', fields => \@fields, source => { resource => 'kinds.csv' }, @dlq);
$k->sql('ALTER TABLE ds_kinds ADD CONSTRAINT positive CHECK (amount > 0)');
my $run = $k->run('kinds');
is("$run->{status} $run->{rows_read} $run->{rows_loaded} $run->{rows_skipped}", 'partial 10 3 7', 'dlq: what is good is loaded, the rest left out');
is($k->count_identity($run->{run_id}), 't', 'dlq: the counters add up');
is(letters('kinds', q(concat_ws('|', line, "offset", node_id, field, constraint_name, sqlstate, kind, record))),
    join("\n",
        '3|31|load|amount|22P02|record|{"id": "2", "name": "b", "extra": "q\"q", "amount": "many"}',
        '5|57|load|positive|23514|record|{"id": "5", "name": "d", "extra": "check", "amount": "-1"}',
        '6|70|read|22P04|raw|"6,a"',
        '7|74|load|name|22001|record|{"id": "7", "name": "toolong", "extra": null, "amount": "1"}',
        '8|87|load|name|22021|record|{"id": "8", "name": {"hex": "ff"}, "extra": {"hex": "e901"}, "amount": "1"}',
        '9|96|load|id|23502|record|{"id": null, "name": "a", "extra": "nokey", "amount": "1"}',
        '4|47|load|id|ds_kinds_pkey|23505|record|{"id": "1", "name": "c", "extra": "dup", "amount": "2"}'),
    'each with its place, reason and all of its fields, as they were read; of the target\'s own, at the end of the batch');
is($k->sql("SELECT DISTINCT run_id || ' ' || version || ' ' || source_node || ' ' || source || ' ' || attempts FROM kaireon.dead_letters WHERE pipeline = 'kinds'"),
    "$run->{run_id} 1 read kinds.csv 0", 'and with what they have in common');
is($k->sql("SELECT count(*) FROM kaireon.run_errors WHERE run_id = '$run->{run_id}'"), 7, 'run_errors has them as well');

# Files, splits and batches: each row with the fields of its own file.
$k->write_csv('many1.csv', [qw(id name)], [ 1, 'a' ], [ 'x', 'b' ]);
$k->write_csv('many2.csv', [qw(name note id)], [ 'c', 'n', 'y' ], [ 'd', undef, 2 ]);
$k->write_csv('many3.csv', [qw(id name)], [ 'z', 'e' ]);
$k->make('many', fields => \@fields, source => { resource => 'many?.csv' }, execution => { errorHandling => 'dlq', batchSize => 1 });
is($k->run('many')->{status}, 'partial', 'several files');
is(letters('many', q(concat_ws('|', source, line, record))), qq(many1.csv|3|{"id": "x", "name": "b"}\nmany2.csv|2|{"id": "y", "name": "c", "note": "n"}\nmany3.csv|2|{"id": "z", "name": "e"}),
    'each row with the fields of its file');
is($k->sql("SELECT string_agg(file_number::text, ' ' ORDER BY id) FROM kaireon_internal.dead_letter WHERE source LIKE 'many%'"), '0 1 2', 'and the place of that');

# Records that could not be cut are whole, however long; one that passed a limit is not.
$k->write_file('long.csv', "id,name,amount\n1," . ('x' x 200_000) . "\n2," . ('y' x 200_000) . ",3\n3,\xfe\n");
$k->make('long', fields => \@fields, source => { resource => 'long.csv', maxFieldBytes => 100_000 }, @dlq);
$k->run('long');
is(letters('long', q(kind || ' ' || sqlstate || ' ' || length(record #>> '{}') || ' ' || left(record #>> '{}', 6))), "cut 54000 65536 1,xxxx\ncut 54000 65536 2,yyyy\nraw 22P04 6 3,\\xfe",
    'of a record that passed a limit the beginning is kept');
is($k->sql(q(SELECT encode(raw, 'hex') FROM kaireon_internal.dead_letter WHERE raw IS NOT NULL)), '332cfe', 'bytes that are no text are kept beside what can be shown');
$k->make('longer', schema => 'long', source => { resource => 'long.csv', maxFieldBytes => 1_000_000 }, target => { validation => 'skip' }, @dlq);
$k->run('longer');
is(letters('longer', q(kind || ' ' || sqlstate || ' ' || length(coalesce(record ->> 'name', record #>> '{}')))), "raw 22P04 200002\nrecord 22001 200000\nraw 22P04 6", 'what passed none is whole');
is($k->sql("SELECT layout ->> 'delimiter', layout -> 'fields', layout ->> 'header' FROM kaireon_internal.dead_letter WHERE kind = 'raw' AND length(record #>> '{}') > 1000"),
    ',|["id", "name", "amount"]|true', 'with what it takes to cut it later');

# ---- who decides

for my $test ([ 'fail', {}, 'failed', 0 ], [ 'skip', { errorHandling => 'skip' }, 'partial', 0 ], [ 'skips', { errorHandling => 'skip' }, 'partial', 0, { validation => 'coerce' } ],
    [ 'strict', { errorHandling => 'dlq' }, 'failed', 0, { validation => 'strict' } ], [ 'left', { errorHandling => 'dlq' }, 'partial', 1, { validation => 'skip' } ])
{
    my ($name, $execution, $status, $kept, $target) = @$test;
    $k->write_csv('one.csv', [qw(id name amount)], [ 1, 'a', 1 ], [ 'x', 'b', 2 ]);
    $k->make($name, fields => \@fields, source => { resource => 'one.csv' }, target => $target || {}, execution => $execution);
    is($k->run($name)->{status}, $status, "$name: $status");
    is($k->sql("SELECT count(*) FROM kaireon.dead_letters WHERE pipeline = '$name'"), $kept, "$name: letters kept");
}

# A rule's quarantine keeps the row whatever errorHandling says; its other words are what they were.
$k->write_csv('rules.csv', [qw(id name amount)], map { [ $_, "n$_", 10 * $_ ] } 1 .. 6);
my @rules = ({ field => 'amount', rule => 'lt:60', onFail => 'quarantine' }, { field => 'amount', rule => 'lt:50', onFail => 'skip' }, { field => 'amount', rule => 'lt:40', onFail => 'warn' });
for my $test ([ 'q_skip', { errorHandling => 'skip' }, '6' ], [ 'q_dlq', { errorHandling => 'dlq' }, '5 6' ], [ 'q_none', {}, '6' ])
{
    my ($name, $execution, $ids) = @$test;
    $k->make($name, fields => \@fields, source => { resource => 'rules.csv' }, nodes => [ { id => 'check', type => 'validate', config => { rules => \@rules } } ], execution => $execution);
    $run = $k->run($name);
    is("$run->{status} $run->{rows_loaded} $run->{rows_skipped}", 'partial 4 2', "$name: rows that break a rule are left out");
    is($k->sql("SELECT string_agg(record ->> 'id', ' ' ORDER BY id) FROM kaireon.dead_letters WHERE pipeline = '$name'"), $ids, "$name: what is kept");
}
is(letters('q_skip', q(concat_ws('|', node_id, field, sqlstate, reason, record))), 'check|amount|23514|row breaks rule "lt:60"|{"id": "6", "name": "n6", "amount": "60"}', 'quarantine: with the rule');
$k->make('q_unique', fields => [ $fields[0], $fields[1] ], source => { resource => 'kinds.csv' },
    nodes => [ { id => 'once', type => 'validate', config => { rules => [ { field => 'id', rule => 'unique', onFail => 'quarantine' } ] } } ], execution => { errorHandling => 'skip' });
$run = $k->run('q_unique');
is(letters('q_unique', q(concat_ws('|', line, reason, kind, record ->> 'extra'))), '4|row breaks rule "unique"|record|dup', 'quarantine by a rule about all rows: still the source\'s record')
  or diag($run->{error_message});
$k->make('q_stop', fields => \@fields, source => { resource => 'rules.csv' },
    nodes => [ { id => 'check', type => 'validate', config => { rules => [ { field => 'amount', rule => 'lt:60' } ] } } ], @dlq);
$run = $k->run('q_stop');
is("$run->{status} $run->{error_code}", 'failed 23514', 'a rule that fails the run fails it, also with dlq');

# ---- tables that are loaded by INSERT

$k->sql('CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent VALUES (1), (2), (3), (9)');
$k->write_csv('slow.csv', [qw(id name amount)], [ 1, 'a', 1 ], [ 5, 'b', 2 ], [ 2, 'boom', 3 ], [ 3, 'c', 4 ], [ 3, 'd', 5 ], [ 9, 'e', -1 ]);
$k->make('slow', fields => \@fields, source => { resource => 'slow.csv' }, @dlq);
$k->sql(q(ALTER TABLE ds_slow ADD CONSTRAINT kin FOREIGN KEY (id) REFERENCES parent, ADD CONSTRAINT positive CHECK (amount > 0);
    CREATE FUNCTION boom() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN IF NEW.name = 'boom' THEN RAISE 'no booms' USING ERRCODE = 'KX001', COLUMN = 'name'; END IF; RETURN NEW; END$$;
    CREATE TRIGGER boom BEFORE INSERT ON ds_slow FOR EACH ROW EXECUTE FUNCTION boom()));
$run = $k->run('slow');
is($run->{rows_loaded}, 2, 'by INSERT: the neighbours are loaded');
is($k->sql(q(SELECT string_agg(concat_ws('|', line, field, constraint_name, sqlstate, reason), E'\n' ORDER BY line) FROM kaireon.dead_letters WHERE pipeline = 'slow')),
    join("\n", '3|kin|23503|insert or update on table "ds_slow" violates foreign key constraint "kin"', '4|name|KX001|no booms',
        '6|ds_slow_pkey|23505|duplicate key value violates unique constraint "ds_slow_pkey"', '7|positive|23514|new row for relation "ds_slow" violates check constraint "positive"'),
    'by INSERT: each with its constraint');
is($k->sql(q(SELECT string_agg(concat_ws(',', record ->> 'id', record ->> 'name', record ->> 'amount'), ' ' ORDER BY line) FROM kaireon.dead_letters WHERE pipeline = 'slow')),
    '5,b,2 2,boom,3 3,d,5 9,e,-1', 'by INSERT: and its record');

# ---- behind nodes that need all rows

$k->write_csv('sales.csv', [qw(id shop amount note)], [ 1, 'a', '5', 'x' ], [ 2, 'a', '6', 'y' ], [ 3, 'b', '7', 'z' ], [ 1, 'b', '8', 'again' ], [ 4, 'c', 'q', 'bad' ]);
$k->make_schema('firsts', 'id integer', 'shop');
$k->sql('ALTER TABLE ds_firsts ADD CONSTRAINT not_b CHECK (shop <> $$b$$)');
$k->make_graph('firsts', 'firsts', [ [ 'read', 'source', { resource => 'sales.csv' } ], [ 'once', 'deduplicate', { keyFields => ['id'] } ], [ 'load', 'target' ] ], [ 'read>once', 'once>load' ],
    { errorHandling => 'dlq' });
$k->run('firsts');
is(letters('firsts', q(concat_ws('|', source_node, node_id, line, kind, record))), 'read|load|4|record|{"id": "3", "note": "z", "shop": "b", "amount": "7"}',
    'behind deduplicate: the source\'s record, also the fields that nobody uses');
$k->make_schema('shops', 'shop', 'total integer');
$k->sql('ALTER TABLE ds_shops ADD CONSTRAINT small CHECK (total < 12)');
$k->make_graph('shops', 'shops', [ [ 'read', 'source', { resource => 'sales.csv' } ],
        [ 'sum', 'aggregate', { groupByFields => ['shop'], aggregations => [ { field => 'amount', function => 'sum', alias => 'total' } ] } ], [ 'load', 'target' ] ], [ 'read>sum', 'sum>load' ],
    { errorHandling => 'dlq' });
$run = $k->run('shops');
is("$run->{status} $run->{rows_loaded} $run->{rows_skipped} $run->{rows_merged}", 'partial 1 2 2', 'behind aggregate: counters') or diag($run->{error_message});
is(letters('shops', q(concat_ws('|', source_node, node_id, line, kind, record))), qq(read|sum|6|record|{"id": "4", "note": "bad", "shop": "c", "amount": "q"}\n)
      . 'read|load|4|row|{"shop": "b", "total": "15"}', 'before aggregate the source\'s record, behind it the row of its group');
$k->write_csv('names.csv', [qw(shop name)], [ 'a', 'Alpha' ], [ 'b', 'Beta' ]);
$k->make_schema('joined', 'id integer', 'name');
$k->make_graph('joined', 'joined', [ [ 'read', 'source', { resource => 'sales.csv' } ], [ 'names', 'source', { resource => 'names.csv' } ],
        [ 'both', 'join', { joinType => 'left', on => [ { left => 'shop', right => 'shop' } ], selectFields => ['name'] } ], [ 'load', 'target' ] ],
    [ 'read>both:left', 'names>both:right', 'both>load' ], { errorHandling => 'dlq' });
$k->run('joined');
is(letters('joined', q(concat_ws('|', source_node, line, sqlstate, kind, record))), 'read|5|23505|row|{"id": "1", "name": "Beta"}', 'behind a join: the row that it made');

# ---- all of it or nothing

$k->write_csv('late.csv', [qw(id name amount)], (map { [ $_, 'n', $_ % 10 ? 1 : 'x' ] } 1 .. 3000), [ 'stop', 'n', 1 ]);
$k->make('late', fields => \@fields, source => { resource => 'late.csv' }, nodes => [ { id => 'check', type => 'validate', config => { rules => [ { field => 'id', rule => 'regex:^[0-9]+$' } ] } } ], @dlq);
$run = $k->run('late');
is("$run->{status} $run->{error_code} $run->{rows_skipped}", 'failed 23514 0', 'a run that fails at its last row');
is($k->sql("SELECT (SELECT count(*) FROM kaireon.dead_letters WHERE pipeline = 'late'), (SELECT count(*) FROM ds_late)"), '0|0', 'leaves neither letters nor rows');

$k->make('killed', fields => \@fields, source => { resource => 'late.csv' }, execution => { errorHandling => 'dlq', batchSize => 100 });
$k->sql(q(CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN IF NEW.id = 2501 THEN PERFORM pg_advisory_xact_lock_shared(42); END IF; RETURN NEW; END$$;
    CREATE TRIGGER gate BEFORE INSERT ON ds_killed FOR EACH ROW EXECUTE FUNCTION gate()));
my $gate = $k->session;
$gate->query('SELECT pg_advisory_lock(42)');
my $started = $k->start('killed');
my $worker = $k->worker_pid($started);
$k->poll('the run to reach the gate', "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $worker AND wait_event = 'advisory')");
kill 'KILL', $worker;
$gate->abandon;
$k->poll('the server to be back', sub { return defined eval { $k->sql('SELECT 1') } });
is($k->wait_run($started), 'failed', 'a worker that is killed');
is($k->sql("SELECT (SELECT count(*) FROM kaireon.dead_letters WHERE pipeline = 'killed'), (SELECT count(*) FROM ds_killed)"), '0|0', 'leaves neither letters nor rows');
$k->remember_postmaster;
is($k->run('killed')->{status}, 'partial', 'its next run');
is(all_there('killed', 3001), '3001 of 3001', 'has each row in the table or in the letters, once');

# Some are too many.
$k->make('enough', fields => \@fields, source => { resource => 'late.csv' }, execution => { errorHandling => 'dlq', maxErrors => 100 });
$run = $k->run('enough');
is("$run->{status} $run->{error_code}", 'failed KA007', 'maxErrors counts them');
is($k->sql("SELECT count(*) FROM kaireon.dead_letters WHERE pipeline = 'enough'"), 0, 'and then none is kept');

# ---- memory: however many, they are written as they come

$k->write_rows('wide.csv', 60_000, sub { "$_[0],n,x," . ('w' x 2000) }, 'id,name,amount,wide');
$k->write_csv('wide0.csv', [qw(id name amount wide)], [ 0, 'n', 1, 'w' ]);
$k->make('wide', fields => \@fields, source => { resource => 'wide*.csv', ordering => 'latest_by_mtime' }, nodes => [ { id => 'some', type => 'filter', config => { field => 'id', operator => '>=', value => 0 } } ], @dlq);
$started = $k->start('wide');
$worker = $k->worker_pid($started);
my $most = 0;
$k->poll('the end of a run with many letters', sub {
    my ($kilobytes) = (eval { PostgreSQL::Test::Utils::slurp_file("/proc/$worker/status") } // '') =~ /^RssAnon:\s+(\d+)/m;
    $most = $kilobytes if ($kilobytes // 0) > $most;
    return $k->sql("SELECT status NOT IN ('queued', 'running') FROM kaireon.runs WHERE run_id = '$started'") eq 't';
});
is($k->sql("SELECT count(*), sum(length(record ->> 'wide')) FROM kaireon.dead_letters WHERE pipeline = 'wide'"), '60000|120000000', '120 MB of letters');
cmp_ok($most, '<', 60_000, "and the worker's memory stayed below 60 MB ($most kB)");

# ---- how long they are kept

$k->make('kept', fields => \@fields, source => { resource => 'one.csv' }, execution => { errorHandling => 'dlq', deadLetterRetentionDays => 7 });
$k->run('kept');
my ($old) = $k->rows("SELECT id FROM kaireon.dead_letters WHERE pipeline = 'kept'");
$k->sql("UPDATE kaireon_internal.dead_letter SET created_at = now() - interval '6 days 23 hours' WHERE id = $old->{id}");
$k->run('kept');
is($k->sql("SELECT count(*) FROM kaireon.dead_letters WHERE pipeline = 'kept'"), 3, 'a letter stays for its days');
$k->sql("UPDATE kaireon_internal.dead_letter SET created_at = now() - interval '7 days 1 minute' WHERE id = $old->{id}");
$k->run('many');
is($k->sql("SELECT count(*) FROM kaireon.dead_letters WHERE id = $old->{id}"), 1, 'another pipeline\'s run does not look');
$k->run('kept');
is($k->sql("SELECT count(*) FROM kaireon.dead_letters WHERE id = $old->{id}"), 0, 'then its pipeline\'s next run throws it away');
$k->sql("UPDATE kaireon_internal.dead_letter SET created_at = now() - interval '8 days' WHERE id = (SELECT min(id) FROM kaireon.dead_letters WHERE pipeline = 'kept')");
$k->write_csv('one.csv', [qw(nothing)], [1]);
is($k->run('kept')->{status}, 'failed', 'a run that fails');
is($k->sql("SELECT min(created_at) > now() - interval '7 days' FROM kaireon.dead_letters WHERE pipeline = 'kept'"), 't', 'does so too');

# ---- a full refresh reads everything anew

$k->write_file('refresh.csv', "id,name,note\n1,a,x\ntwo,b,x\n");
$k->make('refresh', fields => \@fields, source => { resource => 'refresh.csv' }, target => { loadingStrategy => 'blue_green' }, @dlq);
$k->run('refresh') for 1, 2;
my $letters = "SELECT count(*), count(DISTINCT run_id) FROM kaireon.dead_letters WHERE pipeline = 'refresh'";
is($k->sql($letters), '1|1', 'a full refresh takes the letters of earlier ones away');
$k->sql("SELECT kaireon.run_pipeline('refresh', '{\"dryRun\": true}')");
is($k->sql($letters), '1|1', 'a dry run does not');
$k->write_file('refresh.csv', "id,name,note\n");
is($k->run('refresh')->{status}, 'failed', 'nor one that fails');
is($k->sql($letters), '1|1', 'which leaves them');

# ---- another encoding

$k->sql("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
$k->sql('CREATE EXTENSION kaireon', 'latin');
$k->write_file('euro.csv', "id,name,note\nx,\xe2\x82\xac,caf\xc3\xa9\n2,\xe2\x82\xac\n");
$k->make('euro', fields => \@fields, source => { resource => 'euro.csv' }, database => 'latin', @dlq);
is($k->run('euro', 'latin')->{status}, 'partial', 'a database without some of the characters');
is($k->sql(q(SELECT kind, encode(convert_to(record::text, 'UTF8'), 'hex'), encode(raw, 'hex') FROM kaireon_internal.dead_letter ORDER BY id), 'latin'),
    'record|' . unpack('H*', qq({"id": "x", "name": {"hex": "e282ac"}, "note": "caf\xc3\xa9"})) . "|\nraw|" . unpack('H*', '"2,?"') . '|322ce282ac', 'keeps them as bytes');

$k->settled('dead letters');
ok($k->same_postmaster, 'the server never noticed');
done_testing;
