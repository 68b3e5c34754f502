/*
 * compile.c: from a graph to SQL.  See compile.h.
 *
 * Two walks over the nodes, both in topological order.  The first is symbolic:
 * it follows each field from the source through renames and casts to the
 * target, and so finds which fields the source must deliver and what type each
 * has.  The second writes the SQL.  Between nodes flows a list of FlowColumn.
 *
 * A source's fields are not known before it is read, so a name that no node
 * has made or taken away is a source field.
 */
#include "postgres.h"

#include "pg/compile.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "parser/analyze.h"
#include "parser/parse_coerce.h"
#include "parser/parser.h"
#include "access/xact.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

#include "pg/compat.h"
#include "pg/exprcheck.h"
#include "pg/json.h"

/* A field between two nodes. */
typedef struct FlowColumn
{
    char *name;
    int source;              /* the SourceColumn it is, unchanged; -1 when a node made it */
    Oid type;                /* of what a node made; a source column's type is in its row */
} FlowColumn;

/* What became of a name: so that a later use can be told. */
typedef struct GoneName { char *name; const GraphNode *by; } GoneName;

/* What is known about a source column while its uses are found. */
typedef struct ColumnUse
{
    const GraphNode *cast;   /* the cast node it meets while unchanged */
    Oid cast_type;
    bool text_before;        /* a node used it as it was read, before any cast */
    bool used;               /* by any node but the target */
} ColumnUse;

typedef struct Compiler
{
    Program *program;
    List **findings;
    List *flow;              /* of FlowColumn * */
    List *gone;              /* of GoneName * */
    ColumnUse uses[MaxTupleAttributeNumber];
    List *declared;          /* the source node's "columns", NIL when not said */
    StringInfo sql;          /* second walk: the SELECT so far */
} Compiler;

static const struct { const char *name; Oid type; } field_types[] = {
    {"string", TEXTOID}, {"text", TEXTOID}, {"varchar", VARCHAROID}, {"integer", INT4OID}, {"bigint", INT8OID},
    {"smallint", INT2OID}, {"numeric", NUMERICOID}, {"decimal", NUMERICOID}, {"float", FLOAT4OID},
    {"real", FLOAT4OID}, {"double", FLOAT8OID}, {"boolean", BOOLOID}, {"date", DATEOID},
    {"timestamp", TIMESTAMPOID}, {"timestamptz", TIMESTAMPTZOID}, {"json", JSONBOID}, {"uuid", UUIDOID}};

/* Columns every source offers beside its own. */
static const struct { const char *name; Oid type; } pseudo_columns[] = {
    {"_source", TEXTOID}, {"_line", INT8OID}, {"_offset", INT8OID}, {"_modified_at", TIMESTAMPTZOID}};

Oid
compile_field_type(const char *name)
{
    for (size_t i = 0; i < lengthof(field_types); i++)
    {
        if (strcmp(field_types[i].name, name) == 0)
            return field_types[i].type;
    }
    return InvalidOid;
}

const char *
compile_field_type_list(void)
{
    return "string, varchar, text, integer, bigint, smallint, numeric, decimal, float, real, double, boolean, date, "
           "timestamp, timestamptz, json, uuid";
}

/* ---- the relation "source" ---------------------------------------------- */

TupleDesc
compile_source_desc(const Program *program)
{
    TupleDesc desc = CreateTemplateTupleDesc(Max(program->ncolumns, 1));

    for (int i = 0; i < program->ncolumns; i++)
        TupleDescInitEntry(desc, i + 1, program->columns[i].name, program->columns[i].type,
                           program->columns[i].typmod, 0);
    if (program->ncolumns == 0)  /* a pipeline of constants still counts rows */
        TupleDescInitEntry(desc, 1, "_", TEXTOID, -1, 0);
    return desc;
}

QueryEnvironment *
compile_environment(const char *name, TupleDesc desc, void *tuplestore)
{
    QueryEnvironment *env = create_queryEnv();
    EphemeralNamedRelation enr = palloc0(sizeof(EphemeralNamedRelationData));

    enr->md.name = pstrdup(name);
    enr->md.reliddesc = InvalidOid;
    enr->md.tupdesc = desc;
    enr->md.enrtype = ENR_NAMED_TUPLESTORE;
    enr->md.enrtuples = 1000;
    enr->reldata = tuplestore;
    register_ENR(env, enr);
    return env;
}

Query *
compile_analyze(const char *sql, QueryEnvironment *env)
{
    int level = NewGUCNestLevel();
    List *statements;
    Query *query;

    /* generated SQL names everything outside pg_catalog in full */
    (void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
    statements = raw_parser(sql, RAW_PARSE_DEFAULT);
    query = parse_analyze_fixedparams(linitial_node(RawStmt, statements), sql, NULL, 0, env);
    AtEOXact_GUC(true, level);
    return query;
}

/* ---- first walk: which source fields, of which type --------------------- */

static FlowColumn *
find_flow(Compiler *c, const char *name)
{
    ListCell *lc;

    foreach(lc, c->flow)
    {
        FlowColumn *column = lfirst(lc);

        if (strcmp(column->name, name) == 0)
            return column;
    }
    return NULL;
}

static GoneName *
find_gone(Compiler *c, const char *name)
{
    ListCell *lc;

    foreach(lc, c->gone)
    {
        GoneName *gone = lfirst(lc);

        if (strcmp(gone->name, name) == 0)
            return gone;
    }
    return NULL;
}

static bool
is_declared(Compiler *c, const char *name)
{
    ListCell *lc;

    for (size_t i = 0; i < lengthof(pseudo_columns); i++)
    {
        if (strcmp(pseudo_columns[i].name, name) == 0)
            return true;
    }
    if (c->declared == NIL)
        return true;
    foreach(lc, c->declared)
    {
        if (strcmp(lfirst(lc), name) == 0)
            return true;
    }
    return false;
}

static FlowColumn *
add_flow(Compiler *c, const char *name, int source, Oid type)
{
    FlowColumn *column = palloc0(sizeof(FlowColumn));

    column->name = pstrdup(name);
    column->source = source;
    column->type = type;
    c->flow = lappend(c->flow, column);
    return column;
}

static void
mark_gone(Compiler *c, const char *name, const GraphNode *by)
{
    GoneName *gone = palloc(sizeof(GoneName));

    gone->name = pstrdup(name);
    gone->by = by;
    c->gone = lappend(c->gone, gone);
}

/* The source field of that name comes into the flow. */
static FlowColumn *
add_source(Compiler *c, const char *name, bool required)
{
    Program *p = c->program;
    SourceColumn *column;

    if (p->ncolumns >= MaxTupleAttributeNumber - 1)
        ereport(ERROR, (errcode(ERRCODE_TOO_MANY_COLUMNS), errmsg("a pipeline uses too many source fields")));
    column = &p->columns[p->ncolumns];
    column->name = pstrdup(name);
    column->type = TEXTOID;
    column->typmod = -1;
    column->required = required;
    column->blame = &p->graph->nodes[0];
    for (size_t i = 0; i < lengthof(pseudo_columns); i++)
    {
        if (strcmp(pseudo_columns[i].name, name) == 0)
            column->type = pseudo_columns[i].type;
    }
    return add_flow(c, name, p->ncolumns++, InvalidOid);
}

/* The field a node names; complains and gives NULL when there can be none. */
static FlowColumn *
use_field(Compiler *c, const GraphNode *node, const char *name, bool as_read)
{
    FlowColumn *column = find_flow(c, name);
    GoneName *gone;

    if (column == NULL && (gone = find_gone(c, name)) != NULL)
    {
        graph_complain(c->findings, node->id, "missing_column", NULL, "field \"%s\" is gone: node \"%s\" (%s) took it away",
                       name, gone->by->id, gone->by->type_name);
        return NULL;
    }
    if (column == NULL && !is_declared(c, name))
    {
        graph_complain(c->findings, node->id, "missing_column", NULL, "there is no field \"%s\": the source's \"columns\" do not list it", name);
        return NULL;
    }
    if (column == NULL)
        column = add_source(c, name, true);
    if (column->source >= 0)
    {
        ColumnUse *use = &c->uses[column->source];

        c->program->columns[column->source].required = true;
        use->used = true;
        if (as_read && use->cast == NULL)
            use->text_before = true;
    }
    return column;
}

/* A field a node makes; its name must be free. */
static void
make_field(Compiler *c, const GraphNode *node, const char *name, Oid type)
{
    if (find_flow(c, name))
    {
        graph_complain(c->findings, node->id, "duplicate_column", "Drop or rename it first.",
                       "there is a field \"%s\" already", name);
        return;
    }
    add_flow(c, name, -1, type);
}

static void
walk_filter(Compiler *c, const GraphNode *node)
{
    JsonbContainer *conditions = json_get_container(node->config, "conditions");

    if (conditions == NULL)
    {
        use_field(c, node, json_get_text(node->config, "field"), false);
        return;
    }
    for (int i = 0; i < (int) JsonContainerSize(conditions); i++)
        use_field(c, node, json_get_text(getIthJsonbValueFromContainer(conditions, i)->val.binary.data, "field"), false);
}

static void
walk_rename(Compiler *c, const GraphNode *node)
{
    char *from = json_get_text(node->config, "sourceField");
    char *to = json_get_text(node->config, "targetField");
    FlowColumn *column;

    if (strcmp(from, to) == 0)
        return;
    column = use_field(c, node, from, false);
    if (column == NULL)
        return;
    if (find_flow(c, to))
    {
        graph_complain(c->findings, node->id, "duplicate_column", "Drop or rename it first.", "there is a field \"%s\" already", to);
        return;
    }
    column->name = to;
    mark_gone(c, from, node);
}

static void
walk_cast(Compiler *c, const GraphNode *node)
{
    char *type_name = json_get_text(node->config, "targetType");
    Oid type = compile_field_type(type_name);
    FlowColumn *column = use_field(c, node, json_get_text(node->config, "field"), false);

    if (!OidIsValid(type))
    {
        graph_complain(c->findings, node->id, "wrong_value", psprintf("Valid types are: %s.", compile_field_type_list()),
                       "\"%s\" is not a type a field can be cast to", type_name);
        return;
    }
    if (column == NULL)
        return;
    if (column->source >= 0)
    {
        ColumnUse *use = &c->uses[column->source];

        if (use->cast == NULL && !use->text_before)
        {
            use->cast = node;
            use->cast_type = type;
            return;              /* it is read in that type: nothing to do */
        }
        if (use->cast && use->cast_type == type)
            return;
    }
    column->source = -1;
    column->type = type;
}

static void
walk_add_field(Compiler *c, const GraphNode *node)
{
    char *type_name = json_get_text(node->config, "fieldType");
    char *expression = json_get_text(node->config, "expression");
    Oid type = compile_field_type(type_name);

    if (!OidIsValid(type))
        graph_complain(c->findings, node->id, "wrong_value", psprintf("Valid types are: %s.", compile_field_type_list()),
                       "\"%s\" is not a field type", type_name);
    if (expression)
    {
        ListCell *lc;

        foreach(lc, exprcheck_parse(expression))
            use_field(c, node, lfirst(lc), false);
    }
    make_field(c, node, json_get_text(node->config, "fieldName"), OidIsValid(type) ? type : TEXTOID);
}

static void
walk_target(Compiler *c, const GraphNode *node)
{
    Program *p = c->program;
    JsonbContainer *mapping = json_get_container(node->config, "fieldMapping");
    char **wanted = palloc0(sizeof(char *) * Max(p->nfields, 1));

    for (int i = 0; i < p->nfields; i++)
        wanted[i] = p->fields[i].name;
    if (mapping)
    {
        JsonbIterator *it = JsonbIteratorInit(mapping);
        JsonbValue item;
        JsonbIteratorToken token;
        char *from = NULL;

        while ((token = JsonbIteratorNext(&it, &item, true)) != WJB_DONE)
        {
            if (token == WJB_KEY)
                from = pnstrdup(item.val.string.val, item.val.string.len);
            else if (token == WJB_VALUE)
            {
                char *to = json_scalar_text(&item);
                int i = 0;

                while (i < p->nfields && (to == NULL || strcmp(p->fields[i].name, to) != 0))
                    i++;
                if (i == p->nfields)
                    graph_complain(c->findings, node->id, "missing_column", "fieldMapping maps the pipeline's fields to the schema's.",
                                   "fieldMapping maps \"%s\" to \"%s\", which is no field of the schema", from, to ? to : "null");
                else if (use_field(c, node, from, false))
                    wanted[i] = from;
            }
        }
    }
    for (int i = 0; i < p->nfields; i++)
    {
        TargetField *field = &p->fields[i];
        FlowColumn *column = find_flow(c, wanted[i]);
        bool needed = field->not_null && !field->has_default;

        field->source = -1;
        if (column == NULL && !find_gone(c, wanted[i]) && is_declared(c, wanted[i]))
            column = add_source(c, wanted[i], needed);
        if (column == NULL && needed)
            graph_complain(c->findings, node->id, "missing_column",
                           "Rename or map a field to it, add it with an add_field node, or give the column a default.",
                           "field \"%s\" of the schema is required, but no field of the pipeline reaches it", field->name);
        if (column && column->source >= 0)
        {
            SourceColumn *source = &p->columns[column->source];
            ColumnUse *use = &c->uses[column->source];

            source->required |= needed;
            field->source = column->source;
            if (use->cast == NULL && !use->text_before && source->type == TEXTOID)
            {
                source->blame = node;
                source->type = field->type;
                /* only when nobody else sees the value may the reader cut or round it to the column's measure */
                source->typmod = use->used ? -1 : field->typmod;
                if (use->used && field->type == VARCHAROID)
                    source->type = TEXTOID;
            }
        }
    }
}

static void
walk_node(Compiler *c, const GraphNode *node)
{
    switch (node->type)
    {
        case NODE_SOURCE:
            c->declared = json_get_texts(node->config, "columns");
            break;
        case NODE_FILTER:
            walk_filter(c, node);
            break;
        case NODE_RENAME:
            walk_rename(c, node);
            break;
        case NODE_CAST:
            walk_cast(c, node);
            break;
        case NODE_DROP:
        {
            ListCell *lc;

            foreach(lc, json_get_texts(node->config, "fields"))
            {
                FlowColumn *column = find_flow(c, lfirst(lc));

                if (column)
                    c->flow = list_delete_ptr(c->flow, column);
                else if (!is_declared(c, lfirst(lc)) || find_gone(c, lfirst(lc)))
                    use_field(c, node, lfirst(lc), false);
                mark_gone(c, lfirst(lc), node);
            }
            break;
        }
        case NODE_ADD_FIELD:
            walk_add_field(c, node);
            break;
        case NODE_MASK_PII:
        {
            FlowColumn *column = use_field(c, node, json_get_text(node->config, "field"), true);

            if (column)
            {
                column->source = -1;
                column->type = TEXTOID;
            }
            break;
        }
        case NODE_TARGET:
            walk_target(c, node);
            break;
    }
}

/* ---- second walk: SQL ---------------------------------------------------- */

static Oid
flow_type(Compiler *c, const FlowColumn *column)
{
    return column->source >= 0 ? c->program->columns[column->source].type : column->type;
}

static const char *
type_sql(Oid type)
{
    return format_type_extended(type, -1, FORMAT_TYPE_FORCE_QUALIFY);
}

static bool
is_text(Oid type)
{
    return type == TEXTOID || type == VARCHAROID || type == BPCHAROID;
}

/* A JSON scalar as a literal to compare a column of `type` with; *column_sql may get a cast. */
static char *
literal_sql(const JsonbValue *value, Oid type, char **column_sql)
{
    char *text = json_scalar_text(value);

    if (value->type == jbvNumeric)
    {
        if (is_text(type))
            *column_sql = psprintf("CAST(%s AS pg_catalog.numeric)", *column_sql);
        return text[0] == '-' ? psprintf("(%s)", text) : text;
    }
    if (value->type == jbvBool)
    {
        if (is_text(type))
            *column_sql = psprintf("CAST(%s AS pg_catalog.bool)", *column_sql);
        return text;
    }
    return psprintf("CAST(%s AS %s)", quote_literal_cstr(text), type_sql(is_text(type) ? TEXTOID : type));
}

static char *
pattern_sql(const char *op, const char *column, Oid type, const JsonbValue *value)
{
    char *literal = quote_literal_cstr(json_scalar_text(value));
    const char *text = is_text(type) ? column : psprintf("CAST(%s AS pg_catalog.text)", column);

    if (strcmp(op, "like") == 0)
        return psprintf("%s LIKE %s", text, literal);
    if (strncmp(op, "starts", 6) == 0)
        return psprintf("starts_with(%s, %s)", text, literal);
    if (strncmp(op, "ends", 4) == 0)
        return psprintf("right(%s, length(%s)) = %s", text, literal, literal);
    return psprintf("strpos(%s, %s) > 0", text, literal);
}

/* in, not_in and between: each item's literal, the column cast once for all. */
static char *
array_sql(const char *op, char *column, Oid type, JsonbContainer *array)
{
    StringInfoData items;
    char *cast = column;
    bool between = strcmp(op, "between") == 0;

    initStringInfo(&items);
    for (int i = 0; i < (int) JsonContainerSize(array); i++)
    {
        cast = column;
        appendStringInfo(&items, "%s%s", i == 0 ? "" : between ? " AND " : ", ",
                         literal_sql(getIthJsonbValueFromContainer(array, i), type, &cast));
    }
    if (between)
        return psprintf("%s BETWEEN %s", cast, items.data);
    return psprintf("%s %s (%s)", cast, strcmp(op, "in") == 0 ? "IN" : "NOT IN", items.data);
}

static char *
condition_sql(Compiler *c, JsonbContainer *object)
{
    FlowColumn *field = find_flow(c, json_get_text(object, "field"));
    char *op = json_get_text(object, "operator");
    JsonbValue *value = json_get(object, "value");
    char *column = pstrdup(quote_identifier(field->name));
    Oid type = flow_type(c, field);
    char *literal;

    if (strncmp(op, "is", 2) == 0)
        return psprintf("%s %s", column, strstr(op, "not") ? "IS NOT NULL" : "IS NULL");
    if (value->type == jbvBinary)
        return array_sql(op, column, type, value->val.binary.data);
    if (strcmp(op, "like") == 0 || strncmp(op, "starts", 6) == 0 || strncmp(op, "ends", 4) == 0 || strcmp(op, "contains") == 0)
        return pattern_sql(op, column, type, value);
    literal = literal_sql(value, type, &column);
    return psprintf("%s %s %s", column, strcmp(op, "!=") == 0 ? "<>" : op, literal);
}

static char *
filter_sql(Compiler *c, const GraphNode *node)
{
    JsonbContainer *conditions = json_get_container(node->config, "conditions");
    char *match = json_get_text(node->config, "match");
    StringInfoData out;

    if (conditions == NULL)
        return condition_sql(c, node->config);
    initStringInfo(&out);
    for (int i = 0; i < (int) JsonContainerSize(conditions); i++)
        appendStringInfo(&out, "%s(%s)", i == 0 ? "" : match && strcmp(match, "any") == 0 ? " OR " : " AND ",
                         condition_sql(c, getIthJsonbValueFromContainer(conditions, i)->val.binary.data));
    return out.data;
}

/* Every flow column as it is, but `except` (NULL: all) as `replacement`. */
static void
append_columns(Compiler *c, StringInfo out, const char *except, const char *replacement)
{
    ListCell *lc;
    bool first = true;

    foreach(lc, c->flow)
    {
        FlowColumn *column = lfirst(lc);

        appendStringInfoString(out, first ? "" : ", ");
        first = false;
        if (except && strcmp(column->name, except) == 0)
            appendStringInfo(out, "%s AS %s", replacement, quote_identifier(column->name));
        else
            appendStringInfoString(out, quote_identifier(column->name));
    }
    if (first)
        appendStringInfoString(out, "NULL AS \"_\"");
}

/* Puts `SELECT <list> FROM (` before what there is and `) AS id <tail>` behind it. */
static void
wrap(Compiler *c, const GraphNode *node, const char *list, const char *tail)
{
    StringInfo outer = makeStringInfo();

    appendStringInfo(outer, "SELECT %s\nFROM (%s) AS %s%s", list, c->sql->data, quote_identifier(node->id), tail);
    c->sql = outer;
}

static void
write_source(Compiler *c)
{
    Program *p = c->program;

    c->flow = NIL;
    for (int i = 0; i < p->ncolumns; i++)
        add_flow(c, p->columns[i].name, i, InvalidOid);
    appendStringInfoString(c->sql, "SELECT ");
    append_columns(c, c->sql, NULL, NULL);
    appendStringInfo(c->sql, " FROM %s", SOURCE_RELATION);
}

static void
write_add_field(Compiler *c, const GraphNode *node)
{
    char *name = json_get_text(node->config, "fieldName");
    char *expression = json_get_text(node->config, "expression");
    char *value = json_get_text(node->config, "defaultValue");
    Oid type = compile_field_type(json_get_text(node->config, "fieldType"));
    StringInfoData list;

    initStringInfo(&list);
    append_columns(c, &list, NULL, NULL);
    if (expression)
        appendStringInfo(&list, ", CAST((\n%s\n) AS %s) AS %s", expression, type_sql(type), quote_identifier(name));
    else
        appendStringInfo(&list, ", CAST(%s AS %s) AS %s", value ? quote_literal_cstr(value) : "NULL", type_sql(type),
                         quote_identifier(name));
    wrap(c, node, list.data, "");
    add_flow(c, name, -1, type);
}

/* A cast or mask replaces a field by an expression over it. */
static void
write_replaced(Compiler *c, const GraphNode *node, FlowColumn *column, const char *expression, Oid type)
{
    StringInfoData list;

    initStringInfo(&list);
    append_columns(c, &list, column->name, expression);
    wrap(c, node, list.data, "");
    column->source = -1;
    column->type = type;
}

static void
write_mask(Compiler *c, const GraphNode *node)
{
    FlowColumn *column = find_flow(c, json_get_text(node->config, "field"));
    const char *name = quote_identifier(column->name);

    write_replaced(c, node, column,
                   psprintf("kaireon.mask_%s(%s, %s)", json_get_text(node->config, "maskType"),
                            is_text(flow_type(c, column)) ? name : psprintf("CAST(%s AS pg_catalog.text)", name),
                            json_get_bool(node->config, "preserveLength", false) ? "true" : "false"),
                   TEXTOID);
}

static void
write_rename(Compiler *c, const GraphNode *node)
{
    FlowColumn *column = find_flow(c, json_get_text(node->config, "sourceField"));
    char *to = json_get_text(node->config, "targetField");
    StringInfoData list;
    ListCell *lc;

    if (column == NULL || strcmp(column->name, to) == 0)
        return;
    /* a source field of the new name would be hidden: it is not carried on */
    initStringInfo(&list);
    foreach(lc, c->flow)
    {
        FlowColumn *other = lfirst(lc);

        appendStringInfo(&list, "%s%s", list.len ? ", " : "", quote_identifier(other->name));
        if (other == column)
            appendStringInfo(&list, " AS %s", quote_identifier(to));
    }
    wrap(c, node, list.data, "");
    column->name = to;
}

static void
write_drop(Compiler *c, const GraphNode *node)
{
    StringInfoData list;
    ListCell *lc;

    foreach(lc, json_get_texts(node->config, "fields"))
    {
        FlowColumn *column = find_flow(c, lfirst(lc));

        if (column)
            c->flow = list_delete_ptr(c->flow, column);
    }
    initStringInfo(&list);
    append_columns(c, &list, NULL, NULL);
    wrap(c, node, list.data, "");
}

/* How a value of the flow gets into a target column; NULL when it can't. */
static char *
assign_sql(Compiler *c, FlowColumn *column, const TargetField *field)
{
    Oid from = flow_type(c, column);
    const char *name = quote_identifier(column->name);
    Oid function;

    if (c->program->validation == VALIDATION_COERCE)
    {
        if (from == field->type && (column->source < 0 || field->typmod == c->program->columns[column->source].typmod))
            return pstrdup(name);
        if (!is_text(from) && find_coercion_pathway(field->type, from, COERCION_EXPLICIT, &function) == COERCION_PATH_NONE)
            return NULL;
        return psprintf("CAST(%s AS %s)", name, format_type_extended(field->type, field->typmod, FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY));
    }
    if (from == field->type || (is_text(from) && is_text(field->type)))
        return pstrdup(name);
    if (is_text(from))
        return psprintf("CAST(%s AS %s)", name, type_sql(field->type));
    switch (find_coercion_pathway(field->type, from, COERCION_ASSIGNMENT, &function))
    {
        case COERCION_PATH_NONE:
            if (find_coercion_pathway(field->type, from, COERCION_EXPLICIT, &function) == COERCION_PATH_NONE)
                return NULL;
            return psprintf("CAST(%s AS %s)", name, type_sql(field->type));
        default:
            return pstrdup(name);
    }
}

static void
write_target(Compiler *c, const GraphNode *node, const bool *present)
{
    Program *p = c->program;
    JsonbContainer *mapping = json_get_container(node->config, "fieldMapping");
    StringInfo insert = makeStringInfo(), names = makeStringInfo(), values = makeStringInfo(), labelled = makeStringInfo();

    for (int i = 0; i < p->nfields; i++)
    {
        TargetField *field = &p->fields[i];
        FlowColumn *column = NULL;
        char *value;
        ListCell *lc;

        foreach(lc, c->flow)
        {
            FlowColumn *candidate = lfirst(lc);
            char *mapped = mapping ? json_get_text(mapping, candidate->name) : NULL;

            if (mapped && strcmp(mapped, field->name) == 0)
                column = candidate;
            else if (mapped == NULL && column == NULL && strcmp(candidate->name, field->name) == 0)
                column = candidate;
        }
        if (column == NULL || (present && column->source >= 0 && !present[column->source]))
            continue;
        value = assign_sql(c, column, field);
        if (value == NULL)
        {
            graph_complain(c->findings, node->id, "type_mismatch", "Add a cast or expression node before the target.",
                           "field \"%s\" of type %s can't be stored in the schema's field \"%s\" of type %s", column->name,
                           format_type_be(flow_type(c, column)), field->name, format_type_be(field->type));
            continue;
        }
        appendStringInfo(names, "%s%s", names->len ? ", " : "", quote_identifier(field->name));
        appendStringInfo(values, "%s%s", values->len ? ", " : "", value);
        appendStringInfo(labelled, "%s%s AS %s", labelled->len ? ", " : "", value, quote_identifier(field->name));
    }
    appendStringInfo(insert, "INSERT INTO %s (%s)\nSELECT %s\nFROM (%s) AS %s",
                     quote_qualified_identifier(get_namespace_name(get_rel_namespace(p->relid)), get_rel_name(p->relid)),
                     names->data, values->data, c->sql->data, quote_identifier(node->id));
    if (names->len == 0)
        graph_complain(c->findings, node->id, "missing_column", NULL, "no field of the pipeline reaches a field of the schema");
    p->sql = insert->data;
    p->select_sql = psprintf("SELECT %s\nFROM (%s) AS %s", labelled->data, c->sql->data, quote_identifier(node->id));
}

static void
write_node(Compiler *c, const GraphNode *node, const bool *present)
{
    switch (node->type)
    {
        case NODE_SOURCE:
            write_source(c);
            break;
        case NODE_FILTER:
            wrap(c, node, "*", psprintf("\nWHERE %s", filter_sql(c, node)));
            break;
        case NODE_RENAME:
            write_rename(c, node);
            break;
        case NODE_CAST:
        {
            FlowColumn *column = find_flow(c, json_get_text(node->config, "field"));
            Oid type = compile_field_type(json_get_text(node->config, "targetType"));

            if (flow_type(c, column) != type)
                write_replaced(c, node, column, psprintf("CAST(%s AS %s)", quote_identifier(column->name), type_sql(type)), type);
            break;
        }
        case NODE_DROP:
            write_drop(c, node);
            break;
        case NODE_ADD_FIELD:
            write_add_field(c, node);
            break;
        case NODE_MASK_PII:
            write_mask(c, node);
            break;
        case NODE_TARGET:
            write_target(c, node, present);
            break;
    }
}

/* Parses, checks and plans what stands so far, so that an error is the node's own. */
static void
check_sql(Compiler *c, const GraphNode *node)
{
    const char *sql = node->type == NODE_TARGET ? c->program->select_sql : c->sql->data;
    TupleDesc desc = compile_source_desc(c->program);
    QueryEnvironment *env = compile_environment(SOURCE_RELATION, desc, NULL);
    Query *query = compile_analyze(sql, env);

    exprcheck_query(query, sql);
    (void) pg_plan_query(query, sql, CURSOR_OPT_PARALLEL_OK & 0, NULL);
}

/*
 * An error of parse analysis becomes a finding of the node it happened at.
 * Cancels and exhausted resources are passed on.
 */
static void
check_node_sql(Compiler *c, const GraphNode *node)
{
    MemoryContext context = CurrentMemoryContext;
    ResourceOwner owner = CurrentResourceOwner;

    BeginInternalSubTransaction(NULL);
    MemoryContextSwitchTo(context);
    PG_TRY();
    {
        check_sql(c, node);
        ReleaseCurrentSubTransaction();
        MemoryContextSwitchTo(context);
        CurrentResourceOwner = owner;
    }
    PG_CATCH();
    {
        ErrorData *error;

        MemoryContextSwitchTo(context);
        error = CopyErrorData();
        if (compat_error_must_pass(error->sqlerrcode))
            PG_RE_THROW();
        FlushErrorState();
        RollbackAndReleaseCurrentSubTransaction();
        MemoryContextSwitchTo(context);
        CurrentResourceOwner = owner;
        graph_complain(c->findings, node->id, "invalid_expression", error->hint, "%s", error->message);
    }
    PG_END_TRY();
}

/* Where each node's text ended up: the target's is outermost, the source's innermost. */
static void
locate_nodes(Compiler *c)
{
    Program *p = c->program;
    int begin = 0, end = strlen(p->sql);

    p->texts = palloc0(sizeof(NodeText) * p->graph->nnodes);
    for (int i = p->graph->nnodes - 1; i >= 0; i--)
    {
        const GraphNode *node = &p->graph->nodes[i];
        NodeText *text = &p->texts[p->ntexts];
        const char *closing = psprintf(") AS %s", quote_identifier(node->id));
        char *from, *close = NULL;

        text->node = node;
        text->begin = begin;
        text->end = end;
        p->ntexts++;
        if (i == 0)
            break;
        /* the inner text lies between the first "FROM (" and the last ") AS id" of this one */
        from = strstr(p->sql + begin, "\nFROM (");
        for (char *at = from; at && (at = strstr(at, closing)) != NULL && at < p->sql + end; at++)
            close = at;
        if (from == NULL || close == NULL)
        {
            p->ntexts--;         /* a node that writes nothing, such as a cast the reader does */
            continue;
        }
        begin = from + strlen("\nFROM (") - p->sql;
        end = close - p->sql;
    }
}

const GraphNode *
compile_node_at(const Program *program, int location)
{
    const GraphNode *found = NULL;

    if (location < 0)
        return NULL;
    for (int i = 0; i < program->ntexts; i++)
    {
        if (location >= program->texts[i].begin && location < program->texts[i].end)
            found = program->texts[i].node;
    }
    return found;
}

static void
settle_types(Compiler *c)
{
    for (int i = 0; i < c->program->ncolumns; i++)
    {
        if (c->uses[i].cast)
        {
            c->program->columns[i].type = c->uses[i].cast_type;
            c->program->columns[i].typmod = -1;
            c->program->columns[i].blame = c->uses[i].cast;
        }
    }
}

static Validation
target_validation(const GraphNode *target, Validation fallback)
{
    char *text = json_get_text(target->config, "validation");

    if (text == NULL)
        return fallback;
    return strcmp(text, "strict") == 0 ? VALIDATION_STRICT : strcmp(text, "skip") == 0 ? VALIDATION_SKIP : VALIDATION_COERCE;
}

Program *
compile_program(Graph *graph, Oid relid, TargetField *fields, int nfields, Validation fallback,
                const bool *present, List **findings)
{
    Compiler *c = palloc0(sizeof(Compiler));
    Program *p = palloc0(sizeof(Program));
    List *found = NIL;

    c->program = p;
    c->findings = findings ? findings : &found;
    p->graph = graph;
    p->relid = relid;
    p->fields = fields;
    p->nfields = nfields;
    p->columns = palloc0(sizeof(SourceColumn) * MaxTupleAttributeNumber);
    p->validation = target_validation(&graph->nodes[graph->nnodes - 1], fallback);
    for (int i = 0; i < graph->nnodes; i++)
        walk_node(c, &graph->nodes[i]);
    if (graph_has_errors(*c->findings))
        goto failed;
    settle_types(c);
    c->sql = makeStringInfo();
    for (int i = 0; i < graph->nnodes; i++)
    {
        write_node(c, &graph->nodes[i], present);
        if (graph_has_errors(*c->findings))
            goto failed;
        if (findings)
            check_node_sql(c, &graph->nodes[i]);
        else
            check_sql(c, &graph->nodes[i]);
        if (graph_has_errors(*c->findings))
            goto failed;
    }
    locate_nodes(c);
    return p;

failed:
    if (findings == NULL)
    {
        Finding *f = linitial(found);

        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("node \"%s\": %s", f->node_id ? f->node_id : "", f->message),
                        f->hint ? errhint("%s", f->hint) : 0));
    }
    return NULL;
}
