# Temporary keys of real services: sessions of a token service, an instance's metadata
# service, a container's endpoint, a web identity.  What is signed with them is
# checked by the S3 server whose token service gave them.
use strict;
use warnings;
use JSON::PP ();
use Kaireon;
use MIME::Base64 qw(encode_base64url);
use Peers;
use Test::More;

my @servers = grep { !Peers::absent($_) } 'seaweedfs', 'minio';
plan skip_all => Peers::absent('seaweedfs') unless @servers;
plan skip_all => 'openssl is not installed' if system('openssl version > /dev/null 2>&1');
plan skip_all => Peers::absent('nginx') if Peers::absent('nginx');
my $dir = PostgreSQL::Test::Utils::tempdir();
my $json = JSON::PP->new->canonical;

# write_state(NAME, CONTENT): a file for nobody else; its path.
sub write_state
{
    my ($name, $content) = @_;
    unlink "$dir/$name";
    PostgreSQL::Test::Utils::append_to_file("$dir/$name", $content);
    chmod 0600, "$dir/$name";
    return "$dir/$name";
}

# ---- who vouches for web identities

system("cd $dir && for key in own strange; do openssl genrsa -out \$key.pem 2048; done > /dev/null 2>&1") == 0 or die 'openssl failed';
my $web = Peers::free_port();
my $issuer = "http://127.0.0.1:$web";
my ($modulus) = `openssl rsa -in $dir/own.pem -noout -modulus` =~ /^Modulus=(\w+)/;
my %jwks = (keys => [ { kty => 'RSA', kid => 'one', use => 'sig', alg => 'RS256', e => 'AQAB', n => encode_base64url(pack 'H*', $modulus) } ]);
my %about = (issuer => $issuer, jwks_uri => "$issuer/jwks", token_endpoint => "$issuer/token", authorization_endpoint => "$issuer/authorize", response_types_supported => ['code'],
    subject_types_supported => ['public'], id_token_signing_alg_values_supported => ['RS256']);

# identity(KEY, CLAIMS): a token that says who somebody is.
sub identity
{
    my ($key, %claims) = @_;
    my $text = join '.', map { encode_base64url($json->encode($_)) } { alg => 'RS256', typ => 'JWT', kid => 'one' },
        { iss => $issuer, sub => 'somebody', aud => 'peer', azp => 'peer', iat => time, exp => time + 3600, %claims };
    write_state('signed', $text);
    my $signature = `openssl dgst -sha256 -sign $dir/$key.pem $dir/signed`;
    return $text . '.' . encode_base64url($signature);
}

# A container's endpoint beside it; the keys there are those of the file at the moment.
my $nginx = Peers::nginx("server { listen 127.0.0.1:$web; root www;
        location = /.well-known/openid-configuration { alias about; } location = /jwks { alias jwks; }
        location = /keys { if (\$http_authorization != 'container-token') { return 401; } alias $dir/keys; } }",
    $web, about => $json->encode(\%about), jwks => $json->encode(\%jwks));

# ---- the servers, each with a role that may read

my %start = (
    seaweedfs => sub {
        my %iam = (sts => { tokenDuration => '1h', maxSessionLength => '12h', issuer => 'sts', signingKey => 'dGVzdC1zaWduaW5nLWtleS0zMi1jaGFyYWN0ZXJzLWxvbmc=' },
            providers => [ { name => 'web', type => 'oidc', enabled => \1, config => { issuer => $issuer, clientId => 'peer', jwksUri => "$issuer/jwks", scopes => ['openid'],
                        claimsMapping => { username => 'sub' }, roleMapping => { defaultRole => 'arn:aws:iam::role/Reader' } } } ],
            policy => { defaultEffect => 'Deny', storeType => 'memory' },
            roles => [ { roleName => 'Reader', roleArn => 'arn:aws:iam::role/Reader', attachedPolicies => ['ReadAll'],
                    trustPolicy => { Version => '2012-10-17', Statement => [ { Effect => 'Allow', Principal => { Federated => 'web' }, Action => ['sts:AssumeRoleWithWebIdentity'] },
                            { Effect => 'Allow', Principal => { AWS => '*' }, Action => ['sts:AssumeRole'] } ] } } ],
            policies => [ { name => 'ReadAll', document => { Version => '2012-10-17', Statement => [ { Effect => 'Allow', Action => [ 's3:Get*', 's3:List*', 'sts:ValidateSession' ], Resource => ['*'] } ] } } ]);
        return (Peers::seaweedfs('-s3.iam.config=' . write_state('iam.json', $json->encode(\%iam))), 'arn:aws:iam::role/Reader', 'arn:aws:iam::role/Reader');
    },
    minio => sub {
        my $minio = Peers::minio(MINIO_IDENTITY_OPENID_CONFIG_URL => "$issuer/.well-known/openid-configuration", MINIO_IDENTITY_OPENID_CLIENT_ID => 'peer', MINIO_IDENTITY_OPENID_CLIENT_SECRET => 'x',
            MINIO_IDENTITY_OPENID_ROLE_POLICY => 'readwrite');
        return ($minio, 'arn:minio:iam:::role/any', $minio->{role});
    });
my ($server, $k, $port);

sub connector
{
    my ($name, $method, %auth) = @_;
    $k->sql("SELECT kaireon.create_connector('$name', 'amazon_s3', " . $k->json({ bucket => 'data', endpoint => "http://127.0.0.1:$port", stsEndpoint => "http://127.0.0.1:$port/", maxAttempts => 2 })
        . ", '$method', " . $k->json(\%auth) . ')');
    return;
}

sub result
{
    my ($name) = @_;
    my ($code, $out, $err) = $k->node->psql('postgres', "\\set VERBOSITY verbose\nSELECT id, name FROM kaireon.read('$name', '*/one two.csv') AS t(id int, name text)");
    return $code ? $err : $out;
}

# Keys that a user has in hand.
sub in_hand
{
    my ($role, %session) = @_;
    my %keys = (accessKeyId => $session{AccessKeyId}, secretAccessKey => $session{SecretAccessKey}, sessionToken => $session{SessionToken});
    connector('session', 'access_key', %keys);
    is(result('session'), '1|one', "$server: a session's keys");
    connector('altered', 'access_key', %keys, sessionToken => $keys{sessionToken} =~ s/.{6}$/AAAAAA/r);
    like(result('altered'), qr/(42501|28000): /, "$server: with an altered token");
    connector('without', 'access_key', map { $_ => $keys{$_} } 'accessKeyId', 'secretAccessKey');
    like(result('without'), qr/(42501|28000): /, "$server: without it");
    my %own = (accessKeyId => $Peers::S3_ID, secretAccessKey => $Peers::S3_SECRET, roleArn => $role, externalId => 'outside');
    connector('assuming', 'access_key', %own);
    is(result('assuming'), '1|one', "$server: a role that is assumed with a user's keys");
    connector('presuming', 'access_key', %own, secretAccessKey => 'no');
    like(result('presuming'), qr/(42501|28000): .*(credentials of role "\Q$role\E"|does not accept)/s, "$server: and with wrong ones");
    return;
}

# Keys of the machine.
sub of_the_machine
{
    my ($role, %session) = @_;
    my %keys = (AccessKeyId => $session{AccessKeyId}, SecretAccessKey => $session{SecretAccessKey}, Token => $session{SessionToken}, Expiration => $session{Expiration});
    write_state('keys', $json->encode(\%keys));
    chmod 0644, "$dir/keys";
    my %container = (AWS_CONTAINER_CREDENTIALS_FULL_URI => "$issuer/keys");
    $k->with_environment(%container, AWS_CONTAINER_AUTHORIZATION_TOKEN => 'container-token');
    is(result('machine'), '1|one', "$server: keys of a container");
    $k->with_environment(%container, AWS_CONTAINER_AUTHORIZATION_TOKEN => 'another');
    like(result('machine'), qr/28000: .*does not accept/, "$server: of a container that does not know us");
    $k->with_environment(AWS_ACCESS_KEY_ID => $session{AccessKeyId}, AWS_SECRET_ACCESS_KEY => $session{SecretAccessKey}, AWS_SESSION_TOKEN => $session{SessionToken});
    is(result('machine'), '1|one', "$server: a session in the environment");
    $k->with_environment(AWS_ACCESS_KEY_ID => $Peers::S3_ID, AWS_SECRET_ACCESS_KEY => $Peers::S3_SECRET);
    is(result('role'), '1|one', "$server: a role that is assumed");
    $k->with_environment(AWS_ACCESS_KEY_ID => $Peers::S3_ID, AWS_SECRET_ACCESS_KEY => 'no');
    like(result('role'), qr/(42501|28000): .*credentials of role "\Q$role\E"|does not accept/s, "$server: and one with wrong keys");
    SKIP:
    {
        skip Peers::absent('ec2_metadata'), 2 if Peers::absent('ec2_metadata');
        my $instance = Peers::ec2_metadata(%keys);
        $k->with_environment(AWS_EC2_METADATA_SERVICE_ENDPOINT => "http://127.0.0.1:$instance->{port}");
        is(result('machine'), '1|one', "$server: keys of an instance");
        undef $instance;
        like(result('machine'), qr/08001: could not connect/, "$server: whose service has gone");
    }
    return;
}

sub of_a_web_identity
{
    my ($arn) = @_;
    my %role = (AWS_ROLE_ARN => $arn);
    $k->with_environment(%role, AWS_WEB_IDENTITY_TOKEN_FILE => write_state('identity', identity('own') . "\n"));
    is(result('machine'), '1|one', "$server: a web identity");
    for my $case ([ 'signed by a stranger', 'strange' ], [ 'that has expired', 'own', exp => time - 3600 ], [ 'meant for others', 'own', aud => 'others', azp => 'others' ])
    {
        my ($what, @token) = @$case;
        $k->with_environment(%role, AWS_WEB_IDENTITY_TOKEN_FILE => write_state('identity', identity(@token)));
        my $said = result('machine');
        like($said, qr/ERROR:  (42501|28000|08P01): .*credentials|does not accept/s, "$server: one $what");
        unlike($said, qr/eyJ/, "$server: is not shown");
    }
    return;
}

for (@servers)
{
    $server = $_;
    my ($peer, $role, $web_role) = $start{$server}->();
    $port = $peer->{port};
    $k = Kaireon->new("s3_sessions_$server", conf => 'kaireon.master_key_file = \'' . write_state('key', '0123456789abcdef' x 4) . "'\nkaireon.egress_allow = '127.0.0.1'\nkaireon.instance_credentials = on\n");
    Peers::s3($port, 'PUT', 'data');
    $k->write_file('one.csv', "id,name\n1,one\n");
    Peers::s3_put($port, 'data', 'in it/one two.csv', $k->files . '/one.csv');
    connector('machine', 'iam_role');
    connector('role', 'iam_role', roleArn => $role, externalId => 'outside', sessionName => 'test');
    my %session = Peers::assume_role($port, $role);
    in_hand($role, %session);
    of_the_machine($role, %session);
    of_a_web_identity($web_role);
    $k->remember_postmaster;
    $k->settled($server);
    $k->node->stop;
}
for (grep { Peers::absent($_) } 'seaweedfs', 'minio')
{
    SKIP: { skip Peers::absent($_), 1; }
}
done_testing();
