# ReaderProxy.pm: what really reaches the reader.
#
# install(DIR) mirrors the server's installation into DIR with symbolic links;
# only kaireon-reader is another program: a proxy that writes the operation, the
# resource, the auth method and the credentials of each request it gets to a
# file, takes the credentials out (no driver that is there wants any), and
# passes everything on to the real reader.  It returns the prefix for Kaireon->new(install_path => ..).
#
# install(DIR, PROGRAM) puts the text of another program in its place, with its first
# line; REAL in it is the path of the real reader.
#
# requests(DIR) gives what was written so far, forget(DIR) empties it.
package ReaderProxy;

use strict;
use warnings;

use File::Copy;
use File::Path qw(make_path);
use JSON::PP;

my $json = JSON::PP->new->utf8->canonical;
my $source = do { local $/; <DATA> };

sub _config { my ($what) = @_; my $dir = `"$ENV{KAIREON_PG_CONFIG}" --$what`; chomp $dir; return $dir; }

sub install
{
    my ($root, $program) = @_;
    my %dir = map { $_ => _config($_) } qw(bindir pkglibdir sharedir);
    my @parts = split m{/}, $dir{bindir};

    # The server finds its files relative to its program: the mirror is below what the three share.
    pop @parts while grep { index("$_/", join('/', @parts) . '/') != 0 } values %dir;
    my $prefix = join '/', @parts;
    my %mirror = map { $_ => $root . substr($dir{$_}, length $prefix) } keys %dir;

    make_path($mirror{bindir}, $mirror{pkglibdir}, $mirror{sharedir} =~ s{/[^/]+$}{}r);
    symlink $dir{sharedir}, $mirror{sharedir} or die "$mirror{sharedir}: $!";
    for my $file (glob "$dir{pkglibdir}/*")
    {
        symlink $file, "$mirror{pkglibdir}/$1" if $file =~ m{([^/]+)$} && $1 ne 'kaireon-reader';
    }
    for my $file (glob "$dir{bindir}/*")
    {
        my ($name) = $file =~ m{([^/]+)$};

        # These look where they really are.
        if ($name =~ /^(postgres|pg_ctl|initdb)$/) { copy($file, "$mirror{bindir}/$name"); chmod 0755, "$mirror{bindir}/$name"; }
        else { symlink $file, "$mirror{bindir}/$name"; }
    }
    $program //= "#!$^X\n" . $source =~ s/RECORD/$root\/requests/r;
    $program =~ s/REAL/$dir{pkglibdir}\/kaireon-reader/;
    open my $out, '>', "$mirror{pkglibdir}/kaireon-reader" or die $!;
    print $out $program;
    close $out;
    chmod 0755, "$mirror{pkglibdir}/kaireon-reader";
    return $mirror{bindir} =~ s{/bin$}{}r;
}

sub requests
{
    my ($root) = @_;
    open my $in, '<', "$root/requests" or return ();
    return map { $json->decode($_) } <$in>;
}

sub forget { my ($root) = @_; unlink "$root/requests"; return; }

1;

__DATA__
use strict;
use warnings;
use JSON::PP;
use Socket;

my $json = JSON::PP->new->utf8->canonical;
open my $worker, '+<&=', 3 or die $!;
socketpair my $reader, my $theirs, AF_UNIX, SOCK_STREAM, PF_UNSPEC or die $!;
my $pid = fork;
if (!$pid)
{
    require POSIX;
    POSIX::dup2(fileno $theirs, 3);
    exec 'REAL';
}
close $theirs;

sub put
{
    my ($to, $bytes) = @_;
    while (length $bytes)
    {
        my $n = syswrite $to, $bytes;
        exit unless defined $n;
        substr $bytes, 0, $n, '';
    }
}

my ($from, $pending) = ('', '');
for (;;)
{
    my $bits = '';
    vec($bits, fileno $_, 1) = 1 for $worker, $reader;
    select $bits, undef, undef, undef;
    if (vec $bits, fileno $reader, 1)
    {
        my $n = sysread $reader, my $bytes, 1 << 16;
        exit unless $n;
        put($worker, $bytes);
    }
    if (vec $bits, fileno $worker, 1)
    {
        my $n = sysread $worker, $pending, 1 << 16, length $pending;
        exit unless $n;
        while (length $pending >= 16)
        {
            my ($magic, $version, $type, $zero, $length) = unpack 'LCCSL', $pending;
            last if length $pending < 16 + $length;
            my $body = substr $pending, 16, $length;
            substr $pending, 0, 16 + $length, '';
            if ($type == 1)
            {
                my $request = $json->decode($body);
                my $c = $request->{connector};
                open my $record, '>>', 'RECORD' or die $!;
                syswrite $record, $json->encode({ operation => $request->{operation}, resource => $request->{resource} || join(q( ), map { $_->{path} } @{ $request->{files} || [] }), method => $c->{authMethod}, auth => $c->{auth} }) . "\n";
                close $record;
                $c->{auth} = {};
                $body = $json->encode($request);
            }
            put($reader, pack('LCCSLL', $magic, $version, $type, 0, length $body, 0) . $body);
        }
    }
}
