/*
 * rows.c: where a row came from.  See rows.h.
 */
#include "postgres.h"

#include "pg/rows.h"

#include "lib/stringinfo.h"
#include "utils/lsyscache.h"

#include "pg/json.h"

/* A row of a set node as a JSON object, every value as the text that PostgreSQL prints. */
static char *
row_json(const Rows *rows, int row)
{
    const Datum *values = &rows->values[row * rows->ncolumns];
    const bool *nulls = &rows->nulls[row * rows->ncolumns];
    int nfields = rows->stage->set->nfields;
    StringInfoData out;

    initStringInfo(&out);
    for (int i = 0; i < nfields; i++)
    {
        Form_pg_attribute att = TupleDescAttr(rows->stage->desc, i);
        Oid output;
        bool varlena;

        appendStringInfoString(&out, i ? ", " : "{");
        json_append_string(&out, NameStr(att->attname));
        appendStringInfoString(&out, ": ");
        getTypeOutputInfo(att->atttypid, &output, &varlena);
        if (nulls[i])
            appendStringInfoString(&out, "null");
        else
            json_append_string(&out, OidOutputFunctionCall(output, values[i]));
    }
    appendStringInfoString(&out, nfields > 0 ? "}" : "{}");
    return out.data;
}

RowPosition
rows_position(const Rows *rows, int row)
{
    RowPosition at = {0};

    if (rows->cells)
    {
        at.split = rows->split;
        at.line = cells_line(rows->cells, row);
        at.offset = cells_offset(rows->cells, row);
        at.record = cells_record(rows->cells, row);
        return at;
    }
    at = positions_get(rows->positions, rows_origin(rows, row));
    if (at.record.kind != RECORD_NONE && !rows->stage->of_source)
    {
        char *json = row_json(rows, row);

        at.record = (RowRecord) {RECORD_ROW, json, strlen(json)};
    }
    return at;
}
