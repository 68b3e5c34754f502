/*
 * run_watermark.c: the marks of targets with loading strategy
 * incremental_watermark.  See run_state.h.
 *
 * A mark is the greatest value that was loaded.  It is read when the load
 * begins and written in its transaction; only a run that holds the pipeline's
 * lease does either, and reset_source_state waits for none to be under way.
 */
#include "postgres.h"

#include "pg/run_state.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"

/* The number of the target that a mark is of: of that node and field; -1: there is none any more. */
static int
find_marked(const Run *run, const char *node, const char *field)
{
    for (int i = 0; i < run->program->ntargets; i++)
    {
        const ProgramTarget *target = &run->program->targets[i];

        if (target->watermark >= 0 && strcmp(target->node->id, node) == 0 && strcmp(target->schema->fields[target->watermark].name, field) == 0)
            return i;
    }
    return -1;
}

/* What says how values of a type are ordered: its category, "N"; or itself where that has types of all kinds. */
static char *
type_class(const ProgramTarget *target)
{
    Oid type = target->schema->fields[target->watermark].type;
    TYPCATEGORY category = TypeCategory(type);

    return category == TYPCATEGORY_USER ? format_type_be(type) : psprintf("%c", category);
}

void
watermark_read(Run *run)
{
    Oid types[] = {UUIDOID};
    Datum values[] = {UUIDPGetDatum(&run->spec->id)};
    uint64 count;

    for (int i = 0; i < run->program->ntargets; i++)
    {
        if (run->program->targets[i].watermark >= 0)
            loader_set_mark(run->loaders[i], NULL);
    }
    count = catalog_execute("SELECT node_id, field, mark, type_class FROM kaireon_internal.watermark WHERE pipeline_id = $1 ORDER BY node_id",
                            1, types, values, NULL, SPI_OK_SELECT);
    for (uint64 i = 0; i < count; i++)
    {
        char *node = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);
        char *field = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2);
        int target = find_marked(run, node, field);

        if (target < 0)
            ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                            errmsg("pipeline \"%s\" has loaded up to a watermark, which it does not use any more", run->spec->name),
                            errdetail("It is that of field \"%s\" at node \"%s\".  What a run by another strategy would load is not known.", field, node),
                            errhint("Forget it with kaireon.reset_source_state('%s'), after which the next run loads all that there is; or load as before.", run->spec->name)));
        if (strcmp(SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 4), type_class(&run->program->targets[target])) != 0)
            ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                            errmsg("field \"%s\" is of another type than when pipeline \"%s\" loaded up to its watermark", field, run->spec->name),
                            errdetail("Values of its type are in another order, so the mark at node \"%s\" does not tell which rows are new.", node),
                            errhint("Forget it with kaireon.reset_source_state('%s'), after which the next run loads all that there is.", run->spec->name)));
        loader_set_mark(run->loaders[target], SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 3));
    }
}

void
watermark_write(Run *run)
{
    Oid types[] = {UUIDOID, TEXTOID, TEXTOID, TEXTOID, UUIDOID, TEXTOID};

    for (int i = 0; i < run->program->ntargets; i++)
    {
        const ProgramTarget *target = &run->program->targets[i];
        char *mark = target->watermark >= 0 ? loader_mark(run->loaders[i]) : NULL;
        Datum values[6];

        if (mark == NULL)
            continue;
        values[0] = UUIDPGetDatum(&run->spec->id);
        values[1] = CStringGetTextDatum(target->node->id);
        values[2] = CStringGetTextDatum(target->schema->fields[target->watermark].name);
        values[3] = CStringGetTextDatum(mark);
        values[4] = UUIDPGetDatum(&run->slot->run_id);
        values[5] = CStringGetTextDatum(type_class(target));
        catalog_execute("INSERT INTO kaireon_internal.watermark (pipeline_id, node_id, field, mark, run_id, type_class) VALUES ($1, $2, $3, $4, $5, $6) "
                        "ON CONFLICT (pipeline_id, node_id) DO UPDATE SET mark = excluded.mark, type_class = excluded.type_class, run_id = excluded.run_id, loaded_at = now()",
                        6, types, values, NULL, SPI_OK_INSERT);
    }
}
