/*
 * execution_config.c: what a pipeline's execution_config says.  See
 * execution_config.h.
 */
#include "postgres.h"

#include "pg/execution_config.h"

#include <math.h>

#include "mb/pg_wchar.h"

#include "pg/commit_policy.h"
#include "pg/graph.h"
#include "pg/json.h"
#include "pg/retry.h"

/* A hundred years. */
#define MAX_DAYS 36500

static const char *const modes[] = {"batch", NULL};
static const char *const handlings[] = {"fail", "skip", "dlq", NULL};
static const JsonKey keys[] = {
    {"mode", JSON_STRING, false, modes}, {"batchSize", JSON_INTEGER, false, NULL}, {"errorHandling", JSON_STRING, false, handlings},
    {"maxErrors", JSON_NUMBER | JSON_STRING, false, NULL}, {"parallelism", JSON_INTEGER, false, NULL},
    {"deadLetterRetentionDays", JSON_INTEGER, false, NULL},
    {"commit", JSON_STRING, false, commit_policies}, {"retry", JSON_OBJECT, false, NULL}, {NULL, 0, false, NULL}};

/* A number of rows, or a share such as "2.5%"; the other one is -1.  False when it is neither. */
static bool
read_max_errors(const char *text, int64 *rows, double *percent)
{
    char *end;
    size_t digits = strspn(text, "0123456789.");

    *rows = -1;
    *percent = -1;
    if (digits == 0)
        return false;
    errno = 0;
    if (strcmp(text + digits, "%") == 0)
    {
        *percent = strtod(text, &end);
        return end == text + digits && *percent <= 100;
    }
    *rows = strtoll(text, &end, 10);
    return *end == '\0' && errno == 0;
}

static void
complain(void *arg, const char *code, const char *message, const char *hint)
{
    graph_complain(arg, NULL, code, hint, "%s", message);
}

static void
check_max_errors(Jsonb *config, List **findings)
{
    char *text = json_get_text(&config->root, "maxErrors");
    ErrorPolicy policy;

    if (text == NULL)
        return;
    if (!read_max_errors(text, &policy.max_errors, &policy.max_percent))
        graph_complain(findings, NULL, "wrong_value", "It is a number of rows, or a share of the rows read: 100, \"0.5%\".",
                       "\"%.*s\" is not a valid value of key \"maxErrors\" of execution_config",
                       pg_mbcliplen(text, strlen(text), 40), text);
    policy = execution_config_errors(config);
    if (!error_policy_goes_on(&policy))
        graph_complain(findings, NULL, "wrong_value", "Say \"errorHandling\": \"skip\" or \"dlq\".",
                       policy.handling == ERRORS_UNSAID ? "\"maxErrors\" needs \"errorHandling\" beside it"
                                                        : "\"maxErrors\" means nothing where the first bad row fails the run");
}

void
execution_config_check(Jsonb *config, List **findings)
{
    int64 batch, days;

    if (!JB_ROOT_IS_OBJECT(config))
    {
        graph_complain(findings, NULL, "wrong_type", "For example {\"errorHandling\": \"skip\"}.", "execution_config must be an object");
        return;
    }
    if (!json_check(&config->root, keys, "execution_config", complain, findings))
        return;
    batch = json_get_int(&config->root, "batchSize", 10000);
    if (batch < 1 || batch > 1000000)
        graph_complain(findings, NULL, "wrong_value", "Valid values are 1 to 1000000.", "batchSize " INT64_FORMAT " is out of range", batch);
    if (json_get_int(&config->root, "parallelism", 1) != 1)
        graph_complain(findings, NULL, "wrong_value", "Leave it out.", "parallelism other than 1 is not supported in this version");
    days = json_get_int(&config->root, "deadLetterRetentionDays", 1);
    if (days < 1 || days > MAX_DAYS)
        graph_complain(findings, NULL, "wrong_value", psprintf("Valid values are 1 to %d; without it they are kept until they are purged.", MAX_DAYS),
                       "deadLetterRetentionDays " INT64_FORMAT " is out of range", days);
    check_max_errors(config, findings);
    retry_check(config, findings);
}

ErrorPolicy
execution_config_errors(Jsonb *config)
{
    ErrorPolicy policy = {ERRORS_UNSAID, -1, -1, NULL, (int) json_get_int(&config->root, "deadLetterRetentionDays", 0)};
    char *handling = json_get_text(&config->root, "errorHandling");

    if (handling)
        policy.handling = strcmp(handling, "skip") == 0 ? ERRORS_SKIP : strcmp(handling, "dlq") == 0 ? ERRORS_DLQ : ERRORS_FAIL;
    policy.max_said = json_get_text(&config->root, "maxErrors");
    if (policy.max_said && !read_max_errors(policy.max_said, &policy.max_errors, &policy.max_percent))
        policy.max_errors = policy.max_percent = -1;
    return policy;
}

bool
error_policy_goes_on(const ErrorPolicy *policy)
{
    return policy->handling >= ERRORS_SKIP;
}

Validation
error_policy_validation(const ErrorPolicy *policy)
{
    return error_policy_goes_on(policy) ? VALIDATION_SKIP : VALIDATION_STRICT;
}
