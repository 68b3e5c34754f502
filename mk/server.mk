# The server's side: the module kaireon.so, its bitcode, the extension's SQL.
#
# PGXS does the work; this file says what goes in.  Objects lie beside their
# sources, generated files in build/.  The module contains src/pg and, from the
# side of the reader, only src/wire.

EXTENSION = kaireon
EXTVERSION = 0.1.0
MODULE_big = kaireon
SERVER_SRCS = $(sort $(wildcard src/pg/*.c)) $(sort $(wildcard src/wire/*.c))
OBJS = $(SERVER_SRCS:.c=.o)
DATA = $(wildcard sql/upgrade/kaireon--*.sql)
DATA_built = build/kaireon--$(EXTVERSION).sql

# Hidden by default: on 15 PGDLLEXPORT is empty unless it is given here.
PG_CPPFLAGS = -Isrc -DPGDLLEXPORT='__attribute__((visibility("default")))'
ifdef INJECTION
PG_CPPFLAGS += -DKAIREON_INJECTION
endif
PG_CFLAGS = -fvisibility=hidden -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare
# AES-GCM and SHA-256; an option of TLS connections.
SHLIB_LINK = -lssl -lcrypto

# Inputs in test/sql, expected results in expected/.
REGRESS = $(patsubst test/sql/%.sql,%,$(sort $(wildcard test/sql/*.sql)))
REGRESS_OPTS = --inputdir=test

PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# The server was built by gcc: clang does not know some of its options, nor the
# attribute its headers give to functions that format.
ifneq (,$(findstring clang,$(CC)))
override CFLAGS := -Wno-ignored-attributes $(filter-out -Wno-format-truncation -Wno-stringop-truncation \
                     -Wimplicit-fallthrough=3 -fexcess-precision=standard -Wno-complain-wrong-lang,$(CFLAGS))
endif

# PGXS tracks no headers: each object says beside itself what it was made of.
cppflags := $(CPPFLAGS)
override CPPFLAGS = $(cppflags) -MMD -MP -MF $@.d
-include $(OBJS:.o=.o.d) $(OBJS:.o=.bc.d)
# What does not say it yet was made of anything.
NOTED := $(patsubst %.d,%,$(wildcard $(addsuffix .d,$(OBJS) $(OBJS:.o=.bc))))
$(filter-out $(NOTED),$(OBJS) $(OBJS:.o=.bc)): $(wildcard src/pg/*.h src/wire/*.h)

# The second pattern makes the script follow a module that was removed.
build/kaireon--$(EXTVERSION).sql: $(wildcard sql/[0-9]*.sql) $(wildcard connectors/*/connector.json) connectors/network.json \
                                  tools/build-sql sql $(wildcard connectors)
	@mkdir -p build
	tools/build-sql > $@.tmp
	mv $@.tmp $@

# The reader's side.
include src/reader/reader.mk

all: build/kaireon-reader
unit-tests: $(UNIT_TESTS)
fuzz-targets: $(FUZZ_TARGETS)
install: install-reader

# The module starts the program that lies beside it.
install-reader: build/kaireon-reader installdirs
	$(INSTALL_PROGRAM) -m 755 build/kaireon-reader '$(DESTDIR)$(pkglibdir)/kaireon-reader'

uninstall: uninstall-reader
uninstall-reader:
	rm -f '$(DESTDIR)$(pkglibdir)/kaireon-reader'

clean: clean-build
clean-build:
	@for f in build/*; do case $$f in build/quickstart | build/matrix) ;; *) rm -rf "$$f" ;; esac; done
	rm -f $(OBJS:.o=.o.d) $(OBJS:.o=.bc.d)
	rm -rf results regression.diffs regression.out tmp_check

.PHONY: unit-tests fuzz-targets install-reader uninstall-reader clean-build
