# GcsGate.pm: what Google's services check, in front of a peer that does not.
#
# A process of its own on a free port of 127.0.0.1, one child a connection.  Requests
# go on to fake-gcs-server (Peers.pm) when they have an access token that the gate
# has given (`secure`), and when their preconditions hold (ifGenerationMatch,
# ifSourceGenerationMatch).  An object is rewritten in two calls.
#
#     POST /token         gives tokens for a JWT (RFC 7523), whose signature and claims are verified, or a refresh token
#     GET /computeMetadata/v1/instance/service-accounts/default/token        the same of a machine
#
# set(NAME, VALUE) changes how it behaves from the next request on:
#
#     secure        tokens are asked for
#     lenient       preconditions are not looked at
#     life          seconds that a token lasts; it is accepted for as long as the gate runs
#     revoke        so many tokens, from now on, are not accepted
#     page          objects a page of a listing has at most
#     change        KEY=CONTENT: the object is overwritten once its first bytes have been sent
#     race          KEY=CONTENT: that object is written just before one is rewritten
#     endless       the token of rewrites that never end
#     echo          errors repeat what they were sent
#     token_answer  what /token answers, whatever it was asked
#
# log() has a line for each request since the last call.
package GcsGate;

use strict;
use warnings;
use parent 'ForkingServer';

use Fcntl qw(:flock);
use HTTP::Tiny;
use JSON::PP ();
use MIME::Base64 qw(decode_base64url encode_base64url);
use Peers;
use PostgreSQL::Test::Utils;

our $EMAIL = 'reader@project.iam.gserviceaccount.com';
our $REFRESH = 'refresh-1//token';

sub new
{
    my ($class, $upstream) = @_;
    my $state = PostgreSQL::Test::Utils::tempdir();
    system("openssl genrsa -out $state/key 2048 2> /dev/null && openssl rsa -in $state/key -pubout -out $state/public 2> /dev/null") == 0 or die 'openssl';
    return ForkingServer::start($class, upstream => $upstream, state => $state);
}

sub serve { my ($self, $client) = @_; 1 while $self->_answer($client); return; }

# key_file(OTHERS...): the content of a key file, as a hash.
sub key_file
{
    my ($self, %others) = @_;
    return { type => 'service_account', project_id => 'project', private_key_id => 'key-1', private_key => PostgreSQL::Test::Utils::slurp_file("$self->{state}/key"),
        client_email => $EMAIL, client_id => '1', auth_uri => 'https://accounts.google.com/o/oauth2/auth', token_uri => $self->url('/token'), %others };
}

# user_file(OTHERS...): that of a user.
sub user_file
{
    my ($self, %others) = @_;
    return { type => 'authorized_user', client_id => 'client', client_secret => 'client-secret', refresh_token => $REFRESH, token_uri => $self->url('/token'), %others };
}

sub set
{
    my ($self, $name, $value) = @_;
    open my $out, '>', "$self->{state}/set_$name" or die $!;
    print $out $value;
    close $out;
    return;
}

sub _get
{
    my ($self, $name) = @_;
    open my $in, '<', "$self->{state}/set_$name" or return;
    local $/;
    my $value = <$in>;
    return defined $value && length $value ? $value : undef;
}

sub log
{
    my ($self) = @_;
    open my $in, '<', "$self->{state}/log" or return ();
    my @lines = <$in>;
    close $in;
    unlink "$self->{state}/log";
    chomp @lines;
    return @lines;
}

sub _append
{
    my ($self, $name, $line) = @_;
    open my $out, '>>', "$self->{state}/$name" or die $!;
    flock $out, LOCK_EX;
    print $out "$line\n";
    close $out;
    return;
}

# ---- tokens

sub _give
{
    my ($self) = @_;
    my $left = $self->_get('revoke') // 0;
    my $token = join '-', 'ya29.token', $$, int rand 1e9;
    if ($left > 0) { $self->set('revoke', $left - 1); }
    else { $self->_append('tokens', $token); }
    return { access_token => $token, expires_in => ($self->_get('life') // 3600) + 0, token_type => 'Bearer' };
}

sub _known
{
    my ($self, $header) = @_;
    my ($token) = ($header // '') =~ /^Bearer (\S+)$/ or return 0;
    open my $in, '<', "$self->{state}/tokens" or return 0;
    while (<$in>) { chomp; return 1 if $_ eq $token; }
    return 0;
}

# What is wrong with a JWT; '' for nothing.
sub _complaint
{
    my ($self, $jwt) = @_;
    my ($header, $claims, $signature) = split /\./, $jwt;
    my $files = "$self->{state}/jwt$$";
    for ([ "$files.text", "$header.$claims" ], [ "$files.signature", decode_base64url($signature // '') ])
    {
        open my $out, '>:raw', $_->[0] or die $!;
        print $out $_->[1];
        close $out;
    }
    return 'Invalid JWT Signature.' if system("openssl dgst -sha256 -verify $self->{state}/public -signature $files.signature $files.text > /dev/null 2>&1");
    my ($h, $c) = map { JSON::PP::decode_json(decode_base64url($_)) } $header, $claims;
    return 'Invalid algorithm.' if "$h->{alg} $h->{typ} $h->{kid}" ne 'RS256 JWT key-1';
    return 'Invalid issuer.' if $c->{iss} ne $EMAIL;
    return 'Invalid audience.' if $c->{aud} ne $self->url('/token');
    return 'Invalid scope.' if $c->{scope} !~ m{^https://www\.googleapis\.com/auth/devstorage\.(read_only|read_write)$};
    return 'Invalid time.' if $c->{iat} > time + 5 || $c->{iat} < time - 60 || $c->{exp} != $c->{iat} + 3600;
    $self->_append('log', "scope $1");
    return '';
}

sub _token
{
    my ($self, $body) = @_;
    my %form = map { my ($n, $v) = split /=/, $_, 2; ($n => $v =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ger) } split /&/, $body;
    my $grant = $form{grant_type} // '';
    my $fixed = $self->_get('token_answer');
    return (200, $fixed) if defined $fixed;
    my $complaint = $grant eq 'urn:ietf:params:oauth:grant-type:jwt-bearer' ? $self->_complaint($form{assertion} // '')
        : $grant eq 'refresh_token' ? (("$form{client_id} $form{client_secret} $form{refresh_token}" eq "client client-secret $REFRESH") ? '' : 'Token has been expired or revoked.')
        : 'Unsupported grant type.';
    $complaint .= ' ' . join ' ', values %form if $complaint && $self->_get('echo');
    return (400, { error => 'invalid_grant', error_description => $complaint }) if $complaint;
    return (200, $self->_give);
}

# ---- requests

sub _send
{
    my ($client, $status, $body, %headers) = @_;
    $body = JSON::PP::encode_json($body) if ref $body;
    $headers{'Content-Length'} = length $body;
    my $text = "HTTP/1.1 $status X\r\n" . join('', map { "$_: $headers{$_}\r\n" } sort keys %headers) . "\r\n$body";
    my $at = 0;
    while ($at < length $text) { my $n = syswrite $client, $text, 262144, $at; return 0 unless $n; $at += $n; }
    return 1;
}

sub _error
{
    my ($client, $status, $reason, $message) = @_;
    return _send($client, $status, { error => { code => $status, message => $message, errors => [ { message => $message, domain => 'global', reason => $reason } ] } }, 'Content-Type' => 'application/json');
}

# The generation of an object, by its path as it stands in the URL; 0: there is none.
sub _generation
{
    my ($self, $path) = @_;
    my $answer = HTTP::Tiny->new->get("http://127.0.0.1:$self->{upstream}$path");
    return $answer->{success} ? JSON::PP::decode_json($answer->{content})->{generation} : 0;
}

# Writes the object that `change` or `race` names, once; with PATH only when that is the one.
sub _write
{
    my ($self, $what, $bucket, $path) = @_;
    my ($key, $content) = split /=/, $self->_get($what) // return, 2;
    return if defined $path && $path !~ m{/o/\Q@{[ $key =~ s/([^A-Za-z0-9._~-])/sprintf '%%%02X', ord $1/ger ]}\E$};
    $self->set($what, '');
    return Peers::gcs_put($self->{upstream}, $bucket, $key, $content);
}

sub _answer
{
    my ($self, $client) = @_;
    my $request = '';
    while ($request !~ /\r\n\r\n/) { return 0 unless sysread $client, $request, 65536, length $request; }
    my ($head, $body) = split /\r\n\r\n/, $request, 2;
    my %in = map { /^([^:]+):\s*(.*?)\r?$/ ? (lc $1 => $2) : () } split /\n/, $head;
    while (length $body < ($in{'content-length'} // 0)) { return 0 unless sysread $client, $body, 65536, length $body; }
    my ($method, $target) = $head =~ /^(\S+) (\S+)/;
    my ($path, $query) = split /\?/, $target, 2;
    my %ask = map { my ($n, $v) = split /=/, $_, 2; ($n => $v) } split /&/, $query // '';
    $self->_append('log', join ' ', $method, $target, $in{range} // '-');
    if ($path eq '/token')
    {
        my ($status, $answer) = $method eq 'POST' ? $self->_token($body) : (405, {});
        return _send($client, $status, $answer, 'Content-Type' => 'application/json');
    }
    if ($path =~ m{/computeMetadata/})
    {
        return _send($client, 403, 'Missing Metadata-Flavor:Google header.') unless ($in{'metadata-flavor'} // '') eq 'Google';
        return _send($client, 404, 'not found') unless $path eq '/computeMetadata/v1/instance/service-accounts/default/token';
        return _send($client, 200, $self->_give, 'Metadata-Flavor' => 'Google');
    }
    if ($self->_get('secure') && !$self->_known($in{authorization}))
    {
        return _error($client, 401, 'authError', "not accepted: $in{authorization}") if $self->_get('echo');
        return _error($client, 401, $in{authorization} ? ('authError', 'Invalid Credentials') : ('required', 'Anonymous caller does not have storage.objects.list access to the bucket.'));
    }
    return $self->_storage($client, $method, $path, \%ask, \%in, $body);
}

sub _refused
{
    my ($self, $path, $ask) = @_;
    return 0 if $self->_get('lenient');
    if (my ($from, $to) = $path =~ m{^(.*?)/rewriteTo(/b/.*)$})
    {
        return $ask->{ifSourceGenerationMatch} != $self->_generation($from) || $ask->{ifGenerationMatch} != $self->_generation("/storage/v1$to");
    }
    return defined $ask->{ifGenerationMatch} && $ask->{ifGenerationMatch} != $self->_generation($path);
}

sub _storage
{
    my ($self, $client, $method, $path, $ask, $in, $body) = @_;
    my ($bucket) = $path =~ m{^/storage/v1/b/([^/]+)};
    $self->_write('race', $bucket) if $path =~ m{/rewriteTo/};
    return _error($client, 412, 'conditionNotMet', 'At least one of the pre-conditions you specified did not hold.') if $self->_refused($path, $ask);
    if ($path =~ m{/rewriteTo/} && ($ask->{rewriteToken} // '') ne 'go%2Fon')
    {
        return _send($client, 200, { done => JSON::PP::false, rewriteToken => $self->_get('endless') // 'go/on', totalBytesRewritten => '7' }, 'Content-Type' => 'application/json');
    }
    my $page = $self->_get('page');
    $ask->{maxResults} = $page if $page && $ask->{maxResults} && $ask->{maxResults} > $page;
    my %headers = map { exists $in->{$_} ? ($_ => $in->{$_}) : () } qw(range accept-encoding content-type);
    my $answer = HTTP::Tiny->new->request($method, "http://127.0.0.1:$self->{upstream}$path?" . join('&', map { "$_=$ask->{$_}" } sort keys %$ask), { headers => \%headers, content => $body });
    my %out = map { exists $answer->{headers}{$_} ? ($_ => $answer->{headers}{$_}) : () } qw(content-type content-range content-encoding etag last-modified x-goog-generation);
    my $sent = _send($client, $answer->{status}, $answer->{content}, %out);
    $self->_write('change', $bucket, $path) if ($ask->{alt} // '') eq 'media';
    return $sent;
}

1;
