/*
 * test_csv_oracle.c: CSV against what Python's csv module reads.
 *
 * test/data/csv/oracle.json is made by make_oracle.py beside it.  Run from the
 * root directory.  Every case in every way: see csv_fixture.h.
 */
#include "csv_fixture.h"

int
main(void)
{
    json_error_t error;
    json_t *cases = json_load_file("test/data/csv/oracle.json", 0, &error);
    size_t i;

    if (!ok(cases != NULL && json_array_size(cases) > 100, "oracle.json is there"))
        return done();
    for (i = 0; i < json_array_size(cases); i++)
    {
        const json_t *one = json_array_get(cases, i);
        char *options = json_dumps(json_object_get(one, "options"), 0), name[40];
        Fixture f = {name, options, json_string_value(json_object_get(one, "input")),
                     json_string_value(json_object_get(one, "want")), 0};

        snprintf(name, sizeof(name), "case %zu", i);
        check_fixture(&f);
        free(options);
    }
    json_decref(cases);
    return done();
}
