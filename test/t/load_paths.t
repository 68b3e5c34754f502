# The two ways rows get into a table, fast (table_multi_insert) and slow (INSERT
# ... SELECT, for tables with triggers, partitions and the like), give what COPY
# gives; and both have the rights and see the settings of the pipeline's owner,
# whatever else that role has set for itself.
use strict;
use warnings;
use Kaireon;
use Test::More;

my $k = Kaireon->new('load_paths');

# ---- every field type, against COPY of the same file

my @types = (
    [ 'f_varchar', { dataType => 'varchar', length => 20 } ], [ 'f_text', { dataType => 'text' } ],
    [ 'f_integer', { dataType => 'integer' } ], [ 'f_bigint', { dataType => 'bigint' } ], [ 'f_smallint', { dataType => 'smallint' } ],
    [ 'f_numeric', { dataType => 'numeric', precision => 20, scale => 5 } ], [ 'f_decimal', { dataType => 'decimal' } ],
    [ 'f_float', { dataType => 'float' } ], [ 'f_double', { dataType => 'double' } ], [ 'f_boolean', { dataType => 'boolean' } ],
    [ 'f_date', { dataType => 'date' } ], [ 'f_timestamp', { dataType => 'timestamp' } ], [ 'f_timestamptz', { dataType => 'timestamptz' } ],
    [ 'f_json', { dataType => 'json' } ], [ 'f_uuid', { dataType => 'uuid' } ]);
my @fields = ({ name => 'key', dataType => 'integer', isPrimaryKey => \1 }, map { { name => $_->[0], %{ $_->[1] } } } @types);
my @names = map { $_->{name} } @fields;
my @values = (
    [ 'plain', '', "\x{c3}\x{a9}\x{e2}\x{82}\x{ac}", '  spaces  ', 'a,b', 'say "hi"', "line\nend", 'x' x 20, '\\N', '\\.' ],
    [ 'text', 'a' x 5000, "tab\there", "\\x41", 'null', 'NULL' ],
    [ '0', '-1', '2147483647', '-2147483648', ' 42', '+7', '007' ],
    [ '0', '9223372036854775807', '-9223372036854775808', '123 ' ],
    [ '0', '32767', '-32768', '5' ],
    [ '0', '1.5', '-0.00001', '999999999999999.99999', '1e3', '.5', '5.', '-123456.789015', '0.000005', 'NaN', '123456789012345' ],
    [ '0', '1.50', '1e-30', '-99999999999999999999999999.9', 'NaN', '100', '1E5', '0.10' ],
    [ '0', '1.1', '-1e-38', '3.4028235e38', 'NaN', 'Infinity', '-inf', '0.1', '16777217' ],
    [ '0', '-0', '2.2250738585072014e-308', '1e308', 'NaN', '-Infinity', '0.1', '1e-7', '123456789.123456789', '4.9e-324' ],
    [ 't', 'false', 'YES', 'off', '1', '0', 'n', 'TRUE', 'on' ],
    [ '2024-02-29', '1999-12-31', '0044-03-15 BC', 'infinity', '20240115', 'Jan 5 2020', '5874897-12-31', '2024-1-5', '1/2/2003' ],
    [ '2024-02-29 23:59:59', '2024-02-29T01:02:03.456789', '1970-01-01', '-infinity', '2000-01-01 24:00:00', '2024-06-30 12:00:00.9999999', '1/2/2003 4:05' ],
    [ '2024-02-29 23:59:59+00', '2024-02-29T01:02:03.4Z', '2024-07-01 12:00:00 America/New_York', '2024-01-01', 'infinity', '2024-01-01 00:00:00+05:30', '2024-01-01 12:00 PST' ],
    [ '{"a": [1, 2.50, "x"]}', '[]', '"s"', '12', 'null', "{\"k\":\n1}" ],
    [ 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', '{a0eebc999c0b4ef8bb6d6bb9bd380a11}', 'a0eebc999c0b4ef8bb6d6bb9bd380a11' ]);
my @rows;
for my $i (0 .. 599)
{
    push @rows, [ $i, map { $i % 17 == 16 ? undef : $values[$_][ ($i + ($i >> 4) * $_) % @{ $values[$_] } ] } 0 .. $#values ];
}
my $path = $k->write_csv('types.csv', \@names, @rows);
$k->make('types', fields => \@fields, source => { resource => 'types.csv' });
my $columns = join ', ', @names;
# What can not be compared as itself (NaN is equal to NaN, jsonb has equality) is compared as text too.
my $as_text = join ', ', map { "${_}::text" } @names;

sub copied
{
    my ($table) = @_;
    $k->sql("DROP TABLE IF EXISTS $table; CREATE TABLE $table AS SELECT $columns FROM ds_types WITH NO DATA;"
          . (join '', map { "ALTER TABLE $table ALTER $_->[0] TYPE varchar(20);" } grep { $_->[0] eq 'f_varchar' } @types));
    $k->sql("SET datestyle = 'ISO, MDY'; SET timezone = 'UTC'; COPY $table ($columns) FROM '$path' (FORMAT csv, HEADER)");
    return;
}

sub differences
{
    my ($left, $right) = @_;
    return $k->sql("SET timezone = 'UTC'; SELECT (SELECT count(*) FROM (SELECT $as_text FROM $left EXCEPT ALL SELECT $as_text FROM $right) AS a)"
          . " + (SELECT count(*) FROM (SELECT $as_text FROM $right EXCEPT ALL SELECT $as_text FROM $left) AS b)");
}

copied('by_copy');
my $run = $k->run('types');
is($run->{status}, 'success', 'every field type: loaded') or diag($run->{error_message});
is($k->sql('SELECT count(*) FROM ds_types'), 600, 'every field type: all rows');
is(differences('ds_types', 'by_copy'), 0, 'every field type: as COPY loads them');
$k->make('coerced_types', schema => 'types', source => { resource => 'types.csv' },
    target => { validation => 'coerce' });
$k->sql('TRUNCATE ds_types');
is($k->run('coerced_types')->{status} . ' ' . differences('ds_types', 'by_copy'), 'success 0', 'with validation coerce too');

# ---- tables that need the slow way

my @simple = (
    { name => 'id', dataType => 'integer', isPrimaryKey => \1 }, { name => 'name', dataType => 'varchar', length => 10 },
    { name => 'amount', dataType => 'numeric', precision => 10, scale => 2 });
$k->write_rows('simple.csv', 5000, sub { my ($i) = @_; return "$i,n$i," . ($i == 1234 ? 'bad' : $i / 4) . ($i == 4321 ? ',extra' : '') }, 'id,name,amount');
my %execution = (source => { resource => 'simple.csv' }, execution => { errorHandling => 'skip', batchSize => 700 }, target => { validation => 'skip' });
$k->make('fast', fields => \@simple, %execution);
my $fast = $k->run('fast');
is("$fast->{status} $fast->{rows_loaded}", 'partial 4998', 'the fast way');

# same(NAME, TABLE): the run gave what the fast one gave.
sub same
{
    my ($name, $what, $table) = @_;
    $table ||= "ds_$name";
    my $r = $k->run($name);
    is("$r->{status} $r->{rows_read} $r->{rows_loaded}", "$fast->{status} $fast->{rows_read} $fast->{rows_loaded}", "$what: status and counters")
      or diag($r->{error_message});
    is($k->sql("SELECT count(*) FROM (SELECT id, name, amount FROM $table EXCEPT ALL SELECT id, name, amount FROM ds_fast) AS a")
          . $k->sql("SELECT count(*) FROM (SELECT id, name, amount FROM ds_fast EXCEPT ALL SELECT id, name, amount FROM $table) AS a"), '00',
        "$what: the same rows");
    is(join(' ', map { "$_->{line}:$_->{sqlstate}" } $k->errors($r->{run_id})), join(' ', map { "$_->{line}:$_->{sqlstate}" } $k->errors($fast->{run_id})),
        "$what: the same rejects");
    return $r;
}

$k->make('triggers', fields => \@simple, %execution);
$k->sql(q(CREATE TABLE seen (id int, who name, session name);
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
        INSERT INTO seen VALUES (NEW.id, current_user, session_user); RETURN NEW; END$$;
    CREATE TRIGGER note BEFORE INSERT ON ds_triggers FOR EACH ROW EXECUTE FUNCTION note()));
same('triggers', 'triggers');
is($k->sql('SELECT count(*) FROM seen'), 4998, 'the trigger fired once for each row');

$k->make('computed', fields => \@simple, %execution);
$k->sql('ALTER TABLE ds_computed ADD twice numeric GENERATED ALWAYS AS (amount * 2) STORED, ADD n bigint GENERATED ALWAYS AS IDENTITY');
same('computed', 'generated and identity columns');
is($k->sql('SELECT count(*), count(DISTINCT n), bool_and(twice = amount * 2) FROM ds_computed'), '4998|4998|t', 'they have their values');

$k->make('identity', fields => [ @simple[ 1, 2 ] ], source => { resource => 'named.csv' });
$k->write_file('named.csv', "name,amount\na,1\nb,2\n");
is($k->run('identity')->{status} . ' ' . $k->sql('SELECT count(DISTINCT id) FROM ds_identity'), 'success 2', 'an automatic key');

$k->make('parts', fields => \@simple, %execution);
$k->sql('CREATE TABLE parts (LIKE ds_parts INCLUDING DEFAULTS, PRIMARY KEY (id)) PARTITION BY RANGE (id);'
      . 'CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (2000);'
      . 'CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (2000) TO (10000);'
      . "UPDATE kaireon_internal.schema SET relation = 'parts' WHERE name = 'parts'");
same('parts', 'partitions', 'parts');
is($k->sql('SELECT count(*) FROM parts_1'), 1998, 'each row is in its partition');
$k->sql('TRUNCATE parts; ALTER TABLE parts DETACH PARTITION parts_2');
$run = $k->run('parts');
is("$run->{status} $run->{rows_loaded}", 'partial 1998', 'rows without a partition are rejects');
is($k->sql("SELECT DISTINCT sqlstate FROM kaireon.run_errors WHERE run_id = '$run->{run_id}' AND reason LIKE 'no partition%'"), '23514', 'with their SQLSTATE');

$k->make('keys', fields => \@simple, %execution);
$k->sql('CREATE TABLE known AS SELECT i AS id FROM generate_series(1, 5000) AS i; ALTER TABLE known ADD PRIMARY KEY (id);'
      . 'ALTER TABLE ds_keys ADD FOREIGN KEY (id) REFERENCES known');
same('keys', 'a foreign key');
$k->sql('TRUNCATE ds_keys; DELETE FROM known WHERE id IN (7, 8, 4999)');
$run = $k->run('keys');
is($run->{rows_loaded}, 4995, 'rows without a parent are rejects, their neighbours load');
is($k->sql("SELECT string_agg(line::text, ' ' ORDER BY line) FROM kaireon.run_errors WHERE run_id = '$run->{run_id}' AND sqlstate = '23503'"),
    '8 9 5000', 'each with its line');

# A unique conflict through the slow way.
$k->sql('TRUNCATE ds_triggers, seen; INSERT INTO ds_triggers (id) VALUES (100)');
$run = $k->run('triggers');
is("$run->{rows_loaded} " . $k->sql("SELECT line FROM kaireon.run_errors WHERE run_id = '$run->{run_id}' AND sqlstate = '23505'"), '4997 101',
    'a unique conflict through the slow way');
is($k->sql("SELECT count(*) FROM seen"), 4998, 'whose row the trigger did not see a second time');
$k->sql(q(TRUNCATE ds_triggers; ALTER TABLE ds_triggers DISABLE TRIGGER note;
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
        IF NEW.id % 1000 = 0 THEN RAISE 'no % today', NEW.id USING ERRCODE = 'P0042'; END IF;
        IF NEW.id % 1000 = 1 THEN RETURN NULL; END IF; RETURN NEW; END$$;
    CREATE TRIGGER refuse BEFORE INSERT ON ds_triggers FOR EACH ROW EXECUTE FUNCTION refuse()));
$run = $k->run('triggers');
is($k->sql("SELECT string_agg(line || ' ' || reason, ', ' ORDER BY line) FROM kaireon.run_errors WHERE run_id = '$run->{run_id}' AND sqlstate = 'P0042'"),
    join(', ', map { ($_ * 1000 + 1) . " no " . $_ * 1000 . ' today' } 1 .. 5), 'an error a trigger raises rejects its row');
is($k->sql('SELECT count(*) FROM ds_triggers'), 4998 - 5 - 5, 'what a trigger suppresses is not in the table');
is($k->count_identity($run->{run_id}), 't', 'and the counters add up all the same') or diag(explain($run));
is("$run->{rows_loaded} $run->{rows_filtered}", 4998 - 5 - 5 . ' 5', 'it is counted as filtered');

# ---- the owner's rights

$k->sql(q(CREATE ROLE loader LOGIN; GRANT kaireon_admin TO loader; GRANT CREATE, USAGE ON SCHEMA public TO loader;
    ALTER ROLE loader SET datestyle = 'SQL, DMY'; ALTER ROLE loader SET timezone = 'Asia/Tokyo'; ALTER ROLE loader SET intervalstyle = 'iso_8601';
    ALTER ROLE loader SET search_path = 'elsewhere'; ALTER ROLE loader SET default_transaction_read_only = on;
    ALTER ROLE loader SET default_transaction_isolation = 'serializable'; ALTER ROLE loader SET statement_timeout = '1ms';
    ALTER ROLE loader SET lc_numeric = 'C'; ALTER ROLE loader SET row_security = off; ALTER ROLE loader SET standard_conforming_strings = off;
    ALTER ROLE loader SET transform_null_equals = on; ALTER ROLE loader SET extra_float_digits = -15; ALTER ROLE loader SET bytea_output = 'escape';
    ALTER ROLE loader SET client_encoding = 'LATIN1'; ALTER ROLE loader SET enable_seqscan = off;
    ALTER ROLE loader SET session_replication_role = origin));
my $as_loader = 'SET SESSION AUTHORIZATION loader; SET default_transaction_read_only = off; SET statement_timeout = 0; SET search_path = public;'
  . 'SET standard_conforming_strings = on;';
my $fields = $k->json(\@fields);
$k->sql("$as_loader SELECT kaireon.create_connector('hers', 'local_fs', " . $k->json({ basePath => $k->files }) . ');'
      . "SELECT kaireon.create_schema('hers', $fields);"
      . "SELECT kaireon.create_pipeline('hers', 'hers', 'hers', " . $k->json([ { id => 's', type => 'source', config => { resource => 'types.csv' } },
            { id => 't', type => 'target' } ]) . ')');
$run = ($k->rows("SELECT * FROM kaireon.run_pipeline('hers')"))[0];
is($run->{status}, 'success', 'a run as an ordinary role') or diag($run->{error_message});
is(differences('ds_hers', 'by_copy'), 0, 'whose own settings change nothing of what is loaded');
is($k->sql("SELECT owner FROM kaireon_internal.run WHERE run_id = '$run->{run_id}'"), 'loader', 'the run is hers');

$k->sql("$as_loader SELECT kaireon.create_schema('hers2', " . $k->json(\@simple) . ');'
      . "SELECT kaireon.create_pipeline('hers2', 'hers', 'hers2', " . $k->json([ { id => 's', type => 'source', config => { resource => 'simple.csv' } },
            { id => 't', type => 'target', config => { validation => 'skip' } } ]) . qq[, execution_config => '{"errorHandling": "skip"}')]);
$k->sql('TRUNCATE seen; GRANT INSERT ON seen TO loader; CREATE TRIGGER note BEFORE INSERT ON ds_hers2 FOR EACH ROW EXECUTE FUNCTION public.note();'
      . 'ALTER FUNCTION note() SET search_path = public');
$run = $k->run('hers2');
is($run->{status}, 'partial', 'through a trigger too') or diag($run->{error_message});
is($k->sql('SELECT DISTINCT who, session FROM seen'), 'loader|loader', 'the trigger sees the owner as current and as session user');

# Row-level security of the target holds for the run.
$k->sql('TRUNCATE ds_hers2; ALTER TABLE ds_hers2 DISABLE TRIGGER note; ALTER TABLE ds_hers2 OWNER TO postgres;'
      . 'GRANT SELECT, INSERT ON ds_hers2 TO loader; ALTER TABLE ds_hers2 ENABLE ROW LEVEL SECURITY;'
      . 'CREATE POLICY small ON ds_hers2 FOR INSERT TO loader WITH CHECK (id <= 4000)');
$k->sql('ALTER ROLE loader RESET row_security');
$run = $k->run('hers2');
is($run->{rows_loaded} . ' ' . $k->sql('SELECT count(*) FROM ds_hers2'), '3999 3999', 'row-level security: only rows the policy allows');
is($k->sql("SELECT DISTINCT sqlstate FROM kaireon.run_errors WHERE run_id = '$run->{run_id}' AND line > 4001 AND line <> 4322"), '42501',
    'row-level security: the others are rejects');

$k->sql('TRUNCATE ds_hers2; REVOKE INSERT ON ds_hers2 FROM loader');
$run = $k->run('hers2');
is("$run->{status} $run->{error_code}", 'failed 42501', 'a table the owner may not write');
like($run->{error_message}, qr/permission denied for table ds_hers2/, 'is named');
is($k->sql('SELECT count(*) FROM ds_hers2'), 0, 'and not written');
$k->sql('GRANT INSERT (id, name) ON ds_hers2 TO loader');
$run = $k->run('hers2');
is("$run->{status} $run->{error_code}", 'failed 42501', 'nor a column the owner may not write');
$k->sql('GRANT INSERT ON ds_hers2 TO loader; ALTER ROLE loader NOLOGIN');
my @findings = $k->sql("SELECT message FROM kaireon.validate_pipeline('hers2')");
$run = $k->run('hers2');
if ($k->sql('SHOW server_version_num') < 170000)
{
    like($findings[0], qr/the pipeline's owner is not permitted to log in \(ALTER ROLE loader LOGIN, or give/, 'validate_pipeline finds an owner without LOGIN');
    is("$run->{status} $run->{error_code}", 'failed 28000', 'an owner without LOGIN gets an error that says so');
}
else
{
    unlike($findings[0], qr/log in/, 'validate_pipeline has nothing against an owner without LOGIN');
    is($run->{status}, 'partial', 'an owner without LOGIN runs all the same');
}

$k->settled('at the end');
ok($k->same_postmaster, 'the server lived through');
done_testing;
