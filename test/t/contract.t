# One contract for all places that files come from: the same files are put into
# each, and each answers every question in the same words and fills tables with
# the same rows.
#
# Of URLs there is no listing and no moving; what needs one is left out there.
use strict;
use warnings;
use IO::Compress::Gzip qw(gzip $GzipError);
use Kaireon;
use MeterProxy;
use Peers;
use SshServer;
use Test::More;

plan skip_all => 'openssh-server is not installed' unless SshServer::here();
my $seaweed = Peers::seaweedfs();
my $azurite = Peers::azurite();
my $gcs = !Peers::absent('fake_gcs') && Peers::fake_gcs();
my $versity = !Peers::absent('versitygw') && Peers::versitygw();
my $ssh = SshServer->new;
my $key = PostgreSQL::Test::Utils::tempdir() . '/key';
PostgreSQL::Test::Utils::append_to_file($key, '0123456789abcdef' x 4);
chmod 0600, $key;
my $k = Kaireon->new('contract', conf => "kaireon.master_key_file = '$key'\nkaireon.egress_allow = '127.0.0.1'\n");
my ($files, $scratch) = ($k->files, PostgreSQL::Test::Utils::tempdir());
mkdir "$files/$_" for 'local', 'ssh', 'web';
my $nginx = !Peers::absent('nginx') && do { my $port = Peers::free_port(); Peers::nginx("server { listen 127.0.0.1:$port; root $files/web; autoindex on; }", $port) };
$k->sql("ALTER SYSTEM SET kaireon.local_fs_archive_roots = '$files/local'; SELECT pg_reload_conf()");

# ---- the places

# on_disk(FOLDER): a function that writes a file below it.
sub on_disk
{
    my ($base) = @_;
    return sub {
        my ($name, $bytes) = @_;
        my $folder = $base;
        for my $part (split m{/}, $name =~ s{/?[^/]*$}{}r) { $folder .= "/$part"; mkdir $folder; }
        open my $out, '>:raw', "$base/$name" or die "$base/$name: $!";
        print $out $bytes;
        close $out or die $!;
    };
}

sub into_s3
{
    my ($server, $name, $bytes) = @_;
    on_disk($scratch)->('object', $bytes);
    Peers::s3_put($server->{port}, 'data', "base/$name", "$scratch/object");
    return;
}

# A name as a part of a URL.
sub in_url { return $_[0] =~ s/([^A-Za-z0-9._~\/-])/sprintf '%%%02X', ord $1/ger; }

# Each place: its name, its type where that is another, `put`, the port `at` which its server listens, and what a
# connector to it is made of when that port, or a proxy's before it, is given.
my $azure_path = "/$Peers::AZURE_ACCOUNT";
my %s3_auth = (accessKeyId => $Peers::S3_ID, secretAccessKey => $Peers::S3_SECRET);
my %ssh_auth = (username => $ssh->user, privateKey => $ssh->key('id_ed25519'));
sub s3_at { return { bucket => 'data', prefix => 'base', endpoint => "http://127.0.0.1:$_[0]", maxAttempts => 2 }; }
sub azure_at { return { storageAccount => $Peers::AZURE_ACCOUNT, container => 'data', prefix => 'base', endpoint => "http://127.0.0.1:$_[0]$azure_path", maxAttempts => 2 }; }
sub gcs_at { return { bucket => 'data', prefix => 'base', endpoint => "http://127.0.0.1:$_[0]", maxAttempts => 2 }; }
sub sftp_at { return { host => '127.0.0.1', port => $_[0], knownHosts => $ssh->known_hosts =~ s/(?<=:)\d+/$_[0]/gr, basePath => "$files/ssh" }; }
sub web_at { my ($port, $path) = @_; return { baseUrl => "http://127.0.0.1:$port$path", maxAttempts => 2 }; }

my @places = (
    { name => 'local_fs', folders => 1, put => on_disk("$files/local"), with => sub { { basePath => "$files/local" } }, wrong => [ { basePath => "$files/nothing" } ] },
    { name => 'amazon_s3', at => $seaweed->{port}, put => sub { into_s3($seaweed, @_) }, with => sub { (s3_at(@_), 'access_key', \%s3_auth) },
        wrong => [ s3_at($seaweed->{port}), 'access_key', { %s3_auth, secretAccessKey => 'no' } ] },
    { name => 'azure_blob_storage', at => $azurite->{port}, put => sub { Peers::azure_put($azurite->{port}, 'data', "base/$_[0]", $_[1]) }, with => sub { (azure_at(@_), 'access_key', { accountKey => $Peers::AZURE_KEY }) },
        wrong => [ azure_at($azurite->{port}), 'access_key', { accountKey => 'bm8=' } ] },
    { name => 'sftp', folders => 1, at => $ssh->port, put => on_disk("$files/ssh"), with => sub { (sftp_at(@_), 'ssh_key', \%ssh_auth) },
        wrong => [ sftp_at($ssh->port), 'ssh_key', { %ssh_auth, privateKey => $ssh->key('id_stranger') } ] },
    # The web server is the one that SeaweedFS has for its files; it needs no second copy of them.
    { name => 'http_pull', at => $seaweed->{filer}, put => sub { into_s3($seaweed, @_) }, urls => 1, with => sub { web_at($_[0], '/buckets/data/base') }, wrong => [ web_at(Peers::free_port(), '') ] });
push @places, { name => 'google_cloud_storage', at => $gcs->{port}, put => sub { Peers::gcs_put($gcs->{port}, 'data', "base/$_[0]", $_[1]) }, with => sub { gcs_at(@_) },
    wrong => [ { %{ gcs_at($gcs->{port}) }, bucket => 'nothing' } ] } if $gcs;
push @places, { name => 'versitygw', type => 'amazon_s3', at => $versity->{port}, put => sub { into_s3($versity, @_) }, with => sub { (s3_at(@_), 'access_key', \%s3_auth) },
    wrong => [ s3_at($versity->{port}), 'none', {} ] } if $versity;
push @places, { name => 'nginx', type => 'http_pull', at => $nginx->{port}, put => on_disk("$files/web"), urls => 1, with => sub { web_at($_[0], '') }, wrong => [ web_at(Peers::free_port(), '') ] } if $nginx;

# ---- what is put into them

my ($ROWS, $LARGE) = (20_000, 150_000);
my $packed = "id,name\n10,packed\n11,too\n";
gzip(\$packed => \my $gzip) or die $GzipError;
my %content = (
    'plain.csv' => qq(id,name\n1,"said ""yes"", twice"\n2,"two\nlines"\n3,""\n4,\n), 'packed.csv.gz' => $gzip,
    'lines.jsonl' => qq({"id": 20, "name": "caf\xc3\xa9"}\n{"name": null, "id": 21}\n), 'empty.csv' => '',
    'big.csv' => "id,name\n" . join('', map { "$_,name of number $_ which is rather long\n" } 1 .. $ROWS),
    'large/l.csv' => "id,name\n" . join('', map { "$_,name of number $_ which is rather long\n" } 1 .. $LARGE),
    'odd/a b.csv' => "id,name\n30,space\n", "odd/caf\xc3\xa9.csv" => "id,name\n31,unicode\n", 'odd/one+two.csv' => "id,name\n32,plus\n",
    'odd/100%25.csv' => "id,name\n33,percent\n", 'odd/[x].csv' => "id,name\n34,brackets\n",
    'tree/e.csv' => "id,name\n40,near\n", 'tree/deep/er/d.csv' => "id,name\n41,far\n", 'tree/deep/note.txt' => "none\n",
    'inc/a.csv' => "id,name\n50,a\n", 'inc/b.csv' => "id,name\n51,b\n", 'box/a.csv' => "id,name\n60,a\n", 'box/b.csv' => "id,name\n61,b\n");
my @odd = sort grep { m{^odd/} } keys %content;
my @loaded = ('plain.csv', 'packed.csv.gz', 'lines.jsonl', @odd, 'tree/e.csv', 'tree/deep/er/d.csv');
my @fields = ({ name => 'id', dataType => 'integer', isPrimaryKey => \1 }, { name => 'name', dataType => 'text' });
Peers::s3($_->{port}, 'PUT', 'data') for grep { $_ } $seaweed, $versity;
Peers::azure($azurite->{port}, 'PUT', 'data?restype=container');
Peers::gcs_bucket($gcs->{port}, 'data') if $gcs;

sub connector
{
    my ($name, $type, $config, $method, $auth) = @_;
    $k->sql("SELECT kaireon.create_connector('$name', '$type', " . $k->json($config) . ($method ? ", '$method', " . $k->json($auth) : '') . ')');
    return;
}

sub error_of { return $k->sql_error("\\set VERBOSITY verbose\n$_[0]"); }

# The resource that is the file of this name there, and nothing else.
sub resource_of
{
    my ($place, $name) = @_;
    return $place->{urls} ? in_url($name) : $name =~ s/([\[\]])/\\$1/gr;
}

sub list { return $k->sql("SELECT string_agg(path || ' ' || size, ', ') FROM kaireon.list_objects('$_[0]', '$_[1]')"); }

sub rows { return $k->sql("SELECT string_agg(format('%s:%s', id, coalesce(name, 'null')), ', ' ORDER BY id) FROM $_[0]"); }

# load(PLACE, PIPELINE, SOURCE, FILES...): runs the pipeline over the pattern, or where there are
# only URLs over each of the files; the statuses and the rows read.
sub load
{
    my ($place, $pipeline, $source, @names) = @_;
    my ($read, %status) = 0;
    for my $resource ($place->{urls} ? map { in_url($_) } @names : $source->{resource})
    {
        $k->sql("SELECT kaireon.update_pipeline('$pipeline', nodes => (SELECT jsonb_set(nodes, '{0,config,resource}', to_jsonb('$resource'::text)) FROM kaireon.pipelines WHERE name = '$pipeline'))");
        my $run = $k->run($pipeline);
        $status{ $run->{status} . ($run->{error_code} ? " $run->{error_code} $run->{error_message}" : '') } = 1;
        $read += $run->{rows_read};
    }
    return join(' ', sort keys %status) . " $read";
}

sub made
{
    my ($place, $what, $source, %more) = @_;
    return $k->make("${what}_$place->{name}", connector => $place->{name}, fields => \@fields, source => $source, target => { loadingStrategy => 'upsert' }, %more);
}

# ---- the contract

# What a folder or a pattern finds.
sub listings
{
    my ($place) = @_;
    my $name = $place->{name};
    my $size = sub { return join ', ', map { "$_ " . length $content{$_} } @_; };
    is(list($name, 'odd'), $size->(@odd), "$name: a folder, with sizes");
    is(list($name, 'odd/'), $size->(@odd), "$name: a folder with a slash");
    is(list($name, 'tree'), $size->('tree/e.csv'), "$name: a folder is without those below");
    is(list($name, 'tree/**'), $size->('tree/deep/er/d.csv', 'tree/deep/note.txt', 'tree/e.csv'), "$name: ** is with them");
    is(list($name, 'tree/**/*.csv'), $size->('tree/deep/er/d.csv', 'tree/e.csv'), "$name: a pattern in any depth");
    is(list($name, '*/*/*/d.csv'), $size->('tree/deep/er/d.csv'), "$name: one of folders");
    is(list($name, '[ep]*.csv'), $size->('empty.csv', 'plain.csv'), "$name: one of characters");
    is(list($name, 'odd/[x].csv'), $size->('odd/[x].csv'), "$name: a name that is a pattern");
    is(list($name, 'odd/none*'), '', "$name: a pattern that matches nothing");
    # Folders of keys exist only in name.
    my $gone = "SELECT count(*) FROM kaireon.list_objects('$name', 'gone/*.csv')";
    $place->{folders} ? like(error_of($gone), qr/58P01: directory "gone" does not exist/, "$name: a pattern in a folder that is not there") : is($k->sql($gone), 0, "$name: the same of names without folders");
    like(error_of("SELECT * FROM kaireon.list_objects('$name', '../x')"), qr/42501: "\.\.\/x" contains "\.\."/, "$name: a path that goes up");
    is($k->sql("SELECT bool_and(modified_at BETWEEN now() - interval '10 minutes' AND now() + interval '2 seconds') FROM kaireon.list_objects('$name', '**')"), 't', "$name: times");
    is($k->sql("SELECT string_agg(id::text, ' ') FROM kaireon.read('$name', 'odd/*') AS t(id int)"), $k->sql("SELECT string_agg(id::text, ' ') FROM kaireon.read('local_fs', 'odd/*') AS t(id int)"),
        "$name: files come in the order of their names");
    return;
}

# What one file gives.
sub single_files
{
    my ($place) = @_;
    my $name = $place->{name};
    my @resources = map { resource_of($place, $_) } sort keys %content;
    is($k->sql("SELECT string_agg(o.path || ' ' || o.size, ', ') FROM unnest(ARRAY[" . join(', ', map { "'$_'" } @resources) . "]) AS r, kaireon.list_objects('$name', r) AS o"),
        join(', ', map { ($place->{urls} ? resource_of($place, $_) : $_) . ' ' . length $content{$_} } sort keys %content), "$name: each file by its name, with its size");
    is($k->sql("SELECT string_agg(p::text, ' ') FROM kaireon.preview('$name', 'plain.csv') AS p"),
        '{"id": "1", "name": "said \"yes\", twice"} {"id": "2", "name": "two\nlines"} {"id": "3", "name": ""} {"id": "4", "name": null}', "$name: preview");
    is($k->sql("SELECT kaireon.infer_fields('$name', 'packed.csv.gz')"), $k->sql("SELECT kaireon.infer_fields('local_fs', 'packed.csv.gz')"), "$name: infer_fields");
    is($k->sql("SELECT count(*) FROM kaireon.read('$name', 'empty.csv', '{\"columns\": [\"id\"]}') AS t(id int)"), 0, "$name: an empty file has no rows");
    is($k->sql("SELECT id FROM kaireon.read('$name', 'big.csv') AS t(id bigint, name text) LIMIT 3"), "1\n2\n3", "$name: three rows of many");
    is($k->sql("SELECT count(*), sum(id), max(length(name)) FROM kaireon.read('$name', 'big.csv') AS t(id bigint, name text)"), join('|', $ROWS, $ROWS * ($ROWS + 1) / 2, length "name of number $ROWS which is rather long"),
        "$name: and all of them");
    for my $asked ("SELECT * FROM kaireon.list_objects('$name', 'none.csv')", "SELECT * FROM kaireon.read('$name', 'none.csv') AS t(id int)", "SELECT kaireon.preview('$name', 'none.csv')",
        "SELECT kaireon.infer_fields('$name', 'none.csv')")
    {
        like(error_of($asked), qr/58P01: file "none\.csv" does not exist/, "$name: " . $asked =~ s/.*kaireon\.(\w+).*/$1/r . ' of a file that is not there');
    }
    return;
}

sub pipelines
{
    my ($place) = @_;
    my $name = $place->{name};
    my $all = made($place, 'all', { resource => 'x' });
    is(join(' ', map { load($place, $all, { resource => $_->[0] }, @{ $_->[1] }) } [ '[pl]*', [ @loaded[ 0 .. 2 ] ] ], [ 'odd/*', \@odd ], [ 'tree/**/*.csv', [ @loaded[ -2, -1 ] ] ]),
        'success 8 success 5 success 2', "$name: pipelines load what is there");
    is(rows("ds_$all"), qq(1:said "yes", twice, 2:two\nlines, 3:, 4:null, 10:packed, 11:too, 20:caf\xc3\xa9, 21:null, 30:space, 31:unicode, 32:plus, 33:percent, 34:brackets, 40:near, 41:far),
        "$name: the table");
    my $big = made($place, 'big', { resource => 'big.csv' });
    is(load($place, $big, { resource => 'big.csv' }, 'big.csv'), "success $ROWS", "$name: a file of some length");
    is($k->sql("SELECT md5(string_agg(id || name, '' ORDER BY id)) FROM ds_$big"), $k->sql('SELECT md5(string_agg(id || name, \'\' ORDER BY id)) FROM ds_big_local_fs'), "$name: its table");

    my $missing = $k->run(made($place, 'missing', { resource => 'none.csv' }));
    is("$missing->{status} $missing->{error_code} $missing->{error_message}", 'failed 58P01 file "none.csv" does not exist', "$name: a run of a file that is not there");
    return;
}

sub incremental
{
    my ($place) = @_;
    my $name = $place->{name};
    my @inc = ('inc/a.csv', 'inc/b.csv');
    my $inc = made($place, 'inc', { resource => $place->{urls} ? $inc[0] : 'inc/*.csv', incremental => \1 });
    my $source = { resource => 'inc/*.csv' };
    is(load($place, $inc, $source, @inc), 'success 2', "$name: a first incremental run");
    is(load($place, $inc, $source, @inc), 'success 0', "$name: a second has nothing to do");
    $place->{put}->('inc/a.csv', "id,name\n50,changed\n52,new\n");
    is(load($place, $inc, $source, @inc), 'success 2', "$name: a file that was changed is loaded again");
    $place->{put}->('inc/c.csv', "id,name\n53,c\n");
    is(load($place, $inc, $source, @inc, 'inc/c.csv'), 'success 1', "$name: and one that is new");
    is(rows("ds_$inc"), '50:changed, 51:b, 52:new, 53:c', "$name: the table of it");
    is($k->sql("SELECT string_agg(path || ' ' || rows_read, ', ' ORDER BY path, loaded_at) FROM kaireon.source_state WHERE pipeline = '$inc'"), 'inc/a.csv 1, inc/a.csv 2, inc/b.csv 1, inc/c.csv 1', "$name: the ledger");
    return;
}

sub moves
{
    my ($place) = @_;
    my $name = $place->{name};
    my $box = made($place, 'box', { resource => 'box/*.csv' }, nodes => [ { id => 'away', type => 'archive', config => { successFolder => 'done/x', failureFolder => 'bad' } } ]);
    my $moved = sub { return $k->poll("$name: the outbox", "SELECT NOT EXISTS (SELECT FROM kaireon.outbox WHERE pipeline = '$box' AND status <> 'done')"); };
    is($k->run($box)->{rows_read}, 2, "$name: a pipeline with an archive");
    $moved->();
    is(list($name, 'box/*') . '; ' . list($name, 'done/**'), '; done/x/a.csv 13, done/x/b.csv 13', "$name: its files are moved");
    $place->{put}->('box/a.csv', "id,name\n62,again\n");
    $k->run($box);
    $moved->();
    is(list($name, 'done/**'), 'done/x/a.csv 13, done/x/a.csv.1 17, done/x/b.csv 13', "$name: one of the same name overwrites nothing");
    $place->{put}->('box/b.csv', "id,name\nx,bad\n");
    my $run = $k->run($box);
    is("$run->{status} $run->{error_code}", 'failed 22P02', "$name: a bad row");
    $moved->();
    is(list($name, 'bad'), 'bad/b.csv 14', "$name: moves its file to the other folder");
    is(rows("ds_$box"), '60:a, 61:b, 62:again', "$name: the table of them");
    is($k->sql("SELECT string_agg(path || ' ' || moved_to, ', ' ORDER BY id) FROM kaireon.outbox WHERE pipeline = '$box'"), 'box/a.csv done/x/a.csv, box/b.csv done/x/b.csv, box/a.csv done/x/a.csv.1, box/b.csv bad/b.csv', "$name: the outbox");
    return;
}

# Files that are moved before they are read: where a move is a copy, what is read has another time and etag than what was listed.
sub staging
{
    my ($place) = @_;
    my $name = $place->{name};
    my $desk = made($place, 'desk', { resource => 'desk/*.csv', incremental => \1, atomicity => { stagingFolder => 'work/x', successFolder => 'desk_done', failureFolder => 'desk_bad' } });
    my $moved = sub { return $k->poll("$name: the outbox", "SELECT NOT EXISTS (SELECT FROM kaireon.outbox WHERE pipeline = '$desk' AND action = 'move' AND status <> 'done')"); };
    my $ended = sub { my $run = $k->run($desk); $moved->(); return join ' ', $run->{status}, $run->{rows_loaded}, grep { defined } $run->{error_code}; };
    my $listed = sub { return join '; ', map { list($name, $_) =~ s/[0-9a-f]{16}/#/gr } @_; };
    my $claims = sub { return $k->sql("SELECT string_agg(path || ' ' || status, ', ' ORDER BY path) FROM kaireon.outbox WHERE pipeline = '$desk' AND action = 'stage'"); };
    $place->{put}->('desk/a.csv', "id,name\n70,a\n");
    $place->{put}->('desk/b.csv', "id,name\nx,bad\n");
    my $etag = $k->sql("SELECT coalesce(etag, '') FROM kaireon.list_objects('$name', 'desk/a.csv')");
    is($ended->(), 'failed 0 22P02', "$name: staging: a bad row");
    is($listed->('work/x', 'desk_bad') . '; ' . $claims->(), 'work/x/#-a.csv 13; desk_bad/b.csv 14; desk/a.csv staged', "$name: moves its file to the folder for failures, the other stays in the staging folder");
    $k->sql("UPDATE kaireon_internal.outbox SET status = 'pending', moved_to = NULL, staged_size = NULL, staged_modified_at = NULL, staged_etag = NULL WHERE kind = 'stage'");
    is($ended->(), 'success 1', "$name: which was moved, though that was not noted, is found there");
    is($listed->('work/x/*', 'desk_done') . '; ' . $claims->(), '; desk_done/a.csv 13; ', "$name: and moved on");
    is($k->sql("SELECT path || ' ' || (etag = '$etag') FROM kaireon_internal.source_file AS f JOIN kaireon_internal.pipeline AS p ON p.id = f.pipeline_id WHERE p.name = '$desk'"), 'desk/a.csv true', "$name: the ledger has it as it was listed");
    $place->{put}->('desk/c.csv', "id,name\n71,c\n");
    $place->{put}->('desk/d.csv', "id,name\n72,d\n");
    $k->sql("INSERT INTO kaireon_internal.outbox (kind, pipeline_id, run_id, node_id, connector_id, path, size, modified_at, etag, target_path, config_hash)
        SELECT 'stage', p.id, p.id, 'read', p.connector_id, o.path, o.size + (o.path = 'desk/d.csv')::int, o.modified_at, coalesce(o.etag, ''), 'work/x/of ' || right(o.path, 5),
            (SELECT md5(c.config::text) FROM kaireon_internal.connector AS c WHERE c.id = p.connector_id)
        FROM kaireon.list_objects('$name', 'desk') AS o, kaireon_internal.pipeline AS p WHERE p.name = '$desk'");
    $k->sql("UPDATE kaireon_internal.outbox SET etag = 'another' WHERE kind = 'stage' AND path = 'desk/d.csv' AND etag <> ''");
    is($ended->(), 'success 1', "$name: what was claimed and not moved is moved, but for a file that has changed");
    is($ended->(), 'success 1', "$name: which the next run loads");
    is(rows("ds_$desk"), '70:a, 71:c, 72:d', "$name: each once");
    is($listed->('work/x/*', 'desk_done'), '; desk_done/a.csv 13, desk_done/c.csv 13, desk_done/d.csv 13', "$name: and all are in the folder for what was loaded");
    return;
}

# Little is fetched of a large object by who wants little of it; a run goes on in its middle.
sub offsets
{
    my ($place) = @_;
    my $name = $place->{name};
    if ($place->{at})
    {
        my $meter = MeterProxy->new($place->{at});
        connector("metered_$name", $place->{type} // $name, $place->{with}->($meter->port));
        is($k->sql("SELECT count(*) FROM (SELECT FROM kaireon.read('metered_$name', 'large/l.csv') AS t(id bigint, name text) LIMIT 10) AS few"), 10, "$name: ten rows of a large object");
        my $bytes = $meter->bytes;
        # what was on its way when the reader ended counts as well
        cmp_ok($bytes, '<', 2_000_000, "$name: take $bytes bytes of " . length $content{'large/l.csv'});
    }
    my $pipeline = $k->make("resumed_$name", connector => $name, fields => \@fields, source => { resource => 'large/l.csv' },
        execution => { commit => 'batch', batchSize => 10_000 });
    $k->sql(qq(CREATE OR REPLACE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_xact_lock_shared(42); RETURN NEW; END';
        CREATE TRIGGER gate BEFORE INSERT ON ds_$pipeline FOR EACH ROW WHEN (NEW.id = 105000) EXECUTE FUNCTION gate()));
    my $lock = $k->session;
    $lock->query('SELECT pg_advisory_lock(42)');
    my $run = $k->start($pipeline);
    my $worker = $k->worker_pid($run);
    $k->poll('the run to reach the lock', "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $worker AND wait_event = 'advisory')");
    kill 'TERM', $worker;
    is($k->wait_run($run), 'failed', "$name: a run that dies in the middle of a file");
    $lock->close;
    is($k->sql("SELECT count(*) FROM ds_$pipeline"), 100_000, "$name: has committed its beginning");
    $k->sql("SELECT kaireon.resume_run('$run')");
    is($k->wait_run($run), 'success', "$name: and goes on behind that");
    is($k->sql("SELECT count(*), count(DISTINCT id), sum(id) FROM ds_$pipeline"), join('|', $LARGE, $LARGE, $LARGE * ($LARGE + 1) / 2), "$name: with every row once");
    return;
}

for (grep { Peers::absent($_) } 'fake_gcs', 'versitygw', 'nginx')
{
    SKIP: { skip Peers::absent($_), 1; }
}
for my $place (@places)
{
    my $name = $place->{name};
    $place->{put}->($_, $content{$_}) for sort keys %content;
    connector($name, $place->{type} // $name, $place->{with}->($place->{at}));
    connector("wrong_$name", $place->{type} // $name, @{ $place->{wrong} });
    is($k->sql("SELECT ok FROM kaireon.test_connector('$name')"), 't', "$name: test_connector");
    is($k->sql("SELECT ok, message <> '' FROM kaireon.test_connector('wrong_$name')"), 'f|t', "$name: and of what does not work");
    listings($place) unless $place->{urls};
    single_files($place);
    pipelines($place);
    incremental($place);
    moves($place) unless $place->{urls};
    staging($place) unless $place->{urls};
    offsets($place);
}

# What can't be moved is said when a pipeline is made.
like($k->sql_error("SELECT kaireon.create_pipeline('stays', 'http_pull', 'inc_http_pull', "
      . $k->json([ { id => 'read', type => 'source', config => { resource => 'box/a.csv' } }, { id => 'away', type => 'archive', config => { successFolder => 'done' } }, { id => 'load', type => 'target' } ]) . ')'),
    qr/what source "read" reads can't be moved, because its connector is of type "http_pull"/, 'http_pull: nothing there is moved');
$k->settled('contract');
done_testing();
