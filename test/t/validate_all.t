# Rules about all rows: unique within the run, and reference to a schema's
# field: what passes, what each onFail does, where rows are counted, and that
# memory has a bound.
use strict;
use warnings;
use Kaireon;
use Test::More;

my $k = Kaireon->new('validate_all');
my @fields = ({ name => 'n', dataType => 'integer', isPrimaryKey => \1 }, { name => 'v', dataType => 'text' }, { name => 'w', dataType => 'text' });
my $made = 0;

# held(RULES, ROWS, MORE): a pipeline whose node "check" holds the rows (v, w) of a file to the rules; its name.
sub held
{
    my ($rules, $rows, %more) = @_;
    my $name = 'a' . ++$made;

    $k->write_csv("$name.csv", [ 'n', 'v', 'w' ], map { [ $_ + 1, @{ $rows->[$_] }, (undef) x (2 - @{ $rows->[$_] }) ] } 0 .. $#$rows);
    $k->make($name, fields => \@fields, source => { resource => "$name.csv" },
        nodes => [ @{ $more{before} || [] }, { id => 'check', type => 'validate', config => { rules => $rules } }, @{ $more{behind} || [] } ],
        execution => $more{execution}, target => $more{target});
    return $name;
}

sub loaded { return $k->sql("SELECT string_agg(n::text, ' ' ORDER BY n) FROM ds_$_[0]"); }

# counters(RUN): status, then read|loaded|skipped|filtered|merged
sub counters
{
    my ($run) = @_;
    return join '|', $run->{status}, map { $run->{"rows_$_"} } qw(read loaded skipped filtered merged);
}

sub bad { return join ' ', map { "$_->{line}:$_->{node_id}:" . ($_->{field} // '') . ":$_->{sqlstate}:" . ($_->{value} // '~') } $k->errors($_[0]->{run_id}); }

# ---- unique

my @twice = (['a'], ['b'], ['a'], [undef], ['A'], ['a'], [undef], ['b']);
my $name = held([ { field => 'v', rule => 'unique', onFail => 'skip' } ], \@twice);
my $run = $k->run($name);
is(counters($run) . ' ' . loaded($name), 'partial|8|5|3|0|0 1 2 4 5 7', 'unique, skip: the first of each value, and all nulls');
is(bad($run), '4:check:v:23514:a 7:check:v:23514:a 9:check:v:23514:b', 'the others are bad rows with place and value, in the order of the source');
is(($k->errors($run->{run_id}))[0]{reason}, 'row breaks rule "unique"', 'and the rule');
is($k->node_counts($run), 'read 8/8/0 check 8/5/3 load 5/5/0', 'rows at each node');

$name = held([ { field => 'v', rule => 'unique' } ], \@twice, execution => { errorHandling => 'skip' });
$run = $k->run($name);
is("$run->{status} $run->{error_code} $run->{error_message} " . $k->run_row($run->{run_id})->{error_node}, 'failed 23514 row breaks rule "unique" check', 'unique, fail: the run ends');
like($run->{error_detail}, qr/line 4, field "v": "a"/, 'with the place of the first that repeats');
is(loaded($name), '', 'and nothing is loaded');

$name = held([ { field => 'v', rule => 'unique', onFail => 'warn' } ], \@twice);
$run = $k->run($name);
is(counters($run) . ' ' . loaded($name), 'success|8|8|0|0|0 1 2 3 4 5 6 7 8', 'unique, warn: all are loaded');
is(join(' ', map { "$_->{line}:$_->{severity}" } $k->errors($run->{run_id})), '4:warning 7:warning 9:warning', 'with warnings');
is($k->node_counts($run), 'read 8/8/0 check 8/8/0 load 8/8/0', 'and go out of the node');

$name = held([ { field => 'v', rule => 'unique', onFail => 'quarantine' }, { field => 'w', rule => 'not_null', onFail => 'quarantine' } ], [ [ 'a', 'x' ], [ 'a', 'y' ], [ 'b', undef ] ]);
$run = $k->run($name);
is(counters($run) . ' ' . bad($run), 'partial|3|1|2|0|0 4:check:w:23514:~ 3:check:v:23514:a', 'unique, quarantine: left out as with skip');
is($k->sql("SELECT string_agg(concat_ws(' ', line, node_id, field, record ->> 'n', record ->> 'v', record ->> 'w'), '; ' ORDER BY line) FROM kaireon.dead_letters WHERE pipeline = '$name'"),
    '3 check v 2 a y; 4 check w 3 b', 'and kept whole, though it waited in the node');

# Values are compared in the field's type; several files are one source.
$k->write_csv('t1.csv', [qw(n v)], [ 1, '1.0' ], [ 2, '2' ]);
$k->write_csv('t2.csv', [qw(n v)], [ 3, '1.00' ], [ 4, '02' ], [ 5, '3' ]);
$k->make('typed', schema => $name, source => { resource => 't?.csv' }, nodes => [ { id => 'number', type => 'cast', config => { field => 'v', targetType => 'numeric' } },
        { id => 'check', type => 'validate', config => { rules => [ { field => 'v', rule => 'unique', onFail => 'skip' } ] } } ]);
$k->sql("TRUNCATE ds_$name");
$run = $k->run('typed');
is(counters($run) . ' ' . loaded($name), 'partial|5|3|2|0|0 1 2 5', 'numbers are compared as numbers, over several files');
is(join(' ', map { ($_->{source} =~ s/.*\///r) . ":$_->{line}:$_->{value}" } $k->errors($run->{run_id})), 't2.csv:2:1.00 t2.csv:3:2', 'and have their own places');

# A row that another rule leaves out is no first of its value; one that is only warned of is.
$name = held([ { field => 'v', rule => 'unique', onFail => 'skip' }, { field => 'w', rule => 'not_null', onFail => 'skip' }, { field => 'w', rule => 'length:1', onFail => 'warn' } ],
    [ [ 'a', undef ], [ 'a', 'xx' ], [ 'a', 'y' ], [ 'b', 'z' ], [ 'b', undef ] ]);
$run = $k->run($name);
is(counters($run) . ' ' . loaded($name), 'partial|5|2|3|0|0 2 4', 'rules about a row alone come first');
is(bad($run), '2:check:w:23514:~ 3:check:w:23514:xx 6:check:w:23514:~ 4:check:v:23514:a', 'each row has the rule it broke');
is($k->node_counts($run), 'read 5/5/0 check 5/2/3 load 2/2/0', 'all are counted at the node');
is($k->count_identity($run->{run_id}), 't', 'and the counters add up');
$name = held([ { field => 'v', rule => 'unique', onFail => 'skip' }, { field => 'w', rule => 'unique', onFail => 'skip' } ], [ [ 'a', 'x' ], [ 'a', 'y' ], [ 'b', 'y' ], [ 'c', 'x' ] ]);
is(counters($k->run($name)) . ' ' . loaded($name), 'partial|4|2|2|0|0 1 3', 'two unique rules, one after the other');
$name = held([ { field => 'v', rule => 'unique', onFail => 'warn' }, { field => 'w', rule => 'unique', onFail => 'skip' } ], [ [ 'a', 'x' ], [ 'a', 'y' ], [ 'b', 'y' ], [ 'c', 'x' ] ]);
is(counters($k->run($name)) . ' ' . loaded($name), 'partial|4|2|2|0|0 1 2', 'where the first only warns, its rows count for the second');

# Nodes before and behind: what is left out before is not seen, what is left out behind is counted there.
$name = held([ { field => 'v', rule => 'unique', onFail => 'skip' }, { rule => 'expression:length(v) < 9', onFail => 'skip' } ],
    [ [ 'a', 'no' ], [ 'A', 'yes' ], [ 'a', 'yes' ], [ 'b', '0' ], [ 'c', 'yes' ], [ 'far too long', 'yes' ] ],
    before => [ { id => 'some', type => 'filter', config => { field => 'w', operator => '!=', value => 'no' } }, { id => 'lower', type => 'expression', config => { outputField => 'v', expression => 'lower(v)' } } ],
    behind => [ { id => 'over', type => 'expression', config => { outputField => 'w', expression => "case when w = '0' then (1 / w::int)::text else v end" } } ],
    target => { validation => 'skip' }, execution => { errorHandling => 'skip' });
$run = $k->run($name);
is(counters($run) . ' ' . $k->sql("SELECT string_agg(n || v || w, ' ' ORDER BY n) FROM ds_$name"), 'partial|6|2|3|1|0 2aa 5cc', 'among other nodes');
is(bad($run), '7:check::23514:far too long 4:check:v:23514:a 5:over:w:22012:v=b, w=0', 'each bad row at its node');
is($k->node_counts($run), 'read 6/6/0 some 6/5/0 lower 5/5/0 check 5/3/2 over 3/2/1 load 2/2/0', 'and counted there');
is($k->sql("SELECT string_agg(p ->> 'n', ' ') FROM kaireon.preview_pipeline('$name', node => 'check') AS p"), '2 4 5', 'a preview shows what the node lets through');

# A branch behind it.
$k->make_graph('ways', $name, [ [ 'read', 'source', { resource => "$name.csv" } ], [ 'check', 'validate', { rules => [ { field => 'v', rule => 'unique', onFail => 'skip' } ] } ],
        [ 'long', 'branch', { routes => [ { label => 'no', field => 'w', operator => '=', value => 'no' } ] } ], [ 'load', 'target' ], [ 'also', 'target', { schema => 'a1' } ] ],
    [ 'read>check', 'check>long', 'long>load:no', 'long>also:otherwise' ]);
$k->sql("TRUNCATE ds_$name, ds_a1");
$run = $k->run('ways');
is(counters($run) . ' ' . $k->node_counts($run), 'partial|6|5|1|0|0 read 6/6/0 check 6/5/1 long 5/5/0 load 1/1/0 also 4/4/0', 'a branch behind it: every row is tested once');

# ---- reference

$k->sql('SELECT kaireon.create_schema(\'customers\', ' . $k->json([ { name => 'id', dataType => 'integer', isPrimaryKey => \1 }, { name => 'code', dataType => 'varchar', length => 5 },
        { name => 'since', dataType => 'date' } ]) . ')');
$k->sql("INSERT INTO ds_customers VALUES (1, 'A', '2024-01-01'), (2, 'B', '2024-01-02'), (3, 'B', NULL)");
my %to_id = (rule => 'reference', schema => 'customers', schemaField => 'id');
$name = held([ { field => 'v', %to_id, onFail => 'skip' } ], [ ['1'], ['02'], ['9'], [undef], ['x'], ['1'] ]);
$run = $k->run($name);
is(counters($run) . ' ' . loaded($name), 'partial|6|4|2|0|0 1 2 4 6', 'reference, skip: keys that are there, in the table\'s type, and nulls');
is(bad($run), '6:check:v:22P02:x 4:check:v:23514:9', 'one that can be no key breaks the rule too');
is(($k->errors($run->{run_id}))[1]{reason}, 'row breaks rule "reference:customers.id"', 'the reason says what was referred to');
is($k->node_counts($run), 'read 6/6/0 check 6/4/2 load 4/4/0', 'rows at each node');
$name = held([ { field => 'v', %to_id, onFail => 'warn' } ], [ ['1'], ['9'], [undef] ]);
$run = $k->run($name);
is(counters($run) . ' ' . bad($run), 'success|3|3|0|0|0 3:check:v:23514:9', 'reference, warn');
for my $value ('9', 'x')
{
    $name = held([ { field => 'v', %to_id } ], [ ['1'], [$value] ], execution => { errorHandling => 'skip' });
    $run = $k->run($name);
    is("$run->{status} $run->{error_code}", 'failed ' . ($value eq 'x' ? '22P02' : '23514'), "reference, fail: $value ends the run");
}

# A field that is not unique, of another type; a unique rule counts what references let pass.
$name = held([ { field => 'v', rule => 'unique', onFail => 'skip' }, { field => 'v', rule => 'reference', schema => 'customers', schemaField => 'code', onFail => 'skip' },
        { field => 'w', rule => 'reference', schema => 'customers', schemaField => 'since', onFail => 'skip' } ],
    [ [ 'B', '1999-01-01' ], [ 'B', '2024-01-02' ], [ 'B', undef ], [ 'b', undef ], [ 'A', '2024-01-01' ] ]);
$run = $k->run($name);
is(counters($run) . ' ' . loaded($name), 'partial|5|2|3|0|0 2 5', 'several references and unique: no row twice, though the table has its key twice');
is(bad($run), '2:check:w:23514:1999-01-01 4:check:v:23514:B 5:check:v:23514:b', 'each with what it broke');

# The table as it was before the run; rights are the owner's.
$k->sql("CREATE ROLE clerk LOGIN; GRANT kaireon_admin TO clerk; GRANT CREATE ON SCHEMA public TO clerk");
my $hers = 'SET ROLE clerk; ' . "SELECT kaireon.create_connector('hers', 'local_fs', " . $k->json({ basePath => $k->files }) . ", if_not_exists => true); "
  . "SELECT kaireon.create_schema('hers', " . $k->json(\@fields) . ", if_not_exists => true); "
  . "SELECT kaireon.create_pipeline('hers', 'hers', 'hers', " . $k->json([ { id => 'r', type => 'source', config => { resource => 'a1.csv' } },
        { id => 'check', type => 'validate', config => { rules => [ { field => 'v', rule => 'reference', schema => 'customers', schemaField => 'code', onFail => 'skip' } ] } },
        { id => 't', type => 'target' } ]) . ')';
like($k->sql_error($hers), qr/permission denied for table ds_customers/, 'a table the owner may not read can\'t be referred to');
$k->sql("GRANT SELECT ON ds_customers TO clerk; $hers");
is(counters($k->run('hers')) . ' ' . loaded('hers'), 'partial|8|3|5|0|0 4 5 7', 'with the right it can');
$k->sql('REVOKE SELECT ON ds_customers FROM clerk');
$run = $k->run('hers');
is("$run->{status} $run->{error_code}", 'failed 42501', 'and without it no more');

# A schema that is referred to goes along with an export, and is found when it is renamed.
is($k->sql("SELECT string_agg(s ->> 'name', ' ') FROM jsonb_array_elements(kaireon.export_pipeline('$name') -> 'schemas') AS s"), "$name customers", 'an export has it too');
$k->sql("SELECT kaireon.update_schema('customers', new_name => 'clients')");
$k->sql("TRUNCATE ds_$name");
is(counters($k->run($name)), 'partial|5|2|3|0|0', 'a schema that was renamed');
like($k->sql_error("SELECT kaireon.delete_schema('clients')"), qr/schema "clients" is in use/, 'and can\'t be deleted');
like($k->sql_error("SELECT kaireon.drop_field('clients', 'since', force => true); SELECT kaireon.update_pipeline('$name', description => 'x', edges => NULL, nodes => (SELECT nodes FROM kaireon.pipelines WHERE name = '$name'))"),
    qr/schema "clients" has no field "since"/, 'a field that is gone is named');

# ---- more rows than fit into memory

$k->node->append_conf('postgresql.conf', "kaireon.work_mem = '64kB'");
$k->node->reload;
$k->write_rows('many.csv', 100_000, sub { my $i = shift; $i . ',key ' . ($i * 7919 % 60_000) . ',some text that takes room' }, 'n,v,w');
$k->make('many', fields => \@fields, source => { resource => 'many.csv' },
    nodes => [ { id => 'check', type => 'validate', config => { rules => [ { field => 'v', rule => 'unique', onFail => 'skip' } ] } } ]);
$run = $k->run('many');
is(counters($run), 'partial|100000|60000|40000|0|0', 'on disk: counters');
is($k->sql('SELECT max(n) FROM ds_many'), 60000, 'on disk: the first of each');
is($k->sql('SELECT count(*) FROM (SELECT n, row_number() OVER (ORDER BY ctid) AS r FROM ds_many) AS q WHERE n <> r'), 0, 'on disk: in order');

$k->settled('validate_all');
ok($k->same_postmaster, 'the server lived');
done_testing();
