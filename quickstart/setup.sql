-- The worked example: a folder of CSV files, a table for customers, and the
-- pipeline between them.  The quickstart runs it each time: what is there stays.
-- psql variable "folder": the connector's folder, below kaireon.local_fs_roots.

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_cron;
CREATE EXTENSION IF NOT EXISTS kaireon;

-- Where the data comes from.
SELECT kaireon.create_connector(
    name          => 'files',
    type          => 'local_fs',
    config        => jsonb_build_object('basePath', :'folder'),
    description   => 'the quickstart''s folder',
    if_not_exists => true) \g /dev/null

-- Where it goes: this creates table ds_customers.
SELECT kaireon.create_schema(
    name   => 'customers',
    fields => '[
        {"name": "customer_id", "dataType": "varchar", "length": 20, "isPrimaryKey": true},
        {"name": "email",       "dataType": "varchar", "length": 255},
        {"name": "name",        "dataType": "varchar", "length": 100},
        {"name": "balance",     "dataType": "numeric", "precision": 12, "scale": 2},
        {"name": "ssn",         "dataType": "varchar", "length": 11},
        {"name": "tier",        "dataType": "varchar", "length": 20},
        {"name": "signup_date", "dataType": "date"},
        {"name": "last_seen",   "dataType": "timestamptz"},
        {"name": "active",      "dataType": "boolean"},
        {"name": "address",     "dataType": "text"}
    ]',
    if_not_exists => true) \g /dev/null

-- How: read, keep who has money, rename, mask, append.  Without edges the nodes
-- form a chain.
SELECT kaireon.create_pipeline(
    name      => 'load_customers',
    connector => 'files',
    schema    => 'customers',
    nodes     => '[
        {"id": "read",  "type": "source",   "label": "customer files",
         "config": {"resource": "customers/*.csv", "format": "csv", "header": true}},
        {"id": "money", "type": "filter",   "label": "customers with money",
         "config": {"field": "balance", "operator": ">", "value": 0}},
        {"id": "email", "type": "rename",   "label": "the schema''s name",
         "config": {"sourceField": "email_address", "targetField": "email"}},
        {"id": "mask",  "type": "mask_pii", "label": "keep four digits",
         "config": {"field": "ssn", "maskType": "ssn"}},
        {"id": "load",  "type": "target",   "label": "customers",
         "config": {"loadingStrategy": "append", "validation": "skip"}}
    ]',
    execution_config => '{"batchSize": 10000, "errorHandling": "skip"}',
    if_not_exists => true) \g /dev/null
