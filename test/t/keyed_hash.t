# Keyed hashes: what a hash node with a keySecret makes is what openssl makes,
# the secret is nowhere but in its file or variable, and who may use it.
use strict;
use warnings;
use IPC::Run ();
use Kaireon;
use PostgreSQL::Test::Utils;
use Test::More;

my $secret = 'pepper-4711-of-the-test';
my $other = "gr\xc3\xbcn " . 'x' x 200; # longer than a block, in UTF-8
$ENV{KAIREON_TEST_PEPPER} = $other;
$ENV{KAIREON_TEST_HIDDEN} = $secret;
my $k = Kaireon->new('keyed_hash', conf => "log_statement = all\nkaireon.credential_env = 'KAIREON_TEST_PEPPER'\n");
my $folder = PostgreSQL::Test::Utils::tempdir();

# secret_file(NAME, CONTENT): its path.
sub secret_file
{
    my ($name, $content) = @_;
    open my $out, '>:raw', "$folder/$name" or die;
    print $out $content;
    close $out or die;
    return "$folder/$name";
}

# hmac(ALGORITHM, KEY, VALUE): as openssl has it.
sub hmac
{
    my ($algorithm, $key, $value) = @_;
    my $out;
    IPC::Run::run([ 'openssl', 'dgst', "-$algorithm", '-mac', 'HMAC', '-macopt', 'hexkey:' . unpack('H*', $key) ], '<', \$value, '>', \$out) or die 'openssl';
    return $out =~ /([0-9a-f]+)\s*$/ ? $1 : $out;
}

my $file = secret_file('pepper', "$secret\n");
my @values = ('ada@example.com', '', "\xc3\xa4\xe2\x82\xac", 'x' x 5000);
$k->write_csv('in.csv', [qw(n v)], (map { [ $_ + 1, $values[$_] ] } 0 .. $#values), [ 9, undef ]);
$k->make('hashed', fields => [ { name => 'n', dataType => 'integer', isPrimaryKey => \1 }, { name => 'v', dataType => 'text' }, { name => 'm', dataType => 'text' }, { name => 'e', dataType => 'text' } ],
    source => { resource => 'in.csv' },
    nodes => [ { id => 'md5', type => 'hash', config => { field => 'v', algorithm => 'md5', outputField => 'm', keySecret => { file => $file } } },
        { id => 'env', type => 'hash', config => { field => 'v', outputField => 'e', keySecret => { env => 'KAIREON_TEST_PEPPER' } } },
        { id => q{it's}, type => 'hash', config => { field => 'v', keySecret => { file => $file } } } ]);
my $run = $k->run('hashed');
is("$run->{status} $run->{rows_loaded}", 'success 5', 'a run with keyed hashes');
is($k->sql('SELECT concat_ws(\' \', v, m, e) FROM ds_hashed WHERE n = ' . ($_ + 1)),
    join(' ', hmac('sha256', $secret, $values[$_]), hmac('md5', $secret, $values[$_]), hmac('sha256', $other, $values[$_])), 'as openssl has it: value ' . ($_ + 1)) for 0 .. $#values;
is($k->sql('SELECT v IS NULL AND m IS NULL AND e IS NULL FROM ds_hashed WHERE n = 9'), 't', 'null stays null');
is($k->sql("SELECT p ->> 'v' FROM kaireon.preview_pipeline('hashed', 1) AS p"), hmac('sha256', $secret, $values[0]), 'a preview has them too');

# ---- the secret is nowhere

my $explained = $k->sql("SELECT kaireon.explain_pipeline('hashed', true)");
like($explained, qr/kaireon\.keyed_hash\(v, 'it''s'\)/, 'the SQL names the node');
unlike($explained, qr/\Q$secret\E|\Q$folder\E/, 'and shows neither the secret nor its place');
is($k->sql("SELECT count(*) FROM pg_class c WHERE c.relnamespace = 'kaireon_internal'::regnamespace AND c.relkind = 'r' AND query_to_xml('SELECT * FROM ' || c.oid::regclass, true, true, '')::text LIKE '%$secret%'"),
    0, 'no table of the catalog has it');
unlike($k->sql("SELECT kaireon.export_pipeline('hashed')"), qr/\Q$secret\E/, 'nor an export');
is($k->sql("SELECT kaireon.keyed_hash('x', 'env') IS NULL"), 't', 'outside of a pipeline the function gives null');
my $log = slurp_file($k->node->logfile);
$log =~ s/^.*LIKE '%\Q$secret\E%'.*$//mg; # the question above
unlike($log, qr/\Q$secret\E/, 'the log does not have it');

# ---- another secret, and none

secret_file('pepper', 'another');
$k->sql('TRUNCATE ds_hashed');
$k->run('hashed');
is($k->sql('SELECT v FROM ds_hashed WHERE n = 1'), hmac('sha256', 'another', $values[0]), 'a secret that was changed counts from the next run on');
secret_file('pepper', "\n");
$run = $k->run('hashed');
is("$run->{status} $run->{error_code} $run->{error_message} $run->{error_detail}", 'failed KA013 the secret of node "md5" can\'t be had It is empty.', 'an empty one fails the run whole');
unlink "$folder/pepper" or die;
$run = $k->run('hashed');
is("$run->{status} $run->{error_code} $run->{rows_read}", 'failed KA013 0', 'and one that is gone');
like($run->{error_detail}, qr/File ".*pepper" could not be opened: No such file/, 'which it says');
is($k->sql("SELECT string_agg(DISTINCT severity || ' ' || code, ' ') FROM kaireon.validate_pipeline('hashed')"), 'warning missing_secret', 'validate_pipeline warns');
like($k->sql_error("SELECT kaireon.preview_pipeline('hashed')"), qr/the secret of node/, 'a preview fails too');
secret_file('pepper', $secret);
$k->sql('TRUNCATE ds_hashed');
is($k->run('hashed')->{status}, 'success', 'mended');

# ---- what it may be, and whose

sub refused
{
    my ($key, $message, $role) = @_;
    my $json = $k->json([ { id => 'r', type => 'source', config => { resource => 'in.csv' } }, { id => 'h', type => 'hash', config => { field => 'v', keySecret => $key } }, { id => 'w', type => 'target' } ]);
    my ($own, $schema) = $role ? ("${role}s", "${role}s") : ('files', 'hashed');
    my $error = $k->sql_error(($role ? "SET ROLE $role; " : '') . "SELECT kaireon.create_pipeline('bad', '$own', '$schema', $json)");
    like($error, $message, 'refused: ' . (ref $key ? join ' ', %$key : $key));
    unlike($error, qr/ERROR.*plain secret/, 'without showing a secret') unless ref $key;
    return;
}
refused('plain secret', qr/"keySecret" must refer to a file.*HINT:  Write \{"file"/s);
refused({ file => 'relative' }, qr/by an absolute path/);
refused({ file => '/a', env => 'B' }, qr/must refer to/);
refused({ vault => 'x' }, qr/must refer to/);
refused({ env => '' }, qr/must refer to/);
$k->sql("CREATE ROLE clerk LOGIN; GRANT kaireon_admin TO clerk; GRANT CREATE ON SCHEMA public TO clerk");
$k->sql("SET ROLE clerk; SELECT kaireon.create_connector('clerks', 'local_fs', " . $k->json({ basePath => $k->files }) . "); SELECT kaireon.create_schema('clerks', '[{\"name\": \"v\", \"dataType\": \"text\"}]')");
refused({ file => $file }, qr/must have the rights of pg_read_server_files/, 'clerk');
refused({ env => 'KAIREON_TEST_HIDDEN' }, qr/"KAIREON_TEST_HIDDEN" must be listed in "kaireon.credential_env"/, 'clerk');
my $hers = sub {
    my ($key) = @_;
    $k->sql("GRANT pg_read_server_files TO clerk; SET ROLE clerk; SELECT kaireon.create_pipeline('hers', 'clerks', 'clerks', "
          . $k->json([ { id => 'r', type => 'source', config => { resource => 'in.csv' } }, { id => 'h', type => 'hash', config => { field => 'v', keySecret => $key } }, { id => 'w', type => 'target' } ]) . ', replace => true)');
    return $k->run('hers');
};
is($hers->({ env => 'KAIREON_TEST_PEPPER' })->{status}, 'success', 'a listed variable may be anybody\'s');
is($hers->({ file => $file })->{status}, 'success', 'a file is for who may read files');
is($k->sql("SELECT count(DISTINCT v) FROM ds_clerks WHERE v IN ('" . hmac('sha256', $secret, $values[0]) . "', '" . hmac('sha256', $other, $values[0]) . "')"), 2, 'each with its secret');
$k->sql('REVOKE pg_read_server_files FROM clerk');
$run = $k->run('hers');
is("$run->{status} $run->{error_code}", 'failed 42501', 'and not any more without that right');

# ---- whom it answers: code of others that a run calls tries values in vain

$k->sql(q(CREATE ROLE mallory LOGIN IN ROLE kaireon_admin; CREATE TABLE tried (who name, answer text); GRANT ALL ON tried TO PUBLIC; CREATE SCHEMA mallory AUTHORIZATION mallory; GRANT USAGE ON SCHEMA mallory TO PUBLIC;
    SET ROLE mallory; CREATE FUNCTION mallory.try() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $f$ BEGIN INSERT INTO public.tried VALUES (current_user, coalesce(kaireon.keyed_hash('guess', 'h'), 'null')); RETURN NEW; END $f$;
    RESET ROLE; TRUNCATE ds_clerks; CREATE TRIGGER try BEFORE INSERT ON ds_clerks FOR EACH ROW EXECUTE FUNCTION mallory.try()));
$run = $hers->({ env => 'KAIREON_TEST_PEPPER' });
is(join(' ', grep { defined } @$run{qw(status error_message error_detail)}), 'success', 'a run that calls code of mallory\'s');
is($k->sql('SELECT DISTINCT who, answer FROM tried'), 'mallory|null', 'which gets no answer');
is($k->sql("SELECT count(*) FROM ds_clerks WHERE v = '" . hmac('sha256', $other, $values[0]) . "'"), 1, 'and the owner does');

$k->settled('keyed_hash');
ok($k->same_postmaster, 'the server lived');
done_testing();
