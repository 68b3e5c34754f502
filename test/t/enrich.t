# Enrich from a connector: what rows get, what is asked for and how often, what
# a bad value or a bad answer does, whose connector it may be, and that its
# reader ends in every case.
use strict;
use warnings;
use Kaireon;
use Test::More;

my $k = Kaireon->new('enrich');
my $files = $k->files;

sub counters
{
    my ($run) = @_;
    return join '|', $run->{status}, map { $run->{"rows_$_"} } qw(read loaded failed skipped filtered merged);
}

# loaded(TABLE, COLUMN...): in the order of the heap.
sub loaded
{
    my ($table, @columns) = @_;
    return $k->sql("SELECT concat_ws(':', " . join(', ', map { "coalesce($_\::text, '-')" } @columns) . ") FROM ds_$table ORDER BY ctid") =~ s/\n/ /gr;
}

# enrich(NAME, CONFIG, MORE): a pipeline that reads NAME.csv and enriches it; MORE: nodes behind, execution.
sub enrich
{
    my ($name, $config, %o) = @_;
    my @nodes = ([ 'read', 'source', { resource => "$name.csv", header => \1 } ], [ 'ask', 'enrich', { connector => 'files', outputField => 'answer', %$config } ],
        @{ $o{nodes} || [] }, [ 'load', 'target', $o{target} || {} ]);

    return $k->make_graph($name, $o{schema} || 'got', \@nodes, [ map { "$nodes[$_ - 1][0]>$nodes[$_][0]" } 1 .. $#nodes ], $o{execution});
}

sub rejects { my ($run) = @_; return join "\n", map { "$_->{line} $_->{node_id} $_->{field} $_->{sqlstate} $_->{value}: $_->{reason}" } $k->errors($run->{run_id}); }

$k->make_schema('got', 'id integer', 'key', 'answer json');
mkdir "$files/$_" or die for qw(c d d/1 d/2 d/3 odd locked);

# ---- answers

$k->write_csv('c/1.csv', [qw(name score)], [ 'Ada', 3 ], [ 'Eve', undef ]);
$k->write_csv('c/2.csv', [qw(title)], ['Bob']);
$k->write_csv('c/3.csv', [qw(name score)]);
$k->write_file('c/4.csv', '');
$k->write_csv('first.csv', [qw(id key)], [ 1, 1 ], [ 2, 2 ], [ 3, 1 ], [ 4, undef ], [ 5, 3 ], [ 6, 4 ], [ 7, 'none' ], [ 8, 2 ]);
enrich('first', { resource => 'c/{key}.csv' });
my $run = $k->run('first');
is(counters($run), 'success|8|8|0|0|0|0', 'first: counters');
is(loaded('got', qw(id answer)), '1:{"name": "Ada", "score": "3"} 2:{"title": "Bob"} 3:{"name": "Ada", "score": "3"} 4:- 5:- 6:- 7:- 8:{"title": "Bob"}',
    'the first record as an object; null for a null key, a file without records or bytes, and none');
is($k->node_counts($run), 'read 8/8/0 ask 8/8/0 load 8/8/0', 'rows at each node');
is($k->sql("SELECT string_agg(path, ' ') FROM kaireon.source_state"), 'first.csv', 'what was asked for is in no ledger');

# All records, of all files of a pattern, each with its own fields; in the order that is said.
$k->write_csv('d/1/a.csv', [qw(n)], [1], [2]);
$k->write_csv('d/1/b.csv', [qw(n m)], [ 3, 'x' ]);
$k->write_csv('d/2/b.csv', [qw(n)], [4]);
utime 1000, 1000, "$files/d/1/b.csv";
$k->write_csv('all.csv', [qw(id key)], [ 1, 1 ], [ 2, 2 ], [ 3, 3 ], [ 4, 4 ]);
$k->sql('TRUNCATE ds_got');
enrich('all', { resource => 'd/{id}/*.csv', params => { id => 'key' }, result => 'all' });
is(counters($k->run('all')), 'success|4|4|0|0|0|0', 'all: counters');
is(loaded('got', qw(id answer)), '1:[{"n": "1"}, {"n": "2"}, {"m": "x", "n": "3"}] 2:[{"n": "4"}] 3:- 4:-', 'all records as an array; null where there is none');
$k->sql("TRUNCATE ds_got; SELECT kaireon.delete_pipeline('all')");
enrich('all', { resource => 'd/{key}/*.csv', ordering => 'oldest_by_mtime' });
$k->run('all');
is(loaded('got', qw(id answer)), '1:{"m": "x", "n": "3"} 2:{"n": "4"} 3:- 4:-', 'the first record of the first file, as "ordering" says');

# Options of the source's format; keys that are no text; several in one resource; the output used behind.
$k->write_file('c/2024-01-02 7.txt', "a;b\n1;'x;y'\n");
$k->write_csv('typed.csv', [qw(id day part)], [ 1, '2024-01-02', '07' ], [ 2, '2024-01-03', 7 ], [ 3, undef, 7 ], [ 4, 'soon', 7 ]);
$k->make_schema('typed', 'id integer', 'b', 'part integer', 'day date');
enrich('typed', { resource => 'c/{day} {part}.txt', outputField => 'x', delimiter => ';', quote => "'" }, schema => 'typed',
    nodes => [ [ 'b', 'expression', { outputField => 'b', expression => "x ->> 'b'" } ] ], target => { validation => 'skip' });
$run = $k->run('typed');
is(counters($run), 'partial|4|3|0|1|0|0', 'typed: counters');
is(loaded('typed', qw(id b part)), '1:x;y:7 2:-:7 3:-:7', 'a key is the text of the field\'s value; a null among several is no key');
is(rejects($run), '5 load day 22007 soon: invalid input syntax for type date: "soon"', 'a key that can\'t be read is a bad row before it is asked for');

# ---- values are data

my @odd = ('*', '?', '[ab]', 'a\\b', '{x}', 'a-b', '!', ' ', "tab\t", "b\xC3\xA4r", '.hidden');
$k->write_csv("odd/$_.csv", ['v'], ["it is $_"]) for @odd, 'a', 'ab', 'b', 'x';
$k->write_csv('odd.csv', [qw(id key)], map { [ $_ + 1, $odd[$_] ] } 0 .. $#odd);
$k->sql('TRUNCATE ds_got');
enrich('odd', { resource => 'odd/{key}.csv' });
is(counters($k->run('odd')), 'success|' . @odd . '|' . @odd . '|0|0|0|0', 'odd values: counters');
is($k->sql("SELECT count(*) FROM ds_got WHERE answer ->> 'v' = 'it is ' || key"), scalar @odd, 'a wildcard in a value stands for itself');
$k->sql("TRUNCATE ds_got; SELECT kaireon.delete_pipeline('odd')");
enrich('odd', { resource => 'odd/[{key}].csv', result => 'all' });
$k->run('odd');
is($k->sql("SELECT string_agg(answer::text, ' ') FROM ds_got WHERE key IN ('a-b', '!')"), '[{"v": "it is a"}, {"v": "it is b"}] [{"v": "it is !"}]', 'also within a set of the pattern');
my @bad = ('../secret', '/etc/passwd', 'a/b', '.', '..', '', 'x' x 256);
$k->write_csv('bad.csv', [qw(id key)], (map { [ $_ + 1, $bad[$_] ] } 0 .. $#bad), [ 100, 1 ]);
$k->sql('TRUNCATE ds_got');
enrich('bad', { resource => 'c/{key}.csv' }, execution => { errorHandling => 'skip' });
$run = $k->run('bad');
is(counters($run), 'partial|8|1|0|7|0|0', 'bad values: each a bad row of its own');
is(rejects($run), join("\n", (map { ($_ + 2) . " ask key 22023 $bad[$_]: a value with a slash can't be part of a path" } 0 .. 2),
        (map { ($_ + 2) . " ask key 22023 $bad[$_]: a value of dots can't be part of a path" } 3 .. 4), "7 ask key 22023 : an empty value can't be part of a path",
        '8 ask key 22023 ' . 'x' x 256 . ": a value of more than 255 bytes can't be part of a path"), 'with the reason');
is(loaded('got', qw(id)), '100', 'the others are loaded');
is($k->count_identity($run->{run_id}), 't', 'the counters add up');

# ---- answers that can't be read

$k->write_file('c/cut.csv', "a,b\n1\n");
$k->write_file('c/own.csv', "_line,a\n1,2\n");
$k->write_file('c/latin.csv', "a\nb\xE4r\n");
$k->write_file('c/locked.csv', "a\n1\n");
chmod 0, "$files/c/locked.csv";
mkdir "$files/c/folder.csv" or die;
symlink "$files/c/1.csv", "$files/c/link.csv" or die;
$k->write_csv('wrong.csv', [qw(id key)], map { [ $_->[0], $_->[1] ] } [ 1, 'cut' ], [ 2, 1 ], [ 3, 'none' ], [ 4, 'own' ], [ 5, 'latin' ], [ 6, 'locked' ], [ 7, 'link' ], [ 8, 'cut' ], [ 9, 'folder' ]);
$k->sql('TRUNCATE ds_got');
enrich('wrong', { resource => 'c/{key}.csv' }, execution => { errorHandling => 'skip' });
$run = $k->run('wrong');
is(counters($run), 'partial|9|3|0|6|0|0', 'bad answers: all rows of their keys are bad');
is(loaded('got', qw(id answer)), '2:{"name": "Ada", "score": "3"} 3:- 9:-', 'those of others are not; a folder without files has nothing');
is(join(' ', map { "$_->{line}:$_->{value}:$_->{sqlstate}" } $k->errors($run->{run_id})),
    '2:cut:22P04 5:own:42702 6:latin:22021 7:locked:42501 8:link:42501 9:cut:22P04', 'with the line of the row and the SQLSTATE of the answer');
my @errors = $k->errors($run->{run_id});
is($errors[0]{reason}, 'resource "c/cut.csv" can\'t be read: row has 1 field, expected 2 (File "c/cut.csv", line 2: "1".)', 'and a reason that names the resource and the place in it');
is($k->node_counts($run), 'read 9/9/0 ask 9/3/6 load 3/3/0', 'they are rejected at the node');
is($k->sql("SELECT status || ' ' || count(*) FROM kaireon.runs r, kaireon.run_errors e WHERE r.run_id = '$run->{run_id}' AND e.run_id = r.run_id GROUP BY status"), 'partial 6', 'the run is partial');

# Where bad rows are not left out, the first ends the run, with its place.
enrich('wrong_fails', { resource => 'c/{key}.csv' });
$k->write_csv('wrong_fails.csv', [qw(id key)], [ 1, 1 ], [ 2, 'none' ], [ 3, 'cut' ], [ 4, '..' ]);
$run = $k->run('wrong_fails');
is(counters($run) . " $run->{error_code} " . $k->run_row($run->{run_id})->{error_node}, 'failed|4|0|4|0|0|0 22P04 ask', 'a bad answer fails the run') or diag explain $run;
is("$run->{error_message} / $run->{error_detail}", 'resource "c/cut.csv" can\'t be read: row has 1 field, expected 2 (File "c/cut.csv", line 2: "1".)'
    . ' / File "wrong_fails.csv", line 4, field "key": "cut".', 'and the error says where');
is($k->count_identity($run->{run_id}), 't', 'its counters add up');
like($run->{error_hint}, qr/"errorHandling": "skip"/, 'and what to do');
is($k->sql("SELECT string_agg(p ->> 'id', ' ') FROM kaireon.preview_pipeline('wrong_fails') AS p"), '1 2', 'a preview leaves them out');

# As dead letters they are whole, also those whose key is no name.
$k->write_csv('letters.csv', [qw(id key note)], [ 1, 1, 'a' ], [ 2, 'cut', 'b' ], [ 3, '..', 'c' ]);
$k->sql('TRUNCATE ds_got');
enrich('letters', { resource => 'c/{key}.csv' }, execution => { errorHandling => 'dlq' });
is(counters($k->run('letters')), 'partial|3|1|0|2|0|0', 'dead letters: counters');
is($k->sql("SELECT string_agg(concat_ws(' ', line, node_id, field, sqlstate, kind, record), E'\\n' ORDER BY line) FROM kaireon.dead_letters WHERE pipeline = 'letters'"),
    qq(3 ask key 22P04 record {"id": "2", "key": "cut", "note": "b"}\n4 ask key 22023 record {"id": "3", "key": "..", "note": "c"}), 'each has its record');

# maxErrors counts them.
enrich('wrong_many', { resource => 'c/{key}.csv' }, execution => { errorHandling => 'skip', maxErrors => 2 });
$k->write_csv('wrong_many.csv', [qw(id key)], map { [ $_, 'cut' ] } 1 .. 5);
is($k->run('wrong_many')->{error_code}, 'KA007', 'maxErrors counts them');

# An answer has a size.
$k->write_csv('c/long.csv', [qw(v)], map { [ 'x' x 1000 ] } 1 .. 200);
$k->write_csv('size.csv', [qw(id key)], [ 1, 'long' ], [ 2, 1 ]);
$k->sql("ALTER SYSTEM SET kaireon.max_field_bytes = '100kB'; SELECT pg_reload_conf(); TRUNCATE ds_got");
$k->poll('the setting', "SELECT current_setting('kaireon.max_field_bytes') = '100kB'");
enrich('size', { resource => 'c/{key}.csv', result => 'all' }, execution => { errorHandling => 'skip' });
$run = $k->run('size');
is(rejects($run), '2 ask key 54000 long: resource "c/long.csv" can\'t be read: it has more than the 100 kB that kaireon.max_field_bytes allows', 'one that is too large is a bad row');
is(loaded('got', qw(id)), 2, 'and the reader goes on to the next');
$k->sql('ALTER SYSTEM RESET kaireon.max_field_bytes; SELECT pg_reload_conf()');
$k->poll('the setting', "SELECT current_setting('kaireon.max_field_bytes') = '16MB'");

# What is no key's matter ends the run, whatever becomes of bad rows.
$k->sql("SELECT kaireon.create_connector('gone', 'local_fs', " . $k->json({ basePath => "$files/gone" }) . ')');
enrich('base', { connector => 'gone', resource => '{key}.csv' }, execution => { errorHandling => 'skip' });
$k->write_csv('base.csv', [qw(id key)], [ 1, 1 ]);
$run = $k->run('base');
is("$run->{status} " . ($k->errors($run->{run_id}))[0]{sqlstate}, 'partial 58P01', 'a connector whose folder is missing is no missing file');

# A thousand keys that are all bad end the run, one good one among them and it goes on.
$k->write_rows('hopeless.csv', 1500, sub { "$_[0],$_[0]" }, 'id,key');
enrich('hopeless', { connector => 'gone', resource => '{key}.csv', maxCalls => 2000 }, execution => { errorHandling => 'skip' });
$run = $k->run('hopeless');
is("$run->{status} $run->{error_code} $run->{error_message}", 'failed KA006 the first 1000 keys that node "ask" asked for are all bad', 'where all keys are bad, the run ends');
like($run->{error_detail}, qr/^The last one, key "1000": resource "1000.csv" can't be read: directory ".*gone" does not exist\.$/, 'and says what is wrong');
$k->write_rows('hopeful.csv', 1500, sub { "$_[0]," . ($_[0] == 5 ? '1' : $_[0] == 6 ? 'cut' : "/$_[0]") }, 'id,key');
$k->sql('TRUNCATE ds_got');
enrich('hopeful', { resource => 'c/{key}.csv', maxCalls => 2000 }, execution => { errorHandling => 'skip' });
is(counters($k->run('hopeful')), 'partial|1500|1|0|1499|0|0', 'where one is good, it does not');

# ---- a bound on calls

$k->write_rows('many.csv', 10_000, sub { $_[0] . ',' . ($_[0] - 1) % 1000 }, 'id,key');
$k->write_csv("d/1/$_.csv", [qw(n)], [ $_ * 2 ]) for 0 .. 999;
$k->make_schema('many', 'id integer', 'n integer');
my @number = [ 'n', 'expression', { outputField => 'n', expression => "(answer ->> 'n')::integer" } ];
enrich('many', { resource => 'd/1/{key}.csv' }, schema => 'many', nodes => \@number);
$run = $k->run('many');
is(counters($run), 'success|10000|10000|0|0|0|0', '1,000 keys: counters');
is($k->sql('SELECT count(*), sum(n) FROM ds_many WHERE n = (id - 1) % 1000 * 2'), '10000|9990000', 'each row has the answer of its key');
$k->sql('TRUNCATE ds_many');
enrich('few', { resource => 'd/1/{key}.csv', maxCalls => 999 }, schema => 'many', nodes => \@number);
$k->write_file('few.csv', PostgreSQL::Test::Utils::slurp_file("$files/many.csv"));
$run = $k->run('few');
is("$run->{status} $run->{error_code} " . $k->run_row($run->{run_id})->{error_node}, 'failed 54000 ask', 'one key more than maxCalls fails the run');
is("$run->{error_message} / $run->{error_detail}", 'node "ask" would ask connector "files" 1000 times, more than the 999 that "maxCalls" allows / It asks once for each value of key.', 'with an error that says how many, and of what');
is($k->sql("SELECT count(*) FROM kaireon.preview_pipeline('few', 999)"), 999, 'a preview asks for no more than its rows need');
like($k->sql_error("SELECT * FROM kaireon.preview_pipeline('few', 1000)"), qr/would ask connector "files" 1000 times, more than the 999/, 'and has the same bound');
# Rows that are filtered out behind need more of them; a node that needs all rows needs all keys.
enrich('sparse', { resource => 'd/1/{key}.csv', maxCalls => 405 }, schema => 'many', nodes => [ @number, [ 'some', 'filter', { field => 'n', operator => 'in', value => [ 100, 800 ] } ] ]);
$k->write_file('sparse.csv', PostgreSQL::Test::Utils::slurp_file("$files/many.csv"));
is($k->sql("SELECT string_agg(p ->> 'id', ' ') FROM kaireon.preview_pipeline('sparse', 2) AS p"), '51 401', 'a preview goes on until it has its rows');
enrich('sorted', { resource => 'd/1/{key}.csv', maxCalls => 405 }, schema => 'many', nodes => [ @number, [ 'once', 'deduplicate', { keyFields => ['n'] } ] ]);
$k->write_file('sorted.csv', PostgreSQL::Test::Utils::slurp_file("$files/many.csv"));
like($k->sql_error("SELECT * FROM kaireon.preview_pipeline('sorted', 2)"), qr/would ask connector "files" 1000 times/, 'before a node that needs all rows, all are asked for');
like($k->sql("SELECT string_agg(l, E'\\n') FROM kaireon.explain_pipeline('many', true) AS l"), qr/ask: rows in 10000, out 10000, rejected 0/, 'explain with analyze asks');

# Behind another set node, and before one; twice in a pipeline.
$k->write_csv('twice.csv', [qw(id key)], [ 1, 1 ], [ 2, 2 ], [ 3, 1 ], [ 4, 'cut' ]);
$k->make_schema('twice', 'key', 'n integer', 'name', 'title');
$k->make_graph('twice', 'twice', [ [ 'read', 'source', { resource => 'twice.csv' } ], [ 'sum', 'aggregate', { groupByFields => ['key'], aggregations => [ { function => 'count', alias => 'n' } ] } ],
        [ 'one', 'enrich', { connector => 'files', resource => 'c/{key}.csv', outputField => 'a' } ], [ 'name', 'expression', { outputField => 'name', expression => "a ->> 'name'" } ],
        [ 'two', 'enrich', { connector => 'files', resource => 'c/{n}.csv', outputField => 'a' } ], [ 'title', 'expression', { outputField => 'title', expression => "a ->> 'title'" } ], [ 'load', 'target' ] ],
    [ 'read>sum', 'sum>one', 'one>name', 'name>two', 'two>title', 'title>load' ], { errorHandling => 'skip' });
$run = $k->run('twice');
is(counters($run) . ' ' . loaded('twice', qw(key n name title)), 'partial|4|2|0|1|0|1 1:2:Ada:Bob 2:1:-:-', 'several set nodes in a row');
is($k->node_counts($run), 'read 4/4/0 sum 4/3/0 one 3/2/1 name 2/2/0 two 2/2/0 title 2/2/0 load 2/2/0', 'rows at each node');
is($k->count_identity($run->{run_id}), 't', 'the counters add up');

# Wide answers for many rows take memory for a batch, not for a thousand of them.
$k->write_csv('c/wide.csv', ['v'], [ 'x' x 1_000_000 ]);
$k->write_rows('wide.csv', 1500, sub { "$_[0],wide" }, 'id,key');
$k->make_schema('wide', 'id integer', 'n integer');
enrich('wide', { resource => 'c/{key}.csv' }, schema => 'wide', nodes => [ [ 'n', 'expression', { outputField => 'n', expression => "length(answer ->> 'v')" } ] ]);
$run = $k->start('wide');
my ($worker, $peak) = ($k->worker_pid($run), 0);
$k->poll('the end of the run', sub {
    if ($worker && open my $in, '<', "/proc/$worker/status") { /^RssAnon:\s+(\d+)/ and $1 > $peak and $peak = $1 while <$in> }
    return $k->sql("SELECT status NOT IN ('queued', 'running') FROM kaireon.runs WHERE run_id = '$run'") eq 't';
});
is($k->sql("SELECT status FROM kaireon.runs WHERE run_id = '$run'") . ' ' . $k->sql('SELECT count(*), sum(n) FROM ds_wide'), 'success 1500|1500000000', '1,500 rows with an answer of 1 MB');
cmp_ok($peak, '<', 400_000, "in $peak kB");

# ---- whose connector

$k->sql("CREATE ROLE other LOGIN; GRANT kaireon_admin TO other; GRANT CREATE ON SCHEMA public TO other");
my $theirs = "SET ROLE other; SELECT kaireon.create_connector('theirs', 'local_fs', " . $k->json({ basePath => $files }) . ', if_not_exists => true); '
  . "SELECT kaireon.create_schema('theirs', '[{\"name\": \"id\", \"dataType\": \"integer\", \"isPrimaryKey\": true}, {\"name\": \"answer\", \"dataType\": \"json\"}]', if_not_exists => true); "
  . "SELECT kaireon.create_pipeline('theirs', 'theirs', 'theirs', " . $k->json([ { id => 'r', type => 'source', config => { resource => 'first.csv' } },
        { id => 'ask', type => 'enrich', config => { connector => 'hers', resource => 'c/{key}.csv', outputField => 'answer' } }, { id => 't', type => 'target' } ]) . ')';
$k->sql("SELECT kaireon.create_connector('hers', 'local_fs', " . $k->json({ basePath => $files }) . ')');
like($k->sql_error($theirs), qr/permission denied for connector "hers"/, 'another one\'s connector is not asked');
$k->sql("SELECT kaireon.change_owner('connector', 'hers', 'other'); $theirs");
is($k->run('theirs')->{status}, 'success', 'one\'s own is');
$k->sql("TRUNCATE ds_theirs; SELECT kaireon.change_owner('connector', 'hers', current_user::regrole)");
$run = $k->run('theirs');
is("$run->{status} $run->{error_code} $run->{error_message}", 'failed 42501 node "ask": permission denied for connector "hers"', 'and no more when it is given away');
is($k->sql("SELECT node_id || ' ' || code FROM kaireon.validate_pipeline('theirs')"), 'ask permission_denied', 'which validate_pipeline finds');
like($k->sql_error("SET ROLE other; SELECT * FROM kaireon.preview_pipeline('theirs')"), qr/permission denied for connector "hers"/, 'and preview_pipeline');

# ---- the reader ends

$k->write_rows('slow.csv', 60_000, sub { "$_[0],no $_[0]" }, 'id,key');
enrich('slow', { resource => 'c/{key}.csv', maxCalls => 100_000 });

# asking(NAME): a run that asks for keys, of which there are many: run, worker, reader.
sub asking
{
    my ($name) = @_;
    my $run = $k->start($name);
    my $worker = $k->worker_pid($run);
    my $reader;
    $k->poll('it to ask', "SELECT stage = 'enriching' FROM kaireon.progress WHERE run_id = '$run'");
    $k->poll('its reader', sub { $reader = (grep { Kaireon::_comm($_) =~ /^kaireon-reader/ } Kaireon::children($worker))[0] });
    return ($run, $worker, $reader);
}

$k->sql('TRUNCATE ds_got');
{
    my ($run, $worker, $reader) = asking('slow');
    kill 'STOP', $reader;
    $k->poll('the worker to wait', "SELECT coalesce(wait_event_type = 'Extension', false) FROM pg_stat_activity WHERE pid = $worker");
    is($k->sql("SELECT backend_xmin IS NULL FROM pg_stat_activity WHERE pid = $worker"), 't', 'no snapshot is held while the reader is waited for');
    is($k->sql("SELECT stage, rows_read, rows_loaded FROM kaireon.progress WHERE run_id = '$run'"), 'enriching|60000|0', 'progress tells what it does');
    is($k->sql("SELECT kaireon.cancel_run('$run')"), 't', 'it can be cancelled');
    is($k->wait_run($run) . ' ' . $k->sql("SELECT error_code FROM kaireon.runs WHERE run_id = '$run'"), 'cancelled 57014', 'and is');
    ok($k->gone($reader, $worker), 'cancelled: reader and worker are gone');
}
{
    my ($run, $worker, $reader) = asking('slow');
    kill 'KILL', $reader;
    is($k->wait_run($run) . ' ' . $k->sql("SELECT error_code || ' ' || error_message FROM kaireon.runs WHERE run_id = '$run'"),
        'failed KA001 the reader process was ended by signal 9: Killed', 'a reader that is killed fails the run');
    is($k->run_row($run)->{error_node}, 'ask', 'at the node');
    ok($k->gone($worker), 'killed: the worker is gone');
}
{
    my ($run, $worker, $reader) = asking('slow');
    kill 'STOP', $reader;
    $k->sql("SELECT pg_terminate_backend($worker)");
    is($k->wait_run($run), 'failed', 'a worker that is terminated');
    ok($k->gone($reader, $worker), 'terminated: reader and worker are gone');
}
is($k->sql('SELECT count(*) FROM ds_got'), 0, 'nothing was loaded');
{
    my $session = $k->session;
    my $reader;
    $session->send("SELECT count(*) FROM kaireon.preview_pipeline('slow', 60000)");
    $k->poll('a reader', sub {
        return $k->sql("SELECT count(*) FROM pg_stat_activity WHERE pid = " . $session->pid . " AND wait_event_type = 'Extension'")
          && ($reader = (grep { Kaireon::_comm($_) =~ /^kaireon-reader/ } Kaireon::children($session->pid))[0]);
    });
    kill 'STOP', $reader;
    $k->sql('SELECT pg_cancel_backend(' . $session->pid . ')');
    is($session->result, '', 'a preview is cancelled');
    like($session->err, qr/57014/, 'at once');
    ok($k->gone($reader), 'preview cancelled: its reader is gone');
    is($session->query("SELECT count(*) FROM kaireon.preview_pipeline('slow', 3)"), 3, 'one that needs no more ends the reader');
    $k->poll('the reader to be gone', sub { return !grep { Kaireon::_comm($_) =~ /^kaireon-reader/ } Kaireon::children($session->pid) });
    # An error that is caught in the middle of a transaction.
    $session->query("DO \$\$ BEGIN PERFORM kaireon.preview_pipeline('few', 1000); EXCEPTION WHEN program_limit_exceeded THEN NULL; END \$\$; BEGIN; SAVEPOINT s");
    $session->query("SELECT * FROM kaireon.preview_pipeline('few', 1000)");
    $session->query('ROLLBACK TO s');
    ok($k->poll('the reader to be gone', sub { return !grep { Kaireon::_comm($_) =~ /^kaireon-reader/ } Kaireon::children($session->pid) }), 'after an error in a subtransaction none is left');
    $session->query('COMMIT');
    $session->close;
}

$k->settled('enrich');
ok($k->same_postmaster, 'the server lived');
done_testing();
