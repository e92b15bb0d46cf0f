// SPDX-License-Identifier: GPL-2.0-only
/*
 * The fuzzer's target for traces of call servers: an input is how the bytes come in, a few segments
 * that were seen, and the trace's files behind one another, with a byte 0x1e between them. Nothing
 * may crash, and the counts must fit together.
 */
#include <stdlib.h>
#include <string.h>

#include "core/trace_match.h"

int LLVMFuzzerTestOneInput(const __u8 *data, size_t size);

enum {
	SESSIONS = 4,
	SEGMENTS_MAX = 60,
	SEGMENT_BYTES = 4,
	BETWEEN_FILES = 0x1e,
};

/* 2 July 2015, noon */
#define START_NS (1435838400ULL * 1000 * KL_NS_PER_MS)

static void require(bool holds)
{
	if (!holds)
		__builtin_trap();
}

static void parse(const char *text, size_t len, size_t step, struct kl_trace_lines *ret)
{
	struct kl_trace_parser *p;

	require(!kl_trace_parser_new(ret, &p));
	while (len) {
		const char *end = memchr(text, BETWEEN_FILES, len);
		size_t n = end ? (size_t)(end - text) : len;

		n = n < step ? n : step;
		if (n) {
			char *copy = malloc(n); /* ends where its memory ends */

			require(copy != NULL);
			memcpy(copy, text, n);
			require(!kl_trace_parser_feed(p, copy, n));
			free(copy);
		} else {
			require(!kl_trace_parser_end_file(p));
			n = 1;
		}
		text += n;
		len -= n;
	}
	require(!kl_trace_parser_end_file(p));
	kl_trace_parser_free(p);
}

/* Phones at 10.0.0.1 and so on, ports 50000 and so on. */
static void open_sessions(struct kl_sessions *s)
{
	for (__u32 i = 0; i < SESSIONS; i++) {
		struct kl_event e = { .type = KL_EVENT_OPEN,
				      .time_ns = KL_NS_PER_MS,
				      .conn_id = 1 + i,
				      .ends = { .family = 4,
						.phone = { __builtin_bswap32(0x0a000001 + i) },
						.cucm = { 1 },
						.phone_port = (__u16)(50000 + i),
						.cucm_port = i & 1 ? 5060 : 2000 } };
		struct kl_message m = { .type = KL_MESSAGE_REGISTER, .device = "SEP000000000001" };

		m.device[14] = (char)('1' + i);
		require(!kl_sessions_feed(s, &e, NULL, 0));
		e.type = KL_EVENT_PAYLOAD;
		require(!kl_sessions_learn(s, &e, &m));
	}
}

static void observe(const __u8 *p, struct kl_observed *ret, __u64 *now_ns)
{
	*now_ns += p[0] * 250 * KL_NS_PER_MS + p[1] * KL_NS_PER_MS;
	*ret = (struct kl_observed){ .time_ns = *now_ns,
				     .session = (p[2] & 15) % (SESSIONS + 1),
				     .seq = p[2] >> 4,
				     .direction = p[3] & 1,
				     .lost = p[3] >> 1 & 1,
				     .again = p[3] >> 2 & 1,
				     .kind = (__u8)((p[3] >> 4) % KL_KINDS) };
}

static void check(const struct kl_trace_lines *lines, const struct kl_diagnosis *d,
		  const struct kl_evidence *e)
{
	const struct kl_trace_verdict *v = &e->trace_verdict;
	size_t through = 0;

	for (size_t i = 0; i < lines->line.count; i++)
		require(lines->line.item[i].kind && lines->line.item[i].kind < KL_KINDS &&
			(lines->line.item[i].peer == KL_TRACE_NO_PEER ||
			 lines->line.item[i].peer < lines->peer.count));
	for (size_t i = 0; i < lines->peer.count; i++) {
		const struct kl_trace_peer *p = &lines->peer.item[i];

		require(memchr(p->device, 0, sizeof(p->device)) &&
			memchr(p->handle, 0, sizeof(p->handle)));
	}
	for (size_t i = 0; i < lines->span.count; i++)
		require(lines->span.item[i].first_ns <= lines->span.item[i].last_ns);
	for (size_t i = 0; i < d->observed_count; i++)
		through += !d->observed[i].lost;
	require((lines->malformed != 0) == (lines->complaint[0] != 0));
	require(v->covered == v->received + v->missing && v->covered + v->after <= 2 * through);
	require(v->received <= lines->line.count && v->unmatched <= lines->line.count);
	require(v->sessions_missing <= v->sessions_covered && v->sessions_covered <= v->sessions);
	require(e->trace.count == (v->offset_known ? lines->line.count : 0));
}

int LLVMFuzzerTestOneInput(const __u8 *data, size_t size)
{
	static const struct kl_sessions_config config = { .two_sided = true };
	struct kl_observed observed[SEGMENTS_MAX];
	struct kl_diagnosis d = { .observed = observed, .observed_stride = 1 };
	struct kl_trace_lines lines = { 0 };
	struct kl_evidence evidence = { 0 };
	struct kl_sessions *sessions;
	__u64 now_ns = START_NS;
	size_t count, at = 2;

	if (size < at)
		return 0;
	count = data[1] % (SEGMENTS_MAX + 1);
	for (; count && size - at >= SEGMENT_BYTES; count--, at += SEGMENT_BYTES)
		observe(data + at, &observed[d.observed_count++], &now_ns);
	parse((const char *)data + at, size - at, 1 + data[0], &lines);
	require(!kl_sessions_new(&config, &sessions));
	open_sessions(sessions);
	d.sessions = sessions;
	require(!kl_trace_match(&lines, &d, &evidence));
	check(&lines, &d, &evidence);
	kl_sessions_free(sessions);
	kl_evidence_done(&evidence);
	kl_trace_lines_done(&lines);
	return 0;
}
