# FullDisk.pm: a disk that is full, on any machine and without rights.
#
# start(KAIREON) restarts the node with full_disk.c preloaded, which needs the
# compiler that built the module; from then on fill(KAIREON, PART) lets no file grow
# whose path has PART in it ("/pgsql_tmp/", the directory of a tablespace), and
# clear(KAIREON) gives the room back.  A real full disk behaves the same: a file
# can be made, what is in it can be written over, only more does not fit.
package FullDisk;

use strict;
use warnings;

use File::Basename qw(dirname);
use PostgreSQL::Test::Utils;

use constant BYTES => 4096;   # CONTROL_BYTES

sub start
{
    my ($k) = @_;
    my $dir = PostgreSQL::Test::Utils::tempdir();
    my @compile = (split(' ', $ENV{CC} || 'cc'), '-shared', '-fPIC', '-O1', '-o', "$dir/full_disk.so", dirname(__FILE__) . '/full_disk.c', '-ldl');

    system(@compile) == 0 or die "@compile failed";
    $k->{full_disk} = "$dir/full";
    PostgreSQL::Test::Utils::append_to_file($k->{full_disk}, "\0" x BYTES);
    local $ENV{LD_PRELOAD} = "$dir/full_disk.so";
    local $ENV{KAIREON_FULL_DISK} = $k->{full_disk};
    $k->node->restart;
    $k->remember_postmaster;
    return;
}

# In place: the processes have mapped the file.
sub fill
{
    my ($k, $part) = @_;
    open my $out, '+<', $k->{full_disk} or die "$k->{full_disk}: $!";
    syswrite($out, $part . "\0" x (BYTES - length $part)) == BYTES or die $!;
    close $out;
    return;
}

sub clear { return fill($_[0], ''); }

1;
