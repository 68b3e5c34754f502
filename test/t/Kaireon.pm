# Kaireon.pm: what the TAP tests share.
#
# A test makes a node with kaireon preloaded (new), gives it files to load
# (write_csv), watches runs (poll, worker_pid, reader_pid, wait_run) and asks at
# its end whether the server lived through (same_postmaster).  Starting and
# stopping nodes, psql and the log are PostgreSQL::Test::Cluster's; the object
# holds one in {node}.  Nothing here sleeps for a fixed time: poll asks again
# every 20 ms until the answer is right or the time is up.
#
#     my $k = Kaireon->new('crash');
#     $k->write_csv('a.csv', [ 'id', 'name' ], [ 1, 'Ada' ], [ 2, 'Bruno' ]);
#     $k->sql("SELECT kaireon.create_connector(...)");
#     my $run = $k->sql("SELECT kaireon.start_pipeline('p')");
#     kill 'KILL', $k->reader_pid($run);
#     is($k->wait_run($run), 'failed');
#     ok($k->same_postmaster);
#
# Most tests begin with make(), which gives a connector, a schema and a
# pipeline in one call, run it with run(), and end with settled().  session()
# is a psql that stays, to hold a lock or a transaction open.
package Kaireon;

use strict;
use warnings;

use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Time::HiRes qw(usleep time);

# In ASCII: what takes a statement to psql does not always tell characters from bytes.
my $json = JSON::PP->new->canonical->allow_nonref->ascii;

# How long poll waits for something that should happen, in seconds.
our $TIMEOUT = $ENV{PG_TEST_TIMEOUT_DEFAULT} || 60;

# new(NAME, preload => 'kaireon', conf => "text", files => DIR, start => 1,
#     install_path => PREFIX of another installation):
# a started node, its files folder among the roots, the extension created in
# database postgres.
sub new
{
    my ($class, $name, %options) = @_;
    my $node = PostgreSQL::Test::Cluster->new($name, $options{install_path} ? (install_path => $options{install_path}) : ());
    my $files = $options{files} || PostgreSQL::Test::Utils::tempdir();
    my $preload = $options{preload} || 'kaireon';
    my $self = bless { node => $node, files => $files }, $class;

    $node->init;
    $node->append_conf('postgresql.conf', <<"CONF");
shared_preload_libraries = '$preload'
kaireon.local_fs_roots = '$files'
max_worker_processes = 32
log_min_messages = info
CONF
    $node->append_conf('postgresql.conf', $options{conf}) if $options{conf};
    return $self if exists $options{start} && !$options{start};
    $node->start;
    $self->sql('CREATE EXTENSION kaireon');
    $self->remember_postmaster;
    return $self;
}

sub node  { return $_[0]->{node}; }
sub files { return $_[0]->{files}; }

# with_environment(VARIABLES): the server with these in its environment.
sub with_environment
{
    my ($self, %variables) = @_;
    local @ENV{ keys %variables } = values %variables;
    $self->node->restart;
    return;
}

# sql(QUERY, DATABASE = postgres): the answer as psql -At prints it; dies on an error.
sub sql
{
    my ($self, $query, $database) = @_;
    return $self->{node}->safe_psql($database || 'postgres', $query);
}

# sql_error(QUERY, DATABASE): what psql said on stderr; empty when it succeeded.
sub sql_error
{
    my ($self, $query, $database) = @_;
    my ($code, $out, $err) = $self->{node}->psql($database || 'postgres', $query);
    return $code ? $err : '';
}

# ---- files

sub _csv_field
{
    my ($value) = @_;
    return '' unless defined $value;
    return $value unless $value =~ /[",\r\n]/ || $value eq '';
    $value =~ s/"/""/g;
    return "\"$value\"";
}

# write_csv(NAME, HEADER, ROW...): rows are array references, undef is null.
# Returns the file's path.
sub write_csv
{
    my ($self, $name, @rows) = @_;
    return $self->write_file($name,
        join('', map { join(',', map { _csv_field($_) } @$_) . "\n" } @rows));
}

# write_rows(NAME, COUNT, LINE, HEADER): a big file; LINE(i) gives each row's
# text without its end, i from 1.  Returns the path.
sub write_rows
{
    my ($self, $name, $count, $line, $header) = @_;
    my $path = "$self->{files}/$name";
    open my $out, '>', $path or die "$path: $!";
    print $out "$header\n" if defined $header;
    print $out $line->($_), "\n" for 1 .. $count;
    close $out or die "$path: $!";
    return $path;
}

# write_file(NAME, BYTES): returns the path.
sub write_file
{
    my ($self, $name, $bytes) = @_;
    my $path = "$self->{files}/$name";
    open my $out, '>:raw', $path or die "$path: $!";
    print $out $bytes;
    close $out or die "$path: $!";
    return $path;
}

# ---- waiting

# poll(WHAT, QUERY or CODE, EXPECTED = 't'): asks until the answer is EXPECTED
# (code: until it is true).  Returns the last answer, or undef when time is up,
# after a diagnosis.
sub poll
{
    my ($self, $what, $question, $expected) = @_;
    my $until = time + $TIMEOUT;
    my $answer;

    $expected = 't' unless defined $expected;
    while (time < $until)
    {
        if (ref $question)
        {
            $answer = $question->();
            return $answer if $answer;
        }
        else
        {
            $answer = $self->sql($question);
            return $answer if $answer eq $expected;
        }
        usleep(20_000);
    }
    Test::More::diag("gave up waiting for $what; the last answer was: " . ($answer // 'undef'));
    return undef;
}

# wait_run(RUN): waits until the run has ended; returns its status.
sub wait_run
{
    my ($self, $run, $database) = @_;
    my $status;

    $self->poll("the end of run $run", sub {
        $status = $self->sql("SELECT status FROM kaireon.runs WHERE run_id = '$run'", $database);
        return $status !~ /^(queued|running)$/;
    });
    return $status;
}

# wait_rows_read(RUN, N): waits until the run's progress shows at least N rows.
sub wait_rows_read
{
    my ($self, $run, $n) = @_;
    return $self->poll("$n rows read by $run",
        "SELECT EXISTS (SELECT FROM kaireon.progress WHERE run_id = '$run' AND rows_read >= $n)");
}

# ---- processes

# worker_pid(RUN): the process of a run, as soon as there is one; undef when it
# ended before.
sub worker_pid
{
    my ($self, $run, $database) = @_;
    my $pid;

    $self->poll("the worker of run $run", sub {
        $pid = $self->sql(
            "SELECT a.pid FROM kaireon_internal.run r JOIN pg_stat_activity a ON a.pid = r.worker_pid"
            . " WHERE r.run_id = '$run' AND a.backend_type = 'kaireon run'", $database);
        return 1 if $pid;
        return $self->sql("SELECT status NOT IN ('queued', 'running') FROM kaireon.runs"
            . " WHERE run_id = '$run'", $database) eq 't';
    });
    return $pid || undef;
}

# children(PID): the pids of its child processes.
sub children
{
    my ($pid) = @_;
    my @found;

    for my $file (glob '/proc/[0-9]*/stat')
    {
        open my $in, '<', $file or next;
        my $line = <$in>;
        close $in;
        # The name in brackets may contain anything: look behind the last one.
        next unless defined $line && $line =~ /^(\d+) \((.*)\) \S+ (\d+) /s;
        push @found, $1 if $3 == $pid;
    }
    return @found;
}

# reader_pid(RUN): the kaireon-reader of a run, waiting for it; undef when the
# run ended first.
sub reader_pid
{
    my ($self, $run, $database) = @_;
    my $worker = $self->worker_pid($run, $database) or return undef;
    my @readers;

    $self->poll("the reader of run $run", sub {
        @readers = grep { _comm($_) =~ /^kaireon-reader/ } children($worker);
        return @readers || !kill(0, $worker);
    });
    return $readers[0];
}

sub _comm
{
    my ($pid) = @_;
    open my $in, '<', "/proc/$pid/comm" or return '';
    my $name = <$in>;
    close $in;
    return $name // '';
}

# readers(): every kaireon-reader below this node's postmaster; none should be
# left after a test.
sub readers
{
    my ($self) = @_;
    my $postmaster = $self->postmaster_pid;
    return grep { _comm($_) =~ /^kaireon-reader/ } map { children($_) } children($postmaster);
}

sub postmaster_pid
{
    my ($self) = @_;
    open my $in, '<', $self->{node}->data_dir . '/postmaster.pid' or return 0;
    my $pid = <$in>;
    close $in;
    chomp $pid;
    return $pid;
}

# remember_postmaster(): after a restart that a test wanted.
sub remember_postmaster
{
    my ($self) = @_;
    $self->{started} = $self->sql('SELECT pg_postmaster_start_time()');
    $self->{log_at} = -s $self->{node}->logfile;
    return;
}

# same_postmaster(): true when the server neither restarted nor re-initialised
# its shared memory (a crashed process makes it do that under the same
# postmaster) since remember_postmaster.
sub same_postmaster
{
    my ($self) = @_;
    return 0 if $self->sql('SELECT pg_postmaster_start_time()') ne $self->{started};
    my $log = slurp_file($self->{node}->logfile, $self->{log_at});
    return $log !~ /terminating any other active server processes|reinitializing/;
}

# orphans(DATABASE, NODE): files of the database, in whatever tablespace, that no
# relation has; those of dropped relations stay, empty, until a checkpoint.
sub orphans
{
    my ($self, $database, $node) = @_;
    $node ||= $self->{node};
    my ($oid, @known) = split /\n/, $node->safe_psql($database || 'postgres', q{CHECKPOINT;
        SELECT oid FROM pg_database WHERE datname = current_database();
        SELECT pg_relation_filenode(oid) FROM pg_class WHERE pg_relation_filenode(oid) IS NOT NULL});
    my %known = map { $_ => 1 } @known;
    my $data = $node->data_dir;
    return grep { m{/(\d+)[^/]*$} && !$known{$1} && -s } glob "$data/base/$oid/* $data/pg_tblspc/*/PG_*/$oid/*";
}

# count_identity(RUN): 't' when the run's counters add up (see the README).
sub count_identity
{
    my ($self, $run) = @_;
    return $self->sql("SELECT rows_read = rows_loaded + rows_updated + rows_failed + rows_skipped"
        . " + rows_filtered + rows_merged FROM kaireon_internal.run WHERE run_id = '$run'");
}

# ---- pipelines

# json(VALUE): as an SQL literal.
sub json
{
    my ($self, $value) = @_;
    my $text = ref $value ? $json->encode($value) : $value;
    $text =~ s/'/''/g;
    return "'$text'";
}

# make(NAME, fields => [..] or JSON, source => {..}, nodes => [..], target => {..},
#      execution => {..}, database => 'postgres'): a connector "files" over the
# files folder, schema NAME (table ds_NAME) and pipeline NAME: source, nodes,
# target.  Without fields there is a schema NAME already, or schema => its name.  connector =>
# another one, which is there already.
sub make
{
    my ($self, $name, %o) = @_;
    my $database = $o{database} || 'postgres';
    my @nodes = (
        { id => 'read', type => 'source', config => $o{source} || {} },
        @{ $o{nodes} || [] },
        { id => 'load', type => 'target', config => $o{target} || {} });
    my $connector = $o{connector} || 'files';
    my $sql = $connector ne 'files' ? '' : "SELECT kaireon.create_connector('files', 'local_fs', "
      . $self->json({ basePath => $self->{files} }) . ", if_not_exists => true);\n";

    $sql .= "SELECT kaireon.create_schema('$name', " . $self->json($o{fields}) . ");\n" if $o{fields};
    $sql .= "SELECT kaireon.create_pipeline('$name', '$connector', '" . ($o{schema} || $name) . "', "
      . $self->json(\@nodes) . ", execution_config => " . $self->json($o{execution} || {}) . ");\n";
    $self->sql("SET client_min_messages = warning;\n$sql", $database);
    return $name;
}

# make_schema(NAME, 'id integer', 'name', ...): schema NAME; a field without a
# type is text; one called id is the primary key.
sub make_schema
{
    my ($self, $name, @fields) = @_;
    my @made = map { my ($field, $type) = split / /; { name => $field, dataType => $type || 'text', isPrimaryKey => $field eq 'id' ? \1 : \0 } } @fields;
    $self->sql("SELECT kaireon.create_schema('$name', " . $self->json(\@made) . ')');
    return $name;
}

# make_graph(NAME, SCHEMA, [[id, type, {config}], ...], ['from>to', 'from>to:label', ...], {execution_config}):
# a pipeline of any shape that reads connector "files".
sub make_graph
{
    my ($self, $name, $schema, $nodes, $edges, $execution) = @_;
    my @nodes = map { { id => $_->[0], type => $_->[1], config => $_->[2] || {} } } @$nodes;
    my @edges;

    for (@$edges)
    {
        my ($from, $to, $label) = /^(\w+)>(\w+)(?::(.*))?$/ or die "edge $_";
        push @edges, { sourceNodeId => $from, targetNodeId => $to, label => $label // '' };
    }
    $self->sql("SET client_min_messages = warning; SELECT kaireon.create_connector('files', 'local_fs', "
          . $self->json({ basePath => $self->{files} }) . ", if_not_exists => true);\n"
          . "SELECT kaireon.create_pipeline('$name', 'files', '$schema', " . $self->json(\@nodes) . ', ' . $self->json(\@edges)
          . ', ' . $self->json($execution || {}) . ')');
    return $name;
}

# node_counts(RUN as a hash reference): "id in/out/rejected" of each node, in order.
sub node_counts
{
    my ($self, $run) = @_;
    return join ' ', map { "$_->{node_id} $_->{rows_in}/$_->{rows_out}/$_->{rows_rejected}" }
      $self->rows("SELECT * FROM kaireon.run_nodes WHERE run_id = '$run->{run_id}' ORDER BY ordinal");
}

# rows(QUERY): a list of hash references, values as JSON has them.
sub rows
{
    my ($self, $query, $database) = @_;
    return @{ $json->decode($self->sql("SELECT coalesce(json_agg(q), '[]') FROM ($query) AS q", $database)) };
}

# run(NAME, DATABASE): run_pipeline; the kaireon.run row as a hash reference.
sub run
{
    my ($self, $name, $database) = @_;
    return ($self->rows("SELECT * FROM kaireon.run_pipeline('$name')", $database))[0];
}

# run_row(RUN): a run as it stands, with what the internal table has besides.
sub run_row
{
    my ($self, $run, $database) = @_;
    return ($self->rows("SELECT * FROM kaireon_internal.run WHERE run_id = '$run'", $database))[0];
}

# errors(RUN): the rows of run_errors in order.
sub errors
{
    my ($self, $run) = @_;
    return $self->rows("SELECT * FROM kaireon.run_errors WHERE run_id = '$run' ORDER BY ordinal");
}

# start(NAME): start_pipeline; the run's id.
sub start
{
    my ($self, $name, $database) = @_;
    return $self->sql("SELECT kaireon.start_pipeline('$name')", $database);
}

# gone(PID...): true once none of these processes is there (a zombie is not).
sub gone
{
    my ($self, @pids) = @_;
    return $self->poll("the end of process @pids", sub {
        return !grep { my $line = _stat($_); $line ne '' && $line !~ /^\d+ \(.*\) Z /s } grep { $_ } @pids;
    });
}

sub _stat
{
    my ($pid) = @_;
    open my $in, '<', "/proc/$pid/stat" or return '';
    my $line = <$in>;
    close $in;
    return $line // '';
}

# settled(WHAT, DATABASE): three tests: no reader is left, no run is unfinished,
# and every run's counters add up.
sub settled
{
    my ($self, $what, $database) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    Test::More::ok($self->poll('the readers to end', sub { return !$self->readers }), "$what: no reader is left");
    Test::More::is($self->sql("SELECT count(*) FROM kaireon.runs WHERE status IN ('queued', 'running')", $database),
        0, "$what: no run is unfinished");
    Test::More::is($self->sql('SELECT count(*) FROM kaireon_internal.run WHERE rows_read <> rows_loaded + rows_updated'
          . ' + rows_failed + rows_skipped + rows_filtered + rows_merged', $database),
        0, "$what: the counters of every run add up");
    return;
}

# ---- sessions

# session(DATABASE, OPTIONS for libpq): a psql that stays open.
sub session
{
    my ($self, $database, $options) = @_;
    return Kaireon::Session->new($self->{node}->connstr($database || 'postgres') . ' ' . ($options || ''));
}

package Kaireon::Session;

use IPC::Run;

sub new
{
    my ($class, $connstr) = @_;
    my $self = bless { in => '', out => '', err => '', marks => 0 }, $class;
    $self->{psql} = IPC::Run::start([ 'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-d', $connstr ],
        '<', \$self->{in}, '>', \$self->{out}, '2>', \$self->{err},
        IPC::Run::timeout($Kaireon::TIMEOUT * 3));
    $self->{pid} = $self->query('SELECT pg_backend_pid()');
    return $self;
}

# pid(): of its backend.
sub pid { return $_[0]->{pid}; }

# send(SQL): without waiting for the answer; result() gets that.
sub send
{
    my ($self, $sql) = @_;
    $self->{marks}++;
    $self->{out} = $self->{err} = '';
    $self->{in} .= "$sql;\n\\echo mark-$self->{marks}\n\\warn mark-$self->{marks}\n";
    $self->{psql}->pump_nb;
    return;
}

# result(): what the statement sent last printed; err() then has its errors.
sub result
{
    my ($self) = @_;
    my $mark = "mark-$self->{marks}\n";
    $self->{psql}->pump until $self->{out} =~ /^\Q$mark\E/m && $self->{err} =~ /^\Q$mark\E/m;
    my $out = $self->{out};
    $out =~ s/\Q$mark\E.*//s;
    $self->{err} =~ s/\Q$mark\E.*//s;
    chomp $out;
    return $out;
}

sub err { return $_[0]->{err}; }

# query(SQL): sends and waits.
sub query
{
    my ($self, $sql) = @_;
    $self->send($sql);
    return $self->result;
}

sub close
{
    my ($self) = @_;
    $self->{in} .= "\\q\n";
    eval { $self->{psql}->finish };
    return;
}

# abandon(): for a session whose backend is gone: ends psql whatever it waits for.
sub abandon
{
    my ($self) = @_;
    eval { $self->{psql}->kill_kill };
    return;
}

1;
