# SPDX-License-Identifier: GPL-2.0-only
#
#   make            build/kaloss
#   make install    DESTDIR= PREFIX=/usr/local, and the directories below; make uninstall
#   make test       every test (as root; without it, the kernel tests are skipped and say so)
#   make lint       clang-tidy, include directions, formatting
#   make format     clang-format over the tree
#   make soak       ten minutes of random loss at three places (as root)
#   make service-hour   an hour as the service that systemd would start, with reloads (as root)
#   make bench      all that is measured (as root, twelve minutes); figures also to build/bench.json
#   make soak-day   days of keepalives in six minutes: what watch holds may not grow (as root)
#   make bench-captures: the last alone, tshark on large captures, too, and memory by size
#   make fuzz, make corpus, and the same for each NAME: see tests/fuzz/fuzz.mk
#
# What is built goes to $(BUILD) only. SANITIZE=1 builds with ASan and UBSan (use another BUILD).

BUILD ?= build
# However it is written, it is the same place: else all of it would be built anew.
override BUILD := $(patsubst $(CURDIR)/%,%,$(abspath $(BUILD)))
PREFIX ?= /usr/local
DESTDIR ?=
BINDIR ?= $(PREFIX)/bin
MANDIR ?= $(PREFIX)/share/man
DOCDIR ?= $(PREFIX)/share/doc/kaloss
SYSCONFDIR ?= /etc
UNITDIR ?= $(PREFIX)/lib/systemd/system
BASH_COMPLETION_DIR ?= $(PREFIX)/share/bash-completion/completions
ZSH_COMPLETION_DIR ?= $(PREFIX)/share/zsh/site-functions
FISH_COMPLETION_DIR ?= $(PREFIX)/share/fish/vendor_completions.d
CC = gcc
CLANG ?= clang
BPFTOOL ?= $(shell command -v bpftool || echo /usr/sbin/bpftool)
PKG_CONFIG ?= pkg-config
FUZZ_SECONDS ?= 60

VERSION := $(file < VERSION)
LIBS := libbpf libmnl jansson libpcap zlib netsnmp libnftables libmicrohttpd inih libsystemd libcap-ng sqlite3 libnats
ARCH_INCLUDE := /usr/include/$(shell $(CC) -print-multiarch)

CFLAGS ?= -O2 -g
WARNINGS := -Wall -Wextra -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Wvla
ALL_CPPFLAGS := -D_GNU_SOURCE -DKL_VERSION='"$(VERSION)"' -Iinclude -Iuser -I$(BUILD) \
	$(shell $(PKG_CONFIG) --cflags $(LIBS)) $(CPPFLAGS)
ALL_CFLAGS := -std=gnu17 $(WARNINGS) $(CFLAGS)
# (libgcc_s, which pthread_cancel() would load when it is called: where memory ends it aborts then.)
ALL_LDLIBS := $(shell $(PKG_CONFIG) --libs $(LIBS)) -lm -pthread \
	-Wl,--push-state,--no-as-needed -lgcc_s -Wl,--pop-state $(LDLIBS)
ifeq ($(SANITIZE),1)
ALL_CFLAGS += -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
LDFLAGS += -fsanitize=address,undefined
endif
BPF_CFLAGS := -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -Wno-unused-parameter -Iinclude -Ibpf \
	-idirafter $(ARCH_INCLUDE) -ffile-prefix-map=$(CURDIR)=.

LIB_SOURCES := $(sort $(wildcard user/*/*.c))
LIB_OBJECTS := $(LIB_SOURCES:%.c=$(BUILD)/%.o)
LIB := $(BUILD)/libkaloss.a
SKELETONS := $(BUILD)/kaloss.skel.h $(BUILD)/drop_reason.skel.h $(BUILD)/one_side.skel.h
# What an HTML report carries, as a header: its style, its body, and its script from its parts.
PAGE := $(BUILD)/html_page.h
PAGE_PARTS := $(addprefix user/report/html/,page.css body.html data.js lanes.js view.js table.js \
	main.js selftest.js)

# What says which options there are.
VERBS := watch diagnose check agent join
HELP := $(VERBS:%=$(BUILD)/help/%)
MAN_PAGES := $(sort $(wildcard man/*.[1-8]))
FILLED := $(addprefix $(BUILD)/,$(MAN_PAGES) $(wildcard completion/*))

UNIT_SOURCES := $(sort $(wildcard tests/unit/*.c tests/packets/*.c))
KERNEL_SOURCES := $(sort $(wildcard tests/kernel/*.c tests/packets/*.c))
LAB_TOOLS := $(addprefix $(BUILD)/tests/lab/,sccp-phones sccp-server sip-phones sip-server frames \
	syslog-events snmp-evidence stream-lines sites-load)
CAPTURE_TOOLS := $(addprefix $(BUILD)/tests/captures/,write-pair write-study write-outage)
BENCH_TOOLS := flood live tcp figure
# To be preloaded: never with a sanitizer, which preloads itself.
FAULTS := $(addprefix $(BUILD)/tests/faults/,fail.so clock.so)
FUZZERS := capture session sites syslog trap trace wire
TEST_TOOLS := $(LAB_TOOLS) $(BUILD)/tests/unit/unit \
	$(addprefix $(BUILD)/tests/fuzz/,replay $(addprefix replay-,$(FUZZERS))) \
	$(addprefix $(BUILD)/tests/history/,chance kills power) \
	$(BUILD)/tests/kernel/same-verdict $(BUILD)/tests/bench/packet-cost \
	$(BUILD)/tests/bench/session-cost $(addprefix $(BUILD)/tests/bench/,$(BENCH_TOOLS)) \
	$(BUILD)/tests/bench/make-capture $(BUILD)/tests/bench/make-history \
	$(BUILD)/tests/bench/read-capture $(BUILD)/tests/bench/sites-cost \
	$(BUILD)/tests/bench/measure $(BUILD)/tests/pair/truth $(BUILD)/tests/net/host-evidence \
	$(CAPTURE_TOOLS) $(BUILD)/tests/report/write-report $(BUILD)/tests/net/listen $(BUILD)/tests/net/batches $(FAULTS) \
	$(BUILD)/tests/package/same-default
FORMATTED := $(sort $(wildcard bpf/*.[ch] include/kaloss/*.h user/*.c user/*/*.[ch] tests/*/*.[ch]))

.PHONY: all clean install uninstall test soak soak-day service-hour sanitized-tools test-tools \
	lab-tools lint format bench bench-captures bench-sites include-directions
.DELETE_ON_ERROR:
.SECONDARY:

all: $(BUILD)/kaloss $(FILLED)

# ---- a changed flag rebuilds what it was used for ----

$(shell mkdir -p $(BUILD))
FLAGS := $(BUILD)/flags
FLAGS_NOW := $(CC) $(CLANG) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(LDFLAGS) $(ALL_LDLIBS) $(BPF_CFLAGS)
# (strip: make 4.3 leaves the newline at the file's end when it moves its buffer meanwhile.)
ifneq ($(strip $(file < $(FLAGS))),$(strip $(FLAGS_NOW)))
.PHONY: $(FLAGS)
endif
$(FLAGS):
	$(file > $@,$(FLAGS_NOW))@:

# ---- the BPF object and its skeleton ----

$(BUILD)/bpf/%.bpf.o: bpf/%.bpf.c Makefile $(FLAGS)
	@mkdir -p $(@D)
	$(CLANG) $(BPF_CFLAGS) -MMD -MP -MF $(@:.o=.d) -c $< -o $@

$(SKELETONS): $(BUILD)/%.skel.h: $(BUILD)/bpf/%.bpf.o
	$(BPFTOOL) gen skeleton $< name $*_bpf > $@

$(PAGE): user/report/html/embed.sh $(PAGE_PARTS) Makefile
	user/report/html/embed.sh $(PAGE_PARTS) > $@

# ---- the program ----

$(BUILD)/%.o: %.c Makefile $(FLAGS)
	@mkdir -p $(@D)
	$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

# The first build knows no dependencies yet: what includes a skeleton must wait for it.
$(LIB_OBJECTS): | $(SKELETONS) $(PAGE)

$(LIB): $(LIB_OBJECTS)
	@rm -f $@
	ar rcs $@ $^

$(BUILD)/kaloss: $(BUILD)/user/main.o $(LIB)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ $(ALL_LDLIBS) -o $@

# ---- manual pages and completions: the options in them come from the program's own help ----

$(HELP): $(BUILD)/help/%: $(BUILD)/kaloss
	@mkdir -p $(@D)
	$< $* --help > $@

$(FILLED): $(BUILD)/%: % $(HELP) scripts/fill.awk
	@mkdir -p $(@D)
	awk -f scripts/fill.awk $(HELP) $< > $@

# ---- installing ----

# Documents that lead to others, and what else is in docs/, some of it in directories of their own.
PAGES := README.md SECURITY.md $(sort $(wildcard docs/*.md))
DOCS_BESIDE := $(sort $(filter-out %.md,$(wildcard docs/*.*)) $(wildcard docs/*/*))
DOC_DIRECTORIES := $(sort $(patsubst %/,%,$(dir $(wildcard docs/*/*))))

# MODE:SOURCE:DESTINATION of each file.
INSTALLED := 0755:$(BUILD)/kaloss:$(BINDIR)/kaloss \
	$(foreach p,$(MAN_PAGES),0644:$(BUILD)/$p:$(MANDIR)/man$(patsubst .%,%,$(suffix $p))/$(notdir $p)) \
	0644:$(BUILD)/completion/kaloss.bash:$(BASH_COMPLETION_DIR)/kaloss \
	0644:$(BUILD)/completion/_kaloss:$(ZSH_COMPLETION_DIR)/_kaloss \
	0644:$(BUILD)/completion/kaloss.fish:$(FISH_COMPLETION_DIR)/kaloss.fish \
	$(foreach d,$(PAGES),0644:$(BUILD)/$d:$(DOCDIR)/$(notdir $d)) \
	$(foreach d,$(DOCS_BESIDE),0644:$d:$(DOCDIR)/$(d:docs/%=%)) \
	$(foreach u,$(wildcard systemd/*.service),0644:$u:$(UNITDIR)/$(notdir $u)) \
	$(foreach c,$(wildcard systemd/*.conf),0644:$c:$(DOCDIR)/examples/$(notdir $c))

# Belongs to who edits it: neither overwritten nor, if it was changed, taken away.
CONFIG := $(wildcard conf/kaloss.conf)
INSTALLED_CONFIG := $(DESTDIR)$(SYSCONFDIR)/kaloss.conf

# What is beside docs/ in the tree is beside its pages where they are installed.
$(addprefix $(BUILD)/,$(PAGES)): $(BUILD)/%: %
	@mkdir -p $(@D)
	sed 's#](\(docs\|\.\.\)/#](#g' $< > $@

define install_file
install -D -m $(word 1,$1) $(word 2,$1) $(DESTDIR)$(word 3,$1)

endef

install: all $(addprefix $(BUILD)/,$(PAGES))
	$(foreach file,$(INSTALLED),$(call install_file,$(subst :, ,$(file))))
	for unit in $(filter %.service,$(INSTALLED)); do \
		sed -i 's|^ExecStart=[^ ]*|ExecStart=$(BINDIR)/kaloss|' $(DESTDIR)$${unit##*:}; \
	done
	[ -z "$(CONFIG)" ] || [ -e $(INSTALLED_CONFIG) ] || \
		install -D -m 0644 $(CONFIG) $(INSTALLED_CONFIG)

uninstall:
	rm -f $(foreach file,$(INSTALLED),$(DESTDIR)$(word 3,$(subst :, ,$(file))))
	for directory in $(addprefix $(DESTDIR)$(DOCDIR),/examples $(DOC_DIRECTORIES:docs%=%) /); do \
		[ ! -d $$directory ] || rmdir --ignore-fail-on-non-empty $$directory; \
	done
	[ -z "$(CONFIG)" ] || ! cmp -s $(CONFIG) $(INSTALLED_CONFIG) || rm $(INSTALLED_CONFIG)

clean:
	rm -rf $(BUILD)

# ---- tests ----

# Tables of cases leave out what is zero.
$(BUILD)/tests/%.o: ALL_CFLAGS += -Wno-missing-field-initializers

$(BUILD)/tests/unit/unit: $(UNIT_SOURCES:%.c=$(BUILD)/%.o) $(LIB)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ $(ALL_LDLIBS) -lcriterion -lm -o $@

$(BUILD)/tests/lab/sccp-phones: $(BUILD)/tests/lab/sccp_phones.o
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ -o $@

$(BUILD)/tests/lab/sccp-server: $(BUILD)/tests/lab/sccp_server.o
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ -o $@

$(BUILD)/tests/lab/sip-phones: $(BUILD)/tests/lab/sip_phones.o
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ -o $@

$(BUILD)/tests/lab/sip-server: $(BUILD)/tests/lab/sip_server.o
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ -lm -o $@

$(BUILD)/tests/lab/frames: $(BUILD)/tests/lab/frames.o
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ -o $@

$(BUILD)/tests/lab/syslog-events: $(BUILD)/tests/lab/syslog_events.o $(LIB)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ -o $@

$(BUILD)/tests/lab/snmp-evidence: $(BUILD)/tests/lab/snmp_evidence.o $(LIB)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ $(ALL_LDLIBS) -o $@

$(BUILD)/tests/lab/stream-lines: $(BUILD)/tests/lab/stream_lines.o $(LIB)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ $(ALL_LDLIBS) -o $@

$(BUILD)/tests/lab/sites-load: $(BUILD)/tests/lab/sites_load.o $(BUILD)/tests/unit/sites_world.o $(LIB)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ $(ALL_LDLIBS) -o $@

$(BUILD)/tests/kernel/same-verdict: $(KERNEL_SOURCES:%.c=$(BUILD)/%.o) $(LIB)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ $(ALL_LDLIBS) -o $@

$(BUILD)/tests/pair/truth: $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/pair/*.c)) \
		$(BUILD)/tests/unit/pair_run.o $(LIB)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ $(ALL_LDLIBS) -o $@

$(BUILD)/tests/net/host-evidence: $(BUILD)/tests/net/host_evidence.o $(LIB)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ $(ALL_LDLIBS) -o $@

$(BUILD)/tests/history/chance: $(addprefix $(BUILD)/tests/,history/chance.o unit/scene.o unit/kept.o) \
		$(LIB)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ $(ALL_LDLIBS) -o $@

$(BUILD)/tests/history/kills: $(addprefix $(BUILD)/tests/history/,kills.o writing.o) $(LIB)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ $(ALL_LDLIBS) -o $@

$(BUILD)/tests/history/power: $(addprefix $(BUILD)/tests/history/,power.o disk.o writing.o) $(LIB)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) -Wl,--wrap=sqlite3_exec $^ $(ALL_LDLIBS) -o $@

$(BUILD)/tests/net/batches: $(BUILD)/tests/net/batches.o $(LIB)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ $(ALL_LDLIBS) -o $@

$(BUILD)/tests/net/listen: $(BUILD)/tests/net/listen.o $(LIB)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ $(ALL_LDLIBS) -o $@

$(BUILD)/tests/package/same-default: $(BUILD)/tests/package/same_default.o $(LIB)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ $(ALL_LDLIBS) -o $@

# Generators of captures for tests of `diagnose`.
$(BUILD)/tests/captures/write-pair: $(addprefix $(BUILD)/tests/,captures/write_pair.o captures/frames.o \
		pair/gen.o pair/view.o unit/pair_run.o packets/packets.o packets/pcap_writer.o) $(LIB)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ -o $@

$(BUILD)/tests/captures/write-study: $(addprefix $(BUILD)/tests/,captures/write_study.o \
		packets/packets.o packets/pcap_writer.o)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ -o $@

$(BUILD)/tests/captures/write-outage: $(addprefix $(BUILD)/tests/,captures/write_outage.o \
		packets/packets.o packets/pcap_writer.o)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ -o $@

# Writes HTML reports of diagnoses made by hand.
$(BUILD)/tests/report/write-report: $(addprefix $(BUILD)/tests/report/,write_report.o made.o) $(LIB)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ $(ALL_LDLIBS) -o $@

BENCH_COMMON := $(addprefix $(BUILD)/tests/,bench/bench.o bench/programs.o packets/packets.o)

$(BUILD)/tests/bench/packet-cost: $(BUILD)/tests/bench/packet_cost.o $(BUILD)/tests/kernel/object.o \
		$(BENCH_COMMON) $(LIB)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ $(ALL_LDLIBS) -o $@

$(BUILD)/tests/bench/flood: $(BUILD)/tests/bench/flood.o $(BENCH_COMMON)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ $(ALL_LDLIBS) -o $@

$(BUILD)/tests/bench/live: $(BUILD)/tests/bench/live.o $(BENCH_COMMON)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ $(ALL_LDLIBS) -o $@

$(BUILD)/tests/bench/tcp: $(BUILD)/tests/bench/tcp.o
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ -o $@

$(BUILD)/tests/bench/figure: $(BUILD)/tests/bench/figure.o $(BUILD)/tests/bench/bench.o
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ -ljansson -o $@

$(BUILD)/tests/bench/session-cost: $(BUILD)/tests/bench/session_cost.o $(BUILD)/tests/bench/bench.o $(LIB)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ $(ALL_LDLIBS) -o $@

$(BUILD)/tests/bench/sites-cost: $(BUILD)/tests/bench/sites_cost.o $(BUILD)/tests/unit/sites_world.o $(LIB)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ $(ALL_LDLIBS) -o $@

$(BUILD)/tests/bench/make-capture: $(BUILD)/tests/bench/make_capture.o $(BUILD)/tests/packets/packets.o \
		$(BUILD)/tests/packets/pcap_writer.o
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ -lm -o $@

$(BUILD)/tests/bench/make-history: $(BUILD)/tests/bench/make_history.o $(LIB)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ $(ALL_LDLIBS) -o $@

$(BUILD)/tests/bench/read-capture: $(BUILD)/tests/bench/read_capture.o $(BUILD)/tests/packets/packets.o $(LIB)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ $(ALL_LDLIBS) -o $@

$(BUILD)/tests/bench/measure: $(BUILD)/tests/bench/measure.o
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ -o $@

$(FAULTS): $(BUILD)/%.so: %.c Makefile $(FLAGS)
	@mkdir -p $(@D)
	$(CC) -D_GNU_SOURCE -std=gnu17 -Wall -Wextra -O2 -fPIC -shared $< -o $@

# (A pattern would add nothing: only named targets take further prerequisites.)
$(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/*/*.c)): | $(SKELETONS)

include tests/fuzz/fuzz.mk

lab-tools: $(LAB_TOOLS)

test-tools: all $(TEST_TOOLS)

test: test-tools
	tests/run.sh

SOAK_CONNECTIONS ?= 2000
SOAK_SECONDS ?= 600
SOAK_SEED ?= 1
soak: all lab-tools
	tests/net/soak.sh $(SOAK_CONNECTIONS) $(SOAK_SECONDS) $(SOAK_SEED)

SERVICE_SECONDS ?= 3600
service-hour: all lab-tools
	SERVICE_SECONDS=$(SERVICE_SECONDS) tests/net/service.sh

soak-day: all lab-tools
	tests/net/soak_day.sh 2000 360

# As much as needs no system of its own, with leaks looked for; tests/run.sh runs what of it is fast.
sanitized-tools: all $(LAB_TOOLS) $(BUILD)/tests/unit/unit $(BUILD)/tests/pair/truth \
	$(BUILD)/tests/history/chance $(CAPTURE_TOOLS)

CAPTURES_BENCH := $(BUILD)/kaloss $(addprefix $(BUILD)/tests/bench/,make-capture measure)

bench: $(LAB_TOOLS) $(CAPTURES_BENCH) $(addprefix $(BUILD)/tests/bench/,packet-cost session-cost $(BENCH_TOOLS))
	BUILD=$(abspath $(BUILD)) tests/bench/bench.sh

# All of it on the same large captures, for which tshark takes some seven minutes.
bench-captures: $(CAPTURES_BENCH)
	BUILD=$(abspath $(BUILD)) tests/bench/captures.sh --memory 1000000,10000000

# A joiner's own work on one core, by partitions, and its memory for 100 000 phones (docs/sites.md).
bench-sites: $(BUILD)/tests/bench/sites-cost
	for partitions in 1 4 8 32; do $< 8 5000 240 20 $$partitions; done
	$< 100 100000 90 30 32

# ---- upkeep ----

lint: include-directions $(patsubst %.c,$(BUILD)/%.tidy,$(LIB_SOURCES) user/main.c)
	clang-format --dry-run -Werror $(FORMATTED)

# Looked at again when it, or a header of it, has changed. The analyzer gives up a function after so
# many states, a tenth of what it would by itself: all of it takes a tenth of the time.
# make lint ANALYZER_STATES=225000 is as thorough as it gets.
ANALYZER_STATES = 20000
$(BUILD)/%.tidy: %.c $(BUILD)/%.o .clang-tidy
	clang-tidy --quiet $< -- -std=gnu17 $(ALL_CPPFLAGS) \
		-Xclang -analyzer-config -Xclang max-nodes=$(ANALYZER_STATES)
	@touch $@

format:
	clang-format -i $(FORMATTED)

# Data flows one way: the headers and the core know neither the sources' libraries nor the reports.
include-directions:
	@! grep -nE '#include.*(bpf/libbpf|bpf/bpf|pcap|libmnl|jansson|sqlite3|nats|report/|source/|cli/|history/)' \
		include/kaloss/*.h $(wildcard user/core/*.[ch]) || { \
		echo "include-directions: the lines above cross a border (docs/design.md)" >&2; exit 1; }
	@! grep -lE '#include.*(bpf/libbpf|bpf/bpf\.h)' $(wildcard user/*/*.[ch] user/*.c) | \
		grep -v '^user/source/' || { \
		echo "include-directions: only user/source/ may include libbpf" >&2; exit 1; }
	@! grep -lE '#include.*pcap/' $(wildcard user/*/*.[ch] user/*.c) | \
		grep -v '^user/source/capture_file.c' || { \
		echo "include-directions: only user/source/capture_file.c may include libpcap" >&2; exit 1; }
	@! grep -lE '#include.*microhttpd' $(wildcard user/*/*.[ch] user/*.c) | \
		grep -v '^user/report/metrics_http.c' || { \
		echo "include-directions: only user/report/metrics_http.c may include libmicrohttpd" >&2; \
		exit 1; }
	@! grep -lE '#include.*nats' $(wildcard user/*/*.[ch] user/*.c) | \
		grep -v '^user/source/broker' || { \
		echo "include-directions: only user/source/broker*.[ch] may include libnats" >&2; exit 1; }
	@! grep -nE '#include.*(report/|cli/)' $(wildcard user/source/*.[ch] user/history/*.[ch]) || { \
		echo "include-directions: sources and histories do not know reports" >&2; exit 1; }
	@! grep -lE '#include.*sqlite3' $(wildcard user/*/*.[ch] user/*.c) | \
		grep -v '^user/history/' || { \
		echo "include-directions: only user/history/ may include SQLite" >&2; exit 1; }

-include $(LIB_OBJECTS:.o=.d) $(BUILD)/user/main.d $(wildcard $(BUILD)/bpf/*.d)
-include $(patsubst %.c,$(BUILD)/%.d,$(wildcard tests/*/*.c))
