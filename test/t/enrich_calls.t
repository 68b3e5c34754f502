# What an enrich node really asks its connector: each key once, with the
# connector's own credentials, and nothing where nothing has to be known.
use strict;
use warnings;
use Kaireon;
use ReaderProxy;
use Test::More;

my $root = PostgreSQL::Test::Utils::tempdir();
my $key = PostgreSQL::Test::Utils::tempdir() . '/key';
open my $out, '>', $key or die;
print $out '0123456789abcdef' x 4;
close $out;
chmod 0600, $key;
my $k = Kaireon->new('enrich_calls', install_path => ReaderProxy::install($root), conf => "kaireon.master_key_file = '$key'");
my $files = $k->files;

# The driver takes no credentials; the proxy takes them out of the request.
$k->sql("UPDATE kaireon_internal.connector_type SET spec = spec || '{\"authMethods\": [\"none\", \"token\"], \"authFields\":"
      . " [{\"name\": \"token\", \"type\": \"password\", \"required\": true, \"methods\": [\"token\"]}]}' WHERE type = 'local_fs'");
$k->sql("SELECT kaireon.create_connector('crm', 'local_fs', " . $k->json({ basePath => "$files/crm" }) . ", 'token', '{\"token\": \"hush\"}')");
mkdir "$files/crm" or die;
$k->write_csv("crm/$_.csv", ['v'], [ $_ * 2 ]) for 1 .. 8;
my @keys = map { $_ % 10 + 1 } 0 .. 29;
$k->write_csv('in.csv', [qw(id key)], (map { [ $_ + 1, $keys[$_] ] } 0 .. 29), [ 31, undef ], [ 32, '../1' ]);
$k->make_schema('out', 'id integer', 'answer json');
$k->make_graph('p', 'out', [ [ 'read', 'source', { resource => 'in.csv' } ], [ 'ask', 'enrich', { connector => 'crm', resource => '{key}.csv', outputField => 'answer' } ], [ 'load', 'target' ] ],
    [ 'read>ask', 'ask>load' ], { errorHandling => 'skip' });

# asked(): the requests to the connector since the last time, "operation resource", but those that look at it when it is made; tests their credentials.
sub asked
{
    my @asked = grep { $_->{resource} ne 'in.csv' && $_->{operation} ne 'check' } ReaderProxy::requests($root);
    ReaderProxy::forget($root);
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is(scalar(grep { $_->{method} ne 'token' || $_->{auth}{token} ne 'hush' } @asked), 0, 'each with the credentials');
    return join ' ', map { "$_->{operation}:$_->{resource}" } @asked;
}

# questions(KEY...): what is asked for them, of which there are 8.
sub questions { return join ' ', map { my $key = $_; map { "$_:$key.csv" } 'list', ($key <= 8 ? qw(describe read) : ()) } @_; }

is(asked(), '', 'making it asks nothing');
my $explained = $k->sql("SELECT string_agg(l, E'\\n') FROM kaireon.explain_pipeline('p') AS l");
unlike($explained, qr/hush/, 'explain_pipeline shows no credentials');
$k->sql("SELECT * FROM kaireon.validate_pipeline('p'); SELECT kaireon.pipeline_diagram('p'); SELECT kaireon.export_pipeline('p')");
is(asked(), '', 'looking at it asks nothing');
is($k->sql("SELECT count(*) FROM kaireon.preview_pipeline('p', 3)"), 3, 'a preview of three rows');
is(asked(), questions(1 .. 3), 'asks for their keys');
is($k->sql("SELECT count(*) FROM kaireon.preview_pipeline('p', 15)"), 15, 'one of fifteen');
is(asked(), questions(1 .. 10), 'asks for the ten that they have');
my $run = $k->run('p');
is("$run->{status} $run->{rows_loaded} $run->{rows_skipped}", 'partial 31 1', 'a run');
is(asked(), questions(1 .. 10), 'asks for each key once, for none of a null and none of a bad value');
is($k->sql('SELECT count(*) FROM ds_out WHERE (answer ->> \'v\')::int = ((id - 1) % 10 + 1) * 2'), 24, 'and all rows have their answers');
$k->settled('calls');
done_testing();
