// SPDX-License-Identifier: GPL-2.0-only
/* Options from a file: config_file.h, options.h; and the example in conf/. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "cli/config_file.h"
#include "cli/options.h"
#include "util/cleanup.h"
#include "util/duration.h"

#define SIDES "access = a\ncucm = b\n"

static const struct kl_verb watch = { .name = "watch", .mask = KL_VERB_WATCH };

static char path[] = "/tmp/kaloss-unit-XXXXXX";

static void write_file(const char *text, size_t len)
{
	int fd;

	strcpy(path + strlen(path) - 6, "XXXXXX");
	fd = mkstemp(path);
	cr_assert(fd >= 0);
	cr_assert_eq(write(fd, text, len), (ssize_t)len);
	close(fd);
}

/* watch --config FILE and, where there is one, another option with its value. */
static int parse(const char *text, size_t len, char *option, char *value, struct kl_options *ret,
		 struct kl_error *err)
{
	char *argv[] = { "watch", "--config", path, option, value, NULL };
	int r;

	write_file(text, len);
	r = kl_options_parse(&watch, option ? 5 : 3, argv, ret, err);
	unlink(path);
	return r;
}

static const struct {
	const char *text;
	const char *says; /* NULL: fine; else behind the file's name */
} files[] = {
	{ SIDES, NULL },
	{ "\xef\xbb\xbf" SIDES, NULL },
	{ "access=a\r\ncucm\t=\tb \r\n\r\n", NULL },
	{ "# x\n; y\naccess = a ; z\n  # u\ncucm = b", NULL },
	{ "access = a,\n   c,\n\td\ncucm = b\n", NULL },
	{ SIDES "tap = no\nnat = yes\n", NULL },
	{ SIDES "syslog = [::1]:514\n", NULL },
	{ SIDES "trap = 162\npoll-switch = 192.0.2.1,[2001:db8::1]:1161@7\nprometheus = :9105\n",
	  NULL },
	{ SIDES "output = /nowhere/records\nhistory = /nowhere/history.db\n", NULL },
	{ "", "access is missing: the interface towards the phones" },
	{ SIDES "tap = yes\nnat = yes\n",
	  "line 3: tap and nat exclude each other: a mirror port's addresses are not translated by "
	  "this host" },
	{ SIDES "trap-auth = /keys\n", "line 3: trap-auth is of use with trap only" },
	{ SIDES "\npoll-community = x\n",
	  "line 4: poll-community is of use with poll-switch only" },
	{ SIDES "keep = 2h\n", "line 3: keep is of use with history only" },
	{ SIDES "output = /nowhere/--tap\nhistory = /nowhere/--tap\n",
	  "line 3: output and history are the same file: /nowhere/--tap" },
	{ SIDES "sip-ports = 2000\n", "line 3: port 2000 is both in sccp-ports and in sip-ports" },
	{ SIDES "trap = 1:2:3\n", "line 3: trap: 1:2:3: not ADDRESS:PORT, [ADDRESS]:PORT or PORT" },
	{ SIDES "syslog = zz\n", "line 3: syslog: zz: not a port: ADDRESS:PORT is expected" },
	{ SIDES "syslog = ::1:514\n",
	  "line 3: syslog: ::1:514: an IPv6 address goes in brackets: [::1]:514" },
	{ SIDES "poll-switch = #\n", "line 3: poll-switch: #: not ADDRESS[:PORT][@VLAN]" },
	{ SIDES "poll-switch = 192.0.2.1,192.0.2.2@4095\n",
	  "line 3: poll-switch: 4095: no such VLAN" },
	{ SIDES "poll-switch = ,\n", "line 3: poll-switch: no switch is given" },
	{ SIDES "prometheus = foo\n", "line 3: prometheus: foo is no ADDRESS:PORT (such as "
				      "127.0.0.1:9105, [::1]:9105 or :9105)" },
	{ SIDES "prometheus = 1.2.3.4:99999\n",
	  "line 3: prometheus: 1.2.3.4:99999 is no ADDRESS:PORT (such as 127.0.0.1:9105, "
	  "[::1]:9105 or :9105)" },
	{ SIDES "output = /\n", "line 3: output: /: Is a directory" },
	{ SIDES "history = /nowhere/\n", "line 3: history: /nowhere/: Is a directory" },
	{ SIDES "frobnicate = 1\n", "line 3: unknown option frobnicate" },
	{ SIDES "Interval = 1s\n", "line 3: unknown option Interval" },
	{ SIDES "help = yes\n", "line 3: unknown option help" },
	{ SIDES "config = /etc/passwd\n", "line 3: unknown option config" },
	{ SIDES "for = 5m\n", "line 3: unknown option for" },
	{ SIDES "= 5m\n", "line 3: unknown option (none)" },
	{ SIDES "interval = 5\n",
	  "line 3: interval: 5 is not a duration (such as 500ms, 10s, 5m, 2h or 30d)" },
	{ SIDES "interval = 5s # five\n",
	  "line 3: interval: 5s # five is not a duration (such as 500ms, 10s, 5m, 2h or 30d)" },
	{ SIDES "interval =\n",
	  "line 3: interval: an empty text is not a duration (such as 500ms, 10s, 5m, 2h or 30d)" },
	{ SIDES "output =\n", "line 3: output: an empty file name" },
	{ SIDES "tap = maybe\n", "line 3: tap: maybe is none of: no, yes" },
	{ SIDES "\n\naccess = c\n", "line 5: access is there already, in line 1" },
	{ SIDES "interval 5s\n", "line 3: it should read KEY = VALUE" },
	{ "[watch]\n" SIDES, "line 1: this file has no sections" },
	{ " [watch]\n" SIDES, "line 2: this file has no sections" },
	{ SIDES "[end]", "line 3: this file has no sections" },
	{ "access = a\n cucm = b\n",
	  "line 2: it begins with a blank, but the line before does not end with a comma" },
	{ "access = a,\n\ncucm = b\n", "line 1: access: an empty interface name in the list" },
};

Test(options_file, lines)
{
	for (size_t i = 0; i < KL_COUNT(files); i++) {
		const char *text = files[i].text;
		struct kl_error err = {};
		struct kl_options o;
		char want[512];
		int r = parse(text, strlen(text), NULL, NULL, &o, &err);

		snprintf(want, sizeof(want), "%s: %s", path, files[i].says ?: "");
		cr_expect_eq(r != 0, files[i].says != NULL, "%s: %s", text, err.text);
		if (r)
			cr_expect_str_eq(err.text, want);
		else
			kl_options_done(&o);
	}
}

Test(options_file, longest_line)
{
	for (int len = 196; len <= 202; len++) {
		struct kl_error err = {};
		struct kl_options o;
		char text[512];
		int n = snprintf(text, sizeof(text), SIDES "output = %0*d\ninterval = 3s\n",
				 len - 9, 0);

		if (!parse(text, (size_t)n, NULL, NULL, &o, &err)) {
			cr_expect_leq(len, 198);
			cr_expect_eq(strlen(o.output), (size_t)len - 9);
			cr_expect_eq(o.interval_ns, 3 * KL_NS_PER_S);
			kl_options_done(&o);
		} else {
			cr_expect_gt(len, 198);
			cr_expect(strstr(err.text, ": line 3: longer than 198 characters"), "%s",
				  err.text);
		}
	}
}

Test(options_file, not_a_text)
{
	struct kl_error err = {};
	struct kl_options o;
	char *argv[] = { "watch", "--config", "/", NULL };
	static char large[70000];

	cr_expect(parse("access = a\0b\n", 13, NULL, NULL, &o, &err));
	cr_expect(strstr(err.text, ": not a text file"), "%s", err.text);
	memset(large, '\n', sizeof(large));
	cr_expect(parse(large, sizeof(large), NULL, NULL, &o, &err));
	cr_expect(strstr(err.text, ": more than 65536 bytes"), "%s", err.text);
	cr_expect(kl_options_parse(&watch, 3, argv, &o, &err));
	cr_expect_str_eq(err.text, "/: not a file");
	argv[2] = "/nowhere/kaloss.conf";
	cr_expect(kl_options_parse(&watch, 3, argv, &o, &err));
	cr_expect_str_eq(err.text, "/nowhere/kaloss.conf: No such file or directory");
}

Test(options_file, command_line_first)
{
	static const char text[] = SIDES "sip-ports = 5070\ninterval = 3s\n";
	static const char wrong[] = SIDES "access-list = 1\ninterval = 3\n";
	struct kl_error err = {};
	struct kl_options o;

	cr_assert_eq(parse(text, strlen(text), "--interval", "7s", &o, &err), 0, "%s", err.text);
	cr_expect_eq(o.interval_ns, 7 * KL_NS_PER_S);
	cr_expect_eq(o.live.ports[KL_SIP][0], 5070);
	kl_options_done(&o);

	/* Lists do not add up. */
	cr_assert_eq(parse(text, strlen(text), "--access", "c,d", &o, &err), 0, "%s", err.text);
	cr_expect_eq(o.live.interface_count[KL_ACCESS], 2);
	cr_expect_str_eq(o.live.interfaces[KL_ACCESS][0], "c");
	kl_options_done(&o);

	/* What is not used must be right, too. */
	cr_expect(parse(wrong + strlen(SIDES "access-list = 1\n"), strlen("interval = 3\n"),
			"--interval", "7s", &o, &err));
	cr_expect(strstr(err.text, "line 1: interval: 3 is not a duration"), "%s", err.text);
}

/* What a file sets, the command line takes back. */
Test(options_file, no_by_the_command_line)
{
	static const char text[] = SIDES "nat = yes\nappend = yes\noutput = f\n";
	static const struct {
		char *option, *then;
		bool nat;
	} cases[] = {
		{ "--nat=no", "--append", false },
		{ "--nat=yes", "--nat=no", false },
		{ "--nat=no", "--nat", true },
	};
	struct kl_error err = {};
	struct kl_options o;

	for (size_t i = 0; i < KL_COUNT(cases); i++) {
		cr_assert_eq(parse(text, strlen(text), cases[i].option, cases[i].then, &o, &err), 0,
			     "%s", err.text);
		cr_expect_eq(o.live.nat, cases[i].nat, "%zu", i);
		cr_expect(o.append);
		kl_options_done(&o);
	}
	cr_expect(parse(text, strlen(text), "--nat=maybe", "--append", &o, &err));
	cr_expect_str_eq(err.text, "--nat: maybe is none of: no, yes");
	/* (Without the sign it is a word of its own.) */
	cr_expect(parse(text, strlen(text), "--nat", "no", &o, &err));
	cr_expect_str_eq(err.text, "unexpected argument no");
}

/* What the command line said is called as it was said there. */
Test(options_file, both)
{
	static const char tap[] = SIDES "tap = yes\n", none[] = SIDES;
	struct kl_error err = {};
	struct kl_options o;

	cr_expect(parse(tap, strlen(tap), "--nat", "--append", &o, &err));
	cr_expect(strstr(err.text, ": line 3: tap and --nat exclude each other:"), "%s", err.text);
	cr_expect(parse(none, strlen(none), "--trap-auth", "/keys", &o, &err));
	cr_expect(strstr(err.text, ": --trap-auth is of use with trap only"), "%s", err.text);
	cr_expect_null(strstr(err.text, "line"), "%s", err.text);
}

/* Bytes, but for what says where they came from. */
static bool same_settings(struct kl_options *a, struct kl_options *b)
{
	memset(a->given, 0, sizeof(a->given));
	memset(b->given, 0, sizeof(b->given));
	return !memcmp(a, b, sizeof(*a));
}

static void check_example_line(const char *key, const char *value, bool seen[])
{
	struct kl_option_info option;
	struct kl_options before, after;
	struct kl_error err = {};

	for (size_t i = 0; kl_option_describe(&watch, i, &option); i++) {
		if (!option.name || strcmp(option.name, key) != 0)
			continue;
		cr_expect_not(seen[i], "%s is there twice", key);
		seen[i] = true;
		kl_options_defaults(&before);
		memcpy(&after, &before, sizeof(after));
		cr_expect_eq(kl_option_set(&watch, &after, key, value, &err), 0, "%s", err.text);
		/* `duration` is a number, but not set means never; `connections`, once said, are
		 * those of captures, too. */
		if (!option.any_value && strcmp(key, "duration") != 0 &&
		    strcmp(key, "connections") != 0)
			cr_expect(same_settings(&before, &after), "%s: %s is not the default", key,
				  value);
		return;
	}
	cr_expect_fail("conf/kaloss.conf: %s is no option", key);
}

Test(options_file, example)
{
	_cleanup_fclose_ FILE *f = fopen("conf/kaloss.conf", "re");
	bool seen[KL_OPTIONS_MAX] = {};
	struct kl_option_info option;
	char line[256], key[64], value[128];

	cr_assert(f);
	while (fgets(line, sizeof(line), f)) {
		cr_expect_leq(strlen(line), 101);
		cr_expect(line[0] == '#' || line[0] == '\n', "nothing is set in it: %s", line);
		/* A setting follows its # at once, a sentence does not. */
		if (sscanf(line, "#%63[a-z-] = %127[^\n]", key, value) == 2)
			check_example_line(key, value, seen);
	}
	for (size_t i = 0; kl_option_describe(&watch, i, &option); i++)
		cr_expect(seen[i] == (option.name && option.in_file), "%s", option.name);
}
