// SPDX-License-Identifier: GPL-2.0-only
/*
 * The fuzzer's target for sessions: an input is a row of records, and each begins with one byte
 * that says what it is. Events may contradict one another in every way; messages are bytes of
 * strangers. Nothing may crash, and the counts must fit together.
 */
#include <stdlib.h>
#include <string.h>

#include "core/session.h"

int LLVMFuzzerTestOneInput(const __u8 *data, size_t size);

enum {
	IDS = 5,
	SESSIONS_MAX = 3,
	EVENT_BYTES = 30,
	MESSAGE_HEAD = 4,
};

struct input {
	const __u8 *data;
	size_t left;
	__u64 now;
};

static volatile size_t sink;

static void require(bool holds)
{
	if (!holds)
		__builtin_trap();
}

static void take_story(const struct kl_story *story, void *arg)
{
	(void)arg;
	require(story->session != NULL);
	require(story->type <= KL_STORY_SEGMENT && story->where < KL_WHERES);
	require(strnlen(story->text, KL_STORY_TEXT) < KL_STORY_TEXT);
	require(story->type != KL_STORY_LOSS || story->text[0]);
	require(story->idle_known <= KL_IDLE_ALL);
	require(story->idle_known != KL_IDLE_UNKNOWN || !story->idle_ns);
}

static const __u8 *take(struct input *in, size_t len)
{
	const __u8 *at = in->data;

	if (in->left < len)
		return NULL;
	in->data += len;
	in->left -= len;
	return at;
}

/* Mostly small steps, now and then a jump; back, too. */
static void pass_time(struct input *in, __u8 how, __u8 much)
{
	static const __u64 units[] = { KL_NS_PER_US, KL_NS_PER_MS, 100 * KL_NS_PER_MS,
				       1000 * KL_NS_PER_MS };

	if (how & 4)
		in->now -= in->now > much * units[how & 3] ? much * units[how & 3] : 0;
	else
		in->now += (how & 8 ? 60 : 1) * much * units[how & 3];
}

static bool read_event(struct input *in, struct kl_event *ret)
{
	const __u8 *p = take(in, EVENT_BYTES);

	if (!p)
		return false;
	pass_time(in, p[0], p[1]);
	memset(ret, 0, sizeof(*ret));
	ret->time_ns = in->now;
	ret->conn_id = p[2] % IDS;
	ret->type = 1 + p[3] % (KL_EVENT_TYPES - 1);
	ret->direction = p[4] & 1;
	ret->own_numbers = p[4] & 2;
	ret->kind = p[5] % KL_KINDS;
	ret->tcp_flags = p[6];
	ret->note = p[7];
	ret->seq = kl_le32(p + 8);
	ret->payload_len = p[12] | (p[13] & 7) << 8;
	ret->ack = ret->seq + p[14];
	ret->acked = ret->seq + p[15];
	ret->joined_end = ret->seq + p[16];
	ret->copy = p[17];
	ret->crossed = p[18];
	ret->missed = p[19];
	ret->peer_missed = p[20];
	ret->id = p[21];
	ret->steps = p[22];
	ret->step = p[23];
	ret->peer_steps = p[24];
	ret->gap_ns = p[25] * 7 * KL_NS_PER_MS;
	ret->ends.family = p[26] & 1 ? 6 : 4;
	ret->ends.phone[0] = p[27] & 3;
	ret->ends.cucm_port = p[28] & 1 ? 5061 : 2000;
	ret->phone_mac[5] = p[29];
	ret->idle_ms = p[28] & 2 ? KL_IDLE_NONE : (__u32)p[28] << (p[27] >> 3);
	ret->side = p[26] >> 1 & 1;
	ret->ttl = p[21];
	ret->usual_ttl = p[22];
	return true;
}

/* A message that ends where its memory ends. */
static void feed_message(struct kl_sessions *s, struct input *in, struct kl_event *e)
{
	const __u8 *p = take(in, MESSAGE_HEAD);
	struct kl_message message;
	size_t len;
	__u8 *copy;

	if (!p)
		return;
	len = p[0] | (p[1] & 3) << 8;
	len = len < in->left ? len : in->left;
	copy = malloc(len ?: 1);
	require(copy != NULL);
	memcpy(copy, take(in, len), len);
	kl_read_message(copy, len, &message);
	require(message.type < KL_MESSAGE_TYPES);
	sink = strnlen(message.device, KL_DEVICE_NAME) + strnlen(message.failure, KL_FAILURE_TEXT);
	require(sink < KL_DEVICE_NAME + KL_FAILURE_TEXT);
	pass_time(in, p[2], p[3]);
	e->type = KL_EVENT_PAYLOAD;
	e->time_ns = in->now;
	e->conn_id = p[3] % IDS;
	require(kl_sessions_feed(s, e, copy, len) == 0);
	free(copy);
}

static void visit(const struct kl_session *session, void *arg)
{
	size_t *count = arg;

	require(session->answered <= session->keepalives || session->kind != KL_SCCP_KEEPALIVE);
	sink = kl_schedule_slack_us(&session->schedule) +
	       kl_answers_quantile(&session->answers, 0.99);
	++*count;
}

static void one(struct kl_sessions *s, struct input *in, struct kl_event *last)
{
	const __u8 *op = take(in, 1), *p;
	enum kl_idle_known known;
	uint64_t idle_ns;
	bool one_way;

	switch (*op % 8) {
	case 0:
		feed_message(s, in, last);
		break;
	case 1:
		p = take(in, 2);
		if (p)
			pass_time(in, p[0], p[1]);
		kl_sessions_advance(s, in->now);
		break;
	case 2:
		kl_sessions_lost_between(s, last->conn_id, last->direction, last->seq,
					 last->payload_len, 1 + (*op >> 4), *op & 8);
		require(kl_sessions_idle_of(s, last->conn_id, last->direction, last->seq,
					    last->payload_len, *op >> 4, &idle_ns,
					    &known) == (known != KL_IDLE_UNKNOWN));
		break;
	case 3:
		if (*op & 8)
			kl_sessions_time_out(s, *op >> 4, in->now);
		else if (*op & 16)
			kl_sessions_remove(s, *op >> 5);
		else
			require(!kl_sessions_meet(s, *op >> 5,
						  &(struct kl_conn){ .seen_ns = in->now }, in->now,
						  &one_way));
		break;
	default:
		if (!read_event(in, last) || last->type == KL_EVENT_PAYLOAD)
			break;
		require(kl_sessions_feed(s, last, NULL, 0) == 0);
		break;
	}
}

int LLVMFuzzerTestOneInput(const __u8 *data, size_t size)
{
	struct input in = { .data = data, .left = size, .now = 5000 * 1000 * KL_NS_PER_MS };
	struct kl_event last = { .ends.family = 4 };
	struct kl_sessions_config config = { .max = SESSIONS_MAX,
					     .deadline_ns = 1000 * KL_NS_PER_MS,
					     .two_sided = !size || data[0] & 0x80,
					     .handler = take_story };
	struct kl_sessions *s;
	size_t count = 0;

	require(!kl_sessions_new(&config, &s));
	while (in.left) {
		one(s, &in, &last);
		require(kl_sessions_count(s) <= SESSIONS_MAX);
		require(kl_sessions_phones(s) <= SESSIONS_MAX);
	}
	kl_sessions_visit(s, visit, &count);
	require(count == kl_sessions_count(s));
	kl_sessions_free(s);
	return 0;
}
