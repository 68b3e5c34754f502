/*
 * reference.c: a secret that stands elsewhere.  See reference.h.
 */
#include "postgres.h"

#include "pg/reference.h"

#include <unistd.h>

#include "catalog/pg_authid.h"
#include "mb/pg_wchar.h"
#include "utils/acl.h"
#include "utils/varlena.h"

#include "pg/guc.h"
#include "pg/json.h"
#include "pg/masterkey.h"

bool
reference_parse(const JsonbValue *value, ReferenceKind *kind, JsonbValue *name)
{
    JsonbContainer *object = value->val.binary.data;
    JsonbValue *found;

    if (value->type != jbvBinary || !JsonContainerIsObject(object) || JsonContainerSize(object) != 1)
        return false;
    *kind = REFERENCE_FILE;
    found = json_get(object, "file");
    if (found == NULL)
    {
        *kind = REFERENCE_ENV;
        found = json_get(object, "env");
    }
    if (found == NULL || found->type != jbvString)
        return false;
    *name = *found;
    return true;
}

bool
reference_may_files(Oid role)
{
    return has_privs_of_role(role, ROLE_PG_READ_SERVER_FILES);
}

bool
reference_may_env(bool any, const char *name)
{
    char *copy = pstrdup(guc_credential_env);
    List *names;
    ListCell *lc;

    if (any)
        return true;
    (void) SplitGUCList(copy, ',', &names);
    foreach(lc, names)
    {
        if (strcmp(lfirst(lc), name) == 0)
            return true;
    }
    return false;
}

/* Reads into an empty secret; false with a sentence in *problem. */
static bool
read_file(Secret *text, const char *path, char **problem)
{
    const char *reason;
    int fd = masterkey_open_file(path, &reason), failed;

    if (fd < 0)
    {
        *problem = reason ? psprintf("File \"%s\" %s.", path, reason) : psprintf("File \"%s\" could not be opened: %s.", path, strerror(errno));
        return false;
    }
    failed = secret_read(text, fd) ? 0 : errno;
    close(fd);
    if (failed)
        *problem = psprintf("File \"%s\" could not be read: %s.", path, strerror(failed));
    else if (text->length > REFERENCE_MAX_BYTES)
        *problem = psprintf("File \"%s\" has more than %d bytes.", path, REFERENCE_MAX_BYTES);
    else
        secret_chomp(text);
    return *problem == NULL;
}

static bool
read_env(Secret *text, const char *name, char **problem)
{
    const char *value = getenv(name);

    if (value == NULL)
        *problem = psprintf("The server's environment has no variable \"%s\".", name);
    else if (strlen(value) > REFERENCE_MAX_BYTES)
        *problem = psprintf("Variable \"%s\" has more than %d bytes.", name, REFERENCE_MAX_BYTES);
    else
        secret_append(text, value, strlen(value));
    return *problem == NULL;
}

Secret *
reference_read(ReferenceKind kind, const char *name, char **problem)
{
    Secret *text = secret_create(REFERENCE_MAX_BYTES + 1);

    *problem = NULL;
    if (kind == REFERENCE_FILE ? read_file(text, name, problem) : read_env(text, name, problem))
    {
        if (pg_verify_mbstr(PG_UTF8, text->data, text->length, true))
            return text;
        *problem = psprintf("What %s \"%s\" holds is not text in UTF-8.", kind == REFERENCE_FILE ? "file" : "variable", name);
    }
    secret_free(text);
    return NULL;
}
