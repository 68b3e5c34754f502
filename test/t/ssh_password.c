/*
 * ssh_password.c: a password for the user that an sshd of the tests runs as
 * (SshServer.pm).
 *
 * An sshd that is not root can't read the shadow file, and so knows no
 * password.  Preloaded into it, this answers in the file's place, for every
 * user, with the hash that KAIREON_SSH_PASSWORD holds.
 */
#include <shadow.h>
#include <stdlib.h>

struct spwd *
getspnam(const char *name)
{
    static struct spwd entry;

    entry = (struct spwd) {.sp_namp = (char *) name, .sp_pwdp = getenv("KAIREON_SSH_PASSWORD"), .sp_lstchg = 20000,
                           .sp_min = 0, .sp_max = 99999, .sp_warn = 7, .sp_inact = -1, .sp_expire = -1};
    return entry.sp_pwdp == NULL ? NULL : &entry;
}
