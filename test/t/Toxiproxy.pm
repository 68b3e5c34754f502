# Toxiproxy.pm: the proxy that makes connections bad (tools/peers), before a server.
#
#     my $proxy = Toxiproxy->new($port);
#     connect to $proxy->port;
#     $proxy->toxic('bandwidth', { rate => 100 });     # see its documentation for types and attributes
#     $proxy->toxic('timeout', { timeout => 0 }, stream => 'upstream', toxicity => 0.5);
#     $proxy->enable(0);                               # nobody listens any longer
#     $proxy->heal;
package Toxiproxy;

use strict;
use warnings;

use HTTP::Tiny;
use JSON::PP ();
use Peers;

sub new
{
    my ($class, $to) = @_;
    my ($api, $port) = (Peers::free_port(), Peers::free_port());
    my $server = Peers::start('toxiproxy', sub { Peers::answers($api, '/version') }, Peers::program('toxiproxy'), '-host', '127.0.0.1', '-port', $api);
    my $self = bless { server => $server, api => "http://127.0.0.1:$api", port => $port }, $class;
    $self->_ask('POST', '/proxies', { name => 'it', listen => "127.0.0.1:$port", upstream => "127.0.0.1:$to" });
    return $self;
}

sub port { return $_[0]{port}; }

sub _ask
{
    my ($self, $method, $path, $body) = @_;
    my $answer = HTTP::Tiny->new->request($method, "$self->{api}$path", { content => JSON::PP::encode_json($body // {}) });
    die "$method $path: $answer->{status} $answer->{content}" unless $answer->{success};
    return;
}

# toxic(TYPE, ATTRIBUTES, OTHERS...): from now on, of what the server sends unless OTHERS say otherwise.
sub toxic
{
    my ($self, $type, $attributes, %others) = @_;
    $self->_ask('POST', '/proxies/it/toxics', { type => $type, attributes => $attributes, stream => 'downstream', toxicity => 1, %others });
    return;
}

sub enable
{
    my ($self, $on) = @_;
    $self->_ask('POST', '/proxies/it', { enabled => $on ? JSON::PP::true : JSON::PP::false });
    return;
}

# heal(): as it was in the beginning.
sub heal { my ($self) = @_; $self->_ask('POST', '/reset'); return; }

1;
