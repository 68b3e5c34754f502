# FaultServer.pm: an HTTP server that misbehaves as its paths say.
#
# A process of its own on a free port of 127.0.0.1, one child a connection.
# What a path asks for comes before the file's name, one after another:
#
#     /cut=5000/a.csv        the connection ends after so many bytes of each answer's body
#     /cutonce=5000/a.csv    the same, of the first answer only
#     /stall=5000/a.csv      nothing comes after so many bytes, the connection stays
#     /trickle/a.csv         a byte each second
#     /pace=2000:0.1/a.csv   so many bytes, each time after so many seconds
#     /slowhead/a.csv        a byte of the headers each second
#     /fail=503x2/a.csv      the first two answers have status 503; fail=503: all of them
#     /rant=500/a.csv        that status, with a body that never ends
#     /header=200000/a.csv   a header of so many bytes
#     /after=1/...           those answers say Retry-After: 1
#     /noranges/a.csv        ranges are not known
#     /onerange/a.csv        nor are they after the first
#     /bare416/              a range that is not there is refused without saying how much there is
#     /notags/               no ETag
#     /undated/              no Last-Modified
#     /dates/a.csv           another Last-Modified with each answer
#     /etags/a.csv           another ETag with each answer
#     /longer=10/ /shorter=10/    Content-Length is wrong by that
#     /wrongrange/           other bytes than were asked for
#     /to=URL/               a redirection, URL with %2F for a slash
#     /needs=NAME:VALUE/     401 without that header
#     /chunked/              no Content-Length
#
# Files are those of a folder.  log() has a line for each request: method, path,
# range, and headers that matter.  Counters are by path, in files, because
# children don't share memory.
package FaultServer;

use strict;
use warnings;
use parent 'ForkingServer';

use Fcntl qw(:flock);
use POSIX qw(strftime);
use Time::HiRes qw(sleep usleep);

sub new { my ($class, $files) = @_; return ForkingServer::start($class, files => $files); }

sub serve { my ($self, $client) = @_; 1 while $self->_answer($client); return; }

# log(): the requests since the last call, as lines.
sub log
{
    my ($self) = @_;
    my $path = "$self->{state}/log";
    open my $in, '<', $path or return ();
    my @lines = <$in>;
    close $in;
    unlink $path;
    chomp @lines;
    return @lines;
}

sub _note
{
    my ($self, $line) = @_;
    open my $out, '>>', "$self->{state}/log" or die $!;
    flock $out, LOCK_EX;
    print $out "$line\n";
    close $out;
    return;
}

# How often this was asked before, of all children.
sub _count
{
    my ($self, $what) = @_;
    $what =~ s/[^A-Za-z0-9]/_/g;
    open my $file, '+>>', "$self->{state}/count_$what" or die $!;
    flock $file, LOCK_EX;
    my $before = -s $file;
    print $file '.';
    close $file;
    return $before;
}

sub _head
{
    my ($client, $status, %headers) = @_;
    my $head = "HTTP/1.1 $status\r\n" . join('', map { "$_: $headers{$_}\r\n" } sort keys %headers) . "\r\n";
    $client->syswrite($head);
    return;
}

# _drip(TEXT, N, SECONDS): N bytes at a time, each time after so long; false when nobody takes them.
sub _drip
{
    my ($client, $text, $n, $seconds) = @_;
    while (length $text)
    {
        syswrite $client, substr $text, 0, $n, '' or return 0;
        sleep $seconds;
    }
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
    my ($method, $path) = $request =~ m{^(\S+) (?:http://[^/\s]+)?(\S+)} or return 0; # a whole URL: as a proxy
    my %in = map { /^([^:]+):\s*(.*?)\r?$/ ? (lc $1 => $2) : () } split /\n/, $request;
    my @parts = split m{/}, $path =~ s/\?.*//r;
    shift @parts;
    my $name = pop @parts;
    my %ask = map { /^([^=]+)=?(.*)$/s ? ($1 => $2) : () } @parts;
    $self->_note(join ' ', $method, $path, $in{range} // '-', map { exists $in{$_} ? "$_=$in{$_}" : () } qw(authorization x-key if-match));

    my %out = exists $ask{undated} ? () : ('Last-Modified' => 'Sat, 01 Jun 2024 12:00:' . (exists $ask{dates} ? sprintf '%02d', $self->_count("date$path") : '00') . ' GMT');
    if (exists $ask{to})
    {
        my $to = $ask{to} =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ger;
        _head($client, '302 Found', Location => $to, 'Content-Length' => 0);
        return 1;
    }
    if ($ask{needs} && $ask{needs} =~ /^([^:]+):(.*)$/ && ($in{ lc $1 } // '') ne $2)
    {
        my $body = '{"error": {"message": "who are you?"}}';
        _head($client, '401 Unauthorized', 'Content-Length' => length $body);
        $client->syswrite($body) unless $method eq 'HEAD';
        return 1;
    }
    if (my ($status, $times) = ($ask{fail} // '') =~ /^(\d+)(?:x(\d+))?$/)
    {
        if (!defined $times || $self->_count($path) < $times)
        {
            my $body = "<Error><Code>Busy</Code><Message>try later</Message></Error>";
            _head($client, "$status Failed", 'Content-Length' => length $body, defined $ask{after} ? ('Retry-After' => $ask{after}) : ());
            $client->syswrite($body) unless $method eq 'HEAD';
            return 1;
        }
    }
    if (defined $ask{rant})
    {
        local $SIG{PIPE} = 'IGNORE';
        syswrite $client, "HTTP/1.1 $ask{rant} Failed\r\nConnection: close\r\n\r\n";
        1 while $method ne 'HEAD' && syswrite $client, 'and no, ' x 1000;
        return 0;
    }
    $out{'X-Header'} = 'x' x $ask{header} if $ask{header};
    my $content = do { local (@ARGV, $/) = ("$self->{files}/$name"); -f $ARGV[0] ? <> : undef };
    if (!defined $content)
    {
        _head($client, '404 Not Found', 'Content-Length' => 0);
        return 1;
    }
    $out{ETag} = exists $ask{etags} ? '"v' . $self->_count("etag$path") . '"' : '"v1"' unless exists $ask{notags};
    if ($in{'if-match'} && $in{'if-match'} ne ($out{ETag} // ''))
    {
        _head($client, '412 Precondition Failed', 'Content-Length' => 0);
        return 1;
    }
    return $self->_send($client, $method, $path, \%ask, \%in, \%out, $content);
}

sub _send
{
    my ($self, $client, $method, $path, $ask, $in, $out, $content) = @_;
    my $status = '200 OK';
    my $all = length $content;
    $out->{'Accept-Ranges'} = 'bytes';
    my $forgotten = exists $ask->{noranges} || (exists $ask->{onerange} && $method eq 'GET' && $self->_count("range$path") > 0);
    if (!$forgotten && ($in->{range} // '') =~ /^bytes=(\d+)-(\d*)$/)
    {
        my ($from, $to) = ($1, $2 eq '' || $2 >= $all ? $all - 1 : $2);
        if ($from >= $all)
        {
            _head($client, '416 Range Not Satisfiable', exists $ask->{bare416} ? () : ('Content-Range' => "bytes */$all"), 'Content-Length' => 0);
            return 1;
        }
        $content = substr $content, $from, $to - $from + 1;
        my $shift = exists $ask->{wrongrange} ? 1 : 0;
        $out->{'Content-Range'} = 'bytes ' . ($from + $shift) . '-' . ($to + $shift) . '/' . ($all + $shift);
        $status = '206 Partial Content';
    }
    my $chunked = exists $ask->{chunked};
    $out->{'Content-Length'} = length($content) + ($ask->{longer} // 0) - ($ask->{shorter} // 0) unless $chunked;
    $out->{'Transfer-Encoding'} = 'chunked' if $chunked;
    return _drip($client, "HTTP/1.1 $status\r\nX-Long: " . 'x' x 1000, 1, 1) if exists $ask->{slowhead};
    _head($client, $status, %$out);
    return 1 if $method eq 'HEAD';

    my $cut = $ask->{cut} // $ask->{stall};
    $cut = $ask->{cutonce} if defined $ask->{cutonce} && $self->_count("cut$path") == 0;
    my $body = defined $cut && $cut < length $content ? substr $content, 0, $cut : $content;
    return 0 if exists $ask->{trickle} && !_drip($client, $body, 1, 1);
    return _drip($client, $body, $1, $2) if ($ask->{pace} // '') =~ /^(\d+):([\d.]+)$/;
    while (length $body)
    {
        my $piece = substr $body, 0, 65536, '';
        $piece = sprintf("%x\r\n", length $piece) . $piece . "\r\n" if $chunked;
        my $at = 0;
        while ($at < length $piece) { my $n = syswrite $client, $piece, length($piece) - $at, $at; return 0 unless $n; $at += $n; }
    }
    if (defined $cut && exists $ask->{stall}) { sleep 600; }
    return 0 if defined $cut && $cut < length $content;
    syswrite $client, "0\r\n\r\n" if $chunked;
    return exists $ask->{longer} || exists $ask->{shorter} ? 0 : 1;
}

1;
