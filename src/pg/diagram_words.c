/*
 * diagram_words.c: texts of a drawing for a terminal: how wide they are, and
 * how they are broken into lines.  See diagram.h.
 *
 * Widths are display columns, places are whole characters.
 */
#include "postgres.h"

#include "pg/diagram.h"

#include <ctype.h>

#include "mb/pg_wchar.h"

#define MAX_LINES 6             /* of one text; what is longer is cut */

int
diagram_text_width(const char *text)
{
    int width = 0;

    for (; *text; text += pg_mblen(text))
        width += Max(pg_dsplen(text), 0);
    return width;
}

int
diagram_widest(List *texts)
{
    int width = 0;
    ListCell *lc;

    foreach(lc, texts)
        width = Max(width, diagram_text_width(lfirst(lc)));
    return width;
}

/* How many bytes of the text fit into so many columns. */
static int
bytes_that_fit(const char *text, int width)
{
    const char *p = text;

    while (*p && Max(pg_dsplen(p), 0) <= width)
    {
        width -= Max(pg_dsplen(p), 0);
        p += pg_mblen(p);
    }
    return p - text;
}

char *
diagram_cut(char *text, int width, bool unicode)
{
    if (diagram_text_width(text) <= width)
        return text;
    return psprintf("%.*s%s", bytes_that_fit(text, width - (unicode ? 1 : 3)), text, unicode ? "\u2026" : "...");
}

/* Where the first line of a text that is too long ends: behind a blank, else behind a sign, else where the room ends. */
static int
end_of_line(const char *text, int width)
{
    int fits = bytes_that_fit(text, width), blank = fits, sign = fits;

    if (text[fits] == ' ')
        return fits + 1;
    while (blank > 0 && text[blank - 1] != ' ')
        blank--;
    /* not if the word would have to be broken on the next line all the same */
    if (blank > 0 && (int) strcspn(text + blank, " ") <= width)
        return blank;
    while (sign > blank && (IS_HIGHBIT_SET(text[sign - 1]) || isalnum((unsigned char) text[sign - 1])))
        sign--;
    return sign > blank ? sign : fits;
}

/* The lines of one text, which are the last so many. */
static List *
wrap_text(List *lines, char *text, int width, bool unicode)
{
    for (int count = 1; count < MAX_LINES && diagram_text_width(text) > width; count++)
    {
        int end = end_of_line(text, width), length = end;

        while (length > 0 && text[length - 1] == ' ')
            length--;
        lines = lappend(lines, pnstrdup(text, length));
        text += end;
    }
    return lappend(lines, diagram_cut(text, width, unicode));
}

List *
diagram_wrap(List *texts, int width, bool unicode)
{
    List *lines = NIL;
    ListCell *lc;

    foreach(lc, texts)
    {
        char *text = lfirst(lc), *part;

        /* parts that stand beside one another if they can, else each on its own */
        while (diagram_text_width(text) > width && (part = strstr(text, "; ")) != NULL)
        {
            lines = wrap_text(lines, pnstrdup(text, part + 1 - text), width, unicode);
            text = part + 2;
        }
        lines = wrap_text(lines, text, width, unicode);
    }
    return lines;
}
