# ProxyServer.pm: an HTTP proxy that misbehaves as it is told.
#
# A process of its own on a free port of 127.0.0.1, one child a connection.  It
# connects (CONNECT) and forwards (a whole URL) to 127.0.0.1, whatever the host:
# named.example is there too.  behave() says what becomes of the next requests:
#
#     ''            they are answered
#     '407', '502'  that status is the answer
#     'stall'       there is no answer
#     'mute'        CONNECT is answered, and nothing follows
#     'cut'         the connection ends without an answer
#
# log() has a line for each request: method, what it is for, and its headers'
# names, sorted.
package ProxyServer;

use strict;
use warnings;
use parent 'FaultServer';

use IO::Select;
use IO::Socket::INET;

sub new
{
    my ($class) = @_;
    my $self = ForkingServer::start($class);
    $self->behave('');
    return $self;
}

sub behave
{
    my ($self, $how) = @_;
    open my $out, '>', "$self->{state}/how" or die $!;
    print $out $how;
    close $out;
    return;
}

sub serve
{
    my ($self, $client) = @_;
    local $SIG{PIPE} = 'IGNORE';
    my $request = '';
    while ($request !~ /\r\n\r\n/)
    {
        return unless sysread $client, $request, 65536, length $request;
    }
    my ($method, $for) = $request =~ m{^(\S+) (\S+)} or return;
    $self->_note(join ' ', $method, $for, sort map { /^([^:\s]+): / ? lc $1 : () } split /\r\n/, $request =~ s/\r\n\r\n.*//sr);
    my $how = PostgreSQL::Test::Utils::slurp_file("$self->{state}/how");
    return if $how eq 'cut';
    sleep 600 if $how eq 'stall';
    return FaultServer::_head($client, "$how Refused", 'Content-Length' => 0) if $how =~ /^\d+$/;
    my ($port) = $method eq 'CONNECT' ? $for =~ /:(\d+)$/ : $for =~ m{^http://[^/:]+:(\d+)};
    my $server = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port // 80);
    return FaultServer::_head($client, '502 Nobody There', 'Content-Length' => 0) unless $server;
    if ($method eq 'CONNECT')
    {
        FaultServer::_head($client, '200 Connected');
        sleep 600 if $how eq 'mute';
    }
    else
    {
        syswrite $server, $request =~ s{^(\S+) http://[^/]+}{$1 }r =~ s{\r\n\r\n}{\r\nConnection: close\r\n\r\n}r;
    }
    return _relay($client, $server);
}

# What one of them says, the other gets, until one ends.
sub _relay
{
    my ($client, $server) = @_;
    my $both = IO::Select->new($client, $server);
    while (1)
    {
        for my $from ($both->can_read)
        {
            my $to = $from == $client ? $server : $client;
            sysread($from, my $piece, 65536) or return;
            while (length $piece) { my $n = syswrite $to, $piece or return; substr $piece, 0, $n, ''; }
        }
    }
}

1;
