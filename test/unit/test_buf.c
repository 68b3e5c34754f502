/*
 * test_buf.c: the bounded buffer and the status.
 */
#include "tap.h"

#include "core/buf.h"

/* Under AddressSanitizer an impossible allocation should fail as it does without. */
const char *__asan_default_options(void);
const char *
__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

int
main(void)
{
    Status st;
    Buf buf;
    char text[2000];
    int i;

    status_clear(&st);
    buf_init(&buf, 1000);
    ok(buf.data == NULL && buf.used == 0, "a new buffer has no memory");
    ok(buf_append(&buf, "abc", 3, &st) && buf_append(&buf, "", 0, &st), "append");
    for (i = 0; i < 99; i++)
        if (!buf_append(&buf, "0123456789", 10, &st))
            break;
    is_int(i, 99, "grows up to its maximum");
    is_int((int64_t) buf.used, 993, "holds all of it");
    ok(memcmp(buf.data, "abc0123", 7) == 0 && memcmp(buf.data + 983, "0123456789", 10) == 0, "content is kept");
    ok(!buf_append(&buf, "01234567", 8, &st), "does not pass its maximum");
    is_str(st.sqlstate, "54000", "and says so");
    is_int((int64_t) buf.used, 993, "and stays as it was");
    ok(buf_append(&buf, "0123456", 7, &st), "the maximum itself is fine");
    memset(buf.data + buf.used, 'x', BUF_SLACK);
    buf_drop_front(&buf, 990);
    ok(buf.used == 10 && memcmp(buf.data, "7890123456", 10) == 0, "drop from the front");
    buf_drop_front(&buf, 10);
    is_int((int64_t) buf.used, 0, "drop all");
    buf_free(&buf);
    ok(buf.data == NULL && buf.max == 1000, "free leaves an empty buffer");

    buf_init(&buf, SIZE_MAX);
    ok(!buf_reserve(&buf, SIZE_MAX - 1, &st), "an impossible size fails");
    is_str(st.sqlstate, "53200", "as out of memory");
    is_str(st.message, "reader is out of memory", "message");
    ok(strstr(st.hint, "kaireon.reader_memory_limit") != NULL, "the hint names the setting");
    ok(!buf_reserve(&buf, (size_t) 1 << 60, &st), "no memory");
    is_str(st.sqlstate, "53200", "as out of memory");

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    ok(!status_fail(&st, "22023", "%s", text), "status_fail returns false");
    is_int((int64_t) strlen(st.message), sizeof(st.message) - 1, "a long message is cut");
    is_str(st.hint, "", "the old hint is gone");
    return done();
}
