/*
 * compile_sql.c: what node types write SQL with.  See flow.h.
 *
 * Each node wraps the SELECT of the node before it.  Every name and literal is
 * quoted here, and nowhere else.
 */
#include "postgres.h"

#include "pg/flow.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "pg/json.h"

/* "~" and 64 bits in hexadecimal. */
#define NAME_HASH_BYTES 17

const char *
sql_identifier(const char *name)
{
    int length = strlen(name);
    int kept = NAMEDATALEN - 1 - NAME_HASH_BYTES;

    if (length < NAMEDATALEN)
        return name;
    return psprintf("%s~%016llx", pnstrdup(name, pg_mbcliplen(name, length, kept)),
                    (unsigned long long) hash_bytes_extended((const unsigned char *) name, length, 0));
}

const char *
sql_name(const char *name)
{
    return quote_identifier(sql_identifier(name));
}

char *
sql_literal(const char *text)
{
    return quote_literal_cstr(text);
}

const char *
sql_type(Oid type)
{
    return format_type_extended(type, -1, FORMAT_TYPE_FORCE_QUALIFY);
}

const char *
sql_type_with_typmod(Oid type, int32 typmod)
{
    return format_type_extended(type, typmod, FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY);
}

const char *
sql_table(Oid relid)
{
    char *name = get_rel_name(relid);
    char *schema = name ? get_namespace_name(get_rel_namespace(relid)) : NULL;

    /* nobody holds a lock while a pipeline is compiled */
    if (schema == NULL)
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("a table of the pipeline was dropped while it was compiled"),
                        errdetail("Nodes name schemas, and a schema needs its table."),
                        errhint("View kaireon.schemas shows whose table is missing.")));
    return quote_qualified_identifier(schema, name);
}

bool
sql_is_text(Oid type)
{
    return type == TEXTOID || type == VARCHAROID || type == BPCHAROID;
}

const char *
sql_as_text(Compiler *c, const FlowColumn *column)
{
    const char *name = sql_name(column->name);

    return sql_is_text(flow_type(c, column)) ? name : psprintf("CAST(%s AS pg_catalog.text)", name);
}

const ProgramSource *
sql_source(Compiler *c, const SourceColumn *column)
{
    const Program *p = c->program;
    int i = 0;

    while (i < p->nsources && !(column >= p->sources[i].columns && column < p->sources[i].columns + p->sources[i].ncolumns))
        i++;
    if (i == p->nsources)
        elog(ERROR, "no source delivers field \"%s\"", column->name);
    return &p->sources[i];
}

/* What a source's text is before it is cast to `type`: spelled as PostgreSQL reads it. */
static char *
respelled(const char *name, JsonbContainer *options, Oid type)
{
    char *decimal = json_get_text(options, "decimalSeparator"), *thousands = json_get_text(options, "thousandsSeparator");
    char *format = json_get_text(options, type == DATEOID ? "dateFormat" : "timestampFormat");

    switch (type)
    {
        case DATEOID:
        case TIMESTAMPOID:
        case TIMESTAMPTZOID:
            if (format)
                return psprintf("%s(%s COLLATE pg_catalog.\"C\", %s)", type == DATEOID ? "to_date" : "to_timestamp", name, sql_literal(format));
            break;
        case INT2OID:
        case INT4OID:
        case INT8OID:
        case NUMERICOID:
        case FLOAT4OID:
        case FLOAT8OID:
            if (decimal || thousands)
                return psprintf("kaireon.plain_number(%s, %s, %s)", name, sql_literal(decimal ? decimal : "."), sql_literal(thousands ? thousands : ""));
            break;
    }
    return pstrdup(name);
}

bool
sql_is_spelled(Compiler *c, const FlowColumn *column, Oid type)
{
    return column->source && strcmp(respelled("", sql_source(c, column->source)->node->config, type), "") != 0;
}

char *
sql_cast(Compiler *c, const FlowColumn *column, Oid type, int32 typmod)
{
    char *value = pstrdup(sql_name(column->name));

    if (column->source && sql_is_text(flow_type(c, column)))
        value = respelled(value, sql_source(c, column->source)->node->config, type);
    return psprintf("CAST(%s AS %s)", value, sql_type_with_typmod(type, typmod));
}

void
sql_columns(Compiler *c, StringInfo out, const char *except, const char *replacement)
{
    ListCell *lc;
    bool first = true;

    foreach(lc, c->flow->columns)
    {
        FlowColumn *column = lfirst(lc);

        appendStringInfoString(out, first ? "" : ", ");
        first = false;
        if (except && strcmp(column->name, except) == 0)
            appendStringInfo(out, "%s AS %s", replacement, sql_name(column->name));
        else
            appendStringInfoString(out, sql_name(column->name));
    }
    if (first)
        appendStringInfoString(out, "NULL AS \"_\"");
}

void
sql_hide(Compiler *c, const char *name)
{
    FlowColumn *column = flow_find(c, name);

    if (column)
        c->flow->columns = list_delete_ptr(c->flow->columns, column);
}

void
sql_wrap(Compiler *c, const GraphNode *node, const char *list, const char *tail)
{
    StringInfo outer = makeStringInfo();
    int before;

    appendStringInfo(outer, "SELECT %s\nFROM (", list);
    before = outer->len;
    appendStringInfo(outer, "%s) AS %s%s", c->sql->data, sql_name(node->id), tail);
    c->sql = outer;
    c->before_at += before;
    for (int i = 0; i < c->step; i++)
    {
        c->lane->steps[i].begin += before;
        c->lane->steps[i].end += before;
    }
}

void
sql_replace(Compiler *c, const GraphNode *node, FlowColumn *column, const char *expression, Oid type)
{
    StringInfoData list;

    initStringInfo(&list);
    sql_columns(c, &list, column->name, expression);
    sql_wrap(c, node, list.data, "");
    column->source = NULL;
    column->type = type;
}

void
sql_add(Compiler *c, const GraphNode *node, const char *name, const char *expression, Oid type)
{
    StringInfoData list;

    initStringInfo(&list);
    sql_hide(c, name);
    sql_columns(c, &list, NULL, NULL);
    appendStringInfo(&list, ", %s AS %s", expression, sql_name(name));
    sql_wrap(c, node, list.data, "");
    flow_add(c, name, NULL, type);
}
