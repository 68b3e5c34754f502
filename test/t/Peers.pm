# Peers.pm: real servers that tests read from, started on free ports of 127.0.0.1.
#
# tools/peers has installed them in $ENV{KAIREON_PEERS}.  What is not there makes
# the test that wants it skip itself, by name and with the reason.  Each server
# ends with its object.
package Peers;

use strict;
use warnings;

use Digest::SHA;
use HTTP::Tiny;
use IO::Select;
use IO::Socket::INET;
use JSON::PP ();
use MIME::Base64;
use POSIX ();
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

# What they are called, and where their programs are.
my %SERVERS = (seaweedfs => [ 'SeaweedFS', 'weed' ], versitygw => [ 'versitygw', 'versitygw' ], minio => [ 'MinIO', 'minio' ], azurite => [ 'Azurite', 'azurite/node_modules/.bin/azurite-blob' ],
    fake_gcs => [ 'fake-gcs-server', 'fake-gcs-server' ], ec2_metadata => [ 'ec2-metadata-mock', 'ec2-metadata-mock' ], nginx => [ 'nginx', 'nginx' ], toxiproxy => [ 'toxiproxy', 'toxiproxy-server' ]);

# absent(NAME): why there is no such server; empty when there is one.
sub absent
{
    my ($name) = @_;
    my ($called, $program) = @{ $SERVERS{$name} };
    my $peers = $ENV{KAIREON_PEERS} // '';
    return '' if -x "$peers/$program";
    my ($said) = -s "$peers/$name.log" ? slurp_file("$peers/$name.log") =~ /([^\n]{1,200})\n*\z/ : ();
    return "$called is not installed" . ($said ? ": $said" : $name eq 'minio' ? ' (make test PEERS=all builds it)' : '');
}

# program(NAME): the path of its program; without it the test is skipped.
sub program
{
    my ($name) = @_;
    my $absent = absent($name);
    plan(skip_all => $absent) if $absent;
    return "$ENV{KAIREON_PEERS}/$SERVERS{$name}[1]";
}

my %given;

sub free_port
{
    # not of those that the system gives to connections: one of the server's own might have it first
    for (1 .. 1000)
    {
        my $port = 15000 + int rand 15000;
        return $port if !$given{$port}++ && IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1', LocalPort => $port, ReuseAddr => 1);
    }
    die 'no free port';
}

sub listens { return IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $_[0], Timeout => 2); }

# answers(PORT, PATH): whether an HTTP server there says 200.
sub answers
{
    my ($port, $path) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => 2) or return 0;
    print $socket "GET $path HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n";
    # some accept connections before they answer any
    return 0 unless IO::Select->new($socket)->can_read(2);
    return (scalar(<$socket>) // '') =~ m{^HTTP/1\.\d 200};
}

# start(NAME, READY, COMMAND...): a server in a process group of its own; READY says when it answers, and gets the path of its log.
sub start
{
    my ($name, $ready, @command) = @_;
    my $folder = PostgreSQL::Test::Utils::tempdir();
    my $pid = fork // die "fork: $!";
    if ($pid == 0)
    {
        setpgrp;
        chdir $folder;
        open STDIN, '<', '/dev/null';
        open STDOUT, '>', "$folder/log";
        open STDERR, '>&', \*STDOUT;
        exec @command or POSIX::_exit(127);
    }
    my $self = bless { pid => $pid, folder => $folder }, __PACKAGE__;
    my $until = time + 60;
    until ($ready->("$folder/log"))
    {
        if (time > $until || waitpid($pid, POSIX::WNOHANG()) == $pid)
        {
            open my $log, '<', "$folder/log";
            my @said = <$log>;
            die "$name did not start: " . join('', @said > 15 ? @said[ -15 .. -1 ] : @said);
        }
        usleep(100_000);
    }
    return $self;
}

sub DESTROY
{
    my ($self) = @_;
    local $?;
    return unless $self->{pid};
    # its data go with it, so it need not end well; it may not have got its group yet
    kill 'KILL', -$self->{pid}, $self->{pid};
    waitpid $self->{pid}, 0;
    return;
}

our ($S3_ID, $S3_SECRET) = ('PEERADMIN0000000001', 'peer-admin-secret-0123456789abcdef');

# seaweedfs(OPTIONS): an S3 server; {port} is where, {filer} the port of its plain web server.
sub seaweedfs
{
    my (@options) = @_;
    my $weed = program('seaweedfs');
    plan(skip_all => 'curl is not installed') if system('curl --version > /dev/null 2>&1');
    my $data = PostgreSQL::Test::Utils::tempdir();
    my %port = map { $_ => free_port() } qw(master volume filer s3);
    open my $out, '>', "$data/s3.json" or die $!;
    print $out qq({"identities": [{"name": "admin", "credentials": [{"accessKey": "$S3_ID", "secretKey": "$S3_SECRET"}], "actions": ["Admin", "Read", "List", "Tagging", "Write"]}]});
    close $out;
    my $self = start('SeaweedFS', sub { answers($port{s3}, '/healthz') }, $weed, '-logtostderr=true', 'server', "-dir=$data", '-ip=127.0.0.1', '-ip.bind=127.0.0.1',
        "-master.port=$port{master}", "-master.port.grpc=" . free_port(), "-volume.port=$port{volume}", '-volume.port.grpc=' . free_port(), '-volume.max=100',
        '-filer', "-filer.port=$port{filer}", '-filer.port.grpc=' . free_port(), '-s3', "-s3.port=$port{s3}", '-s3.port.grpc=' . free_port(), "-s3.config=$data/s3.json",
        '-s3.port.iceberg=0', '-s3.port.lance=0', '-master.volumeSizeLimitMB=1024', '-master.telemetry=false', @options);
    @$self{qw(port filer)} = @port{qw(s3 filer)};
    return $self;
}

# versitygw(): an S3 server over a folder, strict about signatures; {port} is where, {domain} the
# host that buckets may stand before, {data} its folder of buckets.
sub versitygw
{
    my $program = program('versitygw');
    plan(skip_all => 'curl is not installed') if system('curl --version > /dev/null 2>&1');
    my ($data, $port) = (PostgreSQL::Test::Utils::tempdir(), free_port());
    mkdir "$data/$_" or die "$data/$_: $!" for 'iam', 'buckets';
    local @ENV{ 'ROOT_ACCESS_KEY', 'ROOT_SECRET_KEY' } = ($S3_ID, $S3_SECRET);
    my $self = start('versitygw', sub { answers($port, '/healthz') }, $program, '--port', "127.0.0.1:$port", '--region', 'us-east-1', '--keep-alive', '--quiet', '--virtual-domain', "s3.localhost:$port",
        '--iam-dir', "$data/iam", '--health', '/healthz', 'posix', "$data/buckets");
    @$self{qw(port domain data)} = ($port, "s3.localhost:$port", "$data/buckets");
    return $self;
}

# minio(VARIABLES): an S3 server with a token service, with these in its environment; {port} and {domain} as above,
# {role} the ARN of web identities.
sub minio
{
    my (%variables) = @_;
    my $program = program('minio');
    my ($data, $port) = (PostgreSQL::Test::Utils::tempdir(), free_port());
    mkdir "$data/$_" or die "$data/$_: $!" for 'certificates', 'drive';
    %variables = (MINIO_ROOT_USER => $S3_ID, MINIO_ROOT_PASSWORD => $S3_SECRET, MINIO_SITE_REGION => 'us-east-1', MINIO_SITE_NAME => 'peer', MINIO_DOMAIN => 's3.localhost', MINIO_BROWSER => 'off',
        MINIO_UPDATE => 'off', %variables);
    local @ENV{ keys %variables } = values %variables;
    my $role = !$variables{MINIO_IDENTITY_OPENID_CONFIG_URL};
    my $self = start('MinIO', sub { ($role) = slurp_file($_[0]) =~ /(arn:minio:iam:[\w:\/-]+)/ if !$role && -e $_[0]; return $role && answers($port, '/minio/health/ready') }, $program, 'server', "$data/drive", '--address', "127.0.0.1:$port", '--certs-dir', "$data/certificates");
    @$self{qw(port domain role)} = ($port, "s3.localhost:$port", $role);
    return $self;
}

# ec2_metadata(KEYS): the metadata service of an instance whose role has these keys (as the service has them:
# AccessKeyId, SecretAccessKey, Token, Expiration); it asks for a session's token.  {port} is where.
sub ec2_metadata
{
    my (%keys) = @_;
    my $program = program('ec2_metadata');
    my ($data, $port) = (PostgreSQL::Test::Utils::tempdir(), free_port());
    my %values = ('iam-security-credentials-role' => 'the-role', 'iam-security-credentials' => { Code => 'Success', LastUpdated => '2026-01-01T00:00:00Z', Type => 'AWS-HMAC', %keys });
    append_to_file("$data/config.json", JSON::PP::encode_json({ metadata => { values => \%values } }));
    my $self = start('ec2-metadata-mock', sub { listens($port) }, $program, '--hostname', '127.0.0.1', '--port', $port, '--imdsv2', '--config-file', "$data/config.json");
    $self->{port} = $port;
    return $self;
}

# nginx(SERVERS, PORT, FILES): a web server, of blocks "server { .. }" whose paths are below {folder}, where FILES, contents
# by name, are; it is there once it listens on PORT.
sub nginx
{
    my ($servers, $port, %files) = @_;
    my $program = program('nginx');
    my $folder = PostgreSQL::Test::Utils::tempdir();
    mkdir "$folder/www" or die "$folder/www: $!";
    append_to_file("$folder/$_", $files{$_}) for keys %files;
    append_to_file("$folder/nginx.conf", 'pid nginx.pid; error_log errors.log; daemon off; worker_processes 2; events { } http { log_format what \'$server_port $request_method $uri $server_protocol $status "$http_range" "$http_authorization"\'; '
        . 'access_log requests.log what; default_type text/plain; '
        . join('', map { "${_}_temp_path temp-$_; " } 'client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi') . "$servers }\n");
    my $self = start('nginx', sub { listens($port) }, $program, '-p', $folder, '-e', "$folder/errors.log", '-c', 'nginx.conf');
    @$self{qw(port folder)} = ($port, $folder);
    return $self;
}

# requests(): what that server was asked for since the last call: lines of port, method, path, protocol, status, range, credentials.
sub requests
{
    my ($self) = @_;
    my $all = slurp_file("$self->{folder}/requests.log");
    my $new = substr $all, $self->{seen} // 0;
    $self->{seen} = length $all;
    return split /\n/, $new;
}

our ($AZURE_ACCOUNT, $AZURE_KEY) = ('peeracct', MIME::Base64::encode_base64('peer-azure-account-key-0123456789', ''));

# azurite(): Azure Blob Storage; {port} is where.
sub azurite
{
    my $program = program('azurite');
    my $data = PostgreSQL::Test::Utils::tempdir();
    my $port = free_port();
    local $ENV{AZURITE_ACCOUNTS} = "$AZURE_ACCOUNT:$AZURE_KEY";
    my $self = start('Azurite', sub { listens($port) }, $program, '--blobHost', '127.0.0.1', '--blobPort', $port,
        '--location', $data, '--disableTelemetry', '--silent');
    $self->{port} = $port;
    return $self;
}

# azure_sas(PERMISSIONS, EXPIRY, START): a signature for all containers and blobs of the account.
sub azure_sas
{
    my ($permissions, $expiry, $start) = @_;
    my %sas = (sv => '2021-12-02', ss => 'b', srt => 'co', sp => $permissions, se => $expiry, $start ? (st => $start) : ());
    my $text = join('', map { "$_\n" } $AZURE_ACCOUNT, $sas{sp}, $sas{ss}, $sas{srt}, $sas{st} // '', $sas{se}, '', '', $sas{sv}, '');
    $sas{sig} = Digest::SHA::hmac_sha256_base64($text, MIME::Base64::decode_base64($AZURE_KEY)) . '=';
    return join '&', map { "$_=" . $sas{$_} =~ s/([^A-Za-z0-9._~-])/sprintf '%%%02X', ord $1/ger } sort keys %sas;
}

# azure(PORT, METHOD, PATH, CONTENT, HEADERS...): a request with a signature for everything; dies when it fails.
sub azure
{
    my ($port, $method, $path, $content, %headers) = @_;
    my $url = "http://127.0.0.1:$port/$AZURE_ACCOUNT/$path" . ($path =~ /\?/ ? '&' : '?') . azure_sas('rwdlacup', '2099-01-01T00:00:00Z');
    my $answer = HTTP::Tiny->new->request($method, $url, { content => $content // '', headers => { 'x-ms-version' => '2021-12-02', %headers } });
    $answer->{success} or die "$method $path: $answer->{status} $answer->{content}";
    return $answer;
}

# azure_put(PORT, CONTAINER, BLOB, CONTENT, HEADERS...)
sub azure_put
{
    my ($port, $container, $blob, $content, %headers) = @_;
    $blob =~ s/([^A-Za-z0-9._~\/-])/sprintf '%%%02X', ord $1/ge;
    return azure($port, 'PUT', "$container/$blob", $content, 'x-ms-blob-type' => 'BlockBlob', %headers);
}

# s3(PORT, METHOD, PATH, CURL'S OPTIONS...): a signed request; dies when it fails.
sub s3
{
    my ($port, $method, $path, @options) = @_;
    my @command = ('curl', '-sS', '-f', '--max-time', '60', '-o', '/dev/null', '--path-as-is', '-H', 'x-amz-content-sha256: UNSIGNED-PAYLOAD', '--aws-sigv4', 'aws:amz:us-east-1:s3', '-u', "$S3_ID:$S3_SECRET", '-X', $method, @options, "http://127.0.0.1:$port/$path");
    system(@command) == 0 or die "@command failed";
    return;
}

# assume_role(PORT, ROLE): the keys of a session, as a token service gives them.
sub assume_role
{
    my ($port, $role) = @_;
    my @command = ('curl', '-sS', '--max-time', '60', '--aws-sigv4', 'aws:amz:us-east-1:sts', '-u', "$S3_ID:$S3_SECRET", '-d', "Action=AssumeRole&Version=2011-06-15&RoleSessionName=test&DurationSeconds=900&RoleArn=$role", "http://127.0.0.1:$port/");
    open my $in, '-|', @command or die "curl: $!";
    my $answer = join '', <$in>;
    my %keys = map { $answer =~ m{<$_>([^<]+)</$_>} ? ($_ => $1) : () } 'AccessKeyId', 'SecretAccessKey', 'SessionToken', 'Expiration';
    die "no keys in the answer: $answer" if keys %keys < 4;
    return %keys;
}

# s3_put(PORT, BUCKET, KEY, FILE)
sub s3_put
{
    my ($port, $bucket, $key, $file) = @_;
    $key =~ s/([^A-Za-z0-9._~\/-])/sprintf '%%%02X', ord $1/ge;
    return s3($port, 'PUT', "$bucket/$key", '-T', $file);
}

# fake_gcs(): Google Cloud Storage; {port} is where.  It does not ask who somebody is, and knows no preconditions.
sub fake_gcs
{
    my $program = program('fake_gcs');
    my $port = free_port();
    local $ENV{TZ} = 'UTC';
    my $self = start('fake-gcs-server', sub { answers($port, '/_internal/healthcheck') }, $program, '-scheme', 'http', '-host', '127.0.0.1', '-port', $port, '-backend', 'memory',
        '-public-host', "127.0.0.1:$port", '-external-url', "http://127.0.0.1:$port", '-log-level', 'warn');
    $self->{port} = $port;
    return $self;
}

# gcs(PORT, METHOD, PATH, TYPE, BODY): a request to its JSON API; dies when it fails.
sub gcs
{
    my ($port, $method, $path, $type, $body) = @_;
    my $answer = HTTP::Tiny->new->request($method, "http://127.0.0.1:$port/$path", { headers => { 'content-type' => $type // 'application/json' }, content => $body // '' });
    die "$method $path: $answer->{status} $answer->{content}" unless $answer->{success};
    return $answer->{content};
}

sub gcs_bucket { return gcs($_[0], 'POST', 'storage/v1/b?project=test', 'application/json', qq({"name": "$_[1]"})); }

# gcs_put(PORT, BUCKET, KEY, CONTENT, ENCODING)
sub gcs_put
{
    my ($port, $bucket, $key, $content, $encoding) = @_;
    $key =~ s/([^A-Za-z0-9._~-])/sprintf '%%%02X', ord $1/ge;
    return gcs($port, 'POST', "upload/storage/v1/b/$bucket/o?uploadType=media&name=$key" . ($encoding ? "&contentEncoding=$encoding" : ''), 'text/csv', $content);
}

1;
