/*
 * load_range.c: rows of which some can't be loaded.  See load_state.h.
 *
 * A subtransaction that writes and is kept has a transaction ID of its own
 * until the whole transaction ends, and more than 64 of these slow down every
 * session of the server.  One that is undone gives its ID back.  So rows are
 * rehearsed: tried in a subtransaction that is undone in any case, and then
 * loaded without one.  A row is always tried with all good rows before it in
 * the table: what becomes of it may depend on them.
 *
 * All of this happens in one subtransaction, since what could be done once may
 * fail the second time (a trigger that throws dice, another session that was
 * quicker).  Then it begins again, and keeps what it has tried.
 */
#include "postgres.h"

#include "pg/load_state.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "pg/guard.h"
#include "pg/guc.h"

/* So many rows are rehearsed at once at least, where it is known at which one they failed. */
#define LEAST_PIECE 16

/* A row that can't be loaded. */
typedef struct BadRow { int i; int row; Reject why; } BadRow;

typedef struct Course
{
    Loader *loader;
    LoadRows *rows;
    int count;
    bool keeps;              /* what was tried, instead of rehearsing it */
    int from;                /* the first row of which it is not known what becomes of it */
    int good;                /* those before this one can be loaded */
    bool bad;                /* and that one can't */
    int next;                /* the rehearsal ends here; not behind `from`: not said */
    int wall;                /* among those before this one something fails; the same */
    List *found;             /* BadRow *, since the subtransaction began */
    Size bytes;              /* of these */
    bool stops;              /* with the last of them the run ends */
    MemoryContext kept;      /* what was found */
    MemoryContext scratch;
} Course;

/* ---- subtransactions -------------------------------------------------------------- */

typedef struct RangeWork { Loader *loader; LoadRange load; int from; int to; } RangeWork;

static void
load_range(void *arg)
{
    RangeWork *work = arg;

    work->load(work->loader, work->from, work->to);
}

ErrorData *
load_try(Loader *loader, LoadRange load, int from, int to)
{
    RangeWork work = {loader, load, from, to};
    LoadCounts before = loader->counts;
    ErrorData *error = guard_try(load_range, &work, CurrentMemoryContext);

    if (error)
        loader->counts = before;
    return error;
}

/* The same, but nothing of it is left in any case. */
static ErrorData *
rehearse(Loader *loader, LoadRange load, int from, int to)
{
    RangeWork work = {loader, load, from, to};
    LoadCounts before = loader->counts;
    ErrorData *error;

    loader->rehearses = true;
    error = guard_rehearse(load_range, &work, CurrentMemoryContext);
    loader->rehearses = false;
    loader->counts = before;
    return error;
}

/* ---- what is found ------------------------------------------------------------------ */

static char *
copied(Course *course, const char *text)
{
    if (text == NULL)
        return NULL;
    course->bytes += strlen(text) + 1;
    return MemoryContextStrdup(course->kept, text);
}

/* Row i can't be loaded, those before it can. */
static void
refuse(Course *course, int i, const ErrorData *error)
{
    const LoadRows *rows = course->rows;
    const Rejects *rejects = course->loader->rejects;
    MemoryContext old = MemoryContextSwitchTo(course->kept);
    BadRow *bad = palloc(sizeof(BadRow));
    Reject why = load_reject_of(error);
    bool again = false;

    bad->i = i;
    bad->row = rows->refuse ? rows->refuse(course->loader, i, &again) : i;
    bad->why = (Reject) {.kind = REJECT_OTHER, .node = course->loader->compiled->node, .sqlstate = why.sqlstate};
    bad->why.reason = copied(course, why.reason);
    bad->why.field = copied(course, why.field);
    bad->why.value = copied(course, why.value);
    bad->why.constraint = copied(course, why.constraint);
    course->found = lappend(course->found, bad);
    MemoryContextSwitchTo(old);
    course->bytes += sizeof(BadRow);
    course->good = i;
    course->bad = !again;
    course->next = course->wall = 0;
    course->stops = rejects_stop(rejects, &bad->why) ||
                    (rejects->policy && rejects->policy->max_errors >= 0 && rejects->count + list_length(course->found) > rejects->policy->max_errors);
}

/* Rows from `from` to before `to` can't all be loaded. */
static void
take_error(Course *course, int to, const ErrorData *error)
{
    LoadRows *rows = course->rows;
    int from = course->from, at = rows->failed_at(course->loader);

    if (at == LOAD_AGAIN)
        return;
    if (to - from == 1 || at == from)
        refuse(course, from, error);
    else if (at > from && rows->at_once && !course->keeps)
    {
        rows->piece = Max(Min(rows->piece, 2 * (at - from)), LEAST_PIECE);
        refuse(course, at, error);
    }
    else if (at > from)
        course->next = at;
    else
    {
        if (course->wall <= from)
            rows->piece = Max(Min(rows->piece, to - from) / 2, 1);
        course->wall = to;
        course->next = 0;
    }
}

/* ---- the course ----------------------------------------------------------------------- */

static void
set_out(Course *course, int from)
{
    course->from = course->good = from;
    course->bad = course->stops = false;
    course->next = course->wall = 0;
    course->found = NIL;
    course->bytes = 0;
    MemoryContextReset(course->kept);
}

/* Nothing that was found holds. */
static void
take_back(Course *course, int from)
{
    for (int i = list_length(course->found) - 1; course->rows->restore && i >= 0; i--)
    {
        const BadRow *bad = list_nth(course->found, i);

        course->rows->restore(course->loader, bad->i, bad->row);
    }
    set_out(course, from);
}

/* Loads what is known to be good. */
static void
settle(Course *course)
{
    if (course->good > course->from)
        course->rows->load(course->loader, course->from, course->good);
    course->from = course->good = course->good + (course->bad ? 1 : 0);
    course->bad = false;
}

/* Where the next rehearsal ends. */
static int
next_end(const Course *course)
{
    if (course->next > course->from)
        return course->next;
    if (course->wall > course->from)
        return course->from + Max((course->wall - course->from) / 2, 1);
    return course->from + Min(course->rows->piece, course->count - course->from);
}

/* Finds out about some rows.  What is most of them and their end is not done twice. */
static void
find_out(Course *course)
{
    LoadRows *rows = course->rows;
    int to = next_end(course);
    bool keep = course->keeps || (to == course->count && to - course->from > course->count / 4);
    ErrorData *error = keep ? load_try(course->loader, rows->load, course->from, to) : rehearse(course->loader, rows->load, course->from, to);

    if (error)
    {
        take_error(course, to, error);
        return;
    }
    if (course->next <= course->from && course->wall <= course->from)
        rows->piece = Min(rows->piece, PG_INT32_MAX / 2) * 2;
    course->good = to;
    if (keep)
        course->from = to;
}

/* As far as there is memory for what is found. */
static void
proceed(Loader *loader, int from, int to)
{
    Course *course = loader->course;

    for (;;)
    {
        MemoryContextReset(course->scratch);
        settle(course);
        if (course->from >= course->count || course->stops || course->bytes >= guc_work_mem * (Size) 1024)
            return;
        find_out(course);
    }
}

static void
tell(Course *course)
{
    ListCell *lc;

    foreach(lc, course->found)
    {
        BadRow *bad = lfirst(lc);

        course->rows->reject(course->loader, bad->row, &bad->why);
    }
    set_out(course, course->from);
}

/* Most rows of earlier calls were good: all of them may be. */
static bool
load_whole(Course *course)
{
    ErrorData *error;

    if (course->rows->piece < course->count)
        return false;
    error = load_try(course->loader, course->rows->load, 0, course->count);
    if (error)
        take_error(course, course->count, error);
    return error == NULL;
}

void
load_good_rows(Loader *loader, LoadRows *rows, int count)
{
    Course course = {.loader = loader, .rows = rows, .count = count};
    MemoryContext old = CurrentMemoryContext;

    course.kept = AllocSetContextCreate(old, "kaireon bad rows", ALLOCSET_DEFAULT_SIZES);
    course.scratch = AllocSetContextCreate(old, "kaireon rehearsal", ALLOCSET_DEFAULT_SIZES);
    MemoryContextSwitchTo(course.scratch);
    loader->course = &course;
    if (!load_whole(&course))
    {
        while (course.from < count)
        {
            int from = course.from;
            ErrorData *error = load_try(loader, proceed, from, count);

            if (error == NULL)
            {
                tell(&course);
                continue;
            }
            if (course.keeps)
                ReThrowError(error);
            take_back(&course, from);
            course.keeps = true;
        }
    }
    loader->course = NULL;
    MemoryContextSwitchTo(old);
    MemoryContextDelete(course.scratch);
    MemoryContextDelete(course.kept);
}
