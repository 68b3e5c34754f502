# The quickstart's script, without packages and build: start, start again, stop,
# stop again, start from what is there.
use strict;
use warnings;
use FindBin;
use Test::More;
use PostgreSQL::Test::Utils;

my $script = "$FindBin::Bin/../../quickstart/quickstart";

plan skip_all => 'pg_cron is not installed'
  if !-e `$ENV{KAIREON_PG_CONFIG} --sharedir` =~ s/\n//r . '/extension/pg_cron.control';

$ENV{SKIP_BUILD} = 1;
$ENV{ROWS} = 3000;
$ENV{PG_CONFIG} = $ENV{KAIREON_PG_CONFIG};
delete @ENV{qw(PGPORT PGHOST PGUSER PGDATABASE)};

# call(ACTION): its output and whether it succeeded.
sub call
{
    my ($action) = @_;
    my $out;
    my $fine = IPC::Run::run([ $script, $action ], '<', '/dev/null', '>', \$out, '2>&1');
    return ($out, $fine);
}

my ($out, $fine) = call('start');
ok($fine, 'it runs') or diag($out);
like($out, qr/generating 3000 customers +ok/, 'generates its data');
like($out, qr/status +\| (success|partial)/, 'shows the run');
like($out, qr/rows_read +\| 3000/, 'that read every row');
like($out, qr/psql -h \S+ -p \d+ -U postgres postgres/, 'says how to open psql');

($out, $fine) = call('start');
ok($fine, 'it runs again') or diag($out);
like($out, qr/there already.*running already.*there already.*loaded already/s, 'saying what is there');
like($out, qr/rows_read +\| 3000/, 'and showing the same run');

($out, $fine) = call('stop');
ok($fine, 'it stops');
like($out, qr/^stopped the cluster/, 'saying so');
($out, $fine) = call('stop');
ok($fine, 'stopping twice is fine');
like($out, qr/^no cluster is running/, 'saying so');

($out, $fine) = call('start');
ok($fine, 'it starts from what is there') or diag($out);
like($out, qr/loaded already/, 'and loads nothing again');

END
{
    my $status = $?;
    call('clean') if $script;
    $? = $status;
}
done_testing;
