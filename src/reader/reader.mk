# The reader's side: kaireon-reader, its unit tests, its fuzz targets.
#
# Included by the root Makefile from the root directory; everything made lies
# under build/.  Nothing here sees the server's headers.
#
#   build/kaireon-reader      the program
#   build/unit/<test>         one unit test, TAP on standard output
#   build/diff/<program>      what the reader says, for the scripts of test/diff
#   build/fuzz/<target>       one fuzz target: build/fuzz/csv -dict=test/fuzz/csv.dict NEW-DIR test/fuzz/corpus/csv
#   reader-check reader-fuzz  run all unit tests; run each fuzz target for a while

READER_CC ?= $(if $(filter default undefined,$(origin CC)),gcc,$(CC))
READER_CLANG ?= clang
READER_FLAGS = -std=gnu11 -O2 -g -Wall -Wextra -Isrc -isystem /usr/include/libxml2 -fPIE -fstack-protector-strong -D_FORTIFY_SOURCE=2
READER_LIBS = -ljansson -lz -lzstd -lbz2 -llz4 -lsnappy -lcurl -lssh2 -lxml2 -lcrypto -lpthread -lm

# All but main, which the tests replace.
READER_LIB_SRCS = $(sort $(wildcard src/core/*.c src/format/*.c src/net/*.c src/store/*.c src/wire/*.c connectors/*/*.c)) \
                  $(filter-out src/reader/main.c,$(sort $(wildcard src/reader/*.c)))
READER_SRCS = $(READER_LIB_SRCS) src/reader/main.c
READER_HDRS = $(wildcard src/core/*.h src/format/*.h src/net/*.h src/store/*.h src/wire/*.h src/reader/*.h connectors/*/*.h)
READER_LIB_OBJS = $(READER_LIB_SRCS:%.c=build/reader/%.o)
READER_OBJS = $(READER_SRCS:%.c=build/reader/%.o)

UNIT_TESTS = $(patsubst test/unit/%.c,build/unit/%,$(sort $(wildcard test/unit/test_*.c)))
FUZZ_TARGETS = $(patsubst test/fuzz/fuzz_%.c,build/fuzz/%,$(sort $(wildcard test/fuzz/fuzz_*.c)))
FUZZ_SECONDS ?= 60
FUZZ_FLAGS = -std=gnu11 -O1 -g -Wall -Wextra -Isrc -isystem /usr/include/libxml2 -fno-omit-frame-pointer \
             -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all

build/reader/%.o: %.c $(READER_HDRS)
	@mkdir -p $(@D)
	$(READER_CC) $(READER_FLAGS) -c -o $@ $<

build/kaireon-reader: $(READER_OBJS)
	$(READER_CC) $(READER_FLAGS) -pie -Wl,-z,relro,-z,now -o $@ $(READER_OBJS) $(READER_LIBS)

build/unit/%: test/unit/%.c test/unit/tap.h $(wildcard test/unit/*.h) $(READER_LIB_OBJS) $(READER_HDRS)
	@mkdir -p $(@D)
	$(READER_CC) $(READER_FLAGS) -o $@ $< $(READER_LIB_OBJS) $(READER_LIBS)

build/diff/%: test/diff/%.c $(wildcard test/unit/*.h) $(READER_LIB_OBJS) $(READER_HDRS)
	@mkdir -p $(@D)
	$(READER_CC) $(READER_FLAGS) -o $@ $< $(READER_LIB_OBJS) $(READER_LIBS)

# Starts the program.
build/unit/test_session: build/kaireon-reader

# From source: the sanitizers must see everything.
build/fuzz/%: test/fuzz/fuzz_%.c $(wildcard test/unit/*.h) $(READER_LIB_SRCS) $(READER_HDRS)
	@mkdir -p $(@D)
	$(READER_CLANG) $(FUZZ_FLAGS) -o $@ $< $(READER_LIB_SRCS) $(READER_LIBS)

.PHONY: reader-check reader-fuzz
reader-check: $(UNIT_TESTS)
	@fail=0; for t in $(UNIT_TESTS); do echo "# $$t"; $$t || fail=1; done; exit $$fail

# New inputs go to build/, the corpus in the tree stays as it is.
reader-fuzz: $(FUZZ_TARGETS)
	@for t in $(FUZZ_TARGETS); do n=$$(basename $$t); mkdir -p build/fuzz-corpus/$$n; echo "# $$n"; \
	  $$t -dict=test/fuzz/$$n.dict -max_total_time=$(FUZZ_SECONDS) -verbosity=0 -print_final_stats=0 -close_fd_mask=1 \
	    -artifact_prefix=build/fuzz-corpus/ build/fuzz-corpus/$$n test/fuzz/corpus/$$n || exit 1; done
