# A pipeline that is exported and imported into another database: all that its
# nodes name comes along, whatever they call it.
use strict;
use warnings;
use Kaireon;
use Test::More;

my $k = Kaireon->new('exchange');
my $collection = q(schema_type => 'collection', linked_schema => 'people', join_mapping => '{"person": "id"}',
    summary_columns => '[{"sourceField": "amount", "function": "sum", "outputField": "total"}]');

$k->make_schema('people',  'id integer', 'name');
$k->make_schema('cities',  'id integer', 'city');
$k->make_schema('regions', 'id integer');
$k->make_schema('aside',   'id integer');
$k->make_schema('main',    'id integer', 'person integer', 'city', 'total numeric');
$k->sql("SELECT kaireon.create_schema('$_', '[{\"name\": \"id\", \"dataType\": \"integer\", \"isPrimaryKey\": true}, {\"name\": \"person\", \"dataType\": \"integer\"}, {\"name\": \"amount\", \"dataType\": \"numeric\"}]', $collection)")
  for qw(accounts visits);
my $by_id = $k->sql("SELECT id FROM kaireon.schemas WHERE name = 'people'");
$k->make_graph('all', 'main',
    [
        [ 'read',  'source',      { resource => 'in.csv' } ],
        [ 'city',  'lookup_join', { lookupSchema => 'cities', joinField => 'id', lookupField => 'id', selectFields => ['city'] } ],
        [ 'total', 'enrich',      { summary => 'accounts', joinField => 'person', lookupField => 'person', selectFields => ['total'] } ],
        [ 'check', 'validate',    { rules => [ { field => 'id', rule => 'reference', schema => 'regions', schemaField => 'id', onFail => 'skip' } ] } ],
        [ 'sums',  'summarize',   { collectionSchemaId => 'Visits', customerSchemaId => $by_id } ],
        [ 'ways',  'branch',      { routes => [ { label => 'own', field => 'id', operator => '<', value => 100 } ] } ],
        [ 'load',  'target',      { schema => 'main' } ],
        [ 'other', 'target',      { schema => 'aside' } ]
    ],
    [ 'read>city', 'city>total', 'total>check', 'check>sums', 'sums>ways', 'ways>load:own', 'ways>other:otherwise' ]);
my $export = "SELECT kaireon.export_pipeline('all')";
my $names = 'SELECT string_agg(s ->> \'name\', \' \' ORDER BY s ->> \'name\') FROM jsonb_array_elements';
is($k->sql("$names(kaireon.export_pipeline('all') -> 'schemas') AS s"), 'accounts aside cities main people regions visits', 'all schemas are in the document');
my $saved = $k->sql("SELECT nodes FROM kaireon.pipelines WHERE name = 'all'");
like($saved, qr/"Visits"/, 'names are kept as they were given');

# Renamed: the saved version stays, the document has the names there are now.
$k->sql("SELECT kaireon.update_schema('$_', new_name => 'new_$_')") for qw(people cities regions aside main accounts visits);
is($k->sql("SELECT string_agg(message, ', ') FROM kaireon.validate_pipeline('all') WHERE severity = 'error'"), '', 'the pipeline still is right');
is($k->sql("$names(kaireon.export_pipeline('all') -> 'schemas') AS s"), 'new_accounts new_aside new_cities new_main new_people new_regions new_visits', 'schemas that were renamed are in the document');
my $document = $k->sql($export);
is($k->sql("SELECT nodes FROM kaireon.pipelines WHERE name = 'all'"), $saved, 'nothing that is saved has changed');

# Into another database: what is exported there is the same, and runs.
$k->write_csv('in.csv', [qw(id person)], [ 1, 7 ], [ 2, 8 ], [ 200, 7 ], [ 3, 7 ]);
$k->sql('CREATE DATABASE elsewhere');
$k->sql('CREATE EXTENSION kaireon', 'elsewhere');
$k->sql('SELECT kaireon.import_pipeline(' . $k->json($document) . ')', 'elsewhere');
is($k->sql($export, 'elsewhere'), $document, 'imported into another database it is the same');
$k->sql('INSERT INTO ds_new_regions (id) VALUES (1), (2), (200); INSERT INTO ds_new_cities (id, city) VALUES (1, \'Rome\'); INSERT INTO ds_new_accounts_summary (person, total) VALUES (7, 70)', 'elsewhere');
my $run = $k->run('all', 'elsewhere');
is("$run->{status} $run->{rows_loaded}", 'partial 3', 'and runs');
is($k->sql("SELECT string_agg(concat_ws(' ', id, person, city, total), ', ' ORDER BY id) FROM ds_new_main", 'elsewhere'), '1 7 Rome 70, 2 8', 'with all it looks up');
$k->settled('elsewhere', 'elsewhere');

# Renamed once more, the document follows.
$k->sql("SELECT kaireon.update_schema('new_main', new_name => 'latest')");
is($k->sql("SELECT n -> 'config' ->> 'schema' FROM jsonb_array_elements(kaireon.export_pipeline('all') -> 'nodes') AS n WHERE n ->> 'id' = 'load'"), 'latest', 'the latest name counts');
done_testing;
