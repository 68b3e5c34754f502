# A session that reads, ended at any moment: by pg_cancel_backend, by
# statement_timeout, by pg_terminate_backend, by its client.  While the source is
# listed, opened, decompressed and read, and while a reader that was stopped
# says nothing at all, the statement ends and no reader is left behind.
#
# How long it took is told in notes and not tested.
use strict;
use warnings;
use IO::Compress::Gzip qw(gzip);
use Kaireon;
use Test::More;
use Time::HiRes qw(time);

my $k = Kaireon->new('reading_cancel');
my $files = $k->files;
$k->sql("SELECT kaireon.create_connector('files', 'local_fs', " . $k->json({ basePath => $files }) . ')');

# Many files to list, many rows, and 200 MB of comments that come before the first row out of little.
mkdir "$files/many" or die;
$k->write_file("many/a-file-with-a-name-of-some-length-$_.csv", "id\n$_\n") for 1 .. 10_000;
$k->write_rows('rows.csv', 300_000, sub { "$_[0],name $_[0],{}" }, 'id,name,doc');
$k->write_rows('wrong.csv', 300_000, sub { 'no row' }, 'id,name,doc');
my ($comments, $packed, $end) = (('#' . 'x' x 999 . "\n") x 4000, '', '');
gzip(\$comments => \$packed) or die;
gzip(\"id\n1\n" => \$end) or die;
$k->write_file('late.csv.gz', ($packed x 50) . $end);

my $again = 'FROM generate_series(1, 100000) g, LATERAL';
my %statements = (
    listing => "SELECT count(*) $again kaireon.list_objects('files', CASE WHEN g > 0 THEN 'many/*' END) o",
    opening => "SELECT count(*) $again kaireon.read('files', CASE WHEN g > 0 THEN 'many/*' END) AS t(id int)",
    decompressing => "SELECT count(*) $again kaireon.read('files', CASE WHEN g > 0 THEN 'late.csv.gz' END, '{\"comment\": \"#\"}') AS t(id int)",
    reading => "SELECT count(*) $again kaireon.read('files', CASE WHEN g > 0 THEN 'rows.csv' END) AS t(id int, name text)",
    converting => "SELECT count(doc) $again kaireon.read('files', CASE WHEN g > 0 THEN 'rows.csv' END) AS t(doc jsonb)",
    refusing => "SELECT count(doc) + count(name) $again kaireon.read('files', CASE WHEN g > 0 THEN 'rows.csv' END, '{\"onError\": \"null\"}') AS t(doc jsonb, name regclass)",
    leaving_out => "SELECT count(*) $again kaireon.read('files', CASE WHEN g > 0 THEN 'wrong.csv' END, '{\"onError\": \"skip\"}') AS t(id int)",
    describing => "SELECT count(kaireon.describe('files', CASE WHEN g > 0 THEN 'late.csv.gz' END, '{\"comment\": \"#\"}')) FROM generate_series(1, 100000) g",
    inferring => "SELECT count(kaireon.infer_fields('files', CASE WHEN g > 0 THEN 'rows.csv' END, sample_rows => 300000)) FROM generate_series(1, 100000) g",
    testing => "SELECT count(kaireon.test_connector(CASE WHEN g > 0 THEN 'files' END)) FROM generate_series(1, 100000) g");

my $control = $k->session;

sub reader_of { my ($backend) = @_; return (grep { Kaireon::_comm($_) =~ /^kaireon-reader/ } Kaireon::children($backend))[0]; }

# begun(SESSION, STATEMENT, STOPPED): sends it and waits until it has a reader,
# which is stopped if that is wanted: then the backend waits for it.
sub begun
{
    my ($session, $statement, $stopped) = @_;
    $session->send($statement);
    for my $try (1 .. 1000)
    {
        my $reader;
        $k->poll('a reader', sub { $reader = reader_of($session->pid) });
        return unless $reader;
        return $reader unless $stopped;
        # statements start one reader after the other: the one found may have ended meanwhile
        next unless kill('STOP', $reader);
        next unless $k->poll('it to stop, or to end', sub { return Kaireon::_stat($reader) !~ /^\d+ \(.*\) [RSD] /s; });
        next unless Kaireon::_stat($reader) =~ /^\d+ \(.*\) T (\d+) /s && $1 == $session->pid;
        $k->poll('the backend to wait for it', sub {
            return $control->query("SELECT coalesce(wait_event_type = 'Extension', false) FROM pg_stat_activity WHERE pid = " . $session->pid) eq 't';
        });
        return $reader;
    }
    return;
}

sub is_gone
{
    my ($reader, $backend, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    ok($k->gone($reader) && $k->poll('the backend to have no reader', sub { return !reader_of($backend) }), "$what: no reader is left");
    return;
}

for my $what (sort keys %statements)
{
    for my $stopped (0, 1)
    {
        my $session = $k->session;
        my $name = $what . ($stopped ? ', the reader stopped' : '');
        my ($reader, $from);

        $reader = begun($session, $statements{$what}, $stopped);
        $from = time;
        $control->query('SELECT pg_cancel_backend(' . $session->pid . ')');
        $session->result;
        note(sprintf('%s: %.0f ms', $name, 1000 * (time - $from)));
        like($session->err, qr/57014: canceling statement due to user request/, "$name: pg_cancel_backend");
        is_gone($reader, $session->pid, $name);
        is($session->query('SELECT 1'), 1, "$name: the session goes on");

        # the time begins anew with each statement: it runs out after the reader was stopped, or before; both have to work
        $session->query($stopped ? "SET statement_timeout = '300ms'" : "SET statement_timeout = '50ms'");
        $session->send($statements{$what});
        if ($stopped)
        {
            $reader = undef;
            $k->poll('a reader', sub { $reader = reader_of($session->pid) });
            kill 'STOP', $reader if $reader;
        }
        $session->result;
        like($session->err, qr/57014: canceling statement due to statement timeout/, "$name: statement_timeout");
        $session->query('RESET statement_timeout');
        ok(!reader_of($session->pid), "$name: no reader is left");

        $reader = begun($session, $statements{$what}, $stopped);
        $control->query('SELECT pg_terminate_backend(' . $session->pid . ')');
        ok($k->gone($session->pid), "$name: pg_terminate_backend");
        is_gone($reader, $session->pid, $name);
        $session->abandon;
    }
}

# A cursor is idle, its reader stopped: what ends the transaction or the session ends it.
{
    my $session = $k->session;
    my $open = sub {
        my ($reader) = (begun($session, "BEGIN; DECLARE c CURSOR FOR SELECT id FROM kaireon.read('files', 'rows.csv') AS t(id int); FETCH 1 c", 0));
        $session->result;
        kill 'STOP', $reader;
        return $reader;
    };
    my $reader = $open->();
    $session->query('ROLLBACK');
    is_gone($reader, $session->pid, 'ROLLBACK');
    $reader = $open->();
    $session->query('CLOSE c; COMMIT');
    is_gone($reader, $session->pid, 'CLOSE');
    $reader = $open->();
    $k->sql('SELECT pg_terminate_backend(' . $session->pid . ')');
    ok($k->gone($session->pid, $reader), 'an idle session is terminated: its reader ends, too');
    $session->abandon;
    $session = $k->session;
    $reader = $open->();
    my $backend = $session->pid;
    $session->close;
    ok($k->gone($backend, $reader), 'a session that ends: its reader, too');
}

# A server that stops waits for no reader.
{
    my $session = $k->session;
    my $reader = begun($session, $statements{reading}, 1);
    $control->close;
    $k->node->stop('fast');
    ok($k->gone($reader), 'the server stops: a stopped reader ends with it');
    $session->abandon;
    $k->node->start;
    $k->remember_postmaster;
}

# What can't be asked of a reader is refused before it is.
like($k->sql_error("\\set VERBOSITY verbose\nSELECT * FROM kaireon.read('files', 'rows.csv', jsonb_build_object('nullStrings', jsonb_build_array(repeat('x', 70000000)))) AS t(id int)"),
    qr/54000: what the reader is asked for takes \d+ bytes, more than the limit of \d+.*HINT/s, 'a request that is too long');
# One that is nearly so is taken in whole, although the reader has been held to less memory before.
is($k->sql("SELECT count(*) > 0 FROM kaireon.read('files', 'rows.csv', jsonb_build_object('nullStrings', jsonb_build_array(repeat('x', 60000000)))) AS t(id int)"),
    't', 'a request that is nearly too long');

is(scalar($k->readers), 0, 'no reader is left');
ok($k->same_postmaster, 'the server lived through');
done_testing();
