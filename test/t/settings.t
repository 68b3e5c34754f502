# No setting of a session, a role or a database changes what is read, previewed,
# inferred or loaded, nor what a pipeline means that was made under it: each
# setting alone, in a session that reads and in the worker of a role that has it.
use strict;
use warnings;
use Kaireon;
use Test::More;

my $k = Kaireon->new('settings');
$k->sql("SELECT kaireon.create_connector('files', 'local_fs', " . $k->json({ basePath => $k->files }) . ')');

# What could be read in two ways; quoted commas and backslashes; a month by its name.
$k->write_csv('v.csv', [qw(id day at short span arr doc cash x bin word month)],
    [ 1, '01/02/2024', '01/02/2024 10:00', '2024-01-31 10:00 IST', '-1 2:03:04', '{NULL,a}', 'a<b/>c', '$1,234.50', '0.1', '\\x41', 'a\\nb', '05 March 2024' ],
    [ 2, '2024-03-10', '2024-03-10 02:30', '2024-07-31 10:00 EST', '1-2', '{null,"NULL"}', '<r/>', '-$2.00', '1e-7', 'A\\\\', "it's", '31 December 2023' ],
    [ 3, '20240131', '2024-06-01 12:00:00+05:30', 'Jun 1 2024 12:00 CST', 'P1DT2H', '{}', '', '3', '123456789.123456789', '', 'NULL', '01 May 2024' ]);
my $list = 'id int, day date, at timestamptz, short timestamptz, span interval, arr text[], doc xml, cash money, x float8, bin bytea, word text';
my $read = "SELECT id, day, at, short, span, arr, xmlserialize(CONTENT doc AS text) AS doc, cash::numeric AS cash, x, bin, word"
  . " FROM kaireon.read('files', 'v.csv', '{\"onError\": \"null\", \"nullStrings\": []}') AS t($list)";
my $months = "SELECT month FROM kaireon.read('files', 'v.csv', '{\"dateFormat\": \"DD FMMonth YYYY\"}') AS t(month date)";
my $localized = $months =~ s/FMMonth/TMMonth/r;

# Expressions whose outcome, or whose text, could depend on a setting.
my @expressions = (
    [ third => '(x / 3)::text' ], [ day_text => 'day::text' ], [ at_text => 'at::text' ], [ slash => q(word || 'c\\nd') ],
    [ no_null => '(word = NULL) IS NULL' ], [ ident => q(quote_ident('abc')) ], [ digits => q(to_char(x, 'FM9D99')) ],
    [ named => q(to_char(day, 'TMMonth')) ], [ money => q(to_char(x, 'FML9')) ]);

# make(NAME): a schema and a pipeline; also what a filter's value with a backslash lets through.
sub make
{
    my ($name) = @_;
    $k->make($name, fields => [ { name => 'id', dataType => 'integer', isPrimaryKey => \1 }, { name => 'day', dataType => 'date' }, { name => 'at', dataType => 'timestamptz' },
            { name => 'short', dataType => 'timestamptz' }, { name => 'x', dataType => 'double' }, { name => 'word', dataType => 'text' },
            map { { name => $_->[0], dataType => 'text' } } @expressions ],
        source => { resource => 'v.csv' },
        nodes => [ (map { { id => "c_$_->[0]", type => 'cast', config => { field => $_->[0], targetType => $_->[1] } } } [ day => 'date' ], [ at => 'timestamptz' ], [ x => 'double' ]),
            { id => 'some', type => 'filter', config => { field => 'word', operator => '!=', value => 'c\\nd' } },
            map { { id => $_->[0], type => 'add_field', config => { fieldName => $_->[0], fieldType => 'text', expression => $_->[1] } } } @expressions ]);
    return;
}

my $columns = join(', ', qw(id day at short x word), map { $_->[0] } @expressions);
my $preview = "SELECT kaireon.preview_pipeline('plain')";
my $inferred = "SELECT kaireon.infer_fields('files', 'v.csv', '{\"dateFormat\": \"DD TMMonth YYYY\"}')";
my %queries = (read => $read, dateFormat => $months, 'dateFormat with TM' => $localized, preview_pipeline => $preview, infer_fields => $inferred);
my %kept = map { $_ => 'public.was_' . lc s/\W/_/gr } keys %queries;

make('plain');
is($k->run('plain')->{error_message}, undef, 'a run without any');
$k->sql(join(';', map { "CREATE TABLE $kept{$_} AS $queries{$_}" } sort keys %queries) . "; CREATE TABLE was_run AS SELECT $columns FROM ds_plain");
is($k->sql("SET DateStyle = ISO; SET TimeZone = UTC; SELECT day, at, short, span, arr, doc, cash FROM $kept{read} ORDER BY id LIMIT 1"),
    "2024-01-02|2024-01-02 10:00:00+00|2024-01-31 08:00:00+00|-1 days +02:03:04|{NULL,a}|a<b/>c|1234.50", 'the values as they should be');
is($k->sql('SELECT third, slash, no_null, ident, named FROM was_run WHERE id = 1'), "0.03333333333333333|a\\nbc\\nd|true|abc|January", 'and the expressions');

# What is in a table and not in a query, or the other way, compared as it is stored.
sub differing
{
    my ($table, $query) = @_;
    return "SELECT count(*) FROM ((TABLE $table EXCEPT ALL $query) UNION ALL ($query EXCEPT ALL TABLE $table)) AS d";
}

my %other = (DateStyle => 'SQL, DMY', TimeZone => 'Asia/Kathmandu', IntervalStyle => 'sql_standard', timezone_abbreviations => 'India', extra_float_digits => -10,
    bytea_output => 'escape', xmlbinary => 'hex', xmloption => 'document', array_nulls => 'off', standard_conforming_strings => 'off', backslash_quote => 'on',
    escape_string_warning => 'off', transform_null_equals => 'on', quote_all_identifiers => 'on', lc_time => 'POSIX', lc_numeric => 'POSIX', lc_monetary => 'POSIX',
    client_encoding => 'LATIN1', search_path => 'nowhere', default_text_search_config => 'german', plan_cache_mode => 'force_generic_plan',
    default_transaction_isolation => 'serializable', jit => 'off', work_mem => '64kB', row_security => 'off');
# a language for names of months and signs of money, where the machine has one
my %installed = map { chomp; $_ => 1 } `locale -a 2> /dev/null`;
my ($language) = grep { /^[a-z]{2}_/ && !/^en/ } sort keys %installed;
if ($language) { $other{$_} = $language for qw(lc_time lc_numeric lc_monetary); }
note('names of months and money in ' . ($language || 'no other language: none is installed'));

for my $setting (sort keys %other)
{
    my $value = $other{$setting};
    my $name = 'under_' . lc $setting;
    my $reads_sql = $setting eq 'standard_conforming_strings'; # the statement that makes the pipeline, too

    make($name) if $reads_sql;
    $k->sql("ALTER ROLE postgres SET $setting = " . ($setting eq 'DateStyle' ? $value : $k->json("$value")));
    my $session = $k->session;
    is($session->query(differing($kept{$_}, $queries{$_})) . $session->err, 0, "$setting = $value: $_") for sort keys %queries;
    $session->close;
    make($name) unless $reads_sql;
    is($k->run($name)->{error_message}, undef, "$setting = $value: a run");
    $k->sql('ALTER ROLE postgres RESET ALL');
    is($k->sql(differing('was_run', "SELECT $columns FROM public.ds_$name")), 0, "$setting = $value: what it loaded");
}

$k->settled('settings');
ok($k->same_postmaster, 'the server lived through');
done_testing();
