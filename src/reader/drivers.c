/*
 * drivers.c: the table of connector drivers; see driver.h.
 */
#include <string.h>

#include "../connectors/amazon_s3/s3.h"
#include "../connectors/azure_blob_storage/azure.h"
#include "../connectors/csv_upload/csv_upload.h"
#include "../connectors/google_cloud_storage/gcs.h"
#include "../connectors/http_pull/http_pull.h"
#include "../connectors/local_fs/local_fs.h"
#include "../connectors/sftp/sftp.h"
#include "reader/driver.h"

static const Driver *const drivers[] = {&driver_amazon_s3, &driver_azure_blob_storage, &driver_csv_upload,
                                        &driver_google_cloud_storage, &driver_http_pull, &driver_local_fs, &driver_sftp};

const DriverEntry driver_look_more = {"/", 0, 0, ""};

const Driver *
driver_find(const char *type)
{
    size_t i;

    for (i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++)
        if (strcmp(drivers[i]->type, type) == 0)
            return drivers[i];
    return NULL;
}

const char *
driver_types(void)
{
    return "amazon_s3, azure_blob_storage, csv_upload, google_cloud_storage, http_pull, local_fs, sftp";
}
