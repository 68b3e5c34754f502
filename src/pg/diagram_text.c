/*
 * diagram_text.c: a pipeline's graph drawn for a terminal.  See diagram.h.
 *
 * Works for any graph without cycles.  Every node gets a layer, the longest
 * path to it; an edge that skips layers gets a cell of no size in each of
 * them, so that afterwards every link joins neighbouring layers.  The cells of
 * a layer are ordered by where their neighbours are, placed as near to these
 * as their widths allow, and joined: a straight line where one stands below
 * the other, else through a row of its own between the layers (a track, one
 * for all bent links of a cell).  All goes onto a canvas of glyphs; lines are
 * kept as directions there, so that corners and junctions come by themselves.
 *
 * An edge's text stands below its source if that has no other edge, else above
 * its target; an edge where neither holds is made to skip a layer, which gives
 * it a cell of its own to stand above.
 */
#include "postgres.h"

#include "pg/diagram.h"

#include <limits.h>
#include <math.h>

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"

#define MAX_LINE 44             /* display columns of one text; longer ones are cut */
#define GAP 3                   /* columns between the cells of a layer */
#define MAX_CELLS 64            /* side by side; nobody could read more, and the time grows with their cube */

/* What a glyph's lines reach, and what else is known of it. */
#define UP 1
#define DOWN 2
#define LEFT 4
#define RIGHT 8
#define CROSS (UP | DOWN | LEFT | RIGHT)
#define TAIL 16                 /* second column of a wide character */
#define JOINT 32                /* the lines here belong together; else they only cross */

typedef struct Glyph
{
    const char *text;           /* or NULL: only lines */
    int len;
    int bits;
} Glyph;

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
    Glyph *glyphs;
} Picture;

/* Columns that a text takes. */
static int
text_width(const char *text)
{
    int width = 0;

    for (; *text; text += pg_mblen(text))
        width += Max(pg_dsplen(text), 0);
    return width;
}

/* Cuts a text that is too long, in whole characters. */
static char *
fit(const Picture *pic, char *text)
{
    const char *more = pic->unicode ? "\u2026" : "...";
    int limit = MAX_LINE - (pic->unicode ? 1 : 3);
    int width = 0;
    char *p = text;

    if (text_width(text) <= MAX_LINE)
        return text;
    while (width + Max(pg_dsplen(p), 0) <= limit)
    {
        width += Max(pg_dsplen(p), 0);
        p += pg_mblen(p);
    }
    return psprintf("%.*s%s", (int) (p - text), text, more);
}

static List *
fit_all(const Picture *pic, List *texts)
{
    ListCell *lc;

    foreach(lc, texts)
        lfirst(lc) = fit(pic, lfirst(lc));
    return texts;
}

static int
widest(List *texts)
{
    int width = 0;
    ListCell *lc;

    foreach(lc, texts)
        width = Max(width, text_width(lfirst(lc)));
    return width;
}

/* Makes room at the right of a cell's line for a text. */
static char *
beside(Cell *cell, char *text)
{
    cell->right = Max(cell->right, 1 + text_width(text));
    return text;
}

/* Layers of the nodes, and how many layers there are. */
static int
find_layers(const Graph *graph, int *layer, const int *in, const int *out)
{
    int deepest = 0;

    for (int n = 0; n < graph->nnodes; n++)
    {
        deepest = Max(deepest, layer[n]);
        for (int e = 0; e < graph->nedges; e++)
        {
            const GraphEdge *edge = &graph->edges[e];

            if (edge->from == n)
                layer[edge->to] = Max(layer[edge->to], layer[n] + (out[n] > 1 && in[edge->to] > 1 ? 2 : 1));
        }
    }
    return deepest + 1;
}

static void
measure_node(Picture *pic, Cell *cell, const DiagramCounts *counts)
{
    int width;

    cell->lines = fit_all(pic, diagram_node_lines(&pic->graph->nodes[cell->node]));
    cell->notes = diagram_node_notes(pic->graph, cell->node, counts);
    width = widest(cell->lines) + 4;
    cell->box_left = cell->left = width / 2;
    cell->box_right = cell->right = width - width / 2 - 1;
    if (cell->notes != NIL)
        cell->right += 2 + widest(cell->notes);
}

/* Cells for the nodes and for the layers that edges skip; links; texts. */
static void
build_cells(Picture *pic, const DiagramCounts *counts)
{
    const Graph *graph = pic->graph;
    int *layer = palloc0(sizeof(int) * graph->nnodes);
    int *in = palloc0(sizeof(int) * graph->nnodes);
    int *out = palloc0(sizeof(int) * graph->nnodes);
    int links = 0;

    for (int e = 0; e < graph->nedges; e++)
    {
        out[graph->edges[e].from]++;
        in[graph->edges[e].to]++;
    }
    pic->nlayers = find_layers(graph, layer, in, out);
    for (int e = 0; e < graph->nedges; e++)
        links += layer[graph->edges[e].to] - layer[graph->edges[e].from];
    pic->cells = palloc0(sizeof(Cell) * (graph->nnodes + links));
    pic->links = palloc0(sizeof(Link) * Max(links, 1));
    for (int n = 0; n < graph->nnodes; n++)
    {
        pic->cells[n].node = n;
        pic->cells[n].layer = layer[n];
        measure_node(pic, &pic->cells[n], counts);
    }
    pic->ncells = graph->nnodes;
    for (int e = 0; e < graph->nedges; e++)
    {
        const GraphEdge *edge = &graph->edges[e];
        char *text = fit(pic, diagram_edge_text(graph, e, counts));
        int last = edge->from;

        for (int at = layer[edge->from] + 1; at <= layer[edge->to]; at++)
        {
            bool through = at < layer[edge->to];
            int next = through ? pic->ncells++ : edge->to;

            if (through)
            {
                pic->cells[next].node = -1;
                pic->cells[next].layer = at;
            }
            pic->links[pic->nlinks].from = last;
            pic->links[pic->nlinks++].to = next;
            if (last == edge->from && text[0])
            {
                if (out[edge->from] == 1)
                    pic->cells[last].stem = beside(&pic->cells[last], text);
                else
                    pic->cells[next].drop = beside(&pic->cells[next], text);
            }
            last = next;
        }
    }
}

/* Sorts the links by the layer they start in, so that each layer knows its own. */
static void
sort_links(Picture *pic)
{
    Link *sorted = palloc(sizeof(Link) * Max(pic->nlinks, 1));
    int first = 0;

    for (int i = 0; i < pic->nlinks; i++)
        pic->layers[pic->cells[pic->links[i].from].layer].nlinks++;
    for (int l = 0; l < pic->nlayers; l++)
    {
        pic->layers[l].first_link = first;
        first += pic->layers[l].nlinks;
        pic->layers[l].nlinks = 0;
    }
    for (int i = 0; i < pic->nlinks; i++)
    {
        Layer *layer = &pic->layers[pic->cells[pic->links[i].from].layer];

        sorted[layer->first_link + layer->nlinks++] = pic->links[i];
    }
    pfree(pic->links);
    pic->links = sorted;
}

static void
fill_layers(Picture *pic)
{
    pic->layers = palloc0(sizeof(Layer) * pic->nlayers);
    for (int c = 0; c < pic->ncells; c++)
        pic->layers[pic->cells[c].layer].ncells++;
    for (int l = 0; l < pic->nlayers; l++)
    {
        if (pic->layers[l].ncells > MAX_CELLS)
            ereport(ERROR,
                    (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                     errmsg("the pipeline is too wide to be drawn as text"),
                     errdetail("More than %d nodes or edges would stand side by side.", MAX_CELLS),
                     errhint("Use format mermaid or dot.")));
        pic->layers[l].cells = palloc(sizeof(int) * Max(pic->layers[l].ncells, 1));
        pic->layers[l].ncells = 0;
    }
    for (int c = 0; c < pic->ncells; c++)
    {
        Layer *layer = &pic->layers[pic->cells[c].layer];

        pic->cells[c].place = layer->ncells;
        layer->cells[layer->ncells++] = c;
    }
    sort_links(pic);
}

/* The links between a layer and the next: from *first until before the result. */
static int
links_of_layer(const Picture *pic, int layer, int *first)
{
    if (layer < 0 || layer >= pic->nlayers)
        return *first = 0;
    *first = pic->layers[layer].first_link;
    return *first + pic->layers[layer].nlinks;
}

/* Mean of `place` (or of the centers) of a cell's neighbours above or below; its own without any. */
static double
mean_of_neighbours(const Picture *pic, int cell, bool above, bool centers)
{
    double sum = 0;
    int n = 0;
    int i, end = links_of_layer(pic, pic->cells[cell].layer - (above ? 1 : 0), &i);

    for (; i < end; i++)
    {
        int self = above ? pic->links[i].to : pic->links[i].from;
        const Cell *other = &pic->cells[above ? pic->links[i].from : pic->links[i].to];

        if (self != cell)
            continue;
        sum += centers ? other->center : other->place;
        n++;
    }
    if (n > 0)
        return sum / n;
    return centers ? pic->cells[cell].center : pic->cells[cell].place;
}

/* Sorts a layer by its neighbours' places, so that few lines cross.  Stable. */
static void
sort_layer(Picture *pic, Layer *layer, bool above)
{
    double *key = palloc(sizeof(double) * layer->ncells);

    for (int i = 0; i < layer->ncells; i++)
    {
        int cell = layer->cells[i];
        double mine = mean_of_neighbours(pic, cell, above, false);
        int j = i;

        for (; j > 0 && key[j - 1] > mine; j--)
        {
            key[j] = key[j - 1];
            layer->cells[j] = layer->cells[j - 1];
        }
        key[j] = mine;
        layer->cells[j] = cell;
    }
    for (int i = 0; i < layer->ncells; i++)
        pic->cells[layer->cells[i]].place = i;
    pfree(key);
}

/*
 * Puts a layer's cells as near as possible to the middle of their neighbours.
 * With the room that the cells before it need taken off, a cell's wish must
 * not be less than that of the one before; where it is, the cells stand close
 * together as one block, at the mean of their wishes.
 */
static void
place_layer(Picture *pic, Layer *layer, bool above)
{
    int n = layer->ncells;
    int *room = palloc0(sizeof(int) * n);
    double *wish = palloc(sizeof(double) * n);  /* by block: the mean */
    int *size = palloc(sizeof(int) * n);        /* by block: its cells */
    int nblocks = 0;
    int at = 0;

    for (int i = 0; i < n; i++)
    {
        if (i > 0)
            room[i] = room[i - 1] + pic->cells[layer->cells[i - 1]].right + 1 + GAP + pic->cells[layer->cells[i]].left;
        wish[nblocks] = mean_of_neighbours(pic, layer->cells[i], above, true) - room[i];
        size[nblocks++] = 1;
        while (nblocks > 1 && wish[nblocks - 2] > wish[nblocks - 1])
        {
            int both = size[nblocks - 2] + size[nblocks - 1];

            wish[nblocks - 2] = (wish[nblocks - 2] * size[nblocks - 2] + wish[nblocks - 1] * size[nblocks - 1]) / both;
            size[nblocks - 2] = both;
            nblocks--;
        }
    }
    for (int b = 0; b < nblocks; b++)
    {
        for (int i = 0; i < size[b]; i++, at++)
            pic->cells[layer->cells[at]].center = room[at] + (int) floor(wish[b] + 0.5);
    }
    pfree(room);
    pfree(wish);
    pfree(size);
}

/* Orders and places all cells: down and up, since each layer wishes to stand with both neighbours. */
static void
place_cells(Picture *pic)
{
    int leftmost = INT_MAX;

    for (int sweep = 0; sweep < 8; sweep++)
    {
        bool down = sweep % 2 == 0;

        for (int i = 0; i < pic->nlayers; i++)
        {
            Layer *layer = &pic->layers[down ? i : pic->nlayers - 1 - i];

            CHECK_FOR_INTERRUPTS();
            if (sweep < 4)
                sort_layer(pic, layer, down);
            else
                place_layer(pic, layer, down);
        }
    }
    for (int c = 0; c < pic->ncells; c++)
        leftmost = Min(leftmost, pic->cells[c].center - pic->cells[c].left);
    for (int c = 0; c < pic->ncells; c++)
    {
        pic->cells[c].center -= leftmost;
        pic->width = Max(pic->width, pic->cells[c].center + pic->cells[c].right + 1);
    }
}

static bool
is_bent(const Picture *pic, const Link *link)
{
    return pic->cells[link->from].center != pic->cells[link->to].center;
}

/* What a cell's bent links cover: columns, and the only target if there is one (else -1). */
typedef struct Bus
{
    int low;
    int high;
    int only;
} Bus;

static Bus
bus_of(const Picture *pic, int cell)
{
    Bus bus = {pic->cells[cell].center, pic->cells[cell].center, -1};
    int links = 0;
    int i, end = links_of_layer(pic, pic->cells[cell].layer, &i);

    for (; i < end; i++)
    {
        if (pic->links[i].from != cell)
            continue;
        bus.low = Min(bus.low, pic->cells[pic->links[i].to].center);
        bus.high = Max(bus.high, pic->cells[pic->links[i].to].center);
        bus.only = links++ == 0 ? pic->links[i].to : -1;
    }
    return bus;
}

/* Does the second cell's track reach down where the first cell's line starts?  Then it must be lower. */
static bool
must_be_above(const Picture *pic, int first, int second)
{
    int i, end = links_of_layer(pic, pic->cells[second].layer, &i);

    for (; i < end; i++)
    {
        if (pic->links[i].from == second && is_bent(pic, &pic->links[i]) &&
            pic->cells[pic->links[i].to].center == pic->cells[first].center)
            return first != second;
    }
    return false;
}

/* The lowest-numbered row where a cell's bus touches no other, unless both lead to one and the same cell. */
static int
free_track(const Picture *pic, const Layer *layer, int cell)
{
    Bus mine = bus_of(pic, cell);
    int row = 0;

    for (int i = 0; i < layer->ncells; i++)
    {
        int other = layer->cells[i];

        if (pic->track[other] >= row && must_be_above(pic, other, cell))
            row = pic->track[other] + 1;
    }
    for (int i = 0; i < layer->ncells; i++)
    {
        int other = layer->cells[i];
        Bus bus = bus_of(pic, other);

        if (pic->track[other] != row || bus.low > mine.high + 1 || mine.low > bus.high + 1 ||
            (mine.only >= 0 && bus.only == mine.only))
            continue;
        row++;
        i = -1;
    }
    return row;
}

/* Gives each cell with bent links its track; those that must be above others come first. */
static void
assign_tracks(Picture *pic, Layer *layer)
{
    bool *waiting = palloc0(sizeof(bool) * layer->ncells);
    int left = 0;
    int l, end = links_of_layer(pic, layer - pic->layers, &l);

    for (; l < end; l++)
    {
        for (int c = 0; is_bent(pic, &pic->links[l]) && c < layer->ncells; c++)
        {
            if (layer->cells[c] == pic->links[l].from && !waiting[c])
            {
                waiting[c] = true;
                left++;
            }
        }
    }
    for (; left > 0; left--)
    {
        int next = -1;

        CHECK_FOR_INTERRUPTS();
        for (int c = 0; c < layer->ncells && next < 0; c++)
        {
            next = waiting[c] ? c : -1;
            for (int i = 0; next >= 0 && i < layer->ncells; i++)
            {
                if (waiting[i] && must_be_above(pic, layer->cells[i], layer->cells[c]))
                    next = -1;
            }
        }
        /* A circle of wishes: lines will touch, but the drawing goes on. */
        for (int c = 0; next < 0; c++)
            next = waiting[c] ? c : -1;
        waiting[next] = false;
        pic->track[layer->cells[next]] = free_track(pic, layer, layer->cells[next]);
        layer->ntracks = Max(layer->ntracks, pic->track[layer->cells[next]] + 1);
    }
    pfree(waiting);
}

/* Rows of every layer: boxes, texts below, tracks, texts above the next, arrow heads. */
static void
assign_rows(Picture *pic)
{
    int row = 0;

    pic->track = palloc(sizeof(int) * pic->ncells);
    for (int c = 0; c < pic->ncells; c++)
        pic->track[c] = -1;
    for (int l = 0; l < pic->nlayers; l++)
    {
        Layer *layer = &pic->layers[l];
        int lines = 0;
        bool drop = false, stem = false;

        for (int i = 0; i < layer->ncells; i++)
        {
            const Cell *cell = &pic->cells[layer->cells[i]];

            lines = Max(lines, Max(list_length(cell->lines), list_length(cell->notes)));
            drop |= cell->drop != NULL;
            stem |= cell->stem != NULL;
        }
        if (l > 0)
        {
            row += drop;
            layer->arrow = row++;
        }
        layer->top = row;
        layer->bottom = row + lines + 1;
        row = layer->bottom + 1;
        assign_tracks(pic, layer);
        for (int i = 0; i < layer->ncells; i++)
        {
            if (pic->track[layer->cells[i]] >= 0)
                pic->track[layer->cells[i]] += row + stem;
        }
        if (l < pic->nlayers - 1)
            row += stem + layer->ntracks;
    }
    pic->height = row;
}

static Glyph *
glyph(Picture *pic, int row, int column)
{
    return &pic->glyphs[(Size) row * pic->width + column];
}

static void
draw_down(Picture *pic, int column, int top, int bottom)
{
    for (int row = top; row <= bottom; row++)
        glyph(pic, row, column)->bits |= (row > top ? UP : 0) | (row < bottom ? DOWN : 0);
}

static void
draw_across(Picture *pic, int row, int left, int right)
{
    for (int column = left; column <= right; column++)
        glyph(pic, row, column)->bits |= (column > left ? LEFT : 0) | (column < right ? RIGHT : 0);
}

/* Writes a text; what takes no column of its own goes with the character before it. */
static void
draw_string(Picture *pic, int row, int column, const char *text)
{
    Glyph *last = NULL;

    for (; *text; text += pg_mblen(text))
    {
        int width = pg_dsplen(text);

        if (width > 0)
        {
            last = glyph(pic, row, column);
            last->text = text;
            last->len = pg_mblen(text);
            for (int i = 1; i < width; i++)
                last[i].bits = TAIL;
            column += width;
        }
        else if (width == 0 && last && last->text + last->len == text)
            last->len += pg_mblen(text);
    }
}

static void
draw_cell(Picture *pic, const Cell *cell)
{
    const Layer *layer = &pic->layers[cell->layer];
    int left = cell->center - cell->box_left;
    int right = cell->center + cell->box_right;
    int row = layer->top + 1;
    ListCell *lc;

    if (cell->drop)
        draw_string(pic, layer->arrow - 1, cell->center + 2, cell->drop);
    if (cell->stem)
        draw_string(pic, layer->bottom + 1, cell->center + 2, cell->stem);
    if (cell->node < 0)
    {
        draw_down(pic, cell->center, layer->top, layer->bottom);
        return;
    }
    draw_across(pic, layer->top, left, right);
    draw_across(pic, layer->bottom, left, right);
    draw_down(pic, left, layer->top, layer->bottom);
    draw_down(pic, right, layer->top, layer->bottom);
    foreach(lc, cell->lines)
        draw_string(pic, row++, left + 2, lfirst(lc));
    row = layer->top + 1;
    foreach(lc, cell->notes)
        draw_string(pic, row++, right + 3, lfirst(lc));
}

static void
draw_link(Picture *pic, const Link *link)
{
    const Cell *from = &pic->cells[link->from];
    const Cell *to = &pic->cells[link->to];
    int start = pic->layers[from->layer].bottom;
    int arrow = pic->layers[to->layer].arrow;
    int end = to->node >= 0 ? arrow : arrow + 1;

    if (is_bent(pic, link))
    {
        int track = pic->track[link->from];

        draw_down(pic, from->center, start, track);
        draw_across(pic, track, Min(from->center, to->center), Max(from->center, to->center));
        draw_down(pic, to->center, track, end);
        glyph(pic, track, from->center)->bits |= JOINT;
        glyph(pic, track, to->center)->bits |= JOINT;
    }
    else
        draw_down(pic, from->center, start, end);
    if (to->node >= 0)
        draw_string(pic, arrow, to->center, pic->unicode ? "\u25bc" : "v");
}

/* The canvas as text, without blanks at line ends and without a last line end. */
static char *
render(Picture *pic)
{
    static const char *const boxes[CROSS + 1] = {
        " ", "\u2502", "\u2502", "\u2502", "\u2500", "\u2518", "\u2510", "\u2524",
        "\u2500", "\u2514", "\u250c", "\u251c", "\u2500", "\u2534", "\u252c", "\u253c"};
    static const char *const ascii[CROSS + 1] = {
        " ", "|", "|", "|", "-", "+", "+", "+", "-", "+", "+", "+", "-", "+", "+", "+"};
    const char *const *lines = pic->unicode ? boxes : ascii;
    StringInfoData out;

    initStringInfo(&out);
    for (int row = 0; row < pic->height; row++)
    {
        int full = out.len;

        for (int column = 0; column < pic->width; column++)
        {
            const Glyph *g = glyph(pic, row, column);
            int bits = g->bits & CROSS;

            /* Lines that only cross: the one from above is drawn through. */
            if (bits == CROSS && !(g->bits & JOINT))
                bits = UP | DOWN;
            if (g->text)
                appendBinaryStringInfo(&out, g->text, g->len);
            else if (!(g->bits & TAIL))
                appendStringInfoString(&out, lines[bits]);
            if (g->text ? *g->text != ' ' : bits != 0)
                full = out.len;
        }
        out.len = full;
        if (row < pic->height - 1)
            appendStringInfoChar(&out, '\n');
    }
    out.data[out.len] = '\0';
    return out.data;
}

char *
diagram_text(const Graph *graph, const DiagramCounts *counts, bool unicode)
{
    Picture pic = {0};

    if (graph->nnodes == 0)
        return pstrdup("");
    pic.graph = graph;
    pic.unicode = unicode;
    build_cells(&pic, counts);
    fill_layers(&pic);
    place_cells(&pic);
    assign_rows(&pic);
    pic.glyphs = palloc0(sizeof(Glyph) * pic.width * pic.height);
    for (int c = 0; c < pic.ncells; c++)
        draw_cell(&pic, &pic.cells[c]);
    for (int l = 0; l < pic.nlinks; l++)
        draw_link(&pic, &pic.links[l]);
    return render(&pic);
}
