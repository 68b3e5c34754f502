# infer_fields: the type of each kind of column, the names of fields, and that
# what it answers goes into create_schema unchanged and loads every row: infer,
# create_schema, create_pipeline with field_mapping, run, no reject.
use strict;
use warnings;
use Encode ();
use JSON::PP;
use Kaireon;
use Test::More;

my $k = Kaireon->new('infer');
my $files = $k->files;
my $json = JSON::PP->new->canonical;
my $notice = '';

$k->sql("SELECT kaireon.create_connector('files', 'local_fs', " . $k->json({ basePath => $files }) . ')');

# infer(FILE, OPTIONS, ROWS): the fields; what was noticed is in $notice.
sub infer
{
    my ($file, $options, $sample) = @_;
    my ($code, $out, $err) = $k->node->psql('postgres', "SELECT kaireon.infer_fields('files', '$file', "
          . $k->json($options || {}) . ', ' . ($sample || 1000) . ')');
    $notice = $err;
    return $code ? [] : $json->decode($out);
}

# type(FIELD): as text.
sub type
{
    my ($f) = @_;
    return 'none' unless $f;
    return "$f->{dataType}($f->{length})" if $f->{length};
    return "$f->{dataType}($f->{precision},$f->{scale})" if $f->{precision};
    return $f->{dataType};
}

# column(VALUE...): the type of a column of these values; undef is null.
sub column
{
    my @values = @_;
    my $options = ref $values[0] ? shift @values : {};
    $k->write_csv('column.csv', [ 'k', 'v' ], map { [ 'x', $_ ] } @values);
    my $fields = infer('column.csv', $options);
    return type($fields->[1]);
}

# ---- types

my $uuid = '6ba7b810-9dad-11d1-80b4-00c04fd430c8';
is(column($uuid, uc $uuid), 'uuid', 'uuid');
is(column($uuid, '6ba7b810'), 'varchar(128)', 'one that is none');
is(column('true', 'FALSE', undef), 'boolean', 'true, false');
is(column('yes', 'No'), 'boolean', 'yes, no');
is(column('yes', '0', '1'), 'boolean', 'words and digits');
is(column('0', '1', '1'), 'boolean', '0 and 1, both');
is(column('1', '1'), 'integer', 'only ones');
is(column('0', '0'), 'integer', 'only zeros');
is(column('0', '1', '2'), 'integer', '0, 1 and more');
is(column('-7', '2147483647', '-2147483648'), 'integer', 'integer');
is(column('2147483648'), 'bigint', 'bigint');
is(column('-2147483649'), 'bigint', 'bigint, negative');
is(column('9223372036854775807'), 'bigint', 'the largest');
is(column('9223372036854775808'), 'numeric(23,0)', 'beyond bigint');
is(column('007', '012'), 'varchar(16)', 'leading zeros');
is(column('0', '10'), 'integer', 'a zero alone is no leading zero');
is(column('+4712345678'), 'varchar(32)', 'a plus sign');
is(column('1.5', '22.375'), 'numeric(9,3)', 'decimals: the largest scale, room in front');
is(column('1.5', '2'), 'numeric(7,2)', 'decimals: a scale of at least 2');
is(column('1.5e10', '2'), 'numeric', 'exponents: no bounds');
is(column('2024-01-31', '2024-02-29'), 'date', 'dates');
is(column('2024-01-31', '2023-02-29'), 'varchar(32)', 'a day that does not exist');
is(column('31.01.2024'), 'varchar(32)', 'a regional date');
is(column('2024-01-31 10:20', '2024-01-31T10:20:30.5Z', '2024-01-31 10:20:30+02:00'), 'timestamptz', 'times');
is(column('2024-01-31', '2024-01-31 10:20'), 'timestamptz', 'dates and times');
is(column('2024-01-31 10:20:30.123456'), 'timestamptz', 'microseconds');
is(column('2024-01-31 10:20:30.123456000'), 'timestamptz', 'zeros behind them');
is(column('2024-01-31 10:20:30.1234567'), 'varchar(64)', 'finer times would be rounded');
like($notice, qr/field "v" is varchar\(64\) because its times are finer than a microsecond/, 'which is told');
is(column('{"a": 1, "b": {"a": ":\\""}}'), 'json', 'keys that are alike in different objects');
is(column('{"a": 1, "b": {"c": 1, "c": 2}}'), 'varchar(64)', 'a key twice: one would be lost');
like($notice, qr/field "v" is varchar\(64\) because its JSON has keys twice/, 'which is told');
is(column('2024-01-31 25:00'), 'varchar(32)', 'no time');
is(column('10:20'), 'varchar(16)', 'a time without a date');
is(column('{"a": [1]}', '[]'), 'json', 'json');
is(column('{"a": 1}', '{oops'), 'varchar(16)', 'no json');
is(column('a' x 8), 'varchar(16)', 'short text');
is(column('a' x 100), 'varchar(255)', 'longer text');
is(column("\x{c3}\x{a9}" x 128), 'varchar(255)', 'characters, not bytes');
is(column('a' x 255), 'varchar(255)', '255 characters');
is(column('a' x 256), 'text', 'long text');
is(column(undef, undef), 'text', 'nothing but nulls');
is(column('1', 'two'), 'varchar(16)', 'mixed');
is(column('1', ''), 'varchar(16)', 'an empty string is none of the others');
is(column('1', '2', 'N/A'), 'varchar(16)', 'a null-like word');
like($notice, qr/field "v" is varchar\(16\) because of "N\/A" in 1 of 3 values.*nullStrings.*integer/s, 'a null-like word is told');
is(column({ nullStrings => [ '', 'N/A' ] }, '1', '2', 'N/A'), 'integer', 'a word of nullStrings');
is(column('N/A', '-'), 'varchar(16)', 'only null-like words');
is($notice, '', 'are nothing to tell');
is(column('1,5', '1.234,50'), 'varchar(16)', 'decimal commas');
like($notice, qr/field "v" is varchar\(16\) because of its decimal commas.*decimalSeparator/s, 'decimal commas are told');
is(column({ decimalSeparator => ',', thousandsSeparator => '.' }, '1,5', '1.234,50'), 'numeric(10,2)', 'with decimalSeparator');
is(column({ thousandsSeparator => ',' }, '1,234', '12'), 'integer', 'with thousandsSeparator');
is(column({ dateFormat => 'DD.MM.YYYY' }, '2024-01-31'), 'varchar(32)', 'with a dateFormat an ISO date would be misread');
is(column({ dateFormat => 'DD.MM.YYYY' }, '31.01.2024', '01.02.2024'), 'date', 'with a dateFormat');
is(column({ dateFormat => 'YYYYMMDD' }, '20240131'), 'date', 'a dateFormat of digits');
is(column({ dateFormat => 'DD.MM.YYYY' }, '31.01.2024', '31.02.2024'), 'varchar(32)', 'a day that does not exist, with a dateFormat');
is(column({ dateFormat => 'DD.MM.YYYY' }, '7', '12'), 'integer', 'numbers, with a dateFormat');
is(column({ timestampFormat => 'DD.MM.YYYY HH24:MI' }, '31.01.2024 10:20'), 'timestamptz', 'with a timestampFormat');

# ---- the sample

$k->write_csv('late.csv', ['v'], (map { [$_] } 1 .. 20), ['late']);
is(type(infer('late.csv', {}, 20)->[0]), 'integer', 'sample_rows rows are looked at');
is(type(infer('late.csv', {}, 21)->[0]), 'varchar(16)', 'and all of them');
like($k->sql_error("SELECT kaireon.infer_fields('files', 'none*')"), qr/the source has no file/, 'nothing there');
for my $wrong (0, -1, 'NULL')
{
    like($k->sql_error("\\set VERBOSITY verbose\nSELECT kaireon.infer_fields('files', 'late.csv', sample_rows => $wrong)"),
        qr/22023: sample_rows must be at least 1\nDETAIL:  It is \L$wrong\E\./, "sample_rows $wrong");
    like($k->sql_error("\\set VERBOSITY verbose\nSELECT kaireon.preview('files', 'late.csv', max_rows => $wrong)"),
        qr/22023: max_rows must be at least 1\nDETAIL:  It is \L$wrong\E\./, "max_rows $wrong");
}

# A long sample: what is kept of it does not grow with it.
{
    my $rows = 400_000;
    my $session = $k->session;
    my $peak = sub { return PostgreSQL::Test::Utils::slurp_file('/proc/' . $session->pid . '/status') =~ /^VmHWM:\s+(\d+) kB/m ? $1 : 0; };
    my $long = "SELECT kaireon.infer_fields('files', 'long.csv', sample_rows =>";
    my $all_differ = '[{"name": "id", "dataType": "integer", "isPrimaryKey": true}, {"name": "doc", "dataType": "json"}]';
    $k->write_rows('long.csv', $rows, sub { (7 * $_[0]) . qq(,"{""n"": $_[0]}") }, 'id,doc');
    $session->query("$long 1000)");
    my $short = $peak->();
    is($session->query("$long $rows)"), $all_differ, 'a long sample: a key');
    cmp_ok($peak->() - $short, '<', 16_384, 'kB more were needed for it than for a thousand rows');
    is($session->query("SET work_mem = '64kB'; $long 2000000000)"), $all_differ, 'more rows than there are, sorted on disk');
    $session->close;
    $k->write_rows('long.csv', $rows, sub { ($_[0] == $rows ? 1 : $_[0]) . ',{}' }, 'id,doc');
    is(infer('long.csv', {}, $rows)->[0]{name}, 'source_id', 'a value that comes again at the end of it: no key');
    is(infer('long.csv', {}, $rows - 1)->[0]{name}, 'id', 'which the sample must reach');
    unlink "$files/long.csv";
}

# ---- names

$k->write_csv('names.csv', [ 'id', 'Full Name', 'full_name', 'created_at', '!!', '2nd', 'xmin' ],
    [ 1, 'a', 'b', 'c', 'd', 'e', 'f' ], [ 2, 'a', 'b', 'c', 'd', 'e', 'f' ]);
my $names = infer('names.csv');
is(join('|', map { $_->{name} } @$names), 'id|full_name|full_name_2|source_created_at|column_5|2nd|source_xmin', 'names');
is(join('|', map { $_->{displayName} // '-' } @$names), '-|Full Name|full_name|created_at|!!|-|xmin', 'their names in the source');
ok($names->[0]{isPrimaryKey}, 'a field id that has each value once is the key');
is($json->encode($json->decode($k->sql("SELECT kaireon.field_mapping(" . $k->json($json->encode($names)) . ')'))),
    '{"!!":"column_5","Full Name":"full_name","created_at":"source_created_at","full_name":"full_name_2","xmin":"source_xmin"}', 'field_mapping');
$k->write_csv('null.csv', [qw(id n)], [ 1, 1 ], [ undef, 2 ]);
is(infer('null.csv')->[0]{name}, 'source_id', 'one that is null once is not');
$k->write_csv('twice.csv', [qw(id n)], [ 1, 1 ], [ 1, 2 ]);
is(infer('twice.csv')->[0]{name}, 'source_id', 'one that has a value twice is not');

# ---- infer, create, load

# loads(NAME, FILE, OPTIONS): a schema and a pipeline of what was inferred load
# every row.  All in SQL, as a user would: the array is not touched in between.
sub loads
{
    my ($name, $file, $options) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $given = $k->json($options || {});
    my ($run) = eval {
        $k->sql(<<"SQL");
SET client_min_messages = warning;
CREATE TABLE inferred AS SELECT kaireon.infer_fields('files', '$file', $given) AS fields;
SELECT kaireon.create_schema('$name', fields) FROM inferred;
SELECT kaireon.create_pipeline('$name', 'files', '$name', jsonb_build_array(
    jsonb_build_object('id', 'read', 'type', 'source', 'config', jsonb_build_object('resource', '$file') || $given),
    jsonb_build_object('id', 'load', 'type', 'target', 'config',
        jsonb_build_object('validation', 'strict', 'fieldMapping', kaireon.field_mapping(fields))))) FROM inferred;
DROP TABLE inferred;
SQL
        $k->rows("SELECT status, rows_read, rows_loaded, rows_failed, error_message FROM kaireon.run_pipeline('$name')");
    };
    $k->sql('DROP TABLE IF EXISTS inferred');
    is($@, '', "$name: made") or return;
    is("$run->{status}, $run->{rows_failed} failed", 'success, 0 failed', "$name: all $run->{rows_read} rows loaded")
      or diag($run->{error_message});
    return;
}

loads('names', 'names.csv');

# Names longer than an identifier of SQL: cut within a character, and equal as far as an identifier goes.
my $aspect = 'Q12 How satisfied are you with the following aspects of our service?';
$k->write_csv('long_names.csv', [ 'a', "\x{c3}\x{a9}" x 32, "$aspect [Speed]", "$aspect [Price]" ], [ 1, 2, 3, 4 ], [ 5, 6, 7, 8 ]);
loads('long_names', 'long_names.csv');
is($k->sql('SELECT a, ' . join(', ', map { $_->{name} } @{ infer('long_names.csv') }[1 .. 3]) . ' FROM ds_long_names'), "1|2|3|4\n5|6|7|8", 'long names: the values');
$k->make('long_renamed', fields => [ map { { name => $_, dataType => 'integer' } } qw(speed price sum) ], source => { resource => 'long_names.csv' },
    nodes => [ { id => 's', type => 'rename', config => { sourceField => "$aspect [Speed]", targetField => 'speed' } },
        { id => 'f', type => 'filter', config => { field => "$aspect [Price]", operator => '>', value => '4' } },
        { id => 'p', type => 'rename', config => { sourceField => "$aspect [Price]", targetField => 'price' } },
        { id => 'x', type => 'add_field', config => { fieldName => 'sum', fieldType => 'integer', expression => 'speed::int + "' . "\x{e9}" x 32 . '"::int' } } ]);
my $renamed = $k->run('long_renamed');
is($renamed->{status} . ' ' . ($renamed->{error_message} // '') . $k->sql('SELECT speed, price, sum FROM ds_long_renamed'), 'success 7|8|13', 'long names in rename, filter and an expression');
loads('twice', 'twice.csv');
loads('late', 'late.csv');
$k->write_csv('regional.csv', [qw(day moment price)], [ '31.01.2024', '31.01.2024 10:20', '1.234,50' ], [ '01.02.2024', '01.02.2024 00:00', '2,5' ]);
loads('regional', 'regional.csv', { dateFormat => 'DD.MM.YYYY', timestampFormat => 'DD.MM.YYYY HH24:MI', decimalSeparator => ',', thousandsSeparator => '.' });
is($k->sql('SELECT sum(price), min(day) FROM ds_regional'), '1237.00|2024-01-31', 'regional: the values');
$k->write_csv('kinds.csv', [qw(u b i big huge n e d ts ts2 j code empty word eu text)],
    map { [ $uuid, ($_ % 2 ? 'yes' : 'no'), $_ - 50, $_ * 100_000_000, '1234567890123456789012', $_ / 8, "${_}e2", '2024-02-' . sprintf('%02d', 1 + $_ % 28),
        '2024-01-31T10:20:30Z', ($_ % 2 ? '2024-01-31' : '2024-01-31 10:20:30.25+02'), qq({"n": $_}), sprintf('%04d', $_), undef,
        ($_ % 9 ? $_ : 'N/A'), "$_,5", 'words ' x ($_ % 60) ] } 1 .. 500);
loads('kinds', 'kinds.csv');
is(join(' ', map { type($_) } @{ infer('kinds.csv') }),
    'uuid boolean integer bigint numeric(26,0) numeric(9,3) numeric date timestamptz timestamptz json varchar(16) text varchar(16) varchar(16) text',
    'kinds: their types');

# Every file that detection is tested with, as it is found out to be written; and
# what only a person can say about some of them.
my %said = (comments => { comment => '#' }, head_and_notes => { footerLines => 2 }, header_wider => { shortRows => 'pad' },
    last_field_left_out => { longRows => 'truncate' }, notes_behind => { footerLines => 2 }, notes_with_delimiters => { footerLines => 2 },
    ragged => { shortRows => 'pad', longRows => 'truncate' }, short_header => { longRows => 'truncateEmpty' },
    stray_quote => { quotes => 'lenient' }, trailing_delimiter => { longRows => 'truncateEmpty' });
for my $path (sort glob "$ENV{KAIREON_DATA}/detect/*.{csv,txt,tsv}")
{
    my ($file, $name) = $path =~ m{(([^/]+)\.\w+)$};
    next if $name eq 'empty';
    $k->write_file($file, PostgreSQL::Test::Utils::slurp_file($path));
    loads("detect_$name", $file, { format => 'csv', delimiter => 'auto', %{ $said{$name} || {} } });
}
is($k->sql('SELECT betrag__eur_ FROM ds_detect_bank_de_statement WHERE buchungstext = \'Gutschrift\''), '2.345,67', 'a bank statement below its head');
is($k->sql("SELECT string_agg(title, '|' ORDER BY id) FROM ds_detect_apostrophes_text"),
    "'Tis the season|Rock 'n' Roll|The boys' club|'90s classics|Singin' in the Rain", 'apostrophes stay');

# What was found out is kept beside what was loaded: how, how sure and why.
is($k->sql("SELECT dialect ->> 'delimiter', dialect ->> 'quote', dialect -> 'header', dialect -> 'skipLines', dialect ? 'confidence', dialect ->> 'reason'"
        . " FROM kaireon.source_state WHERE pipeline = 'detect_title_same_width'"),
    ',|"|true|1|t|comma: 5 of 5 rows have 4 fields; the table begins on line 2. Header: the first row names what is below it',
    'the run has recorded the dialect');
is($k->sql("SELECT dialect ->> 'reason' FROM kaireon.source_state WHERE pipeline = 'detect_coordinates'"),
    'semicolon: 4 of 4 rows have 3 fields; comma would give 3, but less plain fields. Header: the first row names what is below it',
    'without a word of what is in the file, which viewers may not see');
is($k->sql("SELECT count(*) FROM kaireon.source_state WHERE pipeline ~ '^detect_' AND NOT (dialect ? 'reason' AND dialect ? 'confidence')"), 0,
    'of every file');

# The same file in other encodings: the bytes differ, the answer does not.
my $statement = PostgreSQL::Test::Utils::slurp_file("$ENV{KAIREON_DATA}/detect/bank_de_statement.csv");
my $found = $k->sql("SELECT (d - 'path') #- '{dialect,encoding}' FROM kaireon.describe('files', 'bank_de_statement.csv', '{\"delimiter\": \"auto\"}') AS d");
for my $way ([ 'utf16.csv', 'UTF-16', {} ], [ 'utf16be.csv', 'UTF-16BE', { encoding => 'UTF-16BE' } ], [ 'latin1.csv', 'ISO-8859-1', { encoding => 'LATIN1' } ])
{
    my ($file, $encoding, $options) = @$way;
    my $given = { delimiter => 'auto', %$options };

    $k->write_file($file, Encode::encode($encoding, Encode::decode('UTF-8', my $copy = $statement)));
    is($k->sql("SELECT (d - 'path') #- '{dialect,encoding}' FROM kaireon.describe('files', '$file', " . $k->json($given) . ') AS d'), $found,
        "$encoding: the same dialect");
    (my $name = $file) =~ s/\W.*//;
    loads($name, $file, $given);
}
$k->write_file('empty.csv', '');
$k->write_csv('wide.csv', [ map { "c$_" } 1 .. 1501 ], [ 1 .. 1501 ]);
like($k->sql_error("SELECT kaireon.infer_fields('files', 'wide.csv')"),
    qr/file "wide\.csv" has 1501 fields, but a schema can have at most 1500.*HINT:.*describe/s, 'more fields than a schema may have');
$k->write_csv('wide.csv', [ map { "c$_" } 1 .. 1500 ], [ 1 .. 1500 ]);
is(scalar(@{ infer('wide.csv') }), 1500, 'as many');
like($k->sql_error("SELECT kaireon.infer_fields('files', 'empty.csv')"), qr/22023|file "empty\.csv" has no fields/, 'an empty file has no fields');

$k->settled('all');
ok($k->same_postmaster, 'the server lived through');
done_testing();
