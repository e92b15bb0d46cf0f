// SPDX-License-Identifier: GPL-2.0-only
/*
 * The case study's table of retransmissions, as segments: every retransmission and only those are
 * found, and the answers are matched.
 */
#include <criterion/criterion.h>

#include "stage.h"

/*
 * From the table: frame, who sent it, its numbers (relative) and its length, which follows from
 * the next ones. It names no times: a refresh is due 115 s after the answer before, and retries
 * come after 0.22 s, then twice as late each time. Frame 1933, the first of the table, is said to
 * be a retransmission: its first copy lies before the table, and is the first row here. Of frame
 * 3318 the table holds no retry.
 */
enum row_kind {
	REFRESH,
	AGAIN,
	REPLY,
	BARE, /* an acknowledgement */
};

static const struct row {
	unsigned frame;
	enum row_kind kind;
	__u32 direction;
	__u32 seq, ack, len;
	__u64 after_us; /* the row before */
} rows[] = {
	{ 1932, REFRESH, KL_TO_CUCM, 6722, 4563, 901, 0 }, /* not in the table */
	{ 1933, AGAIN, KL_TO_CUCM, 6722, 4563, 901, 220000 },
	{ 1934, BARE, KL_TO_PHONE, 4563, 7623, 0, 900 },
	{ 1935, REPLY, KL_TO_PHONE, 4563, 7623, 337, 1000 },
	{ 1936, REPLY, KL_TO_PHONE, 4900, 7623, 648, 600 },
	{ 1938, BARE, KL_TO_CUCM, 7623, 5548, 0, 12000 },
	{ 3318, REFRESH, KL_TO_CUCM, 7623, 5548, 901, 114988000 },
	{ 3324, BARE, KL_TO_PHONE, 5548, 8524, 0, 900 },
	{ 3325, REPLY, KL_TO_PHONE, 5548, 8524, 337, 1000 },
	{ 3326, BARE, KL_TO_CUCM, 8524, 5885, 0, 12000 },
	{ 3327, REPLY, KL_TO_PHONE, 5885, 8524, 649, 600 },
	{ 3328, BARE, KL_TO_CUCM, 8524, 6534, 0, 12000 },
	{ 4711, REFRESH, KL_TO_CUCM, 8524, 6534, 901, 114988000 },
	{ 4722, AGAIN, KL_TO_CUCM, 8524, 6534, 901, 880000 },
	{ 4723, BARE, KL_TO_PHONE, 6534, 9425, 0, 900 },
	{ 4724, REPLY, KL_TO_PHONE, 6534, 9425, 337, 1000 },
	{ 4725, BARE, KL_TO_CUCM, 9425, 6871, 0, 12000 },
	{ 4726, REPLY, KL_TO_PHONE, 6871, 9425, 648, 600 },
	{ 4727, BARE, KL_TO_CUCM, 9425, 7519, 0, 12000 },
	{ 6117, REFRESH, KL_TO_CUCM, 9425, 7519, 901, 114988000 },
	{ 6137, AGAIN, KL_TO_CUCM, 9425, 7519, 901, 1760000 },
	{ 6138, BARE, KL_TO_PHONE, 7519, 10326, 0, 900 },
	{ 6139, REPLY, KL_TO_PHONE, 7519, 10326, 337, 1000 },
	{ 6140, BARE, KL_TO_CUCM, 10326, 7856, 0, 12000 },
	{ 6141, REPLY, KL_TO_PHONE, 7856, 10326, 649, 600 },
	{ 6142, BARE, KL_TO_CUCM, 10326, 8505, 0, 12000 },
	{ 7520, REFRESH, KL_TO_CUCM, 10326, 8505, 901, 114988000 },
	{ 7559, AGAIN, KL_TO_CUCM, 10326, 8505, 901, 3520000 },
	{ 7560, BARE, KL_TO_PHONE, 8505, 11227, 0, 900 },
	{ 7561, REPLY, KL_TO_PHONE, 8505, 11227, 337, 1000 },
	{ 7562, REPLY, KL_TO_PHONE, 8842, 11227, 647, 600 },
	{ 7563, BARE, KL_TO_CUCM, 11227, 8842, 0, 10000 },
	{ 7564, BARE, KL_TO_CUCM, 11227, 9489, 0, 1000 },
	{ 8947, REFRESH, KL_TO_CUCM, 11227, 9489, 901, 114988000 },
	{ 9029, AGAIN, KL_TO_CUCM, 11227, 9489, 901, 7040000 },
	{ 9030, BARE, KL_TO_PHONE, 9489, 12128, 0, 900 },
	{ 9031, REPLY, KL_TO_PHONE, 9489, 12128, 337, 1000 },
	{ 9032, BARE, KL_TO_CUCM, 12128, 9826, 0, 12000 },
};

enum {
	ROWS = sizeof(rows) / sizeof(rows[0])
};

static void play(struct stage *st, unsigned from, enum stage_fate first_copies)
{
	__u64 at = STAGE_START_NS;

	for (unsigned i = from; i < ROWS; i++) {
		const struct row *row = &rows[i];
		/* 100 Trying is the shorter reply. */
		const struct stage_text *text = row->direction == KL_TO_CUCM ? &st->keepalive
						: row->len < 400	     ? &st->trying
									     : &st->answer;
		bool retried = row->kind == REFRESH && i + 1 < ROWS && rows[i + 1].kind == AGAIN;

		at += row->after_us * KL_NS_PER_US;
		st->end[row->direction].ack = row->ack;
		stage_segment(st, at, row->direction, KL_ACK, row->seq,
			      row->len ? text->data : NULL, row->len,
			      retried ? first_copies : ARRIVES);
	}
	stage_until(st, at + 30 * STAGE_S);
}

static void check_retransmissions(const struct stage *st, unsigned from)
{
	unsigned found = 0;

	for (unsigned i = from; i < ROWS; i++) {
		const struct kl_story *story;

		if (rows[i].kind != AGAIN)
			continue;
		story = stage_story(st, KL_STORY_RETRANSMISSION, found++);
		cr_assert(story, "frame %u is not found", rows[i].frame);
		cr_expect_eq(story->seq, rows[i].seq, "frame %u", rows[i].frame);
		cr_expect_eq(story->length, rows[i].len);
		cr_expect_eq(story->copy, 2);
		cr_expect_not(story->inferred);
		cr_expect_eq(story->gap_ns, rows[i].after_us * KL_NS_PER_US);
		cr_expect_eq(story->rto_ns, story->gap_ns);
	}
	cr_expect_eq(stage_stories(st, KL_STORY_RETRANSMISSION), found, "and none but those");
}

static const struct {
	const char *name;
	bool one_sided;
	enum stage_fate first_copies;
} places[] = {
	{ "one capture", true, LOST_BETWEEN },
	{ "lost between two sides", false, LOST_BETWEEN },
	{ "lost beyond both", false, LOST_BEYOND },
};

Test(session_study, every_retransmission_and_only_those)
{
	for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct stage_setup setup = { KL_SIP, .phone = NO_NUMBERS, .server = NO_NUMBERS,
					     .one_sided = places[i].one_sided };
		const struct kl_session *session;
		struct stage st;

		stage_init(&st, &setup);
		play(&st, 0, places[i].first_copies);
		check_retransmissions(&st, 0);
		session = stage_session(&st);
		cr_expect_eq(session->keepalives, 6);
		cr_expect_eq(session->answered, 6);
		cr_expect_eq(session->answers.count, 6);
		cr_expect_eq(session->unacknowledged, 0);
		cr_expect_eq(session->role, KL_ROLE_PRIMARY);
		/* What the sides count as lost is not inferred as well. */
		if (places[i].first_copies == LOST_BETWEEN && !places[i].one_sided) {
			cr_expect_eq(session->lost[KL_TO_CUCM][KL_BETWEEN], 5);
			cr_expect_eq(stage_losses(&st), 0);
		} else {
			cr_expect_eq(stage_losses(&st), 5, "%s: %u", places[i].name,
				     stage_losses(&st));
		}
		cr_expect_eq(stage_forecasts(&st, KL_FORECAST_EXPECTED), 1);
		stage_done(&st);
	}
}

/* Without the copy before the table its first frame is a first copy to whoever sees it. */
Test(session_study, the_table_begins_in_the_middle)
{
	struct stage_setup setup = { KL_SIP, .phone = NO_NUMBERS, .one_sided = true };
	struct stage st;

	stage_init(&st, &setup);
	play(&st, 1, LOST_BETWEEN);
	check_retransmissions(&st, 2);
	cr_expect_eq(stage_session(&st)->answered, 6);
	stage_done(&st);
}
