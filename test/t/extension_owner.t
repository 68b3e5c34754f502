# Who owns the database and who owns the extension: an ordinary role may own
# the database, and gets nothing by it; the extension's owner may have stopped
# being a superuser, and then superusers' pipelines do not run, everybody
# else's do.
use strict;
use warnings;
use Kaireon;
use Test::More;

my $k = Kaireon->new('extension_owner');
my $rows = 1200;
$k->write_rows('in.csv', $rows, sub { "$_[0],w$_[0]" }, 'n,word');
$k->sql('CREATE ROLE dba LOGIN SUPERUSER; CREATE ROLE landlord LOGIN; CREATE ROLE alice LOGIN IN ROLE kaireon_admin; CREATE ROLE operator LOGIN IN ROLE kaireon_operator;'
      . 'CREATE DATABASE app OWNER landlord');

# as(ROLE, SQL): in a session of its own in database app; an error as "ERROR: sqlstate: message".
sub as
{
    my ($role, $sql) = @_;
    my ($code, $out, $err) = $k->node->psql('app', "\\set VERBOSITY verbose\nSET client_min_messages = warning;\n$sql", extra_params => [ '-U', $role ]);
    return $code ? $err =~ /(ERROR:  [^\n]*)/ ? $1 : $err : $out;
}

# Makes connector, schema and pipeline of a role's name; they are in its schema.
sub make
{
    my ($name) = @_;
    return as($name, "SELECT kaireon.create_connector('$name', 'local_fs', " . $k->json({ basePath => $k->files }) . ') IS NOT NULL;'
          . "SELECT kaireon.create_schema('$name', " . $k->json([ { name => 'n', dataType => 'integer', isPrimaryKey => \1 }, { name => 'word', dataType => 'text' } ]) . ", table_schema => '$name') IS NOT NULL;"
          . "SELECT kaireon.create_pipeline('$name', '$name', '$name', " . $k->json([ { id => 's', type => 'source', config => { resource => 'in.csv' } },
                { id => 'm', type => 'mask_pii', config => { field => 'word', maskType => 'email' } }, { id => 't', type => 'target' } ]) . ') IS NOT NULL');
}
my $run = sub { my ($who, $what) = @_; return as($who, "SELECT status || ' ' || rows_loaded FROM kaireon.run_pipeline('$what')"); };

# ---- the database is an ordinary role's

like(as('landlord', 'CREATE EXTENSION kaireon'), qr/^ERROR:  42501: permission denied to create extension "kaireon"/, 'who owns the database does not make the extension');
is(as('dba', 'CREATE EXTENSION kaireon'), '', 'a superuser does');
is($k->sql("SELECT DISTINCT nspowner::regrole FROM pg_namespace WHERE nspname ~ '^kaireon'", 'app'), 'dba', 'who owns all of it');
like(as('landlord', $_), qr/^ERROR:  (42501|55P02)/, "the database's owner may not: $_") for
    'SELECT * FROM kaireon.connectors', "SELECT kaireon.create_connector('x', 'local_fs')", 'SELECT * FROM kaireon_internal.connector', 'DROP EXTENSION kaireon',
    'ALTER EXTENSION kaireon UPDATE', 'ALTER SCHEMA kaireon OWNER TO landlord', 'DROP SCHEMA kaireon_internal CASCADE', 'CREATE TABLE kaireon.t ()', 'ALTER SYSTEM SET kaireon.local_fs_roots = \'/\'',
    'ALTER DATABASE app SET kaireon.local_fs_roots = \'/\'', 'CREATE EVENT TRIGGER t ON sql_drop EXECUTE FUNCTION kaireon.version()';
as('landlord', 'CREATE SCHEMA alice; GRANT ALL ON SCHEMA alice TO alice; CREATE SCHEMA landlord');
is(make('alice'), "t\nt\nt", 'an admin makes what she needs in a schema she was given');
is($run->('alice', 'alice'), "success $rows", 'and runs it');
is($run->('operator', 'alice'), 'failed 0', 'so does an operator (its keys are there)');
is($k->sql("SELECT DISTINCT owner FROM kaireon_internal.run", 'app'), 'alice', 'with her rights');
# What he may do about his database reaches nobody.
is(as('landlord', q(CREATE TABLE public.seen (who text); GRANT ALL ON public.seen TO PUBLIC;
    CREATE FUNCTION public.note() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.seen VALUES (current_user); RETURN true; END $$;
    CREATE FUNCTION public.same(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM public.note(); RETURN true; END $$;
    CREATE OPERATOR public.= (FUNCTION = public.same, LEFTARG = text, RIGHTARG = text);
    CREATE FUNCTION public.format(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM public.note(); RETURN ''; END $$;
    CREATE FUNCTION public.mask_email(text, boolean) RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM public.note(); RETURN ''; END $$;
    CREATE DOMAIN public.jsonb AS pg_catalog.jsonb CHECK (public.note());
    ALTER DATABASE app SET search_path = public, pg_catalog; ALTER DATABASE app SET role = 'landlord'; ALTER DATABASE app SET default_transaction_read_only = on;
    ALTER DATABASE app SET statement_timeout = '1s'; ALTER DATABASE app SET row_security = off; ALTER DATABASE app SET plpgsql.extra_errors = 'all')), '', 'the owner of the database prepares it');
my $set = 'SET default_transaction_read_only = off; SET ROLE NONE;';
like(as('alice', "$set TRUNCATE alice.ds_alice; SELECT status || ' ' || rows_loaded FROM kaireon.run_pipeline('alice')"), qr/^success $rows$/, 'a run is what it was');
is(as('dba', "$set SELECT count(*) FROM kaireon.pipelines; SELECT count(*) FROM kaireon.validate_pipeline('alice'); SELECT kaireon.update_connector('alice', description => 'd')"), "1\n0\n", 'and so are others\' calls');
is(as('dba', "$set SELECT who FROM public.seen"), '', 'nothing of his was called by anybody');
is(as('dba', "$set SELECT 'a'::text = 'b'::text; SELECT who FROM public.seen"), "t\ndba", 'though who uses his operators himself calls them');
$k->sql("ALTER DATABASE app RESET ALL; GRANT kaireon_admin TO landlord");
is(make('landlord'), "t\nt\nt", 'with kaireon_admin he is like anybody');
is($run->('landlord', 'landlord'), "success $rows", 'and runs what is his');
like(as('landlord', "SELECT kaireon.delete_pipeline('alice')"), qr/^ERROR:  42501: must be owner of pipeline "alice"/, 'not what is others\'');

# ---- the extension's owner is no superuser any more

as('dba', 'CREATE SCHEMA dba');
is(make('dba'), "t\nt\nt", 'the extension\'s owner makes things of his own');
$k->sql('ALTER ROLE dba NOSUPERUSER');
as('alice', 'TRUNCATE alice.ds_alice');
is($run->('alice', 'alice'), "success $rows", 'others\' pipelines run');
is($run->('dba', 'dba'), "success $rows", 'his own does');
is(as('dba', 'SELECT string_agg(name, \' \' ORDER BY name) FROM kaireon.connectors'), 'alice dba landlord', 'he sees everything: the tables behind it are his');
like(as('dba', "SELECT kaireon.delete_connector('alice')"), qr/^ERROR:  42501: must be owner of connector "alice"/, 'but the functions treat him as anybody');
like(as('dba', "SELECT kaireon_internal.as_role('postgres', 'ALTER ROLE dba SUPERUSER')"), qr/^ERROR:  42501: as_role acts only with rights of who called/, 'and give him nobody\'s rights');
is(as('dba', "SELECT kaireon.change_owner('connector', 'dba', 'postgres')"), 'ERROR:  42501: must be ' . ($k->sql('SHOW server_version_num') < 160000 ? 'member of role' : 'able to SET ROLE') . ' "postgres"', 'nor let him push his things on others');
# He can write the catalog, and so say that a pipeline is a superuser's.
is(as('dba', "TRUNCATE dba.ds_dba; UPDATE kaireon_internal.pipeline SET owner = 'postgres' WHERE name = 'dba'; UPDATE kaireon_internal.run SET owner = 'postgres' WHERE pipeline = 'dba'"), '', 'he writes into the catalog');
is(as('operator', "SELECT status || ' ' || error_code || ' ' || error_message FROM kaireon.run_pipeline('dba')"),
    'failed 42501 a superuser\'s pipeline does not run while the extension belongs to role dba', 'but no superuser\'s pipeline runs then');
is($k->sql("SELECT code || ': ' || message FROM kaireon.validate_pipeline('dba') LIMIT 1", 'app'), "permission_denied: a superuser's pipeline does not run while the extension belongs to role dba "
      . '(Give the pipeline to a role that is no superuser with kaireon.change_owner, or the extension to a superuser with REASSIGN OWNED.)', 'validate_pipeline says what to do');
$k->sql('CREATE ROLE dba2 SUPERUSER; REASSIGN OWNED BY dba TO dba2', 'app');
is($k->sql("SELECT DISTINCT nspowner::regrole FROM pg_namespace WHERE nspname ~ '^kaireon'", 'app'), 'dba2', 'REASSIGN OWNED gives the extension\'s objects to another superuser');
is($k->sql("SELECT status || ' ' || rows_loaded FROM kaireon.run_pipeline('dba')", 'app'), "success $rows", 'and it runs');
like(as('dba', 'SELECT * FROM kaireon_internal.pipeline'), qr/^ERROR:  42501/, 'who owned it is nobody now');
as('alice', 'TRUNCATE alice.ds_alice');
is($run->('alice', 'alice'), "success $rows", 'others\' pipelines run as before');

$k->settled('at the end', 'app');
ok($k->same_postmaster, 'the server lived through');
done_testing;
