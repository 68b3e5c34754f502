# Strings.pm: strings of each type to try converters with.
#
# Used by convert_diff.pl (converters against input functions) and by
# test/t/types.t (whole pipelines against inserting row by row).  A kind is a
# type as the server writes it.  Each has edge cases by hand, common mistakes,
# and three makers of random strings: "plain" (spellings common in files),
# "any" (everything the input function has an opinion about) and "mutant" (one
# of the others with some bytes changed).  Strings are bytes, not characters;
# srand of the caller makes them repeatable.
package Strings;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT_OK = qw(kinds strings_of);

sub pick { return $_[ int(rand(@_)) ]; }
sub digits { my ($n) = @_; return join('', map { int(rand(10)) } 1 .. $n); }
sub sign { return pick('', '', '', '-', '+'); }
sub spaces { return join('', map { pick(' ', ' ', "\t", "\n", "\r", "\x0b", "\f") } 1 .. int(rand(3))); }

# One to three small changes, with bytes that mean something to one of the input functions.
my @strange = (
    split(//, "0123456789+-.eE_xXoObBTZtz:/,\$% nNaAiIfFyY'()"), "\t", "\n", "\x0b",
    "\xc2\xa0", "\xc3\xa9", "\xe2\x82\xac", "\xef\xbc\x91", 'e5', 'E-3', '00', 'NaN', ' UTC', 'e+', '0x', 'BC');

sub mutate
{
    my ($s) = @_;
    for (1 .. 1 + int(rand(3)))
    {
        my $at = int(rand(length($s) + 1));
        my $what = rand();
        if ($what < 0.4) { substr($s, $at, 0) = pick(@strange); }
        elsif ($what < 0.7 && $at < length $s) { substr($s, $at, 1) = pick(@strange); }
        elsif ($at < length $s) { substr($s, $at, 1 + int(rand(3))) = ''; }
    }
    return $s;
}

sub plain_int
{
    my ($width) = @_;
    my $s = digits(1 + int(rand($width)));
    return pick('', '', '-') . $s;
}

sub any_int
{
    my ($edges, $width) = @_;
    return spaces() . sign() . pick('', '', '0', '000', '0' x int(rand(30))) . digits(int(rand($width + 4))) . spaces()
      if rand() < 0.6;
    my $s = pick(@$edges);
    substr($s, -1, 1) = int(rand(10)) if rand() < 0.7;
    return $s . pick('', '', '', '0', ' ', 'x', '_1', '.0');
}

sub plain_decimal
{
    my ($whole, $fraction) = @_;
    return pick('', '', '-') . digits(1 + int(rand($whole))) . (rand() < 0.8 ? '.' . digits(1 + int(rand($fraction))) : '')
      . ($whole < 12 && $fraction < 10 && rand() < 0.05 ? pick('e-0', 'E+0', 'e') . int(rand(5)) : '');
}

sub any_decimal
{
    my $s = spaces() . sign() . pick('', '0', '000') . digits(int(rand(22))) . pick('', '.', '.', '.') . digits(int(rand(22)));
    $s .= pick('e', 'E') . sign() . digits(1 + int(rand(2))) if rand() < 0.15;
    # halves and nines, where rounding carries
    $s =~ s/\d$/5/ if rand() < 0.2;
    $s =~ s/\d/9/g if rand() < 0.1;
    return $s . spaces();
}

# Halves between two floats, and decimals right beside them: 24 bits and one more.
sub halfway
{
    my $odd = 2 * (2**23 + int(rand(2**23))) + 1;
    my $shift = int(rand(12));
    return pick('', '-') . sprintf('%.*f', $shift + pick(0, 0, 1, 4), $odd / 2**$shift) . pick('', '', digits(int(rand(4))));
}

# The same for doubles: whole numbers of 54 bits, the last of them set, and their neighbours.
sub halfway_double
{
    my $s = (2 * (2**52 + int(rand(2**52))) + 1) << int(rand(9));
    return pick('', '-') . $s . pick('', '.0', '.' . '0' x int(rand(30)) . '1', '.000', 'e0', '0e-1');
}

sub any_float8
{
    return any_decimal() if rand() < 0.5;
    return halfway_double() if rand() < 0.4;
    return spaces() . sign() . digits(1) . '.' . digits(1 + int(rand(25))) . pick('e', 'E') . pick('', '-', '+') . pick(int(rand(20)), 300 + int(rand(30))) . spaces();
}

sub plain_float4 { return rand() < 0.5 ? plain_decimal(10, 12) : rand() < 0.5 ? halfway() : (rand() - 0.5) * 10**int(rand(40) - 20); }

sub any_float4 { return rand() < 0.7 ? any_decimal() : digits(1) . '.' . digits(1 + int(rand(17))) . 'e' . pick('', '-') . (30 + int(rand(18))); }

sub plain_date
{
    return sprintf('%04d-%02d-%02d', pick(1 + int(rand(9999)), 1900 + int(rand(200))), 1 + int(rand(12)), 1 + int(rand(28)));
}

sub plain_time
{
    my $s = sprintf('%02d:%02d', int(rand(24)), int(rand(60)));
    $s .= sprintf(':%02d', int(rand(60))) if rand() < 0.8;
    $s .= '.' . digits(1 + int(rand(rand() < 0.8 ? 6 : 9))) if length($s) == 8 && rand() < 0.5;
    $s =~ s/\d\d\d$/500/ if length($s) > 15;
    return $s;
}

sub plain_zone
{
    my $s = pick('+', '-') . sprintf('%02d', int(rand(15)));
    return pick('', 'Z', $s, sprintf('%s:%02d', $s, int(rand(60))), sprintf('%s%02d', $s, int(rand(60))), " $s");
}

sub plain_timestamp { return plain_date() . (rand() < 0.9 ? pick(' ', 'T') . plain_time() . plain_zone() : ''); }

my @months = qw(January February March April May June July August September October November December);

# Months by their names, days by the year or by Julius Scaliger: nothing that DateStyle decides.
sub worded_date
{
    my ($year, $month, $day) = (pick(1 + int(rand(9999)), 1900 + int(rand(200))), pick(@months), 1 + int(rand(31)));
    $month = substr($month, 0, 3 + int(rand(3))) if rand() < 0.6;
    $month = random_case($month) if rand() < 0.3;
    my $two = sprintf('%02d', $day);
    my $s = pick("$month $day, $year", "$month $two $year", "$day $month $year", "$two-$month-$year", sprintf('%04d-%s-%s', $year, $month, $two), "$month-$two-$year",
        sprintf('%04d.%03d', $year, 1 + int(rand(367))), sprintf('%04d%03d', $year, 1 + int(rand(367))), 'J' . int(rand(5400000)), sprintf('%02d%02d%02d', $year % 100, 1 + int(rand(12)), $day),
        pick(qw(Mon tue Wednesday SUN)) . " $month $day $year");
    return $s . pick('', '', '', ' BC', ' AD', ' bc');
}

# Places and dates where the clock was put forward or back, or something else happened.
my @zones = qw(America/New_York Europe/Berlin Europe/London Asia/Kathmandu Australia/Lord_Howe Pacific/Apia America/Sao_Paulo Africa/Monrovia Asia/Pyongyang
  Europe/Dublin Antarctica/Troll UTC GMT Etc/GMT+5 EST5EDT PST8PDT CET MET WET EST MST HST zulu z Z UT utc IST BST CEST EDT PDT JST MSK NZDT +05:30:15 -0330 +14 UTC+3 GMT-2);
my @turns = ('2024-03-10', '2024-11-03', '2024-03-31', '2024-10-27', '2011-12-29', '2011-12-30', '2018-02-18', '1972-01-07', '2015-08-15', '2018-05-05', '1940-06-01', '1883-11-18',
    '1916-04-30', '1945-08-14', '2024-04-07', '2024-10-06', '1970-01-01', '1582-10-10', '0001-01-01', '2038-01-19', '2400-07-01');

sub zoned_timestamp
{
    my $time = sprintf('%02d:%02d:%02d', pick(0, 1, 1, 2, 2, 3, 23, int(rand(24))), pick(0, 15, 30, 59, int(rand(60))), pick(0, 59, 60, int(rand(60))));
    my $zone = pick(@zones);
    $zone = random_case($zone) if rand() < 0.2;
    return rand() < 0.15 ? "$zone " . pick(@turns) . " $time" : pick(@turns) . pick(' ', 'T') . $time . pick('', '', '.5', '.999999', '.9999995') . pick(' ', ' ', '') . $zone . pick('', '', ' BC');
}

sub any_timestamp
{
    return worded_date() . (rand() < 0.5 ? ' ' . plain_time() . pick('', plain_zone()) : '') if rand() < 0.2;
    return zoned_timestamp() if rand() < 0.2;
    my $s = sprintf('%0*d%s%0*d%s%0*d', pick(1, 3, 4, 4, 4, 5), int(rand(11000)), pick('-', '-', '-', '/', '.', ''),
        pick(1, 2, 2), int(rand(14)), pick('-', '-', '-', '/', '.', ''), pick(1, 2, 2), int(rand(33)));
    $s = plain_date() if rand() < 0.5;
    return spaces() . $s . spaces() if rand() < 0.3;
    $s .= pick(' ', 'T', 't', '  ', "\t", '', ' T');
    $s .= sprintf('%0*d:%02d', pick(1, 2, 2, 2), int(rand(26)), int(rand(62)));
    $s .= sprintf(':%02d', int(rand(62))) if rand() < 0.8;
    $s .= '.' . digits(int(rand(18))) if rand() < 0.4;
    $s .= pick('', ' ', '') . pick('', 'Z', 'z', ' UTC', 'EST', ' BC', 'AD', ' PM', '+', '-') if rand() < 0.4;
    $s .= pick('', ' ') . pick('+', '-') . sprintf('%02d', int(rand(18))) . pick('', ':', '') . digits(int(rand(4))) if rand() < 0.5;
    return spaces() . $s . spaces();
}

sub random_case { return join('', map { rand() < 0.3 ? uc : lc } split(//, $_[0])); }

sub any_bool
{
    my $s = random_case(pick(qw(true false yes no on off 1 0 t f y n), ''));
    $s = substr($s, 0, int(rand(length($s) + 1))) if rand() < 0.4;
    $s .= pick(qw(e s d 1 x), ' ', "\x01") if rand() < 0.15;
    return spaces() . $s . spaces();
}

sub any_text
{
    my $s = join('', map { pick('a', 'B', ' ', ' ', '7', "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "e\xcc\x81") } 1 .. int(rand(10)));
    return $s . ' ' x int(rand(6));
}

# Sequences next to each border of what is valid, in ASCII of different lengths.
sub any_utf8
{
    my $s = '';
    for (0 .. int(rand(3)))
    {
        $s .= 'x' x pick(0, 1, 2, 7, 8, 9, 31, 32, 33, int(rand(80)));
        my $lead = pick(0xc0 .. 0xf7, 0xe0, 0xed, 0xf0, 0xf4, 0x80, 0x00, 0x7f, 0xff);
        my $more = $lead < 0x80 ? 0 : $lead < 0xe0 ? 1 : $lead < 0xf0 ? 2 : 3;
        $more += pick(-1, 1) if rand() < 0.1;
        $s .= chr($lead) . join('', map { chr(pick(0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0x80 + int(rand(64)),
            rand() < 0.1 ? (0x7f, 0xc0) : 0xbf)) } 1 .. $more);
    }
    return $s . 'y' x int(rand(9));
}

sub hex_digits { my ($n) = @_; return join('', map { sprintf '%x', int(rand(16)) } 1 .. $n); }

sub plain_uuid { return random_case(join('-', map { hex_digits($_) } 8, 4, 4, 4, 12)); }

# Hyphens are allowed behind each group of four digits, braces around it all.
sub any_uuid
{
    my $s = join('', map { hex_digits(4) . ($_ < 8 && rand() < 0.4 ? '-' : '') } 1 .. 8);
    $s = "{$s}" if rand() < 0.3;
    return rand() < 0.1 ? spaces() . $s . spaces() : $s;
}

sub random_json
{
    my ($depth) = @_;
    $depth ||= 0;
    my $what = rand($depth > 3 ? 0.6 : 1);
    return pick('null', 'true', 'false', '0', '-0', '1.50', '1e3', '-12.5E-2', digits(1 + int(rand(25)))) if $what < 0.3;
    return '"' . join('', map { pick('a', 'Z', ' ', '\\n', '\\"', '\\\\', '\\/', '\\u00e9', '\\ud83d\\ude00', "\xc3\xa9", "\xf0\x9f\x98\x80") } 1 .. int(rand(6))) . '"'
      if $what < 0.6;
    return '[' . join(pick(',', ', ', ",\n"), map { random_json($depth + 1) } 1 .. int(rand(4))) . ']' if $what < 0.8;
    return '{' . join(', ', map { '"' . pick('a', 'b', 'c', 'a b', '') . '"' . pick(':', ': ') . random_json($depth + 1) } 1 .. int(rand(4))) . '}';
}

# Text of the lengths at which its length word, or the batch's buffer, changes.
my @text_lengths = ((map { ('x' x $_, "\xc3\xa9" x int($_ / 2), 'x' x ($_ - 3) . "\xe2\x82\xac") } 125 .. 131), map { 'x' x $_ } 255, 256, 1000, 8191, 65535, 65536, 70000, 131072);

# Words of booleans, each cut to each length, in each case.
my @bool_words = map { my $w = $_; map { my $cut = substr($w, 0, $_); ($cut, uc $cut, ucfirst $cut, " $cut\n") } 1 .. length $w } qw(true false yes no on off 1 0);

# decimal_edges(PRECISION, SCALE): the largest number that fits and its neighbours, and what rounds up to one that does not.
sub decimal_edges
{
    my ($precision, $scale) = @_;
    my $whole = '9' x ($precision - $scale);
    my $fraction = '9' x $scale;
    my @edges = map { ($whole eq '' ? '0' : $whole) . '.' . $fraction . $_ } '', '0', '4', '49999999999', '5', '50', '500000000000000000001', '9';
    my $one = '0.' . '0' x $scale;
    push @edges, '1' . '0' x ($precision - $scale), '1' . '0' x ($precision - $scale) . 'e-1', "${one}4", "${one}5", "${one}49999", "${one}50001", '1e' . ($precision - $scale),
      '9.99e' . ($precision - $scale - 1), "1e-$scale", "5e-" . ($scale + 1), "4.9e-" . ($scale + 1);
    return (@edges, map { "-$_" } @edges);
}

my @uuid_edges = ('', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}',
    'a0eebc999c0b4ef8bb6d6bb9bd380a11', 'a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11', '{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}', ' a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
    'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11 ', '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1',
    'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a111', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1g', 'a0eebc99--9c0b-4ef8-bb6d6bb9bd380a11', 'a0eebc9-99c0b-4ef8-bb6d-6bb9bd380a11',
    'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11-', '-a0eebc999c0b4ef8bb6d6bb9bd380a11', '{}', '0' x 32, 'f' x 32, '0' x 31, '0' x 33, '0' x 36, '-' x 36,
    "a0eebc99-9c0b-4ef8-bb6d-6bb9bd38\xc3\xa911", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd38\xff\xff11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1\0",
    'a0eebc99 9c0b 4ef8 bb6d 6bb9bd380a11', '`0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '/0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '@0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
    ':0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'G0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', "\x010eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "\x100eebc99-9c0b-4ef8-bb6d-6bb9bd380a11");
my @json_edges = ('', ' ', '{}', '[]', 'null', 'nul', 'NULL', 'True', '{"a":1,"a":2}', '{"b":1,"a":2,"b":{"a":3,"a":4}}', '"\\ud83d\\ude00"', '"\\ud83d"', '"\\ude00"',
    '"\\ud83d\\ud83d"', '"\\u0000"', '"\\u12"', '"\\x41"', '{"a":}', '{"a" 1}', "{'a':1}", '[1,]', '[,1]', '{"a":1,}', '01', '-', '-0', '-0.0', '1.', '.5', '1e5', '1E400',
    '1e140000', '1.10', '100000000000000000000000000000000000000000', '"a', "\"a\tb\"", "\"a\nb\"", '"a" "b"', '[1][2]', '/* x */ 1', 'NaN', 'Infinity',
    '[' x 500 . ']' x 500, '[' x 3000 . ']' x 3000, '{"a":' x 500 . '1' . '}' x 500, '[' x 500, "\"\xff\"", "\"\xc3\"", "{\"a\":\"\0\"}", '"' . 'x' x 70000 . '"', "\xef\xbb\xbf{}");

my @number_mistakes = ('', ' ', 'abc', 'n/a', 'N/A', '-', '+', '.', '1,234.50', '$12', '12a', '1 2', '--1', '12%', 'null',
    'NULL', "12\xe2\x82\xac", '(12)', '1-2', "'5'", '#REF!', '12 EUR', '1.2.3', '?', 'none', 'unknown', 'TBD', '2024-01-31');
my @int_mistakes = ('12.5', '1.0', '1e5', '12EUR');
my @int2 = qw(32767 32768 -32768 -32769 99999 +0 -0 0);
my @int4 = qw(2147483647 2147483648 -2147483648 -2147483649 4294967296 99999999999);
my @int8 = qw(9223372036854775807 9223372036854775808 -9223372036854775808 -9223372036854775809
  9999999999999999999 18446744073709551615 18446744073709551616 99999999999999999999 1234567890123456789);
my @number_edges = ('5.', '.5', '+1', '-.5', '-0', '-0.00', '00.50', '0', '000', '1e5', '1E-2', 'NaN', 'nan', '-nan', 'inf',
    '-Infinity', '+inf', 'infx', 'nano', '0x1F', '0b1', '0o7', '1_000', '_1', '1__0', '1_', '0x', '-0x1', '00x1', '1e', '1e+', '1e 5',
    '12e', '1.e5', '..', '5..', '.-5', "1\0\x80" x 0, '9' x 400, '0.' . '3' x 400, '9' x 400 . 'x', '9' x 140000, '9' x 140000 . 'x',
    '1e400', '1e-400', '1e400x', '1e131073', '1e99999999999', '4.9e-324', '2e-324', '1.7976931348623157e308',
    '1.7976931348623159e308', '9007199254740993', '9007199254740992.5', '0.30000000000000004', '1d5', '1f', '0x1p3',
    '123456789012345678', '1234567890123456789', '.123456789012345678', '.1234567890123456789', '9.223372036854775807',
    '9.223372036854775808', '-9.223372036854775808');
# Around the largest, the smallest, and places where rounding to a double first would go wrong.
my @float4 = ('3.4028234e38', '3.4028235e38', '3.4028236e38', '340282346638528859811704183484516925440', '3.40282357e38', '1e38', '1e39',
    '1.17549435e-38', '1.4e-45', '7e-46', '8e-46', '1e-46', '16777216', '16777217', '16777219', '16777217.0000000001', '16777216.9999999999',
    '33554433', '33554435', '33554434.00000000001', '0.1', '0.500000029802322387695312', '0.500000029802322387695313', '1.00000005960464477539',
    '1.00000005960464477540', '1.000000059604644775390625', '1.0000000596046447754', '9007199254740993', '8589973504.5', '8589973504',
    '8589973505', '0.000000000000000001', '123456789.123456', '9' x 39 . 'x', '9' x 30 . 'x', '0.' . '0' x 40 . '1x', '1e39x');
my @time_edges = ('', 'epoch', 'infinity', '-infinity', 'today', 'now', 'abc', '2024-02-29', '2023-02-29', '1900-02-29', '2000-02-29',
    '0001-01-01', '0000-01-01', '9999-12-31', '10000-01-01', '2024-01-31 24:00:00', '2024-01-31 23:59:60', '2024-06-30 23:59:59.999999',
    '2024-01-31 23:59:59.9999999', '20240131', '20240230', '00010101', '2024/01/31', '2024/01/31 10:00', '2024/01/31T10:00:00',
    '2024.01.31', '2024-1-5', '01/31/2024', '31/01/2024', '01-02-2024', '2024-01-31T10:00:00Z', '2024-01-31T10:00:00+15:59',
    '2024-01-31T10:00:00+16', '2024-01-31T10:00:00-15:59', '2024-01-31 10:00 -05', '2024-01-31 10:00:00 +0530', '2024-01-31 10',
    '2024-01-31T10', '2024-01-31+05', '2024-01-31Z', '2024-01-31 Z', '2024-01-31 10:00:00.', '2024-01-31 10:00:00. +01', '0001-01-01 00:00:00+15',
    '9999-12-31 23:59:59.999999-15:59', '2024-01-31 10:00:00+0160', '2024-01-31 10:00:00 BC', 'Jan 31 2024', '1706745598', '2024-13-01',
    '2016-12-31 23:59:60', '2016-12-31 23:59:60.5', '2016-12-31T23:59:60Z', '2016-12-31 23:59:61', 'Infinity', '+infinity', 'infinity ', ' -infinity',
    'infinit', '0044-03-15 BC', '44-03-15 BC', '4714-11-24 BC', '4714-11-23 BC', '4713-01-01 BC', '5874897-12-31', '5874898-01-01',
    '294276-12-31 23:59:59.999999', '294277-01-01', '2024-03-10 02:30:00 America/New_York', '2024-11-03 01:30:00 America/New_York',
    '2024-03-31 02:30 Europe/Berlin', '2024-10-27 02:30 Europe/Berlin', '2024-01-31 10:00 Asia/Kathmandu', '1940-06-01 10:00 Asia/Kathmandu',
    '2024-01-31 10:00 Nowhere/Land', '2024-01-31 10:00 EST5EDT', '2024-07-31 10:00 EST5EDT', '2024-01-31 10:00 CET', '2024-01-31 10:00 IST',
    '2024-01-31 10:00 UTC+3', '2024-01-31 10:00 zulu', '2024-01-31 10:00:00+05:45', '2024-01-31 10:00:00+00:00:30', '2024-366', '2024.031', 'J2460000',
    '2024-W05-3', 'Wed 31 Jan 2024', '31-jan-2024', 'jan-31-2024', '2024-jan-31', '20240131T100000', '20240131 100000', '20240131T1000',
    '2024-01-31T10:00:00,5', '2024-01-31 allballs', '24-01-31', '99-01-31', '1/2/03', '2024-01-31 10:00 AM', '2024-01-31 13:00 PM', '-2024-01-31',
    '2024-01-31 10:00:00 -00', '2024-01-31 10:00:00-00:00', '1500-02-29', '1582-10-10', '2024-01-31 00:00:60', '2024-01-31 10:60', '12:30', '99999999999999-01-01');

sub mistakes_for
{
    my ($int) = @_;
    return $int ? (@number_mistakes, @int_mistakes) : @number_mistakes;
}

sub decimal_kind
{
    my ($whole, $fraction, @measure) = @_;
    return { plain => sub { plain_decimal($whole, $fraction) }, any => \&any_decimal, edges => [ @number_edges, @measure ? decimal_edges(@measure) : () ],
        mistakes => [ mistakes_for(0) ] };
}

sub int_kind
{
    my ($edges, $width) = @_;
    return { plain => sub { plain_int($width) }, any => sub { any_int($edges, $width) }, edges => [ @$edges, @number_edges ],
        mistakes => [ mistakes_for(1) ] };
}

my %kinds = (
    int2 => int_kind(\@int2, 5),
    int4 => int_kind(\@int4, 11),
    int8 => int_kind(\@int8, 19),
    numeric => decimal_kind(9, 9),
    'numeric(12,2)' => decimal_kind(11, 6, 12, 2),
    'numeric(18,0)' => decimal_kind(15, 3, 18, 0),
    'numeric(4,4)' => decimal_kind(1, 7, 4, 4),
    'numeric(18,18)' => decimal_kind(1, 16, 18, 18),
    'numeric(25,4)' => decimal_kind(9, 6, 25, 4),
    bool => { plain => sub { random_case(pick(qw(true false yes no on off 1 0 t f y n))) }, any => \&any_bool,
        edges => [ 'oN', 'truee', 'offf', "t\x01", '@', '`', @bool_words ],
        mistakes => ['', ' ', 'maybe', 'null', '2', '-1', 'n/a', 'X', 'truefalse', 'o', 'yess', '10', "\xc3\xa9"] },
    float8 => { plain => sub { rand() < 0.7 ? plain_decimal(10, 16) : (rand() - 0.5) * 10**int(rand(40) - 20) }, any => \&any_float8,
        edges => \@number_edges, mistakes => [ mistakes_for(0) ] },
    float4 => { plain => \&plain_float4, any => \&any_float4, edges => [ @float4, @number_edges ], mistakes => [ mistakes_for(0) ] },
    date => { plain => sub { rand() < 0.9 ? plain_date() : plain_date() =~ s/-//gr }, any => \&any_timestamp, edges => \@time_edges },
    timestamp => { plain => \&plain_timestamp, any => \&any_timestamp, edges => \@time_edges },
    timestamptz => { plain => \&plain_timestamp, any => \&any_timestamp, edges => \@time_edges },
    'varchar(4)' => { plain => \&any_text, any => \&any_text, edges => [ '', ' ' x 9, 'abcd' . ' ' x 300, 'abcd' . ' ' x 300 . 'e', "\xe2\x82\xac" x 4,
        "\xe2\x82\xac" x 5, "\xf0\x9f\x98\x80" x 4 . '   ', "abcd\t", "abcd\xc2\xa0", "ab\xffcd", 'abcdefgh' x 100 ] },
    uuid => { plain => \&plain_uuid, any => \&any_uuid, edges => \@uuid_edges },
    json => { plain => \&random_json, any => sub { return spaces() . random_json() . spaces() }, edges => \@json_edges },
    utf8 => { plain => sub { any_text() }, any => \&any_utf8, edges => [ '', "\0", @text_lengths ] });

# strings_of(KIND, COUNT): COUNT times [class, string], edge cases first.
sub strings_of
{
    my ($kind, $count) = @_;
    my $of = $kinds{$kind};
    my @list = map { [ 'edge', $_ ] } @{ $of->{edges} };
    push @list, map { [ 'mistake', $_ ] } @{ $of->{mistakes} || [] };
    while (@list < $count)
    {
        my $what = rand();
        my $mutant = $kind eq 'utf8' ? $of->{any}->() : undef;
        push @list, $what < 0.3 ? [ 'plain', $of->{plain}->() ]
          : $what < 0.6 ? [ 'any', $of->{any}->() ]
          : [ 'mutant', $mutant // mutate($what < 0.8 ? $of->{plain}->() : $what < 0.95 ? $of->{any}->() : pick(@{ $of->{edges} })) ];
    }
    return \@list;
}

# The kinds there are.
sub kinds { return sort keys %kinds; }

1;
