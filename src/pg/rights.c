/*
 * rights.c: acting as another role, and what a pipeline's owner must be allowed.  See rights.h.
 */
#include "postgres.h"

#include "pg/rights.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/uuid.h"

#include "pg/catalog.h"

RightsScope
rights_assume(Oid role, int flags)
{
    RightsScope scope;

    scope.guc_level = NewGUCNestLevel();
    GetUserIdAndSecContext(&scope.user, &scope.sec_context);
    SetUserIdAndSecContext(role, scope.sec_context | SECURITY_LOCAL_USERID_CHANGE | flags);
    return scope;
}

void
rights_resume(RightsScope scope)
{
    SetUserIdAndSecContext(scope.user, scope.sec_context);
    AtEOXact_GUC(false, scope.guc_level);
}

void
rights_require_runnable(const pg_uuid_t *pipeline)
{
    Oid types[] = {UUIDOID, OIDOID};
    CatalogScope scope = catalog_begin();
    Datum values[] = {UUIDPGetDatum(pipeline), ObjectIdGetDatum(scope.user)};

    catalog_execute("SELECT kaireon_internal.require_runnable($1, $2::regrole)", 2, types, values, NULL, SPI_OK_SELECT);
    catalog_end(scope);
}
