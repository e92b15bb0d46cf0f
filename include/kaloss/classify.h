/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Payload → kind. Two steps, so that the common case touches few bytes:
 *
 *   kl_classify_head()  from the first KL_HEAD_BYTES: decides a lone SCCP keepalive, a CRLF ping
 *                       and all TLS at once, and says KL_NEED_WINDOW where it cannot
 *   kl_classify_window() from up to KL_WINDOW_BYTES: a keepalive among several SCCP messages, the
 *                       Expires of a REGISTER, the CSeq of a response
 *
 * Bounds, also promised in docs/: a keepalive is found among the first KL_SCCP_MESSAGES_MAX SCCP
 * messages of a segment, as far as they lie in its first KL_WINDOW_BYTES; SIP headers are read in
 * the first KL_WINDOW_BYTES of a segment.
 */
#pragma once

#include "segment.h"

enum {
	KL_HEAD_BYTES = 32,
	KL_WINDOW_BYTES = 1024,
	KL_WINDOW_MASK = 2 * KL_WINDOW_BYTES - 1, /* the window's memory is twice its size... */
	KL_WINDOW_ZEROED = 64, /* ...so that a masked index is safe; this much behind it is zero */
	KL_SCCP_HEADER = 12,
	KL_SCCP_MESSAGES_MAX = 16,
	KL_SIP_CRLF_MAX = 16, /* leading CR and LF looked through (RFC 3261 §7.5) */
};

/* SCCP message ids (little-endian u32 at offset 8). */
enum {
	KL_SCCP_ID_KEEPALIVE = 0x0000,
	KL_SCCP_ID_REGISTER = 0x0001,
	KL_SCCP_ID_ALARM = 0x0020,
	KL_SCCP_ID_UNREGISTER = 0x0027,
	KL_SCCP_ID_REGISTER_ACK = 0x0081,
	KL_SCCP_ID_REGISTER_REJECT = 0x009d,
	KL_SCCP_ID_RESET = 0x009f,
	KL_SCCP_ID_KEEPALIVE_ACK = 0x0100,
	KL_SCCP_VERSION_MAX = 0x40, /* 0 to 0x16 seen; anything above this is not a header */
	KL_SCCP_ID_MAX = 0xffff,
	KL_SCCP_LENGTH_MAX = 0xffff,
};

enum kl_verdict_head {
	KL_HEAD_DECIDED = 0,
	KL_NEED_WINDOW,
};

/* Beside the kind that kl_classify_window() returns: a REGISTER that ends the registration. */
enum {
	KL_KIND_MASK = 0xff,
	KL_KIND_LEAVES = 1 << 8
};

/* What the window is read for, decided by the head. */
enum kl_scan {
	KL_SCAN_NONE = 0,
	KL_SCAN_SCCP,
	KL_SCAN_REGISTER, /* is it a backup's keepalive? */
	KL_SCAN_CSEQ,	  /* what does the response answer? */
};

struct kl_head_result {
	__u32 kind;  /* the answer, or what it is if the window does not say otherwise */
	__u32 scan;  /* enum kl_scan */
	__u32 tells; /* enum kl_tells */
};

/* Does the payload say what user space has to read for itself? */
enum kl_tells {
	KL_TELLS_NOTHING = 0,
	KL_TELLS_ALWAYS, /* an SCCP message that is rare: who the phone is, its last failure, the
			  * interval of its keepalives, the end of its registration */
	KL_TELLS_DEVICE, /* a SIP REGISTER: who the phone is; each says the same */
	KL_TELLS_TERMS,	 /* a 2xx that may answer it: how long the registration lasts */
};

/* A loop that the verifier proves once, however often it runs; a plain loop elsewhere. */
#ifdef __bpf__
#define KL_LOOP(n, body, arg) bpf_loop((n), (body), (arg), 0)
#else
#define KL_LOOP(n, body, arg)                                                                      \
	do {                                                                                       \
		for (__u32 kl_i = 0; kl_i < (__u32)(n); kl_i++) {                                  \
			if ((body)(kl_i, (arg)))                                                   \
				break;                                                             \
		}                                                                                  \
	} while (0)
#endif

KL_INLINE bool kl_sccp_header_plausible(const __u8 *p)
{
	__u32 length = kl_le32(p), version = kl_le32(p + 4), id = kl_le32(p + 8);

	return length >= 4 && length <= KL_SCCP_LENGTH_MAX && version <= KL_SCCP_VERSION_MAX &&
	       id <= KL_SCCP_ID_MAX;
}

/* A KeepAlive is its 12 bytes and nothing else: the body is empty. */
KL_INLINE bool kl_sccp_is(const __u8 *p, __u32 id)
{
	return kl_le32(p) == 4 && kl_le32(p + 8) == id;
}

KL_INLINE bool kl_sccp_tells(__u32 id)
{
	return id == KL_SCCP_ID_REGISTER || id == KL_SCCP_ID_ALARM || id == KL_SCCP_ID_UNREGISTER ||
	       id == KL_SCCP_ID_REGISTER_ACK || id == KL_SCCP_ID_REGISTER_REJECT ||
	       id == KL_SCCP_ID_RESET;
}

/* What the first KL_SCCP_HEADER bytes of an SCCP payload decide by themselves; else KL_OTHER. */
KL_INLINE __u32 kl_classify_sccp_brief(const __u8 *head, __u32 payload_len)
{
	if (kl_le32(head + 4) > KL_SCCP_VERSION_MAX)
		return KL_OTHER;
	if (kl_sccp_is(head, KL_SCCP_ID_KEEPALIVE))
		return KL_SCCP_KEEPALIVE;
	if (kl_sccp_is(head, KL_SCCP_ID_KEEPALIVE_ACK) && payload_len < 2 * KL_SCCP_HEADER)
		return KL_SCCP_KEEPALIVE_ACK;
	return KL_OTHER;
}

KL_INLINE void kl_classify_sccp_head(const __u8 *head, __u32 head_len, __u32 payload_len,
				     struct kl_head_result *ret)
{
	__u32 brief;

	ret->kind = KL_SCCP_OTHER;
	if (head_len < KL_SCCP_HEADER || !kl_sccp_header_plausible(head))
		return;
	brief = kl_classify_sccp_brief(head, payload_len);
	if (brief != KL_OTHER) {
		ret->kind = brief;
		return;
	}
	if (kl_sccp_tells(kl_le32(head + 8)))
		ret->tells = KL_TELLS_ALWAYS;
	if (kl_le32(head) + 8 + KL_SCCP_HEADER <= payload_len)
		ret->scan = KL_SCAN_SCCP;
}

KL_INLINE void kl_classify_sip_head(const __u8 *head, __u32 head_len, __u32 payload_len,
				    struct kl_head_result *ret)
{
	__u32 skip = 0;
	__u64 word;

	ret->kind = KL_SIP_OTHER;
	KL_UNROLL
	for (int i = 0; i < KL_SIP_CRLF_MAX; i++) {
		if (skip == (__u32)i && (head[i] == '\r' || head[i] == '\n') && (__u32)i < head_len)
			skip = i + 1;
	}
	if (skip && skip == head_len && head_len == payload_len) {
		/* RFC 5626 §3.5.1: a double CRLF is a ping, a single one the pong. */
		if (payload_len == 2)
			ret->kind = KL_CRLF_PONG;
		else if (payload_len >= 4)
			ret->kind = KL_CRLF_PING;
		return;
	}
	if (skip + 8 > head_len || skip > KL_SIP_CRLF_MAX)
		return;
	word = kl_le64(head + skip);
	if (word == 0x5245545349474552ULL && head[skip + 8] == ' ') { /* "REGISTER" */
		ret->kind = KL_SIP_REGISTER;
		ret->scan = KL_SCAN_REGISTER;
		ret->tells = KL_TELLS_DEVICE;
	} else if (word == 0x20534e4f4954504fULL) { /* "OPTIONS " */
		ret->kind = KL_SIP_OPTIONS;
	} else if (word == 0x20302e322f504953ULL) { /* "SIP/2.0 " */
		/* An answer to a keepalive only if its CSeq says so. */
		ret->scan = KL_SCAN_CSEQ;
		if (head[skip + 8] == '2')
			ret->tells = KL_TELLS_TERMS;
	}
}

/*
 * head: KL_HEAD_BYTES of memory, of which the first head_len = min(payload_len, KL_HEAD_BYTES)
 * are the payload's and the rest are zero.
 */
KL_INLINE enum kl_verdict_head kl_classify_head(__u32 service, const __u8 *head, __u32 head_len,
						__u32 payload_len, struct kl_head_result *ret)
{
	ret->kind = KL_OTHER;
	ret->scan = KL_SCAN_NONE;
	ret->tells = KL_TELLS_NOTHING;
	if (!payload_len)
		return KL_HEAD_DECIDED;
	if (kl_service_is_tls(service))
		ret->kind = KL_TLS_RECORD;
	else if (service == KL_SCCP)
		kl_classify_sccp_head(head, head_len, payload_len, ret);
	else
		kl_classify_sip_head(head, head_len, payload_len, ret);
	return ret->scan == KL_SCAN_NONE ? KL_HEAD_DECIDED : KL_NEED_WINDOW;
}

struct kl_window_scan {
	const __u8 *window; /* KL_WINDOW_MASK + 1 bytes, see kl_classify_window() */
	__u32 len;	    /* of the payload within the window */
	__u32 scan;
	__u32 off; /* SCCP: the next message */
	bool saw_keepalive;
	bool saw_keepalive_ack;
	bool saw_keep_alive_mark; /* cisco-keep-alive */
	bool expires_positive;
	bool expires_zero;
	bool answers_keepalive;
};

/*
 * Character classes as sets of the characters below 64, and steps without a branch: each branch
 * here would double what the verifier has to look at.
 */
#define KL_SET(c) (1ULL << (c))
#define KL_SPACES (KL_SET(' ') | KL_SET('\t'))
#define KL_DIGITS (0x3ffULL << '0')

/* 1 if c is in the set, else 0. */
KL_INLINE __u32 kl_in_set(__u64 set, __u8 c)
{
	return (__u32)(set >> (c & 63)) & (((__u32)c >> 6) - 1) >> 31;
}

/* The first byte behind a header's name and its colon, which white space may surround (RFC 3261
 * §25.1; up to two before and four behind are looked through). 0: no colon. */
KL_INLINE __u32 kl_skip_colon(const __u8 *window, __u32 at)
{
	at += kl_in_set(KL_SPACES, window[at & KL_WINDOW_MASK]);
	at += kl_in_set(KL_SPACES, window[at & KL_WINDOW_MASK]);
	if (window[at & KL_WINDOW_MASK] != ':')
		return 0;
	at++;
	KL_UNROLL
	for (int i = 0; i < 4; i++)
		at += kl_in_set(KL_SPACES, window[at & KL_WINDOW_MASK]);
	return at;
}

/* A header line starts at `at`. Returns true where nothing more needs to be read. */
KL_INLINE bool kl_sip_line(struct kl_window_scan *s, __u32 at)
{
	const __u8 *window = s->window;
	__u64 word;

	if (at >= s->len || at >= KL_WINDOW_BYTES)
		return true;
	/* The end of the headers; further ahead than any start line is long, it is a leading CRLF. */
	if (window[at] == '\r' || window[at] == '\n')
		return at >= KL_SIP_CRLF_MAX;
	word = kl_le64(window + at) | 0x2020202020202020ULL;
	if (s->scan == KL_SCAN_CSEQ && (word & 0xffffffffULL) == 0x71657363ULL) { /* "cseq" */
		__u32 method = kl_skip_colon(window, at + 4);
		__u32 name, step = 1;

		if (!method)
			return false;
		KL_UNROLL
		for (int i = 0; i < 12; i++) {
			step &= kl_in_set(KL_DIGITS | KL_SPACES, window[method & KL_WINDOW_MASK]);
			method += step;
		}
		name = kl_le32(window + (method & KL_WINDOW_MASK));
		/* "REGI" or "OPTI" */
		s->answers_keepalive = name == 0x49474552 || name == 0x4954504f;
		return true;
	}
	if (s->scan == KL_SCAN_REGISTER &&
	    (word & 0x00ffffffffffffffULL) == 0x0073657269707865ULL) { /* "expires" */
		__u32 value = kl_skip_colon(window, at + 7);

		if (value && window[value & KL_WINDOW_MASK] != '0')
			s->expires_positive = true;
		else if (value)
			s->expires_zero = true;
	}
	return false;
}

/*
 * "cisco-keep-alive" is 16 bytes long, so wherever it stands it fills one aligned word of 8 whole:
 * with one of these eight. Returns how far into the mark the word lies, or a negative number.
 */
KL_INLINE int kl_sip_word_of_mark(__u64 w)
{
	w |= 0x2020202020202020ULL;
	if (w == 0x656b2d6f63736963ULL) /* cisco-ke */
		return 0;
	if (w == 0x65656b2d6f637369ULL) /* isco-kee */
		return 1;
	if (w == 0x7065656b2d6f6373ULL) /* sco-keep */
		return 2;
	if (w == 0x2d7065656b2d6f63ULL) /* co-keep- */
		return 3;
	if (w == 0x612d7065656b2d6fULL) /* o-keep-a */
		return 4;
	if (w == 0x6c612d7065656b2dULL) /* -keep-al */
		return 5;
	if (w == 0x696c612d7065656bULL) /* keep-ali */
		return 6;
	if (w == 0x76696c612d706565ULL) /* eep-aliv */
		return 7;
	return -1;
}

/* Does the word at off, already loaded, belong to the mark? */
KL_INLINE bool kl_sip_mark_at(const __u8 *window, __u32 off, __u64 word)
{
	int into = kl_sip_word_of_mark(word);
	__u32 start = (off - (__u32)into) & KL_WINDOW_MASK;

	if (into < 0 || start >= KL_WINDOW_BYTES)
		return false;
	return (kl_le64(window + start) | 0x2020202020202020ULL) == 0x656b2d6f63736963ULL &&
	       (kl_le64(window + start + 8) | 0x2020202020202020ULL) == 0x6576696c612d7065ULL;
}

#define KL_EACH_BYTE 0x0101010101010101ULL

/* Which bytes of w are c? The lowest bit set is exact; bits above it may be false. */
KL_INLINE __u64 kl_bytes_equal(__u64 w, __u8 c)
{
	w ^= KL_EACH_BYTE * c;
	return (w - KL_EACH_BYTE) & ~w & KL_EACH_BYTE * 0x80;
}

/* Index of the lowest byte of which kl_bytes_equal() gave a bit. */
KL_INLINE __u32 kl_lowest_byte(__u64 bits)
{
	return (__u32)(((bits & -bits) >> 7) * 0x0001020304050607ULL >> 56);
}

/* The start of a line in the four bytes at off: returns true where nothing more needs to be read. */
KL_INLINE bool kl_sip_scan_word(struct kl_window_scan *s, __u32 off, __u64 word)
{
	__u64 lines = kl_bytes_equal(word, '\n') & 0xffffffffULL;

	return lines && kl_sip_line(s, off + kl_lowest_byte(lines) + 1);
}

/*
 * Four words of the headers: a call costs more than looking at them. Everything follows from the
 * index, so that the verifier need not follow the words one by one. Four bytes hold the start of at
 * most one line that matters: the shortest header line is longer, and after an empty one nothing is
 * read.
 */
static __attribute__((unused)) long kl_sip_scan_words(__u32 index, void *arg)
{
	struct kl_window_scan *s = arg;
	__u32 off = index * 16;
	__u64 a, b;

	if (off >= s->len || off > KL_WINDOW_BYTES - 16)
		return 1;
	a = kl_le64(s->window + off);
	b = kl_le64(s->window + off + 8);
	if (s->scan == KL_SCAN_REGISTER && kl_bytes_equal(a, '-') &&
	    kl_sip_mark_at(s->window, off, a))
		s->saw_keep_alive_mark = true;
	if (kl_bytes_equal(a, '\n') &&
	    (kl_sip_scan_word(s, off, a) || kl_sip_scan_word(s, off + 4, a >> 32)))
		return 1;
	if (s->scan == KL_SCAN_REGISTER && kl_bytes_equal(b, '-') && off + 8 < s->len &&
	    kl_sip_mark_at(s->window, off + 8, b))
		s->saw_keep_alive_mark = true;
	if (kl_bytes_equal(b, '\n') &&
	    (kl_sip_scan_word(s, off + 8, b) || kl_sip_scan_word(s, off + 12, b >> 32)))
		return 1;
	return 0;
}

static __attribute__((unused)) long kl_sccp_scan_message(__u32 index, void *arg)
{
	struct kl_window_scan *s = arg;
	__u32 off = s->off;
	const __u8 *p;

	(void)index;
	if (off > KL_WINDOW_BYTES - KL_SCCP_HEADER || off + KL_SCCP_HEADER > s->len)
		return 1;
	p = s->window + off;
	if (!kl_sccp_header_plausible(p))
		return 1;
	if (kl_sccp_is(p, KL_SCCP_ID_KEEPALIVE))
		s->saw_keepalive = true;
	if (kl_sccp_is(p, KL_SCCP_ID_KEEPALIVE_ACK))
		s->saw_keepalive_ack = true;
	s->off = off + kl_le32(p) + 8;
	return 0;
}

/*
 * window: KL_WINDOW_MASK + 1 bytes of memory, of which the first len = min(payload_len,
 * KL_WINDOW_BYTES) are the payload's and KL_WINDOW_ZEROED behind them are zero.
 * kind: what the head said. Returns the kind, perhaps with KL_KIND_LEAVES.
 */
KL_INLINE __u32 kl_classify_window(__u32 scan, __u32 kind, const __u8 *window, __u32 len)
{
	struct kl_window_scan s = { .window = window, .len = len, .scan = scan };

	if (scan == KL_SCAN_SCCP) {
		KL_LOOP(KL_SCCP_MESSAGES_MAX, kl_sccp_scan_message, &s);
		if (s.saw_keepalive)
			return KL_SCCP_KEEPALIVE;
		return s.saw_keepalive_ack ? KL_SCCP_KEEPALIVE_ACK : KL_SCCP_OTHER;
	}
	if (scan == KL_SCAN_REGISTER || scan == KL_SCAN_CSEQ) {
		KL_LOOP(KL_WINDOW_BYTES / 16, kl_sip_scan_words, &s);
		if (s.saw_keep_alive_mark && !s.expires_positive)
			return KL_SIP_REGISTER_BACKUP;
		if (s.expires_zero && !s.expires_positive)
			return kind | KL_KIND_LEAVES;
		return s.answers_keepalive ? KL_SIP_RESPONSE : kind;
	}
	return kind;
}
