# Every field type through a whole pipeline, string by string: what is loaded is
# what the server's input function makes of it, what it refuses is rejected, and
# no setting of the session, the role or the database changes either.
#
# The strings are those of test/diff/Strings.pm: edge cases, common mistakes,
# random spellings.  They come as a CSV for the pipeline, and as bytea for a
# loop that inserts one by one under DateStyle ISO, MDY and TimeZone UTC.
# TYPES_COUNT is how many a type, TYPES_SEED repeats a run.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../diff";

use Kaireon;
use Strings qw(strings_of);
use Test::More;

my $count = $ENV{TYPES_COUNT} || 3000;
my $seed = int($ENV{TYPES_SEED} || time() % 1000000000);
srand($seed);
note("seed $seed, $count strings a type");

# [kind of strings, the field, its type in SQL]
my @types = (
    [ 'utf8', { dataType => 'text' }, 'text' ], [ 'varchar(4)', { dataType => 'varchar', length => 4 }, 'varchar(4)' ],
    [ 'int4', { dataType => 'integer' }, 'integer' ], [ 'int8', { dataType => 'bigint' }, 'bigint' ],
    [ 'int2', { dataType => 'smallint' }, 'smallint' ], [ 'numeric', { dataType => 'numeric' }, 'numeric' ],
    [ 'numeric(12,2)', { dataType => 'numeric', precision => 12, scale => 2 }, 'numeric(12,2)' ],
    [ 'numeric(25,4)', { dataType => 'decimal', precision => 25, scale => 4 }, 'numeric(25,4)' ],
    [ 'float4', { dataType => 'float' }, 'real' ], [ 'float8', { dataType => 'double' }, 'double precision' ],
    [ 'bool', { dataType => 'boolean' }, 'boolean' ], [ 'date', { dataType => 'date' }, 'date' ],
    [ 'timestamp', { dataType => 'timestamp' }, 'timestamp' ], [ 'timestamptz', { dataType => 'timestamptz' }, 'timestamptz' ],
    [ 'json', { dataType => 'json' }, 'jsonb' ], [ 'uuid', { dataType => 'uuid' }, 'uuid' ]);

my $k = Kaireon->new('types', conf => "kaireon.max_logged_errors = 100000\n");
my $odd = "DateStyle = 'SQL, DMY'; TimeZone = 'Asia/Kathmandu'; IntervalStyle = 'sql_standard'; extra_float_digits = -10; bytea_output = 'escape'";
$odd =~ s/(^|; )/$1SET /g;
(my $role = $odd) =~ s/SET /ALTER ROLE postgres SET /g;
(my $database = $odd) =~ s/SET /ALTER DATABASE postgres SET /g;
$k->sql("$role; $database;");
# it compares a time as text
$k->remember_postmaster;

# What COPY does with a field, a row at a time, and how many it refused with which SQLSTATE: a composite value's input calls
# the column's input function with the column's length or precision, as COPY does.
$k->sql(<<'SQL');
CREATE FUNCTION insert_each(target regclass, source regclass) RETURNS jsonb LANGUAGE plpgsql
    SET DateStyle = 'ISO, MDY' SET TimeZone = 'UTC' AS $$
DECLARE
    r record;
    how jsonb := '{}';
BEGIN
    FOR r IN EXECUTE format('SELECT id, field FROM %s', source) LOOP
        BEGIN
            EXECUTE format('INSERT INTO %s SELECT ($1::%s).*', target, target)
                USING format('(%s,"%s")', r.id, regexp_replace(convert_from(r.field, 'UTF8'), '(["\\])', '\1\1', 'g'));
        EXCEPTION WHEN OTHERS THEN
            how := jsonb_set(how, ARRAY[sqlstate], to_jsonb(coalesce((how ->> sqlstate)::int, 0) + 1));
        END;
    END LOOP;
    RETURN how;
END $$;
SQL

# What the clock decides is left out.
sub usable { return $_[0] !~ /now|today|tomorrow|yesterday/i; }

# Quoted always: an unquoted empty field would be null.
sub quoted { my ($s) = @_; $s =~ s/"/""/g; return "\"$s\""; }

sub compare
{
    my ($name, $kind, $field, $type) = @_;
    my @strings = grep { usable($_) } map { $_->[1] } @{ strings_of($kind, $kind eq 'uuid' ? 4 * $count : $count) };
    my $path = $k->write_file("$name.hex", join('', map { "$_\t\\\\x" . unpack('H*', $strings[$_]) . "\n" } 0 .. $#strings));

    $k->write_file("$name.csv", "k,v\n" . join('', map { "$_," . quoted($strings[$_]) . "\n" } 0 .. $#strings));
    $k->make($name, fields => [ { name => 'k', dataType => 'integer', isPrimaryKey => \1 }, { name => 'v', %$field } ],
        source => { resource => "$name.csv" }, target => { validation => 'skip' }, execution => { errorHandling => 'skip' });
    my $refused = $k->sql("CREATE TABLE by_row_$name (k integer, v $type); CREATE TABLE strings_$name (id integer, field bytea);"
          . " COPY strings_$name FROM '$path'; SELECT insert_each('by_row_$name', 'strings_$name')");
    my ($run) = $k->rows("SELECT run_id, status, rows_read, rows_loaded, rows_failed, rows_skipped, error_message FROM kaireon.run_pipeline('$name')");

    is($run->{rows_read}, scalar(@strings), "$kind: all strings read") or diag($run->{error_message});
    is($k->sql("SELECT coalesce(jsonb_object_agg(sqlstate, n), '{}') FROM (SELECT sqlstate, count(*) AS n FROM kaireon.run_errors WHERE run_id = '$run->{run_id}' GROUP BY 1) AS e"),
        $refused, "$kind: as many refused, for the same reasons");
    is($run->{rows_failed}, 0, "$kind: none of them ended the run");
    # as text, under settings that print every digit: NaN and -0 differ in it, and so does a numeric's scale
    my $differ = $k->sql("SET DateStyle = 'ISO, MDY'; SET TimeZone = 'UTC'; SET extra_float_digits = 3; SET bytea_output = 'hex';"
          . " SELECT coalesce(string_agg(format('%s: pipeline %s, row by row %s', s.field, coalesce(quote_literal(left(o.v::text, 50)), '-'),"
          . " coalesce(quote_literal(left(t.v::text, 50)), '-')), E'\\n'), 'none')"
          . " FROM (SELECT k, v FROM ds_$name) AS o FULL JOIN by_row_$name AS t ON o.k = t.k"
          . " JOIN strings_$name AS s ON s.id = coalesce(o.k, t.k)"
          . " WHERE o.k IS NULL OR t.k IS NULL OR o.v::text IS DISTINCT FROM t.v::text");
    is($differ eq 'none' ? '' : substr($differ, 0, 2000), '', "$kind: the same strings loaded, with the same values");
    note("$kind: $run->{rows_loaded} loaded, $refused refused");
    return;
}

my $i = 0;
for my $type (@types)
{
    compare('t' . ++$i, @$type);
}
ok($k->same_postmaster, 'the server lived through');
done_testing();
