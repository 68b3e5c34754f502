# What a load stores is byte for byte what the server stores of the same rows by
# COPY: fixed and varying lengths, every alignment, short and long headers,
# storage that takes no short ones, nulls, a dropped column.  Appended, and in a
# new heap.
use strict;
use warnings;
use Kaireon;
use Test::More;

my $k = Kaireon->new('row_form', conf => "autovacuum = off\n");
my @names = ('id', 'flag', 'small', 'day', 'words', 'plain', 'amount', 'at', 'doc', 'uid', 'ratio', 'code');
my $columns = join ', ', @names;

# Columns that no field is of take their defaults.
$k->sql(q{
    CREATE EXTENSION pageinspect;
    CREATE TYPE pair AS (a smallint, b text);
    CREATE TABLE shapes (letter "char" DEFAULT 'x', id integer, flag boolean, label name DEFAULT 'a name', small smallint, gone text, mark "char" DEFAULT 'y',
        day date, words text, plain numeric, tag bytea DEFAULT '\x00', amount numeric, span interval DEFAULT '1 mon 2 s', at timestamptz, doc jsonb,
        list integer[] DEFAULT '{1,2,3}', couple pair DEFAULT ROW(1, 'b'), uid uuid, spot point DEFAULT '(1,2)', ratio real, mac macaddr DEFAULT '08:00:2b:01:02:03', code varchar(4));
    ALTER TABLE shapes ALTER plain SET STORAGE PLAIN, ALTER words SET STORAGE EXTERNAL, DROP COLUMN gone;
});
$k->sql(q{SELECT kaireon.adopt_table('shapes', 'public.shapes')});

# Lengths around those where a header grows, a value is cut into steps, and a row goes to the TOAST table.
my @lengths = (0 .. 40, 63 .. 66, 124 .. 130, 255 .. 258, 1000, 1700 .. 1710, 1900, 2020 .. 2040, 3000);
my @rows = map {
    my $i = $_;
    my $text = join '', map { chr(ord('a') + ($i * 7 + $_ * 31) % 26) } 1 .. $lengths[ $i % @lengths ];
    my @row = ($i, $i % 2 ? 't' : 'f', $i % 300, '2024-02-' . ($i % 28 + 1), $text, $i * 1.5, $i % 5 ? $i / 8 : "1e$i", "2024-01-01 00:00:$i",
        qq({"k": [$i, "$text"]}), sprintf('a0eebc99-9c0b-4ef8-bb6d-%012d', $i), $i / 3, substr($text, 0, $i % 5));
    [ map { $i % 4 == 3 && ($i >> 2 & 7) == $_ % 8 && $_ > 0 ? undef : $row[$_] } 0 .. $#row ];
} 0 .. 59, 0 .. 59 + @lengths;
$_->[7] =~ s/:(\d)$/:0$1/, $_->[7] =~ s/:\d?(\d\d)$/':' . $1 % 60/e for grep { defined $_->[7] } @rows;
my $path = $k->write_csv('shapes.csv', \@names, @rows);

# What is stored of the rows, but for who wrote them where.  Pointers to the TOAST table differ, so of rows with such only the length is compared.
my $stored = q{
    SELECT string_agg(format('%s %s %s %s %s', i.t_infomask2 & 2047, i.t_infomask & 7, i.t_hoff, i.t_bits,
                             CASE WHEN i.t_infomask & 4 = 0 THEN i.t_data::text ELSE octet_length(i.t_data)::text END), E'\n')
      FROM generate_series(0, pg_relation_size('shapes') / current_setting('block_size')::int - 1) AS b, heap_page_items(get_raw_page('shapes', b::int)) AS i
     WHERE i.lp_flags = 1};

$k->sql("TRUNCATE shapes; COPY shapes ($columns) FROM '$path' (FORMAT csv, HEADER)");
my @lines = sort split /\n/, $k->sql($stored);
is(scalar @lines, scalar @rows, 'COPY has stored all rows');
cmp_ok(scalar(grep { /^\d+ [4567] / } @lines), '>', 5, 'some with values that lie elsewhere');
cmp_ok(scalar(grep { /^\d+ [1357] / } @lines), '>', 5, 'some with nulls');
for my $strategy ('append', 'blue_green')
{
    $k->make($strategy, schema => 'shapes', source => { resource => 'shapes.csv' }, target => { loadingStrategy => $strategy });
    $k->sql('TRUNCATE shapes') if $strategy eq 'append';
    my $run = $k->run($strategy);
    is("$run->{status} $run->{rows_loaded}", 'success ' . @rows, "$strategy: loads") or diag(explain $run, $k->errors($run->{run_id}));
    my @got = sort split /\n/, $k->sql($stored);
    is_deeply(\@got, \@lines, "$strategy: stored as by COPY");
}

$k->settled('at the end');
ok($k->same_postmaster, 'the server lived through');
done_testing;
