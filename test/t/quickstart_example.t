# The worked example of the quickstart, checked against a reading of its CSV
# that shares nothing with Kaireon: what is loaded, filtered and rejected, that
# setting it up twice does no harm, and that what the newcomer is shown is there.
use strict;
use warnings;
use FindBin;
use Kaireon;
use Test::More;
use PostgreSQL::Test::Utils;

my $rows = 4000;
my $quickstart = "$FindBin::Bin/../../quickstart";

plan skip_all => 'pg_cron is not installed'
  if !-e `$ENV{KAIREON_PG_CONFIG} --sharedir` =~ s/\n//r . '/extension/pg_cron.control';

my $k = Kaireon->new('quickstart', preload => 'pg_cron,kaireon', conf => "cron.database_name = 'postgres'\n");
my $csv = `awk -v rows=$rows -f $quickstart/customers.awk`;
mkdir $k->files . '/customers';
$k->write_file('customers/customers.csv', $csv);

# Fields of each record: the generator writes no quote but around whole fields.
my @records = ([]);
while ($csv =~ /\G("((?:[^"]|"")*)"|([^,\n]*))(,|\n)/g)
{
    push @{ $records[-1] }, defined $2 ? $2 : $3;
    push @records, [] if $4 eq "\n";
}
pop @records;
shift @records;
is(scalar @records, $rows, 'the generator writes the rows asked for');

my $number = qr/^-?\d+\.\d\d$/;
my $filtered = grep { @$_ == 10 && $_->[3] =~ $number && $_->[3] <= 0 } @records;
my $bad = 40;
my %loaded = map { $_->[0] => $_ } grep { @$_ == 10 && $_->[3] =~ $number && $_->[3] > 0 } @records;

sub psql_file
{
    my ($file, @variables) = @_;
    my ($out, $err);
    IPC::Run::run([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', (map { ('-v', $_) } @variables),
        '-d', $k->node->connstr('postgres') ], '<', "$quickstart/$file", '>', \$out, '2>', \$err);
    return ($out, $err);
}

my ($out, $err) = psql_file('setup.sql', 'folder=' . $k->files);
is($err, '', 'setup.sql runs');
($out, $err) = psql_file('setup.sql', 'folder=' . $k->files);
is($err, '', 'setup.sql runs again');

my $run = $k->sql("SELECT (kaireon.run_pipeline('load_customers')).run_id");
is($k->sql("SELECT rows_read, rows_filtered, rows_failed + rows_skipped, rows_loaded
              FROM kaireon.runs WHERE run_id = '$run'"),
    join('|', $rows, $filtered, $bad, $rows - $filtered - $bad), 'the counters are those of the file');
is($k->sql("SELECT count(*) FROM kaireon.run_errors WHERE run_id = '$run'"), $bad, 'each bad row has its reject');
is($k->sql('SELECT count(*) FROM ds_customers'), $rows - $filtered - $bad, 'the table has the rest');
is($k->count_identity($run), 't', 'the counters add up');

my @one = split /\|/, $k->sql('SELECT customer_id, email, name, balance, ssn, tier, signup_date FROM ds_customers
                               WHERE customer_id = \'C0000005\'');
my @want = @{ $loaded{'C0000005'} }[ 0 .. 6 ];
$want[4] = '***-**-' . substr($want[4], -4);
is_deeply(\@one, \@want, 'a row is the file\'s, with its ssn masked');
is($k->sql("SELECT count(*) FROM ds_customers WHERE ssn !~ '^[*]{3}-[*]{2}-[0-9]{4}\$'"), 0, 'no ssn is left unmasked');
my %in_table = map { $_ => 1 } split /\n/, $k->sql('SELECT customer_id FROM ds_customers');
is($k->sql("SELECT count(*) FROM ds_customers WHERE address LIKE E'%\\n%'"),
    scalar(grep { @$_ == 10 && $_->[9] =~ /\n/ && $in_table{ $_->[0] } } @records),
    'line ends inside quotes are kept');

($out, $err) = psql_file('report.sql', "run=$run");
is($err, '', 'report.sql runs');
like($out, qr/ds_customers/, 'and shows the diagram');
ok($k->same_postmaster, 'the server lived through');
done_testing;
