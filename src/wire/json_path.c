/*
 * json_path.c: paths in options of JSON.  See json_path.h.
 */
#include "wire/json_path.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef struct Parse
{
    JsonPath *path;
    const char *s;      /* the next character: where it is wrong, if it is */
    char *out;          /* where the next key goes */
    bool record;
} Parse;

static const char *const too_many = "it has more than 32 steps";

static JsonStep *
add_step(Parse *parse, JsonStepKind kind)
{
    JsonStep *step;

    if (parse->path->nsteps == JSON_PATH_STEPS)
        return NULL;
    step = &parse->path->steps[parse->path->nsteps++];
    *step = (JsonStep) {.kind = kind, .key = parse->out};
    return step;
}

static void
end_key(Parse *parse, JsonStep *step)
{
    step->n = (uint32_t) (parse->out - step->key);
    *parse->out++ = '\0';
}

/* Each of these reads a step, whose first character it has: NULL, or what is wrong. */
static const char *
read_point(Parse *parse)
{
    JsonStep *step = add_step(parse, JSON_STEP_KEY);

    if (step == NULL)
        return too_many;
    parse->s++;
    while (*parse->s != '\0' && strchr(".[]*\"' ", *parse->s) == NULL)
        *parse->out++ = *parse->s++;
    end_key(parse, step);
    return step->n > 0 ? NULL : "a key is expected";
}

static const char *
read_quoted(Parse *parse, JsonStep *step)
{
    char quote = *parse->s++;

    while (*parse->s != quote)
    {
        if (*parse->s == '\\')
            parse->s++;
        if (*parse->s == '\0')
            return "the quote is not closed";
        *parse->out++ = *parse->s++;
    }
    parse->s++;
    end_key(parse, step);
    return NULL;
}

static const char *
read_index(Parse *parse, JsonStep *step)
{
    char *end;
    unsigned long index;

    if (*parse->s < '0' || *parse->s > '9')
        return "a number or a key in quotes is expected";
    index = strtoul(parse->s, &end, 10);
    if (index >= JSON_PATH_ELEMENTS)
        return "numbers of elements go up to 16383";
    step->kind = JSON_STEP_INDEX;
    step->index = (uint32_t) index;
    parse->s = end;
    return NULL;
}

static const char *
read_brackets(Parse *parse)
{
    JsonStep *step = add_step(parse, JSON_STEP_KEY);
    const char *wrong;

    if (step == NULL)
        return too_many;
    parse->s++;
    if (*parse->s == '"' || *parse->s == '\'')
        wrong = read_quoted(parse, step);
    else if (!parse->record)
        wrong = read_index(parse, step);
    else if (*parse->s == '*')
    {
        step->kind = JSON_STEP_ALL;
        parse->s++;
        wrong = NULL;
    }
    else
        wrong = "* or a key in quotes is expected";
    if (wrong == NULL && *parse->s != ']')
        return "] is expected";
    parse->s += wrong == NULL;
    return wrong;
}

static const char *
read_steps(Parse *parse)
{
    const char *wrong = NULL;

    if (*parse->s != '$')
        return "$ is expected";
    parse->s++;
    while (wrong == NULL && *parse->s != '\0')
    {
        if (*parse->s == '.')
            wrong = read_point(parse);
        else if (*parse->s == '[')
            wrong = read_brackets(parse);
        else
            wrong = "a point or [ is expected";
    }
    return wrong;
}

const char *
json_path_read(JsonPath *path, const char *text, bool record, int *at)
{
    Parse parse = {.path = path, .s = text, .out = path->keys, .record = record};
    const char *wrong;

    path->nsteps = 0;
    wrong = read_steps(&parse);
    *at = 1;
    for (const char *s = text; s < parse.s; s++)
        *at += ((unsigned char) *s & 0xC0) != 0x80;
    return wrong;
}
