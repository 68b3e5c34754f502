# Limits and timeouts of the server, of databases and of roles: those that are
# meant for sessions do not end a run, and those of the session that waits do.
use strict;
use warnings;
use Kaireon;
use Test::More;

my $k = Kaireon->new('limits', conf => "max_connections = 8\nsuperuser_reserved_connections = 1\nmax_wal_senders = 0\nkaireon.supervisor_idle_timeout = 1\n");
my $version = $k->sql("SELECT current_setting('server_version_num')::int / 10000");
my @fields = ({ name => 'id', dataType => 'integer', isPrimaryKey => \1 }, { name => 'name', dataType => 'varchar' });
$k->write_rows('few.csv', 100, sub { "$_[0],name $_[0]" }, 'id,name');
$k->sql('CREATE DATABASE tight');
$k->sql('CREATE EXTENSION kaireon', 'tight');
$k->sql('CREATE ROLE loader LOGIN; GRANT kaireon_admin TO loader');
$k->sql('GRANT CREATE ON SCHEMA public TO loader', 'tight');
my $as_loader = sub { return $k->sql("SET SESSION AUTHORIZATION loader; $_[0]", 'tight') };
$as_loader->("SELECT kaireon.create_connector('files', 'local_fs', " . $k->json({ basePath => $k->files }) . ');'
      . "SELECT kaireon.create_schema('t', " . $k->json(\@fields) . ');'
      . q(SELECT kaireon.create_pipeline('t', 'files', 't', '[{"id": "s", "type": "source", "config": {"resource": "few.csv"}}, {"id": "t", "type": "target"}]')));

sub status { return $k->sql("SELECT status FROM kaireon.runs WHERE run_id = '$_[0]'", 'tight'); }

# A session that none of the timeouts touches.
my $free = '-c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=0'
  . ($version >= 17 ? ' -c transaction_timeout=0' : '') . ' -c idle_session_timeout=0 -c default_transaction_read_only=off';

# held(): it keeps runs from writing.
sub held
{
    my $session = $k->session('tight', "options='$free'");
    $session->query('BEGIN; LOCK TABLE ds_t IN SHARE MODE');
    is($session->err, '', 'the table is locked');
    return $session;
}

# outlasts(RUN): it has waited for the table for longer than any of the timeouts.
sub outlasts
{
    my ($run) = @_;
    return $k->poll('the run to wait', "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'kaireon run' AND datname = 'tight'"
          . " AND wait_event_type = 'Lock' AND clock_timestamp() - backend_start > interval '400 ms')");
}

# ---- timeouts

my @timeouts = (qw(statement_timeout lock_timeout idle_in_transaction_session_timeout idle_session_timeout), $version >= 17 ? 'transaction_timeout' : ());
for my $scope ('DATABASE tight', 'ROLE loader')
{
    $k->sql("ALTER $scope SET $_ = '150ms'") for @timeouts;
    $k->sql("ALTER $scope SET default_transaction_read_only = on");
    my $lock = held();
    my $run = $k->node->safe_psql('tight', q(SELECT kaireon.start_pipeline('t')), extra_params => [], connstr => $k->node->connstr('tight') . " options='$free'");
    ok(outlasts($run), "ALTER $scope: a run outlasts timeouts that are meant for sessions");
    $lock->query('COMMIT');
    $lock->close;
    is($k->poll('its end', sub { return status($run) eq 'success' }), 1, "ALTER $scope: and succeeds");
    $k->sql("ALTER $scope RESET ALL");
    $as_loader->('TRUNCATE ds_t');
}
for my $timeout ('statement_timeout', $version >= 17 ? 'transaction_timeout' : ())
{
    my $lock = held();
    my $session = $k->session('tight');
    $session->query("SET $timeout = '300ms'");
    $session->send(q(SELECT status FROM kaireon.run_pipeline('t')));
    eval { $session->result };
    $lock->query('COMMIT');
    $lock->close;
    eval { $session->close };
    ok($k->poll('the end of the run', sub { return $k->sql("SELECT status FROM kaireon_internal.run WHERE waits ORDER BY queued_at DESC LIMIT 1", 'tight') eq 'cancelled' }),
        "the $timeout of the session that waits for a run cancels the run");
}
is($k->sql('SELECT count(*) FROM ds_t', 'tight'), 0, 'which loads nothing');

# ---- connections

$k->sql('ALTER ROLE loader CONNECTION LIMIT 1; ALTER DATABASE tight CONNECTION LIMIT 1');
my $only = $k->session('tight', 'user=loader');
is($only->query('SELECT session_user'), 'loader', 'the only session that role and database allow');
is($only->query(q(SELECT status FROM kaireon.run_pipeline('t'))), 'success', 'can run pipelines: workers are not connections');
$only->close;
$k->sql('ALTER ROLE loader CONNECTION LIMIT 0; ALTER DATABASE tight CONNECTION LIMIT 0');
$as_loader->('TRUNCATE ds_t');
is($k->sql(q(SELECT status FROM kaireon.run_pipeline('t')), 'tight'), 'success', 'so can a superuser for a role that may not connect');
$k->sql('ALTER ROLE loader CONNECTION LIMIT -1; ALTER DATABASE tight CONNECTION LIMIT -1');
$as_loader->('TRUNCATE ds_t');
{
    my @all;
    my $ours = $k->session('tight');
    $k->poll('no session left', sub {
        my ($code, $out, $err) = $k->node->psql('tight', 'SELECT 1', connstr => $k->node->connstr('tight') . ' user=loader');
        return 1 if $code && $err =~ /too many clients|remaining connection slots/;
        push @all, $k->session('tight', 'user=loader');
        return 0;
    });
    is($ours->query(q(SELECT status FROM kaireon.run_pipeline('t'))), 'success', 'a run needs none of max_connections');
    $_->close for @all, $ours;
}
ok($k->same_postmaster, 'the server lived through');
$k->settled('limits', 'tight');
done_testing;
