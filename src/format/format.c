/*
 * format.c: the table of formats; see format.h.
 */
#include "format/format.h"

#include <string.h>

static const Format *const formats[] = {&format_csv};

const Format *
format_find(const char *name)
{
    size_t i;

    for (i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
        if (strcmp(formats[i]->name, name) == 0)
            return formats[i];
    return NULL;
}

const char *
format_names(void)
{
    return "csv";
}
