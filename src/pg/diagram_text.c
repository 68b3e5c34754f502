/*
 * diagram_text.c: a pipeline's graph drawn for a terminal.  See diagram.h.
 *
 * Works for any graph without cycles.  Every node gets a layer, the longest
 * path to it; an edge that skips layers gets a cell of no size in each of
 * them, so that afterwards every link joins neighbouring layers.  The texts of
 * a layer's boxes are broken so that it fits on a page (diagram_words.c).  The
 * cells are placed (diagram_place.c) and joined: a straight line where one
 * stands below the other, else through a row of its own between the layers (a
 * track, one for all bent links of a cell).  All goes onto a canvas of glyphs;
 * lines are kept as directions there, so that corners and junctions come by
 * themselves.
 *
 * An edge's text stands below its source if that has no other edge, else above
 * its target; an edge where neither holds is made to skip a layer, which gives
 * it a cell of its own to stand above.
 */
#include "postgres.h"

#include "pg/diagram_layout.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"

#define MAX_CELLS 64            /* side by side; nobody could read more, and the time grows with their cube */
#define PAGE 120                /* columns that a layer should have at most */

/* Columns of the texts in a layer's boxes: the first with which it fits on the page, else the last. */
static const int text_widths[] = {44, 34, 26, 20, 16};

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

/* Makes room at the right of a cell's line for a text. */
static char *
beside(Cell *cell, char *text)
{
    cell->right = Max(cell->right, 1 + diagram_text_width(text));
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

/* What a node's box holds, in so many columns, and the room it needs. */
static void
measure_node(const Picture *pic, Cell *cell, int text_width, const DiagramCounts *counts)
{
    int width;

    cell->lines = diagram_wrap(diagram_node_lines(&pic->graph->nodes[cell->node]), text_width, pic->unicode);
    cell->notes = diagram_node_notes(pic->graph, cell->node, counts);
    width = diagram_widest(cell->lines) + 4;
    cell->box_left = cell->left = width / 2;
    cell->box_right = cell->right = width - width / 2 - 1;
    if (cell->notes != NIL)
        cell->right += 2 + diagram_widest(cell->notes);
}

/* The nodes of a layer, with texts of a width that fits on the page. */
static void
measure_layer(Picture *pic, int layer, const DiagramCounts *counts)
{
    for (size_t i = 0; i < lengthof(text_widths); i++)
    {
        int width = 0;

        for (int n = 0; n < pic->graph->nnodes; n++)
        {
            if (pic->cells[n].layer != layer)
                continue;
            measure_node(pic, &pic->cells[n], text_widths[i], counts);
            width += (width > 0 ? LAYOUT_GAP : 0) + pic->cells[n].left + 1 + pic->cells[n].right;
        }
        if (width <= PAGE)
            break;
    }
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
    }
    for (int l = 0; l < pic->nlayers; l++)
        measure_layer(pic, l, counts);
    pic->ncells = graph->nnodes;
    for (int e = 0; e < graph->nedges; e++)
    {
        const GraphEdge *edge = &graph->edges[e];
        char *text = diagram_cut(diagram_edge_text(graph, e, counts), text_widths[0], pic->unicode);
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
    int i, end = layout_links(pic, pic->cells[cell].layer, &i);

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
    int i, end = layout_links(pic, pic->cells[second].layer, &i);

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
    int l, end = layout_links(pic, layer - pic->layers, &l);

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
    layout_place(&pic);
    assign_rows(&pic);
    pic.glyphs = palloc0(sizeof(Glyph) * pic.width * pic.height);
    for (int c = 0; c < pic.ncells; c++)
        draw_cell(&pic, &pic.cells[c]);
    for (int l = 0; l < pic.nlinks; l++)
        draw_link(&pic, &pic.links[l]);
    return render(&pic);
}
