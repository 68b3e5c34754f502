# MeterProxy.pm: stands before a server and counts what it sends.
#
#     my $meter = MeterProxy->new($port);
#     connect to $meter->port; $meter->bytes;      # since the last call
package MeterProxy;

use strict;
use warnings;
use parent 'ForkingServer';

use Fcntl qw(:flock);
use IO::Select;
use IO::Socket::INET;

sub new { my ($class, $port) = @_; return ForkingServer::start($class, to => $port); }

# bytes(): how many the server has sent since the last call.
sub bytes
{
    my ($self) = @_;
    open my $file, '+>>', "$self->{state}/sent" or die $!;
    flock $file, LOCK_EX;
    seek $file, 0, 0;
    my $sum = 0;
    $sum += $_ while <$file>;
    truncate $file, 0;
    close $file;
    return $sum;
}

sub _note
{
    my ($self, $bytes) = @_;
    open my $file, '>>', "$self->{state}/sent" or die $!;
    flock $file, LOCK_EX;
    print $file "$bytes\n";
    close $file;
    return;
}

# One connection, until either side ends it.
sub serve
{
    my ($self, $client) = @_;
    my $server = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{to}) or return;
    my $both = IO::Select->new($client, $server);
    while (my @ready = $both->can_read)
    {
        for my $from (@ready)
        {
            my $to = $from == $client ? $server : $client;
            my $n = sysread $from, my $bytes, 65536;
            return unless $n;
            $self->_note($n) if $from == $server;
            while (length $bytes) { my $sent = syswrite $to, $bytes; return unless $sent; substr $bytes, 0, $sent, ''; }
        }
    }
    return;
}

1;
