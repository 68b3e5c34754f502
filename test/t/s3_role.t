# auth_method iam_role: keys of the machine's own, from the instance's metadata
# service, a container's endpoint and the environment, and roles that are assumed.
#
# The metadata service and the token service are small ones of this test, as strict
# as Amazon's are about what they are asked; the keys they give are those of a real
# S3 server, which checks what is signed with them.
use strict;
use warnings;
use IO::Socket::INET;
use Kaireon;
use Peers;
use POSIX qw(strftime);
use Test::More;

my $peer = Peers::seaweedfs();
my $port = $peer->{port};
my $state = PostgreSQL::Test::Utils::tempdir();
my $listener = IO::Socket::INET->new(Listen => 16, LocalAddr => '127.0.0.1') or die $!;
my $own = $listener->sockport;

# What the services answer: status and body.
sub answer
{
    my ($method, $path, $body, %in) = @_;
    my $keys = sub { qq({"Code": "Success", "AccessKeyId": "$Peers::S3_ID", "SecretAccessKey": "$Peers::S3_SECRET", "Expiration": "$_[0]"}) };
    my $later = strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(time + 3600));
    if ($path eq '/latest/api/token')
    {
        return (400, 'no TTL') unless $method eq 'PUT' && ($in{'x-aws-ec2-metadata-token-ttl-seconds'} // 0) > 0;
        return (200, 'instance-token');
    }
    if ($path =~ m{^/latest/meta-data/iam/security-credentials/(.*)$})
    {
        return (401, 'no token') unless ($in{'x-aws-ec2-metadata-token'} // '') eq 'instance-token';
        return $1 eq '' ? (200, "the-role\n") : $1 eq 'the-role' ? (200, $keys->($later)) : (404, 'no such role');
    }
    if ($path eq '/container')
    {
        return ($in{authorization} // '') eq 'container-token' ? (200, $keys->($later)) : (401, 'no token');
    }
    if ($path eq '/broken') { return (200, 'this is no JSON'); }
    if ($path eq '/sts/')
    {
        return (400, "<ErrorResponse><Error><Code>InvalidAction</Code><Message>$body</Message></Error></ErrorResponse>") unless $body =~ /^Action=AssumeRole(WithWebIdentity)?&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr&RoleSessionName=(\w+)/;
        my $refused = $1 ? $body !~ /WebIdentityToken=identity/ : ($in{authorization} // '') !~ m{^AWS4-HMAC-SHA256 Credential=$Peers::S3_ID/\d{8}/us-east-1/sts/aws4_request,SignedHeaders=content-type;host;x-amz-date,} || $body !~ /ExternalId=outside/;
        return (403, '<ErrorResponse><Error><Code>AccessDenied</Code><Message>not for you</Message></Error></ErrorResponse>') if $refused;
        return (200, "<AssumeRoleResponse xmlns='https://sts.amazonaws.com/doc/2011-06-15/'><AssumeRoleResult><Credentials><AccessKeyId>$Peers::S3_ID</AccessKeyId><SecretAccessKey>$Peers::S3_SECRET</SecretAccessKey>"
            . "<SessionToken></SessionToken><Expiration>$later</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>");
    }
    return (404, 'nothing here');
}

my $child = fork // die $!;
if ($child == 0)
{
    while (my $client = $listener->accept)
    {
        my $request = '';
        while ($request !~ /\r\n\r\n/) { sysread $client, $request, 65536, length $request or last; }
        my ($head, $body) = split /\r\n\r\n/, $request, 2;
        my %in = map { /^([^:]+):\s*(.*?)\r?$/ ? (lc $1 => $2) : () } split /\n/, $head;
        while (length $body < ($in{'content-length'} // 0)) { sysread $client, $body, 65536, length $body or last; }
        my ($method, $path) = $head =~ /^(\S+) (\S+)/;
        my ($status, $text) = answer($method, $path, $body, %in);
        syswrite $client, "HTTP/1.1 $status X\r\nContent-Length: " . length($text) . "\r\nConnection: close\r\n\r\n$text";
        close $client;
    }
    POSIX::_exit(0);
}
END { if ($child) { local $?; kill 'KILL', $child; waitpid $child, 0; } }

for my $file ([ 'key', '0123456789abcdef' x 4 ], [ 'identity', "identity\n" ], [ 'token', "container-token\n" ])
{
    open my $out, '>', "$state/$file->[0]" or die $!;
    print $out $file->[1];
    close $out;
    chmod 0600, "$state/$file->[0]";
}
my $k = Kaireon->new('s3_role', conf => "kaireon.master_key_file = '$state/key'\nkaireon.egress_allow = '127.0.0.1:$port'\n");
Peers::s3($port, 'PUT', 'data');
$k->write_file('one.csv', "id,name\n1,one\n");
Peers::s3_put($port, 'data', 'one.csv', $k->files . '/one.csv');

sub connector
{
    my ($name, %auth) = @_;
    $k->sql("SELECT kaireon.create_connector('$name', 'amazon_s3', " . $k->json({ bucket => 'data', endpoint => "http://127.0.0.1:$port", stsEndpoint => "http://127.0.0.1:$own/sts/", maxAttempts => 2 })
        . ", 'iam_role', " . $k->json(\%auth) . ')');
    return;
}

sub result
{
    my ($name) = @_;
    my ($code, $out, $err) = $k->node->psql('postgres', "\\set VERBOSITY verbose\nSELECT id, name FROM kaireon.read('$name', 'one.csv') AS t(id int, name text)");
    return $code ? $err : $out;
}

connector('machine');
connector('role', roleArn => 'arn:aws:iam::1:role/r', externalId => 'outside', sessionName => 'test');
connector('stranger', roleArn => 'arn:aws:iam::1:role/r');
like(result('machine'), qr/42501: auth_method iam_role is not allowed on this server.*HINT:.*kaireon\.instance_credentials/s, 'the machine has none to give, unless an administrator says so');
$k->sql("ALTER SYSTEM SET kaireon.instance_credentials = on");

my %instance = (AWS_EC2_METADATA_SERVICE_ENDPOINT => "http://127.0.0.1:$own/");
$k->with_environment(%instance);
is(result('machine'), '1|one', 'of the instance');
like($k->sql_error("SELECT kaireon.create_connector('spy', 'http_pull', " . $k->json({ baseUrl => "http://127.0.0.1:$own/latest/meta-data", maxAttempts => 1 }) . "); SELECT * FROM kaireon.list_objects('spy', 'iam')"),
    qr/connection to "127\.0\.0\.1" is not allowed/, 'which no connector reaches');
like(result('role'), qr/42501: connection to "127\.0\.0\.1" is not allowed/, 'nor a token service that is not allowed');
$k->sql("ALTER SYSTEM SET kaireon.egress_allow = '127.0.0.1'");
$k->with_environment(%instance);
is(result('role'), '1|one', 'a role that is assumed with them');
like(result('stranger'), qr/42501: .*credentials of role "arn:aws:iam::1:role\/r".*AccessDenied: not for you/s, 'a role that is refused');
$k->with_environment(AWS_CONTAINER_CREDENTIALS_FULL_URI => "http://127.0.0.1:$own/container", AWS_CONTAINER_AUTHORIZATION_TOKEN => 'container-token');
is(result('machine'), '1|one', 'of a container');
$k->with_environment(AWS_CONTAINER_CREDENTIALS_FULL_URI => "http://127.0.0.1:$own/container", AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE => "$state/token");
is(result('machine'), '1|one', 'of a container, with a token in a file');
$k->with_environment(AWS_CONTAINER_CREDENTIALS_FULL_URI => "http://127.0.0.1:$own/container", AWS_CONTAINER_AUTHORIZATION_TOKEN => 'wrong');
like(result('machine'), qr/28000: .*does not accept/, 'of a container, refused');
$k->with_environment(AWS_CONTAINER_CREDENTIALS_FULL_URI => "http://127.0.0.1:$own/broken");
like(result('machine'), qr/08P01: the machine's metadata service answered without credentials/, 'nonsense in their place');
$k->with_environment(AWS_ACCESS_KEY_ID => $Peers::S3_ID, AWS_SECRET_ACCESS_KEY => $Peers::S3_SECRET);
is(result('machine'), '1|one', 'of the environment');
$k->with_environment(AWS_ROLE_ARN => 'arn:aws:iam::1:role/r', AWS_WEB_IDENTITY_TOKEN_FILE => "$state/identity");
is(result('machine'), '1|one', 'of a web identity');
$k->with_environment(AWS_ROLE_ARN => 'arn:aws:iam::1:role/r', AWS_WEB_IDENTITY_TOKEN_FILE => "$state/none");
like(result('machine'), qr/58030: could not read ".*none", which the server's environment names/, 'of a web identity that is not there');
$k->with_environment(AWS_EC2_METADATA_SERVICE_ENDPOINT => 'http://127.0.0.1:1');
like(result('machine'), qr/08001: could not connect to "127\.0\.0\.1"/, 'no service');
$k->remember_postmaster;
$k->settled;
done_testing();
