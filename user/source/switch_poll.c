// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each switch has a socket, a session of the library, and at most one request on its way. A round
 * reads column after column (core/switch_rows.h); one that does not come to its end counts for
 * nothing, and the next one is compared with the last that did.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include "source/switch_poll_internal.h"
#include "util/cleanup.h"
#include "util/socket_address.h"

#define SECOND_NS 1000000000ULL
#define SELDOM_NS (300 * SECOND_NS)
#define LOOK_NS (SECOND_NS / 4)

enum {
	DEFAULT_PORT = 161,
	DATAGRAMS_AT_A_TIME = 16,
	DISCOVERY_TRIES = 3,
};

/* ---- a round ---- */

static void ask_from_start(struct kl_switch_state *s)
{
	const uint32_t *name = kl_switch_column_oid(s->column, &s->last_len);

	memcpy(s->last, name, s->last_len * sizeof(*name));
	kl_switch_rows_clear(&s->rows, s->column);
	if (s->column == KL_COLUMN_FDB_BY_VLAN || s->column == KL_COLUMN_FDB)
		s->rows.table.begun_ns = s->poll->now_ns;
	kl_switch_ask(s);
}

static void begin_reading(struct kl_switch_state *s)
{
	const struct kl_switch_poll *p = s->poll;

	s->phase = READING;
	s->requests = 0;
	s->failed = NULL;
	s->seldom = p->now_ns >= s->seldom_due_ns;
	s->column = s->seldom ? 0 : KL_COLUMN_FDB_BY_VLAN;
	if (!s->session && !kl_switch_begin_session(s))
		s->failed = "the SNMP library has no session for it";
	else
		ask_from_start(s);
}

static void begin_round(struct kl_switch_state *s)
{
	const struct kl_switch_poll *p = s->poll;

	s->tries = 0;
	s->failed = NULL;
	if (p->users.count && !s->engine_len) {
		const struct kl_snmp_user *u = &p->users.user[0];

		kl_switch_end_session(s);
		if (!u->engine_len) {
			kl_switch_ask_for_engine(s);
			return;
		}
		memcpy(s->engine, u->engine, u->engine_len);
		s->engine_len = u->engine_len;
	}
	begin_reading(s);
}

static void changed(enum kl_mac_happening happening, const struct kl_switch_row *before,
		    const struct kl_switch_row *after, void *arg)
{
	const struct kl_switch_state *s = arg;
	const struct kl_switch_row *row = after ?: before;
	struct kl_mac_evidence m = {
		.time_ns = s->rows.table.ended_ns,
		.earliest_ns = s->before.begun_ns,
		.happening = (uint8_t)happening,
		.source = KL_MAC_FROM_SNMP,
		.has_mac = true,
		.vlan = s->vlan ? (uint16_t)s->vlan : kl_switch_vlan(&s->rows, row->fdb),
	};

	memcpy(m.mac, row->mac, 6);
	kl_switch_port_name(&s->rows, row->port, m.port, sizeof(m.port));
	if (before && after)
		kl_switch_port_name(&s->rows, before->port, m.from_port, sizeof(m.from_port));
	snprintf(m.told_by, sizeof(m.told_by), "%s", s->name);
	s->poll->mac(&m, s->poll->arg);
}

static void compare_tables(struct kl_switch_state *s)
{
	s->rows.table.ended_ns = s->poll->now_ns;
	kl_switch_table_sort(&s->rows.table);
	if (s->has_before)
		kl_switch_table_compare(&s->before, &s->rows.table, changed, s);
	kl_switch_table_done(&s->before);
	s->before = s->rows.table;
	s->rows.table = (struct kl_switch_table){ 0 };
	s->has_before = true;
}

static void sum_ageing(const struct kl_ageing_evidence *a, void *arg)
{
	uint64_t *sum = arg;

	*sum = (*sum ^ a->ageing_ms ^ a->absolute) * 0x100000001b3;
	for (const char *c = a->port; *c; c++)
		*sum = (*sum ^ (unsigned char)*c) * 0x100000001b3;
}

static void tell_ageing(const struct kl_ageing_evidence *a, void *arg)
{
	const struct kl_switch_state *s = arg;
	struct kl_ageing_evidence copy = *a;

	copy.time_ns = s->poll->now_ns;
	snprintf(copy.told_by, sizeof(copy.told_by), "%s", s->name);
	s->poll->ageing(&copy, s->poll->arg);
}

static void seldom_read(struct kl_switch_state *s)
{
	uint64_t sum = 1;

	s->seldom_due_ns = s->poll->now_ns + SELDOM_NS;
	kl_switch_rows_ageing(&s->rows, sum_ageing, &sum);
	if (sum != s->ageing_told)
		kl_switch_rows_ageing(&s->rows, tell_ageing, s);
	s->ageing_told = sum;
}

/* The column is read. Goes to the next, or ends the round. */
static void next_column(struct kl_switch_state *s)
{
	bool rows = s->rows.table.count;

	if (s->column == KL_COLUMN_FDB_BY_VLAN && (rows || s->by_vlan)) {
		s->by_vlan = true;
	} else if (s->column != KL_COLUMN_FDB) {
		s->column++;
		if (s->column == KL_COLUMN_FDB_BY_VLAN)
			seldom_read(s);
		ask_from_start(s);
		return;
	}
	compare_tables(s);
	s->phase = IDLE;
}

static void end_failed(struct kl_switch_state *s)
{
	struct kl_input_stats *stats = &s->poll->stats;

	kl_switch_complain(s, s->malformed ? &stats->malformed : &stats->refused, s->failed);
	s->phase = IDLE;
	/* So that nothing late is taken for an answer to the next round. */
	kl_switch_end_session(s);
	s->failed = NULL;
	s->malformed = s->waiting = false;
}

static void look(struct kl_switch_state *s)
{
	struct kl_switch_poll *p = s->poll;
	uint64_t begun_ns = p->now_ns;

	if (s->phase == IDLE && p->now_ns >= s->due_ns) {
		begin_round(s);
		if (s->phase == READING)
			s->due_ns = begun_ns + p->interval_ns;
	} else if (s->phase == DISCOVERING && s->engine_len) {
		s->due_ns = begun_ns + p->interval_ns;
		begin_reading(s);
	} else if (s->phase == DISCOVERING && p->now_ns >= s->due_ns) {
		if (s->tries < DISCOVERY_TRIES) {
			kl_switch_ask_for_engine(s);
		} else {
			s->failed = "no answer to SNMP (address, access list?)";
			s->due_ns = begun_ns + p->interval_ns;
		}
	}
	while (s->phase == READING && !s->waiting && !s->failed) {
		if (s->column_done)
			next_column(s);
		else
			kl_switch_ask(s);
	}
	if (s->failed)
		end_failed(s);
}

static void read_socket(struct kl_switch_state *s)
{
	char unused;

	for (int i = 0; i < DATAGRAMS_AT_A_TIME; i++) {
		/* The library would take an empty socket for an error of the session. */
		if (recv(s->fd, &unused, 1, MSG_PEEK | MSG_DONTWAIT) < 0) {
			if (errno == EAGAIN || errno == EWOULDBLOCK)
				return;
			continue; /* an ICMP error: the peek has taken it */
		}
		if (s->phase == READING && s->waiting) {
			int errors = (int)snmp_get_statistic(STAT_SNMPINASNPARSEERRS);

			kl_snmp_session_read(s->session, s->fd);
			if ((int)snmp_get_statistic(STAT_SNMPINASNPARSEERRS) != errors)
				kl_switch_complain(s, &s->poll->stats.malformed, "malformed SNMP");
			look(s);
		} else if (s->phase == DISCOVERING) {
			kl_switch_learn_engine(s);
			look(s);
		} else {
			(void)recv(s->fd, &unused, 1, MSG_DONTWAIT); /* late */
		}
	}
}

static void set_timer(const struct kl_switch_poll *p)
{
	uint64_t next = UINT64_MAX;
	struct itimerspec when = { 0 };

	for (size_t i = 0; i < p->count; i++) {
		const struct kl_switch_state *s = &p->sw[i];
		uint64_t at = s->phase == READING ? p->now_ns + LOOK_NS : s->due_ns;

		if (at < next)
			next = at;
	}
	if (next <= p->now_ns)
		next = p->now_ns + 1;
	when.it_value.tv_sec = (time_t)(next / SECOND_NS);
	when.it_value.tv_nsec = (long)(next % SECOND_NS);
	timerfd_settime(p->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

int kl_switch_poll_drain(struct kl_switch_poll *p, uint64_t now_ns, kl_mac_handler mac,
			 kl_ageing_handler ageing, void *arg)
{
	p->now_ns = now_ns;
	p->mac = mac;
	p->ageing = ageing;
	p->arg = arg;
	for (size_t i = 0; i < p->count; i++) {
		struct kl_switch_state *s = &p->sw[i];

		read_socket(s);
		/* Sends again, and calls back for what was never answered. */
		if (s->waiting && s->session)
			snmp_sess_timeout(s->session);
		look(s);
	}
	set_timer(p);
	return 0;
}

int kl_switch_poll_fd(const struct kl_switch_poll *p)
{
	return p->epoll_fd;
}

void kl_switch_poll_stats(const struct kl_switch_poll *p, struct kl_input_stats *ret)
{
	*ret = p->stats;
}

/* ---- opening ---- */

/* One of the list. */
struct named_switch {
	struct sockaddr_storage address;
	socklen_t length;
	unsigned vlan; /* 0: none is said */
};

/* ADDRESS[:PORT][@VLAN]; the VLAN is cut off. */
static int read_switch(char *word, struct named_switch *ret, struct kl_error *err)
{
	char *at = strchr(word, '@'), *end;

	*ret = (struct named_switch){ 0 };
	if (at) {
		unsigned long vlan = strtoul(at + 1, &end, 10);

		if (at[1] < '0' || at[1] > '9' || *end || !vlan || vlan > 4094)
			return kl_fail(err, -EINVAL, "%s: no such VLAN", at + 1);
		ret->vlan = (unsigned)vlan;
		*at = '\0';
	}
	if (kl_socket_address_parse(word, DEFAULT_PORT, &ret->address, &ret->length))
		return kl_fail(err, -EINVAL, "%s: not ADDRESS[:PORT][@VLAN]", word);
	return 0;
}

static int add_switch(struct kl_switch_poll *p, const char *word, const struct named_switch *named,
		      struct kl_error *err)
{
	struct kl_switch_state *s = &p->sw[p->count];
	struct epoll_event event = { .events = EPOLLIN };

	*s = (struct kl_switch_state){
		.poll = p, .fd = -1, .rows.ageing_s = -1, .vlan = named->vlan
	};
	kl_socket_address_text(&named->address, s->name, sizeof(s->name));
	s->fd = socket(named->address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd < 0)
		return kl_fail(err, -errno, "%s: %s", word, strerror(errno));
	p->count++;
	/* Connected: others cannot answer in its place. */
	if (connect(s->fd, (const struct sockaddr *)&named->address, named->length) ||
	    epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, s->fd, &event))
		return kl_fail(err, -errno, "%s: %s", word, strerror(errno));
	return 0;
}

/* p: NULL: they are read only. */
static int read_switches(struct kl_switch_poll *p, const char *list, struct kl_error *err)
{
	_cleanup_free_ char *copy = strdup(list);
	struct named_switch named;
	char *rest = NULL;
	size_t count = 0;
	int r = 0;

	if (!copy)
		return kl_fail(err, -ENOMEM, "%s", strerror(ENOMEM));
	for (char *word = strtok_r(copy, ",", &rest); word && !r;
	     word = strtok_r(NULL, ",", &rest)) {
		if (count++ == KL_SWITCHES_MAX)
			return kl_fail(err, -E2BIG, "more than %d switches", KL_SWITCHES_MAX);
		r = read_switch(word, &named, err);
		if (!r && p)
			r = add_switch(p, word, &named, err);
	}
	if (!r && !count)
		r = kl_fail(err, -EINVAL, "no switch is given");
	return r;
}

int kl_switch_poll_check(const char *switches, struct kl_error *err)
{
	return read_switches(NULL, switches, err);
}

static int open_all(struct kl_switch_poll *p, const struct kl_switch_poll_config *config,
		    struct kl_error *err)
{
	struct epoll_event event = { .events = EPOLLIN };
	int r;

	p->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	p->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (p->epoll_fd < 0 || p->timer_fd < 0 ||
	    epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, p->timer_fd, &event))
		return kl_fail(err, -errno, "%s", strerror(errno));
	kl_snmp_library();
	if (config->auth_file) {
		r = kl_snmp_users_read(config->auth_file, &p->users, err);
		if (r)
			return r;
	}
	if (config->community || p->users.community) {
		p->community = strdup(config->community ?: p->users.community);
		if (!p->community)
			return kl_fail(err, -ENOMEM, "%s", strerror(ENOMEM));
	}
	r = read_switches(p, config->switches, err);
	if (!r)
		set_timer(p); /* at once */
	return r;
}

int kl_switch_poll_open(const struct kl_switch_poll_config *config, struct kl_switch_poll **ret,
			struct kl_error *err)
{
	struct kl_switch_poll *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return kl_fail(err, -ENOMEM, "%s", strerror(ENOMEM));
	p->epoll_fd = p->timer_fd = -1;
	p->interval_ns = config->interval_ns ?: SECOND_NS;
	r = open_all(p, config, err);
	if (r) {
		kl_switch_poll_close(p);
		return r;
	}
	*ret = p;
	return 0;
}

void kl_switch_poll_close(struct kl_switch_poll *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->count; i++) {
		struct kl_switch_state *s = &p->sw[i];

		kl_switch_end_session(s);
		close(s->fd);
		kl_switch_rows_done(&s->rows);
		kl_switch_table_done(&s->before);
	}
	if (p->epoll_fd >= 0)
		close(p->epoll_fd);
	if (p->timer_fd >= 0)
		close(p->timer_fd);
	kl_snmp_users_done(&p->users);
	if (p->community)
		explicit_bzero(p->community, strlen(p->community));
	free(p->community);
	free(p);
}
