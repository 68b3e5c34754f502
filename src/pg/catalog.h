/*
 * catalog.h: the engine's way to the tables of kaireon_internal.
 *
 * Statements run through SPI as the extension's owner with a pinned
 * search_path, whoever the session is; catalog_begin and catalog_end bracket
 * them.  Nothing of a user's is executed in between.
 */
#ifndef KAIREON_CATALOG_H
#define KAIREON_CATALOG_H

#include "postgres.h"
#include "pg/compat.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "pg/auth.h"
#include "pg/compile.h"
#include "pg/execution_config.h"

/* A connector, in the context it was loaded in. */
struct ConnectorSpec
{
    char *type;
    Jsonb *config;
    Auth auth;
    const char *upload;      /* of type csv_upload: the file that has the text; NULL: none */
};

/* Everything a run needs to know, in the context it was loaded in. */
typedef struct PipelineSpec
{
    pg_uuid_t id;
    char *name;
    int version;
    Oid owner;
    ConnectorSpec connector; /* of source nodes that name none */
    Jsonb *nodes;
    Jsonb *edges;
    Jsonb *execution_config;
    SchemaSpec schema;       /* of target nodes that name none */
    ErrorPolicy errors;      /* what execution_config says about bad rows */
} PipelineSpec;

/* Counters of a run, as its row has them. */
typedef struct RunCounts
{
    int64 read, loaded, updated, failed, skipped, filtered, merged, bytes;
} RunCounts;

typedef struct CatalogScope { Oid user; int sec_context; int guc_level; } CatalogScope;

extern bool catalog_installed(void);            /* is the extension in this database? */
extern Oid catalog_table(const char *name);     /* OID of kaireon_internal.<name> */
extern Oid catalog_owner(void);
extern CatalogScope catalog_begin(void);        /* connects SPI */
extern void catalog_end(CatalogScope scope);

/* Runs a statement with parameters ("" for text, by type OID); expects `expect` (SPI_OK_*). For use between begin and end. */
extern uint64 catalog_execute(const char *sql, int nargs, Oid *types, Datum *values, const char *nulls, int expect);

/* Loads a pipeline's version; NULL when there is none.  version 0: the one that runs. */
extern PipelineSpec *catalog_load_pipeline(const pg_uuid_t *id, int version);
/* The pipeline of a name; false when there is none.  *fresh: it, its connector or schema was changed in this transaction. */
extern bool catalog_find_pipeline(const char *name, pg_uuid_t *id, Oid *owner, bool *fresh);
/*
 * The connector a node names.  NULL, with a finding of that node, when there is
 * none, when its type can't be read, or when it is not the current user's.
 */
extern ConnectorSpec *catalog_find_connector(const char *name, const char *node_id, List **findings);

/*
 * A schema resolved against its table; false when it is unknown or has no
 * fields.  A finding for each difference that keeps rows from being loaded;
 * with `thorough` one for every difference.
 */
extern bool catalog_load_schema(const pg_uuid_t *schema_id, bool thorough, SchemaSpec *schema, List **findings);
/*
 * The schema a node names, by its name or one it had: the one of table `own`
 * (the pipeline's) where that is it.  NULL, with a finding of that node that
 * names the part ("key \"schema\"", "rule 1"), when there is none.
 */
extern SchemaSpec *catalog_find_schema(const char *name, Oid own, bool thorough, const GraphNode *node, const char *part, List **findings);
/* The same of the summary table of a collection, with its columns for fields. */
extern SchemaSpec *catalog_find_summary(const char *name, const char *node_id, List **findings);
/* A column of a summary. */
typedef struct SummaryField
{
    char *name;
    bool is_key;             /* a join field, which the collection has under the same name */
    char *function;          /* else the function, the collection's field it is of (NULL: rows), */
    char *source;
    char *aggregate;         /* and both as SQL over the collection's table */
} SummaryField;

/* The summary of a collection. */
typedef struct SummarySpec
{
    Oid relid;               /* of its table; InvalidOid: that is gone, or there never was one */
    Oid owner;               /* of the schema */
    char *customer;          /* the schema it is linked to, or NULL */
    bool other_customer;     /* and that is not the one that was asked about */
    char *code_owner;        /* whose code reading the collection or writing the summary would call, where a superuser must not; else NULL */
    List *fields;            /* SummaryField *, keys first; NIL: no summary columns */
} SummarySpec;

/*
 * The summary of the collection of a table; `customer` names the customer
 * schema it should be linked to, or NULL.  A finding of the node for each
 * difference that keeps it from being written.
 */
extern SummarySpec *catalog_load_summary(Oid collection, const char *customer, const char *node_id, List **findings);

/* Can connectors of this type be read?  If not, *ready lists the types that can, for a hint. */
extern bool catalog_type_ready(const char *type, char **ready);
/* Can they do that besides (ability.h)?  If not, *able lists the types that can. */
extern bool catalog_type_can(const char *type, const char *ability, char **able);
/* Raises 25006 on a standby, where kaireon.<function> can't write. */
extern void catalog_require_primary(const char *function);
/* Raises 25006 in a read-only transaction, where `what` can't be executed. */
extern void catalog_require_read_write(const char *what);

/* Fills an Auth from columns n to n + 4 of SPI's first row: id, name, auth_method, auth_sealed, owner as oid. */
extern void catalog_auth(Auth *auth, int n, MemoryContext context);

/* Raises 42704 for a pipeline name that does not exist. */
pg_noreturn extern void catalog_no_pipeline(const char *name);

/* May this role act on an object of that owner (be it, be a member, be superuser)? */
extern bool catalog_may_act(Oid role, Oid owner);
/*
 * May code of that owner's run with the rights of the role: he could do what it
 * does himself, or the role trusts him as a member of his.  No superuser trusts
 * who is none.
 */
extern bool catalog_may_trust(Oid role, Oid owner);
/* Is the role an operator (kaireon_operator or kaireon_admin)? */
extern bool catalog_is_operator(Oid role);

#endif
