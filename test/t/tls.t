# Servers behind TLS: which of them are believed, and HTTP/2.
use strict;
use warnings;
use File::Basename qw(dirname);
use File::Spec::Functions qw(rel2abs);
use Kaireon;
use Peers;
use ProxyServer;
use Test::More;

plan skip_all => 'node is not installed' if system('node --version > /dev/null 2>&1');
plan skip_all => 'openssl is not installed' if system('openssl version > /dev/null 2>&1');
my $dir = PostgreSQL::Test::Utils::tempdir();
my $key = "$dir/vault";
PostgreSQL::Test::Utils::append_to_file($key, '0123456789abcdef' x 4);
chmod 0600, $key;

# ---- certificates

sub openssl { system("cd $dir && openssl $_[0] > log 2>&1") == 0 or die "openssl $_[0]: " . PostgreSQL::Test::Utils::slurp_file("$dir/log"); return; }

my $NEW_KEY = '-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes';

# authority(NAME), certificate(NAME, AUTHORITY, NAMES, DAYS): NAME.key and NAME.crt.
sub authority { openssl("req -x509 $NEW_KEY -keyout $_[0].key -out $_[0].crt -subj /CN=$_[0] -days 2"); return; }

sub certificate
{
    my ($name, $authority, $names, $days) = @_;
    openssl("req -new $NEW_KEY -keyout $name.key -out $name.csr -subj /CN=$name -addext subjectAltName=$names");
    openssl("x509 -req -in $name.csr -CA $authority.crt -CAkey $authority.key -CAcreateserial -copy_extensions copy -days $days -out $name.crt");
    return;
}

authority($_) for 'ca', 'stranger';
certificate('good', 'ca', 'DNS:localhost,IP:127.0.0.1', 2);
certificate('named', 'ca', 'DNS:named.example', 2);
certificate('other', 'ca', 'DNS:other.example,DNS:*.localhost,IP:127.0.0.2', 2);
certificate('expired', 'ca', 'DNS:localhost', -1);
certificate('strange', 'stranger', 'DNS:localhost', 2);
my %pem = map { $_ => PostgreSQL::Test::Utils::slurp_file("$dir/$_.crt") } 'ca', 'stranger';

# ---- servers

my $files = PostgreSQL::Test::Utils::tempdir();
# Proxies of the environment's are not used, and exceptions from one that is configured neither.
@ENV{qw(http_proxy https_proxy ALL_PROXY no_proxy)} = (('http://127.0.0.1:1') x 3, '*');
my $k = Kaireon->new('tls', files => $files, conf => "kaireon.master_key_file = '$key'\nkaireon.egress_allow = '127.0.0.1'\n");
my $ROWS = 60_000;
$k->write_rows('big.csv', $ROWS, sub { "$_[0],name of number $_[0] which is rather long" }, 'id,name');
$k->write_file('small.csv', "id,name\n1,one\n2,two\n");
my @names = ('good', 'named', 'good.plain', 'good.old', 'good.open', 'other', 'expired', 'strange');
my $ports = "$dir/ports";
my $node = Peers::start('the TLS server', sub { -e $ports && (() = PostgreSQL::Test::Utils::slurp_file($ports) =~ /\n/g) == @names },
    'sh', '-c', 'cd "$1" && shift && exec node "$@" > ports', 'sh', $dir, rel2abs(dirname(__FILE__) . '/tls_server.js'), $files, "$dir/requests", @names);
my %port = PostgreSQL::Test::Utils::slurp_file($ports) =~ /^(\S+) (\d+)$/mg;

sub requests
{
    my $said = -e "$dir/requests" ? PostgreSQL::Test::Utils::slurp_file("$dir/requests") : '';
    unlink "$dir/requests";
    return split /\n/, $said;
}

sub creation
{
    my ($name, $type, $config, @auth) = @_;
    return "SELECT kaireon.delete_connector(name) FROM kaireon.connectors WHERE name = '$name'; SELECT kaireon.create_connector('$name', '$type', " . $k->json({ maxAttempts => 2, %$config })
        . (@auth ? ", '$auth[0]', " . $k->json($auth[1]) : '') . ')';
}

sub connector
{
    $k->sql(creation(@_));
    return $_[0];
}

# web(SERVER, CA, HOST = localhost): a connector to it.
sub web
{
    my ($server, $ca, $host) = @_;
    return connector('web', 'http_pull', { baseUrl => 'https://' . ($host // 'localhost') . ":$port{$server}", $ca ? (caCert => $ca) : () });
}

sub read_sum { return $k->sql("SELECT count(*), sum(id) FROM kaireon.read('web', '$_[0]') AS t(id bigint, name text)"); }
sub list_error { return $k->sql_error("\\set VERBOSITY verbose\nSELECT * FROM kaireon.list_objects('" . ($_[0] // 'web') . "', 'small.csv')"); }

# ---- who is believed

my $untrusted = qr/08001: the TLS connection to "localhost" can't be trusted/;
web('good');
like(list_error(), qr/$untrusted.*HINT:.*caCert/s, 'an authority that nobody knows');
is($k->sql("SELECT ok FROM kaireon.test_connector('web')"), 'f', 'test_connector says so');
web('good', $pem{stranger});
like(list_error(), $untrusted, 'another authority than the given one');
web('strange', $pem{ca});
like(list_error(), $untrusted, 'a certificate of another authority');
web('expired', $pem{ca});
like(list_error(), qr/$untrusted.*DETAIL:.*expired/s, 'a certificate that has expired');
web('other', $pem{ca});
like(list_error(), qr/$untrusted.*DETAIL:.*subject name/s, 'one for another host');
web('other', $pem{ca}, '127.0.0.1');
like(list_error(), qr/08001: the TLS connection to "127\.0\.0\.1" can't be trusted.*DETAIL:.*subject name/s, 'one for another address');
web('good.old', $pem{ca});
like(list_error(), qr/08001: could not begin a TLS connection to "localhost"/, 'a server of TLS 1.1');
web('good.open', $pem{ca});
like(list_error(), qr/08001: could not begin a TLS connection to "localhost".*HINT:.*is it http:/s, 'a server without TLS');
like($k->sql_error(creation('web', 'http_pull', { caCert => 'no certificate' })), qr/caCert is no certificate in PEM form/, 'an authority that is none');
is(join("\n", requests()), '', 'none of them is asked for anything');

# ---- what is read from those that are

for my $host ('localhost', '127.0.0.1')
{
    web('good', $pem{stranger} . $pem{ca}, $host);
    is(read_sum('small.csv'), '2|3', "a server of the given authorities, as $host");
}
requests();
is(read_sum('big.csv'), "$ROWS|" . $ROWS * ($ROWS + 1) / 2, 'a file of several parts');
my @asked = requests();
cmp_ok(scalar(grep { /bytes=/ } @asked), '>', 1, 'comes in parts');
is(join("\n", grep { !/^2\.0 / } @asked), '', 'all by HTTP/2, which the server offers');
web('good.plain', $pem{ca});
is(read_sum('big.csv'), "$ROWS|" . $ROWS * ($ROWS + 1) / 2, 'the same from a server that does not offer it');
is(join("\n", grep { !/^1\.1 / } requests()), '', 'by HTTP/1.1');

# ---- through a proxy

my $proxy = ProxyServer->new;
sub by_proxy
{
    my ($server, $config) = @_;
    return connector('web', 'http_pull', { baseUrl => "https://named.example:$port{$server}", proxy => $proxy->url, caCert => $pem{ca}, connectTimeoutSeconds => 2, %{ $config // {} } }, 'token', { token => 'sesame' });
}

by_proxy('named');
requests();
is(read_sum('big.csv'), "$ROWS|" . $ROWS * ($ROWS + 1) / 2, 'a proxy connects to a server');
@asked = requests();
cmp_ok(scalar(@asked), '>', 1, 'that is asked');
is(join("\n", grep { !/^2\.0 / } @asked), '', 'by HTTP/2');
my @connects = $proxy->log;
is(join("\n", grep { !/^CONNECT named\.example:$port{named} host( proxy-connection)?( user-agent)?$/ } @connects), '', 'the proxy learns where to, and no header of the requests');
by_proxy('good');
like(list_error(), qr/08001: the TLS connection to "named\.example" can't be trusted/, 'it is the server that must be known');
for my $case ([ 'stall', qr/08001: could not connect to "named\.example" through proxy "127\.0\.0\.1".*within 2 seconds \(connectTimeoutSeconds\)\. 2 attempts failed/s, 2 ],
    [ 'mute', qr/08001: could not connect to "named\.example" through proxy "127\.0\.0\.1".*within 2 seconds/s, 2 ],
    [ 'cut', qr/08006: the connection to "named\.example" broke/, 2 ],
    [ '407', qr/28000: proxy "127\.0\.0\.1" wants credentials.*HINT:  Credentials for a proxy can't be given/s, 1 ],
    [ '403', qr/42501: proxy "127\.0\.0\.1" does not allow connections to "named\.example".*status 403/s, 1 ],
    [ '404', qr/08001: proxy "127\.0\.0\.1" could not connect to "named\.example".*status 404/s, 1 ],
    [ '502', qr/08001: proxy "127\.0\.0\.1" could not connect to "named\.example".*status 502/s, 2 ])
{
    my ($how, $error, $times) = @$case;
    by_proxy('named');
    $proxy->behave($how);
    $proxy->log;
    like(list_error(), $error, "a proxy that does \"$how\"");
    is(scalar($proxy->log), $times, 'is asked again only where that may help');
}
$proxy->behave('');
by_proxy('named', { proxy => "https://localhost:$port{good}", caCert => $pem{stranger} });
like(list_error(), qr/08001: the TLS connection to proxy "localhost" can't be trusted/, 'a proxy behind TLS must be known as well');
by_proxy('named', { proxy => 'http://127.0.0.1:' . Peers::free_port() });
like(list_error(), qr/08001: could not connect to proxy "127\.0\.0\.1"/, 'one that is not there');

# ---- stores

for my $case ([ 's3', 'amazon_s3', { bucket => 'data', endpoint => "https://localhost:$port{good}" }, 'none', {} ],
    [ 'azure', 'azure_blob_storage', { storageAccount => 'account', container => 'data', endpoint => "https://localhost:$port{good}/account" }, 'access_key', { accountKey => 'bm8=' } ],
    [ 'gcs', 'google_cloud_storage', { bucket => 'data', endpoint => "https://localhost:$port{good}" }, 'none', {} ])
{
    my ($name, $type, $config, @auth) = @$case;
    connector($name, $type, $config, @auth);
    like(list_error($name), $untrusted, "$name: a server that nobody knows");
    is(join("\n", requests()), '', "$name: is not asked");
    connector($name, $type, { %$config, caCert => $pem{ca} }, @auth);
    unlike(list_error($name), qr/TLS/, "$name: one of the given authority");
    isnt(join("\n", requests()), '', "$name: is");
}
$k->settled('tls');
done_testing();
