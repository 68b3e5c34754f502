# Files as they come: compressed in several pieces, cut, damaged, changed while
# they are read, and what is no file at all.
#
# Every fault says at which line and byte reading had come to, and a run that
# meets one loads nothing.  Which rows a file gives is the unit tests' to show.
use strict;
use warnings;
use IO::Compress::Gzip qw(gzip $GzipError);
use IO::Socket::UNIX;
use Kaireon;
use POSIX qw(mkfifo);
use Test::More;

my $k = Kaireon->new('files', conf => "kaireon.max_logged_errors = 10\n");
my $files = $k->files;
my @fields = ({ name => 'id', dataType => 'integer', isPrimaryKey => \1 }, { name => 'name', dataType => 'text' });

sub packed { my ($text) = @_; my $out; gzip(\$text => \$out) or die $GzipError; return $out; }

# zstd(TEXT, BLOCK TYPE = 0): a frame of one block that is stored as it is; type 3 is none.
sub zstd
{
    my ($text, $type) = @_;
    return "\x28\xB5\x2F\xFD\xA0" . pack('V', length $text) . substr(pack('V', 1 | ($type || 0) << 1 | length($text) << 3), 0, 3) . $text;
}

sub error_of { my ($query) = @_; return $k->sql_error("\\set VERBOSITY verbose\n$query"); }

# fails(FILE, CODE, WHERE, WHAT, OPTIONS): reading says where, and so does a run, which loads nothing.
sub fails
{
    my ($file, $code, $where, $what, $options) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    like(error_of("SELECT id FROM kaireon.read('files', '$file', " . $k->json($options || {}) . ') AS t(id text)'), qr/$code.*$where/s, "$what: read says where");
    $k->sql("SELECT kaireon.update_pipeline('one', nodes => " . $k->json([
        { id => 'read', type => 'source', config => { resource => $file, incremental => \1, %{ $options || {} } } }, { id => 'load', type => 'target' } ]) . ')');
    my $run = $k->run('one');
    is("$run->{status} $run->{error_code}", "failed $code", "$what: a run fails") or diag(explain($run));
    like($run->{error_detail}, qr/$where/, "$what: and says where");
    is($k->sql('SELECT count(*) FROM ds_one') . $k->sql("SELECT count(*) FROM kaireon.source_state WHERE pipeline = 'one'"), '00',
        "$what: nothing is loaded, no file counts as read");
    return;
}

$k->make('one', fields => \@fields, source => { resource => 'none.csv' });

# ---- several members in a file

my @parts = ("id,name\n1,Ada\n2,B", "runo\n", '', "3,Cy\n4,\"D\n", "ot\"\n");
$k->write_file('members.csv.gz', join('', map { packed($_) } @parts));
$k->write_file('frames.csv.zst', join('', map { zstd($_) } @parts) . "\x50\x2A\x4D\x18\x03\0\0\0abc" . zstd("5,Eve\n"));
is($k->sql("SELECT id, name, _line FROM kaireon.read('files', 'members.csv.gz') AS t(id int, name text, _line int)"),
    "1|Ada|2\n2|Bruno|3\n3|Cy|4\n4|D\not|5", 'several gzip members are one file');
is($k->sql("SELECT id, name, _line FROM kaireon.read('files', 'frames.csv.zst') AS t(id int, name text, _line int)"),
    "1|Ada|2\n2|Bruno|3\n3|Cy|4\n4|D\not|5\n5|Eve|7", 'several zstd frames are one file');
$k->make('many', fields => \@fields, source => { resource => 'big.csv.gz' });
$k->write_file('big.csv.gz', packed("id,name\n") . join('', map { my $n = $_ * 1000; packed(join('', map { $n + $_ . ",name $_\n" } 1 .. 1000)) } 0 .. 99));
my $run = $k->run('many');
is("$run->{status} $run->{rows_loaded} " . $k->sql('SELECT sum(id) FROM ds_many'), 'success 100000 5000050000', 'a run over a hundred members')
  or diag($run->{error_message});

# ---- which files

my @tree = ('t/a.csv', 't/x/a.csv', 't/x/y/a.csv', 't/x/y/b.csv', 't/.hidden/a.csv', 't/v[1].csv', 't/v1.csv', 't/*', 't/a\\b.csv', 't/{q}.csv');
mkdir "$files/$_" or die $! for qw(t t/x t/x/y t/.hidden);
symlink "$files/t/x", "$files/t/link" or die $!;
$k->write_file($tree[$_], "id\n$_\n") for 0 .. $#tree;

# found(RESOURCE, FILES BY NUMBER, WHAT): list_objects and read find the same.
sub found
{
    my ($resource, $numbers, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is($k->sql("SELECT string_agg(path, ' ') FROM kaireon.list_objects('files', E'$resource')"), join(' ', map { $tree[$_] } @$numbers), "$what: listed");
    is($k->sql("SELECT string_agg(id::text, ' ') FROM kaireon.read('files', E'$resource') AS t(id int)"), join(' ', @$numbers), "$what: read");
    return;
}
found('t/**/a.csv', [ 0, 1, 2 ], 'folders of any depth, none too; hidden ones and links are left out');
found('t/x/**', [ 1, 2, 3 ], 'all files below a folder');
found('t/v[1].csv', [5], 'a file that is called like a pattern');
found('t/v[1-2].csv', [6], 'a pattern that no file is called like');
found('t/v\\\\[1\\\\]*', [5], 'quoted characters in a pattern');
found('t/\\\\*', [7], 'a quoted star');
found('t/a\\\\b.csv', [8], 'a backslash in a name');
found('t/{?}.csv', [9], 'braces mean themselves');
found('t/*', [ 7, 0, 8, 6, 5, 9 ], 'a file called * does not hide the others');
like(error_of("SELECT * FROM kaireon.read('files', 't/link/**') AS t(id int)"), qr/42501: "t\/link" is or goes through a symbolic link/, 'a link that is named');

$k->write_file('t/head.csv', "ID,Name\n1,Ada\n");
$k->write_file('t/none.csv', "2,Bruno\n");
is($k->sql("SELECT id, name, _line FROM kaireon.read('files', 't/[hn]*.csv', '{\"columns\": [\"id\", \"name\"]}') AS t(id int, name text, _line int)"),
    "1|Ada|2\n2|Bruno|1", 'columns: a header line is none of the rows, where a file has one');

# The data directory, by any path.
my $data = $k->node->data_dir;
symlink $data, "$files/pgdata" or die $!;
like(error_of("SELECT * FROM kaireon.list_objects('files', 'pgdata/**')"), qr/42501/, 'no link to the data directory');
mkdir "$files/space" or die $!;
$k->sql("CREATE TABLESPACE elsewhere LOCATION '$files/space'");
$k->sql('CREATE TABLE secret TABLESPACE elsewhere AS SELECT 1 AS id');
like(error_of("SELECT * FROM kaireon.list_objects('files', 'space/**')"), qr/42501: "space" lies in a directory that must not be read/, 'no tablespace');
is($k->sql("SELECT count(*) FROM kaireon.list_objects('files', '**') WHERE path LIKE 'space%'"), 0, 'not even by a pattern');
$k->sql('DROP TABLE secret; DROP TABLESPACE elsewhere');
rmdir "$files/space" or die $!;
unlink "$files/pgdata" or die $!;

# ---- cut and damaged

my $text = "id,name\n" . join('', map { "$_,\"name\n$_\"\n" } 1 .. 50_000);
my $gz = packed($text);
$k->write_file('cut.csv.gz', substr($gz, 0, length($gz) - 9));
fails('cut.csv.gz', '22P04', 'File "cut\.csv\.gz", line 100002, byte ' . length($text) . '\. At byte \d+ of the compressed object', 'gzip that is cut');
substr($gz, -6, 1) = chr(ord(substr($gz, -6, 1)) ^ 1);
$k->write_file('sum.csv.gz', $gz);
fails('sum.csv.gz', '22P04', 'File "sum\.csv\.gz", line 100002, byte ' . length($text) . '\.', 'gzip with a wrong checksum');
$k->write_file('block.csv.zst', zstd("id,name\n1,Ada\n2,Bru") . zstd('xx', 3));
fails('block.csv.zst', '22P04', 'File "block\.csv\.zst", line 3, byte 19\.', 'zstd with a corrupt block');
$k->write_file('cut.csv.zst', zstd("id,name\n1,Ada\n2,Bru") . substr(zstd('xx'), 0, 7));
fails('cut.csv.zst', '22P04', 'File "cut\.csv\.zst", line 3, byte 19\.', 'zstd that is cut');
$k->write_file('start.csv.gz', substr(packed('id'), 0, 12));
fails('start.csv.gz', '22P04', 'File "start\.csv\.gz", line 1, byte 1\.', 'gzip that is cut at its beginning');
$k->write_file('odd.csv', pack('v*', unpack('C*', "id,name\n1,Ada\n2,B")) . 'x');
fails('odd.csv', '22021', 'File "odd\.csv", line 3, byte 34\.', 'UTF-16 that ends within a character', { encoding => 'UTF-16LE' });
$k->write_file('open.csv', "id,name\r\n1,Ada\r\n2,\"B\r\nC\r\n");
like(error_of("SELECT * FROM kaireon.read('files', 'open.csv') AS t(id int, name text)"),
    qr/22P04: quotes opened on line 3 are not closed by the end of the file.*File "open\.csv", line 3: /s, 'quotes that are not closed');
is($k->sql("SET client_min_messages = error; SELECT * FROM kaireon.read('files', 'open.csv', '{\"quotes\": \"lenient\", \"onError\": \"skip\"}') AS t(id int, name text)"), '1|Ada',
    'one reject when lenient');

# ---- changed while it is read

my @changes = (
    [ 'shrinks', sub { truncate $_[0], 1_000_000 or die $! } ],
    [ 'grows', sub { open my $out, '>>', $_[0] or die $!; print $out "7,x\n"; close $out or die $! } ],
    [ 'is written over', sub { open my $out, '+<', $_[0] or die $!; print $out "ID,NAME\n"; close $out or die $! } ]);
for my $change (@changes)
{
    my ($what, $do) = @$change;
    my $path = $k->write_rows('big.csv', 400_000, sub { "$_[0],name $_[0] and some more text" }, 'id,name');
    my $session = $k->session;
    $session->query("BEGIN; DECLARE c CURSOR FOR SELECT id FROM kaireon.read('files', 'big.csv') AS t(id int)");
    is($session->query('FETCH 1 FROM c'), '1', "a file that $what: the first row");
    $do->($path);
    $session->query('MOVE ALL FROM c');
    like($session->err, qr/58030: file "big\.csv" changed while it was read.*DETAIL:  File "big\.csv", line \d\d+, byte \d\d+\..*HINT:  Write files under another name/s,
        "a file that $what: an error");
    $session->close;
}

# A run that waits in its first rows for a lock that a trigger wants.
$k->make('gate', fields => \@fields, source => { resource => 'big.csv', incremental => \1 }, execution => { batchSize => 1 });
$k->sql(q(CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
    IF NEW.id = 500 THEN PERFORM pg_advisory_xact_lock_shared(42); END IF; RETURN NEW; END$$;
    CREATE TRIGGER gate BEFORE INSERT ON ds_gate FOR EACH ROW EXECUTE FUNCTION gate();));
my $hold = $k->session;
for my $change (@changes)
{
    my ($what, $do) = @$change;
    my $path = $k->write_rows('big.csv', 3000, sub { "$_[0]," . 'x' x 1000 }, 'id,name');
    $hold->query('SELECT pg_advisory_lock(42)');
    my $id = $k->start('gate');
    my $worker = $k->worker_pid($id);
    $k->poll('the run to reach the lock', "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $worker AND wait_event = 'advisory')");
    $do->($path);
    $hold->query('SELECT pg_advisory_unlock(42)');
    is($k->wait_run($id), 'failed', "a file that $what under a run: it fails");
    my $row = $k->run_row($id);
    like("$row->{error_code} $row->{error_message} $row->{error_detail}", qr/^58030 file "big\.csv" changed while it was read File "big\.csv", line \d+, byte \d+\./, "a file that $what under a run: and says why");
    is($k->sql('SELECT count(*) FROM ds_gate') . $k->sql("SELECT count(*) FROM kaireon.source_state WHERE pipeline = 'gate'"), '00',
        "a file that $what under a run: nothing is loaded");
}
$hold->close;

# ---- what is no file

mkdir "$files/odd" or die $!;
mkfifo("$files/odd/fifo.csv", 0600) or die $!;
my $socket = IO::Socket::UNIX->new(Local => "$files/odd/socket.csv", Listen => 1) or die $!;
symlink "$files/members.csv.gz", "$files/odd/link.csv" or die $!;
mkdir "$files/odd/folder.csv" or die $!;
$k->write_file('odd/file.csv', "id\n1\n");
is($k->sql("SELECT path FROM kaireon.list_objects('files', 'odd')"), 'odd/file.csv', 'a listing has only files');
is($k->sql("SELECT path FROM kaireon.list_objects('files', 'odd/*.csv')"), 'odd/file.csv', 'so has a pattern');
is($k->sql("SELECT * FROM kaireon.read('files', 'odd/*') AS t(id int)"), '1', 'and what is read');
for my $odd ([ 'fifo', 42809, 'is not a regular file' ], [ 'socket', 42809, 'is not a regular file' ], [ 'link', 42501, 'is or goes through a symbolic link' ])
{
    like(error_of("SELECT * FROM kaireon.read('files', 'odd/$odd->[0].csv') AS t(id int)"), qr/$odd->[1]: "odd\/$odd->[0]\.csv" $odd->[2]/, "no $odd->[0]");
}
# A root that holds devices.
$k->sql("ALTER SYSTEM SET kaireon.local_fs_roots = '$files, /dev'; SELECT pg_reload_conf()");
$k->poll('the roots to count', "SELECT current_setting('kaireon.local_fs_roots') LIKE '%/dev%'");
$k->sql("SELECT kaireon.create_connector('devices', 'local_fs', '{\"basePath\": \"/dev\"}')");
like(error_of("SELECT * FROM kaireon.read('devices', '$_') AS t(id int)"), qr/42809: "$_" is not a regular file/, "no device $_") for qw(null zero tty);
is($k->sql("SELECT count(*) FROM kaireon.list_objects('devices', '[nz]*') WHERE path IN ('null', 'zero')"), 0, 'nor in a listing');

$k->settled('at the end');
ok($k->same_postmaster, 'the server lived through');
done_testing;
