// SPDX-License-Identifier: GPL-2.0-only
#include "core/sight.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <utlist.h>

#include "core/follow.h"
#include "util/table.h"

enum {
	CONNS = 65536,
	PART_BYTES = 8192, /* of a message over several segments */
};

/* One direction, as far as messages go over its segments. */
struct stream {
	uint32_t next_seq; /* SCCP: where the next message begins */
	uint32_t end_seq;  /* behind the last segment in order */
	uint32_t last_seq; /* of that segment, and where in it a message began */
	uint32_t last_start;
	uint32_t joined_end; /* behind the last keepalive or answer */
	bool has_joined, joined_acked;
	bool in_step; /* next_seq is known */
	bool has_end;
	uint32_t part_len; /* SIP: what there is of a message that goes on */
	uint32_t part_seq; /* where it goes on */
	uint8_t *part;	   /* NULL: nothing */
};

struct conn {
	struct kl_endpoints key; /* as the ports tell the ends apart */
	struct kl_conn conn;
	struct stream stream[KL_DIRECTIONS];
	struct conn *prev, *next; /* by last segment */
	UT_hash_handle hh;
};

struct kl_sighter {
	struct kl_sighter_config config;
	struct conn *conns;
	struct conn *order; /* longest silent first */
	uint64_t evicted;
};

int kl_sighter_new(const struct kl_sighter_config *config, struct kl_sighter **ret)
{
	struct kl_sighter *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->config = *config;
	if (!s->config.max_conns)
		s->config.max_conns = CONNS;
	*ret = s;
	return 0;
}

static void drop_part(struct stream *st)
{
	free(st->part);
	st->part = NULL;
	st->part_len = 0;
}

static void drop(struct kl_sighter *s, struct conn *c)
{
	HASH_DEL(s->conns, c);
	for (int d = 0; d < KL_DIRECTIONS; d++)
		drop_part(&c->stream[d]);
	free(c);
}

void kl_sighter_free(struct kl_sighter *s)
{
	struct conn *c, *next;

	if (!s)
		return;
	HASH_ITER(hh, s->conns, c, next)
	{
		drop(s, c);
	}
	free(s);
}

uint64_t kl_sighter_evicted(const struct kl_sighter *s)
{
	return s->evicted;
}

static struct conn *get_conn(struct kl_sighter *s, const struct kl_endpoints *ends)
{
	unsigned hash = (unsigned)(kl_endpoints_hash(ends, s->config.seed) >> 13);
	struct conn *c;

	HASH_FIND_BYHASHVALUE(hh, s->conns, ends, sizeof(*ends), hash, c);
	if (c) {
		if (c->next) {
			DL_DELETE(s->order, c);
			DL_APPEND(s->order, c);
		}
		return c;
	}
	if (HASH_COUNT(s->conns) >= s->config.max_conns && s->order) {
		struct conn *oldest = s->order;

		s->evicted++;
		DL_DELETE(s->order, oldest);
		drop(s, oldest);
	}
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->key = *ends;
	c->conn.ends = *ends;
	HASH_ADD_BYHASHVALUE(hh, s->conns, key, sizeof(c->key), hash, c);
	DL_APPEND(s->order, c);
	return c;
}

/* Which way does it go? As in the kernel: the ports tell, and where both may, the SYN. */
static uint32_t orient(const struct kl_segment *segment, bool ambiguous, uint32_t direction,
		       struct kl_conn *c)
{
	if (!ambiguous)
		return direction;
	if (segment->flags & KL_SYN) {
		if (kl_orient_by_syn(segment) != direction)
			c->flags |= KL_CONN_SWAPPED;
		else
			c->flags &= ~(__u32)KL_CONN_SWAPPED;
	}
	return c->flags & KL_CONN_SWAPPED ? direction ^ 1 : direction;
}

/* ---- Hashes of what is in a segment ---- */

uint64_t kl_sight_hash(uint64_t seed, const uint8_t *bytes, size_t len)
{
	uint64_t h = kl_mix(seed, len), word;

	for (; len >= sizeof(word); bytes += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, bytes, sizeof(word));
		h = kl_mix(h, word);
	}
	word = 0;
	memcpy(&word, bytes, len);
	h = kl_mix(h, word);
	return h ? h : 1;
}

/* The value of a header, without the white space around it; NULL: there is none. */
static const char *find_header(const char *text, size_t len, const char *name, char compact,
			       size_t *ret_len)
{
	const char *end = text + len, *line = text;
	size_t n = strlen(name);

	while (line < end) {
		const char *stop = memchr(line, '\n', (size_t)(end - line)), *at = NULL;

		stop = stop ? stop : end;
		if ((size_t)(stop - line) > n && !strncasecmp(line, name, n))
			at = line + n;
		else if (stop - line > 1 && compact && (line[0] | 0x20) == compact)
			at = line + 1;
		while (at && at < stop && (*at == ' ' || *at == '\t'))
			at++;
		if (at && at < stop && *at == ':') {
			at++;
			while (at < stop && (*at == ' ' || *at == '\t'))
				at++;
			while (stop > at && (stop[-1] == '\r' || stop[-1] == ' '))
				stop--;
			*ret_len = (size_t)(stop - at);
			return at;
		}
		line = stop + 1;
	}
	return NULL;
}

/* Call-ID and CSeq name a SIP message wherever it is seen. 0: it has none. */
static uint64_t hash_call(uint64_t seed, const uint8_t *payload, size_t have)
{
	size_t id_len, cseq_len;
	const char *id = find_header((const char *)payload, have, "call-id", 'i', &id_len);
	const char *cseq = find_header((const char *)payload, have, "cseq", 0, &cseq_len);
	uint64_t h;

	if (!id || !cseq || !id_len || !cseq_len)
		return 0;
	h = kl_sight_hash(seed, (const uint8_t *)id, id_len);
	return kl_sight_hash(h, (const uint8_t *)cseq, cseq_len);
}

/* ---- Messages over several segments ---- */

/* The boundaries of the messages in a segment that begins one at `start`. */
static void follow_messages(struct stream *st, const struct kl_segment *s, const uint8_t *payload,
			    uint32_t have, uint32_t start)
{
	uint32_t off = start;

	st->in_step = false;
	while (off + KL_SCCP_HEADER <= have) {
		if (!kl_sccp_header_plausible(payload + off))
			return;
		off += kl_le32(payload + off) + 8;
	}
	/* A header that is itself split: where its message ends is not known. */
	if (off < s->payload_len)
		return;
	st->in_step = true;
	st->next_seq = s->seq + off;
}

/*
 * SCCP: where in the payload does a message begin? Messages say how long they are, so once in step
 * the next one's place is known. Returns payload_len: nowhere.
 */
static uint32_t sccp_start(struct stream *st, const struct kl_segment *s, const uint8_t *payload,
			   uint32_t have)
{
	uint32_t start = 0;

	if (st->has_end && kl_seq_before(s->seq, st->end_seq))
		return s->seq == st->last_seq ? st->last_start : 0; /* once more */
	if (st->in_step && st->has_end && s->seq == st->end_seq)
		start = st->next_seq - s->seq;
	if (start > s->payload_len)
		start = s->payload_len;
	if (start < s->payload_len)
		follow_messages(st, s, payload, have, start);
	st->has_end = true;
	st->end_seq = s->seq + s->payload_len;
	st->last_seq = s->seq;
	st->last_start = start;
	return start;
}

static bool has_all_headers(const uint8_t *text, size_t len)
{
	return memmem(text, len, "\r\n\r\n", 4) || memmem(text, len, "\n\n", 2);
}

/* SIP: a message whose headers go on in the next segment is read when they are complete. */
static void keep_part(struct stream *st, const struct kl_segment *s, const uint8_t *payload,
		      uint32_t have)
{
	if (have < s->payload_len || has_all_headers(payload, have))
		return;
	if (!st->part)
		st->part = malloc(PART_BYTES);
	if (!st->part || have > PART_BYTES)
		return;
	memcpy(st->part, payload, have);
	st->part_len = have;
	st->part_seq = s->seq + s->payload_len;
}

/* Returns whether a message is complete now: it is in st->part, st->part_len. */
static bool add_part(struct stream *st, const struct kl_segment *s, const uint8_t *payload,
		     uint32_t have)
{
	if (!st->part || !st->part_len || s->seq != st->part_seq)
		return false;
	if (have < s->payload_len || st->part_len + have > PART_BYTES) {
		st->part_len = 0;
		return false;
	}
	memcpy(st->part + st->part_len, payload, have);
	st->part_len += have;
	st->part_seq += s->payload_len;
	return has_all_headers(st->part, st->part_len);
}

static void read_sip(struct conn *c, const struct kl_sight_input *in, struct kl_sight *ret)
{
	struct stream *st = &c->stream[ret->sighted.direction];

	if (add_part(st, in->segment, in->payload, in->have)) {
		kl_read_message(st->part, st->part_len, &ret->message);
		if (ret->message.type != KL_MESSAGE_OTHER)
			ret->tells = KL_TELLS_ALWAYS;
		drop_part(st);
	} else if (ret->tells) {
		kl_read_message(in->payload, in->have, &ret->message);
		keep_part(st, in->segment, in->payload, in->have);
	} else if (st->part && kl_seq_before(st->part_seq, in->segment->seq)) {
		drop_part(st); /* something was not seen */
	}
}

static void read_payload(struct kl_sighter *s, struct conn *c, const struct kl_sight_input *in,
			 struct kl_sight *ret)
{
	const struct kl_segment *segment = in->segment;
	struct kl_sighted *out = &ret->sighted;
	uint32_t start = 0;

	if (ret->service == KL_SCCP)
		start = sccp_start(&c->stream[out->direction], segment, in->payload, in->have);
	if (start >= in->have && start) {
		out->kind = KL_SCCP_OTHER; /* the middle of a message, or what is not there */
	} else {
		out->kind = (uint8_t)kl_classify_payload(ret->service, in->payload + start,
							 in->have - start,
							 segment->payload_len - start, &ret->tells);
	}
	ret->unclassified = in->have < segment->payload_len && out->kind == KL_OTHER;
	if (in->have == segment->payload_len)
		out->content = kl_sight_hash(s->config.seed, in->payload, in->have);
	if (ret->service == KL_SIP) {
		out->call = hash_call(s->config.seed, in->payload, in->have);
		read_sip(c, in, ret);
	} else if (ret->tells) {
		kl_read_message(in->payload + start, in->have - start, &ret->message);
	}
	if (ret->message.device[0])
		out->device = kl_sight_hash(s->config.seed, (const uint8_t *)ret->message.device,
					    strlen(ret->message.device));
}

static void see_acknowledgement(struct conn *c, struct kl_sight *ret)
{
	const struct kl_sighted *s = &ret->sighted;
	struct stream *st = &c->stream[s->direction], *peer = &c->stream[s->direction ^ 1];

	if (kl_kind_is_joined(s->kind) && s->payload_len > 1) {
		st->joined_end = s->seq + s->payload_len;
		st->has_joined = true;
		st->joined_acked = false;
	}
	if ((s->flags & (KL_ACK | KL_RST)) != KL_ACK || !peer->has_joined ||
	    kl_seq_before(s->ack, peer->joined_end))
		return;
	ret->acknowledges = !peer->joined_acked || s->ack == peer->joined_end;
	peer->joined_acked = true;
}

bool kl_sight_matters(const struct kl_sight *s)
{
	return kl_kind_is_joined(s->sighted.kind) || s->acknowledges || s->sighted.fragment ||
	       (s->sighted.flags & (KL_SYN | KL_FIN | KL_RST));
}

int kl_sighter_see(struct kl_sighter *s, const struct kl_sight_input *in, struct kl_sight *ret)
{
	const struct kl_segment *segment = in->segment;
	struct kl_sighted *out = &ret->sighted;
	struct kl_endpoints ends;
	struct kl_sighting at;
	bool ambiguous;
	uint32_t direction = kl_orient(s->config.ports, segment, &ambiguous);
	struct conn *c;

	*ret = (struct kl_sight){};
	kl_endpoints_of(segment, direction, &ends);
	c = get_conn(s, &ends);
	if (!c)
		return -ENOMEM;
	direction = orient(segment, ambiguous, direction, &c->conn);
	kl_conn_ends(&c->conn, &out->ends);
	ret->service = kl_port_service(s->config.ports, out->ends.cucm_port);
	out->time_ns = in->time_ns;
	out->seq = segment->seq;
	out->ack = segment->ack;
	out->payload_len = segment->payload_len;
	out->stamp = kl_stamp(segment);
	out->vlan = segment->vlan;
	out->side = (uint8_t)s->config.side;
	out->direction = (uint8_t)direction;
	out->flags = segment->flags;
	out->asks_again = segment->asks_again;
	out->fragment = in->is_fragment;
	if (in->is_fragment)
		return 0;
	at = (struct kl_sighting){
		.side = s->config.side, .direction = direction, .now = in->time_ns, .epoch = 1
	};
	if (segment->flags & KL_SYN) {
		c->stream[direction] = (struct stream){ .part = c->stream[direction].part };
		kl_conn_see_syn(&c->conn, &at, segment);
	}
	if (segment->payload_len <= 1)
		out->kind = (uint8_t)kl_flow_bare_kind(&c->conn, &at, segment);
	kl_flow_see(&c->conn, &at, segment);
	if (segment->payload_len > 1)
		read_payload(s, c, in, ret);
	see_acknowledgement(c, ret);
	return 0;
}
