/*
 * node_archive.c: the node that has files moved away once they are loaded; and
 * "atomicity" of a source node, which says the same of that source alone.
 *
 * Its rows pass through as they are.  The files of the sources in front of it
 * are moved after the commit: see archive.h and outbox.h.  Those of a source
 * with a "stagingFolder" are moved there before, see run_staging.c.
 */
#include "postgres.h"

#include "pg/archive.h"
#include "pg/date_tokens.h"
#include "pg/fetch.h"
#include "pg/file_pattern.h"
#include "pg/flow.h"
#include "pg/node.h"

static const JsonKey archive_keys[] = {
    {"successFolder", JSON_STRING, false, NULL}, {"failureFolder", JSON_STRING, false, NULL}, {NULL, 0, false, NULL}};

static const JsonKey atomicity_keys[] = {
    {"successFolder", JSON_STRING | JSON_BOOL, false, NULL}, {"failureFolder", JSON_STRING | JSON_BOOL, false, NULL}, {"stagingFolder", JSON_STRING | JSON_BOOL, false, NULL},
    {NULL, 0, false, NULL}};

/* By ArchiveFolder; the last is of "atomicity" alone. */
static const char *const folder_keys[] = {"successFolder", "failureFolder", "stagingFolder"};
static const char *const usual_folders[] = {".archive/{YYYY}/{MM}/{DD}", ".failed", ".processing"}; /* of a key that says true */

#define TOKEN_HINT "Dates are written " DATE_TOKENS ", in UTC."

/* ---- folders ------------------------------------------------------------------- */

/* The folder of an archive node, or of a source with "atomicity"; NULL: there is none. */
static char *
folder_of(const GraphNode *node, ArchiveFolder which)
{
    JsonbContainer *folders = node->op == &node_archive ? node->config : json_get_container(node->config, "atomicity");
    JsonbValue *value = folders ? json_get(folders, folder_keys[which]) : NULL;

    if (value && value->type == jbvBool)
        return value->val.boolean ? pstrdup(usual_folders[which]) : NULL;
    return value ? json_get_text(folders, folder_keys[which]) : NULL;
}

static void
check_folder(const GraphNode *node, const char *key, const char *folder, List **findings)
{
    size_t first = strcspn(folder, "/");

    if (folder[0] == '/' || first == 0)
        graph_complain(findings, node->id, "wrong_value", "It is relative to the connector's base, for example \"done/{YYYY}/{MM}\".",
                       "\"%s\" must name a folder below the connector's base", key);
    for (const char *at = folder; *at; at++)
    {
        if ((unsigned char) *at < ' ' || *at == 0x7F)
        {
            graph_complain(findings, node->id, "wrong_value", "For example \"done/{YYYY-MM-DD}\".", "\"%s\" contains a control character", key);
            break;
        }
    }
    for (const char *part = folder; *part; part += strcspn(part, "/"), part += *part == '/')
    {
        size_t n = strcspn(part, "/");

        if (n == 0 && part > folder)
            graph_complain(findings, node->id, "wrong_value", "For example \"done/{YYYY-MM-DD}\".", "\"%s\" contains \"//\"", key);
        if ((n == 1 && part[0] == '.') || (n == 2 && strncmp(part, "..", 2) == 0))
            graph_complain(findings, node->id, "wrong_value", "Name the folder itself, for example \"done/{YYYY}\".", "\"%s\" must not contain \".\" or \"..\"", key);
    }
    for (const char *at = strchr(folder, '{'); at; at = strchr(at + 1, '{'))
    {
        if (date_token_length(at) == 0)
            graph_complain(findings, node->id, "wrong_value", TOKEN_HINT, "\"%s\" contains \"%s\", which is no date", key, date_token_shown(at));
        else if (at < folder + first)
            graph_complain(findings, node->id, "wrong_value", "For example \"done/{YYYY-MM-DD}\".", "\"%s\" must begin with a fixed name", key);
    }
}

static void
archive_check(const GraphNode *node, List **findings)
{
    bool any = false;

    for (int i = 0; i < ARCHIVE_STAGING; i++)
    {
        char *folder = json_get_text(node->config, folder_keys[i]);

        any |= json_get(node->given, folder_keys[i]) != NULL;
        if (folder)
            check_folder(node, folder_keys[i], folder, findings);
    }
    if (!any)
        graph_complain(findings, node->id, "missing_key", "For example {\"successFolder\": \"done/{YYYY}\"}.", "an archive node needs \"successFolder\" or \"failureFolder\"");
}

/* ---- the node ------------------------------------------------------------------ */

/* The part of the folder that has no dates, whole components only: of "done/a{YYYY}" the first; NULL without a folder. */
static char *
fixed_part(const GraphNode *archive, ArchiveFolder which)
{
    char *folder = folder_of(archive, which);
    size_t n = folder ? strcspn(folder, "{") : 0;

    if (folder == NULL)
        return NULL;
    while (n > 0 && folder[n] == '{' && folder[n - 1] != '/')
        n--;
    while (n > 0 && folder[n - 1] == '/')
        n--;
    return pnstrdup(folder, n);
}

static bool
lies_in(const char *path, const char *folder)
{
    size_t n = strlen(folder);

    return n > 0 && strncmp(path, folder, n) == 0 && path[n] == '/';
}

/* Does the path lie in one of the folders, of which some may be NULL? */
static bool
hold(char **folders, const char *path)
{
    for (int i = 0; i < (int) lengthof(folder_keys); i++)
    {
        if (folders[i] && lies_in(path, folders[i]))
            return true;
    }
    return false;
}

static void
fixed_parts(const GraphNode *archive, char **folders)
{
    for (int i = 0; i < (int) lengthof(folder_keys); i++)
        folders[i] = fixed_part(archive, i);
}

/* Do all files that the source may name lie in there?  They would be taken for archived ones. */
static bool
holds_source(const GraphNode *archive, const GraphNode *source)
{
    char *resource = file_pattern_resource(source->config, GetCurrentTimestamp()), *slash;
    char *folders[lengthof(folder_keys)];
    size_t fixed;

    fixed_parts(archive, folders);
    fixed = strcspn(resource, "*?[\\");
    if (resource[fixed] == '\0')
        return hold(folders, resource) || hold(folders, psprintf("%s/.", resource));
    resource[fixed] = '\0';
    slash = strrchr(resource, '/');
    if (slash)
        slash[1] = '\0';
    return slash && hold(folders, resource);
}

/* May the source's files go to the node's folders?  A row limit may end the reading within a file, whose rest would be moved away unread. */
static void
check_source(const GraphNode *node, const GraphNode *source, List **findings)
{
    if (holds_source(node, source))
        graph_complain(findings, node->id, "wrong_value", "What lies in an archive folder is not read again: name another one.",
                       "the files of source \"%s\" lie in the folder that they would be moved to", source->id);
    if (json_get(source->config, "rowLimit"))
        graph_complain(findings, node->id, "wrong_value", "Leave out the row limit, or the folders.",
                       "files of source \"%s\" can't be archived, because its \"rowLimit\" may end within one", source->id);
}

static void
archive_walk(struct Compiler *c, const GraphNode *node)
{
    const Graph *graph = c->program->graph;

    for (int i = 0; i < graph->nnodes; i++)
    {
        const GraphNode *source = &graph->nodes[i];

        if (source->op->kind != NODE_SOURCE || !graph_leads_to(graph, source, node))
            continue;
        if (json_get_container(source->config, "atomicity"))
            graph_complain(c->findings, node->id, "contradiction", "Leave out one of them: a file can be moved to one place only.",
                           "the \"atomicity\" of source \"%s\" says already where its files go", source->id);
        else
            check_source(node, source, c->findings);
    }
}

static void
archive_write(struct Compiler *c, const GraphNode *node)
{
}

static void
archive_describe(const GraphNode *node, StringInfo out)
{
    char *success = json_get_text(node->config, "successFolder"), *failure = json_get_text(node->config, "failureFolder");

    if (success)
        appendStringInfo(out, "to %s", success);
    if (failure)
        appendStringInfo(out, "%sbad to %s", success ? ", " : "", failure);
}

const NodeOp node_archive = {
    .name = "archive",
    .kind = NODE_ROW,
    .keeps_fields = true,
    .keys = archive_keys,
    .check = archive_check,
    .walk = archive_walk,
    .write = archive_write,
    .describe = archive_describe,
};

/* ---- "atomicity" of a source ------------------------------------------------------ */

/* Files come to the staging folder and go again, to another one. */
static void
check_staging(const GraphNode *source, List **findings)
{
    char *staging = fixed_part(source, ARCHIVE_STAGING);

    if (staging == NULL)
        return;
    if (folder_of(source, ARCHIVE_SUCCESS) == NULL)
        graph_complain(findings, source->id, "missing_key", "For example {\"stagingFolder\": \".processing\", \"successFolder\": \"done/{YYYY}\"}; true stands for the usual folder.",
                       "\"stagingFolder\" of \"atomicity\" needs a \"successFolder\"");
    for (int i = 0; i < ARCHIVE_STAGING; i++)
    {
        char *other = fixed_part(source, i);

        if (other && (strcmp(other, staging) == 0 || lies_in(other, staging) || lies_in(staging, other)))
            graph_complain(findings, source->id, "wrong_value", "Name folders that lie beside one another.", "\"stagingFolder\" and \"%s\" of \"atomicity\" lie within one another",
                           folder_keys[i]);
    }
}

void
archive_check_source(const GraphNode *source, List **findings)
{
    GraphComplaint complaint = {findings, source->id};
    JsonbContainer *atomicity = json_get_container(source->config, "atomicity");
    bool any = false;

    if (atomicity == NULL || !JsonContainerIsObject(atomicity) || !json_check(atomicity, atomicity_keys, "atomicity", graph_complain_config, &complaint))
        return;
    for (int i = 0; i < (int) lengthof(folder_keys); i++)
    {
        char *folder = folder_of(source, i);

        any |= folder != NULL;
        if (folder)
            check_folder(source, folder_keys[i], folder, findings);
    }
    check_staging(source, findings);
    if (any)
        check_source(source, source, findings);
    else
        graph_complain(findings, source->id, "missing_key", "For example {\"successFolder\": \"done/{YYYY}\"}; true stands for the usual folder.",
                       "\"atomicity\" needs \"successFolder\" or \"failureFolder\"");
}

/* One that says what it reads. */
static bool
is_source(const GraphNode *node)
{
    return node->op && node->op->kind == NODE_SOURCE && !node->wrong_config;
}

/* Do they read the same files, as far as their configs say? */
static bool
read_the_same(const GraphNode *one, const GraphNode *other)
{
    char *names[] = {json_get_text(one->config, "connector"), json_get_text(other->config, "connector")};

    return (names[0] && names[1] ? strcmp(names[0], names[1]) == 0 : names[0] == names[1]) &&
           strcmp(file_pattern_shown(one->config, NULL), file_pattern_shown(other->config, NULL)) == 0;
}

void
archive_check_shared(const Graph *graph, List **findings)
{
    for (int i = 0; i < graph->nnodes; i++)
    {
        const GraphNode *one = &graph->nodes[i];

        for (int k = 0; k < i && is_source(one); k++)
        {
            const GraphNode *other = &graph->nodes[k];

            if (is_source(other) && (archive_is_staged(one) || archive_is_staged(other)) && read_the_same(one, other))
                graph_complain(findings, one->id, "contradiction", "Read them with one source and several branches behind that, or leave out the staging folders.",
                               "sources \"%s\" and \"%s\" read the same files, which a \"stagingFolder\" would take away from one of them", other->id, one->id);
        }
    }
}

/* ---- its folders ----------------------------------------------------------------- */

const GraphNode *
archive_of(const Graph *graph, const GraphNode *source)
{
    if (json_get_container(source->config, "atomicity"))
        return source;
    for (int i = 0; i < graph->nnodes; i++)
    {
        if (graph->nodes[i].op == &node_archive && graph_leads_to(graph, source, &graph->nodes[i]))
            return &graph->nodes[i];
    }
    return NULL;
}

char *
archive_target(const GraphNode *archive, ArchiveFolder which, const char *path, TimestampTz at)
{
    char *folder = folder_of(archive, which);
    const char *name = strrchr(path, '/');
    StringInfoData out;

    if (folder == NULL)
        return NULL;
    initStringInfo(&out);
    appendStringInfoString(&out, date_tokens_expand(folder, at, NULL));
    while (out.len > 0 && out.data[out.len - 1] == '/')
        out.data[--out.len] = '\0';
    appendStringInfo(&out, "/%s", name ? name + 1 : path);
    return out.data;
}

bool
archive_is_staged(const GraphNode *source)
{
    return json_get_container(source->config, "atomicity") && folder_of(source, ARCHIVE_STAGING);
}

List *
archive_leave_out(const Graph *graph, const GraphNode *source, List *listed)
{
    const GraphNode *archive = archive_of(graph, source);
    char *folders[lengthof(folder_keys)];
    List *left = NIL;
    ListCell *lc;

    if (archive == NULL)
        return listed;
    fixed_parts(archive, folders);
    foreach(lc, listed)
    {
        if (!hold(folders, ((FetchObject *) lfirst(lc))->path))
            left = lappend(left, lfirst(lc));
    }
    return left;
}
