-- Drawings of large pipelines for a terminal: chains straight, texts in as many
-- lines as it takes to stay on a page, ways side by side.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kaireon;
RESET client_min_messages;
\pset format unaligned
\pset tuples_only on
SET client_encoding = 'UTF8';
\getenv abs_srcdir PG_ABS_SRCDIR
\set include :abs_srcdir '/sql/include/graph.psql'
\i :include

SELECT kaireon.create_connector('d_files', 'local_fs') IS NOT NULL;
SELECT kaireon.create_schema('d_customers', '[{"name": "id", "dataType": "integer", "isPrimaryKey": true}, {"name": "name"}, {"name": "city"}, {"name": "total", "dataType": "numeric"}]') IS NOT NULL;
SELECT kaireon.create_schema('d_suspects', '[{"name": "id", "dataType": "integer", "isPrimaryKey": true}, {"name": "reason"}]') IS NOT NULL;
SELECT kaireon.create_schema('d_cities', '[{"name": "name", "isPrimaryKey": true}, {"name": "people", "dataType": "integer"}]') IS NOT NULL;

-- 20 nodes: two sources, a join, a branch, two targets.
SELECT kaireon.create_pipeline('d_twenty', 'd_files', 'd_customers', pg_temp.nodes('people source {"resource": "people/*.csv"}', 'orders source {"resource": "orders.csv"}', 'names rename {"sourceField": "full_name", "targetField": "name"}',
    'mail filter {"field": "email", "operator": "contains", "value": "@"}', 'ssn mask_pii {"field": "ssn", "maskType": "ssn"}', 'once deduplicate {"keyFields": ["id"]}', 'paid filter {"field": "status", "operator": "in", "value": ["paid", "shipped"]}',
    'amount cast {"field": "amount", "targetType": "numeric"}', 'sums aggregate {"groupByFields": ["customer"], "aggregations": [{"field": "amount", "function": "sum", "alias": "total"}, {"function": "count", "alias": "n"}]}',
    'both join {"joinType": "left", "on": [{"left": "id", "right": "customer"}], "selectFields": ["total", "n"]}', 'size lookup_join {"lookupSchema": "d_cities", "joinField": "city", "lookupField": "name", "selectFields": ["people"]}',
    'class branch {"routes": [{"label": "big", "field": "total", "operator": ">=", "value": 1000}, {"label": "odd", "field": "total", "operator": "<", "value": 0}]}', 'vip add_field {"fieldName": "class", "fieldType": "text", "defaultValue": "vip"}',
    'regular add_field {"fieldName": "class", "fieldType": "text", "defaultValue": "regular"}', 'why expression {"outputField": "reason", "expression": "''total '' || total"}', 'flag drop {"fields": ["name", "email"]}',
    'upper expression {"outputField": "name", "expression": "upper(name)"}', 'valid validate {"rules": [{"field": "name", "rule": "not_null", "onFail": "skip"}, {"field": "id", "rule": "gt:0"}]}', 'load target {"validation": "skip"}', 'aside target {"schema": "d_suspects"}'),
    pg_temp.edges('people>names', 'names>mail', 'mail>ssn', 'ssn>once', 'once>both:left', 'orders>paid', 'paid>amount', 'amount>sums', 'sums>both:right', 'both>size', 'size>class', 'class>vip:big', 'class>why:odd', 'class>regular:otherwise',
        'vip>upper', 'upper>load', 'regular>valid', 'valid>load', 'why>flag', 'flag>aside')) IS NOT NULL;
SELECT kaireon.pipeline_diagram('d_twenty');

-- Six ways: boxes as narrow as the page wants, and only those.
SELECT kaireon.create_pipeline('d_wide', 'd_files', 'd_customers', pg_temp.nodes('people source {"resource": "people/*.csv"}', 'orders source {"resource": "orders.csv"}', 'both join {"joinType": "left", "on": [{"left": "id", "right": "customer"}], "selectFields": ["total", "n"]}',
    'class branch {"routes": [{"label": "a", "field": "total", "operator": ">=", "value": 1000}, {"label": "b", "field": "total", "operator": "<", "value": 0}, {"label": "c", "field": "total", "operator": "<", "value": 10}, {"label": "d", "field": "total", "operator": "<", "value": 100},
        {"label": "e", "field": "city", "operator": "in", "value": ["Rome", "Oslo", "Paris"]}]}', 'good expression {"outputField": "class", "expression": "CASE WHEN length(total) > 3 THEN ''good'' ELSE ''bad'' END || upper(city)"}',
    'short expression {"outputField": "class", "expression": "upper(city) || lower(name)"}', 'whole merge {"sourceFields": ["name", "city"], "separator": " ", "outputField": "class"}', 'town map_values {"field": "city", "mappings": {"Rome": "Roma"}}',
    'parts split {"sourceField": "name", "separator": " ", "outputFields": ["first", "last"]}', 'secret hash {"field": "email"}', 'n filter {"field": "name", "operator": "starts_with", "value": "N"}', 'typed cast {"field": "people", "targetType": "integer"}',
    'bare drop {"fields": ["email"]}', 'rules validate {"rules": [{"field": "name", "rule": "not_null", "onFail": "skip"}, {"field": "id", "rule": "gt:0"}]}', 'turned merge {"sourceFields": ["last", "first"], "separator": ", ", "outputField": "name"}',
    'once deduplicate {"keyFields": ["id"]}', 'why expression {"outputField": "reason", "expression": "''total '' || total"}', 'load target {"validation": "skip"}', 'aside target {"schema": "d_suspects"}', 'again target'),
    pg_temp.edges('people>both', 'orders>both', 'both>class', 'class>good:a', 'class>short:b', 'class>whole:c', 'class>town:d', 'class>parts:e', 'class>secret:otherwise', 'good>n', 'short>typed', 'whole>bare', 'town>rules', 'parts>turned', 'n>load', 'typed>load',
        'bare>once', 'once>load', 'rules>why', 'why>aside', 'turned>aside', 'secret>again')) IS NOT NULL;
SELECT kaireon.pipeline_diagram('d_wide');

-- Long texts: broken between words, behind signs, within words; characters of two columns and of none.
SELECT kaireon.create_pipeline('d_long', 'd_files', 'd_customers', pg_temp.nodes('read source {"resource": "a/folder/with/a/path/that/is/longer/than/a/line/of/a/box/in/a/drawing/*.csv"}',
    'many expression {"outputField": "name", "expression": "concat(''the first part of it'', name, ''the second part of it'', name, ''the third part of it'', name, ''the fourth part of it'', name, ''the fifth part of it'', name, ''the sixth'', name, ''the last of all'')"}',
    'word filter {"field": "name", "operator": "=", "value": "Donaudampfschifffahrtsgesellschaftskapitaenswitwenrentenauszahlungsstelle"}', 'wide filter {"field": "city", "operator": "in", "value": ["東京都千代田区丸の内一丁目", "大阪府大阪市北区梅田三丁目", "Åre", "Québec"]}', 'load target')) IS NOT NULL;
SELECT kaireon.pipeline_diagram('d_long');
SET client_encoding = 'LATIN1';
SELECT kaireon.update_pipeline('d_long', nodes => pg_temp.nodes('read source', 'big filter {"field": "total", "operator": "in", "value": [1000000000, 2000000000, 3000000000, 4000000000, 5000000000]}', 'load target'), edges => '[]');
SELECT kaireon.pipeline_diagram('d_long');
SET client_encoding = 'UTF8';

SELECT kaireon.delete_pipeline('d_twenty'), kaireon.delete_pipeline('d_wide'), kaireon.delete_pipeline('d_long'), kaireon.delete_schema('d_customers'), kaireon.delete_schema('d_suspects'), kaireon.delete_schema('d_cities'), kaireon.delete_connector('d_files');
