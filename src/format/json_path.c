/*
 * json_path.c: paths in options: $.data.items[*], $["a b"][0].c.
 *
 * The part of JSONPath that names one place: keys behind a point or in
 * brackets and quotes, numbers of elements, and for rows [*].  Inside of quotes
 * a backslash takes the next character as it is.  Private parser of the options.
 */
#include <stdlib.h>
#include <string.h>

#include "format/json.h"

typedef struct Parse
{
    JsPath *path;
    const char *s;      /* the next character */
    char *out;          /* where the next key goes */
    bool all;
} Parse;

static JsStep *
add_step(Parse *parse, JsStepKind kind)
{
    JsStep *step;

    if (parse->path->nsteps == JS_MAX_STEPS)
        return NULL;
    step = &parse->path->steps[parse->path->nsteps++];
    *step = (JsStep) {.kind = kind, .key = parse->out};
    return step;
}

static void
end_key(Parse *parse, JsStep *step)
{
    step->n = (uint32_t) (parse->out - step->key);
    *parse->out++ = '\0';
}

static bool
parse_point(Parse *parse)
{
    JsStep *step = add_step(parse, JS_STEP_KEY);

    if (step == NULL)
        return false;
    while (*parse->s != '\0' && strchr(".[]*\"' ", *parse->s) == NULL)
        *parse->out++ = *parse->s++;
    end_key(parse, step);
    return step->n > 0;
}

static bool
parse_quoted(Parse *parse)
{
    JsStep *step = add_step(parse, JS_STEP_KEY);
    char quote = *parse->s++;

    if (step == NULL)
        return false;
    while (*parse->s != quote)
    {
        if (*parse->s == '\\')
            parse->s++;
        if (*parse->s == '\0')
            return false;
        *parse->out++ = *parse->s++;
    }
    parse->s++;
    end_key(parse, step);
    return true;
}

static bool
parse_index(Parse *parse)
{
    JsStep *step = add_step(parse, JS_STEP_INDEX);
    char *end;
    unsigned long index = strtoul(parse->s, &end, 10);

    if (step == NULL || *parse->s < '0' || *parse->s > '9' || index >= JS_MAX_FIELDS)
        return false;
    step->index = (uint32_t) index;
    parse->s = end;
    return true;
}

static bool
parse_brackets(Parse *parse)
{
    bool fine;

    if (*parse->s == '"' || *parse->s == '\'')
        fine = parse_quoted(parse);
    else if (parse->all)
        fine = *parse->s++ == '*' && add_step(parse, JS_STEP_ALL) != NULL;
    else
        fine = parse_index(parse);
    return fine && *parse->s++ == ']';
}

static bool
parse_steps(Parse *parse)
{
    if (*parse->s++ != '$')
        return false;
    while (*parse->s != '\0')
    {
        char c = *parse->s++;

        if (c == '.' ? !parse_point(parse) : c != '[' || !parse_brackets(parse))
            return false;
    }
    return true;
}

bool
js_path_parse(JsPath *path, const char *text, bool all, const char *option, Status *st)
{
    Parse parse = {.path = path, .s = text, .all = all};

    path->nsteps = 0;
    /* A step has more characters in the text than its key, and a zero. */
    path->text = parse.out = malloc(strlen(text) + 2);
    if (path->text == NULL)
        return status_out_of_memory(st, strlen(text) + 2);
    if (parse_steps(&parse))
        return true;
    js_path_free(path);
    status_fail(st, STATUS_INVALID_VALUE, "invalid path \"%s\" for format option \"%s\"", text, option);
    return status_hint(st, "A path is $ and up to %d steps, each of them .key, [\"key\"] or %s; for example %s.", JS_MAX_STEPS,
                       all ? "[*]" : "[0]", all ? "$.data.items[*]" : "$.address.city");
}

void
js_path_free(JsPath *path)
{
    free(path->text);
    path->text = NULL;
}
