/*
 * test_xml.c: answers of stores in XML, and what is said of those that are none.
 */
#include "tap.h"

#include "store/xml.h"

/* What is said of a text that is no XML. */
static const char *
refusal(const char *text, Status *st)
{
    Buf body;
    xmlDoc *doc;

    buf_init(&body, 1000);
    status_clear(st);
    if (!buf_append(&body, text, strlen(text), st))
        abort();
    doc = store_xml_parse(&body, "the listing", st);
    ok(doc == NULL, "it is not taken");
    xmlFreeDoc(doc);
    buf_free(&body);
    return st->detail;
}

int
main(void)
{
    Status st;
    const char *said = refusal("<A><Name>good.csv</Name><Name>in/b\xff.csv</Name></A>", &st);

    is_str(st.sqlstate, STATUS_PROTOCOL, "which is an error");
    is_str(st.message, "the listing is not XML that can be read", "of this kind");
    ok(strstr(said, "At byte ") != NULL && strstr(said, "near <Name>in/b\\xff.csv: ") != NULL, "a name that is not UTF-8 is told: %s", said);
    said = refusal("<A><Name>good.csv</Name><Name>a&#x1;b</Name></A>", &st);
    ok(strstr(said, "near <Name>a&#x1;b: ") != NULL, "one with a character that XML has not: %s", said);
    said = refusal("<A><Name>good.csv</Na", &st);
    ok(strstr(said, "At byte ") != NULL, "where it is cut: %s", said);
    (void) refusal("", &st);
    is_str(st.message, "the listing is not XML that can be read", "nothing at all");
    (void) refusal("busy", &st);
    is_str(st.message, "the listing is not XML that can be read", "a word");
    return done();
}
