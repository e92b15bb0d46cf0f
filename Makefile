# SPDX-License-Identifier: GPL-2.0-only
#
#   make            build/kaloss
#   make install    DESTDIR= PREFIX=/usr/local
#   make test       every test (as root; without it, the kernel tests are skipped and say so)
#   make lint       clang-tidy, include directions, formatting
#   make format     clang-format over the tree
#   make bench      what a packet costs
#   make fuzz       fuzz the parser for FUZZ_SECONDS
#
# What is built goes to $(BUILD) only. SANITIZE=1 builds with ASan and UBSan (use another BUILD).

BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=
CC = gcc
CLANG ?= clang
BPFTOOL ?= $(shell command -v bpftool || echo /usr/sbin/bpftool)
PKG_CONFIG ?= pkg-config
FUZZ_SECONDS ?= 60

VERSION := $(file < VERSION)
LIBS := libbpf libmnl jansson
ARCH_INCLUDE := /usr/include/$(shell $(CC) -print-multiarch)

CFLAGS ?= -O2 -g
WARNINGS := -Wall -Wextra -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Wvla
ALL_CPPFLAGS := -D_GNU_SOURCE -DKL_VERSION='"$(VERSION)"' -Iinclude -Iuser -I$(BUILD) \
	$(shell $(PKG_CONFIG) --cflags $(LIBS)) $(CPPFLAGS)
ALL_CFLAGS := -std=gnu17 $(WARNINGS) $(CFLAGS)
ALL_LDLIBS := $(shell $(PKG_CONFIG) --libs $(LIBS)) -lm $(LDLIBS)
ifeq ($(SANITIZE),1)
ALL_CFLAGS += -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
LDFLAGS += -fsanitize=address,undefined
endif
BPF_CFLAGS := -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -Wno-unused-parameter -Iinclude -Ibpf \
	-idirafter $(ARCH_INCLUDE)

LIB_SOURCES := $(sort $(wildcard user/*/*.c))
LIB_OBJECTS := $(LIB_SOURCES:%.c=$(BUILD)/%.o)
LIB := $(BUILD)/libkaloss.a
SKELETON := $(BUILD)/kaloss.skel.h

UNIT_SOURCES := $(sort $(wildcard tests/unit/*.c))
LAB_TOOLS := $(BUILD)/tests/lab/sccp-phones $(BUILD)/tests/lab/sccp-server $(BUILD)/tests/lab/frames
TEST_TOOLS := $(LAB_TOOLS) $(BUILD)/tests/unit/unit $(BUILD)/tests/fuzz/replay \
	$(BUILD)/tests/kernel/same-verdict $(BUILD)/tests/bench/packet-cost
FORMATTED := $(sort $(wildcard bpf/*.[ch] include/kaloss/*.h user/*.c user/*/*.[ch] tests/*/*.[ch]))

.PHONY: all clean install uninstall test test-tools lint format bench fuzz include-directions
.DELETE_ON_ERROR:
.SECONDARY:

all: $(BUILD)/kaloss

# ---- a changed flag rebuilds what it was used for ----

$(shell mkdir -p $(BUILD))
FLAGS := $(BUILD)/flags
FLAGS_NOW := $(CC) $(CLANG) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(LDFLAGS) $(ALL_LDLIBS) $(BPF_CFLAGS)
ifneq ($(file < $(FLAGS)),$(FLAGS_NOW))
.PHONY: $(FLAGS)
endif
$(FLAGS):
	$(file > $@,$(FLAGS_NOW))@:

# ---- the BPF object and its skeleton ----

$(BUILD)/bpf/%.bpf.o: bpf/%.bpf.c Makefile $(FLAGS)
	@mkdir -p $(@D)
	$(CLANG) $(BPF_CFLAGS) -MMD -MP -MF $(@:.o=.d) -c $< -o $@

$(SKELETON): $(BUILD)/bpf/kaloss.bpf.o
	$(BPFTOOL) gen skeleton $< name kaloss_bpf > $@

# ---- the program ----

$(BUILD)/%.o: %.c Makefile $(FLAGS)
	@mkdir -p $(@D)
	$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

# The first build knows no dependencies yet: what includes the skeleton must wait for it.
$(LIB_OBJECTS): | $(SKELETON)

$(LIB): $(LIB_OBJECTS)
	@rm -f $@
	ar rcs $@ $^

$(BUILD)/kaloss: $(BUILD)/user/main.o $(LIB)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ $(ALL_LDLIBS) -o $@

install: all
	install -D -m 0755 $(BUILD)/kaloss $(DESTDIR)$(PREFIX)/sbin/kaloss

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/sbin/kaloss

clean:
	rm -rf $(BUILD)

# ---- tests ----

$(BUILD)/tests/unit/unit: $(UNIT_SOURCES:%.c=$(BUILD)/%.o) $(LIB)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ $(ALL_LDLIBS) -lcriterion -lm -o $@

$(BUILD)/tests/lab/sccp-phones: $(BUILD)/tests/lab/sccp_phones.o
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ -o $@

$(BUILD)/tests/lab/sccp-server: $(BUILD)/tests/lab/sccp_server.o
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ -o $@

$(BUILD)/tests/lab/frames: $(BUILD)/tests/lab/frames.o
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ -o $@

$(BUILD)/tests/kernel/same-verdict: $(BUILD)/tests/kernel/same_verdict.o $(LIB)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ $(ALL_LDLIBS) -o $@

$(BUILD)/tests/bench/packet-cost: $(BUILD)/tests/bench/packet_cost.o $(LIB)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ $(ALL_LDLIBS) -o $@

$(BUILD)/tests/%.o: | $(SKELETON)

# The fuzzer's target, and the same target with a main() that replays the corpus.
FUZZ_FLAGS := -std=gnu17 -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=undefined
$(BUILD)/tests/fuzz/replay: tests/fuzz/fuzz_parse.c tests/fuzz/replay.c $(wildcard include/kaloss/*.h) Makefile
	@mkdir -p $(@D)
	$(CLANG) $(ALL_CPPFLAGS) $(FUZZ_FLAGS) -fsanitize=address,undefined $(filter %.c,$^) -o $@

$(BUILD)/tests/fuzz/fuzz: tests/fuzz/fuzz_parse.c $(wildcard include/kaloss/*.h) Makefile
	@mkdir -p $(@D)
	$(CLANG) $(ALL_CPPFLAGS) $(FUZZ_FLAGS) -fsanitize=fuzzer,address,undefined $(filter %.c,$^) -o $@

fuzz: $(BUILD)/tests/fuzz/fuzz
	@mkdir -p $(BUILD)/tests/fuzz/found
	$< -max_total_time=$(FUZZ_SECONDS) -max_len=2048 $(BUILD)/tests/fuzz/found tests/fuzz/corpus

test-tools: all $(TEST_TOOLS)

test: test-tools
	tests/run.sh

bench: $(BUILD)/tests/bench/packet-cost
	$<

# ---- upkeep ----

lint: include-directions $(SKELETON)
	clang-format --dry-run -Werror $(FORMATTED)
	clang-tidy --quiet $(LIB_SOURCES) user/main.c -- -std=gnu17 $(ALL_CPPFLAGS)

format:
	clang-format -i $(FORMATTED)

# Data flows one way: the headers and the core know neither the sources' libraries nor the reports.
include-directions:
	@! grep -nE '#include.*(bpf/libbpf|bpf/bpf|pcap|libmnl|jansson|report/|source/|cli/)' \
		include/kaloss/*.h $(wildcard user/core/*.[ch]) || { \
		echo "include-directions: the lines above cross a border (docs/design.md)" >&2; exit 1; }
	@! grep -lE '#include.*(bpf/libbpf|bpf/bpf\.h)' $(wildcard user/*/*.[ch] user/*.c) | \
		grep -v '^user/source/' || { \
		echo "include-directions: only user/source/ may include libbpf" >&2; exit 1; }
	@! grep -nE '#include.*(report/|cli/)' $(wildcard user/source/*.[ch]) || { \
		echo "include-directions: sources do not know reports" >&2; exit 1; }

-include $(LIB_OBJECTS:.o=.d) $(BUILD)/user/main.d $(BUILD)/bpf/kaloss.bpf.d
-include $(patsubst %.c,$(BUILD)/%.d,$(UNIT_SOURCES) $(wildcard tests/lab/*.c tests/kernel/*.c tests/bench/*.c))
