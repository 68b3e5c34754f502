# What each row transform makes of a row, cell by cell: the examples of the
# documentation, nulls, and what is not what it was taken for.
use strict;
use warnings;
use Kaireon;
use Test::More;

my $k = Kaireon->new('transforms');
my $n = 0;

# Loads the rows through the nodes with bad rows left out; the loaded rows in
# the file's order as "a|b|c", and the rejects as "line field sqlstate".
sub transformed
{
    my ($header, $rows, $nodes, $fields, %more) = @_;
    my $name = 't' . ++$n;
    my $source = delete $more{source} || {};

    $k->write_csv("$name.csv", $header, @$rows);
    $k->make($name, fields => [ { name => 'n', dataType => 'integer', isPrimaryKey => \1 }, map { ref $_ ? $_ : { name => $_, dataType => 'text' } } @$fields ],
        source => { resource => "$name.csv", %$source }, nodes => $nodes, execution => { errorHandling => 'skip' }, %more);
    my $run = $k->sql("SELECT (kaireon.run_pipeline('$name')).run_id");
    my $columns = join ', ', map { ref $_ ? $_->{name} : $_ } @$fields;
    my @loaded = split /\n/, $k->sql("SELECT concat_ws('|', " . (join ', ', map { "coalesce(($_)::text, '~')" } map { ref $_ ? $_->{name} : $_ } @$fields) . ") FROM ds_$name ORDER BY n"), -1;
    my @errors = split /\n/, $k->sql("SELECT concat_ws(' ', line, node_id, field, sqlstate) FROM kaireon.run_errors WHERE run_id = '$run' ORDER BY ordinal");
    is($k->count_identity($run), 't', "$name: the counters add up");
    return (\@loaded, \@errors);
}

# One node, given as type and config.
sub through
{
    my ($type, $config, $header, $rows, $fields, %more) = @_;
    my ($loaded, $errors) = transformed([ 'n', @$header ], [ map { [ $_ + 1, @{ $rows->[$_] } ] } 0 .. $#$rows ],
        [ { id => 'x', type => $type, config => $config } ], $fields, %more);
    return ($loaded, $errors);
}

sub rows_are
{
    my ($type, $config, $header, $rows, $fields, $expected, $what, $rejects, %more) = @_;
    my ($loaded, $errors) = through($type, $config, $header, $rows, $fields, %more);
    is_deeply($loaded, $expected, "$type: $what");
    is_deeply($errors, $rejects || [], "$type: $what: rejects");
    return;
}

# ---- map_values

my $gender = { M => 'Male', F => 'Female', O => 'Other' };
rows_are('map_values', { field => 'g', mappings => $gender, defaultValue => 'Unknown' }, ['g'],
    [ ['M'], ['F'], ['O'], ['m'], ['?'], [undef] ], ['g'], [ 'Male', 'Female', 'Other', 'Unknown', 'Unknown', '~' ], 'codes to labels');
rows_are('map_values', { field => 'g', mappings => $gender }, ['g'], [ ['M'], ['x'], [undef] ], ['g'], [ 'Male', 'x', '~' ],
    'without a default what is not mapped stays');
rows_are('map_values', { field => 'g', mappings => $gender, defaultValue => undef }, ['g'], [ ['M'], ['x'] ], ['g'], [ 'Male', '~' ],
    'a default of null');
rows_are('map_values', { field => 'g', mappings => { 1 => 10, 2 => undef, 3 => \1, "it's" => "o'k" } }, ['g'],
    [ ['1'], ['2'], ['3'], ["it's"], ['01'] ], ['g'], [ '10', '~', 'true', "o'k", '01' ], 'numbers, null, booleans, quotes');
rows_are('map_values', { field => 'g', mappings => { low => 1, high => 9 }, defaultValue => 'x' }, ['g'], [ ['low'], ['high'], ['other'] ],
    [ { name => 'g', dataType => 'integer' } ], [ '1', '9' ], 'into a typed field; what does not fit is a reject', ['4 load g 22P02']);

# ---- split

rows_are('split', { sourceField => 'name', separator => ' ', outputFields => [ 'first', 'last' ] }, ['name'],
    [ ['Ada Lovelace'], ['Ada'], ['Anna Maria Luisa'], [''], [undef], [' x'] ], [ 'first', 'last', 'name' ],
    [ 'Ada|Lovelace|Ada Lovelace', 'Ada|~|Ada', 'Anna|Maria Luisa|Anna Maria Luisa', '|~|', '~|~|~', '|x| x' ],
    'the last part is all that is left, missing parts are null');
rows_are('split', { sourceField => 'v', separator => '--', outputFields => [ 'a', 'v' ] }, ['v'], [ ['1--2--3'], ['--'], ["\x{c3}\x{a9}--\x{c3}\x{bc}"] ],
    [ 'a', 'v' ], [ '1|2--3', '|', "\x{c3}\x{a9}|\x{c3}\x{bc}" ], 'a long separator; a part may take the place of its source');

# ---- merge

rows_are('merge', { sourceFields => [ 'a', 'b', 'c' ], separator => ', ', outputField => 'all_of' }, [ 'a', 'b', 'c' ],
    [ [ 1, 2, 3 ], [ 1, undef, 3 ], [ undef, undef, undef ], [ '', 'x', undef ] ], ['all_of'], [ '1, 2, 3', '1, 3', '~', ', x' ],
    'nulls are left out, and all nulls are null');
rows_are('merge', { sourceFields => [ 'a', 'b' ], outputField => 'a' }, [ 'a', 'b' ], [ [ '1.50', 'x' ] ], ['a'], ['1.50x'],
    'without a separator, in place, as it was read');

# ---- hash

rows_are('hash', { field => 'v', algorithm => 'sha256', outputField => 'h' }, ['v'], [ ['abc'], [''], [undef], ["\x{c3}\x{a9}"] ], [ 'h', 'v' ],
    [ 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad|abc',
      'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855|', '~|~',
      "4a99557e4033c3539de2eb65472017cad5f9557f7a0625a09f1c3f6e2ba69c4c|\x{c3}\x{a9}" ], 'sha256, as sha256sum has it');
rows_are('hash', { field => 'v', algorithm => 'md5' }, ['v'], [ ['abc'], [undef] ], ['v'], [ '900150983cd24fb0d6963f7d28e17f72', '~' ], 'md5 in place');

# ---- expression

rows_are('expression', { outputField => 'total', expression => 'qty * price' },
    [ 'qty', 'price' ], [ [ 2, '1.50' ], [ undef, 1 ] ],
    [ { name => 'qty', dataType => 'integer' }, { name => 'price', dataType => 'numeric' }, { name => 'total', dataType => 'numeric' } ],
    [ '2|1.50|3.00', '~|1|~' ], 'a new field of the type it has');
rows_are('expression', { outputField => 'v', expression => "upper(trim(v)) || ' ' || length(v)" }, ['v'], [ [' a '], [undef] ], ['v'],
    [ 'A 3', '~' ], 'in place');
rows_are('expression', { outputField => 'r', expression => 'a / b' }, [ 'a', 'b' ], [ [ 6, 3 ], [ 1, 0 ], [ 'x', 1 ], [ 4, 2 ] ],
    [ { name => 'a', dataType => 'integer' }, { name => 'b', dataType => 'integer' }, { name => 'r', dataType => 'integer' } ],
    [ '6|3|2', '4|2|2' ], 'an error is the row\'s own', [ '3 x r 22012', '4 load a 22P02' ]);
rows_are('expression', { outputField => 'y', expression => "extract(year from d)::int" }, ['d'], [ ['2024-05-06'] ],
    [ { name => 'd', dataType => 'date' }, { name => 'y', dataType => 'integer' } ], ['2024-05-06|2024'], 'dates are dates');
rows_are('expression', { outputField => 'c', expression => "case when v is null then 'none' when v = '' then 'empty' else v end" }, ['v'],
    [ [undef], [''], ['x'] ], ['c'], [ 'none', 'empty', 'x' ], 'case');

# ---- filter

my @numbers = map { [$_] } '5', '10', '9.99', '-1', '1e2', undef, 'abc';
for my $test (
    [ '>', 9, [ '10', '9.99', '1e2' ] ], [ '<=', 5, [ '5', '-1' ] ], [ '=', 10, ['10'] ], [ '!=', 10, [ '5', '9.99', '-1', '1e2' ] ],
    [ 'in', [ 5, 100 ], [ '5', '1e2' ] ], [ 'not_in', [ 5, 10 ], [ '9.99', '-1', '1e2' ] ], [ 'between', [ 5, 10 ], [ '5', '10', '9.99' ] ])
{
    my ($operator, $value, $kept) = @$test;
    rows_are('filter', { field => 'v', operator => $operator, value => $value }, ['v'], \@numbers, ['v'], $kept,
        "text against numbers, $operator: numbers are compared, what is none is a reject", ['8 x v 22P02']);
}
my @days = map { [$_] } '2024-01-10', '2024-01-09 23:00', '9/30/2023', undef, 'soon';
rows_are('filter', { field => 'v', operator => '>=', value => '2024-01-10' }, ['v'], \@days, ['v'], ['2024-01-10'],
    'text against a date: moments are compared; what ISO 8601 does not write is none', [ '4 x v 22007', '6 x v 22007' ]);
rows_are('filter', { field => 'v', operator => 'between', value => [ '2023-01-01', '2024-01-09 22:00:00Z' ] }, ['v'], \@days, ['v'], [],
    'text against a date and a time', [ '4 x v 22007', '6 x v 22007' ]);
# Text and typed fields give the same answer.
my @moments = map { [$_] } '2024-01-02', '2024-01-02 10:00:00', '2024-01-01T23:30:00-05:00', '2024-01-02T01:00+0300';
for my $test (
    [ '>', '2024-01-02T00:00:00', [ 1, 2 ] ], [ '<=', '2024-01-02', [ 0, 3 ] ], [ '>=', '2024-01-02T05:00:00+01:00', [ 1, 2 ] ],
    [ 'between', [ '2024-01-02', '2024-01-02T04:30:00Z' ], [ 0, 2 ] ])
{
    my ($operator, $value, $kept) = @$test;
    my $config = { field => 'v', operator => $operator, value => $value };
    my @typed = map { $k->sql("SELECT timestamptz '$moments[$_][0]' AT TIME ZONE 'UTC'") . '+00' } @$kept;

    rows_are('filter', $config, ['v'], \@moments, ['v'], [ map { $moments[$_][0] } @$kept ], "text against moments, $operator");
    rows_are('filter', $config, ['v'], \@moments, [ { name => 'v', dataType => 'timestamptz' } ], \@typed, "timestamptz against moments, $operator");
}
rows_are('filter', { field => 'v', operator => '>=', value => '2024-01-02T12:00:00' }, ['v'], [ ['2024-01-02'], ['2024-01-03'] ], [ { name => 'v', dataType => 'date' } ],
    ['2024-01-03'], 'a date against a time is its first moment');
# A real is compared with the real that a number is read as; a number beyond them all as it is.
for my $test ([ '=', 0.1, ['0.1'] ], [ '!=', 0.1, [ '0.2', '-3' ] ], [ '<=', 0.1, [ '0.1', '-3' ] ], [ '>', 0.1, ['0.2'] ], [ 'in', [ 0.1, -3 ], [ '0.1', '-3' ] ], [ 'between', [ 0.1, 0.2 ], [ '0.1', '0.2' ] ],
    [ '<', 1e300, [ '0.1', '0.2', '-3' ] ], [ '=', 1e-300, [] ])
{
    my ($operator, $value, $kept) = @$test;
    rows_are('filter', { field => 'v', operator => $operator, value => $value }, ['v'], [ ['0.1'], ['0.2'], ['-3'] ], [ { name => 'v', dataType => 'float' } ], $kept, "real $operator");
}
rows_are('validate', { rules => [ { field => 'v', rule => 'in:0.1', onFail => 'skip' } ] }, ['v'], [ ['0.1'] ], [ { name => 'v', dataType => 'float' } ], ['0.1'], 'a rule for a real');
rows_are('filter', { field => 'v', operator => '<', value => '2024-01-02T01:00:00+02:00' }, ['v'], [ ['2024-01-01 22:59'], ['2024-01-01 23:01'] ],
    [ { name => 'v', dataType => 'timestamp' } ], ['2024-01-01 22:59:00'], 'a timestamp against one with a zone is in UTC');
rows_are('filter', { field => 'v', operator => '<', value => '2030-01-01' }, ['v'], [ ['now'], ['tomorrow'], ['-infinity'], ['02/01/2024'], [' 2024-02-01 '], ['2024-02-30'] ],
    ['v'], [' 2024-02-01 '], 'words are no dates', [ '2 x v 22007', '3 x v 22007', '4 x v 22007', '5 x v 22007', '7 x v 22008' ]);
rows_are('filter', { field => 'v', operator => '<', value => '2024-01-02' }, ['v'], [ ['02.01.2024'], ['31.12.2023'] ], ['v'], ['31.12.2023'],
    'dates as the source writes them', [], source => { dateFormat => 'DD.MM.YYYY' });
like($k->sql_error("SELECT kaireon.create_pipeline('now', 'files', 't1', " . $k->json([ { id => 'r', type => 'source' },
            { id => 'c', type => 'cast', config => { field => 'g', targetType => 'date' } }, { id => 'f', type => 'filter', config => { field => 'g', operator => '<', value => 'now' } },
            { id => 'w', type => 'target', config => {} } ]) . ')'), qr/"value" must be a date or time as ISO 8601 writes them, the field is of type date/, 'nor is one to compare with');
my @words = map { [$_] } 'apple', 'Apple pie', '100%', '', undef;
for my $test (
    [ '=', 'apple', ['apple'] ], [ '!=', 'apple', [ 'Apple pie', '100%', '' ] ], [ 'like', '%pp%', [ 'apple', 'Apple pie' ] ],
    [ 'starts_with', 'app', ['apple'] ], [ 'starts with', 'App', ['Apple pie'] ], [ 'ends_with', '%', ['100%'] ], [ 'contains', 'e p', ['Apple pie'] ],
    [ 'in', [ 'apple', '' ], [ 'apple', '' ] ], [ 'not in', [ 'apple', '' ], [ 'Apple pie', '100%' ] ], [ 'is_null', undef, ['~'] ],
    [ 'is not null', undef, [ 'apple', 'Apple pie', '100%', '' ] ])
{
    my ($operator, $value, $kept) = @$test;
    rows_are('filter', { field => 'v', operator => $operator, defined $value ? (value => $value) : () }, ['v'], \@words, ['v'], $kept, "strings, $operator");
}
rows_are('filter', { field => 'v', operator => '=', value => \1 }, ['v'], [ ['yes'], ['no'], ['t'], ['maybe'] ], ['v'], [ 'yes', 't' ],
    'text against a boolean', ['5 x v 22P02']);
rows_are('filter', { match => 'any', conditions => [ { field => 'a', operator => '=', value => 1 },
        { match => 'all', conditions => [ { field => 'a', operator => '>', value => 5 }, { field => 'b', operator => 'is_null' } ] } ] },
    [ 'a', 'b' ], [ [ 1, 'x' ], [ 2, undef ], [ 6, 'x' ], [ 7, undef ] ], ['a'], [ '1', '7' ], 'groups within groups');

# ---- a chain of ten is one stage

my @chain = (
    [ rename => { sourceField => 'NAME', targetField => 'name' } ], [ cast => { field => 'qty', targetType => 'integer' } ],
    [ filter => { field => 'qty', operator => '>', value => 0 } ], [ expression => { outputField => 'total', expression => 'qty * 2' } ],
    [ split => { sourceField => 'name', separator => ' ', outputFields => [ 'first', 'last' ] } ], [ drop => { fields => ['name'] } ],
    [ map_values => { field => 'g', mappings => $gender } ], [ merge => { sourceFields => [ 'last', 'first' ], separator => ', ', outputField => 'full_name' } ],
    [ hash => { field => 'mail', outputField => 'mail_hash' } ], [ mask_pii => { field => 'mail', maskType => 'email' } ]);
my ($loaded, $errors) = transformed([ 'n', 'NAME', 'qty', 'g', 'mail' ],
    [ [ 1, 'Ada Lovelace', 3, 'F', 'ada@example.com' ], [ 2, 'Bob', 0, 'M', 'b@x.org' ], [ 3, 'Cy Z', 'many', 'M', 'c@x.org' ] ],
    [ map { { id => "s$_", type => $chain[$_][0], config => $chain[$_][1] } } 0 .. $#chain ], [ 'full_name', 'total', 'g', 'mail', 'mail_hash' ]);
is_deeply($loaded, [ 'Lovelace, Ada|6|Female|a***@example.com|' . $k->sql("SELECT encode(sha256('ada\@example.com'), 'hex')") ], 'a chain of ten');
is_deeply($errors, ['4 s1 qty 22P02'], 'its reject is the cast\'s');
like($k->sql("SELECT kaireon.explain_pipeline('t$n')"), qr/^Stage 1 \(row stage\): read -> s0 -> s1 -> .* -> s9 -> load\n(?!.*^Stage 2)/ms, 'is one stage');
unlike($k->sql("SELECT kaireon.explain_pipeline('t$n')"), qr/Stage 2/, 'and no more');

is($k->sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'kaireon run'"), 0, 'no run is left');
ok($k->same_postmaster, 'the server lives');
done_testing();
