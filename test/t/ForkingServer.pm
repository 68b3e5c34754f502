# ForkingServer.pm: what the servers of the tests have in common: a process of
# its own on a free port of 127.0.0.1, and one child a connection, which calls
# serve() with the client.  All of them end with the object.
package ForkingServer;

use strict;
use warnings;

use IO::Socket::INET;
use POSIX ();
use PostgreSQL::Test::Utils;

# start(CLASS, FIELD => VALUE...): an object with these, {port}, and {state}, a folder that all its processes share.
sub start
{
    my ($class, %fields) = @_;
    my $listener = IO::Socket::INET->new(Listen => 64, LocalAddr => '127.0.0.1', ReuseAddr => 1) or die "listen: $!";
    my $self = bless { state => PostgreSQL::Test::Utils::tempdir(), %fields, port => $listener->sockport }, $class;
    my $pid = fork // die "fork: $!";
    if ($pid == 0)
    {
        $SIG{CHLD} = 'IGNORE';
        $SIG{TERM} = sub { kill 'TERM', -$$; POSIX::_exit(0); };
        setpgrp;
        while (1)
        {
            my $client = $listener->accept or next;
            my $child = fork // next;
            if ($child == 0)
            {
                $SIG{TERM} = $SIG{CHLD} = 'DEFAULT';
                close $listener;
                eval { $self->serve($client) };
                POSIX::_exit(0);
            }
            close $client;
        }
    }
    $self->{pid} = $pid;
    return $self;
}

sub url { return "http://127.0.0.1:$_[0]{port}" . ($_[1] // ''); }
sub port { return $_[0]{port}; }

sub DESTROY
{
    my ($self) = @_;
    local $?;
    kill 'TERM', $self->{pid} if $self->{pid};
    waitpid $self->{pid}, 0 if $self->{pid};
    return;
}

1;
