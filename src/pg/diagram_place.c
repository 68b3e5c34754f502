/*
 * diagram_place.c: which columns the cells of a drawing are in.  See
 * diagram_layout.h.
 *
 * Layers are sorted by where the neighbours of their cells are, and cells put as
 * near to these as their widths allow, a few times down and up.  Then bends of
 * lines that could be straight are taken out, as far as there is room.
 */
#include "postgres.h"

#include "pg/diagram_layout.h"

#include <limits.h>
#include <math.h>

#include "miscadmin.h"

int
layout_links(const Picture *pic, int layer, int *first)
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
    int i, end = layout_links(pic, pic->cells[cell].layer - (above ? 1 : 0), &i);

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
            room[i] = room[i - 1] + pic->cells[layer->cells[i - 1]].right + 1 + LAYOUT_GAP + pic->cells[layer->cells[i]].left;
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

/* How many links lead to a cell from above (or from it down), and the other end of the first. */
static int
count_links(const Picture *pic, int cell, bool above, int *other)
{
    int count = 0, i, end = layout_links(pic, pic->cells[cell].layer - (above ? 1 : 0), &i);

    for (; i < end; i++)
    {
        if ((above ? pic->links[i].to : pic->links[i].from) != cell)
            continue;
        if (count++ == 0)
            *other = above ? pic->links[i].from : pic->links[i].to;
    }
    return count;
}

/* The column nearest to a cell's left where the next one of the layer may be. */
static int
room_behind(const Picture *pic, const Layer *layer, int i)
{
    const Cell *cell = &pic->cells[layer->cells[i]], *next = &pic->cells[layer->cells[i + 1]];

    return cell->center + cell->right + 1 + LAYOUT_GAP + next->left;
}

/* Moves a cell as near to a column as its neighbours leave room; for a bend of a column or two those at its right give way. */
static void
move_cell(Picture *pic, const Layer *layer, int i, double column)
{
    Cell *cell = &pic->cells[layer->cells[i]];
    int lacking;

    cell->center = (int) floor(column + 0.5);
    if (i > 0)
        cell->center = Max(cell->center, room_behind(pic, layer, i - 1));
    lacking = i + 1 < layer->ncells ? room_behind(pic, layer, i) - pic->cells[layer->cells[i + 1]].center : 0;
    if (lacking > 2)
        cell->center -= lacking;
    for (; lacking <= 2 && i + 1 < layer->ncells; i++)
        pic->cells[layer->cells[i + 1]].center = Max(pic->cells[layer->cells[i + 1]].center, room_behind(pic, layer, i));
}

/*
 * A cell whose line comes straight down from one above is put below it, and one
 * that several lines come to into their middle.  The other way (`above` is
 * false): the first of such a chain is put above the next.
 */
static void
straighten(Picture *pic, const Layer *layer, int i, bool above)
{
    int cell = layer->cells[i], other = -1, none;
    int parents = count_links(pic, cell, true, &other);
    bool first = parents != 1 || count_links(pic, other, false, &none) > 1;

    if (above && (parents > 1 || (parents == 1 && !first)))
        move_cell(pic, layer, i, mean_of_neighbours(pic, cell, true, true));
    else if (!above && first && count_links(pic, cell, false, &other) == 1 && count_links(pic, other, true, &none) == 1)
        move_cell(pic, layer, i, pic->cells[other].center);
}

static void
straighten_layer(Picture *pic, const Layer *layer, bool above)
{
    for (int i = 0; i < layer->ncells; i++)
        straighten(pic, layer, i, above);
    for (int i = layer->ncells - 1; i >= 0; i--)
        straighten(pic, layer, i, above);
}

/* Down and up, since each layer wishes to stand with both neighbours. */
void
layout_place(Picture *pic)
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
    for (int sweep = 0; sweep < 5; sweep++)
    {
        for (int i = 0; i < pic->nlayers; i++)
            straighten_layer(pic, &pic->layers[sweep % 2 == 0 ? i : pic->nlayers - 1 - i], sweep % 2 == 0);
    }
    for (int c = 0; c < pic->ncells; c++)
        leftmost = Min(leftmost, pic->cells[c].center - pic->cells[c].left);
    for (int c = 0; c < pic->ncells; c++)
    {
        pic->cells[c].center -= leftmost;
        pic->width = Max(pic->width, pic->cells[c].center + pic->cells[c].right + 1);
    }
}
