/*
 * ability.c: what connectors of a type can do.  See ability.h.
 */
#include "postgres.h"

#include "pg/ability.h"

#include "utils/timestamp.h"

#include "pg/archive.h"
#include "pg/catalog.h"
#include "pg/file_pattern.h"
#include "pg/node.h"
#include "pg/upload.h"

/* The type of the source's connector: of its own, else the pipeline's; NULL: it has none, or none that may be looked at. */
static const char *
source_type(const GraphNode *source, const char *type)
{
    char *name = json_get_text(source->config, "connector");
    List *ignored = NIL;         /* what is wrong with it the node itself says */
    const ConnectorSpec *connector = name ? catalog_find_connector(name, NULL, &ignored) : NULL;

    return name == NULL ? type : connector ? connector->type : NULL;
}

/* Is a "*" in a resource that is part of a URL?  Behind a "?" it is the server's, and brackets are found in URLs. */
static bool
has_url_wildcard(const char *resource)
{
    return resource[strcspn(resource, "*?")] == '*';
}

void
ability_check_resource(const char *type, JsonbContainer *config, JsonComplain complain, void *arg)
{
    char *types, *resource = file_pattern_resource(config, GetCurrentTimestamp());

    if (catalog_type_can(type, ABILITY_PATTERNS, &types))
        return;
    if (json_get(config, "pattern") && !file_pattern_has_dates(config))
        complain(arg, "wrong_value", psprintf("connectors of type \"%s\" have no folders that a \"pattern\" could choose files from", type),
                 psprintf("Name the file in \"resource\"; only a dateGlob without wildcards names one, too. Types that take patterns: %s.", types));
    else if (has_url_wildcard(resource))
        complain(arg, "wrong_value", psprintf("\"%s\" has the wildcard \"*\", but connectors of type \"%s\" have no folders to choose files from",
                                              json_get(config, "pattern") ? "pattern" : "resource", type),
                 psprintf("Name one file; a \"*\" that belongs to its name is written %%2A. Types that take patterns: %s.", types));
}

void
ability_check_ask(const GraphNode *node, const char *type, List **findings)
{
    GraphComplaint complaint = {findings, node->id};

    if (upload_is_type(type))
        graph_complain(findings, node->id, "wrong_value", "What is uploaded comes with a call; ask a connector that has something to keep.",
                       "a connector of type \"%s\" can't be asked", type);
    else
        ability_check_resource(type, node->config, graph_complain_config, &complaint);
}

static void
check_move(const Graph *graph, const GraphNode *source, const char *type, List **findings)
{
    const GraphNode *archive = archive_of(graph, source);
    char *types;

    if (archive && !catalog_type_can(type, ABILITY_MOVE, &types))
        graph_complain(findings, archive->id, "wrong_value", psprintf("%s Types whose files can be moved: %s.",
                                                                      archive == source ? "Leave out \"atomicity\"." : "Take the archive node out.", types),
                       "what source \"%s\" reads can't be moved, because its connector is of type \"%s\"", source->id, type);
}

void
ability_check(const Graph *graph, const char *type, List **findings)
{
    for (int i = 0; i < graph->nnodes; i++)
    {
        const GraphNode *node = &graph->nodes[i];
        GraphComplaint complaint = {findings, node->id};
        const char *own;

        if (node->op == NULL || node->op->kind != NODE_SOURCE || node->wrong_config)
            continue;
        own = source_type(node, type);
        if (own == NULL)
            continue;
        if (upload_is_type(own))
            upload_check(node, findings);
        else
            ability_check_resource(own, node->config, graph_complain_config, &complaint);
        check_move(graph, node, own, findings);
    }
}
