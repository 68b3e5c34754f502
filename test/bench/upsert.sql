-- The tables of cases merge and upsert, and the file they load: of every eighth
-- row a changed one, and as many new ones, in no order.  psql variables
-- "folder", "rows".
SET client_min_messages = warning;
\set bench :folder '/bench.csv'
\set news :folder '/news.csv'
CREATE TABLE keyed (LIKE public.ds_bench);
COPY keyed FROM :'bench' CSV HEADER;
COPY (SELECT customer_id, email_address, name, ssn, tier, balance, signup_date, last_seen, note, active
        FROM (SELECT customer_id, email_address, name, ssn, tier, balance + 1 AS balance, signup_date, last_seen, note || ' changed' AS note, active
                FROM keyed WHERE customer_id % 8 = 0
               UNION ALL
              SELECT customer_id + :rows, email_address, name, ssn, tier, balance, signup_date, last_seen, note, active
                FROM keyed WHERE customer_id % 8 = 1) AS n
       ORDER BY md5(customer_id::text)) TO :'news' CSV HEADER;
CREATE TABLE merged (LIKE keyed);
ALTER TABLE merged ADD PRIMARY KEY (customer_id);
CREATE TABLE public.ds_bench_upsert (LIKE merged INCLUDING INDEXES);
SELECT kaireon.adopt_table('bench_upsert', 'ds_bench_upsert') \g /dev/null
SELECT kaireon.create_pipeline(name => 'bench_upsert', connector => 'bench', schema => 'bench_upsert', nodes => '[
    {"id": "read", "type": "source", "config": {"resource": "news.csv", "format": "csv", "header": true}},
    {"id": "load", "type": "target", "config": {"loadingStrategy": "upsert", "validation": "skip"}}]',
    execution_config => '{"errorHandling": "skip"}') \g /dev/null
