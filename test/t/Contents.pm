# Contents.pm: a database with something of everything Kaireon keeps, and the
# comparison of a copy with it; for dump.t and upgrade.t.
#
#     Contents::make($k);                      # pipelines "plain" and "hers", role loader, ...
#     my $before = Contents::remember($k);
#     Contents::same($copy, 'restored', $before, $database);
#     Contents::held($copy, 'restored', 'system identifier and data directory', $database);
#     $copy->sql('SELECT kaireon.confirm_instance()');
#     Contents::same_pipelines($copy, 'confirmed', $before);
package Contents;

use strict;
use warnings;

use Kaireon;
use Test::More;

# make(NODE): in database postgres.
sub make
{
    my ($k) = @_;
    my @fields = (
        { name => 'id', dataType => 'integer', isPrimaryKey => \1 }, { name => 'name', dataType => 'varchar', isNullable => \0, defaultValue => "'none'" },
        { name => 'amount', dataType => 'numeric', precision => 8, scale => 2 });
    $k->sql('CREATE ROLE loader LOGIN; GRANT kaireon_admin TO loader; GRANT CREATE ON SCHEMA public TO loader');
    mkdir $k->files . '/in';
    $k->write_file('in/a.csv', "id,name,amount\n1,a,1\n2,b,two\n3,c,3\n");
    $k->make('plain', fields => \@fields, source => { resource => 'in/*.csv', incremental => \1 }, target => { validation => 'skip' });
    $k->run('plain');
    $k->sql(q(SELECT kaireon.update_pipeline('plain', execution_config => '{"errorHandling": "skip"}'); SELECT kaireon.publish_pipeline('plain', 2)));
    $k->sql('SET SESSION AUTHORIZATION loader; SELECT kaireon.create_schema(\'hers\', ' . $k->json(\@fields) . ');'
          . "SELECT kaireon.create_connector('hers', 'local_fs', " . $k->json({ basePath => $k->files }) . ', description => \'her files\');'
          . "SELECT kaireon.create_pipeline('hers', 'hers', 'hers', " . $k->json([ { id => 's', type => 'source', config => { resource => 'in/a.csv' } },
                { id => 'f', type => 'filter', config => { field => 'id', operator => '>', value => 1 } }, { id => 't', type => 'target', config => { validation => 'skip' } } ]) . ')');
    $k->run('hers');
    $k->sql(q(SELECT kaireon.create_schema('orders', '[{"name": "customer", "dataType": "integer"}, {"name": "amount", "dataType": "numeric"}]', schema_type => 'collection',
        linked_schema => 'plain', join_mapping => '{"customer": "id"}', summary_columns => '[{"function": "sum", "sourceField": "amount", "outputField": "total"}]');
        INSERT INTO ds_orders_summary (customer, total) VALUES (1, 2.5); SELECT kaireon.update_schema('orders', new_name => 'sales')));
    # The least readable of names has to come through too.
    $k->sql(q(SELECT kaireon.create_pipeline('a "b" ''c'' \d', 'files', 'plain')));
    $k->sql(q(INSERT INTO kaireon_internal.watermark (pipeline_id, node_id, field, mark, run_id, type_class) SELECT id, 'load', 'amount', '12.50', id, 'number' FROM kaireon_internal.pipeline WHERE name LIKE 'a "b"%'));
    $k->sql(q(INSERT INTO kaireon_internal.file_failure (pipeline_id, node_id, path, size, modified_at, run_id, error_code, error_message) SELECT id, 'read', 'bad.csv', 7, now(), id, '22P02', 'no number' FROM kaireon_internal.pipeline WHERE name LIKE 'a "b"%'));

    $k->sql(q(INSERT INTO kaireon_internal.outbox (kind, pipeline_id, run_id, node_id, connector_id, path, request, next_attempt_at)
        SELECT 'call', id, id, 'load', connector_id, 'a b', '{"method": "PUT", "headers": {"X": "\\t"}, "body": [1.50, "\\u00fc"]}', now() + interval '1 day' FROM kaireon_internal.pipeline WHERE name LIKE 'a "b"%'));

    $k->sql(q(INSERT INTO kaireon_internal.outbox (kind, status, pipeline_id, run_id, node_id, connector_id, path, size, modified_at, target_path, moved_to, staged_size, staged_modified_at, staged_etag)
        SELECT 'stage', 'staged', id, id, 'read', connector_id, 'a b.csv', 5, now(), 'p/a b.csv', 'p/a b.csv.1', 6, now(), 'e' FROM kaireon_internal.pipeline WHERE name LIKE 'a "b"%'));

    # Credentials stay sealed (vault.t opens them there), dead letters are data, and runs may be under way.
    $k->sql("SELECT kaireon.create_connector('sealed', 'local_fs', " . $k->json({ basePath => $k->files }) . ')');
    $k->sql(q(UPDATE kaireon_internal.connector SET auth_sealed = decode('00ff2781c0de0a5c', 'hex') WHERE name = 'sealed'));
    $k->write_file('letters.csv', qq(id,name,amount\n7,"b\\\n\t'",two\n8,\xff,\n9,short\n));
    $k->make('letters', schema => 'plain', source => { resource => 'letters.csv' }, execution => { errorHandling => 'dlq' });
    $k->run('letters');
    return;
}

my @queries = (
    'SELECT * FROM kaireon.connectors', 'SELECT name, auth_sealed FROM kaireon_internal.connector WHERE auth_sealed IS NOT NULL',
    'SELECT id, name, table_schema, table_name, fields, owner, status, created_at FROM kaireon.schemas', 'SELECT * FROM kaireon.schema_fields',
    'SELECT name, linked_schema, join_mapping, summary_columns, summary_table FROM kaireon.schemas', 'SELECT automatic, former_names FROM kaireon_internal.schema',
    'SELECT * FROM ds_sales_summary',
    'SELECT * FROM kaireon.pipeline_versions', 'SELECT * FROM kaireon_internal.run', 'SELECT * FROM kaireon.run_nodes',
    'SELECT * FROM kaireon.run_errors', 'SELECT * FROM kaireon.dead_letters', 'SELECT * FROM kaireon.source_state', 'SELECT * FROM kaireon_internal.lease',
    'SELECT * FROM kaireon_internal.source_file', 'SELECT * FROM kaireon_internal.file_failure', 'SELECT * FROM kaireon_internal.outbox', 'SELECT * FROM ds_plain', 'SELECT * FROM ds_hers', 'SELECT * FROM kaireon_internal.pipeline',
    # the trigger of updated_at goes with the extension there too
    q(SELECT t.tgrelid::regclass, t.tgname, d.deptype FROM pg_trigger AS t JOIN pg_depend AS d ON d.classid = 'pg_trigger'::regclass AND d.objid = t.oid
       WHERE d.refclassid = 'pg_extension'::regclass));

sub answer
{
    my ($k, $query, $database) = @_;
    return $k->sql("SELECT q::text FROM ($query) AS q ORDER BY 1", $database);
}

# remember(NODE): what is in there, for same().
sub remember
{
    my ($k) = @_;
    my %before = map { $_ => answer($k, $_) } @queries, 'SELECT * FROM kaireon.pipelines';
    isnt($before{$_}, '', "$_: there is something") for @queries;
    return \%before;
}

# same(NODE, WHAT, BEFORE, DATABASE): all of it is there.
sub same
{
    my ($k, $what, $before, $database) = @_;
    is(answer($k, $_, $database), $before->{$_}, "$what: $_") for @queries;
    return;
}

# same_pipelines(NODE, WHAT, BEFORE, DATABASE): once it is confirmed; runs that were under way have ended.
sub same_pipelines
{
    my ($k, $what, $before, $database) = @_;
    (my $pipelines = $before->{'SELECT * FROM kaireon.pipelines'}) =~ s/,(running|queued),/,cancelled,/g;
    is(answer($k, 'SELECT * FROM kaireon.pipelines', $database), $pipelines, "$what: the pipelines are what they were, published, paused, draft");
    return;
}

# held(NODE, WHAT, REASON, DATABASE): it is a copy, and says why.
sub held
{
    my ($k, $what, $reason, $database) = @_;
    my $because = $k->sql('SELECT is_confirmed, reason FROM kaireon.instance', $database);
    like($because, qr/^f\|It was restored, .* it has another $reason\.$/, "$what knows that it is a copy");
    is($k->sql("SELECT DISTINCT p.status, p.held_because = 'this database is a copy: ' || i.reason FROM kaireon.pipelines AS p, kaireon.instance AS i", $database), 'paused|t', "$what: its pipelines are paused and say why");
    like($k->sql_error("SELECT kaireon.$_('plain')", $database), qr/ERROR:  pipelines are held: this database is a copy/, "$what refuses $_") for qw(run_pipeline start_pipeline);
    return;
}

1;
