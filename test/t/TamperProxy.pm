# TamperProxy.pm: stands before an HTTP server and changes what goes through it.
#
#     my $proxy = TamperProxy->new($port, sub { my ($request, $answer, $n) = @_; ... });
#
# For each answer the function is called, in a process of its own, with the
# request's head as text, the answer ({head} and {body}, to be changed; head
# ends in an empty line) and how often that first line was asked for before.
# An answer that came in chunks goes on whole, of the length that it has then.
# log() has the requests' first lines.
package TamperProxy;

use strict;
use warnings;
use parent 'ForkingServer';

use Fcntl qw(:flock);
use IO::Socket::INET;

sub new { my ($class, $port, $tamper) = @_; return ForkingServer::start($class, to => $port, tamper => $tamper); }

sub serve { my ($self, $client) = @_; eval { $self->_pass($client); 1 } or warn $@; return; }

# log(): the first lines of all requests.
sub log
{
    my ($self) = @_;
    open my $in, '<', "$self->{state}/log" or return ();
    chomp(my @lines = <$in>);
    return @lines;
}

# Notes a request; how often it was asked for before.
sub _note
{
    my ($self, $line) = @_;
    open my $log, '+>>', "$self->{state}/log" or die $!;
    flock $log, LOCK_EX;
    seek $log, 0, 0;
    my $before = grep { $_ eq "$line\n" } <$log>;
    print $log "$line\n";
    close $log;
    return $before;
}

# One request and its answer; then the connection ends.
sub _pass
{
    my ($self, $client) = @_;
    my ($request, $answer) = ('', '');
    while ($request !~ /\r\n\r\n/) { return unless sysread $client, $request, 65536, length $request; }
    my ($head, $body) = split /(?<=\r\n\r\n)/, $request, 2;
    $body //= '';
    my ($size) = $head =~ /^Content-Length: *(\d+)/mi;
    while (length $body < ($size // 0)) { return unless sysread $client, $body, 65536, length $body; }
    my ($first) = $head =~ /^(.*?) HTTP/;
    my $before = $self->_note($first);

    my $server = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{to}) or die "connect: $!";
    syswrite $server, ($head =~ s/\r\n\r\n$/\r\nConnection: close\r\n\r\n/r) . $body;
    while (sysread $server, $answer, 1 << 20, length $answer) { }
    my %answer;
    @answer{qw(head body)} = split /(?<=\r\n\r\n)/, $answer, 2;
    $answer{body} //= '';
    my $chunked = $answer{head} =~ s/^Transfer-Encoding: *chunked\r\n//mi;
    if ($chunked)
    {
        my ($rest, $whole) = ($answer{body}, '');
        while ($rest =~ s/^([0-9A-Fa-f]+)\r\n// && hex $1) { $whole .= substr $rest, 0, hex $1, ''; $rest =~ s/^\r\n//; }
        $answer{body} = $whole;
    }
    $self->{tamper}->($head, \%answer, $before);
    $answer{head} =~ s/\r\n$/"Content-Length: " . length($answer{body}) . "\r\n\r\n"/e if $chunked;
    $answer = $answer{head} . $answer{body};
    while (length $answer) { my $n = syswrite $client, $answer; last unless $n; substr $answer, 0, $n, ''; }
    return;
}

1;
