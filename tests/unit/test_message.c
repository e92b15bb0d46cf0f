// SPDX-License-Identifier: GPL-2.0-only
/* message.h: what a message says of the phone; what is odd is not known. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "../packets/packets.h"
#include "core/message.h"
#include "guard.h"

static const struct {
	const char *name;
	const char *text;
	struct kl_message want;
} sip[] = {
	{ "a refresh",
	  "REGISTER sip:x SIP/2.0\r\nCSeq: 101 REGISTER\r\nContact: "
	  "<sip:1@x>;+u.sip!devicename.ccm.cisco.com=\"SEP0024142DDF24\"\r\nExpires: 3600\r\n\r\n",
	  { KL_MESSAGE_REGISTER, .device = "SEP0024142DDF24", .expires_s = 3600,
	    .has_expires = true, .cseq = 101 } },
	{ "a backup's keepalive",
	  "REGISTER sip:x SIP/2.0\r\nContact: <sip:1@x>;expires=0;cisco-keep-alive\r\nExpires: "
	  "0\r\n\r\n",
	  { KL_MESSAGE_REGISTER, .has_expires = true, .is_backup = true } },
	{ "an end of the registration",
	  "REGISTER sip:x SIP/2.0\r\nContact: <sip:1@x>\r\nExpires: 0\r\n\r\n",
	  { KL_MESSAGE_UNREGISTER, .has_expires = true } },
	{ "the same in Contact only",
	  "REGISTER sip:x SIP/2.0\r\nm: <sip:1@x>;expires=0\r\n\r\n",
	  { KL_MESSAGE_UNREGISTER, .has_expires = true } },
	{ "200 OK",
	  "SIP/2.0 200 OK\r\nCSeq: 7 REGISTER\r\nexpires \t:  120\r\n\r\n",
	  { KL_MESSAGE_REGISTERED, .expires_s = 120, .has_expires = true, .cseq = 7 } },
	{ "line ends without CR",
	  "\r\n\r\nSIP/2.0 200 OK\nExpires: 120\n\n",
	  { KL_MESSAGE_REGISTERED, .expires_s = 120, .has_expires = true } },
	{ "100 Trying registers nobody",
	  "SIP/2.0 100 Trying\r\nExpires: 120\r\n\r\n",
	  { KL_MESSAGE_OTHER } },
	{ "behind the headers nothing counts",
	  "SIP/2.0 200 OK\r\n\r\nExpires: 120\r\n",
	  { KL_MESSAGE_REGISTERED } },
	{ "a number too large",
	  "SIP/2.0 200 OK\r\nExpires: 99999999999\r\n\r\n",
	  { KL_MESSAGE_REGISTERED } },
	{ "no number", "SIP/2.0 200 OK\r\nExpires: soon\r\n\r\n", { KL_MESSAGE_REGISTERED } },
	{ "a name too long",
	  "REGISTER sip:x SIP/2.0\r\nm: "
	  "<x>;u.sip!devicename.ccm.cisco.com=\"SEP0024142DDF24XYZ\"\r\n\r\n",
	  { KL_MESSAGE_REGISTER } },
	{ "cut in the name",
	  "REGISTER sip:x SIP/2.0\r\nm: <x>;u.sip!devicename.ccm.cisco.com=\"",
	  { KL_MESSAGE_REGISTER } },
	{ "an INVITE", "INVITE sip:x SIP/2.0\r\nExpires: 0\r\n\r\n", { KL_MESSAGE_OTHER } },
	{ "nothing", "", { KL_MESSAGE_OTHER } },
};

static void check(const char *name, const struct kl_message *got, const struct kl_message *want)
{
	cr_expect_eq(got->type, want->type, "%s: type %d", name, got->type);
	cr_expect_str_eq(got->device, want->device, "%s: %s", name, got->device);
	cr_expect_str_eq(got->failure, want->failure, "%s: %s", name, got->failure);
	cr_expect_eq(got->keepalive_s, want->keepalive_s, "%s", name);
	cr_expect_eq(got->secondary_keepalive_s, want->secondary_keepalive_s, "%s", name);
	cr_expect_eq(got->expires_s, want->expires_s, "%s: %u", name, got->expires_s);
	cr_expect_eq(got->has_expires, want->has_expires, "%s", name);
	cr_expect_eq(got->cseq, want->cseq, "%s", name);
	cr_expect_eq(got->is_backup, want->is_backup, "%s", name);
}

Test(message, sip)
{
	for (unsigned i = 0; i < sizeof(sip) / sizeof(sip[0]); i++) {
		__u32 len = (__u32)strlen(sip[i].text);
		struct kl_message m;

		kl_read_message(guard_copy(0, sip[i].text, len), len, &m);
		check(sip[i].name, &m, &sip[i].want);
	}
}

#define ALARM "\2\0\0\0Name=SEP001380AD9E5F Load=8.4 Last=CM-aborted-TCP"

static const struct {
	const char *name;
	__u32 id;
	const char *body;
	__u32 len;
	struct kl_message want;
} sccp[] = {
	{ "Alarm",
	  KL_SCCP_ID_ALARM,
	  ALARM,
	  sizeof(ALARM) - 1,
	  { KL_MESSAGE_ALARM, .device = "SEP001380AD9E5F", .failure = "CM-aborted-TCP" } },
	{ "Alarm, empty", KL_SCCP_ID_ALARM, "", 0, { KL_MESSAGE_ALARM } },
	{ "RegisterAck",
	  KL_SCCP_ID_REGISTER_ACK,
	  "\36\0\0\0MDY\0\0\0\0\0\74\0\0\0\0\0\0\0",
	  20,
	  { KL_MESSAGE_REGISTERED, .keepalive_s = 30, .secondary_keepalive_s = 60 } },
	{ "RegisterAck, the old form",
	  KL_SCCP_ID_REGISTER_ACK,
	  "\36\0\0\0MDY\0\0\0\0\0",
	  12,
	  { KL_MESSAGE_REGISTERED, .keepalive_s = 30 } },
	{ "RegisterReject", KL_SCCP_ID_REGISTER_REJECT, "no", 2, { KL_MESSAGE_REJECTED } },
	{ "Unregister", KL_SCCP_ID_UNREGISTER, "", 0, { KL_MESSAGE_UNREGISTER } },
	{ "Reset", KL_SCCP_ID_RESET, "\1\0\0\0", 4, { KL_MESSAGE_RESET } },
	{ "KeepAlive", KL_SCCP_ID_KEEPALIVE, "", 0, { KL_MESSAGE_OTHER } },
};

/* Alone, behind another message, and cut anywhere: never beyond the end of what there is. */
Test(message, sccp)
{
	for (unsigned i = 0; i < sizeof(sccp) / sizeof(sccp[0]); i++) {
		struct pkt_payload p = { 0 }, behind = { 0 };
		struct kl_message m;

		pkt_sccp(&p, 0x14, sccp[i].id, sccp[i].body, sccp[i].len);
		kl_read_message(guard_copy(0, p.data, p.len), p.len, &m);
		check(sccp[i].name, &m, &sccp[i].want);
		pkt_sccp(&behind, 0x14, 0x0116, "ABCDEFGH", 8);
		pkt_bytes(&behind, p.data, p.len);
		kl_read_message(guard_copy(0, behind.data, behind.len), behind.len, &m);
		check(sccp[i].name, &m, &sccp[i].want);
		for (__u32 len = 0; len < p.len; len++)
			kl_read_message(guard_copy(0, p.data, len), len, &m);
	}
}

Test(message, register_names_the_phone)
{
	struct pkt_payload p = { 0 };
	struct kl_message m;

	pkt_sccp_register(&p, "SEP0024142DDF24");
	kl_read_message(guard_copy(0, p.data, p.len), p.len, &m);
	cr_expect_eq(m.type, KL_MESSAGE_REGISTER);
	cr_expect_str_eq(m.device, "SEP0024142DDF24");
}
