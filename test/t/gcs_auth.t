# Who requests to Google's services are made as: key files of service accounts, access
# tokens, and the machine's own credentials (auth_method iam_role).
#
# Tokens come from a gate (GcsGate.pm), which verifies what is signed and asked for,
# and lets through only who has one.
use strict;
use warnings;
use GcsGate;
use JSON::PP ();
use Kaireon;
use Peers;
use Test::More;

my $peer = Peers::fake_gcs();
my $gate = GcsGate->new($peer->{port});
my $other = GcsGate->new($peer->{port});
my $state = PostgreSQL::Test::Utils::tempdir();

sub write_state
{
    my ($name, $content) = @_;
    open my $out, '>', "$state/$name" or die $!;
    print $out $content;
    close $out;
    chmod 0600, "$state/$name";
    return "$state/$name";
}

my $key = write_state('key', '0123456789abcdef' x 4);
my $k = Kaireon->new('gcs_auth', conf => "kaireon.master_key_file = '$key'\nkaireon.egress_allow = '127.0.0.1'\n");
Peers::gcs_bucket($peer->{port}, 'data');
Peers::gcs_put($peer->{port}, 'data', "$_.csv", "id,name\n$_,one\n") for 1 .. 20;
$gate->set('secure', 1);

sub creation
{
    my ($name, $method, $auth, %config) = @_;
    return "SELECT kaireon.create_connector('$name', 'gcs', " . $k->json({ bucket => 'data', endpoint => $gate->url, maxAttempts => 2, %config }) . ", '$method', " . $k->json($auth) . ')';
}

sub connector
{
    $k->sql(creation(@_));
    return $_[0];
}

# The rows of a read, or its error.
sub result
{
    my ($name, $path) = @_;
    my ($code, $out, $err) = $k->node->psql('postgres', "\\set VERBOSITY verbose\nSELECT id, name FROM kaireon.read('$name', '" . ($path // '1.csv') . "') AS t(id int, name text)");
    return $code ? $err : $out;
}

sub tokens_asked { return scalar grep { m{^POST /token|^GET /computeMetadata} } @_; }

# ---- service accounts

connector('account', 'service_account_json', { json => $gate->key_file });
$gate->log;
is(result('account'), '1|one', 'a key file as an object');
my @log = $gate->log;
my $usual = tokens_asked(@log);    # one for each reader
is(scalar(grep { $_ eq 'scope read_only' } @log), $usual, 'its tokens are good for reading only');
is(result('account', '*.csv') =~ tr/|//, 20, 'many objects');
is(tokens_asked($gate->log), $usual, 'need no more of them');
connector('text', 'service_account_json', { json => JSON::PP::encode_json($gate->key_file(universe_domain => 'googleapis.com')) });
is(result('text'), '1|one', 'and as text');
$k->make('moved', connector => 'account', fields => [ { name => 'id', dataType => 'integer', isPrimaryKey => \1 }, { name => 'name', dataType => 'text' } ],
    source => { resource => '20.csv' }, nodes => [ { id => 'done', type => 'archive', config => { successFolder => 'done' } } ], target => { loadingStrategy => 'upsert' });
is($k->run('moved')->{status}, 'success', 'a pipeline with an archive');
$k->poll('the outbox', "SELECT NOT EXISTS (SELECT FROM kaireon.outbox WHERE status <> 'done')");
is(scalar(grep { $_ eq 'scope read_write' } $gate->log), 1, 'asks for more to move an object');
$gate->set('revoke', 1);
is(result('account'), '1|one', 'a token that is not accepted');
is(tokens_asked($gate->log), $usual + 1, 'is replaced');
$gate->set('revoke', 100);
like(result('account'), qr/28000: "127\.0\.0\.1" does not accept the credentials.*authError: Invalid Credentials/s, 'once');
is(tokens_asked($gate->log), 2, 'and not again');
$gate->set('revoke', '');
$gate->set('life', 0);
is(result('account', '*.csv') =~ tr/|//, 19, 'tokens that end at once');
cmp_ok(tokens_asked($gate->log), '>', 19, 'are got anew');
$gate->set('life', 3600);

# ---- what is refused, and never shown

my $private = $gate->key_file->{private_key};
my ($line) = $private =~ /\n(\S{20,})\n/;
my %bad = %{ $gate->key_file };
delete $bad{client_email};
for my $case ([ 'other_key', { json => $gate->key_file(private_key => $other->key_file->{private_key}) }, qr/28000: "127\.0\.0\.1" gives no access token for these credentials.*status 400: invalid_grant: Invalid JWT Signature/s ],
    [ 'stranger', { json => $gate->key_file(client_email => 'nobody@example.com') }, qr/28000: .*invalid_grant: Invalid issuer/s ],
    [ 'inside', { json => $gate->key_file(token_uri => 'http://127.0.0.2:' . $gate->port . '/token') }, qr/42501: connection to "127\.0\.0\.2" is not allowed/ ],
    [ 'metadata', { json => $gate->key_file(token_uri => 'http://169.254.169.254/latest/meta-data') }, qr/42501: connection to "169\.254\.169\.254" is not allowed/ ],
    [ 'nowhere', { json => $gate->key_file(token_uri => 'http://127.0.0.1:' . Peers::free_port() . '/token') }, qr/08001: could not connect/ ])
{
    my ($name, $auth, $error) = @$case;
    connector($name, 'service_account_json', $auth);
    my $said = result($name);
    like($said, $error, $name);
    unlike($said, qr/\Q$line\E|PRIVATE/, "$name: no key in it");
}
# What can't be right is no connector.
for my $case (
    [ 'no_email', { json => \%bad }, qr/22023: the service account's key has no text "client_email" in it/ ],
    [ 'no_key', { json => $gate->key_file(private_key => substr $private, 0, 300) }, qr/22023: private_key of the service account's key can't be used/ ],
    [ 'user', { json => $gate->user_file }, qr/0A000: the service account's key is of type "authorized_user".*HINT:.*service_account/s ],
    [ 'nonsense', { json => substr $private, 0, 200 }, qr/22023: the service account's key is no JSON object/ ],
    [ 'file', { json => $gate->key_file(token_uri => 'file:///etc/passwd') }, qr/22023: token_uri "file:\/\/\/etc\/passwd" is not a URL that can be used/ ])
{
    my ($name, $auth, $error) = @$case;
    my $said = $k->sql_error("\\set VERBOSITY verbose\n" . creation($name, 'service_account_json', $auth));
    like($said, $error, $name);
    unlike($said, qr/\Q$line\E|PRIVATE/, "$name: no key in it");
}
connector('echo', 'token', { accessToken => 'ya29.secret-access-token' });
connector('echo_account', 'service_account_json', { json => $gate->key_file(client_email => 'nobody@example.com') });
$gate->set('echo', 1);
like(result('echo'), qr/not accepted: Bearer \*{24}\n/, 'a token that the service repeats is not shown');
like(result('echo_account'), qr/Invalid issuer\. [ *]+\.?\n/, 'nor is a JWT that the token endpoint repeats');
$gate->set('echo', '');
connector('no_endpoint', 'service_account_json', { json => $gate->key_file(token_uri => "http://127.0.0.1:$peer->{port}/nothing") });
like(result('no_endpoint'), qr/08P01: "127\.0\.0\.1" gives no access token for these credentials.*status 404/s, 'a token endpoint that is none');
for my $case ([ 'this is no JSON', qr/08P01: the token endpoint's answer has no access token in it/ ], [ '{"access_token": "a\\r\\nX-Evil: 1"}', qr/08P01: the access token is none that can be sent/ ],
    [ '{"access_token": "abc", "token_type": "mac"}', qr/08P01: .* has a token of type "mac"/ ])
{
    $gate->set('token_answer', $case->[0]);
    like(result('account'), $case->[1], "a token endpoint that answers $case->[0]");
}
$gate->set('token_answer', '');

# ---- the machine's own

# The text of a certificate.
sub certificate
{
    my $dir = PostgreSQL::Test::Utils::tempdir();
    system('openssl', 'req', '-x509', '-newkey', 'ed25519', '-nodes', '-subj', '/CN=authority', '-keyout', "$dir/key", '-out', "$dir/certificate") == 0 or die 'openssl failed';
    return PostgreSQL::Test::Utils::slurp_file("$dir/certificate");
}

my %emulator = (STORAGE_EMULATOR_HOST => $gate->url);
my %instance = (%emulator, GCE_METADATA_HOST => '127.0.0.1:' . $gate->port);
connector('machine', 'iam_role', {});
connector('thief', 'iam_role', {}, endpoint => $other->url);
connector('authority', 'iam_role', {}, caCert => certificate());
connector('proxied', 'iam_role', {}, proxy => $other->url);
$k->with_environment(%instance);
like(result('machine'), qr/42501: auth_method iam_role is not allowed on this server.*HINT:.*kaireon\.instance_credentials/s, 'the machine has none to give, unless an administrator says so');
$k->sql('ALTER SYSTEM SET kaireon.instance_credentials = on');
$k->with_environment(%instance);
$gate->log;
$other->log;
is(result('machine'), '1|one', 'of the metadata server');
is(tokens_asked($gate->log), $usual, 'which is asked once by each reader');
for my $name (qw(thief authority proxied))
{
    like(result($name), qr/42501: the machine's own credentials go nowhere but to Google.*HINT:.*STORAGE_EMULATOR_HOST/s, "$name gets no token of the machine's");
}
is(join('', $other->log), '', 'nothing was sent there');
$k->with_environment(GCE_METADATA_HOST => '127.0.0.1:' . $gate->port);
like(result('machine'), qr/42501: the machine's own credentials go nowhere but to Google/, 'nor does another service that the environment does not name');
$k->with_environment(%emulator, GCE_METADATA_HOST => '127.0.0.1:' . $gate->port . '/nothing');
like(result('machine'), qr/28000: the machine has no credentials of its own/, 'a metadata server without an account');
$k->with_environment(%emulator, GCE_METADATA_HOST => '127.0.0.1:1');
like(result('machine'), qr/08001: could not connect to "127\.0\.0\.1"/, 'no metadata server');
$k->with_environment(%emulator, GOOGLE_APPLICATION_CREDENTIALS => write_state('account', JSON::PP::encode_json($gate->key_file)));
is(result('machine'), '1|one', 'of a service account\'s file');
$k->with_environment(%emulator, GOOGLE_APPLICATION_CREDENTIALS => write_state('user', JSON::PP::encode_json($gate->user_file)));
is(result('machine'), '1|one', 'of a user\'s file');
$k->with_environment(%emulator, GOOGLE_APPLICATION_CREDENTIALS => write_state('gone', JSON::PP::encode_json($gate->user_file(refresh_token => 'refresh-gone'))));
$gate->set('echo', 1);
my $said = result('machine');
$gate->set('echo', '');
like($said, qr/28000: .*invalid_grant: Token has been expired or revoked\. /s, 'of a user who has left');
unlike($said, qr/client-secret|refresh-gone/, 'no secret in it');
$k->with_environment(%emulator, GOOGLE_APPLICATION_CREDENTIALS => write_state('federated', '{"type": "external_account"}'));
like(result('machine'), qr/0A000: the file that GOOGLE_APPLICATION_CREDENTIALS names is of type "external_account".*HINT:.*service_account, authorized_user/s, 'of a kind that is not known');
$k->with_environment(%emulator, GOOGLE_APPLICATION_CREDENTIALS => "$state/none");
like(result('machine'), qr/58030: could not read ".*none", which the server's environment names/, 'of a file that is not there');
$k->remember_postmaster;
$k->settled;
done_testing();
