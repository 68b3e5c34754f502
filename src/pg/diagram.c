/*
 * diagram.c: a pipeline's graph drawn for people.  See diagram.h.
 *
 * Here is what all three formats share, the words (a node's lines, an edge's
 * text, numbers), and the two formats that leave the layout to others:
 * Mermaid and Graphviz.  diagram_text.c lays out and draws for a terminal.
 * Names and values come from users, so each format escapes what it is given.
 */
#include "postgres.h"

#include "pg/diagram.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"

#include "pg/hook.h"
#include "pg/node.h"

/* So many columns of a hook are shown: it may be a script. */
#define HOOK_WIDTH 60

char *
node_summary(const GraphNode *node)
{
    StringInfoData out;

    initStringInfo(&out);
    node->op->describe(node, &out);
    return out.data;
}

/* A number of rows for people: "299,960", or with a unit "1 row", "299,960 rows". */
static char *
rows_text(int64 rows, bool unit)
{
    char *digits = psprintf(INT64_FORMAT, rows);
    int len = strlen(digits);
    StringInfoData out;

    initStringInfo(&out);
    for (int i = 0; i < len; i++)
    {
        if (i > 0 && (len - i) % 3 == 0 && digits[i - 1] != '-')
            appendStringInfoChar(&out, ',');
        appendStringInfoChar(&out, digits[i]);
    }
    if (unit)
        appendStringInfoString(&out, rows == 1 ? " row" : " rows");
    return out.data;
}

/* Line ends and other control characters would break any drawing.  In place. */
static char *
one_line(char *text)
{
    for (char *p = text; *p; p++)
    {
        if ((unsigned char) *p < ' ' || *p == 0x7f)
            *p = ' ';
    }
    return text;
}

/* "preHook: TRUNCATE events": the beginning of a target's hook. */
static List *
add_hook(List *lines, const GraphNode *node, HookKind kind)
{
    ListCell *lc;

    foreach(lc, node->op->kind == NODE_TARGET ? hook_list(node, kind) : NIL)
    {
        const Hook *hook = lfirst(lc);

        lines = lappend(lines, diagram_cut(one_line(psprintf("%s: %s", hook->label, hook_shown(hook))), HOOK_WIDTH, false));
    }
    return lines;
}

List *
diagram_node_lines(const GraphNode *node)
{
    List *lines = NIL;
    char *summary = node_summary(node);

    if (strcmp(node->id, node->op->name) == 0)
        lines = lappend(lines, pstrdup(node->op->name));
    else
        lines = lappend(lines, one_line(psprintf("%s [%s]", node->id, node->op->name)));
    if (node->label && node->label[0] && strcmp(node->label, node->id) != 0)
        lines = lappend(lines, one_line(pstrdup(node->label)));
    if (summary[0])
        lines = lappend(lines, one_line(summary));
    return add_hook(add_hook(lines, node, HOOK_PRE), node, HOOK_POST);
}

List *
diagram_node_notes(const Graph *graph, int node, const DiagramCounts *counts)
{
    List *notes = NIL;

    if (counts == NULL || !counts[node].known)
        return NIL;
    if (graph->nodes[node].op->kind == NODE_TARGET)
        notes = lappend(notes, psprintf("%s loaded", rows_text(counts[node].rows_out, false)));
    if (counts[node].rejected > 0)
        notes = lappend(notes, psprintf("%s rejected", rows_text(counts[node].rejected, false)));
    return notes;
}

char *
diagram_edge_text(const Graph *graph, int edge, const DiagramCounts *counts)
{
    const GraphEdge *e = &graph->edges[edge];
    char *label = one_line(pstrdup(e->label ? e->label : ""));
    int siblings = 0, rivals = 0;
    char *rows;

    if (counts == NULL)
        return label;
    for (int i = 0; i < graph->nedges; i++)
    {
        siblings += graph->edges[i].from == e->from;
        rivals += graph->edges[i].to == e->to;
    }
    if (siblings == 1 && counts[e->from].known)
        rows = rows_text(counts[e->from].rows_out, true);
    else if (rivals == 1 && counts[e->to].known)
        rows = rows_text(counts[e->to].rows_in, true);
    else
        return label;
    return label[0] ? psprintf("%s: %s", label, rows) : rows;
}

/* Within Mermaid's quotes: whatever could end them or mean something goes by number. */
static void
append_mermaid(StringInfo out, const char *text)
{
    for (const char *p = text; *p; p++)
    {
        if (strchr("\"#&<>|`\\", *p))
            appendStringInfo(out, "#%d;", *p);
        else
            appendStringInfoChar(out, *p);
    }
}

/* Within Graphviz' quotes, where & starts an entity as in HTML. */
static void
append_dot(StringInfo out, const char *text)
{
    for (const char *p = text; *p; p++)
    {
        if (*p == '"' || *p == '\\')
            appendStringInfoChar(out, '\\');
        if (*p == '&')
            appendStringInfoString(out, "&amp;");
        else
            appendStringInfoChar(out, *p);
    }
}

static char *
draw_mermaid(const Graph *graph, const DiagramCounts *counts)
{
    StringInfoData out;

    initStringInfo(&out);
    appendStringInfoString(&out, "flowchart TD");
    for (int i = 0; i < graph->nnodes; i++)
    {
        const GraphNode *node = &graph->nodes[i];
        bool end = node->op->kind == NODE_SOURCE || node->op->kind == NODE_TARGET;
        List *lines = list_concat(diagram_node_lines(node), diagram_node_notes(graph, i, counts));
        ListCell *lc;

        appendStringInfo(&out, "\n    n%d%s\"", i, end ? "([" : "[");
        foreach(lc, lines)
        {
            if (lc != list_head(lines))
                appendStringInfoString(&out, "<br/>");
            append_mermaid(&out, lfirst(lc));
        }
        appendStringInfo(&out, "\"%s", end ? "])" : "]");
    }
    for (int i = 0; i < graph->nedges; i++)
    {
        char *text = diagram_edge_text(graph, i, counts);

        appendStringInfo(&out, "\n    n%d -->", graph->edges[i].from);
        if (text[0])
        {
            appendStringInfoString(&out, "|\"");
            append_mermaid(&out, text);
            appendStringInfoString(&out, "\"|");
        }
        appendStringInfo(&out, " n%d", graph->edges[i].to);
    }
    return out.data;
}

static char *
draw_dot(const Graph *graph, const DiagramCounts *counts)
{
    StringInfoData out;

    initStringInfo(&out);
    appendStringInfoString(&out, "digraph pipeline {\n    rankdir=TB;\n    node [shape=box];");
    for (int i = 0; i < graph->nnodes; i++)
    {
        const GraphNode *node = &graph->nodes[i];
        bool end = node->op->kind == NODE_SOURCE || node->op->kind == NODE_TARGET;
        List *lines = list_concat(diagram_node_lines(node), diagram_node_notes(graph, i, counts));
        ListCell *lc;

        appendStringInfo(&out, "\n    n%d [label=\"", i);
        foreach(lc, lines)
        {
            if (lc != list_head(lines))
                appendStringInfoString(&out, "\\n");
            append_dot(&out, lfirst(lc));
        }
        appendStringInfo(&out, "\"%s];", end ? ", style=rounded" : "");
    }
    for (int i = 0; i < graph->nedges; i++)
    {
        appendStringInfo(&out, "\n    n%d -> n%d [label=\"", graph->edges[i].from, graph->edges[i].to);
        append_dot(&out, diagram_edge_text(graph, i, counts));
        appendStringInfoString(&out, "\"];");
    }
    appendStringInfoString(&out, "\n}");
    return out.data;
}

/* A client in another encoding could not be sent the box characters at all; SQL_ASCII takes any bytes. */
static bool
can_draw_unicode(void)
{
    int client = pg_get_client_encoding();

    return GetDatabaseEncoding() == PG_UTF8 && (client == PG_UTF8 || client == PG_SQL_ASCII);
}

char *
diagram_draw(const Graph *graph, const char *format, const DiagramCounts *counts)
{
    if (strcmp(format, "text") == 0)
        return diagram_text(graph, counts, can_draw_unicode());
    if (strcmp(format, "mermaid") == 0)
        return draw_mermaid(graph, counts);
    if (strcmp(format, "dot") == 0)
        return draw_dot(graph, counts);
    ereport(ERROR,
            (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
             errmsg("unknown diagram format \"%s\"", format),
             errdetail("A diagram is drawn in one of three ways."),
             errhint("Valid formats are: text, mermaid, dot.")));
    return NULL; /* keep compiler quiet */
}
