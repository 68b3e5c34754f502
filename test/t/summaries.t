# Summarize nodes: which customers' rows of a summary a run writes, when it
# writes all, and that nothing of it is there when the run fails.
use strict;
use warnings;
use Kaireon;
use Test::More;

my $k = Kaireon->new('summaries');
my $columns = [ { function => 'count', outputField => 'accounts' }, { function => 'sum', sourceField => 'balance', outputField => 'total' },
    { function => 'max', sourceField => 'opened', outputField => 'newest' }, { function => 'bool_or', sourceField => 'premium', outputField => 'has_premium' } ];

$k->sql("SELECT kaireon.create_schema('customer', '[{\"name\": \"id\", \"dataType\": \"integer\", \"isPrimaryKey\": true}, {\"name\": \"region\"}]')");

# collection(NAME, columns => [..], mapping => {..}): a collection of accounts, linked to the customers.
sub collection
{
    my ($name, %o) = @_;
    $k->sql("SELECT kaireon.create_schema('$name', " . $k->json([ { name => 'account', dataType => 'integer', isPrimaryKey => \1 }, { name => 'customer_id', dataType => 'integer' },
            { name => 'region', dataType => 'text' }, { name => 'balance', dataType => 'double' }, { name => 'opened', dataType => 'date' }, { name => 'premium', dataType => 'boolean' } ])
          . ", schema_type => 'collection', linked_schema => 'customer', join_mapping => " . $k->json($o{mapping} || { customer_id => 'id' }) . ', summary_columns => ' . $k->json($o{columns} || $columns) . ')');
    return $name;
}

# pipeline(NAME, SCHEMA, {config of the summarize node}, NODE...): reads NAME.csv.
sub pipeline
{
    my ($name, $schema, $config, @nodes) = @_;
    $k->make($name, schema => $schema, source => { resource => "$name.csv" }, target => { validation => 'skip' },
        nodes => [ @nodes, { id => 'sums', type => 'summarize', config => $config } ], execution => { errorHandling => 'skip' });
    return $name;
}

sub write_accounts
{
    my ($name, @rows) = @_;
    return $k->write_csv("$name.csv", [qw(account customer_id region balance opened premium)], @rows);
}

# summary(NAME): its rows, without updated_at, by customer.
sub summary
{
    my ($name) = @_;
    return $k->sql("SELECT to_jsonb(s) - 'updated_at' FROM ds_${name}_summary AS s ORDER BY s::text") =~ s/[" ]//gr =~ s/\n/ /gr;
}

# touched(NAME, SQL that runs something): whose rows of the summary were written meanwhile.
sub touched
{
    my ($name, $work) = @_;
    $k->sql("DROP TABLE IF EXISTS was; CREATE TABLE was AS SELECT customer_id, xmin::text AS x FROM ds_${name}_summary");
    $work->();
    return $k->sql("SELECT coalesce(string_agg(customer_id::text, ' ' ORDER BY customer_id), '-') FROM ds_${name}_summary AS s FULL JOIN was USING (customer_id) "
        . 'WHERE s.xmin::text IS DISTINCT FROM was.x');
}

# ---- whose rows are written

collection('accounts');
pipeline('load', 'accounts', { collectionSchemaId => 'accounts', customerSchemaId => 'customer', joinKey => 'customer_id', aggregations => [ map { { sourceField => '*', %$_ } } @$columns ] });
write_accounts('load', [ 1, 10, 'n', 5, '2024-01-01', 'f' ], [ 2, 10, 'n', 7.5, '2024-02-01', 't' ], [ 3, 11, 's', undef, undef, undef ], [ 4, undef, 'n', 9, '2024-01-01', 't' ], [ 'x', 12, 'n', 9, '2024-01-01', 't' ]);
my $run = $k->run('load');
is("$run->{status} $run->{rows_loaded} $run->{rows_skipped}", 'partial 4 1', 'a first load');
is(summary('accounts'), '{total:12.5,newest:2024-02-01,accounts:2,customer_id:10,has_premium:true} {total:null,newest:null,accounts:1,customer_id:11,has_premium:null}',
    'a row for each customer that has rows, whether or not there is such a customer; none for rows without one');
is($k->node_counts($run), 'read 5/5/0 sums 5/5/0 load 5/4/1', 'rows go through the node as they are');

write_accounts('load', [ 5, 11, 's', 1, '2024-03-01', 'f' ], [ 6, 13, 's', 2, '2024-03-01', 'f' ], [ 1, 10, 'n', 100, '2024-03-01', 'f' ]);
is(touched('accounts', sub { $run = $k->run('load') }), '11 13', 'then only customers whose rows came');
is("$run->{rows_loaded} $run->{rows_skipped} " . summary('accounts'),
    '2 1 {total:12.5,newest:2024-02-01,accounts:2,customer_id:10,has_premium:true} {total:1,newest:2024-03-01,accounts:2,customer_id:11,has_premium:false} {total:2,newest:2024-03-01,accounts:1,customer_id:13,has_premium:false}',
    'with all of their rows; a row that is a duplicate counts once');

write_accounts('load', [ 7, 14, 's', 2, '2024-03-01', 'f' ]);
$k->sql("UPDATE ds_accounts SET customer_id = 15 WHERE account = 6; DELETE FROM ds_accounts WHERE customer_id = 11");
is(touched('accounts', sub { $k->run('load') }), '14', 'what others did to the collection is not noticed,');
$k->sql('TRUNCATE ds_accounts_summary');
write_accounts('load');
$k->run('load');
is(summary('accounts'), '{total:12.5,newest:2024-02-01,accounts:2,customer_id:10,has_premium:true} {total:2,newest:2024-03-01,accounts:1,customer_id:14,has_premium:false} {total:2,newest:2024-03-01,accounts:1,customer_id:15,has_premium:false}',
    'until the summary is emptied: then the next run makes all of it, though it loads nothing');
is(touched('accounts', sub { $k->run('load') }), '-', 'and one that loads nothing writes nothing');

# ---- when all is written

$k->make('plain', schema => 'accounts', source => { resource => 'plain.csv' });
write_accounts('plain', [ 20, 10, 'n', 1, undef, undef ]);
$k->run('plain');
write_accounts('load', [ 21, 20, 'n', 1, undef, undef ]);
is(touched('accounts', sub { $k->run('load') }), '10 20', 'rows that another pipeline loaded without summarising: the next summary has them');
write_accounts('load', [ 22, 20, 'n', 1, undef, undef ]);
$k->sql("UPDATE ds_accounts SET balance = 1000 WHERE customer_id = 10");
is(touched('accounts', sub { $k->run('load') }), '20', 'once');

$k->sql("SELECT kaireon.update_schema('accounts', summary_columns => " . $k->json([ @$columns, { function => 'avg', sourceField => 'balance', outputField => 'average' } ]) . ')');
write_accounts('load', [ 23, 20, 'n', 1, undef, undef ]);
$k->run('load');
like(summary('accounts'), qr/average:null,accounts:3,customer_id:10/, 'a node that does not name a new column leaves it');
pipeline('whole', 'accounts', { collectionSchemaId => $k->sql("SELECT id FROM kaireon.schemas WHERE name = 'accounts'"), joinKey => ['customer_id'] });
write_accounts('whole');
$k->run('whole');
like(summary('accounts'), qr/average:1000,accounts:3,customer_id:10/, 'one that does makes it for all customers; the schema by its id, all columns');
is($k->sql("SELECT incomplete FROM kaireon_internal.summary"), '{}', 'and the summary is complete');

# A pipeline that does not load the collection.
$k->make_schema('notes', 'id integer');
pipeline('others', 'notes', { collectionSchemaId => 'accounts' });
$k->write_csv('others.csv', ['id'], [1]);
is($k->sql("SELECT severity || ' ' || node_id || ' ' || code || ' ' || message FROM kaireon.validate_pipeline('others')"),
    'warning sums not_loaded no target loads schema "accounts": each run summarises all of it (What a target of the pipeline loads is summarised for the customers it loads rows of.)', 'a pipeline without that target: a warning');
$k->sql("DELETE FROM ds_accounts WHERE customer_id = 14; UPDATE ds_accounts SET balance = 3 WHERE customer_id = 15");
is(touched('accounts', sub { $k->run('others') }), '14 15', 'and all of it, each time; customers without rows go');

# ---- ways of loading

$k->sql("CREATE FUNCTION other_customer() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.customer_id := NEW.customer_id + 100; RETURN NEW; END'; "
      . "CREATE TRIGGER t BEFORE INSERT ON ds_accounts FOR EACH ROW WHEN (NEW.balance > 50) EXECUTE FUNCTION other_customer()");
write_accounts('whole', [ 30, 10, 'n', 60, undef, undef ], [ 31, 20, 'n', 1, undef, undef ]);
is(touched('accounts', sub { $k->run('whole') }), '20 110', 'a trigger that gives a row to another customer');
$k->sql("DROP TRIGGER t ON ds_accounts; ALTER TABLE ds_accounts ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY");
write_accounts('whole', [ 32, 10, 'n', 1, undef, undef ]);
is(touched('accounts', sub { $k->run('whole') }), '10', 'a superuser does not notice row security');
$k->sql('ALTER TABLE ds_accounts DISABLE ROW LEVEL SECURITY');

$k->sql("CREATE TABLE parted (account integer PRIMARY KEY, customer_id integer, balance numeric) PARTITION BY RANGE (account); CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (100); "
      . "CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (100) TO (200); SELECT kaireon.adopt_table('parted', 'parted'); "
      . "SELECT kaireon.update_schema('parted', schema_type => 'collection', linked_schema => 'customer', join_mapping => '{\"customer_id\": \"id\"}', "
      . "summary_columns => '[{\"function\": \"sum\", \"sourceField\": \"balance\", \"outputField\": \"total\"}]')");
pipeline('parted', 'parted', { collectionSchemaId => 'parted' });
$k->write_csv('parted.csv', [qw(account customer_id balance)], [ 1, 1, 10 ], [ 101, 1, 20 ], [ 102, 2, 30 ], [ 999, 3, 30 ]);
$run = $k->run('parted');
is("$run->{status} " . summary('parted'), 'partial {total:30,customer_id:1} {total:30,customer_id:2}', 'a partitioned collection');
$k->write_csv('parted.csv', [qw(account customer_id balance)], [ 3, 2, 1 ]);
is(touched('parted', sub { $k->run('parted') }), '2', 'is written for the customers it was told of');

# Two join fields, two targets of a branch, two nodes with columns of their own.
collection('pairs', mapping => { customer_id => 'id', region => 'region' }, columns => [ { function => 'count', outputField => 'n' }, { function => 'min', sourceField => 'balance', outputField => 'least' } ]);
$k->make_graph('pairs', 'pairs', [ [ 'read', 'source', { resource => 'pairs.csv' } ], [ 'size', 'branch', { routes => [ { label => 'big', field => 'balance', operator => '>', value => 10 } ] } ],
        [ 'n', 'summarize', { collectionSchemaId => 'pairs', joinKey => [ 'region', 'customer_id' ], aggregations => [ { function => 'count', outputField => 'n' } ] } ],
        [ 'least', 'summarize', { collectionSchemaId => 'pairs', aggregations => [ { function => 'min', sourceField => 'balance', outputField => 'least' } ] } ], [ 'load', 'target' ], [ 'notes', 'target', { schema => 'accounts' } ] ],
    [ 'read>size', 'size>n:big', 'n>load', 'size>least:otherwise', 'least>notes' ]);
write_accounts('pairs', [ 100, 1, 'n', 20, undef, undef ], [ 101, 1, 's', 30, undef, undef ], [ 102, 2, undef, 40, undef, undef ], [ 103, 3, 'n', 5, undef, undef ], [ 104, 1, 'n', 15, undef, undef ]);
$run = $k->run('pairs');
is("$run->{status} " . summary('pairs'), 'success {n:2,least:15,region:n,customer_id:1} {n:1,least:30,region:s,customer_id:1}', 'two join fields; what goes another way is not in it');
is($k->sql("SELECT incomplete FROM kaireon_internal.summary AS u JOIN kaireon.schemas AS s ON s.id = u.schema_id WHERE s.name = 'accounts'"), '{accounts,total,newest,has_premium,average}', 'a collection that the run loads besides is not complete any more');

# ---- failing

write_accounts('load', [ 40, 10, 'n', 1.7e308, undef, undef ], [ 41, 10, 'n', 1.7e308, undef, undef ]);
my $before = summary('accounts') . $k->sql('SELECT count(*) FROM ds_accounts');
$run = $k->run('load');
is("$run->{status} $run->{error_code} $run->{error_message} $run->{error_detail} $run->{rows_loaded} $run->{rows_failed}", 'failed 22003 value out of range: overflow It happened in node "sums" (summarize). 0 2', 'a sum that overflows fails the run, in that node');
is(summary('accounts') . $k->sql('SELECT count(*) FROM ds_accounts'), $before, 'and nothing of it is there');
is($k->sql("SELECT error_node FROM kaireon_internal.run WHERE run_id = '$run->{run_id}'"), 'sums', 'the run knows the node');
$k->sql('ALTER TABLE ds_accounts_summary ADD CHECK (accounts < 5)');
write_accounts('load', map { [ 50 + $_, 50, 'n', 1, undef, undef ] } 1 .. 5);
$run = $k->run('load');
is("$run->{status} $run->{error_code}", 'failed 23514', 'a constraint of the summary, too');
$k->sql('ALTER TABLE ds_accounts_summary DROP CONSTRAINT ds_accounts_summary_accounts_check');

# ---- looking writes nothing

$before = summary('accounts');
is($k->sql("SELECT count(*) FROM kaireon.preview_pipeline('load')"), 5, 'a preview shows rows');
is($k->sql("SELECT count(*) FROM kaireon.preview_pipeline('load', node => 'sums')"), 5, 'behind the node, too');
like($k->sql("SELECT kaireon.explain_pipeline('load', true)"), qr/sums: rows in 5, out 5/, 'explain with analyze counts them');
is(summary('accounts'), $before, 'and nothing is written');

# ---- rights

$k->sql("CREATE ROLE loader LOGIN; GRANT kaireon_admin TO loader; GRANT CREATE ON SCHEMA public TO loader; SELECT kaireon.change_owner('connector', 'files', 'loader'); GRANT INSERT ON ds_accounts TO loader");
my $theirs = "SET ROLE loader; SELECT kaireon.create_pipeline('theirs', 'files', 'accounts', " . $k->json([ { id => 'r', type => 'source', config => { resource => 'load.csv' } },
        { id => 's', type => 'summarize', config => { collectionSchemaId => 'accounts' } }, { id => 't', type => 'target' } ]) . ')';
like($k->sql_error($theirs), qr/permission denied for table ds_accounts_summary.*GRANT SELECT, INSERT, UPDATE, DELETE ON public.ds_accounts_summary TO loader/s, 'an owner who may not write the summary');
$k->sql('GRANT SELECT, INSERT, UPDATE, DELETE ON ds_accounts_summary TO loader');
like($k->sql_error($theirs), qr/permission denied for table ds_accounts\n.*GRANT SELECT ON public.ds_accounts TO loader/s, 'or not read the collection');
$k->sql("GRANT SELECT ON ds_accounts TO loader; $theirs");
is($k->run('theirs')->{status}, 'success', 'who may both, may summarise the pipeline\'s own schema');
$k->sql('REVOKE DELETE ON ds_accounts_summary FROM loader');
is($k->run('theirs')->{error_code}, '42501', 'and no longer without');
$k->sql('GRANT DELETE ON ds_accounts_summary TO loader; GRANT ALL ON ds_notes TO loader');
like($k->sql_error($theirs =~ s/theirs/other/r =~ s/'accounts'/'notes'/r), qr/permission denied for schema "accounts".*GRANT \w+ TO loader, or make it the pipeline's own schema/s, 'another one\'s collection by its name is none');
$k->sql("CREATE FUNCTION loader_code() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; ALTER FUNCTION loader_code() OWNER TO loader; CREATE TRIGGER t BEFORE UPDATE ON ds_accounts_summary FOR EACH ROW EXECUTE FUNCTION loader_code()");
is($k->run('load')->{error_code}, '42501', 'a superuser\'s pipeline does not call others\' code by way of a summary');
$k->sql('DROP TRIGGER t ON ds_accounts_summary');

# Row security: who sees only some rows can't be told whose came.
$k->sql('TRUNCATE ds_accounts, ds_accounts_summary; ALTER TABLE ds_accounts ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON ds_accounts FOR INSERT WITH CHECK (true); CREATE POLICY q ON ds_accounts FOR SELECT USING (balance < 100)');
write_accounts('load', [ 1, 1, 'n', 10, undef, undef ], [ 2, 1, 'n', 100, undef, undef ]);
is($k->run('theirs')->{status} . ' ' . summary('accounts'), 'success {total:10,newest:null,average:10,accounts:1,customer_id:1,has_premium:null}', 'row security: rows are loaded, and the summary has those that the owner sees');
$k->sql('ALTER TABLE ds_accounts DISABLE ROW LEVEL SECURITY; TRUNCATE ds_accounts, ds_accounts_summary');

# ---- two runs at a time

write_accounts('load', [ 1, 1, 'n', 10, undef, undef ]);
$k->run('load');
$k->make('same', schema => 'accounts', source => { resource => 'same.csv' }, nodes => [ { id => 'sums', type => 'summarize', config => { collectionSchemaId => 'accounts' } } ]);
write_accounts('load', [ 2, 1, 'n', 20, undef, undef ]);
write_accounts('same', [ 3, 1, 'n', 30, undef, undef ]);
my $holder = $k->session;
$holder->query('BEGIN; SELECT * FROM ds_accounts_summary WHERE customer_id = 1 FOR UPDATE');
my $waiting = sub { $k->sql("SELECT count(*) FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid) WHERE NOT l.granted AND a.backend_type = 'kaireon run'") };
my @runs = ($k->start('load'));
$k->poll('the first run to wait', sub { $waiting->() == 1 });
push @runs, $k->start('same'), $k->start('plain');
$k->poll('the others to wait for it', sub { $waiting->() == 3 });
$holder->query('COMMIT');
$holder->close;
is(join(' ', map { $k->wait_run($_) } @runs[ 0, 1 ]), 'success success', 'two runs that load rows of one customer');
isnt($k->wait_run($runs[2]), 'running', 'and one that loads the collection without summarising');
is($k->sql('SELECT accounts FROM ds_accounts_summary WHERE customer_id = 1'), 3, 'the summary has the rows of both');
write_accounts('load');
$k->run('load');
is($k->sql('SELECT accounts FROM ds_accounts_summary WHERE customer_id = 10'), 1, 'and the next one those of the third');

# The session that waits for the run must not hold its summary.
like($k->sql_error("BEGIN; UPDATE ds_accounts_summary SET accounts = accounts; SELECT * FROM kaireon.run_pipeline('load')"), qr/this transaction has changed or locked the table/, 'a run is refused to a session that has changed the summary');
# ---- an upsert: whose rows came, and whose they were before

collection('moved');
$k->make('moved', schema => 'moved', source => { resource => 'moved.csv' }, target => { validation => 'skip', loadingStrategy => 'upsert' },
    nodes => [ { id => 'sums', type => 'summarize', config => { collectionSchemaId => 'moved' } } ], execution => { errorHandling => 'skip' });
write_accounts('moved', map { [ $_, $_ * 10, 'n', $_, undef, undef ] } 1 .. 6);
$run = $k->run('moved');
is("$run->{status} $run->{rows_loaded}", 'success 6', 'an upsert loads a collection');
write_accounts('moved', [ 1, 10, 'n', 1, undef, undef ], [ 2, 30, 'n', 2, undef, undef ], [ 7, 70, 'n', 7, undef, undef ], [ 4, 40, 'n', 5, undef, undef ]);
is(touched('moved', sub { $run = $k->run('moved') }), '20 30 40 70', 'and summarises those whose rows came, changed or went to another');
is("$run->{rows_loaded} $run->{rows_updated} " . $k->sql("SELECT string_agg(customer_id || ':' || accounts || ':' || total, ' ' ORDER BY customer_id) FROM ds_moved_summary"),
    '1 2 10:1:1 30:2:5 40:1:5 50:1:5 60:1:6 70:1:7', 'as they are now');
$k->sql('ALTER TABLE ds_moved DROP CONSTRAINT ds_moved_pkey, ADD PRIMARY KEY (account, customer_id)');
write_accounts('moved', [ 2, 30, 'n', 9, undef, undef ], [ 2, 80, 'n', 1, undef, undef ]);
is(touched('moved', sub { $run = $k->run('moved') }), '30 80', 'where the key says whose they are, nobody else');
is($k->sql("SELECT string_agg(customer_id || ':' || total, ' ' ORDER BY customer_id) FROM ds_moved_summary WHERE customer_id IN (30, 80)"), '30:12 80:1', 'that is written');

# ---- a summary table that somebody changed

for my $case ([ 'ALTER total TYPE int', qr/column "total" of the summary of schema "accounts" is double precision, but integer in its table/ ],
    [ 'RENAME total TO sum', qr/column "total" of the summary of schema "accounts" is not in its table/ ],
    [ 'DROP CONSTRAINT ds_accounts_summary_pkey', qr/the primary key of the summary of schema "accounts" is \(customer_id\), but none in its table/ ])
{
    $k->sql("ALTER TABLE ds_accounts_summary $case->[0]");
    $k->sql('TRUNCATE ds_accounts');
    write_accounts('load', [ 1, 1, 'n', 2.25, undef, undef ], [ 2, 1, 'n', 3.25, undef, undef ]);
    my ($finding) = $k->sql("SELECT message FROM kaireon.validate_pipeline('load')");
    like($finding, $case->[1], "$case->[0]: validate_pipeline names it");
    $run = $k->run('load');
    like("$run->{status} $run->{error_message} $run->{error_hint}", qr/^failed node "sums": $case->[1] The table was changed .*refresh_schema\('accounts'\)/, 'a run loads nothing, and says why');
    $k->sql("SET client_min_messages = error; SELECT kaireon.refresh_schema('accounts')");
    $k->run('load');
    is($k->sql('SELECT total FROM ds_accounts_summary WHERE customer_id = 1'), 5.5, 'refreshed: the next run writes what is true');
}

$k->settled('summaries');
done_testing();
