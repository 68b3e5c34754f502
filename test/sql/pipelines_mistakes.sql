-- Everything that is wrong with a pipeline is said at once, and nothing besides:
-- what follows from a mistake is no finding.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kaireon;
RESET client_min_messages;
\pset format unaligned
\pset tuples_only on
SET client_encoding = 'UTF8';
\getenv abs_srcdir PG_ABS_SRCDIR
\set include :abs_srcdir '/sql/include/graph.psql'
\i :include
\set include :abs_srcdir '/sql/include/findings.psql'
\i :include
\set include :abs_srcdir '/sql/include/try.psql'
\i :include

SELECT kaireon.create_connector('e_files', 'local_fs') IS NOT NULL;
SELECT kaireon.create_schema('e_customers', '[{"name": "id", "dataType": "integer", "isPrimaryKey": true}, {"name": "name", "dataType": "text", "isNullable": false}, {"name": "city"}, {"name": "born", "dataType": "date"},
    {"name": "amount", "dataType": "numeric"}, {"name": "people", "dataType": "integer"}]') IS NOT NULL;
SELECT kaireon.create_schema('e_orders', '[{"name": "order_id", "dataType": "integer", "isPrimaryKey": true}, {"name": "customer_id", "dataType": "integer"}, {"name": "total", "dataType": "numeric"}]',
    schema_type => 'collection', linked_schema => 'e_customers', join_mapping => '{"customer_id": "id"}', summary_columns => '[{"function": "sum", "sourceField": "total", "outputField": "total"}]') IS NOT NULL;
SELECT kaireon.create_schema('e_cities', '[{"name": "name", "isPrimaryKey": true}, {"name": "people", "dataType": "integer"}]') IS NOT NULL;
SET test.connector = 'e_files';
SET test.schema = 'e_customers';

-- ---- ten mistakes of ten kinds
CREATE TABLE pg_temp.ten AS SELECT pg_temp.nodes('people source {"resource": "people.csv"}', 'orders source {"resource": "orders.csv", "delimeter": ";"}',
    'typed cast {"field": "amount", "targetType": "money"}', 'full merge {"sourceFields": ["first", "last"], "outputField": "whole"}', 'full drop {"fields": ["spare"]}', 'gone drop {"fields": ["city", "name"]}',
    'where filter {"field": "city", "operator": "=", "value": "Rome"}', 'size expression {"outputField": "people", "expression": "size(last)"}', 'flag cast {"field": "born", "targetType": "boolean"}', 'load target',
    'odd fitler {"field": "id", "operator": ">", "value": 1}', 'aside target {"schema": "e_orders"}', 'one rename {"sourceField": "a", "targetField": "b"}', 'two rename {"sourceField": "b", "targetField": "c"}') AS nodes,
    pg_temp.edges('people>typed', 'typed>full', 'full>gone', 'gone>where', 'where>size', 'size>flag', 'flag>load', 'orders>odd', 'odd>aside', 'one>two', 'two>one', 'two>nobody') AS edges;
SELECT pg_temp.findings(nodes, edges) FROM pg_temp.ten;
SELECT pg_temp.try(format('SELECT kaireon.create_pipeline(%L, %L, %L, %L, %L)', 'e_ten', 'e_files', 'e_customers', nodes, edges)) FROM pg_temp.ten;

-- ---- one node's mistakes: what is right of its config is looked at beside what is wrong
SELECT f FROM pg_temp.findings(pg_temp.nodes('r source {"formatt": "csv", "delimiter": "123456789", "quote": 7, "connector": 1}', 'w target')) AS f WHERE f NOT LIKE '  Valid keys%';
SELECT f FROM pg_temp.findings(pg_temp.nodes('r source', 'w target {"validation": "x", "loadingStrategy": "appendd", "keyFields": ["id"], "fieldMapping": {"a": "nofield", "b": "city", "c": "city", "d": 7}}')) AS f WHERE f NOT LIKE '  Valid values%';
SELECT pg_temp.findings(pg_temp.nodes('r source {"columns": ["id", "name"]}', 'f filter {"field": "nobody", "operator": "is_null", "and": 1}', 'e expression {"outputField": "city", "expression": "nothing(id)", "type": "x"}',
    'h hash {"field": "name", "outputField": "born", "algorithm": "sha1"}', 'd drop {"fields": ["born"]}', 'w target'));
SELECT f FROM pg_temp.findings(pg_temp.nodes('r source', 'f filter {"match": "some", "also": 1, "conditions": [{"field": "id", "operator": "=="}, {"operator": "is_null", "value": 1}, 7, {"conditions": {}}, {"field": 1, "operator": "in", "value": {"a": 1}}]}', 'w target')) AS f WHERE f NOT LIKE '  Valid values%';
SELECT f FROM pg_temp.findings(pg_temp.nodes('r source', 'b branch {"way": 1, "routes": [{"label": 1, "field": "id"}, {"label": "a", "field": "id", "operator": "~"}, {"label": "a", "field": "id", "operator": "between", "value": [1]}]}', 'w target'),
    pg_temp.edges('r>b', 'b>w:a')) AS f WHERE f NOT LIKE '  Valid %';
SELECT pg_temp.findings(pg_temp.nodes('r source', 's split {"sourceField": "a", "separator": "", "outputFields": ["x", "x"], "limit": 1}', 'm map_values {"mappings": {}, "field": 1}', 'a archive {"successFolder": 7}', 'v validate {"rules": 7}', 'w target'));
-- Paths of JSON, and patterns of dates: with the character at fault, when they are saved.
SELECT pg_temp.findings(pg_temp.nodes('r source {"resource": "a.json", "recordPath": "data.items", "columns": {"a": "$.x..y", "b": "$.é[\"k\"][", "c": 7, "d": "$[0].x[16384]", "e": "$[\"a", "f": "$.ok[\"a b\"][3]"}}', 'w target'));
SELECT pg_temp.findings(pg_temp.nodes('r source {"resource": "a.json", "recordPath": "$.a[0]", "columns": {}}', 'w target'));
SELECT pg_temp.findings(pg_temp.nodes('r source {"resource": "a.csv", "dateFormat": "IYYY-MM-DD", "timestampFormat": "YYYY-MM-DD HH24:MI:SS.US", "delimiter": "\n", "encoding": "UTF8", "nullStrings": ["", 1]}', 'w target'));
SELECT pg_temp.findings(pg_temp.nodes('r source ' || (SELECT jsonb_build_object('columns', jsonb_agg('c' || i), 'nullStrings', jsonb_agg('n' || i))::text FROM generate_series(1, 16385) AS i), 'w target'));
SELECT pg_temp.try(format('SELECT kaireon.create_pipeline(%L, %L, %L, %L)', 'e_path', 'e_files', 'e_customers', pg_temp.nodes('r source {"resource": "a.json", "recordPath": "$.data.[*]"}', 'w target')));
-- Each rule of a validate node, whatever is wrong with it; and beside what is wrong with the node.
CREATE TABLE pg_temp.rules AS SELECT jsonb_agg(r) AS rules FROM (VALUES
    ('{"field": "name", "rule": "regex:("}'::jsonb), ('{"field": "amount", "rule": "between:1"}'), ('{"field": "amount", "rule": "between:5,1"}'), ('{"field": "amount", "rule": "gt:abc"}'),
    ('{"rule": "expression:amount >"}'), ('{"rule": "expression:amount + 1"}'), ('{"field": "city", "rule": "in:"}'), ('{"field": "name", "rule": "regex:)("}'),
    ('{"rule": "expression:nothing(amount) > 1"}'), ('{"rule": "expression:amount > 0"}'), ('{"field": "born", "rule": "gt:1"}'), ('{"rule": "expression:1 / 0 = amount", "on_fail": "skip"}'), ('7'),
    ('{"field": "gone", "rule": "not_null"}'), ('{"field": 7, "rule": "email", "value": {}}'), ('{"rule": 7}'), ('{"field": "name", "rule": "length:x"}'), ('{"rule": "expression:''x'' || name"}'), ('{"rule": "expression:true"}')) AS r (r);
SELECT f FROM pg_temp.rules, pg_temp.findings(pg_temp.nodes('r source', 'd drop {"fields": ["gone"]}', format('v validate {"rulez": [], "rules": %s}', rules), 'w target')) AS f WHERE f NOT LIKE '  Valid %';
-- The same with a rule about all rows, and checks.
SELECT f FROM pg_temp.rules, pg_temp.findings(pg_temp.nodes('r source', 'd drop {"fields": ["gone"]}', format('v validate {"rules": %s, "dataset": [{"check": "sum", "field": "born", "min": 1}, {"check": "freshness", "field": "born", "maxAge": "soon"},
    {"check": "row_count", "min": 2, "max": 1}, {"check": "freshness", "field": "gone", "maxAge": "1 day"}, {"check": "avg", "field": "name", "mim": 1}]}', rules || '[{"field": "name", "rule": "unique"}, {"field": "gone", "rule": "unique"}]'), 'w target')) AS f WHERE f NOT LIKE '  Valid %';
-- Parts of conditions.
SELECT pg_temp.findings(pg_temp.nodes('r source', 'f filter {"match": "any", "conditions": [{"field": "born", "operator": ">", "value": 1}, {"field": "id", "operator": "=", "value": 1}, {"conditions": [{"field": "people", "operator": "=", "value": "N/A"}]}]}',
    'g filter {"field": "people", "operator": "=", "value": "N/A"}', 'h filter {"field": "born", "operator": ">", "value": 1}', 'w target'));
SELECT pg_temp.findings(pg_temp.nodes('r source', 'b branch {"routes": [{"label": "a", "field": "born", "operator": ">", "value": 1}, {"label": "b", "conditions": [{"field": "id", "operator": "is_null"}, {"field": "people", "operator": "=", "value": "N/A"}]}]}', 'w target'),
    pg_temp.edges('r>b', 'b>w:a', 'b>w:b', 'b>w:otherwise'));
SELECT pg_temp.findings(pg_temp.nodes('r source', 'a add_field {"fieldName": "x", "fieldType": "date", "defaultValue": "soon"}', 'b add_field {"fieldName": "y", "fieldType": "date", "expression": "id + people"}',
    'e expression {"outputField": "z", "expression": "name + + "}', 'f expression {"outputField": "q", "expression": "city + 1"}', 'c cast {"field": "people", "targetType": "uuid"}', 'k cast {"field": "people", "targetType": "int"}', 'g cast {"field": "born", "targetType": "boolean"}', 'w target'));
-- Two fields for one of the schema: refused, whatever else is right.
SELECT pg_temp.findings(pg_temp.nodes('r source', 'w target {"fieldMapping": {"name": "city", "town": "city", "place": "city", "nm": "name"}}'));
SELECT pg_temp.try($$SELECT kaireon.create_pipeline('e_two', 'e_files', 'e_customers', pg_temp.nodes('r source', 'w target {"fieldMapping": {"name": "city", "town": "city", "nm": "name"}}'))$$);

-- Each refused expression has its place, where one is to blame; a function that is not on the list is refused whatever its arguments mean.
CREATE SEQUENCE public.e_s;
CREATE FUNCTION pg_temp.refusal(e text) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT f FROM pg_temp.findings(pg_temp.nodes('r source', 'x expression ' || jsonb_build_object('outputField', 'note', 'expression', e)::text, 'w target')) AS f WHERE f NOT LIKE '  %'
$$;
SELECT e || ' => ' || pg_temp.refusal(e) FROM unnest(ARRAY['(select 1)', 'count(*)', '1 + sum(amount::int)', 'grouping(name)', 'upper(name) || 1/0', 'upper(name) || (1/0)::text', 'amount::float8 > power(10, 400::float8)', '((1', 'amount >', '1, 2',
    'nextval(''e_s'')', 'nextval(''e_nothing'')', 'amount + sum(1) over ()', 'setval(''e_nothing'', 1)', '1) FROM pg_authid --', 'name || ''soon''::date', 'float8(amount)', 'nothing(1)']) AS e;
DROP SEQUENCE public.e_s;
-- Cycles are named whole, in their order.
SELECT pg_temp.findings(pg_temp.nodes('r source', 'a drop {"fields": ["x"]}', 'b drop {"fields": ["y"]}', 'c drop {"fields": ["z"]}', 'w target'), pg_temp.edges('r>w', 'c>a', 'a>b', 'b>c'));
SELECT pg_temp.findings(pg_temp.nodes('r source', 'a drop {"fields": ["x"]}', 'w target'), pg_temp.edges('r>w', 'a>a'));
-- Doubts: a comparison of texts, a field that a selected one hides.
SELECT pg_temp.findings(pg_temp.nodes('r source', 'f filter {"conditions": [{"field": "name", "operator": "<", "value": "10"}, {"field": "city", "operator": "between", "value": ["1", "5"]}, {"field": "city", "operator": "=", "value": "5"}, {"field": "id", "operator": ">", "value": "10"}]}', 'w target'));
SELECT pg_temp.findings(pg_temp.nodes('l source {"columns": ["id", "name", "city"]}', 'r source', 'j join {"on": [{"left": "id", "right": "id"}], "selectFields": ["city", {"field": "name", "alias": "people"}]}', 'w target'), pg_temp.edges('l>j', 'r>j', 'j>w'));
SELECT pg_temp.findings(pg_temp.nodes('l source {"columns": ["id", "name", "city", "people"]}', 'j lookup_join {"lookupSchema": "e_cities", "joinField": "city", "lookupField": "name", "selectFields": ["people"]}', 'w target'));

-- ---- behind a mistake others are found, where they can be known
-- A field that a node with a mistake makes is there, whatever it is; one that was taken away before is not.
SELECT pg_temp.findings(pg_temp.nodes('r source', 'd drop {"fields": ["x"]}', 'e expression {"outputField": "y", "expresion": "1"}', 'f filter {"field": "y", "operator": ">", "value": 1}',
    'g expression {"outputField": "z", "expression": "length(y) + nothing(name)"}', 'h expression {"outputField": "q", "expression": "nothing(name)"}', 'w target'));
SELECT pg_temp.findings(pg_temp.nodes('r source {"columns": ["id", "name"]}', 'f filter {"field": "id", "operator": "=="}', 'g filter {"field": "nmae", "operator": "is_null"}', 'w target'));
SELECT pg_temp.findings(pg_temp.nodes('r source {"columns": ["id", "name"]}', 'e split {"sourceField": "name"}', 'g filter {"field": "last", "operator": "is_null"}', 'w target'));
-- What uses an unknown field makes unknown fields.
SELECT pg_temp.findings(pg_temp.nodes('r source', 'a expression {"outputField": "x", "expression": "nothing(1)"}', 'b expression {"outputField": "y", "expression": "x + 1"}', 'c cast {"field": "y", "targetType": "date"}',
    'd expression {"outputField": "born", "expression": "y"}', 'e expression {"outputField": "amount", "expression": "nothing(2)"}', 'w target'));
-- Set nodes.
SELECT pg_temp.findings(pg_temp.nodes('r source', 's deduplicate {"keyFields": []}', 'e expression {"outputField": "amount", "expression": "nothing(1)"}', 'w target'));
SELECT pg_temp.findings(pg_temp.nodes('r source', 'd cast {"field": "born", "targetType": "date"}', 's aggregate {"groupByFields": ["id"], "aggregations": [{"function": "sum", "field": "born"}, {"function": "max", "field": "name", "alias": "name"}]}', 'c cast {"field": "name", "targetType": "boolean"}',
    'e expression {"outputField": "amount", "expression": "sum_born + nothing(1)"}', 'f expression {"outputField": "city", "expression": "nothing(id)"}', 'w target'));
SELECT pg_temp.findings(pg_temp.nodes('l source', 'r source', 'j join {"on": [{"left": "id", "right": "customer"}], "selectField": ["total"]}', 'f filter {"field": "total", "operator": ">", "value": 1}', 'e expression {"outputField": "city", "expression": "nothing(id)"}', 'w target'),
    pg_temp.edges('l>j', 'r>j', 'j>f', 'f>e', 'e>w'));
SELECT pg_temp.findings(pg_temp.nodes('l source', 'j join {"on": [{"left": "id", "right": "customer"}], "selectFields": ["total"]}', 'f filter {"field": "total", "operator": ">", "value": 1}', 'e expression {"outputField": "city", "expression": "nothing(id)"}', 'w target'),
    pg_temp.edges('l>j', 'j>f', 'f>e', 'e>w'));
-- Ways.
SELECT pg_temp.findings(pg_temp.nodes('r source', 'b branch {"routes": [{"label": "a", "field": "id", "operator": ">"}]}', 'x expression {"outputField": "city", "expression": "nothing(1)"}', 'y drop {"fields": ["name"]}', 'w target'),
    pg_temp.edges('r>b', 'b>x:a', 'x>w', 'b>y:otherwise', 'y>w'));
SELECT pg_temp.findings(pg_temp.nodes('r source', 'b branch {"routes": [{"label": "a", "field": "born", "operator": ">", "value": 1}]}', 'x expression {"outputField": "city", "expression": "nothing(1)"}', 'c cast {"field": "born", "targetType": "boolean"}', 'w target {"fieldMapping": {"nobody": "nothing"}}'),
    pg_temp.edges('r>b', 'b>x:a', 'x>c', 'c>w', 'b>w:otherwise'));
-- A target's own: each column, and its schema.
SELECT pg_temp.findings(pg_temp.nodes('r source', 'd drop {"fields": ["name"]}', 'c cast {"field": "id", "targetType": "date"}', 'e cast {"field": "born", "targetType": "boolean"}', 'w target'));
SELECT pg_temp.findings(pg_temp.nodes('r source', 'b branch {"routes": [{"label": "a", "field": "id", "operator": "is_null"}]}', 'w target {"schema": "e_nothing"}', 'v target {"schema": 7}'), pg_temp.edges('r>b', 'b>w:a', 'b>v:otherwise'));
-- Two cycles, edges that can't be read, nodes that can't be named.
SELECT pg_temp.findings(pg_temp.nodes('r source', 'a drop {"fields": ["x"]}', 'b drop {"fields": ["y"]}', 'c drop {"fields": ["x"]}', 'd filter {"field": "x"}', 'w target'), pg_temp.edges('r>a', 'a>b', 'b>a', 'c>d', 'd>c'));
SELECT pg_temp.findings(pg_temp.nodes('r source', 'f filter {"field": "x"}', 'w target'), '[{"source": "r", "target": "f"}, {"sourceNodeId": "f", "targetNodeId": "w"}]');
SELECT pg_temp.findings('[{"id": "r", "type": "source"}, {"type": "filter", "config": {"field": "x"}}, {"id": "e", "type": "drop", "config": []}, {"id": "w", "type": "target"}]');
SELECT pg_temp.findings('[{"id": "r", "type": "source"}, {"id": "f", "type": "cast", "config": {"field": "id", "targetType": "no"}}, {"id": "w", "type": "target"}]', NULL, '[]');

-- ---- one mistake, one node: each key of each node of a sound pipeline left out, misspelt, or given something else
CREATE TABLE pg_temp.sound AS SELECT pg_temp.nodes('people source {"resource": "people.csv", "columns": ["id", "first", "last", "place", "born", "email", "ssn", "code", "kind", "spare", "extra"]}', 'orders source {"resource": "orders.csv", "header": true}',
    'rename rename {"sourceField": "place", "targetField": "city"}', 'cast cast {"field": "id", "targetType": "integer"}', 'merge merge {"sourceFields": ["first", "last"], "separator": " ", "outputField": "name"}',
    'expression expression {"outputField": "name", "expression": "upper(name)"}', 'filter filter {"field": "id", "operator": ">", "value": 0}', 'drop drop {"fields": ["spare"]}', 'add add_field {"fieldName": "amount", "fieldType": "numeric", "defaultValue": "0"}',
    'map map_values {"field": "kind", "mappings": {"a": "b"}}', 'split split {"sourceField": "extra", "separator": "/", "outputFields": ["one", "two"]}', 'hash hash {"field": "email", "algorithm": "md5", "outputField": "digest"}',
    'mask mask_pii {"field": "ssn", "maskType": "ssn"}', 'rules validate {"rules": [{"field": "one", "rule": "not_null"}], "dataset": [{"check": "null_share", "field": "two", "max": 0.5}]}',
    'seen validate {"rules": [{"field": "id", "rule": "unique", "onFail": "skip"}]}', 'ask enrich {"connector": "e_files", "resource": "cities/{code}.csv", "outputField": "answer"}', 'store archive {"successFolder": "done"}', 'once deduplicate {"keyFields": ["id"]}', 'number cast {"field": "customer_id", "targetType": "integer"}',
    'sums aggregate {"groupByFields": ["customer_id"], "aggregations": [{"field": "total", "function": "sum", "alias": "total"}, {"field": "order_id", "function": "max", "alias": "order_id"}]}',
    'join join {"joinType": "left", "on": [{"left": "id", "right": "customer_id"}], "selectFields": ["total", "order_id"]}',
    'look lookup_join {"lookupSchema": "e_cities", "joinField": "city", "lookupField": "name", "selectFields": ["people"]}', 'rich enrich {"schema": "e_cities", "joinField": "code", "lookupField": "name", "selectFields": [{"field": "people", "alias": "others"}]}',
    'use expression {"outputField": "people", "expression": "people + others + length(one) + length(digest)"}',
    'way branch {"routes": [{"label": "big", "field": "total", "operator": ">", "value": 100}]}', 'typed cast {"field": "order_id", "targetType": "integer"}', 'sum summarize {"collectionSchemaId": "e_orders", "joinKey": "customer_id"}',
    'load target {"validation": "skip", "loadingStrategy": "append"}', 'aside target {"schema": "e_orders", "fieldMapping": {"id": "customer_id"}}') AS nodes,
    pg_temp.edges('people>rename', 'rename>cast', 'cast>merge', 'merge>expression', 'expression>filter', 'filter>drop', 'drop>add', 'add>map', 'map>split', 'split>hash', 'hash>mask', 'mask>rules', 'rules>seen', 'seen>ask', 'ask>store', 'store>once', 'once>join:left',
        'orders>number', 'number>sums', 'sums>join:right', 'join>look', 'look>rich', 'rich>use', 'use>way', 'way>typed:big', 'typed>sum', 'sum>aside', 'way>load:otherwise') AS edges;
SELECT pg_temp.findings(nodes, edges) FROM pg_temp.sound;
-- Of somebody who is no superuser: that is checked faster.
CREATE ROLE e_owner;
GRANT kaireon_admin TO e_owner;
SELECT kaireon.change_owner('schema', s, 'e_owner') FROM unnest('{e_customers,e_orders,e_cities}'::text[]) AS s;
SELECT kaireon.change_owner('connector', 'e_files', 'e_owner');
CREATE VIEW pg_temp.mistakes AS
SELECT format('%s: %s %s', n.value ->> 'id', m.what, k.key) AS mistake, n.value ->> 'id' AS node, m.what, s.edges,
       jsonb_set(s.nodes, ARRAY[(n.i - 1)::text, 'config'], (n.value -> 'config') - k.key || CASE m.what
           WHEN 'without' THEN '{}' WHEN 'misspelt' THEN jsonb_build_object(k.key || 'x', k.value) ELSE jsonb_build_object(k.key, 'no such, thing(') END) AS nodes
  FROM pg_temp.sound AS s, jsonb_array_elements(s.nodes) WITH ORDINALITY AS n (value, i), jsonb_each(n.value -> 'config') AS k,
       unnest('{without,misspelt,text}'::text[]) AS m (what)
 UNION ALL
SELECT format('%s: unknown type', n.value ->> 'id'), n.value ->> 'id', 'unknown type', s.edges, jsonb_set(s.nodes, ARRAY[(n.i - 1)::text, 'type'], '"explode"')
  FROM pg_temp.sound AS s, jsonb_array_elements(s.nodes) WITH ORDINALITY AS n (value, i)
 UNION ALL
SELECT format('%s: twice', n.value ->> 'id'), n.value ->> 'id', 'twice', s.edges, s.nodes || n.value FROM pg_temp.sound AS s, jsonb_array_elements(s.nodes) AS n
 UNION ALL
SELECT format('%s: without an id', n.value ->> 'id'), NULL, 'no id', s.edges, jsonb_set(s.nodes, ARRAY[(n.i - 1)::text], n.value - 'id') FROM pg_temp.sound AS s, jsonb_array_elements(s.nodes) WITH ORDINALITY AS n (value, i)
 UNION ALL
SELECT format('edge %s: %s', e.i, m.what), NULL, m.what, jsonb_set(s.edges, ARRAY[(e.i - 1)::text], e.value || CASE m.what WHEN 'from nowhere' THEN '{"sourceNodeId": "x"}' ELSE '{"targetNodeId": "x"}'::jsonb END), s.nodes
  FROM pg_temp.sound AS s, jsonb_array_elements(s.edges) WITH ORDINALITY AS e (value, i), unnest('{from nowhere,to nowhere}'::text[]) AS m (what);
CREATE TABLE pg_temp.found AS
SELECT m.mistake, m.node, m.what, f.* FROM pg_temp.mistakes AS m
  LEFT JOIN LATERAL kaireon_internal.check_pipeline('e_owner', (SELECT id FROM kaireon.connectors WHERE name = 'e_files'), (SELECT id FROM kaireon.schemas WHERE name = 'e_customers'),
        m.nodes, m.edges, '{}') AS f ON f.severity = 'error';
SELECT what, count(DISTINCT mistake) AS mistakes, count(DISTINCT mistake) FILTER (WHERE code IS NOT NULL) AS found FROM pg_temp.found GROUP BY what ORDER BY what COLLATE "C";
-- Mistakes with a finding of another node, or of another kind than an edge's or a node's without a name, although there is one of their own.
SELECT mistake, node_id, code, message FROM pg_temp.found AS f
 WHERE node_id IS DISTINCT FROM node AND EXISTS (SELECT FROM pg_temp.found AS o WHERE o.mistake = f.mistake AND o.node_id IS NOT DISTINCT FROM o.node AND o.code IS NOT NULL) ORDER BY mistake COLLATE "C", message COLLATE "C";
-- Keys that may be left out: what is wrong then is so.
SELECT mistake, string_agg(DISTINCT format('%s %s', node_id, code), ', ') FROM pg_temp.found AS f WHERE code IS NOT NULL
   AND NOT EXISTS (SELECT FROM pg_temp.found AS o WHERE o.mistake = f.mistake AND o.node_id IS NOT DISTINCT FROM o.node) GROUP BY mistake ORDER BY mistake COLLATE "C";

-- ---- many mistakes, of any kind: there is an answer
CREATE FUNCTION pg_temp.spoil(nodes jsonb, edges jsonb, times int, OUT new_nodes jsonb, OUT new_edges jsonb) LANGUAGE plpgsql AS $$
DECLARE
    things jsonb[] := ARRAY['7', 'null', '"id"', '"name"', '["id", "zz"]', '{"a": "b"}', '[1, {"x": 2}]', '"nothing(id)"', '[]', '{}', '"sum"', '"left"', 'true'];
    which int; node jsonb; place int; key text; edge int;
BEGIN
    new_nodes := nodes;
    new_edges := edges;
    FOR i IN 1..times LOOP
        which := floor(random() * 10);
        place := floor(random() * jsonb_array_length(new_nodes));
        edge := floor(random() * jsonb_array_length(new_edges));
        node := new_nodes -> place;
        SELECT k INTO key FROM jsonb_object_keys(node -> 'config') AS k ORDER BY random() LIMIT 1;
        CASE which
            WHEN 0 THEN new_nodes := jsonb_set(new_nodes, ARRAY[place::text, 'config'], (node -> 'config') - key);
            WHEN 1 THEN new_nodes := jsonb_set(new_nodes, ARRAY[place::text, 'type'], new_nodes -> floor(random() * jsonb_array_length(new_nodes))::int -> 'type');
            WHEN 2 THEN new_nodes := new_nodes - place;
            WHEN 3 THEN new_nodes := new_nodes || node;
            WHEN 4 THEN new_edges := new_edges - edge;
            WHEN 5 THEN new_edges := jsonb_set(new_edges, ARRAY[edge::text, 'targetNodeId'], node -> 'id');
            WHEN 6 THEN new_edges := new_edges || jsonb_build_object('sourceNodeId', node -> 'id', 'targetNodeId', new_nodes -> floor(random() * jsonb_array_length(new_nodes))::int -> 'id', 'label', 'otherwise');
            ELSE new_nodes := jsonb_set(new_nodes, ARRAY[place::text, 'config'], node -> 'config' || COALESCE(jsonb_build_object(key, things[1 + floor(random() * array_length(things, 1))]), '{}'));
        END CASE;
    END LOOP;
END
$$;
SELECT setseed(0.5);
SELECT count(*) FROM pg_temp.sound AS s, generate_series(1, 60) AS i, pg_temp.spoil(s.nodes, s.edges, 1 + i % 8) AS m,
       LATERAL (SELECT count(*) AS n FROM kaireon_internal.check_pipeline('e_owner', (SELECT id FROM kaireon.connectors WHERE name = 'e_files'), (SELECT id FROM kaireon.schemas WHERE name = 'e_customers'), m.new_nodes, m.new_edges, '{}')) AS f
 WHERE f.n >= 0;

SELECT kaireon.delete_schema('e_orders'), kaireon.delete_schema('e_customers'), kaireon.delete_schema('e_cities'), kaireon.delete_connector('e_files');
DROP ROLE e_owner;
