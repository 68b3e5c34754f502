/*
 * test_move.c: moving by copying and deleting, over a store of a few names.
 */
#include "store/move.h"
#include "tap.h"

#define PLACES 40

/* A place and the version that is there; 0: nothing. */
typedef struct Place
{
    char path[40];
    int version;
} Place;

typedef struct Fake
{
    Place places[PLACES];
    int ncopied, nremoved;
    bool fail_remove;           /* as if the machine stopped there */
    bool full;                  /* all names are taken */
    bool lies;                  /* says that it has copied */
    int race;                   /* so often something else is at the place before the copy */
} Fake;

static int *
at(Fake *fake, const char *path)
{
    for (int i = 0; i < PLACES; i++)
    {
        Place *place = &fake->places[i];

        if (place->path[0] == '\0')
            snprintf(place->path, sizeof(place->path), "%s", path);
        if (strcmp(place->path, path) == 0)
            return &place->version;
    }
    return &fake->places[PLACES - 1].version;
}

/* The listed version is 1; a copy of it is -1, so that looking for the one does not find the other. */
static bool
look(void *context, const DriverEntry *entry, const char *path, bool copied, StoreFound *found, Status *st)
{
    Fake *fake = context;
    int version = fake->full && copied ? 5 : *at(fake, path);

    (void) entry;
    (void) st;
    *found = version == 0 ? STORE_NOTHING : version == (copied ? -1 : 1) ? STORE_IT : STORE_OTHER;
    return true;
}

static bool
copy(void *context, const DriverEntry *entry, const char *to, bool *taken, Status *st)
{
    Fake *fake = context;

    (void) entry;
    (void) st;
    if (fake->race > 0)
    {
        fake->race--;
        *at(fake, to) = 7;
    }
    *taken = *at(fake, to) != 0;
    if (!*taken && !fake->lies)
    {
        *at(fake, to) = -1;
        fake->ncopied++;
    }
    return true;
}

static bool
remove_it(void *context, const DriverEntry *entry, Status *st)
{
    Fake *fake = context;

    if (fake->fail_remove)
        return status_fail(st, STATUS_BROKEN, "gone");
    *at(fake, entry->path) = 0;
    fake->nremoved++;
    return true;
}

static bool
move(Fake *fake, const char *from, const char *to, char *place, size_t size, Status *st)
{
    const DriverEntry entry = {from, 10, 0, "e"};
    const StoreMover mover = {look, copy, remove_it, fake, 20};

    status_clear(st);
    return store_move(&mover, &entry, to, place, size, st);
}

/* Moves "a" to "d/a" and says where it is, or why not. */
static const char *
moved(Fake *fake)
{
    static char place[40];
    static Status st;

    return move(fake, "a", "d/a", place, sizeof(place), &st) ? place : strcmp(st.sqlstate, STATUS_NO_FILE) == 0 ? "none" :
        strcmp(st.sqlstate, STATUS_CHANGED) == 0 ? "changed" : st.sqlstate;
}

static void
test_moves(void)
{
    Fake plain = {.places = {{"a", 1}}}, taken = {.places = {{"a", 1}, {"d/a", 5}, {"d/a.1", 6}}}, crashed = {.places = {{"a", 1}, {"d/a", 5}}, .fail_remove = true};

    is_str(moved(&plain), "d/a", "an object is copied");
    is_int(*at(&plain, "a"), 0, "and the original deleted");
    is_str(moved(&plain), "d/a", "asked for again, it is there");
    is_int(plain.ncopied * 10 + plain.nremoved, 11, "and nothing is done");
    *at(&plain, "a") = 9;
    is_str(moved(&plain), "d/a", "also when another has come in its place");
    is_int(*at(&plain, "a"), 9, "which stays");

    is_str(moved(&taken), "d/a.2", "names that are taken are left alone");
    is_int(*at(&taken, "d/a") * 10 + *at(&taken, "d/a.1"), 56, "with what is there");

    is_str(moved(&crashed), STATUS_BROKEN, "between the copy and the deletion all stops");
    crashed.fail_remove = false;
    is_str(moved(&crashed), "d/a.1", "the copy is found again");
    is_int(crashed.ncopied * 10 + crashed.nremoved, 11, "not made again, and the original deleted");
    is_int(*at(&crashed, "a"), 0, "which is gone");
}

static void
test_refusals(void)
{
    Fake nothing = {.places = {{"", 0}}}, changed = {.places = {{"a", 2}}}, racing = {.places = {{"a", 1}}, .race = 2}, always = {.places = {{"a", 1}}, .race = 1000};
    Fake full = {.places = {{"a", 1}}, .full = true}, lying = {.places = {{"a", 1}}, .lies = true};
    char place[5];
    Status st;

    is_str(moved(&nothing), "none", "what is neither here nor there");
    is_str(moved(&changed), "changed", "what was written since");
    is_int(*at(&changed, "a") * 10 + changed.ncopied, 20, "stays where it is");
    is_str(moved(&racing), "d/a.2", "a name that is taken in the last moment");
    is_str(moved(&always), STATUS_IO, "and one that always is");
    is_int(*at(&always, "a"), 1, "loses nothing");
    is_str(moved(&full), STATUS_LIMIT, "ten thousand names");
    is_str(moved(&lying), STATUS_PROTOCOL, "a copy that is not there");
    is_int(*at(&lying, "a"), 1, "does not cost the original");
    is_int(move(&racing, "a", "too long", place, sizeof(place), &st), false, "a name that does not fit");
    is_str(st.sqlstate, STATUS_LIMIT, "is too long");
}

static void
test_itself(void)
{
    Fake same = {.places = {{"d/a", 1}}}, numbered = {.places = {{"d/a", 5}, {"d/a.1", 1}}}, gone = {.places = {{"", 0}}};
    Fake long_name = {.places = {{"a", 1}, {"folder/name of 20 by", 5}}};
    char place[40];
    Status st;

    ok(move(&same, "d/a", "d/a", place, sizeof(place), &st) && *at(&same, "d/a") == 1 && same.ncopied == 0, "an object that is there already stays");
    ok(move(&numbered, "d/a.1", "d/a", place, sizeof(place), &st) && *at(&numbered, "d/a.1") == 1, "also under a name with a number");
    is_str(place, "d/a.1", "which is told");
    ok(move(&long_name, "a", "folder/name of 20 by", place, sizeof(place), &st), "a key that would be too long with a number");
    is_str(place, "folder/name of 20 .1", "is shortened");
    is_int(store_move_room("prefix/"), 1017, "which a prefix counts for");
    ok(!move(&gone, "d/a", "d/a", place, sizeof(place), &st) && strcmp(st.sqlstate, STATUS_NO_FILE) == 0, "one that is gone is not found");
}

int
main(void)
{
    test_moves();
    test_refusals();
    test_itself();
    return done();
}
