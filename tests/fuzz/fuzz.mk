# SPDX-License-Identifier: GPL-2.0-only
# The fuzzers. Each is one file with LLVMFuzzerTestOneInput() and what it looks at, compiled to be
# watched by the sanitizers, and has
#
#   build/tests/fuzz/replay-NAME   with a main() that replays tests/fuzz/corpus-NAME (part of `make test`)
#   make fuzz-NAME                 fuzzes for FUZZ_SECONDS
#   make corpus-NAME               writes the seeds anew, if a program makes them, and adds to the
#                                  corpus what fuzzing found and the seeds do not reach
#
# The parser's have no NAME.

FUZZ_FLAGS := -std=gnu17 -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=undefined
FUZZ_HEADERS := $(wildcard include/kaloss/*.h tests/fuzz/*.h tests/packets/*.h user/core/*.h \
	user/source/*.h user/util/*.h user/cli/join_state.h)

# What replays share is compiled once.
$(BUILD)/replayed/%.o: %.c $(FUZZ_HEADERS) Makefile tests/fuzz/fuzz.mk
	@mkdir -p $(@D)
	$(CLANG) $(ALL_CPPFLAGS) $(FUZZ_FLAGS) -fsanitize=address,undefined -c $< -o $@

# $(call fuzzer,-NAME,SOURCES,LONGEST INPUT,PROGRAM THAT MAKES SEEDS,LIBRARIES)
define fuzzer
.PHONY: fuzz$(1) corpus$(1)

$(BUILD)/tests/fuzz/replay$(1): $(patsubst %.c,$(BUILD)/replayed/%.o,$(2) tests/fuzz/replay.c)
	@mkdir -p $$(@D)
	$(CLANG) -fsanitize=address,undefined $$^ $(5) -o $$@

$(BUILD)/tests/fuzz/fuzz$(1): $(2) $(FUZZ_HEADERS) Makefile tests/fuzz/fuzz.mk
	@mkdir -p $$(@D)
	$(CLANG) $(ALL_CPPFLAGS) $(FUZZ_FLAGS) -fsanitize=fuzzer,address,undefined $(2) $(5) -o $$@

fuzz$(1): $(BUILD)/tests/fuzz/fuzz$(1)
	@mkdir -p $(BUILD)/tests/fuzz/found$(1)
	$$< -max_total_time=$(FUZZ_SECONDS) -max_len=$(3) $(BUILD)/tests/fuzz/found$(1) tests/fuzz/corpus$(1)

corpus$(1): $(BUILD)/tests/fuzz/fuzz$(1) $(4)
	@mkdir -p tests/fuzz/corpus$(1) $(BUILD)/tests/fuzz/found$(1)
	$(if $(4),$(4) tests/fuzz/corpus$(1))
	$$< -merge=1 tests/fuzz/corpus$(1) $(BUILD)/tests/fuzz/found$(1)
endef

FUZZED_SESSIONS := $(wildcard user/core/session*.c) \
	$(addprefix user/core/,answers.c message.c phones.c schedule.c)

$(eval $(call fuzzer,,tests/fuzz/fuzz_parse.c tests/packets/packets.c,2000,$(BUILD)/tests/fuzz/make-corpus))
$(eval $(call fuzzer,-capture,tests/fuzz/fuzz_capture.c tests/packets/packets.c user/util/error.c \
	$(wildcard user/source/capture*.c),4096,$(BUILD)/tests/fuzz/make-capture-corpus,$(shell $(PKG_CONFIG) --libs libpcap zlib)))
$(eval $(call fuzzer,-session,tests/fuzz/fuzz_session.c $(FUZZED_SESSIONS),2000,$(BUILD)/tests/fuzz/make-session-corpus))
# Lines as they come, kept by hand.
$(eval $(call fuzzer,-syslog,tests/fuzz/fuzz_syslog.c user/core/syslog_line.c user/core/switch_message.c \
	user/core/cucm_alarm.c user/core/evidence.c user/source/syslog_lines.c,10000))
$(eval $(call fuzzer,-trap,tests/fuzz/fuzz_trap.c $(addprefix user/core/,snmp_header.c switch_rows.c \
	switch_table.c trap_decode.c),1000))
$(eval $(call fuzzer,-trace,tests/fuzz/fuzz_trace.c user/core/evidence.c user/util/hash.c \
	$(wildcard user/core/cucm_trace*.c user/core/trace_*.c) $(FUZZED_SESSIONS),4000,$(BUILD)/tests/fuzz/make-trace-corpus))
$(eval $(call fuzzer,-wire,tests/fuzz/fuzz_wire.c user/util/bytes.c user/util/error.c user/util/hash.c \
	$(wildcard user/core/wire*.c) $(addprefix user/core/,sight.c follow.c message.c subject.c),4096,$(BUILD)/tests/fuzz/make-wire-corpus))

$(eval $(call fuzzer,-sites,tests/fuzz/fuzz_sites.c user/cli/join_state.c \
	user/util/bytes.c user/util/error.c user/util/hash.c \
	$(wildcard user/core/sites*.c user/core/pair*.c user/core/wire*.c) \
	$(addprefix user/core/,follow.c message.c names.c sight.c site_counts.c subject.c),16384,$(BUILD)/tests/fuzz/make-sites-corpus,$(shell $(PKG_CONFIG) --libs jansson)))

PACKETS := $(BUILD)/tests/packets
# (Their sources have underscores.)
$(BUILD)/tests/fuzz/make-corpus: $(BUILD)/tests/fuzz/make_corpus.o $(PACKETS)/packets.o $(PACKETS)/neighbours.o
$(BUILD)/tests/fuzz/make-capture-corpus: $(BUILD)/tests/fuzz/make_capture_corpus.o $(PACKETS)/packets.o $(PACKETS)/pcap_writer.o
$(BUILD)/tests/fuzz/make-session-corpus: $(BUILD)/tests/fuzz/make_session_corpus.o $(PACKETS)/packets.o
$(BUILD)/tests/fuzz/make-trace-corpus: $(BUILD)/tests/fuzz/make_trace_corpus.o
$(BUILD)/tests/fuzz/make-wire-corpus: $(BUILD)/tests/fuzz/make_wire_corpus.o $(LIB)
$(BUILD)/tests/fuzz/make-sites-corpus: $(BUILD)/tests/fuzz/make_sites_corpus.o $(LIB)
$(addprefix $(BUILD)/tests/fuzz/,make-wire-corpus make-sites-corpus): $(BUILD)/tests/fuzz/make-%:
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ $(ALL_LDLIBS) -o $@
$(addprefix $(BUILD)/tests/fuzz/,make-corpus make-capture-corpus make-session-corpus make-trace-corpus): \
		$(BUILD)/tests/fuzz/make-%:
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ -lz -o $@
