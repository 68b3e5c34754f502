# The kill test: loads of known content, each with one thing dying at a random
# point of it.  Then all recovers, the run is repeated until it ends well, and
# the content must be as if nothing had happened.
#
# usage: torture.pl FIRST COUNT     seeds; each is a test of its own and can be repeated by its number
#
# Some cases read from an S3 server, where one is installed (KAIREON_PEERS, see
# Peers.pm); without one a seed stands for another case.
#
# The server has the injection points of src/pg/injection.h, which test/rings.sh
# builds; which points there are is read from the sources (KAIREON_SOURCES).
use strict;
use warnings;
use Kaireon;
use Peers;
use Test::More;
use Time::HiRes qw(time usleep);

my ($first, $count) = @ARGV;
my $sources = $ENV{KAIREON_SOURCES} or die 'KAIREON_SOURCES is not set';
my @points = sort map { /injection_point\("([a-z-]+)"\)/ ? $1 : () } `grep -rhoE 'injection_point\\("[a-z-]+"\\)' $sources/src/pg`;
my @actions = qw(kill-reader kill-worker kill-supervisor stop-server terminate-worker cancel-worker error);
my $TIMEOUT = 120;
my $JUNK = 'x' x 40;
my $LARGE = 'x' x 2500;      # it goes to a TOAST table

# What is passed more than once in a run, and what is passed in some runs only.
my %often = map { $_ => 1 } grep { /^(batch|split|set-batch|outbox|replay-sent)/ } @points;
my %only = (
    set => qr/^append_once$/, outbox => qr/_(moved|staged)$/, staging => qr/_staged$/, files => qr/replace|blue_green|referred|published/, file => qr/^skips$/, source => qr/^(?!replay)/,
    wait => qr/^waited$/, vain => qr/^in_vain$/, replay => qr/^replay$/, hooks => qr/hooks|dry/, dry => qr/^dry/);
# What is passed once something has failed.
my %later = map { $_ => 1 } grep { /^(failure|worker-gone|supervisor-begun)/ } @points;
my $files = PostgreSQL::Test::Utils::tempdir();
my $store = -x (($ENV{KAIREON_PEERS} // '') . '/weed') ? Peers::seaweedfs() : undef;
my $key = PostgreSQL::Test::Utils::tempdir() . '/key';
PostgreSQL::Test::Utils::append_to_file($key, '0123456789abcdef' x 4);
chmod 0600, $key or die "$key: $!";
my $k = Kaireon->new('torture', files => $files, conf => "kaireon.local_fs_archive_roots = '$files'\nkaireon.supervisor_idle_timeout = 1\nrestart_after_crash = on\nautovacuum = off\n"
    . "kaireon.master_key_file = '$key'\nkaireon.egress_allow = '127.0.0.1'\n");
my @fields = ({ name => 'id', dataType => 'integer', isPrimaryKey => \1 }, { name => 'name', dataType => 'text' }, { name => 'amount', dataType => 'numeric', precision => 12, scale => 2 });

# What can be done to the same files: each pipeline's nodes and configuration, and
#   before    rows that the table has, as a query;
#   after     the table in the end, of the rows before and the good ones: both, if not given;
#   repeats   ids come more than once;
#   parts     it commits before its end, and is resumed;
#   hooks     they write into the table "hooked", once for all that is committed;
#   broken    there is a file that fails, somewhere among the others;
#   options   of the run; a dry run leaves nothing;
#   store     its files are objects of an S3 server;
#   setup     SQL, once; ready: a sub, before each seed, with the good rows.
my $old = q(SELECT g, 'old ' || g, g FROM generate_series(-20, 60) AS g);
my %hooks = (preHook => q(INSERT INTO public.hooked VALUES ('pre')), postHook => q(INSERT INTO public.hooked VALUES ('post')));
my $only_new = sub { return @{ $_[1] } };
my $moved = [ { id => 'moved', type => 'archive', config => { successFolder => 'done' } } ];
my $staged = { atomicity => { stagingFolder => 'staged', successFolder => 'done' } };
my %cases = (
    append       => {},
    append_new   => { source => { incremental => \1 } },
    append_once  => { nodes => [ { id => 'once', type => 'deduplicate', config => { keyFields => ['id'] } } ] },
    append_moved => { nodes => $moved },
    append_staged => { source => $staged },
    append_hooks => { target => {%hooks}, hooks => 1 },
    upsert       => { target => { loadingStrategy => 'upsert' }, before => $old, repeats => 1, after => \&last_of_each },
    mark         => { target => { loadingStrategy => 'incremental_watermark', watermarkField => 'id' } },
    # what is replaced as a whole
    replace      => { target => { loadingStrategy => 'truncate_and_load' }, before => $old, after => $only_new },
    blue_green   => { target => { loadingStrategy => 'blue_green' }, before => $old, after => $only_new, junk => $LARGE,
        setup => 'ALTER TABLE ds_blue_green ALTER name SET STORAGE EXTERNAL; CREATE INDEX ON ds_blue_green (amount, id)' },
    blue_green_hooks => { target => { loadingStrategy => 'blue_green', %hooks }, before => $old, after => $only_new, hooks => 1 },
    referred     => { target => { loadingStrategy => 'truncate_and_load' }, before => $old, after => $only_new, ready => \&refer,
        setup => 'CREATE TABLE refers (id integer REFERENCES ds_referred)' },
    published    => { target => { loadingStrategy => 'blue_green' }, before => $old, after => $only_new, junk => $LARGE,
        setup => 'CREATE PUBLICATION published FOR TABLE ds_published; ALTER TABLE ds_published ALTER name SET STORAGE EXTERNAL' },
    # what has committed before the end, and is resumed
    files        => { execution => { commit => 'file' }, parts => 1 },
    batches      => { execution => { commit => 'batch' }, parts => 1 },
    batch_moved  => { execution => { commit => 'batch' }, parts => 1, nodes => $moved },
    batch_staged => { execution => { commit => 'batch' }, parts => 1, source => $staged },
    batch_hooks  => { execution => { commit => 'batch' }, parts => 1, target => {%hooks}, hooks => 1 },
    batch_upsert => { execution => { commit => 'batch' }, parts => 1, target => { loadingStrategy => 'upsert' }, before => $old, repeats => 1, after => \&last_of_each },
    # a file that fails is left out, and whatever dies meanwhile
    skips        => { execution => { commit => 'file', retry => { maxAttempts => 4, pauseSeconds => 1 } }, parts => 1, source => { onFileError => 'skip' }, broken => 1 },
    retried      => { execution => { commit => 'batch', retry => { maxAttempts => 4, pauseSeconds => 1 } }, parts => 1 },
    # what waits for its files, or finds none
    waited       => { source => { waitPolicy => { maxRetries => 1000, intervalMinutes => 0.01 } }, ready => \&hide },
    in_vain      => { source => { waitPolicy => { maxRetries => 0, onMissAction => 'skip' } }, target => { loadingStrategy => 'truncate_and_load' }, before => $old, after => sub { return @{ $_[0] } }, ready => sub {
        my ($name, $good, $bad) = @_;
        hide($name);
        @$good = @$bad = ();
    } },
    # other runs
    replay       => { options => { replay => {} }, bad => 0.3, ready => \&leave_letters },
    dry          => { options => { dryRun => \1 }, target => {%hooks}, hooks => 1, source => { incremental => \1 }, nodes => $moved, before => q(SELECT g, 'old', g FROM generate_series(-20, -1) AS g) },
    dry_replace  => { options => { dryRun => \1 }, target => { loadingStrategy => 'blue_green', %hooks }, hooks => 1, before => $old },
);

%cases = (
    %cases,
    # what is elsewhere
    store_append => { store => 1, source => { incremental => \1 } },
    store_moved  => { store => 1, nodes => $moved },
    store_staged => { store => 1, source => $staged },
    store_upsert => { store => 1, target => { loadingStrategy => 'upsert' }, before => $old, repeats => 1, after => \&last_of_each },
    store_blue_green => { store => 1, target => { loadingStrategy => 'blue_green' }, before => $old, after => $only_new },
    store_files  => { store => 1, execution => { commit => 'file' }, parts => 1 },
    store_batch_moved => { store => 1, execution => { commit => 'batch', retry => { maxAttempts => 4, pauseSeconds => 1 } }, parts => 1, nodes => $moved },
) if $store;

# ---- what may fail while the server is down

# try_sql(QUERY): the answer, or undef when the server can't be asked.
sub try_sql
{
    my ($query) = @_;
    return scalar eval { local $SIG{__WARN__} = sub { }; $k->sql($query) };
}

# asked(QUERY): the answer, once the server is there again.
sub asked
{
    my ($query) = @_;
    my $until = time + $TIMEOUT;
    my $failures = 0;
    while (time < $until)
    {
        my $answer = try_sql($query);
        return $answer if defined $answer;
        die "it fails: $query" if $failures++ > 3 && defined try_sql('SELECT 1');
        come_back();
        usleep(100_000);
    }
    die "the server did not answer: $query";
}

# Starts a server that was stopped; one that restarts by itself is let be.
sub come_back
{
    my $pid = $k->postmaster_pid;
    return if $pid && kill 0, $pid;
    $k->node->{_pid} = undef;
    $k->node->start(fail_ok => 1);
    return;
}

# Rows as "id|name|amount": the last of each id, where there was one before too.
sub last_of_each
{
    my ($before, $good) = @_;
    my %rows = map { /^(-?\d+)/ ? ($1 => $_) : () } @$before, @$good;
    return values %rows;
}

# ---- one seed

sub write_sources
{
    my ($case) = @_;
    my $folder = $k->files . "/$case";
    my (@good, @bad);
    my $id = 0;
    my $junk = $cases{$case}{junk} || $JUNK;

    system('rm', '-rf', $folder) == 0 or die "rm $folder";
    mkdir $folder or die "$folder: $!";
    for my $file (1 .. 1 + int rand 4)
    {
        my @lines;
        for (1 .. 1 + int rand 400)
        {
            $id = $cases{$case}{repeats} ? int rand 150 : $id + 1;
            if (rand() < ($cases{$case}{bad} || 0.03))
            {
                push @lines, "$id,bad $id,oops $id";
                push @bad, "$id|bad $id|oops $id";
            }
            else
            {
                my $amount = sprintf '%.2f', rand 1000;
                push @lines, "$id,name $id $junk,$amount";
                push @good, "$id|name $id $junk|$amount";
            }
        }
        $k->write_file("$case/$file.csv", join("\n", 'id,name,amount', @lines) . "\n");
    }
    $k->write_file("$case/" . int(rand 5) . 'x.csv', "\x1f\x8b\x08\x00cut") if $cases{$case}{broken};
    upload($case) if $cases{$case}{store};
    return (\@good, \@bad);
}

# Objects instead of the files of before.
sub upload
{
    my ($case) = @_;
    my $there = HTTP::Tiny->new->request('DELETE', "http://127.0.0.1:$store->{filer}/buckets/data/$case?recursive=true");
    die "$case: $there->{status}" unless $there->{status} =~ /^(204|404)$/;
    Peers::s3_put($store->{port}, 'data', $_, $k->files . "/$_") for map { s{.*/(?=[^/]*/)}{}r } glob $k->files . "/$case/*.csv";
    return;
}

# Paths of the case's files that are still where they were read.
sub files_of
{
    my ($case) = @_;
    return split /\n/, asked("SELECT path FROM kaireon.list_objects('store', '$case/*.csv')") if $cases{$case}{store};
    return glob $k->files . "/$case/*.csv";
}

sub make_case
{
    my ($name) = @_;
    my $case = $cases{$name};

    $case->{after} ||= sub { return @{ $_[0] }, @{ $_[1] } };
    $case->{after} = sub { return @{ $_[0] } } if is_dry($name);
    $k->make($name, $case->{store} ? (connector => 'store') : (), fields => \@fields, source => { resource => "$name/*.csv", %{ $case->{source} || {} } }, nodes => $case->{nodes},
        target => $case->{target} || {}, execution => { batchSize => 50, errorHandling => 'dlq', %{ $case->{execution} || {} } });
    $k->sql($case->{setup}) if $case->{setup};
    return;
}

sub is_dry { return ($cases{ $_[0] }{options} || {})->{dryRun}; }

# A row of another table has the key of one of the first good rows, if it is in the table before as well.
sub refer
{
    my ($name, $good) = @_;
    my ($id) = map { /^(\d+)/ && $1 <= 60 ? $1 : () } @$good;
    asked("INSERT INTO refers VALUES ($id)") if $id;
    return;
}

# The files are not there yet; they are once a run waits for them.
sub hide
{
    my ($name) = @_;
    my $folder = $k->files . "/$name";
    system('rm', '-rf', "$folder.hidden") == 0 or die "rm $folder.hidden";
    rename $folder, "$folder.hidden" or die "$folder: $!";
    mkdir $folder or die "$folder: $!";
    return;
}

# Theirs, if that run waits.
sub show_files
{
    my ($run) = @_;
    my $name = asked("SELECT coalesce((SELECT pipeline FROM kaireon.run_waits WHERE run_id = '$run' AND outcome IS NULL), '')");
    my $folder = $k->files . "/$name";
    return unless $name && -e "$folder.hidden";
    rename $_, $folder . substr $_, length "$folder.hidden" or die "$_: $!" for glob "$folder.hidden/*";
    rmdir "$folder.hidden" or die "$folder.hidden: $!";
    return;
}

# A run has kept the bad rows; those with an even id are mended.  Good rows of the
# replay are these, bad ones the others.
sub leave_letters
{
    my ($name, $good, $bad) = @_;
    asked("SELECT kaireon.run_pipeline('$name')");
    asked("SELECT count(kaireon.edit_dead_letter(id, '{\"amount\": 1}')) FROM kaireon.dead_letters WHERE pipeline = '$name' AND (record ->> 'id')::integer % 2 = 0");
    @$good = map { /^(\d+)/ && $1 % 2 == 0 ? s/oops \d+$/1.00/r : () } @$bad;
    @$bad = grep { /^(\d+)/ && $1 % 2 } @$bad;
    return;
}

# What shall happen, in turn.
sub order
{
    my @orders = @_;
    my $path = $k->node->data_dir . '/kaireon_injection';
    for my $order (reverse @orders)
    {
        rename $path, "$path.next" if -e $path;
        open my $out, '>', $path or die "$path: $!";
        print $out "$order\n";
        close $out or die $!;
    }
    return;
}

# How many orders were not carried out; they are taken back.
sub orders_left { return unlink map { $k->node->data_dir . "/kaireon_injection$_" } '', '.next'; }

# One or two of them, for that pipeline: the second after what fails at first.
sub random_orders
{
    my ($name) = @_;
    my @can = grep { my ($family) = /^([a-z]+)/; !$only{$family} || $name =~ $only{$family} } @points;
    my @first = grep { !$later{$_} } @can;
    my $point = $can[ rand @can ];
    my @orders;

    if ($later{$point})
    {
        my $first = $first[ rand @first ];
        push @orders, "$first 1 " . (qw(error terminate-worker kill-worker kill-supervisor))[ rand 4 ];
    }
    push @orders, "$point " . ($often{$point} ? 1 + int rand 8 : 1) . ' ' . $actions[ rand @actions ];
    return @orders;
}

# The last run of a pipeline, '' when there is none.
sub last_run { return asked("SELECT coalesce((SELECT run_id::text FROM kaireon_internal.run WHERE pipeline = '$_[0]' ORDER BY queued_at DESC LIMIT 1), '')"); }

# started(NAME, WAITS, RUN): RUN is resumed where there can be something of it;
# else a run is begun, by a session that waits for it or by one that does not;
# undef when it died with its session.  Who asked may die after the server has
# done it: then it is not asked again.
my $waiting;
sub started
{
    my ($name, $waits, $run) = @_;
    if ($run && $cases{$name}{parts})
    {
        eval { asked("SELECT kaireon.resume_run('$run')") };
        return $run;
    }
    my $options = $k->json($cases{$name}{options} || {});
    my $before = last_run($name);
    my $until = time + $TIMEOUT;

    unless ($waits)
    {
        my $started = try_sql("SELECT kaireon.start_pipeline('$name', $options)") || last_run($name);
        return $started eq $before ? undef : $started;
    }
    $waiting = eval { $k->session } or return undef;
    eval { $waiting->send("SELECT status FROM kaireon.run_pipeline('$name', $options)") };
    while (time < $until)
    {
        my $run = last_run($name);
        return $run if $run ne $before;
        # neither is it there, nor does anybody want it any more
        return undef if asked('SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = ' . $waiting->pid . ')') eq 't' && last_run($name) eq $before;
        usleep(50_000);
    }
    die "run_pipeline('$name') did not begin";
}

# ended(RUN): how the run ended, '' when nothing is known of it.
sub ended
{
    my ($run) = @_;
    my $until = time + $TIMEOUT;
    while (time < $until)
    {
        my $status = asked("SELECT coalesce((SELECT status FROM kaireon.runs WHERE run_id = '$run'), '')");
        return $status if $status !~ /^(queued|running)$/;
        show_files($run);
        usleep(50_000);
    }
    return 'still ' . asked("SELECT status FROM kaireon.runs WHERE run_id = '$run'");
}

# becomes(CODE): waits until it is true, through crashes of the server.
sub becomes
{
    my ($what) = @_;
    my $until = time + $TIMEOUT;
    while (time < $until)
    {
        asked('SELECT 1');
        return 1 if eval { local $SIG{__WARN__} = sub { }; $what->() };
        usleep(50_000);
    }
    return 0;
}

sub lines { return join "\n", sort @_; }

# Differences of two lists, a few of them.
sub differences
{
    my ($have, $want) = @_;
    my %seen;
    $seen{$_}++ for @$have;
    $seen{$_}-- for @$want;
    my @wrong = sort grep { $seen{$_} } keys %seen;
    return map { "$_: $seen{$_}" } @wrong > 5 ? @wrong[ 0 .. 4 ] : @wrong;
}

# What the hooks have done: their words, in order.
sub hooked { return asked("SELECT coalesce(string_agg(what, ' ' ORDER BY what), '') FROM hooked"); }

# What is wrong with the table and what else a run that ended well leaves: a list.
sub wrong_content
{
    my ($name, $after, $bad) = @_;
    my @rows = split /\n/, content($name);
    my @letters = split /\n/, asked("SELECT record ->> 'id' || '|' || (record ->> 'name') || '|' || (record ->> 'amount') FROM kaireon.dead_letters WHERE pipeline = '$name'");
    my @there = files_of($name);
    my $done = is_dry($name) ? '' : 'post pre';
    my @faults;

    push @faults, 'the table differs', differences(\@rows, $after) if lines(@rows) ne lines(@$after);
    push @faults, 'the dead letters differ', differences(\@letters, $bad) if lines(@letters) ne lines(@$bad);
    push @faults, 'hooks have done "' . hooked() . '"' if $cases{$name}{hooks} && hooked() ne $done;
    if ($name eq 'replay')
    {
        my $tried = asked("SELECT count(*) FROM kaireon.dead_letters WHERE pipeline = '$name' AND attempts <> 1");
        push @faults, "$tried dead letters were not tried once" if $tried;
    }
    if ($name =~ /^(append_new|store_append)$/ || is_dry($name))
    {
        my $files = asked("SELECT count(*) FROM kaireon.source_state WHERE pipeline = '$name'");
        push @faults, "$files files in the ledger" unless $files == (is_dry($name) ? 0 : @there);
    }
    if ($cases{$name}{broken})
    {
        my $failed = asked("SELECT count(*) FROM kaireon.source_state WHERE pipeline = '$name' AND kind = 'failure' AND error_code <> 'KA001'");
        push @faults, "$failed files have failed" unless $failed == 1;
    }
    if ($name =~ /_(moved|staged)$/)
    {
        becomes(sub { $k->sql("SELECT NOT EXISTS (SELECT FROM kaireon.outbox WHERE pipeline = '$name' AND status <> 'done')") eq 't' });
        my @left = files_of($name);
        push @faults, "not moved: @left" if @left;
    }
    if (is_dry($name))
    {
        push @faults, 'files were moved' if -e $k->files . "/$name/done" || !@there;
        push @faults, 'something is in the outbox' if asked("SELECT count(*) FROM kaireon.outbox WHERE pipeline = '$name'");
    }
    return @faults;
}

# What is wrong with the counters of runs, of which the last loads so many rows.
sub wrong_counters
{
    my ($name, $rows, @runs) = @_;
    my @faults;

    for my $run (@runs)
    {
        push @faults, "the counters of run $run do not add up" unless
          asked("SELECT coalesce((SELECT rows_read = rows_loaded + rows_updated + rows_failed + rows_skipped + rows_filtered + rows_merged FROM kaireon_internal.run WHERE run_id = '$run'), true)") eq 't';
        my $loaded = asked("SELECT coalesce((SELECT rows_loaded FROM kaireon_internal.run WHERE run_id = '$run' AND status NOT IN ('success', 'partial')), 0)");
        my $all = asked("SELECT coalesce((SELECT rows_loaded + rows_updated FROM kaireon_internal.run WHERE run_id = '$run' AND status IN ('success', 'partial')), -1)");
        push @faults, "run $run ended well and says it loaded $all rows of $rows" if $all >= 0 && $all != $rows && !$cases{$name}{repeats};
        push @faults, "run $run failed and says it loaded $loaded rows" if $loaded != 0 && !$cases{$name}{parts};
    }
    return @faults;
}

# What is left behind that no run is any more: a list.
sub left_behind
{
    my ($name) = @_;
    my @faults;

    becomes(sub { $k->sql("SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'kaireon run') AND NOT EXISTS (SELECT FROM kaireon.progress)") eq 't' })
      or push @faults, 'a worker or a slot is left';
    push @faults, 'a lock is left' unless asked("SELECT NOT EXISTS (SELECT FROM pg_locks WHERE relation = 'ds_$name'::regclass AND pid <> pg_backend_pid())") eq 't';
    my @readers = $k->readers;
    push @faults, "readers are left: @readers" if @readers;
    becomes(sub { my @lists = glob $k->node->data_dir . '/kaireon_new_files/*'; return !@lists && !$k->orphans })
      or push @faults, 'files without a relation or lists of them: ' . join ' ', $k->orphans, glob $k->node->data_dir . '/kaireon_new_files/*';
    return @faults;
}

sub content { return asked("SELECT id || '|' || name || '|' || amount FROM ds_$_[0]"); }

sub torture
{
    my ($seed) = @_;
    srand $seed;
    my $name = (sort keys %cases)[ rand keys %cases ];
    my $case = $cases{$name};
    my ($good, $bad) = write_sources($name);
    my @orders = random_orders($name);
    my $waits = $orders[0] =~ /^request/ || rand() < 0.3; # requests are what waiting sessions make
    my $what = "seed $seed: $name" . ($waits ? ' by run_pipeline, ' : ', ') . join(', then ', @orders);
    my @faults;

    asked("TRUNCATE ds_$name CASCADE; TRUNCATE hooked; SELECT kaireon.purge_dead_letters('$name'); SELECT kaireon.reset_source_state('$name')");
    asked("INSERT INTO ds_$name (id, name, amount) $case->{before}") if $case->{before};
    $case->{ready}->($name, $good, $bad) if $case->{ready};
    my @before = split /\n/, content($name);
    my @after = $case->{after}->(\@before, $good);
    order(@orders);
    my @runs;
    my $status = '';
    for my $attempt (1 .. 5)
    {
        my $run = started($name, $waits, $runs[-1]);
        $status = $run ? ended($run) : 'lost';
        push @runs, $run if $run && !grep { $_ eq $run } @runs;
        eval { $waiting->close } if $waiting;
        $waiting = undef;
        last if $status =~ /^(success|partial)$/;
        my @now = split /\n/, content($name);
        push @faults, "attempt $attempt changed the table", differences(\@now, \@before) if !$case->{parts} && lines(@now) ne lines(@before);
        push @faults, "attempt $attempt has kept what hooks did" if !$case->{parts} && hooked() ne '';
        # what dies can only die once
        push @faults, "attempt $attempt ended as $status" if $attempt > @orders + 1;
    }
    push @faults, "the last run ended as $status" if $status !~ /^(success|partial)$/;
    push @faults, wrong_content($name, \@after, is_dry($name) ? [] : $bad), wrong_counters($name, scalar @$good, @runs);
    my $happened = orders_left() < @orders;
    push @faults, left_behind($name);
    is(join("\n", @faults), '', $what . ($happened ? '' : ' (was not reached)'));
    return $happened;
}

$k->sql('CREATE TABLE hooked (what text)');
if ($store)
{
    Peers::s3($store->{port}, 'PUT', 'data');
    $k->sql("SELECT kaireon.create_connector('store', 'amazon_s3', " . $k->json({ bucket => 'data', endpoint => "http://127.0.0.1:$store->{port}" }) . ", 'access_key', "
        . $k->json({ accessKeyId => $Peers::S3_ID, secretAccessKey => $Peers::S3_SECRET }) . ')');
}
make_case($_) for sort keys %cases;
my $reached = 0;
for my $seed ($first .. $first + $count - 1)
{
    $reached += eval { torture($seed) } || 0;
    fail("seed $seed: $@") if $@;
}
note("$reached of $count seeds reached their point");
ok($reached >= $count / 3, 'enough seeds reached their point');
done_testing;
