# DROP EXTENSION leaves the tables of data and says so, does not need CASCADE, is
# refused while runs are under way; what is left can be told from what is made.
use strict;
use warnings;
use Kaireon;
use Test::More;

my $k = Kaireon->new('drop');
my @fields = ({ name => 'id', dataType => 'integer', isPrimaryKey => \1 }, { name => 'name', dataType => 'varchar' });
$k->write_rows('few.csv', 10, sub { "$_[0],name $_[0]" }, 'id,name');

# said(SQL): everything psql prints on stderr.
sub said
{
    my ($code, $out, $err) = $k->node->psql('postgres', "\\set VERBOSITY verbose\n$_[0]");
    return $err;
}

sub loaded
{
    my ($name) = @_;
    $k->make($name, fields => \@fields, source => { resource => 'few.csv' });
    return $k->run($name)->{status};
}

# ---- while runs are under way

is(loaded('a'), 'success', 'a pipeline runs');
$k->sql('TRUNCATE ds_a');
{
    my $lock = $k->session;
    $lock->query('BEGIN; LOCK TABLE ds_a IN SHARE MODE');
    my $run = $k->start('a');
    $k->poll('it to run', "SELECT status = 'running' FROM kaireon.runs WHERE run_id = '$run'");
    like(said('DROP EXTENSION kaireon'), qr/ERROR:  55006: cannot drop extension kaireon while its pipelines run\nDETAIL:  Run $run of pipeline "a" is running\.\nHINT:  Wait for the runs, or cancel them: /,
        'it is refused while a run is under way');
    like(said('BEGIN; ' . "SELECT kaireon.start_pipeline('a'); DROP EXTENSION kaireon"), qr/ERROR:  55006/, 'also by who has just queued one');
    $k->sql("CREATE ROLE nobody LOGIN");
    like(said('SET ROLE nobody; DROP EXTENSION kaireon'), qr/ERROR:  42501: must be owner of extension kaireon/, 'who may not drop it is not told about runs');
    is($k->sql(q(SELECT kaireon.cancel_run(run_id) FROM kaireon.runs WHERE status IN ('queued', 'running'))), 't', 'what the hint says');
    is($k->wait_run($run), 'cancelled', 'cancels them');
    $lock->query('COMMIT');
    $lock->close;
}

# ---- what stays

like(said('BEGIN; DROP EXTENSION kaireon; ROLLBACK'), qr/NOTICE:  00000: the data that kaireon loaded is kept\nDETAIL:  This table of its schemas stays: public\.ds_a\./, 'it says which table stays');
is($k->run('a')->{status}, 'success', 'rolled back, everything works');
$k->make($_, fields => \@fields, source => { resource => 'few.csv' }) for qw(b c d e f g h i j k);
$k->sql('DROP TABLE ds_k; CREATE VIEW mine AS SELECT * FROM ds_a');
$k->sql('CREATE TABLE other (id int)');
my $said = said('DROP EXTENSION kaireon');
like($said, qr/NOTICE:  00000: .*\nDETAIL:  10 tables of its schemas stay: public\.ds_a, public\.ds_b, .*, public\.ds_j\.\nHINT:  .*DROP TABLE/, 'DROP EXTENSION says which tables stay, without CASCADE');
unlike($said, qr/ERROR|ds_k|other/, 'and only those');
is($k->sql('SELECT count(*) FROM mine'), 10, 'they stay, with their rows');
is($k->sql(q(SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal)), 0, 'and without anything of the extension');
is($k->sql("INSERT INTO ds_a (id, name) VALUES (11, 'x'); UPDATE ds_a SET name = 'y' WHERE id = 11; SELECT name FROM ds_a WHERE id = 11"), 'y', 'as ordinary tables');
ok($k->poll('the supervisor to go', "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'kaireon supervisor'"), 'no supervisor stays');

# ---- and again

$k->sql('CREATE EXTENSION kaireon');
is($k->sql('SELECT is_confirmed, (SELECT count(*) FROM kaireon.schemas) FROM kaireon.instance'), 't|0', 'created again it knows nothing, and is not a copy');
for my $how ('', ', if_not_exists => true')
{
    like(said("SELECT kaireon.create_schema('a', '[{\"name\": \"x\"}]'$how)"), qr/ERROR:  42P07: relation "ds_a" already exists in schema "public"\nDETAIL:  No schema of kaireon has it; .*\nHINT:  kaireon\.adopt_table\('a', 'public\.ds_a', manage_updated_at => true\) makes a schema of it/,
        "a table that is left is not taken for a schema's$how");
}
is($k->sql('SELECT count(*) FROM ds_a'), 11, 'nor touched');
$k->sql("SELECT kaireon.adopt_table('a', 'public.ds_a', manage_updated_at => true)");
$k->write_rows('more.csv', 5, sub { ($_[0] + 100) . ',more' }, 'id,name');
$k->make('a', source => { resource => 'more.csv' });
is(join(' ', @{ $k->run('a') }{qw(status rows_loaded)}), 'success 5', 'adopted, it is loaded as before');
is($k->sql('UPDATE ds_a SET name = \'changed\' WHERE id = 101; SELECT updated_at > created_at FROM ds_a WHERE id = 101'), 't', 'and updated_at follows again');
$k->sql("SELECT kaireon.delete_pipeline('a'), kaireon.delete_schema('a')");
$k->sql('DROP TABLE ds_b, ds_c, ds_d, ds_e, ds_f, ds_g, ds_h, ds_i, ds_j');
$k->make($_, fields => \@fields) for map { "s$_" } 1 .. 12;
like(said('DROP SCHEMA kaireon CASCADE'), qr/NOTICE:  00000: the data that kaireon loaded is kept\nDETAIL:  12 tables of its schemas stay: public\.ds_s1, (?:\S+, ){8}public\.ds_s7 and 2 more\.\nHINT: .*nothing keeps their updated_at/, 'DROP SCHEMA says so, too');
$k->sql('DROP TABLE ' . join(', ', map { "ds_s$_" } 1 .. 12));
$k->sql('CREATE EXTENSION IF NOT EXISTS kaireon');
unlike(said('DROP EXTENSION kaireon'), qr/NOTICE|ERROR/, 'where no table is left, nothing is said');

# A catalog of another build, and one of a copy whose original has runs, can be dropped.
$k->sql('DROP VIEW mine; DROP TABLE ds_a; CREATE EXTENSION kaireon');
is(loaded('a'), 'success', 'it works again');
$k->sql("UPDATE kaireon_internal.run SET status = 'queued'; UPDATE kaireon_internal.instance SET machine = 'other'");
like(said('BEGIN; DROP EXTENSION kaireon; ROLLBACK'), qr/NOTICE/, 'runs of an original do not count');
$k->sql('ALTER TABLE kaireon_internal.schema RENAME TO schema_old');
is(said('DROP EXTENSION kaireon'), '', 'a catalog that is not as expected can be dropped');
ok($k->same_postmaster, 'the server lived through');
done_testing;
