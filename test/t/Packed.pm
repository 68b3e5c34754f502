# Packed.pm: texts in each compression, and archives.
#
#     write_file('a.csv.zst', Packed::zstd($text));
#     write_file('a.zip', Packed::zip([ 'a.csv', $text ], [ 'b.csv', $text, 1 ]));
#
# Where Perl has no module for one, its blocks are stored as they are; with()
# asks the program that everybody uses, where it is installed.
package Packed;

use strict;
use warnings;

use File::Temp;
use IO::Compress::Bzip2 qw(bzip2);
use IO::Compress::Gzip qw(gzip);
use IO::Compress::Zip qw($ZipError ZIP_CM_STORE ZIP_CM_DEFLATE);

sub gz { my ($text) = @_; my $out; gzip(\$text => \$out) or die; return $out; }
sub bz2 { my ($text) = @_; my $out; bzip2(\$text => \$out) or die; return $out; }

# Blocks that are stored as they are: of zstd, of LZ4, of snappy with its checksum.
sub blocks { my ($text) = @_; return unpack('(a60000)*', $text); }

sub zstd
{
    my ($text) = @_;
    return join('', map { "\x28\xB5\x2F\xFD\xA0" . pack('V', length $_) . substr(pack('V', 1 | length($_) << 3), 0, 3) . $_ } blocks($text));
}

sub lz4 { my ($text) = @_; return "\x04\x22\x4D\x18\x60\x40\x82" . join('', map { pack('V', length($_) | 1 << 31) . $_ } blocks($text)) . pack('V', 0); }

sub snappy
{
    my ($text) = @_;
    my $out = "\xFF\x06\0\0sNaPpY";
    for my $block (blocks($text))
    {
        my $crc = 0xFFFFFFFF;
        for my $byte (unpack 'C*', $block)
        {
            $crc ^= $byte;
            $crc = $crc >> 1 ^ ($crc & 1 ? 0x82F63B78 : 0) for 1 .. 8;
        }
        $crc ^= 0xFFFFFFFF;
        $out .= "\x01" . substr(pack('V', 4 + length $block), 0, 3) . pack('V', (($crc >> 15 | $crc << 17 & 0xFFFFFFFF) + 0xA282EAD8) & 0xFFFFFFFF) . $block;
    }
    return $out;
}

# zip([NAME, TEXT, STORED]...): an archive.
sub zip
{
    my ($archive, $zip) = ('');
    for my $member (@_)
    {
        my ($name, $text, $stored) = @$member;
        my %how = (Name => $name, Method => $stored ? ZIP_CM_STORE : ZIP_CM_DEFLATE, Stream => $stored ? 0 : 1);
        if ($zip) { $zip->newStream(%how) or die $ZipError; }
        else { $zip = IO::Compress::Zip->new(\$archive, %how) or die $ZipError; }
        $zip->print($text);
    }
    $zip->close;
    return $archive;
}

# with(KIND, TEXT, NAME): by the program, of a file of that name; undef when it is not there.
sub with
{
    my ($kind, $text, $name) = @_;
    my %programs = (gz => 'gzip -9 -c', bz2 => 'bzip2 -1 -c', zst => 'zstd -q -3 --check -c', lz4 => 'lz4 -q -B4 -c', zip => 'zip -q -');
    my $program = $programs{$kind} || return;
    my $dir = File::Temp->newdir;
    return if system('command -v ' . (split(/ /, $program))[0] . ' > /dev/null 2>&1') != 0;
    open(my $file, '>:raw', "$dir/$name") or die $!;
    print $file $text;
    close $file;
    my $packed = `cd '$dir' && $program $name`;
    die "$program failed" if $? != 0;
    return $packed;
}

1;
