/*
 * target_key.c: the unique index an upsert finds rows by.  See target_key.h.
 */
#include "postgres.h"

#include "pg/target_key.h"

#include "access/genam.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/pg_am.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

#include "pg/flow.h"
#include "pg/node.h"

/* A unique index, as far as it matters here. */
typedef struct Candidate
{
    TargetKey key;
    char *name;
    bool primary;
    bool usable;             /* by ON CONFLICT */
    int rank;                /* the smaller the better; see target_key.h */
} Candidate;

/* The schema's field with that column; -1: none. */
static int
field_of(const SchemaSpec *schema, AttrNumber attnum)
{
    int i = 0;

    while (i < schema->nfields && schema->fields[i].attnum != attnum)
        i++;
    return i < schema->nfields ? i : -1;
}

/* Adds the fields that an expression reads; false when it reads anything else. */
static bool
add_fields(const SchemaSpec *schema, Node *expression, Bitmapset **fields)
{
    Bitmapset *columns = NULL;
    int column = -1;

    pull_varattnos(expression, 1, &columns);
    while ((column = bms_next_member(columns, column)) >= 0)
    {
        int field = field_of(schema, column + FirstLowInvalidHeapAttributeNumber);

        if (field < 0)
            return false;
        *fields = bms_add_member(*fields, field);
    }
    return true;
}

/* What the key is made of; false when part of it is no field of the schema. */
static bool
read_columns(const SchemaSpec *schema, Relation rel, Relation index, Candidate *found)
{
    ListCell *next = list_head(RelationGetIndexExpressions(index));
    List *expressions = RelationGetIndexExpressions(index);

    for (int i = 0; i < IndexRelationGetNumberOfKeyAttributes(index); i++)
    {
        AttrNumber attnum = index->rd_index->indkey.values[i];
        Node *expression = NULL;
        int field;

        if (attnum == 0)
        {
            expression = lfirst(next);
            next = lnext(expressions, next);
        }
        else if (TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attgenerated)
            expression = build_column_default(rel, attnum);
        if (expression)
        {
            found->rank = 2;
            if (!add_fields(schema, expression, &found->key.fields))
                return false;
            continue;
        }
        field = field_of(schema, attnum);
        if (field < 0)
            return false;
        found->key.fields = bms_add_member(found->key.fields, field);
        found->key.columns = bms_add_member(found->key.columns, attnum);
    }
    return true;
}

/* As SQL, with names that mean the same wherever it is read. */
static void
describe(TargetKey *key, Relation rel, Relation index)
{
    int level = NewGUCNestLevel();
    List *predicate = RelationGetIndexPredicate(index);

    (void) set_config_option("search_path", "pg_catalog", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
    key->expressions = pg_get_indexdef_columns(RelationGetRelid(index), false);
    if (predicate != NIL)
        key->predicate = deparse_expression((Node *) make_ands_explicit(predicate),
                                            deparse_context_for(RelationGetRelationName(rel), RelationGetRelid(rel)), false, false);
    key->arbiter = psprintf("(%s)%s%s", key->expressions, key->predicate ? " WHERE " : "", key->predicate ? key->predicate : "");
    AtEOXact_GUC(true, level);
}

static Candidate *
read_candidate(const SchemaSpec *schema, Relation rel, Relation index)
{
    Candidate *found = palloc0(sizeof(Candidate));

    found->name = pstrdup(RelationGetRelationName(index));
    found->primary = index->rd_index->indisprimary;
    found->key.index = RelationGetRelid(index);
    found->usable = read_columns(schema, rel, index, found) && index->rd_index->indimmediate && index->rd_index->indisvalid &&
                    index->rd_rel->relam == BTREE_AM_OID;
    found->rank += RelationGetIndexPredicate(index) != NIL;
    describe(&found->key, rel, index);
    return found;
}

/* The unique indexes of the table (Candidate *). */
static List *
read_candidates(const SchemaSpec *schema)
{
    Relation rel = table_open(schema->relid, AccessShareLock);
    List *found = NIL;
    ListCell *lc;

    foreach(lc, RelationGetIndexList(rel))
    {
        Relation index = index_open(lfirst_oid(lc), AccessShareLock);

        if (index->rd_index->indisunique)
            found = lappend(found, read_candidate(schema, rel, index));
        index_close(index, NoLock);
    }
    table_close(rel, NoLock);
    return found;
}

/* For a hint: what keyFields could be, or why nothing. */
static char *
list_keys(const SchemaSpec *schema, List *candidates)
{
    StringInfoData out;
    ListCell *lc;

    initStringInfo(&out);
    foreach(lc, candidates)
    {
        const Candidate *candidate = lfirst(lc);

        if (candidate->usable)
            appendStringInfo(&out, "%s %s", out.len ? "," : "Unique keys there are:", candidate->key.arbiter);
    }
    if (out.len == 0)
        appendStringInfo(&out, "No unique key of the table is over fields of the schema; make one with ALTER TABLE %s ADD UNIQUE or CREATE UNIQUE INDEX", sql_table(schema->relid));
    appendStringInfoChar(&out, '.');
    return out.data;
}

int
target_key_field(const SchemaSpec *schema, const char *name)
{
    int i = 0;

    while (i < schema->nfields && strcmp(schema->fields[i].name, name) != 0)
        i++;
    return i < schema->nfields ? i : -1;
}

char *
target_key_fields(const SchemaSpec *schema)
{
    StringInfoData out;

    initStringInfo(&out);
    for (int i = 0; i < schema->nfields; i++)
        appendStringInfo(&out, "%s%s", i ? ", " : "", schema->fields[i].name);
    return out.data;
}

/* The fields of these names; false, with complaints, when one is unknown or named twice. */
static bool
find_fields(const SchemaSpec *schema, List *names, const GraphNode *node, List **findings, Bitmapset **fields)
{
    bool all = true;
    ListCell *lc;

    foreach(lc, names)
    {
        int i = target_key_field(schema, lfirst(lc));

        if (i < 0)
            graph_complain(findings, node->id, "missing_column", psprintf("Fields of the schema: %s.", target_key_fields(schema)),
                           "keyFields names \"%s\", which is no field of the schema", (char *) lfirst(lc));
        else if (bms_is_member(i, *fields))
            graph_complain(findings, node->id, "wrong_value", "Name each field once.", "keyFields names \"%s\" twice", (char *) lfirst(lc));
        else
        {
            *fields = bms_add_member(*fields, i);
            continue;
        }
        all = false;
    }
    return all;
}

/* "a, b" */
static char *
list_names(List *names)
{
    StringInfoData out;

    initStringInfo(&out);
    node_describe_list(&out, names);
    return out.data;
}

/* The best candidate over just these fields (NULL: the primary key). */
static Candidate *
choose(List *candidates, const Bitmapset *fields, const SchemaSpec *schema, const GraphNode *node, List **findings)
{
    Candidate *best = NULL, *other = NULL;
    ListCell *lc;

    foreach(lc, candidates)
    {
        Candidate *candidate = lfirst(lc);

        if (!candidate->usable || (fields ? !bms_equal(candidate->key.fields, fields) : !candidate->primary))
            continue;
        if (best == NULL || candidate->rank < best->rank)
        {
            best = candidate;
            other = NULL;
        }
        else if (candidate->rank == best->rank)
            other = candidate;
    }
    /* two over the same fields as they are say the same */
    if (other && best->rank > 0)
        graph_complain(findings, node->id, "ambiguous_key", "An upsert finds rows by one of them; drop the other, or make a key of the fields as they are.",
                       "table \"%s\" has more than one unique key of these fields: \"%s\" and \"%s\"", get_rel_name(schema->relid), best->name, other->name);
    return best;
}

TargetKey *
target_key_find(const SchemaSpec *schema, List *names, const GraphNode *node, List **findings)
{
    List *candidates = read_candidates(schema);
    Bitmapset *fields = NULL;
    Candidate *found;

    if (names != NIL && !find_fields(schema, names, node, findings, &fields))
        return NULL;
    found = choose(candidates, fields, schema, node, findings);
    if (found)
        return &found->key;
    if (names != NIL)
        graph_complain(findings, node->id, "missing_key", list_keys(schema, candidates),
                       "table \"%s\" has no unique key of just these fields: %s", get_rel_name(schema->relid), list_names(names));
    else
        graph_complain(findings, node->id, "missing_key", psprintf("Name the fields of another key in keyFields. %s", list_keys(schema, candidates)),
                       "the schema has no primary key that rows could be found by");
    return NULL;
}
