# kaireon.read wherever PostgreSQL may put it: under every kind of join, rescan
# and cursor, in prepared statements, views and functions, in statements that
# write, where a parallel plan would be, on a standby; and the places where it
# can't be.  What it reads and what bad cells do is reading.t.
use strict;
use warnings;
use JSON::PP;
use Kaireon;
use Test::More;

my $k = Kaireon->new('reading_plans', conf => "wal_level = replica\nmax_wal_senders = 5\n");
my $files = $k->files;
my ($a, $b) = map { "kaireon.read('files', '$_.csv')" } qw(a b);

$k->sql("SELECT kaireon.create_connector('files', 'local_fs', " . $k->json({ basePath => $files }) . ')');
$k->write_csv('a.csv', [qw(id name ctid t.id)], [ 1, 'Ada', 'c1', 'x' ], [ 2, undef, 'c2', 'y' ], [ 3, 'Cy', 'c3', 'z' ]);
$k->write_csv('b.csv', [qw(id name)], [ 3, 'Dee' ], [ 1, 'Eve' ]);
$k->write_file('bad.csv', "id,n\n1,1\n2,two\n3,3\n4,4,4\n5,5\n");
$k->sql("CREATE TABLE big AS SELECT g AS id, 'n' || g AS name FROM generate_series(1, 50000) g; ALTER TABLE big SET (parallel_workers = 2); ANALYZE big");

sub fails
{
    my ($query, $error, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    like($k->sql_error("\\set VERBOSITY verbose\n$query"), $error, $what);
    return;
}

# The plan's node above and around a read, by settings that leave the planner no choice.
sub joined
{
    my ($settings, $node) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $query = "SELECT x.id, x.name, y.name FROM $a AS x(id int, name text) JOIN $b AS y(id int, name text) ON x.id = y.id ORDER BY 1";
    my $set = join(' ', map { "SET enable_$_ = off;" } split(/ /, $settings));
    like($k->sql("$set EXPLAIN (COSTS OFF) $query"), qr/$node/, "$node: planned");
    is($k->sql("$set $query"), "1|Ada|Eve\n3|Cy|Dee", "$node: rows");
    return;
}

# ---- joins, rescans, subqueries

joined('mergejoin nestloop', 'Hash Join');
joined('hashjoin nestloop', 'Merge Join');
joined('hashjoin mergejoin', 'Nested Loop');
joined('hashjoin mergejoin material', 'Nested Loop');
like($k->sql("SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off; EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF)"
      . " SELECT * FROM $a AS x(id int) JOIN $b AS y(id int) ON x.id = y.id"), qr/loops=3\).*Rows Read: 6\n.*Bytes Read: 60/s,
    'EXPLAIN ANALYZE counts the rows of all rescans');
is($k->sql("SET enable_hashjoin = off; SET enable_nestloop = off; SELECT v, x.id FROM (VALUES (1), (1), (3), (3)) w(v) JOIN"
      . " (SELECT id FROM $a AS x(id int) UNION ALL SELECT id FROM $b AS x(id int)) x ON v = x.id ORDER BY 1, 2"), join("\n", ('1|1') x 4, ('3|3') x 4),
    'a merge join that goes back over equal rows');
is($k->sql("SELECT x.id, x.name, y.name FROM $a AS x(id int, name text) FULL JOIN $b AS y(id int, name text) USING (id) ORDER BY 1"), "1|Ada|Eve\n2||\n3|Cy|Dee", 'a full join');
is($k->sql("SELECT v FROM generate_series(1, 4) v WHERE v NOT IN (SELECT id FROM $a AS x(id int))"), 4, 'NOT IN');
is($k->sql("SELECT v FROM generate_series(1, 4) v WHERE EXISTS (SELECT FROM $b AS x(id int) WHERE x.id = v) ORDER BY 1"), "1\n3", 'EXISTS');
is($k->sql("SELECT name FROM $a AS x(id int, name text) WHERE id = ANY (ARRAY(SELECT id FROM $b AS y(id int))) ORDER BY 1"), "Ada\nCy", 'an array of another');
is($k->sql("WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT r.n + 1 FROM r JOIN $a AS x(id int) ON x.id = r.n) SELECT max(n) FROM r"), 4, 'a recursive query');
is($k->sql("WITH c AS MATERIALIZED (SELECT * FROM $a AS x(id int)) SELECT count(*) FROM c p, c q WHERE p.id < q.id"), 3, 'a CTE used twice');
is($k->sql("SELECT f, (SELECT array_agg(id) FROM kaireon.read('files', f) AS x(id int)) FROM unnest(ARRAY['a.csv', 'b.csv']) f"), "a.csv|{1,2,3}\nb.csv|{3,1}", 'a correlated subquery');
is($k->sql("SELECT v.f, x.id FROM (VALUES ('files', 'a.csv', jsonb '{\"rowLimit\": 1}'), ('files', 'b.csv', '{}')) v(c, f, o), kaireon.read(v.c, v.f, v.o) AS x(id int)"),
    "a.csv|1\nb.csv|3\nb.csv|1", 'LATERAL: connector, resource and options');
is($k->sql("SELECT v.f, x.id FROM (VALUES ('a.csv'), ('b.csv')) v(f) LEFT JOIN LATERAL kaireon.read('files', v.f) AS x(id int) ON x.id = 2"), "a.csv|2\nb.csv|", 'LEFT JOIN LATERAL');
is($k->sql("SELECT x.id, y.id FROM $a AS x(id int), kaireon.read('files', CASE WHEN x.id > 1 THEN 'b.csv' ELSE 'a.csv' END, jsonb_build_object('rowLimit', 1)) AS y(id int)"),
    "1|1\n2|3\n3|3", 'LATERAL over a read');
is($k->sql("SELECT count(*) FROM generate_series(1, 2) g, (VALUES ('a.csv'), ('a.csv'), ('b.csv')) v(f), LATERAL kaireon.read('files', v.f) AS x(id int)"), 16, 'memoized');
is($k->sql("SELECT id FROM kaireon.read((SELECT 'files'), (SELECT max(f) FROM unnest(ARRAY['a.csv']) f)) AS x(id int)"), "1\n2\n3", 'arguments from subqueries');
is($k->sql("SELECT id FROM kaireon.read(options => '{\"rowLimit\": 1}', resource => 'b.csv', connector => 'files') AS x(id int)"), 3, 'named arguments');
is($k->sql("SELECT id FROM $a AS x(id int) WHERE random() >= 0 AND id = (SELECT min(id) FROM $b AS y(id int))"), 1, 'a condition that is no constant');
is($k->sql("SELECT id FROM $a AS x(id int) INTERSECT SELECT id FROM $b AS x(id int) ORDER BY 1"), "1\n3", 'INTERSECT');
is($k->sql("SELECT id, sum(id) OVER (ORDER BY id) FROM $b AS x(id int)"), "1|1\n3|4", 'a window');

# ---- parallel plans: there are none around it

for my $mode ($k->sql("SELECT count(*) FROM pg_settings WHERE name = 'debug_parallel_query'") ? 'debug_parallel_query' : 'force_parallel_mode')
{
    for my $value (qw(on regress))
    {
        is($k->sql("SET $mode = $value; SELECT count(*), count(x.name) FROM $a AS x(id int, name text) JOIN big USING (id)"), '3|2', "$mode $value");
        is($k->sql("SET $mode = $value; SELECT sum(id) FROM big WHERE id IN (SELECT id FROM $a AS x(id int))"), 6, "$mode $value: in a subquery");
    }
}
my $cheap = 'SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;';
like($k->sql("$cheap EXPLAIN SELECT count(*) FROM big"), qr/Gather/, 'a plan that is parallel');
unlike($k->sql("$cheap EXPLAIN SELECT count(*) FROM big JOIN $a AS x(id int) USING (id)"), qr/Gather/, 'and is not with a read');

# ---- cursors

is($k->sql("BEGIN; DECLARE c SCROLL CURSOR FOR SELECT id FROM $a AS x(id int); FETCH ALL c; FETCH BACKWARD ALL c; FETCH LAST c; FETCH FIRST c; FETCH ABSOLUTE 2 c; COMMIT"),
    join("\n", 1, 2, 3, 3, 2, 1, 3, 1, 2), 'SCROLL: every direction');
fails("BEGIN; DECLARE c CURSOR FOR SELECT id FROM $a AS x(id int); FETCH 1 c; FETCH PRIOR c", qr/55000: cursor can only scan forward/, 'without: only forward');
is($k->sql("BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT id FROM $a AS x(id int); FETCH 1 c; COMMIT; FETCH ALL c; CLOSE c"), "1\n2\n3", 'WITH HOLD');
fails("BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT n FROM kaireon.read('files', 'bad.csv') AS x(n int); FETCH 1 c; COMMIT",
    qr/22P02.*File "bad\.csv", line 3, field "n": "two"/s, 'WITH HOLD: a bad cell that COMMIT comes to');
my $session = $k->session;
my $readers = sub { return scalar(grep { Kaireon::_comm($_) =~ /^kaireon-reader/ } Kaireon::children($session->pid)); };
is($session->query("BEGIN; DECLARE c CURSOR FOR SELECT id FROM $a AS x(id int); FETCH 1 c; SAVEPOINT s; SELECT 1 / 0; ROLLBACK TO s; FETCH 1 c"), "1\n2", 'an error elsewhere leaves it');
is($readers->(), 1, 'an open cursor has its reader');
is($session->query('ROLLBACK') . $readers->(), 0, 'ROLLBACK ends it');
is($session->query("BEGIN; SAVEPOINT s; DECLARE c CURSOR FOR SELECT id FROM $a AS x(id int); FETCH 1 c; ROLLBACK TO s; SELECT 'here'"), "1\nhere", 'made in a savepoint');
is($readers->(), 0, 'ends with it');
is($session->query("COMMIT; BEGIN; DECLARE c CURSOR FOR SELECT id FROM kaireon.read('files', 'bad.csv', '{\"onError\": \"skip\"}') AS x(id int, n int) WHERE n > 0;"
      . ' FETCH 1 c; SAVEPOINT s; FETCH 1 c; ROLLBACK TO s; FETCH 1 c; CLOSE c; COMMIT'), "1\n3\n5", 'rows are left out inside a savepoint');
is($readers->(), 0, 'CLOSE ends it');
$session->close;

# ---- prepared statements

my $prepare = 'SET plan_cache_mode = force_generic_plan; PREPARE p (text, text, jsonb, int) AS SELECT id, name FROM kaireon.read($1, $2, $3) AS x(id int, name text) WHERE id >= $4;';
is($k->sql("$prepare EXECUTE p ('files', 'a.csv', '{}', 2); EXECUTE p ('files', 'b.csv', '{\"rowLimit\": 1}', 0); EXECUTE p ('files', 'a.csv', NULL, 3)"),
    "2|\n3|Cy\n3|Dee\n3|Cy", 'a generic plan: everything is a parameter');
like($k->sql("$prepare EXPLAIN (COSTS OFF) EXECUTE p ('nobody', 'b.csv', '[]', 0)"), qr/Filter: \(id >= \$4\)\n +Connector: \$1\n +Resource: \$2\n +Options: \$3\n/, 'and is shown as such');
fails("$prepare EXECUTE p (NULL, 'a.csv', '{}', 2)", qr/22004/, 'a parameter that is null');
fails("$prepare EXECUTE p ('filez', 'a.csv', '{}', 2)", qr/42704.*Perhaps you meant "files"/s, 'one that is wrong');

# ---- statements that write

$k->sql("CREATE TABLE t AS SELECT * FROM $a AS x(id int, name text); INSERT INTO t SELECT * FROM $b AS x(id int, name text)");
is($k->sql('SELECT * FROM t'), "1|Ada\n2|\n3|Cy\n3|Dee\n1|Eve", 'CREATE TABLE AS, INSERT SELECT');
is($k->sql("COPY (SELECT id FROM $a AS x(id int)) TO STDOUT"), "1\n2\n3", 'COPY of a query');
$k->sql("CREATE TABLE u (id int PRIMARY KEY, name text, n int DEFAULT 0); INSERT INTO u VALUES (1, 'x'), (5, 'y')");
$k->sql("INSERT INTO u (id, name) SELECT * FROM $a AS x(id int, name text) ON CONFLICT (id) DO UPDATE SET name = excluded.name, n = u.n + 1");
$k->sql("UPDATE u SET name = x.name || '!' FROM $b AS x(id int, name text) WHERE u.id = x.id");
is($k->sql('SELECT * FROM u ORDER BY id'), "1|Eve!|1\n2||0\n3|Dee!|0\n5|y|0", 'ON CONFLICT, UPDATE FROM');
is($k->sql("DELETE FROM u USING $b AS x(id int) WHERE u.id = x.id RETURNING u.id, x.id"), "3|3\n1|1", 'DELETE USING');
is($k->sql("WITH w AS (INSERT INTO u (id) SELECT id + 10 FROM $b AS x(id int) RETURNING id) SELECT * FROM w"), "13\n11", 'a CTE that writes');
$k->sql('CREATE TABLE parts (id int, name text) PARTITION BY RANGE (id); CREATE TABLE low PARTITION OF parts FOR VALUES FROM (0) TO (3); CREATE TABLE rest PARTITION OF parts DEFAULT');
$k->sql("INSERT INTO parts SELECT * FROM $a AS x(id int, name text); UPDATE parts SET id = x.id + 2 FROM $b AS x(id int) WHERE parts.id = x.id");
is($k->sql('SELECT tableoid::regclass, * FROM parts ORDER BY 2, 3'), "low|2|\nrest|3|Ada\nrest|5|Cy", 'partitions');

# ---- views and functions

$k->sql("CREATE VIEW v AS SELECT * FROM $a AS x(id int, name varchar(5), \"t.id\" text)");
like($k->sql("SELECT pg_get_viewdef('v')"), qr/kaireon\.read\('files'::text, 'a\.csv'::text\) x\(id integer, name character varying\(5\), "t\.id" text\)/, 'a view says what it reads');
is($k->sql("SELECT * FROM v WHERE id = 3"), '3|Cy|z', 'and reads it');
$k->sql("CREATE VIEW guarded WITH (security_barrier) AS SELECT * FROM $a AS x(id int, name text) WHERE id < 3");
is($k->sql("SELECT id FROM guarded WHERE name ~ 'A'"), 1, 'a view with a security barrier');
$k->sql("CREATE MATERIALIZED VIEW m AS SELECT * FROM $b AS x(id int, name text); CREATE UNIQUE INDEX ON m (id)");
$k->write_csv('b.csv', [qw(id name)], [ 3, 'Dee' ], [ 4, 'Fay' ]);
$k->sql('REFRESH MATERIALIZED VIEW CONCURRENTLY m');
is($k->sql('SELECT * FROM m ORDER BY id'), "3|Dee\n4|Fay", 'a materialized view, refreshed concurrently');
$k->write_csv('b.csv', [qw(id name)], [ 3, 'Dee' ], [ 1, 'Eve' ]);
$k->sql('REFRESH MATERIALIZED VIEW m');
is($k->sql('SELECT * FROM m ORDER BY id'), "1|Eve\n3|Dee", 'and refreshed');
$k->sql('CREATE ROLE owner LOGIN; GRANT kaireon_admin TO owner; CREATE SCHEMA theirs AUTHORIZATION owner');
$k->sql("SET ROLE owner; SELECT kaireon.create_connector('theirs', 'local_fs', " . $k->json({ basePath => $files }) . ');'
      . "CREATE MATERIALIZED VIEW theirs.m AS SELECT * FROM kaireon.read('theirs', 'a.csv') AS x(id int); RESET ROLE; REFRESH MATERIALIZED VIEW theirs.m");
is($k->sql('SELECT count(*) FROM theirs.m'), 3, 'a superuser refreshes with its owner\'s rights');
$k->sql("SELECT kaireon.delete_connector('theirs')");

$k->sql(<<'SQL');
CREATE FUNCTION upto(f text, most int) RETURNS SETOF int LANGUAGE plpgsql AS $$
DECLARE x record;
BEGIN
    FOR x IN SELECT * FROM kaireon.read('files', f) AS x(id int) LIMIT most LOOP RETURN NEXT x.id; END LOOP;
END $$;
CREATE FUNCTION second(f text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE c CURSOR FOR SELECT id FROM kaireon.read('files', f) AS x(id int); found int;
BEGIN
    OPEN c; FETCH c INTO found; FETCH c INTO found; CLOSE c;
    RETURN found;
END $$;
CREATE FUNCTION plain(f text) RETURNS TABLE (id int, name text) LANGUAGE sql AS $$ SELECT * FROM kaireon.read('files', f) AS x(id int, name text) $$;
CREATE FUNCTION dynamic(f text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM kaireon.read(%L, $1) AS x(id int)', 'files') INTO n USING f;
    RETURN n;
END $$;
CREATE FUNCTION read_on_insert() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.name := (SELECT name FROM kaireon.read('files', 'a.csv') AS x(id int, name text) WHERE id = NEW.id);
    RETURN NEW;
END $$;
CREATE TABLE looked_up (id int, name text);
CREATE TRIGGER look BEFORE INSERT ON looked_up FOR EACH ROW EXECUTE FUNCTION read_on_insert();
INSERT INTO looked_up (id) VALUES (3), (1);
SQL
is($k->sql("SELECT upto('a.csv', 2); SELECT * FROM upto('b.csv', 9)"), "1\n2\n3\n1", 'PL/pgSQL: a loop');
is($k->sql("SELECT second(f) FROM unnest(ARRAY['a.csv', 'b.csv']) f"), "2\n1", 'PL/pgSQL: a cursor that is not read to its end');
is($k->sql("SELECT * FROM plain('b.csv') WHERE id = 3; SELECT (plain('b.csv')).name"), "3|Dee\nDee\nEve", 'an SQL function, in FROM and in a select list');
is($k->sql("SELECT dynamic('a.csv')"), 3, 'EXECUTE');
is($k->sql('SELECT * FROM looked_up'), "3|Cy\n1|Ada", 'a trigger');

# ---- EXPLAIN

my $query = "SELECT id FROM kaireon.read('files', 'a.csv', '{\"rowLimit\": 2}') AS x(id int, \"a\"\"b <&>\" text)";
my $plan = decode_json($k->sql("EXPLAIN (ANALYZE, FORMAT json) $query"))->[0]{Plan};
is_deeply([ @$plan{ 'Custom Plan Provider', 'Connector', 'Resource', 'Options', 'Columns', 'Rows Read', 'Rows Left Out', 'Cells Made Null' } ],
    [ 'KaireonRead', 'files', 'a.csv', '{"rowLimit": 2}', ['id integer'], 2, 0, 0 ], 'EXPLAIN as JSON');
cmp_ok($plan->{'Reader Peak Memory'}, '>', 100, 'which has the reader\'s memory in kB');
is($k->sql("SELECT xpath('//*[local-name()=\"Rows-Read\"]/text()', x) FROM (SELECT xmlparse(DOCUMENT " . $k->json($k->sql("EXPLAIN (ANALYZE, FORMAT xml) $query")) . ') AS x) AS q'), '{2}', 'EXPLAIN as XML');
is($k->sql("SELECT (xpath('//*[local-name()=\"Columns\"]/*/text()', x))[1] FROM (SELECT xmlparse(DOCUMENT "
      . $k->json($k->sql("EXPLAIN (FORMAT xml) " . $query =~ s/id FROM/"a""b <&>" FROM/r)) . ') AS x) AS q'), '"a""b &lt;&amp;&gt;" text', 'with names that XML has to escape');
like($k->sql("EXPLAIN (ANALYZE, FORMAT yaml) $query"), qr/Resource: "a\.csv".*Columns: \n +- "id integer"\n +Rows Read: 2\n/s, 'EXPLAIN as YAML');
like($k->sql("EXPLAIN (VERBOSE, COSTS OFF) SELECT x.id, x FROM (VALUES ('a.csv')) v(f), kaireon.read('files', f) AS x(id int, name text)"),
    qr/Output: x\.id, x\.\*\n.*Columns: id integer, name text/s, 'EXPLAIN VERBOSE: the whole row');
my $missing = "SELECT count(*) FROM kaireon.read('nobody', 'none.csv', '[]') AS x(id int)";
like($k->sql("EXPLAIN $missing"), qr/Connector: nobody/, 'EXPLAIN alone opens nothing');
fails("EXPLAIN ANALYZE $missing", qr/42704/, 'EXPLAIN ANALYZE does');
is($k->sql("SELECT id FROM kaireon.read('nobody') AS x(id int) WHERE false; SELECT id FROM kaireon.read('nobody') AS x(id int) LIMIT 0; SELECT 'done'"), 'done', 'nor does a query that needs no row');

# ---- rows and columns

is($k->sql("SELECT count(*) FROM (SELECT FROM $a AS x(id int)) y"), 3, 'no column at all');
is($k->sql("SELECT x.*, row_to_json(x) FROM $b AS x(id int, name text)"), qq(3|Dee|{"id":3,"name":"Dee"}\n1|Eve|{"id":1,"name":"Eve"}), 'the whole row and its columns');
is($k->sql("SELECT count(x), count(DISTINCT x), max(x::text), array_agg(x ORDER BY x DESC) FROM $b AS x(id int, name text)"), '2|2|(3,Dee)|{"(3,Dee)","(1,Eve)"}', 'aggregates of it');
is($k->sql("SELECT x FROM $a AS x(id int, name text) GROUP BY x ORDER BY x"), "(1,Ada)\n(2,)\n(3,Cy)", 'grouped and sorted by it');
is($k->sql("SELECT x, y FROM $a AS x(id int), $b AS y(id int) WHERE x = y ORDER BY 1"), "(1)|(1)\n(3)|(3)", 'joined by it');
is($k->sql("SELECT x IS NULL, (x).name FROM $a AS x(name text)"), "f|Ada\nt|\nf|Cy", 'a row of nulls');
is($k->sql("SELECT x.ctid, \"t.id\" FROM $a AS x(ctid text, \"t.id\" text) LIMIT 1"), 'c1|x', 'columns that are named like a system column, or with a dot');
for my $column (qw(ctid tableoid xmin))
{
    fails("SELECT $column FROM $a AS x(id int)", qr/42703: column "$column" does not exist/, "$column: there is none");
}
fails("SELECT * FROM $a AS x(id int, id text)", qr/42701: column name "id" specified more than once/, 'a name twice in the list');
$k->write_file('own.csv', "_line,id,_source\nx,1,y\n");
fails("SELECT * FROM kaireon.read('files', 'own.csv') AS x(id int, _line text)", qr/42702: source has a field "_line" of its own.*own\.csv.*HINT:.*columns/s,
    'a field of the name of a pseudo-column: neither is taken for the other');
is($k->sql("SELECT * FROM kaireon.read('files', 'own.csv') AS x(id int)"), 1, 'the others are read');
is($k->sql("SELECT * FROM kaireon.read('files', 'own.csv', '{\"columns\": [\"line\", \"id\", \"from\"], \"header\": true}') AS x(line text, _line bigint)"), 'x|2', 'and both, under another name');
my ($code, $out, $err) = $k->node->psql('postgres', "SELECT kaireon.preview('files', 'own.csv')");
is($out, '{"id": "1"}', 'preview leaves it out');
like($err, qr/NOTICE:  left out field "_line", whose name stands for.*left out field "_source"/s, 'and says so');
unlink "$files/own.csv";

# ---- types

$k->sql("CREATE TYPE mood AS ENUM ('low', 'high'); CREATE TYPE pair AS (a int, b text)");
$k->write_file('types.csv', "arr,mood,r,c5,iv,by,bits,rc,tm,neg,co,ts\n\"{1,2}\",high,\"[1,5)\",ab,1 day,\\xdead,101,pg_class,10:20:30.46,12345,\"(1,x)\",2024-01-01 10:20:30.6\n");
is($k->sql("SELECT arr[2], mood, upper(r), c5 || '|', iv, by, bits, rc, tm, neg, (co).b, ts FROM kaireon.read('files', 'types.csv') AS x(arr int[], mood mood, r int4range,"
      . ' c5 char(5), iv interval, by bytea, bits bit(3), rc regclass, tm time(1), neg numeric(5,-2), co pair, ts timestamp(0))'),
    '2|high|5|ab||1 day|\xdead|101|pg_class|10:20:30.5|12300|x|2024-01-01 10:20:31', 'every type the server has, with its modifiers');
fails("SELECT * FROM kaireon.read('files', 'types.csv') AS x(mood regclass)", qr/42P01: relation "high" does not exist\nDETAIL:  File "types\.csv", line 2, field "mood": "high"/, 'an input function that looks things up');
fails("SELECT * FROM $a AS x(id record)", qr/0A000.*File "a\.csv", line 2, field "id"/s, 'a type that has no input');

# ---- where it can't be

my $how = qr/0A000: kaireon\.read can only be called in FROM.*HINT:  For example: SELECT \* FROM kaireon\.read/s;
fails("SELECT kaireon.read('files', 'a.csv')", $how, 'in a select list');
fails("SELECT generate_series(1, 2), kaireon.read('files', 'a.csv')", $how, 'beside another function there');
fails("SELECT * FROM ROWS FROM ($a AS (id int)) WITH ORDINALITY", $how, 'WITH ORDINALITY');
fails("SELECT * FROM ROWS FROM ($a AS (id int), generate_series(1, 2))", $how, 'with others in ROWS FROM');
is($k->sql("SELECT * FROM ROWS FROM ($a AS (id int)) AS x"), "1\n2\n3", 'alone in it is as in FROM');
fails("SELECT * FROM $a AS x(id int) TABLESAMPLE SYSTEM (10)", qr/42601/, 'TABLESAMPLE');
fails("SELECT * FROM $a AS x(id int) FOR UPDATE OF x", qr/0A000: FOR UPDATE cannot be applied to a function/, 'FOR UPDATE of it');
is($k->sql("SELECT x.id, big.name FROM $a AS x(id int) JOIN big USING (id) ORDER BY 1 FOR UPDATE OF big"), "1|n1\n2|n2\n3|n3", 'FOR UPDATE of a table beside it');
fails("SELECT 1 WHERE kaireon.read('files') IS NOT NULL", qr/0A000: set-returning functions are not allowed in WHERE/, 'in WHERE');

# ---- on a standby

my $node = $k->node;
$node->append_conf('pg_hba.conf', 'local replication all trust');
$node->reload;
$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
my $there = sub { my ($q) = @_; return $standby->safe_psql('postgres', $q); };
is($there->('SELECT pg_is_in_recovery()'), 't', 'a standby');
is($there->("SELECT x.id, y.name FROM $a AS x(id int) JOIN $b AS y(id int, name text) USING (id) ORDER BY 1"), "1|Eve\n3|Dee", 'standby: read');
is($there->("SELECT * FROM kaireon.read('files', 'bad.csv', '{\"onError\": \"skip\"}') AS x(id int, n numeric(3))"), "1|1\n3|3\n5|5", 'standby: rows are left out');
is($there->("SELECT n FROM kaireon.read('files', 'bad.csv', '{\"onError\": \"null\"}') AS x(n json)"), "1\n\n3\n5", 'standby: an input function of the server refuses');
is($there->("SELECT kaireon.preview('files', 'b.csv', max_rows => 1)"), '{"id": "3", "name": "Dee"}', 'standby: preview');
is($there->("SET work_mem = '64kB'; SELECT kaireon.infer_fields('files', 'b.csv') -> 0"), '{"name": "id", "dataType": "integer", "isPrimaryKey": true}', 'standby: infer_fields');
is($there->("SELECT kaireon.describe('files', 'b.csv') -> 'fields'; SELECT path FROM kaireon.list_objects('files', 'b*.csv')"), "[\"id\", \"name\"]\nb.csv\nbad.csv", 'standby: describe, list_objects');
is($there->("SELECT ok FROM kaireon.test_connector('files')"), 't', 'standby: test_connector');
($code, $out, $err) = $standby->psql('postgres', "SELECT * FROM kaireon.read('filez') AS x(id int)");
like($err, qr/connector "filez" does not exist.*Perhaps you meant "files"/s, 'standby: an unknown connector');
$standby->promote;
is($there->("SELECT count(*) FROM $a AS x(id int)"), 3, 'after its promotion');
is(scalar(map { Kaireon::children($_) } grep { $_ } Kaireon::children($standby->safe_psql('postgres', "SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)"))), 0, 'no reader is left there');
$standby->stop;

is(scalar($k->readers), 0, 'no reader is left');
ok($k->same_postmaster, 'the server lived through');
done_testing();
