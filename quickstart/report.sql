-- What came of the quickstart's run: the run, some rows, the rejects, the
-- pipeline with its row counts.  psql variable "run": the run's id.

\echo SELECT * FROM kaireon.runs;
\x on
SELECT * FROM kaireon.runs WHERE run_id = :'run';
\x off

\echo SELECT customer_id, email, name, balance, ssn, tier, signup_date, last_seen FROM ds_customers LIMIT 5;
SELECT customer_id, email, name, balance, ssn, tier, signup_date, last_seen
  FROM public.ds_customers ORDER BY customer_id LIMIT 5;

\echo SELECT line, field, sqlstate, reason, value FROM kaireon.run_errors LIMIT 10;
SELECT line, field, sqlstate, reason, left(value, 40) AS value
  FROM kaireon.run_errors WHERE run_id = :'run' ORDER BY line LIMIT 10;
SELECT count(*) AS rejects FROM kaireon.run_errors WHERE run_id = :'run';

\echo 'SELECT kaireon.pipeline_diagram(''load_customers'');'
\pset tuples_only on
\pset format unaligned
SELECT kaireon.pipeline_diagram('load_customers');
\echo
