/*
 * csv_upload.h: the driver for text that a client hands over in a call.
 *
 * The server keeps it in a temporary file while its run lasts, and names that
 * in the request; a request without one is of a run that nothing was handed to.
 */
#ifndef KAIREON_CSV_UPLOAD_H
#define KAIREON_CSV_UPLOAD_H

#include "reader/driver.h"

extern const Driver driver_csv_upload;

#endif
