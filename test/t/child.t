# A child that SIGKILL does not end: the session that waits for it gives up
# after a while, says so in the log and goes on; when the child has ended after
# all, the session's next child takes it away.
#
# A process that another one traces stays, dead, until its tracer lets it go;
# so it is for whoever waits for it as if it waited for a disk.  The child is a
# command that prints the master key: the reader lets nobody trace it, but both
# end by the same function.
use strict;
use warnings;
use Kaireon;
use Test::More;

my $k = Kaireon->new('child');
my $dir = $k->files;

# Prints no key, and has a process in a session of its own that traces it until a file is there.
$k->write_file('held.pl', <<'END');
use strict;
use warnings;
require 'sys/syscall.ph';
my ($dir) = @ARGV;
my ($set_ptracer, $anyone, $seize) = (0x59616d61, -1, 0x4206);
my $self = $$;
pipe my $from, my $to;
syscall(SYS_prctl(), $set_ptracer, $anyone, 0, 0, 0);
if (fork == 0)
{
    setpgrp;
    syscall(SYS_ptrace(), $seize, $self, 0, 0) == 0 or die "ptrace: $!";
    syswrite $to, "x";
    close STDOUT;
    for (1 .. 6000)
    {
        last if -e "$dir/let_go" || !-e "$dir/held.pl";
        select undef, undef, undef, 0.05;
    }
    exit;
}
close $to;
sysread $from, my $byte, 1;
open my $out, '>', "$dir/pid.new";
print $out $self;
close $out;
rename "$dir/pid.new", "$dir/pid";
sleep 1000;
END

sub settings
{
    my ($command, $timeout) = @_;
    $k->sql("ALTER SYSTEM SET kaireon.master_key_command = '$command'; ALTER SYSTEM SET kaireon.master_key_timeout = $timeout; SELECT pg_reload_conf()");
    $k->poll('the settings', "SELECT current_setting('kaireon.master_key_timeout') = '${timeout}s'");
}

sub create
{
    my ($name) = @_;
    return "SELECT kaireon.create_connector('$name', 'amazon_s3', '{\"bucket\": \"raw\"}', 'access_key', '{\"accessKeyId\": \"a\", \"secretAccessKey\": \"b\"}') IS NOT NULL";
}

sub held_state
{
    open my $in, '<', "$dir/pid" or return '';
    my $pid = <$in>;
    open my $stat, '<', "/proc/$pid/stat" or return '';
    return <$stat> =~ /\) (\w) (\d+) / ? "$1 $2" : '';
}

my $session = $k->session;
settings("exec perl $dir/held.pl $dir", 2);
$session->send(create('held'));
$session->result;
like($session->err, qr/KA010: the command of "kaireon\.master_key_command" gave no key\nDETAIL:  It was ended after 2 seconds/, 'a command that does not end: the statement does');
is(held_state(), 'Z ' . $session->pid, 'it is left, dead, to the session');
my ($pid) = PostgreSQL::Test::Utils::slurp_file("$dir/pid");
like(PostgreSQL::Test::Utils::slurp_file($k->node->logfile), qr/LOG:  child process $pid was killed 3 seconds ago and is still there\n/, 'the log says so');
is($session->query('SELECT 1'), 1, 'the session goes on');

settings('echo ' . join('', map { sprintf '%02x', $_ * 37 % 251 } 1 .. 32), 10);
is($session->query(create('first')), 't', 'with other children');
is(held_state(), 'Z ' . $session->pid, 'while it is still there');
$k->write_file('let_go', '');
$k->poll('the tracer to go', sub { return !grep { -e "/proc/$_/cmdline" && PostgreSQL::Test::Utils::slurp_file("/proc/$_/cmdline") =~ /held\.pl/ } map { m{(\d+)} } glob '/proc/[0-9]*' });
is($session->query(create('second')), 't', 'and once more');
is(held_state(), '', 'then it is gone');
$session->close;
ok($k->same_postmaster, 'nothing of it was a crash');
unlink "$dir/held.pl";
done_testing();
