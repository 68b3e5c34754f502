/*
 * wait_policy.c: the keys of a source's "waitPolicy".  See wait_policy.h.
 */
#include "postgres.h"

#include "pg/wait_policy.h"

#define MAX_RETRIES 1000
#define LEAST_MINUTES 0.01
#define MAX_MINUTES 1440

static const char *const actions[] = {[MISS_FAIL] = "fail", [MISS_ALERT] = "alert", [MISS_SKIP] = "skip", NULL};
static const JsonKey keys[] = {
    {"maxRetries", JSON_INTEGER, false, NULL}, {"intervalMinutes", JSON_NUMBER, false, NULL}, {"onMissAction", JSON_STRING, false, actions}, {NULL, 0, false, NULL}};

static double
minutes_of(JsonbContainer *policy)
{
    char *text = json_get_text(policy, "intervalMinutes");

    return text ? strtod(text, NULL) : 5;
}

void
wait_policy_check(JsonbContainer *config, JsonComplain complain, void *arg)
{
    JsonbContainer *policy = json_get_container(config, "waitPolicy");
    int64 retries;
    double minutes;

    if (policy == NULL || !json_check(policy, keys, "waitPolicy", complain, arg))
        return;
    retries = json_get_int(policy, "maxRetries", 0);
    minutes = minutes_of(policy);
    if (retries < 0 || retries > MAX_RETRIES)
        complain(arg, "wrong_value", psprintf("\"maxRetries\" of \"waitPolicy\" must be a whole number from 0 to %d", MAX_RETRIES), psprintf("It is " INT64_FORMAT ".", retries));
    if (!(minutes >= LEAST_MINUTES && minutes <= MAX_MINUTES))
        complain(arg, "wrong_value", psprintf("\"intervalMinutes\" of \"waitPolicy\" must be a number from %g to %d", LEAST_MINUTES, MAX_MINUTES),
                 psprintf("It is %s.", json_get_text(policy, "intervalMinutes")));
}

bool
wait_policy_get(JsonbContainer *config, WaitPolicy *policy)
{
    JsonbContainer *given = json_get_container(config, "waitPolicy");
    char *action = given ? json_get_text(given, "onMissAction") : NULL;

    if (given == NULL)
        return false;
    policy->retries = (int) json_get_int(given, "maxRetries", 3);
    policy->minutes = minutes_of(given);
    policy->action = MISS_FAIL;
    for (int i = 0; action && actions[i]; i++)
    {
        if (strcmp(actions[i], action) == 0)
            policy->action = (MissAction) i;
    }
    return true;
}

const char *
wait_policy_action(MissAction action)
{
    return actions[action];
}
