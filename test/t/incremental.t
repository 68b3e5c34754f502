# A source with "incremental" loads each version of each file once: the ledger
# (view source_state) is written in the transaction that holds the rows, so that
# neither a failure nor a second run can make the two disagree.
use strict;
use warnings;
use Digest::SHA qw(sha256_hex);
use Kaireon;
use Test::More;

my $k = Kaireon->new('incremental');
my $in = $k->files . '/in';
mkdir $in;
my @fields = ({ name => 'n', dataType => 'integer' }, { name => 'name', dataType => 'varchar' });
$k->make('inc', fields => \@fields, source => { resource => 'in/*.csv', incremental => \1 });

# ran(STATUS, READ, LOADED, WHAT)
sub ran
{
    my ($status, $read, $loaded, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $run = $k->run('inc');
    is("$run->{status} $run->{rows_read} $run->{rows_loaded}", "$status $read $loaded", $what) or diag($run->{error_message});
    return $run;
}

sub ids { return $k->sql("SELECT string_agg(n::text, ' ' ORDER BY n) FROM ds_inc"); }
sub ledger { return $k->sql("SELECT string_agg(path || ' ' || rows_read, ', ' ORDER BY path, loaded_at) FROM kaireon.source_state WHERE pipeline = 'inc'"); }

my $first = $k->write_file('in/a.csv', "n,name\n1,a\n2,b\n");
utime 1_700_000_000, 1_700_000_000, $first;
my $run = ran('success', 2, 2, 'the first run loads what is there');
is(ids(), '1 2', 'its rows');
is(ledger(), 'in/a.csv 2', 'the ledger has the file');
is($k->sql("SELECT size, extract(epoch FROM modified_at)::bigint, head_hash, run_id FROM kaireon_internal.source_file"),
    join('|', -s $first, 1_700_000_000, sha256_hex("n,name\n1,a\n2,b\n"), $run->{run_id}), 'with its size, time, hash and run');
is($k->sql("SELECT size, run_id, kind, node_id FROM kaireon.source_state"), join('|', -s $first, $run->{run_id}, 'file', 'read'), 'the view says the same');

ran('success', 0, 0, 'a second run loads nothing twice');
is(ids(), '1 2', 'the table is as before');
$k->write_file('in/b.csv', "n,name\n3,c\n");
ran('success', 1, 1, 'a new file is loaded, the old one is not');
is(ids() . '; ' . ledger(), '1 2 3; in/a.csv 2, in/b.csv 1', 'rows and ledger');

$k->write_file('in/a.csv', "n,name\n4,d\n5,e\n6,f\n");
ran('success', 3, 3, 'a file that has changed is loaded again');
is(ids() . '; ' . ledger(), '1 2 3 4 5 6; in/a.csv 2, in/a.csv 3, in/b.csv 1', 'both versions are in the ledger');

# A run that fails leaves no trace but its own row.
$k->write_file('in/c.csv', "n,name\n7,g\n");
my $bad = $k->write_file('in/d.csv', "n,name\n8,h\nnine,i\n");
my $before = ledger();
ran('failed', 3, 0, 'a bad row fails the run');
is(ids() . '; ' . ledger(), "1 2 3 4 5 6; $before", 'neither rows nor ledger of it, not even of the good file');
$k->write_file('in/d.csv', "n,name\n8,h\n9,i\n");
ran('success', 3, 3, 'mended, both files are loaded');
is(ids(), '1 2 3 4 5 6 7 8 9', 'once');

# Nor does one whose reader dies after it has read some of the files whole.
my $rows = 100_000;
$k->write_file('in/e.csv', "n,name\n10,j\n");
$k->write_rows('in/f.csv', $rows, sub { 1000 + $_[0] . ',x' }, 'n,name');
$k->sql(q(SELECT kaireon.update_pipeline('inc', execution_config => '{"batchSize": 1}')));
$before = ledger();
my $id = $k->start('inc');
my $reader = $k->reader_pid($id);
$k->wait_rows_read($id, 100);
kill 'KILL', $reader;
is($k->wait_run($id), 'failed', 'a reader killed in the second file');
is(ids() . '; ' . ledger(), "1 2 3 4 5 6 7 8 9; $before", 'neither rows nor ledger of it');
$k->sql(q(SELECT kaireon.update_pipeline('inc', execution_config => '{}')));
ran('success', $rows + 1, $rows + 1, 'the next run loads both files');
is($k->sql('SELECT count(*), count(DISTINCT n) FROM ds_inc'), join('|', ($rows + 10) x 2), 'each row once');

# A cancelled run, and one that has nothing to do.
$k->write_file('in/g.csv', "n,name\n11,k\n");
my $lock = $k->session;
$lock->query('BEGIN; LOCK TABLE ds_inc IN SHARE MODE');
$id = $k->start('inc');
my $worker = $k->worker_pid($id);
$k->poll('the run to wait for the lock', "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $worker AND wait_event_type = 'Lock')");
$k->sql("SELECT kaireon.cancel_run('$id')");
is($k->wait_run($id), 'cancelled', 'a run cancelled while it waits for the table');
$lock->query('COMMIT');
$lock->close;
ran('success', 1, 1, 'does not count as having loaded its file');

# Starting over.
my $entries = $k->sql("SELECT count(*) FROM kaireon.source_state WHERE pipeline = 'inc'");
is($k->sql("SELECT kaireon.reset_source_state('inc')"), $entries, 'reset_source_state says how many entries it forgot');
is($k->sql("SELECT count(*) FROM kaireon.source_state WHERE pipeline = 'inc'"), 0, 'and there are none');
$k->sql('TRUNCATE ds_inc');
ran('success', $rows + 9, $rows + 9, 'then everything that is there is loaded');

# Without "incremental" the same file is loaded each time, and the ledger still tells.
$k->make('all', fields => \@fields, source => { resource => 'in/b.csv' });
$k->run('all') for 1 .. 2;
is($k->sql('SELECT count(*) FROM ds_all'), 2, 'a source that is not incremental loads the file again');
is($k->sql("SELECT count(*) FROM kaireon.source_state WHERE pipeline = 'all'"), 1, 'and keeps one entry of it');
is($k->sql("SELECT f.run_id = (SELECT run_id FROM kaireon.runs WHERE pipeline = 'all' ORDER BY started_at DESC LIMIT 1)"
      . " FROM kaireon.source_state f WHERE pipeline = 'all'"), 't', 'that names the last run');

# More files than are asked for at once.
my $many = 10_050;
mkdir $k->files . '/many';
$k->write_file("many/$_.csv", "n,name\n$_,x\n") for 1 .. $many;
$k->make('many', fields => \@fields, source => { resource => 'many/*.csv', incremental => \1 });
is($k->run('many')->{rows_loaded}, $many, 'many files');
for my $number (5, 9999, $many)
{
    $k->write_file("many/$number.csv", "n,name\n$number,changed\n");
}
is($k->run('many')->{rows_loaded}, 3, 'of many files those are read that were changed');
is($k->sql(q(SELECT string_agg(n::text, ' ' ORDER BY n) FROM ds_many WHERE name = 'changed')), "5 9999 $many", 'and no others');

$k->settled('at the end');
ok($k->same_postmaster, 'the server lived through');
done_testing;
