# "onFileError": "skip": a file that fails is left out whole, the others are loaded,
# and the next run tries it again.
use strict;
use warnings;
use Compress::Zlib;
use Kaireon;
use Test::More;

my $k = Kaireon->new('file_errors');
my $files = $k->files;
mkdir "$files/$_" for qw(in out);
my %source = (resource => 'in/*.csv*', header => \1, incremental => \1, onFileError => 'skip');
my @fields = ({ name => 'n', dataType => 'integer', isPrimaryKey => \1 }, { name => 'v', dataType => 'varchar', length => 5 });

# put(NAME, LINE...): a file with a header.
sub put { my ($name, @lines) = @_; $k->write_file("in/$name", join('', map { "$_\n" } 'n,v', @lines)); return; }

sub config
{
    my ($source, $execution, @nodes) = @_;
    return $k->json([ { id => 'read', type => 'source', config => $source }, @nodes, { id => 'load', type => 'target', config => {} } ]) . ', execution_config => ' . $k->json($execution);
}

sub change { $k->sql("SELECT kaireon.update_pipeline('p', nodes => " . config(@_) . ')'); return; }

sub ids { return $k->sql("SELECT coalesce(string_agg(n::text, ' ' ORDER BY n), '') FROM ds_p"); }

# ran(STATUS, READ, LOADED, FAILED, IDS, WHAT): a run of p, and what the table has then.
sub ran
{
    my ($status, $read, $loaded, $failed, $ids, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $run = $k->run('p');
    is("$run->{status} $run->{rows_read} $run->{rows_loaded} $run->{rows_failed}; " . ids(), "$status $read $loaded $failed; $ids", $what) or diag($run->{error_message});
    is($k->count_identity($run->{run_id}), 't', 'its counters add up');
    return $run;
}

sub said { return join "\n", map { ($_->{source} // '') . ' ' . ($_->{line} // '-') . ' ' . ($_->{field} // '-') . " $_->{sqlstate} $_->{reason}" } $k->errors($_[0]->{run_id}); }

sub failures { return $k->sql("SELECT coalesce(string_agg(path || ' ' || failures || ' ' || error_code, ', ' ORDER BY path), '') FROM kaireon.source_state WHERE kind = 'failure'"); }

$k->make('p', fields => \@fields, source => \%source, execution => { commit => 'file' });

# ---- every way to fail

put('a.csv', '1,a', '2,b');
put('b.csv', '3,c', 'x,d', '4,e');                       # a bad row
$k->write_file('in/c.csv.gz', substr(Compress::Zlib::memGzip("n,v\n" . join('', map { "$_,z\n" } 100 .. 5000)), 0, 900)); # cut
$k->write_file('in/d.csv', "id,v\n5,f\n");               # another header
put('e.csv', '6,toolong');                               # a value that its column does not take
put('f.csv', '7,g', '1,h');                              # a key that is there
put('g.csv', '8,i', '9');                                # too few fields
$k->write_file('in/h.csv', "n,v\n10,\xff\xfe\n");        # no text
put('i.csv', '11,j');
my $run = $k->run('p');
is("$run->{status} $run->{rows_loaded} $run->{commits}; " . ids(), 'partial 3 2; 1 2 11', 'of nine files the two that are well are loaded');
is($k->count_identity($run->{run_id}), 't', 'the counters add up');
cmp_ok($run->{rows_failed}, '>=', 7, 'rows of the others failed');
like(said($run), qr/^in\/b\.csv 3 n 22P02 the file was left out: invalid input syntax for type integer: "x"
in\/c\.csv\.gz - - \w{5} the file was left out: .*
in\/d\.csv - - 42703 the file was left out: .*
in\/e\.csv 2 v 22001 the file was left out: .*
in\/f\.csv 3 \S+ 23505 the file was left out: .*
in\/g\.csv 3 - 22P04 the file was left out: row has 1 field, expected 2
in\/h\.csv 2 v \w{5} the file was left out: .*$/, 'run_errors has each of them once');
like(failures(), qr/^in\/b\.csv 1 22P02, in\/c\.csv\.gz 1 \w{5}, in\/d\.csv 1 42703, in\/e\.csv 1 22001, in\/f\.csv 1 23505, in\/g\.csv 1 22P04, in\/h\.csv 1 \w{5}$/, 'and source_state');
is($k->sql("SELECT string_agg(path, ' ' ORDER BY path) FROM kaireon.source_state WHERE kind = 'file'"), 'in/a.csv in/i.csv', 'beside those that were loaded');
is($k->sql("SELECT bool_and(error_message <> '' AND run_id = '$run->{run_id}' AND NOT is_complete) FROM kaireon.source_state WHERE kind = 'failure'"), 't', 'with the error');

# ---- the next run

$run = $k->run('p');
is("$run->{status} $run->{error_code}; " . ids(), 'failed 22P02; 1 2 11', 'with nothing but files that fail the run fails');
like(failures(), qr/^in\/b\.csv 2 22P02, in\/c\.csv\.gz 2 /, 'each was tried again');
is($k->run_row($run->{run_id})->{error_node}, 'load', 'its error is that of the first file, at the node where the row was bad');
$k->sql('CREATE ROLE watcher; GRANT kaireon_viewer TO watcher');
is($k->sql(q(SET ROLE watcher; SELECT bool_and(error_code IS NOT NULL AND error_message IS NULL AND error_detail IS NULL) FROM kaireon.source_state WHERE kind = 'failure')), 't', 'viewers see that they fail, not what is in them');
is($k->sql("SET ROLE watcher; SELECT error_message FROM kaireon.runs WHERE run_id = '$run->{run_id}'"), 'a row could not be loaded', 'nor in the run');
put('b.csv', '3,c', '4,e');
put('j.csv', '12,k');
unlink map { "$files/in/$_" } qw(c.csv.gz d.csv e.csv f.csv h.csv);
ran('partial', 5, 3, 2, '1 2 3 4 11 12', 'mended, a file is loaded, with what is new');
unlike(failures(), qr/b\.csv/, 'and is no failure any more');
put('g.csv', '8,i', '9,j');
ran('success', 2, 2, 0, '1 2 3 4 8 9 11 12', 'the last one, too');
is($k->sql("SELECT kaireon.reset_source_state('p') > 5"), 't', 'reset_source_state forgets files and failures');
is(failures(), '', 'all of them');
$k->sql('TRUNCATE ds_p');

# ---- limits

unlink glob "$files/in/*";
put('a.csv', '1,a', '2,b', 'x,c');
put('b.csv', '3,a', 'x,b', 'y,c', 'z,d');
put('c.csv', '5,a', 'x,b');
change(\%source, { commit => 'file', errorHandling => 'dlq', maxErrors => 2 });
$run = ran('partial', 9, 3, 4, '1 2 5', 'a file that has more bad rows than the run may have left out');
is($run->{rows_skipped}, 2, 'bad rows of the others are left out alone');
is($k->sql("SELECT string_agg(source || ' ' || line, ', ' ORDER BY source) FROM kaireon.dead_letters"), 'in/a.csv 4, in/c.csv 3', 'of the file no dead letter is kept');
like(said($run), qr/^in\/a\.csv 4 n 22P02 inv.*\nin\/b\.csv - - KA007 the file was left out: more rows are bad.*\nin\/c\.csv 3 n 22P02 inv.*$/, 'run_errors has bad rows and the file');
$k->sql("SELECT kaireon.purge_dead_letters('p')");
$k->sql("SELECT kaireon.reset_source_state('p'); TRUNCATE ds_p");
put('b.csv', map { "x$_,a" } 1 .. 1500);
change(\%source, { commit => 'file', errorHandling => 'skip' });
unlink "$files/in/a.csv";
$run = $k->run('p');
is("$run->{status} " . ids() . ' ' . (said($run) =~ /^in\/b\.csv - - KA006 /m ? 'KA006' : said($run)), 'partial 5 KA006', 'a file without a good row among its first thousand');

# ---- dry runs, archives

$k->sql("SELECT kaireon.reset_source_state('p'); TRUNCATE ds_p");
unlink glob "$files/in/*";
put('a.csv', '1,a');
put('b.csv', '2,b', 'x,c');
put('c.csv', '1,again');
put('d.csv', '3,d');
change(\%source, { commit => 'file' });
$run = ($k->rows(q(SELECT * FROM kaireon.run_pipeline('p', '{"dryRun": true}'))))[0];
is("$run->{status} $run->{rows_read} $run->{rows_loaded} $run->{rows_failed}", 'partial 5 2 3', 'a dry run knows what a run would leave out');
like(said($run), qr/^in\/b\.csv 3 n 22P02 .*\nin\/c\.csv 2 \S+ 23505 .*$/, 'also for a key that another file of the run has');
is(failures() . ids(), '', 'and keeps nothing of it');
change(\%source, { commit => 'file' }, { id => 'done', type => 'archive', config => { successFolder => 'done', failureFolder => 'bad' } });
ran('partial', 5, 2, 3, '1 3', 'a run with an archive node');
$k->poll('the outbox', "SELECT NOT EXISTS (SELECT FROM kaireon.outbox WHERE status <> 'done')") if $k->sql("SELECT current_setting('kaireon.local_fs_archive_roots') <> ''") eq 't';
is($k->sql("SELECT string_agg(path || '>' || target_path, ' ' ORDER BY path) FROM kaireon_internal.outbox"), 'in/a.csv>done/a.csv in/b.csv>bad/b.csv in/c.csv>bad/c.csv in/d.csv>done/d.csv', 'files that are left out go to the failure folder');
$k->sql("SELECT kaireon.discard_outbox('p')");

# ---- what is not about a file fails the run

$k->sql("SELECT kaireon.reset_source_state('p'); TRUNCATE ds_p");
change(\%source, { commit => 'file' });
put($_, substr('123', ord($_) - ord('a'), 1) . ',x') for qw(a.csv b.csv c.csv);
unlink "$files/in/d.csv";
$k->sql(q(CREATE FUNCTION raises() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.n = 2 THEN RAISE lock_not_available; END IF; RETURN NEW; END $$;
    CREATE TRIGGER raises BEFORE INSERT ON ds_p FOR EACH ROW EXECUTE FUNCTION raises()));
$run = ran('failed', 2, 1, 1, '1', 'a lock that is not to be had');
is($run->{error_code}, '55P03', 'is nothing about the file');
is(failures(), '', 'and no failure of it');
$k->sql(q(CREATE OR REPLACE FUNCTION raises() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.n = 2 THEN RAISE EXCEPTION 'no twos' USING ERRCODE = 'XY123'; END IF; RETURN NEW; END $$));
$k->sql("SELECT kaireon.resume_run('$run->{run_id}')");
is($k->wait_run($run->{run_id}) . ' ' . ids(), 'partial 1 3', 'resumed, it goes on behind what it had loaded; what a trigger refuses is a row of the file');
is($k->count_identity($run->{run_id}), 't', 'its counters add up over both attempts');
like(failures(), qr/^in\/b\.csv 1 XY123$/, 'left out');
$k->sql('DROP TRIGGER raises ON ds_p');

# A reader that dies: the run's attempts come first, then the file is left out.
$k->sql("SELECT kaireon.reset_source_state('p'); TRUNCATE ds_p");
$k->write_rows('in/b.csv', 200_000, sub { 10 + $_[0] . ',r' }, 'n,v');
change(\%source, { commit => 'file' });
my $id = $k->start('p');
my $reader = $k->reader_pid($id);
$k->wait_rows_read($id, 2000);
kill 'KILL', $reader;
is($k->wait_run($id) . ' ' . ids(), 'partial 1 3', 'a reader that dies in the second file: the third is loaded');
like(failures(), qr/^in\/b\.csv 1 KA001$/, 'the second is left out');
change(\%source, { commit => 'file', retry => { maxAttempts => 2, pauseSeconds => 0 } });
$id = $k->start('p');
$reader = $k->reader_pid($id);
$k->wait_rows_read($id, 2000);
kill 'KILL', $reader;
is($k->wait_run($id), 'success', 'with attempts left it is tried again');
is($k->sql("SELECT string_agg(status || coalesce(' ' || error_code, ''), ', ' ORDER BY attempt) FROM kaireon.run_attempts WHERE run_id = '$id'"), 'failed KA001, success', 'in two attempts');
is(failures() . $k->sql('SELECT count(*) FROM ds_p'), 200_002, 'all is loaded');

# ---- what is said when the pipeline is made

for my $case ([ { %source, onFileError => 'skipp' }, { commit => 'file' }, qr/"skipp" is not a valid value of key "onFileError".*fail, skip/s ],
    [ \%source, {}, qr/"onFileError": "skip" of node "read" needs a pipeline that commits after each file.*"commit": "file"/s ],
    [ \%source, { commit => 'batch' }, qr/needs a pipeline that commits after each file/ ])
{
    like($k->sql_error("SELECT kaireon.update_pipeline('p', nodes => " . config($case->[0], $case->[1]) . ')'), $case->[2], 'refused');
}

# Many files that fail, between many that do not.
$k->make_schema('m', 'id integer', 'v');
mkdir "$files/many";
$k->write_file("many/$_.csv", $_ % 10 == 3 ? "id,v\n$_,a\nbad,b\n" : "id,v\n$_,a\n") for 100 .. 399;
$k->make('m', source => { %source, resource => 'many' }, execution => { commit => 'file' });
$run = $k->run('m');
is("$run->{status} $run->{rows_loaded} $run->{rows_failed}", 'partial 270 60', 'thirty of 300 files');
is($k->sql("SELECT count(*) FROM kaireon.run_errors WHERE run_id = '$run->{run_id}'"), 30, 'are told');

$k->settled('at the end');
ok($k->same_postmaster, 'the server lived through');
done_testing;
