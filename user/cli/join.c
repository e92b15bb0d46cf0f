// SPDX-License-Identifier: GPL-2.0-only
/* kaloss join: what agents saw at both ends becomes losses; many joiners share the work. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/join_internal.h"
#include "cli/service.h"
#include "cli/stop.h"
#include "util/cleanup.h"
#include "util/duration.h"

#define TELL_NS KL_NS_PER_S
/* Who was there for so short a time may be gone as soon. */
#define SETTLE_NS (2 * KL_NS_PER_S)
/* How long records stay where agents put them, and where joiners do. */
#define KEEP_BATCHES_NS (12 * 3600 * KL_NS_PER_S)
#define KEEP_RECORDS_NS (30 * 86400 * KL_NS_PER_S)
#define KEEP_BEATS_NS (86400 * KL_NS_PER_S)
/* A takeover takes no longer: until then a record that comes again is known. */
#define DUPLICATES_NS (3600 * KL_NS_PER_S)

enum {
	WAIT_MS = 100,
	FAREWELL_MS = 10000,
	READER_WAIT_MS = 3000,
};

void kl_join_say(const char *format, ...)
{
	char line[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	fprintf(stderr, "kaloss join: %s\n", line);
}

/* ---- who else is there ---- */

static uint64_t score(const char *name, uint32_t partition)
{
	uint64_t h = kl_mix(KL_WIRE_SEED, partition);

	for (const char *c = name; *c; c++)
		h = kl_mix(h, (uint8_t)*c);
	return h;
}

static bool is_gone(const struct kl_join *j, const struct kl_joiner_seen *x)
{
	return x->heard_ns + j->o->join.lease_ns < j->now_ns;
}

static bool is_there(const struct kl_join *j, const struct kl_joiner_seen *x)
{
	return !is_gone(j, x) && x->heard_ns >= x->first_ns + SETTLE_NS;
}

/* Each partition has its own order of joiners, and the first that is there has it. */
bool kl_join_is_ours(const struct kl_join *j, uint32_t partition)
{
	uint64_t mine = score(j->name, partition);

	for (uint32_t i = 0; i < j->joiners; i++) {
		const struct kl_joiner_seen *x = &j->joiner[i];

		if (is_there(j, x) && strcmp(x->name, j->name) && score(x->name, partition) > mine)
			return false;
	}
	return true;
}

static int hear(const struct kl_broker_message *m, void *arg)
{
	struct kl_join *j = arg;
	const char *name = strrchr(m->subject, '.');
	struct kl_joiner_seen *x = NULL;

	name = name ? name + 1 : m->subject;
	if (!kl_token_is_valid(name))
		return 0;
	for (uint32_t i = 0; i < j->joiners && !x; i++)
		x = strcmp(j->joiner[i].name, name) ? NULL : &j->joiner[i];
	/* In the place of one that is gone, if there is one. */
	for (uint32_t i = 0; i < j->joiners && !x; i++)
		x = is_gone(j, &j->joiner[i]) ? &j->joiner[i] : NULL;
	if (!x && j->joiners < KL_JOIN_JOINERS_MAX)
		x = &j->joiner[j->joiners++];
	if (!x)
		return 0;
	if (strcmp(x->name, name) || is_gone(j, x))
		x->first_ns = j->now_ns;
	snprintf(x->name, sizeof(x->name), "%s", name);
	/* One that says nothing more says that it goes. */
	x->heard_ns = m->len ? j->now_ns : 0;
	return 0;
}

static void tell_presence(struct kl_join *j, bool ends)
{
	char subject[KL_SUBJECT_SIZE];

	snprintf(subject, sizeof(subject), "%s.v1.joiner.%s", j->o->sites.prefix, j->name);
	kl_broker_tell(j->broker, subject, "{}", ends ? 0 : 2);
	kl_service_alive();
	j->told_ns = j->now_ns;
}

/* ---- from start to end ---- */

static void name_stream(struct kl_join *j, const char *what, char ret[KL_JOIN_NAME])
{
	snprintf(ret, KL_JOIN_NAME, "%s_%s", j->o->sites.prefix, what);
	for (char *c = ret; *c; c++)
		*c = *c == '.' ? '-' : (char)toupper((unsigned char)*c);
}

static int make_stream(struct kl_join *j, const char *name, const char *what,
		       struct kl_broker_stream stream, struct kl_error *err)
{
	char subject[KL_SUBJECT_SIZE];

	snprintf(subject, sizeof(subject), "%s.v1.%s.>", j->o->sites.prefix, what);
	stream.name = name;
	stream.subjects[0] = subject;
	stream.replicas = j->o->join.replicas;
	return kl_broker_make_stream(j->broker, &stream, err);
}

static int make_streams(struct kl_join *j, struct kl_error *err)
{
	const struct kl_broker_stream seg = { .max_age_ns = KEEP_BATCHES_NS,
					      .max_bytes = j->o->join.stream_max_bytes,
					      .duplicates_ns = DUPLICATES_NS };
	const struct kl_broker_stream own = { .max_per_subject = 1 };
	const struct kl_broker_stream rec = { .max_age_ns = KEEP_RECORDS_NS,
					      .max_bytes = j->o->join.stream_max_bytes,
					      .duplicates_ns = DUPLICATES_NS };
	const struct kl_broker_stream beat = { .max_age_ns = KEEP_BEATS_NS,
					       .max_per_subject = 1,
					       .in_memory = true };

	return make_stream(j, j->stream_own, "own", own, err)
		       ?: make_stream(j, j->stream_rec, "rec", rec, err)
		       ?: make_stream(j, j->stream_beat, "beat", beat, err)
		       ?: make_stream(j, j->stream_seg, "seg", seg, err);
}

static bool wait_some(const struct kl_join *j, int ms)
{
	struct pollfd fds[] = { { .fd = kl_stop_fd(j->stop), .events = POLLIN },
				{ .fd = kl_broker_fd(j->broker), .events = POLLIN } };

	return poll(fds, KL_COUNT(fds), ms) > 0 && fds[0].revents;
}

/* Waits for the server, as long as it takes. 1: the end was asked for. */
static int wait_for_streams(struct kl_join *j, struct kl_error *err)
{
	bool said = false;

	for (;;) {
		int r = make_streams(j, err);

		if (r != -ENOTCONN && r != -ETIMEDOUT)
			return r;
		if (!said) {
			struct kl_broker_status status;
			char servers[200];

			kl_broker_status(j->broker, &status);
			kl_broker_servers(j->o->sites.nats.urls, servers, sizeof(servers));
			kl_join_say("waiting for %s: %s", servers,
				    status.trouble[0] ? status.trouble : err->text);
		}
		said = true;
		if (wait_some(j, WAIT_MS) && kl_stop_take(j->stop))
			return 1;
		kl_broker_look(j->broker);
	}
}

static int open_partitions(struct kl_join *j)
{
	const struct kl_join_options *o = &j->o->join;

	j->count = o->last - o->first + 1;
	j->partitions = calloc(j->count, sizeof(*j->partitions));
	if (!j->partitions)
		return -ENOMEM;
	for (uint32_t i = 0; i < j->count; i++) {
		struct kl_join_partition *p = &j->partitions[i];

		p->join = j;
		p->number = o->first + i;
		snprintf(p->subject, sizeof(p->subject), "%s.v1.own.%u", j->o->sites.prefix,
			 p->number);
	}
	return 0;
}

static void set_name(struct kl_join *j)
{
	char host[256] = "", text[300];

	gethostname(host, sizeof(host) - 1);
	/* Several on one host are several. */
	snprintf(text, sizeof(text), "%.50s-%d", host, (int)getpid());
	kl_token_from(j->o->sites.name ?: text, j->name);
}

static int open_output(struct kl_join *j, struct kl_error *err)
{
	const char *path = j->o->output;

	j->fd = path ? open(path,
			    O_WRONLY | O_CREAT | O_CLOEXEC | (j->o->append ? O_APPEND : O_TRUNC),
			    0666)
		     : STDOUT_FILENO;
	if (j->fd < 0)
		return kl_fail(err, -errno, "%s: %s", path, strerror(errno));
	if (kl_outlet_open(j->fd, j->o->queue_bytes, &j->outlet))
		return kl_fail(err, -ENOMEM, "out of memory");
	j->out = kl_outlet_file(j->outlet);
	if (!j->o->prometheus)
		return 0;
	return kl_metrics_http_open(j->o->prometheus, j->o->join.interval_ns, &j->http, err)
		       ?: kl_metrics_http_start(j->http, err);
}

static int open_broker(struct kl_join *j, struct kl_error *err)
{
	struct kl_broker_config config = j->o->sites.nats;
	static char name[KL_TOKEN_SIZE + 16];

	snprintf(name, sizeof(name), "kaloss join %s", j->name);
	config.name = name;
	config.max_pending = 1024;
	return kl_broker_open(&config, &j->broker, err);
}

static void say_line(const char *line, void *arg)
{
	(void)arg;
	kl_join_say("%s", line);
}

static int open_history(struct kl_join *j, struct kl_error *err)
{
	const struct kl_join_history_config config = {
		.path = j->o->history,
		.joiner = j->name,
		.keep_ns = j->o->keep_ns,
		.max_bytes = j->o->history_max_bytes,
		.patience_ns = j->o->join.lease_ns / 4,
		.say = say_line,
	};
	struct kl_error why = {};
	int r;

	if (!config.path)
		return 0;
	r = kl_join_history_open(&config, kl_realtime_ns(), &j->history, &why);
	return r ? kl_fail(err, r, "--history %s", why.text) : 0;
}

static int open_all(struct kl_join *j, struct kl_error *err)
{
	int r = kl_stop_open(false, &j->stop);

	if (r)
		return kl_fail(err, r, "signals: %s", strerror(-r));
	set_name(j);
	name_stream(j, "seg", j->stream_seg);
	name_stream(j, "own", j->stream_own);
	name_stream(j, "rec", j->stream_rec);
	name_stream(j, "beat", j->stream_beat);
	j->batch = kl_wire_new();
	if (!j->batch || open_partitions(j))
		return kl_fail(err, -ENOMEM, "out of memory");
	return open_history(j, err) ?: open_output(j, err) ?: open_broker(j, err);
}

static struct kl_join_history_now history_now(const struct kl_join *j)
{
	return (struct kl_join_history_now){ .realtime_ns = kl_realtime_ns(),
					     .refused = j->refused,
					     .phones = kl_join_phones(j) };
}

static void close_history(struct kl_join *j)
{
	const struct kl_join_history_now now = history_now(j);

	kl_join_history_close(j->history, &now);
}

static void close_all(struct kl_join *j)
{
	close_history(j);
	for (uint32_t i = 0; i < j->count && j->partitions; i++)
		kl_join_drop(&j->partitions[i]);
	free(j->partitions);
	kl_broker_listener_close(j->listener);
	kl_broker_close(j->broker);
	kl_metrics_http_close(j->http);
	kl_outlet_close(j->outlet);
	if (j->fd > STDERR_FILENO)
		close(j->fd);
	kl_wire_free(j->batch);
	kl_stop_close(j->stop);
}

/* ---- while it runs ---- */

static void look_around(struct kl_join *j)
{
	struct kl_broker_ack ack;

	j->now_ns = kl_monotonic_ns();
	j->realtime_ns = kl_realtime_ns();
	kl_broker_look(j->broker);
	while (kl_broker_next_ack(j->broker, &ack)) {
		for (uint32_t i = 0; i < j->count; i++) {
			if (kl_join_acked(&j->partitions[i], &ack))
				break;
		}
	}
	if (j->listener)
		kl_broker_listener_take(j->listener, hear, j);
}

size_t kl_join_phones(const struct kl_join *j)
{
	size_t phones = 0;

	for (uint32_t i = 0; j->partitions && i < j->count; i++) {
		const struct kl_join_site *x = j->partitions[i].state.sites;

		for (; j->partitions[i].owned && x; x = x->hh.next)
			phones += x->conns;
	}
	return phones;
}

static void publish_metrics(struct kl_join *j)
{
	struct kl_metrics *m = &j->metrics;

	if (!j->http)
		return;
	kl_site_counts_tally(&j->total, &m->total);
	for (uint32_t i = 0; i < KL_HIST_BUCKETS; i++)
		m->transit[i] = j->total.transit[i];
	m->phones = kl_join_phones(j);
	m->tick_ns = j->realtime_ns;
	kl_metrics_http_tell(j->http, m);
}

static bool work(struct kl_join *j, bool stopping)
{
	bool any = false;

	for (uint32_t i = 0; i < j->count; i++) {
		struct kl_join_partition *p = &j->partitions[i];

		j->now_ns = kl_monotonic_ns();
		if (stopping || (p->owned && !kl_join_is_ours(j, p->number)))
			kl_join_release(p);
		else if (p->owned)
			any |= kl_join_work(p);
		else if (j->now_ns > j->started_ns + 2 * SETTLE_NS)
			kl_join_look(p);
	}
	if (kl_join_history_is_due(j->history, kl_realtime_ns())) {
		const struct kl_join_history_now now = history_now(j);

		kl_join_history_tick(j->history, &now);
	}
	return any;
}

static bool is_free(const struct kl_join *j)
{
	for (uint32_t i = 0; i < j->count; i++) {
		if (j->partitions[i].owned)
			return false;
	}
	return true;
}

static void say_farewell(struct kl_join *j)
{
	uint64_t until_ns = kl_monotonic_ns() + FAREWELL_MS * KL_NS_PER_MS;

	kl_service_stopping();
	while (!is_free(j) && kl_monotonic_ns() < until_ns) {
		look_around(j);
		work(j, true);
		wait_some(j, 5);
	}
	if (!is_free(j))
		kl_join_say("the server does not answer: what is not committed is the next "
			    "joiner's to read");
	tell_presence(j, true);
	kl_broker_flush(j->broker, 1000);
}

static void tick(struct kl_join *j, uint64_t *ticked_ns)
{
	if (j->now_ns < *ticked_ns + j->o->join.interval_ns)
		return;
	*ticked_ns = j->now_ns;
	kl_join_print_tick(j);
	publish_metrics(j);
}

static int run(struct kl_join *j, struct kl_error *err)
{
	uint64_t ticked_ns = kl_monotonic_ns();
	char subject[KL_SUBJECT_SIZE];
	int r = wait_for_streams(j, err);

	if (r)
		return r > 0 ? 0 : r;
	snprintf(subject, sizeof(subject), "%s.v1.joiner.*", j->o->sites.prefix);
	r = kl_broker_listen(j->broker, subject, &j->listener, err);
	if (r)
		return r;
	kl_service_ready(TELL_NS);
	kl_join_say("%s, ready", j->name);
	while (!j->error && (!j->o->duration_ns || j->now_ns < j->started_ns + j->o->duration_ns)) {
		bool any;

		look_around(j);
		if (j->now_ns >= j->told_ns + TELL_NS)
			tell_presence(j, false);
		any = work(j, false);
		tick(j, &ticked_ns);
		kl_outlet_flush(j->outlet);
		if (wait_some(j, any ? 0 : WAIT_MS) && kl_stop_take(j->stop))
			break;
	}
	say_farewell(j);
	return 0;
}

static int end(struct kl_join *j)
{
	j->now_ns = kl_monotonic_ns();
	j->realtime_ns = kl_realtime_ns();
	kl_join_print_summary(j);
	kl_outlet_wait(j->outlet, READER_WAIT_MS);
	return kl_outlet_error(j->outlet);
}

int kl_join(const struct kl_options *o)
{
	struct kl_join j = { .o = o, .fd = -1 };
	struct kl_error err = {};
	int r;

	if (o->check_config)
		return KL_EXIT_OK;
	/* A reader that goes away is an error of the write, not a signal. */
	signal(SIGPIPE, SIG_IGN);
	j.started_ns = j.now_ns = kl_monotonic_ns();
	j.metrics.start_ns = kl_realtime_ns();
	r = open_all(&j, &err);
	if (!r)
		r = run(&j, &err);
	if (r)
		kl_join_say("%s", err.text);
	else
		r = end(&j);
	if (r && !err.text[0] && r != -EPIPE)
		kl_join_say("writing to %s: %s", o->output ?: "standard output", strerror(-r));
	close_all(&j);
	return !r || r == -EPIPE ? KL_EXIT_OK : KL_EXIT_FAILED;
}
