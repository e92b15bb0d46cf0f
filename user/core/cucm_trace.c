// SPDX-License-Identifier: GPL-2.0-only
#include "core/cucm_trace.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cucm_trace_text.h"
#include "util/table.h"

#define DAY_NS (86400ULL * 1000 * KL_NS_PER_MS)
/* The same message told twice: by several layers of the server, or in two files. */
#define TWICE_NS (2000 * KL_NS_PER_MS)

enum {
	MESSAGE_BYTES = 4096,
	RECENT = 32,
};

/* Peers are found by what their lines tell: SIP by address and port, SCCP by the handle. */
struct peer_key {
	struct {
		uint32_t address[4];
		uint32_t port;
		uint32_t family; /* 0: by the handle */
	} ends;
	char handle[sizeof(((struct kl_trace_peer *)0)->handle)];
};

struct known_peer {
	struct peer_key key;
	uint32_t index;
	UT_hash_handle hh;
};

struct recent {
	uint64_t hash;
	uint64_t time_ns;
};

struct kl_trace_parser {
	struct kl_trace_lines *into;
	struct known_peer *known;
	/* time */
	uint64_t day_ns; /* the midnight before */
	uint64_t tod_ns; /* time of day of the line before */
	uint64_t now_ns;
	/* the file */
	uint64_t number;   /* of the line under way */
	size_t first_line; /* of this file in the list */
	struct kl_trace_span span;
	uint64_t said_at_ns; /* of the line whose date tells the day of all */
	uint32_t said_s;
	bool said_by_server;
	bool dated;
	bool began;	 /* something of the line under way has come */
	bool in_message; /* a SIP message is under way */
	struct kl_trace_line pending;
	struct recent recent[RECENT];
	size_t recent_at;
	size_t len;
	size_t message_len;
	char line[KL_TRACE_LINE_BYTES + 1];
	char message[MESSAGE_BYTES];
};

_Static_assert(sizeof(struct peer_key) == 44, "no padding");

/* ---- The lists ---- */

/* What finds no room is counted only. */
static int add(void *list, size_t max, const void *item, size_t size)
{
	int r = kl_evidence_list_add(list, max, item, size);

	return r < 0 ? r : 0;
}

void kl_trace_lines_done(struct kl_trace_lines *lines)
{
	free(lines->line.item);
	free(lines->peer.item);
	free(lines->span.item);
	*lines = (struct kl_trace_lines){};
}

int kl_trace_parser_new(struct kl_trace_lines *into, struct kl_trace_parser **ret)
{
	struct kl_trace_parser *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->into = into;
	p->day_ns = DAY_NS; /* a line may be of the day before the first one */
	*ret = p;
	return 0;
}

void kl_trace_parser_free(struct kl_trace_parser *p)
{
	struct known_peer *k, *next;

	if (!p)
		return;
	HASH_ITER(hh, p->known, k, next)
	{
		HASH_DEL(p->known, k);
		free(k);
	}
	free(p);
}

static void complain(struct kl_trace_parser *p, const char *what)
{
	if (!p->into->malformed++)
		snprintf(p->into->complaint, sizeof(p->into->complaint), "line %llu: %s",
			 (unsigned long long)p->number, what);
}

/* ---- Peers ---- */

/* Does what a line tells speak of another connection than what is known under its handle? */
static bool is_another(const struct kl_trace_peer *known, const struct kl_trace_peer *told)
{
	return (told->address.family && known->address.family &&
		!kl_address_equal(&told->address, &known->address)) ||
	       (told->port && known->port && told->port != known->port) ||
	       (told->device[0] && known->device[0] && strcmp(told->device, known->device) != 0);
}

static void learn(struct kl_trace_peer *known, const struct kl_trace_peer *told)
{
	if (told->address.family)
		known->address = told->address;
	if (told->port)
		known->port = told->port;
	if (told->device[0])
		memcpy(known->device, told->device, sizeof(known->device));
}

static int find_peer(struct kl_trace_parser *p, const struct kl_trace_peer *told,
		     uint32_t *ret_index)
{
	struct peer_key key;
	struct known_peer *k;
	int r;

	*ret_index = KL_TRACE_NO_PEER;
	if (!told->handle[0] && !told->address.family)
		return 0;
	memset(&key, 0, sizeof(key));
	if (told->handle[0]) {
		memcpy(key.handle, told->handle, sizeof(key.handle));
	} else {
		memcpy(key.ends.address, told->address.word, sizeof(key.ends.address));
		key.ends.port = told->port;
		key.ends.family = told->address.family;
	}
	HASH_FIND(hh, p->known, &key, sizeof(key), k);
	if (k && !is_another(&p->into->peer.item[k->index], told)) {
		learn(&p->into->peer.item[k->index], told);
		*ret_index = k->index;
		return 0;
	}
	if (p->into->peer.count >= KL_TRACE_PEERS) {
		p->into->peer.unlisted++;
		return 0;
	}
	r = add(&p->into->peer, KL_TRACE_PEERS, told, sizeof(*told));
	if (r)
		return r;
	if (!k) {
		k = calloc(1, sizeof(*k));
		if (!k)
			return -ENOMEM;
		k->key = key;
		HASH_ADD(hh, p->known, key, sizeof(k->key), k);
	}
	k->index = *ret_index = (uint32_t)(p->into->peer.count - 1);
	return 0;
}

/* ---- SIP ---- */

static bool was_told_already(struct kl_trace_parser *p, const struct kl_trace_sip *sip)
{
	for (unsigned i = 0; i < RECENT && sip->identity; i++) {
		const struct recent *r = &p->recent[i];

		if (r->hash == sip->identity && p->pending.time_ns >= r->time_ns &&
		    p->pending.time_ns - r->time_ns <= TWICE_NS)
			return true;
	}
	p->recent[p->recent_at++ % RECENT] = (struct recent){ .hash = sip->identity,
							      .time_ns = p->pending.time_ns };
	return false;
}

static int end_message(struct kl_trace_parser *p)
{
	struct kl_trace_line line = p->pending;
	struct kl_trace_sip sip;

	if (!p->in_message)
		return 0;
	p->in_message = false;
	if (!kl_trace_read_sip(p->message, p->message_len, &sip)) {
		complain(p, "a SIP message was to follow, and does not");
		return 0;
	}
	if (sip.device[0] && line.peer != KL_TRACE_NO_PEER) {
		struct kl_trace_peer told = p->into->peer.item[line.peer];
		int r;

		memcpy(told.device, sip.device, sizeof(told.device));
		r = find_peer(p, &told, &line.peer);
		if (r)
			return r;
	}
	if (sip.date_s && (!p->said_s || (!p->said_by_server && line.direction == KL_TO_PHONE))) {
		p->said_s = sip.date_s;
		p->said_at_ns = line.time_ns;
		p->said_by_server = line.direction == KL_TO_PHONE;
	}
	if (sip.kind == KL_OTHER || was_told_already(p, &sip))
		return 0;
	line.kind = sip.kind;
	line.said_s = sip.date_s;
	return add(&p->into->line, KL_TRACE_LINES, &line, sizeof(line));
}

static void take_message_line(struct kl_trace_parser *p)
{
	const char *text = p->line;
	size_t len = p->len;

	/* "[101339,NET]" stands before the message. */
	if (!p->message_len && text[0] == '[' && strstr(text, ",NET]")) {
		text = strstr(text, ",NET]") + 5;
		text += strspn(text, " ");
		len = strlen(text);
		if (!len)
			return;
	}
	if (len + 2 > sizeof(p->message) - p->message_len)
		return;
	memcpy(p->message + p->message_len, text, len);
	memcpy(p->message + p->message_len + len, "\r\n", 2);
	p->message_len += len + 2;
}

/* ---- Lines ---- */

/* Times of day follow one another; what goes far back is the next day, a little back is disorder. */
static void set_time(struct kl_trace_parser *p, const struct kl_trace_stamp *stamp)
{
	if (stamp->day_s) {
		p->day_ns = stamp->day_s * 1000 * KL_NS_PER_MS;
		p->dated = true;
	} else if (p->now_ns && stamp->tod_ns + DAY_NS / 2 < p->tod_ns) {
		p->day_ns += DAY_NS;
	} else if (p->now_ns && stamp->tod_ns > p->tod_ns + DAY_NS / 2 && p->day_ns >= DAY_NS) {
		p->day_ns -= DAY_NS;
	}
	p->tod_ns = stamp->tod_ns;
	p->now_ns = p->day_ns + stamp->tod_ns;
	if (!p->span.first_ns || p->now_ns < p->span.first_ns)
		p->span.first_ns = p->now_ns;
	if (p->now_ns > p->span.last_ns)
		p->span.last_ns = p->now_ns;
}

static int take_trace_line(struct kl_trace_parser *p, const struct kl_trace_stamp *stamp)
{
	struct kl_trace_line line = { .peer = KL_TRACE_NO_PEER };
	struct kl_trace_saying saying;
	int r;

	set_time(p, stamp);
	switch (kl_trace_read_line(stamp->text, &saying)) {
	case KL_TRACE_NOTHING:
		return 0;
	case KL_TRACE_ODD:
		complain(p, "a SIP message of nobody");
		return 0;
	default:
		break;
	}
	r = find_peer(p, &saying.peer, &line.peer);
	if (r)
		return r;
	line.time_ns = p->now_ns;
	line.direction = saying.direction;
	line.kind = saying.kind;
	if (saying.sip_follows) {
		p->in_message = true;
		p->message_len = 0;
		p->pending = line;
		return 0;
	}
	if (line.kind == KL_OTHER)
		return 0;
	return add(&p->into->line, KL_TRACE_LINES, &line, sizeof(line));
}

static bool is_text(const char *line, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)line[i];

		if ((c < ' ' && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

static int take_line(struct kl_trace_parser *p)
{
	struct kl_trace_stamp stamp;
	int r;

	p->number++;
	p->into->read++;
	if (p->len && p->line[p->len - 1] == '\r')
		p->len--;
	p->line[p->len] = '\0';
	if (!is_text(p->line, p->len)) {
		complain(p, "not text");
		return 0;
	}
	switch (kl_trace_read_stamp(p->line, &stamp)) {
	case KL_TRACE_NOTHING:
		break;
	case KL_TRACE_ODD:
		complain(p, "no possible time");
		return 0;
	default:
		r = end_message(p);
		return r ?: take_trace_line(p, &stamp);
	}
	if (!p->in_message)
		return 0;
	if (!p->len && p->message_len)
		return end_message(p);
	take_message_line(p);
	return 0;
}

int kl_trace_parser_feed(struct kl_trace_parser *p, const char *data, size_t len)
{
	while (len) {
		const char *end = memchr(data, '\n', len);
		size_t all = end ? (size_t)(end - data) : len;
		size_t room = KL_TRACE_LINE_BYTES - p->len;
		size_t n = all < room ? all : room;
		int r = 0;

		memcpy(p->line + p->len, data, n);
		p->len += n;
		p->began = true;
		if (end) {
			r = take_line(p);
			p->len = 0;
			p->began = false;
			all++;
		}
		if (r)
			return r;
		data += all;
		len -= all;
	}
	return 0;
}

/*
 * Which day was it? A date that a message carries tells: it is in GMT, so local time is less than
 * half a day from it (of the few zones beyond that, it is the next day throughout).
 */
static void date_file(struct kl_trace_parser *p)
{
	uint64_t said_ns = p->said_s * 1000ULL * KL_NS_PER_MS, shift_ns;

	if (!p->dated && p->said_s) {
		/* from its midnight, so many days */
		shift_ns = (said_ns + DAY_NS / 2 - p->said_at_ns % DAY_NS) / DAY_NS * DAY_NS -
			   p->said_at_ns / DAY_NS * DAY_NS;
		for (size_t i = p->first_line; i < p->into->line.count; i++)
			p->into->line.item[i].time_ns += shift_ns;
		p->span.first_ns += shift_ns;
		p->span.last_ns += shift_ns;
		p->day_ns += shift_ns;
		p->now_ns += shift_ns;
		for (unsigned i = 0; i < RECENT; i++)
			p->recent[i].time_ns += shift_ns;
		p->dated = true;
	}
	p->into->dated |= p->dated;
}

int kl_trace_parser_end_file(struct kl_trace_parser *p)
{
	int r = p->began ? take_line(p) : 0;

	if (!r)
		r = end_message(p);
	if (r)
		return r;
	date_file(p);
	if (p->span.first_ns) {
		r = add(&p->into->span, KL_TRACE_LINES, &p->span, sizeof(p->span));
		if (r)
			return r;
	}
	p->len = 0;
	p->began = false;
	p->number = 0;
	p->first_line = p->into->line.count;
	p->span = (struct kl_trace_span){};
	p->dated = false;
	p->said_s = 0;
	p->said_by_server = false;
	return 0;
}
