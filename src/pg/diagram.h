/*
 * diagram.h: a pipeline's graph drawn for people.
 *
 * pipeline_diagram calls diagram_draw: "text" for a terminal, "mermaid" and
 * "dot" for a page, with the counts of the last run where there was one.
 * Where the graph and the counts come from is the caller's business.
 *
 * All functions run in a backend and give palloc'd strings in the server's
 * encoding, in the current memory context.
 */
#ifndef KAIREON_DIAGRAM_H
#define KAIREON_DIAGRAM_H

#include "postgres.h"

#include "pg/graph.h"

/* What the last run did at one node; an array of Graph.nnodes, by ordinal. */
typedef struct DiagramCounts
{
    bool known;              /* false: this node has no counts, the rest is unset */
    int64 rows_in;
    int64 rows_out;          /* of a target: the rows it loaded */
    int64 rejected;
} DiagramCounts;

/*
 * Draws the graph.  `counts` is NULL when there was no run yet.  Raises 22023
 * for a format other than text, mermaid and dot.
 */
extern char *diagram_draw(const Graph *graph, const char *format, const DiagramCounts *counts);

/* What a node does, in one line: "balance > 0", "append to customers".  May be empty. */
extern char *node_summary(const GraphNode *node);

/* The lines inside a node's box, of char *: id and type, label, summary; without control characters. */
extern List *diagram_node_lines(const GraphNode *node);

/* What stands beside a node's box, of char *: rejects, rows loaded.  NIL when nothing is to be said. */
extern List *diagram_node_notes(const Graph *graph, int node, const DiagramCounts *counts);

/*
 * What is written on an edge: its label and its rows, or an empty string.
 * The rows of an edge are known when it is the only one out of its source or
 * the only one into its target.
 */
extern char *diagram_edge_text(const Graph *graph, int edge, const DiagramCounts *counts);

/* ---- diagram_words.c: widths are display columns ---------------------------------- */

extern int diagram_text_width(const char *text);

/* Of a list of char *. */
extern int diagram_widest(List *texts);

/* The text; what is too wide of it is replaced by an ellipsis. */
extern char *diagram_cut(char *text, int width, bool unicode);

/* The texts (char *) as lines that are not wider, broken between words and behind "; ". */
extern List *diagram_wrap(List *texts, int width, bool unicode);

/* The drawing for a terminal (diagram_text.c); box drawing characters if `unicode`, else ASCII. */
extern char *diagram_text(const Graph *graph, const DiagramCounts *counts, bool unicode);

#endif
