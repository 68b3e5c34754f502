/*
 * diagram_layout.h: where the parts of a drawing for a terminal are; private to
 * diagram_text.c, which makes them, and diagram_place.c, which places them.
 */
#ifndef KAIREON_DIAGRAM_LAYOUT_H
#define KAIREON_DIAGRAM_LAYOUT_H

#include "postgres.h"

#include "pg/diagram.h"

#define LAYOUT_GAP 3            /* columns between the cells of a layer */

struct Glyph;

typedef struct Cell
{
    int node;                   /* ordinal, or -1: a place an edge passes through */
    int layer;
    int center;                 /* column of the lines in and out */
    int left;                   /* columns needed on both sides of it */
    int right;
    int box_left;               /* of these, the box alone */
    int box_right;
    List *lines;
    List *notes;
    char *stem;                 /* text below the cell, or NULL */
    char *drop;                 /* text above it, or NULL */
    double place;               /* for sorting */
} Cell;

typedef struct Link
{
    int from;                   /* cells, in neighbouring layers */
    int to;
} Link;

typedef struct Layer
{
    int ncells;
    int *cells;                 /* from left to right */
    int top;                    /* first and last row of the boxes */
    int bottom;
    int arrow;                  /* row of the arrow heads above */
    int ntracks;
    int first_link;             /* of those that start here, in Picture.links */
    int nlinks;
} Layer;

typedef struct Picture
{
    const Graph *graph;
    bool unicode;
    int ncells;
    Cell *cells;
    int nlinks;
    Link *links;
    int nlayers;
    Layer *layers;
    int *track;                 /* by cell: the track of its bent links below, or -1 */
    int width;
    int height;
    struct Glyph *glyphs;
} Picture;

/* The links between a layer and the next: from *first until before the result. */
extern int layout_links(const Picture *pic, int layer, int *first);

/*
 * Orders the cells of each layer, so that few lines cross, and gives each its
 * column, so that few lines bend; and the picture its width.
 */
extern void layout_place(Picture *pic);

#endif
