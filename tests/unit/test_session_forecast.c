// SPDX-License-Identifier: GPL-2.0-only
/*
 * When the server gives the phone up: the case study's second case on paper and unscaled, seen
 * from in front of the faulty switch and from behind it; silence; and what makes no forecast.
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "stage.h"

#define FIRST_RTO_NS (218750 * KL_NS_PER_US) /* seven of them, doubled: 27.78 s */
#define REFRESH_NS (115 * STAGE_S)

static double since_start(__u64 at_ns)
{
	return ((double)at_ns - (double)STAGE_START_NS) / 1e9;
}

static const struct {
	const char *name;
	struct stage_setup setup;
	enum stage_fate fate;
	bool mid_flow;
	unsigned stands_from; /* the refresh, from 1, that gets through with the forecast made */
} vantages[] = {
	{ "in front of it, lost between", { KL_SIP }, LOST_BETWEEN, false, 2 },
	{ "in front of it, lost beyond", { KL_SIP }, LOST_BEYOND, false, 2 },
	{ "in front of it, IPv6", { KL_SIP, .ipv6 = true }, LOST_BEYOND, false, 2 },
	{ "in front of it, from mid-flow", { KL_SIP }, LOST_BETWEEN, true, 2 },
	{ "behind it", { KL_SIP }, LOST_BEFORE, false, 2 },
	{ "behind it, numbered", { KL_SIP, .phone = BY_ONE }, LOST_BEFORE, false, 4 },
	{ "behind it, constant", { KL_SIP, .phone = CONSTANT }, LOST_BEFORE, false, 4 },
	{ "behind it, no numbers", { KL_SIP, .phone = NO_NUMBERS }, LOST_BEFORE, false, 4 },
	{ "behind it, IPv6", { KL_SIP, .ipv6 = true }, LOST_BEFORE, false, 4 },
	{ "behind it, from mid-flow", { KL_SIP, .phone = CONSTANT }, LOST_BEFORE, true, 4 },
	{ "a single capture before it", { KL_SIP, .one_sided = true }, LOST_BETWEEN, false, 2 },
};

Test(session_forecast, sixteen_minutes_and_three_seconds)
{
	for (unsigned i = 0; i < sizeof(vantages) / sizeof(vantages[0]); i++) {
		__u64 registered, ok, rto = FIRST_RTO_NS, end;
		unsigned stands_from = 0;
		struct stage st;

		stage_init(&st, &vantages[i].setup);
		if (!vantages[i].mid_flow)
			stage_connect(&st, STAGE_START_NS);
		registered = ok = stage_exchange(&st, STAGE_START_NS + 20 * STAGE_MS);
		for (unsigned cycle = 1; cycle <= 7; cycle++, rto *= 2) {
			const struct kl_forecast *f = &stage_session(&st)->forecast;

			ok = stage_struggle(&st, ok + REFRESH_NS, rto, 1, vantages[i].fate);
			if (f->at_ns && !stands_from)
				stands_from = cycle;
			if (!stands_from)
				continue;
			/* Right to within a second from then on. */
			cr_expect_float_eq(since_start(f->at_ns) - since_start(registered), 962.8,
					   1.0, "%s: cycle %u says %.3f", vantages[i].name, cycle,
					   since_start(f->at_ns) - since_start(registered));
		}
		/* Two known timeouts make a growth; of delays it takes three. */
		cr_expect_eq(stands_from, vantages[i].stands_from, "%s: stands from %u",
			     vantages[i].name, stands_from);
		/* The eighth is lost, its retry would come 28 s later, and the server has had it. */
		stage_say(&st, ok + REFRESH_NS, KL_TO_CUCM, st.keepalive.data, st.keepalive.len,
			  vantages[i].fate);
		end = ok + REFRESH_NS + 15 * STAGE_S;
		cr_expect_float_eq(since_start(end) - since_start(registered), 962.8, 0.1);
		stage_close(&st, end, KL_TO_PHONE, KL_FIN | KL_ACK);
		cr_expect_eq(stage_forecasts(&st, KL_FORECAST_EXPECTED), 1, "%s: %u expected",
			     vantages[i].name, stage_forecasts(&st, KL_FORECAST_EXPECTED));
		cr_expect_eq(stage_forecasts(&st, KL_FORECAST_WITHDRAWN), 0);
		cr_expect_eq(stage_forecasts(&st, KL_FORECAST_CHANGED), 0, "%s: changed",
			     vantages[i].name);
		cr_expect_eq(stage_forecasts(&st, KL_FORECAST_CAME_TRUE), 1);
		stage_done(&st);
	}
}
