/*
 * resource.h: resources with the values of fields in them: "orders/{id}.csv".
 *
 * A name in braces stands for a value; {{ and }} are braces.  Values are data:
 * whatever is in one, it stays within the name of one file or folder, and no
 * character of it is a wildcard.
 */
#ifndef KAIREON_RESOURCE_H
#define KAIREON_RESOURCE_H

#include "postgres.h"
#include "nodes/pg_list.h"

/* A text, and behind it a value: the `name`-th, or none (-1). */
typedef struct ResourcePart { char *text; int name; } ResourcePart;

typedef struct Resource
{
    List *parts;             /* ResourcePart * */
    List *names;             /* char *: what stands in braces, each once */
    bool has_sets;           /* its own text has a [: a value may come to stand in one */
} Resource;

/* Takes a text apart, in the current context; NULL, with what is wrong in *problem, when a brace stands alone. */
extern Resource *resource_parse(const char *text, const char **problem);

/* Why a value can't be part of a path; NULL: it can. */
extern const char *resource_bad_value(const char *value);

/* The resource with these values, by place in names, as a pattern for those that resource_bad_value let pass. */
extern char *resource_fill(const Resource *resource, char *const *values);

/* The same as a person writes it, for messages. */
extern char *resource_shown(const Resource *resource, char *const *values);

#endif
