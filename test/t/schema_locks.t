# Changing a schema while others use its table: waiting is bounded, who is in the
# way is named, and nothing is left half done.  And that the trigger of updated_at
# neither slows a load down nor keeps the extension from being dropped.
use strict;
use warnings;
use Kaireon;
use Test::More;

my $k = Kaireon->new('schema_locks');
$k->sql(q(CREATE ROLE ann LOGIN; CREATE ROLE bob LOGIN; GRANT kaireon_admin TO ann, bob; GRANT CREATE, USAGE ON SCHEMA public TO ann;
    SET SESSION AUTHORIZATION ann; SELECT kaireon.create_schema('t', '[{"name": "a", "dataType": "integer"}, {"name": "b"}]');
    GRANT SELECT, INSERT, UPDATE ON ds_t TO bob; GRANT USAGE ON SEQUENCE ds_t_id_seq TO bob));

# ---- waiting for the table

my $ann = $k->session('postgres', 'user=ann');
my $bob = $k->session('postgres', 'user=bob');
my ($ann_pid, $bob_pid) = ($ann->pid, $bob->pid);
$ann->query(q(SET kaireon.ddl_lock_timeout = '50ms'));
$bob->query('BEGIN; SELECT count(*) FROM ds_t');
for my $call (q(add_field('t', '{"name": "c"}')), q(alter_field('t', 'a', '{"dataType": "bigint"}')), q(drop_field('t', 'b')), q(delete_schema('t')))
{
    $ann->query("SELECT kaireon.$call");
    like($ann->err, qr/ERROR:  55P03: the table of schema "t" is in use\nDETAIL:  By process $bob_pid\.\nHINT:  Try again later, or raise kaireon.ddl_lock_timeout, which is 50ms/,
        "$call while another reads");
}
is($k->sql(q(SELECT string_agg(name || ' ' || column_type, ', ' ORDER BY ordinal) FROM kaireon.schema_fields WHERE schema = 't')),
    'a integer, b character varying(255)', 'nothing was changed');
is($k->sql(q(SELECT count(*) FROM pg_locks WHERE relation = 'ds_t'::regclass AND pid <> ) . $bob_pid), 0, 'and no lock is left');
my $super = $k->session;
$super->query(q(SET kaireon.ddl_lock_timeout = 50; SELECT kaireon.add_field('t', '{"name": "c"}')));
like($super->err, qr/DETAIL:  By process $bob_pid \(bob, idle in transaction: SELECT count\(\*\) FROM ds_t/, 'who may see what others do is told what they do');
$bob->query('COMMIT');

# Only writers are in the way of a change that has to look first; readers go on while it looks.
$bob->query('BEGIN; INSERT INTO ds_t (a) VALUES (1)');
$ann->query(q(SELECT kaireon.alter_field('t', 'a', '{"isNullable": false}')));
like($ann->err, qr/55P03: the table of schema "t" is in use/, 'a writer holds a change up');
$bob->query('ROLLBACK');

# The user's own lock_timeout is kept when it is shorter, and comes back.
$ann->query(q(SET kaireon.ddl_lock_timeout = '10min'; SET lock_timeout = '20ms'));
$bob->query('BEGIN; SELECT count(*) FROM ds_t');
$ann->query(q(SELECT kaireon.add_field('t', '{"name": "c"}')));
like($ann->err, qr/55P03/, 'a shorter lock_timeout holds');
$ann->query(q(SET kaireon.ddl_lock_timeout = 0));
$ann->query(q(SELECT kaireon.add_field('t', '{"name": "c"}')));
like($ann->err, qr/55P03/, 'also when kaireon.ddl_lock_timeout is 0');
$bob->query('COMMIT');
$ann->query(q(SET lock_timeout = '7s'; SET datestyle = 'German'; SET timezone = 'Asia/Tokyo'; SET kaireon.ddl_lock_timeout = '1s'));
$ann->query(q(SELECT kaireon.add_field('t', '{"name": "d", "dataType": "date", "defaultValue": "''01/02/2024''"}')));
is($ann->err, '', 'a field is added');
is($ann->query(q(SELECT current_setting('lock_timeout'), current_setting('datestyle'), current_setting('timezone'))), '7s|German, DMY|Asia/Tokyo',
    'a session has its settings again');
is($k->sql('INSERT INTO ds_t (a) VALUES (1) RETURNING d'), '2024-01-02', 'a default means what it means in a run, whatever the session says');

# ---- waiting for another change

$ann->query(q(RESET datestyle; BEGIN; SELECT kaireon.add_field('t', '{"name": "e"}')));
$super->query(q(SELECT kaireon.add_field('t', '{"name": "f"}')));
like($super->err, qr/ERROR:  55P03: schema "t" is being changed by another session\nDETAIL:  By process $ann_pid \(ann, idle in transaction: .*\)\.\nHINT/,
    'two changes of a schema come one after the other');
$super->query(q(SET kaireon.ddl_lock_timeout = '1min'));
$super->send(q(SELECT kaireon.add_field('t', '{"name": "f"}')));
$k->poll('the second change to wait', 'SELECT wait_event_type = \'Lock\' FROM pg_stat_activity WHERE pid = ' . $super->pid);
$ann->query('COMMIT');
$super->result;
is($super->err, '', 'the second goes on when the first has ended');
is($k->sql(q(SELECT string_agg(name || ordinal, ' ' ORDER BY ordinal) FROM kaireon.schema_fields WHERE schema = 't')), 'a1 b2 d3 e4 f5', 'both are there');
is($k->sql(q(SELECT string_agg(attname, ' ' ORDER BY attname) FROM pg_attribute WHERE attrelid = 'ds_t'::regclass AND attname ~ '^.$')), 'a b d e f',
    'in the table too');
$k->sql(q(SELECT kaireon.create_connector('files', 'local_fs')));
$ann->query(q(BEGIN; SELECT kaireon.create_schema('u', '[{"name": "a"}]')));
$super->query(q(SET kaireon.ddl_lock_timeout = 50; SELECT kaireon.create_schema('u', '[{"name": "a"}]')));
like($super->err, qr/ERROR:  55P03: canceling statement due to lock timeout\nHINT:  Another session holds the lock\. Try again later, or raise kaireon.ddl_lock_timeout, or lock_timeout where that is shorter\./,
    'nor is the same name waited for without end');
$ann->query('ROLLBACK');

# A transaction whose snapshot is older than a row counts that row all the same.
$k->sql(q(SELECT kaireon.create_schema('snap', '[{"name": "a"}, {"name": "b"}]')));
for my $call (q(alter_field('snap', 'a', '{"dataType": "integer"}')), q(alter_field('snap', 'a', '{"length": 1}')), q(alter_field('snap', 'b', '{"isNullable": false}')),
    q(drop_field('snap', 'a')), q(alter_field('snap', 'a', '{"isUnique": true}')), q(add_field('snap', '{"name": "c", "isNullable": false}')))
{
    $k->sql('TRUNCATE ds_snap');
    $super->query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
    $k->sql(q(INSERT INTO ds_snap (a) VALUES ('x2'), ('x2')));
    $super->query("SELECT kaireon.$call");
    like($super->err, qr/ERROR:  (22018|55000|23502|23505): .*\nDETAIL:  .*\b2\b/, "$call in an old snapshot");
    $super->query('ROLLBACK');
}

# Who has to wait longer is told so.
$k->sql(q(SELECT kaireon.create_schema('wide', '[{"name": "a", "dataType": "integer"}, {"name": "v", "length": 1000}]');
    INSERT INTO ds_wide (a, v) SELECT i, repeat('x', 900) FROM generate_series(1, 15000) AS i));
$super->query(q(SELECT kaireon.alter_field('wide', 'a', '{"dataType": "bigint"}')));
like($super->err, qr/NOTICE:  00000: table public\.ds_wide \(\d+ MB\) is written anew; nobody else can use it until this transaction ends/, 'a large table is written anew');
$super->query(q(SELECT kaireon.alter_field('wide', 'v', '{"dataType": "text"}')));
is($super->err, '', 'not for what PostgreSQL does in place');
$_->close for $ann, $bob, $super;

# ---- loads

my @fields = ({ name => 'id', dataType => 'integer', isPrimaryKey => \1 }, { name => 'name', dataType => 'text' });
$k->write_rows('big.csv', 20000, sub { return "$_[0],n$_[0]" }, 'id,name');
$k->make('load', fields => \@fields, source => { resource => 'big.csv' });
is($k->run('load')->{status}, 'success', 'a table with the trigger is loaded');
# The way through INSERT has a subtransaction for each batch.
is($k->sql('SELECT count(DISTINCT xmin::text) FROM ds_load'), 1, 'straight into the table');
$k->sql('TRUNCATE ds_load; CREATE TABLE child (id int REFERENCES ds_load (id))');
$k->run('load');
is($k->sql('SELECT count(DISTINCT xmin::text) FROM ds_load'), 1, 'also when another table refers to it');
$k->sql('DROP TABLE child');
for my $when ('BEFORE INSERT ON ds_load FOR EACH ROW', 'AFTER INSERT ON ds_load FOR EACH ROW', 'AFTER INSERT ON ds_load FOR EACH STATEMENT',
    'AFTER INSERT ON ds_load REFERENCING NEW TABLE AS n FOR EACH STATEMENT', 'BEFORE INSERT OR UPDATE ON ds_load FOR EACH ROW')
{
    $k->sql('CREATE TABLE IF NOT EXISTS fired (n int); TRUNCATE fired, ds_load;'
          . 'CREATE OR REPLACE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO fired VALUES (1); RETURN NEW; END$$;'
          . "CREATE TRIGGER own $when EXECUTE FUNCTION note()");
    $k->run('load');
    isnt($k->sql('SELECT count(*) FROM fired'), 0, "a trigger $when fires");
    $k->sql('DROP TRIGGER own ON ds_load');
}

# ---- the extension goes, the tables stay

$k->sql('TRUNCATE ds_load');
$k->run('load');
$k->sql('CREATE TABLE parts (LIKE ds_load) PARTITION BY RANGE (id); CREATE TABLE parts_1 PARTITION OF parts DEFAULT;'
      . 'CREATE TRIGGER kaireon_touch_updated_at BEFORE UPDATE ON parts FOR EACH ROW EXECUTE FUNCTION kaireon.touch_updated_at();'
      . 'ALTER TRIGGER kaireon_touch_updated_at ON parts DEPENDS ON EXTENSION kaireon');
is($k->sql_error('DROP EXTENSION kaireon'), '', 'DROP EXTENSION needs no CASCADE');
is($k->sql('SELECT count(*) FROM ds_load'), 20000, 'the table is there');
is($k->sql(q(SELECT count(*) FROM pg_trigger WHERE tgname = 'kaireon_touch_updated_at')), 0, 'the trigger is not');
is($k->sql(q(UPDATE ds_load SET name = 'x' WHERE id = 1 RETURNING name)), 'x', 'it can be written');
ok($k->same_postmaster, 'the server lived through');
done_testing;
