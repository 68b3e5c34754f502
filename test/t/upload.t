# Text that a client hands over in a call: it is loaded like a file, waits for
# its run in a temporary file, and leaves none behind, however the call ends.
use strict;
use warnings;
use Compress::Zlib;
use Kaireon;
use Test::More;

my $k = Kaireon->new('upload', conf => "restart_after_crash = on\n");
my $tmp = $k->node->data_dir . '/base/pgsql_tmp';
my @fields = ({ name => 'key', dataType => 'integer', isPrimaryKey => \1 }, { name => 'name', dataType => 'text' });

sub upload { my ($name, $content, $options) = @_; return ($k->rows("SELECT * FROM kaireon.upload_csv('$name', $content, " . $k->json($options || {}) . ')'))[0]; }
sub ids    { return $k->sql("SELECT coalesce(string_agg(key || coalesce(name, '-'), ' ' ORDER BY key), '') FROM ds_customers"); }
sub left   { return join ' ', glob("$tmp/*upload*"); }

$k->sql(q{SELECT kaireon.create_connector('uploads', 'csv_upload')});
$k->make('customers', connector => 'uploads', fields => \@fields, execution => { errorHandling => 'skip' });
is($k->sql(q{SELECT ok, message FROM kaireon.test_connector('uploads')}), 't|it takes what kaireon.upload_csv brings', 'there is nothing to test');
my $run = upload('customers', q(E'key,name\n1,Ann\n2,"Bob, the ""2nd"""\nx,bad\n'));
is("$run->{status} $run->{rows_read} $run->{rows_loaded} $run->{rows_skipped} $run->{pipeline}", 'partial 3 2 1 customers', 'text is loaded') or diag explain $run;
is(ids(), '1Ann 2Bob, the "2nd"', 'as a file would be');
is($k->sql("SELECT source, line, field FROM kaireon.run_errors WHERE run_id = '$run->{run_id}'"), 'upload|4|key', 'a bad row has its line');
$k->sql('SELECT kaireon.delete_pipeline($$customers$$)');
$k->make('by_upload', connector => 'uploads', schema => 'customers', source => {}, target => { loadingStrategy => 'upsert' });
is(upload('Customers', q(E'name;key\nCid;3\nAnna;1\n'))->{pipeline}, 'by_upload', 'the schema\'s name is enough; the delimiter is found');
is(ids(), '1Anna 2Bob, the "2nd" 3Cid', 'and columns go by name');
my $bytes = sub { return "'\\x" . unpack('H*', $_[0]) . "'::bytea" };
is(upload('by_upload', $bytes->(Compress::Zlib::memGzip("key,name\n4,D\xc3\xa9\n")))->{rows_loaded}, 1, 'bytes may be compressed');
is($k->sql('SELECT name FROM ds_customers WHERE key = 4'), "D\xc3\xa9", 'and are what they were');
is(upload('by_upload', $bytes->("key,name\n5,\xff\n"))->{error_code}, '22021', 'bytes that are no text are refused');
is(upload('by_upload', q(E'key,name\n6,no\n'), { dryRun => \1 })->{rows_loaded}, 1, 'a dry run');
is($k->sql('SELECT count(*) FROM ds_customers WHERE key = 6'), 0, 'keeps nothing');
is(upload('by_upload', q(''))->{status}, 'success', 'an empty text has no rows');
is(left(), '', 'nothing is left');

# ---- the connector's settings, and the node's

$k->sql(q{SELECT kaireon.create_connector('plain', 'csv_upload', '{"delimiter": ";", "header": false}')});
$k->make('plain', connector => 'plain', fields => \@fields, source => { columns => [qw(key name)] });
is(upload('plain', q(E'1;a,b\n2;c\n'))->{rows_loaded} . ' ' . $k->sql('SELECT string_agg(name, $$ $$ ORDER BY key) FROM ds_plain'), '2 a,b c', 'delimiter and header of the connector');
$k->make('lines', connector => 'uploads', fields => \@fields, source => { format => 'jsonl' });
is(upload('lines', q(E'{"key": 7, "name": "g"}\n'))->{rows_loaded}, 1, 'another format');

# What is said of no format is found out, as of files whose names say nothing.
$k->make('any', connector => 'uploads', fields => \@fields, source => {}, execution => { errorHandling => 'dlq' });
is(upload('any', q(E'{"key": 8, "name": "h"}\n{"key": "x", "name": "bad"}\n{"key": 9, "name": "i"}\n'))->{rows_loaded}, 2, 'JSON Lines');
is(upload('any', q(E' [{"key": 10, "name": "j"}, {"key": 11, "name": "k"}]'))->{rows_loaded}, 2, 'JSON');
is(upload('any', q(E'key\tname\n12\tl\n'))->{rows_loaded}, 1, 'tabs');
is($k->sql("SELECT string_agg(key || name, ' ' ORDER BY key) FROM ds_any"), '8h 9i 10j 11k 12l', 'all of them');
$k->sql(q(SELECT kaireon.edit_dead_letter(id, '{"key": 13}') FROM kaireon.dead_letters WHERE pipeline = 'any'));
is(($k->rows("SELECT * FROM kaireon.replay_dead_letters('any')"))[0]{rows_loaded}, 1, 'a dead letter of JSON is replayed');
$k->make('commas', connector => 'uploads', fields => \@fields, source => { delimiter => ',' });
like(upload('commas', q('{"key": 8, "name": "h"}'))->{error_message}, qr/"delimiter"/, 'what is said for CSV is wrong of JSON');

# ---- runs that are over can't go on

my $over = upload('any', q(E'key;nome\n1;x\n'))->{run_id};
like($k->sql_error("\\set VERBOSITY verbose\nSELECT kaireon.resume_run('$over')"), qr/55000: run \S+ has loaded all/, 'a run that is through');
$k->make('strict', connector => 'uploads', fields => \@fields, source => {});
my $failed = upload('strict', q(E'key,name\nx,y\n'));
is($failed->{status}, 'failed', 'a run that failed');
like($k->sql_error("\\set VERBOSITY verbose\nSELECT kaireon.resume_run('$failed->{run_id}')"), qr/55000: run \S+ can't be resumed\nDETAIL:  What was uploaded is kept while its call waits, no longer\.\nHINT:  Call kaireon\.upload_csv again/, 'is not resumed');

# ---- what is refused

$k->write_file('f.csv', "key,name\n");
$k->make('of_files', fields => \@fields, source => { resource => 'f.csv' });
my @refused = (
    [ q(SELECT kaireon.upload_csv('nowhere', 'x')), qr/42704: there is no pipeline or schema "nowhere".*create_connector\('uploads', 'csv_upload'\)/s ],
    [ q(SELECT kaireon.upload_csv('of_files', 'x')), qr/55000: no pipeline loads what is uploaded to schema "of_files".*create_pipeline\('upload_of_files', 'uploads', 'of_files'\)/s ],
    [ q(SELECT kaireon.upload_csv('customers', NULL::text)), qr/22004: the content must not be null/ ],
    [ q(SELECT kaireon.upload_csv(NULL, 'x')), qr/22004: the pipeline's name must not be null/ ],
    [ q(SELECT kaireon.upload_csv('customers', 'x', '{"replay": {}}')), qr/unknown key "replay"/ ],
    [ q(SELECT kaireon.preview('uploads')), qr/55000: nothing was uploaded.*HINT:  Load text with kaireon.upload_csv/s ]);
push @refused, [ q~SELECT kaireon.create_pipeline('x', 'uploads', 'customers', '[{"id": "read", "type": "source", "config": ~ . $_->[0] . q~}, {"id": "load", "type": "target"}]')~, $_->[1] ]
    for [ '{"resource": "x.csv"}', qr/key "resource" means nothing where the source is what is uploaded/ ], [ '{"incremental": true, "changedFiles": "ignore"}', qr/key "incremental" means nothing.*key "changedFiles"/s ];
push @refused, [ q{SELECT kaireon.create_pipeline('x', 'uploads', 'customers', '[{"id": "read", "type": "source"}, {"id": "gone", "type": "archive", "config": {"successFolder": "done"}}, {"id": "load", "type": "target"}]')}, qr/what source "read" reads can't be moved, because its connector is of type "csv_upload"/ ];
like($k->sql_error('\set VERBOSITY verbose' . "\n$_->[0]"), $_->[1], $_->[0]) for @refused;
$run = $k->run('lines');
is("$run->{error_code} $run->{error_message}", '55000 nothing was uploaded', 'run_pipeline has nothing to load');
my $id = $k->start('lines');
$k->wait_run($id);
is($k->run_row($id)->{error_message}, 'nothing was uploaded', 'nor has start_pipeline, whatever was uploaded before');
$k->make('two', connector => 'uploads', schema => 'customers', source => {});
like($k->sql_error("\\set VERBOSITY verbose\nSELECT kaireon.upload_csv('customers', 'x', '{\"version\": 77}')"), qr/^(?!.*hidden)(?!.*\*\*\*\*)/s, 'a schema that is uploaded to is no secret');
like($k->sql_error(q(SELECT kaireon.upload_csv('customers', 'x'))), qr/several pipelines load what is uploaded to schema "customers".*They are by_upload, two/s, 'several: one is to be named');
like($k->sql_error(q(CREATE ROLE stranger; SET ROLE stranger; SELECT kaireon.upload_csv('two', 'x'))), qr/permission denied/, 'others may not');

# ---- large ones, and calls that end early

is(upload('two', q{(SELECT 'key,name' || E'\n' || string_agg(i || ',' || repeat('x', 50), E'\n') FROM generate_series(1000, 300000) AS i)})->{rows_loaded}, 299001, 'a large text');
is($k->sql('SELECT count(*) FROM ds_customers WHERE key >= 1000'), 299001, 'all of it');
$k->sql('DELETE FROM ds_customers WHERE key >= 1000');
like($k->sql_error(q{SET temp_file_limit = '100kB'; SELECT kaireon.upload_csv('two', repeat('x', 1000000))}), qr/temporary file size exceeds "?temp_file_limit/, 'temp_file_limit counts');
is(left(), '', 'nothing is left of that');
my $locker = $k->session;
for my $how ('cancel', 'terminate')
{
    my $caller = $k->session;
    my $pid = $caller->query('SELECT pg_backend_pid()');
    $locker->query('BEGIN; LOCK TABLE ds_customers IN SHARE MODE');
    $caller->send(q(SELECT kaireon.upload_csv('two', E'key,name\n9000,x\n')));
    ok($k->poll("the run to wait ($how)", q{SELECT count(*) > 0 FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE a.backend_type = 'kaireon run' AND NOT l.granted}), "$how: a run waits");
    isnt(left(), '', "$how: its text is there");
    $k->sql("SELECT pg_${how}_backend($pid)");
    ok($k->poll('the file to go', sub { return left() eq '' }), "$how: it goes with the call");
    $locker->query('COMMIT');
    ok($k->poll('the run to end', q{SELECT status = 'cancelled' FROM kaireon.runs ORDER BY started_at DESC NULLS LAST LIMIT 1}), "$how: and the run with it");
}
is($k->sql('SELECT count(*) FROM ds_customers WHERE key = 9000'), 0, 'nothing of them is loaded');

# A crash takes the text away: the run says what happened, whatever "retry" says.
$k->make('retried', connector => 'uploads', fields => \@fields, source => {}, execution => { retry => { pauseSeconds => 0 } });
$locker->query('BEGIN; LOCK TABLE ds_retried IN SHARE MODE');
my $waiting = $k->session;
$waiting->send(q(SELECT kaireon.upload_csv('retried', E'key,name\n1,x\n')));
$k->poll('the run to wait', q{SELECT count(*) > 0 FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE a.backend_type = 'kaireon run' AND NOT l.granted});
my $run_id = $k->sql("SELECT run_id FROM kaireon.runs WHERE pipeline = 'retried'");
my $worker = $k->worker_pid($run_id);
kill 'KILL', $worker;
eval { $_->close } for $locker, $waiting;
$k->poll('the server to be back', sub { return $k->gone($worker) && defined eval { $k->sql('SELECT 1') } });
$k->poll('the end of the run', sub { my ($code, $out) = $k->node->psql('postgres', "SELECT status FROM kaireon.runs WHERE run_id = '$run_id'"); return $code == 0 && $out !~ /queued|running/ });
is($k->sql("SELECT status, error_code, attempt FROM kaireon.runs WHERE run_id = '$run_id'"), 'failed|KA003|1', 'a crash is what the run ends with');
like($k->sql_error("SELECT kaireon.resume_run('$run_id')"), qr/can't be resumed/, 'and nothing resumes it');
$k->settled('in the end');
done_testing();
