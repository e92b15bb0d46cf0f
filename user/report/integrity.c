// SPDX-License-Identifier: GPL-2.0-only
#include "report/integrity.h"

#include <inttypes.h>
#include <stdarg.h>

#include "core/evidence.h"
#include "util/cleanup.h"

struct words {
	kl_integrity_say say;
	void *arg;
	size_t count;
};

__attribute__((format(printf, 3, 4))) static void tell(struct words *w, bool not_counted,
						       const char *format, ...)
{
	char sentence[400];
	va_list args;

	va_start(args, format);
	vsnprintf(sentence, sizeof(sentence), format, args);
	va_end(args);
	w->say(not_counted, sentence, w->arg);
	w->count++;
}

/* Two captures: segments that were not paired. */
static void tell_pairing(struct words *w, const struct kl_diagnosis *d)
{
	static const char *const words[KL_PAIR_REASONS] = {
		[KL_PAIR_BEFORE] = "from before the other capture began",
		[KL_PAIR_AFTER] = "from after the other capture ended",
		[KL_PAIR_GAP] = "in a gap of the other capture",
		[KL_PAIR_DROPPED] = "about when the other capture dropped packets",
		[KL_PAIR_STEP] = "about when one of the clocks was set",
		[KL_PAIR_NO_CLOCK] = "while too little in common told the clocks' difference",
		[KL_PAIR_NO_PARTNER] = "of connections that the other capture does not have",
		[KL_PAIR_REWRITTEN] =
			"of connections whose sequence numbers differ, by no constant",
		[KL_PAIR_ONE_SIDED] = "of connections seen there in the other direction only",
		[KL_PAIR_ACKNOWLEDGED] = "acknowledged by the receiver, but not seen to arrive",
		[KL_PAIR_UNSEEN] = "of connections that the other capture does not see any more",
		[KL_PAIR_UNCONFIRMED] = "of which nothing says whether they arrived",
		[KL_PAIR_OUT_OF_TIME] = "that the other capture has at a time that cannot be",
		[KL_PAIR_FRAGMENTED] = "of connections whose packets were fragmented",
		[KL_PAIR_FAR_ONLY] = "seen only at the side farther from the sender",
		[KL_PAIR_NO_ROOM] = "for which there was no room",
	};

	for (int i = 0; i < KL_PAIR_REASONS; i++) {
		if (d->stats.reasons[i] && words[i])
			tell(w, true, "%" PRIu64 " segments %s", d->stats.reasons[i], words[i]);
	}
}

/* Live: what the kernel and this program counted. */
static void tell_live(struct words *w, const struct kl_integrity *n)
{
	static const char *const unpaired[KL_FATES] = {
		[KL_UNPAIRED_ONE_SIDED] =
			"of connections that only the side nearer to the sender ever saw "
			"(asymmetric routing? address translation: try --nat)",
		[KL_UNPAIRED_FAR_ONLY] = "seen only at the side farther from the sender "
					 "(another way in, or traffic of this host)",
		[KL_UNPAIRED_GAP] = "under way while an interface was down or gone",
		[KL_UNPAIRED_BYPASSED] =
			"acknowledged by the receiver without passing the far side "
			"(another way around this host)",
		[KL_UNPAIRED_OVERFLOW] = "for which the join had no room (raise --join-entries)",
		[KL_UNPAIRED_FRAGMENT] = "of connections whose packets were fragmented",
		[KL_UNPAIRED_REWRITTEN] = "of connections whose sequence numbers differ on the two "
					  "sides (a firewall that rewrites them, or a proxy)",
		[KL_UNPAIRED_EVICTED] = "of connections that were forgotten meanwhile",
		[KL_UNPAIRED_UNCONFIRMED] = "that answer TCP probes, after which nothing of their "
					    "connection showed that it still passes here",
	};
	const struct {
		uint64_t count;
		const char *text;
	} others[] = {
		{ n->events_lost, "events lost: the ring buffer was full (raise --ring-bytes); "
				  "counts and losses are complete, retransmission and session "
				  "records are not" },
		{ n->join_full, "segments not joined: no room (raise --join-entries)" },
		{ n->flows_evicted, "segments of connections without a place, or connections that "
				    "were forgotten to make some (raise --connections)" },
		{ n->malformed, "malformed frames" },
		{ n->fragments, "IP fragments: what is in them is not joined" },
		{ n->late, "segments arrived after the deadline, and had been reported as lost "
			   "(raise --deadline)" },
		{ n->collisions, "segments of connections whose hash collides with another's" },
		{ n->gaps,
		  "times an interface went down, came up or went away, or this host slept; "
		  "nothing that was under way then is called lost" },
		{ n->missing_ms, "ms an interface was missing, or our program on it: meanwhile "
				 "nothing is called lost" },
		{ n->one_way,
		  "connections came by in one direction only: the other one takes another "
		  "way (asymmetric routing), and nothing can be said about it" },
		{ n->wrong_way[KL_ACCESS], "segments to phones came in on the access side "
					   "(are --access and --cucm mixed up?)" },
		{ n->wrong_way[KL_CUCM], "segments to the CUCM came in on the cucm side "
					 "(are --access and --cucm mixed up?)" },
		{ n->records_dropped, "records were dropped: nobody read them in time; what was in "
				      "them is counted all the same" },
	};

	for (int i = 0; i < KL_FATES; i++) {
		if (n->unpaired_by[i] && unpaired[i])
			tell(w, true, "%" PRIu64 " segments %s", n->unpaired_by[i], unpaired[i]);
	}
	for (size_t i = 0; i < KL_COUNT(others); i++) {
		if (others[i].count)
			tell(w, false, "%" PRIu64 " %s", others[i].count, others[i].text);
	}
}

size_t kl_integrity_live(const struct kl_integrity *n, kl_integrity_say say, void *arg)
{
	struct words w = { .say = say, .arg = arg };

	tell_live(&w, n);
	return w.count;
}

size_t kl_integrity_words(const struct kl_diagnosis_record *r, kl_integrity_say say, void *arg)
{
	const struct kl_diagnosis *d = r->diagnosis;
	struct words w = { .say = say, .arg = arg };

	if (r->live)
		tell_live(&w, &d->total.integrity);
	else if (d->two_sided)
		tell_pairing(&w, d);
	if (d->inferred_unsure)
		tell(&w, true,
		     "%" PRIu64 " losses that would follow if all had been seen that "
		     "passed, about a time of which it was not",
		     d->inferred_unsure);
	for (int side = 0; side < KL_SIDES; side++) {
		for (size_t i = 0; i < r->captures[side].remark_count; i++)
			tell(&w, false, "%s", r->captures[side].remarks[i]);
	}
	for (size_t i = 0; i < r->remark_count; i++)
		tell(&w, false, "%s", r->remarks[i]);
	if (d->lost_unlisted)
		tell(&w, false, "%" PRIu64 " losses are counted, and not listed one by one",
		     d->lost_unlisted);
	if (d->observed_stride > 1)
		tell(&w, false,
		     "Of the copies that were not lost, one of %u is drawn; every loss is drawn",
		     d->observed_stride);
	if (!d->two_sided && !r->live)
		tell(&w, false,
		     "From one place alone, nothing can be said about losses between two, and "
		     "all losses are inferred");
	return w.count;
}
