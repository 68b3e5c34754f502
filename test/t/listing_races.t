# Files without a byte, and files that appear, grow or go while a source is listed and read.
use strict;
use warnings;
use Compress::Zlib;
use Kaireon;
use Test::More;

my $k = Kaireon->new('listing_races');
my $files = $k->files;
mkdir "$files/$_" for qw(in feed feed/tmp slow);

# ---- nothing in a file is nothing to load

my @fields = ({ name => 'n', dataType => 'integer', isPrimaryKey => \1 }, { name => 'v', dataType => 'varchar', isNullable => \0 });
my %empty = ('0.csv' => '', '1.csv' => "\n\n", '2.csv' => "\xEF\xBB\xBF", '3.tsv' => '', '4.jsonl' => '', '5.json' => '', '6.csv.gz' => Compress::Zlib::memGzip(''), '7.csv.gz' => '',
    '8.csv' => "n,v\n", '9.txt' => '');
for my $name (sort keys %empty)
{
    $k->write_file("in/$name", $empty{$name});
    is($k->sql("SELECT count(n) FROM (SELECT 1) AS x LEFT JOIN LATERAL kaireon.read('files', 'in/$name') AS t(n int, v text) ON true"), 0, "$name has no rows") if $name ne '0.csv';
    next if $name ne '0.csv';
    $k->make('p', fields => \@fields, source => { resource => 'in', incremental => \1 });
}
$k->write_file('in/5a.csv', "n,v\n1,a\n2,b\n");
my $run = $k->run('p');
is("$run->{status} $run->{rows_loaded}", 'success 2', 'empty files between others are no error, whatever columns must not be null') or diag("$run->{error_message} $run->{error_detail}");
is($k->sql("SELECT count(*), sum(rows_read) FROM kaireon.source_state WHERE pipeline = 'p'"), '11|2', 'they count as loaded');
is($k->run('p')->{rows_read}, 0, 'and are not read again');
$k->write_file('in/0.csv', "n,v\n3,c\n");
is($k->run('p')->{rows_loaded}, 1, 'until they are no longer empty');
unlink glob "$files/in/*";
$k->write_file('in/0.csv', '');
$k->sql("SELECT kaireon.reset_source_state('p')");
$run = $k->run('p');
is("$run->{status} $run->{rows_read}", 'success 0', 'nothing but an empty file');
is($k->sql("SELECT count(*) FROM kaireon.preview('files', 'in/0.csv')"), 0, 'a preview of one');
is($k->sql(q(SELECT count(*) FROM kaireon.read('files', 'in/0.csv', '{"compression": "gzip", "header": true}') AS t(n int))), 0, 'whatever the options say');

# ---- files that appear while they are listed

# A writer that makes and renames files as fast as it can, until it is told to stop.
my $stop = "$files/stop";
my $writer = fork;
if (!$writer)
{
    my $n = 0;
    until (-e $stop)
    {
        $n++;
        open my $out, '>', "$files/feed/tmp/$n" or exit 1;
        print $out "n,v\n$n,x\n";
        close $out;
        rename "$files/feed/tmp/$n", "$files/feed/$n.csv" or exit 1;
        select undef, undef, undef, 0.001;
    }
    open my $out, '>', "$files/count";
    print $out $n;
    close $out;
    require POSIX;
    POSIX::_exit(0);
}
$k->sql('TRUNCATE ds_p');
$k->make('feed', schema => 'p', source => { resource => 'feed/*.csv', incremental => \1 });
$k->poll('a file', sub { -e "$files/feed/5.csv" });
my %status;
my $runs = 0;
while ($runs++ < 12) { $status{ $k->run('feed')->{status} }++; }
open my $out, '>', $stop;
close $out;
waitpid $writer, 0;
$status{ $k->run('feed')->{status} }++;
my $count = do { open my $in, '<', "$files/count" or die; <$in> };
is(join(' ', %status), 'success 13', 'runs while files appear');
is($k->sql('SELECT count(*), count(DISTINCT n), max(n) FROM ds_p'), "$count|$count|$count", 'each file is loaded once, none is missed');

# ---- files that change or go between the listing and the reading

$k->write_file("slow/$_.csv", "n,v\n-100$_,x\n") for 1 .. 3;
$k->make('slow', schema => 'p', source => { resource => 'slow/*.csv', incremental => \1 });
$k->make('skips', schema => 'p', source => { resource => 'slow/*.csv', incremental => \1, onFileError => 'skip' }, execution => { commit => 'file' });

# between(PIPELINE, CHANGE): a run for which CHANGE happens once it has listed its files.
sub between
{
    my ($pipeline, $change) = @_;
    my $held = "$files/held";
    my $session = $k->session;
    $session->query('BEGIN; LOCK TABLE kaireon_internal.source_file IN ACCESS EXCLUSIVE MODE');
    my $id = $k->start($pipeline);
    my $pid = $k->worker_pid($id);
    $k->poll('the run to ask the ledger', "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $pid AND wait_event_type = 'Lock')");
    $change->();
    $session->query('COMMIT');
    $session->close;
    $k->wait_run($id);
    return $k->run_row($id);
}

$run = between('slow', sub { $k->write_file('slow/2.csv', "n,v\n-1002,x\n-1012,x\n"); });
is("$run->{status} $run->{error_code} $run->{error_message}", 'failed 58030 file "slow/2.csv" is no longer as it was listed', 'a file that grows since it was listed fails the run');
$run = between('slow', sub { unlink "$files/slow/2.csv"; });
is("$run->{status} $run->{error_code}", 'failed 58P01', 'so does one that goes');
is($k->sql('SELECT count(*) FROM ds_p WHERE n < -1000'), 0, 'nothing is loaded');
$k->write_file('slow/2.csv', "n,v\n-1002,x\n");
$run = between('skips', sub { $k->write_file('slow/2.csv', "n,v\n-1002,x\n-1012,x\n"); unlink "$files/slow/1.csv"; $k->write_file('slow/4.csv', "n,v\n-1004,x\n"); });
is("$run->{status} $run->{rows_loaded}", 'partial 1', 'with "onFileError": "skip" both are left out');
is($k->sql("SELECT string_agg(path || ' ' || error_code, ', ' ORDER BY path) FROM kaireon.source_state WHERE kind = 'failure'"), 'slow/1.csv 58P01, slow/2.csv 58030', 'and told');
$run = $k->run('skips');
is("$run->{status} " . $k->sql("SELECT string_agg(n::text, ' ' ORDER BY n) FROM ds_p WHERE n < -1000"), 'success -1012 -1004 -1003 -1002', 'the next run has what is there by then');

$k->settled('at the end');
ok($k->same_postmaster, 'the server lived through');
done_testing;
