# Kaireon: build, install, quickstart, tests.
#
#   make                the extension and its reader program
#   make install        into the server that PG_CONFIG names
#   make installcheck   SQL tests against a running server that preloads kaireon
#   make quickstart     packages, build, install, private cluster, a guided run
#   make quickstart-stop, make quickstart-clean
#   make test           every ring of tests, with one summary; see test/run
#   make test-<ring>    one ring: unit fuzz sql isolation pgtap tap diff torture
#   make torture        the kill test: SEEDS=1000 loads with something dying in each
#   make test-matrix    all rings here, and on 17 and 18 in chroots; see tools/test-matrix
#   make check-wall     the reader's side does not see the server, and the reverse
#   make check-style    lengths of files and functions, exported symbols
#   make check-warnings gcc and clang have nothing to say
#   make bench          COPY, by hand, and kaireon, side by side
#   make deps           installs the Debian packages that are missing
#   make clean          removes what was built (not the quickstart's cluster, nor the matrix's chroots)
#
# The parts: mk/server.mk builds what is loaded by the server (PGXS);
# src/reader/reader.mk builds the reader's side, its unit tests and fuzz targets.

PG_CONFIG ?= pg_config
export PG_CONFIG

default: all

# On a machine without the server's headers only the targets below work: they
# install what is missing and call make again.
ifneq (,$(shell command -v $(PG_CONFIG) 2>/dev/null))
ifneq (,$(wildcard $(shell $(PG_CONFIG) --pgxs)))
include mk/server.mk
HAVE_PGXS = yes
endif
endif

ifndef HAVE_PGXS
all install installcheck:
	@echo "PostgreSQL's server headers are not there ($(PG_CONFIG) --pgxs); 'make deps' installs them" >&2; exit 1
clean:
	@for f in build/*; do case $$f in build/quickstart | build/matrix) ;; *) rm -rf "$$f" ;; esac; done
endif

deps:
	@tools/deps build quickstart test

quickstart:
	@quickstart/quickstart start

quickstart-stop:
	@quickstart/quickstart stop

quickstart-clean:
	@quickstart/quickstart clean

RINGS = unit fuzz sql isolation pgtap tap diff torture
TEST_RINGS = $(addprefix test-,$(RINGS)) check-wall check-style check-warnings

test:
	@test/run

$(TEST_RINGS):
	@test/run $(subst check-,,$(subst test-,,$@))

torture:
	@test/run torture

test-matrix:
	@tools/test-matrix

bench:
	@test/bench/bench && test/bench/idle && test/bench/objects

.PHONY: default all torture install installcheck clean deps quickstart quickstart-stop quickstart-clean \
        test test-matrix $(TEST_RINGS) bench
