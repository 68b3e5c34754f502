# HookServer.pm: a strict receiver of webhooks, which keeps what it got.
#
# A process of its own on a free port of 127.0.0.1, one child a connection.
# What a path asks for comes before its name, as in FaultServer.pm:
#
#     /fail=503x2/a      the first two answers have that status; fail=503: all of them
#     /after=60/..       those answers say Retry-After: 60
#     /to=URL/a          a redirection, URL with %2F for a slash
#     /echo/a            400, with the request's authorization
#     /hang/a            no answer
#     /hold/a            no answer before release()
#     /flood/a           a good answer whose body never ends
#     /cut/a             the connection ends in the answer's body
#
# got() are the requests so far, oldest first: {method, path, headers, body,
# wrong}; header names in lower case, body decoded, wrong: what is not as HTTP
# and the headers say, or ''.
package HookServer;

use strict;
use warnings;
use parent 'ForkingServer';

use Fcntl qw(:flock);
use JSON::PP;
use Time::HiRes qw(usleep);

my $json = JSON::PP->new->canonical->allow_nonref->utf8;

sub new { my ($class) = @_; return ForkingServer::start($class); }

sub serve
{
    my ($self, $client) = @_;
    local $SIG{PIPE} = 'IGNORE';
    1 while $self->_answer($client);
    return;
}

sub _read
{
    my ($self, $name) = @_;
    open my $in, '<:raw', "$self->{state}/$name" or return ();
    flock $in, LOCK_SH;
    return <$in>;
}

# got(PATH): of that path only, where it is given.
sub got
{
    my ($self, $path) = @_;
    return grep { !defined $path || $_->{path} eq $path } map { $json->decode($_) } $self->_read('got');
}

sub release
{
    my ($self) = @_;
    open my $out, '>', "$self->{state}/released" or die $!;
    close $out;
    return;
}

sub hold_again { unlink "$_[0]{state}/released"; return; }

# Keeps a request; how many of its path there were before.
sub _keep
{
    my ($self, $request) = @_;
    open my $file, '+>>:raw', "$self->{state}/got" or die $!;
    flock $file, LOCK_EX;
    seek $file, 0, 0;
    my $before = grep { $json->decode($_)->{path} eq $request->{path} } <$file>;
    print $file $json->encode($request), "\n";
    close $file;
    return $before;
}

sub _wrong
{
    my ($head, $headers, $body) = @_;
    my ($line, @lines) = split /\r\n/, $head;
    my %seen;
    return "request line $line" unless $line =~ m{^(POST|PUT) /[!-~]* HTTP/1\.1$};
    for (@lines)
    {
        my ($name) = /^([A-Za-z0-9-]+): [ -~]*$/ or return "header line $_";
        return "header $name twice" if $seen{ lc $name }++;
    }
    return 'no Host' unless $headers->{host};
    return 'no Content-Length' unless ($headers->{'content-length'} // '') =~ /^\d+$/;
    return 'no Content-Type' unless $headers->{'content-type'};
    return 'body' if $headers->{'content-type'} =~ m{^application/json\b} && !defined eval { $json->decode($body); 1 };
    return 'webhook-id' unless ($headers->{'webhook-id'} // '') =~ /^msg_[0-9a-f-]{36}_\d+$/;
    return 'Idempotency-Key' unless ($headers->{'idempotency-key'} // '') eq $headers->{'webhook-id'};
    return 'webhook-timestamp' unless ($headers->{'webhook-timestamp'} // '') =~ /^\d{10}$/ && abs($headers->{'webhook-timestamp'} - time) < 600;
    return '';
}

sub _say
{
    my ($client, $status, $body, @headers) = @_;
    $client->syswrite(join "\r\n", "HTTP/1.1 $status", @headers, 'Content-Length: ' . length $body, '', $body);
    return 1;
}

# Answers one request; false when the connection is to end.
sub _answer
{
    my ($self, $client) = @_;
    my $request = '';
    while ($request !~ /\r\n\r\n/)
    {
        return 0 unless sysread $client, $request, 65536, length $request;
    }
    my ($head, $body) = split /\r\n\r\n/, $request, 2;
    my ($method, $path) = $head =~ m{^(\S+) (\S+)} or return 0;
    my %headers = map { /^([^:]+):\s*(.*)$/ ? (lc $1 => $2) : () } split /\r\n/, $head;
    while (length $body < ($headers{'content-length'} // 0))
    {
        return 0 unless sysread $client, $body, 65536, length $body;
    }
    my $decoded = eval { $json->decode($body) };
    my $before = $self->_keep({ method => $method, path => $path, headers => \%headers, body => $decoded // $body, wrong => _wrong($head, \%headers, $body) });
    my %ask = map { /^([^=]+)=?(.*)$/s ? ($1 => $2) : () } split m{/}, $path =~ s/\?.*//r;

    return _say($client, '302 Found', '', 'Location: ' . $ask{to} =~ s/%2F/\//gr) if exists $ask{to};
    if (my ($status, $times) = ($ask{fail} // '') =~ /^(\d+)(?:x(\d+))?$/)
    {
        return _say($client, "$status Failed", '{"error": {"message": "not now"}}', defined $ask{after} ? "Retry-After: $ask{after}" : ())
          if !defined $times || $before < $times;
    }
    return _say($client, '400 Bad Request', "you sent $headers{authorization}") if exists $ask{echo};
    sleep 600 if exists $ask{hang};
    usleep(20_000) while exists $ask{hold} && !-e "$self->{state}/released";
    if (exists $ask{flood})
    {
        $client->syswrite("HTTP/1.1 200 OK\r\n\r\n");
        1 while $client->syswrite('x' x 65536);
        return 0;
    }
    if (exists $ask{cut})
    {
        $client->syswrite("HTTP/1.1 202 Accepted\r\nContent-Length: 1000\r\n\r\ncut");
        return 0;
    }
    return _say($client, '200 OK', 'thanks');
}

1;
