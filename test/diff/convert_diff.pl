# convert_diff.pl: the reader's converters against PostgreSQL's input functions.
#
# Edge cases and random strings of each type go through convert_diff (the
# converters) and through a private server's input functions.  The rule of
# src/format/convert.h is then checked for each: VALUE has the very same
# Datum, BAD_* is refused with that SQLSTATE, RAW is always allowed.  Strings
# made as "plain" (spellings common in files) must not be RAW, and those made
# as "mistake" must be BAD_*: that is what keeps the server out of the loop.
#
#   perl test/diff/convert_diff.pl
#   CONVERT_DIFF_COUNT=100000 CONVERT_DIFF_SEED=7 perl test/diff/convert_diff.pl
#
# PG_CONFIG names the server.  As root it goes on as user postgres (PG_USER),
# because the server refuses root.  The program is CONVERT_DIFF, or compiled
# from the checkout this file lies in, or the build's test-tools/convert_diff.
use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename;
use File::Copy;
use File::Temp;
use FindBin;
use Time::HiRes qw(time);

my ($program, $scratch);

# The program to ask; compiled where there are sources, so that it is never an old one.
sub find_program
{
    my $root = abs_path("$FindBin::Bin/../..");
    return $ENV{CONVERT_DIFF} if $ENV{CONVERT_DIFF};
    if (-d "$root/src/format")
    {
        my $cc = $ENV{CC} || 'gcc';
        system("$cc -std=gnu11 -O2 -g -Wall -Wextra -I'$root/src' '$root/test/diff/convert_diff.c'"
              . " '$root'/src/format/convert_*.c -o '$scratch/convert_diff' -lm") == 0
          or die "could not compile convert_diff\n";
        return "$scratch/convert_diff";
    }
    for my $place ("$root/test-tools", "$root/build/test-tools")
    {
        return "$place/convert_diff" if -x "$place/convert_diff";
    }
    print "1..0 # SKIP convert_diff is not built\n";
    exit 0;
}

# This file once more, as a user the server accepts.
sub run_as_user
{
    my $user = $ENV{PG_USER} || 'postgres';
    copy($program, "$scratch/program") or die "copy: $!";
    copy(abs_path($0), "$scratch/convert_diff.pl") or die "copy: $!";
    chmod 0755, "$scratch", "$scratch/program";
    system('chown', '-R', $user, "$scratch") == 0 or die "chown failed\n";
    chdir "$scratch";
    my $status = system('runuser', '-u', $user, '--', 'env', "CONVERT_DIFF=$scratch/program", "TMPDIR=$scratch",
        'perl', "$scratch/convert_diff.pl");
    chdir '/';
    exit($status == 0 ? 0 : 1);
}

# All of this has to be done before the test modules are loaded, which read the environment.
BEGIN
{
    $scratch = File::Temp->newdir('convert_diff_XXXXXX', TMPDIR => 1);
    $program = find_program();
    run_as_user() if $> == 0;

    my $config = $ENV{KAIREON_PG_CONFIG} || $ENV{PG_CONFIG} || 'pg_config';
    my $pgxs = dirname(dirname(`$config --pgxs` =~ s/\n//r));
    unshift @INC, "$pgxs/test/perl";
    $ENV{PATH} = `$config --bindir` =~ s/\n//r . ":$ENV{PATH}";
    $ENV{PG_REGRESS} ||= "$pgxs/test/regress/pg_regress";
    $ENV{TESTDATADIR} = $ENV{TESTLOGDIR} = "$scratch";
}

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $count = $ENV{CONVERT_DIFF_COUNT} || 20000;
my $seed = $ENV{CONVERT_DIFF_SEED} || time() % 1000000000;
$seed = int($seed);
srand($seed);
note("seed $seed, $count strings a type");

# ---- making strings ---------------------------------------------------------

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

sub any_timestamp
{
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
    '9999-12-31 23:59:59.999999-15:59', '2024-01-31 10:00:00+0160', '2024-01-31 10:00:00 BC', 'Jan 31 2024', '1706745598', '2024-13-01');

sub mistakes_for
{
    my ($int) = @_;
    return $int ? (@number_mistakes, @int_mistakes) : @number_mistakes;
}

sub decimal_kind
{
    my ($whole, $fraction) = @_;
    return { plain => sub { plain_decimal($whole, $fraction) }, any => \&any_decimal, edges => \@number_edges,
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
    'numeric(12,2)' => decimal_kind(11, 6),
    'numeric(18,0)' => decimal_kind(15, 3),
    'numeric(4,4)' => decimal_kind(1, 7),
    'numeric(18,18)' => decimal_kind(1, 16),
    'numeric(25,4)' => decimal_kind(9, 6),
    bool => { plain => sub { random_case(pick(qw(true false yes no on off 1 0 t f y n))) }, any => \&any_bool,
        edges => ['o', 'of', 'tr', 'TRUE', 'oN', ' t ', 'truee', "t\x01", '@', '`'],
        mistakes => ['', ' ', 'maybe', 'null', '2', '-1', 'n/a', 'X', 'truefalse', 'o', 'yess', '10', "\xc3\xa9"] },
    float8 => { plain => sub { rand() < 0.7 ? plain_decimal(10, 16) : (rand() - 0.5) * 10**int(rand(40) - 20) }, any => \&any_decimal,
        edges => \@number_edges, mistakes => [ mistakes_for(0) ] },
    float4 => { plain => \&plain_float4, any => \&any_float4, edges => [ @float4, @number_edges ], mistakes => [ mistakes_for(0) ] },
    date => { plain => sub { rand() < 0.9 ? plain_date() : plain_date() =~ s/-//gr }, any => \&any_timestamp, edges => \@time_edges },
    timestamp => { plain => \&plain_timestamp, any => \&any_timestamp, edges => \@time_edges },
    timestamptz => { plain => \&plain_timestamp, any => \&any_timestamp, edges => \@time_edges },
    'varchar(4)' => { plain => \&any_text, any => \&any_text, edges => [''] },
    utf8 => { plain => sub { any_text() }, any => \&any_utf8, edges => ['', "\0"] });

# [class, string] times $count.
sub strings_of
{
    my ($kind) = @_;
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

# ---- asking both ------------------------------------------------------------

my $node = PostgreSQL::Test::Cluster->new('convert');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->append_conf('postgresql.conf', "fsync = off\nDateStyle = 'ISO, MDY'\nTimeZone = 'UTC'\nlog_min_messages = panic\n"
      . "log_min_error_statement = panic\nlog_statement = none\n");
$node->start;
$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION ask(kind text, field bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    s text;
    args int[];
BEGIN
    s := convert_from(field, 'UTF8');
    IF kind = 'utf8' THEN RETURN 'VALUE '; END IF;
    args := regexp_split_to_array(nullif(substring(kind from '\((.*)\)'), ''), ',')::int[];
    RETURN 'VALUE ' || CASE regexp_replace(kind, '\(.*', '')
        WHEN 'int2' THEN int2in(textout(s))::text
        WHEN 'int4' THEN int4in(textout(s))::text
        WHEN 'int8' THEN int8in(textout(s))::text
        WHEN 'numeric' THEN numeric_in(textout(s), 0, coalesce((args[1] << 16 | args[2]) + 4, -1))::text
        WHEN 'bool' THEN boolin(textout(s))::text
        WHEN 'float8' THEN encode(float8send(float8in(textout(s))), 'hex')
        WHEN 'float4' THEN encode(float4send(float4in(textout(s))), 'hex')
        WHEN 'date' THEN encode(date_send(date_in(textout(s))), 'hex')
        WHEN 'timestamp' THEN encode(timestamp_send(timestamp_in(textout(s), 0, -1)), 'hex')
        WHEN 'timestamptz' THEN encode(timestamptz_send(timestamptz_in(textout(s), 0, -1)), 'hex')
        WHEN 'varchar' THEN encode(convert_to(varcharin(textout(s), 0, args[1] + 4)::text, 'UTF8'), 'hex')
    END;
EXCEPTION WHEN OTHERS THEN
    RETURN 'ERROR ' || sqlstate;
END $$;
CREATE UNLOGGED TABLE fields (id int, kind text, field bytea);
SQL
note('PostgreSQL ' . $node->safe_psql('postgres', 'SHOW server_version'));

my %sqlstate = (BAD_SYNTAX => '22P02', BAD_RANGE => '22003', BAD_LENGTH => '22001', BAD_PRECISION => '22003', BAD_ENCODING => '22021');

sub lines_of { my ($path) = @_; open(my $file, '<', $path) or die "$path: $!"; my @lines = <$file>; chomp @lines; return @lines; }

# The right answer for a value of the server may still be RAW, so this is what may not be.
sub wrong
{
    my ($state, $value, $server) = @_;
    return 0 if $state eq 'RAW';
    return $server ne "VALUE $value" if $state eq 'VALUE';
    return $server ne "ERROR $sqlstate{$state}";
}

sub compare
{
    my ($kind) = @_;
    my $list = strings_of($kind);
    my $dir = $ENV{TESTDATADIR};
    open(my $ours, '>', "$dir/ours.in") or die $!;
    open(my $theirs, '>', "$dir/theirs.in") or die $!;
    for my $id (0 .. $#$list)
    {
        my $hex = unpack('H*', $list->[$id][1]);
        print $ours "$kind\t$hex\n";
        print $theirs "$id\t$kind\t\\\\x$hex\n";
    }
    close $ours;
    close $theirs;
    system("'$program' < '$dir/ours.in' > '$dir/ours.out'") == 0 or die "convert_diff failed\n";
    $node->safe_psql('postgres', "TRUNCATE fields; COPY fields FROM '$dir/theirs.in';"
          . " COPY (SELECT ask(kind, field) FROM fields ORDER BY id) TO '$dir/theirs.out';");
    my @ours = lines_of("$dir/ours.out");
    my @theirs = lines_of("$dir/theirs.out");
    my (%seen, @wrong, @slow);
    for my $id (0 .. $#$list)
    {
        my ($class, $string) = @{ $list->[$id] };
        my ($state, $value) = split(/\t/, $ours[$id], 2);
        my $shown = length($string) > 80 ? substr($string, 0, 80) . '...' : $string;
        $shown =~ s/([^ -~])/sprintf('\\x%02x', ord($1))/ge;
        $seen{$class}{$state}++;
        push @wrong, "'$shown': $state " . ($value // '') . ", server: $theirs[$id]" if wrong($state, $value // '', $theirs[$id]);
        push @slow, "'$shown' ($class) is $state, server: $theirs[$id]"
          if ($class eq 'plain' && $state eq 'RAW') || ($class eq 'mistake' && $state !~ /^BAD/);
    }
    is(scalar(@ours), scalar(@theirs), "$kind: both answered " . scalar(@$list) . ' strings');
    is(scalar(@wrong), 0, "$kind: nothing decided otherwise than the server");
    diag($_) for @wrong[ 0 .. ($#wrong < 19 ? $#wrong : 19) ];
    is(scalar(@slow), 0, "$kind: plain spellings are values, common mistakes are refused");
    diag($_) for @slow[ 0 .. ($#slow < 9 ? $#slow : 9) ];
    for my $class (sort keys %seen)
    {
        note("$kind $class: " . join(', ', map { "$_ $seen{$class}{$_}" } sort keys %{ $seen{$class} }));
    }
    return;
}

my $from = time();
compare($_) for $ENV{CONVERT_DIFF_TYPES} ? split(/ +/, $ENV{CONVERT_DIFF_TYPES}) : sort keys %kinds;
note(sprintf('%.1f s', time() - $from));
$node->stop('immediate');
done_testing();
