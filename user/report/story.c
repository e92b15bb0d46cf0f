// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "report/report.h"

static void fill_party(const struct kl_session *s, struct kl_party *ret)
{
	*ret = (struct kl_party){ .ends = s->ends, .vlan = s->vlan, .probable = s->probable };
	memcpy(ret->mac, s->mac, sizeof(ret->mac));
	if (s->device[0])
		ret->device = s->device;
}

static const char *or_null(const char *text)
{
	return text[0] ? text : NULL;
}

static int report_session(struct kl_report *r, const struct kl_story *story, uint64_t offset_ns)
{
	const struct kl_session *s = story->session;
	struct kl_session_record record = {
		.time_ns = story->time_ns + offset_ns,
		.event = story->type,
		.by = story->by,
		.how = story->how,
		.role = (enum kl_role)s->role,
		.period_us = s->schedule.period_us,
		.jitter_us = s->schedule.jitter_us,
		.failure = or_null(s->failure),
	};

	fill_party(s, &record.party);
	return r->format->session ? r->format->session(r, &record) : 0;
}

static int report_retransmission(struct kl_report *r, const struct kl_story *story,
				 uint64_t offset_ns)
{
	struct kl_retransmission record = {
		.time_ns = story->time_ns + offset_ns,
		.direction = story->direction,
		.kind = story->kind,
		.seq = story->seq,
		.length = story->length,
		.gap_ns = story->gap_ns,
		.rto_ns = story->rto_ns,
		.copy = story->copy,
		.inferred = story->inferred,
		.remark = or_null(story->text),
	};

	fill_party(story->session, &record.party);
	return r->format->retransmission ? r->format->retransmission(r, &record) : 0;
}

static int report_inferred(struct kl_report *r, const struct kl_story *story, uint64_t offset_ns,
			   const struct kl_drop *drop)
{
	struct kl_loss record = {
		.time_ns = story->time_ns + offset_ns,
		.where = story->where,
		.direction = story->direction,
		.kind = story->kind,
		.seq = story->seq,
		.seq_other = story->seq,
		.length = story->length,
		.copies = { story->copies[KL_ACCESS], story->copies[KL_CUCM] },
		.late_ns = story->late_ns,
		.idle_ns = story->idle_ns,
		.idle_known = story->idle_known,
		.drop = drop,
		.evidence = story->text,
	};

	fill_party(story->session, &record.party);
	return r->format->loss ? r->format->loss(r, &record) : 0;
}

static int report_forecast(struct kl_report *r, const struct kl_story *story, uint64_t offset_ns)
{
	struct kl_forecast_record record = {
		.time_ns = story->time_ns + offset_ns,
		.state = story->state,
		.at_ns = story->at_ns + offset_ns,
		.because = story->text,
	};

	fill_party(story->session, &record.party);
	return r->format->forecast ? r->format->forecast(r, &record) : 0;
}

int kl_report_story(struct kl_report *r, const struct kl_story *story, uint64_t offset_ns,
		    const struct kl_drop *drop)
{
	switch (story->type) {
	case KL_STORY_RETRANSMISSION:
		return report_retransmission(r, story, offset_ns);
	case KL_STORY_LOSS:
		return report_inferred(r, story, offset_ns, drop);
	case KL_STORY_FORECAST:
		return report_forecast(r, story, offset_ns);
	case KL_STORY_SEGMENT:
		return 0;
	default:
		return report_session(r, story, offset_ns);
	}
}
