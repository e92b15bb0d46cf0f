// SPDX-License-Identifier: GPL-2.0-only
/* snmp_users.h: what a file of keys may be, and what it says. (tests/net/traps.sh tries its lines.) */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "source/snmp_users.h"
#include "util/cleanup.h"

static int read_file(const char *text, mode_t mode, struct kl_snmp_users *ret, struct kl_error *err)
{
	char path[] = "/tmp/kaloss-unit-XXXXXX";
	int fd = mkstemp(path), r;

	cr_assert(fd >= 0);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	cr_assert_eq(fchmod(fd, mode), 0);
	close(fd);
	r = kl_snmp_users_read(path, ret, err);
	unlink(path);
	return r;
}

Test(snmp_users, who_may_read)
{
	static const struct {
		mode_t mode;
		bool fine;
	} cases[] = { { 0600, true },  { 0400, true },	{ 0440, true },	 { 0640, true },
		      { 0604, false }, { 0444, false }, { 0660, false }, { 0602, false } };

	for (size_t i = 0; i < KL_COUNT(cases); i++) {
		struct kl_snmp_users users = {};
		struct kl_error err = {};
		int r = read_file("bob SHA secretsecret\n", cases[i].mode, &users, &err);

		cr_expect_eq(!r, cases[i].fine, "%o: %s", cases[i].mode, err.text);
		cr_expect_null(strstr(err.text, "secret"));
		if (r)
			cr_expect(strstr(err.text, ": others than its owner may read or change"));
		else
			kl_snmp_users_done(&users);
	}
}

Test(snmp_users, community)
{
	struct kl_snmp_users users = {};
	struct kl_error err = {};

	cr_assert_eq(read_file("community \"two words\"\n", 0600, &users, &err), 0, "%s", err.text);
	cr_expect_eq(users.count, 0);
	cr_expect_str_eq(users.community, "two words");
	kl_snmp_users_done(&users);
	cr_expect_null(users.community);

	cr_assert_eq(read_file("a SHA secretsecret\ncommunity x\nb SHA secretsecret\n", 0600,
			       &users, &err),
		     0, "%s", err.text);
	cr_expect_eq(users.count, 2);
	cr_expect_str_eq(users.community, "x");
	kl_snmp_users_done(&users);

	/* A user of that name has a key. */
	cr_assert_eq(read_file("community SHA secretsecret\n", 0600, &users, &err), 0, "%s",
		     err.text);
	cr_expect_eq(users.count, 1);
	cr_expect_null(users.community);
	kl_snmp_users_done(&users);

	cr_expect(read_file("community x\ncommunity secret\n", 0600, &users, &err));
	cr_expect(strstr(err.text, ": line 2: a second community"), "%s", err.text);
	cr_expect(read_file("# nothing\n", 0600, &users, &err));
	cr_expect(strstr(err.text, ": no user in it, and no community"), "%s", err.text);
}
