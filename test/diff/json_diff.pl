# json_diff.pl: the reader's JSON against PostgreSQL's own.
#
# Edge cases, random values and values with some bytes changed go through
# json_diff (the reader's formats) and through a private server's type json, in
# each way json_diff.c has, as a line, a document, an element and beside other
# values.  A text must be taken exactly when the server takes it, its rows must
# be the server's, and each column what "#>>" and a cast make of the value.
#
# Where the reader is another by design: a byte order mark in front is passed
# over, or says that the text is UTF-16; nothing but white space is no row; of what is no UTF-8 only the values
# are bad, so that the server is asked about the text with such bytes as
# U+FFFD; more than 1,000 levels are refused (test_json.c).
#
#   perl test/diff/json_diff.pl
#   JSON_DIFF_COUNT=100000 JSON_DIFF_SEED=7 perl test/diff/json_diff.pl
#
# DiffServer.pm says how it is run.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin";
use DiffServer 'json_diff';
use Time::HiRes qw(time);

use JsonTexts qw(edges plain mutant);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $count = DiffServer::count_and_seed('JSON_DIFF', 1000);

# ---- the server --------------------------------------------------------------

my $node = DiffServer::start('json');
$node->safe_psql('postgres', <<'SQL');
-- What the value is in a column of the kind; "error" where it can't be.
CREATE FUNCTION as_kind(kind int, value text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RETURN CASE kind
        WHEN 1 THEN value
        WHEN 2 THEN value::jsonb::text
        WHEN 3 THEN value::numeric::text
        WHEN 4 THEN value::bigint::text
        WHEN 5 THEN encode(float8send(value::float8), 'hex')
        WHEN 6 THEN value::boolean::text
    END;
EXCEPTION WHEN OTHERS THEN
    RETURN 'error';
END $$;

-- The text of a value; NULL: it has none, since it says \u0000 or half a pair.
CREATE FUNCTION says(value json) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RETURN CASE WHEN json_typeof(value) = 'string' THEN value #>> '{}' ELSE btrim(value::text, E' \t\r\n') END;
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END $$;

CREATE FUNCTION is_json(source text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM source::json;
    RETURN true;
EXCEPTION WHEN OTHERS THEN
    RETURN false;
END $$;

-- The rows of a text by the way; NULL: the server can't tell, since it says such a thing somewhere.
CREATE FUNCTION rows_of(way text, whole json) RETURNS json[] LANGUAGE plpgsql AS $$
BEGIN
    RETURN CASE
        WHEN way = 'line' OR way = 'document' AND json_typeof(whole) <> 'array' THEN ARRAY[whole]
        WHEN way = 'document' THEN ARRAY(SELECT v FROM json_array_elements(whole) WITH ORDINALITY AS e(v, n) ORDER BY n)
        WHEN way = 'record' THEN ARRAY(SELECT v -> 'v' FROM json_array_elements(whole -> 'rows') WITH ORDINALITY AS e(v, n) ORDER BY n)
        WHEN way = 'fields' THEN ARRAY[whole -> 'v']
        WHEN way = 'flat' THEN ARRAY[whole #> '{o,v}']
    END;
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END $$;

-- What is wrong with a cell "STATE:hex" of a column of the kind; NULL: nothing.
CREATE FUNCTION judge_cell(kind int, value json, cell text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    state text := split_part(cell, ':', 1);
    want text;
    got text;
BEGIN
    IF value IS NULL OR json_typeof(value) = 'null' THEN
        RETURN CASE WHEN state <> 'NULL' THEN 'no null: ' || cell END;
    END IF;
    got := convert_from(decode(split_part(cell, ':', 2), 'hex'), 'UTF8');
    IF kind = 2 THEN
        RETURN CASE WHEN state <> 'RAW' OR got <> btrim(value::text, E' \t\r\n') THEN format('JSON is %s %s', state, got) END;
    END IF;
    want := says(value);
    want := CASE WHEN want IS NULL THEN 'error' ELSE as_kind(kind, want) END;
    got := CASE state WHEN 'BAD' THEN 'error' WHEN 'RAW' THEN as_kind(kind, got) ELSE got END;
    RETURN CASE WHEN got IS DISTINCT FROM want THEN format('column %s is %s %s, not %s', kind, state, got, want) END;
END $$;

-- The same of an answer of json_diff.c; `known`: are its rows?
CREATE FUNCTION judge(way text, source text, known boolean, answer text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    refused text := substring(answer FROM '(?:^|\t)((?:reject|error|but) .*)$');
    wanted json[];
    cells text[];
    n int := 0;
    line text;
    wrong text;
BEGIN
    IF NOT is_json(source) THEN
        RETURN CASE WHEN refused IS NULL THEN 'taken, the server refuses it'
                    WHEN refused !~ '^(reject|error) 22P04 invalid JSON at line [0-9]+, column [0-9]+, path \$.*: [^ ].*' THEN 'badly refused: ' || refused END;
    ELSIF refused IS NOT NULL THEN
        RETURN 'refused: ' || refused;
    END IF;
    wanted := CASE WHEN known THEN rows_of(way, source::json) END;
    IF wanted IS NULL THEN
        RETURN NULL;
    END IF;
    FOREACH line IN ARRAY regexp_split_to_array(rtrim(answer, E'\t'), '\t') LOOP
        CONTINUE WHEN line = '';
        n := n + 1;
        cells := string_to_array(line, ' ');
        FOR kind IN 1 .. 6 LOOP
            wrong := coalesce(wrong, judge_cell(kind, wanted[n], cells[kind + 1]));
        END LOOP;
    END LOOP;
    RETURN coalesce(wrong, CASE WHEN n <> cardinality(wanted) THEN format('%s rows, not %s', n, cardinality(wanted)) END);
END $$;
CREATE UNLOGGED TABLE answers (id int, way text, source bytea, known boolean, answer text);
SQL
note('PostgreSQL ' . $node->safe_psql('postgres', 'SHOW server_version'));

# ---- comparing -----------------------------------------------------------------

my $sequence = qr/[\x01-\x7F]|[\xC2-\xDF][\x80-\xBF]|\xE0[\xA0-\xBF][\x80-\xBF]|[\xE1-\xEC\xEE\xEF][\x80-\xBF]{2}|\xED[\x80-\x9F][\x80-\xBF]|\xF0[\x90-\xBF][\x80-\xBF]{2}|[\xF1-\xF3][\x80-\xBF]{3}|\xF4[\x80-\x8F][\x80-\xBF]{2}/;

# The text as the server can be asked about it: no JSON has a zero byte in it, nor \x01.
sub for_server
{
    my ($text) = @_;
    $text =~ s/\0/\x01/g;
    $text =~ s/($sequence)|./$1 \/\/ "\xEF\xBF\xBD"/ges;
    return $text;
}

# [WAY, TEXT]: a text in each place it can have.
sub places
{
    my ($text) = @_;
    my @places = ([ 'document', $text ], [ 'document', "[7, $text ,[$text]]" ], [ 'record', "{\"x\":$text,\"rows\":[{\"w\":$text,\"v\":$text},{}],\"y\":[$text]}" ]);
    push @places, [ 'line', $text ], [ 'fields', "{\"u\":$text,\"v\":$text }" ], [ 'flat', "{\"p\":$text,\"o\":{\"w\":$text,\"v\":$text}}" ] if $text !~ /\n/;
    # in front of a file a byte order mark is none of its text, and a file of nothing has no rows
    return grep { $_->[1] ne $text || ($text =~ /[^ \t\r\n]/ && $text !~ /^(?:\xEF\xBB\xBF|\xFE\xFF|\xFF\xFE)/) } @places;
}

sub compare
{
    my ($name, @texts) = @_;
    my %seen;
    my @asked = map { my $text = $_; map { [ @$_, $text ] } places($text) } grep { !$seen{$_}++ } @texts;
    my @answers = DiffServer::ask($name, map { "$_->[0]\t" . unpack('H*', $_->[1]) } @asked);
    is(scalar(@answers), scalar(@asked), "$name: " . scalar(@asked) . ' answers about ' . keys(%seen) . ' texts');
    open(my $file, '>', "$ENV{TESTDATADIR}/$name.copy") or die $!;
    for my $id (0 .. $#asked)
    {
        my ($way, $text, $alone) = @{ $asked[$id] };
        my $source = for_server($text);
        print $file join("\t", $id, $way, '\\\\x' . unpack('H*', $source), $source eq $text ? 't' : 'f', $answers[$id] =~ s/([\\\t])/$1 eq "\t" ? '\\t' : '\\\\'/ger), "\n";
        print $file join("\t", $id, 'alone', '\\\\x' . unpack('H*', for_server($alone)), 't', ''), "\n";
    }
    close $file;
    my @wrong = split(/\n/, $node->safe_psql('postgres', <<SQL));
        TRUNCATE answers;
        COPY answers FROM '$ENV{TESTDATADIR}/$name.copy';
        -- a text that is no JSON alone may have ended what is around it: then only whether all is taken is known
        SELECT id, wrong FROM (
            SELECT a.id, judge(a.way, convert_from(a.source, 'UTF8'), a.known AND is_json(convert_from(t.source, 'UTF8')), a.answer) AS wrong
            FROM answers a JOIN answers t USING (id) WHERE a.way <> 'alone' AND t.way = 'alone') AS judged
        WHERE wrong IS NOT NULL ORDER BY id;
SQL
    is(scalar(@wrong), 0, "$name: nothing taken, refused or read otherwise than by the server");
    for my $line (@wrong[ 0 .. ($#wrong < 19 ? $#wrong : 19) ])
    {
        my ($id, $wrong) = split(/\|/, $line, 2);
        diag("$asked[$id][0] '" . DiffServer::shown($asked[$id][1]) . "': $wrong");
    }
    my $refused = grep { /(?:^|\t)(?:reject|error) / } @answers;
    note("$name: $refused refused, " . (@answers - $refused) . ' taken');
    return;
}

my $from = time();
compare('edges', edges());
compare('plain', map { plain() } 1 .. $count);
compare('mutants', map { mutant() } 1 .. 4 * $count);
note(sprintf('%.1f s', time() - $from));
$node->stop('immediate');
done_testing();
