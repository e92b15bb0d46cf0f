// SPDX-License-Identifier: GPL-2.0-only
/* kept.h */
#include "kept.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "kept: %s\n", what);
	abort();
}

static void print_line(const char *line, void *arg)
{
	(void)arg;
	fprintf(stderr, "kept: %s\n", line);
}

static void tell_rules(void *arg, kl_history_rule take, void *take_arg)
{
	struct kept *k = arg;

	/* (The first look is the one that others are compared with. Each has grown once.) */
	for (; take_arg && k->rules < k->scene->d.evidence.rule.count; k->rules++)
		take(&k->scene->d.evidence.rule.item[k->rules], take_arg);
}

static void tick(void *arg)
{
	kept_tick(arg, KL_HISTORY_PART_NS);
}

void kept_begin(struct kept *k, struct scene *s)
{
	struct kl_error err = {};
	int fd;

	*k = (struct kept){ .scene = s, .now_ns = SCENE_START };
	snprintf(k->path, sizeof(k->path), "%s/kaloss-kept-XXXXXX",
		 access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	fd = mkstemp(k->path);
	must(fd >= 0, k->path);
	close(fd);
	k->config = (struct kl_history_config){
		.path = k->path,
		.say = print_line,
		.look_at_rules = tell_rules,
		.arg = k,
	};
	must(!kl_history_open(&k->config, &s->history, &err), err.text);
	kl_history_begin(s->history, k->now_ns, KEPT_OFFSET);
	s->tick = tick;
	s->tick_arg = k;
}

/* What the kernel would have counted. */
static void count(struct kept *k)
{
	const struct kl_tally_report *t = &k->scene->d.total;

	for (int d = 0; d < KL_DIRECTIONS; d++) {
		for (int kind = 0; kind < KL_KINDS; kind++) {
			const struct kl_count *n = &t->kind[d][kind];

			k->counters.tally[KL_SENT][d][kind] = n->sent;
			k->counters.tally[KL_DELIVERED][d][kind] = n->delivered;
			k->counters.tally[KL_LOST_BETWEEN][d][kind] = n->lost_between;
		}
	}
}

static struct kl_history_tick tick_of(struct kept *k, uint64_t inferred[KL_DIRECTIONS][KL_WHERES])
{
	static const struct kl_tally_own own;
	const struct kl_diagnosis *d = &k->scene->d;

	count(k);
	for (int way = 0; way < KL_DIRECTIONS; way++) {
		for (int w = 0; w < KL_WHERES; w++) {
			inferred[way][w] = d->inferred[way][w] - k->inferred[way][w];
			k->inferred[way][w] = d->inferred[way][w];
		}
	}
	return (struct kl_history_tick){
		.now_ns = k->now_ns,
		.offset_ns = KEPT_OFFSET,
		.counters = &k->counters,
		.own = &own,
		.inferred = inferred,
		.phones = kl_sessions_phones(k->scene->sessions),
		.sessions = k->scene->sessions,
		.has = &d->evidence,
	};
}

void kept_tick(struct kept *k, uint64_t later_ns)
{
	uint64_t inferred[KL_DIRECTIONS][KL_WHERES];
	struct kl_history_tick tick;

	k->now_ns += later_ns;
	tick = tick_of(k, inferred);
	kl_history_tick(k->scene->history, &tick);
}

void kept_end(struct kept *k)
{
	const struct kl_evidence *e = &k->scene->d.evidence;
	struct kl_history *h = k->scene->history;
	uint64_t inferred[KL_DIRECTIONS][KL_WHERES];
	struct kl_history_tick tick;

	for (size_t i = 0; i < e->mac.count; i++)
		kl_history_mac(h, &e->mac.item[i]);
	for (size_t i = 0; i < e->ageing.count; i++)
		kl_history_ageing(h, &e->ageing.item[i]);
	for (size_t i = 0; i < e->arp.count; i++)
		kl_history_arp(h, &e->arp.item[i]);
	for (size_t i = 0; i < e->alarm.count; i++)
		kl_history_alarm(h, &e->alarm.item[i]);
	k->now_ns += KL_NS_PER_S;
	tick = tick_of(k, inferred);
	kl_history_end(h, &tick);
	must(kl_history_close(h), "its thread hangs");
	k->scene->history = NULL;
	k->scene->tick = NULL;
}

static unsigned differs(bool different, const struct kl_finding *f, const char *what, const char *a,
			const char *b)
{
	if (different)
		fprintf(stderr, "%s: %s: live %s, kept %s\n", kl_cause_name(f->cause), what, a, b);
	return different;
}

static unsigned differ_numbers(const struct kl_finding *f, const char *what, double a, double b)
{
	char x[32], y[32];

	snprintf(x, sizeof(x), "%.17g", a);
	snprintf(y, sizeof(y), "%.17g", b);
	return differs(!(a == b) && !(isnan(a) && isnan(b)), f, what, x, y);
}

static unsigned compare(const struct kl_finding *a, const struct kl_finding *b)
{
	unsigned n = differs(a->cause != b->cause, a, "cause", kl_cause_name(a->cause),
			     kl_cause_name(b->cause)) +
		     differ_numbers(a, "confidence", a->confidence, b->confidence) +
		     differ_numbers(a, "fault", a->fault, b->fault) +
		     differ_numbers(a, "phones", (double)a->phones, (double)b->phones) +
		     differ_numbers(a, "losses", (double)a->losses, (double)b->losses) +
		     differ_numbers(a, "own", (double)a->own_losses, (double)b->own_losses) +
		     differs(strcmp(a->explanation, b->explanation), a, "explanation",
			     a->explanation, b->explanation) +
		     differs(strcmp(a->remedy, b->remedy), a, "remedy", a->remedy, b->remedy) +
		     differ_numbers(a, "evidence", (double)a->evidence_count,
				    (double)b->evidence_count);

	for (size_t i = 0; i < a->evidence_count && i < b->evidence_count; i++) {
		const struct kl_finding_evidence *x = &a->evidence[i], *y = &b->evidence[i];

		n += differs(strcmp(x->text, y->text), a, "evidence", x->text, y->text);
		n += differ_numbers(a, "against", x->against, y->against);
		for (size_t m = 0; m < x->figure_count && m < y->figure_count; m++)
			n += differ_numbers(a, x->figure[m].name, x->figure[m].value,
					    y->figure[m].value);
	}
	return n;
}

unsigned kept_compare(struct kept *k)
{
	const struct scene *s = k->scene;
	struct kl_error err = {};
	size_t count;
	unsigned n;

	must(!kl_history_read(k->path, 0, UINT64_MAX, &k->view, &err), err.text);
	/* (A scene has no ticks of its own: those here are at times that say nothing.) */
	k->view.d.first_ns = s->d.first_ns + KEPT_OFFSET;
	k->view.d.last_ns = s->d.last_ns + KEPT_OFFSET;
	if (kl_findings(&k->view.d, k->finding, &count))
		abort();
	n = count != s->findings;
	if (n)
		fprintf(stderr, "live has %zu findings, what was kept %zu\n", s->findings, count);
	for (size_t i = 0; i < count && i < s->findings; i++)
		n += compare(&s->finding[i], &k->finding[i]);
	if (k->view.d.lost_count != s->d.lost_count) {
		fprintf(stderr, "live lists %zu losses, what was kept %zu\n", s->d.lost_count,
			k->view.d.lost_count);
		n++;
	}
	for (int d = 0; d < KL_DIRECTIONS; d++) {
		const struct kl_count *x = &s->d.total.direction[d];
		const struct kl_count *y = &k->view.d.total.direction[d];

		/* (What a scene loses elsewhere stays pending for ever.) */
		if (x->sent == y->sent && x->delivered == y->delivered &&
		    x->lost_between == y->lost_between)
			continue;
		fprintf(stderr, "the totals %d differ\n", d);
		n++;
	}
	return n;
}

void kept_done(struct kept *k)
{
	char path[80];

	kl_history_view_done(&k->view);
	unlink(k->path);
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s%s", k->path, i ? "-wal" : "-shm");
		unlink(path);
	}
}
