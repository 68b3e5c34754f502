# kaireon.read against the server's input functions: 100,000 strings of each
# type, accepted and refused alike, value for value.
#
# test/diff asks the converters alone; here the strings go the whole way: CSV,
# batches, cells, and what the reader leaves to the server (uuid, JSON, odd
# spellings).  They are those of test/diff/Strings.pm, read under odd settings.
# READ_DIFF_COUNT is how many a type, READ_DIFF_SEED repeats a run.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../diff";

use Kaireon;
use Strings qw(strings_of);
use Test::More;

my $count = $ENV{READ_DIFF_COUNT} || 100_000;
my $seed = int($ENV{READ_DIFF_SEED} || time() % 1000000000);
srand($seed);
note("seed $seed, $count strings a type");

# [kind of strings, type in SQL]
my @types = ([ utf8 => 'text' ], [ 'varchar(4)' => 'varchar(4)' ], [ int4 => 'integer' ], [ int8 => 'bigint' ], [ int2 => 'smallint' ], [ numeric => 'numeric' ],
    [ 'numeric(12,2)' => 'numeric(12,2)' ], [ 'numeric(18,18)' => 'numeric(18,18)' ], [ 'numeric(25,4)' => 'decimal(25,4)' ], [ float4 => 'real' ],
    [ float8 => 'double precision' ], [ bool => 'boolean' ], [ date => 'date' ], [ timestamp => 'timestamp' ], [ timestamptz => 'timestamptz' ],
    [ json => 'jsonb' ], [ json => 'json' ], [ uuid => 'uuid' ]);

my $k = Kaireon->new('types_read', conf => "fsync = off\nlog_min_messages = panic\nlog_min_error_statement = panic\n");
$k->sql("SELECT kaireon.create_connector('files', 'local_fs', " . $k->json({ basePath => $k->files }) . ')');
# What the input function says: the value as text, or null.  A composite value's
# input calls a column's input function with its type modifier, as COPY does.
$k->sql(<<'SQL');
CREATE FUNCTION by_input(field bytea, row_type text) RETURNS text LANGUAGE plpgsql STABLE
    SET DateStyle = 'ISO, MDY' SET TimeZone = 'UTC' SET extra_float_digits = 3 AS $$
DECLARE
    result text;
BEGIN
    EXECUTE format('SELECT (($1::%s).v)::text', row_type) INTO result
        USING '("' || regexp_replace(convert_from(field, 'UTF8'), '(["\\])', '\1\1', 'g') || '")';
    RETURN result;
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END $$;
SQL

# What the clock decides is left out.
sub usable { return $_[0] !~ /now|today|tomorrow|yesterday/i; }

# Quoted always: an unquoted empty field would be null.
sub quoted { my ($s) = @_; $s =~ s/"/""/g; return "\"$s\""; }

my $i = 0;
for my $of (@types)
{
    my ($kind, $type) = @$of;
    my $name = 't' . ++$i;
    my @strings = grep { usable($_) } map { $_->[1] } @{ strings_of($kind, $count) };
    my $hex = $k->write_file("$name.hex", join('', map { "$_\t\\\\x" . unpack('H*', $strings[$_]) . "\n" } 0 .. $#strings));

    $k->write_file("$name.csv", "k,v\n" . join('', map { "$_," . quoted($strings[$_]) . "\n" } 0 .. $#strings));
    $k->sql("CREATE TYPE row_$name AS (v $type); CREATE UNLOGGED TABLE $name (k int, field bytea); COPY $name FROM '$hex'");
    $k->sql("SET client_min_messages = warning; SET DateStyle = 'SQL, DMY'; SET TimeZone = 'Asia/Kathmandu'; SET timezone_abbreviations = 'India'; SET IntervalStyle = 'sql_standard';"
          . " CREATE UNLOGGED TABLE read_$name AS SELECT k, v FROM kaireon.read('files', '$name.csv', '{\"onError\": \"null\", \"header\": true}') AS t(k int, v $type)");
    my ($seen, $differ, $accepted, $examples) = split(/\|/, $k->sql(
        "SET DateStyle = 'ISO, MDY'; SET TimeZone = 'UTC'; SET extra_float_digits = 3;"
          . " SELECT count(r.k), count(*) FILTER (WHERE differs), count(ours), coalesce(left(string_agg(format('%s: read %s, input %s', left(field::text, 100), left(ours, 60), left(theirs, 60)), E'\\n')"
          . " FILTER (WHERE differs), 2000), '')"
          . " FROM (SELECT s.k, s.field, v::text AS ours, by_input(field, 'row_$name') AS theirs FROM $name s JOIN read_$name USING (k) OFFSET 0) AS r, LATERAL (SELECT ours IS DISTINCT FROM theirs AS differs) AS d"), 4);

    is($seen, scalar(@strings), "$kind as $type: every string is read");
    is($differ, 0, "$kind as $type: $accepted accepted, the others refused, as the input function does") or diag($examples);
    cmp_ok($accepted, '>', 0, "$kind as $type: some are");
    $k->sql("DROP TABLE $name, read_$name");
    unlink map { $k->files . "/$name.$_" } qw(hex csv);
}

is(scalar($k->readers), 0, 'no reader is left');
ok($k->same_postmaster, 'the server lived through');
done_testing();
