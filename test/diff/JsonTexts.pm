# JsonTexts.pm: JSON texts, and texts that are nearly JSON, for json_diff.pl.
#
# Edge cases by hand, values at random ("plain"), and these with some bytes
# changed ("mutant").  Texts are bytes, not characters; srand of the caller
# makes them repeatable.
package JsonTexts;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT_OK = qw(edges plain mutant);

sub pick { return $_[ int(rand(@_)) ]; }
sub digits { my ($n) = @_; return join('', map { int(rand(10)) } 1 .. $n); }

my @numbers = qw(0 -0 00 -00 01 -01 1 -1 +1 --1 - -- + . 1. .1 -.1 -1. 0. 0.0 -0.0 0.00 1.0 1.5.2 1..2 1.2e 1.e1 .e1 1e1 1E1 1e+1 1e-1 1e+ 1e- 1e 1E 1e++1 1e1.5 1e1e1 1ee1
    0e0 0e+1 0E-1 00e1 0e 0.e1 -e1 e1 E 1a 1x 0x1 0X1F 0b1 0o7 1_000 1'000 Infinity -Infinity +Infinity inf NaN -NaN nan NAN 1f 1L 1n -foo -1x 1-1 1+1 1/2 0.1e999999999999
    1e400 -1e400 1e-400 1e308 1.7976931348623157e308 1.7976931348623159e308 4.9e-324 2e-324 1e38 123e45 123e-10000000 1e99999999999999999999 1e-99999999999999999999
    9223372036854775807 9223372036854775808 -9223372036854775808 -9223372036854775809 2147483647 2147483648 -2147483648 -2147483649 32767 32768 18446744073709551615 18446744073709551616
    9007199254740993 0.1 0.30000000000000004 100000000000000000000000000000000000000 -123123123123123123123123123123 1.000000000000000000000000000000000000001 1e0 10e-1 1.50 1e3 2.0 -0e1 -0.0e-5);
push @numbers, '1,000', '#t', '9' x 1000, '-' . '1' x 999 . '.' . '3' x 1000, '0.' . '0' x 400 . '1', '1' . '0' x 400, '1' x 131072, '1' x 131073, '0.' . '1' x 16383, '0.' . '1' x 16384, '1 2', '- 1', '1 .5', '1. 5', "1\t", '1;', '1:', '(1)', "\xEF\xBC\x91", "1\xD9\xA1", "\xC2\xBD", "1\0";

my @words = qw(null true false Null NULL True TRUE False nul nulll truee tru fals falsee t f n nil none None undefined void yes no on off nullnull truefalse true1 1true null0 NULL_ _null $null @a -true +null true.false);

my @strings = ('""', '"a"', '" "', '"', '"a', 'a"', 'a', "'a'", "'", '`a`', '""""', '"a""b"', '"a"b"', '"a\\"', '"\\', '"\\\\"', '"\\\\\\"', '"\\""', '"\\/"', '"/"', '"\\b\\f\\n\\r\\t"',
    map({ "\"\\$_\"" } split(//, "aceghijklmopqsuvwxyzABFNRTU0123456789'`.,;:-_ "), "\n", "\t", "\r\n", "\0", "\x7F", "\xC3\xA9", '{', '}', '[', ']', '(', '#'), '"\\x41"', '"\\u"', '"\\u0"', '"\\u00"', '"\\u004"', '"\\u0041"', '"\\U0041"',
    '"\\u00g1"', '"\\u 041"', '"\\u+041"', '"\\u-041"', '"\\u{41}"', '"\\u0041', '"\\u00', '"\\u004"1"', '"\\u0000"', '"a\\u0000b"', '"\\\\u0000"', '"\\\\\\u0000"', '"\\u0001\\u001f\\u007f"', '"\\u00e9\\u20AC\\uffff\\uFFFE"', '"\\ud83d\\ude00"', '"\\uD83D\\uDE00"',
    '"\\ud800"', '"\\udc00"', '"\\ud800\\ud800"', '"\\udc00\\ud800"', '"\\ud800a"', '"\\ud800\\n"', '"\\ud800\\u0041"', '"\\ud800\\u"', '"\\ud800\\u12"', '"\\ud800\\"', '"\\ud83d\\ude00\\ud83d"', '"\\udbff\\udfff"', '"\\ud800\\udbff"', '"\\ud83dx\\ude00"', '"\\ud83d \\ude00"',
    '"\\ud83d\\\\ude00"', '"\\uD834\\uDd1e"', '"\\uFFFF"', '"\\uFDD0"', map({ "\"$_\"" } map { chr } 0x01 .. 0x21), "\"\0\"", "\"a\0", "\"\x7F\"", "\"\xC2\x80\"", "\"\xC2\xA0\"", "\"\xE2\x80\xA8\xE2\x80\xA9\"", "\"\xEF\xBB\xBF\"", "\"\xEF\xBF\xBF\"", "\"\xF0\x9F\x98\x80\"", "\"\xF4\x8F\xBF\xBF\"",
    "\"a\nb\"", "\"a\r\nb\"", "\"a\tb\"", '"/* */"', '"// a"', '"# a"', '"' . 'x' x 70 . '"', '"' . 'x' x 15 . '\\n' . 'y' x 15 . '"', map({ '"' . 'x' x $_ . '\\"' . '"' } 0 .. 18), map({ '"' . 'x' x $_ . "\x1F" . '"' } 0 .. 18), map({ '"' . 'x' x $_ . "\xC3\xA9" . '"' } 0 .. 18),
    # bytes that are no UTF-8: overlong, surrogates, cut, beyond
    "\"\xFF\"", "\"\x80\"", "\"\xC3\"", "\"\xC3\x28\"", "\"\xC0\x80\"", "\"\xC0\xAF\"", "\"\xE0\x80\x80\"", "\"\xE2\x82\"", "\"\xED\xA0\x80\"", "\"\xED\xA0\x80\xED\xB0\x80\"", "\"\xF0\x80\x80\x80\"", "\"\xF4\x90\x80\x80\"", "\"\xF8\x88\x80\x80\x80\"", "\"\xE9\"", "\xFF", "\xE9", "\xC3\xA9");

my @spaces = (map({ "$_$_\[$_ 1$_,$_\"a\"$_\]$_" } ' ', "\t", "\r", "\n", "\r\n"), map({ ($_, "${_}1", "1$_", "[$_]", "[1$_]", "[1,${_}2]", "{${_}}", "{\"a\"$_:1}", "{\"a\":${_}1}") }
      "\x0B", "\x0C", "\x00", "\x01", "\x08", "\x1F", "\x7F", "\xC2\x85", "\xC2\xA0", "\xE2\x80\x80", "\xE2\x80\xA8", "\xE2\x81\xA0", "\xE3\x80\x80", "\xEF\xBB\xBF", '\\', '\\n', '\\u0020', '_', ';', '//', '/**/', '#', '--', '<!-- -->', '%20'));

my @shapes = ('', ' ', '[]', '{}', '[ ]', '{ }', '[', ']', '{', '}', '[}', '{]', '[]]', '{}}', '[[]', '[][]', '{}{}', '[]{}', '[],[]', ',', '[,]', '[1,]', '[,1]', '[1,,2]', '[1 2]', '[1;2]', '[1:2]', '["a":1]', '[1', '[1,', '["a', '["a"', '["a",', '[[', '[[1]', '[{', '[{}', '[{"a"', '[{"a":', '[{"a":1', '[{"a":1}',
    '[1]]', '[1]x', '[1] 2', '1 2', '1,2', '1]', '"a" "b"', 'null null', '{"a"}', '{"a":}', '{"a" 1}', '{"a"::1}', '{"a":1,}', '{,}', '{,"a":1}', '{"a":1,,"b":2}', '{"a":1 "b":2}', '{"a":1;"b":2}', '{"a"=1}', '{a:1}', '{\'a\':1}', '{1:1}', '{null:1}', '{true:1}', '{[]:1}', '{{}:1}', '{"a":1:2}', '{:1}', '{"":1}', '{"":""}',
    '{"a":1,"a":2}', '{"a":1,"a":null}', '{"a":{"b":1},"a":{"c":2}}', '{"a":[1,{"b":[]}],"c":{"d":{"e":null}}}', '{"a":1', '{"a":1,', '{"a":1,"b', '{"a":1,"b"', '{"a":1,"b":', '{"a', '{"a"', '{"a":', '{"a":1]', '[1}', '[{]}', '{[}]', '{"\\u0061":1}', '{"\\u0000":1}', '{"a\\u0000b":1}', '{"\\ud800":1}', '{"\\":1}', '{"a\\":1}', "{\"a\nb\":1}", "{\"\t\":1}", "{\"\xFF\":1}",
    '{"a b.c[0]":1}', '{"a":"b","c":[1,2,{"d":"e"}]}', '[1]//', '[1]/**/', '/**/[1]', '[/**/1]', '[1]#', '#', '//', '/', '*', '@', '<null>', '[<null>]', '[...]', '...', '[a', '[*]', '[\\u000A""]', '["\\u0061"', '["x", truth]', '["",', '["a",4', '[null,1,"",{}]', '[[]   ]', '[-]', '[-,1]', '[1e1,-0,true]', '[true,false,null]', '[1 true]', '[true"a"]', '["a"1]', '["a"{}]', '[[]{}]', '[{}[]]', '{"a":"b"}/', '{"a":"b"}#{}', '{"a":[}]', '{"a":{]}}',
    "\xEF\xBB\xBF", "\xEF\xBB\xBF1", "\xEF\xBB\xBF{}", "\xEF\xBB\xBF\xEF\xBB\xBF{}", " \xEF\xBB\xBF{}", "\xEF\xBB", "\xEF\xBB{}", "\xEF", "{}\xEF\xBB\xBF", "[\xEF\xBB\xBF]", "\xFE\xFF\0{\0}", "\xFF\xFE{\0}\0", "{\0}\0", "\0{\0}", "{}\0", "\0{}", "{}\x1A", "{}\n", "\n{}", "{}\r", "{}\r\n", "{\n}", "[\n1\n,\n2\n]\n", "1\n2", "1\n,2", "{\"a\":\n1}", '[' x 100, ('[' x 100) . (']' x 100), ('{"a":' x 100) . '1' . ('}' x 100), ('[' x 100) . (']' x 99), ('[' x 99) . (']' x 100), ('{"a":' x 50) . ('[' x 50) . '1' . (']' x 50) . ('}' x 50),
    ('[' x 990) . (']' x 990), '[' . join(',', 1 .. 500) . ']', '{' . join(',', map { "\"k$_\":$_" } 1 .. 500) . '}', '{"' . 'k' x 5000 . '":1}', map { '{"' . 'k' x $_ . '":1,"' . 'k' x $_ . 'x":2}' } 1 .. 20);

# Each of them alone, and, where something is cut, every beginning of a text that has all.
sub edges
{
    my $all = ' {"a\\u00e9" : [ -1.5e+3 , true,null ,"x\\"\\ud83d\\ude00" ] , "b":{ } } ';
    return (@numbers, @words, @strings, @spaces, @shapes, map { substr($all, 0, $_) } 1 .. length($all) - 1);
}

# ---- at random

sub space { return rand() < 0.8 ? '' : join('', map { pick(' ', "\t", "\r", rand() < 0.1 ? "\n" : ' ') } 1 .. 1 + int(rand(3))); }

sub number
{
    my $s = pick('', '', '-') . pick('0', 1 + int(rand(9)) . digits(int(rand(rand() < 0.1 ? 40 : 6))));
    $s .= '.' . digits(1 + int(rand(rand() < 0.1 ? 40 : 5))) if rand() < 0.4;
    $s .= pick('e', 'E') . pick('', '+', '-') . digits(1 + int(rand(3))) if rand() < 0.2;
    return $s;
}

sub string
{
    my $s = '';
    for (1 .. int(rand(rand() < 0.1 ? 60 : 8)))
    {
        my $what = rand();
        $s .= $what < 0.6 ? pick('a' .. 'z', 'A' .. 'Z', 0 .. 9, split(//, ' .,:;-_{}[]/\'#')) : $what < 0.8 ? '\\' . pick(split(//, '"\\/bfnrt'))
          : $what < 0.9 ? sprintf(pick('\\u%04x', '\\u%04X'), pick(int(rand(0xD800)), 1 + int(rand(0x7F)), 0xE000 + int(rand(0x2000))))
          : $what < 0.92 ? sprintf('\\u%04x\\u%04x', 0xD800 + int(rand(0x400)), 0xDC00 + int(rand(0x400)))
          : $what < 0.925 ? pick('\\u0000', '\\ud800', '\\udfff') : pick("\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80", "\xC2\xA0");
    }
    return "\"$s\"";
}

sub value
{
    my ($depth) = @_;
    my $what = rand();
    return pick('true', 'false', 'null') if $what < 0.15;
    return number() if $what < 0.4;
    return string() if $what < 0.6 || $depth > 4;
    my $n = int(rand(4));
    return '[' . space() . join(',', map { space() . value($depth + 1) . space() } 1 .. $n) . ']' if $what < 0.8;
    return '{' . space() . join(',', map { space() . (rand() < 0.3 ? '"a"' : string()) . space() . ':' . space() . value($depth + 1) . space() } 1 .. $n) . '}';
}

sub plain { return space() . value(0) . space(); }

my @strange = (split(//, "{}[]\"\\,:0123456789+-.eEtfnul/*'#; \t\r"), "\n", "\0", "\x0B", "\x0C", "\x1F", "\x7F", "\xC2\xA0", "\xEF\xBB\xBF", "\xFF", "\xC3", "\x80", "\xC3\xA9", '\\u', '\\u0000', '\\ud800', '\\udc00', '"a":', ',"a":', '""', '[]', '{}', '//', 'null', 'NaN', 'e5', '1e', '.', '\\"', '\\\\');

# A value with one to three small changes; rarely cut, or a part of it twice.
sub mutant
{
    my $s = plain();
    for (1 .. 1 + int(rand(3)))
    {
        my $at = int(rand(length($s) + 1));
        my $what = rand();
        if ($what < 0.35) { substr($s, $at, 0) = pick(@strange); }
        elsif ($what < 0.65 && $at < length $s) { substr($s, $at, 1) = pick(@strange); }
        elsif ($what < 0.85 && $at < length $s) { substr($s, $at, 1 + int(rand(3))) = ''; }
        elsif ($what < 0.93) { substr($s, $at) = ''; }
        else { substr($s, $at, 0) = substr($s, int(rand(length($s) + 1)), 1 + int(rand(5))); }
    }
    return $s;
}

1;
