/*
 * upload.c: text that a session hands over, on its way to a run's reader.  See upload.h.
 */
#include "postgres.h"

#include "pg/upload.h"

#include "catalog/pg_tablespace_d.h"
#include "common/file_utils.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/fd.h"
#include "utils/builtins.h"
#include "utils/wait_event.h"

#include "pg/json.h"
#include "pg/source_options.h"

#define UPLOAD_TYPE "csv_upload"
/* Written at once, so that a cancel need not wait for all of it. */
#define PIECE (1024 * 1024)

void
upload_keep(const char *bytes, size_t length, char *path, size_t size)
{
    static uint32 count = 0;
    char directory[MAXPGPATH];
    File file;

    TempTablespacePath(directory, DEFAULTTABLESPACE_OID);
    if (MakePGDirectory(directory) != 0 && errno != EEXIST)
        ereport(ERROR, (errcode_for_file_access(), errmsg("could not create directory \"%s\": %m", directory)));
    /* by this beginning of its name a server that starts again knows what to remove */
    snprintf(path, size, "%s/%s%d.upload%u", directory, PG_TEMP_FILE_PREFIX, MyProcPid, count++);
    file = PathNameCreateTemporaryFile(path, true);
    for (size_t at = 0; at < length; at += PIECE)
    {
        int piece = (int) Min(length - at, PIECE);
        int written;

        CHECK_FOR_INTERRUPTS();
        errno = 0;
        written = FileWrite(file, unconstify(char *, bytes + at), piece, (off_t) at, WAIT_EVENT_BUFFILE_WRITE);
        if (written != piece)
        {
            if (errno == 0)
                errno = ENOSPC;
            ereport(ERROR, (errcode_for_file_access(), errmsg("could not write to file \"%s\": %m", path),
                            errdetail("What is uploaded waits there for its run."), errhint("Make room on the disk that the file is on.")));
        }
    }
    FileClose(file);
}

void
upload_drop(const char *path)
{
    (void) PathNameDeleteTemporaryFile(path, false);
}

bool
upload_is_type(const char *type)
{
    return strcmp(type, UPLOAD_TYPE) == 0;
}

static bool
is_upload(const ConnectorSpec *connector)
{
    return upload_is_type(connector->type);
}

void
upload_check(const GraphNode *source, List **findings)
{
    /* what files have that are somewhere, and stay there */
    static const char *const keys[] = {"resource", "path", "pattern", "ordering", "incremental", "changedFiles", "waitPolicy"};

    for (int k = 0; k < (int) lengthof(keys); k++)
    {
        if (json_get(source->config, keys[k]))
            graph_complain(findings, source->id, "wrong_value", "Leave it out: each call of kaireon.upload_csv brings one text.",
                           "key \"%s\" means nothing where the source is what is uploaded", keys[k]);
    }
}

const ConnectorSpec *
upload_connector(const ConnectorSpec *connector, const char *path)
{
    ConnectorSpec *copy;

    if (!is_upload(connector))
        return connector;
    copy = palloc(sizeof(ConnectorSpec));
    *copy = *connector;
    copy->upload = path;
    return copy;
}

char *
upload_config(const ConnectorSpec *connector)
{
    StringInfoData out;

    initStringInfo(&out);
    appendStringInfoString(&out, "{\"file\":");
    json_append_string(&out, psprintf("%s/%s", DataDir, connector->upload));
    appendStringInfoChar(&out, '}');
    return out.data;
}

JsonbContainer *
upload_format(const ConnectorSpec *connector, JsonbContainer *config)
{
    char *format = json_get_text(config, "format"), *delimiter, *header;
    bool open = format == NULL || strcmp(format, "auto") == 0;
    Datum said;
    StringInfoData out;

    if (!is_upload(connector) || (!open && strcmp(format, "csv") != 0))
        return config;
    delimiter = json_get_text(&connector->config->root, "delimiter");
    header = json_get_text(&connector->config->root, "header");
    initStringInfo(&out);
    appendStringInfo(&out, "{%s\"delimiter\":", open ? "\"" SOURCE_IF_CSV "\":{" : "");
    json_append_string(&out, delimiter ? delimiter : "auto");
    if (header)
        appendStringInfo(&out, ",\"header\":%s", header);
    appendStringInfoString(&out, open ? "}}" : "}");
    said = DirectFunctionCall1(jsonb_in, CStringGetDatum(JsonbToCString(NULL, config, 0)));
    return &DatumGetJsonbP(DirectFunctionCall2(jsonb_concat, DirectFunctionCall1(jsonb_in, CStringGetDatum(out.data)), said))->root;
}
