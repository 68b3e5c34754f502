# DiffServer.pm: what the scripts of this folder need before they can compare.
#
#   use DiffServer 'convert_diff';
#
# builds that program, which says what the reader makes of things (or takes
# DIFF_PROGRAM), and makes PostgreSQL's test modules work, outside of any test
# tree.  PG_CONFIG names the server.  As root the script goes on as user
# postgres (PG_USER), from a copy, because the server refuses root.
package DiffServer;

use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename;
use File::Copy;
use File::Temp;

our ($program, $scratch);
my $here = dirname(abs_path(__FILE__));

# The program to ask; made here, so that it is never an old one.
sub find_program
{
    my ($name) = @_;
    my $root = abs_path("$here/../..");
    return $ENV{DIFF_PROGRAM} if $ENV{DIFF_PROGRAM};
    system('make', '-s', '-C', $root, "build/diff/$name") == 0 or die "could not build $name\n";
    return "$root/build/diff/$name";
}

# The script once more, as a user the server accepts.
sub run_as_user
{
    my $script = basename($0);
    copy($program, "$scratch/program") or die "copy: $!";
    for my $file ($script, map { basename($_) } glob("$here/*.pm"))
    {
        copy("$here/$file", "$scratch/$file") or die "copy: $!";
    }
    chmod 0755, "$scratch", "$scratch/program";
    my $user = $ENV{PG_USER} || 'postgres';
    system('chown', '-R', $user, "$scratch") == 0 or die "chown failed\n";
    chdir "$scratch";
    my $status = system('runuser', '-u', $user, '--', 'env', "DIFF_PROGRAM=$scratch/program", "TMPDIR=$scratch", 'perl', "$scratch/$script");
    chdir '/';
    exit($status == 0 ? 0 : 1);
}

# While the script is compiled: the test modules, which it loads next, read the environment.
sub import
{
    my (undef, $name) = @_;
    $scratch = File::Temp->newdir("${name}_XXXXXX", TMPDIR => 1);
    $program = find_program($name);
    run_as_user() if $> == 0;
    my $config = $ENV{KAIREON_PG_CONFIG} || $ENV{PG_CONFIG} || 'pg_config';
    my $pgxs = dirname(dirname(`$config --pgxs` =~ s/\n//r));
    unshift @INC, "$pgxs/test/perl";
    $ENV{PATH} = `$config --bindir` =~ s/\n//r . ":$ENV{PATH}";
    $ENV{PG_REGRESS} ||= "$pgxs/test/regress/pg_regress";
    $ENV{TESTDATADIR} = $ENV{TESTLOGDIR} = "$scratch";
    return;
}

# A private server, started.
sub start
{
    my ($name) = @_;
    my $node = PostgreSQL::Test::Cluster->new($name);
    $node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
    $node->append_conf('postgresql.conf', "fsync = off\nDateStyle = 'ISO, MDY'\nTimeZone = 'UTC'\nlog_min_messages = panic\n"
          . "log_min_error_statement = panic\nlog_statement = none\n");
    $node->start;
    return $node;
}

# What the program answers to the lines, in a file of that name.
sub ask
{
    my ($file, @lines) = @_;
    open(my $out, '>', "$scratch/$file.in") or die $!;
    print $out "$_\n" for @lines;
    close $out;
    system("'$program' < '$scratch/$file.in' > '$scratch/$file.out'") == 0 or die "$program failed\n";
    return lines_of("$scratch/$file.out");
}

sub lines_of { my ($path) = @_; open(my $file, '<', $path) or die "$path: $!"; my @lines = <$file>; chomp @lines; return @lines; }

# Bytes for a person to look at.
sub shown
{
    my ($string) = @_;
    my $shown = length($string) > 80 ? substr($string, 0, 80) . '...' : $string;
    return $shown =~ s/([^ -~])/sprintf('\\x%02x', ord($1))/ger;
}

# COUNT and SEED of the environment's PREFIX, the latter noted and in use.
sub count_and_seed
{
    my ($prefix, $count) = @_;
    my $seed = int($ENV{"${prefix}_SEED"} || time() % 1000000000);
    $count = $ENV{"${prefix}_COUNT"} || $count;
    srand($seed);
    Test::More::note("seed $seed, count $count");
    return $count;
}

1;
