# What a run does with rows: how it ends, what its counters and rejects say, and
# what is in the table afterwards, for validation strict, skip and coerce, for
# errorHandling fail and skip, and for files of every odd shape.
#
# What loads through triggers, partitions and the like is load_paths.t.
use strict;
use warnings;
use IO::Compress::Gzip qw(gzip);
use Digest::MD5;
use Kaireon;
use Test::More;

my $k = Kaireon->new('runs');
my $files = $k->files;
my $most = 0;

my @fields = (
    { name => 'id', dataType => 'integer', isPrimaryKey => \1 },
    { name => 'name', dataType => 'varchar', length => 5 },
    { name => 'amount', dataType => 'numeric', precision => 8, scale => 2 },
    { name => 'flag', dataType => 'boolean', isNullable => \0, defaultValue => 'true' });

# counters(RUN): read|loaded|updated|failed|skipped|filtered
sub counters
{
    my ($run) = @_;
    return join '|', map { $run->{"rows_$_"} } qw(read loaded updated failed skipped filtered);
}

# table(NAME): its fields' values, a line a row.
sub table
{
    my ($name, $columns) = @_;
    return $k->sql('SELECT ' . ($columns || 'id, name, amount, flag') . " FROM ds_$name ORDER BY 1");
}

# ---- the three ends

$k->write_csv('good.csv', [qw(id name amount flag)], [ 1, 'Ada', '1.50', 't' ], [ 2, undef, undef, 'no' ]);
$k->make('good', fields => \@fields, source => { resource => 'good.csv' });
my $run = $k->run('good');
is($run->{status}, 'success', 'good rows: success');
is(counters($run), '2|2|0|0|0|0', 'its counters');
is($run->{bytes_read}, -s "$files/good.csv", 'its bytes');
is($run->{error_code}, undef, 'no error code');
is(table('good'), "1|Ada|1.50|t\n2|||f", 'the rows are there');
is($k->sql("SELECT string_agg(node_id || ' ' || rows_in || ' ' || rows_out || ' ' || rows_rejected, ', ' ORDER BY ordinal)"
      . " FROM kaireon.run_nodes WHERE run_id = '$run->{run_id}'"), 'read 2 2 0, load 2 2 0', 'rows in and out of each node');

# One bad row among good ones, in each way of validating.
my @bad = ([qw(id name amount flag)], [ 1, 'Ada', '1', 't' ], [ 2, 'Bruno', 'many', 't' ], [ 3, 'Cy', '3', 't' ], [ 4, 'Dot', 'more', 't' ]);
$k->write_csv('bad.csv', @bad);
$k->make('strict', fields => \@fields, source => { resource => 'bad.csv' }, target => { validation => 'strict' });
$run = $k->run('strict');
is($run->{status}, 'failed', 'strict: failed');
is($run->{error_code}, '22P02', 'strict: SQLSTATE');
like($run->{error_message}, qr/invalid input syntax for type numeric: "many"/, 'strict: message');
is($k->run_row($run->{run_id})->{error_detail}, "File \"bad.csv\", line 3, field \"amount\": \"many\".",
    'strict: file, line, field and value');
is($k->run_row($run->{run_id})->{error_node}, 'load', 'strict: the node');
is($run->{rows_loaded}, 0, 'strict: nothing counted as loaded');
is(table('strict'), '', 'strict: nothing written');
my @errors = $k->errors($run->{run_id});
is(scalar @errors, 1, 'strict: one reject');
is(join('|', map { $_ // '' } @{ $errors[0] }{qw(node_id source line field sqlstate value)}), "load|bad.csv|3|amount|22P02|many",
    'strict: which says where and what');

$k->make('skip', fields => \@fields, source => { resource => 'bad.csv' }, target => { validation => 'skip' });
$run = $k->run('skip');
is($run->{status}, 'partial', 'skip: partial');
is($run->{rows_read} . '|' . $run->{rows_loaded} . '|' . ($run->{rows_failed} + $run->{rows_skipped}), '4|2|2', 'skip: its counters');
is(table('skip'), "1|Ada|1.00|t\n3|Cy|3.00|t", 'skip: the others are loaded');
is(join(' ', map { "$_->{line}:$_->{value}" } $k->errors($run->{run_id})), '3:many 5:more', 'skip: each bad row is kept');

# What does not fit: a text too long, null where none may be, a number out of range.
$k->write_file('misfit.csv', "id,name,amount,flag\n1,abcdef,1,t\n2,b,1,\n3,c,1234567.89,t\n,d,1,t\n12345678901,e,1,t\n6,f,6,t\n");
$k->make('misfit', fields => \@fields, source => { resource => 'misfit.csv' }, target => { validation => 'skip' });
$run = $k->run('misfit');
is(table('misfit'), '6|f|6.00|t', 'misfits: only the fitting row is loaded');
is(join(' ', map { "$_->{line}:$_->{field}:$_->{sqlstate}" } $k->errors($run->{run_id})),
    '2:name:22001 3:flag:23502 4:amount:22003 5:id:23502 6:id:22003', 'misfits: field and SQLSTATE of each');

# ---- coerce

$k->write_file('coerce.csv', qq(id,name,amount,flag\n"12.0",abcdefgh,1,t\n2,ok,"  ",\n3,ok,1.239,"yes"\n4,ok,many,t\n " 5 " ,ok,5,t\n)
      =~ s/ " 5 " / 5 /r);
$k->make('coerce', fields => \@fields, source => { resource => 'coerce.csv' }, target => { validation => 'coerce' });
$run = $k->run('coerce');
is($run->{status}, 'partial', 'coerce: partial');
is(table('coerce'), "2|ok||t\n3|ok|1.24|t\n5|ok|5.00|t\n12|abcde|1.00|t",
    'coerce: text cut, 12.0 an integer, blanks null, null the default');
is(join(' ', map { "$_->{line}:$_->{field}:$_->{sqlstate}" } $k->errors($run->{run_id})), '5:amount:22P02', 'coerce: what can not be mended is a reject');

# A whole number may be written as a decimal; one with a fraction would be another number.
my $rows = 0;
$k->write_file('whole.csv', "id;i;b;s\n" . join('', map { ++$rows . ";$_\n" }
    '9.0;12.00;1e3', '9.5;1;1', '1;89635.45;1', '1;1;-0.5', '-0.0; 7. ;.0e5', '1;9223372036854775806.9;1', '25e-1;1;1', '250e-1;1;1', 'NaN;1;1', 'twelve;1;1',
    '1;1;40000.0'));
$k->make('whole', source => { resource => 'whole.csv', delimiter => ';' }, target => { validation => 'coerce' },
    fields => [ { name => 'id', dataType => 'integer', isPrimaryKey => \1 }, { name => 'i', dataType => 'integer' },
        { name => 'b', dataType => 'bigint' }, { name => 's', dataType => 'smallint' } ]);
$run = $k->run('whole');
is(table('whole', 'id, i, b, s'), "1|9|12|1000\n5|0|7|0\n8|25|1|1", 'coerce: decimals without a fraction become integers');
is(join("\n", map { "$_->{line} $_->{sqlstate} $_->{reason}" } $k->errors($run->{run_id})), <<'END' =~ s/\n\z//r, 'coerce: others are rejects that say why');
3 22P02 value "9.5" would lose its fraction in type integer
4 22P02 value "89635.45" would lose its fraction in type bigint
5 22P02 value "-0.5" would lose its fraction in type smallint
7 22P02 value "9223372036854775806.9" would lose its fraction in type bigint
8 22P02 value "25e-1" would lose its fraction in type integer
10 22P02 invalid input syntax for type integer: "NaN"
11 22P02 invalid input syntax for type integer: "twelve"
12 22003 smallint out of range
END

# ---- errorHandling: rows that are no rows

$k->write_file('ragged.csv', "id,name,amount,flag\n1,a,1,t\n2,b\n3,c,3,t,extra\n4,d,4,t\n");
for my $handling (qw(fail skip))
{
    $k->make("ragged_$handling", fields => \@fields, source => { resource => 'ragged.csv' },
        execution => { errorHandling => $handling });
}
$run = $k->run('ragged_fail');
is($run->{status}, 'failed', 'ragged, fail: failed');
is(table('ragged_fail'), '', 'ragged, fail: nothing written');
like($k->run_row($run->{run_id})->{error_detail}, qr/ragged\.csv", line 3/, 'ragged, fail: file and line');
is(scalar($k->errors($run->{run_id})), 1, 'ragged, fail: one reject');
$run = $k->run('ragged_skip');
is($run->{status}, 'partial', 'ragged, skip: partial');
is(table('ragged_skip', 'id'), "1\n4", 'ragged, skip: the others are loaded');
@errors = $k->errors($run->{run_id});
is(join(' ', map { "$_->{line}:$_->{node_id}:$_->{value}" } @errors), '3:read:2,b 4:read:3,c,3,t,extra', 'ragged, skip: the rows are kept');
like($errors[0]{reason}, qr/\b2\b.*\b4\b|\b4\b.*\b2\b/, 'ragged, skip: the reason has both counts');

$k->write_file('bytes.csv', "id,name,amount,flag\n1,a\xff,1,t\n2,b\0,1,t\n3,\xc3\xa9,3,t\n\xed\xa0\x80,c,1,t\n5,d,5,t\n");
$k->make('bytes', fields => \@fields, source => { resource => 'bytes.csv' }, execution => { errorHandling => 'skip' },
    target => { validation => 'skip' });
$run = $k->run('bytes');
is(table('bytes', 'id, name'), "3|\xc3\xa9\n5|d", 'bad UTF-8 and NUL: neighbours are loaded');
is(join(' ', map { "$_->{line}:$_->{sqlstate}" } $k->errors($run->{run_id})), '2:22021 3:22021 5:22021', 'bad UTF-8 and NUL: each is a reject');

$k->write_file('quote.csv', "id,name,amount,flag\n1,a,1,t\n2,\"b,1,t\n3,c,3,t\n");
$k->make('quote', fields => \@fields, source => { resource => 'quote.csv' }, execution => { errorHandling => 'skip' });
$run = $k->run('quote');
is($run->{status} . ' ' . table('quote', 'id'), 'partial 1', 'a quote that is never closed: rows before it are loaded');
@errors = $k->errors($run->{run_id});
is(scalar @errors, 1, 'a quote that is never closed: one reject');
is($errors[0]{line}, 3, 'where it opens');
is($errors[0]{reason}, 'quotes opened on line 3 are not closed by the end of the file; the row takes lines 3 to 4', 'and which lines it took');

# An expression that fails for one row.
$k->write_csv('div.csv', [qw(id name amount flag)], map { [ $_, 'n', $_ == 3 ? 0 : $_, 't' ] } 1 .. 5);
my @div = ({ id => 'inv', type => 'add_field', config => { fieldName => 'inverse', fieldType => 'numeric', expression => '1 / amount::numeric' } });
my @with_inverse = (@fields, { name => 'inverse', dataType => 'numeric', precision => 8, scale => 4 });
for my $handling (qw(fail skip))
{
    $k->make("div_$handling", fields => \@with_inverse, source => { resource => 'div.csv' }, nodes => \@div,
        execution => { errorHandling => $handling });
}
$run = $k->run('div_fail');
is("$run->{status} $run->{error_code} $run->{rows_loaded}", 'failed 22012 0', 'an expression error fails the run');
is($k->run_row($run->{run_id})->{error_node}, 'inv', 'and names its node');
is(table('div_fail', 'id'), '', 'and nothing is written');
$run = $k->run('div_skip');
is(table('div_skip', 'id, inverse'), "1|1.0000\n2|0.5000\n4|0.2500\n5|0.2000", 'an expression error skips its row only');
@errors = $k->errors($run->{run_id});
is(join('|', @{ $errors[0] }{qw(node_id line sqlstate)}), 'inv|4|22012', 'and is the node\'s reject');

# As many bad rows as maxErrors says, and no more.
for my $test ([ 1, 'failed', 'KA007', 'More than 1 rows are bad. The last one, at node "load": invalid input syntax for type numeric: "more". File "bad.csv", line 5, field "amount": "more".' ],
    [ 2, 'partial' ], [ '49.9%', 'failed', 'KA007', 'Of 4 rows 2 were bad, more than 49.9%.' ], [ '50%', 'partial' ], [ 0, 'failed', 'KA007' ])
{
    my ($max, $status, $code, $detail) = @$test;
    my $name = 'most' . ++$most;
    $k->make($name, fields => \@fields, source => { resource => 'bad.csv' }, execution => { errorHandling => 'skip', maxErrors => $max });
    $run = $k->run($name);
    is("$run->{status} " . ($run->{error_code} // ''), "$status " . ($code // ''), "maxErrors $max of 4 rows with 2 bad ones: $status");
    is($run->{error_detail}, $detail, "maxErrors $max: how many") if $detail;
    is($k->sql("SELECT count(*) FROM ds_$name"), $status eq 'failed' ? 0 : 2, "maxErrors $max: what is loaded");
    is(scalar $k->errors($run->{run_id}), $max eq '0' ? 1 : 2, "maxErrors $max: the bad rows are kept");
}

# When the first thousand rows are all bad, there is no point in going on.
$k->write_rows('hopeless.csv', 5000, sub { "$_[0],n," . ($_[0] > 1500 ? 1 : 0) . ',t' }, 'id,name,amount,flag');
$k->make('hopeless', fields => \@with_inverse, source => { resource => 'hopeless.csv' }, nodes => \@div, execution => { errorHandling => 'skip' });
$run = $k->run('hopeless');
is("$run->{status} $run->{error_code} $run->{rows_loaded}", 'failed KA006 0', 'all of the first 1,000 rows bad: the run ends');
like($run->{error_message}, qr/^the first 1000 rows are all bad$/, 'and says so');
like($run->{error_detail}, qr/^Node "inv": division by zero\. File "hopeless\.csv", line 2, field "inverse": "0"\.$/, 'with the first of them');
is(scalar($k->errors($run->{run_id})), 1000, 'all of them are kept');
$k->write_rows('hopeless.csv', 5000, sub { "$_[0],n," . ($_[0] % 1000 == 7 ? 1 : 0) . ',t' }, 'id,name,amount,flag');
$run = $k->run('hopeless');
is("$run->{status} $run->{rows_loaded} $run->{rows_skipped}", 'partial 5 4995', 'one good among them is enough');
$run = $k->run('hopeless');
is("$run->{status} $run->{rows_loaded} $run->{rows_skipped}", 'partial 0 5000', 'a row that is there already is not bad');

# ---- constraints

$k->make('checked', fields => \@fields, source => { resource => 'div.csv' }, execution => { errorHandling => 'skip' });
$k->sql('ALTER TABLE ds_checked ADD CONSTRAINT amount_not_four CHECK (amount <> 4)');
$run = $k->run('checked');
is(table('checked', 'id'), "1\n2\n3\n5", 'a check constraint rejects its row');
@errors = $k->errors($run->{run_id});
is("$errors[0]{line} $errors[0]{sqlstate}", '5 23514', 'with its SQLSTATE');
like($errors[0]{reason}, qr/"amount_not_four"/, 'and its name');
$k->make('checked_fail', fields => \@fields, source => { resource => 'div.csv' });
$k->sql('ALTER TABLE ds_checked_fail ADD CONSTRAINT amount_not_four CHECK (amount <> 4)');
$run = $k->run('checked_fail');
is("$run->{status} $run->{error_code} " . table('checked_fail'), 'failed 23514 ', 'or fails the run');

$k->write_csv('twice.csv', [qw(id name amount flag)], [ 1, 'new', 1, 't' ], [ 2, 'first', 1, 't' ], [ 2, 'again', 1, 't' ], [ 3, 'c', 1, 't' ]);
$k->make('twice', fields => \@fields, source => { resource => 'twice.csv' }, execution => { errorHandling => 'skip' });
$k->sql("INSERT INTO ds_twice (id, name) VALUES (1, 'old')");
$run = $k->run('twice');
is(table('twice', 'id, name'), "1|old\n2|first\n3|c", 'unique conflicts: rows there and the first of the file stay');
is(join(' ', map { "$_->{line}:$_->{field}:$_->{sqlstate}" } $k->errors($run->{run_id})), '2:id:23505 4:id:23505', 'each conflict is a reject');
is($run->{rows_loaded}, 2, 'and not counted as loaded');
is($k->sql('SET enable_seqscan = off; SELECT count(*) FROM ds_twice WHERE id > 0'), 3, 'the index agrees');
$k->make('twice_fail', fields => \@fields, source => { resource => 'twice.csv' });
$run = $k->run('twice_fail');
is("$run->{status} $run->{error_code} " . table('twice_fail'), 'failed 23505 ', 'or it fails the run');

# Another session inserts the same key meanwhile: the run waits for its end.
for my $end (qw(COMMIT ROLLBACK))
{
    my $name = lc "race_$end";
    $k->make($name, fields => \@fields, source => { resource => 'good.csv' }, execution => { errorHandling => 'skip' });
    my $other = $k->session;
    $other->query("BEGIN; INSERT INTO ds_$name (id, name) VALUES (1, 'other')");
    my $id = $k->start($name);
    my $pid = $k->worker_pid($id);
    ok($k->poll('the run to wait for the other session',
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $pid AND wait_event_type = 'Lock')"), "$end: the run waits");
    $other->query($end);
    $k->wait_run($id);
    my $loaded = table($name, 'id, name');
    is($loaded, $end eq 'COMMIT' ? "1|other\n2|" : "1|Ada\n2|", "$end: the key is whose insert came to be");
    is($k->sql("SELECT status, rows_loaded FROM kaireon.runs WHERE run_id = '$id'"), $end eq 'COMMIT' ? 'partial|1' : 'success|2',
        "$end: and the run says so");
    $other->close;
}

# ---- shapes of files

$k->write_csv('plain.csv', [qw(id name amount flag)], [ 7, 'zip', 7, 't' ]);
gzip("$files/plain.csv" => "$files/packed.csv.gz") or die;
$k->make('packed', fields => \@fields, source => { resource => 'packed.csv.gz' });
$run = $k->run('packed');
is("$run->{status} " . table('packed'), 'success 7|zip|7.00|t', 'gzip');

mkdir "$files/daily";
$k->write_file('daily/a.csv', "id,name,amount,flag\n1,a,1,f\n2,b,2,f\n");
$k->write_file('daily/b.csv', "amount,id,name\n3,3,c\n4,4,d\n");
$k->write_file('daily/c.txt', "nonsense\n");
$k->make('daily', fields => \@fields, source => { resource => 'daily/*.csv' });
$run = $k->run('daily');
is($run->{status} . ' ' . counters($run), 'success 4|4|0|0|0|0', 'two files by glob');
is(table('daily'), "1|a|1.00|f\n2|b|2.00|f\n3|c|3.00|t\n4|d|4.00|t", 'columns by name; what one lacks takes its default');
is($run->{bytes_read}, (-s "$files/daily/a.csv") + (-s "$files/daily/b.csv"), 'bytes of both');

$k->write_file('lacking.csv', "name,amount,flag\nx,1,t\n");
$k->make('lacking', fields => \@fields, source => { resource => 'lacking.csv' });
$run = $k->run('lacking');
is($run->{status}, 'failed', 'a file without the key column fails');
like($run->{error_message}, qr/"id"/, 'and the column is named');

$k->write_file('bare.csv', "1,a,1,t\n2,b,2,f\n");
$k->make('bare', fields => \@fields, source => { resource => 'bare.csv', header => \0, columns => [qw(id name amount flag)] });
$run = $k->run('bare');
is("$run->{status} " . table('bare'), "success 1|a|1.00|t\n2|b|2.00|f", 'without a header line, with columns');

for my $case ([ 'header_only', "id,name,amount,flag\n", 'success' ], [ 'empty', '', 'success' ], [ 'header_no_end', 'id,name,amount,flag', 'success' ])
{
    my ($name, $text, $status) = @$case;
    $k->write_file("$name.csv", $text);
    $k->make($name, fields => \@fields, source => { resource => "$name.csv" });
    $run = $k->run($name);
    is("$run->{status} " . counters($run), "$status 0|0|0|0|0|0", "$name: nothing to load, and that is no failure");
}
$k->make('absent', fields => \@fields, source => { resource => 'no/such.csv' });
$run = $k->run('absent');
is($run->{status}, 'failed', 'a file that is not there fails');
like($run->{error_message}, qr/such\.csv/, 'and is named');
$k->make('nothing', fields => \@fields, source => { resource => 'no*.parquet' });
my $status = $k->run('nothing')->{status};
like($status, qr/^(success|failed)$/, "a glob that matches nothing ends ($status)");

for my $case ([ 'one', "id,name,amount,flag\n1,a,1,t\n" ], [ 'one_no_end', "id,name,amount,flag\n1,a,1,t" ],
    [ 'one_crlf', "\xef\xbb\xbfid,name,amount,flag\r\n1,a,1,t\r\n" ])
{
    my ($name, $text) = @$case;
    $k->write_file("$name.csv", $text);
    $k->make($name, fields => \@fields, source => { resource => "$name.csv" });
    is($k->run($name)->{status} . ' ' . table($name), 'success 1|a|1.00|t', "a file of one row: $name");
}

# Rows and cells bigger than any buffer.
my @wide = ({ name => 'id', dataType => 'integer', isPrimaryKey => \1 }, map { { name => "t$_", dataType => 'text' } } 1 .. 3);
my $line = sub { my ($i) = @_; return join(',', $i, map { '"' . chr(96 + $_) x (30_000 + $i) . '"' } 1 .. 3) };
$k->write_rows('wide.csv', 40, $line, 'id,t1,t2,t3');
my $huge = join('', map { sprintf '%07d ', $_ } 1 .. 400_000);
open my $out, '>>', "$files/wide.csv" or die;
print $out qq(41,"$huge",x,"two\nlines"\n);
close $out;
$k->make('wide', fields => \@wide, source => { resource => 'wide.csv' });
$run = $k->run('wide');
is("$run->{status} $run->{rows_loaded}", 'success 41', 'rows bigger than 64 kB and a cell of 3 MB');
is($k->sql('SELECT count(*) FROM ds_wide WHERE id <= 40 AND length(t1) = 30000 + id AND t2 = repeat(\'b\', 30000 + id) AND length(t3) = 30000 + id'),
    40, 'they are whole');
is($k->sql("SELECT length(t1), md5(t1), t2, t3 FROM ds_wide WHERE id = 41"), length($huge) . '|' . Digest::MD5::md5_hex($huge) . "|x|two\nlines",
    'the 3 MB too');

# ---- the worked example

$k->write_csv('customers.csv', [qw(customer_id email_address name balance ssn)],
    [ 'C1', 'ada@example.com', 'Ada', '10.50', '123-45-6789' ], [ 'C2', 'b@example.com', 'B, "the" Second', '-1', '223-45-6789' ],
    [ 'C3', undef, "two\nlines", '0.01', '323-45-0000' ], [ 'C4', 'd@example.com', 'D', '0', undef ], [ 'C5', 'e@example.com', 'E', undef, undef ]);
$k->make('customers', fields => [
        { name => 'customer_id', dataType => 'varchar', isPrimaryKey => \1 }, { name => 'email', dataType => 'varchar' }, { name => 'name', dataType => 'varchar' },
        { name => 'balance', dataType => 'numeric', precision => 12, scale => 2 }, { name => 'ssn', dataType => 'varchar', length => 11 } ],
    source => { resource => 'customers.csv' },
    nodes => [
        { id => 'positive', type => 'filter', config => { field => 'balance', operator => '>', value => 0 } },
        { id => 'email', type => 'rename', config => { sourceField => 'email_address', targetField => 'email' } },
        { id => 'mask', type => 'mask_pii', config => { field => 'ssn', maskType => 'ssn' } } ]);
$run = $k->run('customers');
is($run->{status} . ' ' . counters($run), 'success 5|2|0|0|0|3', 'the worked example: its counters');
is(table('customers', 'customer_id, email, name, balance, ssn'), "C1|ada\@example.com|Ada|10.50|***-**-6789\nC3||two\nlines|0.01|***-**-0000",
    'its rows');
is($k->sql("SELECT string_agg(node_id || ' ' || rows_in || ' ' || rows_out, ', ' ORDER BY ordinal) FROM kaireon.run_nodes"
      . " WHERE run_id = '$run->{run_id}'"), 'read 5 5, positive 5 2, email 2 2, mask 2 2, load 2 2', 'its nodes');
is($k->sql("SELECT count(*) FROM kaireon.preview_pipeline('customers', 1)"), 1, 'a preview of it gives as many rows as asked for');
is($k->sql("SELECT p ->> 'ssn' FROM kaireon.preview_pipeline('customers', 1) AS p"), '***-**-6789', 'masked too');
is($k->sql('SELECT count(*) FROM ds_customers'), 2, 'and writes nothing');
like($k->sql("SELECT string_agg(l, E'\\n') FROM kaireon.explain_pipeline('customers', true) AS l"),
    qr/positive: rows in 5, out 2/, 'explain with analyze counts');
like($k->sql("SELECT kaireon.pipeline_diagram('customers')"), qr/positive/, 'and there is a diagram of it');

$k->settled('at the end');
ok($k->same_postmaster, 'the server lived through');
done_testing;
