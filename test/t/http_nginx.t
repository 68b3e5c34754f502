# Files behind the URLs of a real web server: TLS and HTTP/2, redirections, ranges
# and servers without them, credentials, limits on requests, slowness.
use strict;
use warnings;
use Kaireon;
use Peers;
use Test::More;

plan skip_all => Peers::absent('nginx') if Peers::absent('nginx');
plan skip_all => 'openssl is not installed' if system('openssl version > /dev/null 2>&1');
my $dir = PostgreSQL::Test::Utils::tempdir();
PostgreSQL::Test::Utils::append_to_file("$dir/key", '0123456789abcdef' x 4);
chmod 0600, "$dir/key";
system("cd $dir && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout server.key -out server.crt -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -days 2 > log 2>&1") == 0
  or die 'openssl failed';
my $k = Kaireon->new('http_nginx', conf => "kaireon.master_key_file = '$dir/key'\nkaireon.egress_allow = '127.0.0.1, localhost'\n");
my $files = $k->files;
my $ROWS = 60_000;              # about 3 MB: several parts
my $sum = $ROWS * ($ROWS + 1) / 2;
$k->write_rows('big.csv', $ROWS, sub { "$_[0],name of number $_[0] which is rather long" }, 'id,name');
$k->write_file('small.csv', "id,name\n1,one\n2,two\n");
$k->write_file('caf%C3%A9 +.csv' =~ s/%C3%A9/\xc3\xa9/r, "id,name\n3,three\n");

my ($port, $tls, $old, $other) = map { Peers::free_port() } 1 .. 4;
my $nginx = Peers::nginx(qq(
    gzip on; gzip_min_length 100; gzip_types text/plain text/csv; types { text/csv csv; }
    limit_req_zone \$binary_remote_addr zone=few:1m rate=10r/s; limit_req_status 429;
    ssl_certificate $dir/server.crt; ssl_certificate_key $dir/server.key;
    server { listen 127.0.0.1:$port; listen 127.0.0.1:$tls ssl http2; root $files;
        location /r301/ { rewrite ^/r301(.*)\$ \$1 permanent; }
        location /r302/ { rewrite ^/r302(.*)\$ \$1 redirect; }
        location /r307/ { return 307 /r308\$request_uri; }
        location /r308/ { return 308 /small.csv; }
        location /rloop/ { return 302 \$request_uri; }
        location /rmeta/ { return 302 http://169.254.169.254/latest/meta-data/; }
        location /rfile/ { return 302 file:///etc/passwd; }
        location /rother/ { return 302 http://127.0.0.1:$other/small.csv; }
        location /rplain/ { return 302 http://127.0.0.1:$port/small.csv; }
        location /norange/ { max_ranges 0; alias $files/; }
        location /slow/ { limit_rate 2m; alias $files/; }
        location /few/ { limit_req zone=few; alias $files/; }
        location /busy/ { add_header Retry-After 1 always; return 503; }
        location /private/ { auth_basic who; auth_basic_user_file users; alias $files/; }
        location /token/ { if (\$http_authorization != 'Bearer sesame') { return 401; } alias $files/; } }
    server { listen 127.0.0.1:$old ssl; ssl_protocols TLSv1.2; root $files; }
    server { listen 127.0.0.1:$other; root $files; }), $port, users => "u:{PLAIN}sesame\n");

sub connector
{
    my ($name, $config, @auth) = @_;
    $k->sql("SELECT kaireon.create_connector('$name', 'http_pull', " . $k->json({ maxAttempts => 3, %$config }) . (@auth ? ", '$auth[0]', " . $k->json($auth[1]) : '') . ')');
    return $name;
}

# The count of the rows and the sum of their ids, or the error.
sub read_sum
{
    my ($connector, $path) = @_;
    my ($code, $out, $err) = $k->node->psql('postgres', "\\set VERBOSITY verbose\nSELECT count(*), sum(id) FROM kaireon.read('$connector', '$path') AS t(id bigint, name text)");
    return $code ? $err : $out;
}

my $ca = PostgreSQL::Test::Utils::slurp_file("$dir/server.crt");
connector('plain', { baseUrl => "http://127.0.0.1:$port" });
connector('tls', { baseUrl => "https://localhost:$tls", caCert => $ca });
connector('old', { baseUrl => "https://127.0.0.1:$old", caCert => $ca });
connector('doubts', { baseUrl => "https://localhost:$tls", maxAttempts => 1 });

# ---- plain, and behind TLS

for my $connector ('plain', 'tls', 'old')
{
    $nginx->requests;
    is(read_sum($connector, 'big.csv'), "$ROWS|$sum", "$connector: a file of several parts");
    my @asked = $nginx->requests;
    is(scalar(grep { / GET / && !/ 206 "bytes=/ } @asked), 0, "$connector: fetched by ranges");
    my $protocol = $connector eq 'tls' ? 'HTTP/2.0' : 'HTTP/1.1';
    is(scalar(grep { !m{ \Q$protocol\E } } @asked), 0, "$connector: over $protocol");
    is(read_sum($connector, 'caf%C3%A9%20+.csv'), '1|3', "$connector: a name that is encoded");
    is(read_sum($connector, 'small.csv'), '2|3', "$connector: a small one");
}
like(read_sum('doubts', 'small.csv'), qr/08001: the TLS connection to "localhost" can't be trusted/, 'a certificate of nobody that is known');

# ---- redirections

for my $connector ('plain', 'tls')
{
    is(read_sum($connector, "$_/big.csv"), "$ROWS|$sum", "$connector: $_") for 'r301', 'r302';
    is(read_sum($connector, "r307/x.csv"), '2|3', "$connector: 307 and 308");
    like(read_sum($connector, 'rloop/x.csv'), qr/redirected more than 5 times/, "$connector: in a circle");
    like(read_sum($connector, 'rfile/x.csv'), $connector eq 'tls' ? qr/42501: .*is redirected from https to something else/ : qr/22023: .*not a URL that can be used/, "$connector: to a file");
}
like(read_sum('plain', 'rmeta/x.csv'), qr/42501: connection to "169\.254\.169\.254" is not allowed/, 'to the metadata service');
like(read_sum('tls', 'rplain/x.csv'), qr/42501: .*is redirected from https to something else/, 'from TLS to none');

# ---- what a server does not do, or not now

is(read_sum('plain', 'norange/big.csv'), "$ROWS|$sum", 'without ranges');
is(read_sum('tls', 'norange/big.csv'), "$ROWS|$sum", 'without ranges, over HTTP/2');
is(read_sum('plain', 'slow/big.csv'), "$ROWS|$sum", 'a slow server');
connector('patient', { baseUrl => "http://127.0.0.1:$port", maxAttempts => 20 });
$nginx->requests;
is(read_sum('patient', 'few/big.csv'), "$ROWS|$sum", 'a server that wants few requests');
cmp_ok(scalar(grep { / 429 / } $nginx->requests), '>', 0, 'has said so');
like(read_sum('plain', 'busy/small.csv'), qr/08006: "127\.0\.0\.1" did not send file "busy\/small\.csv".*status 503/s, 'one that is always busy');
my @busy = $nginx->requests;
for my $method ('HEAD', 'GET') { is(scalar(grep { / $method / } @busy), 3, "is asked three times by $method"); }
like(read_sum('plain', 'none.csv'), qr/58P01: file "none\.csv" does not exist/, 'a file that is not there');

# ---- credentials

my $base = "http://127.0.0.1:$port";
for my $case ([ 'basic', 'private', 'username_password', { username => 'u', password => 'sesame' }, { username => 'u', password => 'no' } ], [ 'bearer', 'token', 'token', { token => 'sesame' }, { token => 'no' } ])
{
    my ($name, $folder, $method, $right, $wrong) = @$case;
    connector($name, { baseUrl => $base }, $method, $right);
    connector("wrong_$name", { baseUrl => $base }, $method, $wrong);
    is(read_sum($name, "$folder/big.csv"), "$ROWS|$sum", "$name: who has them");
    like(read_sum("wrong_$name", "$folder/big.csv"), qr/28000: "127\.0\.0\.1" does not accept the credentials/, "$name: who has others");
    like(read_sum('plain', "$folder/big.csv"), qr/28000: "127\.0\.0\.1" does not accept the credentials/, "$name: who has none");
    $nginx->requests;
    is(read_sum($name, 'rother/x.csv'), '2|3', "$name: redirected to another server");
    my @asked = $nginx->requests;
    is(scalar(grep { /^$other / && /"(Basic|Bearer)/ } @asked), 0, "$name: which does not get them");
    is(scalar(grep { /^$port / && /"(Basic|Bearer)/ } @asked) > 0, 1, "$name: as the first one does");
}

# ---- little of much

$nginx->requests;
is($k->sql("SELECT count(*) FROM (SELECT FROM kaireon.read('tls', 'big.csv') AS t(id bigint) LIMIT 10) AS few"), 10, 'ten rows');
my $fetched = 0;
for ($nginx->requests) { $fetched += $2 - $1 + 1 if /bytes=(\d+)-(\d+)/; }
cmp_ok($fetched, '<', 600_000, "take $fetched bytes of the file");
$k->settled('http_nginx');
done_testing();
