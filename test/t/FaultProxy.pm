# FaultProxy.pm: a server's answers, with faults in them.
#
# A process of its own on a free port of 127.0.0.1, one child a connection, in front of
# a real server.  Requests go on to it as they are.  fault(HOW, ON, TIMES) says what
# becomes of the answers to those whose "METHOD target range" matches ON: of TIMES of
# them, or of all:
#
#     drop          the connection ends without an answer
#     hang          nothing comes
#     cut=N         the connection ends after N bytes of the body
#     stall=N       nothing comes after N bytes of it
#     loris         a byte of the headers now and then
#     drip          a byte of the body now and then
#     truncate=N    the body ends after N bytes, as its length says
#     longer=N      the length says N bytes more than there are, and the connection ends
#     shorter=N     or N bytes less
#     corrupt=N     byte N is another one
#     etag          another ETag
#     answer=TEXT   200 with that text, and the server is not asked
#     503           that status, with an error of S3's; 503:1 with Retry-After: 1
#
# hit(): how many requests it was about.
package FaultProxy;

use strict;
use warnings;
use parent 'FaultServer';

use IO::Socket::INET;

sub new { my ($class, $upstream) = @_; return ForkingServer::start($class, upstream => $upstream); }

sub fault
{
    my ($self, $how, $on, $times) = @_;
    unlink "$self->{state}/count_hit";
    open my $out, '>', "$self->{state}/fault" or die $!;
    print $out join "\n", $how, $on, $times // '';
    close $out;
    return;
}

sub hit { return -s "$_[0]{state}/count_hit" || 0; }

# The fault for a request, or ''.
sub _fault
{
    my ($self, $request) = @_;
    open my $in, '<', "$self->{state}/fault" or return '';
    chomp(my ($how, $on, $times) = <$in>);
    return '' if !$how || $request !~ /$on/;
    return $self->_count('hit') < ($times || ~0) ? $how : '';
}

# A message's head and body; the body ends with the connection where the head does not say, and is not there for HEAD.
sub _message
{
    my ($from, $bodiless) = @_;
    my $all = '';
    while ($all !~ /\r\n\r\n/) { return unless sysread $from, $all, 65536, length $all; }
    my ($head, $body) = split /\r\n\r\n/, $all, 2;
    return ($head, '') if $bodiless || $head =~ m{^HTTP/1\.1 (?:204|304)};
    my ($length) = $head =~ /^content-length:\s*(\d+)/im;
    $length //= 0 unless $head =~ m{^HTTP/};     # a request without a length has no body
    while (!defined $length || length $body < $length) { last unless sysread $from, $body, 65536, length $body; }
    return ($head, $body) unless $head =~ /^transfer-encoding:\s*chunked/im;
    my $plain = '';
    $plain .= substr $body, 0, hex $1, '' while $body =~ s/^(?:\r\n)?([0-9a-fA-F]+)\r\n// && hex $1;
    return ($head =~ s/^transfer-encoding:.*?\r\n//imr . "\r\nContent-Length: " . length $plain, $plain);
}

sub serve
{
    my ($self, $client) = @_;
    local $SIG{PIPE} = 'IGNORE';
    while (1)
    {
        my ($request, $body) = _message($client, 0) or return;
        return unless defined $body;
        my ($method, $target) = $request =~ /^(\S+) (\S+)/;
        my ($range) = $request =~ /^range:\s*(\S+)/im;
        my $fault = $self->_fault("$method $target " . ($range // '-'));
        if ($fault =~ /^answer=(.*)/)
        {
            syswrite $client, "HTTP/1.1 200 OK\r\nContent-Length: " . length($1) . "\r\n\r\n$1";
            next;
        }
        my $server = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{upstream}) or return;
        syswrite $server, "$request\r\nConnection: close\r\n\r\n$body";
        my ($head, $answer) = _message($server, $method eq 'HEAD');
        return unless $head;
        $head =~ s/^connection:.*?\r\n//im;
        return unless _answer($client, $fault, $method, $head, $answer);
    }
}

sub _length { my ($head, $n) = @_; return $head =~ s/^(content-length:\s*)\d+/$1$n/imr; }

# Sends the answer with the fault; false: the connection ends.
sub _answer
{
    my ($client, $fault, $method, $head, $body) = @_;
    my ($how, $n) = split /[=:]/, $fault;
    $how //= '';
    return 0 if $how eq 'drop';
    sleep 600 if $how eq 'hang';
    if ($how =~ /^\d+$/)
    {
        $body = $method eq 'HEAD' ? '' : '<Error><Code>Busy</Code><Message>try later</Message></Error>';
        $head = "HTTP/1.1 $how Failed\r\nContent-Length: " . length($body) . (defined $n ? "\r\nRetry-After: $n" : '');
    }
    $head =~ s/^etag:.*?$/ETag: "00000000000000000000000000000000"\r/im if $how eq 'etag';
    $head = _length($head, length($body) + ($how eq 'longer' ? $n : -$n)) if $how eq 'longer' || $how eq 'shorter';
    $body = substr $body, 0, $n if $how eq 'truncate';
    $head = _length($head, length $body) if $how eq 'truncate';
    substr($body, $n, 1) ^= "\x15" if $how eq 'corrupt' && length $body > $n;
    return FaultServer::_drip($client, "$head\r\n\r\n$body", 1, 0.3) if $how eq 'loris';
    syswrite $client, "$head\r\n\r\n";
    return FaultServer::_drip($client, $body, 1, 0.3) if $how eq 'drip' && length $body;
    $body = substr $body, 0, $n if $how eq 'cut' || $how eq 'stall';
    while (length $body) { my $sent = syswrite $client, $body or return 0; substr $body, 0, $sent, ''; }
    sleep 600 if $how eq 'stall';
    return $how !~ /^(?:cut|longer|shorter)$/;
}

1;
