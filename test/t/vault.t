# The vault: credentials reach the reader as they were given, and nothing else
# opens them; keys from files and commands, in every form and with everything
# that may be wrong with them; references; rotation while sources are read;
# ciphertext that was changed or moved; dump and restore.
use strict;
use warnings;
use Kaireon;
use ReaderProxy;
use JSON::PP;
use Test::More;

my $root = PostgreSQL::Test::Utils::tempdir();
my $keys = PostgreSQL::Test::Utils::tempdir();
my $k = Kaireon->new('vault', install_path => ReaderProxy::install($root));
my $raw = pack('C*', map { ($_ * 37 + 11) % 256 } 1 .. 32);
my $other = pack('C*', map { ($_ * 91 + 5) % 256 } 1 .. 32);

sub base64 { require MIME::Base64; return MIME::Base64::encode_base64($_[0]); }

# key(NAME, BYTES, MODE): a key file; its path.
sub key
{
    my ($name, $bytes, $mode) = @_;
    open my $out, '>:raw', "$keys/$name" or die $!;
    print $out $bytes;
    close $out;
    chmod $mode // 0600, "$keys/$name";
    return "$keys/$name";
}

# settings(NAME => VALUE...): sets kaireon.NAME, the others of the vault to nothing, and waits until sessions have them.
my $generation = 0;
sub settings
{
    my %given = @_;
    my @names = qw(master_key_file master_key_command previous_master_key_file previous_master_key_command credential_env);
    my $sql = join '', map { my $v = ($given{$_} // '') =~ s/'/''/gr; "ALTER SYSTEM SET kaireon.$_ = '$v';\n" } @names;

    $generation++;
    $k->sql($sql . "ALTER SYSTEM SET kaireon.master_key_timeout = " . ($given{master_key_timeout} // 10) . ";\n"
        . "ALTER SYSTEM SET kaireon.max_logged_errors = $generation; SELECT pg_reload_conf()");
    $k->poll('the settings', "SELECT current_setting('kaireon.max_logged_errors') = '$generation'");
}

# The driver takes no credentials; the proxy takes them out of the request.
my $fields = encode_json([
    { name => 'user', secret => JSON::PP::false, methods => ['token'] }, { name => 'token', type => 'password', required => JSON::PP::true, methods => ['token'] },
    { name => 'extra', type => 'password', methods => [ 'token', 'api_key' ] }, { name => 'json', type => 'any', methods => ['token'] } ]);
my $with_auth = "UPDATE kaireon_internal.connector_type SET spec = spec || '{\"authMethods\": [\"none\", \"token\", \"api_key\"], \"authFields\": $fields}' WHERE type = 'local_fs'";
$k->sql($with_auth);
my $config = $k->json({ basePath => $k->files });
$k->write_csv('a.csv', [ 'id', 'name' ], [ 1, 'Ada' ], [ 2, 'Bruno' ]);

sub create { my ($name, $auth, $method) = @_; return "SELECT kaireon.create_connector('$name', 'local_fs', $config, '" . ($method // 'token') . "', " . $k->json($auth) . ')'; }
sub update { my ($name, $auth) = @_; return "SELECT kaireon.update_connector('$name', auth_config => " . $k->json($auth) . ')'; }
sub read_all { my ($name) = @_; return "SELECT string_agg(id || name, ' ') FROM kaireon.read('$name', 'a.csv') AS t(id int, name text)"; }
# Error text without the LINE it stands in, with the SQLSTATE in front.
sub failure
{
    my ($sql) = @_;
    return $k->sql_error("\\set VERBOSITY verbose\n$sql") =~ s/^psql:[^ ]* |^LOCATION:.*\n?|^CONTEXT:.*\n?//gmr =~ s/\n+$//r;
}
# What is said of a statement that succeeds.
sub warnings_of { my ($sql) = @_; my (undef, undef, $err) = $k->node->psql('postgres', "\\set VERBOSITY verbose\n$sql"); return $err =~ s/^psql:[^ ]* |^LOCATION:.*\n?|^CONTEXT:.*\n?//gmr; }
# The credentials of the requests since the last time: those that read something, or those that only look at what is given.
sub told { my ($checks) = @_; my @r = ReaderProxy::requests($root); ReaderProxy::forget($root); return map { $_->{auth} } grep { $checks == ($_->{operation} eq 'check') } @r; }
sub seen { return told(0); }
sub checked { return told(1); }

# ---- no key

like(failure(create('none', { token => 't' })), qr/^ERROR:  KA010: no master key is configured\nDETAIL:  .+\nHINT:  Set "kaireon.master_key_file".*"kaireon.master_key_command".*openssl rand/, 'without a key it says how to get one');
is($k->sql('SELECT count(*) FROM kaireon.connectors'), 0, 'and nothing is made');
is($k->sql("SELECT kaireon.create_connector('plain', 'local_fs', $config) IS NOT NULL"), 't', 'a connector without credentials needs none');
is($k->sql(read_all('plain')), '1Ada 2Bruno', 'and is read');
is($k->sql("SELECT ok FROM kaireon.test_connector('local_fs', $config, 'token', '{\"token\": \"t\"}')"), 't', 'nor does a test of one that is not kept');
like(failure('SELECT kaireon.rotate_master_key()'), qr/KA010/, 'a rotation does');
seen();

# ---- what goes in comes out

my %hard = (token => "s3cret \"quoted\" \\back\\ \x{e4}\x{20ac}\x{1f600}\n-----BEGIN KEY-----\nabc\r\n\t\x01end", user => 'me', json => { type => 'service_account', private_key => "a\nb", list => [ 1, JSON::PP::true, undef, { x => [] } ], n => 1.5 });
settings(master_key_file => key('raw', $raw));
$k->sql(create('c', \%hard));
is_deeply([ checked() ], [ \%hard ], 'the reader looks at what is given');
$k->sql(read_all('c'));
is_deeply([ seen() ], [ \%hard, \%hard ], 'the reader gets what was given, with each request');
$k->sql("SELECT ok FROM kaireon.test_connector('c')");
is_deeply([ seen() ], [ \%hard ], 'a test gets it too');
$k->sql("SELECT kaireon.test_connector('local_fs', $config, 'token', " . $k->json(\%hard) . ')');
is_deeply([ seen() ], [ \%hard ], 'so does one before it is saved');
$k->make('p', fields => [ { name => 'name', dataType => 'varchar' } ], source => { resource => 'a.csv' });
$k->sql("SELECT kaireon.update_pipeline('p', connector => 'c')");
seen();
is($k->run('p')->{status}, 'success', 'a run succeeds');
is_deeply([ seen() ], [ \%hard, \%hard ], 'with the credentials');
$k->sql('SELECT kaireon.preview_pipeline(\'p\')');
my @previewed = seen();
ok(@previewed && !grep({ !defined $_->{token} || $_->{token} ne $hard{token} } @previewed), 'a preview has them');
$k->sql(update('c', { token => 'new' }));
$k->sql(read_all('c'));
is_deeply([ seen() ], [ ({ token => 'new' }) x 2 ], 'auth_config is replaced as a whole');
$k->sql("SELECT kaireon.update_connector('c', config => $config, auth_method => 'token', description => 'x')");
$k->sql(read_all('c'));
is((seen())[0]{token}, 'new', 'what is not given stays');
$k->sql("SELECT kaireon.update_connector('c', auth_method => 'none')");
is($k->sql("SELECT auth_sealed IS NULL FROM kaireon_internal.connector WHERE name = 'c'"), 't', 'another method drops it');
like(failure("SELECT kaireon.update_connector('c', auth_method => 'token')"), qr/^ERROR:  22023: key "token" is missing\nDETAIL: .*\nHINT: /, 'and needs what it requires');
$k->sql("SELECT kaireon.update_connector('c', auth_method => 'token', auth_config => '{\"token\": \"t\", \"user\": null}')");
$k->sql(read_all('c'));
is_deeply([ seen() ], [ ({ token => 't' }) x 2 ], 'null counts as left out');
$k->sql(create('c', { token => 'again' }) =~ s/\)$/, replace => true)/r);
$k->sql(read_all('c'));
is_deeply([ seen() ], [ ({ token => 'again' }) x 2 ], 'replace gives others');
like(failure("SELECT kaireon.create_connector('c', 'local_fs', $config, 'token', replace => true)"), qr/22023: key "token" is missing/, 'and keeps none that are not given');
is($k->sql("SELECT count(DISTINCT auth_sealed) FROM (SELECT auth_sealed FROM kaireon_internal.connector WHERE name = 'c') x"), 1, 'it is sealed');
my @sealed = map { $k->sql(update('c', { token => 'same' })); $k->sql("SELECT auth_sealed FROM kaireon_internal.connector WHERE name = 'c'") } 1 .. 2;
isnt($sealed[0], $sealed[1], 'the same value never looks the same');
like($sealed[0], qr/^\\x4b525601/, 'with its form in front');
like(failure(update('c', { token => 'x' x 300_000 })), qr/^ERROR:  54000: auth_config is too large\nDETAIL: .*\nHINT: /, 'there is a limit');

# ---- forms of a key

for my $form ([ 'hex', unpack('H*', $raw) . "\n" ], [ 'upper-case hex', uc(unpack 'H*', $raw) ], [ 'base64', base64($raw) ], [ 'CR LF', unpack('H*', $raw) . "\r\n" ])
{
    settings(master_key_file => key('form', $form->[1]));
    $k->sql(read_all('c'));
    is((seen())[0]{token}, 'same', "$form->[0] is the same key");
}
settings(master_key_command => "cat $keys/form");
$k->sql(read_all('c'));
is((seen())[0]{token}, 'same', 'so is what a command prints');
settings(master_key_command => 'echo ' . unpack('H*', $raw) . '; echo said >&2');
is($k->sql(read_all('c')), '1Ada 2Bruno', 'which may say something besides');

# ---- what may be wrong with a key

my $hint = qr/\nDETAIL:  .+\nHINT:  /;
mkdir "$keys/folder";
system 'mkfifo', "$keys/fifo";
for my $bad (
    [ { master_key_file => "$keys/missing" }, qr/^ERROR:  KA010: could not open the file of "kaireon.master_key_file": No such file or directory$hint/, 'a missing file' ],
    [ { master_key_file => "$keys/folder" }, qr/KA010: the file of "kaireon.master_key_file" is a directory$hint/, 'a folder' ],
    [ { master_key_file => "$keys/fifo" }, qr/is not a regular file$hint/, 'a pipe' ],
    [ { master_key_file => key('world', $raw, 0604) }, qr/can be read or written by others$hint.*0600/, 'a file the world may read' ],
    [ { master_key_file => key('group', $raw, 0640) }, qr/can be read or written by others$hint/, 'a file the group may read' ],
    [ { master_key_file => $k->node->data_dir . '/PG_VERSION' }, qr/lies in the data directory$hint/, 'a file of the data directory' ],
    [ { master_key_file => key('empty', '') }, qr/KA010: the file of "kaireon.master_key_file" holds no key\nDETAIL:  It is empty\.\nHINT:  .*32 random bytes/, 'an empty file' ],
    [ { master_key_file => key('short', substr($raw, 0, 31)) }, qr/holds no key\nDETAIL:  It has 31 bytes/, 'a short key' ],
    [ { master_key_file => key('hex63', substr(unpack('H*', $raw), 1) . "\n") }, qr/holds no key\nDETAIL:  It has 63 bytes/, 'a digit too few' ],
    [ { master_key_file => key('nothex', 'g' . substr(unpack('H*', $raw), 1)) }, qr/holds no key\nDETAIL:  It has 64 bytes, and is in none of the forms/, 'no digits' ],
    [ { master_key_file => key('two', unpack('H*', $raw) . "\n" . unpack('H*', $raw)) }, qr/holds no key\nDETAIL:  It has 129 bytes/, 'two lines' ],
    [ { master_key_file => key('long', 'x' x 5000) }, qr/holds no key\nDETAIL:  It has more than 255 bytes/, 'a long file' ],
    [ { master_key_file => key('zeros', "\0" x 32) }, qr/holds no key\nDETAIL:  All of its bytes are the same/, 'zeros' ],
    [ { master_key_file => "$keys/raw", master_key_command => "cat $keys/raw" }, qr/KA010: two master keys are configured$hint/, 'two keys' ],
    [ { master_key_command => 'exit 3' }, qr/KA010: the command of "kaireon.master_key_command" gave no key\nDETAIL:  It ended with: child process exited with exit code 3\.\nHINT:  /, 'a command that fails' ],
    [ { master_key_command => "cat $keys/raw; kill -9 \$\$" }, qr/gave no key\nDETAIL:  .*signal 9/, 'a command that is killed' ],
    [ { master_key_command => 'no-such-program' }, qr/gave no key\nDETAIL:  It ended with: command not found\./, 'no command' ],
    [ { master_key_command => 'echo secret' }, qr/the command of "kaireon.master_key_command" printed no key\nDETAIL:  It has 6 bytes/, 'a command that prints something else' ],
    [ { master_key_command => 'true' }, qr/printed no key\nDETAIL:  It is empty/, 'a command that prints nothing' ],
    [ { master_key_command => 'yes' }, qr/printed no key\nDETAIL:  It has more than 255 bytes/, 'a command that never stops printing' ],
    [ { master_key_command => 'sleep 1000', master_key_timeout => 1 }, qr/gave no key\nDETAIL:  It was ended after 1 seconds, see "kaireon.master_key_timeout"/, 'a command that hangs' ],
    [ { master_key_command => 'exec >&-; sleep 1000', master_key_timeout => 1 }, qr/gave no key\nDETAIL:  It was ended after 1 seconds/, 'a command that hangs behind its output' ])
{
    settings(%{ $bad->[0] });
    my $error = failure(read_all('c'));
    like($error, $bad->[1], $bad->[2]);
    unlike($error, qr/\Q$keys\E|sleep/, "$bad->[2]: nothing of the setting is shown");
    is(failure(create('x', { token => 't' })) =~ /KA010/ && $k->sql("SELECT count(*) FROM kaireon.connectors WHERE name = 'x'"), 0, "$bad->[2]: nothing is made") if $bad->[2] =~ /^(zeros|two keys|no command)$/;
}
ok($k->poll('hanging commands to end', sub { return !grep { open my $in, '<', "/proc/$_/cmdline"; my $line = $in && <$in>; $line && $line =~ /sleep\0?1000/ } map { Kaireon::children($_) } Kaireon::children($k->postmaster_pid) }), 'no command is left');
like(failure("ALTER SYSTEM SET kaireon.master_key_file = 'key'"), qr/22023: invalid value.*\nDETAIL:  "key" is not an absolute path/, 'a path must be absolute');
settings(master_key_command => 'sleep 1000', master_key_timeout => 300);
my $waiting = $k->session;
$waiting->send(read_all('c'));
$k->poll('the command', sub { return scalar Kaireon::children($waiting->pid) });
$k->sql('SELECT pg_cancel_backend(' . $waiting->pid . ')');
$waiting->result;
like($waiting->err, qr/57014/, 'waiting for a command can be cancelled');
ok($k->poll('its end', sub { return !Kaireon::children($waiting->pid) }), 'which ends it');
$waiting->close;

# ---- another key, and rotation

settings(master_key_file => key('other', $other));
my $error = failure(read_all('c'));
like($error, qr/^ERROR:  KA011: the credentials of connector "c" were encrypted with another master key$hint.*kaireon.previous_master_key_file/, 'another key is named as the reason');
is($k->run('p')->{error_code}, 'KA011', 'a run says it too');
is($k->sql("SELECT ok, details ->> 'sqlstate' FROM kaireon.test_connector('c')"), 'f|KA011', 'and a test');
like(failure('SELECT kaireon.rotate_master_key()'), qr/KA011.*"c".*$hint/s, 'it can not be rotated from nowhere');
settings(master_key_file => "$keys/other", previous_master_key_file => "$keys/raw");
$k->sql(read_all('c'));
is((seen())[0]{token}, 'same', 'with the previous key it opens');
$k->sql(create('c2', { token => 'second' }));
is($k->sql('SELECT kaireon.rotate_master_key()'), 1, 'a rotation seals what was sealed with the previous key');
is($k->sql('SELECT kaireon.rotate_master_key()'), 0, 'once');
settings(master_key_file => "$keys/other");
$k->sql(read_all('c'));
is((seen())[0]{token}, 'same', 'then the previous one is not needed');

# Sessions read and a pipeline runs while keys are rotated ten times.
$k->sql("SELECT kaireon.update_pipeline('p', connector => 'c')");
$k->sql(create("many$_", { token => "t$_" })) for 1 .. 20;
my @readers = map { $k->session } 1 .. 2;
my ($reads, @wrong) = (0);
for my $round (1 .. 10)
{
    my ($new, $old) = $round % 2 ? qw(raw other) : qw(other raw);
    settings(master_key_file => "$keys/$new", previous_master_key_file => "$keys/$old");
    $_->send(join '; ', map { read_all($_) } 'c', map { "many$_" } 1 .. 20) for @readers;
    my $run = $k->start('p');
    my $count = $k->sql('SELECT kaireon.rotate_master_key()');
    push @wrong, "$count values rotated" if $count != 22;
    for my $reader (@readers)
    {
        my @answers = split /\n/, $reader->result;
        push @wrong, $reader->err if $reader->err ne '';
        $reads += grep { $_ eq '1Ada 2Bruno' } @answers;
    }
    my $status = $k->wait_run($run);
    push @wrong, "run $status: " . $k->run_row($run)->{error_message} if $status ne 'success';
}
is_deeply(\@wrong, [], 'nothing fails while keys are rotated');
is($reads, 10 * 2 * 21, 'every read succeeds');
$_->close for @readers;
my %tokens = map { $_->{token} => 1 } seen();
is_deeply([ sort keys %tokens ], [ sort 'same', map { "t$_" } 1 .. 20 ], 'with the right credentials');
settings(master_key_file => "$keys/other");

# ---- ciphertext that is not what was sealed for this connector

my $bad_seal = qr/^ERROR:  KA012: the credentials of connector "c" do not open\nDETAIL:  They were changed, or were encrypted for another connector\.\nHINT: /;
my $good = $k->sql("SELECT auth_sealed FROM kaireon_internal.connector WHERE name = 'c'");
sub store { my ($value) = @_; $k->sql("UPDATE kaireon_internal.connector SET auth_sealed = $value WHERE name = 'c'"); }
store("(SELECT auth_sealed FROM kaireon_internal.connector WHERE name = 'c2')");
like(failure(read_all('c')), $bad_seal, 'one that was copied from another connector');
like(failure('SELECT kaireon.rotate_master_key()'), qr/^$/, 'which a rotation to the same key does not look at');
is($k->run('p')->{error_code}, 'KA012', 'a run with it fails');
$k->sql("WITH old AS (SELECT name, auth_sealed FROM kaireon_internal.connector WHERE name IN ('many1', 'many2'))
    UPDATE kaireon_internal.connector AS c SET auth_sealed = old.auth_sealed FROM old WHERE (c.name, old.name) IN (('many1', 'many2'), ('many2', 'many1'))");
like(failure(read_all("many$_")), qr/KA012: the credentials of connector "many$_" do not open/, 'swapped ones') for 1, 2;
my $length = (length($good) - 2) / 2;
for my $at (4, 12, 23, 24, 30, $length - 17, $length - 16, $length - 1)
{
    store("set_byte('$good', $at, get_byte('$good'::bytea, $at) # 1)");
    like(failure(read_all('c')), $at >= 4 && $at < 12 ? qr/KA011/ : $bad_seal, "a bit of byte $at changed");
}
for my $at (0, 3)
{
    store("set_byte('$good', $at, get_byte('$good'::bytea, $at) # 1)");
    like(failure(read_all('c')), qr/KA012: the credentials of connector "c" (are damaged|were encrypted by another version of the extension)$hint/, "a bit of byte $at changed");
}
for my $cut (0, 3, 39, $length - 1)
{
    store("substr('$good'::bytea, 1, $cut)");
    like(failure(read_all('c')), qr/KA012/, "only $cut bytes are there");
}
store("'$good'::bytea || '\\x00'");
like(failure(read_all('c')), $bad_seal, 'a byte more');
store("'secret'");
like(failure(read_all('c')), qr/KA012: the credentials of connector "c" are damaged$hint/, 'plain text');
$k->sql("UPDATE kaireon_internal.connector SET auth_sealed = NULL WHERE name LIKE 'many%'");
settings(master_key_file => "$keys/raw", previous_master_key_file => "$keys/other");
like(failure('SELECT kaireon.rotate_master_key()'), qr/KA012: the credentials of connector "c" are damaged/, 'a rotation names it');
settings(master_key_file => "$keys/other");
is_deeply([ seen() ], [], 'nothing of all that reached the reader');
store("'$good'");

# ---- references

my $secret = "$keys/referred";
key('referred', "from a file\n");
$k->sql('CREATE ROLE user1; GRANT kaireon_admin TO user1; CREATE ROLE user2; GRANT kaireon_admin, pg_read_server_files TO user2');
sub as { my ($role, $sql) = @_; return "SET SESSION AUTHORIZATION $role; $sql"; }
my $by_file = { token => { file => $secret }, user => 'u' };
my $by_env = { token => { env => 'PGTZ_SECRET' } };
like(failure(as('user1', create('f1', $by_file))), qr/^ERROR:  42501: permission denied to take key "token" from a file$hint/, 'a file needs the right to read files');
checked();
is($k->sql(as('user2', create('f2', $by_file)) =~ s/SELECT/SELECT 1 FROM/r), 1, 'which a role may have');
is_deeply([ checked() ], [ { user => 'u' } ], 'what a reference stands for is not looked at before it is used');
$k->sql(as('user2', read_all('f2')));
is_deeply((seen())[0], { token => 'from a file', user => 'u' }, 'what it holds reaches the reader, without its line end');
key('referred', "changed");
$k->sql(as('user2', read_all('f2')));
is((seen())[0]{token}, 'changed', 'as it is when it is read');
unlike($k->sql('SELECT * FROM kaireon_internal.connector'), qr/referred/, 'the path is not to be seen');
$k->sql('REVOKE pg_read_server_files FROM user2');
like(failure(as('user2', read_all('f2'))), qr/42501: permission denied to take key "token" from a file/, 'who has lost the right has lost the value');
$k->sql('GRANT pg_read_server_files TO user2');
$k->sql(as('user1', create('f1', { token => 't' })));
like(failure(update('f1', $by_file)), qr/42501/, 'nor does somebody else give a connector what its owner may not');
for my $bad ([ "$keys/missing", qr/File ".*missing" could not be opened: No such file/ ], [ "$keys/folder", qr/is a directory/ ], [ "$keys/fifo", qr/is not a regular file/ ],
    [ $k->node->data_dir . '/PG_VERSION', qr/lies in the data directory/ ], [ key('big', 'x' x 70_000), qr/has more than 65536 bytes/ ], [ key('binary', "\xff\xfe"), qr/is not text in UTF-8/ ], [ key('nul', "a\0b"), qr/is not text in UTF-8/ ])
{
    like(warnings_of(update('f2', { token => { file => $bad->[0] } })), qr/^WARNING:  KA013: key "token" of auth_config can't be had now\nDETAIL:  .*$bad->[1].*\nHINT: /, "a warning of $bad->[0]");
    like(failure(read_all('f2')), qr/^ERROR:  KA013: key "token" of the credentials of connector "f2" can't be had\nDETAIL:  .*$bad->[1].*\nHINT: /, "a reference to $bad->[0]");
}
is(warnings_of(update('f2', $by_file)), '', 'what can be had is no matter for a warning');
like(failure(create('x', { token => { file => 'relative' } })), qr/22023: the file of key "token" must be an absolute path$hint/, 'a relative path');
like(failure(create('x', { token => { file => 1 } })), qr/22023: key "token" must be a string/, 'a reference that is none');
like(failure(create('x', { token => { file => '/x', env => 'X' } })), qr/22023: key "token" must be a string/, 'nor is this one');
like(failure(as('user1', create('e1', $by_env))), qr/^ERROR:  42501: permission denied to take key "token" from environment variable "PGTZ_SECRET"$hint.*kaireon.credential_env|^ERROR:  42501.*kaireon.credential_env/s, 'a variable needs to be listed');
settings(master_key_file => "$keys/other", credential_env => 'A, PGTZ_SECRET');
$k->sql(as('user1', create('e1', $by_env)));
like(failure(as('user1', read_all('e1'))), qr/KA013.*\nDETAIL:  The server's environment has no variable "PGTZ_SECRET"/, 'and to be there');
{
    local $ENV{PGTZ_SECRET} = 'from the environment';
    $k->node->restart;
}
$k->remember_postmaster;
seen();
$k->sql(as('user1', read_all('e1')));
is((seen())[0]{token}, 'from the environment', 'then the reader gets it');
settings(master_key_file => "$keys/other");
like(failure(as('user1', read_all('e1'))), qr/42501/, 'unless it is taken off the list');
$k->sql(create('e0', $by_env));
$k->sql(read_all('e0'));
is((seen())[-1]{token}, 'from the environment', 'a superuser may name any');

# ---- dump and restore

my $restored = Kaireon->new('vault_restored', install_path => ReaderProxy::install("$root/restored"), files => $k->files,
    conf => "kaireon.master_key_file = '$keys/other'\n");
$restored->sql('CREATE ROLE user1'), $restored->sql('CREATE ROLE user2'), $restored->sql('CREATE DATABASE restored');
my $dump = "$PostgreSQL::Test::Utils::tmp_check/vault.sql";
$k->node->command_ok([ 'pg_dump', '-f', $dump, $k->node->connstr('postgres') ], 'pg_dump');
$restored->node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $restored->node->connstr('restored') ], 'psql takes the dump');
$restored->sql($with_auth, 'restored');
is($restored->sql(read_all('c'), 'restored'), '1Ada 2Bruno', 'with the same key the restored credentials open');
is((ReaderProxy::requests("$root/restored"))[0]{auth}{token}, 'same', 'and are what they were');
$restored->sql("ALTER SYSTEM SET kaireon.master_key_file = '$keys/raw'");
$restored->sql('SELECT pg_reload_conf()');
$restored->poll('the other key', "SELECT current_setting('kaireon.master_key_file') LIKE '%raw'");
like($restored->sql_error(read_all('c'), 'restored'), qr/were encrypted with another master key/, 'with another key it says so');

$k->settled('the end');
done_testing;
