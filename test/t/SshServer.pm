# SshServer.pm: a real sshd with SFTP, run by the user that runs the tests.
#
#     my $server = SshServer->new(password => 'sesame');
#     $server->port; $server->user; $server->known_hosts; $server->key('id_ed25519');
#     $server->cut;                # ends every session; the server goes on
#     $server->stop; $server->start;
#
# An sshd that is not root lets in only the user it runs as, which is enough.
# Its configuration and keys are in a folder of its own, its port is a free one
# of the loopback interface, and it does not leave the test's process tree.
package SshServer;

use strict;
use warnings;

use File::Basename qw(dirname);
use IO::Socket::INET;
use Kaireon;
use PostgreSQL::Test::Utils;
use Time::HiRes qw(usleep time);

my $SSHD = '/usr/sbin/sshd';

# new(password => TEXT, options => "lines of sshd_config", host_keys => [types]).
sub new
{
    my ($class, %o) = @_;
    my $dir = PostgreSQL::Test::Utils::tempdir();
    my $probe = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') or die "no port: $!";
    my $self = bless { dir => $dir, port => $probe->sockport, user => scalar getpwuid($<), owner => $$ }, $class;
    my @types = @{ $o{host_keys} || [ 'ed25519', 'ecdsa', 'rsa' ] };

    close $probe;
    _keygen("$dir/host_$_", $_, '') for @types;
    _keygen("$dir/id_$_", $_, '') for 'ed25519', 'ecdsa', 'rsa';
    _keygen("$dir/id_${_}_phrase", $_, 'pass phrase') for 'ed25519', 'ecdsa';
    _keygen("$dir/id_pem", 'ecdsa', 'pass phrase', '-m', 'PEM');
    _keygen("$dir/id_stranger", 'ed25519', '');
    _write("$dir/authorized_keys", join '', map { _read($_) } grep { !/stranger/ } glob "$dir/id_*.pub");
    $self->{known} = join '', map { "[127.0.0.1]:$self->{port} " . join(' ', (split ' ', _read("$dir/host_$_.pub"))[ 0, 1 ]) . "\n" } @types;
    _write("$dir/sshd_config", join "\n", "Port $self->{port}", 'ListenAddress 127.0.0.1', (map { "HostKey $dir/host_$_" } @types),
        'PidFile none', "AuthorizedKeysFile $dir/authorized_keys", 'StrictModes no', 'UsePAM no', 'UseDNS no',
        'PasswordAuthentication yes', 'MaxStartups 100', 'Subsystem sftp internal-sftp', _no_penalties(), $o{options} // '', '');
    if (defined $o{password})
    {
        my @compile = (split(' ', $ENV{CC} || 'cc'), '-shared', '-fPIC', '-O1', '-o', "$dir/ssh_password.so", dirname(__FILE__) . '/ssh_password.c');
        system(@compile) == 0 or die "@compile failed";
        $self->{hash} = crypt($o{password}, '$6$kaireontests$');
    }
    $self->start;
    return $self;
}

sub _keygen
{
    my ($path, $type, $phrase, @more) = @_;
    system('ssh-keygen', '-q', '-t', $type, '-N', $phrase, '-f', $path, @more) == 0 or die "ssh-keygen failed";
    return;
}

sub _write
{
    my ($path, $text) = @_;
    open my $out, '>', $path or die "$path: $!";
    print $out $text;
    close $out;
    chmod 0600, $path;
    return;
}

sub _read { return PostgreSQL::Test::Utils::slurp_file($_[0]); }

# Whether there is an sshd to run.
sub here { return -x $SSHD; }

# From 9.8 on, a server lets those wait who were refused before.
sub _no_penalties
{
    my ($major, $minor) = `ssh -V 2>&1` =~ /OpenSSH_(\d+)\.(\d+)/;
    return $major > 9 || ($major == 9 && $minor >= 8) ? ('PerSourcePenalties no') : ();
}

sub start
{
    my ($self) = @_;
    my $pid = fork;

    die "fork: $!" unless defined $pid;
    if ($pid == 0)
    {
        if ($self->{hash})
        {
            $ENV{LD_PRELOAD} = "$self->{dir}/ssh_password.so";
            $ENV{KAIREON_SSH_PASSWORD} = $self->{hash};
        }
        open STDIN, '<', '/dev/null';
        exec $SSHD, '-D', '-f', "$self->{dir}/sshd_config", '-E', $self->log_file or POSIX::_exit(1);
    }
    $self->{pid} = $pid;
    my $until = time + $Kaireon::TIMEOUT;
    until (my $open = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{port}))
    {
        die 'sshd did not start: ' . (-e $self->log_file ? _read($self->log_file) : '') if time > $until || waitpid($pid, 1) == $pid;
        usleep(20_000);
    }
    return;
}

sub port { return $_[0]->{port}; }
sub user { return $_[0]->{user}; }
sub log_file { return "$_[0]->{dir}/sshd.log"; }
sub known_hosts { return $_[0]->{known}; }

# key(NAME): the text of a private key.
sub key { return _read("$_[0]->{dir}/$_[1]"); }

# hash(TYPE): of a host key, as ssh-keygen -l prints it.
sub hash
{
    my ($self, $type) = @_;
    return (split ' ', `ssh-keygen -lf $self->{dir}/host_$type.pub`)[1];
}

# hashed(): known_hosts with hashed names.
sub hashed
{
    my ($self) = @_;
    _write("$self->{dir}/hashed", $self->{known});
    system("ssh-keygen -q -H -f $self->{dir}/hashed > $self->{dir}/log 2>&1") == 0 or die 'ssh-keygen -H failed';
    return _read("$self->{dir}/hashed");
}

# sessions(): pids of the processes that serve connections.
sub sessions
{
    my ($self) = @_;
    return map { ($_, Kaireon::children($_)) } Kaireon::children($self->{pid});
}

# cut(SIGNAL = KILL): to every session.
sub cut
{
    my ($self, $signal) = @_;
    return kill($signal || 'KILL', $self->sessions);
}

sub stop
{
    my ($self) = @_;
    return unless $self->{pid} && $$ == $self->{owner};
    my @sessions = $self->sessions;
    kill 'KILL', $self->{pid};
    waitpid $self->{pid}, 0;
    kill 'KILL', @sessions if @sessions;
    $self->{pid} = 0;
    return;
}

sub DESTROY
{
    my ($self) = @_;
    local ($?, $!);
    $self->stop;
    return;
}

1;
