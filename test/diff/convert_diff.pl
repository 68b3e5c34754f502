# convert_diff.pl: the reader's converters against PostgreSQL's input functions.
#
# Edge cases and random strings of each type go through convert_diff (the
# converters) and through a private server's input functions.  The rule of
# src/format/convert.h is then checked for each: VALUE has the very same
# Datum, BAD_* is refused with that SQLSTATE, RAW is always allowed.  Strings
# made as "plain" (spellings common in files) must not be RAW, and those made
# as "mistake" must be BAD_*: that is what keeps the server out of the loop.
#
# The reader leaves uuid and json to the server; test/t/types.t has them.
#
#   perl test/diff/convert_diff.pl
#   CONVERT_DIFF_COUNT=1000000 CONVERT_DIFF_SEED=7 perl test/diff/convert_diff.pl
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
use lib "$FindBin::Bin";
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
    for my $file ('convert_diff.pl', 'Strings.pm')
    {
        copy("$FindBin::Bin/$file", "$scratch/$file") or die "copy: $!";
    }
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
use Strings qw(kinds strings_of);
use Test::More;

my $count = $ENV{CONVERT_DIFF_COUNT} || 100000;
my $seed = $ENV{CONVERT_DIFF_SEED} || time() % 1000000000;
$seed = int($seed);
srand($seed);
note("seed $seed, $count strings a type");

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
    my $list = strings_of($kind, $count);
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
compare($_) for $ENV{CONVERT_DIFF_TYPES} ? split(/ +/, $ENV{CONVERT_DIFF_TYPES}) : grep { !/^(uuid|json)$/ } kinds();
note(sprintf('%.1f s', time() - $from));
$node->stop('immediate');
done_testing();
