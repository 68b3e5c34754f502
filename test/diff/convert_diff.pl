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
# DiffServer.pm says how it is run.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin";
use DiffServer 'convert_diff';
use Time::HiRes qw(time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Strings qw(kinds strings_of);
use Test::More;

my $count = DiffServer::count_and_seed('CONVERT_DIFF', 100000);

# ---- asking both ------------------------------------------------------------

my $node = DiffServer::start('convert');
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
    my @hex = map { unpack('H*', $_->[1]) } @$list;
    my @ours = DiffServer::ask('ours', map { "$kind\t$_" } @hex);
    open(my $theirs, '>', "$dir/theirs.in") or die $!;
    print $theirs "$_\t$kind\t\\\\x$hex[$_]\n" for 0 .. $#hex;
    close $theirs;
    $node->safe_psql('postgres', "TRUNCATE fields; COPY fields FROM '$dir/theirs.in';"
          . " COPY (SELECT ask(kind, field) FROM fields ORDER BY id) TO '$dir/theirs.out';");
    my @theirs = DiffServer::lines_of("$dir/theirs.out");
    my (%seen, @wrong, @slow);
    for my $id (0 .. $#$list)
    {
        my ($class, $string) = @{ $list->[$id] };
        my ($state, $value) = split(/\t/, $ours[$id], 2);
        my $shown = DiffServer::shown($string);
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
