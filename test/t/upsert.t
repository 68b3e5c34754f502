# Loading strategy upsert: which key rows are found by, what is updated and what
# is left as it is, what the counters say, rows that can't be loaded; and the
# whole against a model over many small batches.
use strict;
use warnings;
use Kaireon;
use Test::More;

my $k = Kaireon->new('upsert');

my @people = ({ name => 'id', dataType => 'integer', isPrimaryKey => \1 }, { name => 'name', dataType => 'varchar', length => 20 },
    { name => 'amount', dataType => 'numeric', precision => 10, scale => 2 });

# upserts(NAME, FIELDS, more of the target's config, execution_config): reads NAME.csv.
sub upserts
{
    my ($name, $fields, $target, $execution) = @_;
    return $k->make($name, fields => $fields, source => { resource => "$name.csv" }, target => { loadingStrategy => 'upsert', validation => 'skip', %{ $target || {} } },
        execution => { errorHandling => 'skip', %{ $execution || {} } });
}

# load(NAME, LINE...): a run over these lines; the header first.
sub load
{
    my ($name, @lines) = @_;
    $k->write_file("$name.csv", join("\n", @lines) . "\n");
    my $run = $k->run($name);
    diag("$run->{error_message} $run->{error_detail}") if $run->{error_message};
    return $run;
}

# counts(RUN): read = new, updated, merged, unchanged or kept out, bad.
sub counts
{
    my ($run) = @_;
    return "$run->{rows_read} = " . join ' ', map { $run->{"rows_$_"} } qw(loaded updated merged filtered skipped);
}

# bad(RUN): line, SQLSTATE and field of each bad row.
sub bad
{
    my ($run) = @_;
    return join ' ', map { "$_->{line}:$_->{sqlstate}" . ($_->{field} ? ":$_->{field}" : '') } $k->errors($run->{run_id});
}

# content(TABLE, COLUMNS): the rows, in order.
sub content
{
    my ($table, $columns) = @_;
    return $k->sql("SELECT string_agg(concat_ws('|', $columns), ' ' ORDER BY $columns) FROM ds_$table");
}

# ---- new, changed and unchanged rows

upserts('people', \@people);
my $run = load('people', 'id,name,amount', '1,ann,10', '2,bob,20', '3,cid,');
is(counts($run), '3 = 3 0 0 0 0', 'new rows');
is("$run->{status} $run->{loading_strategy}", 'success upsert', 'the run says how it loaded');
my %before = map { $_->{id} => $_ } $k->rows('SELECT id, xmin::text, ctid::text, created_at, updated_at FROM ds_people');
$run = load('people', 'id,name,amount', '3,cid,', '2,Bob,20.00', '1,ann,10.0', '4,dan,40');
is(counts($run), '4 = 1 1 0 2 0', 'one new, one changed, two as they were');
is(content('people', 'id, name, amount'), '1|ann|10.00 2|Bob|20.00 3|cid 4|dan|40.00', 'the table has all of it');
my %after = map { $_->{id} => $_ } $k->rows('SELECT id, xmin::text, ctid::text, created_at, updated_at FROM ds_people');
is_deeply([ @after{ 1, 3 } ], [ @before{ 1, 3 } ], 'unchanged rows are not rewritten');
isnt($after{2}{xmin}, $before{2}{xmin}, 'a changed row is');
isnt($after{2}{updated_at}, $before{2}{updated_at}, 'and its updated_at moves');
is($after{2}{created_at}, $before{2}{created_at}, 'its created_at does not');
is($k->node_counts($run), 'read 4/4/0 load 4/2/0', 'what went out of the target was written');

# A column that the file lacks stays as it is.
$run = load('people', 'id,amount', '1,11', '5,50', '2,20');
is(counts($run), '3 = 1 1 0 1 0', 'a file that lacks a column');
is(content('people', 'id, name, amount'), '1|ann|11.00 2|Bob|20.00 3|cid 4|dan|40.00 5|50.00', 'leaves it as it is');
$run = load('people', 'id', '5', '6');
is(counts($run), '2 = 1 0 0 1 0', 'a file with nothing but the key');
$run = load('people', 'name,amount', 'x,1');
is("$run->{status} $run->{error_code}", 'failed 42703', 'a file without the key') or diag(explain($run));

# ---- equal keys: the last wins

$run = load('people', 'id,name,amount', '7,a,1', '8,z,1', '7,b,2', '7,c,3', '8,z,1');
is(counts($run), '5 = 2 0 3 0 0', 'equal keys within a batch are merged');
is($k->sql('SELECT string_agg(name, name ORDER BY id) FROM ds_people WHERE id IN (7, 8)'), 'czz', 'and the last wins') ;
$run = load('people', 'id,name,amount', (map { "9,n$_,$_" } 1 .. 2500), '9,last,0');
is("$run->{status} " . $k->sql('SELECT name FROM ds_people WHERE id = 9'), 'success last', 'across batches too');
is($run->{rows_read}, $run->{rows_loaded} + $run->{rows_updated} + $run->{rows_merged}, 'where later ones are updates') or diag(counts($run));
is($run->{rows_loaded}, 1, 'of the first, which is new');
cmp_ok($run->{rows_updated}, '>=', 1, 'some time later');

# One that can't be loaded leaves its place to the one before it.
$k->sql(q(CREATE FUNCTION no_eight() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
        IF NEW.name LIKE 'bad%' THEN RAISE 'no %', NEW.name USING ERRCODE = 'P0042', COLUMN = 'name'; END IF; RETURN NEW; END$$;
    CREATE TRIGGER no_eight BEFORE INSERT ON ds_people FOR EACH ROW EXECUTE FUNCTION no_eight()));
$run = load('people', 'id,name,amount', '10,good,1', '11,other,1', '10,bad1,2', '10,bad2,3', '12,x,', '13,bad3,1', '13,bad4,1');
is(counts($run), '7 = 3 0 0 0 4', 'rows that a trigger refuses are rejects');
is(bad($run), '5:P0042:name 4:P0042:name 8:P0042:name 7:P0042:name', 'each with its line and SQLSTATE') or diag(bad($run));
is($k->sql('SELECT string_agg(id || name, $$ $$ ORDER BY id) FROM ds_people WHERE id BETWEEN 10 AND 13'), '10good 11other 12x', 'and earlier rows of their keys are loaded');
$k->sql('DROP TRIGGER no_eight ON ds_people');

# ---- which key

$k->sql('SELECT kaireon.create_schema($$two$$, ' . $k->json([ { name => 'shop', dataType => 'text' }, { name => 'sku', dataType => 'text' }, { name => 'price', dataType => 'integer' } ]) . ')');
$k->sql('ALTER TABLE ds_two ADD CONSTRAINT two_key UNIQUE (shop, sku)');
upserts('two', undef, { keyFields => [ 'sku', 'shop' ] });
is(counts(load('two', 'shop,sku,price', 'a,1,10', 'a,2,20', 'b,1,30', 'a,1,11')), '4 = 3 0 1 0 0', 'a composite key');
is(counts($run = load('two', 'shop,sku,price', 'a,1,11', 'b,1,31', 'a,,5', ',1,6', 'c,1,40')), '5 = 1 1 0 1 2', 'found again');
is(bad($run), '4:23502:sku 5:23502:shop', 'a null in the key is a reject');
is(content('two', 'shop, sku, price'), 'a|1|11 a|2|20 b|1|31 c|1|40', 'the table');
$k->sql('ALTER TABLE ds_two DROP CONSTRAINT two_key, ADD CONSTRAINT two_key UNIQUE NULLS NOT DISTINCT (shop, sku)');
is(counts(load('two', 'shop,sku,price', 'a,,5', 'a,,6')), '2 = 1 0 1 0 0', 'a null is a key where nulls are not distinct');
is(counts(load('two', 'shop,sku,price', 'a,,7')), '1 = 0 1 0 0 0', 'and found again');

# A partial index: rows that it leaves out have no key.
$k->sql('TRUNCATE ds_two; ALTER TABLE ds_two DROP CONSTRAINT two_key; CREATE UNIQUE INDEX two_live ON ds_two (shop) WHERE sku <> $$gone$$');
$k->sql('SELECT kaireon.create_pipeline($$partial$$, $$files$$, $$two$$, ' . $k->json([ { id => 'r', type => 'source', config => { resource => 'partial.csv' } },
    { id => 't', type => 'target', config => { loadingStrategy => 'upsert', keyFields => ['shop'] } } ]) . ')');
is(counts(load('partial', 'shop,sku,price', 'a,x,1', 'b,x,1', 'a,gone,2', 'a,gone,2', 'a,y,3')), '5 = 4 0 1 0 0', 'a partial index');
is(counts(load('partial', 'shop,sku,price', 'a,y,3', 'b,z,5', 'a,gone,2')), '3 = 1 1 0 1 0', 'rows that it leaves out are always new');
is(content('two', 'shop, sku, price'), 'a|gone|2 a|gone|2 a|gone|2 a|y|3 b|z|5', 'the table');

# An expression index, and a key over a generated column.
$k->make_schema('mail', 'email', 'n integer');
$k->sql('CREATE UNIQUE INDEX mail_lower ON ds_mail (lower(email))');
upserts('mail', undef, { keyFields => ['email'] });
is(counts(load('mail', 'email,n', 'A@x,1', 'b@x,2', 'a@X,3')), '3 = 2 0 1 0 0', 'an expression index');
is(counts($run = load('mail', 'email,n', 'a@X,3', 'B@x,2', ',4')), '3 = 0 1 0 1 1', 'found again, where the field itself may change');
is(content('mail', 'email, n'), 'B@x|2 a@X|3', 'the table');
$k->sql('TRUNCATE ds_mail; DROP INDEX mail_lower; ALTER TABLE ds_mail ADD low text GENERATED ALWAYS AS (lower(email)) STORED UNIQUE, ADD twice int GENERATED ALWAYS AS (n * 2) STORED');
is(counts(load('mail', 'email,n', 'A@x,1', 'b@x,2', 'a@X,3')), '3 = 2 0 1 0 0', 'a key over a generated column');
is(counts($run = load('mail', 'email,n', 'A@x,2', 'b@x,2', ',1', 'b@x,2000000000')), '4 = 0 1 0 1 2', 'found again; a generated column that overflows is a reject');
is(bad($run), '4:23502 5:22003', 'with its SQLSTATE');
is(content('mail', 'email, n, twice'), 'A@x|2|4 b@x|2|4', 'generated columns follow');
$k->sql('TRUNCATE ds_mail; ALTER TABLE ds_mail DROP low; CREATE UNIQUE INDEX mail_inverse ON ds_mail ((100 / n))');
$k->sql('SELECT kaireon.create_pipeline($$inverse$$, $$files$$, $$mail$$, ' . $k->json([ { id => 'r', type => 'source', config => { resource => 'inverse.csv' } },
    { id => 't', type => 'target', config => { loadingStrategy => 'upsert', keyFields => ['n'] } } ]) . q[, execution_config => '{"errorHandling": "skip"}')]);
is(counts($run = load('inverse', 'email,n', 'a,1', 'b,0', 'c,2', 'd,0', 'e,60', 'f,70')), '6 = 3 0 1 0 2', 'a key that can not be computed');
is(bad($run), '3:22012 5:22012', 'is a reject');

# An identity that is always generated is loaded, found and never updated.
$k->make_schema('numbered', 'code', 'n integer', 'm integer');
$k->sql('ALTER TABLE ds_numbered ALTER n SET NOT NULL, ALTER n ADD GENERATED ALWAYS AS IDENTITY, ADD UNIQUE (code)');
upserts('numbered', undef, { keyFields => ['code'] });
is(counts(load('numbered', 'code,n,m', 'a,5,1')), '1 = 1 0 0 0 0', 'an identity is loaded');
is(counts(load('numbered', 'code,n,m', 'a,6,2')) . ' ' . content('numbered', 'code, n, m'), '1 = 0 1 0 0 0 a|5|2', 'but not updated');

# Types without equality, or whose equality is not sameness.
$k->make_schema('odd', 'id integer', 'j json', 'x text', 'd double');
$k->sql('ALTER TABLE ds_odd ALTER x TYPE numeric USING x::numeric, ALTER j TYPE json');
upserts('odd');
is(counts(load('odd', 'id,j,x,d', '1,"{""a"":1}",1.0,0', '2,[],2,0')), '2 = 2 0 0 0 0', 'json, numeric and double');
is(counts(load('odd', 'id,j,x,d', '1,"{""a"": 1}",1.0,0', '2,[],2.00,-0')), '2 = 0 2 0 0 0', 'a change is what can be seen');
is($k->sql('SELECT string_agg(concat_ws($$|$$, id, j, x, d), $$ $$ ORDER BY id) FROM ds_odd'), '1|{"a": 1}|1.0|0 2|[]|2.00|-0', 'and is stored');

# ---- constraints

$k->make_schema('strict', 'id integer', 'code', 'parent integer', 'n smallint');
$k->sql('CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent VALUES (1), (2);'
      . 'ALTER TABLE ds_strict ADD CONSTRAINT code_key UNIQUE (code), ADD CONSTRAINT parent_key FOREIGN KEY (parent) REFERENCES parent,'
      . 'ADD CONSTRAINT n_check CHECK (n < 100), ADD CONSTRAINT once EXCLUDE USING btree (n WITH =) WHERE (n > 50)');
upserts('strict', undef, {}, { errorHandling => 'dlq' });
is(counts(load('strict', 'id,code,parent,n', '1,a,1,1', '2,b,2,2', '3,c,,60')), '3 = 3 0 0 0 0', 'constraints: rows that meet them');
$run = load('strict', 'id,code,parent,n', '1,a,2,1', '2,a,1,2', '4,b,1,3', '5,e,3,3', '6,f,1,100', '7,g,1,99999', '8,h,1,60', '2,bb,3,2', '9,i,1,4', '10,j,2,5');
is(counts($run), '10 = 2 1 0 0 7', 'constraints: each failing row is a reject, its neighbours load');
is(bad($run), '6:23514 7:22003:n 4:23505 5:23503 8:23P01 9:23503 3:23505', 'with its SQLSTATE') or diag(bad($run));
is($k->sql('SELECT string_agg(line || $$:$$ || coalesce(constraint_name, $$-$$), $$ $$ ORDER BY line) FROM kaireon_internal.dead_letter'),
    '3:code_key 4:code_key 5:parent_key 6:n_check 7:- 8:once 9:parent_key', 'and its constraint, whole among the dead letters');
is($k->sql('SELECT string_agg(id || code || coalesce(parent, 0), $$ $$ ORDER BY id) FROM ds_strict'), '1a2 2b2 3c0 9i1 10j2', 'the table');
$k->sql('INSERT INTO parent VALUES (3); ALTER TABLE ds_strict DROP CONSTRAINT n_check, DROP CONSTRAINT once');
$run = ($k->rows("SELECT * FROM kaireon.replay_dead_letters('strict')"))[0];
is(counts($run), '7 = 3 1 1 0 2', 'dead letters are replayed by the upsert') or diag(bad($run));
is($k->sql('SELECT string_agg(id || code || coalesce(parent, 0), $$ $$ ORDER BY id) FROM ds_strict'), '1a2 2bb3 3c0 5e3 6f1 8h1 9i1 10j2', 'and update what is there')
  or diag($k->sql('SELECT * FROM kaireon.dead_letters'));

# Rows that wait for others keep their place and their record.
$k->make_schema('over', 'id integer', 'n integer');
$k->sql('ALTER TABLE ds_over ADD twice integer GENERATED ALWAYS AS (n * 2) STORED');
upserts('over', undef, {}, { errorHandling => 'dlq' });
$run = load('over', 'id,n', (map { my $i = 5000 - $_; "$i," . ($_ % 1500 == 1499 ? 2000000000 : $_) } 0 .. 4999), '501,-1', '502,2000000000');
is(counts($run), '5002 = 4998 0 1 0 3', 'rows that are loaded later, in another order');
is($k->sql("SELECT string_agg(line || ':' || sqlstate || ':' || (record ->> 'id'), ' ' ORDER BY line) FROM kaireon.dead_letters WHERE pipeline = 'over'"),
    '1501:22003:3501 3001:22003:2001 5003:22003:502', 'bad ones among them keep their lines and records')
  or diag(counts($run));
is($k->sql('SELECT n FROM ds_over WHERE id = 501') . ' ' . $k->sql('SELECT n FROM ds_over WHERE id = 502'), '-1 4498', 'each with the last value that can be loaded');

# ---- triggers that make rows away

$k->make_schema('quiet', 'id integer', 'n integer');
$k->sql(q(CREATE FUNCTION quiet() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
        IF TG_OP = 'INSERT' AND NEW.n = 100 OR TG_OP = 'UPDATE' AND NEW.n = 200 THEN RETURN NULL; END IF; RETURN NEW; END$$;
    CREATE TRIGGER quiet BEFORE INSERT OR UPDATE ON ds_quiet FOR EACH ROW EXECUTE FUNCTION quiet()));
upserts('quiet');
is(counts(load('quiet', 'id,n', '1,1', '2,100', '3,3', '4,4')), '4 = 3 0 0 1 0', 'a row that a trigger suppresses is filtered');
is(counts(load('quiet', 'id,n', '1,1', '2,100', '3,200', '4,5', '5,5', '6,100', '1,2')), '7 = 1 2 1 3 0', 'also when others are inserted and updated');
is(content('quiet', 'id, n'), '1|2 3|3 4|5 5|5', 'the table');

# ---- partitions

$k->make_schema('parts', 'id integer', 'name');
$k->sql('CREATE TABLE parts (LIKE ds_parts INCLUDING DEFAULTS, PRIMARY KEY (id)) PARTITION BY RANGE (id); CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);'
      . 'CREATE TABLE parts_2 (LIKE ds_parts INCLUDING DEFAULTS); ALTER TABLE parts_2 DROP name; ALTER TABLE parts_2 ADD name text; ALTER TABLE parts ATTACH PARTITION parts_2 FOR VALUES FROM (10) TO (20);'
      . "UPDATE kaireon_internal.schema SET relation = 'parts' WHERE name = 'parts'; ");
upserts('parts');
is(counts(load('parts', 'id,name', '1,a', '11,b', '25,c', '1,d')), '4 = 2 0 1 0 1', 'a partitioned table');
is(counts(load('parts', 'id,name', '1,d', '11,e', '12,f', '2,g', '25,h')), '5 = 2 1 0 1 1', 'found again in each partition');
is($k->sql('SELECT string_agg(id || name, $$ $$ ORDER BY id) FROM parts'), '1d 2g 11e 12f', 'the table');

# ---- two ways to one table, which deliver different columns

$k->make_schema('ways', 'id integer', 'a', 'b');
$k->make_graph('ways', 'ways', [ [ 'r', 'source', { resource => 'ways.csv' } ], [ 'which', 'branch', { routes => [ { label => 'left', field => 'kind', operator => '=', value => 'a' } ] } ],
        [ 'da', 'drop', { fields => ['b'] } ], [ 'db', 'drop', { fields => ['a'] } ], [ 't', 'target', { loadingStrategy => 'upsert' } ] ],
    [ 'r>which', 'which>da:left', 'which>db:otherwise', 'da>t', 'db>t' ]);
is(counts(load('ways', 'id,kind,a,b', '1,a,x,no', '1,b,no,y', '2,b,no,z', '1,a,xx,no')), '4 = 2 2 0 0 0', 'ways that deliver other columns');
is(content('ways', 'id, a, b'), '1|xx|y 2|z', 'each updates its own');

# ---- others at the same time

my $other = $k->session;
$other->query('BEGIN; UPDATE ds_people SET name = $$theirs$$ WHERE id = 2; INSERT INTO ds_people (id, name) VALUES (20, $$theirs$$)');
$k->write_file('people.csv', "id,name,amount\n2,ours,2\n20,ours,20\n21,ours,21\n");
my $id = $k->start('people');
my $pid = $k->worker_pid($id);
ok($k->poll('the run to wait', "SELECT count(*) > 0 FROM pg_stat_activity WHERE pid = $pid AND wait_event_type = 'Lock'"), 'a run waits for a row that another session has changed');
$other->query('COMMIT');
is($k->wait_run($id), 'success', 'until that has committed');
is($k->sql('SELECT string_agg(id || name, $$ $$ ORDER BY id) FROM ds_people WHERE id IN (2, 20, 21)'), '2ours 20ours 21ours', 'and updates what it finds then');
is(counts($k->run_row($id)), '3 = 1 2 0 0 0', 'as the counters say');
$other->close;

# ---- rights and policies

$k->sql(q(CREATE ROLE loader LOGIN; GRANT kaireon_admin TO loader; GRANT CREATE, USAGE ON SCHEMA public TO loader));
my $as_loader = 'SET SESSION AUTHORIZATION loader;';
$k->sql("$as_loader SELECT kaireon.create_connector('hers', 'local_fs', " . $k->json({ basePath => $k->files }) . ');'
      . "SELECT kaireon.create_schema('hers', " . $k->json(\@people) . ');'
      . "SELECT kaireon.create_pipeline('hers', 'hers', 'hers', " . $k->json([ { id => 's', type => 'source', config => { resource => 'hers.csv' } },
            { id => 't', type => 'target', config => { loadingStrategy => 'upsert', validation => 'skip' } } ]) . q[, execution_config => '{"errorHandling": "skip"}')]);
is(counts(load('hers', 'id,name,amount', '1,a,1', '2,b,2', '3,c,3')), '3 = 3 0 0 0 0', 'as an ordinary role');
$k->sql('ALTER TABLE ds_hers OWNER TO postgres; GRANT INSERT ON ds_hers TO loader');
$run = $k->run('hers');
is("$run->{status} $run->{error_code}", 'failed 42501', 'INSERT alone is not enough');
like($run->{error_message}, qr/permission denied for table ds_hers/, 'and the table is named');
like($run->{error_hint}, qr/GRANT SELECT, UPDATE ON/, 'and what to grant');
like($k->sql("SELECT message FROM kaireon.validate_pipeline('hers')"), qr/permission denied for table ds_hers/, 'validate_pipeline finds it');
$k->sql('GRANT SELECT, UPDATE ON ds_hers TO loader; ALTER TABLE ds_hers ENABLE ROW LEVEL SECURITY; CREATE POLICY all_rows ON ds_hers TO loader USING (name <> $$c$$) WITH CHECK (id < 10)');
is($k->sql("SELECT message FROM kaireon.validate_pipeline('hers') WHERE severity = 'error'"), '', 'with the rights nothing is wrong');
$run = load('hers', 'id,name,amount', '1,a,1', '2,bb,2', '3,cc,3', '12,x,1', '4,d,4');
is(counts($run), '5 = 1 1 0 1 2', 'row-level security: rows that a policy refuses are rejects');
is(join(' ', sort split / /, bad($run)), '4:42501 5:42501', 'whether they are there and hidden or would be new');

# ---- against a model: many small batches of random rows

my %model;
my $inserted = 0;
upserts('model', [ { name => 'k', dataType => 'integer', isPrimaryKey => \1 }, { name => 'v', dataType => 'integer' }, { name => 'w', dataType => 'text' } ], {}, { errorHandling => 'skip', batchSize => 7 });
$k->sql('ALTER TABLE ds_model ADD CHECK (v < 90)');
srand(20240607);
for my $round (1 .. 12)
{
    my $narrow = $round % 4 == 0;
    my @lines = $narrow ? 'k,v' : 'k,v,w';
    my $many = $round % 6 == 5;  # so many that rows of several batches are loaded together
    for (1 .. int rand($many ? 6000 : 200))
    {
        my ($key, $v, $w) = (int rand($many ? 3000 : 40), int rand(100), ('', 'x', 'yy', "it's")[ rand 4 ]);
        push @lines, $narrow ? "$key,$v" : "$key,$v,$w";
        next if $v >= 90;
        $model{$key} = [ $v, $narrow ? $model{$key}[1] : $w eq '' ? undef : $w ];
    }
    $run = load('model', @lines);
    is($run->{rows_skipped}, scalar(grep { /^\d+,9\d/ } @lines), "round $round: bad rows");
    is($k->count_identity($run->{run_id}), 't', "round $round: the counters add up") or diag(counts($run));
    is($k->sql("SELECT string_agg(concat_ws('|', k, v, w), ' ' ORDER BY k) FROM ds_model"),
        join(' ', map { my $k = $_; join '|', $k, grep { defined } @{ $model{$k} } } sort { $a <=> $b } keys %model), "round $round: the table");
    is($run->{rows_loaded}, scalar(keys %model) - $inserted, "round $round: new rows");
    $inserted = scalar keys %model;
    my $stamp = $k->sql('SELECT string_agg(xmin::text, $$ $$ ORDER BY k) FROM ds_model');
    my %last;
    my @again = grep { my ($key, $v) = split /,/; $v =~ /^\d+$/ && $v < 90 && ($last{$key} = $_, 1) } @lines;
    $run = load('model', $lines[0], values %last) if %last;
    is($k->sql('SELECT string_agg(xmin::text, $$ $$ ORDER BY k) FROM ds_model'), $stamp, "round $round: what is loaded again changes nothing");
}
$k->settled('in the end');
done_testing();
