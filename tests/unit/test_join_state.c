// SPDX-License-Identifier: GPL-2.0-only
/* join_state.h: what a partition's owner writes is what the next one reads; and nothing else is read. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "cli/join_state.h"

static struct kl_join_state state, back;
static struct kl_error err;

static void setup(void)
{
	struct kl_sites_cut cut = {};
	struct kl_join_site *site;

	strcpy(state.owner, "one");
	state.generation = 3;
	state.number = 17;
	state.partitions = 32;
	state.rule = KL_WIRE_BY_SERVER;
	state.point = (struct kl_sites_point){ 100, 200, 150ULL << 16 | 7, 149ULL << 16 };
	strcpy(cut.agent[0].site, "north");
	strcpy(cut.agent[0].agent, "n-1");
	cut.agent[0].boot = 0xfedcba9876543210ULL;
	strcpy(cut.agent[1].site, "centre");
	strcpy(cut.agent[1].agent, "c-1");
	cut.agent[1].boot = 5;
	cut.settled[0] = 190ULL << 16 | 3;
	cut.settled[1] = 191ULL << 16;
	cr_assert_eq(kl_join_state_cut(&state, &cut), 0);
	site = kl_join_state_site(&state, "north");
	cr_assert(site);
	site->total.kind[KL_TO_CUCM][KL_SCCP_KEEPALIVE] =
		(struct kl_count){ .sent = 10, .delivered = 8, .lost_between = 2 };
	site->total.unpaired[KL_PAIR_GAP] = 4;
	site->fresh.kind[KL_TO_CUCM][KL_SCCP_KEEPALIVE] = (struct kl_count){ .sent = 1,
									     .delivered = 1 };
	cr_assert_eq(kl_join_outs_add(&state.outs, "00112233445566aa", "north",
				      json_pack("{s:s}", "type", "loss")),
		     0);
}

static void teardown(void)
{
	kl_join_state_done(&state);
	kl_join_state_done(&back);
}

TestSuite(join_state, .init = setup, .fini = teardown);

Test(join_state, comes_back)
{
	char *text = kl_join_state_write(&state);
	struct kl_join_site *site;

	cr_assert(text);
	cr_assert_eq(kl_join_state_read(text, &back, &err), 0, "%s", err.text);
	free(text);
	cr_expect_str_eq(back.owner, "one");
	cr_expect_eq(back.generation, 3);
	cr_expect_eq(back.number, 17);
	cr_expect_eq(back.partitions, 32);
	cr_expect_eq(back.rule, KL_WIRE_BY_SERVER);
	cr_expect_eq(memcmp(&back.point, &state.point, sizeof(back.point)), 0);
	cr_assert_eq(back.cut_count, 1);
	cr_expect_eq(memcmp(back.cuts, state.cuts, sizeof(*back.cuts)), 0);
	cr_assert_eq(back.outs.count, 1);
	cr_expect_str_eq(back.outs.of[0].id, "00112233445566aa");
	cr_expect_str_eq(back.outs.of[0].text, "{\"type\":\"loss\"}");
	site = kl_join_state_site(&back, "north");
	/* What is fresh is committed with it, and is in no tick yet. */
	cr_expect_eq(site->total.kind[KL_TO_CUCM][KL_SCCP_KEEPALIVE].sent, 11);
	cr_expect_eq(site->total.kind[KL_TO_CUCM][KL_SCCP_KEEPALIVE].lost_between, 2);
	cr_expect_eq(site->total.unpaired[KL_PAIR_GAP], 4);
	cr_expect_eq(site->untold.kind[KL_TO_CUCM][KL_SCCP_KEEPALIVE].sent, 1);
	cr_expect_eq(site->untold.kind[KL_TO_CUCM][KL_SCCP_KEEPALIVE].lost_between, 0);
}

Test(join_state, another_version_is_refused_in_words)
{
	cr_expect_eq(kl_join_state_read("{\"version\":2,\"owner\":\"x\"}", &back, &err), -EPROTO);
	cr_expect(strstr(err.text, "version 2"), "%s", err.text);
}

Test(join_state, what_is_damaged_is_refused)
{
	char *text = kl_join_state_write(&state);
	size_t len = strlen(text), refused = 0;

	for (size_t i = 0; i < len; i++) {
		char kept = text[i];

		text[i] = '\0';
		refused += kl_join_state_read(text, &back, &err) < 0;
		kl_join_state_done(&back);
		/* Read or not: nothing breaks. */
		text[i] = '9';
		(void)kl_join_state_read(text, &back, &err);
		kl_join_state_done(&back);
		text[i] = kept;
	}
	cr_expect_eq(refused, len);
	free(text);
}
