/*
 * http_pull.h: the driver for files behind http and https URLs.
 */
#ifndef KAIREON_HTTP_PULL_H
#define KAIREON_HTTP_PULL_H

#include "reader/driver.h"

extern const Driver driver_http_pull;

#endif
