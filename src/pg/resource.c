/*
 * resource.c: resources with the values of fields in them.  See resource.h.
 *
 * Resources are paths here, as those of all types that can be read are.  A
 * value is neither empty nor "." nor ".." and has no slash, so what a component
 * of the path becomes is never one of these either.
 */
#include "postgres.h"

#include "pg/resource.h"

#include "lib/stringinfo.h"

/* A name of a file is not longer on any file system there is. */
#define NAME_BYTES 255

/* The place of a name, which is added when it is new. */
static int
name_place(Resource *resource, const char *name)
{
    ListCell *lc;

    foreach(lc, resource->names)
    {
        if (strcmp(lfirst(lc), name) == 0)
            return foreach_current_index(lc);
    }
    resource->names = lappend(resource->names, pstrdup(name));
    return list_length(resource->names) - 1;
}

static void
add_part(Resource *resource, StringInfo text, int name)
{
    ResourcePart *part = palloc(sizeof(ResourcePart));

    part->text = pstrdup(text->data);
    part->name = name;
    resource->parts = lappend(resource->parts, part);
    resetStringInfo(text);
}

Resource *
resource_parse(const char *text, const char **problem)
{
    Resource *resource = palloc0(sizeof(Resource));
    StringInfoData literal;

    initStringInfo(&literal);
    for (const char *at = text; *at; at++)
    {
        const char *end;

        if ((*at == '{' || *at == '}') && at[1] == at[0])
            appendStringInfoChar(&literal, *at++);
        else if (*at == '{')
        {
            end = strpbrk(at + 1, "{}");
            if (end == NULL || *end == '{' || end == at + 1)
            {
                *problem = end == at + 1 ? "has {} without a name" : "has a { that is not closed";
                return NULL;
            }
            add_part(resource, &literal, name_place(resource, pnstrdup(at + 1, end - at - 1)));
            at = end;
        }
        else if (*at == '}')
        {
            *problem = "has a } that closes nothing";
            return NULL;
        }
        else
        {
            resource->has_sets |= *at == '[';
            appendStringInfoChar(&literal, *at);
        }
    }
    add_part(resource, &literal, -1);
    return resource;
}

const char *
resource_bad_value(const char *value)
{
    if (value[0] == '\0')
        return "an empty value can't be part of a path";
    if (strcmp(value, ".") == 0 || strcmp(value, "..") == 0)
        return "a value of dots can't be part of a path";
    if (strchr(value, '/'))
        return "a value with a slash can't be part of a path";
    if (strlen(value) > NAME_BYTES)
        return psprintf("a value of more than %d bytes can't be part of a path", NAME_BYTES);
    return NULL;
}

static char *
fill(const Resource *resource, char *const *values, const char *escaped)
{
    StringInfoData out;
    ListCell *lc;

    initStringInfo(&out);
    foreach(lc, resource->parts)
    {
        const ResourcePart *part = lfirst(lc);

        appendStringInfoString(&out, part->text);
        for (const char *at = part->name >= 0 ? values[part->name] : ""; *at; at++)
        {
            if (strchr(escaped, *at))
                appendStringInfoChar(&out, '\\');
            appendStringInfoChar(&out, *at);
        }
    }
    return out.data;
}

char *
resource_fill(const Resource *resource, char *const *values)
{
    return fill(resource, values, resource->has_sets ? "*?[]\\!^-" : "*?[]\\");
}

char *
resource_shown(const Resource *resource, char *const *values)
{
    return fill(resource, values, "");
}
