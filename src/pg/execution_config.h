/*
 * execution_config.h: what a pipeline's execution_config says.
 *
 * The checks of create_pipeline, and what runs and previews take from it.
 */
#ifndef KAIREON_EXECUTION_CONFIG_H
#define KAIREON_EXECUTION_CONFIG_H

#include "postgres.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"

#include "pg/compile.h"

/* errorHandling: what becomes of a row that is bad. */
typedef enum ErrorHandling
{
    ERRORS_UNSAID,           /* it follows the targets' validation */
    ERRORS_FAIL,
    ERRORS_SKIP,
    ERRORS_DLQ               /* as skip, and the row is kept whole */
} ErrorHandling;

typedef struct ErrorPolicy
{
    ErrorHandling handling;
    int64 max_errors;        /* more bad rows fail the run; -1: any number is fine */
    double max_percent;      /* the same, of the rows read; -1: any share is fine */
    char *max_said;          /* maxErrors as it was given */
    int keep_days;           /* after so many days a dead letter is thrown away; 0: never */
} ErrorPolicy;

/* Appends a finding (graph.h) for each thing that is wrong with it. */
extern void execution_config_check(Jsonb *config, List **findings);

/* What a checked one says about bad rows. */
extern ErrorPolicy execution_config_errors(Jsonb *config);

/* Does a run go on after a bad row, where a target node does not say otherwise? */
extern bool error_policy_goes_on(const ErrorPolicy *policy);
/* The validation of target nodes that name none. */
extern Validation error_policy_validation(const ErrorPolicy *policy);

#endif
