// SPDX-License-Identifier: GPL-2.0-only
/* kaloss check: can it run here, and what would spoil it? Gathers, and prints what the rules say. */
#include "cli/check.h"

#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>

#include "cli/check_survey.h"
#include "source/hooks.h"
#include "source/privilege.h"
#include "util/cleanup.h"
#include "util/duration.h"

enum {
	DEFAULT_DURATION_S = 3,
	BEAT_MS = 250,
	SETTLE_MS = 200,  /* for what is on its way between the sides at the end */
	RESEND_MS = 1300, /* for what was lost on it: TCP sends it again */
};

/* ---- What the rules use ---- */

void kl_check_say(struct kl_check *c, enum kl_weight weight, const char *subject,
		  const char *format, ...)
{
	struct kl_check_line *line;
	va_list args;

	c->obstacles += weight == KL_OBSTACLE;
	if (c->line_count == KL_CHECK_LINES)
		return;
	line = &c->lines[c->line_count++];
	*line = (struct kl_check_line){ .weight = weight };
	snprintf(line->subject, sizeof(line->subject), "%s", subject);
	va_start(args, format);
	vsnprintf(line->text, sizeof(line->text), format, args);
	va_end(args);
}

void kl_check_cure(struct kl_check *c, const char *format, ...)
{
	struct kl_check_line *line = &c->lines[c->line_count - 1];
	va_list args;

	va_start(args, format);
	vsnprintf(line->cure, sizeof(line->cure), format, args);
	va_end(args);
}

static void add_text(char *ret, size_t size, const char *text, size_t len)
{
	size_t at = strlen(ret);

	snprintf(ret + at, size - at, "%.*s", (int)len, text);
}

static void add_word(char *ret, size_t size, const char *word)
{
	if (ret[0])
		add_text(ret, size, " ", 1);
	add_text(ret, size, word, strlen(word));
}

/* A word of the command line, with the sides and the interface changed. */
static void add_changed(const struct kl_command_change *change, const char *word, char *ret,
			size_t size)
{
	const char *value = strchr(word, '='), *rest = word;
	size_t len;

	if (change->swap_sides && !strncmp(word, "--access", 8) && (!word[8] || word[8] == '=')) {
		add_word(ret, size, "--cucm");
		rest = word + 8;
	} else if (change->swap_sides && !strncmp(word, "--cucm", 6) &&
		   (!word[6] || word[6] == '=')) {
		add_word(ret, size, "--access");
		rest = word + 6;
	} else {
		add_word(ret, size, "");
	}
	if (!change->instead_of) {
		add_text(ret, size, rest, strlen(rest));
		return;
	}
	if (value && rest == word) {
		add_text(ret, size, word, (size_t)(value + 1 - word));
		rest = value + 1;
	}
	for (;; rest += len + 1) {
		len = strcspn(rest, ",");
		if (len == strlen(change->instead_of) && !strncmp(rest, change->instead_of, len))
			add_text(ret, size, change->put, strlen(change->put));
		else
			add_text(ret, size, rest, len);
		if (!rest[len])
			return;
		add_text(ret, size, ",", 1);
	}
}

static void add_interfaces(const struct kl_command_change *change, char *ret, size_t size)
{
	static const char *const options[KL_SIDES] = { "--access", "--cucm" };

	for (int side = 0; side < KL_SIDES; side++) {
		if (!change->more[side])
			continue;
		add_word(ret, size, options[side]);
		add_word(ret, size, change->more[side]);
	}
}

void kl_check_command(const struct kl_command_change *change, char *ret, size_t size)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/cmdline", "re");
	_cleanup_free_ char *word = NULL;
	size_t room = 0;

	ret[0] = '\0';
	if (change->before)
		add_word(ret, size, change->before);
	while (f && getdelim(&word, &room, '\0', f) > 0) {
		if (change->drop && !strcmp(word, change->drop))
			continue;
		add_changed(change, word, ret, size);
	}
	if (change->add)
		add_word(ret, size, change->add);
	add_interfaces(change, ret, size);
}

void kl_check_cure_by(struct kl_check *c, const struct kl_command_change *change)
{
	char command[512];

	kl_check_command(change, command, sizeof(command));
	kl_check_cure(c, "%s", command);
}

const struct kl_interface_facts *kl_check_interface(const struct kl_check *c, unsigned ifindex)
{
	for (size_t i = 0; ifindex && i < c->interface_count; i++) {
		if (c->interfaces[i].ifindex == ifindex)
			return &c->interfaces[i];
	}
	return NULL;
}

const struct kl_place *kl_check_place(const struct kl_check *c, unsigned ifindex)
{
	for (size_t i = 0; i < c->place_count; i++) {
		if (c->places[i].facts && c->places[i].facts->ifindex == ifindex)
			return &c->places[i];
	}
	return NULL;
}

bool kl_check_has_other(const struct kl_check *c, const struct kl_place *p)
{
	for (size_t i = 0; i < c->place_count; i++) {
		const struct kl_place *q = &c->places[i];

		if (q->side == p->side && q->facts && q->facts != p->facts && q->facts->up &&
		    q->facts->running)
			return true;
	}
	return false;
}

bool kl_is_bridge_port(const struct kl_interface_facts *f)
{
	return f->master && !strcmp(f->master_kind, "bridge");
}

/* ---- Printing ---- */

static void print_lines(struct kl_check *c)
{
	static const struct {
		const char *word, *color;
	} looks[] = {
		[KL_FINE] = { "ok", "\033[32m" },
		[KL_NOTE] = { "note", "\033[33m" },
		[KL_OBSTACLE] = { "FAIL", "\033[1;31m" },
	};
	bool color = c->o->color == KL_COLOR_ALWAYS ||
		     (c->o->color == KL_COLOR_AUTO && isatty(STDOUT_FILENO));

	for (size_t i = 0; i < c->line_count; i++) {
		const struct kl_check_line *line = &c->lines[i];

		printf("%s%-4s%s %s: %s\n", color ? looks[line->weight].color : "",
		       looks[line->weight].word, color ? "\033[0m" : "", line->subject, line->text);
		if (line->cure[0])
			printf("         %s\n", line->cure);
	}
	c->line_count = 0;
	if (fflush(stdout) && !c->write_error)
		c->write_error = errno;
}

/* ---- Gathering ---- */

static void find_place(struct kl_check *c, enum kl_side side, const char *name)
{
	struct kl_place *p = &c->places[c->place_count];
	unsigned ifindex = if_nametoindex(name);

	*p = (struct kl_place){
		.side = side,
		.name = name,
		.facts = kl_check_interface(c, ifindex),
		.first = ifindex ? kl_check_place(c, ifindex) : NULL,
	};
	c->place_count++;
	if (!p->facts || p->first)
		return;
	kl_read_offloads(p->facts->name, &p->offloads);
	/* What a killed kaloss left behind is not somebody's. */
	kl_clear_stale_filters(ifindex);
	kl_describe_xdp(ifindex, p->xdp, sizeof(p->xdp));
	kl_describe_tc(ifindex, false, p->tc_in, sizeof(p->tc_in));
	kl_describe_tc(ifindex, true, p->tc_out, sizeof(p->tc_out));
}

static void find_places(struct kl_check *c)
{
	for (int side = 0; side < KL_SIDES; side++) {
		for (size_t i = 0; i < c->o->live.interface_count[side]; i++)
			find_place(c, (enum kl_side)side, c->o->live.interfaces[side][i]);
	}
}

/* Who is it that reads the frames, and where? */
static void read_hooks(struct kl_check *c)
{
	const struct kl_hook *hooks;
	size_t count;

	hooks = kl_live_hooks(c->live, &count);
	for (size_t i = 0; i < count; i++) {
		if (!strcmp(hooks[i].how, "clsact filter"))
			c->clsact = true;
		for (size_t k = 0; k < c->place_count && !hooks[i].egress; k++) {
			struct kl_place *p = &c->places[k];

			if (!p->facts || p->facts->ifindex != hooks[i].ifindex)
				continue;
			p->how = hooks[i].how;
			p->why = hooks[i].why;
		}
	}
}

/*
 * Opens the live source on what is there: an interface that is missing or named twice must not
 * keep us from learning about the others, nor a driver that refuses --hook xdp.
 */
static void try_live(struct kl_check *c)
{
	struct kl_live_config config = c->o->live;

	if (kl_missing_capabilities(c->missing, sizeof(c->missing)))
		return;
	config.interface_count[KL_ACCESS] = config.interface_count[KL_CUCM] = 0;
	if (config.hook == KL_HOOK_XDP)
		config.hook = KL_HOOK_AUTO;
	for (size_t i = 0; i < c->place_count; i++) {
		const struct kl_place *p = &c->places[i];

		if (p->facts && !p->first)
			snprintf(config.interfaces[p->side][config.interface_count[p->side]++],
				 IF_NAMESIZE, "%s", p->facts->name);
	}
	c->refusal = kl_live_open(&config, &c->live, &c->refused);
	if (!c->refusal)
		read_hooks(c);
}

static void ignore_judged(const struct kl_judged *judged, void *arg)
{
	(void)judged;
	(void)arg;
}

/* Waits; true where a signal asks for the end. */
static bool wait_ms(int signals, uint64_t ms)
{
	struct pollfd fd = { .fd = signals, .events = POLLIN };

	return poll(&fd, 1, (int)ms) > 0;
}

static void look_at_traffic(struct kl_check *c, int signals)
{
	uint64_t duration_ns = c->o->duration_ns ? c->o->duration_ns
						 : DEFAULT_DURATION_S * KL_NS_PER_S;
	uint64_t end_ns = kl_monotonic_ns() + duration_ns, now_ns;
	bool stop = false;

	kl_live_start(c->live);
	while (!stop && (now_ns = kl_monotonic_ns()) < end_ns) {
		uint64_t left_ms = (end_ns - now_ns) / KL_NS_PER_MS + 1;

		stop = wait_ms(signals, left_ms < BEAT_MS ? left_ms : BEAT_MS);
		/* The sweep frees what never found its other half. */
		kl_live_sweep(c->live, kl_monotonic_ns(), ignore_judged, NULL);
	}
	/* What is new from here on is left out; what is known gets the time to show up. */
	end_ns = kl_monotonic_ns();
	stop = stop || wait_ms(signals, SETTLE_MS);
	c->survey = kl_survey_read(c->live, end_ns);
	if (stop || !c->survey || !kl_survey_may_change(c->survey))
		return;
	wait_ms(signals, RESEND_MS);
	free(c->survey);
	c->survey = kl_survey_read(c->live, end_ns);
}

/* ---- From start to end ---- */

static int open_signals(void)
{
	sigset_t set;

	/* A reader that goes away must not keep filters from being removed. */
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void check(struct kl_check *c, int signals)
{
	kl_read_kernel_facts(&c->kernel);
	find_places(c);
	try_live(c);
	for (size_t i = 0; i < c->place_count; i++) {
		kl_check_interface_rules(c, &c->places[i]);
		print_lines(c);
	}
	kl_check_kernel_rules(c);
	print_lines(c);
	if (c->live)
		look_at_traffic(c, signals);
	/* The path is judged by what was seen on it. */
	kl_check_path_rules(c);
	print_lines(c);
	kl_check_traffic_rules(c);
	print_lines(c);
}

int kl_check(const struct kl_options *o)
{
	struct kl_check c = { .o = o };
	_cleanup_close_ int signals = open_signals();
	struct kl_error err = {};

	if (signals < 0) {
		fprintf(stderr, "kaloss check: signals: %s\n", strerror(errno));
		return KL_EXIT_FAILED;
	}
	if (kl_read_interface_facts(&c.interfaces, &c.interface_count, &err)) {
		fprintf(stderr, "kaloss check: %s\n", err.text);
		return KL_EXIT_FAILED;
	}
	check(&c, signals);
	kl_live_close(c.live);
	free(c.survey);
	free(c.interfaces);
	if (c.write_error && c.write_error != EPIPE) {
		fprintf(stderr, "kaloss check: writing to standard output: %s\n",
			strerror(c.write_error));
		return KL_EXIT_FAILED;
	}
	return c.cannot_run ? KL_EXIT_FAILED : c.obstacles ? KL_EXIT_FOUND : KL_EXIT_OK;
}
