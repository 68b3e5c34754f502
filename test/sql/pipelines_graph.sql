-- Pipelines that are no chain: what is wrong with their shape, what they compile to.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kaireon;
RESET client_min_messages;
\pset format unaligned
\pset tuples_only on
SET client_encoding = 'UTF8';

SELECT kaireon.create_connector('g_files', 'local_fs') IS NOT NULL;
SELECT kaireon.create_schema('g_one', '[{"name": "id", "dataType": "integer", "isPrimaryKey": true}, {"name": "name", "length": 20}, {"name": "amount", "dataType": "numeric", "precision": 10, "scale": 2}]') IS NOT NULL;
SELECT kaireon.create_schema('g_two', '[{"name": "id", "dataType": "integer", "isPrimaryKey": true}, {"name": "amount"}]') IS NOT NULL;
SET test.connector = 'g_files';
SET test.schema = 'g_one';
\getenv abs_srcdir PG_ABS_SRCDIR
\set include :abs_srcdir '/sql/include/findings.psql'
\i :include
\set include :abs_srcdir '/sql/include/graph.psql'
\i :include

-- ---- branches
SELECT pg_temp.findings(pg_temp.nodes('r source', 'b branch {"routes": [{"label": "big", "field": "amount", "operator": ">", "value": 10}]}', 'w target', 'v target {"schema": "g_two"}'),
    pg_temp.edges('r>b', 'b>w:big', 'b>v:otherwise'));
SELECT pg_temp.findings(pg_temp.nodes('r source', 'b branch', 'w target'), pg_temp.edges('r>b', 'b>w'));
SELECT pg_temp.findings(pg_temp.nodes('r source', 'b branch {"routes": []}', 'w target'), pg_temp.edges('r>b', 'b>w'));
SELECT pg_temp.findings(pg_temp.nodes('r source', 'b branch {"routes": [1, {"label": ""}, {"label": "otherwise"}, {"label": "x", "field": "a", "operator": "="}, {"label": "x", "feild": "a"}]}', 'w target'),
    pg_temp.edges('r>b', 'b>w:x'));
SELECT pg_temp.findings(pg_temp.nodes('r source', 'b branch {"routes": [{"label": "a", "field": "name", "operator": "is_null"}, {"label": "b", "field": "id", "operator": "is_null"}]}', 'w target', 'v target'),
    pg_temp.edges('r>b', 'b>w:a', 'b>v:c', 'b>w:a', 'b>w'));
SELECT pg_temp.findings(pg_temp.nodes('r source', 'b branch {"routes": [{"label": "a", "field": "name", "operator": "is_null"}]}', 'w target'), pg_temp.edges('r>b'));
SELECT pg_temp.findings(pg_temp.nodes('r source', 'b branch {"routes": [{"label": "a", "field": "amount", "operator": ">", "value": "much"}]}', 'w target'), pg_temp.edges('r>b', 'b>w:a'));
-- A field that is made or taken away on one way is not on the other.
SELECT pg_temp.findings(pg_temp.nodes('r source', 'b branch {"routes": [{"label": "a", "field": "x", "operator": "is_null"}]}', 'd drop {"fields": ["x"]}',
    'f filter {"field": "x", "operator": "is_null"}', 'm add_field {"fieldName": "y", "fieldType": "text"}', 'g filter {"field": "y", "operator": "is_null"}', 'w target'),
    pg_temp.edges('r>b', 'b>d:a', 'd>f', 'f>w', 'b>m:otherwise', 'm>g', 'g>w'));
SELECT pg_temp.findings(pg_temp.nodes('r source {"columns": ["id", "name"]}', 'b branch {"routes": [{"label": "a", "field": "name", "operator": "is_null"}]}',
    'm add_field {"fieldName": "amount", "fieldType": "numeric"}', 'w target', 'v target {"schema": "g_two", "fieldMapping": {"amount": "amount"}}'), pg_temp.edges('r>b', 'b>m:a', 'm>w', 'b>v:otherwise'));

-- ---- several targets: each one's findings
SELECT pg_temp.findings(pg_temp.nodes('r source', 'b branch {"routes": [{"label": "a", "field": "name", "operator": "is_null"}]}', 'd drop {"fields": ["id"]}', 'w target {"validation": "no"}', 'v target {"schema": "g_none"}', 'u target'),
    pg_temp.edges('r>b', 'b>d:a', 'd>u', 'b>v:otherwise')) LIMIT 3;
SELECT pg_temp.findings(pg_temp.nodes('r source', 'b branch {"routes": [{"label": "a", "field": "name", "operator": "is_null"}]}', 'd drop {"fields": ["id"]}', 'v target {"schema": "g_none"}', 'u target'),
    pg_temp.edges('r>b', 'b>d:a', 'd>u', 'b>v:otherwise'));

-- ---- what it compiles to
SELECT kaireon.create_pipeline('g_ways', 'g_files', 'g_one', pg_temp.nodes('read source {"resource": "in.csv"}', 'known filter {"field": "name", "operator": "is_not_null"}',
    'size branch {"routes": [{"label": "big", "field": "amount", "operator": ">=", "value": 1000}, {"label": "odd", "match": "any", "conditions": [{"field": "amount", "operator": "<", "value": 0}, {"field": "name", "operator": "like", "value": "?%"}]}]}',
    'tag add_field {"fieldName": "tag", "fieldType": "text", "expression": "upper(name)"}', 'strange drop {"fields": ["amount"]}', 'load target {"validation": "skip"}', 'aside target {"schema": "g_two"}'),
    pg_temp.edges('read>known', 'known>size', 'size>load:otherwise', 'size>strange:odd', 'strange>aside', 'size>tag:big', 'tag>load')) IS NOT NULL;
SELECT kaireon.explain_pipeline('g_ways');
SELECT kaireon.pipeline_diagram('g_ways');

-- ---- set nodes: their keys
SELECT pg_temp.findings(pg_temp.nodes('r source', 's deduplicate {"keyFields": ["name", "id"]}', 'w target'));
SELECT pg_temp.findings(pg_temp.nodes('r source', 's deduplicate', 'w target')) LIMIT 1;
SELECT pg_temp.findings(pg_temp.nodes('r source', 's deduplicate {"keyFields": []}', 'w target'));
SELECT pg_temp.findings(pg_temp.nodes('r source', 'd drop {"fields": ["name"]}', 's deduplicate {"keyFields": ["name"]}', 'w target'));
SELECT pg_temp.findings(pg_temp.nodes('r source {"columns": ["id"]}', 's deduplicate {"keyFields": ["nmae"]}', 'w target'));
SELECT pg_temp.findings(pg_temp.nodes('r source', 'd drop {"fields": ["name"]}', 's deduplicate {"keyFields": ["id"]}', 'f filter {"field": "name", "operator": "is_null"}', 'w target'));
SELECT pg_temp.findings(pg_temp.nodes('r source', 's aggregate', 'w target')) LIMIT 1;
SELECT pg_temp.findings(pg_temp.nodes('r source', 's aggregate {"groupByFields": ["id"], "aggregations": []}', 'w target'));
SELECT pg_temp.findings(pg_temp.nodes('r source', 's aggregate {"groupByFields": ["id"], "aggregations": [1, {"field": "a"}, {"function": "median", "field": "a"}, {"function": "sum"}, {"function": "max", "field": "*"}, {"function": "count", "alias": "n", "distinct": true}]}', 'w target'));
SELECT pg_temp.findings(pg_temp.nodes('r source', 's aggregate {"groupByFields": ["id", "id"], "aggregations": [{"function": "count", "alias": "id"}, {"function": "sum", "field": "amount", "alias": "amount"}]}', 'w target'));
SELECT pg_temp.findings(pg_temp.nodes('r source', 's aggregate {"groupByFields": ["name"], "aggregations": [{"function": "count", "alias": "amount"}]}', 'w target'));
SELECT pg_temp.findings(pg_temp.nodes('r source', 's aggregate {"groupByFields": ["id"], "aggregations": [{"function": "count"}]}', 'f filter {"field": "name", "operator": "is_null"}', 'w target'));
SELECT pg_temp.findings(pg_temp.nodes('r source', 'c cast {"field": "flag", "targetType": "boolean"}', 's aggregate {"groupByFields": ["id"], "aggregations": [{"function": "max", "field": "flag"}]}', 'w target')) LIMIT 1;
SELECT pg_temp.findings(pg_temp.nodes('r source', 'c cast {"field": "day", "targetType": "date"}', 's aggregate {"groupByFields": ["id"], "aggregations": [{"function": "sum", "field": "day"}]}', 'w target')) LIMIT 1;
SELECT pg_temp.findings(pg_temp.nodes('r source', 's deduplicate {"keyFields": ["id"]}', 'w target', 'v target'), pg_temp.edges('r>s', 's>w', 's>v'));

-- ---- set nodes: what they compile to; only what is used goes in, and names of fields are free
SELECT kaireon.create_pipeline('g_sets', 'g_files', 'g_one', pg_temp.nodes('read source {"resource": "in.csv"}', 'positive filter {"field": "amount", "operator": ">", "value": 0}',
    'first deduplicate {"keyFields": ["email", "#ordinal"]}', 'day expression {"outputField": "day", "expression": "left(seen, 10)"}',
    'sums aggregate {"groupByFields": ["id", "day"], "aggregations": [{"field": "*", "function": "count", "alias": "n"}, {"field": "amount", "function": "sum", "alias": "amount"}, {"field": "weight", "function": "avg"}]}',
    'few filter {"field": "n", "operator": "<", "value": 10}', 'name merge {"sourceFields": ["day", "avg_weight"], "separator": " ", "outputField": "name"}', 'load target')) IS NOT NULL;
SELECT kaireon.explain_pipeline('g_sets');
SELECT kaireon.pipeline_diagram('g_sets');

-- ---- a chain of ten row transforms is one stage
SELECT kaireon.create_pipeline('g_chain', 'g_files', 'g_one', pg_temp.nodes('read source {"resource": "in.csv"}', 'a rename {"sourceField": "x", "targetField": "name"}', 'b cast {"field": "amount", "targetType": "numeric"}',
    'c filter {"field": "amount", "operator": ">", "value": 0}', 'd expression {"outputField": "name", "expression": "upper(name)"}', 'e split {"sourceField": "y", "separator": "-", "outputFields": ["y1", "y2"]}',
    'f merge {"sourceFields": ["y2", "name"], "separator": " ", "outputField": "name"}', 'g hash {"field": "y1", "algorithm": "md5", "outputField": "h"}', 'h map_values {"field": "h", "mappings": {"a": "b"}}',
    'i mask_pii {"field": "ssn", "maskType": "ssn"}', 'j add_field {"fieldName": "k", "fieldType": "integer", "defaultValue": 1}', 'load target')) IS NOT NULL;
SELECT line FROM kaireon.explain_pipeline('g_chain') AS line WHERE line ~ 'Stage|Scan|Subquery';

-- ---- joins
SELECT pg_temp.findings(pg_temp.nodes('l source', 'r source', 'j join {"on": [{"left": "id", "right": "id"}], "selectFields": ["name", {"field": "amount", "alias": "amount"}]}', 'w target'), pg_temp.edges('l>j', 'r>j', 'j>w'));
SELECT pg_temp.findings(pg_temp.nodes('l source', 'j join {"on": [{"left": "id", "right": "id"}]}', 'w target'), pg_temp.edges('l>j', 'j>w'));
SELECT pg_temp.findings(pg_temp.nodes('l source', 'r source', 'j join {"joinType": "cross", "on": [1, {"left": "id"}], "selectFields": [2, {"feild": "a"}]}', 'w target'), pg_temp.edges('l>j:left', 'r>j:left', 'j>w'));
SELECT pg_temp.findings(pg_temp.nodes('l source', 'r source', 'j join {"on": []}', 'w target'), pg_temp.edges('l>j:left', 'r>j:left', 'j>w'));
SELECT pg_temp.findings(pg_temp.nodes('l source', 'r source', 'd drop {"fields": ["id"]}', 'j join {"on": [{"left": "id", "right": "id"}], "selectFields": ["id", "x", "x"]}', 'w target'), pg_temp.edges('l>j', 'r>d', 'd>j', 'j>w'));
SELECT pg_temp.findings(pg_temp.nodes('l source', 'r source', 'c cast {"field": "id", "targetType": "date"}', 'd cast {"field": "id", "targetType": "boolean"}', 'j join {"on": [{"left": "id", "right": "id"}]}', 'w target'), pg_temp.edges('l>c', 'c>j', 'r>d', 'd>j', 'j>w'));
SELECT pg_temp.findings(pg_temp.nodes('l source', 'r source', 'j join {"on": [{"left": "id", "right": "id"}], "selectFields": ["name"]}', 'f filter {"field": "name", "operator": "is_null"}', 'd drop {"fields": ["name"]}', 'g filter {"field": "name", "operator": "is_null"}', 'w target'),
    pg_temp.edges('l>j', 'r>j', 'j>f', 'f>d', 'd>g', 'g>w'));
-- A source that nothing is asked of but its rows.
SELECT pg_temp.findings(pg_temp.nodes('l source {"connector": "g_none"}', 'r source {"connector": "g_files"}', 'w target'), pg_temp.edges('l>w', 'r>w'));
-- Tables.
SELECT pg_temp.findings(pg_temp.nodes('r source', 'k lookup_join {"lookupSchema": "g_two", "joinField": "name", "lookupField": "id", "selectFields": ["amount"]}', 'w target'));
SELECT pg_temp.findings(pg_temp.nodes('r source', 'k lookup_join {"lookupSchema": "g_two", "joinField": "name", "lookupField": "amount", "selectFields": [{"field": "id", "alias": "other"}]}', 'w target'));
SELECT pg_temp.findings(pg_temp.nodes('r source', 'k lookup_join {"lookupSchema": "g_none", "joinField": "name", "lookupField": "id", "selectFields": ["amount"]}', 'w target'));
SELECT pg_temp.findings(pg_temp.nodes('r source', 'k lookup_join {"lookupSchema": "g_two", "joinField": "name", "lookupField": "key", "selectFields": ["amount", "price"]}', 'w target'));
SELECT pg_temp.findings(pg_temp.nodes('r source', 'k lookup_join {"lookupSchema": "g_two", "joinField": "name"}', 'w target')) LIMIT 1;
SELECT pg_temp.findings(pg_temp.nodes('r source', 'f filter {"field": "amount", "operator": ">", "value": 1}', 'k lookup_join {"lookupSchema": "g_two", "joinField": "name", "lookupField": "id", "selectFields": ["amount"]}', 'w target'));
SELECT pg_temp.findings(pg_temp.nodes('r source', 'k enrich {"joinField": "name", "lookupField": "id", "selectFields": ["amount"]}', 'w target'));
SELECT pg_temp.findings(pg_temp.nodes('r source', 'k enrich {"schema": "g_two", "summary": "g_two", "joinField": "name", "lookupField": "id", "selectFields": ["amount"]}', 'w target'));
SELECT pg_temp.findings(pg_temp.nodes('r source', 'k enrich {"summary": "g_two", "joinField": "name", "lookupField": "id", "selectFields": ["amount"]}', 'w target'));
SELECT pg_temp.findings(pg_temp.nodes('r source', 'a archive {}', 'b archive {"successFolder": "/etc", "failureFolder": "{YYYY}/../x{Q}", "stagingFolder": "s"}', 'w target'));
SELECT pg_temp.findings(pg_temp.nodes('r source', 'a archive {"successFolder": "/etc", "failureFolder": "{YYYY}/../x{Q}"}', 'b archive {"successFolder": "done/{YYYYMMDD}", "failureFolder": ".failed"}', 'w target'));
SELECT pg_temp.findings(pg_temp.nodes('r source {"rowLimit": 10}', 'a archive {"successFolder": "done"}', 'w target'));
SELECT pg_temp.findings(pg_temp.nodes('r source {"resource": "in/new/*.csv"}', 'a archive {"successFolder": "in/{YYYY}"}', 'w target'));
SELECT pg_temp.findings(pg_temp.nodes('r source {"resource": "in"}', 'a archive {"failureFolder": "in/"}', 'w target'));
SELECT pg_temp.findings(pg_temp.nodes('r source', 'a archive {"failureFolder": "bad//x\ny"}', 'w target'));
SELECT pg_temp.findings(pg_temp.nodes('r source {"resource": "in/*.csv"}', 'a archive {"successFolder": "in/done", "failureFolder": "in/bad/"}', 'w target'));
-- What they compile to.
SELECT kaireon.create_pipeline('g_join', 'g_files', 'g_one', pg_temp.nodes('orders source {"resource": "orders.csv"}', 'customers source {"resource": "customers.csv"}', 'typed cast {"field": "key", "targetType": "bigint"}',
    'both join {"joinType": "full", "on": [{"left": "customer", "right": "key"}], "selectFields": ["name", {"field": "amount", "alias": "credit"}]}',
    'price lookup_join {"lookupSchema": "g_two", "joinField": "customer", "lookupField": "id", "selectFields": [{"field": "amount", "alias": "price"}]}', 'load target {"fieldMapping": {"customer": "id", "price": "amount"}}'),
    pg_temp.edges('orders>both:left', 'customers>typed', 'typed>both:right', 'both>price', 'price>load')) IS NOT NULL;
SELECT kaireon.explain_pipeline('g_join');
SELECT kaireon.pipeline_diagram('g_join');
-- A key that several rows have is a warning, which keeps nothing from being saved.
SELECT kaireon.update_pipeline('g_join', nodes => pg_temp.nodes('read source', 'look enrich {"schema": "g_two", "joinField": "name", "lookupField": "amount", "selectFields": [{"field": "id", "alias": "other"}]}', 'load target'), edges => '[]');
SELECT * FROM kaireon.validate_pipeline('g_join');

SELECT kaireon.delete_pipeline('g_sets'), kaireon.delete_pipeline('g_chain'), kaireon.delete_pipeline('g_join');
SELECT kaireon.delete_pipeline('g_ways'), kaireon.delete_schema('g_one'), kaireon.delete_schema('g_two'), kaireon.delete_connector('g_files');
