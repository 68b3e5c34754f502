/*
 * test_abilities.c: what connectors/<type>/connector.json says a type can do,
 * which is what the server goes by, is what its driver does.
 *
 * Run from the root directory.
 */
#include "tap.h"

#include <glob.h>
#include <jansson.h>

#include "reader/driver.h"

static bool
says(const json_t *spec, const char *ability)
{
    size_t i;
    json_t *said;

    json_array_foreach(json_object_get(spec, "abilities"), i, said)
        if (strcmp(json_string_value(said), ability) == 0)
            return true;
    return false;
}

static void
compare(const json_t *spec)
{
    const char *type = json_string_value(json_object_get(spec, "type"));
    const Driver *driver = driver_find(type);
    bool ready = strcmp(json_string_value(json_object_get(spec, "status")), "ready") == 0;

    ok(ready == (driver != NULL), "%s: it is ready if there is a driver", type);
    ok(says(spec, "move") == (driver != NULL && driver->move != NULL), "%s: it moves files if its driver does", type);
    ok(says(spec, "call") == (driver != NULL && driver->call != NULL), "%s: it can be called if its driver can", type);
    ok(ready || json_object_get(spec, "abilities") == NULL, "%s: what is not ready can do nothing", type);
}

int
main(void)
{
    glob_t found;

    if (glob("connectors/*/connector.json", 0, NULL, &found) != 0)
        return 1;
    for (size_t i = 0; i < found.gl_pathc; i++)
    {
        json_t *spec = json_load_file(found.gl_pathv[i], 0, NULL);

        if (ok(spec != NULL, "%s is JSON", found.gl_pathv[i]))
            compare(spec);
        json_decref(spec);
    }
    globfree(&found);
    return done();
}
